/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the files of block/ share: nodes and their drivers.
 *
 * Locking: execute() runs on workers, several at a time; everything else
 * needs the loop's lock.
 */
#ifndef BLOCK_INTERNAL_H
#define BLOCK_INTERNAL_H

#include <sys/types.h>
#include <sys/uio.h>

#include "block/block.h"
#include "block/image.h"
#include "lib/types.h"

struct aio;
struct block_node;
struct err;

#define BLOCK_SECTOR       512u
#define BLOCK_HEADER_BYTES 2048u /* what probing looks at */

struct block_driver {
	const char *format; /* in info block: "raw" */
	void (*close)(struct block_node *n);
	/* Carries out r->op and returns 0 or -errno.  May block. */
	int (*execute)(struct block_node *n, struct block_req *r);
	/* Optional, all below.  Starts `r` without blocking; false: give it to
	 * a worker.  Ends in block_finish() or block_complete().  May hand it
	 * to the start() of the node below, with r->target and r->offset for
	 * that one, and hears of its end all the same. */
	bool (*start)(struct block_node *n, struct block_req *r);
	/* `r` is over, before its done(). */
	void (*ended)(struct block_node *n, struct block_req *r);
	void (*unplug)(struct block_node *n);
	/* For draining: a descriptor that becomes readable, and what to call
	 * then. */
	int (*poll_fd)(struct block_node *n);
	void (*poll)(struct block_node *n);
	int (*resize)(struct block_node *n, u64 size, struct err *err);
	int (*commit)(struct block_node *n, struct err *err);
	/* What it was opened with; NULL: nothing. */
	struct block_node *(*below)(struct block_node *n);
	/* Drops what it has of its own; with below. */
	int (*empty)(struct block_node *n);
	/* Opens it again for writing; nothing is in flight. */
	int (*make_writable)(struct block_node *n, struct err *err);
	/* The other way round, at once; what it still has to write, it does. */
	void (*make_readonly)(struct block_node *n);
	void (*share)(struct block_node *n);
	int (*layers)(struct block_node *n, struct block_layer *out, int max);

	/* For block/image.h; blocking.  map: every driver that images have. */
	int (*map)(struct block_node *n, u64 offset, u64 bytes,
		   struct image_extent *out);
	int (*check)(struct block_node *n, int repair, struct image_check *out,
		     struct buf *text);
	int (*pack)(struct block_node *n, const u8 *in, u8 *out, u32 *ret);
	int (*write_packed)(struct block_node *n, u64 offset, const u8 *data,
			    u32 len);
	/* enum image_prealloc.  -ENOTSUP. */
	int (*preallocate)(struct block_node *n, int how, u64 from);
	int (*set_backing)(struct block_node *n, const char *name,
			   const char *format, struct err *err);
	int (*amend)(struct block_node *n, const struct image_amend *o,
		     struct err *err);
	int (*snapshots)(struct block_node *n, struct image_snapshot **ret,
			 u32 *ret_count);
	int (*snapshot)(struct block_node *n, enum image_snapshot_op op,
			const char *name, struct err *err);
	int (*bitmaps)(struct block_node *n, bool contents,
		       struct image_bitmap **ret, u32 *ret_count);
	int (*bitmaps_store)(struct block_node *n,
			     const struct image_bitmap *list, u32 count,
			     struct err *err);
	int (*bitmaps_confirm)(struct block_node *n);
	int (*view_snapshot)(struct block_node *n, const char *id,
			     const char *name, struct err *err);
};

struct block_node {
	const struct block_driver *drv;
	struct block *block; /* borrowed */
	int number;          /* "#block101" */
	u64 size;            /* bytes */
	u32 align;           /* see struct block's request_align */
	bool readonly;
};

/* Which images may name others. */
enum block_follow {
	BLOCK_FOLLOW_AUTO = -1, /* those whose format was not guessed */
	BLOCK_FOLLOW_OFF,
	BLOCK_FOLLOW_ON,
};

/* How to open a file. */
struct block_open {
	const char *path;
	bool readonly;
	bool readonly_auto; /* fall back to read-only */
	bool direct;        /* O_DIRECT */
	bool no_flush;      /* flushes do nothing */
	int aio;            /* enum block_aio */
	bool unmap;         /* pass discards on */
	int lock;           /* on, off, auto (-1) */
	bool grows;         /* holds a format that makes it longer */
	bool alone;         /* without what is below it */
	bool repair;        /* for writing although it is marked as corrupt */

	/* For node_open(). */
	const char *format; /* NULL: looked at */
	enum block_follow follow;
	const struct block_open *above; /* what names this as its backing */
	dev_t dev;                      /* of the file, for those below */
	ino_t ino;
	u8 *header; /* out: start of a file that was guessed to be raw */
};

