/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The time line of a boot, put together when somebody asks: the machine and
 * its chardevs keep a moment each, the guest's own log tells of its first
 * process.
 */
#include "chardev/chardev.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "monitor/internal.h"
#include "monitor/monitor.h"
#include "vmm/machine.h"

/* Keeps the list in order of time; equal ones as they came. */
static void boot_add(json_t *list, u64 start_ns, u64 ns, const char *event,
		     const char *key, const char *value)
{
	double seconds = (double)(ns - start_ns) / NS_PER_S;
	size_t at = json_array_size(list);

	if (!ns)
		return;
	while (at &&
	       json_real_value(json_object_get(json_array_get(list, at - 1),
					       "seconds")) > seconds)
		at--;
	json_array_insert_new(list, at,
			      json_pack("{ss sf ss*}", "event", event,
					"seconds", seconds, key, value));
}

json_t *query_boot(struct monitor *mon, const struct args *a, struct err *err)
{
	const struct machine *m = mon->m;
	u64 start = m->times.start, first, login;
	json_t *list = json_array();
	struct guest_init init;

	boot_add(list, start, start, "start", "what", "vmon");
	boot_add(list, start, m->times.built, "built", "what", m->type);
	boot_add(list, start, m->times.reset, "reset", "what", m->type);
	boot_add(list, start, m->times.entry, "entry", "what",
		 m->boot ? "kernel" : "firmware");
	for (struct chardev *c = chr_next(NULL); c; c = chr_next(c)) {
		if (monitor_uses(c))
			continue;
		chr_times(c, &first, &login);
		boot_add(list, start, first, "output", "chardev", chr_label(c));
		boot_add(list, start, login, "login", "chardev", chr_label(c));
	}
	/* The kernel's clock starts with it, or soon after. */
	if (m->times.entry && guest_find_init(mon, &init))
		boot_add(list, start, m->times.entry + init.ns, "init",
			 "program", init.program);
	return list;
}

void print_boot(const json_t *list, struct buf *out)
{
	size_t i;
	json_t *v;

	json_array_foreach(list, i, v)
	{
		const char *event = val_str(v, "event");
		double seconds = json_real_value(json_object_get(v, "seconds"));
		bool init = event[0] == 'i';

		buf_printf(out, "%s%9.3f s  ", init ? "~" : " ", seconds);
		switch (event[0]) {
		case 's': buf_puts(out, "vmon was started\n"); break;
		case 'b': buf_puts(out, "the machine was built\n"); break;
		case 'r': buf_puts(out, "the machine was reset\n"); break;
		case 'e':
			buf_printf(out, "vCPUs entered the %s\n",
				   val_str(v, "what"));
			break;
		case 'o':
			buf_printf(out, "first output on %s\n",
				   val_str(v, "chardev"));
			break;
		case 'l':
			buf_printf(out, "login prompt on %s\n",
				   val_str(v, "chardev"));
			break;
		case 'i':
			buf_printf(out,
				   "first process, %s, by the guest's clock\n",
				   val_str(v, "program"));
			break;
		}
	}
}
