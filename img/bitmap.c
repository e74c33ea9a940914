/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * `vmon img bitmap`, the list of them, and their way through other commands.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "img/img.h"
#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/parse.h"

#define BITMAP_NAME 1023u

struct bitmap_run {
	const struct img *a;
	struct img_bitmaps to, from; /* from: of -b, or `to` */
	u64 size;                    /* of the disk */
	u32 bits;                    /* for a new one */
};

/* ---- Sets of them ---- */

int img_bitmaps_load(struct image *i, struct img_bitmaps *b)
{
	int r = image_bitmaps(i, true, &b->list, &b->count);

	if (r == 0)
		return 0;
	*b = (struct img_bitmaps){ 0 };
	return r == -ENOTSUP ? 0
			     : img_fail("Could not read the bitmaps of '%s': "
					"%s",
					image_path(i), strerror(-r));
}

void img_bitmaps_fini(struct img_bitmaps *b)
{
	image_bitmaps_free(b->list, b->count);
}

int img_bitmaps_store(struct image *i, struct img_bitmaps *b)
{
	u64 bytes, size = image_size(i);
	struct err err = { 0 };

	for (u32 n = 0; n < b->count; n++) {
		struct image_bitmap *m = &b->list[n];

		bytes = image_bitmap_bytes(size, m->bits);
		if (bytes != m->bytes) {
			u8 *map = xcalloc(MAX(bytes, 1), 1);

			memcpy(map, m->map, MIN(bytes, m->bytes));
			free(m->map);
			m->map = map;
			m->bytes = bytes;
		}
		/* Nothing is said of what is behind the end. */
		if (bytes && (size >> m->bits) < bytes * 8 - 1)
			for (u64 k = (size + (1ULL << m->bits) - 1) >> m->bits;
			     k < bytes * 8; k++)
				m->map[k / 8] &= ~BIT(k % 8);
	}
	return image_bitmaps_store(i, b->list, b->count, &err) < 0
		       ? img_fail("'%s': %s", image_path(i), err.msg)
		       : 0;
}

static struct image_bitmap *bitmap_find(const struct img_bitmaps *b,
					const char *name)
{
	for (u32 n = 0; n < b->count; n++)
		if (!strcmp(b->list[n].name, name))
			return &b->list[n];
	return NULL;
}

/* ---- What is done to one ---- */

static int bitmap_add(struct bitmap_run *b, const char *name, struct err *err)
{
	struct image_bitmap *m;

	if (!*name)
		return err_set(err, -EINVAL, "Bitmap name cannot be empty");
	if (strlen(name) > BITMAP_NAME)
		return err_set(err, -EINVAL,
			       "Bitmap name too long (more than %u bytes)",
			       BITMAP_NAME);
	if (bitmap_find(&b->to, name))
		return err_set(err, -EEXIST, "Bitmap already exists: %s", name);
	b->to.list = xrealloc(b->to.list, (b->to.count + 1) * sizeof(*m));
	m = &b->to.list[b->to.count++];
	*m = (struct image_bitmap){
		.name = xstrdup(name),
		.bits = b->bits,
		.automatic = true,
		.bytes = image_bitmap_bytes(b->size, b->bits),
	};
	/* Contents of an absurd size are refused when they are stored. */
	m->map = calloc(MAX(m->bytes, 1), 1);
	return m->map ? 0
		      : err_set(err, -ENOMEM,
				"the bitmap has %llu bytes: use a larger "
				"granularity",
				(unsigned long long)m->bytes);
}

static void bitmap_remove(struct bitmap_run *b, struct image_bitmap *m)
{
	u32 n = m - b->to.list;

	free(m->name);
	free(m->map);
	memmove(m, m + 1, (b->to.count - n - 1) * sizeof(*m));
	b->to.count--;
}

static void bitmap_or(struct image_bitmap *to, const struct image_bitmap *from)
{
	for (u64 i = 0; i < from->bytes * 8; i++) {
		u64 first = i << from->bits >> to->bits;
		u64 last = (((i + 1) << from->bits) - 1) >> to->bits;

		if (!from->map[i / 8])
			i |= 7;
		if (!(from->map[i / 8] & BIT(i % 8)))
			continue;
		for (u64 k = first; k <= last && k < to->bytes * 8; k++)
			to->map[k / 8] |= BIT(k % 8);
	}
}

static int bitmap_merge(struct bitmap_run *b, struct image_bitmap *m,
			const char *name, struct err *err)
{
	const struct img_bitmaps *where = b->a->backing ? &b->from : &b->to;
	const struct image_bitmap *from = bitmap_find(where, name);

	if (!from)
		return err_set(err, -ENOENT, "Dirty bitmap '%s' not found",
			       name);
	if (from->in_use)
		return err_set(err, -EINVAL,
			       "Bitmap '%s' is inconsistent and cannot be used "
			       "(it can be removed)",
			       name);
	bitmap_or(m, from);
	return 0;
}

