/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The DSDT of the pc machine: host bridge, chips, interrupt links, slots that
 * devices are plugged into.
 *
 * Spec: ACPI 6.4 §5.2.11, §20.
 */
#include "devices/acpi_dsdt.h"

#include <stdio.h>

#include "devices/acpi.h"
#include "devices/acpi_aml.h"
#include "devices/fw_cfg.h"
#include "devices/pc.h"
#include "devices/pci.h"
#include "lib/buf.h"
#include "vmm/machine.h"

/* Interrupts a link may be set to. */
static const u32 acpi_link_irqs[] = { 5, 10, 11 };

static void acpi_aml_sta(struct buf *b, u8 value)
{
	aml_name_int(b, "_STA", value);
}

/* One PNP device with ports and an interrupt (0: none). */
static void acpi_aml_isa(struct buf *b, const char *name, const char *id,
			 int uid, u16 port1, u8 len1, u16 port2, u8 len2,
			 int irq)
{
	struct buf t = { 0 };
	size_t device = aml_device(b, name);

	aml_name_eisaid(b, "_HID", id);
	if (uid)
		aml_name_int(b, "_UID", uid);
	acpi_aml_sta(b, 0x0f);
	aml_res_io(&t, port1, len1);
	if (len2)
		aml_res_io(&t, port2, len2);
	if (irq)
		aml_res_irq(&t, irq);
	aml_name(b, "_CRS");
	aml_template(b, &t);
	aml_close(b, device);
	buf_fini(&t);
}

static void acpi_aml_serial(struct machine *m, struct buf *b)
{
	struct device *dev;
	char name[5];

	list_for_each (dev, &m->devices, node) {
		u32 index, iobase, irq;

		if (dev->class != &serial_class)
			continue;
		serial_wiring(dev, &index, &iobase, &irq);
		snprintf(name, sizeof name, "COM%u", (index & 7) + 1);
		acpi_aml_isa(b, name, "PNP0501", index + 1, iobase, 8, 0, 0,
			     irq);
	}
}

static void acpi_aml_isa_bridge(struct machine *m, struct buf *b)
{
	size_t device = aml_device(b, "ISA");
	size_t field;

	aml_name_int(b, "_ADR", 0x00010000);
	aml_region(b, "PIRQ", AML_PCI_CONFIG, 0x60, 4);
	field = aml_field(b, "PIRQ", 1); /* byte access */
	aml_field_unit(b, "PRQA", 8);
	aml_field_unit(b, "PRQB", 8);
	aml_field_unit(b, "PRQC", 8);
	aml_field_unit(b, "PRQD", 8);
	aml_close(b, field);
	acpi_aml_isa(b, "KBD", "PNP0303", 0, 0x60, 1, 0x64, 1, 1);
	acpi_aml_isa(b, "RTC", "PNP0B00", 0, 0x70, 2, 0, 0, 8);
	acpi_aml_serial(m, b);
	aml_close(b, device);
}

