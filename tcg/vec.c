/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * MMX, SSE and AVX through generated host code: see tcg/vec.h.
 *
 * A stub is found by row, width bits and, if the form has one, immediate.
 * Their number is bounded by the tables, so nothing is ever evicted.
 *
 * Registers inside a stub: rdi frame, rsi/rdx/rcx the guest's V, H and W
 * registers; xmm0 implicit, xmm4 V, xmm5 H, xmm6 W, xmm7 is4; mm1 P, mm2 Q;
 * eax ModRM.reg, ecx ModRM.rm.
 */
#include "tcg/vec.h"

#include <errno.h>
#include <linux/memfd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/log.h"
#include "tcg/softmmu.h"
#include "tcg/vec_trap.h"

#define MXCSR_FLAGS 0x3fu
#define MXCSR_MASKS 0x1f80u
#define MXCSR_HOST  0x1f80u

#define STUB_VARIANTS 8 /* memory, W, L */
#define STUB_MAX      192

enum stub_dest {
	DEST_NONE,
	DEST_V,
	DEST_H,
	DEST_W,
	DEST_G,
	DEST_E,
	DEST_P,
	DEST_Q,
	DEST_MEM,
};

struct vec_stub {
	vec_fn *fn;
	u8 dest;      /* enum stub_dest */
	u8 mem_size;  /* bytes of the memory operand; 0: none */
	u8 dest_size; /* DEST_G, DEST_E: 4 or 8 */
	bool load, store, align, mxcsr, flags;
	bool use_g, use_e, use_p, use_q, use_l, use_xmm0;
};

struct vec {
	struct vec_code code;
	/* [row * STUB_VARIANTS + variant] -> array of 1 or 256 stubs. */
	struct vec_stub **table;
	vec_fn **x87; /* [opcode & 7][modrm byte or 256 + reg for memory] */
	bool avx;
};

#define X87_SLOTS (8 * (256 + 8))

/* ---- Life ---- */

int vec_create(struct tcg_cpu *c, struct err *err)
{
	struct vec *vec = xalloc(sizeof *vec);
	int fd = memfd_create("vmon-vec", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, VEC_CODE_BYTES) < 0)
		goto fail;
	vec->code.rw = mmap(NULL, VEC_CODE_BYTES, PROT_READ | PROT_WRITE,
			    MAP_SHARED, fd, 0);
	vec->code.rx = mmap(NULL, VEC_CODE_BYTES, PROT_READ | PROT_EXEC,
			    MAP_SHARED, fd, 0);
	if (vec->code.rw == MAP_FAILED || vec->code.rx == MAP_FAILED)
		goto fail;
	close(fd);
	vec->table = xcalloc((size_t)opdesc_count * STUB_VARIANTS,
			     sizeof *vec->table);
	vec->x87 = xcalloc(X87_SLOTS, sizeof *vec->x87);
	vec->avx = __builtin_cpu_supports("avx");
	c->vec = vec;
	vec_trap_init();
	return 0;
fail:
	err_errno(err, "the host refuses executable memory, which vector "
		       "instructions need");
	if (vec->code.rw && vec->code.rw != MAP_FAILED)
		munmap(vec->code.rw, VEC_CODE_BYTES);
	if (fd >= 0)
		close(fd);
	free(vec);
	return err ? err->code : -EACCES;
}

void vec_destroy(struct tcg_cpu *c)
{
	struct vec *vec = c->vec;

	if (!vec)
		return;
	munmap(vec->code.rw, VEC_CODE_BYTES);
	munmap(vec->code.rx, VEC_CODE_BYTES);
	for (size_t n = 0; n < (size_t)opdesc_count * STUB_VARIANTS; n++)
		free(vec->table[n]);
	free(vec->table);
	free(vec->x87);
	free(vec);
	c->vec = NULL;
}

/* ---- Emitting ---- */

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI };

struct emit {
	u8 bytes[STUB_MAX];
	unsigned n;
};

static void emit(struct emit *e, const void *bytes, unsigned n)
{
	memcpy(e->bytes + e->n, bytes, n);
	e->n += n;
}

static void emit1(struct emit *e, u8 byte)
{
	e->bytes[e->n++] = byte;
}

