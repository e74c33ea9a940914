/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * kallsyms: names compressed by a table of 256 tokens, addresses as 32-bit
 * offsets from one base.
 *
 * Since 6.0 VMCOREINFO tells where the tables are.  Names have a length of
 * one byte, or since 6.1 of two when bit 7 of the first is set.  Offsets
 * are plain, or (CONFIG_KALLSYMS_ABSOLUTE_PERCPU) per-CPU addresses when
 * positive and base - 1 - offset when negative: the kernel's own _stext
 * decides which.
 *
 * Spec: Linux scripts/kallsyms.c, kernel/kallsyms.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "insight/internal.h"
#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/bytes.h"
#include "lib/err.h"

#define KALLSYMS_MAX       MIB        /* symbols */
#define KALLSYMS_NAMES_MAX (32 * MIB) /* and the bytes of their names */
#define KALLSYMS_TOKEN_MAX 64
#define KALLSYMS_TOKENS    256

/* Bytes of guest memory one after another. */
struct ins_stream {
	const struct insight *ins;
	u64 va;
	u8 page[4096];
	size_t at, len;
	s64 budget; /* of bytes, for who wants a bound */
};

static bool stream_byte(struct ins_stream *s, u8 *ret)
{
	if (s->at == s->len) {
		size_t n = sizeof s->page - (s->va & (sizeof s->page - 1));

		if (!ins_read(s->ins, s->va, s->page, n))
			return false;
		s->va += n;
		s->at = 0;
		s->len = n;
	}
	*ret = s->page[s->at++];
	return true;
}

struct ins_tokens {
	char text[KALLSYMS_TOKENS][KALLSYMS_TOKEN_MAX];
	u8 len[KALLSYMS_TOKENS];
};

static int kallsyms_damaged(struct err *err, const char *what)
{
	return err_set(err, -EINVAL, "the kernel's symbols are damaged (%s)",
		       what);
}

static int kallsyms_tokens(const struct insight *ins, struct ins_tokens *t,
			   struct err *err)
{
	u8 index[2 * KALLSYMS_TOKENS];
	u64 table, at;

	if (!vmcoreinfo_hex(&ins->info, "SYMBOL(kallsyms_token_table)",
			    &table) ||
	    !vmcoreinfo_hex(&ins->info, "SYMBOL(kallsyms_token_index)", &at) ||
	    !ins_read(ins, at, index, sizeof index))
		return kallsyms_damaged(err, "token index");
	for (int i = 0; i < KALLSYMS_TOKENS; i++) {
		struct ins_stream s = { .ins = ins,
					.va = table + get_le16(index + 2 * i) };
		u8 c = 1;

		for (; t->len[i] < KALLSYMS_TOKEN_MAX; t->len[i]++) {
			if (!stream_byte(&s, &c))
				return kallsyms_damaged(err, "token table");
			if (!c)
				break;
			t->text[i][t->len[i]] = c;
		}
		if (c)
			return kallsyms_damaged(err, "length of a token");
		ins_printable(t->text[i], t->len[i]);
	}
	return 0;
}

/* Appends the name that comes next, without its type, and a NUL. */
static bool kallsyms_name(struct ins_stream *s, const struct ins_tokens *t,
			  struct buf *names, char *ret_type)
{
	char text[INS_SYMBOL_MAX + KALLSYMS_TOKEN_MAX];
	size_t n = 0;
	u8 low, high = 0, token;
	u32 len;

	if (!stream_byte(s, &low))
		return false;
	len = low;
	if (low & 0x80) {
		if (!stream_byte(s, &high))
			return false;
		len = (low & 0x7f) | (u32)high << 7;
	}
	if (len > INS_SYMBOL_MAX || (s->budget -= len) < 0)
		return false;
	while (len--) {
		if (!stream_byte(s, &token) || n > INS_SYMBOL_MAX)
			return false;
		memcpy(text + n, t->text[token], t->len[token]);
		n += t->len[token];
	}
	if (n < 2)
		return false;
	*ret_type = text[0];
	buf_append(names, text + 1, n - 1);
	buf_append(names, "", 1);
	return true;
}

static int kallsyms_names(struct insight *ins, const struct ins_tokens *t,
			  struct err *err)
{
	struct ins_stream s = { .ins = ins, .budget = KALLSYMS_NAMES_MAX };
	struct buf names = { 0 };
	bool ok = vmcoreinfo_hex(&ins->info, "SYMBOL(kallsyms_names)", &s.va);

	for (u32 i = 0; i < ins->nsymbols && ok; i++) {
		ins->symbols[i].name = names.len;
		ok = names.len < KALLSYMS_NAMES_MAX &&
		     kallsyms_name(&s, t, &names, &ins->symbols[i].type);
	}
	ins->names = buf_steal(&names);
	return ok ? 0 : kallsyms_damaged(err, "names");
}

