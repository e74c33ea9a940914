/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Sessions: banner, line ends, flow control and what happens when the peer
 * leaves.  The chardev and the commands are stand-ins.
 */
#include "monitor/monitor.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "chardev/chardev.h"
#include "lib/err.h"
#include "monitor/audit.h"
#include "monitor/door.h"
#include "monitor/internal.h"
#include "monitor/qmp.h"
#include "vmm/machine.h"
#include "vmm/vcpu.h"

#define BANNER                                     \
	"QEMU 7.2 (vmon " VMON_VERSION ") monitor" \
	" - type 'help' for more information\r\n"

struct chardev {
	const struct chr_front *front;
	void *opaque;
	struct buf out; /* what the peer got */
	size_t room;
	bool open, mux;
	int accepts;
};

static struct chardev chr, other;
static struct machine machine;
static char ran[4096];
static struct monitor *suspended;

int chr_attach(struct chardev *c, const struct chr_front *front, void *opaque,
	       struct err *err)
{
	if (c->front)
		return err_set(err, -16, "busy");
	c->front = front;
	c->opaque = opaque;
	return 0;
}

void chr_want_fds(struct chardev *c)
{
}

void chr_detach(struct chardev *c, void *opaque)
{
	c->front = NULL;
}

size_t chr_write(struct chardev *c, const void *data, size_t len)
{
	len = MIN(len, c->room);
	c->room -= len;
	buf_append(&c->out, data, len);
	return len;
}

void chr_accept_input(struct chardev *c)
{
	c->accepts++;
}

bool chr_open(const struct chardev *c)
{
	return c->open;
}

bool chr_peer(struct chardev *c, u32 *ret_pid, u32 *ret_uid)
{
	return false;
}

void audit_command(struct chardev *c, const char *tongue, const char *command,
		   const char *outcome)
{
}

void wait_abandon(struct monitor *mon)
{
}

void wait_end_all(void)
{
}

bool audit_on(void)
{
	return true;
}

void audit_close(void)
{
}

bool chr_window(struct chardev *c, u32 *ret_columns, u32 *ret_rows)
{
	return false;
}

bool chr_hang_up(struct chardev *c)
{
	return false;
}

bool chr_is_mux(const struct chardev *c)
{
	return c->mux;
}

struct vcpu *vcpu_plugged(const struct machine *m, u64 index)
{
	return index < (u64)m->nvcpus ? m->vcpus[index] : NULL;
}

void vcpu_run_on(struct vcpu *v, void (*fn)(struct vcpu *v, void *arg),
		 void *arg)
{
	ck_abort();
}

int qmp_create(struct machine *m, struct chardev *c,
	       const struct monitor_options *options, struct err *err)
{
	ck_abort();
}

void qmp_destroy_all(void)
{
}

void qmp_reap(void)
{
}

void events_listen(struct machine *m)
{
}

void chr_filename(struct chardev *c, struct buf *out)
{
}

void door_left(const char *label)
{
}

void door_close_all(void)
{
}

const char *chr_label(const struct chardev *c)
{
	return "mon";
}

int chr_remove(struct chardev *c, struct err *err)
{
	ck_abort();
}

struct cpu_state *vcpu_cpu(struct vcpu *v)
{
	ck_abort();
}

void command_complete(void *opaque, struct readline *rl, const char *text)
{
}

int command_run(struct monitor *mon, const char *line)
{
	strcat(ran, line);
	strcat(ran, ";");
	if (!strcmp(line, "two"))
		mon_puts(mon, "1\n2\n");
	else if (!strcmp(line, "big"))
		for (int i = 0; i < 3000; i++)
			mon_printf(mon, "%06d\n", i);
	else if (!strcmp(line, "huge"))
		for (int i = 0; i < 3000000; i++)
			mon_puts(mon, "0123456789\n");
	else if (!strcmp(line, "quit"))
		mon->quitting = true;
	else if (!strcmp(line, "wait")) {
		suspended = mon;
		mon_suspend(mon);
	}
	return 0;
}

/* ---- the peer ---- */

static void event(struct chardev *c, enum chr_event e)
{
	c->open = e == CHR_OPENED ? true : e == CHR_CLOSED ? false : c->open;
	c->front->event(c->opaque, e);
}

/* Sends what the front end is willing to take; returns what is left. */
static const char *send_some(struct chardev *c, const char *text)
{
	size_t n = strlen(text);

	while (*text && (n = c->front->can_read(c->opaque))) {
		n = MIN(n, strlen(text));
		c->front->read(c->opaque, (const u8 *)text, n);
		text += n;
	}
	return text;
}

