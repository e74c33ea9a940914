/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * `vmon run IMAGE`: the command line for a cloud image as it was downloaded.
 *
 * There is one truth, the long command line; this writes it.
 */
#ifndef RUN_RUN_H
#define RUN_RUN_H

/* How a machine ended, beside its status. */
struct run_end {
	int failed;         /* given: the status when it could not start */
	const char *reason; /* NULL: it did not; else QMP's shutdown cause */
	int signal;         /* that ended it; 0: none */
};

/* What takes the long command line; `end` may be NULL. */
typedef int run_vmon_fn(int argc, char **argv, struct run_end *end);

/* From the arguments behind "run".  Returns what to exit with, of run/wait.h;
 * what went wrong has been said. */
int run_main(int argc, char **argv, run_vmon_fn *vmon);

#endif
