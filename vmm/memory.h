/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Guest memory and port space: regions, dispatch, the checked pointer.
 *
 * The only door into guest RAM is mem_ptr() and the copies built on it:
 * address and length are checked together, without overflow.  Device DMA
 * reaches RAM only, never a device.
 *
 * Locking: RAM blocks are added before the vCPUs run and are read without a
 * lock.  Regions and dispatch (space_read/space_write) need machine_lock,
 * except regions marked lockless, which vcpu_mmio() and vcpu_pio() call
 * without it.  mem_*() work from any thread.
 */
#ifndef VMM_MEMORY_H
#define VMM_MEMORY_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/uio.h>

#include "lib/list.h"
#include "lib/types.h"

struct err;
struct buf;
struct machine;

#define PAGE_SHIFT 12
#define PAGE_SIZE  4096ULL
#define PAGE_MASK  (~(PAGE_SIZE - 1))

/* ---- RAM ---- */

#define RAM_BLOCKS_MAX 32

/* Why a store to the page must be noticed; see tcg/ and the dirty log. */
#define MEM_PAGE_CODE   0x01u /* the engine decoded instructions from it */
#define MEM_PAGE_LOG    0x02u /* dirty logging is on and the page is clean */
#define MEM_PAGE_FENCED 0x04u /* goes with _CODE: every thread has seen it */

struct ram_block {
	const char *name; /* "pc.ram", "pc.bios" */
	gpa_t base;
	u64 size; /* bytes, multiple of PAGE_SIZE */
	u8 *host;
	bool alias; /* `host` is another one's, `offset` bytes into it */
	u64 offset;
	bool readonly; /* guest stores are dropped */
	/* One bit a page, owned by memory; NULL while logging is off. */
	_Atomic u64 *dirty;
	/* One byte a page, MEM_PAGE_*; always present. */
	_Atomic u8 *flags;
	/* Bumped on each write to a page that has MEM_PAGE_CODE: whatever was
	 * decoded from an older generation is stale. */
	_Atomic u32 *gen;
};

struct memory {
	struct ram_block ram[RAM_BLOCKS_MAX];
	_Atomic int nram;
	_Atomic bool logging;
};

/* Creates one block of its own memory.  -ENOMEM, -EINVAL. */
int mem_add_ram(struct memory *mem, const char *name, gpa_t base, u64 size,
		bool readonly, struct err *err);
/* Maps part of an existing block at another address (RAM above 4 GiB). */
int mem_add_alias(struct memory *mem, const char *name, gpa_t base, u64 size,
		  const struct ram_block *of, u64 offset, struct err *err);
void mem_fini(struct memory *mem);

/* The block that holds gpa, or NULL. */
struct ram_block *mem_block(struct memory *mem, gpa_t gpa);

/* Host address of `len` bytes at `gpa` if they all lie in one writable or
 * read-only block, else NULL.  Whoever stores through it calls
 * mem_written() afterwards; `mem_ptr_rw` refuses read-only blocks. */
const void *mem_ptr(struct memory *mem, gpa_t gpa, u64 len);
void *mem_ptr_rw(struct memory *mem, gpa_t gpa, u64 len);
void mem_written(struct memory *mem, gpa_t gpa, u64 len);

/* Copies; may span blocks.  -EFAULT if any byte is not RAM, and then the
 * part before it may have been copied. */
int mem_read(struct memory *mem, gpa_t gpa, void *dst, u64 len);
int mem_write(struct memory *mem, gpa_t gpa, const void *src, u64 len);
int mem_fill(struct memory *mem, gpa_t gpa, u8 byte, u64 len);
/* For loaders and firmware: as mem_write(), read-only blocks included. */
int mem_load(struct memory *mem, gpa_t gpa, const void *src, u64 len);

/* Splits [gpa, gpa+len) into host ranges; returns their number, or -EFAULT,
 * or -E2BIG when `max` is not enough.  `write`: the caller will store. */
int mem_iov(struct memory *mem, gpa_t gpa, u64 len, bool write,
	    struct iovec *iov, int max);

/* Gives whole pages back to the host; they read as zeroes from then on.
 * -EFAULT if one is not writable RAM (those before it are gone then). */
int mem_discard(struct memory *mem, gpa_t gpa, u64 len);

/* The next part of a block at or behind `offset` that may be other than zero,
 * in whole pages; false: none.  The rest reads as zero, and reading it would
 * use host memory. */
bool mem_next_data(const struct ram_block *b, u64 offset, u64 *ret_start,
		   u64 *ret_end);

void mem_log_start(struct memory *mem);
void mem_log_stop(struct memory *mem);
void mem_mark_dirty(struct memory *mem, gpa_t gpa, u64 len);

/* ---- Regions: device registers in memory space or port space ---- */

/* `size` is 1, 2, 4 or 8; offset + size stays within the region.  Accesses
 * outside [min_size, max_size] are split or widened by the dispatcher; an
 * access that `offset` is not aligned for arrives as bytes unless
 * `unaligned` is set. */
struct region_ops {
	u64 (*read)(void *opaque, u64 offset, u32 size);
	void (*write)(void *opaque, u64 offset, u32 size, u64 value);
	u8 min_size; /* 0 means 1 */
	u8 max_size; /* 0 means 4 */
	bool unaligned;
	bool lockless; /* callable without machine_lock */
};

struct region {
	const char *name; /* borrowed; as in info mtree */
	const struct region_ops *ops;
	void *opaque;
	struct space *space; /* NULL while unmapped */
	u64 base, size;
	int priority; /* higher wins where regions overlap */
	struct list node;
};

/* Sorted, non-overlapping view of a space, rebuilt on change. */
struct flat_range {
	u64 base, end; /* end inclusive */
	struct region *region;
	u64 offset; /* of base within the region */
};

struct space {
	const char *name; /* "memory", "I/O" */
	struct machine *machine;
	struct list regions;
	struct flat_range *flat; /* owned */
	int nflat;
	/* Leaf; machine_lock holders need it only to replace `flat`. */
	pthread_rwlock_t flat_lock;
};

void space_init(struct space *s, const char *name, struct machine *m);
void space_fini(struct space *s);

/* Initialises and maps.  Overlaps are allowed; priority decides, then the
 * region mapped last. */
void region_map(struct region *r, struct space *s, const char *name, u64 base,
		u64 size, const struct region_ops *ops, void *opaque);
void region_map_at(struct region *r, struct space *s, u64 base); /* move */
void region_unmap(struct region *r); /* idempotent */

/* Device access.  Reads of nothing give all ones.  Memory-space accesses
 * that hit RAM go to RAM.  Needs machine_lock. */
u64 space_read(struct space *s, u64 addr, u32 size);
void space_write(struct space *s, u64 addr, u32 size, u64 value);
struct region *space_find(struct space *s, u64 addr, u64 *ret_offset);
/* Without machine_lock: a lockless region that takes this access whole, or
 * NULL.  Such a region may be unmapped but is freed only while every vCPU is
 * parked. */
struct region *space_find_lockless(struct space *s, u64 addr, u32 size,
				   u64 *ret_offset);
/* One access that region_ops allow, narrower than min_size included. */
u64 region_read(struct region *r, u64 offset, u32 size);
void region_write(struct region *r, u64 offset, u32 size, u64 value);

/* As `info mtree` prints it; `owners`: and whose each region is, `dispatch`:
 * and how an access finds it. */
void space_info(struct space *s, struct memory *mem, bool owners,
		struct buf *out);
void space_info_flat(struct space *s, struct memory *mem, bool owners,
		     bool dispatch, struct buf *out);

#endif
