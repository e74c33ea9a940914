/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Monitor sessions: bytes in, lines run, output out.
 *
 * Flow control: output waits in `out` until the chardev takes it.  While
 * anything waits there, no further input is looked at, and can_read() tells
 * the chardev to read no more; so a session holds at most the output of one
 * command.  When the peer goes, what it sent is still run and the output is
 * dropped.
 *
 * Locking: machine_lock.
 */
#include "monitor/monitor.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "chardev/chardev.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/loop.h"
#include "lib/opt.h"
#include "monitor/audit.h"
#include "monitor/door.h"
#include "monitor/dump.h"
#include "monitor/internal.h"
#include "monitor/qmp.h"
#include "vmm/machine.h"
#include "vmm/vcpu.h"

#define MON_PROMPT     "(qemu) "
#define MON_EVENTS_MAX (64 * KIB) /* that wait for the peer */
/* Scripts written for QEMU look for "QEMU" and "monitor" in the first line,
 * and take the number for the dialect that is spoken. */
#define MON_BANNER                                 \
	"QEMU 7.2 (vmon " VMON_VERSION ") monitor" \
	" - type 'help' for more information\n"

static struct list monitors = LIST_INIT(monitors);

/* ---- output ---- */

static void mon_drop_output(struct monitor *mon)
{
	buf_clear(&mon->out);
	mon->out_start = mon->log_from = 0;
	mon->framing = false;
}

void mon_flush(struct monitor *mon)
{
	size_t ready, n;

	if (!mon->open)
		mon_drop_output(mon);
	/* A frame waits for its head. */
	ready = mon->framing ? mon->out_start : mon->out.len;
	if (!ready || !mon->focused || !mon->chr)
		return;
	n = chr_write(mon->chr, mon->out.data, ready);
	n = MIN(n, ready);
	buf_consume(&mon->out, n);
	mon->out_start -= MIN(n, mon->out_start);
	mon->log_from -= MIN(n, mon->log_from);
}

static void mon_raw(struct monitor *mon, const char *data, size_t len)
{
	if (!mon->open)
		return;
	if (mon->out.len - mon->out_start > MON_OUTPUT_MAX) {
		mon->out_cut = true;
		return;
	}
	buf_append(&mon->out, data, len);
}

/* `set time on` */
static void mon_stamp(struct monitor *mon)
{
	u64 now = clock_realtime_ns();
	time_t t = (time_t)(now / NS_PER_S);
	struct tm tm;
	char text[40];
	int n;

	if (!mon->set_time || mon->line_begun)
		return;
	mon->line_begun = true;
	localtime_r(&t, &tm);
	n = snprintf(text, sizeof text, "[%02d:%02d:%02d.%03d] ", tm.tm_hour,
		     tm.tm_min, tm.tm_sec, (int)(now / NS_PER_MS % 1000));
	mon_raw(mon, text, n);
}

const char *mon_eol(const struct monitor *mon)
{
	return mon->frames ? "\n" : "\r\n";
}

void mon_puts(struct monitor *mon, const char *s)
{
	const char *nl;

	for (; (nl = strchr(s, '\n')); s = nl + 1) {
		mon_stamp(mon);
		mon_raw(mon, s, nl - s);
		mon_raw(mon, mon_eol(mon), strlen(mon_eol(mon)));
		mon->line_begun = false;
	}
	if (*s)
		mon_stamp(mon);
	mon_raw(mon, s, strlen(s));
}

void mon_printf(struct monitor *mon, const char *fmt, ...)
{
	struct buf b = { 0 };
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	mon_puts(mon, buf_str(&b));
	buf_fini(&b);
}

int mon_say_error(struct monitor *mon, struct err *err, int r)
{
	if (r < 0) {
		mon_printf(mon, "%s\n", err->msg);
		err->msg[0] = '\0';
	}
	return r;
}

/* ---- lines ---- */

static void mon_rl_write(void *opaque, const char *data, size_t len)
{
	mon_raw(opaque, data, len);
}

static void mon_rl_line(void *opaque, const char *line)
{
	struct monitor *mon = opaque;

	mon->line_begun = false;
	script_line(mon, line);
}

