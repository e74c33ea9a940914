/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ELF cores: notes with the registers of each vCPU, one segment for each run
 * of RAM, or with paging for each run of virtual memory.
 *
 * Pages of zeroes become holes of the file.
 *
 * Spec: System V ABI "Program Header"; struct elf_prstatus of Linux
 * include/linux/elfcore.h; the "QEMU" note of QEMU 7.2, which crash reads.
 */
#include <elf.h>
#undef PF_W /* vmm/cpu.h has another */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "insight/vmcoreinfo.h"
#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/bytes.h"
#include "monitor/dump.h"
#include "vmm/memory.h"

#define DUMP_SEGMENTS_MAX 60000 /* below PN_XNUM */
#define SEGMENT_RWX       7     /* PF_R | PF_W | PF_X */
#define PRSTATUS_SIZE     336
#define PRSTATUS_PID      32
#define PRSTATUS_REGS     112
#define QEMU_NOTE_VERSION 1
#define QEMU_NOTE_SIZE    440

/* ---- notes ---- */

static void note_pad(struct buf *out)
{
	while (out->len % 4)
		buf_putc(out, '\0');
}

static void note_put(struct buf *out, const char *name, u32 type,
		     const void *desc, size_t len)
{
	u8 head[12];

	put_le32(head, strlen(name) + 1);
	put_le32(head + 4, len);
	put_le32(head + 8, type);
	buf_append(out, head, sizeof head);
	buf_append(out, name, strlen(name) + 1);
	note_pad(out);
	buf_append(out, desc, len);
	note_pad(out);
}

static void note_prstatus(const struct cpu_state *c, int index, struct buf *out)
{
	/* struct user_regs_struct; -1: orig_rax, which is none */
	static const s8 gprs[] = { REG_R15, REG_R14, REG_R13, REG_R12,
				   REG_RBP, REG_RBX, REG_R11, REG_R10,
				   REG_R9,  REG_R8,  REG_RAX, REG_RCX,
				   REG_RDX, REG_RSI, REG_RDI, -1 };
	u8 desc[PRSTATUS_SIZE] = { 0 };
	u8 *p = desc + PRSTATUS_REGS;

	put_le32(desc + PRSTATUS_PID, index + 1);
	for (size_t i = 0; i < ARRAY_SIZE(gprs); i++, p += 8)
		put_le64(p, gprs[i] < 0 ? UINT64_MAX : c->gpr[gprs[i]]);
	put_le64(p, c->rip);
	put_le64(p + 8, c->seg[SEG_CS].sel);
	put_le64(p + 16, c->rflags);
	put_le64(p + 24, c->gpr[REG_RSP]);
	put_le64(p + 32, c->seg[SEG_SS].sel);
	put_le64(p + 40, c->seg[SEG_FS].base);
	put_le64(p + 48, c->seg[SEG_GS].base);
	put_le64(p + 56, c->seg[SEG_DS].sel);
	put_le64(p + 64, c->seg[SEG_ES].sel);
	put_le64(p + 72, c->seg[SEG_FS].sel);
	put_le64(p + 80, c->seg[SEG_GS].sel);
	note_put(out, "CORE", NT_PRSTATUS, desc, sizeof desc);
}

static u8 *note_qemu_segment(u8 *p, const struct cpu_segment *s)
{
	put_le32(p, s->sel);
	put_le32(p + 4, s->limit);
	put_le32(p + 8, (u32)s->attr << 8);
	put_le64(p + 16, s->base);
	return p + 24;
}

static u8 *note_qemu_table(u8 *p, const struct cpu_table *t)
{
	put_le32(p + 4, t->limit);
	put_le64(p + 16, t->base);
	return p + 24;
}