static int bitmap_act(struct bitmap_run *b, const struct img_action *x,
		      const char *name, struct err *err)
{
	struct image_bitmap *m = bitmap_find(&b->to, name);

	if (!strcmp(x->what, "add"))
		return bitmap_add(b, name, err);
	if (!m)
		return err_set(err, -ENOENT, "Dirty bitmap '%s' not found",
			       name);
	if (!strcmp(x->what, "remove")) {
		bitmap_remove(b, m);
		return 0;
	}
	if (m->in_use)
		return err_set(err, -EINVAL,
			       "Bitmap '%s' is inconsistent and cannot be used "
			       "(it can be removed)",
			       name);
	if (!strcmp(x->what, "merge"))
		return bitmap_merge(b, m, x->arg, err);
	if (!strcmp(x->what, "clear"))
		memset(m->map, 0, m->bytes);
	else
		m->automatic = !strcmp(x->what, "enable");
	return 0;
}

/* ---- The command ---- */

static int bitmap_check(const struct img *a)
{
	bool add = false, merge = false;

	for (int i = 0; i < a->actions; i++) {
		add |= !strcmp(a->action[i].what, "add");
		merge |= !strcmp(a->action[i].what, "merge");
	}
	if (!a->actions)
		return img_fail("Need at least one of --add, --remove, "
				"--clear, --enable, --disable, or --merge");
	if (a->granularity && !add)
		return img_fail("granularity only supported with --add");
	if (a->other && !a->backing)
		return img_fail("-F only supported with -b");
	if (a->backing && !merge)
		return img_fail("Merge bitmap source file only supported with "
				"--merge");
	return 0;
}

/* As QEMU has it: of a cluster, but 4 to 64 KiB. */
static int bitmap_granularity(struct bitmap_run *b, struct image *i)
{
	u64 size = image_unit(i);

	size = MIN(MAX(size, 4 * KIB), 64 * KIB);
	if (b->a->granularity &&
	    (parse_size(b->a->granularity, 1, &size) < 0 ||
	     (size && (size < 512 || size > 2 * GIB || size & (size - 1)))))
		return img_fail("Invalid granularity specified: '%s' (a power "
				"of 2 from 512 to 2G)",
				b->a->granularity);
	b->bits = size ? __builtin_ctzll(size) : 16;
	return 0;
}

static int bitmap_source(struct bitmap_run *b)
{
	struct image_mode mode = { .alone = true };
	const char *path = b->a->backing;
	struct image *i;
	int status;

	if (!path)
		return 0;
	i = img_open(b->a, path, b->a->other, &mode);
	if (!i)
		return 1;
	status = img_bitmaps_load(i, &b->from);
	if (status == 0 && image_size(i) != b->size)
		status = img_fail("'%s' and '%s' are not of the same size",
				  path, b->a->operand[0]);
	image_close(i);
	return status;
}

static int bitmap_all(struct bitmap_run *b, struct image *i)
{
	const struct img *a = b->a;
	const char *name = a->operand[1];
	struct err err = { 0 };
	int status = 0;

	for (int n = 0; n < a->actions && status == 0; n++)
		if (bitmap_act(b, &a->action[n], name, &err) < 0)
			status = img_fail("Operation %s on bitmap %s failed: "
					  "%s",
					  a->action[n].what, name, err.msg);
	return status ? status : img_bitmaps_store(i, &b->to);
}

int img_bitmap(const struct img *a)
{
	struct image_mode mode = { .write = true, .alone = true };
	struct bitmap_run b = { .a = a };
	struct image *i;
	int status = bitmap_check(a);

	if (status)
		return status;
	i = img_open_operand(a, a->operand[0], a->format, &mode);
	if (!i)
		return 1;
	b.size = image_size(i);
	status = bitmap_granularity(&b, i);
	if (status == 0 && !image_can_pack(i))
		status = img_fail("Format driver '%s' does not support bitmaps",
				  image_format(i));
	if (status == 0)
		status = img_bitmaps_load(i, &b.to);
	if (status == 0)
		status = bitmap_source(&b);
	if (status == 0)
		status = bitmap_all(&b, i);
	img_bitmaps_fini(&b.to);
	img_bitmaps_fini(&b.from);
	image_close(i);
	return status;
}

/* ---- convert --bitmaps ---- */

int img_bitmaps_copy(const struct img *a, struct image *from, struct image *to)
{
	struct img_bitmaps b = { 0 };
	int status = img_bitmaps_load(from, &b);
	u32 kept = 0;

	for (u32 n = 0; n < b.count && status == 0; n++) {
		struct image_bitmap m = b.list[n];

		if (m.in_use && !a->skip_broken)
			status = img_fail("Cannot copy inconsistent bitmap "
					  "'%s' (--skip-broken-bitmaps leaves "
					  "it out)",
					  m.name);
		if (m.in_use)
			continue;
		b.list[n] = b.list[kept];
		b.list[kept++] = m;
	}
	if (status == 0 && kept) {
		struct img_bitmaps good = { b.list, kept };

		status = img_bitmaps_store(to, &good);
	}
	img_bitmaps_fini(&b);
	return status;
}
