/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Life of a request, and the list of drives.
 *
 * A request goes to the top node, which starts it or leaves it to a worker.
 * What ends on another thread, or already during submission, is put on a
 * list and an eventfd brings it to the loop.
 *
 * Locking: the loop's lock; block_done.lock is a leaf.
 */
#include "block/block.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "block/internal.h"
#include "block/throttle.h"
#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/iov.h"
#include "lib/lock.h"
#include "lib/log.h"
#include "lib/loop.h"
#include "lib/trace.h"

struct block_done {
	struct lock lock;
	struct list list GUARDED_BY_MEMBER(lock); /* of struct block_req */
	int fd;
	struct watch watch;
};

static struct list block_list = LIST_INIT(block_list);

/* ---- The end of a request ---- */

void block_settled(struct block *b)
{
	if (b->front && b->front->settled)
		b->front->settled(b->front_opaque);
}

void block_complete(struct block_req *r, int result)
{
	struct block *b = r->block;
	u64 now = clock_mono_ns();

	if (r->target && r->target->drv->ended)
		r->target->drv->ended(r->target, r);
	/* A node may have passed it on to the one below. */
	if (r->target && r->target != b->root && b->root->drv->ended)
		b->root->drv->ended(b->root, r);
	if (r->guard) {
		r->iov = r->own_iov;
		r->niov = r->own_niov;
		free(r->guard);
		r->guard = NULL;
	}
	r->result = result;
	b->inflight--;
	b->stats.last_access_ns = now;
	if (result < 0) {
		b->stats.failed[r->counted]++;
	} else {
		b->stats.ops[r->counted]++;
		b->stats.bytes[r->counted] += r->bytes;
		b->stats.time_ns[r->counted] += now - r->start_ns;
	}
	trace(BLOCK_DONE, "%s: op %d at %llu, %llu bytes: %d", b->id, r->op,
	      (unsigned long long)r->offset, (unsigned long long)r->bytes,
	      result);
	r->done(r);
}

void block_finish(struct block_req *r, int result)
{
	struct block_done *d = r->block->finish;
	bool first;

	r->result = result;
	lock_acquire(&d->lock);
	first = list_empty(&d->list);
	list_append(&d->list, &r->node);
	lock_release(&d->lock);
	if (first)
		eventfd_write(d->fd, 1);
}

static void block_take_finished(struct block *b)
{
	struct block_done *d = b->finish;
	struct block_req *r;
	struct list todo;
	eventfd_t count;
	bool any = false;

	(void)eventfd_read(d->fd, &count);
	list_init(&todo);
	lock_acquire(&d->lock);
	if (!list_empty(&d->list)) {
		list_insert(&d->list, &todo);
		list_remove(&d->list);
	}
	lock_release(&d->lock);
	while ((r = list_first(&todo, struct block_req, node))) {
		list_remove(&r->node);
		block_complete(r, r->result);
		any = true;
	}
	if (any)
		block_settled(b);
}

static void block_finished(void *arg, u32 events)
{
	block_take_finished(arg);
}

static void block_work(struct work *w)
{
	struct block_req *r = container_of(w, struct block_req, work);

	block_finish(r, r->target->drv->execute(r->target, r));
}

void block_to_worker(struct block_node *n, struct block_req *r)
{
	r->target = n;
	r->work.run = block_work;
	r->work.done = NULL;
	r->work.loop = r->block->loop;
	work_submit(&r->work);
}

/* ---- The start of a request ---- */

/* A guessed raw image must not turn into another format by what the guest
 * writes: the next start would read it as that.  The start of the image is
 * written from a copy, since the guest may change its buffer meanwhile. */
