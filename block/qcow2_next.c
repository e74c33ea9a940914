/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * qcow2: a next state of the metadata, made beside the present one.
 *
 * The places of the L1 table, of the refcount table and of the table of
 * snapshots are in the first sector, so one write changes them all.  Until
 * then new tables go to clusters that nothing uses, and counts change in
 * memory only: a crash, a full disk or a count that does not fit leave the
 * image as it was.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/qcow2.h"
#include "lib/bytes.h"

#define NEXT_BLOCKS (QCOW2_TABLE_MAX / 8)

/* ---- Counts ---- */

int qcow2_next_begin(struct qcow2_next *t)
{
	struct qcow2 *s = t->s;
	u64 room = file_length(s->file) >> s->cluster_bits;
	int r;

	t->cursor = s->hint;
	t->block = calloc(NEXT_BLOCKS, sizeof(*t->block));
	r = t->block ? 0 : -ENOMEM;
	for (u64 i = 0; i < s->table_size && r == 0; i++) {
		u64 offset = s->table[i] & QCOW2_TABLE;

		if (!offset)
			continue;
		/* No two of them share a cluster, so there are not more. */
		if (offset & (s->cluster_size - 1) || room-- == 0)
			return -EINVAL;
		t->block[i] = malloc(s->cluster_size);
		if (!t->block[i])
			return -ENOMEM;
		t->blocks = i + 1;
		r = qcow2_pread(s, offset, t->block[i], s->cluster_size);
	}
	return r;
}

void qcow2_next_end(struct qcow2_next *t)
{
	struct qcow2 *s = t->s;

	/* What was written in vain. */
	for (u64 i = 0; i < t->taken_count; i++)
		(void)node_rw(s->file, BLOCK_DISCARD, NULL, 0, t->taken[i],
			      s->cluster_size);
	for (u64 i = 0; t->block && i < t->blocks; i++)
		free(t->block[i]);
	free(t->block);
	free(t->taken);
}

u64 qcow2_next_count(const struct qcow2_next *t, u64 cluster)
{
	u64 block = cluster >> t->s->block_bits;

	if (block >= t->blocks || !t->block[block])
		return 0;
	return qcow2_refs_read(t->block[block],
			       cluster & ((1ULL << t->s->block_bits) - 1),
			       t->s->h.refcount_order);
}

static void next_set(struct qcow2_next *t, u64 cluster, u64 count)
{
	qcow2_refs_write(t->block[cluster >> t->s->block_bits],
			 cluster & ((1ULL << t->s->block_bits) - 1),
			 t->s->h.refcount_order, count);
}

int qcow2_next_add(struct qcow2_next *t, u64 cluster, int by)
{
	u64 count = qcow2_next_count(t, cluster);

	/* A table leads there: what is not counted is wrong before that. */
	if (!count)
		return by < 0 ? 0 : -EIO;
	if (by > 0 && count > qcow2_refs_max(t->s) - by)
		return -ERANGE;
	next_set(t, cluster, by < 0 && count < (u64)-by ? 0 : count + by);
	return 0;
}

/* ---- New clusters ---- */

static int next_note(struct qcow2_next *t, u64 offset)
{
	u64 *more;

	if (t->taken_count == t->taken_max) {
		more = realloc(t->taken, (t->taken_max + 256) * sizeof(*more));
		if (!more)
			return -ENOMEM;
		t->taken = more;
		t->taken_max += 256;
	}
	t->taken[t->taken_count++] = offset;
	return 0;
}

static int next_use(struct qcow2_next *t, u64 cluster)
{
	u64 block = cluster >> t->s->block_bits;
	int r;

	if (block >= NEXT_BLOCKS)
		return -EFBIG;
	if (!t->block[block])
		t->block[block] = calloc(1, t->s->cluster_size);
	if (!t->block[block])
		return -ENOMEM;
	t->blocks = MAX(t->blocks, block + 1);
	r = next_note(t, cluster << t->s->cluster_bits);
	if (r == 0)
		next_set(t, cluster, 1);
	return r;
}

