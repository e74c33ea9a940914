/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * qcow2: the header and its extensions.
 *
 * Spec: qcow2.txt "Header", "Header extensions", "Feature name table".
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/qcow2.h"
#include "lib/alloc.h"
#include "lib/bytes.h"
#include "lib/err.h"

#define FEATURE_BYTES 48u

/* Names of incompatible features that the image itself brings. */
struct header_names {
	const u8 *rows;
	u32 count;
};

/* ---- Extensions ---- */

static int header_extensions(const u8 *buf, size_t from, size_t to,
			     struct qcow2_header *h, struct header_names *names,
			     struct err *err)
{
	u32 type, len;

	while (to - from >= 8) {
		type = get_be32(buf + from);
		len = get_be32(buf + from + 4);
		from += 8;
		if (type == QCOW2_EXT_END)
			return 0;
		if (len > to - from)
			return err_set(err, -EINVAL,
				       "header extension 0x%x is too long",
				       type);
		if (type == QCOW2_EXT_FORMAT) {
			if (len >= sizeof(h->backing_format))
				return err_set(err, -EINVAL,
					       "the backing file's format has "
					       "a name of %u bytes",
					       len);
			memcpy(h->backing_format, buf + from, len);
			h->backing_format[len] = '\0';
		}
		if (type == QCOW2_EXT_FEATURES) {
			names->rows = buf + from;
			names->count = len / FEATURE_BYTES;
		}
		if (type == QCOW2_EXT_BITMAPS && len >= 24) {
			h->bitmaps = get_be32(buf + from);
			h->bitmaps_bytes = get_be64(buf + from + 8);
			h->bitmaps_offset = get_be64(buf + from + 16);
		}
		len = MIN((len + 7) & ~7u, to - from);
		from += len;
	}
	return 0;
}

/* ---- Features ---- */

static int header_features(const struct qcow2_header *h,
			   const struct header_names *names, struct err *err)
{
	u64 known = QCOW2_DIRTY | QCOW2_CORRUPT | QCOW2_DATAFILE | QCOW2_ZSTD |
		    QCOW2_EXTENDED;
	u64 unknown = h->incompatible & ~known;
	int bit;

	if (h->incompatible & QCOW2_DATAFILE)
		return err_set(err, -ENOTSUP,
			       "keeps its data in an external file, which is "
			       "not supported; use 'qemu-img convert'");
	if (h->crypt)
		return err_set(err, -ENOTSUP,
			       "is encrypted, which is not supported; use "
			       "'qemu-img convert'");
	if (!unknown)
		return 0;
	bit = __builtin_ctzll(unknown);
	for (u32 i = 0; i < names->count; i++) {
		const u8 *row = names->rows + (size_t)i * FEATURE_BYTES;

		if (row[0] == 0 && row[1] == bit)
			return err_set(err, -ENOTSUP,
				       "needs a feature that is not supported: "
				       "%.46s",
				       (const char *)row + 2);
	}
	return err_set(err, -ENOTSUP,
		       "needs a feature that is not supported: bit %d", bit);
}

/* ---- The fixed part ---- */

static int header_numbers(const u8 *buf, size_t len, struct qcow2_header *h,
			  struct err *err)
{
	if (len < 8 || get_be32(buf) != QCOW2_MAGIC)
		return err_set(err, -EINVAL, "Image is not in qcow2 format");
	h->version = get_be32(buf + 4);
	if (h->version < 2 || h->version > 3)
		return err_set(err, -ENOTSUP,
			       "has version %u; 2 and 3 are "
			       "supported",
			       h->version);
	if (len < (h->version == 2 ? 72 : 104))
		return err_set(err, -EINVAL,
			       "is truncated: its header ends after %zu bytes",
			       len);
	h->cluster_bits = get_be32(buf + 20);
	h->size = get_be64(buf + 24);
	h->crypt = get_be32(buf + 32);
	h->l1_size = get_be32(buf + 36);
	h->l1_offset = get_be64(buf + 40);
	h->refcount_offset = get_be64(buf + 48);
	h->refcount_clusters = get_be32(buf + 56);
	h->snapshots = get_be32(buf + 60);
	h->snapshots_offset = get_be64(buf + 64);
	h->refcount_order = 4;
	h->header_bytes = 72;
	if (h->version == 2)
		return 0;
	h->incompatible = get_be64(buf + 72);
	h->compatible = get_be64(buf + 80);
	h->autoclear = get_be64(buf + 88);
	h->refcount_order = get_be32(buf + 96);
	h->header_bytes = get_be32(buf + 100);
	if (h->header_bytes < 104 || h->header_bytes > len ||
	    h->header_bytes % 8)
		return err_set(err, -EINVAL, "has a header of %u bytes",
			       h->header_bytes);
	return 0;
}

