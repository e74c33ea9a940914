/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Run state of the machine and the requests that change it.
 *
 * runstate_request_*() may be called from any thread (a vCPU on triple
 * fault, a device on a reset register, a signal, a monitor); the main loop
 * carries them out.
 */
#ifndef VMM_RUNSTATE_H
#define VMM_RUNSTATE_H

#include <stdatomic.h>

#include "lib/list.h"
#include "lib/types.h"

struct err;
struct machine;

enum run_state {

#define RUN_STATE(id, name) RUN_##id,
#include "vmm/runstate.def"
#undef RUN_STATE
	RUN_STATE_COUNT
};

/* Told of each change, in the main thread with machine_lock held. */
struct run_notifier {
	void (*fn)(void *arg, enum run_state old, enum run_state now);
	void *arg;
	struct list node;
};

struct runstate {
	enum run_state state;
	struct list notifiers;
	_Atomic u32 requests;
	_Atomic int exit_code;
	_Atomic(const char *) quit_reason;
	const char *end_reason; /* NULL: it has not ended */
};

const char *run_state_name(enum run_state s); /* "running", "paused", ... */
bool run_state_running(const struct machine *m);

/* machine_lock held, main thread. */
void machine_stop(struct machine *m, enum run_state why); /* vCPUs parked */
/* At the end of the program: as above, without an event. */
void machine_park(struct machine *m);
int machine_cont(struct machine *m, struct err *err);
/* Power-on state of devices and vCPUs, guest loaded again; a running machine
 * goes on.  Fails when the kernel does not fit or cannot be read. */
int machine_reset(struct machine *m, struct err *err);
void run_notifier_add(struct machine *m, struct run_notifier *n);
void run_notifier_remove(struct run_notifier *n);

/* Any thread. */
void runstate_request_reset(struct machine *m, bool guest);
void runstate_request_shutdown(struct machine *m, bool guest);
void runstate_request_powerdown(struct machine *m); /* power button */
/* `reason` is one of QMP's shutdown causes, a constant string. */
void runstate_request_quit(struct machine *m, int exit_code,
			   const char *reason);
void runstate_request_stop(struct machine *m, enum run_state why);

#endif
