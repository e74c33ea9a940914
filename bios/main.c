/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Which service, the machine's own (INT 15h), and the clock (INT 1Ah, but for
 * PCI).
 */
#include "bios/bios.h"

#define SMAP 0x534d4150u

/* The call is vmon's: disks, and what to boot. */
static u32 bios_host(struct frame *f)
{
	outl(BIOS_PORT, BIOS_EBDA_SEG * 16u + BIOS_EBDA_FRAME);
	return f->status;
}

/* With a key for the menu, which is vmon's too. */
static u32 bios_boot(struct frame *f)
{
	u32 status;

	f->b.e = bios_key_get() & 0xff;
	status = bios_host(f);
	if (status == BIOS_AGAIN)
		inb(BIOS_PORT_WAIT);
	return status;
}

u32 bios_call(void)
{
	struct frame *f = (struct frame *)BIOS_EBDA_FRAME;

	switch (f->vector) {
	case 0x09: bios_key_pressed(); return BIOS_DONE;
	case 0x10: return bios_video(f);
	case 0x15: return bios_system(f);
	case 0x16: return bios_keys(f);
	case 0x19: return bios_boot(f);
	case 0x1a: return f->a.h == 0xb1 ? bios_host(f) : bios_clock(f);
	default: return bios_host(f);
	}
}

static u32 head32(u16 at)
{
	return far32(BIOS_ROM_SEG, BIOS_ROM_AT + at);
}

static void system_e820(struct frame *f)
{
	u32 i = f->b.e, count = head32(BIOS_HEAD_E820);
	u16 from = BIOS_HEAD_E820 + 4;

	if (f->d.e != SMAP || i >= count || f->c.e < 20) {
		unknown(f);
		return;
	}
	from += i * 20;
	for (u16 n = 0; n < 20; n += 4)
		set_far32(f->es, f->di.x + n, head32(from + n));
	f->a.e = SMAP;
	f->b.e = i + 1 == count ? 0 : i + 1;
	f->c.e = 20;
	set_carry(f, 0);
}

/* KiB from 1 to 16 MiB, 64 KiB from there on. */
static void system_e801(struct frame *f)
{
	u32 kib = head32(BIOS_HEAD_LOW_KIB);
	u32 more = kib > 15 * 1024 ? (kib - 15 * 1024) / 64 : 0;

	f->a.x = f->c.x = kib > 15 * 1024 ? 15 * 1024 : kib;
	f->b.x = f->d.x = more;
	set_carry(f, 0);
}

/* A20 is always open. */
static void system_a20(struct frame *f)
{
	if (f->a.l > 3) {
		unknown(f);
		return;
	}
	if (f->a.l == 2)
		f->a.l = 1;
	if (f->a.l == 3)
		f->b.x = 3; /* by the keyboard controller and port 92h */
	f->a.h = 0;
	set_carry(f, 0);
}

u32 bios_system(struct frame *f)
{
	u32 kib = head32(BIOS_HEAD_LOW_KIB);

	switch (f->a.h) {
	case 0x24: system_a20(f); return BIOS_DONE;
	case 0x41:
	case 0x4f: set_carry(f, f->a.h == 0x4f); return BIOS_DONE;
	case 0x86:
	case 0x87:
		outl(BIOS_PORT, BIOS_EBDA_SEG * 16u + BIOS_EBDA_FRAME);
		return f->status;
	case 0x88:
		f->a.x = kib > 0xfc00 ? 0xfc00 : kib;
		set_carry(f, 0);
		return BIOS_DONE;
	case 0xc1:
		f->es = BIOS_EBDA_SEG;
		set_carry(f, 0);
		return BIOS_DONE;
	}
	if (f->a.x == 0xe820)
		system_e820(f);
	else if (f->a.x == 0xe801)
		system_e801(f);
	else
		unknown(f);
	return BIOS_DONE;
}

/* ---- The clock ---- */

static u8 cmos(u8 index)
{
	outb(0x70, index);
	return inb(0x71);
}

/* Registers do not change for 244 us after this. */
static void clock_settle(void)
{
	for (u32 i = 0; i < 10000 && (cmos(0x0a) & 0x80); i++)
		;
}

u32 bios_clock(struct frame *f)
{
	set_carry(f, 0);
	switch (f->a.h) {
	case 0x00:
		f->d.x = far16(BDA_SEG, 0x46c);
		f->c.x = far16(BDA_SEG, 0x46e);
		f->a.x = far8(BDA_SEG, 0x470);
		set_far8(BDA_SEG, 0x470, 0);
		break;
	case 0x01:
		set_far16(BDA_SEG, 0x46c, f->d.x);
		set_far16(BDA_SEG, 0x46e, f->c.x);
		set_far8(BDA_SEG, 0x470, 0);
		f->a.h = 0;
		break;
	case 0x02:
		clock_settle();
		f->c.h = cmos(4);
		f->c.l = cmos(2);
		f->d.h = cmos(0);
		f->d.l = cmos(0x0b) & 1;
		f->a.h = 0;
		break;
	case 0x04:
		clock_settle();
		f->c.h = cmos(0x32);
		f->c.l = cmos(9);
		f->d.h = cmos(8);
		f->d.l = cmos(7);
		f->a.h = 0;
		break;
	default: set_carry(f, 1); break;
	}
	return BIOS_DONE;
}
