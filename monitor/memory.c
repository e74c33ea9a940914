/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Reading guest memory for dumps: translated or physical, RAM or device.
 *
 * Locking: machine_lock.
 */
#include <string.h>

#include "monitor/internal.h"
#include "vmm/machine.h"
#include "vmm/memory.h"

static size_t mon_read_device(struct machine *m, gpa_t gpa, u8 *dst, size_t len,
			      u32 unit)
{
	size_t at;

	for (at = 0; unit && at + unit <= len; at += unit) {
		u64 offset, value;

		if (mem_block(&m->mem, gpa + at) ||
		    !space_find(&m->memory, gpa + at, &offset))
			break;
		value = space_read(&m->memory, gpa + at, unit);
		memcpy(dst + at, &value, unit);
	}
	return at;
}

/* Within one page. */
static size_t mon_read_physical(struct machine *m, gpa_t gpa, u8 *dst,
				size_t len, u32 unit)
{
	if (!mem_read(&m->mem, gpa, dst, len))
		return len;
	return mon_read_device(m, gpa, dst, len, unit);
}

size_t mon_read(const struct mon_space *s, u64 addr, void *dst, size_t len,
		u32 unit)
{
	struct machine *m = s->mon->m;
	size_t done = 0;

	while (done < len) {
		u64 at = addr + done;
		size_t n = MIN(len - done, PAGE_SIZE - (at & (PAGE_SIZE - 1)));
		gpa_t gpa = at;
		size_t got;

		if (s->cpu &&
		    !cpu_translate(s->cpu, &m->mem, at, &gpa, NULL, NULL))
			break;
		got = mon_read_physical(m, gpa, (u8 *)dst + done, n, unit);
		done += got;
		if (got < n)
			break;
	}
	return done;
}
