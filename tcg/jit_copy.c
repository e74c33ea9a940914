/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Instructions that are copied: the same opcode, with other registers and a
 * memory operand of the host.
 */
#include "tcg/jit_gen.h"

bool gen_high_byte(u8 reg8)
{
	return reg8 & 7;
}

u32 gen_opcode(const struct gen *g)
{
	const struct insn *i = g->i;
	u32 op = i->opcode | gen_row(i)->op;

	if (i->opsize == 2)
		op |= EM_66;
	if (i->opsize == 8)
		op |= EM_W;
	if (i->prefix & INSN_LOCK)
		op |= EM_LOCK;
	return op;
}

/* Does reading it need RAX? */
static bool gen_byte_slot(u8 reg8)
{
	return gen_high_byte(reg8) || jit_home[reg8 / 8] == JIT_NOHOME;
}

/* Byte registers that the host cannot name here are left to the handler. */
static bool gen_bytes_ok(const struct gen *g, const struct gen_form *f)
{
	const struct insn *i = g->i;
	bool high_g = f->has_g && f->g_byte && gen_high_byte(i->reg8);
	bool high_e = f->e_byte && !i->is_mem && gen_high_byte(i->rm8);

	if (high_e)
		return !f->has_g;
	return !high_g || !f->g_written;
}

/* G for the copy: its host register, or RAX. */
static u8 gen_read_g(struct gen *g, const struct gen_form *f)
{
	const struct insn *i = g->i;

	if (!f->g_byte || !gen_high_byte(i->reg8))
		return gen_read(g, i->reg, H_RAX);
	em_mov(&g->e, H_RAX, jit_home[i->reg8 / 8]);
	em_rm(&g->e, EM_0F | 0xb6, H_RAX, rm_reg(4)); /* movzx eax, ah */
	return H_RAX;
}

static void gen_copy_imm(struct gen *g, const struct gen_form *f)
{
	em_imm(&g->e, g->i->imm, f->imm_size);
}

/* movzx and movsx from AH, BH, CH, DH */
static bool gen_extends_high(const struct gen *g, const struct gen_form *f)
{
	const struct insn *i = g->i;

	return !i->is_mem && (f->op & 0xf0) == 0xb0 && f->op & EM_0F &&
	       f->e_byte && !f->g_byte && gen_high_byte(i->rm8) &&
	       i->opsize != 2 && gen_row(i)->what == ROW_EXTEND;
}

static bool gen_copy_interps(const struct gen *g, const struct gen_form *f)
{
	const struct insn *i = g->i;

	/* The lookup has to know how much must lie in the page. */
	if (i->is_mem && !f->size)
		return true;
	/* A bit offset in a register reaches beyond the operand. */
	if (i->is_mem && f->has_g && gen_row(i)->what == ROW_BIT)
		return i->opsize == 2 || i->addrsize == 4;
	return !gen_bytes_ok(g, f) && !gen_extends_high(g, f);
}

/* What 64-bit mode has in one encoding only: 82, and INC and DEC by opcode. */
static void gen_form32(const struct insn *i, struct gen_form *f)
{
	u8 op = i->opcode;

	if (op == 0x82) {
		f->op = (f->op & ~0xffu) | 0x80;
	} else if (op >= 0x40 && op < 0x50) {
		f->op = (f->op & ~0xffu) | 0xff;
		f->digit = op >> 3 & 1;
	}
}

void gen_form(const struct gen *g, struct gen_form *f)
{
	const struct insn *i = g->i;
	const struct opdesc *d = insn_desc(i);
	const struct gen_row *r = gen_row(i);

	*f = (struct gen_form){
		.op = gen_opcode(g),
		.size = insn_size(i, r->e_size),
		.imm_size = (u8)insn_size(i, r->imm_size),
		.has_g = r->g,
		.g_written = r->g_written,
		.g_byte = r->g_byte,
		.e_byte = r->e_size == 'b',
		.e_written = r->e_written,
		.digit = d->reg < 8 ? d->reg : 0,
		.needs_flags = r->needs_flags,
		.sets_flags = r->sets_flags,
	};
	if (d->attrs & OP_PLUSR && r->what == ROW_BOTH)
		f->op = (f->op & ~0xffu) | 0x87; /* xchg */
	if (d->map == M1 && d->attrs & OP_I64)
		gen_form32(i, f);
	if (f->imm_size && d->attrs & OP_COND) {
		u8 mask = i->opsize == 8 ? 63 : 31;

		/* A rotation by nothing, seen through a carry of 9 or 17. */
		if (!(i->imm & mask) || i->opsize < 4)
			f->needs_flags = true;
	}
	f->interps = gen_copy_interps(g, f);
}

