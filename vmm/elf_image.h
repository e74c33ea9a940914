/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ELF kernels for vmm/boot.c, and the file access the two share.
 */
#ifndef VMM_ELF_IMAGE_H
#define VMM_ELF_IMAGE_H

#include "lib/types.h"

struct err;
struct machine;

struct boot_file {
	char *path; /* owned */
	char *args; /* owned; multiboot modules */
	int fd;
	u64 size;
	gpa_t at; /* where it was loaded last */
};

/* Exactly `len` bytes; -EINVAL when the file is shorter. */
int boot_pread(const struct boot_file *f, u64 offset, void *dst, u64 len,
	       struct err *err);
/* File bytes straight into guest RAM; -ENOMEM when they do not fit. */
int boot_copy(struct machine *m, const struct boot_file *f, u64 offset,
	      gpa_t at, u64 len, struct err *err);

/* Loads all PT_LOAD segments at their physical addresses. */
int elf_load(struct boot_file *f, struct machine *m, gpa_t *ret_end,
	     struct err *err);
/* e_entry as a physical address. */
int elf_entry(const struct boot_file *f, u64 *ret_entry, struct err *err);
/* The 32-bit entry of the Xen PHYS32_ENTRY note. */
int elf_pvh_entry(const struct boot_file *f, u64 *ret_entry, struct err *err);

#endif
