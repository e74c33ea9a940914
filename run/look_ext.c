/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What an ext4 file system tells of the system on it, read by libext2fs.
 */

#include <errno.h>
#include <ext2fs/ext2fs.h>
#include <stdio.h>
#include <string.h>

#include "lib/alloc.h"
#include "run/look.h"

#define EXT_RELEASE_MAX 16384u
#define EXT_KERNELS_MAX 64u

/* The library knows its sources by name; there is one. */
static const struct look_area *ext_area;

/* ---- Its input ---- */

static errcode_t ext_open(const char *name, int flags, io_channel *ret);

static errcode_t ext_close(io_channel c)
{
	if (--c->refcount > 0)
		return 0;
	ext2fs_free_mem(&c->name);
	ext2fs_free_mem(&c);
	return 0;
}

static errcode_t ext_set_block(io_channel c, int size)
{
	c->block_size = size;
	return 0;
}

/* A negative count is one of bytes. */
static errcode_t ext_read64(io_channel c, unsigned long long block, int count,
			    void *data)
{
	u64 size = (u64)c->block_size, len;

	if (!size || count == INT32_MIN || block > UINT64_MAX / size)
		return EXT2_ET_SHORT_READ;
	len = count < 0 ? (u64)-count : (u64)count * size;
	return look_read(ext_area, block * size, data, len) < 0
		       ? EXT2_ET_SHORT_READ
		       : 0;
}

static errcode_t ext_read(io_channel c, unsigned long block, int count,
			  void *data)
{
	return ext_read64(c, block, count, data);
}

static errcode_t ext_write64(io_channel c, unsigned long long block, int count,
			     const void *data)
{
	return EXT2_ET_RO_FILSYS;
}

static errcode_t ext_write(io_channel c, unsigned long block, int count,
			   const void *data)
{
	return EXT2_ET_RO_FILSYS;
}

static errcode_t ext_flush(io_channel c)
{
	return 0;
}

static struct struct_io_manager ext_manager = {
	.magic = EXT2_ET_MAGIC_IO_MANAGER,
	.name = "image",
	.open = ext_open,
	.close = ext_close,
	.set_blksize = ext_set_block,
	.read_blk = ext_read,
	.write_blk = ext_write,
	.flush = ext_flush,
	.read_blk64 = ext_read64,
	.write_blk64 = ext_write64,
};

static errcode_t ext_open(const char *name, int flags, io_channel *ret)
{
	io_channel c = NULL;
	errcode_t e = ext2fs_get_memzero(sizeof *c, &c);

	if (!e)
		e = ext2fs_get_memzero(strlen(name) + 1, &c->name);
	if (e) {
		if (c)
			ext2fs_free_mem(&c);
		return e;
	}
	strcpy(c->name, name);
	c->magic = EXT2_ET_MAGIC_IO_CHANNEL;
	c->manager = &ext_manager;
	c->block_size = 1024;
	c->refcount = 1;
	*ret = c;
	return 0;
}

/* ---- Files ---- */

static bool ext_find(ext2_filsys fs, const char *path, ext2_ino_t *ret)
{
	return !ext2fs_namei_follow(fs, EXT2_ROOT_INO, EXT2_ROOT_INO, path,
				    ret);
}

static bool ext_has(ext2_filsys fs, const char *path)
{
	ext2_ino_t inode;

	return ext_find(fs, path, &inode);
}

/* NULL: there is no such file; free() it. */
static char *ext_text(ext2_filsys fs, const char *path, u32 max)
{
	char *text = NULL;
	unsigned got = 0;
	ext2_ino_t inode;
	ext2_file_t file;

	if (!ext_find(fs, path, &inode) ||
	    ext2fs_file_open(fs, inode, 0, &file))
		return NULL;
	text = xalloc(max + 1);
	if (ext2fs_file_read(file, text, max, &got))
		got = 0;
	text[got] = '\0';
	ext2fs_file_close(file);
	return text;
}

/* ---- What they say ---- */

/* KEY=value, or KEY="value", a line. */
static void ext_release_key(const char *text, const char *key, json_t *system,
			    const char *name)
{
	size_t len = strlen(key), n;

	for (; text && *text; text = strchr(text, '\n'), text += !!text) {
		if (strncmp(text, key, len) || text[len] != '=')
			continue;
		text += len + 1;
		text += *text == '"';
		n = strcspn(text, "\"\n");
		/* What is no UTF-8 is not taken. */
		json_object_set_new(system, name, json_stringn(text, n));
		return;
	}
}

static int ext_kernel(ext2_ino_t dir, int entry, struct ext2_dir_entry *e,
		      int offset, int size, char *block, void *arg)
{
	int len = ext2fs_dirent_name_len(e);
	json_t *list = arg;

	if (len > 8 && len <= EXT2_NAME_LEN &&
	    !memcmp(e->name, "vmlinuz-", 8) &&
	    json_array_size(list) < EXT_KERNELS_MAX)
		json_array_append_new(list, json_stringn(e->name, (size_t)len));
	return 0;
}

static void ext_kernels(ext2_filsys fs, json_t *system)
{
	static const char *const folders[] = { "/boot", "/" };
	json_t *list = json_object_get(system, "kernels");
	ext2_ino_t inode;

	for (size_t n = 0; n < ARRAY_SIZE(folders); n++)
		if (ext_find(fs, folders[n], &inode))
			ext2fs_dir_iterate2(fs, inode, 0, NULL, ext_kernel,
					    list);
}

/* Any of them, of which one NULL ends. */
static void ext_note(ext2_filsys fs, json_t *system, const char *name,
		     const char *const *paths)
{
	for (; *paths; paths++)
		if (ext_has(fs, *paths))
			json_object_set_new(system, name, json_true());
}

void look_ext(const struct look_area *a, json_t *system)
{
	static const char *const cloud[] = { "/usr/bin/cloud-init",
					     "/usr/sbin/cloud-init-local",
					     "/usr/bin/tiny-cloud", NULL };
	static const char *const ignition[] = { "/usr/bin/ignition",
						"/usr/lib/ignition", NULL };
	ext2_filsys fs;
	char *release;

	ext_area = a;
	if (ext2fs_open2("image", NULL, EXT2_FLAG_64BITS, 0, 0, &ext_manager,
			 &fs))
		return;
	release = ext_text(fs, "/etc/os-release", EXT_RELEASE_MAX);
	if (!release)
		release = ext_text(fs, "/usr/lib/os-release", EXT_RELEASE_MAX);
	ext_release_key(release, "PRETTY_NAME", system, "name");
	ext_release_key(release, "ID", system, "id");
	ext_release_key(release, "VERSION_ID", system, "version");
	free(release);
	ext_kernels(fs, system);
	ext_note(fs, system, "cloud-init", cloud);
	ext_note(fs, system, "ignition", ignition);
	ext2fs_free(fs);
}
