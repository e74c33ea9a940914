/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * tcg/alu.h in C, for any host.
 *
 * Each operation is one function of the width, which is a constant once it
 * is inlined.  Operands come with the bits above the width clear, results
 * may have any there.  Flags that the SDM leaves undefined are kept, or what
 * the definition gives when it is carried on beyond its limits.
 */
#ifndef TCG_ALU_C_H
#define TCG_ALU_C_H

#include <string.h>

#include "tcg/flags.h"
#include "tcg/softmmu.h"

/* ---- Flags ---- */

static inline bool alu_c_bit(u64 v, unsigned n)
{
	return v >> n & 1;
}

static inline u32 alu_c_carry(bool cf, bool of)
{
	return (cf ? CC_CF : 0) | (of ? CC_OF : 0);
}

/* SF ZF PF of a result; the others clear. */
static inline u32 alu_c_result(u64 r, unsigned w)
{
	u64 top = r << (64 - w);

	return CC_FIXED | (top ? 0 : CC_ZF) | (top >> 63 ? CC_SF : 0) |
	       (__builtin_parity((u8)r) ? 0 : CC_PF);
}

/* CF and OF change alone. */
static inline void alu_c_set_carry(struct tcg_cpu *c, bool cf, bool of)
{
	c->cc = (c->cc & ~(CC_CF | CC_OF)) | alu_c_carry(cf, of);
}

static inline s64 alu_c_signed(u64 v, unsigned w)
{
	return (s64)(v << (64 - w)) >> (64 - w);
}

/* ---- Sums: bit n of `out` is the carry (borrow) out of bit n ---- */

static inline u64 alu_c_sum(struct tcg_cpu *c, u64 a, u64 b, bool carry,
			    unsigned w)
{
	u64 r = a + b + carry, out = (a & b) | ((a | b) & ~r);

	c->cc = alu_c_result(r, w) | (alu_c_bit(out, 3) ? CC_AF : 0) |
		alu_c_carry(alu_c_bit(out, w - 1),
			    alu_c_bit((a ^ r) & (b ^ r), w - 1));
	return r;
}

static inline u64 alu_c_difference(struct tcg_cpu *c, u64 a, u64 b, bool borrow,
				   unsigned w)
{
	u64 r = a - b - borrow, out = (~a & b) | ((~a | b) & r);

	c->cc = alu_c_result(r, w) | (alu_c_bit(out, 3) ? CC_AF : 0) |
		alu_c_carry(alu_c_bit(out, w - 1),
			    alu_c_bit((a ^ b) & (a ^ r), w - 1));
	return r;
}

#define ALU_C(name)                                                     \
	static inline u64 alu_c_##name(struct tcg_cpu *c, u64 a, u64 b, \
				       unsigned w)

ALU_C(add)
{
	return alu_c_sum(c, a, b, false, w);
}

ALU_C(adc)
{
	return alu_c_sum(c, a, b, c->cc & CC_CF, w);
}

ALU_C(sub)
{
	return alu_c_difference(c, a, b, false, w);
}

ALU_C(sbb)
{
	return alu_c_difference(c, a, b, c->cc & CC_CF, w);
}

ALU_C(cmp)
{
	alu_c_difference(c, a, b, false, w);
	return a;
}

/* inc and dec keep CF. */
ALU_C(inc)
{
	u32 cf = c->cc & CC_CF;
	u64 r = alu_c_sum(c, a, 1, false, w);

	(void)b;
	c->cc = (c->cc & ~CC_CF) | cf;
	return r;
}

ALU_C(dec)
{
	u32 cf = c->cc & CC_CF;
	u64 r = alu_c_difference(c, a, 1, false, w);

	(void)b;
	c->cc = (c->cc & ~CC_CF) | cf;
	return r;
}

ALU_C(neg)
{
	(void)b;
	return alu_c_difference(c, 0, a, false, w);
}

/* ---- Logic ---- */

