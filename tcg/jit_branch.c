/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Branches in translated code.  Those within a page become jumps of the host
 * once their target is translated, others are looked up; a CALL and its RET
 * are a pair of the host, too.
 */
#include "tcg/jit_gen.h"

#include "vmm/memory.h"

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

bool gen_in_page(s64 target)
{
	return target >= 0 && target < (s64)PAGE_SIZE;
}

/* Is a jump there linked, once there is a translation?  Blocks that compare
 * their text do not know of what generation it is. */
static bool gen_links(const struct gen *g, s64 target)
{
	return gen_in_page(target) && !g->source;
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

void gen_linear(struct gen *g, s64 target)
{
	em_load(&g->e, H_R10, gen_slot(INSN_RIP));
	gen_add(g, H_R10, rm_mem(H_R10, (s32)target));
}

void gen_goto(struct gen *g, s64 target, u32 kind)
{
	if (g->b->gen_now2 && target >= (s64)PAGE_SIZE &&
	    gen_in_page(target - (s64)PAGE_SIZE)) {
		/* The block has just made sure which page that is. */
		gen_linear(g, PAGE_SIZE);
		em_store(&g->e, gen_slot(INSN_RIP), H_R10);
		gen_link(g, target - (s64)PAGE_SIZE, em_jmp(&g->e));
		g->cold[g->ncold - 1].second = true;
		return;
	}
	if (!gen_links(g, target)) {
		if (gen_gate(g, target, JIT_BRANCH(g->off & 0xfff, kind, 0)))
			return;
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

bool gen_branch_ok(const struct gen *g)
{
	s64 target = gen_target(g);

	return g->i->opsize == g->word && target == (s32)target;
}

/* Flags stay where they are for what comes behind. */
static void gen_jcc_side(struct gen *g, u8 cond, s64 target, u32 kind)
{
	bool saves = g->flags == FLAGS_HOST || g->flags == FLAGS_AGAIN;
	struct gen_cold *cold;

	gen_load_flags(g);
	if (!saves && gen_links(g, target) && !g->note.any) {
		gen_link(g, target, em_jcc(&g->e, cond));
		gen_delta_kept(g);
		return;
	}
	cold = gen_cold(g, COLD_SIDE, em_jcc(&g->e, cond));
	cold->target = target;
	cold->saves = saves;
	cold->info = JIT_BRANCH(g->off & 0xfff, kind, 0);
	gen_delta_kept(g);
}

/* Does the block's last jump go to its start? */
static bool gen_is_loop(const struct gen *g, s64 target)
{
	return target == (s64)(g->b->phys & (PAGE_SIZE - 1)) && !g->apart &&
	       !g->b->gen_now2 && !g->j->nochain && !g->source;
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

void gen_jcc(struct gen *g)
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
	if (gen_links(g, target) && target > g->off) {
		gen_link(g, target, em_jcc(&g->e, cond));
	} else {
		over = em_jcc(&g->e, cond ^ 1);
		gen_goto(g, target, JIT_BRANCH_JMP);
		em_here(&g->e, over);
	}
	gen_goto(g, g->off + g->i->len, JIT_BRANCH_NONE);
}

void gen_jmp(struct gen *g)
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
	gen_add(g, H_R10, rm_mem(H_R10, (s32)-target));
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

	if (g->word != 8) {
		gen_linear(g, target);
		return;
	}
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

	if (g->word != 8)
		return;
	em_mov(e, H_RAX, H_R10);
	em_rm(e, EM_W | 0xc1, 4, rm_reg(H_RAX)); /* shl rax, 16 */
	em8(e, 16);
	em_rm(e, EM_W | 0xc1, 7, rm_reg(H_RAX)); /* sar rax, 16 */
	em8(e, 16);
	em_rm(e, EM_W | 0x3b, H_RAX, rm_reg(H_R10));
	gen_interp_instead(g, em_jcc(e, 5));
}

/* c->rip has to be right when the push stops translated code. */
void gen_call(struct gen *g)
{
	s64 target = gen_target(g);
	bool links = gen_links(g, target);

	gen_settle_flags(g);
	if (!links)
		gen_call_target(g, target);
	else if (!gen_in_run(g))
		gen_linear(g, target);
	if (!gen_in_run(g))
		em_store(&g->e, STATE(rip), H_R10);
	gen_push_pair(g, links ? target : -1);
	if (links) {
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
		gen_access(g, g->word, false);
		em_rm(&g->e, gen_w(g) | 0x8b, H_R10,
		      gen_load_operand(g, false));
	} else {
		reg = gen_read(g, i->rm, H_R10);
		if (reg != H_R10)
			em_rm(&g->e, gen_w(g) | 0x8b, H_R10, rm_reg(reg));
	}
}

void gen_jmp_ind(struct gen *g)
{
	gen_indirect_target(g);
	gen_leave_page(g, JIT_BRANCH_JMP, 0);
}

void gen_call_ind(struct gen *g)
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

void gen_ret(struct gen *g)
{
	u8 sp = jit_home[REG_RSP];
	u16 pop = (u16)g->i->imm;

	gen_settle_flags(g);
	em_rm(&g->e, gen_w(g) | 0x8b, H_R10, gen_stack_load(g, sp, 0));
	gen_add(g, sp, rm_mem(sp, g->word + pop));
	gen_branch_info(g, JIT_BRANCH_RET, pop);
	em_rm(&g->e, EM_W | 0x3b, H_R10, rm_mem(H_RSP, 8));
	em_to(em_jcc(&g->e, 5), g->j->ret_miss[g->cpl == 3]);
	em8(&g->e, 0xc3);
}
