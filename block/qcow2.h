/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * qcow2 images: what its files share.
 *
 * Two locks.  s->lock covers allocation and everything that changes or loads
 * metadata; workers hold it over I/O.  s->map guards what a lookup reads (L1,
 * cached slices), is a leaf, and is never held over I/O, so that the loop can
 * look a cluster up at any time.  Who holds s->lock may read without s->map;
 * a change of what s->map guards needs both.  Data is moved without either.
 *
 * Spec: qcow2.txt of QEMU's docs/interop.
 */
#ifndef BLOCK_QCOW2_H
#define BLOCK_QCOW2_H

#include "block/internal.h"
#include "lib/lock.h"

#define QCOW2_MAGIC        0x514649fbu
#define QCOW2_NAME_MAX     1023
#define QCOW2_HEADER_MAX   128 /* what is read of the header proper */
#define QCOW2_L1_MAX       (32 * MIB)
#define QCOW2_TABLE_MAX    (8 * MIB) /* of refcount blocks */
#define QCOW2_SNAPSHOT_MAX 65536u

#define QCOW2_DIRTY    BIT(0) /* incompatible */
#define QCOW2_CORRUPT  BIT(1)
#define QCOW2_DATAFILE BIT(2)
#define QCOW2_ZSTD     BIT(3)
#define QCOW2_EXTENDED BIT(4)
#define QCOW2_LAZY     BIT(0) /* compatible */
#define QCOW2_BITMAPS  BIT(0) /* autoclear */

#define QCOW2_EXT_END      0u /* header extensions */
#define QCOW2_EXT_FORMAT   0xe2792acau
#define QCOW2_EXT_FEATURES 0x6803f857u
#define QCOW2_EXT_BITMAPS  0x23852875u

#define QCOW2_COPIED     BIT(63) /* the refcount is one */
#define QCOW2_COMPRESSED BIT(62)
#define QCOW2_ZERO       BIT(0)
#define QCOW2_OFFSET     0x00fffffffffffe00ULL
#define QCOW2_TABLE      0xfffffffffffffe00ULL /* refcount table */

struct qcow2_header {
	u32 version, cluster_bits, l1_size, refcount_order, header_bytes;
	u32 refcount_clusters, snapshots, crypt;
	u64 size, l1_offset, refcount_offset, snapshots_offset;
	u64 incompatible, compatible, autoclear;
	u64 bitmaps_offset, bitmaps_bytes;
	u32 bitmaps;
	bool zstd;
	char backing[QCOW2_NAME_MAX + 1];
	char backing_format[32];
};

struct qcow2_slice { /* part of an L2 table or refcount block */
	struct list hash, lru;
	u64 offset; /* in the file */
	bool dirty;
	bool used; /* since it was last at the end of `lru` */
	u8 data[];
};

struct qcow2_cache {
	struct list *bucket; /* owned */
	u32 buckets, bytes, max, count; /* powers of two but for count */
	bool dirty; /* some slice is */
	struct list lru;
};

/* What one L2 entry says. */
struct qcow2_entry {
	u64 desc;
	u64 bitmap; /* extended L2 entries, else 0 */
};

enum qcow2_kind {
	QCOW2_UNALLOCATED, /* backing file, or zeroes */
	QCOW2_ZEROES,
	QCOW2_DATA,
	QCOW2_PACKED, /* compressed */
	QCOW2_BAD,
};

struct qcow2_extent { /* a part of the disk that is stored in one way */
	enum qcow2_kind kind;
	u64 bytes;
	u64 host; /* data: where; the bytes are next to each other */
	u64 desc; /* compressed: the descriptor; `skip` bytes into it */
	u64 skip;
	bool copied; /* data: nobody else uses these clusters */
};

struct qcow2_inflated { /* one decompressed cluster */
	u64 desc;       /* 0: nothing */
	u8 *data;       /* owned */
};

#define QCOW2_INFLATED 8

struct qcow2_gone { /* was in use; free once that is on the disk */
	u64 offset, bytes, generation;
};

