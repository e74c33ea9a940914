/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The registers as gdb counts them.
 *
 * Names and order of the features org.gnu.gdb.i386.* are gdb's (manual,
 * "i386 Features"); the last one has the names that QEMU gives.
 */
#include "gdb/regs.h"

#include <stdio.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/bytes.h"

enum reg_how {
	REG_PLAIN, /* `from` bytes, zero-extended */
	REG_SEL,   /* a segment's selector */
	REG_TAGS,  /* the x87's tag word, which is kept abridged */
};

struct reg_row {
	const char *name; /* %d: the number */
	u8 first, count;
	u16 bits;
	const char *type, *group;
	size_t at;  /* in struct cpu_state */
	u16 stride; /* to the next one */
	u8 from;    /* bytes there */
	u8 how;     /* enum reg_how */
	u8 in_use;  /* component of XSAVE that it belongs to */
};

struct reg_feature {
	const char *name, *types;
	u32 needs;
	const struct reg_row *rows;
	u32 nrows;
};

#define AT(field) offsetof(struct cpu_state, field)
#define GPR(name, reg)                                                 \
	{                                                              \
		name, 0, 1, 64, "int64", "general", AT(gpr[reg]), 0, 8 \
	}
#define SELECTOR(name, reg)                                             \
	{                                                               \
		name, 0, 1, 32, "int32", "general", AT(seg[reg]), 0, 2, \
			REG_SEL                                         \
	}
#define X87(name, field, from)                                         \
	{                                                              \
		name, 0, 1, 32, "int", "float", AT(fpu.field), 0, from \
	}
#define SYSTEM(name, field, type)                               \
	{                                                       \
		name, 0, 1, 64, type, "system", AT(field), 0, 8 \
	}
#define VEC(name, first, count, bits, type, reg, byte, in_use)        \
	{                                                             \
		name, first, count, bits, type, "vector",             \
			AT(vec[reg]) + (byte), sizeof(union cpu_vec), \
			(bits) / 8, REG_PLAIN, in_use                 \
	}

/* clang-format off */
static const struct reg_row reg_core[] = {
	GPR("rax", REG_RAX), GPR("rbx", REG_RBX), GPR("rcx", REG_RCX),
	GPR("rdx", REG_RDX), GPR("rsi", REG_RSI), GPR("rdi", REG_RDI),
	{ "rbp", 0, 1, 64, "data_ptr", "general", AT(gpr[REG_RBP]), 0, 8 },
	{ "rsp", 0, 1, 64, "data_ptr", "general", AT(gpr[REG_RSP]), 0, 8 },
	{ "r%d", 8, 8, 64, "int64", "general", AT(gpr[REG_R8]), 8, 8 },
	{ "rip", 0, 1, 64, "code_ptr", "general", AT(rip), 0, 8 },
	{ "eflags", 0, 1, 32, "i386_eflags", "general", AT(rflags), 0, 4 },
	SELECTOR("cs", SEG_CS), SELECTOR("ss", SEG_SS),
	SELECTOR("ds", SEG_DS), SELECTOR("es", SEG_ES),
	SELECTOR("fs", SEG_FS), SELECTOR("gs", SEG_GS),
	{ "st%d", 0, 8, 80, "i387_ext", "float", AT(fpu.st), 16, 10 },
	X87("fctrl", fcw, 2), X87("fstat", fsw, 2),
	{ "ftag", 0, 1, 32, "int", "float", AT(fpu.ftw), 0, 1, REG_TAGS },
	X87("fiseg", fcs, 2), X87("fioff", fip, 4), X87("foseg", fds, 2),
	X87("fooff", fdp, 4), X87("fop", fop, 2),
};

static const struct reg_row reg_sse[] = {
	VEC("xmm%d", 0, 16, 128, "vec128", 0, 0, 1),
	{ "mxcsr", 0, 1, 32, "i386_mxcsr", "vector", AT(fpu.mxcsr), 0, 4,
	  REG_PLAIN, 1 },
};

