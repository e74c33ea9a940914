/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Vector instructions in translated code: the guest's own, on the guest's
 * registers in the host's registers of the same numbers.  MMX is here, too;
 * its registers are x87's (tcg/jit_x87.c).
 *
 * c->vec_live says whether these, and MXCSR, hold the guest's.  It is 0 when
 * translated code is entered; the first vector instruction that finds it so
 * loads them.  What leaves or calls C stores them first, so the interpreter
 * always finds them in memory.
 *
 * The checks that a vector instruction begins with (CR0, CR4, XCR0) are made
 * with that load: whatever changes their outcome leaves translated code.  So
 * is the one that MXCSR masks every exception, since no SIGFPE may come from
 * here.  Where a check fails the interpreter runs the block.
 *
 * VEX-coded general instructions are here, too.
 *
 * Spec: SDM 1 chapters 10, 11 and 14.
 */
#include <string.h>

#include "tcg/jit_gen.h"

#define MXCSR_MASKS 0x1f80u
#define MXCSR_HOST  0x1f80u
/* Exception flags, DAZ, rounding and FTZ may be anything. */
#define MXCSR_LOOKED_AT (~0xffffu | MXCSR_MASKS)

#define S(field) offsetof(struct cpu_state, field)

/* ---- Shared code ---- */

static struct jit_rm vec_memory(int n)
{
	return rm_mem(H_R10, (s32)(S(vec) + sizeof(union cpu_vec) * (size_t)n));
}

/* movups or vmovups */
static void vec_move(struct jit_emit *e, bool avx, bool wide, bool store, int n)
{
	u8 op = store ? 0x11 : 0x10;

	if (avx)
		em_vex(e, op, 1, 0, false, wide, (u8)n, 0, vec_memory(n));
	else
		em_rm(e, EM_0F | op, (u8)n, vec_memory(n));
}

static void vec_zeroupper(struct jit_emit *e)
{
	em8(e, 0xc5);
	em8(e, 0xf8);
	em8(e, 0x77);
}

u8 *jit_vec_save(struct jit *j)
{
	struct jit_emit *e = &j->e;
	bool avx = __builtin_cpu_supports("avx");
	u8 *start = e->at;

	em_load(e, H_R10, STATE(s));
	em_rm(e, EM_0F | 0xae, 3, rm_mem(H_R10, S(fpu.mxcsr))); /* stmxcsr */
	for (int n = 0; n < 16; n++)
		vec_move(e, avx, true, true, n);
	if (avx)
		vec_zeroupper(e);
	em8(e, 0x68); /* push */
	em32(e, MXCSR_HOST);
	em_rm(e, EM_0F | 0xae, 2, rm_mem(H_RSP, 0)); /* ldmxcsr */
	em_plus(e, 0x58, H_R10);
	em8(e, 0xc3);
	return start;
}

u8 *jit_vec_load(struct jit *j)
{
	struct jit_emit *e = &j->e;
	bool avx = __builtin_cpu_supports("avx");
	u8 *start = e->at, *small = NULL;

	em_load(e, H_R10, STATE(s));
	em_rm(e, EM_0F | 0xae, 2, rm_mem(H_R10, S(fpu.mxcsr))); /* ldmxcsr */
	if (avx) {
		/* SSE code is slow while upper halves are in use, so leave
		 * them out when they are zero. */
		for (int n = 0; n < 16; n++) {
			struct jit_rm upper = vec_memory(n);

			upper.disp += 16;
			em_vex(e, n ? 0x56 : 0x10, 1, 0, false, false, 0, 0,
			       upper); /* vmovups, vorps */
		}
		em_vex(e, 0x17, 2, 1, false, false, 0, 0, rm_reg(0)); /* vptest
								       */
		small = em_jcc(e, 4);
		for (int n = 0; n < 16; n++)
			vec_move(e, true, true, false, n);
		em8(e, 0xc3);
		em_here(e, small);
		vec_zeroupper(e);
	}
	for (int n = 0; n < 16; n++)
		vec_move(e, avx, false, false, n);
	em8(e, 0xc3);
	return start;
}

/* test dword [r10 + offset], bits */
static void vec_test(struct jit_emit *e, size_t offset, u64 bits)
{
	em_rm(e, 0xf7, 0, rm_mem(H_R10, (s32)offset));
	em32(e, (u32)bits);
}

