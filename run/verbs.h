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

/* The last lines of its "log" or "messages". */
void verbs_print_log(const char *name, const char *file, int lines, int to);

/* Is it in that state, as `info status` has it? */
bool verbs_is(const char *name, const char *state);
/* The port of 127.0.0.1 that leads to the guest's ssh; 0: none. */
unsigned verbs_ssh_port(const char *name);

/* run/keys.c: the key of `--ssh-key generate`, if there is one; free() it. */
char *keys_made(void);

#endif
