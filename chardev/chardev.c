/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Character devices: registry, and the way between a front end and a back
 * end.
 *
 * Output that the back end does not take at once waits in a queue.  Writers
 * may be in any thread; only the loop empties the queue, after it was posted
 * to or when the back end reports its peer ready.
 *
 * Locking: chardev/internal.h.
 */
#include "chardev/chardev.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "chardev/internal.h"
#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"

#define CHR_DRAIN_NS (500 * NS_PER_MS)

#define BACKEND(name) extern const struct chardev_class name##_chardev_class;
#include "chardev/backends.def"
#undef BACKEND

const struct chardev_class *const chardev_classes[] = {
#define BACKEND(name) &name##_chardev_class,
#include "chardev/backends.def"
#undef BACKEND
	NULL,
};

const struct option_row chr_common_options[] = {
	{ "mux", &opt_bool, offsetof(struct chardev, mux), "off",
	  "share among several front ends", NULL },
	{ "logfile", &opt_str, offsetof(struct chardev, logfile), NULL,
	  "file that gets a copy of the output", NULL },
	{ "logappend", &opt_bool, offsetof(struct chardev, logappend), "off",
	  "keep what the log file holds", NULL },
	{ "logmax", &opt_size, offsetof(struct chardev, logmax), "0",
	  "bytes after which the log file gets the ending .1, in place of "
	  "that before it, and begins anew; 0: never", NULL },
	OPTION_END,
};

static struct list chr_list = LIST_INIT(chr_list);
static struct buf *chr_notices;

/* ----------------------------------------------------------- registry */

struct chardev *chr_next(struct chardev *chr)
{
	struct list *next = chr ? chr->node.next : chr_list.next;

	return next == &chr_list ? NULL
				 : list_entry(next, struct chardev, node);
}

struct chardev *chr_find(const char *label)
{
	struct chardev *chr;

	list_for_each (chr, &chr_list, node)
		if (!strcmp(chr->label, label))
			return chr;
	return NULL;
}

const char *chr_label(const struct chardev *chr)
{
	return chr->label;
}

void chr_filename(struct chardev *chr, struct buf *out)
{
	if (chr->class->filename)
		chr->class->filename(chr, out);
	else
		buf_puts(out, chr->class->name);
}

bool chr_attached(const struct chardev *chr)
{
	return chr && chr->front;
}

bool chr_open(const struct chardev *chr)
{
	return chr && chr->peer;
}

bool chr_peer(struct chardev *chr, u32 *ret_pid, u32 *ret_uid)
{
	int fd = chr && chr->class->descriptor ? chr->class->descriptor(chr)
					       : -1;
	struct ucred peer;
	socklen_t len = sizeof peer;

	if (fd < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 ||
	    peer.pid <= 0)
		return false;
	*ret_pid = (u32)peer.pid;
	*ret_uid = peer.uid;
	return true;
}

bool chr_window(struct chardev *chr, u32 *ret_columns, u32 *ret_rows)
{
	struct winsize size;
	int fd = chr && chr->class->descriptor ? chr->class->descriptor(chr)
					       : -1;

	if (chr && chr->class->window &&
	    chr->class->window(chr, ret_columns, ret_rows))
		return true;
	if (fd < 0 || ioctl(fd, TIOCGWINSZ, &size) < 0 || !size.ws_col)
		return false;
	*ret_columns = size.ws_col;
	*ret_rows = size.ws_row;
	return true;
}

bool chr_hang_up(struct chardev *chr)
{
	if (!chr || !chr->class->hang_up)
		return false;
	chr->class->hang_up(chr);
	return true;
}

void chr_want_fds(struct chardev *chr)
{
	chr->wants_fds = true;
}

int chr_take_fd(struct chardev *chr)
{
	return chr && chr->class->take_fd ? chr->class->take_fd(chr) : -ENOENT;
}

void chr_set_notices(struct buf *out)
{
	chr_notices = out;
}

