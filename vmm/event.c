/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Events: the table of classes, and who listens.
 */
#include "vmm/event.h"

#include "lib/lock.h"
#include "vmm/machine.h"

/* clang-format off */
const struct event_class event_classes[EVENT_COUNT] = {
#define EVENT(id, throttled, ...) \
	[EVENT_##id] = { #id, throttled, { __VA_ARGS__ } },
#include "vmm/event.def"
#undef EVENT
};

/* clang-format on */

void event_send(struct machine *m, enum event_id id,
		const struct event_value *v)
{
	struct event_listener *l, *tmp;

	assert_locked(&machine_lock);
	list_for_each_safe (l, tmp, &m->event_listeners, node)
		l->fn(l->arg, id, v);
}

void event_listen(struct machine *m, struct event_listener *l)
{
	list_append(&m->event_listeners, &l->node);
}

void event_listen_end(struct event_listener *l)
{
	if (l->node.next)
		list_remove(&l->node);
}
