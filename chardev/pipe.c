/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A pair of fifos, PATH.in to read and PATH.out to write, or else PATH for
 * both.
 *
 * Both are opened for reading and writing, so that neither opening waits nor
 * the other side's closing ends anything.
 *
 * Locking: chardev/internal.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "chardev/internal.h"
#include "lib/alloc.h"
#include "lib/err.h"

struct chr_pipe {
	struct chardev chr;
	struct chr_fd io;
	char *path;
};

static const struct option_row pipe_options[] = {
	{ "path", &opt_str, offsetof(struct chr_pipe, path), NULL,
	  "fifo, or name of two without .in and .out", NULL },
	OPTION_END,
};

static void pipe_ended(struct chardev *chr, int code)
{
	struct chr_pipe *s = (struct chr_pipe *)chr;

	chr_fd_close(&s->io);
	chr_output_clear(chr);
	chr_event(chr, CHR_CLOSED);
}

static int pipe_open_one(const char *path, const char *suffix)
{
	char *name = xprintf("%s%s", path, suffix);
	int fd = open(name, O_RDWR | O_NONBLOCK | O_CLOEXEC);

	free(name);
	return fd;
}

static int pipe_open(struct chardev *chr, struct err *err)
{
	struct chr_pipe *s = (struct chr_pipe *)chr;
	int in, out, r;

	chr_fd_init(&s->io, chr, pipe_ended);
	if (!s->path)
		return err_set(err, -EINVAL,
			       "chardev: pipe: no device path given");
	in = pipe_open_one(s->path, ".in");
	out = pipe_open_one(s->path, ".out");
	if (in < 0 || out < 0) {
		if (in >= 0)
			close(in);
		if (out >= 0)
			close(out);
		in = out = pipe_open_one(s->path, "");
		if (in < 0)
			return err_errno(err, "Could not open '%s'", s->path);
	}
	r = chr_fd_start(&s->io, in, out);
	if (r < 0) {
		close(in);
		if (out != in)
			close(out);
		return err_code(err, r, "Could not watch '%s'", s->path);
	}
	chr_event(chr, CHR_OPENED);
	return 0;
}

static void pipe_close(struct chardev *chr)
{
	struct chr_pipe *s = (struct chr_pipe *)chr;

	chr_fd_close(&s->io);
}

static ssize_t pipe_write(struct chardev *chr, const u8 *data, size_t len)
{
	struct chr_pipe *s = (struct chr_pipe *)chr;

	return chr_fd_write(&s->io, data, len);
}

static void pipe_poll_output(struct chardev *chr, bool on)
{
	struct chr_pipe *s = (struct chr_pipe *)chr;

	chr_fd_poll_output(&s->io, on);
}

static void pipe_accept_input(struct chardev *chr)
{
	struct chr_pipe *s = (struct chr_pipe *)chr;

	chr_fd_update(&s->io);
}

const struct chardev_class pipe_chardev_class = {
	.name = "pipe",
	.desc = "pair of fifos",
	.size = sizeof(struct chr_pipe),
	.options = pipe_options,
	.open = pipe_open,
	.close = pipe_close,
	.write = pipe_write,
	.poll_output = pipe_poll_output,
	.accept_input = pipe_accept_input,
};
