/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Mutexes and conditions that clang's thread-safety analysis understands.
 *
 * A lock knows its holder, so assert_locked() works in every build.
 */
#ifndef LIB_LOCK_H
#define LIB_LOCK_H

#include <pthread.h>
#include <stdatomic.h>

#include "lib/types.h"

#if defined(__clang__)
#define TSA(x) __attribute__((x))
#else
#define TSA(x)
#endif

#define CAPABILITY(name) TSA(capability(name))
#define GUARDED_BY(l)    TSA(guarded_by(l))
#define REQUIRES(...)    TSA(requires_capability(__VA_ARGS__))
#define EXCLUDES(...)    TSA(locks_excluded(__VA_ARGS__))
#define ACQUIRES(...)    TSA(acquire_capability(__VA_ARGS__))
#define RELEASES(...)    TSA(release_capability(__VA_ARGS__))
#define ASSERTS_HELD(l)  TSA(assert_capability(l))
#define NO_TSA           TSA(no_thread_safety_analysis)

/* For a struct member guarded by a lock of the same struct: says so only,
 * because clang does not resolve sibling members in C. */
#define GUARDED_BY_MEMBER(l)

struct CAPABILITY("mutex") lock {
	pthread_mutex_t mutex;
	_Atomic int holder; /* thread id, 0 while free */
};

struct cond {
	pthread_cond_t cond; /* on CLOCK_MONOTONIC */
};

/* clang-format off */
#define LOCK_INIT { PTHREAD_MUTEX_INITIALIZER, 0 }
/* clang-format on */

void lock_init(struct lock *l);
void lock_fini(struct lock *l);
void lock_acquire(struct lock *l) ACQUIRES(l);
void lock_release(struct lock *l) RELEASES(l);
bool lock_held(struct lock *l); /* by the calling thread */
void assert_locked(struct lock *l) ASSERTS_HELD(l);

void cond_init(struct cond *c);
void cond_fini(struct cond *c);
void cond_wait(struct cond *c, struct lock *l) REQUIRES(l);
/* Waits until `deadline_ns` of clock_mono_ns(); false when it has passed. */
bool cond_wait_until(struct cond *c, struct lock *l, u64 deadline_ns)
	REQUIRES(l);
void cond_signal(struct cond *c);
void cond_broadcast(struct cond *c);

#endif
