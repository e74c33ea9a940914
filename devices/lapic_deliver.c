/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Local APICs: what is requested and may be delivered, and messages (IPIs, MSIs)
 * on their way to those that they name.
 */
#include "devices/lapic.h"

#include <stdatomic.h>

#include "devices/pc.h"
#include "lib/log.h"
#include "vmm/irq.h"
#include "vmm/machine.h"

/* What a message asks for, from ICR, MSI or IOAPIC. */
struct lapic_message {
	u32 dest;
	bool logical, level_trigger, assert;
	u8 vector;
	u8 delivery; /* enum lapic_delivery */
};

int lapic_highest(const u32 bits[8])
{
	for (int i = 7; i >= 0; i--)
		if (bits[i])
			return i * 32 + 31 - __builtin_clz(bits[i]);
	return -1;
}

void lapic_set_bit(u32 bits[8], u8 n, bool on)
{
	if (on)
		bits[n / 32] |= 1u << n % 32;
	else
		bits[n / 32] &= ~(1u << n % 32);
}

u32 lapic_ppr(const struct lapic *l)
{
	int isr = lapic_highest(l->isr);
	u32 in_service = isr < 0 ? 0 : isr & 0xf0;

	return (l->tpr & 0xf0) >= in_service ? l->tpr : in_service;
}

int lapic_deliverable(const struct lapic *l)
{
	int irr;

	if (!lapic_enabled(l))
		return -1;
	irr = lapic_highest(l->irr);
	if (irr < 0 || (u32)(irr & 0xf0) <= (lapic_ppr(l) & 0xf0))
		return -1;
	return irr;
}

static bool lapic_extint_open(const struct lapic *l)
{
	if (!lapic_hw_enabled(l))
		return true; /* LINT0 is the processor's INTR pin */
	return !(l->lvt[LVT_LINT0] & LVT_MASKED) &&
	       LVT_MODE(l->lvt[LVT_LINT0]) == DELIVER_EXTINT;
}

bool lapic_update(struct lapic *l)
{
	u32 ready = 0;

	if (lapic_deliverable(l) >= 0)
		ready |= READY_FIXED;
	if (l->lint0 && lapic_extint_open(l))
		ready |= READY_EXTINT;
	return ready & ~atomic_exchange(&l->ready, ready);
}

void lapic_wake(struct lapic *l, bool wake)
{
	if (wake)
		vcpu_request(l->v, VCPU_REQ_INTR);
}

void lapic_latch_error(struct lapic *l, u32 bit)
{
	u32 lvt = l->lvt[LVT_ERROR];

	if (l->esr_new & bit)
		return;
	l->esr_new |= bit;
	if (!(lvt & LVT_MASKED) && (lvt & 0xff) >= 16)
		lapic_set_bit(l->irr, lvt, true);
}

void lapic_request(struct lapic *l, u8 vector, bool level)
{
	if (!lapic_enabled(l))
		return;
	if (vector < 16) {
		lapic_latch_error(l, ESR_RECEIVE_VECTOR);
		return;
	}
	lapic_set_bit(l->irr, vector, true);
	lapic_set_bit(l->tmr, vector, level);
}

/* One message at one LAPIC. */
static void lapic_receive(struct lapic *l, const struct lapic_message *msg)
{
	bool wake;

	switch (msg->delivery) {
	case DELIVER_FIXED:
	case DELIVER_LOWEST:
	case DELIVER_EXTINT:
		lock_acquire(&l->lock);
		lapic_request(l, msg->vector, msg->level_trigger);
		wake = lapic_update(l);
		lock_release(&l->lock);
		lapic_wake(l, wake);
		break;
	case DELIVER_NMI: vcpu_nmi(l->v); break;
	case DELIVER_INIT:
		if (msg->assert || !msg->level_trigger)
			vcpu_request(l->v, VCPU_REQ_INIT);
		break;
	case DELIVER_SIPI:
		atomic_store(&l->v->sipi_vector, msg->vector);
		vcpu_request(l->v, VCPU_REQ_SIPI);
		break;
	default:
		log_guest("lapic", "delivery mode %u is not supported",
			  msg->delivery);
		break;
	}
}

/* Does a destination name this LAPIC? */
static bool lapic_addressed(struct lapic *l, u32 dest, bool logical)
{
	u32 mda, ldr;
	bool hit;

	if (atomic_load(&l->v->unplugged))
		return false;
	lock_acquire(&l->lock);
	ldr = l->ldr;
	if (!lapic_hw_enabled(l)) {
		/* Hears no message, but an INIT finds it by its id. */
		hit = !logical && dest == l->v->apic_id;
	} else if (!logical) {
		hit = dest == (lapic_x2(l) ? l->v->apic_id : l->id) ||
		      dest == 0xffffffffu || (dest == 0xff && !lapic_x2(l));
	} else if (lapic_x2(l)) {
		hit = dest == 0xffffffffu ||
		      (dest >> 16 == ldr >> 16 && (dest & ldr & 0xffff));
	} else {
		mda = dest == 0xffffffffu ? 0xff : dest;
		ldr >>= 24;
		if (mda > 0xff)
			hit = false;
		else if (mda == 0xff || l->dfr >> 28 == 0xf)
			hit = mda & ldr;
		else
			hit = mda >> 4 == ldr >> 4 && (mda & ldr & 0xf);
	}
	lock_release(&l->lock);
	return hit;
}

