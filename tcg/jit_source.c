/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Blocks that compare their text: for code that is rewritten again and again,
 * and for code that has data in its page, as what JIT compilers make.
 *
 * A block that has been found out of date some times gets a translation that
 * does without the generation of its page.  Each time it is entered it compares
 * the bytes that it was made from with memory; so its page need not be watched,
 * and stores to it cost nothing.  Nothing is linked into or out of it, as it
 * may be out of date at any time: its jumps are looked up.  It ends behind the
 * first instruction that may store, as a processor sees its own stores to what
 * it runs next.
 *
 * Where only an immediate or a displacement has changed, the next translation
 * reads it from memory where it is used ("The Transmeta Code Morphing
 * Software", CGO 2003, section 3.6.4, calls this stylized).  Where more has
 * changed the block goes back to generations, and so does one that has been
 * entered many times: perhaps nobody writes there any more.
 *
 * Stores by other processors in the middle of all this are as if they came a
 * little later: SDM 3A 9.1.3 wants a serializing instruction between such a
 * store and the run of what was stored.
 */
#include "tcg/jit_gen.h"

#include <string.h>

#include "tcg/flags.h"
#include "tcg/handlers.h"
#include "tcg/softmmu.h"
#include "vmm/memory.h"

/* j->rewritten[]: a tag, and how often the block was out of date, up to
 * SOURCE_AFTER; from SOURCE_REFUSED on it goes around to 0. */
#define SOURCE_AFTER   4
#define SOURCE_REFUSED 128
#define SOURCE_COUNT   255
#define SOURCE_ENTRIES 65536

_Atomic u32 jit_source_gen;

/* `ret_tag`: without a count.  The slot may have another's. */
static u32 *source_rewritten(struct jit *j, gpa_t phys, u32 key, u32 *ret_tag)
{
	u64 h = (phys ^ (u64)key << 40) * 0x9e3779b97f4a7c15ULL;

	*ret_tag = (u32)h & ~(u32)SOURCE_COUNT;
	return &j->rewritten[h >> (64 - JIT_REWRITTEN_BITS)];
}

/* Bytes of the text that are others in memory. */
static u64 source_changed(const struct jit_source *s)
{
	u64 changed = 0;

	for (u32 n = 0; n < JIT_SOURCE_BYTES; n++)
		if (s->compared & BIT(n) && s->host[n] != s->text[n])
			changed |= BIT(n);
	return changed;
}

bool jit_source_same(const struct jit_source *s)
{
	return s->left && !source_changed(s);
}

bool jit_source_stale(struct jit *j, const struct jit_block *t)
{
	const struct jit_source *s = jit_source_of(t);
	u32 tag, *slot = source_rewritten(j, t->phys, t->key, &tag);
	u32 count = *slot - tag <= SOURCE_COUNT ? *slot - tag : 0;
	u64 changed;

	if (!s) {
		count += count != SOURCE_AFTER;
		*slot = tag | (count & SOURCE_COUNT);
		return count == SOURCE_AFTER;
	}
	changed = source_changed(s);
	if (changed & ~s->movable) {
		*slot = tag | SOURCE_REFUSED;
		return false;
	}
	*slot = tag | (changed ? SOURCE_AFTER : 0);
	j->moved.phys = t->phys;
	j->moved.key = t->key;
	j->moved.bytes = s->fields | changed;
	return true;
}

/* ---- Planning ---- */

/* `n` bytes of the text from `at` on. */
static u64 source_bits(u32 at, u32 n)
{
	return (BIT(n) - 1) << at;
}

/* Where LEA's displacement of four bytes is in the instruction; 0: it has
 * none. */
static u32 source_lea_disp(const struct insn *i, const u8 *text)
{
	const u8 *at = text + i->off, *end = at + i->len;

	while (at < end && *at != 0x8d)
		at++; /* prefixes */
	if (end - at < 6 || i->base == INSN_RIP || i->addrsize != 8)
		return 0;
	return i->base == INSN_NOREG || at[1] >> 6 == 2 ? i->len - 4u : 0;
}

/* An operation on a register and four bytes. */
static bool source_alu(const struct insn *i)
{
	const struct opdesc *d = insn_desc(i);

	if (d->map != M1 || i->is_mem || i->opsize < 4)
		return false;
	return i->opcode == 0x81 || i->opcode == 0xc7 ||
	       (i->opcode == 0xf7 && d->reg < 2);
}

/* Bytes of the instruction that can be read where they are used: their offset
 * in the text, and how many; 0: none.  RSP is not for everybody to set. */
static u32 source_field(const struct insn *i, u8 class, const u8 *text,
			u32 *ret_at)
{
	u32 n = 4;

	*ret_at = i->off + i->len - 4u;
	switch (class) {
	case JIT_MOV_IMM:
		if (i->opsize < 4 || i->rm == REG_RSP)
			return 0;
		n = i->opsize;
		*ret_at = i->off + i->len - n;
		return n;
	case JIT_ACC: return i->opsize >= 4 ? n : 0;
	case JIT_COPY:
		if (!source_alu(i) || i->rm == REG_RSP)
			return 0;
		return i->opsize == 8 || jit_home[i->rm] != JIT_NOHOME ? n : 0;
	case JIT_LEA:
		if (i->opsize < 4 || i->reg == REG_RSP ||
		    !source_lea_disp(i, text))
			return 0;
		return n;
	}
	return 0;
}

/* May anything be stored that the rest of the block is made from? */
static bool source_may_store(const struct insn *i, u8 class)
{
	switch (class) {
	case JIT_COPY:
	case JIT_ACC:
	case JIT_MOV_IMM:
	case JIT_BSWAP:
	case JIT_LEA:
	case JIT_NOP:
	case JIT_FENCE:
	case JIT_MUL:
	case JIT_CBW:
	case JIT_CWD:
	case JIT_CARRY:
	case JIT_POP:
	case JIT_LEAVE:
	case JIT_DIRECTION:
	case JIT_VEX: return i->is_mem && insn_desc(i)->attrs & OP_WR;
	default: return true;
	}
}

bool jit_source_plan(struct tcg_cpu *c, const struct tcg_block *b, u32 key,
		     struct tcg_block *ret, struct jit_source *s)
{
	struct jit *j = c->jit;
	u32 at = b->phys & (PAGE_SIZE - 1);
	u32 room = MIN(JIT_SOURCE_BYTES, PAGE_SIZE - at);
	const u8 *host;
	gpa_t phys;
	u64 moved;
	u32 tag;

	if (*source_rewritten(j, b->phys, key, &tag) != (tag | SOURCE_AFTER) ||
	    b->gen_now2 || !(b->mode_key & MODE_CODE64))
		return false;
	host = tcg_fetch(c, c->rip, &phys);
	if (!host || phys != (b->phys & PAGE_MASK))
		return false;
	*s = (struct jit_source){ .host = host + at, .left = SOURCE_ENTRIES };
	/* Once: what is compared is what has been decoded. */
	memcpy(s->text, s->host, room);
	memcpy(ret, b, BLOCK_BYTES(0));
	tcg_block_again(c, s->text, room, ret);
	for (u16 n = 0; n < ret->n; n++)
		if (source_may_store(&ret->insn[n],
				     j->classes[ret->insn[n].row]))
			tcg_block_cut(ret, n + 1);
	moved = j->moved.phys == b->phys && j->moved.key == key ? j->moved.bytes
								: 0;
	for (u16 n = 0; n < ret->n; n++) {
		const struct insn *i = &ret->insn[n];
		u32 from, bytes;
		u64 bits;

		bytes = source_field(i, j->classes[i->row], s->text, &from);
		bits = bytes ? source_bits(from, bytes) : 0;
		s->movable |= bits;
		if (bits & moved)
			s->fields |= bits;
	}
	s->compared = ret->bytes == 64 ? ~0ULL : BIT(ret->bytes) - 1;
	s->compared &= ~s->fields;
	return true;
}

/* ---- Translation ---- */

/* cmp [R10 + at], `n` bytes of the text */
static void source_compare(struct gen *g, u32 at, u32 n)
{
	struct jit_emit *e = &g->e;
	const u8 *text = g->source->text + at;
	struct jit_rm rm = rm_mem(H_R10, (s32)at);

	switch (n) {
	case 1:
		em_rm(e, 0x80, 7, rm);
		em8(e, text[0]);
		break;
	case 2:
		em_rm(e, EM_66 | 0x81, 7, rm);
		em16(e, get_le16(text));
		break;
	case 4:
		em_rm(e, 0x81, 7, rm);
		em32(e, get_le32(text));
		break;
	case 8:
		em_mov_imm(e, H_RAX, get_le64(text));
		em_rm(e, EM_W | 0x39, H_RAX, rm);
		break;
	}
	g->changed[g->nchanged++] = em_jcc(e, 5);
}

/* RAX is free: whoever finds a block out of date here asks for nothing. */
void gen_source(struct gen *g)
{
	struct jit_source *s = g->source;
	struct jit_emit *e = &g->e;
	struct gen_cold *cold;
	u32 at = 0;

	em_mov_imm(e, H_R10, (u64)&s->left);
	em_rm(e, 0x83, 5, rm_mem(H_R10, 0)); /* sub dword, 1 */
	em8(e, 1);
	cold = gen_cold(g, COLD_SOURCE, em_jcc(e, 4));
	cold->target = g->b->phys & (PAGE_SIZE - 1);
	em_mov_imm(e, H_R10, (u64)s->host);
	g->nchanged = 0;
	while (at < g->b->bytes) {
		u32 n = 8;

		while (n > 1 && (at + n > g->b->bytes ||
				 ~s->compared & source_bits(at, n)))
			n /= 2;
		if (s->compared & BIT(at))
			source_compare(g, at, n);
		at += n;
	}
}

void gen_source_cold(struct gen *g)
{
	for (int n = 0; n < g->nchanged; n++)
		em_here(&g->e, g->changed[n]);
}

/* `to` = the field, sign-extended to 64 bits, or zero-extended.  Flags stay. */
static void source_load(struct gen *g, u8 to, u32 at, bool sign)
{
	em_mov_imm(&g->e, to, (u64)(g->source->host + at));
	em_rm(&g->e, sign ? EM_W | 0x63 : 0x8b, to, rm_mem(to, 0));
}

static void source_mov(struct gen *g, u32 at)
{
	const struct insn *i = g->i;
	u8 home = jit_home[i->rm];
	u8 to = home == JIT_NOHOME ? H_RAX : home;

	em_mov_imm(&g->e, H_R10, (u64)(g->source->host + at));
	em_rm(&g->e, i->opsize == 8 ? EM_W | 0x8b : 0x8b, to, rm_mem(H_R10, 0));
	if (home == JIT_NOHOME)
		em_store(&g->e, gen_slot(i->rm), to);
}

static void source_lea(struct gen *g, u32 at)
{
	struct insn bare = *g->i;
	const struct insn *i = g->i;
	u8 home = jit_home[i->reg];
	u8 to = home == JIT_NOHOME ? H_R10 : home;

	bare.disp = 0;
	g->i = &bare;
	gen_ea(g, H_R10, 0);
	g->i = i;
	source_load(g, H_RAX, at, true);
	em_rm(&g->e, i->opsize == 8 ? EM_W | 0x8d : 0x8d, to,
	      rm_index(H_R10, H_RAX, 0, 0));
	if (home == JIT_NOHOME)
		em_store(&g->e, gen_slot(i->reg), to);
}

/* As the form with two registers. */
static void source_op(struct gen *g, u8 class, u32 at)
{
	const struct insn *i = g->i;
	const struct opdesc *d = insn_desc(i);
	u8 reg = class == JIT_ACC ? REG_RAX : i->rm, op;
	u32 w = i->opsize == 8 ? EM_W : 0;

	if (i->opcode == 0xc7)
		op = 0x89; /* mov */
	else if (i->opcode == 0xf7 || i->opcode == 0xa9)
		op = 0x85; /* test */
	else
		op = (class == JIT_ACC ? i->opcode & 0x38 : d->reg << 3) | 1;
	if (d->flags_read & RFLAGS_ARITH)
		gen_load_flags(g);
	source_load(g, H_R10, at, w);
	em_rm(&g->e, w | op, H_R10,
	      jit_home[reg] == JIT_NOHOME ? gen_slot(reg)
					  : rm_reg(jit_home[reg]));
	if (d->flags_written & RFLAGS_ARITH)
		gen_flags_set(g);
}

bool gen_source_field(struct gen *g, u8 class)
{
	u32 at;

	if (!source_field(g->i, class, g->source->text, &at) ||
	    !(g->source->fields & BIT(at)))
		return false;
	if (class == JIT_MOV_IMM)
		source_mov(g, at);
	else if (class == JIT_LEA)
		source_lea(g, at);
	else
		source_op(g, class, at);
	return true;
}