static void send_all(struct chardev *c, const char *text)
{
	ck_assert_str_eq(send_some(c, text), "");
}

static void peer_reads(struct chardev *c, size_t room)
{
	c->room += room;
	event(c, CHR_WRITABLE);
}

static void got(struct chardev *c, const char *text)
{
	ck_assert_str_eq(buf_str(&c->out), text);
	buf_clear(&c->out);
}

static void setup(void)
{
	chr = other = (struct chardev){ .room = 1 << 30 };
	ran[0] = '\0';
	ck_assert_int_eq(monitor_create(&machine, &chr, NULL, NULL), 0);
	event(&chr, CHR_OPENED);
	got(&chr, BANNER "(qemu) ");
}

static void teardown(void)
{
	monitor_destroy_all();
	ck_assert_ptr_null(chr.front);
	buf_fini(&chr.out);
	buf_fini(&other.out);
}

/* ---- tests ---- */

START_TEST(monitor_runs_lines_and_ends_them_with_crlf)
{
	send_all(&chr, "two\n");
	got(&chr, "two\r\n1\r\n2\r\n(qemu) ");
	send_all(&chr, "t");
	send_all(&chr, "wo\rx\r");
	got(&chr, "two\r\n1\r\n2\r\n(qemu) x\r\n(qemu) ");
	ck_assert_str_eq(ran, "two;two;x;");
}

END_TEST

START_TEST(monitor_greets_again_and_drops_half_a_line)
{
	send_all(&chr, "hal");
	event(&chr, CHR_CLOSED);
	buf_clear(&chr.out);
	event(&chr, CHR_OPENED);
	got(&chr, BANNER "(qemu) ");
	send_all(&chr, "f\n");
	ck_assert_str_eq(ran, "f;");
}

END_TEST

START_TEST(monitor_stops_taking_input_while_output_waits)
{
	const char *rest;

	chr.room = 100;
	rest = send_some(&chr, "big\nx\ny\n");
	ck_assert_str_eq(rest, ""); /* taken, not looked at */
	ck_assert_str_eq(ran, "big;");
	ck_assert_uint_eq(chr.out.len, 100);
	ck_assert_uint_eq(chr.front->can_read(chr.opaque), 0);
	peer_reads(&chr, 100);
	ck_assert_uint_eq(chr.out.len, 200);
	ck_assert_str_eq(ran, "big;");
	ck_assert_int_eq(chr.accepts, 0);
	peer_reads(&chr, 1 << 20);
	ck_assert_str_eq(ran, "big;x;y;");
	ck_assert_int_gt(chr.accepts, 0);
	ck_assert_uint_gt(chr.front->can_read(chr.opaque), 0);
	ck_assert_ptr_nonnull(strstr(buf_str(&chr.out), "002999\r\n(qemu) x"));
}

END_TEST

START_TEST(monitor_holds_at_most_the_output_of_one_command)
{
	struct monitor *mon = chr.opaque;

	chr.room = 0;
	send_some(&chr, "huge\nhuge\nhuge\n");
	ck_assert_str_eq(ran, "huge;");
	ck_assert_uint_lt(mon->out.len, MON_OUTPUT_MAX + 4096);
	peer_reads(&chr, 64 << 20);
	ck_assert_str_eq(ran, "huge;huge;huge;");
	ck_assert_ptr_nonnull(strstr(buf_str(&chr.out), "[output cut"));
	ck_assert_str_eq(chr.out.data + chr.out.len - 7, "(qemu) ");
}

END_TEST

START_TEST(monitor_runs_what_was_sent_before_the_peer_left)
{
	chr.room = 0; /* it never read a byte */
	send_some(&chr, "big\none\ntwo\nhal");
	ck_assert_str_eq(ran, "big;");
	event(&chr, CHR_CLOSED);
	ck_assert_str_eq(ran, "big;one;two;");
	chr.room = 1 << 20;
	event(&chr, CHR_OPENED);
	got(&chr, BANNER "(qemu) ");
}

END_TEST

START_TEST(monitor_a_stuck_session_does_not_delay_another)
{
	other.open = true;
	ck_assert_int_eq(monitor_create(&machine, &other, NULL, NULL), 0);
	got(&other, BANNER "(qemu) ");
	chr.room = 0;
	send_some(&chr, "big\nbig\n");
	send_all(&other, "two\n");
	got(&other, "two\r\n1\r\n2\r\n(qemu) ");
	ck_assert_str_eq(ran, "big;two;");
}