static bool lapic_can_arbitrate(struct lapic *l, u32 *ret_priority)
{
	bool enabled;

	lock_acquire(&l->lock);
	enabled = lapic_enabled(l);
	*ret_priority = lapic_ppr(l) & 0xf0;
	lock_release(&l->lock);
	return enabled;
}

/* Lowest priority: among those addressed the least busy one, in turns. */
static void lapic_send_lowest(struct lapics *s, const struct lapic_message *msg)
{
	u32 turn = atomic_fetch_add(&s->lowest_turn, 1);
	struct lapic *best = NULL;
	u32 best_priority = 0, priority;

	for (int i = 0; i < s->count; i++) {
		struct lapic *l = &s->apic[(turn + i) % s->count];

		if (!lapic_addressed(l, msg->dest, msg->logical) ||
		    !lapic_can_arbitrate(l, &priority))
			continue;
		if (!best || priority < best_priority) {
			best = l;
			best_priority = priority;
		}
	}
	if (best)
		lapic_receive(best, msg);
}

static void lapic_send(struct lapics *s, const struct lapic_message *msg)
{
	if (msg->delivery == DELIVER_LOWEST) {
		lapic_send_lowest(s, msg);
		return;
	}
	for (int i = 0; i < s->count; i++)
		if (lapic_addressed(&s->apic[i], msg->dest, msg->logical))
			lapic_receive(&s->apic[i], msg);
}

static struct lapics *lapic_device(struct machine *m)
{
	struct lapic *l = m->nvcpus ? lapic_of(m->vcpus[0]) : NULL;

	return l ? l->owner : NULL;
}

void lapic_deliver_msi(struct machine *m, const struct msi *msi)
{
	struct lapics *s = lapic_device(m);
	struct lapic_message msg = {
		/* Bits 5-11 extend the destination for guests that know. */
		.dest = (msi->addr >> 12 & 0xff) | (msi->addr >> 5 & 0x7f) << 8,
		.logical = msi->addr & 4,
		.vector = msi->data,
		.delivery = msi->data >> 8 & 7,
		.assert = msi->data & ICR_LEVEL,
		.level_trigger = msi->data & ICR_TRIGGER,
	};

	if (s)
		lapic_send(s, &msg);
}

/* ---- Without l->lock ---- */

void lapic_eoi(struct lapic *l)
{
	struct machine *m = l->v->m;
	bool wake, taken, level;
	int vector;

	lock_acquire(&l->lock);
	vector = lapic_highest(l->isr);
	if (vector < 0) {
		lock_release(&l->lock);
		return;
	}
	lapic_set_bit(l->isr, vector, false);
	level = lapic_bit(l->tmr, vector);
	wake = lapic_update(l);
	lock_release(&l->lock);
	if (level && m->ioapic_eoi) {
		taken = lapic_big_lock();
		m->ioapic_eoi(m, vector);
		lapic_big_unlock(taken);
	}
	lapic_wake(l, wake);
}

void lapic_send_ipi(struct lapic *l, u32 icr, u32 dest)
{
	struct lapics *s = l->owner;
	struct lapic_message msg = {
		.dest = dest,
		.logical = icr & ICR_LOGICAL,
		.vector = icr,
		.delivery = icr >> 8 & 7,
		.assert = icr & ICR_LEVEL,
		/* Only an INIT level de-assert is a level; the rest of the
		 * IPIs count as edges whatever the bit says. */
		.level_trigger =
			(icr >> 8 & 7) == DELIVER_INIT && (icr & ICR_TRIGGER),
	};

	if (msg.delivery <= DELIVER_LOWEST && msg.vector < 16) {
		lock_acquire(&l->lock);
		lapic_latch_error(l, ESR_SEND_VECTOR);
		lapic_update(l);
		lock_release(&l->lock);
		return;
	}
	switch ((icr & ICR_SHORTHAND) >> 18) {
	case 0: lapic_send(s, &msg); return;
	case 1: lapic_receive(l, &msg); return;
	}
	for (int i = 0; i < s->count; i++)
		if (&s->apic[i] != l || (icr & ICR_SHORTHAND) == 0x80000)
			lapic_receive(&s->apic[i], &msg);
}

void lapic_write_icr(struct lapic *l, u32 icr, u32 dest)
{
	lock_acquire(&l->lock);
	l->icr = icr & 0xccfff;
	lock_release(&l->lock);
	lapic_send_ipi(l, icr, dest);
}
