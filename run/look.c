/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What is on a disk: its partition table, the kind of each file system, boot
 * loaders.
 *
 * Spec: UEFI 2.10, "GUID Partition Table (GPT) Disk Layout"; superblocks as
 * file(1) knows them.
 */
#include "run/look.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "block/image.h"
#include "lib/bytes.h"

#define SECTOR        512u
#define MBR_ENTRIES   0x1be
#define MBR_CODE      0x1b8
#define GPT_PARTS_MAX 128u
#define GPT_ENTRY_MIN 128u
#define GPT_ENTRY_MAX 4096u

/* GUIDs as they are in memory: the first three fields are little endian. */
static const struct look_type {
	const char *guid;
	const char *name;
} gpt_types[] = {
	{ "\x28\x73\x2a\xc1\x1f\xf8\xd2\x11\xba\x4b\x00\xa0\xc9\x3e\xc9\x3b",
	  "EFI system" },
	{ "\x48\x61\x68\x21\x49\x64\x6f\x6e\x74\x4e\x65\x65\x64\x45\x46\x49",
	  "BIOS boot" },
	{ "\xaf\x3d\xc6\x0f\x83\x84\x72\x47\x8e\x79\x3d\x69\xd8\x47\x7d\xe4",
	  "Linux" },
	{ "\xe3\xbc\x68\x4f\xcd\xe8\xb1\x4d\x96\xe7\xfb\xca\xf9\x84\xb7\x09",
	  "Linux root" },
	{ "\xff\xc2\x13\xbc\xe6\x59\x62\x42\xa3\x52\xb2\x75\xfd\x6f\x71\x72",
	  "Linux boot" },
	{ "\x6d\xfd\x57\x06\xab\xa4\xc4\x43\x84\xe5\x09\x33\xc8\x4b\x4f\x4f",
	  "swap" },
	{ "\x79\xd3\xd6\xe6\x07\xf5\xc2\x44\xa2\x3c\x23\x8f\x2a\x3d\xf9\x28",
	  "LVM" },
	{ "\x9d\x6b\xbd\x83\x41\x7f\xdc\x11\xbe\x0b\x00\x15\x60\xb8\x4f\x0f",
	  "FreeBSD boot" },
	{ "\xb6\x7c\x6e\x51\xcf\x6e\xd6\x11\x8f\xf8\x00\x02\x2d\x09\x71\x2b",
	  "FreeBSD UFS" },
};

static const struct {
	u32 at;
	const char *magic;
	u8 len;
	const char *name;
} look_systems[] = {
	{ 0x438, "\x53\xef", 2, "ext4" }, /* or its elders */
	{ 0, "XFSB", 4, "xfs" },
	{ 0x10040, "_BHRfS_M", 8, "btrfs" },
	{ 0x8001, "CD001", 5, "iso9660" },
	{ 0, "hsqs", 4, "squashfs" },
	{ 4086, "SWAPSPACE2", 10, "swap" },
	{ 0, "LUKS\xba\xbe", 6, "luks" },
	{ 512, "LABELONE", 8, "lvm" },
	{ 0x55c, "\x19\x01\x54\x19", 4, "ufs" },
	{ 0x1055c, "\x19\x01\x54\x19", 4, "ufs" },
	{ 54, "FAT1", 4, "vfat" },
	{ 82, "FAT32", 5, "vfat" },
};

int look_read(const struct look_area *a, u64 offset, void *data, size_t len)
{
	if (offset > a->size || len > a->size - offset ||
	    image_read(a->image, a->start + offset, data, len) < 0)
		return -EIO;
	return 0;
}

/* ---- File systems ---- */

/* NULL: none that is known. */
static const char *look_filesystem(const struct look_area *a)
{
	u8 magic[16];

	for (size_t n = 0; n < ARRAY_SIZE(look_systems); n++)
		if (look_read(a, look_systems[n].at, magic,
			      look_systems[n].len) == 0 &&
		    !memcmp(magic, look_systems[n].magic, look_systems[n].len))
			return look_systems[n].name;
	return NULL;
}

/* ---- Partitions ---- */

static void look_add(json_t *list, const struct look_area *disk, u64 number,
		     u64 first, u64 sectors, const char *type)
{
	struct look_area a = { .image = disk->image };
	const char *name;

	if (!sectors || first > disk->size / SECTOR ||
	    sectors > disk->size / SECTOR - first)
		return;
	a.start = first * SECTOR;
	a.size = sectors * SECTOR;
	name = look_filesystem(&a);
	json_array_append_new(
		list, json_pack("{sI sI sI ss ss*}", "number",
				(json_int_t)number, "start",
				(json_int_t)a.start, "size", (json_int_t)a.size,
				"type", type, "filesystem", name));
}

static const char *gpt_type_name(const u8 *guid)
{
	for (size_t n = 0; n < ARRAY_SIZE(gpt_types); n++)
		if (!memcmp(guid, gpt_types[n].guid, 16))
			return gpt_types[n].name;
	return "other";
}

