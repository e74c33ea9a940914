/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The guest's arithmetic flags in translated code.
 *
 * They are the host's until something destroys those.  What comes next rarely
 * wants them: mostly another instruction sets them first.  But it may fault,
 * and then they have to be right.  So when the registers that made them are
 * still there nothing is saved; code out of line makes them again.
 */
#include <string.h>

#include "tcg/flags.h"
#include "tcg/jit_gen.h"

static void flags_store(struct jit_emit *e)
{
	em8(e, 0x9f);                             /* lahf */
	em_rm(e, EM_0F | 0x90, 0, rm_reg(H_RAX)); /* seto al */
	em_rm(e, EM_66 | 0x89, H_RAX, STATE(cc));
}

/* The sum or difference is there: takes it back and does it again. */
static void flags_of_sum(struct jit_emit *e, u32 w, const struct gen_again *a)
{
	u8 add = a->sub ? 0x2b : 0x03, back = a->sub ? 0x03 : 0x2b;

	em_rm(e, w | 0x8b, H_RAX, rm_reg(a->reg));
	em_rm(e, w | back, H_RAX, rm_reg(a->rm));
	em_rm(e, w | add, H_RAX, rm_reg(a->rm));
}

static void flags_of_sum_imm(struct jit_emit *e, u32 w,
			     const struct gen_again *a)
{
	em_rm(e, w | 0x8d, H_RAX,
	      rm_mem(a->reg, a->sub ? a->imm : -a->imm)); /* lea */
	em_rm(e, w | 0x81, a->sub ? 5 : 0, rm_reg(H_RAX));
	em32(e, (u32)a->imm);
}

static void flags_make(struct jit_emit *e, const struct gen_again *a)
{
	u32 w = a->wide ? EM_W : 0;

	switch (a->how) {
	case AGAIN_NOT: break;
	case AGAIN_COPY:
		memcpy(e->at, a->code, a->bytes);
		e->at += a->bytes;
		break;
	case AGAIN_TEST: em_rm(e, w | 0x85, a->reg, rm_reg(a->reg)); break;
	case AGAIN_SUM: flags_of_sum(e, w, a); break;
	case AGAIN_SUM_IMM: flags_of_sum_imm(e, w, a); break;
	}
}

void gen_store_flags(struct gen *g)
{
	flags_store(&g->e);
}

void gen_save_flags(struct gen *g)
{
	if (g->flags == FLAGS_CC || g->flags == FLAGS_BOTH)
		return;
	g->delta = -1;
	if (g->flags == FLAGS_AGAIN)
		flags_make(&g->e, &g->again);
	flags_store(&g->e);
	g->flags = FLAGS_BOTH;
}

void gen_load_flags(struct gen *g)
{
	switch (g->flags) {
	case FLAGS_HOST:
	case FLAGS_BOTH: return;
	case FLAGS_AGAIN:
		flags_make(&g->e, &g->again);
		g->flags = FLAGS_HOST;
		break;
	case FLAGS_CC:
		em_rm(&g->e, EM_0F | 0xb7, H_RAX, STATE(cc)); /* as stored */
		em8(&g->e, 0x04); /* add al, 0x7f: OF from bit 0 */
		em8(&g->e, 0x7f);
		em8(&g->e, 0x9e); /* sahf */
		g->flags = FLAGS_BOTH;
		break;
	}
	g->delta = -1;
}

void gen_settle_flags(struct gen *g)
{
	g->delta = -1; /* whoever calls this wants RAX */
	gen_save_flags(g);
	g->flags = FLAGS_CC;
}

void gen_spill_flags(struct gen *g)
{
	g->delta = -1;
	if (g->flags == FLAGS_AGAIN)
		return;
	if (g->flags == FLAGS_HOST && g->again.how != AGAIN_NOT)
		g->flags = FLAGS_AGAIN;
	else
		gen_settle_flags(g);
}

void gen_flags_set(struct gen *g)
{
	g->flags = FLAGS_HOST;
	g->again.how = AGAIN_NOT;
}

/* What the instruction does to the flags, of those that are made again. */
enum flags_op { FLAGS_ADD, FLAGS_SUB, FLAGS_LOGIC, FLAGS_ASKS, FLAGS_OTHER };

/* By bits 3 to 5 of 00 to 3F, or ModRM.reg of 80 to 83. */
static const u8 flags_groups[] = {
	FLAGS_ADD,   FLAGS_LOGIC, FLAGS_OTHER, FLAGS_OTHER,
	FLAGS_LOGIC, FLAGS_SUB,   FLAGS_LOGIC, FLAGS_ASKS,
};

static u8 flags_op(const struct insn *i, u8 reg)
{
	const struct opdesc *d = insn_desc(i);

	if (d->map != M1)
		return FLAGS_OTHER;
	if (i->opcode < 0x40)
		return flags_groups[i->opcode >> 3 & 7];
	if (i->opcode >= 0x80 && i->opcode <= 0x83)
		return flags_groups[reg & 7];
	if (i->opcode == 0x84 || i->opcode == 0x85 || i->opcode == 0xa8 ||
	    i->opcode == 0xa9)
		return FLAGS_ASKS;
	if ((i->opcode == 0xf6 || i->opcode == 0xf7) && (reg & 7) < 2)
		return FLAGS_ASKS;
	return FLAGS_OTHER;
}

