/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Drives on real files: both engines, alignment, discard, overlay, locks.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "block/block.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/loop.h"
#include "lib/opt.h"

#define IMAGE_BYTES (1 * MIB + 512)

static struct loop *loop;
static char image[64];

/* Byte at `offset` of a fresh image. */
static u8 pattern(u64 offset)
{
	return (offset >> 9) * 7 + offset;
}

static void setup(void)
{
	u8 *data = malloc(IMAGE_BYTES);
	int fd;

	loop = loop_create();
	ck_assert_ptr_nonnull(loop);
	strcpy(image, "/var/tmp/vmon-block-XXXXXX");
	fd = mkstemp(image);
	ck_assert_int_ge(fd, 0);
	for (u64 i = 0; i < IMAGE_BYTES; i++)
		data[i] = pattern(i);
	ck_assert_int_eq(write(fd, data, IMAGE_BYTES), IMAGE_BYTES);
	close(fd);
	free(data);
}

static void teardown(void)
{
	block_destroy_all();
	unlink(image);
	loop_destroy(loop);
}

static struct block *try_open(const char *options, struct err *err)
{
	struct block *b;
	struct opts o;
	char text[256];

	snprintf(text, sizeof(text), "file=%s,%s", image, options);
	ck_assert_int_eq(opts_parse(&o, text, "file", err), 0);
	b = block_create(loop, &o, err);
	opts_fini(&o);
	return b;
}

static struct block *open_drive(const char *options)
{
	struct err err = { 0 };
	struct block *b = try_open(options, &err);

	ck_assert_msg(b != NULL, "%s", err.msg);
	return b;
}

struct test_req {
	struct block_req req;
	struct iovec iov;
	int done;
};

static void test_done(struct block_req *r)
{
	container_of(r, struct test_req, req)->done++;
}

typedef void submit_fn(struct block *b, struct block_req *r);

static int run(struct block *b, submit_fn *submit, void *buf, u64 offset,
	       u64 len)
{
	struct test_req t = {
		.req = { .offset = offset, .bytes = len, .done = test_done },
		.iov = { buf, len },
	};

	t.req.iov = &t.iov;
	t.req.niov = 1;
	submit(b, &t.req);
	ck_assert_msg(!t.done, "done() ran inside the submission");
	while (!t.done)
		loop_once(loop, NS_PER_S);
	ck_assert_int_eq(t.done, 1);
	return t.req.result;
}

static u8 file_byte(u64 offset)
{
	int fd = open(image, O_RDONLY);
	u8 byte = 0;

	ck_assert_int_eq(pread(fd, &byte, 1, offset), 1);
	close(fd);
	return byte;
}

/* Writes and reads back pieces of all alignments, checks the neighbours. */
static void check_rw(struct block *b)
{
	static const struct {
		u64 offset, len;
	} pieces[] = {
		{ 0, 512 },           { 512, 512 },  { 4096, 8192 },
		{ 7 * 512, 5 * 512 }, { 513, 1000 }, { 100000, 3 },
		{ 65536, 524288 },    { MIB, 512 },  { 511, 4098 },
	};

	u8 *shadow = malloc(IMAGE_BYTES), *buf = malloc(IMAGE_BYTES + 1);

	for (u64 i = 0; i < IMAGE_BYTES; i++)
		shadow[i] = pattern(i);
	for (size_t p = 0; p < ARRAY_SIZE(pieces); p++) {
		u8 *data = buf + (p & 1); /* odd addresses too */

		memset(data, 0xa0 + p, pieces[p].len);
		memcpy(shadow + pieces[p].offset, data, pieces[p].len);
		ck_assert_int_eq(run(b, block_write, data, pieces[p].offset,
				     pieces[p].len),
				 0);
	}
	ck_assert_int_eq(run(b, block_flush, NULL, 0, 0), 0);
	ck_assert_int_eq(run(b, block_read, buf, 0, IMAGE_BYTES), 0);
	ck_assert_int_eq(memcmp(buf, shadow, IMAGE_BYTES), 0);
	ck_assert_int_eq(run(b, block_read, buf + 1, 511, 4098), 0);
	ck_assert_int_eq(memcmp(buf + 1, shadow + 511, 4098), 0);
	free(shadow);
	free(buf);
}

