/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The interpreter: blocks of decoded instructions, found by address.
 *
 * A block is straight-line code within one page, keyed by physical address
 * and mode, so it survives address-space switches.  It is valid while the
 * page's generation is the one it was decoded under.  In front of the hash
 * by physical address sits a cache by linear address, emptied (by a change of
 * c->code_epoch) whenever a translation may have changed.
 *
 * An instruction that crosses a page is a block of its own and depends on
 * both pages.
 *
 * Locking: each vCPU has its own blocks.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "tcg/block.h"
#include "tcg/handlers.h"
#include "tcg/jit.h"
#include "tcg/log.h"
#include "tcg/ops.h"
#include "tcg/tcg.h"
#include "vmm/machine.h"

#define HASH_BITS       14
#define JCACHE_BITS     12
#define JCACHE_SLOT(pc) (((pc) ^ (pc) >> JCACHE_BITS) & (BIT(JCACHE_BITS) - 1))

struct tcg_cache {
	struct block_ref jcache[1u << JCACHE_BITS];
	struct tcg_block *hash[1u << HASH_BITS];
	struct pool_user code; /* blocks, one behind the other */
	/* The one instruction of tcg_step() and what follows it. */
	struct insn single[2];
};

/* ---- Cache ---- */

int tcg_cache_init(struct tcg_cpu *c)
{
	struct tcg_cache *k = xalloc(sizeof *k);
	int r = pool_join(&c->t->pool, &k->code);

	if (r < 0) {
		free(k);
		return r;
	}
	c->cache = k;
	c->gpr[INSN_NOREG] = 0;
	c->code_epoch++;
	return 0;
}

void tcg_cache_fini(struct tcg_cpu *c)
{
	struct tcg_cache *k = c->cache;

	if (!k)
		return;
	pool_leave(&c->t->pool, &k->code);
	free(k);
	c->cache = NULL;
}

static u32 block_hash(gpa_t phys, u32 mode_key)
{
	u64 h = (phys ^ (u64)mode_key << 40) * 0x9e3779b97f4a7c15ULL;

	return (u32)(h >> (64 - HASH_BITS));
}

static u64 block_key(const struct tcg_cpu *c)
{
	return c->mode_key | (u64)c->cpl << 30 | (u64)c->code_epoch << 32;
}

static bool block_valid(const struct tcg_block *b)
{
	if (atomic_load_explicit(b->gen_now, memory_order_relaxed) != b->gen)
		return false;
	return likely(!b->gen_now2) ||
	       atomic_load_explicit(b->gen_now2, memory_order_relaxed) ==
		       b->gen2;
}

/* ---- Fetching and decoding ---- */

static u64 code_linear(const struct tcg_cpu *c)
{
	if (likely(c->code64))
		return c->rip;
	return (u32)(c->rip + c->s->seg[SEG_CS].base);
}

/* Bytes up to the segment's limit, at most 15; #GP when there are none. */
static size_t code_room(struct tcg_cpu *c)
{
	u32 limit = c->s->seg[SEG_CS].limit;

	if (c->code64)
		return 15;
	if (c->rip > limit)
		tcg_raise_code(c, EXC_GP, 0);
	return MIN(15, limit - c->rip + 1);
}

/* `why` is insn_decode()'s; -1: cut short by the segment's limit. */
_Noreturn static void code_raise(struct tcg_cpu *c, int why)
{
	if (why == EXC_UD)
		tcg_raise(c, EXC_UD);
	tcg_raise_code(c, EXC_GP, 0);
}

static void code_copy(struct tcg_cpu *c, u8 *dst, const u8 *host, gpa_t phys,
		      size_t n)
{
	if (host)
		memcpy(dst, host + (phys & (PAGE_SIZE - 1)), n);
	else
		for (size_t k = 0; k < n; k++)
			dst[k] = (u8)vcpu_mmio_read(c->v, phys + k, 1);
}

/* Decodes the instruction at c->rip into `i`, across the page end if need
 * be; raises what fetching and decoding raise.  Tells the second page when
 * it was used. */
