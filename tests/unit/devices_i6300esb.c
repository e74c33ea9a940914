/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The watchdog: its lock, its two stages, and what its end does.
 */
#include "devices/pci.h"
#include "tests/unit/bare_machine.h"
#include "vmm/event.h"
#include "vmm/watchdog.h"

#define BASE 0xfe000000u
#define SLOT PCI_DEVFN(4, 0)

static struct bare b;
static struct event_listener listener;
static int fired;
static const char *action;

static void on_event(void *arg, enum event_id id, const struct event_value *v)
{
	if (id == EVENT_WATCHDOG) {
		fired++;
		action = v[0].text;
	}
}

static void setup(void)
{
	bare_init(&b);
	bare_add(&b, &pci_host_class, NULL);
	bare_add(&b, &i6300esb_class, "addr=4");
	pci_config_write(b.m->pci, SLOT, 0x10, 4, BASE);
	pci_config_write(b.m->pci, SLOT, 4, 2, 2);
	listener.fn = on_event;
	event_listen(b.m, &listener);
	fired = 0;
}

static void teardown(void)
{
	event_listen_end(&listener);
	bare_fini(&b);
}

static void unlock(void)
{
	space_write(&b.m->memory, BASE + 12, 2, 0x80);
	space_write(&b.m->memory, BASE + 12, 2, 0x86);
}

static void put(u32 at, u32 size, u32 value)
{
	unlock();
	space_write(&b.m->memory, BASE + at, size, value);
}

static u32 status(void)
{
	return space_read(&b.m->memory, BASE + 12, 2);
}

/* 1 kHz: units of 2^15 / 33 MHz, about a millisecond. */
static void start(u32 lock)
{
	put(0, 4, 1007); /* one second */
	put(4, 4, 1007);
	pci_config_write(b.m->pci, SLOT, 0x68, 1, lock);
}

START_TEST(i6300esb_runs_out_after_two_stages)
{
	ck_assert_uint_eq(pci_config_read(b.m->pci, SLOT, 0, 4), 0x25ab8086);
	b.m->watchdog_action = WATCHDOG_NONE;
	start(2);
	bare_sleep(&b, 1900 * NS_PER_MS);
	ck_assert_int_eq(fired, 0);
	ck_assert_uint_eq(status(), 0);
	bare_sleep(&b, 200 * NS_PER_MS);
	ck_assert_int_eq(fired, 1);
	ck_assert_str_eq(action, "none");
	ck_assert_uint_eq(status(), 0x200);
	put(12, 2, 0x200);
	ck_assert_uint_eq(status(), 0);
	bare_sleep(&b, 10 * NS_PER_S); /* it does not run again */
	ck_assert_int_eq(fired, 1);
}

END_TEST

START_TEST(i6300esb_lives_while_it_is_kicked)
{
	start(2);
	for (int i = 0; i < 20; i++) {
		bare_sleep(&b, 1500 * NS_PER_MS);
		put(12, 2, 0x100);
	}
	ck_assert_int_eq(fired, 0);
	/* Not without the sequence. */
	bare_sleep(&b, 1500 * NS_PER_MS);
	space_write(&b.m->memory, BASE + 12, 2, 0x100);
	space_write(&b.m->memory, BASE + 12, 2, 0x86);
	space_write(&b.m->memory, BASE + 12, 2, 0x100);
	bare_sleep(&b, 600 * NS_PER_MS);
	ck_assert_int_eq(fired, 1);
	ck_assert_uint_ne(atomic_load(&b.m->run.requests), 0);
}

END_TEST

START_TEST(i6300esb_stops_unless_locked)
{
	start(2);
	pci_config_write(b.m->pci, SLOT, 0x68, 1, 0);
	bare_sleep(&b, 10 * NS_PER_S);
	ck_assert_int_eq(fired, 0);
	b.m->watchdog_action = WATCHDOG_NONE;
	pci_config_write(b.m->pci, SLOT, 0x68, 1, 7); /* and again for ever */
	pci_config_write(b.m->pci, SLOT, 0x68, 1, 0);
	ck_assert_uint_eq(pci_config_read(b.m->pci, SLOT, 0x68, 1), 7);
	bare_sleep(&b, 10 * NS_PER_S);
	ck_assert_int_ge(fired, 4);
	ck_assert_int_le(fired, 5);
}

END_TEST

START_TEST(i6300esb_cannot_flood_the_host)
{
	b.m->watchdog_action = WATCHDOG_NONE;
	pci_config_write(b.m->pci, SLOT, 0x60, 2, 4);
	put(0, 4, 0);
	put(4, 4, 0);
	pci_config_write(b.m->pci, SLOT, 0x68, 1, 6);
	bare_sleep(&b, 100 * NS_PER_MS);
	ck_assert_int_le(fired, 50);
	ck_assert_int_ge(fired, 49);
}

END_TEST

START_TEST(watchdog_does_what_was_set)
{
	ck_assert_int_lt(watchdog_set_action(b.m, "bogus"), 0);
	for (int i = 0; watchdog_actions[i]; i++) {
		ck_assert_int_eq(watchdog_set_action(b.m, watchdog_actions[i]),
				 0);
		atomic_store(&b.m->run.requests, 0);
		watchdog_expired(b.m);
		ck_assert_str_eq(action, watchdog_actions[i]);
		ck_assert_int_eq(atomic_load(&b.m->run.requests) != 0,
				 i <= WATCHDOG_PAUSE);
	}
}

END_TEST

int main(void)
{
	TCase *tc = tcase_create("i6300esb");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, i6300esb_runs_out_after_two_stages);
	tcase_add_test(tc, i6300esb_lives_while_it_is_kicked);
	tcase_add_test(tc, i6300esb_stops_unless_locked);
	tcase_add_test(tc, i6300esb_cannot_flood_the_host);
	tcase_add_test(tc, watchdog_does_what_was_set);
	return bare_run("devices_i6300esb", tc);
}
