/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ACPI tables of the pc machine.
 *
 * Tables are built once as a blob in which pointers are offsets and
 * checksums zero, with two lists that say where.  A direct boot relocates
 * and sums it here; for firmware the lists become the script of QEMU's
 * table loader.
 *
 * Spec: ACPI 6.4 §5.2; QEMU's bios-linker-loader.
 * Locking: machine_lock.
 */
#include "devices/acpi.h"

#include <errno.h>
#include <string.h>

#include "devices/acpi_dsdt.h"
#include "devices/fw_cfg.h"
#include "devices/pc.h"
#include "lib/buf.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/log.h"
#include "vmm/machine.h"
#include "vmm/memory.h"
#include "vmm/vcpu.h"

#define RSDP_BYTES 36
#define FADT_BYTES 276
#define FACS_BYTES 64

#define FILE_RSDP   "etc/acpi/rsdp"
#define FILE_TABLES "etc/acpi/tables"
#define FILE_LOADER "etc/table-loader"

#define LOADER_ENTRY    128
#define LOADER_ALLOCATE 1
#define LOADER_POINTER  2
#define LOADER_CHECKSUM 3
#define LOADER_HIGH     1
#define LOADER_FSEG     2

#define ACPI_POINTERS_MAX 32
#define ACPI_SUMS_MAX     16

struct acpi_pointer {
	u32 at;
	u8 size;
};

struct acpi_sum {
	u32 at, start, len;
};

/* Offsets of `pointer` and `sum` count from the start of `tables`. */
struct acpi_blob {
	struct buf tables;
	u8 rsdp[RSDP_BYTES]; /* its two pointers are offsets, too */
	struct acpi_pointer pointer[ACPI_POINTERS_MAX];
	struct acpi_sum sum[ACPI_SUMS_MAX];
	int npointers, nsums;
};

/* ---- Headers ---- */

void acpi_header(u8 *h, const char *signature, u32 len, u8 revision)
{
	memcpy(h, signature, 4);
	put_le32(h + 4, len);
	h[8] = revision;
	memcpy(h + 10, "VMON  ", 6);
	memcpy(h + 16, "VMONPC  ", 8);
	put_le32(h + 24, 1);
	memcpy(h + 28, "VMON", 4);
	put_le32(h + 32, 1);
}

static u8 *acpi_at(struct acpi_blob *blob, u32 at)
{
	return (u8 *)blob->tables.data + at;
}

/* Appends a table without its contents beyond the header; returns where. */
static u32 acpi_append(struct acpi_blob *blob, const void *table, u32 len)
{
	static const u8 zeroes[16];
	u32 at;

	buf_append(&blob->tables, zeroes, -blob->tables.len & 15);
	at = blob->tables.len;
	buf_append(&blob->tables, table, len);
	return at;
}

static void acpi_add_sum(struct acpi_blob *blob, u32 table)
{
	blob->sum[blob->nsums++] = (struct acpi_sum){
		.at = table + 9,
		.start = table,
		.len = get_le32(acpi_at(blob, table + 4)),
	};
}

static void acpi_add_pointer(struct acpi_blob *blob, u32 at, u8 size,
			     u32 target)
{
	if (size == 8)
		put_le64(acpi_at(blob, at), target);
	else
		put_le32(acpi_at(blob, at), target);
	blob->pointer[blob->npointers++] = (struct acpi_pointer){ at, size };
}

/* ---- The other tables ---- */

static u32 acpi_add_dsdt(struct acpi_blob *blob, struct machine *m)
{
	struct buf dsdt = { 0 };
	u32 at;

	acpi_build_dsdt(m, &dsdt);
	at = acpi_append(blob, dsdt.data, dsdt.len);
	buf_fini(&dsdt);
	acpi_add_sum(blob, at);
	return at;
}

/* Appended first, so that it lies at the blob's 64-byte alignment. */
static u32 acpi_add_facs(struct acpi_blob *blob)
{
	u8 facs[FACS_BYTES] = { 0 };

	memcpy(facs, "FACS", 4);
	put_le32(facs + 4, sizeof facs);
	return acpi_append(blob, facs, sizeof facs);
}

