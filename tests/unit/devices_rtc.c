/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Real-time clock: date, formats, interrupts, memory sizes.
 */
#include "lib/clock.h"
#include "tests/unit/bare_machine.h"

static struct bare b;
static struct device *rtc;

static u8 get(u8 index)
{
	bare_out(&b, 0x70, index);
	return bare_in(&b, 0x71);
}

static void set(u8 index, u8 value)
{
	bare_out(&b, 0x70, index);
	bare_out(&b, 0x71, value);
}

/* Puts the guest's clock at `seconds` after 1970, `ns` into the second. */
static void set_clock(u64 seconds, u64 ns)
{
	rtc_set_offset(rtc, seconds * NS_PER_S + ns - clock_realtime_ns());
}

static void setup(void)
{
	bare_init(&b);
	rtc = bare_add(&b, &rtc_class, NULL);
}

static void teardown(void)
{
	bare_fini(&b);
}

START_TEST(rtc_shows_the_date_in_every_format)
{
	set_clock(1772289296, 0); /* 2026-02-28 14:34:56, a Saturday */
	ck_assert_uint_eq(get(0), 0x56);
	ck_assert_uint_eq(get(2), 0x34);
	ck_assert_uint_eq(get(4), 0x14);
	ck_assert_uint_eq(get(6), 0x07);
	ck_assert_uint_eq(get(7), 0x28);
	ck_assert_uint_eq(get(8), 0x02);
	ck_assert_uint_eq(get(9), 0x26);
	ck_assert_uint_eq(get(0x32), 0x20);
	set(0x0b, 0x04); /* binary, 12 hours */
	ck_assert_uint_eq(get(0), 56);
	ck_assert_uint_eq(get(4), 0x80 | 2);
	ck_assert_uint_eq(get(0x0a) & 0x7f, 0x26);
	ck_assert_uint_eq(get(0x0d), 0x80);
}

END_TEST

START_TEST(rtc_update_in_progress_is_never_stuck)
{
	u64 end = clock_mono_ns() + 100 * NS_PER_MS;
	u32 clear = 0, set_count = 0;

	set_clock(1772289296, NS_PER_S - 50 * NS_PER_MS);
	while (clock_mono_ns() < end) {
		if (get(0x0a) & 0x80)
			set_count++;
		else
			clear++;
	}
	ck_assert_uint_gt(clear, set_count);
	ck_assert_uint_eq(get(0x0a) & 0x80, 0);
}

END_TEST

START_TEST(rtc_can_be_set)
{
	set_clock(1772289296, 0);
	set(0x0b, 0x82); /* stop the update */
	set(0, 0x01);
	set(2, 0x02);
	set(4, 0x03);
	set(7, 0x31);
	set(8, 0x12);
	set(9, 0x99);
	set(0x32, 0x19);
	set(0x0b, 0x02);
	ck_assert_int_eq(rtc_seconds(rtc), 946609321); /* 1999-12-31 3:02:01 */
	ck_assert_uint_eq(get(9), 0x99);
	ck_assert_uint_eq(get(6), 0x06);
}

END_TEST

START_TEST(rtc_periodic_interrupt_has_its_rate)
{
	int count = 0;

	set(0x0a, 0x26); /* 1024 Hz */
	set(0x0b, 0x42);
	for (int i = 0; i < 1000; i++) {
		bare_sleep(&b, NS_PER_MS);
		if (!b.level[8])
			continue;
		ck_assert_uint_eq(get(0x0c) & 0xc0, 0xc0);
		ck_assert_int_eq(b.level[8], 0);
		count++;
	}
	ck_assert_int_ge(count, 995);
	set(0x0b, 0x02);
	get(0x0c);
	bare_sleep(&b, NS_PER_S);
	ck_assert_int_eq(b.level[8], 0);
	ck_assert(list_empty(&b.m->vtimers)); /* idle costs nothing */
}

END_TEST

START_TEST(rtc_update_interrupt_and_alarm)
{
	set_clock(1772289296, NS_PER_S - 20 * NS_PER_MS);
	set(1, 0x57);
	set(3, 0xff); /* any minute and hour */
	set(5, 0xff);
	set(0x0b, 0x32);
	get(0x0c);
	while (clock_realtime_ns() && rtc_seconds(rtc) < 1772289297)
		;
	bare_sleep(&b, NS_PER_S);
	ck_assert_int_eq(b.level[8], 1);
	ck_assert_uint_eq(get(0x0c) & 0xb0, 0x80 | 0x20 | 0x10);
	ck_assert_int_eq(b.level[8], 0);
}

END_TEST

START_TEST(rtc_tells_firmware_about_memory)
{
	ck_assert_uint_eq(get(0x15) | get(0x16) << 8, 640);
	ck_assert_uint_eq(get(0x30) | get(0x31) << 8, 3 * 1024);
	ck_assert_uint_eq(get(0x34) | get(0x35) << 8, 0);
	set(0x0f, 0x0a);
	rtc->class->reset(rtc);
	ck_assert_uint_eq(get(0x0f), 0x0a);
}

END_TEST

int main(void)
{
	TCase *tc = tcase_create("rtc");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, rtc_shows_the_date_in_every_format);
	tcase_add_test(tc, rtc_update_in_progress_is_never_stuck);
	tcase_add_test(tc, rtc_can_be_set);
	tcase_add_test(tc, rtc_periodic_interrupt_has_its_rate);
	tcase_add_test(tc, rtc_update_interrupt_and_alarm);
	tcase_add_test(tc, rtc_tells_firmware_about_memory);
	return bare_run("devices_rtc", tc);
}
