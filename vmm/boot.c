/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Kernel loaders.
 *
 * Everything below 1 MiB that a loader hands over sits at the fixed places
 * listed here; kernels copy it before they use that memory.
 *
 * Spec: Linux Documentation/arch/x86/boot.rst; Xen docs/misc/pvh.markdown;
 * Multiboot Specification 0.6.96.
 */
#include "vmm/boot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "vmm/boot_bios.h"
#include "vmm/elf_image.h"
#include "vmm/machine.h"
#include "vmm/vcpu.h"

#define BOOT_GDT      0x0500u
#define BOOT_PARAMS   0x7000u
#define BOOT_PVH_INFO 0x6000u
#define BOOT_MULTI    0x1f000u /* kernels for real mode are loaded lower */
#define BOOT_PML4     0xa000u
#define BOOT_PDPT     0xb000u
#define BOOT_PD       0xc000u /* four pages: 4 GiB */
#define BOOT_CMDLINE  0x20000u
#define BOOT_CMD_MAX  0x10000u

#define BOOT_CS 0x10
#define BOOT_DS 0x18

/* Offsets in the bzImage header and struct boot_params. */
#define HDR_SETUP_SECTS     0x1f1
#define HDR_BOOT_FLAG       0x1fe
#define HDR_JUMP            0x201
#define HDR_MAGIC           0x202
#define HDR_VERSION         0x206
#define HDR_TYPE_OF_LOADER  0x210
#define HDR_LOADFLAGS       0x211
#define HDR_CODE32_START    0x214
#define HDR_RAMDISK_IMAGE   0x218
#define HDR_RAMDISK_SIZE    0x21c
#define HDR_HEAP_END        0x224
#define HDR_CMD_LINE_PTR    0x228
#define HDR_INITRD_ADDR_MAX 0x22c
#define HDR_KERNEL_ALIGN    0x230
#define HDR_RELOCATABLE     0x234
#define HDR_XLOADFLAGS      0x236
#define HDR_CMDLINE_SIZE    0x238
#define HDR_PREF_ADDRESS    0x258
#define HDR_INIT_SIZE       0x260
#define HDR_VID_MODE        0x1fa
#define PARAMS_RSDP         0x070
#define PARAMS_EXT_RAMDISK  0x0c0
#define PARAMS_EXT_RD_SIZE  0x0c4
/* struct screen_info */
#define PARAMS_VIDEO_MODE   0x006
#define PARAMS_VIDEO_COLS   0x007
#define PARAMS_VIDEO_EGA    0x00a
#define PARAMS_VIDEO_LINES  0x00e
#define PARAMS_VIDEO_IS_VGA 0x00f
#define PARAMS_VIDEO_POINTS 0x010
#define PARAMS_E820_COUNT   0x1e8
#define PARAMS_E820         0x2d0

#define LOADFLAG_LOADED_HIGH 0x01
#define LOADFLAG_USE_HEAP    0x80
#define XLF_KERNEL_64        0x01

#define MULTIBOOT_MAGIC    0x1badb002u
#define MULTIBOOT_EAX      0x2badb002u
#define MULTIBOOT_SEARCH   8192
#define MULTIBOOT_F_ADDRS  BIT(16)
#define MULTIBOOT_MODS_MAX 16
#define PVH_START_MAGIC    0x336ec578u
#define PVH_NOTE_PHYS32    18

enum boot_kind { BOOT_BZIMAGE, BOOT_PVH, BOOT_MULTIBOOT };

struct boot {
	enum boot_kind kind;
	struct boot_file kernel;
	struct boot_file mod[MULTIBOOT_MODS_MAX]; /* [0]: the initrd */
	int nmods;
	char *cmdline; /* owned */
	u8 head[MULTIBOOT_SEARCH];
	u64 head_len;
	u32 mb_header; /* offset of the multiboot header */
	u64 entry;
	gpa_t kernel_end; /* first free byte after the loaded kernel */
};

/* ---- Files ---- */

