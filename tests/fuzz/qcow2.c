/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Fuzzer: qcow2 images.  Whatever the tables say, an image is read, checked,
 * written and repaired within bounds, its snapshots and bitmaps are listed,
 * made, applied and deleted, it is committed; one that was sound stays so, and
 * gives back what was written.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block/qcow2.h"
#include "lib/err.h"
#include "tests/fuzz/machine.h"

#define PIECE    2048u
#define FILE_MAX (256 * MIB)

static struct block drive = { .id = (char *)"fuzz", .write_cache = true };

static void save(const char *path, const u8 *data, size_t len)
{
	int fd = open(path, O_CREAT | O_TRUNC | O_RDWR, 0600);

	/* Some clusters behind what is given, for tables to point at. */
	if (fd < 0 || write(fd, data, len) != (ssize_t)len ||
	    ftruncate(fd, len + 4096) < 0)
		abort();
	close(fd);
}

static struct qcow2 *open_image(const char *path, bool readonly)
{
	struct block_open o = {
		.path = path,
		.readonly = readonly,
		.no_flush = true,
		.unmap = true,
		.format = "qcow2",
		.follow = BLOCK_FOLLOW_OFF,
	};
	struct err err = { 0 };
	struct block_node *n = node_open(&drive, &o, &err);

	if (!n && (err.code >= 0 || !err.msg[0]))
		abort();
	return n ? container_of(n, struct qcow2, node) : NULL;
}

static int run(struct qcow2 *s, enum block_op op, u8 *buf, u64 offset, u64 len)
{
	struct iovec iov = { buf, len };

	return node_rw(&s->node, op, &iov, 1, offset, len);
}

/* Nothing is referred to twice, and all is counted. */
static bool sound(struct qcow2 *s)
{
	struct qcow2_check check = { 0 };

	return qcow2_check(s, 0, &check) == 0 && !check.errors && !check.shared;
}

static void read_all(struct qcow2 *s)
{
	u64 size = s->node.size;
	u8 buf[PIECE];

	for (u64 at = 0; at < MIN(size, 32 * PIECE); at += PIECE)
		(void)run(s, BLOCK_READ, buf, at, MIN(PIECE, size - at));
	if (size > PIECE)
		(void)run(s, BLOCK_READ, buf, size - PIECE, PIECE);
}

/* A few changes that the first bytes of the image choose. */
static void change(struct qcow2 *s, const u8 *how, bool was_sound)
{
	u64 size = s->node.size, offset, len;
	u8 data[PIECE], back[PIECE];
	int r;

	for (int i = 0; i < 8; i++) {
		offset = (how[i] * 509ULL + how[i + 1] * 131072ULL) %
			 MAX(size, 1);
		len = MIN(1 + how[i + 1] * 8u, MIN(PIECE, size - offset));
		if (!len)
			continue;
		memset(data, i + 1, len);
		switch (how[i] % 4) {
		case 0: r = run(s, BLOCK_DISCARD, NULL, offset, len); continue;
		case 1:
			memset(data, 0, len);
			r = run(s, BLOCK_WRITE_ZEROES, NULL, offset, len);
			break;
		default: r = run(s, BLOCK_WRITE, data, offset, len);
		}
		if (i == 4)
			(void)run(s, BLOCK_FLUSH, NULL, 0, 0);
		if (r == 0 && was_sound &&
		    (run(s, BLOCK_READ, back, offset, len) < 0 ||
		     memcmp(back, data, len)))
			abort();
	}
}

/* ---- Snapshots, bitmaps, commit ---- */

/* Counts are right, whatever is shared; leaks are no harm. */
static void still_sound(struct qcow2 *s, bool was_sound)
{
	struct qcow2_check check = { 0 };

	if (was_sound && (qcow2_check(s, 0, &check) < 0 || check.errors))
		abort();
}

static u64 sum(struct qcow2 *s)
{
	u64 hash = 0, size = MIN(s->node.size, 32 * PIECE);
	u8 buf[PIECE];

	for (u64 at = 0; at < size; at += PIECE) {
		u64 len = MIN(PIECE, size - at);

		if (run(s, BLOCK_READ, buf, at, len) < 0)
			return 0;
		for (u64 i = 0; i < len; i++)
			hash = hash * 31 + buf[i] + 1;
	}
	return hash;
}

static void list_snapshots(struct qcow2 *s)
{
	struct image_snapshot *list;
	u32 count;

	if (qcow2_snapshots(&s->node, &list, &count) == 0)
		image_snapshots_free(list, count);
}

/* Takes one, writes, goes back to it, deletes it. */
static void snapshots(struct qcow2 *s, const u8 *how, bool was_sound)
{
	u64 before = sum(s);
	int r = qcow2_branch(&s->node, IMAGE_SNAPSHOT_CREATE, "fuzz", NULL);

	if (r == 0)
		still_sound(s, was_sound);
	list_snapshots(s);
	change(s, how, was_sound);
	still_sound(s, was_sound);
	if (qcow2_branch(&s->node, IMAGE_SNAPSHOT_APPLY, "fuzz", NULL) == 0 &&
	    r == 0 && was_sound && sum(s) != before)
		abort();
	still_sound(s, was_sound);
	if (how[0] & 1)
		change(s, how + 1, was_sound);
	(void)qcow2_branch(&s->node, IMAGE_SNAPSHOT_DELETE, "fuzz", NULL);
	still_sound(s, was_sound);
}

