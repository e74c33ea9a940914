/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The i8259A pair: priorities, ends of interrupt, modes, spurious requests.
 */
#include "lib/buf.h"
#include "tests/unit/bare_machine.h"

static struct bare b;
static struct device *pic;
static int output;

static void set_output(void *opaque, int n, int level)
{
	output = level;
}

static void line(int n, int level)
{
	struct irq irq = pic_input(pic, n);

	irq_set(&irq, level);
}

static void initialise(u8 icw4)
{
	static const u16 ports[] = { 0x20, 0xa0 };

	for (int i = 0; i < 2; i++) {
		bare_out(&b, ports[i], 0x11);
		bare_out(&b, ports[i] + 1, i ? 0x38 : 0x30);
		bare_out(&b, ports[i] + 1, i ? 2 : 4);
		bare_out(&b, ports[i] + 1, icw4);
		bare_out(&b, ports[i] + 1, 0);
	}
}

static void setup(void)
{
	output = 0;
	bare_init(&b);
	pic = bare_add(&b, &pic_class, NULL);
	pic_set_output(pic, (struct irq){ set_output, NULL, 0 });
	initialise(1);
}

static void teardown(void)
{
	bare_fini(&b);
}

START_TEST(pic_serves_by_priority)
{
	line(4, 1);
	line(1, 1);
	ck_assert_int_eq(output, 1);
	ck_assert_int_eq(pic_acknowledge(pic), 0x31);
	ck_assert_int_eq(output, 0); /* 4 waits for 1 */
	line(0, 1);
	ck_assert_int_eq(pic_acknowledge(pic), 0x30); /* nests */
	bare_out(&b, 0x20, 0x20);
	bare_out(&b, 0x20, 0x20);
	ck_assert_int_eq(pic_acknowledge(pic), 0x34);
	bare_out(&b, 0x20, 0x64); /* specific */
	ck_assert_int_eq(output, 0);
}

END_TEST

START_TEST(pic_slave_goes_through_the_cascade)
{
	line(12, 1);
	line(8, 1);
	ck_assert_int_eq(pic_acknowledge(pic), 0x38);
	line(3, 1); /* lower than the cascade input */
	ck_assert_int_eq(output, 0);
	bare_out(&b, 0xa0, 0x20);
	bare_out(&b, 0x20, 0x20);
	ck_assert_int_eq(pic_acknowledge(pic), 0x3c);
}

END_TEST

START_TEST(pic_edges_are_latched_levels_are_not)
{
	line(5, 1);
	line(5, 0);
	ck_assert_int_eq(output, 0); /* gone before it was served */
	bare_out(&b, 0x21, 0x20);
	line(5, 1);
	bare_out(&b, 0x21, 0);
	ck_assert_int_eq(pic_acknowledge(pic), 0x35);
	bare_out(&b, 0x20, 0x20);
	ck_assert_int_eq(output, 0); /* still high, but no new edge */

	bare_out(&b, 0x4d1, 0x0c); /* 10 and 11 are levels */
	ck_assert_uint_eq(bare_in(&b, 0x4d1), 0x0c);
	line(11, 1);
	ck_assert_int_eq(pic_acknowledge(pic), 0x3b);
	bare_out(&b, 0xa0, 0x20);
	bare_out(&b, 0x20, 0x20);
	ck_assert_int_eq(output, 1); /* again, while it is high */
	line(11, 0);
	ck_assert_int_eq(output, 0);
	bare_out(&b, 0x4d0, 0xff);
	ck_assert_uint_eq(bare_in(&b, 0x4d0), 0xf8); /* 0-2 are fixed */
}

END_TEST

START_TEST(pic_answers_a_vanished_request_with_7)
{
	line(3, 1);
	line(3, 0);
	ck_assert_int_eq(pic_acknowledge(pic), 0x37);
	bare_out(&b, 0x20, 0x0b); /* read ISR: nothing is in service */
	ck_assert_uint_eq(bare_in(&b, 0x20), 0);
	line(9, 1);
	bare_out(&b, 0xa1, 0xff);
	ck_assert_int_eq(output, 0);
}

END_TEST

START_TEST(pic_automatic_end_of_interrupt_and_rotation)
{
	initialise(3);
	bare_out(&b, 0x20, 0x80); /* rotate in AEOI mode */
	line(1, 1);
	line(6, 1);
	ck_assert_int_eq(pic_acknowledge(pic), 0x31);
	line(1, 0);
	line(1, 1);
	/* 1 has become the lowest. */
	ck_assert_int_eq(pic_acknowledge(pic), 0x36);
	ck_assert_int_eq(pic_acknowledge(pic), 0x31);
}

END_TEST

START_TEST(pic_special_mask_mode_lets_lower_ones_in)
{
	line(2, 0);
	line(1, 1);
	ck_assert_int_eq(pic_acknowledge(pic), 0x31);
	line(6, 1);
	ck_assert_int_eq(output, 0);
	bare_out(&b, 0x21, 0x02);
	bare_out(&b, 0x20, 0x68);
	ck_assert_int_eq(output, 1);
	ck_assert_int_eq(pic_acknowledge(pic), 0x36);
}

END_TEST

START_TEST(pic_poll_acknowledges)
{
	line(4, 1);
	bare_out(&b, 0x20, 0x0c);
	ck_assert_uint_eq(bare_in(&b, 0x20), 0x84);
	bare_out(&b, 0x20, 0x0b);
	ck_assert_uint_eq(bare_in(&b, 0x20), 0x10);
	bare_out(&b, 0x20, 0x0c);
	ck_assert_uint_eq(bare_in(&b, 0x20), 0);
}

END_TEST

START_TEST(pic_text_has_the_known_layout)
{
	struct buf out = { 0 };

	bare_out(&b, 0x4d1, 0x0c);
	line(4, 1);
	line(4, 0);
	line(4, 1);
	pic_info(b.m, &out);
	ck_assert_str_eq(buf_str(&out),
			 "pic1: irr=00 imr=00 isr=00 hprio=0 irq_base=38 "
			 "rr_sel=0 elcr=0c fnm=0\n"
			 "pic0: irr=10 imr=00 isr=00 hprio=0 irq_base=30 "
			 "rr_sel=0 elcr=00 fnm=0\n");
	buf_clear(&out);
	pic_irq_info(b.m, &out);
	ck_assert_str_eq(buf_str(&out),
			 "IRQ statistics for isa-i8259:\n 4: 2\n");
	buf_fini(&out);
}

END_TEST

int main(void)
{
	TCase *tc = tcase_create("pic");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, pic_serves_by_priority);
	tcase_add_test(tc, pic_slave_goes_through_the_cascade);
	tcase_add_test(tc, pic_edges_are_latched_levels_are_not);
	tcase_add_test(tc, pic_answers_a_vanished_request_with_7);
	tcase_add_test(tc, pic_automatic_end_of_interrupt_and_rotation);
	tcase_add_test(tc, pic_special_mask_mode_lets_lower_ones_in);
	tcase_add_test(tc, pic_poll_acknowledges);
	tcase_add_test(tc, pic_text_has_the_known_layout);
	return bare_run("devices_pic", tc);
}
