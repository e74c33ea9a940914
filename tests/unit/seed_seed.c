/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The disk for cloud-init, read by what a driver of FAT does.
 */
#include "seed/seed.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "seed/fat.h"

#define KEY "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE me@\"here\""

static char dir[] = "/tmp/vmon-seed-XXXXXX";

static char *path_of(const char *name)
{
	return xprintf("%s/%s", dir, name);
}

static void put_file(const char *name, const void *data, size_t len)
{
	char *path = path_of(name);
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(data, 1, len, f), len);
	fclose(f);
	free(path);
}

static void put_text(const char *name, const char *text)
{
	put_file(name, text, strlen(text));
}

static void make_dir(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void remove_dir(void)
{
	char *command = xprintf("rm -rf %s", dir);

	ck_assert_int_eq(system(command), 0);
	free(command);
}

/* ---- A reader ---- */

struct volume {
	u8 *image;
	size_t size;
	u32 cluster, fat_at, root_at, root_entries, data_at, clusters;
};

static void volume_open(struct volume *v, u8 *image, size_t size)
{
	u32 sector = get_le16(image + 11), fats = image[16];
	u32 reserved = get_le16(image + 14), fat = get_le16(image + 22);

	ck_assert_uint_eq(get_le16(image + 510), 0xaa55);
	ck_assert_uint_eq(sector, 512);
	ck_assert_uint_eq(get_le16(image + 19) * 512u, size);
	v->image = image;
	v->size = size;
	v->cluster = image[13] * sector;
	v->fat_at = reserved * sector;
	v->root_at = v->fat_at + fats * fat * sector;
	v->root_entries = get_le16(image + 17);
	v->data_at = v->root_at + v->root_entries * 32;
	v->clusters = (u32)(size - v->data_at) / v->cluster;
	/* All FATs say the same, and have room for all clusters. */
	ck_assert_mem_eq(image + v->fat_at, image + v->fat_at + fat * sector,
			 fat * sector);
	ck_assert_uint_ge(fat * sector * 2 / 3, v->clusters + 2);
	ck_assert_uint_lt(v->clusters, 4085); /* FAT12 */
}

static u32 volume_next(const struct volume *v, u32 cluster)
{
	u16 w = get_le16(v->image + v->fat_at + cluster * 3 / 2);

	return cluster & 1 ? w >> 4 : w & 0xfff;
}

static u8 name_sum(const u8 *name)
{
	u8 sum = 0;

	for (int i = 0; i < 11; i++)
		sum = (u8)((sum & 1 ? 0x80 : 0) + (sum >> 1) + name[i]);
	return sum;
}

static char *volume_content(const struct volume *v, const u8 *e, u32 *ret_size)
{
	u32 size = get_le32(e + 28), done = 0, c = get_le16(e + 26);
	char *data = xalloc(size + 1);

	while (done < size) {
		u32 part = MIN(size - done, v->cluster);

		ck_assert_uint_ge(c, 2);
		ck_assert_uint_lt(c, v->clusters + 2);
		memcpy(data + done,
		       v->image + v->data_at + (c - 2) * v->cluster, part);
		done += part;
		c = volume_next(v, c);
	}
	ck_assert(size == 0 ? c == 0 : c >= 0xff8);
	data[size] = '\0';
	*ret_size = size;
	return data;
}

/* The entry of this long name in a folder; NULL: none. */
static const u8 *volume_find(const struct volume *v, u32 folder, u32 entries,
			     const char *want)
{
	static const u8 at[] = {
		1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30
	};
	char name[256] = "";
	u8 sum = 0;

	for (u32 n = 0; n < entries; n++) {
		const u8 *e = v->image + folder + n * 32;

		if (!e[0])
			break;
		if (e[11] != 0x0f) {
			if (!strcmp(name, want)) {
				ck_assert_uint_eq(sum, name_sum(e));
				return e;
			}
			name[0] = '\0';
			continue;
		}
		sum = e[13];
		for (int i = 0; i < 13; i++) {
			u16 c = get_le16(e + at[i]);

			if (c && c != 0xffff)
				name[((e[0] & 63) - 1) * 13 + i] = (char)c;
			if (!c)
				name[((e[0] & 63) - 1) * 13 + i] = '\0';
		}
	}
	return NULL;
}

/* The file of this path; NULL: none. */
static char *volume_file(const struct volume *v, const char *path,
			 u32 *ret_size)
{
	u32 at = v->root_at, entries = v->root_entries;
	const char *slash;
	const u8 *e;

	while ((slash = strchr(path, '/'))) {
		char *name = xprintf("%.*s", (int)(slash - path), path);
		u32 up = at == v->root_at
				 ? 0
				 : (at - v->data_at) / v->cluster + 2;

		e = volume_find(v, at, entries, name);
		free(name);
		if (!e)
			return NULL;
		ck_assert_uint_eq(e[11], 0x10);
		ck_assert_uint_eq(get_le32(e + 28), 0);
		ck_assert_uint_ge(volume_next(v, get_le16(e + 26)), 0xff8);
		at = v->data_at + (get_le16(e + 26) - 2u) * v->cluster;
		ck_assert_mem_eq(v->image + at, ".          \x10", 12);
		ck_assert_uint_eq(get_le16(v->image + at + 26),
				  get_le16(e + 26));
		ck_assert_mem_eq(v->image + at + 32, "..         \x10", 12);
		ck_assert_uint_eq(get_le16(v->image + at + 32 + 26), up);
		entries = v->cluster / 32;
		path = slash + 1;
	}
	e = volume_find(v, at, entries, path);
	return e ? volume_content(v, e, ret_size) : NULL;
}

static void seed_read_volume(struct volume *v, const char *text,
			     const char *label)
{
	struct err err = { 0 };
	int fd = seed_open(text, &err);
	struct stat st;
	u8 *image;

	ck_assert_msg(fd >= 0, "%s", err.msg);
	ck_assert_int_eq(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	ck_assert_int_eq(fstat(fd, &st), 0);
	image = xalloc((size_t)st.st_size);
	ck_assert_int_eq(pread(fd, image, (size_t)st.st_size, 0), st.st_size);
	close(fd);
	volume_open(v, image, (size_t)st.st_size);
	ck_assert_mem_eq(image + v->root_at, label, 12);
}

static void seed_read_image(struct volume *v, const char *text)
{
	seed_read_volume(v, text, "CIDATA     \x08");
}

static void expect_file(const struct volume *v, const char *name,
			const char *want)
{
	u32 size;
	char *data = volume_file(v, name, &size);

	ck_assert_msg(data, "no %s", name);
	ck_assert_str_eq(data, want);
	ck_assert_uint_eq(size, strlen(want));
	free(data);
}

START_TEST(what_is_given)
{
	char *text = xprintf("ssh-key=%s/key,hostname=web \"1\",password=p:q,"
			     "network-config=%s/net,instance-id=i-1",
			     dir, dir);
	struct volume v;

	put_text("key", "# mine\n" KEY "\r\n\nssh-rsa BBBB\n");
	put_text("net", "version: 2\n");
	seed_read_image(&v, text);
	expect_file(&v, "meta-data",
		    "instance-id: \"i-1\"\n"
		    "local-hostname: \"web \\\"1\\\"\"\n"
		    "public-keys:\n"
		    "  - \"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE "
		    "me@\\\"here\\\"\"\n"
		    "  - \"ssh-rsa BBBB\"\n");
	expect_file(&v, "user-data", "#cloud-config\n{}\n");
	expect_file(&v, "vendor-data",
		    "#cloud-config\nssh_pwauth: true\n"
		    "chpasswd: { expire: false }\npassword: \"p:q\"\n");
	expect_file(&v, "network-config", "version: 2\n");
	free(v.image);
	free(text);
}

END_TEST

START_TEST(config_drive)
{
	char *text = xprintf("config-drive=on,ssh-key=%s/key,hostname=web,"
			     "password=p,instance-id=i-1",
			     dir);
	struct volume v;

	put_text("key", KEY "\nssh-rsa BBBB\n");
	seed_read_volume(&v, text, "config-2   \x08");
	expect_file(&v, "openstack/latest/meta_data.json",
		    "{\n \"uuid\": \"i-1\",\n \"hostname\": \"web\",\n"
		    " \"name\": \"web\",\n \"public_keys\": {\n"
		    "  \"key0\": \"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE "
		    "me@\\\"here\\\"\",\n  \"key1\": \"ssh-rsa BBBB\"\n }\n}");
	expect_file(&v, "openstack/latest/user_data", "#cloud-config\n{}\n");
	expect_file(&v, "openstack/latest/vendor_data.json",
		    "{\n \"cloud-init\": \"#cloud-config\\nssh_pwauth: true\\n"
		    "chpasswd: { expire: false }\\npassword: \\\"p\\\"\\n\"\n}");
	free(v.image);
	free(text);
}

END_TEST

START_TEST(instances)
{
	struct volume v[2];
	char *meta[2];
	u32 size;

	for (int i = 0; i < 2; i++) {
		seed_read_image(&v[i], "hostname=a");
		meta[i] = volume_file(&v[i], "meta-data", &size);
		ck_assert_int_eq(strncmp(meta[i], "instance-id: \"vmon-", 19), 0);
		ck_assert_ptr_null(volume_file(&v[i], "vendor-data", &size));
	}
	ck_assert_str_ne(meta[0], meta[1]);
	for (int i = 0; i < 2; i++) {
		free(v[i].image);
		free(meta[i]);
	}
}

END_TEST

/* Of any length, over many clusters. */
START_TEST(sizes)
{
	static const size_t bytes[] = { 0,    1,     2047,     2048,
					2049, 70000, 1u << 20, 4180000 };
	char *text = xprintf("user-data=%s/user", dir);
	size_t size = bytes[_i];
	char *data = xalloc(size + 1), *got;
	struct volume v;
	u32 got_size;

	for (size_t n = 0; n < size; n++)
		data[n] = (char)('a' + n * 7 % 23 + n / 2048 % 3);
	put_file("user", data, size);
	seed_read_image(&v, text);
	got = volume_file(&v, "user-data", &got_size);
	ck_assert_uint_eq(got_size, size);
	ck_assert_mem_eq(got, data, size + 1);
	free(got);
	free(data);
	free(v.image);
	free(text);
}

END_TEST

static const struct {
	const char *text, *want;
} refused[] = {
	{ "ssh-key=DIR/none",
	  "ssh-key: could not read 'DIR/none': No such file "
	  "or directory" },
	{ "ssh-key=DIR", "ssh-key: could not read 'DIR': Is a directory" },
	{ "ssh-key=DIR/private",
	  "ssh-key: 'DIR/private' is a private key; the public one is in "
	  "'DIR/private.pub'" },
	{ "ssh-key=DIR/empty", "ssh-key: no key in 'DIR/empty'" },
	{ "user-data=DIR/big",
	  "user-data: 'DIR/big' has more than 4194304 bytes" },
	{ "user-data=/dev/zero",
	  "user-data: '/dev/zero' has more than 4194304 bytes" },
	{ "hostname=\xff", "hostname is not in UTF-8" },
	{ "meta-data=DIR/empty,hostname=a",
	  "meta-data= says what ssh-key=, hostname= and instance-id= say, "
	  "too" },
	{ "vendor-data=DIR/empty,password=a",
	  "password= is put into vendor-data, and vendor-data= is given" },
	{ "config-drive=on,network-config=DIR/empty",
	  "a config drive has no network-config=; say it in user-data=" },
	{ "hots=a", "property 'hots' not found" },
};

/* Replaces DIR. */
static char *with_dir(const char *text)
{
	const char *at = strstr(text, "DIR");
	char *rest, *out;

	if (!at)
		return xstrdup(text);
	rest = with_dir(at + 3);
	out = xprintf("%.*s%s%s", (int)(at - text), text, dir, rest);
	free(rest);
	return out;
}

START_TEST(refuses)
{
	char *text = with_dir(refused[_i].text);
	char *want = with_dir(refused[_i].want);
	static char big[FAT_BYTES_MAX + 1];
	struct err err = { 0 };

	put_text("private", "-----BEGIN OPENSSH PRIVATE KEY-----\n");
	put_text("empty", "# nothing\n");
	memset(big, 'x', sizeof big);
	put_file("big", big, sizeof big);
	ck_assert_int_lt(seed_open(text, &err), 0);
	ck_assert_msg(!strncmp(err.msg, want, strlen(want)), "%s: %s", text,
		      err.msg);
	free(text);
	free(want);
}

END_TEST

int main(void)
{
	Suite *s = suite_create("seed");
	TCase *t = tcase_create("seed");
	SRunner *r;
	int failed;

	tcase_add_unchecked_fixture(t, make_dir, remove_dir);
	tcase_add_test(t, what_is_given);
	tcase_add_test(t, config_drive);
	tcase_add_test(t, instances);
	tcase_add_loop_test(t, sizes, 0, 8);
	tcase_add_loop_test(t, refuses, 0, ARRAY_SIZE(refused));
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
