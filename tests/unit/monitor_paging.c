/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Page walks of info mem and info tlb over tables that mean no good.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "monitor/expr.h"
#include "monitor/internal.h"
#include "vmm/machine.h"
#include "vmm/vcpu.h"

#define RAM_SIZE (4 * MIB)

static struct machine machine;
static struct vcpu vcpu;
static struct vcpu *vcpus[1] = { &vcpu };
static struct monitor mon;
static struct args args;

static void setup(void)
{
	static const struct expr_env none;
	struct err err = { 0 };

	memset(&machine, 0, sizeof machine);
	memset(&mon, 0, sizeof mon);
	ck_assert_int_eq(
		mem_add_ram(&machine.mem, "ram", 0, RAM_SIZE, false, &err), 0);
	machine.vcpus = vcpus;
	machine.nvcpus = 1;
	mon.m = &machine;
	mon.cpu_valid = true; /* the state below is this command's */
	mon.cpu.cr0 = CR0_PE | CR0_PG;
	mon.cpu.cr4 = CR4_PAE | CR4_PSE;
	mon.cpu.efer = EFER_LME | EFER_LMA;
	mon.cpu.cr3 = 0x1000;
	ck_assert_int_eq(args_parse(&args, "start:l?", "json:-j", "tlb", "",
				    &none, NULL),
			 0);
}

static void teardown(void)
{
	args_fini(&args);
	mem_fini(&machine.mem);
}

static void put(gpa_t table, int i, u64 entry)
{
	u8 b[8];

	put_le64(b, entry);
	ck_assert_int_eq(mem_write(&machine.mem, table + i * 8, b, 8), 0);
}

static void put32(gpa_t table, int i, u32 entry)
{
	u8 b[4];

	put_le32(b, entry);
	ck_assert_int_eq(mem_write(&machine.mem, table + i * 4, b, 4), 0);
}

/* The text of a query; it must come soon, whatever the tables say. */
static char *show(query_fn *query, print_fn *print)
{
	u64 start = clock_mono_ns();
	struct buf out = { 0 };
	json_t *v = query(&mon, &args, NULL);

	ck_assert_ptr_nonnull(v);
	print(v, &out);
	json_decref(v);
	ck_assert_uint_lt(clock_mono_ns() - start, 10 * NS_PER_S);
	return buf_steal(&out);
}

static void expect(query_fn *query, print_fn *print, const char *text)
{
	char *got = show(query, print);

	ck_assert_str_eq(got, text);
	free(got);
}

START_TEST(paging_a_table_that_is_all_levels_at_once)
{
	char *text;

	for (int i = 0; i < 512; i++)
		put(0x1000, i, 0x1007);
	text = show(query_tlb, print_tlb);
	ck_assert_ptr_nonnull(strstr(text, "\n[stopped after "));
	ck_assert_uint_lt(strlen(text), 2 * MIB);
	free(text);
	text = show(query_mem, print_mem);
	ck_assert_ptr_nonnull(strstr(text, "\n[stopped after "));
	free(text);
}

END_TEST

START_TEST(paging_tables_outside_of_ram_hold_nothing)
{
	put(0x1000, 0, 0x000ffffffffff007);
	put(0x1000, 1, 0x00000000fee00007);
	put(0x1000, 2, RAM_SIZE | 7);
	expect(query_tlb, print_tlb, "");
	mon.cpu.cr3 = 0xfffffffff000;
	expect(query_mem, print_mem, "");
}

END_TEST

START_TEST(paging_rights_are_those_of_all_levels)
{
	put(0x1000, 0, 0x2000 | 7);
	put(0x2000, 0, 0x3000 | 5); /* not writable */
	put(0x2000, 1, 0x40000087); /* 1 GiB */
	put(0x3000, 0, 0x200000 | 0x87);
	put(0x3000, 1, 0x200000 | 0x81);
	put(0x1000, 511, 0x2000 | 3); /* not the user's */
	expect(query_mem, print_mem,
	       "0000000000000000-0000000000200000 0000000000200000 ur-\n"
	       "0000000000200000-0000000000400000 0000000000200000 -r-\n"
	       "0000000040000000-0000000080000000 0000000040000000 urw\n"
	       "ffffff8000000000-ffffff8000400000 0000000000400000 -r-\n"
	       "ffffff8040000000-ffffff8080000000 0000000040000000 -rw\n");
	expect(query_tlb, print_tlb,
	       "0000000000000000: 0000000000200000 --P----UW\n"
	       "0000000000200000: 0000000000200000 --P------\n"
	       "0000000040000000: 0000000040000000 --P----UW\n"
	       "ffffff8000000000: 0000000000200000 --P----UW\n"
	       "ffffff8000200000: 0000000000200000 --P------\n"
	       "ffffff8040000000: 0000000040000000 --P----UW\n");
}