static int block_guard_header(struct block *b, struct block_req *r)
{
	u8 next[BLOCK_HEADER_BYTES];
	const char *format;
	struct iovec *iov;
	size_t len;
	u8 *copy;
	int n;

	if (r->offset >= BLOCK_HEADER_BYTES)
		return 0;
	len = MIN(r->bytes, BLOCK_HEADER_BYTES - r->offset);
	r->guard = malloc((r->niov + 1) * sizeof(*iov) + len);
	if (!r->guard)
		return -ENOMEM;
	r->own_iov = r->iov;
	r->own_niov = r->niov;
	iov = r->guard;
	copy = (u8 *)(iov + r->niov + 1);
	iov_read(r->iov, r->niov, 0, copy, len);
	memcpy(next, b->header, sizeof(next));
	memcpy(next + r->offset, copy, len);
	format = probe_format(next);
	if (format) {
		log_warn("drive '%s': refused to let the guest write a '%s' "
			 "header; format=raw allows it",
			 b->id, format);
		return -EPERM;
	}
	memcpy(b->header, next, sizeof(next));
	iov[0] = (struct iovec){ copy, len };
	n = iov_slice(r->iov, r->niov, len, r->bytes - len, iov + 1, r->niov);
	if (n < 0)
		return n;
	r->iov = iov;
	r->niov = n + 1;
	return 0;
}

static int block_check(struct block *b, struct block_req *r)
{
	bool changes = r->op != BLOCK_READ && r->op != BLOCK_FLUSH;

	if (!b->root)
		return -ENOMEDIUM;
	if (changes && b->readonly)
		return -EACCES;
	if (!range_holds(0, b->size, r->offset, r->bytes))
		return -EINVAL;
	if (r->op == BLOCK_WRITE && b->header)
		return block_guard_header(b, r);
	return 0;
}

void block_start(struct block_req *r)
{
	struct block *b = r->block;

	trace(BLOCK_START, "%s: op %d at %llu, %llu bytes", b->id, r->op,
	      (unsigned long long)r->offset, (unsigned long long)r->bytes);
	if (r->op == BLOCK_WRITE && b->detect_zeroes &&
	    iov_is_zero(r->iov, r->niov)) {
		r->op = BLOCK_WRITE_ZEROES;
		if (b->detect_zeroes == 2)
			r->flags |= BLOCK_REQ_UNMAP;
	}
	r->target = b->root;
	if (!b->root->drv->start || !b->root->drv->start(b->root, r))
		block_to_worker(b->root, r);
}

static void block_submit(struct block *b, struct block_req *r, enum block_op op)
{
	int result;

	r->block = b;
	r->target = NULL;
	r->op = op;
	r->counted = op;
	r->guard = NULL;
	r->start_ns = clock_mono_ns();
	b->inflight++;
	if (!b->write_cache && op != BLOCK_READ)
		r->flags |= BLOCK_REQ_FUA;
	result = block_check(b, r);
	if (result < 0) {
		block_finish(r, result);
		return;
	}
	if (!throttle_hold(b, r))
		block_start(r);
}

void block_read(struct block *b, struct block_req *r)
{
	r->bytes = iov_length(r->iov, r->niov);
	block_submit(b, r, BLOCK_READ);
}

void block_write(struct block *b, struct block_req *r)
{
	r->bytes = iov_length(r->iov, r->niov);
	block_submit(b, r, BLOCK_WRITE);
}

void block_flush(struct block *b, struct block_req *r)
{
	r->offset = 0;
	r->bytes = 0;
	block_submit(b, r, BLOCK_FLUSH);
}

void block_discard(struct block *b, struct block_req *r)
{
	block_submit(b, r, BLOCK_DISCARD);
}

void block_write_zeroes(struct block *b, struct block_req *r)
{
	block_submit(b, r, BLOCK_WRITE_ZEROES);
}

void block_plug(struct block *b)
{
	b->plugged++;
}

void block_unplug(struct block *b)
{
	if (--b->plugged == 0 && b->root && b->root->drv->unplug)
		b->root->drv->unplug(b->root);
}

/* ---- Draining ---- */

