/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * x87 in translated code: the guest's own instructions on the host's x87
 * registers, which MMX instructions (tcg/jit_vec.c) find there, too.
 *
 * As with vectors the first one in translated code loads the state, after the
 * checks: CR0, and FCW masks all exceptions, so none is pending and no SIGFPE
 * can come from here.  What loads FCW looks at the masks again, or is left to
 * its handler.  XSAVE moves the state, as FXSAVE and FNSAVE are slower and
 * move XMM registers, too; hosts without AVX have handlers only.
 *
 * Pointers and opcode of the last instruction are the guest's, so the host's
 * are of no use.  The translator knows which instruction was the last one at
 * each point of a block, and has them stored where the block ends or C is
 * called.  An operand's address is kept when it is computed, in the slot that
 * does not hold the last instruction's: it may fault.
 *
 * Spec: SDM 1 chapters 8 and 13.
 */
#include "tcg/handlers.h"
#include "tcg/jit_gen.h"
#include "tcg/vec.h"

#define FCW_MASKS 0x3fu
#define FCW_HOST  0x37fu

/* The legacy region of an XSAVE area and its header. */
#define XS_FCW 0
#define XS_FTW 4
#define XS_ST  32
#define XS_BV  512

#define S(field) offsetof(struct cpu_state, field)

/* ---- Shared code ---- */

static void x87_copy(struct jit_emit *e, u8 to, size_t to_at, u8 from,
		     size_t from_at, u32 op_load, u32 op_store)
{
	em_rm(e, op_load, H_RAX, rm_mem(from, (s32)from_at));
	em_rm(e, op_store, H_RAX, rm_mem(to, (s32)to_at));
}

/* R10: area, RDX: struct cpu_state. */
static void x87_copy_all(struct jit_emit *e, bool save)
{
	u8 to = save ? H_RDX : H_R10, from = save ? H_R10 : H_RDX;
	size_t fpu[] = { S(fpu.fcw), S(fpu.ftw), S(fpu.st) };
	size_t area[] = { XS_FCW, XS_FTW, XS_ST };
	const size_t *t = save ? fpu : area, *f = save ? area : fpu;

	_Static_assert(S(fpu.fsw) == S(fpu.fcw) + 2, "one move");
	x87_copy(e, to, t[0], from, f[0], 0x8b, 0x89);
	x87_copy(e, to, t[1], from, f[1], 0x8a, 0x88);
	for (size_t n = 0; n < 8 * 16; n += 16) {
		x87_copy(e, to, t[2] + n, from, f[2] + n, EM_W | 0x8b,
			 EM_W | 0x89);
		x87_copy(e, to, t[2] + n + 8, from, f[2] + n + 8, EM_0F | 0xb7,
			 EM_W | 0x89); /* movzx */
	}
}

static void x87_begin(struct jit *j)
{
	struct jit_emit *e = &j->e;

	em_plus(e, 0x50, H_RAX); /* push */
	em_plus(e, 0x50, H_RDX);
	em_mov_imm(e, H_R10, (u64)j->x87_area);
}

/* xsave64 or xrstor64, of x87 only. */
static void x87_move(struct jit_emit *e, bool save)
{
	em_mov_imm(e, H_RAX, 1);
	em_mov_imm(e, H_RDX, 0);
	em_rm(e, EM_W | EM_0F | 0xae, save ? 4 : 5, rm_mem(H_R10, 0));
}

static void x87_end(struct jit_emit *e)
{
	em_plus(e, 0x58, H_RDX); /* pop */
	em_plus(e, 0x58, H_RAX);
	em8(e, 0xc3);
}

u8 *jit_x87_save(struct jit *j)
{
	struct jit_emit *e = &j->e;
	u8 *start = e->at;

	x87_begin(j);
	x87_move(e, true);
	em_load(e, H_RDX, STATE(s));
	x87_copy_all(e, true);
	em8(e, 0x0f); /* emms */
	em8(e, 0x77);
	em8(e, 0x68); /* push */
	em32(e, FCW_HOST);
	em_rm(e, 0xd9, 5, rm_mem(H_RSP, 0)); /* fldcw */
	em_plus(e, 0x58, H_RAX);
	x87_end(e);
	return start;
}

u8 *jit_x87_load(struct jit *j)
{
	struct jit_emit *e = &j->e;
	u8 *start = e->at;

	x87_begin(j);
	em_load(e, H_RDX, STATE(s));
	x87_copy_all(e, false);
	em_rm(e, 0xc7, 0, rm_mem(H_R10, XS_BV)); /* mov dword, 1 */
	em32(e, 1);
	x87_move(e, false);
	x87_end(e);
	return start;
}

