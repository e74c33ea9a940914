/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Blocking I/O on a descriptor: whole transfers, zeroing, discarding.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block/internal.h"
#include "lib/iov.h"

#define FD_WINDOW 64 /* vector entries per call */

/* As much of the vector from byte `at` on as fits into `out`. */
static int fd_window(const struct iovec *iov, int niov, size_t at, u64 len,
		     struct iovec *out)
{
	int used = 0;

	for (int i = 0; i < niov && used < FD_WINDOW && len > 0; i++) {
		size_t part;

		if (at >= iov[i].iov_len) {
			at -= iov[i].iov_len;
			continue;
		}
		part = MIN(iov[i].iov_len - at, len);
		out[used].iov_base = (u8 *)iov[i].iov_base + at;
		out[used++].iov_len = part;
		len -= part;
		at = 0;
	}
	return used;
}

int fd_rw(int fd, bool write, const struct iovec *iov, int niov, size_t at,
	  u64 offset, u64 len, int flags)
{
	struct iovec win[FD_WINDOW];
	ssize_t n;
	int used;

	while (len > 0) {
		used = fd_window(iov, niov, at, len, win);
		if (used == 0)
			return -EINVAL;
		n = write ? pwritev2(fd, win, used, offset, flags)
			  : preadv2(fd, win, used, offset, flags);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0 && write)
			return -ENOSPC;
		if (n == 0) {
			iov_fill(iov, niov, at, 0, len);
			return 0;
		}
		at += n;
		offset += n;
		len -= n;
	}
	return 0;
}

static bool fd_is_device(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISBLK(st.st_mode);
}

static int fd_fallocate(int fd, int mode, u64 offset, u64 len)
{
	int r;

	do
		r = fallocate(fd, mode | FALLOC_FL_KEEP_SIZE, offset, len);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

static int fd_write_zero_bytes(int fd, u64 offset, u64 len)
{
	static const u8 zero[65536] __attribute__((aligned(4096)));
	struct iovec iov = { (void *)(uintptr_t)zero, 0 };
	int r = 0;

	for (; len > 0 && r == 0; len -= iov.iov_len) {
		iov.iov_len = MIN(len, sizeof(zero));
		r = fd_rw(fd, true, &iov, 1, 0, offset, iov.iov_len, 0);
		offset += iov.iov_len;
	}
	return r;
}

int fd_zero(int fd, bool unmap, u64 offset, u64 len)
{
	u64 range[2] = { offset, len };
	int r = -EOPNOTSUPP;

	if (fd_is_device(fd)) {
		if (unmap)
			r = fd_fallocate(fd, FALLOC_FL_PUNCH_HOLE, offset, len);
		if (r < 0)
			r = ioctl(fd, BLKZEROOUT, range) < 0 ? -errno : 0;
	} else {
		r = fd_fallocate(
			fd, unmap ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE,
			offset, len);
		if (r == -EOPNOTSUPP && !unmap &&
		    fd_fallocate(fd, FALLOC_FL_PUNCH_HOLE, offset, len) == 0)
			r = fd_fallocate(fd, 0, offset, len);
	}
	/* Old kernels and some file systems cannot: do it by hand. */
	return r == -EOPNOTSUPP || r == -EINVAL || r == -ENOTTY
		       ? fd_write_zero_bytes(fd, offset, len)
		       : r;
}

int fd_discard(int fd, u64 offset, u64 len)
{
	u64 range[2] = { offset, len };
	int r;

	if (fd_is_device(fd))
		r = ioctl(fd, BLKDISCARD, range) < 0 ? -errno : 0;
	else
		r = fd_fallocate(fd, FALLOC_FL_PUNCH_HOLE, offset, len);
	/* A discard is advice. */
	return r == -EOPNOTSUPP || r == -ENOTTY ? 0 : r;
}

static int fd_fill_holes(int fd, u64 offset, u64 end)
{
	int r = 0;

	while (offset < end && r == 0) {
		off_t hole = lseek(fd, offset, SEEK_HOLE), data;

		if (hole < 0 || (u64)hole >= end)
			return hole < 0 ? fd_write_zero_bytes(fd, offset,
							      end - offset)
					: 0;
		data = lseek(fd, hole, SEEK_DATA);
		offset = data < 0 ? end : MIN((u64)data, end);
		r = fd_write_zero_bytes(fd, hole, offset - hole);
	}
	return r;
}

int fd_fill(int fd, bool full, u64 offset, u64 end)
{
	int r;

	if (offset >= end || fd_is_device(fd))
		return 0;
	if (full)
		return fd_fill_holes(fd, offset, end);
	do
		r = posix_fallocate(fd, offset, end - offset);
	while (r == EINTR);
	return -r;
}