static void note_qemu(const struct cpu_state *c, struct buf *out)
{
	static const u8 gprs[] = { REG_RAX, REG_RBX, REG_RCX, REG_RDX,
				   REG_RSI, REG_RDI, REG_RSP, REG_RBP,
				   REG_R8,  REG_R9,  REG_R10, REG_R11,
				   REG_R12, REG_R13, REG_R14, REG_R15 };
	static const u8 segs[] = { SEG_CS, SEG_DS, SEG_ES,
				   SEG_FS, SEG_GS, SEG_SS };
	u8 desc[QEMU_NOTE_SIZE] = { 0 };
	u8 *p = desc + 8;

	put_le32(desc, QEMU_NOTE_VERSION);
	put_le32(desc + 4, sizeof desc);
	for (size_t i = 0; i < ARRAY_SIZE(gprs); i++, p += 8)
		put_le64(p, c->gpr[gprs[i]]);
	put_le64(p, c->rip);
	put_le64(p + 8, c->rflags);
	p += 16;
	for (size_t i = 0; i < ARRAY_SIZE(segs); i++)
		p = note_qemu_segment(p, &c->seg[segs[i]]);
	p = note_qemu_segment(p, &c->ldt);
	p = note_qemu_segment(p, &c->tr);
	p = note_qemu_table(p, &c->gdt);
	p = note_qemu_table(p, &c->idt);
	put_le64(p, c->cr0);
	put_le64(p + 16, c->cr2);
	put_le64(p + 24, c->cr3);
	put_le64(p + 32, c->cr4);
	put_le64(p + 40, c->kernel_gs_base);
	note_put(out, "QEMU", 0, desc, sizeof desc);
}

/* The kernel's image is mapped where it says? */
static bool note_vmcoreinfo_holds(const struct dump *d,
				  const struct vmcoreinfo *v, u64 *ret_base)
{
	u64 stext, swapper;
	s64 base;
	struct cpu_state c = { .cr0 = CR0_PE | CR0_PG,
			       .cr4 = CR4_PAE,
			       .efer = EFER_LME | EFER_LMA | EFER_NXE };
	s64 la57 = 0;
	gpa_t gpa;

	if (!vmcoreinfo_hex(v, "SYMBOL(_stext)", &stext) ||
	    !vmcoreinfo_hex(v, "SYMBOL(swapper_pg_dir)", &swapper) ||
	    !vmcoreinfo_number(v, "NUMBER(phys_base)", &base))
		return false;
	vmcoreinfo_number(v, "NUMBER(pgtable_l5_enabled)", &la57);
	if (la57 == 1)
		c.cr4 |= CR4_LA57;
	c.cr3 = swapper - 0xffffffff80000000ULL + (u64)base;
	*ret_base = base;
	/* Not of a kernel that ran before: a vCPU has entered this one. */
	return cpu_translate(&c, d->mem, stext, &gpa, NULL, NULL) &&
	       d->cpus[0].lstar - stext < GIB;
}

void dump_notes(const struct dump *d, struct buf *out, u64 *ret_info,
		u64 *ret_info_len, u64 *ret_phys_base)
{
	struct vmcoreinfo info;
	gpa_t at = 0;

	*ret_info = *ret_info_len = *ret_phys_base = 0;
	for (int i = 0; i < d->ncpus; i++)
		note_prstatus(&d->cpus[i], i, out);
	for (int i = 0; i < d->ncpus; i++)
		note_qemu(&d->cpus[i], out);
	while (d->ncpus && vmcoreinfo_find(d->mem, &at, &info)) {
		if (!note_vmcoreinfo_holds(d, &info, ret_phys_base))
			continue;
		note_put(out, "VMCOREINFO", 0, info.text, info.len);
		*ret_info = out->len - ALIGN_UP(info.len, 4);
		*ret_info_len = info.len;
		return;
	}
	*ret_phys_base = 0;
}

/* ---- segments ---- */

static void elf_segment(struct buf *out, u32 type, u64 offset, u64 va, u64 pa,
			u64 size)
{
	Elf64_Phdr p = { .p_type = type,
			 .p_flags = type == PT_LOAD ? SEGMENT_RWX : 0,
			 .p_offset = offset,
			 .p_vaddr = va,
			 .p_paddr = pa,
			 .p_filesz = size,
			 .p_memsz = type == PT_LOAD ? size : 0 };

	buf_append(out, &p, sizeof p);
}

/* Where a physical address lies in the file, if it does.  RAM follows the
 * headers in order of address, without the gaps between its blocks. */
static bool elf_file_offset(const struct dump *d, u64 data, gpa_t gpa, u64 *ret,
			    u64 *ret_left)
{
	struct dump_range r;
	u64 at = data;

	for (gpa_t g = d->begin; dump_range(d, g, &r); g = r.gpa + r.size) {
		if (gpa >= r.gpa && gpa - r.gpa < r.size) {
			*ret = at + (gpa - r.gpa);
			*ret_left = r.size - (gpa - r.gpa);
			return true;
		}
		at += r.size;
	}
	return false;
}