/* ModRM for [base + disp32]. */
static void emit_at(struct emit *e, unsigned reg, unsigned base, size_t disp)
{
	emit1(e, (u8)(0x80 | reg << 3 | base));
	put_le32(e->bytes + e->n, (u32)disp);
	e->n += 4;
}

static void emit_vec(struct emit *e, bool avx, bool store, unsigned xmm,
		     unsigned base, size_t disp)
{
	emit(e, avx ? "\xc5\xfe" : "\xf3\x0f", 2);
	emit1(e, store ? 0x7f : 0x6f);
	emit_at(e, xmm, base, disp);
}

static void emit_mm(struct emit *e, bool store, unsigned mm, size_t disp)
{
	emit1(e, 0x0f);
	emit1(e, store ? 0x7f : 0x6f);
	emit_at(e, mm, RDI, disp);
}

static void emit_gpr(struct emit *e, bool store, unsigned reg, size_t disp)
{
	emit1(e, 0x48);
	emit1(e, store ? 0x89 : 0x8b);
	emit_at(e, reg, RDI, disp);
}

static void emit_mxcsr(struct emit *e, bool store, size_t disp)
{
	emit(e, "\x0f\xae", 2);
	emit_at(e, store ? 3 : 2, RDI, disp);
}

static void emit_save_flags(struct emit *e)
{
	emit(e, "\x9c\x8f", 2);
	emit_at(e, 0, RDI, offsetof(struct vec_frame, flags));
}

static void emit_load_flags(struct emit *e)
{
	emit1(e, 0xff);
	emit_at(e, 6, RDI, offsetof(struct vec_frame, flags));
	emit1(e, 0x9d);
}

static vec_fn *emit_finish(struct vec *vec, struct emit *e)
{
	struct vec_code *code = &vec->code;
	u8 *at;

	emit1(e, 0xc3);
	if (e->n > VEC_CODE_BYTES - code->used)
		return NULL;
	memcpy(code->rw + code->used, e->bytes, e->n);
	at = code->rx + code->used;
	code->used = ALIGN_UP(code->used + e->n, 16u);
	return (vec_fn *)(void *)at;
}

/* ---- Building a stub ---- */

/* What a row's operands ask for. */
struct shape {
	bool v, h, w, l, g, e, p, q, imm, xmm0, vex;
	unsigned rm; /* register number in ModRM.rm, register form */
};

static void shape_operand(struct shape *s, struct vec_stub *st,
			  const struct insn *i, const struct operand *o,
			  bool first)
{
	enum stub_dest dest = DEST_NONE;

	switch (o->kind) {
	case 'V':
		s->v = true;
		dest = DEST_V;
		break;
	case 'H':
		s->h = true;
		dest = DEST_H;
		break;
	case 'W':
	case 'U':
		s->w = !i->is_mem;
		s->rm = 6;
		dest = i->is_mem ? DEST_MEM : DEST_W;
		break;
	case 'L': s->l = true; break;
	case 'G':
		s->g = true;
		dest = DEST_G;
		break;
	case 'E':
	case 'R':
		s->e = !i->is_mem;
		s->rm = RCX;
		dest = i->is_mem ? DEST_MEM : DEST_E;
		break;
	case 'M': dest = DEST_MEM; break;
	case 'P':
		s->p = true;
		dest = DEST_P;
		break;
	case 'Q':
	case 'N':
		s->q = !i->is_mem;
		s->rm = 2;
		dest = i->is_mem ? DEST_MEM : DEST_Q;
		break;
	case 'I': s->imm = true; break;
	case 'f': s->xmm0 = true; break;
	default: break;
	}
	if (first) {
		st->dest = (u8)dest;
		st->dest_size = (u8)insn_size(i, o->size);
	}
}

static struct shape stub_shape(struct vec_stub *st, const struct insn *i)
{
	const struct opdesc *d = insn_desc(i);
	struct operand ops[OPERANDS_MAX];
	int n = opdesc_operands(d, ops);
	struct shape s = { .vex = i->prefix & INSN_VEX };

