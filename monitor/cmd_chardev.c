/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Commands on character devices.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chardev/chardev.h"
#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/opt.h"
#include "monitor/qmp.h"
#include "vmm/cmdline.h"
#include "vmm/machine.h"

#define RING_READ_MAX (16 * MIB)

/* ---- add, remove ---- */

/* Makes one, or puts it in the place of `old`.  Notices ("char device
 * redirected to ...") go to the session that asked. */
static int chardev_create(struct monitor *mon, struct chardev *old,
			  const char *text, struct buf *notices,
			  struct err *err)
{
	struct opts o;
	int r = opts_parse(&o, text, "backend", err);

	if (r < 0)
		return r;
	/* Nobody may wait for a client within a command. */
	if (opts_peek(&o, "server") && !opts_peek(&o, "wait"))
		opts_add(&o, "wait", "off");
	chr_set_notices(notices);
	if (old)
		r = chr_change(old, &o, err);
	else if (!chr_create_opts(mon->m->loop, &o, err))
		r = err->code;
	else
		cmdline_add("chardev", text);
	chr_set_notices(NULL);
	opts_fini(&o);
	return r;
}

int cmd_chardev_add(struct monitor *mon, const struct args *a, struct err *err)
{
	struct buf notices = { 0 };
	int r = chardev_create(mon, NULL, args_str(a, "args"), &notices, err);

	mon_puts(mon, buf_str(&notices));
	buf_fini(&notices);
	return r;
}

static struct chardev *chardev_find(const char *id, struct err *err)
{
	struct chardev *chr = id[0] == '#' ? NULL : chr_find(id);

	if (!chr)
		err_set(err, -ENODEV, "Chardev '%s' not found", id);
	return chr;
}

int cmd_chardev_change(struct monitor *mon, const struct args *a,
		       struct err *err)
{
	struct chardev *chr = chardev_find(args_str(a, "id"), err);
	struct buf notices = { 0 };
	int r;

	if (!chr)
		return -ENODEV;
	r = chardev_create(mon, chr, args_str(a, "args"), &notices, err);
	mon_puts(mon, buf_str(&notices));
	buf_fini(&notices);
	return r;
}

int cmd_chardev_remove(struct monitor *mon, const struct args *a,
		       struct err *err)
{
	struct chardev *chr = chardev_find(args_str(a, "id"), err);

	int r = chr ? chr_remove(chr, err) : -ENODEV;

	if (r == 0)
		cmdline_drop("chardev", args_str(a, "id"));
	return r;
}

int cmd_chardev_send_break(struct monitor *mon, const struct args *a,
			   struct err *err)
{
	struct chardev *chr = chardev_find(args_str(a, "id"), err);

	if (!chr)
		return -ENODEV;
	chr_inject_break(chr);
	return 0;
}

/* ---- ring buffers ---- */

static struct chardev *ring_find(const char *id, struct err *err)
{
	struct chardev *chr = chr_find(id);

	if (!chr)
		err_set(err, -ENODEV, "Device '%s' not found", id);
	else if (chr_ring_read(chr, NULL, 0) < 0)
		err_set(err, -EINVAL, "%s is not a ringbuf device", id);
	else
		return chr;
	return NULL;
}

int cmd_ringbuf_write(struct monitor *mon, const struct args *a,
		      struct err *err)
{
	struct chardev *chr = ring_find(args_str(a, "device"), err);
	const char *data = args_str(a, "data");

	if (!chr)
		return err->code;
	(void)chr_ring_write(chr, (const u8 *)data, strlen(data));
	return 0;
}

static void ring_show(struct monitor *mon, const u8 *data, size_t n)
{
	struct buf out = { 0 };

	for (size_t i = 0; i < n; i++) {
		if (data[i] == '\\')
			buf_puts(&out, "\\\\");
		else if ((data[i] < 0x20 && data[i] != '\n' &&
			  data[i] != '\t') ||
			 data[i] == 0x7f)
			buf_printf(&out, "\\u%04X", data[i]);
		else
			buf_putc(&out, (char)data[i]);
	}
	buf_putc(&out, '\n');
	mon_puts(mon, buf_str(&out));
	buf_fini(&out);
}

static u8 *ring_take(const struct args *a, size_t *ret, struct err *err)
{
	struct chardev *chr = ring_find(args_str(a, "device"), err);
	size_t size = MIN(args_u64(a, "size"), RING_READ_MAX);
	u8 *data;

	if (!chr)
		return NULL;
	data = xalloc(size + 1);
	*ret = (size_t)chr_ring_read(chr, data, size);
	return data;
}

int cmd_ringbuf_read(struct monitor *mon, const struct args *a, struct err *err)
{
	size_t n;
	u8 *data = ring_take(a, &n, err);

	if (!data)
		return err->code;
	ring_show(mon, data, n);
	free(data);
	return 0;
}

/* For programs: the bytes as they are. */
json_t *query_ringbuf(struct monitor *mon, const struct args *a,
		      struct err *err)
{
	size_t n;
	u8 *data = ring_take(a, &n, err);
	json_t *v = NULL;

	if (data)
		v = val_string((const char *)data);
	free(data);
	return v;
}

/* ---- QMP ---- */

/* {"type": T, "data": {...}} to "T,option=value..."; addresses are flat in
 * options. */
static void chardev_flatten(struct opts *o, const json_t *v)
{
	const char *key;
	json_t *child;
	char number[32];

	json_object_foreach((json_t *)v, key, child)
	{
		if (json_is_object(child)) {
			chardev_flatten(o, child);
		} else if (json_is_boolean(child)) {
			opts_add(o, key, json_is_true(child) ? "on" : "off");
		} else if (json_is_integer(child)) {
			snprintf(number, sizeof number, "%lld",
				 (long long)json_integer_value(child));
			opts_add(o, key, number);
		} else if (json_is_string(child) && strcmp(key, "type")) {
			opts_add(o, !strcmp(key, "device") ? "path" : key,
				 json_string_value(child));
		}
	}
}

static int chardev_qmp(struct monitor *mon, const struct args *a,
		       struct chardev *old, struct err *err)
{
	const json_t *backend = args_json(a, "backend");
	struct buf text = { 0 }, notices = { 0 }, name = { 0 };
	const char *type = val_str(backend, "type");
	struct chardev *chr;
	struct opts o;
	int r;

	opts_init(&o);
	opts_add(&o, "backend", type);
	if (!old)
		opts_add(&o, "id", args_str(a, "id"));
	chardev_flatten(&o, json_object_get(backend, "data"));
	/* What the schema of QEMU calls otherwise than its options. */
	if (!strcmp(type, "file") && opts_peek(&o, "out"))
		opts_add(&o, "path", opts_take(&o, "out"));
	opts_format(&o, &text);
	opts_fini(&o);
	r = chardev_create(mon, old, buf_str(&text), &notices, err);
	chr = r < 0 ? NULL : chr_find(args_str(a, "id"));
	if (chr && !strcmp(type, "pty")) {
		chr_filename(chr, &name);
		mon->result = json_pack("{ss}", "pty", buf_str(&name) + 4);
	}
	buf_fini(&text);
	buf_fini(&notices);
	buf_fini(&name);
	return r;
}

int cmd_qmp_chardev_add(struct monitor *mon, const struct args *a,
			struct err *err)
{
	return chardev_qmp(mon, a, NULL, err);
}

int cmd_qmp_chardev_change(struct monitor *mon, const struct args *a,
			   struct err *err)
{
	struct chardev *old = chardev_find(args_str(a, "id"), err);

	return old ? chardev_qmp(mon, a, old, err) : -ENODEV;
}
