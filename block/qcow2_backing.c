/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * qcow2: another name for the backing file, another directory of bitmaps,
 * another version.
 *
 * The extensions of the header are kept but for the one with its format; the
 * name comes behind them, so all of the first cluster is written anew.
 *
 * Spec: qcow2.txt "Header", "Header extensions".
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/qcow2.h"
#include "lib/bytes.h"
#include "lib/err.h"

#define BACKING_BITMAPS  24u /* bytes of that extension */
#define BACKING_V2_BYTES 72u /* of the header itself */
#define BACKING_V3_BYTES 112u

struct backing {
	u8 *from, *to; /* owned; the first cluster */
	size_t size, at;
	size_t old, old_bytes;          /* the old name; 0: none */
	size_t format_at, format_bytes; /* its format's extension; 0: none */
	bool bitmaps;                   /* change that extension */
	const u8 *directory;            /* to this; NULL: to none */
	u32 version;                    /* 0: as it was */
};

static int backing_put(struct backing *b, const void *data, size_t len)
{
	if (len > b->size - b->at)
		return -ENOSPC;
	memcpy(b->to + b->at, data, len);
	b->at += len;
	return 0;
}

static int backing_put_format(struct backing *b, const char *format)
{
	size_t len = strlen(format);
	u8 head[8 + 32] = { 0 };

	put_be32(head, QCOW2_EXT_FORMAT);
	put_be32(head + 4, len);
	memcpy(head + 8, format, len);
	return backing_put(b, head, 8 + ALIGN_UP(len, (size_t)8));
}

static int backing_put_bitmaps(struct backing *b)
{
	u8 ext[8 + BACKING_BITMAPS];

	put_be32(ext, QCOW2_EXT_BITMAPS);
	put_be32(ext + 4, BACKING_BITMAPS);
	memcpy(ext + 8, b->directory, BACKING_BITMAPS);
	return backing_put(b, ext, sizeof(ext));
}

/* Up to the name that the header has now, or to the end of the cluster. */
static int backing_keep_extensions(struct qcow2 *s, struct backing *b)
{
	size_t end = get_be64(b->from + 8), at = s->h.header_bytes;
	int r = 0;

	if (end < at || end > b->size)
		end = b->size;
	while (r == 0 && end - at >= 8) {
		u32 type = get_be32(b->from + at);
		u64 len = get_be32(b->from + at + 4);

		if (type == QCOW2_EXT_END)
			break;
		if (len > end - at - 8)
			return -EINVAL;
		len = MIN(8 + ALIGN_UP(len, 8ULL), end - at);
		if (type == QCOW2_EXT_BITMAPS && b->bitmaps) {
			at += len;
			continue;
		}
		if (type != QCOW2_EXT_FORMAT) {
			r = backing_put(b, b->from + at, len);
		} else {
			b->format_at = at;
			b->format_bytes = len;
		}
		at += len;
	}
	return r;
}

/* The fixed part, for another version. */
static int backing_put_head(struct backing *b)
{
	u8 head[BACKING_V3_BYTES] = { 0 };

	memcpy(head, b->from, BACKING_V2_BYTES);
	put_be32(head + 4, b->version);
	put_be32(head + 96, 4);
	put_be32(head + 100, sizeof(head));
	return backing_put(b, head,
			   b->version < 3 ? BACKING_V2_BYTES : sizeof(head));
}

static int backing_build(struct qcow2 *s, struct backing *b, const char *name,
			 const char *format)
{
	static const u8 end[8];
	size_t len = name ? strlen(name) : 0;
	int r = b->version ? backing_put_head(b)
			   : backing_put(b, b->from, s->h.header_bytes);

	if (r == 0 && name && format)
		r = backing_put_format(b, format);
	if (r == 0)
		r = backing_keep_extensions(s, b);
	b->at = ALIGN_UP(b->at, (size_t)8);
	if (r == 0 && b->directory)
		r = backing_put_bitmaps(b);
	if (r == 0)
		r = backing_put(b, end, sizeof(end));
	put_be64(b->to + 8, len ? b->at : 0);
	put_be32(b->to + 16, len);
	if (r == 0 && len)
		r = backing_put(b, name, len);
	return r;
}

/* Puts the old name where nothing of the old or the new state is, and into
 * the first sector that, the old format, and no other extension. */
