/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The command line: one row of vmm/options.def per option, one handler each.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/fdset.h"
#include "lib/log.h"
#include "lib/opt.h"
#include "lib/parse.h"
#include "lib/trace.h"
#include "vmm/accel.h"
#include "vmm/cmdline.h"
#include "vmm/config.h"
#include "vmm/cpu_models.h"
#include "vmm/device.h"
#include "vmm/object.h"
#include "vmm/watchdog.h"

#define RAM_DEFAULT (128 * MIB)
#define RAM_MIN     MIB
#define RAM_MAX     (1024 * GIB)

/* `option` is the name as typed.  Returns enum config_result. */
typedef int config_fn(struct config *c, const char *option, const char *arg,
		      struct err *err);

#define OPTION(names, has_arg, handler, arg, help) \
	static config_fn config_##handler;
#include "vmm/options.def"
#undef OPTION

static const struct config_option {
	const char *names;
	bool has_arg;
	config_fn *fn;
	const char *arg, *help;
} config_options[] = {

#define OPTION(names, has_arg, handler, arg, help) \
	{ names, has_arg, config_##handler, arg, help },
#include "vmm/options.def"
#undef OPTION
};

static const struct config_option *config_find(const char *name);

/* ---- Life ---- */

void config_init(struct config *c)
{
	memset(c, 0, sizeof *c);
	list_init(&c->items);
	c->accel = "kvm:tcg";
	c->ram_size = RAM_DEFAULT;
	c->topo = (struct topology){ 1, 1, 1, 1, 1 };
	c->echr = -1;
}

void config_fini(struct config *c)
{
	struct config_item *i, *tmp;

	list_for_each_safe (i, tmp, &c->items, node)
		free(i);
	free(c->name);
	free(c->boot_order);
	free(c->accel_text);
	cmdline_clear();
}

bool config_has(const struct config *c, enum config_kind kind)
{
	struct config_item *i;

	list_for_each (i, &c->items, node)
		if (i->kind == kind)
			return true;
	return false;
}

static int config_add(struct config *c, enum config_kind kind,
		      const char *option, const char *arg)
{
	struct config_item *i = xalloc(sizeof *i);

	i->kind = kind;
	i->option = option;
	i->text = arg;
	list_append(&c->items, &i->node);
	return CONFIG_RUN;
}

static int config_fail(int r)
{
	return r < 0 ? CONFIG_FAIL : CONFIG_RUN;
}

/* `arg` into `owner`, all of it. */
static int config_rows(const char *arg, const char *implied,
		       const struct option_row *rows, void *owner,
		       struct err *err)
{
	struct opts o;
	int r = opts_parse(&o, arg, implied, err);

	if (r < 0)
		return r;
	r = opts_apply(&o, rows, owner, err);
	if (r == 0)
		r = opts_check_used(&o, rows, err);
	opts_fini(&o);
	return r;
}

/* ---- Information ---- */

static int config_help(struct config *c, const char *option, const char *arg,
		       struct err *err)
{
	printf("vmon %s: virtual machine monitor\n"
	       "usage: vmon [options]\n"
	       "       vmon ctl --help\n\n",
	       VMON_VERSION);
	for (size_t i = 0; i < ARRAY_SIZE(config_options); i++) {
		const struct config_option *o = &config_options[i];

		printf("-%s %s\n                %s\n", o->names, o->arg,
		       o->help);
	}
	return CONFIG_EXIT;
}

static int config_version(struct config *c, const char *option, const char *arg,
			  struct err *err)
{
	printf("vmon version %s\n", VMON_VERSION);
	return CONFIG_EXIT;
}

/* ---- Machine ---- */

static void accel_help(void)
{
	printf("Accelerators supported in vmon:\n");
	for (int i = 0; accel_classes[i]; i++) {
		struct buf text = { 0 };

		printf("%s (%s)\n", accel_classes[i]->name,
		       accel_classes[i]->desc);
		if (accel_classes[i]->options)
			opt_rows_help(accel_classes[i]->options, &text);
		fputs(buf_str(&text), stdout);
		buf_fini(&text);
	}
}

/* "pc-i440fx-7.2" */
static bool config_machine_versioned(const char *type)
{
	const char *version = type + strlen("pc-i440fx-");

	return !strncmp(type, "pc-i440fx-", strlen("pc-i440fx-")) &&
	       strspn(version, "0123456789.") == strlen(version) && *version;
}

static int config_machine_type(const char *type, struct err *err)
{
	if (!strcmp(type, "pc") || config_machine_versioned(type))
		return 0;
	if (!strcmp(type, "help") || !strcmp(type, "?")) {
		printf("Supported machines are:\n"
		       "pc                   PC with PCI (default)\n");
		return 1;
	}
	return err_set(err, -EINVAL,
		       "unsupported machine type '%s'; accepted: pc", type);
}

/* Properties of QEMU's machine that have one possible value here, or none
 * that matters. */
static const struct {
	const char *name, *only, *why;
} machine_fixed[] = {
	{ "acpi", "on", NULL },
	{ "dump-guest-core", NULL, NULL },
	{ "fd-bootchk", NULL, NULL },
	{ "graphics", "off", NULL },
	{ "hpet", "off", NULL },
	{ "i8042", "on", NULL },
	{ "i8042-hack", "off", NULL },
	{ "kernel-irqchip", "split", NULL },
	{ "mem-merge", NULL, NULL },
	{ "memory-backend", "", "guest RAM is what -m says; leave it out" },
	{ "nvdimm", "off", NULL },
	{ "sata", NULL, NULL },
	{ "smbus", "off", NULL },
	{ "smm", "off", NULL },
	{ "usb", "off", NULL },
	{ "vmport", "off", NULL },
};

static int config_machine_fixed(const char *name, const char *value,
				const char *only, const char *why,
				struct err *err)
{
	bool on, want;

	if (only && (!strcmp(value, only) || !strcmp(value, "auto")))
		return 0;
	/* kernel-irqchip=on means what the accelerator does best. */
	if (!strcmp(name, "kernel-irqchip") && !strcmp(value, "on"))
		return 0;
	if (why)
		return err_set(err, -ENOTSUP,
			       "machine property '%s' is not supported: %s",
			       name, why);
	if (only && parse_bool(value, &on) == 0 &&
	    parse_bool(only, &want) == 0 && on == want)
		return 0;
	if (only)
		return err_set(err, -EINVAL,
			       "machine property '%s=%s' is not supported; "
			       "only %s is",
			       name, value, only);
	if (parse_bool(value, &on) < 0)
		return err_set(err, -EINVAL,
			       "machine property '%s' takes on or off, not "
			       "'%s'",
			       name, value);
	return 0;
}

static int config_machine_rest(struct opts *o, struct err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(machine_fixed); i++) {
		const char *v = opts_take(o, machine_fixed[i].name);

		if (v)
			r = config_machine_fixed(machine_fixed[i].name, v,
						 machine_fixed[i].only,
						 machine_fixed[i].why, err);
	}
	return r < 0 ? r : opts_check_used(o, NULL, err);
}