static void code_decode_one(struct tcg_cpu *c, struct insn *i, gpa_t *ret_phys2)
{
	u64 pc = code_linear(c);
	size_t room = code_room(c), first;
	gpa_t phys, phys2;
	const u8 *host;
	u8 bytes[15];
	int r;

	host = tcg_fetch(c, pc, &phys);
	phys |= pc & (PAGE_SIZE - 1);
	first = MIN(room, PAGE_SIZE - (pc & (PAGE_SIZE - 1)));
	code_copy(c, bytes, host, phys, first);
	r = insn_decode(c->mode_key, bytes, first, 0, i);
	*ret_phys2 = ~0ULL;
	if (r == -1 && first < room) {
		host = tcg_fetch(c, (pc & PAGE_MASK) + PAGE_SIZE, &phys2);
		if (host)
			tcg_code_page(c, phys2);
		code_copy(c, bytes + first, host, phys2, room - first);
		r = insn_decode(c->mode_key, bytes, room, 0, i);
		*ret_phys2 = phys2;
	}
	if (r)
		code_raise(c, r);
	insn_bind(i, c->features, c->code64);
}

static u32 block_size(u32 insns)
{
	return ALIGN_UP(sizeof(struct tcg_block) +
				(insns + 1) * sizeof(struct insn),
			_Alignof(struct tcg_block));
}

/* Takes the blocks of the oldest chunk out of the tables. */
static void block_evict(struct tcg_cpu *c)
{
	struct tcg_cache *k = c->cache;
	struct pool_chunk *chunk = k->code.oldest;
	u32 at = 0;

	while (at < chunk->used) {
		struct tcg_block *b = (struct tcg_block *)(chunk->data + at);
		struct tcg_block **p;

		p = &k->hash[block_hash(b->phys, b->mode_key)];
		while (*p && *p != b)
			p = &(*p)->next;
		if (*p)
			*p = b->next;
		at += block_size(b->n);
	}
	c->code_epoch++;
}

static struct tcg_block *block_alloc(struct tcg_cpu *c)
{
	struct tcg_cache *k = c->cache;
	struct pool *pool = &c->t->pool;

	if (sizeof k->code.newest->data - k->code.newest->used <
		    block_size(BLOCK_INSNS) &&
	    !pool_take(pool, &k->code)) {
		if (pool_asked(pool, &k->code)) {
			block_evict(c);
			pool_give(pool, &k->code);
		}
		block_evict(c);
		pool_turn(&k->code);
	}
	return (struct tcg_block *)(k->code.newest->data +
				    k->code.newest->used);
}

static void block_end(struct tcg_block *b)
{
	b->insn[b->n] = (struct insn){ .fn = insn_block_end,
				       .off = b->bytes,
				       .base = INSN_NOREG,
				       .index = INSN_NOREG };
}

static void block_commit(struct tcg_cpu *c, struct tcg_block *b)
{
	struct tcg_cache *k = c->cache;
	u32 h = block_hash(b->phys, b->mode_key);

	block_end(b);
	k->code.newest->used += block_size(b->n);
	b->next = k->hash[h];
	k->hash[h] = b;
}

static struct tcg_block *block_start(struct tcg_cpu *c, gpa_t phys)
{
	struct tcg_block *b = block_alloc(c);

	b->phys = phys;
	b->mode_key = c->mode_key;
	b->n = b->bytes = 0;
	b->gen_now = tcg_page_gen(c, phys);
	b->gen = tcg_code_page(c, phys & PAGE_MASK);
	b->gen_now2 = NULL;
	b->phys2 = ~0ULL;
	memset(b->link, 0, sizeof b->link);
	b->refused = false;
	b->runs = 0;
	return b;
}

/* A block of one instruction that reaches into the next page. */
static struct tcg_block *block_build_crossing(struct tcg_cpu *c, gpa_t phys)
{
	struct tcg_block *b;
	struct insn i;
	gpa_t phys2;
	u32 gen;

