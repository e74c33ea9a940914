/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * INT 16h and IRQ 1: keys of the keyboard, and of a terminal at the serial
 * port while the guest leaves that alone.  US layout.
 */
#include "bios/bios.h"

#define COM_DATA 0x3f8
#define COM_LSR  0x3fd

#define BDA_SHIFT 0x417
#define BDA_HEAD  0x41a
#define BDA_TAIL  0x41c
/* What these two hold counts from 400h. */
#define BDA_RING   0x1e
#define BDA_END    0x3e
#define BDA_PREFIX 0x496 /* bit 1: the last byte was E0 */

#define SHIFT_RIGHT 0x01
#define SHIFT_LEFT  0x02
#define SHIFT_CTRL  0x04
#define SHIFT_ALT   0x08
#define SHIFT_CAPS  0x40

/* By scan code; 0: no character. */
static const u8 plain[0x3a] =
	"\0\x1b"
	"1234567890-=\b\tqwertyuiop[]\r\0asdfghjkl;'`\0\\zxcvbnm,./\0*\0 ";
static const u8 shifted[0x3a] =
	"\0\x1b"
	"!@#$%^&*()_+\b\tQWERTYUIOP{}\r\0ASDFGHJKL:\"~\0|ZXCVBNM<>?\0*\0 ";
/* Of ESC [ x: scan codes of A to H. */
static const u8 arrows[8] = { 0x48, 0x50, 0x4d, 0x4b, 0, 0x4f, 0, 0x47 };

static u16 ring_next(u16 at)
{
	return at + 2 >= BDA_END ? BDA_RING : at + 2;
}

static void ring_put(u16 key)
{
	u16 tail = far16(BDA_SEG, BDA_TAIL), next;

	if (tail < BDA_RING || tail >= BDA_END)
		tail = BDA_RING;
	next = ring_next(tail);
	if (next == far16(BDA_SEG, BDA_HEAD))
		return;
	set_far16(BDA_SEG + 0x40, tail & ~1u, key);
	set_far16(BDA_SEG, BDA_TAIL, next);
}

/* 0: there is none. */
static u16 ring_get(int take)
{
	u16 head = far16(BDA_SEG, BDA_HEAD), key;

	if (head == far16(BDA_SEG, BDA_TAIL))
		return 0;
	key = far16(BDA_SEG + 0x40, head);
	if (take)
		set_far16(BDA_SEG, BDA_HEAD, ring_next(head));
	return key;
}

/* ---- Keyboard ---- */

static u8 shift_bit(u8 code)
{
	switch (code) {
	case 0x1d: return SHIFT_CTRL;
	case 0x2a: return SHIFT_LEFT;
	case 0x36: return SHIFT_RIGHT;
	case 0x38: return SHIFT_ALT;
	default: return 0;
	}
}

static u16 key_of(u8 code, u8 state)
{
	u8 c;

	if (code >= sizeof plain)
		return code << 8;
	c = ROM8(plain[code]);
	if (state & (SHIFT_LEFT | SHIFT_RIGHT))
		c = ROM8(shifted[code]);
	else if ((state & SHIFT_CAPS) && c >= 'a' && c <= 'z')
		c -= 0x20;
	if (!c)
		return 0;
	if (state & SHIFT_ALT)
		c = 0;
	else if ((state & SHIFT_CTRL) && c >= '@')
		c &= 0x1f;
	return code << 8 | c;
}

static void key_code(u8 code)
{
	u8 state = far8(BDA_SEG, BDA_SHIFT), bit = shift_bit(code & 0x7f);
	u8 prefix = far8(BDA_SEG, BDA_PREFIX);
	u16 key;

	set_far8(BDA_SEG, BDA_PREFIX, code == 0xe0 ? prefix | 2 : prefix & ~2);
	if (code >= 0xe0)
		return;
	if (bit && !(prefix & 2 && code != 0x1d && code != 0x38)) {
		state = code & 0x80 ? state & ~bit : state | bit;
	} else if (code == 0x3a) {
		state ^= SHIFT_CAPS;
	} else if (!(code & 0x80) && !bit) {
		key = prefix & 2 && code != 0x1c ? code << 8
						 : key_of(code, state);
		if (key)
			ring_put(key);
	}
	set_far8(BDA_SEG, BDA_SHIFT, state);
}

void bios_key_pressed(void)
{
	if (inb(0x64) & 1)
		key_code(inb(0x60));
	outb(0x20, 0x20);
}

/* ---- Terminal ---- */

static u8 code_of(u8 c)
{
	for (u8 i = 1; i < sizeof plain; i++)
		if (ROM8(plain[i]) == c || ROM8(shifted[i]) == c)
			return i;
	return 0;
}

static void terminal_char(u8 c)
{
	volatile u8 *seen = (volatile u8 *)BIOS_EBDA_KEYS;

	if (*seen == 1 && (c == '[' || c == 'O')) {
		*seen = 2;
		return;
	}
	if (*seen == 2 && c >= 'A' && c <= 'H' && ROM8(arrows[c - 'A'])) {
		ring_put(ROM8(arrows[c - 'A']) << 8);
		*seen = 0;
		return;
	}
	if (*seen)
		ring_put(0x011b);
	if (*seen == 2)
		ring_put(0x1a00 | '[');
	*seen = c == 0x1b;
	if (*seen)
		return;
	if (c == 0x7f)
		c = '\b';
	if (c < 0x20 && c != '\b' && c != '\t' && c != '\r')
		ring_put(code_of(c + 0x60) << 8 | c);
	else
		ring_put(code_of(c) << 8 | c);
}

/* An escape that nothing follows is a key. */
static void terminal_poll(void)
{
	volatile u8 *seen = (volatile u8 *)BIOS_EBDA_KEYS;

	if (!(inb(BIOS_PORT_TEXT) & 1))
		return;
	for (u8 n = 0; n < 16 && (inb(COM_LSR) & 1); n++)
		terminal_char(inb(COM_DATA));
	if (*seen == 1 && !(inb(COM_LSR) & 1)) {
		inb(BIOS_PORT_WAIT);
		if (!(inb(COM_LSR) & 1)) {
			*seen = 0;
			ring_put(0x011b);
		}
	}
}

u16 bios_key_get(void)
{
	terminal_poll();
	return ring_get(1);
}

u32 bios_keys(struct frame *f)
{
	u16 key;

	switch (f->a.h) {
	case 0x00:
	case 0x10:
		key = bios_key_get();
		if (!key) {
			inb(BIOS_PORT_WAIT);
			return BIOS_AGAIN;
		}
		f->a.x = key;
		break;
	case 0x01:
	case 0x11:
		terminal_poll();
		key = ring_get(0);
		f->flags = key ? f->flags & ~FLAG_ZF : f->flags | FLAG_ZF;
		if (key)
			f->a.x = key;
		break;
	case 0x02: f->a.l = far8(BDA_SEG, BDA_SHIFT); break;
	case 0x12: f->a.x = far8(BDA_SEG, BDA_SHIFT); break;
	case 0x05:
		ring_put(f->c.x);
		f->a.l = 0;
		break;
	}
	return BIOS_DONE;
}
