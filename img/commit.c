/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * `vmon img commit`.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "img/img.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/err.h"

#define COMMIT_LAYERS 66 /* more than there can be */

struct commit_run {
	const struct img *a;
	u64 rate, start, moved;
	double shown;
};

static void commit_moved(void *opaque, u64 done, u64 total, u64 bytes)
{
	struct commit_run *c = opaque;

	c->moved += bytes;
	img_progress(c->a, &c->shown, done, total);
	img_rate_wait(c->rate, c->start, c->moved);
}

/* Are these two names of one file? */
static bool commit_is(const char *a, const char *b)
{
	char *first = realpath(a, NULL), *second = realpath(b, NULL);
	bool same = first && second && !strcmp(first, second);

	free(first);
	free(second);
	return same;
}

/* How far below the image is -b, a name as the image has it. */
static int commit_depth(const struct img *a, struct image *i, int *ret)
{
	struct block_layer *l = xcalloc(COMMIT_LAYERS, sizeof(*l));
	int n = MIN(image_layers(i, l, COMMIT_LAYERS), COMMIT_LAYERS);

	*ret = 0;
	if (!l[0].backing) {
		free(l);
		return img_fail("Image does not have a backing file");
	}
	if (!a->backing)
		*ret = 1;
	for (int k = 1; k < n && !*ret; k++) {
		char *path = image_backing_path(l[k - 1].file, a->backing);

		if (commit_is(path, l[k].file))
			*ret = k;
		free(path);
	}
	free(l);
	return *ret ? 0
		    : img_fail("Did not find '%s' in the backing chain of '%s'",
			       a->backing, image_path(i));
}

int img_commit(const struct img *a)
{
	struct commit_run c = { .a = a, .start = clock_mono_ns() };
	struct commit_pace pace = { commit_moved, &c };
	struct image_mode mode = { .write = true };
	struct err err = { 0 };
	struct image *i;
	int depth, status = img_rate(a, &c.rate);

	if (status)
		return status;
	img_cache_mode(a->cache, &mode);
	i = img_open_operand(a, a->operand[0], a->format, &mode);
	if (!i)
		return 1;
	img_progress(a, &c.shown, 0, 1);
	status = commit_depth(a, i, &depth);
	/* Images between the two do not see what changes below them. */
	if (status == 0 &&
	    image_commit(i, depth, a->drop || a->backing, &pace, &err) < 0)
		status = img_fail("%s", err.msg);
	image_close(i);
	if (status)
		return status;
	img_progress_end(a);
	if (!a->quiet)
		puts("Image committed.");
	return 0;
}
