/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Growable bytes.
 */
#include "lib/buf.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

START_TEST(buf_empty_is_an_empty_string)
{
	struct buf b = { 0 };
	char *s;

	ck_assert_str_eq(buf_str(&b), "");
	buf_clear(&b);
	buf_consume(&b, 5);
	s = buf_steal(&b);
	ck_assert_str_eq(s, "");
	free(s);
	buf_fini(&b);
}

END_TEST

START_TEST(buf_keeps_what_is_appended_across_growth)
{
	struct buf b = { 0 };

	for (int i = 0; i < 1000; i++)
		buf_printf(&b, "%03d,", i);
	ck_assert_uint_eq(b.len, 4000);
	ck_assert_int_eq(memcmp(b.data + 4 * 777, "777,", 4), 0);
	ck_assert_int_eq(b.data[b.len], '\0');
	buf_fini(&b);
	ck_assert_ptr_null(b.data);
}

END_TEST

START_TEST(buf_printf_longer_than_the_free_room)
{
	struct buf b = { 0 };

	buf_puts(&b, "x");
	buf_printf(&b, "%0500d", 7);
	ck_assert_uint_eq(b.len, 501);
	ck_assert_int_eq(b.data[500], '7');
	ck_assert_int_eq(b.data[499], '0');
	buf_fini(&b);
}

END_TEST

START_TEST(buf_holds_zero_bytes)
{
	struct buf b = { 0 };

	buf_append(&b, "a\0b", 3);
	buf_putc(&b, 'c');
	ck_assert_uint_eq(b.len, 4);
	ck_assert_int_eq(memcmp(b.data, "a\0bc", 5), 0);
	buf_fini(&b);
}

END_TEST

START_TEST(buf_consume_drops_from_the_front)
{
	struct buf b = { 0 };

	buf_puts(&b, "hello world");
	buf_consume(&b, 6);
	ck_assert_str_eq(buf_str(&b), "world");
	buf_consume(&b, 100);
	ck_assert_uint_eq(b.len, 0);
	ck_assert_str_eq(buf_str(&b), "");
	buf_fini(&b);
}

END_TEST

START_TEST(buf_drop_takes_every_such_byte)
{
	struct buf b = { 0 };

	buf_drop(&b, 'x');
	buf_puts(&b, "xaxbxx");
	buf_drop(&b, 'x');
	ck_assert_str_eq(buf_str(&b), "ab");
	ck_assert_uint_eq(b.len, 2);
	buf_fini(&b);
}

END_TEST

int main(void)
{
	Suite *s = suite_create("lib/buf");
	TCase *t = tcase_create("buf");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_test(t, buf_empty_is_an_empty_string);
	tcase_add_test(t, buf_keeps_what_is_appended_across_growth);
	tcase_add_test(t, buf_printf_longer_than_the_free_room);
	tcase_add_test(t, buf_holds_zero_bytes);
	tcase_add_test(t, buf_drop_takes_every_such_byte);
	tcase_add_test(t, buf_consume_drops_from_the_front);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
