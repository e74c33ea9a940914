/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * qcow2: another size, and none of its own contents any more.
 *
 * Locking: nothing is in flight.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/qcow2.h"
#include "lib/bytes.h"
#include "lib/err.h"

/* ---- Emptying ---- */

/* Clusters from `offset` on hold nothing any more; those of one slice. */
static int size_drop_slice(struct qcow2 *s, u64 offset, u64 end, u64 *ret)
	REQUIRES(s->lock)
{
	u64 span = s->l2.bytes / s->entry_bytes * s->cluster_size;
	u64 table_span = s->cluster_size << s->l2_bits;
	struct qcow2_slice *slice;
	u64 table;
	u8 *data;
	int r = qcow2_l2_table(s, offset / table_span, &table);

	if (r < 0)
		return qcow2_broken(s, "an L1 entry");
	if (!table) {
		*ret = MIN(end - offset, table_span - offset % table_span);
		return 0;
	}
	*ret = MIN(end - offset, span - offset % span);
	r = qcow2_entry_to_write(s, offset, &slice, &data);
	for (u64 at = 0; at < *ret && r == 0; at += s->cluster_size) {
		qcow2_entry_replace(s, slice, data,
				    (struct qcow2_entry){ 0, 0 });
		data += s->entry_bytes;
	}
	return r < 0 ? r : qcow2_free_some(s);
}

static int size_drop(struct qcow2 *s, u64 offset, u64 end)
{
	u64 n = 0;
	int r;

	lock_acquire(&s->lock);
	r = qcow2_prepare(s);
	for (; offset < end && r == 0; offset += n)
		r = size_drop_slice(s, offset, end, &n);
	lock_release(&s->lock);
	return r < 0 ? r : qcow2_flush(s);
}

/* ---- Size ---- */

static int size_write(struct qcow2 *s, u64 size) REQUIRES(s->lock)
{
	u8 raw[8];
	int r;

	put_be64(raw, size);
	r = qcow2_header_write(s, 24, raw, sizeof(raw));
	if (r == 0)
		r = qcow2_sync(s);
	if (r == 0)
		s->h.size = s->node.size = size;
	return r;
}

/* A longer L1 table; the header names it when it is on the disk. */
static int size_grow_l1(struct qcow2 *s, u64 entries) REQUIRES(s->lock)
{
	u64 bytes = ALIGN_UP(entries * 8, s->cluster_size), at = 0;
	u64 *table = calloc(bytes / 8, 8), *raw = calloc(bytes / 8, 8);
	u8 *touched = calloc(bytes / 512 + 1, 1), header[12];
	u64 old = s->h.l1_offset, old_bytes = s->h.l1_size * 8ULL;
	int r = table && raw && touched ? qcow2_write_back(s) : -ENOMEM;

	if (r == 0)
		r = qcow2_alloc_table(s, bytes >> s->cluster_bits, &at);
	if (r == 0) {
		memcpy(table, s->l1, old_bytes);
		for (u32 i = 0; i < s->h.l1_size; i++)
			put_be64(raw + i, table[i]);
		r = qcow2_pwrite(s, at, raw, bytes);
	}
	if (r == 0)
		r = qcow2_write_back(s);
	if (r == 0)
		r = qcow2_sync(s);
	put_be32(header, entries);
	put_be64(header + 4, at);
	if (r == 0)
		r = qcow2_header_write(s, 36, header, sizeof(header));
	if (r == 0)
		r = qcow2_sync(s);
	free(raw);
	if (r < 0) {
		free(table);
		free(touched);
		return r;
	}
	free(s->l1);
	free(s->l1_touched);
	lock_acquire(&s->map);
	s->l1 = table;
	s->l1_touched = touched;
	s->h.l1_size = entries;
	s->h.l1_offset = at;
	lock_release(&s->map);
	qcow2_free(s, old, old_bytes);
	return 0;
}

/* What the disk gains reads as zero, whatever is there. */
static int size_clear(struct qcow2 *s, u64 from, u64 size)
{
	u64 end = MIN(ALIGN_UP(from, s->cluster_size), size);

	if (s->backing && s->backing->size > from)
		end = MAX(end, MIN(size, s->backing->size));
	return from < end ? qcow2_zero(s, from, end - from, false) : 0;
}

static int size_grow(struct qcow2 *s, u64 size)
{
	u32 bits = s->cluster_bits + s->l2_bits;
	u64 entries = size ? ((size - 1) >> bits) + 1 : 0;
	int r;

	if (entries > QCOW2_L1_MAX / 8 ||
	    size > (u64)INT64_MAX - s->cluster_size)
		return -EFBIG;
	lock_acquire(&s->lock);
	r = qcow2_prepare(s);
	if (r == 0 && entries > s->h.l1_size)
		r = size_grow_l1(s, entries);
	lock_release(&s->lock);
	if (r == 0)
		r = size_clear(s, s->h.size, size);
	return r < 0 ? r : qcow2_flush(s);
}

int qcow2_resize(struct block_node *n, u64 size, struct err *err)
{
	struct qcow2 *s = container_of(n, struct qcow2, node);
	u64 was = n->size;
	int r;

	if (s->h.snapshots && s->h.version < 3)
		return err_set(err, -ENOTSUP,
			       "a version 2 image with snapshots cannot change "
			       "its size");
	if (size > was)
		r = size_grow(s, size);
	else
		r = size_drop(s, ALIGN_UP(size, s->cluster_size),
			      ALIGN_UP(was, s->cluster_size));
	if (r == 0) {
		lock_acquire(&s->lock);
		r = size_write(s, size);
		lock_release(&s->lock);
	}
	return r < 0 ? err_code(err, r, "cannot resize '%s'", s->path) : 0;
}

/* ---- Commit ---- */

int qcow2_empty(struct block_node *n)
{
	struct qcow2 *s = container_of(n, struct qcow2, node);

	return size_drop(s, 0, ALIGN_UP(n->size, s->cluster_size));
}

int qcow2_commit(struct block_node *n, struct err *err)
{
	return node_commit(n, 1, false, NULL, err);
}
