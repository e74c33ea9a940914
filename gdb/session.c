/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The gdb stub's session: its chardev, its client, running and stopping.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chardev/chardev.h"
#include "gdb/internal.h"
#include "gdb/regs.h"
#include "lib/alloc.h"
#include "lib/err.h"
#include "vmm/accel.h"

#define GDB_OUTPUT (64 * KIB) /* more is not asked for */

/* gdb's numbers of signals. */
#define GDB_SIGNAL_INT     2
#define GDB_SIGNAL_QUIT    3
#define GDB_SIGNAL_TRAP    5
#define GDB_SIGNAL_ABRT    6
#define GDB_SIGNAL_ALRM    14
#define GDB_SIGNAL_IO      23
#define GDB_SIGNAL_UNKNOWN 143

struct vcpu *gdb_vcpu(struct gdb *g, int index)
{
	return index >= 0 ? vcpu_plugged(g->m, index) : NULL;
}

/* ---- Out ---- */

static void gdb_flush(struct gdb *g)
{
	struct buf *out = &g->link.out;

	if (!g->open)
		buf_clear(out);
	if (out->len)
		buf_consume(out, MIN(chr_write(g->chr, out->data, out->len),
				     out->len));
}

void gdb_reply(struct gdb *g, const char *text)
{
	gdb_link_send(&g->link, text, strlen(text));
}

void gdb_reply_error(struct gdb *g, int number)
{
	char text[16];

	/* Decimal, as QEMU. */
	snprintf(text, sizeof text, "E%02d", MIN(number, 99));
	gdb_reply(g, text);
}

void gdb_reply_buf(struct gdb *g, struct buf *b)
{
	gdb_link_send(&g->link, buf_str(b), b->len);
	buf_fini(b);
}

/* ---- Stop ---- */

static int gdb_signal(enum run_state s)
{
	switch (s) {
	case RUN_PRELAUNCH:
	case RUN_DEBUG: return GDB_SIGNAL_TRAP;
	case RUN_PAUSED: return GDB_SIGNAL_INT;
	case RUN_SHUTDOWN: return GDB_SIGNAL_QUIT;
	case RUN_IO_ERROR: return GDB_SIGNAL_IO;
	case RUN_WATCHDOG: return GDB_SIGNAL_ALRM;
	case RUN_INTERNAL_ERROR: return GDB_SIGNAL_ABRT;
	default: return GDB_SIGNAL_UNKNOWN;
	}
}

static void gdb_say_why(struct gdb *g, const struct vcpu_debug *d,
			struct buf *out)
{
	static const char *const watch[DEBUG_KIND_COUNT] = {
		[DEBUG_WATCH_WRITE] = "watch",
		[DEBUG_WATCH_READ] = "rwatch",
		[DEBUG_WATCH_ACCESS] = "awatch",
	};

	if (d->why == DEBUG_WATCHED)
		buf_printf(out, "%s:%llx;", watch[d->hit.kind],
			   (unsigned long long)d->hit.va);
	else if (d->why == DEBUG_BROKE && d->hit.kind == DEBUG_BREAK_SOFT &&
		 g->swbreak)
		buf_puts(out, "swbreak:;");
	else if (d->why == DEBUG_BROKE && d->hit.kind == DEBUG_BREAK_HARD &&
		 g->hwbreak)
		buf_puts(out, "hwbreak:;");
}

/* The vCPU that ran into something, if any. */
static int gdb_find_stopped(struct gdb *g)
{
	struct vcpu *v = gdb_vcpu(g, g->cpu);

	if (v && v->debug.why)
		return g->cpu;
	for (int n = 0; n < g->m->nvcpus; n++)
		if (g->m->vcpus[n] && g->m->vcpus[n]->debug.why)
			return n;
	return -1;
}

static void gdb_report(struct gdb *g, enum run_state state)
{
	struct buf out = { 0 };
	int n = gdb_find_stopped(g);

	g->waiting = false;
	if (n >= 0)
		g->cpu = g->cont_cpu = n;
	buf_printf(&out, "T%02xthread:%x;", gdb_signal(state), g->cpu + 1);
	if (n >= 0 && state == RUN_DEBUG) {
		gdb_say_why(g, &g->m->vcpus[n]->debug, &out);
		g->m->vcpus[n]->debug.why = DEBUG_NONE;
	}
	gdb_reply_buf(g, &out);
	gdb_flush(g);
}

