/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * `vmon img amend`: options of an image that is there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "img/img.h"
#include "lib/buf.h"
#include "lib/err.h"

struct amend {
	char *backing, *backing_format; /* owned */
	int compat;
	bool lazy;
	u32 refcount_bits;
	u64 size;
	bool has_size;
	struct image_amend to;
};

static const char *const amend_compats[] = { "0.10", "1.1", "v2", "v3", NULL };

#define ROW(name, type, field, help, arg)                                     \
	{                                                                     \
		name, &(type), offsetof(struct amend, field), NULL, help, arg \
	}

static const struct option_row amend_rows[] = {
	ROW("backing_file", opt_str, backing, "File name of a base image",
	    NULL),
	ROW("backing_fmt", opt_str, backing_format,
	    "Image format of the base image", NULL),
	ROW("compat", opt_enum, compat, "Compatibility level", amend_compats),
	ROW("lazy_refcounts", opt_bool, lazy, "Postpone refcount updates",
	    NULL),
	ROW("refcount_bits", opt_u32, refcount_bits,
	    "Width of a reference count entry in bits", NULL),
	ROW("size", opt_size, size, "Virtual disk size", NULL),
	OPTION_END,
};

static int amend_help(void)
{
	struct buf text = { 0 };

	opt_rows_help(amend_rows, &text);
	printf("Amend options for 'qcow2':\n%s", buf_str(&text));
	buf_fini(&text);
	return 0;
}

/* Those that only a new image takes have an answer of their own. */
static int amend_check_new(const struct opts *list)
{
	for (const struct option_row *row = image_option_rows("qcow2");
	     row->name; row++) {
		bool ours = false;

		for (const struct option_row *o = amend_rows; o->name; o++)
			ours |= !strcmp(o->name, row->name);
		if (!ours && opts_peek(list, row->name))
			return img_fail("Invalid parameter '%s': this option "
					"is only supported for image creation",
					row->name);
	}
	return 0;
}

static int amend_given(struct amend *x, const struct opts *list)
{
	if (opts_peek(list, "backing_file") || opts_peek(list, "backing_fmt"))
		return img_fail("Cannot amend the backing file; 'rebase' "
				"does that");
	if (opts_peek(list, "compat"))
		x->to.version = x->compat % 2 ? 3 : 2;
	x->to.lazy = opts_peek(list, "lazy_refcounts") ? x->lazy : -1;
	x->to.refcount_bits = x->refcount_bits;
	x->has_size = opts_peek(list, "size");
	x->size = ALIGN_UP(x->size, 512ULL);
	if (opts_peek(list, "refcount_bits") && !x->refcount_bits)
		return img_fail("Refcount width must be a power of two and "
				"may not exceed 64 bits");
	return x->size > INT64_MAX ? img_fail("The image size is too large")
				   : 0;
}

static int amend_options(const struct img *a, struct amend *x)
{
	struct err err = { 0 };
	struct opts list;
	int status;

	if (opts_parse(&list, a->options, NULL, &err) < 0)
		return img_fail("%s", err.msg);
	status = amend_check_new(&list);
	if (status == 0 && (opts_apply(&list, amend_rows, x, &err) < 0 ||
			    opts_check_used(&list, amend_rows, &err) < 0))
		status = img_fail("%s", err.msg);
	if (status == 0)
		status = amend_given(x, &list);
	opts_fini(&list);
	opt_rows_fini(amend_rows, x);
	return status;
}

static int amend_image(struct image *i, const struct amend *x)
{
	struct err err = { 0 };
	int status = 0;

	if (image_amend(i, &x->to, &err) < 0)
		status = img_fail("%s", err.msg);
	if (image_bitmaps_confirm(i) < 0)
		status = img_fail("'%s' could not be written", image_path(i));
	if (status == 0 && x->has_size && x->size != image_size(i))
		status = img_resize_image(i, x->size, 0);
	if (status == 0 && image_flush(i) < 0)
		status = img_fail("'%s' could not be written", image_path(i));
	return status;
}

int img_amend(const struct img *a)
{
	struct image_mode mode = { .write = true, .alone = true };
	struct amend x = { 0 };
	double shown = 0;
	struct image *i;
	int status;

	if (!a->options)
		return img_fail("Must specify options (-o)");
	if (!strcmp(a->options, "help") && (a->operands || a->format))
		return amend_help();
	if (!a->operands)
		return img_fail("Expecting one image file name");
	img_cache_mode(a->cache, &mode);
	i = img_open_operand(a, a->operand[0], a->format, &mode);
	if (!i)
		return 1;
	if (!image_can_pack(i))
		status = img_fail("Format driver '%s' does not support option "
				  "amendment",
				  image_format(i));
	else
		status = amend_options(a, &x);
	img_progress(a, &shown, 0, 1);
	if (status == 0)
		status = amend_image(i, &x);
	image_close(i);
	if (status == 0)
		img_progress_end(a);
	return status;
}
