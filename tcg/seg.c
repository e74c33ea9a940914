/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Segment registers, far transfers and the stack.
 *
 * Each transfer reads and checks everything first and commits at the end, so
 * that a fault leaves the state as it was.
 *
 * Spec: SDM 3A "Protection", SDM 2 JMP, CALL, RET, IRET, MOV, POP.
 */
#include "tcg/seg.h"

#include "vmm/machine.h"

/* ---- Exceptions ---- */

static void seg_unwind(struct tcg_cpu *c)
{
	if (c->exclusive)
		tcg_exclusive_end(c);
	if (c->ip)
		c->rip = tcg_this_rip(c, c->ip);
	if (!c->code64)
		c->rip &= 0xffffffff;
}

void tcg_raise(struct tcg_cpu *c, u8 vector)
{
	seg_unwind(c);
	c->exc.vector = vector;
	c->exc.has_code = false;
	c->exc.code = 0;
	c->exc.soft = false;
	siglongjmp(c->unwind, 1);
}

void tcg_raise_code(struct tcg_cpu *c, u8 vector, u32 code)
{
	seg_unwind(c);
	c->exc.vector = vector;
	c->exc.has_code = true;
	c->exc.code = code;
	c->exc.soft = false;
	siglongjmp(c->unwind, 1);
}

void tcg_raise_pf(struct tcg_cpu *c, gva_t va, u32 code)
{
	c->s->cr2 = va;
	tcg_raise_code(c, EXC_PF, code);
}

void seg_raise(struct tcg_cpu *c, u8 vector, u32 sel)
{
	tcg_raise_code(c, vector, (sel & 0xfffc) | c->ext);
}

/* ---- Descriptors ---- */

gva_t seg_desc_addr(const struct tcg_cpu *c, u16 sel)
{
	return (sel & 4 ? c->s->ldt.base : c->s->gdt.base) + (sel & ~7u);
}

bool seg_read(struct tcg_cpu *c, u16 sel, u64 *ret)
{
	bool ldt = sel & 4;
	u32 limit = ldt ? c->s->ldt.limit : c->s->gdt.limit;

	if (ldt && !(c->s->ldt.attr & SEG_ATTR_P))
		return false;
	if ((sel | 7u) > limit)
		return false;
	*ret = tcg_ld64_mmu(c, seg_desc_addr(c, sel), MMU_KERNEL);
	return true;
}

u64 seg_get(struct tcg_cpu *c, u16 sel, u8 vector)
{
	u64 d;

	if (!seg_read(c, sel, &d))
		seg_raise(c, vector, sel);
	return d;
}

struct cpu_segment seg_unpack(u16 sel, u64 d)
{
	return (struct cpu_segment){
		.base = desc_base(d),
		.limit = desc_limit(d),
		.sel = sel,
		.attr = desc_attr(d),
	};
}

void seg_set_accessed(struct tcg_cpu *c, u16 sel, u64 *d)
{
	gva_t at = seg_desc_addr(c, sel) + 5;

	if (*d & BIT(40))
		return;
	*d |= BIT(40);
	tcg_st8_mmu(c, at, tcg_ld8_mmu(c, at, MMU_KERNEL) | 1, MMU_KERNEL);
}

/* ---- Loading ---- */

void seg_set(struct tcg_cpu *c, int seg, const struct cpu_segment *s)
{
	c->s->seg[seg] = *s;
	c->seg_base[seg] = c->code64 && seg < SEG_FS ? 0 : s->base;
}

void seg_set_null(struct tcg_cpu *c, int seg, u16 sel)
{
	/* DPL of an unusable SS is still the CPL. */
	struct cpu_segment s = {
		.sel = sel,
		.attr = seg == SEG_SS ? (u16)(SEL_RPL(sel) << 5) : 0,
	};

	seg_set(c, seg, &s);
}

void seg_set_real(struct tcg_cpu *c, int seg, u16 sel)
{
	struct cpu_segment s = c->s->seg[seg];

	s.sel = sel;
	s.base = (u32)sel << 4;
	if (c->eflags & RFLAGS_VM) {
		s.limit = 0xffff;
		s.attr = 0xf3;
	}
	seg_set(c, seg, &s);
}

