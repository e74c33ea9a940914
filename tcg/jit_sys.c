/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * SYSCALL, SYSRET and SWAPGS in translated code, as 64-bit kernels use them:
 * a SYSCALL from ring 3 that clears IF, TF, AC and the arithmetic flags, and
 * a SYSRET to 64-bit code below half that leaves TF and AC clear.  Whether the
 * MSRs are like that is found out by the handlers (jit_sys_look()), and
 * forgotten when one of them is written; they do all else.
 *
 * Neither changes the mode but for the privilege, vector and x87 registers
 * stay live, and code goes on by the jump cache.
 *
 * Spec: SDM 2B "SYSCALL", "SYSRET", "SWAPGS".
 */
#include "tcg/flags.h"
#include "tcg/jit_gen.h"
#include "tcg/seg.h"

#define CPU(field) (s32) offsetof(struct cpu_state, field)

/* What SYSCALL has to clear. */
#define SYS_CLEARS (RFLAGS_IF | RFLAGS_TF | RFLAGS_AC | RFLAGS_ARITH)

static u64 sys_key(const struct tcg_cpu *c, u8 cpl, u8 mmu)
{
	return JIT_TAG(c->mode_key | (u32)cpl << JIT_KEY_CPL_SHIFT |
		       (u32)mmu << JIT_KEY_MMU_SHIFT);
}

void jit_sys_look(struct tcg_cpu *c)
{
	const struct cpu_state *s = c->s;

	/* No selector runs over. */
	c->sys_direct = c->jit && c->long_mode && c->code64 &&
			!(c->mode_key & MODE_STEP) && (s->efer & EFER_SCE) &&
			(s->fmask & SYS_CLEARS) == SYS_CLEARS &&
			(s->star >> 32 & 0xffff) < 0xfff0 &&
			s->star >> 48 < 0xffe0;
	c->sys_key[0] = sys_key(c, 0, MMU_KERNEL);
	c->sys_key[1] = sys_key(c, 3, MMU_USER);
}

/* EAX: selector.  R10: c->s. */
static void sys_segment(struct jit_emit *e, int seg, u32 attr)
{
	s32 at = CPU(seg) + seg * (s32)sizeof(struct cpu_segment);

	em8(e, 0x0d); /* or eax, attr << 16 */
	em32(e, attr << 16);
	em_rm(e, 0x89, H_RAX,
	      rm_mem(H_R10, at + (s32)offsetof(struct cpu_segment, sel)));
	_Static_assert(offsetof(struct cpu_segment, attr) ==
			       offsetof(struct cpu_segment, sel) + 2,
		       "one store");
	em_rm(e, EM_W | 0xc7, 0,
	      rm_mem(H_R10, at + (s32)offsetof(struct cpu_segment, base)));
	em32(e, 0);
	em_rm(e, 0xc7, 0,
	      rm_mem(H_R10, at + (s32)offsetof(struct cpu_segment, limit)));
	em32(e, UINT32_MAX);
}

/* Clobbers RAX. */
static void sys_privilege(struct jit_emit *e, u8 cpl, u8 mmu)
{
	em_rm(e, 0xc6, 0, STATE(cpl)); /* mov byte */
	em8(e, cpl);
	em_rm(e, 0xc6, 0, STATE(mmu));
	em8(e, mmu);
	em_load(e, H_RAX, STATE(sys_key[cpl == 3]));
	em_store(e, STATE(jit_key), H_RAX);
	em_rm(e, EM_W | 0x0b, H_RAX, STATE(jump_epoch[cpl == 3])); /* or */
	em_store(e, STATE(jump_key), H_RAX);
}

static void sys_go(struct jit *j, u8 ring3)
{
	em_mov_imm(&j->e, H_RAX, JIT_BRANCH(0, JIT_BRANCH_NONE, 0));
	em_to(em_jmp(&j->e), j->lookup[ring3]);
}

