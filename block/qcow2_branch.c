/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * qcow2: taking, going back to and deleting internal snapshots.
 *
 * A snapshot is one more reference to every cluster that an L1 table leads
 * to.  References are on the disk before anything refers, and go when nothing
 * does any more, so that a crash leaves clusters that are counted too often.
 *
 * Locking: nothing is in flight.
 *
 * Spec: qcow2.txt "Snapshots".
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "block/image.h"
#include "block/qcow2.h"
#include "lib/bytes.h"
#include "lib/err.h"

#define BRANCH_EXTRA 24u /* sizes of the state and the disk, instructions */

/* ---- References ---- */

static int branch_count(struct qcow2 *s, u64 offset, u64 bytes, int by)
	REQUIRES(s->lock)
{
	u64 end = offset + bytes;
	int r = 0;

	if (by < 0) {
		qcow2_free(s, offset, bytes);
		return 0;
	}
	for (u64 c = offset >> s->cluster_bits;
	     c << s->cluster_bits < end && r == 0; c++)
		r = qcow2_refs_add(s, c, by);
	return r;
}

static int branch_count_table(struct qcow2 *s, const u8 *table, int by)
	REQUIRES(s->lock)
{
	int r = 0;

	for (u32 n = 0; n < 1u << s->l2_bits && r == 0; n++) {
		struct qcow2_entry e =
			qcow2_entry_read(s, table + n * s->entry_bytes);
		u64 offset = e.desc & QCOW2_OFFSET, bytes = s->cluster_size;

		if (e.desc & QCOW2_COMPRESSED)
			qcow2_packed_range(s, e.desc, &offset, &bytes);
		else if (!offset)
			continue;
		else if (offset & (s->cluster_size - 1))
			return -EIO;
		r = branch_count(s, offset, bytes, by);
	}
	return r;
}

/* Everything that an L1 table leads to; the file is up to date. */
static int branch_count_all(struct qcow2 *s, const u64 *l1, u32 size, int by)
	REQUIRES(s->lock)
{
	u8 *table = malloc(s->cluster_size);
	int r = table ? 0 : -ENOMEM;

	for (u32 i = 0; i < size && r == 0; i++) {
		u64 offset = l1[i] & QCOW2_OFFSET;

		if (!offset)
			continue;
		r = offset & (s->cluster_size - 1) ? -EIO : 0;
		if (r == 0)
			r = qcow2_pread(s, offset, table, s->cluster_size);
		if (r == 0)
			r = branch_count_table(s, table, by);
		if (r == 0)
			r = branch_count(s, offset, s->cluster_size, by);
	}
	free(table);
	return r;
}

/* ---- Flags ---- */

/* Says in `entry` whether its cluster has one reference. */
static int branch_flag(struct qcow2 *s, u64 *entry, bool *changed)
	REQUIRES(s->lock)
{
	u64 count, was = *entry;
	int r;

	if (!(was & QCOW2_OFFSET))
		return 0;
	r = qcow2_refs_get(s, (was & QCOW2_OFFSET) >> s->cluster_bits, &count);
	*entry = count == 1 ? was | QCOW2_COPIED : was & ~QCOW2_COPIED;
	*changed |= *entry != was;
	return r;
}

static int branch_flag_table(struct qcow2 *s, u64 offset, u8 *table)
	REQUIRES(s->lock)
{
	bool changed = false;
	int r = qcow2_pread(s, offset, table, s->cluster_size);

	for (u32 n = 0; n < 1u << s->l2_bits && r == 0; n++) {
		u64 desc = get_be64(table + n * s->entry_bytes);

		if (desc & QCOW2_COMPRESSED)
			continue;
		r = branch_flag(s, &desc, &changed);
		put_be64(table + n * s->entry_bytes, desc);
	}
	if (r == 0 && changed)
		r = qcow2_pwrite(s, offset, table, s->cluster_size);
	return r;
}

/* For the active tables, which alone have them. */
static int branch_flags(struct qcow2 *s) REQUIRES(s->lock)
{
	u8 *table = malloc(s->cluster_size);
	int r = table ? 0 : -ENOMEM;

	for (u32 i = 0; i < s->h.l1_size && r == 0; i++) {
		u64 entry = s->l1[i];
		bool changed = false;

		if (!(entry & QCOW2_OFFSET))
			continue;
		r = branch_flag_table(s, entry & QCOW2_OFFSET, table);
		if (r == 0)
			r = branch_flag(s, &entry, &changed);
		if (r < 0 || !changed)
			continue;
		lock_acquire(&s->map);
		s->l1[i] = entry;
		lock_release(&s->map);
		s->l1_touched[i / 64] = 1;
		s->l1_dirty = true;
	}
	free(table);
	qcow2_cache_clear_maps(s);
	if (r == 0)
		r = qcow2_write_back(s);
	return r < 0 ? r : qcow2_sync(s);
}

