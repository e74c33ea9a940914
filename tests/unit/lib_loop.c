/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The event loop: order, removal at any time, and other threads.
 */
#include "lib/loop.h"

#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/lock.h"
#include "lib/thread.h"
#include "lib/work.h"

static struct loop *loop;
static struct lock big = LOCK_INIT;

static void setup(void)
{
	loop = loop_create();
	ck_assert_ptr_nonnull(loop);
}

static void teardown(void)
{
	loop_destroy(loop);
}

/* ------------------------------------------------------------ watches */

struct peer {
	struct watch w;
	int fd[2];
	int calls;
	u32 events;
	struct peer *victim; /* removed and freed by the callback */
};

static struct peer *peer_create(void (*fn)(void *, u32), u32 events)
{
	struct peer *p = xalloc(sizeof(*p));

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, p->fd), 0);
	ck_assert_int_eq(watch_add(&p->w, loop, p->fd[0], events, fn, p), 0);
	return p;
}

static void peer_destroy(struct peer *p)
{
	watch_remove(&p->w);
	close(p->fd[0]);
	close(p->fd[1]);
	free(p);
}

static void peer_count(void *arg, u32 events)
{
	struct peer *p = arg;

	p->calls++;
	p->events = events;
	if (p->victim) {
		peer_destroy(p->victim);
		p->victim = NULL;
	}
}

START_TEST(watch_reports_readable_writable_and_hangup)
{
	struct peer *p = peer_create(peer_count, LOOP_IN);

	loop_once(loop, 0);
	ck_assert_int_eq(p->calls, 0);
	ck_assert_int_eq(write(p->fd[1], "x", 1), 1);
	loop_once(loop, 0);
	ck_assert_uint_eq(p->events, LOOP_IN);
	watch_set(&p->w, LOOP_OUT);
	loop_once(loop, 0);
	ck_assert_uint_eq(p->events, LOOP_OUT);
	watch_set(&p->w, 0);
	p->calls = 0;
	shutdown(p->fd[1], SHUT_RDWR);
	loop_once(loop, 0);
	ck_assert_int_eq(p->calls, 0);
	watch_set(&p->w, LOOP_IN);
	loop_once(loop, 0);
	ck_assert_uint_eq(p->events, LOOP_IN | LOOP_HUP);
	watch_remove(&p->w);
	watch_remove(&p->w);
	peer_destroy(p);
}

END_TEST

START_TEST(watch_freed_by_another_callback_is_not_called)
{
	struct peer *a = peer_create(peer_count, LOOP_OUT);
	struct peer *b = peer_create(peer_count, LOOP_OUT);

	/* Both are ready in one round; whoever comes first frees the other. */
	a->victim = b;
	b->victim = a;
	loop_once(loop, 0);
	if (!a->victim && a->calls == 1)
		peer_destroy(a);
	else
		peer_destroy(b);
}

END_TEST

static void peer_replace(void *arg, u32 events)
{
	struct peer *p = arg;

	p->calls++;
	watch_remove(&p->victim->w);
	ck_assert_int_eq(watch_add(&p->victim->w, loop, p->victim->fd[0],
				   LOOP_IN, peer_count, p->victim),
			 0);
}

START_TEST(watch_replaced_in_the_same_round_gets_no_stale_event)
{
	struct peer *a = peer_create(peer_replace, LOOP_OUT);
	struct peer *b = peer_create(peer_replace, LOOP_OUT);

	a->victim = b;
	b->victim = a;
	loop_once(loop, 0);
	ck_assert_int_eq(a->calls + b->calls, 1);
	peer_destroy(a);
	peer_destroy(b);
}

END_TEST

START_TEST(watch_on_a_regular_file_is_always_ready)
{
	struct peer p = { 0 };
	int fd = open("/proc/self/exe", O_RDONLY);

	ck_assert_int_eq(watch_add(&p.w, loop, fd, LOOP_IN, peer_count, &p), 0);
	loop_once(loop, UINT64_MAX);
	loop_once(loop, UINT64_MAX);
	ck_assert_int_eq(p.calls, 2);
	watch_set(&p.w, 0);
	loop_once(loop, NS_PER_MS);
	ck_assert_int_eq(p.calls, 2);
	watch_remove(&p.w);
	close(fd);
}

END_TEST

START_TEST(watch_many_at_once_all_get_their_turn)
{
	struct peer *p[200];

	for (int i = 0; i < 200; i++)
		p[i] = peer_create(peer_count, LOOP_OUT);
	for (int i = 0; i < 20; i++)
		loop_once(loop, 0);
	for (int i = 0; i < 200; i++) {
		ck_assert_int_gt(p[i]->calls, 0);
		peer_destroy(p[i]);
	}
}

