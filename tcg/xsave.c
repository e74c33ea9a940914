/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * FXSAVE, XSAVE, XSAVEOPT, XSAVEC and their inverses: x87, SSE, AVX.
 *
 * With only these three components the compacted format has AVX at the same
 * offset as the standard one.
 *
 * Spec: SDM 1 "Managing state using the XSAVE feature set".
 */
#include <string.h>

#include "lib/bytes.h"
#include "tcg/softmmu.h"
#include "tcg/vec.h"

#define XS_X87   1u
#define XS_SSE   2u
#define XS_AVX   4u
#define XS_KNOWN (XS_X87 | XS_SSE | XS_AVX)

#define XSAVE_HEADER  512
#define XSAVE_AVX     576
#define XSAVE_SIZE    832
#define XCOMP_COMPACT BIT(63)

#define FX_XMM      160
#define MXCSR_MASK  0xffffu
#define MXCSR_RESET 0x1f80u

static unsigned fx_xmm_count(const struct tcg_cpu *c)
{
	return c->code64 ? 16 : 8;
}

/* ---- x87 and SSE parts of the legacy area ---- */

static void fx_put_x87(struct tcg_cpu *c, const struct insn *i, u8 *p)
{
	const struct cpu_fpu *f = &c->s->fpu;
	/* AMD shows the pointers only while an exception is pending. */
	bool pointers = !(c->mode_key & MODE_AMD) || x87_pending(f);

	put_le16(p, f->fcw);
	put_le16(p + 2, f->fsw);
	p[4] = f->ftw;
	p[5] = 0;
	put_le16(p + 6, pointers ? f->fop : 0);
	memset(p + 8, 0, 16);
	if (pointers && (i->prefix & INSN_REXW)) {
		put_le64(p + 8, f->fip);
		put_le64(p + 16, f->fdp);
	} else if (pointers) {
		put_le32(p + 8, (u32)f->fip);
		put_le16(p + 12, f->fcs);
		put_le32(p + 16, (u32)f->fdp);
		put_le16(p + 20, f->fds);
	}
	memcpy(p + 32, f->st, sizeof f->st);
}

static void fx_get_x87(struct tcg_cpu *c, const struct insn *i, const u8 *p)
{
	struct cpu_fpu *f = &c->s->fpu;

	f->fcw = (get_le16(p) & 0x1f7f) | 0x40;
	f->fsw = get_le16(p + 2);
	f->ftw = p[4];
	f->fop = get_le16(p + 6) & 0x7ff;
	if (i->prefix & INSN_REXW) {
		f->fip = get_le64(p + 8);
		f->fdp = get_le64(p + 16);
	} else {
		f->fip = get_le32(p + 8);
		f->fcs = get_le16(p + 12);
		f->fdp = get_le32(p + 16);
		f->fds = get_le16(p + 20);
	}
	memcpy(f->st, p + 32, sizeof f->st);
	for (unsigned n = 0; n < 8; n++)
		memset(f->st[n] + 10, 0, 6);
	f->fsw &= 0x7f7f;
	if (x87_pending(f))
		f->fsw |= 0x8080;
}

static void fx_init_x87(struct cpu_fpu *f)
{
	x87_reset(f);
	memset(f->st, 0, sizeof f->st);
}

static void fx_put_xmm(struct tcg_cpu *c, u8 *p)
{
	for (unsigned n = 0; n < fx_xmm_count(c); n++)
		memcpy(p + FX_XMM + 16 * n, c->s->vec[n].b, 16);
}

static void fx_get_xmm(struct tcg_cpu *c, const u8 *p)
{
	for (unsigned n = 0; n < fx_xmm_count(c); n++)
		memcpy(c->s->vec[n].b, p + FX_XMM + 16 * n, 16);
}

static void fx_put_mxcsr(struct tcg_cpu *c, u8 *p)
{
	put_le32(p + 24, c->s->fpu.mxcsr);
	put_le32(p + 28, MXCSR_MASK);
}

/* ---- FXSAVE, FXRSTOR ---- */

