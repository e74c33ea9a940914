/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * info registers: QEMU 7.2's layout.
 *
 * General registers, RIP and segment bases are 64-bit wide in a 64-bit code
 * segment, system registers in long mode (as in QEMU, where a processor in
 * compatibility mode shows both).
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/err.h"
#include "monitor/internal.h"
#include "vmm/machine.h"
#include "vmm/vcpu.h"

typedef unsigned long long ull; /* of printf */

static const char *const regs_gpr[REG_COUNT] = {
	"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
	"r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15",
};

/* In the order of printing. */
static const struct {
	const char *name;
	size_t offset;
} regs_segments[] = {
	{ "es", offsetof(struct cpu_state, seg[SEG_ES]) },
	{ "cs", offsetof(struct cpu_state, seg[SEG_CS]) },
	{ "ss", offsetof(struct cpu_state, seg[SEG_SS]) },
	{ "ds", offsetof(struct cpu_state, seg[SEG_DS]) },
	{ "fs", offsetof(struct cpu_state, seg[SEG_FS]) },
	{ "gs", offsetof(struct cpu_state, seg[SEG_GS]) },
	{ "ldt", offsetof(struct cpu_state, ldt) },
	{ "tr", offsetof(struct cpu_state, tr) },
};

/* ---- query ---- */

static void regs_set(json_t *v, const char *name, u64 value)
{
	json_object_set_new(v, name, val_hex(value));
}

static json_t *regs_segment(const struct cpu_segment *s)
{
	return json_pack("{si so so si}", "selector", s->sel, "base",
			 val_hex(s->base), "limit", val_hex(s->limit), "attr",
			 s->attr);
}

static json_t *regs_table(const struct cpu_table *t)
{
	return json_pack("{so si}", "base", val_hex(t->base), "limit",
			 t->limit);
}

static json_t *regs_fpu(const struct cpu_fpu *f)
{
	json_t *st = json_array();
	int top = f->fsw >> 11 & 7;

	for (int i = 0; i < 8; i++) { /* by physical number */
		const u8 *p = f->st[(i - top) & 7];

		json_array_append_new(st,
				      json_pack("[o o]", val_hex(get_le64(p)),
						val_hex(get_le16(p + 8))));
	}
	return json_pack("{si si si sI so}", "fcw", f->fcw, "fsw", f->fsw,
			 "ftw", f->ftw, "mxcsr", (json_int_t)f->mxcsr, "fpr",
			 st);
}

static json_t *regs_vectors(const struct cpu_state *c, int count, int quads)
{
	json_t *list = json_array();

	for (int i = 0; i < count; i++) {
		json_t *v = json_array();

		for (int q = 0; q < quads; q++)
			json_array_append_new(v, val_hex(c->vec[i].q[q]));
		json_array_append_new(list, v);
	}
	return list;
}

static json_t *regs_query(const struct cpu_state *c, int index, bool halted)
{
	bool avx = (c->cr4 & CR4_OSXSAVE) && (c->xcr0 & 6) == 6;
	json_t *segs = json_object();
	json_t *v = json_pack(
		"{si sb sb sb si sb sb sb}", "CPU", index, "code64",
		cpu_code64(c), "long_mode", cpu_long_mode(c), "protected",
		(c->cr0 & CR0_PE) != 0, "cpl", cpu_cpl(c), "interrupt_shadow",
		c->interrupt_shadow, "smm", c->smm, "halted", halted);

	for (int i = 0; i < REG_COUNT; i++)
		regs_set(v, regs_gpr[i], c->gpr[i]);
	regs_set(v, "rip", c->rip);
	regs_set(v, "rflags", c->rflags);
	for (size_t i = 0; i < ARRAY_SIZE(regs_segments); i++)
		json_object_set_new(
			segs, regs_segments[i].name,
			regs_segment((const void *)((const char *)c +
						    regs_segments[i].offset)));
	json_object_set_new(v, "segments", segs);
	json_object_set_new(v, "gdt", regs_table(&c->gdt));
	json_object_set_new(v, "idt", regs_table(&c->idt));
	regs_set(v, "cr0", c->cr0);
	regs_set(v, "cr2", c->cr2);
	regs_set(v, "cr3", c->cr3);
	regs_set(v, "cr4", c->cr4);
	regs_set(v, "dr0", c->dr[0]);
	regs_set(v, "dr1", c->dr[1]);
	regs_set(v, "dr2", c->dr[2]);
	regs_set(v, "dr3", c->dr[3]);
	regs_set(v, "dr6", c->dr[6]);
	regs_set(v, "dr7", c->dr[7]);
	regs_set(v, "efer", c->efer);
	json_object_set_new(v, "fpu", regs_fpu(&c->fpu));
	json_object_set_new(
		v, "vectors",
		regs_vectors(c, cpu_code64(c) ? 16 : 8, avx ? 4 : 2));
	return v;
}

