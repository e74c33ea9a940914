/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Task state segments: stacks of inner levels, the I/O permission bitmap and
 * hardware task switches between 16- and 32-bit tasks.
 *
 * Spec: SDM 3A "Task Management".
 */
#include "tcg/seg.h"

#include <string.h>

#include "vmm/machine.h"

/* ---- What other transfers need of the TSS ---- */

static bool tss_is_32(const struct cpu_segment *tr)
{
	return tr->attr & 8;
}

void tss_stack(struct tcg_cpu *c, int cpl, u16 *ret_ss, u32 *ret_sp)
{
	const struct cpu_segment *tr = &c->s->tr;
	bool wide = tss_is_32(tr);
	u32 at = wide ? 4 + cpl * 8 : 2 + cpl * 4;

	if (at + (wide ? 5 : 3) > tr->limit)
		seg_raise(c, EXC_TS, tr->sel);
	if (wide) {
		*ret_sp = tcg_ld32_mmu(c, tr->base + at, MMU_KERNEL);
		*ret_ss = tcg_ld16_mmu(c, tr->base + at + 4, MMU_KERNEL);
	} else {
		*ret_sp = tcg_ld16_mmu(c, tr->base + at, MMU_KERNEL);
		*ret_ss = tcg_ld16_mmu(c, tr->base + at + 2, MMU_KERNEL);
	}
}

u64 tss_rsp(struct tcg_cpu *c, int slot)
{
	const struct cpu_segment *tr = &c->s->tr;
	u32 at = 4 + slot * 8;
	u64 rsp;

	if (at + 7 > tr->limit)
		seg_raise(c, EXC_TS, tr->sel);
	rsp = tcg_ld64_mmu(c, tr->base + at, MMU_KERNEL);
	if (!canonical(rsp))
		seg_raise(c, EXC_SS, 0);
	return rsp;
}

bool tss_io_allowed(struct tcg_cpu *c, u16 port, int size)
{
	const struct cpu_segment *tr = &c->s->tr;
	u32 at, mask = ((1u << size) - 1) << (port & 7);

	/* A 16-bit TSS has no bitmap. */
	if (!(tr->attr & SEG_ATTR_P) || !tss_is_32(tr) || tr->limit < 0x67)
		return false;
	at = tcg_ld16_mmu(c, tr->base + 0x66, MMU_KERNEL) + port / 8;
	/* Two bytes are always read. */
	if (at + 1 > tr->limit)
		return false;
	return !(tcg_ld16_mmu(c, tr->base + at, MMU_KERNEL) & mask);
}

/* ---- Task switch ---- */

#define TSS_LEN_16 0x2b /* smallest limits */
#define TSS_LEN_32 0x67

/* The registers that a TSS holds, either width. */
struct task_state {
	u32 cr3, rip, eflags, gpr[8];
	u16 seg[SEG_COUNT], ldt;
	bool trap;
};

static const u8 task_segs[] = {
	SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS
};

static void task_read(struct tcg_cpu *c, gva_t base, bool wide,
		      struct task_state *t)
{
	memset(t, 0, sizeof *t);
	if (!wide) {
		t->rip = tcg_ld16_mmu(c, base + 0x0e, MMU_KERNEL);
		t->eflags = tcg_ld16_mmu(c, base + 0x10, MMU_KERNEL);
		for (u32 i = 0; i < 8; i++)
			t->gpr[i] = tcg_ld16_mmu(c, base + 0x12 + i * 2,
						 MMU_KERNEL) |
				    0xffff0000;
		for (u32 i = 0; i < 4; i++)
			t->seg[i] = tcg_ld16_mmu(c, base + 0x22 + i * 2,
						 MMU_KERNEL);
		t->ldt = tcg_ld16_mmu(c, base + 0x2a, MMU_KERNEL);
		return;
	}
	t->cr3 = tcg_ld32_mmu(c, base + 0x1c, MMU_KERNEL);
	t->rip = tcg_ld32_mmu(c, base + 0x20, MMU_KERNEL);
	t->eflags = tcg_ld32_mmu(c, base + 0x24, MMU_KERNEL);
	for (u32 i = 0; i < 8; i++)
		t->gpr[i] = tcg_ld32_mmu(c, base + 0x28 + i * 4, MMU_KERNEL);
	for (u32 i = 0; i < SEG_COUNT; i++)
		t->seg[i] = tcg_ld16_mmu(c, base + 0x48 + i * 4, MMU_KERNEL);
	t->ldt = tcg_ld16_mmu(c, base + 0x60, MMU_KERNEL);
	t->trap = tcg_ld16_mmu(c, base + 0x64, MMU_KERNEL) & 1;
}

