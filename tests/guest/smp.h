/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the guests with several processors share: the local APIC's page,
 * waiting, and starting the second processor.
 *
 * Spec: SDM 3A "Local APIC".
 */
#ifndef TESTS_GUEST_SMP_H
#define TESTS_GUEST_SMP_H

#include "tests/guest/guest.h"

#define APIC        0xfee00000ULL
#define APIC_ID     0x20
#define APIC_EOI    0xb0
#define APIC_SVR    0xf0
#define APIC_IRR    0x200
#define APIC_ICR    0x300
#define APIC_ICR_HI 0x310

static inline u32 apic_read(u32 reg)
{
	return *(volatile u32 *)(APIC + reg);
}

static inline void apic_write(u32 reg, u32 v)
{
	*(volatile u32 *)(APIC + reg) = v;
}

static inline void apic_send(u32 dest, u32 icr)
{
	apic_write(APIC_ICR_HI, dest << 24);
	apic_write(APIC_ICR, icr);
	while (apic_read(APIC_ICR) & BIT(12))
		;
}

static inline void pause(void)
{
	__asm__ volatile("pause");
}

static inline bool wait_for(volatile u32 *what, u32 value)
{
	for (u32 n = 0; n < 400000000; n++) {
		if (*what == value)
			return true;
		pause();
	}
	return false;
}

/* The second processor runs `main` in long mode, by INIT and SIPI. */
static inline void start_ap(void (*main)(void))
{
	u8 *low = (u8 *)0x8000;

	for (u32 n = 0; n < (u32)(ap_code_end - ap_code); n++)
		low[n] = ap_code[n];
	ap_main = main;
	apic_write(APIC_SVR, 0x1ff);
	apic_send(1, 0x4500);
	for (u32 n = 0; n < 1000000; n++)
		pause();
	apic_send(1, 0x4608);
}

#endif
