/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * qcow2: whether the refcounts are those that the tables ask for.
 *
 * Counts every reference, compares, and repairs: leaks by counting down
 * where they are, anything else by writing new refcount blocks and a new
 * table behind the end of the image, and switching to them.
 *
 * Locking: nothing else uses the image.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "block/qcow2.h"
#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/bytes.h"

#define CHECK_LINES 1000 /* at most, of what was found */

struct check {
	struct qcow2 *s;
	struct qcow2_check *out;
	u32 *count; /* owned; references to each cluster */
	u64 clusters;
	u64 last_host; /* of the cluster before, for fragmentation */
	int lines;
	u8 *l2; /* owned; a cluster */
};

static PRINTF_LIKE(2, 3) void check_say(struct check *c, const char *fmt, ...)
{
	va_list ap;

	if (!c->out->text || ++c->lines > CHECK_LINES)
		return;
	va_start(ap, fmt);
	buf_vprintf(c->out->text, fmt, ap);
	va_end(ap);
}

static PRINTF_LIKE(2, 3) void check_error(struct check *c, const char *fmt, ...)
{
	va_list ap;

	c->out->errors++;
	if (!c->out->text || ++c->lines > CHECK_LINES)
		return;
	buf_puts(c->out->text, "ERROR ");
	va_start(ap, fmt);
	buf_vprintf(c->out->text, fmt, ap);
	va_end(ap);
}

/* ---- Counting ---- */

/* The last cluster of a file may be cut short, none may be beyond. */
static void check_count(struct check *c, u64 offset, u64 bytes,
			const char *what)
{
	u64 first = offset >> c->s->cluster_bits, last;

	if (!bytes)
		return;
	last = (offset + bytes - 1) >> c->s->cluster_bits;
	if (offset + bytes < offset || last >= c->clusters) {
		check_error(c,
			    "%s at 0x%" PRIx64 " is beyond the end of the "
			    "image\n",
			    what, offset);
		return;
	}
	for (u64 i = first; i <= last; i++) {
		if (c->count[i] == UINT32_MAX)
			check_error(c,
				    "too many references to cluster "
				    "%" PRIu64 "\n",
				    i);
		else
			c->count[i]++;
		c->out->end = MAX(c->out->end, (i + 1) << c->s->cluster_bits);
	}
}

static bool check_aligned(struct check *c, u64 offset, const char *what)
{
	if (!(offset & (c->s->cluster_size - 1)))
		return true;
	check_error(c, "%s at 0x%" PRIx64 " is not at a cluster\n", what,
		    offset);
	return false;
}

static void check_statistics(struct check *c, struct qcow2_entry e)
{
	u64 host = e.desc & QCOW2_OFFSET;

	if (e.desc & QCOW2_COMPRESSED) {
		c->out->allocated++;
		c->out->compressed++;
		c->out->fragmented++;
	} else if (host && !(c->s->subs == 1 && e.desc & QCOW2_ZERO)) {
		c->out->allocated++;
		if (c->last_host && host != c->last_host + c->s->cluster_size)
			c->out->fragmented++;
		c->last_host = host;
	}
}

static void check_entry(struct check *c, struct qcow2_entry e, bool active)
{
	u64 offset = e.desc & QCOW2_OFFSET, bytes = c->s->cluster_size;

	if (active)
		check_statistics(c, e);
	if (e.desc & QCOW2_COMPRESSED) {
		if (e.desc & QCOW2_COPIED)
			check_error(c, "a compressed cluster is marked as "
				       "copied\n");
		qcow2_packed_range(c->s, e.desc, &offset, &bytes);
		check_count(c, ALIGN_DOWN(offset, 512ULL),
			    bytes + (offset & 511), "compressed data");
	} else if (offset && check_aligned(c, offset, "data")) {
		check_count(c, offset, bytes, "data");
	}
	for (u32 sub = 0; sub < c->s->subs; sub++)
		if (qcow2_entry_kind(c->s, e, sub) == QCOW2_BAD) {
			check_error(c,
				    "an L2 entry makes no sense: "
				    "0x%" PRIx64 " 0x%" PRIx64 "\n",
				    e.desc, e.bitmap);
			break;
		}
}

static int check_table(struct check *c, const u64 *l1, u32 l1_size, bool active)
{
	struct qcow2 *s = c->s;
	u32 entries = 1u << s->l2_bits;
	int r = 0;

	for (u32 i = 0; i < l1_size && r == 0; i++) {
		u64 table = l1[i] & QCOW2_OFFSET;

		if (!table || !check_aligned(c, table, "an L2 table"))
			continue;
		check_count(c, table, s->cluster_size, "an L2 table");
		if (table >> s->cluster_bits >= c->clusters)
			continue;
		r = qcow2_pread(s, table, c->l2, s->cluster_size);
		for (u32 n = 0; n < entries && r == 0; n++)
			check_entry(
				c,
				qcow2_entry_read(s, c->l2 + n * s->entry_bytes),
				active);
	}
	return r;
}

