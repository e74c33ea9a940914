/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Random user-mode sequences from the rows of tcg/opcodes*.def, for 64-bit
 * and compatibility mode.
 *
 * Branches go forward, or a few instructions back as long as a counter in
 * memory (diff_test.budget) allows; around the whole there may be a loop
 * (diff_test.loops).  Both leave flags and registers alone, so that what the
 * branches read is what the sequence has made.
 */
#ifndef TESTS_DIFF_GEN_H
#define TESTS_DIFF_GEN_H

#include "tcg/decode.h"
#include "tests/diff/native.h"

struct gen_config {
	u64 seed;
	const char *mnemonic; /* NULL: all */
	/* What is undefined is not compared, nor read by what follows. */
	bool ignore_undef;
	u32 max_insns;
	u32 max_loops;
};

/* Ends the program when no row has that mnemonic. */
void gen_init(const struct gen_config *config);
void gen_test(struct diff_test *t);
/* The same tests again from the first. */
void gen_restart(void);
/* The given bytes from a random state. */
void gen_case(struct diff_test *t, bool code32, const u8 *code, u32 len);
/* Flags of a row that are not compared; nothing that follows reads them. */
u32 gen_undefined(const struct opdesc *d);
/* Is the judge a processor of AMD? */
bool gen_amd(void);
u32 gen_forms(void); /* rows that are generated */
/* The sequence ran to its end; counts rows that stood alone. */
void gen_completed(const struct diff_test *t);
/* Prints rows that are neither generated nor excluded for a reason and, if
 * `ended`, those that never ran to the end though they can; returns their
 * number. */
u32 gen_missing(bool ended);

#endif
