/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Limits of drives.  Times have lower bounds, which load cannot break; upper
 * bounds are far from what the wrong answer would take.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "block/block.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/loop.h"
#include "lib/opt.h"

#define REQS 500

static struct loop *loop;
static char image[64];

struct test_req {
	struct block_req req;
	struct iovec iov;
};

static struct test_req reqs[REQS];
static u8 data[65536];
static int done;

static void setup(void)
{
	int fd;

	loop = loop_create();
	strcpy(image, "/var/tmp/vmon-throttle-XXXXXX");
	fd = mkstemp(image);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, MIB), 0);
	close(fd);
	done = 0;
}

static void teardown(void)
{
	block_destroy_all();
	unlink(image);
	loop_destroy(loop);
}

static struct block *try_open(const char *options, struct err *err)
{
	struct block *b;
	struct opts o;
	char text[256];

	snprintf(text, sizeof(text), "file=%s,format=raw,if=none,%s", image,
		 options);
	ck_assert_int_eq(opts_parse(&o, text, "file", err), 0);
	b = block_create(loop, &o, err);
	opts_fini(&o);
	return b;
}

static struct block *open_drive(const char *options)
{
	struct err err = { 0 };
	struct block *b = try_open(options, &err);

	ck_assert_msg(b != NULL, "%s", err.msg);
	return b;
}

static void test_done(struct block_req *r)
{
	ck_assert_int_eq(r->result, 0);
	done++;
}

typedef void submit_fn(struct block *b, struct block_req *r);

/* Requests number `from` to `to`, `len` bytes each. */
static void submit(struct block *b, submit_fn *fn, int from, int to, size_t len)
{
	for (int i = from; i < to; i++) {
		reqs[i].iov = (struct iovec){ data, len };
		reqs[i].req = (struct block_req){ .iov = &reqs[i].iov,
						  .niov = 1,
						  .bytes = len,
						  .done = test_done };
		fn(b, &reqs[i].req);
	}
}

/* Milliseconds until `n` are done. */
static u64 wait_for(int n)
{
	u64 start = clock_mono_ns();

	while (done < n)
		loop_once(loop, NS_PER_S);
	return (clock_mono_ns() - start) / NS_PER_MS;
}

START_TEST(limit_of_requests_holds)
{
	struct block *b = open_drive("id=a,iops=100");

	/* 11 at once, the rest one each hundredth of a second. */
	submit(b, block_read, 0, 60, 512);
	ck_assert_uint_ge(wait_for(60), 450);
	ck_assert_uint_eq(b->stats.ops[BLOCK_READ], 60);
}

END_TEST

START_TEST(limit_of_bytes_holds)
{
	struct block *b = open_drive("id=a,throttling.bps-total=1000000");

	/* 655360 bytes; 100000 at once and what goes over with them. */
	submit(b, block_read, 0, 5, 65536);
	submit(b, block_write, 5, 10, 65536);
	ck_assert_uint_ge(wait_for(10), 450);
}

END_TEST

START_TEST(limit_of_writes_leaves_reads_alone)
{
	struct block *b = open_drive("id=a,iops_wr=1,bps_wr=10");

	submit(b, block_write, 0, 3, 512);
	submit(b, block_read, 3, 100, 512);
	submit(b, block_flush, 100, 101, 0);
	submit(b, block_discard, 101, 102, 512);
	wait_for(99);
	ck_assert_uint_eq(b->stats.ops[BLOCK_READ], 97);
	ck_assert_uint_lt(b->stats.ops[BLOCK_WRITE], 3);
	block_drain(b);
	ck_assert_int_eq(done, 102);
}

END_TEST

START_TEST(limit_allows_bursts)
{
	struct block *b = open_drive("id=a,iops=10,iops_max=1000");

	submit(b, block_read, 0, REQS, 512); /* else it takes 50 seconds */
	ck_assert_uint_lt(wait_for(REQS), 20000);
}

END_TEST

START_TEST(limit_of_a_burst_holds)
{
	struct block *b = open_drive(
		"id=a,throttling.iops-total=1,throttling.iops-total-max=100,"
		"throttling.iops-total-max-length=20");

	submit(b, block_read, 0, 60, 512);
	ck_assert_uint_ge(wait_for(60), 400);
}