void chr_notice(const char *fmt, ...)
{
	struct buf line = { 0 };
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&line, fmt, ap);
	va_end(ap);
	buf_putc(&line, '\n');
	if (chr_notices)
		buf_append(chr_notices, line.data, line.len);
	else if (write(STDOUT_FILENO, line.data, line.len) < 0)
		perror("stdout");
	buf_fini(&line);
}

/* ------------------------------------------------------------ creation */

struct chardev *chr_alloc(const struct chardev_class *class, struct loop *loop,
			  const char *label)
{
	struct chardev *chr = xalloc(class->size);

	chr->class = class;
	chr->loop = loop;
	chr->label = xstrdup(label);
	chr->log_fd = -1;
	chr->drain_fd = -1;
	list_init(&chr->node);
	lock_init(&chr->out_lock);
	fifo_init(&chr->out, CHR_QUEUE_MAX);
	fifo_init(&chr->tail, CHR_TAIL_MAX);
	return chr;
}

void chr_register(struct chardev *chr)
{
	list_append(&chr_list, &chr->node);
}

void chr_destroy(struct chardev *chr)
{
	if (!chr)
		return;
	list_remove(&chr->node);
	if (chr->class->close)
		chr->class->close(chr);
	if (chr->log_fd >= 0)
		close(chr->log_fd);
	free(chr->log_path);
	opt_rows_fini(chr->class->options, chr);
	opt_rows_fini(chr_common_options, chr);
	fifo_fini(&chr->out);
	fifo_fini(&chr->tail);
	lock_fini(&chr->out_lock);
	free(chr->label);
	free(chr);
}

int chr_remove(struct chardev *chr, struct err *err)
{
	if (chr->front || chr->calls)
		return err_set(err, -EBUSY, "Chardev '%s' is busy", chr->label);
	chr_destroy(chr);
	return 0;
}

/* Gives peers that read a chance to get everything. */
static void chr_drain(u64 deadline_ns)
{
	struct chardev *chr, *waiting;
	u64 now;

	do {
		waiting = NULL;
		list_for_each (chr, &chr_list, node) {
			chr_flush(chr);
			if (chr_queued(chr) && chr->drain_fd >= 0)
				waiting = chr;
		}
		now = clock_mono_ns();
		if (waiting && now < deadline_ns) {
			struct pollfd p = { .fd = waiting->drain_fd,
					    .events = POLLOUT };

			poll(&p, 1, (deadline_ns - now) / NS_PER_MS + 1);
		}
	} while (waiting && now < deadline_ns);
}

void chr_remove_all(void)
{
	struct chardev *chr;

	chr_drain(clock_mono_ns() + CHR_DRAIN_NS);
	while (!list_empty(&chr_list)) {
		chr = list_entry(chr_list.prev, struct chardev, node);
		chr_destroy(chr);
	}
}

/* ----------------------------------------------------------- front end */

int chr_attach(struct chardev *chr, const struct chr_front *front, void *opaque,
	       struct err *err)
{
	if (!chr)
		return 0;
	if (chr->class->attach)
		return chr->class->attach(chr, front, opaque, err);
	if (chr->front)
		return err_set(err, -EBUSY, "Device '%s' is in use",
			       chr->label);
	chr->front = front;
	chr->opaque = opaque;
	if (chr->peer)
		chr_event(chr, CHR_OPENED);
	chr_accept_input(chr);
	return 0;
}

void chr_detach(struct chardev *chr, void *opaque)
{
	if (!chr)
		return;
	if (chr->class->detach) {
		chr->class->detach(chr, opaque);
		return;
	}
	if (chr->opaque != opaque)
		return;
	chr->front = NULL;
	chr->opaque = NULL;
	chr_accept_input(chr); /* stop reading */
}

void chr_accept_input(struct chardev *chr)
{
	if (chr && chr->class->accept_input)
		chr->class->accept_input(chr);
}

void chr_set_line(struct chardev *chr, const struct chr_line *line)
{
	if (chr && chr->class->set_line)
		chr->class->set_line(chr, line);
}

void chr_send_break(struct chardev *chr)
{
	if (chr && chr->class->send_break)
		chr->class->send_break(chr);
}

