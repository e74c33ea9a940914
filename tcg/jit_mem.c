/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Memory operands in translated code: the address, its lookup in the TLB, and
 * the host's operand.
 */
#include "tcg/jit_gen.h"
#include "vmm/memory.h"

/* ---- Addresses ---- */

/* `to` = the operand's offset - `less`, with the upper half or without. */
static void mem_ea(struct gen *g, u8 to, u32 less, bool wide)
{
	const struct insn *i = g->i;
	u32 lea = wide ? EM_W | 0x8d : 0x8d;
	s64 disp = i->disp - less;
	u8 base, index = H_RSP;

	if (i->base == INSN_RIP)
		disp += g->b->phys & (PAGE_SIZE - 1);
	if (i->base == INSN_NOREG && i->index == INSN_NOREG) {
		em_mov_imm(&g->e, to, wide ? (u64)disp : (u32)disp);
		return;
	}
	if (disp != (s32)disp) { /* from RIP only */
		em_mov_imm(&g->e, to, (u64)disp);
		em_load(&g->e, H_RAX, gen_slot(INSN_RIP));
		em_rm(&g->e, lea, to, rm_index(to, H_RAX, 0, 0));
		return;
	}
	if (i->index != INSN_NOREG)
		index = gen_read(g, i->index, H_RAX);
	if (i->base == INSN_NOREG) {
		em_rm(&g->e, lea, to, rm_scaled(index, i->scale, (s32)disp));
		return;
	}
	if (i->base == INSN_RIP) {
		em_load(&g->e, to, gen_slot(INSN_RIP));
		base = to;
	} else {
		base = gen_read(g, i->base, to);
	}
	if (index == H_RSP && !disp && lea & EM_W) {
		if (base != to)
			em_mov(&g->e, to, base);
		return;
	}
	em_rm(&g->e, lea, to, rm_index(base, index, i->scale, (s32)disp));
}

void gen_ea(struct gen *g, u8 to, u32 less)
{
	mem_ea(g, to, less, g->i->addrsize == 8);
}

static bool mem_has_home(u8 reg)
{
	return reg < 16 && jit_home[reg] != JIT_NOHOME;
}

void gen_lea(struct gen *g)
{
	const struct insn *i = g->i;
	bool wide = i->opsize == 8 && i->addrsize == 8;
	u8 home = jit_home[i->reg];

	if (i->opsize == 2) {
		gen_interp(g);
	} else if (home == JIT_NOHOME) {
		mem_ea(g, H_R10, 0, wide);
		em_store(&g->e, gen_slot(i->reg), H_R10);
	} else if (i->index == i->reg && i->base < 16 &&
		   !mem_has_home(i->base)) {
		/* The base would come in place of the index. */
		mem_ea(g, H_R10, 0, wide);
		em_mov(&g->e, home, H_R10);
	} else {
		mem_ea(g, home, 0, wide);
		if (i->base != INSN_RIP &&
		    (i->index == INSN_NOREG || mem_has_home(i->index)))
			gen_delta_kept(g);
	}
}

void gen_add_segment(struct gen *g)
{
	if (g->i->seg >= SEG_FS)
		em_rm(&g->e, EM_W | 0x03, H_R10,
		      rm_state(offsetof(struct tcg_cpu, seg_base) +
			       g->i->seg * 8));
}

/* Is the operand [register + disp], with the host's register? */
static bool mem_direct(const struct insn *i)
{
	return mem_has_home(i->base) && i->index == INSN_NOREG &&
	       i->seg < SEG_FS && i->addrsize == 8;
}

/* Can R10 be made again from registers, leaving RAX alone? */
static bool mem_again(const struct insn *i)
{
	return (i->base == INSN_NOREG || mem_has_home(i->base)) &&
	       mem_has_home(i->index) && i->seg < SEG_FS;
}

/* ---- Lookup ---- */

void gen_tlb_slot(struct gen *g)
{
	_Static_assert(sizeof(struct tlb_entry) == 32, "shift below");
	em_rm(&g->e, 0xc1, 5, rm_reg(H_RAX)); /* shr eax, 12 - 5 */
	em8(&g->e, PAGE_SHIFT - 5);
	em8(&g->e, 0x25); /* and eax, slots */
	em32(&g->e, (TLB_ENTRIES - 1) << 5);
}

struct jit_rm gen_tlb(const struct gen *g, size_t field)
{
	return rm_state_index(H_RAX, g->tlb + field);
}

static struct jit_rm mem_tag(const struct gen *g, bool write)
{
	return gen_tlb(g, write ? offsetof(struct tlb_entry, write)
				: offsetof(struct tlb_entry, read));
}

static u8 *mem_unaligned(struct gen *g, u32 bits)
{
	em_rm(&g->e, EM_W | 0xf7, 0, rm_reg(H_R10)); /* test r10, imm */
	em32(&g->e, bits);
	return em_jcc(&g->e, 5);
}

