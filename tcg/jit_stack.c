/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Stack pages: most accesses of a program go to the page RSP is in, so
 * translated code looks up that page once for a run of accesses and makes
 * them without any further test.
 *
 * Beside the page that runs are compared with (c->stack[]) some more are held
 * (c->held[]), for recursions over the end of a page and for other tasks; to
 * change over to one of these is a matter of translated code.
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
 *   What is published stays so until the page is dropped; which of them is in
 *   c->stack[] is the vCPU's own matter.
 * - A page that is dropped in the middle of a run stays reachable by it, so
 *   everything that runs C in a run compares c->stack_drops and leaves.
 *
 * A dropped page is replaced by one that is not canonical and random, and by
 * the next entry leads to bytes of nobody, so guessing it would gain nothing.
 */
#include <errno.h>
#include <sys/random.h>

#include "tcg/jit_gen.h"
#include "tcg/softmmu.h"
#include "tcg/tcg.h"
#include "vmm/machine.h"

static struct jit_stack stack_nothing(const struct tcg_cpu *c)
{
	return (struct jit_stack){
		.page = c->stack_none,
		.delta = (u64)c->stack_nowhere - c->stack_none,
	};
}

int jit_stack_init(struct tcg_cpu *c)
{
	u64 page;

	if (getrandom(&page, sizeof page, 0) != sizeof page)
		return -EIO;
	c->stack_none = (page & 0x3ffffffffffff000ULL) | BIT(62);
	for (int m = 0; m < MMU_COUNT; m++) {
		c->stack[m] = stack_nothing(c);
		for (int n = 0; n < JIT_HELD; n++)
			c->held[m][n].s = stack_nothing(c);
	}
	c->stack_drops = 1;
	return 0;
}

/* c->stack[]'s delta stays until the next entry: a run may be going on. */
static void stack_drop(struct tcg_cpu *c, int mmu, struct jit_held *h)
{
	_Atomic u8 *flags =
		atomic_load_explicit(&h->flags, memory_order_relaxed);

	if (!flags)
		return;
	if (c->stack[mmu].page == h->s.page)
		c->stack[mmu].page = c->stack_none;
	h->s = stack_nothing(c);
	atomic_store(&h->flags, NULL);
	c->stack_drops++;
	/* What has been stored since somebody has begun a dirty log. */
	if (atomic_load(flags) & MEM_PAGE_LOG)
		tcg_page_noticed(c, flags, 1);
}

void tcg_stack_drop(struct tcg_cpu *c)
{
	c->stack_drops++;
	for (int m = 0; m < MMU_COUNT; m++)
		for (int n = 0; n < JIT_HELD; n++)
			stack_drop(c, m, &c->held[m][n]);
}

void jit_stack_enter(struct tcg_cpu *c)
{
	if (likely(!c->stack_drops))
		return;
	for (int m = 0; m < MMU_COUNT; m++)
		if (c->stack[m].page == c->stack_none)
			c->stack[m] = stack_nothing(c);
	c->stack_drops = 0;
}

#define RUN(field) rm_mem(H_RAX, offsetof(struct jit_run, field))
#define ACTIVE(field)                                     \
	rm_state(offsetof(struct tcg_cpu, stack) +        \
		 (size_t)mmu * sizeof(struct jit_stack) + \
		 offsetof(struct jit_stack, field))
#define HELD(field)                                                     \
	rm_state_index(H_RCX, offsetof(struct tcg_cpu, held) +          \
				      (size_t)mmu * JIT_HELD *          \
					      sizeof(struct jit_held) + \
				      offsetof(struct jit_held, s.field))