END_TEST

/* ------------------------------------------------------------- timers */

static char order[16];

static void note(void *arg)
{
	strcat(order, arg);
}

START_TEST(timers_fire_in_order_of_deadline_and_then_of_arming)
{
	u64 now = clock_mono_ns();
	struct timer t[4];
	char names[][2] = { "a", "b", "c", "d" };

	for (int i = 0; i < 4; i++)
		timer_init(&t[i], loop, note, names[i]);
	timer_set(&t[0], now + 2 * NS_PER_MS);
	timer_set(&t[1], now + 1 * NS_PER_MS);
	timer_set(&t[2], now + 2 * NS_PER_MS);
	timer_set(&t[3], now);
	timer_cancel(&t[3]);
	timer_cancel(&t[3]);
	ck_assert(!timer_armed(&t[3]));
	while (strlen(order) < 3)
		loop_once(loop, UINT64_MAX);
	ck_assert_str_eq(order, "bac");
	ck_assert(!timer_armed(&t[0]));
	ck_assert_uint_ge(clock_mono_ns(), now + 2 * NS_PER_MS);
}

END_TEST

struct repeat {
	struct timer t;
	int count;
	struct timer *other;
};

static void repeat_fire(void *arg)
{
	struct repeat *r = arg;

	r->count++;
	timer_set(&r->t, 0);
	if (r->other)
		timer_cancel(r->other);
}

START_TEST(timer_that_rearms_itself_in_the_past_lets_the_loop_go_on)
{
	struct repeat a = { 0 }, b = { 0 };

	timer_init(&a.t, loop, repeat_fire, &a);
	timer_init(&b.t, loop, repeat_fire, &b);
	a.other = &b.t;
	timer_set(&a.t, 1);
	timer_set(&b.t, 2);
	loop_once(loop, UINT64_MAX);
	ck_assert_int_eq(a.count, 1);
	ck_assert_int_eq(b.count, 0); /* due, but cancelled by a */
	loop_once(loop, UINT64_MAX);
	ck_assert_int_eq(a.count, 2);
	timer_cancel(&a.t);
}

END_TEST

START_TEST(timer_precision_is_far_below_a_millisecond)
{
	struct timer t;
	u64 best = UINT64_MAX;
	char name[] = "x";

	timer_init(&t, loop, note, name);
	/* The best of many, for a busy machine. */
	for (int i = 0; i < 10000 && best >= 900 * NS_PER_US; i++) {
		u64 start = clock_mono_ns();

		timer_set(&t, start + 100 * NS_PER_US);
		order[0] = '\0';
		while (!order[0])
			loop_once(loop, UINT64_MAX);
		best = MIN(best, clock_mono_ns() - start);
	}
	ck_assert_uint_ge(best, 100 * NS_PER_US);
	ck_assert_uint_lt(best, 900 * NS_PER_US);
}

END_TEST

/* ------------------------------------------------------ other threads */

static _Atomic int posted;
static int seen[1000];

static void on_post(void *arg)
{
	seen[posted++] = (int)(intptr_t)arg;
}

static void poster(void *arg)
{
	for (intptr_t i = 0; i < 1000; i++)
		loop_post(loop, on_post, (void *)i);
	loop_quit(loop);
}

START_TEST(posts_of_another_thread_run_all_and_in_order)
{
	struct thread t = { 0 };
	struct err err;

	ck_assert_int_eq(thread_start(&t, "poster", poster, NULL, &err), 0);
	loop_run(loop);
	thread_join(&t);
	loop_once(loop, 0);
	ck_assert_int_eq(posted, 1000);
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(seen[i], i);
}

END_TEST

static void post_again(void *arg)
{
	posted++;
	loop_post(loop, post_again, NULL);
}

START_TEST(post_that_posts_itself_lets_the_loop_go_on)
{
	loop_post(loop, post_again, NULL);
	loop_once(loop, UINT64_MAX);
	loop_once(loop, UINT64_MAX);
	ck_assert_int_eq(posted, 2);
}

END_TEST

static void quit_loop(void *arg)
{
	ck_assert(lock_held(&big));
	loop_quit(loop);
}

static struct timer late, soon;

static void arm_under_lock(void *arg)
{
	usleep(20000);
	/* Free only while the loop waits. */
	lock_acquire(&big);
	timer_set(&soon, clock_mono_ns() + NS_PER_MS);
	lock_release(&big);
}

