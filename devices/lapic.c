/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Local APICs of all vCPUs: xAPIC page, x2APIC registers, timer, IPIs, MSIs.
 *
 * Interrupts reach a LAPIC from any thread: each has a leaf lock, and
 * `ready` tells its vCPU without the lock whether accept() has something.
 * The timer keeps its deadline under the leaf lock; what is armed for it, its
 * vCPU's alarm or else a vtimer, may come too early (a deadline that moves
 * later does not touch it), and is then armed again when it comes.
 *
 * Deviation: all share one page, which is where the last of them has moved it.
 * Spec: SDM 3A "Advanced Programmable Interrupt Controller (APIC)".
 * Locking: machine_lock, then one `lock` at a time; no callback under it.
 */
#include "devices/pc.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/lock.h"
#include "lib/log.h"
#include "vmm/device.h"
#include "vmm/machine.h"
#include "vmm/memory.h"
#include "vmm/vcpu.h"
#include "vmm/vtimer.h"

/* Register numbers: offset in the page / 16, MSR number less 0x800. */
#define APIC_ID       0x02
#define APIC_VERSION  0x03
#define APIC_TPR      0x08
#define APIC_APR      0x09
#define APIC_PPR      0x0a
#define APIC_EOI      0x0b
#define APIC_LDR      0x0d
#define APIC_DFR      0x0e
#define APIC_SVR      0x0f
#define APIC_ISR      0x10
#define APIC_TMR      0x18
#define APIC_IRR      0x20
#define APIC_ESR      0x28
#define APIC_ICR      0x30
#define APIC_ICR2     0x31
#define APIC_LVT      0x32 /* six registers, enum lapic_lvt */
#define APIC_TMICT    0x38
#define APIC_TMCCT    0x39
#define APIC_TMDCR    0x3e
#define APIC_SELF_IPI 0x3f

enum lapic_lvt {
	LVT_TIMER,
	LVT_THERMAL,
	LVT_PERF,
	LVT_LINT0,
	LVT_LINT1,
	LVT_ERROR,
	LVT_COUNT
};

#define LAPIC_VERSION_VALUE (0x14 | (LVT_COUNT - 1) << 16)

#define SVR_ENABLE 0x100

#define ESR_SEND_VECTOR    0x20
#define ESR_RECEIVE_VECTOR 0x40
#define ESR_REGISTER       0x80

#define ICR_LOGICAL   0x800
#define ICR_LEVEL     0x4000 /* assert */
#define ICR_TRIGGER   0x8000
#define ICR_SHORTHAND 0xc0000

#define LVT_MASKED     0x10000
#define LVT_TIMER_MODE 0x60000
#define TIMER_ONE_SHOT 0x00000
#define TIMER_PERIODIC 0x20000
#define TIMER_DEADLINE 0x40000
#define LVT_MODE(lvt)  ((lvt) >> 8 & 7)

enum lapic_delivery {
	DELIVER_FIXED,
	DELIVER_LOWEST,
	DELIVER_SMI,
	DELIVER_RESERVED,
	DELIVER_NMI,
	DELIVER_INIT,
	DELIVER_SIPI,
	DELIVER_EXTINT,
};

/* Bits of lapic->ready. */
#define READY_FIXED  1u
#define READY_EXTINT 2u

/* A periodic timer never fires more often: the host could not keep up. */
#define LAPIC_MIN_PERIOD_NS (100 * NS_PER_US)
/* ... and half as often, up to this power of two, for each time that it has
 * found the interrupt before unfinished, less those that it has not: a guest
 * whose handler takes longer, as when we compare translations, has to get on. */
#define LAPIC_SLOWEST  7
#define LAPIC_SLOW_NS  (10 * NS_PER_MS)
#define LAPIC_PRIORITY 100 /* no BAR hides it */
#define LAPIC_NEVER    UINT64_MAX

/* All fields but `v`, `owner`, `timer` and `ready` are guarded by `lock`.  `timer`
 * needs machine_lock; something comes at `armed_ns` at the latest. */
struct lapic {
	struct vcpu *v;
	struct lapics *owner;
	struct lock lock;
	_Atomic u32 ready; /* READY_*; partner: accept() and pending() */

	u64 base; /* IA32_APIC_BASE */
	u8 id;    /* of xAPIC mode; software may change it */
	u32 tpr, ldr, dfr, svr, esr, esr_new;
	u32 isr[8], tmr[8], irr[8];
	u32 icr, icr2;
	u32 lvt[LVT_COUNT];
	bool lint0;

	u32 divide, initial;
	u64 start_ns;    /* when `initial` was loaded */
	u64 deadline_ns; /* next expiry, LAPIC_NEVER when stopped */
	u64 deadline_tsc;
	u64 armed_ns;
	u8 overruns; /* up to LAPIC_SLOWEST */
	struct vtimer timer;
};

/* The device: owner of all LAPICs and of the page they share. */
struct lapics {
	struct device dev;
	struct region page;
	_Atomic gpa_t page_at; /* its address; changes under machine_lock */
	struct lapic *apic;    /* owned; one per vCPU */
	int count;
	_Atomic u32 lowest_turn; /* spreads lowest-priority interrupts */
};

/* What a message asks for, from ICR, MSI or IOAPIC. */
struct lapic_message {
	u32 dest;
	bool logical, level_trigger, assert;
	u8 vector;
	u8 delivery; /* enum lapic_delivery */
};

static struct lapic *lapic_of(const struct vcpu *v)
{
	return v->lapic;
}