static int boot_file_open(struct boot_file *f, const char *what,
			  const char *path, struct err *err)
{
	struct stat st;

	f->path = xstrdup(path);
	f->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (f->fd < 0 || fstat(f->fd, &st) < 0)
		return err_errno(err, "could not open %s '%s'", what, path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, -EINVAL, "%s '%s' is not a regular file",
			       what, path);
	if (!st.st_size)
		return err_set(err, -EINVAL, "%s '%s' is empty", what, path);
	f->size = (u64)st.st_size;
	return 0;
}

static void boot_file_close(struct boot_file *f)
{
	if (f->path && f->fd >= 0)
		close(f->fd);
	free(f->path);
	free(f->args);
}

int boot_pread(const struct boot_file *f, u64 offset, void *dst, u64 len,
	       struct err *err)
{
	u8 *p = dst;

	while (len) {
		ssize_t n = pread(f->fd, p, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, "cannot read '%s'", f->path);
		if (!n)
			return err_set(err, -EINVAL, "'%s' is truncated",
				       f->path);
		p += n;
		offset += (u64)n;
		len -= (u64)n;
	}
	return 0;
}

int boot_copy(struct machine *m, const struct boot_file *f, u64 offset,
	      gpa_t at, u64 len, struct err *err)
{
	void *host = mem_ptr_rw(&m->mem, at, len);
	int r;

	if (!host)
		return err_set(err, -ENOMEM,
			       "'%s' needs %llu bytes of RAM at %#llx; give "
			       "the guest more with -m",
			       f->path, (unsigned long long)len,
			       (unsigned long long)at);
	r = boot_pread(f, offset, host, len, err);
	mem_written(&m->mem, at, len);
	return r;
}

static int boot_put(struct machine *m, gpa_t at, const void *data, u64 len,
		    struct err *err)
{
	if (mem_write(&m->mem, at, data, len) < 0)
		return err_set(err, -ENOMEM,
			       "the guest has too little RAM to boot a kernel; "
			       "give it more with -m");
	return 0;
}

/* ---- Opening ---- */

static bool boot_find_multiboot(struct boot *b)
{
	for (u32 at = 0; at + 12 <= b->head_len; at += 4) {
		u32 magic = get_le32(b->head + at);
		u32 flags = get_le32(b->head + at + 4);

		if (magic == MULTIBOOT_MAGIC &&
		    magic + flags + get_le32(b->head + at + 8) == 0) {
			b->mb_header = at;
			return true;
		}
	}
	return false;
}

static bool boot_is_elf(const struct boot *b)
{
	return b->head_len >= 4 && !memcmp(b->head, "\177ELF", 4);
}

static int boot_detect(struct boot *b, struct err *err)
{
	if (boot_find_multiboot(b)) {
		b->kind = BOOT_MULTIBOOT;
		return 0;
	}
	if (boot_is_elf(b)) {
		b->kind = BOOT_PVH;
		return 0;
	}
	if (b->head_len > HDR_INIT_SIZE + 4 &&
	    get_le16(b->head + HDR_BOOT_FLAG) == 0xaa55 &&
	    !memcmp(b->head + HDR_MAGIC, "HdrS", 4)) {
		b->kind = BOOT_BZIMAGE;
		return 0;
	}
	return err_set(err, -EINVAL,
		       "kernel '%s' is in no known format; accepted: bzImage, "
		       "ELF with a PVH note, multiboot",
		       b->kernel.path);
}

static u64 bz_setup_size(const struct boot *b)
{
	u8 sects = b->head[HDR_SETUP_SECTS];

	return (u64)((sects ? sects : 4) + 1) * 512;
}

static int bz_check(struct boot *b, struct err *err)
{
	u16 version = get_le16(b->head + HDR_VERSION);
	u32 syssize = get_le32(b->head + 0x1f4); /* 16-byte units */

	if (version < 0x0202 ||
	    !(b->head[HDR_LOADFLAGS] & LOADFLAG_LOADED_HIGH))
		return err_set(err, -EINVAL,
			       "kernel '%s' has boot protocol %u.%02u; bzImage "
			       "2.02 or newer is needed",
			       b->kernel.path, version >> 8, version & 0xff);
	if (b->kernel.size < bz_setup_size(b) + (u64)syssize * 16 - 15)
		return err_set(err, -EINVAL,
			       "kernel '%s' is truncated: %llu of %llu bytes",
			       b->kernel.path,
			       (unsigned long long)b->kernel.size,
			       (unsigned long long)(bz_setup_size(b) +
						    (u64)syssize * 16));
	return 0;
}