	for (int k = 0; k < n; k++)
		shape_operand(&s, st, i, &ops[k], k == 0);
	/* Compares and tests have no destination. */
	if (d->flags_written)
		st->dest = DEST_NONE;
	st->mem_size = i->is_mem ? (u8)insn_mem_size(i) : 0;
	st->load = i->is_mem && (d->attrs & OP_RD);
	st->store = i->is_mem && (d->attrs & OP_WR);
	st->align = d->attrs & OP_ALIGN;
	st->mxcsr = d->attrs & OP_MXCSR;
	st->flags = d->flags_written != 0;
	st->use_g = s.g;
	st->use_e = s.e;
	st->use_p = s.p;
	st->use_q = s.q;
	st->use_l = s.l;
	st->use_xmm0 = s.xmm0;
	return s;
}

static unsigned stub_map(const struct opdesc *d)
{
	switch (d->map) {
	case M38:
	case V38: return 2;
	case M3A:
	case V3A: return 3;
	default: return 1;
	}
}

/* The guest's instruction with fixed registers. */
static void emit_insn(struct emit *e, const struct shape *s,
		      const struct insn *i)
{
	static const u8 prefix[] = {
		[X] = 0, [NP] = 0, [P66] = 0x66, [PF3] = 0xf3, [PF2] = 0xf2
	};
	static const u8 pp[] = {
		[X] = 0, [NP] = 0, [P66] = 1, [PF3] = 2, [PF2] = 3
	};
	const struct opdesc *d = insn_desc(i);
	unsigned map = stub_map(d), w = i->prefix & INSN_REXW ? 1 : 0;
	unsigned reg = d->reg < 8 ? d->reg : s->g ? RAX : s->p ? 1 : 4;

	if (s->vex) {
		u8 vvvv = s->h ? 5 : 0;

		emit1(e, 0xc4);
		emit1(e, (u8)(0xe0 | map));
		emit1(e, (u8)(w << 7 | (~vvvv & 15) << 3 |
			      (i->prefix & INSN_VEXL ? 4 : 0) | pp[d->pfx]));
	} else {
		if (prefix[d->pfx])
			emit1(e, prefix[d->pfx]);
		if (w)
			emit1(e, 0x48);
		emit1(e, 0x0f);
		if (map > 1)
			emit1(e, map == 2 ? 0x38 : 0x3a);
	}
	emit1(e, i->opcode);
	emit1(e, (u8)(i->is_mem ? reg << 3 | RDI : 0xc0 | reg << 3 | s->rm));
	if (s->imm)
		emit1(e, (u8)i->imm);
	else if (s->l)
		emit1(e, 7 << 4);
}

static void emit_loads(struct emit *e, const struct shape *s, bool avx)
{
	if (s->v)
		emit_vec(e, avx, false, 4, RSI, 0);
	if (s->h)
		emit_vec(e, avx, false, 5, RDX, 0);
	if (s->w)
		emit_vec(e, avx, false, 6, RCX, 0);
	if (s->l)
		emit_vec(e, avx, false, 7, RDI, offsetof(struct vec_frame, l));
	if (s->xmm0)
		emit_vec(e, avx, false, 0, RDI,
			 offsetof(struct vec_frame, xmm0));
	if (s->p)
		emit_mm(e, false, 1, offsetof(struct vec_frame, mm_reg));
	if (s->q)
		emit_mm(e, false, 2, offsetof(struct vec_frame, mm_rm));
}

static void emit_result(struct emit *e, const struct vec_stub *st, bool avx)
{
	const size_t out = offsetof(struct vec_frame, out);

	switch ((enum stub_dest)st->dest) {
	case DEST_V:
		emit_vec(e, avx, true, 4, st->mxcsr ? RDI : RSI,
			 st->mxcsr ? out : 0);
		break;
	case DEST_H: emit_vec(e, avx, true, 5, RDX, 0); break;
	case DEST_W:
		emit_vec(e, avx, true, 6, st->mxcsr ? RDI : RCX,
			 st->mxcsr ? out : 0);
		break;
	case DEST_G:
		emit_gpr(e, true, RAX, offsetof(struct vec_frame, g));
		break;
	case DEST_E:
		emit_gpr(e, true, RCX, offsetof(struct vec_frame, e));
		break;
	case DEST_P:
		emit_mm(e, true, 1, offsetof(struct vec_frame, mm_reg));
		break;
	case DEST_Q:
		emit_mm(e, true, 2, offsetof(struct vec_frame, mm_rm));
		break;
	case DEST_MEM:
	case DEST_NONE: break;
	}
}

