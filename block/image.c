/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Images without a drive.
 *
 * Nodes want a drive for its name and its settings, so each image has one
 * that nobody else sees; requests are carried out on the caller's thread.
 */
#include "block/image.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/internal.h"
#include "lib/alloc.h"
#include "lib/err.h"

struct image {
	struct block block;
	char *path;              /* owned */
	struct block_node *root; /* owned */
	bool through;            /* each write is flushed */
};

struct image *image_open(const char *path, const char *format,
			 const struct image_mode *mode, struct err *err)
{
	struct image *i = xalloc(sizeof(*i));
	struct block_open o = {
		.path = path,
		.format = format,
		.readonly = !mode->write,
		.direct = mode->direct,
		.no_flush = mode->no_flush,
		.unmap = true,
		.lock = mode->unlocked ? 0 : -1,
		.follow = mode->untrusted ? BLOCK_FOLLOW_AUTO : BLOCK_FOLLOW_ON,
		.alone = mode->alone,
		.repair = mode->repair,
	};

	i->through = mode->through;
	i->path = xstrdup(path);
	i->block.id = i->path;
	i->block.write_cache = true;
	if (node_check_format(format, err) == 0)
		i->root = node_open(&i->block, &o, err);
	free(o.header);
	if (!i->root) {
		image_close(i);
		return NULL;
	}
	return i;
}

void image_close(struct image *i)
{
	if (!i)
		return;
	node_close(i->root);
	free(i->path);
	free(i);
}

u64 image_size(const struct image *i)
{
	return ALIGN_UP(i->root->size, (u64)BLOCK_SECTOR);
}

const char *image_path(const struct image *i)
{
	return i->path;
}

const char *image_format(const struct image *i)
{
	return i->root->drv->format;
}

u32 image_unit(struct image *i)
{
	struct block_layer l;

	image_layers(i, &l, 1);
	return l.cluster_size ? l.cluster_size : 4096;
}

int image_layers(struct image *i, struct block_layer *out, int max)
{
	return i->root->drv->layers(i->root, out, max);
}

/* ---- Data ---- */

int image_read(struct image *i, u64 offset, void *buf, u64 bytes)
{
	struct iovec iov = { buf, bytes };

	return node_rw(i->root, BLOCK_READ, &iov, 1, offset, bytes);
}

static int image_written(struct image *i, int r)
{
	return r < 0 || !i->through ? r : image_flush(i);
}

int image_write(struct image *i, u64 offset, const void *buf, u64 bytes)
{
	struct iovec iov = { (void *)(uintptr_t)buf, bytes };

	return image_written(
		i, node_rw(i->root, BLOCK_WRITE, &iov, 1, offset, bytes));
}

int image_zero(struct image *i, u64 offset, u64 bytes)
{
	struct block_req r = {
		.op = BLOCK_WRITE_ZEROES,
		.offset = offset,
		.bytes = bytes,
		.flags = BLOCK_REQ_UNMAP,
	};

	return image_written(i, i->root->drv->execute(i->root, &r));
}

int image_copy(struct image *from, u64 at, struct image *to, u64 to_at,
	       u64 bytes)
{
	int r = file_copy(from->root, at, to->root, to_at, bytes);

	return image_written(to, r);
}

int image_flush(struct image *i)
{
	return node_rw(i->root, BLOCK_FLUSH, NULL, 0, 0, 0);
}

int image_resize(struct image *i, u64 size, struct err *err)
{
	if (!i->root->drv->resize)
		return err_set(err, -ENOTSUP, "'%s' cannot change its size",
			       i->path);
	return i->root->drv->resize(i->root, size, err);
}

int image_commit(struct image *i, int depth, bool keep,
		 const struct commit_pace *pace, struct err *err)
{
	if (!i->root->drv->below || !i->root->drv->below(i->root))
		return err_set(err, -ENOTSUP,
			       "Image does not have a backing file");
	return node_commit(i->root, depth, keep, pace, err);
}

int image_set_backing(struct image *i, const char *name, const char *format,
		      struct err *err)
{
	if (!i->root->drv->set_backing)
		return err_set(err, -ENOTSUP,
			       "images of format '%s' have no backing file",
			       image_format(i));
	return i->root->drv->set_backing(i->root, name, format, err);
}

