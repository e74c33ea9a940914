/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * `vmon img`: what is read: images one behind the other, in their snapshots,
 * named by --image-opts.
 */
#include "img/source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/err.h"
#include "lib/opt.h"

/* ---- --image-opts ---- */

struct source_opts {
	char *driver, *name, *file_driver, *file_name; /* owned; NULL */
	int locking, file_locking;
	bool direct, no_flush, readonly;
};

#define ROW(name, type, field, def, help)                                      \
	{                                                                      \
		name, &(type), offsetof(struct source_opts, field), def, help, \
			NULL                                                   \
	}

static const struct option_row source_rows[] = {
	ROW("driver", opt_str, driver, NULL, "raw, qcow2, file or host_device"),
	ROW("filename", opt_str, name, NULL, "with driver=file"),
	ROW("locking", opt_onoffauto, locking, "auto", "with driver=file"),
	ROW("file.driver", opt_str, file_driver, NULL, "file or host_device"),
	ROW("file.filename", opt_str, file_name, NULL, "where the image is"),
	ROW("file.locking", opt_onoffauto, file_locking, "auto",
	    "whether others are kept out"),
	ROW("cache.direct", opt_bool, direct, "off", "past the host's cache"),
	ROW("cache.no-flush", opt_bool, no_flush, "off",
	    "never wait for disks"),
	ROW("read-only", opt_bool, readonly, "off", "never write to it"),
	OPTION_END,
};

static bool source_is_file(const char *driver)
{
	return driver &&
	       (!strcmp(driver, "file") || !strcmp(driver, "host_device"));
}

static int source_check(const struct source_opts *o, struct err *err)
{
	bool file = source_is_file(o->driver);

	if (!o->driver && !o->file_name)
		return err_set(err, -EINVAL,
			       "Must specify either driver or "
			       "file");
	if (o->file_driver && !source_is_file(o->file_driver))
		return err_set(err, -ENOTSUP,
			       "file.driver=%s is not supported; file and "
			       "host_device are",
			       o->file_driver);
	if (file ? o->file_name || o->file_driver : !!o->name)
		return err_set(err, -EINVAL, "%s does not go with driver=%s",
			       file ? "file.filename" : "filename",
			       o->driver ? o->driver : "");
	if (file ? !o->name : !o->file_name)
		return err_set(err, -EINVAL, "%s is missing",
			       file ? "filename" : "file.filename");
	return 0;
}

static struct image *source_open_opts(const struct source_opts *o,
				      const struct image_mode *mode,
				      struct err *err)
{
	struct image_mode own = *mode;

	if (source_check(o, err) < 0)
		return NULL;
	if (o->readonly && own.write) {
		err_set(err, -EACCES, "read-only=on, and it has to be written");
		return NULL;
	}
	own.direct |= o->direct;
	own.no_flush |= o->no_flush;
	own.unlocked |= o->locking == 0 || o->file_locking == 0;
	return image_open(o->name ? o->name : o->file_name, o->driver, &own,
			  err);
}

struct image *img_open_opts(const char *text, const struct image_mode *mode)
{
	struct source_opts o = { 0 };
	struct image *i = NULL;
	struct err err = { 0 };
	struct opts list;
	int r = opts_parse(&list, text, NULL, &err);

	if (r == 0) {
		r = opts_apply(&list, source_rows, &o, &err);
		if (r == 0)
			r = opts_check_used(&list, source_rows, &err);
		if (r == 0)
			i = source_open_opts(&o, mode, &err);
		opts_fini(&list);
		opt_rows_fini(source_rows, &o);
	}
	if (!i)
		img_fail("Could not open '%s': %s", text, err.msg);
	return i;
}

/* ---- -l ---- */

static const struct option_row source_snapshot_rows[] = {
	{ "snapshot.id", &opt_str, offsetof(struct source_opts, driver), NULL,
	  "number of a snapshot", NULL },
	{ "snapshot.name", &opt_str, offsetof(struct source_opts, name), NULL,
	  "name of a snapshot", NULL },
	OPTION_END,
};

/* An id or, if there is none, a name; or as options. */
static int source_view(struct image *i, const char *text)
{
	struct source_opts o = { 0 };
	struct err err = { 0 };
	struct opts list;
	int r;

	if (strncmp(text, "snapshot.", 9)) {
		r = image_view_snapshot(i, text, NULL, &err);
		if (r == -ENOENT)
			r = image_view_snapshot(i, NULL, text, &err);
	} else {
		r = opts_parse(&list, text, NULL, &err);
		if (r < 0)
			return img_fail("%s", err.msg);
		r = opts_apply(&list, source_snapshot_rows, &o, &err);
		if (r == 0)
			r = opts_check_used(&list, source_snapshot_rows, &err);
		if (r == 0)
			r = image_view_snapshot(i, o.driver, o.name, &err);
		opts_fini(&list);
		opt_rows_fini(source_snapshot_rows, &o);
	}
	return r < 0 ? img_fail("Failed to load snapshot: %s", err.msg) : 0;
}

/* ---- Several ---- */

int img_source_open(const struct img *a, struct img_source *s, int count,
		    const char *snapshot)
{
	struct image_mode mode = { 0 };
	int status = 0;

	img_cache_mode(a->src_cache, &mode);
	*s = (struct img_source){ 0 };
	s->image = xcalloc(count, sizeof(*s->image));
	s->end = xcalloc(count, sizeof(*s->end));
	for (int n = 0; n < count && status == 0; n++) {
		s->image[n] =
			img_open_operand(a, a->operand[n], a->format, &mode);
		if (!s->image[n])
			return 1;
		s->count++;
		if (snapshot)
			status = source_view(s->image[n], snapshot);
		if (__builtin_add_overflow(s->size, image_size(s->image[n]),
					   &s->size) ||
		    s->size > INT64_MAX)
			status = img_fail("the images are too large together");
		s->end[n] = s->size;
	}
	return status;
}

void img_source_close(struct img_source *s)
{
	for (int n = 0; n < s->count; n++)
		image_close(s->image[n]);
	free(s->image);
	free(s->end);
}

/* The image with `at`, which becomes an offset there, as `bytes` do. */
static struct image *source_find(struct img_source *s, u64 *at, u64 *bytes)
{
	u64 start = 0;
	int n = 0;

	while (n < s->count - 1 && *at >= s->end[n])
		start = s->end[n++];
	*bytes = MIN(*bytes, s->end[n] - *at);
	*at -= start;
	return s->image[n];
}

int img_source_map(struct img_source *s, u64 at, u64 bytes,
		   struct image_extent *out)
{
	struct image *i = source_find(s, &at, &bytes);

	return image_map(i, at, bytes, out);
}

int img_source_read(struct img_source *s, u64 at, u8 *buf, u64 bytes)
{
	int r = 0;

	for (u64 n; bytes && r == 0; bytes -= n) {
		u64 in = at;
		struct image *i;

		n = bytes;
		i = source_find(s, &in, &n);
		r = image_read(i, in, buf, n);
		at += n;
		buf += n;
	}
	return r;
}

int img_source_copy(struct img_source *s, u64 at, struct image *to, u64 bytes)
{
	int r = 0;

	for (u64 n; bytes && r == 0; bytes -= n) {
		u64 in = at;
		struct image *i;

		n = bytes;
		i = source_find(s, &in, &n);
		r = image_copy(i, in, to, at, n);
		at += n;
	}
	return r;
}
