/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * -accel tcg,check=N: translated blocks against the interpreter, for
 * debugging.  Blocks are not linked then, so each comes through jit_run(), and
 * about every Nth is run three times from one state: by the interpreter, which
 * fills the TLB; by its translation; by the interpreter as far as that went.
 * The last result stays, and the two must be equal in registers, flags,
 * exception and memory.
 *
 * Memory is taken back by copies of pages: all store tags are taken from the
 * TLB before, so that softmmu.c tells of each page before its first store.  A
 * block that reaches a device or a page-table entry without its bits is not
 * judged, nor is one with instructions that read clocks or change modes.  The
 * other vCPUs stand still meanwhile, and the machine lock keeps the main thread
 * from memory.  Disks with workers cannot be kept: a disk's buffer beside
 * something that the block stores may be spoilt.
 */
#include "tcg/jit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/log.h"
#include "tcg/decode.h"
#include "tcg/flags.h"
#include "tcg/tcg.h"
#include "vmm/machine.h"

#define CHECK_PAGES 64
#define CHECK_TOLD  20 /* differences that are printed */

#define ATTRS_UNCHECKED (OP_SYS | OP_PRIV | OP_IOPL | OP_NEVER)

/* How a run ended: values of siglongjmp(). */
enum check_end { CHECK_RAN, CHECK_RAISED, CHECK_LEFT };

struct check_page {
	u8 *host;
	u8 old[PAGE_SIZE], jit[PAGE_SIZE]; /* before; by the translation */
};

/* Guest state of struct tcg_cpu lies in front of `unwind`. */
struct check_state {
	_Alignas(struct tcg_cpu) u8 hot[offsetof(struct tcg_cpu, unwind)];
	struct cpu_state cpu;
	u32 vector, code;
	enum check_end end;
};

struct jit_check {
	u64 every, random;
	u64 judged, left, bad;
	u32 npages;
	struct check_page page[CHECK_PAGES];
	struct check_state start, jit, interp;
	struct insn insn[BLOCK_INSNS + 1];
};

struct jit_check *jit_check_create(u64 every)
{
	struct jit_check *k = xalloc(sizeof *k);

	k->every = every;
	k->random = 1;
	return k;
}

void jit_check_destroy(struct jit_check *k)
{
	free(k);
}

void jit_check_info(const struct jit_check *k, struct buf *out)
{
	buf_printf(out,
		   "  check: %llu blocks judged, %llu left out, %llu "
		   "differences\n",
		   (unsigned long long)k->judged, (unsigned long long)k->left,
		   (unsigned long long)k->bad);
}

/* ---- Memory ---- */

void tcg_check_leave(struct tcg_cpu *c)
{
	if (!c->checking)
		return;
	siglongjmp(c->unwind, CHECK_LEFT);
}

void tcg_check_page(struct tcg_cpu *c, u8 *host)
{
	struct jit_check *k = c->jit->check;
	struct check_page *p = k->page;

	for (; p < k->page + k->npages; p++)
		if (p->host == host)
			return;
	if (k->npages == CHECK_PAGES)
		tcg_check_leave(c);
	p->host = host;
	memcpy(p->old, host, PAGE_SIZE);
	memcpy(p->jit, host, PAGE_SIZE);
	k->npages++;
}

/* Only what has changed, as others may write beside it. */
static void check_undo(struct jit_check *k)
{
	for (u32 n = 0; n < k->npages; n++) {
		struct check_page *p = &k->page[n];

		if (!memcmp(p->host, p->old, PAGE_SIZE))
			continue;
		for (u32 at = 0; at < PAGE_SIZE; at++)
			if (p->host[at] != p->old[at])
				p->host[at] = p->old[at];
	}
}

static void check_keep_pages(struct jit_check *k)
{
	for (u32 n = 0; n < k->npages; n++)
		memcpy(k->page[n].jit, k->page[n].host, PAGE_SIZE);
}

/* ---- State ---- */

static void check_save(const struct tcg_cpu *c, struct check_state *s,
		       enum check_end end)
{
	memcpy(s->hot, c, sizeof s->hot);
	s->cpu = *c->s;
	s->vector = end == CHECK_RAISED ? c->exc.vector : 0;
	s->code = end == CHECK_RAISED && c->exc.has_code ? c->exc.code : 0;
	s->end = end;
}

static void check_restore(struct tcg_cpu *c, const struct check_state *s)
{
	memcpy(c, s->hot, sizeof s->hot);
	*c->s = s->cpu;
}

static void check_back(struct tcg_cpu *c)
{
	check_undo(c->jit->check);
	check_restore(c, &c->jit->check->start);
}

/* ---- Runs ---- */

/* A handler may leave early, so that an interrupt is looked for; translated
 * code does that elsewhere. */
