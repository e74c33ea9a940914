/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Handlers of near branches, stack frames, flags and decimal arithmetic;
 * effective addresses.
 *
 * A handler that ends a block sets c->rip and returns.
 */
#include "tcg/handlers.h"

#include <sched.h>

#include "lib/clock.h"
#include "tcg/ops.h"
#include "tcg/tcg.h"
#include "vmm/machine.h"

#define HANDLER(name) static void name(struct tcg_cpu *c, const struct insn *i)

/* ---- Addresses ---- */

u64 insn_ea(struct tcg_cpu *c, const struct insn *i)
{
	return ops_flat_ea(c, i) & ops_mask(i->addrsize);
}

/* SDM 3A "Limit checking", "Type checking".  What reaches beyond 4 GiB wraps
 * around, as on hosts. */
gva_t ops_seg_linear(struct tcg_cpu *c, u8 seg, u64 off, u32 size, bool write)
{
	const struct cpu_segment *s = &c->s->seg[seg];
	u64 last = off + size - 1, lowest = 0, highest = s->limit;
	u32 kind = s->attr & (SEG_ATTR_CODE | SEG_ATTR_RW);
	bool ok = true;

	if (c->code64)
		return off + c->seg_base[seg];
	if (c->protected_mode) {
		ok = s->attr & SEG_ATTR_P;
		if (write ? kind != SEG_ATTR_RW : kind == SEG_ATTR_CODE)
			ok = false;
		if ((s->attr & (SEG_ATTR_CODE | SEG_ATTR_CE)) == SEG_ATTR_CE) {
			lowest = (u64)s->limit + 1;
			highest = s->attr & SEG_ATTR_DB ? 0xffffffff : 0xffff;
		}
	}
	if (!ok || off < lowest || (last > highest && s->limit != 0xffffffff))
		tcg_raise_code(c, seg == SEG_SS ? EXC_SS : EXC_GP, 0);
	return (u32)(off + s->base);
}

gva_t insn_linear(struct tcg_cpu *c, const struct insn *i, u32 size, bool write)
{
	return ops_seg_linear(c, i->seg, insn_ea(c, i), size, write);
}

/* ---- jcc, jmp, call, ret ---- */

static bool control_canonical(u64 va)
{
	return (u64)((s64)(va << 16) >> 16) == va;
}

/* The branch faults, not the fetch from its target. */
static inline void control_goto64(struct tcg_cpu *c, u64 target)
{
	if (unlikely(!control_canonical(target)))
		tcg_raise_code(c, EXC_GP, 0);
	c->rip = target;
}

