/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * qcow2: a new image.
 *
 * Header, refcount table, refcount blocks, L1 table, one behind the other;
 * L2 tables and data come later.
 *
 * Spec: qcow2.txt "Header", "Header extensions", "Feature name table".
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "block/image.h"
#include "block/qcow2.h"
#include "lib/bytes.h"
#include "lib/err.h"

#define CREATE_V2_BYTES 72u
#define CREATE_V3_BYTES 112u
#define CREATE_NEEDS_V3                                                \
	" only supported with compatibility level 1.1 and above (use " \
	"version=v3 or greater)"

struct create { /* what goes where, in clusters */
	const struct image_options *o;
	u32 version, bits, order, entry_bits;
	u64 l1_entries;
	u64 tables, blocks, l1;
};

static const struct create_feature {
	u8 type, bit; /* 0 incompatible, 1 compatible, 2 autoclear */
	const char *name;
} create_features[] = {
	{ 0, 0, "dirty bit" },
	{ 0, 1, "corrupt bit" },
	{ 0, 2, "external data file" },
	{ 0, 3, "compression type" },
	{ 0, 4, "extended L2 entries" },
	{ 1, 0, "lazy refcounts" },
	{ 2, 0, "bitmaps" },
	{ 2, 1, "raw external data" },
};

/* ---- What may be ---- */

static int create_check_v2(const struct image_options *o, struct err *err)
{
	if (o->lazy)
		return err_set(err, -EINVAL, "Lazy refcounts" CREATE_NEEDS_V3);
	if (o->refcount_bits != 16)
		return err_set(err, -EINVAL,
			       "Different refcount widths than 16 bits require "
			       "compatibility level 1.1 or above (use "
			       "version=v3 or greater)");
	if (o->extended)
		return err_set(err, -EINVAL,
			       "Extended L2 entries are" CREATE_NEEDS_V3);
	if (o->compression)
		return err_set(err, -EINVAL,
			       "Non-zlib compression type is" CREATE_NEEDS_V3);
	return 0;
}

static int create_check(const struct create *c, struct err *err)
{
	const struct image_options *o = c->o;
	u64 size = o->cluster_size;

	if (size < 512 || size > 2 * MIB || size & (size - 1))
		return err_set(err, -EINVAL,
			       "Cluster size must be a power of two between "
			       "512 and 2048k");
	if (!o->refcount_bits || o->refcount_bits > 64 ||
	    o->refcount_bits & (o->refcount_bits - 1))
		return err_set(err, -EINVAL,
			       "Refcount width must be a power of two and may "
			       "not exceed 64 bits");
	if (c->version == 2 && create_check_v2(o, err) < 0)
		return -EINVAL;
	if (o->extended && size < 16384)
		return err_set(err, -EINVAL,
			       "Extended L2 entries are only supported with "
			       "cluster sizes of at least 16384 bytes");
	if (o->prealloc && o->backing && !o->extended)
		return err_set(err, -EINVAL,
			       "Backing file and preallocation can only be "
			       "used at the same time if extended_l2 is on");
	if (o->backing && strlen(o->backing) > QCOW2_NAME_MAX)
		return err_set(err, -EINVAL,
			       "Backing file name too long (max %u bytes)",
			       QCOW2_NAME_MAX);
	if (o->backing_format && strlen(o->backing_format) > 31)
		return err_set(err, -EINVAL, "Backing format name too long");
	return 0;
}

/* ---- Where ---- */

