/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Filters behind a command: grep, head, tail, count, diff.
 */
#ifndef MONITOR_FILTER_H
#define MONITOR_FILTER_H

#include "lib/buf.h"
#include "lib/types.h"

#define FILTER_PAST_MAX 8 /* lines of which `diff` knows the last answer */

/* Of a session; zeroed at first. */
struct filters {
	struct filter_past {
		char *line; /* owned; NULL: free */
		struct buf text;
		bool known;
	} past[FILTER_PAST_MAX];

	u32 next; /* to be replaced */
};

void filters_fini(struct filters *f); /* to zeroes */
/* Replaces `text` by what the filter `stage` leaves of it.  `line` is all of
 * the command line, `eol` ends lines.  False: there is no such filter. */
bool filter_apply(struct filters *f, struct buf *text, const char *stage,
		  const char *line, const char *eol);

#endif