static gva_t fx_address(struct tcg_cpu *c, const struct insn *i, u32 size,
			u32 align, bool write)
{
	gva_t va = insn_linear(c, i, size, write);

	if (va & (align - 1))
		tcg_raise_code(c, EXC_GP, 0);
	return va;
}

static void fx_check(struct tcg_cpu *c)
{
	if (c->s->cr0 & (CR0_EM | CR0_TS))
		tcg_raise(c, EXC_NM);
}

void op_fxsave(struct tcg_cpu *c, const struct insn *i)
{
	bool sse = c->s->cr4 & CR4_OSFXSR;
	u8 image[512];
	gva_t va;

	fx_check(c);
	va = fx_address(c, i, 512, 16, true);
	/* Bytes behind the last register keep their contents. */
	tcg_ld_bytes(c, va, image, sizeof image);
	fx_put_x87(c, i, image);
	fx_put_mxcsr(c, image);
	if (sse)
		fx_put_xmm(c, image);
	tcg_st_bytes(c, va, image, 464);
}

void op_fxrstor(struct tcg_cpu *c, const struct insn *i)
{
	u8 image[512];
	gva_t va;

	fx_check(c);
	va = fx_address(c, i, 512, 16, false);
	tcg_ld_bytes(c, va, image, sizeof image);
	if (get_le32(image + 24) & ~MXCSR_MASK)
		tcg_raise_code(c, EXC_GP, 0);
	fx_get_x87(c, i, image);
	c->s->fpu.mxcsr = get_le32(image + 24);
	if (c->s->cr4 & CR4_OSFXSR)
		fx_get_xmm(c, image);
}

/* ---- XSAVE family ---- */

static u32 xs_check(struct tcg_cpu *c)
{
	u64 mask = (u32)c->gpr[REG_RAX] | c->gpr[REG_RDX] << 32;

	if (!(c->s->cr4 & CR4_OSXSAVE))
		tcg_raise(c, EXC_UD);
	if (c->s->cr0 & CR0_TS)
		tcg_raise(c, EXC_NM);
	return (u32)(mask & c->s->xcr0 & XS_KNOWN);
}

static bool xs_vec_zero(struct tcg_cpu *c, unsigned from)
{
	u64 any = 0;

	for (unsigned n = 0; n < fx_xmm_count(c); n++)
		any |= c->s->vec[n].q[from] | c->s->vec[n].q[from + 1];
	return !any;
}

static bool xs_x87_init(const struct cpu_fpu *f)
{
	static const u8 zero[sizeof f->st];

	return f->fcw == 0x37f && !f->fsw && !f->ftw && !f->fop && !f->fip &&
	       !f->fdp && !memcmp(f->st, zero, sizeof zero);
}

/* XINUSE: which components differ from their initial configuration. */
static u32 xs_in_use(struct tcg_cpu *c)
{
	u32 used = 0;

	if (!xs_x87_init(&c->s->fpu))
		used |= XS_X87;
	if (!xs_vec_zero(c, 0))
		used |= XS_SSE;
	if (!xs_vec_zero(c, 2))
		used |= XS_AVX;
	return used;
}

/* Writes the parts of `mask` into the guest's area. */
static void xs_store(struct tcg_cpu *c, const struct insn *i, gva_t va,
		     u32 mask, bool mxcsr)
{
	u8 p[XSAVE_SIZE];

	if (mask & XS_X87) {
		fx_put_x87(c, i, p);
		tcg_st_bytes(c, va, p, 24);
		tcg_st_bytes(c, va + 32, p + 32, 128);
	}
	if (mxcsr) {
		fx_put_mxcsr(c, p);
		tcg_st_bytes(c, va + 24, p + 24, 8);
	}
	if (mask & XS_SSE) {
		fx_put_xmm(c, p);
		tcg_st_bytes(c, va + FX_XMM, p + FX_XMM, 16 * fx_xmm_count(c));
	}
	if (mask & XS_AVX) {
		for (unsigned n = 0; n < fx_xmm_count(c); n++)
			memcpy(p + XSAVE_AVX + 16 * n, c->s->vec[n].b + 16, 16);
		tcg_st_bytes(c, va + XSAVE_AVX, p + XSAVE_AVX,
			     16 * fx_xmm_count(c));
	}
}

