/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Guest RAM: what has been touched, what is given back, what is seen twice.
 */
#include "vmm/memory.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"

#define SIZE (16 * MIB)
#define AT   (9 * MIB + 5)

static struct memory mem;
static struct ram_block *ram;

static void setup(void)
{
	struct err err = { 0 };

	memset(&mem, 0, sizeof mem);
	ck_assert_int_eq(mem_add_ram(&mem, "ram", 0, SIZE, false, &err), 0);
	ram = &mem.ram[0];
}

static void teardown(void)
{
	mem_fini(&mem);
}

/* Huge pages, if any, lie in the host's memory as in the guest's. */
START_TEST(ram_is_aligned)
{
	ck_assert_uint_eq((uintptr_t)ram->host % (2 * MIB), 0);
}

END_TEST

/* Perhaps with more around it, but not all of it. */
START_TEST(what_was_written_is_found)
{
	u64 start = 0, end = 0, found = 0;
	u8 v = 7;

	ck_assert(!mem_next_data(ram, 0, &start, &end));
	ck_assert_int_eq(mem_write(&mem, AT, &v, 1), 0);
	ck_assert(mem_next_data(ram, 0, &start, &end));
	ck_assert_uint_eq(start % PAGE_SIZE, 0);
	ck_assert_uint_eq(end % PAGE_SIZE, 0);
	ck_assert_uint_le(start, AT);
	ck_assert_uint_gt(end, AT);
	for (u64 at = 0; mem_next_data(ram, at, &start, &end); at = end)
		found += end - start;
	ck_assert_uint_le(found, 2 * MIB);
	ck_assert(!mem_next_data(ram, SIZE, &start, &end));
	ck_assert(!mem_next_data(ram, UINT64_MAX, &start, &end));
}

END_TEST

START_TEST(what_is_given_back_is_zero)
{
	u8 v = 7;

	ck_assert_int_eq(mem_write(&mem, AT, &v, 1), 0);
	ck_assert_int_eq(mem_discard(&mem, AT & PAGE_MASK, PAGE_SIZE), 0);
	ck_assert_int_eq(mem_read(&mem, AT, &v, 1), 0);
	ck_assert_uint_eq(v, 0);
	ck_assert_int_lt(mem_discard(&mem, AT, PAGE_SIZE), 0);
	ck_assert_int_lt(mem_discard(&mem, SIZE - PAGE_SIZE, 2 * PAGE_SIZE), 0);
}

END_TEST

START_TEST(an_alias_is_the_same_memory)
{
	struct err err = { 0 };
	u64 start, end;
	u8 v = 9;

	ck_assert_int_eq(mem_add_alias(&mem, "alias", 1 * GIB, 4 * MIB, ram,
				       8 * MIB, &err),
			 0);
	ck_assert_int_eq(mem_write(&mem, AT, &v, 1), 0);
	v = 0;
	ck_assert_int_eq(mem_read(&mem, 1 * GIB + AT - 8 * MIB, &v, 1), 0);
	ck_assert_uint_eq(v, 9);
	ck_assert(mem_next_data(&mem.ram[1], 0, &start, &end));
	ck_assert_uint_le(start, AT - 8 * MIB);
	ck_assert_uint_gt(end, AT - 8 * MIB);
	ck_assert_uint_le(end, 4 * MIB);
}

END_TEST

int main(void)
{
	Suite *s = suite_create("vmm_memory");
	TCase *tc = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, ram_is_aligned);
	tcase_add_test(tc, what_was_written_is_found);
	tcase_add_test(tc, what_is_given_back_is_zero);
	tcase_add_test(tc, an_alias_is_the_same_memory);
	suite_add_tcase(s, tc);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
