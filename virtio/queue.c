/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Split and packed virtqueues.
 *
 * Pushed buffers are staged: their used entries are written at once but stay
 * invisible until queue_notify() moves the index (split) or writes the flags
 * of the first entry (packed), so a batch appears as a whole.
 *
 * No loop here runs longer than the ring or the indirect table is, whatever
 * the guest writes meanwhile: a buffer counts as in flight until it is
 * published, and more than the ring holds cannot be in flight.
 *
 * Spec: virtio 1.2 §2.7 (split), §2.8 (packed).
 * Locking: as virtio/queue.h.
 */
#include "virtio/queue.h"

#include <errno.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/clock.h"
#include "lib/iov.h"
#include "virtio/virtio.h"
#include "vmm/machine.h"
#include "vmm/memory.h"

#define DESC_BYTES 16

/* Split: offsets within the driver (avail) and device (used) parts. */
#define RING_FLAGS 0
#define RING_IDX   2
#define RING_ENTRY 4
#define USED_BYTES 8

/* Packed: offsets within a descriptor and within an event structure. */
#define PDESC_LEN   8
#define PDESC_ID    12
#define PDESC_FLAGS 14
#define EVENT_OFF   0
#define EVENT_FLAGS 2

#define PDESC_AVAIL BIT(VRING_PACKED_DESC_F_AVAIL)
#define PDESC_USED  BIT(VRING_PACKED_DESC_F_USED)

struct desc {
	u64 addr;
	u32 len;
	u16 flags;
	u16 next; /* packed: buffer id */
};

int chain_init(struct chain *c, int max)
{
	c->max = max;
	c->iov = malloc(max * sizeof(*c->iov));
	c->gpa = malloc(max * sizeof(*c->gpa));
	if (!c->iov || !c->gpa) {
		chain_fini(c);
		return -ENOMEM;
	}
	return 0;
}

void chain_use(struct chain *c, struct iovec *iov, gpa_t *gpa, int max)
{
	c->iov = iov;
	c->gpa = gpa;
	c->max = max;
}

void chain_fini(struct chain *c)
{
	free(c->iov);
	free(c->gpa);
	memset(c, 0, sizeof(*c));
}

size_t chain_read(const struct chain *c, size_t at, void *dst, size_t len)
{
	return iov_read(c->out, c->nout, at, dst, len);
}

size_t chain_write(const struct chain *c, size_t at, const void *src,
		   size_t len)
{
	return iov_write(c->in, c->nin, at, src, len);
}

/* ---- Ring memory ---- */

static struct memory *queue_mem(const struct queue *q)
{
	return &q->v->pci.dev.m->mem;
}

static void ring_get(const struct queue *q, const struct ring_part *p, u32 at,
		     void *dst, u32 len)
{
	if (likely(p->host))
		memcpy(dst, p->host + at, len);
	else
		mem_read(queue_mem(q), p->gpa + at, dst, len);
}

static void ring_put(const struct queue *q, const struct ring_part *p, u32 at,
		     const void *src, u32 len)
{
	if (likely(p->host)) {
		memcpy(p->host + at, src, len);
		mem_written(queue_mem(q), p->gpa + at, len);
	} else {
		mem_write(queue_mem(q), p->gpa + at, src, len);
	}
}

/* The two that order everything else: partner is the driver's barrier around
 * its own index or flags. */
static u16 ring_load16(const struct queue *q, const struct ring_part *p, u32 at)
{
	u16 le = 0;

	if (likely(p->host)) {
		le = __atomic_load_n((u16 *)(p->host + at), __ATOMIC_ACQUIRE);
	} else {
		mem_read(queue_mem(q), p->gpa + at, &le, sizeof(le));
		atomic_thread_fence(memory_order_acquire);
	}
	return le16toh(le);
}

static void ring_store16(const struct queue *q, const struct ring_part *p,
			 u32 at, u16 value)
{
	u16 le = htole16(value);

	if (likely(p->host)) {
		__atomic_store_n((u16 *)(p->host + at), le, __ATOMIC_RELEASE);
		mem_written(queue_mem(q), p->gpa + at, sizeof(le));
	} else {
		atomic_thread_fence(memory_order_release);
		mem_write(queue_mem(q), p->gpa + at, &le, sizeof(le));
	}
}

static void desc_parse(const u8 *raw, bool packed, struct desc *d)
{
	d->addr = get_le64(raw);
	d->len = get_le32(raw + 8);
	d->next = get_le16(raw + 12);
	d->flags = get_le16(raw + 14);
	if (!packed) {
		d->flags = get_le16(raw + 12);
		d->next = get_le16(raw + 14);
	}
}

