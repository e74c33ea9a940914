/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What is on a disk: partitions, boot loaders, the system that is installed.
 *
 * All of it is a stranger's: every length is checked in look_read(), every
 * loop is bounded.
 */
#ifndef RUN_LOOK_H
#define RUN_LOOK_H

#include <jansson.h>

#include "lib/types.h"

struct image;

struct look_area { /* a part of the disk, in bytes */
	struct image *image; /* borrowed */
	u64 start, size;
};

/* -EIO also for what is not all within the area. */
int look_read(const struct look_area *a, u64 offset, void *data, size_t len);

/* Of the whole disk, a tree:
 *   "table": "gpt" | "mbr" | "none"
 *   "partitions": [{"number", "start", "size", "type", "filesystem"}...]
 *   "loaders": {"bios": "GRUB" | ... | null, "efi": "EFI/BOOT/..." | null}
 * An image without a partition table has its file system in one partition of
 * number 0.  Never NULL. */
json_t *look_disk(struct image *image);

/* run/look_fat.c: is there a file of that path, of names such as
 * "BOOTX64 EFI", 11 characters each, with '/' between? */
bool look_fat_has(const struct look_area *a, const char *path);

/* run/look_ext.c: adds to `system` what an ext4 file system tells:
 *   "name": PRETTY_NAME of os-release, "id", "version", "kernels": [...],
 *   "cloud-init": bool, "ignition": bool */
void look_ext(const struct look_area *a, json_t *system);

#endif
