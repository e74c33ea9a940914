/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Writing x86-64 host code: one call per instruction shape, no knowledge of
 * the guest.
 *
 * Code is written through one view of its memory (`at`) and runs in another
 * (`at` + `rx`); displacements are relative, so only absolute addresses care.
 * The owner of a buffer makes sure that JIT_SLACK bytes are left before each
 * guest instruction.
 *
 * Spec: SDM 2 chapter 2, "Instruction Format".
 */
#ifndef TCG_JIT_EMIT_H
#define TCG_JIT_EMIT_H

#include "lib/bytes.h"
#include "lib/types.h"

/* Host registers by number. */
enum jit_reg {
	H_RAX,
	H_RCX,
	H_RDX,
	H_RBX,
	H_RSP,
	H_RBP,
	H_RSI,
	H_RDI,
	H_R8,
	H_R9,
	H_R10,
	H_R11,
	H_R12,
	H_R13,
	H_R14,
	H_R15,
};

struct jit_emit {
	u8 *at;
	ptrdiff_t rx;
};

/* An instruction's ModRM operand. */
struct jit_rm {
	enum { RM_REG, RM_MEM, RM_SCALED, RM_STATE } kind;

	u8 base;  /* RM_REG: the register; RM_MEM: base */
	u8 index; /* RM_MEM: H_RSP means none */
	u8 scale; /* shift */
	s32 disp; /* RM_STATE: offset in struct tcg_cpu, which GS points to */
};

/* What stands before ModRM. */
#define EM_W    0x0100u /* REX.W */
#define EM_66   0x0200u
#define EM_F2   0x0400u
#define EM_F3   0x0800u
#define EM_LOCK 0x1000u
#define EM_REX  0x2000u /* REX even if empty: spl bpl sil dil */
#define EM_0F   0x4000u
#define EM_38   0x8000u  /* 0F 38 */
#define EM_3A   0x10000u /* 0F 3A */

static inline struct jit_rm rm_reg(u8 reg)
{
	return (struct jit_rm){ .kind = RM_REG, .base = reg };
}

static inline struct jit_rm rm_mem(u8 base, s32 disp)
{
	return (struct jit_rm){ RM_MEM, base, H_RSP, 0, disp };
}

static inline struct jit_rm rm_index(u8 base, u8 index, u8 scale, s32 disp)
{
	return (struct jit_rm){ RM_MEM, base, index, scale, disp };
}

static inline struct jit_rm rm_state(size_t offset)
{
	return (struct jit_rm){ RM_STATE, 0, H_RSP, 0, (s32)offset };
}

/* [index << scale + disp] */
static inline struct jit_rm rm_scaled(u8 index, u8 scale, s32 disp)
{
	return (struct jit_rm){ RM_SCALED, 0, index, scale, disp };
}

/* [GS base + index + offset] */
static inline struct jit_rm rm_state_index(u8 index, size_t offset)
{
	return (struct jit_rm){ RM_STATE, 0, index, 0, (s32)offset };
}

static inline void em8(struct jit_emit *e, u8 v)
{
	*e->at++ = v;
}

static inline void em16(struct jit_emit *e, u16 v)
{
	put_le16(e->at, v);
	e->at += 2;
}

static inline void em32(struct jit_emit *e, u32 v)
{
	put_le32(e->at, v);
	e->at += 4;
}

static inline void em64(struct jit_emit *e, u64 v)
{
	put_le64(e->at, v);
	e->at += 8;
}

/* Immediate of 1, 2, 4 or 8 bytes. */
static inline void em_imm(struct jit_emit *e, u64 v, unsigned size)
{
	switch (size) {
	case 1: em8(e, (u8)v); break;
	case 2: em16(e, (u16)v); break;
	case 4: em32(e, (u32)v); break;
	case 8: em64(e, v); break;
	}
}

/* Low byte of `op` is the opcode, the rest EM_*.  By a pointer, as a struct that
 * was just put together would be waited for when it is read in one piece. */
void em_rm_at(struct jit_emit *e, u32 op, u8 reg, const struct jit_rm *rm);

static inline void em_rm(struct jit_emit *e, u32 op, u8 reg, struct jit_rm rm)
{
	em_rm_at(e, op, reg, &rm);
}

/* VEX: `map` 1 0F, 2 0F38, 3 0F3A; `pp` 0 none, 1 66, 2 F3, 3 F2. */
void em_vex(struct jit_emit *e, u8 opcode, u8 map, u8 pp, bool w, bool l,
	    u8 reg, u8 vvvv, struct jit_rm rm);
/* Opcode with the register in its low bits. */
void em_plus(struct jit_emit *e, u32 op, u8 reg);

void em_mov_imm(struct jit_emit *e, u8 reg, u64 value); /* flags stay */
void em_call_abs(struct jit_emit *e, const void *fn);   /* clobbers rax */

static inline void em_mov(struct jit_emit *e, u8 to, u8 from)
{
	em_rm(e, EM_W | 0x89, from, rm_reg(to));
}

static inline void em_load(struct jit_emit *e, u8 to, struct jit_rm from)
{
	em_rm(e, EM_W | 0x8b, to, from);
}

static inline void em_store(struct jit_emit *e, struct jit_rm to, u8 from)
{
	em_rm(e, EM_W | 0x89, from, to);
}

static inline void em_lea(struct jit_emit *e, u8 to, struct jit_rm from)
{
	em_rm(e, EM_W | 0x8d, to, from);
}

/* Address of something near, in the same memory. */
static inline void em_lea_rip(struct jit_emit *e, u8 to, const u8 *what)
{
	em8(e, 0x48 | (to >> 3) << 2);
	em8(e, 0x8d);
	em8(e, (to & 7) << 3 | 5);
	em32(e, (u32)(what - (e->at + 4)));
}

/* An operand [RIP + disp32]; no immediate follows. */
void em_rip(struct jit_emit *e, u32 op, u8 reg, const u8 *what);

/* Jumps: a 32-bit displacement, filled in by em_here() or em_to(). */
static inline u8 *em_jmp(struct jit_emit *e)
{
	em8(e, 0xe9);
	em32(e, 0);
	return e->at - 4;
}

static inline u8 *em_jcc(struct jit_emit *e, u8 cond)
{
	em8(e, 0x0f);
	em8(e, 0x80 | cond);
	em32(e, 0);
	return e->at - 4;
}

#define EM_CALL_BYTES 5

static inline u8 *em_call(struct jit_emit *e)
{
	em8(e, 0xe8);
	em32(e, 0);
	return e->at - 4;
}

static inline void em_to(u8 *disp32, const u8 *target)
{
	put_le32(disp32, (u32)(target - (disp32 + 4)));
}

static inline void em_here(struct jit_emit *e, u8 *disp32)
{
	em_to(disp32, e->at);
}

#endif
