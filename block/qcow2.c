/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * qcow2: opening and closing, and what the drive's owner asks for.
 */
#include "block/qcow2.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/image.h"
#include "lib/alloc.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/log.h"

#define QCOW2_SLICE_BITS 12 /* bytes of a slice */
#define QCOW2_L2_CACHE   (16 * MIB)
#define QCOW2_REFS_CACHE (1 * MIB)

static struct qcow2 *qcow2_of(struct block_node *n)
{
	return container_of(n, struct qcow2, node);
}

/* ---- Opening ---- */

static int qcow2_load_header(struct qcow2 *s, struct err *err)
{
	u8 start[QCOW2_HEADER_MAX], *buf;
	u32 bits;
	size_t len;
	int r = qcow2_pread(s, 0, start, sizeof(start));

	if (r < 0)
		return err_code(err, r, "cannot be read");
	/* The extensions may fill the first cluster. */
	bits = get_be32(start + 20);
	len = bits >= 9 && bits <= 21 ? 1ULL << bits : 512;
	buf = malloc(len);
	if (!buf)
		return err_set(err, -ENOMEM, "out of memory");
	r = qcow2_pread(s, 0, buf, len);
	if (r < 0)
		err_code(err, r, "cannot be read");
	else
		r = qcow2_header_parse(buf, MIN(len, file_length(s->file)),
				       &s->h, err);
	free(buf);
	s->bitmaps = r == 0 && s->h.autoclear & QCOW2_BITMAPS;
	return r;
}

static int qcow2_load_table(struct qcow2 *s, u64 offset, u64 count, u64 **ret,
			    const char *what, struct err *err)
{
	int r = qcow2_table_load(s, offset, count, ret);

	if (r == -EINVAL)
		return err_set(err, r, "has its %s beyond the end of the file",
			       what);
	return r < 0 ? err_code(err, r, "cannot be read") : 0;
}

static void qcow2_geometry(struct qcow2 *s)
{
	bool extended = s->h.incompatible & QCOW2_EXTENDED;

	s->cluster_bits = s->h.cluster_bits;
	s->cluster_size = 1ULL << s->cluster_bits;
	s->subs = extended ? 32 : 1;
	s->sub_bits = extended ? s->cluster_bits - 5 : s->cluster_bits;
	s->entry_bytes = extended ? 16 : 8;
	s->l2_bits = s->cluster_bits - (extended ? 4 : 3);
	s->slice_bits = MIN(s->l2_bits, QCOW2_SLICE_BITS - (extended ? 4 : 3));
	s->block_bits = s->cluster_bits + 3 - s->h.refcount_order;
	s->table_size = s->h.refcount_clusters << (s->cluster_bits - 3);
	s->node.size = s->h.size;
	s->node.align = s->file->align;
}

static int qcow2_open_backing(struct qcow2 *s, const struct block_open *o,
			      struct err *err)
{
	struct block_open below = {
		.readonly = true,
		.direct = o->direct,
		.no_flush = o->no_flush,
		.aio = BLOCK_AIO_THREADS,
		.lock = o->lock,
		.format = s->h.backing_format[0] ? s->h.backing_format : NULL,
		.follow = o->follow,
		.above = o,
	};
	char *path;
	int r;

	if (!s->h.backing[0] || o->alone)
		return 0;
	if (o->follow == BLOCK_FOLLOW_OFF)
		return err_set(err, -EPERM,
			       "names the backing file '%s', but its own "
			       "format was only guessed; format=qcow2 or "
			       "backing-files=on allows it",
			       s->h.backing);
	if (!strncmp(s->h.backing, "json:", 5))
		return err_set(err, -ENOTSUP,
			       "names its backing file in JSON, which is not "
			       "supported; use 'qemu-img rebase -u'");
	r = node_check_format(below.format, err);
	if (r < 0)
		return r;
	path = qcow2_backing_path(s->path, s->h.backing);
	below.path = path;
	s->backing = node_open(s->node.block, &below, err);
	free(below.header);
	free(path);
	return s->backing ? 0 : err_wrap(err, "backing file");
}

/* The one before us did not close it. */
static int qcow2_recover(struct qcow2 *s, struct err *err)
{
	struct qcow2_check check = { 0 };
	int r = qcow2_check(s, 2, &check);

	if (r == 0 && check.errors)
		r = -EIO;
	if (r == 0) {
		lock_acquire(&s->lock);
		r = qcow2_set_incompatible(s, s->h.incompatible & ~QCOW2_DIRTY);
		lock_release(&s->lock);
	}
	return r < 0 ? err_code(err, r,
				"was not closed properly and cannot be "
				"repaired; see 'qemu-img check'")
		     : 0;
}

