/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * `vmon img rebase` and `dd`.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "img/img.h"
#include "lib/alloc.h"
#include "lib/err.h"
#include "lib/parse.h"

#define REBASE_PIECE (2 * MIB) /* no less than the largest cluster */

/* ---- rebase ---- */

struct rebase {
	const struct img *a;
	struct image *image;       /* without what is below it */
	struct image *was, *is;    /* below it; NULL: nothing */
	u8 *old_data, *new_data;   /* owned; a piece each */
	const char *name, *format; /* of the new one; NULL */
};

/* What is not there reads as zero. */
static int rebase_read(struct image *i, u64 at, u8 *buf, u64 bytes)
{
	u64 size = i ? image_size(i) : 0;
	u64 here = at < size ? MIN(bytes, size - at) : 0;
	int r = here ? image_read(i, at, buf, here) : 0;

	memset(buf + here, 0, bytes - here);
	return r < 0 ? img_fail("error while reading offset %" PRIu64
				" of '%s': %s",
				at, image_path(i), strerror(-r))
		     : 0;
}

/* The image takes what it had from below and would lose; clusters as a whole,
 * since it does not see what is below now. */
static int rebase_piece(struct rebase *b, u64 at, u64 bytes, u32 unit)
{
	int status = rebase_read(b->was, at, b->old_data, bytes);
	u64 n;

	if (status == 0)
		status = rebase_read(b->is, at, b->new_data, bytes);
	for (u64 i = 0; i < bytes && status == 0; i += n) {
		int r;

		n = MIN(unit - (at + i) % unit, bytes - i);
		if (!memcmp(b->old_data + i, b->new_data + i, n))
			continue;
		r = image_write(b->image, at + i, b->old_data + i, n);
		if (r < 0)
			status = img_fail("Error while writing to COW image: "
					  "%s",
					  strerror(-r));
	}
	return status;
}

static int rebase_data(struct rebase *b)
{
	u64 size = image_size(b->image);
	u32 unit = image_unit(b->image);
	struct image_extent x;
	double shown = 0;
	int status = 0;

	img_progress(b->a, &shown, 0, size);
	for (u64 at = 0; at < size && status == 0; at += x.bytes) {
		u64 most = REBASE_PIECE - at % unit;
		int r = image_map(b->image, at, MIN(size - at, most), &x);

		if (r < 0)
			status = img_fail("error while reading image "
					  "metadata: %s",
					  strerror(-r));
		else if (!x.present)
			status = rebase_piece(b, at, x.bytes, unit);
		img_progress(b->a, &shown, at + x.bytes, size);
	}
	return status;
}

static int rebase_open_below(struct rebase *b, const char *name,
			     const char *format, struct image **ret)
{
	struct image_mode mode = { 0 };
	char *path;

	img_cache_mode(b->a->src_cache, &mode);
	*ret = NULL;
	if (!name)
		return 0;
	path = image_backing_path(image_path(b->image), name);
	*ret = img_open(b->a, path, format, &mode);
	free(path);
	return *ret ? 0 : 1;
}

/* Both lives below it, and a look at what differs. */
static int rebase_safely(struct rebase *b)
{
	struct block_layer l;
	int status;

	image_layers(b->image, &l, 1);
	b->old_data = xalloc(REBASE_PIECE);
	b->new_data = xalloc(REBASE_PIECE);
	status = rebase_open_below(b, l.backing,
				   *l.backing_format ? l.backing_format : NULL,
				   &b->was);
	if (status == 0)
		status = rebase_open_below(b, b->name, b->format, &b->is);
	if (status == 0)
		status = rebase_data(b);
	if (status == 0 && image_flush(b->image) < 0)
		status = img_fail("'%s' could not be written",
				  image_path(b->image));
	image_close(b->was);
	image_close(b->is);
	free(b->old_data);
	free(b->new_data);
	return status;
}