bool image_can_pack(const struct image *i)
{
	return i->root->drv->pack;
}

int image_pack(struct image *i, const u8 *in, u8 *out, u32 *ret)
{
	return i->root->drv->pack(i->root, in, out, ret);
}

int image_write_packed(struct image *i, u64 offset, const u8 *data, u32 len)
{
	return image_written(
		i, i->root->drv->write_packed(i->root, offset, data, len));
}

int image_preallocate(struct image *i, int how, u64 from, struct err *err)
{
	int r = how ? i->root->drv->preallocate(i->root, how, from) : 0;

	return r < 0 ? err_code(err, r, "'%s' cannot be preallocated", i->path)
		     : 0;
}

/* ---- What is there ---- */

int image_map(struct image *i, u64 offset, u64 bytes, struct image_extent *out)
{
	int r = i->root->drv->map(i->root, offset, bytes, out);

	/* Half a sector at the end of a file. */
	if (r == 0 && offset + out->bytes == i->root->size)
		out->bytes = MIN(bytes, image_size(i) - offset);
	return r;
}

int image_check(struct image *i, int repair, struct image_check *out,
		struct buf *text)
{
	memset(out, 0, sizeof(*out));
	if (!i->root->drv->check)
		return -ENOTSUP;
	return i->root->drv->check(i->root, repair, out, text);
}

/* ---- Internal snapshots ---- */

int image_snapshots(struct image *i, struct image_snapshot **ret,
		    u32 *ret_count)
{
	if (!i->root->drv->snapshots)
		return -ENOTSUP;
	return i->root->drv->snapshots(i->root, ret, ret_count);
}

void image_snapshots_free(struct image_snapshot *list, u32 count)
{
	for (u32 n = 0; list && n < count; n++) {
		free(list[n].id);
		free(list[n].name);
	}
	free(list);
}

int image_snapshot(struct image *i, enum image_snapshot_op op, const char *name,
		   struct err *err)
{
	if (!i->root->drv->snapshot)
		return err_set(err, -ENOTSUP,
			       "images of format '%s' have no snapshots",
			       image_format(i));
	return i->root->drv->snapshot(i->root, op, name, err);
}

int image_view_snapshot(struct image *i, const char *id, const char *name,
			struct err *err)
{
	if (!i->root->drv->view_snapshot)
		return err_set(err, -ENOTSUP,
			       "images of format '%s' have no snapshots",
			       image_format(i));
	return i->root->drv->view_snapshot(i->root, id, name, err);
}

/* ---- Bitmaps ---- */

int image_bitmaps(struct image *i, bool contents, struct image_bitmap **ret,
		  u32 *ret_count)
{
	if (!i->root->drv->bitmaps)
		return -ENOTSUP;
	return i->root->drv->bitmaps(i->root, contents, ret, ret_count);
}

void image_bitmaps_free(struct image_bitmap *list, u32 count)
{
	for (u32 n = 0; list && n < count; n++) {
		free(list[n].name);
		free(list[n].map);
	}
	free(list);
}

int image_bitmaps_store(struct image *i, const struct image_bitmap *list,
			u32 count, struct err *err)
{
	if (!i->root->drv->bitmaps_store)
		return err_set(err, -ENOTSUP,
			       "images of format '%s' have no bitmaps",
			       image_format(i));
	return i->root->drv->bitmaps_store(i->root, list, count, err);
}

int image_bitmaps_confirm(struct image *i)
{
	return i->root->drv->bitmaps_confirm
		       ? i->root->drv->bitmaps_confirm(i->root)
		       : 0;
}

u64 image_bitmap_bytes(u64 size, u32 bits)
{
	u64 n = size >> bits;

	n += (n << bits) < size;
	return n / 8 + (n % 8 != 0);
}

int image_amend(struct image *i, const struct image_amend *o, struct err *err)
{
	if (!i->root->drv->amend)
		return err_set(err, -ENOTSUP,
			       "images of format '%s' have no options to amend",
			       image_format(i));
	return i->root->drv->amend(i->root, o, err);
}