static bool lapic_hw_enabled(const struct lapic *l)
{
	return l->base & APICBASE_ENABLE;
}

static bool lapic_x2(const struct lapic *l)
{
	return l->base & APICBASE_X2APIC;
}

static bool lapic_enabled(const struct lapic *l)
{
	return lapic_hw_enabled(l) && (l->svr & SVR_ENABLE);
}

static int lapic_highest(const u32 bits[8])
{
	for (int i = 7; i >= 0; i--)
		if (bits[i])
			return i * 32 + 31 - __builtin_clz(bits[i]);
	return -1;
}

static void lapic_set_bit(u32 bits[8], u8 n, bool on)
{
	if (on)
		bits[n / 32] |= 1u << n % 32;
	else
		bits[n / 32] &= ~(1u << n % 32);
}

static bool lapic_bit(const u32 bits[8], u8 n)
{
	return bits[n / 32] >> n % 32 & 1;
}

static u32 lapic_ppr(const struct lapic *l)
{
	int isr = lapic_highest(l->isr);
	u32 in_service = isr < 0 ? 0 : isr & 0xf0;

	return (l->tpr & 0xf0) >= in_service ? l->tpr : in_service;
}

/* Vector to deliver now, or -1. */
static int lapic_deliverable(const struct lapic *l)
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

/* Recomputes `ready`; true if the vCPU has to be told. */
static bool lapic_update(struct lapic *l)
{
	u32 ready = 0;

	if (lapic_deliverable(l) >= 0)
		ready |= READY_FIXED;
	if (l->lint0 && lapic_extint_open(l))
		ready |= READY_EXTINT;
	return ready & ~atomic_exchange(&l->ready, ready);
}

static void lapic_wake(struct lapic *l, bool wake)
{
	if (wake)
		vcpu_request(l->v, VCPU_REQ_INTR);
}

static void lapic_latch_error(struct lapic *l, u32 bit)
{
	u32 lvt = l->lvt[LVT_ERROR];

	if (l->esr_new & bit)
		return;
	l->esr_new |= bit;
	if (!(lvt & LVT_MASKED) && (lvt & 0xff) >= 16)
		lapic_set_bit(l->irr, lvt, true);
}

/* Puts a fixed interrupt into IRR. */
static void lapic_request(struct lapic *l, u8 vector, bool level)
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

/* ---- Timer ---- */

static u32 lapic_divisor(const struct lapic *l)
{
	u32 code = (l->divide & 3) | (l->divide >> 1 & 4);

	return code == 7 ? 1 : 2u << code;
}

static u32 lapic_timer_mode(const struct lapic *l)
{
	return l->lvt[LVT_TIMER] & LVT_TIMER_MODE;
}

static u64 lapic_period_ns(const struct lapic *l)
{
	/* The bus clock is 1 GHz, as CPUID and other hypervisors have it. */
	return (u64)l->initial * lapic_divisor(l);
}

static u32 lapic_current_count(const struct lapic *l)
{
	u64 now = vclock_now(l->v->m);

	if (lapic_timer_mode(l) == TIMER_DEADLINE ||
	    l->deadline_ns == LAPIC_NEVER || now >= l->deadline_ns)
		return 0;
	return (l->deadline_ns - now) / lapic_divisor(l);
}

/* Starts the count from the initial count register. */
static void lapic_start_count(struct lapic *l)
{
	l->deadline_ns = LAPIC_NEVER;
	if (!l->initial || lapic_timer_mode(l) == TIMER_DEADLINE)
		return;
	l->start_ns = vclock_now(l->v->m);
	l->deadline_ns = l->start_ns + lapic_period_ns(l);
}

/* Expiry of the deadline that has passed; interrupt and next deadline. */
static void lapic_expire(struct lapic *l, u64 now)
{
	u32 lvt = l->lvt[LVT_TIMER];
	u64 period = MAX(lapic_period_ns(l), LAPIC_MIN_PERIOD_NS);

	if (lapic_bit(l->irr, lvt & 0xff) || lapic_bit(l->isr, lvt & 0xff))
		l->overruns = MIN(l->overruns + 1, LAPIC_SLOWEST);
	else if (l->overruns)
		l->overruns--;
	period = MAX(period, MIN(period << l->overruns, LAPIC_SLOW_NS));
	if (!(lvt & LVT_MASKED))
		lapic_request(l, lvt & 0xff, false);
	l->deadline_tsc = 0;
	if (lapic_timer_mode(l) != TIMER_PERIODIC || !l->initial) {
		l->deadline_ns = LAPIC_NEVER;
		return;
	}
	l->deadline_ns += period;
	if (l->deadline_ns <= now) /* late by more than a period: skip */
		l->deadline_ns = now + period - (now - l->deadline_ns) % period;
}

/* What was armed has come: what is to be armed, and whom to wake. */
static u64 lapic_timer_now(struct lapic *l, bool *ret_wake)
{
	u64 now = vclock_now(l->v->m), next;

	lock_acquire(&l->lock);
	if (l->deadline_ns <= now)
		lapic_expire(l, now);
	next = l->armed_ns = l->deadline_ns;
	*ret_wake = lapic_update(l);
	lock_release(&l->lock);
	return next;
}

static void lapic_vtimer(void *opaque)
{
	struct lapic *l = opaque;
	bool wake;
	u64 next = lapic_timer_now(l, &wake);

	assert_locked(&machine_lock);
	if (next != LAPIC_NEVER)
		vtimer_set(&l->timer, next);
	lapic_wake(l, wake);
}