static const struct reg_row reg_segments[] = {
	{ "fs_base", 0, 1, 64, "int", "general", AT(seg[SEG_FS].base), 0, 8 },
	{ "gs_base", 0, 1, 64, "int", "general", AT(seg[SEG_GS].base), 0, 8 },
};

static const struct reg_row reg_avx[] = {
	VEC("ymm%dh", 0, 16, 128, "uint128", 0, 16, 2),
};

static const struct reg_row reg_avx512[] = {
	{ "k%d", 0, 8, 64, "uint64", "vector", AT(opmask), 8, 8, REG_PLAIN,
	  5 },
	VEC("zmm%dh", 0, 16, 256, "v2ui128", 0, 32, 6),
	VEC("xmm%d", 16, 16, 128, "vec128", 16, 0, 7),
	VEC("ymm%dh", 16, 16, 128, "uint128", 16, 16, 7),
	VEC("zmm%dh", 16, 16, 256, "v2ui128", 16, 32, 7),
};

static const struct reg_row reg_system[] = {
	SYSTEM("k_gs_base", kernel_gs_base, "int64"),
	SYSTEM("cr0", cr0, "i386_cr0"), SYSTEM("cr2", cr2, "int64"),
	SYSTEM("cr3", cr3, "int64"), SYSTEM("cr4", cr4, "i386_cr4"),
	SYSTEM("cr8", cr8, "int64"), SYSTEM("efer", efer, "i386_efer"),
};

/* clang-format on */

#define BIT_FIELD(name, bit) \
	"<field name=\"" name "\" start=\"" #bit "\" end=\"" #bit "\"/>"

/* clang-format off */
static const char reg_core_types[] =
	"<flags id=\"i386_eflags\" size=\"4\">"
	BIT_FIELD("CF", 0) BIT_FIELD("", 1) BIT_FIELD("PF", 2)
	BIT_FIELD("AF", 4) BIT_FIELD("ZF", 6) BIT_FIELD("SF", 7)
	BIT_FIELD("TF", 8) BIT_FIELD("IF", 9) BIT_FIELD("DF", 10)
	BIT_FIELD("OF", 11) BIT_FIELD("NT", 14) BIT_FIELD("RF", 16)
	BIT_FIELD("VM", 17) BIT_FIELD("AC", 18) BIT_FIELD("VIF", 19)
	BIT_FIELD("VIP", 20) BIT_FIELD("ID", 21) "</flags>";

#define REG_VEC128                                              \
	"<vector id=\"v4f\" type=\"ieee_single\" count=\"4\"/>" \
	"<vector id=\"v2d\" type=\"ieee_double\" count=\"2\"/>" \
	"<vector id=\"v16i8\" type=\"int8\" count=\"16\"/>"     \
	"<vector id=\"v8i16\" type=\"int16\" count=\"8\"/>"     \
	"<vector id=\"v4i32\" type=\"int32\" count=\"4\"/>"     \
	"<vector id=\"v2i64\" type=\"int64\" count=\"2\"/>"     \
	"<union id=\"vec128\">"                                 \
	"<field name=\"v4_float\" type=\"v4f\"/>"               \
	"<field name=\"v2_double\" type=\"v2d\"/>"              \
	"<field name=\"v16_int8\" type=\"v16i8\"/>"             \
	"<field name=\"v8_int16\" type=\"v8i16\"/>"             \
	"<field name=\"v4_int32\" type=\"v4i32\"/>"             \
	"<field name=\"v2_int64\" type=\"v2i64\"/>"             \
	"<field name=\"uint128\" type=\"uint128\"/></union>"

static const char reg_sse_types[] =
	REG_VEC128 "<flags id=\"i386_mxcsr\" size=\"4\">"
	BIT_FIELD("IE", 0) BIT_FIELD("DE", 1) BIT_FIELD("ZE", 2)
	BIT_FIELD("OE", 3) BIT_FIELD("UE", 4) BIT_FIELD("PE", 5)
	BIT_FIELD("DAZ", 6) BIT_FIELD("IM", 7) BIT_FIELD("DM", 8)
	BIT_FIELD("ZM", 9) BIT_FIELD("OM", 10) BIT_FIELD("UM", 11)
	BIT_FIELD("PM", 12) BIT_FIELD("FZ", 15) "</flags>";

