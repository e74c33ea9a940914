/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A file system of a few small files: boot sector, two FATs, root directory,
 * one file or folder behind the other.
 */
#include "seed/fat.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/bytes.h"
#include "lib/err.h"

#define SECTOR       512u
#define CLUSTER      (4 * SECTOR)
#define ROOT_ENTRIES 64u /* four sectors */
#define ENTRY        32u
#define FIRST        2u /* cluster */
#define END_OF_FILE  0xfffu
#define MEDIA_DISK   0xf8u
#define ATTR_LABEL   0x08u
#define ATTR_LONG    0x0fu
#define ATTR_FOLDER  0x10u
#define ATTR_FILE    0x20u
#define DATE_1980    0x0021u /* January 1st: the same files, the same image */
#define LONG_CHARS   13      /* of a long name in one entry */

struct fat {
	u8 *image;
	u32 fat_sectors, clusters;
	u8 *fat[2], *root, *data;
	u32 next;  /* free cluster */
	u8 *entry; /* free, in the folder at hand */
	int names; /* so far */
};

static void fat_set(const struct fat *f, u32 cluster, u32 value)
{
	for (int i = 0; i < 2; i++) {
		u8 *at = f->fat[i] + cluster * 3 / 2;
		u16 old = get_le16(at);

		if (cluster & 1)
			put_le16(at, (u16)((old & 0x000f) | value << 4));
		else
			put_le16(at, (u16)((old & 0xf000) | value));
	}
}

static void fat_boot_sector(const struct fat *f, const char *label, u32 sectors)
{
	static const u8 jump[] = { 0xeb, 0x3c, 0x90 };
	/* int 0x18: nothing to boot, the next one; and should that come back,
	 * hlt; jmp $ - 1 */
	static const u8 code[] = { 0xcd, 0x18, 0xf4, 0xeb, 0xfd };
	u8 *b = f->image;

	memcpy(b, jump, sizeof jump);
	memcpy(b + 3, "MSWIN4.1", 8); /* what the specification asks for */
	put_le16(b + 11, SECTOR);
	b[13] = CLUSTER / SECTOR;
	put_le16(b + 14, 1); /* reserved sectors: this one */
	b[16] = 2;           /* FATs */
	put_le16(b + 17, ROOT_ENTRIES);
	put_le16(b + 19, (u16)sectors);
	b[21] = MEDIA_DISK;
	put_le16(b + 22, (u16)f->fat_sectors);
	put_le16(b + 24, 32); /* sectors a track, heads: of no meaning */
	put_le16(b + 26, 16);
	b[36] = 0x80; /* drive */
	b[38] = 0x29; /* the next three are there */
	put_le32(b + 39, 0x63646174);
	memcpy(b + 43, label, 11);
	memcpy(b + 54, "FAT12   ", 8);
	memcpy(b + 62, code, sizeof code);
	put_le16(b + 510, 0xaa55);
}

/* What no other file has. */
static void fat_short_name(char name[12], int n)
{
	memcpy(name, "FILE~10 TXT", 12);
	name[5] = (char)('1' + n / 10);
	name[6] = (char)('0' + n % 10);
	_Static_assert(FAT_FILES_MAX * FAT_DEPTH_MAX < 90, "two digits");
}

static u8 fat_checksum(const char *name)
{
	u8 sum = 0;

	for (int i = 0; i < 11; i++)
		sum = (u8)((sum << 7 | sum >> 1) + (u8)name[i]);
	return sum;
}

static void fat_long_entry(u8 *e, const char *name, size_t len, int part,
			   u8 checksum)
{
	static const u8 at[LONG_CHARS] = { 1,  3,  5,  7,  9,  14, 16,
					   18, 20, 22, 24, 28, 30 };
	size_t from = (size_t)part * LONG_CHARS;
	bool last = from + LONG_CHARS >= len;

	e[0] = (u8)((part + 1) | (last ? 0x40 : 0));
	e[11] = ATTR_LONG;
	e[13] = checksum;
	for (int i = 0; i < LONG_CHARS; i++) {
		size_t c = from + (size_t)i;

		put_le16(e + at[i], c < len    ? (u8)name[c]
				    : c == len ? 0
					       : 0xffff);
	}
}

static void fat_entry(struct fat *f, const char name[11], u8 attr, u32 cluster,
		      u32 size)
{
	u8 *e = f->entry;

	memcpy(e, name, 11);
	e[11] = attr;
	put_le16(e + 16, DATE_1980); /* created */
	put_le16(e + 18, DATE_1980); /* accessed */
	put_le16(e + 24, DATE_1980); /* written */
	put_le16(e + 26, (u16)cluster);
	put_le32(e + 28, size);
	f->entry += ENTRY;
}

/* The entry of that long name, and what is in it. */
static void fat_name(struct fat *f, const char *text, size_t len, u8 attr,
		     u32 first, u32 size)
{
	int parts = (int)((len + LONG_CHARS - 1) / LONG_CHARS);
	char name[12];

	fat_short_name(name, f->names++);
	for (int part = parts; part-- > 0; f->entry += ENTRY)
		fat_long_entry(f->entry, text, len, part, fat_checksum(name));
	fat_entry(f, name, attr, first, size);
}

