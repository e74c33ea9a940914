/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Fuzzer: qcow2 images.  Whatever the tables say, an image is read, checked,
 * written and repaired within bounds; one that was sound stays so, and gives
 * back what was written.
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
	play(path, data);
	unlink(path);
	return 0;
}
