/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * INT 10h: the text screen of 80 by 25 at B8000, one page.
 *
 * What is shown is told to vmon too, for a terminal at the serial port.
 */
#include "bios/bios.h"

#define COLUMNS 80u
#define ROWS    25u

#define BDA_CURSOR 0x450 /* column, row */
#define BDA_SHAPE  0x460

struct place {
	u8 col, row;
};

static struct place cursor_get(void)
{
	u16 at = far16(BDA_SEG, BDA_CURSOR);
	struct place p = { at & 0xff, at >> 8 };

	if (p.col >= COLUMNS)
		p.col = COLUMNS - 1;
	if (p.row >= ROWS)
		p.row = ROWS - 1;
	return p;
}

/* Two registers of the CRT controller, from `index` on. */
static void crtc_set(u8 index, u16 value)
{
	outb(0x3d4, index);
	outb(0x3d5, value >> 8);
	outb(0x3d4, index + 1);
	outb(0x3d5, value);
}

/* 0Eh and 0Fh: where the cursor is. */
static void cursor_set(struct place p)
{
	set_far16(BDA_SEG, BDA_CURSOR, p.col | p.row << 8);
	crtc_set(0x0e, p.row * COLUMNS + p.col);
}

/* 0Ah and 0Bh: its lines, of 16; the caller may count as if of 8. */
static void cursor_shape(u16 shape)
{
	u8 from = shape >> 8 & 0x1f, to = shape & 0x1f;

	set_far16(BDA_SEG, BDA_SHAPE, shape);
	if (to < 8 && from < 8 && from <= to) {
		from = from * 2 + 1;
		to = to * 2;
	}
	crtc_set(0x0a, (shape & 0x2000) | from << 8 | to);
}

static u16 cell_at(u8 col, u8 row)
{
	return (row * COLUMNS + col) * 2;
}

static void cells_fill(u16 at, u16 count, u16 cell)
{
	__asm__ volatile("pushw %%es\n\t"
			 "movw %3, %%es\n\t"
			 "rep stosw\n\t"
			 "popw %%es"
			 : "+D"(at), "+c"(count)
			 : "a"(cell), "r"((u16)VGA_SEG)
			 : "memory");
}

static void cells_copy(u16 to, u16 from, u16 count)
{
	__asm__ volatile("pushw %%es\n\t"
			 "movw %3, %%es\n\t"
			 "movw %3, %%gs\n\t"
			 "rep movsw %%gs:(%%si), %%es:(%%di)\n\t"
			 "popw %%es"
			 : "+D"(to), "+S"(from), "+c"(count)
			 : "r"((u16)VGA_SEG)
			 : "memory");
}

static void screen_clear(u8 color)
{
	cells_fill(0, COLUMNS * ROWS, color << 8 | ' ');
	outl(BIOS_PORT_TEXT, BIOS_TEXT_CLEAR);
}

/* Part of the screen up or down by `lines`, 0: all of it. */
static void screen_scroll(u8 lines, u8 color, u8 left, u8 top, u8 right,
			  u8 bottom, int down)
{
	u8 height, width;

	if (right >= COLUMNS)
		right = COLUMNS - 1;
	if (bottom >= ROWS)
		bottom = ROWS - 1;
	if (left > right || top > bottom)
		return;
	height = bottom - top + 1;
	width = right - left + 1;
	if (!lines || lines > height)
		lines = height;
	for (u8 n = 0; n < height; n++) {
		u8 row = down ? bottom - n : top + n;
		u8 from = down ? row - lines : row + lines;

		if (n < height - lines)
			cells_copy(cell_at(left, row), cell_at(left, from),
				   width);
		else
			cells_fill(cell_at(left, row), width, color << 8 | ' ');
	}
	if (lines == height && width == COLUMNS && height == ROWS)
		outl(BIOS_PORT_TEXT, BIOS_TEXT_CLEAR);
}

static void tell_put(struct place p, u8 c, u8 color)
{
	outl(BIOS_PORT_TEXT, BIOS_TEXT_PUT | c | (u32)color << 8 |
				     (u32)p.col << 16 | (u32)p.row << 24);
}

