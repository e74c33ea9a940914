/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Log items of the engine: in_asm, op, out_asm, exec, cpu, mmu.
 *
 * Callers ask log_on() first, so that nothing costs anything while it is off.
 */
#ifndef TCG_LOG_H
#define TCG_LOG_H

#include "lib/log.h"
#include "tcg/block.h"

struct cpu_walk;
struct gen;

/* The vCPU's disassemblers, opened when they are first needed. */
void tcg_log_close(struct tcg_cpu *c);

/* in_asm: the block has been decoded for linear address `pc`. */
void tcg_log_block(struct tcg_cpu *c, const struct tcg_block *b, u64 pc);
/* exec and cpu: code for c->rip is about to run: `host` translated or NULL,
 * found by `key`, `n` instructions if that is known. */
void tcg_log_run(struct tcg_cpu *c, const void *host, u32 key, u32 n);
/* mmu: a page has been translated. */
void tcg_log_page(struct tcg_cpu *c, u64 va, u8 mmu, const struct cpu_walk *w);

/* op, out_asm: one instruction of g->b has been translated, by its class; the
 * block is done. */
void jit_log_insn(struct gen *g, u8 class);
void jit_log_block(struct tcg_cpu *c, struct gen *g);

#endif
