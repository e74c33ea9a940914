/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Handlers of bit scans, counts, CRC32, ADX, BMI1 and BMI2.
 *
 * Spec: SDM 2, the instructions' own pages.
 */
#include "tcg/alu.h"

#include "tcg/handlers.h"
#include "tcg/ops.h"

#define HANDLER(name) static void name(struct tcg_cpu *c, const struct insn *i)

/* clang-format off */
#define FOR_WIDE_SIZES(X, ...)                                                 \
	X(16, __VA_ARGS__) X(32, __VA_ARGS__) X(64, __VA_ARGS__)
#define FOR_Y_SIZES(X, ...) X(32, __VA_ARGS__) X(64, __VA_ARGS__)
/* clang-format on */

#define BITS_TABLE_Y(name)                                                   \
	insn_fn *const ops_##name[8] = { NULL, NULL, name##_32r, name##_64r, \
					 NULL, NULL, name##_32m, name##_64m }

#define SRC_r(bits) rd_rm_##bits(c, i)
#define SRC_m(bits) tcg_ld##bits(c, ops_read_va(c, i, bits / 8))

/* ---- bsf, bsr: a zero source leaves the destination alone ---- */

#define BITS_SCAN_FORM(bits, name, form)                                    \
	HANDLER(name##_##bits##form)                                        \
	{                                                                   \
		u##bits b = SRC_##form(bits);                               \
		u##bits v = alu_##name##_##bits(c, rd_reg_##bits(c, i), b); \
		if (b)                                                      \
			wr_reg_##bits(c, i, v);                             \
		NEXT(c, i);                                                 \
	}
#define BITS_SCAN(bits, name)         \
	BITS_SCAN_FORM(bits, name, r) \
	BITS_SCAN_FORM(bits, name, m)

FOR_WIDE_SIZES(BITS_SCAN, bsf)
FOR_WIDE_SIZES(BITS_SCAN, bsr)
OPS_TABLE_RM(bsf);
OPS_TABLE_RM(bsr);

/* ---- tzcnt lzcnt popcnt: no host feature is needed ---- */

static u64 bits_tzcnt(struct tcg_cpu *c, u64 v, int width)
{
	u64 n = v ? (u64)__builtin_ctzll(v) : (u64)width;

	c->cc = CC_FIXED | (v ? 0 : CC_CF) | (n ? 0 : CC_ZF);
	return n;
}

static u64 bits_lzcnt(struct tcg_cpu *c, u64 v, int width)
{
	u64 n = v ? (u64)(__builtin_clzll(v) - (64 - width)) : (u64)width;

	c->cc = CC_FIXED | (v ? 0 : CC_CF) | (n ? 0 : CC_ZF);
	return n;
}

static u64 bits_popcnt(struct tcg_cpu *c, u64 v, int width)
{
	(void)width;
	c->cc = CC_FIXED | (v ? 0 : CC_ZF);
	return (u64)__builtin_popcountll(v);
}

#define BITS_COUNT_FORM(bits, name, form)                              \
	HANDLER(name##_##bits##form)                                   \
	{                                                              \
		u##bits b = SRC_##form(bits);                          \
		wr_reg_##bits(c, i, (u##bits)bits_##name(c, b, bits)); \
		NEXT(c, i);                                            \
	}
#define BITS_COUNT(bits, name)         \
	BITS_COUNT_FORM(bits, name, r) \
	BITS_COUNT_FORM(bits, name, m)

FOR_WIDE_SIZES(BITS_COUNT, tzcnt)
FOR_WIDE_SIZES(BITS_COUNT, lzcnt)
FOR_WIDE_SIZES(BITS_COUNT, popcnt)
OPS_TABLE_RM(tzcnt);
OPS_TABLE_RM(lzcnt);
OPS_TABLE_RM(popcnt);

/* ---- crc32: polynomial 11EDC6F41, reflected ---- */

static u32 bits_crc32(u32 crc, u64 v, int bytes)
{
	for (; bytes; bytes--, v >>= 8) {
		crc ^= (u8)v;
		for (int k = 0; k < 8; k++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
	}
	return crc;
}

#define BITS_CRC_FORM(name, bits, src, form)                                  \
	HANDLER(name##_##bits##form)                                          \
	{                                                                     \
		u##src b = SRC_##form(src);                                   \
		c->gpr[i->reg] = bits_crc32((u32)c->gpr[i->reg], b, src / 8); \
		NEXT(c, i);                                                   \
	}
#define BITS_CRC(bits, ...)                   \
	BITS_CRC_FORM(crc32_b, bits, 8, r)    \
	BITS_CRC_FORM(crc32_b, bits, 8, m)    \
	BITS_CRC_FORM(crc32_v, bits, bits, r) \
	BITS_CRC_FORM(crc32_v, bits, bits, m)

FOR_WIDE_SIZES(BITS_CRC, )
OPS_TABLE_RM(crc32_b);
OPS_TABLE_RM(crc32_v);

/* ---- adcx, adox: one flag each ---- */

#define BITS_ADX_FORM(bits, name, flag, form)                                \
	HANDLER(name##_##bits##form)                                         \
	{                                                                    \
		u##bits b = SRC_##form(bits);                                \
		u128 v = (u128)rd_reg_##bits(c, i) + b + !!(c->cc & (flag)); \
		c->cc = (c->cc & ~(flag)) | (v >> bits ? (flag) : 0);        \
		wr_reg_##bits(c, i, (u##bits)v);                             \
		NEXT(c, i);                                                  \
	}
#define BITS_ADX(bits, name, flag)         \
	BITS_ADX_FORM(bits, name, flag, r) \
	BITS_ADX_FORM(bits, name, flag, m)

FOR_Y_SIZES(BITS_ADX, adcx, CC_CF)
FOR_Y_SIZES(BITS_ADX, adox, CC_OF)
BITS_TABLE_Y(adcx);
BITS_TABLE_Y(adox);

/* ---- BMI1, BMI2 ---- */

static u32 bits_logic_cc(u64 v, int width, bool carry)
{
	return CC_FIXED | (v ? 0 : CC_ZF) | (v >> (width - 1) ? CC_SF : 0) |
	       (carry ? CC_CF : 0);
}

static u64 bits_pdep(u64 src, u64 mask)
{
	u64 v = 0;

	for (; mask; mask &= mask - 1, src >>= 1)
		if (src & 1)
			v |= mask & -mask;
	return v;
}

static u64 bits_pext(u64 src, u64 mask)
{
	u64 v = 0;

	for (u64 to = 1; mask; mask &= mask - 1, to <<= 1)
		if (src & mask & -mask)
			v |= to;
	return v;
}

static u64 bits_bextr(u64 a, u64 ctl, int width)
{
	u8 start = (u8)ctl, len = (u8)(ctl >> 8);

	if (start >= width)
		return 0;
	a >>= start;
	return len >= 64 ? a : a & (BIT(len) - 1);
}

/* `b` is ModRM.rm, `v` VEX.vvvv; the statement sets `r` and perhaps flags. */
#define BITS_VEX_FORM(bits, name, form, dst, ...)        \
	HANDLER(name##_##bits##form)                     \
	{                                                \
		u##bits b = SRC_##form(bits);            \
		u##bits v = (u##bits)c->gpr[i->vvvv], r; \
		const int w = bits;                      \
		(void)v, (void)w;                        \
		__VA_ARGS__;                             \
		c->gpr[dst] = r;                         \
		NEXT(c, i);                              \
	}
#define BITS_VEX(name, dst, ...)                     \
	BITS_VEX_FORM(32, name, r, dst, __VA_ARGS__) \
	BITS_VEX_FORM(32, name, m, dst, __VA_ARGS__) \
	BITS_VEX_FORM(64, name, r, dst, __VA_ARGS__) \
	BITS_VEX_FORM(64, name, m, dst, __VA_ARGS__) \
	BITS_TABLE_Y(name);

/* clang-format off */
BITS_VEX(andn, i->reg, r = ~v & b; c->cc = bits_logic_cc(r, w, false))
BITS_VEX(blsr, i->vvvv, r = (b - 1) & b; c->cc = bits_logic_cc(r, w, !b))
BITS_VEX(blsmsk, i->vvvv, r = (b - 1) ^ b; c->cc = bits_logic_cc(r, w, !b))
BITS_VEX(blsi, i->vvvv, r = -b & b; c->cc = bits_logic_cc(r, w, b != 0))
BITS_VEX(bextr, i->reg, r = bits_bextr(b, v, w);
	 c->cc = CC_FIXED | (r ? 0 : CC_ZF))
BITS_VEX(bzhi, i->reg, r = (u8)v < w ? b & ((u64)BIT((u8)v) - 1) : b;
	 c->cc = bits_logic_cc(r, w, (u8)v >= w))
BITS_VEX(pdep, i->reg, r = bits_pdep(v, b))
BITS_VEX(pext, i->reg, r = bits_pext(v, b))
BITS_VEX(shlx, i->reg, r = b << (v & (w - 1)))
BITS_VEX(shrx, i->reg, r = b >> (v & (w - 1)))
BITS_VEX(rorx, i->reg, int n = i->imm & (w - 1);
	 r = b >> n | b << ((w - n) & (w - 1)))
/* clang-format on */

#define BITS_SARX(bits, form)                                \
	HANDLER(sarx_##bits##form)                           \
	{                                                    \
		u##bits b = SRC_##form(bits);                \
		u8 n = c->gpr[i->vvvv] & (bits - 1);         \
		c->gpr[i->reg] = (u##bits)((s##bits)b >> n); \
		NEXT(c, i);                                  \
	}
/* The high half is written last: it wins when both name one register. */
#define BITS_MULX(bits, form)                          \
	HANDLER(mulx_##bits##form)                     \
	{                                              \
		u128 b = SRC_##form(bits);             \
		u128 v = b * (u##bits)c->gpr[REG_RDX]; \
		c->gpr[i->vvvv] = (u##bits)v;          \
		c->gpr[i->reg] = (u##bits)(v >> bits); \
		NEXT(c, i);                            \
	}

/* clang-format off */
BITS_SARX(32, r)
BITS_SARX(32, m)
BITS_SARX(64, r)
BITS_SARX(64, m)
BITS_MULX(32, r)
BITS_MULX(32, m)
BITS_MULX(64, r)
BITS_MULX(64, m)
/* clang-format on */
BITS_TABLE_Y(sarx);
BITS_TABLE_Y(mulx);
