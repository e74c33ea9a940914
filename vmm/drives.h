/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The drives of a command line: -hda, -drive, -pflash, -cdrom, -cloud-init.
 */
#ifndef VMM_DRIVES_H
#define VMM_DRIVES_H

struct config;
struct err;
struct loop;

/* In that order, and each in order of the command line; it is that of disks
 * on the bus.  0 or -errno; what was made before stays. */
int drives_create(struct loop *loop, const struct config *c, struct err *err);

#endif
