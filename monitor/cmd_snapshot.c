/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Snapshots: new overlays for drives that run, several at once or none, and
 * the list of those within images.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "block/image.h"
#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/opt.h"
#include "monitor/qmp.h"
#include "vmm/cmdline.h"

/* ---- External ones ---- */

/* `device` and `node` may be NULL. */
static struct block *snapshot_find(const char *device, const char *node,
				   struct err *err)
{
	struct block *b = device ? block_find(device) : NULL;

	if (!b && node) {
		b = block_find(node);
		b = b && b->stays ? b : NULL;
	}
	if (!b)
		err_set(err, -ENODEV,
			"Cannot find device='%s' nor node-name='%s'",
			device ? device : "", node ? node : "");
	return b;
}

/* A disk without options: -hda, a bare word.  As such its new image would only
 * be guessed to be one, and name no other. */
static void snapshot_record_short(const struct block *b, int n,
				  const char *file, const char *format)
{
	const char *option = cmdline_item(n)->option;
	struct buf text = { 0 };
	struct opts o;
	char index[16];

	if (option && strncmp(option, "hd", 2) && strcmp(option, "pflash"))
		return;
	opts_init(&o);
	opts_add(&o, "file", file);
	opts_add(&o, "format", format);
	if (b->iface == BLOCK_IF_PFLASH)
		opts_add(&o, "if", "pflash");
	snprintf(index, sizeof(index), "%d", b->index);
	opts_add(&o, "index", index);
	opts_format(&o, &text);
	cmdline_replace(n, "drive", buf_str(&text));
	opts_fini(&o);
	buf_fini(&text);
}

/* For info config. */
static void snapshot_record(const struct block *b, const char *file,
			    const char *format)
{
	const struct cmdline_item *item;

	if (!format)
		format = "qcow2";
	cmdline_set("drive", b->id, "file", file);
	cmdline_set("drive", b->id, "format", format);
	for (int n = 0; (item = cmdline_item(n)); n++)
		if (item->id && !strcmp(item->id, b->id))
			snapshot_record_short(b, n, file, format);
}

int cmd_snapshot_blkdev(struct monitor *mon, const struct args *a,
			struct err *err)
{
	const char *file = args_str(a, "snapshot-file");
	const char *format = args_str(a, "format");
	struct block *b = snapshot_find(args_str(a, "device"), NULL, err);
	struct block_snapshot *s;

	if (!file)
		return err_set(err, -EINVAL,
			       "Parameter 'snapshot-file' is missing");
	if (!b)
		return err->code;
	s = block_snapshot_prepare(b, file, format, args_has(a, "reuse"), err);
	if (!s)
		return err->code;
	block_snapshot_commit(s);
	snapshot_record(b, file, format);
	return 0;
}

/* With the arguments of blockdev-snapshot-sync. */
static struct block_snapshot *
snapshot_prepare(const struct args *a, struct block **ret, struct err *err)
{
	const char *mode = args_str(a, "mode");
	bool existing = mode && !strcmp(mode, "existing");
	struct block *b = snapshot_find(args_str(a, "device"),
					args_str(a, "node-name"), err);

	if (!b)
		return NULL;
	if (mode && !existing && strcmp(mode, "absolute-paths")) {
		err_set(err, -EINVAL,
			"Parameter 'mode' does not accept value '%s'", mode);
		return NULL;
	}
	*ret = b;
	return block_snapshot_prepare(b, args_str(a, "snapshot-file"),
				      args_str(a, "format"), existing, err);
}

int cmd_qmp_snapshot_sync(struct monitor *mon, const struct args *a,
			  struct err *err)
{
	struct block *b;
	struct block_snapshot *s = snapshot_prepare(a, &b, err);

	if (!s)
		return err->code;
	block_snapshot_commit(s);
	snapshot_record(b, args_str(a, "snapshot-file"), args_str(a, "format"));
	return 0;
}

/* ---- transaction ---- */

#define TRANSACTION_MAX 256 /* actions */

