/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * `vmon run --wait`, and what is said of a guest that did not come so far.
 */
#ifndef RUN_WAIT_H
#define RUN_WAIT_H

#include "lib/types.h"

struct err;

/* What `vmon run` ends with. */
enum run_status {
	RUN_STATUS_OK,
	RUN_STATUS_USAGE,
	RUN_STATUS_START,
	RUN_STATUS_PANIC,
	RUN_STATUS_RESET,
	RUN_STATUS_ENDED,
	RUN_STATUS_TIMEOUT,
	RUN_STATUS_SIGNAL = 128, /* and its number */
};

struct wait {
	const char *name;
	const char *state, *limit; /* as typed; limit may be NULL */
	bool timing;
	u64 start_ns; /* CLOCK_MONOTONIC */
};

/* Are the texts good?  -EINVAL. */
int wait_check(const struct wait *w, struct err *err);
/* Until the machine is there; tells.  An enum run_status. */
int wait_run(const struct wait *w);
/* Of a machine that has ended with `status`: what its console says of that. */
int wait_post_mortem(const char *name, int status);

#endif
