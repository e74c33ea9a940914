/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * qcow2: the way of a request through the loop.
 *
 * A request that lies in one run of clusters of our own becomes the file's
 * request as it is, only with another offset.  The rest goes to a worker.
 *
 * Requests that may change where a cluster is have it for themselves; else a
 * cluster could be given back, and get another use, while data still moves
 * to it.  Who meets such a request waits here, in order, not on a worker.
 *
 * Locking: the loop's lock.
 */
#include "block/qcow2.h"

static bool queue_meets(const struct block_req *a, const struct block_req *b)
{
	return (a->alone || b->alone) && a->first <= b->last &&
	       b->first <= a->last;
}

static bool queue_aligned(const struct qcow2 *s, const struct block_req *r)
{
	u64 bits = r->offset | r->bytes;

	if (s->file->align <= 1)
		return true;
	for (int i = 0; i < r->niov; i++)
		bits |= (uintptr_t)r->iov[i].iov_base | r->iov[i].iov_len;
	return !(bits & (s->file->align - 1));
}

/* Can the file below carry it out as it is?  Then *x says where. */
static bool queue_is_direct(struct qcow2 *s, struct block_req *r,
			    struct qcow2_extent *x)
{
	if (r->op != BLOCK_READ && r->op != BLOCK_WRITE)
		return false;
	if (!r->bytes || !queue_aligned(s, r) ||
	    !qcow2_map_cached(s, r->offset, r->bytes, x) ||
	    x->kind != QCOW2_DATA || x->bytes != r->bytes)
		return false;
	if (r->op == BLOCK_READ)
		return true;
	/* With FUA the tables come before the answer. */
	return x->copied && s->prepared && !s->corrupt &&
	       !(r->flags & BLOCK_REQ_FUA) &&
	       !qcow2_is_metadata(s, x->host, x->bytes);
}

static bool queue_must_wait(struct qcow2 *s, struct block_req *r)
{
	struct block_req *other;

	if (!list_empty(&s->waiting) && r->first <= s->wait_last &&
	    s->wait_first <= r->last)
		return true;
	if (!r->alone && !s->alone)
		return false;
	list_for_each (other, &s->running, held)
		if (queue_meets(r, other))
			return true;
	return false;
}

static void queue_wait(struct qcow2 *s, struct block_req *r)
{
	bool empty = list_empty(&s->waiting);

	s->wait_first = empty ? r->first : MIN(s->wait_first, r->first);
	s->wait_last = empty ? r->last : MAX(s->wait_last, r->last);
	list_append(&s->waiting, &r->held);
}

/* Starts it, or leaves it in the queue. */
static void queue_try(struct qcow2 *s, struct block_req *r)
{
	struct qcow2_extent x;
	bool direct = queue_is_direct(s, r, &x);

	r->alone = r->op != BLOCK_READ && !direct;
	if (queue_must_wait(s, r)) {
		queue_wait(s, r);
		return;
	}
	list_append(&s->running, &r->held);
	s->alone += r->alone;
	if (!direct) {
		block_to_worker(&s->node, r);
		return;
	}
	r->offset = x.host;
	r->target = s->file;
	if (!s->file->drv->start(s->file, r))
		block_to_worker(s->file, r);
}

bool qcow2_start(struct block_node *n, struct block_req *r)
{
	struct qcow2 *s = container_of(n, struct qcow2, node);

	list_init(&r->held);
	r->own_offset = r->offset;
	r->alone = false;
	if (r->op == BLOCK_FLUSH)
		return false;
	r->first = r->offset >> s->cluster_bits;
	r->last = (r->offset + MAX(r->bytes, 1) - 1) >> s->cluster_bits;
	queue_try(s, r);
	return true;
}

void qcow2_ended(struct block_node *n, struct block_req *r)
{
	struct qcow2 *s = container_of(n, struct qcow2, node);
	struct list waited;

	r->offset = r->own_offset;
	s->alone -= r->alone;
	list_remove(&r->held);
	if (list_empty(&s->waiting))
		return;
	/* All of them line up again, in order. */
	list_init(&waited);
	list_insert(&s->waiting, &waited);
	list_remove(&s->waiting);
	while ((r = list_first(&waited, struct block_req, held))) {
		list_remove(&r->held);
		queue_try(s, r);
	}
}
