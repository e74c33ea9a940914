/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * System instructions: control and debug registers, descriptor tables,
 * segment registers, flags, time.
 *
 * Spec: SDM 2, APM 3; where the vendors differ MODE_AMD decides.
 */
#include "tcg/system.h"

#include <sys/random.h>

#include "tcg/pvclock.h"
#include "tcg/seg.h"
#include "vmm/irq.h"
#include "vmm/machine.h"

/* ---- Helpers ---- */

void sys_need_cpl0(struct tcg_cpu *c)
{
	if (c->cpl)
		tcg_raise_code(c, EXC_GP, 0);
}

void sys_set_reg(struct tcg_cpu *c, u8 reg, u64 value, int size)
{
	switch (size) {
	case 1: c->gpr[reg] = (c->gpr[reg] & ~0xffULL) | (value & 0xff); break;
	case 2:
		c->gpr[reg] = (c->gpr[reg] & ~0xffffULL) | (value & 0xffff);
		break;
	case 4: c->gpr[reg] = (u32)value; break;
	default: c->gpr[reg] = value; break;
	}
}

static void sys_need_no_umip(struct tcg_cpu *c)
{
	if (c->cpl && (c->s->cr4 & CR4_UMIP))
		tcg_raise_code(c, EXC_GP, 0);
}

/* A 16-bit source operand. */
static u16 sys_read16(struct tcg_cpu *c, const struct insn *i)
{
	if (!i->is_mem)
		return c->gpr[i->rm];
	return tcg_ld16(c, insn_linear(c, i, 2, false));
}

/* A 16-bit result: memory takes 16 bits, a register its operand size. */
static void sys_write16(struct tcg_cpu *c, const struct insn *i, u64 value)
{
	if (i->is_mem)
		tcg_st16(c, insn_linear(c, i, 2, true), value);
	else
		sys_set_reg(c, i->rm, value, i->opsize);
}

static void sys_set_zf(struct tcg_cpu *c, bool on)
{
	tcg_set_rflags(c, on ? RFLAGS_ZF : 0, RFLAGS_ZF);
}

/* ---- Control registers ---- */

#define CR0_VALID                                                       \
	(CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | \
	 CR0_AM | CR0_NW | CR0_CD | CR0_PG)

static void cr0_check(struct tcg_cpu *c, u64 value)
{
	struct cpu_state *s = c->s;
	bool was_pg = s->cr0 & CR0_PG, pg = value & CR0_PG;

	if ((value >> 32) || (pg && !(value & CR0_PE)) ||
	    ((value & CR0_NW) && !(value & CR0_CD)))
		tcg_raise_code(c, EXC_GP, 0);
	if (pg && !was_pg && (s->efer & EFER_LME) &&
	    (!(s->cr4 & CR4_PAE) || (s->seg[SEG_CS].attr & SEG_ATTR_L)))
		tcg_raise_code(c, EXC_GP, 0);
	if (!pg && was_pg && (c->code64 || (s->cr4 & CR4_PCIDE)))
		tcg_raise_code(c, EXC_GP, 0);
}

void sys_set_cr0(struct tcg_cpu *c, u64 value)
{
	struct cpu_state *s = c->s;
	u64 changed;

	cr0_check(c, value);
	value = (value & CR0_VALID) | CR0_ET;
	changed = s->cr0 ^ value;
	s->cr0 = value;
	if (changed & CR0_PG) {
		if (!(value & CR0_PG))
			s->efer &= ~(u64)EFER_LMA;
		else if (s->efer & EFER_LME)
			s->efer |= EFER_LMA;
	}
	if (changed & (CR0_PG | CR0_PE | CR0_WP))
		tcg_tlb_flush(c, true);
	tcg_mode_changed(c);
}

static void sys_set_cr3(struct tcg_cpu *c, u64 value)
{
	/* Bit 63 with PCIDs asks to keep what the new PCID has cached; there
	 * is only one address space in the TLB, so it is flushed anyway. */
	if (c->s->cr4 & CR4_PCIDE)
		value &= ~BIT(63);
	if (c->long_mode && (value >> CPU_PHYS_BITS))
		tcg_raise_code(c, EXC_GP, 0);
	c->s->cr3 = c->long_mode ? value : (u32)value;
	tcg_tlb_flush(c, false);
}

#define CR4_BASE                                                              \
	(CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE | \
	 CR4_PGE | CR4_PCE | CR4_OSFXSR | CR4_OSXMMEXCPT)