static void stub_build(struct vec *vec, struct vec_stub *st,
		       const struct insn *i, bool pcmpstr)
{
	struct shape s = stub_shape(st, i);
	struct emit e = { .n = 0 };

	emit_loads(&e, &s, vec->avx);
	if (st->mxcsr)
		emit_mxcsr(&e, false, offsetof(struct vec_frame, mxcsr_in));
	if (s.g)
		emit_gpr(&e, false, RAX, offsetof(struct vec_frame, g));
	if (s.e)
		emit_gpr(&e, false, RCX, offsetof(struct vec_frame, e));
	if (pcmpstr) {
		emit_gpr(&e, false, RAX, offsetof(struct vec_frame, rax));
		emit_gpr(&e, false, RDX, offsetof(struct vec_frame, rdx));
	}
	emit_insn(&e, &s, i);
	if (pcmpstr) {
		emit_gpr(&e, true, RCX, offsetof(struct vec_frame, rcx));
		emit_vec(&e, vec->avx, true, 0, RDI,
			 offsetof(struct vec_frame, xmm0));
	}
	if (st->flags)
		emit_save_flags(&e);
	if (st->mxcsr) {
		emit_mxcsr(&e, true, offsetof(struct vec_frame, mxcsr_out));
		emit_mxcsr(&e, false, offsetof(struct vec_frame, mxcsr_host));
	}
	/* ECX held the pointer that a register result in W goes through. */
	emit_result(&e, st, vec->avx);
	if (s.p || s.q)
		emit(&e, "\x0f\x77", 2);
	if (vec->avx)
		emit(&e, "\xc5\xf8\x77", 3);
	st->fn = emit_finish(vec, &e);
}

/* Form -> stub; NULL only when the code area is full, which the number of
 * forms does not allow. */
static struct vec_stub *stub_find(struct tcg_cpu *c, const struct insn *i,
				  bool pcmpstr)
{
	struct vec *vec = c->vec;
	unsigned variant = (i->is_mem ? 1 : 0) |
			   (i->prefix & INSN_REXW ? 2 : 0) |
			   (i->prefix & INSN_VEXL ? 4 : 0);
	size_t slot = (size_t)i->row * STUB_VARIANTS + variant;
	bool imm = strchr(insn_desc(i)->operands, 'I');
	struct vec_stub *st = vec->table[slot];

	if (unlikely(!st)) {
		st = xcalloc(imm ? 256 : 1, sizeof *st);
		vec->table[slot] = st;
	}
	if (imm)
		st += (u8)i->imm;
	if (unlikely(!st->fn))
		stub_build(vec, st, i, pcmpstr);
	return st;
}

/* ---- Checks ---- */

bool x87_pending(const struct cpu_fpu *f)
{
	return f->fsw & ~f->fcw & 0x3f;
}

void vec_check(struct tcg_cpu *c, const struct insn *i)
{
	const struct cpu_state *s = c->s;

	/* The host may lack what the guest is not offered. */
	if (!(c->features & BIT(insn_desc(i)->feature)))
		tcg_raise(c, EXC_UD);
	if (i->prefix & INSN_VEX) {
		if (!(s->cr4 & CR4_OSXSAVE) || (s->xcr0 & 6) != 6)
			tcg_raise(c, EXC_UD);
	} else if ((s->cr0 & CR0_EM) || !(s->cr4 & CR4_OSFXSR)) {
		tcg_raise(c, EXC_UD);
	}
	if (s->cr0 & CR0_TS)
		tcg_raise(c, EXC_NM);
}

void mmx_check(struct tcg_cpu *c, bool x87)
{
	if (c->s->cr0 & CR0_EM)
		tcg_raise(c, EXC_UD);
	if (c->s->cr0 & CR0_TS)
		tcg_raise(c, EXC_NM);
	if (x87 && x87_pending(&c->s->fpu))
		tcg_raise(c, EXC_MF);
}

/* ---- Running ---- */

