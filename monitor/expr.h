/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Arithmetic as the monitor's users type it: QEMU's grammar, not C's.
 *
 *   sum   := logic (('+' | '-') logic)*
 *   logic := prod  (('&' | '|' | '^') prod)*
 *   prod  := unary (('*' | '/' | '%') unary)*
 *   unary := ('+' | '-' | '~') unary | '(' sum ')' | '\'' byte '\''
 *          | '$' name | number | symbol
 *
 * In C's way on request: || && | ^ & (== !=) (< > <= >=) (<< >>) (+ -) (* / %)
 * from the weakest to the strongest, and ! among the unary ones.
 *
 * Values are signed 64-bit and wrap.  Blanks may stand between tokens, so
 * an expression goes on over them.
 */
#ifndef MONITOR_EXPR_H
#define MONITOR_EXPR_H

#include "lib/types.h"

struct err;

struct expr_env {
	/* Value of register `name`: 0, or -errno.  May be NULL: no names. */
	int (*reg)(void *opaque, const char *name, u64 *ret);
	/* Address of a function or variable of the guest, likewise. */
	int (*symbol)(void *opaque, const char *name, u64 *ret);
	void *opaque;
	bool c; /* operators as in C */
	/* A blank and then "/" with a letter end the expression: what follows
	 * is a file name, not a division. */
	bool path_ends;
	/* A blank and then "-" with a letter do: it is a flag. */
	bool flag_ends;
};

/* Evaluates from *text on and moves *text behind the expression and the
 * blanks after it.  -EINVAL with QEMU's words. */
int expr_eval(const char **text, const struct expr_env *env, s64 *ret,
	      struct err *err);

#endif