#define CR4_FLUSH \
	(CR4_PSE | CR4_PAE | CR4_PGE | CR4_SMEP | CR4_SMAP | CR4_PCIDE)

static u64 cr4_valid(struct tcg_cpu *c)
{
	static const struct {
		u8 leaf7, reg, bit; /* leaf 7 or leaf 1 */
		u64 cr4;
	} rows[] = {
		{ 1, 2, 2, CR4_UMIP },   { 1, 1, 0, CR4_FSGSBASE },
		{ 0, 2, 17, CR4_PCIDE }, { 0, 2, 26, CR4_OSXSAVE },
		{ 1, 1, 7, CR4_SMEP },   { 1, 1, 20, CR4_SMAP },
	};

	u64 valid = CR4_BASE;

	for (u32 n = 0; n < ARRAY_SIZE(rows); n++) {
		u32 out[4];

		tcg_cpuid(c, rows[n].leaf7 ? 7 : 1, 0, out);
		if (out[rows[n].reg] & BIT(rows[n].bit))
			valid |= rows[n].cr4;
	}
	return valid;
}

static void sys_set_cr4(struct tcg_cpu *c, u64 value)
{
	struct cpu_state *s = c->s;
	u64 changed = s->cr4 ^ value;

	if ((value & ~cr4_valid(c)) || (c->long_mode && !(value & CR4_PAE)))
		tcg_raise_code(c, EXC_GP, 0);
	if ((changed & value & CR4_PCIDE) &&
	    (!c->long_mode || (s->cr3 & 0xfff)))
		tcg_raise_code(c, EXC_GP, 0);
	s->cr4 = value;
	if (changed & CR4_TSD)
		tcg_tsc_changed(c);
	if (changed & CR4_FLUSH)
		tcg_tlb_flush(c, true);
	tcg_mode_changed(c);
}

static u64 sys_get_cr8(struct tcg_cpu *c)
{
	const struct lapic_ops *l = c->m->lapic;

	return l ? l->get_tpr(c->v) : c->s->cr8;
}

static void sys_set_cr8(struct tcg_cpu *c, u64 value)
{
	const struct lapic_ops *l = c->m->lapic;

	if (value > 15)
		tcg_raise_code(c, EXC_GP, 0);
	c->s->cr8 = value;
	if (l)
		l->set_tpr(c->v, value);
	tcg_irq_opened(c);
}

/* AMD: LOCK MOV CR0 is CR8 outside 64-bit mode. */
static u8 sys_cr_number(struct tcg_cpu *c, const struct insn *i)
{
	u8 n = (i->prefix & INSN_LOCK) && i->reg == 0 ? 8 : i->reg;

	/* An invalid register comes before privilege. */
	if (n > 8 || !(BIT(n) & (BIT(0) | BIT(2) | BIT(3) | BIT(4) | BIT(8))))
		tcg_raise(c, EXC_UD);
	sys_need_cpl0(c);
	return n;
}

void sys_mov_from_cr(struct tcg_cpu *c, const struct insn *i)
{
	u64 value;

	switch (sys_cr_number(c, i)) {
	case 0: value = c->s->cr0; break;
	case 2: value = c->s->cr2; break;
	case 3: value = c->s->cr3; break;
	case 4: value = c->s->cr4; break;
	default: value = sys_get_cr8(c); break;
	}
	sys_set_reg(c, i->rm, value, c->code64 ? 8 : 4);
}

void sys_mov_to_cr(struct tcg_cpu *c, const struct insn *i)
{
	u64 value = c->code64 ? c->gpr[i->rm] : (u32)c->gpr[i->rm];

	switch (sys_cr_number(c, i)) {
	case 0: sys_set_cr0(c, value); break;
	case 2: c->s->cr2 = value; break;
	case 3: sys_set_cr3(c, value); break;
	case 4: sys_set_cr4(c, value); break;
	default: sys_set_cr8(c, value); break;
	}
}

void sys_clts(struct tcg_cpu *c, const struct insn *i)
{
	sys_need_cpl0(c);
	c->s->cr0 &= ~(u64)CR0_TS;
	tcg_mode_changed(c);
}

void sys_smsw(struct tcg_cpu *c, const struct insn *i)
{
	sys_need_no_umip(c);
	sys_write16(c, i, c->s->cr0);
}