static u64 image_size(void)
{
	struct stat st;

	ck_assert_int_eq(stat(image, &st), 0);
	return st.st_size;
}

START_TEST(block_threads_reads_what_it_wrote)
{
	check_rw(open_drive("format=raw"));
	ck_assert_uint_eq(image_size(), IMAGE_BYTES);
}

END_TEST

START_TEST(block_threads_direct_handles_unaligned_requests)
{
	check_rw(open_drive("format=raw,cache=none"));
	ck_assert_uint_eq(image_size(), IMAGE_BYTES);
}

END_TEST

START_TEST(block_native_handles_unaligned_requests)
{
	check_rw(open_drive("format=raw,cache=none,aio=native"));
	ck_assert_uint_eq(image_size(), IMAGE_BYTES);
}

END_TEST

START_TEST(block_writethrough_works_on_both_engines)
{
	static const char *const options[] = {
		"format=raw,cache=writethrough",
		"format=raw,cache=directsync,aio=native"
	};

	check_rw(open_drive(options[_i]));
}

END_TEST

/* Neighbouring unaligned writes in flight together must not undo each
 * other, though each rewrites whole blocks. */
static void check_parallel(const char *options)
{
	enum { COUNT = 64, LEN = 700 };
	struct block *b = open_drive(options);
	struct test_req t[COUNT];
	u8 data[COUNT][LEN], back[COUNT * LEN];
	int left;

	memset(t, 0, sizeof(t));
	for (int round = 0; round < 8; round++) {
		block_plug(b);
		for (int i = 0; i < COUNT; i++) {
			memset(data[i], round * COUNT + i, LEN);
			t[i].iov = (struct iovec){ data[i], LEN };
			t[i].req.iov = &t[i].iov;
			t[i].req.niov = 1;
			t[i].req.offset = 1000 + i * LEN;
			t[i].req.done = test_done;
			t[i].done = 0;
			block_write(b, &t[i].req);
		}
		block_unplug(b);
		do {
			loop_once(loop, NS_PER_S);
			left = 0;
			for (int i = 0; i < COUNT; i++)
				left += !t[i].done;
		} while (left);
		ck_assert_int_eq(run(b, block_read, back, 1000, sizeof(back)),
				 0);
		ck_assert_int_eq(memcmp(back, data, sizeof(back)), 0);
	}
	ck_assert_uint_eq(file_byte(999), pattern(999));
	ck_assert_uint_eq(file_byte(1000 + COUNT * LEN),
			  pattern(1000 + COUNT * LEN));
}

START_TEST(block_parallel_unaligned_writes_keep_neighbours)
{
	check_parallel("format=raw");
	block_destroy_all();
	check_parallel("format=raw,cache=none");
	block_destroy_all();
	check_parallel("format=raw,cache=none,aio=native");
}

END_TEST

/* Is it in this build, and does the kernel have it? */
static bool uring_works(void)
{
	struct err err = { 0 };
	struct block *b = try_open("format=raw,aio=io_uring", &err);

	if (!b) {
		ck_assert_ptr_nonnull(strstr(err.msg, "aio=threads"));
		printf("left out: %s\n", err.msg);
		return false;
	}
	block_destroy(b);
	return true;
}

START_TEST(block_uring_works_in_each_cache_mode)
{
	static const char *const options[] = {
		"format=raw,aio=io_uring",
		"format=raw,cache=none,aio=io_uring",
		"format=raw,cache=directsync,aio=io_uring",
		"format=raw,cache=writethrough,aio=io_uring"
	};

	if (!uring_works())
		return;
	check_parallel(options[_i]);
}

END_TEST

START_TEST(block_uring_handles_unaligned_requests)
{
	if (!uring_works())
		return;
	check_rw(open_drive(_i ? "format=raw,cache=none,aio=io_uring"
			       : "format=raw,aio=io_uring"));
	ck_assert_uint_eq(image_size(), IMAGE_BYTES);
}

END_TEST

