/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Vector instructions that touch memory element by element, and the small
 * ones that need no host code.
 */
#include <string.h>

#include "lib/bytes.h"
#include "tcg/ops.h"
#include "tcg/softmmu.h"
#include "tcg/vec.h"

#define MXCSR_VALID 0xffffu

/* ---- Masked moves ---- */

static u64 vec_addr_mask(const struct insn *i)
{
	return i->addrsize == 8   ? UINT64_MAX
	       : i->addrsize == 4 ? 0xffffffffu
				  : 0xffffu;
}

/* MASKMOVQ, MASKMOVDQU: bytes of ModRM.reg whose mask bit is set, to DS:rDI. */
void op_maskmov(struct tcg_cpu *c, const struct insn *i)
{
	bool mmx = insn_desc(i)->operands[0] == 'P';
	struct cpu_fpu *fpu = &c->s->fpu;
	u32 n = mmx ? 8 : 16;
	u8 src[16], mask[16];
	gva_t va;

	if (mmx)
		mmx_check(c, true);
	else
		vec_check(c, i);
	memcpy(src, mmx ? x87_phys(fpu, i->reg & 7) : c->s->vec[i->reg].b, n);
	memcpy(mask, mmx ? x87_phys(fpu, i->rm & 7) : c->s->vec[i->rm].b, n);
	/* Before the access can fault, as on hosts. */
	if (mmx)
		x87_to_mmx(fpu);
	va = ops_seg_linear(c, i->seg, c->gpr[REG_RDI] & vec_addr_mask(i), n,
			    true);
	/* Bytes that are not stored fault too, as on hosts. */
	tcg_probe_write(c, va, n, c->mmu);
	for (u32 k = 0; k < n; k++)
		if (mask[k] & 0x80)
			tcg_st8(c, va + k, src[k]);
}

/* VMASKMOVPS/PD, VPMASKMOVD/Q. */
void op_vmaskmov(struct tcg_cpu *c, const struct insn *i)
{
	u32 bytes = i->prefix & INSN_VEXL ? 32 : 16;
	bool integer = i->opcode >= 0x8c;
	u32 size = integer         ? (i->prefix & INSN_REXW ? 8 : 4)
		   : i->opcode & 1 ? 8
				   : 4;
	bool store = insn_desc(i)->attrs & OP_WR;
	union cpu_vec *v = &c->s->vec[i->reg];
	const u8 *mask = c->s->vec[i->vvvv].b;
	union cpu_vec out = { .b = { 0 } };
	gva_t va;

	vec_check(c, i);
	va = insn_linear(c, i, bytes, store);
	for (u32 k = 0; store && k < bytes; k += size)
		if (mask[k + size - 1] & 0x80)
			tcg_probe_write(c, va + k, size, c->mmu);
	for (u32 k = 0; k < bytes; k += size) {
		if (!(mask[k + size - 1] & 0x80))
			continue;
		if (store)
			tcg_st_bytes(c, va + k, v->b + k, size);
		else
			tcg_ld_bytes(c, va + k, out.b + k, size);
	}
	if (!store)
		memcpy(v->b, out.b, 32);
}

static gva_t gather_address(struct tcg_cpu *c, const struct insn *i, s64 index,
			    u32 size)
{
	u64 ea = c->gpr[i->base] + ((u64)index << i->scale) + (u64)i->disp;

	return ops_seg_linear(c, i->seg, ea & vec_addr_mask(i), size, false);
}

/* Mask elements become all ones or zero first; each element that arrives
 * clears its own, so a fault in the middle goes on where it stopped (SDM 2C
 * "VGATHERDPS"). */
void op_gather(struct tcg_cpu *c, const struct insn *i)
{
	u32 size = i->prefix & INSN_REXW ? 8 : 4;
	u32 isize = i->opcode & 1 ? 8 : 4;
	u32 bytes = i->prefix & INSN_VEXL ? 32 : 16;
	u32 n = bytes / MAX(size, isize);
	union cpu_vec *v = &c->s->vec[i->reg], *mask = &c->s->vec[i->vvvv];
	const union cpu_vec *idx = &c->s->vec[i->index & 15];

	vec_check(c, i);
	if (i->reg == i->vvvv || i->reg == i->index || i->vvvv == i->index)
		tcg_raise(c, EXC_UD);
	for (u32 k = 0; k < n; k++) {
		u8 *m = mask->b + k * size;

		memset(m, m[size - 1] & 0x80 ? 0xff : 0, size);
	}
	for (u32 k = 0; k < n; k++) {
		u8 *m = mask->b + k * size;
		s64 index = isize == 8 ? (s64)idx->q[k] : (s32)idx->d[k];
		u8 element[8];

		if (m[size - 1] & 0x80) {
			tcg_ld_bytes(c, gather_address(c, i, index, size),
				     element, size);
			memcpy(v->b + k * size, element, size);
		}
		memset(m, 0, size);
	}
	memset(v->b + n * size, 0, 32 - n * size);
	memset(mask->b, 0, 32);
}

/* ---- Small ones ---- */

/* VZEROUPPER, VZEROALL. */
void op_vzero(struct tcg_cpu *c, const struct insn *i)
{
	u32 keep = i->prefix & INSN_VEXL ? 0 : 16;

	vec_check(c, i);
	for (int r = 0; r < (c->code64 ? 16 : 8); r++)
		memset(c->s->vec[r].b + keep, 0, 32 - keep);
}

void op_movnti(struct tcg_cpu *c, const struct insn *i)
{
	u32 size = i->prefix & INSN_REXW ? 8 : 4;

	tcg_st(c, insn_linear(c, i, size, true), c->gpr[i->reg], size);
}

void op_ldmxcsr(struct tcg_cpu *c, const struct insn *i)
{
	u32 value;

	vec_check(c, i);
	value = tcg_ld32(c, insn_linear(c, i, 4, false));
	if (value & ~MXCSR_VALID)
		tcg_raise_code(c, EXC_GP, 0);
	c->s->fpu.mxcsr = value;
}

void op_stmxcsr(struct tcg_cpu *c, const struct insn *i)
{
	vec_check(c, i);
	tcg_st32(c, insn_linear(c, i, 4, true), c->s->fpu.mxcsr);
}
