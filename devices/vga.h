/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a text screen shows.
 *
 * Locking: machine_lock.
 */
#ifndef DEVICES_VGA_H
#define DEVICES_VGA_H

#include "lib/types.h"

struct err;
struct machine;

#define VGA_COLUMNS_MAX 256u
#define VGA_ROWS_MAX    128u

struct vga_screen {
	u32 columns, rows;
	bool blank;  /* switched off; the text is there */
	bool cursor; /* shows, at: */
	u32 cursor_row, cursor_column;
	/* Row by row: character of code page 437, color. */
	u8 cell[VGA_COLUMNS_MAX * VGA_ROWS_MAX][2];
};

/* As it is now: of the VGA, or, without one, of the firmware that is built
 * in.  -ENODEV, or -ENOTSUP in a graphics mode. */
int vga_screen(struct machine *m, struct vga_screen *ret, struct err *err);

#endif
