/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * info mem and info tlb: what the page tables of a vCPU map.
 *
 * The tables are the guest's and may be anything: point to themselves, to
 * nowhere, or be endless.  A walk reads at most WALK_TABLES_MAX of them and
 * yields at most WALK_ROWS_MAX rows; what is beyond is asked for by address.
 *
 * Spec: SDM 3A "Paging".
 */
#include <stdlib.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/err.h"
#include "monitor/internal.h"
#include "monitor/paging.h"
#include "vmm/machine.h"

#define WALK_TABLES_MAX 8192
#define WALK_ROWS_MAX   20000

#define PTE_P   BIT(0)
#define PTE_W   BIT(1)
#define PTE_U   BIT(2)
#define PTE_PWT BIT(3)
#define PTE_PCD BIT(4)
#define PTE_A   BIT(5)
#define PTE_D   BIT(6)
#define PTE_PS  BIT(7)
#define PTE_G   BIT(8)
#define PTE_NX  BIT(63)

#define PTE_ADDR 0x000ffffffffff000ULL

/* One level of tables. */
struct walk_level {
	int shift; /* log2 of what one entry maps */
	int entries;
	int size;    /* bytes of one entry */
	bool large;  /* PS may end the walk here */
	bool rights; /* entries have U and W bits (a PAE PDPT has not) */
};

struct walk {
	struct memory *mem;
	const struct walk_level *levels;
	int depth;
	int va_bits;
	u64 start; /* not sign-extended */
	int tables, tables_max, rows;
	bool stopped;
	/* One mapping of 1 << shift bytes; `rights` has U and W of all levels.
	 */
	void (*fn)(struct walk *w, u64 va, u64 pa, int shift, u64 pte,
		   u64 rights);

	/* Of paging_walk(). */
	bool (*each)(void *arg, u64 va, u64 pa, u64 size);
	void *arg;

	/* Of info mem: the range being merged. */
	json_t *list;
	u64 range_start, range_end, range_rights;
};

static u64 walk_canonical(const struct walk *w, u64 va)
{
	int unused = 64 - w->va_bits;

	/* 32-bit addresses are not sign-extended. */
	return w->va_bits == 32 ? va : (u64)((s64)(va << unused) >> unused);
}

/* Physical address of what a leaf maps, PSE-36 and PAT bits removed. */
static u64 walk_leaf_address(const struct walk_level *l, u64 pte)
{
	if (l->size == 4 && l->shift == 22)
		return (pte & 0xffc00000u) | (pte >> 13 & 0xff) << 32;
	if (l->size == 4)
		return pte & 0xfffff000u;
	return pte & PTE_ADDR & ~(BIT(l->shift) - 1);
}

static void walk_table(struct walk *w, gpa_t table, int level, u64 va,
		       u64 rights)
{
	const struct walk_level *l = &w->levels[level];
	u8 data[4096];

	if (w->tables++ == w->tables_max) {
		w->stopped = true;
		return;
	}
	if (mem_read(w->mem, table, data, (u64)l->entries * l->size) < 0)
		return;
	for (int i = 0; i < l->entries && !w->stopped; i++) {
		const u8 *p = data + i * l->size;
		u64 pte = l->size == 8 ? get_le64(p) : get_le32(p);
		u64 at = va | (u64)i << l->shift;
		u64 both = l->rights ? rights & pte : rights;

		if (!(pte & PTE_P) || at + BIT(l->shift) - 1 < w->start)
			continue;
		if (level == w->depth - 1 || (l->large && (pte & PTE_PS)))
			w->fn(w, at, walk_leaf_address(l, pte), l->shift, pte,
			      both);
		else
			walk_table(
				w,
				pte & (l->size == 4 ? 0xfffff000u : PTE_ADDR),
				level + 1, at, both);
	}
}

/* clang-format off */
static const struct walk_level walk_long[] = {
	{ 48, 512, 8, false, true }, { 39, 512, 8, false, true },
	{ 30, 512, 8, true, true }, { 21, 512, 8, true, true },
	{ 12, 512, 8, false, true },
};
static const struct walk_level walk_pae[] = {
	{ 30, 4, 8, false, false }, { 21, 512, 8, true, true },
	{ 12, 512, 8, false, true },
};
static const struct walk_level walk_legacy[] = {
	{ 22, 1024, 4, true, true }, { 12, 1024, 4, false, true },
};
static const struct walk_level walk_legacy_no_pse[] = {
	{ 22, 1024, 4, false, true }, { 12, 1024, 4, false, true },
};

/* clang-format on */

static void walk_run(struct walk *w, const struct cpu_state *c)
{
	gpa_t root;

	if (cpu_long_mode(c)) {
		bool la57 = c->cr4 & CR4_LA57;

		w->levels = walk_long + !la57;
		w->depth = 4 + la57;
		w->va_bits = la57 ? 57 : 48;
		root = c->cr3 & PTE_ADDR;
	} else if (c->cr4 & CR4_PAE) {
		w->levels = walk_pae;
		w->depth = 3;
		w->va_bits = 32;
		root = c->cr3 & 0xffffffe0u;
	} else {
		w->levels = c->cr4 & CR4_PSE ? walk_legacy : walk_legacy_no_pse;
		w->depth = 2;
		w->va_bits = 32;
		root = c->cr3 & 0xfffff000u;
	}
	w->start &= BIT(w->va_bits) - 1;
	walk_table(w, root, 0, 0, PTE_U | PTE_W);
}

