/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Mux: several front ends on one Unix socket.
 */
#include <signal.h>

#include "tests/unit/chardev_helper.h"

static struct front mon;
static struct chardev *mux;
static int client;
static char called[8];

static void note_quit(void *arg)
{
	strcat(called, "q");
}

static void note_commit(void *arg)
{
	strcat(called, "c");
}

static const struct chr_mux_ops ops = { note_quit, note_commit, NULL };

static void mux_setup(void)
{
	setup();
	mux = make_short("serial0", "mon:unix:%s/sock,server,nowait", dir);
	front_attach(&front, mux);
	front_attach(&mon, mux);
	ck_assert_str_eq(buf_str(&front.events), "+");
	ck_assert_str_eq(buf_str(&mon.events), "");
	chr_mux_set_ops(&ops);
	client = unix_connect("sock");
	wait_for(chr_open(mux));
	buf_clear(&front.events);
	buf_clear(&mon.events);
}

static void mux_teardown(void)
{
	close(client);
	chr_detach(mux, &mon);
	front_fini(&mon);
	teardown();
}

static void type(const char *keys)
{
	send_text(client, keys);
	run_for(5 * NS_PER_MS);
}

START_TEST(mux_lists_itself_and_its_base)
{
	struct chardev *base = chr_find("serial0-base");
	char *name = filename_of(mux);
	struct err err = { 0 };

	ck_assert_str_eq(name, "mux");
	free(name);
	ck_assert(chr_is_mux(mux));
	ck_assert_ptr_nonnull(base);
	ck_assert(!chr_is_mux(base));
	ck_assert_int_eq(chr_remove(base, &err), -EBUSY);
	ck_assert_str_eq(err.msg, "Chardev 'serial0-base' is busy");
	ck_assert_int_eq(chr_remove(mux, &err), -EBUSY);
}

END_TEST

START_TEST(mux_input_goes_to_the_focus_and_escape_c_moves_it)
{
	type("guest\x01"
	     "cmonitor\x01"
	     "cagain");
	ck_assert_str_eq(buf_str(&front.in), "guestagain");
	ck_assert_str_eq(buf_str(&mon.in), "monitor");
	ck_assert_str_eq(buf_str(&front.events), "-+");
	ck_assert_str_eq(buf_str(&mon.events), "+-");
}

END_TEST

START_TEST(mux_escape_survives_split_reads_and_doubles_to_itself)
{
	type("a\x01");
	type("\x01");
	type("b\x01");
	type("z");
	type("c");
	ck_assert_str_eq(buf_str(&front.in), "a\x01"
					     "bc");
	ck_assert_str_eq(buf_str(&mon.in), "");
}

END_TEST

START_TEST(mux_output_of_all_front_ends_is_written)
{
	chr_write(mux, "guest ", 6);
	chr_write(mux, "monitor", 7);
	expect_fd(client, "guest monitor");
}

END_TEST

START_TEST(mux_help_is_what_users_know)
{
	type("\x01h");
	expect_fd(client,
		  "\n\rC-a h    print this help\n\r"
		  "C-a x    exit emulator\n\r"
		  "C-a s    save disk data back to file (if -snapshot)\n\r"
		  "C-a t    toggle console timestamps\n\r"
		  "C-a b    send break (magic sysrq)\n\r"
		  "C-a c    switch between console and monitor\n\r"
		  "C-a C-a  sends C-a\n\r");
	chr_mux_set_escape(0x14);
	type("\x01h");
	ck_assert_str_eq(buf_str(&front.in), "\x01h");
	type("\x14?");
	expect_fd(client, "\n\rC-t h    print this help\n\r");
	chr_mux_set_escape(1);
}

END_TEST

START_TEST(mux_commands_reach_their_owners)
{
	type("\x01s\x01"
	     "b\x01x");
	ck_assert_str_eq(called, "cq");
	ck_assert_str_eq(buf_str(&front.events), "B");
	ck_assert_str_eq(buf_str(&mon.events), "");
	expect_fd(client, "QEMU: Terminated\n\r");
}

END_TEST

START_TEST(mux_timestamps_begin_each_line)
{
	struct buf got = { 0 };

	type("\x01t");
	chr_write(mux, "rest\none\ntw", 11);
	chr_write(mux, "o\n", 2);
	type("\x01t");
	chr_write(mux, "plain\n", 6);
	ck_assert(read_more(client, &got, 5 + 2 * (15 + 4) + 6));
	ck_assert_int_eq(
		memcmp(got.data, "rest\n[00:00:00.000] one\n[00:00:", 31), 0);
	ck_assert_str_eq(buf_str(&got) + got.len - 11, " two\nplain\n");
	buf_fini(&got);
}

