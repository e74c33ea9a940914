/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * T1's translator: one pass over a block, each instruction by the class of
 * its row.
 *
 * Most instructions are copied: the same opcode with its registers renamed
 * and its memory operand replaced by a host address from the TLB.  Nothing
 * visible is reordered, and an instruction changes nothing before its last
 * access that can fault; so what goes wrong in the middle is left to the
 * interpreter, which runs the instruction again from its start.
 *
 * From the guest come only register numbers, immediates and displacements, as
 * the decoder has checked them.
 */
#include "tcg/jit_gen.h"

#include <string.h>

#include "tcg/flags.h"
#include "tcg/handlers.h"
#include "tcg/log.h"
#include "vmm/memory.h"

/* ---- Classes ---- */

struct gen_name {
	const char *name;
	u8 class;
};

static const struct gen_name gen_names[] = {
	{ "add", JIT_COPY },
	{ "or", JIT_COPY },
	{ "adc", JIT_COPY },
	{ "sbb", JIT_COPY },
	{ "and", JIT_COPY },
	{ "sub", JIT_COPY },
	{ "xor", JIT_COPY },
	{ "cmp", JIT_COPY },
	{ "test", JIT_COPY },
	{ "inc", JIT_COPY },
	{ "dec", JIT_COPY },
	{ "neg", JIT_COPY },
	{ "not", JIT_COPY },
	{ "rol", JIT_COPY },
	{ "ror", JIT_COPY },
	{ "rcl", JIT_COPY },
	{ "rcr", JIT_COPY },
	{ "shl", JIT_COPY },
	{ "shr", JIT_COPY },
	{ "sar", JIT_COPY },
	{ "shld", JIT_COPY },
	{ "shrd", JIT_COPY },
	{ "bt", JIT_COPY },
	{ "bts", JIT_COPY },
	{ "btr", JIT_COPY },
	{ "btc", JIT_COPY },
	{ "mov", JIT_COPY },
	{ "movzx", JIT_COPY },
	{ "movsx", JIT_COPY },
	{ "movsxd", JIT_COPY },
	{ "cmov", JIT_COPY },
	{ "set", JIT_COPY },
	{ "xchg", JIT_COPY },
	{ "xadd", JIT_COPY },
	{ "popcnt", JIT_COPY },
	{ "tzcnt", JIT_COPY },
	{ "lzcnt", JIT_COPY },
	{ "bsf", JIT_COPY },
	{ "bsr", JIT_COPY },
	{ "movbe", JIT_COPY },
	{ "bswap", JIT_BSWAP },
	{ "lea", JIT_LEA },
	{ "nop", JIT_NOP },
	{ "prefetch", JIT_NOP },
	{ "prefetchw", JIT_NOP },
	{ "mul", JIT_MUL },
	{ "cwde", JIT_CBW },
	{ "cdq", JIT_CWD },
	{ "cmpxchg", JIT_CMPXCHG },
	{ "clc", JIT_CARRY },
	{ "stc", JIT_CARRY },
	{ "cmc", JIT_CARRY },
	{ "push", JIT_PUSH },
	{ "pop", JIT_POP },
	{ "leave", JIT_LEAVE },
	{ "call", JIT_CALL },
	{ "jmp", JIT_JMP },
	{ "j", JIT_JCC },
	{ "ret", JIT_RET },
	{ "imul", JIT_COPY },
	{ "adcx", JIT_COPY },
	{ "adox", JIT_COPY },
	{ "crc32", JIT_COPY },
	{ "movnti", JIT_COPY },
	{ "movs", JIT_STRING },
	{ "stos", JIT_STRING },
	{ "lfence", JIT_FENCE },
	{ "mfence", JIT_FENCE },
	{ "sfence", JIT_FENCE },
	{ "cmpxchg16b", JIT_CMPXCHG_WIDE },
	{ "cmpxchg8b", JIT_CMPXCHG_WIDE },
};

static const struct gen_name gen_system_names[] = {
	{ "cli", JIT_CLI },       { "sti", JIT_STI },
	{ "cld", JIT_DIRECTION }, { "std", JIT_DIRECTION },
	{ "div", JIT_DIV },       { "idiv", JIT_IDIV },
	{ "pushf", JIT_PUSHF },   { "popf", JIT_POPF },
	{ "rdtsc", JIT_TSC },     { "rdtscp", JIT_TSC },
	{ "swapgs", JIT_SWAPGS }, { "syscall", JIT_SYSCALL },
	{ "sysret", JIT_SYSRET }, { "stac", JIT_SET_AC },
	{ "clac", JIT_SET_AC },
};

/* By its operands, within what the name says. */
static u8 gen_refine(const struct opdesc *d, u8 class)
{
	struct operand ops[OPERANDS_MAX];
	const char *o = d->operands;

	switch (class) {
	case JIT_COPY:
		if (!strncmp(o, "AL,I", 4) || !strncmp(o, "rAX,I", 5))
			return JIT_ACC;
		if (o[0] == 'Z' && o[2] == ',' && o[3] == 'I')
			return JIT_MOV_IMM;
		if (!strcmp(d->name, "imul") && !strchr(o, ','))
			return JIT_MUL;
		for (int n = opdesc_operands(d, ops); n-- > 0;)
			if (strchr("SCDOAR", ops[n].kind))
				return JIT_INTERP;
		return JIT_COPY;
	case JIT_PUSH: return o[0] == 'I' ? JIT_PUSH_IMM : JIT_PUSH;
	case JIT_CALL: return o[0] == 'J' ? JIT_CALL : JIT_CALL_IND;
	case JIT_JMP: return o[0] == 'J' ? JIT_JMP : JIT_JMP_IND;
	}
	return class;
}

u8 jit_classify(u16 row, u64 features)
{
	const struct opdesc *d = &opdescs[row];
	u8 class = d->attrs & OP_END ? JIT_STOP : JIT_INTERP;

	for (size_t n = 0; n < ARRAY_SIZE(gen_system_names); n++)
		if (features & BIT(d->feature) &&
		    !strcmp(d->name, gen_system_names[n].name))
			return gen_system_names[n].class;
	if (d->attrs & (OP_SYS | OP_PRIV | OP_IOPL | OP_NEVER) ||
	    !(features & BIT(d->feature)))
		return class;
	for (size_t n = 0; n < ARRAY_SIZE(gen_names); n++)
		if (!strcmp(d->name, gen_names[n].name))
			return gen_refine(d, gen_names[n].class);
	if (class == JIT_INTERP)
		class = jit_x87_classify(row);
	return class == JIT_INTERP ? jit_vec_classify(d) : class;
}

/* ---- Registers and what is out of line ---- */

u8 gen_read(struct gen *g, u8 reg, u8 scratch)
{
	if (jit_home[reg] != JIT_NOHOME)
		return jit_home[reg];
	em_load(&g->e, scratch, gen_slot(reg));
	return scratch;
}

struct gen_cold *gen_cold(struct gen *g, int kind, u8 *from)
{
	struct gen_cold *cold = &g->cold[g->ncold++];