void seg_set_cs(struct tcg_cpu *c, u16 sel, u64 d, int cpl)
{
	struct cpu_segment s = seg_unpack((sel & ~3u) | cpl, d);

	seg_set(c, SEG_CS, &s);
}

static bool seg_is_real(const struct tcg_cpu *c)
{
	return !(c->s->cr0 & CR0_PE) || (c->eflags & RFLAGS_VM);
}

u64 seg_check_ss(struct tcg_cpu *c, u16 sel, int cpl, u8 vector)
{
	u64 d = seg_get(c, sel, vector);

	if (SEL_RPL(sel) != cpl || !desc_is_writable(d) || desc_dpl(d) != cpl)
		seg_raise(c, vector, sel);
	if (!desc_present(d))
		seg_raise(c, EXC_SS, sel);
	return d;
}

static void seg_load_ss(struct tcg_cpu *c, u16 sel)
{
	struct cpu_segment s;
	u64 d;

	if (SEL_NULL(sel)) {
		if (!c->code64 || c->cpl == 3 || SEL_RPL(sel) != c->cpl)
			seg_raise(c, EXC_GP, 0);
		seg_set_null(c, SEG_SS, sel);
		return;
	}
	d = seg_check_ss(c, sel, c->cpl, EXC_GP);
	seg_set_accessed(c, sel, &d);
	s = seg_unpack(sel, d);
	seg_set(c, SEG_SS, &s);
}

static void seg_load_data(struct tcg_cpu *c, int seg, u16 sel)
{
	struct cpu_segment s;
	int type;
	u64 d;

	if (SEL_NULL(sel)) {
		seg_set_null(c, seg, sel);
		return;
	}
	d = seg_get(c, sel, EXC_GP);
	type = desc_type(d);
	/* Data or readable code; conforming code skips the level check. */
	if (!(type & 0x10) || (type & 0x0a) == 0x08)
		seg_raise(c, EXC_GP, sel);
	if ((type & 0x0c) != 0x0c &&
	    (desc_dpl(d) < SEL_RPL(sel) || desc_dpl(d) < c->cpl))
		seg_raise(c, EXC_GP, sel);
	if (!desc_present(d))
		seg_raise(c, EXC_NP, sel);
	seg_set_accessed(c, sel, &d);
	s = seg_unpack(sel, d);
	seg_set(c, seg, &s);
}

void tcg_load_seg(struct tcg_cpu *c, int seg, u16 sel)
{
	if (seg_is_real(c))
		seg_set_real(c, seg, sel);
	else if (seg == SEG_SS)
		seg_load_ss(c, sel);
	else
		seg_load_data(c, seg, sel);
	if (seg == SEG_SS)
		tcg_mode_changed(c);
	else if (seg < SEG_FS)
		tcg_flat_changed(c);
}

/* ---- Stacks ---- */

u8 seg_mmu(const struct tcg_cpu *c, int cpl)
{
	if (cpl == 3)
		return MMU_USER;
	return (c->s->cr4 & CR4_SMAP) && (c->eflags & RFLAGS_AC) ? MMU_KERNEL_AC
								 : MMU_KERNEL;
}

void stack_current(struct tcg_cpu *c, struct seg_stack *k)
{
	const struct cpu_segment *ss = &c->s->seg[SEG_SS];

	*k = (struct seg_stack){
		.base = c->seg_base[SEG_SS],
		.sp = c->gpr[REG_RSP],
		.mask = c->stack64   ? UINT64_MAX
			: c->stack32 ? 0xffffffff
				     : 0xffff,
		.limit = ss->limit,
		.attr = ss->attr,
		.flat = c->stack64,
		.mmu = c->mmu,
	};
}

void stack_of(struct tcg_cpu *c, struct seg_stack *k, u16 sel, u64 ss_desc,
	      u64 sp, int cpl)
{
	*k = (struct seg_stack){
		.base = desc_base(ss_desc),
		.sp = sp,
		.mask = ss_desc & BIT(54) ? 0xffffffff : 0xffff,
		.limit = desc_limit(ss_desc),
		.attr = desc_attr(ss_desc),
		.err = sel,
		.mmu = seg_mmu(c, cpl),
	};
}

