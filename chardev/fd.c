/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Input and output over file descriptors, for most back ends.
 *
 * A write error does not end the connection: what the peer sent before it
 * left is still read and carried out, then the end of input reports it.
 *
 * Locking: see struct chr_fd.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "chardev/internal.h"

void chr_fd_init(struct chr_fd *f, struct chardev *chr,
		 void (*ended)(struct chardev *chr, int code))
{
	*f = (struct chr_fd){ .chr = chr, .in = -1, .out = -1, .ended = ended };
}

bool chr_fd_active(const struct chr_fd *f)
{
	return f->in >= 0 || f->out >= 0;
}

static u32 chr_fd_events(struct chr_fd *f)
{
	u32 events = 0;

	if (f->in >= 0 && !f->eof && !f->held && chr_can_read(f->chr))
		events |= LOOP_IN;
	if (f->out == f->in && f->want_out)
		events |= LOOP_OUT;
	return events;
}

void chr_fd_update(struct chr_fd *f)
{
	watch_set(&f->in_watch, chr_fd_events(f));
	watch_set(&f->out_watch, f->want_out ? LOOP_OUT : 0);
}

static void chr_fd_drop_fds(struct chr_fd *f)
{
	while (f->nfds > 0)
		close(f->fds[--f->nfds]);
}

int chr_fd_take(struct chr_fd *f)
{
	int fd;

	if (!f->nfds)
		return -ENOENT;
	fd = f->fds[0];
	memmove(f->fds, f->fds + 1, --f->nfds * sizeof(*f->fds));
	return fd;
}

static void chr_fd_keep(struct chr_fd *f, const struct cmsghdr *c)
{
	size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

	chr_fd_drop_fds(f);
	f->nfds = (int)MIN(n, (size_t)CHR_FDS_MAX);
	memcpy(f->fds, CMSG_DATA(c), f->nfds * sizeof(*f->fds));
}

/* read(), with what comes beside the bytes. */
static ssize_t chr_fd_receive(struct chr_fd *f, void *data, size_t len)
{
	union {
		struct cmsghdr align;
		u8 space[CMSG_SPACE(CHR_FDS_MAX * sizeof(int))];
	} control;
	struct iovec iov = { data, len };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	ssize_t n;

	if (!f->sock || !f->chr->wants_fds)
		return read(f->in, data, len);
	n = recvmsg(f->in, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0)
		return n;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
			chr_fd_keep(f, c);
	return n;
}

/* One read; false: nothing more for now, or `f` was ended. */
static bool chr_fd_read(struct chr_fd *f, size_t *left)
{
	size_t room = MIN(chr_can_read(f->chr), MIN(*left, (size_t)CHR_CHUNK));
	u8 data[CHR_CHUNK];
	ssize_t n;

	if (!room || f->in < 0 || f->eof)
		return false;
	f->held = f->may_read && !f->may_read();
	if (f->held)
		return false;
	n = chr_fd_receive(f, data, room);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		f->eof = true;
		f->ended(f->chr, n < 0 ? -errno : 0);
		return false;
	}
	*left -= n;
	room = f->filter ? f->filter(f->chr, data, n) : (size_t)n;
	if (room)
		chr_input(f->chr, data, room);
	return true;
}

static void chr_fd_input(struct chr_fd *f)
{
	size_t left = CHR_TURN;

	while (chr_fd_read(f, &left))
		;
}

static void chr_fd_on_in(void *arg, u32 events)
{
	struct chr_fd *f = arg;

	if (events & (LOOP_IN | LOOP_HUP))
		chr_fd_input(f);
	if (f->want_out && f->out == f->in && events & (LOOP_OUT | LOOP_HUP))
		chr_flush(f->chr);
	chr_fd_update(f);
}

static void chr_fd_on_out(void *arg, u32 events)
{
	struct chr_fd *f = arg;

	chr_flush(f->chr);
	chr_fd_update(f);
}

int chr_fd_start(struct chr_fd *f, int in, int out)
{
	struct loop *loop = f->chr->loop;
	int type, r = 0;
	socklen_t len = sizeof(type);

	f->eof = false;
	f->want_out = false;
	f->in = in;
	lock_acquire(&f->chr->out_lock);
	f->out = out;
	f->out_dead = false;
	f->sock = getsockopt(out, SOL_SOCKET, SO_TYPE, &type, &len) == 0;
	f->chr->drain_fd = out;
	f->chr->out_polled = false;
	lock_release(&f->chr->out_lock);

	if (in >= 0)
		r = watch_add(&f->in_watch, loop, in, 0, chr_fd_on_in, f);
	if (r == 0 && out >= 0 && out != in)
		r = watch_add(&f->out_watch, loop, out, 0, chr_fd_on_out, f);
	if (r < 0)
		chr_fd_stop(f);
	else
		chr_fd_update(f);
	return r;
}

void chr_fd_stop(struct chr_fd *f)
{
	watch_remove(&f->in_watch);
	watch_remove(&f->out_watch);
	chr_fd_drop_fds(f);
	f->in = -1;
	f->want_out = false;
	lock_acquire(&f->chr->out_lock);
	f->out = -1;
	f->chr->drain_fd = -1;
	lock_release(&f->chr->out_lock);
}

void chr_fd_close(struct chr_fd *f)
{
	int in = f->in, out = f->out;

	if (!f->chr)
		return;
	chr_fd_stop(f);
	if (in >= 0)
		close(in);
	if (out >= 0 && out != in)
		close(out);
}

ssize_t chr_fd_write(struct chr_fd *f, const u8 *data, size_t len)
{
	ssize_t n;

	if (f->out < 0 || f->out_dead)
		return -ENOTCONN;
	do {
		n = f->sock ? send(f->out, data, len,
				   MSG_DONTWAIT | MSG_NOSIGNAL)
			    : write(f->out, data, len);
	} while (n < 0 && errno == EINTR);
	if (n >= 0)
		return n;
	if (errno == EAGAIN)
		return 0;
	f->out_dead = true;
	return -errno;
}

void chr_fd_poll_output(struct chr_fd *f, bool on)
{
	f->want_out = on && f->out >= 0;
	chr_fd_update(f);
}