void sys_lmsw(struct tcg_cpu *c, const struct insn *i)
{
	u64 low;

	sys_need_cpl0(c);
	low = sys_read16(c, i) & 15;
	low |= c->s->cr0 & CR0_PE; /* cannot be cleared here */
	sys_set_cr0(c, (c->s->cr0 & ~15ULL) | low);
}

/* ---- Debug registers ---- */

#define DR6_FIXED 0xffff0ff0ULL
#define DR6_VALID 0xe00fULL
#define DR6_BD    BIT(13)
#define DR7_GD    BIT(13)
#define DR7_VALID 0xffff23ffULL

static u8 sys_dr_number(struct tcg_cpu *c, const struct insn *i)
{
	u8 n = i->reg;

	if (n > 7 || ((n == 4 || n == 5) && (c->s->cr4 & CR4_DE)))
		tcg_raise(c, EXC_UD);
	sys_need_cpl0(c);
	if (c->s->dr[7] & DR7_GD) {
		c->s->dr[6] |= DR6_BD;
		tcg_raise(c, EXC_DB);
	}
	return n == 4 || n == 5 ? n + 2 : n;
}

void sys_mov_from_dr(struct tcg_cpu *c, const struct insn *i)
{
	u8 n = sys_dr_number(c, i);

	sys_set_reg(c, i->rm, c->s->dr[n], c->code64 ? 8 : 4);
}

void sys_mov_to_dr(struct tcg_cpu *c, const struct insn *i)
{
	u8 n = sys_dr_number(c, i);
	u64 value = c->code64 ? c->gpr[i->rm] : (u32)c->gpr[i->rm];

	if (n >= 6 && (value >> 32))
		tcg_raise_code(c, EXC_GP, 0);
	if (n == 6)
		value = (value & DR6_VALID) | DR6_FIXED;
	else if (n == 7)
		value = (value & DR7_VALID) | BIT(10);
	c->s->dr[n] = value;
	tcg_tlb_flush(c, true); /* watched pages have no tags */
	tcg_mode_changed(c);
}

/* ---- Descriptor tables ---- */

static void sys_store_table(struct tcg_cpu *c, const struct insn *i,
			    const struct cpu_table *t)
{
	int size = c->code64 ? 8 : 4;
	gva_t va;

	sys_need_no_umip(c);
	va = insn_linear(c, i, 2 + size, true);
	tcg_probe_write(c, va, 2 + size, c->mmu);
	tcg_st16(c, va, t->limit);
	tcg_st(c, va + 2, t->base, size);
}

static void sys_load_table(struct tcg_cpu *c, const struct insn *i,
			   struct cpu_table *t)
{
	int size = c->code64 ? 8 : 4;
	u64 base;
	u16 limit;
	gva_t va;

	sys_need_cpl0(c);
	va = insn_linear(c, i, 2 + size, false);
	limit = tcg_ld16(c, va);
	base = tcg_ld(c, va + 2, size);
	if (c->code64 && !canonical(base))
		tcg_raise_code(c, EXC_GP, 0);
	if (!c->code64 && i->opsize == 2)
		base &= 0xffffff;
	t->limit = limit;
	t->base = base;
}

void sys_sgdt(struct tcg_cpu *c, const struct insn *i)
{
	sys_store_table(c, i, &c->s->gdt);
}

void sys_sidt(struct tcg_cpu *c, const struct insn *i)
{
	sys_store_table(c, i, &c->s->idt);
}

void sys_lgdt(struct tcg_cpu *c, const struct insn *i)
{
	sys_load_table(c, i, &c->s->gdt);
}

void sys_lidt(struct tcg_cpu *c, const struct insn *i)
{
	sys_load_table(c, i, &c->s->idt);
}

void sys_sldt(struct tcg_cpu *c, const struct insn *i)
{
	sys_need_no_umip(c);
	sys_write16(c, i, c->s->ldt.sel);
}

void sys_str(struct tcg_cpu *c, const struct insn *i)
{
	sys_need_no_umip(c);
	sys_write16(c, i, c->s->tr.sel);
}

/* LDT or TSS descriptor of LLDT and LTR; 16 bytes in long mode. */
static struct cpu_segment sys_read_system(struct tcg_cpu *c, u16 sel, bool tss)
{
	struct cpu_segment s;
	int type;
	u64 d;

