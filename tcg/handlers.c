/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * From a decoded instruction to the handler that runs it.
 */
#include "tcg/handlers.h"

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

void insn_bind(struct insn *i)
{
	const struct handler_row *r = &handler_rows[i->row];
	int n = __builtin_ctz(i->opsize) + (i->is_mem ? 4 : 0);

	if (r->cond)
		i->fn = r->cond[i->opcode & 15][n];
	else if (r->sized)
		i->fn = r->sized[n];
	else if (insn_desc(i)->attrs & OP_END)
		i->fn = handler_call_end;
	else
		i->fn = handler_call;
}
