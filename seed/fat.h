/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A file system of a few small files, made in memory.
 *
 * Spec: "Microsoft FAT Specification" (2005), FAT12 with long names.
 */
#ifndef SEED_FAT_H
#define SEED_FAT_H

#include <stddef.h>

#include "lib/types.h"

struct err;

#define FAT_BYTES_MAX (4 * MIB) /* of all files */
#define FAT_FILES_MAX 8
#define FAT_NAME_MAX  26 /* of each part of a path */
#define FAT_DEPTH_MAX 4

struct fat_file {
	const char *name; /* ASCII; folders before it, with '/' */
	const void *data;
	size_t size;
};

/* The image in memory of its own, whose size is a multiple of 512.  `label`:
 * up to 11 capitals.  -EFBIG, -EINVAL. */
int fat_build(const char *label, const struct fat_file *files, int n,
	      u8 **ret_image, size_t *ret_size, struct err *err);

#endif