int img_rebase(const struct img *a)
{
	struct rebase b = { .a = a, .format = a->other };
	struct image_mode mode = { .write = true, .alone = true };
	struct err err = { 0 };
	int status = 0;

	if (!a->backing)
		return img_fail("Must specify backing file (-b) or use simple "
				"rebase mode (-u)");
	b.name = *a->backing ? a->backing : NULL;
	img_cache_mode(a->cache, &mode);
	b.image = img_open_operand(a, a->operand[0], a->format, &mode);
	if (!b.image)
		return 1;
	if (b.name && !b.format)
		status = img_fail("Could not change the backing file to '%s': "
				  "backing format must be specified",
				  b.name);
	if (status == 0 && !a->blind && image_can_pack(b.image))
		status = rebase_safely(&b);
	if (status == 0 &&
	    image_set_backing(b.image, b.name, b.format, &err) < 0)
		status = img_fail("Could not change the backing file to '%s': "
				  "%s",
				  a->backing, err.msg);
	image_close(b.image);
	if (status == 0 && !a->blind)
		img_progress_end(a);
	return status;
}

/* ---- dd ---- */

struct dd {
	const char *from, *to; /* names */
	u64 bs, count, skip;
	bool counted;
};

static int dd_number(const char *word, const char *text, u64 *ret)
{
	return parse_size(text, 1, ret) == 0 && *ret <= INT64_MAX
		       ? 0
		       : img_fail("invalid number: '%s'", word);
}

static int dd_word(struct dd *d, const char *word)
{
	const char *value = strchr(word, '=');
	size_t len = value ? (size_t)(value - word) : 0;

	if (!value++)
		return img_fail("unrecognized operand %s", word);
	if (len == 2 && !strncmp(word, "if", len))
		d->from = value;
	else if (len == 2 && !strncmp(word, "of", len))
		d->to = value;
	else if (len == 2 && !strncmp(word, "bs", len))
		return dd_number(word, value, &d->bs) ||
		       (d->bs ? 0
			      : img_fail("invalid number: "
					 "'%s'",
					 word));
	else if (len == 5 && !strncmp(word, "count", len)) {
		d->counted = true;
		return dd_number(word, value, &d->count);
	} else if (len == 4 && !strncmp(word, "skip", len))
		return dd_number(word, value, &d->skip);
	else
		return img_fail("unrecognized operand %s", word);
	return 0;
}

static int dd_copy(struct image *from, struct image *to, u64 skip, u64 bytes)
{
	u8 *buf = xalloc(REBASE_PIECE);
	struct image_extent x;
	int r = 0;

	for (u64 at = 0; at < bytes && r == 0; at += x.bytes) {
		r = image_map(from, skip + at, MIN(bytes - at, REBASE_PIECE),
			      &x);
		if (r < 0 || x.zero)
			continue;
		r = image_read(from, skip + at, buf, x.bytes);
		if (r == 0)
			r = image_write(to, at, buf, x.bytes);
	}
	free(buf);
	if (r == 0)
		r = image_flush(to);
	return r < 0 ? img_fail("error while copying: %s", strerror(-r)) : 0;
}

static int dd_run(const struct img *a, const struct dd *d, struct image *from)
{
	const char *format = a->out_format ? a->out_format : "raw";
	struct image_mode mode = { .write = true, .no_flush = true };
	u64 size = image_size(from), skip, bytes;
	struct image_options o;
	struct err err = { 0 };
	struct image *to;
	int status;

	if (__builtin_mul_overflow(d->skip, d->bs, &skip) || skip > size)
		skip = size;
	if (!d->counted || __builtin_mul_overflow(d->count, d->bs, &bytes))
		bytes = UINT64_MAX;
	/* As qemu-img has it: what is skipped counts. */
	bytes = MIN(bytes, size);
	bytes -= MIN(bytes, skip);
	status = img_options(format, NULL, &o, d->to);
	o.size = ALIGN_UP(bytes, 512ULL);
	if (status == 0 && image_create(d->to, format, &o, &err) < 0)
		status = img_fail("%s: error while creating output image: %s",
				  d->to, err.msg);
	img_options_fini(format, &o);
	if (status)
		return status;
	to = img_open(a, d->to, format, &mode);
	if (!to)
		return 1;
	status = dd_copy(from, to, skip, bytes);
	image_close(to);
	return status;
}

int img_dd(const struct img *a)
{
	struct image_mode mode = { 0 };
	struct dd d = { .bs = 512 };
	struct image *from;
	int status = 0;

	for (int n = 0; n < a->operands && status == 0; n++)
		status = dd_word(&d, a->operand[n]);
	if (status)
		return status;
	if (!d.from || !d.to)
		return img_fail(
			"Must specify both input and output file names");
	from = img_open_operand(a, d.from, a->format, &mode);
	if (!from)
		return 1;
	status = dd_run(a, &d, from);
	image_close(from);
	return status;
}