static const char reg_avx512_types[] =
	REG_VEC128 "<vector id=\"v2ui128\" type=\"uint128\" count=\"2\"/>";

static const char reg_system_types[] =
	"<flags id=\"i386_cr0\" size=\"8\">"
	BIT_FIELD("PE", 0) BIT_FIELD("MP", 1) BIT_FIELD("EM", 2)
	BIT_FIELD("TS", 3) BIT_FIELD("ET", 4) BIT_FIELD("NE", 5)
	BIT_FIELD("WP", 16) BIT_FIELD("AM", 18) BIT_FIELD("NW", 29)
	BIT_FIELD("CD", 30) BIT_FIELD("PG", 31) "</flags>"
	"<flags id=\"i386_cr4\" size=\"8\">"
	BIT_FIELD("VME", 0) BIT_FIELD("PVI", 1) BIT_FIELD("TSD", 2)
	BIT_FIELD("DE", 3) BIT_FIELD("PSE", 4) BIT_FIELD("PAE", 5)
	BIT_FIELD("MCE", 6) BIT_FIELD("PGE", 7) BIT_FIELD("PCE", 8)
	BIT_FIELD("OSFXSR", 9) BIT_FIELD("OSXMMEXCPT", 10)
	BIT_FIELD("UMIP", 11) BIT_FIELD("LA57", 12) BIT_FIELD("VMXE", 13)
	BIT_FIELD("SMXE", 14) BIT_FIELD("FSGSBASE", 16)
	BIT_FIELD("PCIDE", 17) BIT_FIELD("OSXSAVE", 18)
	BIT_FIELD("SMEP", 20) BIT_FIELD("SMAP", 21) BIT_FIELD("PKE", 22)
	"</flags>"
	"<flags id=\"i386_efer\" size=\"8\">"
	BIT_FIELD("SCE", 0) BIT_FIELD("LME", 8) BIT_FIELD("LMA", 10)
	BIT_FIELD("NXE", 11) BIT_FIELD("SVME", 12) BIT_FIELD("LMSLE", 13)
	BIT_FIELD("FFXSR", 14) "</flags>";

#define ROWS(table) table, ARRAY_SIZE(table)

static const struct reg_feature reg_features[] = {
	{ "org.gnu.gdb.i386.core", reg_core_types, 0, ROWS(reg_core) },
	{ "org.gnu.gdb.i386.sse", reg_sse_types, 0, ROWS(reg_sse) },
	{ "org.gnu.gdb.i386.segments", "", 0, ROWS(reg_segments) },
	{ "org.gnu.gdb.i386.avx", "", GDB_HAS_AVX, ROWS(reg_avx) },
	{ "org.gnu.gdb.i386.avx512", reg_avx512_types, GDB_HAS_AVX512,
	  ROWS(reg_avx512) },
	{ "org.qemu.gdb.i386.system", reg_system_types, 0, ROWS(reg_system) },
};

/* clang-format on */

static bool reg_has(const struct reg_feature *f, u32 has)
{
	return (f->needs & has) == f->needs;
}

static void reg_row_xml(const struct reg_row *row, struct buf *out)
{
	for (u32 k = 0; k < row->count; k++) {
		const char *mark = strstr(row->name, "%d");
		int n = mark ? (int)(mark - row->name) : (int)strlen(row->name);

		buf_printf(out, "<reg name=\"%.*s", n, row->name);
		if (mark)
			buf_printf(out, "%u%s", row->first + k, mark + 2);
		buf_printf(out, "\" bitsize=\"%u\" type=\"%s\" group=\"%s\"/>",
			   row->bits, row->type, row->group);
	}
}

