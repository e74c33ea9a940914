/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * T1's run time: code memory, the shared pieces of code around translations,
 * finding and linking blocks, what translated code calls.
 *
 * When code memory is full everything is dropped; nothing in it outlives a
 * return to C.
 */
#include "tcg/jit.h"

#include <asm/prctl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/perfmap.h"
#include "tcg/handlers.h"
#include "tcg/log.h"
#include "tcg/softmmu.h"
#include "tcg/tcg.h"

const u8 jit_home[16] = {
	[REG_RAX] = H_R11,      [REG_RCX] = H_RCX,      [REG_RDX] = H_RDX,
	[REG_RBX] = H_RBX,      [REG_RSP] = H_R15,      [REG_RBP] = H_RBP,
	[REG_RSI] = H_RSI,      [REG_RDI] = H_RDI,      [REG_R8] = H_R8,
	[REG_R9] = H_R9,        [REG_R10] = JIT_NOHOME, [REG_R11] = JIT_NOHOME,
	[REG_R12] = H_R12,      [REG_R13] = H_R13,      [REG_R14] = H_R14,
	[REG_R15] = JIT_NOHOME,
};

const u16 jit_guest[16] = {
	[H_R11] = BIT(REG_RAX), [H_RCX] = BIT(REG_RCX), [H_RDX] = BIT(REG_RDX),
	[H_RBX] = BIT(REG_RBX), [H_R15] = BIT(REG_RSP), [H_RBP] = BIT(REG_RBP),
	[H_RSI] = BIT(REG_RSI), [H_RDI] = BIT(REG_RDI), [H_R8] = BIT(REG_R8),
	[H_R9] = BIT(REG_R9),   [H_R12] = BIT(REG_R12), [H_R13] = BIT(REG_R13),
	[H_R14] = BIT(REG_R14),
};

#define STATE(field) rm_state(offsetof(struct tcg_cpu, field))

/* Loops that are made longer: rounds, and all their instructions. */
#define UNROLL_TIMES 4
#define UNROLL_INSNS 32

/* ---- Finding ---- */

/* GS belongs to nobody else in this process. */
static void jit_thread(struct tcg_cpu *c)
{
	static _Thread_local const struct tcg_cpu *gs;

	if (likely(gs == c))
		return;
	syscall(SYS_arch_prctl, ARCH_SET_GS, c);
	gs = c;
}

static u32 jit_block_key(const struct tcg_cpu *c)
{
	return c->mode_key | (u32)c->cpl << JIT_KEY_CPL_SHIFT |
	       (u32)c->mmu << JIT_KEY_MMU_SHIFT;
}

static u64 jit_hash_all(gpa_t phys, u32 key)
{
	return (phys ^ (u64)key << 40) * 0x9e3779b97f4a7c15ULL;
}

static u32 jit_hash(const struct jit *j, gpa_t phys, u32 key)
{
	return (u32)(jit_hash_all(phys, key) >> (64 - j->hash_bits));
}

static bool jit_valid(const struct jit_block *t)
{
	const struct jit_crossing *x = t->crossing;

	if (atomic_load_explicit(t->gen_now, memory_order_relaxed) != t->gen)
		return false;
	return likely(!x) ||
	       atomic_load_explicit(x->gen_now, memory_order_relaxed) == x->gen;
}

/* Is the page behind c->rip's the one that the block goes on in?  Raises. */
static bool jit_goes_over(struct tcg_cpu *c, const struct jit_block *t)
{
	gva_t next = (c->rip & PAGE_MASK) + PAGE_SIZE;
	gpa_t phys;

	if (likely(!t->crossing))
		return true;
	if (tcg_page_breaks(c, next))
		return false; /* its code would look for the page's tag */
	tcg_fetch(c, next, &phys);
	return phys == t->crossing->phys;
}

/* How often a block has been run by the interpreter.  Counted beside the
 * blocks, which come and go; two blocks that share a counter are translated a
 * little early. */
static u8 *jit_runs(const struct jit *j, gpa_t phys, u32 key)
{
	return &j->runs[jit_hash_all(phys, key) >> (64 - JIT_RUNS_BITS)];
}

/* Code for c->rip.  Forgets blocks that it finds out of date: their page may
 * be written again and again, so they have to run often anew before the next
 * translation. */
static struct jit_block *jit_lookup(struct tcg_cpu *c, gpa_t phys, u32 key)
{
	struct jit *j = c->jit;
	struct jit_block **at = &j->hash[jit_hash(j, phys, key)], *t;

	while ((t = *at)) {
		if (t->phys == phys && t->key == key) {
			if (!jit_valid(t)) {
				*at = t->next;
				j->hashed--;
				j->stale++;
				*jit_runs(j, phys, key) = 0;
				continue;
			}
			if (jit_goes_over(c, t))
				return t;
		}
		at = &t->next;
	}
	return NULL;
}

static const u8 *jit_code(const struct jit *j, const struct jit_block *t)
{
	return j->rw + t->code + j->e.rx;
}

static const struct jit_block *jit_block_of(const struct jit *j,
					    const void *code)
{
	const u8 *at = (const u8 *)code - j->e.rx;

	return (const struct jit_block *)(j->rw + get_le32(at - 4));
}

/* `t` is at c->rip. */
static void jit_remember(struct tcg_cpu *c, const struct jit_block *t)
{
	u64 tag = t->phys + c->jit_key;
	struct jit_jcache *slot = &c->jcache[JIT_JCACHE_SLOT(c, tag)];

	/* In place of one that is out of date, mostly. */
	c->jump[JIT_JUMP_SLOT(c->rip)] = (struct jit_jump){
		.va = c->rip,
		.key = c->jump_key,
		.host = jit_code(c->jit, t),
	};
	if (t->phys >> JIT_TAG_SHIFT)
		return;
	slot->tag = tag;
	slot->host = jit_code(c->jit, t);
}