static void lapic_alarm(struct vcpu *v)
{
	bool wake;
	u64 next = lapic_timer_now(lapic_of(v), &wake);

	if (next != LAPIC_NEVER)
		vcpu_alarm(v, next);
}

static bool lapic_big_lock(void) NO_TSA;
static void lapic_big_unlock(bool taken) NO_TSA;

static bool lapic_big_lock(void)
{
	if (lock_held(&machine_lock))
		return false;
	lock_acquire(&machine_lock);
	return true;
}

static void lapic_big_unlock(bool taken)
{
	if (taken)
		lock_release(&machine_lock);
}

/* After the deadline changed: makes sure that we are called in time.  Called
 * without l->lock. */
static void lapic_arm(struct lapic *l)
{
	bool taken;
	u64 deadline;

	lock_acquire(&l->lock);
	deadline = l->deadline_ns;
	if (deadline >= l->armed_ns) {
		lock_release(&l->lock);
		return; /* it comes earlier and looks again */
	}
	lock_release(&l->lock);
	if (vcpu_alarm(l->v, deadline)) {
		lock_acquire(&l->lock);
		l->armed_ns = deadline;
		lock_release(&l->lock);
		return;
	}

	taken = lapic_big_lock();
	lock_acquire(&l->lock);
	deadline = l->armed_ns = MIN(l->deadline_ns, l->armed_ns);
	lock_release(&l->lock);
	if (deadline != LAPIC_NEVER)
		vtimer_set(&l->timer, deadline);
	lapic_big_unlock(taken);
}

static void lapic_set_tsc_deadline(struct lapic *l, u64 tsc)
{
	if (lapic_timer_mode(l) != TIMER_DEADLINE)
		return;
	l->deadline_tsc = tsc;
	if (!tsc)
		l->deadline_ns = LAPIC_NEVER;
	else if (tsc <= vcpu_tsc(l->v))
		lapic_expire(l, vclock_now(l->v->m));
	else
		l->deadline_ns = MIN(vcpu_tsc_to_vclock(l->v, tsc), INT64_MAX);
}

static void lapic_write_divide(struct lapic *l, u32 value)
{
	u32 left = lapic_current_count(l);

	l->divide = value & 0xb;
	if (l->deadline_ns != LAPIC_NEVER &&
	    lapic_timer_mode(l) != TIMER_DEADLINE)
		l->deadline_ns =
			vclock_now(l->v->m) + (u64)left * lapic_divisor(l);
}

/* ---- Registers, for both ways in.  l->lock is held. ---- */

static u32 lapic_id_register(const struct lapic *l)
{
	return lapic_x2(l) ? l->v->apic_id : (u32)l->id << 24;
}

/* Bits of the LVT registers that can be set. */
static const u32 lapic_lvt_valid[LVT_COUNT] = {
	[LVT_TIMER] = 0x700ff, [LVT_THERMAL] = 0x107ff, [LVT_PERF] = 0x107ff,
	[LVT_LINT0] = 0x1a7ff, [LVT_LINT1] = 0x1a7ff,   [LVT_ERROR] = 0x100ff,
};

static void lapic_write_lvt(struct lapic *l, u32 n, u32 value)
{
	u32 old = l->lvt[n];

	value &= lapic_lvt_valid[n];
	if (!(l->svr & SVR_ENABLE))
		value |= LVT_MASKED;
	l->lvt[n] = value;
	if (n == LVT_TIMER && ((old ^ value) & TIMER_DEADLINE)) {
		l->deadline_ns = LAPIC_NEVER; /* the change disarms it */
		l->deadline_tsc = 0;
		l->initial = 0;
	}
}

static void lapic_write_svr(struct lapic *l, u32 value)
{
	l->svr = value & 0x3ff;
	if (!(l->svr & SVR_ENABLE))
		for (int i = 0; i < LVT_COUNT; i++)
			l->lvt[i] |= LVT_MASKED;
}

/* False: no such register. */
static bool lapic_read_reg(struct lapic *l, u32 reg, u32 *ret)
{
	switch (reg) {
	case APIC_ID: *ret = lapic_id_register(l); break;
	case APIC_VERSION: *ret = LAPIC_VERSION_VALUE; break;
	case APIC_TPR: *ret = l->tpr; break;
	case APIC_APR: *ret = lapic_ppr(l); break;
	case APIC_PPR: *ret = lapic_ppr(l); break;
	case APIC_EOI: *ret = 0; break;
	case APIC_LDR: *ret = l->ldr; break;
	case APIC_DFR: *ret = l->dfr; break;
	case APIC_SVR: *ret = l->svr; break;
	case APIC_ISR ... APIC_ISR + 7: *ret = l->isr[reg - APIC_ISR]; break;
	case APIC_TMR ... APIC_TMR + 7: *ret = l->tmr[reg - APIC_TMR]; break;
	case APIC_IRR ... APIC_IRR + 7: *ret = l->irr[reg - APIC_IRR]; break;
	case APIC_ESR: *ret = l->esr; break;
	case APIC_ICR: *ret = l->icr; break;
	case APIC_ICR2: *ret = l->icr2; break;
	case APIC_LVT ... APIC_LVT + LVT_COUNT - 1:
		*ret = l->lvt[reg - APIC_LVT];
		break;
	case APIC_TMICT: *ret = l->initial; break;
	case APIC_TMCCT: *ret = lapic_current_count(l); break;
	case APIC_TMDCR: *ret = l->divide; break;
	default: return false;
	}
	return true;
}

