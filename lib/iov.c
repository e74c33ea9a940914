/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Scattered buffers.
 */
#include "lib/iov.h"

#include <errno.h>
#include <string.h>

size_t iov_length(const struct iovec *iov, int n)
{
	size_t len = 0;

	for (int i = 0; i < n; i++)
		len += iov[i].iov_len;
	return len;
}

/* The next stretch of contiguous bytes at or after *at; moves the cursor. */
static size_t iov_next(const struct iovec *iov, int n, int *i, size_t *at,
		       size_t want, void **ret)
{
	while (*i < n && *at >= iov[*i].iov_len) {
		*at -= iov[*i].iov_len;
		(*i)++;
	}
	if (*i == n)
		return 0;

	size_t len = MIN(iov[*i].iov_len - *at, want);

	*ret = (u8 *)iov[*i].iov_base + *at;
	*at += len;
	return len;
}

size_t iov_read(const struct iovec *iov, int n, size_t at, void *dst,
		size_t len)
{
	size_t done = 0, part;
	void *p;
	int i = 0;

	while (done < len &&
	       (part = iov_next(iov, n, &i, &at, len - done, &p)) > 0) {
		memcpy((u8 *)dst + done, p, part);
		done += part;
	}
	return done;
}

size_t iov_write(const struct iovec *iov, int n, size_t at, const void *src,
		 size_t len)
{
	size_t done = 0, part;
	void *p;
	int i = 0;

	while (done < len &&
	       (part = iov_next(iov, n, &i, &at, len - done, &p)) > 0) {
		memcpy(p, (const u8 *)src + done, part);
		done += part;
	}
	return done;
}

size_t iov_fill(const struct iovec *iov, int n, size_t at, u8 byte, size_t len)
{
	size_t done = 0, part;
	void *p;
	int i = 0;

	while (done < len &&
	       (part = iov_next(iov, n, &i, &at, len - done, &p)) > 0) {
		memset(p, byte, part);
		done += part;
	}
	return done;
}

int iov_slice(const struct iovec *iov, int n, size_t at, size_t len,
	      struct iovec *out, int max)
{
	size_t part;
	void *p;
	int i = 0, used = 0;

	while (len > 0) {
		part = iov_next(iov, n, &i, &at, len, &p);
		if (part == 0)
			return -EINVAL;
		if (used == max)
			return -E2BIG;
		/* Reading entry i again after out[used] was stored would be
		 * wrong in place, so step over it first. */
		if (at == iov[i].iov_len) {
			i++;
			at = 0;
		}
		out[used].iov_base = p;
		out[used].iov_len = part;
		used++;
		len -= part;
	}
	return used;
}

bool iov_is_zero(const struct iovec *iov, int n)
{
	for (int i = 0; i < n; i++) {
		const u8 *p = iov[i].iov_base;
		size_t len = iov[i].iov_len;

		/* Compare the buffer with itself, shifted by one byte. */
		if (len > 0 && (p[0] || memcmp(p, p + 1, len - 1)))
			return false;
	}
	return true;
}