/* Called, a struct jit_slow follows. */
u8 *jit_x87_enter(struct jit *j)
{
	struct jit_emit *e = &j->e;
	u8 *start = e->at, *refuse[2];

	em_plus(e, 0x58, H_RAX); /* pop rax */
	em_load(e, H_R10, STATE(s));
	em_rm(e, 0xf7, 0, rm_mem(H_R10, S(cr0))); /* test dword, imm */
	em32(e, CR0_EM | CR0_TS);
	refuse[0] = em_jcc(e, 5);
	em_rm(e, 0x8b, H_R10, rm_mem(H_R10, S(fpu.fcw)));
	em_rm(e, 0xf7, 2, rm_reg(H_R10)); /* not */
	em_rm(e, 0xf6, 0, rm_reg(H_R10)); /* test r10b, imm */
	em8(e, FCW_MASKS);
	refuse[1] = em_jcc(e, 5);
	em_to(em_call(e), j->x87_load);
	em_rm(e, 0x80, 1, STATE(vec_live)); /* or byte */
	em8(e, JIT_VEC_X87);
	em_rm(e, 0x8b, H_R10, rm_mem(H_RAX, offsetof(struct jit_slow, retry)));
	em_rm(e, EM_W | 0x2b, H_RAX, rm_reg(H_R10)); /* sub */
	em_rm(e, 0xff, 4, rm_reg(H_RAX));            /* jmp rax */
	em_here(e, refuse[0]);
	em_here(e, refuse[1]);
	em_plus(e, 0x50, H_RAX);
	em_to(em_jmp(e), j->vec_refuse);
	return start;
}

/* ---- Classes ---- */

bool jit_x87_usable(void)
{
	/* Which implies XSAVE. */
	return __builtin_cpu_supports("avx");
}

static insn_fn *x87_handler(u16 row)
{
	return insn_plain_handler(&(struct insn){ .row = row });
}

u8 jit_x87_classify(u16 row)
{
	static insn_fn *const own[] = { op_x87,  op_fldcw, op_fnstcw,
					op_emms, op_fwait, op_fnstsw,
					op_fnop, op_fnclex };
	insn_fn *fn = x87_handler(row);

	for (size_t n = 0; n < ARRAY_SIZE(own); n++)
		if (fn == own[n])
			return jit_x87_usable() ? JIT_X87 : JIT_INTERP;
	return JIT_INTERP;
}

/* ---- Pointers ---- */

static struct jit_rm x87_slot(u8 n)
{
	return rm_state(offsetof(struct tcg_cpu, x87_ea) + n * sizeof(u64));
}

/* Clobbers RAX and R10; flags stay. */
static void x87_store_note(struct gen *g, const struct gen_note *n)
{
	struct jit_emit *e = &g->e;

	em_load(e, H_RAX, STATE(s));
	em_load(e, H_R10, gen_slot(INSN_RIP));
	em_lea(e, H_R10, rm_mem(H_R10, (s32)n->off));
	em_store(e, rm_mem(H_RAX, S(fpu.fip)), H_R10);
	em_rm(e, EM_66 | 0xc7, 0, rm_mem(H_RAX, S(fpu.fop)));
	em16(e, n->fop);
	em_rm(e, EM_0F | 0xb7, H_R10, rm_mem(H_RAX, S(seg[SEG_CS].sel)));
	em_rm(e, EM_66 | 0x89, H_R10, rm_mem(H_RAX, S(fpu.fcs)));
	if (!n->mem)
		return;
	em_load(e, H_R10, x87_slot(n->slot));
	em_store(e, rm_mem(H_RAX, S(fpu.fdp)), H_R10);
	em_rm(e, EM_0F | 0xb7, H_R10,
	      rm_mem(H_RAX, (s32)(S(seg[0].sel) +
				  sizeof(struct cpu_segment) * n->seg)));
	em_rm(e, EM_66 | 0x89, H_R10, rm_mem(H_RAX, S(fpu.fds)));
}

void gen_x87_note(struct gen *g)
{
	if (g->note.any)
		x87_store_note(g, &g->note);
	g->note = (struct gen_note){ 0 };
}

void gen_x87_note_cold(struct gen *g, const struct gen_note *n)
{
	if (!n->any)
		return;
	em_plus(&g->e, 0x50, H_RAX); /* push */
	em_plus(&g->e, 0x50, H_R10);
	x87_store_note(g, n);
	em_plus(&g->e, 0x58, H_R10); /* pop */
	em_plus(&g->e, 0x58, H_RAX);
}

