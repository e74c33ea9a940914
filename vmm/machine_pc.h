/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The `pc` machine: which chips sit at which address.
 */
#ifndef VMM_MACHINE_PC_H
#define VMM_MACHINE_PC_H

#include "lib/types.h"

struct boot;
struct chardev;
struct config;
struct err;
struct machine;

/* RAM, vCPUs and accelerator exist.  Creates the chips that every guest
 * has, wires lines, and takes `boot` (may be NULL) for resets. */
int machine_pc_create(struct machine *m, const struct config *c,
		      struct boot *boot, struct err *err);
/* COM1..COM4 by index. */
int machine_pc_add_serial(struct machine *m, int index, struct chardev *chr,
			  struct err *err);

#endif
