/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * `vmon img info` and `check`.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "img/img.h"
#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/err.h"

#define INFO_LAYERS 64

static void info_dump(json_t *value)
{
	char *text = json_dumps(value, JSON_INDENT(4) | JSON_PRESERVE_ORDER);

	puts(text ? text : "null");
	free(text);
	json_decref(value);
}

/* Numbers of JSON have a sign. */
static void info_set_number(json_t *o, const char *key, u64 value)
{
	json_object_set_new(o, key, json_integer((json_int_t)value));
}

/* A name need not be UTF-8. */
static void info_set_text(json_t *o, const char *key, const char *text)
{
	json_t *value = json_string(text);

	json_object_set_new(o, key, value ? value : json_string("?"));
}

/* ---- info ---- */

struct info {                        /* of one image */
	struct image_snapshot *list; /* owned */
	struct image_bitmap *bitmap; /* owned */
	u32 count, bitmaps;
};

static json_t *info_bitmaps_json(const struct info *more)
{
	json_t *all = json_array();

	for (u32 i = 0; i < more->bitmaps; i++) {
		const struct image_bitmap *b = &more->bitmap[i];
		json_t *o = json_object(), *flags = json_array();

		if (b->in_use)
			json_array_append_new(flags, json_string("in-use"));
		if (b->automatic)
			json_array_append_new(flags, json_string("auto"));
		json_object_set_new(o, "flags", flags);
		info_set_text(o, "name", b->name);
		info_set_number(o, "granularity", 1ULL << b->bits);
		json_array_append_new(all, o);
	}
	return all;
}

static json_t *info_qcow2_json(const struct block_layer *l,
			       const struct info *more)
{
	json_t *data = json_object(), *o = json_object();

	info_set_text(data, "compat", l->version < 3 ? "0.10" : "1.1");
	info_set_text(data, "compression-type", l->zstd ? "zstd" : "zlib");
	if (l->version >= 3)
		json_object_set_new(data, "lazy-refcounts",
				    json_boolean(l->lazy));
	if (more->bitmaps)
		json_object_set_new(data, "bitmaps", info_bitmaps_json(more));
	info_set_number(data, "refcount-bits", l->refcount_bits);
	if (l->version >= 3) {
		json_object_set_new(data, "corrupt", json_boolean(l->corrupt));
		json_object_set_new(data, "extended-l2",
				    json_boolean(l->extended));
	}
	info_set_text(o, "type", "qcow2");
	json_object_set_new(o, "data", data);
	return o;
}

static json_t *info_snapshots_json(const struct image_snapshot *list, u32 count)
{
	json_t *all = json_array();

	for (u32 i = 0; i < count; i++) {
		json_t *o = json_object();

		if (list[i].icount != UINT64_MAX)
			info_set_number(o, "icount", list[i].icount);
		info_set_number(o, "vm-clock-nsec",
				list[i].clock_ns % NS_PER_S);
		info_set_text(o, "name", list[i].name);
		info_set_number(o, "date-sec", list[i].seconds);
		info_set_number(o, "date-nsec", list[i].nanoseconds);
		info_set_number(o, "vm-clock-sec", list[i].clock_ns / NS_PER_S);
		info_set_text(o, "id", list[i].id);
		info_set_number(o, "vm-state-size", list[i].vm_bytes);
		json_array_append_new(all, o);
	}
	return all;
}

static json_t *info_json(const struct block_layer *l, const struct info *more)
{
	json_t *o = json_object();
	char *full;

	if (more->count)
		json_object_set_new(
			o, "snapshots",
			info_snapshots_json(more->list, more->count));
	if (l->backing && l->backing_format[0])
		info_set_text(o, "backing-filename-format", l->backing_format);
	info_set_number(o, "virtual-size", ALIGN_UP(l->virtual_size, 512ULL));
	info_set_text(o, "filename", l->file);
	if (l->cluster_size)
		info_set_number(o, "cluster-size", l->cluster_size);
	info_set_text(o, "format", l->format);
	info_set_number(o, "actual-size", l->disk_size);
	if (l->version)
		json_object_set_new(o, "format-specific",
				    info_qcow2_json(l, more));
	if (l->backing) {
		full = image_backing_path(l->file, l->backing);
		info_set_text(o, "full-backing-filename", full);
		info_set_text(o, "backing-filename", l->backing);
		free(full);
	}
	json_object_set_new(o, "dirty-flag", json_boolean(l->dirty));
	return o;
}

