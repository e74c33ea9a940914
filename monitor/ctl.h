/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * `vmon ctl`: commands for running machines, from scripts.
 */
#ifndef MONITOR_CTL_H
#define MONITOR_CTL_H

/* Arguments behind "ctl"; returns the exit status. */
int ctl_main(int argc, char **argv);

#endif