/* Those without an effect beyond this LAPIC.  False: no such register. */
static bool lapic_write_reg(struct lapic *l, u32 reg, u32 value)
{
	switch (reg) {
	case APIC_ID: l->id = value >> 24; break;
	case APIC_TPR: l->tpr = value & 0xff; break;
	case APIC_LDR: l->ldr = value & 0xff000000u; break;
	case APIC_DFR: l->dfr = value | 0x0fffffff; break;
	case APIC_SVR: lapic_write_svr(l, value); break;
	case APIC_ESR:
		l->esr = l->esr_new;
		l->esr_new = 0;
		break;
	case APIC_ICR2: l->icr2 = value; break;
	case APIC_LVT ... APIC_LVT + LVT_COUNT - 1:
		lapic_write_lvt(l, reg - APIC_LVT, value);
		break;
	case APIC_TMICT:
		if (lapic_timer_mode(l) == TIMER_DEADLINE)
			break;
		l->initial = value;
		lapic_start_count(l);
		break;
	case APIC_TMDCR: lapic_write_divide(l, value); break;
	case APIC_VERSION:
	case APIC_APR:
	case APIC_PPR:
	case APIC_TMCCT:
	case APIC_ISR ... APIC_ISR + 7:
	case APIC_TMR ... APIC_TMR + 7:
	case APIC_IRR ... APIC_IRR + 7: break;
	default: return false;
	}
	return true;
}

/* ---- What reaches beyond.  l->lock is not held. ---- */

static void lapic_eoi(struct lapic *l)
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

static void lapic_send_ipi(struct lapic *l, u32 icr, u32 dest)
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

static void lapic_write_icr(struct lapic *l, u32 icr, u32 dest)
{
	lock_acquire(&l->lock);
	l->icr = icr & 0xccfff;
	lock_release(&l->lock);
	lapic_send_ipi(l, icr, dest);
}

/* A register write that stays here, with its consequences. */
static bool lapic_write_local(struct lapic *l, u32 reg, u32 value)
{
	bool known, wake;

	lock_acquire(&l->lock);
	known = lapic_write_reg(l, reg, value);
	wake = lapic_update(l);
	lock_release(&l->lock);
	if (reg == APIC_TMICT || reg == APIC_TMDCR)
		lapic_arm(l);
	lapic_wake(l, wake);
	return known;
}

static void lapic_bad_register(struct lapic *l, u32 reg)
{
	bool wake;

	lock_acquire(&l->lock);
	lapic_latch_error(l, ESR_REGISTER);
	wake = lapic_update(l);
	lock_release(&l->lock);
	lapic_wake(l, wake);
	log_guest("lapic", "no register at offset 0x%03x", reg << 4);
}

/* ---- The xAPIC page ---- */

/* The accessing vCPU's LAPIC, if it answers at the page. */
static struct lapic *lapic_at_page(void)
{
	struct vcpu *v = vcpu_current();
	struct lapic *l = v ? lapic_of(v) : NULL;

	if (!l || !lapic_hw_enabled(l) || lapic_x2(l))
		return NULL;
	return l;
}

static u64 lapic_page_read(void *opaque, u64 offset, u32 size)
{
	struct lapic *l = lapic_at_page();
	u32 value = 0;
	bool known;

	if (!l)
		return 0xffffffff;
	if (offset & 15)
		return 0; /* only the first four bytes of 16 are defined */
	lock_acquire(&l->lock);
	known = lapic_read_reg(l, offset >> 4, &value);
	lock_release(&l->lock);
	if (!known)
		lapic_bad_register(l, offset >> 4);
	return value;
}

static void lapic_page_write(void *opaque, u64 offset, u32 size, u64 value)
{
	struct lapic *l = lapic_at_page();
	u32 reg = offset >> 4;

	if (!l || (offset & 15))
		return;
	switch (reg) {
	case APIC_EOI: lapic_eoi(l); break;
	case APIC_ICR: {
		u32 dest = l->icr2 >> 24; /* written by this thread only */

		lapic_write_icr(l, value, dest == 0xff ? 0xffffffffu : dest);
		break;
	}
	default:
		if (!lapic_write_local(l, reg, value))
			lapic_bad_register(l, reg);
		break;
	}
}

static const struct region_ops lapic_page_ops = {
	.read = lapic_page_read,
	.write = lapic_page_write,
	.min_size = 4,
	.max_size = 4,
	.lockless = true,
};

/* ---- struct lapic_ops: from the vCPU's thread ---- */

static int lapic_accept(struct vcpu *v)
{
	struct lapic *l = lapic_of(v);
	u32 ready = atomic_load(&l->ready);
	int vector = -1;

	if (ready & READY_FIXED) {
		lock_acquire(&l->lock);
		vector = lapic_deliverable(l);
		if (vector >= 0) {
			lapic_set_bit(l->irr, vector, false);
			lapic_set_bit(l->isr, vector, true);
		}
		lapic_update(l);
		lock_release(&l->lock);
	}
	if (vector < 0 && (ready & READY_EXTINT) && v->m->pic_accept)
		vector = v->m->pic_accept(v->m);
	return vector;
}

static bool lapic_pending(struct vcpu *v)
{
	return atomic_load(&lapic_of(v)->ready);
}

static u8 lapic_get_tpr(struct vcpu *v)
{
	return lapic_of(v)->tpr >> 4; /* written by this thread only */
}

