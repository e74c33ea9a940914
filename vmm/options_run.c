/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Options that say what is created, and how vmon itself runs: its log, what it
 * accepts and ignores.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/fdset.h"
#include "lib/log.h"
#include "lib/opt.h"
#include "lib/parse.h"
#include "lib/trace.h"
#include "seed/seed.h"
#include "vmm/config.h"
#include "vmm/device.h"
#include "vmm/object.h"
#include "vmm/options.h"
#include "vmm/panic.h"
#include "vmm/watchdog.h"

/* ---- Things to create ---- */

#define CONFIG_CREATES(name, kind)                              \
	int config_##name(struct config *c, const char *option, \
			  const char *arg, struct err *err)     \
	{                                                       \
		return config_add(c, kind, option, arg);        \
	}

/* clang-format off */
CONFIG_CREATES(drive, CONFIG_DRIVE)
CONFIG_CREATES(cdrom, CONFIG_CDROM)
CONFIG_CREATES(pflash, CONFIG_PFLASH)
CONFIG_CREATES(netdev, CONFIG_NETDEV)
CONFIG_CREATES(nic, CONFIG_NIC)
CONFIG_CREATES(net, CONFIG_NET)
CONFIG_CREATES(chardev, CONFIG_CHARDEV)
CONFIG_CREATES(serial, CONFIG_SERIAL)
CONFIG_CREATES(monitor, CONFIG_MONITOR)
CONFIG_CREATES(mon, CONFIG_MON)
CONFIG_CREATES(qmp, CONFIG_QMP)
CONFIG_CREATES(debugcon, CONFIG_DEBUGCON)
CONFIG_CREATES(gdb, CONFIG_GDB)
CONFIG_CREATES(fw_cfg, CONFIG_FW_CFG)
CONFIG_CREATES(smbios, CONFIG_SMBIOS)

/* clang-format on */

int config_s(struct config *c, const char *option, const char *arg,
	     struct err *err)
{
	return config_add(c, CONFIG_GDB, option, "tcp::1234");
}

int config_hd(struct config *c, const char *option, const char *arg,
	      struct err *err)
{
	config_add(c, CONFIG_HD, option, arg);
	list_entry(c->items.prev, struct config_item, node)->index =
		option[2] - 'a';
	return CONFIG_RUN;
}

int config_cloud_init(struct config *c, const char *option, const char *arg,
		      struct err *err)
{
	struct buf text = { 0 };

	if (strcmp(arg, "help"))
		return config_add(c, CONFIG_SEED, option, arg);
	opt_rows_help(seed_options, &text);
	fputs(buf_str(&text), stdout);
	buf_fini(&text);
	return CONFIG_EXIT;
}

int config_object(struct config *c, const char *option, const char *arg,
		  struct err *err)
{
	struct buf text = { 0 };

	if (!object_help(arg, &text))
		return config_add(c, CONFIG_OBJECT, option, arg);
	fputs(buf_str(&text), stdout);
	buf_fini(&text);
	return CONFIG_EXIT;
}

int config_device(struct config *c, const char *option, const char *arg,
		  struct err *err)
{
	const struct device_class *class;
	const char *comma = strchr(arg, ',');
	struct buf text = { 0 };
	char *driver;

	if (!strcmp(arg, "help") || !strcmp(arg, "?")) {
		device_list(&text);
		fputs(buf_str(&text), stdout);
		buf_fini(&text);
		return CONFIG_EXIT;
	}
	if (!comma || (strcmp(comma, ",help") && strcmp(comma, ",?")))
		return config_add(c, CONFIG_DEVICE, option, arg);
	driver = xstrdup(arg);
	driver[comma - arg] = '\0';
	class = device_class_find(driver);
	free(driver);
	if (!class) {
		err_set(err, -ENODEV,
			"no such device model; '-device help' lists them");
		return CONFIG_FAIL;
	}
	device_help(class, &text);
	fputs(buf_str(&text), stdout);
	buf_fini(&text);
	return CONFIG_EXIT;
}

/* ---- Switches ---- */

#define CONFIG_SWITCH(name, field)                              \
	int config_##name(struct config *c, const char *option, \
			  const char *arg, struct err *err)     \
	{                                                       \
		c->field = true;                                \
		return CONFIG_RUN;                              \
	}

/* clang-format off */
CONFIG_SWITCH(snapshot, snapshot)
CONFIG_SWITCH(nographic, nographic)
CONFIG_SWITCH(nodefaults, nodefaults)
CONFIG_SWITCH(paused, paused)
CONFIG_SWITCH(perfmap, perfmap)
CONFIG_SWITCH(no_reboot, no_reboot)
CONFIG_SWITCH(no_shutdown, no_shutdown)
CONFIG_SWITCH(daemonize, daemonize)

/* clang-format on */

