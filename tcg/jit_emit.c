/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Host instruction encoding: see tcg/jit_emit.h.
 */
#include "tcg/jit_emit.h"

static void em_modrm(struct jit_emit *e, u8 reg, struct jit_rm rm)
{
	u8 r = (reg & 7) << 3;
	bool sib = rm.index != H_RSP || (rm.base & 7) == 4;

	if (rm.kind == RM_REG) {
		em8(e, 0xc0 | r | (rm.base & 7));
		return;
	}
	if (rm.kind == RM_STATE) {
		/* SIB without base: disp32 is absolute, GS adds its base. */
		em8(e, r | 4);
		em8(e, (rm.index & 7) << 3 | 5);
		em32(e, rm.disp);
		return;
	}
	if (rm.disp == 0 && (rm.base & 7) != 5)
		em8(e, r | (sib ? 4 : (rm.base & 7)));
	else if (rm.disp == (s8)rm.disp)
		em8(e, 0x40 | r | (sib ? 4 : (rm.base & 7)));
	else
		em8(e, 0x80 | r | (sib ? 4 : (rm.base & 7)));
	if (sib)
		em8(e, rm.scale << 6 | (rm.index & 7) << 3 | (rm.base & 7));
	if (rm.disp == 0 && (rm.base & 7) != 5)
		return;
	if (rm.disp == (s8)rm.disp)
		em8(e, (u8)rm.disp);
	else
		em32(e, rm.disp);
}

static u8 em_rex_bits(u8 reg, struct jit_rm rm)
{
	u8 rex = (reg >> 3) << 2;

	if (rm.kind != RM_REG)
		rex |= (rm.index >> 3) << 1;
	if (rm.kind != RM_STATE)
		rex |= rm.base >> 3;
	return rex;
}

static void em_prefixes(struct jit_emit *e, u32 op, u8 rex)
{
	if (op & EM_LOCK)
		em8(e, 0xf0);
	if (op & EM_66)
		em8(e, 0x66);
	if (op & EM_F2)
		em8(e, 0xf2);
	if (op & EM_F3)
		em8(e, 0xf3);
	if (op & EM_W)
		rex |= 8;
	if (rex || op & EM_REX)
		em8(e, 0x40 | rex);
	if (op & (EM_0F | EM_38 | EM_3A))
		em8(e, 0x0f);
	if (op & EM_38)
		em8(e, 0x38);
	if (op & EM_3A)
		em8(e, 0x3a);
}

void em_rm(struct jit_emit *e, u32 op, u8 reg, struct jit_rm rm)
{
	if (rm.kind == RM_STATE)
		em8(e, 0x65);
	em_prefixes(e, op, em_rex_bits(reg, rm));
	em8(e, (u8)op);
	em_modrm(e, reg, rm);
}

void em_vex(struct jit_emit *e, u8 opcode, u8 map, u8 pp, bool w, bool l,
	    u8 reg, u8 vvvv, struct jit_rm rm)
{
	u8 rex = em_rex_bits(reg, rm);

	if (rm.kind == RM_STATE)
		em8(e, 0x65);
	em8(e, 0xc4);
	em8(e, (u8)((~rex & 7) << 5) | map);
	em8(e, w << 7 | (~vvvv & 15) << 3 | l << 2 | pp);
	em8(e, opcode);
	em_modrm(e, reg, rm);
}

void em_plus(struct jit_emit *e, u32 op, u8 reg)
{
	em_prefixes(e, op, reg >> 3);
	em8(e, (u8)op | (reg & 7));
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
