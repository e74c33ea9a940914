/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Commands on drives, and the balloon.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "block/block.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "monitor/qmp.h"
#include "virtio/balloon.h"
#include "vmm/cmdline.h"
#include "vmm/machine.h"

int cmd_block_resize(struct monitor *mon, const struct args *a, struct err *err)
{
	const char *id = args_str(a, "device");
	struct block *b = block_find(id);

	if (!b)
		return err_set(err, -ENODEV,
			       "Cannot find device='%s' nor node-name=''", id);
	return block_resize(b, args_u64(a, "size"), err);
}

/* A drive that exists and has a medium. */
static struct block *block_with_medium(const char *id, struct err *err)
{
	struct block *b = block_find(id);

	if (!b)
		err_set(err, -ENODEV, "Device '%s' not found", id);
	else if (!b->root)
		err_set(err, -ENOMEDIUM, "Device '%s' has no medium", id);
	else
		return b;
	return NULL;
}

static const char *const limit_names[BLOCK_LIMITS] = {
	[BLOCK_BPS] = "bps",         [BLOCK_BPS_RD] = "bps_rd",
	[BLOCK_BPS_WR] = "bps_wr",   [BLOCK_IOPS] = "iops",
	[BLOCK_IOPS_RD] = "iops_rd", [BLOCK_IOPS_WR] = "iops_wr",
};

int cmd_block_set_io_throttle(struct monitor *mon, const struct args *a,
			      struct err *err)
{
	struct block *b = block_with_medium(args_str(a, "device"), err);
	struct block_limits l;

	if (!b)
		return err->code;
	block_limits_init(&l);
	for (int i = 0; i < BLOCK_LIMITS; i++)
		l.v[i].avg = args_u64(a, limit_names[i]);
	return block_set_limits(b, &l, NULL, err);
}

/* By the device's id, for programs. */
static const char *block_of_device(const char *id)
{
	for (struct block *b = block_next(NULL); b; b = block_next(b)) {
		struct buf path = { 0 };
		const char *slash = NULL;
		bool found;

		if (!b->front || !b->front->path)
			continue;
		b->front->path(b->front_opaque, &path);
		if (!strncmp(buf_str(&path), "/machine/peripheral/", 20))
			slash = strchr(buf_str(&path) + 20, '/');
		if (slash)
			path.data[slash - buf_str(&path)] = '\0';
		found = !strcmp(buf_str(&path) + (slash ? 20 : 0), id);
		buf_fini(&path);
		if (found)
			return b->id;
	}
	return id;
}

/* Of the arguments `device` and `id`; NULL: not one of them is given. */
static const char *block_named(const struct args *a, struct err *err)
{
	const char *device = args_str(a, "device"), *id = args_str(a, "id");

	if (!device == !id) {
		err_set(err, -EINVAL, "Need exactly one of 'device' and 'id'");
		return NULL;
	}
	return id ? block_of_device(id) : device;
}

int cmd_qmp_io_throttle(struct monitor *mon, const struct args *a,
			struct err *err)
{
	const char *name = block_named(a, err);
	struct block *b = name ? block_with_medium(name, err) : NULL;
	struct block_limits l;

	if (!b)
		return err->code;
	block_limits_init(&l);
	l.op_size = args_u64(a, "iops_size");
	for (int i = 0; i < BLOCK_LIMITS; i++) {
		char key[24];

		l.v[i].avg = args_u64(a, limit_names[i]);
		snprintf(key, sizeof key, "%s_max", limit_names[i]);
		l.v[i].max = args_u64(a, key);
		snprintf(key, sizeof key, "%s_max_length", limit_names[i]);
		if (args_has(a, key))
			l.v[i].length = args_u64(a, key);
	}
	return block_set_limits(b, &l, args_str(a, "group"), err);
}

/* ---- media ---- */

static int media_eject(const char *id, bool force, struct err *err)
{
	struct block *b = block_find(id);
	int r;

	if (!b)
		return err_set(err, -ENODEV, "Device '%s' not found", id);
	r = block_open_tray(b, force, err);
	if (r < 0)
		return r;
	block_eject(b);
	cmdline_set("drive", id, "file", NULL);
	cmdline_set("drive", id, "format", NULL);
	return 0;
}

/* Formats that QEMU has, which are refused for what they are. */
static bool media_format_known(const char *format)
{
	static const char *const names[] = { "raw",   "host_device", "file",
					     "qcow2", "qcow",        "qed",
					     "vmdk",  "vdi",         "vpc",
					     "vhdx",  "parallels",   "luks",
					     "dmg",   "bochs",       "cloop" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(names[i], format))
			return true;
	return false;
}

