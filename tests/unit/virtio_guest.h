/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * For tests of virtio/: a machine without vCPUs, and the driver's side of a
 * split or packed queue, written after the specification and not after
 * virtio/queue.c.
 */
#ifndef TESTS_UNIT_VIRTIO_GUEST_H
#define TESTS_UNIT_VIRTIO_GUEST_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/lock.h"
#include "lib/loop.h"
#include "vmm/accel.h"
#include "vmm/machine.h"

#define GUEST_RAM (4 * MIB) /* two blocks with a border at 2 MiB */

/* ---- Machine ---- */

static struct machine *guest_machine_create(void)
{
	struct machine *m = machine_create(NULL);

	ck_assert_ptr_nonnull(m);
	m->run.state = RUN_RUNNING;
	ck_assert_int_eq(
		mem_add_ram(&m->mem, "low", 0, GUEST_RAM / 2, false, NULL), 0);
	ck_assert_int_eq(mem_add_ram(&m->mem, "high", GUEST_RAM / 2,
				     GUEST_RAM / 2, false, NULL),
			 0);
	return m;
}

static void guest_machine_destroy(struct machine *m)
{
	free(m->pci);
	machine_destroy(m);
}

/* Not by ck_assert(), which tells the test's parent of each success: that
 * took it minutes for those of a fuzz loop. */
static inline void guest_put(struct machine *m, gpa_t gpa, const void *src,
			     u64 len)
{
	if (mem_write(&m->mem, gpa, src, len))
		ck_abort_msg("no RAM at 0x%llx", (unsigned long long)gpa);
}

static inline void guest_get(struct machine *m, gpa_t gpa, void *dst, u64 len)
{
	if (mem_read(&m->mem, gpa, dst, len))
		ck_abort_msg("no RAM at 0x%llx", (unsigned long long)gpa);
}

static inline u16 guest_get16(struct machine *m, gpa_t gpa)
{
	u8 raw[2];

	guest_get(m, gpa, raw, sizeof(raw));
	return get_le16(raw);
}

static inline void guest_put16(struct machine *m, gpa_t gpa, u16 value)
{
	u8 raw[2];

	put_le16(raw, value);
	guest_put(m, gpa, raw, sizeof(raw));
}

/* ---- Driver's side of a queue ---- */

#define GD_NEXT     1
#define GD_WRITE    2
#define GD_INDIRECT 4
#define GD_AVAIL    0x80
#define GD_USED     0x8000

#define GQ_SIZE_MAX 256

struct guest_seg {
	u64 addr;
	u32 len;
	bool write;
};

struct guest_queue {
	struct machine *m;
	bool packed;
	u16 size;
	gpa_t desc, driver, device;
	gpa_t tables; /* room for indirect tables: 512 bytes a slot */

	u16 avail_idx, used_idx; /* split: free running; packed: slots */
	bool avail_wrap, used_wrap;
	u16 nfree;
	u16 free_head; /* split: chained free descriptors */
	u16 next[GQ_SIZE_MAX];
	u16 slots[GQ_SIZE_MAX]; /* by id: descriptors taken */
	u16 ids[GQ_SIZE_MAX];   /* packed: stack of free ids */
	u16 nids;
};

static inline void gq_write_desc(struct guest_queue *g, gpa_t table, u32 i,
				 const struct guest_seg *s, u16 tag, u16 flags)
{
	u8 raw[16];

	put_le64(raw, s->addr);
	put_le32(raw + 8, s->len);
	/* Split: flags, next.  Packed: id, flags. */
	put_le16(raw + (g->packed ? 14 : 12), flags);
	put_le16(raw + (g->packed ? 12 : 14), tag);
	guest_put(g->m, table + i * 16, raw, sizeof(raw));
}

/* Rings of `size` entries from `base` (page aligned) on; returns the end. */
static inline gpa_t gq_init(struct guest_queue *g, struct machine *m,
			    bool packed, u16 size, gpa_t base)
{
	memset(g, 0, sizeof(*g));
	g->m = m;
	g->packed = packed;
	g->size = size;
	g->desc = base;
	g->driver = base + 16 * size;
	g->device = (g->driver + 6 + 2 * size + 4095) & ~4095ULL;
	g->tables = (g->device + 6 + 8 * size + 4095) & ~4095ULL;
	mem_fill(&m->mem, base, 0, g->tables - base);
	g->avail_wrap = g->used_wrap = true;
	g->nfree = size;
	for (u16 i = 0; i < size; i++) {
		g->next[i] = i + 1;
		g->ids[i] = size - 1 - i;
	}
	g->nids = size;
	return g->tables + 512 * size;
}

static inline int gq_add_split(struct guest_queue *g,
			       const struct guest_seg *segs, int n,
			       bool indirect)
{
	u16 head = g->free_head, i = head, used = indirect ? 1 : n;

	if (used > g->nfree)
		return -1;
	if (indirect) {
		struct guest_seg t = { g->tables + 512 * head, 16 * n, false };

		for (int k = 0; k < n; k++)
			gq_write_desc(g, t.addr, k, &segs[k], k + 1,
				      (segs[k].write ? GD_WRITE : 0) |
					      (k + 1 < n ? GD_NEXT : 0));
		gq_write_desc(g, g->desc, i, &t, 0, GD_INDIRECT);
		i = g->next[i];
	} else {
		for (int k = 0; k < n; k++) {
			gq_write_desc(g, g->desc, i, &segs[k], g->next[i],
				      (segs[k].write ? GD_WRITE : 0) |
					      (k + 1 < n ? GD_NEXT : 0));
			i = g->next[i];
		}
	}
	g->free_head = i;
	g->nfree -= used;
	g->slots[head] = used;
	guest_put16(g->m, g->driver + 4 + 2 * (g->avail_idx % g->size), head);
	guest_put16(g->m, g->driver + 2, ++g->avail_idx);
	return head;
}

