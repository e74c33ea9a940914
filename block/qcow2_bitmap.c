/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * qcow2: the bitmaps that an image keeps, of what was written to it.
 *
 * The directory counts only while the autoclear bit is set: whoever does not
 * know of bitmaps clears it, and so do we before the first write
 * (qcow2_prepare()).  All of them are read, changed in memory, and written to
 * new places; the bit is set again at the very end.
 *
 * Locking: nothing is in flight.
 *
 * Spec: qcow2.txt "Bitmaps".
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/image.h"
#include "block/qcow2.h"
#include "lib/bytes.h"
#include "lib/err.h"

#define BITMAP_HEAD    24u /* of an entry of the directory */
#define BITMAP_IN_USE  BIT(0)
#define BITMAP_AUTO    BIT(1)
#define BITMAP_EXTRA   BIT(2) /* may be ignored */
#define BITMAP_TRACKS  1      /* type: of what was written */
#define BITMAP_ONES    BIT(0) /* entry of a table without a cluster */
#define BITMAP_PLACES  (QCOW2_OFFSET | BITMAP_ONES)
#define BITMAP_MAX     (512 * MIB) /* contents, of each */
#define BITMAP_NAME    1023u
#define BITMAP_DIR_MAX (64 * MIB)

struct bitmap { /* an entry of the directory */
	u64 table;
	u32 entries, flags, bits, name_at, name_bytes;
	u64 bytes; /* of the entry */
};

/* ---- Reading ---- */

static int bitmap_parse(const u8 *at, u64 left, struct bitmap *out)
{
	u32 extra;

	if (left < BITMAP_HEAD)
		return -EINVAL;
	extra = get_be32(at + 20);
	*out = (struct bitmap){
		.table = get_be64(at),
		.entries = get_be32(at + 8),
		.flags = get_be32(at + 12),
		.bits = at[17],
		.name_bytes = get_be16(at + 18),
	};
	out->name_at = BITMAP_HEAD + extra;
	out->bytes = ALIGN_UP(BITMAP_HEAD + (u64)extra + out->name_bytes, 8ULL);
	if (out->bytes > left || at[16] != BITMAP_TRACKS || out->bits < 9 ||
	    out->bits > 31 || !out->name_bytes ||
	    out->name_bytes > BITMAP_NAME || extra ||
	    out->flags & ~(BITMAP_IN_USE | BITMAP_AUTO | BITMAP_EXTRA))
		return -EINVAL;
	return 0;
}

static int bitmap_read_table(struct qcow2 *s, const u64 *table, u32 entries,
			     struct image_bitmap *b)
{
	int r = 0;

	for (u64 i = 0; i < entries && r == 0; i++) {
		u64 at = i << s->cluster_bits, place = table[i] & QCOW2_OFFSET;
		u64 len = MIN(b->bytes - at, s->cluster_size);

		if (table[i] & ~BITMAP_PLACES ||
		    place & (s->cluster_size - 1) ||
		    (place && table[i] & BITMAP_ONES))
			return -EINVAL;
		if (place)
			r = qcow2_pread(s, place, b->map + at, len);
		else
			memset(b->map + at, table[i] ? 0xff : 0, len);
	}
	return r;
}

static int bitmap_read(struct qcow2 *s, const struct bitmap *d,
		       struct image_bitmap *b)
{
	u64 *table, want;
	int r;

	b->bytes = image_bitmap_bytes(s->h.size, b->bits);
	want = ALIGN_UP(b->bytes, s->cluster_size) >> s->cluster_bits;
	if (b->bytes > BITMAP_MAX)
		return -EFBIG;
	if (d->entries != want && !b->in_use)
		return -EINVAL;
	b->map = calloc(1, MAX(b->bytes, 1));
	if (!b->map)
		return -ENOMEM;
	if (b->in_use || !b->bytes)
		return 0; /* whatever is there */
	r = qcow2_table_load(s, d->table, d->entries, &table);
	if (r < 0)
		return r;
	r = bitmap_read_table(s, table, d->entries, b);
	free(table);
	return r;
}