	gen = tcg_code_page(c, phys & PAGE_MASK);
	code_decode_one(c, &i, &phys2);
	b = block_start(c, phys);
	if (phys2 == ~0ULL || b->gen != gen || !tcg_page_gen(c, phys2))
		return NULL;
	b->phys2 = phys2;
	b->gen_now2 = tcg_page_gen(c, phys2);
	b->gen2 = tcg_code_page(c, phys2);
	/* Once more, now that both pages are marked. */
	code_decode_one(c, &i, &phys2);
	if (phys2 != b->phys2)
		return NULL;
	b->insn[0] = i;
	b->n = 1;
	b->bytes = i.len;
	return b;
}

/* Goes on with the block, whose first byte is *code, until it ends or `room`
 * does; what insn_decode() has answered last. */
static int block_decode(struct tcg_cpu *c, struct tcg_block *b, const u8 *code,
			u32 room)
{
	while (b->n < BLOCK_INSNS && b->bytes < room) {
		struct insn *i = &b->insn[b->n];
		int r = insn_decode(c->mode_key, code + b->bytes,
				    room - b->bytes, b->bytes, i);

		if (r)
			return r;
		insn_bind(i, c->features, c->code64);
		b->n++;
		b->bytes += i->len;
		if (insn_desc(i)->attrs & OP_END || c->mode_key & MODE_STEP)
			break;
	}
	return 0;
}

static struct tcg_block *block_build(struct tcg_cpu *c, const u8 *host,
				     gpa_t phys)
{
	u32 at = phys & (PAGE_SIZE - 1);
	struct tcg_block *b = block_start(c, phys);
	int r = block_decode(c, b, host + at, PAGE_SIZE - at);

	if (!b->n && r == -1)
		b = block_build_crossing(c, phys);
	else if (!b->n)
		code_raise(c, r);
	if (b)
		block_commit(c, b);
	return b;
}

/* Does what lies behind the block's last instruction belong to it? */
static bool block_goes_on(const struct tcg_block *b)
{
	const struct insn *i = &b->insn[b->n - 1];

	return insn_desc(i)->attrs & OP_CC && (s64)i->imm > 0 && !b->gen_now2;
}

void tcg_block_extend(struct tcg_cpu *c, const struct tcg_block *b,
		      struct tcg_block *ret)
{
	u32 at = b->phys & (PAGE_SIZE - 1);
	const u8 *host;
	gpa_t phys;

	memcpy(ret, b, BLOCK_BYTES(b->n));
	host = block_goes_on(b) ? tcg_fetch(c, c->rip, &phys) : NULL;
	for (int jumps = 0; host && jumps < BLOCK_JUMPS; jumps++) {
		if (!block_goes_on(ret) ||
		    block_decode(c, ret, host + at, PAGE_SIZE - at))
			break;
	}
	block_end(ret);
}

void tcg_block_again(struct tcg_cpu *c, const u8 *code, u32 room,
		     struct tcg_block *b)
{
	b->n = b->bytes = 0;
	block_decode(c, b, code, room);
	block_end(b);
}

void tcg_block_cut(struct tcg_block *b, u16 n)
{
	if (n >= b->n)
		return;
	b->n = n;
	b->bytes = b->insn[n].off;
	block_end(b);
}

static struct tcg_block *block_lookup(struct tcg_cpu *c, gpa_t phys, u64 pc)
{
	struct tcg_cache *k = c->cache;
	struct tcg_block **at = &k->hash[block_hash(phys, c->mode_key)], *b;

	while ((b = *at)) {
		gpa_t phys2;

		if (b->phys != phys || b->mode_key != c->mode_key) {
			at = &b->next;
			continue;
		}
		if (!block_valid(b)) {
			*at = b->next;
			continue;
		}
		if (!b->gen_now2)
			return b;
		tcg_fetch(c, (pc & PAGE_MASK) + PAGE_SIZE, &phys2);
		if (phys2 == b->phys2)
			return b;
		at = &b->next;
	}
	return NULL;
}

