/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What happens when a watchdog runs out.
 */
#include "vmm/watchdog.h"

#include <errno.h>
#include <string.h>

#include "lib/log.h"
#include "vmm/event.h"
#include "vmm/machine.h"

const char *const watchdog_actions[] = {
	[WATCHDOG_RESET] = "reset",           [WATCHDOG_SHUTDOWN] = "shutdown",
	[WATCHDOG_POWEROFF] = "poweroff",     [WATCHDOG_PAUSE] = "pause",
	[WATCHDOG_DEBUG] = "debug",           [WATCHDOG_NONE] = "none",
	[WATCHDOG_INJECT_NMI] = "inject-nmi", NULL
};

int watchdog_set_action(struct machine *m, const char *name)
{
	for (int i = 0; watchdog_actions[i]; i++)
		if (!strcmp(watchdog_actions[i], name)) {
			m->watchdog_action = i;
			return 0;
		}
	return -EINVAL;
}

void watchdog_expired(struct machine *m)
{
	const struct event_value v[] = {
		{ .text = watchdog_actions[m->watchdog_action] }
	};

	event_send(m, EVENT_WATCHDOG, v);
	switch (m->watchdog_action) {
	case WATCHDOG_RESET: runstate_request_reset(m, true); break;
	case WATCHDOG_SHUTDOWN: runstate_request_powerdown(m); break;
	case WATCHDOG_POWEROFF:
		runstate_request_quit(m, 0, "guest-shutdown");
		break;
	case WATCHDOG_PAUSE: runstate_request_stop(m, RUN_WATCHDOG); break;
	case WATCHDOG_DEBUG: log_warn("watchdog: timer fired"); break;
	case WATCHDOG_INJECT_NMI:
		if (m->nmi)
			m->nmi(m);
		break;
	case WATCHDOG_NONE: break;
	}
}