/* XSAVE and XSAVEOPT. */
void op_xsave(struct tcg_cpu *c, const struct insn *i)
{
	u32 mask = xs_check(c), used = xs_in_use(c), write = mask;
	gva_t va = fx_address(c, i, XSAVE_SIZE, 64, true);
	u64 bv;

	tcg_probe_write(c, va, 576, c->mmu);
	if ((i->reg & 7) == 6)
		write &= used;
	bv = tcg_ld64(c, va + XSAVE_HEADER);
	xs_store(c, i, va, write, mask & (XS_SSE | XS_AVX));
	tcg_st64(c, va + XSAVE_HEADER, (bv & ~(u64)mask) | (mask & used));
}

void op_xsavec(struct tcg_cpu *c, const struct insn *i)
{
	u32 mask = xs_check(c), used = xs_in_use(c) & mask;
	gva_t va = fx_address(c, i, XSAVE_SIZE, 64, true);
	u8 header[64] = { 0 };

	tcg_probe_write(c, va, 576, c->mmu);
	if ((mask & XS_SSE) && c->s->fpu.mxcsr != MXCSR_RESET)
		used |= XS_SSE;
	xs_store(c, i, va, used, used & XS_SSE);
	put_le64(header, used);
	put_le64(header + 8, mask | XCOMP_COMPACT);
	tcg_st_bytes(c, va + XSAVE_HEADER, header, 16);
}

static void xs_check_header(struct tcg_cpu *c, const u8 *h, bool compact)
{
	static const u8 zero[48];
	u64 bv = get_le64(h), comp = get_le64(h + 8);
	bool bad;

	if (compact)
		bad = (bv & ~comp) || (comp & ~(c->s->xcr0 | XCOMP_COMPACT)) ||
		      memcmp(h + 16, zero, 48) != 0;
	else
		bad = (bv & ~c->s->xcr0) || comp || get_le64(h + 16);
	if (bad)
		tcg_raise_code(c, EXC_GP, 0);
}

void op_xrstor(struct tcg_cpu *c, const struct insn *i)
{
	u32 mask = xs_check(c), load;
	gva_t va = fx_address(c, i, XSAVE_SIZE, 64, false);
	u8 p[XSAVE_SIZE];
	bool compact, mxcsr;

	tcg_ld_bytes(c, va, p, XSAVE_AVX);
	compact = get_le64(p + XSAVE_HEADER + 8) & XCOMP_COMPACT;
	xs_check_header(c, p + XSAVE_HEADER, compact);
	load = mask & (u32)get_le64(p + XSAVE_HEADER);
	if (load & XS_AVX)
		tcg_ld_bytes(c, va + XSAVE_AVX, p + XSAVE_AVX, 256);
	mxcsr = compact ? (load & XS_SSE) != 0
			: (mask & (XS_SSE | XS_AVX)) != 0;
	if (mxcsr && (get_le32(p + 24) & ~MXCSR_MASK))
		tcg_raise_code(c, EXC_GP, 0);
	if (load & XS_X87)
		fx_get_x87(c, i, p);
	else if (mask & XS_X87)
		fx_init_x87(&c->s->fpu);
	if (mxcsr)
		c->s->fpu.mxcsr = get_le32(p + 24);
	else if (mask & XS_SSE)
		c->s->fpu.mxcsr = MXCSR_RESET;
	if (mask & XS_SSE) {
		if (!(load & XS_SSE))
			memset(p + FX_XMM, 0, 256);
		fx_get_xmm(c, p);
	}
	for (unsigned n = 0; (mask & XS_AVX) && n < fx_xmm_count(c); n++) {
		if (load & XS_AVX)
			memcpy(c->s->vec[n].b + 16, p + XSAVE_AVX + 16 * n, 16);
		else
			memset(c->s->vec[n].b + 16, 0, 16);
	}
}
