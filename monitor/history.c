/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A file that keeps the lines of a session beyond the life of the VM.
 *
 * Lines are appended as they are typed, so that several VMs may share it;
 * what is too long is cut to what a session remembers when one opens it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/file.h"
#include "lib/log.h"
#include "monitor/internal.h"

#define HISTORY_READ (64 * KIB)  /* of its end */
#define HISTORY_MAX  (256 * KIB) /* then it is cut */

/* Of an honest file: text without control characters. */
static bool history_is_line(const char *line, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((u8)line[i] < 0x20 || line[i] == 0x7f)
			return false;
	return len > 0 && len <= RL_LINE_MAX;
}

static void history_load(struct monitor *mon, off_t size)
{
	off_t from = size > (off_t)HISTORY_READ ? size - HISTORY_READ : 0;
	char *data = xalloc(HISTORY_READ + 1), *line = data, *end;
	ssize_t n = pread(mon->history_fd, data, HISTORY_READ, from);

	data[MAX(n, 0)] = '\0';
	if (from && (end = strchr(line, '\n')))
		line = end + 1; /* it begins in the middle of one */
	for (; (end = strchr(line, '\n')); line = end + 1) {
		*end = '\0';
		if (history_is_line(line, end - line))
			rl_history_add(&mon->rl, line);
	}
	mon->rl.history_at = mon->rl.history_len;
	free(data);
}

/* Unless another VM does so at this moment. */
static void history_cut(struct monitor *mon)
{
	if (flock(mon->history_fd, LOCK_EX | LOCK_NB) < 0)
		return;
	if (ftruncate(mon->history_fd, 0) == 0)
		for (int i = 0; i < mon->rl.history_len; i++)
			history_line(mon, mon->rl.history[i]);
	if (mon->history_fd >= 0)
		flock(mon->history_fd, LOCK_UN);
}

int history_open(struct monitor *mon, const char *path, struct err *err)
{
	int fd = file_open_append(path, O_RDWR, err);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		st.st_size = 0;
	mon->history_fd = fd;
	history_load(mon, st.st_size);
	if (st.st_size > (off_t)HISTORY_MAX)
		history_cut(mon);
	return 0;
}

void history_close(struct monitor *mon)
{
	if (mon->history_fd >= 0)
		close(mon->history_fd);
	mon->history_fd = -1;
}

void history_line(struct monitor *mon, const char *line)
{
	struct buf text = { 0 };
	ssize_t n;

	if (mon->history_fd < 0)
		return;
	buf_printf(&text, "%s\n", line);
	n = write(mon->history_fd, text.data, text.len);
	if (n != (ssize_t)text.len) {
		log_warn("the history file cannot be written: %s",
			 n < 0 ? strerror(errno) : "it is full");
		history_close(mon);
	}
	buf_fini(&text);
}