static void lapic_set_tpr(struct vcpu *v, u8 cr8)
{
	struct lapic *l = lapic_of(v);
	bool wake;

	lock_acquire(&l->lock);
	l->tpr = (cr8 & 15) << 4;
	wake = lapic_update(l);
	lock_release(&l->lock);
	lapic_wake(l, wake);
}

/* Power-on values but for the APIC base. */
static void lapic_clear(struct lapic *l)
{
	l->tpr = l->ldr = l->esr = l->esr_new = l->icr = l->icr2 = 0;
	l->dfr = 0xffffffffu;
	l->svr = 0xff;
	memset(l->isr, 0, sizeof l->isr);
	memset(l->tmr, 0, sizeof l->tmr);
	memset(l->irr, 0, sizeof l->irr);
	for (int i = 0; i < LVT_COUNT; i++)
		l->lvt[i] = LVT_MASKED;
	l->divide = l->initial = l->overruns = 0;
	l->deadline_ns = LAPIC_NEVER;
	l->deadline_tsc = 0;
}

static void lapic_save(struct vcpu *v)
{
	struct lapic *l = lapic_of(v);
	struct cpu_lapic *to = &v->cpu.lapic;

	memset(to, 0, sizeof *to);
	lock_acquire(&l->lock);
	for (u32 reg = 0; reg < ARRAY_SIZE(to->regs); reg++)
		lapic_read_reg(l, reg, &to->regs[reg]);
	to->timer_deadline_tsc = l->deadline_tsc;
	v->cpu.tsc_deadline = l->deadline_tsc;
	v->cpu.apic_base = l->base;
	v->cpu.cr8 = l->tpr >> 4;
	lock_release(&l->lock);
}

static u32 lapic_x2_ldr(const struct lapic *l)
{
	return l->v->apic_id >> 4 << 16 | 1u << (l->v->apic_id & 15);
}

/* To where this one's APIC base is about to be. */
static void lapic_move_page(struct lapic *l, u64 base) NO_TSA
{
	struct lapics *s = l->owner;
	gpa_t page = base & ~0xfffull;
	bool taken;

	if (!(base & APICBASE_ENABLE) || atomic_load(&s->page_at) == page)
		return;
	taken = lapic_big_lock();
	region_map_at(&s->page, &l->v->m->memory, page);
	atomic_store(&s->page_at, page);
	lapic_big_unlock(taken);
}

static void lapic_reset_one(struct vcpu *v, bool init)
{
	struct lapic *l = lapic_of(v);

	if (!init)
		lapic_move_page(l, LAPIC_BASE | APICBASE_ENABLE);
	lock_acquire(&l->lock);
	lapic_clear(l);
	if (!init) {
		l->id = v->apic_id;
		l->base = LAPIC_BASE | APICBASE_ENABLE |
			  (v->index ? 0 : APICBASE_BSP);
	}
	if (lapic_x2(l))
		l->ldr = lapic_x2_ldr(l);
	/* Firmware leaves the BSP's LINT0 open for the PIC, so that a guest
	 * that never touches its LAPIC still gets interrupts. */
	if (!v->index && !init)
		l->lvt[LVT_LINT0] = DELIVER_EXTINT << 8;
	lapic_update(l);
	lock_release(&l->lock);
	lapic_save(v); /* an engine may put v->cpu back before it gets it */
	lapic_wake(l, atomic_load(&l->ready));
}

/* IA32_APIC_BASE, SDM 3A "x2APIC State Transitions". */
static bool lapic_write_base(struct lapic *l, u64 value)
{
	u64 modes = APICBASE_ENABLE | APICBASE_X2APIC;
	u64 from = l->base & modes, to = value & modes;
	bool wake;

	if (value & ~(modes | APICBASE_BSP | 0xffffffffff000ull))
		return false;
	if (to == APICBASE_X2APIC || (to == modes && !from) ||
	    (from == modes && to == APICBASE_ENABLE))
		return false;
	lapic_move_page(l, value);
	lock_acquire(&l->lock);
	if (!to && from)
		lapic_clear(l);
	if (!to || from == modes)
		l->id = l->v->apic_id;
	l->base = value;
	if (to == modes && from != modes)
		l->ldr = lapic_x2_ldr(l);
	wake = lapic_update(l);
	lock_release(&l->lock);
	lapic_wake(l, wake);
	return true;
}

static bool lapic_msr_read(struct vcpu *v, u32 msr, u64 *ret)
{
	struct lapic *l = lapic_of(v);
	u32 reg = msr - MSR_X2APIC_FIRST;
	u32 value;
	bool ok;

	if (msr == MSR_IA32_APICBASE) {
		*ret = l->base;
		return true;
	}
	if (msr == MSR_IA32_TSC_DEADLINE) {
		lock_acquire(&l->lock);
		*ret = l->deadline_tsc;
		lock_release(&l->lock);
		return true;
	}
	if (msr < MSR_X2APIC_FIRST || msr > MSR_X2APIC_LAST || !lapic_x2(l) ||
	    reg == APIC_EOI || reg == APIC_APR || reg == APIC_DFR ||
	    reg == APIC_ICR2)
		return false;
	lock_acquire(&l->lock);
	ok = lapic_read_reg(l, reg, &value);
	if (ok)
		*ret = reg == APIC_ICR ? value | (u64)l->icr2 << 32 : value;
	lock_release(&l->lock);
	return ok;
}