	*cold = (struct gen_cold){
		.kind = kind, .from = from, .mmu = g->to_mmu, .note = g->note
	};
	if (g->flags == FLAGS_AGAIN)
		cold->again = g->again;
	return cold;
}

u32 gen_info(const struct gen *g, u32 size, bool write)
{
	return JIT_INFO(g->off, g->i->len, size, write) | gen_row(g->i)->info;
}

/* ---- Stack accesses ---- */

bool gen_in_run(const struct gen *g)
{
	return g->n < g->run_end && !g->apart;
}

struct jit_rm gen_run_operand(struct gen *g, s32 disp, bool free_rax)
{
	u8 sp = jit_home[REG_RSP];

	if (g->delta < 0 || g->delta != g->n - 1)
		em_load(&g->e, H_RAX,
			rm_state(g->stack + offsetof(struct jit_stack, delta)));
	g->delta = -1;
	if (!free_rax)
		return rm_index(sp, H_RAX, 0, disp);
	em_lea(&g->e, H_R10, rm_index(sp, H_RAX, 0, disp));
	return rm_mem(H_R10, 0);
}

struct jit_rm gen_stack_load(struct gen *g, u8 sp, s32 disp)
{
	if (gen_in_run(g) && sp == jit_home[REG_RSP])
		return gen_run_operand(g, disp, false);
	gen_access_at(g, sp, disp, 8, false);
	return gen_load_operand(g, false);
}

bool gen_on_stack(const struct insn *i)
{
	return i->is_mem && i->base == REG_RSP && i->index == INSN_NOREG &&
	       i->seg < SEG_FS && i->addrsize == 8;
}

/* ---- Calling the interpreter ---- */

/* R10 becomes a copy of the instruction for its handler, relative to the page,
 * with an end behind it. */
static void gen_handler(struct gen *g, const struct insn *i, u32 off)
{
	struct insn *copy;

	g->j->data -= 2 * sizeof *copy;
	copy = (struct insn *)g->j->data;
	copy[0] = *i;
	copy[0].off = (u16)off;
	if (copy[0].base == INSN_RIP)
		copy[0].disp += g->b->phys & (PAGE_SIZE - 1);
	copy[1] = (struct insn){ .fn = insn_block_end,
				 .off = (u16)(off + i->len),
				 .base = INSN_NOREG,
				 .index = INSN_NOREG };
	em_lea_rip(&g->e, H_R10, (const u8 *)copy);
}

static void gen_call_handler(struct gen *g, const struct insn *i, u32 info)
{
	gen_handler(g, i, JIT_INFO_OFF(info));
	em_mov_imm(&g->e, H_RAX, info);
	em_to(em_call(&g->e), g->j->interp);
}

void gen_step(struct gen *g)
{
	gen_settle_flags(g);
	gen_handler(g, g->i, g->off);
	em_to(em_jmp(&g->e), g->j->step);
}

void gen_interp(struct gen *g)
{
	gen_x87_note(g);
	gen_settle_flags(g);
	gen_call_handler(g, g->i, gen_info(g, 0, false));
	g->vec_live = 0;
}

void gen_interp_instead(struct gen *g, u8 *from)
{
	struct gen_cold *cold = gen_cold(g, COLD_INTERP, from);

	cold->insn = g->i;
	cold->info = gen_info(g, 0, false);
	g->vec_live = 0;
}

void gen_refuse(struct gen *g, u8 cond)
{
	struct gen_cold *cold = gen_cold(g, COLD_REFUSE, em_jcc(&g->e, cond));

	cold->retry = cold->back = g->e.at;
	cold->info = gen_info(g, 0, false);
}

/* ---- Copied instructions ---- */

static bool gen_high_byte(u8 reg8)
{
	return reg8 & 7;
}

static u32 gen_opcode(const struct gen *g)
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
		.needs_flags = r->needs_flags,
		.sets_flags = r->sets_flags,
	};
	if (d->attrs & OP_PLUSR && r->what == ROW_BOTH)
		f->op = (f->op & ~0xffu) | 0x87; /* xchg */
	if (f->imm_size && d->attrs & OP_COND) {
		u8 mask = i->opsize == 8 ? 63 : 31;

		/* A rotation by nothing, seen through a carry of 9 or 17. */
		if (!(i->imm & mask) || i->opsize < 4)
			f->needs_flags = true;
	}
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
	u8 g_reg = insn_desc(i)->reg, rm_home = jit_home[i->rm];
	struct jit_rm rm;
	bool g_slot = false, e_temp = false, again;
	u8 *at;

	if (g_reg > 7)
		g_reg = 0;
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
}

