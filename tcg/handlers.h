/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Every handler that the rows name, declared from the rows; and the choice
 * of one for a decoded instruction.
 */
#ifndef TCG_HANDLERS_H
#define TCG_HANDLERS_H

#include "tcg/decode.h"

#define OP(m, opc, rg, md, px, nm, ops, r, w, u, at, feat, handler) \
	insn_fn handler;
#define OPS(m, opc, rg, md, px, nm, ops, r, w, u, at, feat, handler) \
	extern insn_fn *const handler[8];
#define OPC(m, opc, rg, md, px, nm, ops, r, w, u, at, feat, handler) \
	extern insn_fn *const handler[16][8];
#include "tcg/opcodes.def"
#include "tcg/opcodes_vec.def"
#include "tcg/opcodes_x87.def"
#undef OPC
#undef OPS
#undef OP

/* Sets i->fn.  Where CPUID does not offer the row's feature (`features`: as in
 * struct tcg_cpu) the row becomes what such a processor runs: #UD mostly. */
void insn_bind(struct insn *i, u64 features, bool code64);

/* The OP handler of a row, which returns; NULL for the other kinds. */
insn_fn *insn_plain_handler(const struct insn *i);

/* Behind the last instruction of a block that does not end by a branch. */
insn_fn insn_block_end;

#endif
