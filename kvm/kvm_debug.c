/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A debugger's points and steps on KVM: KVM_SET_GUEST_DEBUG.
 *
 * Four points are in the processor's debug registers, which the guest then
 * has no use of but believes to have; software breakpoints are INT3s
 * (vmm/debug.c), and those that are the guest's own are handed back to it.
 *
 * Spec: SDM 3B "Debug Registers"; Linux Documentation/virt/kvm/api.rst.
 */
#include <string.h>

#include "kvm/internal.h"
#include "lib/log.h"

#define DR6_BS     BIT(14)
#define DR7_LE_GE  0x600u
#define DR7_ON(n)  (2u << (2 * (n)))
#define DR7_RW(n)  (16 + 4 * (n))
#define DR7_LEN(n) (18 + 4 * (n))
#define DR7_WRITE  1u
#define DR7_ACCESS 3u

/* The point in debug register `n`, or NULL. */
static const struct debug_point *kvm_hard_point(const struct machine *m, int n)
{
	for (int i = 0; i < m->debug.n; i++)
		if (m->debug.point[i].kind != DEBUG_BREAK_SOFT && !n--)
			return &m->debug.point[i];
	return NULL;
}

static u32 kvm_debug_dr7(const struct debug_point *p, int n)
{
	static const u8 len[9] = { [2] = 1, [4] = 3, [8] = 2 };
	u32 kind = p->kind == DEBUG_WATCH_WRITE ? DR7_WRITE : DR7_ACCESS;

	if (p->kind == DEBUG_BREAK_HARD)
		return DR7_ON(n);
	return DR7_ON(n) | kind << DR7_RW(n) | (u32)len[p->len] << DR7_LEN(n);
}

static void kvm_debug_fill(struct vcpu *v, struct kvm_guest_debug *d)
{
	struct machine *m = v->m;

	for (int n = 0; n < KVM_DEBUG_HARD; n++) {
		const struct debug_point *p = kvm_hard_point(m, n);

		if (!p)
			break;
		d->control |= KVM_GUESTDBG_USE_HW_BP;
		d->arch.debugreg[n] = p->va;
		d->arch.debugreg[7] |= DR7_LE_GE | kvm_debug_dr7(p, n);
	}
	if (m->debug.n)
		d->control |= KVM_GUESTDBG_USE_SW_BP;
	if (v->debug.step)
		d->control |= KVM_GUESTDBG_SINGLESTEP;
	if (v->debug.step && !v->debug.step_irqs && kvm_of(m)->has_block_irq)
		d->control |= KVM_GUESTDBG_BLOCKIRQ;
	if (d->control)
		d->control |= KVM_GUESTDBG_ENABLE;
}

static bool kvm_debug_set(struct vcpu *v, const struct kvm_guest_debug *d)
{
	struct kvm_vcpu *kv = v->accel;
	int r = kvm_ioctl(kv->fd, KVM_SET_GUEST_DEBUG, (void *)d);

	if (r < 0)
		log_warn("vCPU %d: KVM_SET_GUEST_DEBUG: %s", v->index,
			 strerror(-r));
	return r >= 0;
}

void kvm_debug_begin(struct vcpu *v)
{
	struct kvm_vcpu *kv = v->accel;
	struct kvm_guest_debug d = { 0 };

	if (likely(!v->m->debug.n && !v->debug.step && !kv->debugged))
		return;
	kvm_debug_fill(v, &d);
	kvm_debug_set(v, &d);
	kv->debugged = d.control;
}

/* The exception is the guest's own. */
static enum vcpu_exit kvm_debug_pass(struct vcpu *v, u32 vector)
{
	struct kvm_guest_debug d = { 0 };

	kvm_debug_fill(v, &d);
	d.control |= vector == EXC_DB ? KVM_GUESTDBG_INJECT_DB
				      : KVM_GUESTDBG_INJECT_BP;
	return kvm_debug_set(v, &d) ? VCPU_EXIT_AGAIN : VCPU_EXIT_ERROR;
}

static enum vcpu_exit kvm_debug_hit(struct vcpu *v, enum debug_why why,
				    const struct debug_point *p)
{
	v->debug.why = why;
	if (p)
		v->debug.hit = *p;
	return VCPU_EXIT_DEBUG;
}

static enum vcpu_exit kvm_debug_int3(struct vcpu *v, u64 pc)
{
	const struct debug_point *p = debug_break_at(&v->m->debug, pc);

	if (p && p->kind == DEBUG_BREAK_SOFT)
		return kvm_debug_hit(v, DEBUG_BROKE, p);
	return kvm_debug_pass(v, EXC_BP);
}

enum vcpu_exit kvm_debug_exit(struct vcpu *v)
{
	struct kvm_vcpu *kv = v->accel;
	const struct kvm_debug_exit_arch *e = &kv->run->debug.arch;
	struct vcpu_debug *d = &v->debug;

	if (e->exception == EXC_BP)
		return kvm_debug_int3(v, e->pc);
	for (int n = 0; n < KVM_DEBUG_HARD; n++) {
		const struct debug_point *p = kvm_hard_point(v->m, n);

		if (p && (e->dr6 & BIT(n)))
			return kvm_debug_hit(v,
					     p->kind == DEBUG_BREAK_HARD
						     ? DEBUG_BROKE
						     : DEBUG_WATCHED,
					     p);
	}
	if (!(e->dr6 & DR6_BS) || !d->step)
		return kvm_debug_pass(v, EXC_DB);
	if (e->pc >= d->range_start && e->pc < d->range_end)
		return VCPU_EXIT_AGAIN;
	return kvm_debug_hit(v, DEBUG_STEPPED, NULL);
}

bool kvm_debug_breaks(struct vcpu *v)
{
	u64 pc = v->cpu.rip;

	if (!cpu_code64(&v->cpu))
		pc = (u32)(pc + v->cpu.seg[SEG_CS].base);
	if (likely(!v->m->debug.n) || !debug_break_at(&v->m->debug, pc))
		return false;
	return kvm_debug_int3(v, pc) == VCPU_EXIT_DEBUG;
}
