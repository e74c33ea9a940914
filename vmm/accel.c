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

static int accel_try(struct machine *m, const struct accel_class *class,
		     bool strict, struct err *err)
{
	int r = class->probe ? class->probe(strict, err) : 0;

	if (r < 0)
		return r;
	m->accel = class;
	m->accel_data = class->size ? xalloc(class->size) : NULL;
	r = class->create(m, m->accel_data, err);
	if (r < 0) {
		free(m->accel_data);
		m->accel_data = NULL;
		m->accel = NULL;
	}
	return r;
}

int accel_select(struct machine *m, const char *list, struct err *err)
{
	char *names = xstrdup(list), *rest = names, *name;
	bool strict = strchr(list, ':');
	struct err why = { 0 };
	int r = -EINVAL;

	while ((name = strsep(&rest, ":")))
		if (!accel_find(name)) {
			r = accel_unknown(name, err);
			free(names);
			return r;
		}
	strcpy(names, list);
	rest = names;
	while (r < 0 && (name = strsep(&rest, ":"))) {
		const struct accel_class *class = accel_find(name);

		if (why.code)
			log_info("%s; trying %s", why.msg, name);
		memset(&why, 0, sizeof why);
		r = accel_try(m, class, strict, &why);
	}
	if (r < 0 && err)
		*err = why;
	free(names);
	return r;
}