/* x2APIC write; false for reserved registers, bits and read-only ones. */
static bool lapic_x2_write(struct lapic *l, u32 reg, u64 value)
{
	if (reg != APIC_ICR && value >> 32)
		return false;
	switch (reg) {
	case APIC_EOI:
		if (value)
			return false;
		lapic_eoi(l);
		return true;
	case APIC_ICR:
		if (value & 0xfff33000)
			return false;
		lock_acquire(&l->lock);
		l->icr2 = value >> 32;
		lock_release(&l->lock);
		lapic_write_icr(l, value, value >> 32);
		return true;
	case APIC_SELF_IPI:
		if (value > 0xff)
			return false;
		lapic_send_ipi(l, (u32)value | 1 << 18, 0);
		return true;
	case APIC_TPR:
		if (value > 0xff)
			return false;
		break;
	case APIC_SVR:
		if (value & ~0x13ffull)
			return false;
		break;
	case APIC_ESR:
		if (value)
			return false;
		break;
	case APIC_TMDCR:
		if (value & ~0xbull)
			return false;
		break;
	case APIC_LVT ... APIC_LVT + LVT_COUNT - 1:
	case APIC_TMICT: break;
	default: return false;
	}
	return lapic_write_local(l, reg, value);
}

static bool lapic_msr_write(struct vcpu *v, u32 msr, u64 value)
{
	struct lapic *l = lapic_of(v);
	bool wake;

	if (msr == MSR_IA32_APICBASE)
		return lapic_write_base(l, value);
	if (msr == MSR_IA32_TSC_DEADLINE) {
		lock_acquire(&l->lock);
		lapic_set_tsc_deadline(l, value);
		wake = lapic_update(l);
		lock_release(&l->lock);
		lapic_arm(l);
		lapic_wake(l, wake);
		return true;
	}
	if (msr < MSR_X2APIC_FIRST || msr > MSR_X2APIC_LAST || !lapic_x2(l))
		return false;
	return lapic_x2_write(l, msr - MSR_X2APIC_FIRST, value);
}

/* The timer goes on from the current count that was saved. */
static void lapic_load_timer(struct lapic *l, const struct cpu_lapic *from)
{
	l->divide = from->regs[APIC_TMDCR] & 0xb;
	l->initial = from->regs[APIC_TMICT];
	l->deadline_ns = LAPIC_NEVER;
	if (lapic_timer_mode(l) == TIMER_DEADLINE)
		lapic_set_tsc_deadline(l, l->v->cpu.tsc_deadline);
	else if (from->regs[APIC_TMCCT])
		l->deadline_ns = vclock_now(l->v->m) +
				 (u64)from->regs[APIC_TMCCT] * lapic_divisor(l);
	else if (lapic_timer_mode(l) == TIMER_PERIODIC)
		lapic_start_count(l);
}

static void lapic_load(struct vcpu *v)
{
	struct lapic *l = lapic_of(v);
	const struct cpu_lapic *from = &v->cpu.lapic;
	u32 irr[8], tmr[8];

	lapic_move_page(l, v->cpu.apic_base);
	lock_acquire(&l->lock);
	memcpy(irr, l->irr, sizeof irr);
	memcpy(tmr, l->tmr, sizeof tmr);
	lapic_clear(l);
	l->base = v->cpu.apic_base;
	if (!lapic_x2(l))
		l->id = from->regs[APIC_ID] >> 24;
	l->tpr = from->regs[APIC_TPR] & 0xff;
	l->dfr = from->regs[APIC_DFR] | 0x0fffffff;
	l->ldr = lapic_x2(l) ? lapic_x2_ldr(l) : from->regs[APIC_LDR];
	l->svr = from->regs[APIC_SVR] & 0x3ff;
	memcpy(l->isr, &from->regs[APIC_ISR], sizeof l->isr);
	memcpy(l->tmr, &from->regs[APIC_TMR], sizeof l->tmr);
	memcpy(l->irr, &from->regs[APIC_IRR], sizeof l->irr);
	/* What came in between save and load is not lost. */
	for (int i = 0; i < 8; i++) {
		l->tmr[i] = (l->tmr[i] & ~irr[i]) | (tmr[i] & irr[i]);
		l->irr[i] |= irr[i];
	}
	/* Vectors 0-15 do not exist. */
	l->isr[0] &= ~0xffffu;
	l->irr[0] &= ~0xffffu;
	l->esr = from->regs[APIC_ESR];
	l->icr = from->regs[APIC_ICR];
	l->icr2 = from->regs[APIC_ICR2];
	/* Not masked by a clear SVR, as LINT0 is not after reset. */
	for (u32 i = 0; i < LVT_COUNT; i++)
		l->lvt[i] = from->regs[APIC_LVT + i] & lapic_lvt_valid[i];
	lapic_load_timer(l, from);
	lapic_update(l);
	lock_release(&l->lock);
	lapic_arm(l);
	lapic_wake(l, atomic_load(&l->ready));
}

static const struct lapic_ops lapic_model_ops = {
	.accept = lapic_accept,
	.pending = lapic_pending,
	.get_tpr = lapic_get_tpr,
	.set_tpr = lapic_set_tpr,
	.msr_read = lapic_msr_read,
	.msr_write = lapic_msr_write,
	.reset = lapic_reset_one,
	.timer = lapic_alarm,
	.save = lapic_save,
	.load = lapic_load,
};

/* ---- Pins ---- */

