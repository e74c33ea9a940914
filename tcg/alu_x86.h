/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * tcg/alu.h by the host's own instructions.
 *
 * Guest and host have the same instructions, so each operation runs on the
 * host and LAHF and SETO save the flags it left.  That costs two cheap
 * instructions and is exact for undefined flags too.
 */
#ifndef TCG_ALU_X86_H
#define TCG_ALU_X86_H

#include <string.h>

#include "tcg/flags.h"
#include "tcg/softmmu.h"

/* Assembly tails and heads: AX <-> flags.  The addition makes OF from AL's
 * bit 0 and SAHF keeps it. */
#define CC_SAVE "\n\tlahf\n\tseto %%al"
#define CC_LOAD "addb $0x7f, %%al\n\tsahf\n\t"

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

/* ---- mul, imul of one operand; division ---- */

#define ALU_MULS_8(name, op)                                                   \
	static inline u8 alu_##name##_8(struct tcg_cpu *c, u8 a, u8 b, u8 *hi) \
	{                                                                      \
		u32 x = a, v;                                                  \
		asm(op " %2\n\tmovzwl %%ax, %1" CC_SAVE                        \
		    : "+a"(x), "=&r"(v)                                        \
		    : "q"(b)                                                   \
		    : "cc");                                                   \
		c->cc = (u16)x;                                                \
		*hi = (u8)(v >> 8);                                            \
		return (u8)v;                                                  \
	}
#define ALU_MULS(name, bits, op)                                      \
	static inline u##bits alu_##name##_##bits(                    \
		struct tcg_cpu *c, u##bits a, u##bits b, u##bits *hi) \
	{                                                             \
		u64 x = a, v, d = 0;                                  \
		asm(op " %3\n\tmovq %%rax, %1" CC_SAVE                \
		    : "+a"(x), "=&r"(v), "+&d"(d)                     \
		    : "r"(b)                                          \
		    : "cc");                                          \
		c->cc = (u16)x;                                       \
		*hi = (u##bits)d;                                     \
		return (u##bits)v;                                    \
	}

/* clang-format off */
ALU_MULS_8(umul, "mul")
ALU_MULS_8(smul, "imul")
ALU_MULS(umul, 16, "mul")
ALU_MULS(umul, 32, "mul")
ALU_MULS(umul, 64, "mul")
ALU_MULS(smul, 16, "imul")
ALU_MULS(smul, 32, "imul")
ALU_MULS(smul, 64, "imul")

/* clang-format on */

static inline u64 alu_udiv_128(u64 hi, u64 lo, u64 b, u64 *rest)
{
	asm("divq %2" : "+a"(lo), "+d"(hi) : "r"(b) : "cc");
	*rest = hi;
	return lo;
}

/* ---- Atomics: the host has them at any alignment ---- */

static inline void *alu_atomic(void *p, unsigned size)
{
	(void)size;
	return p;
}

#define ALU_CAS(bits, suffix)                                               \
	static inline bool alu_cas_##bits(void *p, u##bits *old, u##bits v) \
	{                                                                   \
		bool ok;                                                    \
		asm volatile("lock cmpxchg" suffix " %3, %1\n\tsete %0"     \
			     : "=q"(ok),                                    \
			       "+m"(*(volatile struct tcg_u##bits *)p),     \
			       "+a"(*old)                                   \
			     : "q"(v)                                       \
			     : "cc", "memory");                             \
		return ok;                                                  \
	}                                                                   \
	static inline u##bits alu_swap_##bits(void *p, u##bits v)           \
	{                                                                   \
		asm volatile("xchg" suffix " %0, %1"                        \
			     : "+q"(v),                                     \
			       "+m"(*(volatile struct tcg_u##bits *)p)      \
			     :                                              \
			     : "memory");                                   \
		return v;                                                   \
	}

/* clang-format off */
ALU_CAS(8, "b")
ALU_CAS(16, "w")
ALU_CAS(32, "l")
ALU_CAS(64, "q")

/* clang-format on */

static inline bool alu_cas_128(void *p, u64 old[2], const u64 v[2])
{
	bool ok;

	asm volatile("lock cmpxchg16b %1\n\tsete %0"
		     : "=q"(ok), "+m"(*(volatile u128 *)p), "+a"(old[0]),
		       "+d"(old[1])
		     : "b"(v[0]), "c"(v[1])
		     : "cc", "memory");
	return ok;
}

static inline void alu_fill(void *p, u64 v, u64 n)
{
	u64 words = n / 8;

	/* Quicker than any loop: the CPU stores whole lines. */
	asm volatile("rep stosq" : "+D"(p), "+c"(words) : "a"(v) : "memory");
	memcpy(p, &v, n % 8);
}

#endif