void chr_inject_break(struct chardev *chr)
{
	chr_event(chr, CHR_BREAK);
}

/* ------------------------------------------------------------ back end */

void chr_event(struct chardev *chr, enum chr_event event)
{
	if (event == CHR_OPENED || event == CHR_CLOSED)
		chr->peer = event == CHR_OPENED;
	if (chr->class->event) {
		chr->class->event(chr, event);
		return;
	}
	if (!chr->front || !chr->front->event)
		return;
	chr->calls++;
	chr->front->event(chr->opaque, event);
	chr->calls--;
}

size_t chr_can_read(struct chardev *chr)
{
	const struct chr_front *front = chr->front;

	if (!front)
		return 0;
	return front->can_read ? front->can_read(chr->opaque) : CHR_CHUNK;
}

void chr_input(struct chardev *chr, const u8 *data, size_t len)
{
	if (!chr->front || !chr->front->read)
		return;
	chr->calls++;
	chr->front->read(chr->opaque, data, len);
	chr->calls--;
}

/* -------------------------------------------------------------- output */

/* Two files, so that a guest that never stops fills no disk. */
static void chr_log_turn(struct chardev *chr)
{
	char *old = xprintf("%s.1", chr->log_path);
	int fd = -1;

	if (rename(chr->log_path, old) == 0)
		fd = open(chr->log_path,
			  O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC,
			  0666);
	close(chr->log_fd);
	chr->log_fd = fd;
	chr->logged = 0;
	free(old);
}

static void chr_log_output(struct chardev *chr, const void *data, size_t len)
{
	if (chr->log_fd >= 0 && chr->log_path && chr->logged &&
	    len > chr->logmax - MIN(chr->logged, chr->logmax))
		chr_log_turn(chr);
	chr->logged += len;
	if (chr->log_fd >= 0 && len && write(chr->log_fd, data, len) < 0) {
		close(chr->log_fd); /* disk full: the guest's console goes on */
		chr->log_fd = -1;
	}
}

/* In the loop: flushes whoever asked for it.  By registry and not by
 * pointer, because a chardev may be removed before its post arrives. */
static void chr_flush_asked(void *arg)
{
	struct chardev *chr, *next;

	for (chr = chr_next(NULL); chr; chr = next) {
		bool asked;

		next = chr_next(chr);
		lock_acquire(&chr->out_lock);
		asked = chr->flush_asked;
		chr->flush_asked = false;
		lock_release(&chr->out_lock);
		if (asked)
			chr_flush(chr);
	}
}

/* No proper prefix of the text is also its suffix, so after a mismatch the
 * search begins anew with the byte at hand. */
static void chr_watch_login(struct chardev *chr, const u8 *data, size_t len)
{
	static const char text[] = "login: ";

	if (unlikely(!chr->first_ns && len))
		chr->first_ns = clock_mono_ns();
	for (size_t i = 0; i < len && !chr->login_ns; i++) {
		if (data[i] != (u8)text[chr->login_at])
			chr->login_at = 0;
		if (data[i] == (u8)text[chr->login_at])
			chr->login_at++;
		if (!text[chr->login_at])
			chr->login_ns = clock_mono_ns();
	}
}

bool chr_saw_login(struct chardev *chr)
{
	u64 first, login;

	chr_times(chr, &first, &login);
	return login;
}

void chr_times(struct chardev *chr, u64 *ret_first_ns, u64 *ret_login_ns)
{
	lock_acquire(&chr->out_lock);
	*ret_first_ns = chr->first_ns;
	*ret_login_ns = chr->login_ns;
	lock_release(&chr->out_lock);
}

void chr_forget_login(struct chardev *chr)
{
	lock_acquire(&chr->out_lock);
	chr->first_ns = chr->login_ns = 0;
	chr->login_at = 0;
	lock_release(&chr->out_lock);
}

