/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Alarms: they come in time and in their thread, can be moved and turned off.
 */
#include "lib/alarm.h"

#include <check.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/thread.h"

static _Atomic int rings, thread_id;
static _Atomic u64 rang_at;

static void ring(void *arg)
{
	atomic_store(&rang_at, clock_mono_ns());
	atomic_store(&thread_id, thread_self_id());
	atomic_fetch_add((_Atomic int *)arg, 1);
}

/* Half a minute is forever. */
static void wait_rings(int n)
{
	for (int i = 0; i < 30000 && atomic_load(&rings) < n; i++)
		usleep(1000);
	ck_assert_int_eq(atomic_load(&rings), n);
}

START_TEST(alarm_comes_when_it_is_time)
{
	struct alarm a;
	u64 at = clock_mono_ns() + 20 * NS_PER_MS;

	ck_assert_int_eq(alarm_create(&a, ring, &rings), 0);
	alarm_set(&a, at);
	wait_rings(1);
	ck_assert_uint_ge(atomic_load(&rang_at), at);
	alarm_set(&a, 0); /* long ago */
	wait_rings(2);
	alarm_set(&a, clock_mono_ns() + 3600 * NS_PER_S);
	alarm_set(&a, clock_mono_ns() + NS_PER_MS);
	wait_rings(3);
	alarm_set(&a, clock_mono_ns() + 20 * NS_PER_S);
	alarm_set(&a, ALARM_OFF);
	usleep(20000);
	ck_assert_int_eq(atomic_load(&rings), 3);
	alarm_destroy(&a);
}

END_TEST

static void sleeper(void *arg)
{
	struct alarm a;

	ck_assert_int_eq(alarm_create(&a, ring, &rings), 0);
	alarm_set(&a, clock_mono_ns() + NS_PER_MS);
	wait_rings(1);
	ck_assert_int_eq(atomic_load(&thread_id), thread_self_id());
	alarm_destroy(&a);
	atomic_store((_Atomic int *)arg, 1);
}

START_TEST(alarm_belongs_to_its_thread)
{
	_Atomic int done = 0;
	struct err err = { 0 };
	struct thread t = { 0 };

	ck_assert_int_eq(thread_start(&t, "sleeper", sleeper, &done, &err), 0);
	thread_join(&t);
	ck_assert_int_eq(atomic_load(&done), 1);
}

END_TEST

/* What was pending does not reach the next one. */
START_TEST(alarm_that_is_destroyed_is_silent)
{
	struct alarm a, b;
	sigset_t all, old;
	int other = 0;

	ck_assert_int_eq(alarm_create(&a, ring, &other), 0);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	alarm_set(&a, 0);
	usleep(1000);
	alarm_destroy(&a);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	ck_assert_int_eq(alarm_create(&b, ring, &rings), 0);
	alarm_set(&b, 0);
	wait_rings(1);
	ck_assert_int_eq(other, 0);
	alarm_destroy(&b);
}

END_TEST

int main(void)
{
	Suite *s = suite_create("alarm");
	TCase *tc = tcase_create("alarm");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, alarm_comes_when_it_is_time);
	tcase_add_test(tc, alarm_belongs_to_its_thread);
	tcase_add_test(tc, alarm_that_is_destroyed_is_silent);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