static void regs_add(json_t *list, struct vcpu *v)
{
	/* A vCPU that sleeps in HLT wakes to answer: look before asking. */
	bool halted = atomic_load(&v->halted);
	struct cpu_state c;

	mon_cpu_copy(v, &c);
	json_array_append_new(
		list,
		regs_query(&c, v->index, halted || c.mp_state != CPU_RUNNABLE));
}

json_t *query_registers(struct monitor *mon, const struct args *a,
			struct err *err)
{
	struct machine *m = mon->m;
	struct vcpu *v = mon_vcpu(mon);
	u64 index = args_u64(a, "vcpu");
	json_t *list;

	if (args_has(a, "vcpu") && !vcpu_plugged(m, index)) {
		mon_printf(mon, "CPU#%llu not available\n", (ull)index);
		return NULL;
	}
	if (!v) {
		mon_puts(mon, "No CPU available\n");
		return NULL;
	}
	list = json_array();
	if (args_has(a, "all")) {
		for (int i = 0; i < m->nvcpus; i++)
			if (vcpu_plugged(m, i))
				regs_add(list, m->vcpus[i]);
	} else {
		regs_add(list, args_has(a, "vcpu") ? m->vcpus[index] : v);
	}
	return list;
}

/* ---- print ---- */

static void regs_upper(char dst[4], const char *name)
{
	int n = 0;

	for (; name[n] && n < 3; n++)
		dst[n] = toupper((unsigned char)name[n]);
	dst[n] = '\0';
}

static void regs_print_gpr(const json_t *v, bool wide, struct buf *out)
{
	static const u8 order[REG_COUNT] = {
		REG_RAX, REG_RBX, REG_RCX, REG_RDX, REG_RSI, REG_RDI,
		REG_RBP, REG_RSP, REG_R8,  REG_R9,  REG_R10, REG_R11,
		REG_R12, REG_R13, REG_R14, REG_R15,
	};

	for (int i = 0; i < (wide ? 16 : 8); i++) {
		char name[4];
		u64 value = val_u64(v, regs_gpr[order[i]]);

		regs_upper(name, regs_gpr[order[i]]);
		if (wide)
			buf_printf(out, "%-3s=%016llx", name, (ull)value);
		else
			buf_printf(out, "E%s=%08x", name + 1, (u32)value);
		buf_putc(out, i % 4 == 3 ? '\n' : ' ');
	}
}

static void regs_print_flags(const json_t *v, bool wide, struct buf *out)
{
	static const struct {
		u32 bit;
		char letter;
	} flags[] = {
		{ RFLAGS_DF, 'D' }, { RFLAGS_OF, 'O' }, { RFLAGS_SF, 'S' },
		{ RFLAGS_ZF, 'Z' }, { RFLAGS_AF, 'A' }, { RFLAGS_PF, 'P' },
		{ RFLAGS_CF, 'C' },
	};

	u64 rip = val_u64(v, "rip");
	u32 rflags = val_u64(v, "rflags");

	if (wide)
		buf_printf(out, "RIP=%016llx RFL=%08x [", (ull)rip, rflags);
	else
		buf_printf(out, "EIP=%08x EFL=%08x [", (u32)rip, rflags);
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		buf_putc(out, rflags & flags[i].bit ? flags[i].letter : '-');
	buf_printf(out, "] CPL=%d II=%d A20=1 SMM=%d HLT=%d\n",
		   (int)val_u64(v, "cpl"), val_true(v, "interrupt_shadow"),
		   val_true(v, "smm"), val_true(v, "halted"));
}

/* What kind of segment, for a descriptor in protected mode. */
static void regs_print_kind(u16 attr, bool long_mode, struct buf *out)
{
	static const char *const system[2][16] = {
		{ "Reserved", "TSS16-avl", "LDT", "TSS16-busy", "CallGate16",
		  "TaskGate", "IntGate16", "TrapGate16", "Reserved",
		  "TSS32-avl", "Reserved", "TSS32-busy", "CallGate32",
		  "Reserved", "IntGate32", "TrapGate32" },
		{ "<hiword>", "Reserved", "LDT", "Reserved", "Reserved",
		  "Reserved", "Reserved", "Reserved", "Reserved", "TSS64-avl",
		  "Reserved", "TSS64-busy", "CallGate64", "Reserved",
		  "IntGate64", "TrapGate64" },
	};

	buf_printf(out, " DPL=%d ", SEG_DPL(attr));
	if (!(attr & SEG_ATTR_S)) {
		buf_puts(out, system[long_mode][attr & SEG_ATTR_TYPE]);
		return;
	}
	if (attr & SEG_ATTR_CODE)
		buf_printf(out, "%s [%c%c",
			   attr & SEG_ATTR_L    ? "CS64"
			   : attr & SEG_ATTR_DB ? "CS32"
						: "CS16",
			   attr & SEG_ATTR_CE ? 'C' : '-',
			   attr & SEG_ATTR_RW ? 'R' : '-');
	else
		buf_printf(out, "%s [%c%c",
			   attr & SEG_ATTR_DB || long_mode ? "DS  " : "DS16",
			   attr & SEG_ATTR_CE ? 'E' : '-',
			   attr & SEG_ATTR_RW ? 'W' : '-');
	buf_printf(out, "%c]", attr & SEG_ATTR_ACCESSED ? 'A' : '-');
}

