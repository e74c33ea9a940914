/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * qcow2: writing compressed clusters, and allocating without writing.
 *
 * Compressed data lies byte behind byte, over the end of a cluster if the
 * next one is free; each cluster counts everything that has a part in it.
 *
 * Spec: qcow2.txt "Compressed Clusters Descriptor".
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "block/image.h"
#include "block/qcow2.h"

#define PACK_WINDOW 12 /* bits; QEMU's reader has no more */

/* ---- Compressing ---- */

static int pack_zlib(const u8 *in, size_t in_len, u8 *out, u32 *ret)
{
	z_stream z = {
		.next_in = (u8 *)(uintptr_t)in,
		.avail_in = in_len,
		.next_out = out,
		.avail_out = in_len - 1,
	};
	int r;

	if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -PACK_WINDOW, 9,
			 Z_DEFAULT_STRATEGY) != Z_OK)
		return -ENOMEM;
	r = deflate(&z, Z_FINISH);
	*ret = r == Z_STREAM_END ? in_len - 1 - z.avail_out : 0;
	deflateEnd(&z);
	return 0;
}

static int pack_zstd(const u8 *in, size_t in_len, u8 *out, u32 *ret)
{
	size_t n =
		ZSTD_compress(out, in_len - 1, in, in_len, ZSTD_CLEVEL_DEFAULT);

	*ret = ZSTD_isError(n) ? 0 : n;
	return 0;
}

int qcow2_pack(struct block_node *n, const u8 *in, u8 *out, u32 *ret)
{
	struct qcow2 *s = container_of(n, struct qcow2, node);

	return s->h.zstd ? pack_zstd(in, s->cluster_size, out, ret)
			 : pack_zlib(in, s->cluster_size, out, ret);
}

/* ---- Room ---- */

/* In what the last one left, and in the cluster behind it if that is needed
 * and free. */
static int pack_place(struct qcow2 *s, u32 len, u64 *ret) REQUIRES(s->lock)
{
	u64 mask = s->cluster_size - 1, at = s->packed_at, next, n;
	u64 last = at >> s->cluster_bits;
	bool fresh;
	int r;

	if (s->packed_left >= len) {
		r = qcow2_refs_add(s, last, 1);
		if (r == 0) {
			s->packed_left -= len;
			s->packed_at += len;
			*ret = at;
			return 0;
		}
		s->packed_left = 0;
	}
	r = qcow2_alloc(s, 1, &next, &n, &fresh);
	if (r < 0)
		return r;
	*ret = next;
	if (s->packed_left && next == (at | mask) + 1 &&
	    qcow2_refs_add(s, last, 1) == 0)
		*ret = at;
	s->packed_at = *ret + len;
	s->packed_left = -s->packed_at & mask;
	return 0;
}

static u64 pack_desc(const struct qcow2 *s, u64 at, u32 len)
{
	u32 shift = 62 - (s->cluster_bits - 8);
	u64 more = ((at + len - 1) >> 9) - (at >> 9);

	return QCOW2_COMPRESSED | more << shift | at;
}

int qcow2_write_packed(struct block_node *n, u64 offset, const u8 *data,
		       u32 len)
{
	struct qcow2 *s = container_of(n, struct qcow2, node);
	struct qcow2_slice *slice;
	u8 *entry;
	u64 at = 0;
	int r;

	lock_acquire(&s->lock);
	r = qcow2_prepare(s);
	if (r == 0)
		r = pack_place(s, len, &at);
	lock_release(&s->lock);
	if (r < 0)
		return r;
	r = qcow2_is_metadata(s, at, len) ? -EIO : 0;
	if (r == 0)
		r = qcow2_pwrite(s, at, data, len);
	lock_acquire(&s->lock);
	if (r == 0)
		r = qcow2_entry_to_write(s, offset, &slice, &entry);
	if (r == 0) {
		s->unsynced = true;
		qcow2_entry_replace(
			s, slice, entry,
			(struct qcow2_entry){ pack_desc(s, at, len), 0 });
	} else {
		qcow2_free(s, at, len);
	}
	lock_release(&s->lock);
	return r;
}

/* Readers take whole sectors. */
int qcow2_pad(struct qcow2 *s)
{
	u64 end = file_length(s->file);

	if (end % BLOCK_SECTOR == 0)
		return 0;
	return s->file->drv->resize(s->file, ALIGN_UP(end, (u64)BLOCK_SECTOR),
				    NULL);
}

/* ---- Preallocation ---- */

/* Up to the end of one slice.  bitmap: of extended entries. */
static int prealloc_some(struct qcow2 *s, u64 offset, u64 bitmap, u64 *ret)
	REQUIRES(s->lock)
{
	u64 span = s->l2.bytes / s->entry_bytes * s->cluster_size;
	u64 left = MIN(span - offset % span, s->node.size - offset);
	u64 want = (left + s->cluster_size - 1) >> s->cluster_bits;
	struct qcow2_slice *slice;
	u64 at, got;
	bool fresh;
	u8 *data;
	int r = qcow2_alloc(s, want, &at, &got, &fresh);

	if (r < 0)
		return r;
	if (!fresh)
		r = qcow2_pzero(s, at, got << s->cluster_bits);
	/* Then only: the slice must stay until it is changed. */
	if (r == 0)
		r = qcow2_entry_to_write(s, offset, &slice, &data);
	if (r < 0) {
		qcow2_free(s, at, got << s->cluster_bits);
		return r;
	}
	for (u64 i = 0; i < got; i++) {
		qcow2_entry_replace(
			s, slice, data,
			(struct qcow2_entry){ at | QCOW2_COPIED, bitmap });
		data += s->entry_bytes;
		at += s->cluster_size;
	}
	s->unsynced = true;
	*ret = got << s->cluster_bits;
	return 0;
}

int qcow2_preallocate(struct block_node *n, int how, u64 from)
{
	struct qcow2 *s = container_of(n, struct qcow2, node);
	u64 done = 0, length, before = from ? file_length(s->file) : 0, bitmap;
	int r;

	/* A new image lets through what is below it. */
	bitmap = s->subs == 1 || (!from && s->h.backing[0]) ? 0 : UINT32_MAX;
	lock_acquire(&s->lock);
	r = qcow2_prepare(s);
	for (u64 at = ALIGN_UP(from, s->cluster_size); at < n->size && r == 0;
	     at += done)
		r = prealloc_some(s, at, bitmap, &done);
	length = MAX(s->hint << s->cluster_bits, file_length(s->file));
	lock_release(&s->lock);
	if (r == 0)
		r = s->file->drv->resize(s->file, length, NULL);
	if (r == 0 && how > IMAGE_PREALLOC_METADATA)
		r = s->file->drv->preallocate(s->file, how, before);
	return r;
}