static void lapic_lint0_set(void *opaque, int n, int level)
{
	struct lapics *s = opaque;
	struct lapic *l = &s->apic[0];
	bool rising, wake = false;
	u32 lvt;

	lock_acquire(&l->lock);
	rising = level && !l->lint0;
	l->lint0 = level;
	lvt = l->lvt[LVT_LINT0];
	if (rising && !(lvt & LVT_MASKED) && lapic_hw_enabled(l) &&
	    LVT_MODE(lvt) == DELIVER_FIXED)
		lapic_request(l, lvt & 0xff, false);
	wake = lapic_update(l);
	lock_release(&l->lock);
	if (rising && !(lvt & LVT_MASKED) && LVT_MODE(lvt) == DELIVER_NMI)
		vcpu_nmi(l->v);
	lapic_wake(l, wake);
}

struct irq lapic_lint0(struct device *dev)
{
	return (struct irq){ lapic_lint0_set, dev, 0 };
}

void lapic_lint1(struct vcpu *v)
{
	struct lapic *l = lapic_of(v);
	bool nmi, wake;
	u32 lvt;

	if (!l) {
		vcpu_nmi(v);
		return;
	}
	lock_acquire(&l->lock);
	lvt = l->lvt[LVT_LINT1];
	/* Without a LAPIC the pin is the processor's NMI. */
	nmi = !lapic_hw_enabled(l) ||
	      (!(lvt & LVT_MASKED) && LVT_MODE(lvt) == DELIVER_NMI);
	if (!nmi && !(lvt & LVT_MASKED) && LVT_MODE(lvt) == DELIVER_FIXED)
		lapic_request(l, lvt & 0xff, false);
	wake = lapic_update(l);
	lock_release(&l->lock);
	if (nmi)
		vcpu_nmi(v);
	lapic_wake(l, wake);
}

/* Who masks LINT1 sees no NMI. */
static void lapic_nmi_kernel(struct vcpu *v, void *arg)
{
	const struct cpu_state *c = vcpu_cpu(v);

	if (!(c->apic_base & APICBASE_ENABLE) ||
	    !(c->lapic.regs[APIC_LVT + LVT_LINT1] & LVT_MASKED))
		vcpu_nmi(v);
}

void lapic_press_nmi(struct machine *m)
{
	for (int i = 0; i < m->nvcpus; i++) {
		struct vcpu *v = vcpu_plugged(m, i);

		if (v && m->lapic)
			lapic_lint1(v);
		else if (v)
			vcpu_run_on(v, lapic_nmi_kernel, NULL);
	}
}

/* ---- info lapic ---- */

static void lapic_info_lvt(const char *name, u32 lvt, bool timer,
			   struct buf *out)
{
	static const char *const delivery[] = {
		"Fixed", "...", "SMI", "...", "NMI", "INIT", "...", "ExtINT"
	};
	const char *mode = "";

	if (timer)
		mode = (lvt & LVT_TIMER_MODE) == TIMER_PERIODIC ? "periodic"
		       : (lvt & LVT_TIMER_MODE) == TIMER_DEADLINE
			       ? "tsc-deadline"
			       : "one-shot";
	buf_printf(out, "%s\t 0x%08x %s %-5s %-6s %-7s %-12s %-6s", name, lvt,
		   lvt & 0x2000 ? "active-lo" : "active-hi",
		   lvt & 0x8000 ? "level" : "edge",
		   lvt & LVT_MASKED ? "masked" : "",
		   lvt & 0x1000 ? "pending" : "", mode,
		   delivery[timer ? 0 : LVT_MODE(lvt)]);
	if (timer || LVT_MODE(lvt) != DELIVER_NMI)
		buf_printf(out, " (vec %u)", lvt & 0xff);
	buf_putc(out, '\n');
}

static void lapic_info_mask(u32 mask, int bits, struct buf *out)
{
	while (bits--)
		buf_putc(out, mask >> bits & 1 ? '1' : '0');
}

static void lapic_info_icr(const struct cpu_lapic *a, bool x2, struct buf *out)
{
	static const char *const shorthand[] = { "no-shorthand", "self",
						 "all-self", "all" };
	u32 icr = a->regs[APIC_ICR], icr2 = a->regs[APIC_ICR2];
	u32 dest = x2 ? icr2 : icr2 >> 24;

	buf_printf(out, "ICR\t 0x%08x %s %s %s %s\n", icr,
		   icr & ICR_LOGICAL ? "logical" : "physical",
		   icr & ICR_TRIGGER ? "level" : "edge",
		   icr & ICR_LEVEL ? "assert" : "de-assert",
		   shorthand[icr >> 18 & 3]);
	buf_printf(out, "ICR2\t 0x%08x", icr2);
	if (icr & ICR_SHORTHAND) {
		buf_putc(out, '\n');
	} else if (!(icr & ICR_LOGICAL)) {
		buf_printf(out, " cpu %u (%sAPIC ID)\n", dest, x2 ? "X2" : "");
	} else if (x2) {
		buf_printf(out, " cluster %u mask ", dest >> 16);
		lapic_info_mask(dest & 0xffff, 16, out);
		buf_puts(out, " (X2APIC ID)\n");
	} else if (a->regs[APIC_DFR] >> 28 == 0xf) {
		buf_puts(out, " mask ");
		lapic_info_mask(dest, 8, out);
		buf_puts(out, " (APIC ID)\n");
	} else {
		buf_printf(out, " cluster %u mask ", dest >> 4);
		lapic_info_mask(dest & 0xf, 4, out);
		buf_puts(out, " (APIC ID)\n");
	}
}

