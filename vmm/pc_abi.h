/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the firmware's ROM and vmon agree on: bare numbers, which C and the
 * assembler both read.
 *
 * vmon loads the ROM into the end of the first MiB, fills the tables that its
 * head names, and starts it with everything set up that a power-on self test
 * would.  The ROM asks for what it has not by a write to BIOS_PORT.
 */
#ifndef VMM_PC_ABI_H
#define VMM_PC_ABI_H

#define BIOS_ROM_SEG  0xf000
#define BIOS_ROM_AT   0xc000 /* offset in the segment, to its end */
#define BIOS_ROM_SIZE 0x4000

/* The head: offsets in the ROM. */
#define BIOS_HEAD_MAGIC    0x00 /* u32 */
#define BIOS_HEAD_BOOT     0x04 /* u16 each, offsets in the segment: entry */
#define BIOS_HEAD_IRQ      0x06 /* IRQ 2 to 7 */
#define BIOS_HEAD_IRQ2     0x08 /* IRQ 8 to 15 */
#define BIOS_HEAD_NONE     0x0a /* vectors that nobody has */
#define BIOS_HEAD_STOP     0x0c /* where a machine without a disk ends */
#define BIOS_HEAD_VECTORS  0x10 /* u16 x 32 */
#define BIOS_HEAD_LOW_KIB  0x50 /* u32: memory from 1 MiB to 4 GiB, KiB */
#define BIOS_HEAD_E820     0x54 /* u32 count, then 20 bytes each */
#define BIOS_HEAD_E820_MAX 16
#define BIOS_HEAD_SIZE     (BIOS_HEAD_E820 + 4 + 20 * BIOS_HEAD_E820_MAX)
#define BIOS_MAGIC         0x6e6f6d76

/* The extended BIOS data area: its segment, and what the ROM keeps there. */
#define BIOS_EBDA_SEG   0x9fc0
#define BIOS_EBDA_FRAME 0x10  /* the caller's registers */
#define BIOS_EBDA_KEYS  0x60  /* of a terminal: an escape sequence so far */
#define BIOS_EBDA_STACK 0x400 /* down from here */

/* The frame; offsets. */
#define BIOS_F_EDI    0
#define BIOS_F_ESI    4
#define BIOS_F_EBP    8
#define BIOS_F_ESP    12
#define BIOS_F_EBX    16
#define BIOS_F_EDX    20
#define BIOS_F_ECX    24
#define BIOS_F_EAX    28
#define BIOS_F_DS     32 /* u16 */
#define BIOS_F_ES     34
#define BIOS_F_FS     36
#define BIOS_F_GS     38
#define BIOS_F_SS     40
#define BIOS_F_FLAGS  42
#define BIOS_F_IP     44
#define BIOS_F_CS     46
#define BIOS_F_VECTOR 48 /* u32 */
#define BIOS_F_STATUS 52 /* u32: BIOS_DONE, BIOS_AGAIN */
#define BIOS_F_SIZE   56

#define BIOS_DONE  0
#define BIOS_AGAIN 1 /* with interrupts open for a moment */

/* u32, write: carries out the call whose frame is at this physical address,
 * or begins to. */
#define BIOS_PORT 0x560
/* u32, write: what happened on the screen, for the serial terminal.  u8,
 * read: bit 0: the ROM may read keys from the serial port. */
#define BIOS_PORT_TEXT  0x564
#define BIOS_TEXT_PUT   0x00000000 /* u8 character, color, column, row */
#define BIOS_TEXT_TYPE  0x20000000 /* character as a teletype gets it */
#define BIOS_TEXT_CLEAR 0x40000000
/* u8, read: waits a few milliseconds. */
#define BIOS_PORT_WAIT  0x568
#define BIOS_PORT_COUNT 12

#endif
