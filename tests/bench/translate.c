/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What decoding and translating an instruction takes: this program's own code
 * as a guest's, each block translated as soon as it is decoded.
 *
 *   bench-translate [ROUNDS]
 *
 * The best round counts.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/alloc.h"
#include "lib/err.h"
#include "tcg/decode.h"
#include "tcg/handlers.h"
#include "tcg/jit.h"
#include "tcg/tcg.h"
#include "vmm/accel.h"
#include "vmm/machine.h"

#define CODE_MAX (512 * KIB)
#define MODE     (MODE_CODE64 | MODE_STACK64 | MODE_PROT | MODE_LMA)

extern const u8 etext[]; /* the linker's: where code ends */

static _Atomic u32 generation;

struct count {
	u32 blocks, insns;
	u64 ns;
};

/* Others use the machine, too. */
static u64 cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (u64)t.tv_sec * NS_PER_S + (u64)t.tv_nsec;
}

/* The block at `code`, its instructions in `b`; bytes, or 0 where there is
 * none. */
static u32 decode(const u8 *code, size_t avail, struct tcg_block *b)
{
	size_t page = PAGE_SIZE - ((uintptr_t)code & (PAGE_SIZE - 1));

	b->n = b->bytes = 0;
	b->phys = (uintptr_t)code & (PAGE_SIZE - 1);
	avail = MIN(avail, page);
	while (b->n < BLOCK_INSNS) {
		struct insn *i = &b->insn[b->n];

		if (insn_decode(MODE, code + b->bytes, avail - b->bytes,
				b->bytes, i))
			break;
		insn_bind(i, UINT64_MAX, true);
		b->bytes += i->len;
		b->n++;
		if (insn_desc(i)->attrs & OP_END)
			break;
	}
	return b->bytes;
}

static struct tcg_block *block_new(void)
{
	struct tcg_block *b =
		xalloc(sizeof *b + (BLOCK_INSNS + 1) * sizeof *b->insn);

	b->gen_now = &generation;
	b->mode_key = MODE;
	return b;
}

static void translate(struct tcg_cpu *c, const struct tcg_block *b)
{
	u32 key = MODE | 3 << JIT_KEY_CPL_SHIFT | MMU_USER << JIT_KEY_MMU_SHIFT;
	struct jit *j = c->jit;

	if ((size_t)(j->data - j->e.at) < JIT_BLOCK_ROOM)
		jit_flush(c);
	jit_translate(c, j, b, key, NULL);
}

/* All of the code, a block behind the other; an instruction that crosses a
 * page is left out.  Without `c` it is decoded only. */
static struct count run(struct tcg_cpu *c, const u8 *code, size_t size)
{
	struct tcg_block *b = block_new();
	struct count n = { .ns = cpu_ns() };

	for (size_t at = 0; at < size;) {
		at += MAX(decode(code + at, size - at, b), 1);
		n.blocks += b->n > 0;
		n.insns += b->n;
		if (c && b->n)
			translate(c, b);
	}
	n.ns = cpu_ns() - n.ns;
	free(b);
	return n;
}

static struct tcg_cpu *cpu_new(void)
{
	struct err err = { 0 };
	struct machine *m = machine_create(&err);

	if (!m || mem_add_ram(&m->mem, "ram", 0, MIB, false, &err) ||
	    accel_select(m, "tcg", &err) || vcpu_create(m, 0, &err) ||
	    m->accel->vcpu_create(m->vcpus[0], &err)) {
		fprintf(stderr, "translate: %s\n", err.msg);
		exit(1);
	}
	return m->vcpus[0]->accel;
}

int main(int argc, char **argv)
{
	const u8 *code = (const u8 *)(uintptr_t)main;
	int rounds = argc > 1 ? atoi(argv[1]) : 10;
	u64 decoding = UINT64_MAX, both = UINT64_MAX;
	size_t size = MIN((size_t)(etext - code), CODE_MAX);
	struct tcg_cpu *c = cpu_new();
	struct count n = { 0 };

	if (!c->jit) {
		printf("translate: nothing is translated on this host\n");
		return 77;
	}
	for (int k = 0; k < rounds; k++) {
		n = run(NULL, code, size);
		decoding = MIN(decoding, n.ns);
		n = run(c, code, size);
		both = MIN(both, n.ns);
	}
	printf("%u blocks, %u instructions, %.1f bytes for each\n", n.blocks,
	       n.insns, (double)c->jit->host_bytes / (double)c->jit->insns);
	printf("decode    %6.1f ns an instruction\n",
	       (double)decoding / n.insns);
	printf("translate %6.1f ns an instruction\n",
	       (double)(both - decoding) / n.insns);
	return 0;
}
