/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * See moves.h.
 */
#include "tests/diff/moves.h"

#include <stdio.h>

#include "lib/alloc.h"
#include "tcg/decode.h"
#include "tcg/jit_gen.h"
#include "vmm/cpu.h"

static u8 *classes;

void moves_init(void)
{
	jit_rows_init();
	classes = xcalloc(opdesc_count, 1);
	for (u16 row = 0; row < opdesc_count; row++)
		classes[row] = jit_classify(row, ~0ULL);
}

static void moves_step(const struct insn *i, u64 value[16], u32 *known)
{
	struct gen_use u;
	u64 to = 0;
	bool moved;

	gen_use_alone(i, classes[i->row], 3, &u);
	moved = u.to < 16 && *known & BIT(u.from);
	if (moved)
		to = value[u.from] + (u64)(s64)u.by;
	*known &= ~(u32)u.sets;
	if (u.to < 16)
		*known &= ~(u32)BIT(u.to);
	if (!moved)
		return;
	value[u.to] = to;
	*known |= BIT(u.to);
}

bool moves_hold(const struct diff_test *t, const struct diff_state *end)
{
	u32 at = 0, known = 0xffff;
	u64 value[16];
	struct insn i;

	if (t->code32 || t->loops || t->budget)
		return true;
	for (int r = 0; r < 16; r++)
		value[r] = t->start.gpr[r];
	for (; at + 1 < t->code_len; at += i.len) {
		if (insn_decode(MODE_CODE64 | MODE_PROT | MODE_STACK64 |
					MODE_LMA,
				t->code + at, sizeof t->code - at, 0, &i))
			return true;
		if (insn_desc(&i)->attrs & OP_END)
			return true; /* it may not be the last one that ran */
		moves_step(&i, value, &known);
	}
	for (int r = 0; r < 16; r++) {
		if (!(known & BIT(r)) || value[r] == end->gpr[r])
			continue;
		printf("register %d is taken for %llx and is %llx\n", r,
		       (unsigned long long)value[r],
		       (unsigned long long)end->gpr[r]);
		return false;
	}
	return true;
}
