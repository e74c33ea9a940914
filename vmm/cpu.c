/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Power-on state of a vCPU, and page-table walks that change nothing.
 */
#include "vmm/cpu.h"

#include <string.h>

#include "vmm/memory.h"

/* ---- Reset ---- */

static struct cpu_segment cpu_reset_segment(u16 sel, u64 base, u16 attr)
{
	return (struct cpu_segment){
		.sel = sel,
		.base = base,
		.limit = 0xffff,
		.attr = attr,
	};
}

/* What RESET and INIT have in common. */
static void cpu_reset_common(struct cpu_state *c)
{
	memset(c->gpr, 0, sizeof c->gpr);
	c->gpr[REG_RDX] = 0x600; /* family 6; an engine may know better */
	c->rip = 0xfff0;
	c->rflags = RFLAGS_FIXED;
	for (int i = 0; i < SEG_COUNT; i++)
		c->seg[i] = cpu_reset_segment(0, 0, 0x93);
	c->seg[SEG_CS] = cpu_reset_segment(0xf000, 0xffff0000, 0x9b);
	c->ldt = cpu_reset_segment(0, 0, 0x82);
	c->tr = cpu_reset_segment(0, 0, 0x8b);
	c->gdt = c->idt = (struct cpu_table){ 0, 0xffff };
	c->cr2 = c->cr3 = c->cr4 = c->cr8 = 0;
	c->efer = 0;
	memset(c->dr, 0, sizeof c->dr);
	c->dr[6] = 0xffff0ff0;
	c->dr[7] = 0x400;

	c->nmi_pending = c->nmi_second = false;
	c->nmi_masked = false;
	c->interrupt_shadow = false;
	c->smm = false;
	c->exception_pending = false;
	c->interrupt_injected = false;
}

void cpu_reset(struct cpu_state *c, bool bsp, bool init)
{
	if (init) {
		/* CD and NW survive an INIT. */
		c->cr0 = (c->cr0 & (CR0_CD | CR0_NW)) | CR0_ET;
		cpu_reset_common(c);
		c->mp_state = bsp ? CPU_RUNNABLE : CPU_WAIT_SIPI;
		return;
	}
	memset(c, 0, sizeof *c);
	cpu_reset_common(c);
	c->cr0 = CR0_ET | CR0_CD | CR0_NW;
	c->xcr0 = 1;
	c->fpu.fcw = 0x40;
	c->fpu.mxcsr = 0x1f80;
	c->pat = 0x0007040600070406;
	c->misc_enable = 1; /* fast strings */
	c->smbase = 0x30000;
	c->mcg_cap = MCE_BANKS | BIT(8); /* MCG_CTL is there */
	c->mcg_ctl = UINT64_MAX;
	for (int i = 0; i < MCE_BANKS; i++)
		c->mce_banks[4 * i] = UINT64_MAX;
	c->mp_state = bsp ? CPU_RUNNABLE : CPU_UNINITIALIZED;
}

/* ---- Page walk ---- */

#define PTE_P      BIT(0)
#define PTE_W      BIT(1)
#define PTE_U      BIT(2)
#define PTE_PS     BIT(7)
#define PTE_G      BIT(8)
#define PTE_NX     BIT(63)
#define PTE_ADDR   0x000ffffffffff000ULL
#define PTE_HIGH   (PTE_ADDR & ~(BIT(CPU_PHYS_BITS) - 1))
#define PTE32_ADDR 0xfffff000ULL

/* Entries that are not in RAM read as all ones, as on an empty bus. */
static u64 walk_entry(struct memory *mem, struct cpu_walk *w, gpa_t addr)
{
	const void *p = mem_ptr(mem, addr, w->wide ? 8 : 4);
	u64 value = UINT64_MAX;

	if (p && w->wide)
		value = __atomic_load_n((const u64 *)p, __ATOMIC_RELAXED);
	else if (p)
		value = __atomic_load_n((const u32 *)p, __ATOMIC_RELAXED);
	else if (!w->wide)
		value = UINT32_MAX;
	w->entry[w->n].addr = addr;
	w->entry[w->n++].value = value;
	return value;
}

static bool walk_leaf(struct cpu_walk *w, gva_t va, u64 entry, gpa_t base,
		      u64 size)
{
	w->page_size = size;
	w->pa = (base & ~(size - 1)) | (va & (size - 1));
	w->global = entry & PTE_G;
	w->present = true;
	return !w->rsvd;
}

