/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Faults and CPU time of a test's own process.  Apart, since <signal.h> has
 * the names of vmm/cpu.h for other things.
 */
#ifndef TESTS_UNIT_HOST_SIGNALS_H
#define TESTS_UNIT_HOST_SIGNALS_H

#include "lib/types.h"

/* `report` comes before a fault, or a sanitizer (signal 0), ends the process;
 * `tick` after every `us` of CPU time, as a signal handler. */
struct host_signals {
	void (*report)(int sig, const u8 *pc, const void *address);
	void (*tick)(void);
	u32 us;
};

void host_signals_catch(const struct host_signals *use);
/* No more ticks: what they look at is going away. */
void host_signals_stop_ticks(void);

#endif
