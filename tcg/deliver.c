/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Interrupts and exceptions through the IVT or IDT, double and triple faults,
 * debug traps.
 *
 * Spec: SDM 3A "Interrupt and Exception Handling", APM 2 "Exceptions and
 * Interrupts".
 */
#include "tcg/seg.h"

#include <string.h>

#include "lib/log.h"
#include "vmm/machine.h"

struct event {
	u8 vector;
	bool has_code;
	u32 code;
	bool soft;
	bool external;
};

/* #GP, #NP: the gate as error code. */
_Noreturn static void idt_raise(struct tcg_cpu *c, u8 exc, u8 vector)
{
	tcg_raise_code(c, exc, vector * 8u + 2 + c->ext);
}

/* The image of the flags on the stack: RF for faults, SDM 3B "Instruction-
 * Breakpoint Exception Condition". */
static u64 event_flags(struct tcg_cpu *c, const struct event *e)
{
	u64 flags = tcg_rflags(c);

	if (!e->soft && !e->external && e->vector != EXC_DB &&
	    e->vector != EXC_DF && e->vector != EXC_MC)
		flags |= RFLAGS_RF;
	return flags;
}

static u64 event_rip(struct tcg_cpu *c, const struct event *e)
{
	return e->soft ? c->soft_next : c->rip;
}

/* ---- Real mode ---- */

static void deliver_real(struct tcg_cpu *c, const struct event *e)
{
	struct seg_stack k;
	u32 entry;

	if (e->vector * 4u + 3 > c->s->idt.limit)
		idt_raise(c, EXC_GP, e->vector);
	entry = tcg_ld32_mmu(c, c->s->idt.base + e->vector * 4, MMU_KERNEL);
	stack_current(c, &k);
	stack_push(c, &k, tcg_rflags(c), 2);
	stack_push(c, &k, c->s->seg[SEG_CS].sel, 2);
	stack_push(c, &k, event_rip(c, e), 2);
	stack_commit_sp(c, k.sp, k.mask);
	seg_set_real(c, SEG_CS, entry >> 16);
	c->rip = entry & 0xffff;
	c->eflags &= ~(u64)(RFLAGS_IF | RFLAGS_TF | RFLAGS_AC | RFLAGS_RF);
}

/* ---- Protected mode ---- */

/* Checks the gate's code segment; returns the new CPL. */
static int gate_check_cs(struct tcg_cpu *c, u16 sel, u64 *ret)
{
	u64 d;
	int dpl;

	if (SEL_NULL(sel))
		seg_raise(c, EXC_GP, 0);
	d = seg_get(c, sel, EXC_GP);
	dpl = desc_dpl(d);
	if (!desc_is_code(d) || dpl > c->cpl)
		seg_raise(c, EXC_GP, sel);
	if (c->long_mode && (d >> 53 & 3) != 1)
		seg_raise(c, EXC_GP, sel);
	if (!desc_present(d))
		seg_raise(c, EXC_NP, sel);
	if (desc_is_conforming(d))
		dpl = c->cpl;
	/* Out of virtual-8086 mode only level 0 is left. */
	if ((c->eflags & RFLAGS_VM) && dpl != 0)
		seg_raise(c, EXC_GP, sel);
	*ret = d;
	return dpl;
}

static void deliver_commit(struct tcg_cpu *c, u16 sel, u64 d, int cpl, u64 rip,
			   bool interrupt_gate)
{
	seg_set_accessed(c, sel, &d);
	c->eflags &= ~(u64)(RFLAGS_TF | RFLAGS_NT | RFLAGS_RF | RFLAGS_VM);
	if (interrupt_gate)
		c->eflags &= ~(u64)RFLAGS_IF;
	seg_set_cs(c, sel, d, cpl);
	c->rip = rip;
}

