/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Measures rows.def: all rows, or those that are named on standard input when
 * there is an argument, one a line, in any order and number.
 *
 * Prints "begin NAME CLOCK" and "row NAME KIND OPERATIONS NANOSECONDS DIGEST
 * CLOCK", or "skip NAME".  Process 1 powers off at the end.  Of QUARTER
 * seconds that a row runs, the best WINDOW counts: others use this machine,
 * too.  A digest of "unsteady" differed from one call to the next.
 */
#include "tests/bench/rows.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <time.h>
#include <unistd.h>

#define WINDOW  2000000u
#define QUARTER 250000000u

static const struct row {
	const char *name;
	enum row_kind kind;
	enum row_needs needs;
	u64 ops;
	u64 (*fn)(void);
} rows[] = {

#define ROW(name, kind, needs, ops) \
	{ #name, ROW_##kind, ROW_##needs, ops, row_##name },
#include "tests/bench/rows.def"
#undef ROW
};

#define ROWS (sizeof rows / sizeof *rows)

const char *row_program;

void row_fail(const char *what)
{
	printf("fail %s: %s\n", what, strerror(errno));
	fflush(stdout);
	if (getpid() == 1)
		reboot(RB_POWER_OFF);
	_exit(1);
}

void *row_memory(u64 size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		row_fail("mmap");
	madvise(p, size, MADV_NOHUGEPAGE);
	return p;
}

static u64 rows_clock(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (u64)ts.tv_sec * 1000000000u + (u64)ts.tv_nsec;
}

static int rows_offered(enum row_needs needs)
{
	switch (needs) {
	case ROW_AVX2: return __builtin_cpu_supports("avx2");
	case ROW_FMA:
		return __builtin_cpu_supports("avx2") &&
		       __builtin_cpu_supports("fma");
	case ROW_AES: return __builtin_cpu_supports("aes");
	case ROW_NOTHING: break;
	}
	return 1;
}

static void rows_measure(const struct row *r)
{
	u64 digest, best_ops = 0, best = 1, ops = 0;
	u64 start, begin, now;
	int steady = 1;

	printf("begin %s %llu\n", r->name, (unsigned long long)rows_clock());
	fflush(stdout);
	digest = r->fn(); /* and what is made once is made */
	start = begin = rows_clock();
	do {
		steady &= r->fn() == digest;
		ops += r->ops;
		now = rows_clock();
		if (now - begin < WINDOW)
			continue;
		/* ops / time, and of course no window is as long as an hour */
		if ((double)ops * (double)best >
		    (double)best_ops * (double)(now - begin)) {
			best_ops = ops;
			best = now - begin;
		}
		ops = 0;
		begin = now;
	} while (now - start < QUARTER);
	printf("row %s %s %llu %llu ", r->name,
	       r->kind == ROW_USER ? "user" : "kernel",
	       (unsigned long long)best_ops, (unsigned long long)best);
	if (steady)
		printf("%016llx", (unsigned long long)digest);
	else
		printf("unsteady");
	printf(" %llu\n", (unsigned long long)rows_clock());
	fflush(stdout);
}

static void rows_run(const struct row *r)
{
	if (rows_offered(r->needs))
		rows_measure(r);
	else
		printf("skip %s\n", r->name);
	fflush(stdout);
}

static void rows_ask(void)
{
	char line[64];

	printf("ready\n");
	fflush(stdout);
	while (fgets(line, sizeof line, stdin)) {
		line[strcspn(line, "\r\n")] = '\0';
		for (size_t i = 0; i < ROWS; i++)
			if (!strcmp(line, rows[i].name))
				rows_run(rows + i);
	}
}

int main(int argc, char **argv)
{
	row_program = argv[0];
	__builtin_cpu_init();
	if (argc > 1 && !strcmp(argv[1], "--exit"))
		return 0;
	if (argc > 1 && !strcmp(argv[1], "--list")) {
		for (size_t i = 0; i < ROWS; i++)
			printf("%s\n", rows[i].name);
		return 0;
	}
	if (argc > 1)
		rows_ask();
	else
		for (size_t i = 0; i < ROWS; i++)
			rows_run(rows + i);
	if (getpid() == 1)
		reboot(RB_POWER_OFF);
	return 0;
}
