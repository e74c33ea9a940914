/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * qcow2: reading and writing, blocking.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/qcow2.h"
#include "lib/iov.h"
#include "lib/log.h"

/* ---- Reading ---- */

/* The rest of a disk that is longer than its backing file is zero. */
static int io_read_backing(struct qcow2 *s, const struct iovec *iov, int niov,
			   struct iovec *part, u64 at, u64 offset, u64 len)
{
	u64 below = s->backing ? s->backing->size : 0;
	u64 here = offset < below ? MIN(len, below - offset) : 0;
	int n;

	if (here < len)
		iov_fill(iov, niov, at + here, 0, len - here);
	if (!here)
		return 0;
	n = iov_slice(iov, niov, at, here, part, niov);
	return n < 0 ? n
		     : node_rw(s->backing, BLOCK_READ, part, n, offset, here);
}

int qcow2_read_extent(struct qcow2 *s, const struct qcow2_extent *x, u64 offset,
		      const struct iovec *iov, int niov, struct iovec *part,
		      u64 at)
{
	int n;

	switch (x->kind) {
	case QCOW2_UNALLOCATED:
		return io_read_backing(s, iov, niov, part, at, offset,
				       x->bytes);
	case QCOW2_ZEROES: iov_fill(iov, niov, at, 0, x->bytes); return 0;
	case QCOW2_DATA:
		n = iov_slice(iov, niov, at, x->bytes, part, niov);
		return n < 0 ? n
			     : node_rw(s->file, BLOCK_READ, part, n, x->host,
				       x->bytes);
	case QCOW2_PACKED:
		return qcow2_read_packed(s, x->desc, x->skip, iov, niov, at,
					 x->bytes);
	default: return -EIO;
	}
}

static int io_read(struct qcow2 *s, struct block_req *r)
{
	struct iovec *part = malloc(MAX(r->niov, 1) * sizeof(*part));
	struct qcow2_extent x;
	int result = 0;

	if (!part)
		return -ENOMEM;
	for (u64 at = 0; at < r->bytes && result == 0; at += x.bytes) {
		result = qcow2_map(s, r->offset + at, r->bytes - at, &x);
		if (result < 0)
			break;
		result = qcow2_read_extent(s, &x, r->offset + at, r->iov,
					   r->niov, part, at);
	}
	free(part);
	return result;
}

static int io_change(struct qcow2 *s, struct block_req *r)
{
	if (s->node.readonly)
		return -EACCES;
	switch (r->op) {
	case BLOCK_WRITE: return qcow2_write(s, r);
	case BLOCK_WRITE_ZEROES:
		return qcow2_zero(s, r->offset, r->bytes,
				  s->unmap && r->flags & BLOCK_REQ_UNMAP);
	case BLOCK_DISCARD:
		return s->unmap ? qcow2_discard(s, r->offset, r->bytes) : 0;
	default: return -ENOTSUP;
	}
}

int qcow2_execute(struct block_node *n, struct block_req *r)
{
	struct qcow2 *s = container_of(n, struct qcow2, node);
	int result;

	if (r->op == BLOCK_READ)
		return io_read(s, r);
	if (r->op == BLOCK_FLUSH)
		return s->node.readonly ? 0 : qcow2_flush(s);
	result = io_change(s, r);
	if (result == 0 && r->flags & BLOCK_REQ_FUA)
		result = qcow2_flush(s);
	return result;
}