int config_ignored(struct config *c, const char *option, const char *arg,
		   struct err *err)
{
	return CONFIG_RUN;
}

int config_pidfile(struct config *c, const char *option, const char *arg,
		   struct err *err)
{
	c->pidfile = arg;
	return CONFIG_RUN;
}

static int config_accept_only(const char *arg, const char *accepted,
			      struct err *err)
{
	if (!strcmp(arg, accepted))
		return CONFIG_RUN;
	err_set(err, -EINVAL, "'%s' is not supported; accepted: %s", arg,
		accepted);
	return CONFIG_FAIL;
}

int config_display(struct config *c, const char *option, const char *arg,
		   struct err *err)
{
	c->display_none = true;
	return config_accept_only(arg, "none", err);
}

int config_vga(struct config *c, const char *option, const char *arg,
	       struct err *err)
{
	c->vga = !strcmp(arg, "std");
	if (c->vga || !strcmp(arg, "none"))
		return CONFIG_RUN;
	err_set(err, -EINVAL, "'%s' is not supported; accepted: none, std",
		arg);
	return CONFIG_FAIL;
}

int config_parallel(struct config *c, const char *option, const char *arg,
		    struct err *err)
{
	if (!strcmp(arg, "null"))
		return CONFIG_RUN;
	return config_accept_only(arg, "none", err);
}

int config_echr(struct config *c, const char *option, const char *arg,
		struct err *err)
{
	u64 n;

	if (parse_u64(arg, &n) < 0 || n > 255) {
		err_set(err, -EINVAL, "'%s' is not a byte; accepted: 0 to 255",
			arg);
		return CONFIG_FAIL;
	}
	c->echr = (int)n;
	return CONFIG_RUN;
}

int config_log_items(struct config *c, const char *option, const char *arg,
		     struct err *err)
{
	struct buf text = { 0 };

	if (!strcmp(arg, "help") || !strcmp(arg, "?")) {
		log_list_items(&text);
		fputs(buf_str(&text), stdout);
		buf_fini(&text);
		return CONFIG_EXIT;
	}
	if (!strcmp(arg, "trace:help")) {
		trace_list(&text);
		fputs(buf_str(&text), stdout);
		buf_fini(&text);
		return CONFIG_EXIT;
	}
	return config_fail(log_parse_items(arg, &c->log_items, err));
}

int config_log_file(struct config *c, const char *option, const char *arg,
		    struct err *err)
{
	c->log_file = arg;
	return CONFIG_RUN;
}

int config_audit(struct config *c, const char *option, const char *arg,
		 struct err *err)
{
	c->audit_file = arg;
	return CONFIG_RUN;
}

int config_log_filter(struct config *c, const char *option, const char *arg,
		      struct err *err)
{
	c->log_filter = arg;
	return CONFIG_RUN;
}

static const struct option_row msg_rows[] = {
	{ "timestamp", &opt_bool, offsetof(struct config, msg_timestamp), NULL,
	  "time of day first", NULL },
	{ "guest-name", &opt_bool, offsetof(struct config, msg_guest_name),
	  NULL, "then the guest's name", NULL },
	OPTION_END,
};

int config_msg(struct config *c, const char *option, const char *arg,
	       struct err *err)
{
	return config_fail(config_rows(arg, NULL, msg_rows, c, err));
}

struct action_args {
	int reboot, shutdown, panic, watchdog;
};

static const char *const action_reboot[] = { "reset", "shutdown", NULL };
static const char *const action_shutdown[] = { "poweroff", "pause", NULL };
static const struct option_row action_rows[] = {
	{ "reboot", &opt_enum, offsetof(struct action_args, reboot), "reset",
	  "when the guest reboots", action_reboot },
	{ "shutdown", &opt_enum, offsetof(struct action_args, shutdown),
	  "poweroff", "when the guest powers off", action_shutdown },
	{ "panic", &opt_enum, offsetof(struct action_args, panic), "shutdown",
	  "when the guest tells of its panic (pvpanic-pci)", panic_actions },
	{ "watchdog", &opt_enum, offsetof(struct action_args, watchdog),
	  "reset", "when the guest's watchdog runs out", watchdog_actions },
	OPTION_END,
};

int config_action(struct config *c, const char *option, const char *arg,
		  struct err *err)
{
	struct action_args a = { 0 };
	int r = config_rows(arg, NULL, action_rows, &a, err);

	c->no_reboot |= a.reboot == 1;
	c->no_shutdown |= a.shutdown == 1;
	if (r == 0) {
		c->watchdog_action = a.watchdog;
		c->panic_action = a.panic;
	}
	return config_fail(r);
}

int config_watchdog_action(struct config *c, const char *option,
			   const char *arg, struct err *err)
{
	for (int i = 0; watchdog_actions[i]; i++)
		if (!strcmp(watchdog_actions[i], arg)) {
			c->watchdog_action = i;
			return CONFIG_RUN;
		}
	err_set(err, -EINVAL, "invalid parameter value: %s", arg);
	return CONFIG_FAIL;
}

