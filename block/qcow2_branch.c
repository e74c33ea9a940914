/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * qcow2: taking, going back to and deleting internal snapshots.
 *
 * A snapshot is one more reference to every cluster that an L1 table leads
 * to.  All of a change is done beside what is there (qcow2_next.c), so that it
 * happens or does not.
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

static int branch_count(struct qcow2_next *t, u64 offset, u64 bytes, int by)
{
	u32 bits = t->s->cluster_bits;
	u64 end = offset + bytes;
	int r = 0;

	for (u64 c = offset >> bits; c << bits < end && r == 0; c++)
		r = qcow2_next_add(t, c, by);
	return r;
}

static int branch_count_table(struct qcow2_next *t, const u8 *table, int by)
{
	struct qcow2 *s = t->s;
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
		r = branch_count(t, offset, bytes, by);
	}
	return r;
}

/* Everything that an L1 table leads to. */
static int branch_count_all(struct qcow2_next *t, const u64 *l1, u32 size,
			    int by)
{
	struct qcow2 *s = t->s;
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
			r = branch_count_table(t, table, by);
		if (r == 0)
			r = branch_count(t, offset, s->cluster_size, by);
	}
	free(table);
	return r;
}

/* ---- Flags ---- */

/* Says in `entry` whether its cluster has one reference. */
static bool branch_flag(const struct qcow2_next *t, u64 *entry)
{
	u64 was = *entry, at = (was & QCOW2_OFFSET) >> t->s->cluster_bits;

	if (!(was & QCOW2_OFFSET))
		return false;
	*entry = qcow2_next_count(t, at) == 1 ? was | QCOW2_COPIED
					      : was & ~QCOW2_COPIED;
	return *entry != was;
}

static bool branch_flag_table(const struct qcow2_next *t, u8 *table)
{
	bool changed = false;

	for (u32 n = 0; n < 1u << t->s->l2_bits; n++) {
		u8 *at = table + n * t->s->entry_bytes;
		u64 desc = get_be64(at);

		if (desc & QCOW2_COMPRESSED || !branch_flag(t, &desc))
			continue;
		put_be64(at, desc);
		changed = true;
	}
	return changed;
}

/* For the tables that are going to be the active ones; those that change go
 * to new places.  users: how many of what is new have this L1 table. */