size_t chr_write(struct chardev *chr, const void *data, size_t len)
{
	size_t done = 0;
	bool ask;

	if (!chr || !len)
		return len;
	lock_acquire(&chr->out_lock);
	if (chr->out.len == 0) {
		ssize_t n = chr->class->write(chr, data, len);

		done = n < 0 ? len : (size_t)n;
	}
	done += fifo_put(&chr->out, (const u8 *)data + done, len - done);
	chr->starved |= done < len;
	chr_log_output(chr, data, done);
	chr_watch_login(chr, data, done);
	fifo_put_newest(&chr->tail, data, done);
	chr->written += done;
	ask = chr->out.len && !chr->flush_asked && !chr->out_polled;
	chr->flush_asked |= ask;
	lock_release(&chr->out_lock);
	if (ask)
		loop_post(chr->loop, chr_flush_asked, NULL);
	return done;
}

void chr_queue_tail(struct chardev *chr)
{
	struct fifo *t = &chr->tail;

	lock_acquire(&chr->out_lock);
	fifo_clear(&chr->out);
	if (t->len) {
		const u8 *data;
		size_t n = fifo_peek(t, &data);

		fifo_put(&chr->out, data, n);
		fifo_put(&chr->out, t->data, t->len - n);
	}
	lock_release(&chr->out_lock);
}

u64 chr_tail(struct chardev *chr, u64 from, struct buf *out)
{
	u64 end;
	size_t n;

	lock_acquire(&chr->out_lock);
	end = chr->written;
	n = from < end ? MIN(end - from, (u64)chr->tail.len) : 0;
	for (size_t i = chr->tail.len - n; i < chr->tail.len; i++)
		buf_putc(out,
			 (char)chr->tail
				 .data[(chr->tail.head + i) % chr->tail.cap]);
	lock_release(&chr->out_lock);
	return end;
}

size_t chr_inject(struct chardev *chr, const void *data, size_t len)
{
	len = MIN(len, chr_can_read(chr));
	if (len)
		chr_input(chr, data, len);
	return len;
}

size_t chr_queued(struct chardev *chr)
{
	size_t len;

	if (!chr)
		return 0;
	lock_acquire(&chr->out_lock);
	len = chr->out.len;
	lock_release(&chr->out_lock);
	return len;
}

void chr_flush(struct chardev *chr)
{
	size_t moved = 0;
	bool waits, writable;

	lock_acquire(&chr->out_lock);
	while (chr->out.len && moved < 4 * CHR_TURN) {
		const u8 *data;
		size_t len = fifo_peek(&chr->out, &data);
		ssize_t n = chr->class->write(chr, data, len);

		if (n == 0)
			break;
		if (n < 0)
			n = chr->out.len;
		fifo_drop(&chr->out, n);
		moved += n;
	}
	waits = chr->out.len != 0;
	if (!waits && chr->out.cap > CHR_TURN)
		fifo_clear(&chr->out);
	chr->out_polled = waits;
	writable = chr->starved && chr->out.len < CHR_QUEUE_LOW;
	if (writable)
		chr->starved = false;
	lock_release(&chr->out_lock);

	if (chr->class->poll_output)
		chr->class->poll_output(chr, waits);
	if (writable)
		chr_event(chr, CHR_WRITABLE);
}

void chr_output_clear(struct chardev *chr)
{
	bool starved;

	lock_acquire(&chr->out_lock);
	fifo_clear(&chr->out);
	starved = chr->starved;
	chr->starved = false;
	chr->out_polled = false;
	lock_release(&chr->out_lock);
	if (starved)
		chr_event(chr, CHR_WRITABLE);
}

/* ---------------------------------------------------------- option row */

static int opt_chardev_parse(void *field, const char *value,
			     const struct option_row *row, struct err *err)
{
	struct chardev *chr = chr_find(value);

	if (!chr)
		return err_set(err, -ENOENT, "chardev \"%s\" not found", value);
	*(struct chardev **)field = chr;
	return 0;
}

static void opt_chardev_format(const void *field, const struct option_row *row,
			       struct buf *out)
{
	const struct chardev *chr = *(struct chardev *const *)field;

	buf_puts(out, chr ? chr->label : "");
}

const struct opt_type opt_chardev = {
	.name = "chardev",
	.parse = opt_chardev_parse,
	.format = opt_chardev_format,
};