static int check_snapshots(struct check *c)
{
	struct qcow2 *s = c->s;
	struct qcow2_snapshot *list;
	u64 bytes;
	int r = qcow2_snapshots_load(s, &list, &bytes);

	if (r == -EINVAL) {
		check_error(c, "the snapshot table makes no sense\n");
		return 0;
	}
	if (r < 0)
		return r;
	check_count(c, s->h.snapshots_offset, bytes, "the snapshot table");
	for (u32 i = 0; i < s->h.snapshots && r == 0; i++) {
		u64 *l1;

		check_count(c, list[i].l1_offset, list[i].l1_size * 8ULL,
			    "a snapshot's L1 table");
		r = qcow2_table_load(s, list[i].l1_offset, list[i].l1_size,
				     &l1);
		if (r == -EINVAL) {
			r = 0;
			continue;
		}
		if (r == 0)
			r = check_table(c, l1, list[i].l1_size, false);
		free(l1);
	}
	qcow2_snapshots_free(list, s->h.snapshots);
	return r;
}

/* ---- Bitmaps ---- */

static int check_bitmap(struct check *c, u64 offset, u32 entries)
{
	u64 *table;
	int r;

	check_count(c, offset, entries * 8ULL, "a bitmap table");
	r = qcow2_table_load(c->s, offset, entries, &table);
	if (r < 0)
		return r == -EINVAL ? 0 : r;
	for (u32 i = 0; i < entries; i++)
		if (table[i] & QCOW2_OFFSET)
			check_count(c, table[i] & QCOW2_OFFSET,
				    c->s->cluster_size, "a bitmap");
	free(table);
	return 0;
}

/* They count only while they are known to be consistent. */
static int check_bitmaps(struct check *c)
{
	struct qcow2 *s = c->s;
	u64 bytes = s->h.bitmaps_bytes, at = 0;
	u8 *dir;
	int r;

	if (!(s->h.autoclear & QCOW2_BITMAPS) || !s->h.bitmaps)
		return 0;
	check_count(c, s->h.bitmaps_offset, bytes, "the bitmap directory");
	dir = malloc(MAX(bytes, 1));
	r = dir ? qcow2_pread(s, s->h.bitmaps_offset, dir, bytes) : -ENOMEM;
	for (u32 i = 0; i < s->h.bitmaps && r == 0 && bytes - at >= 24; i++) {
		u64 len = 24 + get_be16(dir + at + 18) +
			  (u64)get_be32(dir + at + 20);

		r = check_bitmap(c, get_be64(dir + at), get_be32(dir + at + 8));
		at += MIN(ALIGN_UP(len, 8ULL), bytes - at);
	}
	free(dir);
	return r;
}

static int check_references(struct check *c)
{
	struct qcow2 *s = c->s;
	int r;

	check_count(c, 0, s->cluster_size, "the header");
	check_count(c, s->h.l1_offset, s->h.l1_size * 8ULL, "the L1 table");
	r = check_table(c, s->l1, s->h.l1_size, true);
	if (r == 0 && s->h.snapshots)
		r = check_snapshots(c);
	return r < 0 ? r : check_bitmaps(c);
}

/* Not when they are about to be replaced. */
static void check_refcount_clusters(struct check *c)
{
	struct qcow2 *s = c->s;

	check_count(c, s->h.refcount_offset,
		    (u64)s->h.refcount_clusters << s->cluster_bits,
		    "the refcount table");
	for (u32 i = 0; i < s->table_size; i++)
		if (s->table[i] &&
		    check_aligned(c, s->table[i], "a refcount block"))
			check_count(c, s->table[i], s->cluster_size,
				    "a refcount block");
}

/* ---- Comparing ---- */

static int check_compare(struct qcow2 *s, struct check *c, bool repair)
	REQUIRES(s->lock)
{
	int r = 0;

	for (u64 i = 0; i < c->clusters && r == 0; i++) {
		u64 has = 0;

		c->out->shared += c->count[i] > 1;
		/* A block in a place that cannot be: found already. */
		if (i >> s->block_bits < s->table_size &&
		    s->table[i >> s->block_bits] & (s->cluster_size - 1))
			continue;
		r = qcow2_refs_get(s, i, &has);
		if (r == 0 && has)
			c->out->end =
				MAX(c->out->end, (i + 1) << s->cluster_bits);
		if (r < 0 || has == c->count[i])
			continue;
		if (has < c->count[i]) {
			check_error(c,
				    "cluster %" PRIu64 " refcount=%" PRIu64
				    " reference=%u\n",
				    i, has, c->count[i]);
			continue;
		}
		check_say(c,
			  "%s cluster %" PRIu64 " refcount=%" PRIu64
			  " reference=%u\n",
			  repair ? "Repairing" : "Leaked", i, has, c->count[i]);
		c->out->leaks++;
		if (repair)
			r = qcow2_refs_set(s, i, c->count[i]);
	}
	return r;
}

static bool check_copied(struct check *c, u64 entry)
{
	u64 cluster = (entry & QCOW2_OFFSET) >> c->s->cluster_bits;

	return cluster >= c->clusters ||
	       !(entry & QCOW2_COPIED) == (c->count[cluster] != 1);
}

