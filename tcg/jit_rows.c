/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the translator asks of a row again and again, found out once for all
 * vCPUs: its operand string and its name taken apart.
 */
#include <pthread.h>
#include <string.h>

#include "lib/alloc.h"
#include "tcg/flags.h"
#include "tcg/handlers.h"
#include "tcg/jit_gen.h"
#include "tcg/vec.h"

const struct gen_row *gen_rows;

static pthread_once_t rows_once = PTHREAD_ONCE_INIT;

static const struct {
	const char *name;
	u8 what;
} rows_names[] = {
	{ "xchg", ROW_BOTH },
	{ "xadd", ROW_BOTH },
	{ "bsf", ROW_BITSCAN },
	{ "bsr", ROW_BITSCAN },
	{ "bt", ROW_BIT },
	{ "bts", ROW_BIT },
	{ "btr", ROW_BIT },
	{ "btc", ROW_BIT },
	{ "movzx", ROW_EXTEND },
	{ "movsx", ROW_EXTEND },
	{ "mulx", ROW_MULX },
	{ "movs", ROW_MOVS },
	{ "pcmpestri", ROW_LENGTHS },
	{ "pcmpestrm", ROW_LENGTHS },
	{ "vpcmpestri", ROW_LENGTHS },
	{ "vpcmpestrm", ROW_LENGTHS },
};

static const struct {
	insn_fn *fn;
	u8 what;
} rows_handlers[] = {
	{ op_ldmxcsr, ROW_LDMXCSR },  { op_x87, ROW_X87 },
	{ op_fldcw, ROW_FLDCW },      { op_fnstcw, ROW_X87_STORE },
	{ op_fnstsw, ROW_FNSTSW },    { op_fnclex, ROW_FNCLEX },
	{ op_fnop, ROW_X87_NOTHING }, { op_fwait, ROW_X87_NOTHING },
	{ op_emms, ROW_EMMS },
};

static u8 rows_what(u16 row, const struct opdesc *d)
{
	insn_fn *fn = insn_plain_handler(&(struct insn){ .row = row });

	for (size_t n = 0; n < ARRAY_SIZE(rows_handlers); n++)
		if (fn == rows_handlers[n].fn)
			return rows_handlers[n].what;
	for (size_t n = 0; n < ARRAY_SIZE(rows_names); n++)
		if (!strcmp(d->name, rows_names[n].name))
			return rows_names[n].what;
	return ROW_OTHER;
}

static u32 rows_op(const struct opdesc *d)
{
	static const u32 maps[OP_MAP_COUNT] = {
		[M0F] = EM_0F, [M38] = EM_38, [M3A] = EM_3A
	};
	static const u32 prefixes[] = {
		[P66] = EM_66, [PF3] = EM_F3, [PF2] = EM_F2, [NF] = 0
	};

	return maps[d->map] | prefixes[d->pfx];
}

static u32 rows_info(const struct opdesc *d, u8 what)
{
	u32 info = 0;

	if (d->attrs & OP_END)
		info |= JIT_INFO_JUMPS;
	if (d->attrs & OP_ALIGN)
		info |= JIT_INFO_ALIGN;
	if (what == ROW_LDMXCSR || what == ROW_FLDCW)
		info |= JIT_INFO_UNMASKS;
	return info;
}

static void rows_g(struct gen_row *r, const struct operand *o, bool first)
{
	r->g = true;
	r->g_byte = o->size == 'b';
	r->g_written = first || r->what == ROW_BOTH;
}

static void rows_operand(struct gen_row *r, const struct operand *o, bool first)
{
	if (strchr("ERMZ", o->kind))
		r->e_size = o->size;
	switch (o->kind) {
	case 'f':
		r->by_cl |= !strncmp(o->fixed, "CL", 2);
		if (r->what == ROW_BOTH) /* rAX of XCHG */
			rows_g(r, o, first);
		break;
	case 'G': rows_g(r, o, first); break;
	case 'E':
	case 'R':
		r->e = true;
		r->e_first = first;
		break;
	case 'Z': r->e_written = true; break;
	case 'B':
		r->b = true;
		r->b_written = first || r->what == ROW_MULX;
		break;
	case 'I': r->imm_size = o->size; break;
	case 'H': r->h = true; break;
	case 'L': r->is4 = true; break;
	case 'P': r->p = true; break;
	case 'Q':
	case 'N': r->q = true; break;
	case 'V':
	case 'W':
	case 'U': r->xmm = true; break;
	}
}

static void rows_fill(struct gen_row *r, u16 row)
{
	const struct opdesc *d = &opdescs[row];
	u16 written = d->flags_written & RFLAGS_ARITH;
	struct operand o[OPERANDS_MAX];
	int n = opdesc_operands(d, o);

	r->what = rows_what(row, d);
	r->op = rows_op(d);
	r->info = rows_info(d, r->what);
	r->e_written = d->attrs & OP_WR;
	for (int k = 0; k < n; k++)
		rows_operand(r, &o[k], k == 0);
	r->bare = !n;
	r->sets_flags = written;
	/* Flags that stay, or may stay, have to be there. */
	r->needs_flags = d->flags_read & RFLAGS_ARITH ||
			 (written && written != RFLAGS_ARITH) || r->by_cl ||
			 r->what == ROW_BITSCAN;
}

static void rows_build(void)
{
	struct gen_row *rows = xcalloc(opdesc_count, sizeof *rows);

	for (u16 row = 0; row < opdesc_count; row++)
		rows_fill(&rows[row], row);
	gen_rows = rows;
}

void jit_rows_init(void)
{
	pthread_once(&rows_once, rows_build);
}
