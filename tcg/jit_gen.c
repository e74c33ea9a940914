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

	if (!gen_delta_there(g, GEN_DELTA_RUN))
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
	gen_access_at(g, sp, disp, g->word, false);
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

void gen_call_handler(struct gen *g, const struct insn *i, u32 info)
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

/* ---- Arithmetic ---- */

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
		rm = gen_run_operand(g, -g->word, false);
	} else {
		gen_access_at(g, sp, -g->word, g->word, true);
		rm = gen_store_operand(g, src == H_RAX);
		if (src == H_RAX)
			em_load(&g->e, H_RAX, load);
	}
	em_rm(&g->e, gen_w(g) | 0x89, src, rm);
	gen_add(g, sp, rm_mem(sp, -g->word));
	if (run)
		gen_delta_left(g, GEN_DELTA_RUN);
	else
		gen_stored(g, g->word);
}

static void gen_push(struct gen *g)
{
	const struct insn *i = g->i;

	if (i->opsize != g->word) {
		gen_interp(g);
	} else if (i->is_mem) {
		gen_access(g, g->word, false);
		em_rm(&g->e, gen_w(g) | 0x8b, H_RAX,
		      gen_load_operand(g, false));
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

	if (g->i->opsize != g->word) {
		gen_interp(g);
		return;
	}
	if (run) {
		rm = gen_run_operand(g, -g->word, false);
	} else {
		gen_access_at(g, sp, -g->word, g->word, true);
		rm = gen_store_operand(g, false);
	}
	em_rm(&g->e, gen_w(g) | 0xc7, 0, rm);
	em32(&g->e, (u32)g->i->imm);
	gen_add(g, sp, rm_mem(sp, -g->word));
	if (run)
		gen_delta_left(g, GEN_DELTA_RUN);
	else
		gen_stored(g, g->word);
}

static void gen_pop(struct gen *g)
{
	const struct insn *i = g->i;
	u8 sp = jit_home[REG_RSP], home = jit_home[i->rm];
	struct jit_rm rm;

	if (i->opsize != g->word || i->is_mem) {
		gen_interp(g);
		return;
	}
	rm = gen_stack_load(g, sp, 0);
	if (home == JIT_NOHOME) {
		em_load(&g->e, H_RAX, rm);
		em_store(&g->e, gen_slot(i->rm), H_RAX);
	} else {
		em_rm(&g->e, gen_w(g) | 0x8b, home, rm);
		if (gen_in_run(g))
			gen_delta_left(g, GEN_DELTA_RUN);
	}
	if (home != sp)
		gen_add(g, sp, rm_mem(sp, g->word));
}

static void gen_leave(struct gen *g)
{
	if (g->i->opsize != g->word) {
		gen_interp(g);
		return;
	}
	em_rm(&g->e, gen_w(g) | 0x8b, H_RAX, gen_stack_load(g, H_RBP, 0));
	gen_add(g, jit_home[REG_RSP], rm_mem(H_RBP, g->word));
	em_mov(&g->e, H_RBP, H_RAX);
}

/* ---- Runs of stack accesses ---- */

/* Looks at all instructions, and plans spans; runs are planned on the way. */
static void gen_plan(struct gen *g)
{
	for (g->n = 0; g->n < g->b->n; g->n++) {
		g->i = &g->b->insn[g->n];
		gen_use(g, g->j->classes[g->i->row], &g->use[g->n]);
	}
	g->n = 0;
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

/* MODE_FLAT: FS and GS may have limits, and by CS nothing is written; these are
 * left to handlers, as are addresses of 16 bits, and VZEROALL, which does not
 * reach registers 8 to 15. */
static u8 gen_class32(const struct insn *i, u8 class)
{
	bool flat = i->addrsize == 4 && i->seg < SEG_FS && i->seg != SEG_CS;

	if (insn_desc(i)->map == V0F && i->opcode == 0x77)
		return JIT_INTERP;
	switch (class) {
	case JIT_NOP: return class;
	case JIT_LEA: return i->addrsize == 4 ? class : JIT_INTERP;
	case JIT_PUSHF:
	case JIT_POPF:
	case JIT_STI:
	case JIT_STRING: return JIT_INTERP;
	case JIT_SYSCALL:
	case JIT_SYSRET:
	case JIT_SWAPGS: return JIT_STOP;
	}
	if (!i->is_mem || flat)
		return class;
	return insn_desc(i)->attrs & OP_END ? JIT_STOP : JIT_INTERP;
}

/* False when the block ends in front of the instruction. */
static bool gen_insn(struct gen *g, u8 class)
{
	if (g->word != 8)
		class = gen_class32(g->i, class);
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
		if (g->i->opsize != g->word)
			return false;
		break;
	}
	if (g->source && gen_source_field(g, class))
		return true;
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

/* Is the page's generation still this one?  RAX stays: `outdated` asks by it
 * whether a gate has led here. */
static u8 *gen_entry_gen(struct gen *g, const _Atomic u32 *gen_now, u32 gen)
{
	em_plus(&g->e, EM_W | 0xb8, H_R10);
	em64(&g->e, (u64)gen_now);
	em_rm(&g->e, 0x81, 7, rm_mem(H_R10, 0)); /* cmp dword, gen */
	em32(&g->e, gen);
	return em_jcc(&g->e, 5);
}

/* What those who come from outside compare; they have set c->rip.  Then what
 * all do. */
static void gen_entry(struct gen *g)
{
	const struct tcg_block *b = g->b;
	struct jit_crossing *x;

	em_to(gen_entry_gen(g, g->t->gen_now, g->t->gen), g->j->outdated);
	if (g->source)
		gen_source(g);
	if (!b->gen_now2)
		return;
	g->j->data -= sizeof *x;
	x = (struct jit_crossing *)g->j->data;
	*x = (struct jit_crossing){ b->phys2 & PAGE_MASK, b->gen_now2,
				    b->gen2 };
	g->t->crossing = x;
	gen_cold(g, COLD_OLD, gen_entry_gen(g, x->gen_now, x->gen))->target =
		b->phys & (PAGE_SIZE - 1);
	gen_crossing(g);
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
static void gen_start(struct gen *g, u32 key, const struct jit_source *source)
{
	const struct tcg_block *b = g->b;
	struct jit *j = g->j;

	j->data -= sizeof *g->t;
	g->t = (struct jit_block *)j->data;
	g->e.at = (u8 *)ALIGN_UP((uintptr_t)g->e.at + 4 + JIT_ENTRY_BYTES, 32) -
		  JIT_ENTRY_BYTES;
	put_le32(g->e.at - 4, (u32)(j->data - j->rw));
	*g->t = (struct jit_block){ .phys = b->phys,
				    .key = key,
				    .gen_now = b->gen_now,
				    .gen = b->gen,
				    .code = (u32)(g->e.at - j->rw) };
	if (!source)
		return;
	j->data -= ALIGN_UP(sizeof *g->source, 8);
	g->source = (struct jit_source *)j->data;
	*g->source = *source;
	g->t->source = g->source;
	g->t->gen_now = &jit_source_gen;
	g->t->gen = 0;
	j->sources++;
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
	g->delta = -1;
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
				const struct tcg_block *b, u32 key,
				const struct jit_source *source)
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
	g.word = b->mode_key & MODE_CODE64 ? 8 : 4;
	g.source = NULL;
	g.apart = key & JIT_KEY_APART || g.word != 8 || source;
	g.cpl = key >> JIT_KEY_CPL_SHIFT & 3;
	g.mmu = g.to_mmu = c->mmu;
	g.stack = (u32)(offsetof(struct tcg_cpu, stack) +
			sizeof c->stack[0] * c->mmu);
	gen_start(&g, key, source);
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
