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

struct img { /* the command line; strings and flags (not NULL) */
	const char *format, *other, *out_format, *options, *backing;
	const char *threads, *sparse, *cache, *src_cache, *repair;
	const char *start, *length, *output, *prealloc;
	const char *help, *blind, *compress, *keep, *is_zero, *unordered;
	const char *strict, *chain, *shrink, *share, *progress, *quiet;
	const char *list, *take, *apply, *drop; /* snapshots */
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
/* "(12.00/100%)", at most once for each percent; done: the last one. */
void img_progress(const struct img *a, double *shown, u64 done, u64 total);
void img_progress_end(const struct img *a);

/* ---- snapshot.c ---- */

void img_snapshots_print(const struct image_snapshot *list, u32 count,
			 struct buf *out);

/* ---- create.c ---- */

/* From -o, -b and -F; exit status.  `o` is released with
 * img_options_fini() in any case. */
int img_options(const char *format, const char *options,
		struct image_options *o, const char *path);
void img_options_fini(const char *format, struct image_options *o);

#endif
