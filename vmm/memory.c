/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Guest RAM behind the checked pointer, and device regions.
 */
#include "vmm/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/lock.h"
#include "lib/log.h"
#include "vmm/device.h"
#include "vmm/machine.h"

#define MEM_HUGE (2 * MIB)

/* ---- RAM ---- */

static struct ram_block *mem_new_block(struct memory *mem, const char *name,
				       gpa_t base, u64 size, struct err *err)
{
	int n = atomic_load(&mem->nram);

	if (n == RAM_BLOCKS_MAX) {
		err_set(err, -ENOSPC, "too many RAM blocks");
		return NULL;
	}
	if (!size || size % PAGE_SIZE || base % PAGE_SIZE ||
	    base + size < base) {
		err_set(err, -EINVAL, "RAM block '%s' is not made of pages",
			name);
		return NULL;
	}
	for (int i = 0; i < n; i++) {
		struct ram_block *b = &mem->ram[i];

		if (base < b->base + b->size && b->base < base + size) {
			err_set(err, -EINVAL, "RAM block '%s' overlaps '%s'",
				name, b->name);
			return NULL;
		}
	}
	memset(&mem->ram[n], 0, sizeof mem->ram[n]);
	mem->ram[n].name = name;
	mem->ram[n].base = base;
	mem->ram[n].size = size;
	return &mem->ram[n];
}

/* Anonymous memory, so that it can have huge pages on any host, which are
 * aligned in it as in the guest; neither children nor core dumps get it.  Named
 * in /proc/PID/smaps where the kernel can.  NULL with errno. */
static u8 *mem_map(const char *name, u64 size)
{
	u8 *all = mmap(NULL, size + MEM_HUGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	u8 *p;

	if (all == MAP_FAILED)
		return NULL;
	p = (u8 *)ALIGN_UP((uintptr_t)all, MEM_HUGE);
	if (p > all)
		munmap(all, (size_t)(p - all));
	munmap(p + size, (size_t)(all + MEM_HUGE - p));
	(void)madvise(p, size, MADV_HUGEPAGE);
	(void)madvise(p, size, MADV_DONTFORK);
	(void)madvise(p, size, MADV_DONTDUMP);
	(void)prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, p, size, name);
	return p;
}

