/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * `set log`: a file that gets what a session runs and what that says, without
 * echo and escape sequences.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/err.h"
#include "lib/file.h"
#include "lib/log.h"
#include "monitor/internal.h"

int transcript_open(struct monitor *mon, const char *path, struct err *err)
{
	int fd = file_open_append(path, O_WRONLY, err);

	if (fd < 0)
		return fd;
	transcript_close(mon);
	mon->log_fd = fd;
	mon->log_path = xstrdup(path);
	return 0;
}

void transcript_close(struct monitor *mon)
{
	if (mon->log_fd >= 0)
		close(mon->log_fd);
	mon->log_fd = -1;
	free(mon->log_path);
	mon->log_path = NULL;
}

static void transcript_write(struct monitor *mon, const struct buf *text)
{
	ssize_t n = write(mon->log_fd, text->data, text->len);

	if (n == (ssize_t)text->len)
		return;
	log_warn("'%s' cannot be written: %s", mon->log_path,
		 n < 0 ? strerror(errno) : "it is full");
	transcript_close(mon);
}

void transcript_line(struct monitor *mon, const char *line)
{
	struct buf text = { 0 };

	mon->log_from = mon->out.len;
	if (mon->log_fd < 0)
		return;
	buf_printf(&text, "(qemu) %s\n", line);
	transcript_write(mon, &text);
	buf_fini(&text);
}

void transcript_answer(struct monitor *mon)
{
	struct buf text = { 0 };

	if (mon->log_fd >= 0 && mon->out.len > mon->log_from) {
		buf_append(&text, mon->out.data + mon->log_from,
			   mon->out.len - mon->log_from);
		buf_drop(&text, '\r');
		transcript_write(mon, &text);
		buf_fini(&text);
	}
	mon->log_from = mon->out.len;
}
