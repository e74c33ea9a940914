/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Images that are read one behind the other, as if they were one.
 */
#ifndef IMG_SOURCE_H
#define IMG_SOURCE_H

#include "img/img.h"

struct img_source {
	struct image **image; /* owned, and each of them */
	u64 *end;             /* owned; where each ends */
	int count;
	u64 size; /* bytes, whole sectors */
};

/* The first operands, as -f, --image-opts, -T and -U say, each as it was when
 * `snapshot` was taken (-l; NULL: as it is).  Exit status, having said why;
 * to be closed in any case. */
int img_source_open(const struct img *a, struct img_source *s, int count,
		    const char *snapshot);
void img_source_close(struct img_source *s);

/* As image_map(), image_read(), image_copy().  copy: to the same offset. */
int img_source_map(struct img_source *s, u64 at, u64 bytes,
		   struct image_extent *out);
int img_source_read(struct img_source *s, u64 at, u8 *buf, u64 bytes);
int img_source_copy(struct img_source *s, u64 at, struct image *to, u64 bytes);

#endif