/* What only a writer needs. */
static int qcow2_open_to_write(struct qcow2 *s, struct err *err)
{
	int r;

	if (s->h.incompatible & QCOW2_CORRUPT && !s->repair)
		return err_set(err, -EACCES,
			       "is marked as corrupt and can only be read; "
			       "repair it with 'qemu-img check -r all'");
	free(s->table);
	s->table = NULL;
	r = qcow2_load_table(s, s->h.refcount_offset, s->table_size, &s->table,
			     "refcount table", err);
	if (r < 0)
		return r;
	s->table_touched = xalloc(s->table_size / 64 + 1);
	s->l1_touched = xalloc(s->h.l1_size / 64 + 1);
	s->lazy = s->h.version >= 3 && s->h.compatible & QCOW2_LAZY;
	/* A file has zeroes beyond its end, a device has not. */
	s->fresh = s->file_is_device ? UINT64_MAX
				     : ALIGN_UP(s->file->size, s->cluster_size);
	return s->h.incompatible & QCOW2_DIRTY && !s->repair
		       ? qcow2_recover(s, err)
		       : 0;
}

static int qcow2_load(struct qcow2 *s, const struct block_open *o,
		      struct err *err)
{
	int r = qcow2_load_header(s, err);
	u32 slice;

	if (r < 0)
		return r;
	qcow2_geometry(s);
	slice = MIN(s->cluster_size, 1ULL << QCOW2_SLICE_BITS);
	r = qcow2_load_table(s, s->h.l1_offset, s->h.l1_size, &s->l1,
			     "L1 table", err);
	if (r < 0)
		return r;
	qcow2_cache_init(&s->l2, slice, QCOW2_L2_CACHE);
	qcow2_cache_init(&s->refs, slice, QCOW2_REFS_CACHE);
	if (!s->node.readonly)
		r = qcow2_open_to_write(s, err);
	if (r < 0)
		return r;
	return qcow2_open_backing(s, o, err);
}

static void qcow2_close(struct block_node *n)
{
	struct qcow2 *s = qcow2_of(n);
	int r = qcow2_finish(s);

	if (r == 0 && s->packed_at)
		r = qcow2_pad(s);
	if (r < 0)
		log_warn("image '%s' could not be written to the end: %s",
			 s->path, strerror(-r));
	qcow2_cache_fini(&s->l2);
	qcow2_cache_fini(&s->refs);
	qcow2_forget_packed(s);
	node_close(s->backing);
	node_close(s->file);
	lock_fini(&s->lock);
	lock_fini(&s->map);
	lock_fini(&s->inflated_lock);
	free(s->l1);
	free(s->l1_touched);
	free(s->table);
	free(s->table_touched);
	free(s->gone);
	free(s->path);
	free(s);
}

/* ---- What others ask ---- */

static int qcow2_layers(struct block_node *n, struct block_layer *out, int max)
{
	struct qcow2 *s = qcow2_of(n);
	struct block_layer file;

	if (max > 0) {
		s->file->drv->layers(s->file, &file, 1);
		node_layer(n, out);
		out->file = s->path;
		out->direct = file.direct;
		out->no_flush = file.no_flush;
		out->disk_size = file.disk_size;
		out->cluster_size = s->cluster_size;
		out->backing = s->h.backing[0] ? s->h.backing : NULL;
		out->backing_format = s->h.backing_format;
		out->version = s->h.version;
		out->refcount_bits = 1u << s->h.refcount_order;
		out->zstd = s->h.zstd;
		out->lazy = s->h.compatible & QCOW2_LAZY;
		out->corrupt = s->h.incompatible & QCOW2_CORRUPT;
		out->extended = s->h.incompatible & QCOW2_EXTENDED;
		out->dirty = s->h.incompatible & QCOW2_DIRTY;
	}
	if (!s->backing)
		return 1;
	return 1 + s->backing->drv->layers(s->backing, out + 1, max - 1);
}

static void qcow2_share(struct block_node *n)
{
	struct qcow2 *s = qcow2_of(n);

	s->file->drv->share(s->file);
}

static int qcow2_make_writable(struct block_node *n, struct err *err)
{
	struct qcow2 *s = qcow2_of(n);
	int r;

	if (!n->readonly)
		return 0;
	r = s->file->drv->make_writable(s->file, err);
	if (r == 0 && !s->l1_touched)
		r = qcow2_open_to_write(s, err);
	if (r == 0)
		n->readonly = false;
	return r;
}

static void qcow2_make_readonly(struct block_node *n)
{
	struct qcow2 *s = qcow2_of(n);
	int r = n->readonly ? 0 : qcow2_finish(s);

	if (r < 0)
		log_warn("image '%s' could not be written to the end: %s",
			 s->path, strerror(-r));
	n->readonly = true;
	s->file->drv->make_readonly(s->file);
}

