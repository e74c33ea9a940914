/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Arithmetic flags: tcg_cpu.cc holds the low byte of RFLAGS in bits 15-8 and
 * OF in bit 0.
 *
 * That is what LAHF and SETO leave in AX (tcg/alu_x86.h), and reading a
 * condition needs no knowledge of the operation.
 */
#ifndef TCG_FLAGS_H
#define TCG_FLAGS_H

#include "tcg/internal.h"

#define CC_OF    0x0001u
#define CC_CF    0x0100u
#define CC_FIXED 0x0200u
#define CC_PF    0x0400u
#define CC_AF    0x1000u
#define CC_ZF    0x4000u
#define CC_SF    0x8000u

/* SF ZF AF PF CF: what LAHF knows. */
#define RFLAGS_LOW   (RFLAGS_SF | RFLAGS_ZF | RFLAGS_AF | RFLAGS_PF | RFLAGS_CF)
#define RFLAGS_ARITH (RFLAGS_LOW | RFLAGS_OF)

static inline u64 cc_rflags(u32 cc)
{
	return (cc >> 8 & RFLAGS_LOW) | (cc & CC_OF) << 11;
}

static inline u32 cc_from_rflags(u64 rflags)
{
	return (u32)(rflags & RFLAGS_LOW) << 8 | CC_FIXED |
	       (rflags >> 11 & CC_OF);
}

/* Condition `cond` (low four bits of Jcc's opcode), unnegated pairs: the
 * constant folds when `cond` is one. */
static inline bool cc_test(u32 cc, unsigned cond)
{
	bool r = false;

	switch (cond >> 1 & 7) {
	case 0: r = cc & CC_OF; break;
	case 1: r = cc & CC_CF; break;
	case 2: r = cc & CC_ZF; break;
	case 3: r = cc & (CC_CF | CC_ZF); break;
	case 4: r = cc & CC_SF; break;
	case 5: r = cc & CC_PF; break;
	case 6: r = (cc >> 15 ^ cc) & 1; break;
	case 7: r = ((cc >> 15 ^ cc) & 1) | (cc & CC_ZF); break;
	}
	return r ^ (cond & 1);
}

#endif
