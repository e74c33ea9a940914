/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A bounded byte queue that grows up to its bound as it is used.
 */
#ifndef CHARDEV_FIFO_H
#define CHARDEV_FIFO_H

#include "lib/types.h"

struct fifo {
	u8 *data; /* owned */
	size_t cap, max;
	size_t head; /* of the oldest byte */
	size_t len;
};

void fifo_init(struct fifo *f, size_t max);
void fifo_fini(struct fifo *f);
void fifo_clear(struct fifo *f); /* also gives the memory back */
size_t fifo_room(const struct fifo *f);
/* Takes what fits; returns how much. */
size_t fifo_put(struct fifo *f, const void *data, size_t len);
/* Takes everything and forgets the oldest bytes for it. */
void fifo_put_newest(struct fifo *f, const void *data, size_t len);
/* The longest contiguous run of oldest bytes; 0 when empty. */
size_t fifo_peek(const struct fifo *f, const u8 **data);
void fifo_drop(struct fifo *f, size_t len);
size_t fifo_get(struct fifo *f, void *data, size_t len);

#endif
