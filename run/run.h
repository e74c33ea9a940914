/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * `vmon run IMAGE`: the command line for a cloud image as it was downloaded.
 *
 * There is one truth, the long command line; this writes it.
 */
#ifndef RUN_RUN_H
#define RUN_RUN_H

/* From the arguments behind "run": `*ret`, NULL-ended, is what vmon goes on
 * with; release with run_free().  0, or what to exit with plus one: help,
 * --dry-run (1), a mistake (2), which has been said. */
int run_main(int argc, char **argv, char ***ret);
void run_free(char **argv); /* NULL is fine */

#endif