static inline int gq_add_packed(struct guest_queue *g,
				const struct guest_seg *segs, int n,
				bool indirect)
{
	u16 used = indirect ? 1 : n, first = g->avail_idx, id, flags;
	u16 first_flags = 0;
	struct guest_seg t;

	if (used > g->nfree)
		return -1;
	id = g->ids[--g->nids];
	if (indirect) {
		t = (struct guest_seg){ g->tables + 512 * id, 16 * n, false };
		for (int k = 0; k < n; k++)
			gq_write_desc(g, t.addr, k, &segs[k], 0,
				      segs[k].write ? GD_WRITE : 0);
		segs = &t;
	}
	for (int k = 0; k < used; k++) {
		flags = indirect ? GD_INDIRECT : segs[k].write ? GD_WRITE : 0;
		if (k + 1 < used)
			flags |= GD_NEXT;
		flags |= g->avail_wrap ? GD_AVAIL : GD_USED;
		gq_write_desc(g, g->desc, g->avail_idx, &segs[k], id,
			      k == 0 ? flags ^ GD_AVAIL ^ GD_USED : flags);
		if (k == 0)
			first_flags = flags;
		if (++g->avail_idx == g->size) {
			g->avail_idx = 0;
			g->avail_wrap = !g->avail_wrap;
		}
	}
	guest_put16(g->m, g->desc + 16 * first + 14, first_flags);
	g->nfree -= used;
	g->slots[id] = used;
	return id;
}

/* Offers a buffer; its id, or -1 when the ring is full. */
static inline int gq_add(struct guest_queue *g, const struct guest_seg *segs,
			 int n, bool indirect)
{
	return g->packed ? gq_add_packed(g, segs, n, indirect)
			 : gq_add_split(g, segs, n, indirect);
}

/* Takes a used buffer: its id, or -1. */
static inline int gq_used(struct guest_queue *g, u32 *ret_len)
{
	u8 raw[16];
	u16 id, flags, i;

	if (!g->packed) {
		if (guest_get16(g->m, g->device + 2) == g->used_idx)
			return -1;
		guest_get(g->m, g->device + 4 + 8 * (g->used_idx % g->size),
			  raw, 8);
		g->used_idx++;
		id = get_le32(raw);
		*ret_len = get_le32(raw + 4);
		for (i = id; g->slots[id] > 1; g->slots[id]--, g->nfree++)
			i = g->next[i];
		g->next[i] = g->free_head;
		g->free_head = id;
		g->nfree++;
		return id;
	}
	guest_get(g->m, g->desc + 16 * g->used_idx, raw, sizeof(raw));
	flags = get_le16(raw + 14);
	if (!!(flags & GD_AVAIL) != g->used_wrap ||
	    !!(flags & GD_USED) != g->used_wrap)
		return -1;
	id = get_le16(raw + 12);
	*ret_len = get_le32(raw + 8);
	g->used_idx += g->slots[id];
	if (g->used_idx >= g->size) {
		g->used_idx -= g->size;
		g->used_wrap = !g->used_wrap;
	}
	g->nfree += g->slots[id];
	g->ids[g->nids++] = id;
	return id;
}

/* Asks for interrupts: at once, never, or (event index) when `n` more
 * buffers (packed: slots) than now are used. */
static inline void gq_interrupts(struct guest_queue *g, bool on)
{
	guest_put16(g->m, g->driver + (g->packed ? 2 : 0), on ? 0 : 1);
}

static inline void gq_interrupt_after(struct guest_queue *g, u16 n)
{
	u16 at = g->used_idx + n, wrap = g->used_wrap;

	if (!g->packed) {
		guest_put16(g->m, g->driver + 4 + 2 * g->size, at);
		return;
	}
	if (at >= g->size) {
		at -= g->size;
		wrap = !wrap;
	}
	guest_put16(g->m, g->driver, at | wrap << 15);
	guest_put16(g->m, g->driver + 2, 2);
}

/* Does the device want to be told of buffers added since index `old`? */
static inline bool gq_kick_wanted(struct guest_queue *g, bool event_idx,
				  u16 old)
{
	u16 event, flags, wrap, now = g->avail_idx;

	if (!g->packed && !event_idx)
		return !(guest_get16(g->m, g->device) & 1);
	if (!g->packed) {
		event = guest_get16(g->m, g->device + 4 + 8 * g->size);
		return (u16)(now - event - 1) < (u16)(now - old);
	}
	flags = guest_get16(g->m, g->device + 2);
	if (flags != 2)
		return flags == 0;
	event = guest_get16(g->m, g->device);
	wrap = event >> 15;
	event &= 0x7fff;
	if (wrap != g->avail_wrap)
		event -= g->size;
	if (now < old)
		old -= g->size;
	return (u16)(now - event - 1) < (u16)(now - old);
}

#endif