static void check_interp(struct tcg_cpu *c, const struct tcg_block *b, u32 n)
{
	struct jit_check *k = c->jit->check;
	u64 start = c->rip;
	u32 at = 0;

	memcpy(k->insn, b->insn, n * sizeof *k->insn);
	k->insn[n] = b->insn[b->n]; /* ends it */
	k->insn[n].off = b->insn[n].off;
	c->gpr[INSN_RIP] = start;
	do {
		c->end_block = false;
		c->shadow = SHADOW_NONE;
		c->ip = &k->insn[at];
		k->insn[at].fn(c, &k->insn[at]);
		at = (u32)(c->ip - k->insn) + 1;
	} while (at < n && c->rip == start + k->insn[at].off);
}

/* The first `n` instructions of the block, or its translation. */
static enum check_end check_run(struct tcg_cpu *c, const struct tcg_block *b,
				const struct jit_block *t, u32 n)
{
	sigjmp_buf outer;
	int end;

	memcpy(outer, c->unwind, sizeof outer);
	end = sigsetjmp(c->unwind, 0);
	if (!end) {
		c->end_block = false;
		if (t)
			jit_enter(c, t);
		else
			check_interp(c, b, n);
	}
	memcpy(c->unwind, outer, sizeof outer);
	c->ip = NULL;
	return end;
}

/* Instructions that may run more than once, from the block's first on; 0
 * when the translation has others. */
static u32 check_length(const struct jit *j, const struct tcg_block *b)
{
	u32 n;

	for (n = 0; n < b->n; n++) {
		u8 class = j->classes[b->insn[n].row];
		u32 attrs = insn_desc(&b->insn[n])->attrs;
		bool known = class >= JIT_CLI && class <= JIT_POPF;

		if (class == JIT_STOP)
			return n;
		if (attrs & ATTRS_UNCHECKED && !known)
			return 0;
	}
	return n;
}

/* ---- Comparing ---- */

/* Flags that some instruction of the block leaves undefined. */
static u64 check_undefined(const struct tcg_block *b)
{
	u64 undef = 0;

	for (u32 n = 0; n < b->n; n++)
		undef |= insn_desc(&b->insn[n])->flags_undef;
	return undef;
}

static void check_value(struct buf *out, const char *what, u64 jit, u64 interp)
{
	if (jit != interp)
		buf_printf(out, "  %s: translated %llx, interpreted %llx\n",
			   what, (unsigned long long)jit,
			   (unsigned long long)interp);
}

static void check_bytes(struct buf *out, const char *what, const void *jit,
			const void *interp, size_t n)
{
	const u8 *a = jit, *b = interp;

	if (!memcmp(a, b, n))
		return;
	for (size_t at = 0; at < n; at++)
		if (a[at] != b[at]) {
			buf_printf(out,
				   "  %s+%#zx: translated %02x, interpreted "
				   "%02x\n",
				   what, at, a[at], b[at]);
			return;
		}
}

/* What the runs have not in common, as text. */
static void check_compare(const struct jit_check *k, u64 undef, struct buf *out)
{
	const struct check_state *s = &k->jit, *t = &k->interp;
	const struct tcg_cpu *a = (const struct tcg_cpu *)s->hot;
	const struct tcg_cpu *b = (const struct tcg_cpu *)t->hot;
	char name[8];

	check_value(out, "end", s->end, t->end);
	check_value(out, "exception", s->vector, t->vector);
	check_value(out, "error code", s->code, t->code);
	for (int r = 0; r < 16; r++) {
		snprintf(name, sizeof name, "r%d", r);
		check_value(out, name, a->gpr[r], b->gpr[r]);
	}
	check_value(out, "rip", a->rip, b->rip);
	check_value(out, "rflags", (cc_rflags(a->cc) | a->eflags) & ~undef,
		    (cc_rflags(b->cc) | b->eflags) & ~undef);
	check_value(out, "shadow", a->shadow, b->shadow);
	check_value(out, "mode", a->mode_key, b->mode_key);
	check_value(out, "mmu", a->mmu, b->mmu);
	check_bytes(out, "fpu", &s->cpu.fpu, &t->cpu.fpu, sizeof s->cpu.fpu);
	check_bytes(out, "vec", s->cpu.vec, t->cpu.vec, sizeof s->cpu.vec);
	check_bytes(out, "state", &s->cpu, &t->cpu, sizeof s->cpu);
	for (u32 n = 0; n < k->npages; n++)
		check_bytes(out, "page", k->page[n].jit, k->page[n].host,
			    PAGE_SIZE);
}

static void check_tell(const struct jit_check *k, const struct tcg_block *b,
		       struct buf *what)
{
	const struct tcg_cpu *c = (const struct tcg_cpu *)k->start.hot;
	struct buf text = { 0 };