static int boot_open_mods(struct boot *b, const char *list, struct err *err)
{
	char *copy = xstrdup(list), *rest = copy, *one;
	int r = 0;

	if (b->kind != BOOT_MULTIBOOT) {
		b->nmods = 1;
		r = boot_file_open(&b->mod[0], "initrd", list, err);
		free(copy);
		return r;
	}
	while (r == 0 && (one = strsep(&rest, ","))) {
		char *space = strchr(one, ' ');

		if (b->nmods == MULTIBOOT_MODS_MAX) {
			r = err_set(err, -EINVAL,
				    "more than %d multiboot modules",
				    MULTIBOOT_MODS_MAX);
			break;
		}
		b->mod[b->nmods].args = xstrdup(one);
		if (space)
			*space = '\0';
		r = boot_file_open(&b->mod[b->nmods++], "module", one, err);
	}
	free(copy);
	return r;
}

struct boot *boot_open(const char *kernel, const char *initrd,
		       const char *append, struct err *err)
{
	struct boot *b = xalloc(sizeof *b);
	int r;

	r = boot_file_open(&b->kernel, "kernel", kernel, err);
	if (r == 0) {
		b->head_len = MIN(b->kernel.size, sizeof b->head);
		r = boot_pread(&b->kernel, 0, b->head, b->head_len, err);
	}
	if (r == 0)
		r = boot_detect(b, err);
	if (r == 0 && b->kind == BOOT_BZIMAGE)
		r = bz_check(b, err);
	if (r == 0 && b->kind == BOOT_PVH)
		r = elf_pvh_entry(&b->kernel, &b->entry, err);
	if (r == 0 && initrd)
		r = boot_open_mods(b, initrd, err);
	b->cmdline = b->kind == BOOT_MULTIBOOT
			     ? xprintf("%s%s%s", kernel, append ? " " : "",
				       append ? append : "")
			     : xstrdup(append ? append : "");
	if (r == 0 && strlen(b->cmdline) >= BOOT_CMD_MAX)
		r = err_set(err, -E2BIG,
			    "-append has %zu bytes; at most %u fit",
			    strlen(b->cmdline), BOOT_CMD_MAX - 1);
	if (r == 0 && b->kind == BOOT_BZIMAGE &&
	    get_le16(b->head + HDR_VERSION) >= 0x0206 &&
	    strlen(b->cmdline) > get_le32(b->head + HDR_CMDLINE_SIZE))
		r = err_set(err, -E2BIG,
			    "-append has %zu bytes; this kernel takes %u",
			    strlen(b->cmdline),
			    get_le32(b->head + HDR_CMDLINE_SIZE));
	if (r < 0) {
		boot_close(b);
		return NULL;
	}
	return b;
}

void boot_close(struct boot *b)
{
	if (!b)
		return;
	boot_file_close(&b->kernel);
	for (int i = 0; i < b->nmods; i++)
		boot_file_close(&b->mod[i]);
	free(b->cmdline);
	free(b);
}

/* ---- Memory map ---- */

int boot_e820(const struct machine *m, struct e820_entry map[E820_MAX])
{
	int n = 0;

	map[n++] = (struct e820_entry){ 0, BOOT_LOW_MEMORY, 1 };
	map[n++] = (struct e820_entry){ BOOT_LOW_MEMORY, 0x400, 2 };
	map[n++] = (struct e820_entry){ 0xe0000, 0x20000, 2 };
	if (m->ram_below_4g > MIB)
		map[n++] = (struct e820_entry){ MIB, m->ram_below_4g - MIB, 1 };
	if (m->ram_above_4g)
		map[n++] = (struct e820_entry){ 4 * GIB, m->ram_above_4g, 1 };
	return n;
}

/* ---- Registers ---- */

static const u64 boot_gdt[4] = { 0, 0, 0x00cf9b000000ffffULL,
				 0x00cf93000000ffffULL };

