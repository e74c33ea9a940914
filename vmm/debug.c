/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A debugger's breakpoints and watchpoints.
 */
#include "vmm/debug.h"

#include <errno.h>

#include "vmm/accel.h"
#include "vmm/machine.h"

#define DEBUG_INT3 0xcc

static bool debug_is_watch(const struct debug_point *p)
{
	return p->kind >= DEBUG_WATCH_WRITE;
}

static int debug_find(const struct machine_debug *d, enum debug_kind kind,
		      gva_t va, u32 len)
{
	for (int n = 0; n < d->n; n++) {
		const struct debug_point *p = &d->point[n];

		if (p->kind == kind && p->va == va &&
		    (!debug_is_watch(p) || p->len == len))
			return n;
	}
	return -1;
}

/* ---- INT3 in guest memory ---- */

struct debug_patch {
	struct debug_point *point;
	int result;
};

/* In a vCPU's thread: its page tables say where. */
static void debug_patch(struct vcpu *v, void *arg)
{
	struct debug_patch *patch = arg;
	struct debug_point *p = patch->point;
	const u8 int3 = DEBUG_INT3;

	patch->result = -EFAULT;
	if (!cpu_translate(vcpu_cpu(v), &v->m->mem, p->va, &p->pa, NULL,
			   NULL) ||
	    mem_read(&v->m->mem, p->pa, &p->byte, 1) < 0 ||
	    mem_load(&v->m->mem, p->pa, &int3, 1) < 0)
		return;
	p->patched = true;
	patch->result = 0;
}

/* The guest may have written something else there. */
static void debug_unpatch(struct machine *m, const struct debug_point *p)
{
	u8 now;

	if (p->patched && mem_read(&m->mem, p->pa, &now, 1) == 0 &&
	    now == DEBUG_INT3)
		mem_load(&m->mem, p->pa, &p->byte, 1);
}

void debug_show(const struct machine *m, gpa_t pa, u8 *data, u64 len)
{
	for (int n = 0; n < m->debug.n; n++) {
		const struct debug_point *p = &m->debug.point[n];

		if (p->patched && p->pa - pa < len &&
		    data[p->pa - pa] == DEBUG_INT3)
			data[p->pa - pa] = p->byte;
	}
}

void debug_hide(struct machine *m, gpa_t pa, u8 *data, u64 len)
{
	for (int n = 0; n < m->debug.n; n++) {
		struct debug_point *p = &m->debug.point[n];

		if (p->patched && p->pa - pa < len) {
			p->byte = data[p->pa - pa];
			data[p->pa - pa] = DEBUG_INT3;
		}
	}
}

/* ---- Points ---- */

static bool debug_has_room(const struct machine *m, enum debug_kind kind)
{
	int hard = 0;

	for (int n = 0; n < m->debug.n; n++)
		hard += m->debug.point[n].kind != DEBUG_BREAK_SOFT;
	return m->debug.n < DEBUG_POINTS_MAX &&
	       (kind == DEBUG_BREAK_SOFT || !m->accel->debug_hard ||
		hard < m->accel->debug_hard);
}

int debug_insert(struct vcpu *v, enum debug_kind kind, gva_t va, u32 len)
{
	struct machine *m = v->m;
	struct machine_debug *d = &m->debug;
	struct debug_point *p = &d->point[d->n];
	struct debug_patch patch = { .point = p };

	/* x86 has no registers that see loads alone. */
	if (!m->accel->debug ||
	    (m->accel->debug_hard && kind == DEBUG_WATCH_READ))
		return -ENOTSUP;
	if (kind >= DEBUG_WATCH_WRITE &&
	    (!len || len > PAGE_SIZE || va + (len - 1) < va ||
	     (m->accel->debug_hard &&
	      (len > 8 || (len & (len - 1)) || (va & (len - 1))))))
		return -EINVAL;
	if (debug_find(d, kind, va, len) >= 0)
		return 0;
	if (!debug_has_room(m, kind))
		return -ENOSPC;
	*p = (struct debug_point){ .kind = kind, .va = va, .len = MAX(len, 1) };
	if (kind == DEBUG_BREAK_SOFT && m->accel->debug_hard) {
		vcpu_run_on(v, debug_patch, &patch);
		if (patch.result < 0)
			return patch.result;
	}
	d->n++;
	d->epoch++;
	return 0;
}

static void debug_remove_at(struct machine *m, int n)
{
	struct machine_debug *d = &m->debug;

	debug_unpatch(m, &d->point[n]);
	d->point[n] = d->point[--d->n];
	d->epoch++;
}

int debug_remove(struct machine *m, enum debug_kind kind, gva_t va, u32 len)
{
	int n = debug_find(&m->debug, kind, va, len);

	if (n < 0)
		return -ENOENT;
	debug_remove_at(m, n);
	return 0;
}

void debug_remove_all(struct machine *m)
{
	while (m->debug.n)
		debug_remove_at(m, m->debug.n - 1);
}

/* ---- For accelerators ---- */

const struct debug_point *debug_break_at(const struct machine_debug *d,
					 gva_t va)
{
	for (int n = 0; n < d->n; n++)
		if (!debug_is_watch(&d->point[n]) && d->point[n].va == va)
			return &d->point[n];
	return NULL;
}

bool debug_break_in_page(const struct machine_debug *d, gva_t va)
{
	for (int n = 0; n < d->n; n++)
		if (!debug_is_watch(&d->point[n]) &&
		    !((d->point[n].va ^ va) & PAGE_MASK))
			return true;
	return false;
}

bool debug_watch_in_page(const struct machine_debug *d, gva_t va)
{
	gva_t page = va & PAGE_MASK;

	for (int n = 0; n < d->n; n++) {
		const struct debug_point *p = &d->point[n];

		if (debug_is_watch(p) && (p->va & PAGE_MASK) <= page &&
		    ((p->va + (p->len - 1)) & PAGE_MASK) >= page)
			return true;
	}
	return false;
}

const struct debug_point *debug_watch_at(const struct machine_debug *d,
					 gva_t va, u64 len, bool write)
{
	enum debug_kind other = write ? DEBUG_WATCH_READ : DEBUG_WATCH_WRITE;

	for (int n = 0; n < d->n; n++) {
		const struct debug_point *p = &d->point[n];

		if (debug_is_watch(p) && p->kind != other &&
		    (va - p->va < p->len || p->va - va < len))
			return p;
	}
	return NULL;
}
