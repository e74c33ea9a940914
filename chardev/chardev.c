/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Character devices: registry, creation, and the way between a front end
 * and a back end.
 *
 * Output that the back end does not take at once waits in a queue.  Writers
 * may be in any thread; only the loop empties the queue, after it was posted
 * to or when the back end reports its peer ready.
 *
 * Locking: chardev/internal.h.
 */
#include "chardev/chardev.h"

#include <ctype.h>
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
#include "lib/parse.h"

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
	opt_rows_fini(chr->class->options, chr);
	opt_rows_fini(chr_common_options, chr);
	fifo_fini(&chr->out);
	lock_fini(&chr->out_lock);
	free(chr->label);
	free(chr);
}

static int chr_open_log(struct chardev *chr, struct err *err)
{
	int flags = O_WRONLY | O_CREAT | O_CLOEXEC;

	if (!chr->logfile)
		return 0;
	flags |= chr->logappend ? O_APPEND : O_TRUNC;
	chr->log_fd = open(chr->logfile, flags, 0666);
	if (chr->log_fd < 0)
		return err_errno(err, "Could not open '%s'", chr->logfile);
	return 0;
}

static void chr_list_names(struct buf *out, const struct option_row *rows)
{
	for (; rows && rows->name; rows++)
		buf_printf(out, "%s%s", out->len ? ", " : "", rows->name);
}

static int chr_check_used(const struct chardev *chr, const struct opts *o,
			  struct err *err)
{
	struct buf names = { 0 };
	struct opt *opt;
	int r = 0;

	chr_list_names(&names, chr->class->options);
	chr_list_names(&names, chr_common_options);
	list_for_each (opt, &o->list, node)
		if (!opt->used && r == 0)
			r = err_set(err, -EINVAL,
				    "Invalid parameter '%s'; accepted: %s",
				    opt->key, buf_str(&names));
	buf_fini(&names);
	return r;
}

static int chr_setup(struct chardev *chr, struct opts *o, struct err *err)
{
	int r;

	r = opts_apply(o, chr_common_options, chr, err);
	if (r == 0)
		r = opts_apply(o, chr->class->options, chr, err);
	if (r == 0)
		r = chr_check_used(chr, o, err);
	if (r == 0)
		r = chr_open_log(chr, err);
	if (r == 0 && chr->class->open)
		r = chr->class->open(chr, err);
	return r;
}

static struct chardev *chr_create_class(const struct chardev_class *class,
					struct loop *loop, const char *label,
					struct opts *o, struct err *err)
{
	const char *mux = opts_peek(o, "mux");
	bool wants_mux = false;
	struct chardev *chr;
	char *base;

	if (mux)
		parse_bool(mux, &wants_mux); /* chr_setup() complains */

	if (chr_find(label)) {
		err_set(err, -EEXIST, "Duplicate ID '%s' for chardev", label);
		return NULL;
	}
	base = xprintf("%s%s", label, wants_mux ? "-base" : "");
	chr = chr_alloc(class, loop, base);
	free(base);
	if (chr_setup(chr, o, err) < 0) {
		chr_destroy(chr);
		return NULL;
	}
	chr_register(chr);
	return wants_mux ? mux_create(loop, label, chr) : chr;
}

static const struct chardev_class *chr_class(const char *name)
{
	for (int i = 0; chardev_classes[i]; i++)
		if (!strcmp(chardev_classes[i]->name, name))
			return chardev_classes[i];
	return NULL;
}

static bool chr_id_valid(const char *id)
{
	if (!isalpha((unsigned char)*id))
		return false;
	for (; *id; id++)
		if (!isalnum((unsigned char)*id) && !strchr("-._", *id))
			return false;
	return true;
}

struct chardev *chr_create_opts(struct loop *loop, struct opts *o,
				struct err *err)
{
	const char *name = opts_take(o, "backend");
	const char *id = opts_take(o, "id");
	const struct chardev_class *class = chr_class(name ? name : "");

