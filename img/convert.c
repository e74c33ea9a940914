/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * `vmon img convert`.
 *
 * Threads take pieces one behind the other, read and compress them, and write
 * in the order of the disk unless -W (or a raw target, where it does not
 * matter).  Memory is a buffer or two for each.
 *
 * Locking: struct convert's lock; I/O is done without it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "img/source.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/iov.h"
#include "lib/lock.h"
#include "lib/parse.h"
#include "lib/thread.h"

#define CONVERT_PIECE   (2 * MIB)
#define CONVERT_THREADS 16
#define CONVERT_SECTOR  512u
#define CONVERT_ALIGN   4096u /* of buffers, for O_DIRECT */

struct convert {
	const struct img *a;
	struct img_source from;
	struct image *to;
	u64 total;       /* bytes; what both have */
	u64 rate, start; /* see img_rate_wait() */
	u32 piece;       /* what a thread takes at once */
	u32 grain;       /* runs of zeroes are looked for in these */
	bool is_zero;    /* the target, so far */
	bool ordered;
	/* -B: where the first layer of the source has nothing, below here, what
	 * is under the target is taken to have it; else 0. */
	u64 below;
	u32 unit; /* of the target */

	struct lock lock;
	struct cond turn_came;
	u64 next GUARDED_BY_MEMBER(lock); /* nobody has taken */
	u64 moved GUARDED_BY_MEMBER(lock);
	u64 taken GUARDED_BY_MEMBER(lock), turn GUARDED_BY_MEMBER(lock);
	u64 known GUARDED_BY_MEMBER(lock);  /* looked at up to here */
	bool there GUARDED_BY_MEMBER(lock); /* up to that */
	double shown GUARDED_BY_MEMBER(lock);
	int error GUARDED_BY_MEMBER(lock); /* -errno */
	u64 error_at GUARDED_BY_MEMBER(lock);
	bool error_read GUARDED_BY_MEMBER(lock);
};

static void convert_failed(struct convert *c, int error, u64 at, bool reading)
	REQUIRES(c->lock)
{
	if (c->error == 0) {
		c->error = error;
		c->error_at = at;
		c->error_read = reading;
	}
	cond_broadcast(&c->turn_came);
}

/* ---- Taking ---- */

/* What begins at c->next, as far as all of it need not be written: it reads
 * as zero in source and target, or comes from below. */
static int convert_look(struct convert *c) REQUIRES(c->lock)
{
	u64 end = c->next < c->below ? MIN(c->below, c->total) : c->total;
	struct image_extent x;

	if (c->next < c->known)
		return 0;
	c->known = c->next;
	do {
		int r = img_source_map(&c->from, c->known, end - c->known, &x);
		bool there;

		/* It will be found out what of it can be read. */
		if (r < 0 && c->a->salvage)
			x = (struct image_extent){
				.bytes = MIN(c->piece, end - c->known),
				.present = true,
			};
		else if (r < 0)
			return r;
		there = c->below ? c->known < c->below &&
					   !(x.present && x.depth == 0)
				 : x.zero;
		if (c->known > c->next && !there)
			break;
		c->there = there;
		c->known += x.bytes;
	} while (c->there && c->known < end);
	return 0;
}

/* Passes over what need not be written, in whole clusters of the target. */
static int convert_skip(struct convert *c) REQUIRES(c->lock)
{
	u32 step = c->below ? c->unit : c->piece;

	while ((c->is_zero || c->below) && c->next < c->total) {
		int r = convert_look(c);
		u64 end = c->known == c->total
				  ? c->known
				  : ALIGN_DOWN(c->known, (u64)step);

		if (r < 0 || !c->there || end <= c->next)
			return r;
		c->next = end;
	}
	return 0;
}