END_TEST

START_TEST(paging_the_last_page_there_is)
{
	put(0x1000, 511, 0x2000 | 3);
	put(0x2000, 511, 0x3000 | 3);
	put(0x3000, 511, 0x4000 | 3);
	put(0x4000, 511, 0x5000 | 3);
	expect(query_mem, print_mem,
	       "fffffffffffff000-0000000000000000 0000000000001000 -rw\n");
}

END_TEST

START_TEST(paging_five_levels)
{
	mon.cpu.cr4 |= CR4_LA57;
	put(0x1000, 256, 0x2000 | 3);
	put(0x2000, 0, 0x3000 | 3);
	put(0x3000, 0, 0x83);
	expect(query_tlb, print_tlb,
	       "ff00000000000000: 0000000000000000 --P-----W\n");
}

END_TEST

START_TEST(paging_pae)
{
	mon.cpu.efer = 0;
	mon.cpu.cr3 = 0x1020;
	put(0x1020, 0, 0x2000 | 1); /* no rights here */
	put(0x1020, 3, 0x2000 | 1);
	put(0x2000, 1, 0x200000 | 0x87);
	expect(query_mem, print_mem,
	       "0000000000200000-0000000000400000 0000000000200000 urw\n"
	       "00000000c0200000-00000000c0400000 0000000000200000 urw\n");
}

END_TEST

START_TEST(paging_two_levels)
{
	mon.cpu.efer = 0;
	mon.cpu.cr4 = CR4_PSE;
	put32(0x1000, 0, 0x2000 | 3);
	put32(0x2000, 1, 0x5000 | 7);
	/* 4 MiB at 36-bit address 0x3_0040_0000 (PSE-36) */
	put32(0x1000, 1023, 0x00400000 | 3 << 13 | 0x87);
	expect(query_tlb, print_tlb,
	       "0000000000001000: 0000000000005000 -------UW\n"
	       "00000000ffc00000: 0000000300400000 --P----UW\n");
	mon.cpu.cr4 = 0; /* PS means nothing: a table that is not there */
	expect(query_tlb, print_tlb,
	       "0000000000001000: 0000000000005000 -------UW\n");
}

END_TEST

START_TEST(paging_random_tables)
{
	srandom(3);
	for (int round = 0; round < 20; round++) {
		for (size_t i = 0; i < RAM_SIZE; i += 4096)
			for (int k = 0; k < 64; k++)
				put(i, random() % 512,
				    ((u64)random() << 20 ^ random() << 8) %
						    (RAM_SIZE + MIB) |
					    (random() & 0x1ff) |
					    (random() % 8 ? 1 : 0));
		mon.cpu.cr4 = round & 1 ? CR4_PAE | CR4_LA57 : CR4_PAE;
		free(show(query_tlb, print_tlb));
		free(show(query_mem, print_mem));
	}
}

END_TEST

int main(void)
{
	Suite *s = suite_create("monitor_paging");
	TCase *t = tcase_create("paging");
	SRunner *r = srunner_create(s);
	int failed;

	suite_add_tcase(s, t);
	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, paging_a_table_that_is_all_levels_at_once);
	tcase_add_test(t, paging_tables_outside_of_ram_hold_nothing);
	tcase_add_test(t, paging_rights_are_those_of_all_levels);
	tcase_add_test(t, paging_the_last_page_there_is);
	tcase_add_test(t, paging_five_levels);
	tcase_add_test(t, paging_pae);
	tcase_add_test(t, paging_two_levels);
	tcase_add_test(t, paging_random_tables);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
