/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * pvpanic: what it offers, and what comes of what a guest tells.
 */
#include "devices/pci.h"
#include "tests/unit/bare_machine.h"
#include "vmm/event.h"
#include "vmm/panic.h"

#define BASE 0xfe000000u
#define SLOT PCI_DEVFN(4, 0)

static struct bare b;
static struct event_listener listener;
static int fired;
static enum event_id last;
static const char *action;

static void on_event(void *arg, enum event_id id, const struct event_value *v)
{
	if (id != EVENT_GUEST_PANICKED && id != EVENT_GUEST_CRASHLOADED)
		return;
	fired++;
	last = id;
	action = v[0].text;
}

static void start(const char *options)
{
	bare_init(&b);
	bare_add(&b, &pci_host_class, NULL);
	bare_add(&b, &pvpanic_class, options);
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

static void put(u32 at, u32 size, u32 value)
{
	space_write(&b.m->memory, BASE + at, size, value);
}

START_TEST(tells)
{
	start("addr=4");
	ck_assert_uint_eq(pci_config_read(b.m->pci, SLOT, 0, 4), 0x00111b36);
	ck_assert_uint_eq(space_read(&b.m->memory, BASE, 1), 3);
	put(0, 1, 2);
	ck_assert_int_eq(fired, 1);
	ck_assert_int_eq(last, EVENT_GUEST_CRASHLOADED);
	ck_assert_str_eq(action, "run");
	b.m->panic_action = PANIC_NONE;
	put(0, 1, 1);
	ck_assert_int_eq(fired, 2);
	ck_assert_int_eq(last, EVENT_GUEST_PANICKED);
	ck_assert_str_eq(action, "run");
}

END_TEST

START_TEST(ends)
{
	static const struct {
		enum panic_action action;
		int code;
	} cases[] = { { PANIC_SHUTDOWN, 0 }, { PANIC_EXIT_FAILURE, 1 } };

	start("addr=4");
	b.m->panic_action = cases[_i].action;
	put(0, 1, 3);
	ck_assert_int_eq(fired, 1);
	ck_assert_str_eq(action, "poweroff");
	ck_assert_int_eq(atomic_load(&b.m->run.exit_code), cases[_i].code);
	ck_assert_str_eq(atomic_load(&b.m->run.quit_reason), "guest-panic");
}

END_TEST

/* The main loop stops it, and tells then. */
START_TEST(pauses)
{
	start("addr=4");
	b.m->panic_action = PANIC_PAUSE;
	b.m->no_shutdown = true;
	for (int n = 0; n < 2; n++) {
		put(0, 1, 1);
		ck_assert_int_eq(fired, 0);
		ck_assert_ptr_null(atomic_load(&b.m->run.quit_reason));
		ck_assert_uint_ne(atomic_load(&b.m->run.requests), 0);
		b.m->panic_action = PANIC_SHUTDOWN; /* is the same then */
	}
}

END_TEST

START_TEST(strays)
{
	start("addr=4,events=2");
	ck_assert_uint_eq(space_read(&b.m->memory, BASE, 1), 2);
	put(0, 1, 1);
	put(0, 1, 0xfc);
	for (u32 at = 1; at < 16; at++)
		put(at, 1, 1);
	ck_assert_int_eq(fired, 0);
	put(0, 4, 0xffffffff);
	ck_assert_int_eq(fired, 1);
	ck_assert_int_eq(last, EVENT_GUEST_CRASHLOADED);
}

END_TEST

int main(void)
{
	TCase *t = tcase_create("pvpanic");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_test(t, tells);
	tcase_add_loop_test(t, ends, 0, 2);
	tcase_add_test(t, pauses);
	tcase_add_test(t, strays);
	return bare_run("devices_pvpanic", t);
}
