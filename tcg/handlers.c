/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * From a decoded instruction to the handler that runs it.
 */
#include "tcg/handlers.h"

#include <string.h>

#include "tcg/ops.h"
#include "tcg/vec.h"

/* One of the three is set. */
struct handler_row {
	insn_fn *plain;
	insn_fn *const *sized;
	insn_fn *const (*cond)[8];
};

static const struct handler_row handler_rows[] = {
#define OP(m, opc, rg, md, px, nm, ops, r, w, u, at, feat, handler) \
	{ .plain = handler },
#define OPS(m, opc, rg, md, px, nm, ops, r, w, u, at, feat, handler) \
	{ .sized = handler },
#define OPC(m, opc, rg, md, px, nm, ops, r, w, u, at, feat, handler) \
	{ .cond = handler },
#include "tcg/opcodes.def"
#include "tcg/opcodes_vec.def"
#include "tcg/opcodes_x87.def"
#undef OPC
#undef OPS
#undef OP
};

static void handler_call(struct tcg_cpu *c, const struct insn *i)
{
	handler_rows[i->row].plain(c, i);
	NEXT_STORED(c, i);
}

static void handler_call_end(struct tcg_cpu *c, const struct insn *i)
{
	c->rip = tcg_next_rip(c, i);
	if (!c->code64)
		c->rip = (u32)c->rip;
	handler_rows[i->row].plain(c, i);
}

void insn_block_end(struct tcg_cpu *c, const struct insn *i)
{
	c->rip = tcg_this_rip(c, i);
	if (!c->code64)
		c->rip = (u32)c->rip;
}

insn_fn *insn_plain_handler(const struct insn *i)
{
	return handler_rows[i->row].plain;
}

static u16 row_named(const char *name)
{
	u16 row = 0;

	while (strcmp(opdescs[row].name, name))
		row++;
	return row;
}

/* What a processor without the feature runs in its place. */
static u16 row_without(const struct insn *i, bool code64)
{
	const struct opdesc *d = insn_desc(i);

	if (d->attrs & OP_HINT || (d->feature == FEAT_LAHF64 && !code64))
		return i->row;
	/* REP means nothing to BSF and BSR. */
	if (!strcmp(d->name, "tzcnt"))
		return row_named("bsf");
	if (!strcmp(d->name, "lzcnt"))
		return row_named("bsr");
	return row_named("ud2");
}

void insn_bind(struct insn *i, u64 features, bool code64)
{
	const struct handler_row *r;
	int n = __builtin_ctz(i->opsize) + (i->is_mem ? 4 : 0);

	if (!(features & BIT(insn_desc(i)->feature)))
		i->row = row_without(i, code64);
	r = &handler_rows[i->row];
	if (r->cond)
		i->fn = r->cond[i->opcode & 15][n];
	else if (r->sized)
		i->fn = r->sized[n];
	else if (insn_desc(i)->attrs & OP_END)
		i->fn = handler_call_end;
	else
		i->fn = handler_call;
}
