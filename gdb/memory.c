/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Guest memory for gdb: RAM and ROM, page by page.
 */
#include <string.h>

#include "gdb/internal.h"

struct gdb_copy {
	struct gdb *g;
	u64 at;
	u8 *data;
	size_t len, done;
	bool write;
};

/* Of one page. */
static bool gdb_copy_part(struct gdb_copy *k, gpa_t pa, u8 *data, size_t n)
{
	struct machine *m = k->g->m;
	u8 page[PAGE_SIZE];

	if (!k->write) {
		if (mem_read(&m->mem, pa, data, n) < 0)
			return false;
		debug_show(m, pa, data, n);
		return true;
	}
	if (!mem_ptr(&m->mem, pa, n))
		return false;
	memcpy(page, data, n);
	debug_hide(m, pa, page, n);
	return mem_load(&m->mem, pa, page, n) == 0;
}

static void gdb_copy(struct vcpu *v, void *arg)
{
	struct gdb_copy *k = arg;
	struct cpu_state *c = k->g->physical ? NULL : vcpu_cpu(v);

	while (k->done < k->len) {
		u64 va = k->at + k->done, pa = va;
		size_t n = MIN(k->len - k->done,
			       PAGE_SIZE - (va & (PAGE_SIZE - 1)));

		if (c && cpu_long_mode(c) && (u64)((s64)(va << 16) >> 16) != va)
			return; /* not canonical */
		if (c && !cpu_translate(c, &v->m->mem, va, &pa, NULL, NULL))
			return;
		if (!gdb_copy_part(k, pa, k->data + k->done, n))
			return;
		k->done += n;
	}
}

size_t gdb_read(struct gdb *g, u64 at, u8 *data, size_t len)
{
	struct gdb_copy k = { .g = g, .at = at, .data = data, .len = len };

	vcpu_run_on(gdb_vcpu(g, g->cpu), gdb_copy, &k);
	return k.done;
}

size_t gdb_write(struct gdb *g, u64 at, const u8 *data, size_t len)
{
	struct gdb_copy k = {
		.g = g, .at = at, .data = (u8 *)data, .len = len, .write = true
	};

	vcpu_run_on(gdb_vcpu(g, g->cpu), gdb_copy, &k);
	return k.done;
}
