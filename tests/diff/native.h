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

/* Fixed addresses, the same in the child and in the guest.  Behind the data
 * lies a page that is only read, then nothing; the code is where bit strings
 * that begin in the data do not reach with an address as offset. */
#define DIFF_DATA       0x10000000u
#define DIFF_DATA_SIZE  8192u
#define DIFF_RO         (DIFF_DATA + DIFF_DATA_SIZE)
#define DIFF_RO_SIZE    4096u
#define DIFF_STACK      0x11000000u
#define DIFF_STACK_SIZE 4096u
#define DIFF_CODE       0x17000000u
#define DIFF_CODE_SIZE  8192u
#define DIFF_CTRL       0x18000000u /* two counters, see gen.c */
#define DIFF_CTRL_SIZE  4096u

/* Selectors of ring 3, Linux's. */
#define DIFF_CS32 0x23u
#define DIFF_DS   0x2bu
#define DIFF_CS64 0x33u

/* Flags that are loaded and compared; what is undefined among them is known
 * to the rows. */
#define FLAGS_ARITH 0x8d5u
#define FLAGS_SEEN  (FLAGS_ARITH | 0x244500u) /* TF DF NT AC ID */

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
	u8 code_after[DIFF_CODE_SIZE];
	u8 ctrl[DIFF_CTRL_SIZE];
	u8 vector;
	u32 code; /* error code of #PF */
	u64 cr2;
};

#define DIFF_ROWS   16
#define DIFF_NO_ROW 0xffffu /* bytes without one, or left out */

struct diff_test {
	struct diff_state start;
	bool code32;   /* compatibility mode */
	u32 budget;    /* backward branches that may be taken */
	u32 loops;     /* how often the sequence runs, less one */
	u8 code[2048]; /* filled up with int3 */
	u32 code_len;  /* with the int3 that ends it */
	u32 at;        /* of the code in its pages */
	u64 seed;      /* of data and stack contents */
	u16 rows[DIFF_ROWS];
	u16 row_off[DIFF_ROWS + 1]; /* the last: where the sequence ends */
	u32 nrows;
};

#define DIFF_BATCH 64

struct native;

struct native *native_create(void);
void native_destroy(struct native *n);
/* Fills result[0 .. count).  False when the child died or hangs, in the
 * sequence that native_at() tells; then native_failure() says how. */
bool native_run(struct native *n, const struct diff_test *test, int count,
		struct diff_result *result);
const char *native_failure(struct native *n);
int native_at(const struct native *n);

/* Contents of data and stack pages for a seed. */
void diff_fill(u64 seed, u8 *data, u8 *stack);
/* And of the counters' page: addresses by chance reach all of it. */
void diff_fill_ctrl(const struct diff_test *t, u8 *ctrl);
/* The judge can read and write the FS and GS base. */
bool native_fsgsbase(void);
u64 diff_random(u64 *state);

#endif