static u8 *mem_beyond(struct gen *g, u32 bytes)
{
	em_rm(&g->e, EM_W | 0x81, 7, rm_reg(H_R10)); /* cmp r10, imm */
	em32(&g->e, PAGE_SIZE - bytes);
	return em_jcc(&g->e, 7);
}

/* R10 is the address, and `from` is one with the same page.  RAX becomes the
 * TLB slot's offset, R10 the offset in the page. */
static void mem_lookup(struct gen *g, u8 from, u8 *retry, u32 size, bool write)
{
	const struct gen_member *m = g->span;
	struct jit_emit *e = &g->e;
	u32 info = gen_info(g, size, write);
	struct gen_cold *cold;
	u8 *slow, *also = NULL;

	em_rm(e, 0x89, from, rm_reg(H_RAX));
	gen_tlb_slot(g);
	em_rm(e, EM_W | 0x33, H_R10, mem_tag(g, write));
	if (!(info & JIT_INFO_ALIGN)) {
		slow = mem_beyond(g, m ? m->bytes : size);
	} else if (!m) {
		/* What is aligned lies in one page. */
		slow = mem_unaligned(g, (u32)-PAGE_SIZE | (size - 1));
	} else {
		slow = mem_unaligned(g, size - 1);
		also = mem_beyond(g, m->bytes);
	}
	cold = gen_cold(g, COLD_SLOW, slow);
	cold->also = also;
	cold->retry = retry;
	cold->info = info;
	if (m) {
		cold->info |= JIT_INFO_LEADS;
		cold->ahead = m->ahead;
	}
	g->at.write = write;
}

void gen_lookup(struct gen *g, u8 *retry, u32 size, bool write)
{
	g->span = NULL;
	mem_lookup(g, H_R10, retry, size, write);
	g->at.base = H_R10;
	g->at.disp = 0;
	g->at.torn = true;
}

/* [base + disp], by the lowest address of g->span if there is one. */
static void mem_access_at(struct gen *g, u8 base, s32 disp, u32 size,
			  bool write)
{
	s32 low = disp - (g->span ? g->span->ahead : 0);
	u8 *retry;

	gen_spill_flags(g);
	retry = g->e.at;
	if (low)
		em_lea(&g->e, H_R10, rm_mem(base, low));
	else
		em_mov(&g->e, H_R10, base);
	mem_lookup(g, low ? H_R10 : base, retry, size, write);
	g->at.base = base;
	g->at.disp = disp;
	g->at.torn = false;
}

void gen_access_at(struct gen *g, u8 base, s32 disp, u32 size, bool write)
{
	u8 *retry;

	g->span = NULL;
	if (g->word == 8) {
		mem_access_at(g, base, disp, size, write);
		return;
	}
	gen_spill_flags(g);
	retry = g->e.at;
	gen_add(g, H_R10, rm_mem(base, disp));
	gen_lookup(g, retry, size, write);
}

void gen_access_kept(struct gen *g, u32 size, bool write,
		     const struct jit_rm *keep)
{
	u8 *retry;

	g->span = NULL;
	gen_spill_flags(g);
	retry = g->e.at;
	gen_ea(g, H_R10, 0);
	if (keep)
		em_store(&g->e, *keep, H_R10);
	gen_add_segment(g);
	gen_lookup(g, retry, size, write);
	if (mem_again(g->i)) {
		gen_ea(g, H_R10, 0);
		g->at.torn = false;
	}
}

/* ---- Spans ---- */

static struct jit_rm mem_span(const struct gen *g, size_t field)
{
	return rm_state(offsetof(struct tcg_cpu, span) +
			sizeof(struct jit_span) * (g->span->span - 1u) + field);
}

/* Keeps what the TLB slot in RAX says of the page.  What is the same for all
 * of the span and not in a register becomes part of the distance. */
static void mem_span_begins(struct gen *g)
{
	const struct insn *i = g->i;

	if (g->span->stores) {
		em_load(&g->e, H_R10,
			gen_tlb(g, offsetof(struct tlb_entry, flags)));
		em_store(&g->e, mem_span(g, offsetof(struct jit_span, flags)),
			 H_R10);
	}
	em_load(&g->e, H_RAX, gen_tlb(g, offsetof(struct tlb_entry, delta)));
	if (i->base == INSN_RIP)
		em_rm(&g->e, EM_W | 0x03, H_RAX, gen_slot(INSN_RIP));
	if (i->seg >= SEG_FS)
		em_rm(&g->e, EM_W | 0x03, H_RAX,
		      rm_state(offsetof(struct tcg_cpu, seg_base) +
			       i->seg * 8));
	em_store(&g->e, mem_span(g, offsetof(struct jit_span, delta)), H_RAX);
	g->span_loaded = true;
}

/* The first access of a span. */
static void mem_lead(struct gen *g, u32 size, bool write)
{
	const struct insn *i = g->i;
	u8 *retry;

	if (mem_direct(i)) {
		mem_access_at(g, jit_home[i->base], (s32)i->disp, size, write);
	} else {
		gen_spill_flags(g);
		retry = g->e.at;
		gen_ea(g, H_R10, g->span->ahead);
		gen_add_segment(g);
		mem_lookup(g, H_R10, retry, size, write);
	}
	mem_span_begins(g);
}

