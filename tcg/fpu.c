/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * x87: arithmetic on the host's own x87 unit, control in C.
 *
 * The architectural state lives in cpu_state.fpu in FXSAVE order; each
 * arithmetic instruction goes through one FXRSTOR, the instruction, one
 * FXSAVE (tcg/vec.c).  Exceptions: a waiting instruction raises #MF for what
 * is pending, before it runs.
 *
 * Spec: SDM 1 "Programming with the x87 FPU".
 */
#include <string.h>

#include "lib/bytes.h"
#include "lib/lock.h"
#include "tcg/softmmu.h"
#include "tcg/vec.h"
#include "vmm/machine.h"

#define FSW_ES         0x0080u
#define FSW_B          0x8000u
#define FSW_TOP        0x3800u
#define FCW_INIT       0x037fu
#define FERR_GSI       13
#define X87_EXCEPTIONS 0x3f
/* What FCMOVcc reads. */
#define X87_FLAGS (RFLAGS_CF | RFLAGS_ZF | RFLAGS_PF)

static unsigned x87_top(const struct cpu_fpu *f)
{
	return f->fsw >> 11 & 7;
}

u8 *x87_phys(struct cpu_fpu *f, unsigned n)
{
	return f->st[(n - x87_top(f)) & 7];
}

void x87_zero_top(struct cpu_fpu *f)
{
	u8 phys[8][16];

	if (!x87_top(f))
		return;
	for (unsigned n = 0; n < 8; n++)
		memcpy(phys[n], x87_phys(f, n), 16);
	memcpy(f->st, phys, sizeof f->st);
	f->fsw &= (u16)~FSW_TOP;
}

void x87_to_mmx(struct cpu_fpu *f)
{
	x87_zero_top(f);
	f->ftw = 0xff;
}

void x87_reset(struct cpu_fpu *f)
{
	u8 phys[8][16];

	/* Registers keep their contents; TOP moves, so their order does. */
	for (unsigned n = 0; n < 8; n++)
		memcpy(phys[n], x87_phys(f, n), 16);
	memcpy(f->st, phys, sizeof f->st);
	f->fcw = FCW_INIT;
	f->fsw = 0;
	f->ftw = 0;
	f->fop = 0;
	f->fip = f->fdp = 0;
	f->fcs = f->fds = 0;
}

static void x87_update_es(struct cpu_fpu *f)
{
	if (x87_pending(f))
		f->fsw |= FSW_ES | FSW_B;
	else
		f->fsw &= (u16) ~(FSW_ES | FSW_B);
}

u16 x87_full_tags(const struct cpu_fpu *f)
{
	u16 tags = 0;

	for (unsigned n = 0; n < 8; n++) {
		const u8 *r = f->st[(n - x87_top(f)) & 7];
		u64 frac = get_le64(r);
		u16 exp = get_le16(r + 8) & 0x7fff;
		u16 tag;

		if (!(f->ftw & 1u << n))
			tag = 3;
		else if (!exp && !frac)
			tag = 1;
		else if (!exp || exp == 0x7fff || !(frac >> 63))
			tag = 2;
		else
			tag = 0;
		tags |= (u16)(tag << 2 * n);
	}
	return tags;
}

static u8 x87_abridged_tags(u16 full)
{
	u8 ftw = 0;

	for (unsigned n = 0; n < 8; n++)
		if ((full >> 2 * n & 3) != 3)
			ftw |= (u8)(1u << n);
	return ftw;
}

/* ---- Checks ---- */

static void x87_check_available(struct tcg_cpu *c)
{
	if (c->s->cr0 & (CR0_EM | CR0_TS))
		tcg_raise(c, EXC_NM);
}

/* With CR0.NE clear the PC reports through IRQ 13 instead. */
static void x87_report(struct tcg_cpu *c)
{
	if (c->s->cr0 & CR0_NE)
		tcg_raise(c, EXC_MF);
	lock_acquire(&machine_lock);
	irq_pulse(&c->m->gsi[FERR_GSI]);
	lock_release(&machine_lock);
}