static bool look_gpt(const struct look_area *disk, json_t *list)
{
	static const u8 none[16];
	u8 header[92], entry[GPT_ENTRY_MIN];
	u32 count, bytes;
	u64 at;

	if (look_read(disk, SECTOR, header, sizeof header) < 0 ||
	    memcmp(header, "EFI PART", 8))
		return false;
	at = get_le64(header + 72);
	count = MIN(get_le32(header + 80), GPT_PARTS_MAX);
	bytes = get_le32(header + 84);
	if (at > disk->size / SECTOR || bytes < GPT_ENTRY_MIN ||
	    bytes > GPT_ENTRY_MAX)
		return true;
	for (u32 n = 0; n < count; n++) {
		u64 first, last;

		if (look_read(disk, at * SECTOR + (u64)n * bytes, entry,
			      sizeof entry) < 0)
			break;
		first = get_le64(entry + 32);
		last = get_le64(entry + 40);
		if (memcmp(entry, none, sizeof none) && last >= first &&
		    last < UINT64_MAX)
			look_add(list, disk, n + 1, first, last - first + 1,
				 gpt_type_name(entry));
	}
	return true;
}

static const char *mbr_type_name(u8 type)
{
	switch (type) {
	case 0x83: return "Linux";
	case 0x82: return "swap";
	case 0x8e: return "LVM";
	case 0xef: return "EFI system";
	case 0xee: return "GPT";
	case 0x05:
	case 0x0f: return "extended";
	case 0xa5: return "FreeBSD";
	default: return "other";
	}
}

/* A file system on the whole disk has a boot sector, too: its entries make no
 * sense. */
static bool look_mbr(const struct look_area *disk, const u8 *sector,
		     json_t *list)
{
	if (get_le16(sector + 0x1fe) != 0xaa55)
		return false;
	for (u32 n = 0; n < 4; n++)
		if (sector[MBR_ENTRIES + 16 * n] & 0x7f)
			return false;
	for (u32 n = 0; n < 4; n++) {
		const u8 *e = sector + MBR_ENTRIES + 16 * n;

		if (e[4])
			look_add(list, disk, n + 1, get_le32(e + 8),
				 get_le32(e + 12), mbr_type_name(e[4]));
	}
	return json_array_size(list);
}

/* ---- Boot loaders ---- */

static bool look_has(const u8 *data, size_t len, const char *text)
{
	return memmem(data, len, text, strlen(text));
}

/* Whose boot code is in the first sector; NULL: nobody's. */
static const char *look_bios(const struct look_area *disk, const u8 *sector,
			     const json_t *list)
{
	u8 first[SECTOR];
	size_t i;
	json_t *p;
	bool code = false;

	for (u32 n = 0; n < MBR_CODE; n++)
		code |= sector[n];
	if (!code || get_le16(sector + 0x1fe) != 0xaa55)
		return NULL;
	if (look_has(sector, SECTOR, "GRUB"))
		return "GRUB";
	if (look_has(sector, SECTOR, "LINUX"))
		return "SYSLINUX";
	json_array_foreach(list, i, p)
	{
		struct look_area a = {
			.image = disk->image,
			.start = (u64)json_integer_value(
				json_object_get(p, "start")),
			.size = SECTOR
		};

		if (look_read(&a, 0, first, sizeof first) == 0 &&
		    look_has(first, sizeof first, "LINUX"))
			return "SYSLINUX";
	}
	return "other";
}

/* What firmware looks for where no variable names another. */
static const char *look_efi(const struct look_area *disk, const json_t *list)
{
	size_t i;
	json_t *p;

	json_array_foreach(list, i, p)
	{
		const char *fs = json_string_value(
			json_object_get(p, "filesystem"));
		struct look_area a = {
			.image = disk->image,
			.start = (u64)json_integer_value(
				json_object_get(p, "start")),
			.size = (u64)json_integer_value(
				json_object_get(p, "size")),
		};

		if (fs && !strcmp(fs, "vfat") &&
		    look_fat_has(&a, "EFI        /BOOT       /BOOTX64 EFI"))
			return "EFI/BOOT/BOOTX64.EFI";
	}
	return NULL;
}

json_t *look_disk(struct image *image)
{
	struct look_area disk = { .image = image, .size = image_size(image) };
	json_t *list = json_array();
	const char *table = "none";
	u8 sector[SECTOR] = { 0 };

	if (look_read(&disk, 0, sector, sizeof sector) < 0)
		memset(sector, 0, sizeof sector);
	if (look_gpt(&disk, list))
		table = "gpt";
	else if (!look_filesystem(&disk) && look_mbr(&disk, sector, list))
		table = "mbr";
	else
		look_add(list, &disk, 0, 0, disk.size / SECTOR, "whole disk");
	return json_pack("{ss s{ss? ss?} so}", "table", table, "loaders",
			 "bios", look_bios(&disk, sector, list), "efi",
			 look_efi(&disk, list), "partitions", list);
}