static void fat_add(struct fat *f, const struct fat_file *file,
		    const char *name)
{
	u32 clusters = (u32)((file->size + CLUSTER - 1) / CLUSTER);

	fat_name(f, name, strlen(name), ATTR_FILE, file->size ? f->next : 0,
		 (u32)file->size);
	if (file->size)
		memcpy(f->data + (f->next - FIRST) * CLUSTER, file->data,
		       file->size);
	for (u32 i = 1; i <= clusters; i++, f->next++)
		fat_set(f, f->next, i < clusters ? f->next + 1 : END_OF_FILE);
}

/* Has an earlier file the same `len` bytes of path? */
static bool fat_has(const struct fat_file *files, int n, size_t len)
{
	for (int i = 0; i < n; i++)
		if (!strncmp(files[i].name, files[n].name, len))
			return true;
	return false;
}

/* All whose path begins as that of `files[like]`, `from` bytes of it, into the
 * folder at `cluster`, 0 for the root.  Folders have one cluster. */
static void fat_fill(struct fat *f, const struct fat_file *files, int n,
		     int like, size_t from, u32 cluster)
{
	for (int i = like; i < n; i++) {
		const char *name = files[i].name + from;
		const char *slash = strchr(name, '/');
		u8 *here;
		u32 inner;

		if (strncmp(files[i].name, files[like].name, from))
			continue;
		if (!slash) {
			fat_add(f, &files[i], name);
			continue;
		}
		if (fat_has(files, i, (size_t)(slash + 1 - files[i].name)))
			continue;
		inner = f->next++;
		fat_set(f, inner, END_OF_FILE);
		fat_name(f, name, (size_t)(slash - name), ATTR_FOLDER, inner,
			 0);
		here = f->entry;
		f->entry = f->data + (inner - FIRST) * CLUSTER;
		fat_entry(f, ".          ", ATTR_FOLDER, inner, 0);
		fat_entry(f, "..         ", ATTR_FOLDER, cluster, 0);
		fat_fill(f, files, n, i, (size_t)(slash + 1 - files[i].name),
			 inner);
		f->entry = here;
	}
}

/* Each part of a path. */
static int fat_check_name(const char *name, struct err *err)
{
	const char *at = name;

	for (int depth = 0; depth < FAT_DEPTH_MAX; depth++) {
		size_t len = strcspn(at, "/");

		if (!len || len > FAT_NAME_MAX)
			break;
		if (!at[len])
			return 0;
		at += len + 1;
	}
	return err_set(err, -EINVAL,
		       "'%s' is empty, longer than %d or deeper than %d", name,
		       FAT_NAME_MAX, FAT_DEPTH_MAX);
}

static int fat_check(const struct fat_file *files, int n, size_t *ret_bytes,
		     struct err *err)
{
	*ret_bytes = 0;
	if (n > FAT_FILES_MAX)
		return err_set(err, -EINVAL, "more than %d files",
			       FAT_FILES_MAX);
	for (int i = 0; i < n; i++) {
		if (fat_check_name(files[i].name, err) < 0)
			return err->code;
		if (files[i].size > FAT_BYTES_MAX - *ret_bytes)
			return err_set(err, -EFBIG,
				       "'%s' and the other files have more "
				       "than %llu bytes",
				       files[i].name,
				       (unsigned long long)FAT_BYTES_MAX);
		*ret_bytes += files[i].size;
	}
	return 0;
}

int fat_build(const char *label, const struct fat_file *files, int n,
	      u8 **ret_image, size_t *ret_size, struct err *err)
{
	struct fat f = { .next = FIRST };
	u32 root = ROOT_ENTRIES * ENTRY / SECTOR, sectors;
	char padded[12];
	size_t bytes;
	int r = fat_check(files, n, &bytes, err);

	if (r < 0)
		return r;
	/* Each file may end in the middle of a cluster, and be in folders of
	 * its own. */
	f.clusters = (u32)(bytes / CLUSTER) + (u32)n * FAT_DEPTH_MAX + 1;
	f.fat_sectors =
		((f.clusters + FIRST) * 3 / 2 + 1 + SECTOR - 1) / SECTOR;
	sectors =
		1 + 2 * f.fat_sectors + root + f.clusters * (CLUSTER / SECTOR);
	f.image = xcalloc(sectors, SECTOR);
	f.fat[0] = f.image + SECTOR;
	f.fat[1] = f.fat[0] + f.fat_sectors * SECTOR;
	f.root = f.entry = f.fat[1] + f.fat_sectors * SECTOR;
	f.data = f.root + root * SECTOR;
	snprintf(padded, sizeof padded, "%-11.11s", label);
	fat_boot_sector(&f, padded, sectors);
	fat_set(&f, 0, 0xf00 | MEDIA_DISK);
	fat_set(&f, 1, END_OF_FILE);
	fat_entry(&f, padded, ATTR_LABEL, 0, 0);
	fat_fill(&f, files, n, 0, 0, 0);
	*ret_image = f.image;
	*ret_size = (size_t)sectors * SECTOR;
	return 0;
}
