/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Running the programs that set interfaces up.
 */
#ifndef NET_SPAWN_H
#define NET_SPAWN_H

struct err;

/* Runs argv[0] with default signals and waits for it; `keep_fd` (or -1) is
 * the only descriptor above stderr that it keeps.  0, or -errno with a
 * message when it cannot start or does not exit with 0. */
int net_spawn(const char *const argv[], int keep_fd, struct err *err);

/* Has the bridge helper make a tap on bridge `br`; a descriptor or -errno. */
int net_bridge_helper(const char *helper, const char *br, struct err *err);

#endif
