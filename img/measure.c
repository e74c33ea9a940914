/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * `vmon img measure`: how long a new image will be.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "img/source.h"
#include "lib/err.h"
#include "lib/parse.h"

struct measure {
	u64 data; /* bytes of clusters in use */
	u64 required, full, bitmaps;
	bool has_bitmaps;
};

static int measure_data(struct img_source *s, u64 cluster, u64 *ret)
{
	struct image_extent x;
	u64 end;

	*ret = 0;
	for (u64 at = 0; at < s->size; at = end) {
		int r = img_source_map(s, at, s->size - at, &x);

		if (r < 0)
			return img_fail("Unable to get block status: %s",
					strerror(-r));
		end = at + x.bytes;
		if (!x.data || x.zero)
			continue;
		end = ALIGN_UP(end, cluster);
		*ret += end - ALIGN_DOWN(at, cluster);
	}
	return 0;
}

/* Contents and table of each, and the directory. */
static void measure_bitmaps(struct image *i, u64 cluster, struct measure *m)
{
	struct image_bitmap *list;
	struct block_layer l;
	u64 directory = 0;
	u32 count;

	image_layers(i, &l, 1);
	if (l.version < 3 || image_bitmaps(i, false, &list, &count) < 0)
		return;
	m->has_bitmaps = true;
	for (u32 n = 0; n < count; n++) {
		u64 bytes = ALIGN_UP(
			image_bitmap_bytes(image_size(i), list[n].bits),
			cluster);

		m->bitmaps += bytes + ALIGN_UP(bytes / cluster * 8, cluster);
		directory += ALIGN_UP(24ULL + strlen(list[n].name), 8ULL);
	}
	m->bitmaps += ALIGN_UP(directory, cluster);
	image_bitmaps_free(list, count);
}

static void measure_print(const struct img *a, const struct measure *m)
{
	if (a->json) {
		puts("{");
		if (m->has_bitmaps)
			printf("    \"bitmaps\": %" PRIu64 ",\n", m->bitmaps);
		printf("    \"required\": %" PRIu64
		       ",\n    \"fully-allocated\": %" PRIu64 "\n}\n",
		       m->required, m->full);
		return;
	}
	printf("required size: %" PRIu64 "\nfully allocated size: %" PRIu64
	       "\n",
	       m->required, m->full);
	if (m->has_bitmaps)
		printf("bitmaps size: %" PRIu64 "\n", m->bitmaps);
}

/* o->size is set from the image, and what it has. */
static int measure_source(const struct img *a, struct image_options *o,
			  struct measure *m)
{
	u64 cluster = o->cluster_size ? o->cluster_size : 512;
	struct img_source s;
	int status;

	/* The options have not been looked at. */
	if (cluster & (cluster - 1))
		return 0;
	status = img_source_open(a, &s, 1, a->snapshot);
	if (status == 0)
		status = measure_data(&s, cluster, &m->data);
	if (status == 0 && o->cluster_size && o->compat % 2)
		measure_bitmaps(s.image[0], cluster, m);
	o->size = s.size;
	img_source_close(&s);
	return status;
}

static int measure_run(const struct img *a, const char *format,
		       struct image_options *o)
{
	struct measure m = { 0 };
	struct err err = { 0 };
	int status = 0;

	if (a->operands)
		status = measure_source(a, o, &m);
	else if (parse_size(a->size, 1, &o->size) < 0 ||
		 o->size > INT64_MAX - 511)
		status = img_fail("Invalid image size specified: '%s'. You may "
				  "use k, M, G, T, P or E suffixes",
				  a->size);
	o->size = ALIGN_UP(o->size, 512ULL);
	if (status == 0 &&
	    image_measure(format, o, m.data, &m.required, &m.full, &err) < 0)
		status = img_fail("%s", err.msg);
	if (status == 0)
		measure_print(a, &m);
	return status;
}

int img_measure(const struct img *a)
{
	const char *format = a->out_format ? a->out_format : "raw";
	struct image_options o;
	int status;

	if (!a->operands && (a->format || a->snapshot || a->image_opts))
		return img_fail("--image-opts, -f, and -l require a filename "
				"argument.");
	if (!a->operands == !a->size)
		return img_fail(a->size ? "--size N cannot be used together "
					  "with a filename."
					: "Either --size N or one filename "
					  "must be specified.");
	status = img_options(format, a->options, &o, format);
	if (status == 0)
		status = measure_run(a, format, &o);
	img_options_fini(format, &o);
	return status < 0 ? 0 : status;
}
