/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * `vmon run IMAGE`: the command line for a cloud image as it was downloaded.
 *
 * There is one truth, the long command line; this writes it.
 */
#ifndef RUN_RUN_H
#define RUN_RUN_H

/* From the arguments behind "run"; `vmon` is what takes the long command line.
 * Returns what to exit with: its status, 0 after help and --dry-run, 1 for a
 * mistake, which has been said, VERBS_TIMEOUT. */
int run_main(int argc, char **argv, int (*vmon)(int argc, char **argv));

#endif