	if (sel & 4)
		seg_raise(c, EXC_GP, sel);
	d = seg_get(c, sel, EXC_GP);
	type = desc_type(d);
	if (tss ? type != SYS_TSS_AVAIL &&
			    (c->long_mode || type != SYS_TSS16_AVAIL)
		: type != SYS_LDT)
		seg_raise(c, EXC_GP, sel);
	if (!desc_present(d))
		seg_raise(c, EXC_NP, sel);
	s = seg_unpack(sel, d);
	if (c->long_mode) {
		u64 high = seg_get(c, sel + 8, EXC_GP);

		s.base |= high << 32;
		if ((high & 0x1f0000000000) || !canonical(s.base))
			seg_raise(c, EXC_GP, sel);
	}
	return s;
}

void sys_lldt(struct tcg_cpu *c, const struct insn *i)
{
	u16 sel;

	sys_need_cpl0(c);
	sel = sys_read16(c, i);
	if (SEL_NULL(sel))
		c->s->ldt = (struct cpu_segment){ .sel = sel };
	else
		c->s->ldt = sys_read_system(c, sel, false);
}

void sys_ltr(struct tcg_cpu *c, const struct insn *i)
{
	struct cpu_segment s;
	gva_t at;
	u16 sel;

	sys_need_cpl0(c);
	sel = sys_read16(c, i);
	if (SEL_NULL(sel))
		tcg_raise_code(c, EXC_GP, 0);
	s = sys_read_system(c, sel, true);
	at = seg_desc_addr(c, sel) + 5;
	tcg_st8_mmu(c, at, tcg_ld8_mmu(c, at, MMU_KERNEL) | 2, MMU_KERNEL);
	s.attr |= 2; /* busy */
	c->s->tr = s;
}

/* ---- Looking at descriptors ---- */

/* Descriptor visible at this CPL and RPL, system types included. */
static bool sys_visible(struct tcg_cpu *c, u16 sel, u64 *ret)
{
	if (SEL_NULL(sel) || !seg_read(c, sel, ret))
		return false;
	if (desc_is_code(*ret) && desc_is_conforming(*ret))
		return true;
	return desc_dpl(*ret) >= c->cpl && desc_dpl(*ret) >= SEL_RPL(sel);
}

void sys_verr(struct tcg_cpu *c, const struct insn *i)
{
	u16 sel = sys_read16(c, i);
	u64 d;

	/* Any data segment, or readable code. */
	sys_set_zf(c, sys_visible(c, sel, &d) && (desc_type(d) & 0x10) &&
			      (desc_type(d) & 0x0a) != 0x08);
}

void sys_verw(struct tcg_cpu *c, const struct insn *i)
{
	u16 sel = sys_read16(c, i);
	u64 d;

	sys_set_zf(c, sys_visible(c, sel, &d) && desc_is_writable(d));
}

/* System types that LAR (bit set in the first) and LSL accept. */
static bool sys_type_ok(struct tcg_cpu *c, u64 d, bool lsl)
{
	u32 lar_legacy = BIT(SYS_TSS16_AVAIL) | BIT(SYS_LDT) |
			 BIT(SYS_TSS16_BUSY) | BIT(SYS_CALL16) | BIT(SYS_TASK) |
			 BIT(SYS_TSS_AVAIL) | BIT(SYS_TSS_BUSY) | BIT(SYS_CALL);
	u32 lar_long = BIT(SYS_LDT) | BIT(SYS_TSS_AVAIL) | BIT(SYS_TSS_BUSY) |
		       BIT(SYS_CALL);
	u32 mask = c->long_mode ? lar_long : lar_legacy;

	if (lsl)
		mask &= ~(u32)(BIT(SYS_CALL16) | BIT(SYS_TASK) | BIT(SYS_CALL));
	return (desc_type(d) & 0x10) || (mask >> desc_type(d) & 1);
}

void sys_lar(struct tcg_cpu *c, const struct insn *i)
{
	u16 sel = sys_read16(c, i);
	bool ok;
	u64 d;

	ok = sys_visible(c, sel, &d) && sys_type_ok(c, d, false);
	sys_set_zf(c, ok);
	if (ok)
		sys_set_reg(c, i->reg, d >> 32 & 0xffff00, i->opsize);
}

void sys_lsl(struct tcg_cpu *c, const struct insn *i)
{
	u16 sel = sys_read16(c, i);
	bool ok;
	u64 d;

	ok = sys_visible(c, sel, &d) && sys_type_ok(c, d, true);
	sys_set_zf(c, ok);
	if (ok)
		sys_set_reg(c, i->reg, desc_limit(d), i->opsize);
}