#define CONTROL_JCC(cond)                                         \
	HANDLER(jcc##cond##_64)                                   \
	{                                                         \
		u64 next = tcg_next_rip(c, i);                    \
		if (cc_test(c->cc, cond))                         \
			control_goto64(c, next + i->imm);         \
		else                                              \
			c->rip = next;                            \
	}                                                         \
	HANDLER(jcc##cond##_small)                                \
	{                                                         \
		u64 next = tcg_next_rip(c, i);                    \
		if (cc_test(c->cc, cond))                         \
			tcg_set_rip(c, next + i->imm, i->opsize); \
		else                                              \
			c->rip = c->code64 ? next : (u32)next;    \
	}

/* clang-format off */
#define FOR_CONDS(X) \
	X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) \
	X(13) X(14) X(15)
FOR_CONDS(CONTROL_JCC)

#define CONTROL_JCC_ROW(cond) \
	{ NULL, jcc##cond##_small, jcc##cond##_small, jcc##cond##_64 },

insn_fn *const opc_jcc[16][8] = { FOR_CONDS(CONTROL_JCC_ROW) };
/* clang-format on */

#define CONTROL_TABLE(name)                                                \
	insn_fn *const ops_##name[8] = { NULL, name##_small, name##_small, \
					 name##_64 }
#define CONTROL_TABLE_RM(name)                                               \
	insn_fn *const ops_##name[8] = { NULL,       name##_16r, name##_32r, \
					 name##_64r, NULL,       name##_16m, \
					 name##_32m, name##_64m }

HANDLER(jmp_J_64)
{
	control_goto64(c, tcg_next_rip(c, i) + i->imm);
}

HANDLER(jmp_J_small)
{
	tcg_set_rip(c, tcg_next_rip(c, i) + i->imm, i->opsize);
}

CONTROL_TABLE(jmp_J);

static inline void control_push64(struct tcg_cpu *c, u64 v)
{
	u64 sp = c->gpr[REG_RSP] - 8;

	tcg_st64(c, sp, v);
	c->gpr[REG_RSP] = sp;
}

HANDLER(call_J_64)
{
	u64 next = tcg_next_rip(c, i);

	control_goto64(c, next + i->imm);
	control_push64(c, next);
}

/* Checks the target before it pushes. */
static void control_call(struct tcg_cpu *c, const struct insn *i, u64 target)
{
	tcg_set_rip(c, target, i->opsize);
	if (i->opsize == 8)
		control_push64(c, tcg_next_rip(c, i));
	else
		tcg_push(c, tcg_next_rip(c, i), i->opsize);
}

HANDLER(call_J_small)
{
	control_call(c, i, tcg_next_rip(c, i) + i->imm);
}

CONTROL_TABLE(call_J);

#define CONTROL_INDIRECT(bits)                                               \
	HANDLER(jmp_E_##bits##r)                                             \
	{                                                                    \
		tcg_set_rip(c, rd_rm_##bits(c, i), bits / 8);                \
	}                                                                    \
	HANDLER(jmp_E_##bits##m)                                             \
	{                                                                    \
		tcg_set_rip(c, tcg_ld##bits(c, ops_read_va(c, i, bits / 8)), \
			    bits / 8);                                       \
	}                                                                    \
	HANDLER(call_E_##bits##r)                                            \
	{                                                                    \
		control_call(c, i, rd_rm_##bits(c, i));                      \
	}                                                                    \
	HANDLER(call_E_##bits##m)                                            \
	{                                                                    \
		control_call(c, i,                                           \
			     tcg_ld##bits(c, ops_read_va(c, i, bits / 8)));  \
	}

/* clang-format off */
CONTROL_INDIRECT(16)
CONTROL_INDIRECT(32)
CONTROL_INDIRECT(64)
/* clang-format on */
CONTROL_TABLE_RM(jmp_E);
CONTROL_TABLE_RM(call_E);

HANDLER(ret_64)
{
	u64 sp = c->gpr[REG_RSP];
	u64 target = tcg_ld64(c, sp);

	control_goto64(c, target);
	c->gpr[REG_RSP] = sp + 8 + (u16)i->imm;
}

HANDLER(ret_small)
{
	u64 sp = c->gpr[REG_RSP];
	u64 target = tcg_pop(c, i->opsize);
	u64 after = c->gpr[REG_RSP];

	c->gpr[REG_RSP] = sp;
	tcg_set_rip(c, target, i->opsize);
	ops_set_gpr(c, REG_RSP, after + (u16)i->imm,
		    c->stack64   ? 8
		    : c->stack32 ? 4
				 : 2);
}

CONTROL_TABLE(ret);

/* ---- loop, jcxz ---- */

static void control_jump_if(struct tcg_cpu *c, const struct insn *i, bool taken)
{
	u64 next = tcg_next_rip(c, i);

	if (taken)
		tcg_set_rip(c, next + i->imm, i->opsize);
	else
		c->rip = c->code64 ? next : (u32)next;
}

/* The counter is as wide as addresses; a jump that faults leaves it. */
HANDLER(loop_any)
{
	u64 count = (c->gpr[REG_RCX] - 1) & ops_mask(i->addrsize);
	bool taken = count;

	if (i->opcode == 0xe0)
		taken = taken && !(c->cc & CC_ZF);
	if (i->opcode == 0xe1)
		taken = taken && (c->cc & CC_ZF);
	control_jump_if(c, i, taken);
	ops_set_gpr(c, REG_RCX, count, i->addrsize);
}

HANDLER(jcxz_any)
{
	control_jump_if(c, i, !(c->gpr[REG_RCX] & ops_mask(i->addrsize)));
}

insn_fn *const ops_loop[8] = { NULL, loop_any, loop_any, loop_any };
insn_fn *const ops_jcxz[8] = { NULL, jcxz_any, jcxz_any, jcxz_any };

/* ---- pusha, popa, enter, bound ---- */

static int control_stack_size(const struct tcg_cpu *c)
{
	return c->stack64 ? 8 : c->stack32 ? 4 : 2;
}

static gva_t control_stack(struct tcg_cpu *c, u64 sp, u32 size, bool write)
{
	return ops_seg_linear(c, SEG_SS, sp & ops_mask(control_stack_size(c)),
			      size, write);
}

void op_pusha(struct tcg_cpu *c, const struct insn *i)
{
	u32 n = i->opsize;
	u64 sp = c->gpr[REG_RSP];

	/* What was stored before a fault stays, as on the host. */
	for (int r = 0; r < 8; r++)
		tcg_st(c, control_stack(c, sp - n * (r + 1), n, true),
		       c->gpr[r], n);
	ops_set_gpr(c, REG_RSP, sp - 8 * n, control_stack_size(c));
}

void op_popa(struct tcg_cpu *c, const struct insn *i)
{
	u32 n = i->opsize;
	u64 sp = c->gpr[REG_RSP], v[8];

	for (int r = 7; r >= 0; r--)
		v[r] = tcg_ld(c, control_stack(c, sp + n * (7 - r), n, false),
			      n);
	for (int r = 0; r < 8; r++)
		if (r != REG_RSP)
			ops_set_gpr(c, r, v[r], n);
	ops_set_gpr(c, REG_RSP, sp + 8 * n, control_stack_size(c));
}

void op_enter(struct tcg_cpu *c, const struct insn *i)
{
	u32 n = i->opsize, level = i->imm2 & 31;
	int ss = control_stack_size(c);
	u64 sp = c->gpr[REG_RSP], bp = c->gpr[REG_RBP];
	u64 frame = (sp & ~ops_mask(ss)) | ((sp - n) & ops_mask(ss));

	tcg_st(c, control_stack(c, frame, n, true), bp, n);
	for (u32 k = 1; k < level; k++) {
		u64 v = tcg_ld(c, control_stack(c, bp - n * k, n, false), n);

		tcg_st(c, control_stack(c, frame - n * k, n, true), v, n);
	}
	if (level)
		tcg_st(c, control_stack(c, frame - n * level, n, true), frame,
		       n);
	/* The new stack top must be writable, SDM 2 "ENTER"; what was pushed
	 * by then stays, as on the host. */
	tcg_probe_write(
		c, control_stack(c, frame - n * level - (u16)i->imm, n, true),
		n, c->mmu);
	ops_set_gpr(c, REG_RBP, frame, n);
	ops_set_gpr(c, REG_RSP, frame - n * level - (u16)i->imm, ss);
}

static s64 control_signed(u64 v, u32 size)
{
	return size == 2 ? (s16)v : (s32)v;
}

void op_bound(struct tcg_cpu *c, const struct insn *i)
{
	u32 n = i->opsize;
	gva_t va = ops_read_va(c, i, 2 * n);
	s64 v = control_signed(c->gpr[i->reg], n);

	/* The upper bound is not looked at below the lower one. */
	if (v < control_signed(tcg_ld(c, va, n), n) ||
	    v > control_signed(tcg_ld(c, va + n, n), n))
		tcg_raise(c, EXC_BR);
}

/* ---- Flags and small change ---- */

void op_nop(struct tcg_cpu *c, const struct insn *i)
{
}

#define PAUSES_PER_YIELD 64
#define YIELD_SHORT      (3 * NS_PER_US) /* nobody else wanted the host CPU */
#define YIELDS           16              /* ... then this many times a sleep */
#define DOZES            8
#define DOZE_MIN         (20 * NS_PER_US)
#define DOZE_MAX         (200 * NS_PER_US)

/* A guest that spins waits for another vCPU, which may wait for this host
 * CPU: it yields.  Where others wanted the CPU and it still spins afterwards,
 * again and again, it sleeps for longer and longer moments: to a scheduler
 * that counts CPU time, spinners that yield to each other are fair.  It is
 * the same wait while no register changes. */
static void pause_yield(struct tcg_cpu *c)
{
	u64 start = clock_mono_ns(), end, sum = c->gpr[INSN_RIP];

	for (int n = 0; n < REG_COUNT; n++)
		sum = (sum + c->gpr[n]) * 0x9e3779b97f4a7c15ULL;
	if (sum != c->pause_sum)
		c->pause_yields = 0;
	c->pause_sum = sum;
	tcg_leave(c);
	if (c->pause_yields < YIELDS)
		sched_yield();
	else
		vcpu_doze(c->v, MIN(DOZE_MIN << (c->pause_yields - YIELDS),
				    DOZE_MAX));
	tcg_enter(c);
	end = clock_mono_ns();
	if (end - start < YIELD_SHORT || ++c->pause_yields == YIELDS + DOZES)
		c->pause_yields = 0;
}

void op_pause(struct tcg_cpu *c, const struct insn *i)
{
	if (++c->pauses % PAUSES_PER_YIELD == 0 && c->m->nvcpus > 1 &&
	    !c->exclusive)
		pause_yield(c);
}

void op_nop_end(struct tcg_cpu *c, const struct insn *i)
{
}

void op_ud(struct tcg_cpu *c, const struct insn *i)
{
	tcg_raise(c, EXC_UD);
}

void op_fence(struct tcg_cpu *c, const struct insn *i)
{
	atomic_thread_fence(memory_order_seq_cst);
}

void op_clflush(struct tcg_cpu *c, const struct insn *i)
{
	tcg_ld8(c, ops_read_va(c, i, 1));
}

void op_cmc(struct tcg_cpu *c, const struct insn *i)
{
	c->cc ^= CC_CF;
}

void op_clc(struct tcg_cpu *c, const struct insn *i)
{
	c->cc &= ~CC_CF;
}

void op_stc(struct tcg_cpu *c, const struct insn *i)
{
	c->cc |= CC_CF;
}

void op_cld(struct tcg_cpu *c, const struct insn *i)
{
	c->eflags &= ~(u64)RFLAGS_DF;
}

void op_std(struct tcg_cpu *c, const struct insn *i)
{
	c->eflags |= RFLAGS_DF;
}

void op_lahf(struct tcg_cpu *c, const struct insn *i)
{
	((u8 *)c->gpr)[1] = (u8)(c->cc >> 8 & RFLAGS_LOW) | RFLAGS_FIXED;
}

void op_sahf(struct tcg_cpu *c, const struct insn *i)
{
	u64 ah = c->gpr[REG_RAX] >> 8 & RFLAGS_LOW;

	c->cc = (c->cc & CC_OF) | CC_FIXED | (u32)ah << 8;
}

void op_salc(struct tcg_cpu *c, const struct insn *i)
{
	((u8 *)c->gpr)[0] = c->cc & CC_CF ? 0xff : 0;
}

void op_xlat(struct tcg_cpu *c, const struct insn *i)
{
	u64 ea =
		(c->gpr[REG_RBX] + (u8)c->gpr[REG_RAX]) & ops_mask(i->addrsize);

	((u8 *)c->gpr)[0] = tcg_ld8(c, ops_seg_linear(c, i->seg, ea, 1, false));
}

/* ---- Decimal adjustment, SDM 2 ---- */

static void control_bcd_flags(struct tcg_cpu *c, u8 al, bool af, bool cf)
{
	c->cc = CC_FIXED | (cf ? CC_CF : 0) | (af ? CC_AF : 0) |
		(al ? 0 : CC_ZF) | (al & 0x80 ? CC_SF : 0) |
		(__builtin_parity(al) ? 0 : CC_PF);
}

static void control_daa(struct tcg_cpu *c, bool subtract)
{
	u8 *al = (u8 *)c->gpr, old = *al;
	bool cf = c->cc & CC_CF, carry = false, af = false;

	if ((old & 15) > 9 || c->cc & CC_AF) {
		carry = cf || (subtract ? old < 6 : old > 0xff - 6);
		*al += subtract ? -6 : 6;
		af = true;
	}
	if (old > 0x99 || cf) {
		*al += subtract ? -0x60 : 0x60;
		carry = true;
	}
	control_bcd_flags(c, *al, af, carry);
}

void op_daa(struct tcg_cpu *c, const struct insn *i)
{
	control_daa(c, false);
}

void op_das(struct tcg_cpu *c, const struct insn *i)
{
	control_daa(c, true);
}

static void control_aaa(struct tcg_cpu *c, int sign)
{
	u16 ax = (u16)c->gpr[REG_RAX];
	bool adjust = (ax & 15) > 9 || c->cc & CC_AF;

	if (adjust)
		ax += sign * 0x106;
	ax &= 0xff0f;
	wr_gpr_16(c, REG_RAX, ax);
	control_bcd_flags(c, (u8)ax, adjust, adjust);
}

void op_aaa(struct tcg_cpu *c, const struct insn *i)
{
	control_aaa(c, 1);
}

void op_aas(struct tcg_cpu *c, const struct insn *i)
{
	control_aaa(c, -1);
}

void op_aam(struct tcg_cpu *c, const struct insn *i)
{
	u8 al = (u8)c->gpr[REG_RAX], base = (u8)i->imm;

	if (!base)
		tcg_raise(c, EXC_DE);
	wr_gpr_16(c, REG_RAX, (u16)(al / base << 8 | al % base));
	control_bcd_flags(c, al % base, false, false);
}

void op_aad(struct tcg_cpu *c, const struct insn *i)
{
	u16 ax = (u16)c->gpr[REG_RAX];
	u8 al = (u8)(ax + (ax >> 8) * (u8)i->imm);

	wr_gpr_16(c, REG_RAX, al);
	control_bcd_flags(c, al, false, false);
}

/* ---- The whole of RFLAGS ---- */

u64 tcg_rflags(struct tcg_cpu *c)
{
	return c->eflags | cc_rflags(c->cc);
}

void tcg_set_rflags(struct tcg_cpu *c, u64 value, u64 mask)
{
	u64 v = (tcg_rflags(c) & ~mask) | (value & mask);

	c->cc = cc_from_rflags(v);
	c->eflags = (v & ~(u64)RFLAGS_ARITH) | RFLAGS_FIXED;
}