void x87_check(struct tcg_cpu *c)
{
	x87_check_available(c);
	if (x87_pending(&c->s->fpu))
		x87_report(c);
}

/* ---- Arithmetic ---- */

/* Exceptions that are pending here were reported without #MF, and the host
 * must not find them: they are left out and returned (SDM 1 "MS-DOS
 * Compatibility Sub-mode": as with IGNNE# asserted). */
static u16 x87_to_image(const struct cpu_fpu *f, u8 *fx)
{
	u16 ignored = x87_pending(f) ? f->fsw & X87_EXCEPTIONS & ~f->fcw : 0;
	u16 fsw = ignored ? f->fsw & ~(ignored | FSW_ES | FSW_B) : f->fsw;

	memset(fx, 0, 160);
	put_le16(fx, f->fcw);
	put_le16(fx + 2, fsw);
	fx[4] = f->ftw;
	put_le32(fx + 24, 0x1f80);
	memcpy(fx + 32, f->st, sizeof f->st);
	/* FXRSTOR loads XMM registers too; anything will do. */
	return ignored;
}

static void x87_from_image(struct cpu_fpu *f, const u8 *fx)
{
	f->fsw = get_le16(fx + 2);
	f->ftw = fx[4];
	memcpy(f->st, fx + 32, sizeof f->st);
	for (unsigned n = 0; n < 8; n++)
		memset(f->st[n] + 10, 0, 6);
}

static void x87_note_insn(struct tcg_cpu *c, const struct insn *i, gva_t ea)
{
	struct cpu_fpu *f = &c->s->fpu;
	unsigned modrm = i->is_mem ? (i->reg & 7u) << 3
				   : 0xc0u | (i->reg & 7u) << 3 | (i->rm & 7u);

	f->fip = tcg_this_rip(c, i);
	f->fcs = c->s->seg[SEG_CS].sel;
	f->fop = (u16)((i->opcode & 7u) << 8 | modrm);
	if (i->is_mem) {
		f->fdp = ea;
		f->fds = c->s->seg[i->seg].sel;
	}
}

/* Ten bytes go as eight and two, as on the host when they cross a page. */
static void x87_store(struct tcg_cpu *c, gva_t va, const u8 *p, u32 size)
{
	u32 head = MIN(size, 8u);

	tcg_st_bytes(c, va, p, head);
	if (size > head)
		tcg_st_bytes(c, va + head, p + head, size - head);
}

void op_x87(struct tcg_cpu *c, const struct insn *i)
{
	const struct opdesc *d = insn_desc(i);
	struct cpu_fpu *fpu = &c->s->fpu;
	u32 size = i->is_mem ? insn_mem_size(i) : 0;
	struct vec_frame f;
	gva_t va = 0;
	u16 ignored;

	x87_check(c);
	if (i->is_mem) {
		va = insn_linear(c, i, size, d->attrs & OP_WR);
		if (d->attrs & OP_RD)
			tcg_ld_bytes(c, va, f.mem, size);
	}
	ignored = x87_to_image(fpu, f.fx);
	f.flags = tcg_rflags(c) & X87_FLAGS;
	x87_stub(c, i)(&f, NULL, NULL, NULL);
	if (i->is_mem && (d->attrs & OP_WR)) {
		/* An unmasked exception but precision keeps the store from
		 * happening. */
		u32 fresh = get_le16(f.fx + 2) & ~fpu->fcw & 0x1f;

		if (!fresh)
			x87_store(c, va, f.mem, size);
	}
	x87_from_image(fpu, f.fx);
	if (unlikely(ignored)) {
		fpu->fsw |= ignored;
		x87_update_es(fpu);
	}
	if (d->flags_written)
		tcg_set_rflags(c, f.flags, d->flags_written);
	x87_note_insn(c, i, i->is_mem ? insn_ea(c, i) : 0);
}