static void deliver_task(struct tcg_cpu *c, const struct event *e, u64 gate)
{
	u16 sel = gate_sel(gate);
	u64 d;

	if (sel & 4)
		seg_raise(c, EXC_GP, sel);
	d = seg_get(c, sel, EXC_GP);
	if (desc_type(d) != SYS_TSS_AVAIL && desc_type(d) != SYS_TSS16_AVAIL)
		seg_raise(c, EXC_GP, sel);
	if (!desc_present(d))
		seg_raise(c, EXC_NP, sel);
	c->rip = event_rip(c, e);
	task_switch(c, sel, d, TASK_GATE_INT, e->has_code, e->code);
}

static void deliver_push_v86(struct tcg_cpu *c, struct seg_stack *k, int size)
{
	static const u8 order[] = { SEG_GS, SEG_FS, SEG_DS, SEG_ES };

	for (u32 i = 0; i < ARRAY_SIZE(order); i++)
		stack_push(c, k, c->s->seg[order[i]].sel, size);
}

static void deliver_protected(struct tcg_cpu *c, const struct event *e)
{
	bool v86 = c->eflags & RFLAGS_VM;
	u64 gate, d, ssd = 0, rip;
	struct seg_stack k;
	int type, cpl, size;
	u16 ss = 0;
	u32 sp;

	if (e->vector * 8u + 7 > c->s->idt.limit)
		idt_raise(c, EXC_GP, e->vector);
	gate = tcg_ld64_mmu(c, c->s->idt.base + e->vector * 8, MMU_KERNEL);
	type = desc_type(gate);
	if (type != SYS_TASK && type != SYS_INT && type != SYS_TRAP &&
	    type != SYS_INT16 && type != SYS_TRAP16)
		idt_raise(c, EXC_GP, e->vector);
	if (e->soft && desc_dpl(gate) < c->cpl)
		idt_raise(c, EXC_GP, e->vector);
	if (!desc_present(gate))
		idt_raise(c, EXC_NP, e->vector);
	if (type == SYS_TASK) {
		deliver_task(c, e, gate);
		return;
	}
	size = type & 8 ? 4 : 2;
	rip = size == 4 ? gate_offset(gate) : gate & 0xffff;
	cpl = gate_check_cs(c, gate_sel(gate), &d);
	if (cpl < c->cpl) {
		tss_stack(c, cpl, &ss, &sp);
		if (SEL_NULL(ss))
			seg_raise(c, EXC_TS, 0);
		ssd = seg_check_ss(c, ss, cpl, EXC_TS);
		stack_of(c, &k, ss, ssd, sp, cpl);
		if (v86)
			deliver_push_v86(c, &k, size);
		stack_push(c, &k, c->s->seg[SEG_SS].sel, size);
		stack_push(c, &k, c->gpr[REG_RSP], size);
	} else {
		stack_current(c, &k);
	}
	stack_push(c, &k, event_flags(c, e), size);
	stack_push(c, &k, c->s->seg[SEG_CS].sel, size);
	stack_push(c, &k, event_rip(c, e), size);
	if (e->has_code)
		stack_push(c, &k, e->code, size);
	seg_check_rip(c, rip, d);
	if (cpl < c->cpl) {
		struct cpu_segment s;

		seg_set_accessed(c, ss, &ssd);
		s = seg_unpack(ss, ssd);
		deliver_commit(c, gate_sel(gate), d, cpl, rip, !(type & 1));
		seg_set(c, SEG_SS, &s);
		if (v86) {
			seg_set_null(c, SEG_ES, 0);
			seg_set_null(c, SEG_DS, 0);
			seg_set_null(c, SEG_FS, 0);
			seg_set_null(c, SEG_GS, 0);
		}
	} else {
		deliver_commit(c, gate_sel(gate), d, cpl, rip, !(type & 1));
	}
	stack_commit_sp(c, k.sp, k.mask);
}

/* ---- Long mode ---- */