/* ---- The table of snapshots ---- */

static u64 branch_put(u8 *at, const struct qcow2_snapshot *p)
{
	size_t id = strlen(p->id), name = strlen(p->name);

	put_be64(at, p->l1_offset);
	put_be32(at + 8, p->l1_size);
	put_be16(at + 12, id);
	put_be16(at + 14, name);
	put_be32(at + 16, p->seconds);
	put_be32(at + 20, p->nanoseconds);
	put_be64(at + 24, p->vm_clock_ns);
	put_be32(at + 32, p->vm_bytes > UINT32_MAX ? 0 : p->vm_bytes);
	put_be32(at + 36, p->extra_bytes);
	memcpy(at + 40, p->extra, p->extra_bytes);
	memcpy(at + 40 + p->extra_bytes, p->id, id);
	memcpy(at + 40 + p->extra_bytes + id, p->name, name);
	return ALIGN_UP(40ULL + p->extra_bytes + id + name, 8ULL);
}

static u64 branch_bytes(const struct qcow2_snapshot *list, u32 count)
{
	u64 bytes = 0;

	for (u32 i = 0; i < count; i++)
		bytes += ALIGN_UP(40ULL + list[i].extra_bytes +
					  strlen(list[i].id) +
					  strlen(list[i].name),
				  8ULL);
	return bytes;
}

/* Writes the list to a new place and makes the header name it. */
static int branch_store(struct qcow2 *s, const struct qcow2_snapshot *list,
			u32 count, u64 old_bytes) REQUIRES(s->lock)
{
	u64 bytes = branch_bytes(list, count), at = 0, offset = 0;
	u64 old = s->h.snapshots_offset;
	u8 *raw = calloc(1, bytes + 8), header[12];
	int r = raw ? 0 : -ENOMEM;

	if (r == 0 && bytes)
		r = qcow2_alloc_table(
			s, (bytes + s->cluster_size - 1) >> s->cluster_bits,
			&offset);
	for (u32 i = 0; i < count && r == 0; i++)
		at += branch_put(raw + at, &list[i]);
	if (r == 0)
		r = qcow2_pwrite(s, offset, raw, bytes);
	free(raw);
	if (r == 0)
		r = qcow2_write_back(s);
	if (r == 0)
		r = qcow2_sync(s);
	put_be32(header, count);
	put_be64(header + 4, offset);
	if (r == 0)
		r = qcow2_header_write(s, 60, header, sizeof(header));
	if (r == 0)
		r = qcow2_sync(s);
	if (r < 0)
		return r;
	s->h.snapshots = count;
	s->h.snapshots_offset = offset;
	if (old)
		qcow2_free(s, old, old_bytes);
	return 0;
}

/* ---- Taking one ---- */

static int branch_name(struct qcow2_snapshot *list, u32 count, const char *name)
{
	struct qcow2_snapshot *p = &list[count];
	unsigned long id = 0, n;
	struct timespec now;
	char text[24];

	for (u32 i = 0; i < count; i++) {
		n = strtoul(list[i].id, NULL, 10);
		id = MAX(id, n);
	}
	snprintf(text, sizeof(text), "%lu", id + 1);
	clock_gettime(CLOCK_REALTIME, &now);
	p->id = strdup(text);
	p->name = strdup(name);
	p->extra = calloc(1, BRANCH_EXTRA);
	p->extra_bytes = BRANCH_EXTRA;
	p->seconds = now.tv_sec;
	p->nanoseconds = now.tv_nsec;
	return p->id && p->name && p->extra ? 0 : -ENOMEM;
}

/* A copy of an L1 table, without flags, at a place of its own. */
static int branch_copy_l1(struct qcow2 *s, const u64 *l1, u32 size, u32 room,
			  u64 *ret) REQUIRES(s->lock)
{
	u64 bytes = ALIGN_UP(MAX(room, 1) * 8ULL, s->cluster_size);
	u8 *raw = calloc(1, bytes);
	int r = raw ? 0 : -ENOMEM;

	if (r == 0)
		r = qcow2_alloc_table(s, bytes >> s->cluster_bits, ret);
	for (u32 i = 0; i < size && r == 0; i++)
		put_be64(raw + i * 8ULL, l1[i] & ~QCOW2_COPIED);
	if (r == 0)
		r = qcow2_pwrite(s, *ret, raw, bytes);
	free(raw);
	return r;
}

