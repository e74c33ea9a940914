/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Handlers of movs stos lods cmps scas.
 *
 * With a REP prefix and DF clear the elements that lie in one page of plain
 * RAM are done at once on host memory.  Counter and pointers are brought up
 * to date after each such chunk, so that a fault or an interrupt finds them
 * as after that many single elements.
 *
 * Spec: SDM 2 "REP/REPE/REPZ/REPNE/REPNZ".
 */
#include <string.h>

#include "tcg/alu.h"
#include "tcg/handlers.h"
#include "tcg/ops.h"

#define HANDLER(name) static void name(struct tcg_cpu *c, const struct insn *i)

/* Elements in one go between two looks at v->request. */
#define STRING_CHUNK 4096

static bool string_rep(const struct insn *i)
{
	return i->prefix & (INSN_REP | INSN_REPNE);
}

static u64 string_get(struct tcg_cpu *c, const struct insn *i, int reg)
{
	return c->gpr[reg] & ops_mask(i->addrsize);
}

static void string_add(struct tcg_cpu *c, const struct insn *i, int reg, s64 n)
{
	ops_set_gpr(c, reg, c->gpr[reg] + n, i->addrsize);
}

static void string_step(struct tcg_cpu *c, const struct insn *i, int reg, u64 n)
{
	s64 bytes = (s64)(n * i->opsize);

	string_add(c, i, reg, c->eflags & RFLAGS_DF ? -bytes : bytes);
}

static gva_t string_src(struct tcg_cpu *c, const struct insn *i, u32 bytes)
{
	return ops_seg_linear(c, i->seg, string_get(c, i, REG_RSI), bytes,
			      false);
}

static gva_t string_dst(struct tcg_cpu *c, const struct insn *i, u32 bytes,
			bool write)
{
	return ops_seg_linear(c, SEG_ES, string_get(c, i, REG_RDI), bytes,
			      write);
}

/* How many of `n` elements from `reg` on lie in one page, in the segment and
 * before the address wraps; 0: take one element the slow way. */
static u64 string_span(struct tcg_cpu *c, const struct insn *i, u8 seg, int reg,
		       u64 n)
{
	const struct cpu_segment *s = &c->s->seg[seg];
	u64 off = string_get(c, i, reg), room = ops_mask(i->addrsize) - off;
	gva_t va = off + (c->code64 ? c->seg_base[seg] : s->base);

	if (!c->code64) {
		if ((s->attr & (SEG_ATTR_CODE | SEG_ATTR_CE)) == SEG_ATTR_CE ||
		    off > s->limit)
			return 0;
		room = MIN(room, s->limit - off);
	}
	room = MIN(room, PAGE_SIZE - 1 - (va & (PAGE_SIZE - 1))) + 1;
	return MIN(n, room / i->opsize);
}

/* Elements that may be done at once, 1 when they must go singly. */
static u64 string_chunk(struct tcg_cpu *c, const struct insn *i, bool src,
			bool dst)
{
	u64 n;

	if (!string_rep(i) || c->eflags & RFLAGS_DF ||
	    c->mode_key & MODE_STEP || c->mmu == MMU_USER_ALIGN)
		return 1;
	n = MIN(string_get(c, i, REG_RCX), STRING_CHUNK);
	if (src)
		n = string_span(c, i, i->seg, REG_RSI, n);
	if (dst)
		n = string_span(c, i, SEG_ES, REG_RDI, n);
	return n ? n : 1;
}

/* After `n` elements: is the instruction over?  `more`: the condition of
 * REPE and REPNE lets it go on.  Otherwise leaves the block when an
 * interrupt waits; the instruction then starts again.  Not so where it has
 * stored to code, be it to itself: a processor goes on with what it is at. */
enum string_state { STRING_DONE, STRING_MORE, STRING_LEAVE };

static enum string_state string_count(struct tcg_cpu *c, const struct insn *i,
				      u64 n, bool more)
{
	if (!string_rep(i))
		return STRING_DONE;
	string_add(c, i, REG_RCX, -(s64)n);
	if (!more || !string_get(c, i, REG_RCX))
		return STRING_DONE;
	if (unlikely(c->mode_key & MODE_STEP ||
		     atomic_load_explicit(&c->v->request,
					  memory_order_relaxed))) {
		c->rip = tcg_this_rip(c, i);
		return STRING_LEAVE;
	}
	return STRING_MORE;
}

