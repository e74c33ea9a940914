/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * qcow2 images, at random: against a model in memory, and against qemu-img
 * and qemu-io, which check, compare and change the same image.
 *
 * QCOW2_SEED repeats a run, QCOW2_IMAGES makes it longer.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "block/block.h"
#include "lib/err.h"
#include "lib/loop.h"
#include "lib/opt.h"
#include "tests/unit/qcow2_disk.h"

#define DISK_MAX (6 * MIB)
#define PARALLEL 6

static struct loop *loop;
static char dir[64];
static u64 seed;
static u8 *model;

/* ---- Randomness ---- */

static u64 rnd(void)
{
	/* splitmix64 */
	u64 z = (seed += 0x9e3779b97f4a7c15ULL);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static u64 rnd_below(u64 n)
{
	return rnd() % n;
}

static bool one_in(u64 n)
{
	return rnd_below(n) == 0;
}

static u64 number(const char *name, u64 def)
{
	const char *value = getenv(name);

	return value ? strtoull(value, NULL, 0) : def;
}

/* ---- The tools ---- */

static PRINTF_LIKE(1, 2) int tool(const char *fmt, ...)
{
	char text[2048], *all;
	va_list ap;
	int status;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	ck_assert_int_gt(asprintf(&all, "cd %s && %s >out 2>&1", dir, text), 0);
	status = system(all);
	free(all);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void tool_failed(const char *what, int status, u64 start)
{
	char text[4096] = "", *path;
	FILE *f;

	ck_assert_int_gt(asprintf(&path, "%s/out", dir), 0);
	f = fopen(path, "r");
	if (f)
		text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	ck_abort_msg("QCOW2_SEED=%llu: %s: %d\n%s", (unsigned long long)start,
		     what, status, text);
}

#define must(start, ...)                                               \
	do {                                                           \
		int must_status = tool(__VA_ARGS__);                   \
		if (must_status)                                       \
			tool_failed(#__VA_ARGS__, must_status, start); \
	} while (0)

/* ---- The image ---- */

struct image {
	u64 start, size; /* seed; bytes */
	u32 cluster_bits, refcount_bits;
	bool v2, lazy, extended, zstd, backed, snapshot;
	char options[160];
};

static struct image *random_image(struct image *im)
{
	im->start = seed;
	im->v2 = one_in(4);
	im->cluster_bits = 9 + rnd_below(13);
	im->refcount_bits = im->v2 ? 16 : 1u << rnd_below(7);
	im->lazy = !im->v2 && one_in(4);
	im->extended = !im->v2 && im->cluster_bits >= 14 && one_in(2);
	im->zstd = !im->v2 && one_in(2);
	im->backed = one_in(2);
	im->snapshot = im->refcount_bits >= 16 && one_in(3);
	im->size = 512 * (1 + rnd_below(DISK_MAX / 512));
	if (im->cluster_bits < 12)
		im->size = MIN(im->size, MIB + 512);
	snprintf(im->options, sizeof(im->options),
		 "cluster_size=%u,compat=%s%s", 1u << im->cluster_bits,
		 im->v2 ? "0.10" : "1.1",
		 im->v2     ? ""
		 : im->lazy ? ",lazy_refcounts=on"
			    : "");
	if (!im->v2)
		snprintf(im->options + strlen(im->options), 100,
			 ",refcount_bits=%u,extended_l2=%s,compression_type=%s",
			 im->refcount_bits, im->extended ? "on" : "off",
			 im->zstd ? "zstd" : "zlib");
	return im;
}

static void save_model(const struct image *im, const char *name)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, model, im->size), im->size);
	close(fd);
}

static void fill_random(u8 *at, u64 len)
{
	u64 value = rnd();

	/* Runs that compress, and pieces that do not. */
	for (u64 i = 0; i < len; i++) {
		if (i % 4096 == 0)
			value = rnd();
		at[i] = value & 1 ? value >> (i % 8 * 8) ^ (i >> 3)
				  : value >> 8;
	}
}

static void create_image(struct image *im)
{
	u64 s = im->start;

	memset(model, 0, im->size);
	if (im->backed || one_in(3)) {
		u64 at = rnd_below(im->size / 512) * 512;

		fill_random(model + at, MIN(im->size - at, MIB));
		save_model(im, "base");
		if (im->backed && one_in(2))
			must(s,
			     "qemu-img convert -f raw -O qcow2 base q && mv q base"
			     " && qemu-img create -q -f qcow2 -o %s -b base -F qcow2 img",
			     im->options);
		else if (im->backed)
			must(s,
			     "qemu-img create -q -f qcow2 -o %s -b base -F raw img",
			     im->options);
		else
			must(s,
			     "qemu-img convert -f raw -O qcow2 -c -o %s base img",
			     im->options);
	} else {
		must(s, "qemu-img create -q -f qcow2 -o %s img %llu",
		     im->options, (unsigned long long)im->size);
	}
}

