/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * External snapshots: a drive that runs goes on in a new overlay, and what it
 * had until then becomes the backing file and is only read.
 *
 * In two steps, so that several drives change together or not at all: what
 * can fail is done before anything of a drive changes.
 *
 * Locking: as block/block.h.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block/block.h"
#include "block/image.h"
#include "block/internal.h"
#include "lib/alloc.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/opt.h"

struct block_snapshot {
	struct block *block;
	struct block_node *top; /* owned: the overlay, without what is below */
	char *made;             /* owned: to be removed if nothing comes of it;
				   NULL */
};

/* ---- The file ---- */

/* The name of what the drive has now, from wherever the overlay is. */
static char *snapshot_base_name(struct block *b, const char **ret_format,
				struct err *err)
{
	struct block_layer top;
	char path[PATH_MAX];

	block_layers(b, &top, 1);
	*ret_format = top.format;
	if (top.file && realpath(top.file, path))
		return xstrdup(path);
	err_set(err, -ENOTSUP,
		"drive '%s': '%s' has no name that an overlay could give",
		b->id, top.file ? top.file : "its image");
	return NULL;
}

static int snapshot_make(struct block_snapshot *s, const char *file,
			 const char *format, struct err *err)
{
	const struct option_row *rows = image_option_rows(format);
	const char *base_format;
	struct image_options o = { 0 };
	struct opts none;
	char *base;
	int r;

	base = snapshot_base_name(s->block, &base_format, err);
	if (!base)
		return err->code;
	if (access(file, F_OK) < 0)
		s->made = xstrdup(file);
	opts_init(&none);
	r = opts_apply(&none, rows, &o, err);
	opts_fini(&none);
	if (r == 0) {
		o.size = s->block->size;
		o.backing = base;
		o.backing_format = xstrdup(base_format);
		r = image_check_backing(file, &o, NULL);
		if (r < 0)
			err_set(err, r, "'%s' is what drive '%s' has now", file,
				s->block->id);
		else
			r = image_create(file, format, &o, err);
	} else {
		free(base);
	}
	opt_rows_fini(rows, &o);
	if (r < 0 && !strstr(err->msg, file))
		err_wrap(err, "'%s'", file);
	return r;
}

/* One that was made before must fit, or the disk would not. */
static int snapshot_check_existing(const struct block_snapshot *s,
				   const char *file, struct err *err)
{
	struct block_layer l;

	s->top->drv->layers(s->top, &l, 1);
	if (ALIGN_UP(s->top->size, (u64)BLOCK_SECTOR) != s->block->size)
		return err_set(err, -EINVAL,
			       "'%s' has %llu bytes, drive '%s' %llu", file,
			       (unsigned long long)s->top->size, s->block->id,
			       (unsigned long long)s->block->size);
	if (!l.backing)
		return err_set(err, -EINVAL,
			       "'%s' names no backing file: what the drive has "
			       "now would be lost at the next start",
			       file);
	return 0;
}

static int snapshot_open(struct block_snapshot *s, const char *file,
			 const char *format, struct err *err)
{
	const struct block *b = s->block;
	struct block_open o = {
		.path = file,
		.direct = b->direct,
		.no_flush = b->no_flush,
		.aio = b->aio,
		.unmap = b->discard,
		.lock = b->lock,
		.format = format,
		.follow = BLOCK_FOLLOW_ON,
		.alone = true,
	};

	s->top = node_open(s->block, &o, err);
	free(o.header);
	return s->top ? 0 : err->code < 0 ? err->code : -EIO;
}

/* ---- Both steps ---- */

static int snapshot_check(struct block *b, const char *format, struct err *err)
{
	if (!b->root)
		return err_set(err, -ENOMEDIUM, "Device '%s' has no medium",
			       b->id);
	if (b->readonly)
		return err_set(err, -EACCES, "drive '%s' is read-only", b->id);
	if (!b->root->drv->make_readonly)
		return err_set(err, -ENOTSUP,
			       "drive '%s' keeps its changes in a temporary "
			       "file (snapshot=on), which no overlay can name",
			       b->id);
	if (!strcmp(format, "raw"))
		return err_set(err, -ENOTSUP,
			       "format 'raw' has no backing files; use qcow2");
	if (!image_option_rows(format))
		return err_set(err, -EINVAL, "Unknown driver '%s'", format);
	return 0;
}

struct block_snapshot *block_snapshot_prepare(struct block *b, const char *file,
					      const char *format, bool existing,
					      struct err *err)
{
	struct block_snapshot *s;
	int r;

	if (!format)
		format = "qcow2";
	if (snapshot_check(b, format, err) < 0)
		return NULL;
	s = xalloc(sizeof(*s));
	s->block = b;
	block_drain(b);
	r = node_rw(b->root, BLOCK_FLUSH, NULL, 0, 0, 0);
	if (r < 0)
		err_code(err, r, "drive '%s' cannot be flushed", b->id);
	if (r == 0 && !existing)
		r = snapshot_make(s, file, format, err);
	if (r == 0)
		r = snapshot_open(s, file, format, err);
	if (r == 0 && existing)
		r = snapshot_check_existing(s, file, err);
	if (r == 0)
		return s;
	block_snapshot_abort(s);
	return NULL;
}

void block_snapshot_commit(struct block_snapshot *s)
{
	struct block *b = s->block;

	block_drain(b);
	b->root->drv->make_readonly(b->root);
	qcow2_put_backing(s->top, b->root);
	b->root = s->top;
	b->request_align = MAX(b->root->align, BLOCK_SECTOR);
	/* The guest writes into an image of a known format from now on. */
	free(b->header);
	b->header = NULL;
	free(s->made);
	free(s);
}

void block_snapshot_abort(struct block_snapshot *s)
{
	node_close(s->top);
	if (s->made && unlink(s->made) < 0 && errno != ENOENT)
		log_warn("'%s' cannot be removed: %s", s->made,
			 strerror(errno));
	free(s->made);
	free(s);
}

/* ---- Internal ones ---- */

int block_snapshots(struct block *b, struct image_snapshot **ret,
		    u32 *ret_count)
{
	if (!b->root || b->readonly || !b->root->drv->snapshots)
		return -ENOTSUP;
	return b->root->drv->snapshots(b->root, ret, ret_count);
}
