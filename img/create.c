/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * `vmon img create` and `resize`.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "img/img.h"
#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/parse.h"

/* ---- Options of an image ---- */

static int img_options_help(const char *format)
{
	struct buf text = { 0 };

	opt_rows_help(image_option_rows(format), &text);
	printf("Supported options:\n%s", buf_str(&text));
	buf_fini(&text);
	return -1;
}

int img_options(const char *format, const char *options,
		struct image_options *o, const char *path)
{
	const struct option_row *rows = image_option_rows(format);
	struct err err = { 0 };
	struct opts list;
	int r;

	memset(o, 0, sizeof(*o));
	if (!rows)
		return img_fail("%s: Unknown file format '%s'", path, format);
	if (options && (!strcmp(options, "help") || !strcmp(options, "?")))
		return img_options_help(format);
	if (!options || !*options)
		opts_init(&list);
	else if (opts_parse(&list, options, NULL, &err) < 0)
		return img_fail("%s: %s", path, err.msg);
	r = opts_apply(&list, rows, o, &err);
	if (r == 0)
		r = opts_check_used(&list, rows, &err);
	opts_fini(&list);
	return r < 0 ? img_fail("%s: %s", path, err.msg) : 0;
}

void img_options_fini(const char *format, struct image_options *o)
{
	const struct option_row *rows = image_option_rows(format);

	if (rows)
		opt_rows_fini(rows, o);
}

/* ---- create ---- */

static int create_size(const char *text, u64 *ret)
{
	if (parse_size(text, 1, ret) == 0 && *ret <= INT64_MAX - 511)
		return 0;
	return img_fail("Invalid image size specified: '%s'. You may use k, M, "
			"G, T, P or E suffixes",
			text);
}

/* Its size, if there is no other, and whether it can be opened at all. */
static int create_look_below(const struct img *a, struct image_options *o,
			     const char *path)
{
	struct image_mode mode = { .unlocked = true };
	char *backing = image_backing_path(path, o->backing);
	struct err err = { 0 };
	struct image *below =
		image_open(backing, o->backing_format, &mode, &err);
	int status = 0;

	if (!below)
		status = img_fail("%s: %s; Could not open backing image", path,
				  err.msg);
	else if (!o->backing_format)
		status = img_fail("%s: Backing file specified without backing "
				  "format; detected format of %s",
				  path, image_format(below));
	else if (!o->size && a->operands < 2)
		o->size = image_size(below);
	image_close(below);
	free(backing);
	return status;
}

/* Is a size among the options of -o?  It may be 0. */
static bool create_has_size(const char *options)
{
	for (const char *at = options; at; at = strchr(at, ',')) {
		at += *at == ',';
		if (!strncmp(at, "size=", 5))
			return true;
	}
	return false;
}

static int create_settle(const struct img *a, struct image_options *o)
{
	const char *path = a->operand[0];
	int status = 0;

	if (a->backing) {
		free(o->backing);
		o->backing = xstrdup(a->backing);
	}
	if (a->other) {
		free(o->backing_format);
		o->backing_format = xstrdup(a->other);
	}
	if (o->backing && !*o->backing) {
		free(o->backing);
		o->backing = NULL;
	}
	if (a->operands > 1)
		status = create_size(a->operand[1], &o->size);
	if (status == 0 && o->backing && !a->blind)
		status = create_look_below(a, o, path);
	else if (status == 0 && o->backing && !o->backing_format)
		status = img_fail("%s: Backing file specified without backing "
				  "format",
				  path);
	if (status == 0 && !o->size && a->operands < 2 &&
	    (!o->backing || a->blind) && !create_has_size(a->options))
		status = img_fail("%s: Image creation needs a size parameter",
				  path);
	o->size = ALIGN_UP(o->size, 512ULL);
	return status;
}

