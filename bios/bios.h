/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The ROM's C: DS, ES and SS are the extended BIOS data area, where the frame
 * is; everything else, the ROM's own tables too, is far away.
 */
#ifndef BIOS_BIOS_H
#define BIOS_BIOS_H

#include "vmm/pc_abi.h"

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;

/* A register of the caller. */
union reg {
	u32 e;
	u16 x;

	struct {
		u8 l, h;
	};
};

struct frame { /* as BIOS_F_* say */
	union reg di, si, bp, sp, b, d, c, a;
	u16 ds, es, fs, gs, ss, flags, ip, cs;
	u32 vector, status;
};

#define FLAG_CF 0x01u
#define FLAG_ZF 0x40u

#define BDA_SEG 0x0000
#define VGA_SEG 0xb800

static inline void outb(u16 port, u8 value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline void outl(u16 port, u32 value)
{
	__asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline u8 inb(u16 port)
{
	u8 value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

#define FAR_ACCESS(bits, letter, reg)                                    \
	static inline u##bits far##bits(u16 seg, u16 at)                 \
	{                                                                \
		u##bits value;                                           \
		u32 offset = at;                                         \
                                                                         \
		__asm__ volatile("movw %1, %%gs\n\t"                     \
				 "mov" letter " %%gs:(%2), %0"           \
				 : "=" reg(value)                        \
				 : "r"(seg), "r"(offset)                 \
				 : "memory");                            \
		return value;                                            \
	}                                                                \
	static inline void set_far##bits(u16 seg, u16 at, u##bits value) \
	{                                                                \
		u32 offset = at;                                         \
                                                                         \
		__asm__ volatile("movw %0, %%gs\n\t"                     \
				 "mov" letter " %2, %%gs:(%1)"           \
				 :                                       \
				 : "r"(seg), "r"(offset), reg(value)     \
				 : "memory");                            \
	}
FAR_ACCESS(8, "b", "q")
FAR_ACCESS(16, "w", "r")
FAR_ACCESS(32, "l", "r")

/* A byte of a table in the ROM. */
#define ROM8(x) far8(BIOS_ROM_SEG, (u16)(u32) & (x))

static inline void set_carry(struct frame *f, int on)
{
	f->flags = on ? f->flags | FLAG_CF : f->flags & ~FLAG_CF;
}

/* What a function that is not there comes back with. */
static inline void unknown(struct frame *f)
{
	f->a.h = 0x86;
	set_carry(f, 1);
}

/* Each: BIOS_DONE or BIOS_AGAIN. */
u32 bios_video(struct frame *f);  /* INT 10h */
u32 bios_system(struct frame *f); /* INT 15h */
u32 bios_keys(struct frame *f);   /* INT 16h */
u32 bios_clock(struct frame *f);  /* INT 1Ah */
void bios_key_pressed(void);      /* IRQ 1 */
u16 bios_key_get(void);           /* scan code and character; 0: none */

/* From entry.S. */
u32 bios_call(void);

#endif