static int config_machine(struct config *c, const char *option, const char *arg,
			  struct err *err)
{
	struct opts o;
	const char *type, *accel, *pit;
	bool on = true;
	int r = opts_parse(&o, arg, "type", err);

	if (r < 0)
		return CONFIG_FAIL;
	type = opts_take(&o, "type");
	accel = opts_take(&o, "accel");
	pit = opts_take(&o, "pit");
	if (type)
		r = config_machine_type(type, err);
	if (r == 0 && accel) {
		free(c->accel_text);
		c->accel_text = xstrdup(accel);
		c->accel = c->accel_text;
	}
	if (r == 0 && pit) {
		if (parse_bool(pit, &on) < 0)
			r = err_set(err, -EINVAL,
				    "machine property 'pit' takes on or off, "
				    "not '%s'",
				    pit);
		c->no_pit = !on;
	}
	if (r == 0)
		r = config_machine_rest(&o, err);
	opts_fini(&o);
	return r > 0 ? CONFIG_EXIT : config_fail(r);
}

/* Several -accel make a list, tried in order. */
static int config_accel(struct config *c, const char *option, const char *arg,
			struct err *err)
{
	char *text;

	if (!strcmp(arg, "help") || !strcmp(arg, "?")) {
		accel_help();
		return CONFIG_EXIT;
	}
	text = c->accel_text ? xprintf("%s:%s", c->accel_text, arg)
			     : xstrdup(arg);
	free(c->accel_text);
	c->accel_text = text;
	c->accel = text;
	return CONFIG_RUN;
}

