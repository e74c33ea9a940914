/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The engine's side: a machine without any system, whose ring 3 has the
 * judge's addresses and selectors; see engine.h.
 */
#include "tests/diff/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "tcg/tcg.h"
#include "vmm/accel.h"
#include "vmm/cpu.h"
#include "vmm/machine.h"

#define PHYS_TABLES 0x10000u
#define PHYS_GDT    0x1000u
#define PHYS_IDT    0x2000u
#define PHYS_TSS    0x3000u
#define PHYS_STUBS  0x4000u /* one HLT per vector, 16 bytes apart */
#define PHYS_KSTACK 0x8000u /* top */
#define PHYS_DATA   0x100000u
#define PHYS_STACK  0x104000u
#define PHYS_RO     0x106000u
#define PHYS_CODE   0x108000u
#define PHYS_CTRL   0x10c000u
#define TSS_SIZE    0x68u
#define KERNEL_CS   0x10u
#define KERNEL_VA   0xffffffffc0000000ull /* supervisor window onto 0..64 KiB */

#define NX BIT(63)

struct engine {
	struct machine *m;
	struct vcpu *v;
	struct cpu_state start;
	u8 code[DIFF_CODE_SIZE]; /* what a run begins with */
	u64 next_table;
};

static void engine_put64(struct engine *e, u64 at, u64 value)
{
	u8 raw[8];

	put_le64(raw, value);
	mem_write(&e->m->mem, at, raw, 8);
}

static void engine_map(struct engine *e, u64 va, u64 pa, u64 bits)
{
	u64 table = PHYS_TABLES;

	for (int level = 3; level > 0; level--) {
		u64 at = table + (va >> (12 + 9 * level) & 511) * 8;
		u8 raw[8];
		u64 entry;

		mem_read(&e->m->mem, at, raw, 8);
		entry = get_le64(raw);
		if (!entry) {
			entry = e->next_table | 7;
			e->next_table += PAGE_SIZE;
			engine_put64(e, at, entry);
		}
		table = entry & PAGE_MASK;
	}
	engine_put64(e, table + (va >> 12 & 511) * 8, pa | bits);
}

static void engine_map_range(struct engine *e, u64 va, u64 pa, u64 size,
			     u64 bits)
{
	for (u64 at = 0; at < size; at += PAGE_SIZE)
		engine_map(e, va + at, pa + at, bits);
}

static void engine_tables(struct engine *e)
{
	e->next_table = PHYS_TABLES + PAGE_SIZE;
	engine_map_range(e, DIFF_DATA, PHYS_DATA, DIFF_DATA_SIZE, 0x67 | NX);
	engine_map_range(e, DIFF_RO, PHYS_RO, DIFF_RO_SIZE, 0x65 | NX);
	engine_map_range(e, DIFF_STACK, PHYS_STACK, DIFF_STACK_SIZE, 0x67 | NX);
	engine_map_range(e, DIFF_CTRL, PHYS_CTRL, DIFF_CTRL_SIZE, 0x67 | NX);
	engine_map_range(e, DIFF_CODE, PHYS_CODE, DIFF_CODE_SIZE, 0x67);
	engine_map_range(e, KERNEL_VA, 0, 0x10000, 0x63);
	for (u64 n = 0; n < 32; n++) {
		u64 stub = KERNEL_VA + PHYS_STUBS + n * 16;
		u64 type = n == EXC_BP || n == EXC_OF ? 0xee00 : 0x8e00;
		u8 hlt = 0xf4;

		mem_write(&e->m->mem, PHYS_STUBS + n * 16, &hlt, 1);
		/* Interrupt gates; as Linux's, INT3 and INTO may be called
		 * from ring 3. */
		engine_put64(e, PHYS_IDT + n * 16,
			     (stub & 0xffff) | KERNEL_CS << 16 | type << 32 |
				     (stub >> 16 & 0xffff) << 48);
		engine_put64(e, PHYS_IDT + n * 16 + 8, stub >> 32);
	}
	engine_put64(e, PHYS_TSS + 4, KERNEL_VA + PHYS_KSTACK);
	/* No port bitmap. */
	engine_put64(e, PHYS_TSS + 0x60, (u64)TSS_SIZE << 48);
}