static void jit_set_key(struct tcg_cpu *c)
{
	c->jit_key = JIT_TAG(jit_block_key(c));
	c->jump_key = c->jit_key | c->jump_epoch[c->cpl == 3];
}

static bool jit_canonical(u64 va)
{
	return (u64)((s64)(va << 16) >> 16) == va;
}

/* Has the block run often enough? */
static bool jit_counted(struct tcg_cpu *c, gpa_t phys, u32 key)
{
	u8 *runs = jit_runs(c->jit, phys, key);

	return *runs >= c->t->hot || ++*runs >= c->t->hot;
}

/* Code for c->rip, fetched afresh; raises.  NULL: none yet. */
static const struct jit_block *jit_at_rip(struct tcg_cpu *c)
{
	u32 key = jit_block_key(c);
	const struct jit_jcache *slot;
	const struct jit_block *t;
	gpa_t phys;

	if (!jit_canonical(c->rip) || !tcg_fetch(c, c->rip, &phys) ||
	    tcg_page_breaks(c, c->rip))
		return NULL;
	phys |= c->rip & (PAGE_SIZE - 1);
	if (*jit_runs(c->jit, phys, key) < c->t->hot)
		return NULL; /* found without a look at larger tables */
	slot = &c->jcache[JIT_JCACHE_SLOT(c, phys + JIT_TAG(key))];
	if (likely(slot->tag == phys + JIT_TAG(key))) {
		t = jit_block_of(c->jit, slot->host);
		if (likely(jit_valid(t)) && jit_goes_over(c, t))
			return t;
	}
	return jit_lookup(c, phys, key);
}

/* ---- What translated code calls ----
 *
 * Where it goes on, or NULL: leave it, c->rip is set. */

/* After something that may have changed more than registers. */
static bool jit_goes_on(struct tcg_cpu *c, u64 page, u32 info, u32 drops)
{
	u64 next = page + JIT_INFO_OFF(info) + JIT_INFO_LEN(info);

	c->ip = NULL;
	c->gpr[INSN_RIP] = page;
	return !(info & JIT_INFO_JUMPS) && c->rip == next && !c->end_block &&
	       !c->shadow && !c->halted && c->stack_drops == drops &&
	       !atomic_load_explicit(&c->v->request, memory_order_relaxed);
}

static bool jit_hits(struct tcg_cpu *c, u64 va, u32 size, bool write)
{
	const struct tlb_entry *e = tcg_tlb_entry(c, va, c->mmu);

	return tcg_tlb_hit(write ? e->write : e->read, va, size);
}

/* The block from `off` in its page on, without stack[] and span[]; or NULL,
 * and it is run next. */
const void *jit_apart(struct tcg_cpu *c, u32 off)
{
	const struct jit_block *t;
	gpa_t phys;

	c->rip = c->gpr[INSN_RIP] + off;
	if (!c->jit->nochain && tcg_fetch(c, c->rip, &phys) &&
	    !tcg_page_breaks(c, c->rip)) {
		t = jit_lookup(c, (phys & PAGE_MASK) | off,
			       jit_block_key(c) | JIT_KEY_APART);
		if (t) {
			jit_stack_enter(c);
			return jit_code(c->jit, t);
		}
	}
	c->stack_apart = true;
	return NULL;
}

/* An access to `va ^ tag` was no hit of the TLB slot at offset `slot`: fills
 * it, or has the interpreter run the whole instruction. */
static const void *jit_slow(struct tcg_cpu *c, u64 va, u32 slot,
			    const struct jit_slow *at)
{
	const struct tlb_entry *e =
		&c->tlb[c->mmu][slot / sizeof(struct tlb_entry)];
	bool write = JIT_INFO_WRITE(at->info);
	u32 size = JIT_INFO_SIZE(at->info);
	u64 page = c->gpr[INSN_RIP];
	u32 drops = c->stack_drops;

	va ^= write ? e->write : e->read;
	va += at->ahead;
	if (at->info & JIT_INFO_LEADS && jit_hits(c, va, size, write)) {
		c->jit->span_aparts++;
		return jit_apart(c, JIT_INFO_OFF(at->info));
	}
	if (!(at->info & JIT_INFO_ALIGN && va & (size - 1)) &&
	    tcg_tlb_fill(c, va, size, write)) {
		c->jit->fills++;
		return (const u8 *)at - at->retry;
	}
	if ((va & (PAGE_SIZE - 1)) + size > PAGE_SIZE)
		c->jit->crossings++;
	else
		c->jit->singles++;
	c->rip = page + JIT_INFO_OFF(at->info);
	tcg_run_single(c);
	if (at->info & (JIT_INFO_UNMASKS | JIT_INFO_LEADS))
		return NULL;
	return jit_goes_on(c, page, at->info, drops) ? (const u8 *)at - at->back
						     : NULL;
}

/* A store has hit a page with flags: `flags` is its byte. */
static const void *jit_notice(struct tcg_cpu *c, u64 flags, u32 unused,
			      const struct jit_slow *at)
{
	u64 page = c->gpr[INSN_RIP];

	c->jit->notices++;
	c->end_block = false;
	tcg_page_noticed(c, (_Atomic u8 *)flags, JIT_INFO_SIZE(at->info));
	if (!(at->info & JIT_INFO_JUMPS))
		c->rip = page + JIT_INFO_OFF(at->info);
	if (!(at->info & JIT_INFO_JUMPS) &&
	    !(at->info & JIT_INFO_REP && c->gpr[REG_RCX]))
		c->rip += JIT_INFO_LEN(at->info);
	return c->end_block ? NULL : (const u8 *)at - at->back;
}