static bool convert_take(struct convert *c, u64 *ret_at, u64 *ret_bytes,
			 u64 *ret_turn)
{
	bool some = false;
	u64 moved;
	int r;

	lock_acquire(&c->lock);
	r = c->error ? 0 : convert_skip(c);
	if (r < 0)
		convert_failed(c, r, c->next, true);
	if (!c->error && c->next < c->total) {
		*ret_at = c->next;
		*ret_bytes = MIN(c->piece, c->total - c->next);
		if (c->below)
			*ret_bytes = MIN(*ret_bytes,
					 ALIGN_UP(MAX(c->known, c->next + 1),
						  (u64)c->unit) -
						 c->next);
		*ret_turn = c->taken++;
		c->next += *ret_bytes;
		c->moved += *ret_bytes;
		some = true;
	}
	if (!c->error)
		img_progress(c->a, &c->shown, c->next, c->total);
	moved = c->moved;
	lock_release(&c->lock);
	if (some)
		img_rate_wait(c->rate, c->start, moved);
	return some;
}

/* ---- Reading ---- */

static int convert_salvage(struct convert *c, u64 at, u8 *buf, u64 bytes)
{
	for (u64 i = 0, n; i < bytes; i += n) {
		int r;

		n = MIN(CONVERT_SECTOR, bytes - i);
		r = img_source_read(&c->from, at + i, buf + i, n);
		if (r == 0)
			continue;
		memset(buf + i, 0, n);
		if (!c->a->quiet)
			fprintf(stderr,
				"vmon img: warning: error while reading offset "
				"%" PRIu64 ": %s\n",
				at + i, strerror(-r));
	}
	return 0;
}

static int convert_read(struct convert *c, u64 at, u8 *buf, u64 bytes)
{
	int r = img_source_read(&c->from, at, buf, bytes);

	return r < 0 && c->a->salvage ? convert_salvage(c, at, buf, bytes) : r;
}

/* ---- Writing ---- */

static bool convert_is_zero(u8 *buf, u64 bytes)
{
	struct iovec iov = { buf, bytes };

	return iov_is_zero(&iov, 1);
}

/* Runs of data and of zeroes in turn. */
static int convert_write_runs(struct convert *c, u64 at, u8 *buf, u64 bytes)
{
	u64 done = 0, n;
	int r = 0;

	if (!c->grain)
		return image_write(c->to, at, buf, bytes);
	for (; done < bytes && r == 0; done += n) {
		bool zero;

		n = MIN(c->grain, bytes - done);
		zero = convert_is_zero(buf + done, n);
		while (done + n < bytes) {
			u64 more = MIN(c->grain, bytes - done - n);

			if (convert_is_zero(buf + done + n, more) != zero)
				break;
			n += more;
		}
		if (!zero)
			r = image_write(c->to, at + done, buf + done, n);
		else if (!c->is_zero)
			r = image_zero(c->to, at + done, n);
	}
	return r;
}

/* packed: 0: it does not get smaller. */
static int convert_write(struct convert *c, u64 at, u8 *buf, u64 bytes,
			 const u8 *out, u32 packed)
{
	if (packed)
		return image_write_packed(c->to, at, out, packed);
	return convert_write_runs(c, at, buf, bytes);
}

static int convert_wait(struct convert *c, u64 turn)
{
	int r;

	lock_acquire(&c->lock);
	while (c->ordered && c->turn != turn && !c->error)
		cond_wait(&c->turn_came, &c->lock);
	r = c->error;
	lock_release(&c->lock);
	return r;
}

static void convert_next(struct convert *c)
{
	lock_acquire(&c->lock);
	c->turn++;
	cond_broadcast(&c->turn_came);
	lock_release(&c->lock);
}

static int convert_pack(struct convert *c, u8 *buf, u64 bytes, u8 *out,
			u32 *ret)
{
	*ret = 0;
	if (!c->a->compress || convert_is_zero(buf, bytes))
		return 0;
	memset(buf + bytes, 0, c->piece - bytes);
	return image_pack(c->to, buf, out, ret);
}