/* Called, a struct jit_slow follows. */
u8 *jit_vec_refuse(struct jit *j)
{
	struct jit_emit *e = &j->e;
	u8 *start = e->at;

	em_plus(e, 0x58, H_RAX); /* pop rax */
	em_rm(e, 0x8b, H_R10, rm_mem(H_RAX, offsetof(struct jit_slow, info)));
	em_rm(e, 0x81, 4, rm_reg(H_R10)); /* and: JIT_INFO_OFF() */
	em32(e, 0xfff);
	em_rm(e, EM_W | 0x03, H_R10, STATE(gpr[INSN_RIP]));
	em_store(e, STATE(rip), H_R10);
	em_mov_imm(e, H_RAX, JIT_LEFT_VEC);
	em_to(em_jmp(e), j->exit);
	return start;
}

u8 *jit_vec_enter(struct jit *j, u8 kind)
{
	struct jit_emit *e = &j->e;
	u8 *start = e->at, *refuse[4], *loaded;
	int n = 0;

	em_plus(e, 0x58, H_RAX); /* pop rax */
	em_load(e, H_R10, STATE(s));
	if (kind == JIT_VEC_LEGACY) {
		vec_test(e, S(cr0), CR0_EM | CR0_TS);
		refuse[n++] = em_jcc(e, 5);
		vec_test(e, S(cr4), CR4_OSFXSR);
		refuse[n++] = em_jcc(e, 4);
	} else {
		vec_test(e, S(cr0), CR0_TS);
		refuse[n++] = em_jcc(e, 5);
		vec_test(e, S(cr4), CR4_OSXSAVE);
		refuse[n++] = em_jcc(e, 4);
		em_rm(e, 0x8b, H_R10, rm_mem(H_R10, S(xcr0)));
		em_rm(e, 0xf7, 2, rm_reg(H_R10)); /* not */
		em_rm(e, 0xf6, 0, rm_reg(H_R10)); /* test r10b, 6 */
		em8(e, 6);
		refuse[n++] = em_jcc(e, 5);
		em_load(e, H_R10, STATE(s));
	}
	em_rm(e, 0x8b, H_R10, rm_mem(H_R10, S(fpu.mxcsr)));
	em_rm(e, 0x81, 4, rm_reg(H_R10)); /* and */
	em32(e, MXCSR_LOOKED_AT);
	em_rm(e, 0x81, 7, rm_reg(H_R10)); /* cmp */
	em32(e, MXCSR_MASKS);
	refuse[n++] = em_jcc(e, 5);
	em_rm(e, 0xf6, 0, STATE(vec_live)); /* test byte */
	em8(e, JIT_VEC_XMM);
	loaded = em_jcc(e, 5);
	em_to(em_call(e), j->vec_load);
	em_here(e, loaded);
	em_rm(e, 0x80, 1, STATE(vec_live)); /* or byte */
	em8(e, kind);
	em_rm(e, 0x8b, H_R10, rm_mem(H_RAX, offsetof(struct jit_slow, retry)));
	em_rm(e, EM_W | 0x2b, H_RAX, rm_reg(H_R10)); /* sub */
	em_rm(e, 0xff, 4, rm_reg(H_RAX));            /* jmp rax */
	while (n-- > 0)
		em_here(e, refuse[n]);
	em_plus(e, 0x50, H_RAX);
	em_to(em_jmp(e), j->vec_refuse);
	return start;
}

/* ---- Classes ---- */

u8 jit_vec_classify(const struct opdesc *d)
{
	struct operand ops[OPERANDS_MAX];
	bool vec = false, general = false;

	if (d->attrs & (OP_VSIB | OP_COND) || strstr(d->name, "maskmov"))
		return JIT_INTERP;
	for (int n = opdesc_operands(d, ops); n-- > 0;) {
		if (strchr("PQN", ops[n].kind) && !jit_x87_usable())
			return JIT_INTERP;
		if (strchr("VHWULPQN", ops[n].kind))
			vec = true;
		if (strchr("GB", ops[n].kind))
			general = true;
	}
	if (vec || !strncmp(d->name, "vzero", 5) || strstr(d->name, "mxcsr"))
		return JIT_VEC;
	return general && d->map > M3A ? JIT_VEX : JIT_INTERP;
}

/* ---- Re-encoding ---- */

static void vec_emit(struct gen *g, u8 reg, u8 vvvv, struct jit_rm rm)
{
	static const u8 pp[] = {
		[X] = 0, [NP] = 0, [P66] = 1, [PF3] = 2, [PF2] = 3
	};
	const struct insn *i = g->i;
	const struct opdesc *d = insn_desc(i);
	bool w = i->prefix & INSN_REXW;

	if (d->map >= V0F)
		em_vex(&g->e, i->opcode, (u8)(d->map - V0F + 1), pp[d->pfx], w,
		       i->prefix & INSN_VEXL, reg, vvvv, rm);
	else
		em_rm(&g->e, i->opcode | gen_row(i)->op | (w ? EM_W : 0), reg,
		      rm);
}