static int header_check(const struct qcow2_header *h, struct err *err)
{
	u64 mask = (1ULL << h->cluster_bits) - 1;
	u32 entry_bits = h->incompatible & QCOW2_EXTENDED ? 4 : 3;
	u64 per_l1 = 1ULL << (2 * h->cluster_bits - entry_bits);

	if (h->refcount_order > 6)
		return err_set(err, -EINVAL, "has refcounts of 2^%u bits",
			       h->refcount_order);
	if (h->incompatible & QCOW2_EXTENDED && h->cluster_bits < 14)
		return err_set(
			err, -EINVAL,
			"has extended L2 entries in clusters of %u bytes",
			1u << h->cluster_bits);
	if (h->size > (u64)INT64_MAX - mask)
		return err_set(err, -EFBIG,
			       "has a size of %llu bytes; up to %llu are "
			       "supported",
			       (unsigned long long)h->size,
			       (unsigned long long)(INT64_MAX - mask));
	if (h->l1_size > QCOW2_L1_MAX / 8)
		return err_set(err, -EFBIG,
			       "has an L1 table that is too "
			       "large: %u entries",
			       h->l1_size);
	if (h->size && h->l1_size < (h->size - 1) / per_l1 + 1)
		return err_set(err, -EINVAL,
			       "has an L1 table that is too "
			       "small: %u entries",
			       h->l1_size);
	if (h->l1_offset & mask || (h->l1_size && !h->l1_offset) ||
	    h->l1_offset > INT64_MAX - QCOW2_L1_MAX)
		return err_set(err, -EINVAL, "has its L1 table at 0x%llx",
			       (unsigned long long)h->l1_offset);
	if (!h->refcount_clusters ||
	    h->refcount_clusters > QCOW2_TABLE_MAX >> h->cluster_bits)
		return err_set(err, -EFBIG,
			       "has a refcount table of %u "
			       "clusters",
			       h->refcount_clusters);
	if (h->refcount_offset & mask || !h->refcount_offset ||
	    h->refcount_offset > INT64_MAX - QCOW2_TABLE_MAX)
		return err_set(err, -EINVAL, "has its refcount table at 0x%llx",
			       (unsigned long long)h->refcount_offset);
	if (h->bitmaps > 65535 || h->bitmaps_bytes > 64 * MIB ||
	    h->bitmaps_offset & mask || h->bitmaps_offset > INT64_MAX / 2)
		return err_set(err, -EINVAL, "has bitmaps that make no sense");
	if (h->snapshots > QCOW2_SNAPSHOT_MAX)
		return err_set(err, -EFBIG, "has %u snapshots", h->snapshots);
	if (h->snapshots_offset & mask ||
	    h->snapshots_offset > INT64_MAX - QCOW2_L1_MAX ||
	    (h->snapshots && !h->snapshots_offset))
		return err_set(err, -EINVAL,
			       "has its snapshot table at "
			       "0x%llx",
			       (unsigned long long)h->snapshots_offset);
	return 0;
}

static int header_compression(const u8 *buf, struct qcow2_header *h,
			      struct err *err)
{
	u8 type = h->header_bytes > 104 ? buf[104] : 0;

	h->zstd = type == 1;
	if (type > 1)
		return err_set(err, -ENOTSUP,
			       "is compressed in an unknown way (%u)", type);
	if (h->zstd != !!(h->incompatible & QCOW2_ZSTD))
		return err_set(err, -EINVAL,
			       "contradicts itself about its compression");
	return 0;
}

/* Where the extensions end, and the name behind them. */
static int header_backing(const u8 *buf, size_t len, struct qcow2_header *h,
			  size_t *ret_end, struct err *err)
{
	u64 offset = get_be64(buf + 8);
	u32 bytes = get_be32(buf + 16);

	*ret_end = len;
	if (!offset)
		return 0;
	if (offset < h->header_bytes || bytes > QCOW2_NAME_MAX ||
	    !range_holds(0, len, offset, bytes))
		return err_set(err, -EINVAL,
			       "has the name of its backing file "
			       "outside of the header");
	memcpy(h->backing, buf + offset, bytes);
	h->backing[bytes] = '\0';
	if (strlen(h->backing) != bytes)
		return err_set(err, -EINVAL,
			       "has a NUL in the name of its "
			       "backing file");
	*ret_end = offset;
	return 0;
}

int qcow2_header_parse(const u8 *buf, size_t len, struct qcow2_header *h,
		       struct err *err)
{
	struct header_names names = { 0 };
	size_t end;
	int r;

	memset(h, 0, sizeof(*h));
	r = header_numbers(buf, len, h, err);
	if (r < 0)
		return r;
	if (h->cluster_bits < 9 || h->cluster_bits > 21)
		return err_set(err, -EINVAL,
			       "has clusters of 2^%u bytes; 512 to 2 MiB are "
			       "supported",
			       h->cluster_bits);
	len = MIN(len, 1ULL << h->cluster_bits);
	r = header_backing(buf, len, h, &end, err);
	if (r == 0)
		r = header_extensions(buf, h->header_bytes, end, h, &names,
				      err);
	if (r == 0)
		r = header_features(h, &names, err);
	if (r == 0)
		r = header_compression(buf, h, err);
	return r < 0 ? r : header_check(h, err);
}

char *qcow2_backing_path(const char *image, const char *name)
{
	const char *slash = strrchr(image, '/');

	if (!strncmp(name, "file:", 5))
		name += 5;
	if (name[0] == '/' || !slash)
		return xstrdup(name);
	return xprintf("%.*s/%s", (int)(slash - image), image, name);
}