static int create_layout(struct create *c, struct err *err)
{
	const struct image_options *o = c->o;
	u64 cluster, per_block, all, blocks = 1, tables = 1;

	c->bits = __builtin_ctzll(o->cluster_size);
	c->order = __builtin_ctz(o->refcount_bits);
	c->entry_bits = o->extended ? 4 : 3;
	cluster = o->cluster_size;
	per_block = cluster * 8 >> c->order;
	if (o->size > (u64)INT64_MAX - cluster)
		return err_set(err, -EFBIG, "The image size is too large");
	c->l1_entries =
		o->size ? ((o->size - 1) >> (2 * c->bits - c->entry_bits)) + 1
			: 0;
	if (c->l1_entries > QCOW2_L1_MAX / 8)
		return err_set(err, -EFBIG,
			       "The image size is too large for file format "
			       "'qcow2' (try using a larger cluster size)");
	c->l1 = (c->l1_entries * 8 + cluster - 1) >> c->bits;
	do {
		c->tables = tables;
		c->blocks = blocks;
		all = 1 + tables + blocks + c->l1;
		blocks = (all + per_block - 1) / per_block;
		tables = (blocks * 8 + cluster - 1) >> c->bits;
	} while (blocks != c->blocks || tables != c->tables);
	if (c->tables << c->bits > QCOW2_TABLE_MAX)
		return err_set(err, -EFBIG, "The image size is too large");
	return 0;
}

/* ---- The header ---- */

static u8 *create_extension(u8 *at, u32 type, const void *data, u32 len)
{
	put_be32(at, type);
	put_be32(at + 4, len);
	memcpy(at + 8, data, len);
	return at + 8 + ((len + 7) & ~7u);
}

static u8 *create_extensions(const struct create *c, u8 *at)
{
	u8 names[ARRAY_SIZE(create_features) * 48] = { 0 };
	const char *format = c->o->backing_format;

	if (format)
		at = create_extension(at, QCOW2_EXT_FORMAT, format,
				      strlen(format));
	if (c->version < 3 || c->bits < 10)
		return at + 8;
	for (size_t i = 0; i < ARRAY_SIZE(create_features); i++) {
		names[i * 48] = create_features[i].type;
		names[i * 48 + 1] = create_features[i].bit;
		memcpy(names + i * 48 + 2, create_features[i].name,
		       strlen(create_features[i].name));
	}
	at = create_extension(at, QCOW2_EXT_FEATURES, names, sizeof(names));
	return at + 8; /* the end: zeroes */
}

static int create_header(const struct create *c, u8 *buf, struct err *err)
{
	const struct image_options *o = c->o;
	size_t len = o->backing ? strlen(o->backing) : 0;
	u64 bits = 0;
	u8 *at;

	put_be32(buf, QCOW2_MAGIC);
	put_be32(buf + 4, c->version);
	put_be32(buf + 20, c->bits);
	put_be64(buf + 24, o->size);
	put_be32(buf + 36, c->l1_entries);
	/* A disk of no size has none. */
	if (c->l1)
		put_be64(buf + 40, (1 + c->tables + c->blocks) << c->bits);
	put_be64(buf + 48, 1ULL << c->bits);
	put_be32(buf + 56, c->tables);
	if (c->version >= 3) {
		bits |= o->compression ? QCOW2_ZSTD : 0;
		bits |= o->extended ? QCOW2_EXTENDED : 0;
		put_be64(buf + 72, bits);
		put_be64(buf + 80, o->lazy ? QCOW2_LAZY : 0);
		put_be32(buf + 96, c->order);
		put_be32(buf + 100, CREATE_V3_BYTES);
		buf[104] = o->compression;
	}
	at = create_extensions(
		c, buf + (c->version < 3 ? CREATE_V2_BYTES : CREATE_V3_BYTES));
	if (!len)
		return 0;
	if (len > (size_t)(buf + o->cluster_size - at))
		return err_set(err, -EINVAL,
			       "the name of the backing file does not fit into "
			       "a cluster");
	put_be64(buf + 8, at - buf);
	put_be32(buf + 16, len);
	memcpy(at, o->backing, len);
	return 0;
}

/* ---- Writing ---- */

static int create_put(int fd, void *buf, u64 offset, u64 len)
{
	struct iovec iov = { buf, len };

	return fd_rw(fd, true, &iov, 1, 0, offset, len, 0);
}