static void check_image(struct image *im)
{
	int status = tool("qemu-img check -f qcow2 img");

	if (status)
		tool_failed("qemu-img check", status, im->start);
	save_model(im, "model");
	must(im->start, "qemu-img compare -f raw -F qcow2 model img");
}

/* ---- The drive ---- */

static struct block *open_drive(const struct image *im, const char *more)
{
	struct err err = { 0 };
	struct block *b;
	struct opts o;
	char text[256];

	snprintf(text, sizeof(text), "file=%s/img,format=qcow2%s", dir, more);
	ck_assert_int_eq(opts_parse(&o, text, "file", &err), 0);
	b = block_create(loop, &o, &err);
	opts_fini(&o);
	ck_assert_msg(b != NULL, "QCOW2_SEED=%llu: %s",
		      (unsigned long long)im->start, err.msg);
	return b;
}

static const char *random_options(void)
{
	static const char *const some[] = {
		",cache=none,aio=native", ",cache=none",   ",cache=unsafe",
		",cache=unsafe",          ",cache=unsafe", "",
		",cache=writethrough",
	};

	return some[rnd_below(ARRAY_SIZE(some))];
}

struct job {
	struct block_req req;
	struct iovec iov[3];
	u8 *buf;
	u64 offset, len;
	int kind;
	int *left;
};

static void job_done(struct block_req *r)
{
	(*container_of(r, struct job, req)->left)--;
}

static void job_start(struct block *b, struct job *j)
{
	u64 a = rnd_below(j->len + 1), c = rnd_below(j->len - a + 1);

	j->req = (struct block_req){
		.iov = j->iov,
		.niov = 3,
		.offset = j->offset,
		.bytes = j->len,
		.done = job_done,
		.flags = one_in(2) ? BLOCK_REQ_UNMAP : 0,
	};
	j->iov[0] = (struct iovec){ j->buf, a };
	j->iov[1] = (struct iovec){ j->buf + a, c };
	j->iov[2] = (struct iovec){ j->buf + a + c, j->len - a - c };
	switch (j->kind) {
	case 0: block_read(b, &j->req); break;
	case 1: block_write(b, &j->req); break;
	case 2: block_write_zeroes(b, &j->req); break;
	default: block_discard(b, &j->req);
	}
}

static void job_check(struct image *im, struct job *j)
{
	ck_assert_msg(j->req.result == 0, "QCOW2_SEED=%llu: %d",
		      (unsigned long long)im->start, j->req.result);
	if (j->kind == 0)
		ck_assert_msg(!memcmp(j->buf, model + j->offset, j->len),
			      "QCOW2_SEED=%llu: other data at %llu + %llu",
			      (unsigned long long)im->start,
			      (unsigned long long)j->offset,
			      (unsigned long long)j->len);
	if (j->kind == 1)
		memcpy(model + j->offset, j->buf, j->len);
	if (j->kind == 2)
		memset(model + j->offset, 0, j->len);
	free(j->buf);
}

static bool jobs_meet(const struct job *a, const struct job *b)
{
	return (a->kind || b->kind) && a->offset < b->offset + b->len &&
	       b->offset < a->offset + a->len;
}

/* Some requests at once that do not overlap. */
static void run_jobs(struct block *b, struct image *im)
{
	struct job jobs[PARALLEL];
	int n = 0, left;

	for (int i = 0; i < PARALLEL; i++) {
		struct job *j = &jobs[n];
		u64 unit = one_in(4) ? 1 : 512;
		u64 cluster = 1ULL << im->cluster_bits;

		j->offset = rnd_below(im->size / unit) * unit;
		if (one_in(3))
			j->offset &= ~(cluster - 1);
		j->len = 1 + rnd_below(one_in(3) ? 4 * cluster : 8192);
		if (unit > 1)
			j->len = (j->len + 511) & ~511ULL;
		j->len = MIN(j->len, im->size - j->offset);
		j->len = MIN(j->len, 2 * MIB);
		j->kind = rnd_below(5);
		j->kind = j->kind == 4 ? 1 : j->kind;
		for (int k = 0; k < n && j; k++)
			if (jobs_meet(j, &jobs[k]))
				j = NULL;
		if (!j)
			continue;
		j->buf = malloc(j->len);
		fill_random(j->buf, j->len);
		j->left = &left;
		n++;
	}
	left = n;
	if (one_in(2))
		block_plug(b);
	for (int i = 0; i < n; i++)
		job_start(b, &jobs[i]);
	if (b->plugged)
		block_unplug(b);
	while (left)
		loop_once(loop, NS_PER_S);
	for (int i = 0; i < n; i++) {
		struct job *j = &jobs[i];
		u64 offset = j->offset, len = j->len;
		bool discard = j->kind == 3;

		job_check(im, j);
		if (!discard)
			continue;
		/* Undefined: what is there now stays. */
		disk_read(loop, b, model + offset, offset, len);
	}
}