static int bitmap_add(struct qcow2 *s, const u8 *at, const struct bitmap *d,
		      bool contents, struct image_bitmap *b)
{
	*b = (struct image_bitmap){
		.name = strndup((const char *)at + d->name_at, d->name_bytes),
		.bits = d->bits,
		.in_use = d->flags & BITMAP_IN_USE,
		.automatic = d->flags & BITMAP_AUTO,
	};
	if (!b->name)
		return -ENOMEM;
	/* Names with NULs, of which there can be two alike. */
	if (strlen(b->name) != d->name_bytes)
		return -EINVAL;
	return contents ? bitmap_read(s, d, b) : 0;
}

/* The directory as it is in the file; NULL: there is none. */
static int bitmap_directory(struct qcow2 *s, u8 **ret)
{
	u64 bytes = s->h.bitmaps_bytes;
	int r;

	*ret = NULL;
	if (!s->bitmaps || !s->h.bitmaps)
		return 0;
	if (!range_holds(0, file_length(s->file), s->h.bitmaps_offset, bytes))
		return -EINVAL;
	*ret = malloc(MAX(bytes, 1));
	r = *ret ? qcow2_pread(s, s->h.bitmaps_offset, *ret, bytes) : -ENOMEM;
	if (r < 0) {
		free(*ret);
		*ret = NULL;
	}
	return r;
}

int qcow2_bitmaps(struct block_node *n, bool contents,
		  struct image_bitmap **ret, u32 *ret_count)
{
	struct qcow2 *s = container_of(n, struct qcow2, node);
	u64 at = 0, bytes = s->h.bitmaps_bytes;
	u32 count = 0;
	struct bitmap d;
	u8 *dir = NULL;
	int r = s->h.autoclear & QCOW2_BITMAPS ? bitmap_directory(s, &dir) : 0;

	if (r < 0)
		return r;
	*ret = calloc(dir ? s->h.bitmaps : 1, sizeof(**ret));
	r = *ret ? 0 : -ENOMEM;
	while (dir && count < s->h.bitmaps && r == 0) {
		r = bitmap_parse(dir + at, bytes - at, &d);
		if (r == 0)
			r = bitmap_add(s, dir + at, &d, contents,
				       &(*ret)[count++]);
		at += d.bytes;
	}
	free(dir);
	*ret_count = count;
	if (r == 0)
		return 0;
	image_bitmaps_free(*ret, count);
	*ret = NULL;
	return r;
}

/* ---- Writing ---- */

/* What is written, before the header says so. */
struct store {
	struct qcow2 *s;
	u64 *place; /* owned; of new clusters, and how many */
	u64 *clusters;
	u32 count;
	u8 *dir; /* owned */
	u64 dir_bytes, dir_at;
};