/* Copies what was taken; *reading: what failed if something did. */
static int convert_piece(struct convert *c, u64 at, u64 bytes, u64 turn,
			 u8 *buf, u8 *out, bool *reading)
{
	u32 packed = 0;
	int r = -ENOTSUP;

	*reading = false;
	if (c->a->offload)
		r = img_source_copy(&c->from, at, c->to, bytes);
	if (r != -ENOTSUP)
		return r;
	r = convert_read(c, at, buf, bytes);
	*reading = r < 0;
	if (r == 0)
		r = convert_pack(c, buf, bytes, out, &packed);
	if (r == 0)
		r = convert_wait(c, turn);
	return r < 0 ? r : convert_write(c, at, buf, bytes, out, packed);
}

static void convert_thread(void *arg)
{
	struct convert *c = arg;
	u8 *both = xalloc(2 * c->piece + CONVERT_ALIGN);
	u8 *buf = (u8 *)ALIGN_UP((uintptr_t)both, (uintptr_t)CONVERT_ALIGN);
	u8 *out = buf + c->piece;
	u64 at, bytes, turn;
	bool reading;

	while (convert_take(c, &at, &bytes, &turn)) {
		int r = convert_piece(c, at, bytes, turn, buf, out, &reading);

		if (r < 0) {
			lock_acquire(&c->lock);
			convert_failed(c, r, at, reading);
			lock_release(&c->lock);
			break;
		}
		convert_next(c);
	}
	free(both);
}

static int convert_run(struct convert *c, int threads)
{
	struct thread t[CONVERT_THREADS] = { 0 };
	int r = 0;

	c->start = clock_mono_ns();
	for (int i = 1; i < threads; i++)
		(void)thread_start(&t[i], "convert", convert_thread, c, NULL);
	convert_thread(c);
	for (int i = 1; i < threads; i++)
		thread_join(&t[i]);
	lock_acquire(&c->lock);
	if (c->error)
		img_fail("error while %s at byte %" PRIu64 ": %s",
			 c->error_read ? "reading" : "writing", c->error_at,
			 strerror(-c->error));
	r = c->error;
	lock_release(&c->lock);
	return r < 0;
}

/* ---- The target ---- */

static bool convert_is_device(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISBLK(st.st_mode);
}

static int convert_create(const struct img *a, const char *path,
			  const char *format, u64 size)
{
	struct err err = { 0 };
	struct image_options o;
	int status = img_options(format, a->options, &o, path);

	if (status == 0 && a->backing) {
		if (strcmp(format, "qcow2"))
			status = img_fail("Backing file not supported for file "
					  "format '%s'",
					  format);
		else if (!a->other)
			status = img_fail("backing file '%s' needs its format: "
					  "-F",
					  a->backing);
		free(o.backing);
		free(o.backing_format);
		o.backing = xstrdup(a->backing);
		o.backing_format = xstrdup(a->other);
	}
	if (status == 0) {
		o.size = o.size ? ALIGN_UP(o.size, 512ULL) : size;
		if (image_create(path, format, &o, &err) < 0)
			status = img_fail("%s: error while converting %s: %s",
					  path, format, err.msg);
	}
	img_options_fini(format, &o);
	return status;
}

/* Opens the target, which is made unless -n. */
static int convert_target(struct convert *c)
{
	const struct img *a = c->a;
	const char *format = a->out_format ? a->out_format : "raw";
	const char *path = a->operand[a->operands - 1];
	struct image_mode mode = { .write = true, .no_flush = !a->cache };
	struct block_layer layer[2];
	u64 size = c->from.size;
	int status = a->keep ? 0 : convert_create(a, path, format, size);

	if (status)
		return status;
	img_cache_mode(a->cache, &mode);
	c->to = a->target_opts ? img_open_opts(path, &mode)
			       : img_open(a, path, format, &mode);
	if (!c->to)
		return 1;
	if (a->keep && image_size(c->to) < size)
		return img_fail("output file is smaller than input file");
	c->total = MIN(size, image_size(c->to));
	c->is_zero = a->keep ? a->is_zero != NULL
			     : !a->backing && !convert_is_device(path);
	if (a->backing && image_layers(c->from.image[0], layer, 2) > 1)
		c->below = ALIGN_DOWN(layer[1].virtual_size, 512ULL);
	if (a->bitmaps &&
	    !(image_can_pack(c->from.image[0]) && image_can_pack(c->to)))
		return img_fail("Format driver 'raw' does not support "
				"bitmaps");
	if (a->compress && !image_can_pack(c->to))
		return img_fail("Compression not supported for this file "
				"format");
	return 0;
}

