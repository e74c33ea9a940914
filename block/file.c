/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Raw images in files and on block devices.
 *
 * Ways to the data: a read that the page cache can answer is done at
 * once; aio=io_uring, and O_DIRECT with aio=native, go through block/uring.c
 * and block/aio.c; the rest to a worker.
 *
 * With O_DIRECT, requests that are not aligned are copied; a write then
 * rewrites whole blocks, so it runs while no other write of this image does
 * (`waiting` keeps the order).
 *
 * Locking: as block/internal.h; execute() only reads the structure.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block/image.h"
#include "block/internal.h"
#include "lib/alloc.h"
#include "lib/err.h"
#include "lib/fdset.h"
#include "lib/iov.h"

#define FILE_ALIGN_MAX  4096u
#define FILE_INLINE_MAX (128 * KIB) /* largest read tried at once */
#define FILE_IOV_MAX    1024        /* UIO_MAXIOV */

struct file {
	struct block_node node;
	char *path; /* owned */
	int fd;
	bool device, direct, no_flush, unmap, locked;
	bool grows;      /* node.size is not its end */
	int lock;        /* file.locking= */
	bool no_nowait;  /* the file system cannot read without blocking */
	struct aio *aio; /* owned; NULL with aio=threads */

	/* Changing requests under O_DIRECT, see above. */
	int changing;
	bool exclusive;
	struct list waiting;
};

static struct file *file_of(struct block_node *n)
{
	return container_of(n, struct file, node);
}

/* ---- Blocking ---- */

static bool file_aligned(const struct file *f, const struct block_req *r)
{
	u32 mask = f->node.align - 1;

	if (!f->direct)
		return true;
	if ((r->offset | r->bytes) & mask)
		return false;
	for (int i = 0; i < r->niov; i++)
		if (((uintptr_t)r->iov[i].iov_base | r->iov[i].iov_len) & mask)
			return false;
	return true;
}

static int file_bounce(struct file *f, struct block_req *r, u8 *buf, u64 start,
		       u64 len)
{
	bool write = r->op == BLOCK_WRITE;
	u64 head = r->offset - start;
	struct iovec iov = { buf, len };
	int rw = 0;

	if (!write || head || r->bytes != len)
		rw = fd_rw(f->fd, false, &iov, 1, 0, start, len, 0);
	if (rw < 0)
		return rw;
	if (!write) {
		iov_write(r->iov, r->niov, 0, buf + head, r->bytes);
		return 0;
	}
	iov_read(r->iov, r->niov, 0, buf + head, r->bytes);
	rw = fd_rw(f->fd, true, &iov, 1, 0, start, len, 0);
	/* The last block may reach beyond the end of the image. */
	if (rw == 0 && !f->device && !f->grows && start + len > f->node.size &&
	    ftruncate(f->fd, f->node.size) < 0)
		rw = -errno;
	return rw;
}

/* Copies through an aligned buffer, one part of the request at a time. */
static int file_rw_unaligned(struct file *f, struct block_req *r)
{
	u32 align = f->node.align;
	u64 left = r->bytes, at = r->offset, skip = 0;
	u64 most = MIN(ALIGN_UP(left, align) + 2 * align, MIB);
	struct block_req part = *r;
	struct iovec *iov;
	void *buf;
	int rw = 0, n;

	iov = malloc(r->niov * sizeof(*iov));
	if (!iov || posix_memalign(&buf, FILE_ALIGN_MAX, most)) {
		free(iov);
		return -ENOMEM;
	}
	while (left > 0 && rw == 0) {
		u64 start = ALIGN_DOWN(at, align);
		u64 len = MIN(ALIGN_UP(at + left, align) - start, most);
		u64 bytes = MIN(left, start + len - at);

		n = iov_slice(r->iov, r->niov, skip, bytes, iov, r->niov);
		if (n < 0) {
			rw = n;
			break;
		}
		part.iov = iov;
		part.niov = n;
		part.offset = at;
		part.bytes = bytes;
		rw = file_bounce(f, &part, buf, start, len);
		at += bytes;
		skip += bytes;
		left -= bytes;
	}
	free(buf);
	free(iov);
	return rw;
}

