/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Mutexes that know their holder, and conditions on the monotonic clock.
 */
#include "lib/lock.h"

#include <assert.h>
#include <errno.h>
#include <time.h>

#include "lib/thread.h"

static void lock_set_holder(struct lock *l, int id)
{
	atomic_store_explicit(&l->holder, id, memory_order_relaxed);
}

void lock_init(struct lock *l)
{
	pthread_mutex_init(&l->mutex, NULL);
	lock_set_holder(l, 0);
}

void lock_fini(struct lock *l)
{
	pthread_mutex_destroy(&l->mutex);
}

void lock_acquire(struct lock *l) NO_TSA
{
	int self = thread_self_id();

	assert(atomic_load_explicit(&l->holder, memory_order_relaxed) != self);
	pthread_mutex_lock(&l->mutex);
	lock_set_holder(l, self);
}

void lock_release(struct lock *l) NO_TSA
{
	assert(lock_held(l));
	lock_set_holder(l, 0);
	pthread_mutex_unlock(&l->mutex);
}

bool lock_held(struct lock *l)
{
	return atomic_load_explicit(&l->holder, memory_order_relaxed) ==
	       thread_self_id();
}

void assert_locked(struct lock *l) NO_TSA
{
	assert(lock_held(l));
}

void cond_init(struct cond *c)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&c->cond, &attr);
	pthread_condattr_destroy(&attr);
}

void cond_fini(struct cond *c)
{
	pthread_cond_destroy(&c->cond);
}

void cond_wait(struct cond *c, struct lock *l) NO_TSA
{
	assert(lock_held(l));
	lock_set_holder(l, 0);
	pthread_cond_wait(&c->cond, &l->mutex);
	lock_set_holder(l, thread_self_id());
}

bool cond_wait_until(struct cond *c, struct lock *l, u64 deadline_ns) NO_TSA
{
	struct timespec ts = { .tv_sec = deadline_ns / NS_PER_S,
			       .tv_nsec = deadline_ns % NS_PER_S };
	int r;

	assert(lock_held(l));
	lock_set_holder(l, 0);
	r = pthread_cond_timedwait(&c->cond, &l->mutex, &ts);
	lock_set_holder(l, thread_self_id());
	return r != ETIMEDOUT;
}

void cond_signal(struct cond *c)
{
	pthread_cond_signal(&c->cond);
}

void cond_broadcast(struct cond *c)
{
	pthread_cond_broadcast(&c->cond);
}