ALU_C(and)
{
	c->cc = alu_c_result(a & b, w);
	return a & b;
}

ALU_C(or)
{
	c->cc = alu_c_result(a | b, w);
	return a | b;
}

ALU_C(xor)
{
	c->cc = alu_c_result(a ^ b, w);
	return a ^ b;
}

ALU_C(test)
{
	c->cc = alu_c_result(a & b, w);
	return a;
}

ALU_C(not )
{
	(void)c, (void)b, (void)w;
	return ~a;
}

/* ---- Shifts and rotations: a masked count of 0 leaves the flags ---- */

static inline unsigned alu_c_count(u64 b, unsigned w)
{
	return b & (w == 64 ? 63 : 31);
}

ALU_C(shl)
{
	unsigned n = alu_c_count(b, w);
	u64 r = a << n;
	bool cf;

	if (!n)
		return a;
	cf = n <= w && alu_c_bit(a, w - n);
	c->cc = alu_c_result(r, w) | alu_c_carry(cf, alu_c_bit(r, w - 1) ^ cf);
	return r;
}

ALU_C(shr)
{
	unsigned n = alu_c_count(b, w);
	u64 r = a >> n;

	if (!n)
		return a;
	c->cc = alu_c_result(r, w) |
		alu_c_carry(alu_c_bit(a, n - 1),
			    alu_c_bit(a >> (n - 1), w - 1));
	return r;
}

ALU_C(sar)
{
	unsigned n = alu_c_count(b, w);
	s64 v = alu_c_signed(a, w);

	if (!n)
		return a;
	c->cc = alu_c_result((u64)(v >> n), w) |
		alu_c_carry(v >> (n - 1) & 1, false);
	return (u64)(v >> n);
}

/* Rotating left, OF is the top bit with CF, which went out there; rotating
 * right, the two top bits. */
ALU_C(rol)
{
	unsigned n = alu_c_count(b, w) % w;
	u64 r = n ? a << n | a >> (w - n) : a;

	if (alu_c_count(b, w))
		alu_c_set_carry(c, r & 1, alu_c_bit(r, w - 1) ^ (r & 1));
	return r;
}

ALU_C(ror)
{
	unsigned n = alu_c_count(b, w) % w;
	u64 r = n ? a >> n | a << (w - n) : a;

	if (alu_c_count(b, w))
		alu_c_set_carry(c, alu_c_bit(r, w - 1),
				alu_c_bit(r ^ r << 1, w - 1));
	return r;
}

/* Through CF, as if that were bit w. */
ALU_C(rcl)
{
	unsigned n = alu_c_count(b, w) % (w + 1);
	bool cf = c->cc & CC_CF;
	u64 r = a;

	if (n) {
		r = a << n | (u64)cf << (n - 1);
		if (n > 1)
			r |= a >> (w + 1 - n);
		cf = alu_c_bit(a, w - n);
	}
	if (alu_c_count(b, w))
		alu_c_set_carry(c, cf, alu_c_bit(r, w - 1) ^ cf);
	return r;
}

ALU_C(rcr)
{
	unsigned n = alu_c_count(b, w) % (w + 1);
	bool cf = c->cc & CC_CF;
	u64 r = a;

	if (n) {
		r = a >> n | (u64)cf << (w - n);
		if (n > 1)
			r |= a << (w + 1 - n);
		cf = alu_c_bit(a, n - 1);
	}
	if (alu_c_count(b, w))
		alu_c_set_carry(c, cf, alu_c_bit(r ^ r << 1, w - 1));
	return r;
}

/* Counts above 16 are for 16 bits only, and undefined: processors shift
 * `a` in again. */