/* Runs the handler of an instruction that has no template. */
static const void *jit_interp(struct tcg_cpu *c, const struct insn *i, u32 info,
			      const void *at)
{
	u32 drops = c->stack_drops;

	c->jit->interps++;
	c->jit->called[i->row]++;
	c->end_block = false;
	c->ip = i;
	i->fn(c, i);
	return jit_goes_on(c, c->gpr[INSN_RIP], info, drops) ? at : NULL;
}

/* Does nothing keep us from running what comes next? */
static bool jit_steps_on(const struct tcg_cpu *c)
{
	return c->code64 &&
	       !(c->halted | c->shadow | (c->mode_key & MODE_STEP) |
		 atomic_load_explicit(&c->v->request, memory_order_relaxed) |
		 atomic_load_explicit(&log_mask, memory_order_relaxed));
}

/* Runs the handler of an instruction that may change everything; goes on at
 * c->rip, or leaves translated code. */
static bool jit_step(struct tcg_cpu *c, const struct insn *i)
{
	u32 epoch = c->code_epoch;

	c->jit->interps++;
	c->jit->called[i->row]++;
	c->end_block = false;
	c->ip = i;
	i->fn(c, i);
	c->ip = NULL;
	if (!jit_steps_on(c))
		return false;
	if (c->code_epoch != epoch) /* returns may lead to something else */
		c->jit_sp_now = c->jit_sp;
	jit_set_key(c);
	jit_stack_enter(c);
	return true;
}

/* c->rip is not in the jump cache. */
static const void *jit_miss(struct tcg_cpu *c)
{
	const struct jit_block *t;

	if (c->jit->nochain ||
	    atomic_load_explicit(&c->exit_req, memory_order_relaxed))
		return NULL;
	t = jit_at_rip(c);
	if (!t)
		return NULL;
	c->jit->misses++;
	jit_remember(c, t);
	c->gpr[INSN_RIP] = c->rip & PAGE_MASK;
	return jit_code(c->jit, t);
}

/* ---- Shared code ---- */

static void thunk_registers(struct jit_emit *e, bool save)
{
	for (int r = 0; r < 16; r++) {
		if (jit_home[r] == JIT_NOHOME)
			continue;
		if (save)
			em_store(e, STATE(gpr[r]), jit_home[r]);
		else
			em_load(e, jit_home[r], STATE(gpr[r]));
	}
}

/* Calls `what` if vector or x87 registers are live. */
static void thunk_live(struct jit *j, const u8 *what)
{
	struct jit_emit *e = &j->e;
	u8 *over;

	em_rm(e, 0x80, 7, STATE(vec_live)); /* cmp byte, 0 */
	em8(e, 0);
	over = em_jcc(e, 4);
	em_to(em_call(e), what);
	em_here(e, over);
}

/* Calls what saves or loads the registers that are live. */
static u8 *thunk_live_parts(struct jit *j, const u8 *vec, const u8 *x87)
{
	struct jit_emit *e = &j->e;
	u8 *start = e->at, *over;

	em_rm(e, 0xf6, 0, STATE(vec_live)); /* test byte */
	em8(e, JIT_VEC_XMM);
	over = em_jcc(e, 4);
	em_to(em_call(e), vec);
	em_here(e, over);
	if (x87) {
		em_rm(e, 0xf6, 0, STATE(vec_live));
		em8(e, JIT_VEC_X87);
		over = em_jcc(e, 4);
		em_to(em_call(e), x87);
		em_here(e, over);
	}
	em8(e, 0xc3);
	return start;
}

static const u8 thunk_callee_saved[] = { H_RBX, H_RBP, H_R12,
					 H_R13, H_R14, H_R15 };

/* At the bottom of the pairs is one that nothing matches: whatever the guest
 * returns to, j->ret_none leaves for it. */
static u8 *thunk_enter(struct jit *j)
{
	struct jit_emit *e = &j->e;
	u8 *start = e->at;

	for (size_t n = 0; n < ARRAY_SIZE(thunk_callee_saved); n++)
		em_plus(e, 0x50, thunk_callee_saved[n]);
	em_rm(e, EM_W | 0x83, 5, rm_reg(H_RSP)); /* sub rsp, 8 */
	em8(e, 8);
	em8(e, 0x6a); /* push -1 */
	em8(e, 0xff);
	em_lea_rip(e, H_RAX, j->ret_none);
	em_plus(e, 0x50, H_RAX);
	em_store(e, STATE(jit_sp), H_RSP);
	em_lea(e, H_RAX, rm_mem(H_RSP, -(s32)JIT_PAIRS_SIZE));
	em_store(e, STATE(jit_sp_min), H_RAX);
	em_mov(e, H_RAX, H_RSI);
	em_rm(e, 0xc6, 0, STATE(vec_live)); /* mov byte, 0 */
	em8(e, 0);
	thunk_registers(e, false);
	em_rm(e, 0xff, 4, rm_reg(H_RAX)); /* jmp rax */
	return start;
}

/* rax: what jit_run() gets.  `leave` when all registers are saved already. */
static void thunk_exit(struct jit *j)
{
	struct jit_emit *e = &j->e;

	j->exit = e->at;
	thunk_live(j, j->live_save);
	thunk_registers(e, true);
	j->leave = e->at;
	em_load(e, H_RSP, STATE(jit_sp));
	em_rm(e, EM_W | 0x83, 0, rm_reg(H_RSP)); /* add rsp, 24 */
	em8(e, 24);
	for (size_t n = ARRAY_SIZE(thunk_callee_saved); n-- > 0;)
		em_plus(e, 0x58, thunk_callee_saved[n]);
	em8(e, 0xc3);
}

