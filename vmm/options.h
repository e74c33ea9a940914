/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Private to vmm/options*.c: the handlers of vmm/options.def and what they
 * share.
 */
#ifndef VMM_OPTIONS_H
#define VMM_OPTIONS_H

#include "lib/types.h"
#include "vmm/config.h"

struct err;
struct option_row;

/* `option` is the name as typed.  Returns enum config_result. */
typedef int config_fn(struct config *c, const char *option, const char *arg,
		      struct err *err);

struct config_option {
	const char *names;
	bool has_arg;
	config_fn *fn;
	const char *arg, *help;
};

#define OPTION(names, has_arg, handler, arg, help) config_fn config_##handler;
#include "vmm/options.def"
#undef OPTION

const struct config_option *config_find(const char *name);
/* Something that vmm/main.c will create. */
int config_add(struct config *c, enum config_kind kind, const char *option,
	       const char *arg);
/* -errno: enum config_result. */
int config_fail(int r);
/* `arg` into `owner`, all of it. */
int config_rows(const char *arg, const char *implied,
		const struct option_row *rows, void *owner, struct err *err);

#endif