/* Requests that do overlap: any order will do, but nothing else gets hurt.
 * Clusters are given back while others are written. */
static void run_fight(struct block *b, struct image *im)
{
	u64 cluster = 1ULL << im->cluster_bits;
	u64 area = MIN(MAX(8 * cluster, 65536), im->size);
	struct job jobs[24];
	int left = ARRAY_SIZE(jobs);

	for (size_t i = 0; i < ARRAY_SIZE(jobs); i++) {
		struct job *j = &jobs[i];
		u64 most;

		j->kind = rnd_below(4);
		j->offset = rnd_below(area / 512) * 512;
		if (j->kind > 1)
			j->offset &= ~(cluster - 1);
		most = MIN(MIN(2 * cluster, MIB), im->size - j->offset);
		j->len = j->kind > 1 ? most : MIN(512 * (1 + i), most);
		j->buf = malloc(j->len);
		fill_random(j->buf, j->len);
		j->left = &left;
		job_start(b, j);
	}
	while (left)
		loop_once(loop, NS_PER_S);
	for (size_t i = 0; i < ARRAY_SIZE(jobs); i++) {
		ck_assert_int_eq(jobs[i].req.result, 0);
		free(jobs[i].buf);
	}
	disk_read(loop, b, model, 0, MIN(area + 2 * MIB, im->size));
}

static void run_qemu_io(struct image *im)
{
	u64 offset = rnd_below(im->size / 512) * 512;
	u64 some = 512 * (1 + rnd_below(200));
	u64 len = MIN(some, im->size - offset);
	u64 cluster = 1ULL << im->cluster_bits;
	u32 byte = rnd() & 0xff;

	switch (rnd_below(3)) {
	case 0:
		must(im->start,
		     "qemu-io -f qcow2 -c 'write -P %u %llu %llu' img", byte,
		     (unsigned long long)offset, (unsigned long long)len);
		memset(model + offset, byte, len);
		break;
	case 1:
		must(im->start, "qemu-io -f qcow2 -c 'write -z %llu %llu' img",
		     (unsigned long long)offset, (unsigned long long)len);
		memset(model + offset, 0, len);
		break;
	default:
		offset &= ~(cluster - 1);
		len = MIN(cluster, im->size - offset);
		if (len < cluster)
			return;
		/* QEMU does so only where nothing is yet. */
		if (!tool("qemu-io -f qcow2 -c 'write -c -P %u %llu %llu' img",
			  byte, (unsigned long long)offset,
			  (unsigned long long)len))
			memset(model + offset, byte, len);
	}
}

static void random_resize(struct block *b, struct image *im)
{
	u64 size =
		512 * (1 + rnd_below(im->cluster_bits < 12 ? 2 * MIB / 512
							   : DISK_MAX / 512));
	struct err err = { 0 };

	ck_assert_msg(block_resize(b, size, &err) == 0, "QCOW2_SEED=%llu: %s",
		      (unsigned long long)im->start, err.msg);
	if (size > im->size)
		memset(model + im->size, 0, size - im->size);
	im->size = size;
}

static void random_commit(struct block *b, struct image *im)
{
	struct err err = { 0 };

	ck_assert_msg(block_commit(b, &err) == 0, "QCOW2_SEED=%llu: %s",
		      (unsigned long long)im->start, err.msg);
}

