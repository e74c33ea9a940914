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
int image_flush(struct image *i);
int image_resize(struct image *i, u64 size, struct err *err);
/* Into its backing file; what it had is dropped. */
int image_commit(struct image *i, struct err *err);
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

/* Those of a drive that can be written; -ENOTSUP. */
int block_snapshots(struct block *b, struct image_snapshot **ret,
		    u32 *ret_count);

/* Rows of a table, as in QEMU. */
void image_snapshot_head(struct buf *out);
void image_snapshot_line(const struct image_snapshot *p, struct buf *out);

/* ---- New ones ---- */

enum image_prealloc { IMAGE_PREALLOC_OFF, IMAGE_PREALLOC_METADATA };

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
/* The name that `image` has for its backing file, seen from here; free it. */
char *image_backing_path(const char *image, const char *name);

/* "256 MiB", "1.5 GiB": three digits. */
void image_format_size(u64 bytes, struct buf *out);

#endif
