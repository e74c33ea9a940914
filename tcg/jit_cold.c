/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What translated code has out of line: calls of C with data behind them, exits
 * of blocks.
 */
#include "tcg/jit_gen.h"

#include <string.h>

#include "vmm/memory.h"

void gen_exit_stub(struct gen *g, s64 target, const u8 *site, bool apart,
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

/* The exit just made: to the page that the block crosses into, which is
 * executed already. */
static void gen_exit_second(struct gen *g)
{
	g->e.at[offsetof(struct jit_exit, second) -
		(s64)sizeof(struct jit_exit)] = true;
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

/* Behind that: an instruction that repeats has stored to its own page, and is
 * not what is there any more.  Its handler does the rest, and then all is looked
 * at anew. */
static void gen_rest(struct gen *g, const struct gen_cold *cold)
{
	u32 off = JIT_INFO_OFF(cold->info), len = JIT_INFO_LEN(cold->info);

	gen_call_handler(g, cold->insn, JIT_INFO(off, len, 0, false));
	gen_exit_stub(g, off + len, NULL, false, g->mmu);
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
	if (gen_in_page(cold->target) && !g->source) {
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

void gen_cold_code(struct gen *g, struct gen_cold *cold)
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
	case COLD_NOTICE:
		gen_slow_stub(g, cold, g->j->notice);
		if (cold->insn)
			gen_rest(g, cold);
		break;
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
		if (cold->second)
			gen_exit_second(g);
		break;
	case COLD_SIDE: gen_side_exit(g, cold); break;
	case COLD_GATE: gen_gate_cold(g, cold); break;
	case COLD_CROSSING: gen_crossing_cold(g, cold); break;
	case COLD_SOURCE:
	case COLD_OLD:
		if (cold->kind == COLD_SOURCE)
			gen_source_cold(g);
		gen_linear(g, cold->target);
		em_store(&g->e, STATE(rip), H_R10);
		em_mov_imm(&g->e, H_RAX, (u64)-1);
		em_to(em_jmp(&g->e), g->j->outdated);
		break;
	}
}
