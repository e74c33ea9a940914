/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Argument letters: values, flags in any order, QEMU's error lines.
 */
#include "monitor/args.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "monitor/expr.h"

static struct args a;
static struct err err;
static const struct expr_env env;

static int parse(const char *types, const char *text)
{
	args_fini(&a);
	err.msg[0] = '\0';
	return args_parse(&a, types, "json:-j", "cmd|c", text, &env, &err);
}

static void teardown(void)
{
	args_fini(&a);
}

START_TEST(args_reads_words_and_strings)
{
	ck_assert_int_eq(parse("a:s,b:s?", " one two "), 0);
	ck_assert_str_eq(args_str(&a, "a"), "one");
	ck_assert_str_eq(args_str(&a, "b"), "two");
	ck_assert_int_eq(parse("a:s,b:s?", "\"o n\\\"e\\n\""), 0);
	ck_assert_str_eq(args_str(&a, "a"), "o n\"e\n");
	ck_assert(!args_has(&a, "b"));
	ck_assert_ptr_null(args_str(&a, "b"));
	ck_assert_int_eq(parse("a:s", "'x'"), 0);
	ck_assert_str_eq(args_str(&a, "a"), "'x'");
	ck_assert_int_eq(parse("a:s", "\"\""), 0);
	ck_assert(args_has(&a, "a"));
}

END_TEST

START_TEST(args_takes_the_rest_of_the_line_verbatim)
{
	ck_assert_int_eq(parse("a:s,b:S", "x  \"y z\" -j  "), 0);
	ck_assert_str_eq(args_str(&a, "b"), "\"y z\" -j  ");
	ck_assert_int_eq(parse("b:S?", "  "), 0);
	ck_assert(!args_has(&a, "b"));
}

END_TEST

START_TEST(args_reads_numbers)
{
	ck_assert_int_eq(parse("a:i,b:l,c:l?", "0x10 2 "), 0);
	ck_assert_uint_eq(args_u64(&a, "a"), 16);
	ck_assert_int_eq(parse("a:l", "-1"), 0);
	ck_assert_uint_eq(args_u64(&a, "a"), UINT64_MAX);
	/* An expression goes on over blanks. */
	ck_assert_int_eq(parse("a:l", "4096 - 1"), 0);
	ck_assert_uint_eq(args_u64(&a, "a"), 4095);
	ck_assert_int_eq(parse("a:M", "100+28"), 0);
	ck_assert_uint_eq(args_u64(&a, "a"), 128 * MIB);
	ck_assert_int_eq(parse("a:i,x:i.", "0x70 .8"), 0);
	ck_assert_uint_eq(args_u64(&a, "x"), 8);
	ck_assert_int_eq(parse("a:i,x:i.", "0x70 . 8"), 0);
	ck_assert_int_eq(parse("a:i,x:i.", "0x70"), 0);
	ck_assert(!args_has(&a, "x"));
	ck_assert_int_eq(parse("a:l,b:i,f:F", "0 8192/2 /tmp/x"), 0);
	ck_assert_uint_eq(args_u64(&a, "b"), 4096);
	ck_assert_str_eq(args_str(&a, "f"), "/tmp/x");
}

END_TEST

START_TEST(args_reads_sizes)
{
	/* clang-format off */
	static const struct {
		const char *text;
		u64 value;
	} sizes[] = {
		{ "300", 300 * MIB }, { "0.5G", 512 * MIB },
		{ "314572800B", 314572800 }, { "1k", KIB }, { "0x10", 16 * MIB },
		{ "2T", 2048 * GIB },
	};

	/* clang-format on */

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		ck_assert_msg(!parse("a:o", sizes[i].text), "%s: %s",
			      sizes[i].text, err.msg);
		ck_assert_uint_eq(args_u64(&a, "a"), sizes[i].value);
	}
}

END_TEST

START_TEST(args_reads_times_and_switches)
{
	ck_assert_int_eq(parse("a:T,b:b", "30ms on"), 0);
	ck_assert_double_eq_tol(args_seconds(&a, "a"), 0.03, 1e-9);
	ck_assert_uint_eq(args_u64(&a, "b"), 1);
	ck_assert_int_eq(parse("a:T", "1.5"), 0);
	ck_assert_double_eq_tol(args_seconds(&a, "a"), 1.5, 1e-9);
	ck_assert_int_eq(parse("b:b", "off"), 0);
	ck_assert_uint_eq(args_u64(&a, "b"), 0);
}

END_TEST