static void gen_copy_mem(struct gen *g, struct gen_form *f)
{
	const struct insn *i = g->i;
	struct jit_emit *e = &g->e;
	u8 g_reg = insn_desc(i)->reg;
	struct jit_rm rm;
	bool g_slot = f->has_g && (f->g_byte ? gen_byte_slot(i->reg8)
					     : jit_home[i->reg] == JIT_NOHOME);
	bool free_rax = g_slot || f->needs_flags;
	bool run = gen_in_run(g) && gen_on_stack(i);

	if (g_reg > 7)
		g_reg = 0;
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
	if (run && !free_rax && (!f->has_g || g_reg != H_RAX))
		gen_run_kept(g);
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

bool gen_copy_interps(const struct gen *g, const struct gen_form *f)
{
	const struct insn *i = g->i;

	/* The lookup has to know how much must lie in the page. */
	if (i->is_mem && !f->size)
		return true;
	/* A bit offset in a register reaches beyond the operand. */
	if (i->is_mem && f->has_g && gen_row(i)->what == ROW_BIT)
		return i->opsize == 2;
	return !gen_bytes_ok(g, f) && !gen_extends_high(g, f);
}

static void gen_copy(struct gen *g)
{
	const struct insn *i = g->i;
	struct gen_form f;

	gen_form(g, &f);
	if (gen_extends_high(g, &f)) {
		gen_extend_high(g, &f);
		return;
	}
	if (gen_copy_interps(g, &f)) {
		gen_interp(g);
		return;
	}
	if (i->is_mem && f.has_g && gen_row(i)->what == ROW_BIT)
		gen_bit(g, &f);
	else if (i->is_mem)
		gen_copy_mem(g, &f);
	else
		gen_copy_reg(g, &f);
}

/* AL or rAX with an immediate: as the ModRM form. */
static void gen_acc(struct gen *g)
{
	const struct insn *i = g->i;
	struct jit_emit *e = &g->e;
	u32 op = gen_opcode(g) & ~0xffu;
	u32 size = MIN(i->opsize, 4);
	u8 digit = i->opcode >> 3 & 7;
	const struct opdesc *d = insn_desc(i);
	u8 *at;

	if (d->flags_read & RFLAGS_ARITH)
		gen_load_flags(g);
	if (i->opcode >= 0xa8) {
		digit = 0;
		op |= i->opsize == 1 ? 0xf6 : 0xf7;
	} else {
		op |= i->opsize == 1 ? 0x80 : 0x81;
	}
	at = e->at;
	em_rm(e, op, digit, rm_reg(jit_home[REG_RAX]));
	em_imm(e, i->imm, (unsigned)size);
	if (d->flags_read & RFLAGS_ARITH)
		gen_flags_set(g);
	else
		gen_flags_again(g, at, digit, jit_home[REG_RAX], false,
				i->opsize);
}

static void gen_mov_imm(struct gen *g)
{
	const struct insn *i = g->i;
	u8 home = jit_home[i->rm];
	u32 op = i->opsize == 2 ? EM_66 : 0;

	if (i->opsize == 1 && gen_high_byte(i->rm8)) {
		home = jit_home[i->rm8 / 8];
		em_mov(&g->e, H_RAX, home);
		em8(&g->e, 0xb4); /* mov ah */
		em8(&g->e, (u8)i->imm);
		em_mov(&g->e, home, H_RAX);
	} else if (i->opsize <= 2) {
		struct jit_rm rm =
			home == JIT_NOHOME ? gen_slot(i->rm) : rm_reg(home);

		op |= i->opsize == 1 ? EM_REX | 0xc6 : 0xc7;
		em_rm(&g->e, op, 0, rm);
		em_imm(&g->e, i->imm, i->opsize);
	} else {
		u64 v = i->opsize == 4 ? (u32)i->imm : i->imm;

		em_mov_imm(&g->e, home == JIT_NOHOME ? H_RAX : home, v);
		if (home == JIT_NOHOME)
			em_store(&g->e, gen_slot(i->rm), H_RAX);
	}
}

static void gen_bswap(struct gen *g)
{
	const struct insn *i = g->i;
	u8 reg = gen_read(g, i->rm, H_RAX);

	if (i->opsize == 2) {
		gen_interp(g); /* undefined: the handler knows */
		return;
	}
	em_plus(&g->e, EM_0F | 0xc8 | (i->opsize == 8 ? EM_W : 0), reg);
	if (reg == H_RAX)
		em_store(&g->e, gen_slot(i->rm), H_RAX);
}

static void gen_lea(struct gen *g)
{
	const struct insn *i = g->i;
	u8 home = jit_home[i->reg];

	if (i->opsize == 2) {
		gen_interp(g);
		return;
	}
	gen_ea(g, H_R10, 0);
	if (home == JIT_NOHOME) {
		if (i->opsize == 4)
			em_rm(&g->e, 0x89, H_R10, rm_reg(H_R10));
		em_store(&g->e, gen_slot(i->reg), H_R10);
	} else {
		em_rm(&g->e, (i->opsize == 8 ? EM_W : 0) | 0x89, H_R10,
		      rm_reg(home));
	}
}

/* One operand; the other is in rAX, the result in rDX:rAX. */
static void gen_mul(struct gen *g)
{
	const struct insn *i = g->i;
	u32 op = gen_opcode(g);
	struct jit_rm rm;

	if (!i->is_mem && i->opsize == 1 && gen_high_byte(i->rm8)) {
		gen_interp(g);
		return;
	}
	if (i->is_mem) {
		gen_access(g, i->opsize, false);
		rm = gen_load_operand(g, true);
	} else if (jit_home[i->rm] == JIT_NOHOME) {
		rm = gen_slot(i->rm);
	} else {
		rm = rm_reg(jit_home[i->rm]);
		if (i->opsize == 1)
			op |= EM_REX;
	}
	em_mov(&g->e, H_RAX, jit_home[REG_RAX]);
	em_rm(&g->e, op, insn_desc(i)->reg, rm);
	em_mov(&g->e, jit_home[REG_RAX], H_RAX);
	gen_flags_set(g);
}

/* What would be #DE is left to the handler.  The divisor is read once: other
 * vCPUs see the same memory. */
static void gen_div(struct gen *g, bool is_signed)
{
	const struct insn *i = g->i;
	struct jit_emit *e = &g->e;
	u32 w = i->opsize == 8 ? EM_W : 0;
	u8 rax = jit_home[REG_RAX], by = H_R10;

	if (i->opsize < 4) {
		gen_interp(g);
		return;
	}
	gen_spill_flags(g);
	if (i->is_mem) {
		gen_access(g, i->opsize, false);
		em_rm(e, w | 0x8b, H_R10, gen_load_operand(g, false));
	} else {
		by = gen_read(g, i->rm, H_R10);
	}
	if (is_signed) {
		/* Only a dividend that fits the register. */
		em_rm(e, w | 0x8b, H_RAX, rm_reg(rax));
		em_rm(e, w | 0xc1, 7, rm_reg(H_RAX)); /* sar */
		em8(e, (u8)(i->opsize * 8 - 1));
		em_rm(e, w | 0x3b, H_RAX, rm_reg(H_RDX));
		gen_interp_instead(g, em_jcc(e, 5));
		em_rm(e, w | 0x8d, H_RAX, rm_mem(by, 1));
		em_rm(e, w | 0x83, 7, rm_reg(H_RAX)); /* cmp: by 0 or -1? */
		em8(e, 1);
		gen_interp_instead(g, em_jcc(e, 6));
	} else {
		em_rm(e, w | 0x3b, H_RDX, rm_reg(by));
		gen_interp_instead(g, em_jcc(e, 3));
	}
	em_mov(e, H_RAX, rax);
	em_rm(e, w | 0xf7, is_signed ? 7 : 6, rm_reg(by));
	em_mov(e, rax, H_RAX);
}

static void gen_cbw(struct gen *g)
{
	u8 rax = jit_home[REG_RAX];

	switch (g->i->opsize) {
	case 2: em_rm(&g->e, EM_66 | EM_0F | 0xbe, rax, rm_reg(rax)); break;
	case 4: em_rm(&g->e, EM_0F | 0xbf, rax, rm_reg(rax)); break;
	default: em_rm(&g->e, EM_W | 0x63, rax, rm_reg(rax)); break;
	}
}

static void gen_cwd(struct gen *g)
{
	em_mov(&g->e, H_RAX, jit_home[REG_RAX]);
	if (g->i->opsize == 2)
		em8(&g->e, 0x66);
	if (g->i->opsize == 8)
		em8(&g->e, 0x48);
	em8(&g->e, 0x99);
}

static void gen_cmpxchg(struct gen *g)
{
	const struct insn *i = g->i;
	u32 op = gen_opcode(g);
	u8 reg = jit_home[i->reg];
	struct jit_rm rm;

	if (reg == JIT_NOHOME || i->reg == REG_RAX ||
	    (i->opsize == 1 && gen_high_byte(i->reg8)) ||
	    (!i->is_mem && (jit_home[i->rm] == JIT_NOHOME || i->rm == REG_RAX ||
			    i->opsize == 1))) {
		gen_interp(g);
		return;
	}
	if (i->opsize == 1)
		op |= EM_REX;
	if (i->is_mem) {
		gen_access(g, i->opsize, true);
		rm = gen_store_operand(g, true);
	} else {
		rm = rm_reg(jit_home[i->rm]);
	}
	em_mov(&g->e, H_RAX, jit_home[REG_RAX]);
	em_rm(&g->e, op, reg, rm);
	em_mov(&g->e, jit_home[REG_RAX], H_RAX);
	gen_flags_set(g);
	if (i->is_mem)
		gen_stored(g, i->opsize);
}

/* cmpxchg8b and cmpxchg16b: what is compared and stored is in registers, ZF
 * is all that changes. */
static void gen_cmpxchg_wide(struct gen *g)
{
	u32 op = gen_opcode(g) & ~EM_66, size = insn_mem_size(g->i);
	struct jit_rm rm;

	gen_access(g, size, true);
	rm = gen_store_operand(g, true);
	gen_load_flags(g);
	em_mov(&g->e, H_RAX, jit_home[REG_RAX]);
	em_rm(&g->e, op, insn_desc(g->i)->reg, rm);
	em_mov(&g->e, jit_home[REG_RAX], H_RAX);
	gen_flags_set(g);
	gen_stored(g, size);
}

static void gen_fence(struct gen *g)
{
	em8(&g->e, 0x0f);
	em8(&g->e, 0xae);
	em8(&g->e, 0xc0 | (u8)(insn_desc(g->i)->reg << 3));
}

static void gen_carry(struct gen *g)
{
	gen_load_flags(g);
	em8(&g->e, g->i->opcode);
	gen_flags_set(g);
}

/* ---- Stack ---- */

void gen_push_reg(struct gen *g, u8 src, struct jit_rm load)
{
	u8 sp = jit_home[REG_RSP];
	bool run = gen_in_run(g);
	struct jit_rm rm;

	if (run) {
		if (src == H_RAX) {
			em_load(&g->e, H_R10, load);
			src = H_R10;
		}
		rm = gen_run_operand(g, -8, false);
	} else {
		gen_access_at(g, sp, -8, 8, true);
		rm = gen_store_operand(g, src == H_RAX);
		if (src == H_RAX)
			em_load(&g->e, H_RAX, load);
	}
	em_store(&g->e, rm, src);
	em_lea(&g->e, sp, rm_mem(sp, -8));
	if (run)
		gen_run_kept(g);
	else
		gen_stored(g, 8);
}

static void gen_push(struct gen *g)
{
	const struct insn *i = g->i;

	if (i->opsize != 8) {
		gen_interp(g);
	} else if (i->is_mem) {
		gen_access(g, 8, false);
		em_load(&g->e, H_RAX, gen_load_operand(g, false));
		em_store(&g->e, STATE(jit_tmp), H_RAX);
		gen_push_reg(g, H_RAX, STATE(jit_tmp));
	} else if (jit_home[i->rm] == JIT_NOHOME) {
		gen_push_reg(g, H_RAX, gen_slot(i->rm));
	} else {
		gen_push_reg(g, jit_home[i->rm], rm_reg(0));
	}
}

static void gen_push_imm(struct gen *g)
{
	u8 sp = jit_home[REG_RSP];
	bool run = gen_in_run(g);
	struct jit_rm rm;

	if (g->i->opsize != 8) {
		gen_interp(g);
		return;
	}
	if (run) {
		rm = gen_run_operand(g, -8, false);
	} else {
		gen_access_at(g, sp, -8, 8, true);
		rm = gen_store_operand(g, false);
	}
	em_rm(&g->e, EM_W | 0xc7, 0, rm);
	em32(&g->e, (u32)g->i->imm);
	em_lea(&g->e, sp, rm_mem(sp, -8));
	if (run)
		gen_run_kept(g);
	else
		gen_stored(g, 8);
}

static void gen_pop(struct gen *g)
{
	const struct insn *i = g->i;
	u8 sp = jit_home[REG_RSP], home = jit_home[i->rm];
	struct jit_rm rm;

	if (i->opsize != 8 || i->is_mem) {
		gen_interp(g);
		return;
	}
	rm = gen_stack_load(g, sp, 0);
	if (home == JIT_NOHOME) {
		em_load(&g->e, H_RAX, rm);
		em_store(&g->e, gen_slot(i->rm), H_RAX);
	} else {
		em_load(&g->e, home, rm);
		if (gen_in_run(g))
			gen_run_kept(g);
	}
	if (home != sp)
		em_lea(&g->e, sp, rm_mem(sp, 8));
}

static void gen_leave(struct gen *g)
{
	if (g->i->opsize != 8) {
		gen_interp(g);
		return;
	}
	em_load(&g->e, H_RAX, gen_stack_load(g, H_RBP, 0));
	em_lea(&g->e, jit_home[REG_RSP], rm_mem(H_RBP, 8));
	em_mov(&g->e, H_RBP, H_RAX);
}

/* ---- Branches ---- */

/* Where the instruction's relative branch goes, relative to the page. */
static s64 gen_target(const struct gen *g)
{
	return (s64)g->off + g->i->len + (s64)g->i->imm;
}

static void gen_branch_info(struct gen *g, u32 kind, u32 pop)
{
	em_mov_imm(&g->e, H_RAX, JIT_BRANCH(g->off & 0xfff, kind, pop));
}

/* Goes to R10.  `kind`: what is taken back should that be no address. */
static void gen_leave_page(struct gen *g, u32 kind, u32 pop)
{
	gen_branch_info(g, kind, pop);
	em_to(em_jmp(&g->e), g->j->lookup[g->cpl == 3]);
}

static bool gen_in_page(s64 target)
{
	return target >= 0 && target < (s64)PAGE_SIZE;
}

/* Somebody may want us to stop. */
static void gen_poll(struct gen *g, s64 target)
{
	em_rm(&g->e, 0x83, 7, STATE(exit_req));
	em8(&g->e, 0);
	gen_cold(g, COLD_EXIT, em_jcc(&g->e, 5))->target = target;
}

/* Behind the jump or call that goes there once it is linked. */
static void gen_link(struct gen *g, s64 target, u8 *site)
{
	struct gen_cold *cold = gen_cold(g, COLD_EXIT, site);

	cold->target = target;
	cold->site = site;
	g->j->sites++;
}

/* R10 becomes an address relative to the page. */
static void gen_linear(struct gen *g, s64 target)
{
	em_load(&g->e, H_R10, gen_slot(INSN_RIP));
	em_lea(&g->e, H_R10, rm_mem(H_R10, (s32)target));
}

/* Leaves for `target`; a jump within the page can be linked later. */
static void gen_goto(struct gen *g, s64 target, u32 kind)
{
	if (!gen_in_page(target)) {
		gen_linear(g, target);
		gen_leave_page(g, kind, 0);
		return;
	}
	if (target <= g->off) /* a loop */
		gen_poll(g, target);
	gen_link(g, target, em_jmp(&g->e));
}

void gen_next(struct gen *g)
{
	gen_goto(g, g->off + g->i->len, JIT_BRANCH_NONE);
}

/* A displacement that does not fit, or a 66 prefix, is for the interpreter. */
static bool gen_branch_ok(const struct gen *g)
{
	s64 target = gen_target(g);

	return g->i->opsize == 8 && target == (s32)target;
}

/* Flags stay where they are for what comes behind. */
static void gen_jcc_side(struct gen *g, u8 cond, s64 target, u32 kind)
{
	bool saves = g->flags == FLAGS_HOST || g->flags == FLAGS_AGAIN;
	struct gen_cold *cold;

	gen_load_flags(g);
	if (!saves && gen_in_page(target) && !g->note.any) {
		gen_link(g, target, em_jcc(&g->e, cond));
		return;
	}
	cold = gen_cold(g, COLD_SIDE, em_jcc(&g->e, cond));
	cold->target = target;
	cold->saves = saves;
	cold->info = JIT_BRANCH(g->off & 0xfff, kind, 0);
}

/* Does the block's last jump go to its start? */
static bool gen_is_loop(const struct gen *g, s64 target)
{
	return target == (s64)(g->b->phys & (PAGE_SIZE - 1)) && !g->apart &&
	       !g->b->gen_now2 && !g->j->nochain;
}

/* Behind the last jump of a loop, for another time.  The first time what
 * follows is the second. */
static void gen_loop_edge(struct gen *g, s64 start)
{
	bool first = !g->again_at;
	struct gen_cold *cold;

	gen_spill_flags(g);
	if (first)
		g->again_cc = g->flags == FLAGS_CC;
	else if (g->again_cc != (g->flags == FLAGS_CC))
		gen_settle_flags(g);
	em_rm(&g->e, 0x83, 7, STATE(exit_req)); /* cmp dword, 0 */
	em8(&g->e, 0);
	if (first) {
		gen_cold(g, COLD_EXIT, em_jcc(&g->e, 5))->target = start;
		g->loops = true;
		return;
	}
	if (g->again_cc == (g->flags == FLAGS_CC)) {
		em_to(em_jcc(&g->e, 4), g->again_at);
		cold = gen_cold(g, COLD_EXIT, em_jmp(&g->e));
		cold->target = start;
	} else {
		cold = gen_cold(g, COLD_EXIT, em_jcc(&g->e, 5));
		cold->target = start;
		gen_link(g, start, em_jmp(&g->e));
	}
}

static void gen_jcc(struct gen *g)
{
	u8 cond = g->i->opcode & 15, *over;
	s64 target = gen_target(g);

	if (gen_is_loop(g, target)) {
		gen_jcc_side(g, cond ^ 1, g->off + g->i->len, JIT_BRANCH_NONE);
		if (g->n + 1 == g->b->n)
			gen_loop_edge(g, target);
		return;
	}
	if (g->n + 1 < g->b->n) {
		gen_jcc_side(g, cond, target, JIT_BRANCH_JMP);
		return;
	}
	gen_save_flags(g);
	gen_load_flags(g);
	if (gen_in_page(target) && target > g->off) {
		gen_link(g, target, em_jcc(&g->e, cond));
	} else {
		over = em_jcc(&g->e, cond ^ 1);
		gen_goto(g, target, JIT_BRANCH_JMP);
		em_here(&g->e, over);
	}
	gen_goto(g, g->off + g->i->len, JIT_BRANCH_NONE);
}

static void gen_jmp(struct gen *g)
{
	if (gen_is_loop(g, gen_target(g))) {
		gen_loop_edge(g, gen_target(g));
		return;
	}
	gen_save_flags(g);
	gen_goto(g, gen_target(g), JIT_BRANCH_JMP);
}

static s64 gen_return_target(const struct gen *g)
{
	return (s64)g->off + g->i->len;
}

/* Pushes the return address, for the guest and on the host's stack for its
 * RET; what comes next is a call.  `poll`: leaves for this target when there
 * is no more room, if somebody wants that; -1: the call does it. */
static void gen_push_pair(struct gen *g, s64 poll)
{
	struct jit_emit *e = &g->e;
	struct gen_cold *cold;
	bool run = gen_in_run(g);

	gen_linear(g, gen_return_target(g));
	if (!run)
		em_store(e, STATE(jit_tmp), H_R10);
	gen_push_reg(g, run ? H_R10 : H_RAX, STATE(jit_tmp));
	em_rm(e, EM_W | 0x3b, H_RSP, STATE(jit_sp_min));
	cold = gen_cold(g, COLD_PAIRS, em_jcc(e, 6));
	cold->back = e->at;
	cold->target = poll;
	if (run)
		em_plus(e, 0x50, H_R10);
	else
		em_rm(e, 0xff, 6, STATE(jit_tmp)); /* push */
}

/* Where the paired return comes back, with its address in R10.  Its page may
 * have been changed by others, but then they want us to stop; the mode may
 * have been changed, too. */
static void gen_landing(struct gen *g)
{
	s64 target = gen_return_target(g);

	em_lea(&g->e, H_RSP, rm_mem(H_RSP, 8));
	em_lea(&g->e, H_R10, rm_mem(H_R10, (s32)-target));
	em_store(&g->e, gen_slot(INSN_RIP), H_R10);
	gen_poll(g, target);
	em_rm(&g->e, 0x81, 7, rm_state(offsetof(struct tcg_cpu, jit_key) + 4));
	em32(&g->e, (u32)(JIT_TAG(g->t->key & ~JIT_KEY_APART) >> 32));
	g->cold[g->ncold - 1].also = em_jcc(&g->e, 5);
	gen_goto(g, target, JIT_BRANCH_NONE);
}

/* A CALL whose target is no address faults before it pushes (SDM 2 "CALL"):
 * that is the handler's matter.  R10 becomes the target; for a direct call it
 * is enough that bit 47 is the page's. */
static void gen_call_target(struct gen *g, s64 target)
{
	struct jit_emit *e = &g->e;

	em_load(e, H_RAX, gen_slot(INSN_RIP));
	em_lea(e, H_R10, rm_mem(H_RAX, (s32)target));
	em_rm(e, EM_W | 0x33, H_RAX, rm_reg(H_R10));
	em_rm(e, EM_W | EM_0F | 0xba, 4, rm_reg(H_RAX)); /* bt rax, 47 */
	em8(e, 47);
	gen_interp_instead(g, em_jcc(e, 2));
}

static void gen_call_ind_target(struct gen *g)
{
	struct jit_emit *e = &g->e;

	em_mov(e, H_RAX, H_R10);
	em_rm(e, EM_W | 0xc1, 4, rm_reg(H_RAX)); /* shl rax, 16 */
	em8(e, 16);
	em_rm(e, EM_W | 0xc1, 7, rm_reg(H_RAX)); /* sar rax, 16 */
	em8(e, 16);
	em_rm(e, EM_W | 0x3b, H_RAX, rm_reg(H_R10));
	gen_interp_instead(g, em_jcc(e, 5));
}

/* c->rip has to be right when the push stops translated code. */
static void gen_call(struct gen *g)
{
	s64 target = gen_target(g);

	gen_settle_flags(g);
	if (!gen_in_page(target))
		gen_call_target(g, target);
	else if (!gen_in_run(g))
		gen_linear(g, target);
	if (!gen_in_run(g))
		em_store(&g->e, STATE(rip), H_R10);
	gen_push_pair(g, gen_in_page(target) ? target : -1);
	if (gen_in_page(target)) {
		gen_link(g, target, em_call(&g->e));
	} else {
		gen_linear(g, target);
		gen_branch_info(g, JIT_BRANCH_CALL, 0);
		em_to(em_call(&g->e), g->j->lookup[g->cpl == 3]);
	}
	gen_landing(g);
}

/* The target of an indirect branch into R10. */
static void gen_indirect_target(struct gen *g)
{
	const struct insn *i = g->i;
	u8 reg;

	gen_settle_flags(g);
	if (i->is_mem) {
		gen_access(g, 8, false);
		em_load(&g->e, H_R10, gen_load_operand(g, false));
	} else {
		reg = gen_read(g, i->rm, H_R10);
		if (reg != H_R10)
			em_mov(&g->e, H_R10, reg);
	}
}

static void gen_jmp_ind(struct gen *g)
{
	gen_indirect_target(g);
	gen_leave_page(g, JIT_BRANCH_JMP, 0);
}

static void gen_call_ind(struct gen *g)
{
	gen_indirect_target(g);
	gen_call_ind_target(g);
	em_store(&g->e, STATE(rip), H_R10);
	gen_push_pair(g, -1);
	em_load(&g->e, H_R10, STATE(rip));
	gen_branch_info(g, JIT_BRANCH_CALL, 0);
	em_to(em_call(&g->e), g->j->lookup[g->cpl == 3]);
	gen_landing(g);
}

static void gen_ret(struct gen *g)
{
	u8 sp = jit_home[REG_RSP];
	u16 pop = (u16)g->i->imm;

	gen_settle_flags(g);
	em_load(&g->e, H_R10, gen_stack_load(g, sp, 0));
	em_lea(&g->e, sp, rm_mem(sp, 8 + pop));
	gen_branch_info(g, JIT_BRANCH_RET, pop);
	em_rm(&g->e, EM_W | 0x3b, H_R10, rm_mem(H_RSP, 8));
	em_to(em_jcc(&g->e, 5), g->j->ret_miss[g->cpl == 3]);
	em8(&g->e, 0xc3);
}

/* ---- Cold code ---- */

static void gen_exit_stub(struct gen *g, s64 target, const u8 *site, bool apart,
			  u8 mmu)
{
	struct jit_exit data = { .target = (u16)target,
				 .apart = apart,
				 .mmu = mmu };
	u8 *at;

	em_to(em_call(&g->e), g->j->exit_stub);
	at = g->e.at;
	data.site = site ? (u32)(at - site) : 0;
	data.block = (u32)((u8 *)g->t - g->j->rw);
	memcpy(at, &data, sizeof data);
	g->e.at += sizeof data;
}

static void gen_slow_stub(struct gen *g, const struct gen_cold *cold, u8 *thunk)
{
	struct jit_slow data = { .info = cold->info, .ahead = cold->ahead };
	u8 *at;

	em_to(em_call(&g->e), thunk);
	at = g->e.at;
	data.back = (u32)(at - cold->back);
	if (cold->retry)
		data.retry = (u32)(at - cold->retry);
	memcpy(at, &data, sizeof data);
	g->e.at += sizeof data;
}

/* The leader of a span: where only those that follow would leave the page, its
 * block without spans is jumped to. */
static void gen_lead_stub(struct gen *g, const struct gen_cold *cold)
{
	u32 off = JIT_INFO_OFF(cold->info), size = JIT_INFO_SIZE(cold->info);
	struct gen_cold *apart;

	em_rm(&g->e, EM_W | 0x81, 7, rm_reg(H_R10)); /* cmp */
	em32(&g->e, PAGE_SIZE - cold->ahead - size);
	apart = &g->cold[g->ncold++];
	*apart = (struct gen_cold){ .kind = COLD_EXIT,
				    .apart = true,
				    .mmu = g->mmu,
				    .target = off,
				    .from = em_jcc(&g->e, 6) };
	apart->site = apart->from;
	gen_slow_stub(g, cold, g->j->slow);
}

/* A run of accesses that are not all in c->stack[]; in two pages, they are left
 * to the block without runs. */
static void gen_run_stub(struct gen *g, const struct gen_cold *cold)
{
	struct jit_run data = { .last = PAGE_SIZE - cold->info,
				.off = (u16)cold->target };
	u8 *site;

	em_to(em_call(&g->e), g->j->stack[g->mmu]);
	data.retry = (u32)(g->e.at - cold->retry);
	memcpy(g->e.at, &data, sizeof data);
	g->e.at += sizeof data;
	site = em_jmp(&g->e);
	em_here(&g->e, site);
	g->j->sites++;
	gen_exit_stub(g, cold->target, site, true, g->mmu);
}

/* All pairs are forgotten; R10 stays. */
static void gen_pairs_full(struct gen *g, const struct gen_cold *cold)
{
	em_load(&g->e, H_RSP, STATE(jit_sp));
	if (cold->target >= 0) {
		em_rm(&g->e, 0x83, 7, STATE(exit_req));
		em8(&g->e, 0);
		em_to(em_jcc(&g->e, 4), cold->back);
		gen_exit_stub(g, cold->target, NULL, false, g->mmu);
	} else {
		em_to(em_jmp(&g->e), cold->back);
	}
}

static void gen_side_exit(struct gen *g, const struct gen_cold *cold)
{
	u8 *site;

	if (cold->saves)
		gen_store_flags(g);
	if (gen_in_page(cold->target)) {
		g->j->sites++;
		site = em_jmp(&g->e);
		em_here(&g->e, site);
		gen_exit_stub(g, cold->target, site, false, g->mmu);
		return;
	}
	gen_linear(g, cold->target);
	em_mov_imm(&g->e, H_RAX, cold->info);
	em_to(em_jmp(&g->e), g->j->lookup[g->cpl == 3]);
}

static void gen_cold_code(struct gen *g, struct gen_cold *cold)
{
	em_here(&g->e, cold->from);
	if (cold->also)
		em_here(&g->e, cold->also);
	cold->stub = g->e.at;
	gen_x87_note_cold(g, &cold->note);
	gen_flags_cold(g, &cold->again);
	switch (cold->kind) {
	case COLD_SLOW:
		if (cold->info & JIT_INFO_LEADS)
			gen_lead_stub(g, cold);
		else
			gen_slow_stub(g, cold, g->j->slow);
		break;
	case COLD_NOTICE: gen_slow_stub(g, cold, g->j->notice); break;
	case COLD_STACK: gen_run_stub(g, cold); break;
	case COLD_INTERP:
		gen_call_handler(g, cold->insn, cold->info);
		em_to(em_jmp(&g->e), cold->back);
		break;
	case COLD_VEC: gen_slow_stub(g, cold, g->j->vec_legacy); break;
	case COLD_VEX: gen_slow_stub(g, cold, g->j->vec_vex); break;
	case COLD_X87: gen_slow_stub(g, cold, g->j->x87_enter); break;
	case COLD_REFUSE: gen_slow_stub(g, cold, g->j->vec_refuse); break;
	case COLD_PAIRS: gen_pairs_full(g, cold); break;
	case COLD_EXIT:
		gen_exit_stub(g, cold->target, cold->site, cold->apart,
			      cold->mmu);
		break;
	case COLD_SIDE: gen_side_exit(g, cold); break;
	}
}

/* ---- Runs of stack accesses ---- */

/* Looks at all instructions, and plans spans; runs are planned on the way. */
static void gen_plan(struct gen *g)
{
	for (int n = 0; n < g->b->n; n++) {
		g->i = &g->b->insn[n];
		gen_use(g, g->j->classes[g->i->row], &g->use[n]);
	}
	memset(g->member, 0, sizeof *g->member * g->b->n);
	if (!g->apart)
		gen_plan_spans(g);
}

/* Finds the next run and makes its comparison. */
static void gen_plan_run(struct gen *g)
{
	const struct insn *first = g->i;
	u32 page_off = g->b->phys & (PAGE_SIZE - 1);
	s32 sp = 0, low = INT32_MAX, high = INT32_MIN;
	struct jit_emit *e = &g->e;
	struct gen_cold *cold;
	u8 *retry;
	int n;

	for (n = g->n; n < g->b->n; n++) {
		const struct gen_use *u = &g->use[n];
		s32 from, to;

		from = MIN(low, sp + u->at);
		to = MAX(high, sp + u->at + (s32)u->size);
		if (u->breaks || (u->access && to - from > JIT_RUN_MAX))
			break;
		if (u->access) {
			low = from;
			high = to;
		}
		sp += u->moves;
		if (u->ends || sp < -4096 || sp > 4096) {
			n++;
			break;
		}
	}
	/* Nothing to compare: not looked at again before the next break. */
	g->run_end = low < high ? n : g->n;
	g->run_next = MAX(n, g->n + 1);
	if (low >= high)
		return;
	gen_spill_flags(g);
	retry = e->at;
	em_lea(e, H_R10, rm_mem(jit_home[REG_RSP], low));
	em_rm(e, EM_W | 0x33, H_R10,
	      rm_state(g->stack + offsetof(struct jit_stack, page)));
	em_rm(e, EM_W | 0x81, 7, rm_reg(H_R10));
	em32(e, PAGE_SIZE - (u32)(high - low));
	cold = gen_cold(g, COLD_STACK, em_jcc(e, 7));
	cold->target = page_off + first->off;
	cold->info = (u32)(high - low);
	cold->retry = retry;
}

/* ---- Blocks ---- */

/* False when the block ends in front of the instruction. */
static bool gen_insn(struct gen *g, u8 class)
{
	if (g->j->check && gen_steps(class))
		return false;
	switch (class) {
	case JIT_CALL:
	case JIT_JMP:
	case JIT_JCC:
		if (!gen_branch_ok(g))
			return false;
		break;
	case JIT_CALL_IND:
	case JIT_JMP_IND:
	case JIT_RET:
		if (g->i->opsize != 8)
			return false;
		break;
	}
	switch (class) {
	case JIT_INTERP: gen_interp(g); break;
	case JIT_STOP: gen_step(g); break;
	case JIT_COPY: gen_copy(g); break;
	case JIT_ACC: gen_acc(g); break;
	case JIT_MOV_IMM: gen_mov_imm(g); break;
	case JIT_BSWAP: gen_bswap(g); break;
	case JIT_LEA: gen_lea(g); break;
	case JIT_NOP: break;
	case JIT_FENCE: gen_fence(g); break;
	case JIT_CMPXCHG_WIDE: gen_cmpxchg_wide(g); break;
	case JIT_MUL: gen_mul(g); break;
	case JIT_CBW: gen_cbw(g); break;
	case JIT_CWD: gen_cwd(g); break;
	case JIT_CMPXCHG: gen_cmpxchg(g); break;
	case JIT_CARRY: gen_carry(g); break;
	case JIT_PUSH: gen_push(g); break;
	case JIT_PUSH_IMM: gen_push_imm(g); break;
	case JIT_POP: gen_pop(g); break;
	case JIT_LEAVE: gen_leave(g); break;
	case JIT_CALL: gen_call(g); break;
	case JIT_CALL_IND: gen_call_ind(g); break;
	case JIT_JMP: gen_jmp(g); break;
	case JIT_JMP_IND: gen_jmp_ind(g); break;
	case JIT_JCC: gen_jcc(g); break;
	case JIT_RET: gen_ret(g); break;
	case JIT_CLI: gen_cli(g); break;
	case JIT_STI: gen_sti(g); break;
	case JIT_DIRECTION:
		gen_eflags_bit(g, RFLAGS_DF, g->i->opcode & 1);
		break;
	case JIT_PUSHF: gen_pushf(g); break;
	case JIT_POPF: gen_popf(g); break;
	case JIT_DIV: gen_div(g, false); break;
	case JIT_IDIV: gen_div(g, true); break;
	case JIT_VEC: gen_vec(g); break;
	case JIT_VEX: gen_vex(g); break;
	case JIT_X87: gen_x87(g); break;
	case JIT_STRING: gen_string(g); break;
	case JIT_TSC: gen_tsc(g); break;
	case JIT_SYSCALL: gen_syscall(g); break;
	case JIT_SYSRET: gen_sysret(g); break;
	case JIT_SWAPGS: gen_swapgs(g); break;
	case JIT_SET_AC: gen_set_ac(g); break;
	}
	return true;
}

/* Leaves if the last comparison says that the block is not for here.  Those who
 * come from outside have set c->rip; one that crosses is linked to as well. */
static void gen_entry_fails(struct gen *g)
{
	u8 *from = em_jcc(&g->e, 5);

	if (g->b->gen_now2)
		gen_cold(g, COLD_EXIT, from)->target =
			g->b->phys & (PAGE_SIZE - 1);
	else
		em_to(from, g->j->outdated);
}

static void gen_entry_gen(struct gen *g, const _Atomic u32 *gen_now, u32 gen)
{
	em_plus(&g->e, EM_W | 0xb8, H_RAX);
	em64(&g->e, (u64)gen_now);
	em_rm(&g->e, 0x81, 7, rm_mem(H_RAX, 0)); /* cmp dword, gen */
	em32(&g->e, gen);
	gen_entry_fails(g);
}

/* The page behind has to be the one that was decoded, under its generation. */
static void gen_entry_crossing(struct gen *g, const struct jit_crossing *x)
{
	size_t it = offsetof(struct tcg_cpu, itlb[g->cpl == 3]);
	struct jit_emit *e = &g->e;

	gen_entry_gen(g, x->gen_now, x->gen);
	gen_linear(g, PAGE_SIZE);
	em_rm(e, 0x89, H_R10, rm_reg(H_RAX));
	em_rm(e, 0xc1, 5, rm_reg(H_RAX)); /* shr eax, 12 - 5 */
	em8(e, PAGE_SHIFT - 5);
	_Static_assert(sizeof(struct itlb_entry) == 32, "shift above");
	em8(e, 0x25); /* and eax, slots */
	em32(e, (ITLB_ENTRIES - 1) << 5);
	em_rm(e, EM_W | 0x3b, H_R10,
	      rm_state_index(H_RAX, it + offsetof(struct itlb_entry, tag)));
	gen_entry_fails(g);
	em_load(e, H_R10,
		rm_state_index(H_RAX, it + offsetof(struct itlb_entry, phys)));
	em_mov_imm(e, H_RAX, x->phys);
	em_rm(e, EM_W | 0x3b, H_RAX, rm_reg(H_R10));
	gen_entry_fails(g);
}

/* What those who come from outside compare. */
static void gen_entry(struct gen *g)
{
	const struct tcg_block *b = g->b;
	struct jit_crossing *x;

	gen_entry_gen(g, b->gen_now, b->gen);
	if (!b->gen_now2)
		return;
	g->j->data -= sizeof *x;
	x = (struct jit_crossing *)g->j->data;
	*x = (struct jit_crossing){ b->phys2 & PAGE_MASK, b->gen_now2,
				    b->gen2 };
	g->t->crossing = x;
	gen_entry_crossing(g, x);
}

/* The slow paths of the instruction go on behind it. */
static void gen_insn_done(struct gen *g, int first_cold)
{
	for (int n = first_cold; n < g->ncold; n++) {
		struct gen_cold *cold = &g->cold[n];

		if (cold->kind == COLD_SLOW || cold->kind == COLD_INTERP)
			cold->back = g->e.at;
	}
}

/* The block's struct and where its code begins. */
static void gen_start(struct gen *g, u32 key)
{
	const struct tcg_block *b = g->b;
	struct jit *j = g->j;

	j->data -= sizeof *g->t;
	g->t = (struct jit_block *)j->data;
	g->e.at = (u8 *)ALIGN_UP((uintptr_t)g->e.at + 4, 8);
	put_le32(g->e.at - 4, (u32)(j->data - j->rw));
	*g->t = (struct jit_block){ .phys = b->phys,
				    .key = key,
				    .gen_now = b->gen_now,
				    .gen = b->gen,
				    .code = (u32)(g->e.at - j->rw) };
}

/* What is out of line goes to its own part of the buffer. */
static void gen_cold_part(struct gen *g)
{
	struct jit *j = g->j;

	j->host_bytes += (u64)(g->e.at - j->e.at);
	j->e.at = g->e.at;
	g->cold_at = g->e.at;
	g->e.at = j->cold;
	for (int n = 0; n < g->ncold; n++)
		gen_cold_code(g, &g->cold[n]);
	j->host_bytes += (u64)(g->e.at - j->cold);
	j->cold = g->e.at;
}

/* For another instruction and the block's end: what a guest makes of 64
 * instructions is not to be foreseen. */
static bool gen_has_room(const struct gen *g)
{
	const u8 *start = g->j->rw + g->t->code;

	return (size_t)(g->e.at - start) < JIT_BLOCK_ROOM - 2 * JIT_SLACK &&
	       g->ncold < GEN_COLD_MAX - 2 * GEN_COLD_INSN;
}

/* One instruction after the other; true when the last of them has said where
 * to go on. */
static bool gen_body(struct gen *g)
{
	u32 page_off = g->b->phys & (PAGE_SIZE - 1);
	bool ended = false;

	g->loops = false;
	g->run_end = g->run_next = 0;
	memset(g->led, UINT8_MAX, sizeof g->led);
	for (g->n = 0; g->n < g->b->n && !ended && gen_has_room(g); g->n++) {
		int first_cold = g->ncold;
		u8 class;

		g->i = &g->b->insn[g->n];
		class = g->j->classes[g->i->row];
		g->off = page_off + g->i->off;
		g->start[g->n] = g->e.at;
		g->data = g->j->data;
		g->span = NULL;
		gen_flags_keep(g, &g->use[g->n]);
		if (!g->apart && g->n >= g->run_next)
			gen_plan_run(g);
		ended = insn_desc(g->i)->attrs & OP_END &&
			!(insn_desc(g->i)->attrs & OP_CC && g->n + 1 < g->b->n);
		if (ended)
			gen_x87_note(g);
		if (!gen_insn(g, class))
			return false;
		gen_insn_done(g, first_cold);
		if (unlikely(log_on(LOG_OP)))
			jit_log_insn(g, class);
	}
	return ended;
}

struct jit_block *jit_translate(struct tcg_cpu *c, struct jit *j,
				const struct tcg_block *b, u32 key)
{
	struct gen g;
	u32 page_off = b->phys & (PAGE_SIZE - 1);
	u8 *data = j->data;
	bool ended = false;

	if (j->check && gen_steps(j->classes[b->insn[0].row]))
		return NULL;
	g.j = j;
	g.e = j->e;
	g.b = b;
	g.flags = FLAGS_CC;
	g.again.how = AGAIN_NOT;
	g.vec_live = 0;
	g.note = (struct gen_note){ 0 };
	g.n = g.ncold = g.run_end = g.run_next = 0;
	g.delta = -1;
	g.apart = key & JIT_KEY_APART;
	g.cpl = key >> JIT_KEY_CPL_SHIFT & 3;
	g.mmu = g.to_mmu = c->mmu;
	g.stack = (u32)(offsetof(struct tcg_cpu, stack) +
			sizeof c->stack[0] * c->mmu);
	gen_start(&g, key);
	g.tlb = (u32)(offsetof(struct tcg_cpu, tlb) +
		      sizeof c->tlb[0] * c->mmu);
	g.pc = c->rip;
	g.plan = (struct buf){ 0 };
	gen_plan(&g);
	gen_entry(&g);
	g.again_at = NULL;
	ended = gen_body(&g);
	if (g.loops) {
		g.again_at = g.e.at;
		ended = gen_body(&g);
	}
	if (!g.n && !ended && !g.again_at) {
		j->data = data;
		return NULL;
	}
	g.start[g.n] = g.e.at;
	if (!ended) {
		gen_x87_note(&g);
		gen_save_flags(&g);
		if (g.n < b->n) {
			/* For the interpreter: not to be linked. */
			gen_exit_stub(&g, page_off + b->insn[g.n].off, NULL,
				      false, g.mmu);
		} else {
			g.off = page_off + b->bytes;
			gen_goto(&g, g.off, JIT_BRANCH_NONE);
		}
	}
	gen_cold_part(&g);
	if (unlikely(log_on(LOG_OP) || log_on(LOG_OUT_ASM)))
		jit_log_block(c, &g);
	j->blocks++;
	j->insns += g.n;
	j->guest_bytes += b->bytes;
	j->max_bytes = MAX(j->max_bytes, b->bytes);
	j->crossing += b->gen_now2 != NULL;
	return g.t;
}
