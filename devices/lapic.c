/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Local APICs of all vCPUs: the device, its page and registers, pins, reset,
 * saving.
 *
 * Interrupts reach a LAPIC from any thread: each has a leaf lock, and
 * `ready` tells its vCPU without the lock whether accept() has something.
 *
 * Deviation: all share one page, which is where the last of them has moved it.
 * Spec: SDM 3A "Advanced Programmable Interrupt Controller (APIC)".
 * Locking: machine_lock, then one `lock` at a time; no callback under it.
 */
#include "devices/lapic.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "devices/pc.h"
#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/log.h"
#include "vmm/machine.h"

#define LAPIC_PRIORITY 100 /* no BAR hides it */

bool lapic_big_lock(void)
{
	if (lock_held(&machine_lock))
		return false;
	lock_acquire(&machine_lock);
	return true;
}

void lapic_big_unlock(bool taken)
{
	if (taken)
		lock_release(&machine_lock);
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

bool lapic_read_reg(struct lapic *l, u32 reg, u32 *ret)
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

bool lapic_write_local(struct lapic *l, u32 reg, u32 value)
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

void lapic_clear(struct lapic *l)
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

void lapic_save(struct vcpu *v)
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

u32 lapic_x2_ldr(const struct lapic *l)
{
	return l->v->apic_id >> 4 << 16 | 1u << (l->v->apic_id & 15);
}

void lapic_move_page(struct lapic *l, u64 base) NO_TSA
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
