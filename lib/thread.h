/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Named threads with all signals blocked.  Threads are joined, never
 * cancelled or detached.
 */
#ifndef LIB_THREAD_H
#define LIB_THREAD_H

#include <pthread.h>

#include "lib/types.h"

struct err;

struct thread {
	pthread_t handle;
	bool started;
	char name[16];
};

int thread_start(struct thread *t, const char *name, void (*fn)(void *),
		 void *arg, struct err *err);
void thread_join(struct thread *t); /* no-op when not started */
int thread_self_id(void);	    /* kernel thread id, as gettid() */

#endif
