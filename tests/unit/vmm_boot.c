/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Damaged kernels and disk images: bzImage, ELF with a PVH note, multiboot,
 * and headers that the format probe knows.  They are refused or loaded, with
 * the guest's memory as the only thing written.
 */
#include "vmm/boot.h"

#include <fcntl.h>
#include <unistd.h>

#include "block/block.h"
#include "lib/bytes.h"
#include "lib/log.h"
#include "lib/loop.h"
#include "tests/unit/bare_machine.h"
#include "tests/unit/fuzz.h"

#define FILE_MAX 0x4000u

static char path[] = "/tmp/vmon-boot-XXXXXX", mod[] = "/tmp/vmon-mod-XXXXXX";
static u8 file[FILE_MAX];
static int fd;

static void setup(void)
{
	int m = mkstemp(mod);

	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(m, file, 100), 100);
	close(m);
}

static void teardown(void)
{
	close(fd);
	unlink(path);
	unlink(mod);
}

static void put_file(u32 len)
{
	ck_assert_int_eq(ftruncate(fd, 0), 0);
	ck_assert_int_eq(pwrite(fd, file, len, 0), len);
}

/* Linux's boot protocol, Documentation/x86/boot.rst. */
static u32 make_bzimage(void)
{
	memset(file, 0, sizeof file);
	file[0x1f1] = 1 + (u8)fuzz_below(4);
	put_le16(file + 0x1fe, 0xaa55);
	file[0x201] = 0x66;
	memcpy(file + 0x202, "HdrS", 4);
	put_le16(file + 0x206, 0x20f);
	file[0x211] = 1;
	put_le32(file + 0x214, 0x100000);
	put_le32(file + 0x22c, 0x7fffffff);
	put_le32(file + 0x230, 0x1000);
	file[0x234] = 1;
	put_le16(file + 0x236, 3);
	put_le32(file + 0x238, 2047);
	put_le64(file + 0x258, 0x100000);
	put_le32(file + 0x260, 0x8000);
	return 0x2000;
}

static u32 make_elf(void)
{
	static const u8 ident[] = { 0x7f, 'E', 'L', 'F', 2, 1, 1 };

	memset(file, 0, sizeof file);
	memcpy(file, ident, sizeof ident);
	put_le16(file + 16, 2);
	put_le16(file + 18, 62);
	put_le32(file + 20, 1);
	put_le64(file + 24, 0x100000);
	put_le64(file + 32, 64);
	put_le16(file + 52, 64);
	put_le16(file + 54, 56);
	put_le16(file + 56, 2);
	/* PT_LOAD of a page at 1 MiB, PT_NOTE with the entry. */
	put_le32(file + 64, 1);
	put_le64(file + 72, 0x1000);
	put_le64(file + 80, 0x100000);
	put_le64(file + 88, 0x100000);
	put_le64(file + 96, 0x1000);
	put_le64(file + 104, 0x2000);
	put_le32(file + 120, 4);
	put_le64(file + 128, 0x800);
	put_le64(file + 152, 20);
	put_le64(file + 160, 20);
	put_le32(file + 0x800, 4);
	put_le32(file + 0x804, 4);
	put_le32(file + 0x808, 18);
	memcpy(file + 0x80c, "Xen", 4);
	put_le32(file + 0x810, 0x100000);
	return 0x2000;
}

static u32 make_multiboot(void)
{
	u32 flags = 0x10003;

	memset(file, 0, sizeof file);
	put_le32(file + 64, 0x1badb002);
	put_le32(file + 68, flags);
	put_le32(file + 72, 0 - 0x1badb002 - flags);
	put_le32(file + 76, 0x100040);
	put_le32(file + 80, 0x100000);
	put_le32(file + 84, 0x101000);
	put_le32(file + 88, 0x102000);
	put_le32(file + 92, 0x100100);
	return 0x1800;
}

static u32 make_any(void)
{
	switch (fuzz_below(4)) {
	case 0: return make_bzimage();
	case 1: return make_elf();
	case 2: return make_multiboot();
	default:
		memset(file, 0, sizeof file);
		fuzz_damage(file, 0x300, 100);
		return 0x1000;
	}
}

static bool load(struct bare *b, const char *initrd)
{
	struct err err = { 0 };
	struct boot *k = boot_open(path, initrd, "console=ttyS0", &err);
	bool ok = k && boot_load(k, b->m, 0xe0000, &err) == 0;

	if (!ok)
		ck_assert_msg(err.msg[0], "refused without a word");
	boot_close(k);
	return ok;
}

static void state_is_here(struct vcpu *v)
{
}

static void machine_start(struct bare *b) NO_TSA
{
	struct err err = { 0 };

	bare_init(b);
	b->accel.get = state_is_here;
	ck_assert_int_eq(vcpu_create(b->m, 0, &err), 0);
}

