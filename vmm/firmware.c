/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/firmware.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

void firmware_close(struct firmware *f)
{
	if (f)
		free(f->data);
	free(f);
}

const u8 *firmware_data(const struct firmware *f, u64 *ret_size)
{
	*ret_size = f->size;
	return f->data;
}

int firmware_add(struct firmware *f, struct machine *m, struct err *err)
{
	if (f->size % FIRMWARE_UNIT)
		return err_set(err, -EINVAL,
			       "firmware of %llu bytes; it must be a multiple "
			       "of 64 KiB",
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
