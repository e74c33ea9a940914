/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The TSC as a clock; see tick.h.
 *
 * Locking: `tick_lock`, a leaf, guards tick_clock; readers follow tick_now
 * without it.
 */
#include "lib/tick.h"

#include <stdio.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/lock.h"

/* What is measured before the TSC is trusted, for one millionth. */
#define TICK_WARM_NS (50 * NS_PER_MS)
/* A difference is made up for within a span; a larger one stays. */
#define TICK_SLEW_NS ((s64)NS_PER_MS)
/* Rates of the two that differ by more than 1/1024: one was stopped. */
#define TICK_ODD_SHIFT 10
#define TICK_ODD_MAX   8

/* Nothing is less than TICK_SPAN behind it. */
static const struct tick_set tick_none = { .tsc = 1ull << 63 };
const struct tick_set *_Atomic tick_now = &tick_none;

static struct lock tick_lock = LOCK_INIT;
static struct tick_clock tick_clock GUARDED_BY(tick_lock);
/* For good; `tick_skew` was set before. */
static _Atomic bool tick_off;
static u64 tick_skew;

/* ---- Arithmetic ---- */

static u64 tick_scale(u64 n, u64 mult)
{
	return (u64)((unsigned __int128)n * mult >> 32);
}

u64 tick_at(const struct tick_set *s, u64 tsc)
{
	return s->ns + tick_scale(tsc - s->tsc, s->mult);
}

/* 0: none that makes sense, 10 MHz to 250 GHz. */
static u64 tick_rate(u64 tsc, u64 ns)
{
	unsigned __int128 rate = tsc ? ((unsigned __int128)ns << 32) / tsc : 0;

	return rate >> 24 && !(rate >> 39) ? (u64)rate : 0;
}

static u64 tick_make(struct tick_clock *k, u64 tsc, u64 mono, u64 ns, u64 mult)
{
	struct tick_set *s = &k->sets[k->next++ % TICK_SETS];

	*s = (struct tick_set){ tsc, ns, mult };
	k->tsc = tsc;
	k->mono = mono;
	k->set = s;
	return ns;
}

/* The correction has ended with the span. */
static u64 tick_late(const struct tick_clock *k, u64 n)
{
	u64 in = MIN(n, TICK_SPAN);

	return k->set->ns + tick_scale(in, k->set->mult) +
	       tick_scale(n - in, k->rate);
}

static u64 tick_again(struct tick_clock *k, u64 tsc, u64 mono)
{
	u64 n = tsc - k->tsc, rate = tick_rate(n, mono - k->mono);
	u64 off = MAX(rate, k->rate) - MIN(rate, k->rate);
	bool back = (s64)n < 0;
	u64 ns;
	s64 err;

	if (!back && n < TICK_SPAN)
		return tick_at(k->set, tsc);
	if (back || off > k->rate >> TICK_ODD_SHIFT) {
		ns = k->set->ns + (mono - k->mono);
		if (!back)
			ns = MAX(ns, tick_at(k->set, k->tsc + TICK_SPAN));
		k->skew = (s64)(ns - mono);
		if (++k->odd > TICK_ODD_MAX) {
			k->state = TICK_OFF;
			k->set = NULL;
			return ns;
		}
		return tick_make(k, tsc, mono, ns, k->rate);
	}
	k->odd = 0;
	k->rate = rate;
	ns = tick_late(k, n);
	err = (s64)(mono + (u64)k->skew - ns);
	if (err >= TICK_SLEW_NS || err <= -TICK_SLEW_NS) {
		k->skew -= err;
		err = 0;
	}
	/* `err` over a span of 2^32. */
	return tick_make(k, tsc, mono, ns, rate + (u64)err);
}

u64 tick_sync(struct tick_clock *k, u64 tsc, u64 mono)
{
	switch (k->state) {
	case TICK_NEW:
		k->tsc = tsc;
		k->mono = mono;
		k->state = TICK_WARM;
		return mono;
	case TICK_WARM:
		if (mono - k->mono < TICK_WARM_NS)
			return mono;
		k->rate = tick_rate(tsc - k->tsc, mono - k->mono);
		k->state = k->rate ? TICK_ON : TICK_OFF;
		return k->rate ? tick_make(k, tsc, mono, mono, k->rate) : mono;
	case TICK_ON: return tick_again(k, tsc, mono);
	default: return mono + (u64)k->skew;
	}
}

/* ---- The host's ---- */

#if defined(__x86_64__)

static u64 tick_tsc(void)
{
	return __builtin_ia32_rdtsc();
}

/* Invariant, the same on all CPUs, and watched by the kernel. */
static bool tick_usable(void)
{
	static const char path[] =
		"/sys/devices/system/clocksource/clocksource0/"
		"current_clocksource";
	char name[16] = "";
	FILE *f = fopen(path, "re");

	if (!f)
		return false;
	if (!fgets(name, sizeof name, f))
		name[0] = '\0';
	fclose(f);
	return !strcmp(name, "tsc\n");
}

#else

static u64 tick_tsc(void)
{
	return 0;
}

static bool tick_usable(void)
{
	return false;
}

#endif

/* Both at once: a moment without an interruption. */
static void tick_look(u64 *ret_tsc, u64 *ret_mono)
{
	u64 best = UINT64_MAX;

	for (int n = 0; n < 4; n++) {
		u64 tsc = tick_tsc(), mono = clock_mono_ns();
		u64 took = tick_tsc() - tsc;

		if (took >= best)
			continue;
		best = took;
		*ret_tsc = tsc;
		*ret_mono = mono;
	}
}

static u64 tick_slow(void)
{
	struct tick_clock *k = &tick_clock;
	u64 tsc = 0, mono = 0, ns;

	lock_acquire(&tick_lock);
	if (k->state == TICK_NEW && !tick_usable())
		k->state = TICK_OFF;
	if (k->state == TICK_WARM && clock_mono_ns() - k->mono < TICK_WARM_NS) {
		ns = clock_mono_ns();
	} else {
		tick_look(&tsc, &mono);
		ns = tick_sync(k, tsc, mono);
	}
	atomic_store_explicit(&tick_now, k->set ? k->set : &tick_none,
			      memory_order_release);
	if (k->state == TICK_OFF) {
		tick_skew = (u64)k->skew;
		atomic_store(&tick_off, true);
	}
	lock_release(&tick_lock);
	return ns;
}

u64 tick_ns(void)
{
	const struct tick_set *s =
		atomic_load_explicit(&tick_now, memory_order_acquire);
	u64 tsc = tick_tsc();

	if (likely(tsc - s->tsc < TICK_SPAN))
		return tick_at(s, tsc);
	if (atomic_load(&tick_off))
		return clock_mono_ns() + tick_skew;
	return tick_slow();
}
