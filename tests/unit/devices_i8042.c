/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Keyboard controller: what drivers ask at start-up, keys, reset.
 */
#include "tests/unit/bare_machine.h"

static struct bare b;
static struct device *kbd;

static void setup(void)
{
	bare_init(&b);
	kbd = bare_add(&b, &i8042_class, NULL);
}

static void teardown(void)
{
	bare_fini(&b);
}

static void expect(const u8 *bytes, int n)
{
	for (int i = 0; i < n; i++) {
		ck_assert_uint_eq(bare_in(&b, 0x64) & 1, 1);
		ck_assert_uint_eq(bare_in(&b, 0x60), bytes[i]);
	}
	ck_assert_uint_eq(bare_in(&b, 0x64) & 1, 0);
}

#define EXPECT(...) \
	expect((const u8[]){ __VA_ARGS__ }, sizeof((u8[]){ __VA_ARGS__ }))

START_TEST(i8042_tests_itself_and_has_no_mouse)
{
	bare_out(&b, 0x64, 0xaa);
	EXPECT(0x55);
	bare_out(&b, 0x64, 0xab);
	EXPECT(0x00);
	bare_out(&b, 0x64, 0xa9);
	EXPECT(0x01);
	bare_out(&b, 0x64, 0x60);
	bare_out(&b, 0x60, 0x45);
	bare_out(&b, 0x64, 0x20);
	EXPECT(0x45);
	bare_out(&b, 0x64, 0xd2);
	bare_out(&b, 0x60, 0x99);
	EXPECT(0x99);
}

END_TEST

START_TEST(i8042_keyboard_answers)
{
	bare_out(&b, 0x60, 0xff);
	EXPECT(0xfa, 0xaa);
	bare_out(&b, 0x60, 0xf2);
	EXPECT(0xfa, 0xab, 0x41); /* 0x83, translated */
	bare_out(&b, 0x60, 0xed);
	EXPECT(0xfa);
	bare_out(&b, 0x60, 0x02);
	EXPECT(0xfa);
	bare_out(&b, 0x60, 0xee);
	EXPECT(0xee);
	bare_out(&b, 0x60, 0xf0);
	EXPECT(0xfa);
	bare_out(&b, 0x60, 0x00);
	EXPECT(0xfa, 0x41); /* set 2, translated */
	bare_out(&b, 0x60, 0xf4);
	EXPECT(0xfa);
	bare_out(&b, 0x60, 0x13);
	EXPECT(0xfe);
}

END_TEST

START_TEST(i8042_keys_make_one_edge_a_byte)
{
	i8042_key(kbd, 0x1e, false, true); /* a */
	ck_assert_int_eq(b.rising[1], 1);
	i8042_key(kbd, 0x1e, false, false);
	i8042_key(kbd, 0x48, true, true); /* cursor up */
	ck_assert_int_eq(b.rising[1], 1);
	EXPECT(0x1e, 0x9e, 0xe0, 0x48);
	ck_assert_int_eq(b.rising[1], 4);
	/* Untranslated: set 2. */
	bare_out(&b, 0x64, 0x60);
	bare_out(&b, 0x60, 0x05);
	i8042_key(kbd, 0x1e, false, false);
	EXPECT(0xf0, 0x1c);
	/* F7 has the odd code. */
	i8042_key(kbd, 0x41, false, true);
	EXPECT(0x83);
}

END_TEST

START_TEST(i8042_full_queue_drops_whole_keys)
{
	for (int i = 0; i < 100; i++)
		i8042_key(kbd, 0x48, true, false);
	for (int i = 0; i < 10; i++) {
		ck_assert_uint_eq(bare_in(&b, 0x60), 0xe0);
		ck_assert_uint_eq(bare_in(&b, 0x60), 0xc8);
	}
	ck_assert_int_eq(b.level[1], bare_in(&b, 0x64) & 1);
}

END_TEST

START_TEST(i8042_resets_the_machine)
{
	bare_out(&b, 0x64, 0xff);
	ck_assert_uint_eq(atomic_load(&b.m->run.requests), 0);
	bare_out(&b, 0x64, 0xfe);
	ck_assert_uint_ne(atomic_load(&b.m->run.requests), 0);
	atomic_store(&b.m->run.requests, 0);
	bare_out(&b, 0x92, 0x02);
	ck_assert_uint_eq(atomic_load(&b.m->run.requests), 0);
	bare_out(&b, 0x92, 0x03);
	ck_assert_uint_ne(atomic_load(&b.m->run.requests), 0);
}

END_TEST

int main(void)
{
	TCase *tc = tcase_create("i8042");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, i8042_tests_itself_and_has_no_mouse);
	tcase_add_test(tc, i8042_keyboard_answers);
	tcase_add_test(tc, i8042_keys_make_one_edge_a_byte);
	tcase_add_test(tc, i8042_full_queue_drops_whole_keys);
	tcase_add_test(tc, i8042_resets_the_machine);
	return bare_run("devices_i8042", tc);
}
