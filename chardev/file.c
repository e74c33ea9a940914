/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Output to a file; with input-path= also input from one.
 *
 * Locking: chardev/internal.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "chardev/internal.h"
#include "lib/err.h"

struct chr_file {
	struct chardev chr;
	struct chr_fd io;
	char *path, *input_path;
	bool append;
};

static const struct option_row file_options[] = {
	{ "path", &opt_str, offsetof(struct chr_file, path), NULL,
	  "file to write", NULL },
	{ "input-path", &opt_str, offsetof(struct chr_file, input_path), NULL,
	  "file to read", NULL },
	{ "append", &opt_bool, offsetof(struct chr_file, append), "off",
	  "keep what the file holds", NULL },
	OPTION_END,
};

/* The end of the input file leaves the output open. */
static void file_ended(struct chardev *chr, int code)
{
}

static int file_open(struct chardev *chr, struct err *err)
{
	struct chr_file *s = (struct chr_file *)chr;
	int flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK;
	int in = -1, out, r;

	chr_fd_init(&s->io, chr, file_ended);
	if (!s->path)
		return err_set(err, -EINVAL,
			       "chardev: file: no filename given");
	if (s->input_path) {
		in = open(s->input_path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (in < 0)
			return err_errno(err, "Could not open '%s'",
					 s->input_path);
	}
	out = open(s->path, flags | (s->append ? O_APPEND : O_TRUNC), 0666);
	if (out < 0) {
		r = err_errno(err, "Could not open '%s'", s->path);
		if (in >= 0)
			close(in);
		return r;
	}
	r = chr_fd_start(&s->io, in, out);
	if (r < 0) {
		close(out);
		if (in >= 0)
			close(in);
		return err_code(err, r, "Could not watch '%s'", s->path);
	}
	chr_event(chr, CHR_OPENED);
	return 0;
}

static void file_close(struct chardev *chr)
{
	struct chr_file *s = (struct chr_file *)chr;

	chr_fd_close(&s->io);
}

static ssize_t file_write(struct chardev *chr, const u8 *data, size_t len)
{
	struct chr_file *s = (struct chr_file *)chr;

	return chr_fd_write(&s->io, data, len);
}

static void file_poll_output(struct chardev *chr, bool on)
{
	struct chr_file *s = (struct chr_file *)chr;

	chr_fd_poll_output(&s->io, on);
}

static void file_accept_input(struct chardev *chr)
{
	struct chr_file *s = (struct chr_file *)chr;

	chr_fd_update(&s->io);
}

const struct chardev_class file_chardev_class = {
	.name = "file",
	.desc = "output to a file",
	.size = sizeof(struct chr_file),
	.options = file_options,
	.open = file_open,
	.close = file_close,
	.write = file_write,
	.poll_output = file_poll_output,
	.accept_input = file_accept_input,
};
