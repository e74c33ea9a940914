/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Disassembly through capstone, in the layout of QEMU 7.2: address, the
 * first eight bytes, mnemonic and operands; longer instructions continue
 * their bytes on a second line.
 */
#include "monitor/disas.h"

#include <capstone/capstone.h>

#include "lib/buf.h"
#include "monitor/internal.h"

#define INSN_BYTES_MAX 15
#define BYTES_PER_LINE 8

static void disas_bytes(const cs_insn *insn, int from, struct buf *out)
{
	int end = MIN(from + BYTES_PER_LINE, insn->size);

	buf_printf(out,
		   "0x%08llx: ", (unsigned long long)(insn->address + from));
	for (int i = from; i < end; i++)
		buf_printf(out, " %02x", insn->bytes[i]);
	if (!from)
		buf_printf(out, "%*s", (BYTES_PER_LINE - end) * 3, "");
}

static void disas_insn(const cs_insn *insn, struct buf *out)
{
	disas_bytes(insn, 0, out);
	buf_printf(out, "  %-8s %s\n", insn->mnemonic, insn->op_str);
	for (int i = BYTES_PER_LINE; i < insn->size; i += BYTES_PER_LINE) {
		disas_bytes(insn, i, out);
		buf_putc(out, '\n');
	}
}

static bool disas_open(csh *cs, int bits)
{
	cs_mode mode = bits == 64   ? CS_MODE_64
		       : bits == 32 ? CS_MODE_32
				    : CS_MODE_16;

	if (cs_open(CS_ARCH_X86, mode, cs) != CS_ERR_OK)
		return false;
	cs_option(*cs, CS_OPT_SYNTAX, CS_OPT_SYNTAX_ATT);
	cs_option(*cs, CS_OPT_SKIPDATA, CS_OPT_ON);
	return true;
}

void disas_dump(const struct mon_space *s, u64 addr, u32 count, int bits,
		struct buf *out)
{
	cs_insn *insn;
	csh cs;

	if (!disas_open(&cs, bits)) {
		buf_puts(out, "the disassembler cannot be started\n");
		return;
	}
	insn = cs_malloc(cs);
	while (insn && count--) {
		u8 code[INSN_BYTES_MAX];
		const u8 *p = code;
		size_t n = mon_read(s, addr, code, sizeof code, 0);

		if (!n || !cs_disasm_iter(cs, &p, &n, &addr, insn)) {
			buf_printf(out, "0x%08llx: unable to read memory\n",
				   (unsigned long long)addr);
			break;
		}
		disas_insn(insn, out);
	}
	if (insn)
		cs_free(insn, 1);
	cs_close(&cs);
}
