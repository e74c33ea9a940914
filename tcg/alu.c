/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Handlers of arithmetic, logic, shifts and bit tests.
 *
 * Spec: SDM 2 and APM 3, the instructions' own pages.
 */
#include "tcg/alu.h"

#include "tcg/handlers.h"
#include "tcg/ops.h"

/* clang-format off */
#define FOR_ALL_SIZES(X, ...)                                                  \
	X(8, __VA_ARGS__) X(16, __VA_ARGS__) X(32, __VA_ARGS__)                \
	X(64, __VA_ARGS__)
#define FOR_WIDE_SIZES(X, ...)                                                 \
	X(16, __VA_ARGS__) X(32, __VA_ARGS__) X(64, __VA_ARGS__)
/* clang-format on */

/* ---- Read-modify-write of memory ---- */

/* LOCK prefix, devices and page crossings. */
#define ALU_RMW_SLOW(bits, ...)                                               \
	typedef u##bits alu_fn_##bits(struct tcg_cpu *c, u##bits a,           \
				      u##bits b);                             \
                                                                              \
	static void alu_rmw_slow_##bits(struct tcg_cpu *c, gva_t va, void *p, \
					bool lock, alu_fn_##bits *fn,         \
					u##bits b)                            \
	{                                                                     \
		u32 cc = c->cc;                                               \
		u##bits old, v;                                               \
                                                                              \
		if (p) {                                                      \
			old = ((volatile struct tcg_u##bits *)p)->v;          \
			do {                                                  \
				c->cc = cc;                                   \
				v = fn(c, old, b);                            \
			} while (!alu_cas_##bits(p, &old, v));                \
			tcg_host_written(c, va, bits / 8);                    \
			return;                                               \
		}                                                             \
		if (lock)                                                     \
			tcg_exclusive_begin(c);                               \
		old = tcg_ld##bits(c, va);                                    \
		v = fn(c, old, b);                                            \
		cc = c->cc;                                                   \
		tcg_st##bits(c, va, v);                                       \
		c->cc = cc;                                                   \
		if (lock)                                                     \
			tcg_exclusive_end(c);                                 \
	}

FOR_ALL_SIZES(ALU_RMW_SLOW, )

/* `va` is evaluated once. */
#define ALU_RMW(bits, c, i, addr, name, b)                                    \
	do {                                                                  \
		gva_t va_ = addr;                                             \
		struct tcg_u##bits *p_ = tcg_host_rw(c, va_, bits / 8);       \
		if (unlikely(!p_ || (i)->prefix & INSN_LOCK)) {               \
			alu_rmw_slow_##bits(c, va_, alu_atomic(p_, bits / 8), \
					    (i)->prefix &INSN_LOCK,           \
					    alu_##name##_##bits, b);          \
		} else {                                                      \
			((volatile struct tcg_u##bits *)p_)->v =              \
				alu_##name##_##bits(c, p_->v, b);             \
			tcg_host_written(c, va_, bits / 8);                   \
		}                                                             \
	} while (0)

#define HANDLER(name) static void name(struct tcg_cpu *c, const struct insn *i)

/* ---- add or adc sbb and sub xor: EG, GE, EI ---- */

#define ALU_GE(bits, name)                                                     \
	HANDLER(name##_GE_##bits##r)                                           \
	{                                                                      \
		wr_reg_##bits(c, i,                                            \
			      alu_##name##_##bits(c, rd_reg_##bits(c, i),      \
						  rd_rm_##bits(c, i)));        \
		NEXT(c, i);                                                    \
	}                                                                      \
	HANDLER(name##_GE_##bits##m)                                           \
	{                                                                      \
		u##bits b = tcg_ld##bits(c, ops_read_va(c, i, bits / 8));      \
		wr_reg_##bits(c, i,                                            \
			      alu_##name##_##bits(c, rd_reg_##bits(c, i), b)); \
		NEXT(c, i);                                                    \
	}

#define ALU_E(bits, name, form, b)                                           \
	HANDLER(name##_##form##_##bits##r)                                   \
	{                                                                    \
		wr_rm_##bits(c, i,                                           \
			     alu_##name##_##bits(c, rd_rm_##bits(c, i), b)); \
		NEXT(c, i);                                                  \
	}                                                                    \
	HANDLER(name##_##form##_##bits##m)                                   \
	{                                                                    \
		ALU_RMW(bits, c, i, ops_write_va(c, i, bits / 8), name, b);  \
		NEXT_STORED(c, i);                                           \
	}

#define ALU_EG(bits, name) ALU_E(bits, name, EG, rd_reg_##bits(c, i))
#define ALU_EI(bits, name) ALU_E(bits, name, EI, (u##bits)i->imm)

#define ALU_BINARY(name)            \
	FOR_ALL_SIZES(ALU_EG, name) \
	FOR_ALL_SIZES(ALU_GE, name) \
	FOR_ALL_SIZES(ALU_EI, name) \
	OPS_TABLE(name##_EG);       \
	OPS_TABLE(name##_GE);       \
	OPS_TABLE(name##_EI);

/* clang-format off */
ALU_BINARY(add)
ALU_BINARY(or)
ALU_BINARY(adc)
ALU_BINARY(sbb)
ALU_BINARY(and)
ALU_BINARY(sub)
ALU_BINARY(xor)
/* clang-format on */

/* ---- cmp, test: nothing is written ---- */

#define ALU_CMP(bits, name)                                                  \
	HANDLER(name##_EG_##bits##r)                                         \
	{                                                                    \
		alu_##name##_##bits(c, rd_rm_##bits(c, i),                   \
				    rd_reg_##bits(c, i));                    \
		NEXT(c, i);                                                  \
	}                                                                    \
	HANDLER(name##_EG_##bits##m)                                         \
	{                                                                    \
		u##bits a = tcg_ld##bits(c, ops_read_va(c, i, bits / 8));    \
		alu_##name##_##bits(c, a, rd_reg_##bits(c, i));              \
		NEXT(c, i);                                                  \
	}                                                                    \
	HANDLER(name##_EI_##bits##r)                                         \
	{                                                                    \
		alu_##name##_##bits(c, rd_rm_##bits(c, i), (u##bits)i->imm); \
		NEXT(c, i);                                                  \
	}                                                                    \
	HANDLER(name##_EI_##bits##m)                                         \
	{                                                                    \
		u##bits a = tcg_ld##bits(c, ops_read_va(c, i, bits / 8));    \
		alu_##name##_##bits(c, a, (u##bits)i->imm);                  \
		NEXT(c, i);                                                  \
	}

#define ALU_CMP_GE(bits, name)                                            \
	HANDLER(name##_GE_##bits##r)                                      \
	{                                                                 \
		alu_##name##_##bits(c, rd_reg_##bits(c, i),               \
				    rd_rm_##bits(c, i));                  \
		NEXT(c, i);                                               \
	}                                                                 \
	HANDLER(name##_GE_##bits##m)                                      \
	{                                                                 \
		u##bits b = tcg_ld##bits(c, ops_read_va(c, i, bits / 8)); \
		alu_##name##_##bits(c, rd_reg_##bits(c, i), b);           \
		NEXT(c, i);                                               \
	}

FOR_ALL_SIZES(ALU_CMP, cmp)
FOR_ALL_SIZES(ALU_CMP_GE, cmp)
FOR_ALL_SIZES(ALU_CMP, test)
OPS_TABLE(cmp_EG);
OPS_TABLE(cmp_GE);
OPS_TABLE(cmp_EI);
OPS_TABLE(test_EG);
OPS_TABLE(test_EI);

/* ---- inc dec neg not; shifts and rotates ---- */

#define ALU_E1(bits, name) ALU_E(bits, name, E, 0)
#define ALU_SI(bits, name) ALU_E(bits, name, I, (u8)i->imm)
#define ALU_SC(bits, name) ALU_E(bits, name, CL, (u8)c->gpr[REG_RCX])

#define ALU_ONE(name)               \
	FOR_ALL_SIZES(ALU_E1, name) \
	OPS_TABLE(name##_E);

#define ALU_SHIFT(name)             \
	FOR_ALL_SIZES(ALU_SI, name) \
	FOR_ALL_SIZES(ALU_SC, name) \
	OPS_TABLE(name##_I);        \
	OPS_TABLE(name##_CL);

/* clang-format off */
ALU_ONE(inc)
ALU_ONE(dec)
ALU_ONE(neg)
ALU_ONE(not)
ALU_SHIFT(rol)
ALU_SHIFT(ror)
ALU_SHIFT(rcl)
ALU_SHIFT(rcr)
ALU_SHIFT(shl)
ALU_SHIFT(shr)
ALU_SHIFT(sar)
/* clang-format on */

#define ALU_DBL(bits, name, form, count)                                       \
	HANDLER(name##_##form##_##bits##r)                                     \
	{                                                                      \
		wr_rm_##bits(c, i,                                             \
			     alu_##name##_##bits(c, rd_rm_##bits(c, i),        \
						 rd_reg_##bits(c, i), count)); \
		NEXT(c, i);                                                    \
	}                                                                      \
	HANDLER(name##_##form##_##bits##m)                                     \
	{                                                                      \
		gva_t va = ops_write_va(c, i, bits / 8);                       \
		u##bits v;                                                     \
		tcg_host_rw(c, va, bits / 8);                                  \
		v = tcg_ld##bits(c, va);                                       \
		v = alu_##name##_##bits(c, v, rd_reg_##bits(c, i), count);     \
		tcg_st##bits(c, va, v);                                        \
		NEXT_STORED(c, i);                                             \
	}

#define ALU_DBL_I(bits, name) ALU_DBL(bits, name, I, (u8)i->imm)
#define ALU_DBL_C(bits, name) ALU_DBL(bits, name, CL, (u8)c->gpr[REG_RCX])

FOR_WIDE_SIZES(ALU_DBL_I, shld)
FOR_WIDE_SIZES(ALU_DBL_C, shld)
FOR_WIDE_SIZES(ALU_DBL_I, shrd)
FOR_WIDE_SIZES(ALU_DBL_C, shrd)
OPS_TABLE_RM(shld_I);
OPS_TABLE_RM(shld_CL);
OPS_TABLE_RM(shrd_I);
OPS_TABLE_RM(shrd_CL);

/* ---- bt bts btr btc ---- */

/* The bit offset in a register reaches beyond the operand. */
static gva_t alu_bit_va(struct tcg_cpu *c, const struct insn *i, bool write)
{
	u32 size = i->opsize;
	s64 bit = (s64)c->gpr[i->reg];
	u64 ea;

	if (size == 2)
		bit = (s16)bit;
	else if (size == 4)
		bit = (s32)bit;
	ea = insn_ea(c, i) + (bit >> (size == 2   ? 4
				      : size == 4 ? 5
						  : 6)) *
				     (s64)size;
	return ops_seg_linear(c, i->seg, ea & ops_mask(i->addrsize), size,
			      write);
}

#define ALU_BIT(bits, name)                                             \
	HANDLER(name##_G_##bits##r)                                     \
	{                                                               \
		wr_rm_##bits(c, i,                                      \
			     alu_##name##_##bits(c, rd_rm_##bits(c, i), \
						 rd_reg_##bits(c, i))); \
		NEXT(c, i);                                             \
	}                                                               \
	HANDLER(name##_G_##bits##m)                                     \
	{                                                               \
		ALU_RMW(bits, c, i, alu_bit_va(c, i, true), name,       \
			rd_reg_##bits(c, i) & (bits - 1));              \
		NEXT_STORED(c, i);                                      \
	}                                                               \
	ALU_E(bits, name, I, (u##bits)i->imm &(bits - 1))

#define ALU_BT(bits, ...)                                                  \
	HANDLER(bt_G_##bits##r)                                            \
	{                                                                  \
		alu_bt_##bits(c, rd_rm_##bits(c, i), rd_reg_##bits(c, i)); \
		NEXT(c, i);                                                \
	}                                                                  \
	HANDLER(bt_G_##bits##m)                                            \
	{                                                                  \
		u##bits a = tcg_ld##bits(c, alu_bit_va(c, i, false));      \
		alu_bt_##bits(c, a, rd_reg_##bits(c, i) & (bits - 1));     \
		NEXT(c, i);                                                \
	}                                                                  \
	HANDLER(bt_I_##bits##r)                                            \
	{                                                                  \
		alu_bt_##bits(c, rd_rm_##bits(c, i), (u##bits)i->imm);     \
		NEXT(c, i);                                                \
	}                                                                  \
	HANDLER(bt_I_##bits##m)                                            \
	{                                                                  \
		u##bits a = tcg_ld##bits(c, ops_read_va(c, i, bits / 8));  \
		alu_bt_##bits(c, a, (u##bits)i->imm &(bits - 1));          \
		NEXT(c, i);                                                \
	}

FOR_WIDE_SIZES(ALU_BT, )
FOR_WIDE_SIZES(ALU_BIT, bts)
FOR_WIDE_SIZES(ALU_BIT, btr)
FOR_WIDE_SIZES(ALU_BIT, btc)
OPS_TABLE_RM(bt_G);
OPS_TABLE_RM(bt_I);
OPS_TABLE_RM(bts_G);
OPS_TABLE_RM(bts_I);
OPS_TABLE_RM(btr_G);
OPS_TABLE_RM(btr_I);
OPS_TABLE_RM(btc_G);
OPS_TABLE_RM(btc_I);

/* ---- Multiplication ---- */

#define ALU_IMUL(bits, ...)                                                  \
	HANDLER(imul_GE_##bits##r)                                           \
	{                                                                    \
		wr_reg_##bits(c, i,                                          \
			      alu_imul_##bits(c, rd_reg_##bits(c, i),        \
					      rd_rm_##bits(c, i)));          \
		NEXT(c, i);                                                  \
	}                                                                    \
	HANDLER(imul_GE_##bits##m)                                           \
	{                                                                    \
		u##bits b = tcg_ld##bits(c, ops_read_va(c, i, bits / 8));    \
		wr_reg_##bits(c, i,                                          \
			      alu_imul_##bits(c, rd_reg_##bits(c, i), b));   \
		NEXT(c, i);                                                  \
	}                                                                    \
	HANDLER(imul_GEI_##bits##r)                                          \
	{                                                                    \
		wr_reg_##bits(c, i,                                          \
			      alu_imul_##bits(c, rd_rm_##bits(c, i),         \
					      (u##bits)i->imm));             \
		NEXT(c, i);                                                  \
	}                                                                    \
	HANDLER(imul_GEI_##bits##m)                                          \
	{                                                                    \
		u##bits b = tcg_ld##bits(c, ops_read_va(c, i, bits / 8));    \
		wr_reg_##bits(c, i, alu_imul_##bits(c, b, (u##bits)i->imm)); \
		NEXT(c, i);                                                  \
	}

FOR_WIDE_SIZES(ALU_IMUL, )
OPS_TABLE_RM(imul_GE);
OPS_TABLE_RM(imul_GEI);

/* rDX:rAX = rAX * b, AX = AL * b for bytes. */
#define ALU_MUL_8(name, fn)                                               \
	static void alu_##name##_8(struct tcg_cpu *c, u8 b)               \
	{                                                                 \
		u8 hi, lo = alu_##fn##_8(c, (u8)c->gpr[REG_RAX], b, &hi); \
		wr_gpr_16(c, REG_RAX, (u16)(hi << 8 | lo));               \
	}
#define ALU_MUL(bits, name, fn)                                       \
	static void alu_##name##_##bits(struct tcg_cpu *c, u##bits b) \
	{                                                             \
		u##bits hi, lo = (u##bits)c->gpr[REG_RAX];            \
		lo = alu_##fn##_##bits(c, lo, b, &hi);                \
		wr_gpr_##bits(c, REG_RAX, lo);                        \
		wr_gpr_##bits(c, REG_RDX, hi);                        \
	}

/* clang-format off */
ALU_MUL_8(mul, umul)
ALU_MUL_8(imul1, smul)
FOR_WIDE_SIZES(ALU_MUL, mul, umul)
FOR_WIDE_SIZES(ALU_MUL, imul1, smul)

/* clang-format on */

/* ---- Division: #DE when the quotient does not fit; flags stay ---- */

static void alu_div_8(struct tcg_cpu *c, u8 b)
{
	u16 n = (u16)c->gpr[REG_RAX];

	if (!b || n / b > 0xff)
		tcg_raise(c, EXC_DE);
	wr_gpr_16(c, REG_RAX, (u16)(n % b << 8 | n / b));
}

static void alu_idiv_8(struct tcg_cpu *c, u8 b)
{
	s32 n = (s16)c->gpr[REG_RAX], d = (s8)b;

	if (!d || n / d != (s8)(n / d))
		tcg_raise(c, EXC_DE);
	wr_gpr_16(c, REG_RAX, (u16)((u8)(n % d) << 8 | (u8)(n / d)));
}

static void alu_div_16(struct tcg_cpu *c, u16 b)
{
	u32 n = (u32)(u16)c->gpr[REG_RDX] << 16 | (u16)c->gpr[REG_RAX];

	if (!b || n / b > 0xffff)
		tcg_raise(c, EXC_DE);
	wr_gpr_16(c, REG_RAX, (u16)(n / b));
	wr_gpr_16(c, REG_RDX, (u16)(n % b));
}

static void alu_idiv_16(struct tcg_cpu *c, u16 b)
{
	s64 n = (s32)((u32)(u16)c->gpr[REG_RDX] << 16 | (u16)c->gpr[REG_RAX]);
	s64 d = (s16)b;

	if (!d || n / d != (s16)(n / d))
		tcg_raise(c, EXC_DE);
	wr_gpr_16(c, REG_RAX, (u16)(n / d));
	wr_gpr_16(c, REG_RDX, (u16)(n % d));
}

static void alu_div_32(struct tcg_cpu *c, u32 b)
{
	u64 n = c->gpr[REG_RDX] << 32 | (u32)c->gpr[REG_RAX];

	if (!b || n / b > 0xffffffff)
		tcg_raise(c, EXC_DE);
	c->gpr[REG_RAX] = (u32)(n / b);
	c->gpr[REG_RDX] = (u32)(n % b);
}

static void alu_idiv_32(struct tcg_cpu *c, u32 b)
{
	s64 n = (s64)(c->gpr[REG_RDX] << 32 | (u32)c->gpr[REG_RAX]);
	s64 d = (s32)b;

	if (!d || (n == INT64_MIN && d == -1) || n / d != (s32)(n / d))
		tcg_raise(c, EXC_DE);
	c->gpr[REG_RAX] = (u32)(n / d);
	c->gpr[REG_RDX] = (u32)(n % d);
}

static void alu_div_64(struct tcg_cpu *c, u64 b)
{
	u64 hi = c->gpr[REG_RDX];

	if (hi >= b) /* division by zero, too */
		tcg_raise(c, EXC_DE);
	c->gpr[REG_RAX] =
		alu_udiv_128(hi, c->gpr[REG_RAX], b, &c->gpr[REG_RDX]);
}

static void alu_idiv_64(struct tcg_cpu *c, u64 b)
{
	s128 n = (s128)((u128)c->gpr[REG_RDX] << 64 | c->gpr[REG_RAX]);
	s128 d = (s64)b;
	s128 lowest = (s128)((u128)1 << 127);

	if (!d || (n == lowest && d == -1) || n / d != (s64)(n / d))
		tcg_raise(c, EXC_DE);
	c->gpr[REG_RAX] = (u64)(n / d);
	c->gpr[REG_RDX] = (u64)(n % d);
}

#define ALU_ACC(bits, name, fn)                                           \
	HANDLER(name##_E_##bits##r)                                       \
	{                                                                 \
		alu_##fn##_##bits(c, rd_rm_##bits(c, i));                 \
		NEXT(c, i);                                               \
	}                                                                 \
	HANDLER(name##_E_##bits##m)                                       \
	{                                                                 \
		alu_##fn##_##bits(                                        \
			c, tcg_ld##bits(c, ops_read_va(c, i, bits / 8))); \
		NEXT(c, i);                                               \
	}

FOR_ALL_SIZES(ALU_ACC, mul, mul)
FOR_ALL_SIZES(ALU_ACC, imul, imul1)
FOR_ALL_SIZES(ALU_ACC, div, div)
FOR_ALL_SIZES(ALU_ACC, idiv, idiv)
OPS_TABLE(mul_E);
OPS_TABLE(imul_E);
OPS_TABLE(div_E);
OPS_TABLE(idiv_E);

/* ---- cbw cwde cdqe, cwd cdq cqo ---- */

HANDLER(cwde_16r)
{
	wr_gpr_16(c, REG_RAX, (u16)(s8)c->gpr[REG_RAX]);
	NEXT(c, i);
}

HANDLER(cwde_32r)
{
	c->gpr[REG_RAX] = (u32)(s16)c->gpr[REG_RAX];
	NEXT(c, i);
}

HANDLER(cwde_64r)
{
	c->gpr[REG_RAX] = (u64)(s32)c->gpr[REG_RAX];
	NEXT(c, i);
}

HANDLER(cdq_16r)
{
	wr_gpr_16(c, REG_RDX, (u16)((s16)c->gpr[REG_RAX] >> 15));
	NEXT(c, i);
}

HANDLER(cdq_32r)
{
	c->gpr[REG_RDX] = (u32)((s32)c->gpr[REG_RAX] >> 31);
	NEXT(c, i);
}

HANDLER(cdq_64r)
{
	c->gpr[REG_RDX] = (u64)((s64)c->gpr[REG_RAX] >> 63);
	NEXT(c, i);
}

OPS_TABLE_R(cwde);
OPS_TABLE_R(cdq);
