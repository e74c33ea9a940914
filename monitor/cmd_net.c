/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Commands on the network.
 */
#include <errno.h>

#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/err.h"
#include "lib/opt.h"
#include "monitor/internal.h"
#include "net/net.h"
#include "vmm/cmdline.h"
#include "vmm/machine.h"

int cmd_announce_self(struct monitor *mon, const struct args *a,
		      struct err *err)
{
	/* As in QEMU, names of interfaces choose nothing so far. */
	net_announce();
	return 0;
}

int cmd_set_link(struct monitor *mon, const struct args *a, struct err *err)
{
	return net_set_link(args_str(a, "name"), args_u64(a, "up"), err);
}

int cmd_net_set_io_throttle(struct monitor *mon, const struct args *a,
			    struct err *err)
{
	const struct net_limits limits = {
		.bps = { args_u64(a, "bps_in"), args_u64(a, "bps_out") },
		.pps = { args_u64(a, "pps_in"), args_u64(a, "pps_out") },
	};

	return net_set_limits(mon->m->loop, args_str(a, "name"), &limits, err);
}

int cmd_netdev_add(struct monitor *mon, const struct args *a, struct err *err)
{
	const char *text = args_str(a, "config");
	struct opts o;
	int r = opts_parse(&o, text ? text : "", "type", err);

	if (r < 0)
		return r;
	if (!netdev_create(mon->m->loop, &o, err))
		r = err->code;
	else
		cmdline_add("netdev", text);
	opts_fini(&o);
	return r;
}

int cmd_netdev_del(struct monitor *mon, const struct args *a, struct err *err)
{
	int r = netdev_delete(args_str(a, "id"), err);

	if (r == 0)
		cmdline_drop("netdev", args_str(a, "id"));
	return r;
}

/* "[netdev_id] rule": the words shift when the first is left out. */
static int hostfwd(struct monitor *mon, const struct args *a,
		   int (*fn)(const char *id, const char *rule, struct err *err),
		   struct err *err)
{
	const char *first = args_str(a, "first"), *rule = args_str(a, "rule");

	return mon_say_error(mon, err,
			     fn(rule ? first : NULL, rule ? rule : first, err));
}

/* Its NIC is there without an option. */
static bool hostfwd_of_default(void)
{
	const struct cmdline_item *item;

	for (int i = 0; (item = cmdline_item(i)); i++)
		if (item->option && !strcmp(item->option, "net"))
			return false;
	return true;
}

static void hostfwd_note(const char *id, const char *rule)
{
	if (cmdline_put("netdev", id, "hostfwd", rule) ||
	    cmdline_put("nic", id, "hostfwd", rule) || !hostfwd_of_default())
		return;
	cmdline_add("nic", "user");
	cmdline_name("nic", "user", id);
	cmdline_put("nic", id, "hostfwd", rule);
}

/* It was typed with or without "tcp", which is what is meant without. */
static void hostfwd_forget(const char *id, const char *rule)
{
	const char *bare = strncmp(rule, "tcp:", 4) ? rule : rule + 3;
	char *begin[] = { xprintf("%s-", bare), xprintf("tcp%s-", bare) };

	for (size_t i = 0; i < ARRAY_SIZE(begin); i++) {
		cmdline_take("netdev", id, "hostfwd", begin[i]);
		cmdline_take("nic", id, "hostfwd", begin[i]);
		free(begin[i]);
	}
}

int cmd_hostfwd_add(struct monitor *mon, const struct args *a, struct err *err)
{
	bool named = args_has(a, "rule");
	int r = hostfwd(mon, a, net_hostfwd_add, err);

	if (r == 0)
		hostfwd_note(named ? args_str(a, "first")
				   : net_hostfwd_default(),
			     args_str(a, named ? "rule" : "first"));
	return r;
}

int cmd_hostfwd_remove(struct monitor *mon, const struct args *a,
		       struct err *err)
{
	bool named = args_has(a, "rule");
	const char *rule = args_str(a, named ? "rule" : "first");
	int r = hostfwd(mon, a, net_hostfwd_remove, err);

	if (r == 0) {
		hostfwd_forget(named ? args_str(a, "first")
				     : net_hostfwd_default(),
			       rule);
		mon_printf(mon, "host forwarding rule for %s removed\n", rule);
	}
	return r;
}
