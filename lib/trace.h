/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Trace points: places in the program that say, when asked, that they were
 * passed, and with what.  A point belongs to a log item, which shows it too.
 * One that nobody asks for costs a load and a branch.
 *
 * Every call is safe from any thread, but for options.
 */
#ifndef LIB_TRACE_H
#define LIB_TRACE_H

#include <stdatomic.h>

#include "lib/types.h"

struct buf;
struct err;

enum trace_point {

#define TRACE(id, name, item) TRACE_##id,
#include "lib/trace.def"
#undef TRACE
	TRACE_COUNT
};

extern _Atomic u32 trace_wanted; /* bit per point: traced or logged */

static inline bool trace_on(enum trace_point p)
{
	return atomic_load_explicit(&trace_wanted, memory_order_relaxed) &
	       (1u << p);
}

/* trace(MMIO_READ, "format", ...): one line. */
#define trace(point, ...)                                        \
	do {                                                     \
		if (unlikely(trace_on(TRACE_##point)))           \
			trace_write(TRACE_##point, __VA_ARGS__); \
	} while (0)

void trace_write(enum trace_point p, const char *fmt, ...) PRINTF_LIKE(2, 3);

const char *trace_name(int p); /* NULL behind the last */
bool trace_state(int p);       /* traced; the log does not count */
/* Points whose name matches the pattern of * and ?, which may be none.
 * -ENOENT: it is no pattern, and no point's name. */
int trace_set(const char *pattern, bool on);
bool trace_matches(int p, const char *pattern);

/* Patterns from a file, one a line; "-" before one switches off, '#' begins a
 * comment. */
int trace_load(const char *path, struct err *err);
/* Lines of traces go to this file, not the log. */
int trace_set_file(const char *path, struct err *err);
/* To the log for a while, and back to the file; -ENOENT: there is none. */
int trace_use_file(bool on);
void trace_say_file(struct buf *out); /* a line */
/* Points that an item "trace:PATTERN" of the log names, added to *points,
 * and which they are from now on; errors of trace_set(). */
int trace_find_named(const char *pattern, size_t len, u32 *points);
void trace_set_named(u32 points);
void trace_list(struct buf *out); /* names, one a line */

/* For lib/log.c: the log's items have changed. */
void trace_log_changed(u32 items);

#endif