/* One that the image brings. */
static void old_snapshot(struct qcow2 *s, const u8 *how, bool was_sound)
{
	enum image_snapshot_op op =
		how[0] & 1 ? IMAGE_SNAPSHOT_APPLY : IMAGE_SNAPSHOT_DELETE;
	struct image_snapshot *list;
	u32 count;

	if (qcow2_snapshots(&s->node, &list, &count) < 0)
		return;
	if (count) {
		(void)qcow2_branch(&s->node, op, list[how[1] % count].name,
				   NULL);
		still_sound(s, was_sound);
		change(s, how, was_sound);
	}
	image_snapshots_free(list, count);
}

static void bitmaps(struct qcow2 *s, const u8 *how, bool was_sound)
{
	struct image_bitmap *list, *more;
	u32 count, bits = 9 + how[0] % 8;

	if (qcow2_bitmaps(&s->node, true, &list, &count) < 0)
		return;
	more = realloc(list, (count + 1) * sizeof(*more));
	if (!more)
		abort();
	more[count] = (struct image_bitmap){
		.name = strdup(how[1] & 1 ? "fuzz" : "a longer name"),
		.bits = bits,
		.bytes = image_bitmap_bytes(s->node.size, bits),
	};
	more[count].map = more[count].bytes < MIB
				  ? malloc(MAX(more[count].bytes, 1))
				  : NULL;
	if (more[count].map) {
		memset(more[count].map, how[2] & 1 ? 0xff : how[3],
		       more[count].bytes);
		count++;
	} else {
		free(more[count].name);
	}
	if (how[4] & 1 && count > 1) {
		free(more[--count].name);
		free(more[count].map);
	}
	(void)qcow2_bitmaps_store(&s->node, more, count, NULL);
	image_bitmaps_free(more, count);
	still_sound(s, was_sound);
	if (qcow2_bitmaps(&s->node, true, &list, &count) == 0)
		image_bitmaps_free(list, count);
}

/* Into a raw image, which has all of it then. */
static void commit(struct qcow2 *s, const char *path, bool was_sound)
{
	struct block_open o = { .path = path, .readonly = true, .lock = 0 };
	u64 before;

	if (s->backing || s->node.size > 64 * MIB)
		return;
	save(path, (const u8 *)path, strlen(path));
	o.format = "raw";
	qcow2_put_backing(&s->node, node_open(&drive, &o, NULL));
	if (!s->backing)
		abort();
	before = sum(s);
	if (node_commit(&s->node, 1, false, NULL, NULL) == 0 && was_sound &&
	    sum(s) != before)
		abort();
	still_sound(s, was_sound);
}

static void play_more(const char *path, const u8 *how)
{
	struct qcow2 *s = open_image(path, true);
	char below[4200];
	bool was_sound;

	if (!s)
		return;
	was_sound = sound(s);
	list_snapshots(s);
	if (qcow2_view_snapshot(&s->node, NULL, "fuzz", NULL) == 0 ||
	    qcow2_view_snapshot(&s->node, "1", NULL, NULL) == 0)
		read_all(s);
	node_close(&s->node);
	s = open_image(path, false);
	if (!s)
		return;
	snprintf(below, sizeof(below), "%s.below", path);
	for (int i = 0; i < 3; i++)
		switch (how[11 + i] % 4) {
		case 0: snapshots(s, how + i, was_sound); break;
		case 1: old_snapshot(s, how + i, was_sound); break;
		case 2: bitmaps(s, how + i, was_sound); break;
		case 3: commit(s, below, was_sound); break;
		}
	node_close(&s->node);
	unlink(below);
	s = open_image(path, true);
	if (!s)
		return;
	still_sound(s, was_sound);
	node_close(&s->node);
}

static void play(const char *path, const u8 *how)
{
	struct qcow2 *s = open_image(path, true);
	struct qcow2_check check = { 0 };
	bool was_sound;

	if (!s)
		return;
	was_sound = sound(s);
	read_all(s);
	node_close(&s->node);

	s = open_image(path, false);
	if (!s)
		return;
	change(s, how, was_sound);
	if (how[9] & 1)
		(void)qcow2_resize(&s->node, s->node.size + how[10] * 512ULL,
				   NULL);
	node_close(&s->node);

	s = open_image(path, false);
	if (!s)
		return;
	if (was_sound && !sound(s))
		abort();
	(void)qcow2_check(s, 2, &check);
	read_all(s);
	node_close(&s->node);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t len)
{
	const struct rlimit limit = { FILE_MAX, FILE_MAX };
	const char *folder = getenv("VMON_FUZZ_FOLDER");
	char path[4096];

	if (len < 64)
		return 0;
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &limit);
	snprintf(path, sizeof path, "%s/image", folder ? folder : "/tmp");
	save(path, data + 16, len - 16);
	if (data[15] & 1)
		play(path, data);
	else
		play_more(path, data);
	unlink(path);
	return 0;
}