static bool stack_within(const struct seg_stack *k, u64 off, int size)
{
	u64 top = k->attr & SEG_ATTR_DB ? 0xffffffff : 0xffff;
	u64 last = off + size - 1;

	if (!(k->attr & SEG_ATTR_P))
		return false;
	if ((k->attr & (SEG_ATTR_CODE | SEG_ATTR_CE)) == SEG_ATTR_CE)
		return off > k->limit && last <= top;
	return last <= k->limit || k->limit == 0xffffffff;
}

static gva_t stack_addr(struct tcg_cpu *c, const struct seg_stack *k, u64 off,
			int size)
{
	if (k->flat) {
		if (!canonical(off) || !canonical(off + size - 1))
			seg_raise(c, EXC_SS, k->err);
		return off;
	}
	if (!stack_within(k, off, size))
		seg_raise(c, EXC_SS, k->err);
	return (u32)(k->base + off);
}

void stack_push(struct tcg_cpu *c, struct seg_stack *k, u64 value, int size)
{
	u64 off = (k->sp - size) & k->mask;

	tcg_st_mmu(c, stack_addr(c, k, off, size), value, size, k->mmu);
	k->sp = off;
}

u64 stack_pop(struct tcg_cpu *c, struct seg_stack *k, int size)
{
	u64 off = k->sp & k->mask;
	u64 value = tcg_ld_mmu(c, stack_addr(c, k, off, size), size, k->mmu);

	k->sp = (k->sp + size) & k->mask;
	return value;
}

/* A 16-bit stack keeps the upper half of ESP, a 32-bit one clears RSP's. */
void stack_commit_sp(struct tcg_cpu *c, u64 sp, u64 mask)
{
	if (mask == 0xffff)
		c->gpr[REG_RSP] =
			(c->gpr[REG_RSP] & ~0xffffULL) | (sp & 0xffff);
	else
		c->gpr[REG_RSP] = sp & mask;
}

void tcg_push(struct tcg_cpu *c, u64 value, int size)
{
	struct seg_stack k;
	u64 rsp = c->gpr[REG_RSP] - size;

	if (likely(c->stack64 && canonical(rsp))) {
		tcg_st_mmu(c, rsp, value, size, c->mmu);
		c->gpr[REG_RSP] = rsp;
		return;
	}
	stack_current(c, &k);
	stack_push(c, &k, value, size);
	stack_commit_sp(c, k.sp, k.mask);
}

u64 tcg_pop(struct tcg_cpu *c, int size)
{
	struct seg_stack k;
	u64 rsp = c->gpr[REG_RSP];
	u64 value;

	if (likely(c->stack64 && canonical(rsp))) {
		value = tcg_ld_mmu(c, rsp, size, c->mmu);
		c->gpr[REG_RSP] = rsp + size;
		return value;
	}
	stack_current(c, &k);
	value = stack_pop(c, &k, size);
	stack_commit_sp(c, k.sp, k.mask);
	return value;
}

/* ---- Near branches ---- */

void tcg_set_rip(struct tcg_cpu *c, u64 target, int opsize)
{
	if (opsize == 2)
		target &= 0xffff;
	else if (opsize == 4 || !c->code64)
		target &= 0xffffffff;
	if (c->code64 ? !canonical(target) : target > c->s->seg[SEG_CS].limit)
		tcg_raise_code(c, EXC_GP, 0);
	c->rip = target;
}

/* ---- Checks of far transfers ---- */

void seg_check_cs_mode(struct tcg_cpu *c, u16 sel, u64 d)
{
	if (c->long_mode && (d & BIT(53)) && (d & BIT(54)))
		seg_raise(c, EXC_GP, sel);
}

void seg_check_rip(struct tcg_cpu *c, u64 rip, u64 cs_desc)
{
	bool code64 = c->long_mode && (cs_desc & BIT(53));

	if (code64 ? !canonical(rip) : rip > desc_limit(cs_desc))
		seg_raise(c, EXC_GP, 0);
}