int qcow2_next_take(struct qcow2_next *t, u64 clusters, u64 *ret_offset)
{
	u64 c = t->cursor, run = 0, count;
	int r = 0;

	/* What only the present state uses is not free yet. */
	for (; run < clusters && r == 0; c++) {
		if (c >= QCOW2_OFFSET >> t->s->cluster_bits)
			return -EFBIG;
		r = qcow2_refs_get(t->s, c, &count);
		run = count || qcow2_next_count(t, c) ? 0 : run + 1;
	}
	for (u64 i = c - run; i < c && r == 0; i++)
		r = next_use(t, i);
	if (r < 0)
		return r;
	if (clusters == 1)
		t->cursor = c;
	*ret_offset = (c - run) << t->s->cluster_bits;
	qcow2_refs_used(t->s, c << t->s->cluster_bits);
	return 0;
}

/* ---- The counts' own places ---- */

/* Every block that has none; `where` has room for all. */
static int next_place_blocks(struct qcow2_next *t, u64 *where)
	REQUIRES(t->s->lock)
{
	bool again = true;
	int r = 0;

	/* A new one may lie where there was none to count it. */
	while (again && r == 0) {
		again = false;
		for (u64 i = 0; i < t->blocks && r == 0; i++) {
			if (!t->block[i] || where[i])
				continue;
			r = qcow2_next_take(t, 1, &where[i]);
			again = true;
		}
	}
	return r;
}

/* Places blocks and table, which has `*ret_size` entries. */
static int next_place(struct qcow2_next *t, u64 *where, u64 *ret_offset,
		      u64 *ret_size) REQUIRES(t->s->lock)
{
	u64 bytes = 0, offset = 0;
	struct qcow2 *s = t->s;
	int r;

	do {
		for (u64 i = 0; i < bytes >> s->cluster_bits; i++)
			next_set(t, (offset >> s->cluster_bits) + i, 0);
		r = next_place_blocks(t, where);
		bytes = ALIGN_UP(MAX(t->blocks, s->table_size) * 8ULL,
				 s->cluster_size);
		if (r == 0 && bytes > QCOW2_TABLE_MAX)
			r = -EFBIG;
		if (r == 0)
			r = qcow2_next_take(t, bytes >> s->cluster_bits,
					    &offset);
		if (r == 0)
			r = next_place_blocks(t, where);
	} while (r == 0 && t->blocks * 8 > bytes);
	*ret_offset = offset;
	*ret_size = bytes / 8;
	return r;
}

static void next_drop_old(struct qcow2_next *t) REQUIRES(t->s->lock)
{
	struct qcow2 *s = t->s;
	u64 table = s->h.refcount_offset >> s->cluster_bits;

	for (u64 i = 0; i < s->table_size; i++)
		if (s->table[i] & QCOW2_TABLE)
			(void)qcow2_next_add(t,
					     (s->table[i] & QCOW2_TABLE) >>
						     s->cluster_bits,
					     -1);
	for (u64 i = 0; i < s->h.refcount_clusters; i++)
		(void)qcow2_next_add(t, table + i, -1);
}

static int next_write(struct qcow2_next *t, const u64 *where, u64 offset,
		      u64 size) REQUIRES(t->s->lock)
{
	u64 *raw = calloc(size, 8);
	int r = raw ? 0 : -ENOMEM;

	for (u64 i = 0; i < t->blocks && r == 0; i++) {
		if (!where[i])
			continue;
		put_be64(raw + i, where[i]);
		r = qcow2_pwrite(t->s, where[i], t->block[i],
				 t->s->cluster_size);
	}
	if (r == 0)
		r = qcow2_pwrite(t->s, offset, raw, size * 8);
	free(raw);
	return r < 0 ? r : qcow2_sync(t->s);
}

