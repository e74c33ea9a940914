/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Benchmarks that run anywhere: natively, and as /init of a guest.
 */
#ifndef BENCH_ROWS_H
#define BENCH_ROWS_H

#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

enum row_kind { ROW_USER, ROW_KERNEL };

/* Of the CPU. */
enum row_needs { ROW_NOTHING, ROW_AVX2, ROW_FMA, ROW_AES };

#define ROW(name, kind, needs, ops)                      \
	enum { ROW_OPS_##name = (ops) }; /* in a call */ \
	u64 row_##name(void);
#include "tests/bench/rows.def"
#undef ROW

/* The path of this program. */
extern const char *row_program;

/* Ends the program: the row cannot be measured here. */
_Noreturn void row_fail(const char *what);
/* Anonymous memory in pages of 4 KiB, for ever. */
void *row_memory(u64 size);

static inline u64 row_random(u64 *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static inline u64 row_mix(u64 digest, u64 value)
{
	digest = (digest ^ value) * 0x9e3779b97f4a7c15u;
	return digest ^ digest >> 29;
}

#endif
