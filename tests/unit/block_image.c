/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * New images of all kinds, what may not be, how long they will be, and
 * compressed clusters.
 */
#include "block/image.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/opt.h"

static char dir[64], path[96];

static void setup(void)
{
	strcpy(dir, "/var/tmp/vmon-image-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/image", dir);
}

static void teardown(void)
{
	unlink(path);
	rmdir(dir);
}

static int options(const char *text, struct image_options *o, struct err *err)
{
	const struct option_row *rows = image_option_rows("qcow2");
	struct opts list;
	int r;

	memset(o, 0, sizeof(*o));
	ck_assert_int_eq(opts_parse(&list, text, NULL, err), 0);
	r = opts_apply(&list, rows, o, err);
	if (r == 0)
		r = opts_check_used(&list, rows, err);
	opts_fini(&list);
	return r;
}

static int create(const char *text, struct err *err)
{
	struct image_options o;
	int r = options(text, &o, err);

	if (r == 0)
		r = image_create(path, "qcow2", &o, err);
	opt_rows_fini(image_option_rows("qcow2"), &o);
	return r;
}

static struct image *open_image(bool write)
{
	struct image_mode mode = { .write = write };
	struct err err = { 0 };
	struct image *i = image_open(path, "qcow2", &mode, &err);

	ck_assert_msg(i != NULL, "%s", err.msg);
	return i;
}

/* Clusters that are compressed. */
static u64 is_sound(void)
{
	struct image *i = open_image(false);
	struct image_check c;
	struct buf text = { 0 };

	ck_assert_int_eq(image_check(i, 0, &c, &text), 0);
	ck_assert_msg(!c.errors && !c.leaks, "%s", buf_str(&text));
	buf_fini(&text);
	image_close(i);
	return c.compressed;
}

static struct stat file_stat(void)
{
	struct stat st;

	ck_assert_int_eq(stat(path, &st), 0);
	return st;
}

/* ---- Creation ---- */

static const char *const create_kinds[] = {
	"compat=1.1",
	"compat=0.10",
	"lazy_refcounts=on",
	"refcount_bits=1",
	"refcount_bits=64",
	"compression_type=zstd",
	"preallocation=metadata",
	"preallocation=falloc",
	"preallocation=full",
	"backing_file=below,backing_fmt=raw",
};

static void header_is(u32 cluster, u64 size, const char *kind)
{
	int fd = open(path, O_RDONLY);
	u32 version = strcmp(kind, "compat=0.10") ? 3 : 2;
	u64 per_table = cluster / 8ULL * cluster;
	u8 h[112];

	ck_assert_int_eq(pread(fd, h, sizeof(h), 0), sizeof(h));
	close(fd);
	ck_assert_mem_eq(h, "QFI\xfb", 4);
	ck_assert_uint_eq(get_be32(h + 4), version);
	ck_assert_uint_eq(1u << get_be32(h + 20), cluster);
	ck_assert_uint_eq(get_be64(h + 24), size);
	ck_assert_uint_eq(get_be32(h + 36), (size + per_table - 1) / per_table);
	ck_assert_uint_eq(get_be64(h + 48), cluster);
	if (version == 2)
		return;
	ck_assert_uint_eq(get_be64(h + 72), strstr(kind, "zstd") ? 8 : 0);
	ck_assert_uint_eq(get_be64(h + 80), !!strstr(kind, "lazy"));
	ck_assert_uint_eq(get_be32(h + 96), strstr(kind, "64")       ? 6
					    : strstr(kind, "bits=1") ? 0
								     : 4);
	ck_assert_uint_eq(get_be32(h + 100), 112);
}

/* What was said before is what it takes, with nothing in it or with all. */
static void length_is(const char *text, bool allocated)
{
	struct image_options o;
	struct err err = { 0 };
	struct image *i;
	u64 required, full;
	bool backed;
	u8 *data;

	ck_assert_int_eq(options(text, &o, &err), 0);
	ck_assert_int_eq(image_measure("qcow2", &o, 0, &required, &full, &err),
			 0);
	ck_assert_uint_le(file_stat().st_size, allocated ? full : required);
	backed = o.backing;
	opt_rows_fini(image_option_rows("qcow2"), &o);
	if (backed)
		return;
	i = open_image(true);
	data = malloc(MAX(o.size, 1));
	memset(data, 0x5a, o.size);
	ck_assert_int_eq(image_write(i, 0, data, o.size), 0);
	free(data);
	image_close(i);
	/* A table that had to grow leaves the place where it was. */
	ck_assert_uint_le(file_stat().st_size, full + 2 * o.cluster_size);
	ck_assert_uint_ge(file_stat().st_size + 2 * o.cluster_size, full);
}