/* The terminal that vmon has; one at the far end of a wire has no size. */
u32 mon_columns(struct monitor *mon)
{
	u32 columns, rows;

	if (mon->set_width)
		return mon->set_width;
	return chr_window(mon->chr, &columns, &rows) ? columns : 0;
}

static u32 mon_rl_columns(void *opaque)
{
	return mon_columns(opaque);
}

static void mon_rl_remember(void *opaque, const char *line)
{
	history_line(opaque, line);
}

static void mon_rl_leave(void *opaque)
{
	struct monitor *mon = opaque;

	chr_hang_up(mon->chr);
}

static const struct readline_ops mon_rl_ops = {
	.write = mon_rl_write,
	.line = mon_rl_line,
	.complete = command_complete,
	.columns = mon_rl_columns,
	.remember = mon_rl_remember,
	.leave = mon_rl_leave,
};

/* ---- frames ---- */

/* Into the output, before what was begun last. */
static void mon_insert(struct monitor *mon, const char *text)
{
	struct buf rest = { 0 };

	buf_append(&rest, buf_str(&mon->out) + mon->out_start,
		   mon->out.len - mon->out_start);
	mon->out.len = mon->out_start;
	buf_puts(&mon->out, text);
	mon->out_start = mon->out.len;
	mon->log_from += strlen(text);
	buf_append(&mon->out, rest.data, rest.len);
	buf_fini(&rest);
}

void mon_frame_begin(struct monitor *mon)
{
	mon->out_start = mon->out.len;
	mon->framing = mon->frames;
}

void mon_frame_end(struct monitor *mon, char kind, int code)
{
	size_t len = mon->out.len - mon->out_start;
	char head[96];

	if (!mon->framing)
		return;
	if (code < 0)
		snprintf(head, sizeof head, "%c%llu err %zu %s\n", kind,
			 (unsigned long long)mon->frame, len,
			 strerrorname_np(-code) ? strerrorname_np(-code)
						: "EINVAL");
	else
		snprintf(head, sizeof head, "%c%llu ok %zu\n", kind,
			 (unsigned long long)mon->frame, len);
	mon_insert(mon, head);
	mon->framing = false;
	mon->out_start = mon->out.len;
}

/* A byte of a line in script mode: no echo, no keys. */
static void mon_frame_byte(struct monitor *mon, u8 byte)
{
	struct readline *rl = &mon->rl;
	bool whole = rl->len < RL_LINE_MAX;

	if (byte != '\n') {
		if (whole && byte)
			rl->line[rl->len++] = (char)byte;
		return;
	}
	if (rl->len && rl->line[rl->len - 1] == '\r')
		rl->len--;
	rl->line[rl->len] = '\0';
	rl->len = 0;
	mon->frame++;
	if (whole) {
		mon_rl_line(mon, rl->line);
		return;
	}
	mon_frame_begin(mon);
	mon_printf(mon, "a line has less than %d bytes\n", RL_LINE_MAX);
	mon_frame_end(mon, '=', -E2BIG);
}

/* ---- chardev ---- */

static void mon_prompt(struct monitor *mon)
{
	if (!mon->frames)
		rl_prompt(&mon->rl);
}

/* Looks at the input until it is used up or output has to wait. */
static void mon_pump(struct monitor *mon)
{
	size_t at = 0;

	if (mon->running)
		return;
	mon->running = true;
	mon_flush(mon);
	if (!mon->out.len)
		script_go(mon);
	while (at < mon->in_len && !mon->out.len && !mon->quitting &&
	       !mon->busy && (!mon->script.active || mon->held.len)) {
		size_t stop = at;

		if (mon->held.len) {
			pager_key(mon, mon->in[at++]);
			mon_flush(mon);
			continue;
		}

		/* A line at a time, so that echo leaves in one piece. */
		while (stop < mon->in_len && mon->in[stop] != '\r' &&
		       mon->in[stop] != '\n')
			stop++;
		stop = MIN(stop + 1, mon->in_len);
		for (; at < stop; at++) {
			if (mon->frames)
				mon_frame_byte(mon, mon->in[at]);
			else
				rl_byte(&mon->rl, mon->in[at]);
		}
		mon_flush(mon);
	}
	mon->in_len -= at;
	memmove(mon->in, mon->in + at, mon->in_len);
	mon->running = false;
	if (!mon->open && !mon->busy &&
	    !mon->script.active) { /* a half-typed line is lost */
		mon->in_len = 0;
		rl_reset(&mon->rl);
	}
}

