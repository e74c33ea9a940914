/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ACPI tables of the pc machine.
 *
 * RSDP (revision 2), RSDT, XSDT, FADT, FACS, DSDT, MADT.  Interrupts: INTx
 * pins go through the link devices LNKA-LNKD, which are the ISA bridge's
 * PIRQ registers, to GSI 5, 10 or 11 (level, active high) with PIC and
 * IOAPIC alike; the SCI is GSI 9, the PIT GSI 2.
 *
 * Locking: machine_lock.
 */
#ifndef DEVICES_ACPI_H
#define DEVICES_ACPI_H

#include "lib/types.h"

struct buf;
struct err;
struct machine;

/* Where a direct boot finds them; SMBIOS begins behind. */
#define ACPI_TABLES_BASE 0xe0000u
#define ACPI_TABLES_END  0xf0000u

/* Writes the tables into guest RAM at ACPI_TABLES_BASE, for a boot without
 * firmware; after pci_assign().  *ret_rsdp is the root pointer.  -ENOSPC. */
int acpi_place(struct machine *m, gpa_t *ret_rsdp, struct err *err);
/* Adds etc/acpi/rsdp, etc/acpi/tables and etc/table-loader to m->fw_cfg, for
 * firmware; they are rebuilt when the guest selects them, as firmware moves
 * the power management block. */
int acpi_add_files(struct machine *m, struct err *err);

/* The DSDT, header included, checksum zero; for tests. */
void acpi_build_dsdt(struct machine *m, struct buf *out);

#endif