u8 *jit_stack_thunk(struct jit *j, int mmu)
{
	struct jit_emit *e = &j->e;
	u8 *start = e->at, *other, *within;

	em_plus(e, 0x58, H_RAX); /* pop: struct jit_run */
	em_rm(e, EM_W | 0x33, H_R10, ACTIVE(page));
	em_plus(e, 0x50, H_RCX); /* push */
	em_plus(e, 0x50, H_RDX);
	em_rm(e, 0x89, H_R10, rm_reg(H_RCX)); /* ecx: slot */
	em_rm(e, 0xc1, 5, rm_reg(H_RCX));
	em8(e, PAGE_SHIFT);
	em_rm(e, 0x89, H_RCX, rm_reg(H_RDX));
	em_rm(e, 0xc1, 5, rm_reg(H_RDX));
	em8(e, 3);
	em_rm(e, 0x33, H_RCX, rm_reg(H_RDX));
	em_rm(e, 0x83, 4, rm_reg(H_RCX));
	em8(e, JIT_HELD - 1);
	em_rm(e, 0xc1, 4, rm_reg(H_RCX));
	em8(e, 5);
	_Static_assert(sizeof(struct jit_held) == 32, "shift above");
	em_load(e, H_RDX, HELD(page));
	em_rm(e, EM_W | 0x33, H_RDX, rm_reg(H_R10));
	em_rm(e, EM_W | 0x3b, H_RDX, RUN(last));
	other = em_jcc(e, 7);
	em_load(e, H_RDX, HELD(page));
	em_store(e, ACTIVE(page), H_RDX);
	em_load(e, H_RDX, HELD(delta));
	em_store(e, ACTIVE(delta), H_RDX);
	em_rm(e, 0x8b, H_RDX, RUN(retry));
	em_rm(e, EM_W | 0x2b, H_RAX, rm_reg(H_RDX));
	em_plus(e, 0x58, H_RDX); /* pop */
	em_plus(e, 0x58, H_RCX);
	em_rm(e, 0xff, 4, rm_reg(H_RAX)); /* jmp */

	em_here(e, other);
	em_rm(e, 0x89, H_R10, rm_reg(H_RDX));
	em_rm(e, 0x81, 4, rm_reg(H_RDX)); /* and edx, 4095 */
	em32(e, PAGE_SIZE - 1);
	em_rm(e, EM_W | 0x3b, H_RDX, RUN(last));
	em_plus(e, 0x58, H_RDX);
	em_plus(e, 0x58, H_RCX);
	within = em_jcc(e, 6);
	em_lea(e, H_RAX, rm_mem(H_RAX, sizeof(struct jit_run)));
	em_rm(e, 0xff, 4, rm_reg(H_RAX));
	em_here(e, within);
	em_plus(e, 0x50, H_RAX); /* push: as if called */
	em_to(em_jmp(e), j->stack_miss);
	return start;
}

/* Takes the page that the TLB has for `va`. */
static bool stack_take(struct tcg_cpu *c, u64 va, int mmu)
{
	const struct tlb_entry *e = tcg_tlb_entry(c, va, c->mmu);
	struct jit_held *h = &c->held[mmu][JIT_HELD_SLOT(va)];

	if (e->write != (va & PAGE_MASK))
		return false;
	stack_drop(c, mmu, h);
	atomic_store(&h->flags, e->flags); /* and a full fence */
	if (atomic_load(e->flags)) {
		atomic_store(&h->flags, NULL);
		return false;
	}
	h->s = (struct jit_stack){ va & PAGE_MASK, e->delta };
	c->stack[mmu] = h->s;
	return true;
}

const void *jit_stack_miss(struct tcg_cpu *c, u64 va, u32 unused,
			   const struct jit_run *at)
{
	if (stack_take(c, va, c->mmu)) {
		c->jit->stack_fills++;
		return (const u8 *)at - at->retry;
	}
	/* One access after the other, each by the TLB. */
	c->jit->stack_aparts++;
	return jit_apart(c, at->off);
}

/* ---- The other side ---- */

static bool stack_holds(struct tcg_cpu *c, const _Atomic u8 *flags, bool drop)
{
	bool found = false;

	for (int n = 0; n < MMU_COUNT * JIT_HELD; n++) {
		struct jit_held *h = &c->held[n / JIT_HELD][n % JIT_HELD];

		if (atomic_load(&h->flags) != flags)
			continue;
		found = true;
		if (drop)
			stack_drop(c, n / JIT_HELD, h);
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
