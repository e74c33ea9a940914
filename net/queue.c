/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Frames that wait for a port: records in a ring of bytes, so that bursts
 * cost no allocation and their number of bytes is bounded.
 *
 * A record never wraps: when it does not fit behind the tail, `wrap` marks
 * the end of the older records and the tail goes back to 0.
 */
#include "net/internal.h"

#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"

struct record {
	u32 len;
	struct virtio_net_hdr hdr;
};

static size_t queue_record_size(size_t len)
{
	return ALIGN_UP(sizeof(struct record) + len, 8);
}

/* Makes the tail point to `need` free bytes, if there are. */
static bool queue_fit(struct net_queue *q, size_t need)
{
	if (!q->count) {
		q->head = q->tail = q->wrap = 0;
		return need <= NET_QUEUE_BYTES;
	}
	if (q->wrap)
		return need <= q->head - q->tail;
	if (need <= NET_QUEUE_BYTES - q->tail)
		return true;
	if (need > q->head)
		return false;
	q->wrap = q->tail;
	q->tail = 0;
	return true;
}

u32 net_queue_push(struct net_queue *q, const struct net_frame *f)
{
	size_t need = queue_record_size(f->len);
	struct record *r;
	u32 dropped = 0;

	if (f->len > NET_FRAME_MAX)
		return 1;
	if (!q->mem)
		q->mem = xalloc(NET_QUEUE_BYTES);
	while (!queue_fit(q, need)) {
		net_queue_pop(q);
		dropped++;
	}
	r = (struct record *)(q->mem + q->tail);
	r->len = net_frame_copy(f, r + 1, f->len);
	r->hdr = f->hdr;
	q->tail += need;
	q->count++;
	return dropped;
}

bool net_queue_peek(const struct net_queue *q, struct net_frame *f,
		    struct iovec *iov)
{
	struct record *r;

	if (!q->count)
		return false;
	r = (struct record *)(q->mem + q->head);
	iov->iov_base = r + 1;
	iov->iov_len = r->len;
	*f = (struct net_frame){ iov, 1, r->len, r->hdr };
	return true;
}

void net_queue_pop(struct net_queue *q)
{
	const struct record *r = (struct record *)(q->mem + q->head);

	if (!q->count)
		return;
	q->count--;
	q->head += queue_record_size(r->len);
	if (q->wrap && q->head == q->wrap)
		q->head = q->wrap = 0;
}

void net_queue_clear(struct net_queue *q)
{
	q->head = q->tail = q->wrap = q->count = 0;
}

void net_queue_fini(struct net_queue *q)
{
	free(q->mem);
	*q = (struct net_queue){ 0 };
}
