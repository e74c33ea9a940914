/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Errors: -errno decides, one message explains.
 *
 * A struct err lives on the caller's stack and needs no release.  Every
 * function here accepts NULL and then only returns the code.  Messages are
 * lower case, without full stop or newline, names in single quotes.  They
 * are printed once: by main (stderr), by a monitor (its session).
 */
#ifndef LIB_ERR_H
#define LIB_ERR_H

#include "lib/types.h"

struct err {
	int code; /* -errno, 0 while nothing is set */
	char msg[480];
};

/* Sets code and message; returns `code`. */
int err_set(struct err *err, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Sets -errno and the message with ": strerror" appended; returns -errno. */
int err_errno(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* As err_errno() for a given negative code. */
int err_code(struct err *err, int code, const char *fmt, ...)
	PRINTF_LIKE(3, 4);

/* Puts "PREFIX: " before the message; returns the code that was set. */
int err_wrap(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