static int backing_park(struct qcow2 *s, const struct backing *b, size_t at)
	REQUIRES(s->lock)
{
	u8 sector[BLOCK_SECTOR] = { 0 };
	struct backing mid = { .to = sector, .size = sizeof(sector) };
	int r = backing_put(&mid, b->from, s->h.header_bytes);

	if (r == 0)
		r = backing_put(&mid, b->from + b->format_at, b->format_bytes);
	put_be64(sector + 8, b->old ? at : 0);
	if (r == 0 && b->old)
		r = qcow2_pwrite(s, at, b->from + b->old, b->old_bytes);
	if (r == 0)
		r = qcow2_sync(s);
	if (r == 0)
		r = qcow2_pwrite(s, 0, sector, sizeof(sector));
	return r < 0 ? r : qcow2_sync(s);
}

/* A power cut leaves each sector old or new, and the first one says where the
 * name is. */
static int backing_write_all(struct qcow2 *s, const struct backing *b)
	REQUIRES(s->lock)
{
	size_t park = ALIGN_UP(MAX(b->old + b->old_bytes, b->at),
			       (size_t)BLOCK_SECTOR);
	int r = 0;

	if (b->at > BLOCK_SECTOR) {
		if (park <= b->size && b->old_bytes <= b->size - park)
			r = backing_park(s, b, park);
		if (r == 0)
			r = qcow2_pwrite(s, BLOCK_SECTOR, b->to + BLOCK_SECTOR,
					 b->at - BLOCK_SECTOR);
		if (r == 0)
			r = qcow2_sync(s);
	}
	if (r == 0)
		r = qcow2_pwrite(s, 0, b->to, BLOCK_SECTOR);
	return r < 0 ? r : qcow2_sync(s);
}

static int backing_write(struct qcow2 *s, struct backing *b, const char *name,
			 const char *format) REQUIRES(s->lock)
{
	u64 old;
	u32 len;
	int r = qcow2_prepare(s);

	if (r == 0)
		r = qcow2_write_back(s);
	if (r == 0)
		r = qcow2_sync(s);
	if (r == 0)
		r = qcow2_pread(s, 0, b->from, b->size);
	if (r < 0)
		return r;
	old = get_be64(b->from + 8);
	len = get_be32(b->from + 16);
	if (old && old < b->size && len <= b->size - old) {
		b->old = old;
		b->old_bytes = len;
	}
	r = backing_build(s, b, name, format);
	return r < 0 ? r : backing_write_all(s, b);
}

int qcow2_set_backing(struct block_node *n, const char *name,
		      const char *format, struct err *err)
{
	struct qcow2 *s = container_of(n, struct qcow2, node);
	struct backing b = { .size = s->cluster_size };
	int r;

	if (name && strlen(name) > QCOW2_NAME_MAX)
		return err_set(err, -ENAMETOOLONG,
			       "the name of the backing file is too long");
	if (format && strlen(format) > 31)
		return err_set(err, -ENAMETOOLONG,
			       "the format of the backing file is too long");
	b.from = malloc(b.size);
	b.to = calloc(1, b.size);
	r = b.from && b.to ? 0 : -ENOMEM;
	lock_acquire(&s->lock);
	if (r == 0)
		r = backing_write(s, &b, name, format);
	lock_release(&s->lock);
	free(b.from);
	free(b.to);
	if (r == -ENOSPC)
		return err_set(err, r,
			       "the name of the backing file does not fit into "
			       "the header of '%s'",
			       s->path);
	return r < 0 ? err_code(err, r, "cannot change the header of '%s'",
				s->path)
		     : 0;
}

/* With the same name; b says what changes. */
static int backing_rewrite(struct qcow2 *s, struct backing *b) REQUIRES(s->lock)
{
	int r;

	b->size = s->cluster_size;
	b->from = malloc(b->size);
	b->to = calloc(1, b->size);
	r = b->from && b->to ? 0 : -ENOMEM;
	if (r == 0)
		r = backing_write(s, b, s->h.backing[0] ? s->h.backing : NULL,
				  s->h.backing_format[0] ? s->h.backing_format
							 : NULL);
	free(b->from);
	free(b->to);
	return r;
}

int qcow2_header_bitmaps(struct qcow2 *s, const u8 *directory)
{
	struct backing b = { .bitmaps = true, .directory = directory };

	return backing_rewrite(s, &b);
}

int qcow2_header_version(struct qcow2 *s, u32 version)
{
	/* Bitmaps are only for version 3. */
	struct backing b = { .version = version, .bitmaps = version < 3 };
	int r = backing_rewrite(s, &b);

	if (r < 0)
		return r;
	s->h.version = version;
	s->h.header_bytes = version < 3 ? BACKING_V2_BYTES : BACKING_V3_BYTES;
	s->h.incompatible = s->h.compatible = s->h.autoclear = 0;
	if (version < 3)
		s->h.bitmaps = s->bitmaps = 0;
	return 0;
}
