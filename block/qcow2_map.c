/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * qcow2: from an offset on the disk to what holds it.
 *
 * Every entry of a table is believed only as far as qcow2_entry_kind() and
 * qcow2_l2_table() have checked it.
 *
 * Spec: qcow2.txt "Cluster mapping", "Extended L2 Entries".
 */
#include <errno.h>
#include <stdlib.h>

#include "block/qcow2.h"
#include "lib/bytes.h"

struct qcow2_entry qcow2_entry_read(const struct qcow2 *s, const u8 *at)
{
	struct qcow2_entry e = { get_be64(at), 0 };

	if (s->subs > 1)
		e.bitmap = get_be64(at + 8);
	return e;
}

enum qcow2_kind qcow2_entry_kind(const struct qcow2 *s, struct qcow2_entry e,
				 u32 sub)
{
	u64 host = e.desc & QCOW2_OFFSET;

	if (e.desc & QCOW2_COMPRESSED)
		return QCOW2_PACKED;
	/* The header is not for guests, whatever the table says. */
	if (host && (host & (s->cluster_size - 1)))
		return QCOW2_BAD;
	if (s->subs > 1) {
		bool data = e.bitmap & BIT(sub);
		bool zero = e.bitmap & BIT(sub + 32);

		if (data && (zero || !host))
			return QCOW2_BAD;
		return data   ? QCOW2_DATA
		       : zero ? QCOW2_ZEROES
			      : QCOW2_UNALLOCATED;
	}
	if (e.desc & QCOW2_ZERO && s->h.version >= 3)
		return QCOW2_ZEROES;
	if (!host)
		return e.desc & QCOW2_COPIED ? QCOW2_BAD : QCOW2_UNALLOCATED;
	return QCOW2_DATA;
}

static bool map_meets(u64 a, u64 a_bytes, u64 b, u64 b_bytes)
{
	return a < b + b_bytes && b < a + a_bytes;
}

bool qcow2_is_metadata(struct qcow2 *s, u64 offset, u64 bytes)
{
	bool meets;

	lock_acquire(&s->map);
	meets = map_meets(offset, bytes, 0, s->cluster_size) ||
		map_meets(offset, bytes, s->h.l1_offset, s->h.l1_size * 8ULL) ||
		map_meets(offset, bytes, s->h.refcount_offset,
			  (u64)s->h.refcount_clusters << s->cluster_bits);
	lock_release(&s->map);
	return meets;
}

int qcow2_l2_table(const struct qcow2 *s, u64 l1_index, u64 *ret)
{
	u64 offset;

	if (l1_index >= s->h.l1_size)
		return -EIO;
	offset = s->l1[l1_index] & QCOW2_OFFSET;
	if (offset & (s->cluster_size - 1))
		return -EIO;
	*ret = offset;
	return 0;
}

/* ---- Walking one slice ---- */

struct map_walk {
	u64 offset, left;
	struct qcow2_extent *out;
};

/* Whether the subcluster at w->offset goes on with what `out` has. */
static bool map_goes_on(struct qcow2 *s, struct map_walk *w,
			struct qcow2_entry e, enum qcow2_kind kind)
{
	struct qcow2_extent *out = w->out;

	if (kind != out->kind || kind == QCOW2_PACKED)
		return false;
	return kind != QCOW2_DATA ||
	       (out->host + out->bytes ==
			(e.desc & QCOW2_OFFSET) +
				(w->offset & (s->cluster_size - 1)) &&
		out->copied == !!(e.desc & QCOW2_COPIED));
}

static void map_begin(struct qcow2 *s, struct map_walk *w, struct qcow2_entry e,
		      enum qcow2_kind kind)
{
	u64 in_cluster = w->offset & (s->cluster_size - 1);

	*w->out = (struct qcow2_extent){
		.kind = kind,
		.copied = e.desc & QCOW2_COPIED,
	};
	if (kind == QCOW2_DATA)
		w->out->host = (e.desc & QCOW2_OFFSET) + in_cluster;
	if (kind == QCOW2_PACKED) {
		w->out->desc = e.desc;
		w->out->skip = in_cluster;
	}
}

/* `data` is the slice with the entry of w->offset. */
static void map_slice(struct qcow2 *s, const u8 *data, struct map_walk *w)
{
	u32 per_slice = 1u << s->slice_bits;
	u32 index = (w->offset >> s->cluster_bits) & (per_slice - 1);
	u64 unit = 1ULL << s->sub_bits, part;

	for (bool first = true; w->left > 0; first = false) {
		struct qcow2_entry e =
			qcow2_entry_read(s, data + index * s->entry_bytes);
		u32 sub = (w->offset & (s->cluster_size - 1)) >> s->sub_bits;
		enum qcow2_kind kind = qcow2_entry_kind(s, e, sub);

		if (first)
			map_begin(s, w, e, kind);
		else if (!map_goes_on(s, w, e, kind))
			return;
		if (kind == QCOW2_PACKED)
			unit = s->cluster_size;
		part = MIN(unit - (w->offset & (unit - 1)), w->left);
		w->out->bytes += part;
		w->offset += part;
		w->left -= part;
		if (!(w->offset & (s->cluster_size - 1)) &&
		    ++index == per_slice)
			return;
	}
}