static u64 far_mask(u64 off, int opsize)
{
	return opsize == 2   ? off & 0xffff
	       : opsize == 4 ? off & 0xffffffff
			     : off;
}

static void far_real(struct tcg_cpu *c, u16 sel, u64 off)
{
	if (off > c->s->seg[SEG_CS].limit)
		tcg_raise_code(c, EXC_GP, 0);
	seg_set_real(c, SEG_CS, sel);
	c->rip = off;
	tcg_mode_changed(c);
}

/* A direct transfer to a code segment stays at the CPL. */
static void far_check_code(struct tcg_cpu *c, u16 sel, u64 d)
{
	if (desc_is_conforming(d)
		    ? desc_dpl(d) > c->cpl
		    : SEL_RPL(sel) > c->cpl || desc_dpl(d) != c->cpl)
		seg_raise(c, EXC_GP, sel);
	if (!desc_present(d))
		seg_raise(c, EXC_NP, sel);
	seg_check_cs_mode(c, sel, d);
}

static void far_commit(struct tcg_cpu *c, u16 sel, u64 d, u64 rip, int cpl)
{
	seg_set_accessed(c, sel, &d);
	seg_set_cs(c, sel, d, cpl);
	c->rip = rip;
	tcg_mode_changed(c);
}

/* A gate or TSS named by a far jump or call: level and presence. */
static void far_check_system(struct tcg_cpu *c, u16 sel, u64 d)
{
	if (desc_dpl(d) < c->cpl || desc_dpl(d) < SEL_RPL(sel))
		seg_raise(c, EXC_GP, sel);
	if (!desc_present(d))
		seg_raise(c, EXC_NP, sel);
}

static void far_task_gate(struct tcg_cpu *c, u64 gate, enum task_reason why)
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
	task_switch(c, sel, d, why, false, 0);
}

/* Target of a call gate, checked as far as JMP and CALL agree. */
struct far_gate {
	u16 sel;
	u64 desc, offset;
	int params, size;
};

static void far_read_gate(struct tcg_cpu *c, u16 sel, u64 gate, bool call,
			  struct far_gate *g)
{
	g->sel = gate_sel(gate);
	g->params = gate >> 32 & 31;
	g->size = desc_type(gate) == SYS_CALL16 ? 2 : 4;
	g->offset = far_mask(gate_offset(gate), g->size);
	if (c->long_mode) {
		/* The upper half follows, its type field must be zero. */
		u64 high = seg_get(c, sel + 8, EXC_GP);

		if (high & 0x1f0000000000)
			seg_raise(c, EXC_GP, sel);
		g->offset |= high << 32;
		g->size = 8;
	}
	if (SEL_NULL(g->sel))
		seg_raise(c, EXC_GP, 0);
	g->desc = seg_get(c, g->sel, EXC_GP);
	if (!desc_is_code(g->desc) ||
	    (call || desc_is_conforming(g->desc) ? desc_dpl(g->desc) > c->cpl
						 : desc_dpl(g->desc) != c->cpl))
		seg_raise(c, EXC_GP, g->sel);
	if (c->long_mode && (g->desc >> 53 & 3) != 1)
		seg_raise(c, EXC_GP, g->sel);
	if (!desc_present(g->desc))
		seg_raise(c, EXC_NP, g->sel);
	seg_check_rip(c, g->offset, g->desc);
}

static bool far_is_call_gate(const struct tcg_cpu *c, int type)
{
	return type == SYS_CALL || (type == SYS_CALL16 && !c->long_mode);
}

static bool far_is_task(const struct tcg_cpu *c, int type)
{
	return !c->long_mode && (type == SYS_TASK || type == SYS_TSS_AVAIL ||
				 type == SYS_TSS16_AVAIL);
}

static void far_task(struct tcg_cpu *c, u16 sel, u64 d, enum task_reason why)
{
	if (desc_type(d) == SYS_TASK) {
		far_task_gate(c, d, why);
		return;
	}
	if (sel & 4)
		seg_raise(c, EXC_GP, sel);
	task_switch(c, sel, d, why, false, 0);
}

/* ---- Far jump ---- */