/* ---- The switch ---- */

/* What only the state before used, back to the host. */
static void next_discard(struct qcow2_next *t) REQUIRES(t->s->lock)
{
	u64 end = file_length(t->s->file) >> t->s->cluster_bits, run = 0;
	struct qcow2 *s = t->s;
	u64 count = 0;

	for (u64 c = 0; s->unmap && c <= end; c++) {
		bool gone = c < end && !qcow2_next_count(t, c) &&
			    qcow2_refs_get(t->s, c, &count) == 0 && count;

		if (gone) {
			run++;
			continue;
		}
		if (run)
			(void)node_rw(s->file, BLOCK_DISCARD, NULL, 0,
				      (c - run) << s->cluster_bits,
				      run << s->cluster_bits);
		run = 0;
	}
}

static void next_adopt(struct qcow2_next *t, const struct qcow2_roots *to,
		       u64 *table, u64 offset, u64 size, u8 *l1_touched,
		       u8 *table_touched) REQUIRES(t->s->lock)
{
	struct qcow2 *s = t->s;

	lock_acquire(&s->map);
	free(s->l1);
	free(s->l1_touched);
	free(s->table);
	free(s->table_touched);
	s->l1 = to->l1;
	s->l1_touched = l1_touched;
	s->h.l1_size = to->l1_size;
	s->h.l1_offset = to->l1_offset;
	s->h.size = s->node.size = to->size;
	s->h.refcount_offset = offset;
	s->h.refcount_clusters = size * 8 >> s->cluster_bits;
	lock_release(&s->map);
	s->h.snapshots = to->snapshots;
	s->h.snapshots_offset = to->snapshots_offset;
	s->table = table;
	s->table_size = size;
	s->table_touched = table_touched;
	s->table_dirty = s->l1_dirty = false;
	s->hint = 0;
	s->packed_left = 0;
	qcow2_cache_clear(&s->refs);
	qcow2_cache_clear_maps(t->s);
	qcow2_forget_packed(s);
}

/* Bytes 24 to 71 of the header; no encryption. */
static int next_header(struct qcow2 *s, const struct qcow2_roots *to,
		       u64 offset, u64 size) REQUIRES(s->lock)
{
	u8 raw[48] = { 0 };

	put_be64(raw, to->size);
	put_be32(raw + 12, to->l1_size);
	put_be64(raw + 16, to->l1_offset);
	put_be64(raw + 24, offset);
	put_be32(raw + 32, size * 8 >> s->cluster_bits);
	put_be32(raw + 36, to->snapshots);
	put_be64(raw + 40, to->snapshots_offset);
	return qcow2_header_write(s, 24, raw, sizeof(raw));
}

int qcow2_next_commit(struct qcow2_next *t, const struct qcow2_roots *to)
{
	u64 *where = calloc(NEXT_BLOCKS, sizeof(*where));
	u8 *l1_touched = calloc(to->l1_size / 64 + 1, 1), *touched = NULL;
	u64 offset = 0, size = 0, *table;
	int r = where && l1_touched ? 0 : -ENOMEM;

	if (r == 0)
		r = next_place(t, where, &offset, &size);
	if (r == 0) {
		next_drop_old(t);
		touched = calloc(size / 64 + 1, 1);
		r = touched ? next_write(t, where, offset, size) : -ENOMEM;
	}
	if (r == 0) {
		r = next_header(t->s, to, offset, size);
		t->taken_count = 0; /* it may refer to them */
	}
	if (r < 0) {
		free(where);
		free(l1_touched);
		free(touched);
		free(to->l1);
		return r;
	}
	/* It is the state of the image, whether or not this says that it is
	 * on the disk. */
	r = qcow2_sync(t->s);
	if (r == 0)
		next_discard(t);
	table = realloc(where, size * sizeof(*where));
	next_adopt(t, to, table ? table : where, offset, size, l1_touched,
		   touched);
	return r;
}
