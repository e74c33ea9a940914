/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Guest-virtual memory access: the inline fast paths over the soft TLB.
 *
 * Every access may leave by siglongjmp with a guest exception, and then no
 * byte has been stored, page crossings included.  Addresses are linear; in
 * 64-bit mode a non-canonical one raises #SS or #GP here, in other modes the
 * caller has truncated it to 32 bits.
 *
 * A store writes first and tests the page's flag byte afterwards; see
 * tcg_code_page() for the other half of that protocol.
 */
#ifndef TCG_SOFTMMU_H
#define TCG_SOFTMMU_H

#include "tcg/internal.h"
#include "vmm/machine.h"
#include "vmm/memory.h"

struct tcg_u8 {
	u8 v;
} __attribute__((packed, may_alias));

struct tcg_u16 {
	u16 v;
} __attribute__((packed, may_alias));

struct tcg_u32 {
	u32 v;
} __attribute__((packed, may_alias));

struct tcg_u64 {
	u64 v;
} __attribute__((packed, may_alias));

/* Out of line: miss, device, page crossing, watchpoint, alignment check. */
u64 tcg_ld_slow(struct tcg_cpu *c, gva_t va, u32 size, u8 mmu);
void tcg_st_slow(struct tcg_cpu *c, gva_t va, u64 value, u32 size, u8 mmu);
void tcg_ld_bytes_slow(struct tcg_cpu *c, gva_t va, void *dst, u32 n, u8 mmu);
void tcg_st_bytes_slow(struct tcg_cpu *c, gva_t va, const void *src, u32 n,
		       u8 mmu);
const void *tcg_host_r_slow(struct tcg_cpu *c, gva_t va, u32 size);
void *tcg_host_rw_slow(struct tcg_cpu *c, gva_t va, u32 size);

static inline struct tlb_entry *tcg_tlb_entry(struct tcg_cpu *c, gva_t va,
					      u8 mmu)
{
	return &c->tlb[mmu][(va >> PAGE_SHIFT) & (TLB_ENTRIES - 1)];
}

/* One compare covers tag and page crossing: the slot is chosen by the first
 * byte's page, and the tag of the next page never sits in that slot. */
static inline bool tcg_tlb_hit(u64 tag, gva_t va, u32 size)
{
	return likely(((va + (size - 1)) & PAGE_MASK) == tag);
}

static inline void *tcg_tlb_host(const struct tlb_entry *e, gva_t va)
{
	return (u8 *)(va + e->delta);
}

static inline void tcg_store_check(struct tcg_cpu *c, gva_t va,
				   struct tlb_entry *e, u32 size)
{
	atomic_signal_fence(memory_order_seq_cst);
	if (unlikely(atomic_load_explicit(e->flags, memory_order_relaxed)))
		tcg_store_noticed(c, va, e, size);
}

/* tcg_ldN(c, va), tcg_stN(c, va, value) with the current rights; the _mmu
 * forms name them (MMU_KERNEL: descriptor tables, TSS, delivery stacks). */
