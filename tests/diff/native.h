/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Runs user-mode code sequences on the host CPU from a complete register
 * state to a complete register state, in a child process.
 *
 * The child does it all in its signal handler: the frame of the trap that
 * ends one sequence is the result, and is rewritten into the start state of
 * the next.
 */
#ifndef TESTS_DIFF_NATIVE_H
#define TESTS_DIFF_NATIVE_H

#include "lib/types.h"

/* Fixed addresses, the same in the child and in the guest. */
#define DIFF_DATA       0x10000000u
#define DIFF_DATA_SIZE  8192u
#define DIFF_STACK      0x11000000u
#define DIFF_STACK_SIZE 4096u
#define DIFF_CODE       0x12000000u
#define DIFF_CODE_SIZE  4096u

struct diff_state {
	u64 gpr[16]; /* order of enum cpu_reg */
	u64 rip, rflags;
	u8 vec[16][32];
	u8 st[8][10];
	u16 fcw, fsw;
	u8 ftw; /* abridged */
	u32 mxcsr;
};

struct diff_result {
	struct diff_state state;
	u8 data[DIFF_DATA_SIZE];
	u8 stack[DIFF_STACK_SIZE];
	u8 vector;
	u32 code; /* error code of #PF */
	u64 cr2;
};

struct diff_test {
	struct diff_state start;
	u8 code[256]; /* ends with int3 */
	u32 code_len;
	u64 seed; /* of data and stack contents */
	u16 rows[16];
	u8 row_off[16];
	u32 nrows;
};

#define DIFF_BATCH 128

struct native;

struct native *native_create(void);
void native_destroy(struct native *n);
/* Fills result[0 .. count).  False when the child died. */
bool native_run(struct native *n, const struct diff_test *test, int count,
		struct diff_result *result);

/* Contents of data and stack pages for a seed. */
void diff_fill(u64 seed, u8 *data, u8 *stack);
u64 diff_random(u64 *state);

#endif
