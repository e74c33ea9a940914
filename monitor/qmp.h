/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * QMP: sessions for programs, as QEMU's protocol has them.
 *
 * A command is a row in qmp.def; it runs the handler that the human command
 * of that kind has, with arguments from JSON, and answers with the handler's
 * tree or an error.  Events go to every session that has negotiated.
 *
 * Locking: machine_lock.
 */
#ifndef MONITOR_QMP_H
#define MONITOR_QMP_H

#include "monitor/internal.h"
#include "monitor/monitor.h"

struct qmp;

/* In another form than text, where QEMU's JSON is shaped differently; takes
 * the reference and returns one. */
typedef json_t *shape_fn(struct monitor *mon, json_t *v);

struct qmp_command {
	const char *name;
	const char *types;
	command_fn *run; /* or */
	query_fn *query;
	shape_fn *shape;
	const char *not_found; /* error class for -ENODEV and -ENOENT */
};

extern const struct qmp_command qmp_table[]; /* NULL-ended */

#define QMP_RUN(name, types, fn, not_found) command_fn cmd_##fn;
#define QMP_QUERY(name, types, fn, shape, not_found) \
	query_fn query_##fn;                         \
	shape_fn shape_##shape;
#include "monitor/qmp.def"
#undef QMP_RUN
#undef QMP_QUERY

int qmp_create(struct machine *m, struct chardev *chr,
	       const struct monitor_options *options, struct err *err);
void qmp_broadcast(json_t *e); /* to every session that has negotiated */
void qmp_list_sessions(struct buf *out);
void qmp_reap(void); /* sessions of a door without peer */
void qmp_destroy_all(void);

/* ---- monitor/events.c ---- */

void events_listen(struct machine *m); /* idempotent */
void events_end(void);

#endif
