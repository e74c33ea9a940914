/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * `vmon img`: qemu-img's commands, with its options, texts and exit status.
 *
 * A command is a row in img/commands.def and a function img_NAME(), which
 * returns the exit status; an option is a row in img/options.def.
 */
#ifndef IMG_IMG_H
#define IMG_IMG_H

#include "block/image.h"
#include "lib/types.h"

struct buf;
struct err;

struct img_action { /* --add, --merge SOURCE: what bitmap does */
	const char *what, *arg;
};

struct img { /* the command line; strings and flags (not NULL) */
	const char *format, *other, *out_format, *options, *backing;
	const char *threads, *sparse, *cache, *src_cache, *repair;
	const char *start, *length, *output, *prealloc;
	const char *help, *blind, *compress, *keep, *is_zero, *unordered;
	const char *strict, *chain, *shrink, *share, *progress, *quiet;
	const char *list, *take, *apply, *drop; /* snapshots */
	const char *snapshot, *salvage, *offload, *rate, *size;
	const char *granularity, *bitmaps, *skip_broken, *force;
	const char *image_opts, *target_opts;
	struct img_action *action; /* owned; in order */
	int actions;
	char **operand;
	int operands;
	bool json; /* output */
};

#define IMG_COMMAND(name, operands, fewest, most, help) \
	int img_##name(const struct img *a);
#include "img/commands.def"
#undef IMG_COMMAND

/* From the arguments behind "img": the exit status. */
int img_main(int argc, char **argv);

/* "vmon img: ..." on stderr; returns 1. */
int img_fail(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* Says why it failed.  Messages of block/ begin without a name. */
struct image *img_open(const struct img *a, const char *path,
		       const char *format, const struct image_mode *mode);
/* What the command line names: as --image-opts says, or as above. */
struct image *img_open_operand(const struct img *a, const char *text,
			       const char *format,
			       const struct image_mode *mode);
/* "none", "writeback", ...; NULL: nothing changes.  false: no such word. */
bool img_cache_mode(const char *word, struct image_mode *mode);
/* Waits until `done` bytes may have been written since `start`, a time of
 * clock_mono_ns(); per_second: 0: at once. */
void img_rate_wait(u64 per_second, u64 start, u64 done);
/* Of -r; exit status. */
int img_rate(const struct img *a, u64 *ret);
/* "(12.00/100%)", at most once for each percent; done: the last one. */
void img_progress(const struct img *a, double *shown, u64 done, u64 total);
void img_progress_end(const struct img *a);

/* ---- source.c ---- */

/* What --image-opts names; says why it failed. */
struct image *img_open_opts(const char *text, const struct image_mode *mode);

/* ---- bitmap.c ---- */

struct img_bitmaps {
	struct image_bitmap *list; /* owned */
	u32 count;
};

/* None where there can be none.  Exit status; to be released in any case. */
int img_bitmaps_load(struct image *i, struct img_bitmaps *b);
void img_bitmaps_fini(struct img_bitmaps *b);
/* As long as the disk is by now. */
int img_bitmaps_store(struct image *i, struct img_bitmaps *b);
/* Those of `from`, for a new image: convert --bitmaps. */
int img_bitmaps_copy(const struct img *a, struct image *from, struct image *to);

/* ---- snapshot.c ---- */

void img_snapshots_print(const struct image_snapshot *list, u32 count,
			 struct buf *out);

/* ---- create.c ---- */

/* From -o, -b and -F; exit status.  `o` is released with
 * img_options_fini() in any case. */
int img_options(const char *format, const char *options,
		struct image_options *o, const char *path);
/* To another size, with its bitmaps; `how`: enum image_prealloc.  Exit
 * status. */
int img_resize_image(struct image *i, u64 size, int how);
void img_options_fini(const char *format, struct image_options *o);

#endif
