/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The clock by TSC: follows what it is shown, forward only; and the host's,
 * from several threads.
 */
#include "lib/tick.h"

#include <check.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/thread.h"

#define START (5 * NS_PER_S)
#define WARM  (100 * NS_PER_MS)

/* 2.5 GHz: 0.4 ns. */
static struct tick_clock k;
static u64 tsc, mono;

static u64 look(void)
{
	return tick_sync(&k, tsc, mono);
}

/* Lets ns pass for both; `ppm` more for CLOCK_MONOTONIC. */
static void pass(u64 ns, s64 ppm)
{
	tsc += ns * 5 / 2;
	mono += ns + (u64)((s64)ns / 1000000 * ppm);
}

static void setup(void)
{
	tsc = 1000;
	mono = START;
	ck_assert_uint_eq(look(), START);
	pass(NS_PER_MS, 0);
	ck_assert_uint_eq(look(), mono);
	ck_assert_ptr_null(k.set);
	pass(WARM, 0);
	ck_assert_uint_eq(look(), mono);
	ck_assert_ptr_nonnull(k.set);
}

static u64 away(u64 a, u64 b)
{
	return a > b ? a - b : b - a;
}

START_TEST(tick_is_linear_within_a_span)
{
	const struct tick_set *s = k.set;
	u64 first = mono;

	pass(NS_PER_S, 0);
	ck_assert_uint_le(away(look(), first + NS_PER_S), 1);
	ck_assert_ptr_eq(k.set, s);
	pass(NS_PER_S, 0);
	ck_assert_uint_le(away(look(), first + 2 * NS_PER_S), 2);
	ck_assert_ptr_ne(k.set, s);
	/* Whoever has the old set still sees the same. */
	ck_assert_uint_le(away(tick_at(s, tsc), mono), 2);
}

END_TEST

START_TEST(tick_follows_the_rate_without_steps)
{
	u64 last = 0, end;

	for (int n = 0; n < 200; n++) {
		u64 now;

		end = k.set ? tick_at(k.set, tsc) : 0;
		pass(20 * NS_PER_MS, n < 100 ? 40 : -40);
		now = look();
		ck_assert_uint_gt(now, last);
		ck_assert_uint_gt(now, end);
		last = now;
	}
	pass(2 * NS_PER_S, -40);
	look();
	pass(2 * NS_PER_S, -40);
	ck_assert_uint_le(away(look(), mono), 10);
	ck_assert_int_eq(k.skew, 0);
}

END_TEST

START_TEST(tick_is_right_after_a_long_rest)
{
	pass(1800 * NS_PER_MS, 100);
	look();
	pass(3600 * NS_PER_S, 100);
	look();
	/* What was wrong in between is not made up for by a jump. */
	ck_assert_uint_eq(k.state, TICK_ON);
	for (int n = 0; n < 3; n++) {
		pass(2 * NS_PER_S, 100);
		look();
	}
	ck_assert_uint_le(away(look(), mono + (u64)k.skew), 10);
}

END_TEST

/* The host sleeps: CLOCK_MONOTONIC stands, the TSC goes or begins again. */
START_TEST(tick_survives_a_sleep_of_the_host)
{
	u64 last;

	pass(NS_PER_S, 0);
	last = look();
	tsc += 1000 * NS_PER_S;
	ck_assert_uint_ge(look(), last);
	ck_assert_uint_lt(look(), last + 3 * NS_PER_S);
	last = look();
	pass(NS_PER_S, 0);
	ck_assert_uint_le(away(look(), last + NS_PER_S), 10);
	tsc = 77;
	ck_assert_uint_ge(look(), last + NS_PER_S - 10);
	ck_assert_uint_lt(look(), last + 2 * NS_PER_S);
	ck_assert_uint_eq(k.state, TICK_ON);
}

END_TEST

START_TEST(tick_gives_up_a_bad_tsc)
{
	u64 last = look();

	for (int n = 0; n < 20; n++) {
		u64 now;

		tsc += 10 * NS_PER_S * (1 + (u64)n % 3);
		mono += 2 * NS_PER_S;
		now = look();
		ck_assert_uint_gt(now, last);
		last = now;
	}
	ck_assert_uint_eq(k.state, TICK_OFF);
	mono += 5;
	ck_assert_uint_eq(look(), last + 5);
}

END_TEST

/* ---- The host's ---- */

static _Atomic u64 newest;

static void watcher(void *arg)
{
	u64 end = clock_mono_ns() + 300 * NS_PER_MS, now;

	do {
		u64 seen = atomic_load(&newest);

#if defined(__x86_64__)
		/* As a guest does: RDTSC waits for nothing else. */
		__builtin_ia32_lfence();
#endif
		now = tick_ns();
		if (now < seen)
			atomic_store((_Atomic u64 *)arg, seen - now);
		while (seen < now &&
		       !atomic_compare_exchange_weak(&newest, &seen, now))
			;
	} while (clock_mono_ns() < end);
}

START_TEST(tick_is_the_same_for_all_threads)
{
	struct thread t[3] = { { 0 } };
	_Atomic u64 worst = 0;
	struct err err = { 0 };
	u64 before = clock_mono_ns(), now;

	for (int n = 0; n < 3; n++)
		ck_assert_int_eq(
			thread_start(&t[n], "watcher", watcher, &worst, &err),
			0);
	for (int n = 0; n < 3; n++)
		thread_join(&t[n]);
	ck_assert_uint_eq(atomic_load(&worst), 0);
	now = tick_ns();
	ck_assert_uint_ge(now + 10 * NS_PER_MS, before);
	ck_assert_uint_le(now, clock_mono_ns() + 10 * NS_PER_MS);
}

END_TEST

int main(void)
{
	Suite *s = suite_create("tick");
	TCase *tc = tcase_create("tick");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, tick_is_linear_within_a_span);
	tcase_add_test(tc, tick_follows_the_rate_without_steps);
	tcase_add_test(tc, tick_is_right_after_a_long_rest);
	tcase_add_test(tc, tick_survives_a_sleep_of_the_host);
	tcase_add_test(tc, tick_gives_up_a_bad_tsc);
	tcase_add_test(tc, tick_is_the_same_for_all_threads);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
