/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Numbers as users type them.
 */
#include "lib/parse.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>

static const struct {
	const char *text;
	u64 unit;
	int result;
	u64 value;
} sizes[] = {
	{ "512", MIB, 0, 512 * MIB }, /* -m 512 */
	{ "1G", MIB, 0, GIB },
	{ "1.5G", MIB, 0, 1536 * MIB },
	{ "1.5", MIB, 0, 1536 * KIB },
	{ "0.25k", 1, 0, 256 },
	{ "4096B", MIB, 0, 4096 },
	{ "2m", 1, 0, 2 * MIB },
	{ "1t", 1, 0, 1024 * GIB },
	{ "15E", 1, 0, 15ull << 60 },
	{ "0x400", 1, 0, 1024 },
	{ "0x10", MIB, 0, 16 * MIB },
	{ "0", MIB, 0, 0 },
	{ "18446744073709551615", 1, 0, UINT64_MAX },
	{ "010", 1, 0, 10 }, /* sizes know no octal */
	{ "16E", 1, -ERANGE, 0 },
	{ "18446744073709551616", 1, -ERANGE, 0 },
	{ "99999999999999999999", 1, -ERANGE, 0 },
	{ "", 1, -EINVAL, 0 },
	{ "G", 1, -EINVAL, 0 },
	{ "1GB", 1, -EINVAL, 0 },
	{ "1 G", 1, -EINVAL, 0 },
	{ " 1", 1, -EINVAL, 0 },
	{ "-1", 1, -EINVAL, 0 },
	{ "+1", 1, -EINVAL, 0 },
	{ "1.", MIB, -EINVAL, 0 },
	{ "1.5", 1, -EINVAL, 0 }, /* half a byte */
	{ "1.5B", 1, -EINVAL, 0 },
	{ "0x1.8G", 1, -EINVAL, 0 },
	{ "0x", 1, -EINVAL, 0 },
	{ "1e3", 1, -EINVAL, 0 },
};

START_TEST(parse_size_follows_the_suffix_rules)
{
	u64 v = 77;

	ck_assert_msg(parse_size(sizes[_i].text, sizes[_i].unit, &v) ==
			      sizes[_i].result,
		      "result for '%s'", sizes[_i].text);
	ck_assert_msg(v == (sizes[_i].result ? 77 : sizes[_i].value),
		      "value for '%s' is %llu", sizes[_i].text,
		      (unsigned long long)v);
}

END_TEST

static const struct {
	const char *text;
	int result;
	u64 value;
} numbers[] = {
	{ "0", 0, 0 },
	{ "42", 0, 42 },
	{ "0x2A", 0, 42 },
	{ "0X2a", 0, 42 },
	{ "052", 0, 42 },
	{ "18446744073709551615", 0, UINT64_MAX },
	{ "0xffffffffffffffff", 0, UINT64_MAX },
	{ "18446744073709551616", -ERANGE, 0 },
	{ "0x10000000000000000", -ERANGE, 0 },
	{ "", -EINVAL, 0 },
	{ "08", -EINVAL, 0 },
	{ "0x", -EINVAL, 0 },
	{ "1k", -EINVAL, 0 },
	{ "-1", -EINVAL, 0 },
	{ " 1", -EINVAL, 0 },
	{ "1 ", -EINVAL, 0 },
};

START_TEST(parse_u64_takes_three_bases_and_nothing_else)
{
	u64 v = 77;

	ck_assert_msg(parse_u64(numbers[_i].text, &v) == numbers[_i].result,
		      "result for '%s'", numbers[_i].text);
	ck_assert_uint_eq(v, numbers[_i].result ? 77 : numbers[_i].value);
}

END_TEST

START_TEST(parse_bool_knows_four_pairs)
{
	bool b = false;

	ck_assert_int_eq(parse_bool("yes", &b), 0);
	ck_assert(b);
	ck_assert_int_eq(parse_bool("off", &b), 0);
	ck_assert(!b);
	ck_assert_int_eq(parse_bool("true", &b), 0);
	ck_assert(b);
	ck_assert_int_eq(parse_bool("1", &b), -EINVAL);
	ck_assert_int_eq(parse_bool("", &b), -EINVAL);
	ck_assert(b);
}

END_TEST

START_TEST(parse_mac_and_uuid_reject_every_wrong_length)
{
	static const char mac[] = "52:54:00-aB:cd:ef";
	static const char uuid[] = "01234567-89ab-cdef-0123-456789ABCDEF";
	char text[64];
	u8 m[6], u[16];

	ck_assert_int_eq(parse_mac(mac, m), 0);
	ck_assert_uint_eq(m[3], 0xab);
	ck_assert_uint_eq(m[5], 0xef);
	ck_assert_int_eq(parse_uuid(uuid, u), 0);
	ck_assert_uint_eq(u[0], 0x01);
	ck_assert_uint_eq(u[15], 0xef);
	for (size_t n = 0; n < sizeof(mac) - 1; n++) {
		snprintf(text, sizeof(text), "%.*s", (int)n, mac);
		ck_assert_int_eq(parse_mac(text, m), -EINVAL);
	}
	for (size_t n = 0; n < sizeof(uuid) - 1; n++) {
		snprintf(text, sizeof(text), "%.*s", (int)n, uuid);
		ck_assert_int_eq(parse_uuid(text, u), -EINVAL);
	}
	snprintf(text, sizeof(text), "%s0", mac);
	ck_assert_int_eq(parse_mac(text, m), -EINVAL);
	snprintf(text, sizeof(text), "%s0", uuid);
	ck_assert_int_eq(parse_uuid(text, u), -EINVAL);
}

END_TEST

int main(void)
{
	Suite *s = suite_create("lib/parse");
	TCase *t = tcase_create("parse");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_loop_test(t, parse_size_follows_the_suffix_rules, 0,
			    ARRAY_SIZE(sizes));
	tcase_add_loop_test(t, parse_u64_takes_three_bases_and_nothing_else, 0,
			    ARRAY_SIZE(numbers));
	tcase_add_test(t, parse_bool_knows_four_pairs);
	tcase_add_test(t, parse_mac_and_uuid_reject_every_wrong_length);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
