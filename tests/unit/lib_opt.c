/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Option strings and the rows that describe them.
 */
#include "lib/opt.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/err.h"

struct sample {
	char *file;
	bool readonly;
	int cache;
	u8 queues;
	u64 size;
	u8 mac[6];
	int acpi;
};

static const char *const cache_names[] = { "none", "writeback", "unsafe",
					   NULL };
static const struct opt_range queue_range = { 1, 16 };

static const struct option_row rows[] = {
	{ "file", &opt_str, offsetof(struct sample, file), NULL, "image",
	  NULL },
	{ "readonly", &opt_bool, offsetof(struct sample, readonly), "off",
	  "no writes", NULL },
	{ "cache", &opt_enum, offsetof(struct sample, cache), "writeback",
	  "host cache", cache_names },
	{ "queues", &opt_u8, offsetof(struct sample, queues), "4",
	  "number of queues", &queue_range },
	{ "size", &opt_size, offsetof(struct sample, size), "1M", "bytes",
	  NULL },
	{ "mac", &opt_mac, offsetof(struct sample, mac), "52:54:00:12:34:56",
	  "address", NULL },
	{ "acpi", &opt_onoffauto, offsetof(struct sample, acpi), "auto",
	  "tables", NULL },
	OPTION_END,
};

static struct opts o;
static struct err err;
static struct sample s;

static void setup(void)
{
	memset(&err, 0, sizeof(err));
	memset(&s, 0, sizeof(s));
	opts_init(&o);
}

static void teardown(void)
{
	opts_fini(&o);
	opt_rows_fini(rows, &s);
}

static int apply(const char *text)
{
	int r = opts_parse(&o, text, "file", &err);

	if (r == 0)
		r = opts_apply(&o, rows, &s, &err);
	if (r == 0)
		r = opts_check_used(&o, rows, &err);
	return r;
}

START_TEST(opt_defaults_fill_what_is_not_given)
{
	ck_assert_int_eq(apply(""), 0);
	ck_assert_ptr_null(s.file);
	ck_assert_int_eq(s.cache, 1);
	ck_assert_uint_eq(s.queues, 4);
	ck_assert_uint_eq(s.size, MIB);
	ck_assert_uint_eq(s.mac[5], 0x56);
	ck_assert_int_eq(s.acpi, -1);
}

END_TEST

START_TEST(opt_values_of_every_type_arrive)
{
	ck_assert_int_eq(apply("file=/a=b,readonly,cache=unsafe,queues=0x10,"
			       "size=1.5G,mac=00:00:00:00:00:01,acpi=off"),
			 0);
	ck_assert_str_eq(s.file, "/a=b");
	ck_assert(s.readonly);
	ck_assert_int_eq(s.cache, 2);
	ck_assert_uint_eq(s.queues, 16);
	ck_assert_uint_eq(s.size, 1536 * MIB);
	ck_assert_uint_eq(s.mac[0], 0);
	ck_assert_int_eq(s.acpi, 0);
}

END_TEST

START_TEST(opt_doubled_comma_is_a_comma)
{
	ck_assert_int_eq(apply("/a,,b,,,readonly=on"), 0);
	ck_assert_str_eq(s.file, "/a,b,");
	ck_assert(s.readonly);
}

END_TEST

START_TEST(opt_format_gives_back_what_was_parsed)
{
	struct buf out = { 0 };

	ck_assert_int_eq(opts_parse(&o, "a,,b,x=1,noy,z=,", "f", &err), 0);
	opts_format(&o, &out);
	ck_assert_str_eq(buf_str(&out), "f=a,,b,x=1,y=off,z=");
	buf_fini(&out);
}

END_TEST

START_TEST(opt_last_of_repeated_keys_wins)
{
	ck_assert_int_eq(opts_parse(&o, "a=1,b=2,a=3", NULL, &err), 0);
	ck_assert_str_eq(opts_peek(&o, "a"), "3");
	ck_assert_int_eq(opts_check_used(&o, NULL, &err), -EINVAL);
	ck_assert_str_eq(opts_take(&o, "a"), "3");
	ck_assert_ptr_null(opts_take(&o, "c"));
	ck_assert_int_eq(opts_check_used(&o, NULL, &err), -EINVAL);
	ck_assert_str_eq(err.msg, "property 'b' not found");
	opts_take(&o, "b");
	ck_assert_int_eq(opts_check_used(&o, NULL, &err), 0);
}