/* `list` has room for one more. */
static int branch_take(struct qcow2 *s, struct qcow2_snapshot *list,
		       u64 old_bytes, const char *name) REQUIRES(s->lock)
{
	u32 count = s->h.snapshots;
	struct qcow2_snapshot *p = &list[count];
	int r = branch_name(list, count, name);

	if (r == 0)
		r = branch_count_all(s, s->l1, s->h.l1_size, 1);
	if (r == 0)
		r = branch_copy_l1(s, s->l1, s->h.l1_size, s->h.l1_size,
				   &p->l1_offset);
	p->l1_size = s->h.l1_size;
	if (r == 0)
		put_be64(p->extra + 8, s->h.size);
	if (r == 0)
		r = qcow2_write_back(s);
	if (r == 0)
		r = qcow2_sync(s);
	if (r == 0)
		r = branch_flags(s);
	return r < 0 ? r : branch_store(s, list, count + 1, old_bytes);
}

/* ---- Deleting one ---- */

static int branch_delete(struct qcow2 *s, struct qcow2_snapshot *list,
			 u64 old_bytes, u32 n, const u64 *l1) REQUIRES(s->lock)
{
	struct qcow2_snapshot gone = list[n];
	u32 count = s->h.snapshots;
	int r;

	memmove(&list[n], &list[n + 1], (count - n - 1) * sizeof(*list));
	list[count - 1] = gone; /* for who frees the list */
	r = branch_store(s, list, count - 1, old_bytes);
	if (r == 0)
		r = branch_count_all(s, l1, gone.l1_size, -1);
	if (r == 0)
		qcow2_free(s, gone.l1_offset, gone.l1_size * 8ULL);
	if (r == 0)
		r = qcow2_write_back(s);
	if (r == 0)
		r = qcow2_sync(s);
	return r < 0 ? r : branch_flags(s);
}

/* ---- Going back to one ---- */

/* The active table is another from now on. */
static int branch_switch(struct qcow2 *s, const struct qcow2_snapshot *p,
			 const u64 *l1, u64 size) REQUIRES(s->lock)
{
	u32 shift = s->cluster_bits + s->l2_bits;
	u32 need = size ? ((size - 1) >> shift) + 1 : 0;
	u32 room = MAX(p->l1_size, need);
	u64 *table = calloc(MAX(room, 1), 8), offset;
	u8 *touched = calloc(room / 64 + 1, 1), header[24];
	int r = table && touched ? 0 : -ENOMEM;

	if (r == 0)
		r = branch_copy_l1(s, l1, p->l1_size, room, &offset);
	if (r == 0)
		r = qcow2_write_back(s);
	if (r == 0)
		r = qcow2_sync(s);
	/* Size, encryption (none), size and place of the table: one sector. */
	put_be64(header, size);
	put_be32(header + 8, 0);
	put_be32(header + 12, room);
	if (r == 0)
		put_be64(header + 16, offset);
	if (r == 0)
		r = qcow2_header_write(s, 24, header, sizeof(header));
	if (r == 0)
		r = qcow2_sync(s);
	if (r < 0) {
		free(table);
		free(touched);
		return r;
	}
	for (u32 i = 0; i < p->l1_size; i++)
		table[i] = l1[i] & ~QCOW2_COPIED;
	free(s->l1);
	free(s->l1_touched);
	lock_acquire(&s->map);
	s->l1 = table;
	s->l1_touched = touched;
	s->h.l1_size = room;
	s->h.l1_offset = offset;
	s->h.size = s->node.size = size;
	lock_release(&s->map);
	qcow2_cache_clear_maps(s);
	return 0;
}