static void regs_print_segment(const json_t *v, const char *name, bool wide,
			       bool protected, bool long_mode, struct buf *out)
{
	char upper[4];
	u16 attr = val_u64(v, "attr");
	u32 limit = val_u64(v, "limit");
	/* The high word of the descriptor. */
	u32 word = ((u32)attr << 8 & 0x00f0ff00u) |
		   ((attr & SEG_ATTR_G ? limit >> 12 : limit) & 0x000f0000u);

	regs_upper(upper, name);
	buf_printf(out, "%-3s=%04x ", upper, (u32)val_u64(v, "selector"));
	if (wide)
		buf_printf(out, "%016llx", (ull)val_u64(v, "base"));
	else
		buf_printf(out, "%08x", (u32)val_u64(v, "base"));
	buf_printf(out, " %08x %08x", limit, word);
	if (protected && (attr & SEG_ATTR_P))
		regs_print_kind(attr, long_mode, out);
	buf_putc(out, '\n');
}

static void regs_print_system(const json_t *v, bool long_mode, struct buf *out)
{
	const json_t *gdt = json_object_get(v, "gdt");
	const json_t *idt = json_object_get(v, "idt");
	int w = long_mode ? 16 : 8;

	buf_printf(out, "GDT=     %0*llx %08x\n", w, (ull)val_u64(gdt, "base"),
		   (u32)val_u64(gdt, "limit"));
	buf_printf(out, "IDT=     %0*llx %08x\n", w, (ull)val_u64(idt, "base"),
		   (u32)val_u64(idt, "limit"));
	buf_printf(out, "CR0=%08x CR2=%0*llx CR3=%0*llx CR4=%08x\n",
		   (u32)val_u64(v, "cr0"), w, (ull)val_u64(v, "cr2"), w,
		   (ull)val_u64(v, "cr3"), (u32)val_u64(v, "cr4"));
	buf_printf(out, "DR0=%016llx DR1=%016llx DR2=%016llx DR3=%016llx \n",
		   (ull)val_u64(v, "dr0"), (ull)val_u64(v, "dr1"),
		   (ull)val_u64(v, "dr2"), (ull)val_u64(v, "dr3"));
	buf_printf(out, "DR6=%016llx DR7=%016llx\n", (ull)val_u64(v, "dr6"),
		   (ull)val_u64(v, "dr7"));
	buf_printf(out, "EFER=%016llx\n", (ull)val_u64(v, "efer"));
}

static u64 regs_item(const json_t *array, size_t i)
{
	return strtoull(json_string_value(json_array_get(array, i)), NULL, 16);
}

static void regs_print_fpu(const json_t *f, struct buf *out)
{
	u32 fsw = val_u64(f, "fsw");
	size_t i;
	json_t *r;

	buf_printf(out, "FCW=%04x FSW=%04x [ST=%d] FTW=%02x MXCSR=%08x\n",
		   (u32)val_u64(f, "fcw"), fsw, fsw >> 11 & 7,
		   (u32)val_u64(f, "ftw"), (u32)val_u64(f, "mxcsr"));
	json_array_foreach(json_object_get(f, "fpr"), i, r) buf_printf(
		out, "FPR%zu=%016llx %04x%c", i, (ull)regs_item(r, 0),
		(u32)regs_item(r, 1), i & 1 ? '\n' : ' ');
}

static void regs_print_vectors(const json_t *list, struct buf *out)
{
	size_t i;
	json_t *r;

	json_array_foreach(list, i, r)
	{
		if (json_array_size(r) == 4)
			buf_printf(out,
				   "YMM%02zu=%016llx %016llx %016llx %016llx\n",
				   i, (ull)regs_item(r, 3),
				   (ull)regs_item(r, 2), (ull)regs_item(r, 1),
				   (ull)regs_item(r, 0));
		else
			buf_printf(out, "XMM%02zu=%016llx %016llx%c", i,
				   (ull)regs_item(r, 1), (ull)regs_item(r, 0),
				   i & 1 ? '\n' : ' ');
	}
}

void print_registers(const json_t *list, struct buf *out)
{
	size_t i;
	json_t *v;

	json_array_foreach(list, i, v)
	{
		bool wide = val_true(v, "code64");
		bool long_mode = val_true(v, "long_mode");
		const json_t *segs = json_object_get(v, "segments");

		buf_printf(out, "\nCPU#%d\n", (int)val_u64(v, "CPU"));
		regs_print_gpr(v, wide, out);
		regs_print_flags(v, wide, out);
		for (size_t s = 0; s < ARRAY_SIZE(regs_segments); s++)
			regs_print_segment(
				json_object_get(segs, regs_segments[s].name),
				regs_segments[s].name, wide,
				val_true(v, "protected"), long_mode, out);
		regs_print_system(v, long_mode, out);
		regs_print_fpu(json_object_get(v, "fpu"), out);
		regs_print_vectors(json_object_get(v, "vectors"), out);
	}
}
