/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What happens when a guest tells that its kernel has panicked.
 */
#include "vmm/panic.h"

#include <stddef.h>

#include "vmm/event.h"
#include "vmm/machine.h"

const char *const panic_actions[] = { [PANIC_SHUTDOWN] = "shutdown",
				      [PANIC_PAUSE] = "pause",
				      [PANIC_EXIT_FAILURE] = "exit-failure",
				      [PANIC_NONE] = "none",
				      NULL };

static void panic_tell(struct machine *m, enum event_id id, const char *action)
{
	const struct event_value v[] = { { .text = action } };

	event_send(m, id, v);
}

void machine_panicked(struct machine *m)
{
	int action = m->panic_action;

	/* With -no-shutdown who ends it is the user. */
	if (action == PANIC_SHUTDOWN && m->no_shutdown)
		action = PANIC_PAUSE;
	switch (action) {
	case PANIC_PAUSE: /* which tells */
		runstate_request_stop(m, RUN_GUEST_PANICKED);
		break;
	case PANIC_NONE: panic_tell(m, EVENT_GUEST_PANICKED, "run"); break;
	default:
		panic_tell(m, EVENT_GUEST_PANICKED, "poweroff");
		runstate_request_quit(m, action == PANIC_EXIT_FAILURE,
				      "guest-panic");
		break;
	}
}

void machine_crash_loaded(struct machine *m)
{
	panic_tell(m, EVENT_GUEST_CRASHLOADED, "run");
}
