/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What firmware leaves behind for kernels that look for it: the Multiboot
 * Specification hands the machine over "as initialized by the BIOS".
 *
 * Locking: machine_lock, vCPUs parked.
 */
#ifndef VMM_BOOT_BIOS_H
#define VMM_BOOT_BIOS_H

struct machine;

/* Real-mode vectors and the stubs they name, the words of the BIOS data area
 * that tell where conventional memory ends, PIC and PIT. */
void boot_bios_leave(struct machine *m);

#endif