/* From here on in the block the registers are live. */
static void vec_enter(struct gen *g)
{
	u8 kind = g->i->prefix & INSN_VEX ? JIT_VEC_VEX : JIT_VEC_LEGACY;
	struct gen_cold *cold;

	if (g->vec_live & kind)
		return;
	gen_spill_flags(g);
	em_rm(&g->e, 0xf6, 0, STATE(vec_live)); /* test byte */
	em8(&g->e, kind);
	cold = gen_cold(g, kind == JIT_VEC_VEX ? COLD_VEX : COLD_VEC,
			em_jcc(&g->e, 4));
	cold->retry = cold->back = g->e.at;
	cold->info = gen_info(g, 0, false);
	g->vec_live |= kind;
}

/* Is ModRM.rm a general register that is written? */
static bool vec_e_written(const struct insn *i)
{
	return gen_row(i)->e_first && !i->is_mem;
}

static bool vec_in_run(const struct gen *g)
{
	return gen_in_run(g) && gen_on_stack(g->i);
}

/* The operand on the stack, in a run. */
static struct jit_rm vec_run_operand(struct gen *g, u32 size, bool free_rax)
{
	const struct insn *i = g->i;
	struct jit_rm rm;

	if (!(insn_desc(i)->attrs & OP_ALIGN))
		return gen_run_operand(g, (s32)i->disp, free_rax);
	gen_spill_flags(g);
	rm = gen_run_operand(g, (s32)i->disp, true);
	em_rm(&g->e, 0xf6, 0, rm_reg(H_R10)); /* test r10b, imm */
	em8(&g->e, (u8)(size - 1));
	gen_refuse(g, 5);
	return rm;
}

static struct jit_rm vec_operand(struct gen *g)
{
	const struct insn *i = g->i;
	const struct gen_row *r = gen_row(i);
	bool free_rax = r->what == ROW_LENGTHS;
	u32 size;

	if (vec_e_written(i) && jit_home[i->rm] == JIT_NOHOME)
		return rm_reg(H_RAX);
	if (!i->is_mem && r->e)
		return rm_reg(gen_read(g, i->rm, H_RAX));
	if (!i->is_mem)
		return rm_reg(r->q ? i->rm & 7 : i->rm);
	size = insn_mem_size(i);
	if (vec_in_run(g))
		return vec_run_operand(g, size, free_rax);
	if (r->e_written) {
		gen_access(g, size, true);
		return gen_store_operand(g, false);
	}
	gen_access(g, size, false);
	return gen_load_operand(g, free_rax);
}

static void vec_ldmxcsr(struct gen *g)
{
	struct jit_emit *e = &g->e;

	gen_spill_flags(g);
	em_rm(e, 0x8b, H_RAX, vec_operand(g));
	em_rm(e, 0x89, H_RAX, STATE(jit_tmp));
	em_rm(e, 0x81, 4, rm_reg(H_RAX)); /* and */
	em32(e, MXCSR_LOOKED_AT);
	em_rm(e, 0x81, 7, rm_reg(H_RAX)); /* cmp */
	em32(e, MXCSR_MASKS);
	gen_refuse(g, 5);
	em_rm(e, EM_0F | 0xae, 2, STATE(jit_tmp));
}

static void vec_imm(struct gen *g)
{
	const struct insn *i = g->i;

	if (gen_row(i)->imm_size)
		em8(&g->e, (u8)i->imm);
	else if (gen_row(i)->is4)
		em8(&g->e, i->imm2 & 0xf0);
}

/* Behind one that has not come back from out of line. */
static void vec_keep_delta(struct gen *g)
{
	const struct insn *i = g->i;
	const struct gen_row *r = gen_row(i);

	if (r->p || r->q || r->what == ROW_LENGTHS ||
	    (r->g && jit_home[i->reg] == JIT_NOHOME))
		return;
	if (i->is_mem && !r->e_written && !vec_in_run(g))
		gen_delta_of_load(g);
	if (!i->is_mem && !(r->e && jit_home[i->rm] == JIT_NOHOME))
		gen_delta_kept(g);
}

