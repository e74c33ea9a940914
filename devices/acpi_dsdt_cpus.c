/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The DSDT's processors, which come and go (devices/acpi_cpus.c).
 *
 * Spec: ACPI 6.4 §8.4.
 */
#include "devices/acpi_dsdt.h"

#include <stdio.h>
#include <string.h>

#include "devices/acpi_aml.h"
#include "devices/pc.h"
#include "lib/buf.h"
#include "lib/bytes.h"
#include "vmm/machine.h"
#include "vmm/vcpu.h"

u32 acpi_madt_processor(u8 entry[16], u32 uid, u32 apic_id, bool enabled)
{
	memset(entry, 0, 16);
	if (apic_id < 255) {
		entry[0] = 0; /* local APIC */
		entry[1] = 8;
		entry[2] = uid;
		entry[3] = apic_id;
		put_le32(entry + 4, enabled);
	} else {
		entry[0] = 9; /* local x2APIC */
		entry[1] = 16;
		put_le32(entry + 4, apic_id);
		put_le32(entry + 8, enabled);
		put_le32(entry + 12, uid);
	}
	return entry[1];
}

static void acpi_aml_set(struct buf *b, u8 value, const char *field)
{
	aml_byte(b, AML_STORE);
	aml_byte(b, value);
	aml_path(b, field);
}

static void acpi_aml_cpu_registers(struct buf *b)
{
	struct buf t = { 0 };
	size_t field = aml_device(b, "PRES");

	aml_name_eisaid(b, "_HID", "PNP0A06");
	aml_name_str(b, "_UID", "processor sockets");
	aml_res_io(&t, ACPI_CPUS_BASE, 12);
	aml_name(b, "_CRS");
	aml_template(b, &t);
	aml_close(b, field);
	buf_fini(&t);

	aml_region(b, "CPST", AML_SYSTEM_IO, ACPI_CPUS_BASE, 12);
	field = aml_field(b, "CPST", 0x41); /* bytes, write zeroes */
	aml_field_skip(b, 32);
	aml_field_unit(b, "CPEN", 1);
	aml_field_unit(b, "CPIN", 1);
	aml_field_unit(b, "CPRM", 1);
	aml_field_unit(b, "CPEJ", 1);
	aml_field_skip(b, 4);
	aml_field_unit(b, "CPCM", 8);
	aml_close(b, field);
	field = aml_field(b, "CPST", 0x03); /* double words */
	aml_field_unit(b, "CPSL", 32);
	aml_field_skip(b, 32);
	aml_field_unit(b, "CPDT", 32);
	aml_close(b, field);
	aml_mutex(b, "CPLK");
}

/* Method (CPSA, 1) and (CPEX, 1): status and ejection of processor Arg0;
 * the GPE's CSCN, which passes on what has happened to any. */
static void acpi_aml_cpu_methods(struct machine *m, struct buf *b)
{
	size_t method = aml_method(b, "CPSA", 1, true), cond, loop;
	char name[5];

	aml_acquire(b, "CPLK");
	acpi_aml_set(b, AML_ARG0, "CPSL");
	aml_byte(b, AML_STORE);
	aml_int(b, 0);
	aml_byte(b, AML_LOCAL0);
	cond = aml_if(b);
	aml_path(b, "CPEN");
	aml_byte(b, AML_STORE);
	aml_int(b, 0x0f);
	aml_byte(b, AML_LOCAL0);
	aml_close(b, cond);
	aml_release(b, "CPLK");
	aml_byte(b, AML_RETURN);
	aml_byte(b, AML_LOCAL0);
	aml_close(b, method);

	method = aml_method(b, "CPEX", 1, true);
	aml_acquire(b, "CPLK");
	acpi_aml_set(b, AML_ARG0, "CPSL");
	acpi_aml_set(b, AML_ONE, "CPEJ");
	aml_release(b, "CPLK");
	aml_close(b, method);

	/* Method (CPNT, 2): Notify processor Arg0. */
	method = aml_method(b, "CPNT", 2, false);
	for (int i = 0; i < m->nvcpus; i++) {
		snprintf(name, sizeof name, "C%03X", i & 0xfff);
		cond = aml_if(b);
		aml_byte(b, AML_EQUAL);
		aml_byte(b, AML_ARG0);
		aml_int(b, i);
		aml_byte(b, AML_NOTIFY);
		aml_path(b, name);
		aml_byte(b, AML_ARG1);
		aml_close(b, cond);
	}
	aml_close(b, method);

	method = aml_method(b, "CSCN", 0, true);
	aml_acquire(b, "CPLK");
	acpi_aml_set(b, AML_ZERO, "CPSL"); /* in their order */
	aml_byte(b, AML_STORE);
	aml_int(b, 1);
	aml_byte(b, AML_LOCAL0);
	loop = aml_while(b);
	aml_byte(b, AML_LOCAL0);
	aml_byte(b, AML_STORE);
	aml_int(b, 0);
	aml_byte(b, AML_LOCAL0);
	acpi_aml_set(b, AML_ZERO, "CPCM"); /* the next one with an event */
	for (int removal = 0; removal < 2; removal++) {
		const char *event = removal ? "CPRM" : "CPIN";

		cond = aml_if(b);
		aml_path(b, event);
		aml_path(b, "CPNT"); /* device check or eject request */
		aml_path(b, "CPDT");
		aml_int(b, removal ? 3 : 1);
		acpi_aml_set(b, AML_ONE, event);
		aml_byte(b, AML_STORE);
		aml_int(b, 1);
		aml_byte(b, AML_LOCAL0);
		aml_close(b, cond);
	}
	aml_close(b, loop);
	aml_release(b, "CPLK");
	aml_close(b, method);
}

static void acpi_aml_socket(struct buf *b, const struct vcpu *v)
{
	size_t method;
	u8 entry[16];

	method = aml_method(b, "_STA", 0, true);
	aml_byte(b, AML_RETURN);
	aml_path(b, "CPSA");
	aml_int(b, v->index);
	aml_close(b, method);
	aml_name(b, "_MAT");
	aml_buffer(b, entry,
		   acpi_madt_processor(entry, v->index, v->apic_id, true));
	if (v->index == 0)
		return;
	method = aml_method(b, "_EJ0", 1, true);
	aml_path(b, "CPEX");
	aml_int(b, v->index);
	aml_close(b, method);
}

void acpi_aml_processors(struct machine *m, struct buf *b)
{
	bool sockets = acpi_has(m, &acpi_cpus_class);
	size_t container = 0;
	char name[5];

	if (sockets) {
		container = aml_device(b, "CPUS");
		aml_name_str(b, "_HID", "ACPI0010");
		aml_name_eisaid(b, "_CID", "PNP0A05");
		acpi_aml_cpu_registers(b);
		acpi_aml_cpu_methods(m, b);
	}
	for (int i = 0; i < m->nvcpus; i++) {
		size_t device;

		snprintf(name, sizeof name, "C%03X", i & 0xfff);
		device = aml_device(b, name);
		aml_name_str(b, "_HID", "ACPI0007");
		aml_name_int(b, "_UID", i);
		if (sockets)
			acpi_aml_socket(b, m->vcpus[i]);
		aml_close(b, device);
	}
	if (sockets)
		aml_close(b, container);
}