static int create_refcounts(int fd, const struct create *c)
{
	u64 cluster = c->o->cluster_size, per_block = cluster * 8 >> c->order;
	u64 all = 1 + c->tables + c->blocks + c->l1;
	u8 *table = calloc(c->tables, cluster), *block = malloc(cluster);
	int r = table && block ? 0 : -ENOMEM;

	for (u64 i = 0; i < c->blocks && r == 0; i++) {
		u64 at = (1 + c->tables + i) << c->bits, first = i * per_block;

		put_be64(table + i * 8, at);
		memset(block, 0, cluster);
		for (u64 n = first; n < all && n < first + per_block; n++)
			qcow2_refs_write(block, n - first, c->order, 1);
		r = create_put(fd, block, at, cluster);
	}
	if (r == 0)
		r = create_put(fd, table, cluster, c->tables << c->bits);
	free(table);
	free(block);
	return r;
}

/* The header last: a broken attempt is no image. */
static int create_write(int fd, const struct create *c, u8 *header)
{
	u64 l1 = (1 + c->tables + c->blocks) << c->bits;
	u64 end = l1 + (c->l1 << c->bits);
	int r = create_refcounts(fd, c);

	/* A device has no end to be set, but may hold something. */
	if (r == 0 && ftruncate(fd, end) < 0 && end > l1)
		r = fd_zero(fd, true, l1, end - l1);
	return r < 0 ? r : create_put(fd, header, 0, c->o->cluster_size);
}

static int create_plan(struct create *c, const struct image_options *o,
		       struct err *err)
{
	int r;

	*c = (struct create){ .o = o, .version = o->compat % 2 ? 3 : 2 };
	r = create_check(c, err);
	return r < 0 ? r : create_layout(c, err);
}

int qcow2_create_check(const struct image_options *o, struct err *err)
{
	struct create c;

	return create_plan(&c, o, err);
}

int qcow2_create(int fd, const struct image_options *o, struct err *err)
{
	struct create c;
	u8 *header;
	int r = create_plan(&c, o, err);

	if (r < 0)
		return r;
	/* What is too long for the smallest cluster is found out in time. */
	header = calloc(1, o->cluster_size + 1024);
	if (!header)
		return err_set(err, -ENOMEM, "out of memory");
	r = create_header(&c, header, err);
	if (r == 0) {
		r = create_write(fd, &c, header);
		if (r < 0)
			err_code(err, r, "cannot be written");
	}
	free(header);
	return r;
}

/* ---- How long it will be ---- */

/* Refcount blocks and the table of them, for `clusters` others. */
static u64 measure_refcounts(const struct create *c, u64 clusters)
{
	u64 per_block = c->o->cluster_size * 8 >> c->order;
	u64 blocks = 0, tables = 0, was;

	do {
		was = blocks + tables;
		blocks = (clusters + was + per_block - 1) / per_block;
		tables = ALIGN_UP(blocks * 8, c->o->cluster_size) >> c->bits;
	} while (blocks + tables != was);
	return was;
}

int qcow2_measure(const struct image_options *o, u64 data, u64 *ret_required,
		  u64 *ret_full, struct err *err)
{
	u64 cluster = o->cluster_size, size, tables, l1, others;
	struct create c;
	int r = create_plan(&c, o, err);

	if (r < 0)
		return r;
	size = ALIGN_UP(o->size, cluster);
	tables = ALIGN_UP((size >> c.bits) << c.entry_bits, cluster) >> c.bits;
	l1 = ALIGN_UP(tables * 8, cluster) >> c.bits;
	others = 1 + tables + l1;
	others += measure_refcounts(&c, others + (size >> c.bits));
	*ret_full = size + (others << c.bits);
	/* What is below may have anything; what is allocated has all. */
	if (o->backing || o->prealloc > IMAGE_PREALLOC_METADATA)
		data = size;
	*ret_required = data + (others << c.bits);
	return 0;
}