/* Linux's descriptors, as far as ring 3 can tell. */
static void engine_gdt(struct engine *e)
{
	static const u64 gdt[] = {
		[1] = 0x00cf9b000000ffff, [2] = 0x00af9b000000ffff,
		[3] = 0x00cf93000000ffff, [4] = 0x00cffb000000ffff,
		[5] = 0x00cff3000000ffff, [6] = 0x00affb000000ffff,
	};

	for (u32 n = 0; n < ARRAY_SIZE(gdt); n++)
		engine_put64(e, PHYS_GDT + 8 * n, gdt[n]);
}

static void engine_registers(struct engine *e)
{
	struct cpu_state *c = &e->start;

	cpu_reset(c, true, false);
	c->gdt = (struct cpu_table){ KERNEL_VA + PHYS_GDT, 0x7f };
	c->idt = (struct cpu_table){ KERNEL_VA + PHYS_IDT, 32 * 16 - 1 };
	c->ldt = (struct cpu_segment){ 0 };
	c->tr = (struct cpu_segment){ .base = KERNEL_VA + PHYS_TSS,
				      .limit = TSS_SIZE - 1,
				      .sel = 0x40,
				      .attr = 0x8b };
	c->cr0 = CR0_PE | CR0_PG | CR0_WP | CR0_NE | CR0_MP | CR0_ET | CR0_AM;
	c->cr3 = PHYS_TABLES;
	c->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE |
		 CR4_FSGSBASE;
	c->efer = EFER_LME | EFER_LMA | EFER_SCE | EFER_NXE;
	c->xcr0 = 7;
	c->mp_state = CPU_RUNNABLE;
}

/* The one place that knows engines by name: what -accel is given. */
static const char *engine_accel(const char *name)
{
	if (!strcmp(name, "jit"))
		return "tcg,jit=on,hot=1";
	return strcmp(name, "interp") ? NULL : "tcg,jit=off";
}

struct engine *engine_create(const char *name)
{
	struct engine *e = xalloc(sizeof *e);
	const char *accel = engine_accel(name);
	const struct tcg *t;
	struct err err = { 0 };

	if (!accel) {
		fprintf(stderr, "diff: no engine '%s'\n", name);
		exit(2);
	}
	e->m = machine_create(&err);
	if (!e->m || mem_add_ram(&e->m->mem, "ram", 0, 4 * MIB, false, &err) ||
	    accel_select(e->m, accel, &err) || vcpu_create(e->m, 0, &err)) {
		fprintf(stderr, "diff: %s\n", err.msg);
		exit(1);
	}
	e->v = e->m->vcpus[0];
	if (e->m->accel->vcpu_create(e->v, &err)) {
		fprintf(stderr, "diff: %s\n", err.msg);
		exit(1);
	}
	t = e->m->accel_data;
	if (t->jit != !strcmp(name, "jit")) {
		printf("diff: nothing is translated on this host\n");
		exit(77);
	}
	engine_tables(e);
	engine_gdt(e);
	engine_registers(e);
	return e;
}

void engine_destroy(struct engine *e)
{
	lock_acquire(&machine_lock);
	e->m->accel->vcpu_destroy(e->v);
	machine_destroy(e->m);
	lock_release(&machine_lock);
	free(e);
}

static void engine_segments(struct cpu_state *c, bool code32)
{
	const struct cpu_segment data = { .limit = 0xffffffffu,
					  .sel = DIFF_DS,
					  .attr = 0xc0f3 };
	const struct cpu_segment null = { 0 };

	for (int n = 0; n < SEG_COUNT; n++)
		c->seg[n] = n < SEG_FS && code32 ? data : null;
	c->seg[SEG_SS] = c->seg[SEG_CS] = data;
	c->seg[SEG_CS].sel = code32 ? DIFF_CS32 : DIFF_CS64;
	c->seg[SEG_CS].attr = code32 ? 0xc0fb : 0xa0fb;
}