void tcg_far_jump(struct tcg_cpu *c, u16 sel, u64 off, int opsize)
{
	struct far_gate g;
	u64 d;

	off = far_mask(off, opsize);
	if (seg_is_real(c)) {
		far_real(c, sel, off);
		return;
	}
	if (SEL_NULL(sel))
		seg_raise(c, EXC_GP, 0);
	d = seg_get(c, sel, EXC_GP);
	if (desc_is_code(d)) {
		far_check_code(c, sel, d);
		seg_check_rip(c, off, d);
		far_commit(c, sel, d, off, c->cpl);
		return;
	}
	if (!far_is_call_gate(c, desc_type(d)) && !far_is_task(c, desc_type(d)))
		seg_raise(c, EXC_GP, sel);
	far_check_system(c, sel, d);
	if (far_is_task(c, desc_type(d))) {
		far_task(c, sel, d, TASK_JUMP);
		return;
	}
	far_read_gate(c, sel, d, false, &g);
	far_commit(c, g.sel, g.desc, g.offset, c->cpl);
}

/* ---- Far call ---- */

static void far_call_real(struct tcg_cpu *c, u16 sel, u64 off, int opsize)
{
	struct seg_stack k;

	if (off > c->s->seg[SEG_CS].limit)
		tcg_raise_code(c, EXC_GP, 0);
	stack_current(c, &k);
	stack_push(c, &k, c->s->seg[SEG_CS].sel, opsize);
	stack_push(c, &k, c->rip, opsize);
	stack_commit_sp(c, k.sp, k.mask);
	far_real(c, sel, off);
}

static void far_call_same(struct tcg_cpu *c, u16 sel, u64 d, u64 off, int size)
{
	struct seg_stack k;

	stack_current(c, &k);
	stack_push(c, &k, c->s->seg[SEG_CS].sel, size);
	stack_push(c, &k, c->rip, size);
	seg_set_accessed(c, sel, &d);
	stack_commit_sp(c, k.sp, k.mask);
	far_commit(c, sel, d, off, c->cpl);
}

/* The parameters of a 16- or 32-bit call gate. */
static void far_copy_params(struct tcg_cpu *c, struct seg_stack *to,
			    const struct far_gate *g)
{
	struct seg_stack from;
	u64 params[32];

	stack_current(c, &from);
	for (int i = 0; i < g->params; i++)
		params[i] = stack_pop(c, &from, g->size);
	for (int i = g->params; i--;)
		stack_push(c, to, params[i], g->size);
}

static void far_call_inner(struct tcg_cpu *c, const struct far_gate *g)
{
	int cpl = desc_dpl(g->desc);
	u16 old_ss = c->s->seg[SEG_SS].sel, ss = cpl;
	u64 old_sp = c->gpr[REG_RSP], d = 0;
	struct cpu_segment s;
	struct seg_stack k;
	u32 sp;

	if (c->long_mode) {
		k = (struct seg_stack){
			.sp = tss_rsp(c, cpl),
			.mask = UINT64_MAX,
			.flat = true,
			.mmu = seg_mmu(c, cpl),
		};
	} else {
		tss_stack(c, cpl, &ss, &sp);
		if (SEL_NULL(ss))
			seg_raise(c, EXC_TS, 0);
		d = seg_check_ss(c, ss, cpl, EXC_TS);
		stack_of(c, &k, ss, d, sp, cpl);
	}
	stack_push(c, &k, old_ss, g->size);
	stack_push(c, &k, old_sp, g->size);
	if (!c->long_mode)
		far_copy_params(c, &k, g);
	stack_push(c, &k, c->s->seg[SEG_CS].sel, g->size);
	stack_push(c, &k, c->rip, g->size);
	if (c->long_mode) {
		seg_set_null(c, SEG_SS, ss);
	} else {
		seg_set_accessed(c, ss, &d);
		s = seg_unpack(ss, d);
		seg_set(c, SEG_SS, &s);
	}
	stack_commit_sp(c, k.sp, k.mask);
	far_commit(c, g->sel, g->desc, g->offset, cpl);
}

