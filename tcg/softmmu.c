/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Soft TLB: what happens when an access is not a hit.
 *
 * A miss walks the guest's page tables, checks rights, sets accessed and
 * dirty bits and fills a slot.  Devices, watched pages and ROM stores get no
 * tag, so every access to them comes here.
 *
 * Spec: SDM 3A "Paging"; APM 2 "Page Translation and Protection".
 */
#include "tcg/softmmu.h"

#include <string.h>

#include "tcg/decode.h"
#include "tcg/log.h"
#include "vmm/machine.h"

#define PTE_A BIT(5)
#define PTE_D BIT(6)

enum mmu_access { MMU_READ, MMU_WRITE, MMU_EXEC };

/* One page of an access. */
struct mmu_page {
	gpa_t phys; /* of the byte asked for */
	u8 *host;   /* of that byte; NULL: device or nothing */
	_Atomic u8 *flags;
	bool readonly;
};

/* ---- Flushing ---- */

/* Zero is page 0's address, so only that page's slot and the one in front of
 * it have to have something else. */
static u64 tlb_invalid(u32 slot, u32 entries)
{
	return slot && slot != entries - 1 ? 0 : entries / 2 << PAGE_SHIFT | 1;
}

static u32 tlb_slot(gva_t va)
{
	return va >> PAGE_SHIFT & (TLB_ENTRIES - 1);
}

static void tlb_clear(struct tcg_cpu *c, int mmu, u32 slot)
{
	struct tlb_entry *e = &c->tlb[mmu][slot];

	e->read = e->write = tlb_invalid(slot, TLB_ENTRIES);
}

static void tlb_use(u64 *used, u32 slot)
{
	u32 chunk = slot >> TLB_CHUNK_BITS;

	used[chunk / 64] |= BIT(chunk % 64);
}

/* Chunk by chunk: the next one that is used, no longer so; -1: none. */
static int tlb_next_used(u64 *used, u32 words)
{
	for (u32 w = 0; w < words; w++) {
		u64 bits = used[w];

		used[w] &= bits - 1;
		if (bits)
			return (int)(w * 64) + __builtin_ctzll(bits);
	}
	return -1;
}

static void itlb_clear(struct tcg_cpu *c, int ring3, u32 slot)
{
	c->itlb[ring3][slot].tag = tlb_invalid(slot, ITLB_ENTRIES);
}

static void itlb_flush_all(struct tcg_cpu *c, int ring3)
{
	int chunk;

	while ((chunk = tlb_next_used(&c->tlb_log.iused[ring3], 1)) >= 0)
		for (u32 i = 0; i < 1u << TLB_CHUNK_BITS; i++)
			itlb_clear(c, ring3,
				   ((u32)chunk << TLB_CHUNK_BITS) + i);
}

static void itlb_flush(struct tcg_cpu *c, bool global)
{
	c->jump_epoch[1]++;
	if (global || c->tlb_log.ilocal)
		c->jump_epoch[0]++;
	itlb_flush_all(c, 1);
	if (global)
		itlb_flush_all(c, 0);
	else if (c->tlb_log.ilocal)
		for (u32 i = 0; i < ITLB_ENTRIES; i++)
			if (!c->itlb[0][i].global)
				itlb_clear(c, 0, i);
	c->tlb_log.ilocal = false;
}

static void tlb_flush_all(struct tcg_cpu *c, int mmu)
{
	int chunk;

	while ((chunk = tlb_next_used(c->tlb_log.used[mmu], TLB_CHUNKS / 64)) >=
	       0)
		for (u32 i = 0; i < 1u << TLB_CHUNK_BITS; i++)
			tlb_clear(c, mmu, ((u32)chunk << TLB_CHUNK_BITS) + i);
}

void tcg_tlb_init(struct tcg_cpu *c)
{
	for (int m = 0; m < MMU_COUNT; m++) {
		tlb_clear(c, m, 0);
		tlb_clear(c, m, TLB_ENTRIES - 1);
	}
	for (int ring3 = 0; ring3 < 2; ring3++) {
		itlb_clear(c, ring3, 0);
		itlb_clear(c, ring3, ITLB_ENTRIES - 1);
	}
}