struct trace_args {
	char *enable, *events, *file;
};

static const struct option_row trace_rows[] = {
	{ "enable", &opt_str, offsetof(struct trace_args, enable), NULL,
	  "name, or pattern with * and ?", NULL },
	{ "events", &opt_str, offsetof(struct trace_args, events), NULL,
	  "file of patterns, one a line", NULL },
	{ "file", &opt_str, offsetof(struct trace_args, file), NULL,
	  "where traces go", NULL },
	OPTION_END,
};

int config_trace(struct config *c, const char *option, const char *arg,
		 struct err *err)
{
	struct trace_args a = { 0 };
	struct buf names = { 0 };
	int r;

	if (!strcmp(arg, "help") || !strcmp(arg, "?")) {
		trace_list(&names);
		fputs(buf_str(&names), stdout);
		buf_fini(&names);
		return CONFIG_EXIT;
	}
	r = config_rows(arg, "enable", trace_rows, &a, err);
	if (r == 0 && a.enable && trace_set(a.enable, true) < 0)
		log_warn("trace event '%s' does not exist", a.enable);
	if (r == 0 && a.events)
		r = trace_load(a.events, err);
	if (r == 0 && a.file)
		r = trace_set_file(a.file, err);
	opt_rows_fini(trace_rows, &a);
	return config_fail(r);
}

struct add_fd_args {
	u32 fd, set;
	char *opaque;
};

static const struct option_row add_fd_rows[] = {
	{ "fd", &opt_u32, offsetof(struct add_fd_args, fd), "4294967295",
	  "number of the descriptor", NULL },
	{ "set", &opt_u32, offsetof(struct add_fd_args, set), "4294967295",
	  "the set", NULL },
	{ "opaque", &opt_str, offsetof(struct add_fd_args, opaque), NULL,
	  "what query-fdsets shows", NULL },
	OPTION_END,
};

static int add_fd(const struct add_fd_args *a, struct err *err)
{
	int fd;

	if (a->fd > INT32_MAX)
		return err_set(
			err, -EINVAL,
			"fd option is required and must be non-negative");
	if (a->fd <= STDERR_FILENO)
		return err_set(err, -EINVAL,
			       "fd cannot be a standard I/O stream");
	if (a->set > INT32_MAX)
		return err_set(err, -EINVAL,
			       "set option is required and must be "
			       "non-negative");
	fd = fcntl((int)a->fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return err_errno(err, "fd is not valid or already in use");
	return fdset_add(a->set, fd, a->opaque, err);
}

int config_add_fd(struct config *c, const char *option, const char *arg,
		  struct err *err)
{
	struct add_fd_args a = { 0 };
	int r = config_rows(arg, NULL, add_fd_rows, &a, err);

	if (r == 0)
		r = add_fd(&a, err);
	opt_rows_fini(add_fd_rows, &a);
	return config_fail(MIN(r, 0));
}

/* ---- What can only be switched off ---- */

static int config_only_off(const char *option, const char *arg,
			   const char *implied, const char *const *keys,
			   struct err *err)
{
	struct opts o;
	int r = opts_parse(&o, arg, implied, err);
	bool on;

	for (; r == 0 && *keys; keys++) {
		const char *v = opts_take(&o, *keys);

		if (v && (parse_bool(v, &on) < 0 || on))
			r = err_set(err, -ENOTSUP, "%s",
				    config_find(option)->help);
	}
	if (r == 0)
		r = opts_check_used(&o, NULL, err);
	opts_fini(&o);
	return config_fail(r);
}

int config_sandbox(struct config *c, const char *option, const char *arg,
		   struct err *err)
{
	static const char *const keys[] = { "enable", NULL };

	return config_only_off(option, arg, "enable", keys, err);
}

int config_overcommit(struct config *c, const char *option, const char *arg,
		      struct err *err)
{
	static const char *const keys[] = { "mem-lock", "cpu-pm", NULL };

	return config_only_off(option, arg, NULL, keys, err);
}

int config_vnc(struct config *c, const char *option, const char *arg,
	       struct err *err)
{
	return strcmp(arg, "none") ? config_absent(c, option, arg, err)
				   : CONFIG_RUN;
}

int config_audiodev(struct config *c, const char *option, const char *arg,
		    struct err *err)
{
	size_t len = strcspn(arg, ",");

	return len == 4 && !strncmp(arg, "none", len)
		       ? CONFIG_RUN
		       : config_absent(c, option, arg, err);
}

const struct config_rows config_run_rows[] = {
	{ "msg", msg_rows },
	{ "action", action_rows },
	{ "trace", trace_rows },
	{ "add-fd", add_fd_rows },
	{ "cloud-init", seed_options },
	{ NULL, NULL },
};
