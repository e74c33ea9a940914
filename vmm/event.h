/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Events: what happened to the machine, for whoever manages it.
 *
 * Names and members are those of QEMU's QMP; vmm/event.def lists them.
 *
 * Locking: machine_lock, in any thread.
 */
#ifndef VMM_EVENT_H
#define VMM_EVENT_H

#include "lib/list.h"
#include "lib/types.h"

struct machine;

#define EVENT_FIELDS_MAX 6

enum event_id {

#define EVENT(id, throttled, ...) EVENT_##id,
#include "vmm/event.def"
#undef EVENT
	EVENT_COUNT
};

enum event_type { EVENT_END, EVENT_FLAG, EVENT_NUM, EVENT_TEXT };

struct event_field {
	const char *name;
	enum event_type type;
};

struct event_class {
	const char *name;
	/* A guest can cause any number of them: listeners show the latest,
	 * once a second. */
	bool throttled;
	struct event_field field[EVENT_FIELDS_MAX + 1];
};

/* One per field of the class, in its order; a text of NULL is left out. */
struct event_value {
	s64 num;
	const char *text;
};

struct event_listener {
	void (*fn)(void *arg, enum event_id id, const struct event_value *v);
	void *arg;
	struct list node;
};

extern const struct event_class event_classes[EVENT_COUNT];

/* `v` may be NULL when the class has no fields. */
void event_send(struct machine *m, enum event_id id,
		const struct event_value *v);
void event_listen(struct machine *m, struct event_listener *l);
void event_listen_end(struct event_listener *l); /* idempotent */

#endif
