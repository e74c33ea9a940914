/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * REP STOS and REP MOVS in translated code: the same instruction on host
 * addresses, as far as each operand goes on in its page, then the next pages,
 * where addresses go upwards and the TLB knows the page.  The handler does all
 * else, from where it has come to.
 *
 * Spec: SDM 2 "REP/REPE/REPZ/REPNE/REPNZ".
 */
#include "tcg/jit_gen.h"
#include "vmm/memory.h"

#define STRING_TESTS 4

/* Jumps to where the handler is called. */
struct string_tests {
	u8 *from[STRING_TESTS];
	int n;
};

static void string_unless(struct gen *g, struct string_tests *t, u8 cond)
{
	t->from[t->n++] = em_jcc(&g->e, cond);
}

/* R10 becomes the host address of what `reg` points to, and RAX the TLB slot's
 * offset. */
static void string_lookup(struct gen *g, struct string_tests *t, u8 reg,
			  size_t tag)
{
	struct jit_emit *e = &g->e;

	em_mov(e, H_R10, reg);
	em_rm(e, 0x89, H_R10, rm_reg(H_RAX));
	gen_tlb_slot(g);
	em_rm(e, EM_W | 0x33, H_R10, rm_state_index(H_RAX, g->tlb + tag));
	em_rm(e, EM_W | 0x81, 7, rm_reg(H_R10)); /* cmp */
	em32(e, PAGE_SIZE - 1);
	string_unless(g, t, 7);
	em_mov(e, H_R10, reg);
	em_rm(e, EM_W | 0x03, H_R10,
	      gen_tlb(g, offsetof(struct tlb_entry, delta)));
}

/* `to`: bytes left in the page of what `reg` points to. */
static void string_room(struct gen *g, u8 to, u8 reg)
{
	em_rm(&g->e, 0x89, reg, rm_reg(to));
	em_rm(&g->e, 0x81, 1, rm_reg(to)); /* or */
	em32(&g->e, (u32)-PAGE_SIZE);
	em_rm(&g->e, 0xf7, 3, rm_reg(to)); /* neg */
}

/* c->jit_tmp becomes the number of elements that lie in the pages where the
 * operands are now, and RAX. */
static void string_part(struct gen *g, struct string_tests *t, bool movs)
{
	u8 shift = (u8)__builtin_ctz(g->i->opsize);
	struct jit_emit *e = &g->e;

	string_room(g, H_RAX, H_RDI);
	if (movs) {
		string_room(g, H_R10, H_RSI);
		em_rm(e, 0x3b, H_RAX, rm_reg(H_R10));         /* cmp */
		em_rm(e, EM_0F | 0x47, H_RAX, rm_reg(H_R10)); /* cmova */
	}
	if (shift) {
		em_rm(e, 0xc1, 5, rm_reg(H_RAX)); /* shr */
		em8(e, shift);
		string_unless(g, t, 4);
	}
	em_rm(e, EM_W | 0x3b, H_RAX, rm_reg(H_RCX));
	em_rm(e, EM_W | EM_0F | 0x47, H_RAX, rm_reg(H_RCX));
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

/* From page to page. */
static void string_run(struct gen *g, struct string_tests *t, bool movs)
{
	struct jit_rm by = rm_index(H_RAX, H_RCX, 0, 0);
	struct jit_emit *e = &g->e;
	u8 *again, *over;

	by.scale = (u8)__builtin_ctz(g->i->opsize);
	em_rm(e, 0xf7, 0, STATE(eflags)); /* test dword */
	em32(e, RFLAGS_DF);
	string_unless(g, t, 5);
	em_rm(e, EM_W | 0x85, H_RCX, rm_reg(H_RCX)); /* test */
	over = em_jcc(e, 4);
	again = e->at;
	string_part(g, t, movs);
	if (movs) {
		string_lookup(g, t, H_RSI, offsetof(struct tlb_entry, read));
		em_store(e, STATE(jit_from), H_R10);
	}
	string_lookup(g, t, H_RDI, offsetof(struct tlb_entry, write));
	em_rm(e, 0x89, H_RAX, STATE(jit_index));
	em_rm(e, EM_W | 0x87, H_R10, rm_reg(H_RDI));  /* xchg */
	em_rm(e, EM_W | 0x2b, H_RCX, STATE(jit_tmp)); /* sub */
	em_store(e, STATE(jit_left), H_RCX);
	em_load(e, H_RCX, STATE(jit_tmp));
	if (movs) {
		em_mov(e, H_RAX, H_RSI);
		em_load(e, H_RSI, STATE(jit_from));
		string_rep(g);
	} else {
		em_mov(e, H_RAX, jit_home[REG_RAX]);
		string_rep(g);
	}
	em_load(e, H_RCX, STATE(jit_tmp));
	if (movs)
		em_lea(e, H_RSI, by);
	by.base = H_R10;
	em_lea(e, H_RDI, by);
	em_load(e, H_RCX, STATE(jit_left));
	g->index_kept = true;
	gen_stored(g, g->i->opsize);
	g->cold[g->ncold - 1].info |= JIT_INFO_REP;
	g->cold[g->ncold - 1].insn = g->i;
	em_rm(e, EM_W | 0x85, H_RCX, rm_reg(H_RCX));
	em_here(e, over);
	over = em_jcc(e, 4);
	em_rm(e, 0x83, 7, STATE(exit_req)); /* cmp dword, 0 */
	em8(e, 0);
	em_to(em_jcc(e, 4), again);
	gen_cold(g, COLD_EXIT, em_jmp(e))->target = g->off;
	em_here(e, over);
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
