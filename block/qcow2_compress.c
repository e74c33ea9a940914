/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * qcow2: compressed clusters.
 *
 * Guests read a cluster in many small pieces, so the last few decompressed
 * ones are kept.
 *
 * Spec: qcow2.txt "Compressed Clusters Descriptor".
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "block/qcow2.h"
#include "lib/iov.h"

static int inflate_zlib(const u8 *in, size_t in_len, u8 *out, size_t out_len)
{
	z_stream z = {
		.next_in = (u8 *)(uintptr_t)in,
		.avail_in = in_len,
		.next_out = out,
		.avail_out = out_len,
	};
	int r;

	if (inflateInit2(&z, -MAX_WBITS) != Z_OK)
		return -ENOMEM;
	r = inflate(&z, Z_FINISH);
	inflateEnd(&z);
	/* What follows the data in its last sector is not ours. */
	return z.avail_out == 0 && (r == Z_STREAM_END || r == Z_BUF_ERROR)
		       ? 0
		       : -EIO;
}

static int inflate_zstd(const u8 *in, size_t in_len, u8 *out, size_t out_len)
{
	ZSTD_inBuffer src = { in, in_len, 0 };
	ZSTD_outBuffer dst = { out, out_len, 0 };
	ZSTD_DCtx *ctx = ZSTD_createDCtx();
	size_t was, left = 1;

	if (!ctx)
		return -ENOMEM;
	do {
		was = src.pos + dst.pos;
		left = ZSTD_decompressStream(ctx, &dst, &src);
	} while (!ZSTD_isError(left) && dst.pos < dst.size &&
		 src.pos + dst.pos > was);
	ZSTD_freeDCtx(ctx);
	return !ZSTD_isError(left) && dst.pos == dst.size ? 0 : -EIO;
}

int qcow2_inflate(bool zstd, const u8 *in, size_t in_len, u8 *out,
		  size_t out_len)
{
	return zstd ? inflate_zstd(in, in_len, out, out_len)
		    : inflate_zlib(in, in_len, out, out_len);
}

void qcow2_packed_range(const struct qcow2 *s, u64 desc, u64 *ret_offset,
			u64 *ret_bytes)
{
	u32 shift = 62 - (s->cluster_bits - 8);
	u64 sectors = (desc >> shift) & ((1ULL << (s->cluster_bits - 8)) - 1);

	*ret_offset = desc & (BIT(shift) - 1) & (BIT(56) - 1);
	*ret_bytes = (sectors + 1) * 512 - (*ret_offset & 511);
}

static int packed_load(struct qcow2 *s, u64 desc, u8 *out)
{
	u64 offset, bytes;
	u8 *in;
	int r;

	qcow2_packed_range(s, desc, &offset, &bytes);
	in = malloc(bytes);
	if (!in)
		return -ENOMEM;
	r = qcow2_pread(s, offset, in, bytes);
	if (r == 0)
		r = qcow2_inflate(s->h.zstd, in, bytes, out, s->cluster_size);
	free(in);
	return r;
}

int qcow2_read_packed(struct qcow2 *s, u64 desc, u64 skip,
		      const struct iovec *iov, int niov, u64 at, u64 len)
{
	struct qcow2_inflated *slot;
	u8 *data;
	int r;

	lock_acquire(&s->inflated_lock);
	for (int i = 0; i < QCOW2_INFLATED; i++) {
		slot = &s->inflated[i];
		if (slot->desc != desc)
			continue;
		iov_write(iov, niov, at, slot->data + skip, len);
		lock_release(&s->inflated_lock);
		return 0;
	}
	lock_release(&s->inflated_lock);

	data = malloc(s->cluster_size);
	if (!data)
		return -ENOMEM;
	r = packed_load(s, desc, data);
	if (r < 0) {
		free(data);
		return r;
	}
	iov_write(iov, niov, at, data + skip, len);
	lock_acquire(&s->inflated_lock);
	slot = &s->inflated[s->inflated_next++ % QCOW2_INFLATED];
	free(slot->data);
	slot->desc = desc;
	slot->data = data;
	lock_release(&s->inflated_lock);
	return 0;
}

void qcow2_forget_packed(struct qcow2 *s)
{
	lock_acquire(&s->inflated_lock);
	for (int i = 0; i < QCOW2_INFLATED; i++) {
		free(s->inflated[i].data);
		s->inflated[i] = (struct qcow2_inflated){ 0 };
	}
	lock_release(&s->inflated_lock);
}