/* Jumped to; R10: the next instruction's address. */
u8 *jit_sys_call(struct jit *j)
{
	struct jit_emit *e = &j->e;
	u8 *start = e->at;

	em_mov(e, H_RCX, H_R10);
	em_rm(e, EM_0F | 0xb7, H_R10, STATE(cc)); /* movzx */
	em_rm(e, 0x89, H_R10, rm_reg(H_RAX));
	em_rm(e, 0xc1, 5, rm_reg(H_R10)); /* shr r10d, 8 */
	em8(e, 8);
	em_rm(e, 0x81, 4, rm_reg(H_R10)); /* and r10d */
	em32(e, RFLAGS_LOW);
	em_rm(e, 0x83, 4, rm_reg(H_RAX)); /* and eax, OF */
	em8(e, CC_OF);
	em_rm(e, 0xc1, 4, rm_reg(H_RAX)); /* shl eax, 11 */
	em8(e, 11);
	em_rm(e, 0x09, H_RAX, rm_reg(H_R10)); /* or r10d, eax */
	em_rm(e, 0x8b, H_RAX, STATE(eflags));
	em8(e, 0x25); /* and eax */
	em32(e, ~(u32)RFLAGS_RF);
	em_rm(e, 0x09, H_RAX, rm_reg(H_R10));
	em_store(e, gen_slot(REG_R11), H_R10);
	em_load(e, H_R10, STATE(s));
	em_rm(e, 0x8b, H_R10, rm_mem(H_R10, CPU(fmask)));
	em_rm(e, 0xf7, 2, rm_reg(H_R10));     /* not r10d */
	em_rm(e, 0x21, H_R10, rm_reg(H_RAX)); /* and eax, r10d */
	em_rm(e, 0x83, 1, rm_reg(H_RAX));     /* or eax */
	em8(e, RFLAGS_FIXED);
	em_store(e, STATE(eflags), H_RAX);
	em_rm(e, 0xc7, 0, STATE(cc));
	em32(e, CC_FIXED);
	em_load(e, H_R10, STATE(s));
	em_rm(e, 0x8b, H_RAX, rm_mem(H_R10, CPU(star) + 4));
	em8(e, 0x25);
	em32(e, 0xfffc);
	sys_segment(e, SEG_CS, ATTR_CODE64);
	em_rm(e, EM_0F | 0xb7, H_RAX, rm_reg(H_RAX));
	em_rm(e, 0x83, 0, rm_reg(H_RAX)); /* add eax */
	em8(e, 8);
	sys_segment(e, SEG_SS, ATTR_DATA);
	sys_privilege(e, 0, MMU_KERNEL);
	em_load(e, H_R10, rm_mem(H_R10, CPU(lstar)));
	sys_go(j, 0);
	return start;
}

/* Jumped to; R10: R11, which is what it may be. */
u8 *jit_sys_ret(struct jit *j)
{
	struct jit_emit *e = &j->e;
	u8 *start = e->at;

	em_rm(e, 0x89, H_R10, rm_reg(H_RAX));
	em8(e, 0x25); /* and eax */
	em32(e, SYSRET_FLAGS & ~(u32)RFLAGS_ARITH);
	em_rm(e, 0x83, 1, rm_reg(H_RAX)); /* or eax */
	em8(e, RFLAGS_FIXED);
	em_store(e, STATE(eflags), H_RAX);
	em_rm(e, 0x89, H_R10, rm_reg(H_RAX));
	em8(e, 0x25);
	em32(e, RFLAGS_LOW);
	em_rm(e, 0xc1, 4, rm_reg(H_RAX)); /* shl eax, 8 */
	em8(e, 8);
	em8(e, 0x0d); /* or eax */
	em32(e, CC_FIXED);
	em_rm(e, 0xc1, 5, rm_reg(H_R10)); /* shr r10d, 11 */
	em8(e, 11);
	em_rm(e, 0x83, 4, rm_reg(H_R10)); /* and r10d, OF */
	em8(e, CC_OF);
	em_rm(e, 0x09, H_R10, rm_reg(H_RAX));
	em_rm(e, 0x89, H_RAX, STATE(cc));
	for (int n = 0; n < 2; n++) {
		em_load(e, H_R10, STATE(s));
		em_rm(e, EM_0F | 0xb7, H_RAX, rm_mem(H_R10, CPU(star) + 6));
		em_rm(e, 0x83, 0, rm_reg(H_RAX)); /* add eax */
		em8(e, n ? 8 : 16);
		em_rm(e, 0x83, 1, rm_reg(H_RAX)); /* or eax, RPL */
		em8(e, 3);
		if (n)
			sys_segment(e, SEG_SS, ATTR_DATA | 3 << 5);
		else
			sys_segment(e, SEG_CS, ATTR_CODE64 | 3 << 5);
	}
	sys_privilege(e, 3, MMU_USER);
	em_mov(e, H_R10, H_RCX);
	sys_go(j, 1);
	return start;
}

