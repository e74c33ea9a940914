/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * snapshot=on: changes go to a temporary file that nobody else sees, the
 * image below is only read.
 *
 * The file is as long as the image and sparse; a bitmap tells which clusters
 * it holds.  A cluster that is written in part is copied first.
 *
 * Locking: `lock` guards the bitmap and the copying; data is moved without
 * it.  Only a commit, with nothing in flight, clears bits.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block/internal.h"
#include "lib/alloc.h"
#include "lib/err.h"
#include "lib/iov.h"
#include "lib/lock.h"

#define OVERLAY_CLUSTER (64 * KIB)

struct overlay {
	struct block_node node;
	struct block_node *base; /* owned */
	int fd;
	struct lock lock;
	u64 *bitmap GUARDED_BY_MEMBER(lock); /* owned; one bit a cluster */
	u8 *copy GUARDED_BY_MEMBER(lock);    /* owned; one cluster */
};

static struct overlay *overlay_of(struct block_node *n)
{
	return container_of(n, struct overlay, node);
}

static bool overlay_has(struct overlay *o, u64 cluster) REQUIRES(o->lock)
{
	return o->bitmap[cluster / 64] & BIT(cluster % 64);
}

static int overlay_base_read(struct overlay *o, struct iovec *iov, int niov,
			     u64 offset, u64 bytes)
{
	struct block_req r = {
		.op = BLOCK_READ,
		.iov = iov,
		.niov = niov,
		.offset = offset,
		.bytes = bytes,
	};

	return o->base->drv->execute(o->base, &r);
}

/* How many bytes from `at` on come from the same place. */
static u64 overlay_run(struct overlay *o, u64 at, u64 left, bool *ret_here)
{
	u64 cluster = at / OVERLAY_CLUSTER;
	u64 run = OVERLAY_CLUSTER - at % OVERLAY_CLUSTER;

	lock_acquire(&o->lock);
	*ret_here = overlay_has(o, cluster);
	while (run < left && overlay_has(o, ++cluster) == *ret_here)
		run += OVERLAY_CLUSTER;
	lock_release(&o->lock);
	return MIN(run, left);
}

static int overlay_read(struct overlay *o, struct block_req *r)
{
	struct iovec *iov = malloc(r->niov * sizeof(*iov));
	u64 run;
	bool here;
	int n = 0;

	if (!iov)
		return -ENOMEM;
	for (u64 done = 0; done < r->bytes && n >= 0; done += run) {
		run = overlay_run(o, r->offset + done, r->bytes - done, &here);
		n = iov_slice(r->iov, r->niov, done, run, iov, r->niov);
		if (n < 0)
			break;
		if (here)
			n = fd_rw(o->fd, false, iov, n, 0, r->offset + done,
				  run, 0);
		else
			n = overlay_base_read(o, iov, n, r->offset + done, run);
	}
	free(iov);
	return MIN(n, 0);
}

/* Brings a cluster into the file, with what the base has there. */
static int overlay_copy(struct overlay *o, u64 cluster) REQUIRES(o->lock)
{
	u64 at = cluster * OVERLAY_CLUSTER;
	u64 len = MIN(OVERLAY_CLUSTER, o->node.size - at);
	struct iovec iov = { o->copy, len };
	int r = overlay_base_read(o, &iov, 1, at, len);

	return r < 0 ? r : fd_rw(o->fd, true, &iov, 1, 0, at, len, 0);
}

/* Makes the file the owner of [offset, offset + len). */
static int overlay_claim(struct overlay *o, u64 offset, u64 len)
{
	u64 end = offset + len;
	int r = 0;

	lock_acquire(&o->lock);
	for (u64 c = offset / OVERLAY_CLUSTER;
	     r == 0 && c * OVERLAY_CLUSTER < end; c++) {
		u64 start = c * OVERLAY_CLUSTER;
		u64 stop = MIN(start + OVERLAY_CLUSTER, o->node.size);

		if (overlay_has(o, c))
			continue;
		if (start < offset || stop > end)
			r = overlay_copy(o, c);
		if (r == 0)
			o->bitmap[c / 64] |= BIT(c % 64);
	}
	lock_release(&o->lock);
	return r;
}

static int overlay_execute(struct block_node *n, struct block_req *r)
{
	struct overlay *o = overlay_of(n);
	int result;

	switch (r->op) {
	case BLOCK_READ: return overlay_read(o, r);
	case BLOCK_FLUSH: /* nothing here outlives the process */
	case BLOCK_DISCARD: /* a discard is advice */ return 0;
	default: break;
	}
	result = overlay_claim(o, r->offset, r->bytes);
	if (result < 0)
		return result;
	if (r->op == BLOCK_WRITE_ZEROES)
		return fd_zero(o->fd, true, r->offset, r->bytes);
	return fd_rw(o->fd, true, r->iov, r->niov, 0, r->offset, r->bytes, 0);
}