/* Generic address of an I/O port. */
static void acpi_port(u8 *gas, u16 port, u8 bytes)
{
	gas[0] = 1; /* system I/O */
	gas[1] = bytes * 8;
	gas[3] = bytes > 4 ? 0 : bytes == 4 ? 3 : bytes == 2 ? 2 : 1;
	put_le64(gas + 4, port);
}

static u32 acpi_add_fadt(struct acpi_blob *blob, struct machine *m, u32 facs,
			 u32 dsdt)
{
	u16 pm = m->acpi_pm ? acpi_pm_base(m->acpi_pm) : 0;
	u8 fadt[FADT_BYTES] = { 0 };
	u32 at;

	if (!pm)
		pm = ACPI_PM_BASE;
	acpi_header(fadt, "FACP", sizeof fadt, 6);
	put_le16(fadt + 46, ACPI_SCI_GSI);
	put_le32(fadt + 56, pm);     /* PM1a_EVT_BLK */
	put_le32(fadt + 64, pm + 4); /* PM1a_CNT_BLK */
	put_le32(fadt + 76, pm + 8); /* PM_TMR_BLK */
	put_le32(fadt + 80, ACPI_GPE0_BASE);
	fadt[88] = 4;               /* PM1_EVT_LEN */
	fadt[89] = 2;               /* PM1_CNT_LEN */
	fadt[91] = 4;               /* PM_TMR_LEN */
	fadt[92] = 4;               /* GPE0_BLK_LEN */
	put_le16(fadt + 96, 0xfff); /* no C2 */
	put_le16(fadt + 98, 0xfff); /* no C3 */
	fadt[108] = 0x32;           /* CENTURY */
	/* Legacy devices, 8042; no VGA. */
	put_le16(fadt + 109, m->vga ? 0x0003 : 0x0007);
	/* WBINVD, C1, no sleep button, 32-bit timer, RESET_REG. */
	put_le32(fadt + 112, BIT(0) | BIT(2) | BIT(5) | BIT(8) | BIT(10));
	acpi_port(fadt + 116, 0xcf9, 1);
	fadt[128] = 0x06; /* RESET_VALUE */
	acpi_port(fadt + 148, pm, 4);
	fadt[151] = 2; /* accessed by words */
	acpi_port(fadt + 172, pm + 4, 2);
	acpi_port(fadt + 208, pm + 8, 4);
	acpi_port(fadt + 220, ACPI_GPE0_BASE, 4);
	fadt[223] = 1; /* accessed by bytes */
	at = acpi_append(blob, fadt, sizeof fadt);
	acpi_add_pointer(blob, at + 36, 4, facs);
	acpi_add_pointer(blob, at + 40, 4, dsdt);
	acpi_add_pointer(blob, at + 140, 8, dsdt);
	acpi_add_sum(blob, at);
	return at;
}

/* ISA interrupt `irq` is GSI `gsi`. */
static void acpi_madt_override(struct buf *b, u8 irq, u32 gsi, u16 flags)
{
	u8 entry[10] = { 2, sizeof entry, 0, irq };

	put_le32(entry + 4, gsi);
	put_le16(entry + 8, flags);
	buf_append(b, entry, sizeof entry);
}

static u32 acpi_add_madt(struct acpi_blob *blob, struct machine *m)
{
	static const u8 level_irqs[] = { 5, ACPI_SCI_GSI, 10, 11 };
	static const u8 nmi[6] = { 4, sizeof nmi, 0xff, 0, 0, 1 };
	u8 fixed[ACPI_HEADER + 8] = { 0 }, ioapic[12] = { 1, sizeof ioapic };
	struct buf b = { 0 };
	u32 at;

	put_le32(fixed + 36, LAPIC_BASE);
	put_le32(fixed + 40, 1); /* there are PICs, too */
	buf_append(&b, fixed, sizeof fixed);
	for (int i = 0; i < m->nvcpus; i++) {
		u8 entry[16];

		buf_append(&b, entry,
			   acpi_madt_processor(entry, i, m->vcpus[i]->apic_id,
					       vcpu_plugged(m, i) != NULL));
	}
	put_le32(ioapic + 4, IOAPIC_BASE);
	buf_append(&b, ioapic, sizeof ioapic);
	acpi_madt_override(&b, 0, 2, 0);
	for (u32 i = 0; i < ARRAY_SIZE(level_irqs); i++)
		acpi_madt_override(&b, level_irqs[i], level_irqs[i],
				   0x000d); /* active high, level */
	buf_append(&b, nmi, sizeof nmi);    /* LINT1 of all processors */
	acpi_header((u8 *)b.data, "APIC", b.len, 4);
	at = acpi_append(blob, b.data, b.len);
	buf_fini(&b);
	acpi_add_sum(blob, at);
	return at;
}

