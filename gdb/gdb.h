/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The gdb stub: a debugger on a chardev, one thread for each vCPU.
 *
 * As QEMU's: a client that connects stops the machine; the machine is stopped
 * whenever a packet is answered; what the monitor stops is reported to a
 * client that waits.  A client that goes away takes its breakpoints with it
 * and leaves the machine as it is.
 *
 * Locking: main thread, machine_lock.
 */
#ifndef GDB_GDB_H
#define GDB_GDB_H

#include "lib/types.h"

struct err;
struct machine;

/* What the stub wants from above. */
struct gdb_ops {
	/* Runs a line of the human monitor for "monitor LINE"; calls `done`
	 * once, from inside or later from the main loop. */
	void (*command)(struct machine *m, const char *line, int cpu,
			void (*done)(void *arg, const char *text), void *arg);
};

/* Offers the stub on `device`: "tcp::1234", another short form of a chardev,
 * or "none".  What was offered before ends.  -EBUSY from within a command of
 * gdb's. */
int gdb_start(struct machine *m, const char *device, const struct gdb_ops *ops,
	      struct err *err);
/* Ends it; a client is told that the program does. */
void gdb_destroy(struct machine *m);

#endif