/* Clusters next to each other, which are given back when all fails. */
static int store_take(struct store *t, u64 clusters, u64 *ret)
	REQUIRES(t->s->lock)
{
	u64 *place = realloc(t->place, (t->count + 1) * sizeof(*place)), *more;
	int r;

	if (!place)
		return -ENOMEM;
	t->place = place;
	more = realloc(t->clusters, (t->count + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	t->clusters = more;
	r = qcow2_alloc_table(t->s, clusters, ret);
	if (r < 0)
		return r;
	t->place[t->count] = *ret;
	t->clusters[t->count++] = clusters;
	return 0;
}

static bool store_is(const u8 *map, u64 bytes, u8 what)
{
	for (u64 i = 0; i < bytes; i++)
		if (map[i] != what)
			return false;
	return true;
}

/* One cluster of its contents; *entry: how the table has it. */
static int store_cluster(struct store *t, const u8 *map, u64 bytes, u64 *entry)
	REQUIRES(t->s->lock)
{
	u64 at;
	int r;

	*entry = 0;
	if (store_is(map, bytes, 0))
		return 0;
	if (bytes == t->s->cluster_size && store_is(map, bytes, 0xff)) {
		put_be64(entry, BITMAP_ONES);
		return 0;
	}
	r = store_take(t, 1, &at);
	if (r == 0)
		r = qcow2_pwrite(t->s, at, map, bytes);
	put_be64(entry, at);
	return r;
}

static int store_contents(struct store *t, const struct image_bitmap *b,
			  u64 *ret_at, u32 *ret_entries) REQUIRES(t->s->lock)
{
	struct qcow2 *s = t->s;
	u64 clusters = ALIGN_UP(b->bytes, s->cluster_size) >> s->cluster_bits;
	u64 bytes = ALIGN_UP(clusters * 8, s->cluster_size);
	u64 *table = calloc(1, MAX(bytes, 1));
	int r = table ? 0 : -ENOMEM;

	*ret_at = 0;
	*ret_entries = clusters;
	for (u64 i = 0; i < clusters && r == 0; i++) {
		u64 at = i << s->cluster_bits;

		r = store_cluster(t, b->map + at,
				  MIN(b->bytes - at, s->cluster_size),
				  &table[i]);
	}
	if (r == 0 && bytes)
		r = store_take(t, bytes >> s->cluster_bits, ret_at);
	if (r == 0 && bytes)
		r = qcow2_pwrite(s, *ret_at, table, bytes);
	free(table);
	return r;
}

static int store_entry(struct store *t, const struct image_bitmap *b)
	REQUIRES(t->s->lock)
{
	size_t name = strlen(b->name);
	u64 bytes = ALIGN_UP((u64)BITMAP_HEAD + name, 8ULL), table;
	u32 entries;
	u8 *at = realloc(t->dir, t->dir_bytes + bytes);
	int r;

	if (!at)
		return -ENOMEM;
	t->dir = at;
	at += t->dir_bytes;
	t->dir_bytes += bytes;
	memset(at, 0, bytes);
	r = store_contents(t, b, &table, &entries);
	put_be64(at, table);
	put_be32(at + 8, entries);
	put_be32(at + 12, (b->in_use ? BITMAP_IN_USE : 0) |
				  (b->automatic ? BITMAP_AUTO : 0));
	at[16] = BITMAP_TRACKS;
	at[17] = b->bits;
	put_be16(at + 18, name);
	memcpy(at + BITMAP_HEAD, b->name, name);
	return r;
}

static int store_all(struct store *t, const struct image_bitmap *list,
		     u32 count) REQUIRES(t->s->lock)
{
	struct qcow2 *s = t->s;
	int r = 0;

	for (u32 i = 0; i < count && r == 0; i++)
		r = store_entry(t, &list[i]);
	if (r == 0 && t->dir_bytes > BITMAP_DIR_MAX)
		r = -EFBIG;
	if (r == 0 && count)
		r = store_take(t,
			       ALIGN_UP(t->dir_bytes, s->cluster_size) >>
				       s->cluster_bits,
			       &t->dir_at);
	if (r == 0 && count)
		r = qcow2_pwrite(s, t->dir_at, t->dir, t->dir_bytes);
	if (r == 0)
		r = qcow2_write_back(t->s);
	return r < 0 ? r : qcow2_sync(t->s);
}

/* The clusters of one of before. */
static void store_forget(struct qcow2 *s, const struct bitmap *d)
	REQUIRES(s->lock)
{
	u64 *table;

	if (qcow2_table_load(s, d->table, d->entries, &table) < 0)
		return;
	for (u32 i = 0; i < d->entries; i++)
		if (table[i] & QCOW2_OFFSET)
			qcow2_free(s, table[i] & QCOW2_OFFSET, 1);
	qcow2_free(s, d->table, d->entries * 8ULL);
	free(table);
}

/* What the directory of before, at `dir`, had for itself. */
static void store_forget_all(struct qcow2 *s, const u8 *dir,
			     const struct qcow2_header *was) REQUIRES(s->lock)
{
	struct bitmap d;
	u64 at = 0;

	for (u32 i = 0; dir && i < was->bitmaps; i++) {
		if (bitmap_parse(dir + at, was->bitmaps_bytes - at, &d) < 0)
			return;
		store_forget(s, &d);
		at += d.bytes;
	}
	if (dir)
		qcow2_free(s, was->bitmaps_offset, was->bitmaps_bytes);
}

/* The header names the new directory, or none. */
static int store_header(struct store *t, u32 count) REQUIRES(t->s->lock)
{
	struct qcow2 *s = t->s;
	u8 ext[24] = { 0 };
	int r;

	put_be32(ext, count);
	put_be64(ext + 8, t->dir_bytes);
	put_be64(ext + 16, t->dir_at);
	r = qcow2_header_bitmaps(t->s, count ? ext : NULL);
	if (r < 0)
		return r;
	t->count = 0;
	s->h.bitmaps = count;
	s->h.bitmaps_bytes = t->dir_bytes;
	s->h.bitmaps_offset = t->dir_at;
	s->bitmaps = true;
	return 0;
}

/* What the header names is right. */
static int store_confirm(struct qcow2 *s) REQUIRES(s->lock)
{
	int r = qcow2_write_back(s);
	u8 bit[8];

	if (r == 0)
		r = qcow2_sync(s);
	/* Refcounts are on the disk, also the lazy ones. */
	if (r == 0 && s->h.incompatible & QCOW2_DIRTY)
		r = qcow2_set_incompatible(s, s->h.incompatible & ~QCOW2_DIRTY);
	if (r < 0)
		return r;
	s->prepared = false; /* for the next write */
	if (!s->h.bitmaps)
		return 0;
	put_be64(bit, QCOW2_BITMAPS);
	r = qcow2_header_write(s, 88, bit, sizeof(bit));
	if (r < 0)
		return r;
	s->h.autoclear = QCOW2_BITMAPS;
	return qcow2_sync(s);
}

static int store_run(struct store *t, const struct image_bitmap *list,
		     u32 count, const u8 *old) REQUIRES(t->s->lock)
{
	struct qcow2_header was = t->s->h;
	int r = qcow2_prepare(t->s);

	if (r == 0)
		r = store_all(t, list, count);
	if (r == 0)
		r = store_header(t, count);
	if (r == 0) {
		store_forget_all(t->s, old, &was);
		return store_confirm(t->s);
	}
	for (u32 i = 0; i < t->count; i++)
		qcow2_free(t->s, t->place[i],
			   t->clusters[i] << t->s->cluster_bits);
	/* Those of before are there still. */
	if (was.autoclear & QCOW2_BITMAPS && t->s->bitmaps)
		(void)store_confirm(t->s);
	return r;
}

int qcow2_bitmaps_confirm(struct block_node *n)
{
	struct qcow2 *s = container_of(n, struct qcow2, node);
	int r;

	if (!s->bitmaps || !s->h.bitmaps || s->h.autoclear || s->corrupt)
		return 0;
	r = qcow2_flush(s);
	lock_acquire(&s->lock);
	if (r == 0)
		r = store_confirm(s);
	lock_release(&s->lock);
	return r;
}

int qcow2_bitmaps_store(struct block_node *n, const struct image_bitmap *list,
			u32 count, struct err *err)
{
	struct qcow2 *s = container_of(n, struct qcow2, node);
	struct store t = { .s = s };
	u8 *old;
	int r;

	if (s->h.version < 3 && count)
		return err_set(err, -ENOTSUP,
			       "Cannot store dirty bitmaps in qcow2 v2 files");
	for (u32 i = 0; i < count; i++)
		if (list[i].bytes > BITMAP_MAX)
			return err_set(err, -EFBIG,
				       "Bitmap '%s' is too large; use a larger "
				       "granularity",
				       list[i].name);
	r = bitmap_directory(s, &old);
	if (r == 0 && s->prepared)
		r = qcow2_flush(s);
	lock_acquire(&t.s->lock);
	if (r == 0)
		r = store_run(&t, list, count, old);
	lock_release(&t.s->lock);
	free(old);
	free(t.dir);
	free(t.place);
	free(t.clusters);
	if (r == -ENOSPC)
		return err_set(err, r, "there is no room for bitmaps");
	return r < 0 ? err_code(err, r, "cannot store bitmaps") : 0;
}
