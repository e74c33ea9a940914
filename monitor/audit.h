/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The audit file: one JSON object per line for each command of a session,
 * of either tongue, once it is done.
 *
 * Locking: machine_lock (or before the loop runs).
 */
#ifndef MONITOR_AUDIT_H
#define MONITOR_AUDIT_H

#include "lib/types.h"

struct chardev;

#define AUDIT_COMMAND_MAX 1024 /* bytes of a command that are kept */

/* Is there a file?  Else nothing has to be made ready for it. */
bool audit_on(void);
/* `outcome` is "ok" or what went wrong. */
void audit_command(struct chardev *chr, const char *tongue, const char *command,
		   const char *outcome);
void audit_close(void);

#endif