/* For those who have not been reported: a breakpoint is still ahead, a watched
 * access is not. */
static void gdb_settle(struct gdb *g, bool all)
{
	for (int n = 0; n < g->m->nvcpus; n++) {
		struct vcpu *v = g->m->vcpus[n];

		if (!v)
			continue;
		v->debug.step = v->debug.held = false;
		v->debug.range_start = v->debug.range_end = 0;
		if (all || v->debug.why != DEBUG_WATCHED)
			v->debug.why = DEBUG_NONE;
	}
}

static void gdb_run_changed(void *arg, enum run_state old, enum run_state now)
{
	struct gdb *g = arg;

	if (now == RUN_RUNNING) {
		for (int n = 0; n < g->m->nvcpus; n++)
			if (g->m->vcpus[n])
				g->m->vcpus[n]->debug.why = DEBUG_NONE;
		return;
	}
	if (g->waiting)
		gdb_report(g, now);
	gdb_settle(g, false);
}

void gdb_release(struct gdb *g)
{
	bool running = run_state_running(g->m);

	if (running)
		vcpu_pause_all(g->m);
	debug_remove_all(g->m);
	gdb_settle(g, true);
	if (running)
		vcpu_resume_all(g->m);
}

/* ---- Run ---- */

static bool gdb_has_news(struct gdb *g)
{
	for (int n = 0; n < g->m->nvcpus; n++)
		if (g->m->vcpus[n] &&
		    g->m->vcpus[n]->debug.why == DEBUG_WATCHED)
			return true;
	return false;
}

void gdb_resume(struct gdb *g, const struct gdb_action *a)
{
	if (gdb_has_news(g)) {
		gdb_report(g, RUN_DEBUG);
		return;
	}
	for (int n = 0; n < g->m->nvcpus; n++) {
		struct vcpu *v = g->m->vcpus[n];

		if (!v)
			continue;
		v->debug.held = a[n].what == GDB_STAY;
		v->debug.step = a[n].what == GDB_STEP &&
				(g->step_flags & GDB_STEP_ENABLE);
		v->debug.step_irqs = !(g->step_flags & GDB_STEP_NO_IRQ);
		v->debug.range_start = a[n].start;
		v->debug.range_end = a[n].end;
	}
	g->waiting = true;
	if (machine_cont(g->m, NULL) < 0) {
		g->waiting = false;
		gdb_settle(g, true);
		gdb_reply_error(g, EINVAL);
	}
}

/* ---- In ---- */

static bool gdb_stalled(struct gdb *g)
{
	gdb_flush(g);
	return !g->open || g->command || g->link.out.len > GDB_OUTPUT;
}

static void gdb_take(struct gdb *g, u8 byte)
{
	switch (gdb_link_byte(&g->link, byte)) {
	case GDB_LINK_MORE: break;
	case GDB_LINK_INTERRUPT:
		if (run_state_running(g->m))
			machine_stop(g->m, RUN_PAUSED);
		break;
	case GDB_LINK_PACKET:
		if (run_state_running(g->m))
			machine_stop(g->m, RUN_PAUSED);
		gdb_packet(g);
		break;
	}
}

void gdb_pump(struct gdb *g)
{
	size_t at = 0;

	if (g->pumping)
		return;
	g->pumping = true;
	while (!gdb_stalled(g) && at < g->in_len)
		gdb_take(g, g->in[at++]);
	at = MIN(at, g->in_len); /* the client may be gone */
	memmove(g->in, g->in + at, g->in_len - at);
	g->in_len -= at;
	gdb_flush(g);
	g->pumping = false;
}

static size_t gdb_can_read(void *opaque)
{
	struct gdb *g = opaque;

	return sizeof g->in - g->in_len;
}