/* Called; a struct jit_exit follows the call. */
static u8 *thunk_exit_stub(struct jit *j)
{
	struct jit_emit *e = &j->e;
	u8 *start = e->at;

	em_plus(e, 0x58, H_RAX);                         /* pop rax */
	em_rm(e, EM_0F | 0xb7, H_R10, rm_mem(H_RAX, 0)); /* movzx */
	em_rm(e, EM_W | 0x03, H_R10, STATE(gpr[INSN_RIP]));
	em_store(e, STATE(rip), H_R10);
	em_to(em_jmp(e), j->exit);
	return start;
}

/* Returns where the mask is. */
static u8 *thunk_slot(struct jit_emit *e, u8 bits, u8 shift)
{
	u8 *at;

	em8(e, 0x25); /* and eax, slots */
	at = e->at;
	em32(e, ((1u << bits) - 1) << shift);
	return at;
}

#define JUMP(field)                                            \
	rm_state_index(H_RAX, offsetof(struct tcg_cpu, jump) + \
				      offsetof(struct jit_jump, field))

/* eax: offset in c->jump[] for r10. */
static void thunk_jump_slot(struct jit_emit *e)
{
	em_rm(e, 0x89, H_R10, rm_reg(H_RAX));
	em_rm(e, 0xc1, 5, rm_reg(H_RAX)); /* shr eax, 9 */
	em8(e, 9);
	em_rm(e, 0x33, H_RAX, rm_reg(H_R10));
	em_rm(e, 0xc1, 4, rm_reg(H_RAX)); /* shl eax, 5 */
	em8(e, 5);
	_Static_assert(sizeof(struct jit_jump) == 32, "shift above");
	thunk_slot(e, JIT_JUMP_BITS, 5);
}

/* What c->jump[] does not know: r10 becomes the address of the code, and RCX
 * is on the stack.  Leaves for `miss`, which pops it, or goes on.  Once the
 * page is found the branch has been made: its target is an address. */
static void thunk_lookup_page(struct jit *j, bool ring3, u8 *miss[2])
{
	struct jit_emit *e = &j->e;
	size_t it = offsetof(struct tcg_cpu, itlb[ring3]);
	size_t jc = offsetof(struct tcg_cpu, jcache);

	em_mov(e, H_RCX, H_R10);
	em_rm(e, EM_W | 0x81, 4, rm_reg(H_RCX)); /* and rcx, -4096 */
	em32(e, (u32)-4096);
	em_rm(e, 0x89, H_R10, rm_reg(H_RAX));
	em_rm(e, 0xc1, 5, rm_reg(H_RAX)); /* shr eax, 12 - 5 */
	em8(e, PAGE_SHIFT - 5);
	_Static_assert(sizeof(struct itlb_entry) == 32, "shift above");
	thunk_slot(e, ITLB_BITS, 5);
	em_rm(e, EM_W | 0x33, H_R10,
	      rm_state_index(H_RAX, it + offsetof(struct itlb_entry, tag)));
	em_rm(e, EM_W | 0x81, 7, rm_reg(H_R10)); /* cmp r10, 4096 */
	em32(e, PAGE_SIZE);
	miss[0] = em_jcc(e, 3);
	em_rm(e, EM_W | 0x03, H_R10,
	      rm_state_index(H_RAX, it + offsetof(struct itlb_entry, phys)));
	em_store(e, STATE(gpr[INSN_RIP]), H_RCX);
	em_rm(e, EM_W | 0x03, H_R10, STATE(jit_key));
	em_rm(e, 0x89, H_R10, rm_reg(H_RAX));
	em_rm(e, 0xc1, 5, rm_reg(H_RAX)); /* shr eax, 12 */
	em8(e, PAGE_SHIFT);
	em_rm(e, 0x33, H_RAX, rm_reg(H_R10));
	em_rm(e, 0xc1, 4, rm_reg(H_RAX)); /* shl eax, 4 */
	em8(e, 4);
	_Static_assert(sizeof(struct jit_jcache) == 16, "shift above");
	j->jcache_mask[ring3] = thunk_slot(e, JIT_JCACHE_BITS_MIN, 4);
	em_rm(e, EM_W | 0x3b, H_R10,
	      rm_state_index(H_RAX, jc + offsetof(struct jit_jcache, tag)));
	miss[1] = em_jcc(e, 5);
	em_load(e, H_R10,
		rm_state_index(H_RAX, jc + offsetof(struct jit_jcache, host)));
}

/* r10: linear address to go to, eax: JIT_BRANCH().  What is found does not
 * come from c->gpr[INSN_RIP], or each branch would wait for the one before. */
static u8 *thunk_lookup(struct jit *j, bool ring3)
{
	struct jit_emit *e = &j->e;
	u8 *start = e->at, *asked, *other[2], *miss[2];

	em_store(e, STATE(rip), H_R10);
	em_rm(e, 0x89, H_RAX, STATE(jit_branch));
	em_rm(e, 0x83, 7, STATE(exit_req)); /* cmp dword, 0 */
	em8(e, 0);
	asked = em_jcc(e, 5);
	thunk_jump_slot(e);
	em_rm(e, EM_W | 0x3b, H_R10, JUMP(va));
	other[0] = em_jcc(e, 5);
	em_rm(e, EM_W | 0x81, 4, rm_reg(H_R10)); /* and r10, -4096 */
	em32(e, (u32)-4096);
	em_store(e, STATE(gpr[INSN_RIP]), H_R10);
	em_load(e, H_R10, STATE(jump_key));
	em_rm(e, EM_W | 0x3b, H_R10, JUMP(key));
	other[1] = em_jcc(e, 5);
	em_rm(e, 0xff, 4, JUMP(host)); /* jmp */

	em_here(e, other[1]);
	em_load(e, H_R10, STATE(rip));
	em_here(e, other[0]);
	em_plus(e, 0x50, H_RCX); /* push */
	thunk_lookup_page(j, ring3, miss);
	em_mov(e, H_RCX, H_R10);
	em_load(e, H_R10, STATE(rip));
	thunk_jump_slot(e);
	em_store(e, JUMP(va), H_R10);
	em_store(e, JUMP(host), H_RCX);
	em_load(e, H_R10, STATE(jump_key));
	em_store(e, JUMP(key), H_R10);
	em_mov(e, H_R10, H_RCX);
	em_plus(e, 0x58, H_RCX); /* pop */
	em_rm(e, 0xff, 4, rm_reg(H_R10));
	em_here(e, miss[0]);
	em_here(e, miss[1]);
	em_plus(e, 0x58, H_RCX);
	em_here(e, asked);
	em_to(em_jmp(e), j->miss);
	return start;
}