void sys_arpl(struct tcg_cpu *c, const struct insn *i)
{
	u16 dst, src = c->gpr[i->reg] & 3;

	if (i->is_mem)
		dst = tcg_ld16(c, insn_linear(c, i, 2, false));
	else
		dst = (u16)c->gpr[i->rm];
	if (SEL_RPL(dst) < src) {
		u16 v = (dst & ~3) | src;

		if (i->is_mem)
			tcg_st16(c, insn_linear(c, i, 2, true), v);
		else
			sys_set_reg(c, i->rm, v, 2);
	}
	sys_set_zf(c, SEL_RPL(dst) < src);
}

/* ---- Segment registers ---- */

void sys_mov_from_sreg(struct tcg_cpu *c, const struct insn *i)
{
	u8 seg = i->reg & 7;

	if (seg >= SEG_COUNT)
		tcg_raise(c, EXC_UD);
	sys_write16(c, i, c->s->seg[seg].sel);
}

void sys_mov_to_sreg(struct tcg_cpu *c, const struct insn *i)
{
	u8 seg = i->reg & 7;

	if (seg >= SEG_COUNT || seg == SEG_CS)
		tcg_raise(c, EXC_UD);
	tcg_load_seg(c, seg, sys_read16(c, i));
	if (seg == SEG_SS)
		c->shadow = SHADOW_SS;
}

void sys_push_sreg(struct tcg_cpu *c, const struct insn *i)
{
	u16 sel = c->s->seg[i->opcode >> 3 & 7].sel;
	struct seg_stack k;

	if (i->opsize != 4 || c->mode_key & MODE_AMD) {
		tcg_push(c, sel, i->opsize);
		return;
	}
	/* Intel leaves the upper half of the slot as it was (SDM 2 "PUSH"). */
	stack_current(c, &k);
	k.sp -= 2;
	stack_push(c, &k, sel, 2);
	stack_commit_sp(c, k.sp, k.mask);
}

void sys_pop_sreg(struct tcg_cpu *c, const struct insn *i)
{
	int seg = i->opcode >> 3 & 7;
	struct seg_stack k;
	u16 sel;

	stack_current(c, &k);
	sel = stack_pop(c, &k, i->opsize);
	tcg_load_seg(c, seg, sel);
	stack_commit_sp(c, k.sp, k.mask);
	if (seg == SEG_SS)
		c->shadow = SHADOW_SS;
}

void sys_lxs(struct tcg_cpu *c, const struct insn *i)
{
	u16 sel;
	u64 off = sys_far_pointer(c, i, &sel);
	int seg;

	switch (i->opcode) {
	case 0xc4: seg = SEG_ES; break;
	case 0xc5: seg = SEG_DS; break;
	case 0xb2: seg = SEG_SS; break;
	case 0xb4: seg = SEG_FS; break;
	default: seg = SEG_GS; break;
	}
	tcg_load_seg(c, seg, sel);
	sys_set_reg(c, i->reg, off, i->opsize);
}

static void sys_need_fsgsbase(struct tcg_cpu *c)
{
	if (!(c->s->cr4 & CR4_FSGSBASE))
		tcg_raise(c, EXC_UD);
}

void sys_set_base(struct tcg_cpu *c, int seg, u64 base)
{
	if (!canonical(base))
		tcg_raise_code(c, EXC_GP, 0);
	c->s->seg[seg].base = base;
	c->seg_base[seg] = base;
}

void sys_rdfsbase(struct tcg_cpu *c, const struct insn *i)
{
	sys_need_fsgsbase(c);
	sys_set_reg(c, i->rm, c->s->seg[SEG_FS].base, i->opsize);
}

void sys_rdgsbase(struct tcg_cpu *c, const struct insn *i)
{
	sys_need_fsgsbase(c);
	sys_set_reg(c, i->rm, c->s->seg[SEG_GS].base, i->opsize);
}

void sys_wrfsbase(struct tcg_cpu *c, const struct insn *i)
{
	u64 base = c->gpr[i->rm];

	sys_need_fsgsbase(c);
	sys_set_base(c, SEG_FS, i->opsize == 8 ? base : (u32)base);
}

void sys_wrgsbase(struct tcg_cpu *c, const struct insn *i)
{
	u64 base = c->gpr[i->rm];

	sys_need_fsgsbase(c);
	sys_set_base(c, SEG_GS, i->opsize == 8 ? base : (u32)base);
}

