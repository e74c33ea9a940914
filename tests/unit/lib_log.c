/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The log: filters and lines of any length.
 */
#include "lib/log.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/err.h"

static const struct {
	const char *text;
	int result;
	u64 in[2], out[2];
} filters[] = {
	{ "0x1000..0x1fff", 0, { 0x1000, 0x1fff }, { 0xfff, 0x2000 } },
	{ "0x1000+0x1000", 0, { 0x1000, 0x1fff }, { 0xfff, 0x2000 } },
	{ "0x1fff-0x1000", 0, { 0x1000, 0x1fff }, { 0xfff, 0x2000 } },
	{ "16+1,0xffffffff80000000..0xffffffffffffffff",
	  0,
	  { 16, UINT64_MAX },
	  { 17, 0x7fffffff } },
	{ "5..4", -EINVAL, { 0 }, { 0 } },
	{ "5+0", -EINVAL, { 0 }, { 0 } },
	{ "5-0", -EINVAL, { 0 }, { 0 } },
	{ "5.6", -EINVAL, { 0 }, { 0 } },
	{ "5", -EINVAL, { 0 }, { 0 } },
	{ "", -EINVAL, { 0 }, { 0 } },
	{ "1..2,", -EINVAL, { 0 }, { 0 } },
	{ "0xffffffffffffffff+2", -EINVAL, { 0 }, { 0 } },
	{ "0-2", -EINVAL, { 0 }, { 0 } },
};

START_TEST(filters_hold_their_ends)
{
	struct err err = { 0 };

	ck_assert_msg(log_set_filter(filters[_i].text, &err) ==
			      filters[_i].result,
		      "%s: %s", filters[_i].text, err.msg);
	if (filters[_i].result < 0) {
		ck_assert(log_in_range(0));
		return;
	}
	for (int n = 0; n < 2; n++) {
		ck_assert(log_in_range(filters[_i].in[n]));
		ck_assert(!log_in_range(filters[_i].out[n]));
	}
}

END_TEST

START_TEST(too_many_ranges_are_refused)
{
	char text[17 * 5 + 1] = "";

	for (int n = 0; n < 17; n++)
		strcat(text, n ? ",1..2" : "1..2");
	ck_assert_int_eq(log_set_filter(text, NULL), -E2BIG);
}

END_TEST

START_TEST(long_lines_are_whole)
{
	char path[] = "/tmp/vmon-log-XXXXXX";
	char *text = xalloc(100001);
	int fd = mkstemp(path);
	struct stat st;

	ck_assert_int_ge(fd, 0);
	memset(text, 'x', 100000);
	ck_assert_int_eq(log_set_file(path, NULL), 0);
	for (int n = 4090; n < 4100; n++)
		log_write(LOG_CPU, "%.*s", n, text);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(st.st_size, (4090 + 4099) * 5 + 10);
	log_write(LOG_CPU, "%s", text);
	log_write(LOG_CPU, "%s\n", text);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(st.st_size, (4090 + 4099) * 5 + 10 + 2 * 100001);
	ck_assert_int_eq(log_set_file(NULL, NULL), 0);
	unlink(path);
	close(fd);
	free(text);
}

END_TEST

int main(void)
{
	Suite *s = suite_create("log");
	TCase *t = tcase_create("log");
	SRunner *sr;
	int failed;

	tcase_add_loop_test(t, filters_hold_their_ends, 0, ARRAY_SIZE(filters));
	tcase_add_test(t, too_many_ranges_are_refused);
	tcase_add_test(t, long_lines_are_whole);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