START_TEST(args_reads_formats)
{
	const struct mem_fmt *f;

	ck_assert_int_eq(parse("f:/,a:l", "/16xb 5"), 0);
	f = args_fmt(&a, "f");
	ck_assert_uint_eq(f->count, 16);
	ck_assert_int_eq(f->format, 'x');
	ck_assert_int_eq(f->size, 1);
	ck_assert_int_eq(parse("f:/,a:l", " /dxLg 5"), 0);
	f = args_fmt(&a, "f");
	ck_assert_uint_eq(f->count, 1);
	ck_assert_int_eq(f->format, 'x');
	ck_assert_int_eq(f->size, 8);
	ck_assert_int_eq(parse("f:/,a:l", "5"), 0);
	f = args_fmt(&a, "f");
	ck_assert_int_eq(f->format, 0);
	ck_assert_int_eq(f->size, 0);
	ck_assert_int_eq(parse("f:/,a:l", "/0x 5"), 0);
	ck_assert_uint_eq(args_fmt(&a, "f")->count, 0);
	ck_assert_int_eq(parse("f:/,a:l", "/99999999999999999999x 5"), 0);
	ck_assert_uint_eq(args_fmt(&a, "f")->count, INT32_MAX);
	ck_assert_int_eq(parse("f:/,a:l", "/ 1"), 0);
}

END_TEST

START_TEST(args_reads_options)
{
	ck_assert_int_eq(parse("driver:O", "virtio-net-pci,id=n0"), 0);
	ck_assert_str_eq(opts_take(args_opts(&a, "driver"), "driver"),
			 "virtio-net-pci");
	ck_assert_str_eq(opts_take(args_opts(&a, "driver"), "id"), "n0");
	ck_assert_int_eq(parse("driver:O", ""), 0);
}

END_TEST

static const char *const flag_lines[] = {
	"-n -f dev tgt", "-f -n dev tgt", "dev -n -f tgt", "dev tgt -n -f",
	"-nf dev tgt",   "dev -fn tgt",   "-n dev tgt -f", " -f  dev  tgt -n ",
};

START_TEST(args_takes_flags_in_any_order)
{
	ck_assert_int_eq(parse("n:-n,f:-f,c:-c,d:B,t:s", flag_lines[_i]), 0);
	ck_assert(args_has(&a, "n") && args_has(&a, "f"));
	ck_assert(!args_has(&a, "c"));
	ck_assert_str_eq(args_str(&a, "d"), "dev");
	ck_assert_str_eq(args_str(&a, "t"), "tgt");
}

END_TEST

START_TEST(args_takes_values_of_flags)
{
	ck_assert_int_eq(parse("f:F,o:-fs", "x -fpng"), 0);
	ck_assert_str_eq(args_str(&a, "o"), "png");
	ck_assert_int_eq(parse("f:F,o:-fs", "-f png x"), 0);
	ck_assert_str_eq(args_str(&a, "o"), "png");
	ck_assert_str_eq(args_str(&a, "f"), "x");
	ck_assert_int_eq(parse("f:F,o:-fs", "-f a -f b x"), 0);
	ck_assert_str_eq(args_str(&a, "o"), "b");
}

END_TEST

START_TEST(args_keeps_signs_apart_from_flags)
{
	ck_assert_int_eq(parse("all:-a,v:l?", "-1"), 0);
	ck_assert_uint_eq(args_u64(&a, "v"), UINT64_MAX);
	ck_assert_int_eq(parse("all:-a,v:l?", "-a"), 0);
	ck_assert(args_has(&a, "all") && !args_has(&a, "v"));
	ck_assert_int_eq(parse("all:-a,v:l?", "5 -a"), 0);
	ck_assert(args_has(&a, "all"));
	ck_assert_uint_eq(args_u64(&a, "v"), 5);
	ck_assert_int_eq(parse("all:-a,v:l?", "5 -1"), 0);
	ck_assert_uint_eq(args_u64(&a, "v"), 4);
	ck_assert_int_eq(parse("v:l?", "0x10 -j"), 0);
	ck_assert(args_has(&a, "json"));
	ck_assert_int_eq(parse("dx:s,dy:s", "-5 7"), 0);
	ck_assert_str_eq(args_str(&a, "dx"), "-5");
}

END_TEST

START_TEST(args_knows_the_flags_of_every_row)
{
	ck_assert_int_eq(parse("", "-j"), 0);
	ck_assert(args_has(&a, "json"));
	ck_assert_int_eq(parse("v:i?", "-j 3"), 0);
	ck_assert(args_has(&a, "json"));
	ck_assert_uint_eq(args_u64(&a, "v"), 3);
}

END_TEST