static inline u64 alu_c_shld(struct tcg_cpu *c, u64 a, u64 b, u8 count,
			     unsigned w)
{
	unsigned n = alu_c_count(count, w);
	u64 r;
	bool cf;

	if (!n)
		return a;
	if (w == 16) {
		u64 v = a << 32 | b << 16 | a;

		r = v << n >> 32;
		cf = alu_c_bit(v, 48 - n);
	} else {
		r = a << n | b >> (w - n);
		cf = alu_c_bit(a, w - n);
	}
	c->cc = alu_c_result(r, w) | alu_c_carry(cf, alu_c_bit(r, w - 1) ^ cf);
	return r;
}

static inline u64 alu_c_shrd(struct tcg_cpu *c, u64 a, u64 b, u8 count,
			     unsigned w)
{
	unsigned n = alu_c_count(count, w);
	u64 r, v = w == 16 ? a << 32 | b << 16 | a : a;

	if (!n)
		return a;
	r = w == 16 ? v >> n : a >> n | b << (w - n);
	c->cc = alu_c_result(r, w) |
		alu_c_carry(alu_c_bit(v, n - 1), alu_c_bit(r ^ r << 1, w - 1));
	return r;
}

/* ---- Bits: flags that they do not define stay ---- */

static inline u64 alu_c_bit_test(struct tcg_cpu *c, u64 a, u64 b, unsigned w)
{
	u64 bit = 1ULL << (b & (w - 1));

	c->cc = (c->cc & ~CC_CF) | (a & bit ? CC_CF : 0);
	return bit;
}

ALU_C(bt)
{
	alu_c_bit_test(c, a, b, w);
	return a;
}

ALU_C(bts)
{
	return a | alu_c_bit_test(c, a, b, w);
}

ALU_C(btr)
{
	return a & ~alu_c_bit_test(c, a, b, w);
}

ALU_C(btc)
{
	return a ^ alu_c_bit_test(c, a, b, w);
}

ALU_C(bsf)
{
	(void)w;
	c->cc = (c->cc & ~CC_ZF) | (b ? 0 : CC_ZF);
	return b ? (u64)__builtin_ctzll(b) : a;
}

ALU_C(bsr)
{
	(void)w;
	c->cc = (c->cc & ~CC_ZF) | (b ? 0 : CC_ZF);
	return b ? 63 - (u64)__builtin_clzll(b) : a;
}

/* ---- Multiplication: SF and PF of the low half; division ---- */

static inline void alu_c_product(struct tcg_cpu *c, u64 low, bool wide,
				 unsigned w)
{
	c->cc = (alu_c_result(low, w) & ~CC_ZF) | alu_c_carry(wide, wide);
}

ALU_C(imul)
{
	s128 v = (s128)alu_c_signed(a, w) * alu_c_signed(b, w);

	alu_c_product(c, (u64)v, v != alu_c_signed((u64)v, w), w);
	return (u64)v;
}

static inline u64 alu_c_umul(struct tcg_cpu *c, u64 a, u64 b, u64 *hi,
			     unsigned w)
{
	u128 v = (u128)a * b;

	*hi = (u64)(v >> w);
	alu_c_product(c, (u64)v, *hi, w);
	return (u64)v;
}

static inline u64 alu_c_smul(struct tcg_cpu *c, u64 a, u64 b, u64 *hi,
			     unsigned w)
{
	s128 v = (s128)alu_c_signed(a, w) * alu_c_signed(b, w);

	*hi = (u64)(v >> w);
	alu_c_product(c, (u64)v, v != alu_c_signed((u64)v, w), w);
	return (u64)v;
}

static inline u64 alu_udiv_128(u64 hi, u64 lo, u64 b, u64 *rest)
{
	u128 n = (u128)hi << 64 | lo;

	*rest = (u64)(n % b);
	return (u64)(n / b);
}

/* ---- Atomics: naturally aligned only ---- */

static inline void *alu_atomic(void *p, unsigned size)
{
	return size <= 8 && !((uintptr_t)p & (size - 1)) ? p : NULL;
}

