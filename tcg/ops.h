/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the integer handlers share: registers, memory operands, going on to
 * the next instruction.
 *
 * Handlers named by OPS rows end by NEXT(): a jump to the next instruction's
 * handler where the compiler makes it one, else a call; a block is short, so
 * the stack stays bounded either way.  Handlers named by OP rows return.
 */
#ifndef TCG_OPS_H
#define TCG_OPS_H

#include "tcg/decode.h"
#include "tcg/flags.h"
#include "tcg/softmmu.h"

#define NEXT(c, i)                         \
	do {                               \
		const struct insn *n_ = i; \
		n_++;                      \
		(c)->ip = n_;              \
		n_->fn(c, n_);             \
		return;                    \
	} while (0)

/* After a store: the block itself may have been written. */
#define NEXT_STORED(c, i)                              \
	do {                                           \
		if (unlikely((c)->end_block)) {        \
			(c)->rip = tcg_next_rip(c, i); \
			return;                        \
		}                                      \
		NEXT(c, i);                            \
	} while (0)

/* Eight handlers as an OPS row names them. */
#define OPS_TABLE(name)                                        \
	insn_fn *const ops_##name[8] = {                       \
		name##_8r, name##_16r, name##_32r, name##_64r, \
		name##_8m, name##_16m, name##_32m, name##_64m, \
	}
/* Register form only (or no ModRM); without byte form. */
#define OPS_TABLE_R(name)                                              \
	insn_fn *const ops_##name[8] = { NULL, name##_16r, name##_32r, \
					 name##_64r }
#define OPS_TABLE_RM(name)                                                   \
	insn_fn *const ops_##name[8] = { NULL,       name##_16r, name##_32r, \
					 name##_64r, NULL,       name##_16m, \
					 name##_32m, name##_64m }

/* ---- Registers ---- */

static inline u8 rd_reg_8(struct tcg_cpu *c, const struct insn *i)
{
	return ((u8 *)c->gpr)[i->reg8];
}

static inline u8 rd_rm_8(struct tcg_cpu *c, const struct insn *i)
{
	return ((u8 *)c->gpr)[i->rm8];
}

static inline void wr_reg_8(struct tcg_cpu *c, const struct insn *i, u8 v)
{
	((u8 *)c->gpr)[i->reg8] = v;
}

static inline void wr_rm_8(struct tcg_cpu *c, const struct insn *i, u8 v)
{
	((u8 *)c->gpr)[i->rm8] = v;
}

static inline void wr_gpr_16(struct tcg_cpu *c, unsigned r, u16 v)
{
	c->gpr[r] = (c->gpr[r] & ~0xffffULL) | v;
}

static inline void wr_gpr_32(struct tcg_cpu *c, unsigned r, u32 v)
{
	c->gpr[r] = v;
}

static inline void wr_gpr_64(struct tcg_cpu *c, unsigned r, u64 v)
{
	c->gpr[r] = v;
}

#define OPS_REGS(bits)                                                    \
	static inline u##bits rd_reg_##bits(struct tcg_cpu *c,            \
					    const struct insn *i)         \
	{                                                                 \
		return (u##bits)c->gpr[i->reg];                           \
	}                                                                 \
	static inline u##bits rd_rm_##bits(struct tcg_cpu *c,             \
					   const struct insn *i)          \
	{                                                                 \
		return (u##bits)c->gpr[i->rm];                            \
	}                                                                 \
	static inline void wr_reg_##bits(struct tcg_cpu *c,               \
					 const struct insn *i, u##bits v) \
	{                                                                 \
		wr_gpr_##bits(c, i->reg, v);                              \
	}                                                                 \
	static inline void wr_rm_##bits(struct tcg_cpu *c,                \
					const struct insn *i, u##bits v)  \
	{                                                                 \
		wr_gpr_##bits(c, i->rm, v);                               \
	}

/* clang-format off */
OPS_REGS(16)
OPS_REGS(32)
OPS_REGS(64)
/* clang-format on */

#undef OPS_REGS

/* A register by size in bytes, for the rarer handlers. */
static inline void ops_set_gpr(struct tcg_cpu *c, unsigned r, u64 v, int size)
{
	switch (size) {
	case 2: wr_gpr_16(c, r, (u16)v); break;
	case 4: c->gpr[r] = (u32)v; break;
	default: c->gpr[r] = v; break;
	}
}

static inline u64 ops_mask(int size)
{
	return size == 8 ? ~0ULL : (1ULL << size * 8) - 1;
}

/* ---- Memory ---- */

static inline u64 ops_flat_ea(struct tcg_cpu *c, const struct insn *i)
{
	return c->gpr[i->base] + (c->gpr[i->index] << i->scale) + i->disp;
}

static inline gva_t ops_read_va(struct tcg_cpu *c, const struct insn *i,
				u32 size)
{
	if (likely(i->flat))
		return ops_flat_ea(c, i) + c->seg_base[i->seg];
	return insn_linear(c, i, size, false);
}

static inline gva_t ops_write_va(struct tcg_cpu *c, const struct insn *i,
				 u32 size)
{
	if (likely(i->flat))
		return ops_flat_ea(c, i) + c->seg_base[i->seg];
	return insn_linear(c, i, size, true);
}

/* Checked linear address of `size` bytes at offset `off` of `seg`. */
gva_t ops_seg_linear(struct tcg_cpu *c, u8 seg, u64 off, u32 size, bool write);

#endif
