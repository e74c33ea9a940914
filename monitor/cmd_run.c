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

/* SDM 3A "Local Vector Table": register offset / 16, and the mask bit. */
#define LAPIC_LVT_LINT1  0x36
#define LAPIC_LVT_MASKED BIT(16)

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

int cmd_system_powerdown(struct monitor *mon, const struct args *a,
			 struct err *err)
{
	runstate_request_powerdown(mon->m);
	return 0;
}

/* The button is wired to LINT1; who masks that sees no NMI. */
static void nmi_kernel_lapic(struct vcpu *v, void *arg)
{
	const struct cpu_state *c = vcpu_cpu(v);

	if (!(c->apic_base & APICBASE_ENABLE) ||
	    !(c->lapic.regs[LAPIC_LVT_LINT1] & LAPIC_LVT_MASKED))
		vcpu_nmi(v);
}

int cmd_nmi(struct monitor *mon, const struct args *a, struct err *err)
{
	struct machine *m = mon->m;

	for (int i = 0; i < m->nvcpus; i++) {
		if (m->lapic)
			lapic_lint1(m->vcpus[i]);
		else
			vcpu_run_on(m->vcpus[i], nmi_kernel_lapic, NULL);
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