static size_t mon_can_read(void *opaque)
{
	struct monitor *mon = opaque;

	/* For a Ctrl-C that ends a repetition. */
	if ((mon->script.again || mon->held.len || mon->waiting) &&
	    !mon->running)
		return MON_INPUT_MAX - mon->in_len;
	if (mon->out.len || mon->running || mon->quitting || mon->busy ||
	    mon->script.active)
		return 0;
	return MON_INPUT_MAX - mon->in_len;
}

/* Drops all up to a Ctrl-C, if there is one. */
static bool mon_take_interrupt(struct monitor *mon)
{
	const u8 *at = memchr(mon->in, 0x03, mon->in_len);
	size_t n;

	if (!at)
		return false;
	n = at + 1 - mon->in;
	mon->in_len -= n;
	memmove(mon->in, at + 1, mon->in_len);
	return true;
}

static void mon_read_input(void *opaque, const u8 *data, size_t len)
{
	struct monitor *mon = opaque;

	len = MIN(len, MON_INPUT_MAX - mon->in_len);
	memcpy(mon->in + mon->in_len, data, len);
	mon->in_len += len;
	if ((mon->script.again || mon->waiting) && mon_take_interrupt(mon)) {
		wait_abandon(mon);
		script_interrupt(mon);
	}
	mon_pump(mon);
}

void mon_suspend(struct monitor *mon)
{
	mon->busy = true;
}

void mon_resume(struct monitor *mon, const struct err *err)
{
	mon->busy = false;
	if (mon->resumed) {
		mon->resumed(mon->opaque, err);
		return;
	}
	if (err && err->msg[0])
		mon_printf(mon, "Error: %s\n", err->msg);
	script_resume(mon, err);
	mon_wake(mon);
}

void mon_wake(struct monitor *mon)
{
	mon_pump(mon);
	if (!mon->out.len)
		chr_accept_input(mon->chr);
	if (!mon->open)
		mon_reap_later(mon->m, mon->chr);
}

const char *mon_label(const struct monitor *mon)
{
	return mon->chr ? chr_label(mon->chr) : "qmp";
}

void mon_list_sessions(const struct monitor *self, struct buf *out)
{
	struct monitor *mon;

	list_for_each (mon, &monitors, node) {
		buf_printf(out, "%c %-18s human  ", mon == self ? '*' : ' ',
			   mon_label(mon));
		chr_filename(mon->chr, out);
		if (!mon->open)
			buf_puts(out, " (nobody)");
		mon_list_peer(mon->chr, mon->role, out);
	}
}

void mon_list_peer(struct chardev *chr, enum monitor_role role, struct buf *out)
{
	u32 pid, uid;

	if (chr_peer(chr, &pid, &uid))
		buf_printf(out, " pid %u uid %u", pid, uid);
	if (role != MONITOR_ADMIN)
		buf_printf(out, " may %s", role_name(role));
	buf_putc(out, '\n');
}

/* Between two frames; not for a peer that does not read. */
static void mon_frame_event(struct monitor *mon, const char *text)
{
	char *line;

	if (mon->out_start > MON_EVENTS_MAX)
		return;
	if (!mon->framing)
		mon->out_start = mon->out.len;
	line = xprintf("!%s\n", text);
	mon_insert(mon, line);
	free(line);
	mon_flush(mon);
}

/* Above the line that is being typed; a session at work hears it later, by
 * looking. */
void mon_tell_event(const char *text)
{
	struct monitor *mon;

	list_for_each (mon, &monitors, node) {
		if (!mon->set_events || !mon->open)
			continue;
		if (mon->frames) {
			mon_frame_event(mon, text);
			continue;
		}
		if (mon->out.len || mon->held.len)
			continue;
		if (!mon->script.active)
			mon_raw(mon, "\r\033[K", 4);
		mon->line_begun = false;
		mon_printf(mon, "[event %s]\n", text);
		if (!mon->script.active) {
			rl_prompt(&mon->rl);
			mon_flush(mon);
		}
	}
}

