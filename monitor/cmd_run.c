/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Commands that change what the machine does, and the log.
 */
#include <errno.h>
#include <string.h>

#include "devices/pc.h"
#include "lib/err.h"
#include "lib/log.h"
#include "monitor/internal.h"
#include "vmm/machine.h"
#include "vmm/runstate.h"
#include "vmm/vcpu.h"

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
	runstate_request_quit(mon->m, 0);
	mon->quitting = true;
	return 0;
}

int cmd_system_reset(struct monitor *mon, const struct args *a, struct err *err)
{
	runstate_request_reset(mon->m, false);
	return 0;
}

int cmd_system_powerdown(struct monitor *mon, const struct args *a,
			 struct err *err)
{
	runstate_request_powerdown(mon->m);
	return 0;
}

int cmd_nmi(struct monitor *mon, const struct args *a, struct err *err)
{
	struct machine *m = mon->m;

	for (int i = 0; i < m->nvcpus; i++) {
		if (m->lapic)
			lapic_lint1(m->vcpus[i]);
		else
			vcpu_request(m->vcpus[i], VCPU_REQ_NMI);
	}
	return 0;
}

int cmd_cpu(struct monitor *mon, const struct args *a, struct err *err)
{
	u64 index = args_u64(a, "index");

	if (index >= (u64)mon->m->nvcpus) {
		mon_puts(mon, "invalid CPU index\n");
		return -EINVAL;
	}
	mon->cpu_index = index;
	return 0;
}

int cmd_log(struct monitor *mon, const struct args *a, struct err *err)
{
	struct buf text = { 0 };
	u32 mask;
	int r = log_parse_items(args_str(a, "items"), &mask, err);

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