/* RSDT (4-byte pointers) or XSDT (8). */
static u32 acpi_add_root(struct acpi_blob *blob, const char *signature, u8 size,
			 const u32 *tables, int count)
{
	u8 root[ACPI_HEADER + 8 * 8] = { 0 };
	u32 len = ACPI_HEADER + size * count;
	u32 at;

	acpi_header(root, signature, len, 1);
	at = acpi_append(blob, root, len);
	for (int i = 0; i < count; i++)
		acpi_add_pointer(blob, at + ACPI_HEADER + size * i, size,
				 tables[i]);
	acpi_add_sum(blob, at);
	return at;
}

static void acpi_build(struct machine *m, struct acpi_blob *blob)
{
	u32 facs, dsdt, tables[2];

	memset(blob, 0, sizeof *blob);
	facs = acpi_add_facs(blob);
	dsdt = acpi_add_dsdt(blob, m);
	tables[0] = acpi_add_fadt(blob, m, facs, dsdt);
	tables[1] = acpi_add_madt(blob, m);
	memcpy(blob->rsdp, "RSD PTR ", 8);
	memcpy(blob->rsdp + 9, "VMON  ", 6);
	blob->rsdp[15] = 2; /* revision */
	put_le32(blob->rsdp + 16,
		 acpi_add_root(blob, "RSDT", 4, tables, ARRAY_SIZE(tables)));
	put_le32(blob->rsdp + 20, RSDP_BYTES);
	put_le64(blob->rsdp + 24,
		 acpi_add_root(blob, "XSDT", 8, tables, ARRAY_SIZE(tables)));
}

/* ---- Into guest memory ---- */

static u8 acpi_checksum(const u8 *data, u32 len)
{
	u8 sum = 0;

	while (len--)
		sum += *data++;
	return -sum;
}

static void acpi_relocate(struct acpi_blob *blob, u32 base)
{
	for (int i = 0; i < blob->npointers; i++) {
		u8 *at = acpi_at(blob, blob->pointer[i].at);

		if (blob->pointer[i].size == 8)
			put_le64(at, get_le64(at) + base);
		else
			put_le32(at, get_le32(at) + base);
	}
	for (int i = 0; i < blob->nsums; i++) {
		struct acpi_sum *sum = &blob->sum[i];

		*acpi_at(blob, sum->at) =
			acpi_checksum(acpi_at(blob, sum->start), sum->len);
	}
	put_le32(blob->rsdp + 16, get_le32(blob->rsdp + 16) + base);
	put_le64(blob->rsdp + 24, get_le64(blob->rsdp + 24) + base);
	blob->rsdp[8] = acpi_checksum(blob->rsdp, 20);
	blob->rsdp[32] = acpi_checksum(blob->rsdp, RSDP_BYTES);
}

int acpi_place(struct machine *m, gpa_t *ret_rsdp, struct err *err)
{
	u32 base = ACPI_TABLES_BASE + ALIGN_UP(RSDP_BYTES, 64);
	struct acpi_blob blob;
	int r;

	acpi_build(m, &blob);
	if (blob.tables.len > ACPI_TABLES_END - base) {
		r = err_set(err, -ENOSPC, "ACPI tables of %zu bytes",
			    blob.tables.len);
		goto out;
	}
	acpi_relocate(&blob, base);
	r = mem_load(&m->mem, ACPI_TABLES_BASE, blob.rsdp, RSDP_BYTES);
	if (r == 0)
		r = mem_load(&m->mem, base, blob.tables.data, blob.tables.len);
	if (r < 0)
		err_code(err, r, "no RAM at 0x%x for ACPI tables", base);
	else
		*ret_rsdp = ACPI_TABLES_BASE;
out:
	buf_fini(&blob.tables);
	return r;
}