static int elf_count_ranges(const struct dump *d)
{
	struct dump_range r;
	int n = 0;

	for (gpa_t g = d->begin; dump_range(d, g, &r); g = r.gpa + r.size)
		n++;
	return n;
}

static void elf_physical(const struct dump *d, u64 data, struct buf *out)
{
	struct dump_range r;

	for (gpa_t g = d->begin; dump_range(d, g, &r); g = r.gpa + r.size) {
		elf_segment(out, PT_LOAD, data, r.gpa, r.gpa, r.size);
		data += r.size;
	}
}

/* Mappings of what is not RAM have no bytes in the file. */
static void elf_virtual(const struct dump *d, const struct dump_mapping *m,
			int n, u64 data, struct buf *out)
{
	for (int i = 0; i < n; i++) {
		u64 offset, left;

		if (elf_file_offset(d, data, m[i].gpa, &offset, &left))
			elf_segment(out, PT_LOAD, offset, m[i].va, m[i].gpa,
				    MIN(m[i].size, left));
		else
			elf_segment(out, PT_LOAD, 0, m[i].va, m[i].gpa, 0);
	}
}

static int elf_pages(struct dump *d, const struct dump_range *r, u64 offset)
{
	static const u8 zeroes[64 * KIB];
	u64 start, end, at = r->host - r->block->host, stop = at + r->size;
	int err = 0;

	while (!err && at < stop && mem_next_data(r->block, at, &start, &end)) {
		end = MIN(end, stop);
		for (at = MAX(at, start); at < end && !err;) {
			size_t n = MIN(end - at, sizeof zeroes);
			u64 to = offset + (at - (r->host - r->block->host));

			if (memcmp(r->block->host + at, zeroes, n))
				err = dump_put(d, to, r->block->host + at, n);
			at += n;
			atomic_fetch_add(&d->done, n);
		}
		at = MAX(at, end);
	}
	return err;
}

static int elf_data(struct dump *d, u64 data)
{
	struct dump_range r;
	int err = 0;

	for (gpa_t g = d->begin; !err && dump_range(d, g, &r);
	     g = r.gpa + r.size) {
		err = elf_pages(d, &r, data);
		data += r.size;
	}
	/* The last page may be a hole: the file ends behind it. */
	if (!err && ftruncate(d->fd, data) < 0)
		err = err_errno(&d->err, "writing to '%s' failed", d->path);
	return err;
}

int dump_elf(struct dump *d)
{
	Elf64_Ehdr h = { .e_ident = ELFMAG,
			 .e_type = ET_CORE,
			 .e_machine = EM_X86_64,
			 .e_version = EV_CURRENT,
			 .e_phoff = sizeof h,
			 .e_ehsize = sizeof h,
			 .e_phentsize = sizeof(Elf64_Phdr) };
	struct dump_mapping *maps = NULL;
	struct buf notes = { 0 }, out = { 0 };
	u64 info, info_len, base, data;
	int n = elf_count_ranges(d), err = 0;

	if (d->paging) {
		n = dump_mappings(d, &maps, DUMP_SEGMENTS_MAX);
		err = MIN(n, 0);
	}
	if (!err) {
		dump_notes(d, &notes, &info, &info_len, &base);
		h.e_ident[EI_CLASS] = ELFCLASS64;
		h.e_ident[EI_DATA] = ELFDATA2LSB;
		h.e_ident[EI_VERSION] = EV_CURRENT;
		h.e_phnum = 1 + n;
		data = sizeof h + (1 + (u64)n) * sizeof(Elf64_Phdr);
		buf_append(&out, &h, sizeof h);
		elf_segment(&out, PT_NOTE, data, 0, 0, notes.len);
		data = ALIGN_UP(data + notes.len, PAGE_SIZE);
		if (d->paging)
			elf_virtual(d, maps, n, data, &out);
		else
			elf_physical(d, data, &out);
		buf_append(&out, notes.data, notes.len);
		err = dump_put(d, 0, out.data, out.len);
		if (!err)
			err = elf_data(d, data);
	}
	free(maps);
	buf_fini(&notes);
	buf_fini(&out);
	return err;
}