/* ---- The whole ---- */

static int convert_settings(struct convert *c, int *ret_threads)
{
	const struct img *a = c->a;
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	/* One that waits for its turn leaves the processor to another. */
	u64 n = MIN(MAX(2 * cpus, 8), CONVERT_THREADS), sparse = 4096;
	u32 unit = image_unit(c->to);

	if (a->threads && (parse_u64(a->threads, &n) < 0 || n < 1 || n > 16))
		return img_fail("Invalid number of coroutines. Allowed number "
				"of coroutines is between 1 and 16");
	if (a->sparse &&
	    (parse_size(a->sparse, 1, &sparse) < 0 || sparse > MIB))
		return img_fail("Invalid buffer size for sparse output "
				"specified: '%s' (0 to 1M)",
				a->sparse);
	*ret_threads = n;
	c->unit = unit;
	c->grain = sparse ? MAX(MIN(unit, MIB), ALIGN_UP(sparse, 512ULL)) : 0;
	c->piece = a->compress ? unit : MAX(unit, CONVERT_PIECE);
	c->ordered = !a->unordered && strcmp(image_format(c->to), "raw");
	if (!sparse)
		c->is_zero = false;
	return 0;
}

/* What does not go together. */
static int convert_check(const struct img *a)
{
	if (a->offload && (a->compress || a->sparse))
		return img_fail("Cannot enable copy offloading when -%c is "
				"used",
				a->compress ? 'c' : 'S');
	if (a->offload && a->salvage)
		return img_fail("Cannot use copy offloading in salvaging mode");
	if (a->is_zero && !a->keep)
		return img_fail("--target-is-zero requires use of -n flag");
	if (a->is_zero && a->backing)
		return img_fail("Cannot use --target-is-zero when the "
				"destination image has a backing file");
	if (a->keep && a->options)
		return img_fail("-o has no effect when skipping image "
				"creation");
	if (a->target_opts && a->out_format)
		return img_fail("--target-image-opts and -O are mutually "
				"exclusive");
	if (a->target_opts && !a->keep)
		return img_fail("--target-image-opts requires use of -n flag");
	if (a->operands > 2 && a->backing)
		return img_fail("Having a backing file for the target makes "
				"no sense when concatenating multiple input "
				"images");
	if (a->skip_broken && !a->bitmaps)
		return img_fail("Use of --skip-broken-bitmaps requires "
				"--bitmaps");
	if (a->operands > 2 && a->bitmaps)
		return img_fail(
			"Copying bitmaps only possible with single source");
	if (a->operands > 2 && a->snapshot)
		return img_fail("No support for concatenating multiple "
				"snapshot");
	return 0;
}

int img_convert(const struct img *a)
{
	struct convert c = { .a = a };
	int status = convert_check(a), threads = 1;

	if (status == 0)
		status = img_rate(a, &c.rate);
	if (status)
		return status;
	lock_init(&c.lock);
	cond_init(&c.turn_came);
	status = img_source_open(a, &c.from, a->operands - 1, a->snapshot);
	if (status == 0)
		status = convert_target(&c);
	if (status == 0)
		status = convert_settings(&c, &threads);
	if (status == 0)
		status = convert_run(&c, threads);
	if (status == 0 && image_flush(c.to) < 0)
		status =
			img_fail("'%s' could not be written", image_path(c.to));
	if (status == 0 && a->bitmaps)
		status = img_bitmaps_copy(a, c.from.image[0], c.to);
	if (status == 0)
		img_progress_end(a);
	img_source_close(&c.from);
	image_close(c.to);
	cond_fini(&c.turn_came);
	lock_fini(&c.lock);
	return status < 0 ? 0 : status;
}