START_TEST(sound_kernels_load) NO_TSA
{
	struct bare b;

	fuzz_begin("sound kernels", 1);
	machine_start(&b);
	put_file(make_bzimage());
	ck_assert(load(&b, mod));
	put_file(make_elf());
	ck_assert(load(&b, mod));
	put_file(make_multiboot());
	ck_assert(load(&b, mod));
	bare_fini(&b);
}

END_TEST

/* The first byte behind a vector of the ROM. */
static u8 door(u32 v)
{
	if (v == 8 || v == 0x11 || v == 0x12)
		return 0x1e; /* push ds */
	if (v == 0x14 || v == 0x17)
		return 0xb4; /* mov ah */
	if (v == 9 || (v >= 0x10 && v <= 0x1a))
		return 0x66;                            /* pushl */
	return v - 8 < 8 || v - 0x70 < 8 ? 0x50 : 0xcf; /* push ax; iret */
}

START_TEST(multiboot_kernels_find_what_firmware_left) NO_TSA
{
	struct bare b;
	u8 word[4];

	fuzz_begin("firmware", 1);
	machine_start(&b);
	bare_add(&b, &pic_class, NULL);
	put_file(make_multiboot());
	ck_assert(load(&b, mod));
	mem_read(&b.m->mem, 0x413, word, 2); /* KiB below the EBDA */
	ck_assert_uint_eq(get_le16(word), 639);
	mem_read(&b.m->mem, 0x40e, word, 2);
	ck_assert_uint_eq(get_le16(word), 0x9fc0);
	for (u32 v = 0; v < 256; v++) {
		gpa_t at;

		mem_read(&b.m->mem, v * 4, word, 4);
		at = get_le16(word + 2) * 16u + get_le16(word);
		mem_read(&b.m->mem, at, word, 1);
		ck_assert_msg(word[0] == door(v), "vector %#x: %#x", v,
			      word[0]);
	}
	/* IRQ 0 is open, has vector 8 and comes. */
	ck_assert_uint_eq(space_read(&b.m->io, 0x21, 1), 0xf8);
	bare_fini(&b);
}

END_TEST

START_TEST(damaged_kernels_are_refused_or_load) NO_TSA
{
	struct bare b;

	fuzz_begin("kernels", 2);
	machine_start(&b);
	while (fuzz_goes_on()) {
		u32 len = make_any();

		fuzz_damage(file, fuzz_below(2) ? 0x300 : len, fuzz_below(8));
		if (fuzz_below(4) == 0)
			fuzz_damage(file + 0x800, 32, 2);
		if (fuzz_below(8) == 0)
			len = fuzz_below(len);
		put_file(len);
		load(&b, fuzz_below(2) ? mod : NULL);
	}
	bare_fini(&b);
}

END_TEST

/* Headers by which the probe tells formats apart. */
START_TEST(damaged_images_are_refused_or_open) NO_TSA
{
	static const char *const magics[] = {
		"QFI\xfb",  "VMDK",         "KDMV",
		"conectix", "vhdxfile",     "QED",
		"cxsparse", "LUKS\xba\xbe", "# Disk Descriptor",
	};
	struct loop *l = loop_create();

	fuzz_begin("images", 2);
	while (fuzz_goes_on()) {
		const char *magic = magics[fuzz_below(ARRAY_SIZE(magics))];
		u32 len = fuzz_below(4) ? 512 * fuzz_below(9)
					: fuzz_below(FILE_MAX);
		struct err err = { 0 };
		struct block *d;
		struct opts o;

		memset(file, 0, sizeof file);
		memcpy(file, magic, strlen(magic));
		fuzz_damage(file, 1024, fuzz_below(6));
		put_file(len);
		opts_init(&o);
		opts_add(&o, "file", path);
		opts_add(&o, "if", "none");
		if (fuzz_below(2))
			opts_add(&o, "readonly", "on");
		d = block_create(l, &o, &err);
		if (!d)
			ck_assert_msg(err.msg[0], "refused without a word");
		opts_fini(&o);
		block_destroy(d);
	}
	block_destroy_all();
	loop_destroy(l);
}

END_TEST

int main(void)
{
	TCase *tc = tcase_create("all");

	log_set_file("/dev/null", NULL); /* a warning per image */
	tcase_set_timeout(tc, fuzz_timeout());
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, sound_kernels_load);
	tcase_add_test(tc, multiboot_kernels_find_what_firmware_left);
	tcase_add_test(tc, damaged_kernels_are_refused_or_load);
	tcase_add_test(tc, damaged_images_are_refused_or_open);
	return bare_run("vmm_boot", tc);
}