/* ---- Collecting a chain ---- */

static bool queue_bad(struct queue *q, const char *what)
{
	virtio_break(q->v, "queue %u: %s", q->index, what);
	return false;
}

static void chain_begin(struct chain *c)
{
	c->nout = 0;
	c->nin = 0;
	c->out_len = 0;
	c->in_len = 0;
}

static bool chain_add(struct queue *q, struct chain *c, const struct desc *d)
{
	bool write = d->flags & VRING_DESC_F_WRITE;
	int at = c->nout + c->nin;
	gpa_t gpa = d->addr;
	int n;

	if (!write && c->nin > 0)
		return queue_bad(q, "readable descriptor after a writable one");
	if (d->len > QUEUE_CHAIN_LEN_MAX - c->out_len - c->in_len)
		return queue_bad(q, "buffer longer than 4 GiB");
	if (d->len == 0)
		return true;
	n = mem_iov(queue_mem(q), gpa, d->len, write, c->iov + at, c->max - at);
	if (n == -E2BIG)
		return queue_bad(q, "buffer with too many segments");
	if (n < 0)
		return queue_bad(q, "buffer outside of RAM");
	for (int i = 0; i < n; i++) {
		c->gpa[at + i] = gpa;
		gpa += c->iov[at + i].iov_len;
	}
	if (write) {
		c->nin += n;
		c->in_len += d->len;
	} else {
		c->nout += n;
		c->out_len += d->len;
	}
	return true;
}

static void chain_end(struct chain *c)
{
	c->out = c->iov;
	c->in = c->iov + c->nout;
}

/* The table that `d` points to; checks what both layouts demand. */
static bool indirect_check(struct queue *q, const struct desc *d)
{
	if (!q->indirect)
		return queue_bad(q, "indirect descriptor without the feature");
	if (d->flags & VRING_DESC_F_NEXT)
		return queue_bad(q, "indirect descriptor with a next one");
	if (d->len == 0 || d->len % DESC_BYTES ||
	    d->len > QUEUE_SIZE_MAX * DESC_BYTES)
		return queue_bad(q, "indirect table of a bad length");
	return true;
}

static bool indirect_get(struct queue *q, const struct desc *table, u32 i,
			 struct desc *d)
{
	u8 raw[DESC_BYTES];

	if (table->addr > UINT64_MAX - table->len ||
	    mem_read(queue_mem(q), table->addr + i * DESC_BYTES, raw,
		     sizeof(raw)) < 0)
		return queue_bad(q, "indirect table outside of RAM");
	desc_parse(raw, q->packed, d);
	if (d->flags & VRING_DESC_F_INDIRECT)
		return queue_bad(q, "indirect descriptor in a table");
	return true;
}

/* ---- Split ring ---- */

static void split_want_kicks(struct queue *q, bool want)
{
	if (q->event_idx) {
		if (want)
			ring_store16(q, &q->device_part,
				     RING_ENTRY + USED_BYTES * q->size,
				     q->last_avail);
	} else if (q->kicks_wanted != want) {
		ring_store16(q, &q->device_part, RING_FLAGS,
			     want ? 0 : VRING_USED_F_NO_NOTIFY);
	}
	q->kicks_wanted = want;
}

static bool split_ready(struct queue *q)
{
	u16 idx = q->avail_seen;

	if (idx == q->last_avail) {
		idx = ring_load16(q, &q->driver_part, RING_IDX);
		if (idx == q->last_avail) {
			/* Ask for a kick, then look again: the driver adds a
			 * buffer and then looks whether we want one. */
			split_want_kicks(q, true);
			atomic_thread_fence(memory_order_seq_cst);
			idx = ring_load16(q, &q->driver_part, RING_IDX);
			if (idx == q->last_avail)
				return false;
		}
		if ((u16)(idx - q->last_avail) > q->size)
			return queue_bad(q, "available index ran ahead");
		q->avail_seen = idx;
		if (!q->event_idx && q->kicks_wanted)
			split_want_kicks(q, false);
	}
	return true;
}

