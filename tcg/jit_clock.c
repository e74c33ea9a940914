/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * RDTSC and RDTSCP in translated code: lib/tick.h's clock from the host's TSC,
 * as long as its numbers are good.  They must be newer than the read by less
 * than a span, and c->tsc_direct says that the machine's clock goes and that
 * RDTSC is allowed; the handler does all else.
 *
 * Spec: SDM 2B "RDTSC", "RDTSCP".
 */
#include <string.h>

#include "lib/tick.h"
#include "tcg/jit_gen.h"

#define TICK(field) ((s32)offsetof(struct tick_set, field))

/* What is read does not depend on what comes before. */
static void clock_wait(struct gen *g)
{
	em8(&g->e, 0x0f); /* lfence */
	em8(&g->e, 0xae);
	em8(&g->e, 0xe8);
}

/* The handler takes over before anything has changed but RDX. */
void gen_tsc(struct gen *g)
{
	bool aux = !strcmp(insn_desc(g->i)->name, "rdtscp");
	u8 rax = jit_home[REG_RAX];
	struct jit_emit *e = &g->e;

	gen_spill_flags(g);
	em_rm(e, 0x80, 7, STATE(tsc_direct)); /* cmp byte, 0 */
	em8(e, 0);
	gen_interp_instead(g, em_jcc(e, 4));
	em_mov_imm(e, H_R10, (u64)(uintptr_t)&tick_now);
	em_load(e, H_R10, rm_mem(H_R10, 0));
	if (aux)
		clock_wait(g);
	em8(e, 0x0f); /* rdtsc */
	em8(e, 0x31);
	em_rm(e, EM_W | 0xc1, 4, rm_reg(H_RDX)); /* shl rdx, 32 */
	em8(e, 32);
	em_rm(e, EM_W | 0x09, H_RDX, rm_reg(H_RAX)); /* or rax, rdx */
	em_rm(e, EM_W | 0x2b, H_RAX, rm_mem(H_R10, TICK(tsc)));
	em_mov(e, H_RDX, H_RAX);
	em_rm(e, EM_W | 0xc1, 5, rm_reg(H_RDX)); /* shr rdx */
	em8(e, TICK_SPAN_BITS);
	gen_interp_instead(g, em_jcc(e, 5));
	em_rm(e, EM_W | 0xf7, 4, rm_mem(H_R10, TICK(mult))); /* mul */
	em_rm(e, EM_W | EM_0F | 0xac, H_RDX, rm_reg(H_RAX)); /* shrd */
	em8(e, 32);
	em_rm(e, EM_W | 0x03, H_RAX, rm_mem(H_R10, TICK(ns)));
	em_rm(e, EM_W | 0x03, H_RAX, STATE(tsc_base));
	em_rm(e, 0x89, H_RAX, rm_reg(rax)); /* mov r32, eax */
	em_mov(e, H_RDX, H_RAX);
	em_rm(e, EM_W | 0xc1, 5, rm_reg(H_RDX)); /* shr rdx, 32 */
	em8(e, 32);
	if (!aux)
		return;
	em_load(e, H_R10, STATE(s));
	em_rm(e, 0x8b, H_RCX,
	      rm_mem(H_R10, (s32)offsetof(struct cpu_state, tsc_aux)));
}
