/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the fuzz loops share: FUZZ_SECONDS (1) says how long they run,
 * FUZZ_SEED (1) what they do; each prints it.  tests/README lists them.
 */
#ifndef TESTS_UNIT_FUZZ_H
#define TESTS_UNIT_FUZZ_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/types.h"

static u64 fuzz_state, fuzz_end;

static inline u64 fuzz_draw(void)
{
	fuzz_state ^= fuzz_state << 13;
	fuzz_state ^= fuzz_state >> 7;
	fuzz_state ^= fuzz_state << 17;
	return fuzz_state;
}

static inline u32 fuzz_below(u32 n)
{
	return (u32)(fuzz_draw() % n);
}

/* `share`: how many loops divide the time between them. */
static inline void fuzz_begin(const char *name, u32 share)
{
	const char *seconds = getenv("FUZZ_SECONDS");
	const char *seed = getenv("FUZZ_SEED");
	double time = seconds ? atof(seconds) : 1;

	fuzz_state = seed ? strtoull(seed, NULL, 0) : 1;
	fuzz_state |= 1;
	fuzz_end = clock_mono_ns() + (u64)(time * NS_PER_S / share);
	printf("%s: FUZZ_SEED=%llu\n", name, (unsigned long long)fuzz_state);
	fflush(stdout);
}

static inline bool fuzz_goes_on(void)
{
	return clock_mono_ns() < fuzz_end;
}

/* What check grants a test; it cannot know of FUZZ_SECONDS. */
static inline double fuzz_timeout(void)
{
	const char *seconds = getenv("FUZZ_SECONDS");

	return 60 + 2 * (seconds ? atof(seconds) : 1);
}

/* Turns bytes, swaps in edges, here and there. */
static inline void fuzz_damage(u8 *data, size_t len, u32 times)
{
	static const u32 edges[] = { 0,          1,          0xff,       0x7fff,
				     0xffff,     0x7fffffff, 0x80000000, 0xfff,
				     0xffffffff, 0x100000,   0xfffffff0 };

	while (times-- && len) {
		u32 at = fuzz_below((u32)len);
		u32 v = edges[fuzz_below(ARRAY_SIZE(edges))];
		u32 n = 1u << fuzz_below(3);

		if (fuzz_below(2))
			v = (u32)fuzz_draw();
		for (u32 k = 0; k < n && at + k < len; k++)
			data[at + k] = (u8)(v >> 8 * k);
	}
}

#endif
