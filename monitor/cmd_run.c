/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Commands that change what the machine does, and the log.
 */
#include <errno.h>
#include <string.h>

#include "devices/pc.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/trace.h"
#include "monitor/qmp.h"
#include "vmm/machine.h"
#include "vmm/runstate.h"
#include "vmm/vcpu.h"
#include "vmm/watchdog.h"

int cmd_stop(struct monitor *mon, const struct args *a, struct err *err)
{
	machine_stop(mon->m, RUN_PAUSED);
	return 0;
}

int cmd_cont(struct monitor *mon, const struct args *a, struct err *err)
{
	return machine_cont(mon->m, err);
}

int cmd_quit(struct monitor *mon, const struct args *a, struct err *err)
{
	runstate_request_quit(mon->m, 0, "host-qmp-quit");
	mon->quitting = true;
	return 0;
}

int cmd_system_reset(struct monitor *mon, const struct args *a, struct err *err)
{
	runstate_request_reset(mon->m, false);
	return 0;
}

int cmd_nmi(struct monitor *mon, const struct args *a, struct err *err)
{
	lapic_press_nmi(mon->m);
	return 0;
}

/* No guest can sleep: S3 is not offered to it. */
int cmd_system_wakeup(struct monitor *mon, const struct args *a,
		      struct err *err)
{
	return err_set(err, -EPERM,
		       "Unable to wake up: guest is not in suspended state");
}

int cmd_watchdog_action(struct monitor *mon, const struct args *a,
			struct err *err)
{
	const char *action = args_str(a, "action");

	if (watchdog_set_action(mon->m, action) < 0)
		return err_set(err, -EINVAL, "invalid parameter value: %s",
			       action);
	return 0;
}

/* QMP's words for the same. */
int cmd_qmp_watchdog_action(struct monitor *mon, const struct args *a,
			    struct err *err)
{
	const char *action = args_str(a, "action");

	if (watchdog_set_action(mon->m, action) < 0)
		return err_set(err, -EINVAL,
			       "Parameter 'action' does not accept value '%s'",
			       action);
	return 0;
}

/* QEMU's words, which have no prefix. */
int cmd_boot_set(struct monitor *mon, const struct args *a, struct err *err)
{
	const char *letters = args_str(a, "bootdevice");
	int r = rtc_set_boot_order(mon->m->rtc, letters, err);

	if (r == 0)
		mon_printf(mon, "boot device list now set to %s\n", letters);
	return mon_say_error(mon, err, r);
}

int cmd_cpu(struct monitor *mon, const struct args *a, struct err *err)
{
	u64 index = args_u64(a, "index");

	if (!vcpu_plugged(mon->m, index)) {
		mon_puts(mon, "invalid CPU index\n");
		return -EINVAL;
	}
	mon->cpu_index = index;
	return 0;
}

int cmd_log(struct monitor *mon, const struct args *a, struct err *err)
{
	const char *items = args_str(a, "items");
	struct buf text = { 0 };
	u32 mask;
	int r;

	if (!strcmp(items, "trace:help")) {
		trace_list(&text);
		mon_puts(mon, buf_str(&text));
		buf_fini(&text);
		return 0;
	}
	r = log_parse_items(items, &mask, err);
	if (r < 0) { /* after the table, where it is not overlooked */
		log_list_items(&text);
		mon_puts(mon, buf_str(&text));
		buf_fini(&text);
		return r;
	}
	log_set_items(mask);
	return 0;
}

int cmd_logfile(struct monitor *mon, const struct args *a, struct err *err)
{
	const char *path = args_str(a, "filename");
	int r = log_set_file(path, NULL);

	if (r < 0) /* QEMU's words, which have no prefix */
		mon_printf(mon, "Error opening logfile %s: %s\n", path,
			   strerror(-r));
	return r;
}