struct action { /* a snapshot */
	struct args args;
	struct block *block;
	struct block_snapshot *snapshot; /* until it is done or undone */
};

static int action_snapshot(struct action *all, int n, const json_t *data,
			   struct err *err)
{
	struct action *x = &all[n];
	const struct qmp_command *row = qmp_table;
	int r;

	while (strcmp(row->name, "blockdev-snapshot-sync"))
		row++;
	r = args_from_json(&x->args, row->types, data, err);
	if (r < 0)
		return r;
	x->snapshot = snapshot_prepare(&x->args, &x->block, err);
	if (!x->snapshot)
		return err->code;
	/* The second would be on top of what it is now, not of the first. */
	for (int i = 0; i < n; i++)
		if (all[i].block == x->block)
			return err_set(err, -EINVAL,
				       "drive '%s' is named twice",
				       x->block->id);
	return 0;
}

/* 0, and 1 more in `n` when there is something to be done. */
static int action_prepare(struct action *all, int *n, const json_t *v,
			  struct err *err)
{
	const json_t *data = json_object_get(v, "data");
	const char *type = json_string_value(json_object_get(v, "type"));

	if (!type)
		return err_set(err, -EINVAL, "Parameter 'type' is missing");
	if (!json_is_object(data))
		return err_set(err, -EINVAL, "Parameter 'data' is missing");
	if (!strcmp(type, "abort"))
		return err_set(err, -ECANCELED,
			       "Transaction aborted using Abort action");
	if (strcmp(type, "blockdev-snapshot-sync"))
		return err_set(
			err, -EINVAL,
			"Parameter 'type' does not accept value '%.200s'",
			type);
	return action_snapshot(all, (*n)++, data, err);
}

static void action_finish(struct action *x, bool commit)
{
	if (x->snapshot && commit) {
		block_snapshot_commit(x->snapshot);
		snapshot_record(x->block, args_str(&x->args, "snapshot-file"),
				args_str(&x->args, "format"));
	} else if (x->snapshot) {
		block_snapshot_abort(x->snapshot);
	}
	args_fini(&x->args);
}

int cmd_qmp_transaction(struct monitor *mon, const struct args *a,
			struct err *err)
{
	const json_t *list = args_json(a, "actions");
	struct action *all;
	json_t *v;
	size_t i;
	int n = 0, r = 0;

	if (!json_is_array(list))
		return err_set(err, -EINVAL,
			       "Invalid parameter type for 'actions', "
			       "expected: array");
	if (json_array_size(list) > TRANSACTION_MAX)
		return err_set(err, -E2BIG, "more than %d actions",
			       TRANSACTION_MAX);
	all = xcalloc(json_array_size(list) + 1, sizeof(*all));
	json_array_foreach(list, i, v)
	{
		r = action_prepare(all, &n, v, err);
		if (r < 0)
			break;
	}
	for (int k = 0; k < n; k++)
		action_finish(&all[k], r == 0);
	free(all);
	return r;
}

/* ---- Internal ones ---- */

static json_t *snapshot_value(const struct image_snapshot *p)
{
	json_t *v = json_object();

	json_object_set_new(v, "id", val_string(p->id));
	json_object_set_new(v, "name", val_string(p->name));
	json_object_set_new(v, "vm-state-size",
			    json_integer((json_int_t)p->vm_bytes));
	json_object_set_new(v, "date-sec",
			    json_integer((json_int_t)p->seconds));
	json_object_set_new(v, "date-nsec",
			    json_integer((json_int_t)p->nanoseconds));
	json_object_set_new(v, "vm-clock-nsec",
			    json_integer((json_int_t)p->clock_ns));
	if (p->icount != UINT64_MAX)
		json_object_set_new(v, "icount",
				    json_integer((json_int_t)p->icount));
	return v;
}

/* Those in the image of a drive; -ENOTSUP: it can have none. */
static int snapshots_of(struct block *b, json_t **ret)
{
	struct image_snapshot *list;
	u32 count;
	int r = block_snapshots(b, &list, &count);

	if (r < 0)
		return r;
	*ret = json_array();
	for (u32 i = 0; i < count; i++)
		json_array_append_new(*ret, snapshot_value(&list[i]));
	image_snapshots_free(list, count);
	return 0;
}

