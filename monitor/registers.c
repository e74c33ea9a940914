/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Names of registers in expressions.
 *
 * QEMU's names come first and mean what they mean there: $eax is the whole
 * 64-bit register, selectors and limits are 32-bit and sign-extended, $pc is
 * linear.  The others are vmon's.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/internal.h"

enum reg_kind {
	REG_PLAIN, /* `size` bytes, zero-extended */
	REG_HIGH,  /* second byte: ah */
	REG_SIGNED /* 32 bits, sign-extended */
};

struct reg_name {
	const char *name;
	u16 offset;
	u8 size;
	u8 kind;
};

/* clang-format off */
#define REG_AT(field) offsetof(struct cpu_state, field)
#define GPR(name, reg, size) { name, REG_AT(gpr[reg]), size, REG_PLAIN }
#define GPR_LEGACY(a, reg)                                      \
	GPR("e" a, reg, 8), GPR("r" a, reg, 8), GPR(a, reg, 2)
#define GPR_BYTES(a, reg) \
	GPR(a "l", reg, 1), { a "h", REG_AT(gpr[reg]), 1, REG_HIGH }
#define GPR_NEW(n, reg)                                              \
	GPR("r" n, reg, 8), GPR("r" n "d", reg, 4), GPR("r" n "w", reg, 2), \
	GPR("r" n "b", reg, 1)
#define SEGMENT(name, seg)                                               \
	{ name, REG_AT(seg.sel), 2, REG_PLAIN },                         \
	{ name ".base", REG_AT(seg.base), 8, REG_PLAIN },                \
	{ name ".limit", REG_AT(seg.limit), 4, REG_SIGNED }
#define TABLE(name, table)                                               \
	{ name, REG_AT(table.base), 8, REG_PLAIN },                      \
	{ name ".base", REG_AT(table.base), 8, REG_PLAIN },              \
	{ name ".limit", REG_AT(table.limit), 2, REG_PLAIN }
#define WHOLE(name, field) { name, REG_AT(field), 8, REG_PLAIN }

static const struct reg_name reg_names[] = {
	GPR_LEGACY("ax", REG_RAX), GPR_BYTES("a", REG_RAX),
	GPR_LEGACY("cx", REG_RCX), GPR_BYTES("c", REG_RCX),
	GPR_LEGACY("dx", REG_RDX), GPR_BYTES("d", REG_RDX),
	GPR_LEGACY("bx", REG_RBX), GPR_BYTES("b", REG_RBX),
	/* QEMU: $sp is $esp; so no 16-bit names for these two. */
	GPR("esp", REG_RSP, 8), GPR("rsp", REG_RSP, 8), GPR("sp", REG_RSP, 8),
	GPR("ebp", REG_RBP, 8), GPR("rbp", REG_RBP, 8), GPR("fp", REG_RBP, 8),
	GPR("bp", REG_RBP, 2), GPR("spl", REG_RSP, 1), GPR("bpl", REG_RBP, 1),
	GPR_LEGACY("si", REG_RSI), GPR("sil", REG_RSI, 1),
	GPR_LEGACY("di", REG_RDI), GPR("dil", REG_RDI, 1),
	GPR_NEW("8", REG_R8), GPR_NEW("9", REG_R9), GPR_NEW("10", REG_R10),
	GPR_NEW("11", REG_R11), GPR_NEW("12", REG_R12), GPR_NEW("13", REG_R13),
	GPR_NEW("14", REG_R14), GPR_NEW("15", REG_R15),
	WHOLE("eip", rip), WHOLE("rip", rip),
	WHOLE("eflags", rflags), WHOLE("rflags", rflags),
	SEGMENT("cs", seg[SEG_CS]), SEGMENT("ds", seg[SEG_DS]),
	SEGMENT("es", seg[SEG_ES]), SEGMENT("ss", seg[SEG_SS]),
	SEGMENT("fs", seg[SEG_FS]), SEGMENT("gs", seg[SEG_GS]),
	SEGMENT("ldt", ldt), SEGMENT("tr", tr),
	TABLE("gdt", gdt), TABLE("idt", idt),
	WHOLE("cr0", cr0), WHOLE("cr2", cr2), WHOLE("cr3", cr3),
	WHOLE("cr4", cr4), WHOLE("cr8", cr8), WHOLE("efer", efer),
	WHOLE("xcr0", xcr0), WHOLE("apic_base", apic_base),
	WHOLE("star", star), WHOLE("lstar", lstar), WHOLE("cstar", cstar),
	WHOLE("fmask", fmask), WHOLE("kernel_gs_base", kernel_gs_base),
	WHOLE("tsc", tsc), WHOLE("tsc_aux", tsc_aux), WHOLE("pat", pat),
	WHOLE("fs_base", seg[SEG_FS].base), WHOLE("gs_base", seg[SEG_GS].base),
	WHOLE("sysenter_cs", sysenter_cs), WHOLE("sysenter_esp", sysenter_esp),
	WHOLE("sysenter_eip", sysenter_eip), WHOLE("xss", xss),
	{ "pkru", REG_AT(pkru), 4, REG_PLAIN },
	{ "mxcsr", REG_AT(fpu.mxcsr), 4, REG_PLAIN },
	{ "fcw", REG_AT(fpu.fcw), 2, REG_PLAIN },
	{ "fsw", REG_AT(fpu.fsw), 2, REG_PLAIN },
	{ "ftw", REG_AT(fpu.ftw), 1, REG_PLAIN },
	WHOLE("dr0", dr[0]), WHOLE("dr1", dr[1]), WHOLE("dr2", dr[2]),
	WHOLE("dr3", dr[3]), WHOLE("dr6", dr[6]), WHOLE("dr7", dr[7]),
};

