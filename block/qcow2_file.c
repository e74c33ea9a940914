/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * qcow2: blocking access to the file that holds the image.
 */
#include <errno.h>

#include "block/qcow2.h"

static int qcow2_rw(struct qcow2 *s, enum block_op op, u64 offset, void *buf,
		    u64 len)
{
	struct iovec iov = { buf, len };
	struct block_req r = {
		.op = op,
		.iov = &iov,
		.niov = 1,
		.offset = offset,
		.bytes = len,
	};

	if (offset > INT64_MAX - len)
		return -EINVAL;
	return s->file->drv->execute(s->file, &r);
}

int qcow2_pread(struct qcow2 *s, u64 offset, void *buf, u64 len)
{
	return qcow2_rw(s, BLOCK_READ, offset, buf, len);
}

int qcow2_pwrite(struct qcow2 *s, u64 offset, const void *buf, u64 len)
{
	return qcow2_rw(s, BLOCK_WRITE, offset, (void *)(uintptr_t)buf, len);
}

int qcow2_pzero(struct qcow2 *s, u64 offset, u64 len)
{
	return qcow2_rw(s, BLOCK_WRITE_ZEROES, offset, NULL, len);
}

int qcow2_sync(struct qcow2 *s)
{
	return qcow2_rw(s, BLOCK_FLUSH, 0, NULL, 0);
}
