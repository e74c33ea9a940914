/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Pseudo-terminal back end: the other side is really opened and closed.
 */
#include <signal.h>

#include "tests/unit/chardev_helper.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <termios.h>

static char slave[64];

static struct chardev *make_pty(void)
{
	struct buf notice = { 0 };
	struct chardev *chr;
	char want[128], *name;

	chr_set_notices(&notice);
	chr = make_short("serial0", "pty");
	chr_set_notices(NULL);
	name = filename_of(chr);
	ck_assert_int_eq(strncmp(name, "pty:/dev/pts/", 13), 0);
	snprintf(slave, sizeof(slave), "%s", name + 4);
	free(name);
	snprintf(want, sizeof(want),
		 "char device redirected to %s (label serial0)\n", slave);
	ck_assert_str_eq(buf_str(&notice), want);
	buf_fini(&notice);
	front_attach(&front, chr);
	return chr;
}

static int open_slave(void)
{
	int fd = open(slave, O_RDWR | O_NOCTTY | O_NONBLOCK);

	ck_assert_int_ge(fd, 0);
	return fd;
}

static u64 cpu_us(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return 1000000ull * (u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       u.ru_utime.tv_usec + u.ru_stime.tv_usec;
}

START_TEST(pty_slave_is_raw_when_opened)
{
	struct termios mode;
	int fd;

	make_pty();
	fd = open_slave();
	ck_assert_int_eq(tcgetattr(fd, &mode), 0);
	ck_assert_int_eq(mode.c_lflag & (ICANON | ECHO | ISIG), 0);
	ck_assert_int_eq(mode.c_oflag & OPOST, 0);
	ck_assert_int_eq(mode.c_iflag & (ICRNL | IXON), 0);
	close(fd);
}

END_TEST

START_TEST(pty_open_and_close_are_noticed_at_once)
{
	struct chardev *chr = make_pty();
	u64 start, opened = UINT64_MAX, closed = UINT64_MAX;
	int fd;

	run_for(20 * NS_PER_MS);
	ck_assert(!chr_open(chr));
	/* The best of some, for a busy machine. */
	for (int i = 0; i < 10 && MAX(opened, closed) > 500 * NS_PER_MS; i++) {
		buf_clear(&front.events);
		start = clock_mono_ns();
		fd = open_slave();
		wait_for(chr_open(chr));
		opened = MIN(opened, clock_mono_ns() - start);
		start = clock_mono_ns();
		close(fd);
		wait_for(!chr_open(chr));
		closed = MIN(closed, clock_mono_ns() - start);
		ck_assert_str_eq(buf_str(&front.events), "OC");
	}
	ck_assert_uint_lt(opened, 500 * NS_PER_MS);
	ck_assert_uint_lt(closed, 500 * NS_PER_MS);
}

END_TEST

START_TEST(pty_nobody_there_costs_no_time)
{
	u64 before;
	int fd;

	make_pty();
	fd = open_slave();
	run_for(50 * NS_PER_MS);
	close(fd);
	run_for(20 * NS_PER_MS);
	before = cpu_us();
	for (int i = 0; i < 30; i++)
		loop_once(loop, 10 * NS_PER_MS);
	ck_assert_uint_lt(cpu_us() - before, 30000);
}

END_TEST

START_TEST(pty_early_output_waits_for_the_first_reader)
{
	struct chardev *chr = make_pty();
	int fd;

	chr_write(chr, "boot\r\n", 6);
	chr_write(chr, "login: ", 7);
	run_for(5 * NS_PER_MS);
	fd = open_slave();
	expect_fd(fd, "boot\r\nlogin: ");
	chr_write(chr, "more", 4);
	expect_fd(fd, "more");
	send_text(fd, "root\r");
	wait_for(front.in.len == 5);
	ck_assert_str_eq(buf_str(&front.in), "root\r");
	close(fd);
}

END_TEST

START_TEST(pty_keeps_the_newest_64_kib_without_a_reader)
{
	struct chardev *chr = make_pty();
	struct buf got = { 0 };
	char line[32];
	int fd;

	for (int i = 0; i < 20000; i++) {
		snprintf(line, sizeof(line), "line %06d\n", i);
		ck_assert_uint_eq(chr_write(chr, line, 12), 12);
	}
	fd = open_slave();
	ck_assert(read_more(fd, &got, 64 * KIB));
	ck_assert(fd_quiet(fd));
	ck_assert_str_eq(buf_str(&got) + got.len - 12, "line 019999\n");
	/* Without a gap. */
	snprintf(line, sizeof(line), "line %06d\n",
		 (int)(20000 - 64 * KIB / 12));
	ck_assert_ptr_nonnull(strstr(buf_str(&got), line));
	buf_fini(&got);
	close(fd);
}

END_TEST

START_TEST(pty_second_opener_gets_nothing_that_the_first_read)
{
	struct chardev *chr = make_pty();
	int fd;

	chr_write(chr, "first;", 6);
	fd = open_slave();
	expect_fd(fd, "first;");
	close(fd);
	wait_for(!chr_open(chr));
	chr_write(chr, "between;", 8);
	fd = open_slave();
	expect_fd(fd, "between;");
	chr_write(chr, "live;", 5);
	expect_fd(fd, "live;");
	close(fd);
	wait_for(!chr_open(chr));
	fd = open_slave();
	ck_assert(fd_quiet(fd));
	close(fd);
}

END_TEST

START_TEST(pty_survives_a_hundred_attachments)
{
	struct chardev *chr = make_pty();
	char text[16];

	for (int i = 0; i < 100; i++) {
		int fd = open_slave();

		/* Half of them are gone before we look. */
		if (i % 2) {
			snprintf(text, sizeof(text), "n%d;", i);
			chr_write(chr, text, strlen(text));
			expect_fd(fd, text);
			buf_clear(&front.in);
			send_text(fd, "k");
			wait_for(front.in.len == 1);
		}
		close(fd);
		if (i % 2)
			wait_for(!chr_open(chr));
	}
}

END_TEST

START_TEST(pty_command_of_a_writer_that_left_is_read_once)
{
	struct chardev *chr = make_pty();
	int fd = open_slave();

	/* echo info name > /dev/pts/N */
	send_text(fd, "info name\n");
	close(fd);
	wait_for(front.in.len == 10);
	chr_write(chr, "reply", 5);
	wait_for(!chr_open(chr));
	ck_assert_str_eq(buf_str(&front.events), "OC");
	fd = open_slave();
	expect_fd(fd, "reply");
	run_for(20 * NS_PER_MS);
	ck_assert_str_eq(buf_str(&front.in), "info name\n");
	close(fd);
}

END_TEST

START_TEST(pty_left_and_opened_again_between_two_looks_is_a_new_peer)
{
	struct chardev *chr = make_pty();
	int fd = open_slave();

	wait_for(chr_open(chr));
	close(fd);
	fd = open_slave();
	wait_for(!strcmp(buf_str(&front.events), "OCO"));
	chr_write(chr, "hi", 2);
	expect_fd(fd, "hi");
	close(fd);
}

END_TEST

START_TEST(pty_opener_that_flushes_first_still_sees_the_output)
{
	struct chardev *chr = make_pty();
	int fd;

	chr_write(chr, "prompt", 6);
	fd = open_slave();
	/* As screen and minicom do a moment after open(). */
	loop_once(loop, NS_PER_MS);
	tcflush(fd, TCIOFLUSH);
	expect_fd(fd, "prompt");
	close(fd);
}

END_TEST

START_TEST(pty_reader_that_stalls_gets_everything_later)
{
	struct chardev *chr = make_pty();
	static char block[600 * 1024];
	struct buf got = { 0 };
	u64 before;
	int fd = open_slave();

	wait_for(chr_open(chr));
	for (size_t i = 0; i < sizeof(block); i++)
		block[i] = i % 251;
	ck_assert_uint_eq(chr_write(chr, block, sizeof(block)), sizeof(block));
	before = cpu_us();
	for (int i = 0; i < 20; i++)
		loop_once(loop, 10 * NS_PER_MS);
	ck_assert_uint_lt(cpu_us() - before, 50000);
	ck_assert(read_more(fd, &got, sizeof(block)));
	ck_assert_mem_eq(got.data, block, sizeof(block));
	buf_fini(&got);
	close(fd);
}

END_TEST

START_TEST(pty_unread_input_of_one_who_left_does_not_spin)
{
	struct chardev *chr = make_pty();
	static char block[300 * 1024];
	u64 before;
	int fd = open_slave();

	wait_for(chr_open(chr));
	front.budget = 0;
	chr_accept_input(chr);
	send_text(fd, "abc");
	chr_write(chr, block, sizeof(block)); /* output waits, too */
	close(fd);
	run_for(20 * NS_PER_MS);
	before = cpu_us();
	for (int i = 0; i < 20; i++)
		loop_once(loop, 10 * NS_PER_MS);
	ck_assert_uint_lt(cpu_us() - before, 50000);
	front.budget = 10;
	chr_accept_input(chr);
	wait_for(!chr_open(chr));
	ck_assert_str_eq(buf_str(&front.in), "abc");
}

END_TEST

START_TEST(pty_is_opened_by_whom_it_says)
{
	static const char *const wrong[] = {
		"mode=rw", "mode=0777",           "mode=-1",  "mode=0660x",
		"mode=",   "group=no-such-group", "group=-1",
	};
	struct chardev *chr;
	struct stat st;
	char *name;

	chr = make_short("m", "pty,mode=0640,group=%u", (unsigned)getegid());
	name = filename_of(chr);
	ck_assert_int_eq(stat(name + 4, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0640);
	ck_assert_uint_eq(st.st_gid, getegid());
	free(name);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct err err = { 0 };

		ck_assert_ptr_null(try_short("w", &err, "pty,%s", wrong[i]));
		ck_assert_ptr_nonnull(
			strstr(err.msg, strchr(wrong[i], '=') + 1));
	}
}

END_TEST

START_TEST(pty_path_is_a_link_as_long_as_the_pty_lives)
{
	struct buf notice = { 0 };
	struct chardev *chr;
	char path[128], to[64] = "", *name;

	snprintf(path, sizeof(path), "%s/console", dir);
	ck_assert_int_eq(symlink("/dev/pts/stale", path), 0);
	chr_set_notices(&notice);
	chr = make_short("p", "pty:%s", path);
	chr_set_notices(NULL);
	buf_fini(&notice);
	ck_assert_int_gt(readlink(path, to, sizeof(to) - 1), 0);
	name = filename_of(chr);
	ck_assert_str_eq(name + 4, to);
	free(name);
	ck_assert_int_eq(chr_remove(chr, NULL), 0);
	ck_assert_int_eq(readlink(path, to, sizeof(to)), -1);
}

END_TEST

int main(void)
{
	Suite *s = suite_create("chardev/pty");
	TCase *t = tcase_create("pty");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 20);
	tcase_add_test(t, pty_slave_is_raw_when_opened);
	tcase_add_test(t, pty_open_and_close_are_noticed_at_once);
	tcase_add_test(t, pty_nobody_there_costs_no_time);
	tcase_add_test(t, pty_early_output_waits_for_the_first_reader);
	tcase_add_test(t, pty_keeps_the_newest_64_kib_without_a_reader);
	tcase_add_test(t, pty_second_opener_gets_nothing_that_the_first_read);
	tcase_add_test(t, pty_survives_a_hundred_attachments);
	tcase_add_test(t, pty_command_of_a_writer_that_left_is_read_once);
	tcase_add_test(
		t, pty_left_and_opened_again_between_two_looks_is_a_new_peer);
	tcase_add_test(t, pty_opener_that_flushes_first_still_sees_the_output);
	tcase_add_test(t, pty_reader_that_stalls_gets_everything_later);
	tcase_add_test(t, pty_unread_input_of_one_who_left_does_not_spin);
	tcase_add_test(t, pty_is_opened_by_whom_it_says);
	tcase_add_test(t, pty_path_is_a_link_as_long_as_the_pty_lives);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
