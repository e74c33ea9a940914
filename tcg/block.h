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
	u8 runs;                /* as this block, up to 255 */
	struct insn insn[];
};

/* Jumps that a block for the JIT may have before its end. */
#define BLOCK_JUMPS 2

#define BLOCK_BYTES(n) \
	(sizeof(struct tcg_block) + ((n) + 1) * sizeof(struct insn))

/* The block at c->rip and what lies behind its conditional jump in the page,
 * and so on: `ret` has BLOCK_BYTES(BLOCK_INSNS).  Jumps backward and at the
 * page's end stay the last.  The same code gives the same block.  Raises. */
void tcg_block_extend(struct tcg_cpu *c, const struct tcg_block *b,
		      struct tcg_block *ret);

/* The block at b->phys anew from `room` bytes of `code`, up to its first jump;
 * what does not decode is not in it. */
void tcg_block_again(struct tcg_cpu *c, const u8 *code, u32 room,
		     struct tcg_block *b);
/* Its first `n` instructions. */
void tcg_block_cut(struct tcg_block *b, u16 n);

/* Runs the instruction at c->rip, decoded afresh; raises.  c->rip is the next
 * one's address afterwards. */
void tcg_run_single(struct tcg_cpu *c);

#endif
