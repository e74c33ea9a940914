/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Guest time: nanoseconds that pass only while the machine runs, and timers
 * on it.  Devices use these, never host timers, so that stop and snapshots
 * freeze them.
 *
 * Locking: machine_lock; vclock_now() from any thread.
 */
#ifndef VMM_VTIMER_H
#define VMM_VTIMER_H

#include "lib/list.h"
#include "lib/types.h"

struct machine;

struct vtimer {
	struct machine *m;
	u64 deadline_ns;       /* of vclock_now(); valid while armed */
	void (*fn)(void *arg); /* main thread, machine_lock held */
	void *arg;
	struct list node;
};

u64 vclock_now(struct machine *m);
/* clock_mono_ns() at that time, as far as can be told: what is set for it may
 * come a little early.  UINT64_MAX while the clock stands.  From a vCPU's
 * thread or with machine_lock. */
u64 vclock_to_mono(struct machine *m, u64 vclock_ns);
void vtimer_init(struct vtimer *t, struct machine *m, void (*fn)(void *),
		 void *arg);
void vtimer_set(struct vtimer *t, u64 deadline_ns);
void vtimer_cancel(struct vtimer *t);
bool vtimer_armed(const struct vtimer *t);

/* For the machine: the clock goes and stands with the vCPUs. */
void vclock_start(struct machine *m);
void vclock_stop(struct machine *m);
void vtimer_run_expired(struct machine *m);

#endif