/* The flag is for the active tables only. */
static int check_flags(struct qcow2 *s, struct check *c, bool repair)
	REQUIRES(s->lock)
{
	u32 entries = 1u << s->l2_bits;
	int r = 0;

	for (u32 i = 0; i < s->h.l1_size && r == 0; i++) {
		u64 table = s->l1[i] & QCOW2_OFFSET;
		bool changed = false;

		if (!table || table & (s->cluster_size - 1) ||
		    table >> s->cluster_bits >= c->clusters)
			continue;
		if (!check_copied(c, s->l1[i])) {
			check_error(c,
				    "OFLAG_COPIED L2 cluster: l1_index=%u "
				    "l1_entry=%" PRIx64 "\n",
				    i, s->l1[i]);
			if (repair) {
				s->l1[i] ^= QCOW2_COPIED;
				s->l1_touched[i / 64] = 1;
				s->l1_dirty = true;
			}
		}
		r = qcow2_pread(s, table, c->l2, s->cluster_size);
		for (u32 n = 0; n < entries && r == 0; n++) {
			u8 *at = c->l2 + n * s->entry_bytes;
			u64 desc = get_be64(at);

			if (desc & QCOW2_COMPRESSED || !(desc & QCOW2_OFFSET) ||
			    check_copied(c, desc))
				continue;
			check_error(c,
				    "OFLAG_COPIED data cluster: l2_entry="
				    "%" PRIx64 "\n",
				    desc);
			put_be64(at, desc ^ QCOW2_COPIED);
			changed = true;
		}
		if (r == 0 && repair && changed)
			r = qcow2_pwrite(s, table, c->l2, s->cluster_size);
	}
	return r;
}

/* ---- Repair ---- */

/* Everything is counted anew, the old blocks and table not at all. */
static int check_rebuild(struct qcow2 *s, struct check *c) REQUIRES(s->lock)
{
	u64 max = qcow2_refs_max(s);

	for (u64 i = 0; i < c->clusters; i++)
		if (c->count[i] > max)
			return -ERANGE;
	return qcow2_refs_rebuild(s, c->count, c->clusters);
}

static int check_run(struct qcow2 *s, struct check *c, int repair)
	REQUIRES(s->lock)
{
	u64 before;
	int r;

	s->bitmaps &= !repair || s->h.autoclear & QCOW2_BITMAPS;
	r = check_references(c);
	before = c->out->errors; /* no refcounts will help these */
	if (r < 0)
		return r;
	check_refcount_clusters(c);
	r = check_compare(s, c, repair > 0);
	if (r == 0 && c->out->errors > before && repair > 1 && before == 0) {
		/* Once more without the old ones. */
		memset(c->count, 0, c->clusters * sizeof(*c->count));
		c->out->text = NULL;
		*c->out = (struct qcow2_check){
			.fixed_errors = c->out->errors,
			.fixed_leaks = c->out->leaks,
		};
		r = check_references(c);
		if (r == 0)
			r = check_rebuild(s, c);
	} else if (repair > 0) {
		c->out->fixed_leaks = c->out->leaks;
		c->out->leaks = 0;
	}
	before = c->out->errors;
	if (r == 0)
		r = check_flags(s, c, repair > 1);
	if (repair > 1) {
		c->out->fixed_errors += c->out->errors - before;
		c->out->errors = before;
	}
	if (r == 0 && repair > 0) {
		qcow2_cache_clear_maps(s);
		r = qcow2_write_back(s);
	}
	return r < 0 ? r : qcow2_sync(s);
}

/* Who only reads the image has none so far. */
static int check_load_table(struct check *c)
{
	struct qcow2 *s = c->s;
	int r;

	if (s->table)
		return 0;
	r = qcow2_table_load(s, s->h.refcount_offset, s->table_size, &s->table);
	if (r != -EINVAL)
		return r;
	check_error(c, "the refcount table is beyond the end of the image\n");
	s->table = calloc(s->table_size, 8);
	return s->table ? 0 : -ENOMEM;
}

int qcow2_check(struct qcow2 *s, int repair, struct qcow2_check *out)
{
	struct check c = { .s = s, .out = out };
	u64 length = file_length(s->file);
	struct buf *text = out->text;
	int r;

	c.clusters = (length + s->cluster_size - 1) >> s->cluster_bits;
	c.count = calloc(MAX(c.clusters, 1), sizeof(*c.count));
	c.l2 = malloc(s->cluster_size);
	out->total = (s->h.size + s->cluster_size - 1) >> s->cluster_bits;
	r = c.count && c.l2 ? 0 : -ENOMEM;
	lock_acquire(&s->lock);
	if (r == 0)
		r = check_load_table(&c);
	if (r == 0 && !s->node.readonly)
		r = qcow2_write_back(s);
	if (r == 0)
		r = check_run(s, &c, repair);
	lock_release(&s->lock);
	out->text = text;
	out->total = (s->h.size + s->cluster_size - 1) >> s->cluster_bits;
	free(c.count);
	free(c.l2);
	return r;
}