void tcg_far_call(struct tcg_cpu *c, u16 sel, u64 off, int opsize)
{
	struct far_gate g;
	u64 d;

	off = far_mask(off, opsize);
	if (seg_is_real(c)) {
		far_call_real(c, sel, off, opsize);
		return;
	}
	if (SEL_NULL(sel))
		seg_raise(c, EXC_GP, 0);
	d = seg_get(c, sel, EXC_GP);
	if (desc_is_code(d)) {
		far_check_code(c, sel, d);
		seg_check_rip(c, off, d);
		far_call_same(c, sel, d, off, opsize);
		return;
	}
	if (!far_is_call_gate(c, desc_type(d)) && !far_is_task(c, desc_type(d)))
		seg_raise(c, EXC_GP, sel);
	far_check_system(c, sel, d);
	if (far_is_task(c, desc_type(d))) {
		far_task(c, sel, d, TASK_CALL);
		return;
	}
	far_read_gate(c, sel, d, true, &g);
	if (!desc_is_conforming(g.desc) && desc_dpl(g.desc) < c->cpl)
		far_call_inner(c, &g);
	else
		far_call_same(c, g.sel, g.desc, g.offset, g.size);
}

/* ---- Far return and IRET ---- */

struct far_frame {
	struct seg_stack k;
	u64 rip, flags, sp;
	u16 cs, ss;
	u64 cs_desc, ss_desc; /* ss_desc 0: null SS */
	int cpl;
};

/* CS popped by RETF or IRET. */
static void ret_check_cs(struct tcg_cpu *c, struct far_frame *f)
{
	u16 sel = f->cs;

	if (SEL_NULL(sel))
		seg_raise(c, EXC_GP, 0);
	f->cs_desc = seg_get(c, sel, EXC_GP);
	f->cpl = SEL_RPL(sel);
	if (!desc_is_code(f->cs_desc) || f->cpl < c->cpl ||
	    (desc_is_conforming(f->cs_desc) ? desc_dpl(f->cs_desc) > f->cpl
					    : desc_dpl(f->cs_desc) != f->cpl))
		seg_raise(c, EXC_GP, sel);
	if (!desc_present(f->cs_desc))
		seg_raise(c, EXC_NP, sel);
	seg_check_cs_mode(c, sel, f->cs_desc);
}

static void ret_check_ss(struct tcg_cpu *c, struct far_frame *f)
{
	bool to64 = c->long_mode && (f->cs_desc & BIT(53));

	f->ss_desc = 0;
	if (SEL_NULL(f->ss)) {
		if (!to64 || f->cpl == 3 || SEL_RPL(f->ss) != f->cpl)
			seg_raise(c, EXC_GP, 0);
		return;
	}
	f->ss_desc = seg_check_ss(c, f->ss, f->cpl, EXC_GP);
}

/* The base stays, as processors do it: 64-bit code still uses FS and GS. */
static void seg_drop(struct tcg_cpu *c, int seg)
{
	struct cpu_segment s = { .base = c->s->seg[seg].base };

	seg_set(c, seg, &s);
}

/* SDM 3A "Returning from a Called Procedure": what the outer level may not
 * use is gone. */
static void ret_drop_segments(struct tcg_cpu *c)
{
	static const u8 segs[] = { SEG_ES, SEG_DS, SEG_FS, SEG_GS };

	for (u32 i = 0; i < ARRAY_SIZE(segs); i++) {
		const struct cpu_segment *s = &c->s->seg[segs[i]];
		bool conforming = (s->attr & (SEG_ATTR_CODE | SEG_ATTR_CE)) ==
				  (SEG_ATTR_CODE | SEG_ATTR_CE);

		if ((s->attr & SEG_ATTR_P) && !conforming &&
		    SEG_DPL(s->attr) < c->cpl)
			seg_drop(c, segs[i]);
	}
}