static void gdb_bytes(void *opaque, const u8 *data, size_t len)
{
	struct gdb *g = opaque;
	size_t n = MIN(len, sizeof g->in - g->in_len);

	memcpy(g->in + g->in_len, data, n);
	g->in_len += n;
	gdb_pump(g);
}

static void gdb_forget_command(struct gdb *g)
{
	if (g->command)
		g->command->g = NULL;
	g->command = NULL;
}

static void gdb_closed(struct gdb *g)
{
	if (!g->open)
		return;
	g->open = g->waiting = false;
	gdb_forget_command(g);
	g->in_len = 0;
	gdb_link_init(&g->link);
	gdb_release(g);
}

static void gdb_opened(struct gdb *g)
{
	gdb_closed(g);
	g->open = true;
	g->cpu = g->cont_cpu = 0;
	g->has = 0;
	g->physical = g->swbreak = g->hwbreak = false;
	g->step_flags = GDB_STEP_ENABLE | GDB_STEP_NO_IRQ | GDB_STEP_NO_TIMER;
	if (run_state_running(g->m))
		machine_stop(g->m, RUN_PAUSED);
}

static void gdb_event(void *opaque, enum chr_event event)
{
	struct gdb *g = opaque;

	switch (event) {
	case CHR_OPENED: gdb_opened(g); break;
	case CHR_CLOSED: gdb_closed(g); break;
	case CHR_WRITABLE:
		gdb_pump(g);
		if (g->in_len < sizeof g->in)
			chr_accept_input(g->chr);
		break;
	default: break;
	}
}

static const struct chr_front gdb_front = { gdb_can_read, gdb_bytes,
					    gdb_event };

/* ---- Start and end ---- */

/* And its chardev, unless that was there before. */
static void gdb_free(struct gdb *g)
{
	struct chardev *chr = g->own_chr ? g->chr : NULL;

	gdb_release(g);
	gdb_forget_command(g);
	run_notifier_remove(&g->notifier);
	buf_fini(&g->link.out);
	buf_fini(&g->link.last);
	buf_fini(&g->xml);
	free(g);
	if (chr)
		chr_remove(chr, NULL);
}

static void gdb_end(struct machine *m)
{
	struct gdb *g = m->gdb;

	if (!g)
		return;
	m->gdb = NULL;
	chr_detach(g->chr, g);
	gdb_free(g);
}

static int gdb_open(struct machine *m, const char *device,
		    const struct gdb_ops *ops, struct err *err)
{
	struct gdb *g;
	struct chardev *chr;
	struct buf text = { 0 };
	int r;

	buf_puts(&text, device);
	if (!strncmp(device, "tcp:", 4))
		buf_puts(&text, ",wait=off,nodelay=on,server=on");
	chr = chr_create_short(m->loop, buf_str(&text), "gdb", err);
	buf_fini(&text);
	if (!chr)
		return err ? err->code : -EINVAL;
	g = xalloc(sizeof *g);
	g->m = m;
	g->chr = chr;
	g->own_chr = strncmp(device, "chardev:", 8) != 0;
	g->ops = ops;
	g->notifier = (struct run_notifier){ .fn = gdb_run_changed, .arg = g };
	run_notifier_add(m, &g->notifier);
	r = chr_attach(chr, &gdb_front, g, err);
	if (r < 0) {
		gdb_free(g);
		return r;
	}
	m->gdb = g;
	if (chr_open(chr) && !g->open)
		gdb_opened(g);
	return 0;
}

int gdb_start(struct machine *m, const char *device, const struct gdb_ops *ops,
	      struct err *err)
{
	struct gdb *g = m->gdb;

	if (g && g->pumping)
		return err_set(err, -EBUSY, "gdb is using it");
	gdb_end(m);
	return strcmp(device, "none") ? gdb_open(m, device, ops, err) : 0;
}

void gdb_destroy(struct machine *m)
{
	struct gdb *g = m->gdb;

	if (!g)
		return;
	if (g->open && (g->waiting || g->ended)) {
		char text[8];

		snprintf(text, sizeof text, "W%02x",
			 (unsigned)m->exit_code & 0xff);
		gdb_reply(g, text);
		gdb_flush(g);
	}
	gdb_end(m);
}
