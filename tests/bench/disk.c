/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Requests to a drive, as a device makes them: `depth` at a time, each
 * `step` bytes after the one before (around the end).  Prints requests per
 * second.
 *
 *     bench-disk DRIVE-OPTIONS read|write BYTES DEPTH STEP COUNT
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/loop.h"
#include "lib/opt.h"
#include "lib/work.h"

#define DEPTH_MAX 256

struct bench {
	struct block *drive;
	u64 bytes, step, next, left, running;
	bool write;
};

struct slot {
	struct block_req req;
	struct iovec iov;
	struct bench *bench;
};

static struct slot slots[DEPTH_MAX];

static void slot_start(struct slot *s)
{
	struct bench *b = s->bench;

	b->left--;
	b->running++;
	s->req.offset = b->next;
	s->req.flags = 0;
	b->next += b->step;
	if (b->next + b->bytes > b->drive->size)
		b->next = b->next % b->step + b->bytes;
	if (b->next + b->bytes > b->drive->size)
		b->next = 0;
	if (b->write)
		block_write(b->drive, &s->req);
	else
		block_read(b->drive, &s->req);
}

static void slot_done(struct block_req *r)
{
	struct slot *s = container_of(r, struct slot, req);

	if (r->result < 0) {
		fprintf(stderr, "bench-disk: %s\n", strerror(-r->result));
		exit(1);
	}
	s->bench->running--;
	if (s->bench->left)
		slot_start(s);
}

static double run(struct loop *loop, struct bench *b, u64 depth)
{
	u64 start = clock_mono_ns(), count = b->left;

	block_plug(b->drive);
	for (u64 i = 0; i < depth && b->left; i++) {
		struct slot *s = &slots[i];

		if (posix_memalign(&s->iov.iov_base, 4096, b->bytes))
			abort();
		memset(s->iov.iov_base, 0xa5, b->bytes);
		s->iov.iov_len = b->bytes;
		s->bench = b;
		s->req = (struct block_req){ .iov = &s->iov,
					     .niov = 1,
					     .done = slot_done };
		slot_start(s);
	}
	block_unplug(b->drive);
	while (b->running)
		loop_once(loop, NS_PER_S);
	return count * 1e9 / (clock_mono_ns() - start);
}

int main(int argc, char **argv)
{
	struct loop *loop = loop_create();
	struct err err = { 0 };
	struct bench b = { 0 };
	struct opts o;
	u64 depth;

	if (argc != 7) {
		fprintf(stderr, "usage: bench-disk DRIVE read|write BYTES "
				"DEPTH STEP COUNT\n");
		return 2;
	}
	if (opts_parse(&o, argv[1], "file", &err) == 0)
		b.drive = block_create(loop, &o, &err);
	if (!b.drive) {
		fprintf(stderr, "bench-disk: %s\n", err.msg);
		return 1;
	}
	opts_fini(&o);
	b.write = !strcmp(argv[2], "write");
	b.bytes = strtoull(argv[3], NULL, 0);
	depth = MIN(strtoull(argv[4], NULL, 0), (u64)DEPTH_MAX);
	b.step = strtoull(argv[5], NULL, 0);
	b.left = strtoull(argv[6], NULL, 0);
	printf("%.0f\n", run(loop, &b, depth));
	block_destroy_all();
	work_shutdown();
	loop_destroy(loop);
	return 0;
}