void sys_swapgs(struct tcg_cpu *c, const struct insn *i)
{
	u64 base = c->s->seg[SEG_GS].base;

	sys_need_cpl0(c);
	c->s->seg[SEG_GS].base = c->s->kernel_gs_base;
	c->seg_base[SEG_GS] = c->s->kernel_gs_base;
	c->s->kernel_gs_base = base;
}

/* ---- Flags ---- */

static int sys_iopl(const struct tcg_cpu *c)
{
	return c->eflags >> 12 & 3;
}

/* CLI and STI below IOPL: VIF with CR4.VME or CR4.PVI, else #GP. */
static bool sys_use_vif(struct tcg_cpu *c)
{
	bool v86 = c->eflags & RFLAGS_VM;

	if (!(c->s->cr0 & CR0_PE) || c->cpl <= sys_iopl(c))
		return false;
	if (c->cpl == 3 && (c->s->cr4 & (v86 ? CR4_VME : CR4_PVI)))
		return true;
	tcg_raise_code(c, EXC_GP, 0);
}

void sys_cli(struct tcg_cpu *c, const struct insn *i)
{
	if (sys_use_vif(c))
		c->eflags &= ~(u64)RFLAGS_VIF;
	else
		c->eflags &= ~(u64)RFLAGS_IF;
}

void sys_sti(struct tcg_cpu *c, const struct insn *i)
{
	if (sys_use_vif(c)) {
		if (c->eflags & RFLAGS_VIP)
			tcg_raise_code(c, EXC_GP, 0);
		c->eflags |= RFLAGS_VIF;
		return;
	}
	if (c->eflags & RFLAGS_IF)
		return;
	c->eflags |= RFLAGS_IF;
	c->shadow = SHADOW_STI;
	c->end_block = true;
	tcg_irq_opened(c);
}

/* Virtual-8086 mode below IOPL 3: only 16-bit PUSHF and POPF with VME. */
static bool sys_flags_vme(struct tcg_cpu *c, int opsize)
{
	if (!(c->eflags & RFLAGS_VM) || sys_iopl(c) == 3)
		return false;
	if (!(c->s->cr4 & CR4_VME) || opsize != 2)
		tcg_raise_code(c, EXC_GP, 0);
	return true;
}

void sys_pushf(struct tcg_cpu *c, const struct insn *i)
{
	u64 flags = tcg_rflags(c) & ~(u64)(RFLAGS_VM | RFLAGS_RF);

	if (sys_flags_vme(c, i->opsize)) {
		flags = (flags & ~(u64)RFLAGS_IF) | RFLAGS_IOPL;
		if (c->eflags & RFLAGS_VIF)
			flags |= RFLAGS_IF;
	}
	tcg_push(c, flags, i->opsize);
}

#define POPF_FLAGS                                                   \
	(RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | \
	 RFLAGS_TF | RFLAGS_DF | RFLAGS_OF | RFLAGS_NT | RFLAGS_AC | \
	 RFLAGS_ID)

void sys_popf(struct tcg_cpu *c, const struct insn *i)
{
	bool vme = sys_flags_vme(c, i->opsize);
	bool was_if = c->eflags & RFLAGS_IF;
	u64 mask = POPF_FLAGS;
	struct seg_stack k;
	u64 flags;

	stack_current(c, &k);
	flags = stack_pop(c, &k, i->opsize);
	if (vme) {
		if ((flags & RFLAGS_TF) ||
		    ((flags & RFLAGS_IF) && (c->eflags & RFLAGS_VIP)))
			tcg_raise_code(c, EXC_GP, 0);
		flags = flags & RFLAGS_IF ? flags | RFLAGS_VIF : flags;
		tcg_set_rflags(c, flags, (mask & 0xffff) | RFLAGS_VIF);
	} else {
		if (!(c->s->cr0 & CR0_PE) || c->cpl <= sys_iopl(c))
			mask |= RFLAGS_IF;
		if (c->cpl == 0)
			mask |= RFLAGS_IOPL;
		if (i->opsize == 2)
			mask &= 0xffff;
		tcg_set_rflags(c, flags, mask);
		c->eflags &= ~(u64)RFLAGS_RF;
	}
	stack_commit_sp(c, k.sp, k.mask);
	tcg_mode_changed(c);
	if (!was_if && (c->eflags & RFLAGS_IF))
		tcg_irq_opened(c);
}

static void sys_set_ac(struct tcg_cpu *c, bool on)
{
	if (c->cpl)
		tcg_raise(c, EXC_UD);
	if (on)
		c->eflags |= RFLAGS_AC;
	else
		c->eflags &= ~(u64)RFLAGS_AC;
	c->mmu = seg_mmu(c, 0);
}