	if (!id)
		err_set(err, -EINVAL, "chardev: no id specified");
	else if (!chr_id_valid(id))
		err_set(err, -EINVAL,
			"Parameter 'id' expects an identifier: letters, "
			"digits, '-', '.', '_', starting with a letter");
	else if (!class)
		err_set(err, -EINVAL, "'%s' is not a valid char driver name",
			name ? name : "");
	else
		return chr_create_class(class, loop, id, o, err);
	return NULL;
}

/* "[host]:port[,option...]"; an IPv6 address is in brackets. */
static int chr_short_inet(const char *text, struct opts *o, struct err *err)
{
	const char *host = text, *colon, *end = text;
	char *s;
	int r;

	if (*text == '[')
		end = strchr(text, ']');
	colon = end ? end + strcspn(end, ":,") : NULL;
	if (!colon || *colon != ':' || !isalnum((unsigned char)colon[1]))
		return err_set(err, -EINVAL, "no port given");
	r = opts_parse(o, colon + 1, "port", err);
	if (r < 0)
		return r;
	if (*host == '[')
		s = xprintf("%.*s", (int)(end - host - 1), host + 1);
	else
		s = xprintf("%.*s", (int)(colon - host), host);
	opts_add(o, "host", s);
	free(s);
	return 0;
}

/* "800x600" or "80Cx24C". */
static bool chr_vc_size_valid(const char *text)
{
	int w, h, end = 0;

	return (sscanf(text, "%dx%d%n", &w, &h, &end) == 2 && !text[end]) ||
	       (sscanf(text, "%dCx%d%n", &w, &h, &end) == 2 &&
		(!text[end] || !strcmp(text + end, "C")));
}

/* The part behind "NAME:", as the short form of that back end wants it. */
static int chr_short_rest(const char *name, const char *rest, struct opts *o,
			  struct err *err)
{
	static const char *const with_path[] = { "file", "pipe", "pty", "tty",
						 "serial" };

	for (size_t i = 0; i < ARRAY_SIZE(with_path); i++)
		if (!strcmp(name, with_path[i])) {
			opts_add(o, "path", rest);
			opts_add(o, "backend", name);
			return 0;
		}
	if (!strcmp(name, "vc")) {
		opts_add(o, "backend", name);
		return chr_vc_size_valid(rest) ? 0 : -EINVAL;
	}
	if (!strcmp(name, "unix")) {
		int r = opts_parse(o, rest, "path", err);

		if (r == 0)
			opts_add(o, "backend", "socket");
		return r;
	}
	if (!strcmp(name, "tcp") || !strcmp(name, "telnet")) {
		int r = chr_short_inet(rest, o, err);

		if (r < 0)
			return r;
		opts_add(o, "backend", "socket");
		if (*name == 't' && name[1] == 'e')
			opts_add(o, "telnet", "on");
		return 0;
	}
	return err_set(err, -EINVAL, "'%s' is not a valid char driver", name);
}

static int chr_short_opts(const char *text, struct opts *o, struct err *err)
{
	size_t len = strcspn(text, ":,");
	char *name;
	int r;

	opts_init(o);
	if (!strncmp(text, "/dev/", 5)) {
		opts_add(o, "backend", "serial");
		opts_add(o, "path", text);
		return 0;
	}
	if (text[len] != ':')
		return opts_parse(o, text, "backend", err);
	name = xprintf("%.*s", (int)len, text);
	r = chr_short_rest(name, text + len + 1, o, err);
	free(name);
	return r;
}

