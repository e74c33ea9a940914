/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What changes a qcow2 image as a whole: snapshots taken, gone back to and
 * deleted, other sizes, another backing file, the way into it, bitmaps, another
 * version, other refcounts.  After a kill at any write, a power cut or a full disk, qemu-img check finds leaks at
 * most, and the disk is what it was before or after.
 *
 * QCOW2_SEED repeats a run, QCOW2_CRASHES makes it longer.
 */
#include "block/image.h"
#include "lib/err.h"
#include "tests/unit/qcow2_crash.h"

#define STEPS     8u
#define SNAPSHOTS 4u

struct model {
	u32 sectors; /* of the disk */
	u32 tag[2 * SECTORS];
};

struct state {
	struct model disk;
	u32 count, made;
	struct model snapshot[SNAPSHOTS];
	char name[SNAPSHOTS][16];
};

static struct state now, before;
static u64 rng;
static u32 cuts = 1; /* of each kind for each change */

static u64 any(u64 n)
{
	rng = mix(rng + 1);
	return rng % n;
}

static struct image *open_image(void)
{
	struct image_mode mode = { .write = true };
	struct err err = { 0 };
	struct image *i;
	char path[96];

	snprintf(path, sizeof(path), "%s/img", dir);
	i = image_open(path, "qcow2", &mode, &err);
	ck_assert_msg(i != NULL, "%s", err.msg);
	return i;
}

/* ---- Looking ---- */

/* Has `raw` the first `sectors` of the disk, or what it has of them? */
static bool raw_has(const struct model *m, u32 sectors)
{
	u32 data[128];
	char path[96];
	bool same = true;
	int fd;

	snprintf(path, sizeof(path), "%s/raw", dir);
	fd = open(path, O_RDONLY);
	ck_assert_int_ge(fd, 0);
	for (u32 i = 0; i < sectors && same; i++)
		if (pread(fd, data, 512, i * 512LL) == 512)
			same = data[0] == m->tag[i] && data[127] == m->tag[i];
	close(fd);
	return same;
}

static bool raw_is(const struct model *m)
{
	struct stat st;
	char path[96];

	snprintf(path, sizeof(path), "%s/raw", dir);
	if (stat(path, &st) < 0 || st.st_size != m->sectors * 512LL)
		return false;
	/* A disk that was to be made smaller may have lost the rest. */
	return raw_has(m, MIN(m->sectors, now.disk.sectors));
}

/* One of them, and how many there are.  qemu-img takes them to be as large as
 * the image. */
static bool snapshots_are(const struct state *st)
{
	u32 n = st->count ? any(st->count) : 0;

	if (st->count &&
	    (tool("qemu-img convert -U -f qcow2 -l %s -O raw img raw",
		  st->name[n]) ||
	     !raw_has(&st->snapshot[n], st->snapshot[n].sectors)))
		return false;
	return !tool("test $(qemu-img snapshot -U -l img | grep -c ' s[0-9]') "
		     "= %u",
		     st->count);
}

static void look(u64 s, bool lazy, const char *when)
{
	int status;

	/* The next one that opens it for writing repairs it. */
	if (lazy)
		image_close(open_image());
	status = tool("qemu-img check -U -f qcow2 img");
	if (status != 0 && status != 3)
		say_failed(s, when);
	if (tool("qemu-img convert -U -f qcow2 -O raw img raw"))
		say_failed(s, when);
	if (raw_is(&now.disk)) {
		if (snapshots_are(&now))
			return;
		ck_assert(!tool("qemu-img convert -U -f qcow2 -O raw img raw"));
	}
	if (!raw_is(&before.disk) || !snapshots_are(&before))
		say_failed(s, when);
}

/* ---- Changing ---- */

static int take(struct image *i, struct err *err)
{
	char *name = now.name[now.count];
	int r;

	snprintf(name, sizeof(now.name[0]), "s%u", now.made + 1);
	r = image_snapshot(i, IMAGE_SNAPSHOT_CREATE, name, err);
	if (r == 0) {
		now.snapshot[now.count++] = now.disk;
		now.made++;
	}
	return r;
}