static bool split_walk(struct queue *q, struct chain *c, u16 head)
{
	struct desc d, table = { 0 };
	u8 raw[DESC_BYTES];
	u32 i = head, left = q->size, limit = q->size;

	for (;;) {
		if (i >= limit)
			return queue_bad(q, "descriptor number out of range");
		if (left-- == 0)
			return queue_bad(q, "looping descriptor chain");
		if (table.len) {
			if (!indirect_get(q, &table, i, &d))
				return false;
		} else {
			ring_get(q, &q->desc_part, i * DESC_BYTES, raw,
				 sizeof(raw));
			desc_parse(raw, false, &d);
		}
		if (d.flags & VRING_DESC_F_INDIRECT) {
			if (!indirect_check(q, &d))
				return false;
			table = d;
			limit = left = d.len / DESC_BYTES;
			i = 0;
			continue;
		}
		if (!chain_add(q, c, &d))
			return false;
		if (!(d.flags & VRING_DESC_F_NEXT))
			return true;
		i = d.next;
	}
}

static bool split_pop(struct queue *q, struct chain *c)
{
	u16 head;

	if (!split_ready(q))
		return false;
	if (q->inflight >= q->size)
		return queue_bad(q, "more buffers than the ring holds");
	head = ring_load16(q, &q->driver_part,
			   RING_ENTRY + 2 * (q->last_avail & (q->size - 1)));
	if (!split_walk(q, c, head))
		return false;
	c->id = head;
	c->nslots = 1;
	q->last_avail++;
	return true;
}

static void split_push(struct queue *q, const struct chain *c, u32 written)
{
	u16 slot = (q->used_idx + q->nstaged) & (q->size - 1);
	u8 elem[USED_BYTES];

	put_le32(elem, c->id);
	put_le32(elem + 4, written);
	ring_put(q, &q->device_part, RING_ENTRY + USED_BYTES * slot, elem,
		 sizeof(elem));
}

/* virtio 1.2 §2.7.10: did the index pass `event` on its way to `now`? */
static bool event_passed(u16 event, u16 now, u16 old)
{
	return (u16)(now - event - 1) < (u16)(now - old);
}

static bool split_publish(struct queue *q)
{
	u16 old = q->signalled, event;
	bool valid = q->signalled_valid;

	q->used_idx += q->nstaged;
	ring_store16(q, &q->device_part, RING_IDX, q->used_idx);
	/* The index before the question: the driver writes its wish and then
	 * looks at the index. */
	atomic_thread_fence(memory_order_seq_cst);
	if (!q->event_idx)
		return !(ring_load16(q, &q->driver_part, RING_FLAGS) &
			 VRING_AVAIL_F_NO_INTERRUPT);
	event = ring_load16(q, &q->driver_part, RING_ENTRY + 2 * q->size);
	q->signalled = q->used_idx;
	q->signalled_valid = true;
	return !valid || event_passed(event, q->used_idx, old);
}

/* ---- Packed ring ---- */

static void packed_want_kicks(struct queue *q, bool want)
{
	u16 flags = want ? VRING_PACKED_EVENT_FLAG_ENABLE
			 : VRING_PACKED_EVENT_FLAG_DISABLE;

	if (want && q->event_idx) {
		ring_store16(q, &q->device_part, EVENT_OFF,
			     q->last_avail |
				     q->avail_wrap
					     << VRING_PACKED_EVENT_F_WRAP_CTR);
		flags = VRING_PACKED_EVENT_FLAG_DESC;
	}
	if (q->kicks_wanted != want)
		ring_store16(q, &q->device_part, EVENT_FLAGS, flags);
	q->kicks_wanted = want;
}

static bool packed_flags(struct queue *q, u16 *ret)
{
	*ret = ring_load16(q, &q->desc_part,
			   q->last_avail * DESC_BYTES + PDESC_FLAGS);
	return !!(*ret & PDESC_AVAIL) == q->avail_wrap &&
	       !!(*ret & PDESC_USED) != q->avail_wrap;
}

static bool packed_ready(struct queue *q, u16 *flags)
{
	if (!packed_flags(q, flags)) {
		packed_want_kicks(q, true);
		atomic_thread_fence(memory_order_seq_cst);
		if (!packed_flags(q, flags))
			return false;
	}
	if (q->kicks_wanted)
		packed_want_kicks(q, false);
	return true;
}