static bool snapshots_have(const json_t *list, const char *name)
{
	size_t i;
	json_t *v;

	json_array_foreach((json_t *)list, i, v) if (!strcmp(val_str(v, "name"),
							     name)) return true;
	return false;
}

/* Does every drive that is written have it? */
static bool snapshot_everywhere(const json_t *drives, const char *name)
{
	size_t i;
	json_t *v;

	json_array_foreach(
		(json_t *)drives, i,
		v) if (!snapshots_have(json_object_get(v, "snapshots"),
				       name)) return false;
	return true;
}

/* { "common": [], "drives": [ { "device", "capable", "snapshots" } ] } */
json_t *query_snapshots(struct monitor *mon, const struct args *a,
			struct err *err)
{
	json_t *v = json_object(), *drives = json_array(), *common,
	       *first = NULL;
	json_t *list, *p;
	size_t i;
	int r;

	for (struct block *b = block_next(NULL); b; b = block_next(b)) {
		if (!b->root || b->readonly)
			continue;
		list = NULL;
		r = snapshots_of(b, &list);
		if (r < 0 && r != -ENOTSUP) {
			err_code(err, r, "drive '%s'", b->id);
			json_decref(drives);
			json_decref(v);
			return NULL;
		}
		if (!first)
			first = list;
		json_array_append_new(drives,
				      json_pack("{ss, sb, so}", "device", b->id,
						"capable", r == 0, "snapshots",
						list ? list : json_array()));
	}
	common = json_array();
	json_array_foreach(first, i, p) if (snapshot_everywhere(
						    drives, val_str(p, "name")))
		json_array_append(common, p);
	json_object_set_new(v, "capable", json_boolean(first != NULL));
	json_object_set_new(v, "common", common);
	json_object_set_new(v, "drives", drives);
	return v;
}

static void print_snapshot(const json_t *v, const char *id, struct buf *out)
{
	const struct image_snapshot p = {
		.id = (char *)id,
		.name = (char *)val_str(v, "name"),
		.vm_bytes = val_u64(v, "vm-state-size"),
		.seconds = val_u64(v, "date-sec"),
		.clock_ns = val_u64(v, "vm-clock-nsec"),
		.icount = json_object_get(v, "icount") ? val_u64(v, "icount")
						       : UINT64_MAX,
	};

	image_snapshot_line(&p, out);
}

static void print_partial(const json_t *drive, const json_t *common,
			  struct buf *out)
{
	bool any = false;
	size_t i;
	json_t *v;

	json_array_foreach(json_object_get(drive, "snapshots"), i, v)
	{
		if (snapshots_have(common, val_str(v, "name")))
			continue;
		if (!any) {
			buf_printf(out,
				   "\nList of partial (non-loadable) snapshots "
				   "on '%s':\n",
				   val_str(drive, "device"));
			image_snapshot_head(out);
		}
		any = true;
		print_snapshot(v, val_str(v, "id"), out);
	}
}

void print_snapshots(const json_t *v, struct buf *out)
{
	const json_t *common = json_object_get(v, "common");
	const json_t *drives = json_object_get(v, "drives");
	size_t i, all = 0;
	json_t *p;

	json_array_foreach((json_t *)drives, i, p) all +=
		json_array_size(json_object_get(p, "snapshots"));
	if (!val_true(v, "capable")) {
		buf_puts(out, "no block device can store vmstate for "
			      "snapshot\n");
		return;
	}
	if (!all) {
		buf_puts(out, "There is no snapshot available.\n");
		return;
	}
	buf_puts(out, "List of snapshots present on all disks:\n");
	if (json_array_size(common))
		image_snapshot_head(out);
	else
		buf_puts(out, "None\n");
	json_array_foreach((json_t *)common, i, p) print_snapshot(p, "--", out);
	json_array_foreach((json_t *)drives, i, p)
		print_partial(p, common, out);
}
