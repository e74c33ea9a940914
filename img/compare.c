/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * `vmon img compare` and `map`: reading what is there.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "img/img.h"
#include "lib/alloc.h"
#include "lib/err.h"
#include "lib/iov.h"
#include "lib/parse.h"

#define COMPARE_PIECE  (2 * MIB)
#define COMPARE_SECTOR 512u

/* ---- compare ---- */

enum { COMPARE_SAME, COMPARE_DIFFERS, COMPARE_OPEN, COMPARE_MAP, COMPARE_READ };

struct compare {
	const struct img *a;
	struct image *image[2];
	u64 size[2];
	u8 *buf[2]; /* owned */
};

static PRINTF_LIKE(2, 3) int compare_differs(const struct compare *c,
					     const char *fmt, ...)
{
	va_list ap;

	if (c->a->quiet)
		return COMPARE_DIFFERS;
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	return COMPARE_DIFFERS;
}

static int compare_read(struct compare *c, int n, u64 at, u64 bytes)
{
	u64 here = at < c->size[n] ? MIN(bytes, c->size[n] - at) : 0;
	int r = here ? image_read(c->image[n], at, c->buf[n], here) : 0;

	if (r < 0) {
		img_fail("Error while reading offset %" PRIu64 " of %s: %s", at,
			 image_path(c->image[n]), strerror(-r));
		return COMPARE_READ;
	}
	memset(c->buf[n] + here, 0, bytes - here);
	return COMPARE_SAME;
}

static int compare_data(struct compare *c, u64 at, u64 bytes)
{
	int status = compare_read(c, 0, at, bytes);

	if (status == 0)
		status = compare_read(c, 1, at, bytes);
	if (status || !memcmp(c->buf[0], c->buf[1], bytes))
		return status;
	for (u64 i = 0; i < bytes; i += COMPARE_SECTOR)
		if (memcmp(c->buf[0] + i, c->buf[1] + i,
			   MIN(bytes - i, COMPARE_SECTOR)))
			return compare_differs(c,
					       "Content mismatch at offset "
					       "%" PRIu64 "!",
					       at + i);
	return COMPARE_SAME;
}

/* What `n` has at `at`; zeroes behind its end. */
static int compare_map(struct compare *c, int n, u64 at, u64 bytes,
		       struct image_extent *x)
{
	int r;

	*x = (struct image_extent){ .bytes = bytes, .zero = true };
	if (at >= c->size[n])
		return COMPARE_SAME;
	r = image_map(c->image[n], at, MIN(bytes, c->size[n] - at), x);
	if (r < 0) {
		img_fail("Error while reading offset %" PRIu64 " of %s: %s", at,
			 image_path(c->image[n]), strerror(-r));
		return COMPARE_MAP;
	}
	return COMPARE_SAME;
}

static int compare_step(struct compare *c, u64 at, u64 *bytes)
{
	struct image_extent x[2];
	int status = compare_map(c, 0, at, *bytes, &x[0]);

	if (status == 0)
		status = compare_map(c, 1, at, *bytes, &x[1]);
	if (status)
		return status;
	*bytes = MIN(x[0].bytes, x[1].bytes);
	if (c->a->strict && (x[0].zero != x[1].zero || x[0].data != x[1].data))
		return compare_differs(c,
				       "Strict mode: Offset %" PRIu64
				       " block status mismatch!",
				       at);
	if (x[0].zero && x[1].zero)
		return COMPARE_SAME;
	*bytes = MIN(*bytes, COMPARE_PIECE);
	return compare_data(c, at, *bytes);
}

static int compare_all(struct compare *c)
{
	u64 total = MAX(c->size[0], c->size[1]), step;
	double shown = 0;
	int status = 0;

	if (c->size[0] != c->size[1]) {
		if (c->a->strict)
			return compare_differs(
				c, "Strict mode: Image size mismatch!");
		if (!c->a->quiet)
			puts("Warning: Image size mismatch!");
	}
	img_progress(c->a, &shown, 0, total);
	for (u64 at = 0; at < total && status == 0; at += step) {
		step = total - at;
		status = compare_step(c, at, &step);
		img_progress(c->a, &shown, at + step, total);
	}
	if (status == 0 && !c->a->quiet)
		puts("Images are identical.");
	if (c->a->progress && !c->a->quiet)
		putchar('\n');
	return status;
}

