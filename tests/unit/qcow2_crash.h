/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * For tests of qcow2 images after a crash: what is written to the image is
 * written down, so that the image can be made again as it was at any moment,
 * or as it may be after a power cut.  Links in place of what block/ calls:
 * tests/meson.build.
 */
#ifndef TESTS_UNIT_QCOW2_CRASH_H
#define TESTS_UNIT_QCOW2_CRASH_H

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/types.h"

#define SECTORS 4096u

static char dir[64];
static u64 seed;

static u64 mix(u64 z)
{
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
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

/* ---- What is written ---- */

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
/* Of the image, when something else is written, too; 0: all is the image. */
static ino_t event_inode;
/* Where the disk is full; 0: nowhere. */
static off_t event_limit;

static bool event_wanted(int fd)
{
	struct stat st;

	return recording && (!event_inode ||
			     (fstat(fd, &st) == 0 && st.st_ino == event_inode));
}

static struct event *event_add(enum event_kind kind)
{
	if (event_count == event_max) {
		event_max += 4096;
		events = realloc(events, event_max * sizeof(*events));
	}
	events[event_count] = (struct event){ .kind = kind };
	return &events[event_count++];
}

static inline void events_forget(void)
{
	while (event_count)
		free(events[--event_count].data);
}

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
	struct event *e;
	u64 got = 0;
	ssize_t done;

	for (int i = 0; i < n; i++)
		got += iov[i].iov_len;
	if (event_limit && at + (off_t)got > event_limit) {
		errno = ENOSPC;
		return -1;
	}
	got = 0;
	done = __real_pwritev64v2(fd, iov, n, at, flags);
	if (done <= 0 || !event_wanted(fd))
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

	if (r == 0 && event_wanted(fd)) {
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
	if (r == 0 && event_wanted(fd)) {
		pthread_mutex_lock(&event_lock);
		event_add(EVENT_SYNC)->offset = before;
		pthread_mutex_unlock(&event_lock);
	}
	return r;
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

/* The image as it was after `cut` events. */
static inline void replay(u32 cut)
{
	char path[96];
	int fd;

	ck_assert_int_eq(tool("cp img.old img"), 0);
	snprintf(path, sizeof(path), "%s/img", dir);
	fd = open(path, O_RDWR);
	ck_assert_int_ge(fd, 0);
	for (u32 i = 0; i < cut; i++)
		event_apply(fd, &events[i], 0, true);
	close(fd);
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

/* Tests that run `times` times, and their exit status. */
static int crash_main(const char *name, int times,
		      void (*add)(TCase *t, int times))
{
	const char *seed_text = getenv("QCOW2_SEED");
	const char *times_text = getenv("QCOW2_CRASHES");
	Suite *s = suite_create(name);
	TCase *t = tcase_create("crash");
	SRunner *sr = srunner_create(s);
	int failed;

	seed = seed_text ? strtoull(seed_text, NULL, 0)
			 : time(NULL) * 1000003ULL + getpid();
	printf("QCOW2_SEED=%llu\n", (unsigned long long)seed);
	fflush(stdout);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	if (system("command -v qemu-img >/dev/null") == 0)
		add(t, times_text ? atoi(times_text) : times);
	else
		printf("no qemu-img: left out\n");
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}

#endif