/* As x87_note_insn() of tcg/fpu.c. */
static void x87_take_note(struct gen *g)
{
	const struct insn *i = g->i;
	u32 modrm = (i->reg & 7u) << 3;

	if (!i->is_mem)
		modrm |= 0xc0u | (i->rm & 7u);
	g->note.any = true;
	g->note.off = g->off;
	g->note.fop = (u16)((i->opcode & 7u) << 8 | modrm);
	if (!i->is_mem)
		return;
	g->note.slot ^= g->note.mem;
	g->note.mem = true;
	g->note.seg = i->seg;
}

/* ---- Instructions ---- */

void gen_x87_enter(struct gen *g)
{
	struct gen_cold *cold;

	if (g->vec_live & JIT_VEC_X87)
		return;
	gen_spill_flags(g);
	em_rm(&g->e, 0xf6, 0, STATE(vec_live)); /* test byte */
	em8(&g->e, JIT_VEC_X87);
	cold = gen_cold(g, COLD_X87, em_jcc(&g->e, 4));
	cold->retry = cold->back = g->e.at;
	cold->info = gen_info(g, 0, false);
	g->vec_live |= JIT_VEC_X87;
}

static bool x87_in_run(const struct gen *g)
{
	return gen_in_run(g) && gen_on_stack(g->i);
}

/* The memory operand; `noted`: its address is kept. */
static struct jit_rm x87_operand(struct gen *g, bool noted)
{
	const struct insn *i = g->i;
	struct jit_rm keep = x87_slot(g->note.slot ^ g->note.mem);
	bool write = insn_desc(i)->attrs & OP_WR;

	if (x87_in_run(g)) {
		if (noted) {
			em_lea(&g->e, H_R10,
			       rm_mem(jit_home[REG_RSP], (s32)i->disp));
			em_store(&g->e, keep, H_R10);
		}
		return gen_run_operand(g, (s32)i->disp, false);
	}
	gen_access_kept(g, insn_mem_size(i), write, noted ? &keep : NULL);
	return write ? gen_store_operand(g, false) : gen_load_operand(g, false);
}

static void x87_mem(struct gen *g, bool noted)
{
	const struct insn *i = g->i;

	em_rm(&g->e, i->opcode, i->reg & 7, x87_operand(g, noted));
	if (noted)
		x87_take_note(g);
	if (insn_desc(i)->attrs & OP_WR && !x87_in_run(g))
		gen_stored(g, insn_mem_size(i));
}

/* Only a value that masks all exceptions. */
static void x87_fldcw(struct gen *g)
{
	struct jit_emit *e = &g->e;

	gen_spill_flags(g);
	em_rm(e, EM_0F | 0xb7, H_RAX, x87_operand(g, false)); /* movzx */
	em_rm(e, 0x89, H_RAX, STATE(jit_tmp));
	em_rm(e, 0xf7, 2, rm_reg(H_RAX)); /* not */
	em8(e, 0xa8);                     /* test al, imm */
	em8(e, FCW_MASKS);
	gen_refuse(g, 5);
	em_rm(e, 0xd9, 5, STATE(jit_tmp));
}

static void x87_plain(struct gen *g, u8 first, u8 second)
{
	em8(&g->e, first);
	em8(&g->e, second);
}

static void x87_reg(struct gen *g)
{
	const struct insn *i = g->i;

	if (insn_desc(i)->flags_read)
		gen_load_flags(g);
	x87_plain(g, i->opcode, 0xc0 | (i->reg & 7) << 3 | (i->rm & 7));
	if (insn_desc(i)->flags_written)
		gen_flags_set(g);
	x87_take_note(g);
}

void gen_x87(struct gen *g)
{
	const struct insn *i = g->i;

	gen_x87_enter(g);
	switch (gen_row(i)->what) {
	case ROW_X87:
		if (i->is_mem)
			x87_mem(g, true);
		else
			x87_reg(g);
		break;
	case ROW_X87_STORE: x87_mem(g, false); break;
	case ROW_FLDCW: x87_fldcw(g); break;
	case ROW_FNSTSW:
		if (i->is_mem) {
			x87_mem(g, false);
			break;
		}
		x87_plain(g, 0xdf, 0xe0); /* fnstsw ax */
		em_rm(&g->e, EM_66 | 0x89, H_RAX, rm_reg(jit_home[REG_RAX]));
		break;
	case ROW_FNCLEX: x87_plain(g, 0xdb, 0xe2); break;
	case ROW_EMMS: x87_plain(g, 0x0f, 0x77); break;
	}
	/* Nothing is pending: FWAIT and the FNOPs do nothing. */
}

void gen_x87_use(const struct gen *g, struct gen_use *u)
{
	const struct insn *i = g->i;

	if (gen_row(i)->what == ROW_FNSTSW)
		u->sets = BIT(REG_RAX);
	if (!gen_on_stack(i))
		return;
	u->access = true;
	u->at = (s32)i->disp;
	u->size = insn_mem_size(i);
}
