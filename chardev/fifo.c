/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A bounded byte queue that grows up to its bound as it is used.
 */
#include "chardev/fifo.h"

#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"

#define FIFO_MIN 256

void fifo_init(struct fifo *f, size_t max)
{
	memset(f, 0, sizeof(*f));
	f->max = max;
}

void fifo_fini(struct fifo *f)
{
	fifo_clear(f);
}

void fifo_clear(struct fifo *f)
{
	free(f->data);
	fifo_init(f, f->max);
}

size_t fifo_room(const struct fifo *f)
{
	return f->max - f->len;
}

static void fifo_grow(struct fifo *f, size_t need)
{
	size_t cap = MAX(f->cap, (size_t)FIFO_MIN), len = f->len;
	u8 *data;

	if (need <= f->cap)
		return;
	while (cap < need)
		cap *= 2;
	cap = MIN(cap, f->max);
	data = xalloc(cap);
	fifo_get(f, data, len);
	free(f->data);
	f->data = data;
	f->cap = cap;
	f->head = 0;
	f->len = len;
}

size_t fifo_put(struct fifo *f, const void *data, size_t len)
{
	size_t at, first;

	len = MIN(len, fifo_room(f));
	if (len == 0)
		return 0;
	fifo_grow(f, f->len + len);
	at = (f->head + f->len) % f->cap;
	first = MIN(len, f->cap - at);
	memcpy(f->data + at, data, first);
	memcpy(f->data, (const u8 *)data + first, len - first);
	f->len += len;
	return len;
}

void fifo_put_newest(struct fifo *f, const void *data, size_t len)
{
	size_t skip = len > f->max ? len - f->max : 0;

	len -= skip;
	if (len > fifo_room(f))
		fifo_drop(f, len - fifo_room(f));
	fifo_put(f, (const u8 *)data + skip, len);
}

size_t fifo_peek(const struct fifo *f, const u8 **data)
{
	*data = f->data + f->head;
	return MIN(f->len, f->cap - f->head);
}

void fifo_drop(struct fifo *f, size_t len)
{
	len = MIN(len, f->len);
	f->len -= len;
	f->head = f->len ? (f->head + len) % f->cap : 0;
}

size_t fifo_get(struct fifo *f, void *data, size_t len)
{
	size_t done = 0;

	while (done < len && f->len) {
		const u8 *run;
		size_t n = MIN(fifo_peek(f, &run), len - done);

		memcpy((u8 *)data + done, run, n);
		fifo_drop(f, n);
		done += n;
	}
	return done;
}
