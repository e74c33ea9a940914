/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * qcow2 images after a crash: of the program (killed at any moment), and of
 * the host (what was written since the last fdatasync() is there or not,
 * sector by sector).  qemu-img check finds leaks at most, and what was
 * flushed is there.
 *
 * Each request n fills its sectors with the number n, or zeroes them; which
 * one is a function of the seed.  QCOW2_SEED repeats a run, QCOW2_CRASHES
 * makes it longer.
 */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "block/block.h"
#include "lib/err.h"
#include "lib/loop.h"
#include "lib/opt.h"
#include "lib/work.h"
#include "tests/unit/qcow2_crash.h"
#include "tests/unit/qcow2_disk.h"

#define OPS   160u
#define BATCH 4u

/* ---- What the requests are ---- */

struct op {
	bool zero, unmap, flush_with;
	u32 sector, count;
};

static struct op op_at(u64 s, u32 n)
{
	u64 z = mix(s + n * 0x9e3779b97f4a7c15ULL);
	/* Requests of one batch are in different quarters. */
	u32 quarter = SECTORS / BATCH;
	struct op op = {
		.zero = z % 5 == 0,
		.unmap = z >> 8 & 1,
		.flush_with = (z >> 9) % 8 == 0,
		.sector = n % BATCH * quarter + (z >> 16) % quarter,
		.count = 1 + (z >> 40) % 200,
	};

	op.count = MIN(op.count, quarter - op.sector % quarter);
	return op;
}

/* ---- The image ---- */

static bool make_image(u64 s, bool *lazy)
{
	static const char *const refs[] = { "compat=0.10", "refcount_bits=1",
					    "refcount_bits=16",
					    "refcount_bits=64",
					    "lazy_refcounts=on" };
	u64 z = mix(s ^ 77);
	u32 bits = 9 + z % 9;
	const char *more = refs[(z >> 8) % ARRAY_SIZE(refs)];
	bool compressed = (z >> 20) % 3 == 0, backed = (z >> 24) % 3 == 0;

	*lazy = !strcmp(more, "lazy_refcounts=on");
	tool("rm -f img img.old base");
	if (compressed || backed)
		tool("head -c %u /dev/zero >base", SECTORS * 512);
	if (backed)
		return !tool("qemu-img create -q -f qcow2 -b base -F raw "
			     "-o cluster_size=%u,%s img && cp img img.old",
			     1u << bits, more);
	if (compressed)
		return !tool("qemu-img convert -c -f raw -O qcow2 "
			     "-o cluster_size=%u,%s base img && cp img img.old",
			     1u << bits, more);
	return !tool("qemu-img create -q -f qcow2 -o cluster_size=%u,%s img "
		     "%u && cp img img.old",
		     1u << bits, more, SECTORS * 512);
}

/* ---- One that writes ---- */

static struct block *open_drive(struct loop *loop, const char *more)
{
	struct err err = { 0 };
	struct block *b;
	struct opts o;
	char text[256];

	snprintf(text, sizeof(text), "file=%s/img,format=qcow2%s", dir, more);
	ck_assert_int_eq(opts_parse(&o, text, "file", &err), 0);
	b = block_create(loop, &o, &err);
	opts_fini(&o);
	ck_assert_msg(b != NULL, "%s", err.msg);
	return b;
}

struct job {
	struct block_req req;
	struct iovec iov;
	u32 buf[200 * 128];
	u32 *left;
};

static void job_done(struct block_req *r)
{
	struct job *j = container_of(r, struct job, req);

	ck_assert_int_eq(r->result, 0);
	--*j->left;
}

static void job_start(struct block *b, struct job *j, struct op op, u32 n)
{
	for (u32 i = 0; i < op.count * 128; i++)
		j->buf[i] = n + 1;
	j->iov = (struct iovec){ j->buf, op.count * 512 };
	j->req = (struct block_req){
		.iov = &j->iov,
		.niov = 1,
		.offset = op.sector * 512,
		.bytes = op.count * 512,
		.flags = op.unmap ? BLOCK_REQ_UNMAP : 0,
		.done = job_done,
	};
	if (op.zero)
		block_write_zeroes(b, &j->req);
	else
		block_write(b, &j->req);
}

/* `flushed` hears how many requests a flush has made safe, and how many were
 * begun before it ended. */