static void gen_extend_high(struct gen *g, const struct gen_form *f)
{
	const struct insn *i = g->i;
	u8 from = jit_home[i->rm8 / 8], to = jit_home[i->reg];

	em_mov(&g->e, H_RAX, from);
	/* movzx or movsx eax, ah */
	em_rm(&g->e, (f->op & 0xff) | EM_0F, H_RAX, rm_reg(4));
	if (i->opsize == 8 && (f->op & 0xff) == 0xbe)
		em_rm(&g->e, EM_W | 0x63, H_RAX, rm_reg(H_RAX));
	if (to == JIT_NOHOME)
		em_store(&g->e, gen_slot(i->reg), H_RAX);
	else
		em_mov(&g->e, to, H_RAX);
}

/* ModRM.rm is a register in memory that is written: is it better done in R10?
 * Its upper half becomes zero with 32 bits, and stays with less. */
static bool gen_wants_temp(const struct insn *i, const struct gen_form *f)
{
	u8 what = gen_row(i)->what;

	if (f->size == 4)
		return true;
	return f->has_g && (f->size < 8 || what == ROW_BOTH || what == ROW_BIT);
}

/* Has `op Ev, Gv` a twin `op Gv, Ev`? */
static bool gen_turns(const struct insn *i, const struct gen_form *f)
{
	return insn_desc(i)->map == M1 && !f->g_byte && f->size >= 4 &&
	       ((i->opcode < 0x40 && (i->opcode & 7) == 1) ||
		i->opcode == 0x89);
}

static void gen_copy_reg(struct gen *g, struct gen_form *f)
{
	const struct insn *i = g->i;
	struct jit_emit *e = &g->e;
	u8 g_reg = f->digit, rm_home = jit_home[i->rm];
	struct jit_rm rm;
	bool g_slot = false, e_temp = false, again;
	u8 *at;

	if (f->needs_flags)
		gen_load_flags(g);
	if (f->e_byte && gen_high_byte(i->rm8)) {
		u8 home = jit_home[i->rm8 / 8];

		em_mov(e, H_RAX, home);
		em_rm(e, f->op, g_reg, rm_reg(4)); /* AH */
		gen_copy_imm(g, f);
		if (f->e_written)
			em_mov(e, home, H_RAX);
		if (f->sets_flags)
			gen_flags_set(g);
		return;
	}
	if (rm_home != JIT_NOHOME) {
		rm = rm_reg(rm_home);
	} else if (f->e_written && gen_wants_temp(i, f)) {
		if (f->size < 4 || (insn_desc(i)->attrs & OP_RW) != OP_WR)
			em_load(e, H_R10, gen_slot(i->rm));
		rm = rm_reg(H_R10);
		e_temp = true;
	} else if (f->has_g && (f->op & 0xff) == 0xa3) {
		em_load(e, H_R10, gen_slot(i->rm)); /* bt: no bit string */
		rm = rm_reg(H_R10);
	} else {
		rm = gen_slot(i->rm);
	}
	if (f->has_g) {
		g_slot = jit_home[i->reg] == JIT_NOHOME;
		if (g_slot && rm.kind == RM_REG && gen_turns(i, f)) {
			/* op Gv, Ev: G is read where it is. */
			f->op |= 2;
			g_reg = rm.base;
			rm = gen_slot(i->reg);
		} else {
			g_reg = gen_read_g(g, f);
		}
	}
	if ((f->g_byte && g_reg >= 4) ||
	    (f->e_byte && rm.kind == RM_REG && rm.base >= 4))
		f->op |= EM_REX;
	at = e->at;
	em_rm(e, f->op, g_reg, rm);
	gen_copy_imm(g, f);
	again = f->sets_flags && !f->needs_flags && !g_slot && !e_temp &&
		rm.kind == RM_REG && rm_home != JIT_NOHOME;
	if (again && f->has_g && f->g_byte && gen_high_byte(i->reg8))
		again = false; /* in RAX */
	if (again)
		gen_flags_again(g, at, g_reg, rm.base, f->has_g, f->size);
	if (g_slot && f->g_written)
		em_store(e, gen_slot(i->reg), H_RAX);
	if (e_temp)
		em_store(e, gen_slot(i->rm), H_R10);
	if (f->sets_flags && !again)
		gen_flags_set(g);
	if (!f->needs_flags && (!f->has_g || g_reg != H_RAX))
		gen_delta_kept(g);
}

