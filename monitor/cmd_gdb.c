/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The gdb stub: offering it, and the commands that gdb passes on.
 */
#include <stdlib.h>
#include <string.h>

#include "gdb/gdb.h"
#include "lib/alloc.h"
#include "lib/err.h"
#include "monitor/internal.h"
#include "monitor/monitor.h"

#define GDB_DEVICE "tcp::1234"

/* A line that runs on behalf of gdb. */
struct gdb_line {
	struct monitor *mon;
	void (*done)(void *arg, const char *text);
	void *arg;
};

/* The text has a terminal's ends of lines. */
static void gdb_line_end(struct gdb_line *l)
{
	struct buf *out = &l->mon->out;

	buf_drop(out, '\r');
	l->done(l->arg, buf_str(out));
	mon_detached_free(l->mon);
	free(l);
}

static void gdb_line_resumed(void *opaque, const struct err *err)
{
	struct gdb_line *l = opaque;

	if (err && err->msg[0])
		mon_printf(l->mon, "Error: %s\n", err->msg);
	gdb_line_end(l);
}

static void gdb_line_run(struct machine *m, const char *line, int cpu,
			 void (*done)(void *arg, const char *text), void *arg)
{
	struct gdb_line *l = xalloc(sizeof *l);

	l->done = done;
	l->arg = arg;
	l->mon = mon_detached_create(m, gdb_line_resumed, l);
	l->mon->cpu_index = cpu;
	command_run(l->mon, line);
	if (!l->mon->busy)
		gdb_line_end(l);
}

const struct gdb_ops monitor_gdb_ops = { .command = gdb_line_run };

int cmd_gdbserver(struct monitor *mon, const struct args *a, struct err *err)
{
	const char *device =
		args_has(a, "device") ? args_str(a, "device") : GDB_DEVICE;
	struct err why = { 0 };
	int r = gdb_start(mon->m, device, &monitor_gdb_ops, &why);

	if (r < 0)
		mon_printf(mon, "%s\nCould not open gdbserver on device '%s'\n",
			   why.msg, device);
	else if (!strcmp(device, "none"))
		mon_puts(mon, "Disabled gdbserver\n");
	else
		mon_printf(mon, "Waiting for gdb connection on device '%s'\n",
			   device);
	return r;
}