struct chardev *chr_create_short(struct loop *loop, const char *text,
				 const char *label, struct err *err)
{
	const struct chardev_class *class;
	struct chardev *chr = NULL;
	bool mon = !strncmp(text, "mon:", 4);
	struct err why = { 0 };
	struct opts o;
	const char *name;

	if (!strncmp(text, "chardev:", 8)) {
		chr = chr_find(text + 8);
		if (!chr)
			err_set(err, -ENOENT, "chardev \"%s\" not found",
				text + 8);
		return chr;
	}
	text += mon ? 4 : 0;
	if (chr_short_opts(text, &o, &why) < 0) {
		err_set(err, -EINVAL, "parse error: %s%s%s", text,
			why.code ? ": " : "", why.msg);
		opts_fini(&o);
		return NULL;
	}
	if (mon)
		opts_add(&o, "mux", "on");
	if (mon && !strcmp(text, "stdio"))
		opts_add(&o, "signal", "off");
	name = opts_take(&o, "backend");
	class = chr_class(name ? name : "");
	if (class)
		chr = chr_create_class(class, loop, label, &o, err);
	else
		err_set(err, -EINVAL, "'%s' is not a valid char driver", text);
	opts_fini(&o);
	return chr;
}

int chr_remove(struct chardev *chr, struct err *err)
{
	if (chr->front || chr->calls)
		return err_set(err, -EBUSY, "Chardev '%s' is busy", chr->label);
	chr_destroy(chr);
	return 0;
}

static int chr_can_change(const struct chardev *chr, const struct opts *o,
			  struct err *err)
{
	const char *mux = opts_peek(o, "mux");
	bool wants_mux = false;

	if (mux)
		parse_bool(mux, &wants_mux); /* chr_setup() complains */
	if (chr_is_mux(chr) || wants_mux)
		return err_set(err, -ENOTSUP,
			       "Mux device hotswap not supported yet");
	if (chr->front && !chr->front->change)
		return err_set(err, -ENOTSUP,
			       "Chardev user does not support chardev hotswap");
	if (chr->calls)
		return err_set(err, -EBUSY, "Chardev '%s' is busy", chr->label);
	if (opts_peek(o, "id"))
		return err_set(err, -EINVAL,
			       "the id stays '%s' and is not given again",
			       chr->label);
	return 0;
}

/* What the one had not passed on yet is for the other. */
static void chr_take_over(struct chardev *chr, struct chardev *old)
{
	lock_acquire(&old->out_lock);
	lock_acquire(&chr->out_lock);
	while (old->out.len) {
		const u8 *data;
		size_t n = fifo_peek(&old->out, &data);

		if (!fifo_put(&chr->out, data, n))
			break;
		fifo_drop(&old->out, n);
	}
	chr->login_at = old->login_at;
	chr->login_ns = old->login_ns;
	chr->first_ns = old->first_ns;
	lock_release(&chr->out_lock);
	lock_release(&old->out_lock);
}

int chr_change(struct chardev *old, struct opts *o, struct err *err)
{
	const struct chr_front *front = old->front;
	struct list *before = old->node.prev;
	void *opaque = old->opaque;
	struct chardev *chr;
	int r = chr_can_change(old, o, err);

	if (r < 0)
		return r;
	list_remove(&old->node); /* its label is needed */
	opts_add(o, "id", old->label);
	chr = chr_create_opts(old->loop, o, err);
	if (!chr) {
		list_insert(before, &old->node);
		return err->code ? err->code : -EINVAL;
	}
	list_remove(&chr->node);
	list_insert(before, &chr->node);
	chr_take_over(chr, old);
	if (front) {
		if (old->peer)
			chr_event(old, CHR_CLOSED);
		chr_detach(old, opaque);
		front->change(opaque, chr);
		chr_attach(chr, front, opaque, NULL);
		chr_event(chr, CHR_WRITABLE);
	}
	chr_destroy(old);
	chr_flush(chr);
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

static void chr_log_output(struct chardev *chr, const void *data, size_t len)
{
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
	ask = chr->out.len && !chr->flush_asked && !chr->out_polled;
	chr->flush_asked |= ask;
	lock_release(&chr->out_lock);
	if (ask)
		loop_post(chr->loop, chr_flush_asked, NULL);
	return done;
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