static void gen_copy_mem(struct gen *g, struct gen_form *f)
{
	const struct insn *i = g->i;
	struct jit_emit *e = &g->e;
	u8 g_reg = f->digit;
	struct jit_rm rm;
	bool g_slot = f->has_g && (f->g_byte ? gen_byte_slot(i->reg8)
					     : jit_home[i->reg] == JIT_NOHOME);
	bool free_rax = g_slot || f->needs_flags;
	bool run = gen_in_run(g) && gen_on_stack(i);

	if (run) {
		rm = gen_run_operand(g, (s32)i->disp, free_rax);
	} else {
		gen_access(g, f->size, f->e_written);
		rm = f->e_written ? gen_store_operand(g, free_rax)
				  : gen_load_operand(g, free_rax);
	}
	if (f->needs_flags)
		gen_load_flags(g);
	if (f->has_g)
		g_reg = gen_read_g(g, f);
	if (f->g_byte && g_reg >= 4)
		f->op |= EM_REX;
	em_rm(e, f->op, g_reg, rm);
	gen_copy_imm(g, f);
	if (g_slot && f->g_written)
		em_store(e, gen_slot(i->reg), H_RAX);
	if (f->sets_flags)
		gen_flags_set(g);
	if (f->e_written && !run)
		gen_stored(g, f->size);
	if (free_rax || (f->has_g && g_reg == H_RAX))
		return;
	if (run)
		gen_delta_left(g, GEN_DELTA_RUN);
	else if (!f->e_written)
		gen_delta_of_load(g);
}

/* bt, bts, btr, btc of a string of bits in memory: the offset is signed. */
static void gen_bit(struct gen *g, struct gen_form *f)
{
	const struct insn *i = g->i;
	struct jit_emit *e = &g->e;
	u8 shift = f->size == 8 ? 6 : 5, reg, *retry;
	struct jit_rm rm;

	gen_spill_flags(g);
	retry = e->at;
	gen_ea(g, H_R10, 0);
	gen_add_segment(g);
	reg = gen_read(g, i->reg, H_RAX);
	if (f->size == 8 && reg != H_RAX)
		em_mov(e, H_RAX, reg);
	if (f->size == 4)
		em_rm(e, EM_W | 0x63, H_RAX, rm_reg(reg)); /* movsxd */
	em_rm(e, EM_W | 0xc1, 7, rm_reg(H_RAX));           /* sar */
	em8(e, shift);
	em_lea(e, H_R10, rm_index(H_R10, H_RAX, shift - 3, 0));
	gen_lookup(g, retry, f->size, f->e_written);
	rm = f->e_written ? gen_store_operand(g, true)
			  : gen_load_operand(g, true);
	reg = gen_read(g, i->reg, H_RAX);
	if (reg != H_RAX)
		em_mov(e, H_RAX, reg);
	em_rm(e, 0x83, 4, rm_reg(H_RAX)); /* and eax, bits - 1 */
	em8(e, (u8)(f->size * 8 - 1));
	em_store(e, STATE(jit_tmp), H_RAX);
	gen_load_flags(g);
	em_load(e, H_RAX, STATE(jit_tmp));
	em_rm(e, f->op, H_RAX, rm);
	gen_flags_set(g);
	if (f->e_written)
		gen_stored(g, f->size);
}

void gen_copy(struct gen *g)
{
	const struct insn *i = g->i;
	struct gen_form f = g->form[g->n];

	if (f.interps) {
		gen_interp(g);
		return;
	}
	if (gen_extends_high(g, &f)) {
		gen_extend_high(g, &f);
		return;
	}
	if (i->is_mem && f.has_g && gen_row(i)->what == ROW_BIT)
		gen_bit(g, &f);
	else if (i->is_mem)
		gen_copy_mem(g, &f);
	else
		gen_copy_reg(g, &f);
}
