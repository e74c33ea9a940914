/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Worker pool for calls that block (fsync, open, name lookup).
 */
#ifndef LIB_WORK_H
#define LIB_WORK_H

#include "lib/list.h"
#include "lib/types.h"

struct loop;

/* Embedded in the caller's request, which it owns until done() is called;
 * without done, until run() hands it on by means of its own. */
struct work {
	void (*run)(struct work *w);  /* in a worker thread */
	void (*done)(struct work *w); /* later, in `loop`'s thread; or NULL */
	struct loop *loop;
	struct list node;
};

/* Never runs `done` from inside this call.  Any thread.  The pool (at most
 * 16 threads) starts with the first submission. */
void work_submit(struct work *w);
void work_shutdown(void); /* waits for all workers; at exit */

#endif