static void reads_zero(u64 size)
{
	struct image_mode mode = { .alone = true };
	struct image *i = image_open(path, "qcow2", &mode, NULL);
	u8 *data = malloc(MAX(size, 1)), nonzero = 0;

	ck_assert_ptr_nonnull(i);
	ck_assert_uint_eq(image_size(i), size);
	memset(data, 1, size);
	ck_assert_int_eq(image_read(i, 0, data, size), 0);
	for (u64 k = 0; k < size; k++)
		nonzero |= data[k];
	ck_assert_uint_eq(nonzero, 0);
	free(data);
	image_close(i);
}

START_TEST(image_of_all_kinds)
{
	const char *kind = create_kinds[_i];
	static const u32 clusters[] = { 512, 4096, 65536, 2 * MIB };
	static const u64 sizes[] = { 0, 512, 33280, 3 * MIB + 512 };
	bool backed = strstr(kind, "backing"), all = strstr(kind, "prealloc");
	struct err err = { 0 };
	char text[160];

	for (size_t c = 0; c < ARRAY_SIZE(clusters); c++)
		for (size_t n = 0; n < ARRAY_SIZE(sizes); n++) {
			snprintf(text, sizeof(text),
				 "%s,cluster_size=%u,size=%llu", kind,
				 clusters[c], (unsigned long long)sizes[n]);
			ck_assert_msg(create(text, &err) == 0, "%s: %s", text,
				      err.msg);
			header_is(clusters[c], sizes[n], kind);
			reads_zero(sizes[n]);
			if (!backed)
				ck_assert_uint_eq(is_sound(), 0);
			length_is(text, all);
			if (!backed)
				ck_assert_uint_eq(is_sound(), 0);
		}
}

END_TEST

START_TEST(image_takes_the_space)
{
	struct err err = { 0 };

	ck_assert_int_eq(create("size=3M,preallocation=metadata", &err), 0);
	ck_assert_uint_ge(file_stat().st_size, 3 * MIB);
	ck_assert_uint_lt(file_stat().st_blocks * 512, MIB);
	ck_assert_int_eq(create("size=3M,preallocation=falloc", &err), 0);
	ck_assert_uint_ge(file_stat().st_blocks * 512, 3 * MIB);
	ck_assert_int_eq(create("size=3M,preallocation=full", &err), 0);
	ck_assert_uint_ge(file_stat().st_blocks * 512, 3 * MIB);
}

END_TEST

/* What is refused leaves what was there. */
START_TEST(image_refuses)
{
	static const char *const bad[][2] = {
		{ "size=1M,cluster_size=3", "power of two" },
		{ "size=1M,cluster_size=256", "512" },
		{ "size=1M,cluster_size=4M", "2048k" },
		{ "size=1M,refcount_bits=3", "power of two" },
		{ "size=1M,refcount_bits=128", "64 bits" },
		{ "size=1M,refcount_bits=0", "power of two" },
		{ "size=1M,compat=0.10,refcount_bits=8", "1.1" },
		{ "size=1M,compat=0.10,lazy_refcounts=on", "1.1" },
		{ "size=1M,compat=0.10,compression_type=zstd", "1.1" },
		{ "size=1M,compat=0.10,extended_l2=on", "1.1" },
		{ "size=1M,extended_l2=on,cluster_size=8k", "16384" },
		{ "size=8E", "" },
		{ "size=1T,cluster_size=512", "too large" },
		{ "size=1M,preallocation=full,backing_file=x", "extended_l2" },
		{ "size=1M,backing_fmt="
		  "01234567890123456789012345678901,backing_file=x",
		  "too long" },
		{ "size=1M,preallocation=some", "metadata" },
		{ "size=1M,compat=2", "0.10" },
		{ "size=1M,nosuch=1", "nosuch" },
	};

	for (size_t n = 0; n < ARRAY_SIZE(bad); n++) {
		int fd = open(path, O_CREAT | O_TRUNC | O_RDWR, 0600);
		struct err err = { 0 };
		char back[4] = "";

		ck_assert_int_eq(write(fd, "kept", 4), 4);
		ck_assert_msg(create(bad[n][0], &err) < 0, "%s", bad[n][0]);
		ck_assert_msg(strstr(err.msg, bad[n][1]), "%s: %s", bad[n][0],
			      err.msg);
		ck_assert_uint_eq(file_stat().st_size, 4);
		ck_assert_int_eq(pread(fd, back, 4, 0), 4);
		ck_assert_mem_eq(back, "kept", 4);
		close(fd);
	}
}

