/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Signals that end the process, as events of a loop.
 *
 * Apart from main.c because <signal.h> and vmm/cpu.h both name registers
 * REG_*.
 */
#ifndef VMM_SIGNALS_H
#define VMM_SIGNALS_H

#include "lib/loop.h"
#include "lib/types.h"

struct err;

struct signals {
	int fd; /* -1 while not started */
	struct watch watch;
	/* In the loop's thread; `pid` sent it. */
	void (*fn)(void *arg, int number, int pid);
	void *arg;
};

/* SIGTERM, SIGINT and, with `hangup`, SIGHUP call fn; without it SIGHUP does
 * nothing.  SIGPIPE is ignored.  Before any thread is started. */
int signals_start(struct signals *s, struct loop *loop, bool hangup,
		  void (*fn)(void *arg, int number, int pid), void *arg,
		  struct err *err);
void signals_stop(struct signals *s); /* idempotent */

#endif