END_TEST

START_TEST(mux_focus_survives_a_client_that_reconnects)
{
	type("\x01"
	     "c");
	close(client);
	wait_for(!chr_open(mux));
	client = unix_connect("sock");
	wait_for(chr_open(mux));
	type("info");
	ck_assert_str_eq(buf_str(&mon.in), "info");
	ck_assert_str_eq(buf_str(&mon.events), "+CO");
	ck_assert_str_eq(buf_str(&front.events), "-CO");
}

END_TEST

START_TEST(mux_fifth_front_end_is_refused)
{
	struct front more[3] = { 0 };
	struct err err = { 0 };

	front_attach(&more[0], mux);
	front_attach(&more[1], mux);
	ck_assert_int_eq(chr_attach(mux, &front_ops, &more[2], &err), -EBUSY);
	ck_assert_str_eq(err.msg, "Device 'serial0' is in use");
	/* Round robin through all four. */
	type("0\x01"
	     "c1\x01"
	     "c2\x01"
	     "c3\x01"
	     "c0");
	ck_assert_str_eq(buf_str(&front.in), "00");
	ck_assert_str_eq(buf_str(&more[1].in), "3");
	for (int i = 0; i < 2; i++) {
		chr_detach(mux, &more[i]);
		front_fini(&more[i]);
	}
}

END_TEST

START_TEST(mux_focus_moves_on_when_its_owner_detaches)
{
	chr_detach(mux, &front);
	type("hello");
	ck_assert_str_eq(buf_str(&mon.in), "hello");
	ck_assert(chr_attached(mux));
	chr_detach(mux, &mon);
	ck_assert(!chr_attached(mux));
	type("nobody");
	front_attach(&front, mux);
	wait_for(front.in.len == 6);
}

END_TEST

START_TEST(mux_slow_guest_gets_its_paste_even_without_focus)
{
	front.budget = 2;
	type("abcdef\x01"
	     "cmon");
	ck_assert_str_eq(buf_str(&front.in), "ab");
	ck_assert_str_eq(buf_str(&mon.in), "mon");
	front.budget = 100;
	chr_accept_input(mux);
	ck_assert_str_eq(buf_str(&front.in), "abcdef");
}

END_TEST

START_TEST(mux_dead_guest_does_not_lock_out_the_monitor)
{
	static char paste[16 * 1024];

	front.budget = 0;
	memset(paste, 'x', sizeof(paste));
	ck_assert_int_eq(write(client, paste, sizeof(paste)), sizeof(paste));
	send_text(client, "\x01"
			  "cinfo\r");
	/* Flow control first: perhaps the guest wakes up. */
	run_for(200 * NS_PER_MS);
	ck_assert_str_eq(buf_str(&mon.in), "");
	wait_for(mon.in.len == 5);
	ck_assert_str_eq(buf_str(&mon.in), "info\r");
}

END_TEST

START_TEST(mux_every_starved_front_end_hears_of_room)
{
	static char block[3 * MIB];
	struct buf got = { 0 };
	size_t taken = chr_write(mux, block, sizeof(block));

	ck_assert_uint_lt(taken, sizeof(block));
	ck_assert(read_more(client, &got, taken));
	wait_for(strchr(buf_str(&front.events), 'W'));
	ck_assert_ptr_nonnull(strchr(buf_str(&mon.events), 'W'));
	ck_assert_uint_eq(chr_queued(mux), 0);
	buf_fini(&got);
}

END_TEST

int main(void)
{
	Suite *s = suite_create("chardev/mux");
	TCase *t = tcase_create("mux");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, mux_setup, mux_teardown);
	tcase_set_timeout(t, 20);
	tcase_add_test(t, mux_lists_itself_and_its_base);
	tcase_add_test(t, mux_input_goes_to_the_focus_and_escape_c_moves_it);
	tcase_add_test(t,
		       mux_escape_survives_split_reads_and_doubles_to_itself);
	tcase_add_test(t, mux_output_of_all_front_ends_is_written);
	tcase_add_test(t, mux_help_is_what_users_know);
	tcase_add_test(t, mux_commands_reach_their_owners);
	tcase_add_test(t, mux_timestamps_begin_each_line);
	tcase_add_test(t, mux_focus_survives_a_client_that_reconnects);
	tcase_add_test(t, mux_fifth_front_end_is_refused);
	tcase_add_test(t, mux_focus_moves_on_when_its_owner_detaches);
	tcase_add_test(t, mux_slow_guest_gets_its_paste_even_without_focus);
	tcase_add_test(t, mux_dead_guest_does_not_lock_out_the_monitor);
	tcase_add_test(t, mux_every_starved_front_end_hears_of_room);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
