/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Images without a drive: what tools do to them.
 *
 * Everything here blocks.  Reading, and writing to different clusters, may go
 * on in several threads; all else has the image to itself.
 */
#ifndef BLOCK_IMAGE_H
#define BLOCK_IMAGE_H

#include "block/block.h"
#include "lib/opt.h"
#include "lib/types.h"

struct buf;
struct err;
struct image;

struct image_mode {
	bool write;
	bool unlocked;  /* whoever else has it open */
	bool alone;     /* without its backing file */
	bool repair;    /* also when it is marked as corrupt */
	bool no_flush;  /* as cache=unsafe */
	bool direct;    /* past the host's cache: cache=none */
	bool through;   /* what is written is on the disk: cache=writethrough */
	bool untrusted; /* a guessed format may name no backing file */
};

/* format: NULL: looked at.  NULL on failure. */
struct image *image_open(const char *path, const char *format,
			 const struct image_mode *mode, struct err *err);
void image_close(struct image *i); /* NULL is fine */

u64 image_size(const struct image *i); /* whole sectors */
const char *image_path(const struct image *i);
const char *image_format(const struct image *i);
/* Its clusters, or what else is best changed as a whole. */
u32 image_unit(struct image *i);
/* As block_layers(). */
int image_layers(struct image *i, struct block_layer *out, int max);

int image_read(struct image *i, u64 offset, void *buf, u64 bytes);
int image_write(struct image *i, u64 offset, const void *buf, u64 bytes);
/* Gives space up where it can. */
int image_zero(struct image *i, u64 offset, u64 bytes);
/* From one place to another within the host.  -ENOTSUP: read and write it;
 * both are raw files, or it cannot be done. */
int image_copy(struct image *from, u64 at, struct image *to, u64 to_at,
	       u64 bytes);
int image_flush(struct image *i);
int image_resize(struct image *i, u64 size, struct err *err);
/* Gives what lies behind `from`, and was never written, a place; `how` is one
 * of enum image_prealloc.  -ENOTSUP. */
int image_preallocate(struct image *i, int how, u64 from, struct err *err);

struct commit_pace { /* hears how far it is */
	/* bytes: that have just been copied. */
	void (*moved)(void *opaque, u64 done, u64 total, u64 bytes);
	void *opaque;
};

/* Into the image `depth` layers below, 1: its backing file; what it had is
 * dropped unless `keep`.  pace: NULL: nobody. */
int image_commit(struct image *i, int depth, bool keep,
		 const struct commit_pace *pace, struct err *err);
/* Another name for its backing file, and nothing else; NULL: none. */
int image_set_backing(struct image *i, const char *name, const char *format,
		      struct err *err);

/* Compressed clusters, for formats that have them: image_can_pack().  pack:
 * the length in `out`, which has room for a unit; 0 when that is no less than
 * the unit.  write_packed: what pack gave for the cluster at `offset`. */
bool image_can_pack(const struct image *i);
int image_pack(struct image *i, const u8 *in, u8 *out, u32 *ret);
int image_write_packed(struct image *i, u64 offset, const u8 *data, u32 len);

struct image_extent { /* a part of the disk that is stored in one way */
	u64 bytes;
	bool present; /* this layer, or one below, has something there */
	bool zero, data;
	bool mapped; /* data is in `file` at `offset` */
	u64 offset;
	int depth;        /* layers above it */
	const char *file; /* borrowed */
};

int image_map(struct image *i, u64 offset, u64 bytes, struct image_extent *out);

struct image_check {
	u64 errors, leaks, fixed_errors, fixed_leaks;
	u64 total, allocated, fragmented, compressed; /* clusters */
	u64 end;                                      /* in the file */
};

/* repair: 0 nothing, 1 leaks, 2 all.  What is found goes to `text`.  -ENOTSUP:
 * nothing to check in this format. */
int image_check(struct image *i, int repair, struct image_check *out,
		struct buf *text);

/* ---- Internal snapshots ---- */

struct image_snapshot {
	char *id, *name; /* owned */
	u64 vm_bytes, seconds, nanoseconds, clock_ns;
	u64 icount; /* UINT64_MAX: not known */
};

