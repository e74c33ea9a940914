/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The monitor's expressions: QEMU's precedence, wrapping, errors.
 */
#include "monitor/expr.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"

static int test_reg(void *opaque, const char *name, u64 *ret)
{
	if (strcmp(name, "eip") && strcmp(name, "cs.base") && strcmp(name, "?"))
		return -ENOENT;
	*ret = 0xffffffff81000000;
	return 0;
}

static struct expr_env env = { .reg = test_reg };

static const struct {
	const char *text;
	s64 value;
	const char *rest;
} good[] = {
	{ "1+2", 3, "" },
	{ "100+200", 300, "" },
	{ "1+4&4", 5, "" }, /* & binds tighter than + */
	{ "6&3*2", 6, "" }, /* and looser than * */
	{ "1|2+4", 7, "" },
	{ "1^3|4", 6, "" }, /* one level, left to right */
	{ "3 & 1 + 1", 2, "" },
	{ "8/3*3", 6, "" },
	{ "-7/2", -3, "" },
	{ "-7%3", -1, "" },
	{ "010", 8, "" },
	{ "00017", 15, "" },
	{ "0xFF", 255, "" },
	{ "0XfF", 255, "" },
	{ "0", 0, "" },
	{ "'A'", 'A', "" },
	{ "'\xff'", 255, "" },
	{ "'''", '\'', "" },
	{ "~0", -1, "" },
	{ "~-1", 0, "" },
	{ "- - 1", 1, "" },
	{ "--1", 1, "" },
	{ "+1", 1, "" },
	{ "((1))", 1, "" },
	{ "(1+2)*3", 9, "" },
	{ " 1 + 2 ", 3, "" },
	{ "4096 -1", 4095, "" },
	{ "18446744073709551615", -1, "" },
	{ "-9223372036854775808", INT64_MIN, "" },
	{ "9223372036854775807+1", INT64_MIN, "" },
	{ "0x7fffffffffffffff*2", -2, "" },
	{ "(0-9223372036854775807-1)/(0-1)", INT64_MIN, "" },
	{ "(0-9223372036854775807-1)%(0-1)", 0, "" },
	{ "$eip", (s64)0xffffffff81000000, "" },
	{ "$cs.base+1", (s64)0xffffffff81000001, "" },
	{ "$? & 0xf", 0, "" },
	{ "$eip -1", (s64)0xffffffff80ffffff, "" },
	/* What is left over is the caller's. */
	{ "1 2", 1, "2" },
	{ "1<<4", 1, "<<4" },
	{ "0b11", 0, "b11" },
	{ "0x", 0, "x" },
	{ "0xg", 0, "xg" },
	{ "09", 0, "9" },
	{ "1k", 1, "k" },
	{ "1e3", 1, "e3" },
	{ "1.5", 1, ".5" },
	{ "1)", 1, ")" },
};

START_TEST(expr_gives_qemus_values)
{
	const char *p = good[_i].text;
	struct err err = { 0 };
	s64 v = 42;

	ck_assert_msg(!expr_eval(&p, &env, &v, &err), "%s: %s", good[_i].text,
		      err.msg);
	ck_assert_msg(v == good[_i].value, "%s gives %lld", good[_i].text,
		      (long long)v);
	ck_assert_str_eq(p, good[_i].rest);
}

END_TEST

static const struct {
	const char *text, *msg;
} bad[] = {
	{ "", "unexpected end of expression" },
	{ "  ", "unexpected end of expression" },
	{ "1+", "unexpected end of expression" },
	{ "(", "unexpected end of expression" },
	{ "-", "unexpected end of expression" },
	{ "(1+2", "')' expected" },
	{ "7/0", "division by zero" },
	{ "7%0", "division by zero" },
	{ "!1", "invalid char '!' in expression" },
	{ "abc", "invalid char 'a' in expression" },
	{ ")", "invalid char ')' in expression" },
	{ "16 /tmp/x", "invalid char 't' in expression" },
	{ "\x01", "invalid char '\\x01' in expression" },
	{ "'ab'", "missing terminating ' character" },
	{ "'a", "missing terminating ' character" },
	{ "'", "character constant expected" },
	{ "$", "unknown register" },
	{ "$nosuch", "unknown register" },
	{ "$EIP", "unknown register" },
	{ "18446744073709551616", "number too large" },
	{ "99999999999999999999", "number too large" },
	{ "0x10000000000000000", "number too large" },
};

