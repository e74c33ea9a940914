/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a power-on self test leaves behind: the services of bios/ with their
 * vectors and data, PIC and PIT.
 *
 * For kernels that look for it, too: the Multiboot Specification hands the
 * machine over "as initialized by the BIOS".
 *
 * Locking: machine_lock, vCPUs parked.
 */
#ifndef VMM_BOOT_BIOS_H
#define VMM_BOOT_BIOS_H

#include "lib/types.h"

struct err;
struct machine;

/* What the guest is told of: ports of serial lines (0: none), hard disks. */
struct boot_bios {
	u16 com[4];
	u8 disks;
};

/* `b` may be NULL. */
int boot_bios_place(struct machine *m, const struct boot_bios *b,
		    struct err *err);
/* The first vCPU at the ROM's start, which looks for a disk to boot. */
void boot_bios_start(struct machine *m);
/* Segment F000's offset of an entry of the ROM's head (BIOS_HEAD_*). */
u16 boot_bios_entry(u32 head);

#endif
