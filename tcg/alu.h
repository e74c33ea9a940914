/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Integer operations with their flags, done by the host's own instructions.
 *
 * alu_NAME_BITS(c, a, b) returns the result and leaves the flags in c->cc.
 */
#ifndef TCG_ALU_H
#define TCG_ALU_H

#include "tcg/flags.h"

/* Every flag is written, none is read. */
#define ALU_SETS(name, bits, op)                                              \
	static inline u##bits alu_##name##_##bits(struct tcg_cpu *c,          \
						  u##bits a, u##bits b)       \
	{                                                                     \
		u32 f;                                                        \
		asm(op " %2, %1" CC_SAVE : "=a"(f), "+q"(a) : "q"(b) : "cc"); \
		c->cc = (u16)f;                                               \
		return a;                                                     \
	}

/* Flags only. */
#define ALU_TESTS(name, bits, op)                                            \
	static inline u##bits alu_##name##_##bits(struct tcg_cpu *c,         \
						  u##bits a, u##bits b)      \
	{                                                                    \
		u32 f;                                                       \
		asm(op " %2, %1" CC_SAVE : "=a"(f) : "q"(a), "q"(b) : "cc"); \
		c->cc = (u16)f;                                              \
		return a;                                                    \
	}

/* Reads some flags or leaves some alone. */
#define ALU_MIXES(name, bits, op)                                       \
	static inline u##bits alu_##name##_##bits(struct tcg_cpu *c,    \
						  u##bits a, u##bits b) \
	{                                                               \
		u32 f = c->cc;                                          \
		asm(CC_LOAD op " %2, %1" CC_SAVE                        \
		    : "+a"(f), "+q"(a)                                  \
		    : "q"(b)                                            \
		    : "cc");                                            \
		c->cc = (u16)f;                                         \
		return a;                                               \
	}

/* One operand; `b` is not used, so that all have the same type. */
#define ALU_UNARY(name, bits, op)                                          \
	static inline u##bits alu_##name##_##bits(struct tcg_cpu *c,       \
						  u##bits a, u##bits b)    \
	{                                                                  \
		u32 f = c->cc;                                             \
		(void)b;                                                   \
		asm(CC_LOAD op " %1" CC_SAVE : "+a"(f), "+q"(a) : : "cc"); \
		c->cc = (u16)f;                                            \
		return a;                                                  \
	}

/* Count in CL; a count of 0 leaves the flags alone. */
#define ALU_SHIFTS(name, bits, op)                                      \
	static inline u##bits alu_##name##_##bits(struct tcg_cpu *c,    \
						  u##bits a, u##bits b) \
	{                                                               \
		u32 f = c->cc;                                          \
		asm(CC_LOAD op " %%cl, %1" CC_SAVE                      \
		    : "+a"(f), "+q"(a)                                  \
		    : "c"((u8)b)                                        \
		    : "cc");                                            \
		c->cc = (u16)f;                                         \
		return a;                                               \
	}

/* shld, shrd: `b` shifts in, `count` in CL. */
#define ALU_DOUBLE(name, bits, op)                                 \
	static inline u##bits alu_##name##_##bits(                 \
		struct tcg_cpu *c, u##bits a, u##bits b, u8 count) \
	{                                                          \
		u32 f = c->cc;                                     \
		asm(CC_LOAD op " %%cl, %2, %1" CC_SAVE             \
		    : "+a"(f), "+r"(a)                             \
		    : "r"(b), "c"(count)                           \
		    : "cc");                                       \
		c->cc = (u16)f;                                    \
		return a;                                          \
	}

#define ALU_ALL(bits)                 \
	ALU_SETS(add, bits, "add")    \
	ALU_SETS(or, bits, "or")      \
	ALU_MIXES(adc, bits, "adc")   \
	ALU_MIXES(sbb, bits, "sbb")   \
	ALU_SETS(and, bits, "and")    \
	ALU_SETS(sub, bits, "sub")    \
	ALU_SETS(xor, bits, "xor")    \
	ALU_TESTS(cmp, bits, "cmp")   \
	ALU_TESTS(test, bits, "test") \
	ALU_UNARY(inc, bits, "inc")   \
	ALU_UNARY(dec, bits, "dec")   \
	ALU_UNARY(neg, bits, "neg")   \
	ALU_UNARY(not, bits, "not")   \
	ALU_SHIFTS(rol, bits, "rol")  \
	ALU_SHIFTS(ror, bits, "ror")  \
	ALU_SHIFTS(rcl, bits, "rcl")  \
	ALU_SHIFTS(rcr, bits, "rcr")  \
	ALU_SHIFTS(shl, bits, "shl")  \
	ALU_SHIFTS(shr, bits, "shr")  \
	ALU_SHIFTS(sar, bits, "sar")

/* No byte forms. */
#define ALU_WIDE(bits)                 \
	ALU_SETS(imul, bits, "imul")   \
	ALU_MIXES(bt, bits, "bt")      \
	ALU_MIXES(bts, bits, "bts")    \
	ALU_MIXES(btr, bits, "btr")    \
	ALU_MIXES(btc, bits, "btc")    \
	ALU_MIXES(bsf, bits, "bsf")    \
	ALU_MIXES(bsr, bits, "bsr")    \
	ALU_DOUBLE(shld, bits, "shld") \
	ALU_DOUBLE(shrd, bits, "shrd")

/* clang-format off */
ALU_ALL(8)
ALU_ALL(16)
ALU_ALL(32)
ALU_ALL(64)
ALU_WIDE(16)
ALU_WIDE(32)
ALU_WIDE(64)
/* clang-format on */

#endif
