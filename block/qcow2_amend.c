/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * qcow2: another version, other refcounts.
 *
 * Everything is checked before anything changes, and each change is one write
 * of the header's first sector: a crash leaves an image of the old kind or of
 * the new one.
 *
 * Locking: nothing is in flight.
 *
 * Spec: qcow2.txt "Header".
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/image.h"
#include "block/qcow2.h"
#include "lib/bytes.h"
#include "lib/err.h"

#define AMEND_PIECE MIB

/* ---- What may be ---- */

static int amend_check_v2(const struct qcow2 *s, const struct image_amend *o,
			  u32 bits, struct err *err)
{
	if (o->lazy > 0)
		return err_set(err, -EINVAL,
			       "Lazy refcounts only supported with "
			       "compatibility level 1.1 and above (use "
			       "compat=1.1 or greater)");
	if (bits != 16)
		return err_set(err, -EINVAL,
			       "Refcount widths other than 16 bits require "
			       "compatibility level 1.1 or above (use "
			       "compat=1.1 or greater)");
	if (s->h.version == 2)
		return 0;
	if (s->h.incompatible & (QCOW2_EXTENDED | QCOW2_ZSTD))
		return err_set(err, -ENOTSUP,
			       "Extended L2 entries and zstd compression need "
			       "compatibility level 1.1");
	if (s->h.snapshots)
		return err_set(err, -ENOTSUP,
			       "Internal snapshots prevent downgrade of image");
	if (s->bitmaps && s->h.bitmaps)
		return err_set(err, -ENOTSUP,
			       "Bitmaps prevent downgrade of image");
	return 0;
}

static int amend_check(const struct qcow2 *s, const struct image_amend *o,
		       struct err *err)
{
	u32 bits =
		o->refcount_bits ? o->refcount_bits : 1u << s->h.refcount_order;
	u32 version = o->version ? o->version : s->h.version;

	if (bits > 64 || bits & (bits - 1))
		return err_set(err, -EINVAL,
			       "Refcount width must be a power of two and may "
			       "not exceed 64 bits");
	return version == 2 ? amend_check_v2(s, o, bits, err) : 0;
}

/* ---- Refcounts ---- */

/* What counts say now, without the places of the counts themselves. */
static int amend_count(struct qcow2 *s, u32 *count, u64 clusters, u64 max)
	REQUIRES(s->lock)
{
	u64 value, at;
	int r = 0;

	for (u64 c = 0; c < clusters && r == 0; c++) {
		r = qcow2_refs_get(s, c, &value);
		count[c] = MIN(value, (u64)UINT32_MAX);
	}
	for (u64 i = 0; i < s->h.refcount_clusters; i++) {
		at = (s->h.refcount_offset >> s->cluster_bits) + i;
		if (at < clusters)
			count[at] = 0;
	}
	for (u64 i = 0; i < s->table_size; i++) {
		at = (s->table[i] & QCOW2_TABLE) >> s->cluster_bits;
		if (at && at < clusters)
			count[at] = 0;
	}
	for (u64 c = 0; c < clusters && r == 0; c++)
		if (count[c] > max)
			r = -ERANGE;
	return r;
}

static int amend_width(struct qcow2 *s, u32 bits) REQUIRES(s->lock)
{
	u32 was = s->h.refcount_order, order = __builtin_ctz(bits);
	u64 clusters = ALIGN_UP(file_length(s->file), s->cluster_size) >>
		       s->cluster_bits;
	u32 *count = calloc(MAX(clusters, 1), sizeof(*count));
	int r = count ? qcow2_prepare(s) : -ENOMEM;

	if (r == 0)
		r = qcow2_write_back(s);
	if (r == 0)
		r = amend_count(s, count, clusters,
				bits == 64 ? UINT64_MAX : (1ULL << bits) - 1);
	if (r == 0) {
		s->h.refcount_order = order;
		s->block_bits = s->cluster_bits + 3 - order;
		r = qcow2_refs_rebuild(s, count, clusters);
	}
	if (r < 0) {
		s->h.refcount_order = was;
		s->block_bits = s->cluster_bits + 3 - was;
		qcow2_cache_clear(&s->refs);
	}
	free(count);
	return r;
}

/* ---- Lazy refcounts ---- */

/* For who opens it next. */
static int amend_lazy(struct qcow2 *s, bool on) REQUIRES(s->lock)
{
	u64 bits = on ? s->h.compatible | QCOW2_LAZY
		      : s->h.compatible & ~QCOW2_LAZY;
	u8 raw[8];
	int r;

	put_be64(raw, bits);
	r = qcow2_header_write(s, 80, raw, sizeof(raw));
	if (r == 0)
		s->h.compatible = bits;
	return r < 0 ? r : qcow2_sync(s);
}

/* ---- Versions ---- */

/* Version 2 cannot say that a cluster is zero: it is not there, or, above a
 * backing file, has zeroes in it. */
static int amend_write_zeroes(struct qcow2 *s)
{
	u8 *zero = calloc(1, AMEND_PIECE);
	struct qcow2_extent x = { 0 };
	int r = zero ? 0 : -ENOMEM;

	for (u64 at = 0; at < s->node.size && r == 0; at += x.bytes) {
		struct iovec iov = { zero, 0 };

		r = qcow2_map(s, at, MIN(s->node.size - at, AMEND_PIECE), &x);
		if (r < 0 || x.kind != QCOW2_ZEROES)
			continue;
		iov.iov_len = x.bytes;
		r = s->h.backing[0] ? node_rw(&s->node, BLOCK_WRITE, &iov, 1,
					      at, x.bytes)
				    : qcow2_discard(s, at, x.bytes);
	}
	free(zero);
	return r;
}

static int amend_downgrade(struct qcow2 *s)
{
	int r = amend_write_zeroes(s);

	if (r == 0)
		r = qcow2_finish(s);
	if (r < 0)
		return r;
	lock_acquire(&s->lock);
	s->lazy = false;
	r = qcow2_header_version(s, 2);
	lock_release(&s->lock);
	return r;
}

/* ---- All of it ---- */

static int amend_run(struct qcow2 *s, const struct image_amend *o)
{
	int r = 0;

	lock_acquire(&s->lock);
	if (o->version == 3 && s->h.version == 2)
		r = qcow2_header_version(s, 3);
	if (r == 0 && o->refcount_bits &&
	    o->refcount_bits != 1u << s->h.refcount_order)
		r = amend_width(s, o->refcount_bits);
	if (r == 0 && o->lazy >= 0 && s->h.version == 3 &&
	    o->lazy != !!(s->h.compatible & QCOW2_LAZY))
		r = amend_lazy(s, o->lazy);
	lock_release(&s->lock);
	if (r == 0 && o->version == 2 && s->h.version == 3)
		r = amend_downgrade(s);
	return r < 0 ? r : qcow2_flush(s);
}

int qcow2_amend(struct block_node *n, const struct image_amend *o,
		struct err *err)
{
	struct qcow2 *s = container_of(n, struct qcow2, node);
	int r = amend_check(s, o, err);

	if (r < 0)
		return r;
	r = amend_run(s, o);
	if (r == -ERANGE)
		return err_set(err, r,
			       "Cannot decrease refcount entry width to %u "
			       "bits: a cluster has more references",
			       o->refcount_bits);
	return r < 0 ? err_code(err, r, "cannot change '%s'", s->path) : 0;
}
