/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * qcow2: the order in which metadata reaches the disk.
 *
 * Four levels, each on stable storage before the next is written: refcount
 * blocks, the table that names them, L2 tables, the L1 table; and data in new
 * clusters before the L2 tables.  So whatever a table on the disk refers to is
 * counted and written, and a crash leaves clusters that are counted but
 * unused, nothing worse.  What tables no longer refer to is counted down after
 * they are on the disk.
 *
 * With lazy refcounts nothing waits for the first two levels, and the dirty
 * bit says that they have to be rebuilt.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/qcow2.h"
#include "lib/bytes.h"
#include "lib/log.h"

#define FLUSH_PIECE 64u /* entries of a table that are written together */

/* ---- The header ---- */

int qcow2_header_write(struct qcow2 *s, u32 at, const void *data, u32 len)
{
	/* A power cut leaves the sector old or new. */
	u8 sector[BLOCK_SECTOR];
	int r = qcow2_pread(s, 0, sector, sizeof(sector));

	if (r < 0)
		return r;
	memcpy(sector + at, data, len);
	return qcow2_pwrite(s, 0, sector, sizeof(sector));
}

int qcow2_set_incompatible(struct qcow2 *s, u64 bits)
{
	u8 raw[8];
	int r;

	if (s->h.version < 3)
		return -ENOTSUP;
	put_be64(raw, bits);
	r = qcow2_header_write(s, 72, raw, sizeof(raw));
	if (r == 0)
		r = qcow2_sync(s);
	if (r == 0)
		s->h.incompatible = bits;
	return r;
}

int qcow2_broken(struct qcow2 *s, const char *what)
{
	if (s->corrupt)
		return -EIO;
	s->corrupt = true;
	log_warn("image '%s': %s makes no sense; it is not written to any "
		 "more ('qemu-img check' tells more)",
		 s->path, what);
	if (!s->node.readonly && s->h.version >= 3)
		(void)qcow2_set_incompatible(s,
					     s->h.incompatible | QCOW2_CORRUPT);
	return -EIO;
}

int qcow2_prepare(struct qcow2 *s)
{
	static const u8 none[8];
	int r = 0;

	if (s->corrupt)
		return -EIO;
	if (s->prepared)
		return 0;
	if (s->h.autoclear) {
		r = qcow2_header_write(s, 88, none, sizeof(none));
		if (r == 0)
			r = qcow2_sync(s);
		if (r == 0)
			s->h.autoclear = 0;
	}
	if (r == 0 && s->lazy)
		r = qcow2_set_incompatible(s, s->h.incompatible | QCOW2_DIRTY);
	if (r == 0)
		s->prepared = true;
	return r;
}

/* ---- The levels ---- */

/* Writes the pieces of an array of entries that have been touched. */
static int flush_table(struct qcow2 *s, const u64 *table, u64 count,
		       u8 *touched, u64 offset)
{
	u64 raw[FLUSH_PIECE];
	int r = 0;

	for (u64 at = 0; at < count && r == 0; at += FLUSH_PIECE) {
		u64 n = MIN(count - at, FLUSH_PIECE);

		if (!touched[at / FLUSH_PIECE])
			continue;
		for (u64 i = 0; i < n; i++)
			put_be64(raw + i, table[at + i]);
		r = qcow2_pwrite(s, offset + at * 8, raw, n * 8);
		if (r == 0)
			touched[at / FLUSH_PIECE] = 0;
	}
	return r;
}

static int flush_refs(struct qcow2 *s) REQUIRES(s->lock)
{
	int r = 0;

	if (s->refs.dirty) {
		s->unsynced |= !s->lazy;
		r = qcow2_cache_write(s, &s->refs);
	}
	if (r < 0 || !s->table_dirty)
		return r;
	s->unsynced |= !s->lazy;
	r = qcow2_sync(s);
	if (r == 0)
		r = flush_table(s, s->table, s->table_size, s->table_touched,
				s->h.refcount_offset);
	if (r == 0)
		s->table_dirty = false;
	return r;
}

static int flush_maps(struct qcow2 *s) REQUIRES(s->lock)
{
	int r = 0;

	if (!s->l2.dirty && !s->l1_dirty)
		return 0;
	if (s->unsynced) {
		r = qcow2_sync(s);
		if (r < 0)
			return r;
		s->unsynced = false;
	}
	r = qcow2_cache_write(s, &s->l2);
	if (r == 0 && s->l1_dirty) {
		r = qcow2_sync(s);
		if (r == 0)
			r = flush_table(s, s->l1, s->h.l1_size, s->l1_touched,
					s->h.l1_offset);
		if (r == 0)
			s->l1_dirty = false;
	}
	if (r == 0)
		s->generation++;
	return r;
}

int qcow2_write_back(struct qcow2 *s)
{
	int r = flush_refs(s);

	return r < 0 ? r : flush_maps(s);
}

int qcow2_flush(struct qcow2 *s)
{
	u64 generation;
	int r, synced;

	lock_acquire(&s->lock);
	r = qcow2_write_back(s);
	generation = s->generation;
	lock_release(&s->lock);
	synced = qcow2_sync(s);
	if (r < 0 || synced < 0)
		return r < 0 ? r : synced;
	lock_acquire(&s->lock);
	qcow2_free_now(s, generation);
	lock_release(&s->lock);
	return 0;
}

int qcow2_finish(struct qcow2 *s)
{
	int r = 0;

	if (!s->prepared)
		return 0;
	r = qcow2_flush(s);
	lock_acquire(&s->lock);
	if (r == 0)
		r = qcow2_write_back(s);
	if (r == 0 && s->h.incompatible & QCOW2_DIRTY) {
		r = qcow2_sync(s);
		if (r == 0)
			r = qcow2_set_incompatible(s, s->h.incompatible &
							      ~QCOW2_DIRTY);
	}
	if (r == 0)
		s->prepared = false;
	lock_release(&s->lock);
	return r;
}
