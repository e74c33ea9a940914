/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Events: what happens to the machine becomes a message for every session.
 *
 * Of the kinds that may come in thousands, one a second is told, the last one.
 *
 * Locking: machine_lock.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/loop.h"
#include "monitor/qmp.h"
#include "vmm/event.h"
#include "vmm/machine.h"

#define EVENTS_PAST_MAX 256 /* that are remembered */

/* What waits because an event of its kind was shown within a second. */
struct events_throttle {
	struct list node;
	struct timer timer;
	struct machine *m;
	enum event_id id;
	char *key;       /* owned; the first text of the event */
	json_t *pending; /* owned; NULL */
};

static struct list events_throttles = LIST_INIT(events_throttles);
static struct event_listener events_listener;
/* For `info events`: a ring of the latest. */
static json_t *events_past[EVENTS_PAST_MAX]; /* owned */
static u64 events_past_count;

static json_t *events_message(enum event_id id, const struct event_value *v)
{
	const struct event_class *c = &event_classes[id];
	u64 now = clock_realtime_ns();
	json_t *data = json_object();
	json_t *e = json_pack("{s{sI sI} ss}", "timestamp", "seconds",
			      (json_int_t)(now / NS_PER_S), "microseconds",
			      (json_int_t)(now % NS_PER_S / NS_PER_US), "event",
			      c->name);

	for (int i = 0; c->field[i].type != EVENT_END; i++) {
		const struct event_field *f = &c->field[i];

		if (f->type == EVENT_FLAG)
			json_object_set_new(data, f->name,
					    json_boolean(v[i].num));
		else if (f->type == EVENT_NUM)
			json_object_set_new(data, f->name,
					    json_integer(v[i].num));
		else if (v[i].text)
			json_object_set_new(data, f->name,
					    val_string(v[i].text));
	}
	if (json_object_size(data))
		json_object_set(e, "data", data);
	json_decref(data);
	return e;
}

static void events_tell_humans(const json_t *e)
{
	const json_t *data = json_object_get(e, "data");
	char *text = data ? json_dumps(data, JSON_PRESERVE_ORDER) : NULL;
	char *line = xprintf("%s%s%s", val_str(e, "event"), text ? " " : "",
			     text ? text : "");

	mon_tell_event(line);
	free(line);
	free(text);
}

/* Takes the reference. */
static void events_tell(json_t *e)
{
	json_decref(events_past[events_past_count % EVENTS_PAST_MAX]);
	events_past[events_past_count++ % EVENTS_PAST_MAX] = json_incref(e);
	qmp_broadcast(e);
	events_tell_humans(e);
	json_decref(e);
}

json_t *query_events(struct monitor *mon, const struct args *a, struct err *err)
{
	u64 n = MIN(events_past_count, (u64)EVENTS_PAST_MAX);
	json_t *list = json_array();

	if (args_has(a, "count"))
		n = MIN(n, args_u64(a, "count"));
	for (u64 i = events_past_count - n; i < events_past_count; i++)
		json_array_append(list, events_past[i % EVENTS_PAST_MAX]);
	return list;
}

void print_events(const json_t *list, struct buf *out)
{
	json_t *e;
	size_t i;

	json_array_foreach(list, i, e)
	{
		const json_t *when = json_object_get(e, "timestamp");
		const json_t *data = json_object_get(e, "data");
		time_t t = (time_t)val_u64(when, "seconds");
		char text[40] = "", *json;
		struct tm tm;

		if (localtime_r(&t, &tm))
			strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm);
		buf_printf(out, "%s.%06u %s", text,
			   (unsigned)val_u64(when, "microseconds"),
			   val_str(e, "event"));
		json = data ? json_dumps(data, JSON_PRESERVE_ORDER) : NULL;
		buf_printf(out, "%s%s\n", json ? " " : "", json ? json : "");
		free(json);
	}
}

static void events_throttle_free(struct events_throttle *t)
{
	timer_cancel(&t->timer);
	list_remove(&t->node);
	json_decref(t->pending);
	free(t->key);
	free(t);
}

static void events_throttle_over(void *arg)
{
	struct events_throttle *t = arg;

	if (!t->pending) {
		events_throttle_free(t);
		return;
	}
	events_tell(t->pending);
	t->pending = NULL;
	timer_set(&t->timer, clock_mono_ns() + NS_PER_S);
}

/* True when `e` was kept for later; then it took the reference. */
static bool events_throttle(struct machine *m, enum event_id id,
			    const char *key, json_t *e)
{
	struct events_throttle *t;

	list_for_each (t, &events_throttles, node) {
		if (t->id == id && !strcmp(t->key, key)) {
			json_decref(t->pending);
			t->pending = e;
			return true;
		}
	}
	t = xalloc(sizeof *t);
	t->m = m;
	t->id = id;
	t->key = xstrdup(key);
	timer_init(&t->timer, m->loop, events_throttle_over, t);
	timer_set(&t->timer, clock_mono_ns() + NS_PER_S);
	list_append(&events_throttles, &t->node);
	return false;
}

static void events_heard(void *arg, enum event_id id,
			 const struct event_value *v)
{
	const struct event_class *c = &event_classes[id];
	json_t *e = events_message(id, v);
	const char *key = "";

	for (int i = 0; c->field[i].type != EVENT_END && !*key; i++)
		if (c->field[i].type == EVENT_TEXT && v[i].text)
			key = v[i].text;
	if (!c->throttled || !events_throttle(arg, id, key, e))
		events_tell(e);
}

void events_listen(struct machine *m)
{
	if (events_listener.fn)
		return;
	events_listener =
		(struct event_listener){ .fn = events_heard, .arg = m };
	event_listen(m, &events_listener);
}

void events_end(void)
{
	struct events_throttle *t, *next;

	event_listen_end(&events_listener);
	events_listener.fn = NULL;
	for (int i = 0; i < EVENTS_PAST_MAX; i++) {
		json_decref(events_past[i]);
		events_past[i] = NULL;
	}
	events_past_count = 0;
	list_for_each_safe (t, next, &events_throttles, node)
		events_throttle_free(t);
}
