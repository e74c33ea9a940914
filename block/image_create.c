/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * New images: options, and raw ones.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block/image.h"
#include "block/internal.h"
#include "block/qcow2.h"
#include "lib/buf.h"
#include "lib/err.h"

static const char *const create_compats[] = { "0.10", "1.1", "v2", "v3", NULL };
static const char *const create_compressions[] = { "zlib", "zstd", NULL };
static const char *const create_preallocs[] = { "off", "metadata", "falloc",
						"full", NULL };

#define ROW(name, type, field, def, help, arg)                             \
	{                                                                  \
		name, &(type), offsetof(struct image_options, field), def, \
			help, arg                                          \
	}

static const struct option_row create_raw_rows[] = {
	ROW("size", opt_size, size, "0", "Virtual disk size", NULL),
	ROW("preallocation", opt_enum, prealloc, "off", "Preallocation mode",
	    create_preallocs),
	OPTION_END,
};

static const struct option_row create_qcow2_rows[] = {
	ROW("backing_file", opt_str, backing, NULL, "File name of a base image",
	    NULL),
	ROW("backing_fmt", opt_str, backing_format, NULL,
	    "Image format of the base image", NULL),
	ROW("cluster_size", opt_size, cluster_size, "65536",
	    "qcow2 cluster size", NULL),
	ROW("compat", opt_enum, compat, "1.1", "Compatibility level",
	    create_compats),
	ROW("compression_type", opt_enum, compression, "zlib",
	    "Compression method", create_compressions),
	ROW("extended_l2", opt_bool, extended, "off", "Extended L2 tables",
	    NULL),
	ROW("lazy_refcounts", opt_bool, lazy, "off",
	    "Postpone refcount updates", NULL),
	ROW("preallocation", opt_enum, prealloc, "off", "Preallocation mode",
	    create_preallocs),
	ROW("refcount_bits", opt_u32, refcount_bits, "16",
	    "Width of a reference count entry in bits", NULL),
	ROW("size", opt_size, size, "0", "Virtual disk size", NULL),
	OPTION_END,
};

static const struct create_format {
	const char *name;
	const struct option_row *rows;
	int (*check)(const struct image_options *o, struct err *err);
	int (*create)(int fd, const struct image_options *o, struct err *err);
	int (*measure)(const struct image_options *o, u64 data,
		       u64 *ret_required, u64 *ret_full, struct err *err);
} create_formats[];

static int create_raw_check(const struct image_options *o, struct err *err)
{
	if (o->size > INT64_MAX)
		return err_set(err, -EFBIG, "The image size is too large");
	return o->prealloc == IMAGE_PREALLOC_METADATA
		       ? err_set(err, -ENOTSUP,
				 "Unsupported preallocation mode: metadata "
				 "(raw images have off, falloc and full)")
		       : 0;
}

static int create_raw(int fd, const struct image_options *o, struct err *err)
{
	return ftruncate(fd, o->size) < 0 ? err_errno(err, "cannot be made")
					  : 0;
}

static int create_raw_measure(const struct image_options *o, u64 data,
			      u64 *ret_required, u64 *ret_full, struct err *err)
{
	*ret_required = *ret_full = o->size;
	return 0;
}

static const struct create_format create_formats[] = {
	{ "raw", create_raw_rows, create_raw_check, create_raw,
	  create_raw_measure },
	{ "qcow2", create_qcow2_rows, qcow2_create_check, qcow2_create,
	  qcow2_measure },
};

static const struct create_format *create_find(const char *format)
{
	for (size_t i = 0; i < ARRAY_SIZE(create_formats); i++)
		if (!strcmp(create_formats[i].name, format))
			return &create_formats[i];
	return NULL;
}

const struct option_row *image_option_rows(const char *format)
{
	const struct create_format *f = create_find(format);

	return f ? f->rows : NULL;
}

/* ---- The file ---- */

/* A device keeps its size, and must have it. */
static int create_check_device(int fd, const struct image_options *o,
			       const struct create_format *f, struct err *err)
{
	off_t end = lseek(fd, 0, SEEK_END);

	if (end < 0)
		return err_errno(err, "cannot get the size");
	if (f->create == create_raw && (u64)end < o->size)
		return err_set(err, -ENOSPC, "the device has only %lld bytes",
			       (long long)end);
	return f->create == create_raw ? 0 : f->create(fd, o, err);
}

static int create_in(int fd, const char *path, const struct image_options *o,
		     const struct create_format *f, struct err *err)
{
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return err_errno(err, "cannot be made");
	if (S_ISBLK(st.st_mode))
		return create_check_device(fd, o, f, err);
	if (!S_ISREG(st.st_mode))
		return err_set(err, -EINVAL,
			       "is neither a file nor a block device");
	r = lock_file(fd, path, false, -1, err);
	if (r == 0 && ftruncate(fd, 0) < 0)
		r = err_errno(err, "cannot be emptied");
	return r < 0 ? r : f->create(fd, o, err);
}