END_TEST

START_TEST(monitor_sessions_have_their_own_history)
{
	struct monitor *a = chr.opaque, *b;

	other.open = true;
	ck_assert_int_eq(monitor_create(&machine, &other, NULL, NULL), 0);
	b = other.opaque;
	send_all(&chr, "one\n");
	ck_assert_int_eq(a->rl.history_len, 1);
	ck_assert_int_eq(b->rl.history_len, 0);
	event(&chr, CHR_CLOSED);
	event(&chr, CHR_OPENED);
	ck_assert_int_eq(a->rl.history_len, 1);
}

END_TEST

START_TEST(monitor_takes_no_more_input_after_quit)
{
	send_some(&chr, "quit\nx\n");
	ck_assert_str_eq(ran, "quit;");
	got(&chr, "quit\r\n");
	ck_assert_uint_eq(chr.front->can_read(chr.opaque), 0);
}

END_TEST

START_TEST(monitor_waits_for_a_suspended_command)
{
	send_some(&chr, "wait\nx\n");
	got(&chr, "wait\r\n");
	ck_assert_str_eq(ran, "wait;");
	mon_printf(suspended, "done\n");
	mon_resume(suspended, NULL);
	got(&chr, "done\r\n(qemu) x\r\n(qemu) ");
	ck_assert_str_eq(ran, "wait;x;");
}

END_TEST

START_TEST(monitor_finishes_a_suspended_command_without_its_peer)
{
	send_some(&chr, "wait\nx\nhal");
	event(&chr, CHR_CLOSED);
	ck_assert_str_eq(ran, "wait;");
	mon_resume(suspended, NULL);
	ck_assert_str_eq(ran, "wait;x;");
	buf_clear(&chr.out);
	event(&chr, CHR_OPENED);
	got(&chr, BANNER "(qemu) ");
	send_all(&chr, "y\n");
	ck_assert_str_eq(ran, "wait;x;y;");
}

END_TEST

START_TEST(monitor_on_a_mux_waits_for_the_focus)
{
	other.mux = other.open = true;
	ck_assert_int_eq(monitor_create(&machine, &other, NULL, NULL), 0);
	got(&other, "");
	event(&other, CHR_FOCUS_IN);
	got(&other, BANNER "(qemu) ");
	send_all(&other, "hal");
	got(&other, "hal");
	event(&other, CHR_FOCUS_OUT);
	got(&other, "\r\n");
	event(&other, CHR_FOCUS_IN); /* banner the first time only */
	got(&other, "(qemu) ");
	send_all(&other, "f\n");
	ck_assert_str_eq(ran, "f;");
}

END_TEST

START_TEST(monitor_refuses_what_it_cannot_be)
{
	struct err err = { 0 };

	struct monitor_options options;
	struct opts o;

	ck_assert_int_eq(opts_parse(&o, "mode=bogus", NULL, &err), 0);
	ck_assert_int_lt(monitor_options_take(&o, &options, &err), 0);
	opts_fini(&o);
	ck_assert_ptr_nonnull(strstr(err.msg, "'bogus'"));
	ck_assert_int_lt(monitor_create(&machine, &chr, NULL, &err), 0);
	ck_assert_str_eq(err.msg, "busy");
}

END_TEST

int main(void)
{
	Suite *s = suite_create("monitor_monitor");
	TCase *t = tcase_create("monitor");
	SRunner *r = srunner_create(s);
	int failed;

	suite_add_tcase(s, t);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, monitor_runs_lines_and_ends_them_with_crlf);
	tcase_add_test(t, monitor_greets_again_and_drops_half_a_line);
	tcase_add_test(t, monitor_stops_taking_input_while_output_waits);
	tcase_add_test(t, monitor_holds_at_most_the_output_of_one_command);
	tcase_add_test(t, monitor_runs_what_was_sent_before_the_peer_left);
	tcase_add_test(t, monitor_a_stuck_session_does_not_delay_another);
	tcase_add_test(t, monitor_sessions_have_their_own_history);
	tcase_add_test(t, monitor_takes_no_more_input_after_quit);
	tcase_add_test(t, monitor_waits_for_a_suspended_command);
	tcase_add_test(t,
		       monitor_finishes_a_suspended_command_without_its_peer);
	tcase_add_test(t, monitor_on_a_mux_waits_for_the_focus);
	tcase_add_test(t, monitor_refuses_what_it_cannot_be);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
