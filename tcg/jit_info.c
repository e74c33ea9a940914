/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * `info jit`: what the translator has done, in the layout of QEMU 7.2 as far
 * as the two have something in common.
 *
 * Everything is counted in C, so hits, which are not seen there, are not.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/buf.h"
#include "tcg/decode.h"
#include "tcg/jit.h"
#include "tcg/tcg.h"
#include "vmm/machine.h"

#define INFO_TOP 10 /* instructions that are named */

/* One vCPU's figures, or the sum of several. */
struct jit_figures {
	struct {
#define JIT_COUNT(field, text) u64 field;
#define JIT_SLOW               JIT_COUNT
#include "tcg/jit_count.def"
#undef JIT_SLOW
#undef JIT_COUNT
	} n;

	u64 used, size, max_bytes, live, heads, hash_size;
	u64 flushes, drops, interpreted, tlb_full, tlb_partial, tlb_pages;
	u64 *called; /* by row */
};

static const struct {
	const char *text;
	size_t from, to; /* in struct jit and jit_figures */
	bool slow;
} jit_counts[] = {

#define JIT_ROW(field, text, slow)           \
	{ text, offsetof(struct jit, field), \
	  offsetof(struct jit_figures, n.field), slow },
#define JIT_COUNT(field, text) JIT_ROW(field, text, false)
#define JIT_SLOW(field, text)  JIT_ROW(field, text, true)
#include "tcg/jit_count.def"
#undef JIT_SLOW
#undef JIT_COUNT
#undef JIT_ROW
};

static u64 *info_field(void *base, size_t offset)
{
	return (u64 *)((u8 *)base + offset);
}

void jit_count_left(struct tcg_cpu *c, const void *left)
{
	struct jit *j = c->jit;

	if (left == (const void *)JIT_LEFT ||
	    left == (const void *)JIT_LEFT_OLD)
		j->left_c++;
	else if (left == (const void *)JIT_LEFT_VEC)
		j->left_vec++;
	else if (atomic_load_explicit(&c->exit_req, memory_order_relaxed))
		j->left_asked++;
	else if (left != (const void *)JIT_LEFT_IND)
		j->left_jump++;
	else
		j->left_code++;
}

/* ---- Collecting ---- */

static void info_add_jit(struct jit_figures *f, struct jit *j)
{
	for (size_t n = 0; n < ARRAY_SIZE(jit_counts); n++)
		*info_field(f, jit_counts[n].to) +=
			*info_field(j, jit_counts[n].from);
	for (u16 row = 0; row < opdesc_count; row++)
		f->called[row] += j->called[row];
	for (u32 h = 0; h < 1u << j->hash_bits; h++) {
		f->heads += j->hash[h] != NULL;
		for (struct jit_block *t = j->hash[h]; t; t = t->next)
			f->live++;
	}
	f->hash_size += 1u << j->hash_bits;
	f->used += jit_room_used(j);
	f->size += j->size;
	f->max_bytes = MAX(f->max_bytes, j->max_bytes);
	f->flushes += j->flushes;
	f->drops += j->drops;
}

static void info_add(struct vcpu *v, void *arg)
{
	struct jit_figures *f = arg;
	struct tcg_cpu *c = v->accel;

	if (!c)
		return;
	f->interpreted += atomic_load_explicit(&c->insns, memory_order_relaxed);
	f->tlb_full += c->tlb_full;
	f->tlb_partial += c->tlb_partial;
	f->tlb_pages += c->tlb_pages;
	if (c->jit)
		info_add_jit(f, c->jit);
}

/* ---- Printing ---- */

static double info_ratio(u64 a, u64 b)
{
	return b ? (double)a / (double)b : 0;
}

static void info_line(struct buf *out, const char *what, u64 value)
{
	buf_printf(out, "%-19s %llu\n", what, (unsigned long long)value);
}

