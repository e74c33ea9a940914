/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/drives.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "block/block.h"
#include "lib/alloc.h"
#include "lib/err.h"
#include "lib/fdset.h"
#include "seed/seed.h"
#include "vmm/cmdline.h"
#include "vmm/config.h"

static int drives_add(struct loop *loop, const struct config *c,
		      struct config_item *i, struct err *err)
{
	struct block *b;
	struct opts o;
	int r = 0;

	if (i->kind == CONFIG_HD) {
		char index[12];

		opts_init(&o);
		snprintf(index, sizeof index, "%d", i->index);
		opts_add(&o, "file", i->text);
		opts_add(&o, "index", index);
	} else if (i->kind == CONFIG_PFLASH) {
		opts_init(&o);
		opts_add(&o, "file", i->text);
		opts_add(&o, "format", "raw");
		opts_add(&o, "if", "pflash");
		opts_add(&o, "readonly", block_find("pflash0") ? "off" : "on");
	} else if (i->kind == CONFIG_CDROM) {
		opts_init(&o);
		opts_add(&o, "id", "ide1-cd0"); /* as in QEMU */
		opts_add(&o, "file", i->text);
		opts_add(&o, "format", "raw");
		opts_add(&o, "media", "cdrom");
	} else {
		r = opts_parse(&o, i->text, NULL, err);
		if (r < 0)
			return r;
	}
	if (c->snapshot && !opts_peek(&o, "snapshot"))
		opts_add(&o, "snapshot", "on");
	b = block_create(loop, &o, err);
	if (b)
		cmdline_name(i->option, i->text, b->id);
	else
		r = err ? err->code : -EINVAL;
	opts_fini(&o);
	return r;
}

/* A disk of its own, behind all others. */
static int drives_add_seed(struct loop *loop, const struct config *c,
			   struct config_item *i, struct err *err)
{
	int fd = seed_open(i->text, err), id;
	char *file;
	struct opts o;

	if (fd < 0)
		return fd;
	id = fdset_add(-1, fd, "seed", err);
	if (id < 0)
		return id;
	file = xprintf("/dev/fdset/%d", id);
	opts_init(&o);
	opts_add(&o, "id", "seed");
	opts_add(&o, "file", file);
	opts_add(&o, "format", "raw");
	opts_add(&o, "readonly", "on");
	if (!block_create(loop, &o, err))
		id = err ? err->code : -EINVAL;
	opts_fini(&o);
	free(file);
	return MIN(id, 0);
}

int drives_create(struct loop *loop, const struct config *c, struct err *err)
{
	static const struct {
		enum config_kind kind;
		int (*add)(struct loop *loop, const struct config *c,
			   struct config_item *i, struct err *err);
	} kinds[] = {
		{ CONFIG_HD, drives_add },        { CONFIG_DRIVE, drives_add },
		{ CONFIG_PFLASH, drives_add },    { CONFIG_CDROM, drives_add },
		{ CONFIG_SEED, drives_add_seed },
	};
	struct config_item *i;

	for (size_t n = 0; n < ARRAY_SIZE(kinds); n++)
		list_for_each (i, &c->items, node) {
			int r = i->kind == kinds[n].kind
					? kinds[n].add(loop, c, i, err)
					: 0;

			if (r < 0)
				return err_wrap(err, "-%s %s", i->option,
						i->text);
		}
	return 0;
}
