/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Back ends without a peer: output is discarded, there is no input.
 *
 * "vc", a text console in a graphical window, behaves the same as long as
 * there is no window to show it.
 *
 * Locking: none needed.
 */
#include "chardev/internal.h"

static ssize_t null_write(struct chardev *chr, const u8 *data, size_t len)
{
	return len;
}

const struct chardev_class null_chardev_class = {
	.name = "null",
	.desc = "discards output",
	.size = sizeof(struct chardev),
	.write = null_write,
};

struct chr_vc {
	struct chardev chr;
	u32 width, height, cols, rows;
};

static const struct option_row vc_options[] = {
	{ "width", &opt_u32, offsetof(struct chr_vc, width), NULL, "pixels",
	  NULL },
	{ "height", &opt_u32, offsetof(struct chr_vc, height), NULL, "pixels",
	  NULL },
	{ "cols", &opt_u32, offsetof(struct chr_vc, cols), NULL, "characters",
	  NULL },
	{ "rows", &opt_u32, offsetof(struct chr_vc, rows), NULL, "characters",
	  NULL },
	OPTION_END,
};

const struct chardev_class vc_chardev_class = {
	.name = "vc",
	.desc = "console in a window; discards output without one",
	.size = sizeof(struct chr_vc),
	.options = vc_options,
	.write = null_write,
};