/* What a lookup in the loop reads comes first, on few lines of the host's
 * cache: most of it is out of that when the data of a request has been copied.
 */
struct qcow2 {
	struct block_node node;
	struct block_node *file;    /* owned */
	struct block_node *backing; /* owned; NULL */
	u64 cluster_size;
	u32 cluster_bits;
	u32 subs, sub_bits;       /* subclusters of a cluster; 1 */
	u32 entry_bytes, l2_bits; /* of an L2 entry; entries of a table */
	u32 slice_bits;           /* entries of a cached part of a table */
	u32 block_bits;           /* entries of a refcount block */
	u32 alone;                /* of `running`, that keep others out */
	struct list running, waiting; /* requests; the loop's lock */
	u64 wait_first, wait_last;    /* clusters; what `waiting` spans */
	struct lock map;              /* see above */
	u64 *l1; /* owned; h.l1_size entries, host order */
	struct qcow2_cache l2;
	struct qcow2_header h; /* as in the file */

	struct lock lock; /* see above */
	char *path;       /* owned */
	bool unmap;       /* discard=unmap */
	bool repair;      /* opened for that */
	bool bitmaps;     /* what the header names of them is theirs */
	bool file_is_device;
	bool l1_dirty;
	u8 *l1_touched; /* owned; a byte per 64 entries */

	u64 *table; /* owned; refcount table, table_size entries */
	u32 table_size;
	bool table_dirty;
	u8 *table_touched;
	struct qcow2_cache refs;
	u64 hint;      /* no cluster below it is free */
	u64 fresh;     /* bytes; never used from here on, reads as zero */
	bool unsynced; /* new tables refer to what may not be on the disk yet */
	_Atomic bool prepared; /* for writing */
	_Atomic bool corrupt;  /* met something impossible: no more writes */
	bool lazy; /* refcounts are written at the end, or rebuilt */
	u64 packed_at, packed_left; /* room for compressed data */

	u64 generation;          /* of written L2 tables */
	struct qcow2_gone *gone; /* owned */
	u32 gone_count, gone_max;

	struct lock inflated_lock; /* leaf */
	struct qcow2_inflated inflated[QCOW2_INFLATED];
	int inflated_next;
};

/* ---- qcow2_header.c ---- */

/* Takes the start of an image apart; everything is in bounds afterwards but
 * for the size of the file. */
int qcow2_header_parse(const u8 *buf, size_t len, struct qcow2_header *h,
		       struct err *err);
/* The name a backing file has in the header, seen from the image. */
char *qcow2_backing_path(const char *image, const char *name);

/* ---- qcow2_file.c: the file below ---- */

int qcow2_pread(struct qcow2 *s, u64 offset, void *buf, u64 len);
int qcow2_pwrite(struct qcow2 *s, u64 offset, const void *buf, u64 len);
int qcow2_pzero(struct qcow2 *s, u64 offset, u64 len);
int qcow2_sync(struct qcow2 *s);

/* ---- qcow2_cache.c ---- */

int qcow2_cache_init(struct qcow2_cache *c, u32 bytes, u64 most);
void qcow2_cache_fini(struct qcow2_cache *c);
void qcow2_cache_clear(struct qcow2_cache *c);
/* Slices in [offset, offset + bytes), which hold something else now. */
void qcow2_cache_forget(struct qcow2 *s, struct qcow2_cache *c, u64 offset,
			u64 bytes) REQUIRES(s->lock);
/* NULL: not there.  Needs s->map or s->lock. */
struct qcow2_slice *qcow2_cache_find(struct qcow2_cache *c, u64 offset);
/* Loads it when it is not there.  Stays until the next load. */
int qcow2_cache_load(struct qcow2 *s, struct qcow2_cache *c, u64 offset,
		     struct qcow2_slice **ret) REQUIRES(s->lock);
/* After the L2 tables were changed in the file. */
void qcow2_cache_clear_maps(struct qcow2 *s) REQUIRES(s->lock);
int qcow2_cache_write(struct qcow2 *s, struct qcow2_cache *c) REQUIRES(s->lock);