static int drop(struct image *i, u32 n, struct err *err)
{
	int r = image_snapshot(i, IMAGE_SNAPSHOT_DELETE, now.name[n], err);

	if (r < 0)
		return r;
	now.count--;
	for (; n < now.count; n++) {
		now.snapshot[n] = now.snapshot[n + 1];
		memcpy(now.name[n], now.name[n + 1], sizeof(now.name[n]));
	}
	return 0;
}

static int go_back(struct image *i, u32 n, struct err *err)
{
	int r = image_snapshot(i, IMAGE_SNAPSHOT_APPLY, now.name[n], err);

	if (r == 0)
		now.disk = now.snapshot[n];
	return r;
}

static int resize(struct image *i, struct err *err)
{
	u32 sectors = SECTORS / 2 + any(SECTORS);
	int r = image_resize(i, sectors * 512ULL, err);

	if (r < 0)
		return r;
	for (u32 k = now.disk.sectors; k < sectors; k++)
		now.disk.tag[k] = 0;
	now.disk.sectors = sectors;
	return 0;
}

static void fill(struct image *i, u32 tag)
{
	static u32 buf[200 * 128];

	for (u32 n = 0; n < 12; n++) {
		u32 at = any(now.disk.sectors), count = 1 + any(200);
		bool zero = any(5) == 0;

		count = MIN(count, now.disk.sectors - at);
		for (u32 k = 0; k < count * 128; k++)
			buf[k] = tag + n;
		ck_assert_int_eq(
			zero ? image_zero(i, at * 512ULL, count * 512)
			     : image_write(i, at * 512ULL, buf, count * 512),
			0);
		for (u32 k = 0; k < count; k++)
			now.disk.tag[at + k] = zero ? 0 : tag + n;
	}
	ck_assert_int_eq(image_flush(i), 0);
}

/* Bitmaps in place of those that are there, which are what was stored. */
static int store_bitmaps(struct image *i, struct err *err)
{
	static const char *const names[] = { "one", "two", "three" };
	struct image_bitmap list[3] = { 0 }, *have;
	u32 count = any(4), found;
	int r;

	for (u32 n = 0; n < count; n++) {
		struct image_bitmap *b = &list[n];

		b->name = (char *)(uintptr_t)names[n];
		b->bits = 9 + any(4);
		b->automatic = any(2);
		b->bytes = image_bitmap_bytes(image_size(i), b->bits);
		b->map = calloc(1, MAX(b->bytes, 1));
		for (u64 k = 0; k < b->bytes / 2; k++)
			b->map[k] = n == 1 ? 0xff : any(256);
	}
	r = image_bitmaps_store(i, list, count, err);
	if (r == 0) {
		ck_assert_int_eq(image_bitmaps(i, true, &have, &found), 0);
		ck_assert_uint_eq(found, count);
		for (u32 n = 0; n < count; n++) {
			ck_assert_str_eq(have[n].name, list[n].name);
			ck_assert_uint_eq(have[n].bits, list[n].bits);
			ck_assert_mem_eq(have[n].map, list[n].map,
					 list[n].bytes);
		}
		image_bitmaps_free(have, found);
	}
	for (u32 n = 0; n < count; n++)
		free(list[n].map);
	return r;
}

/* old: it may be of version 2, and goes there and back. */
static int amend(struct image *i, bool old, bool lazy, struct err *err)
{
	struct image_amend o = { .lazy = -1 };

	if (old)
		o.version = now.count ? 3 : 2 + any(2);
	else if (!lazy)
		o.refcount_bits = 8u << any(4);
	return image_amend(i, &o, err);
}