/* More requests than the ring holds. */
START_TEST(block_uring_takes_more_than_it_holds)
{
	enum { COUNT = 1000 };
	static struct test_req t[COUNT];
	static u8 data[COUNT][512], back[COUNT * 512];
	struct block *b;

	if (!uring_works())
		return;
	b = open_drive("format=raw,aio=io_uring");
	memset(t, 0, sizeof(t));
	block_plug(b);
	for (int i = 0; i < COUNT; i++) {
		memset(data[i], i * 3, 512);
		t[i].iov = (struct iovec){ data[i], 512 };
		t[i].req = (struct block_req){ .iov = &t[i].iov,
					       .niov = 1,
					       .bytes = 512,
					       .offset = i * 512,
					       .done = test_done };
		block_write(b, &t[i].req);
	}
	block_unplug(b);
	block_drain_all();
	for (int i = 0; i < COUNT; i++) {
		ck_assert_int_eq(t[i].done, 1);
		ck_assert_int_eq(t[i].req.result, 0);
	}
	ck_assert_int_eq(run(b, block_read, back, 0, sizeof(back)), 0);
	ck_assert_int_eq(memcmp(back, data, sizeof(back)), 0);
}

END_TEST

START_TEST(block_drain_waits_without_the_loop)
{
	static const char *const options[] = { "format=raw",
					       "format=raw,cache=none,"
					       "aio=native" };
	static u8 buf[8][65536] __attribute__((aligned(4096)));

	for (size_t o = 0; o < ARRAY_SIZE(options); o++) {
		struct block *b = open_drive(options[o]);
		struct test_req t[8];

		memset(t, 0, sizeof(t));
		for (int i = 0; i < 8; i++) {
			t[i].iov = (struct iovec){ buf[i], sizeof(buf[i]) };
			t[i].req.iov = &t[i].iov;
			t[i].req.niov = 1;
			t[i].req.offset = i * 65536;
			t[i].req.done = test_done;
			block_write(b, &t[i].req);
		}
		block_drain_all();
		for (int i = 0; i < 8; i++) {
			ck_assert_int_eq(t[i].done, 1);
			ck_assert_int_eq(t[i].req.result, 0);
		}
		ck_assert_int_eq(b->inflight, 0);
		block_destroy(b);
	}
}

END_TEST

START_TEST(block_requests_outside_the_disk_fail)
{
	struct block *b = open_drive("format=raw");
	u8 buf[1024];

	ck_assert_uint_eq(b->size, IMAGE_BYTES);
	ck_assert_int_eq(run(b, block_read, buf, IMAGE_BYTES - 512, 1024),
			 -EINVAL);
	ck_assert_int_eq(run(b, block_write, buf, UINT64_MAX - 511, 512),
			 -EINVAL);
	ck_assert_int_eq(run(b, block_discard, NULL, 512, UINT64_MAX), -EINVAL);
	ck_assert_int_eq(b->stats.failed[BLOCK_READ], 1);
}

END_TEST

START_TEST(block_readonly_refuses_changes)
{
	struct block *b = open_drive("format=raw,readonly=on");
	u8 buf[512] = { 1 };

	ck_assert(b->readonly);
	ck_assert_int_eq(run(b, block_write, buf, 0, 512), -EACCES);
	ck_assert_int_eq(run(b, block_discard, NULL, 0, 512), -EACCES);
	ck_assert_int_eq(run(b, block_write_zeroes, NULL, 0, 512), -EACCES);
	ck_assert_int_eq(run(b, block_read, buf, 0, 512), 0);
	ck_assert_uint_eq(buf[5], pattern(5));
}

END_TEST

START_TEST(block_discard_frees_space_only_with_unmap)
{
	struct block *b = open_drive("format=raw,discard=unmap");
	struct stat before, after;

	stat(image, &before);
	ck_assert_int_eq(run(b, block_discard, NULL, 65536, 524288), 0);
	stat(image, &after);
	ck_assert_int_lt(after.st_blocks, before.st_blocks);
	block_destroy(b);

	b = open_drive("format=raw");
	ck_assert_int_eq(run(b, block_discard, NULL, 0, 65536), 0);
	ck_assert_uint_eq(file_byte(100), pattern(100));
}

END_TEST