/* ---- qcow2_map.c: where guest clusters are ---- */

struct qcow2_entry qcow2_entry_read(const struct qcow2 *s, const u8 *at);
enum qcow2_kind qcow2_entry_kind(const struct qcow2 *s, struct qcow2_entry e,
				 u32 sub);
/* What the disk has at `offset`; as far as it is the same, at most `bytes`.
 * cached: false when it would have to read. */
bool qcow2_map_cached(struct qcow2 *s, u64 offset, u64 bytes,
		      struct qcow2_extent *out) EXCLUDES(s->map);
int qcow2_map(struct qcow2 *s, u64 offset, u64 bytes, struct qcow2_extent *out)
	EXCLUDES(s->lock);
int qcow2_map_locked(struct qcow2 *s, u64 offset, u64 bytes,
		     struct qcow2_extent *out) REQUIRES(s->lock);
/* The header or a table is there: not for a guest's data. */
bool qcow2_is_metadata(struct qcow2 *s, u64 offset, u64 bytes) EXCLUDES(s->map);
/* The table that an L1 entry names; 0: none.  -EIO. */
int qcow2_l2_table(const struct qcow2 *s, u64 l1_index, u64 *ret);
/* The slice of `table` that has the entry for a guest offset. */
u64 qcow2_slice_at(const struct qcow2 *s, u64 table, u64 offset);

/* The same for a change: in a table that nobody shares.  `data` is the entry
 * at `offset`; those behind it up to the end of the slice follow. */
int qcow2_entry_to_write(struct qcow2 *s, u64 offset, struct qcow2_slice **ret,
			 u8 **data) REQUIRES(s->lock);
/* Sets the entry at `data` of `slice`. */
void qcow2_entry_write(struct qcow2 *s, struct qcow2_slice *slice, u8 *data,
		       struct qcow2_entry e) REQUIRES(s->lock);

/* ---- qcow2_refs.c: what is in use ---- */

int qcow2_refs_get(struct qcow2 *s, u64 cluster, u64 *ret) REQUIRES(s->lock);
/* -ERANGE when it does not fit, or there is no block for the cluster. */
int qcow2_refs_set(struct qcow2 *s, u64 cluster, u64 value) REQUIRES(s->lock);
int qcow2_refs_add(struct qcow2 *s, u64 cluster, int by) REQUIRES(s->lock);
/* Up to `want` clusters next to each other; their contents are zero if
 * `fresh`, else anything. */
int qcow2_alloc(struct qcow2 *s, u64 want, u64 *ret_offset, u64 *ret_count,
		bool *fresh) REQUIRES(s->lock);
/* The same for a table; `count` of them. */
int qcow2_alloc_table(struct qcow2 *s, u64 count, u64 *ret_offset)
	REQUIRES(s->lock);
/* Gives clusters back that nothing on the disk refers to. */
void qcow2_free(struct qcow2 *s, u64 offset, u64 bytes) REQUIRES(s->lock);
/* Gives them back once the L2 tables of this moment are on the disk. */
void qcow2_free_later(struct qcow2 *s, u64 offset, u64 bytes) REQUIRES(s->lock);
/* Everything of before `generation` is there now. */
void qcow2_free_now(struct qcow2 *s, u64 generation) REQUIRES(s->lock);
/* Does that for all of them when they have become many. */
int qcow2_free_some(struct qcow2 *s) REQUIRES(s->lock);
/* Something was written below `end`. */
void qcow2_refs_used(struct qcow2 *s, u64 end) REQUIRES(s->lock);
/* New blocks and a new table for these counts, behind the last cluster. */
int qcow2_refs_rebuild(struct qcow2 *s, const u32 *count, u64 clusters)
	REQUIRES(s->lock);
/* An entry of a refcount block that is in memory. */
u64 qcow2_refs_read(const u8 *block, u64 index, u32 order);
void qcow2_refs_write(u8 *block, u64 index, u32 order, u64 value);
u64 qcow2_refs_max(const struct qcow2 *s);

/* ---- qcow2_flush.c: the order in which metadata reaches the disk ---- */

