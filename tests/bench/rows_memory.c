/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Benchmarks: memory, atomics, time.
 */
#include "tests/bench/rows.h"

#include <emmintrin.h>
#include <time.h>
#include <x86intrin.h>

#define MIB (1u << 20)

/* ---- look-ups */

u64 row_hash(void)
{
	static u32 table[MIB / 8]; /* 512 KiB */
	const u32 mask = MIB / 8 - 1;
	u64 random = 5, hits = 0;

	for (u32 i = 0; i <= mask; i++)
		table[i] = 0;
	for (u32 i = 0; i < ROW_OPS_hash; i++) {
		u32 key = (u32)(row_random(&random) & 0xffff) + 1;
		u32 at = key * 2654435761u & mask;

		while (table[at] && table[at] != key)
			at = (at + 1) & mask;
		hits += table[at] == key;
		table[at] = key;
	}
	return hits;
}

/* A cycle through all lines of `size` bytes in disorder. */
static u32 *memory_cycle(u32 size)
{
	u32 lines = size / 64, *p = row_memory(size);
	u64 random = 11;

	for (u32 i = 0; i < lines; i++)
		p[i * 16] = i * 16;
	for (u32 i = lines - 1; i > 0; i--) { /* one cycle, after Sattolo */
		u32 j = (u32)(row_random(&random) % i), t = p[i * 16];

		p[i * 16] = p[j * 16];
		p[j * 16] = t;
	}
	return p;
}

static u64 memory_chase(const u32 *p, u32 n)
{
	u32 at = 0;

	for (u32 i = 0; i < n; i++)
		at = p[at];
	return at;
}

u64 row_chase16k(void)
{
	static u32 *p;

	if (!p)
		p = memory_cycle(16 * 1024);
	return memory_chase(p, ROW_OPS_chase16k);
}

u64 row_chase256k(void)
{
	static u32 *p;

	if (!p)
		p = memory_cycle(256 * 1024);
	return memory_chase(p, ROW_OPS_chase256k);
}

u64 row_chase32m(void)
{
	static u32 *p;

	if (!p)
		p = memory_cycle(32 * MIB);
	return memory_chase(p, ROW_OPS_chase32m);
}

/* ---- passes over buffers */

static u64 memory_sum(u8 *a, u8 *b, u32 n)
{
	u64 sum = 0;

	for (u32 i = 0; i < 4096; i++) {
		a[i] = (u8)(i * 7);
		b[i] = (u8)(i * 13);
	}
	for (u32 i = 0; i < n; i++)
		sum = sum * 3 + (a[i & 4095] ^ b[i & 4095]);
	return sum;
}

/* 16 MiB apart, where a direct-mapped TLB has them in one place. */
u64 row_bytesum(void)
{
	static u8 *p;

	if (!p)
		p = row_memory(32 * MIB);
	return memory_sum(p, p + 16 * MIB, ROW_OPS_bytesum);
}

u64 row_bytesum2(void)
{
	static u8 *p;

	if (!p)
		p = row_memory(4 * 4096);
	return memory_sum(p, p + 2 * 4096, ROW_OPS_bytesum2);
}

u64 row_copy16m(void)
{
	static __m128i *p;
	const u32 n = 16 * MIB / sizeof *p;

	if (!p) {
		u64 *words = row_memory(32 * MIB), random = 3;

		for (u32 i = 0; i < 2 * MIB; i++)
			words[i] = row_random(&random);
		p = (__m128i *)words;
	}
	for (u32 i = 0; i < n; i += 4) {
		__m128i a = _mm_load_si128(p + i);
		__m128i b = _mm_load_si128(p + i + 1);
		__m128i c = _mm_load_si128(p + i + 2);
		__m128i d = _mm_load_si128(p + i + 3);

		_mm_store_si128(p + n + i, a);
		_mm_store_si128(p + n + i + 1, b);
		_mm_store_si128(p + n + i + 2, c);
		_mm_store_si128(p + n + i + 3, d);
	}
	return row_mix(((u64 *)p)[4 * MIB - 1], ((u64 *)p)[3 * MIB + 5]);
}

u64 row_movsb(void)
{
	static u8 *p;

	if (!p) {
		p = row_memory(4 * 4096);
		for (u32 i = 0; i < 2 * 4096; i++)
			p[i] = (u8)(i * 5 + (i >> 8));
	}
	p[99] = 0;
	for (u32 i = 0; i < ROW_OPS_movsb; i++) {
		const u8 *from = p + (i & 63);
		u8 *to = p + 2 * 4096 + (i & 31);
		u64 n = 4096;

		p[99]++;
		__asm__ volatile("rep movsb"
				 : "+S"(from), "+D"(to), "+c"(n)
				 :
				 : "memory");
	}
	return row_mix(p[2 * 4096 + 99], p[3 * 4096 + 17]);
}

u64 row_stosq(void)
{
	static u64 *p;

	if (!p)
		p = row_memory(2 * 4096);
	for (u32 i = 0; i < ROW_OPS_stosq; i++) {
		u64 *to = p + (i & 31), n = 512;

		__asm__ volatile("rep stosq"
				 : "+D"(to), "+c"(n)
				 : "a"((u64)i)
				 : "memory");
	}
	return row_mix(p[1], p[512]);
}

/* ---- atomics and time */

u64 row_xadd(void)
{
	static u64 counter;
	u64 sum = 0;

	counter = 0;
	for (u32 i = 0; i < ROW_OPS_xadd; i++)
		sum += __atomic_fetch_add(&counter, i, __ATOMIC_SEQ_CST);
	return row_mix(sum, counter);
}

u64 row_rdtsc(void)
{
	u64 last = 0, forward = 0;

	for (u32 i = 0; i < ROW_OPS_rdtsc; i++) {
		u64 now = __rdtsc();

		forward += now >= last;
		last = now;
	}
	return forward;
}

u64 row_clock(void)
{
	struct timespec last = { 0 }, now;
	u64 forward = 0;

	for (u32 i = 0; i < ROW_OPS_clock; i++) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		forward += now.tv_sec > last.tv_sec ||
			   (now.tv_sec == last.tv_sec &&
			    now.tv_nsec >= last.tv_nsec);
		last = now;
	}
	return forward;
}
