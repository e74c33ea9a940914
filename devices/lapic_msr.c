/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Local APICs: model-specific registers: the APIC base, the TSC deadline and
 * x2APIC's registers.
 *
 * Spec: SDM 3A "Extended XAPIC (x2APIC)".
 */
#include "devices/lapic.h"

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

bool lapic_msr_read(struct vcpu *v, u32 msr, u64 *ret)
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

bool lapic_msr_write(struct vcpu *v, u32 msr, u64 value)
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
