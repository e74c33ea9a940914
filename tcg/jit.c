/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * T1's run time: code memory, finding and linking blocks, what translated code
 * calls.
 *
 * Room for what is translated: tcg/jit_room.c.
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

/* Loops that are made longer: rounds, and all their instructions. */
#define UNROLL_TIMES 4
#define UNROLL_INSNS 48

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
	const struct jit_crossing *x;

	if (atomic_load_explicit(t->gen_now, memory_order_relaxed) != t->gen)
		return false;
	if (likely(!t->crossing))
		return true;
	x = jit_crossing_of(t);
	return x ? atomic_load_explicit(x->gen_now, memory_order_relaxed) ==
			       x->gen
		 : jit_source_same(t->source);
}

/* Is the page behind c->rip's the one that the block goes on in?  Raises. */
static bool jit_goes_over(struct tcg_cpu *c, const struct jit_block *t)
{
	const struct jit_crossing *x = jit_crossing_of(t);
	gva_t next = (c->rip & PAGE_MASK) + PAGE_SIZE;
	gpa_t phys;

	if (likely(!x))
		return true;
	if (tcg_page_breaks(c, next))
		return false; /* its code would look for the page's tag */
	tcg_fetch(c, next, &phys);
	return phys == x->phys;
}

/* How often a block has been run by the interpreter.  Counted beside the
 * blocks, which come and go; two blocks that share a counter are translated a
 * little early.  Above the count is how many more times code that comes here is
 * trusted to run often, because what it replaces has. */
#define JIT_RUNS       0x3f
#define JIT_TRUST      0x40
#define JIT_TRUST_FULL (3 * JIT_TRUST)
#define JIT_TRUST_RUNS 2

static u8 *jit_runs(const struct jit *j, gpa_t phys, u32 key)
{
	u64 page = jit_hash_all(phys & PAGE_MASK, key) >> (64 - JIT_RUNS_BITS);

	/* Those of a page are in few lines of the host's cache. */
	return &j->runs[(page & ~(u64)511) | (phys >> 3 & 511)];
}

static bool jit_is_hot(const struct tcg_cpu *c, const u8 *runs)
{
	return (*runs & JIT_RUNS) >= c->t->hot;
}

/* Code that has been rewritten runs anew before it is translated: often, as it
 * may be rewritten each time, or twice, if the last code ran often. */
static void jit_runs_anew(const struct tcg_cpu *c, u8 *runs)
{
	u32 hot = c->t->hot;

	*runs &= (u8)~JIT_RUNS;
	if (*runs && hot > JIT_TRUST_RUNS)
		*runs += (u8)(hot - JIT_TRUST_RUNS) - JIT_TRUST;
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
				if (!jit_source_stale(j, t))
					jit_runs_anew(c,
						      jit_runs(j, phys, key));
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
static bool jit_counted(struct tcg_cpu *c, struct tcg_block *b, u32 key)
{
	u8 *runs = jit_runs(c->jit, b->phys, key);

	if (jit_is_hot(c, runs))
		return true;
	++*runs;
	b->runs += b->runs < UINT8_MAX;
	if (!jit_is_hot(c, runs))
		return false;
	if (b->runs >= c->t->hot)
		*runs |= JIT_TRUST_FULL;
	return true;
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
	if (!jit_is_hot(c, jit_runs(c->jit, phys, key)))
		return NULL; /* found without a look at larger tables */
	slot = &c->jcache[JIT_JCACHE_SLOT(c, phys + JIT_TAG(key))];
	if (likely(slot->tag == phys + JIT_TAG(key))) {
		t = jit_block_of(c->jit, slot->host);
		if (likely(jit_valid(t)) && jit_goes_over(c, t))
			return t;
	}
	return jit_lookup(c, phys, key);
}

/* ---- What translated code calls ---- */

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
			return jit_code(c->jit, t) + JIT_ENTRY_BYTES;
		}
	}
	c->stack_apart = true;
	return NULL;
}

