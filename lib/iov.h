/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Scattered buffers: length, copies at an offset, windows.
 */
#ifndef LIB_IOV_H
#define LIB_IOV_H

#include <sys/uio.h>

#include "lib/types.h"

size_t iov_length(const struct iovec *iov, int n);

/* Copy up to `len` bytes starting `at` bytes into the vector; return how many
 * there were. */
size_t iov_read(const struct iovec *iov, int n, size_t at, void *dst,
		size_t len);
size_t iov_write(const struct iovec *iov, int n, size_t at, const void *src,
		 size_t len);
size_t iov_fill(const struct iovec *iov, int n, size_t at, u8 byte, size_t len);

/* Describes bytes [at, at + len) of `iov` in `out`, which may be `iov` itself;
 * returns the entries used, or -E2BIG when `max` is not enough, or -EINVAL
 * when the vector is shorter. */
int iov_slice(const struct iovec *iov, int n, size_t at, size_t len,
	      struct iovec *out, int max);

/* Every byte is zero. */
bool iov_is_zero(const struct iovec *iov, int n);

#endif