static void deliver_long(struct tcg_cpu *c, const struct event *e)
{
	gva_t at = c->s->idt.base + e->vector * 16;
	struct seg_stack k = { .flat = true, .mask = UINT64_MAX };
	u64 gate, d, rip;
	int type, cpl, ist;

	if (e->vector * 16u + 15 > c->s->idt.limit)
		idt_raise(c, EXC_GP, e->vector);
	gate = tcg_ld64_mmu(c, at, MMU_KERNEL);
	type = desc_type(gate);
	if (type != SYS_INT && type != SYS_TRAP)
		idt_raise(c, EXC_GP, e->vector);
	if (e->soft && desc_dpl(gate) < c->cpl)
		idt_raise(c, EXC_GP, e->vector);
	if (!desc_present(gate))
		idt_raise(c, EXC_NP, e->vector);
	rip = gate_offset(gate) | tcg_ld64_mmu(c, at + 8, MMU_KERNEL) << 32;
	cpl = gate_check_cs(c, gate_sel(gate), &d);
	ist = gate >> 32 & 7;
	if (ist)
		k.sp = tss_rsp(c, 3 + ist);
	else if (cpl < c->cpl)
		k.sp = tss_rsp(c, cpl);
	else
		k.sp = c->gpr[REG_RSP];
	k.sp &= ~15ULL;
	k.mmu = seg_mmu(c, cpl);
	stack_push(c, &k, c->s->seg[SEG_SS].sel, 8);
	stack_push(c, &k, c->gpr[REG_RSP], 8);
	stack_push(c, &k, event_flags(c, e), 8);
	stack_push(c, &k, c->s->seg[SEG_CS].sel, 8);
	stack_push(c, &k, event_rip(c, e), 8);
	if (e->has_code)
		stack_push(c, &k, e->code, 8);
	if (!canonical(rip))
		seg_raise(c, EXC_GP, 0);
	if (cpl < c->cpl)
		seg_set_null(c, SEG_SS, cpl);
	c->gpr[REG_RSP] = k.sp;
	deliver_commit(c, gate_sel(gate), d, cpl, rip, type == SYS_INT);
}

/* ---- Nested faults ---- */

enum event_class { CLASS_BENIGN, CLASS_CONTRIBUTORY, CLASS_PF, CLASS_DF };

/* SDM 3A table "Interrupt and Exception Classes". */
static enum event_class event_classify(const struct event *e)
{
	if (e->soft || e->external)
		return CLASS_BENIGN;
	switch (e->vector) {
	case EXC_DF: return CLASS_DF;
	case EXC_PF: return CLASS_PF;
	case EXC_DE:
	case EXC_TS:
	case EXC_NP:
	case EXC_SS:
	case EXC_GP: return CLASS_CONTRIBUTORY;
	default: return CLASS_BENIGN;
	}
}

/* The exception in c->exc came up while `e` was being delivered: makes `e`
 * what to deliver now; false: triple fault. */
static bool event_combine(struct tcg_cpu *c, struct event *e)
{
	enum event_class first = event_classify(e), second;

	if (first == CLASS_DF)
		return false;
	*e = (struct event){
		.vector = c->exc.vector,
		.has_code = c->exc.has_code,
		.code = c->exc.code,
	};
	second = event_classify(e);
	if ((first == CLASS_CONTRIBUTORY && second == CLASS_CONTRIBUTORY) ||
	    (first == CLASS_PF && second != CLASS_BENIGN))
		*e = (struct event){ .vector = EXC_DF, .has_code = true };
	return true;
}

static void deliver_one(struct tcg_cpu *c, const struct event *e)
{
	c->ext = e->soft ? 0 : 1;
	if (e->vector == EXC_DB && !e->soft && !e->external)
		c->s->dr[7] &= ~0x2000ULL; /* GD */
	if (!(c->s->cr0 & CR0_PE))
		deliver_real(c, e);
	else if (c->long_mode)
		deliver_long(c, e);
	else
		deliver_protected(c, e);
	tcg_mode_changed(c);
}