int mem_add_ram(struct memory *mem, const char *name, gpa_t base, u64 size,
		bool readonly, struct err *err)
{
	struct ram_block *b = mem_new_block(mem, name, base, size, err);
	u64 pages = size >> PAGE_SHIFT;

	if (!b)
		return -EINVAL;
	b->readonly = readonly;
	b->host = mem_map(name, size);
	if (!b->host)
		return err_errno(err, "cannot get %llu MiB for '%s'",
				 (unsigned long long)(size / MIB), name);
	/* Untouched pages of these cost nothing: anonymous zero memory. */
	b->flags = mmap(NULL, pages, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	b->gen = mmap(NULL, pages * sizeof(u32), PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (b->flags == MAP_FAILED || b->gen == MAP_FAILED) {
		munmap(b->host, size);
		return err_set(err, -ENOMEM, "no memory for page flags");
	}
	atomic_fetch_add_explicit(&mem->nram, 1, memory_order_release);
	return 0;
}

int mem_add_alias(struct memory *mem, const char *name, gpa_t base, u64 size,
		  const struct ram_block *of, u64 offset, struct err *err)
{
	struct ram_block *b;

	if (!range_holds(0, of->size, offset, size))
		return err_set(err, -EINVAL, "alias '%s' is not in '%s'", name,
			       of->name);
	b = mem_new_block(mem, name, base, size, err);
	if (!b)
		return -EINVAL;
	b->alias = true;
	b->offset = of->offset + offset;
	b->host = of->host + offset;
	b->readonly = of->readonly;
	b->flags = of->flags + (offset >> PAGE_SHIFT);
	b->gen = of->gen + (offset >> PAGE_SHIFT);
	atomic_fetch_add_explicit(&mem->nram, 1, memory_order_release);
	return 0;
}

void mem_fini(struct memory *mem)
{
	int n = atomic_exchange(&mem->nram, 0);

	for (int i = 0; i < n; i++) {
		struct ram_block *b = &mem->ram[i];
		u64 pages = b->size >> PAGE_SHIFT;

		free((void *)b->dirty);
		if (b->alias)
			continue;
		munmap((void *)b->flags, pages);
		munmap((void *)b->gen, pages * sizeof(u32));
		munmap(b->host, b->size);
	}
}

struct ram_block *mem_block(struct memory *mem, gpa_t gpa)
{
	int n = atomic_load_explicit(&mem->nram, memory_order_acquire);

	for (int i = 0; i < n; i++)
		if (gpa - mem->ram[i].base < mem->ram[i].size)
			return &mem->ram[i];
	return NULL;
}

const void *mem_ptr(struct memory *mem, gpa_t gpa, u64 len)
{
	struct ram_block *b = mem_block(mem, gpa);

	if (!b || !range_holds(b->base, b->size, gpa, len))
		return NULL;
	return b->host + (gpa - b->base);
}

void *mem_ptr_rw(struct memory *mem, gpa_t gpa, u64 len)
{
	struct ram_block *b = mem_block(mem, gpa);

	if (!b || b->readonly || !range_holds(b->base, b->size, gpa, len))
		return NULL;
	return b->host + (gpa - b->base);
}

static void mem_log_page(struct ram_block *b, u64 page)
{
	if (b->dirty)
		atomic_fetch_or_explicit(&b->dirty[page / 64], BIT(page % 64),
					 memory_order_relaxed);
}

static void mem_block_written(struct ram_block *b, gpa_t gpa, u64 len)
{
	u64 first = (gpa - b->base) >> PAGE_SHIFT;
	u64 last = (gpa - b->base + len - 1) >> PAGE_SHIFT;

	/* Pairs with the engine, which sets the flag before it reads code. */
	atomic_thread_fence(memory_order_seq_cst);
	for (u64 p = first; p <= last; p++) {
		u8 flags = atomic_load_explicit(&b->flags[p],
						memory_order_relaxed);

		if (likely(!flags))
			continue;
		if (flags & MEM_PAGE_CODE)
			atomic_fetch_add(&b->gen[p], 1);
		if (flags & MEM_PAGE_LOG)
			mem_log_page(b, p);
	}
}

void mem_written(struct memory *mem, gpa_t gpa, u64 len)
{
	while (len) {
		struct ram_block *b = mem_block(mem, gpa);
		u64 n;

		if (!b)
			return;
		n = MIN(len, b->size - (gpa - b->base));
		mem_block_written(b, gpa, n);
		gpa += n;
		len -= n;
	}
}

void mem_mark_dirty(struct memory *mem, gpa_t gpa, u64 len)
{
	for (gpa_t p = gpa & PAGE_MASK; p < gpa + len; p += PAGE_SIZE) {
		struct ram_block *b = mem_block(mem, p);

		if (b)
			mem_log_page(b, (p - b->base) >> PAGE_SHIFT);
	}
}

/* One step of a copy: the block and how many bytes of it follow gpa. */
static struct ram_block *mem_step(struct memory *mem, gpa_t gpa, u64 len,
				  u64 *ret_n)
{
	struct ram_block *b = mem_block(mem, gpa);

	if (b)
		*ret_n = MIN(len, b->size - (gpa - b->base));
	return b;
}

int mem_read(struct memory *mem, gpa_t gpa, void *dst, u64 len)
{
	u8 *out = dst;
	u64 n;

	for (; len; gpa += n, out += n, len -= n) {
		struct ram_block *b = mem_step(mem, gpa, len, &n);

		if (!b)
			return -EFAULT;
		memcpy(out, b->host + (gpa - b->base), n);
	}
	return 0;
}

static int mem_store(struct memory *mem, gpa_t gpa, const void *src, u8 byte,
		     u64 len, bool rom)
{
	const u8 *in = src;
	u64 n;

	for (; len; gpa += n, len -= n) {
		struct ram_block *b = mem_step(mem, gpa, len, &n);
		u8 *host;

		if (!b || (b->readonly && !rom))
			return -EFAULT;
		host = b->host + (gpa - b->base);
		if (in) {
			memcpy(host, in, n);
			in += n;
		} else {
			memset(host, byte, n);
		}
		mem_block_written(b, gpa, n);
	}
	return 0;
}

int mem_write(struct memory *mem, gpa_t gpa, const void *src, u64 len)
{
	return mem_store(mem, gpa, src, 0, len, false);
}

int mem_fill(struct memory *mem, gpa_t gpa, u8 byte, u64 len)
{
	return mem_store(mem, gpa, NULL, byte, len, false);
}

int mem_load(struct memory *mem, gpa_t gpa, const void *src, u64 len)
{
	return mem_store(mem, gpa, src, 0, len, true);
}

int mem_iov(struct memory *mem, gpa_t gpa, u64 len, bool write,
	    struct iovec *iov, int max)
{
	int count = 0;
	u64 n;

	for (; len; gpa += n, len -= n) {
		struct ram_block *b = mem_step(mem, gpa, len, &n);

		if (!b || (write && b->readonly))
			return -EFAULT;
		if (count == max)
			return -E2BIG;
		iov[count].iov_base = b->host + (gpa - b->base);
		iov[count++].iov_len = n;
	}
	return count;
}

int mem_discard(struct memory *mem, gpa_t gpa, u64 len)
{
	u64 n;

	for (; len; gpa += n, len -= n) {
		struct ram_block *b = mem_step(mem, gpa, len, &n);
		u8 *host;

		if (!b || b->readonly || (gpa | n) & ~PAGE_MASK)
			return -EFAULT;
		host = b->host + (gpa - b->base);
		if (madvise(host, n, MADV_DONTNEED) < 0)
			memset(host, 0, n);
		mem_block_written(b, gpa, n);
	}
	return 0;
}

/* The kernel's entries for up to MEM_ENTRIES pages at `at`: how many, 0 when it
 * does not tell.  proc(5) "pagemap": bit 63 present, 62 swapped. */
#define MEM_ENTRIES 512

static u64 mem_entries(int fd, const u8 *at, u64 pages, u64 *ret)
{
	size_t size = MIN(pages, MEM_ENTRIES) * sizeof *ret;
	ssize_t n = pread(fd, ret, size,
			  (off_t)((uintptr_t)at / PAGE_SIZE * sizeof *ret));

	return n < 0 ? 0 : (u64)n / sizeof *ret;
}

/* From `offset` on, the first page that has been `touched` or not; the block's
 * size if there is none, or `unknown`. */
static u64 mem_find(int fd, const struct ram_block *b, u64 offset, bool touched,
		    u64 unknown)
{
	u64 entry[MEM_ENTRIES], n;

	for (; offset < b->size; offset += n * PAGE_SIZE) {
		n = mem_entries(fd, b->host + offset,
				(b->size - offset) / PAGE_SIZE, entry);
		if (!n)
			return unknown;
		for (u64 k = 0; k < n; k++)
			if ((entry[k] >> 62 != 0) == touched)
				return offset + k * PAGE_SIZE;
	}
	return b->size;
}

bool mem_next_data(const struct ram_block *b, u64 offset, u64 *ret_start,
		   u64 *ret_end)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	offset &= PAGE_MASK;
	*ret_start = mem_find(fd, b, offset, true, offset);
	*ret_end = mem_find(fd, b, *ret_start, false, b->size);
	if (fd >= 0)
		close(fd);
	return *ret_start < b->size;
}

void mem_log_start(struct memory *mem)
{
	int n = atomic_load(&mem->nram);

	for (int i = 0; i < n; i++) {
		struct ram_block *b = &mem->ram[i];
		u64 pages = b->size >> PAGE_SHIFT;

		if (!b->dirty)
			b->dirty = xcalloc((pages + 63) / 64, sizeof(u64));
		for (u64 p = 0; p < pages; p++)
			atomic_fetch_or(&b->flags[p], MEM_PAGE_LOG);
	}
	atomic_store(&mem->logging, true);
}

void mem_log_stop(struct memory *mem)
{
	int n = atomic_load(&mem->nram);

	atomic_store(&mem->logging, false);
	for (int i = 0; i < n; i++) {
		struct ram_block *b = &mem->ram[i];
		u64 pages = b->size >> PAGE_SHIFT;

		for (u64 p = 0; p < pages; p++)
			atomic_fetch_and(&b->flags[p], (u8)~MEM_PAGE_LOG);
	}
}

/* ---- Regions ---- */

void space_init(struct space *s, const char *name, struct machine *m)
{
	memset(s, 0, sizeof *s);
	pthread_rwlock_init(&s->flat_lock, NULL);
	s->name = name;
	s->machine = m;
	list_init(&s->regions);
}

void space_fini(struct space *s)
{
	while (!list_empty(&s->regions))
		region_unmap(list_first(&s->regions, struct region, node));
	free(s->flat);
	s->flat = NULL;
	s->nflat = 0;
	pthread_rwlock_destroy(&s->flat_lock);
}

static int space_cmp_u64(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

static struct region *space_winner(struct space *s, u64 addr)
{
	struct region *r, *best = NULL;

	list_for_each (r, &s->regions, node)
		if (addr - r->base < r->size &&
		    (!best || r->priority >= best->priority))
			best = r;
	return best;
}

/* Cuts the space at every border; each piece belongs to one region. */
static struct flat_range *space_flatten(struct space *s, int *ret_n)
{
	struct flat_range *flat;
	struct region *r;
	u64 *cut;
	int n = 0, count = 0, nflat = 0;

	*ret_n = 0;
	list_for_each (r, &s->regions, node)
		count++;
	if (!count)
		return NULL;
	cut = xcalloc(2 * (size_t)count, sizeof *cut);
	list_for_each (r, &s->regions, node) {
		cut[n++] = r->base;
		cut[n++] = r->base + r->size; /* 0 after the last byte */
	}
	qsort(cut, (size_t)n, sizeof *cut, space_cmp_u64);
	flat = xcalloc((size_t)n, sizeof *flat);
	for (int i = 0; i < n; i++) {
		u64 end = i + 1 < n ? cut[i + 1] - 1 : UINT64_MAX;
		struct flat_range *last = nflat ? &flat[nflat - 1] : NULL;

		if (i + 1 < n && cut[i] == cut[i + 1])
			continue;
		r = space_winner(s, cut[i]);
		if (!r)
			continue;
		if (last && last->region == r && last->end + 1 == cut[i]) {
			last->end = end;
			continue;
		}
		flat[nflat++] = (struct flat_range){
			.base = cut[i],
			.end = end,
			.region = r,
			.offset = cut[i] - r->base,
		};
	}
	free(cut);
	*ret_n = nflat;
	return flat;
}

static void space_rebuild(struct space *s)
{
	struct flat_range *old, *flat;
	int n;

	flat = space_flatten(s, &n);
	pthread_rwlock_wrlock(&s->flat_lock);
	old = s->flat;
	s->flat = flat;
	s->nflat = n;
	pthread_rwlock_unlock(&s->flat_lock);
	free(old);
}

void region_map(struct region *r, struct space *s, const char *name, u64 base,
		u64 size, const struct region_ops *ops, void *opaque)
{
	r->name = name;
	r->ops = ops;
	r->opaque = opaque;
	r->size = size;
	r->space = NULL;
	region_map_at(r, s, base);
}

void region_map_at(struct region *r, struct space *s, u64 base)
{
	if (r->space)
		region_unmap(r);
	r->base = base;
	r->space = s;
	list_append(&s->regions, &r->node);
	space_rebuild(s);
}

void region_unmap(struct region *r)
{
	struct space *s = r->space;

	if (!s)
		return;
	list_remove(&r->node);
	r->space = NULL;
	space_rebuild(s);
}

static u32 region_max_size(const struct region_ops *ops)
{
	return ops->max_size ? ops->max_size : 4;
}

struct region *space_find_lockless(struct space *s, u64 addr, u32 size,
				   u64 *ret_offset)
{
	struct region *r;

	pthread_rwlock_rdlock(&s->flat_lock);
	r = space_find(s, addr, ret_offset);
	if (r && (!r->ops->lockless || size > region_max_size(r->ops) ||
		  (*ret_offset & (size - 1)) ||
		  !range_holds(0, r->size, *ret_offset, size)))
		r = NULL;
	pthread_rwlock_unlock(&s->flat_lock);
	return r;
}

struct region *space_find(struct space *s, u64 addr, u64 *ret_offset)
{
	int lo = 0, hi = s->nflat;

	while (lo < hi) {
		int mid = (lo + hi) / 2;
		struct flat_range *f = &s->flat[mid];

		if (addr < f->base) {
			hi = mid;
		} else if (addr > f->end) {
			lo = mid + 1;
		} else {
			*ret_offset = addr - f->base + f->offset;
			return f->region;
		}
	}
	return NULL;
}

/* Size of the next piece of an access of `size` bytes at `offset`. */
static u32 region_piece(const struct region *r, u64 offset, u32 size)
{
	u32 n = MIN(size, region_max_size(r->ops));

	if (!r->ops->unaligned)
		while (offset & (n - 1))
			n >>= 1;
	while (n > 1 && !range_holds(0, r->size, offset, n))
		n >>= 1;
	return n;
}

u64 region_read(struct region *r, u64 offset, u32 size)
{
	const struct region_ops *ops = r->ops;
	u32 min = ops->min_size ? ops->min_size : 1;
	u64 value;

	if (!ops->read)
		return UINT64_MAX;
	if (size < min) {
		u64 at = ALIGN_DOWN(offset, min);

		value = ops->read(r->opaque, at, min);
		return value >> ((offset - at) * 8);
	}
	value = ops->read(r->opaque, offset, size);
	return value;
}

void region_write(struct region *r, u64 offset, u32 size, u64 value)
{
	const struct region_ops *ops = r->ops;
	u32 min = ops->min_size ? ops->min_size : 1;

	if (!ops->write)
		return;
	/* A narrow store to a wide register arrives shifted into place, the
	 * other bytes zero, as a 32-bit bus would show it. */
	if (size < min) {
		u64 at = ALIGN_DOWN(offset, min);

		ops->write(r->opaque, at, min, value << ((offset - at) * 8));
		return;
	}
	ops->write(r->opaque, offset, size, value);
}

static u64 size_mask(u32 size)
{
	return size >= 8 ? UINT64_MAX : BIT(size * 8) - 1;
}

u64 space_read(struct space *s, u64 addr, u32 size)
{
	u64 value = 0, offset;
	u32 done = 0, n;

	for (; done < size; done += n) {
		struct region *r = space_find(s, addr + done, &offset);
		u64 part = UINT64_MAX;

		n = 1;
		if (r) {
			n = region_piece(r, offset, size - done);
			part = region_read(r, offset, n);
		} else if (s == &s->machine->memory) {
			u8 byte;

			if (!mem_read(&s->machine->mem, addr + done, &byte, 1))
				part = byte;
		}
		value |= (part & size_mask(n)) << (done * 8);
	}
	return value;
}

void space_write(struct space *s, u64 addr, u32 size, u64 value)
{
	u64 offset;
	u32 done = 0, n;

	for (; done < size; done += n) {
		struct region *r = space_find(s, addr + done, &offset);
		u64 part = value >> (done * 8);

		n = 1;
		if (r) {
			n = region_piece(r, offset, size - done);
			region_write(r, offset, n, part & size_mask(n));
		} else if (s == &s->machine->memory) {
			u8 byte = (u8)part;

			(void)mem_write(&s->machine->mem, addr + done, &byte,
					1);
		}
	}
}

/* ---- info mtree ---- */

static void space_info_ram(struct memory *mem, struct buf *out)
{
	int n = atomic_load(&mem->nram);

	for (int i = 0; i < n; i++) {
		struct ram_block *b = &mem->ram[i];

		buf_printf(out, "    %016llx-%016llx (prio 0, %s): %s\n",
			   (unsigned long long)b->base,
			   (unsigned long long)(b->base + b->size - 1),
			   b->readonly ? "rom" : "ram", b->name);
	}
}

/* Devices embed their regions. */
static const struct device *space_owner(struct space *s, const struct region *r)
{
	const struct device *dev;

	list_for_each (dev, &s->machine->devices, node) {
		const char *p = (const char *)dev;

		if ((const char *)r >= p &&
		    (const char *)r < p + dev->class->size)
			return dev;
	}
	return NULL;
}

static void space_info_owner(struct space *s, const struct region *r,
			     struct buf *out)
{
	const struct device *dev = space_owner(s, r);

	if (dev)
		buf_printf(out, " owner:{dev %s=%s}", dev->id ? "id" : "path",
			   dev->id ? dev->id : dev->path);
}

void space_info(struct space *s, struct memory *mem, bool owners,
		struct buf *out)
{
	bool memory = s == &s->machine->memory;
	struct region *r;

	buf_printf(out, "address-space: %s\n", s->name);
	buf_printf(out, "  0000000000000000-%016llx (prio 0, i/o): %s\n",
		   memory ? ~0ULL : 0xffffULL, memory ? "system" : "io");
	if (memory && mem)
		space_info_ram(mem, out);
	list_for_each (r, &s->regions, node) {
		buf_printf(out, "    %016llx-%016llx (prio %d, i/o): %s",
			   (unsigned long long)r->base,
			   (unsigned long long)(r->base + r->size - 1),
			   r->priority, r->name);
		if (owners)
			space_info_owner(s, r, out);
		buf_putc(out, '\n');
	}
	buf_puts(out, "\n");
}

static void space_info_dispatch(struct space *s, struct buf *out)
{
	buf_printf(out, "  Dispatch (%d ranges, binary search)\n", s->nflat);
	for (int i = 0; i < s->nflat; i++) {
		const struct flat_range *f = &s->flat[i];
		const struct region_ops *ops = f->region->ops;

		buf_printf(out,
			   "    #%d @%016llx..%016llx %s [%d..%d bytes]%s\n", i,
			   (unsigned long long)f->base,
			   (unsigned long long)f->end, f->region->name,
			   ops->min_size ? ops->min_size : 1,
			   ops->max_size ? ops->max_size : 4,
			   ops->lockless ? " [lockless]" : "");
	}
}

void space_info_flat(struct space *s, struct memory *mem, bool owners,
		     bool dispatch, struct buf *out)
{
	bool memory = s == &s->machine->memory;
	int nram = memory && mem ? atomic_load(&mem->nram) : 0;

	buf_printf(out, "FlatView #%d\n AS \"%s\", root: %s\n", memory ? 1 : 0,
		   s->name, memory ? "system" : "io");
	buf_printf(out, " Root memory region: %s\n", memory ? "system" : "io");
	for (int i = 0; i < nram; i++) {
		struct ram_block *b = &mem->ram[i];

		buf_printf(out, "  %016llx-%016llx (prio 0, %s): %s",
			   (unsigned long long)b->base,
			   (unsigned long long)(b->base + b->size - 1),
			   b->readonly ? "rom" : "ram", b->name);
		if (b->offset)
			buf_printf(out, " @%016llx",
				   (unsigned long long)b->offset);
		buf_putc(out, '\n');
	}
	for (int i = 0; i < s->nflat; i++) {
		struct flat_range *f = &s->flat[i];

		buf_printf(out, "  %016llx-%016llx (prio %d, i/o): %s",
			   (unsigned long long)f->base,
			   (unsigned long long)f->end, f->region->priority,
			   f->region->name);
		if (f->offset)
			buf_printf(out, " @%016llx",
				   (unsigned long long)f->offset);
		if (owners)
			space_info_owner(s, f->region, out);
		buf_putc(out, '\n');
	}
	if (dispatch)
		space_info_dispatch(s, out);
	buf_puts(out, "\n");
}
