/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ELF kernels of either class: segments into guest RAM, entry points.
 *
 * The file is trusted no more than a guest: every offset is checked against
 * its size, every address against RAM.
 *
 * Spec: System V ABI "Object Files"; Xen docs/misc/pvh.markdown.
 */
#include "vmm/elf_image.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/err.h"
#include "vmm/boot.h"
#include "vmm/machine.h"

#define NOTE_MAX        4096
#define PVH_NOTE_PHYS32 18

union elf_header {
	u8 ident[EI_NIDENT];
	Elf32_Ehdr e32;
	Elf64_Ehdr e64;
};

/* A program header of either class. */
struct elf_segment {
	u32 type;
	u64 offset, paddr, vaddr, filesz, memsz;
};

static int elf_header(const struct boot_file *f, union elf_header *ret,
		      struct err *err)
{
	if (f->size < sizeof *ret)
		return err_set(err, -EINVAL, "'%s' is truncated", f->path);
	return boot_pread(f, 0, ret, sizeof *ret, err);
}

static bool elf_is64(const union elf_header *h)
{
	return h->ident[EI_CLASS] == ELFCLASS64;
}

static int elf_count(const union elf_header *h)
{
	return elf_is64(h) ? h->e64.e_phnum : h->e32.e_phnum;
}

static int elf_segment(const struct boot_file *f, const union elf_header *h,
		       int i, struct elf_segment *ret, struct err *err)
{
	u64 table = elf_is64(h) ? h->e64.e_phoff : h->e32.e_phoff;
	u64 each = elf_is64(h) ? h->e64.e_phentsize : h->e32.e_phentsize;
	Elf32_Phdr p32;
	Elf64_Phdr p64;
	int r;

	if (each < (elf_is64(h) ? sizeof p64 : sizeof p32) ||
	    !range_holds(0, f->size, table, (u64)elf_count(h) * each))
		return err_set(err, -EINVAL,
			       "'%s' is truncated or has odd program headers",
			       f->path);
	if (elf_is64(h)) {
		r = boot_pread(f, table + (u64)i * each, &p64, sizeof p64, err);
		*ret = (struct elf_segment){ p64.p_type,   p64.p_offset,
					     p64.p_paddr,  p64.p_vaddr,
					     p64.p_filesz, p64.p_memsz };
	} else {
		r = boot_pread(f, table + (u64)i * each, &p32, sizeof p32, err);
		*ret = (struct elf_segment){ p32.p_type,   p32.p_offset,
					     p32.p_paddr,  p32.p_vaddr,
					     p32.p_filesz, p32.p_memsz };
	}
	return r;
}

static int elf_load_segment(const struct boot_file *f, struct machine *m,
			    const struct elf_segment *s, struct err *err)
{
	int r = 0;

	if (s->filesz > s->memsz ||
	    !range_holds(0, f->size, s->offset, s->filesz))
		return err_set(err, -EINVAL, "'%s' is truncated", f->path);
	if (s->filesz)
		r = boot_copy(m, f, s->offset, s->paddr, s->filesz, err);
	if (r == 0 && mem_fill(&m->mem, s->paddr + s->filesz, 0,
			       s->memsz - s->filesz) < 0)
		r = err_set(err, -ENOMEM,
			    "'%s' needs %llu bytes of RAM at %#llx; give the "
			    "guest more with -m",
			    f->path, (unsigned long long)s->memsz,
			    (unsigned long long)s->paddr);
	return r;
}

int elf_load(struct boot_file *f, struct machine *m, gpa_t *ret_end,
	     struct err *err)
{
	union elf_header h;
	struct elf_segment s;
	gpa_t low = UINT64_MAX, end = MIB;
	int r = elf_header(f, &h, err);

	for (int i = 0; r == 0 && i < elf_count(&h); i++) {
		r = elf_segment(f, &h, i, &s, err);
		if (r < 0 || s.type != PT_LOAD || !s.memsz)
			continue;
		r = elf_load_segment(f, m, &s, err);
		low = MIN(low, s.paddr);
		end = MAX(end, s.paddr + s.memsz);
	}
	f->at = low;
	*ret_end = ALIGN_UP(end, PAGE_SIZE);
	return r;
}

int elf_entry(const struct boot_file *f, u64 *ret_entry, struct err *err)
{
	union elf_header h;
	struct elf_segment s;
	int r = elf_header(f, &h, err);
	u64 entry;

	if (r < 0)
		return r;
	entry = elf_is64(&h) ? h.e64.e_entry : h.e32.e_entry;
	*ret_entry = entry;
	for (int i = 0; i < elf_count(&h); i++) {
		r = elf_segment(f, &h, i, &s, err);
		if (r < 0)
			return r;
		if (s.type == PT_LOAD &&
		    range_holds(s.vaddr, s.memsz, entry, 1)) {
			*ret_entry = entry - s.vaddr + s.paddr;
			break;
		}
	}
	return 0;
}

static bool elf_note_entry(const u8 *note, u64 len, u64 *ret_entry)
{
	for (u64 at = 0; len - at >= 12;) {
		u64 name = ALIGN_UP((u64)get_le32(note + at), 4u);
		u64 desc = ALIGN_UP((u64)get_le32(note + at + 4), 4u);

		if (name > len || desc > len || name + desc > len - at - 12)
			return false;
		if (get_le32(note + at + 8) == PVH_NOTE_PHYS32 && name == 4 &&
		    !memcmp(note + at + 12, "Xen", 4) && desc >= 4) {
			*ret_entry = get_le32(note + at + 12 + name);
			return true;
		}
		at += 12 + name + desc;
	}
	return false;
}

int elf_pvh_entry(const struct boot_file *f, u64 *ret_entry, struct err *err)
{
	union elf_header h;
	struct elf_segment s;
	u8 note[NOTE_MAX];
	int r = elf_header(f, &h, err);

	for (int i = 0; r == 0 && i < elf_count(&h); i++) {
		r = elf_segment(f, &h, i, &s, err);
		if (r < 0 || s.type != PT_NOTE)
			continue;
		s.filesz = MIN(s.filesz, sizeof note);
		r = boot_pread(f, s.offset, note, s.filesz, err);
		if (r == 0 && elf_note_entry(note, s.filesz, ret_entry))
			return 0;
	}
	if (r < 0)
		return r;
	return err_set(err, -EINVAL,
		       "ELF kernel '%s' has neither a PVH note nor a multiboot "
		       "header",
		       f->path);
}
