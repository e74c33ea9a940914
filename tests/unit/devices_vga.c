/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>

#include "devices/vga.h"
#include "tests/unit/bare_machine.h"

static struct bare b;
static struct vga_screen screen;

static void setup(void) NO_TSA;
static void teardown(void) NO_TSA;

static void setup(void)
{
	bare_init(&b);
	bare_add(&b, &pci_host_class, NULL);
	bare_add(&b, &vga_class, NULL);
}

static void teardown(void)
{
	bare_fini(&b);
}

static void reg(u16 port, u8 index, u8 value)
{
	space_write(&b.m->io, port, 2, index | value << 8);
}

static u8 in(u16 port)
{
	return (u8)space_read(&b.m->io, port, 1);
}

static void out(u16 port, u8 value)
{
	space_write(&b.m->io, port, 1, value);
}

static u8 indexed(u16 port, u8 index)
{
	out(port, index);
	return in(port + 1);
}

static void put(gpa_t at, const char *text)
{
	for (; *text; text++, at += 2)
		ck_assert_int_eq(mem_write(&b.m->mem, at, text, 1), 0);
}

static void look(void)
{
	struct err err = { 0 };

	ck_assert_msg(vga_screen(b.m, &screen, &err) == 0, "%s", err.msg);
}

static bool shows(u32 row, u32 col, const char *text)
{
	for (; *text; text++, col++)
		if (screen.cell[row * screen.columns + col][0] != (u8)*text)
			return false;
	return true;
}

START_TEST(screen_shows_text_memory)
{
	put(0xb8000, "top");
	put(0xb8000 + (24 * 80 + 74) * 2, "bottom");
	look();
	ck_assert_int_eq(screen.columns, 80);
	ck_assert_int_eq(screen.rows, 25);
	ck_assert(shows(0, 0, "top ") && shows(24, 74, "bottom"));
	ck_assert(!screen.blank && screen.cursor);
}

END_TEST

START_TEST(screen_begins_where_start_says_and_wraps)
{
	u16 start = 0x4000 - 80; /* one row before the window's end */

	put(0xb8000 + start * 2, "first");
	put(0xb8000, "second");
	reg(0x3d4, 0x0c, start >> 8);
	reg(0x3d4, 0x0d, start & 0xff);
	reg(0x3d4, 0x0e, (start + 83) >> 8);
	reg(0x3d4, 0x0f, (start + 83) & 0xff);
	look();
	ck_assert(shows(0, 0, "first") && shows(1, 0, "second"));
	ck_assert_int_eq(screen.cursor_row, 1);
	ck_assert_int_eq(screen.cursor_column, 3);
}

END_TEST

START_TEST(screen_has_the_size_that_registers_say)
{
	reg(0x3d4, 0x09, 0x47); /* lines of 8: 50 rows */
	look();
	ck_assert_int_eq(screen.rows, 50);
	reg(0x3d4, 0x11, 0x0e); /* protection off */
	reg(0x3d4, 0x01, 131);
	reg(0x3d4, 0x13, 66);
	put(0xb8000 + 132 * 2, "132");
	look();
	ck_assert_int_eq(screen.columns, 132);
	ck_assert(shows(1, 0, "132"));
	reg(0x3d4, 0x01, 0xff);
	reg(0x3d4, 0x09, 0);
	reg(0x3d4, 0x07, 0xff);
	reg(0x3d4, 0x13, 0);
	look();
	ck_assert_int_eq(screen.columns, VGA_COLUMNS_MAX);
	ck_assert_int_eq(screen.rows, VGA_ROWS_MAX);
}

END_TEST

START_TEST(graphics_are_no_text)
{
	struct err err = { 0 };

	reg(0x3ce, 6, 0x05);
	ck_assert_int_eq(vga_screen(b.m, &screen, &err), -ENOTSUP);
}

END_TEST

START_TEST(timing_is_protected)
{
	u8 total = indexed(0x3d4, 0);

	reg(0x3d4, 0, 0x11);
	ck_assert_int_eq(indexed(0x3d4, 0), total);
	reg(0x3d4, 7, 0x10);
	ck_assert_int_eq(indexed(0x3d4, 7), 0x1f);
	reg(0x3d4, 0x11, 0);
	reg(0x3d4, 0, 0x11);
	ck_assert_int_eq(indexed(0x3d4, 0), 0x11);
	reg(0x3d4, 0x3f, 0x55); /* there is no such register */
	ck_assert_int_eq(in(0x3d5), 0);
}

END_TEST

START_TEST(attribute_port_takes_index_and_value)
{
	in(0x3da);
	out(0x3c0, 0x11);
	out(0x3c0, 0x2a);
	ck_assert_int_eq(in(0x3c1), 0x2a);
	out(0x3c0, 0x12); /* an index again */
	in(0x3da);
	out(0x3c0, 0x31); /* and now again */
	ck_assert_int_eq(in(0x3c0), 0x31);
	ck_assert_int_eq(in(0x3c1), 0x2a);
	look();
	ck_assert(!screen.blank);
}

END_TEST

START_TEST(ports_move_with_the_monitor)
{
	out(0x3d4, 0x0f);
	ck_assert_int_eq(in(0x3b4), 0xff);
	out(0x3c2, in(0x3cc) & ~1);
	ck_assert_int_eq(in(0x3d4), 0xff);
	ck_assert_int_eq(in(0x3b4), 0x0f);
}

END_TEST

START_TEST(palette_counts_by_itself)
{
	out(0x3c8, 255);
	for (u8 i = 1; i <= 6; i++)
		out(0x3c9, i | 0x40);
	ck_assert_int_eq(in(0x3c8), 1);
	out(0x3c7, 255);
	for (u8 i = 1; i <= 6; i++)
		ck_assert_int_eq(in(0x3c9), i);
	ck_assert_int_eq(in(0x3c7), 3);
}

END_TEST

START_TEST(retrace_comes_and_goes)
{
	int changes = 0, last = -1;

	for (int i = 0; i < 1000; i++) {
		int now = in(0x3da) & 8;

		changes += last >= 0 && now != last;
		last = now;
		bare_sleep(&b, NS_PER_MS / 4);
	}
	ck_assert_int_ge(changes, 30);
	ck_assert_int_le(changes, 40);
}

END_TEST

START_TEST(reset_clears)
{
	put(0xb8000, "old");
	reg(0x3d4, 0x0d, 3);
	device_reset_all(b.m);
	look();
	ck_assert(shows(0, 0, "    "));
	ck_assert_int_eq(indexed(0x3d4, 0x0d), 0);
}

END_TEST

START_TEST(there_is_one)
{
	struct err err = { 0 };

	ck_assert_ptr_null(device_create(b.m, &vga_class, NULL, &err));
	ck_assert_str_eq(err.msg, "there is a VGA already");
	look();
}

END_TEST

int main(void)
{
	TCase *tc = tcase_create("vga");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, screen_shows_text_memory);
	tcase_add_test(tc, screen_begins_where_start_says_and_wraps);
	tcase_add_test(tc, screen_has_the_size_that_registers_say);
	tcase_add_test(tc, graphics_are_no_text);
	tcase_add_test(tc, timing_is_protected);
	tcase_add_test(tc, attribute_port_takes_index_and_value);
	tcase_add_test(tc, ports_move_with_the_monitor);
	tcase_add_test(tc, palette_counts_by_itself);
	tcase_add_test(tc, retrace_comes_and_goes);
	tcase_add_test(tc, reset_clears);
	tcase_add_test(tc, there_is_one);
	return bare_run("devices_vga", tc);
}
