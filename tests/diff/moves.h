/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the translator takes instructions to do to general registers, against
 * what the host has seen them do.  Spans are looked up by it (tcg/jit_span.c),
 * so where it is wrong a guest would reach memory that nobody looked up.
 */
#ifndef TESTS_DIFF_MOVES_H
#define TESTS_DIFF_MOVES_H

#include "tests/diff/native.h"

void moves_init(void);
/* `end`: after all of the sequence.  False, and says so, when a register that
 * is taken to be known has another value. */
bool moves_hold(const struct diff_test *t, const struct diff_state *end);

#endif
