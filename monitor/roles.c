/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a session may do.
 */
#include "monitor/roles.h"

#include <errno.h>
#include <string.h>

#include "lib/err.h"

static const struct {
	enum monitor_role least;
	const char *name;
} role_table[] = {

#define ROLE(role, name) { MONITOR_##role, name },
#include "monitor/roles.def"
#undef ROLE
};

static const char *const role_names[] = {
	[MONITOR_ADMIN] = "admin",
	[MONITOR_OPERATE] = "operate",
	[MONITOR_OBSERVE] = "observe",
};

const char *role_name(enum monitor_role role)
{
	return role_names[role];
}

int role_parse(const char *text, enum monitor_role *ret, struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(role_names); i++) {
		if (!strcmp(text, role_names[i])) {
			*ret = (enum monitor_role)i;
			return 0;
		}
	}
	return err_set(err, -EINVAL,
		       "Invalid value '%s' for monitor role; accepted: admin, "
		       "operate, observe",
		       text);
}

/* `names` is joined by '|'. */
static bool role_has_name(const char *names, const char *name)
{
	size_t n = strlen(name);

	for (const char *p = names; *p;) {
		size_t len = strcspn(p, "|");

		if (len == n && !memcmp(p, name, n))
			return true;
		p += len + (p[len] == '|');
	}
	return false;
}

int role_check(enum monitor_role role, const char *names, bool query,
	       struct err *err)
{
	enum monitor_role least = query ? MONITOR_OBSERVE : MONITOR_ADMIN;

	for (size_t i = 0; i < ARRAY_SIZE(role_table); i++)
		if (role_has_name(names, role_table[i].name))
			least = role_table[i].least;
	if (role <= least)
		return 0;
	return err_set(err, -EPERM,
		       "'%.*s' takes the role %s; this session may %s",
		       (int)strcspn(names, "|"), names, role_names[least],
		       role_names[role]);
}
