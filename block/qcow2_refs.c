/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * qcow2: reference counts, finding free clusters and giving them back.
 *
 * A cluster that the tables on the disk may still refer to must not get
 * another use, so it waits in `gone` until they no longer do.
 *
 * Spec: qcow2.txt "Host cluster management".
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/qcow2.h"
#include "lib/bytes.h"

#define REFS_GONE_MAX 4096u

/* ---- One count ---- */

u64 qcow2_refs_read(const u8 *block, u64 index, u32 order)
{
	switch (order) {
	case 3: return block[index];
	case 4: return get_be16(block + index * 2);
	case 5: return get_be32(block + index * 4);
	case 6: return get_be64(block + index * 8);
	default:
		return (block[index >> (3 - order)] >> (index << order) % 8) &
		       ((1u << (1u << order)) - 1);
	}
}

void qcow2_refs_write(u8 *block, u64 index, u32 order, u64 value)
{
	u8 *byte = block + (index >> (3 - MIN(order, 3u)));
	u32 shift = (index << order) % 8;
	u32 mask = (1u << (1u << MIN(order, 3u))) - 1;

	switch (order) {
	case 3: block[index] = value; break;
	case 4: put_be16(block + index * 2, value); break;
	case 5: put_be32(block + index * 4, value); break;
	case 6: put_be64(block + index * 8, value); break;
	default: *byte = (*byte & ~(mask << shift)) | value << shift;
	}
}

u64 qcow2_refs_max(const struct qcow2 *s)
{
	u32 bits = 1u << s->h.refcount_order;

	return bits == 64 ? UINT64_MAX : (1ULL << bits) - 1;
}

/* The slice with the count of `cluster`; NULL: there is no block for it. */
static int refs_slice(struct qcow2 *s, u64 cluster, struct qcow2_slice **ret,
		      u64 *ret_index) REQUIRES(s->lock)
{
	u64 block = cluster >> s->block_bits;
	u64 index = cluster & ((1ULL << s->block_bits) - 1);
	u64 per_slice = ((u64)s->refs.bytes * 8) >> s->h.refcount_order;
	u64 offset = block < s->table_size ? s->table[block] & QCOW2_TABLE : 0;

	*ret = NULL;
	*ret_index = index % per_slice;
	if (!offset)
		return 0;
	if (offset & (s->cluster_size - 1))
		return qcow2_broken(s, "a refcount block's offset");
	return qcow2_cache_load(
		s, &s->refs, offset + index / per_slice * s->refs.bytes, ret);
}

int qcow2_refs_get(struct qcow2 *s, u64 cluster, u64 *ret)
{
	struct qcow2_slice *e;
	u64 index;
	int r = refs_slice(s, cluster, &e, &index);

	if (r < 0)
		return r;
	*ret = e ? qcow2_refs_read(e->data, index, s->h.refcount_order) : 0;
	return 0;
}

int qcow2_refs_set(struct qcow2 *s, u64 cluster, u64 value)
{
	struct qcow2_slice *e;
	u64 index;
	int r = refs_slice(s, cluster, &e, &index);

	if (r < 0)
		return r;
	if (!e || value > qcow2_refs_max(s))
		return -ERANGE;
	qcow2_refs_write(e->data, index, s->h.refcount_order, value);
	e->dirty = true;
	s->refs.dirty = true;
	return 0;
}

int qcow2_refs_add(struct qcow2 *s, u64 cluster, int by)
{
	u64 count;
	int r = qcow2_refs_get(s, cluster, &count);

	if (r < 0)
		return r;
	if ((by < 0 && count < (u64)-by) ||
	    (by > 0 && count > qcow2_refs_max(s) - by))
		return -ERANGE;
	return qcow2_refs_set(s, cluster, count + by);
}

/* ---- Refcount blocks ---- */

void qcow2_refs_used(struct qcow2 *s, u64 end)
{
	if (s->fresh != UINT64_MAX)
		s->fresh = MAX(s->fresh, end);
}

