/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Local APICs: the timer.
 *
 * Its deadline is kept under the leaf lock; what is armed for it, its vCPU's
 * alarm or else a vtimer, may come too early (a deadline that moves later does
 * not touch it), and is then armed again when it comes.
 */
#include "devices/lapic.h"

#include "vmm/machine.h"

/* A periodic timer never fires more often: the host could not keep up. */
#define LAPIC_MIN_PERIOD_NS (100 * NS_PER_US)
/* ... and half as often, up to this power of two, for each time that it has
 * found the interrupt before unfinished, less those that it has not: a guest
 * whose handler takes longer, as when we compare translations, has to get on. */
#define LAPIC_SLOWEST 7
#define LAPIC_SLOW_NS (10 * NS_PER_MS)

u32 lapic_divisor(const struct lapic *l)
{
	u32 code = (l->divide & 3) | (l->divide >> 1 & 4);

	return code == 7 ? 1 : 2u << code;
}

u32 lapic_timer_mode(const struct lapic *l)
{
	return l->lvt[LVT_TIMER] & LVT_TIMER_MODE;
}

static u64 lapic_period_ns(const struct lapic *l)
{
	/* The bus clock is 1 GHz, as CPUID and other hypervisors have it. */
	return (u64)l->initial * lapic_divisor(l);
}

u32 lapic_current_count(const struct lapic *l)
{
	u64 now = vclock_now(l->v->m);

	if (lapic_timer_mode(l) == TIMER_DEADLINE ||
	    l->deadline_ns == LAPIC_NEVER || now >= l->deadline_ns)
		return 0;
	return (l->deadline_ns - now) / lapic_divisor(l);
}

void lapic_start_count(struct lapic *l)
{
	l->deadline_ns = LAPIC_NEVER;
	if (!l->initial || lapic_timer_mode(l) == TIMER_DEADLINE)
		return;
	l->start_ns = vclock_now(l->v->m);
	l->deadline_ns = l->start_ns + lapic_period_ns(l);
}

/* Expiry of the deadline that has passed; interrupt and next deadline. */
static void lapic_expire(struct lapic *l, u64 now)
{
	u32 lvt = l->lvt[LVT_TIMER];
	u64 period = MAX(lapic_period_ns(l), LAPIC_MIN_PERIOD_NS);

	if (lapic_bit(l->irr, lvt & 0xff) || lapic_bit(l->isr, lvt & 0xff))
		l->overruns = MIN(l->overruns + 1, LAPIC_SLOWEST);
	else if (l->overruns)
		l->overruns--;
	period = MAX(period, MIN(period << l->overruns, LAPIC_SLOW_NS));
	if (!(lvt & LVT_MASKED))
		lapic_request(l, lvt & 0xff, false);
	l->deadline_tsc = 0;
	if (lapic_timer_mode(l) != TIMER_PERIODIC || !l->initial) {
		l->deadline_ns = LAPIC_NEVER;
		return;
	}
	l->deadline_ns += period;
	if (l->deadline_ns <= now) /* late by more than a period: skip */
		l->deadline_ns = now + period - (now - l->deadline_ns) % period;
}

/* What was armed has come: what is to be armed, and whom to wake. */
static u64 lapic_timer_now(struct lapic *l, bool *ret_wake)
{
	u64 now = vclock_now(l->v->m), next;

	lock_acquire(&l->lock);
	if (l->deadline_ns <= now)
		lapic_expire(l, now);
	next = l->armed_ns = l->deadline_ns;
	*ret_wake = lapic_update(l);
	lock_release(&l->lock);
	return next;
}

void lapic_vtimer(void *opaque)
{
	struct lapic *l = opaque;
	bool wake;
	u64 next = lapic_timer_now(l, &wake);

	assert_locked(&machine_lock);
	if (next != LAPIC_NEVER)
		vtimer_set(&l->timer, next);
	lapic_wake(l, wake);
}

void lapic_alarm(struct vcpu *v)
{
	bool wake;
	u64 next = lapic_timer_now(lapic_of(v), &wake);

	if (next != LAPIC_NEVER)
		vcpu_alarm(v, next);
}

void lapic_arm(struct lapic *l)
{
	bool taken;
	u64 deadline;

	lock_acquire(&l->lock);
	deadline = l->deadline_ns;
	if (deadline >= l->armed_ns) {
		lock_release(&l->lock);
		return; /* it comes earlier and looks again */
	}
	lock_release(&l->lock);
	if (vcpu_alarm(l->v, deadline)) {
		lock_acquire(&l->lock);
		l->armed_ns = deadline;
		lock_release(&l->lock);
		return;
	}

	taken = lapic_big_lock();
	lock_acquire(&l->lock);
	deadline = l->armed_ns = MIN(l->deadline_ns, l->armed_ns);
	lock_release(&l->lock);
	if (deadline != LAPIC_NEVER)
		vtimer_set(&l->timer, deadline);
	lapic_big_unlock(taken);
}

void lapic_set_tsc_deadline(struct lapic *l, u64 tsc)
{
	if (lapic_timer_mode(l) != TIMER_DEADLINE)
		return;
	l->deadline_tsc = tsc;
	if (!tsc)
		l->deadline_ns = LAPIC_NEVER;
	else if (tsc <= vcpu_tsc(l->v))
		lapic_expire(l, vclock_now(l->v->m));
	else
		l->deadline_ns = MIN(vcpu_tsc_to_vclock(l->v, tsc), INT64_MAX);
}

void lapic_write_divide(struct lapic *l, u32 value)
{
	u32 left = lapic_current_count(l);

	l->divide = value & 0xb;
	if (l->deadline_ns != LAPIC_NEVER &&
	    lapic_timer_mode(l) != TIMER_DEADLINE)
		l->deadline_ns =
			vclock_now(l->v->m) + (u64)left * lapic_divisor(l);
}

void lapic_load_timer(struct lapic *l, const struct cpu_lapic *from)
{
	l->divide = from->regs[APIC_TMDCR] & 0xb;
	l->initial = from->regs[APIC_TMICT];
	l->deadline_ns = LAPIC_NEVER;
	if (lapic_timer_mode(l) == TIMER_DEADLINE)
		lapic_set_tsc_deadline(l, l->v->cpu.tsc_deadline);
	else if (from->regs[APIC_TMCCT])
		l->deadline_ns = vclock_now(l->v->m) +
				 (u64)from->regs[APIC_TMCCT] * lapic_divisor(l);
	else if (lapic_timer_mode(l) == TIMER_PERIODIC)
		lapic_start_count(l);
}