/* SDM 3A "32-Bit Paging". */
static bool walk_32(const struct cpu_state *c, struct memory *mem, gva_t va,
		    struct cpu_walk *w)
{
	u64 e;

	e = walk_entry(mem, w, (c->cr3 & PTE32_ADDR) + (va >> 22 & 1023) * 4);
	if (!(e & PTE_P))
		return false;
	w->write = e & PTE_W;
	w->user = e & PTE_U;
	if ((e & PTE_PS) && (c->cr4 & CR4_PSE)) {
		/* Bits 13-20 are the address's bits 32-39. */
		w->rsvd = e & BIT(21);
		return walk_leaf(w, va, e,
				 (e & 0xffc00000) | (e >> 13 & 0xff) << 32,
				 4 * MIB);
	}
	e = walk_entry(mem, w, (e & PTE32_ADDR) + (va >> 12 & 1023) * 4);
	if (!(e & PTE_P))
		return false;
	w->write = w->write && (e & PTE_W);
	w->user = w->user && (e & PTE_U);
	return walk_leaf(w, va, e, e & PTE32_ADDR, PAGE_SIZE);
}

/* Bits that must be zero in an entry of the table that `shift` selects. */
static u64 walk_reserved(const struct cpu_state *c, int shift, u64 e)
{
	u64 mask = PTE_HIGH;

	if (!(c->efer & EFER_NXE))
		mask |= PTE_NX;
	if (!cpu_long_mode(c)) {
		if (shift == 30)
			mask |= 0x1e6 | PTE_NX;
		mask |= 0x7ff0000000000000ULL; /* ignored in long mode */
	}
	if (shift > 30)
		mask |= PTE_PS;
	else if (shift == 30 && (e & PTE_PS))
		mask |= 0x3fffe000;
	else if (shift == 21 && (e & PTE_PS))
		mask |= 0x1fe000;
	return e & mask;
}

/* SDM 3A "PAE Paging" and "4-Level Paging and 5-Level Paging". */
static bool walk_wide(const struct cpu_state *c, struct memory *mem, gva_t va,
		      struct cpu_walk *w)
{
	bool lm = cpu_long_mode(c);
	gpa_t table = c->cr3 & (lm ? PTE_ADDR : 0xffffffe0);
	int shift = !lm ? 30 : c->cr4 & CR4_LA57 ? 48 : 39;

	w->write = w->user = true;
	for (;; shift -= 9) {
		u64 slots = !lm && shift == 30 ? 3 : 511;
		u64 e = walk_entry(mem, w, table + (va >> shift & slots) * 8);

		if (!(e & PTE_P))
			return false;
		if (walk_reserved(c, shift, e)) {
			w->rsvd = w->present = true;
			return false;
		}
		if (lm || shift != 30) {
			w->write = w->write && (e & PTE_W);
			w->user = w->user && (e & PTE_U);
			w->nx = w->nx || (e & PTE_NX);
		}
		if (shift == 12 ||
		    ((e & PTE_PS) && shift <= 30 && (lm || shift != 30)))
			return walk_leaf(w, va, e, e & PTE_ADDR, BIT(shift));
		table = e & PTE_ADDR;
	}
}

bool cpu_walk(const struct cpu_state *c, struct memory *mem, gva_t va,
	      struct cpu_walk *w)
{
	memset(w, 0, sizeof *w);
	if (!(c->cr0 & CR0_PG)) {
		w->write = w->user = true;
		w->present = true;
		w->page_size = PAGE_SIZE;
		w->pa = va & 0xffffffff;
		return true;
	}
	w->wide = c->cr4 & CR4_PAE;
	if (w->wide)
		return walk_wide(c, mem, va, w);
	return walk_32(c, mem, va, w);
}

bool cpu_translate(const struct cpu_state *c, struct memory *mem, gva_t va,
		   gpa_t *ret_pa, u64 *ret_page_size, u64 *ret_pte)
{
	struct cpu_walk w;

	if (!cpu_walk(c, mem, va, &w))
		return false;
	*ret_pa = w.pa;
	if (ret_page_size)
		*ret_page_size = w.page_size;
	if (ret_pte)
		*ret_pte = w.n ? w.entry[w.n - 1].value : 0;
	return true;
}