static int config_enable_kvm(struct config *c, const char *option,
			     const char *arg, struct err *err)
{
	free(c->accel_text);
	c->accel_text = xstrdup("kvm");
	c->accel = c->accel_text;
	return CONFIG_RUN;
}

static int config_cpu(struct config *c, const char *option, const char *arg,
		      struct err *err)
{
	struct buf text = { 0 };

	if (!*arg) {
		err_set(err, -EINVAL, "a model is missing; 'help' lists them");
		return CONFIG_FAIL;
	}
	c->cpu_model = arg;
	if (strcmp(arg, "help") && strcmp(arg, "?"))
		return CONFIG_RUN;
	cpu_model_help(&text);
	fputs(buf_str(&text), stdout);
	buf_fini(&text);
	return CONFIG_EXIT;
}

struct smp_args {
	u32 cpus, maxcpus, sockets, dies, cores, threads;
};

static const struct option_row smp_rows[] = {
	{ "cpus", &opt_u32, offsetof(struct smp_args, cpus), NULL,
	  "vCPUs at start", NULL },
	{ "maxcpus", &opt_u32, offsetof(struct smp_args, maxcpus), NULL,
	  "vCPUs at most", NULL },
	{ "sockets", &opt_u32, offsetof(struct smp_args, sockets), NULL,
	  "sockets", NULL },
	{ "dies", &opt_u32, offsetof(struct smp_args, dies), NULL,
	  "dies per socket (1)", NULL },
	{ "cores", &opt_u32, offsetof(struct smp_args, cores), NULL,
	  "cores per socket", NULL },
	{ "threads", &opt_u32, offsetof(struct smp_args, threads), NULL,
	  "threads per core", NULL },
	OPTION_END,
};

/* Fills in what was left out, as QEMU 6.2 and later do: cores before
 * sockets. */
static int smp_complete(struct smp_args *a, struct err *err)
{
	u64 product;

	if (!a->threads)
		a->threads = 1;
	if (!a->sockets)
		a->sockets = 1;
	if (!a->cores) {
		u32 want = a->maxcpus ? a->maxcpus : a->cpus;
		u64 per = (u64)a->sockets * a->threads;

		a->cores = want ? (u32)MAX(want / per, 1u) : 1;
	}
	product = (u64)a->sockets * a->cores * a->threads;
	if (product > VCPUS_MAX || a->cpus > VCPUS_MAX ||
	    a->maxcpus > VCPUS_MAX)
		return err_set(err, -EINVAL,
			       "%llu vCPUs are too many; at most %d",
			       (unsigned long long)MAX(
				       product, (u64)MAX(a->cpus, a->maxcpus)),
			       VCPUS_MAX);
	if (!a->maxcpus)
		a->maxcpus = (u32)product;
	if (!a->cpus)
		a->cpus = a->maxcpus;
	if (product != a->maxcpus || a->cpus > a->maxcpus)
		return err_set(err, -EINVAL,
			       "invalid CPU topology: sockets (%u) * cores "
			       "(%u) * threads (%u) = %llu, but maxcpus is %u "
			       "and cpus is %u",
			       a->sockets, a->cores, a->threads,
			       (unsigned long long)product, a->maxcpus,
			       a->cpus);
	return 0;
}

static int config_smp(struct config *c, const char *option, const char *arg,
		      struct err *err)
{
	struct smp_args a = { 0 };
	const char *zero = NULL;
	struct opts o;
	int r = opts_parse(&o, arg, "cpus", err);

