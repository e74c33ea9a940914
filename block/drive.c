/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * -drive: from options to a drive.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "block/internal.h"
#include "lib/alloc.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/opt.h"

struct drive {
	char *file, *format, *serial;
	int iface, cache, aio, discard, detect_zeroes, media;
	int readonly; /* on, off, auto */
	int rerror, werror;
	int direct, no_flush; /* on, off, auto: as cache= says */
	int lock;
	int follow; /* enum block_follow */
	u32 index, bus, unit;
	bool snapshot, copy_on_read;
	struct block_limits limits;
	char *group;
};

/* clang-format off */
static const char *const drive_ifaces[] = {
	"virtio", "none", "ide", "scsi", "floppy", "pflash", "sd", "mtd", "xen",
	NULL
};
enum { DRIVE_IF_VIRTIO, DRIVE_IF_NONE, DRIVE_IF_IDE, DRIVE_IF_PFLASH = 5 };

static const char *const drive_caches[] = {
	"writeback", "none", "writethrough", "directsync", "unsafe", "off",
	NULL
};
static const struct drive_cache {
	bool direct, writeback, no_flush;
} drive_cache_modes[] = {
	{ false, true,  false },
	{ true,  true,  false },
	{ false, false, false },
	{ true,  false, false },
	{ false, true,  true  },
	{ true,  true,  false },
};

/* In the order of enum block_aio. */
static const char *const drive_aios[] = {
	"threads", "native", "io_uring", NULL
};
static const char *const drive_discards[] = {
	"ignore", "unmap", "off", "on", NULL
};
static const char *const drive_zeroes[] = { "off", "on", "unmap", NULL };
static const char *const drive_medias[] = { "disk", "cdrom", NULL };
/* In the order of enum block_on_error. */
static const char *const drive_errors[] = {
	"report", "ignore", "enospc", "stop", NULL
};
static const char *const drive_protocols[] = {
	"nbd", "nbd+unix", "http", "https", "ftp", "ftps", "ssh", "rbd",
	"iscsi", "gluster", "nfs", "fat", "json", "blkdebug", "sheepdog", NULL
};

#define ROW(name, type, field, def, help, arg) \
	{ name, &type, offsetof(struct drive, field), def, help, arg }