static void boot_flat_segments(struct cpu_state *c, bool long_mode)
{
	struct cpu_segment data = { .limit = 0xffffffffu,
				    .sel = BOOT_DS,
				    .attr = 0xc093 };

	for (int i = 0; i < SEG_COUNT; i++)
		c->seg[i] = data;
	c->seg[SEG_CS].sel = BOOT_CS;
	c->seg[SEG_CS].attr = long_mode ? 0xa09b : 0xc09b;
	c->tr = (struct cpu_segment){ .limit = 0xffff, .attr = 0x8b };
	c->gdt = (struct cpu_table){ BOOT_GDT, sizeof boot_gdt - 1 };
	c->idt = (struct cpu_table){ 0, 0 };
	c->rflags = RFLAGS_FIXED;
	c->cr0 = CR0_PE | CR0_ET;
}

static int boot_enter32(struct machine *m, struct cpu_state *c, u32 entry,
			struct err *err)
{
	boot_flat_segments(c, false);
	c->rip = entry;
	return boot_put(m, BOOT_GDT, boot_gdt, sizeof boot_gdt, err);
}

/* Long mode with the first 4 GiB mapped one to one by 2 MiB pages. */
static int boot_enter64(struct machine *m, struct cpu_state *c, u64 entry,
			struct err *err)
{
	u64 gdt[4], table[512] = { 0 };
	int r;

	memcpy(gdt, boot_gdt, sizeof gdt);
	gdt[BOOT_CS / 8] = 0x00af9b000000ffffULL;
	r = boot_put(m, BOOT_GDT, gdt, sizeof gdt, err);
	table[0] = BOOT_PDPT | 3;
	if (r == 0)
		r = boot_put(m, BOOT_PML4, table, sizeof table, err);
	for (u64 i = 0; i < 4; i++)
		table[i] = (BOOT_PD + i * PAGE_SIZE) | 3;
	if (r == 0)
		r = boot_put(m, BOOT_PDPT, table, sizeof table, err);
	for (u64 i = 0; r == 0 && i < 4; i++) {
		for (u64 k = 0; k < 512; k++)
			table[k] = (i * 512 + k) << 21 | 0x83;
		r = boot_put(m, BOOT_PD + i * PAGE_SIZE, table, sizeof table,
			     err);
	}
	boot_flat_segments(c, true);
	c->cr0 |= CR0_PG;
	c->cr3 = BOOT_PML4;
	c->cr4 = CR4_PAE;
	c->efer = EFER_LME | EFER_LMA;
	c->rip = entry;
	return r;
}

/* Highest page-aligned place for `size` bytes below `limit`. */
static int boot_place(struct machine *m, u64 size, u64 limit, gpa_t floor,
		      gpa_t *ret_at)
{
	u64 top = MIN(limit, m->ram_below_4g) & PAGE_MASK;

	if (size > top || ((top - size) & PAGE_MASK) < floor)
		return -ENOMEM;
	*ret_at = (top - size) & PAGE_MASK;
	return 0;
}

static int boot_load_mod(struct boot *b, struct machine *m, struct boot_file *f,
			 u64 limit, struct err *err)
{
	if (boot_place(m, f->size, limit, b->kernel_end, &f->at) < 0)
		return err_set(err, -ENOMEM,
			       "initrd '%s' (%llu bytes) does not fit into "
			       "the guest's RAM beside the kernel; give it "
			       "more with -m",
			       f->path, (unsigned long long)f->size);
	return boot_copy(m, f, 0, f->at, f->size, err);
}

static int boot_put_cmdline(struct boot *b, struct machine *m, struct err *err)
{
	return boot_put(m, BOOT_CMDLINE, b->cmdline, strlen(b->cmdline) + 1,
			err);
}

/* ---- bzImage ---- */

/* What the kernel's 16-bit start would hear from INT 10h. */
static void bz_screen(const struct machine *m, u8 params[PAGE_SIZE])
{
	if (!m->vga)
		return;
	params[PARAMS_VIDEO_MODE] = 3;
	params[PARAMS_VIDEO_COLS] = 80;
	put_le16(params + PARAMS_VIDEO_EGA, 3); /* 256 KiB, color */
	params[PARAMS_VIDEO_LINES] = 25;
	params[PARAMS_VIDEO_IS_VGA] = 1;
	put_le16(params + PARAMS_VIDEO_POINTS, 16);
}