static void task_write(struct tcg_cpu *c, u32 flags)
{
	gva_t base = c->s->tr.base;

	if (!tss_is_32(&c->s->tr)) {
		tcg_st16_mmu(c, base + 0x0e, c->rip, MMU_KERNEL);
		tcg_st16_mmu(c, base + 0x10, flags, MMU_KERNEL);
		for (u32 i = 0; i < 8; i++)
			tcg_st16_mmu(c, base + 0x12 + i * 2, c->gpr[i],
				     MMU_KERNEL);
		for (u32 i = 0; i < 4; i++)
			tcg_st16_mmu(c, base + 0x22 + i * 2, c->s->seg[i].sel,
				     MMU_KERNEL);
		return;
	}
	tcg_st32_mmu(c, base + 0x20, c->rip, MMU_KERNEL);
	tcg_st32_mmu(c, base + 0x24, flags, MMU_KERNEL);
	for (u32 i = 0; i < 8; i++)
		tcg_st32_mmu(c, base + 0x28 + i * 4, c->gpr[i], MMU_KERNEL);
	for (u32 i = 0; i < SEG_COUNT; i++)
		tcg_st16_mmu(c, base + 0x48 + i * 4, c->s->seg[i].sel,
			     MMU_KERNEL);
}

static void task_set_busy(struct tcg_cpu *c, u16 sel, bool busy)
{
	gva_t at = c->s->gdt.base + (sel & ~7u) + 5;
	u8 type = tcg_ld8_mmu(c, at, MMU_KERNEL);

	tcg_st8_mmu(c, at, busy ? type | 2 : type & ~2, MMU_KERNEL);
}

static void task_load_ldt(struct tcg_cpu *c, u16 sel)
{
	u64 d;

	memset(&c->s->ldt, 0, sizeof c->s->ldt);
	c->s->ldt.sel = sel;
	if (SEL_NULL(sel))
		return;
	if ((sel & 4) || !seg_read(c, sel, &d) || desc_type(d) != SYS_LDT ||
	    !desc_present(d))
		seg_raise(c, EXC_TS, sel);
	c->s->ldt = seg_unpack(sel, d);
}

static void task_load_cs(struct tcg_cpu *c, u16 sel)
{
	int cpl = SEL_RPL(sel);
	u64 d;

	if (SEL_NULL(sel))
		seg_raise(c, EXC_TS, sel);
	d = seg_get(c, sel, EXC_TS);
	if (!desc_is_code(d) ||
	    (desc_is_conforming(d) ? desc_dpl(d) > cpl : desc_dpl(d) != cpl))
		seg_raise(c, EXC_TS, sel);
	if (!desc_present(d))
		seg_raise(c, EXC_NP, sel);
	seg_set_accessed(c, sel, &d);
	seg_set_cs(c, sel, d, cpl);
}

static void task_load_ss(struct tcg_cpu *c, u16 sel, int cpl)
{
	struct cpu_segment s;
	u64 d;

	if (SEL_NULL(sel))
		seg_raise(c, EXC_TS, sel);
	d = seg_check_ss(c, sel, cpl, EXC_TS);
	seg_set_accessed(c, sel, &d);
	s = seg_unpack(sel, d);
	seg_set(c, SEG_SS, &s);
}

static void task_load_data(struct tcg_cpu *c, int seg, u16 sel, int cpl)
{
	struct cpu_segment s;
	int type;
	u64 d;

	if (SEL_NULL(sel))
		return;
	d = seg_get(c, sel, EXC_TS);
	type = desc_type(d);
	if (!(type & 0x10) || (type & 0x0a) == 0x08)
		seg_raise(c, EXC_TS, sel);
	if ((type & 0x0c) != 0x0c &&
	    (desc_dpl(d) < SEL_RPL(sel) || desc_dpl(d) < cpl))
		seg_raise(c, EXC_TS, sel);
	if (!desc_present(d))
		seg_raise(c, EXC_NP, sel);
	seg_set_accessed(c, sel, &d);
	s = seg_unpack(sel, d);
	seg_set(c, seg, &s);
}