static void info_bitmaps(const struct info *more, struct buf *out)
{
	if (more->bitmaps)
		buf_puts(out, "    bitmaps:\n");
	for (u32 i = 0; i < more->bitmaps; i++) {
		const struct image_bitmap *b = &more->bitmap[i];
		int n = 0;

		buf_printf(out, "        [%u]:\n            flags:\n", i);
		if (b->in_use)
			buf_printf(out, "                [%d]: in-use\n", n++);
		if (b->automatic)
			buf_printf(out, "                [%d]: auto\n", n++);
		buf_printf(out,
			   "            name: %s\n            granularity: "
			   "%" PRIu64 "\n",
			   b->name, (u64)1 << b->bits);
	}
}

static void info_qcow2(const struct block_layer *l, const struct info *more,
		       struct buf *out)
{
	static const char *const no_yes[] = { "false", "true" };

	buf_printf(out,
		   "Format specific information:\n    compat: %s\n"
		   "    compression type: %s\n",
		   l->version < 3 ? "0.10" : "1.1", l->zstd ? "zstd" : "zlib");
	if (l->version >= 3)
		buf_printf(out, "    lazy refcounts: %s\n", no_yes[l->lazy]);
	info_bitmaps(more, out);
	buf_printf(out, "    refcount bits: %u\n", l->refcount_bits);
	if (l->version >= 3)
		buf_printf(out, "    corrupt: %s\n    extended l2: %s\n",
			   no_yes[l->corrupt], no_yes[l->extended]);
}

static void info_human(const struct block_layer *l, const struct info *more,
		       struct buf *out)
{
	u64 size = ALIGN_UP(l->virtual_size, 512ULL);
	char *full;

	buf_printf(out, "image: %s\nfile format: %s\nvirtual size: ", l->file,
		   l->format);
	image_format_size(size, out);
	buf_printf(out, " (%" PRIu64 " bytes)\ndisk size: ", size);
	image_format_size(l->disk_size, out);
	buf_putc(out, '\n');
	if (l->dirty)
		buf_puts(out, "cleanly shut down: no\n");
	if (l->cluster_size)
		buf_printf(out, "cluster_size: %u\n", l->cluster_size);
	if (l->backing) {
		full = image_backing_path(l->file, l->backing);
		buf_printf(out, "backing file: %s", l->backing);
		if (strcmp(full, l->backing))
			buf_printf(out, " (actual path: %s)", full);
		buf_putc(out, '\n');
		if (l->backing_format[0])
			buf_printf(out, "backing file format: %s\n",
				   l->backing_format);
		free(full);
	}
	img_snapshots_print(more->list, more->count, out);
	if (l->version)
		info_qcow2(l, more, out);
}

/* Each image by itself: those below are read through those above. */
static void info_look(const struct img *a, const struct block_layer *l,
		      struct info *ret)
{
	struct image_mode mode = { .alone = true, .unlocked = a->share };
	struct image *i = image_open(l->file, l->format, &mode, NULL);

	*ret = (struct info){ 0 };
	if (i && image_snapshots(i, &ret->list, &ret->count) < 0)
		*ret = (struct info){ 0 };
	if (i && image_bitmaps(i, false, &ret->bitmap, &ret->bitmaps) < 0)
		ret->bitmaps = 0;
	image_close(i);
}

static void info_print(const struct img *a, const struct block_layer *l, int n)
{
	json_t *list = json_array();
	struct buf out = { 0 };

	for (int i = 0; i < n; i++) {
		struct info more;

		info_look(a, &l[i], &more);
		json_array_append_new(list, info_json(&l[i], &more));
		if (i)
			buf_putc(&out, '\n');
		info_human(&l[i], &more, &out);
		image_snapshots_free(more.list, more.count);
		image_bitmaps_free(more.bitmap, more.bitmaps);
	}
	if (!a->json)
		fputs(buf_str(&out), stdout);
	else if (a->chain)
		info_dump(json_incref(list));
	else
		info_dump(json_incref(json_array_get(list, 0)));
	json_decref(list);
	buf_fini(&out);
}

int img_info(const struct img *a)
{
	struct image_mode mode = { .alone = !a->chain };
	struct image *i = img_open_operand(a, a->operand[0], a->format, &mode);
	struct block_layer *l;
	int n;

	if (!i)
		return 1;
	l = xcalloc(INFO_LAYERS, sizeof(*l));
	n = image_layers(i, l, INFO_LAYERS);
	info_print(a, l, MIN(n, INFO_LAYERS));
	free(l);
	image_close(i);
	return 0;
}

