/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Keyboard controller: what drivers ask at start-up, keys, reset.
 */
#include <errno.h>

#include "devices/keys.h"
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
	i8042_key(kbd, 0x1e, true); /* a */
	ck_assert_int_eq(b.rising[1], 1);
	i8042_key(kbd, 0x1e, false);
	i8042_key(kbd, 0xc8, true); /* cursor up */
	ck_assert_int_eq(b.rising[1], 1);
	EXPECT(0x1e, 0x9e, 0xe0, 0x48);
	ck_assert_int_eq(b.rising[1], 4);
	/* Untranslated: set 2. */
	bare_out(&b, 0x64, 0x60);
	bare_out(&b, 0x60, 0x05);
	i8042_key(kbd, 0x1e, false);
	EXPECT(0xf0, 0x1c);
	/* F7 has the odd code. */
	i8042_key(kbd, 0x41, true);
	EXPECT(0x83);
}

END_TEST

START_TEST(i8042_full_queue_drops_whole_keys)
{
	for (int i = 0; i < 100; i++)
		i8042_key(kbd, 0xc8, false);
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

START_TEST(i8042_odd_keys)
{
	i8042_key(kbd, 0xb7, true); /* Print */
	i8042_key(kbd, 0xb7, false);
	EXPECT(0xe0, 0x2a, 0xe0, 0x37, 0xe0, 0xb7, 0xe0, 0xaa);
	i8042_key(kbd, 0x38, true); /* with Alt it is SysRq */
	i8042_key(kbd, 0xb7, true);
	i8042_key(kbd, 0xb7, false);
	i8042_key(kbd, 0x38, false);
	EXPECT(0x38, 0x54, 0xd4, 0xb8);
	i8042_key(kbd, 0xc6, true); /* Pause */
	i8042_key(kbd, 0xc6, false);
	EXPECT(0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5);
	i8042_key(kbd, 0x80, true); /* no such key */
	i8042_key(kbd, 0x00, true);
	EXPECT();
	bare_out(&b, 0x60, 0xf0); /* scan code set 1, not translated */
	bare_out(&b, 0x60, 0x01);
	EXPECT(0xfa, 0xfa);
	bare_out(&b, 0x64, 0x60);
	bare_out(&b, 0x60, 0x05);
	i8042_key(kbd, 0xd3, true);
	i8042_key(kbd, 0xd3, false);
	i8042_key(kbd, 0xc6, true);
	EXPECT(0xe0, 0x53, 0xe0, 0xd3, 0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5);
}

END_TEST

START_TEST(i8042_types_chords)
{
	static const u8 chord[] = { 0x1d, 0x38, 0xd3 };
	static const u8 many[KEYS_CHORD_MAX];
	struct err err = { 0 };
	int n = 0;

	ck_assert_int_eq(i8042_type(kbd, chord, 3, 100, &err), 0);
	ck_assert_int_eq(i8042_type(kbd, chord, 1, 0, &err), 0);
	EXPECT(0x1d);
	bare_sleep(&b, 99 * NS_PER_MS);
	EXPECT();
	bare_sleep(&b, NS_PER_MS);
	EXPECT(0x38);
	bare_sleep(&b, 100 * NS_PER_MS);
	EXPECT(0xe0, 0x53);
	bare_sleep(&b, 300 * NS_PER_MS);
	EXPECT(0xe0, 0xd3, 0xb8, 0x9d);
	bare_sleep(&b, 100 * NS_PER_MS); /* and the next one */
	EXPECT(0x1d, 0x9d);
	/* There is an end to what waits, and reset forgets it. */
	while (i8042_type(kbd, many, KEYS_CHORD_MAX, 1, &err) == 0)
		n++;
	ck_assert_int_eq(n, KEYS_QUEUE / (2 * KEYS_CHORD_MAX));
	kbd->class->reset(kbd);
	ck_assert_int_eq(i8042_type(kbd, chord, 1, 0, &err), 0);
	EXPECT(0x1d, 0x9d);
}

END_TEST

START_TEST(keys_have_names)
{
	ck_assert_int_eq(key_code("ctrl", 4), 0x1d);
	ck_assert_int_eq(key_code("ctrl_r-x", 6), 0x9d);
	ck_assert_int_eq(key_code("delete", 6), 0xd3);
	ck_assert_int_eq(key_code("ctr", 3), -ENOENT);
	ck_assert_int_eq(key_code("A", 1), -ENOENT);
	ck_assert_int_eq(key_code("", 0), -ENOENT);
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
	tcase_add_test(tc, i8042_odd_keys);
	tcase_add_test(tc, i8042_types_chords);
	tcase_add_test(tc, keys_have_names);
	return bare_run("devices_i8042", tc);
}
