/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A small writer of ACPI machine language.
 *
 * Terms are appended to a struct buf in the order in which ASL has them.
 * What has a PkgLength is opened and closed; aml_close() inserts the length.
 *
 * Spec: ACPI 6.4 §20.2, §6.4.
 */
#ifndef DEVICES_ACPI_AML_H
#define DEVICES_ACPI_AML_H

#include "lib/buf.h"
#include "lib/types.h"

/* Opening terms return where their length goes. */
size_t aml_scope(struct buf *b, const char *path);
size_t aml_device(struct buf *b, const char *name);
size_t aml_method(struct buf *b, const char *name, int nargs, bool serialized);
size_t aml_if(struct buf *b); /* the predicate follows */
size_t aml_while(struct buf *b);
size_t aml_package(struct buf *b, u8 count);
size_t aml_field(struct buf *b, const char *region, u8 flags);
void aml_close(struct buf *b, size_t mark);

void aml_byte(struct buf *b, u8 byte);
void aml_int(struct buf *b, u64 value);
void aml_str(struct buf *b, const char *s);
void aml_eisaid(struct buf *b, const char *id); /* "PNP0A03" */
void aml_path(struct buf *b, const char *path); /* "\\_SB.PCI0", "LNKA" */
void aml_name(struct buf *b, const char *name); /* Name (NAME, next term) */
void aml_name_int(struct buf *b, const char *name, u64 value);
void aml_name_eisaid(struct buf *b, const char *name, const char *id);
void aml_name_str(struct buf *b, const char *name, const char *s);
/* OperationRegion (name, space, offset, len) */
void aml_region(struct buf *b, const char *name, u8 space, u64 offset, u64 len);
#define AML_SYSTEM_IO  1
#define AML_PCI_CONFIG 2
void aml_field_unit(struct buf *b, const char *name, u32 bits);
void aml_field_skip(struct buf *b, u32 bits);
/* Without a time limit. */
void aml_mutex(struct buf *b, const char *name);
void aml_acquire(struct buf *b, const char *name);
void aml_release(struct buf *b, const char *name);

#define AML_ZERO         0x00
#define AML_ONE          0x01
#define AML_LOCAL0       0x60
#define AML_ARG0         0x68
#define AML_ARG1         0x69
#define AML_STORE        0x70
#define AML_AND          0x7b
#define AML_OR           0x7d
#define AML_NOTIFY       0x86
#define AML_CREATE_DWORD 0x8a
#define AML_EQUAL        0x93
#define AML_LESS         0x95
#define AML_RETURN       0xa4

/* Resource descriptors are collected in a buffer of their own. */
void aml_res_io(struct buf *t, u16 base, u8 len);
void aml_res_irq(struct buf *t, u8 irq); /* edge, high, exclusive */
/* Extended interrupt: level, high, shared; consumer. */
void aml_res_interrupts(struct buf *t, const u32 *irqs, u8 count);
void aml_res_bus_numbers(struct buf *t, u16 first, u16 last);
void aml_res_io_window(struct buf *t, u16 first, u16 last);
void aml_res_mem32_window(struct buf *t, u32 first, u32 last, bool cacheable);
void aml_res_mem64_window(struct buf *t, u64 first, u64 last);
/* Appends Buffer () { t, end tag } and empties t. */
void aml_template(struct buf *b, struct buf *t);
void aml_buffer(struct buf *b, const void *data, u32 len);

#endif