/* Runs `body`, which does some elements and returns how that went, until the
 * instruction is over.  Flags change only then: a fault in the middle shows
 * the old ones. */
#define STRING_LOOP(c, i, body)                                  \
	do {                                                     \
		enum string_state state_ = STRING_MORE;          \
		u32 cc_ = (c)->cc;                               \
		if (string_rep(i) && !string_get(c, i, REG_RCX)) \
			state_ = STRING_DONE;                    \
		while (state_ == STRING_MORE) {                  \
			state_ = body(c, i);                     \
			if (state_ != STRING_DONE)               \
				(c)->cc = cc_;                   \
		}                                                \
		if (state_ == STRING_LEAVE)                      \
			return;                                  \
		NEXT_STORED(c, i);                               \
	} while (0)

/* Ascending by elements, as the guest would: source and destination may
 * overlap so that stored elements are read again. */
#define STRING_COPY(bits)                                                      \
	static void string_copy_##bits(struct tcg_u##bits *d,                  \
				       const struct tcg_u##bits *s, u64 n)     \
	{                                                                      \
		for (u64 k = 0; k < n; k++)                                    \
			((volatile struct tcg_u##bits *)d)[k].v =              \
				((const volatile struct tcg_u##bits *)s)[k].v; \
	}

#define STRING_OPS(bits)                                                       \
	STRING_COPY(bits)                                                      \
	static enum string_state string_movs_##bits(struct tcg_cpu *c,         \
						    const struct insn *i)      \
	{                                                                      \
		u64 n = string_chunk(c, i, true, true);                        \
		u32 bytes = (u32)(n * (bits / 8));                             \
		gva_t from = string_src(c, i, bytes), to = 0;                  \
		const u8 *s = n > 1 ? tcg_host_r(c, from, bytes) : NULL;       \
		u8 *d = NULL;                                                  \
		u##bits v;                                                     \
		if (s) {                                                       \
			to = string_dst(c, i, bytes, true);                    \
			d = tcg_host_rw(c, to, bytes);                         \
		}                                                              \
		if (d) {                                                       \
			if (d > s && d < s + bytes)                            \
				string_copy_##bits((void *)d, (const void *)s, \
						   n);                         \
			else                                                   \
				memmove(d, s, bytes);                          \
			tcg_host_written(c, to, bytes);                        \
		} else {                                                       \
			v = tcg_ld##bits(c, from);                             \
			tcg_st##bits(c, string_dst(c, i, bits / 8, true), v);  \
			n = 1;                                                 \
		}                                                              \
		string_step(c, i, REG_RSI, n);                                 \
		string_step(c, i, REG_RDI, n);                                 \
		return string_count(c, i, n, true);                            \
	}                                                                      \
	static enum string_state string_stos_##bits(struct tcg_cpu *c,         \
						    const struct insn *i)      \
	{                                                                      \
		u64 n = string_chunk(c, i, false, true);                       \
		u32 bytes = (u32)(n * (bits / 8));                             \
		gva_t to = string_dst(c, i, bytes, true);                      \
		u8 *d = n > 1 ? tcg_host_rw(c, to, bytes) : NULL;              \
		u##bits v = (u##bits)c->gpr[REG_RAX];                          \
		if (d) {                                                       \
			alu_fill(d, v *(UINT64_MAX / (u##bits)UINT64_MAX),     \
				 bytes);                                       \
			tcg_host_written(c, to, bytes);                        \
		} else {                                                       \
			tcg_st##bits(c, to, v);                                \
			n = 1;                                                 \
		}                                                              \
		string_step(c, i, REG_RDI, n);                                 \
		return string_count(c, i, n, true);                            \
	}                                                                      \
	static enum string_state string_lods_##bits(struct tcg_cpu *c,         \
						    const struct insn *i)      \
	{                                                                      \
		u##bits v = tcg_ld##bits(c, string_src(c, i, bits / 8));       \
		if (bits == 8)                                                 \
			*(u8 *)c->gpr = (u8)v;                                 \
		else                                                           \
			ops_set_gpr(c, REG_RAX, v, bits / 8);                  \
		string_step(c, i, REG_RSI, 1);                                 \
		return string_count(c, i, 1, true);                            \
	}                                                                      \
	/* Compares until (a == b) differs from what goes on; the last pair \
	 * makes the flags. */  \
	static enum string_state string_scas_##bits(struct tcg_cpu *c,         \
						    const struct insn *i)      \
	{                                                                      \
		u64 n = string_chunk(c, i, false, true), k = 1;                \
		gva_t at = string_dst(c, i, (u32)(n * (bits / 8)), false);     \
		const struct tcg_u##bits *p = NULL;                            \
		u##bits a = (u##bits)c->gpr[REG_RAX], b;                       \
		bool equal = i->prefix & INSN_REP;                             \
		if (n > 1)                                                     \
			p = tcg_host_r(c, at, (u32)(n * (bits / 8)));          \
		if (p) {                                                       \
			while (k < n && (p[k - 1].v == a) == equal)            \
				k++;                                           \
			b = p[k - 1].v;                                        \
		} else {                                                       \
			b = tcg_ld##bits(c, at);                               \
		}                                                              \
		alu_cmp_##bits(c, a, b);                                       \
		string_step(c, i, REG_RDI, k);                                 \
		return string_count(c, i, k, (a == b) == equal);               \
	}                                                                      \
	static enum string_state string_cmps_##bits(struct tcg_cpu *c,         \
						    const struct insn *i)      \
	{                                                                      \
		u64 n = string_chunk(c, i, true, true), k = 1;                 \
		u32 bytes = (u32)(n * (bits / 8));                             \
		gva_t from = string_src(c, i, bytes);                          \
		gva_t at = string_dst(c, i, bytes, false);                     \
		const struct tcg_u##bits *p = NULL, *q = NULL;                 \
		bool equal = i->prefix & INSN_REP;                             \
		u##bits a, b;                                                  \
		if (n > 1) {                                                   \
			q = tcg_host_r(c, at, bytes);                          \
			p = q ? tcg_host_r(c, from, bytes) : NULL;             \
		}                                                              \
		if (p) {                                                       \
			while (k < n && (p[k - 1].v == q[k - 1].v) == equal)   \
				k++;                                           \
			a = p[k - 1].v;                                        \
			b = q[k - 1].v;                                        \
		} else {                                                       \
			b = tcg_ld##bits(c, at);                               \
			a = tcg_ld##bits(c, from);                             \
		}                                                              \
		alu_cmp_##bits(c, a, b);                                       \
		string_step(c, i, REG_RSI, k);                                 \
		string_step(c, i, REG_RDI, k);                                 \
		return string_count(c, i, k, (a == b) == equal);               \
	}                                                                      \
	HANDLER(movs_##bits##r)                                                \
	{                                                                      \
		STRING_LOOP(c, i, string_movs_##bits);                         \
	}                                                                      \
	HANDLER(stos_##bits##r)                                                \
	{                                                                      \
		STRING_LOOP(c, i, string_stos_##bits);                         \
	}                                                                      \
	HANDLER(lods_##bits##r)                                                \
	{                                                                      \
		STRING_LOOP(c, i, string_lods_##bits);                         \
	}                                                                      \
	HANDLER(scas_##bits##r)                                                \
	{                                                                      \
		STRING_LOOP(c, i, string_scas_##bits);                         \
	}                                                                      \
	HANDLER(cmps_##bits##r)                                                \
	{                                                                      \
		STRING_LOOP(c, i, string_cmps_##bits);                         \
	}

/* clang-format off */
STRING_OPS(8)
STRING_OPS(16)
STRING_OPS(32)
STRING_OPS(64)
/* clang-format on */

#define STRING_TABLE(name)                                                  \
	insn_fn *const ops_##name[8] = { name##_8r, name##_16r, name##_32r, \
					 name##_64r }

STRING_TABLE(movs);
STRING_TABLE(stos);
STRING_TABLE(lods);
STRING_TABLE(scas);
STRING_TABLE(cmps);
