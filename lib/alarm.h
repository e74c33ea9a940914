/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * An alarm clock for a thread: a call in the thread itself, by a signal, on
 * the nanosecond, whatever the thread is doing.
 *
 * The thread that creates it sets it and destroys it.
 */
#ifndef LIB_ALARM_H
#define LIB_ALARM_H

#include <time.h>

#include "lib/types.h"

#define ALARM_OFF UINT64_MAX

struct alarm {
	timer_t timer;
	void (*fn)(void *arg);
	void *arg;
};

/* `fn` runs in a signal handler.  -errno.  Timed waits of this thread get as
 * exact. */
int alarm_create(struct alarm *a, void (*fn)(void *arg), void *arg);
void alarm_destroy(struct alarm *a);
/* At `mono_ns` of clock_mono_ns(), at once when that has passed; or
 * ALARM_OFF.  Takes the place of what was set before. */
void alarm_set(struct alarm *a, u64 mono_ns);

#endif
