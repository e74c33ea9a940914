/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ACPI tables: signatures, lengths, checksums, pointers.  With ACPI_DUMP in
 * the environment the DSDT is written to that file, for a disassembler.
 */
#include "devices/acpi.h"

#include <stdio.h>

#include "devices/fw_cfg.h"
#include "devices/pci.h"
#include "lib/buf.h"
#include "lib/bytes.h"
#include "tests/unit/bare_machine.h"

static struct bare b;

static void setup(void)
{
	struct err err = { 0 };

	bare_init(&b);
	b.accel.msi_send = NULL;
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(vcpu_create(b.m, i, &err), 0);
	bare_add(&b, &pci_host_class, NULL);
	bare_add(&b, &isa_bridge_class, NULL);
	bare_add(&b, &acpi_pm_class, NULL);
	bare_add(&b, &acpi_hotplug_class, NULL);
	bare_add(&b, &acpi_cpus_class, NULL);
	bare_add(&b, &fw_cfg_class, NULL);
	bare_add(&b, &serial_class, NULL);
	pci_assign(b.m->pci);
}

static void teardown(void)
{
	bare_fini(&b);
}

static u8 sum(const u8 *p, u32 len)
{
	u8 s = 0;

	while (len--)
		s += *p++;
	return s;
}

/* A table's bytes, after its signature, length and sum were checked. */
static const u8 *table(u64 at, const char *signature)
{
	const u8 *t = mem_ptr(&b.m->mem, at, 36);
	u32 len;

	ck_assert_ptr_nonnull(t);
	ck_assert_int_eq(memcmp(t, signature, 4), 0);
	len = get_le32(t + 4);
	t = mem_ptr(&b.m->mem, at, len);
	ck_assert_ptr_nonnull(t);
	ck_assert_int_eq(sum(t, len), 0);
	return t;
}

START_TEST(acpi_placed_tables_are_linked_and_sum_to_zero)
{
	struct err err = { 0 };
	const u8 *rsdp, *rsdt, *xsdt, *fadt, *madt, *facs;
	gpa_t at;
	int processors = 0;

	ck_assert_msg(acpi_place(b.m, &at, &err) == 0, "%s", err.msg);
	rsdp = mem_ptr(&b.m->mem, at, 36);
	ck_assert_int_eq(at % 16, 0);
	ck_assert_int_eq(memcmp(rsdp, "RSD PTR ", 8), 0);
	ck_assert_int_eq(sum(rsdp, 20), 0);
	ck_assert_int_eq(sum(rsdp, 36), 0);
	rsdt = table(get_le32(rsdp + 16), "RSDT");
	xsdt = table(get_le64(rsdp + 24), "XSDT");
	ck_assert_int_eq(get_le32(rsdt + 36), get_le64(xsdt + 36));
	fadt = table(get_le64(xsdt + 36), "FACP");
	table(get_le32(fadt + 40), "DSDT");
	ck_assert_int_eq(get_le32(fadt + 40), get_le64(fadt + 140));
	ck_assert_int_eq(get_le32(fadt + 56), ACPI_PM_BASE);
	facs = mem_ptr(&b.m->mem, get_le32(fadt + 36), 64);
	ck_assert_int_eq(get_le32(fadt + 36) % 64, 0);
	ck_assert_int_eq(memcmp(facs, "FACS", 4), 0);
	madt = table(get_le64(xsdt + 44), "APIC");
	for (u32 i = 44; i < get_le32(madt + 4); i += madt[i + 1]) {
		ck_assert_int_ge(madt[i + 1], 2);
		processors += madt[i] == 0;
	}
	ck_assert_int_eq(processors, 3);
}

END_TEST

START_TEST(acpi_files_follow_a_moved_pm_block)
{
	struct err err = { 0 };
	u32 size, key = 0;
	u8 dir[4096], *entry = dir + 4;

	ck_assert_msg(acpi_add_files(b.m, &err) == 0, "%s", err.msg);
	pci_config_write(b.m->pci, PCI_DEVFN(1, 3), 0x40, 4, 0xb000);
	space_write(&b.m->io, FW_CFG_BASE, 2, FW_CFG_FILE_DIR);
	for (u32 i = 0; i < sizeof dir; i++)
		dir[i] = bare_in(&b, FW_CFG_BASE + 1);
	for (u32 i = 0; i < get_be32(dir); i++, entry += 64) {
		if (strcmp((char *)entry + 8, "etc/acpi/tables"))
			continue;
		key = get_be16(entry + 4);
		size = get_be32(entry);
	}
	ck_assert_int_ne(key, 0);
	space_write(&b.m->io, FW_CFG_BASE, 2, key);
	for (u32 i = 0; i < size; i++) {
		static u8 tables[65536];

		tables[i] = bare_in(&b, FW_CFG_BASE + 1);
		if (i >= 275 && !memcmp(tables + i - 275, "FACP", 4)) {
			ck_assert_int_eq(get_le32(tables + i - 275 + 56),
					 0xb000);
			return;
		}
	}
	ck_abort_msg("no FADT");
}

END_TEST

START_TEST(acpi_dsdt_can_be_dumped)
{
	const char *path = getenv("ACPI_DUMP");
	struct buf dsdt = { 0 };
	u8 *t;

	acpi_build_dsdt(b.m, &dsdt);
	t = (u8 *)dsdt.data;
	ck_assert_int_eq(get_le32(t + 4), dsdt.len);
	t[9] = -sum(t, dsdt.len);
	if (path) {
		FILE *f = fopen(path, "wb");

		ck_assert_ptr_nonnull(f);
		ck_assert_int_eq(fwrite(t, 1, dsdt.len, f), dsdt.len);
		fclose(f);
	}
	buf_fini(&dsdt);
}

END_TEST

int main(void)
{
	TCase *tc = tcase_create("acpi_tables");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, acpi_placed_tables_are_linked_and_sum_to_zero);
	tcase_add_test(tc, acpi_files_follow_a_moved_pm_block);
	tcase_add_test(tc, acpi_dsdt_can_be_dumped);
	return bare_run("devices_acpi_tables", tc);
}