END_TEST

START_TEST(limit_is_shared_in_a_group)
{
	struct block *a = open_drive("id=a,iops=100,group=g,readonly=on");
	struct block *b = open_drive("id=b,iops=100,group=g,readonly=on");
	const char *group;

	ck_assert_ptr_eq(block_limits(a, &group), block_limits(b, &group));
	ck_assert_str_eq(group, "g");
	submit(a, block_read, 0, 30, 512);
	submit(b, block_read, 30, 60, 512);
	ck_assert_uint_ge(wait_for(60), 450);
	block_destroy(a);
	done = 0;
	submit(b, block_read, 0, 30, 512);
	ck_assert_uint_ge(wait_for(30), 150);
}

END_TEST

START_TEST(limit_counts_large_requests)
{
	struct block *b = open_drive("id=a,iops=100,iops_size=4096");

	submit(b, block_read, 0, 5, 65536); /* 16 each */
	ck_assert_uint_ge(wait_for(5), 400);
}

END_TEST

START_TEST(limit_does_not_hold_up_the_end)
{
	struct block *b = open_drive("id=a,iops=1");

	submit(b, block_read, 0, REQS, 512);
	block_drain_all();
	ck_assert_int_eq(done, REQS);
	submit(b, block_read, 0, REQS, 512);
	block_destroy(b);
	ck_assert_int_eq(done, 2 * REQS);
}

END_TEST

START_TEST(limit_changes_while_requests_wait)
{
	struct block *b = open_drive("id=a,iops=1");
	struct block_limits l;
	const char *group;

	submit(b, block_read, 0, REQS, 512);
	block_limits_init(&l);
	l.v[BLOCK_IOPS].avg = 1000000;
	ck_assert_int_eq(block_set_limits(b, &l, NULL, NULL), 0);
	ck_assert_uint_lt(wait_for(REQS), 20000);
	ck_assert_uint_eq(block_limits(b, &group)->v[BLOCK_IOPS].avg, 1000000);
	l.v[BLOCK_IOPS].avg = 0;
	ck_assert_int_eq(block_set_limits(b, &l, NULL, NULL), 0);
	ck_assert_ptr_null(block_limits(b, &group));
}

END_TEST

START_TEST(limits_that_make_no_sense)
{
	static const struct {
		const char *options, *message;
	} cases[] = {
		{ "bps=1,bps_rd=1", "cannot be used at the same time" },
		{ "iops=1,iops_wr=1", "cannot be used at the same time" },
		{ "bps_max=1", "require corresponding" },
		{ "bps=10,bps_max=9", "cannot be lower" },
		{ "iops_size=10", "requires an iops value" },
		{ "bps=1000000000000001", "must be within" },
		{ "iops=1,throttling.iops-total-max-length=0", "cannot be 0" },
		{ "iops=1,throttling.iops-total-max-length=2",
		  "without burst rate" },
		{ "iops=1,iops_max=2,throttling.iops-total-max-length="
		  "1000000000000000",
		  "too high" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct err err = { 0 };

		ck_assert_ptr_null(try_open(cases[i].options, &err));
		ck_assert_msg(strstr(err.msg, cases[i].message) != NULL,
			      "%s: %s", cases[i].options, err.msg);
	}
}

END_TEST

int main(void)
{
	Suite *s = suite_create("block_throttle");
	TCase *tc = tcase_create("block_throttle");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, limit_of_requests_holds);
	tcase_add_test(tc, limit_of_bytes_holds);
	tcase_add_test(tc, limit_of_writes_leaves_reads_alone);
	tcase_add_test(tc, limit_allows_bursts);
	tcase_add_test(tc, limit_of_a_burst_holds);
	tcase_add_test(tc, limit_is_shared_in_a_group);
	tcase_add_test(tc, limit_counts_large_requests);
	tcase_add_test(tc, limit_does_not_hold_up_the_end);
	tcase_add_test(tc, limit_changes_while_requests_wait);
	tcase_add_test(tc, limits_that_make_no_sense);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
