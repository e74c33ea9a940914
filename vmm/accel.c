/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Choosing the accelerator: the first of the list that works here.
 */
#include "vmm/accel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/opt.h"
#include "vmm/machine.h"

static const struct accel_class *accel_find(const char *name)
{
	for (int i = 0; accel_classes[i]; i++)
		if (!strcmp(accel_classes[i]->name, name))
			return accel_classes[i];
	return NULL;
}

static int accel_unknown(const char *name, struct err *err)
{
	struct buf known = { 0 };

	for (int i = 0; accel_classes[i]; i++)
		buf_printf(&known, "%s%s", i ? ", " : "",
			   accel_classes[i]->name);
	err_set(err, -EINVAL, "invalid accelerator '%s'; accepted: %s", name,
		buf_str(&known));
	buf_fini(&known);
	return -EINVAL;
}

static int accel_configure(const struct accel_class *class, void *instance,
			   struct opts *o, struct err *err)
{
	static const struct option_row none[] = { OPTION_END };
	const struct option_row *rows = class->options ? class->options : none;
	int r = opts_apply(o, rows, instance, err);

	if (r == 0)
		r = opts_check_used(o, rows, err);
	return r < 0 ? err_wrap(err, "accelerator '%s'", class->name) : 0;
}

static int accel_try(struct machine *m, const struct accel_class *class,
		     struct opts *o, bool strict, struct err *err)
{
	void *instance;
	int r = class->probe ? class->probe(strict, err) : 0;

	if (r < 0)
		return r;
	instance = xalloc(MAX(class->size, 1u));
	r = accel_configure(class, instance, o, err);
	if (r == 0) {
		m->accel = class;
		m->accel_data = instance;
		r = class->create(m, instance, err);
	}
	if (r < 0) {
		if (class->options)
			opt_rows_fini(class->options, instance);
		free(instance);
		m->accel_data = NULL;
		m->accel = NULL;
	}
	return r;
}

/* One entry of the list: "NAME[,PROPERTY=VALUE...]". */
static const struct accel_class *accel_parse(const char *text, struct opts *o,
					     struct err *err)
{
	const struct accel_class *class;
	const char *name;

	if (opts_parse(o, text, "accel", err) < 0)
		return NULL;
	name = opts_take(o, "accel");
	class = accel_find(name ? name : "");
	if (!class) {
		accel_unknown(name ? name : "", err);
		opts_fini(o);
	}
	return class;
}

int accel_select(struct machine *m, const char *list, struct err *err)
{
	char *names = xstrdup(list), *rest = names, *text;
	bool strict = strchr(list, ':');
	struct err why = { 0 };
	struct opts o;
	int r = -EINVAL;

	/* A mistake anywhere in the list is told before anything is tried. */
	while ((text = strsep(&rest, ":"))) {
		if (!accel_parse(text, &o, err)) {
			free(names);
			return -EINVAL;
		}
		opts_fini(&o);
	}
	strcpy(names, list);
	rest = names;
	while (r < 0 && (text = strsep(&rest, ":"))) {
		const struct accel_class *class = accel_parse(text, &o, err);

		if (why.code)
			log_info("%s; trying %s", why.msg, class->name);
		memset(&why, 0, sizeof why);
		r = accel_try(m, class, &o, strict, &why);
		opts_fini(&o);
	}
	if (r < 0 && err)
		*err = why;
	free(names);
	return r;
}
