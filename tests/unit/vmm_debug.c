/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A debugger's points on an accelerator that needs an INT3 in memory.
 */
#include "vmm/debug.h"

#include <errno.h>

#include "tests/unit/bare_machine.h"

#define TABLES  0x10000 /* of the first vCPU; the next one's are behind */
#define FRAME_0 0x40000
#define FRAME_1 0x50000
#define VA      0x8049123

static int two_create(struct vcpu *v, struct err *err)
{
	return 0;
}

/* The registers are where they are. */
static void two_get(struct vcpu *v)
{
}

/* 32-bit paging, one page. */
static void two_map(struct vcpu *v, gpa_t tables, gpa_t frame)
{
	struct memory *mem = &v->m->mem;
	u32 pde = (u32)(tables + PAGE_SIZE) | 3, pte = (u32)frame | 3;

	mem_write(mem, tables + VA / (4 * MIB) * 4, &pde, 4);
	mem_write(mem, tables + PAGE_SIZE + (VA / PAGE_SIZE & 1023) * 4, &pte,
		  4);
	v->cpu.cr0 = CR0_PE | CR0_PG;
	v->cpu.cr3 = tables;
}

static void two_init(struct bare *b) NO_TSA
{
	struct err err = { 0 };

	bare_init(b);
	b->accel.vcpu_create = two_create;
	b->accel.get = two_get;
	b->accel.debug = true;
	b->accel.debug_hard = 4;
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(vcpu_create(b->m, i, &err), 0);
		two_map(b->m->vcpus[i], TABLES + i * 2 * PAGE_SIZE,
			i ? FRAME_1 : FRAME_0);
	}
}

static u8 byte_at(struct bare *b, gpa_t pa)
{
	u8 byte = 0;

	ck_assert_int_eq(mem_read(&b->m->mem, pa, &byte, 1), 0);
	return byte;
}

START_TEST(a_breakpoint_goes_where_its_vcpu_sees_the_address)
{
	const gpa_t at[2] = { FRAME_0 | (VA & 0xfff), FRAME_1 | (VA & 0xfff) };
	struct bare b;

	two_init(&b);
	for (int i = 0; i < 2; i++) {
		struct vcpu *v = b.m->vcpus[i];

		ck_assert_int_eq(debug_insert(v, DEBUG_BREAK_SOFT, VA, 1), 0);
		ck_assert_uint_eq(byte_at(&b, at[i]), 0xcc);
		ck_assert_uint_eq(byte_at(&b, at[!i]), 0);
		ck_assert_int_eq(debug_remove(b.m, DEBUG_BREAK_SOFT, VA, 1), 0);
		ck_assert_uint_eq(byte_at(&b, at[i]), 0);
	}
	bare_fini(&b);
}

END_TEST

START_TEST(no_point_is_made_where_nothing_is_mapped)
{
	struct bare b;

	two_init(&b);
	ck_assert_int_eq(debug_insert(b.m->vcpus[1], DEBUG_BREAK_SOFT,
				      VA + PAGE_SIZE, 1),
			 -EFAULT);
	ck_assert_int_eq(b.m->debug.n, 0);
	bare_fini(&b);
}

END_TEST

int main(void)
{
	TCase *tc = tcase_create("debug");

	tcase_add_test(tc, a_breakpoint_goes_where_its_vcpu_sees_the_address);
	tcase_add_test(tc, no_point_is_made_where_nothing_is_mapped);
	return bare_run("vmm_debug", tc);
}