/* Jumped to: jit_miss(c), which answers where to go on. */
static u8 *thunk_miss(struct jit *j)
{
	struct jit_emit *e = &j->e;
	u8 *start = e->at, *found;

	thunk_registers(e, true);
	em_load(e, H_RDI, STATE(self));
	thunk_live(j, j->live_save);
	em_call_abs(e, (const void *)(uintptr_t)jit_miss);
	em_rm(e, EM_W | 0x85, H_RAX, rm_reg(H_RAX));
	found = em_jcc(e, 5);
	em_mov_imm(e, H_RAX, JIT_LEFT_IND);
	em_to(em_jmp(e), j->leave);
	em_here(e, found);
	em_store(e, STATE(jit_tmp), H_RAX);
	thunk_live(j, j->live_load);
	thunk_registers(e, false);
	em_rm(e, 0xff, 4, STATE(jit_tmp)); /* jmp */
	return start;
}

/* As thunk_lookup(), for a return without its call; and leaving a block that
 * is out of date. */
static void thunk_ret(struct jit *j)
{
	struct jit_emit *e = &j->e;

	for (int ring3 = 0; ring3 < 2; ring3++) {
		j->ret_miss[ring3] = e->at;
		em_load(e, H_RSP, STATE(jit_sp));
		em_to(em_jmp(e), j->lookup[ring3]);
	}
	j->ret_none = e->at;
	em_store(e, STATE(rip), H_R10);
	em_rm(e, 0x89, H_RAX, STATE(jit_branch));
	em_mov_imm(e, H_RAX, JIT_LEFT_IND);
	em_to(em_jmp(e), j->exit);
	j->outdated = e->at;
	em_mov_imm(e, H_RAX, JIT_LEFT);
	em_to(em_jmp(e), j->exit);
}

/* Calls a function of C with (c, r10, eax, return address), which answers
 * where to go on.  The host's flags are loaded from c->cc on the way.  Vector
 * and x87 registers are live afterwards if they were before and it `keeps`
 * them. */
static u8 *thunk_c(struct jit *j, const void *fn, bool keeps)
{
	struct jit_emit *e = &j->e;
	u8 *start = e->at, *leave;

	thunk_registers(e, true);
	em_load(e, H_RDI, STATE(self));
	em_mov(e, H_RSI, H_R10);
	em_rm(e, 0x89, H_RAX, rm_reg(H_RDX));
	em_load(e, H_RCX, rm_mem(H_RSP, 0));
	thunk_live(j, j->live_save);
	if (!keeps) {
		em_rm(e, 0xc6, 0, STATE(vec_live)); /* mov byte, 0 */
		em8(e, 0);
	}
	em_rm(e, EM_W | 0x83, 5, rm_reg(H_RSP)); /* sub rsp, 8 */
	em8(e, 8);
	em_call_abs(e, fn);
	em_rm(e, EM_W | 0x83, 0, rm_reg(H_RSP)); /* add rsp, 8 */
	em8(e, 8);
	em_rm(e, EM_W | 0x85, H_RAX, rm_reg(H_RAX));
	leave = em_jcc(e, 4);
	em_store(e, rm_mem(H_RSP, 0), H_RAX);
	if (keeps)
		thunk_live(j, j->live_load);
	thunk_registers(e, false);
	em_rm(e, EM_0F | 0xb7, H_RAX, STATE(cc)); /* movzx */
	em8(e, 0x04); /* add al, 0x7f: OF from bit 0 */
	em8(e, 0x7f);
	em8(e, 0x9e); /* sahf */
	em8(e, 0xc3);
	em_here(e, leave);
	em_rm(e, EM_W | 0x83, 0, rm_reg(H_RSP)); /* drop the return address */
	em8(e, 8);
	em_mov_imm(e, H_RAX, JIT_LEFT);
	em_to(em_jmp(e), j->leave);
	return start;
}

/* Jumped to: jit_step(c, r10), then to c->rip by the jump cache. */
static u8 *thunk_step(struct jit *j)
{
	struct jit_emit *e = &j->e;
	u8 *start = e->at;

	thunk_registers(e, true);
	em_load(e, H_RDI, STATE(self));
	em_mov(e, H_RSI, H_R10);
	thunk_live(j, j->live_save);
	em_rm(e, 0xc6, 0, STATE(vec_live)); /* mov byte, 0 */
	em8(e, 0);
	em_store(e, STATE(jit_sp_now), H_RSP);
	em_call_abs(e, (const void *)(uintptr_t)jit_step);
	em_rm(e, EM_0F | 0xb6, H_RAX, rm_reg(H_RAX)); /* movzx */
	em_rm(e, 0x85, H_RAX, rm_reg(H_RAX));
	em_to(em_jcc(e, 4), j->leave); /* JIT_LEFT */
	em_load(e, H_RSP, STATE(jit_sp_now));
	thunk_registers(e, false);
	em_load(e, H_R10, STATE(rip));
	em_mov_imm(e, H_RAX, JIT_BRANCH(0, JIT_BRANCH_NONE, 0));
	em_rm(e, 0x80, 7, STATE(cpl)); /* cmp byte */
	em8(e, 3);
	em_to(em_jcc(e, 4), j->lookup[1]);
	em_to(em_jmp(e), j->lookup[0]);
	return start;
}

