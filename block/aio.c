/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * libaio on an event loop.
 *
 * Requests queue up here while the drive is plugged or all slots are taken,
 * and go to the kernel together.  Completions signal an eventfd.
 *
 * Locking: the loop's lock.
 */
#include <errno.h>
#include <libaio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "block/internal.h"
#include "lib/alloc.h"
#include "lib/err.h"
#include "lib/loop.h"

#define AIO_DEPTH 128

struct native_slot {
	struct iocb iocb;
	struct block_req *r; /* NULL while free */
	int next_free;
};

struct native {
	struct aio aio;
	struct block *block; /* borrowed */
	io_context_t ctx;
	int fd, event_fd;
	struct watch watch;
	struct list queue; /* of struct block_req, not yet in the kernel */
	int inflight;
	int free; /* first free slot, -1: none */
	struct native_slot slot[AIO_DEPTH];
};

static struct native *native_of(struct aio *aio)
{
	return container_of(aio, struct native, aio);
}

static void native_release(struct native *a, struct native_slot *s)
{
	s->r = NULL;
	s->next_free = a->free;
	a->free = s - a->slot;
}

static struct native_slot *native_prepare(struct native *a, struct block_req *r)
{
	struct native_slot *s = &a->slot[a->free];

	a->free = s->next_free;
	s->r = r;
	if (r->op == BLOCK_WRITE)
		io_prep_pwritev(&s->iocb, a->fd, r->iov, r->niov, r->offset);
	else
		io_prep_preadv(&s->iocb, a->fd, r->iov, r->niov, r->offset);
	if (r->flags & BLOCK_REQ_FUA)
		s->iocb.aio_rw_flags = RWF_DSYNC;
	io_set_eventfd(&s->iocb, a->event_fd);
	return s;
}

static void native_submit(struct aio *aio, struct block_req *r)
{
	list_append(&native_of(aio)->queue, &r->node);
}

static void native_flush(struct aio *aio)
{
	struct native *a = native_of(aio);
	struct iocb *batch[AIO_DEPTH];
	struct block_req *r;
	int n = 0, done = 0, got;

	while (a->free >= 0 &&
	       (r = list_first(&a->queue, struct block_req, node))) {
		list_remove(&r->node);
		batch[n++] = &native_prepare(a, r)->iocb;
	}
	while (done < n) {
		got = io_submit(a->ctx, n - done, batch + done);
		if (got > 0) {
			done += got;
			a->inflight += got;
			continue;
		}
		if (got == -EINTR)
			continue;
		/* The kernel wants no more, or not this one: a worker can. */
		struct native_slot *s =
			container_of(batch[done++], struct native_slot, iocb);

		r = s->r;
		native_release(a, s);
		block_to_worker(r->target, r);
	}
}

static void native_end(struct native *a, const struct io_event *ev)
{
	struct native_slot *s = container_of(ev->obj, struct native_slot, iocb);
	struct block_req *r = s->r;
	long res = (long)ev->res;

	native_release(a, s);
	a->inflight--;
	/* Short at the end of the file, or for reasons of the kernel: the
	 * blocking way sorts it out. */
	if (res >= 0 && (u64)res != r->bytes)
		block_to_worker(r->target, r);
	else
		block_complete(r, res < 0 ? (int)res : 0);
}

static void native_poll(struct aio *aio)
{
	struct native *a = native_of(aio);
	struct io_event events[AIO_DEPTH];
	struct timespec now = { 0, 0 };
	eventfd_t count;
	int n;

	if (eventfd_read(a->event_fd, &count) < 0 && a->inflight == 0)
		return;
	n = io_getevents(a->ctx, 0, AIO_DEPTH, events, &now);
	for (int i = 0; i < n; i++)
		native_end(a, &events[i]);
	if (n > 0)
		block_settled(a->block);
	if (!list_empty(&a->queue))
		native_flush(aio);
}

static void native_ready(void *arg, u32 events)
{
	native_poll(arg);
}

static int native_poll_fd(struct aio *aio)
{
	return native_of(aio)->event_fd;
}

static void native_destroy(struct aio *aio)
{
	struct native *a = native_of(aio);

	watch_remove(&a->watch);
	if (a->ctx)
		io_destroy(a->ctx);
	if (a->event_fd >= 0)
		close(a->event_fd);
	free(a);
}

static const struct aio_class native_class = {
	.destroy = native_destroy,
	.submit = native_submit,
	.flush = native_flush,
	.poll_fd = native_poll_fd,
	.poll = native_poll,
};

struct aio *native_create(struct block *b, int fd, struct err *err)
{
	struct native *a = xalloc(sizeof(*a));
	int r;

	a->aio.class = &native_class;
	a->block = b;
	list_init(&a->queue);
	a->fd = fd;
	a->free = -1;
	for (int i = AIO_DEPTH - 1; i >= 0; i--)
		native_release(a, &a->slot[i]);
	a->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = a->event_fd < 0 ? -errno : io_setup(AIO_DEPTH, &a->ctx);
	if (r == 0)
		r = watch_add(&a->watch, b->loop, a->event_fd, LOOP_IN,
			      native_ready, &a->aio);
	if (r < 0) {
		err_code(err, r, "cannot set up aio=native");
		native_destroy(&a->aio);
		return NULL;
	}
	return &a->aio;
}