static u64 kallsyms_address(u64 base, s32 offset, bool percpu)
{
	if (!percpu)
		return base + (u32)offset;
	return offset >= 0 ? (u64)offset : base - 1 - offset;
}

static int kallsyms_addresses(struct insight *ins, struct err *err)
{
	u64 table, at, base;
	u32 stext = ins->nsymbols;
	u8 *offsets;
	bool percpu;
	int r = 0;

	if (!vmcoreinfo_hex(&ins->info, "SYMBOL(kallsyms_offsets)", &table) ||
	    !vmcoreinfo_hex(&ins->info, "SYMBOL(kallsyms_relative_base)",
			    &at) ||
	    !ins_read_u64(ins, at, &base))
		return kallsyms_damaged(err, "base");
	for (u32 i = 0; i < ins->nsymbols; i++)
		if (!strcmp(ins->names + ins->symbols[i].name, "_stext"))
			stext = i;
	if (stext == ins->nsymbols)
		return kallsyms_damaged(err, "_stext is not there");
	offsets = xcalloc(ins->nsymbols, 4);
	if (!ins_read(ins, table, offsets, (size_t)ins->nsymbols * 4))
		r = kallsyms_damaged(err, "offsets");
	percpu = kallsyms_address(base, get_le32(offsets + 4 * (size_t)stext),
				  true) == ins->stext;
	if (!r && !percpu &&
	    kallsyms_address(base, get_le32(offsets + 4 * (size_t)stext),
			     false) != ins->stext)
		r = kallsyms_damaged(err, "_stext is elsewhere");
	for (u32 i = 0; i < ins->nsymbols && !r; i++)
		ins->symbols[i].addr = kallsyms_address(
			base, get_le32(offsets + 4 * (size_t)i), percpu);
	free(offsets);
	return r;
}

/* By address; at equal addresses in the kernel's order. */
static int kallsyms_compare(const void *a, const void *b)
{
	const struct ins_symbol *x = a, *y = b;

	if (x->addr != y->addr)
		return x->addr < y->addr ? -1 : 1;
	return x->name < y->name ? -1 : x->name > y->name;
}

int ins_kallsyms_load(struct insight *ins, struct err *err)
{
	struct ins_tokens *t;
	u64 at;
	u32 n;
	int r;

	if (!vmcoreinfo_hex(&ins->info, "SYMBOL(kallsyms_num_syms)", &at))
		return 0; /* older than 6.0 */
	if (!ins_read_u32(ins, at, &n) || !n || n > KALLSYMS_MAX)
		return kallsyms_damaged(err, "their number");
	t = xalloc(sizeof *t);
	r = kallsyms_tokens(ins, t, err);
	if (!r) {
		ins->symbols = xcalloc(n, sizeof *ins->symbols);
		ins->nsymbols = n;
		r = kallsyms_names(ins, t, err);
	}
	free(t);
	if (!r)
		r = kallsyms_addresses(ins, err);
	if (r < 0)
		ins_kallsyms_free(ins);
	else
		qsort(ins->symbols, n, sizeof *ins->symbols, kallsyms_compare);
	return r;
}

void ins_kallsyms_free(struct insight *ins)
{
	free(ins->symbols);
	free(ins->names);
	ins->symbols = NULL;
	ins->names = NULL;
	ins->nsymbols = 0;
}

/* ---- lookup ---- */

u32 insight_symbol_count(const struct insight *ins)
{
	return ins->nsymbols;
}

const char *insight_symbol_at(const struct insight *ins, u32 i, u64 *ret_addr,
			      char *ret_type)
{
	*ret_addr = ins->symbols[i].addr;
	*ret_type = ins->symbols[i].type;
	return ins->names + ins->symbols[i].name;
}

static bool kallsyms_is_code(char type)
{
	return strchr("tTwW", type);
}

const char *insight_symbol(const struct insight *ins, u64 addr, u64 *ret_offset)
{
	u32 low = 0, high = ins->nsymbols;

	while (low < high) { /* the first one above */
		u32 mid = low + (high - low) / 2;

		if (ins->symbols[mid].addr <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	/* Behind the last symbol is no function. */
	if (!low || low == ins->nsymbols || addr < ins->stext)
		return NULL;
	low--;
	while (low && ins->symbols[low - 1].addr == ins->symbols[low].addr)
		low--; /* of aliases the first that is code */
	for (high = low; high < ins->nsymbols &&
			 ins->symbols[high].addr == ins->symbols[low].addr;
	     high++) {
		if (!kallsyms_is_code(ins->symbols[high].type))
			continue;
		*ret_offset = addr - ins->symbols[high].addr;
		return ins->names + ins->symbols[high].name;
	}
	return NULL;
}

bool insight_find(const struct insight *ins, const char *name, u64 *ret)
{
	for (u32 i = 0; i < ins->nsymbols; i++) {
		if (!strcmp(ins->names + ins->symbols[i].name, name)) {
			*ret = ins->symbols[i].addr;
			return true;
		}
	}
	return false;
}
