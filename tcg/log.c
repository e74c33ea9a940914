/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Log items of the engine, as QEMU's users know them: see tcg/log.h.
 */
#include "tcg/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "tcg/disas.h"
#include "tcg/jit_gen.h"
#include "tcg/tcg.h"
#include "vmm/machine.h"

typedef unsigned long long ull; /* of printf */

/* By bits: 16, 32, 64. */
struct tcg_log {
	struct disas *disas[3];
	bool refused;
};

static const char *const log_classes[] = {
	[JIT_INTERP] = "handler",    [JIT_STOP] = "stop",
	[JIT_COPY] = "copy",         [JIT_ACC] = "acc",
	[JIT_MOV_IMM] = "mov-imm",   [JIT_BSWAP] = "bswap",
	[JIT_LEA] = "lea",           [JIT_NOP] = "nop",
	[JIT_FENCE] = "fence",       [JIT_CMPXCHG_WIDE] = "cmpxchg-wide",
	[JIT_MUL] = "mul",           [JIT_CBW] = "cbw",
	[JIT_CWD] = "cwd",           [JIT_CMPXCHG] = "cmpxchg",
	[JIT_CARRY] = "carry",       [JIT_PUSH] = "push",
	[JIT_PUSH_IMM] = "push-imm", [JIT_POP] = "pop",
	[JIT_LEAVE] = "leave",       [JIT_CALL] = "call",
	[JIT_CALL_IND] = "call-ind", [JIT_JMP] = "jmp",
	[JIT_JMP_IND] = "jmp-ind",   [JIT_JCC] = "jcc",
	[JIT_RET] = "ret",           [JIT_CLI] = "cli",
	[JIT_STI] = "sti",           [JIT_DIRECTION] = "direction",
	[JIT_PUSHF] = "pushf",       [JIT_POPF] = "popf",
	[JIT_DIV] = "div",           [JIT_IDIV] = "idiv",
	[JIT_VEC] = "vector",        [JIT_VEX] = "vex",
	[JIT_X87] = "x87",           [JIT_STRING] = "string",
	[JIT_TSC] = "tsc",           [JIT_SYSCALL] = "syscall",
	[JIT_SYSRET] = "sysret",     [JIT_SWAPGS] = "swapgs",
	[JIT_SET_AC] = "set ac",
};

/* ---- Disassembly ---- */

void tcg_log_close(struct tcg_cpu *c)
{
	struct tcg_log *log = c->log;

	if (!log)
		return;
	for (size_t n = 0; n < ARRAY_SIZE(log->disas); n++)
		disas_close(log->disas[n]);
	free(log);
	c->log = NULL;
}

/* NULL: there is none, which has been said once. */
static struct disas *log_disas(struct tcg_cpu *c, u32 mode_key)
{
	int n = mode_key & MODE_CODE64 ? 2 : mode_key & MODE_CODE32 ? 1 : 0;
	struct tcg_log *log = c->log;
	struct err err = { 0 };

	if (!log)
		log = c->log = xalloc(sizeof *log);
	if (log->disas[n] || log->refused)
		return log->disas[n];
	log->disas[n] = disas_open(16 << n, &err);
	if (!log->disas[n]) {
		log_warn("%s", err.msg);
		log->refused = true;
	}
	return log->disas[n];
}

static void log_bytes(u64 addr, const u8 *code, size_t n, struct buf *out)
{
	if (!n)
		return;
	buf_printf(out, "0x%08llx:  .byte", (ull)addr);
	for (size_t k = 0; k < n; k++)
		buf_printf(out, " 0x%02x", code[k]);
	buf_putc(out, '\n');
}

static void log_code(struct disas *d, u64 addr, const u8 *code, size_t n,
		     struct buf *out)
{
	while (d && n) {
		size_t len = disas_insn(d, addr, code, n, out);

		if (!len)
			break;
		addr += len;
		code += len;
		n -= len;
	}
	log_bytes(addr, code, n, out);
}

/* ---- Guest code ---- */

void tcg_log_block(struct tcg_cpu *c, const struct tcg_block *b, u64 pc)
{
	u32 first = MIN(b->bytes, PAGE_SIZE - (b->phys & (PAGE_SIZE - 1)));
	u8 code[BLOCK_INSNS * 15];
	struct buf text = { 0 };

	if (!log_in_range(pc))
		return;
	mem_read(&c->m->mem, b->phys, code, first);
	if (first < b->bytes)
		mem_read(&c->m->mem, b->phys2, code + first, b->bytes - first);
	log_code(log_disas(c, b->mode_key), pc, code, b->bytes, &text);
	log_write(LOG_IN_ASM, "----------------\nIN: cpu %d\n%s\n", c->v->index,
		  buf_str(&text));
	buf_fini(&text);
}

/* ---- Execution ---- */

static void log_cpu(struct tcg_cpu *c)
{
	struct cpu_state s = *c->s;
	struct buf text = { 0 };

	memcpy(s.gpr, c->gpr, sizeof s.gpr);
	s.rip = c->rip;
	s.rflags = tcg_rflags(c);
	s.interrupt_shadow = c->shadow;
	cpu_dump(&s, &text);
	log_write(LOG_CPU, "%s", buf_str(&text));
	buf_fini(&text);
}