static bool packed_walk(struct queue *q, struct chain *c, u16 flags)
{
	u32 slot = q->last_avail;
	u8 raw[DESC_BYTES];
	struct desc d, table;

	for (c->nslots = 1;; c->nslots++) {
		if (c->nslots > q->size)
			return queue_bad(q, "looping descriptor chain");
		ring_get(q, &q->desc_part, slot * DESC_BYTES, raw, sizeof(raw));
		desc_parse(raw, true, &d);
		if (c->nslots == 1)
			d.flags = flags; /* the ones that said "available" */
		c->id = d.next;
		if (d.flags & VRING_DESC_F_INDIRECT) {
			if (c->nslots > 1)
				return queue_bad(q, "indirect descriptor "
						    "within a chain");
			break;
		}
		if (!chain_add(q, c, &d))
			return false;
		if (!(d.flags & VRING_DESC_F_NEXT))
			return true;
		slot = slot + 1 == q->size ? 0 : slot + 1;
	}

	if (!indirect_check(q, &d))
		return false;
	table = d;
	for (u32 i = 0; i < table.len / DESC_BYTES; i++)
		if (!indirect_get(q, &table, i, &d) || !chain_add(q, c, &d))
			return false;
	return true;
}

static bool packed_pop(struct queue *q, struct chain *c)
{
	u16 flags;

	if (!packed_ready(q, &flags) || !packed_walk(q, c, flags))
		return false;
	if (c->nslots > q->size - q->inflight)
		return queue_bad(q, "more buffers than the ring holds");
	q->last_avail += c->nslots;
	if (q->last_avail >= q->size) {
		q->last_avail -= q->size;
		q->avail_wrap = !q->avail_wrap;
	}
	return true;
}

/* Writes a used entry; its flags come last and make it visible. */
static void packed_write(struct queue *q, u16 slot, u16 id, u32 len, u16 flags)
{
	u8 raw[PDESC_FLAGS - PDESC_LEN];

	put_le32(raw, len);
	put_le16(raw + PDESC_ID - PDESC_LEN, id);
	ring_put(q, &q->desc_part, slot * DESC_BYTES + PDESC_LEN, raw,
		 sizeof(raw));
	ring_store16(q, &q->desc_part, slot * DESC_BYTES + PDESC_FLAGS, flags);
}

static void packed_push(struct queue *q, const struct chain *c, u32 written)
{
	u32 slot = q->used_idx + q->staged_slots;
	bool wrap = q->used_wrap;
	u16 flags = written ? VRING_DESC_F_WRITE : 0;

	if (slot >= q->size) {
		slot -= q->size;
		wrap = !wrap;
	}
	if (wrap)
		flags |= PDESC_AVAIL | PDESC_USED;
	if (q->nstaged == 0) {
		q->staged_id = c->id;
		q->staged_len = written;
		q->staged_flags = flags;
	} else {
		packed_write(q, slot, c->id, written, flags);
	}
}

static bool packed_publish(struct queue *q)
{
	u16 old = q->signalled, event, flags;
	bool valid = q->signalled_valid;

	packed_write(q, q->used_idx, q->staged_id, q->staged_len,
		     q->staged_flags);
	q->used_idx += q->staged_slots;
	if (q->used_idx >= q->size) {
		q->used_idx -= q->size;
		q->used_wrap = !q->used_wrap;
		old -= q->size; /* stays comparable across the wrap */
	}
	q->signalled = q->used_idx;
	q->signalled_valid = true;

	atomic_thread_fence(memory_order_seq_cst);
	flags = ring_load16(q, &q->driver_part, EVENT_FLAGS) & 3;
	if (flags == VRING_PACKED_EVENT_FLAG_DISABLE)
		return false;
	if (flags != VRING_PACKED_EVENT_FLAG_DESC || !q->event_idx)
		return true;
	event = ring_load16(q, &q->driver_part, EVENT_OFF);
	flags = event >> VRING_PACKED_EVENT_F_WRAP_CTR;
	event &= ~BIT(VRING_PACKED_EVENT_F_WRAP_CTR);
	if (flags != q->used_wrap)
		event -= q->size;
	return !valid || event_passed(event, q->used_idx, old);
}

/* ---- What devices call ---- */

static bool queue_usable(const struct queue *q)
{
	return q->active && !virtio_broken(q->v);
}

bool queue_pop(struct queue *q, struct chain *c)
{
	if (!queue_usable(q))
		return false;
	chain_begin(c);
	if (!(q->packed ? packed_pop(q, c) : split_pop(q, c)))
		return false;
	chain_end(c);
	q->inflight += c->nslots;
	q->progress_ns = clock_mono_ns();
	return true;
}

void queue_unpop(struct queue *q, const struct chain *c)
{
	if (!queue_usable(q))
		return;
	q->inflight -= c->nslots;
	if (!q->packed) {
		q->last_avail--;
		return;
	}
	if (c->nslots > q->last_avail) {
		q->last_avail += q->size;
		q->avail_wrap = !q->avail_wrap;
	}
	q->last_avail -= c->nslots;
}