START_TEST(timer_armed_by_another_thread_wakes_the_waiting_loop)
{
	struct thread t = { 0 };
	struct err err;
	u64 start = clock_mono_ns();

	loop_set_lock(loop, &big);
	timer_init(&late, loop, quit_loop, NULL);
	timer_init(&soon, loop, quit_loop, NULL);
	timer_set(&late, start + 40 * NS_PER_S);
	ck_assert_int_eq(thread_start(&t, "armer", arm_under_lock, NULL, &err),
			 0);
	loop_run(loop);
	ck_assert_uint_lt(clock_mono_ns() - start, 15 * NS_PER_S);
	ck_assert(!lock_held(&big));
	thread_join(&t);
}

END_TEST

static struct peer *shared;
static _Atomic bool stop;

/* Frees a ready watch and makes another in its place, again and again. */
static void churn(void *arg)
{
	for (int i = 0; i < 2000; i++) {
		lock_acquire(&big);
		peer_destroy(shared);
		shared = peer_create(peer_count, LOOP_OUT);
		lock_release(&big);
	}
	stop = true;
	loop_quit(loop);
}

START_TEST(watch_freed_by_another_thread_while_the_loop_waits)
{
	struct thread t = { 0 };
	struct err err;

	loop_set_lock(loop, &big);
	shared = peer_create(peer_count, LOOP_OUT);
	ck_assert_int_eq(thread_start(&t, "churn", churn, NULL, &err), 0);
	while (!stop)
		loop_once(loop, UINT64_MAX);
	thread_join(&t);
	peer_destroy(shared);
}

END_TEST

struct job {
	struct work w;
	int worker;
	bool done;
};

static int jobs_left;

static void job_run(struct work *w)
{
	struct job *j = container_of(w, struct job, w);

	j->worker = thread_self_id();
	usleep(1000);
}

static void job_done(struct work *w)
{
	struct job *j = container_of(w, struct job, w);

	ck_assert_int_ne(j->worker, thread_self_id());
	ck_assert(!j->done);
	j->done = true;
	if (--jobs_left == 0)
		loop_quit(loop);
}

START_TEST(work_is_done_in_the_loop_once_each)
{
	struct job jobs[64] = { 0 };

	jobs_left = ARRAY_SIZE(jobs);
	for (size_t i = 0; i < ARRAY_SIZE(jobs); i++) {
		jobs[i].w = (struct work){ .run = job_run,
					   .done = job_done,
					   .loop = loop };
		work_submit(&jobs[i].w);
	}
	loop_run(loop);
	work_shutdown();
	for (size_t i = 0; i < ARRAY_SIZE(jobs); i++)
		ck_assert(jobs[i].done);
}

END_TEST

/* -------------------------------------------------------------- hooks */

static struct loop_hook first_hook, second_hook;
static int hook_calls;

static void hook_prepare(void *arg, u64 *timeout_ns)
{
	hook_calls++;
	*timeout_ns = 0;
}

static void hook_check(void *arg)
{
	loop_hook_remove(&second_hook);
	loop_hook_remove(&first_hook);
}

START_TEST(hook_lowers_the_timeout_and_may_remove_its_neighbour)
{
	first_hook.prepare = second_hook.prepare = hook_prepare;
	first_hook.check = second_hook.check = hook_check;
	loop_hook_add(loop, &first_hook);
	loop_hook_add(loop, &second_hook);
	loop_once(loop, UINT64_MAX);
	ck_assert_int_eq(hook_calls, 2);
	loop_once(loop, 0);
	ck_assert_int_eq(hook_calls, 2);
}

END_TEST

int main(void)
{
	Suite *s = suite_create("lib/loop");
	TCase *t = tcase_create("loop");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 20);
	tcase_add_test(t, watch_reports_readable_writable_and_hangup);
	tcase_add_test(t, watch_freed_by_another_callback_is_not_called);
	tcase_add_test(t, watch_replaced_in_the_same_round_gets_no_stale_event);
	tcase_add_test(t, watch_on_a_regular_file_is_always_ready);
	tcase_add_test(t, watch_many_at_once_all_get_their_turn);
	tcase_add_test(t, timers_fire_in_order_of_deadline_and_then_of_arming);
	tcase_add_test(
		t, timer_that_rearms_itself_in_the_past_lets_the_loop_go_on);
	tcase_add_test(t, timer_precision_is_far_below_a_millisecond);
	tcase_add_test(t, posts_of_another_thread_run_all_and_in_order);
	tcase_add_test(t, post_that_posts_itself_lets_the_loop_go_on);
	tcase_add_test(t, timer_armed_by_another_thread_wakes_the_waiting_loop);
	tcase_add_test(t, watch_freed_by_another_thread_while_the_loop_waits);
	tcase_add_test(t, work_is_done_in_the_loop_once_each);
	tcase_add_test(t, hook_lowers_the_timeout_and_may_remove_its_neighbour);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
