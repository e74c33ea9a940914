/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Disks: what a guest's disk controller, the monitor and jobs use.
 *
 * A struct block is one drive: options, counters, a policy for errors, and a
 * stack of nodes (overlay on file) that does the work.  Requests are embedded
 * in their owner's memory, submitted, and come back through done().
 *
 * Locking: everything needs the loop's lock (machine_lock) or runs before
 * the loop.  done() is called exactly once, with that lock held, from the
 * loop or from block_drain(), never inside the call that submits.  Blocking
 * work runs on workers, which hold no lock but the node's own.
 */
#ifndef BLOCK_BLOCK_H
#define BLOCK_BLOCK_H

#include <sys/uio.h>

#include "lib/list.h"
#include "lib/opt.h"
#include "lib/types.h"
#include "lib/work.h"

struct block;
struct block_done;
struct throttle;
struct block_node;
struct buf;
struct err;
struct loop;

enum block_op {
	BLOCK_READ,
	BLOCK_WRITE,
	BLOCK_FLUSH,
	BLOCK_DISCARD,      /* contents become undefined */
	BLOCK_WRITE_ZEROES, /* contents become zero */
	BLOCK_OP_COUNT
};

#define BLOCK_REQ_FUA   0x1u /* write: on stable storage when done */
#define BLOCK_REQ_UNMAP 0x2u /* write zeroes: may free the space */

/* One request.  The caller fills the first part and keeps it, the vector and
 * the buffers alive until done(). */
struct block_req {
	struct iovec *iov; /* read, write; never changed */
	int niov;
	u64 offset; /* bytes; any alignment */
	u64 bytes;  /* discard, write zeroes; else set from the vector */
	u32 flags;  /* BLOCK_REQ_* */
	int result; /* 0 or -errno, valid in done() */
	void (*done)(struct block_req *r);

	/* Below: private to block/. */
	struct block *block;
	struct block_node *target;
	enum block_op op, counted; /* carried out as; counted as */
	u64 start_ns;
	struct work work;
	struct list node; /* waiting, or finished */
	void *guard;      /* owned: what the guest must not change any more */
	struct iovec *own_iov; /* the caller's vector, while guarded */
	int own_niov;
	u64 own_offset;  /* the caller's, while a node below has it */
	u64 first, last; /* clusters of the image, for block/qcow2_queue.c */
	bool alone;
	struct list held;
};

/* Submit.  Cannot fail: failure comes through done().  A range outside of
 * the disk ends in -EINVAL, a write to a read-only drive in -EACCES. */
void block_read(struct block *b, struct block_req *r);
void block_write(struct block *b, struct block_req *r);
void block_flush(struct block *b, struct block_req *r);
void block_discard(struct block *b, struct block_req *r);
void block_write_zeroes(struct block *b, struct block_req *r);

/* Requests submitted between these two may reach the kernel together. */
void block_plug(struct block *b);
void block_unplug(struct block *b);

/* Waits until no request of `b` (of any drive) is in flight; their done()
 * functions run inside.  Not from done() itself. */
void block_drain(struct block *b);
void block_drain_all(void);

enum block_iface {
	BLOCK_IF_NONE,
	BLOCK_IF_VIRTIO,
	BLOCK_IF_PFLASH,
	BLOCK_IF_IDE,
};

enum block_on_error { /* rerror=, werror= */
		      BLOCK_ERR_REPORT,
		      BLOCK_ERR_IGNORE,
		      BLOCK_ERR_ENOSPC, /* stop on ENOSPC, else report */
		      BLOCK_ERR_STOP,
};

enum block_aio { BLOCK_AIO_THREADS, BLOCK_AIO_NATIVE, BLOCK_AIO_URING };

enum block_io_status { BLOCK_IO_OK, BLOCK_IO_FAILED, BLOCK_IO_NOSPACE };

