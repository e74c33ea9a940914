/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * io_uring on an event loop, through liburing; also for what goes through the
 * page cache.
 *
 * Requests queue up here while the drive is plugged or the ring is full, and
 * go to the kernel together.  Completions signal an eventfd.
 *
 * Locking: the loop's lock.
 */
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "block/internal.h"
#include "lib/alloc.h"
#include "lib/err.h"
#include "lib/loop.h"

#define URING_DEPTH 128u

struct uring {
	struct aio aio;
	struct block *block; /* borrowed */
	struct io_uring ring;
	bool ready; /* `ring` is */
	int fd, event_fd;
	struct watch watch;
	struct list queue; /* of struct block_req, not yet in the ring */
	u32 inflight;      /* in the ring, taken by the kernel or not */
};

static struct uring *uring_of(struct aio *a)
{
	return container_of(a, struct uring, aio);
}

static void uring_submit(struct aio *a, struct block_req *r)
{
	list_append(&uring_of(a)->queue, &r->node);
}

static void uring_prepare(struct uring *u, struct io_uring_sqe *sqe,
			  struct block_req *r)
{
	if (r->op == BLOCK_WRITE)
		io_uring_prep_writev(sqe, u->fd, r->iov, r->niov, r->offset);
	else
		io_uring_prep_readv(sqe, u->fd, r->iov, r->niov, r->offset);
	if (r->flags & BLOCK_REQ_FUA)
		sqe->rw_flags = RWF_DSYNC;
	io_uring_sqe_set_data(sqe, r);
}

static void uring_flush(struct aio *a)
{
	struct uring *u = uring_of(a);
	struct io_uring_sqe *sqe;
	struct block_req *r;
	int got;

	/* No more than the ring of completions holds. */
	while (u->inflight < URING_DEPTH &&
	       (r = list_first(&u->queue, struct block_req, node)) &&
	       (sqe = io_uring_get_sqe(&u->ring))) {
		list_remove(&r->node);
		uring_prepare(u, sqe, r);
		u->inflight++;
	}
	do {
		got = io_uring_submit(&u->ring);
	} while (got == -EINTR);
	/* What the kernel did not take stays in the ring; a completion, or
	 * the loop's next turn, tries again. */
	if (io_uring_sq_ready(&u->ring))
		(void)eventfd_write(u->event_fd, 1);
}

static void uring_end(struct uring *u, struct io_uring_cqe *cqe)
{
	struct block_req *r = io_uring_cqe_get_data(cqe);
	int res = cqe->res;

	io_uring_cqe_seen(&u->ring, cqe);
	u->inflight--;
	/* Short at the end of the file, or for reasons of the kernel: the
	 * blocking way sorts it out. */
	if (res == -EAGAIN || res == -EINTR ||
	    (res >= 0 && (u64)res != r->bytes))
		block_to_worker(r->target, r);
	else
		block_complete(r, res < 0 ? res : 0);
}

static void uring_poll(struct aio *a)
{
	struct uring *u = uring_of(a);
	struct io_uring_cqe *cqe;
	eventfd_t count;
	bool some = false;

	(void)eventfd_read(u->event_fd, &count);
	while (io_uring_peek_cqe(&u->ring, &cqe) == 0) {
		uring_end(u, cqe);
		some = true;
	}
	if (some)
		block_settled(u->block);
	if (!list_empty(&u->queue) || io_uring_sq_ready(&u->ring))
		uring_flush(a);
}

static void uring_readable(void *arg, u32 events)
{
	uring_poll(arg);
}

static int uring_poll_fd(struct aio *a)
{
	return uring_of(a)->event_fd;
}

static void uring_destroy(struct aio *a)
{
	struct uring *u = uring_of(a);

	watch_remove(&u->watch);
	if (u->ready)
		io_uring_queue_exit(&u->ring);
	if (u->event_fd >= 0)
		close(u->event_fd);
	free(u);
}

static const struct aio_class uring_class = {
	.destroy = uring_destroy,
	.submit = uring_submit,
	.flush = uring_flush,
	.poll_fd = uring_poll_fd,
	.poll = uring_poll,
};

struct aio *uring_create(struct block *b, int fd, struct err *err)
{
	struct uring *u = xalloc(sizeof(*u));
	int r;

	u->aio.class = &uring_class;
	u->block = b;
	list_init(&u->queue);
	u->fd = fd;
	u->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = u->event_fd < 0 ? -errno
			    : io_uring_queue_init(URING_DEPTH, &u->ring, 0);
	u->ready = r == 0;
	if (r == 0)
		r = io_uring_ring_dontfork(&u->ring);
	if (r == 0)
		r = io_uring_register_eventfd(&u->ring, u->event_fd);
	if (r == 0)
		r = watch_add(&u->watch, b->loop, u->event_fd, LOOP_IN,
			      uring_readable, &u->aio);
	if (r < 0) {
		err_code(err, r,
			 "the kernel refuses aio=io_uring; use aio=threads or "
			 "aio=native");
		uring_destroy(&u->aio);
		return NULL;
	}
	return &u->aio;
}
