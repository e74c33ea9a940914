/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Allocation that cannot fail, for sizes that the configuration sets.
 *
 * Running out of memory here ends the process with one line.  Sizes that a
 * guest, an image or a peer chooses must be bounded by the caller and use
 * malloc() with a check instead.
 */
#ifndef LIB_ALLOC_H
#define LIB_ALLOC_H

#include "lib/types.h"

void *xalloc(size_t size); /* zeroed; release with free() */
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t size);
char *xstrdup(const char *s); /* NULL gives NULL */
char *xprintf(const char *fmt, ...) PRINTF_LIKE(1, 2);

#endif