int img_compare(const struct img *a)
{
	const char *const format[2] = { a->format, a->other };
	struct compare c = { .a = a };
	struct image_mode mode = { 0 };
	int status = 0;

	img_cache_mode(a->src_cache, &mode);
	for (int n = 0; n < 2 && status == 0; n++) {
		c.image[n] =
			img_open_operand(a, a->operand[n], format[n], &mode);
		if (!c.image[n]) {
			status = COMPARE_OPEN;
			break;
		}
		c.size[n] = image_size(c.image[n]);
		c.buf[n] = xalloc(COMPARE_PIECE);
	}
	if (status == 0)
		status = compare_all(&c);
	for (int n = 0; n < 2; n++) {
		image_close(c.image[n]);
		free(c.buf[n]);
	}
	return status;
}

/* ---- map ---- */

static bool map_joins(const struct image_extent *a,
		      const struct image_extent *b)
{
	return a->present == b->present && a->zero == b->zero &&
	       a->data == b->data && a->depth == b->depth &&
	       a->mapped == b->mapped && !strcmp(a->file, b->file) &&
	       (!a->mapped || a->offset + a->bytes == b->offset);
}

static int map_print(const struct img *a, u64 at, const struct image_extent *x,
		     bool first, bool last)
{
	static const char *const no_yes[] = { "false", "true" };

	if (!a->json) {
		if (!x->data || x->zero)
			return 0;
		if (!x->mapped)
			return img_fail("File contains external, encrypted or "
					"compressed clusters.");
		printf("%#-16" PRIx64 "%#-16" PRIx64 "%#-16" PRIx64 "%s\n", at,
		       x->bytes, x->offset, x->file);
		return 0;
	}
	printf("%s{ \"start\": %" PRIu64 ", \"length\": %" PRIu64
	       ", \"depth\": %d, \"present\": %s, \"zero\": %s, \"data\": %s",
	       first ? "[" : "", at, x->bytes, x->depth, no_yes[x->present],
	       no_yes[x->zero], no_yes[x->data]);
	if (x->mapped)
		printf(", \"offset\": %" PRIu64, x->offset);
	puts(last ? "}]" : "},");
	return 0;
}

static int map_range(const struct img *a, struct image *i, u64 at, u64 end)
{
	struct image_extent x = { 0 }, next;
	u64 start = at;
	bool first = true;
	int r, status;

	if (!a->json)
		printf("%-16s%-16s%-16s%s\n", "Offset", "Length", "Mapped to",
		       "File");
	for (; at < end; at += next.bytes) {
		r = image_map(i, at, end - at, &next);
		if (r < 0)
			return img_fail("Failed to read image metadata: %s",
					strerror(-r));
		if (at > start && map_joins(&x, &next)) {
			x.bytes += next.bytes;
			continue;
		}
		if (at > start) {
			status = map_print(a, start, &x, first, false);
			if (status)
				return status;
			first = false;
		}
		start = at;
		x = next;
	}
	if (x.bytes)
		return map_print(a, start, &x, first, true);
	if (a->json)
		puts("[]");
	return 0;
}

int img_map(const struct img *a)
{
	struct image_mode mode = { 0 };
	u64 start = 0, length = INT64_MAX, size;
	struct image *i;
	int status;

	if ((a->start && parse_size(a->start, 1, &start) < 0) ||
	    (a->length && parse_size(a->length, 1, &length) < 0))
		return img_fail("Invalid offset or length specified");
	i = img_open_operand(a, a->operand[0], a->format, &mode);
	if (!i)
		return 1;
	size = image_size(i);
	start = MIN(start, size);
	status = map_range(a, i, start, start + MIN(length, size - start));
	image_close(i);
	return status;
}
