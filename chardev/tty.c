/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A terminal or serial line of the host, given by its path.
 *
 * Its settings are saved when it is opened and put back when it is closed.
 * After a hang-up (unplugged adapter, other side of a pty closed) it is
 * tried again once a second.
 *
 * Locking: chardev/internal.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "chardev/internal.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"

#define TTY_RETRY_NS NS_PER_S
#define TTY_BREAK_NS (250 * NS_PER_MS)

struct chr_tty {
	struct chardev chr;
	struct chr_fd io;
	char *path;
	struct timer retry;
	struct timer unbreak; /* ends the break that was begun */
	struct termios saved;
	bool have_saved; /* false: not a terminal (or none open) */
	struct chr_line line;
};

static const struct option_row tty_options[] = {
	{ "path", &opt_str, offsetof(struct chr_tty, path), NULL,
	  "device to open", NULL },
	OPTION_END,
};

static const struct {
	u32 baud;
	speed_t speed;
} tty_speeds[] = {
	{ 50, B50 },         { 75, B75 },         { 110, B110 },
	{ 134, B134 },       { 150, B150 },       { 200, B200 },
	{ 300, B300 },       { 600, B600 },       { 1200, B1200 },
	{ 1800, B1800 },     { 2400, B2400 },     { 4800, B4800 },
	{ 9600, B9600 },     { 19200, B19200 },   { 38400, B38400 },
	{ 57600, B57600 },   { 115200, B115200 }, { 230400, B230400 },
	{ 460800, B460800 }, { 921600, B921600 }, { 4000000, B4000000 },
};

static speed_t tty_speed(u32 baud)
{
	/* The next standard rate from below; within 10 % counts as it. */
	for (size_t i = 0; i < ARRAY_SIZE(tty_speeds); i++)
		if (baud <= tty_speeds[i].baud + tty_speeds[i].baud / 10)
			return tty_speeds[i].speed;
	return B4000000;
}

static void tty_apply_line(struct chr_tty *s)
{
	static const tcflag_t sizes[] = { CS5, CS6, CS7, CS8 };
	const struct chr_line *line = &s->line;
	struct termios mode;

	if (!s->have_saved || tcgetattr(s->io.in, &mode) < 0)
		return;
	cfmakeraw(&mode);
	mode.c_cflag &= ~(CSIZE | CSTOPB | PARENB | PARODD | CRTSCTS);
	mode.c_cflag |= CREAD | CLOCAL;
	mode.c_cflag |= line->data_bits >= 5 && line->data_bits <= 8
				? sizes[line->data_bits - 5]
				: CS8;
	mode.c_cflag |= line->stop_bits > 1 ? CSTOPB : 0;
	mode.c_cflag |= line->parity == 'E'   ? PARENB
			: line->parity == 'O' ? PARENB | PARODD
					      : 0;
	mode.c_cc[VMIN] = 1;
	mode.c_cc[VTIME] = 0;
	cfsetspeed(&mode, tty_speed(line->baud));
	tcsetattr(s->io.in, TCSANOW, &mode);
}

static int tty_connect(struct chr_tty *s)
{
	int fd = open(s->path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	int r;

	if (fd < 0)
		return -errno;
	r = chr_fd_start(&s->io, fd, fd);
	if (r < 0) {
		close(fd);
		return r;
	}
	s->have_saved = tcgetattr(fd, &s->saved) == 0;
	tty_apply_line(s);
	chr_event(&s->chr, CHR_OPENED);
	chr_fd_update(&s->io);
	return 0;
}

static void tty_disconnect(struct chr_tty *s)
{
	timer_cancel(&s->unbreak);
	if (s->have_saved && s->io.in >= 0)
		tcsetattr(s->io.in, TCSANOW, &s->saved);
	s->have_saved = false;
	chr_fd_close(&s->io);
}

static void tty_ended(struct chardev *chr, int code)
{
	struct chr_tty *s = (struct chr_tty *)chr;

	if (!s->have_saved)
		return; /* end of a file, /dev/null: output goes on */
	tty_disconnect(s);
	chr_output_clear(chr);
	chr_event(chr, CHR_CLOSED);
	timer_set(&s->retry, clock_mono_ns() + TTY_RETRY_NS);
}

static void tty_on_retry(void *arg)
{
	struct chr_tty *s = arg;

	if (tty_connect(s) < 0)
		timer_set(&s->retry, clock_mono_ns() + TTY_RETRY_NS);
}

static void tty_on_unbreak(void *arg)
{
	struct chr_tty *s = arg;

	ioctl(s->io.in, TIOCCBRK);
}

static int tty_open(struct chardev *chr, struct err *err)
{
	struct chr_tty *s = (struct chr_tty *)chr;
	int r;

	chr_fd_init(&s->io, chr, tty_ended);
	timer_init(&s->retry, chr->loop, tty_on_retry, s);
	timer_init(&s->unbreak, chr->loop, tty_on_unbreak, s);
	s->line = (struct chr_line){
		.baud = 115200, .data_bits = 8, .stop_bits = 1, .parity = 'N'
	};
	if (!s->path)
		return err_set(err, -EINVAL,
			       "chardev: serial/tty: no device path given");
	r = tty_connect(s);
	if (r < 0)
		return err_code(err, r, "Could not open '%s'", s->path);
	return 0;
}

static void tty_close(struct chardev *chr)
{
	struct chr_tty *s = (struct chr_tty *)chr;

	if (!s->io.chr)
		return;
	timer_cancel(&s->retry);
	tty_disconnect(s);
}

static ssize_t tty_write(struct chardev *chr, const u8 *data, size_t len)
{
	struct chr_tty *s = (struct chr_tty *)chr;

	return chr_fd_write(&s->io, data, len);
}

static void tty_poll_output(struct chardev *chr, bool on)
{
	struct chr_tty *s = (struct chr_tty *)chr;

	chr_fd_poll_output(&s->io, on);
}

static void tty_accept_input(struct chardev *chr)
{
	struct chr_tty *s = (struct chr_tty *)chr;

	chr_fd_update(&s->io);
}

static void tty_set_line(struct chardev *chr, const struct chr_line *line)
{
	struct chr_tty *s = (struct chr_tty *)chr;

	s->line = *line;
	tty_apply_line(s);
}

static void tty_send_break(struct chardev *chr)
{
	struct chr_tty *s = (struct chr_tty *)chr;

	if (s->have_saved && ioctl(s->io.in, TIOCSBRK) == 0)
		timer_set(&s->unbreak, clock_mono_ns() + TTY_BREAK_NS);
}

static void tty_filename(struct chardev *chr, struct buf *out)
{
	buf_puts(out, "serial");
}

static int tty_descriptor(struct chardev *chr)
{
	return ((struct chr_tty *)chr)->io.in;
}

#define TTY_CLASS(text)                                                     \
	{                                                                   \
		.name = text, .desc = "terminal or serial line",            \
		.size = sizeof(struct chr_tty), .options = tty_options,     \
		.open = tty_open, .close = tty_close, .write = tty_write,   \
		.poll_output = tty_poll_output,                             \
		.accept_input = tty_accept_input, .set_line = tty_set_line, \
		.send_break = tty_send_break, .filename = tty_filename,     \
		.descriptor = tty_descriptor,                               \
	}

const struct chardev_class serial_chardev_class = TTY_CLASS("serial");
const struct chardev_class tty_chardev_class = TTY_CLASS("tty");