int qcow2_write_back(struct qcow2 *s) REQUIRES(s->lock);
int qcow2_flush(struct qcow2 *s) EXCLUDES(s->lock);
/* Once before the first change. */
int qcow2_prepare(struct qcow2 *s) REQUIRES(s->lock);
/* After the last one. */
int qcow2_finish(struct qcow2 *s) EXCLUDES(s->lock);
int qcow2_header_write(struct qcow2 *s, u32 at, const void *data, u32 len)
	REQUIRES(s->lock);
int qcow2_set_incompatible(struct qcow2 *s, u64 bits) REQUIRES(s->lock);
/* What must not be: no more writes from now on.  -EIO. */
int qcow2_broken(struct qcow2 *s, const char *what) REQUIRES(s->lock);

/* ---- qcow2_snapshot.c ---- */

struct qcow2_snapshot {
	char *id, *name; /* owned */
	u64 l1_offset, vm_clock_ns, vm_bytes;
	u64 disk_bytes; /* extra_bytes < 16: not known, 0 */
	u32 l1_size, seconds, nanoseconds;
	u8 *extra; /* owned; as in the file */
	u32 extra_bytes;
};

/* h.snapshots of them; bytes: of the table.  -EINVAL. */
int qcow2_snapshots_load(struct qcow2 *s, struct qcow2_snapshot **ret,
			 u64 *ret_bytes);
void qcow2_snapshots_free(struct qcow2_snapshot *list, u32 count);
/* `count` numbers in the file, in host order.  -EINVAL: not in the file. */
int qcow2_table_load(struct qcow2 *s, u64 offset, u64 count, u64 **ret);

/* ---- qcow2_check.c ---- */

struct qcow2_check {
	struct buf *text; /* in: what is found goes there; or NULL */
	u64 errors, leaks, fixed_errors, fixed_leaks;
	u64 total, allocated, fragmented, compressed; /* clusters */
	u64 end;    /* of what is used, in the file */
	u64 shared; /* clusters with more than one reference */
};

/* repair: 0 nothing, 1 leaks, 2 all.  0 whatever was found. */
int qcow2_check(struct qcow2 *s, int repair, struct qcow2_check *out);

/* ---- qcow2_compress.c ---- */

int qcow2_inflate(bool zstd, const u8 *in, size_t in_len, u8 *out,
		  size_t out_len);
/* Reads [skip, skip + len) of a compressed cluster into the vector. */
int qcow2_read_packed(struct qcow2 *s, u64 desc, u64 skip,
		      const struct iovec *iov, int niov, u64 at, u64 len);
/* The bytes that a descriptor covers. */
void qcow2_packed_range(const struct qcow2 *s, u64 desc, u64 *ret_offset,
			u64 *ret_bytes);

void qcow2_forget_packed(struct qcow2 *s);

/* ---- qcow2_pack.c ---- */

int qcow2_pack(struct block_node *n, const u8 *in, u8 *out, u32 *ret);
int qcow2_write_packed(struct block_node *n, u64 offset, const u8 *data,
		       u32 len);
/* The file is whole sectors long. */
int qcow2_pad(struct qcow2 *s);
int qcow2_preallocate(struct block_node *n, int how, u64 from);

/* ---- qcow2_backing.c ---- */

/* NULL: none. */
int qcow2_set_backing(struct block_node *n, const char *name,
		      const char *format, struct err *err);

/* The extension for bitmaps, 24 bytes, or none. */
int qcow2_header_bitmaps(struct qcow2 *s, const u8 *directory)
	REQUIRES(s->lock);

/* Of another version; refcounts have 16 bits, and nothing that only version 3
 * has is there.  The features of the new one are none. */
int qcow2_header_version(struct qcow2 *s, u32 version) REQUIRES(s->lock);

/* ---- qcow2_amend.c ---- */

int qcow2_amend(struct block_node *n, const struct image_amend *o,
		struct err *err);

/* ---- qcow2_bitmap.c ---- */

int qcow2_bitmaps(struct block_node *n, bool contents,
		  struct image_bitmap **ret, u32 *ret_count);