void tcg_tlb_flush(struct tcg_cpu *c, bool global)
{
	struct tlb_log *log = &c->tlb_log;

	*(global ? &c->tlb_full : &c->tlb_partial) += 1;
	log_item(LOG_MMU, "cpu %d mmu: flush%s", c->v->index,
		 global ? "" : " but for global pages");
	c->code_epoch++;
	tcg_stack_drop(c);
	itlb_flush(c, global);
	if (!global && log->n <= TLB_LOG) {
		for (u32 i = 0; i < log->n; i++)
			tlb_clear(c, log->slot[i] >> TLB_BITS,
				  log->slot[i] & (TLB_ENTRIES - 1));
		log->n = 0;
		return;
	}
	for (int m = 0; m < MMU_COUNT; m++)
		tlb_flush_all(c, m);
	log->n = 0;
	if (global)
		memset(log->huge, 0, sizeof log->huge);
}

/* The 512 slots around `slot`. */
static void tlb_flush_2m(struct tcg_cpu *c, int mmu, u32 slot)
{
	for (u32 i = slot & ~511u; i <= (slot | 511); i++) {
		u32 chunk = i >> TLB_CHUNK_BITS;

		if (c->tlb_log.used[mmu][chunk / 64] & BIT(chunk % 64))
			tlb_clear(c, mmu, i);
		else
			i |= BIT(TLB_CHUNK_BITS) - 1;
	}
}

/* The halves apart: a kernel's map of all memory is of large pages. */
static u32 tlb_huge_bit(gva_t va, u64 page_size)
{
	u32 half = va >> 63;

	if (page_size == 2 * MIB)
		return half * TLB_HUGE_2M + (va >> 21) % TLB_HUGE_2M;
	return 2 * TLB_HUGE_2M + half * TLB_HUGE_1G + (va >> 30) % TLB_HUGE_1G;
}

static bool tlb_huge_test(const struct tcg_cpu *c, gva_t va, u64 page_size)
{
	u32 bit = tlb_huge_bit(va, page_size);

	return c->tlb_log.huge[bit / 64] & BIT(bit % 64);
}

void tcg_tlb_flush_page(struct tcg_cpu *c, gva_t va)
{
	u32 slot = va >> PAGE_SHIFT & (ITLB_ENTRIES - 1);

	c->tlb_pages++;
	log_item(LOG_MMU, "cpu %d mmu: flush 0x%016llx", c->v->index,
		 (unsigned long long)va);
	c->code_epoch++;
	tcg_stack_drop(c);
	if (tlb_huge_test(c, va, GIB)) {
		tcg_tlb_flush(c, true);
		return;
	}
	if (tlb_huge_test(c, va, 2 * MIB)) {
		for (int m = 0; m < MMU_COUNT; m++)
			tlb_flush_2m(c, m, tlb_slot(va));
		itlb_flush(c, true);
		return;
	}
	for (int m = 0; m < MMU_COUNT; m++)
		tlb_clear(c, m, tlb_slot(va));
	itlb_clear(c, 0, slot);
	itlb_clear(c, 1, slot);
	c->jump_epoch[0]++;
	c->jump_epoch[1]++;
}

void tcg_tlb_forget_stores(struct tcg_cpu *c)
{
	tcg_stack_drop(c);
	for (int m = 0; m < MMU_COUNT; m++)
		for (u32 i = 0; i < TLB_ENTRIES; i++)
			if (c->tlb[m][i].write)
				c->tlb[m][i].write =
					tlb_invalid(i, TLB_ENTRIES);
}

/* ---- Walk, rights, accessed and dirty bits ---- */

/* May a supervisor access of this mode touch a user page as data? */
static bool mmu_smap_blocks(const struct tcg_cpu *c, u8 mmu)
{
	return mmu == MMU_KERNEL && (c->s->cr4 & CR4_SMAP);
}

static bool mmu_allows(const struct tcg_cpu *c, const struct cpu_walk *w,
		       u8 mmu, enum mmu_access access)
{
	if (mmu == MMU_USER) {
		if (!w->user || (access == MMU_EXEC && w->nx))
			return false;
		return access != MMU_WRITE || w->write;
	}
	if (access == MMU_EXEC)
		return !w->nx && !(w->user && (c->s->cr4 & CR4_SMEP));
	if (w->user && mmu_smap_blocks(c, mmu))
		return false;
	return access == MMU_READ || w->write || !(c->s->cr0 & CR0_WP);
}