/* Flags stay.  RAX is used unless it has to be free, and R10. */
static struct jit_rm mem_span_operand(struct gen *g, bool free_rax)
{
	const struct insn *i = g->i;
	s32 disp = (s32)i->disp;
	struct jit_rm delta = mem_span(g, offsetof(struct jit_span, delta));
	bool indexed = i->index != INSN_NOREG;
	bool loaded = g->span_loaded || gen_delta_there(g, g->span->lead);
	u8 base = H_R10;

	g->delta = -1;
	if (i->base == INSN_RIP || (i->base == INSN_NOREG && !indexed)) {
		if (i->base == INSN_RIP)
			disp += (s32)(g->b->phys & (PAGE_SIZE - 1));
		if (!free_rax)
			base = H_RAX;
		if (!loaded || free_rax)
			em_load(&g->e, base, delta);
		return rm_mem(base, disp);
	}
	if (indexed) {
		loaded &= mem_has_home(i->index);
		gen_ea(g, H_R10, 0);
		disp = 0;
	} else {
		base = gen_read(g, i->base, H_R10);
	}
	if (free_rax && base != H_R10) {
		em_load(&g->e, H_R10, delta);
		return rm_index(base, H_R10, 0, disp);
	}
	if (!loaded)
		em_load(&g->e, H_RAX, delta);
	if (!free_rax)
		return rm_index(base, H_RAX, 0, disp);
	em_lea(&g->e, H_R10, rm_index(base, H_RAX, 0, disp));
	return rm_mem(H_R10, 0);
}

void gen_delta_of_load(struct gen *g)
{
	/* What takes a leader's slow path does not come back. */
	if (g->span)
		gen_delta_left(g, g->span->lead);
}

/* Nobody follows a leader that has looked up nothing. */
static bool mem_in_span(const struct gen *g)
{
	const struct gen_member *m = &g->member[g->n];

	return m->span && (m->leads || g->led[m->span - 1] == m->lead);
}

void gen_access(struct gen *g, u32 size, bool write)
{
	const struct gen_member *m = &g->member[g->n];
	const struct insn *i = g->i;
	bool span = mem_in_span(g);

	if (!span && mem_direct(i)) {
		gen_access_at(g, jit_home[i->base], (s32)i->disp, size, write);
	} else if (!span) {
		gen_access_kept(g, size, write, NULL);
	} else {
		g->span = m;
		g->span_loaded = false;
		g->led[m->span - 1] = m->lead;
		if (m->leads)
			mem_lead(g, size, write);
	}
}

/* ---- Operands ---- */

/* R10 is the address again. */
static void mem_mend(struct gen *g)
{
	if (g->at.torn)
		em_rm(&g->e, EM_W | 0x33, H_R10, mem_tag(g, g->at.write));
	g->at.torn = false;
}

/* With R10 only. */
static struct jit_rm mem_by_r10(struct gen *g)
{
	struct jit_rm delta = gen_tlb(g, offsetof(struct tlb_entry, delta));

	mem_mend(g);
	if (g->at.base == H_R10) {
		em_rm(&g->e, EM_W | 0x03, H_R10, delta); /* add */
		return rm_mem(H_R10, g->at.disp);
	}
	em_load(&g->e, H_R10, delta);
	return rm_index(g->at.base, H_R10, 0, g->at.disp);
}

struct jit_rm gen_load_operand(struct gen *g, bool free_rax)
{
	if (g->span)
		return mem_span_operand(g, free_rax);
	if (free_rax)
		return mem_by_r10(g);
	mem_mend(g);
	em_load(&g->e, H_RAX, gen_tlb(g, offsetof(struct tlb_entry, delta)));
	return rm_index(g->at.base, H_RAX, 0, g->at.disp);
}

struct jit_rm gen_store_operand(struct gen *g, bool free_rax)
{
	struct jit_rm rm;

	g->index_kept = false;
	if (g->span)
		return mem_span_operand(g, free_rax);
	rm = mem_by_r10(g);
	g->index_kept = free_rax;
	if (free_rax)
		em_rm(&g->e, 0x89, H_RAX, STATE(jit_index));
	return rm;
}

void gen_stored(struct gen *g, u32 size)
{
	struct gen_cold *cold;

	if (g->index_kept) {
		gen_spill_flags(g);
		em_rm(&g->e, 0x8b, H_RAX, STATE(jit_index));
	}
	em_load(&g->e, H_R10,
		g->span ? mem_span(g, offsetof(struct jit_span, flags))
			: gen_tlb(g, offsetof(struct tlb_entry, flags)));
	gen_spill_flags(g);
	em_rm(&g->e, 0x80, 7, rm_mem(H_R10, 0)); /* cmp byte, 0 */
	em8(&g->e, 0);
	cold = gen_cold(g, COLD_NOTICE, em_jcc(&g->e, 5));
	cold->info = gen_info(g, size, true);
	cold->back = g->e.at;
}
