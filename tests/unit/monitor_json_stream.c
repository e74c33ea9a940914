/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * JSON out of a byte stream: values, errors, getting in step again; and
 * noise, after which a valid message must be understood.
 */
#include "monitor/json_stream.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/fuzz.h"

static struct json_stream s;
static struct buf seen; /* values as compact JSON, errors after '!' */

static void value(void *opaque, json_t *v)
{
	char *text = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY |
					   JSON_PRESERVE_ORDER);

	buf_printf(&seen, "%s\n", text ? text : "unprintable");
	free(text);
	json_decref(v);
}

static void error(void *opaque, const char *message)
{
	buf_printf(&seen, "!%s\n", message);
}

static const struct json_stream_ops ops = { .value = value, .error = error };

static void send(const void *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		json_stream_byte(&s, ((const u8 *)data)[i]);
}

static void check(const char *text, const char *expected)
{
	buf_clear(&seen);
	send(text, strlen(text));
	ck_assert_str_eq(buf_str(&seen), expected);
}

static void setup(void)
{
	json_stream_init(&s, &ops, NULL);
}

static void teardown(void)
{
	json_stream_fini(&s);
	buf_fini(&seen);
}

START_TEST(values_end_where_their_brackets_close)
{
	check("{\"a\":[1 , 2,{}]}{}", "{\"a\":[1,2,{}]}\n{}\n");
	check("[]\n\t [ ]", "[]\n[]\n");
	check("12 ", "12\n");
	check("\"x\"null ", "\"x\"\nnull\n");
	check("{\"a\":", "");
	check("\"}\"}", "{\"a\":\"}\"}\n");
	check("[1 2]", "!JSON parse error, expecting value\n");
}

END_TEST

START_TEST(strings_may_stand_in_single_quotes)
{
	check("{'a':'x\"y\\'z'}", "{\"a\":\"x\\\"y'z\"}\n");
	check("[\"it's\",\"\\\\\"]", "[\"it's\",\"\\\\\"]\n");
	check("['\\u0041\\n']", "[\"A\\n\"]\n");
}

END_TEST

START_TEST(an_error_is_told_once_and_skipped)
{
	check("foo ", "!JSON parse error, invalid keyword 'foo'\n");
	check("{}", "{}\n");
	check("{\"a\":\xff{}", "!JSON parse error, stray '\xff'\n{}\n");
	check("\"ab\x01[]", "!JSON parse error, stray '\"ab\x01'\n[]\n");
	check("%%%%[]", "!JSON parse error, stray '%'\n[]\n");
	check("}", "!JSON parse error, expecting value\n");
	check("{]", "!JSON parse error, expecting value\n");
	check("{'a':1,'a':2}", "!JSON parse error, duplicate key\n");
	check("\"\\u0000\" ",
	      "!JSON parse error, \\u0000 is not allowed without "
	      "JSON_ALLOW_NUL near '\"\\u0000\"'\n");
}

END_TEST

START_TEST(depth_and_size_have_limits)
{
	for (int i = 0; i < JSON_STREAM_DEPTH_MAX; i++)
		send("[", 1);
	check("[", "!JSON nesting depth limit exceeded\n");
	check("{}", "{}\n");
	send("\"", 1);
	buf_clear(&seen);
	for (u64 i = 0; i <= JSON_STREAM_MAX; i++)
		send("x", 1);
	ck_assert_str_eq(buf_str(&seen), "!JSON token size limit exceeded\n");
	check("\xff{}", "{}\n");
}

END_TEST

START_TEST(noise_is_survived)
{
	static const char *const seeds[] = {
		"{\"execute\":\"query-status\",\"id\":{\"a\":[1,2.5e3,-1]}}\n",
		"{'execute':'set_link','arguments':{'name':'x','up':true}}",
		("{\"execute\":\"netdev_add\",\"arguments\":{\"type\":\"user\","
		 "\"hostfwd\":[{\"str\":\"tcp::1-:2\"}],\"id\":\"\\u00e4\"}}"),
		"[[[[{}]]],null,false,\"\\\\\\\"\"]",
		"\xff\xfe{}}]",
	};

	fuzz_begin("monitor_json_stream", 1);
	while (fuzz_goes_on()) {
		u8 data[256];
		const char *seed = seeds[fuzz_below(ARRAY_SIZE(seeds))];
		size_t len = strlen(seed);

		memcpy(data, seed, len);
		fuzz_damage(data, len, fuzz_below(4));
		if (fuzz_below(8) == 0)
			len = fuzz_below((u32)len + 1);
		send(data, len);
		buf_clear(&seen);
		if (fuzz_below(4) == 0) {
			send("\xff\n", 2);
			check("{\"in\":'step'}", "{\"in\":\"step\"}\n");
		}
		ck_assert_uint_le(s.text.len, JSON_STREAM_MAX);
	}
}

END_TEST

int main(void)
{
	Suite *suite = suite_create("monitor_json_stream");
	TCase *t = tcase_create("stream");
	SRunner *r = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, t);
	tcase_set_timeout(t, fuzz_timeout());
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, values_end_where_their_brackets_close);
	tcase_add_test(t, strings_may_stand_in_single_quotes);
	tcase_add_test(t, an_error_is_told_once_and_skipped);
	tcase_add_test(t, depth_and_size_have_limits);
	tcase_add_test(t, noise_is_survived);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