void queue_push(struct queue *q, const struct chain *c, u32 written)
{
	u64 left = MIN(written, c->in_len);

	if (!queue_usable(q))
		return;
	for (int i = 0; i < c->nin && left > 0; i++) {
		u64 len = MIN(left, c->in[i].iov_len);

		mem_written(queue_mem(q), c->gpa[c->nout + i], len);
		left -= len;
	}
	if (q->packed)
		packed_push(q, c, written);
	else
		split_push(q, c, written);
	q->nstaged++;
	q->staged_slots += c->nslots;
}

void queue_notify(struct queue *q)
{
	bool interrupt;

	if (q->nstaged == 0 || !queue_usable(q))
		return;
	interrupt = q->packed ? packed_publish(q) : split_publish(q);
	q->inflight -= q->staged_slots;
	q->nstaged = 0;
	q->staged_slots = 0;
	q->progress_ns = clock_mono_ns();
	if (interrupt)
		q->v->bus->notify(q->v, q);
}

bool queue_empty(struct queue *q)
{
	u16 flags;

	if (!queue_usable(q))
		return true;
	if (q->packed)
		return !packed_flags(q, &flags);
	return ring_load16(q, &q->driver_part, RING_IDX) == q->last_avail;
}

enum queue_health queue_health(struct queue *q, u64 limit_ns, u64 *ret_ns)
{
	*ret_ns = q->active ? clock_mono_ns() - q->progress_ns : 0;
	if (!q->active)
		return QUEUE_OFF;
	if (!q->inflight)
		return queue_empty(q) ? QUEUE_IDLE : QUEUE_SUPPLIED;
	if (*ret_ns < limit_ns || q->v->class->keeps & BIT(q->index))
		return QUEUE_BUSY;
	return QUEUE_STUCK;
}

/* ---- Life of a ring ---- */

u64 queue_desc_bytes(bool packed, u16 size)
{
	return (u64)DESC_BYTES * size;
}

u64 queue_driver_bytes(bool packed, u16 size)
{
	return packed ? 4 : RING_ENTRY + 2ULL * size + 2;
}

u64 queue_device_bytes(bool packed, u16 size)
{
	return packed ? 4 : RING_ENTRY + (u64)USED_BYTES * size + 2;
}

static bool ring_part_init(struct queue *q, struct ring_part *p, gpa_t gpa,
			   u64 len, u32 align, bool write)
{
	struct memory *mem = queue_mem(q);
	struct iovec iov[4];

	if (gpa % align)
		return false;
	p->gpa = gpa;
	p->len = len;
	p->host = write ? mem_ptr_rw(mem, gpa, len)
			: (void *)(uintptr_t)mem_ptr(mem, gpa, len);
	return p->host ||
	       mem_iov(mem, gpa, len, write, iov, ARRAY_SIZE(iov)) > 0;
}

int queue_activate(struct queue *q)
{
	u64 desc = queue_desc_bytes(q->packed, q->size);
	u64 driver = queue_driver_bytes(q->packed, q->size);
	u64 device = queue_device_bytes(q->packed, q->size);

	if (q->size == 0 || q->size > q->size_max ||
	    (!q->packed && (q->size & (q->size - 1))))
		return -EINVAL;
	if (!ring_part_init(q, &q->desc_part, q->desc, desc, 16, q->packed) ||
	    !ring_part_init(q, &q->driver_part, q->driver, driver,
			    q->packed ? 4 : 2, false) ||
	    !ring_part_init(q, &q->device_part, q->device, device, 4, true))
		return -EINVAL;
	q->last_avail = 0;
	q->avail_seen = 0;
	q->used_idx = 0;
	q->avail_wrap = true;
	q->used_wrap = true;
	q->signalled = 0;
	q->signalled_valid = false;
	q->kicks_wanted = true;
	q->inflight = 0;
	q->nstaged = 0;
	q->staged_slots = 0;
	q->progress_ns = clock_mono_ns();
	q->active = true;
	return 0;
}

void queue_reset(struct queue *q)
{
	q->active = false;
	q->enabled = false;
	q->size = q->size_max;
	q->vector = QUEUE_NO_VECTOR;
	q->desc = 0;
	q->driver = 0;
	q->device = 0;
	q->inflight = 0;
	q->nstaged = 0;
	q->staged_slots = 0;
}