/* One random change; *ret_what: its name. */
static int change(struct image *i, bool old, bool lazy, bool backed,
		  const char **ret_what, struct err *err)
{
	u32 what = any(13), n = now.count ? any(now.count) : 0;

	if (what < 3 && now.count < SNAPSHOTS) {
		*ret_what = "snapshot -c";
		return take(i, err);
	}
	if (what < 5 && now.count) {
		*ret_what = "snapshot -d";
		return drop(i, n, err);
	}
	if (what < 7 && now.count) {
		*ret_what = "snapshot -a";
		return go_back(i, n, err);
	}
	if (what > 10) {
		*ret_what = "amend";
		return amend(i, old, lazy, err);
	}
	if (what == 10 && !old) {
		*ret_what = "bitmaps";
		return store_bitmaps(i, err);
	}
	if (what == 8 && backed) {
		*ret_what = "another name of the backing file";
		return image_set_backing(i, any(2) ? "base" : "./base", "raw",
					 err);
	}
	if (what == 9 && backed && !now.count) {
		*ret_what = "commit";
		return image_commit(i, 1, false, NULL, err);
	}
	/* Version 2 cannot tell how large a snapshot's disk is. */
	*ret_what = old && now.count ? "nothing" : "resize";
	return old && now.count ? 0 : resize(i, err);
}

/* ---- The image ---- */

static bool make_image(u64 s, const char *more, bool backed)
{
	u32 bits = 9 + mix(s ^ 77) % 8;

	memset(&now, 0, sizeof(now));
	now.disk.sectors = SECTORS;
	rng = s;
	if (!backed)
		return !tool("qemu-img create -q -f qcow2 -o cluster_size=%u,"
			     "%s img %u",
			     1u << bits, more, SECTORS * 512);
	return !tool("head -c %u /dev/zero >base && qemu-img create -q -f "
		     "qcow2 -b base -F raw -o cluster_size=%u,%s img",
		     SECTORS * 512, 1u << bits, more);
}

static ino_t inode(void)
{
	struct stat st;
	char path[96];

	snprintf(path, sizeof(path), "%s/img", dir);
	ck_assert_int_eq(stat(path, &st), 0);
	return st.st_ino;
}

/* The image as it may be after `cut` events of what was recorded. */
static void look_at(u64 s, u32 cut, bool lazy, bool power, const char *what)
{
	char text[80];

	if (power)
		(void)lose_power(s, cut);
	else
		replay(cut);
	snprintf(text, sizeof(text), "%s, %s after %u of %u events", what,
		 power ? "power lost" : "killed", cut, event_count);
	look(s, lazy, text);
}

static void one_step(u64 s, u32 step, const char *options, bool backed)
{
	struct image *i = open_image();
	bool lazy = !strcmp(options, "lazy_refcounts=on");
	struct err err = { 0 };
	const char *what = "";
	int r;

	fill(i, (step + 1) * 100);
	image_close(i);
	ck_assert_int_eq(tool("cp img img.old"), 0);
	before = now;
	event_inode = inode();
	events_forget();
	recording = true;
	i = open_image();
	r = change(i, !strcmp(options, "compat=0.10"), lazy, backed, &what,
		   &err);
	image_close(i);
	recording = false;
	ck_assert_msg(r == 0, "QCOW2_SEED=%llu: %s: %s", (unsigned long long)s,
		      what, err.msg);
	ck_assert_int_eq(tool("cp img img.new"), 0);
	for (u32 k = 0; k < cuts && event_count; k++) {
		look_at(s, any(event_count + 1), lazy, false, what);
		look_at(s, random_cut(mix(rng + k)), lazy, true, what);
	}
	ck_assert_int_eq(tool("cp img.new img"), 0);
	before = now;
	look(s, lazy, what);
}

START_TEST(qcow2_branch_survives_crashes)
{
	static const char *const more[] = { "refcount_bits=16", "compat=0.10",
					    "lazy_refcounts=on",
					    "refcount_bits=64",
					    "refcount_bits=4" };
	const char *options = more[_i % ARRAY_SIZE(more)];
	bool backed = mix(seed + _i) & 1;
	u64 s = seed + _i;

	ck_assert(make_image(s, options, backed));
	for (u32 step = 0; step < STEPS; step++)
		one_step(s, step, options, backed);
}