void qcow2_put_backing(struct block_node *n, struct block_node *backing)
{
	struct qcow2 *s = qcow2_of(n);

	s->backing = backing;
}

static struct block_node *qcow2_below(struct block_node *n)
{
	return qcow2_of(n)->backing;
}

/* For a tool: where a part of the disk is, here or below. */
static int qcow2_where(struct block_node *n, u64 offset, u64 bytes,
		       struct image_extent *out)
{
	struct qcow2 *s = qcow2_of(n);
	struct qcow2_extent x;
	int r = qcow2_map(s, offset, bytes, &x);

	if (r < 0 || x.kind == QCOW2_BAD)
		return r < 0 ? r : -EIO;
	*out = (struct image_extent){
		.bytes = x.bytes,
		.present = x.kind != QCOW2_UNALLOCATED,
		.zero = x.kind == QCOW2_UNALLOCATED || x.kind == QCOW2_ZEROES,
		.data = x.kind == QCOW2_DATA || x.kind == QCOW2_PACKED,
		.mapped = x.kind == QCOW2_DATA,
		.offset = x.host,
		.file = s->path,
	};
	if (x.kind != QCOW2_UNALLOCATED || !s->backing ||
	    offset >= s->backing->size)
		return 0;
	bytes = MIN(x.bytes, s->backing->size - offset);
	r = s->backing->drv->map(s->backing, offset, bytes, out);
	out->depth++;
	return r;
}

static int qcow2_check_image(struct block_node *n, int repair,
			     struct image_check *out, struct buf *text)
{
	struct qcow2 *s = qcow2_of(n);
	struct qcow2_check c = { .text = text };
	u64 bad = QCOW2_CORRUPT | QCOW2_DIRTY;
	int r = qcow2_check(s, repair, &c);

	if (r == 0 && repair > 1 && !c.errors && s->h.incompatible & bad) {
		lock_acquire(&s->lock);
		r = qcow2_set_incompatible(s, s->h.incompatible & ~bad);
		lock_release(&s->lock);
	}
	*out = (struct image_check){
		c.errors,      c.leaks,      c.fixed_errors,
		c.fixed_leaks, c.total,      c.allocated,
		c.fragmented,  c.compressed, c.end,
	};
	return r;
}

static void qcow2_unplug(struct block_node *n)
{
	struct qcow2 *s = qcow2_of(n);

	s->file->drv->unplug(s->file);
}

static int qcow2_poll_fd(struct block_node *n)
{
	struct qcow2 *s = qcow2_of(n);

	return s->file->drv->poll_fd(s->file);
}

static void qcow2_poll(struct block_node *n)
{
	struct qcow2 *s = qcow2_of(n);

	s->file->drv->poll(s->file);
}

static const struct block_driver qcow2_driver = {
	.format = "qcow2",
	.close = qcow2_close,
	.execute = qcow2_execute,
	.start = qcow2_start,
	.ended = qcow2_ended,
	.unplug = qcow2_unplug,
	.poll_fd = qcow2_poll_fd,
	.poll = qcow2_poll,
	.share = qcow2_share,
	.layers = qcow2_layers,
	.make_writable = qcow2_make_writable,
	.make_readonly = qcow2_make_readonly,
	.resize = qcow2_resize,
	.commit = qcow2_commit,
	.below = qcow2_below,
	.empty = qcow2_empty,
	.map = qcow2_where,
	.check = qcow2_check_image,
	.pack = qcow2_pack,
	.write_packed = qcow2_write_packed,
	.preallocate = qcow2_preallocate,
	.set_backing = qcow2_set_backing,
	.amend = qcow2_amend,
	.snapshots = qcow2_snapshots,
	.snapshot = qcow2_branch,
	.bitmaps = qcow2_bitmaps,
	.bitmaps_store = qcow2_bitmaps_store,
	.bitmaps_confirm = qcow2_bitmaps_confirm,
	.view_snapshot = qcow2_view_snapshot,
};

struct block_node *qcow2_open(struct block *b, struct block_node *file,
			      const struct block_open *o, struct err *err)
{
	struct qcow2 *s = xalloc(sizeof(*s));

	node_init(&s->node, &qcow2_driver, b);
	lock_init(&s->lock);
	lock_init(&s->map);
	lock_init(&s->inflated_lock);
	list_init(&s->running);
	list_init(&s->waiting);
	s->file = file;
	s->unmap = o->unmap;
	s->repair = o->repair;
	s->file_is_device = file_is_device(file);
	s->path = xstrdup(o->path);
	s->node.readonly = file->readonly;
	if (qcow2_load(s, o, err) < 0) {
		err_wrap(err, "image '%s'", o->path);
		node_close(&s->node);
		return NULL;
	}
	return &s->node;
}