static int overlay_layers(struct block_node *n, struct block_layer *out,
			  int max)
{
	struct overlay *o = overlay_of(n);
	struct stat st;

	if (max > 0) {
		node_layer(n, out);
		out->file = "(temporary)";
		out->cluster_size = OVERLAY_CLUSTER;
		if (fstat(o->fd, &st) == 0)
			out->disk_size = st.st_blocks * 512ULL;
	}
	return 1 + o->base->drv->layers(o->base, out + 1, max - 1);
}

static int overlay_commit_cluster(struct overlay *o, u64 cluster)
	REQUIRES(o->lock)
{
	u64 at = cluster * OVERLAY_CLUSTER;
	u64 len = MIN(OVERLAY_CLUSTER, o->node.size - at);
	struct iovec iov = { o->copy, len };
	struct block_req w = {
		.op = BLOCK_WRITE,
		.iov = &iov,
		.niov = 1,
		.offset = at,
		.bytes = len,
	};
	int r = fd_rw(o->fd, false, &iov, 1, 0, at, len, 0);

	return r < 0 ? r : o->base->drv->execute(o->base, &w);
}

static int overlay_commit(struct block_node *n, struct err *err)
{
	struct overlay *o = overlay_of(n);
	u64 clusters = (n->size + OVERLAY_CLUSTER - 1) / OVERLAY_CLUSTER;
	struct block_req flush = { .op = BLOCK_FLUSH };
	int r;

	r = o->base->drv->make_writable(o->base, err);
	if (r < 0)
		return r;
	lock_acquire(&o->lock);
	for (u64 c = 0; c < clusters && r == 0; c++)
		if (overlay_has(o, c))
			r = overlay_commit_cluster(o, c);
	if (r == 0)
		r = o->base->drv->execute(o->base, &flush);
	if (r == 0)
		memset(o->bitmap, 0, (clusters / 64 + 1) * sizeof(u64));
	lock_release(&o->lock);
	if (r < 0)
		return err_code(err, r, "'commit' error for '%s'",
				n->block->id);
	/* Space only; what it held is in the base now. */
	(void)fd_discard(o->fd, 0, n->size);
	return 0;
}

static void overlay_share(struct block_node *n)
{
	struct overlay *o = overlay_of(n);

	if (o->base->drv->share)
		o->base->drv->share(o->base);
}

static void overlay_close(struct block_node *n)
{
	struct overlay *o = overlay_of(n);

	node_close(o->base);
	if (o->fd >= 0)
		close(o->fd);
	lock_fini(&o->lock);
	free(o->bitmap);
	free(o->copy);
	free(o);
}

static const struct block_driver overlay_driver = {
	.format = "overlay",
	.close = overlay_close,
	.execute = overlay_execute,
	.commit = overlay_commit,
	.share = overlay_share,
	.layers = overlay_layers,
};

/* A file without a name, or one that loses it at once. */
static int overlay_temp(struct err *err)
{
	const char *dir = getenv("TMPDIR");
	char *path;
	int fd;

	dir = dir ? dir : "/var/tmp";
	fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0)
		return fd;
	path = xprintf("%s/vmon-XXXXXX", dir);
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		err_errno(err, "cannot create a temporary file in '%s'", dir);
	else
		unlink(path);
	free(path);
	return fd;
}

struct block_node *overlay_open(struct block *b, struct block_node *base,
				struct err *err)
{
	u64 clusters = (base->size + OVERLAY_CLUSTER - 1) / OVERLAY_CLUSTER;
	struct overlay *o;
	int fd;

	fd = overlay_temp(err);
	if (fd < 0)
		return NULL;
	if (ftruncate(fd, base->size) < 0) {
		err_errno(err, "cannot make a temporary file of %llu bytes",
			  (unsigned long long)base->size);
		close(fd);
		return NULL;
	}
	o = xalloc(sizeof(*o));
	node_init(&o->node, &overlay_driver, b);
	lock_init(&o->lock);
	o->node.size = base->size;
	o->base = base;
	o->fd = fd;
	lock_acquire(&o->lock);
	o->bitmap = xcalloc(clusters / 64 + 1, sizeof(u64));
	o->copy = xalloc(OVERLAY_CLUSTER);
	lock_release(&o->lock);
	return &o->node;
}