/* ---- For firmware ---- */

static void acpi_loader_allocate(struct buf *b, const char *file, u32 align,
				 u8 zone)
{
	u8 entry[LOADER_ENTRY] = { 0 };

	put_le32(entry, LOADER_ALLOCATE);
	memcpy(entry + 4, file, strlen(file));
	put_le32(entry + 60, align);
	entry[64] = zone;
	buf_append(b, entry, sizeof entry);
}

static void acpi_loader_pointer(struct buf *b, const char *file, u32 at,
				u8 size)
{
	u8 entry[LOADER_ENTRY] = { 0 };

	put_le32(entry, LOADER_POINTER);
	memcpy(entry + 4, file, strlen(file));
	memcpy(entry + 60, FILE_TABLES, strlen(FILE_TABLES));
	put_le32(entry + 116, at);
	entry[120] = size;
	buf_append(b, entry, sizeof entry);
}

static void acpi_loader_checksum(struct buf *b, const char *file, u32 at,
				 u32 start, u32 len)
{
	u8 entry[LOADER_ENTRY] = { 0 };

	put_le32(entry, LOADER_CHECKSUM);
	memcpy(entry + 4, file, strlen(file));
	put_le32(entry + 60, at);
	put_le32(entry + 64, start);
	put_le32(entry + 68, len);
	buf_append(b, entry, sizeof entry);
}

static void acpi_build_loader(const struct acpi_blob *blob, struct buf *b)
{
	acpi_loader_allocate(b, FILE_RSDP, 16, LOADER_FSEG);
	acpi_loader_allocate(b, FILE_TABLES, 64, LOADER_HIGH);
	for (int i = 0; i < blob->npointers; i++)
		acpi_loader_pointer(b, FILE_TABLES, blob->pointer[i].at,
				    blob->pointer[i].size);
	for (int i = 0; i < blob->nsums; i++)
		acpi_loader_checksum(b, FILE_TABLES, blob->sum[i].at,
				     blob->sum[i].start, blob->sum[i].len);
	acpi_loader_pointer(b, FILE_RSDP, 16, 4);
	acpi_loader_pointer(b, FILE_RSDP, 24, 8);
	acpi_loader_checksum(b, FILE_RSDP, 8, 0, 20);
	acpi_loader_checksum(b, FILE_RSDP, 32, 0, RSDP_BYTES);
}

static int acpi_write_files(struct machine *m, struct err *err)
{
	struct acpi_blob blob;
	struct buf loader = { 0 };
	int r;

	acpi_build(m, &blob);
	acpi_build_loader(&blob, &loader);
	r = fw_cfg_add_file(m->fw_cfg, FILE_RSDP, blob.rsdp, RSDP_BYTES, err);
	if (r == 0)
		r = fw_cfg_add_file(m->fw_cfg, FILE_TABLES, blob.tables.data,
				    blob.tables.len, err);
	if (r == 0)
		r = fw_cfg_add_file(m->fw_cfg, FILE_LOADER, loader.data,
				    loader.len, err);
	buf_fini(&loader);
	buf_fini(&blob.tables);
	return r;
}

static void acpi_refresh_files(void *arg)
{
	acpi_write_files(arg, NULL);
}

int acpi_add_files(struct machine *m, struct err *err)
{
	int r = acpi_write_files(m, err);

	if (r < 0)
		return r;
	fw_cfg_on_select(m->fw_cfg, FILE_RSDP, acpi_refresh_files, m);
	fw_cfg_on_select(m->fw_cfg, FILE_TABLES, acpi_refresh_files, m);
	fw_cfg_on_select(m->fw_cfg, FILE_LOADER, acpi_refresh_files, m);
	return 0;
}