void gen_vec(struct gen *g)
{
	const struct insn *i = g->i;
	const struct opdesc *d = insn_desc(i);
	const struct gen_row *r = gen_row(i);
	u8 reg = d->reg < 8 ? d->reg : i->reg, live = g->vec_live;
	struct jit_rm rm;

	if (r->p || r->q)
		gen_x87_enter(g);
	if (r->xmm || !(r->p || r->q))
		vec_enter(g);
	if (r->bare) { /* vzeroupper, vzeroall */
		em8(&g->e, 0xc5);
		em8(&g->e, i->prefix & INSN_VEXL ? 0xfc : 0xf8);
		em8(&g->e, i->opcode);
		return;
	}
	if (r->what == ROW_LDMXCSR) {
		vec_ldmxcsr(g);
		return;
	}
	rm = vec_operand(g);
	if (r->p)
		reg &= 7;
	if (r->g)
		reg = jit_home[i->reg] == JIT_NOHOME ? H_RAX : jit_home[i->reg];
	if (r->what == ROW_LENGTHS)
		em_mov(&g->e, H_RAX, jit_home[REG_RAX]);
	vec_emit(g, reg, r->h ? i->vvvv : 0, rm);
	vec_imm(g);
	if (r->g && jit_home[i->reg] == JIT_NOHOME)
		em_store(&g->e, gen_slot(i->reg), H_RAX);
	if (vec_e_written(i) && jit_home[i->rm] == JIT_NOHOME)
		em_store(&g->e, gen_slot(i->rm), H_RAX);
	if (r->sets_flags)
		gen_flags_set(g);
	if (i->is_mem && r->e_written && !vec_in_run(g))
		gen_stored(g, insn_mem_size(i));
	if (live == g->vec_live)
		vec_keep_delta(g);
}

static void vec_use(const struct insn *i, struct gen_use *u)
{
	if (gen_on_stack(i)) {
		u->access = true;
		u->at = (s32)i->disp;
		u->size = insn_mem_size(i);
	} else if (i->is_mem) {
		u->mem = insn_mem_size(i);
		u->writes = gen_row(i)->e_written;
	}
}

void gen_vec_use(const struct gen *g, struct gen_use *u)
{
	const struct insn *i = g->i;

	vec_use(i, u);
	/* Comparisons of strings answer in ECX. */
	if (gen_row(i)->sets_flags)
		u->sets |= BIT(REG_RCX);
	if (gen_row(i)->g)
		u->sets |= BIT(i->reg);
	if (vec_e_written(i))
		u->sets |= BIT(i->rm);
	u->ends = u->sets & BIT(REG_RSP);
}

/* ---- General registers ---- */

/* ANDN and the like: at most two registers and the ModRM operand, which is
 * only read. */
void gen_vex(struct gen *g)
{
	const struct insn *i = g->i;
	const struct gen_row *r = gen_row(i);
	bool g_slot = r->g && jit_home[i->reg] == JIT_NOHOME;
	bool b_slot = r->b && jit_home[i->vvvv] == JIT_NOHOME;
	u8 reg = insn_desc(i)->reg, vvvv = 0;
	struct jit_rm rm;

	if (vec_in_run(g)) {
		rm = gen_run_operand(g, (s32)i->disp, b_slot && !r->b_written);
	} else if (i->is_mem) {
		gen_access(g, insn_mem_size(i), false);
		rm = gen_load_operand(g, b_slot && !r->b_written);
	} else if (jit_home[i->rm] == JIT_NOHOME) {
		rm = gen_slot(i->rm);
	} else {
		rm = rm_reg(jit_home[i->rm]);
	}
	if (r->g)
		reg = g_slot ? H_RAX : jit_home[i->reg];
	if (r->b && r->b_written)
		vvvv = b_slot ? H_R10 : jit_home[i->vvvv];
	else if (r->b)
		vvvv = gen_read(g, i->vvvv, H_RAX);
	vec_emit(g, reg, vvvv, rm);
	if (r->imm_size)
		em8(&g->e, (u8)i->imm);
	/* If both are one, ModRM.reg is written last (SDM 2 "MULX"). */
	if (b_slot && r->b_written)
		em_store(&g->e, gen_slot(i->vvvv), H_R10);
	if (g_slot)
		em_store(&g->e, gen_slot(i->reg), H_RAX);
	if (r->sets_flags)
		gen_flags_set(g);
}

void gen_vex_use(const struct gen *g, struct gen_use *u)
{
	const struct insn *i = g->i;

	vec_use(i, u);
	u->sets = (u16)(BIT(i->reg) | BIT(i->vvvv & 15));
	u->ends = i->reg == REG_RSP || i->vvvv == REG_RSP;
}
