/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What happens when a watchdog runs out: -action watchdog=, the monitor's
 * watchdog_action.
 *
 * Locking: machine_lock.
 */
#ifndef VMM_WATCHDOG_H
#define VMM_WATCHDOG_H

struct err;
struct machine;

enum watchdog_action {
	WATCHDOG_RESET,
	WATCHDOG_SHUTDOWN, /* the power button */
	WATCHDOG_POWEROFF,
	WATCHDOG_PAUSE,
	WATCHDOG_DEBUG,
	WATCHDOG_NONE,
	WATCHDOG_INJECT_NMI,
};

extern const char *const watchdog_actions[]; /* names, NULL-ended */

/* By name; -EINVAL without a message. */
int watchdog_set_action(struct machine *m, const char *name);
void watchdog_expired(struct machine *m);

#endif
