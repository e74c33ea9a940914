/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * How far a guest has come, by what its console says.
 *
 * That is a guest's word, and nothing is decided by it but what is told.
 */
#ifndef RUN_STAGE_H
#define RUN_STAGE_H

#include <regex.h>
#include <stddef.h>

#include "lib/types.h"

#define STAGE_LINE_MAX 512

enum stage {

#define STAGE(id, name) STAGE_##id,
#include "run/stages.def"
	STAGE_COUNT
};

struct stage_watch { /* zeroed, but for `text` */
	char line[STAGE_LINE_MAX + 1];
	size_t len;
	u64 seen_ns[STAGE_COUNT]; /* CLOCK_MONOTONIC; 0: not yet */
	const regex_t *text;      /* NULL; what is looked for */
	bool found;
	int stuck; /* status; 0: it is not */
	const char *why;
};

const char *stage_name(enum stage s);
void stage_feed(struct stage_watch *w, const char *data, size_t len);
/* The furthest. */
enum stage stage_now(const struct stage_watch *w);

#endif
