/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a power-on self test leaves behind.
 *
 * Spec: IBM PS/2 and PC BIOS Interface Technical Reference, "Data Areas".
 */
#include "vmm/boot_bios.h"

#include <string.h>

#include "lib/bytes.h"
#include "lib/err.h"
#include "vmm/boot.h"
#include "vmm/machine.h"
#include "vmm/memory.h"
#include "vmm/pc_abi.h"
#include "vmm/vcpu.h"

extern const u8 bios_rom[BIOS_ROM_SIZE]; /* of bios/, by tools/embed */

#define ROM_BASE   (BIOS_ROM_SEG * 16 + BIOS_ROM_AT)
#define VECTORS    0x20 /* in the ROM's head */
#define STACK      0x7c00
#define SCREEN     0xb8000
#define SCREEN_END 0xc0000

/* The BIOS data area, at 0400h. */
#define BDA_COM       0x00
#define BDA_EBDA      0x0e /* segment */
#define BDA_EQUIPMENT 0x10
#define BDA_MEMORY    0x13 /* KiB */
#define BDA_KEY_HEAD  0x1a
#define BDA_KEY_TAIL  0x1c
#define BDA_MODE      0x49
#define BDA_COLUMNS   0x4a
#define BDA_PAGE      0x4c /* bytes */
#define BDA_CURSOR    0x60
#define BDA_CRTC      0x63 /* port */
#define BDA_DISKS     0x75
#define BDA_KEYS      0x80 /* where the ring is, and its end */
#define BDA_ROWS      0x84 /* less one */
#define BDA_FONT      0x85
#define BDA_VIDEO     0x87
#define BDA_KEYBOARD  0x96
#define BDA_SIZE      0x100

#define EQUIPMENT_FPU    0x0002
#define EQUIPMENT_COLOR  0x0020
#define EQUIPMENT_SERIAL 9 /* bits 9 to 11: how many */

/* PICs at vectors 8 and 0x70 with the lines of timer and keyboard open; a
 * timer of 18.2 Hz (8259A ICW1 to ICW4 and OCW1; 8254 control word, count). */
static const struct {
	u8 port, value;
} chips[] = {
	{ 0x20, 0x11 }, { 0x21, 0x08 }, { 0x21, 0x04 }, { 0x21, 0x01 },
	{ 0xa0, 0x11 }, { 0xa1, 0x70 }, { 0xa1, 0x02 }, { 0xa1, 0x01 },
	{ 0x21, 0xf8 }, { 0xa1, 0xff }, { 0x43, 0x34 }, { 0x40, 0x00 },
	{ 0x40, 0x00 },
};

u16 boot_bios_entry(u32 head)
{
	return get_le16(bios_rom + head);
}

static void bios_rom_head(struct machine *m, u8 rom[BIOS_ROM_SIZE])
{
	struct e820_entry map[E820_MAX];
	u64 below = MIN(m->ram_below_4g, 4 * GIB);
	int n = boot_e820(m, map);

	put_le32(rom + BIOS_HEAD_LOW_KIB,
		 below > MIB ? (u32)((below - MIB) / KIB) : 0);
	put_le32(rom + BIOS_HEAD_E820, (u32)n);
	memcpy(rom + BIOS_HEAD_E820 + 4, map, (size_t)n * sizeof map[0]);
}

static void bios_vectors(u8 table[1024])
{
	for (u32 v = 0; v < 256; v++) {
		u32 head = v < VECTORS             ? BIOS_HEAD_VECTORS + 2 * v
			   : v >= 0x70 && v < 0x78 ? BIOS_HEAD_IRQ2
						   : BIOS_HEAD_NONE;

		put_le32(table + 4 * v,
			 (u32)BIOS_ROM_SEG << 16 | boot_bios_entry(head));
	}
}

static void bios_data(const struct boot_bios *b, u8 bda[BDA_SIZE])
{
	u16 equipment = EQUIPMENT_FPU | EQUIPMENT_COLOR;
	int n = 0;

	for (int i = 0; b && i < 4; i++)
		if (b->com[i])
			put_le16(bda + BDA_COM + 2 * n++, b->com[i]);
	put_le16(bda + BDA_EBDA, BIOS_EBDA_SEG);
	put_le16(bda + BDA_EQUIPMENT, equipment | n << EQUIPMENT_SERIAL);
	put_le16(bda + BDA_MEMORY, BOOT_LOW_MEMORY / KIB);
	put_le16(bda + BDA_KEY_HEAD, 0x1e);
	put_le16(bda + BDA_KEY_TAIL, 0x1e);
	put_le16(bda + BDA_KEYS, 0x1e);
	put_le16(bda + BDA_KEYS + 2, 0x3e);
	bda[BDA_KEYBOARD] = 0x10; /* 101 keys */
	bda[BDA_MODE] = 3;
	bda[BDA_COLUMNS] = 80;
	put_le16(bda + BDA_PAGE, 0x1000);
	put_le16(bda + BDA_CURSOR, 0x0607);
	put_le16(bda + BDA_CRTC, 0x3d4);
	bda[BDA_DISKS] = b ? b->disks : 0;
	bda[BDA_ROWS] = 24;
	bda[BDA_FONT] = 16;
	bda[BDA_VIDEO] = 0x60;
	bda[BDA_VIDEO + 2] = 0x11;
}

int boot_bios_place(struct machine *m, const struct boot_bios *b,
		    struct err *err)
{
	u8 rom[BIOS_ROM_SIZE], table[1024 + BDA_SIZE] = { 0 };
	u8 ebda[BIOS_EBDA_STACK] = { 1 }; /* KiB */
	int r;

	_Static_assert(E820_MAX <= BIOS_HEAD_E820_MAX, "the map fits");
	_Static_assert(BIOS_EBDA_SEG * 16 == BOOT_LOW_MEMORY, "one place");
	memcpy(rom, bios_rom, sizeof rom);
	bios_rom_head(m, rom);
	bios_vectors(table);
	bios_data(b, table + 1024);
	r = mem_load(&m->mem, ROM_BASE, rom, sizeof rom);
	if (r == 0)
		r = mem_load(&m->mem, 0, table, sizeof table);
	if (r == 0)
		r = mem_load(&m->mem, BOOT_LOW_MEMORY, ebda, sizeof ebda);
	for (gpa_t at = SCREEN; r == 0 && at < SCREEN_END; at += 2)
		r = mem_load(&m->mem, at, " \7", 2);
	if (r < 0)
		return err_set(err, r,
			       "the guest has too little RAM to boot; "
			       "give it more with -m");
	for (u32 n = 0; n < ARRAY_SIZE(chips); n++)
		space_write(&m->io, chips[n].port, 1, chips[n].value);
	return 0;
}

void boot_bios_start(struct machine *m)
{
	struct cpu_state *c = vcpu_cpu(m->vcpus[0]);

	c->seg[SEG_CS].sel = BIOS_ROM_SEG;
	c->seg[SEG_CS].base = BIOS_ROM_SEG * 16;
	c->rip = boot_bios_entry(BIOS_HEAD_BOOT);
	c->gpr[REG_RSP] = STACK;
	c->cr0 &= ~(CR0_CD | CR0_NW); /* as memory is set up */
	vcpu_cpu_changed(m->vcpus[0]);
}