enum block_limit_id { /* rows of struct block_limits */
		      BLOCK_BPS,
		      BLOCK_BPS_RD,
		      BLOCK_BPS_WR,
		      BLOCK_IOPS,
		      BLOCK_IOPS_RD,
		      BLOCK_IOPS_WR,
		      BLOCK_LIMITS
};

/* What a drive may do per second; 0: anything. */
struct block_limits {
	struct block_limit {
		u64 avg;    /* in the long run */
		u64 max;    /* in a burst; 0: no bursts */
		u64 length; /* seconds that a burst lasts; 1 */
	} v[BLOCK_LIMITS];

	u64 op_size; /* bytes that count as one request; 0: any number */
};

struct block_stats { /* as info blockstats shows them */
	u64 bytes[BLOCK_OP_COUNT];
	u64 ops[BLOCK_OP_COUNT];
	u64 failed[BLOCK_OP_COUNT];
	u64 time_ns[BLOCK_OP_COUNT]; /* sum of latencies */
	u64 last_access_ns;          /* clock_mono_ns(); 0: never */
};

/* The tray of a drive with removable media. */
struct block_tray {
	bool (*locked)(void *opaque); /* by the guest */
	bool (*open)(void *opaque);
	void (*ask)(void *opaque); /* the guest: to let go */
	void (*move)(void *opaque, bool open);
};

/* The device that uses a drive.  All may be NULL. */
struct block_front {
	/* A batch of done() calls is over. */
	void (*settled)(void *opaque);
	/* The size changed. */
	void (*resized)(void *opaque);
	/* Where it is, for "Attached to:"; appends to `out`. */
	void (*path)(void *opaque, struct buf *out);
	/* The same as firmware names it; NULL: it does not. */
	void (*firmware_path)(void *opaque, struct buf *out);
	/* NULL: the medium stays. */
	const struct block_tray *tray;
};

/* Read freely; changed only by block/. */
struct block {
	char *id; /* owned; "virtio0", "hd0" */
	struct loop *loop;
	struct block_node *root; /* owned; NULL without medium */
	u64 size;                /* bytes, a multiple of 512 */
	u32 request_align;       /* unaligned requests cost extra; >= 512 */
	bool readonly;
	bool write_cache; /* false: every write is flushed */
	u32 bootindex;    /* of its device; UINT32_MAX: none */
	struct block_stats stats;
	u64 created_ns;
	enum block_io_status io_status;
	int inflight;
	int plugged;

	/* Options. */
	int iface, index;
	int on_read_error, on_write_error; /* enum block_on_error */
	bool discard;                      /* discard=unmap */
	int detect_zeroes;                 /* 0 off, 1 on, 2 unmap */
	bool cdrom;                        /* media=cdrom */
	bool direct, no_flush;             /* how images are opened */
	int aio;                           /* enum block_aio */
	bool stays;                        /* without a device, too: a node */
	int lock, follow;
	char *serial; /* owned; NULL */

	const struct block_front *front; /* NULL while not attached */
	void *front_opaque;
	struct block_done *finish; /* owned; finished on other threads */
	struct throttle *throttle; /* its group, shared; NULL: no limits */
	u8 *header;       /* owned; start of a guessed image, or NULL */
	struct list node; /* in the registry, order of creation */
};

/* Creates a drive from "-drive" options ("file=disk.raw,if=virtio,...").
 * Without format= the image is looked at; when it seems to be raw, writes
 * that would make its start look like another format are refused. */
struct block *block_create(struct loop *loop, struct opts *o, struct err *err);
void block_destroy(struct block *b); /* drains; NULL is fine */
void block_destroy_all(void);
/* Destroys a drive without device; takes the image away from one that has,
 * and its id is free: it is called as the device's path from then on. */
void block_delete(struct block *b);
struct block *block_find(const char *id);
/* In creation order; NULL starts, returns NULL at the end. */
struct block *block_next(struct block *b);

/* A drive has at most one device.  -EBUSY. */
int block_attach(struct block *b, const struct block_front *front, void *opaque,
		 struct err *err);
void block_detach(struct block *b, void *opaque);
bool block_attached(const struct block *b);