void tcg_log_run(struct tcg_cpu *c, const void *host, u32 key, u32 n)
{
	u64 base = c->s->seg[SEG_CS].base;

	if (!log_in_range(c->code64 ? c->rip : (u32)(base + c->rip)))
		return;
	log_item(LOG_EXEC, "Trace %d: %p [%016llx/%016llx/%08x/%08x]",
		 c->v->index, host, c->code64 ? 0 : (ull)base, (ull)c->rip, key,
		 n);
	if (log_on(LOG_CPU))
		log_cpu(c);
}

void tcg_log_page(struct tcg_cpu *c, u64 va, u8 mmu, const struct cpu_walk *w)
{
	static const char *const modes[MMU_COUNT] = { "kernel", "user",
						      "kernel-ac", "user" };

	log_write(LOG_MMU,
		  "cpu %d mmu: %s 0x%016llx -> 0x%llx, page of 0x%llx%s%s%s%s",
		  c->v->index, modes[mmu], (ull)va, (ull)w->pa,
		  (ull)w->page_size, w->user ? " user" : "",
		  w->write ? " write" : "", w->nx ? " nx" : "",
		  w->global ? " global" : "");
}

/* ---- Translation ---- */

static u64 log_addr(const struct gen *g, const struct insn *i)
{
	return g->pc + i->off;
}

void jit_log_insn(struct gen *g, u8 class)
{
	const struct opdesc *d = insn_desc(g->i);
	const char *name = NULL;
	char form[64];

	if (class < ARRAY_SIZE(log_classes))
		name = log_classes[class];
	snprintf(form, sizeof form, "%s %s", d->name, d->operands);
	buf_printf(&g->plan, " 0x%08llx  %-20s %s%s%s, %d bytes\n",
		   (ull)log_addr(g, g->i), form, name ? name : "?",
		   gen_in_run(g) ? ", stack run" : "",
		   g->j->data != g->data ? ", calls its handler" : "",
		   (int)(g->e.at - g->start[g->n]));
}

/* Bytes of data behind the code of a gen_cold. */
static size_t log_cold_data(const struct gen_cold *cold)
{
	switch (cold->kind) {
	case COLD_INTERP:
	case COLD_CROSSING:
	case COLD_OLD: return 0;
	case COLD_GATE: return gen_gate_data();
	case COLD_STACK:
		/* and a jump, and a call for its link */
		return sizeof(struct jit_run) + 5 + 5 + sizeof(struct jit_exit);
	case COLD_EXIT: return sizeof(struct jit_exit);
	default: return sizeof(struct jit_slow);
	}
}

static void log_cold(struct gen *g, struct disas *d, struct buf *out)
{
	buf_puts(out, "  -- tb slow paths\n");
	for (int n = 0; n < g->ncold; n++) {
		const u8 *at = g->cold[n].stub;
		const u8 *end =
			n + 1 < g->ncold ? g->cold[n + 1].stub : g->e.at;
		size_t data = log_cold_data(&g->cold[n]);
		u64 rx = (u64)g->e.rx;

		log_code(d, (u64)at + rx, at, (size_t)(end - at) - data, out);
		log_bytes((u64)(end - data) + rx, end - data, data, out);
	}
}

static void log_out(struct tcg_cpu *c, struct gen *g)
{
	struct disas *d = log_disas(c, MODE_CODE64);
	const u8 *at = g->j->rw + g->t->code, *cold = g->j->cold;
	struct buf text = { 0 };

	buf_printf(&text,
		   "OUT: [size=%d]\n  -- guest addr 0x%016llx + tb prologue\n",
		   (int)(g->cold_at - at +
			 (g->ncold ? cold - g->cold[0].stub : 0)),
		   (ull)g->pc);
	for (int n = 0; n <= g->n; n++) {
		const u8 *end = g->start[n];

		log_code(d, (u64)at + (u64)g->e.rx, at, (size_t)(end - at),
			 &text);
		if (n < g->n)
			buf_printf(&text, "  -- guest addr 0x%016llx\n",
				   (ull)log_addr(g, &g->b->insn[n]));
		at = end;
	}
	log_code(d, (u64)at + (u64)g->e.rx, at, (size_t)(g->cold_at - at),
		 &text);
	log_cold(g, d, &text);
	log_write(LOG_OUT_ASM, "%s\n", buf_str(&text));
	buf_fini(&text);
}

void jit_log_block(struct tcg_cpu *c, struct gen *g)
{
	bool wanted = log_in_range(g->pc);

	if (wanted && log_on(LOG_OP) && g->plan.len)
		log_write(LOG_OP, "OP: cpu %d\n%s\n", c->v->index,
			  buf_str(&g->plan));
	if (wanted && log_on(LOG_OUT_ASM))
		log_out(c, g);
	buf_fini(&g->plan);
}
