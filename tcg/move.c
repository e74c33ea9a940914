/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Handlers of moves, exchanges, conditional moves and the stack.
 */
#include "tcg/alu.h"

#include "tcg/handlers.h"
#include "tcg/ops.h"

#define HANDLER(name) static void name(struct tcg_cpu *c, const struct insn *i)

/* clang-format off */
#define FOR_ALL_SIZES(X, ...)                                              \
	X(8, __VA_ARGS__) X(16, __VA_ARGS__) X(32, __VA_ARGS__)            \
	X(64, __VA_ARGS__)
#define FOR_WIDE_SIZES(X, ...)                                             \
	X(16, __VA_ARGS__) X(32, __VA_ARGS__) X(64, __VA_ARGS__)
/* clang-format on */

/* ---- mov ---- */

#define MOVE_MOV(bits, ...)                                                  \
	HANDLER(mov_EG_##bits##r)                                            \
	{                                                                    \
		wr_rm_##bits(c, i, rd_reg_##bits(c, i));                     \
		NEXT(c, i);                                                  \
	}                                                                    \
	HANDLER(mov_EG_##bits##m)                                            \
	{                                                                    \
		tcg_st##bits(c, ops_write_va(c, i, bits / 8),                \
			     rd_reg_##bits(c, i));                           \
		NEXT_STORED(c, i);                                           \
	}                                                                    \
	HANDLER(mov_GE_##bits##r)                                            \
	{                                                                    \
		wr_reg_##bits(c, i, rd_rm_##bits(c, i));                     \
		NEXT(c, i);                                                  \
	}                                                                    \
	HANDLER(mov_GE_##bits##m)                                            \
	{                                                                    \
		wr_reg_##bits(c, i,                                          \
			      tcg_ld##bits(c, ops_read_va(c, i, bits / 8))); \
		NEXT(c, i);                                                  \
	}                                                                    \
	HANDLER(mov_EI_##bits##r)                                            \
	{                                                                    \
		wr_rm_##bits(c, i, (u##bits)i->imm);                         \
		NEXT(c, i);                                                  \
	}                                                                    \
	HANDLER(mov_EI_##bits##m)                                            \
	{                                                                    \
		tcg_st##bits(c, ops_write_va(c, i, bits / 8),                \
			     (u##bits)i->imm);                               \
		NEXT_STORED(c, i);                                           \
	}

FOR_ALL_SIZES(MOVE_MOV, )
OPS_TABLE(mov_EG);
OPS_TABLE(mov_GE);
OPS_TABLE(mov_EI);

#define MOVE_EXTEND(bits, name, src, type)                             \
	HANDLER(name##_##bits##r)                                      \
	{                                                              \
		wr_reg_##bits(c, i, (u##bits)(type)rd_rm_##src(c, i)); \
		NEXT(c, i);                                            \
	}                                                              \
	HANDLER(name##_##bits##m)                                      \
	{                                                              \
		u##src b = tcg_ld##src(c, ops_read_va(c, i, src / 8)); \
		wr_reg_##bits(c, i, (u##bits)(type)b);                 \
		NEXT(c, i);                                            \
	}

FOR_WIDE_SIZES(MOVE_EXTEND, movzx_b, 8, u8)
FOR_WIDE_SIZES(MOVE_EXTEND, movzx_w, 16, u16)
FOR_WIDE_SIZES(MOVE_EXTEND, movsx_b, 8, s8)
FOR_WIDE_SIZES(MOVE_EXTEND, movsx_w, 16, s16)
MOVE_EXTEND(16, movsx_d, 16, u16)
MOVE_EXTEND(32, movsx_d, 32, u32)
MOVE_EXTEND(64, movsx_d, 32, s32)
OPS_TABLE_RM(movzx_b);
OPS_TABLE_RM(movzx_w);
OPS_TABLE_RM(movsx_b);
OPS_TABLE_RM(movsx_w);
OPS_TABLE_RM(movsx_d);

/* ---- lea, bswap, movbe ---- */

#define MOVE_LEA(bits, ...)                                               \
	HANDLER(lea_##bits##m)                                            \
	{                                                                 \
		wr_reg_##bits(c, i,                                       \
			      (u##bits)(i->flat ? ops_flat_ea(c, i)       \
						: insn_ea(c, i)));        \
		NEXT(c, i);                                               \
	}                                                                 \
	HANDLER(movbe_GM_##bits##m)                                       \
	{                                                                 \
		u##bits v = tcg_ld##bits(c, ops_read_va(c, i, bits / 8)); \
		wr_reg_##bits(c, i, __builtin_bswap##bits(v));            \
		NEXT(c, i);                                               \
	}                                                                 \
	HANDLER(movbe_MG_##bits##m)                                       \
	{                                                                 \
		tcg_st##bits(c, ops_write_va(c, i, bits / 8),             \
			     __builtin_bswap##bits(rd_reg_##bits(c, i))); \
		NEXT_STORED(c, i);                                        \
	}

FOR_WIDE_SIZES(MOVE_LEA, )

#define MOVE_TABLE_M(name)                                                  \
	insn_fn *const ops_##name[8] = { NULL,       NULL,      NULL,       \
					 NULL,       NULL,      name##_16m, \
					 name##_32m, name##_64m }

MOVE_TABLE_M(lea);
MOVE_TABLE_M(movbe_GM);
MOVE_TABLE_M(movbe_MG);

/* Undefined for 16 bits; hosts store 0. */
HANDLER(bswap_16r)
{
	wr_gpr_16(c, i->rm, 0);
	NEXT(c, i);
}

HANDLER(bswap_32r)
{
	c->gpr[i->rm] = __builtin_bswap32((u32)c->gpr[i->rm]);
	NEXT(c, i);
}

HANDLER(bswap_64r)
{
	c->gpr[i->rm] = __builtin_bswap64(c->gpr[i->rm]);
	NEXT(c, i);
}

OPS_TABLE_R(bswap);

/* ---- xchg xadd cmpxchg ---- */

#define MOVE_XCHG(bits, ...)                                                  \
	HANDLER(xchg_EG_##bits##r)                                            \
	{                                                                     \
		u##bits a = rd_rm_##bits(c, i), b = rd_reg_##bits(c, i);      \
		wr_rm_##bits(c, i, b);                                        \
		wr_reg_##bits(c, i, a);                                       \
		NEXT(c, i);                                                   \
	}                                                                     \
	HANDLER(xchg_EG_##bits##m)                                            \
	{                                                                     \
		gva_t va = ops_write_va(c, i, bits / 8);                      \
		void *p = alu_atomic(tcg_host_rw(c, va, bits / 8), bits / 8); \
		u##bits b = rd_reg_##bits(c, i), a;                           \
		if (likely(p)) {                                              \
			a = alu_swap_##bits(p, b);                            \
			tcg_host_written(c, va, bits / 8);                    \
		} else {                                                      \
			tcg_exclusive_begin(c);                               \
			a = tcg_ld##bits(c, va);                              \
			tcg_st##bits(c, va, b);                               \
			tcg_exclusive_end(c);                                 \
		}                                                             \
		wr_reg_##bits(c, i, a);                                       \
		NEXT_STORED(c, i);                                            \
	}                                                                     \
	HANDLER(xadd_##bits##r)                                               \
	{                                                                     \
		u##bits a = rd_rm_##bits(c, i), b = rd_reg_##bits(c, i);      \
		wr_reg_##bits(c, i, a);                                       \
		wr_rm_##bits(c, i, alu_add_##bits(c, a, b));                  \
		NEXT(c, i);                                                   \
	}                                                                     \
	HANDLER(xadd_##bits##m)                                               \
	{                                                                     \
		gva_t va = ops_write_va(c, i, bits / 8);                      \
		struct tcg_u##bits *p =                                       \
			alu_atomic(tcg_host_rw(c, va, bits / 8), bits / 8);   \
		u##bits b = rd_reg_##bits(c, i), a;                           \
		if (likely(p)) {                                              \
			a = p->v;                                             \
			while (!alu_cas_##bits(p, &a, (u##bits)(a + b)))      \
				;                                             \
			tcg_host_written(c, va, bits / 8);                    \
		} else {                                                      \
			tcg_exclusive_begin(c);                               \
			a = tcg_ld##bits(c, va);                              \
			tcg_st##bits(c, va, (u##bits)(a + b));                \
			tcg_exclusive_end(c);                                 \
		}                                                             \
		alu_add_##bits(c, a, b);                                      \
		wr_reg_##bits(c, i, a);                                       \
		NEXT_STORED(c, i);                                            \
	}                                                                     \
	HANDLER(cmpxchg_##bits##r)                                            \
	{                                                                     \
		u##bits acc = (u##bits)c->gpr[REG_RAX];                       \
		u##bits old = rd_rm_##bits(c, i);                             \
		alu_cmp_##bits(c, acc, old);                                  \
		if (acc == old)                                               \
			wr_rm_##bits(c, i, rd_reg_##bits(c, i));              \
		else                                                          \
			MOVE_SET_ACC_##bits(c, old);                          \
		NEXT(c, i);                                                   \
	}                                                                     \
	HANDLER(cmpxchg_##bits##m)                                            \
	{                                                                     \
		gva_t va = ops_write_va(c, i, bits / 8);                      \
		struct tcg_u##bits *p =                                       \
			alu_atomic(tcg_host_rw(c, va, bits / 8), bits / 8);   \
		u##bits acc = (u##bits)c->gpr[REG_RAX], old = acc;            \
		u##bits b = rd_reg_##bits(c, i);                              \
		if (likely(p)) {                                              \
			alu_cas_##bits(p, &old, b);                           \
			tcg_host_written(c, va, bits / 8);                    \
		} else {                                                      \
			tcg_exclusive_begin(c);                               \
			old = tcg_ld##bits(c, va);                            \
			tcg_st##bits(c, va, old == acc ? b : old);            \
			tcg_exclusive_end(c);                                 \
		}                                                             \
		alu_cmp_##bits(c, acc, old);                                  \
		if (acc != old)                                               \
			MOVE_SET_ACC_##bits(c, old);                          \
		NEXT_STORED(c, i);                                            \
	}

#define MOVE_SET_ACC_8(c, v)  (*(u8 *)&(c)->gpr[REG_RAX] = (v))
#define MOVE_SET_ACC_16(c, v) wr_gpr_16(c, REG_RAX, v)
#define MOVE_SET_ACC_32(c, v) wr_gpr_32(c, REG_RAX, v)
#define MOVE_SET_ACC_64(c, v) wr_gpr_64(c, REG_RAX, v)

FOR_ALL_SIZES(MOVE_XCHG, )
OPS_TABLE(xchg_EG);
OPS_TABLE(xadd);
OPS_TABLE(cmpxchg);

static void move_set_zf(struct tcg_cpu *c, bool zf)
{
	c->cc = (c->cc & ~CC_ZF) | (zf ? CC_ZF : 0);
}

void op_cmpxchg8b(struct tcg_cpu *c, const struct insn *i)
{
	gva_t va = ops_write_va(c, i, 8);
	void *p = alu_atomic(tcg_host_rw(c, va, 8), 8);
	u64 want = c->gpr[REG_RDX] << 32 | (u32)c->gpr[REG_RAX];
	u64 v = c->gpr[REG_RCX] << 32 | (u32)c->gpr[REG_RBX];
	u64 old = want;

	if (p) {
		alu_cas_64(p, &old, v);
		tcg_host_written(c, va, 8);
	} else {
		tcg_exclusive_begin(c);
		old = tcg_ld64(c, va);
		tcg_st64(c, va, old == want ? v : old);
		tcg_exclusive_end(c);
	}
	move_set_zf(c, old == want);
	if (old != want) {
		c->gpr[REG_RAX] = (u32)old;
		c->gpr[REG_RDX] = old >> 32;
	}
}

void op_cmpxchg16b(struct tcg_cpu *c, const struct insn *i)
{
	gva_t va = ops_write_va(c, i, 16);
	u64 old[2] = { c->gpr[REG_RAX], c->gpr[REG_RDX] };
	const u64 v[2] = { c->gpr[REG_RBX], c->gpr[REG_RCX] };
	bool same;
	void *p;

	if (va & 15)
		tcg_raise_code(c, EXC_GP, 0);
	p = alu_atomic(tcg_host_rw(c, va, 16), 16);
	if (p) {
		same = alu_cas_128(p, old, v);
		tcg_host_written(c, va, 16);
	} else {
		u64 now[2];

		tcg_exclusive_begin(c);
		tcg_ld_bytes(c, va, now, 16);
		same = now[0] == old[0] && now[1] == old[1];
		old[0] = now[0];
		old[1] = now[1];
		if (same) {
			now[0] = v[0];
			now[1] = v[1];
		}
		tcg_st_bytes(c, va, now, 16);
		tcg_exclusive_end(c);
	}
	move_set_zf(c, same);
	if (!same) {
		c->gpr[REG_RAX] = old[0];
		c->gpr[REG_RDX] = old[1];
	}
}

/* ---- cmov, setcc: one handler a condition ---- */

#define MOVE_CMOV(bits, cond)                                                  \
	HANDLER(cmov##cond##_##bits##r)                                        \
	{                                                                      \
		u##bits b = rd_rm_##bits(c, i);                                \
		wr_reg_##bits(c, i,                                            \
			      cc_test(c->cc, cond) ? b : rd_reg_##bits(c, i)); \
		NEXT(c, i);                                                    \
	}                                                                      \
	HANDLER(cmov##cond##_##bits##m)                                        \
	{                                                                      \
		u##bits b = tcg_ld##bits(c, ops_read_va(c, i, bits / 8));      \
		wr_reg_##bits(c, i,                                            \
			      cc_test(c->cc, cond) ? b : rd_reg_##bits(c, i)); \
		NEXT(c, i);                                                    \
	}

#define MOVE_COND(cond)                                                  \
	FOR_WIDE_SIZES(MOVE_CMOV, cond)                                  \
	HANDLER(set##cond##_r)                                           \
	{                                                                \
		wr_rm_8(c, i, cc_test(c->cc, cond));                     \
		NEXT(c, i);                                              \
	}                                                                \
	HANDLER(set##cond##_m)                                           \
	{                                                                \
		tcg_st8(c, ops_write_va(c, i, 1), cc_test(c->cc, cond)); \
		NEXT_STORED(c, i);                                       \
	}

/* clang-format off */
#define FOR_CONDS(X) \
	X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) \
	X(13) X(14) X(15)
FOR_CONDS(MOVE_COND)

#define MOVE_CMOV_ROW(cond)                                                \
	{ NULL, cmov##cond##_16r, cmov##cond##_32r, cmov##cond##_64r,      \
	  NULL, cmov##cond##_16m, cmov##cond##_32m, cmov##cond##_64m },
#define MOVE_SET_ROW(cond) { [0] = set##cond##_r, [4] = set##cond##_m },

insn_fn *const opc_cmov[16][8] = { FOR_CONDS(MOVE_CMOV_ROW) };
insn_fn *const opc_set[16][8] = { FOR_CONDS(MOVE_SET_ROW) };

/* clang-format on */

/* ---- push, pop ---- */

static void move_push(struct tcg_cpu *c, u64 v, int size)
{
	if (likely(c->stack64 && size == 8)) {
		u64 sp = c->gpr[REG_RSP] - 8;

		tcg_st64(c, sp, v);
		c->gpr[REG_RSP] = sp;
	} else {
		tcg_push(c, v, size);
	}
}

#define MOVE_STACK(bits, ...)                                              \
	HANDLER(push_E_##bits##r)                                          \
	{                                                                  \
		move_push(c, rd_rm_##bits(c, i), bits / 8);                \
		NEXT_STORED(c, i);                                         \
	}                                                                  \
	HANDLER(push_E_##bits##m)                                          \
	{                                                                  \
		move_push(c, tcg_ld##bits(c, ops_read_va(c, i, bits / 8)), \
			  bits / 8);                                       \
		NEXT_STORED(c, i);                                         \
	}                                                                  \
	HANDLER(push_I_##bits##r)                                          \
	{                                                                  \
		move_push(c, i->imm, bits / 8);                            \
		NEXT_STORED(c, i);                                         \
	}                                                                  \
	HANDLER(pop_E_##bits##r)                                           \
	{                                                                  \
		if (likely(c->stack64 && bits == 64)) {                    \
			u64 sp = c->gpr[REG_RSP];                          \
			u64 v = tcg_ld64(c, sp);                           \
			c->gpr[REG_RSP] = sp + 8;                          \
			wr_rm_##bits(c, i, (u##bits)v);                    \
		} else {                                                   \
			u64 v = tcg_pop(c, bits / 8);                      \
			wr_rm_##bits(c, i, (u##bits)v);                    \
		}                                                          \
		NEXT(c, i);                                                \
	}                                                                  \
	HANDLER(pop_E_##bits##m)                                           \
	{                                                                  \
		move_pop_mem(c, i, bits / 8);                              \
		NEXT_STORED(c, i);                                         \
	}

/* The address is computed with the incremented stack pointer; a fault of the
 * store leaves it as it was. */
static void move_pop_mem(struct tcg_cpu *c, const struct insn *i, int size)
{
	u64 sp = c->gpr[REG_RSP], after;
	struct insn t = *i;
	u64 v = tcg_pop(c, size);

	after = c->gpr[REG_RSP];
	c->gpr[REG_RSP] = sp;
	if (t.base == REG_RSP)
		t.disp += size;
	tcg_st(c, ops_write_va(c, &t, size), v, size);
	c->gpr[REG_RSP] = after;
}

FOR_WIDE_SIZES(MOVE_STACK, )
OPS_TABLE_RM(push_E);
OPS_TABLE_R(push_I);
OPS_TABLE_RM(pop_E);

HANDLER(leave_64r)
{
	u64 sp = c->gpr[REG_RBP];

	c->gpr[REG_RBP] = tcg_ld64(c, sp);
	c->gpr[REG_RSP] = sp + 8;
	NEXT(c, i);
}

/* Operand size 2 or 4, any stack size. */
static void move_leave(struct tcg_cpu *c, int size)
{
	int ss = c->stack64 ? 8 : c->stack32 ? 4 : 2;
	u64 bp = c->gpr[REG_RBP] & ops_mask(ss);
	u64 v = tcg_ld(c, ops_seg_linear(c, SEG_SS, bp, size, false), size);

	ops_set_gpr(c, REG_RSP, bp + size, ss);
	ops_set_gpr(c, REG_RBP, v, size);
}

HANDLER(leave_16r)
{
	move_leave(c, 2);
	NEXT(c, i);
}

HANDLER(leave_32r)
{
	move_leave(c, 4);
	NEXT(c, i);
}

OPS_TABLE_R(leave);
