/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Blocks of decoded instructions: what interpreter and JIT share.
 */
#ifndef TCG_BLOCK_H
#define TCG_BLOCK_H

#include "tcg/internal.h"

#define BLOCK_INSNS 64

/* A block that was found by linear address, good while `key` is the current
 * one: mode, privilege and c->code_epoch. */
struct block_ref {
	u64 pc, key;
	struct tcg_block *block;
};

struct tcg_block {
	_Atomic u32 *gen_now;
	/* Second page of a crossing instruction; NULL otherwise. */
	_Atomic u32 *gen_now2;
	u32 gen, gen2;
	u16 n; /* instructions */
	u16 bytes;
	u32 mode_key;
	/* What ran after it last: fell through, branched. */
	struct block_ref link[2];
	gpa_t phys, phys2;
	struct tcg_block *next; /* same hash */
	bool refused;           /* not for the JIT */
	struct insn insn[];
};

/* Runs the instruction at c->rip, decoded afresh; raises.  c->rip is the next
 * one's address afterwards. */
void tcg_run_single(struct tcg_cpu *c);

#endif