static int bz_params(struct boot *b, struct machine *m, gpa_t rsdp, gpa_t load,
		     struct err *err)
{
	struct e820_entry map[E820_MAX];
	u8 params[PAGE_SIZE] = { 0 };
	u64 header_end = MIN(HDR_MAGIC + (u64)b->head[HDR_JUMP], b->head_len);
	int n;

	memcpy(params + HDR_SETUP_SECTS, b->head + HDR_SETUP_SECTS,
	       MIN(header_end, 0x290u) - HDR_SETUP_SECTS);
	params[HDR_TYPE_OF_LOADER] = 0xff;
	params[HDR_LOADFLAGS] |= LOADFLAG_USE_HEAP;
	put_le16(params + HDR_HEAP_END, 0xfe00);
	put_le16(params + HDR_VID_MODE, 0xffff);
	put_le32(params + HDR_CODE32_START, (u32)load);
	put_le32(params + HDR_CMD_LINE_PTR, BOOT_CMDLINE);
	if (b->nmods) {
		put_le32(params + HDR_RAMDISK_IMAGE, (u32)b->mod[0].at);
		put_le32(params + HDR_RAMDISK_SIZE, (u32)b->mod[0].size);
	}
	put_le64(params + PARAMS_RSDP, rsdp);
	bz_screen(m, params);
	n = boot_e820(m, map);
	params[PARAMS_E820_COUNT] = (u8)n;
	memcpy(params + PARAMS_E820, map, (size_t)n * sizeof map[0]);
	return boot_put(m, BOOT_PARAMS, params, sizeof params, err);
}

static int bz_load(struct boot *b, struct machine *m, gpa_t rsdp,
		   struct cpu_state *c, struct err *err)
{
	u16 version = get_le16(b->head + HDR_VERSION);
	u64 setup = bz_setup_size(b), size = b->kernel.size - setup;
	u64 need = size, limit = 0x37ffffff;
	gpa_t load = MIB;
	bool entry64;
	int r;

	if (version >= 0x0203)
		limit = get_le32(b->head + HDR_INITRD_ADDR_MAX);
	if (version >= 0x020a) {
		if (b->head[HDR_RELOCATABLE])
			load = get_le64(b->head + HDR_PREF_ADDRESS);
		need = MAX(need, (u64)get_le32(b->head + HDR_INIT_SIZE));
	}
	if (load < MIB || load >= 4 * GIB || need > 4 * GIB)
		return err_set(err, -EINVAL,
			       "kernel '%s' asks for %#llx bytes at %#llx",
			       b->kernel.path, (unsigned long long)need,
			       (unsigned long long)load);
	if (!mem_ptr(&m->mem, load, need))
		return err_set(err, -ENOMEM,
			       "kernel '%s' needs %llu MiB of RAM; give the "
			       "guest more with -m",
			       b->kernel.path,
			       (unsigned long long)((load + need) / MIB + 1));
	b->kernel.at = load;
	b->kernel_end = load + need;
	r = boot_copy(m, &b->kernel, setup, load, size, err);
	if (r == 0 && b->nmods)
		r = boot_load_mod(b, m, &b->mod[0], limit + 1, err);
	if (r == 0)
		r = bz_params(b, m, rsdp, load, err);
	if (r == 0)
		r = boot_put_cmdline(b, m, err);
	if (r < 0)
		return r;
	entry64 = version >= 0x020c &&
		  (get_le16(b->head + HDR_XLOADFLAGS) & XLF_KERNEL_64);
	b->entry = entry64 ? load + 0x200 : load;
	r = entry64 ? boot_enter64(m, c, b->entry, err)
		    : boot_enter32(m, c, (u32)b->entry, err);
	c->gpr[REG_RSI] = BOOT_PARAMS;
	return r;
}

/* ---- PVH ---- */

