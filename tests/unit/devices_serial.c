/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * 16550A: interrupts by source, FIFOs, loopback, back end.
 */
#include "chardev/chardev.h"
#include "tests/unit/bare_machine.h"

#define COM 0x3f8
#define IRQ 4

static struct bare b;
static struct chardev *ring;

static void setup(void)
{
	struct err err = { 0 };

	bare_init(&b);
	ring = chr_create_short(b.m->loop, "ringbuf", "ring", &err);
	ck_assert_msg(ring != NULL, "%s", err.msg);
	bare_add(&b, &serial_class, "chardev=ring");
}

static void teardown(void)
{
	machine_destroy_devices(b.m);
	chr_remove_all();
	bare_fini(&b);
}

START_TEST(serial_sends_to_its_back_end)
{
	u8 data[8];

	bare_out(&b, COM, 'h');
	bare_out(&b, COM, 'i');
	ck_assert_int_eq(chr_ring_read(ring, data, sizeof data), 2);
	ck_assert_int_eq(memcmp(data, "hi", 2), 0);
	ck_assert_uint_eq(bare_in(&b, COM + 5), 0x60);
}

END_TEST

START_TEST(serial_thr_interrupt_comes_and_is_acknowledged)
{
	ck_assert_uint_eq(bare_in(&b, COM + 2), 0x01);
	bare_out(&b, COM + 1, 2);
	ck_assert_int_eq(b.level[IRQ], 1); /* THR was empty all along */
	ck_assert_uint_eq(bare_in(&b, COM + 2), 0x02);
	ck_assert_int_eq(b.level[IRQ], 0);
	ck_assert_uint_eq(bare_in(&b, COM + 2), 0x01);
	bare_out(&b, COM, 'x');
	ck_assert_int_eq(b.level[IRQ], 1);
	bare_out(&b, COM + 1, 0);
	ck_assert_int_eq(b.level[IRQ], 0);
}

END_TEST

START_TEST(serial_loopback_carries_data_and_modem_lines)
{
	bare_out(&b, COM + 4, 0x10);
	bare_in(&b, COM + 6);
	bare_out(&b, COM + 1, 1);
	bare_out(&b, COM, 0x5a);
	ck_assert_int_eq(b.level[IRQ], 1);
	ck_assert_uint_eq(bare_in(&b, COM + 2), 0x04);
	ck_assert_uint_eq(bare_in(&b, COM + 5), 0x61);
	ck_assert_uint_eq(bare_in(&b, COM), 0x5a);
	ck_assert_int_eq(b.level[IRQ], 0);
	bare_out(&b, COM + 4, 0x1f);
	ck_assert_uint_eq(bare_in(&b, COM + 6) & 0xf0, 0xf0);
	bare_out(&b, COM + 4, 0x1a);
	ck_assert_uint_eq(bare_in(&b, COM + 6), 0x90 | 0x02 | 0x04);
}

END_TEST

START_TEST(serial_fifo_trigger_time_out_and_overrun)
{
	bare_out(&b, COM + 2, 0x81); /* FIFOs, trigger at 8 */
	ck_assert_uint_eq(bare_in(&b, COM + 2), 0xc1);
	bare_out(&b, COM + 4, 0x10);
	bare_out(&b, COM + 1, 5);
	for (int i = 0; i < 7; i++)
		bare_out(&b, COM, i);
	ck_assert_int_eq(b.level[IRQ], 0);
	bare_sleep(&b, 20 * NS_PER_MS); /* more than 4 characters' time */
	ck_assert_uint_eq(bare_in(&b, COM + 2), 0xcc);
	ck_assert_uint_eq(bare_in(&b, COM), 0);
	ck_assert_int_eq(b.level[IRQ], 0);
	bare_out(&b, COM, 7);
	bare_out(&b, COM, 8);
	ck_assert_uint_eq(bare_in(&b, COM + 2), 0xc4);
	for (int i = 9; i < 18; i++)
		bare_out(&b, COM, i); /* the last finds 16 in the FIFO */
	ck_assert_uint_eq(bare_in(&b, COM + 2), 0xc6);
	ck_assert_uint_eq(bare_in(&b, COM + 5), 0x63);
	ck_assert_uint_eq(bare_in(&b, COM + 5), 0x61);
	for (int i = 1; i < 17; i++)
		ck_assert_uint_eq(bare_in(&b, COM), i);
	ck_assert_uint_eq(bare_in(&b, COM + 5), 0x60);
	bare_out(&b, COM, 1);
	bare_out(&b, COM + 2, 0x83); /* clear */
	ck_assert_uint_eq(bare_in(&b, COM + 5), 0x60);
}

END_TEST

START_TEST(serial_keeps_scratch_and_divisor)
{
	bare_out(&b, COM + 7, 0xa5);
	ck_assert_uint_eq(bare_in(&b, COM + 7), 0xa5);
	bare_out(&b, COM + 3, 0x83);
	bare_out(&b, COM, 0x34);
	bare_out(&b, COM + 1, 0x12);
	ck_assert_uint_eq(bare_in(&b, COM), 0x34);
	ck_assert_uint_eq(bare_in(&b, COM + 1), 0x12);
	bare_out(&b, COM + 3, 0x03);
	ck_assert_uint_eq(bare_in(&b, COM + 1), 0);
}

END_TEST

START_TEST(serial_ports_take_the_usual_places)
{
	static const u16 ports[] = { 0x2f8, 0x3e8, 0x2e8 };
	struct err err = { 0 };

	for (int i = 0; i < 3; i++) {
		bare_add(&b, &serial_class, NULL);
		bare_out(&b, ports[i] + 7, 0x11 * (i + 1));
		ck_assert_uint_eq(bare_in(&b, ports[i] + 7), 0x11u * (i + 1));
	}
	ck_assert_ptr_null(device_create(b.m, &serial_class, NULL, &err));
	ck_assert_ptr_nonnull(strstr(err.msg, "at most 4"));
}

END_TEST

int main(void)
{
	TCase *tc = tcase_create("serial");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, serial_sends_to_its_back_end);
	tcase_add_test(tc, serial_thr_interrupt_comes_and_is_acknowledged);
	tcase_add_test(tc, serial_loopback_carries_data_and_modem_lines);
	tcase_add_test(tc, serial_fifo_trigger_time_out_and_overrun);
	tcase_add_test(tc, serial_keeps_scratch_and_divisor);
	tcase_add_test(tc, serial_ports_take_the_usual_places);
	return bare_run("devices_serial", tc);
}