static u8 *sys_unless_direct(struct gen *g)
{
	em_rm(&g->e, 0x80, 7, STATE(sys_direct)); /* cmp byte, 0 */
	em8(&g->e, 0);
	return em_jcc(&g->e, 4);
}

void gen_syscall(struct gen *g)
{
	struct jit_emit *e = &g->e;
	u8 *slow;

	gen_settle_flags(g);
	if (g->cpl == 3) {
		slow = sys_unless_direct(g);
		em_load(e, H_R10, gen_slot(INSN_RIP));
		em_lea(e, H_R10, rm_mem(H_R10, (s32)(g->off + g->i->len)));
		em_to(em_jmp(e), g->j->sys_call);
		em_here(e, slow);
	}
	gen_step(g);
}

void gen_sysret(struct gen *g)
{
	struct jit_emit *e = &g->e;
	u8 *slow[4];

	gen_settle_flags(g);
	if (!g->cpl && g->i->opsize == 8) {
		slow[0] = sys_unless_direct(g);
		em_rm(e, 0x80, 7, STATE(irq_wait)); /* cmp byte, 0 */
		em8(e, 0);
		slow[1] = em_jcc(e, 5);
		em_mov(e, H_RAX, H_RCX);
		em_rm(e, EM_W | 0xc1, 5, rm_reg(H_RAX)); /* shr rax, 47 */
		em8(e, 47);
		slow[2] = em_jcc(e, 5);
		em_load(e, H_R10, gen_slot(REG_R11));
		em_rm(e, 0xf7, 0, rm_reg(H_R10)); /* test r10d */
		em32(e, RFLAGS_TF | RFLAGS_AC);
		slow[3] = em_jcc(e, 5);
		em_to(em_jmp(e), g->j->sys_ret);
		for (size_t n = 0; n < ARRAY_SIZE(slow); n++)
			em_here(e, slow[n]);
	}
	gen_step(g);
}

/* c->mmu becomes the block's to_mmu. */
static void sys_set_mmu(struct gen *g)
{
	u64 change = JIT_TAG((u64)(g->mmu ^ g->to_mmu) << JIT_KEY_MMU_SHIFT);
	struct jit_emit *e = &g->e;

	em_rm(e, 0xc6, 0, STATE(mmu)); /* mov byte */
	em8(e, g->to_mmu);
	em_mov_imm(e, H_RAX, change);
	em_rm(e, EM_W | 0x31, H_RAX, STATE(jit_key)); /* xor */
	em_rm(e, EM_W | 0x31, H_RAX, STATE(jump_key));
}

void gen_set_ac(struct gen *g)
{
	struct jit_emit *e = &g->e;
	bool on = g->i->rm & 1; /* 0F 01 CA, CB */
	u8 *same;

	gen_settle_flags(g);
	if (g->cpl) {
		gen_step(g);
		return;
	}
	gen_eflags_bit(g, RFLAGS_AC, on);
	if (on && g->mmu == MMU_KERNEL) {
		em_load(e, H_R10, STATE(s));
		em_rm(e, 0xf7, 0, rm_mem(H_R10, CPU(cr4))); /* test dword */
		em32(e, CR4_SMAP);
		same = em_jcc(e, 4);
		g->to_mmu = MMU_KERNEL_AC;
		sys_set_mmu(g);
		gen_next(g);
		g->to_mmu = MMU_KERNEL;
		em_here(e, same);
	} else if (!on && g->mmu == MMU_KERNEL_AC) {
		g->to_mmu = MMU_KERNEL;
		sys_set_mmu(g);
	}
	gen_next(g);
}

void gen_swapgs(struct gen *g)
{
	s32 base = CPU(seg) + SEG_GS * (s32)sizeof(struct cpu_segment) +
		   (s32)offsetof(struct cpu_segment, base);
	struct jit_emit *e = &g->e;

	if (g->cpl) {
		gen_step(g);
		return;
	}
	gen_spill_flags(g);
	em_load(e, H_R10, STATE(s));
	em_load(e, H_RAX, rm_mem(H_R10, base));
	em_store(e, STATE(jit_tmp), H_RAX);
	em_load(e, H_RAX, rm_mem(H_R10, CPU(kernel_gs_base)));
	em_store(e, rm_mem(H_R10, base), H_RAX);
	em_store(e, STATE(seg_base[SEG_GS]), H_RAX);
	em_load(e, H_RAX, STATE(jit_tmp));
	em_store(e, rm_mem(H_R10, CPU(kernel_gs_base)), H_RAX);
	gen_next(g);
}