START_TEST(block_write_zeroes_writes_zeroes)
{
	static const char *const options[] = {
		"format=raw", "format=raw,discard=unmap",
		"format=raw,cache=none", "format=raw,detect-zeroes=unmap"
	};
	u8 buf[4096];

	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		struct block *b = open_drive(options[i]);
		u64 at = 8192 + i * 65536;

		ck_assert_int_eq(
			run(b, block_write_zeroes, NULL, at + 512, 20000 - 512),
			0);
		memset(buf, 1, sizeof(buf));
		ck_assert_int_eq(run(b, block_read, buf, at, 4096), 0);
		ck_assert_uint_eq(buf[511], pattern(at + 511));
		ck_assert_uint_eq(buf[512], 0);
		ck_assert_uint_eq(buf[4095], 0);
		ck_assert_uint_eq(file_byte(at + 19999), 0);
		ck_assert_uint_eq(file_byte(at + 20000), pattern(at + 20000));
		memset(buf, 0, sizeof(buf));
		ck_assert_int_eq(run(b, block_write, buf, at + 30000, 4096), 0);
		ck_assert_uint_eq(file_byte(at + 30001), 0);
		block_destroy(b);
	}
}

END_TEST

START_TEST(block_snapshot_leaves_the_image_alone)
{
	struct block *b = open_drive("snapshot=on");
	u8 *before = malloc(IMAGE_BYTES), *after = malloc(IMAGE_BYTES);
	int fd = open(image, O_RDONLY);
	u8 buf[512] = { 1, 2, 3 };

	ck_assert_int_eq(read(fd, before, IMAGE_BYTES), IMAGE_BYTES);
	ck_assert(!b->readonly);
	check_rw(b);
	ck_assert_int_eq(run(b, block_write_zeroes, NULL, 70000, 65536), 0);
	ck_assert_int_eq(run(b, block_write, buf, 512, 512), 0);
	ck_assert_int_eq(pread(fd, after, IMAGE_BYTES, 0), IMAGE_BYTES);
	ck_assert_int_eq(memcmp(before, after, IMAGE_BYTES), 0);
	ck_assert_int_eq(run(b, block_read, after, 70000 - 16, 65536), 0);
	ck_assert_uint_eq(after[15], 0xa6);
	ck_assert_uint_eq(after[16], 0);
	close(fd);
	free(before);
	free(after);
}

END_TEST

START_TEST(block_commit_writes_the_overlay_into_the_image)
{
	struct block *b = open_drive("snapshot=on");
	struct err err = { 0 };
	u8 buf[512] = { 1, 2, 3 }, back[1024];

	ck_assert_int_eq(run(b, block_write, buf, 99840, 512), 0);
	ck_assert_uint_eq(file_byte(99841), pattern(99841));
	ck_assert_msg(block_commit(b, &err) == 0, "%s", err.msg);
	ck_assert_uint_eq(file_byte(99841), 2);
	ck_assert_uint_eq(file_byte(99839), pattern(99839));
	/* And on it goes in the overlay. */
	buf[1] = 9;
	ck_assert_int_eq(run(b, block_write, buf, 99840, 512), 0);
	ck_assert_int_eq(run(b, block_read, back, 99328, 1024), 0);
	ck_assert_uint_eq(back[0], pattern(99328));
	ck_assert_uint_eq(back[513], 9);
	ck_assert_uint_eq(file_byte(99841), 2);
	block_destroy(b);

	b = open_drive("format=raw");
	ck_assert_int_eq(block_commit(b, &err), -ENOTSUP);
}

END_TEST

START_TEST(block_snapshot_parallel_writes_to_one_cluster)
{
	check_parallel("snapshot=on");
}

END_TEST

START_TEST(block_guessed_raw_refuses_foreign_headers)
{
	struct block *b = open_drive("if=none");
	u8 buf[4096] = "QFI\xfb";

	ck_assert_int_eq(run(b, block_write, buf, 0, 512), -EPERM);
	ck_assert_int_eq(run(b, block_write, buf, 0, 4096), -EPERM);
	ck_assert_uint_eq(file_byte(0), pattern(0));
	/* In two steps. */
	ck_assert_int_eq(run(b, block_write, buf, 0, 2), 0);
	ck_assert_int_eq(run(b, block_write, buf + 2, 2, 2), -EPERM);
	buf[0] = 'X';
	ck_assert_int_eq(run(b, block_write, buf, 0, 4096), 0);
	ck_assert_uint_eq(file_byte(1), 'F');
	block_destroy(b);

	b = open_drive("format=raw");
	memcpy(buf, "QFI\xfb", 4);
	ck_assert_int_eq(run(b, block_write, buf, 0, 512), 0);
}

