/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What firmware leaves behind.
 *
 * There are no services: calls come back with carry set, as for functions
 * that a BIOS does not know.  Interrupts of the PIC are acknowledged.
 */
#include "vmm/boot_bios.h"

#include "lib/bytes.h"
#include "vmm/boot.h"
#include "vmm/machine.h"
#include "vmm/memory.h"

#define BDA_EBDA   0x40e /* segment */
#define BDA_MEMORY 0x413 /* KiB */
#define STUB_SEG   0xf000u

/* clang-format off */
static const u8 stub_irq[] = {
	0x50, 0xb0, 0x20, /* push ax; mov al, 0x20 */
	0xe6, 0x20,       /* out 0x20, al */
	0x58, 0xcf,       /* pop ax; iret */
};
static const u8 stub_irq_slave[] = {
	0x50, 0xb0, 0x20, 0xe6, 0xa0, /* ... out 0xa0, al */
	0xe6, 0x20, 0x58, 0xcf,
};
static const u8 stub_service[] = {
	0xb4, 0x86,       /* mov ah, 0x86 */
	0x55, 0x89, 0xe5, /* push bp; mov bp, sp */
	0x80, 0x4e, 0x06, 0x01, /* or byte [bp + 6], 1: the caller's carry */
	0x5d, 0xcf,       /* pop bp; iret */
};
static const u8 stub_none[] = { 0xcf };

/* Each row covers vectors; later ones win. */
static const struct {
	u8 first, last;
	u16 at; /* in STUB_SEG */
	const u8 *code;
	u8 bytes;
} stubs[] = {
	{ 0x00, 0xff, 0xff53, stub_none, sizeof stub_none },
	{ 0x08, 0x0f, 0xff60, stub_irq, sizeof stub_irq },
	{ 0x10, 0x1a, 0xff80, stub_service, sizeof stub_service },
	{ 0x70, 0x77, 0xff70, stub_irq_slave, sizeof stub_irq_slave },
};

/* PICs at vectors 8 and 0x70 with the timer's line open; a timer of 18.2 Hz
 * (8259A ICW1 to ICW4 and OCW1; 8254 control word, count). */
static const struct {
	u8 port, value;
} chips[] = {
	{ 0x20, 0x11 }, { 0x21, 0x08 }, { 0x21, 0x04 }, { 0x21, 0x01 },
	{ 0xa0, 0x11 }, { 0xa1, 0x70 }, { 0xa1, 0x02 }, { 0xa1, 0x01 },
	{ 0x21, 0xfa }, { 0xa1, 0xff },
	{ 0x43, 0x34 }, { 0x40, 0x00 }, { 0x40, 0x00 },
};

/* clang-format on */

void boot_bios_leave(struct machine *m)
{
	u8 vectors[1024], bda[2];

	for (u32 n = 0; n < ARRAY_SIZE(stubs); n++) {
		mem_load(&m->mem, STUB_SEG * 16 + stubs[n].at, stubs[n].code,
			 stubs[n].bytes);
		for (u32 v = stubs[n].first; v <= stubs[n].last; v++)
			put_le32(vectors + 4 * v, STUB_SEG << 16 | stubs[n].at);
	}
	mem_load(&m->mem, 0, vectors, sizeof vectors);
	put_le16(bda, BOOT_LOW_MEMORY >> 4);
	mem_load(&m->mem, BDA_EBDA, bda, sizeof bda);
	put_le16(bda, BOOT_LOW_MEMORY / KIB);
	mem_load(&m->mem, BDA_MEMORY, bda, sizeof bda);
	for (u32 n = 0; n < ARRAY_SIZE(chips); n++)
		space_write(&m->io, chips[n].port, 1, chips[n].value);
}