void gen_flags_again(struct gen *g, const u8 *at, u8 reg, u8 rm, bool has_reg,
		     u32 size)
{
	const struct insn *i = g->i;
	struct gen_again *a = &g->again;
	u8 op = flags_op(i, reg);
	bool to_reg = has_reg && i->opcode < 0x40 && i->opcode & 2; /* Gv,Ev */

	gen_flags_set(g);
	a->regs = jit_guest[rm] | (has_reg ? jit_guest[reg] : 0);
	a->wide = size == 8;
	a->sub = op == FLAGS_SUB;
	a->reg = to_reg ? reg : rm;
	a->rm = to_reg ? rm : reg;
	switch (op) {
	case FLAGS_ASKS:
		a->how = AGAIN_COPY;
		a->code = at;
		a->bytes = (u32)(g->e.at - at);
		break;
	case FLAGS_LOGIC:
		if (size >= 4)
			a->how = AGAIN_TEST;
		break;
	case FLAGS_ADD:
	case FLAGS_SUB:
		a->imm = (s32)i->imm;
		if (size < 4)
			return;
		if (has_reg && reg != rm)
			a->how = AGAIN_SUM;
		else if (!has_reg && a->imm != INT32_MIN)
			a->how = AGAIN_SUM_IMM;
		break;
	}
}

/* Those that set all flags want none of before. */
static bool flags_are_set(const struct gen *g)
{
	u8 class = g->j->classes[g->i->row];

	return gen_row(g->i)->sets_flags &&
	       (class == JIT_COPY || class == JIT_ACC || class == JIT_MUL);
}

void gen_flags_keep(struct gen *g, const struct gen_use *u)
{
	if (g->again.how == AGAIN_NOT || !(u->sets & g->again.regs))
		return;
	if (flags_are_set(g))
		return;
	if (g->flags == FLAGS_AGAIN)
		gen_save_flags(g);
	g->again.how = AGAIN_NOT;
}

void gen_flags_cold(struct gen *g, const struct gen_again *a)
{
	if (a->how == AGAIN_NOT)
		return;
	em_plus(&g->e, 0x50, H_RAX); /* push */
	flags_make(&g->e, a);
	flags_store(&g->e);
	em_plus(&g->e, 0x58, H_RAX);
}

/* ---- Instructions on RFLAGS ---- */

void gen_eflags_bit(struct gen *g, u32 bit, bool set)
{
	gen_spill_flags(g);
	em_rm(&g->e, 0x81, set ? 1 : 4, STATE(eflags));
	em32(&g->e, set ? bit : ~bit);
}

void gen_cli(struct gen *g)
{
	if (g->cpl)
		gen_interp(g);
	else
		gen_eflags_bit(g, RFLAGS_IF, false);
}

/* An interrupt that has been held back already: the handler's matter. */
static void gen_if_waiting(struct gen *g)
{
	em_rm(&g->e, 0x80, 7, STATE(irq_wait)); /* cmp byte, 0 */
	em8(&g->e, 0);
	gen_interp_instead(g, em_jcc(&g->e, 5));
}

bool gen_steps(u8 class)
{
	return class == JIT_STOP || class == JIT_SWAPGS ||
	       class == JIT_SYSCALL || class == JIT_SYSRET;
}

void gen_sti(struct gen *g)
{
	u8 next = JIT_STOP;

	if (g->n + 1 < g->b->n)
		next = g->j->classes[g->b->insn[g->n + 1].row];
	if (g->cpl || gen_steps(next) || next == JIT_INTERP) {
		gen_interp(g);
		return;
	}
	gen_settle_flags(g);
	gen_if_waiting(g);
	gen_eflags_bit(g, RFLAGS_IF, true);
}

void gen_pushf(struct gen *g)
{
	struct jit_emit *e = &g->e;

	if (g->i->opsize != 8) {
		gen_interp(g);
		return;
	}
	gen_settle_flags(g);
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
	em32(e, ~(u32)(RFLAGS_VM | RFLAGS_RF));
	em_rm(e, 0x09, H_RAX, rm_reg(H_R10));
	em_store(e, STATE(jit_tmp), H_R10);
	gen_push_reg(g, H_RAX, STATE(jit_tmp));
}

/* Bits whose change is the handler's matter. */
#define GEN_POPF_RARE                                                     \
	(u32)(RFLAGS_TF | RFLAGS_DF | RFLAGS_NT | RFLAGS_AC | RFLAGS_ID | \
	      RFLAGS_IOPL | RFLAGS_RF)

void gen_popf(struct gen *g)
{
	u8 sp = jit_home[REG_RSP];
	struct jit_emit *e = &g->e;

	if (g->cpl || g->i->opsize != 8) {
		gen_interp(g);
		return;
	}
	gen_settle_flags(g);
	em_load(e, H_R10, gen_stack_load(g, sp, 0));
	gen_if_waiting(g);
	em_rm(e, 0x89, H_R10, rm_reg(H_RAX));
	em_rm(e, 0x33, H_RAX, STATE(eflags));
	em8(e, 0xa9); /* test eax */
	em32(e, GEN_POPF_RARE);
	gen_interp_instead(g, em_jcc(e, 5));
	em8(e, 0x25); /* and eax, IF */
	em32(e, RFLAGS_IF);
	em_rm(e, 0x31, H_RAX, STATE(eflags));
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
	em_lea(e, sp, rm_mem(sp, 8));
}
