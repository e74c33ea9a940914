/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A pseudo-terminal for whoever opens its other side.
 *
 * poll() on our side says whether somebody has it open (no POLLHUP), but
 * epoll never reports that they came, so inotify on /dev/pts/N wakes us.
 * Output without a reader is kept, the newest PTY_HOLD bytes of it; the next
 * one to open gets it a moment later, because terminal programs begin by
 * throwing away what they find (screen, minicom: tcflush()).
 *
 * Locking: `reader` and `hold` by out_lock; the rest by machine_lock.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "chardev/internal.h"
#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/parse.h"

#define PTY_HOLD      (64 * KIB)
#define PTY_SETTLE_NS (20 * NS_PER_MS)
#define PTY_POLL_NS   NS_PER_S /* without inotify */

struct chr_pty {
	struct chardev chr;
	struct chr_fd io;
	char *path;         /* option: symbolic link to make */
	char *mode, *group; /* options: who may open it */
	char *name;         /* owned: /dev/pts/N */
	bool linked;
	int master;
	int inotify; /* -1: polling */
	struct watch notify;
	struct timer timer; /* settling, or polling */
	bool reader;
	struct fifo hold;
};

static const struct option_row pty_options[] = {
	{ "path", &opt_str, offsetof(struct chr_pty, path), NULL,
	  "symbolic link to make to the terminal", NULL },
	{ "mode", &opt_str, offsetof(struct chr_pty, mode), NULL,
	  "who may open the terminal, as in chmod: 0660", NULL },
	{ "group", &opt_str, offsetof(struct chr_pty, group), NULL,
	  "group of the terminal, by name or number", NULL },
	OPTION_END,
};

/* Somebody is there: what was kept goes out first. */
static void pty_set_reader(struct chr_pty *s)
{
	struct chardev *chr = &s->chr;

	lock_acquire(&chr->out_lock);
	s->reader = true;
	while (s->hold.len) {
		const u8 *data;
		size_t len = fifo_peek(&s->hold, &data);

		fifo_put(&chr->out, data, len);
		fifo_drop(&s->hold, len);
	}
	fifo_clear(&s->hold);
	lock_release(&chr->out_lock);
	chr_flush(chr);
}

/* What the one who left did not take is kept for the next one. */
static void pty_drop_reader(struct chr_pty *s)
{
	lock_acquire(&s->chr.out_lock);
	s->reader = false;
	lock_release(&s->chr.out_lock);
	while (chr_queued(&s->chr))
		chr_flush(&s->chr);
}

/* `stays`: the peer is there to read, too. */
static void pty_start(struct chr_pty *s, bool stays)
{
	bool fresh = !s->chr.peer;

	if (fresh && chr_fd_start(&s->io, s->master, s->master) < 0)
		return;
	if (stays)
		pty_set_reader(s);
	if (fresh)
		chr_event(&s->chr, CHR_OPENED);
	chr_fd_update(&s->io);
}

static void pty_left(struct chr_pty *s)
{
	chr_fd_stop(&s->io);
	pty_drop_reader(s);
	if (s->chr.peer)
		chr_event(&s->chr, CHR_CLOSED);
}

/* Compares what poll() says with what we know. */
static void pty_check(struct chr_pty *s)
{
	struct pollfd p = { .fd = s->master, .events = POLLIN };

	if (poll(&p, 1, 0) < 0)
		return;
	if (!(p.revents & POLLHUP)) {
		if (!s->reader && !timer_armed(&s->timer))
			timer_set(&s->timer, clock_mono_ns() + PTY_SETTLE_NS);
		return;
	}
	timer_cancel(&s->timer);
	pty_drop_reader(s);
	if (p.revents & POLLIN)
		pty_start(s, false); /* gone, but left us input */
	else
		pty_left(s);
	if (s->inotify < 0)
		timer_set(&s->timer, clock_mono_ns() + PTY_POLL_NS);
}

static void pty_ended(struct chardev *chr, int code)
{
	struct chr_pty *s = (struct chr_pty *)chr;

	pty_left(s);
	pty_check(s); /* somebody else may be there already */
}

static void pty_on_timer(void *arg)
{
	struct chr_pty *s = arg;
	struct pollfd p = { .fd = s->master, .events = POLLIN };

	if (poll(&p, 1, 0) > 0 && p.revents & POLLHUP) {
		pty_check(s);
		return;
	}
	pty_start(s, true);
}

static void pty_on_notify(void *arg, u32 events)
{
	struct chr_pty *s = arg;
	char data[4096] __attribute__((aligned(8)));
	bool closed = false, replaced = false;
	ssize_t n;

	while ((n = read(s->inotify, data, sizeof(data))) > 0) {
		const struct inotify_event *e;

		for (ssize_t at = 0; at < n; at += sizeof(*e) + e->len) {
			e = (const void *)(data + at);
			replaced |= closed && e->mask & IN_OPEN;
			closed |= (e->mask & IN_CLOSE) != 0;
		}
	}
	/* One left and the next came between two looks: a new peer. */
	if (replaced && s->reader)
		pty_left(s);
	pty_check(s);
}

/* Raw, so that nothing echoes or edits until a program sets its own mode.
 * Opening and closing the other side also makes POLLHUP mean "nobody". */
static int pty_make_raw(struct chr_pty *s, struct err *err)
{
	struct termios mode;
	int fd = open(s->name, O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0 || tcgetattr(fd, &mode) < 0) {
		int r = err_errno(err, "cannot open '%s'", s->name);

		if (fd >= 0)
			close(fd);
		return r;
	}
	cfmakeraw(&mode);
	tcsetattr(fd, TCSANOW, &mode);
	close(fd);
	return 0;
}

