/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Direct kernel boot: bzImage (64-bit entry, 32-bit when the kernel offers
 * no other), ELF with a PVH note, multiboot 1.
 *
 * boot_open() checks the files before anything is created; boot_load()
 * copies them into guest RAM and sets the first vCPU's registers, at start
 * and again after each reset.  The files stay open, so a reset loads the
 * same kernel even when it was replaced by name.
 *
 * Locking: machine_lock, vCPUs parked.
 */
#ifndef VMM_BOOT_H
#define VMM_BOOT_H

#include "lib/types.h"

struct boot;
struct buf;
struct err;
struct machine;

/* `initrd` and `append` may be NULL.  For multiboot `initrd` is a list
 * "file args,file args" of modules. */
struct boot *boot_open(const char *kernel, const char *initrd,
		       const char *append, struct err *err);
void boot_close(struct boot *b);
/* `rsdp`: address of the ACPI root pointer, 0 if there is none. */
int boot_load(struct boot *b, struct machine *m, gpa_t rsdp, struct err *err);

/* Guest-physical address map for firmware and kernels, ACPI types: 1 RAM,
 * 2 reserved.  Returns the number of entries. */
struct e820_entry {
	u64 addr, size;
	u32 type;
} __attribute__((packed));

#define BOOT_LOW_MEMORY 0x9fc00u /* end of conventional memory */
#define E820_MAX        8
int boot_e820(const struct machine *m, struct e820_entry map[E820_MAX]);

/* `info roms`: one line per loaded image. */
void boot_info(const struct boot *b, struct buf *out);

#endif
