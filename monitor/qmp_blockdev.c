/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * blockdev-add, blockdev-del: drives that programs make out of nodes.  Such a
 * drive is called as its upper node and stays when its device leaves.
 */
#include <errno.h>
#include <string.h>

#include "block/block.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "monitor/qmp.h"
#include "vmm/cmdline.h"
#include "vmm/machine.h"

#define BLOCKDEV_NAME_MAX 32 /* bytes, with the end */

static bool blockdev_one_of(const char *word, const char *const *list)
{
	for (; *list; list++)
		if (!strcmp(word, *list))
			return true;
	return false;
}

static const char *const blockdev_formats[] = { "raw", "qcow2", NULL };
static const char *const blockdev_files[] = { "file", "host_device", NULL };

/* The names that a node's options have here; -drive knows more of them, which
 * are not a node's. */
static const char *const blockdev_keys[] = {
	"driver",         "node-name",    "read-only",
	"discard",        "cache.direct", "detect-zeroes",
	"cache.no-flush", "filename",     "aio",
	"locking",        "file.driver",  "file.filename",
	"file.aio",       "file.locking", NULL
};

static int blockdev_check_keys(const struct opts *o, struct err *err)
{
	struct opt *opt;

	if (opts_peek(o, "file"))
		return err_set(err, -ENOTSUP,
			       "'file' must be an object: it cannot name "
			       "another node");
	list_for_each (opt, &o->list, node)
		if (!blockdev_one_of(opt->key, blockdev_keys))
			return err_set(err, -EINVAL,
				       "Parameter '%.200s' is unexpected",
				       opt->key);
	return 0;
}

/* A format on a file, or a file alone, which is raw. */
static int blockdev_check(const struct opts *o, const char **format,
			  struct err *err)
{
	const char *driver = opts_peek(o, "driver");
	const char *file = opts_peek(o, "file.driver");
	const char *name = "file.filename";
	int r = blockdev_check_keys(o, err);

	if (r < 0)
		return r;
	if (!driver)
		return err_set(err, -EINVAL, "Parameter 'driver' is missing");
	*format = driver;
	if (blockdev_one_of(driver, blockdev_files)) {
		*format = "raw";
		name = "filename";
	} else if (!blockdev_one_of(driver, blockdev_formats)) {
		return err_set(err, -EINVAL,
			       "Parameter 'driver' does not accept value "
			       "'%.200s'",
			       driver);
	} else if (!file) {
		return err_set(err, -EINVAL, "Parameter '%s' is missing",
			       opts_peek(o, name) ? "file.driver" : "file");
	} else if (!blockdev_one_of(file, blockdev_files)) {
		return err_set(err, -EINVAL,
			       "Parameter 'file.driver' does not accept value "
			       "'%.200s'",
			       file);
	}
	if (!opts_peek(o, name))
		return err_set(err, -EINVAL, "Parameter '%s' is missing", name);
	if (!opts_peek(o, "node-name"))
		return err_set(err, -EINVAL,
			       "'node-name' must be specified for the root "
			       "node");
	if (strlen(opts_peek(o, "node-name")) >= BLOCKDEV_NAME_MAX)
		return err_set(err, -EINVAL, "Node name too long");
	return 0;
}

int cmd_qmp_blockdev_add(struct monitor *mon, const struct args *a,
			 struct err *err)
{
	const char *format = "raw";
	struct opts o, drive;
	struct buf text = { 0 };
	struct block *b = NULL;
	struct opt *opt;
	int r = opts_parse(&o, args_str(a, "node"), NULL, err);

	if (r < 0)
		return r;
	r = blockdev_check(&o, &format, err);
	if (r < 0)
		goto out;
	opts_init(&drive);
	opts_add(&drive, "if", "none");
	opts_add(&drive, "id", opts_peek(&o, "node-name"));
	opts_add(&drive, "format", format);
	list_for_each (opt, &o.list, node)
		if (strcmp(opt->key, "driver") &&
		    strcmp(opt->key, "file.driver") &&
		    strcmp(opt->key, "node-name"))
			opts_add(&drive, opt->key, opt->value);
	opts_format(&drive, &text);
	b = block_create(mon->m->loop, &drive, err);
	opts_fini(&drive);
	if (b) {
		b->stays = true;
		cmdline_add("drive", buf_str(&text));
	} else {
		r = err->code;
	}
	buf_fini(&text);
out:
	opts_fini(&o);
	return r;
}

int cmd_qmp_blockdev_del(struct monitor *mon, const struct args *a,
			 struct err *err)
{
	const char *name = args_str(a, "node-name");
	struct block *b = block_find(name);

	if (!b)
		return err_set(err, -EINVAL,
			       "Failed to find node with node-name='%s'", name);
	if (!b->stays)
		return err_set(err, -EPERM,
			       "Node %s is not owned by the monitor", name);
	if (block_attached(b))
		return err_set(err, -EBUSY, "Node %s is in use", name);
	block_destroy(b);
	cmdline_drop("drive", name);
	return 0;
}
