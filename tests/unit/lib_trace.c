/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Trace points: names, patterns, files, and the log beside them.
 */
#include "lib/trace.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/err.h"
#include "lib/log.h"

static char dir[] = "/tmp/vmon-trace-XXXXXX";

static const char *path_of(const char *name)
{
	static char path[64];

	snprintf(path, sizeof path, "%s/%s", dir, name);
	return path;
}

static const char *contents(const char *name)
{
	static char text[4096];
	FILE *f = fopen(path_of(name), "r");

	ck_assert_ptr_nonnull(f);
	text[fread(text, 1, sizeof text - 1, f)] = '\0';
	fclose(f);
	return text;
}

START_TEST(trace_goes_where_it_shall)
{
	struct err err = { 0 };
	char big[5000];

	memset(big, 'x', sizeof big - 1);
	big[sizeof big - 1] = '\0';
	ck_assert_int_eq(trace_set_file(path_of("trace"), &err), 0);
	ck_assert_int_eq(log_set_file(path_of("log"), &err), 0);
	trace(PIO_READ, "nobody asked");
	ck_assert_int_eq(trace_set("pio_*", true), 0);
	ck_assert(trace_state(TRACE_PIO_READ) && trace_on(TRACE_PIO_READ));
	ck_assert(!trace_on(TRACE_MMIO_READ));
	trace(PIO_READ, "port %d", 1);
	trace(MMIO_READ, "not this");
	log_set_items(1u << LOG_MMIO);
	ck_assert(trace_on(TRACE_MMIO_READ) && !trace_state(TRACE_MMIO_READ));
	trace(MMIO_READ, "address %d", 2);
	log_set_items(1u << LOG_PIO);
	trace(PIO_READ, "both");
	ck_assert_int_eq(trace_set("pio_read", false), 0);
	trace(PIO_READ, "log only");
	log_set_items(0);
	trace(PIO_READ, "nobody again");
	trace(PIO_WRITE, "%s", big);
	log_guest("who", "not shown");
	trace_set("guest_error", true);
	log_guest("chip", "wrote %d", 3);
	ck_assert_str_eq(contents("log"), "address 2\nboth\nlog only\n");
	ck_assert_int_eq(strncmp(contents("trace"),
				 "pio_read port 1\npio_read both\n"
				 "pio_write xxx",
				 strlen("pio_read port 1\npio_read both\n"
					"pio_write xxx")),
			 0);
	ck_assert_ptr_nonnull(
		strstr(contents("trace"), "x\nguest_error chip: wrote 3\n"));
}

END_TEST

START_TEST(trace_patterns)
{
	struct err err = { 0 };
	FILE *f = fopen(path_of("events"), "w");

	ck_assert_int_eq(trace_set("nosuch", true), -ENOENT);
	ck_assert_int_eq(trace_set("nosuch*", true), 0);
	fputs("# all but one\nirq_*\n-irq_msi   # this\n\nbogus\n", f);
	fclose(f);
	ck_assert_int_eq(trace_load(path_of("events"), &err), 0);
	ck_assert(trace_state(TRACE_IRQ_LINE));
	ck_assert(!trace_state(TRACE_IRQ_MSI));
	ck_assert_int_eq(trace_load(path_of("none"), &err), -ENOENT);
	ck_assert_int_eq(trace_set_file("/nonexistent/x", &err), -ENOENT);
	ck_assert_ptr_null(trace_name(TRACE_COUNT));
}

END_TEST

int main(void)
{
	Suite *s = suite_create("lib_trace");
	TCase *tc = tcase_create("lib_trace");
	SRunner *sr;
	int failed;

	if (!mkdtemp(dir))
		return EXIT_FAILURE;
	tcase_add_test(tc, trace_goes_where_it_shall);
	tcase_add_test(tc, trace_patterns);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	for (int i = 0; i < 3; i++)
		unlink(path_of(
			(const char *[]){ "log", "trace", "events" }[i]));
	rmdir(dir);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
