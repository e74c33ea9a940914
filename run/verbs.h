/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What is done with a machine that `vmon run` has started, by its name.
 */
#ifndef RUN_VERBS_H
#define RUN_VERBS_H

#include "lib/types.h"

/* Arguments behind the verb; returns the exit status, 1 for a mistake and else
 * as `vmon ctl`. */
typedef int verbs_fn(int argc, char **argv);
verbs_fn *verbs_find(const char *name); /* NULL: no such verb */

/* Where the machine of that name has its "console", a socket, and its "log";
 * free() it.  NULL: this user has no such place. */
char *verbs_path(const char *what, const char *name);
/* Is there one that has its console there? */
bool verbs_runs(const char *name);
/* The last lines of its log. */
void verbs_print_log(const char *name, int to);

/* What run ends with when the time is over. */
#define VERBS_TIMEOUT 6

/* Until `state` is reached, see `vmon ctl`; `limit` in seconds or NULL.  0, or
 * what to exit with; tells. */
int verbs_wait(const char *name, const char *state, const char *limit);

#endif