/* Other writers of the same file are welcome (share-rw=on). */
void block_share(struct block *b);
/* Where firmware looks for it (bootindex=); lower ones are tried first. */
void block_set_boot_index(struct block *b, u32 index);
/* Switches the write cache as the guest asked (virtio-blk WCE). */
void block_set_write_cache(struct block *b, bool on);
/* All zero, bursts of a second. */
void block_limits_init(struct block_limits *l);
bool block_limits_any(const struct block_limits *l);
int block_limits_check(const struct block_limits *l, struct err *err);
/* Limits for the drives of `group`, which it joins (NULL: the one it is in,
 * else its own).  Zeroes: it leaves the group. */
int block_set_limits(struct block *b, const struct block_limits *l,
		     const char *group, struct err *err);
/* NULL: none. */
const struct block_limits *block_limits(const struct block *b,
					const char **ret_group);

enum block_change_mode { BLOCK_RETAIN, BLOCK_READ_ONLY, BLOCK_READ_WRITE };

/* For a device that reads CDs. */
void block_set_cdrom(struct block *b);
/* Before the medium is taken out: opens the tray, if there is one.  -EBUSY: it
 * stays where it is; -EINPROGRESS: locked, and the guest was asked; `force`
 * opens it all the same. */
int block_open_tray(struct block *b, bool force, struct err *err);
/* Another image for a drive that no device uses, or that has a tray, which is
 * closed then; without an image of that name it keeps what it has.  `format`
 * may be NULL.  Errors and `force` as of block_open_tray(). */
int block_change(struct block *b, const char *file, const char *format,
		 enum block_change_mode mode, bool force, struct err *err);
/* Drops the image; requests fail from now on (monitor drive_del). */
void block_eject(struct block *b);
/* Blocking; tells the device.  -EACCES, -ENOTSUP, -ENOSPC... */
int block_resize(struct block *b, u64 size, struct err *err);
/* Writes an overlay (snapshot=on) into its base; blocking.  -ENOTSUP when
 * there is no overlay. */
int block_commit(struct block *b, struct err *err);
/* An external snapshot: the drive goes on in a new overlay in `file`, on top
 * of what it has now (format NULL: qcow2; existing: one that was made for it).
 * Blocking.  prepare does all that can fail and leaves the drive as it is;
 * until commit or abort nothing else may happen to it. */
struct block_snapshot;
struct block_snapshot *block_snapshot_prepare(struct block *b, const char *file,
					      const char *format, bool existing,
					      struct err *err);
void block_snapshot_commit(struct block_snapshot *s);
void block_snapshot_abort(struct block_snapshot *s);
/* Failure policy for `error` (-errno) of `op`: report, ignore or stop. */
enum block_on_error block_error_action(struct block *b, enum block_op op,
				       int error);
void block_set_io_status(struct block *b, enum block_io_status status);

/* One layer of a drive, top first, for info block. */
struct block_layer {
	const char *file;   /* borrowed from the node */
	const char *format; /* "raw" */
	char node[32];      /* "#block101", or its name */
	bool readonly, direct, no_flush, writeback;
	u64 virtual_size, disk_size; /* bytes */
	u32 cluster_size;            /* 0: none */
	/* What a qcow2 image says of itself. */
	const char *backing, *backing_format; /* borrowed; NULL, "": none */
	u32 version, refcount_bits;           /* version 0: no qcow2 image */
	bool zstd, lazy, corrupt, extended, dirty;
};

/* Number of layers (0: no medium); fills `out[0 .. max)`. */
int block_layers(struct block *b, struct block_layer *out, int max);

/* Text as QEMU's info block prints one drive, and one line of info
 * blockstats (both with final newline). */
void block_info(struct block *b, bool verbose, struct buf *out);
void block_stats_line(struct block *b, struct buf *out);

/* Rows of -drive, for help. */
extern const struct option_row block_options[];
/* Option row type: struct block *, named by its id ("drive=ID"). */
extern const struct opt_type opt_drive;

#endif
