/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Instructions that change privilege: far transfers, software interrupts,
 * fast system calls.
 *
 * Spec: SDM 2 SYSCALL, SYSRET, SYSENTER, SYSEXIT, INT n; APM 3 for AMD's.
 */
#include "tcg/jit.h"
#include "tcg/seg.h"
#include "tcg/system.h"
#include "vmm/machine.h"

static bool sys_amd(const struct tcg_cpu *c)
{
	return c->mode_key & MODE_AMD;
}

/* ---- Far transfers ---- */

void sys_callf(struct tcg_cpu *c, const struct insn *i)
{
	tcg_far_call(c, i->sel, i->imm, i->opsize);
}

void sys_jmpf(struct tcg_cpu *c, const struct insn *i)
{
	tcg_far_jump(c, i->sel, i->imm, i->opsize);
}

u64 sys_far_pointer(struct tcg_cpu *c, const struct insn *i, u16 *ret_sel)
{
	u32 size = sys_amd(c) ? MIN(i->opsize, 4) : i->opsize;
	gva_t va = insn_linear(c, i, size + 2, false);
	u64 off = tcg_ld(c, va, size);

	*ret_sel = tcg_ld16(c, va + size);
	return off;
}

void sys_callf_mem(struct tcg_cpu *c, const struct insn *i)
{
	u16 sel;
	u64 off = sys_far_pointer(c, i, &sel);

	tcg_far_call(c, sel, off, i->opsize);
}

void sys_jmpf_mem(struct tcg_cpu *c, const struct insn *i)
{
	u16 sel;
	u64 off = sys_far_pointer(c, i, &sel);

	tcg_far_jump(c, sel, off, i->opsize);
}

void sys_retf(struct tcg_cpu *c, const struct insn *i)
{
	tcg_far_ret(c, i->opsize, i->opcode == 0xca ? i->imm & 0xffff : 0);
}

void sys_iret(struct tcg_cpu *c, const struct insn *i)
{
	tcg_iret(c, i->opsize);
}

/* ---- Software interrupts ---- */

_Noreturn static void int_raise(struct tcg_cpu *c, u8 vector)
{
	c->soft_next = c->rip;
	c->rip = tcg_this_rip(c, c->ip);
	c->exc.vector = vector;
	c->exc.has_code = false;
	c->exc.code = 0;
	c->exc.soft = true;
	siglongjmp(c->unwind, 1);
}

/* SDM 3B "Class 3: Software Interrupt Handling in Virtual-8086 Mode": does
 * the TSS send this vector to the 8086 program's own handler? */
static bool int_redirected(struct tcg_cpu *c, u8 vector)
{
	const struct cpu_segment *tr = &c->s->tr;
	u32 at;

	if (!(c->s->cr4 & CR4_VME) || !(tr->attr & 8) || tr->limit < 0x67)
		return false;
	at = tcg_ld16_mmu(c, tr->base + 0x66, MMU_KERNEL);
	if (at < 32 || at > tr->limit + 1u)
		return false;
	at = at - 32 + vector / 8;
	return !(tcg_ld8_mmu(c, tr->base + at, MMU_KERNEL) & BIT(vector % 8));
}

static void int_to_v86(struct tcg_cpu *c, u8 vector)
{
	bool low = (c->eflags & RFLAGS_IOPL) != RFLAGS_IOPL;
	u32 entry = tcg_ld32(c, vector * 4);
	u64 flags = tcg_rflags(c);
	struct seg_stack k;

	if (low) {
		flags = (flags & ~(u64)RFLAGS_IF) | RFLAGS_IOPL;
		if (c->eflags & RFLAGS_VIF)
			flags |= RFLAGS_IF;
	}
	stack_current(c, &k);
	stack_push(c, &k, flags, 2);
	stack_push(c, &k, c->s->seg[SEG_CS].sel, 2);
	stack_push(c, &k, c->rip, 2);
	stack_commit_sp(c, k.sp, k.mask);
	seg_set_real(c, SEG_CS, entry >> 16);
	c->rip = entry & 0xffff;
	c->eflags &=
		~(u64)(RFLAGS_TF | RFLAGS_NT | (low ? RFLAGS_VIF : RFLAGS_IF));
	tcg_mode_changed(c);
}

void sys_intn(struct tcg_cpu *c, const struct insn *i)
{
	u8 vector = i->imm;

	if (c->eflags & RFLAGS_VM) {
		if (int_redirected(c, vector)) {
			int_to_v86(c, vector);
			return;
		}
		if ((c->eflags & RFLAGS_IOPL) != RFLAGS_IOPL)
			tcg_raise_code(c, EXC_GP, 0);
	}
	int_raise(c, vector);
}

void sys_int3(struct tcg_cpu *c, const struct insn *i)
{
	int_raise(c, EXC_BP);
}

void sys_into(struct tcg_cpu *c, const struct insn *i)
{
	if (tcg_rflags(c) & RFLAGS_OF)
		int_raise(c, EXC_OF);
}

/* A trap without a look at the gate's DPL; RIP is past it already.  One #DB
 * tells of a watchpoint that MOV SS held off, too. */
void sys_int1(struct tcg_cpu *c, const struct insn *i)
{
	if (c->db_pending)
		c->s->dr[6] = (c->s->dr[6] & ~15ULL) | c->db_pending;
	c->db_pending = 0;
	c->ip = NULL;
	tcg_raise(c, EXC_DB);
}

/* ---- Fast system calls ---- */

#define ATTR_CODE32 0xc09b /* ... D, G */

