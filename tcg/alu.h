/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Integer operations with their flags, and atomics on guest memory.
 *
 * Two implementations of the same functions: the host's own instructions
 * where host and guest are of one kind, C elsewhere.  They may differ in
 * flags that the SDM leaves undefined, in nothing else.
 *
 *   alu_NAME_BITS(c, a, b)             the result, flags in c->cc; NAME is
 *       the mnemonic (shifts: count in b, any value; bt*: bit b % BITS;
 *       inc, dec, neg, not: b is not used; cmp, test: returns a)
 *   alu_shld_BITS(c, a, b, count)      b shifts in; alu_shrd_BITS too
 *   alu_umul_BITS(c, a, b, &hi)        low half; alu_smul_BITS signed
 *   alu_udiv_128(hi, lo, b, &rest)     hi < b
 *   alu_atomic(p, size)                p, or NULL when the host cannot do
 *       atomics of `size` there (or p is NULL): then stop the other vCPUs
 *   alu_cas_BITS(p, &old, v)           p from alu_atomic(); false: old is
 *       what is there
 *   alu_swap_BITS(p, v)
 *   alu_fill(p, v, n)                  n bytes become v, again and again
 */
#ifndef TCG_ALU_H
#define TCG_ALU_H

#if defined(__x86_64__) && !defined(TCG_PORTABLE)
#include "tcg/alu_x86.h"
#else
#include "tcg/alu_c.h"
#endif

#endif
