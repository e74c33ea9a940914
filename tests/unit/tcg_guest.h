/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One vCPU of the emulation engine in flat 64-bit ring 0, without machine or
 * threads: code at GUEST_CODE, data at GUEST_DATA, each exception halts at an
 * address of its own.
 */
#ifndef TESTS_UNIT_TCG_GUEST_H
#define TESTS_UNIT_TCG_GUEST_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "tcg/tcg.h"
#include "vmm/machine.h"

#define GUEST_CODE  0x10000000ULL
#define GUEST_DATA  0x20000000ULL
#define GUEST_PAGES 4 /* of data */
#define GUEST_STACK 0x300000ULL

struct guest {
	struct machine m;
	struct vcpu v, *vs[1];
	struct tcg tcg;
	struct tcg_cpu *c;
	u8 *code, *data; /* host's view */
};

static inline void guest_put64(struct guest *g, gpa_t at, u64 value)
{
	ck_assert_int_eq(mem_load(&g->m.mem, at, &value, 8), 0);
}

/* RAM: 1000 page tables, 8000 GDT, 9000 IDT, a000 handlers, 100000 code,
 * 200000 data, below 300000 the stack; the first 4 MiB also at 0. */
static inline void guest_tables(struct guest *g)
{
	guest_put64(g, 0x1000, 0x2003);
	guest_put64(g, 0x2000, 0x3003);
	guest_put64(g, 0x3000, 0x00e3);
	guest_put64(g, 0x3008, 0x2000e3);
	guest_put64(g, 0x3000 + 8 * (GUEST_CODE >> 21), 0x4003);
	guest_put64(g, 0x3000 + 8 * (GUEST_DATA >> 21), 0x5003);
	for (int n = 0; n < 4; n++)
		guest_put64(g, 0x4000 + 8 * n, 0x100063 + n * 0x1000);
	for (int n = 0; n < GUEST_PAGES; n++)
		guest_put64(g, 0x5000 + 8 * n, 0x200063 + n * 0x1000);
	guest_put64(g, 0x8008, 0x00209b0000000000);
	guest_put64(g, 0x8010, 0x00cf93000000ffff);
	for (int n = 0; n < 32; n++) {
		u64 at = 0xa000 + 2 * n;

		guest_put64(g, 0x9000 + 16 * n, 0x8e0000080000 | at);
		guest_put64(g, 0x9008 + 16 * n, 0);
		ck_assert_int_eq(mem_load(&g->m.mem, at, "\xf4\xf4", 2), 0);
	}
}

static inline void guest_init(struct guest *g)
{
	struct cpu_state *s = &g->v.cpu;
	struct err err = { 0 };

	memset(g, 0, sizeof *g);
	g->vs[0] = &g->v;
	g->m.vcpus = g->vs;
	g->m.nvcpus = 1;
	g->m.accel_data = &g->tcg;
	g->v.m = &g->m;
	ck_assert_int_eq(mem_add_ram(&g->m.mem, "ram", 0, 4 * MIB, false, &err),
			 0);
	ck_assert_msg(!tcg_init(&g->tcg, 1, "max", &err), "%s", err.msg);
	ck_assert_msg(!tcg_cpu_create(&g->v, &err), "%s", err.msg);
	g->c = g->v.accel;
	g->code = mem_ptr_rw(&g->m.mem, 0x100000, 0x4000);
	g->data = mem_ptr_rw(&g->m.mem, 0x200000, GUEST_PAGES * PAGE_SIZE);
	guest_tables(g);
	cpu_reset(s, true, false);
	s->cr0 = CR0_PE | CR0_PG | CR0_NE | CR0_ET | CR0_MP;
	s->cr3 = 0x1000;
	s->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE;
	s->xcr0 = 7;
	s->efer = EFER_LME | EFER_LMA | EFER_NXE;
	for (int n = 0; n < SEG_COUNT; n++) {
		s->seg[n] = (struct cpu_segment){ .limit = 0xffffffff,
						  .sel = 0x10,
						  .attr = 0xc093 };
	}
	s->seg[SEG_CS].sel = 8;
	s->seg[SEG_CS].attr = 0xa09b;
	s->gdt = (struct cpu_table){ 0x8000, 0x17 };
	s->idt = (struct cpu_table){ 0x9000, 0x1ff };
	s->mp_state = CPU_RUNNABLE;
	s->rflags = RFLAGS_FIXED;
	tcg_sync_in(g->c);
}

static inline void guest_fini(struct guest *g)
{
	tcg_cpu_destroy(&g->v);
	tcg_fini(&g->tcg);
	mem_fini(&g->m.mem);
}

/* Puts code in place, HLT behind it. */
static inline void guest_load(struct guest *g, const void *code, size_t n)
{
	ck_assert_int_eq(mem_load(&g->m.mem, 0x100000, code, n), 0);
	ck_assert_int_eq(mem_load(&g->m.mem, 0x100000 + n, "\xf4", 1), 0);
}

/* Runs from GUEST_CODE until HLT: -1, or the vector of an exception. */
static inline int guest_run(struct guest *g)
{
	struct tcg_cpu *c = g->c;
	enum vcpu_exit r;

	c->rip = GUEST_CODE;
	c->gpr[REG_RSP] = GUEST_STACK;
	c->halted = false;
	atomic_store(&g->v.request, 0);
	tcg_enter(c);
	r = tcg_execute(c);
	tcg_leave(c);
	ck_assert_int_eq(r, VCPU_EXIT_HALT);
	if (c->rip < 0xa000 || c->rip >= 0xa040)
		return -1;
	return (int)(c->rip - 0xa000) / 2;
}

#endif