/* For perf.  One that is not listed counts as the one before it. */
static void jit_name_thunks(const struct jit *j, const u8 *enter)
{
	const struct {
		const char *name;
		const u8 *start;
	} rows[] = {
		{ "enter", enter },
		{ "vec-save", j->vec_save },
		{ "vec-load", j->vec_load },
		{ "exit", j->exit },
		{ "vec-refuse", j->vec_refuse },
		{ "vec-legacy", j->vec_legacy },
		{ "vec-vex", j->vec_vex },
		{ "exit-stub", j->exit_stub },
		{ "lookup", j->lookup[0] },
		{ "lookup-user", j->lookup[1] },
		{ "miss", j->miss },
		{ "ret-miss", j->ret_miss[0] },
		{ "step", j->step },
		{ "syscall", j->sys_call },
		{ "sysret", j->sys_ret },
		{ "slow", j->slow },
		{ "interp", j->interp },
		{ "notice", j->notice },
		{ "stack", j->stack[0] },
		{ "stack-miss", j->stack_miss },
	};

	for (size_t n = 0; n < ARRAY_SIZE(rows); n++) {
		const u8 *end = j->e.at;

		for (size_t k = 0; k < ARRAY_SIZE(rows); k++)
			if (rows[k].start > rows[n].start &&
			    rows[k].start < end)
				end = rows[k].start;
		perfmap_add(rows[n].start + j->e.rx,
			    (size_t)(end - rows[n].start), "jit:%s",
			    rows[n].name);
	}
}

static void jit_empty(struct jit *j)
{
	j->e.at = j->rw + j->start;
	j->cold = j->cold_start;
	j->data = j->rw + j->size;
}

static void jit_thunks(struct jit *j)
{
	struct jit_emit *e = &j->e;
	u8 *enter;

	j->x87_area = (u8 *)ALIGN_UP((uintptr_t)j->x87_room, 64);
	j->vec_save = jit_vec_save(j);
	j->vec_load = jit_vec_load(j);
	if (jit_x87_usable()) {
		j->x87_save = jit_x87_save(j);
		j->x87_load = jit_x87_load(j);
	}
	j->live_save = thunk_live_parts(j, j->vec_save, j->x87_save);
	j->live_load = thunk_live_parts(j, j->vec_load, j->x87_load);
	thunk_exit(j);
	j->vec_refuse = jit_vec_refuse(j);
	j->vec_legacy = jit_vec_enter(j, JIT_VEC_LEGACY);
	j->vec_vex = jit_vec_enter(j, JIT_VEC_VEX);
	if (jit_x87_usable())
		j->x87_enter = jit_x87_enter(j);
	j->exit_stub = thunk_exit_stub(j);
	j->miss = thunk_miss(j);
	for (int ring3 = 0; ring3 < 2; ring3++)
		j->lookup[ring3] = thunk_lookup(j, ring3);
	thunk_ret(j);
	enter = thunk_enter(j);
	j->enter = (const void *(*)(struct tcg_cpu *, const void *))(
		uintptr_t)(enter + e->rx);
	j->slow = thunk_c(j, (const void *)(uintptr_t)jit_slow, true);
	j->interp = thunk_c(j, (const void *)(uintptr_t)jit_interp, false);
	j->notice = thunk_c(j, (const void *)(uintptr_t)jit_notice, true);
	j->stack_miss =
		thunk_c(j, (const void *)(uintptr_t)jit_stack_miss, true);
	for (int m = 0; m < MMU_COUNT; m++)
		j->stack[m] = jit_stack_thunk(j, m);
	j->step = thunk_step(j);
	j->sys_call = jit_sys_call(j);
	j->sys_ret = jit_sys_ret(j);
	if (perfmap_on())
		jit_name_thunks(j, enter);
	e->at = (u8 *)ALIGN_UP((uintptr_t)e->at, 64);
	j->start = (size_t)(e->at - j->rw);
	/* As blocks of a kernel and its programs need it. */
	j->cold_start = j->rw + ALIGN_DOWN(j->size / 16 * 9, PAGE_SIZE);
	j->cold_end = j->rw + ALIGN_DOWN(j->size / 16 * 13, PAGE_SIZE);
	jit_empty(j);
}

/* ---- Life ---- */

/* perf looks for names in its map only where memory has none of its own, and
 * a memfd has. */