END_TEST

/* ---- Compressed clusters ---- */

#define PACK_CLUSTERS 40u

static void pack_fill(u8 *data, u32 cluster, u32 n)
{
	u32 noise = n * 2654435761u + 1;

	for (u32 i = 0; i < cluster; i++) {
		noise = noise * 1664525u + 1013904223u;
		switch (n % 4) {
		case 0: data[i] = 0; break;
		case 1: data[i] = (u8) "what people write "[i % 18]; break;
		case 2: data[i] = i % 7 ? 0 : noise >> 24; break;
		default: data[i] = noise >> 24;
		}
	}
}

/* Packs cluster `n`, or writes what does not get smaller; whether it did. */
static bool pack_one(struct image *i, u8 *data, u8 *out, u32 cluster, u32 n)
{
	u32 len = cluster;

	pack_fill(data, cluster, n);
	ck_assert_int_eq(image_pack(i, data, out, &len), 0);
	ck_assert_uint_lt(len, cluster);
	if (n % 4 == 3)
		ck_assert_uint_eq(len, 0);
	else if (cluster >= 4096)
		ck_assert_uint_ne(len, 0);
	ck_assert_int_eq(len ? image_write_packed(i, (u64)n * cluster, out, len)
			     : image_write(i, (u64)n * cluster, data, cluster),
			 0);
	return len;
}

static void pack_check(u32 cluster, const bool *plain)
{
	struct image *i = open_image(false);
	u8 *data = malloc(cluster), *want = malloc(cluster);

	for (u32 n = 0; n < PACK_CLUSTERS; n++) {
		u32 from = n * 37 % cluster;

		pack_fill(want, cluster, n);
		if (plain[n])
			memset(want, 0x77, 512);
		ck_assert_int_eq(image_read(i, (u64)n * cluster, data, cluster),
				 0);
		ck_assert_mem_eq(data, want, cluster);
		ck_assert_int_eq(image_read(i, (u64)n * cluster + from, data,
					    cluster - from),
				 0);
		ck_assert_mem_eq(data, want + from, cluster - from);
	}
	free(data);
	free(want);
	image_close(i);
}

START_TEST(image_packs)
{
	static const char *const kinds[] = {
		"compression_type=zlib", "compression_type=zstd",
		"compat=0.10",           "refcount_bits=1",
		"refcount_bits=2",       "lazy_refcounts=on",
	};
	static const u32 clusters[] = { 512, 4096, 65536, 1 * MIB };
	struct err err = { 0 };

	for (size_t c = 0; c < ARRAY_SIZE(clusters); c++) {
		u32 cluster = clusters[c];
		u8 *data = malloc(cluster), *out = malloc(cluster);
		bool plain[PACK_CLUSTERS] = { 0 };
		u64 packed = 0, size;
		struct image *i;
		char text[128];

		snprintf(text, sizeof(text), "%s,cluster_size=%u,size=%llu",
			 kinds[_i], cluster,
			 (unsigned long long)PACK_CLUSTERS * cluster);
		ck_assert_msg(create(text, &err) == 0, "%s", err.msg);
		i = open_image(true);
		/* In no order: 17 and 40 have no divisor in common. */
		for (u32 n = 0; n < PACK_CLUSTERS; n++)
			packed += pack_one(i, data, out, cluster,
					   n * 17 % PACK_CLUSTERS);
		image_close(i);
		ck_assert_uint_eq(is_sound(), packed);
		ck_assert_uint_eq(file_stat().st_size % 512, 0);
		pack_check(cluster, plain);
		/* Some of them get a part of something else. */
		size = file_stat().st_size;
		i = open_image(true);
		memset(data, 0x77, 512);
		for (u32 n = 0; n < PACK_CLUSTERS; n += 5) {
			plain[n] = true;
			ck_assert_int_eq(
				image_write(i, (u64)n * cluster, data, 512), 0);
		}
		image_close(i);
		ck_assert_uint_lt(is_sound(), packed);
		pack_check(cluster, plain);
		ck_assert_uint_lt(file_stat().st_size,
				  size + (PACK_CLUSTERS / 5 + 3) * cluster);
		free(data);
		free(out);
	}
}

END_TEST

int main(void)
{
	Suite *s = suite_create("block_image");
	TCase *t = tcase_create("image");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, image_of_all_kinds, 0, ARRAY_SIZE(create_kinds));
	tcase_add_test(t, image_takes_the_space);
	tcase_add_test(t, image_refuses);
	tcase_add_loop_test(t, image_packs, 0, 6);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