/* LNKx: reads and writes the PIRQ register `reg`. */
static void acpi_aml_link(struct buf *b, int n)
{
	static const u32 zero[1] = { 0 };
	const char name[5] = { 'L', 'N', 'K', 'A' + n, 0 };
	char reg[24];
	struct buf t = { 0 };
	size_t device = aml_device(b, name), method, cond;

	snprintf(reg, sizeof reg, "\\_SB.PCI0.ISA.PRQ%c", 'A' + n);
	aml_name_eisaid(b, "_HID", "PNP0C0F");
	aml_name_int(b, "_UID", n);
	aml_name(b, "_PRS");
	aml_res_interrupts(&t, acpi_link_irqs, ARRAY_SIZE(acpi_link_irqs));
	aml_template(b, &t);

	method = aml_method(b, "_STA", 0, false);
	cond = aml_if(b); /* If (PRQx & 0x80) */
	aml_byte(b, AML_AND);
	aml_path(b, reg);
	aml_int(b, 0x80);
	aml_byte(b, AML_ZERO); /* no target */
	aml_byte(b, AML_RETURN);
	aml_int(b, 0x09);
	aml_close(b, cond);
	aml_byte(b, AML_RETURN);
	aml_int(b, 0x0b);
	aml_close(b, method);

	method = aml_method(b, "_DIS", 0, false);
	aml_byte(b, AML_OR);
	aml_path(b, reg);
	aml_int(b, 0x80);
	aml_path(b, reg);
	aml_close(b, method);

	method = aml_method(b, "_CRS", 0, true);
	aml_name(b, "PRR0");
	aml_res_interrupts(&t, zero, 1);
	aml_template(b, &t);
	aml_byte(b, AML_CREATE_DWORD); /* the number is at byte 5 */
	aml_path(b, "PRR0");
	aml_int(b, 5);
	aml_path(b, "PRRI");
	cond = aml_if(b); /* If (PRQx < 0x80) */
	aml_byte(b, AML_LESS);
	aml_path(b, reg);
	aml_int(b, 0x80);
	aml_byte(b, AML_STORE);
	aml_path(b, reg);
	aml_path(b, "PRRI");
	aml_close(b, cond);
	aml_byte(b, AML_RETURN);
	aml_path(b, "PRR0");
	aml_close(b, method);

	method = aml_method(b, "_SRS", 1, false);
	aml_byte(b, AML_CREATE_DWORD);
	aml_byte(b, AML_ARG0);
	aml_int(b, 5);
	aml_path(b, "PRRI");
	aml_byte(b, AML_STORE);
	aml_path(b, "PRRI");
	aml_path(b, reg);
	aml_close(b, method);
	aml_close(b, device);
	buf_fini(&t);
}

/* Four pins of every slot, swizzled as pci_pirq() in devices/pci.c does. */
static void acpi_aml_prt(struct buf *b)
{
	size_t all, one;

	aml_name(b, "_PRT");
	all = aml_package(b, PCI_SLOTS * 4);
	for (u32 slot = 0; slot < PCI_SLOTS; slot++) {
		for (u32 pin = 0; pin < 4; pin++) {
			const char link[5] = { 'L', 'N', 'K',
					       'A' + ((pin + slot - 1) & 3),
					       0 };

			one = aml_package(b, 4);
			aml_int(b, slot << 16 | 0xffff);
			aml_int(b, pin);
			aml_path(b, link);
			aml_int(b, 0);
			aml_close(b, one);
		}
	}
	aml_close(b, all);
}

/* Hot-plug: slots with an eject method, and what the GPE's handler does.
 * Slots 0 to 2 are the chipset's and never change. */
static void acpi_aml_hotplug_slots(struct buf *b)
{
	size_t field, method, device, cond;
	char name[5];

	aml_region(b, "HPST", AML_SYSTEM_IO, ACPI_HOTPLUG_BASE, 12);
	field = aml_field(b, "HPST", 0x43); /* double words, write zeroes */
	aml_field_unit(b, "PCIU", 32);
	aml_field_unit(b, "PCID", 32);
	aml_field_unit(b, "B0EJ", 32);
	aml_close(b, field);

	for (u32 slot = 3; slot < PCI_SLOTS; slot++) {
		snprintf(name, sizeof name, "S%02X", slot);
		device = aml_device(b, name);
		aml_name_int(b, "_ADR", slot << 16);
		aml_name_int(b, "_SUN", slot);
		method = aml_method(b, "_EJ0", 1, false);
		aml_byte(b, AML_STORE);
		aml_int(b, 1u << slot);
		aml_path(b, "B0EJ");
		aml_close(b, method);
		aml_close(b, device);
	}

	/* Method (DVNT, 2): Notify each slot in the bitmap Arg0. */
	method = aml_method(b, "DVNT", 2, false);
	for (u32 slot = 3; slot < PCI_SLOTS; slot++) {
		snprintf(name, sizeof name, "S%02X", slot);
		cond = aml_if(b);
		aml_byte(b, AML_AND);
		aml_byte(b, AML_ARG0);
		aml_int(b, 1u << slot);
		aml_byte(b, AML_ZERO);
		aml_byte(b, AML_NOTIFY);
		aml_path(b, name);
		aml_byte(b, AML_ARG1);
		aml_close(b, cond);
	}
	aml_close(b, method);

	method = aml_method(b, "PCNT", 0, false);
	aml_path(b, "DVNT"); /* DVNT (PCIU, 1): device check */
	aml_path(b, "PCIU");
	aml_int(b, 1);
	aml_path(b, "DVNT"); /* DVNT (PCID, 3): eject request */
	aml_path(b, "PCID");
	aml_int(b, 3);
	aml_close(b, method);
}

