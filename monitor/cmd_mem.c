/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Commands on memory and ports: save, translate, checksum, in, out.
 *
 * Writing a file may take long, so it happens on a worker; the session waits
 * for it, nobody else does.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/err.h"
#include "lib/work.h"
#include "monitor/internal.h"
#include "vmm/machine.h"
#include "vmm/memory.h"

/* ---- memsave, pmemsave ---- */

struct save {
	struct work work;
	struct monitor *mon;
	struct memory *mem;
	bool virtual;
	struct cpu_state cpu; /* translates when `virtual` */
	u64 addr, size;
	int fd;
	char *path; /* owned */
	int result;
	struct err err;
};

static int save_write(struct save *s, const u8 *data, size_t len)
{
	while (len) {
		ssize_t n = write(s->fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(&s->err, "writing to '%s' failed",
					 s->path);
		data += n;
		len -= n;
	}
	return 0;
}

/* At most up to the end of a page. */
static int save_piece(struct save *s, u64 addr, size_t len)
{
	u8 data[PAGE_SIZE];
	u64 page_size, pte;
	gpa_t gpa = addr;
	bool ok = true;

	if (s->virtual)
		ok = cpu_translate(&s->cpu, s->mem, addr, &gpa, &page_size,
				   &pte);
	if (ok && mem_read(s->mem, gpa, data, len) < 0) {
		ok = !s->virtual;
		memset(data, 0, len); /* physical holes read as zero */
	}
	if (!ok)
		return err_set(&s->err, -EINVAL,
			       "Invalid addr 0x%016llx/size %llu specified",
			       (unsigned long long)addr,
			       (unsigned long long)(s->addr + s->size - addr));
	return save_write(s, data, len);
}

static void save_run(struct work *w)
{
	struct save *s = container_of(w, struct save, work);

	for (u64 at = 0; at < s->size && !s->result;) {
		u64 addr = s->addr + at;
		size_t n =
			MIN(s->size - at, PAGE_SIZE - (addr & (PAGE_SIZE - 1)));

		s->result = save_piece(s, addr, n);
		at += n;
	}
	if (close(s->fd) < 0 && !s->result)
		s->result =
			err_errno(&s->err, "writing to '%s' failed", s->path);
}

static void save_done(struct work *w)
{
	struct save *s = container_of(w, struct save, work);

	mon_resume(s->mon, &s->err);
	free(s->path);
	free(s);
}

static int save_start(struct monitor *mon, const struct args *a, bool virtual,
		      struct err *err)
{
	const struct cpu_state *cpu = virtual ? mon_cpu(mon) : NULL;
	const char *path = args_str(a, "filename");
	struct save *s;
	int fd;

	if (virtual && !cpu)
		return err_set(err, -ENODEV, "No CPU available");
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_errno(err, "Could not open '%s'", path);
	s = xalloc(sizeof *s);
	s->work.run = save_run;
	s->work.done = save_done;
	s->work.loop = mon->m->loop;
	s->mon = mon;
	s->mem = &mon->m->mem;
	s->virtual = virtual;
	if (virtual)
		s->cpu = *cpu;
	s->addr = args_u64(a, "val");
	s->size = args_u64(a, "size");
	s->fd = fd;
	s->path = xstrdup(path);
	mon_suspend(mon);
	work_submit(&s->work);
	return 0;
}

int cmd_memsave(struct monitor *mon, const struct args *a, struct err *err)
{
	return save_start(mon, a, true, err);
}

int cmd_pmemsave(struct monitor *mon, const struct args *a, struct err *err)
{
	return save_start(mon, a, false, err);
}

/* ---- addresses ---- */

int cmd_gva2gpa(struct monitor *mon, const struct args *a, struct err *err)
{
	const struct cpu_state *c = mon_cpu(mon);
	u64 page_size, pte;
	gpa_t gpa;

	if (!c) {
		mon_puts(mon, "No cpu\n");
		return -ENODEV;
	}
	if (!cpu_translate(c, &mon->m->mem, args_u64(a, "addr"), &gpa,
			   &page_size, &pte)) {
		mon_puts(mon, "Unmapped\n");
		return -EFAULT;
	}
	mon_printf(mon, "gpa: %#llx\n", (unsigned long long)gpa);
	return 0;
}

/* One table entry as hardware sees it; bit names are those of info tlb. */
static void translate_entry(struct monitor *mon, const struct cpu_walk *w,
			    int i, int level)
{
	static const struct {
		u64 bit;
		char letter;
	} bits[] = { { BIT(63), 'X' }, { BIT(8), 'G' }, { BIT(6), 'D' },
		     { BIT(5), 'A' },  { BIT(4), 'C' }, { BIT(3), 'T' },
		     { BIT(2), 'U' },  { BIT(1), 'W' }, { BIT(0), 'P' } };

	char text[ARRAY_SIZE(bits) + 1] = { 0 };
	u64 e = w->entry[i].value;

	for (size_t b = 0; b < ARRAY_SIZE(bits); b++)
		text[b] = e & bits[b].bit ? bits[b].letter : '-';
	mon_printf(mon, "level %d: entry at 0x%016llx is 0x%0*llx %s\n", level,
		   (unsigned long long)w->entry[i].addr, w->wide ? 16 : 8,
		   (unsigned long long)e, text);
}

static int translate_levels(const struct cpu_state *c)
{
	if (cpu_long_mode(c))
		return c->cr4 & CR4_LA57 ? 5 : 4;
	return c->cr4 & CR4_PAE ? 3 : 2;
}

int cmd_translate(struct monitor *mon, const struct args *a, struct err *err)
{
	const struct cpu_state *c = mon_cpu(mon);
	u64 va = args_u64(a, "addr");
	const struct ram_block *b;
	struct cpu_walk w;
	bool mapped;
	int unused;

	if (!c)
		return err_set(err, -ENODEV, "No CPU available");
	unused = 64 - (c->cr4 & CR4_LA57 ? 57 : 48);
	if (cpu_long_mode(c) && (u64)((s64)(va << unused) >> unused) != va) {
		mon_puts(mon, "not a canonical address\n");
		return 0;
	}
	mapped = cpu_walk(c, &mon->m->mem, va, &w);
	for (int i = 0; i < w.n; i++)
		translate_entry(mon, &w, i, translate_levels(c) - i);
	if (!mapped) {
		mon_puts(mon, w.rsvd ? "Unmapped: a reserved bit is set\n"
				     : "Unmapped\n");
		return 0;
	}
	if (!w.n)
		mon_puts(mon, "paging is off\n");
	else
		mon_printf(mon, "page of %llu KiB: %s, %s, %s%s\n",
			   (unsigned long long)w.page_size / 1024,
			   w.user ? "user" : "kernel",
			   w.write ? "writable" : "read-only",
			   w.nx ? "no code" : "code",
			   w.global ? ", global" : "");
	b = mem_block(&mon->m->mem, w.pa);
	mon_printf(mon, "0x%016llx -> 0x%016llx (%s)\n", (unsigned long long)va,
		   (unsigned long long)w.pa, b ? b->name : "not RAM");
	return 0;
}

static const u8 *gpa_host(struct monitor *mon, gpa_t gpa)
{
	const u8 *host = mem_ptr(&mon->m->mem, gpa, 1);
	u64 offset;

	if (host)
		return host;
	if (space_find(&mon->m->memory, gpa, &offset))
		mon_printf(mon, "Memory at address %#llx is not RAM\n",
			   (unsigned long long)gpa);
	else
		mon_printf(mon, "No memory is mapped at address 0x%llx\n",
			   (unsigned long long)gpa);
	return NULL;
}

int cmd_gpa2hva(struct monitor *mon, const struct args *a, struct err *err)
{
	gpa_t gpa = args_u64(a, "addr");
	const u8 *host = gpa_host(mon, gpa);

	if (!host)
		return -EFAULT;
	mon_printf(mon, "Host virtual address for 0x%llx (%s) is %p\n",
		   (unsigned long long)gpa, mem_block(&mon->m->mem, gpa)->name,
		   (const void *)host);
	return 0;
}

/* Documentation/admin-guide/mm/pagemap.rst: bits 0-54 page frame number,
 * bit 63 present. */
static int gpa_pagemap(const u8 *host, u64 *ret, struct err *err)
{
	u64 entry, at = (uintptr_t)host / PAGE_SIZE * sizeof entry;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return err_errno(err, "Cannot open /proc/self/pagemap");
	n = pread(fd, &entry, sizeof entry, at);
	close(fd);
	if (n != sizeof entry)
		return err_set(err, -EIO, "Cannot read pagemap");
	if (!(entry >> 63))
		return err_set(err, -ENXIO, "Page not present");
	*ret = (entry & (BIT(55) - 1)) * PAGE_SIZE +
	       ((uintptr_t)host & (PAGE_SIZE - 1));
	if (*ret < PAGE_SIZE)
		return err_set(err, -EPERM,
			       "the kernel tells page frames to root only");
	return 0;
}

int cmd_gpa2hpa(struct monitor *mon, const struct args *a, struct err *err)
{
	gpa_t gpa = args_u64(a, "addr");
	const u8 *host = gpa_host(mon, gpa);
	u64 hpa = 0;
	int r;

	if (!host)
		return -EFAULT;
	r = gpa_pagemap(host, &hpa, err);
	if (r < 0)
		return r;
	mon_printf(mon, "Host physical address for 0x%llx (%s) is %#llx\n",
		   (unsigned long long)gpa, mem_block(&mon->m->mem, gpa)->name,
		   (unsigned long long)hpa);
	return 0;
}

#define SUM_BYTES_MAX (16 * MIB) /* a few milliseconds */

int cmd_sum(struct monitor *mon, const struct args *a, struct err *err)
{
	u64 addr = args_u64(a, "start"), size = args_u64(a, "size");
	u16 sum = 0;
	u8 data[512];

	if (size > SUM_BYTES_MAX)
		return err_set(err, -E2BIG,
			       "size is too large; at most %llu bytes",
			       SUM_BYTES_MAX);
	while (size) {
		size_t n = MIN(size, sizeof data);

		if (mem_read(&mon->m->mem, addr, data, n) < 0)
			memset(data, 0, n);
		for (size_t i = 0; i < n; i++)
			sum = (u16)(sum >> 1 | sum << 15) + data[i];
		addr += n;
		size -= n;
	}
	mon_printf(mon, "%05d\n", sum);
	return 0;
}

/* ---- ports ---- */

/* Not sticky: what a port is read with must not hang on an earlier x. */
static u32 port_size(const struct mem_fmt *fmt, u32 size)
{
	return !fmt->size ? size : fmt->size == 8 ? 1 : fmt->size;
}

static char port_suffix(u32 size)
{
	return size == 1 ? 'b' : size == 2 ? 'w' : 'l';
}

int cmd_port_in(struct monitor *mon, const struct args *a, struct err *err)
{
	struct space *io = &mon->m->io;
	bool indexed = args_has(a, "index");
	u32 size = port_size(args_fmt(a, "fmt"), indexed ? 1 : 4);
	u16 port = args_u64(a, "addr");
	u64 v;

	if (indexed) {
		space_write(io, port, 1, args_u64(a, "index") & 0xff);
		port++;
	}
	v = space_read(io, port, size);
	mon_printf(mon, "port%c[0x%04x] = 0x%0*llx\n", port_suffix(size), port,
		   (int)size * 2, (unsigned long long)v);
	return 0;
}

int cmd_port_out(struct monitor *mon, const struct args *a, struct err *err)
{
	u32 size = port_size(args_fmt(a, "fmt"), 4);
	u64 mask = BIT(8 * size) - 1;

	space_write(&mon->m->io, args_u64(a, "addr") & 0xffff, size,
		    args_u64(a, "val") & mask);
	return 0;
}