static void lapic_info_vectors(const char *name, const u32 *bits,
			       const u32 *tmr, struct buf *out)
{
	bool any = false;

	buf_printf(out, "%s\t ", name);
	for (u32 n = 0; n < 256; n++) {
		if (!lapic_bit(bits, n))
			continue;
		any = true;
		buf_printf(out, "%u%s ", n, lapic_bit(tmr, n) ? "(level)" : "");
	}
	buf_puts(out, any ? "\n" : "(none)\n");
}

void lapic_info(struct vcpu *v, struct buf *out)
{
	const struct cpu_lapic *a = &v->cpu.lapic;
	const u32 *regs = a->regs;
	u32 code, divisor;
	bool x2;

	if (v->lapic)
		lapic_save(v);
	x2 = v->cpu.apic_base & APICBASE_X2APIC;
	code = (regs[APIC_TMDCR] & 3) | (regs[APIC_TMDCR] >> 1 & 4);
	divisor = code == 7 ? 1 : 2u << code;
	buf_printf(out, "dumping local APIC state for CPU %-2d\n\n", v->index);
	lapic_info_lvt("LVT0", regs[APIC_LVT + LVT_LINT0], false, out);
	lapic_info_lvt("LVT1", regs[APIC_LVT + LVT_LINT1], false, out);
	lapic_info_lvt("LVTPC", regs[APIC_LVT + LVT_PERF], false, out);
	lapic_info_lvt("LVTERR", regs[APIC_LVT + LVT_ERROR], false, out);
	lapic_info_lvt("LVTTHMR", regs[APIC_LVT + LVT_THERMAL], false, out);
	lapic_info_lvt("LVTT", regs[APIC_LVT + LVT_TIMER], true, out);
	buf_printf(out,
		   "Timer\t DCR=0x%x (divide by %u) initial_count = %u "
		   "current_count = %u\n",
		   regs[APIC_TMDCR], divisor, regs[APIC_TMICT],
		   regs[APIC_TMCCT]);
	buf_printf(out, "SPIV\t 0x%08x APIC %s, focus=%s, spurious vec %u\n",
		   regs[APIC_SVR],
		   regs[APIC_SVR] & SVR_ENABLE ? "enabled" : "disabled",
		   regs[APIC_SVR] & 0x200 ? "on" : "off",
		   regs[APIC_SVR] & 0xff);
	lapic_info_icr(a, x2, out);
	buf_printf(out, "ESR\t 0x%08x\n", regs[APIC_ESR]);
	lapic_info_vectors("ISR", &regs[APIC_ISR], &regs[APIC_TMR], out);
	lapic_info_vectors("IRR", &regs[APIC_IRR], &regs[APIC_TMR], out);
	buf_printf(out, "\nAPR 0x%02x TPR 0x%02x DFR 0x%02x LDR 0x%02x",
		   v->apic_id, regs[APIC_TPR], regs[APIC_DFR] >> 28,
		   x2 ? regs[APIC_LDR] : regs[APIC_LDR] >> 24);
	buf_printf(out, " PPR 0x%02x\n", regs[APIC_PPR]);
}

/* ---- The device ---- */

static int lapic_init(struct device *dev, struct err *err)
{
	struct lapics *s = (struct lapics *)dev;
	struct machine *m = dev->m;

	if (!m->nvcpus)
		return err_set(err, -EINVAL, "no vCPU has been created");
	s->count = m->nvcpus;
	s->page_at = LAPIC_BASE;
	s->apic = xcalloc(s->count, sizeof *s->apic);
	for (int i = 0; i < s->count; i++) {
		struct lapic *l = &s->apic[i];

		l->v = m->vcpus[i];
		l->owner = s;
		l->armed_ns = LAPIC_NEVER;
		lock_init(&l->lock);
		vtimer_init(&l->timer, m, lapic_vtimer, l);
		l->v->lapic = l;
		lapic_reset_one(l->v, false);
	}
	s->page.priority = LAPIC_PRIORITY;
	region_map(&s->page, &m->memory, "apic-msi", LAPIC_BASE, 0x1000,
		   &lapic_page_ops, s);
	m->lapic = &lapic_model_ops;
	m->msi_deliver = lapic_deliver_msi;
	return 0;
}

static void lapic_fini(struct device *dev)
{
	struct lapics *s = (struct lapics *)dev;

	region_unmap(&s->page);
	if (dev->m->lapic == &lapic_model_ops) {
		dev->m->lapic = NULL;
		dev->m->msi_deliver = NULL;
	}
	for (int i = 0; s->apic && i < s->count; i++) {
		vtimer_cancel(&s->apic[i].timer);
		lock_fini(&s->apic[i].lock);
	}
	for (int i = 0; i < dev->m->nvcpus; i++) /* none are left at exit */
		if (dev->m->vcpus[i])
			dev->m->vcpus[i]->lapic = NULL;
	free(s->apic);
}

static void lapic_qtree(struct device *dev, struct buf *out)
{
	buf_printf(out, "mmio %016llx/%016llx\n",
		   (unsigned long long)LAPIC_BASE, 0x1000ull);
}

/* The registers travel with the vCPUs, so there is no state table, and
 * vCPUs reset their LAPIC themselves. */
const struct device_class lapic_class = {
	.name = "apic",
	.desc = "local APICs",
	.bus = BUS_SYSTEM,
	.size = sizeof(struct lapics),
	.init = lapic_init,
	.fini = lapic_fini,
	.info = lapic_qtree,
};