	if (r < 0)
		return CONFIG_FAIL;
	for (const struct option_row *row = smp_rows; row->name; row++) {
		const char *v = opts_peek(&o, row->name);

		if (v && !strcmp(v, "0"))
			zero = row->name;
	}
	r = opts_apply(&o, smp_rows, &a, err);
	if (r == 0)
		r = opts_check_used(&o, smp_rows, err);
	if (r == 0 && zero)
		r = err_set(err, -EINVAL, "'%s' must be at least 1", zero);
	if (r == 0 && a.dies > 1)
		r = err_set(err, -EINVAL, "dies > 1 is not supported");
	if (r == 0)
		r = smp_complete(&a, err);
	opts_fini(&o);
	c->topo = (struct topology){
		.cpus = (int)a.cpus,
		.maxcpus = (int)a.maxcpus,
		.sockets = (int)a.sockets,
		.cores = (int)a.cores,
		.threads = (int)a.threads,
	};
	return config_fail(r);
}

static int config_memory(struct config *c, const char *option, const char *arg,
			 struct err *err)
{
	const char *size;
	struct opts o;
	int r = opts_parse(&o, arg, "size", err);

	if (r < 0)
		return CONFIG_FAIL;
	size = opts_take(&o, "size");
	if (!size)
		r = err_set(err, -EINVAL, "a size is missing");
	else if (parse_size(size, MIB, &c->ram_size) < 0)
		r = err_set(err, -EINVAL,
			    "'%s' is not a size; accepted: a number of MiB, "
			    "or with suffix K M G T",
			    size);
	else if (c->ram_size < RAM_MIN || c->ram_size > RAM_MAX)
		r = err_set(err, -ERANGE,
			    "RAM size '%s' is out of range; accepted: 1M to "
			    "1024G",
			    size);
	if (r == 0 && (opts_take(&o, "slots") || opts_take(&o, "maxmem")))
		r = err_set(err, -ENOTSUP,
			    "memory hotplug (slots, maxmem) is not supported");
	if (r == 0)
		r = opts_check_used(&o, NULL, err);
	c->ram_size = ALIGN_UP(c->ram_size, 2 * MIB);
	opts_fini(&o);
	return config_fail(r);
}

static int config_name(struct config *c, const char *option, const char *arg,
		       struct err *err)
{
	const char *guest;
	struct opts o;
	int r = opts_parse(&o, arg, "guest", err);

	if (r < 0)
		return CONFIG_FAIL;
	guest = opts_take(&o, "guest");
	opts_take(&o, "process");
	opts_take(&o, "debug-threads");
	r = opts_check_used(&o, NULL, err);
	free(c->name);
	c->name = guest ? xstrdup(guest) : NULL;
	opts_fini(&o);
	return config_fail(r);
}

static int config_uuid(struct config *c, const char *option, const char *arg,
		       struct err *err)
{
	if (parse_uuid(arg, c->uuid) < 0) {
		err_set(err, -EINVAL,
			"'%s' is not a UUID; accepted: 8-4-4-4-12 hexadecimal "
			"digits",
			arg);
		return CONFIG_FAIL;
	}
	c->uuid_set = true;
	return CONFIG_RUN;
}

static int config_rtc_date(struct config *c, const char *text)
{
	static const char *const formats[] = { "%Y-%m-%dT%H:%M:%S",
					       "%Y-%m-%d" };

	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		struct tm tm = { 0 };
		const char *end = strptime(text, formats[i], &tm);

		if (end && !*end) {
			c->rtc_seconds = timegm(&tm);
			return 0;
		}
	}
	return -EINVAL;
}

struct rtc_args {
	char *base;
	int clock, driftfix;
};

/* Guest time is the host's monotonic clock in every case, and ticks that
 * were missed are not made up for. */
static const char *const rtc_clocks[] = { "host", "rt", "vm", NULL };
static const char *const rtc_driftfixes[] = { "none", "slew", NULL };

