/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Roles of monitor sessions; monitor/roles.def says what each may do.
 */
#ifndef MONITOR_ROLES_H
#define MONITOR_ROLES_H

#include "lib/types.h"

struct err;

/* From the one who may most to the one who may least. */
enum monitor_role { MONITOR_ADMIN, MONITOR_OPERATE, MONITOR_OBSERVE };

const char *role_name(enum monitor_role role);
int role_parse(const char *text, enum monitor_role *ret, struct err *err);
/* May a session run the row with these names, joined by '|'?  `query`: it
 * changes nothing.  -EPERM, with what it takes. */
int role_check(enum monitor_role role, const char *names, bool query,
	       struct err *err);

#endif
