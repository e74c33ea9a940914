/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * `vmon img snapshot`, and the list of them.
 */
#include <stdio.h>

#include "img/img.h"
#include "lib/buf.h"
#include "lib/err.h"

void img_snapshots_print(const struct image_snapshot *list, u32 count,
			 struct buf *out)
{
	if (!count)
		return;
	buf_puts(out, "Snapshot list:\n");
	image_snapshot_head(out);
	for (u32 i = 0; i < count; i++)
		image_snapshot_line(&list[i], out);
}

static int snapshot_list(struct image *i)
{
	struct image_snapshot *list;
	struct buf out = { 0 };
	u32 count;
	int r = image_snapshots(i, &list, &count);

	if (r < 0)
		return 0; /* as for an image that cannot have any */
	img_snapshots_print(list, count, &out);
	fputs(buf_str(&out), stdout);
	buf_fini(&out);
	image_snapshots_free(list, count);
	return 0;
}

static bool snapshot_has_bitmaps(struct image *i)
{
	struct image_bitmap *list;
	u32 count;

	if (image_bitmaps(i, false, &list, &count) < 0)
		return false;
	image_bitmaps_free(list, count);
	return count;
}

static int snapshot_change(struct image *i, enum image_snapshot_op op,
			   const char *name)
{
	static const char *const what[] = { "create", "apply", "delete" };
	struct err err = { 0 };
	int status = 0;

	if (op == IMAGE_SNAPSHOT_APPLY && snapshot_has_bitmaps(i))
		return img_fail("Could not apply snapshot '%s': the image has "
				"bitmaps, which would be wrong then",
				name);
	if (image_snapshot(i, op, name, &err) < 0)
		status = img_fail("Could not %s snapshot '%s': %s", what[op],
				  name, err.msg);
	if (op != IMAGE_SNAPSHOT_APPLY && image_bitmaps_confirm(i) < 0)
		status = img_fail("'%s' could not be written", image_path(i));
	return status;
}

int img_snapshot(const struct img *a)
{
	const char *const name[] = { a->take, a->apply, a->drop };
	struct image_mode mode = { .alone = true };
	struct image *i;
	int op = -1, n = 0, status = 0;

	for (int k = 0; k < (int)ARRAY_SIZE(name); k++)
		if (name[k]) {
			op = k;
			n++;
		}
	if (n + !!a->list > 1)
		return img_fail("Cannot mix '-l', '-a', '-c', '-d'");
	mode.write = op >= 0;
	i = img_open_operand(a, a->operand[0], NULL, &mode);
	if (!i)
		return 1;
	if (a->list)
		status = snapshot_list(i);
	else if (op >= 0)
		status = snapshot_change(i, (enum image_snapshot_op)op,
					 name[op]);
	image_close(i);
	return status;
}