static void flat_set(struct tcg_cpu *c, int seg, u16 sel, u16 attr, int dpl)
{
	struct cpu_segment s = {
		.sel = sel,
		.limit = 0xffffffff,
		.attr = attr | dpl << 5,
	};

	seg_set(c, seg, &s);
}

static void sys_need_sce(struct tcg_cpu *c)
{
	if (!(c->s->efer & EFER_SCE) || !(c->s->cr0 & CR0_PE) ||
	    (!c->code64 && !sys_amd(c)))
		tcg_raise(c, EXC_UD);
}

/* Here TF counts as it is at the end: the system does not see a program's
 * steps, which go on from where it returns to. */
static void step_by_new_tf(struct tcg_cpu *c)
{
	c->step_tf = false;
	if (c->eflags & RFLAGS_TF)
		tcg_debug_trap(c, DR6_BS);
}

void sys_syscall(struct tcg_cpu *c, const struct insn *i)
{
	struct cpu_state *s = c->s;
	u16 sel = s->star >> 32 & 0xfffc;

	sys_need_sce(c);
	if (c->long_mode) {
		u64 flags = tcg_rflags(c) & ~(u64)RFLAGS_RF;
		u64 keep = ~(s->fmask | RFLAGS_RF);

		c->gpr[REG_RCX] = c->rip;
		c->gpr[REG_R11] = flags;
		c->rip = c->code64 ? s->lstar : s->cstar;
		tcg_set_rflags(c, (flags & keep) | RFLAGS_FIXED, UINT32_MAX);
		flat_set(c, SEG_CS, sel, ATTR_CODE64, 0);
	} else {
		c->gpr[REG_RCX] = c->rip;
		c->rip = (u32)s->star;
		c->eflags &= ~(u64)(RFLAGS_VM | RFLAGS_IF | RFLAGS_RF);
		flat_set(c, SEG_CS, sel, ATTR_CODE32, 0);
	}
	flat_set(c, SEG_SS, sel + 8, ATTR_DATA, 0);
	tcg_mode_changed(c);
	step_by_new_tf(c);
	jit_sys_look(c);
}

void sys_sysret(struct tcg_cpu *c, const struct insn *i)
{
	struct cpu_state *s = c->s;
	bool was_if = c->eflags & RFLAGS_IF;
	bool to64 = i->opsize == 8;
	u16 sel = s->star >> 48;
	u64 rip;

	sys_need_sce(c);
	sys_need_cpl0(c);
	rip = to64 ? c->gpr[REG_RCX] : (u32)c->gpr[REG_RCX];
	/* AMD jumps first and faults in ring 3. */
	if (to64 && !sys_amd(c) && !canonical(rip))
		tcg_raise_code(c, EXC_GP, 0);
	if (c->long_mode)
		tcg_set_rflags(c,
			       (c->gpr[REG_R11] & SYSRET_FLAGS) | RFLAGS_FIXED,
			       UINT32_MAX & ~(u32)RFLAGS_VM);
	else
		c->eflags |= RFLAGS_IF;
	if (to64)
		flat_set(c, SEG_CS, (sel + 16) | 3, ATTR_CODE64, 3);
	else
		flat_set(c, SEG_CS, sel | 3, ATTR_CODE32, 3);
	flat_set(c, SEG_SS, (sel + 8) | 3, ATTR_DATA, 3);
	c->rip = rip;
	tcg_mode_changed(c);
	step_by_new_tf(c);
	jit_sys_look(c);
	if (!was_if && (c->eflags & RFLAGS_IF))
		tcg_irq_opened(c);
}

void sys_sysenter(struct tcg_cpu *c, const struct insn *i)
{
	struct cpu_state *s = c->s;
	u16 sel = s->sysenter_cs & 0xfffc;

	if (c->long_mode && sys_amd(c))
		tcg_raise(c, EXC_UD);
	if (!sel)
		tcg_raise_code(c, EXC_GP, 0);
	c->eflags &= ~(u64)(RFLAGS_VM | RFLAGS_IF | RFLAGS_RF);
	flat_set(c, SEG_CS, sel, c->long_mode ? ATTR_CODE64 : ATTR_CODE32, 0);
	flat_set(c, SEG_SS, sel + 8, ATTR_DATA, 0);
	c->gpr[REG_RSP] = c->long_mode ? s->sysenter_esp : (u32)s->sysenter_esp;
	c->rip = c->long_mode ? s->sysenter_eip : (u32)s->sysenter_eip;
	tcg_mode_changed(c);
}

void sys_sysexit(struct tcg_cpu *c, const struct insn *i)
{
	struct cpu_state *s = c->s;
	u16 sel = s->sysenter_cs & 0xfffc;
	bool to64 = i->opsize == 8;
	u64 rip, rsp;

	if (c->cpl)
		tcg_raise_code(c, EXC_GP, 0);
	if (c->long_mode && sys_amd(c))
		tcg_raise(c, EXC_UD);
	if (!sel)
		tcg_raise_code(c, EXC_GP, 0);
	rip = to64 ? c->gpr[REG_RDX] : (u32)c->gpr[REG_RDX];
	rsp = to64 ? c->gpr[REG_RCX] : (u32)c->gpr[REG_RCX];
	if (to64 && (!canonical(rip) || !canonical(rsp)))
		tcg_raise_code(c, EXC_GP, 0);
	flat_set(c, SEG_CS, (sel + (to64 ? 32 : 16)) | 3,
		 to64 ? ATTR_CODE64 : ATTR_CODE32, 3);
	flat_set(c, SEG_SS, (sel + (to64 ? 40 : 24)) | 3, ATTR_DATA, 3);
	c->rip = rip;
	c->gpr[REG_RSP] = rsp;
	tcg_mode_changed(c);
}
