/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Disassembly through capstone, in the layout of QEMU 7.2: address, the
 * first eight bytes, mnemonic and operands; longer instructions continue
 * their bytes on a second line.
 *
 * The library is loaded for each command and not linked: its relocations
 * would cost each VM 3 MiB and a millisecond at start.
 */
#include "monitor/disas.h"

#include <capstone/capstone.h>
#include <dlfcn.h>

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

/* ---- The library ---- */

#define STRING(x)  #x
#define XSTRING(x) STRING(x)
#define LIBRARY    "libcapstone.so." XSTRING(CS_API_MAJOR)

/* clang-format off */
#define CAPSTONE_CALLS(X) \
	X(cs_open) X(cs_close) X(cs_option) X(cs_malloc) X(cs_free) \
	X(cs_disasm_iter)

/* clang-format on */

struct capstone {
	void *library;
	csh handle;
#define X(name) __typeof__(name) *name;
	CAPSTONE_CALLS(X)
#undef X
};

static bool capstone_load(struct capstone *cs)
{
	cs->library = dlopen(LIBRARY, RTLD_LAZY | RTLD_LOCAL);
	if (!cs->library)
		return false;
#define X(name)                                                                \
	cs->name = (__typeof__(cs->name))(uintptr_t)dlsym(cs->library, #name); \
	if (!cs->name) {                                                       \
		dlclose(cs->library);                                          \
		return false;                                                  \
	}
	CAPSTONE_CALLS(X)
#undef X
	return true;
}

/* Prints why not. */
static bool disas_open(struct capstone *cs, int bits, struct buf *out)
{
	cs_mode mode = bits == 64   ? CS_MODE_64
		       : bits == 32 ? CS_MODE_32
				    : CS_MODE_16;

	if (!capstone_load(cs)) {
		buf_printf(out, "no disassembler: %s\n", dlerror());
		return false;
	}
	if (cs->cs_open(CS_ARCH_X86, mode, &cs->handle) != CS_ERR_OK) {
		buf_puts(out, "the disassembler cannot be started\n");
		dlclose(cs->library);
		return false;
	}
	cs->cs_option(cs->handle, CS_OPT_SYNTAX, CS_OPT_SYNTAX_ATT);
	cs->cs_option(cs->handle, CS_OPT_SKIPDATA, CS_OPT_ON);
	return true;
}

static void disas_close(struct capstone *cs)
{
	cs->cs_close(&cs->handle);
	dlclose(cs->library);
}

void disas_dump(const struct mon_space *s, u64 addr, u32 count, int bits,
		struct buf *out)
{
	struct capstone cs;
	cs_insn *insn;

	if (!disas_open(&cs, bits, out))
		return;
	insn = cs.cs_malloc(cs.handle);
	while (insn && count--) {
		u8 code[INSN_BYTES_MAX];
		const u8 *p = code;
		size_t n = mon_read(s, addr, code, sizeof code, 0);

		if (!n || !cs.cs_disasm_iter(cs.handle, &p, &n, &addr, insn)) {
			buf_printf(out, "0x%08llx: unable to read memory\n",
				   (unsigned long long)addr);
			break;
		}
		disas_insn(insn, out);
	}
	if (insn)
		cs.cs_free(insn, 1);
	disas_close(&cs);
}
