/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What decoding and translating an instruction takes: this program's own code
 * as a guest's, in blocks as they are in memory.
 *
 *   bench-translate [ROUNDS]
 *
 * The best round counts, as others use the machine, too.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "tcg/decode.h"
#include "tcg/handlers.h"
#include "tcg/jit.h"
#include "tcg/tcg.h"
#include "vmm/accel.h"
#include "vmm/machine.h"

#define CODE_MAX   (512 * KIB)
#define BLOCKS_MAX (CODE_MAX / 4)
#define MODE       (MODE_CODE64 | MODE_STACK64 | MODE_PROT | MODE_LMA)

extern const u8 etext[]; /* the linker's: where code ends */

static struct tcg_block *blocks[BLOCKS_MAX];
static u32 nblocks, ninsns;
static _Atomic u32 generation;

/* The block at `code`, its instructions in `b`; bytes, or 0 where there is
 * none. */
static u32 decode(const u8 *code, size_t avail, struct tcg_block *b)
{
	size_t page = PAGE_SIZE - ((uintptr_t)code & (PAGE_SIZE - 1));

	b->n = b->bytes = 0;
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

static struct tcg_block *block_new(const u8 *code, size_t avail)
{
	struct tcg_block *b =
		xalloc(sizeof *b + (BLOCK_INSNS + 1) * sizeof *b->insn);

	b->gen_now = &generation;
	b->mode_key = MODE;
	b->phys = (uintptr_t)code & (PAGE_SIZE - 1);
	decode(code, avail, b);
	return b;
}

/* All of the code, a block behind the other; an instruction that crosses a
 * page is left out. */
static void make_blocks(const u8 *code, size_t size)
{
	for (size_t at = 0; at < size && nblocks < BLOCKS_MAX;) {
		struct tcg_block *b = block_new(code + at, size - at);

		at += MAX(b->bytes, 1);
		if (!b->n) {
			free(b);
			continue;
		}
		blocks[nblocks++] = b;
		ninsns += b->n;
	}
}

static u64 round_decode(const u8 *code, size_t size)
{
	struct tcg_block *b = block_new(code, size);
	u64 start = clock_mono_ns();

	for (size_t at = 0; at < size;)
		at += MAX(decode(code + at, size - at, b), 1);
	free(b);
	return clock_mono_ns() - start;
}

static u64 round_translate(struct tcg_cpu *c)
{
	u32 key = MODE | 3 << JIT_KEY_CPL_SHIFT | MMU_USER << JIT_KEY_MMU_SHIFT;
	struct jit *j = c->jit;
	u64 start = clock_mono_ns();

	for (u32 n = 0; n < nblocks; n++) {
		if ((size_t)(j->data - j->e.at) < JIT_BLOCK_ROOM)
			jit_flush(c);
		jit_translate(c, j, blocks[n], key);
	}
	return clock_mono_ns() - start;
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

static void tell(const char *what, u64 ns)
{
	printf("%-10s %6.1f ns an instruction\n", what, (double)ns / ninsns);
}

int main(int argc, char **argv)
{
	const u8 *code = (const u8 *)(uintptr_t)main;
	int rounds = argc > 1 ? atoi(argv[1]) : 10;
	u64 decoding = UINT64_MAX, translating = UINT64_MAX;
	struct tcg_cpu *c = cpu_new();
	size_t size = (size_t)(etext - code);

	if (!c->jit) {
		printf("translate: nothing is translated on this host\n");
		return 77;
	}
	size = MIN(size, CODE_MAX);
	make_blocks(code, size);
	for (int n = 0; n < rounds; n++) {
		decoding = MIN(decoding, round_decode(code, size));
		translating = MIN(translating, round_translate(c));
	}
	printf("%u blocks, %u instructions, %.1f bytes for each\n", nblocks,
	       ninsns, (double)c->jit->host_bytes / (double)c->jit->insns);
	tell("decode", decoding);
	tell("translate", translating);
	return 0;
}
