/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * CPU benchmarks that run anywhere: natively, and as /init of a guest.
 *
 * Prints "bench NAME DIGEST NANOSECONDS" for each; the digests of one
 * build must be equal wherever it runs.  As process 1 it says when it came
 * to be and powers off at the end.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define COPY_BYTES (1u << 20)

typedef uint64_t bench_fn(void);

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Adds, multiplies, shifts and a branch that is hard to guess. */
static uint64_t bench_integer(void)
{
	uint64_t x = 0x9e3779b97f4a7c15u, sum = 0;

	for (int i = 0; i < 5000000; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		if (x & 1)
			sum += x * (uint64_t)i;
		else
			sum ^= x >> 3;
	}
	return sum;
}

static uint64_t bench_copy(void)
{
	static uint8_t a[COPY_BYTES], b[COPY_BYTES];
	uint64_t sum = 0;

	for (uint32_t i = 0; i < COPY_BYTES; i++)
		a[i] = (uint8_t)(i * 31u);
	for (int i = 0; i < 64; i++) {
		memcpy(b, a, COPY_BYTES);
		b[i * 64] ^= (uint8_t)i;
		memcpy(a, b, COPY_BYTES);
	}
	for (uint32_t i = 0; i < COPY_BYTES; i += 64)
		sum = sum * 31 + a[i];
	return sum;
}

/* Eight words of state, additions, rotations and choices as in SHA-2. */
static uint64_t bench_hash(void)
{
	uint32_t s[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };

	for (uint32_t i = 0; i < 2000000; i++) {
		uint32_t e = s[4], a = s[0];
		uint32_t e1 = (e >> 6 | e << 26) ^ (e >> 11 | e << 21) ^
			      (e >> 25 | e << 7);
		uint32_t a0 = (a >> 2 | a << 30) ^ (a >> 13 | a << 19) ^
			      (a >> 22 | a << 10);
		uint32_t t1 = s[7] + e1 + ((e & s[5]) ^ (~e & s[6])) + i;
		uint32_t t2 = a0 + ((a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]));

		memmove(s + 1, s, 7 * sizeof *s);
		s[4] += t1;
		s[0] = t1 + t2;
	}
	return (uint64_t)s[0] << 32 | s[4];
}

/* Dependent loads over 4 MiB: caches on a host, the soft MMU in a guest. */
static uint64_t bench_chase(void)
{
	static uint32_t next[COPY_BYTES];
	uint32_t at = 0;

	for (uint32_t i = 0; i < COPY_BYTES; i++)
		next[i] = (i * 1664525u + 1013904223u) % COPY_BYTES;
	for (int i = 0; i < 2000000; i++)
		at = next[at];
	return at;
}

static uint64_t bench_float(void)
{
	double x = 0.5, sum = 0;
	uint64_t bits;

	for (int i = 1; i < 2000000; i++) {
		x = 3.75 * x * (1 - x);
		sum += x / i;
	}
	memcpy(&bits, &sum, sizeof bits);
	return bits;
}

static uint64_t bench_syscall(void)
{
	uint64_t sum = 0;

	for (int i = 0; i < 200000; i++)
		sum += syscall(SYS_getppid) >= 0;
	return sum;
}

static const struct bench {
	const char *name;
	bench_fn *fn;
} benches[] = {
	{ "integer", bench_integer }, { "copy", bench_copy },
	{ "hash", bench_hash },	      { "chase", bench_chase },
	{ "float", bench_float },     { "syscall", bench_syscall },
};

int main(void)
{
	uint64_t up = now_ns();

	if (getpid() == 1) {
		printf("bench-init %llu\n", (unsigned long long)up);
		fflush(stdout);
	}
	for (size_t i = 0; i < sizeof benches / sizeof *benches; i++) {
		uint64_t start = now_ns(), digest = benches[i].fn();

		printf("bench %s %016llx %llu\n", benches[i].name,
		       (unsigned long long)digest,
		       (unsigned long long)(now_ns() - start));
		fflush(stdout);
	}
	if (getpid() == 1)
		reboot(RB_POWER_OFF);
	return 0;
}
