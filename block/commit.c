/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What images have of their own, into one that lies below them.
 *
 * Locking: nothing is in flight.
 */
#include <errno.h>
#include <stdlib.h>

#include "block/image.h"
#include "block/internal.h"
#include "lib/err.h"

#define COMMIT_PIECE MIB

struct commit {
	struct block_node *top, *base;
	int depth;     /* layers above `base` */
	u64 base_size; /* before it grew */
	u8 *buf;       /* owned; a piece */
};

static int commit_piece(struct commit *c, u64 at, const struct image_extent *x)
{
	struct iovec iov = { c->buf, x->bytes };
	struct block_req zero = {
		.op = BLOCK_WRITE_ZEROES,
		.offset = at,
		.bytes = x->bytes,
		.flags = BLOCK_REQ_UNMAP,
	};
	int r;

	/* Behind the end of the base, zeroes are there. */
	if (x->zero && !x->present && at >= c->base_size)
		return 0;
	if (x->zero)
		return c->base->drv->execute(c->base, &zero);
	r = node_rw(c->top, BLOCK_READ, &iov, 1, at, x->bytes);
	return r < 0 ? r : node_rw(c->base, BLOCK_WRITE, &iov, 1, at, x->bytes);
}

static int commit_all(struct commit *c, const struct commit_pace *pace)
{
	struct image_extent x;
	int r = 0;

	for (u64 at = 0; at < c->top->size && r == 0; at += x.bytes) {
		r = c->top->drv->map(c->top, at,
				     MIN(c->top->size - at, COMMIT_PIECE), &x);
		if (r == 0 && x.depth < c->depth)
			r = commit_piece(c, at, &x);
		if (r == 0 && pace)
			pace->moved(pace->opaque, at + x.bytes, c->top->size,
				    x.depth < c->depth && x.data ? x.bytes : 0);
	}
	return r < 0 ? r : node_rw(c->base, BLOCK_FLUSH, NULL, 0, 0, 0);
}

static int commit_into(struct commit *c, const struct commit_pace *pace,
		       struct err *err)
{
	int r = c->base->drv->make_writable(c->base, err);

	c->base_size = c->base->size;
	if (r == 0 && c->base->size < c->top->size)
		r = c->base->drv->resize(c->base, c->top->size, err);
	if (r < 0)
		return r;
	c->buf = malloc(COMMIT_PIECE);
	r = c->buf ? commit_all(c, pace) : -ENOMEM;
	free(c->buf);
	return r < 0 ? err_code(err, r, "'commit' error for '%s'",
				c->top->block->id)
		     : 0;
}

int node_commit(struct block_node *n, int depth, bool keep,
		const struct commit_pace *pace, struct err *err)
{
	struct commit c = { .top = n, .base = n, .depth = depth };
	const char *id = n->block->id;
	int r;

	for (int i = 0; i < depth && c.base; i++)
		c.base = c.base->drv->below ? c.base->drv->below(c.base) : NULL;
	if (!c.base || depth < 1)
		return err_set(err, -ENOTSUP,
			       "'commit' error for '%s': Operation not "
			       "supported",
			       id);
	if (n->readonly)
		return err_set(err, -EACCES,
			       "'commit' error for '%s': Permission denied",
			       id);
	r = commit_into(&c, pace, err);
	if (r < 0 || keep)
		return r;
	r = n->drv->empty(n);
	return r < 0 ? err_code(err, r, "'commit' error for '%s'", id) : 0;
}
