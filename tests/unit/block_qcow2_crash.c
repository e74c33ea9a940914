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
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "block/block.h"
#include "lib/err.h"
#include "lib/loop.h"
#include "lib/opt.h"
#include "lib/work.h"
#include "tests/unit/qcow2_disk.h"

#define SECTORS 4096u
#define OPS     160u
#define BATCH   4u

static char dir[64];
static u64 seed;

/* ---- What the requests are ---- */

struct op {
	bool zero, unmap, flush_with;
	u32 sector, count;
};

static u64 mix(u64 z)
{
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

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

/* ---- The tools ---- */

static PRINTF_LIKE(1, 2) int tool(const char *fmt, ...)
{
	char text[1024], *all;
	va_list ap;
	int status;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	ck_assert_int_gt(
		asprintf(&all, "cd %s && { %s; } >out 2>&1", dir, text), 0);
	status = system(all);
	free(all);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void say_failed(u64 s, const char *what)
{
	char text[2048] = "", path[96];
	FILE *f;

	snprintf(path, sizeof(path), "%s/out", dir);
	f = fopen(path, "r");
	if (f)
		text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	ck_abort_msg("QCOW2_SEED=%llu: %s\n%s", (unsigned long long)s, what,
		     text);
}

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

enum event_kind { EVENT_WRITE, EVENT_ZERO, EVENT_SYNC, EVENT_SAFE };

struct event {
	enum event_kind kind;
	u64 offset, len; /* sync: the events before this one are on the disk */
	u8 *data;
	u32 safe;
};

static pthread_mutex_t event_lock = PTHREAD_MUTEX_INITIALIZER;
static struct event *events;
static u32 event_count, event_max;
static bool recording;

static struct event *event_add(enum event_kind kind)
{
	if (event_count == event_max) {
		event_max += 4096;
		events = realloc(events, event_max * sizeof(*events));
	}
	events[event_count] = (struct event){ .kind = kind };
	return &events[event_count++];
}

/* Linked in place of those that block/ calls: tests/meson.build. */
ssize_t __real_pwritev64v2(int fd, const struct iovec *iov, int n, off_t at,
			   int flags);
ssize_t __wrap_pwritev64v2(int fd, const struct iovec *iov, int n, off_t at,
			   int flags);
int __real_fallocate64(int fd, int mode, off_t at, off_t len);
int __wrap_fallocate64(int fd, int mode, off_t at, off_t len);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);

ssize_t __wrap_pwritev64v2(int fd, const struct iovec *iov, int n, off_t at,
			   int flags)
{
	ssize_t done = __real_pwritev64v2(fd, iov, n, at, flags);
	struct event *e;
	u64 got = 0;

	if (done <= 0 || !recording)
		return done;
	pthread_mutex_lock(&event_lock);
	e = event_add(EVENT_WRITE);
	e->offset = at;
	e->len = done;
	e->data = malloc(done);
	for (int i = 0; i < n && got < (u64)done; i++) {
		size_t part = MIN(iov[i].iov_len, done - got);

		memcpy(e->data + got, iov[i].iov_base, part);
		got += part;
	}
	pthread_mutex_unlock(&event_lock);
	return done;
}

int __wrap_fallocate64(int fd, int mode, off_t at, off_t len)
{
	int r = __real_fallocate64(fd, mode, at, len);

	if (r == 0 && recording) {
		pthread_mutex_lock(&event_lock);
		*event_add(EVENT_ZERO) = (struct event){ .kind = EVENT_ZERO,
							 .offset = at,
							 .len = len };
		pthread_mutex_unlock(&event_lock);
	}
	return r;
}

int __wrap_fdatasync(int fd)
{
	u32 before;
	int r;

	pthread_mutex_lock(&event_lock);
	before = event_count;
	pthread_mutex_unlock(&event_lock);
	/* No need to wait for a disk that will not lose power. */
	r = recording ? 0 : __real_fdatasync(fd);
	if (r == 0 && recording) {
		pthread_mutex_lock(&event_lock);
		event_add(EVENT_SYNC)->offset = before;
		pthread_mutex_unlock(&event_lock);
	}
	return r;
}

static void note_safe(u32 safe, u32 begun)
{
	pthread_mutex_lock(&event_lock);
	event_add(EVENT_SAFE)->safe = safe;
	pthread_mutex_unlock(&event_lock);
}

/* Sectors of a write: all of them, or those that a coin says. */
static void event_apply(int fd, const struct event *e, u64 coin, bool all)
{
	static const u8 zero[512];

	if (e->kind != EVENT_WRITE && e->kind != EVENT_ZERO)
		return;
	for (u64 at = 0, part; at < e->len; at += part) {
		part = MIN(512 - (e->offset + at) % 512, e->len - at);
		if (!all && mix(coin + at) & 1)
			continue;
		ck_assert_int_eq(pwrite(fd, e->data ? e->data + at : zero, part,
					e->offset + at),
				 part);
	}
}

/* The image as it may be when the host goes down after `cut` events. */
static u32 lose_power(u64 s, u32 cut)
{
	u64 stable = 0;
	u32 safe = 0;
	char path[96];
	int fd;

	for (u32 i = 0; i < cut; i++) {
		if (events[i].kind == EVENT_SYNC)
			stable = MAX(stable, events[i].offset);
		if (events[i].kind == EVENT_SAFE)
			safe = events[i].safe;
	}
	ck_assert_int_eq(tool("cp img.old img"), 0);
	snprintf(path, sizeof(path), "%s/img", dir);
	fd = open(path, O_RDWR);
	ck_assert_int_ge(fd, 0);
	for (u32 i = 0; i < cut; i++)
		event_apply(fd, &events[i], s + i * 1000003ULL + cut,
			    i < stable);
	close(fd);
	return safe;
}

/* Any moment, or better: the one before a sync, when most is uncertain. */
static u32 random_cut(u64 z)
{
	u32 cut = z % event_count;

	while (z >> 40 & 3 && cut > 0 && events[cut].kind != EVENT_SYNC)
		cut--;
	return cut;
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

static void setup(void)
{
	strcpy(dir, "/var/tmp/vmon-crash-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void teardown(void)
{
	if (!getenv("QCOW2_KEEP"))
		tool("rm -rf %s", dir);
}

int main(void)
{
	const char *seed_text = getenv("QCOW2_SEED");
	const char *times_text = getenv("QCOW2_CRASHES");
	int times = times_text ? atoi(times_text) : 6;
	Suite *s = suite_create("block_qcow2_crash");
	TCase *t = tcase_create("crash");
	SRunner *sr = srunner_create(s);
	int failed;

	seed = seed_text ? strtoull(seed_text, NULL, 0)
			 : time(NULL) * 1000003ULL + getpid();
	printf("QCOW2_SEED=%llu\n", (unsigned long long)seed);
	fflush(stdout);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	if (system("command -v qemu-img >/dev/null") == 0) {
		tcase_add_loop_test(t, qcow2_survives_a_kill, 0, times);
		tcase_add_loop_test(t, qcow2_survives_a_power_cut, 0, times);
	} else {
		printf("no qemu-img: left out\n");
	}
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