END_TEST

/* ---- The disk is full ---- */

START_TEST(qcow2_branch_survives_a_full_disk)
{
	u64 s = seed + 500 + _i;
	struct image *i;
	struct stat st;
	char path[96];

	ck_assert(make_image(s, "refcount_bits=16", false));
	i = open_image();
	for (u32 step = 0; step < STEPS; step++) {
		struct err err = { 0 };
		int r;

		fill(i, (step + 1) * 100);
		before = now;
		snprintf(path, sizeof(path), "%s/img", dir);
		ck_assert_int_eq(stat(path, &st), 0);
		event_limit = st.st_size + (off_t)any(20000);
		r = now.count < SNAPSHOTS ? take(i, &err)
		    : step & 1            ? drop(i, any(now.count), &err)
					  : go_back(i, any(now.count), &err);
		event_limit = 0;
		ck_assert_msg(r == 0 || r == -ENOSPC, "%s", err.msg);
		ck_assert_int_eq(image_flush(i), 0);
		tool("cp img img.kept");
		look(s, false, "full");
	}
	image_close(i);
	look(s, false, "full, at the end");
}

END_TEST

/* ---- A count that does not fit ---- */

START_TEST(qcow2_branch_counts_no_further)
{
	static const char *const more[] = { "refcount_bits=1",
					    "refcount_bits=2" };
	u32 most = _i ? 2 : 0;
	struct err err = { 0 };
	struct image *i;

	ck_assert(make_image(seed + _i, more[_i], false));
	i = open_image();
	fill(i, 100);
	for (u32 n = 0; n < most; n++)
		ck_assert_int_eq(take(i, &err), 0);
	before = now;
	ck_assert_int_eq(take(i, &err), -ERANGE);
	ck_assert_ptr_nonnull(strstr(err.msg, more[_i]));
	look(seed, false, "refused");
	fill(i, 200);
	before = now;
	image_close(i);
	ck_assert_int_eq(tool("qemu-img check -U -f qcow2 img"), 0);
	look(seed, false, "after it was refused");
}

END_TEST

/* ---- No disk at all ---- */

START_TEST(qcow2_branch_of_nothing)
{
	struct err err = { 0 };
	struct image *i;

	ck_assert(!tool("qemu-img create -q -f qcow2 img 0"));
	memset(&now, 0, sizeof(now));
	i = open_image();
	ck_assert_int_eq(take(i, &err), 0);
	ck_assert_int_eq(take(i, &err), 0);
	ck_assert_int_eq(image_resize(i, 65536, &err), 0);
	now.disk.sectors = 128;
	fill(i, 1);
	ck_assert_int_eq(take(i, &err), 0);
	ck_assert_int_eq(go_back(i, 0, &err), 0);
	image_close(i);
	before = now;
	look(0, false, "nothing");
	i = open_image();
	while (now.count)
		ck_assert_int_eq(drop(i, 0, &err), 0);
	image_close(i);
	before = now;
	look(0, false, "nothing, at the end");
	if (tool("qemu-img check -U -f qcow2 img"))
		say_failed(0, "leaks");
}

END_TEST

static void add(TCase *t, int times)
{
	tcase_add_loop_test(t, qcow2_branch_survives_crashes, 0, times);
	tcase_add_loop_test(t, qcow2_branch_survives_a_full_disk, 0, 2);
	tcase_add_loop_test(t, qcow2_branch_counts_no_further, 0, 2);
	tcase_add_test(t, qcow2_branch_of_nothing);
}

int main(void)
{
	if (getenv("QCOW2_CRASHES"))
		cuts = 4;
	return crash_main("block_qcow2_branch", 5, add);
}
