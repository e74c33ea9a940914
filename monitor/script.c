/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Sequences and repetition of commands.
 *
 * Between two commands the output leaves; while it cannot, nothing further
 * runs, so that a session holds the output of one command at most.
 */
#include "monitor/script.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/log.h"
#include "monitor/audit.h"
#include "monitor/filter.h"
#include "monitor/internal.h"
#include "vmm/machine.h"

#define SCRIPT_STAGES 8
#define SCRIPT_RETRY  (100 * NS_PER_MS) /* while output does not leave */

/* ---- one command ---- */

/* Sends what the command printed through the stages. */
static void script_filter(struct monitor *mon, char **stage, int n)
{
	struct buf text = { 0 };

	buf_append(&text, buf_str(&mon->out) + mon->out_start,
		   mon->out.len - mon->out_start);
	mon->out.len = mon->out_start;
	for (int i = 0; i < n; i++) {
		if (filter_apply(&mon->filters, &text, stage[i],
				 mon->script.current, mon_eol(mon)))
			continue;
		buf_clear(&text);
		buf_printf(&text,
			   "unknown filter '%s'; there are grep, head, tail, "
			   "count and diff%s",
			   stage[i], mon_eol(mon));
		mon->script.code = -EINVAL;
		break;
	}
	if (text.len)
		buf_append(&mon->out, text.data, text.len);
	buf_fini(&text);
}

static void script_done(struct monitor *mon)
{
	struct script *s = &mon->script;
	unsigned long long ms = (clock_mono_ns() - s->started_ns) / NS_PER_MS;

	if (audit_on())
		audit_command(mon->chr, "hmp", s->current ? s->current : "",
			      s->code < 0 ? strerror(-s->code) : "ok");
	if (mon->out_cut) {
		buf_printf(&mon->out,
			   "%s[output cut: a command may print %llu MiB]%s",
			   mon_eol(mon), MON_OUTPUT_MAX / MIB, mon_eol(mon));
	}
	transcript_answer(mon);
	if (mon->frames)
		return;
	if (!s->again)
		pager_begin(mon);
	mon->out_start = mon->log_from = mon->out.len;
	if (!mon->set_status)
		return;
	if (s->code < 0)
		mon_printf(mon, "[err %d %s, %llums]\n", -s->code,
			   strerror(-s->code), ms);
	else
		mon_printf(mon, "[ok %llums]\n", ms);
	transcript_answer(mon);
}

/* Cuts the line at each '|' outside quotes; returns their number. */
static int script_stages(char *line, char **stage)
{
	bool quoted = false;
	int n = 0;

	for (char *p = line; *p; p++) {
		if (*p == '\\' && quoted && p[1]) {
			p++;
		} else if (*p == '"') {
			quoted = !quoted;
		} else if (*p == '|' && !quoted && n < SCRIPT_STAGES) {
			*p = '\0';
			stage[n++] = p + 1;
			while (isspace((unsigned char)*stage[n - 1]))
				stage[n - 1]++;
		}
	}
	return n;
}

static void script_run(struct monitor *mon, const char *line, bool plain)
{
	struct script *s = &mon->script;
	char *copy = xstrdup(line), *stage[SCRIPT_STAGES];
	int stages = plain ? 0 : script_stages(copy, stage);

	mon->cpu_valid = false;
	mon_frame_begin(mon);
	mon->out_cut = false;
	s->started_ns = clock_mono_ns();
	free(s->current);
	s->current = xstrdup(line);
	transcript_line(mon, line);
	s->code = command_run(mon, copy);
	log_item(LOG_MONITOR, "%s: %s: %s", mon_label(mon), line,
		 s->code < 0 ? strerror(-s->code) : "ok");
	if (!mon->busy) {
		if (stages && mon->open)
			script_filter(mon, stage, stages);
		script_done(mon);
	}
	free(copy);
}

/* ---- sequences ---- */

/* Takes the next command out of the rest; NULL: nothing was left but
 * comments.  *and: "&&" comes behind it. */
static char *script_take(struct script *s, bool *and)
{
	const char *text = buf_str(&s->rest), *p = text;
	bool quoted = false;
	size_t skip = 0;
	char *line;

	*and = false;
	for (; *p; p++) {
		if (*p == '\\' && quoted && p[1])
			p++;
		else if (*p == '"')
			quoted = !quoted;
		else if (*p == '\n' || (!s->plain && !quoted && *p == ';'))
			break;
		else if (!s->plain && !quoted && *p == '&' && p[1] == '&')
			break;
		else if (!s->plain && !quoted && *p == '#' &&
			 (p == text || isspace((unsigned char)p[-1])))
			break;
	}
	line = xprintf("%.*s", (int)(p - text), text);
	if (*p == '#')
		p += strcspn(p, "\n");
	*and = *p == '&';
	skip = p - text + (*p ? 1 + *and : 0);
	buf_consume(&s->rest, skip);
	return line;
}