static void write_all(u64 s, void (*flushed)(u32 safe, u32 begun))
{
	struct loop *loop = loop_create();
	struct block *b = open_drive(loop, ",discard=unmap");
	struct job *jobs = calloc(BATCH + 1, sizeof(*jobs));

	for (u32 n = 0; n < OPS; n += BATCH) {
		bool together = op_at(s, n).flush_with;
		u32 left = BATCH;

		for (u32 i = 0; i < BATCH; i++) {
			jobs[i].left = &left;
			job_start(b, &jobs[i], op_at(s, n + i), n + i);
		}
		if (together) {
			left++;
			jobs[BATCH].left = &left;
			jobs[BATCH].req =
				(struct block_req){ .done = job_done };
			block_flush(b, &jobs[BATCH].req);
		}
		while (left)
			loop_once(loop, NS_PER_S);
		if (mix(s + n) % 3 == 0) {
			disk_flush(loop, b);
			flushed(n + BATCH, n + BATCH);
		}
	}
	free(jobs);
	block_destroy(b);
	flushed(OPS, OPS);
	loop_destroy(loop);
	work_shutdown();
}

/* ---- One that looks ---- */

/* May the sector hold `tag`, when `safe` requests were flushed? */
static bool may_hold(u64 s, u32 sector, u32 tag, u32 safe)
{
	u32 state = 0;

	for (u32 n = 0; n < OPS; n++) {
		struct op op = op_at(s, n);

		if (sector < op.sector || sector >= op.sector + op.count)
			continue;
		if (n < safe)
			state = op.zero ? 0 : n + 1;
		else if (tag == (op.zero ? 0 : n + 1))
			return true;
	}
	return tag == state;
}

static void look(u64 s, u32 safe, bool lazy)
{
	u32 data[128];
	char path[96];
	int fd, status;

	/* The next one that opens it for writing repairs it. */
	if (lazy) {
		pid_t pid = fork();

		if (pid == 0) {
			struct loop *loop = loop_create();

			block_destroy(open_drive(loop, ""));
			_exit(0);
		}
		waitpid(pid, &status, 0);
		ck_assert_msg(WIFEXITED(status) && !WEXITSTATUS(status),
			      "QCOW2_SEED=%llu: cannot be opened",
			      (unsigned long long)s);
	}
	status = tool("qemu-img check -f qcow2 img");
	if (status != 0 && status != 3)
		say_failed(s, "qemu-img check");
	if (tool("qemu-img convert -f qcow2 -O raw img raw"))
		say_failed(s, "qemu-img convert");
	snprintf(path, sizeof(path), "%s/raw", dir);
	fd = open(path, O_RDONLY);
	ck_assert_int_ge(fd, 0);
	for (u32 i = 0; i < SECTORS; i++) {
		ck_assert_int_eq(pread(fd, data, 512, i * 512), 512);
		if (!may_hold(s, i, data[0], safe))
			ck_abort_msg("QCOW2_SEED=%llu: sector %u has %u, "
				     "%u requests were flushed",
				     (unsigned long long)s, i, data[0], safe);
	}
	close(fd);
}

/* ---- Killed ---- */

static int progress_fd;

static void tell(u32 safe, u32 begun)
{
	ck_assert_int_eq(write(progress_fd, &safe, sizeof(safe)), sizeof(safe));
}

START_TEST(qcow2_survives_a_kill)
{
	u64 s = seed + _i;
	u32 safe = 0, now;
	int fds[2], status;
	bool lazy;
	pid_t pid;

	ck_assert(make_image(s, &lazy));
	ck_assert_int_eq(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		close(fds[0]);
		progress_fd = fds[1];
		write_all(s, tell);
		_exit(0);
	}
	close(fds[1]);
	usleep(mix(s ^ 5) % 60000);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	while (read(fds[0], &now, sizeof(now)) == sizeof(now))
		safe = now;
	close(fds[0]);
	look(s, safe, lazy);
}

END_TEST

/* ---- The host goes ---- */

static void note_safe(u32 safe, u32 begun)
{
	pthread_mutex_lock(&event_lock);
	event_add(EVENT_SAFE)->safe = safe;
	pthread_mutex_unlock(&event_lock);
}

START_TEST(qcow2_survives_a_power_cut)
{
	u64 s = seed + 1000 + _i;
	bool lazy;

	ck_assert(make_image(s, &lazy));
	recording = true;
	write_all(s, note_safe);
	recording = false;
	for (u32 k = 0; k < 5; k++) {
		u32 cut = k ? random_cut(mix(s + k)) : event_count;

		look(s, lose_power(s, cut), lazy);
	}
}

END_TEST

/* ---- Running ---- */

static void add(TCase *t, int times)
{
	tcase_add_loop_test(t, qcow2_survives_a_kill, 0, times);
	tcase_add_loop_test(t, qcow2_survives_a_power_cut, 0, times);
}

int main(void)
{
	return crash_main("block_qcow2_crash", 6, add);
}