const struct option_row block_options[] = {
	ROW("file", opt_str, file, NULL, "image or block device", NULL),
	ROW("if", opt_enum, iface, "virtio", "controller; none: for -device",
	    drive_ifaces),
	ROW("index", opt_u32, index, "4294967295", "number on its controller",
	    NULL),
	ROW("bus", opt_u32, bus, "0", "0; with if=ide also 1", NULL),
	ROW("unit", opt_u32, unit, "4294967295", "same as index", NULL),
	ROW("format", opt_str, format, NULL,
	    "raw, qcow2; without it the image is looked at", NULL),
	ROW("backing-files", opt_onoffauto, follow, "auto",
	    "may images name others; auto: not if their format was guessed",
	    NULL),
	ROW("media", opt_enum, media, "disk", "cdrom: a read-only disk",
	    drive_medias),
	ROW("snapshot", opt_bool, snapshot, "off",
	    "keep changes in a temporary file, never in the image", NULL),
	ROW("readonly", opt_onoffauto, readonly, "off",
	    "auto: when it cannot be written", NULL),
	ROW("cache", opt_enum, cache, "writeback", "host cache and flushes",
	    drive_caches),
	ROW("cache.direct", opt_onoffauto, direct, "auto",
	    "bypass the host's page cache", NULL),
	ROW("cache.no-flush", opt_onoffauto, no_flush, "auto",
	    "ignore flushes", NULL),
	ROW("aio", opt_enum, aio, "threads", "engine; native needs cache=none "
	    "or directsync", drive_aios),
	ROW("discard", opt_enum, discard, "ignore",
	    "what becomes of the guest's discards", drive_discards),
	ROW("detect-zeroes", opt_enum, detect_zeroes, "off",
	    "turn writes of zeroes into zeroing", drive_zeroes),
	ROW("rerror", opt_enum, rerror, "report", "on read errors",
	    drive_errors),
	ROW("werror", opt_enum, werror, "enospc", "on write errors",
	    drive_errors),
	ROW("serial", opt_str, serial, NULL, "serial number", NULL),
	ROW("file.locking", opt_onoffauto, lock, "auto",
	    "refuse an image that is in use", NULL),
	ROW("throttling.bps-total", opt_u64, limits.v[0].avg, "0",
	    "bytes per second", NULL),
	ROW("throttling.bps-total-max", opt_u64, limits.v[0].max, "0",
	    "bytes per second in a burst", NULL),
	ROW("throttling.bps-total-max-length", opt_u64, limits.v[0].length, "1",
	    "seconds that such a burst lasts", NULL),
	ROW("throttling.bps-read", opt_u64, limits.v[1].avg, "0",
	    "bytes read per second", NULL),
	ROW("throttling.bps-read-max", opt_u64, limits.v[1].max, "0",
	    "bytes read per second in a burst", NULL),
	ROW("throttling.bps-read-max-length", opt_u64, limits.v[1].length, "1",
	    "seconds that such a burst lasts", NULL),
	ROW("throttling.bps-write", opt_u64, limits.v[2].avg, "0",
	    "bytes written per second", NULL),
	ROW("throttling.bps-write-max", opt_u64, limits.v[2].max, "0",
	    "bytes written per second in a burst", NULL),
	ROW("throttling.bps-write-max-length", opt_u64, limits.v[2].length, "1",
	    "seconds that such a burst lasts", NULL),
	ROW("throttling.iops-total", opt_u64, limits.v[3].avg, "0",
	    "requests per second", NULL),
	ROW("throttling.iops-total-max", opt_u64, limits.v[3].max, "0",
	    "requests per second in a burst", NULL),
	ROW("throttling.iops-total-max-length", opt_u64, limits.v[3].length, "1",
	    "seconds that such a burst lasts", NULL),
	ROW("throttling.iops-read", opt_u64, limits.v[4].avg, "0",
	    "requests that read per second", NULL),
	ROW("throttling.iops-read-max", opt_u64, limits.v[4].max, "0",
	    "requests that read per second in a burst", NULL),
	ROW("throttling.iops-read-max-length", opt_u64, limits.v[4].length, "1",
	    "seconds that such a burst lasts", NULL),
	ROW("throttling.iops-write", opt_u64, limits.v[5].avg, "0",
	    "requests that write per second", NULL),
	ROW("throttling.iops-write-max", opt_u64, limits.v[5].max, "0",
	    "requests that write per second in a burst", NULL),
	ROW("throttling.iops-write-max-length", opt_u64, limits.v[5].length, "1",
	    "seconds that such a burst lasts", NULL),
	ROW("throttling.iops-size", opt_u64, limits.op_size, "0",
	    "bytes that count as one request", NULL),
	ROW("throttling.group", opt_str, group, NULL,
	    "drives of a group share these limits", NULL),
	ROW("copy-on-read", opt_bool, copy_on_read, "off",
	    "no effect without a backing file", NULL),
	OPTION_END,
};
/* clang-format on */

#undef ROW

/* ---- What goes with what ---- */