int qcow2_bitmaps_confirm(struct block_node *n);
int qcow2_bitmaps_store(struct block_node *n, const struct image_bitmap *list,
			u32 count, struct err *err);

/* ---- qcow2_branch.c ---- */

int qcow2_snapshots(struct block_node *n, struct image_snapshot **ret,
		    u32 *ret_count);
int qcow2_view_snapshot(struct block_node *n, const char *id, const char *name,
			struct err *err);
int qcow2_branch(struct block_node *n, enum image_snapshot_op op,
		 const char *name, struct err *err);

/* ---- qcow2_next.c ---- */

struct qcow2_next { /* what the counts are going to be */
	struct qcow2 *s; /* borrowed */
	u8 **block;      /* owned; as in the file; NULL: all are zero */
	u64 blocks;      /* those behind are NULL */
	u64 cursor;      /* no cluster below it is free */
	u64 *taken;      /* owned; offsets of new clusters */
	u64 taken_count, taken_max;
};

struct qcow2_roots { /* what the header is going to say */
	u64 size, l1_offset, snapshots_offset;
	u64 *l1; /* owned; host order */
	u32 l1_size, snapshots;
};

/* Everything is written back, nothing is in flight, and nothing else changes
 * the image until the end, which undoes what was not committed.  t->s is set.
 * -EINVAL: the refcount table makes no sense. */
int qcow2_next_begin(struct qcow2_next *t) REQUIRES(t->s->lock);
void qcow2_next_end(struct qcow2_next *t) REQUIRES(t->s->lock);
u64 qcow2_next_count(const struct qcow2_next *t, u64 cluster);
/* For a cluster that is in use.  -ERANGE: too many references; -EIO: it is not
 * counted at all. */
int qcow2_next_add(struct qcow2_next *t, u64 cluster, int by);
/* Clusters next to each other that neither state uses, counted once; whoever
 * takes them writes all of them. */
int qcow2_next_take(struct qcow2_next *t, u64 clusters, u64 *ret_offset)
	REQUIRES(t->s->lock);
/* Makes it the state of the image; takes over to->l1. */
int qcow2_next_commit(struct qcow2_next *t, const struct qcow2_roots *to)
	REQUIRES(t->s->lock);

/* ---- qcow2_create.c ---- */

/* Whether there can be such an image. */
int qcow2_create_check(const struct image_options *o, struct err *err);
/* As image_measure(). */
int qcow2_measure(const struct image_options *o, u64 data, u64 *ret_required,
		  u64 *ret_full, struct err *err);
/* Into an empty file. */
int qcow2_create(int fd, const struct image_options *o, struct err *err);

/* ---- qcow2_io.c ---- */

int qcow2_read_extent(struct qcow2 *s, const struct qcow2_extent *x, u64 offset,
		      const struct iovec *iov, int niov, struct iovec *part,
		      u64 at);
/* ---- qcow2_write.c ---- */

/* Sets an entry and gives back what it had for itself. */
void qcow2_entry_replace(struct qcow2 *s, struct qcow2_slice *slice, u8 *data,
			 struct qcow2_entry e) REQUIRES(s->lock);
int qcow2_write(struct qcow2 *s, struct block_req *r);
int qcow2_zero(struct qcow2 *s, u64 offset, u64 bytes, bool unmap);
int qcow2_discard(struct qcow2 *s, u64 offset, u64 bytes);
/* Blocking; whoever calls keeps requests apart that change the mapping of
 * the same cluster. */
int qcow2_execute(struct block_node *n, struct block_req *r);

/* ---- qcow2_size.c ---- */

int qcow2_resize(struct block_node *n, u64 size, struct err *err);
/* Everything comes from below. */
int qcow2_empty(struct block_node *n);
int qcow2_commit(struct block_node *n, struct err *err);

/* ---- qcow2_queue.c: the way of a request in the loop ---- */

bool qcow2_start(struct block_node *n, struct block_req *r);
void qcow2_ended(struct block_node *n, struct block_req *r);

#endif
