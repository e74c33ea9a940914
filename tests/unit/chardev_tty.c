/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Terminal back ends: a host tty by path, and standard input and output of
 * a child on a terminal of its own.
 */
#include <signal.h>

#include "tests/unit/chardev_helper.h"

#include <pty.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <utmp.h>

static int master, slave_fd;
static char slave[64];

static void open_line(void)
{
	ck_assert_int_eq(openpty(&master, &slave_fd, slave, NULL, NULL), 0);
	fcntl(master, F_SETFL, O_NONBLOCK);
}

static bool is_raw(int fd)
{
	struct termios mode;

	ck_assert_int_eq(tcgetattr(fd, &mode), 0);
	return !(mode.c_lflag & (ICANON | ECHO)) && !(mode.c_iflag & ICRNL);
}

START_TEST(tty_is_raw_while_open_and_restored_after)
{
	static const char *const prefix[] = { "", "tty:", "serial:" };
	struct termios before, after;
	struct chardev *chr;

	open_line();
	tcgetattr(slave_fd, &before);
	ck_assert(!is_raw(slave_fd));
	chr = make_short("t", "%s%s", prefix[_i], slave);
	front_attach(&front, chr);
	ck_assert(chr_open(chr));
	ck_assert(is_raw(slave_fd));
	tcgetattr(slave_fd, &after);
	ck_assert_int_eq(cfgetospeed(&after), B115200);
	chr_write(chr, "out\n", 4);
	expect_fd(master, "out\n");
	send_text(master, "in\r\x03");
	wait_for(front.in.len == 4);
	ck_assert_str_eq(buf_str(&front.in), "in\r\x03");
	chr_detach(chr, &front);
	front.chr = NULL;
	ck_assert_int_eq(chr_remove(chr, NULL), 0);
	tcgetattr(slave_fd, &after);
	ck_assert_int_eq(after.c_lflag, before.c_lflag);
	ck_assert_int_eq(after.c_iflag, before.c_iflag);
	ck_assert_int_eq(after.c_oflag, before.c_oflag);
	ck_assert_int_eq(after.c_cflag, before.c_cflag);
}

END_TEST

START_TEST(tty_takes_the_line_settings_of_the_uart)
{
	struct chr_line line = { 9600, 7, 2, 'E' };
	struct chardev *chr;
	struct termios mode;

	open_line();
	chr = make_short("t", "%s", slave);
	chr_set_line(chr, &line);
	tcgetattr(slave_fd, &mode);
	ck_assert_int_eq(cfgetospeed(&mode), B9600);
	/* The kernel's ptys force CS8 and no parity, but keep CSTOPB. */
	ck_assert_int_ne(mode.c_cflag & CSTOPB, 0);
	chr_send_break(chr);
	run_for(5 * NS_PER_MS);
}

END_TEST

START_TEST(tty_hangup_does_not_spin_and_the_line_is_opened_again)
{
	struct rusage before, after;
	char path[128];
	struct chardev *chr;

	open_line();
	snprintf(path, sizeof(path), "%s/line", dir);
	ck_assert_int_eq(symlink(slave, path), 0);
	chr = make_short("t", "tty:%s", path);
	front_attach(&front, chr);
	close(slave_fd);
	close(master);
	wait_for(!chr_open(chr));
	getrusage(RUSAGE_SELF, &before);
	for (int i = 0; i < 30; i++)
		loop_once(loop, 10 * NS_PER_MS);
	getrusage(RUSAGE_SELF, &after);
	ck_assert_int_eq(after.ru_utime.tv_sec, before.ru_utime.tv_sec);
	ck_assert_int_lt(after.ru_utime.tv_usec - before.ru_utime.tv_usec,
			 30000);
	ck_assert_uint_eq(chr_write(chr, "lost", 4), 4);

	open_line();
	unlink(path);
	ck_assert_int_eq(symlink(slave, path), 0);
	wait_for(chr_open(chr));
	ck_assert_str_eq(buf_str(&front.events), "OCO");
	ck_assert(is_raw(slave_fd));
	chr_write(chr, "back", 4);
	expect_fd(master, "back");
}