static const struct option_row rtc_rows[] = {
	{ "base", &opt_str, offsetof(struct rtc_args, base), "utc",
	  "utc, localtime or a date", NULL },
	{ "clock", &opt_enum, offsetof(struct rtc_args, clock), "host",
	  "accepted", rtc_clocks },
	{ "driftfix", &opt_enum, offsetof(struct rtc_args, driftfix), "none",
	  "accepted", rtc_driftfixes },
	OPTION_END,
};

static int config_rtc(struct config *c, const char *option, const char *arg,
		      struct err *err)
{
	struct rtc_args a = { 0 };
	int r = config_rows(arg, NULL, rtc_rows, &a, err);

	if (r < 0)
		;
	else if (!strcmp(a.base, "utc"))
		c->rtc = RTC_UTC;
	else if (!strcmp(a.base, "localtime"))
		c->rtc = RTC_LOCALTIME;
	else if (config_rtc_date(c, a.base) == 0)
		c->rtc = RTC_DATE;
	else
		r = err_set(err, -EINVAL,
			    "'%s' is not a clock base; accepted: utc, "
			    "localtime, 2006-06-17T16:01:21, 2006-06-17",
			    a.base);
	opt_rows_fini(rtc_rows, &a);
	return config_fail(r);
}

/* ---- Boot ---- */

static int config_kernel(struct config *c, const char *option, const char *arg,
			 struct err *err)
{
	c->kernel = arg;
	return CONFIG_RUN;
}

static int config_initrd(struct config *c, const char *option, const char *arg,
			 struct err *err)
{
	c->initrd = arg;
	return CONFIG_RUN;
}

static int config_append(struct config *c, const char *option, const char *arg,
			 struct err *err)
{
	c->append = arg;
	return CONFIG_RUN;
}

struct boot_args {
	char *order, *once, *splash;
	u32 splash_time, reboot_timeout;
	bool menu, strict;
};

/* What firmware would look at; the order is in CMOS RAM. */
static const struct option_row boot_rows[] = {
	{ "order", &opt_str, offsetof(struct boot_args, order), NULL,
	  "drives, letters a to p", NULL },
	{ "once", &opt_str, offsetof(struct boot_args, once), NULL,
	  "drives at the first boot", NULL },
	{ "menu", &opt_bool, offsetof(struct boot_args, menu), NULL,
	  "boot menu", NULL },
	{ "splash", &opt_str, offsetof(struct boot_args, splash), NULL,
	  "picture", NULL },
	{ "splash-time", &opt_u32, offsetof(struct boot_args, splash_time),
	  NULL, "milliseconds", NULL },
	{ "reboot-timeout", &opt_u32,
	  offsetof(struct boot_args, reboot_timeout), NULL, "milliseconds",
	  NULL },
	{ "strict", &opt_bool, offsetof(struct boot_args, strict), NULL,
	  "nothing but the order", NULL },
	OPTION_END,
};

static int config_boot_letters(const char *letters, struct err *err)
{
	for (const char *p = letters; p && *p; p++)
		if (*p < 'a' || *p > 'p')
			return err_set(err, -EINVAL, "Invalid boot device '%c'",
				       *p);
	return 0;
}

static int config_boot(struct config *c, const char *option, const char *arg,
		       struct err *err)
{
	struct boot_args a = { 0 };
	int r = config_rows(arg, "order", boot_rows, &a, err);

	if (r == 0)
		r = config_boot_letters(a.order, err);
	if (r == 0)
		r = config_boot_letters(a.once, err);
	if (r == 0 && a.order) {
		free(c->boot_order);
		c->boot_order = xstrdup(a.order);
	}
	opt_rows_fini(boot_rows, &a);
	return config_fail(r);
}

/* ---- Things to create ---- */

#define CONFIG_CREATES(name, kind)                                     \
	static int config_##name(struct config *c, const char *option, \
				 const char *arg, struct err *err)     \
	{                                                              \
		return config_add(c, kind, option, arg);               \
	}

