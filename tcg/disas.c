/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Disassembly: see tcg/disas.h.
 */
#include "tcg/disas.h"

#include <capstone/capstone.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>

#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/err.h"

#define BYTES_PER_LINE 8

#define STRING(x)  #x
#define XSTRING(x) STRING(x)
#define LIBRARY    "libcapstone.so." XSTRING(CS_API_MAJOR)

/* clang-format off */
#define CAPSTONE_CALLS(X) \
	X(cs_open) X(cs_close) X(cs_option) X(cs_malloc) X(cs_free) \
	X(cs_disasm_iter)

/* clang-format on */

struct disas {
	void *library;
	csh handle;
	cs_insn *insn;
#define X(name) __typeof__(name) *name;
	CAPSTONE_CALLS(X)
#undef X
};

static bool disas_load(struct disas *d)
{
	d->library = dlopen(LIBRARY, RTLD_LAZY | RTLD_LOCAL);
	if (!d->library)
		return false;
#define X(name)                                                             \
	d->name = (__typeof__(d->name))(uintptr_t)dlsym(d->library, #name); \
	if (!d->name)                                                       \
		return false;
	CAPSTONE_CALLS(X)
#undef X
	return true;
}

struct disas *disas_open(int bits, struct err *err)
{
	cs_mode mode = bits == 64   ? CS_MODE_64
		       : bits == 32 ? CS_MODE_32
				    : CS_MODE_16;
	struct disas *d = xalloc(sizeof *d);

	if (!disas_load(d)) {
		err_set(err, -ENOENT, "no disassembler: %s", dlerror());
		goto fail;
	}
	if (d->cs_open(CS_ARCH_X86, mode, &d->handle) != CS_ERR_OK) {
		err_set(err, -EIO, "the disassembler cannot be started");
		goto fail;
	}
	d->cs_option(d->handle, CS_OPT_SYNTAX, CS_OPT_SYNTAX_ATT);
	d->cs_option(d->handle, CS_OPT_SKIPDATA, CS_OPT_ON);
	d->insn = d->cs_malloc(d->handle);
	if (d->insn)
		return d;
	err_set(err, -ENOMEM, "no memory for the disassembler");
	d->cs_close(&d->handle);
fail:
	if (d->library)
		dlclose(d->library);
	free(d);
	return NULL;
}

void disas_close(struct disas *d)
{
	if (!d)
		return;
	d->cs_free(d->insn, 1);
	d->cs_close(&d->handle);
	dlclose(d->library);
	free(d);
}

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

size_t disas_insn(struct disas *d, u64 addr, const u8 *code, size_t n,
		  struct buf *out)
{
	const cs_insn *insn = d->insn;

	if (!n || !d->cs_disasm_iter(d->handle, &code, &n, &addr, d->insn))
		return 0;
	disas_bytes(insn, 0, out);
	buf_printf(out, "  %-8s %s\n", insn->mnemonic, insn->op_str);
	for (int i = BYTES_PER_LINE; i < insn->size; i += BYTES_PER_LINE) {
		disas_bytes(insn, i, out);
		buf_putc(out, '\n');
	}
	return insn->size;
}