const void *jit_slow(struct tcg_cpu *c, u64 va, u32 slot,
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

/* Code was changed, but what runs is in another page, and so is all that it
 * goes on to without comparing generations; but for returns. */
static bool jit_elsewhere(struct tcg_cpu *c, const _Atomic u8 *flags, u32 info)
{
	gva_t page = c->gpr[INSN_RIP];
	const struct itlb_entry *e = tcg_itlb_entry(c, page);
	const struct ram_block *b;

	if (c->jit->nochain || e->tag != page ||
	    JIT_INFO_OFF(info) + JIT_INFO_LEN(info) > PAGE_SIZE)
		return false;
	b = mem_block(&c->m->mem, e->phys);
	if (!b || &b->flags[(e->phys - b->base) >> PAGE_SHIFT] == flags)
		return false;
	c->jit_sp_now = c->jit_sp;
	return true;
}

const void *jit_notice(struct tcg_cpu *c, u64 flags, u32 unused,
		       const struct jit_slow *at)
{
	u64 page = c->gpr[INSN_RIP];
	bool rest = at->info & JIT_INFO_REP && c->gpr[REG_RCX];

	c->jit->notices++;
	c->end_block = false;
	tcg_page_noticed(c, (_Atomic u8 *)flags, JIT_INFO_SIZE(at->info));
	if (c->end_block &&
	    jit_elsewhere(c, (const _Atomic u8 *)flags, at->info))
		c->end_block = false;
	if (!(at->info & JIT_INFO_JUMPS))
		c->rip = page + JIT_INFO_OFF(at->info);
	if (!(at->info & JIT_INFO_JUMPS) && !rest)
		c->rip += JIT_INFO_LEN(at->info);
	if (c->end_block && rest)
		return (const u8 *)(at + 1); /* gen_rest() */
	return c->end_block ? NULL : (const u8 *)at - at->back;
}

const void *jit_interp(struct tcg_cpu *c, const struct insn *i, u32 info,
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
	return c->mode_key & MODE_JIT &&
	       !(c->halted | c->shadow | (c->mode_key & MODE_STEP) |
		 atomic_load_explicit(&c->v->request, memory_order_relaxed) |
		 atomic_load_explicit(&log_mask, memory_order_relaxed));
}

bool jit_step(struct tcg_cpu *c, const struct insn *i)
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

const void *jit_miss(struct tcg_cpu *c)
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

/* ---- Life ---- */

int jit_create(struct tcg_cpu *c, size_t size, struct err *err)
{
	struct jit *j = xalloc(sizeof *j);
	int r;

	jit_rows_init();
	j->size = size;
	r = jit_room_map(j);
	if (r < 0) {
		free(j);
		return err_code(err, r, "no executable memory for the JIT");
	}
	j->hash_bits = JIT_HASH_BITS_MIN;
	j->hash = xcalloc(1u << j->hash_bits, sizeof *j->hash);
	c->jcache_mask = JIT_JCACHE_MASK(JIT_JCACHE_BITS_MIN);
	j->runs = xcalloc(1u << JIT_RUNS_BITS, 1);
	j->rewritten = xcalloc(1u << JIT_REWRITTEN_BITS, sizeof *j->rewritten);
	j->classes = xcalloc(opdesc_count, 1);
	j->extended = xalloc(BLOCK_BYTES(BLOCK_INSNS));
	j->called = xcalloc(opdesc_count, sizeof *j->called);
	for (u16 row = 0; row < opdesc_count; row++)
		j->classes[row] = jit_classify(row, c->features);
	if (c->t->check)
		j->check = jit_check_create(c->t->check);
	j->nochain = j->check;
	jit_thunks(j);
	jit_room_divide(j);
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
	jit_room_unmap(j);
	jit_check_destroy(j->check);
	free(j->hash);
	free(j->runs);
	free(j->rewritten);
	free(j->classes);
	free(j->extended);
	free(j->called);
	free(j);
	c->jit = NULL;
}

void jit_flush(struct tcg_cpu *c)
{
	struct jit *j = c->jit;

	memset(j->hash, 0, sizeof *j->hash << j->hash_bits);
	j->hashed = 0;
	memset(c->jcache, 0, (c->jcache_mask + 1) * sizeof c->jcache[0]);
	memset(c->jump, 0, sizeof c->jump);
	jit_room_empty(j);
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
	struct jit_source source;
	struct jit_block *t;
	const u8 *cold;
	bool compares;

	jit_room_make(c);
	cold = j->cold;
	compares = jit_source_plan(c, b, key, j->extended, &source);
	if (!compares) {
		tcg_block_extend(c, b, j->extended);
		jit_unroll(j, j->extended, key);
	}
	t = j->extended->n ? jit_translate(c, j, j->extended, key,
					   compares ? &source : NULL)
			   : NULL;
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

/* Addresses of 32-bit code wrap behind the last page, so there is no way to
 * say that a block goes on in the next. */
static bool jit_translates(const struct tcg_block *b)
{
	return b->mode_key & MODE_CODE64 ||
	       (b->mode_key & MODE_FLAT && !b->gen_now2);
}

/* The translation of a block that has run often enough. */
static const struct jit_block *jit_find(struct tcg_cpu *c, struct tcg_block *b,
					bool apart)
{
	u32 key = jit_block_key(c) | (apart ? JIT_KEY_APART : 0);
	const struct jit_block *t;

	if (b->refused || !jit_counted(c, b, key))
		return NULL;
	if (!jit_translates(b)) {
		b->refused = true;
		return NULL;
	}
	t = jit_lookup(c, b->phys, key);
	if (!t)
		t = jit_make(c, b, key);
	b->refused = !t;
	return t;
}

/* Is `t` in the page, and of the generation, that the jump was made for? */
static bool jit_links(const struct jit_block *from, const struct jit_exit *link,
		      const struct jit_block *t)
{
	const struct jit_crossing *x = jit_crossing_of(from);

	if (link->second)
		return x && t->phys - link->target == x->phys &&
		       t->gen == x->gen && t->gen_now == x->gen_now;
	return t->phys - link->target == (from->phys & PAGE_MASK) &&
	       t->gen == from->gen && t->gen_now == from->gen_now;
}

/* Makes the jump that was left by go to `t`, if nothing needs to be compared
 * on the way. */
static void jit_link(struct jit *j, const struct jit_exit *link,
		     const struct jit_block *t)
{
	const struct jit_block *from;

	if (!link->site || j->nochain)
		return;
	from = (const struct jit_block *)(j->rw + link->block);
	if ((from->key ^ t->key) & ~(u32)(JIT_KEY_APART | JIT_KEY_MMU) ||
	    (t->key & JIT_KEY_MMU) >> JIT_KEY_MMU_SHIFT != link->mmu ||
	    !link->apart != !(t->key & JIT_KEY_APART))
		return;
	if (jit_source_of(t) && !link->second && !link->apart &&
	    t->phys - link->target == (from->phys & PAGE_MASK)) {
		/* Another one takes its place now and then. */
		jit_room_ask(j, link, (t->key >> JIT_KEY_CPL_SHIFT & 3) == 3);
		return;
	}
	if (!jit_links(from, link, t))
		return;
	jit_room_link(j, link, t);
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

/* Nothing leads to the block at c->rip any more, which is out of date. */
static void jit_forget(struct tcg_cpu *c)
{
	c->jump_epoch[c->cpl == 3]++;
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
	if (!c->code64)
		c->rip = (u32)c->rip; /* behind the last page: 0 */
	jit_count_left(c, left);
	if (left > (const void *)JIT_LEFT_VEC) {
		j->link = left;
		c->stack_apart |= j->link->apart;
	} else if (left == (const void *)JIT_LEFT_IND &&
		   !jit_canonical(c->rip)) {
		jit_refuse_branch(c);
	} else if (left == (const void *)JIT_LEFT_VEC) {
		j->refused = true;
	} else if (left == (const void *)JIT_LEFT_OLD) {
		jit_forget(c);
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
	u32 dropped = j->flushes + j->drops;

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
	if (link && dropped == j->flushes + j->drops)
		jit_link(j, link, t);
	jit_go(c, t, apart);
	return true;
}
