/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Private to devices/acpi_*.c: the parts of the DSDT and what else they share.
 */
#ifndef DEVICES_ACPI_DSDT_H
#define DEVICES_ACPI_DSDT_H

#include "lib/types.h"

struct buf;
struct device_class;
struct machine;

#define ACPI_HEADER 36

/* Into the first ACPI_HEADER bytes of a table; the checksum is zero. */
void acpi_header(u8 *h, const char *signature, u32 len, u8 revision);
/* Has the machine a device of this class? */
bool acpi_has(struct machine *m, const struct device_class *class);

/* ---- acpi_dsdt_cpus.c ---- */

/* An entry of the MADT, which is also what _MAT gives; returns its length. */
u32 acpi_madt_processor(u8 entry[16], u32 uid, u32 apic_id, bool enabled);
void acpi_aml_processors(struct machine *m, struct buf *b);

#endif