/* ---- info tlb ---- */

static void tlb_add(struct walk *w, u64 va, u64 pa, int shift, u64 pte,
		    u64 rights)
{
	static const struct {
		u64 bit;
		char letter;
	} flags[] = {
		{ PTE_NX, 'X' },  { PTE_G, 'G' }, { PTE_PS, 'P' },
		{ PTE_D, 'D' },   { PTE_A, 'A' }, { PTE_PCD, 'C' },
		{ PTE_PWT, 'T' }, { PTE_U, 'U' }, { PTE_W, 'W' },
	};

	char text[ARRAY_SIZE(flags) + 1] = { 0 };

	if (w->rows++ == WALK_ROWS_MAX) {
		w->stopped = true;
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		text[i] = pte & flags[i].bit ? flags[i].letter : '-';
	if (shift == 12) /* the bit means PAT there */
		text[2] = '-';
	json_array_append_new(w->list, json_pack("[o o s]",
						 val_hex(walk_canonical(w, va)),
						 val_hex(pa), text));
}

/* ---- info mem ---- */

static void mem_add_range(struct walk *w)
{
	if (w->range_start == w->range_end)
		return;
	if (w->rows++ == WALK_ROWS_MAX) {
		w->stopped = true;
		return;
	}
	json_array_append_new(
		w->list,
		json_pack("[o o s]", val_hex(walk_canonical(w, w->range_start)),
			  val_hex(w->range_end - w->range_start),
			  w->range_rights & PTE_U
				  ? w->range_rights & PTE_W ? "urw" : "ur-"
			  : w->range_rights & PTE_W ? "-rw"
						    : "-r-"));
}

static void mem_add(struct walk *w, u64 va, u64 pa, int shift, u64 pte,
		    u64 rights)
{
	rights &= PTE_U | PTE_W;
	if (va != w->range_end || rights != w->range_rights) {
		mem_add_range(w);
		w->range_start = va;
		w->range_rights = rights;
	}
	w->range_end = va + BIT(shift);
}

/* ---- dumps ---- */

static void walk_each(struct walk *w, u64 va, u64 pa, int shift, u64 pte,
		      u64 rights)
{
	if (!w->each(w->arg, walk_canonical(w, va), pa, BIT(shift)))
		w->stopped = true;
}

bool paging_walk(struct memory *mem, const struct cpu_state *c, int tables,
		 bool (*fn)(void *arg, u64 va, u64 pa, u64 size), void *arg)
{
	struct walk w = { .mem = mem,
			  .tables_max = tables,
			  .fn = walk_each,
			  .each = fn,
			  .arg = arg };

	walk_run(&w, c);
	return !w.stopped;
}

/* ---- both ---- */

static json_t *paging_query(struct monitor *mon, const struct args *a,
			    struct walk *w)
{
	const struct cpu_state *c = mon_cpu(mon);

	if (!c) {
		mon_puts(mon, "No CPU available\n");
		return NULL;
	}
	if (!(c->cr0 & CR0_PG)) {
		mon_puts(mon, "PG disabled\n");
		return NULL;
	}
	w->mem = &mon->m->mem;
	w->tables_max = WALK_TABLES_MAX;
	w->start = args_u64(a, "start");
	w->list = json_array();
	walk_run(w, c);
	if (w->fn == mem_add)
		mem_add_range(w);
	return json_pack("{so sb}", "entries", w->list, "stopped", w->stopped);
}

static const char *paging_item(const json_t *row, size_t i)
{
	return json_string_value(json_array_get(row, i));
}

static void paging_print_end(const json_t *v, const char *name, struct buf *out)
{
	if (val_true(v, "stopped"))
		buf_printf(out,
			   "[stopped after %d lines or %d page tables; "
			   "'info %s ADDR' goes on from an address]\n",
			   WALK_ROWS_MAX, WALK_TABLES_MAX, name);
}

json_t *query_tlb(struct monitor *mon, const struct args *a, struct err *err)
{
	struct walk w = { .fn = tlb_add };

	return paging_query(mon, a, &w);
}

void print_tlb(const json_t *v, struct buf *out)
{
	size_t i;
	json_t *row;

	json_array_foreach(json_object_get(v, "entries"), i, row)
		buf_printf(out, "%s: %s %s\n", paging_item(row, 0) + 2,
			   paging_item(row, 1) + 2, paging_item(row, 2));
	paging_print_end(v, "tlb", out);
}

json_t *query_mem(struct monitor *mon, const struct args *a, struct err *err)
{
	struct walk w = { .fn = mem_add };

	return paging_query(mon, a, &w);
}

void print_mem(const json_t *v, struct buf *out)
{
	size_t i;
	json_t *row;

	json_array_foreach(json_object_get(v, "entries"), i, row)
	{
		u64 start = strtoull(paging_item(row, 0), NULL, 16);
		u64 size = strtoull(paging_item(row, 1), NULL, 16);

		buf_printf(out, "%016llx-%016llx %016llx %s\n",
			   (unsigned long long)start,
			   (unsigned long long)(start + size),
			   (unsigned long long)size, paging_item(row, 2));
	}
	paging_print_end(v, "mem", out);
}