void sys_clac(struct tcg_cpu *c, const struct insn *i)
{
	sys_set_ac(c, false);
}

void sys_stac(struct tcg_cpu *c, const struct insn *i)
{
	sys_set_ac(c, true);
}

/* ---- Caches and TLB ---- */

void sys_invlpg(struct tcg_cpu *c, const struct insn *i)
{
	gva_t va = insn_ea(c, i) + c->seg_base[i->seg];

	sys_need_cpl0(c);
	tcg_tlb_flush_page(c, c->code64 ? va : (u32)va);
}

/* SDM 2 INVPCID. */
void sys_invpcid(struct tcg_cpu *c, const struct insn *i)
{
	u64 type = c->code64 ? c->gpr[i->reg] : (u32)c->gpr[i->reg];
	u64 pcid, va;
	gva_t at;

	sys_need_cpl0(c);
	at = insn_linear(c, i, 16, false);
	pcid = tcg_ld64(c, at);
	va = tcg_ld64(c, at + 8);
	if (type > 3 || (type < 2 && (pcid >> 12)) ||
	    (type == 0 && !canonical(va)) ||
	    (type < 2 && pcid && !(c->s->cr4 & CR4_PCIDE)))
		tcg_raise_code(c, EXC_GP, 0);
	/* Nothing of another PCID is cached. */
	if (type == 0)
		tcg_tlb_flush_page(c, va);
	else
		tcg_tlb_flush(c, type == 2);
}

void sys_wbinvd(struct tcg_cpu *c, const struct insn *i)
{
	sys_need_cpl0(c);
}

void sys_invd(struct tcg_cpu *c, const struct insn *i)
{
	sys_need_cpl0(c);
}

/* ---- Time and identification ---- */

static void sys_set_edx_eax(struct tcg_cpu *c, u64 value)
{
	c->gpr[REG_RAX] = (u32)value;
	c->gpr[REG_RDX] = value >> 32;
}

static void sys_need_tsc(struct tcg_cpu *c)
{
	if (c->cpl && (c->s->cr4 & CR4_TSD))
		tcg_raise_code(c, EXC_GP, 0);
}

void tcg_tsc_changed(struct tcg_cpu *c)
{
	c->tsc_base = vcpu_tsc_base(c->v);
	c->tsc_direct =
		atomic_load(&c->m->vclock_running) && !(c->s->cr4 & CR4_TSD);
}

void sys_rdtsc(struct tcg_cpu *c, const struct insn *i)
{
	sys_need_tsc(c);
	sys_set_edx_eax(c, vcpu_tsc(c->v));
}

void sys_rdtscp(struct tcg_cpu *c, const struct insn *i)
{
	sys_need_tsc(c);
	sys_set_edx_eax(c, vcpu_tsc(c->v));
	c->gpr[REG_RCX] = (u32)c->s->tsc_aux;
}

void sys_rdpid(struct tcg_cpu *c, const struct insn *i)
{
	c->gpr[i->rm] = (u32)c->s->tsc_aux;
}

/* There are no performance counters. */
void sys_rdpmc(struct tcg_cpu *c, const struct insn *i)
{
	tcg_raise_code(c, EXC_GP, 0);
}

void sys_cpuid(struct tcg_cpu *c, const struct insn *i)
{
	u32 out[4];

	tcg_cpuid(c, c->gpr[REG_RAX], c->gpr[REG_RCX], out);
	c->gpr[REG_RAX] = out[0];
	c->gpr[REG_RBX] = out[1];
	c->gpr[REG_RCX] = out[2];
	c->gpr[REG_RDX] = out[3];
}

static void sys_random(struct tcg_cpu *c, const struct insn *i)
{
	u64 value = 0;
	bool ok = getrandom(&value, sizeof value, 0) == sizeof value;

	sys_set_reg(c, i->rm, ok ? value : 0, i->opsize);
	tcg_set_rflags(c, ok ? RFLAGS_CF : 0,
		       RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF |
			       RFLAGS_SF | RFLAGS_OF);
}

void sys_rdrand(struct tcg_cpu *c, const struct insn *i)
{
	sys_random(c, i);
}

void sys_rdseed(struct tcg_cpu *c, const struct insn *i)
{
	sys_random(c, i);
}

/* ---- Extended control register ---- */

#define XCR0_X87 BIT(0)
#define XCR0_SSE BIT(1)
#define XCR0_AVX BIT(2)