/* Opens an image of any format and what is below it. */
struct block_node *node_open(struct block *b, struct block_open *o,
			     struct err *err);
/* NULL is fine; -ENOTSUP, naming what to do. */
int node_check_format(const char *format, struct err *err);
/* Blocking, on the caller's thread. */
int node_rw(struct block_node *n, enum block_op op, struct iovec *iov, int niov,
	    u64 offset, u64 bytes);

struct block_node *file_open(struct block *b, const struct block_open *o,
			     struct err *err);
/* An image in `file`, which it takes over also when it fails. */
struct block_node *qcow2_open(struct block *b, struct block_node *file,
			      const struct block_open *o, struct err *err);
/* What is below an image that was opened without; takes it over. */
void qcow2_put_backing(struct block_node *n, struct block_node *backing);
/* Reads up to BLOCK_HEADER_BYTES from the start; blocking. */
int file_read_header(struct block_node *n, u8 *header);
/* Whether its end moves, as an image's does. */
void file_set_grows(struct block_node *n, bool grows);
/* Of the file now; the size of a device. */
u64 file_length(struct block_node *n);
/* As image_copy(), of any two nodes. */
int file_copy(struct block_node *from, u64 at, struct block_node *to, u64 to_at,
	      u64 bytes);
bool file_is_device(struct block_node *n);
void file_identity(struct block_node *n, dev_t *ret_dev, ino_t *ret_ino);
struct block_node *overlay_open(struct block *b, struct block_node *base,
				struct err *err);
void node_close(struct block_node *n); /* NULL is fine */
/* Fills what all layers have in common. */
void node_layer(struct block_node *n, struct block_layer *out);
void node_init(struct block_node *n, const struct block_driver *drv,
	       struct block *b);

/* The format that these first bytes of an image name, or NULL. */
const char *probe_format(const u8 header[BLOCK_HEADER_BYTES]);

/* Into the image `depth` layers below, which is opened for writing; then what
 * `n` has of its own is dropped unless `keep`.  Nothing is in flight. */
int node_commit(struct block_node *n, int depth, bool keep,
		const struct commit_pace *pace, struct err *err);

/* A request that was checked, or held by block/throttle.h. */
void block_start(struct block_req *r);

/* Starts the drive: it is listed and its requests can end. */
int block_register(struct block *b, struct err *err);

/* Ends a request.  complete: in the loop, not within its submission; calls
 * done().  finish: any thread, any time; done() comes later. */
void block_complete(struct block_req *r, int result);
void block_finish(struct block_req *r, int result);
/* After a series of block_complete(). */
void block_settled(struct block *b);
/* Carries out `r` on a worker. */
void block_to_worker(struct block_node *n, struct block_req *r);

/* Moves `len` bytes between the vector (from byte `at`) and the file.  Reads
 * beyond the end give zeroes.  0 or -errno. */
int fd_rw(int fd, bool write, const struct iovec *iov, int niov, size_t at,
	  u64 offset, u64 len, int flags);

/* Makes the range read as zeroes, freeing space if `unmap`. */
int fd_zero(int fd, bool unmap, u64 offset, u64 len);
/* Takes space for all of the range; full: and fills its holes with zeroes. */
int fd_fill(int fd, bool full, u64 offset, u64 end);
/* Frees space; contents are undefined afterwards. */
int fd_discard(int fd, u64 offset, u64 len);

/* Locks that QEMU honours too, and held until the descriptor is closed.
 * -EBUSY names who has the image. */
int lock_file(int fd, const char *path, bool readonly, int lock,
	      struct err *err);
void lock_share(int fd);
/* Nothing is written any more. */
void lock_read_only(int fd);
void lock_release_all(int fd);

/* What carries out reads and writes without a worker, on a loop. */
struct aio_class {
	void (*destroy)(struct aio *a); /* nothing is in flight */
	void (*submit)(struct aio *a, struct block_req *r);
	/* What was submitted goes to the kernel. */
	void (*flush)(struct aio *a);
	int (*poll_fd)(struct aio *a);
	void (*poll)(struct aio *a);
};

struct aio {
	const struct aio_class *class;
};

struct aio *native_create(struct block *b, int fd, struct err *err);
/* Only where the build has liburing. */
struct aio *uring_create(struct block *b, int fd, struct err *err);

/* Whether the medium may be taken out: as block_open_tray(), without doing it.
 */
int block_tray_check(struct block *b, bool force, struct err *err);
/* Nothing without a tray. */
void block_move_tray(struct block *b, bool open);

#endif