bool acpi_has(struct machine *m, const struct device_class *class)
{
	struct device *dev;

	list_for_each (dev, &m->devices, node)
		if (dev->class == class)
			return true;
	return false;
}

static void acpi_aml_gpe(struct machine *m, struct buf *b)
{
	size_t scope = aml_scope(b, "\\_GPE"), method;

	if (m->pci && acpi_has(m, &acpi_hotplug_class)) {
		method = aml_method(b, "_E01", 0, false); /* ACPI_HOTPLUG_GPE */
		aml_path(b, "\\_SB.PCI0.PCNT");
		aml_close(b, method);
	}
	if (acpi_has(m, &acpi_cpus_class)) {
		method = aml_method(b, "_E02", 0, false); /* ACPI_CPUS_GPE */
		aml_path(b, "\\_SB.CPUS.CSCN");
		aml_close(b, method);
	}
	aml_close(b, scope);
}

static void acpi_aml_host_bridge(struct machine *m, struct buf *b)
{
	u64 size, high = pci_high_window(m, &size);
	struct buf t = { 0 };
	size_t device = aml_device(b, "PCI0");

	aml_name_eisaid(b, "_HID", "PNP0A03");
	aml_name_int(b, "_ADR", 0);
	aml_name_int(b, "_UID", 0);
	aml_res_bus_numbers(&t, 0, 0xff);
	aml_res_io(&t, 0xcf8, 8);
	aml_res_io_window(&t, 0x0000, 0x0cf7);
	aml_res_io_window(&t, 0x0d00, 0xffff);
	aml_res_mem32_window(&t, 0x000a0000, 0x000bffff, true);
	aml_res_mem32_window(&t, MAX(3 * GIB, m->ram_below_4g),
			     PCI_WINDOW_END - 1, false);
	aml_res_mem64_window(&t, high, high + size - 1);
	aml_name(b, "_CRS");
	aml_template(b, &t);
	acpi_aml_prt(b);
	acpi_aml_isa_bridge(m, b);
	if (acpi_has(m, &acpi_hotplug_class))
		acpi_aml_hotplug_slots(b);
	aml_close(b, device);
	buf_fini(&t);
}

static void acpi_aml_fw_cfg(struct buf *b)
{
	struct buf t = { 0 };
	size_t device = aml_device(b, "FWCF");

	aml_name_str(b, "_HID", "QEMU0002");
	acpi_aml_sta(b, 0x0b);
	aml_res_io(&t, FW_CFG_BASE, FW_CFG_PORTS);
	aml_name(b, "_CRS");
	aml_template(b, &t);
	aml_close(b, device);
	buf_fini(&t);
}

void acpi_build_dsdt(struct machine *m, struct buf *b)
{
	u8 header[ACPI_HEADER] = { 0 };
	size_t scope, package;

	buf_append(b, header, sizeof header);
	scope = aml_scope(b, "\\_SB");
	if (m->pci) {
		acpi_aml_host_bridge(m, b);
		for (int i = 0; i < 4; i++)
			acpi_aml_link(b, i);
	} else {
		acpi_aml_serial(m, b);
	}
	if (m->fw_cfg)
		acpi_aml_fw_cfg(b);
	acpi_aml_processors(m, b);
	aml_close(b, scope);

	acpi_aml_gpe(m, b);
	aml_name(b, "\\_S5");
	package = aml_package(b, 4);
	for (int i = 0; i < 4; i++)
		aml_int(b, 0); /* SLP_TYP of soft off */
	aml_close(b, package);
	acpi_header((u8 *)b->data, "DSDT", b->len, 2);
}
