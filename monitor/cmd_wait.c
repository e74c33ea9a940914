/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * `wait`: the answer comes when the machine is in a state, or an event came;
 * and system_powerdown, which may wait for the outcome.
 *
 * A wait ends with its time, and with the peer that asked.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/loop.h"
#include "monitor/internal.h"
#include "vmm/event.h"
#include "vmm/machine.h"
#include "vmm/runstate.h"

#define WAIT_SECONDS 60 /* when nothing else is said */
#define WAIT_POLL_NS (20 * NS_PER_MS)

struct mon_wait {
	struct monitor *mon;
	struct list node;
	struct event_listener listener; /* for an event */
	struct run_notifier notifier;   /* for a state */
	bool state;
	int what; /* enum event_id, enum run_state */
	struct timer timer;
	double seconds;
	const char *otherwise; /* what is said when the time is over */
	/* Of wait_poll(); NULL. */
	int (*ready)(struct monitor *mon, void *arg, struct err *err);
	void (*fini)(void *arg);
	void *arg;
	struct timer poll;
	bool over; /* it will be freed from the loop */
	struct err err;
};

static struct list waits = LIST_INIT(waits);

static void wait_free(struct mon_wait *w)
{
	event_listen_end(&w->listener);
	if (w->state)
		run_notifier_remove(&w->notifier);
	if (w->ready) {
		timer_cancel(&w->poll);
		w->fini(w->arg);
	}
	timer_cancel(&w->timer);
	list_remove(&w->node);
	free(w);
}

static void wait_finish(struct mon_wait *w)
{
	struct monitor *mon = w->mon;
	struct err err = w->err;

	wait_free(w);
	mon->waiting = false;
	mon_resume(mon, &err);
}

static void wait_on_timer(void *arg)
{
	struct mon_wait *w = arg;

	err_set(&w->err, -ETIMEDOUT, "%s in %g s", w->otherwise, w->seconds);
	wait_finish(w);
}

static void wait_posted(void *arg)
{
	struct mon_wait *w;

	list_for_each (w, &waits, node) {
		if (w == arg && w->over) {
			wait_finish(w);
			return;
		}
	}
}

/* From within an event, in any thread: the session goes on from the loop. */
static void wait_over(struct mon_wait *w)
{
	if (!w->over)
		loop_post(w->mon->m->loop, wait_posted, w);
	w->over = true;
}

static void wait_heard(void *arg, enum event_id id, const struct event_value *v)
{
	struct mon_wait *w = arg;

	if ((int)id == w->what)
		wait_over(w);
}

static void wait_changed(void *arg, enum run_state old, enum run_state now)
{
	struct mon_wait *w = arg;

	if ((int)now == w->what)
		wait_over(w);
}

void wait_abandon(struct monitor *mon)
{
	struct mon_wait *w;

	list_for_each (w, &waits, node) {
		if (w->mon != mon || w->over)
			continue;
		err_set(&w->err, -ECANCELED, "interrupted");
		wait_over(w);
	}
}

void wait_end_all(void)
{
	struct mon_wait *w, *next;

	list_for_each_safe (w, next, &waits, node) {
		struct monitor *mon = w->mon;
		bool over = w->over;

		if (over && mon->resumed) {
			wait_finish(w);
			continue;
		}
		wait_free(w);
		mon->waiting = false;
		/* What came with the end is an outcome, too. */
		mon->busy = mon->busy && !over;
	}
}

static struct mon_wait *wait_new(struct monitor *mon, double seconds,
				 const char *otherwise)
{
	struct mon_wait *w = xalloc(sizeof *w);

	w->mon = mon;
	w->seconds = seconds;
	w->otherwise = otherwise;
	list_append(&waits, &w->node);
	timer_init(&w->timer, mon->m->loop, wait_on_timer, w);
	timer_set(&w->timer,
		  clock_mono_ns() + (u64)(seconds * (double)NS_PER_S));
	mon->waiting = true;
	mon_suspend(mon);
	return w;
}

static void wait_on_poll(void *arg)
{
	struct mon_wait *w = arg;

	if (w->ready(w->mon, w->arg, &w->err))
		wait_finish(w);
	else
		timer_set(&w->poll, clock_mono_ns() + WAIT_POLL_NS);
}

void wait_poll(struct monitor *mon, double seconds,
	       int (*ready)(struct monitor *mon, void *arg, struct err *err),
	       void (*fini)(void *arg), void *arg, const char *otherwise)
{
	struct mon_wait *w = wait_new(mon, seconds, otherwise);

	w->ready = ready;
	w->fini = fini;
	w->arg = arg;
	timer_init(&w->poll, mon->m->loop, wait_on_poll, w);
	timer_set(&w->poll, clock_mono_ns());
}

static void wait_start(struct monitor *mon, bool state, int what,
		       double seconds, const char *otherwise)
{
	struct mon_wait *w = wait_new(mon, seconds, otherwise);

	w->state = state;
	w->what = what;
	if (state) {
		w->notifier.fn = wait_changed;
		w->notifier.arg = w;
		run_notifier_add(mon->m, &w->notifier);
	} else {
		w->listener.fn = wait_heard;
		w->listener.arg = w;
		event_listen(mon->m, &w->listener);
	}
}

int mon_parse_seconds(const char *what, const char *text, double *ret,
		      struct err *err)
{
	char *end;
	double v = strtod(text, &end);

	if (*end || end == text || !(v > 0) || v > 1e6)
		return err_set(err, -EINVAL, "%stakes seconds, not '%s'", what,
			       text);
	*ret = v;
	return 0;
}

/* "status=STATE" or "event=NAME"; -EINVAL. */
static int wait_parse(const char *text, bool *ret_state, struct err *err)
{
	if (!strncmp(text, "status=", 7)) {
		*ret_state = true;
		for (int i = 0; i < RUN_STATE_COUNT; i++)
			if (!strcmp(run_state_name(i), text + 7))
				return i;
		return err_set(err, -EINVAL, "there is no state '%s'",
			       text + 7);
	}
	*ret_state = false;
	if (strncmp(text, "event=", 6))
		return err_set(err, -EINVAL,
			       "waits for status=STATE or event=NAME");
	for (int i = 0; i < EVENT_COUNT; i++)
		if (!strcmp(event_classes[i].name, text + 6))
			return i;
	return err_set(err, -EINVAL, "there is no event '%s'", text + 6);
}

int cmd_wait(struct monitor *mon, const struct args *a, struct err *err)
{
	const char *limit = args_str(a, "seconds");
	double seconds = WAIT_SECONDS;
	bool state;
	int r, what = wait_parse(args_str(a, "what"), &state, err);

	if (what < 0)
		return what;
	r = limit ? mon_parse_seconds("", limit, &seconds, err) : 0;
	if (r < 0)
		return r;
	if (!state || mon->m->run.state != (enum run_state)what)
		wait_start(mon, state, what, seconds, "that did not come");
	return 0;
}

/* ---- system_powerdown ---- */

int cmd_system_powerdown(struct monitor *mon, const struct args *a,
			 struct err *err)
{
	const char *limit = args_str(a, "wait");
	double seconds;
	int r = limit ? mon_parse_seconds("-w ", limit, &seconds, err) : 0;

	if (r < 0)
		return r;
	if (limit && mon->m->run.state == RUN_SHUTDOWN)
		return 0;
	if (limit)
		wait_start(mon, false, EVENT_SHUTDOWN, seconds,
			   "the guest has not shut down");
	runstate_request_powerdown(mon->m);
	return 0;
}
