/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * /tmp/perf-PID.map: names for code that is made as the program runs, as
 * perf(1) reads them.  Any thread.
 *
 * The format has no time: code that is dropped keeps its lines, and perf may
 * take the older one of two names for one address.
 */
#ifndef LIB_PERFMAP_H
#define LIB_PERFMAP_H

#include <stdatomic.h>

#include "lib/types.h"

struct err;

extern _Atomic int perfmap_fd; /* -1: nobody has asked for it */

/* Begins the file; -errno. */
int perfmap_open(struct err *err);

static inline bool perfmap_on(void)
{
	return atomic_load_explicit(&perfmap_fd, memory_order_relaxed) >= 0;
}

void perfmap_add(const void *start, size_t size, const char *fmt, ...)
	PRINTF_LIKE(3, 4);

#endif
