/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Monitors: sessions that read commands from a chardev.
 *
 * Any number of them, of both tongues; each human one has its own line, history, default vCPU and
 * formats.  Commands run one at a time in the main thread.  A session whose
 * peer does not read its output stops taking input until it does; it never
 * delays anybody else.
 *
 * Locking: machine_lock (or before the loop runs).
 */
#ifndef MONITOR_MONITOR_H
#define MONITOR_MONITOR_H

#include "lib/types.h"
#include "monitor/roles.h"

struct chardev;
struct err;
struct gdb_ops;
struct machine;
struct opts;

enum monitor_mode {
	MONITOR_READLINE, /* for people */
	MONITOR_CONTROL,  /* QMP */
	MONITOR_SCRIPT,   /* the human language, in frames */
};

/* As -mon has them; zeroed: the default. */
struct monitor_options {
	enum monitor_mode mode;
	bool pretty;
	enum monitor_role role;
	const char *history; /* NULL: no file; borrowed until it is made */
};

/* Takes what is for a monitor out of `o`. */
int monitor_options_take(struct opts *o, struct monitor_options *ret,
			 struct err *err);
/* Attaches a session to `chr`; `options` may be NULL.  0, -EBUSY when `chr`
 * is in use. */
int monitor_create(struct machine *m, struct chardev *chr,
		   const struct monitor_options *options, struct err *err);

/* From now on every command is written to a file (monitor/audit.h). */
int monitor_audit(const char *path, struct err *err);

/* Is `chr` nothing but a monitor's? */
bool monitor_uses(const struct chardev *chr);

/* Detaches and frees every session; before the chardevs go. */
void monitor_destroy_all(void);

/* For gdb_start(): what gdb passes on runs as in a session of its own. */
extern const struct gdb_ops monitor_gdb_ops;

#endif
