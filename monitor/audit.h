/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The audit file: one JSON object per line for each command of a session,
 * of either tongue, once it is done.
 *
 * Locking: machine_lock (or before the loop runs).
 */
#ifndef MONITOR_AUDIT_H
#define MONITOR_AUDIT_H

struct chardev;

#define AUDIT_COMMAND_MAX 1024 /* bytes of a command that are kept */

/* `outcome` is "ok" or what went wrong. */
void audit_command(struct chardev *chr, const char *tongue, const char *command,
		   const char *outcome);
void audit_close(void);

#endif