END_TEST

START_TEST(tty_that_is_no_terminal_just_discards)
{
	struct chardev *chr = make_short("t", "/dev/null");

	front_attach(&front, chr);
	ck_assert_uint_eq(chr_write(chr, "x", 1), 1);
	run_for(20 * NS_PER_MS);
	ck_assert(chr_open(chr));
}

END_TEST

/* -------------------------------------------------------------- stdio */

static struct chardev *echo_chr;
static bool echoed;

static void echo_read(void *opaque, const u8 *data, size_t len)
{
	echoed = true;
	if (memchr(data, 'q', len))
		loop_quit(loop);
	else
		chr_write(echo_chr, data, len);
}

static const struct chr_front echo_front = { NULL, echo_read, NULL };

static void on_sigcont(void *arg, u32 events)
{
	struct signalfd_siginfo info;
	struct watch *w = arg;

	ck_assert_int_eq(read(w->fd, &info, sizeof(info)), sizeof(info));
	chr_stdio_resume();
}

static void watch_sigcont(struct watch *w)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCONT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	watch_add(w, loop, signalfd(-1, &set, 0), LOOP_IN, on_sigcont, w);
}

/* In the child: echoes until 'q', then leaves in one of three ways. */
static void echo_main(const char *text, char leave)
{
	struct err err = { 0 };
	struct watch sigcont;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, SIG_DFL); /* check has its own */
	loop_destroy(loop);      /* the parent's */
	loop = loop_create();
	watch_sigcont(&sigcont);
	echo_chr = chr_create_short(loop, text, "stdio", &err);
	if (!echo_chr || chr_attach(echo_chr, &echo_front, NULL, &err) < 0) {
		dprintf(STDERR_FILENO, "%s\n", err.msg);
		_exit(2);
	}
	chr_write(echo_chr, "ready\n", 6);
	loop_run(loop);
	if (leave == 'r')
		chr_remove_all();
	if (leave == 'e')
		exit(0); /* without telling the chardevs */
	_exit(0);
}

static pid_t start_child(const char *text, char leave)
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		close(master);
		if (login_tty(slave_fd) < 0)
			_exit(3);
		echo_main(text, leave);
	}
	return pid;
}

static void expect_exit(pid_t pid, int want)
{
	int status = 0;

	for (int i = 0; i < 500 && waitpid(pid, &status, WNOHANG) == 0; i++)
		usleep(10000);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == want,
		      "status %x", status);
}

START_TEST(stdio_terminal_is_raw_and_restored_on_every_way_out)
{
	struct termios before, mode;
	pid_t pid;

	open_line();
	tcgetattr(slave_fd, &before);
	pid = start_child("stdio", _i ? 'e' : 'r');
	/* Output processing stays on: a newline moves to column one. */
	expect_fd(master, "ready\r\n");
	tcgetattr(slave_fd, &mode);
	ck_assert_int_eq(mode.c_lflag & (ICANON | ECHO | IEXTEN), 0);
	ck_assert_int_ne(mode.c_lflag & ISIG, 0);
	ck_assert_int_ne(mode.c_oflag & OPOST, 0);
	/* The descriptor we share with the child did not change. */
	ck_assert_int_eq(fcntl(slave_fd, F_GETFL) & O_NONBLOCK, 0);
	send_text(master, "abc\r");
	expect_fd(master, "abc\r");
	send_text(master, "q");
	expect_exit(pid, 0);
	tcgetattr(slave_fd, &mode);
	ck_assert_int_eq(mode.c_lflag, before.c_lflag);
	ck_assert_int_eq(mode.c_iflag, before.c_iflag);
}

END_TEST

START_TEST(stdio_ctrl_c_is_input_with_signal_off_and_a_signal_without)
{
	pid_t pid;
	int status;

	open_line();
	pid = start_child(_i ? "mon:stdio" : "stdio,signal=off", 'r');
	expect_fd(master, "ready\r\n");
	send_text(master, "\x03");
	expect_fd(master, "\x03");
	send_text(master, "q");
	expect_exit(pid, 0);

	/* The child's exit hung the first line up. */
	open_line();
	pid = start_child("stdio", 'r');
	expect_fd(master, "ready\r\n");
	send_text(master, "\x03");
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
}

