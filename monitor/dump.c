/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What both kinds of core file need: ranges of RAM, output, mappings.
 */
#include "monitor/dump.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "monitor/paging.h"
#include "vmm/memory.h"

bool dump_range(const struct dump *d, gpa_t gpa, struct dump_range *ret)
{
	int n = atomic_load(&d->mem->nram);
	const struct ram_block *next = NULL;

	gpa = MAX(gpa, d->begin);
	for (int i = 0; i < n && gpa < d->end; i++) {
		const struct ram_block *b = &d->mem->ram[i];

		if (b->base < d->end && b->base + b->size > gpa &&
		    (!next || b->base < next->base))
			next = b;
	}
	if (!next)
		return false;
	ret->gpa = MAX(gpa, next->base);
	ret->size = MIN(d->end, next->base + next->size) - ret->gpa;
	ret->host = next->host + (ret->gpa - next->base);
	ret->block = next;
	return true;
}

int dump_put(struct dump *d, u64 offset, const void *data, size_t len)
{
	const u8 *p = data;

	while (len) {
		ssize_t n = pwrite(d->fd, p, len, offset);

		if (atomic_load(&d->abort))
			return err_set(&d->err, -ECANCELED,
				       "the dump was given up");
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(&d->err, "writing to '%s' failed",
					 d->path);
		p += n;
		offset += n;
		len -= n;
	}
	return 0;
}

/* ---- mappings ---- */

#define DUMP_TABLES_MAX (256 * 1024) /* page tables of 1 TiB in 4 KiB pages */

struct dump_list {
	struct dump_mapping *v;
	int n, cap, max;
};

static bool dump_mapping(void *arg, u64 va, u64 pa, u64 size)
{
	struct dump_list *l = arg;
	struct dump_mapping *last = l->n ? &l->v[l->n - 1] : NULL;

	if (last && last->va + last->size == va &&
	    last->gpa + last->size == pa) {
		last->size += size;
		return true;
	}
	if (l->n == l->max)
		return false;
	if (l->n == l->cap) {
		l->cap = MAX(2 * l->cap, 256);
		l->v = xrealloc(l->v, l->cap * sizeof *l->v);
	}
	l->v[l->n++] = (struct dump_mapping){ va, size, pa };
	return true;
}

int dump_mappings(struct dump *d, struct dump_mapping **ret, int max)
{
	struct dump_list l = { .max = max };
	const struct cpu_state *c = &d->cpus[0];

	if (!d->ncpus || !(c->cr0 & CR0_PG))
		return err_set(&d->err, -EINVAL,
			       "the guest has no paging; dump it without -p");
	if (!paging_walk(d->mem, c, DUMP_TABLES_MAX, dump_mapping, &l)) {
		free(l.v);
		return err_set(&d->err, -E2BIG,
			       "the guest has more than %d ranges of virtual "
			       "memory; dump it without -p",
			       max);
	}
	*ret = l.v;
	return l.n;
}

/* ---- all of it ---- */

/* What a worker writes now; freed by the main thread only. */
static _Atomic(struct dump *) dump_current;

void dump_abort(void)
{
	struct dump *d = atomic_load(&dump_current);

	if (d)
		atomic_store(&d->abort, true);
}

int dump_write(struct dump *d)
{
	struct dump_range r;
	int err;

	atomic_store(&dump_current, d);
	for (gpa_t g = d->begin; dump_range(d, g, &r); g = r.gpa + r.size)
		atomic_fetch_add(&d->total, r.size);
	err = d->compress ? dump_kdump(d) : dump_elf(d);
	if (close(d->fd) < 0 && !err)
		err = err_errno(&d->err, "writing to '%s' failed", d->path);
	d->fd = -1;
	atomic_store(&dump_current, NULL);
	return err;
}

void dump_fini(struct dump *d)
{
	if (d->fd >= 0)
		close(d->fd);
	free(d->path);
	free(d->cpus);
}