END_TEST

static void refuse(const char *options, const char *expect)
{
	struct err err = { 0 };
	struct block *b = try_open(options, &err);

	ck_assert_msg(!b, "'%s' was accepted", options);
	ck_assert_int_lt(err.code, 0);
	ck_assert_msg(strstr(err.msg, expect) != NULL, "'%s': %s", options,
		      err.msg);
}

START_TEST(block_refusals_say_what_is_wrong)
{
	int fd = open(image, O_WRONLY);

	ck_assert_int_eq(pwrite(fd, "vhdxfile", 8, 0), 8);
	close(fd);
	refuse("if=none", "qemu-img convert");
	refuse("format=vhdx", "'vhdx' is not supported");
	refuse("format=qcow2", "not in qcow2 format");
	refuse("if=scsi", "if=virtio or if=ide");
	refuse("if=ide,index=4", "0 to 3");
	refuse("if=ide,bus=2", "buses 0 and 1");
	refuse("if=ide,bus=1,index=2", "index cannot be used");
	refuse("aio=native", "cache=none");
	refuse("nonsense=1", "nonsense");
	refuse("cache=maybe", "writethrough");
	refuse("file=nbd:localhost:1", "nbd");
	refuse("file=/var/tmp", "is a directory");
	refuse("file=/nonexistent/x", "No such file");
	refuse("file=/dev/null", "neither a file nor a block device");
	refuse("file=", "file= is missing");
	ck_assert_ptr_null(block_next(NULL));
}

END_TEST

START_TEST(block_ids_are_given_and_unique)
{
	struct block *b = open_drive("format=raw,file.locking=off");
	struct err err = { 0 };

	ck_assert_str_eq(b->id, "virtio0");
	b = open_drive("format=raw,file.locking=off");
	ck_assert_str_eq(b->id, "virtio1");
	b = open_drive("format=raw,if=none,id=hd0,file.locking=off");
	ck_assert_ptr_eq(block_find("hd0"), b);
	ck_assert_ptr_null(
		try_open("format=raw,id=hd0,file.locking=off", &err));
	ck_assert_msg(strstr(err.msg, "exists") != NULL, "%s", err.msg);
}

END_TEST

START_TEST(block_image_in_use_is_refused_with_its_holder)
{
	struct err err = { 0 };
	int up[2], down[2], status;
	char pid[32], byte = 0;
	pid_t child;

	ck_assert_int_eq(pipe(up) | pipe(down), 0);
	child = fork();
	if (child == 0) {
		close(down[1]);
		bool ok = try_open("format=raw,if=none", NULL) != NULL;

		byte = ok;
		if (write(up[1], &byte, 1) != 1 || read(down[0], &byte, 1) < 0)
			_exit(1);
		_exit(0);
	}
	ck_assert_int_eq(read(up[0], &byte, 1), 1);
	ck_assert_int_eq(byte, 1);
	ck_assert_ptr_null(try_open("format=raw", &err));
	ck_assert_int_eq(err.code, -EBUSY);
	snprintf(pid, sizeof(pid), "pid %d", child);
	ck_assert_msg(strstr(err.msg, pid) != NULL, "%s", err.msg);
	ck_assert_ptr_null(try_open("format=raw,readonly=on", &err));
	ck_assert_ptr_null(try_open("snapshot=on", &err));
	close(down[1]);
	waitpid(child, &status, 0);
	ck_assert_int_eq(status, 0);
	open_drive("format=raw");
}

END_TEST

START_TEST(block_readers_share_an_image)
{
	struct err err = { 0 };
	struct block *b;

	b = open_drive("format=raw,readonly=on");
	open_drive("format=raw,readonly=on");
	ck_assert_ptr_null(try_open("format=raw", &err));
	ck_assert_msg(strstr(err.msg, "another drive") != NULL, "%s", err.msg);
	block_destroy(b);
}