static int branch_flags(struct qcow2_next *t, u64 *l1, u32 size, int users)
	REQUIRES(t->s->lock)
{
	struct qcow2 *s = t->s;
	u8 *table = malloc(s->cluster_size);
	int r = table ? 0 : -ENOMEM;

	for (u32 i = 0; i < size && r == 0; i++) {
		u64 old = l1[i] & QCOW2_OFFSET, at;

		if (!old)
			continue;
		r = qcow2_pread(s, old, table, s->cluster_size);
		if (r < 0)
			break;
		if (branch_flag_table(t, table)) {
			r = qcow2_next_take(t, 1, &at);
			if (r == 0)
				r = qcow2_pwrite(s, at, table, s->cluster_size);
			if (r == 0 && users > 1)
				r = qcow2_next_add(t, at >> s->cluster_bits,
						   users - 1);
			if (r == 0)
				r = qcow2_next_add(t, old >> s->cluster_bits,
						   -users);
			l1[i] = at;
		}
		(void)branch_flag(t, &l1[i]);
	}
	free(table);
	return r;
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

/* Writes the list to a new place. */
static int branch_store(struct qcow2_next *t, const struct qcow2_snapshot *list,
			u32 count, u64 old_bytes, struct qcow2_roots *to)
	REQUIRES(t->s->lock)
{
	u64 bytes = ALIGN_UP(branch_bytes(list, count), t->s->cluster_size);
	u8 *raw = calloc(1, MAX(bytes, 1));
	u64 at = 0;
	int r = raw ? 0 : -ENOMEM;

	to->snapshots = count;
	to->snapshots_offset = 0;
	if (r == 0 && bytes)
		r = qcow2_next_take(t, bytes >> t->s->cluster_bits,
				    &to->snapshots_offset);
	for (u32 i = 0; i < count && r == 0; i++)
		at += branch_put(raw + at, &list[i]);
	if (r == 0 && bytes)
		r = qcow2_pwrite(t->s, to->snapshots_offset, raw, bytes);
	free(raw);
	return r < 0 ? r
		     : branch_count(t, t->s->h.snapshots_offset, old_bytes, -1);
}

/* An L1 table, without flags if it is a snapshot's, at a place of its own;
 * 0 when it is empty. */
static int branch_write_l1(struct qcow2_next *t, const u64 *l1, u32 size,
			   bool flags, u64 *ret) REQUIRES(t->s->lock)
{
	u64 bytes = ALIGN_UP(size * 8ULL, t->s->cluster_size);
	u8 *raw = calloc(1, MAX(bytes, 1));
	int r = raw ? 0 : -ENOMEM;

	*ret = 0;
	if (r == 0 && bytes)
		r = qcow2_next_take(t, bytes >> t->s->cluster_bits, ret);
	for (u32 i = 0; i < size && r == 0; i++)
		put_be64(raw + i * 8ULL, flags ? l1[i] : l1[i] & ~QCOW2_COPIED);
	if (r == 0 && bytes)
		r = qcow2_pwrite(t->s, *ret, raw, bytes);
	free(raw);
	return r;
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

/* `list` has room for one more. */
static int branch_take(struct qcow2_next *t, struct qcow2_snapshot *list,
		       const char *name, struct qcow2_roots *to)
	REQUIRES(t->s->lock)
{
	struct qcow2_snapshot *p = &list[t->s->h.snapshots];
	int r = branch_name(list, t->s->h.snapshots, name);

	if (r < 0)
		return r;
	put_be64(p->extra + 8, to->size);
	p->l1_size = to->l1_size;
	r = branch_count_all(t, to->l1, to->l1_size, 1);
	if (r == 0)
		r = branch_flags(t, to->l1, to->l1_size, 2);
	return r < 0 ? r
		     : branch_write_l1(t, to->l1, to->l1_size, false,
				       &p->l1_offset);
}

/* ---- Deleting one ---- */

static int branch_delete(struct qcow2_next *t, struct qcow2_snapshot *list,
			 u32 n, const u64 *l1, struct qcow2_roots *to)
	REQUIRES(t->s->lock)
{
	struct qcow2_snapshot gone = list[n];
	u32 count = t->s->h.snapshots;
	int r;

	memmove(&list[n], &list[n + 1], (count - n - 1) * sizeof(*list));
	list[count - 1] = gone; /* for who frees the list */
	r = branch_count_all(t, l1, gone.l1_size, -1);
	if (r == 0)
		r = branch_count(t, gone.l1_offset, gone.l1_size * 8ULL, -1);
	return r < 0 ? r : branch_flags(t, to->l1, to->l1_size, 1);
}

/* ---- Going back to one ---- */

static int branch_apply(struct qcow2_next *t, const struct qcow2_snapshot *p,
			const u64 *l1, struct qcow2_roots *to)
	REQUIRES(t->s->lock)
{
	struct qcow2 *s = t->s;
	u64 size = p->extra_bytes >= 16 ? p->disk_bytes : to->size;
	u32 shift = s->cluster_bits + s->l2_bits;
	u64 need = size ? ((size - 1) >> shift) + 1 : 0;
	u32 room = MAX(p->l1_size, need);
	u64 *table;
	int r;

	if (size > (u64)INT64_MAX - s->cluster_size || need > QCOW2_L1_MAX / 8)
		return -EFBIG;
	table = calloc(MAX(room, 1), 8);
	if (!table)
		return -ENOMEM;
	memcpy(table, l1, p->l1_size * 8ULL);
	r = branch_count_all(t, l1, p->l1_size, 1);
	if (r == 0)
		r = branch_count_all(t, to->l1, to->l1_size, -1);
	free(to->l1);
	to->l1 = table;
	to->l1_size = room;
	to->size = size;
	return r < 0 ? r : branch_flags(t, to->l1, room, 1);
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

/* From the state of the image to one in which `op` has been done. */
static int branch_change(struct qcow2_next *t, enum image_snapshot_op op,
			 struct qcow2_snapshot *list, u64 bytes,
			 const char *name, u32 n, const u64 *l1)
	REQUIRES(t->s->lock)
{
	struct qcow2 *s = t->s;
	struct qcow2_roots to = {
		.size = s->h.size,
		.snapshots = s->h.snapshots,
		.snapshots_offset = s->h.snapshots_offset,
		.l1 = malloc(MAX(s->h.l1_size, 1) * 8ULL),
		.l1_size = s->h.l1_size,
	};
	int r = to.l1 ? 0 : -ENOMEM;

	if (r == 0) {
		memcpy(to.l1, s->l1, s->h.l1_size * 8ULL);
		r = op == IMAGE_SNAPSHOT_CREATE
			    ? branch_take(t, list, name, &to)
		    : op == IMAGE_SNAPSHOT_DELETE
			    ? branch_delete(t, list, n, l1, &to)
			    : branch_apply(t, &list[n], l1, &to);
	}
	if (r == 0)
		r = branch_write_l1(t, to.l1, to.l1_size, true, &to.l1_offset);
	if (r == 0)
		r = branch_count(t, s->h.l1_offset, s->h.l1_size * 8ULL, -1);
	if (r == 0 && op == IMAGE_SNAPSHOT_CREATE)
		r = branch_store(t, list, s->h.snapshots + 1, bytes, &to);
	if (r == 0 && op == IMAGE_SNAPSHOT_DELETE)
		r = branch_store(t, list, s->h.snapshots - 1, bytes, &to);
	if (r == 0)
		return qcow2_next_commit(t, &to);
	free(to.l1);
	return r;
}

static int branch_settle(struct qcow2 *s) REQUIRES(s->lock)
{
	int r = qcow2_prepare(s);

	/* What is to be given back, too. */
	for (int i = 0; i < 2 && r == 0; i++) {
		r = qcow2_write_back(s);
		if (r == 0)
			r = qcow2_sync(s);
		if (r == 0)
			qcow2_free_now(s, s->generation);
	}
	return r;
}

static int branch_run(struct qcow2_next *t, enum image_snapshot_op op,
		      struct qcow2_snapshot *list, u64 bytes, const char *name)
	REQUIRES(t->s->lock)
{
	struct qcow2 *s = t->s;
	u64 *l1 = NULL;
	u32 n = 0;
	int r = 0;

	if (op != IMAGE_SNAPSHOT_CREATE)
		r = branch_find(list, s->h.snapshots, name,
				op == IMAGE_SNAPSHOT_APPLY, &n);
	if (r == 0)
		r = branch_settle(t->s);
	if (r == 0 && op != IMAGE_SNAPSHOT_CREATE)
		r = qcow2_table_load(s, list[n].l1_offset, list[n].l1_size,
				     &l1);
	if (r < 0)
		return r;
	r = qcow2_next_begin(t);
	if (r == 0)
		r = branch_change(t, op, list, bytes, name, n, l1);
	qcow2_next_end(t);
	free(l1);
	return r;
}

int qcow2_branch(struct block_node *n, enum image_snapshot_op op,
		 const char *name, struct err *err)
{
	struct qcow2 *s = container_of(n, struct qcow2, node);
	struct qcow2_next t = { .s = s };
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
	lock_acquire(&t.s->lock);
	if (r == 0)
		r = branch_run(&t, op, list, bytes, name);
	lock_release(&t.s->lock);
	qcow2_snapshots_free(list, count + 1);
	if (r == -ERANGE)
		return err_set(err, r,
			       "a cluster has no more than %llu references in "
			       "an image with refcount_bits=%u",
			       (unsigned long long)qcow2_refs_max(s),
			       1u << s->h.refcount_order);
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

/* ---- Looking at one ---- */

static int branch_view(struct qcow2 *s, const struct qcow2_snapshot *p)
{
	u64 size = p->extra_bytes >= 16 ? p->disk_bytes : s->h.size;
	u32 shift = s->cluster_bits + s->l2_bits;
	u64 need = size ? ((size - 1) >> shift) + 1 : 0, *l1, *table;
	u64 room = MAX(p->l1_size, need);
	int r;

	if (size > (u64)INT64_MAX - s->cluster_size || need > QCOW2_L1_MAX / 8)
		return -EFBIG;
	r = qcow2_table_load(s, p->l1_offset, p->l1_size, &l1);
	if (r < 0)
		return r;
	table = calloc(MAX(room, 1), 8);
	if (table)
		memcpy(table, l1, p->l1_size * 8ULL);
	free(l1);
	if (!table)
		return -ENOMEM;
	lock_acquire(&s->map);
	free(s->l1);
	s->l1 = table;
	s->h.l1_size = room;
	s->h.size = s->node.size = size;
	lock_release(&s->map);
	return 0;
}

int qcow2_view_snapshot(struct block_node *n, const char *id, const char *name,
			struct err *err)
{
	struct qcow2 *s = container_of(n, struct qcow2, node);
	struct qcow2_snapshot *list, *found = NULL;
	u32 count = s->h.snapshots;
	u64 bytes;
	int r;

	if (!n->readonly)
		return err_set(err, -EINVAL, "'%s' is open for writing",
			       s->path);
	r = qcow2_snapshots_load(s, &list, &bytes);
	if (r < 0)
		return err_code(err, r, "the table of snapshots");
	for (u32 i = 0; i < count && !found; i++)
		if ((!id || !strcmp(list[i].id, id)) &&
		    (!name || !strcmp(list[i].name, name)))
			found = &list[i];
	r = found ? branch_view(s, found) : -ENOENT;
	qcow2_snapshots_free(list, count);
	if (r == -ENOENT)
		return err_set(err, r, "Can't find snapshot");
	return r < 0 ? err_code(err, r, "snapshot") : 0;
}