static int pty_set_group(struct chr_pty *s, struct err *err)
{
	struct group *g = getgrnam(s->group);
	u64 gid;

	if (g)
		gid = g->gr_gid;
	else if (parse_u64(s->group, &gid) < 0 || gid > INT32_MAX)
		return err_set(err, -EINVAL, "there is no group '%s'",
			       s->group);
	if (chown(s->name, -1, (gid_t)gid) < 0)
		return err_errno(err, "cannot give '%s' to group '%s'", s->name,
				 s->group);
	return 0;
}

static int pty_set_access(struct chr_pty *s, struct err *err)
{
	int r = s->group ? pty_set_group(s, err) : 0;
	unsigned long mode;
	char *end;

	if (r < 0 || !s->mode)
		return r;
	mode = strtoul(s->mode, &end, 8);
	if (!isdigit((unsigned char)*s->mode) || *end || mode & ~0666ul)
		return err_set(err, -EINVAL,
			       "'%s' is not a mode; accepted: octal digits "
			       "like 0660",
			       s->mode);
	if (chmod(s->name, (mode_t)mode) < 0)
		return err_errno(err, "cannot change the mode of '%s'",
				 s->name);
	return 0;
}

static void pty_watch_openers(struct chr_pty *s)
{
	s->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (s->inotify >= 0 &&
	    inotify_add_watch(s->inotify, s->name, IN_OPEN | IN_CLOSE) >= 0 &&
	    watch_add(&s->notify, s->chr.loop, s->inotify, LOOP_IN,
		      pty_on_notify, s) == 0)
		return;
	if (s->inotify >= 0)
		close(s->inotify);
	s->inotify = -1;
	timer_set(&s->timer, clock_mono_ns() + PTY_POLL_NS);
}

static int pty_link(struct chr_pty *s, struct err *err)
{
	char old[16];

	if (!s->path)
		return 0;
	/* A link that an earlier run left behind. */
	if (readlink(s->path, old, sizeof(old)) > 0)
		unlink(s->path);
	if (symlink(s->name, s->path) < 0)
		return err_errno(err, "Could not create '%s'", s->path);
	s->linked = true;
	return 0;
}

static int pty_open(struct chardev *chr, struct err *err)
{
	struct chr_pty *s = (struct chr_pty *)chr;
	char name[64];
	int r;

	chr_fd_init(&s->io, chr, pty_ended);
	fifo_init(&s->hold, PTY_HOLD);
	timer_init(&s->timer, chr->loop, pty_on_timer, s);
	s->inotify = -1;
	s->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	if (s->master < 0 || grantpt(s->master) < 0 ||
	    unlockpt(s->master) < 0 ||
	    ptsname_r(s->master, name, sizeof(name)) != 0)
		return err_errno(err, "Failed to create PTY");
	s->name = xstrdup(name);
	r = pty_make_raw(s, err);
	if (r == 0)
		r = pty_set_access(s, err);
	if (r == 0)
		r = pty_link(s, err);
	if (r < 0)
		return r;
	pty_watch_openers(s);
	chr_notice("char device redirected to %s (label %s)", s->name,
		   chr->label);
	return 0;
}

/* Another pty may have taken the name since. */
static bool pty_link_is_ours(const struct chr_pty *s)
{
	char to[64];
	ssize_t n = readlink(s->path, to, sizeof to - 1);

	if (n <= 0)
		return false;
	to[n] = '\0';
	return !strcmp(to, s->name);
}

static void pty_close(struct chardev *chr)
{
	struct chr_pty *s = (struct chr_pty *)chr;

	if (!s->io.chr)
		return;
	timer_cancel(&s->timer);
	watch_remove(&s->notify);
	chr_fd_stop(&s->io);
	if (s->inotify >= 0)
		close(s->inotify);
	if (s->master >= 0)
		close(s->master);
	if (s->linked && pty_link_is_ours(s))
		unlink(s->path);
	fifo_fini(&s->hold);
	free(s->name);
}

static ssize_t pty_write(struct chardev *chr, const u8 *data, size_t len)
{
	struct chr_pty *s = (struct chr_pty *)chr;

	if (s->reader)
		return chr_fd_write(&s->io, data, len);
	fifo_put_newest(&s->hold, data, len);
	return len;
}

static void pty_poll_output(struct chardev *chr, bool on)
{
	struct chr_pty *s = (struct chr_pty *)chr;

	chr_fd_poll_output(&s->io, on);
}

static void pty_accept_input(struct chardev *chr)
{
	struct chr_pty *s = (struct chr_pty *)chr;

	chr_fd_update(&s->io);
}

static void pty_filename(struct chardev *chr, struct buf *out)
{
	struct chr_pty *s = (struct chr_pty *)chr;

	buf_printf(out, "pty:%s", s->name);
}

static int pty_descriptor(struct chardev *chr)
{
	return ((struct chr_pty *)chr)->io.in;
}

const struct chardev_class pty_chardev_class = {
	.name = "pty",
	.desc = "pseudo-terminal",
	.size = sizeof(struct chr_pty),
	.options = pty_options,
	.open = pty_open,
	.close = pty_close,
	.write = pty_write,
	.poll_output = pty_poll_output,
	.accept_input = pty_accept_input,
	.descriptor = pty_descriptor,
	.filename = pty_filename,
};