/* ---- check ---- */

enum { CHECK_ERRORS = 2, CHECK_LEAKS = 3, CHECK_NONE = 63 };

static void check_json(const struct image *i, const struct image_check *c)
{
	json_t *o = json_object();

	if (c->end)
		info_set_number(o, "image-end-offset", c->end);
	info_set_number(o, "total-clusters", c->total);
	info_set_number(o, "check-errors", 0);
	if (c->errors)
		info_set_number(o, "corruptions", c->errors);
	if (c->leaks)
		info_set_number(o, "leaks", c->leaks);
	if (c->fixed_errors)
		info_set_number(o, "corruptions-fixed", c->fixed_errors);
	if (c->fixed_leaks)
		info_set_number(o, "leaks-fixed", c->fixed_leaks);
	if (c->allocated)
		info_set_number(o, "allocated-clusters", c->allocated);
	if (c->fragmented)
		info_set_number(o, "fragmented-clusters", c->fragmented);
	if (c->compressed)
		info_set_number(o, "compressed-clusters", c->compressed);
	info_set_text(o, "filename", image_path(i));
	info_set_text(o, "format", image_format(i));
	info_dump(o);
}

static void check_human(const struct image_check *c)
{
	if (!c->errors && !c->leaks)
		puts("No errors were found on the image.");
	if (c->errors)
		printf("\n%" PRIu64
		       " errors were found on the image.\nData may be "
		       "corrupted, or further writes to the image may corrupt "
		       "it.\n",
		       c->errors);
	if (c->leaks)
		printf("\n%" PRIu64
		       " leaked clusters were found on the image.\nThis means "
		       "waste of disk space, but no harm to data.\n",
		       c->leaks);
	if (c->total && c->allocated)
		printf("%" PRIu64 "/%" PRIu64
		       " = %.2f%% allocated, %.2f%% fragmented, %.2f%% "
		       "compressed clusters\n",
		       c->allocated, c->total,
		       (double)c->allocated * 100 / (double)c->total,
		       (double)c->fragmented * 100 / (double)c->allocated,
		       (double)c->compressed * 100 / (double)c->allocated);
	if (c->end)
		printf("Image end offset: %" PRIu64 "\n", c->end);
}

static void check_repaired(const struct image_check *c)
{
	if (!c->fixed_errors && !c->fixed_leaks)
		return;
	printf("The following inconsistencies were found and repaired:\n\n"
	       "    %" PRIu64 " leaked clusters\n    %" PRIu64
	       " corruptions\n\nDouble checking the fixed image now...\n",
	       c->fixed_leaks, c->fixed_errors);
}

/* What was repaired is looked at again. */
static int check_run(const struct img *a, struct image *i, int repair,
		     struct image_check *c)
{
	struct image_check again;
	struct buf text = { 0 };
	int r = image_check(i, repair, c, &text);

	if (!a->json && !a->quiet)
		fputs(buf_str(&text), stdout);
	buf_fini(&text);
	if (r == 0 && (c->fixed_errors || c->fixed_leaks)) {
		if (!a->json && !a->quiet)
			check_repaired(c);
		r = image_check(i, 0, &again, NULL);
		again.fixed_errors = c->fixed_errors;
		again.fixed_leaks = c->fixed_leaks;
		*c = again;
	}
	return r;
}

int img_check(const struct img *a)
{
	int repair = !a->repair                    ? 0
		     : !strcmp(a->repair, "leaks") ? 1
		     : !strcmp(a->repair, "all")   ? 2
						   : -1;
	struct image_mode mode = { .write = repair > 0,
				   .repair = true,
				   .alone = true };
	struct image_check c;
	struct image *i;
	int r;

	if (repair < 0)
		return img_fail(
			"Unknown option value for -r (expecting 'leaks' "
			"or 'all'): %s",
			a->repair);
	img_cache_mode(a->src_cache, &mode);
	i = img_open_operand(a, a->operand[0], a->format, &mode);
	if (!i)
		return 1;
	r = check_run(a, i, repair, &c);
	if (r == 0 && a->json)
		check_json(i, &c);
	else if (r == 0 && !a->quiet)
		check_human(&c);
	image_close(i);
	if (r == -ENOTSUP) {
		img_fail("This image format does not support checks");
		return CHECK_NONE;
	}
	if (r < 0)
		return img_fail("Check failed: %s", strerror(-r));
	return c.errors ? CHECK_ERRORS : c.leaks ? CHECK_LEAKS : 0;
}