/* Clusters that hold tables from now on, and are zero. */
static int refs_clear(struct qcow2 *s, u64 offset, u64 bytes) REQUIRES(s->lock)
{
	bool fresh = offset >= s->fresh;

	qcow2_cache_forget(s, &s->l2, offset, bytes);
	qcow2_cache_forget(s, &s->refs, offset, bytes);
	qcow2_refs_used(s, offset + bytes);
	return fresh ? 0 : qcow2_pzero(s, offset, bytes);
}

/* A block for `cluster`, which has none: its first free cluster is as good a
 * place as any, so the block is put there and counts itself. */
static int refs_new_block(struct qcow2 *s, u64 cluster) REQUIRES(s->lock)
{
	u64 offset = cluster << s->cluster_bits;
	u64 block = cluster >> s->block_bits;
	int r = refs_clear(s, offset, s->cluster_size);

	if (r < 0)
		return r;
	s->table[block] = offset;
	r = qcow2_refs_add(s, cluster, 1);
	if (r < 0) {
		s->table[block] = 0;
		return r;
	}
	s->table_touched[block / 64] = 1;
	s->table_dirty = true;
	return 0;
}

/* Writes the blocks for the clusters from `start` to `end`, the first of
 * which they are. */
static int refs_write_blocks(struct qcow2 *s, u64 start, u64 blocks, u64 end)
	REQUIRES(s->lock)
{
	u64 per_block = 1ULL << s->block_bits;
	u8 *buf = malloc(s->cluster_size);
	int r = buf ? 0 : -ENOMEM;

	for (u64 i = 0; i < blocks && r == 0; i++) {
		u64 first = start + i * per_block;

		memset(buf, 0, s->cluster_size);
		for (u64 c = first; c < end && c < first + per_block; c++)
			qcow2_refs_write(buf, c - first, s->h.refcount_order,
					 1);
		r = qcow2_pwrite(s, (start + i) << s->cluster_bits, buf,
				 s->cluster_size);
	}
	free(buf);
	return r;
}

static int refs_switch_table(struct qcow2 *s, u64 *table, u32 size, u64 offset)
	REQUIRES(s->lock)
{
	/* Up to the width of counts, which version 3 has. */
	u8 header[52], *touched;
	u64 *raw = malloc(size * 8ULL);
	u32 len = s->h.version < 3 ? 12 : sizeof(header);
	int r;

	touched = calloc(size / 64 + 1, 1);
	if (!raw || !touched) {
		free(raw);
		free(touched);
		return -ENOMEM;
	}
	for (u32 i = 0; i < size; i++)
		put_be64(raw + i, table[i]);
	r = qcow2_pwrite(s, offset, raw, size * 8ULL);
	free(raw);
	if (r == 0)
		r = qcow2_pread(s, 48, header, sizeof(header));
	put_be64(header, offset);
	put_be32(header + 8, (size * 8ULL) >> s->cluster_bits);
	put_be32(header + 48, s->h.refcount_order);
	if (r == 0)
		r = qcow2_sync(s);
	if (r == 0)
		r = qcow2_header_write(s, 48, header, len);
	if (r == 0)
		r = qcow2_sync(s);
	if (r < 0) {
		free(touched);
		return r;
	}
	free(s->table);
	free(s->table_touched);
	s->table = table;
	s->table_size = size;
	s->table_touched = touched;
	lock_acquire(&s->map);
	s->h.refcount_offset = offset;
	s->h.refcount_clusters = (size * 8ULL) >> s->cluster_bits;
	lock_release(&s->map);
	return 0;
}

/* A larger refcount table behind all clusters that the present one covers,
 * together with the blocks that count it. */
static int refs_grow(struct qcow2 *s) REQUIRES(s->lock)
{
	u64 start = (u64)s->table_size << s->block_bits;
	u64 size = MIN(s->table_size * 2ULL, QCOW2_TABLE_MAX / 8);
	u64 clusters = (size * 8) >> s->cluster_bits;
	u64 old = s->h.refcount_offset, old_bytes = s->table_size * 8ULL;
	u64 blocks = 1, end;
	u64 *table;
	int r;

	while (blocks << s->block_bits < clusters + blocks)
		blocks++;
	if (s->table_size + blocks > size)
		return -EFBIG;
	end = start + blocks + clusters;
	r = qcow2_write_back(s);
	if (r < 0)
		return r;
	table = calloc(size, 8);
	if (!table)
		return -ENOMEM;
	memcpy(table, s->table, s->table_size * 8ULL);
	for (u64 i = 0; i < blocks; i++)
		table[s->table_size + i] = (start + i) << s->cluster_bits;
	r = refs_write_blocks(s, start, blocks, end);
	if (r == 0)
		r = refs_switch_table(s, table, size,
				      (start + blocks) << s->cluster_bits);
	if (r < 0) {
		free(table);
		return r;
	}
	qcow2_cache_forget(s, &s->refs, start << s->cluster_bits,
			   (end - start) << s->cluster_bits);
	qcow2_refs_used(s, end << s->cluster_bits);
	qcow2_free(s, old, old_bytes);
	return 0;
}