END_TEST

START_TEST(opt_taken_keys_do_not_reach_the_rows)
{
	ck_assert_int_eq(opts_parse(&o, "x,size=3,queues=2", "file", &err), 0);
	opts_take(&o, "size");
	ck_assert_int_eq(opts_apply(&o, rows, &s, &err), 0);
	ck_assert_uint_eq(s.size, MIB);
	ck_assert_uint_eq(s.queues, 2);
}

END_TEST

static const struct {
	const char *text, *message;
} mistakes[] = {
	{ "cache=foo", "'foo' is not valid for 'cache'; accepted: none, "
		       "writeback, unsafe" },
	{ "readonly=2", "'2' is not valid for 'readonly'; accepted: on, off" },
	{ "acpi=x", "'x' is not valid for 'acpi'; accepted: on, off, auto" },
	{ "queues=17", "'17' is out of range for 'queues'; accepted: 1 to 16" },
	{ "queues=0", "'0' is out of range for 'queues'; accepted: 1 to 16" },
	{ "queues=two", "'two' is not a number for 'queues'" },
	{ "size=1X", "'1X' is not a size for 'size'; accepted: a number with "
		     "an optional suffix K, M, G, T, P or E" },
	{ "mac=1:2", "'1:2' is not valid for 'mac'; accepted: six hexadecimal "
		     "bytes" },
	{ "bogus=1", "property 'bogus' not found; accepted: file, readonly, "
		     "cache, queues, size, mac, acpi" },
	{ "chache=none", "property 'chache' not found, did you mean 'cache'? "
			 "accepted: file, readonly, cache, queues, size, mac, "
			 "acpi" },
	{ "x,nothing", "property 'nothing' not found; accepted: file, "
		       "readonly, cache, queues, size, mac, acpi" },
	{ "x,=1", "option name missing before '=1'" },
};

START_TEST(opt_mistakes_name_the_word_and_what_is_accepted)
{
	ck_assert_int_eq(apply(mistakes[_i].text), -EINVAL);
	ck_assert_str_eq(err.msg, mistakes[_i].message);
	ck_assert_int_eq(err.code, -EINVAL);
}

END_TEST

START_TEST(opt_set_changes_one_field_and_keeps_it_on_failure)
{
	ck_assert_int_eq(apply("disk"), 0);
	ck_assert_int_eq(opt_set(rows, &s, "queues", "9", &err), 0);
	ck_assert_int_eq(opt_set(rows, &s, "queues", "99", &err), -EINVAL);
	ck_assert_int_eq(opt_set(rows, &s, "nosuch", "9", &err), -EINVAL);
	ck_assert_uint_eq(s.queues, 9);
	ck_assert_int_eq(opt_set(rows, &s, "file", "other", &err), 0);
	ck_assert_str_eq(s.file, "other");
}

END_TEST

START_TEST(opt_help_lists_every_row_once)
{
	struct buf out = { 0 };

	opt_rows_help(rows, &out);
	ck_assert_ptr_nonnull(strstr(buf_str(&out), "  cache=<enum>"));
	ck_assert_ptr_nonnull(
		strstr(buf_str(&out), "- host cache (default: writeback)\n"));
	buf_fini(&out);
}

END_TEST

int main(void)
{
	Suite *suite = suite_create("lib/opt");
	TCase *t = tcase_create("opt");
	SRunner *r = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, opt_defaults_fill_what_is_not_given);
	tcase_add_test(t, opt_values_of_every_type_arrive);
	tcase_add_test(t, opt_doubled_comma_is_a_comma);
	tcase_add_test(t, opt_format_gives_back_what_was_parsed);
	tcase_add_test(t, opt_last_of_repeated_keys_wins);
	tcase_add_test(t, opt_taken_keys_do_not_reach_the_rows);
	tcase_add_loop_test(t, opt_mistakes_name_the_word_and_what_is_accepted,
			    0, ARRAY_SIZE(mistakes));
	tcase_add_test(t, opt_set_changes_one_field_and_keeps_it_on_failure);
	tcase_add_test(t, opt_help_lists_every_row_once);
	suite_add_tcase(suite, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
