/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * For tests: a drive as something that is read and written, one at a time.
 */
#ifndef TESTS_UNIT_QCOW2_DISK_H
#define TESTS_UNIT_QCOW2_DISK_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "lib/loop.h"

struct disk_req {
	struct block_req req;
	struct iovec iov;
	bool done;
};

static inline void disk_done(struct block_req *r)
{
	container_of(r, struct disk_req, req)->done = true;
}

static inline int disk_run(struct loop *loop, struct block *b,
			   void (*submit)(struct block *b, struct block_req *r),
			   void *buf, u64 offset, u64 len)
{
	struct disk_req t = {
		.req = { .offset = offset, .bytes = len, .done = disk_done },
		.iov = { buf, len },
	};

	t.req.iov = &t.iov;
	t.req.niov = 1;
	submit(b, &t.req);
	while (!t.done)
		loop_once(loop, NS_PER_S);
	return t.req.result;
}

static inline void disk_read(struct loop *loop, struct block *b, void *buf,
			     u64 offset, u64 len)
{
	ck_assert_int_eq(disk_run(loop, b, block_read, buf, offset, len), 0);
}

static inline void disk_flush(struct loop *loop, struct block *b)
{
	ck_assert_int_eq(disk_run(loop, b, block_flush, NULL, 0, 0), 0);
}

/* The whole disk is what `model` says. */
static inline void disk_read_check(struct loop *loop, struct block *b,
				   const u8 *model, u64 size, u64 run)
{
	u8 *buf = malloc(size);

	disk_read(loop, b, buf, 0, size);
	for (u64 i = 0; i < size; i++)
		if (buf[i] != model[i])
			ck_abort_msg("QCOW2_SEED=%llu: byte %llu is %02x, "
				     "not %02x",
				     (unsigned long long)run,
				     (unsigned long long)i, buf[i], model[i]);
	free(buf);
}

#endif