static int refs_rebuild_blocks(struct qcow2 *s, const u32 *count, u64 clusters,
			       u64 blocks, u64 end) REQUIRES(s->lock)
{
	u64 per_block = 1ULL << s->block_bits;
	u8 *buf = malloc(s->cluster_size);
	int r = buf ? 0 : -ENOMEM;

	for (u64 i = 0; i < blocks && r == 0; i++) {
		u64 c = i * per_block, stop = MIN(end, c + per_block);

		memset(buf, 0, s->cluster_size);
		for (; c < stop; c++)
			qcow2_refs_write(buf, c % per_block,
					 s->h.refcount_order,
					 c < clusters ? count[c] : 1);
		r = qcow2_pwrite(s, (clusters + i) << s->cluster_bits, buf,
				 s->cluster_size);
	}
	free(buf);
	return r;
}

int qcow2_refs_rebuild(struct qcow2 *s, const u32 *count, u64 clusters)
{
	u64 per_cluster = s->cluster_size / 8;
	u64 blocks = 1, tables = 1, end;
	u64 *table;
	int r;

	do {
		end = clusters + blocks + tables;
		blocks = (end + (1ULL << s->block_bits) - 1) >> s->block_bits;
		tables = (blocks + per_cluster - 1) / per_cluster;
	} while (end != clusters + blocks + tables);
	if (tables << s->cluster_bits > QCOW2_TABLE_MAX)
		return -EFBIG;
	table = calloc(tables * per_cluster, 8);
	if (!table)
		return -ENOMEM;
	for (u64 i = 0; i < blocks; i++)
		table[i] = (clusters + i) << s->cluster_bits;
	r = refs_rebuild_blocks(s, count, clusters, blocks, end);
	qcow2_cache_clear(&s->refs);
	/* The old table is not counted any more. */
	if (r == 0)
		r = refs_switch_table(s, table, tables * per_cluster,
				      (clusters + blocks) << s->cluster_bits);
	if (r < 0) {
		free(table);
		return r;
	}
	s->table_dirty = false;
	s->hint = 0;
	qcow2_refs_used(s, end << s->cluster_bits);
	return 0;
}

/* ---- Allocation ---- */

/* Whether `cluster` is free, after making sure that it can be counted. */
static int refs_is_free(struct qcow2 *s, u64 cluster, bool *ret)
	REQUIRES(s->lock)
{
	u64 block = cluster >> s->block_bits, count;
	int r = 0;

	if (cluster >= (QCOW2_OFFSET + 512) >> s->cluster_bits)
		return -EFBIG;
	if (block >= s->table_size)
		r = refs_grow(s);
	else if (!s->table[block])
		r = refs_new_block(s, cluster);
	if (r == 0)
		r = qcow2_refs_get(s, cluster, &count);
	if (r == 0)
		*ret = count == 0;
	return r;
}

int qcow2_alloc(struct qcow2 *s, u64 want, u64 *ret_offset, u64 *ret_count,
		bool *fresh)
{
	u64 first = s->hint, n = 0;
	bool is_free = false;
	int r = 0;

	for (; r == 0; first += !is_free) {
		r = refs_is_free(s, first, &is_free);
		if (is_free)
			break;
	}
	while (r == 0 && is_free && n < want) {
		r = qcow2_refs_add(s, first + n, 1);
		if (r < 0)
			break;
		n++;
		/* Not into a block that would have to be made. */
		if (((first + n) & ((1ULL << s->block_bits) - 1)) == 0)
			break;
		r = refs_is_free(s, first + n, &is_free);
	}
	s->hint = first + n;
	if (n == 0)
		return r;
	*ret_offset = first << s->cluster_bits;
	*ret_count = n;
	*fresh = *ret_offset >= s->fresh;
	qcow2_refs_used(s, s->hint << s->cluster_bits);
	return 0;
}

