/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "block/block.h"
#include "lib/work.h"
#include "tests/unit/bare_machine.h"

#define BASE  0xffc00000u
#define SIZE  0x10000u
#define READY 0x80

static struct bare b;
static char image[64];

static void setup(void) NO_TSA;
static void teardown(void) NO_TSA;

static void setup(void)
{
	u8 *zeros = calloc(1, SIZE);
	int fd;

	bare_init(&b);
	strcpy(image, "/var/tmp/vmon-flash-XXXXXX");
	fd = mkstemp(image);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, zeros, SIZE), SIZE);
	close(fd);
	free(zeros);
}

static void teardown(void)
{
	unlink(image);
	machine_destroy_devices(b.m);
	block_destroy_all();
	work_shutdown();
	bare_fini(&b);
}

static struct device *with_drive(const char *more)
{
	char text[160];
	struct err err = { 0 };
	struct opts o;

	snprintf(text, sizeof text, "if=pflash,unit=1,format=raw,file=%s%s",
		 image, more);
	ck_assert_int_eq(opts_parse(&o, text, NULL, &err), 0);
	ck_assert_msg(block_create(b.m->loop, &o, &err) != NULL, "%s", err.msg);
	opts_fini(&o);
	return bare_add(&b, &pflash_class, "drive=pflash1");
}

static u8 get(u32 at)
{
	return (u8)space_read(&b.m->memory, BASE + at, 1);
}

static void put(u32 at, u8 value)
{
	space_write(&b.m->memory, BASE + at, 1, value);
}

static u8 stored(u32 at)
{
	int fd = open(image, O_RDONLY | O_CLOEXEC);
	u8 value = 0;

	ck_assert_int_eq(pread(fd, &value, 1, at), 1);
	close(fd);
	return value;
}

START_TEST(program_and_erase_are_kept)
{
	struct device *dev = with_drive("");

	ck_assert_int_eq(get(0x1003), 0);
	put(0x1000, 0x20);
	put(0x1000, 0xd0);
	ck_assert_int_eq(get(0), READY);
	put(0, 0xff);
	ck_assert_int_eq(get(0x1003), 0xff);
	ck_assert_int_eq(get(0x2000), 0);
	for (u32 i = 0; i < 5000; i++) {
		put(0x1800 + i, i & 1 ? 0x10 : 0x40);
		put(0x1800 + i, (u8)(i * 7));
	}
	ck_assert_int_eq(get(0x1800), READY);
	put(0, 0xff);
	ck_assert_int_eq(get(0x1800 + 4999), (u8)(4999 * 7));
	device_destroy(dev);
	ck_assert_int_eq(stored(0x1003), 0xff);
	ck_assert_int_eq(stored(0x17ff), 0xff);
	for (u32 i = 0; i < 5000; i += 499)
		ck_assert_int_eq(stored(0x1800 + i), (u8)(i * 7));
}

END_TEST

START_TEST(wide_data_is_programmed_whole)
{
	with_drive("");
	put(SIZE - 8, 0x40);
	space_write(&b.m->memory, BASE + SIZE - 8, 8, 0x1122334455667788);
	put(0, 0xff);
	ck_assert_uint_eq(space_read(&b.m->memory, BASE + SIZE - 8, 8),
			  0x1122334455667788);
}

END_TEST

START_TEST(what_is_read_only_stays)
{
	with_drive(",readonly=on");
	put(5, 0x40);
	put(5, 0x77);
	ck_assert_int_eq(get(5), READY | 0x10);
	put(5, 0x50);
	put(5, 0x20);
	put(5, 0xd0);
	ck_assert_int_eq(get(5), READY | 0x20);
	put(5, 0xff);
	ck_assert_int_eq(get(5), 0);
}

END_TEST

START_TEST(firmware_can_tell_it_from_ram)
{
	with_drive("");
	put(7, 0x50);
	ck_assert_int_eq(get(7), 0);
	put(7, 0x70);
	ck_assert_int_eq(get(7), 0);
	put(7, 0xff);
	ck_assert_int_eq(get(7), 0);
	put(0, 0x90);
	ck_assert_int_eq(get(0), 0x89);
	put(0, 0x98);
	ck_assert_int_eq(get(0x10), 'Q');
	ck_assert_int_eq(get(0x12), 'Y');
	ck_assert_int_eq(get(0x27), 16);              /* 64 KiB */
	ck_assert_int_eq(get(0x2d), SIZE / 4096 - 1); /* blocks */
	ck_assert_int_eq(get(0x2f), 4096 / 256);
	ck_assert_int_eq(get(0xfff), 0);
	put(0, 0x20); /* and no confirmation */
	put(0, 0x00);
	ck_assert_int_eq(get(0), READY | 0x20);
}

END_TEST

START_TEST(size_is_bounded)
{
	static const char *const wrong[] = { "size=0", "size=4095",
					     "size=16777216" };

	for (u32 i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct err err = { 0 };
		struct opts o;

		ck_assert_int_eq(opts_parse(&o, wrong[i], NULL, &err), 0);
		ck_assert_ptr_null(device_create(b.m, &pflash_class, &o, &err));
		opts_fini(&o);
	}
}

END_TEST

int main(void)
{
	TCase *tc = tcase_create("pflash");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, program_and_erase_are_kept);
	tcase_add_test(tc, wide_data_is_programmed_whole);
	tcase_add_test(tc, what_is_read_only_stays);
	tcase_add_test(tc, firmware_can_tell_it_from_ram);
	tcase_add_test(tc, size_is_bounded);
	return bare_run("devices_pflash", tc);
}