/* ---- Control ---- */

void op_fnop(struct tcg_cpu *c, const struct insn *i)
{
	x87_check_available(c);
}

void op_fwait(struct tcg_cpu *c, const struct insn *i)
{
	if ((c->s->cr0 & (CR0_MP | CR0_TS)) == (CR0_MP | CR0_TS))
		tcg_raise(c, EXC_NM);
	if (x87_pending(&c->s->fpu))
		x87_report(c);
}

void op_fnclex(struct tcg_cpu *c, const struct insn *i)
{
	x87_check_available(c);
	c->s->fpu.fsw &= 0x7f00;
}

void op_fninit(struct tcg_cpu *c, const struct insn *i)
{
	x87_check_available(c);
	x87_reset(&c->s->fpu);
}

void op_emms(struct tcg_cpu *c, const struct insn *i)
{
	mmx_check(c, true);
	x87_to_mmx(&c->s->fpu);
	c->s->fpu.ftw = 0;
}

void op_fldcw(struct tcg_cpu *c, const struct insn *i)
{
	x87_check(c);
	c->s->fpu.fcw =
		(tcg_ld16(c, insn_linear(c, i, 2, false)) & 0x1f7f) | 0x40;
	x87_update_es(&c->s->fpu);
}

void op_fnstcw(struct tcg_cpu *c, const struct insn *i)
{
	x87_check_available(c);
	tcg_st16(c, insn_linear(c, i, 2, true), c->s->fpu.fcw);
}

void op_fnstsw(struct tcg_cpu *c, const struct insn *i)
{
	x87_check_available(c);
	if (i->is_mem)
		tcg_st16(c, insn_linear(c, i, 2, true), c->s->fpu.fsw);
	else
		c->gpr[REG_RAX] =
			(c->gpr[REG_RAX] & ~0xffffULL) | c->s->fpu.fsw;
}

/* ---- Environment ---- */

static bool x87_env_real(const struct tcg_cpu *c)
{
	return !c->protected_mode || c->v86;
}

static u32 x87_env_size(const struct insn *i)
{
	return i->opsize == 2 ? 14 : 28;
}

/* FSTENV image: 16- or 32-bit, protected or real format. */
static void x87_put_env(struct tcg_cpu *c, const struct insn *i, u8 *p)
{
	const struct cpu_fpu *f = &c->s->fpu;
	u16 tags = x87_full_tags(f);
	u32 ip = (u32)f->fip, dp = (u32)f->fdp;

	if (x87_env_real(c)) {
		ip += (u32)f->fcs << 4;
		dp += (u32)f->fds << 4;
	}
	if (i->opsize == 2) {
		put_le16(p, f->fcw);
		put_le16(p + 2, f->fsw);
		put_le16(p + 4, tags);
		put_le16(p + 6, (u16)ip);
		put_le16(p + 8, x87_env_real(c) ? (u16)((ip >> 4 & 0xf000) |
							(f->fop & 0x7ff))
						: f->fcs);
		put_le16(p + 10, (u16)dp);
		put_le16(p + 12,
			 x87_env_real(c) ? (u16)(dp >> 4 & 0xf000) : f->fds);
		return;
	}
	put_le32(p, 0xffff0000u | f->fcw);
	put_le32(p + 4, 0xffff0000u | f->fsw);
	put_le32(p + 8, 0xffff0000u | tags);
	if (x87_env_real(c)) {
		put_le32(p + 12, 0xffff0000u | (ip & 0xffff));
		put_le32(p + 16, (ip >> 4 & 0x0ffff000) | (f->fop & 0x7ff));
		put_le32(p + 20, 0xffff0000u | (dp & 0xffff));
		put_le32(p + 24, dp >> 4 & 0x0ffff000);
		return;
	}
	put_le32(p + 12, ip);
	put_le32(p + 16, (u32)(f->fop & 0x7ff) << 16 | f->fcs);
	put_le32(p + 20, dp);
	put_le32(p + 24, 0xffff0000u | f->fds);
}

