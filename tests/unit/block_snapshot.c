/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * External snapshots of drives in use, at random: against a model in memory
 * and what the images below must keep.
 *
 * SNAPSHOT_SEED repeats a run.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "block/block.h"
#include "block/image.h"
#include "lib/err.h"
#include "lib/loop.h"
#include "lib/opt.h"
#include "tests/unit/qcow2_disk.h"

#define DISK_BYTES (1 * MIB + 512) /* no whole number of clusters */
#define LEVELS     6

static struct loop *loop;
static char dir[64];
static u64 seed;
static u8 *model;

static u64 rnd_below(u64 n)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (seed >> 33) % n;
}

static void setup(void)
{
	const char *value = getenv("SNAPSHOT_SEED");

	seed = value ? strtoull(value, NULL, 0) : (u64)time(NULL);
	loop = loop_create();
	ck_assert_ptr_nonnull(loop);
	strcpy(dir, "/var/tmp/vmon-snapshot-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	model = calloc(1, DISK_BYTES);
}

static void teardown(void)
{
	char command[128];

	block_destroy_all();
	loop_destroy(loop);
	free(model);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	ck_assert_int_eq(system(command), 0);
}

static void path_of(char path[96], int level)
{
	snprintf(path, 96, "%s/%d", dir, level);
}

static struct block *open_drive(const char *options)
{
	struct err err = { 0 };
	struct block *b;
	struct opts o;
	char text[256], path[96];
	int fd;

	path_of(path, 0);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	ck_assert_int_eq(ftruncate(fd, DISK_BYTES), 0);
	close(fd);
	snprintf(text, sizeof(text), "file=%s,format=raw,%s", path, options);
	ck_assert_int_eq(opts_parse(&o, text, "file", &err), 0);
	b = block_create(loop, &o, &err);
	opts_fini(&o);
	ck_assert_msg(b != NULL, "%s", err.msg);
	return b;
}

static void take(struct block *b, int level)
{
	struct block_snapshot *s;
	struct err err = { 0 };
	char path[96];

	path_of(path, level);
	s = block_snapshot_prepare(b, path, NULL, false, &err);
	ck_assert_msg(s != NULL, "%s", err.msg);
	block_snapshot_commit(s);
}

/* Writes at random; all of it is under way when this returns. */
static void scribble(struct block *b, struct disk_req *reqs, int n)
{
	u64 stripe = DISK_BYTES / 512 / n * 512;

	/* Those under way at once must not meet. */
	for (int i = 0; i < n; i++) {
		u64 len = 512 * (1 + rnd_below(40));
		u64 at = i * stripe + 512 * rnd_below((stripe - len) / 512);
		u8 *data = malloc(len);

		memset(data, rnd_below(256), len);
		memcpy(model + at, data, len);
		reqs[i] = (struct disk_req){
			.req = { .offset = at, .done = disk_done },
			.iov = { data, len },
		};
		reqs[i].req.iov = &reqs[i].iov;
		reqs[i].req.niov = 1;
		block_write(b, &reqs[i].req);
	}
}

static void settle(struct disk_req *reqs, int n)
{
	for (int i = 0; i < n; i++) {
		while (!reqs[i].done)
			loop_once(loop, NS_PER_S);
		ck_assert_int_eq(reqs[i].req.result, 0);
		free(reqs[i].iov.iov_base);
	}
}

static void check_image(int level, const u8 *want, u64 start)
{
	struct image_mode mode = { .unlocked = true };
	u8 *data = malloc(DISK_BYTES);
	struct err err = { 0 };
	struct image *i;
	char path[96];

	path_of(path, level);
	i = image_open(path, level ? "qcow2" : "raw", &mode, &err);
	ck_assert_msg(i != NULL, "%s", err.msg);
	ck_assert_int_eq(image_read(i, 0, data, DISK_BYTES), 0);
	ck_assert_msg(!memcmp(data, want, DISK_BYTES),
		      "SNAPSHOT_SEED=%llu: image %d differs",
		      (unsigned long long)start, level);
	image_close(i);
	free(data);
}

static void check_levels(const char *options)
{
	struct block *b = open_drive(options);
	u8 *kept[LEVELS];
	struct disk_req reqs[8];
	u64 start = seed;

	for (int level = 0; level < LEVELS; level++) {
		scribble(b, reqs, ARRAY_SIZE(reqs));
		if (level == LEVELS - 1) {
			settle(reqs, ARRAY_SIZE(reqs));
			break;
		}
		/* What is under way belongs to the image below. */
		take(b, level + 1);
		kept[level] = malloc(DISK_BYTES);
		memcpy(kept[level], model, DISK_BYTES);
		settle(reqs, ARRAY_SIZE(reqs));
		disk_read_check(loop, b, model, DISK_BYTES, start);
	}
	disk_read_check(loop, b, model, DISK_BYTES, start);
	block_destroy(b);
	for (int level = 0; level < LEVELS - 1; level++) {
		check_image(level, kept[level], start);
		free(kept[level]);
	}
	check_image(LEVELS - 1, model, start);
}

START_TEST(test_levels)
{
	check_levels("discard=unmap");
}

END_TEST

START_TEST(test_levels_direct)
{
	check_levels("cache=none,aio=native");
}

END_TEST

START_TEST(test_commit)
{
	struct block *b = open_drive("discard=unmap");
	struct disk_req reqs[8];
	struct err err = { 0 };
	u64 start = seed;

	take(b, 1);
	scribble(b, reqs, ARRAY_SIZE(reqs));
	settle(reqs, ARRAY_SIZE(reqs));
	ck_assert_msg(block_commit(b, &err) == 0, "%s", err.msg);
	disk_read_check(loop, b, model, DISK_BYTES, start);
	block_destroy(b);
	check_image(0, model, start);
}

END_TEST

/* Of `path`, as another program. */
static bool can_open(int level, bool write)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct image_mode mode = { .write = write };
		struct image *i;
		char path[96];

		path_of(path, level);
		i = image_open(path, level ? "qcow2" : "raw", &mode, NULL);
		_exit(i ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status == 0;
}

START_TEST(test_locks)
{
	struct block *b = open_drive("discard=unmap");

	ck_assert(!can_open(0, false));
	take(b, 1);
	ck_assert(can_open(0, false)); /* it is only read */
	ck_assert(!can_open(0, true));
	ck_assert(!can_open(1, false));
	block_destroy(b);
	ck_assert(can_open(0, true));
	ck_assert(can_open(1, true));
}

END_TEST

START_TEST(test_abort)
{
	struct block *b = open_drive("discard=unmap");
	struct block_snapshot *s;
	struct disk_req reqs[8];
	struct err err = { 0 };
	u64 start = seed;
	char path[96];

	path_of(path, 1);
	s = block_snapshot_prepare(b, path, NULL, false, &err);
	ck_assert_msg(s != NULL, "%s", err.msg);
	ck_assert_int_eq(access(path, F_OK), 0);
	block_snapshot_abort(s);
	ck_assert_int_eq(access(path, F_OK), -1);
	scribble(b, reqs, ARRAY_SIZE(reqs));
	settle(reqs, ARRAY_SIZE(reqs));
	block_destroy(b);
	check_image(0, model, start);
}

END_TEST

START_TEST(test_refused)
{
	struct block *b = open_drive("discard=unmap");
	struct err err = { 0 };
	char path[96];
	int fd;

	path_of(path, 0); /* itself */
	ck_assert_ptr_null(block_snapshot_prepare(b, path, NULL, false, &err));
	ck_assert_int_eq(err.code, -EINVAL);
	path_of(path, 1);
	ck_assert_ptr_null(block_snapshot_prepare(b, path, "raw", false, &err));
	ck_assert_ptr_null(block_snapshot_prepare(b, path, "x", false, &err));
	ck_assert_int_eq(access(path, F_OK), -1);
	/* What was there is left there, if it is to be used and cannot be. */
	fd = open(path, O_RDWR | O_CREAT, 0600);
	ck_assert_int_eq(write(fd, "mine", 4), 4);
	close(fd);
	ck_assert_ptr_null(block_snapshot_prepare(b, path, NULL, true, &err));
	ck_assert_int_eq(access(path, F_OK), 0);
	disk_read_check(loop, b, model, DISK_BYTES, 0);
}

END_TEST

int main(void)
{
	Suite *s = suite_create("block_snapshot");
	TCase *tc = tcase_create("all");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_levels);
	tcase_add_test(tc, test_levels_direct);
	tcase_add_test(tc, test_commit);
	tcase_add_test(tc, test_locks);
	tcase_add_test(tc, test_abort);
	tcase_add_test(tc, test_refused);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
