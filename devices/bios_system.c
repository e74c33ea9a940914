/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * INT 15h, functions 86h (wait) and 87h (copy to and from memory above 1 MiB),
 * which would be much work in real mode.
 */
#include "devices/bios.h"

#include "lib/bytes.h"
#include "vmm/machine.h"
#include "vmm/vtimer.h"

#define COPY_WORDS_MAX 0x8000u
#define COPY_SOURCE    0x10 /* descriptors in the caller's table */
#define COPY_TARGET    0x18
#define COPY_TABLE     0x30
#define COPY_TOO_MUCH  0x02

static gpa_t descriptor_base(const u8 *d)
{
	return d[2] | d[3] << 8 | (u32)d[4] << 16 | (u32)d[7] << 24;
}

static u8 bios_copy(struct bios *s, const struct bios_frame *f)
{
	struct memory *mem = &s->dev.m->mem;
	u32 left = (f->ecx & 0xffff) * 2;
	u8 table[COPY_TABLE], part[512];
	gpa_t from, to;

	if (left > COPY_WORDS_MAX * 2 ||
	    mem_read(mem, f->es * 16u + (f->esi & 0xffff), table,
		     sizeof table) < 0)
		return COPY_TOO_MUCH;
	from = descriptor_base(table + COPY_SOURCE);
	to = descriptor_base(table + COPY_TARGET);
	while (left) {
		u32 n = MIN(left, (u32)sizeof part);

		if (mem_read(mem, from, part, n) < 0 ||
		    mem_write(mem, to, part, n) < 0)
			return COPY_TOO_MUCH;
		from += n;
		to += n;
		left -= n;
	}
	return 0;
}

/* CX:DX microseconds. */
static bool bios_pause(struct bios *s, const struct bios_frame *f)
{
	u64 us = (f->ecx & 0xffff) << 16 | (f->edx & 0xffff);
	u64 now = vclock_now(s->dev.m);

	if (!s->wait_until)
		s->wait_until = now + us * 1000;
	if (now < s->wait_until)
		return false;
	s->wait_until = 0;
	return true;
}

bool bios_system(struct bios *s, struct bios_frame *f)
{
	u8 status = 0;

	if (bios_ah(f) == 0x86 && !bios_pause(s, f))
		return false;
	if (bios_ah(f) == 0x87)
		status = bios_copy(s, f);
	bios_set_ah(f, status);
	bios_carry(f, status);
	return true;
}