/* Numbered ones that are wider than a value: parts of 64 bits. */
static const struct {
	const char *prefix, *suffix;
	u16 count, offset, stride;
	u8 size;
} reg_parts[] = {
	{ "xmm", "", 32, REG_AT(vec), sizeof(union cpu_vec), 8 },
	{ "xmm", ".h", 32, REG_AT(vec) + 8, sizeof(union cpu_vec), 8 },
	{ "ymm", "", 32, REG_AT(vec), sizeof(union cpu_vec), 8 },
	{ "ymm", ".1", 32, REG_AT(vec) + 8, sizeof(union cpu_vec), 8 },
	{ "ymm", ".2", 32, REG_AT(vec) + 16, sizeof(union cpu_vec), 8 },
	{ "ymm", ".3", 32, REG_AT(vec) + 24, sizeof(union cpu_vec), 8 },
	{ "st", "", 8, REG_AT(fpu.st), 16, 8 }, /* the significand */
	{ "st", ".exp", 8, REG_AT(fpu.st) + 8, 16, 2 }, /* and the sign */
	{ "k", "", 8, REG_AT(opmask), 8, 8 },
};

/* clang-format on */

static bool reg_part(const char *name, const struct cpu_state *c, u64 *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(reg_parts); i++) {
		size_t n = strlen(reg_parts[i].prefix);
		unsigned long number;
		char *end;

		if (strncmp(name, reg_parts[i].prefix, n) ||
		    !isdigit((unsigned char)name[n]) ||
		    (name[n] == '0' && isdigit((unsigned char)name[n + 1])))
			continue;
		number = strtoul(name + n, &end, 10);
		if (number >= reg_parts[i].count ||
		    strcmp(end, reg_parts[i].suffix))
			continue;
		*ret = 0;
		memcpy(ret,
		       (const char *)c + reg_parts[i].offset +
			       number * reg_parts[i].stride,
		       reg_parts[i].size);
		return true;
	}
	return false;
}

static u64 reg_value(const struct reg_name *r, const struct cpu_state *c)
{
	const char *at = (const char *)c + r->offset;
	u64 v = 0;

	memcpy(&v, at + (r->kind == REG_HIGH), r->size);
	return r->kind == REG_SIGNED ? (u64)(s64)(s32)v : v;
}

int mon_register(void *opaque, const char *name, u64 *ret)
{
	struct monitor *mon = opaque;
	const struct cpu_state *c;

	if (!strcmp(name, "?")) {
		*ret = mon->last_value;
		return 0;
	}
	c = mon_cpu(mon);
	if (!c)
		return -ENODEV;
	if (!strcmp(name, "pc")) {
		*ret = c->seg[SEG_CS].base + c->rip;
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(reg_names); i++) {
		if (!strcmp(reg_names[i].name, name)) {
			*ret = reg_value(&reg_names[i], c);
			return 0;
		}
	}
	return reg_part(name, c, ret) ? 0 : -ENOENT;
}