int img_create(const struct img *a)
{
	const char *format = a->format ? a->format : "raw";
	const char *path = a->operand[0];
	struct buf text = { 0 };
	struct err err = { 0 };
	struct image_options o;
	int status = img_options(format, a->options, &o, path);

	if (status == 0 && a->backing && strcmp(format, "qcow2"))
		status = img_fail("%s: Backing file not supported for file "
				  "format '%s'",
				  path, format);
	if (status == 0)
		status = create_settle(a, &o);
	if (status == 0 && image_check_backing(path, &o, &err) < 0)
		status = img_fail("%s: %s", path, err.msg);
	if (status == 0) {
		image_describe(format, &o, &text);
		if (!a->quiet)
			printf("Formatting '%s', %s\n", path, buf_str(&text));
		if (image_create(path, format, &o, &err) < 0)
			status = img_fail("%s: %s", path, err.msg);
	}
	buf_fini(&text);
	img_options_fini(format, &o);
	return status < 0 ? 0 : status;
}

/* ---- resize ---- */

static int resize_target(const char *text, u64 now, u64 *ret)
{
	bool relative = *text == '+' || *text == '-';
	u64 size;

	if (parse_size(text + relative, 1, &size) < 0 || size > INT64_MAX - 511)
		return img_fail("Parameter 'size' expects a non-negative "
				"number below 2^63, with a suffix k, M, G, T, "
				"P or E: '%s'",
				text);
	if (*text == '+' && size > INT64_MAX - 511 - now)
		return img_fail("New image size is too large");
	if (*text == '-' && size >= now)
		return img_fail("New image size must be positive");
	*ret = *text == '+' ? now + size : *text == '-' ? now - size : size;
	*ret = ALIGN_UP(*ret, 512ULL);
	return *ret ? 0 : img_fail("New image size must be positive");
}

static int resize_to(struct image *i, u64 size, int how)
{
	u64 was = image_size(i);
	struct err err = { 0 };

	if (how && size < was)
		return img_fail("Preallocation can only be used for growing "
				"images");
	if (how == IMAGE_PREALLOC_METADATA && strcmp(image_format(i), "qcow2"))
		return img_fail("Unsupported preallocation mode: metadata "
				"(raw images have off, falloc and full)");
	if (image_resize(i, size, &err) < 0)
		return img_fail("%s", err.msg);
	if (!how || image_preallocate(i, how, was, &err) == 0)
		return 0;
	(void)image_resize(i, was, NULL);
	return img_fail("%s", err.msg);
}

int img_resize_image(struct image *i, u64 size, int how)
{
	struct img_bitmaps bitmaps = { 0 };
	int status = img_bitmaps_load(i, &bitmaps);
	u64 was = image_size(i);

	if (status == 0)
		status = resize_to(i, size, how);
	/* Of another length, or what they were. */
	if (status == 0 && bitmaps.count)
		status = img_bitmaps_store(i, &bitmaps);
	else if (bitmaps.count && image_size(i) == was)
		(void)image_bitmaps_confirm(i);
	img_bitmaps_fini(&bitmaps);
	return status;
}

int img_resize(const struct img *a)
{
	struct image_mode mode = { .write = true };
	const char *path = a->operand[0];
	int how = a->prealloc ? image_prealloc_find(a->prealloc) : 0;
	struct image *i;
	int status;
	u64 size;

	if (how < 0)
		return img_fail("Invalid preallocation mode '%s' (off, "
				"metadata, falloc or full)",
				a->prealloc);
	i = img_open_operand(a, path, a->format, &mode);
	if (!i)
		return 1;
	status = resize_target(a->operand[1], image_size(i), &size);
	if (status == 0 && size < image_size(i) && !a->shrink)
		status = img_fail("Use the --shrink option to perform a shrink "
				  "operation.");
	if (status == 0)
		status = img_resize_image(i, size, how);
	if (status == 0 && image_flush(i) < 0)
		status = img_fail("'%s' could not be written", path);
	image_close(i);
	if (status == 0 && !a->quiet)
		puts("Image resized.");
	return status;
}
