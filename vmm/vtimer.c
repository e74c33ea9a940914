/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The machine's clock and its timers, driven by one host timer.
 *
 * While the clock runs, vclock_base_ns is what to add to lib/tick.h's (wrapping);
 * while it stands, it is the value itself.
 */
#include "vmm/vtimer.h"

#include "lib/clock.h"
#include "lib/tick.h"
#include "vmm/machine.h"

u64 vclock_now(struct machine *m)
{
	/* Readers on other threads see a stale base for an instant at most
	 * around a stop; vCPUs are parked then. */
	if (atomic_load_explicit(&m->vclock_running, memory_order_acquire))
		return tick_ns() + m->vclock_base_ns;
	return m->vclock_base_ns;
}

u64 vclock_to_mono(struct machine *m, u64 vclock_ns)
{
	u64 now = vclock_now(m), mono = clock_mono_ns();

	if (!atomic_load_explicit(&m->vclock_running, memory_order_acquire))
		return UINT64_MAX;
	return vclock_ns > now ? mono + (vclock_ns - now) : mono;
}

static void vtimer_rearm(struct machine *m)
{
	struct vtimer *t = list_first(&m->vtimers, struct vtimer, node);

	if (!t || !atomic_load(&m->vclock_running)) {
		timer_cancel(&m->vtimer_host);
		return;
	}
	timer_set(&m->vtimer_host, vclock_to_mono(m, t->deadline_ns));
}

void vtimer_run_expired(struct machine *m)
{
	u64 now = vclock_now(m);

	for (;;) {
		struct vtimer *t = list_first(&m->vtimers, struct vtimer, node);

		if (!t || t->deadline_ns > now)
			break;
		list_remove(&t->node);
		t->fn(t->arg);
	}
	vtimer_rearm(m);
}

void vclock_start(struct machine *m)
{
	if (atomic_load(&m->vclock_running))
		return;
	m->vclock_base_ns -= tick_ns();
	atomic_store(&m->vclock_running, true);
	vtimer_rearm(m);
}

void vclock_stop(struct machine *m)
{
	u64 now = vclock_now(m);

	if (!atomic_load(&m->vclock_running))
		return;
	m->vclock_base_ns = now;
	atomic_store(&m->vclock_running, false);
	timer_cancel(&m->vtimer_host);
}

void vtimer_init(struct vtimer *t, struct machine *m, void (*fn)(void *),
		 void *arg)
{
	t->m = m;
	t->fn = fn;
	t->arg = arg;
	t->deadline_ns = 0;
	list_init(&t->node);
}

void vtimer_set(struct vtimer *t, u64 deadline_ns)
{
	struct machine *m = t->m;
	struct vtimer *o;

	list_remove(&t->node);
	t->deadline_ns = deadline_ns;
	list_for_each (o, &m->vtimers, node)
		if (o->deadline_ns > deadline_ns)
			break;
	list_append(&o->node, &t->node); /* before o, or at the end */
	if (m->vtimers.next == &t->node)
		vtimer_rearm(m);
}

void vtimer_cancel(struct vtimer *t)
{
	if (t->m)
		list_remove(&t->node);
}

bool vtimer_armed(const struct vtimer *t)
{
	return t->m && !list_empty(&t->node);
}