/* clang-format off */
CONFIG_CREATES(drive, CONFIG_DRIVE)
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

static int config_s(struct config *c, const char *option, const char *arg,
		    struct err *err)
{
	return config_add(c, CONFIG_GDB, option, "tcp::1234");
}

static int config_hd(struct config *c, const char *option, const char *arg,
		     struct err *err)
{
	config_add(c, CONFIG_HD, option, arg);
	list_entry(c->items.prev, struct config_item, node)->index =
		option[2] - 'a';
	return CONFIG_RUN;
}

static int config_object(struct config *c, const char *option, const char *arg,
			 struct err *err)
{
	struct buf text = { 0 };

	if (!object_help(arg, &text))
		return config_add(c, CONFIG_OBJECT, option, arg);
	fputs(buf_str(&text), stdout);
	buf_fini(&text);
	return CONFIG_EXIT;
}

static int config_device(struct config *c, const char *option, const char *arg,
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

#define CONFIG_SWITCH(name, field)                                     \
	static int config_##name(struct config *c, const char *option, \
				 const char *arg, struct err *err)     \
	{                                                              \
		c->field = true;                                       \
		return CONFIG_RUN;                                     \
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

static int config_ignored(struct config *c, const char *option, const char *arg,
			  struct err *err)
{
	return CONFIG_RUN;
}

static int config_pidfile(struct config *c, const char *option, const char *arg,
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

static int config_display(struct config *c, const char *option, const char *arg,
			  struct err *err)
{
	c->display_none = true;
	return config_accept_only(arg, "none", err);
}

static int config_vga(struct config *c, const char *option, const char *arg,
		      struct err *err)
{
	return config_accept_only(arg, "none", err);
}

static int config_parallel(struct config *c, const char *option,
			   const char *arg, struct err *err)
{
	if (!strcmp(arg, "null"))
		return CONFIG_RUN;
	return config_accept_only(arg, "none", err);
}

static int config_echr(struct config *c, const char *option, const char *arg,
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

static int config_log_items(struct config *c, const char *option,
			    const char *arg, struct err *err)
{
	struct buf text = { 0 };

	if (!strcmp(arg, "help") || !strcmp(arg, "?")) {
		log_list_items(&text);
		fputs(buf_str(&text), stdout);
		buf_fini(&text);
		return CONFIG_EXIT;
	}
	return config_fail(log_parse_items(arg, &c->log_items, err));
}

static int config_log_file(struct config *c, const char *option,
			   const char *arg, struct err *err)
{
	c->log_file = arg;
	return CONFIG_RUN;
}

static int config_audit(struct config *c, const char *option, const char *arg,
			struct err *err)
{
	c->audit_file = arg;
	return CONFIG_RUN;
}

static int config_log_filter(struct config *c, const char *option,
			     const char *arg, struct err *err)
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

static int config_msg(struct config *c, const char *option, const char *arg,
		      struct err *err)
{
	return config_fail(config_rows(arg, NULL, msg_rows, c, err));
}

struct action_args {
	int reboot, shutdown, panic, watchdog;
};

static const char *const action_reboot[] = { "reset", "shutdown", NULL };
static const char *const action_shutdown[] = { "poweroff", "pause", NULL };
static const char *const action_panic[] = { "shutdown", "pause", "exit-failure",
					    "none", NULL };
/* No device reports a panic. */
static const struct option_row action_rows[] = {
	{ "reboot", &opt_enum, offsetof(struct action_args, reboot), "reset",
	  "when the guest reboots", action_reboot },
	{ "shutdown", &opt_enum, offsetof(struct action_args, shutdown),
	  "poweroff", "when the guest powers off", action_shutdown },
	{ "panic", &opt_enum, offsetof(struct action_args, panic), "shutdown",
	  "accepted", action_panic },
	{ "watchdog", &opt_enum, offsetof(struct action_args, watchdog),
	  "reset", "when the guest's watchdog runs out", watchdog_actions },
	OPTION_END,
};

static int config_action(struct config *c, const char *option, const char *arg,
			 struct err *err)
{
	struct action_args a = { 0 };
	int r = config_rows(arg, NULL, action_rows, &a, err);

	c->no_reboot |= a.reboot == 1;
	c->no_shutdown |= a.shutdown == 1;
	if (r == 0)
		c->watchdog_action = a.watchdog;
	return config_fail(r);
}

static int config_watchdog_action(struct config *c, const char *option,
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

static int config_trace(struct config *c, const char *option, const char *arg,
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

static int config_add_fd(struct config *c, const char *option, const char *arg,
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

static int config_sandbox(struct config *c, const char *option, const char *arg,
			  struct err *err)
{
	static const char *const keys[] = { "enable", NULL };

	return config_only_off(option, arg, "enable", keys, err);
}

static int config_overcommit(struct config *c, const char *option,
			     const char *arg, struct err *err)
{
	static const char *const keys[] = { "mem-lock", "cpu-pm", NULL };

	return config_only_off(option, arg, NULL, keys, err);
}

static int config_vnc(struct config *c, const char *option, const char *arg,
		      struct err *err)
{
	return strcmp(arg, "none") ? config_absent(c, option, arg, err)
				   : CONFIG_RUN;
}

static int config_audiodev(struct config *c, const char *option,
			   const char *arg, struct err *err)
{
	size_t len = strcspn(arg, ",");

	return len == 4 && !strncmp(arg, "none", len)
		       ? CONFIG_RUN
		       : config_absent(c, option, arg, err);
}

/* ---- Parsing ---- */

static bool config_name_matches(const char *names, const char *name)
{
	size_t len = strlen(name);

	while (names) {
		const char *bar = strchr(names, '|');
		size_t n = bar ? (size_t)(bar - names) : strlen(names);

		if (n == len && !strncmp(names, name, n))
			return true;
		names = bar ? bar + 1 : NULL;
	}
	return false;
}

static const struct config_option *config_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(config_options); i++)
		if (config_name_matches(config_options[i].names, name))
			return &config_options[i];
	return NULL;
}

/* What is known but not there: the help says what to do instead. */
static int config_absent(struct config *c, const char *option, const char *arg,
			 struct err *err)
{
	err_set(err, -ENOTSUP, "%s", config_find(option)->help);
	return CONFIG_FAIL;
}

enum config_result config_parse(struct config *c, int argc, char **argv,
				struct err *err)
{
	for (int i = 1; i < argc; i++) {
		const struct config_option *o;
		const char *name = argv[i], *arg = NULL;
		int r;

		if (name[0] != '-' || !name[1]) {
			/* A bare word is the first disk, as in QEMU. */
			config_hd(c, "hda", name, err);
			cmdline_add(NULL, name);
			continue;
		}
		name += name[1] == '-' ? 2 : 1;
		o = config_find(name);
		if (!o) {
			err_set(err, -EINVAL,
				"%s: invalid option; '-help' lists them",
				argv[i]);
			return CONFIG_FAIL;
		}
		if (o->has_arg) {
			if (++i == argc) {
				err_set(err, -EINVAL,
					"-%s: requires an "
					"argument: %s",
					name, o->arg);
				return CONFIG_FAIL;
			}
			arg = argv[i];
		}
		r = o->fn(c, name, arg, err);
		if (r == CONFIG_FAIL)
			err_wrap(err, arg ? "-%s %s" : "-%s", name, arg);
		if (r != CONFIG_RUN)
			return r;
		cmdline_add(name, arg);
	}
	if (c->initrd && !c->kernel) {
		err_set(err, -EINVAL,
			"-initrd only works together with "
			"-kernel");
		return CONFIG_FAIL;
	}
	if (c->append && !c->kernel) {
		err_set(err, -EINVAL,
			"-append only works together with "
			"-kernel");
		return CONFIG_FAIL;
	}
	if (c->daemonize && c->nographic) {
		err_set(err, -EINVAL,
			"-nographic cannot be used with -daemonize");
		return CONFIG_FAIL;
	}
	return CONFIG_RUN;
}