static void mon_greet(struct monitor *mon)
{
	if (!mon->greeted && !mon->frames)
		mon_puts(mon, MON_BANNER);
	mon->greeted = true;
	rl_reset(&mon->rl);
	if (!mon->busy && !mon->script.active)
		mon_prompt(mon);
	mon_flush(mon);
}

static void mon_opened(struct monitor *mon)
{
	mon->open = true;
	mon->greeted = false;
	mon->frame = 0;
	mon_drop_output(mon);
	if (mon->focused)
		mon_greet(mon);
}

static void mon_free(struct monitor *mon)
{
	list_remove(&mon->node);
	rl_fini(&mon->rl);
	script_fini(mon);
	history_close(mon);
	transcript_close(mon);
	filters_fini(&mon->filters);
	buf_fini(&mon->held);
	buf_fini(&mon->out);
	json_decref(mon->result);
	free(mon);
}

static bool mon_is_guest(const struct chardev *chr)
{
	return chr_label(chr)[0] == '#'; /* monitor/door.c */
}

static void mon_end(struct monitor *mon)
{
	struct chardev *chr = mon->chr;

	mon_frame_end(mon, '=', mon->busy ? -ECANCELED : 0);
	mon_flush(mon);
	chr_detach(chr, mon);
	mon_free(mon);
	if (mon_is_guest(chr)) {
		door_left(chr_label(chr));
		(void)chr_remove(chr, NULL);
	}
}

/* Ends the sessions that came through a door and have no peer any more. */
static void mon_reap(void *arg)
{
	struct monitor *mon, *next;

	list_for_each_safe (mon, next, &monitors, node)
		if (mon_is_guest(mon->chr) && !mon->open && !mon->busy &&
		    !mon->script.active)
			mon_end(mon);
	qmp_reap();
}

void mon_reap_later(struct machine *m, const struct chardev *chr)
{
	if (chr && mon_is_guest(chr))
		loop_post(m->loop, mon_reap, NULL);
}

static void mon_closed(struct monitor *mon)
{
	mon->open = false;
	script_interrupt(mon);
	mon->set_abbrev = mon->set_status = mon->set_syntax = mon->set_time =
		mon->set_events = mon->set_expr_c = false;
	mon->set_width = mon->set_pager = 0;
	buf_fini(&mon->held);
	filters_fini(&mon->filters);
	transcript_close(mon);
	wait_abandon(mon);
	mon_pump(mon);
	mon_reap_later(mon->m, mon->chr);
}

static void mon_event(void *opaque, enum chr_event event)
{
	struct monitor *mon = opaque;

	switch (event) {
	case CHR_OPENED: mon_opened(mon); break;
	case CHR_CLOSED: mon_closed(mon); break;
	case CHR_FOCUS_IN:
		mon->focused = true;
		if (mon->open)
			mon_greet(mon);
		break;
	case CHR_FOCUS_OUT:
		rl_reset(&mon->rl);
		if (!mon->frames)
			mon_puts(mon, "\n");
		mon_flush(mon);
		mon->focused = false;
		break;
	case CHR_WRITABLE:
		mon_pump(mon);
		if (!mon->out.len)
			chr_accept_input(mon->chr);
		break;
	case CHR_BREAK: break;
	}
}

static const struct chr_front mon_front = {
	.can_read = mon_can_read,
	.read = mon_read_input,
	.event = mon_event,
};

/* ---- the default vCPU ---- */

struct vcpu *mon_vcpu(struct monitor *mon)
{
	if (!vcpu_plugged(mon->m, mon->cpu_index))
		mon->cpu_index = 0;
	return mon->m->nvcpus ? mon->m->vcpus[mon->cpu_index] : NULL;
}

static void mon_cpu_fetch(struct vcpu *v, void *arg)
{
	*(struct cpu_state *)arg = *vcpu_cpu(v);
}

