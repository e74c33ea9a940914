/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A monotonic clock by the host's TSC: nanoseconds at the pace of
 * CLOCK_MONOTONIC, for a quarter of its price and for translated code, too.
 *
 * Time is linear in the TSC from the last set of numbers on; whoever finds
 * them old makes new ones, so that the clock follows CLOCK_MONOTONIC within
 * nanoseconds and never jumps.  Only where the host itself lives by the TSC;
 * elsewhere, and in the first moments, it is CLOCK_MONOTONIC.  What stops or
 * moves one of them alone (the host sleeps) leaves a constant between them.
 */
#ifndef LIB_TICK_H
#define LIB_TICK_H

#include <stdatomic.h>

#include "lib/types.h"

/* Time at `tsc` + n is ns + (n * mult >> 32), n below TICK_SPAN. */
struct tick_set {
	u64 tsc, ns, mult;
};

#define TICK_SPAN_BITS 32
#define TICK_SPAN      (1ull << TICK_SPAN_BITS)

/* The numbers now; TSCs reach none of them before there are any.  Valid for
 * a minute at least after they have been replaced. */
extern const struct tick_set *_Atomic tick_now;

u64 tick_ns(void);

/* ---- For its test ---- */

#define TICK_SETS 64

struct tick_clock {
	enum { TICK_NEW, TICK_WARM, TICK_ON, TICK_OFF } state;

	u64 tsc, mono; /* when `set` was made; TICK_WARM: the first look */
	u64 rate;      /* as mult, without correction */
	s64 skew;      /* less CLOCK_MONOTONIC */
	u32 odd;       /* times that the two have not agreed */
	u32 next;      /* in sets[] */
	struct tick_set sets[TICK_SETS];
	const struct tick_set *set; /* NULL: none */
};

/* The time, given what both clocks show at once; may make a new set. */
u64 tick_sync(struct tick_clock *k, u64 tsc, u64 mono);
u64 tick_at(const struct tick_set *s, u64 tsc);

#endif
