/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * i8254: modes, latches, gate and the system control port.
 */
#include "tests/unit/bare_machine.h"

#define PIT_NS(ticks) ((ticks)*NS_PER_S / 1193182)

static struct bare b;

static void setup(void)
{
	bare_init(&b);
	bare_add(&b, &pit_class, NULL);
	memset(b.rising, 0, sizeof b.rising);
}

static void teardown(void)
{
	bare_fini(&b);
}

static void program(int channel, u8 mode, u16 count)
{
	bare_out(&b, 0x43, channel << 6 | 0x30 | mode << 1);
	bare_out(&b, 0x40 + channel, count);
	bare_out(&b, 0x40 + channel, count >> 8);
}

static u32 latched(int channel)
{
	u32 low;

	bare_out(&b, 0x43, channel << 6);
	low = bare_in(&b, 0x40 + channel);
	return low | bare_in(&b, 0x40 + channel) << 8;
}

START_TEST(pit_ticks_after_reset_as_firmware_leaves_it)
{
	bare_sleep(&b, NS_PER_S);
	ck_assert_int_eq(b.rising[0], 18);
}

END_TEST

START_TEST(pit_rate_generator_keeps_its_rate)
{
	program(0, 2, 1193);
	b.rising[0] = 0;
	bare_sleep(&b, NS_PER_S);
	ck_assert_int_ge(b.rising[0], 999);
	ck_assert_int_le(b.rising[0], 1001);
}

END_TEST

START_TEST(pit_terminal_count_fires_once)
{
	program(0, 0, 1000);
	ck_assert_int_eq(b.level[0], 0);
	b.rising[0] = 0;
	bare_sleep(&b, PIT_NS(990));
	ck_assert_int_eq(b.rising[0], 0);
	bare_sleep(&b, PIT_NS(20));
	ck_assert_int_eq(b.rising[0], 1);
	ck_assert_int_eq(b.level[0], 1);
	bare_sleep(&b, NS_PER_S);
	ck_assert_int_eq(b.rising[0], 1);
}

END_TEST

START_TEST(pit_counts_down_and_latches)
{
	u32 first, second;

	program(2, 0, 0xffff);
	ck_assert_uint_eq(latched(2), 0xffff); /* the gate is low */
	bare_sleep(&b, PIT_NS(100));
	ck_assert_uint_eq(latched(2), 0xffff);
	bare_out(&b, 0x61, 1);
	bare_sleep(&b, PIT_NS(1000));
	first = latched(2);
	ck_assert_uint_le(0xffff - first - 995, 10);
	bare_out(&b, 0x43, 2 << 6); /* holds while time goes on */
	bare_sleep(&b, PIT_NS(1000));
	second = bare_in(&b, 0x42);
	second |= bare_in(&b, 0x42) << 8;
	ck_assert_uint_eq(first, second);
	ck_assert_uint_le(first - latched(2) - 995, 10);
}

END_TEST

START_TEST(pit_channel_2_output_shows_at_port_61)
{
	program(2, 0, 2000);
	bare_out(&b, 0x61, 1);
	ck_assert_uint_eq(bare_in(&b, 0x61) & 0x23, 0x01);
	bare_sleep(&b, PIT_NS(1990));
	ck_assert_uint_eq(bare_in(&b, 0x61) & 0x20, 0);
	bare_sleep(&b, PIT_NS(20));
	ck_assert_uint_eq(bare_in(&b, 0x61) & 0x20, 0x20);
}

END_TEST

START_TEST(pit_refresh_bit_toggles)
{
	u32 changes = 0, last = bare_in(&b, 0x61) & 0x10;

	for (int i = 0; i < 1000; i++) {
		u32 now;

		bare_sleep(&b, 1000);
		now = bare_in(&b, 0x61) & 0x10;
		changes += now != last;
		last = now;
	}
	ck_assert_uint_ge(changes, 60); /* 1 ms / 15.085 us */
	ck_assert_uint_le(changes, 72);
}

END_TEST

START_TEST(pit_square_wave_and_read_back)
{
	program(2, 3, 1000);
	bare_out(&b, 0x61, 1);
	bare_sleep(&b, PIT_NS(200));
	bare_out(&b, 0x43, 0xe8); /* status of channel 2 */
	ck_assert_uint_eq(bare_in(&b, 0x42), 0x80 | 0x30 | 3 << 1);
	bare_sleep(&b, PIT_NS(500));
	bare_out(&b, 0x43, 0xe8);
	ck_assert_uint_eq(bare_in(&b, 0x42), 0x30 | 3 << 1);
	/* Counts by two. */
	ck_assert_uint_le(latched(2) - 596, 10);
}

END_TEST

START_TEST(pit_one_shot_waits_for_its_gate)
{
	program(2, 1, 1000);
	ck_assert_uint_eq(bare_in(&b, 0x61) & 0x20, 0x20);
	bare_sleep(&b, PIT_NS(5000));
	ck_assert_uint_eq(bare_in(&b, 0x61) & 0x20, 0x20);
	bare_out(&b, 0x61, 1);
	ck_assert_uint_eq(bare_in(&b, 0x61) & 0x20, 0);
	bare_sleep(&b, PIT_NS(1010));
	ck_assert_uint_eq(bare_in(&b, 0x61) & 0x20, 0x20);
}

END_TEST

START_TEST(pit_counts_in_bcd)
{
	bare_out(&b, 0x43, 0xb1); /* channel 2, word, mode 0, BCD */
	bare_out(&b, 0x42, 0x00);
	bare_out(&b, 0x42, 0x10); /* 1000 */
	bare_out(&b, 0x61, 1);
	bare_sleep(&b, PIT_NS(2) + 500);
	ck_assert_uint_eq(latched(2), 0x998);
}

END_TEST

int main(void)
{
	TCase *tc = tcase_create("pit");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, pit_ticks_after_reset_as_firmware_leaves_it);
	tcase_add_test(tc, pit_rate_generator_keeps_its_rate);
	tcase_add_test(tc, pit_terminal_count_fires_once);
	tcase_add_test(tc, pit_counts_down_and_latches);
	tcase_add_test(tc, pit_channel_2_output_shows_at_port_61);
	tcase_add_test(tc, pit_refresh_bit_toggles);
	tcase_add_test(tc, pit_square_wave_and_read_back);
	tcase_add_test(tc, pit_one_shot_waits_for_its_gate);
	tcase_add_test(tc, pit_counts_in_bcd);
	return bare_run("devices_pit", tc);
}