enum image_snapshot_op {
	IMAGE_SNAPSHOT_CREATE,
	IMAGE_SNAPSHOT_APPLY, /* by id or name */
	IMAGE_SNAPSHOT_DELETE,
};

/* -ENOTSUP. */
int image_snapshots(struct image *i, struct image_snapshot **ret,
		    u32 *ret_count);
void image_snapshots_free(struct image_snapshot *list, u32 count);
int image_snapshot(struct image *i, enum image_snapshot_op op, const char *name,
		   struct err *err);

/* The disk is what it was when that was taken, for an image that is only read;
 * either of id and name may be NULL.  -ENOENT, -ENOTSUP. */
int image_view_snapshot(struct image *i, const char *id, const char *name,
			struct err *err);

/* Those of a drive that can be written; -ENOTSUP. */
int block_snapshots(struct block *b, struct image_snapshot **ret,
		    u32 *ret_count);

/* Rows of a table, as in QEMU. */
void image_snapshot_head(struct buf *out);
void image_snapshot_line(const struct image_snapshot *p, struct buf *out);

/* ---- Bitmaps of what was written ---- */

struct image_bitmap {
	char *name;     /* owned */
	u32 bits;       /* a bit is for 2^bits bytes of the disk */
	bool in_use;    /* its contents are not known */
	bool automatic; /* enabled: counts what is written from now on */
	u64 bytes;      /* of `map` */
	u8 *map;        /* owned; NULL where contents were not asked for */
};

/* Those that count.  -ENOTSUP; -EINVAL: they make no sense; -EFBIG. */
int image_bitmaps(struct image *i, bool contents, struct image_bitmap **ret,
		  u32 *ret_count);
void image_bitmaps_free(struct image_bitmap *list, u32 count);
/* In place of those that are there; all with contents. */
int image_bitmaps_store(struct image *i, const struct image_bitmap *list,
			u32 count, struct err *err);
/* Those that are there, and that any change of the image makes void, are right
 * all the same: the disk has what it had. */
int image_bitmaps_confirm(struct image *i);
/* Bytes of the contents of one for a disk of `size` bytes. */
u64 image_bitmap_bytes(u64 size, u32 bits);

/* ---- New ones ---- */

enum image_prealloc {
	IMAGE_PREALLOC_OFF,
	IMAGE_PREALLOC_METADATA, /* every cluster has its place */
	IMAGE_PREALLOC_FALLOC,   /* and the host's space */
	IMAGE_PREALLOC_FULL,     /* and zeroes in it */
};

/* By name; -1: there is none. */
int image_prealloc_find(const char *name);

struct image_options { /* -o */
	u64 size, cluster_size;
	u32 refcount_bits;
	int compat, prealloc, compression; /* as their names are listed */
	char *backing, *backing_format;    /* owned; NULL */
	bool lazy, extended;
};

/* The rows of a format; NULL: it cannot be made. */
const struct option_row *image_option_rows(const char *format);
/* Overwrites what is there. */
/* Is the file that an image is to be made in one of those below it?  -EINVAL. */
int image_check_backing(const char *path, const struct image_options *o,
			struct err *err);
int image_create(const char *path, const char *format,
		 const struct image_options *o, struct err *err);
/* "fmt=qcow2 cluster_size=65536 ...", as qemu-img has it. */
void image_describe(const char *format, const struct image_options *o,
		    struct buf *out);
/* What a new image of o->size takes: with `data` bytes of clusters in use, and
 * with all of them. */
int image_measure(const char *format, const struct image_options *o, u64 data,
		  u64 *ret_required, u64 *ret_full, struct err *err);
struct image_amend {       /* of an image that is there; each may be left */
	u32 version;       /* 0 */
	u32 refcount_bits; /* 0 */
	int lazy;          /* -1 */
};

/* All of it, or nothing but on an I/O error. */
int image_amend(struct image *i, const struct image_amend *o, struct err *err);
/* The name that `image` has for its backing file, seen from here; free it. */
char *image_backing_path(const char *image, const char *name);

/* "256 MiB", "1.5 GiB": three digits. */
void image_format_size(u64 bytes, struct buf *out);

#endif