static int jit_map_unnamed(struct jit *j, void **rw, void **rx)
{
	*rw = mmap(NULL, j->size, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (*rw == MAP_FAILED)
		return -errno;
	/* Of a length of nothing it makes a second mapping. */
	*rx = mremap(*rw, 0, j->size, MREMAP_MAYMOVE);
	if (*rx != MAP_FAILED &&
	    mprotect(*rx, j->size, PROT_READ | PROT_EXEC) < 0) {
		munmap(*rx, j->size);
		*rx = MAP_FAILED;
	}
	return 0;
}

static int jit_map_memfd(struct jit *j, void **rw, void **rx)
{
	int fd = memfd_create("vmon-jit", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)j->size) < 0) {
		close(fd);
		return -errno;
	}
	*rw = mmap(NULL, j->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	*rx = mmap(NULL, j->size, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
	close(fd);
	return 0;
}

static int jit_map(struct jit *j)
{
	void *rw = MAP_FAILED, *rx = MAP_FAILED;
	int r = perfmap_on() ? jit_map_unnamed(j, &rw, &rx)
			     : jit_map_memfd(j, &rw, &rx);

	if (r < 0)
		return r;
	if (rw == MAP_FAILED || rx == MAP_FAILED) {
		if (rw != MAP_FAILED)
			munmap(rw, j->size);
		return -EACCES;
	}
	j->rw = j->e.at = rw;
	j->e.rx = (u8 *)rx - (u8 *)rw;
	return 0;
}

int jit_create(struct tcg_cpu *c, size_t size, struct err *err)
{
	struct jit *j = xalloc(sizeof *j);
	int r;

	jit_rows_init();
	j->size = size;
	r = jit_map(j);
	if (r < 0) {
		free(j);
		return err_code(err, r, "no executable memory for the JIT");
	}
	j->hash_bits = JIT_HASH_BITS_MIN;
	j->hash = xcalloc(1u << j->hash_bits, sizeof *j->hash);
	c->jcache_mask = JIT_JCACHE_MASK(JIT_JCACHE_BITS_MIN);
	j->runs = xcalloc(1u << JIT_RUNS_BITS, 1);
	j->classes = xcalloc(opdesc_count, 1);
	j->extended = xalloc(BLOCK_BYTES(BLOCK_INSNS));
	j->called = xcalloc(opdesc_count, sizeof *j->called);
	for (u16 row = 0; row < opdesc_count; row++)
		j->classes[row] = jit_classify(row, c->features);
	if (c->t->check)
		j->check = jit_check_create(c->t->check);
	j->nochain = j->check;
	jit_thunks(j);
	c->self = c;
	c->jit = j;
	r = jit_stack_init(c);
	if (r < 0) {
		jit_destroy(c);
		return err_code(err, r, "no random numbers for the JIT");
	}
	return 0;
}

void jit_destroy(struct tcg_cpu *c)
{
	struct jit *j = c->jit;

	if (!j)
		return;
	munmap(j->rw + j->e.rx, j->size);
	munmap(j->rw, j->size);
	jit_check_destroy(j->check);
	free(j->hash);
	free(j->runs);
	free(j->classes);
	free(j->extended);
	free(j->called);
	free(j);
	c->jit = NULL;
}

static bool jit_full(const struct jit *j)
{
	return (size_t)(j->cold_start - j->e.at) < JIT_BLOCK_ROOM ||
	       (size_t)(j->cold_end - j->cold) < JIT_BLOCK_ROOM ||
	       (size_t)(j->data - j->cold_end) < JIT_BLOCK_ROOM;
}

void jit_flush(struct tcg_cpu *c)
{
	struct jit *j = c->jit;

	memset(j->hash, 0, sizeof *j->hash << j->hash_bits);
	j->hashed = 0;
	memset(c->jcache, 0, (c->jcache_mask + 1) * sizeof c->jcache[0]);
	memset(c->jump, 0, sizeof c->jump);
	jit_empty(j);
	j->link = NULL;
	j->flushes++;
}

/* For perf. */
static void jit_name_block(const struct jit *j, const struct jit_block *t,
			   const u8 *cold, u64 rip)
{
	unsigned long long va = rip;

	perfmap_add(jit_code(j, t), (size_t)(j->e.at - (j->rw + t->code)),
		    "tb:%llx", va);
	perfmap_add(cold + j->e.rx, (size_t)(j->cold - cold), "tb-cold:%llx",
		    va);
}

static void jit_put(struct jit *j, struct jit_block *t)
{
	struct jit_block **head = &j->hash[jit_hash(j, t->phys, t->key)];

	t->next = *head;
	*head = t;
}

/* Makes the tables larger by which blocks are found.  Entries of c->jcache in
 * slots that are no longer theirs do no harm. */
static void jit_grow(struct tcg_cpu *c)
{
	struct jit *j = c->jit;
	struct jit_block **old = j->hash, *t, *next;
	u32 size = 1u << j->hash_bits, bits;

	j->hash_bits += 2;
	j->hash = xcalloc(1u << j->hash_bits, sizeof *j->hash);
	for (u32 h = 0; h < size; h++)
		for (t = old[h]; t; t = next) {
			next = t->next;
			jit_put(j, t);
		}
	free(old);
	bits = MIN(j->hash_bits - JIT_HASH_BITS_MIN + JIT_JCACHE_BITS_MIN,
		   JIT_JCACHE_BITS_MAX);
	c->jcache_mask = JIT_JCACHE_MASK(bits);
	for (u32 n = 0; n < ARRAY_SIZE(j->jcache_mask); n++)
		put_le32(j->jcache_mask[n],
			 c->jcache_mask * sizeof c->jcache[0]);
}

/* A loop over memory, one block long, comes several times in a row: operands of
 * one round after the other are often near each other. */
static void jit_unroll(const struct jit *j, struct tcg_block *b, u32 key)
{
	const struct insn *last = &b->insn[b->n - 1];
	int times = MIN(UNROLL_TIMES, UNROLL_INSNS / b->n);
	bool memory = false;

	if (j->classes[last->row] != JIT_JCC || last->opsize != 8 ||
	    b->gen_now2 || key & JIT_KEY_APART || j->nochain ||
	    last->off + last->len + (s64)last->imm != 0)
		return;
	for (int n = 0; n < b->n; n++)
		memory |= b->insn[n].is_mem;
	if (!memory)
		return;
	for (int n = 1; n < times; n++)
		memcpy(&b->insn[n * b->n], b->insn, b->n * sizeof *b->insn);
	b->n *= MAX(times, 1);
}

static struct jit_block *jit_make(struct tcg_cpu *c, struct tcg_block *b,
				  u32 key)
{
	struct jit *j = c->jit;
	struct jit_block *t;
	const u8 *cold;

	if (jit_full(j))
		jit_flush(c);
	cold = j->cold;
	tcg_block_extend(c, b, j->extended);
	jit_unroll(j, j->extended, key);
	t = jit_translate(c, j, j->extended, key);
	if (!t)
		return NULL;
	if (unlikely(perfmap_on()))
		jit_name_block(j, t, cold, c->rip);
	jit_put(j, t);
	if (++j->hashed > 1u << j->hash_bits &&
	    j->hash_bits < JIT_HASH_BITS_MAX)
		jit_grow(c);
	return t;
}

/* The translation of a block that has run often enough. */
static const struct jit_block *jit_find(struct tcg_cpu *c, struct tcg_block *b,
					bool apart)
{
	u32 key = jit_block_key(c) | (apart ? JIT_KEY_APART : 0);
	const struct jit_block *t;

	if (b->refused || !jit_counted(c, b->phys, key))
		return NULL;
	if (!(b->mode_key & MODE_CODE64)) {
		b->refused = true;
		return NULL;
	}
	t = jit_lookup(c, b->phys, key);
	if (!t)
		t = jit_make(c, b, key);
	b->refused = !t;
	return t;
}

/* Makes the jump that was left by go to `t`.  `link` was in the same page
 * under the same generation, or it is not linked. */
static void jit_link(struct jit *j, const struct jit_exit *link,
		     const struct jit_block *t)
{
	const struct jit_block *from;
	const u8 *body;
	u8 *site;

	if (!link->site || j->nochain)
		return;
	from = (const struct jit_block *)(j->rw + link->block);
	if ((from->phys ^ t->phys) & PAGE_MASK ||
	    (from->key ^ t->key) & ~(u32)(JIT_KEY_APART | JIT_KEY_MMU) ||
	    (t->key & JIT_KEY_MMU) >> JIT_KEY_MMU_SHIFT != link->mmu ||
	    !link->apart != !(t->key & JIT_KEY_APART) || from->gen != t->gen ||
	    from->gen_now != t->gen_now ||
	    link->target != (t->phys & (PAGE_SIZE - 1)))
		return;
	site = (u8 *)link - link->site;
	body = jit_code(j, t) + (t->crossing ? 0 : JIT_ENTRY_BYTES);
	__atomic_store_n((u32 *)(site - j->e.rx), (u32)(body - (site + 4)),
			 __ATOMIC_RELAXED);
	j->links++;
}

/* ---- Running ---- */

/* The branch that has been made faults, and is taken back.  SDM 2 "CALL",
 * "RET": #GP when the target is not canonical. */
static void jit_refuse_branch(struct tcg_cpu *c)
{
	u32 branch = c->jit_branch;

	if ((branch >> 12 & 3) == JIT_BRANCH_NONE)
		return;
	if ((branch >> 12 & 3) == JIT_BRANCH_CALL)
		c->gpr[REG_RSP] += 8;
	if ((branch >> 12 & 3) == JIT_BRANCH_RET)
		c->gpr[REG_RSP] -= 8 + (branch >> 16);
	c->rip = c->gpr[INSN_RIP] + (branch & 0xfff);
	c->ip = NULL;
	tcg_raise_code(c, EXC_GP, 0);
}

void jit_enter(struct tcg_cpu *c, const struct jit_block *t)
{
	struct jit *j = c->jit;
	const void *left;

	jit_stack_enter(c);
	c->gpr[INSN_RIP] = c->rip & PAGE_MASK;
	jit_thread(c);
	if (unlikely(c->t->torture.modes))
		torture_enter(c);
	/* Nothing is looked up yet: who takes it for a page shall fall. */
	if (unlikely(c->t->torture.modes || j->check))
		memset(c->span, 0xa5, sizeof c->span);
	j->entries++;
	if (unlikely(log_on(LOG_EXEC) || log_on(LOG_CPU)))
		tcg_log_run(c, jit_code(j, t), t->key, 0);
	left = j->enter(c, jit_code(j, t));
	jit_count_left(c, left);
	if (left > (const void *)JIT_LEFT_VEC) {
		j->link = left;
		c->stack_apart |= j->link->apart;
	} else if (left == (const void *)JIT_LEFT_IND &&
		   !jit_canonical(c->rip)) {
		jit_refuse_branch(c);
	} else if (left == (const void *)JIT_LEFT_VEC) {
		j->refused = true;
	}
}

static void jit_go(struct tcg_cpu *c, const struct jit_block *t, bool apart)
{
	jit_set_key(c);
	if (!apart && !c->jit->nochain)
		jit_remember(c, t);
	jit_enter(c, t);
}

/* -d nochain comes and goes; what is linked already goes with it. */
static void jit_follow_log(struct tcg_cpu *c)
{
	struct jit *j = c->jit;
	bool nochain = j->check || log_on(LOG_NOCHAIN);

	if (likely(nochain == j->nochain))
		return;
	jit_flush(c);
	j->nochain = nochain;
}

bool jit_resume(struct tcg_cpu *c)
{
	struct jit *j = c->jit;
	const struct jit_exit *link;
	const struct jit_block *t;

	jit_follow_log(c);
	link = j->link;
	if (j->refused || c->stack_apart || j->check)
		return false;
	j->link = NULL; /* a fetch may raise */
	t = jit_at_rip(c);
	if (!t) {
		j->link = link;
		return false;
	}
	if (link)
		jit_link(j, link, t);
	jit_go(c, t, false);
	return true;
}

bool jit_run(struct tcg_cpu *c, struct tcg_block *b)
{
	struct jit *j = c->jit;
	const struct jit_exit *link = j->link;
	const struct jit_block *t;
	bool apart = c->stack_apart;
	u32 flushes = j->flushes;

	j->link = NULL;
	c->stack_apart = false;
	if (unlikely(j->refused)) {
		j->refused = false;
		return false;
	}
	t = jit_find(c, b, apart);
	if (!t)
		return false;
	if (unlikely(j->check)) {
		jit_set_key(c);
		tcg_block_extend(c, b, j->extended);
		if (!jit_check(c, j->extended, t))
			jit_enter(c, t);
		return true;
	}
	if (link && flushes == j->flushes)
		jit_link(j, link, t);
	jit_go(c, t, apart);
	return true;
}