static void info_buffer(const struct jit_figures *f, struct buf *out)
{
	buf_puts(out, "Translation buffer state:\n");
	buf_printf(out, "gen code size       %llu/%llu\n",
		   (unsigned long long)f->used, (unsigned long long)f->size);
	info_line(out, "TB count", f->live);
	buf_printf(out, "TB avg target size  %.0f max=%llu bytes\n",
		   info_ratio(f->n.guest_bytes, f->n.blocks),
		   (unsigned long long)f->max_bytes);
	buf_printf(out,
		   "TB avg host size    %.0f bytes (expansion ratio: %.1f)\n",
		   info_ratio(f->n.host_bytes, f->n.blocks),
		   info_ratio(f->n.host_bytes, f->n.guest_bytes));
	buf_printf(out, "cross page TB count %llu (%.0f%%)\n",
		   (unsigned long long)f->n.crossing,
		   100 * info_ratio(f->n.crossing, f->n.blocks));
	buf_printf(out, "direct jump count   %llu (%.0f%% of %llu)\n",
		   (unsigned long long)f->n.links,
		   100 * info_ratio(f->n.links, f->n.sites),
		   (unsigned long long)f->n.sites);
	buf_printf(out,
		   "TB hash buckets     %llu/%llu (%.2f%% head buckets used)\n",
		   (unsigned long long)f->heads,
		   (unsigned long long)f->hash_size,
		   100 * info_ratio(f->heads, f->hash_size));
	buf_printf(out, "TB hash avg chain   %.3f buckets\n",
		   info_ratio(f->live, f->heads));
}

static void info_statistics(const struct jit_figures *f, struct buf *out)
{
	buf_puts(out, "\nStatistics:\n");
	info_line(out, "TB flush count", f->flushes);
	info_line(out, "TB regions dropped", f->drops);
	info_line(out, "TB invalidate count", f->n.stale);
	info_line(out, "TLB full flushes", f->tlb_full);
	info_line(out, "TLB partial flushes", f->tlb_partial);
	info_line(out, "TLB page flushes", f->tlb_pages);
	info_line(out, "TBs translated", f->n.blocks);
	info_line(out, "TBs self-checking", f->n.sources);
	buf_printf(out,
		   "instructions        %llu translated, %llu interpreted\n",
		   (unsigned long long)f->n.insns,
		   (unsigned long long)f->interpreted);
}

static void info_slow(struct jit_figures *f, struct buf *out)
{
	buf_puts(out, "\nSlow paths:\n");
	for (size_t n = 0; n < ARRAY_SIZE(jit_counts); n++)
		if (jit_counts[n].slow)
			buf_printf(out, "%-45s %llu\n", jit_counts[n].text,
				   (unsigned long long)*info_field(
					   f, jit_counts[n].to));
}

/* Takes the largest out, one after the other. */
static void info_handlers(struct jit_figures *f, struct buf *out)
{
	buf_puts(out, "\nHandlers called most:\n");
	for (int n = 0; n < INFO_TOP; n++) {
		const struct opdesc *d;
		u16 top = 0;

		for (u16 row = 1; row < opdesc_count; row++)
			if (f->called[row] > f->called[top])
				top = row;
		if (!f->called[top])
			return;
		d = &opdescs[top];
		buf_printf(out, "%s%s%-*s %llu\n", d->name,
			   d->operands[0] ? " " : "",
			   MAX(44 - (int)strlen(d->name), 0), d->operands,
			   (unsigned long long)f->called[top]);
		f->called[top] = 0;
	}
}

static void info_print(struct jit_figures *f, struct buf *out)
{
	info_buffer(f, out);
	info_statistics(f, out);
	info_slow(f, out);
	info_handlers(f, out);
}

void jit_info(struct machine *m, struct buf *out)
{
	struct jit_figures f = { 0 };
	u64 *called = xcalloc(opdesc_count, sizeof *called);

	f.called = called;
	for (int n = 0; n < m->nvcpus; n++)
		vcpu_run_on(m->vcpus[n], info_add, &f);
	info_print(&f, out);
	for (int n = 0; n < m->nvcpus && m->nvcpus > 1; n++) {
		memset(called, 0, opdesc_count * sizeof *called);
		f = (struct jit_figures){ .called = called };
		vcpu_run_on(m->vcpus[n], info_add, &f);
		buf_printf(out, "\nCPU #%d:\n", n);
		info_print(&f, out);
	}
	free(called);
}