END_TEST

START_TEST(stdio_background_job_leaves_the_terminal_alone_until_fg)
{
	int status = 0;
	pid_t shell;

	open_line();
	shell = fork();
	if (shell == 0) {
		pid_t job;

		close(master);
		if (login_tty(slave_fd) < 0)
			_exit(3);
		job = fork();
		if (job == 0) {
			setpgid(0, 0);
			echo_main("stdio", 'r');
		}
		setpgid(job, job);
		usleep(200000);
		if (waitpid(job, &status, WNOHANG | WUNTRACED) != 0 ||
		    is_raw(STDIN_FILENO))
			_exit(1);
		/* fg */
		if (tcsetpgrp(STDIN_FILENO, job) < 0 || kill(job, SIGCONT) < 0)
			_exit(2);
		_exit(waitpid(job, &status, 0) != job || status != 0);
	}
	expect_fd(master, "ready\r\n");
	send_text(master, "at the shell\n"); /* echoed by the terminal */
	expect_fd(master, "at the shell\r\n");
	/* In the foreground it gets what waited, and all that follows. */
	expect_fd(master, "at the shell\r\n");
	ck_assert(is_raw(slave_fd));
	send_text(master, "q");
	expect_exit(shell, 0);
}

END_TEST

START_TEST(stdio_end_of_input_leaves_output_alive)
{
	int in[2], out[2];
	pid_t pid;

	ck_assert_int_eq(pipe(in), 0);
	ck_assert_int_eq(pipe(out), 0);
	pid = fork();
	if (pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		close(in[1]);
		loop = loop_create();
		echo_chr = make_short("stdio", "stdio");
		chr_attach(echo_chr, &echo_front, NULL, NULL);
		wait_for(echoed);
		run_for(100 * NS_PER_MS);
		chr_write(echo_chr, "late", 4);
		chr_remove_all();
		_exit(0);
	}
	close(out[1]);
	send_text(in[1], "x");
	close(in[1]);
	expect_fd(out[0], "xlate");
	expect_exit(pid, 0);
	ck_assert_int_eq(fcntl(out[0], F_GETFL) & O_NONBLOCK, 0);
}

END_TEST

START_TEST(stdio_has_one_user)
{
	struct err err = { 0 };

	make_short("a", "stdio");
	ck_assert_ptr_null(try_short("b", &err, "stdio"));
	ck_assert_str_eq(err.msg,
			 "cannot use stdio by multiple character devices");
	ck_assert_int_eq(chr_remove(chr_find("a"), NULL), 0);
	make_short("b", "stdio");
	ck_assert_int_eq(chr_remove(chr_find("b"), NULL), 0);
	chr_stdio_forbid("-daemonize");
	ck_assert_ptr_null(try_short("c", &err, "mon:stdio"));
	ck_assert_str_eq(err.msg, "cannot use stdio with -daemonize");
}

END_TEST

int main(void)
{
	Suite *s = suite_create("chardev/tty");
	TCase *t = tcase_create("tty");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 20);
	tcase_add_loop_test(t, tty_is_raw_while_open_and_restored_after, 0, 3);
	tcase_add_test(t, tty_takes_the_line_settings_of_the_uart);
	tcase_add_test(t,
		       tty_hangup_does_not_spin_and_the_line_is_opened_again);
	tcase_add_test(t, tty_that_is_no_terminal_just_discards);
	tcase_add_loop_test(
		t, stdio_terminal_is_raw_and_restored_on_every_way_out, 0, 2);
	tcase_add_loop_test(
		t, stdio_ctrl_c_is_input_with_signal_off_and_a_signal_without,
		0, 2);
	tcase_add_test(t,
		       stdio_background_job_leaves_the_terminal_alone_until_fg);
	tcase_add_test(t, stdio_end_of_input_leaves_output_alive);
	tcase_add_test(t, stdio_has_one_user);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