int qcow2_alloc_table(struct qcow2 *s, u64 count, u64 *ret_offset)
{
	static const u8 zero[BLOCK_SECTOR];
	u64 offset = 0, got = 0, at, n, end;
	u64 hint = s->hint;
	bool fresh;
	int r;

	/* Few need more than one; a gap that is too small is given back. */
	while (got < count) {
		r = qcow2_alloc(s, count - got, &at, &n, &fresh);
		if (r < 0) {
			qcow2_free(s, offset, got << s->cluster_bits);
			s->hint = MIN(s->hint, hint);
			return r;
		}
		if (got && at == offset + (got << s->cluster_bits)) {
			got += n;
			continue;
		}
		qcow2_free(s, offset, got << s->cluster_bits);
		s->hint = (at >> s->cluster_bits) + n;
		offset = at;
		got = n;
	}
	if (count > 1)
		s->hint = hint;
	qcow2_cache_forget(s, &s->l2, offset, count << s->cluster_bits);
	qcow2_cache_forget(s, &s->refs, offset, count << s->cluster_bits);
	end = offset + (count << s->cluster_bits);
	r = qcow2_pzero(s, offset, end - offset);
	/* The end of the file, too: nothing else may come to be written. */
	if (r == 0)
		r = qcow2_pwrite(s, end - sizeof(zero), zero, sizeof(zero));
	if (r < 0) {
		qcow2_free(s, offset, end - offset);
		return r;
	}
	*ret_offset = offset;
	return 0;
}

/* ---- Giving back ---- */

void qcow2_free(struct qcow2 *s, u64 offset, u64 bytes)
{
	u64 end = offset + bytes, count;

	if (!bytes)
		return;
	for (u64 c = offset >> s->cluster_bits; c << s->cluster_bits < end;
	     c++) {
		/* What cannot be counted down stays: a leak, no more. */
		if (qcow2_refs_add(s, c, -1) < 0 ||
		    qcow2_refs_get(s, c, &count) < 0 || count)
			continue;
		s->hint = MIN(s->hint, c);
		if (s->packed_left && s->packed_at >> s->cluster_bits == c)
			s->packed_left = 0;
		if (s->unmap)
			(void)node_rw(s->file, BLOCK_DISCARD, NULL, 0,
				      c << s->cluster_bits, s->cluster_size);
	}
}

void qcow2_free_later(struct qcow2 *s, u64 offset, u64 bytes)
{
	struct qcow2_gone *last, *more;

	last = s->gone_count ? &s->gone[s->gone_count - 1] : NULL;
	/* Compressed clusters share theirs: each is counted by itself. */
	if (last && last->generation == s->generation &&
	    last->offset + last->bytes == offset &&
	    !((offset | bytes | last->offset) & (s->cluster_size - 1))) {
		last->bytes += bytes;
		return;
	}
	if (s->gone_count == s->gone_max) {
		more = realloc(s->gone, (s->gone_max + 256) * sizeof(*more));
		if (!more)
			return;
		s->gone = more;
		s->gone_max += 256;
	}
	s->gone[s->gone_count++] = (struct qcow2_gone){
		.offset = offset,
		.bytes = bytes,
		.generation = s->generation,
	};
}

void qcow2_free_now(struct qcow2 *s, u64 generation)
{
	u32 kept = 0;

	for (u32 i = 0; i < s->gone_count; i++) {
		struct qcow2_gone g = s->gone[i];

		if (g.generation < generation)
			qcow2_free(s, g.offset, g.bytes);
		else
			s->gone[kept++] = g;
	}
	s->gone_count = kept;
}

int qcow2_free_some(struct qcow2 *s)
{
	int r;

	if (s->gone_count < REFS_GONE_MAX)
		return 0;
	r = qcow2_write_back(s);
	if (r == 0)
		r = qcow2_sync(s);
	if (r == 0)
		qcow2_free_now(s, s->generation);
	return r;
}