_Noreturn static void mmu_fault(struct tcg_cpu *c, gva_t va, u8 mmu,
				enum mmu_access access,
				const struct cpu_walk *w)
{
	bool nx_on = (c->s->cr4 & CR4_PAE) && (c->s->efer & EFER_NXE);
	u32 code = 0;

	if (w->present)
		code |= PF_P;
	if (w->rsvd)
		code |= PF_RSVD;
	if (access == MMU_WRITE)
		code |= PF_W;
	if (mmu == MMU_USER)
		code |= PF_U;
	if (access == MMU_EXEC && (nx_on || (c->s->cr4 & CR4_SMEP)))
		code |= PF_I;
	log_item(LOG_MMU, "cpu %d mmu: fault at 0x%016llx, code 0x%x",
		 c->v->index, (unsigned long long)va, code);
	tcg_raise_pf(c, va, code);
}

/* Sets bits in one entry; false: the entry has changed meanwhile. */
static bool mmu_set_bits(struct tcg_cpu *c, struct cpu_walk *w, int n, u64 bits)
{
	struct memory *mem = &c->m->mem;
	u64 old = w->entry[n].value;
	void *p = mem_ptr_rw(mem, w->entry[n].addr, w->wide ? 8 : 4);
	bool ok;

	if ((old & bits) == bits || !p)
		return true;
	tcg_check_leave(c);
	if (w->wide) {
		ok = __atomic_compare_exchange_n((u64 *)p, &old, old | bits,
						 false, __ATOMIC_SEQ_CST,
						 __ATOMIC_RELAXED);
	} else {
		u32 old32 = (u32)old;

		ok = __atomic_compare_exchange_n(
			(u32 *)p, &old32, old32 | (u32)bits, false,
			__ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
	}
	if (ok) {
		w->entry[n].value |= bits;
		mem_written(mem, w->entry[n].addr, w->wide ? 8 : 4);
	}
	return ok;
}

static bool mmu_mark(struct tcg_cpu *c, struct cpu_walk *w,
		     enum mmu_access access)
{
	/* A PAE page-directory-pointer entry has no accessed bit. */
	int first = w->wide && !cpu_long_mode(c->s) ? 1 : 0;

	for (int n = first; n < w->n; n++) {
		u64 bits = PTE_A;

		if (n == w->n - 1 && access == MMU_WRITE)
			bits |= PTE_D;
		if (!mmu_set_bits(c, w, n, bits))
			return false;
	}
	return true;
}

static bool mmu_canonical(gva_t va)
{
	return (u64)((s64)(va << 16) >> 16) == va;
}

/* Does the current instruction reach `va` through SS?  One with a memory
 * operand and a stack access is told by the address. */
static bool mmu_on_stack(const struct tcg_cpu *c, gva_t va)
{
	const struct insn *i = c->ip;
	bool stk;

	if (!i)
		return false;
	stk = insn_desc(i)->attrs & OP_STK;
	if (stk && i->is_mem)
		return va - (c->gpr[REG_RSP] - 8) <= 8 || i->seg == SEG_SS;
	return i->is_mem ? i->seg == SEG_SS : stk;
}

/* Translates or raises; bits are marked. */
static void mmu_walk(struct tcg_cpu *c, gva_t va, u8 mmu,
		     enum mmu_access access, struct cpu_walk *w)
{
	if (c->long_mode && unlikely(!mmu_canonical(va))) {
		tcg_raise_code(c, mmu_on_stack(c, va) ? EXC_SS : EXC_GP, 0);
	}
	do {
		bool found = cpu_walk(c->s, &c->m->mem, va, w);

		if (!found || !mmu_allows(c, w, mmu, access))
			mmu_fault(c, va, mmu, access, w);
	} while (!mmu_mark(c, w, access));
}

/* ---- Watchpoints ---- */

#define DR7_ENABLED(dr7, n) ((dr7) >> (2 * (n)) & 3)
#define DR7_KIND(dr7, n)    ((dr7) >> (16 + 4 * (n)) & 3)
#define DR7_LEN(dr7, n)     ((dr7) >> (18 + 4 * (n)) & 3)

/* SDM 3B "Debug Control Register (DR7)": 1, 2, 8, 4 bytes. */
static u32 watch_len(u64 dr7, int n)
{
	static const u8 len[4] = { 1, 2, 8, 4 };

	return len[DR7_LEN(dr7, n)];
}

static bool watch_data(u64 dr7, int n)
{
	return DR7_ENABLED(dr7, n) && (DR7_KIND(dr7, n) & 1);
}

static bool mmu_watched(const struct tcg_cpu *c, gva_t va)
{
	u64 dr7 = c->s->dr[7];

	if (unlikely(c->m->debug.n) && debug_watch_in_page(&c->m->debug, va))
		return true;
	if (likely(!(dr7 & 0xff)))
		return false;
	for (int n = 0; n < 4; n++)
		if (watch_data(dr7, n) && !((c->s->dr[n] ^ va) & PAGE_MASK))
			return true;
	return false;
}

/* The same for a debugger: stops after the instruction. */
static void mmu_debug_hit(struct tcg_cpu *c, gva_t va, u32 size, bool write)
{
	const struct debug_point *p =
		debug_watch_at(&c->m->debug, va, size, write);

	if (!p || c->v->debug.why)
		return;
	c->v->debug.why = DEBUG_WATCHED;
	c->v->debug.hit = *p;
	c->v->debug.hit.va = MAX(va, p->va);
	c->end_block = true;
	atomic_fetch_or_explicit(&c->v->request, VCPU_REQ_POLL,
				 memory_order_relaxed);
}

static void mmu_watch_hit(struct tcg_cpu *c, gva_t va, u32 size, bool write)
{
	u64 dr7 = c->s->dr[7];
	u32 hit = 0;

	if (unlikely(c->m->debug.n))
		mmu_debug_hit(c, va, size, write);
	if (likely(!(dr7 & 0xff)))
		return;
	for (int n = 0; n < 4; n++) {
		u32 len = watch_len(dr7, n);
		gva_t at = ALIGN_DOWN(c->s->dr[n], len);

		if (watch_data(dr7, n) && (write || DR7_KIND(dr7, n) == 3) &&
		    va - at + size - 1 < len + (u64)size - 1)
			hit |= 1u << n;
	}
	if (hit)
		tcg_debug_trap(c, hit);
}

/* ---- Filling ---- */

static void mmu_log_fill(struct tcg_cpu *c, u8 mmu, gva_t va,
			 const struct tlb_entry *e, const struct cpu_walk *w)
{
	struct tlb_log *log = &c->tlb_log;
	bool global = w->global && (c->s->cr4 & CR4_PGE);
	u32 bit;

	tlb_use(log->used[mmu], tlb_slot(va));
	if (w->page_size > PAGE_SIZE) {
		bit = tlb_huge_bit(va, w->page_size);
		log->huge[bit / 64] |= BIT(bit % 64);
	}
	if (!w->n)
		return; /* no paging: any change of CR0 flushes all */
	if (!global && e->read != (va & PAGE_MASK)) {
		if (log->n < TLB_LOG)
			log->slot[log->n] =
				(u16)((u32)mmu << TLB_BITS | tlb_slot(va));
		if (log->n <= TLB_LOG)
			log->n++;
	}
}

static void mmu_fill(struct tcg_cpu *c, gva_t va, u8 mmu,
		     enum mmu_access access, const struct cpu_walk *w,
		     struct mmu_page *p)
{
	struct tlb_entry *e = tcg_tlb_entry(c, va, mmu);
	bool clean = w->n && !(w->entry[w->n - 1].value & PTE_D);
	gva_t page = va & PAGE_MASK;

	if (mmu_watched(c, va)) {
		tcg_check_leave(c);
		return;
	}
	if (unlikely(log_on(LOG_MMU)))
		tcg_log_page(c, va, mmu, w);
	mmu_log_fill(c, mmu, va, e, w);
	e->read = page;
	e->write = tlb_invalid(tlb_slot(va), TLB_ENTRIES);
	if (!p->readonly && !clean && mmu_allows(c, w, mmu, MMU_WRITE))
		e->write = page;
	e->delta = (u64)p->host - va;
	e->flags = p->flags;
	if (unlikely(c->checking) && e->write == page)
		tcg_check_page(c, tcg_tlb_host(e, page));
}

static void mmu_page_of(struct tcg_cpu *c, gpa_t phys, struct mmu_page *p)
{
	struct ram_block *b = mem_block(&c->m->mem, phys);

	p->phys = phys;
	p->host = NULL;
	p->flags = NULL;
	p->readonly = false;
	if (!b || b->readonly)
		tcg_check_leave(c);
	if (!b)
		return;
	p->host = b->host + (phys - b->base);
	p->flags = &b->flags[(phys - b->base) >> PAGE_SHIFT];
	p->readonly = b->readonly;
}

/* The page that holds `va`, from the TLB or by a walk. */
static void mmu_get(struct tcg_cpu *c, gva_t va, u8 mmu, enum mmu_access access,
		    struct mmu_page *p)
{
	struct tlb_entry *e = tcg_tlb_entry(c, va, mmu);
	struct cpu_walk w;

	if ((access == MMU_WRITE ? e->write : e->read) == (va & PAGE_MASK)) {
		p->host = tcg_tlb_host(e, va);
		p->flags = e->flags;
		p->readonly = false;
		return;
	}
	mmu_walk(c, va, mmu, access, &w);
	mmu_page_of(c, w.pa, p);
	if (p->host)
		mmu_fill(c, va, mmu, access, &w, p);
}

/* ---- Slow accesses ---- */

static bool mmu_crosses(gva_t va, u32 size)
{
	return (va & (PAGE_SIZE - 1)) + size > PAGE_SIZE;
}

bool tcg_tlb_fill(struct tcg_cpu *c, gva_t va, u32 size, bool write)
{
	enum mmu_access access = write ? MMU_WRITE : MMU_READ;
	struct tlb_entry *e = tcg_tlb_entry(c, va, c->mmu);
	struct mmu_page p;
	struct cpu_walk w;

	if (c->mmu == MMU_USER_ALIGN || mmu_crosses(va, size) ||
	    (c->long_mode && !mmu_canonical(va)))
		return false;
	if (!cpu_walk(c->s, &c->m->mem, va, &w) ||
	    !mmu_allows(c, &w, c->mmu, access) || !mmu_mark(c, &w, access))
		return false;
	mmu_page_of(c, w.pa, &p);
	if (!p.host)
		return false;
	mmu_fill(c, va, c->mmu, access, &w, &p);
	return (write ? e->write : e->read) == (va & PAGE_MASK);
}

/* First byte of the page after va's; 32-bit addresses wrap. */
static gva_t mmu_next_page(const struct tcg_cpu *c, gva_t va)
{
	va = (va & PAGE_MASK) + PAGE_SIZE;
	return c->long_mode ? va : va & 0xffffffff;
}

/* The mode behind MMU_USER_ALIGN, after its check: an unaligned operand of
 * 2, 4 or 8 bytes is #AC. */
static u8 mmu_align(struct tcg_cpu *c, gva_t va, u32 size, u8 mmu)
{
	if (likely(mmu != MMU_USER_ALIGN))
		return mmu;
	if (size <= 8 && (va & (size - 1)))
		tcg_raise_code(c, EXC_AC, 0);
	return MMU_USER;
}

static u64 mmu_load(struct tcg_cpu *c, const struct mmu_page *p, u32 size)
{
	u64 value = 0;

	if (!p->host)
		return vcpu_mmio_read(c->v, p->phys, size);
	switch (size) {
	case 1: return ((const volatile struct tcg_u8 *)p->host)->v;
	case 2: return ((const volatile struct tcg_u16 *)p->host)->v;
	case 4: return ((const volatile struct tcg_u32 *)p->host)->v;
	case 8: return ((const volatile struct tcg_u64 *)p->host)->v;
	default: memcpy(&value, p->host, size); return value;
	}
}

static void mmu_noticed(struct tcg_cpu *c, const u8 *host, u32 size);

static void mmu_store(struct tcg_cpu *c, const struct mmu_page *p, u64 value,
		      u32 size)
{
	/* ROM: a flash chip may listen behind it. */
	if (!p->host || p->readonly) {
		vcpu_mmio_write(c->v, p->phys, size, value);
		return;
	}
	switch (size) {
	case 1: ((volatile struct tcg_u8 *)p->host)->v = value; break;
	case 2: ((volatile struct tcg_u16 *)p->host)->v = value; break;
	case 4: ((volatile struct tcg_u32 *)p->host)->v = value; break;
	case 8: ((volatile struct tcg_u64 *)p->host)->v = value; break;
	default: memcpy(p->host, &value, size); break;
	}
	atomic_signal_fence(memory_order_seq_cst);
	if (unlikely(atomic_load_explicit(p->flags, memory_order_relaxed)))
		mmu_noticed(c, p->host, size);
}

/* Devices know sizes of 1, 2, 4 and 8 only. */
static void mmu_copy_in(struct tcg_cpu *c, struct mmu_page *p, u8 *dst, u32 n)
{
	if (p->host) {
		memcpy(dst, p->host, n);
		return;
	}
	for (; n; p->phys++, n--)
		*dst++ = (u8)vcpu_mmio_read(c->v, p->phys, 1);
}

static void mmu_copy_out(struct tcg_cpu *c, struct mmu_page *p, const u8 *src,
			 u32 n)
{
	if (p->host && !p->readonly) {
		memcpy(p->host, src, n);
		atomic_signal_fence(memory_order_seq_cst);
		if (unlikely(atomic_load_explicit(p->flags,
						  memory_order_relaxed)))
			mmu_noticed(c, p->host, n);
		return;
	}
	for (; n; p->phys++, n--)
		vcpu_mmio_write(c->v, p->phys, 1, *src++);
}

/* In front of an access that goes over a page's end: all of its address is
 * looked at before the first page is. */
static void mmu_check_end(struct tcg_cpu *c, gva_t va)
{
	if (c->long_mode && unlikely(!mmu_canonical(mmu_next_page(c, va))))
		tcg_raise_code(c, mmu_on_stack(c, va) ? EXC_SS : EXC_GP, 0);
}

void tcg_ld_bytes_slow(struct tcg_cpu *c, gva_t va, void *dst, u32 n, u8 mmu)
{
	struct mmu_page p, q;
	u32 first = n;

	if (mmu == MMU_USER_ALIGN)
		mmu = MMU_USER;
	if (mmu_crosses(va, n))
		mmu_check_end(c, va);
	mmu_get(c, va, mmu, MMU_READ, &p);
	if (mmu_crosses(va, n)) {
		first = PAGE_SIZE - (va & (PAGE_SIZE - 1));
		mmu_get(c, mmu_next_page(c, va), mmu, MMU_READ, &q);
		mmu_copy_in(c, &q, (u8 *)dst + first, n - first);
	}
	if (p.host || (first & (first - 1)) || first > 8 ||
	    (p.phys & (first - 1))) {
		mmu_copy_in(c, &p, dst, first);
	} else {
		u64 value = vcpu_mmio_read(c->v, p.phys, first);

		memcpy(dst, &value, first);
	}
	mmu_watch_hit(c, va, n, false);
}

void tcg_st_bytes_slow(struct tcg_cpu *c, gva_t va, const void *src, u32 n,
		       u8 mmu)
{
	struct mmu_page p, q;
	u32 first = n;

	if (mmu == MMU_USER_ALIGN)
		mmu = MMU_USER;
	if (mmu_crosses(va, n))
		mmu_check_end(c, va);
	mmu_get(c, va, mmu, MMU_WRITE, &p);
	if (mmu_crosses(va, n)) {
		first = PAGE_SIZE - (va & (PAGE_SIZE - 1));
		mmu_get(c, mmu_next_page(c, va), mmu, MMU_WRITE, &q);
	}
	mmu_copy_out(c, &p, src, first);
	if (first < n)
		mmu_copy_out(c, &q, (const u8 *)src + first, n - first);
	mmu_watch_hit(c, va, n, true);
}

u64 tcg_ld_slow(struct tcg_cpu *c, gva_t va, u32 size, u8 mmu)
{
	struct mmu_page p;
	u64 value = 0;

	mmu = mmu_align(c, va, size, mmu);
	if (mmu_crosses(va, size)) {
		tcg_ld_bytes_slow(c, va, &value, size, mmu);
		return value;
	}
	mmu_get(c, va, mmu, MMU_READ, &p);
	value = mmu_load(c, &p, size);
	mmu_watch_hit(c, va, size, false);
	return value;
}

void tcg_st_slow(struct tcg_cpu *c, gva_t va, u64 value, u32 size, u8 mmu)
{
	struct mmu_page p;

	mmu = mmu_align(c, va, size, mmu);
	if (mmu_crosses(va, size)) {
		tcg_st_bytes_slow(c, va, &value, size, mmu);
		return;
	}
	mmu_get(c, va, mmu, MMU_WRITE, &p);
	mmu_store(c, &p, value, size);
	mmu_watch_hit(c, va, size, true);
}

const void *tcg_host_r_slow(struct tcg_cpu *c, gva_t va, u32 size)
{
	u8 mmu = c->mmu == MMU_USER_ALIGN ? MMU_USER : c->mmu;
	struct mmu_page p, q;

	if (mmu_crosses(va, size))
		mmu_check_end(c, va);
	mmu_get(c, va, mmu, MMU_READ, &p);
	if (mmu_crosses(va, size)) {
		mmu_get(c, mmu_next_page(c, va), mmu, MMU_READ, &q);
		return NULL;
	}
	return mmu_watched(c, va) ? NULL : p.host;
}

void *tcg_host_rw_slow(struct tcg_cpu *c, gva_t va, u32 size)
{
	u8 mmu = mmu_align(c, va, size, c->mmu);
	struct mmu_page p;

	if (mmu_crosses(va, size)) {
		tcg_probe_write(c, va, size, mmu);
		return NULL;
	}
	mmu_get(c, va, mmu, MMU_WRITE, &p);
	return p.readonly || mmu_watched(c, va) ? NULL : p.host;
}

void tcg_probe_write(struct tcg_cpu *c, gva_t va, u32 size, u8 mmu)
{
	struct mmu_page p;

	if (mmu == MMU_USER_ALIGN)
		mmu = MMU_USER;
	if (mmu_crosses(va, size))
		mmu_check_end(c, va);
	mmu_get(c, va, mmu, MMU_WRITE, &p);
	if (mmu_crosses(va, size))
		mmu_get(c, mmu_next_page(c, va), mmu, MMU_WRITE, &p);
}

/* ---- Code ---- */

const u8 *tcg_fetch_page(struct tcg_cpu *c, gva_t va, gpa_t *ret_phys)
{
	u8 mmu = c->cpl == 3 ? MMU_USER : MMU_KERNEL;
	struct itlb_entry *e = tcg_itlb_entry(c, va);
	struct mmu_page p;
	struct cpu_walk w;
	u32 bit;

	mmu_walk(c, va, mmu, MMU_EXEC, &w);
	mmu_page_of(c, w.pa & PAGE_MASK, &p);
	*ret_phys = p.phys;
	if (!p.host)
		return NULL;
	if (tcg_page_breaks(c, va))
		return p.host;
	if (unlikely(log_on(LOG_MMU)))
		tcg_log_page(c, va, mmu, &w);
	if (w.page_size > PAGE_SIZE) {
		bit = tlb_huge_bit(va, w.page_size);
		c->tlb_log.huge[bit / 64] |= BIT(bit % 64);
	}
	e->tag = va & PAGE_MASK;
	e->phys = p.phys;
	e->host = p.host;
	e->global = w.global && (c->s->cr4 & CR4_PGE);
	tlb_use(&c->tlb_log.iused[c->cpl == 3],
		(u32)(va >> PAGE_SHIFT) & (ITLB_ENTRIES - 1));
	c->tlb_log.ilocal |= !e->global && c->cpl != 3;
	return p.host;
}

/* Unless a store has cleared MEM_PAGE_CODE meanwhile. */
static void mmu_set_fenced(_Atomic u8 *flags)
{
	u8 old = atomic_load(flags);

	while ((old & MEM_PAGE_CODE) &&
	       !atomic_compare_exchange_weak(flags, &old,
					     old | MEM_PAGE_FENCED))
		;
}

_Atomic u32 *tcg_page_gen(struct tcg_cpu *c, gpa_t phys)
{
	struct ram_block *b = mem_block(&c->m->mem, phys);

	return b ? &b->gen[(phys - b->base) >> PAGE_SHIFT] : NULL;
}

/* Self-modifying and cross-modifying code, the protocol:
 *
 * A store writes its bytes, then reads the page's flag byte.  x86 may let
 * that read pass the write, and the fast path has no fence.  The decoder sets
 * MEM_PAGE_CODE, then has a fence made for everybody: membarrier() runs a
 * full barrier on every thread of the process.  So for each store either its
 * bytes were visible before membarrier() returned, hence before decoding read
 * them, or the storing thread reads the flag after the barrier, sees it, and
 * bumps the generation.  MEM_PAGE_FENCED tells the other decoders that the
 * barrier is behind them; the lock makes one thread at a time set the bits.
 *
 * The storing side clears both bits before it bumps the generation, so that a
 * page that is no longer code costs one slow store.  The decoder has read the
 * generation before it saw both bits set: a store that clears them later
 * bumps later still and spoils the generation that was returned. */
u32 tcg_code_page(struct tcg_cpu *c, gpa_t phys)
{
	struct ram_block *b = mem_block(&c->m->mem, phys);
	u64 page;
	u32 gen;

	if (!b)
		return 0;
	page = (phys - b->base) >> PAGE_SHIFT;
	for (;;) {
		gen = atomic_load(&b->gen[page]);
		if (atomic_load(&b->flags[page]) & MEM_PAGE_FENCED)
			return gen;
		tcg_check_leave(c); /* the lock's holder may stand still */
		tcg_code_lock(c);
		atomic_fetch_or(&b->flags[page], MEM_PAGE_CODE);
		tcg_code_fence(c);
		tcg_stack_claim(c, &b->flags[page]);
		mmu_set_fenced(&b->flags[page]);
		tcg_code_unlock(c);
	}
}

/* Page `page` of `b` has flags and was stored to. */
static void mmu_page_noticed(struct tcg_cpu *c, struct ram_block *b, u64 page,
			     u32 size)
{
	struct memory *mem = &c->m->mem;

	if (atomic_load(&b->flags[page]) & MEM_PAGE_LOG)
		mem_mark_dirty(mem, b->base + (page << PAGE_SHIFT), size);
	if (atomic_load(&b->flags[page]) & MEM_PAGE_CODE) {
		atomic_fetch_and(&b->flags[page],
				 (u8) ~(MEM_PAGE_CODE | MEM_PAGE_FENCED));
		atomic_fetch_add(&b->gen[page], 1);
		c->end_block = true;
		c->code_epoch++;
		tcg_stop_translated(c);
	}
}

/* `host` lies in a page with flags. */
static void mmu_noticed(struct tcg_cpu *c, const u8 *host, u32 size)
{
	struct memory *mem = &c->m->mem;
	int n = atomic_load_explicit(&mem->nram, memory_order_acquire);

	for (int i = 0; i < n; i++) {
		struct ram_block *b = &mem->ram[i];
		u64 at = (u64)(host - b->host);

		if (at >= b->size)
			continue;
		mmu_page_noticed(c, b, at >> PAGE_SHIFT, size);
		return;
	}
}

void tcg_store_noticed(struct tcg_cpu *c, gva_t va, struct tlb_entry *e,
		       u32 size)
{
	mmu_noticed(c, tcg_tlb_host(e, va), size);
}

void tcg_page_noticed(struct tcg_cpu *c, _Atomic u8 *flags, u32 size)
{
	struct memory *mem = &c->m->mem;
	int n = atomic_load_explicit(&mem->nram, memory_order_acquire);

	for (int i = 0; i < n; i++) {
		struct ram_block *b = &mem->ram[i];
		u64 page = (u64)(flags - b->flags);

		if (page >= b->size >> PAGE_SHIFT)
			continue;
		mmu_page_noticed(c, b, page, size);
		return;
	}
}