/* As a teletype: returns where the cursor is then. */
static struct place type(struct place p, u8 c, int color)
{
	outl(BIOS_PORT_TEXT,
	     BIOS_TEXT_TYPE | c | (u32)p.col << 16 | (u32)p.row << 24);
	switch (c) {
	case '\a': return p;
	case '\b':
		if (p.col)
			p.col--;
		return p;
	case '\r': p.col = 0; return p;
	case '\n': p.row++; break;
	default: {
		u16 at = cell_at(p.col, p.row);

		set_far8(VGA_SEG, at, c);
		if (color >= 0)
			set_far8(VGA_SEG, at + 1, color);
		if (++p.col == COLUMNS) {
			p.col = 0;
			p.row++;
		}
	}
	}
	if (p.row == ROWS) {
		p.row = ROWS - 1;
		screen_scroll(1, 7, 0, 0, COLUMNS - 1, ROWS - 1, 0);
	}
	return p;
}

/* `count` times from the cursor on, which stays. */
static void put_cells(u8 c, int color, u16 count)
{
	struct place p = cursor_get();

	for (; count && p.row < ROWS; count--) {
		u16 at = cell_at(p.col, p.row);

		set_far8(VGA_SEG, at, c);
		if (color >= 0)
			set_far8(VGA_SEG, at + 1, color);
		tell_put(p, c, color >= 0 ? color : far8(VGA_SEG, at + 1));
		if (++p.col == COLUMNS) {
			p.col = 0;
			p.row++;
		}
	}
}

/* INT 10h, 13h: a string at ES:BP. */
static void put_string(struct frame *f)
{
	struct place old = cursor_get(), p = { f->d.l, f->d.h };
	u16 at = f->bp.x;

	if (p.col >= COLUMNS || p.row >= ROWS)
		p = old;
	for (u16 n = f->c.x; n; n--) {
		u8 c = far8(f->es, at++);
		u8 color = f->a.l & 2 ? far8(f->es, at++) : f->b.l;

		p = type(p, c, color);
	}
	cursor_set(f->a.l & 1 ? p : old);
}

static void mode_set(void)
{
	struct place home = { 0, 0 };

	set_far8(BDA_SEG, 0x449, 3);
	crtc_set(0x0c, 0); /* where the screen begins */
	screen_clear(7);
	cursor_shape(0x0607);
	cursor_set(home);
}

static void get_info(struct frame *f)
{
	if (f->a.x == 0x1130) { /* font: none is in the ROM */
		f->c.x = 16;
		f->d.l = ROWS - 1;
	} else if (f->a.h == 0x12 && f->b.l == 0x10) {
		f->b.x = 0x0003; /* color, 256 KiB */
		f->c.x = 0x0009;
	} else if (f->a.x == 0x1a00) {
		f->a.l = 0x1a;
		f->b.x = 0x0008; /* VGA with a color screen */
	}
}

u32 bios_video(struct frame *f)
{
	struct place p;

	switch (f->a.h) {
	case 0x00: mode_set(); break;
	case 0x01: cursor_shape(f->c.x); break;
	case 0x02:
		p.col = f->d.l < COLUMNS ? f->d.l : COLUMNS - 1;
		p.row = f->d.h < ROWS ? f->d.h : ROWS - 1;
		cursor_set(p);
		break;
	case 0x03:
		f->d.x = far16(BDA_SEG, BDA_CURSOR);
		f->c.x = far16(BDA_SEG, BDA_SHAPE);
		break;
	case 0x06:
	case 0x07:
		screen_scroll(f->a.l, f->b.h, f->c.l, f->c.h, f->d.l, f->d.h,
			      f->a.h == 7);
		break;
	case 0x08:
		p = cursor_get();
		f->a.x = far16(VGA_SEG, cell_at(p.col, p.row));
		break;
	case 0x09: put_cells(f->a.l, f->b.l, f->c.x); break;
	case 0x0a: put_cells(f->a.l, -1, f->c.x); break;
	case 0x0e: cursor_set(type(cursor_get(), f->a.l, -1)); break;
	case 0x0f:
		f->a.x = COLUMNS << 8 | far8(BDA_SEG, 0x449);
		f->b.h = 0;
		break;
	case 0x11:
	case 0x12:
	case 0x1a: get_info(f); break;
	case 0x13: put_string(f); break;
	case 0x4f: f->a.x = 0x0100; break;
	}
	return BIOS_DONE;
}