static int pvh_info(struct boot *b, struct machine *m, gpa_t rsdp,
		    struct err *err)
{
	struct e820_entry map[E820_MAX];
	u8 info[512] = { 0 };
	const u32 mods = 64, memmap = 128;
	int n = boot_e820(m, map);

	put_le32(info, PVH_START_MAGIC);
	put_le32(info + 4, 1); /* version: has a memory map */
	put_le32(info + 12, b->nmods ? 1 : 0);
	put_le64(info + 16, b->nmods ? BOOT_PVH_INFO + mods : 0);
	put_le64(info + 24, BOOT_CMDLINE);
	put_le64(info + 32, rsdp);
	put_le64(info + 40, BOOT_PVH_INFO + memmap);
	put_le32(info + 48, (u32)n);
	if (b->nmods) {
		put_le64(info + mods, b->mod[0].at);
		put_le64(info + mods + 8, b->mod[0].size);
	}
	for (int i = 0; i < n; i++) {
		put_le64(info + memmap + i * 24, map[i].addr);
		put_le64(info + memmap + i * 24 + 8, map[i].size);
		put_le32(info + memmap + i * 24 + 16, map[i].type);
	}
	return boot_put(m, BOOT_PVH_INFO, info, sizeof info, err);
}

static int pvh_load(struct boot *b, struct machine *m, gpa_t rsdp,
		    struct cpu_state *c, struct err *err)
{
	int r = elf_load(&b->kernel, m, &b->kernel_end, err);

	if (r == 0 && b->nmods)
		r = boot_load_mod(b, m, &b->mod[0], 4 * GIB, err);
	if (r == 0)
		r = boot_put_cmdline(b, m, err);
	if (r == 0)
		r = pvh_info(b, m, rsdp, err);
	if (r == 0)
		r = boot_enter32(m, c, (u32)b->entry, err);
	c->gpr[REG_RBX] = BOOT_PVH_INFO;
	return r;
}

/* ---- Multiboot ---- */

static int multi_load_flat(struct boot *b, struct machine *m, struct err *err)
{
	const u8 *h = b->head + b->mb_header;
	u64 header, load, load_end, bss_end, offset, len;
	int r;

	if (b->head_len - b->mb_header < 32)
		return err_set(err, -EINVAL, "'%s' is truncated",
			       b->kernel.path);
	header = get_le32(h + 12);
	load = get_le32(h + 16);
	load_end = get_le32(h + 20);
	bss_end = get_le32(h + 24);
	b->entry = get_le32(h + 28);
	if (header < load || header - load > b->mb_header)
		return err_set(err, -EINVAL, "'%s': bad multiboot addresses",
			       b->kernel.path);
	offset = b->mb_header - (header - load);
	len = load_end ? load_end - load : b->kernel.size - offset;
	if ((load_end && load_end < load) ||
	    !range_holds(0, b->kernel.size, offset, len))
		return err_set(err, -EINVAL, "'%s' is truncated",
			       b->kernel.path);
	r = boot_copy(m, &b->kernel, offset, load, len, err);
	b->kernel.at = load;
	b->kernel_end = ALIGN_UP(MAX(load + len, bss_end), PAGE_SIZE);
	if (r == 0 && bss_end > load + len &&
	    mem_fill(&m->mem, load + len, 0, bss_end - load - len) < 0)
		r = err_set(err, -ENOMEM, "'%s' needs more RAM",
			    b->kernel.path);
	return r;
}

static int multi_load_mods(struct boot *b, struct machine *m, struct err *err)
{
	int r = 0;

	for (int i = 0; r == 0 && i < b->nmods; i++) {
		struct boot_file *f = &b->mod[i];

		f->at = b->kernel_end;
		r = boot_copy(m, f, 0, f->at, f->size, err);
		b->kernel_end = ALIGN_UP(f->at + f->size, PAGE_SIZE);
	}
	return r;
}