#define ALU_C_ATOMICS(bits)                                                    \
	static inline bool alu_cas_##bits(void *p, u##bits *old, u##bits v)    \
	{                                                                      \
		return __atomic_compare_exchange_n((u##bits *)p, old, v,       \
						   false, __ATOMIC_SEQ_CST,    \
						   __ATOMIC_SEQ_CST);          \
	}                                                                      \
	static inline u##bits alu_swap_##bits(void *p, u##bits v)              \
	{                                                                      \
		return __atomic_exchange_n((u##bits *)p, v, __ATOMIC_SEQ_CST); \
	}

/* alu_atomic() allows none. */
static inline bool alu_cas_128(void *p, u64 old[2], const u64 v[2])
{
	(void)p, (void)old, (void)v;
	return false;
}

/* ---- By width ---- */

#define ALU_C_BINARY(name, bits)                                        \
	static inline u##bits alu_##name##_##bits(struct tcg_cpu *c,    \
						  u##bits a, u##bits b) \
	{                                                               \
		return (u##bits)alu_c_##name(c, a, b, bits);            \
	}

#define ALU_C_DOUBLE(name, bits)                                    \
	static inline u##bits alu_##name##_##bits(                  \
		struct tcg_cpu *c, u##bits a, u##bits b, u8 count)  \
	{                                                           \
		return (u##bits)alu_c_##name(c, a, b, count, bits); \
	}

#define ALU_C_MUL(name, bits)                                         \
	static inline u##bits alu_##name##_##bits(                    \
		struct tcg_cpu *c, u##bits a, u##bits b, u##bits *hi) \
	{                                                             \
		u64 high, low = alu_c_##name(c, a, b, &high, bits);   \
		*hi = (u##bits)high;                                  \
		return (u##bits)low;                                  \
	}

#define ALU_C_ALL(bits)          \
	ALU_C_BINARY(add, bits)  \
	ALU_C_BINARY(or, bits)   \
	ALU_C_BINARY(adc, bits)  \
	ALU_C_BINARY(sbb, bits)  \
	ALU_C_BINARY(and, bits)  \
	ALU_C_BINARY(sub, bits)  \
	ALU_C_BINARY(xor, bits)  \
	ALU_C_BINARY(cmp, bits)  \
	ALU_C_BINARY(test, bits) \
	ALU_C_BINARY(inc, bits)  \
	ALU_C_BINARY(dec, bits)  \
	ALU_C_BINARY(neg, bits)  \
	ALU_C_BINARY(not, bits)  \
	ALU_C_BINARY(rol, bits)  \
	ALU_C_BINARY(ror, bits)  \
	ALU_C_BINARY(rcl, bits)  \
	ALU_C_BINARY(rcr, bits)  \
	ALU_C_BINARY(shl, bits)  \
	ALU_C_BINARY(shr, bits)  \
	ALU_C_BINARY(sar, bits)  \
	ALU_C_MUL(umul, bits)    \
	ALU_C_MUL(smul, bits)    \
	ALU_C_ATOMICS(bits)

/* No byte forms. */
#define ALU_C_WIDE(bits)         \
	ALU_C_BINARY(imul, bits) \
	ALU_C_BINARY(bt, bits)   \
	ALU_C_BINARY(bts, bits)  \
	ALU_C_BINARY(btr, bits)  \
	ALU_C_BINARY(btc, bits)  \
	ALU_C_BINARY(bsf, bits)  \
	ALU_C_BINARY(bsr, bits)  \
	ALU_C_DOUBLE(shld, bits) \
	ALU_C_DOUBLE(shrd, bits)

/* clang-format off */
ALU_C_ALL(8)
ALU_C_ALL(16)
ALU_C_ALL(32)
ALU_C_ALL(64)
ALU_C_WIDE(16)
ALU_C_WIDE(32)
ALU_C_WIDE(64)

/* clang-format on */

static inline void alu_fill(void *p, u64 v, u64 n)
{
	u8 *to = p;

	for (; n >= 8; n -= 8, to += 8)
		memcpy(to, &v, 8);
	memcpy(to, &v, n);
}

#endif