/* Everything of a frame but flags; `sp` of the outer stack is final. */
static void ret_commit(struct tcg_cpu *c, struct far_frame *f, bool with_ss)
{
	bool outer = f->cpl > c->cpl;
	u64 mask = f->k.mask;

	seg_set_accessed(c, f->cs, &f->cs_desc);
	if (with_ss && f->ss_desc)
		seg_set_accessed(c, f->ss, &f->ss_desc);
	seg_set_cs(c, f->cs, f->cs_desc, f->cpl);
	if (with_ss) {
		if (f->ss_desc) {
			struct cpu_segment s = seg_unpack(f->ss, f->ss_desc);

			seg_set(c, SEG_SS, &s);
		} else {
			seg_set_null(c, SEG_SS, f->ss);
		}
		mask = c->long_mode && (f->cs_desc & BIT(53)) ? UINT64_MAX
		       : f->ss_desc & BIT(54)                 ? 0xffffffff
							      : 0xffff;
	}
	stack_commit_sp(c, f->sp, mask);
	c->rip = f->rip;
	tcg_mode_changed(c);
	if (outer)
		ret_drop_segments(c);
}

void tcg_far_ret(struct tcg_cpu *c, int opsize, u16 pop)
{
	struct far_frame f;

	stack_current(c, &f.k);
	f.rip = stack_pop(c, &f.k, opsize);
	f.cs = stack_pop(c, &f.k, opsize);
	if (seg_is_real(c)) {
		if (f.rip > c->s->seg[SEG_CS].limit)
			tcg_raise_code(c, EXC_GP, 0);
		stack_commit_sp(c, f.k.sp + pop, f.k.mask);
		far_real(c, f.cs, f.rip);
		return;
	}
	ret_check_cs(c, &f);
	f.k.sp = (f.k.sp + pop) & f.k.mask;
	f.sp = f.k.sp;
	if (f.cpl == c->cpl) {
		seg_check_rip(c, f.rip, f.cs_desc);
		ret_commit(c, &f, false);
		return;
	}
	f.sp = stack_pop(c, &f.k, opsize) + pop;
	f.ss = stack_pop(c, &f.k, opsize);
	ret_check_ss(c, &f);
	seg_check_rip(c, f.rip, f.cs_desc);
	ret_commit(c, &f, true);
}

#define IRET_FLAGS_16                                                \
	(RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | \
	 RFLAGS_TF | RFLAGS_DF | RFLAGS_OF | RFLAGS_NT)
#define IRET_FLAGS (IRET_FLAGS_16 | RFLAGS_RF | RFLAGS_AC | RFLAGS_ID)

/* Flags after CS was popped; `cpl` is the level before the return. */
static void iret_flags(struct tcg_cpu *c, u64 flags, int opsize, int cpl)
{
	u64 mask = opsize == 2 ? IRET_FLAGS_16 : IRET_FLAGS;
	int iopl = c->eflags >> 12 & 3;
	bool was_if = c->eflags & RFLAGS_IF;

	/* RF only matters to instruction breakpoints. */
	if (!(c->mode_key & MODE_STEP))
		mask &= ~(u64)RFLAGS_RF;
	else if (flags & RFLAGS_RF)
		c->step_keep_rf = true;
	if (cpl <= iopl)
		mask |= RFLAGS_IF;
	if (cpl == 0) {
		mask |= RFLAGS_IOPL;
		if (opsize != 2)
			mask |= RFLAGS_VIF | RFLAGS_VIP;
	}
	tcg_set_rflags(c, flags, mask);
	tcg_mode_changed(c);
	if (!was_if && (c->eflags & RFLAGS_IF))
		tcg_irq_opened(c);
}

static void iret_nmi(struct tcg_cpu *c)
{
	if (c->s->nmi_masked) {
		c->s->nmi_masked = false;
		tcg_irq_opened(c);
	}
}

