/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the firmware's screen shows, for a terminal at the first serial port:
 * until the guest programs the UART, whose terminal it is from then on.
 *
 * Text that flows goes out as it is; where it jumps, the terminal's cursor is
 * moved first.
 */
#include "devices/bios.h"

#include <stdio.h>
#include <string.h>

#include "devices/pc.h"
#include "vmm/machine.h"

#define COLUMNS 80
#define ROWS    25

static struct device *text_port(struct bios *s)
{
	struct device *d;

	list_for_each (d, &s->dev.m->devices, node) {
		u32 index, iobase, irq;

		if (d->class != &serial_class)
			continue;
		serial_wiring(d, &index, &iobase, &irq);
		if (index == 0)
			return d;
	}
	return NULL;
}

bool bios_text_owned(struct bios *s)
{
	struct device *port = text_port(s);

	return port && serial_firmware_owns(port);
}

static void text_send(struct bios *s, const char *text)
{
	struct device *port = text_port(s);

	for (; port && *text; text++)
		if (!serial_firmware_put(port, (u8)*text))
			break;
}

static void text_move(struct bios *s, u8 col, u8 row)
{
	char text[16];

	if (s->col == col && s->row == row)
		return;
	if (row == s->row && !col)
		text_send(s, "\r");
	else if (row == s->row + 1 && !col)
		text_send(s, "\r\n");
	else {
		snprintf(text, sizeof text, "\033[%d;%dH", row + 1, col + 1);
		text_send(s, text);
	}
	s->col = col;
	s->row = row;
}

/* Code page 437's frames; what else a terminal may take amiss is a dot. */
static char text_plain(u8 c)
{
	if (c >= 0x20 && c < 0x7f)
		return (char)c;
	switch (c) {
	case 0xb3:
	case 0xba: return '|';
	case 0xc4:
	case 0xcd: return '-';
	case 0x18: return '^';
	case 0x19: return 'v';
	case 0x1a: return '>';
	case 0x1b: return '<';
	case 0:
	case 0xff: return ' ';
	default: return c >= 0xb4 && c <= 0xda ? '+' : '.';
	}
}

static void text_put(struct bios *s, u8 c)
{
	char text[2] = { text_plain(c), 0 };

	/* Spaces are not worth a jump: GRUB clears each line with them. */
	text_send(s, text);
	if (s->col < COLUMNS - 1)
		s->col++;
	else
		s->col = UINT8_MAX; /* terminals differ */
	s->silent = false;
}

static void text_type(struct bios *s, u8 c)
{
	switch (c) {
	case '\a': text_send(s, "\a"); break;
	case '\b':
		text_send(s, "\b");
		s->col -= s->col > 0;
		break;
	case '\r':
		text_send(s, "\r");
		s->col = 0;
		break;
	case '\n':
		text_send(s, "\n");
		s->row += s->row < ROWS - 1;
		break;
	default: text_put(s, c); break;
	}
}

void bios_text_event(struct bios *s, u32 event)
{
	u8 c = event & 0xff, col = event >> 16 & 0x7f, row = event >> 24 & 0x1f;

	if (event & BIOS_TEXT_CLEAR) {
		if (!s->silent)
			text_send(s, "\033[2J\033[H");
		s->silent = true;
		s->col = s->row = 0;
		return;
	}
	/* Some write a cell for its color, and then the same as a teletype. */
	if ((event & BIOS_TEXT_TYPE) && c == s->cell && col == s->cell_col &&
	    row == s->row && s->col == col + 1) {
		s->cell = 0;
		return;
	}
	s->cell = event & BIOS_TEXT_TYPE ? 0 : c;
	s->cell_col = col;
	text_move(s, col, row);
	if (event & BIOS_TEXT_TYPE)
		text_type(s, c);
	else
		text_put(s, c);
}

void bios_text_reset(struct bios *s)
{
	s->col = s->row = 0;
	s->silent = true;
}

/* ---- vmon's own words ---- */

#define SCREEN     0xb8000
#define BDA_CURSOR 0x450 /* column, row */
#define CRTC       0x3d4

static void screen_newline(struct memory *mem, u8 cursor[2])
{
	u8 rows[ROWS * COLUMNS * 2];

	cursor[0] = 0;
	if (cursor[1] < ROWS - 1) {
		cursor[1]++;
		return;
	}
	(void)mem_read(mem, SCREEN, rows, sizeof rows);
	memmove(rows, rows + COLUMNS * 2, sizeof rows - COLUMNS * 2);
	for (u32 i = sizeof rows - COLUMNS * 2; i < sizeof rows; i += 2) {
		rows[i] = ' ';
		rows[i + 1] = 7;
	}
	(void)mem_write(mem, SCREEN, rows, sizeof rows);
}

/* As the ROM's teletype would, and a new line behind. */
static void screen_line(struct machine *m, const char *text)
{
	u8 cursor[2] = { 0 }, cell[2] = { 0, 7 };
	u16 at;

	(void)mem_read(&m->mem, BDA_CURSOR, cursor, sizeof cursor);
	cursor[0] = MIN(cursor[0], COLUMNS - 1);
	cursor[1] = MIN(cursor[1], ROWS - 1);
	for (; *text; text++) {
		cell[0] = (u8)*text;
		at = (u16)(cursor[1] * COLUMNS + cursor[0]);
		(void)mem_write(&m->mem, SCREEN + at * 2u, cell, sizeof cell);
		if (++cursor[0] == COLUMNS)
			screen_newline(&m->mem, cursor);
	}
	screen_newline(&m->mem, cursor);
	(void)mem_write(&m->mem, BDA_CURSOR, cursor, sizeof cursor);
	at = (u16)(cursor[1] * COLUMNS);
	space_write(&m->io, CRTC, 2, 0x0e | (at & 0xff00u));
	space_write(&m->io, CRTC, 2, 0x0f | (at & 0xffu) << 8);
}

void bios_say(struct bios *s, const char *text)
{
	screen_line(s->dev.m, text);
	text_send(s, text);
	text_send(s, "\r\n");
	s->silent = false;
}
