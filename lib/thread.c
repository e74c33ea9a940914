/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Named threads with all signals blocked.
 */
#include "lib/thread.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/err.h"

struct thread_start {
	void (*fn)(void *arg);
	void *arg;
	char name[16];
};

/* gettid() is a system call; every lock_acquire() asks. */
static __thread int thread_id;

static void thread_forget_id(void)
{
	thread_id = 0;
}

static void thread_watch_fork(void)
{
	pthread_atfork(NULL, NULL, thread_forget_id);
}

int thread_self_id(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	if (unlikely(!thread_id)) {
		pthread_once(&once, thread_watch_fork);
		thread_id = gettid();
	}
	return thread_id;
}

static void *thread_main(void *opaque)
{
	struct thread_start start = *(struct thread_start *)opaque;

	free(opaque);
	pthread_setname_np(pthread_self(), start.name);
	start.fn(start.arg);
	return NULL;
}

int thread_start(struct thread *t, const char *name, void (*fn)(void *),
		 void *arg, struct err *err)
{
	struct thread_start *start = xalloc(sizeof(*start));
	sigset_t all, old;
	int r;

	start->fn = fn;
	start->arg = arg;
	snprintf(start->name, sizeof(start->name), "%s", name);
	snprintf(t->name, sizeof(t->name), "%s", name);

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&t->handle, NULL, thread_main, start);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r) {
		free(start);
		return err_code(err, -r, "cannot start thread '%s'", name);
	}
	t->started = true;
	return 0;
}

void thread_join(struct thread *t)
{
	if (!t->started)
		return;
	pthread_join(t->handle, NULL);
	t->started = false;
}
