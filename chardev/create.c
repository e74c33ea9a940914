/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Character devices: what their options and their short forms make.
 *
 * Locking: machine_lock (or before the loop runs).
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chardev/internal.h"
#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/parse.h"

static int chr_open_log(struct chardev *chr, struct err *err)
{
	int flags = O_WRONLY | O_CREAT | O_CLOEXEC;

	if (!chr->logfile)
		return 0;
	flags |= chr->logappend ? O_APPEND : O_TRUNC;
	chr->log_fd = open(chr->logfile, flags, 0666);
	if (chr->log_fd < 0)
		return err_errno(err, "Could not open '%s'", chr->logfile);
	if (chr->logmax) {
		off_t end = lseek(chr->log_fd, 0, SEEK_END);

		chr->log_path = realpath(chr->logfile, NULL);
		chr->logged = (u64)MAX(end, 0);
	}
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
	static const char *const with_path[] = { "file", "pipe", "tty",
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
	if (!strcmp(name, "unix") || !strcmp(name, "pty")) {
		int r = opts_parse(o, rest, "path", err);

		if (r == 0)
			opts_add(o, "backend", *name == 'u' ? "socket" : name);
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
	struct fifo tail;

	lock_acquire(&old->out_lock);
	lock_acquire(&chr->out_lock);
	while (old->out.len) {
		const u8 *data;
		size_t n = fifo_peek(&old->out, &data);

		if (!fifo_put(&chr->out, data, n))
			break;
		fifo_drop(&old->out, n);
	}
	tail = chr->tail;
	chr->tail = old->tail;
	old->tail = tail;
	chr->written = old->written;
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
