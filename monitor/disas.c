/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * x/i: see tcg/disas.h for the lines themselves.
 */
#include "monitor/disas.h"

#include "lib/buf.h"
#include "lib/err.h"
#include "monitor/internal.h"
#include "tcg/disas.h"

#define INSN_BYTES_MAX 15

/* A line of its own where a function of the guest begins or is entered. */
static void disas_label(const struct mon_space *s, u64 addr, bool first,
			struct buf *out)
{
	u64 offset;
	const char *name = s->cpu ? mon_symbol(s->mon, addr, &offset) : NULL;

	if (name && !offset)
		buf_printf(out, "<%s>:\n", name);
	else if (name && first)
		buf_printf(out, "<%s+%#llx>:\n", name,
			   (unsigned long long)offset);
}

void disas_dump(const struct mon_space *s, u64 addr, u32 count, int bits,
		struct buf *out)
{
	struct err err = { 0 };
	struct disas *d = disas_open(bits, &err);
	bool first = true;

	if (!d) {
		buf_printf(out, "%s\n", err.msg);
		return;
	}
	while (count--) {
		u8 code[INSN_BYTES_MAX];
		size_t n = mon_read(s, addr, code, sizeof code, 0);

		disas_label(s, addr, first, out);
		first = false;
		n = disas_insn(d, addr, code, n, out);
		if (!n) {
			buf_printf(out, "0x%08llx: unable to read memory\n",
				   (unsigned long long)addr);
			break;
		}
		addr += n;
	}
	disas_close(d);
}