static void sys_need_osxsave(struct tcg_cpu *c)
{
	if (!(c->s->cr4 & CR4_OSXSAVE))
		tcg_raise(c, EXC_UD);
}

void sys_xgetbv(struct tcg_cpu *c, const struct insn *i)
{
	u32 out[4];

	sys_need_osxsave(c);
	switch ((u32)c->gpr[REG_RCX]) {
	case 0: sys_set_edx_eax(c, c->s->xcr0); return;
	case 1:
		/* Which components are in use: every enabled one. */
		tcg_cpuid(c, 0xd, 1, out);
		if (out[0] & BIT(2)) {
			sys_set_edx_eax(c, c->s->xcr0);
			return;
		}
	}
	tcg_raise_code(c, EXC_GP, 0);
}

void sys_xsetbv(struct tcg_cpu *c, const struct insn *i)
{
	u64 value = (u32)c->gpr[REG_RAX] | c->gpr[REG_RDX] << 32;
	u32 out[4];

	sys_need_osxsave(c);
	sys_need_cpl0(c);
	tcg_cpuid(c, 0xd, 0, out);
	if ((u32)c->gpr[REG_RCX] || !(value & XCR0_X87) ||
	    (value & ~(out[0] | (u64)out[3] << 32)) ||
	    ((value & XCR0_AVX) && !(value & XCR0_SSE)))
		tcg_raise_code(c, EXC_GP, 0);
	c->s->xcr0 = value;
	tcg_mode_changed(c);
}

/* ---- Waiting ---- */

void sys_hlt(struct tcg_cpu *c, const struct insn *i)
{
	sys_need_cpl0(c);
	c->halted = true;
}

/* MWAIT is not offered. */
void sys_monitor(struct tcg_cpu *c, const struct insn *i)
{
	tcg_raise(c, EXC_UD);
}

void sys_mwait(struct tcg_cpu *c, const struct insn *i)
{
	tcg_raise(c, EXC_UD);
}

/* KVM's hypercalls (Documentation/virt/kvm/x86/hypercalls.rst). */
#define KVM_HC_SEND_IPI 10
#define KVM_ENOSYS      1000
#define KVM_EPERM       1
#define KVM_EINVAL      22
#define MSI_BASE        0xfee00000u

/* One interrupt to each APIC ID of a bitmap that starts at `first`. */
static int sys_send_ipis(struct tcg_cpu *c)
{
	bool wide = c->code64;
	u64 low = c->gpr[REG_RBX], high = c->gpr[REG_RCX];
	u32 first = c->gpr[REG_RDX], icr = c->gpr[REG_RSI];
	u32 bits = wide ? 64 : 32, at;
	int sent = 0;

	/* Fixed or NMI, physical, no shorthand. */
	if ((icr & ~0x40ffu) && (icr & ~0x40ffu) != 0x400)
		return -KVM_EINVAL;
	for (int n = 0; n < c->m->nvcpus; n++) {
		const struct vcpu *v = c->m->vcpus[n];
		u32 id = v ? v->apic_id : 0;

		if (!v || id < first || id - first >= 2 * bits)
			continue;
		at = id - first;
		if (!((at < bits ? low >> at : high >> (at - bits)) & 1))
			continue;
		msi_send(c->m,
			 &(struct msi){ MSI_BASE | id << 12, icr & 0x7ff });
		sent++;
	}
	return sent;
}

void sys_vmcall(struct tcg_cpu *c, const struct insn *i)
{
	int r = -KVM_ENOSYS;

	if (!pvclock_is_kvm(c))
		tcg_raise(c, EXC_UD);
	if (c->cpl)
		r = -KVM_EPERM;
	else if ((u32)c->gpr[REG_RAX] == KVM_HC_SEND_IPI)
		r = sys_send_ipis(c);
	c->gpr[REG_RAX] = c->code64 ? (u64)(s64)r : (u32)r;
}

/* ---- Not offered ---- */

void sys_rsm(struct tcg_cpu *c, const struct insn *i)
{
	tcg_raise(c, EXC_UD);
}

void sys_rdpru(struct tcg_cpu *c, const struct insn *i)
{
	tcg_raise(c, EXC_UD);
}

void sys_clzero(struct tcg_cpu *c, const struct insn *i)
{
	tcg_raise(c, EXC_UD);
}

void sys_xabort(struct tcg_cpu *c, const struct insn *i)
{
	tcg_raise(c, EXC_UD);
}