static int branch_apply(struct qcow2 *s, const struct qcow2_snapshot *p,
			const u64 *l1) REQUIRES(s->lock)
{
	u64 size = p->disk_bytes ? p->disk_bytes : s->h.size;
	u64 old_offset = s->h.l1_offset, *old;
	u32 old_size = s->h.l1_size;
	int r;

	if (size > (u64)INT64_MAX - s->cluster_size ||
	    (size && ((size - 1) >> (s->cluster_bits + s->l2_bits)) >=
			     QCOW2_L1_MAX / 8))
		return -EFBIG;
	old = malloc(MAX(old_size, 1) * 8ULL);
	if (!old)
		return -ENOMEM;
	memcpy(old, s->l1, old_size * 8ULL);
	r = branch_count_all(s, l1, p->l1_size, 1);
	if (r == 0)
		r = branch_switch(s, p, l1, size);
	if (r == 0)
		r = branch_count_all(s, old, old_size, -1);
	if (r == 0)
		qcow2_free(s, old_offset, old_size * 8ULL);
	free(old);
	if (r == 0)
		r = qcow2_write_back(s);
	if (r == 0)
		r = qcow2_sync(s);
	return r < 0 ? r : branch_flags(s);
}

/* ---- The three of them ---- */

static int branch_find(const struct qcow2_snapshot *list, u32 count,
		       const char *name, bool by_id, u32 *ret)
{
	for (u32 i = 0; by_id && i < count; i++)
		if (!strcmp(list[i].id, name)) {
			*ret = i;
			return 0;
		}
	for (u32 i = 0; i < count; i++)
		if (!strcmp(list[i].name, name)) {
			*ret = i;
			return 0;
		}
	return -ENOENT;
}

static int branch_run(struct qcow2 *s, enum image_snapshot_op op,
		      struct qcow2_snapshot *list, u64 bytes, const char *name)
	REQUIRES(s->lock)
{
	u64 *l1 = NULL;
	u32 n = 0;
	int r = 0;

	if (op != IMAGE_SNAPSHOT_CREATE)
		r = branch_find(list, s->h.snapshots, name,
				op == IMAGE_SNAPSHOT_APPLY, &n);
	if (r == 0)
		r = qcow2_prepare(s);
	if (r == 0)
		r = qcow2_write_back(s);
	if (r == 0)
		r = qcow2_sync(s);
	if (r == 0 && op != IMAGE_SNAPSHOT_CREATE)
		r = qcow2_table_load(s, list[n].l1_offset, list[n].l1_size,
				     &l1);
	if (r == 0)
		r = op == IMAGE_SNAPSHOT_CREATE
			    ? branch_take(s, list, bytes, name)
		    : op == IMAGE_SNAPSHOT_DELETE
			    ? branch_delete(s, list, bytes, n, l1)
			    : branch_apply(s, &list[n], l1);
	free(l1);
	return r;
}

int qcow2_branch(struct block_node *n, enum image_snapshot_op op,
		 const char *name, struct err *err)
{
	struct qcow2 *s = container_of(n, struct qcow2, node);
	struct qcow2_snapshot *list;
	u32 count = s->h.snapshots;
	u64 bytes;
	int r = qcow2_snapshots_load(s, &list, &bytes);

	if (r < 0)
		return err_code(err, r, "the table of snapshots");
	if (op == IMAGE_SNAPSHOT_CREATE && count >= QCOW2_SNAPSHOT_MAX)
		r = -EFBIG;
	if (strlen(name) > 65535)
		r = -ENAMETOOLONG;
	lock_acquire(&s->lock);
	if (r == 0)
		r = branch_run(s, op, list, bytes, name);
	lock_release(&s->lock);
	qcow2_snapshots_free(list, count + 1);
	return r < 0 ? err_code(err, r, "snapshot") : 0;
}

int qcow2_snapshots(struct block_node *n, struct image_snapshot **ret,
		    u32 *ret_count)
{
	struct qcow2 *s = container_of(n, struct qcow2, node);
	struct qcow2_snapshot *list;
	u32 count = s->h.snapshots;
	u64 bytes;
	int r = qcow2_snapshots_load(s, &list, &bytes);

	if (r < 0)
		return r;
	*ret = calloc(MAX(count, 1), sizeof(**ret));
	for (u32 i = 0; *ret && i < count; i++) {
		struct qcow2_snapshot *p = &list[i];

		(*ret)[i] = (struct image_snapshot){
			.id = p->id,
			.name = p->name,
			.vm_bytes = p->vm_bytes,
			.seconds = p->seconds,
			.nanoseconds = p->nanoseconds,
			.clock_ns = p->vm_clock_ns,
			.icount = p->extra_bytes >= 24 ? get_be64(p->extra + 16)
						       : UINT64_MAX,
		};
		p->id = p->name = NULL;
	}
	qcow2_snapshots_free(list, count);
	*ret_count = count;
	return *ret ? 0 : -ENOMEM;
}