static void vec_load_mem(struct tcg_cpu *c, struct vec_frame *f, gva_t va,
			 u32 size)
{
	switch (size) {
	case 1: f->mem[0] = tcg_ld8(c, va); break;
	case 2: put_le16(f->mem, tcg_ld16(c, va)); break;
	case 4: put_le32(f->mem, tcg_ld32(c, va)); break;
	case 8: put_le64(f->mem, tcg_ld64(c, va)); break;
	case 16: tcg_ld128(c, va, f->mem); break;
	default: tcg_ld_bytes(c, va, f->mem, size); break;
	}
}

static void vec_store_mem(struct tcg_cpu *c, const struct vec_frame *f,
			  gva_t va, u32 size)
{
	switch (size) {
	case 1: tcg_st8(c, va, f->mem[0]); break;
	case 2: tcg_st16(c, va, get_le16(f->mem)); break;
	case 4: tcg_st32(c, va, get_le32(f->mem)); break;
	case 8: tcg_st64(c, va, get_le64(f->mem)); break;
	case 16: tcg_st128(c, va, f->mem); break;
	default: tcg_st_bytes(c, va, f->mem, size); break;
	}
}

/* Runs the stub as the guest's MXCSR says; the host raises what the guest
 * has unmasked. */
static void vec_run_unmasked(struct tcg_cpu *c, const struct insn *i,
			     const struct vec_stub *st, struct vec_frame *f)
{
	union cpu_vec *vec = c->s->vec;
	u32 *mxcsr = &c->s->fpu.mxcsr;
	u32 trapped;

	if (!vec_trap_call(st->fn, f, &vec[i->reg & 15], &vec[i->vvvv & 15],
			   &vec[i->rm & 15], &trapped)) {
		*mxcsr |= trapped & MXCSR_FLAGS;
		tcg_raise(c, c->s->cr4 & CR4_OSXMMEXCPT ? EXC_XM : EXC_UD);
	}
	*mxcsr |= f->mxcsr_out & MXCSR_FLAGS;
}

static void vec_set_gpr(struct tcg_cpu *c, unsigned reg, u64 value, u32 size)
{
	c->gpr[reg] = size == 8 ? value : (u32)value;
}

static void vec_commit(struct tcg_cpu *c, const struct insn *i,
		       const struct vec_stub *st, const struct vec_frame *f)
{
	struct vec *vec = c->vec;
	u32 size = vec->avx ? 32 : 16;

	if (st->mxcsr && st->dest == DEST_V)
		memcpy(c->s->vec[i->reg].b, f->out, size);
	else if (st->mxcsr && st->dest == DEST_W)
		memcpy(c->s->vec[i->rm].b, f->out, size);
	else if (st->dest == DEST_G)
		vec_set_gpr(c, i->reg, f->g, st->dest_size);
	else if (st->dest == DEST_E)
		vec_set_gpr(c, i->rm, f->e, st->dest_size);
	if (st->flags)
		tcg_set_rflags(c, f->flags, insn_desc(i)->flags_written);
}

/* Address of the memory operand, its bytes in the frame if it is read. */
static gva_t vec_begin(struct tcg_cpu *c, const struct insn *i,
		       const struct vec_stub *st, struct vec_frame *f)
{
	gva_t va;

	if (!st->mem_size)
		return 0;
	va = insn_linear(c, i, st->mem_size, st->store);
	if (st->align && (va & (st->mem_size - 1u)))
		tcg_raise_code(c, EXC_GP, 0);
	if (st->load)
		vec_load_mem(c, f, va, st->mem_size);
	return va;
}

static void vec_run(struct tcg_cpu *c, const struct insn *i,
		    const struct vec_stub *st, struct vec_frame *f, gva_t va)
{
	union cpu_vec *vec = c->s->vec;

	if (st->use_g)
		f->g = c->gpr[i->reg];
	if (st->use_e)
		f->e = c->gpr[i->rm];
	if (st->use_l)
		memcpy(f->l, vec[i->imm2 >> 4].b, 32);
	if (st->use_xmm0)
		memcpy(f->xmm0, vec[0].b, 32);
	f->mxcsr_host = MXCSR_HOST;
	f->mxcsr_in = c->s->fpu.mxcsr & ~MXCSR_FLAGS;
	if (st->mxcsr && ~c->s->fpu.mxcsr & MXCSR_MASKS) {
		vec_run_unmasked(c, i, st, f);
	} else {
		st->fn(f, &vec[i->reg & 15], &vec[i->vvvv & 15],
		       &vec[i->rm & 15]);
		if (st->mxcsr)
			c->s->fpu.mxcsr |= f->mxcsr_out & MXCSR_FLAGS;
	}
	if (st->store)
		vec_store_mem(c, f, va, st->mem_size);
}

