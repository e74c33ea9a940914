/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * REP STOS and REP MOVS in translated code: the same instruction on host
 * addresses, where each operand lies in one page that the TLB knows and
 * addresses go upwards.  The handler does all else.
 *
 * Spec: SDM 2 "REP/REPE/REPZ/REPNE/REPNZ".
 */
#include "tcg/jit_gen.h"
#include "vmm/memory.h"

#define STRING_TESTS 6

/* Jumps to where the handler is called. */
struct string_tests {
	u8 *from[STRING_TESTS];
	int n;
};

static void string_unless(struct gen *g, struct string_tests *t, u8 cond)
{
	t->from[t->n++] = em_jcc(&g->e, cond);
}

/* R10 becomes the host address of what `reg` points to, c->jit_tmp bytes, and
 * RAX the TLB slot's offset. */
static void string_lookup(struct gen *g, struct string_tests *t, u8 reg,
			  size_t tag)
{
	struct jit_emit *e = &g->e;

	em_mov(e, H_R10, reg);
	em_rm(e, 0x89, H_R10, rm_reg(H_RAX));
	gen_tlb_slot(g);
	em_rm(e, EM_W | 0x33, H_R10, rm_state_index(H_RAX, g->tlb + tag));
	/* The sum must not wrap. */
	em_rm(e, EM_W | 0x81, 7, rm_reg(H_R10)); /* cmp */
	em32(e, PAGE_SIZE - 1);
	string_unless(g, t, 7);
	em_rm(e, EM_W | 0x03, H_R10, STATE(jit_tmp)); /* add */
	em_rm(e, EM_W | 0x81, 7, rm_reg(H_R10));
	em32(e, PAGE_SIZE);
	string_unless(g, t, 7);
	em_mov(e, H_R10, reg);
	em_rm(e, EM_W | 0x03, H_R10,
	      gen_tlb(g, offsetof(struct tlb_entry, delta)));
}

/* c->jit_tmp becomes the number of bytes. */
static void string_bytes(struct gen *g, struct string_tests *t, u8 shift)
{
	struct jit_emit *e = &g->e;

	em_rm(e, 0xf7, 0, STATE(eflags)); /* test dword */
	em32(e, RFLAGS_DF);
	string_unless(g, t, 5);
	em_rm(e, EM_W | 0x81, 7, rm_reg(H_RCX)); /* cmp */
	em32(e, PAGE_SIZE >> shift);
	string_unless(g, t, 7);
	em_rm(e, 0x89, H_RCX, rm_reg(H_RAX));
	em_rm(e, 0xc1, 4, rm_reg(H_RAX)); /* shl */
	em8(e, shift);
	em_store(e, STATE(jit_tmp), H_RAX);
}

static void string_rep(struct gen *g)
{
	const struct insn *i = g->i;

	em8(&g->e, 0xf3);
	if (i->opsize == 2)
		em8(&g->e, 0x66);
	if (i->opsize == 8)
		em8(&g->e, 0x48);
	em8(&g->e, i->opcode);
}

static void string_run(struct gen *g, struct string_tests *t, bool movs)
{
	struct jit_emit *e = &g->e;

	string_bytes(g, t, (u8)__builtin_ctz(g->i->opsize));
	if (movs) {
		string_lookup(g, t, H_RSI, offsetof(struct tlb_entry, read));
		em_store(e, STATE(jit_from), H_R10);
	}
	string_lookup(g, t, H_RDI, offsetof(struct tlb_entry, write));
	em_rm(e, 0x89, H_RAX, STATE(jit_index));
	em_rm(e, EM_W | 0x87, H_R10, rm_reg(H_RDI)); /* xchg */
	if (movs) {
		em_mov(e, H_RAX, H_RSI);
		em_load(e, H_RSI, STATE(jit_from));
		string_rep(g);
		em_rm(e, EM_W | 0x03, H_RAX, STATE(jit_tmp)); /* add */
		em_mov(e, H_RSI, H_RAX);
	} else {
		em_mov(e, H_RAX, jit_home[REG_RAX]);
		string_rep(g);
	}
	em_rm(e, EM_W | 0x03, H_R10, STATE(jit_tmp));
	em_mov(e, H_RDI, H_R10);
	g->index_kept = true;
	gen_stored(g, g->i->opsize);
}

void gen_string(struct gen *g)
{
	const struct insn *i = g->i;
	bool movs = gen_row(i)->what == ROW_MOVS;
	struct string_tests t = { .n = 0 };
	u8 *over;

	if (!(i->prefix & (INSN_REP | INSN_REPNE)) || i->addrsize != 8 ||
	    (movs && i->seg >= SEG_FS)) {
		gen_interp(g);
		return;
	}
	gen_x87_note(g);
	gen_settle_flags(g);
	string_run(g, &t, movs);
	over = em_jmp(&g->e);
	while (t.n > 0)
		em_here(&g->e, t.from[--t.n]);
	gen_interp(g);
	em_here(&g->e, over);
}
