/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * `vmon run`: the disk.  The image is only read; changes are kept in an
 * overlay with a name, or in one without, or nowhere.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block/image.h"
#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/opt.h"
#include "lib/parse.h"
#include "run/internal.h"

#define DISK_FD_SET "1"

/* ---- Looking ---- */

static bool disk_is_folder(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* The image, read by whoever else uses it, too. */
static struct image *disk_open(const struct run *r, const char *path,
			       struct err *err)
{
	struct image_mode mode = { .unlocked = true,
				   .untrusted = !r->backing_files };

	if (disk_is_folder(path)) {
		err_set(err, -EISDIR, "'%s' is a directory", path);
		return NULL;
	}
	return image_open(path, NULL, &mode, err);
}

/* What is given is seen from anywhere. */
static int disk_real(const char *path, char **ret, struct err *err)
{
	*ret = realpath(path, NULL);
	return *ret ? 0 : err_errno(err, "could not open '%s'", path);
}

static int disk_parse_size(struct run *r, struct err *err)
{
	u64 *size = &r->overlay.size;

	if (!r->size)
		return 0;
	if (parse_size(r->size, 1, size) < 0 || !*size ||
	    *size > INT64_MAX - 511)
		return err_set(err, -EINVAL,
			       "--size '%s' is no size such as 20G", r->size);
	*size = ALIGN_UP(*size, 512ULL);
	return 0;
}

static int disk_check_size(const struct run *r, const char *path, u64 now,
			   struct err *err)
{
	struct buf text = { 0 };

	if (!r->size || r->overlay.size >= now)
		return 0;
	image_format_size(now, &text);
	err_set(err, -EINVAL, "--size %s is less than '%s' has: %s (%llu)",
		r->size, path, buf_str(&text), (unsigned long long)now);
	buf_fini(&text);
	return err->code;
}

/* ---- Which ---- */

char *run_data_path(const char *name, struct err *err)
{
	const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");

	if (data && *data == '/')
		return xprintf("%s/vmon/%s", data, name);
	if (home && *home == '/')
		return xprintf("%s/.local/share/vmon/%s", home, name);
	err_set(err, -ENOENT,
		"there is neither XDG_DATA_HOME nor HOME for '%s'", name);
	return NULL;
}

void run_make_folders(const char *path)
{
	char *copy = xstrdup(path);

	for (char *at = copy + 1; (at = strchr(at, '/')); at++) {
		*at = '\0';
		mkdir(copy, 0700);
		*at = '/';
	}
	free(copy);
}

/* A name is a file of ours. */
static char *disk_path(const char *disk, struct err *err)
{
	char *name, *path;

	if (strchr(disk, '/'))
		return xstrdup(disk);
	if (!*disk || *disk == '.') {
		err_set(err, -EINVAL, "--disk '%s' is no name", disk);
		return NULL;
	}
	name = xprintf("%s.qcow2", disk);
	path = run_data_path(name, err);
	free(name);
	if (!path)
		err_wrap(err, "--disk %s", disk);
	return path;
}

/* One that is there, over the image that was meant. */
static int disk_continue(struct run *r, struct err *err)
{
	struct run_disk *d = &r->overlay;
	struct image_mode mode = { .unlocked = true, .alone = true };
	struct image *i = NULL;
	struct block_layer l;
	char *full = NULL;
	int result = 0;

	i = image_open(d->path, "qcow2", &mode, err);
	if (!i)
		return err_wrap(err, "--disk %s", r->disk);
	image_layers(i, &l, 1);
	if (l.backing) {
		full = image_backing_path(d->path, l.backing);
		d->backing = realpath(full, NULL);
	}
	if (!full)
		result = err_set(err, -EINVAL,
				 "--disk %s: '%s' is no overlay; run it as the "
				 "image, with --write",
				 r->disk, d->path);
	else if (!d->backing)
		result = err_errno(err,
				   "--disk %s: could not open its image '%s'",
				   r->disk, full);
	else if (r->own_image && strcmp(r->own_image, d->backing))
		result = err_set(err, -EEXIST,
				 "--disk %s: '%s' is over the image '%s'; give "
				 "that one, none, or another --disk",
				 r->disk, d->path, d->backing);
	if (result == 0)
		result = disk_check_size(r, d->path, image_size(i), err);
	d->grow = r->size && d->size > image_size(i);
	free(full);
	image_close(i);
	return result;
}

/* The same disk, the same machine: what cloud-init has done is done. */
static void disk_identity(struct run *r)
{
	struct statx sx;

	if (r->instance_id || r->meta_data ||
	    statx(AT_FDCWD, r->overlay.path, 0, STATX_INO | STATX_BTIME, &sx) <
		    0)
		return;
	r->own_id = xprintf("vmon-%llx-%llx%08x", (unsigned long long)sx.stx_ino,
			    (unsigned long long)sx.stx_btime.tv_sec,
			    sx.stx_btime.tv_nsec);
	r->instance_id = r->own_id;
}

static int disk_plan_named(struct run *r, struct err *err)
{
	struct run_disk *d = &r->overlay;

	d->path = disk_path(r->disk, err);
	if (!d->path)
		return err->code;
	if (disk_is_folder(d->path))
		return err_set(err, -EISDIR, "--disk %s: '%s' is a directory",
			       r->disk, d->path);
	if (access(d->path, F_OK) == 0)
		return disk_continue(r, err);
	if (!r->image)
		return err_set(err, -ENOENT,
			       "--disk %s: there is no '%s' yet; name the "
			       "image that it is to be over",
			       r->disk, d->path);
	d->create = true;
	return 0;
}

static int disk_plan_temporary(struct run *r)
{
	const char *folder = getenv("TMPDIR");

	r->overlay.path =
		xprintf("%s/vmon-%d.qcow2", folder ? folder : "/var/tmp",
			getpid());
	r->overlay.create = r->overlay.temporary = true;
	return 0;
}

static int disk_plan_image(struct run *r, struct err *err)
{
	struct run_disk *d = &r->overlay;
	const char *path = r->own_image ? r->own_image : d->backing;
	struct image *i = disk_open(r, path, err);
	int result;

	if (!i)
		return err->code;
	d->format = strcmp(image_format(i), "raw") ? "qcow2" : "raw";
	result = disk_check_size(r, path, image_size(i), err);
	if (!r->size)
		d->size = image_size(i);
	image_close(i);
	return result;
}

int run_disk_plan(struct run *r, struct err *err)
{
	struct run_disk *d = &r->overlay;
	int result = 0;

	d->fd = -1;
	if (!r->disk + !r->ephemeral + !r->write < 2)
		return err_set(err, -EINVAL,
			       "one of --disk, --ephemeral and --write, please");
	if (r->size && r->write)
		return err_set(err, -EINVAL,
			       "--size goes with --disk or --ephemeral; 'vmon "
			       "img resize' changes the image itself");
	if (r->image)
		result = disk_real(r->image, &r->own_image, err);
	if (result == 0)
		result = disk_parse_size(r, err);
	if (result == 0 && r->disk)
		result = disk_plan_named(r, err);
	else if (result == 0 && r->size)
		result = disk_plan_temporary(r);
	if (result == 0)
		result = disk_plan_image(r, err);
	if (result == 0 && r->disk && !d->create)
		disk_identity(r);
	if (result == 0 && d->create)
		d->backing = xstrdup(r->own_image);
	return result;
}

/* ---- Making ---- */

static int disk_create(struct run *r, struct err *err)
{
	struct run_disk *d = &r->overlay;
	const struct option_row *rows = image_option_rows("qcow2");
	struct image_options o = { 0 };
	char *part = xprintf("%s.%d", d->path, getpid());
	struct opts none;
	int result;

	opts_init(&none);
	opts_apply(&none, rows, &o, NULL); /* the defaults */
	o.backing = xstrdup(d->backing);
	o.backing_format = xstrdup(d->format);
	o.size = d->size;
	/* Two runs at once: the second goes on with the first one's. */
	if (r->disk && !strchr(r->disk, '/'))
		run_make_folders(d->path);
	result = image_create(part, "qcow2", &o, err);
	opt_rows_fini(rows, &o);
	opts_fini(&none);
	if (result == 0 && link(part, d->path) < 0 && errno != EEXIST &&
	    rename(part, d->path) < 0) /* no links there */
		result = err_errno(err, "cannot make '%s'", d->path);
	unlink(part);
	free(part);
	return result;
}

/* Nobody can name it, and it goes with the process. */
static int disk_hide(struct run *r, struct err *err)
{
	struct run_disk *d = &r->overlay;

	d->fd = open(d->path, O_RDWR | O_CLOEXEC);
	if (d->fd < 0)
		err_errno(err, "could not open '%s'", d->path);
	unlink(d->path);
	return d->fd < 0 ? err->code : 0;
}

static int disk_grow(struct run *r, struct err *err)
{
	struct image_mode mode = { .write = true };
	struct image *i = image_open(r->overlay.path, "qcow2", &mode, err);
	int result;

	if (!i)
		return err->code;
	result = image_resize(i, r->overlay.size, err);
	if (result == 0 && image_flush(i) < 0)
		result = err_set(err, -EIO, "could not write '%s'",
				 r->overlay.path);
	image_close(i);
	return result;
}

int run_disk_make(struct run *r, struct err *err)
{
	struct run_disk *d = &r->overlay;
	int result = 0;

	if (d->create)
		result = disk_create(r, err);
	if (result == 0 && d->temporary)
		result = disk_hide(r, err);
	if (result == 0 && d->grow)
		result = disk_grow(r, err);
	if (result == 0 && r->disk)
		disk_identity(r);
	return result;
}

/* ---- Saying ---- */

void run_disk_add(struct run *r)
{
	struct run_disk *d = &r->overlay;
	struct opts o;

	opts_init(&o);
	if (d->fd >= 0) {
		run_add_option(r, "-add-fd",
			       xprintf("fd=%d,set=" DISK_FD_SET, d->fd));
		opts_add(&o, "file", "/dev/fdset/" DISK_FD_SET);
	} else {
		opts_add(&o, "file", d->path ? d->path : r->image);
	}
	/* qcow2 is looked for by vmon, too, and may then name no other file;
	 * that what is none shall be a disk is what the user said. */
	if (d->path)
		opts_add(&o, "format", "qcow2");
	else if (r->backing_files || !strcmp(d->format, "raw"))
		opts_add(&o, "format", d->format);
	opts_add(&o, "if", "virtio");
	if (d->path || r->write)
		opts_add(&o, "discard", "unmap");
	else
		opts_add(&o, "snapshot", "on");
	if (d->temporary)
		opts_add(&o, "cache", "unsafe");
	run_add_option(r, "-drive", run_format(&o));
}

void run_disk_print(const struct run *r)
{
	const struct run_disk *d = &r->overlay;

	if (d->create) {
		printf("vmon img create -q -f qcow2 -F %s -b ", d->format);
		run_print_word(d->backing);
		putchar(' ');
	} else if (d->grow) {
		printf("vmon img resize -q -f qcow2 ");
	} else {
		return;
	}
	run_print_word(d->path);
	printf(" %llu\n", (unsigned long long)d->size);
}

void run_disk_fini(struct run *r)
{
	if (r->overlay.fd >= 0)
		close(r->overlay.fd);
	free(r->overlay.path);
	free(r->overlay.backing);
	free(r->own_image);
	free(r->own_id);
}