/* A line as QEMU's, so that what reads those can read these. */
static void deliver_log(struct tcg_cpu *c, const struct event *e)
{
	bool pf = e->vector == EXC_PF && !e->external && !e->soft;

	if (e->external)
		log_write(LOG_INT, "Servicing hardware INT=0x%02x", e->vector);
	log_write(LOG_INT,
		  "%6llu: v=%02x e=%04x i=%d cpl=%d IP=%04x:%016llx "
		  "pc=%016llx SP=%04x:%016llx %s=%016llx",
		  (unsigned long long)c->delivered, e->vector, e->code, e->soft,
		  c->cpl, c->s->seg[SEG_CS].sel, (unsigned long long)c->rip,
		  (unsigned long long)(c->s->seg[SEG_CS].base + c->rip),
		  c->s->seg[SEG_SS].sel, (unsigned long long)c->gpr[REG_RSP],
		  pf ? "CR2" : "env->regs[R_EAX]",
		  (unsigned long long)(pf ? c->s->cr2 : c->gpr[REG_RAX]));
}

/* Delivers `e` or what comes of it; false: triple fault. */
static bool deliver_event(struct tcg_cpu *c, struct event *e)
{
	if (sigsetjmp(c->unwind, 0) && !event_combine(c, e))
		return false;
	if (unlikely(log_on(LOG_INT)))
		deliver_log(c, e);
	c->delivered++;
	deliver_one(c, e);
	return true;
}

enum vcpu_exit tcg_deliver(struct tcg_cpu *c, u8 vector, bool has_code,
			   u32 code, bool soft, bool external)
{
	struct event e = {
		.vector = vector,
		.has_code = has_code,
		.code = code,
		.soft = soft,
		.external = external,
	};
	sigjmp_buf outer;
	bool alive;

	memcpy(outer, c->unwind, sizeof outer);
	c->ip = NULL;
	c->step_tf = false;
	c->shadow = SHADOW_NONE;
	c->after_ss = false;
	alive = deliver_event(c, &e);
	memcpy(c->unwind, outer, sizeof outer);
	c->ext = 0;
	if (alive)
		return VCPU_EXIT_AGAIN;
	log_item(LOG_INT, "cpu %d triple fault at %x:%016llx", c->v->index,
		 c->s->seg[SEG_CS].sel, (unsigned long long)c->rip);
	return VCPU_EXIT_SHUTDOWN;
}

/* ---- Debug exceptions ---- */

#define DR7_LE_GE 0xff

/* An enabled execution breakpoint (type 0) at `va`. */
static u32 debug_code_hits(const struct tcg_cpu *c, gva_t va)
{
	u64 dr7 = c->s->dr[7];
	u32 hit = 0;

	for (int n = 0; n < 4; n++)
		if ((dr7 >> (2 * n) & 3) && !(dr7 >> (16 + 4 * n) & 3) &&
		    c->s->dr[n] == va)
			hit |= 1u << n;
	return hit;
}

void tcg_step_begin(struct tcg_cpu *c)
{
	u32 hit;

	c->step_tf = c->eflags & RFLAGS_TF;
	if ((c->eflags & RFLAGS_RF) || !(c->s->dr[7] & DR7_LE_GE))
		return;
	if (c->after_ss && !(c->mode_key & MODE_AMD))
		return;
	hit = debug_code_hits(
		c, c->code64 ? c->rip : (u32)(c->s->seg[SEG_CS].base + c->rip));
	if (hit) {
		c->s->dr[6] = (c->s->dr[6] & ~15ULL) | hit;
		tcg_raise(c, EXC_DB);
	}
}

void tcg_step_end(struct tcg_cpu *c)
{
	if (!c->step_keep_rf)
		c->eflags &= ~(u64)RFLAGS_RF;
	c->step_keep_rf = false;
	if (c->step_tf && c->shadow != SHADOW_SS)
		tcg_debug_trap(c, DR6_BS);
	c->step_tf = false;
}

void tcg_debug_trap(struct tcg_cpu *c, u32 dr6)
{
	c->db_pending |= dr6;
	c->end_block = true;
	atomic_fetch_or_explicit(&c->v->request, VCPU_REQ_POLL,
				 memory_order_relaxed);
}
