/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Event loop over epoll: file descriptors, timers, posted calls.
 *
 * One loop belongs to one thread, the one that calls loop_run().  Watches,
 * timers and hooks are embedded in their owner and touched only from that
 * thread (or before the loop runs, or with the loop's big lock, below);
 * loop_post() and loop_quit() work from any thread.
 *
 * The main loop holds machine_lock while it dispatches and drops it while
 * it waits: loop_set_lock().  With such a lock, whoever holds it may change
 * watches and timers too; the waiting thread is woken when needed.
 */
#ifndef LIB_LOOP_H
#define LIB_LOOP_H

#include "lib/list.h"
#include "lib/types.h"

struct loop;
struct lock;

#define LOOP_IN  1u /* readable, or the peer closed */
#define LOOP_OUT 2u /* writable */
#define LOOP_HUP 4u /* error or hang-up; always reported */

struct watch {
	struct loop *loop; /* NULL while not added */
	int fd;
	u32 events;
	void (*fn)(void *arg, u32 events);
	void *arg;
	u32 slot;    /* in the loop's table */
	bool polled; /* epoll knows it now */
	bool always; /* epoll refuses it: ready in every round */
};

struct timer {
	struct loop *loop;
	u64 deadline_ns; /* clock_mono_ns(); valid while armed */
	void (*fn)(void *arg);
	void *arg;
	struct list node; /* linked while armed */
};

/* Called each round before the loop waits (may lower *timeout_ns) and after
 * dispatch.  For libraries that want to see a poll set. */
struct loop_hook {
	void (*prepare)(void *arg, u64 *timeout_ns);
	void (*check)(void *arg);
	void *arg;
	struct loop *loop; /* NULL while not added */
	struct list node;
};

struct loop *loop_create(void); /* NULL with errno */
void loop_destroy(struct loop *loop);
/* The caller of loop_run() and loop_once() may hold the lock, and then holds
 * it again afterwards; it is not held during the wait in either case. */
void loop_set_lock(struct loop *loop, struct lock *lock);
void loop_run(struct loop *loop); /* until loop_quit() */
/* One round: posted calls, watches, timers.  Waits at most `timeout_ns`
 * (UINT64_MAX: for ever). */
void loop_once(struct loop *loop, u64 timeout_ns);
void loop_quit(struct loop *loop);

/* Runs fn(arg) in the loop's thread, in order of posting.  Any thread. */
void loop_post(struct loop *loop, void (*fn)(void *arg), void *arg);

/* Starts watching.  A regular file, which epoll refuses, counts as always
 * ready.  0 or -errno.  Remove the watch before closing the fd. */
int watch_add(struct watch *w, struct loop *loop, int fd, u32 events,
	      void (*fn)(void *arg, u32 events), void *arg);
/* 0 pauses: then not even a hang-up is reported, until it is set again. */
void watch_set(struct watch *w, u32 events);
void watch_remove(struct watch *w); /* idempotent; any time */

void timer_init(struct timer *t, struct loop *loop, void (*fn)(void *),
		void *arg);
void timer_set(struct timer *t, u64 deadline_ns); /* arms or moves */
void timer_cancel(struct timer *t);               /* idempotent */
bool timer_armed(const struct timer *t);

void loop_hook_add(struct loop *loop, struct loop_hook *h);
void loop_hook_remove(struct loop_hook *h);

#endif