#define TCG_ACCESS(bits)                                                       \
	static inline u##bits tcg_ld##bits##_mmu(struct tcg_cpu *c, gva_t va,  \
						 u8 mmu)                       \
	{                                                                      \
		struct tlb_entry *e = tcg_tlb_entry(c, va, mmu);               \
		if (!tcg_tlb_hit(e->read, va, bits / 8))                       \
			return tcg_ld_slow(c, va, bits / 8, mmu);              \
		return ((const volatile struct tcg_u##bits *)tcg_tlb_host(e,   \
									  va)) \
			->v;                                                   \
	}                                                                      \
	static inline void tcg_st##bits##_mmu(struct tcg_cpu *c, gva_t va,     \
					      u##bits value, u8 mmu)           \
	{                                                                      \
		struct tlb_entry *e = tcg_tlb_entry(c, va, mmu);               \
		if (!tcg_tlb_hit(e->write, va, bits / 8)) {                    \
			tcg_st_slow(c, va, value, bits / 8, mmu);              \
			return;                                                \
		}                                                              \
		((volatile struct tcg_u##bits *)tcg_tlb_host(e, va))->v =      \
			value;                                                 \
		tcg_store_check(c, va, e, bits / 8);                           \
	}                                                                      \
	static inline u##bits tcg_ld##bits(struct tcg_cpu *c, gva_t va)        \
	{                                                                      \
		return tcg_ld##bits##_mmu(c, va, c->mmu);                      \
	}                                                                      \
	static inline void tcg_st##bits(struct tcg_cpu *c, gva_t va,           \
					u##bits value)                         \
	{                                                                      \
		tcg_st##bits##_mmu(c, va, value, c->mmu);                      \
	}

/* clang-format off */
TCG_ACCESS(8)
TCG_ACCESS(16)
TCG_ACCESS(32)
TCG_ACCESS(64)
/* clang-format on */

#undef TCG_ACCESS

/* By operand size in bytes: 1, 2, 4 or 8; loads are zero-extended. */
static inline u64 tcg_ld_mmu(struct tcg_cpu *c, gva_t va, u32 size, u8 mmu)
{
	switch (size) {
	case 1: return tcg_ld8_mmu(c, va, mmu);
	case 2: return tcg_ld16_mmu(c, va, mmu);
	case 4: return tcg_ld32_mmu(c, va, mmu);
	default: return tcg_ld64_mmu(c, va, mmu);
	}
}

static inline void tcg_st_mmu(struct tcg_cpu *c, gva_t va, u64 value, u32 size,
			      u8 mmu)
{
	switch (size) {
	case 1: tcg_st8_mmu(c, va, value, mmu); break;
	case 2: tcg_st16_mmu(c, va, value, mmu); break;
	case 4: tcg_st32_mmu(c, va, value, mmu); break;
	default: tcg_st64_mmu(c, va, value, mmu); break;
	}
}

static inline u64 tcg_ld(struct tcg_cpu *c, gva_t va, u32 size)
{
	return tcg_ld_mmu(c, va, size, c->mmu);
}

static inline void tcg_st(struct tcg_cpu *c, gva_t va, u64 value, u32 size)
{
	tcg_st_mmu(c, va, value, size, c->mmu);
}

/* Any length up to a page; not atomic. */
static inline void tcg_ld_bytes(struct tcg_cpu *c, gva_t va, void *dst, u32 n)
{
	struct tlb_entry *e = tcg_tlb_entry(c, va, c->mmu);

	if (!tcg_tlb_hit(e->read, va, n)) {
		tcg_ld_bytes_slow(c, va, dst, n, c->mmu);
		return;
	}
	__builtin_memcpy(dst, tcg_tlb_host(e, va), n);
}

static inline void tcg_st_bytes(struct tcg_cpu *c, gva_t va, const void *src,
				u32 n)
{
	struct tlb_entry *e = tcg_tlb_entry(c, va, c->mmu);

	if (!tcg_tlb_hit(e->write, va, n)) {
		tcg_st_bytes_slow(c, va, src, n, c->mmu);
		return;
	}
	__builtin_memcpy(tcg_tlb_host(e, va), src, n);
	tcg_store_check(c, va, e, n);
}

static inline void tcg_ld128(struct tcg_cpu *c, gva_t va, void *dst)
{
	tcg_ld_bytes(c, va, dst, 16);
}

static inline void tcg_st128(struct tcg_cpu *c, gva_t va, const void *src)
{
	tcg_st_bytes(c, va, src, 16);
}

/* Host address of `size` bytes for direct loads, until the next access;
 * NULL: a device, a page crossing or a watched page, to be read piecewise
 * with tcg_ld*().  Raises when the bytes may not be read. */
static inline const void *tcg_host_r(struct tcg_cpu *c, gva_t va, u32 size)
{
	struct tlb_entry *e = tcg_tlb_entry(c, va, c->mmu);

	if (!tcg_tlb_hit(e->read, va, size))
		return tcg_host_r_slow(c, va, size);
	return tcg_tlb_host(e, va);
}

/* The same for read-modify-write and bulk stores: raises (with PF_W) when
 * the bytes may not be written.  Whoever stored calls tcg_host_written()
 * before any other access.  After NULL the loads and stores of the same
 * bytes do not raise; a locked operation runs them between
 * tcg_exclusive_begin() and tcg_exclusive_end(). */
static inline void *tcg_host_rw(struct tcg_cpu *c, gva_t va, u32 size)
{
	struct tlb_entry *e = tcg_tlb_entry(c, va, c->mmu);

	if (!tcg_tlb_hit(e->write, va, size))
		return tcg_host_rw_slow(c, va, size);
	return tcg_tlb_host(e, va);
}

static inline void tcg_host_written(struct tcg_cpu *c, gva_t va, u32 size)
{
	u8 mmu = c->mmu == MMU_USER_ALIGN ? MMU_USER : c->mmu;

	tcg_store_check(c, va, tcg_tlb_entry(c, va, mmu), size);
}

/* Raises unless all bytes can be stored; needs `size` <= PAGE_SIZE. */
void tcg_probe_write(struct tcg_cpu *c, gva_t va, u32 size, u8 mmu);

/* ---- Code pages ---- */

static inline struct itlb_entry *tcg_itlb_entry(struct tcg_cpu *c, gva_t va)
{
	return &c->itlb[c->cpl == 3][va >> PAGE_SHIFT & (ITLB_ENTRIES - 1)];
}

/* A debugger's breakpoint in this page: it is run instruction by instruction,
 * and has no tag. */
static inline bool tcg_page_breaks(const struct tcg_cpu *c, gva_t va)
{
	return unlikely(c->m->debug.n) &&
	       debug_break_in_page(&c->m->debug, va);
}

/* As tcg_fetch_page(). */
static inline const u8 *tcg_fetch(struct tcg_cpu *c, gva_t va, gpa_t *ret_phys)
{
	struct itlb_entry *e = tcg_itlb_entry(c, va);

	if (unlikely(e->tag != (va & PAGE_MASK)))
		return tcg_fetch_page(c, va, ret_phys);
	*ret_phys = e->phys;
	return e->host;
}

#endif
