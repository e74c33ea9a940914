/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * I/O APIC: messages, level-triggered handshake, masks, texts.
 */
#include "lib/buf.h"
#include "tests/unit/bare_machine.h"

static struct bare b;
static struct device *ioapic;
static int changes;

static void changed(struct machine *m)
{
	changes++;
}

static void line(int pin, int level)
{
	struct irq irq = ioapic_input(ioapic, pin);

	irq_set(&irq, level);
}

static u32 get(u8 reg)
{
	space_write(&b.m->memory, IOAPIC_BASE, 4, reg);
	return space_read(&b.m->memory, IOAPIC_BASE + 0x10, 4);
}

static void set(u8 reg, u32 value)
{
	space_write(&b.m->memory, IOAPIC_BASE, 4, reg);
	space_write(&b.m->memory, IOAPIC_BASE + 0x10, 4, value);
}

static void route(int pin, u32 low, u32 high)
{
	set(0x11 + 2 * pin, high);
	set(0x10 + 2 * pin, low);
}

static void setup(void)
{
	bare_init(&b);
	b.accel.ioapic_changed = changed;
	ioapic = bare_add(&b, &ioapic_class, NULL);
	changes = 0;
}

static void teardown(void)
{
	bare_fini(&b);
}

START_TEST(ioapic_has_24_masked_pins)
{
	ck_assert_uint_eq(get(1), 0x170020);
	for (int pin = 0; pin < 24; pin++) {
		ck_assert_uint_eq(get(0x10 + 2 * pin), 0x10000);
		line(pin, 1);
	}
	ck_assert_int_eq(b.nmsi, 0);
	set(0, 0xff000000);
	ck_assert_uint_eq(get(0), 0x0f000000);
}

END_TEST

START_TEST(ioapic_edge_sends_once)
{
	route(4, 0x0823, 0x02000000);
	ck_assert_int_gt(changes, 0);
	line(4, 1);
	ck_assert_int_eq(b.nmsi, 1);
	ck_assert_uint_eq(b.msi.addr, LAPIC_BASE | 2 << 12 | 4);
	ck_assert_uint_eq(b.msi.data, 0x23 | 1 << 14);
	line(4, 1);
	ck_assert_int_eq(b.nmsi, 1);
	line(4, 0);
	line(4, 1);
	ck_assert_int_eq(b.nmsi, 2);
	/* An edge under the mask is ignored (82093AA 3.2.4). */
	route(4, 0x10823, 0x02000000);
	line(4, 0);
	line(4, 1);
	ck_assert_int_eq(b.nmsi, 2);
	route(4, 0x0823, 0x02000000);
	ck_assert_int_eq(b.nmsi, 2);
	line(4, 0);
	line(4, 1);
	ck_assert_int_eq(b.nmsi, 3);
}

END_TEST

START_TEST(ioapic_level_repeats_after_eoi)
{
	route(10, 0x8826, 0x01000000);
	line(10, 1);
	ck_assert_int_eq(b.nmsi, 1);
	ck_assert_uint_eq(b.msi.data, 0x26 | 1 << 14 | 1 << 15);
	ck_assert_uint_eq(get(0x10 + 20), 0x8826 | 1 << 14);
	line(10, 0);
	line(10, 1);
	ck_assert_int_eq(b.nmsi, 1); /* Remote IRR */
	b.m->ioapic_eoi(b.m, 0x27);
	ck_assert_int_eq(b.nmsi, 1);
	b.m->ioapic_eoi(b.m, 0x26);
	ck_assert_int_eq(b.nmsi, 2); /* still high */
	line(10, 0);
	space_write(&b.m->memory, IOAPIC_BASE + 0x40, 4, 0x26);
	ck_assert_int_eq(b.nmsi, 2);
	ck_assert_uint_eq(get(0x10 + 20), 0x8826);
	/* Read-only bits stay. */
	line(10, 1);
	set(0x10 + 20, 0x18826);
	ck_assert_uint_eq(get(0x10 + 20), 0x18826 | 1 << 14);
}

END_TEST

START_TEST(ioapic_tells_its_routes)
{
	struct msi msi;

	ck_assert(!b.m->ioapic_route(b.m, 9, &msi));
	route(9, 0x8021, 0x03000000);
	ck_assert(b.m->ioapic_route(b.m, 9, &msi));
	ck_assert_uint_eq(msi.addr, LAPIC_BASE | 3 << 12);
	ck_assert_uint_eq(msi.data, 0x21 | 1 << 14 | 1 << 15);
	ck_assert(!b.m->ioapic_route(b.m, 24, &msi));
}

END_TEST

START_TEST(ioapic_text_has_the_known_layout)
{
	struct buf out = { 0 };
	const char *text;

	route(1, 0x0822, 0x02000000);
	route(10, 0x8826, 0x01000000);
	line(1, 1);
	set(0x24, 0x8826);
	ioapic_info(b.m, &out);
	text = buf_str(&out);
	ck_assert_ptr_nonnull(
		strstr(text, "ioapic0: ver=0x20 id=0x00 sel=0x24 "
			     "(redir[10])\n"
			     "  pin 0  0x0000000000010000 dest=0 vec=0   "
			     "active-hi edge  masked fixed  physical\n"
			     "  pin 1  0x0200000000000822 dest=2 vec=34  "
			     "active-hi edge         fixed  logical\n"));
	ck_assert_ptr_nonnull(
		strstr(text, "  pin 10 0x0100000000008826 dest=1 vec=38  "
			     "active-hi level        fixed  logical\n"));
	ck_assert_ptr_nonnull(strstr(text, "  IRR      (none)\n"
					   "  Remote IRR (none)\n"));
	buf_clear(&out);
	ioapic_irq_info(b.m, &out);
	ck_assert_str_eq(buf_str(&out), "IRQ statistics for ioapic:\n 1: 1\n");
	buf_fini(&out);
}

END_TEST

int main(void)
{
	TCase *tc = tcase_create("ioapic");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, ioapic_has_24_masked_pins);
	tcase_add_test(tc, ioapic_edge_sends_once);
	tcase_add_test(tc, ioapic_level_repeats_after_eoi);
	tcase_add_test(tc, ioapic_tells_its_routes);
	tcase_add_test(tc, ioapic_text_has_the_known_layout);
	return bare_run("devices_ioapic", tc);
}
