/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Worker pool for calls that block.
 *
 * A request starts a thread when nobody is idle, up to WORK_THREADS; they
 * stay until work_shutdown().
 *
 * Locking: work_lock, a leaf, guards the queue and the counts.
 */
#include "lib/work.h"

#include <stdio.h>

#include "lib/err.h"
#include "lib/lock.h"
#include "lib/log.h"
#include "lib/loop.h"
#include "lib/thread.h"

#define WORK_THREADS 16

static struct lock work_lock = LOCK_INIT;
static struct cond work_ready; /* set up with the first thread */
static struct list work_queue GUARDED_BY(work_lock) = LIST_INIT(work_queue);
static struct thread work_threads[WORK_THREADS] GUARDED_BY(work_lock);
static int work_count GUARDED_BY(work_lock);
static int work_idle GUARDED_BY(work_lock);
static int work_queued GUARDED_BY(work_lock);
static bool work_stopping GUARDED_BY(work_lock);

static void work_finish(void *arg)
{
	struct work *w = arg;

	w->done(w);
}

static void work_execute(struct work *w)
{
	bool post = w->done != NULL;

	w->run(w);
	if (post)
		loop_post(w->loop, work_finish, w);
}

static void work_thread(void *arg)
{
	struct work *w;

	lock_acquire(&work_lock);
	for (;;) {
		w = list_first(&work_queue, struct work, node);
		if (!w) {
			if (work_stopping)
				break;
			work_idle++;
			cond_wait(&work_ready, &work_lock);
			work_idle--;
			continue;
		}
		list_remove(&w->node);
		work_queued--;
		lock_release(&work_lock);
		work_execute(w);
		lock_acquire(&work_lock);
	}
	lock_release(&work_lock);
}

static void work_add_thread(void) REQUIRES(work_lock)
{
	struct err err = { 0 };
	char name[16];

	if (work_count == 0)
		cond_init(&work_ready);
	snprintf(name, sizeof(name), "worker%d", work_count);
	if (thread_start(&work_threads[work_count], name, work_thread, NULL,
			 &err) < 0) {
		log_warn("%s", err.msg);
		return;
	}
	work_count++;
}

void work_submit(struct work *w)
{
	bool nobody;

	lock_acquire(&work_lock);
	if (work_queued >= work_idle && work_count < WORK_THREADS)
		work_add_thread();
	nobody = work_count == 0;
	if (!nobody) {
		list_append(&work_queue, &w->node);
		work_queued++;
		cond_signal(&work_ready);
	}
	lock_release(&work_lock);

	/* Without any thread: slow, but the request is carried out. */
	if (nobody)
		work_execute(w);
}

void work_shutdown(void)
{
	struct thread threads[WORK_THREADS];
	int count;

	lock_acquire(&work_lock);
	work_stopping = true;
	count = work_count;
	for (int i = 0; i < count; i++)
		threads[i] = work_threads[i];
	if (count)
		cond_broadcast(&work_ready);
	lock_release(&work_lock);

	for (int i = 0; i < count; i++)
		thread_join(&threads[i]);

	lock_acquire(&work_lock);
	work_stopping = false;
	work_count = 0;
	lock_release(&work_lock);
	if (count)
		cond_fini(&work_ready);
}
