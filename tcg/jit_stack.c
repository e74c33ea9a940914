/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Stack pages: most accesses of a program go to the page RSP is in, so
 * translated code looks up that page once for a run of accesses and makes
 * them without any further test.
 *
 * What makes this safe:
 * - A page gets in only while its TLB entry allows stores, so it is plain RAM
 *   whose dirty bit is set, and while its flag byte is clear: no decoded
 *   code, no dirty log.
 * - Flushing the TLB drops all pages.  Instructions that can do it leave
 *   translated code.
 * - Whoever marks code takes the page away from every vCPU first
 *   (tcg_stack_claim()): the vCPU publishes the page's flag byte, makes a
 *   full fence and looks at the byte; the other side sets it, makes a fence
 *   on all threads, and looks at what is published.  A dirty log asks all
 *   vCPUs to drop their pages when it is read, and counts those as written.
 * - A page that is dropped in the middle of a run stays reachable by it, so
 *   everything that runs C in a run compares c->stack_drops and leaves.
 *
 * A dropped page is replaced by one that is not canonical and random, and by
 * the next entry leads to bytes of nobody, so guessing it would gain nothing.
 */
#include "tcg/jit.h"

#include <errno.h>
#include <sys/random.h>

#include "tcg/softmmu.h"
#include "tcg/tcg.h"
#include "vmm/machine.h"

int jit_stack_init(struct tcg_cpu *c)
{
	u64 page;

	if (getrandom(&page, sizeof page, 0) != sizeof page)
		return -EIO;
	c->stack_none = (page & 0x3ffffffffffff000ULL) | BIT(62);
	for (int m = 0; m < MMU_COUNT; m++)
		c->stack[m].page = c->stack_none;
	c->stack_drops = 1;
	return 0;
}

static void stack_drop(struct tcg_cpu *c, struct jit_stack *s)
{
	_Atomic u8 *flags =
		atomic_load_explicit(&s->flags, memory_order_relaxed);

	if (!flags)
		return;
	s->page = c->stack_none;
	atomic_store(&s->flags, NULL);
	c->stack_drops++;
	/* What has been stored since somebody has begun a dirty log. */
	if (atomic_load(flags) & MEM_PAGE_LOG)
		tcg_page_noticed(c, flags, 1);
}

void tcg_stack_drop(struct tcg_cpu *c)
{
	c->stack_drops++;
	for (int m = 0; m < MMU_COUNT; m++)
		stack_drop(c, &c->stack[m]);
}

void jit_stack_enter(struct tcg_cpu *c)
{
	if (likely(!c->stack_drops))
		return;
	for (int m = 0; m < MMU_COUNT; m++)
		if (c->stack[m].page == c->stack_none)
			c->stack[m].delta =
				(u64)c->stack_nowhere - c->stack_none;
	c->stack_drops = 0;
}

const void *jit_stack_miss(struct tcg_cpu *c, u64 va, u32 unused,
			   const struct jit_run *at)
{
	struct jit_stack *s = &c->stack[c->mmu];
	struct tlb_entry *e;
	u64 page;

	va ^= s->page;
	page = va & PAGE_MASK;
	e = tcg_tlb_entry(c, va, c->mmu);
	if (e->write != page || (va & (PAGE_SIZE - 1)) + at->bytes > PAGE_SIZE)
		goto apart;
	atomic_store(&s->flags, e->flags); /* and a full fence */
	if (atomic_load(e->flags)) {
		atomic_store(&s->flags, NULL);
		s->page = c->stack_none;
		c->stack_drops++;
		goto apart;
	}
	s->page = page;
	s->delta = e->delta;
	c->jit->stack_fills++;
	return (const u8 *)at - at->retry;
apart:
	/* One access after the other, each by the TLB. */
	c->jit->stack_aparts++;
	return jit_apart(c, at->off);
}

/* ---- The other side ---- */

static bool stack_holds(struct tcg_cpu *c, const _Atomic u8 *flags, bool drop)
{
	bool found = false;

	for (int m = 0; m < MMU_COUNT; m++) {
		if (atomic_load(&c->stack[m].flags) != flags)
			continue;
		found = true;
		if (drop)
			stack_drop(c, &c->stack[m]);
	}
	return found;
}

static bool stack_others(struct tcg_cpu *c, const _Atomic u8 *flags, bool drop)
{
	bool found = false;

	if (!c->t->jit || c->m->accel != &tcg_accel)
		return false;
	for (int n = 0; n < c->m->nvcpus; n++) {
		struct vcpu *v = c->m->vcpus[n];
		struct tcg_cpu *other = v ? v->accel : NULL;

		if (other && other != c)
			found |= stack_holds(other, flags, drop);
	}
	return found;
}

void tcg_stack_claim(struct tcg_cpu *c, const _Atomic u8 *flags)
{
	stack_holds(c, flags, true);
	if (!stack_others(c, flags, c->exclusive) || c->exclusive)
		return;
	tcg_exclusive_begin(c);
	stack_others(c, flags, true);
	tcg_exclusive_end(c);
}
