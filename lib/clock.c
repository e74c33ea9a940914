/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Host clocks in nanoseconds.
 */
#include "lib/clock.h"

#include <time.h>

static u64 clock_read(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (u64)ts.tv_sec * NS_PER_S + (u64)ts.tv_nsec;
}

u64 clock_mono_ns(void)
{
	return clock_read(CLOCK_MONOTONIC);
}

u64 clock_realtime_ns(void)
{
	return clock_read(CLOCK_REALTIME);
}