static void random_life(void)
{
	struct image im;
	u8 *then = NULL;
	struct block *b;

	random_image(&im);
	create_image(&im);
	for (int session = 0; session < 3; session++) {
		b = open_drive(&im, one_in(2) ? ",discard=unmap" : "");
		block_destroy(b);
		if (im.snapshot && !then) {
			must(im.start, "qemu-img snapshot -c one img");
			then = malloc(im.size);
			memcpy(then, model, im.size);
		}
		char options[64];

		snprintf(options, sizeof(options), "%s%s", random_options(),
			 one_in(2) ? ",discard=unmap" : "");
		b = open_drive(&im, options);
		for (int i = 0; i < 12; i++) {
			run_jobs(b, &im);
			if (one_in(4))
				disk_flush(loop, b);
			if (!im.snapshot && one_in(12))
				random_resize(b, &im);
			if (!im.snapshot && im.backed && one_in(12))
				random_commit(b, &im);
		}
		disk_read_check(loop, b, model, im.size, im.start);
		run_fight(b, &im);
		disk_read_check(loop, b, model, im.size, im.start);
		block_destroy(b);
		check_image(&im);
		if (one_in(2))
			run_qemu_io(&im);
	}
	if (then) {
		memcpy(model, then, im.size);
		must(im.start, "qemu-img snapshot -a one img");
		check_image(&im);
		free(then);
	}
	tool("rm -f img base model");
}

START_TEST(random_images_agree_with_qemu)
{
	u64 images = number("QCOW2_IMAGES", 12);

	for (u64 i = 0; i < images; i++)
		random_life();
}

END_TEST

/* Requests while the file cannot grow beyond `limit`. */
static void run_full(struct block *b, struct image *im, u64 limit)
{
	struct rlimit all, few;
	u8 *data = malloc(MIB);

	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &all), 0);
	few = (struct rlimit){ limit, all.rlim_max };
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &few), 0);
	for (int i = 0; i < 40; i++) {
		u64 offset = rnd_below(im->size / 512) * 512;
		u64 len = 512 * (1 + rnd_below(300));
		bool zero = one_in(5);

		len = MIN(len, im->size - offset);
		memset(data, i + 1, len);
		if (one_in(4))
			disk_run(loop, b, block_flush, NULL, 0, 0);
		if (disk_run(loop, b, zero ? block_write_zeroes : block_write,
			     data, offset, len) == 0) {
			memset(model + offset, zero ? 0 : i + 1, len);
			continue;
		}
		/* A part of it may be there. */
		disk_read(loop, b, data, offset, len);
		for (u64 at = 0; at < len; at++)
			if (data[at] != model[offset + at] &&
			    data[at] != (zero ? 0 : i + 1))
				ck_abort_msg("QCOW2_SEED=%llu: neither old nor "
					     "new",
					     (unsigned long long)im->start);
		memcpy(model + offset, data, len);
	}
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &all), 0);
	free(data);
}

START_TEST(a_full_disk_leaves_a_sound_image)
{
	struct image im;
	struct block *b;
	struct stat st;
	char path[96];
	int status;

	signal(SIGXFSZ, SIG_IGN);
	for (int i = 0; i < 5; i++) {
		create_image(random_image(&im));
		snprintf(path, sizeof(path), "%s/img", dir);
		ck_assert_int_eq(stat(path, &st), 0);
		b = open_drive(&im, "");
		/* The messages of this test are in a file, too. */
		run_full(b, &im, st.st_size + MIB / 2 + rnd_below(MIB));
		disk_flush(loop, b);
		disk_read_check(loop, b, model, im.size, im.start);
		block_destroy(b);
		status = tool("qemu-img check -f qcow2 img");
		if (status != 0 && status != 3)
			tool_failed("qemu-img check", status, im.start);
		must(im.start, "qemu-img check -q -r leaks img || true");
		check_image(&im);
	}
}

END_TEST

static void setup(void)
{
	seed = number("QCOW2_SEED", time(NULL) * 1000003ULL + getpid());
	printf("QCOW2_SEED=%llu\n", (unsigned long long)seed);
	fflush(stdout);
	strcpy(dir, "/var/tmp/vmon-qcow2-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	loop = loop_create();
	model = malloc(DISK_MAX + 4096);
}

static void teardown(void)
{
	block_destroy_all();
	loop_destroy(loop);
	free(model);
	if (!getenv("QCOW2_KEEP"))
		tool("true; rm -rf %s", dir);
}

int main(void)
{
	Suite *s = suite_create("block_qcow2");
	TCase *t = tcase_create("random");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, number("QCOW2_IMAGES", 12) * 20);
	if (system("command -v qemu-img >/dev/null") == 0)
		tcase_add_test(t, random_images_agree_with_qemu);
	if (system("command -v qemu-img >/dev/null") == 0)
		tcase_add_test(t, a_full_disk_leaves_a_sound_image);
	else
		printf("no qemu-img: most is left out\n");
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