void mon_cpu_copy(struct vcpu *v, struct cpu_state *ret)
{
	vcpu_run_on(v, mon_cpu_fetch, ret);
}

const struct cpu_state *mon_cpu(struct monitor *mon)
{
	struct vcpu *v = mon_vcpu(mon);

	if (!v)
		return NULL;
	if (!mon->cpu_valid)
		mon_cpu_copy(v, &mon->cpu);
	mon->cpu_valid = true;
	return &mon->cpu;
}

/* ---- life ---- */

static struct monitor *mon_new(struct machine *m, struct chardev *chr)
{
	struct monitor *mon = xalloc(sizeof *mon);

	mon->m = m;
	mon->chr = chr;
	mon->history_fd = mon->log_fd = -1;
	mon->print_fmt = (struct mem_fmt){ .format = 'd' };
	mon->dump_fmt = (struct mem_fmt){ .format = 'x', .size = 4 };
	list_init(&mon->node);
	rl_init(&mon->rl, &mon_rl_ops, mon, MON_PROMPT);
	script_init(mon);
	return mon;
}

struct monitor *mon_detached_create(struct machine *m,
				    void (*resumed)(void *opaque,
						    const struct err *err),
				    void *opaque)
{
	struct monitor *mon = mon_new(m, NULL);

	mon->open = true;
	mon->resumed = resumed;
	mon->opaque = opaque;
	return mon;
}

void mon_detached_begin(struct monitor *mon)
{
	mon_drop_output(mon);
	mon->out_cut = false;
	mon->cpu_valid = false;
}

void mon_detached_free(struct monitor *mon)
{
	mon_free(mon);
}

int monitor_options_take(struct opts *o, struct monitor_options *ret,
			 struct err *err)
{
	static const char *const modes[] = { "readline", "control", "script" };
	const char *mode = opts_take(o, "mode");
	const char *pretty = opts_take(o, "pretty");
	const char *role = opts_take(o, "role");
	size_t i = 0;

	*ret = (struct monitor_options){ 0 };
	while (mode && i < ARRAY_SIZE(modes) && strcmp(mode, modes[i]))
		i++;
	if (i == ARRAY_SIZE(modes))
		return err_set(err, -EINVAL,
			       "Invalid value '%s' for monitor mode; accepted: "
			       "readline, control, script",
			       mode);
	if (pretty && strcmp(pretty, "on") && strcmp(pretty, "off"))
		return err_set(err, -EINVAL,
			       "Parameter 'pretty' expects 'on' or 'off'");
	ret->mode = (enum monitor_mode)i;
	ret->pretty = pretty && !strcmp(pretty, "on");
	ret->history = opts_take(o, "history");
	return role ? role_parse(role, &ret->role, err) : 0;
}

int monitor_create(struct machine *m, struct chardev *chr,
		   const struct monitor_options *options, struct err *err)
{
	static const struct monitor_options none;
	const struct monitor_options *o = options ? options : &none;
	struct monitor *mon;
	int r;

	if (o->mode == MONITOR_CONTROL)
		return qmp_create(m, chr, o, err);
	mon = mon_new(m, chr);
	mon->frames = o->mode == MONITOR_SCRIPT;
	mon->role = o->role;
	mon->fds_from = chr;
	chr_want_fds(chr);
	mon->focused = !chr_is_mux(chr);
	r = o->history ? history_open(mon, o->history, err) : 0;
	list_append(&monitors, &mon->node);
	events_listen(m);
	if (r == 0)
		r = chr_attach(chr, &mon_front, mon, err);
	if (r < 0) {
		mon_free(mon);
		return r;
	}
	if (chr_open(chr) && !mon->open)
		mon_opened(mon);
	return 0;
}

bool monitor_uses(const struct chardev *chr)
{
	struct monitor *mon;

	list_for_each (mon, &monitors, node)
		if (mon->chr == chr && !chr_is_mux(chr))
			return true;
	return false;
}

void monitor_destroy_all(void)
{
	struct monitor *mon, *next;

	door_close_all();
	wait_end_all();
	list_for_each_safe (mon, next, &monitors, node)
		mon_end(mon);
	qmp_destroy_all();
	guest_forget();
	dump_abort();
	audit_close();
}