void block_drain(struct block *b)
{
	const struct block_driver *drv = b->root ? b->root->drv : NULL;
	struct pollfd fds[2] = {
		{ .fd = b->finish->fd, .events = POLLIN },
		{ .fd = -1, .events = POLLIN },
	};

	if (drv && drv->poll_fd)
		fds[1].fd = drv->poll_fd(b->root);
	while (b->inflight > 0) {
		throttle_release(b);
		while (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno == EINTR)
			;
		if (fds[1].revents)
			drv->poll(b->root);
		if (fds[0].revents)
			block_take_finished(b);
	}
}

void block_drain_all(void)
{
	struct block *b;

	list_for_each (b, &block_list, node)
		block_drain(b);
}

/* ---- Nodes ---- */

void node_init(struct block_node *n, const struct block_driver *drv,
	       struct block *b)
{
	static int last = 100;

	n->drv = drv;
	n->block = b;
	n->number = ++last;
	n->align = 1;
}

void node_close(struct block_node *n)
{
	if (n)
		n->drv->close(n);
}

void node_layer(struct block_node *n, struct block_layer *out)
{
	*out = (struct block_layer){
		.format = n->drv->format,
		.readonly = n->readonly,
		.writeback = n->block->write_cache,
		.virtual_size = n->size,
	};
	snprintf(out->node, sizeof(out->node), "#block%d", n->number);
}

/* ---- Drives ---- */

int block_register(struct block *b, struct err *err)
{
	int r;

	b->finish = xalloc(sizeof(*b->finish));
	lock_init(&b->finish->lock);
	list_init(&b->finish->list);
	b->created_ns = clock_mono_ns();
	b->finish->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (b->finish->fd < 0)
		return err_errno(err, "drive '%s'", b->id);
	r = watch_add(&b->finish->watch, b->loop, b->finish->fd, LOOP_IN,
		      block_finished, b);
	if (r < 0)
		return err_code(err, r, "drive '%s'", b->id);
	list_append(&block_list, &b->node);
	return 0;
}

void block_destroy(struct block *b)
{
	if (!b)
		return;
	if (b->finish) {
		block_drain(b);
		throttle_leave(b);
		watch_remove(&b->finish->watch);
		if (b->finish->fd >= 0)
			close(b->finish->fd);
		lock_fini(&b->finish->lock);
		free(b->finish);
	}
	list_remove(&b->node);
	node_close(b->root);
	free(b->header);
	free(b->serial);
	free(b->id);
	free(b);
}

void block_destroy_all(void)
{
	while (!list_empty(&block_list))
		block_destroy(list_first(&block_list, struct block, node));
}

struct block *block_find(const char *id)
{
	struct block *b;

	list_for_each (b, &block_list, node)
		if (!strcmp(b->id, id))
			return b;
	return NULL;
}

struct block *block_next(struct block *b)
{
	struct list *node = b ? b->node.next : block_list.next;

	return node == &block_list ? NULL
				   : list_entry(node, struct block, node);
}

int block_attach(struct block *b, const struct block_front *front, void *opaque,
		 struct err *err)
{
	if (b->front)
		return err_set(err, -EBUSY,
			       "drive '%s' is in use by another device", b->id);
	b->front = front;
	b->front_opaque = opaque;
	return 0;
}

void block_detach(struct block *b, void *opaque)
{
	if (!b || b->front_opaque != opaque)
		return;
	block_drain(b);
	b->front = NULL;
	b->front_opaque = NULL;
}

bool block_attached(const struct block *b)
{
	return b->front != NULL;
}

void block_share(struct block *b)
{
	if (b->root && b->root->drv->share)
		b->root->drv->share(b->root);
}

void block_set_boot_index(struct block *b, u32 index)
{
	b->bootindex = index;
}

void block_set_write_cache(struct block *b, bool on)
{
	b->write_cache = on;
}