static void iret_real(struct tcg_cpu *c, int opsize)
{
	struct far_frame f;
	u64 mask = opsize == 2 ? IRET_FLAGS_16 : IRET_FLAGS;
	bool v86 = c->eflags & RFLAGS_VM;
	bool was_if = c->eflags & RFLAGS_IF;
	bool vif = false;

	stack_current(c, &f.k);
	if (v86 && (c->eflags & RFLAGS_IOPL) != RFLAGS_IOPL) {
		if (!(c->s->cr4 & CR4_VME) || opsize != 2)
			tcg_raise_code(c, EXC_GP, 0);
		vif = true;
	}
	f.rip = stack_pop(c, &f.k, opsize);
	f.cs = stack_pop(c, &f.k, opsize);
	f.flags = stack_pop(c, &f.k, opsize);
	if (f.rip > c->s->seg[SEG_CS].limit)
		tcg_raise_code(c, EXC_GP, 0);
	if (vif) {
		/* SDM 3B "Virtual-8086 mode extensions": IF goes to VIF. */
		if ((f.flags & RFLAGS_TF) ||
		    ((f.flags & RFLAGS_IF) && (c->eflags & RFLAGS_VIP)))
			tcg_raise_code(c, EXC_GP, 0);
		if (f.flags & RFLAGS_IF)
			f.flags |= RFLAGS_VIF;
		mask |= RFLAGS_VIF;
	} else {
		mask |= RFLAGS_IF;
		if (!v86)
			mask |= RFLAGS_IOPL;
	}
	stack_commit_sp(c, f.k.sp, f.k.mask);
	far_real(c, f.cs, f.rip);
	tcg_set_rflags(c, f.flags, mask);
	tcg_mode_changed(c);
	iret_nmi(c);
	if (!was_if && (c->eflags & RFLAGS_IF))
		tcg_irq_opened(c);
}

static void iret_to_v86(struct tcg_cpu *c, struct far_frame *f)
{
	static const u8 order[] = { SEG_ES, SEG_DS, SEG_FS, SEG_GS };
	u16 sel[ARRAY_SIZE(order)];
	u64 sp = stack_pop(c, &f->k, 4);
	u16 ss = stack_pop(c, &f->k, 4);

	for (u32 i = 0; i < ARRAY_SIZE(order); i++)
		sel[i] = stack_pop(c, &f->k, 4);
	iret_flags(c, f->flags, 4, 0);
	c->eflags |= RFLAGS_VM;
	for (u32 i = 0; i < ARRAY_SIZE(order); i++)
		seg_set_real(c, order[i], sel[i]);
	seg_set_real(c, SEG_SS, ss);
	seg_set_real(c, SEG_CS, f->cs);
	c->gpr[REG_RSP] = (u32)sp;
	c->rip = f->rip & 0xffff;
	tcg_mode_changed(c);
	iret_nmi(c);
}

static void iret_task(struct tcg_cpu *c)
{
	u16 sel = tcg_ld16_mmu(c, c->s->tr.base, MMU_KERNEL);
	u64 d;

	if ((sel & 4) || !seg_read(c, sel, &d))
		seg_raise(c, EXC_TS, sel);
	if (desc_type(d) != SYS_TSS_BUSY && desc_type(d) != SYS_TSS16_BUSY)
		seg_raise(c, EXC_TS, sel);
	if (!desc_present(d))
		seg_raise(c, EXC_NP, sel);
	task_switch(c, sel, d, TASK_IRET, false, 0);
	iret_nmi(c);
}

void tcg_iret(struct tcg_cpu *c, int opsize)
{
	struct far_frame f;
	int old = c->cpl;
	bool with_ss;

	if (seg_is_real(c)) {
		iret_real(c, opsize);
		return;
	}
	if (c->eflags & RFLAGS_NT) {
		if (c->long_mode)
			tcg_raise_code(c, EXC_GP, 0);
		iret_task(c);
		return;
	}
	stack_current(c, &f.k);
	f.rip = stack_pop(c, &f.k, opsize);
	f.cs = stack_pop(c, &f.k, opsize);
	f.flags = stack_pop(c, &f.k, opsize);
	if (opsize == 4 && (f.flags & RFLAGS_VM) && !c->cpl && !c->long_mode) {
		iret_to_v86(c, &f);
		return;
	}
	ret_check_cs(c, &f);
	f.sp = f.k.sp;
	with_ss = c->code64 || f.cpl != c->cpl;
	if (with_ss) {
		f.sp = stack_pop(c, &f.k, opsize);
		f.ss = stack_pop(c, &f.k, opsize);
		ret_check_ss(c, &f);
	}
	seg_check_rip(c, f.rip, f.cs_desc);
	ret_commit(c, &f, with_ss);
	iret_flags(c, f.flags, opsize, old);
	iret_nmi(c);
}
