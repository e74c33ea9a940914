/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * FAT: is there such a file?
 *
 * Spec: "Microsoft FAT Specification" (2005).
 */
#include <string.h>

#include "lib/bytes.h"
#include "run/look.h"

#define NAME         11u
#define ENTRY        32u
#define ATTR_FOLDER  0x10
#define ATTR_LABEL   0x08
#define CLUSTERS_MAX 4096u /* of one folder; more is a loop */

struct fat {
	const struct look_area *area;
	u32 cluster_bytes, clusters, bits;
	u64 fat_at, root_at, data_at;
	u32 root_bytes;    /* FAT12, FAT16 */
	u32 root_cluster;  /* FAT32 */
};

static bool fat_open(struct fat *f, const struct look_area *a)
{
	u32 sector, reserved, fats, fat_sectors, sectors, meta;
	u8 b[90];

	if (look_read(a, 0, b, sizeof b) < 0)
		return false;
	sector = get_le16(b + 11);
	reserved = get_le16(b + 14);
	fats = b[16];
	fat_sectors = get_le16(b + 22) ? get_le16(b + 22) : get_le32(b + 36);
	sectors = get_le16(b + 19) ? get_le16(b + 19) : get_le32(b + 32);
	if (sector < 512 || sector > 4096 || (sector & (sector - 1)) ||
	    !b[13] || !reserved || !fats || !fat_sectors ||
	    fat_sectors > sectors)
		return false;
	f->area = a;
	f->cluster_bytes = b[13] * sector;
	f->root_bytes = get_le16(b + 17) * ENTRY;
	f->root_cluster = get_le32(b + 44);
	f->fat_at = (u64)reserved * sector;
	f->root_at = f->fat_at + (u64)fats * fat_sectors * sector;
	f->data_at = f->root_at + ALIGN_UP(f->root_bytes, sector);
	meta = (u32)MIN(f->data_at / sector, UINT32_MAX);
	if (meta >= sectors)
		return false;
	f->clusters = (sectors - meta) / b[13];
	f->bits = f->clusters < 4085 ? 12 : f->clusters < 65525 ? 16 : 32;
	return true;
}

/* The one behind it; 0: none. */
static u32 fat_next(const struct fat *f, u32 cluster)
{
	u8 b[4] = { 0 };
	u32 next = 0;

	if (look_read(f->area, f->fat_at + (u64)cluster * f->bits / 8, b,
		      f->bits == 32 ? 4 : 2) < 0)
		return 0;
	if (f->bits == 12)
		next = cluster & 1 ? get_le16(b) >> 4 : get_le16(b) & 0xfff;
	else
		next = f->bits == 16 ? get_le16(b) : get_le32(b) & 0xfffffff;
	return next >= 2 && next - 2 < f->clusters ? next : 0;
}

/* In `bytes` of a folder: the first cluster of that name; -1: not here, -2:
 * nor behind it. */
static s64 fat_search(const struct fat *f, u64 at, u32 bytes, const char *name,
		      bool folder)
{
	u8 e[ENTRY];

	for (u32 n = 0; n + ENTRY <= bytes; n += ENTRY) {
		if (look_read(f->area, at + n, e, sizeof e) < 0 || !e[0])
			return -2;
		if (!(e[11] & ATTR_LABEL) &&
		    !!(e[11] & ATTR_FOLDER) == folder &&
		    !memcmp(e, name, NAME))
			return (s64)get_le16(e + 26) |
			       (f->bits == 32 ? (s64)get_le16(e + 20) << 16
					      : 0);
	}
	return -1;
}

/* Cluster 0: the root of FAT12 and FAT16. */
static s64 fat_find(const struct fat *f, u32 cluster, const char *name,
		    bool folder)
{
	s64 found = -1;

	if (!cluster)
		return fat_search(f, f->root_at, f->root_bytes, name, folder);
	if (cluster < 2 || cluster - 2 >= f->clusters)
		return -1;
	for (u32 n = 0; n < CLUSTERS_MAX && cluster && found == -1; n++) {
		found = fat_search(f,
				   f->data_at + (u64)(cluster - 2) *
							f->cluster_bytes,
				   f->cluster_bytes, name, folder);
		cluster = fat_next(f, cluster);
	}
	return found;
}

bool look_fat_has(const struct look_area *a, const char *path)
{
	struct fat f;
	s64 at;

	if (!fat_open(&f, a))
		return false;
	at = f.bits == 32 ? f.root_cluster : 0;
	for (; strlen(path) > NAME && at >= 0; path += NAME + 1)
		at = fat_find(&f, (u32)at, path, true);
	return at >= 0 && fat_find(&f, (u32)at, path, false) >= 0;
}