/* By opening it: the tables are written as ever. */
static int create_preallocate(const char *path, const char *format, int how,
			      struct err *err)
{
	struct image_mode mode = { .write = true, .alone = true };
	struct image *i = image_open(path, format, &mode, err);
	int r;

	if (!i)
		return err ? err->code : -EIO;
	r = image_preallocate(i, how, 0, err);
	if (r == 0 && image_flush(i) < 0)
		r = err_set(err, -EIO, "cannot be written");
	image_close(i);
	return r;
}

#define CREATE_LAYERS 64 /* of a chain, that are looked at */

static bool create_is(const struct stat *target, const char *path)
{
	struct stat st;

	return path && stat(path, &st) == 0 && st.st_dev == target->st_dev &&
	       st.st_ino == target->st_ino;
}

int image_check_backing(const char *path, const struct image_options *o,
			struct err *err)
{
	struct image_mode mode = { .unlocked = true };
	struct block_layer layers[CREATE_LAYERS];
	struct stat target;
	struct err none = { 0 };
	struct image *below;
	bool same;
	char *name;

	if (!o->backing || stat(path, &target) < 0)
		return 0;
	name = image_backing_path(path, o->backing);
	same = create_is(&target, name);
	below = same ? NULL : image_open(name, o->backing_format, &mode, &none);
	if (below) {
		int n = MIN(image_layers(below, layers, CREATE_LAYERS),
			    CREATE_LAYERS);

		while (n-- > 0)
			same |= create_is(&target, layers[n].file);
	}
	image_close(below);
	free(name);
	return same ? err_set(err, -EINVAL,
			      "Error: Trying to create an image with the same "
			      "filename as the backing file")
		    : 0;
}

int image_create(const char *path, const char *format,
		 const struct image_options *o, struct err *err)
{
	const struct create_format *f = create_find(format);
	int fd, r;

	if (!f)
		return err_set(err, -ENOTSUP, "Unknown file format '%s'",
			       format);
	r = f->check(o, err);
	if (r == 0)
		r = image_check_backing(path, o, err);
	if (r < 0)
		return r; /* with nothing lost */
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0644);
	if (fd < 0)
		return err_errno(err, "Could not create '%s'", path);
	r = create_in(fd, path, o, f, err);
	close(fd);
	if (r == 0 && o->prealloc)
		r = create_preallocate(path, format, o->prealloc, err);
	return r;
}

/* ---- Text ---- */

static void describe_qcow2(const struct image_options *o, struct buf *out)
{
	static const char *const off_on[] = { "off", "on" };

	buf_printf(out, " cluster_size=%" PRIu64 " extended_l2=%s",
		   o->cluster_size, off_on[o->extended]);
	if (o->prealloc)
		buf_printf(out, " preallocation=%s",
			   create_preallocs[o->prealloc]);
	buf_printf(out, " compression_type=%s size=%" PRIu64,
		   create_compressions[o->compression], o->size);
	if (o->compat != 1)
		buf_printf(out, " compat=%s", create_compats[o->compat]);
	if (o->backing)
		buf_printf(out, " backing_file=%s", o->backing);
	if (o->backing_format)
		buf_printf(out, " backing_fmt=%s", o->backing_format);
	buf_printf(out, " lazy_refcounts=%s refcount_bits=%u", off_on[o->lazy],
		   o->refcount_bits);
}

void image_describe(const char *format, const struct image_options *o,
		    struct buf *out)
{
	buf_printf(out, "fmt=%s", format);
	if (!strcmp(format, "qcow2"))
		describe_qcow2(o, out);
	else
		buf_printf(out, " size=%" PRIu64, o->size);
	if (strcmp(format, "qcow2") && o->prealloc)
		buf_printf(out, " preallocation=%s",
			   create_preallocs[o->prealloc]);
}

int image_prealloc_find(const char *name)
{
	for (int i = 0; create_preallocs[i]; i++)
		if (!strcmp(create_preallocs[i], name))
			return i;
	return -1;
}

char *image_backing_path(const char *image, const char *name)
{
	return qcow2_backing_path(image, name);
}

int image_measure(const char *format, const struct image_options *o, u64 data,
		  u64 *ret_required, u64 *ret_full, struct err *err)
{
	const struct create_format *f = create_find(format);
	int r;

	if (!f)
		return err_set(err, -ENOTSUP, "Unknown file format '%s'",
			       format);
	r = f->check(o, err);
	return r < 0 ? r : f->measure(o, data, ret_required, ret_full, err);
}