static int media_change(const char *id, const char *file, const char *format,
			const char *mode, bool force, struct err *err)
{
	static const char *const modes[] = { "retain", "read-only",
					     "read-write" };
	struct block *b = block_find(id);
	int r = -EINVAL;

	if (!b)
		return err_set(err, -ENODEV, "Device '%s' not found", id);
	if (format && !media_format_known(format))
		return err_set(err, -EINVAL, "Unknown driver '%s'", format);
	for (int i = 0; i < (int)ARRAY_SIZE(modes); i++) {
		if (mode && strcmp(mode, modes[i]))
			continue;
		r = block_change(b, file, format, i, force, err);
		if (r < 0)
			return r;
		cmdline_set("drive", id, "file", file);
		cmdline_set("drive", id, "format", format);
		if (i)
			cmdline_set("drive", id, "readonly",
				    b->readonly ? "on" : NULL);
		return 0;
	}
	return err_set(err, r, "invalid parameter value: %s", mode);
}

int cmd_eject(struct monitor *mon, const struct args *a, struct err *err)
{
	return media_eject(args_str(a, "device"), args_has(a, "force"), err);
}

int cmd_qmp_eject(struct monitor *mon, const struct args *a, struct err *err)
{
	const char *name = block_named(a, err);

	return name ? media_eject(name, args_u64(a, "force"), err) : -EINVAL;
}

int cmd_change(struct monitor *mon, const struct args *a, struct err *err)
{
	if (!strcmp(args_str(a, "device"), "vnc"))
		return err_set(err, -ENOTSUP, "VNC is not built in");
	return media_change(args_str(a, "device"), args_str(a, "target"),
			    args_str(a, "arg"), args_str(a, "read-only-mode"),
			    args_has(a, "force"), err);
}

int cmd_qmp_change_medium(struct monitor *mon, const struct args *a,
			  struct err *err)
{
	const char *name = block_named(a, err);

	return name ? media_change(name, args_str(a, "filename"),
				   args_str(a, "format"),
				   args_str(a, "read-only-mode"),
				   args_u64(a, "force"), err)
		    : -EINVAL;
}

/* These texts have no "Error: " in QEMU 7.2. */
int cmd_commit(struct monitor *mon, const struct args *a, struct err *err)
{
	const char *id = args_str(a, "device");
	struct block *b = block_find(id);

	if (!strcmp(id, "all")) {
		for (b = block_next(NULL); b; b = block_next(b))
			(void)block_commit(b, NULL);
		return 0;
	}
	if (!b) {
		mon_printf(mon, "Device '%s' not found\n", id);
		return -ENODEV;
	}
	return mon_say_error(mon, err, block_commit(b, err));
}

int cmd_balloon(struct monitor *mon, const struct args *a, struct err *err)
{
	return balloon_set_target(mon->m, args_u64(a, "value"), err);
}

static void balloon_add_stat(void *stats, const char *name, u64 value)
{
	json_object_set_new(stats, name, json_integer((json_int_t)value));
}

json_t *query_balloon(struct monitor *mon, const struct args *a,
		      struct err *err)
{
	u64 actual;

	if (balloon_actual(mon->m, &actual, err) < 0)
		return NULL;
	return json_pack("{sI}", "actual", (json_int_t)actual);
}

json_t *query_balloon_stats(struct monitor *mon, const struct args *a,
			    struct err *err)
{
	json_t *v = query_balloon(mon, a, err), *stats;
	u64 age;

	if (!v || !args_has(a, "stats"))
		return v;
	stats = json_object();
	if (balloon_stats(mon->m, balloon_add_stat, stats, &age, err) < 0) {
		json_decref(stats);
		json_decref(v);
		return NULL;
	}
	json_object_set_new(v, "stats", stats);
	json_object_set_new(v, "age", json_real((double)age / NS_PER_S));
	return v;
}

void print_balloon(const json_t *v, struct buf *out)
{
	const json_t *stats = json_object_get(v, "stats");
	const char *name;
	json_t *value;

	buf_printf(out, "balloon: actual=%lld\n",
		   (long long)json_integer_value(json_object_get(v, "actual")) /
			   (long long)MIB);
	if (!stats)
		return;
	buf_printf(out, "the guest's statistics, %.1f s old:\n",
		   json_real_value(json_object_get(v, "age")));
	json_object_foreach((json_t *)stats, name, value)
		buf_printf(out, "  %s: %lld\n", name,
			   (long long)json_integer_value(value));
}