void gdb_regs_xml(u32 has, struct buf *out)
{
	buf_puts(out, "<?xml version=\"1.0\"?>"
		      "<!DOCTYPE target SYSTEM \"gdb-target.dtd\"><target>"
		      "<architecture>i386:x86-64</architecture>");
	for (u32 f = 0; f < ARRAY_SIZE(reg_features); f++) {
		const struct reg_feature *r = &reg_features[f];

		if (!reg_has(r, has))
			continue;
		buf_printf(out, "<feature name=\"%s\">%s", r->name, r->types);
		for (u32 n = 0; n < r->nrows; n++)
			reg_row_xml(&r->rows[n], out);
		buf_puts(out, "</feature>");
	}
	buf_puts(out, "</target>");
}

/* The row of register `n` and which of its registers it is; NULL: none. */
static const struct reg_row *reg_find(u32 has, u32 n, u32 *ret_k)
{
	for (u32 f = 0; f < ARRAY_SIZE(reg_features); f++) {
		const struct reg_feature *r = &reg_features[f];

		for (u32 k = 0; k < r->nrows && reg_has(r, has); k++) {
			*ret_k = n;
			if (n < r->rows[k].count)
				return &r->rows[k];
			n -= r->rows[k].count;
		}
	}
	return NULL;
}

/* Of the eight 2-bit tags by physical number, SDM 1 "x87 FPU Tag Word". */
static u8 reg_tag(const struct cpu_fpu *f, int n)
{
	const u8 *st = f->st[(n - (f->fsw >> 11)) & 7];
	u64 mantissa = get_le64(st);
	u16 exponent = get_le16(st + 8) & 0x7fff;

	if (!(f->ftw & 1u << n))
		return 3;
	if (!exponent && !mantissa)
		return 1;
	return exponent && exponent != 0x7fff && mantissa >> 63 ? 0 : 2;
}

u32 gdb_reg_get(const struct cpu_state *c, u32 has, u32 n, u8 *ret)
{
	const struct reg_row *row;
	u16 tags = 0;
	u32 k;

	row = reg_find(has, n, &k);
	if (!row)
		return 0;
	memset(ret, 0, GDB_REG_MAX);
	switch (row->how) {
	case REG_SEL:
		put_le16(ret,
			 ((const struct cpu_segment *)((const u8 *)c + row->at))
				 ->sel);
		break;
	case REG_TAGS:
		for (int i = 0; i < 8; i++)
			tags |= (u16)(reg_tag(&c->fpu, i) << (2 * i));
		put_le16(ret, tags);
		break;
	default:
		memcpy(ret, (const u8 *)c + row->at + k * row->stride,
		       row->from);
		break;
	}
	return row->bits / 8;
}

/* In protected mode a selector stays what it is: the rest of it is in a table
 * that the processor has read. */
static void reg_set_selector(struct cpu_state *c, struct cpu_segment *s,
			     u16 sel)
{
	if ((c->cr0 & CR0_PE) && !(c->rflags & RFLAGS_VM))
		return;
	if (sel == s->sel)
		return;
	s->sel = sel;
	s->base = (u64)sel << 4;
}

u32 gdb_reg_set(struct cpu_state *c, u32 has, u32 n, const u8 *value)
{
	const struct reg_row *row;
	u8 *field;
	u32 k;

	row = reg_find(has, n, &k);
	if (!row)
		return 0;
	field = (u8 *)c + row->at + k * row->stride;
	switch (row->how) {
	case REG_SEL:
		reg_set_selector(c, (struct cpu_segment *)field,
				 get_le16(value));
		break;
	case REG_TAGS:
		c->fpu.ftw = 0;
		for (int i = 0; i < 8; i++)
			if ((get_le16(value) >> (2 * i) & 3) != 3)
				c->fpu.ftw |= (u8)(1u << i);
		break;
	default: memcpy(field, value, row->from); break;
	}
	if (row->in_use)
		c->xsave_bv |= BIT(row->in_use);
	if (row->at == AT(rflags))
		c->rflags |= RFLAGS_FIXED;
	return row->bits / 8;
}