/* The commit point is behind us: faults belong to the new task. */
static void task_load_segments(struct tcg_cpu *c, const struct task_state *t)
{
	int cpl = SEL_RPL(t->seg[SEG_CS]);

	task_load_ldt(c, t->ldt);
	if (c->eflags & RFLAGS_VM) {
		for (u32 i = 0; i < ARRAY_SIZE(task_segs); i++)
			seg_set_real(c, task_segs[i], t->seg[task_segs[i]]);
		return;
	}
	task_load_cs(c, t->seg[SEG_CS]);
	task_load_ss(c, t->seg[SEG_SS], cpl);
	task_load_data(c, SEG_ES, t->seg[SEG_ES], cpl);
	task_load_data(c, SEG_DS, t->seg[SEG_DS], cpl);
	task_load_data(c, SEG_FS, t->seg[SEG_FS], cpl);
	task_load_data(c, SEG_GS, t->seg[SEG_GS], cpl);
}

static void task_load_registers(struct tcg_cpu *c, const struct task_state *t,
				u16 sel, u64 d, bool wide)
{
	c->s->tr = seg_unpack(sel, d);
	c->s->tr.attr |= 2; /* busy */
	c->s->cr0 |= CR0_TS;
	if (wide && (c->s->cr0 & CR0_PG) && t->cr3 != c->s->cr3) {
		c->s->cr3 = t->cr3;
		tcg_tlb_flush(c, false);
	}
	c->rip = t->rip;
	for (u32 i = 0; i < 8; i++)
		c->gpr[i] = t->gpr[i];
	/* Until each is loaded, the selector is there but cannot be used. */
	for (u32 i = 0; i < SEG_COUNT; i++) {
		u16 dpl = SEL_RPL(t->seg[SEG_CS]) << 5;
		struct cpu_segment s = { .sel = t->seg[i],
					 .attr = i == SEG_SS ? dpl : 0 };

		seg_set(c, i, &s);
	}
	tcg_set_rflags(c, t->eflags | RFLAGS_FIXED, wide ? 0x3f7fd7 : 0x7fd7);
	if (!wide)
		c->eflags &= 0xffff;
	c->s->dr[7] &= ~0x155ULL; /* L0-L3, LE */
}

void task_switch(struct tcg_cpu *c, u16 sel, u64 d, enum task_reason why,
		 bool has_code, u32 code)
{
	bool wide = desc_type(d) & 8;
	bool nest = why == TASK_CALL || why == TASK_GATE_INT;
	u16 old = c->s->tr.sel;
	struct task_state t;
	struct seg_stack k;
	u32 flags;

	if (desc_limit(d) < (wide ? TSS_LEN_32 : TSS_LEN_16))
		seg_raise(c, EXC_TS, sel);
	task_read(c, desc_base(d), wide, &t);
	tcg_probe_write(c, c->s->tr.base, tss_is_32(&c->s->tr) ? 0x68 : 0x2c,
			MMU_KERNEL);
	/* A fault raised from here on points at the new task. */
	if (why == TASK_JUMP || why == TASK_IRET)
		task_set_busy(c, old, false);
	flags = tcg_rflags(c);
	if (why == TASK_IRET)
		flags &= ~RFLAGS_NT;
	task_write(c, flags);
	if (nest) {
		tcg_st16_mmu(c, desc_base(d), old, MMU_KERNEL);
		t.eflags |= RFLAGS_NT;
	}
	if (why != TASK_IRET)
		task_set_busy(c, sel, true);
	c->ip = NULL;
	task_load_registers(c, &t, sel, d, wide);
	tcg_mode_changed(c);
	task_load_segments(c, &t);
	tcg_mode_changed(c);
	if (has_code) {
		stack_current(c, &k);
		stack_push(c, &k, code, wide ? 4 : 2);
		stack_commit_sp(c, k.sp, k.mask);
	}
	if (t.trap)
		tcg_debug_trap(c, BIT(15)); /* DR6.BT */
	if (c->rip > c->s->seg[SEG_CS].limit)
		tcg_raise_code(c, EXC_GP, 0);
	if (c->eflags & RFLAGS_IF)
		tcg_irq_opened(c);
}