static int multi_info(struct boot *b, struct machine *m, struct err *err)
{
	struct e820_entry map[E820_MAX];
	u8 info[1024] = { 0 };
	const u32 mods = 128, memmap = mods + 16 * MULTIBOOT_MODS_MAX;
	gpa_t args = BOOT_CMDLINE + BOOT_CMD_MAX;
	int n = boot_e820(m, map);

	put_le32(info, 0x4f); /* memory, cmdline, mods, map */
	if (b->nmods)
		info[0] |= 0x08;
	put_le32(info, get_le32(info) & ~0x02u); /* no boot device */
	put_le32(info + 4, 639);
	put_le32(info + 8, (u32)((m->ram_below_4g - MIB) / KIB));
	put_le32(info + 16, BOOT_CMDLINE);
	put_le32(info + 20, (u32)b->nmods);
	put_le32(info + 24, BOOT_MULTI + mods);
	for (int i = 0; i < b->nmods; i++) {
		size_t len = strlen(b->mod[i].args) + 1;
		int r = boot_put(m, args, b->mod[i].args, len, err);

		if (r < 0)
			return r;
		put_le32(info + mods + i * 16, (u32)b->mod[i].at);
		put_le32(info + mods + i * 16 + 4,
			 (u32)(b->mod[i].at + b->mod[i].size));
		put_le32(info + mods + i * 16 + 8, (u32)args);
		args += len;
	}
	put_le32(info + 44, (u32)n * 24);
	put_le32(info + 48, BOOT_MULTI + memmap);
	for (int i = 0; i < n; i++) {
		put_le32(info + memmap + i * 24, 20);
		put_le64(info + memmap + i * 24 + 4, map[i].addr);
		put_le64(info + memmap + i * 24 + 12, map[i].size);
		put_le32(info + memmap + i * 24 + 20, map[i].type);
	}
	return boot_put(m, BOOT_MULTI, info, sizeof info, err);
}

static int multi_load(struct boot *b, struct machine *m, struct cpu_state *c,
		      struct err *err)
{
	u32 flags = get_le32(b->head + b->mb_header + 4);
	int r;

	if (flags & MULTIBOOT_F_ADDRS) {
		r = multi_load_flat(b, m, err);
	} else if (boot_is_elf(b)) {
		r = elf_load(&b->kernel, m, &b->kernel_end, err);
		if (r == 0)
			r = elf_entry(&b->kernel, &b->entry, err);
	} else {
		r = err_set(err, -EINVAL,
			    "multiboot kernel '%s' is neither ELF nor gives "
			    "load addresses",
			    b->kernel.path);
	}
	if (r == 0)
		r = multi_load_mods(b, m, err);
	if (r == 0)
		r = boot_put_cmdline(b, m, err);
	if (r == 0)
		r = multi_info(b, m, err);
	if (r == 0)
		r = boot_bios_place(m, NULL, err);
	if (r == 0)
		r = boot_enter32(m, c, (u32)b->entry, err);
	c->gpr[REG_RAX] = MULTIBOOT_EAX;
	c->gpr[REG_RBX] = BOOT_MULTI;
	return r;
}

int boot_load(struct boot *b, struct machine *m, gpa_t rsdp, struct err *err)
{
	struct vcpu *v = m->vcpus[0];
	struct cpu_state *c = vcpu_cpu(v);
	int r = -EINVAL;

	switch (b->kind) {
	case BOOT_BZIMAGE: r = bz_load(b, m, rsdp, c, err); break;
	case BOOT_PVH: r = pvh_load(b, m, rsdp, c, err); break;
	case BOOT_MULTIBOOT: r = multi_load(b, m, c, err); break;
	}
	vcpu_cpu_changed(v);
	return r;
}

void boot_info(const struct boot *b, struct buf *out)
{
	buf_printf(out, "addr=%016llx size=0x%06llx mem=ram name=\"%s\"\n",
		   (unsigned long long)b->kernel.at,
		   (unsigned long long)b->kernel.size, b->kernel.path);
	for (int i = 0; i < b->nmods; i++)
		buf_printf(out,
			   "addr=%016llx size=0x%06llx mem=ram name=\"%s\"\n",
			   (unsigned long long)b->mod[i].at,
			   (unsigned long long)b->mod[i].size, b->mod[i].path);
	buf_printf(out, "addr=%016x size=0x%06zx mem=ram name=\"cmdline\"\n",
		   BOOT_CMDLINE, strlen(b->cmdline) + 1);
}
