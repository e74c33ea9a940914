/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Spans: operands of a block with the same registers in their addresses, near
 * each other.  The first looks up the page for all of them and keeps it in
 * c->span[]; the others need no lookup and leave the flags alone.
 *
 * What makes this safe:
 * - The first one, the leader, compares what all of them reach with the end
 *   of the page.  It touches nothing but its own bytes: where the others would
 *   cross the page, or it takes a slow path, the block is left behind it or
 *   run without spans.
 * - What is stored to is looked up for a store.  Each store tests the page's
 *   flags, as others do.
 * - The page is that of a TLB entry, and stays one for an instruction that
 *   follows as long as nothing flushes the TLB; what runs C within a block
 *   compares c->stack_drops and leaves.
 */
#include "tcg/jit_gen.h"

#include <string.h>

#include "vmm/memory.h"

#define SPAN_BYTES 128 /* most that one lookup covers */

/* A register's value: the same `id`, the same value but for `off`. */
struct span_value {
	u32 id;
	s32 off;
};

/* Values that are no register's. */
enum { SPAN_NOTHING, SPAN_PAGE, SPAN_FIRST };

struct span_key {
	u32 base, index;
	u8 scale, seg;
};

struct span_group {
	struct span_key key;
	s64 low, high;
	int lead, last, members;
	bool write, stores; /* looked up for storing; somebody does */
	bool closed;        /* nobody joins it any more */
	u32 align;          /* of the leader, checked; 0: not */
	s64 lead_at;
};

struct span_plan {
	struct span_value value[16];
	u32 ids;
	struct span_group group[SPAN_GROUPS];
	int ngroups;
	s8 of[BLOCK_INSNS]; /* group, or -1 */
	s64 at[BLOCK_INSNS];
};

/* Splits the address of the operand; false: it is not one for a span. */
static bool span_key(const struct span_plan *p, const struct insn *i,
		     u32 page_off, struct span_key *key, s64 *at)
{
	s64 disp = i->disp + (i->base == INSN_RIP ? page_off : 0);

	/* A leader's is for the lowest address of the span. */
	if (i->addrsize != 8 || disp != (s32)disp ||
	    disp < INT32_MIN + SPAN_BYTES)
		return false;
	*key = (struct span_key){ .seg = MAX(i->seg, SEG_FS - 1) };
	*at = disp;
	if (i->base == INSN_RIP) {
		key->base = SPAN_PAGE;
	} else if (i->base != INSN_NOREG) {
		key->base = p->value[i->base].id;
		*at += p->value[i->base].off;
	}
	if (i->index != INSN_NOREG) {
		key->index = p->value[i->index].id;
		key->scale = i->scale;
		*at += p->value[i->index].off * ((s64)1 << i->scale);
	}
	return true;
}

static bool span_same(const struct span_key *a, const struct span_key *b)
{
	return a->base == b->base && a->index == b->index &&
	       a->scale == b->scale && a->seg == b->seg;
}

/* `align`: 0, or what the operand has to be aligned to. */
static bool span_joins(struct span_group *s, s64 at, u32 size, bool write,
		       u32 align)
{
	s64 low = MIN(s->low, at), high = MAX(s->high, at + size);

	if (s->closed || high - low > SPAN_BYTES || (write && !s->write))
		return false;
	if (align &&
	    (s->align % align || (at - s->lead_at) % align || !s->align))
		return false;
	/* The leader tests its lowest address instead of its own. */
	if (s->align && (s->lead_at - low) % s->align)
		return false;
	s->low = low;
	s->high = high;
	s->stores |= write;
	return true;
}

static void span_operand(struct span_plan *p, const struct gen *g, int n)
{
	const struct insn *i = &g->b->insn[n];
	const struct gen_use *u = &g->use[n];
	u32 align = insn_desc(i)->attrs & OP_ALIGN ? u->mem : 0;
	struct span_key key;
	s64 at;

	if (u->mem > SPAN_BYTES ||
	    !span_key(p, i, g->b->phys & (PAGE_SIZE - 1), &key, &at))
		return;
	for (int k = p->ngroups; k-- > 0;) {
		struct span_group *s = &p->group[k];

		if (!span_same(&s->key, &key))
			continue;
		if (!span_joins(s, at, u->mem, u->writes, align))
			continue;
		s->last = n;
		s->members++;
		p->of[n] = (s8)k;
		p->at[n] = at;
		return;
	}
	if (p->ngroups == SPAN_GROUPS)
		return;
	p->of[n] = (s8)p->ngroups;
	p->at[n] = at;
	p->group[p->ngroups++] = (struct span_group){
		.key = key,
		.low = at,
		.high = at + u->mem,
		.lead = n,
		.last = n,
		.members = 1,
		.write = u->writes,
		.stores = u->writes,
		.align = align,
		.lead_at = at,
	};
}

static void span_registers(struct span_plan *p, const struct gen_use *u)
{
	struct span_value to = { 0 };

	if (u->to != INSN_NOREG) {
		to = p->value[u->from];
		to.off += u->by;
		if (to.off != MAX(MIN(to.off, (s32)MIB), -(s32)MIB))
			to = (struct span_value){ p->ids++, 0 };
	}
	for (u32 sets = u->sets; sets; sets &= sets - 1) {
		int r = __builtin_ctz(sets);

		p->value[r] = (struct span_value){ p->ids++, 0 };
	}
	if (u->to != INSN_NOREG)
		p->value[u->to] = to;
	/* A handler may change segment bases, too. */
	if (u->sets == 0xffff)
		for (int k = 0; k < p->ngroups; k++)
			p->group[k].closed = true;
}

/* Gives groups with followers their places in c->span[]. */
static void span_places(struct gen *g, const struct span_plan *p)
{
	int free_from[JIT_SPANS] = { 0 };
	u8 place[SPAN_GROUPS] = { 0 };

	for (int k = 0; k < p->ngroups; k++) {
		const struct span_group *s = &p->group[k];

		if (s->members < 2)
			continue;
		for (int n = 0; n < JIT_SPANS; n++) {
			if (free_from[n] > s->lead)
				continue;
			free_from[n] = s->last + 1;
			place[k] = (u8)(n + 1);
			break;
		}
	}
	for (int n = 0; n < g->b->n; n++) {
		const struct span_group *s;

		if (p->of[n] < 0 || !place[p->of[n]])
			continue;
		s = &p->group[p->of[n]];
		g->member[n] = (struct gen_member){
			.span = place[p->of[n]],
			.lead = (u8)s->lead,
			.leads = s->lead == n,
			.stores = s->stores,
			.ahead = (u8)(p->at[n] - s->low),
			.bytes = (u8)(s->high - s->low),
		};
	}
}

void gen_plan_spans(struct gen *g)
{
	struct span_plan p;
	int operands = 0;

	for (int n = 0; n < g->b->n; n++)
		operands += g->use[n].mem != 0;
	if (operands < 2)
		return;
	p.ngroups = 0;
	p.ids = SPAN_FIRST;
	for (int r = 0; r < 16; r++)
		p.value[r] = (struct span_value){ p.ids++, 0 };
	for (int n = 0; n < g->b->n; n++) {
		p.of[n] = -1;
		if (g->use[n].mem)
			span_operand(&p, g, n);
		span_registers(&p, &g->use[n]);
	}
	span_places(g, &p);
}