static void engine_load(struct engine *e, const struct diff_test *t)
{
	struct cpu_state *c = &e->v->cpu;
	const struct diff_state *s = &t->start;
	static u8 data[DIFF_DATA_SIZE], stack[DIFF_STACK_SIZE];
	static u8 ctrl[DIFF_CTRL_SIZE];

	*c = e->start;
	engine_segments(c, t->code32);
	memcpy(c->gpr, s->gpr, sizeof c->gpr);
	c->rip = s->rip;
	c->rflags = s->rflags | RFLAGS_IF | RFLAGS_FIXED;
	for (int n = 0; n < 16; n++)
		memcpy(c->vec[n].b, s->vec[n], 32);
	for (int n = 0; n < 8; n++)
		memcpy(c->fpu.st[n], s->st[n], 10);
	c->fpu.fcw = s->fcw;
	c->fpu.fsw = s->fsw;
	c->fpu.ftw = s->ftw;
	c->fpu.mxcsr = s->mxcsr;
	diff_fill(t->seed, data, stack);
	mem_write(&e->m->mem, PHYS_DATA, data, sizeof data);
	mem_write(&e->m->mem, PHYS_STACK, stack, sizeof stack);
	diff_fill_ctrl(t, ctrl);
	mem_write(&e->m->mem, PHYS_CTRL, ctrl, sizeof ctrl);
}

static void engine_store(struct engine *e, struct diff_result *r)
{
	const struct cpu_state *c = &e->v->cpu;
	struct diff_state *s = &r->state;
	u64 frame[6];
	bool code;

	r->vector = (u8)((c->rip - 1 - KERNEL_VA - PHYS_STUBS) / 16);
	code = BIT(r->vector) & 0x27d00;
	mem_read(&e->m->mem, c->gpr[REG_RSP] - KERNEL_VA, frame, sizeof frame);
	memcpy(s->gpr, c->gpr, sizeof s->gpr);
	s->rip = frame[code ? 1 : 0];
	s->rflags = frame[code ? 3 : 2] & FLAGS_SEEN;
	s->gpr[REG_RSP] = frame[code ? 4 : 3];
	r->code = r->vector == EXC_PF ? (u32)frame[0] : 0;
	r->cr2 = r->vector == EXC_PF ? c->cr2 : 0;
	for (int n = 0; n < 16; n++)
		memcpy(s->vec[n], c->vec[n].b, 32);
	for (int n = 0; n < 8; n++)
		memcpy(s->st[n], c->fpu.st[n], 10);
	s->fcw = c->fpu.fcw;
	s->fsw = c->fpu.fsw;
	s->ftw = c->fpu.ftw;
	s->mxcsr = c->fpu.mxcsr;
	mem_read(&e->m->mem, PHYS_DATA, r->data, DIFF_DATA_SIZE);
	mem_read(&e->m->mem, PHYS_STACK, r->stack, DIFF_STACK_SIZE);
	mem_read(&e->m->mem, PHYS_CODE, r->code_after, DIFF_CODE_SIZE);
	mem_read(&e->m->mem, PHYS_CTRL, r->ctrl, DIFF_CTRL_SIZE);
}

void engine_code(struct engine *e, const struct diff_test *t)
{
	memset(e->code, 0xcc, sizeof e->code);
	memcpy(e->code + t->at, t->code, sizeof t->code);
	mem_write(&e->m->mem, PHYS_CODE, e->code, sizeof e->code);
}

/* Writing what is there already would cost the engine its translation. */
static void engine_restore_code(struct engine *e)
{
	u8 now[DIFF_CODE_SIZE];

	mem_read(&e->m->mem, PHYS_CODE, now, sizeof now);
	if (memcmp(now, e->code, sizeof now))
		mem_write(&e->m->mem, PHYS_CODE, e->code, sizeof e->code);
}

void engine_run(struct engine *e, const struct diff_test *t,
		struct diff_result *r)
{
	enum vcpu_exit why;

	engine_restore_code(e);
	engine_load(e, t);
	e->m->accel->put(e->v);
	do
		why = e->m->accel->run(e->v);
	while (why == VCPU_EXIT_AGAIN);
	e->m->accel->get(e->v);
	memset(r, 0, sizeof *r);
	if (why == VCPU_EXIT_HALT)
		engine_store(e, r);
	else
		r->vector = 0xff;
}
