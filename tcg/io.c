/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * IN, OUT, INS, OUTS.
 *
 * Spec: SDM 1 "Input/Output".
 */
#include "tcg/seg.h"
#include "tcg/system.h"
#include "vmm/machine.h"

/* A REP loop looks at v->request after this many elements. */
#define IO_BURST 1024

static void io_check(struct tcg_cpu *c, u16 port, int size)
{
	bool v86 = c->eflags & RFLAGS_VM;
	int iopl = c->eflags >> 12 & 3;

	if (!(c->s->cr0 & CR0_PE) || (!v86 && c->cpl <= iopl))
		return;
	if (!tss_io_allowed(c, port, size))
		tcg_raise_code(c, EXC_GP, 0);
}

/* I/O breakpoints: type 2 with CR4.DE, reported after the instruction. */
static void io_watch(struct tcg_cpu *c, u16 port, int size)
{
	u64 dr7 = c->s->dr[7];

	if (likely(!(dr7 & 0xff)) || !(c->s->cr4 & CR4_DE))
		return;
	for (int n = 0; n < 4; n++) {
		u32 len = (dr7 >> (18 + 4 * n) & 3) + 1;
		u64 at = c->s->dr[n] & ~(u64)(len - 1);

		if ((dr7 >> (2 * n) & 3) && (dr7 >> (16 + 4 * n) & 3) == 2 &&
		    port < at + len && at < (u64)port + size)
			tcg_debug_trap(c, 1u << n);
	}
}

static int io_size(const struct insn *i)
{
	return MIN(i->opsize, 4);
}

static u16 io_port(struct tcg_cpu *c, const struct insn *i)
{
	return i->opcode & 8 ? c->gpr[REG_RDX] & 0xffff : i->imm & 0xff;
}

void sys_in(struct tcg_cpu *c, const struct insn *i)
{
	u16 port = io_port(c, i);
	int size = io_size(i);

	io_check(c, port, size);
	sys_set_reg(c, REG_RAX, vcpu_pio_read(c->v, port, size), size);
	io_watch(c, port, size);
}

void sys_out(struct tcg_cpu *c, const struct insn *i)
{
	u16 port = io_port(c, i);
	int size = io_size(i);
	u64 value = c->gpr[REG_RAX];

	io_check(c, port, size);
	if (size < 4)
		value &= BIT(size * 8) - 1;
	vcpu_pio_write(c->v, port, size, (u32)value);
	io_watch(c, port, size);
}

/* ---- Strings ---- */

static u64 io_addr_mask(const struct insn *i)
{
	return i->addrsize == 8 ? UINT64_MAX : BIT(i->addrsize * 8) - 1;
}

static gva_t io_linear(struct tcg_cpu *c, int seg, u64 off, int size,
		       bool write)
{
	const struct cpu_segment *s = &c->s->seg[seg];
	bool down = (s->attr & (SEG_ATTR_CODE | SEG_ATTR_CE)) == SEG_ATTR_CE;
	u64 last = off + size - 1;
	bool ok;

	if (c->code64)
		return c->seg_base[seg] + off;
	ok = s->attr & SEG_ATTR_P;
	if (down)
		ok = ok && off > s->limit &&
		     last <= (s->attr & SEG_ATTR_DB ? 0xffffffff : 0xffff);
	else
		ok = ok && last <= s->limit;
	if (c->protected_mode && write)
		ok = ok && !(s->attr & SEG_ATTR_CODE) &&
		     (s->attr & SEG_ATTR_RW);
	if (c->protected_mode && !write)
		ok = ok &&
		     (s->attr & (SEG_ATTR_CODE | SEG_ATTR_RW)) != SEG_ATTR_CODE;
	if (!ok)
		tcg_raise_code(c, seg == SEG_SS ? EXC_SS : EXC_GP, 0);
	return (u32)(s->base + off);
}

static void io_advance(struct tcg_cpu *c, const struct insn *i, u8 reg)
{
	int step = c->eflags & RFLAGS_DF ? -io_size(i) : io_size(i);

	sys_set_reg(c, reg, c->gpr[reg] + (s64)step, i->addrsize);
}

static void io_ins_one(struct tcg_cpu *c, const struct insn *i, u16 port)
{
	int size = io_size(i);
	gva_t va = io_linear(c, SEG_ES, c->gpr[REG_RDI] & io_addr_mask(i), size,
			     true);

	tcg_probe_write(c, va, size, c->mmu);
	tcg_st(c, va, vcpu_pio_read(c->v, port, size), size);
	io_advance(c, i, REG_RDI);
}

static void io_outs_one(struct tcg_cpu *c, const struct insn *i, u16 port)
{
	int size = io_size(i);
	gva_t va = io_linear(c, i->seg, c->gpr[REG_RSI] & io_addr_mask(i), size,
			     false);

	vcpu_pio_write(c->v, port, size, tcg_ld(c, va, size));
	io_advance(c, i, REG_RSI);
}

static void io_string(struct tcg_cpu *c, const struct insn *i,
		      void (*one)(struct tcg_cpu *c, const struct insn *i,
				  u16 port))
{
	u16 port = c->gpr[REG_RDX];
	u64 mask = io_addr_mask(i);

	io_check(c, port, io_size(i));
	if (!(i->prefix & (INSN_REP | INSN_REPNE))) {
		one(c, i, port);
		io_watch(c, port, io_size(i));
		return;
	}
	for (int n = 0; c->gpr[REG_RCX] & mask; n++) {
		if (n == IO_BURST ||
		    (n && (c->db_pending || (c->mode_key & MODE_STEP)))) {
			c->rip = tcg_this_rip(c, i);
			return;
		}
		one(c, i, port);
		sys_set_reg(c, REG_RCX, c->gpr[REG_RCX] - 1, i->addrsize);
		io_watch(c, port, io_size(i));
	}
}

void sys_ins(struct tcg_cpu *c, const struct insn *i)
{
	io_string(c, i, io_ins_one);
}

void sys_outs(struct tcg_cpu *c, const struct insn *i)
{
	io_string(c, i, io_outs_one);
}
