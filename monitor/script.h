/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a human session does with a line beyond running it: sequences,
 * filters, repetition, files of commands.  All of it is asked for: a line of
 * a session that has not said `set syntax on` is one command, as in QEMU.
 *
 *   A ; B      one after the other        A && B    B only if A succeeded
 *   # ...      ignored to the line's end
 *   A | grep [-v] [-i] TEXT | head N | tail N | count | diff
 */
#ifndef MONITOR_SCRIPT_H
#define MONITOR_SCRIPT_H

#include "lib/buf.h"
#include "lib/loop.h"
#include "lib/types.h"

struct err;
struct monitor;

#define SCRIPT_MAX (1 * MIB) /* of commands that wait */

struct script {
	bool active;     /* the line is not done; no prompt */
	bool plain;      /* no syntax: the rest is one command */
	struct buf rest; /* not yet run */
	bool only_if_ok; /* "&&" stands before the rest */
	int code;        /* of the last command */
	u64 started_ns;
	char *current; /* owned; the command */

	char *again; /* owned; what is repeated, or NULL */
	u32 left;    /* times; UINT32_MAX: until told to stop */
	u64 interval_ns;
	struct timer timer;
};

void script_init(struct monitor *mon);
void script_fini(struct monitor *mon);
void script_line(struct monitor *mon, const char *line);
/* A command that went on in the background is done. */
void script_resume(struct monitor *mon, const struct err *err);
/* Output has left: goes on with what waits for that. */
void script_go(struct monitor *mon);
void script_interrupt(struct monitor *mon); /* Ctrl-C */

/* For commands: lines to run next; a command to repeat. */
int script_source(struct monitor *mon, const char *text, struct err *err);
int script_repeat(struct monitor *mon, const char *line, u32 times,
		  u64 interval_ns, struct err *err);

#endif