void op_vec(struct tcg_cpu *c, const struct insn *i)
{
	struct vec_stub *st = stub_find(c, i, false);
	struct vec_frame f;

	vec_check(c, i);
	vec_run(c, i, st, &f, vec_begin(c, i, st, &f));
	vec_commit(c, i, st, &f);
}

/* PCMPxSTRx: lengths in RAX and RDX, results in ECX or XMM0. */
void op_pcmpstr(struct tcg_cpu *c, const struct insn *i)
{
	struct vec_stub *st = stub_find(c, i, true);
	struct vec_frame f;

	vec_check(c, i);
	f.rax = c->gpr[REG_RAX];
	f.rdx = c->gpr[REG_RDX];
	memcpy(f.xmm0, c->s->vec[0].b, 32);
	vec_run(c, i, st, &f, vec_begin(c, i, st, &f));
	vec_commit(c, i, st, &f);
	if (i->opcode & 1)
		c->gpr[REG_RCX] = (u32)f.rcx;
	else
		memcpy(c->s->vec[0].b, f.xmm0, i->prefix & INSN_VEX ? 32 : 16);
}

/* MMX, alone or together with XMM registers. */
void op_mmx(struct tcg_cpu *c, const struct insn *i)
{
	struct vec_stub *st = stub_find(c, i, false);
	struct cpu_fpu *fpu = &c->s->fpu;
	struct vec_frame f;
	gva_t va;

	mmx_check(c, st->use_p || st->use_q);
	if (st->use_p)
		memcpy(&f.mm_reg, x87_phys(fpu, i->reg & 7), 8);
	if (st->use_q)
		memcpy(&f.mm_rm, x87_phys(fpu, i->rm & 7), 8);
	/* As on the host: a load that faults leaves x87 state alone, a store
	 * has set TOP by then, a SIMD exception the tags too; CVTPI2Px from
	 * memory does not switch to MMX at all. */
	va = vec_begin(c, i, st, &f);
	if (st->use_p || st->use_q) {
		x87_zero_top(fpu);
		if (!st->store)
			fpu->ftw = 0xff;
	}
	vec_run(c, i, st, &f, va);
	vec_commit(c, i, st, &f);
	if (st->use_p || st->use_q)
		x87_to_mmx(fpu);
	if (st->dest == DEST_P || st->dest == DEST_Q) {
		u8 *reg = x87_phys(fpu,
				   (st->dest == DEST_P ? i->reg : i->rm) & 7);

		memcpy(reg, st->dest == DEST_P ? &f.mm_reg : &f.mm_rm, 8);
		put_le16(reg + 8, 0xffff);
	}
}

/* ---- x87 stubs ---- */

vec_fn *x87_stub(struct tcg_cpu *c, const struct insn *i)
{
	struct vec *vec = c->vec;
	unsigned modrm = i->is_mem ? (unsigned)(i->reg & 7) << 3 | RDI
				   : 0xc0u | (i->reg & 7u) << 3 | (i->rm & 7u);
	unsigned slot = (i->opcode & 7u) * 264 +
			(i->is_mem ? 256 + (i->reg & 7u) : modrm);
	const struct opdesc *d = insn_desc(i);
	struct emit e = { .n = 0 };

	if (likely(vec->x87[slot]))
		return vec->x87[slot];
	emit(&e, "\x48\x0f\xae", 3); /* fxrstor64 */
	emit_at(&e, 1, RDI, offsetof(struct vec_frame, fx));
	if (d->flags_read)
		emit_load_flags(&e);
	emit1(&e, i->opcode);
	emit1(&e, (u8)modrm);
	if (d->flags_written)
		emit_save_flags(&e);
	emit(&e, "\x48\x0f\xae", 3); /* fxsave64 */
	emit_at(&e, 0, RDI, offsetof(struct vec_frame, fx));
	emit(&e, "\xdb\xe3", 2); /* fninit: drops a pending exception */
	vec->x87[slot] = emit_finish(vec, &e);
	return vec->x87[slot];
}