/* Without an L2 table. */
static void map_nothing(struct qcow2 *s, struct map_walk *w)
{
	u64 span = s->cluster_size << s->l2_bits;

	*w->out = (struct qcow2_extent){
		.kind = QCOW2_UNALLOCATED,
		.bytes = MIN(span - w->offset % span, w->left),
	};
}

u64 qcow2_slice_at(const struct qcow2 *s, u64 table, u64 offset)
{
	u64 index = (offset >> s->cluster_bits) & ((1ULL << s->l2_bits) - 1);

	return table + ALIGN_DOWN(index * s->entry_bytes, (u64)s->l2.bytes);
}

bool qcow2_map_cached(struct qcow2 *s, u64 offset, u64 bytes,
		      struct qcow2_extent *out)
{
	struct map_walk w = { offset, bytes, out };
	struct qcow2_slice *e;
	bool known = true;
	u64 table;

	lock_acquire(&s->map);
	if (qcow2_l2_table(s, offset >> (s->cluster_bits + s->l2_bits),
			   &table) < 0) {
		known = false;
	} else if (!table) {
		map_nothing(s, &w);
	} else {
		e = qcow2_cache_find(&s->l2, qcow2_slice_at(s, table, offset));
		if (e) {
			if (!e->used)
				e->used = true;
			map_slice(s, e->data, &w);
		}
		known = e;
	}
	lock_release(&s->map);
	return known;
}

int qcow2_map_locked(struct qcow2 *s, u64 offset, u64 bytes,
		     struct qcow2_extent *out)
{
	struct map_walk w = { offset, bytes, out };
	struct qcow2_slice *e;
	u64 table;
	int r = qcow2_l2_table(s, offset >> (s->cluster_bits + s->l2_bits),
			       &table);

	if (r < 0)
		return r;
	if (!table) {
		map_nothing(s, &w);
		return 0;
	}
	r = qcow2_cache_load(s, &s->l2, qcow2_slice_at(s, table, offset), &e);
	if (r == 0)
		map_slice(s, e->data, &w);
	return r;
}

int qcow2_map(struct qcow2 *s, u64 offset, u64 bytes, struct qcow2_extent *out)
{
	int r;

	if (qcow2_map_cached(s, offset, bytes, out))
		return 0;
	lock_acquire(&s->lock);
	r = qcow2_map_locked(s, offset, bytes, out);
	lock_release(&s->lock);
	return r;
}

/* ---- Changing ---- */

/* A table of its own for an L1 entry, with what the old one says. */
static int map_new_table(struct qcow2 *s, u64 l1_index, u64 old, u64 *ret)
	REQUIRES(s->lock)
{
	u64 at;
	u8 *buf;
	int r = qcow2_alloc_table(s, 1, &at);

	if (r < 0)
		return r;
	if (old) {
		buf = malloc(s->cluster_size);
		r = buf ? qcow2_pread(s, old, buf, s->cluster_size) : -ENOMEM;
		if (r == 0)
			r = qcow2_pwrite(s, at, buf, s->cluster_size);
		free(buf);
	}
	if (r < 0) {
		qcow2_free(s, at, s->cluster_size);
		return r;
	}
	lock_acquire(&s->map);
	s->l1[l1_index] = at | QCOW2_COPIED;
	lock_release(&s->map);
	s->l1_touched[l1_index / 64] = 1;
	s->l1_dirty = true;
	if (old)
		qcow2_free_later(s, old, s->cluster_size);
	*ret = at;
	return 0;
}

int qcow2_entry_to_write(struct qcow2 *s, u64 offset, struct qcow2_slice **ret,
			 u8 **data)
{
	u64 l1_index = offset >> (s->cluster_bits + s->l2_bits);
	u64 index = offset >> s->cluster_bits;
	u64 table;
	int r = qcow2_l2_table(s, l1_index, &table);

	if (r < 0)
		return qcow2_broken(s, "an L1 entry");
	if (!table || !(s->l1[l1_index] & QCOW2_COPIED))
		r = map_new_table(s, l1_index, table, &table);
	if (r == 0)
		r = qcow2_cache_load(s, &s->l2,
				     qcow2_slice_at(s, table, offset), ret);
	if (r == 0)
		*data = (*ret)->data +
			index % (s->l2.bytes / s->entry_bytes) * s->entry_bytes;
	return r;
}

void qcow2_entry_write(struct qcow2 *s, struct qcow2_slice *slice, u8 *data,
		       struct qcow2_entry e)
{
	lock_acquire(&s->map);
	put_be64(data, e.desc);
	if (s->subs > 1)
		put_be64(data + 8, e.bitmap);
	lock_release(&s->map);
	slice->dirty = true;
	s->l2.dirty = true;
}
