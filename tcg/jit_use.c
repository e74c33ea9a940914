/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What an instruction does to memory and to general registers, as those who
 * plan a block's translation have to know it: spans, runs of stack accesses,
 * and flags that are made again.
 *
 * A span's followers are not looked up, so what is said of registers has to be
 * right for each row; tests/diff compares it with the host.
 */
#include "tcg/jit_gen.h"

#define USE_SETS_ALL 0xffff

static bool use_moves_by_imm(const struct insn *i)
{
	u8 digit = insn_desc(i)->reg;

	return i->opsize == 8 && (i->opcode == 0x83 || i->opcode == 0x81) &&
	       (digit == 0 || digit == 5) && i->imm + BIT(20) < 2 * BIT(20);
}

/* What becomes of general registers that one of several forms tells. */
static void use_value(const struct insn *i, struct gen_use *u)
{
	if (i->is_mem || i->opsize != 8)
		return;
	if (use_moves_by_imm(i)) {
		u->to = u->from = i->rm;
		u->by = insn_desc(i)->reg ? -(s32)i->imm : (s32)i->imm;
	} else if (i->opcode == 0xff) { /* inc, dec */
		u->to = u->from = i->rm;
		u->by = insn_desc(i)->reg ? -1 : 1;
	} else if (i->opcode == 0x89 && insn_desc(i)->map == M1) {
		u->to = i->rm;
		u->from = i->reg;
	} else if (i->opcode == 0x8b && insn_desc(i)->map == M1) {
		u->to = i->reg;
		u->from = i->rm;
	}
}

static void use_copy(struct gen *g, struct gen_use *u)
{
	const struct insn *i = g->i;
	struct gen_form *f = &g->form[g->n];

	gen_form(g, f);
	if (f->interps) {
		u->breaks = true;
		u->sets = USE_SETS_ALL;
		return;
	}
	if (gen_on_stack(i)) {
		u->access = true;
		u->at = (s32)i->disp;
		u->size = f->size;
	} else if (i->is_mem && !(f->has_g && gen_row(i)->what == ROW_BIT)) {
		u->mem = f->size;
		u->writes = f->e_written;
	}
	if (!i->is_mem && f->e_written)
		u->sets |= BIT(f->e_byte ? i->rm8 / 8 : i->rm);
	if (f->has_g && f->g_written)
		u->sets |= BIT(f->g_byte ? i->reg8 / 8 : i->reg);
	use_value(i, u);
	if (!i->is_mem && f->e_written && i->rm == REG_RSP) {
		if (use_moves_by_imm(i) && i->imm + 4096 < 8192)
			u->moves = u->by;
		else
			u->ends = true;
	}
	if (f->g_written && i->reg == REG_RSP)
		u->ends = true;
}

/* The ModRM operand, if it is in memory, is looked up for reading. */
static void use_load(const struct insn *i, u32 size, struct gen_use *u)
{
	if (i->is_mem && !gen_on_stack(i))
		u->mem = size;
}

static void use_lea(const struct insn *i, struct gen_use *u)
{
	u->ends = i->reg == REG_RSP;
	u->breaks = u->ends && i->opsize == 2;
	u->sets = (u16)BIT(i->reg);
	if (i->opsize == 8 && i->addrsize == 8 && i->index == INSN_NOREG &&
	    i->base < 16 && i->disp + BIT(20) < 2 * BIT(20)) {
		u->to = i->reg;
		u->from = i->base;
		u->by = (s32)i->disp;
	}
}

static void use_stack(const struct insn *i, u8 class, struct gen_use *u)
{
	bool down = class != JIT_POP && class != JIT_RET && class != JIT_POPF;

	u->access = true;
	u->at = down ? -8 : 0;
	u->moves = down ? -8 : 8;
	u->size = 8;
	u->breaks = i->opsize != 8;
	u->sets = (u16)BIT(REG_RSP);
	if (i->opsize != 8)
		return; /* the handler's: by less */
	u->to = u->from = REG_RSP;
	u->by = u->moves;
}

void gen_use(struct gen *g, u8 class, struct gen_use *u)
{
	const struct insn *i = g->i;

	*u = (struct gen_use){ .to = INSN_NOREG };
	switch (class) {
	case JIT_COPY: use_copy(g, u); return;
	case JIT_PUSH:
	case JIT_CALL_IND:
		use_stack(i, class, u);
		if (i->opsize == 8) /* else the handler loads */
			use_load(i, 8, u);
		return;
	case JIT_PUSH_IMM:
	case JIT_PUSHF:
	case JIT_CALL: use_stack(i, class, u); return;
	case JIT_RET: use_stack(i, class, u); return;
	case JIT_POP:
		use_stack(i, class, u);
		u->breaks |= i->is_mem;
		u->ends = i->rm == REG_RSP;
		u->sets |= i->is_mem ? USE_SETS_ALL : BIT(i->rm);
		if (u->ends)
			u->to = INSN_NOREG;
		return;
	case JIT_POPF:
		use_stack(i, class, u);
		u->breaks |= g->cpl != 0;
		return;
	case JIT_LEA: use_lea(i, u); return;
	case JIT_CLI:
	case JIT_STI: u->breaks = g->cpl; return;
	case JIT_VEC: gen_vec_use(g, u); return;
	case JIT_VEX: gen_vex_use(g, u); return;
	case JIT_X87: gen_x87_use(g, u); return;
	case JIT_MUL:
		use_load(i, i->opsize, u);
		u->sets = BIT(REG_RAX) | BIT(REG_RDX);
		return;
	case JIT_MOV_IMM:
		u->sets = (u16)BIT(i->opsize == 1 ? i->rm8 / 8 : i->rm);
		u->ends = i->rm == REG_RSP;
		return;
	case JIT_ACC:
		u->sets = BIT(REG_RAX);
		if (i->opsize == 8 &&
		    (i->opcode == 0x05 || i->opcode == 0x2d) &&
		    i->imm + BIT(20) < 2 * BIT(20)) {
			u->to = u->from = REG_RAX;
			u->by = i->opcode == 0x05 ? (s32)i->imm : -(s32)i->imm;
		}
		return;
	case JIT_CBW: u->sets = BIT(REG_RAX); return;
	case JIT_CWD: u->sets = BIT(REG_RDX); return;
	case JIT_JMP_IND:
		if (i->opsize == 8)
			use_load(i, 8, u);
		return;
	case JIT_DIRECTION:
	case JIT_NOP:
	case JIT_FENCE:
	case JIT_CARRY:
	case JIT_JMP:
	case JIT_JCC: return;
	default: break;
	}
	/* Runs do not go across these. */
	u->breaks = true;
	u->sets = USE_SETS_ALL;
	switch (class) {
	case JIT_BSWAP: u->sets = (u16)BIT(i->rm); return;
	case JIT_DIV:
	case JIT_IDIV:
		u->sets = BIT(REG_RAX) | BIT(REG_RDX);
		if (i->opsize >= 4)
			use_load(i, i->opsize, u);
		return;
	}
}

void gen_use_alone(const struct insn *i, u8 class, u8 cpl, struct gen_use *u)
{
	struct gen g;

	g.i = i;
	g.n = 0;
	g.cpl = cpl;
	gen_use(&g, class, u);
}
