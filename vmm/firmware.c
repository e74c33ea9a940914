/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/firmware.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block/block.h"
#include "lib/alloc.h"
#include "lib/err.h"
#include "vmm/machine.h"
#include "vmm/memory.h"

#define FIRMWARE_UNIT (64 * KIB)
#define FIRMWARE_MAX  (16 * MIB)
#define FIRMWARE_LOW  (128 * KIB)

struct firmware {
	u8 *data; /* owned */
	u64 size;
	struct block *drive; /* borrowed; NULL: a file */
	struct block_req req;
};

/* Where Debian and others put them. */
static const char *const firmware_folders[] = { "/usr/share/seabios",
						"/usr/share/ovmf",
						"/usr/share/OVMF",
						"/usr/share/qemu" };

static int firmware_find(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	size_t n = ARRAY_SIZE(firmware_folders);

	for (size_t i = 0; fd < 0 && !strchr(path, '/') && i < n; i++) {
		char *full = xprintf("%s/%s", firmware_folders[i], path);

		fd = open(full, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		free(full);
	}
	return fd;
}

static int firmware_read(struct firmware *f, int fd, const char *path,
			 struct err *err)
{
	struct stat st;
	u64 at = 0;

	if (fstat(fd, &st) < 0)
		return err_errno(err, "cannot read firmware '%s'", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, -EINVAL, "firmware '%s' is no file", path);
	if (st.st_size <= 0 || (u64)st.st_size > FIRMWARE_MAX)
		return err_set(err, -EINVAL,
			       "firmware '%s' has %lld bytes; at most 16 MiB "
			       "fit",
			       path, (long long)st.st_size);
	f->size = (u64)st.st_size;
	f->data = xalloc(f->size);
	while (at < f->size) {
		ssize_t n = pread(fd, f->data + at, f->size - at, (off_t)at);

		if (n < 0 && errno != EINTR)
			return err_errno(err, "cannot read firmware '%s'",
					 path);
		if (n == 0)
			return err_set(err, -EIO, "firmware '%s' became short",
				       path);
		at += n > 0 ? (u64)n : 0;
	}
	return 0;
}

struct firmware *firmware_open(const char *path, struct err *err)
{
	struct firmware *f = xalloc(sizeof *f);
	int fd = firmware_find(path), r;

	if (fd < 0) {
		err_errno(err, "cannot open firmware '%s'", path);
		firmware_close(f);
		return NULL;
	}
	r = firmware_read(f, fd, path, err);
	close(fd);
	if (r < 0) {
		firmware_close(f);
		return NULL;
	}
	return f;
}

static void firmware_done(struct block_req *r)
{
}

static const struct block_front firmware_front = { NULL, NULL, NULL };

static int firmware_read_drive(struct firmware *f, struct block *b,
			       struct err *err)
{
	struct iovec iov;
	int r;

	if (!b->root || !b->size || b->size > FIRMWARE_MAX)
		return err_set(err, -EINVAL, "'%s' is no firmware", b->id);
	if (!b->readonly)
		return err_set(err, -ENOTSUP,
			       "flash '%s': firmware cannot write to itself; "
			       "add readonly=on, and unit=1 for variables",
			       b->id);
	r = block_attach(b, &firmware_front, f, err);
	if (r < 0)
		return r;
	f->drive = b;
	f->size = b->size;
	f->data = xalloc(f->size);
	iov = (struct iovec){ f->data, f->size };
	f->req = (struct block_req){ .iov = &iov,
				     .niov = 1,
				     .done = firmware_done };
	block_read(b, &f->req);
	block_drain(b);
	if (f->req.result < 0)
		return err_code(err, f->req.result, "cannot read '%s'", b->id);
	return 0;
}

struct firmware *firmware_open_flash(struct err *err)
{
	struct block *first = NULL, *other = NULL;
	struct firmware *f;

	for (struct block *b = block_next(NULL); b; b = block_next(b)) {
		if (b->iface != BLOCK_IF_PFLASH)
			continue;
		if (b->index > 1)
			err_set(err, -EINVAL,
				"flash '%s': there are units 0 and 1", b->id);
		if (b->index > 1)
			return NULL;
		*(b->index ? &other : &first) = b;
	}
	if (!first && other)
		err_set(err, -EINVAL,
			"flash '%s': unit 0, which holds the firmware, is "
			"missing",
			other->id);
	if (!first)
		return NULL;
	f = xalloc(sizeof *f);
	if (firmware_read_drive(f, first, err) == 0)
		return f;
	firmware_close(f);
	return NULL;
}

void firmware_close(struct firmware *f)
{
	if (f && f->drive)
		block_detach(f->drive, f);
	if (f)
		free(f->data);
	free(f);
}

u64 firmware_base(const struct firmware *f)
{
	return 4 * GIB - f->size;
}

const u8 *firmware_data(const struct firmware *f, u64 *ret_size)
{
	*ret_size = f->size;
	return f->data;
}

int firmware_add(struct firmware *f, struct machine *m, struct err *err)
{
	if (f->size % (f->drive ? PAGE_SIZE : FIRMWARE_UNIT))
		return err_set(err, -EINVAL,
			       "firmware of %llu bytes; it must be a multiple "
			       "of 64 KiB, in flash of 4 KiB",
			       (unsigned long long)f->size);
	return mem_add_ram(&m->mem, "pc.bios", 4 * GIB - f->size, f->size, true,
			   err);
}

int firmware_load(struct firmware *f, struct machine *m, struct err *err)
{
	u64 low = MIN(f->size, FIRMWARE_LOW);
	int r = mem_load(&m->mem, 4 * GIB - f->size, f->data, f->size);

	if (r == 0)
		r = mem_load(&m->mem, MIB - low, f->data + f->size - low, low);
	if (r < 0)
		return err_set(err, r,
			       "the guest has too little RAM for firmware; "
			       "give it more with -m");
	return 0;
}