static const struct {
	const char *types, *text, *msg;
} bad[] = {
	{ "", "now", "cmd|c: extraneous characters at the end of line" },
	{ "", "-x", "cmd|c: extraneous characters at the end of line" },
	{ "a:s", "", "cmd|c: string expected" },
	{ "a:F", " ", "cmd|c: filename expected" },
	{ "a:B", "", "cmd|c: block device name expected" },
	{ "a:S", "  ", "cmd|c: string expected" },
	{ "a:s", "\"x", "cmd|c: string expected (no closing quote)" },
	{ "a:s", "\"\\x\"", "cmd|c: string expected (bad escape in string)" },
	{ "a:s", "\"\\", "cmd|c: string expected (bad escape in string)" },
	{ "a:s", "\"x\"y", "cmd|c: extraneous characters at the end of line" },
	{ "a:i", "", "unexpected end of expression" },
	{ "a:i", "-1", "'cmd|c' has failed: integer is for 32-bit values" },
	{ "a:i", "0x100000000",
	  "'cmd|c' has failed: integer is for 32-bit values" },
	{ "a:M", "-5", "enter a positive value" },
	{ "a:M", "1G", "cmd|c: extraneous characters at the end of line" },
	{ "a:M", "0x7fffffffffffffff", "cmd|c: value too large" },
	{ "a:i,x:i.", "1 .", "unexpected end of expression" },
	{ "a:o", "", "invalid size" },
	{ "a:o", "-1", "invalid size" },
	{ "a:o", "x", "invalid size" },
	{ "a:o", "1.5B", "invalid size" },
	{ "a:o", "1Q", "cmd|c: extraneous characters at the end of line" },
	{ "a:T", "", "Number expected" },
	{ "a:T", "x", "Bad number" },
	{ "a:T", "1h", "Unknown unit suffix" },
	{ "a:b", "", "Expected 'on' or 'off'" },
	{ "a:b", "ON", "Expected 'on' or 'off'" },
	{ "a:b", "1", "Expected 'on' or 'off'" },
	{ "a:b", "onn", "Expected 'on' or 'off'" },
	{ "f:/,a:l", "/4s 1", "invalid char in format: 's'" },
	{ "f:/,a:l", "/4x$sp", "invalid char in format: '$'" },
	{ "f:/,a:l", "//x 1", "invalid char in format: '/'" },
	{ "f:/,a:l", "/4x", "unexpected end of expression" },
	{ "f:/,a:l", "/ 4x 5",
	  "cmd|c: extraneous characters at the end of line" },
	{ "f:-f,d:s", "-x d", "cmd|c: unsupported option -x" },
	{ "f:-f,d:s", "d -x", "cmd|c: unsupported option -x" },
	{ "f:-f,d:s", "-fx d", "cmd|c: unsupported option -x" },
	{ "f:-f,d:s", "-", "cmd|c: unsupported option -" },
	{ "f:-f,d:s", "- d", "cmd|c: unsupported option -" },
	{ "f:-f,d:s", "-- d", "cmd|c: unsupported option --" },
	{ "f:-f,d:i?", "-x", "cmd|c: unsupported option -x" },
	{ "o:-fs,d:s", "d -f", "cmd|c: value expected for -f" },
};

START_TEST(args_fails_with_qemus_words)
{
	ck_assert_int_lt(parse(bad[_i].types, bad[_i].text), 0);
	ck_assert_str_eq(err.msg, bad[_i].msg);
}

END_TEST

START_TEST(args_refuses_an_overlong_word)
{
	char text[ARG_STRING_MAX + 10];

	memset(text, 'x', sizeof text);
	text[ARG_STRING_MAX] = '\0';
	ck_assert_int_eq(parse("a:s", text), 0);
	ck_assert_uint_eq(strlen(args_str(&a, "a")), ARG_STRING_MAX);
	text[ARG_STRING_MAX] = 'x';
	text[ARG_STRING_MAX + 1] = '\0';
	ck_assert_int_lt(parse("a:s", text), 0);
	ck_assert_ptr_nonnull(strstr(err.msg, "1023"));
}

END_TEST

START_TEST(args_finds_the_type_of_a_word)
{
	ck_assert_int_eq(args_type_at("f:-f,d:B,file:F?", 0), 'B');
	ck_assert_int_eq(args_type_at("f:-f,d:B,file:F?", 1), 'F');
	ck_assert_int_eq(args_type_at("f:-f,d:B,file:F?", 2), 0);
	ck_assert_int_eq(args_type_at("fmt:/,a:l", 0), 'l');
	ck_assert_int_eq(args_type_at("a:S", 7), 'S');
	ck_assert_int_eq(args_type_at("", 0), 0);
}

END_TEST

int main(void)
{
	Suite *s = suite_create("monitor_args");
	TCase *t = tcase_create("args");
	SRunner *r = srunner_create(s);
	int failed;

	suite_add_tcase(s, t);
	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_test(t, args_reads_words_and_strings);
	tcase_add_test(t, args_takes_the_rest_of_the_line_verbatim);
	tcase_add_test(t, args_reads_numbers);
	tcase_add_test(t, args_reads_sizes);
	tcase_add_test(t, args_reads_times_and_switches);
	tcase_add_test(t, args_reads_formats);
	tcase_add_test(t, args_reads_options);
	tcase_add_loop_test(t, args_takes_flags_in_any_order, 0,
			    ARRAY_SIZE(flag_lines));
	tcase_add_test(t, args_takes_values_of_flags);
	tcase_add_test(t, args_keeps_signs_apart_from_flags);
	tcase_add_test(t, args_knows_the_flags_of_every_row);
	tcase_add_loop_test(t, args_fails_with_qemus_words, 0, ARRAY_SIZE(bad));
	tcase_add_test(t, args_refuses_an_overlong_word);
	tcase_add_test(t, args_finds_the_type_of_a_word);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