static int file_sync(struct file *f)
{
	int r;

	if (f->no_flush)
		return 0;
	do
		r = fdatasync(f->fd);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

static int file_zero(struct file *f, struct block_req *r)
{
	bool unmap = f->unmap && r->flags & BLOCK_REQ_UNMAP;
	u32 mask = f->node.align - 1;
	struct block_req part = *r;
	struct iovec iov;
	void *zero;
	int rw = 0;

	if (!f->direct || !((r->offset | r->bytes) & mask))
		return fd_zero(f->fd, unmap, r->offset, r->bytes);
	/* Not whole blocks: the plain way, at most a piece at a time. */
	zero = calloc(1, MIN(r->bytes, MIB));
	if (!zero)
		return -ENOMEM;
	part.op = BLOCK_WRITE;
	part.iov = &iov;
	part.niov = 1;
	for (u64 at = 0; at < r->bytes; at += part.bytes) {
		part.offset = r->offset + at;
		part.bytes = MIN(r->bytes - at, MIB);
		iov = (struct iovec){ zero, part.bytes };
		rw = file_rw_unaligned(f, &part);
		if (rw < 0)
			break;
	}
	free(zero);
	return rw;
}

static int file_execute(struct block_node *n, struct block_req *r)
{
	struct file *f = file_of(n);
	int rw = 0;

	switch (r->op) {
	case BLOCK_READ:
	case BLOCK_WRITE:
		rw = file_aligned(f, r)
			     ? fd_rw(f->fd, r->op == BLOCK_WRITE, r->iov,
				     r->niov, 0, r->offset, r->bytes, 0)
			     : file_rw_unaligned(f, r);
		break;
	case BLOCK_FLUSH: return file_sync(f);
	case BLOCK_DISCARD:
		if (f->unmap)
			rw = fd_discard(f->fd, r->offset, r->bytes);
		break;
	case BLOCK_WRITE_ZEROES: rw = file_zero(f, r); break;
	default: return -ENOTSUP;
	}
	if (rw == 0 && r->flags & BLOCK_REQ_FUA)
		rw = file_sync(f);
	return rw;
}

int file_read_header(struct block_node *n, u8 *header)
{
	struct iovec iov = { header, BLOCK_HEADER_BYTES };
	struct block_req r = {
		.op = BLOCK_READ,
		.iov = &iov,
		.niov = 1,
		.bytes = BLOCK_HEADER_BYTES,
	};

	return file_execute(n, &r);
}

static const struct block_driver file_driver;

int file_copy(struct block_node *from, u64 at, struct block_node *to, u64 to_at,
	      u64 bytes)
{
	off_t in = at, out = to_at;
	ssize_t n;

	if (from->drv != &file_driver || to->drv != &file_driver)
		return -ENOTSUP;
	while (bytes > 0) {
		n = copy_file_range(file_of(from)->fd, &in, file_of(to)->fd,
				    &out, bytes, 0);
		if (n < 0 && errno == EINTR)
			continue;
		/* Also where a file ends, and what any of the kernel's file
		 * systems has against it. */
		if (n <= 0)
			return n < 0 && (errno == EIO || errno == ENOSPC ||
					 errno == EDQUOT || errno == EFBIG)
				       ? -errno
				       : -ENOTSUP;
		bytes -= n;
	}
	return 0;
}

void file_set_grows(struct block_node *n, bool grows)
{
	file_of(n)->grows = grows;
}

bool file_is_device(struct block_node *n)
{
	return file_of(n)->device;
}

void file_identity(struct block_node *n, dev_t *ret_dev, ino_t *ret_ino)
{
	struct stat st = { 0 };

	(void)fstat(file_of(n)->fd, &st);
	*ret_dev = st.st_dev;
	*ret_ino = st.st_ino;
}

/* ---- Starting ---- */

/* Answers from the page cache, without waiting for a disk. */
static bool file_read_now(struct file *f, struct block_req *r)
{
	ssize_t n;

	if (f->no_nowait || r->bytes > FILE_INLINE_MAX ||
	    r->niov > FILE_IOV_MAX)
		return false;
	n = preadv2(f->fd, r->iov, r->niov, r->offset, RWF_NOWAIT);
	if (n < 0 && errno == EOPNOTSUPP)
		f->no_nowait = true;
	if (n < 0 || (u64)n != r->bytes)
		return false;
	block_finish(r, 0);
	return true;
}

static void file_go(struct file *f, struct block_req *r)
{
	bool rw = r->op == BLOCK_READ || r->op == BLOCK_WRITE;

	if (f->aio && rw && r->niov <= FILE_IOV_MAX && file_aligned(f, r)) {
		f->aio->class->submit(f->aio, r);
		if (!f->node.block->plugged)
			f->aio->class->flush(f->aio);
		return;
	}
	block_to_worker(&f->node, r);
}

static bool file_changes(const struct file *f, const struct block_req *r)
{
	return f->direct && r->op != BLOCK_READ && r->op != BLOCK_FLUSH;
}

static bool file_is_exclusive(const struct file *f, const struct block_req *r)
{
	return (r->offset | r->bytes) & (f->node.align - 1);
}

/* May it go now, next to the ones that are under way? */
static bool file_enter(struct file *f, struct block_req *r)
{
	bool exclusive = file_is_exclusive(f, r);

	if (f->exclusive || (exclusive && f->changing > 0))
		return false;
	f->exclusive = exclusive;
	f->changing++;
	return true;
}

static bool file_start(struct block_node *n, struct block_req *r)
{
	struct file *f = file_of(n);

	if (!f->direct) {
		if (r->op == BLOCK_READ && file_read_now(f, r))
			return true;
		if (!f->aio)
			return false;
		file_go(f, r);
		return true;
	}
	if (file_changes(f, r) &&
	    (!list_empty(&f->waiting) || !file_enter(f, r)))
		list_append(&f->waiting, &r->node);
	else
		file_go(f, r);
	return true;
}

static void file_ended(struct block_node *n, struct block_req *r)
{
	struct file *f = file_of(n);

	if (!file_changes(f, r))
		return;
	f->changing--;
	f->exclusive = false;
	while ((r = list_first(&f->waiting, struct block_req, node)) &&
	       file_enter(f, r)) {
		list_remove(&r->node);
		file_go(f, r);
	}
}

static void file_unplug(struct block_node *n)
{
	struct file *f = file_of(n);

	if (f->aio)
		f->aio->class->flush(f->aio);
}

static int file_poll_fd(struct block_node *n)
{
	struct file *f = file_of(n);

	return f->aio ? f->aio->class->poll_fd(f->aio) : -1;
}

static void file_poll(struct block_node *n)
{
	struct file *f = file_of(n);

	if (f->aio)
		f->aio->class->poll(f->aio);
}

/* ---- Life cycle ---- */

static int file_get_size(struct file *f, u64 *ret, struct err *err)
{
	off_t end;

	if (f->device && ioctl(f->fd, BLKGETSIZE64, ret) == 0)
		return 0;
	end = lseek(f->fd, 0, SEEK_END);
	if (end < 0)
		return err_errno(err, "cannot get the size of '%s'", f->path);
	*ret = end;
	return 0;
}

static int file_resize(struct block_node *n, u64 size, struct err *err)
{
	struct file *f = file_of(n);
	u64 now;
	int r;

	if (!f->device && ftruncate(f->fd, size) < 0)
		return err_errno(err, "cannot resize '%s'", f->path);
	r = file_get_size(f, &now, err);
	if (r < 0)
		return r;
	if (f->device && now < size)
		return err_set(err, -ENOSPC, "'%s' has only %llu bytes",
			       f->path, (unsigned long long)now);
	n->size = size;
	return 0;
}

u64 file_length(struct block_node *n)
{
	u64 size;

	return file_get_size(file_of(n), &size, NULL) < 0 ? n->size : size;
}

static int file_make_writable(struct block_node *n, struct err *err)
{
	struct file *f = file_of(n);
	struct stat was, is;
	int fd, r = 0;

	if (!n->readonly)
		return 0;
	fd = fdset_open(f->path, O_RDWR | O_CLOEXEC | O_NONBLOCK |
					 (f->direct ? O_DIRECT : 0));
	if (fd < 0)
		return err_errno(err, "Could not open '%s'", f->path);
	if (fstat(f->fd, &was) < 0 || fstat(fd, &is) < 0 ||
	    was.st_ino != is.st_ino || was.st_dev != is.st_dev) {
		close(fd);
		return err_set(err, -ESTALE, "'%s' is another file by now",
			       f->path);
	}
	if (f->locked) {
		lock_release_all(f->fd);
		r = lock_file(fd, f->path, false, f->lock, err);
		if (r < 0)
			(void)lock_file(f->fd, f->path, true, f->lock, NULL);
	}
	if (r == 0 && dup3(fd, f->fd, O_CLOEXEC) < 0)
		r = err_errno(err, "Could not open '%s'", f->path);
	if (r == 0)
		n->readonly = false;
	close(fd);
	return r;
}

/* The descriptor stays as it is: another might not be had. */
static void file_make_readonly(struct block_node *n)
{
	struct file *f = file_of(n);

	n->readonly = true;
	if (f->locked)
		lock_read_only(f->fd);
}

/* The smallest size at which O_DIRECT reads work. */
static u32 file_probe_align(struct file *f)
{
	u32 align = BLOCK_SECTOR;
	void *buf;
	int sector;

	if (f->device && ioctl(f->fd, BLKSSZGET, &sector) == 0 &&
	    sector >= (int)BLOCK_SECTOR && sector <= (int)FILE_ALIGN_MAX)
		return sector;
	if (f->node.size == 0 ||
	    posix_memalign(&buf, FILE_ALIGN_MAX, 2 * FILE_ALIGN_MAX))
		return FILE_ALIGN_MAX;
	/* A buffer aligned to no more than what is tried. */
	while (align < FILE_ALIGN_MAX &&
	       pread(f->fd, (u8 *)buf + align, align, 0) < 0)
		align *= 2;
	free(buf);
	return align;
}

static int file_open_fd(struct file *f, const struct block_open *o,
			struct err *err)
{
	int flags = O_CLOEXEC | O_NONBLOCK | (o->direct ? O_DIRECT : 0);
	struct stat st;

	f->node.readonly = o->readonly;
	f->fd = fdset_open(o->path, flags | (o->readonly ? O_RDONLY : O_RDWR));
	if (f->fd < 0 && o->readonly_auto && !o->readonly &&
	    (errno == EACCES || errno == EROFS || errno == EPERM)) {
		f->node.readonly = true;
		f->fd = fdset_open(o->path, flags | O_RDONLY);
	}
	if (f->fd < 0 && errno == EISDIR)
		return err_set(err, -EISDIR,
			       "'%s' is a directory, not an image", o->path);
	if (f->fd < 0 && errno == EINVAL && o->direct)
		return err_set(err, -EINVAL,
			       "Could not open '%s': the file system has no "
			       "O_DIRECT; use another cache mode than none and "
			       "directsync",
			       o->path);
	if (f->fd < 0)
		return err_errno(err, "Could not open '%s'", o->path);
	if (fstat(f->fd, &st) < 0)
		return err_errno(err, "Could not open '%s'", o->path);
	if (S_ISDIR(st.st_mode))
		return err_set(err, -EISDIR,
			       "'%s' is a directory, not an image", o->path);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return err_set(err, -EINVAL,
			       "'%s' is neither a file nor a block device",
			       o->path);
	f->device = S_ISBLK(st.st_mode);
	return 0;
}

/* Holes, as the file system tells them. */
static int file_map(struct block_node *n, u64 offset, u64 bytes,
		    struct image_extent *out)
{
	struct file *f = file_of(n);
	off_t data = lseek(f->fd, offset, SEEK_DATA), end;
	bool zero = data < 0 ? errno == ENXIO : (u64)data > offset;

	if (zero)
		end = data < 0 ? (off_t)(offset + bytes) : data;
	else
		end = data < 0 ? -1 : lseek(f->fd, offset, SEEK_HOLE);
	if (end > (off_t)offset)
		bytes = MIN(bytes, (u64)end - offset);
	*out = (struct image_extent){
		.bytes = bytes,
		.present = true,
		.zero = zero,
		.data = !zero,
		.mapped = true,
		.offset = offset,
		.file = f->path,
	};
	return 0;
}

static void file_close(struct block_node *n)
{
	struct file *f = file_of(n);

	if (f->aio)
		f->aio->class->destroy(f->aio);
	/* Not by closing: one that was passed in stays open elsewhere. */
	if (f->fd >= 0 && f->locked)
		lock_release_all(f->fd);
	if (f->fd >= 0)
		close(f->fd);
	free(f->path);
	free(f);
}

static void file_share(struct block_node *n)
{
	struct file *f = file_of(n);

	if (f->locked)
		lock_share(f->fd);
}

static int file_layers(struct block_node *n, struct block_layer *out, int max)
{
	struct file *f = file_of(n);
	struct stat st;

	if (max < 1)
		return 1;
	node_layer(n, out);
	out->file = f->path;
	out->direct = f->direct;
	out->no_flush = f->no_flush;
	if (fstat(f->fd, &st) == 0)
		out->disk_size = st.st_blocks * 512ULL;
	return 1;
}

static int file_preallocate(struct block_node *n, int how, u64 from)
{
	struct file *f = file_of(n);

	if (how == IMAGE_PREALLOC_METADATA)
		return -ENOTSUP;
	return fd_fill(f->fd, how == IMAGE_PREALLOC_FULL, from, file_length(n));
}

static const struct block_driver file_driver = {
	.format = "raw",
	.close = file_close,
	.execute = file_execute,
	.start = file_start,
	.ended = file_ended,
	.unplug = file_unplug,
	.poll_fd = file_poll_fd,
	.poll = file_poll,
	.resize = file_resize,
	.preallocate = file_preallocate,
	.make_writable = file_make_writable,
	.make_readonly = file_make_readonly,
	.share = file_share,
	.layers = file_layers,
	.map = file_map,
};

static struct aio *file_aio(struct block *b, const struct block_open *o, int fd,
			    struct err *err)
{
#ifdef HAVE_LIBURING
	if (o->aio == BLOCK_AIO_URING)
		return uring_create(b, fd, err);
#endif
	return native_create(b, fd, err);
}

struct block_node *file_open(struct block *b, const struct block_open *o,
			     struct err *err)
{
	struct file *f = xalloc(sizeof(*f));
	int r;

	node_init(&f->node, &file_driver, b);
	list_init(&f->waiting);
	f->path = xstrdup(o->path);
	f->direct = o->direct;
	f->no_flush = o->no_flush;
	f->unmap = o->unmap;
	f->grows = o->grows;
	f->lock = o->lock;
	f->fd = -1;
	r = file_open_fd(f, o, err);
	if (r == 0)
		r = file_get_size(f, &f->node.size, err);
	if (r == 0 && !f->device) {
		r = lock_file(f->fd, o->path, f->node.readonly, o->lock, err);
		f->locked = true;
	}
	if (r == 0 && o->direct)
		f->node.align = file_probe_align(f);
	if (r == 0 && o->aio != BLOCK_AIO_THREADS) {
		f->aio = file_aio(b, o, f->fd, err);
		r = f->aio ? 0 : -EIO;
	}
	if (r < 0) {
		node_close(&f->node);
		return NULL;
	}
	return &f->node;
}