void block_set_cdrom(struct block *b)
{
	b->cdrom = true;
	b->readonly = true;
}

int block_tray_check(struct block *b, bool force, struct err *err)
{
	const struct block_tray *tray = b->front ? b->front->tray : NULL;

	if (!b->front)
		return 0;
	if (!tray)
		return err_set(err, -EBUSY, "Device '%s' is not removable",
			       b->id);
	if (force || tray->open(b->front_opaque) ||
	    !tray->locked(b->front_opaque))
		return 0;
	tray->ask(b->front_opaque);
	return err_set(err, -EINPROGRESS,
		       "Device '%s' is locked and force was not specified, "
		       "wait for tray to open and try again",
		       b->id);
}

void block_move_tray(struct block *b, bool open)
{
	if (b->front && b->front->tray)
		b->front->tray->move(b->front_opaque, open);
}

int block_open_tray(struct block *b, bool force, struct err *err)
{
	int r = block_tray_check(b, force, err);

	if (r == 0)
		block_move_tray(b, true);
	return r;
}

void block_eject(struct block *b)
{
	block_drain(b);
	node_close(b->root);
	free(b->header);
	b->header = NULL;
	b->root = NULL;
	b->size = 0;
	if (b->front && b->front->resized)
		b->front->resized(b->front_opaque);
}

void block_delete(struct block *b)
{
	struct buf path = { 0 };

	if (!b->front) {
		block_destroy(b);
		return;
	}
	block_eject(b);
	if (b->front->path)
		b->front->path(b->front_opaque, &path);
	free(b->id);
	b->id = path.len ? buf_steal(&path) : xstrdup("");
}

int block_resize(struct block *b, u64 size, struct err *err)
{
	int r;

	if (!b->root)
		return err_set(err, -ENOMEDIUM, "drive '%s' has no medium",
			       b->id);
	if (b->readonly)
		return err_set(err, -EACCES, "drive '%s' is read-only", b->id);
	if (!b->root->drv->resize)
		return err_set(err, -ENOTSUP,
			       "drive '%s' cannot change its size", b->id);
	block_drain(b);
	size = ALIGN_UP(size, (u64)BLOCK_SECTOR);
	r = b->root->drv->resize(b->root, size, err);
	if (r < 0)
		return r;
	b->size = size;
	if (b->front && b->front->resized)
		b->front->resized(b->front_opaque);
	return 0;
}

int block_commit(struct block *b, struct err *err)
{
	if (!b->root)
		return err_set(err, -ENOMEDIUM, "Device '%s' has no medium",
			       b->id);
	if (!b->root->drv->commit)
		return err_set(
			err, -ENOTSUP,
			"'commit' error for '%s': Operation not supported",
			b->id);
	block_drain(b);
	return b->root->drv->commit(b->root, err);
}

enum block_on_error block_error_action(struct block *b, enum block_op op,
				       int error)
{
	int policy = op == BLOCK_READ ? b->on_read_error : b->on_write_error;

	if (policy == BLOCK_ERR_ENOSPC)
		return error == -ENOSPC ? BLOCK_ERR_STOP : BLOCK_ERR_REPORT;
	return policy;
}

void block_set_io_status(struct block *b, enum block_io_status status)
{
	b->io_status = status;
}

/* ---- drive=ID ---- */

static int opt_drive_parse(void *field, const char *value,
			   const struct option_row *row, struct err *err)
{
	struct block *b = block_find(value);

	if (!b)
		return err_set(err, -ENOENT, "'%s': there is no drive '%s'",
			       row->name, value);
	*(struct block **)field = b;
	return 0;
}

static void opt_drive_format(const void *field, const struct option_row *row,
			     struct buf *out)
{
	const struct block *b = *(struct block *const *)field;

	buf_puts(out, b ? b->id : "");
}

const struct opt_type opt_drive = {
	.name = "drive",
	.parse = opt_drive_parse,
	.format = opt_drive_format,
};
