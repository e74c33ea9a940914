/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Host instruction encoding: see tcg/jit_emit.h.
 */
#include "tcg/jit_emit.h"

/* Bytes may alias everything, so what is read again and again is passed by
 * value, and `at` kept here.  All answer where to go on. */

static u8 *put_disp32(u8 *at, s32 disp)
{
	put_le32(at, (u32)disp);
	return at + 4;
}

static u8 *put_modrm(u8 *at, u8 reg, const struct jit_rm *rm)
{
	u8 r = (reg & 7) << 3, base = rm->base, index = rm->index;
	s32 disp = rm->disp;
	bool sib = index != H_RSP || (base & 7) == 4;

	if (rm->kind == RM_REG) {
		*at++ = 0xc0 | r | (base & 7);
		return at;
	}
	if (rm->kind != RM_MEM) {
		/* SIB without base: disp32 is absolute, GS adds its base. */
		*at++ = r | 4;
		*at++ = (u8)(rm->scale << 6 | (index & 7) << 3 | 5);
		return put_disp32(at, disp);
	}
	if (disp != (s8)disp)
		r |= 0x80;
	else if (disp || (base & 7) == 5)
		r |= 0x40;
	*at++ = r | (sib ? 4 : base & 7);
	if (sib)
		*at++ = (u8)(rm->scale << 6 | (index & 7) << 3 | (base & 7));
	if (r & 0x80)
		return put_disp32(at, disp);
	if (r & 0x40)
		*at++ = (u8)disp;
	return at;
}

static u8 em_rex_bits(u8 reg, const struct jit_rm *rm)
{
	u8 rex = (reg >> 3) << 2;

	if (rm->kind != RM_REG)
		rex |= (rm->index >> 3) << 1;
	if (rm->kind != RM_STATE)
		rex |= rm->base >> 3;
	return rex;
}

static u8 *put_prefixes(u8 *at, u32 op, u8 rex)
{
	if (op & (EM_LOCK | EM_66 | EM_F2 | EM_F3)) {
		if (op & EM_LOCK)
			*at++ = 0xf0;
		if (op & EM_66)
			*at++ = 0x66;
		if (op & EM_F2)
			*at++ = 0xf2;
		if (op & EM_F3)
			*at++ = 0xf3;
	}
	if (op & EM_W)
		rex |= 8;
	if (rex || op & EM_REX)
		*at++ = 0x40 | rex;
	if (op & (EM_0F | EM_38 | EM_3A)) {
		*at++ = 0x0f;
		if (op & EM_38)
			*at++ = 0x38;
		if (op & EM_3A)
			*at++ = 0x3a;
	}
	return at;
}

void em_rm_at(struct jit_emit *e, u32 op, u8 reg, const struct jit_rm *rm)
{
	u8 *at = e->at;

	if (rm->kind == RM_STATE)
		*at++ = 0x65;
	at = put_prefixes(at, op, em_rex_bits(reg, rm));
	*at++ = (u8)op;
	e->at = put_modrm(at, reg, rm);
}

void em_rip(struct jit_emit *e, u32 op, u8 reg, const u8 *what)
{
	e->at = put_prefixes(e->at, op, (reg >> 3) << 2);
	em8(e, (u8)op);
	em8(e, (reg & 7) << 3 | 5);
	em32(e, (u32)(what - (e->at + 4)));
}

void em_vex(struct jit_emit *e, u8 opcode, u8 map, u8 pp, bool w, bool l,
	    u8 reg, u8 vvvv, struct jit_rm rm)
{
	u8 rex = em_rex_bits(reg, &rm), *at = e->at;

	if (rm.kind == RM_STATE)
		*at++ = 0x65;
	*at++ = 0xc4;
	*at++ = (u8)((~rex & 7) << 5) | map;
	*at++ = w << 7 | (~vvvv & 15) << 3 | l << 2 | pp;
	*at++ = opcode;
	e->at = put_modrm(at, reg, &rm);
}

void em_plus(struct jit_emit *e, u32 op, u8 reg)
{
	u8 *at = put_prefixes(e->at, op, reg >> 3);

	*at++ = (u8)op | (reg & 7);
	e->at = at;
}

void em_mov_imm(struct jit_emit *e, u8 reg, u64 value)
{
	if (value == (u32)value) {
		em_plus(e, 0xb8, reg);
		em32(e, (u32)value);
	} else if (value == (u64)(s64)(s32)value) {
		em_rm(e, EM_W | 0xc7, 0, rm_reg(reg));
		em32(e, (u32)value);
	} else {
		em_plus(e, EM_W | 0xb8, reg);
		em64(e, value);
	}
}

void em_call_abs(struct jit_emit *e, const void *fn)
{
	em_mov_imm(e, H_RAX, (u64)fn);
	em_rm(e, 0xff, 2, rm_reg(H_RAX));
}