	for (u32 n = 0; n < b->n; n++)
		buf_printf(&text, "  %llx: %s %s\n",
			   (unsigned long long)(c->rip + b->insn[n].off),
			   insn_desc(&b->insn[n])->name,
			   insn_desc(&b->insn[n])->operands);
	for (int r = 0; r < 16; r++)
		buf_printf(&text, "  r%d before: %llx\n", r,
			   (unsigned long long)c->gpr[r]);
	log_warn("check: translated code differs\n%s%s", buf_str(&text),
		 buf_str(what));
	buf_fini(&text);
}

/* ---- Judging ---- */

/* Runs `n` instructions and compares; CHECK_LEFT: could not. */
static enum check_end check_against(struct tcg_cpu *c,
				    const struct tcg_block *b, u32 n,
				    struct buf *out)
{
	struct jit_check *k = c->jit->check;
	enum check_end end;

	buf_clear(out);
	check_back(c);
	end = check_run(c, b, NULL, n);
	if (end == CHECK_LEFT)
		return end;
	check_save(c, &k->interp, end);
	check_compare(k, check_undefined(b), out);
	return end;
}

/* How many instructions the translation has run: all of `n` or, where its
 * next one is inside the block, those before it. */
static u32 check_done(const struct jit_check *k, const struct tcg_block *b,
		      u32 n)
{
	const struct tcg_cpu *from = (const struct tcg_cpu *)k->start.hot;
	const struct tcg_cpu *to = (const struct tcg_cpu *)k->jit.hot;

	for (u32 at = 0; at < n && k->jit.end == CHECK_RAN; at++)
		if (to->rip == from->rip + b->insn[at].off)
			return at;
	return n;
}

/* Nobody has written to the code? */
static bool check_current(const struct tcg_block *b, const struct jit_block *t)
{
	u32 gen = atomic_load(t->gen_now);

	return gen == t->gen && gen == b->gen;
}

static enum check_end check_judge(struct tcg_cpu *c, const struct tcg_block *b,
				  const struct jit_block *t, u32 n,
				  struct buf *out)
{
	struct jit_check *k = c->jit->check;
	enum check_end end;
	u32 done;

	if (check_run(c, b, NULL, n) == CHECK_LEFT)
		return CHECK_LEFT;
	check_back(c);
	end = check_run(c, b, t, 0);
	if (end == CHECK_LEFT)
		return end;
	check_save(c, &k->jit, end);
	check_keep_pages(k);
	done = check_done(k, b, n);
	end = check_against(c, b, n, out);
	/* Or it has left before its end, whose target is the same. */
	if (done < n && (end == CHECK_LEFT || out->len)) {
		end = check_against(c, b, done, out);
		/* The first run has changed this code: the translation was
		 * out of date, and would be the next time, too. */
		if (!done && !check_current(b, t))
			c->jit->refused = true;
	}
	return end;
}

/* May the translation have stopped in the middle of an instruction? */
static bool check_interrupted(const struct tcg_cpu *c,
			      const struct tcg_block *b, u32 n)
{
	u32 done = check_done(c->jit->check, b, n);

	if (atomic_load(&c->v->request))
		return true;
	return done < n && insn_desc(&b->insn[done])->attrs & OP_STR &&
	       atomic_load(&c->exit_req);
}

static bool check_turn(struct jit_check *k)
{
	k->random = k->random * 6364136223846793005u + 1442695040888963407u;
	return (k->random >> 33) % k->every == 0;
}

bool jit_check(struct tcg_cpu *c, const struct tcg_block *b,
	       const struct jit_block *t)
{
	struct jit_check *k = c->jit->check;
	struct buf what = { 0 };
	enum check_end end;
	u32 n;

	if (!check_turn(k))
		return false;
	n = check_length(c->jit, b);
	if (!n)
		return false;
	/* In this order: whoever runs may want the lock. */
	tcg_exclusive_begin(c);
	lock_acquire(&machine_lock);
	/* Others have run until they stood still. */
	if (!check_current(b, t)) {
		lock_release(&machine_lock);
		tcg_exclusive_end(c);
		return false;
	}
	tcg_tlb_forget_stores(c);
	k->npages = 0;
	check_save(c, &k->start, CHECK_RAN);
	c->checking = true;
	end = check_judge(c, b, t, n, &what);
	c->checking = false;
	if (end != CHECK_LEFT && what.len && check_interrupted(c, b, n))
		end = CHECK_LEFT;
	if (end == CHECK_LEFT) {
		check_back(c);
		c->jit->refused = !check_current(b, t);
		c->stack_apart = false;
		k->left++;
	} else {
		k->judged++;
		if (what.len && ++k->bad <= CHECK_TOLD)
			check_tell(k, b, &what);
	}
	lock_release(&machine_lock);
	tcg_exclusive_end(c);
	buf_fini(&what);
	if (end == CHECK_RAISED)
		siglongjmp(c->unwind, 1);
	return end != CHECK_LEFT;
}
