/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Options that say what the machine is: processors, memory, clock, what is
 * booted.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/opt.h"
#include "lib/parse.h"
#include "vmm/accel.h"
#include "vmm/config.h"
#include "vmm/cpu_models.h"
#include "vmm/options.h"

#define RAM_MIN MIB
#define RAM_MAX (1024 * GIB)

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

int config_machine(struct config *c, const char *option, const char *arg,
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
int config_accel(struct config *c, const char *option, const char *arg,
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

int config_enable_kvm(struct config *c, const char *option, const char *arg,
		      struct err *err)
{
	free(c->accel_text);
	c->accel_text = xstrdup("kvm");
	c->accel = c->accel_text;
	return CONFIG_RUN;
}

int config_cpu(struct config *c, const char *option, const char *arg,
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

int config_smp(struct config *c, const char *option, const char *arg,
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

int config_memory(struct config *c, const char *option, const char *arg,
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

int config_name(struct config *c, const char *option, const char *arg,
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

int config_uuid(struct config *c, const char *option, const char *arg,
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

int config_rtc(struct config *c, const char *option, const char *arg,
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

int config_kernel(struct config *c, const char *option, const char *arg,
		  struct err *err)
{
	c->kernel = arg;
	return CONFIG_RUN;
}

int config_bios(struct config *c, const char *option, const char *arg,
		struct err *err)
{
	c->bios = arg;
	return CONFIG_RUN;
}

int config_initrd(struct config *c, const char *option, const char *arg,
		  struct err *err)
{
	c->initrd = arg;
	return CONFIG_RUN;
}

int config_append(struct config *c, const char *option, const char *arg,
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

int config_boot(struct config *c, const char *option, const char *arg,
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
	if (r == 0 && a.once) {
		free(c->boot_once);
		c->boot_once = xstrdup(a.once);
	}
	if (r == 0) {
		c->boot_menu |= a.menu;
		c->boot_strict |= a.strict;
		if (a.splash_time)
			c->boot_menu_ms = MIN(a.splash_time, 65535u);
	}
	opt_rows_fini(boot_rows, &a);
	return config_fail(r);
}

const struct config_rows config_machine_rows[] = {
	{ "smp", smp_rows },
	{ "rtc", rtc_rows },
	{ "boot", boot_rows },
	{ NULL, NULL },
};