static void script_end(struct monitor *mon)
{
	struct script *s = &mon->script;

	s->active = false;
	s->only_if_ok = false;
	buf_fini(&s->rest);
	if (mon->frames && !mon->framing) /* nothing was run */
		mon_frame_begin(mon);
	mon_frame_end(mon, '=', s->code);
	if (!mon->quitting && !mon->frames)
		rl_prompt(&mon->rl);
}

static void script_again(struct monitor *mon)
{
	struct script *s = &mon->script;

	if (s->left) {
		mon_frame_end(mon, '+', s->code);
		timer_set(&s->timer, clock_mono_ns() + s->interval_ns);
		return;
	}
	free(s->again);
	s->again = NULL;
}

void script_go(struct monitor *mon)
{
	struct script *s = &mon->script;
	bool first = true;

	while (s->active && !mon->busy && !mon->held.len && !mon->quitting &&
	       !timer_armed(&s->timer)) {
		bool and, skip;
		char *line;

		if (s->again) {
			script_again(mon);
			continue;
		}
		if (!s->rest.len) {
			script_end(mon);
			return;
		}
		mon_frame_end(mon, '+', s->code);
		if (!first)
			mon_flush(mon);
		if (!first && mon->out.len)
			return; /* until it has left */
		first = false;
		line = script_take(s, &and);
		skip = s->only_if_ok && s->code < 0;
		s->only_if_ok = and;
		if (!skip)
			script_run(mon, line, s->plain);
		free(line);
	}
}

void script_line(struct monitor *mon, const char *line)
{
	struct script *s = &mon->script;

	s->plain = !mon->set_syntax;
	s->active = true;
	s->code = 0;
	if (!s->plain) {
		buf_puts(&s->rest, line);
		script_go(mon);
		if (s->active && !s->rest.len && !mon->busy && !s->again &&
		    !mon->held.len)
			script_end(mon);
		return;
	}
	script_run(mon, line, true);
	script_go(mon);
}

void script_resume(struct monitor *mon, const struct err *err)
{
	mon->script.code = err && err->msg[0] ? err->code : 0;
	script_done(mon);
	script_go(mon);
}

int script_source(struct monitor *mon, const char *text, struct err *err)
{
	struct script *s = &mon->script;
	struct buf rest = { 0 };

	if (!s->active)
		return err_set(err, -ENOTSUP, "takes a human monitor session");
	if (strlen(text) + s->rest.len > SCRIPT_MAX)
		return err_set(err, -E2BIG, "more than %llu bytes of commands",
			       SCRIPT_MAX);
	buf_printf(&rest, "%s\n", text);
	if (s->rest.len)
		buf_append(&rest, s->rest.data, s->rest.len);
	buf_fini(&s->rest);
	s->rest = rest;
	s->plain = false;
	return 0;
}

/* ---- repetition ---- */

static void script_tick(void *arg)
{
	struct monitor *mon = arg;
	struct script *s = &mon->script;

	mon_frame_end(mon, '+', s->code);
	mon_flush(mon);
	if (mon->out.len) {
		timer_set(&s->timer, clock_mono_ns() + SCRIPT_RETRY);
		return;
	}
	if (!mon->open) { /* nobody sees it */
		script_interrupt(mon);
		return;
	}
	if (s->left != UINT32_MAX)
		s->left--;
	script_run(mon, s->again, false);
	script_go(mon);
	mon_wake(mon);
}

int script_repeat(struct monitor *mon, const char *line, u32 times,
		  u64 interval_ns, struct err *err)
{
	struct script *s = &mon->script;

	if (!s->active || s->again)
		return err_set(err, -ENOTSUP,
			       s->active ? "there is a repetition already"
					 : "takes a human monitor session");
	s->again = xstrdup(line);
	s->left = times;
	s->interval_ns = interval_ns;
	if (times)
		timer_set(&s->timer, clock_mono_ns());
	return 0;
}

void script_interrupt(struct monitor *mon)
{
	struct script *s = &mon->script;

	if (!s->again)
		return;
	timer_cancel(&s->timer);
	free(s->again);
	s->again = NULL;
	buf_fini(&s->rest);
	if (mon->busy)
		return;
	if (!mon->frames)
		mon_puts(mon, "^C\n");
	script_end(mon);
	mon_wake(mon);
}

void script_init(struct monitor *mon)
{
	timer_init(&mon->script.timer, mon->m->loop, script_tick, mon);
}

void script_fini(struct monitor *mon)
{
	struct script *s = &mon->script;

	timer_cancel(&s->timer);
	free(s->again);
	free(s->current);
	buf_fini(&s->rest);
}
