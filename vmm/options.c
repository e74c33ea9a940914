/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The command line: one row of vmm/options.def per option, one handler each;
 * the handlers are in vmm/options_machine.c and vmm/options_run.c.
 */
#include "vmm/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/err.h"
#include "lib/opt.h"
#include "vmm/cmdline.h"
#include "vmm/config.h"

#define RAM_DEFAULT (128 * MIB)

static const struct config_option config_options[] = {

#define OPTION(names, has_arg, handler, arg, help) \
	{ names, has_arg, config_##handler, arg, help },
#include "vmm/options.def"
#undef OPTION
};

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
	free(c->boot_once);
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

int config_add(struct config *c, enum config_kind kind, const char *option,
	       const char *arg)
{
	struct config_item *i = xalloc(sizeof *i);

	i->kind = kind;
	i->option = option;
	i->text = arg;
	list_append(&c->items, &i->node);
	return CONFIG_RUN;
}

int config_fail(int r)
{
	return r < 0 ? CONFIG_FAIL : CONFIG_RUN;
}

int config_rows(const char *arg, const char *implied,
		const struct option_row *rows, void *owner, struct err *err)
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

int config_help(struct config *c, const char *option, const char *arg,
		struct err *err)
{
	printf("vmon %s: virtual machine monitor\n"
	       "usage: vmon [options]\n"
	       "       vmon run --help\n"
	       "       vmon ctl --help\n\n",
	       VMON_VERSION);
	for (size_t i = 0; i < ARRAY_SIZE(config_options); i++) {
		const struct config_option *o = &config_options[i];

		printf("-%s %s\n                %s\n", o->names, o->arg,
		       o->help);
	}
	return CONFIG_EXIT;
}

int config_version(struct config *c, const char *option, const char *arg,
		   struct err *err)
{
	printf("vmon version %s\n", VMON_VERSION);
	return CONFIG_EXIT;
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

const struct config_option *config_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(config_options); i++)
		if (config_name_matches(config_options[i].names, name))
			return &config_options[i];
	return NULL;
}

/* What is known but not there: the help says what to do instead. */
int config_absent(struct config *c, const char *option, const char *arg,
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
	if (c->bios && c->kernel) {
		err_set(err, -EINVAL,
			"-bios does not work together with -kernel, which "
			"needs no firmware");
		return CONFIG_FAIL;
	}
	if (c->daemonize && c->nographic) {
		err_set(err, -EINVAL,
			"-nographic cannot be used with -daemonize");
		return CONFIG_FAIL;
	}
	return CONFIG_RUN;
}
