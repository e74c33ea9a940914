/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What happens when a guest tells that its kernel has panicked.
 */
#ifndef VMM_PANIC_H
#define VMM_PANIC_H

struct machine;

enum panic_action { /* -action panic= */
	PANIC_SHUTDOWN,
	PANIC_PAUSE,
	PANIC_EXIT_FAILURE,
	PANIC_NONE,
};

extern const char *const panic_actions[]; /* NULL-ended */

/* machine_lock. */
void machine_panicked(struct machine *m);
void machine_crash_loaded(struct machine *m);

#endif