/* NULL: run one instruction without a block. */
static struct tcg_block *block_find(struct tcg_cpu *c, u64 pc)
{
	struct tcg_cache *k = c->cache;
	struct tcg_block *b;
	const u8 *host;
	gpa_t phys;

	if (c->code64 && (u64)((s64)(pc << 16) >> 16) != pc)
		tcg_raise_code(c, EXC_GP, 0);
	host = tcg_fetch(c, pc, &phys);
	if (!host || tcg_page_breaks(c, pc))
		return NULL;
	phys |= pc & (PAGE_SIZE - 1);
	b = block_lookup(c, phys, pc);
	if (!b) {
		b = block_build(c, host, phys);
		if (b && log_on(LOG_IN_ASM))
			tcg_log_block(c, b, pc);
	}
	if (!b ||
	    (b->gen_now2 && tcg_page_breaks(c, (pc & PAGE_MASK) + PAGE_SIZE)))
		return NULL;
	k->jcache[JCACHE_SLOT(pc)] = (struct block_ref){ pc, block_key(c), b };
	return b;
}

/* ---- Running ---- */

/* Partner: tcg_info().  One writer, so no locked addition. */
static void run_count(struct tcg_cpu *c, u64 n)
{
	n += atomic_load_explicit(&c->insns, memory_order_relaxed);
	atomic_store_explicit(&c->insns, n, memory_order_relaxed);
}

void tcg_run_single(struct tcg_cpu *c)
{
	struct tcg_cache *k = c->cache;
	bool step = c->mode_key & MODE_STEP;
	gpa_t phys2;

	c->ip = NULL;
	c->end_block = false;
	if (step)
		tcg_step_begin(c);
	code_decode_one(c, &k->single[0], &phys2);
	k->single[1] = (struct insn){ .fn = insn_block_end,
				      .off = k->single[0].len,
				      .base = INSN_NOREG,
				      .index = INSN_NOREG };
	c->gpr[INSN_RIP] = c->rip;
	c->ip = k->single;
	run_count(c, 1);
	k->single[0].fn(c, &k->single[0]);
	c->ip = NULL;
	if (step)
		tcg_step_end(c);
}

static bool ref_hits(const struct block_ref *e, u64 pc, u64 key)
{
	return likely(e->pc == pc && e->key == key) && block_valid(e->block);
}

static struct block_ref *block_link(struct tcg_cpu *c, struct tcg_block *b)
{
	return &b->link[c->rip != c->gpr[INSN_RIP] + b->bytes];
}

/* What came after `prev` the last time, if that is at c->rip again. */
static struct tcg_block *block_again(struct tcg_cpu *c, struct tcg_block *prev)
{
	const struct block_ref *e;

	if (!prev)
		return NULL;
	e = block_link(c, prev);
	return ref_hits(e, code_linear(c), block_key(c)) ? e->block : NULL;
}

/* The block for c->rip after `prev` has run, NULL to run one instruction. */
static struct tcg_block *block_next(struct tcg_cpu *c, struct tcg_block *prev)
{
	struct tcg_cache *k = c->cache;
	u64 pc = code_linear(c), key = block_key(c);
	struct block_ref *e = prev ? block_link(c, prev) : NULL;
	struct tcg_block *b;

	if (ref_hits(&k->jcache[JCACHE_SLOT(pc)], pc, key)) {
		b = k->jcache[JCACHE_SLOT(pc)].block;
	} else {
		b = block_find(c, pc);
		/* Blocks may be gone. */
		if (!b || key != block_key(c))
			return b;
	}
	if (e)
		*e = (struct block_ref){ pc, key, b };
	return b;
}

bool tcg_breaks(struct tcg_cpu *c)
{
	const struct debug_point *p;

	if (likely(!c->m->debug.n))
		return false;
	p = debug_break_at(&c->m->debug, code_linear(c));
	if (!p)
		return false;
	c->v->debug.why = DEBUG_BROKE;
	c->v->debug.hit = *p;
	return true;
}

