/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Standard input and output, the terminal in raw mode.
 *
 * The descriptors share their file description with whoever started vmon,
 * so that O_NONBLOCK on them would surprise a shell: where possible they are
 * opened again through /proc.  As a background job vmon neither changes the
 * terminal's mode nor reads from it (SIGTTOU, SIGTTIN would stop the guest);
 * chr_stdio_resume() makes up for it when it is in the foreground again.
 *
 * Locking: chardev/internal.h; there is one user at most, stdio_user.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "chardev/internal.h"
#include "lib/err.h"

struct chr_stdio {
	struct chardev chr;
	struct chr_fd io;
	bool signal;
};

static const struct option_row stdio_options[] = {
	{ "signal", &opt_bool, offsetof(struct chr_stdio, signal), "on",
	  "Ctrl-C and Ctrl-Z act on vmon", NULL },
	OPTION_END,
};

static struct chr_stdio *stdio_user;
static const char *stdio_forbidden; /* by what; borrowed */
static struct termios stdio_saved;  /* valid while stdio_raw */
static bool stdio_raw;
static bool stdio_blocking; /* was, until we set O_NONBLOCK on 0 and 1 */

static bool stdio_foreground(void)
{
	pid_t group = tcgetpgrp(STDIN_FILENO);

	/* Without a controlling terminal there is no job control either. */
	return group < 0 || group == getpgrp();
}

/* As tcsetattr(), and a background job is not stopped for it. */
static void stdio_set_mode(const struct termios *mode)
{
	sigset_t ttou, old;

	sigemptyset(&ttou);
	sigaddset(&ttou, SIGTTOU);
	pthread_sigmask(SIG_BLOCK, &ttou, &old);
	tcsetattr(STDIN_FILENO, TCSANOW, mode);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void stdio_restore(void)
{
	if (stdio_raw && stdio_foreground())
		stdio_set_mode(&stdio_saved);
	stdio_raw = false;
	for (int fd = 0; stdio_blocking && fd < 2; fd++)
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
	stdio_blocking = false;
}

static void stdio_set_raw(struct chr_stdio *s)
{
	struct termios mode;

	if (!stdio_foreground())
		return;
	if (!stdio_raw) {
		if (tcgetattr(STDIN_FILENO, &stdio_saved) < 0)
			return;
		stdio_raw = true;
	}
	mode = stdio_saved;
	mode.c_iflag &= ~(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR |
			  ICRNL | IXON);
	mode.c_oflag |= OPOST;
	mode.c_lflag &= ~(ECHO | ECHONL | ICANON | IEXTEN);
	if (!s->signal)
		mode.c_lflag &= ~ISIG;
	mode.c_cflag &= ~(CSIZE | PARENB);
	mode.c_cflag |= CS8;
	mode.c_cc[VMIN] = 1;
	mode.c_cc[VTIME] = 0;
	stdio_set_mode(&mode);
}

void chr_stdio_resume(void)
{
	if (!stdio_user)
		return;
	stdio_set_raw(stdio_user);
	stdio_user->io.held = false;
	chr_fd_update(&stdio_user->io);
}

void chr_stdio_forbid(const char *what)
{
	stdio_forbidden = what;
}

/* A description of our own for `fd`, or a duplicate of the shared one. */
static int stdio_reopen(int fd, int flags)
{
	char path[32];
	struct stat st = { 0 };
	int own = -1;

	/* A regular file's position must stay shared. */
	if (fstat(fd, &st) == 0 &&
	    (S_ISCHR(st.st_mode) || S_ISFIFO(st.st_mode))) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		own = open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	}
	if (own >= 0)
		return own;
	own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (own >= 0 && !S_ISREG(st.st_mode)) {
		stdio_blocking = true;
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	}
	return own;
}

/* End of input: deaf, but the guest goes on and output still works. */
static void stdio_ended(struct chardev *chr, int code)
{
}

static int stdio_open(struct chardev *chr, struct err *err)
{
	static bool registered;
	struct chr_stdio *s = (struct chr_stdio *)chr;
	int in, out, r;

	chr_fd_init(&s->io, chr, stdio_ended);
	if (stdio_forbidden)
		return err_set(err, -EINVAL, "cannot use stdio with %s",
			       stdio_forbidden);
	if (stdio_user)
		return err_set(err, -EBUSY,
			       "cannot use stdio by multiple "
			       "character devices");
	in = stdio_reopen(STDIN_FILENO, O_RDONLY);
	out = stdio_reopen(STDOUT_FILENO, O_WRONLY);
	if (in < 0 || out < 0) {
		r = err_errno(err, "cannot use stdio");
		goto fail;
	}
	r = chr_fd_start(&s->io, in, out);
	if (r < 0) {
		err_code(err, r, "cannot watch stdio");
		goto fail;
	}
	s->io.may_read = stdio_foreground;
	stdio_user = s;
	if (!registered)
		atexit(stdio_restore);
	registered = true;
	stdio_set_raw(s);
	chr_event(chr, CHR_OPENED);
	return 0;
fail:
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	return r;
}

static void stdio_close(struct chardev *chr)
{
	struct chr_stdio *s = (struct chr_stdio *)chr;

	if (stdio_user != s)
		return;
	chr_fd_close(&s->io);
	stdio_restore();
	stdio_user = NULL;
}

static ssize_t stdio_write(struct chardev *chr, const u8 *data, size_t len)
{
	struct chr_stdio *s = (struct chr_stdio *)chr;

	return chr_fd_write(&s->io, data, len);
}

static void stdio_poll_output(struct chardev *chr, bool on)
{
	struct chr_stdio *s = (struct chr_stdio *)chr;

	chr_fd_poll_output(&s->io, on);
}

static void stdio_accept_input(struct chardev *chr)
{
	struct chr_stdio *s = (struct chr_stdio *)chr;

	chr_fd_update(&s->io);
}

static int stdio_descriptor(struct chardev *chr)
{
	return ((struct chr_stdio *)chr)->io.in;
}

const struct chardev_class stdio_chardev_class = {
	.name = "stdio",
	.desc = "standard input and output",
	.size = sizeof(struct chr_stdio),
	.options = stdio_options,
	.open = stdio_open,
	.close = stdio_close,
	.write = stdio_write,
	.poll_output = stdio_poll_output,
	.accept_input = stdio_accept_input,
	.descriptor = stdio_descriptor,
};