START_TEST(expr_fails_with_qemus_words)
{
	const char *p = bad[_i].text;
	struct err err = { 0 };
	s64 v = 42;

	ck_assert_int_lt(expr_eval(&p, &env, &v, &err), 0);
	ck_assert_str_eq(err.msg, bad[_i].msg);
	ck_assert_int_eq(v, 42);
	ck_assert_ptr_eq(p, bad[_i].text);
}

END_TEST

static const struct {
	const char *text;
	s64 value;
	const char *rest;
} paths[] = {
	{ "16 /tmp/x", 16, "/tmp/x" },
	{ "8192/2 /tmp/x", 4096, "/tmp/x" },
	{ "16 /../x", 16, "/../x" },
	{ "16 / 2", 8, "" },
	{ "16 /2", 8, "" },
	{ "16/2", 8, "" },
	{ "16 \"/tmp/x\"", 16, "\"/tmp/x\"" },
	{ "$eip /tmp/x", (s64)0xffffffff81000000, "/tmp/x" },
};

START_TEST(expr_ends_at_an_absolute_path)
{
	struct expr_env e = { .reg = test_reg, .path_ends = true };
	const char *p = paths[_i].text;
	s64 v;

	ck_assert_int_eq(expr_eval(&p, &e, &v, NULL), 0);
	ck_assert_int_eq(v, paths[_i].value);
	ck_assert_str_eq(p, paths[_i].rest);
}

END_TEST

static void nest(const char *piece, const char *end, bool ok)
{
	char text[4096] = "";
	const char *p = text;
	size_t n = strlen(piece);
	s64 v;
	struct err err = { 0 };

	for (size_t at = 0; at + n < sizeof text - 200; at += n)
		memcpy(text + at, piece, n + 1);
	strcat(text, end);
	ck_assert_int_eq(expr_eval(&p, &env, &v, &err) == 0, ok);
	if (!ok)
		ck_assert_ptr_nonnull(strstr(err.msg, "nested"));
}

START_TEST(expr_bounds_its_recursion)
{
	nest("(", "1", false);
	nest("-", "1", false);
	nest("~ ", "1", false);
	nest("-(", "1", false);
	nest("1+", "1", true); /* long, but flat */
	nest("-1+", "1", true);
}

END_TEST

START_TEST(expr_survives_any_bytes)
{
	static const char alphabet[] = "0123456789abcxX+-*/%&|^~()'$. \t?\x80";

	srandom(7);
	for (int round = 0; round < 200000; round++) {
		char text[24];
		const char *p = text;
		size_t n = random() % sizeof text;
		s64 v;

		for (size_t i = 0; i < n; i++)
			text[i] = alphabet[random() % (sizeof alphabet - 1)];
		text[n ? n - 1 : 0] = '\0';
		if (!expr_eval(&p, &env, &v, NULL))
			ck_assert(p >= text && p <= text + strlen(text));
	}
}

END_TEST

int main(void)
{
	Suite *s = suite_create("monitor_expr");
	TCase *t = tcase_create("expr");
	SRunner *r = srunner_create(s);
	int failed;

	suite_add_tcase(s, t);
	tcase_add_loop_test(t, expr_gives_qemus_values, 0, ARRAY_SIZE(good));
	tcase_add_loop_test(t, expr_fails_with_qemus_words, 0, ARRAY_SIZE(bad));
	tcase_add_loop_test(t, expr_ends_at_an_absolute_path, 0,
			    ARRAY_SIZE(paths));
	tcase_add_test(t, expr_bounds_its_recursion);
	tcase_add_test(t, expr_survives_any_bytes);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