/* The other names that QEMU takes for the same thing. */
static void drive_rename(struct opts *o)
{
	static const char *const names[][2] = {
		{ "read-only", "readonly" },
		{ "driver", "format" },
		{ "file.filename", "file" },
		{ "file.aio", "aio" },
		{ "locking", "file.locking" },
		{ "filename", "file" },
		{ "bps", "throttling.bps-total" },
		{ "bps_max", "throttling.bps-total-max" },
		{ "iops", "throttling.iops-total" },
		{ "iops_max", "throttling.iops-total-max" },
		{ "bps_rd", "throttling.bps-read" },
		{ "bps_rd_max", "throttling.bps-read-max" },
		{ "iops_rd", "throttling.iops-read" },
		{ "iops_rd_max", "throttling.iops-read-max" },
		{ "bps_wr", "throttling.bps-write" },
		{ "bps_wr_max", "throttling.bps-write-max" },
		{ "iops_wr", "throttling.iops-write" },
		{ "iops_wr_max", "throttling.iops-write-max" },
		{ "iops_size", "throttling.iops-size" },
		{ "group", "throttling.group" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *value = opts_take(o, names[i][0]);

		if (value)
			opts_add(o, names[i][1], value);
	}
	(void)opts_take(o, "file.driver");
}

static int drive_check_file(struct drive *d, struct err *err)
{
	const char *colon;

	if (!d->file && (d->iface == DRIVE_IF_NONE ||
			 (d->iface == DRIVE_IF_IDE && d->media)))
		return 0; /* no medium yet */
	if (!d->file || !d->file[0])
		return err_set(err, -EINVAL, "file= is missing");
	if (!strncmp(d->file, "file:", 5)) {
		memmove(d->file, d->file + 5, strlen(d->file + 5) + 1);
		return 0;
	}
	colon = strchr(d->file, ':');
	for (int i = 0; colon && drive_protocols[i]; i++) {
		size_t len = strlen(drive_protocols[i]);

		if (len == (size_t)(colon - d->file) &&
		    !strncmp(d->file, drive_protocols[i], len))
			return err_set(err, -ENOTSUP,
				       "protocol '%s' is not supported",
				       drive_protocols[i]);
	}
	return 0;
}

/* Two buses with two units each: index= counts both, bus= and unit= name
 * them. */
static int drive_check_ide(struct drive *d, struct err *err)
{
	u32 unit = d->unit == UINT32_MAX ? 0 : d->unit;

	if (d->bus > 1 || unit > 1)
		return err_set(err, -EINVAL,
			       "bus=%u, unit=%u: if=ide has buses 0 and 1 with "
			       "units 0 and 1",
			       d->bus, unit);
	if (d->index != UINT32_MAX && (d->bus || d->unit != UINT32_MAX))
		return err_set(err, -EINVAL,
			       "index cannot be used with bus and unit");
	if (d->index == UINT32_MAX && (d->bus || d->unit != UINT32_MAX))
		d->index = 2 * d->bus + unit;
	if (d->index != UINT32_MAX && d->index > 3)
		return err_set(err, -EINVAL,
			       "index=%u: if=ide has 0 to 3", d->index);
	return 0;
}

static int drive_check(struct drive *d, struct err *err)
{
	int r = drive_check_file(d, err);

	if (r < 0)
		return r;
	if (d->iface > DRIVE_IF_IDE && d->iface != DRIVE_IF_PFLASH)
		return err_set(err, -ENOTSUP,
			       "if=%s: there is no such controller; use "
			       "if=virtio or if=ide",
			       drive_ifaces[d->iface]);
	if (d->iface == DRIVE_IF_IDE)
		r = drive_check_ide(d, err);
	else if (d->bus)
		r = err_set(err, -EINVAL, "bus=%u: there is only bus 0",
			    d->bus);
	if (r == 0)
		r = node_check_format(d->format, err);
	if (r < 0)
		return r;
	if (d->index == UINT32_MAX)
		d->index = d->unit;
	if (d->direct < 0)
		d->direct = drive_cache_modes[d->cache].direct;
	if (d->no_flush < 0)
		d->no_flush = drive_cache_modes[d->cache].no_flush;
	if (d->aio == BLOCK_AIO_NATIVE && !d->direct)
		return err_set(err, -EINVAL,
			       "aio=native needs cache=none or "
			       "cache=directsync");
#ifndef HAVE_LIBURING
	if (d->aio == BLOCK_AIO_URING)
		return err_set(err, -ENOTSUP,
			       "aio=io_uring is not in this build, which had "
			       "no liburing; use aio=threads or aio=native");
#endif
	return 0;
}

/* ---- Opening ---- */

/* Writes to a disk that was guessed to be raw are watched from now on. */
static void drive_guard(struct block *b, struct block_open *o)
{
	if (!o->header || b->readonly) {
		free(o->header);
		return;
	}
	b->header = o->header;
	log_warn("image format was not specified for '%s' and probing guessed "
		 "raw; the guest may not write another format's header "
		 "(format=raw allows it)",
		 o->path);
}

static int drive_open(struct block *b, const struct drive *d, struct err *err)
{
	struct block_open o = {
		.path = d->file,
		.readonly = d->readonly == 1 || d->snapshot || b->cdrom,
		.readonly_auto = d->readonly < 0,
		.direct = d->direct,
		.no_flush = d->no_flush,
		.aio = d->aio,
		.unmap = b->discard,
		.lock = d->lock,
		.format = d->format,
		.follow = d->follow,
	};
	struct block_node *top;

	b->root = node_open(b, &o, err);
	if (!b->root)
		return err && err->code < 0 ? err->code : -EIO;
	b->readonly = b->root->readonly;
	drive_guard(b, &o);
	if (d->snapshot && d->readonly != 1 && !b->cdrom) {
		top = overlay_open(b, b->root, err);
		if (!top)
			return err && err->code < 0 ? err->code : -EIO;
		b->root = top;
		b->readonly = false;
	}
	b->size = ALIGN_UP(b->root->size, (u64)BLOCK_SECTOR);
	b->request_align = MAX(b->root->align, BLOCK_SECTOR);
	return 0;
}

/* "virtio0"; "ide0-hd1", "ide1-cd0". */
static char *drive_default_name(const struct drive *d, u32 index)
{
	if (d->iface != DRIVE_IF_IDE)
		return xprintf("%s%u", drive_ifaces[d->iface], index);
	return xprintf("ide%u-%s%u", index / 2, d->media ? "cd" : "hd",
		       index % 2);
}

static bool drive_place_used(int iface, u32 index)
{
	for (struct block *b = block_next(NULL); b; b = block_next(b))
		if (b->iface == iface && b->index == (int)index)
			return true;
	return false;
}

static char *drive_name(const struct drive *d, u32 *ret_index)
{
	u32 index = d->index == UINT32_MAX ? 0 : d->index;
	char *id;

	for (;; index++) {
		if (d->iface == DRIVE_IF_IDE && d->index == UINT32_MAX &&
		    drive_place_used(BLOCK_IF_IDE, index))
			continue;
		id = drive_default_name(d, index);
		*ret_index = index;
		if (d->index != UINT32_MAX || !block_find(id))
			return id;
		free(id);
	}
}

static int drive_setup(struct block *b, struct drive *d, const char *id,
		       struct err *err)
{
	static const int ifaces[] = {
		[DRIVE_IF_VIRTIO] = BLOCK_IF_VIRTIO,
		[DRIVE_IF_NONE] = BLOCK_IF_NONE,
		[DRIVE_IF_IDE] = BLOCK_IF_IDE,
		[DRIVE_IF_PFLASH] = BLOCK_IF_PFLASH,
	};
	u32 index = 0;
	int r = drive_check(d, err);

	if (r < 0)
		return r;
	b->id = drive_name(d, &index);
	if (id) {
		free(b->id);
		b->id = xstrdup(id);
	}
	b->iface = ifaces[d->iface];
	if (b->iface == BLOCK_IF_IDE &&
	    (index > 3 || drive_place_used(BLOCK_IF_IDE, index)))
		return err_set(err, -EBUSY,
			       index > 3 ? "if=ide has four drives, and they "
					   "are taken"
					 : "drive with bus=%u, unit=%u "
					   "(index=%u) exists",
			       index / 2, index % 2, index);
	if (block_find(b->id))
		return err_set(err, -EEXIST, "drive '%s' exists already",
			       b->id);
	b->index = index;
	b->cdrom = d->media == 1;
	b->discard = d->discard & 1;
	b->detect_zeroes = d->detect_zeroes;
	b->on_read_error = d->rerror;
	b->on_write_error = d->werror;
	b->write_cache = drive_cache_modes[d->cache].writeback;
	b->direct = d->direct;
	b->no_flush = d->no_flush;
	b->aio = d->aio;
	b->lock = d->lock;
	b->follow = d->follow;
	b->readonly = d->readonly == 1 || b->cdrom;
	b->serial = xstrdup(d->serial);
	r = d->file ? drive_open(b, d, err) : 0;
	if (r < 0)
		return r;
	r = block_limits_check(&d->limits, err);
	if (r < 0)
		return r;
	r = block_register(b, err);
	return r < 0 ? r : block_set_limits(b, &d->limits, d->group, err);
}

struct block *block_create(struct loop *loop, struct opts *o, struct err *err)
{
	struct block *b = xalloc(sizeof(*b));
	struct drive d = { 0 };
	struct err local = { 0 };
	const char *id;
	int r;

	if (!err)
		err = &local;
	list_init(&b->node);
	b->loop = loop;
	drive_rename(o);
	id = opts_take(o, "id");
	r = opts_apply(o, block_options, &d, err);
	if (r == 0)
		r = opts_check_used(o, block_options, err);
	if (r == 0)
		r = drive_setup(b, &d, id, err);
	opt_rows_fini(block_options, &d);
	if (r < 0) {
		block_destroy(b);
		return NULL;
	}
	return b;
}

/* ---- Another image ---- */

int block_change(struct block *b, const char *file, const char *format,
		 enum block_change_mode mode, bool force, struct err *err)
{
	struct block old = *b;
	struct drive d = {
		.format = (char *)format,
		.iface = DRIVE_IF_VIRTIO, /* one that needs a file */
		.cache = b->write_cache ? 0 : 2,
		.aio = b->aio,
		.direct = b->direct,
		.no_flush = b->no_flush,
		.lock = b->lock,
		.follow = b->follow,
		.readonly = mode == BLOCK_RETAIN ? b->readonly
						 : mode == BLOCK_READ_ONLY,
	};
	int r;

	r = block_tray_check(b, force, err);
	if (r < 0)
		return r;
	d.file = xstrdup(file);
	r = drive_check(&d, err);
	block_drain(b);
	b->root = NULL;
	b->header = NULL;
	if (r == 0)
		r = drive_open(b, &d, err);
	free(d.file);
	if (r < 0) {
		node_close(b->root);
		free(b->header);
		b->root = old.root;
		b->header = old.header;
		b->readonly = old.readonly;
		return r;
	}
	node_close(old.root);
	free(old.header);
	block_move_tray(b, true);
	block_move_tray(b, false);
	return 0;
}