/* Under the shadow of the instruction before. */
static void run_shadowed(struct tcg_cpu *c)
{
	c->after_ss = c->shadow == SHADOW_SS;
	c->shadow = SHADOW_NONE;
	tcg_run_single(c);
	c->after_ss = false;
}

/* What stops the run from block to block: rare, so looked at together. */
static bool run_stops(struct tcg_cpu *c)
{
	return c->halted | c->shadow | (c->mode_key & MODE_STEP) |
	       atomic_load_explicit(&c->v->request, memory_order_relaxed);
}

static enum vcpu_exit run_blocks(struct tcg_cpu *c)
{
	struct tcg_block *b = NULL, *next;

	for (;;) {
		c->ip = NULL;
		c->end_block = false;
		/* Before v->request is read: see tcg_kick(). */
		if (unlikely(atomic_load_explicit(&c->exit_req,
						  memory_order_relaxed)))
			atomic_store(&c->exit_req, 0);
		if (unlikely(run_stops(c))) {
			if (c->halted)
				return VCPU_EXIT_HALT;
			if (c->shadow == SHADOW_STI && c->db_pending)
				return VCPU_EXIT_AGAIN;
			if (c->shadow) {
				if (tcg_breaks(c))
					return VCPU_EXIT_DEBUG;
				run_shadowed(c);
				b = NULL;
				continue;
			}
			if (atomic_load_explicit(&c->v->request,
						 memory_order_relaxed))
				return VCPU_EXIT_AGAIN;
			if (c->mode_key & MODE_STEP) {
				if (tcg_breaks(c))
					return VCPU_EXIT_DEBUG;
				tcg_run_single(c);
				b = NULL;
				continue;
			}
		}
		if (unlikely(c->t->torture.modes))
			torture_block(c);
		/* What is known already needs no look at larger tables. */
		next = block_again(c, b);
		if (!next && c->jit && c->mode_key & MODE_JIT &&
		    jit_resume(c)) {
			b = NULL;
			continue;
		}
		b = next ? next : block_next(c, b);
		if (unlikely(!b) ||
		    unlikely(!c->code64 &&
			     c->rip + b->bytes - 1 > c->s->seg[SEG_CS].limit)) {
			if (tcg_breaks(c))
				return VCPU_EXIT_DEBUG;
			tcg_run_single(c);
			b = NULL;
			continue;
		}
		if (c->jit && jit_run(c, b)) {
			b = NULL;
			continue;
		}
		if (unlikely(log_on(LOG_EXEC) || log_on(LOG_CPU)))
			tcg_log_run(c, NULL, b->mode_key, b->n);
		c->gpr[INSN_RIP] = c->rip;
		c->ip = b->insn;
		run_count(c, b->n);
		b->insn[0].fn(c, b->insn);
	}
}

enum vcpu_exit tcg_execute(struct tcg_cpu *c)
{
	enum vcpu_exit r;

	if (sigsetjmp(c->unwind, 0)) {
		r = tcg_deliver(c, c->exc.vector, c->exc.has_code, c->exc.code,
				c->exc.soft, false);
		if (r != VCPU_EXIT_AGAIN)
			return r;
	}
	return run_blocks(c);
}

bool tcg_step(struct tcg_cpu *c)
{
	enum vcpu_exit r = VCPU_EXIT_AGAIN;

	if (sigsetjmp(c->unwind, 0))
		r = tcg_deliver(c, c->exc.vector, c->exc.has_code, c->exc.code,
				c->exc.soft, false);
	else
		tcg_run_single(c);
	c->ip = NULL;
	return r == VCPU_EXIT_AGAIN;
}

enum vcpu_exit tcg_execute_one(struct tcg_cpu *c)
{
	enum vcpu_exit r = VCPU_EXIT_AGAIN;

	if (sigsetjmp(c->unwind, 0))
		r = tcg_deliver(c, c->exc.vector, c->exc.has_code, c->exc.code,
				c->exc.soft, false);
	else
		run_shadowed(c);
	c->ip = NULL;
	return r;
}
