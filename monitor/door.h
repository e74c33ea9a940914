/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A door: a Unix socket at which every client gets a session of its own.
 *
 * Locking: machine_lock (or before the loop runs).
 */
#ifndef MONITOR_DOOR_H
#define MONITOR_DOOR_H

#include "lib/types.h"

struct err;
struct machine;
struct monitor_options;

#define DOOR_CLIENTS_MAX 64

/* `options` as in monitor_create(); one client more than `clients` is told
 * so and sent away.  The socket file is its owner's only. */
int door_open(struct machine *m, const char *path,
	      const struct monitor_options *options, int clients,
	      struct err *err);
void door_close_all(void); /* before the sessions end */

/* A session whose chardev came through a door lost its peer and is gone. */
void door_left(const char *label);

/* Where the doors of this user's VMs are: appends the folder's path, under
 * $XDG_RUNTIME_DIR, /run/user/UID or /run.  -ENOENT: there is no such place.
 */
struct buf;
int door_folder(struct buf *path);
/* Is it there, or now, and safe to write to? */
bool door_make_folder(void);

/* Opens the machine's own door there, at FOLDER/PID, so that `vmon ctl`
 * finds it; without a folder nothing happens. */
void door_publish(struct machine *m);

#endif