/* Registers are given by physical number here and kept by ST number. */
static void x87_get_env(struct tcg_cpu *c, const struct insn *i, const u8 *p)
{
	struct cpu_fpu *f = &c->s->fpu;
	u32 step = i->opsize == 2 ? 2 : 4;
	u8 phys[8][16];

	for (unsigned n = 0; n < 8; n++)
		memcpy(phys[n], x87_phys(f, n), 16);
	f->fcw = (get_le16(p) & 0x1f7f) | 0x40;
	f->fsw = get_le16(p + step);
	f->ftw = x87_abridged_tags(get_le16(p + 2 * step));
	for (unsigned n = 0; n < 8; n++)
		memcpy(x87_phys(f, n), phys[n], 16);
	p += 3 * step;
	if (step == 2) {
		f->fip = get_le16(p);
		f->fdp = get_le16(p + 4);
		if (x87_env_real(c)) {
			f->fip |= (u64)(get_le16(p + 2) & 0xf000) << 4;
			f->fop = get_le16(p + 2) & 0x7ff;
			f->fdp |= (u64)(get_le16(p + 6) & 0xf000) << 4;
			f->fcs = f->fds = 0;
		} else {
			f->fcs = get_le16(p + 2);
			f->fds = get_le16(p + 6);
		}
	} else if (x87_env_real(c)) {
		f->fip = (get_le32(p) & 0xffff) |
			 (u64)(get_le32(p + 4) & 0x0ffff000) << 4;
		f->fop = get_le32(p + 4) & 0x7ff;
		f->fdp = (get_le32(p + 8) & 0xffff) |
			 (u64)(get_le32(p + 12) & 0x0ffff000) << 4;
		f->fcs = f->fds = 0;
	} else {
		f->fip = get_le32(p);
		f->fcs = get_le16(p + 4);
		f->fop = get_le16(p + 6) & 0x7ff;
		f->fdp = get_le32(p + 8);
		f->fds = get_le16(p + 12);
	}
	x87_update_es(f);
}

void op_fnstenv(struct tcg_cpu *c, const struct insn *i)
{
	u8 env[28];

	x87_check_available(c);
	x87_put_env(c, i, env);
	tcg_st_bytes(c, insn_linear(c, i, x87_env_size(i), true), env,
		     x87_env_size(i));
	c->s->fpu.fcw |= 0x3f;
	x87_update_es(&c->s->fpu);
}

void op_fldenv(struct tcg_cpu *c, const struct insn *i)
{
	u8 env[28];

	x87_check(c);
	tcg_ld_bytes(c, insn_linear(c, i, x87_env_size(i), false), env,
		     x87_env_size(i));
	x87_get_env(c, i, env);
}

void op_fnsave(struct tcg_cpu *c, const struct insn *i)
{
	struct cpu_fpu *f = &c->s->fpu;
	u32 env = x87_env_size(i);
	u8 image[108];

	x87_check_available(c);
	x87_put_env(c, i, image);
	for (unsigned n = 0; n < 8; n++)
		memcpy(image + env + 10 * n, f->st[n], 10);
	tcg_st_bytes(c, insn_linear(c, i, env + 80, true), image, env + 80);
	x87_reset(f);
}

void op_frstor(struct tcg_cpu *c, const struct insn *i)
{
	struct cpu_fpu *f = &c->s->fpu;
	u32 env = x87_env_size(i);
	u8 image[108];

	x87_check(c);
	tcg_ld_bytes(c, insn_linear(c, i, env + 80, false), image, env + 80);
	x87_get_env(c, i, image);
	for (unsigned n = 0; n < 8; n++) {
		memcpy(f->st[n], image + env + 10 * n, 10);
		memset(f->st[n] + 10, 0, 6);
	}
}