END_TEST

START_TEST(block_resize_changes_file_and_size)
{
	struct block *b = open_drive("format=raw");
	struct err err = { 0 };
	u8 buf[512];

	ck_assert_int_eq(block_resize(b, 2 * MIB, &err), 0);
	ck_assert_uint_eq(b->size, 2 * MIB);
	ck_assert_uint_eq(image_size(), 2 * MIB);
	ck_assert_int_eq(run(b, block_read, buf, 2 * MIB - 512, 512), 0);
	ck_assert_uint_eq(buf[0], 0);
	block_eject(b);
	ck_assert_int_eq(run(b, block_read, buf, 0, 512), -ENOMEDIUM);
}

END_TEST

START_TEST(block_info_looks_like_qemu)
{
	struct block *b = open_drive("format=raw,if=none,id=hd0,cache=none");
	struct buf out = { 0 };
	char expect[256];
	u8 *buf = aligned_alloc(4096, 4096);

	block_info(b, false, &out);
	snprintf(expect, sizeof(expect),
		 "): %s (raw)\n    Removable device: not locked, "
		 "tray closed\n    Cache mode:       writeback, direct\n",
		 image);
	ck_assert_msg(strstr(buf_str(&out), expect) != NULL, "%s",
		      buf_str(&out));
	ck_assert_int_eq(strncmp(buf_str(&out), "hd0 (#block", 11), 0);
	buf_clear(&out);
	block_stats_line(b, &out);
	ck_assert_msg(strstr(buf_str(&out), " idle_time_ns=0\n") != NULL, "%s",
		      buf_str(&out));
	run(b, block_read, buf, 0, 4096);
	run(b, block_write, buf, 0, 512);
	run(b, block_flush, NULL, 0, 0);
	buf_clear(&out);
	block_stats_line(b, &out);
	ck_assert_msg(strstr(buf_str(&out),
			     "hd0: rd_bytes=4096 wr_bytes=512 "
			     "rd_operations=1 wr_operations=1 "
			     "flush_operations=1 ") == buf_str(&out),
		      "%s", buf_str(&out));
	buf_fini(&out);
	free(buf);
}

END_TEST

int main(void)
{
	Suite *s = suite_create("block_file");
	TCase *tc = tcase_create("block_file");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, block_threads_reads_what_it_wrote);
	tcase_add_test(tc, block_threads_direct_handles_unaligned_requests);
	tcase_add_test(tc, block_native_handles_unaligned_requests);
	tcase_add_loop_test(tc, block_writethrough_works_on_both_engines, 0, 2);
	tcase_add_loop_test(tc, block_uring_works_in_each_cache_mode, 0, 4);
	tcase_add_loop_test(tc, block_uring_handles_unaligned_requests, 0, 2);
	tcase_add_test(tc, block_uring_takes_more_than_it_holds);
	tcase_add_test(tc, block_parallel_unaligned_writes_keep_neighbours);
	tcase_add_test(tc, block_drain_waits_without_the_loop);
	tcase_add_test(tc, block_requests_outside_the_disk_fail);
	tcase_add_test(tc, block_readonly_refuses_changes);
	tcase_add_test(tc, block_discard_frees_space_only_with_unmap);
	tcase_add_test(tc, block_write_zeroes_writes_zeroes);
	tcase_add_test(tc, block_snapshot_leaves_the_image_alone);
	tcase_add_test(tc, block_commit_writes_the_overlay_into_the_image);
	tcase_add_test(tc, block_snapshot_parallel_writes_to_one_cluster);
	tcase_add_test(tc, block_guessed_raw_refuses_foreign_headers);
	tcase_add_test(tc, block_refusals_say_what_is_wrong);
	tcase_add_test(tc, block_ids_are_given_and_unique);
	tcase_add_test(tc, block_image_in_use_is_refused_with_its_holder);
	tcase_add_test(tc, block_readers_share_an_image);
	tcase_add_test(tc, block_resize_changes_file_and_size);
	tcase_add_test(tc, block_info_looks_like_qemu);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
