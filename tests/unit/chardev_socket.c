/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Socket back end: real Unix and TCP sockets.
 */
#include <signal.h>

#include "tests/unit/chardev_helper.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

static struct chardev *serve(void)
{
	struct chardev *chr =
		make_short("s", "unix:%s/sock,server=on,wait=off", dir);

	front_attach(&front, chr);
	return chr;
}

START_TEST(socket_server_talks_both_ways_and_reports_the_peer)
{
	struct chardev *chr = serve();
	char *name = filename_of(chr), want[128];
	int fd;

	snprintf(want, sizeof(want), "disconnected:unix:%s/sock,server=on",
		 dir);
	ck_assert_str_eq(name, want);
	free(name);
	ck_assert(!chr_open(chr));
	ck_assert_uint_eq(chr_write(chr, "nobody", 6), 6); /* discarded */
	fd = unix_connect("sock");
	wait_for(chr_open(chr));
	name = filename_of(chr);
	ck_assert_str_eq(name, want + strlen("disconnected:"));
	free(name);
	ck_assert_uint_eq(chr_write(chr, "hello", 5), 5);
	expect_fd(fd, "hello");
	send_text(fd, "info");
	wait_for(front.in.len == 4);
	close(fd);
	wait_for(!chr_open(chr));
	ck_assert_str_eq(buf_str(&front.events), "OC");
}

END_TEST

START_TEST(socket_old_flags_server_and_nowait_are_understood)
{
	struct chardev *chr =
		make_short("s", "unix:%s/sock,server,nowait", dir);
	int fd;

	front_attach(&front, chr);
	fd = unix_connect("sock");
	wait_for(chr_open(chr));
	close(fd);
}

END_TEST

/* A child that waits for its first client; the signal is blocked there, as
 * the program does it for its signalfd. */
static pid_t start_waiting(void)
{
	struct err err = { 0 };
	sigset_t set;
	pid_t pid;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	pid = fork();
	if (pid)
		return pid;
	if (try_short("s", &err, "unix:%s/sock,server=on", dir))
		_exit(0);
	_exit(strcmp(err.msg, "no client for 's': Interrupted system call")
		      ? 2
		      : 1);
}

START_TEST(socket_server_waits_for_its_first_client_or_a_signal)
{
	int status = -1, fd;
	pid_t pid = start_waiting();

	usleep(100000);
	ck_assert_int_eq(waitpid(pid, &status, WNOHANG), 0);
	while ((fd = try_connect("sock")) < 0)
		usleep(1000);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	close(fd);

	pid = start_waiting();
	usleep(100000);
	kill(pid, SIGTERM);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 1);
}

END_TEST

START_TEST(socket_client_may_come_again_any_number_of_times)
{
	struct chardev *chr = serve();

	for (int i = 0; i < 20; i++) {
		int fd = unix_connect("sock");

		wait_for(chr_open(chr));
		buf_clear(&front.in);
		send_text(fd, "x");
		wait_for(front.in.len == 1);
		close(fd);
		if (i % 2) /* every other one comes before we noticed */
			wait_for(!chr_open(chr));
		else
			loop_once(loop, 0);
	}
}

END_TEST

START_TEST(socket_second_client_is_told_and_closed)
{
	struct chardev *chr = serve();
	int a = unix_connect("sock"), b;

	wait_for(chr_open(chr));
	b = unix_connect("sock");
	send_text(b, "quit\n");
	expect_fd(b, "'s' is in use by another client\r\n");
	ck_assert(fd_at_end(b));
	ck_assert_uint_eq(front.in.len, 0);
	chr_write(chr, "still", 5);
	expect_fd(a, "still");
	close(a);
	close(b);
}

END_TEST

START_TEST(socket_client_right_behind_a_leaving_one_gets_in)
{
	struct chardev *chr = serve();
	int a = unix_connect("sock"), b;

	wait_for(chr_open(chr));
	send_text(a, "last words");
	close(a);
	b = unix_connect("sock");
	wait_for(!strcmp(buf_str(&front.events), "OCO"));
	ck_assert_str_eq(buf_str(&front.in), "last words");
	chr_write(chr, "new", 3);
	expect_fd(b, "new");
	close(b);
}

END_TEST

START_TEST(socket_command_of_a_client_that_closes_at_once_arrives)
{
	struct chardev *chr = serve();
	int fd = unix_connect("sock");

	send_text(fd, "system_reset\n");
	close(fd);
	/* The banner of a monitor meets a closed socket first. */
	wait_for(front.events.len);
	chr_write(chr, "banner", 6);
	wait_for(front.events.len == 2);
	ck_assert_str_eq(buf_str(&front.in), "system_reset\n");
	ck_assert_str_eq(buf_str(&front.events), "OC");
}

END_TEST

START_TEST(socket_half_closing_client_gets_the_whole_answer)
{
	struct chardev *chr = serve();
	size_t size = 700000, sent;
	char *data = calloc(1, size);
	struct buf got = { 0 };
	int fd = unix_connect("sock");

	send_text(fd, "cmd");
	shutdown(fd, SHUT_WR);
	wait_for(chr_open(chr));
	/* Far more than the socket buffers hold. */
	sent = chr_write(chr, data, size);
	ck_assert_uint_eq(sent, size);
	ck_assert(read_more(fd, &got, size));
	ck_assert_str_eq(buf_str(&front.in), "cmd");
	ck_assert(fd_at_end(fd));
	wait_for(!chr_open(chr));
	buf_fini(&got);
	free(data);
	close(fd);
}

END_TEST

START_TEST(socket_peer_that_never_reads_costs_bounded_memory_and_no_time)
{
	struct chardev *chr = serve();
	static char block[64 * 1024];
	struct buf got = { 0 };
	size_t taken = 0, n;
	struct rusage before, after;
	int fd = unix_connect("sock");

	wait_for(chr_open(chr));
	for (int i = 0; i < 100; i++) {
		n = chr_write(chr, block, sizeof(block));
		taken += n;
	}
	ck_assert_uint_lt(n, sizeof(block));
	ck_assert_uint_le(chr_queued(chr), MIB);
	ck_assert_uint_ge(chr_queued(chr), MIB - sizeof(block));
	ck_assert_uint_lt(taken, 3 * MIB);

	/* The waiting loop sleeps. */
	getrusage(RUSAGE_SELF, &before);
	run_for(200 * NS_PER_MS);
	getrusage(RUSAGE_SELF, &after);
	ck_assert_int_lt(after.ru_utime.tv_usec + after.ru_stime.tv_usec -
				 before.ru_utime.tv_usec -
				 before.ru_stime.tv_usec +
				 1000000 * (after.ru_utime.tv_sec +
					    after.ru_stime.tv_sec -
					    before.ru_utime.tv_sec -
					    before.ru_stime.tv_sec),
			 100000);
	ck_assert_str_eq(buf_str(&front.events), "O");

	/* Once it reads, everything taken arrives and we hear of room. */
	ck_assert(read_more(fd, &got, taken));
	wait_for(strchr(buf_str(&front.events), 'W'));
	ck_assert_uint_eq(chr_queued(chr), 0);
	buf_fini(&got);
	close(fd);
}

END_TEST

START_TEST(socket_queue_of_a_dead_peer_does_not_reach_the_next)
{
	struct chardev *chr = serve();
	static char block[900 * 1024];
	int fd = unix_connect("sock");

	wait_for(chr_open(chr));
	memset(block, 'x', sizeof(block));
	chr_write(chr, block, sizeof(block));
	loop_once(loop, 0);
	close(fd);
	wait_for(!chr_open(chr));
	fd = unix_connect("sock");
	wait_for(chr_open(chr));
	chr_write(chr, "fresh", 5);
	expect_fd(fd, "fresh");
	close(fd);
}

END_TEST

static int ticks;

static void tick(void *arg)
{
	ticks++;
	timer_set(arg, clock_mono_ns() + NS_PER_MS);
}

static u64 thread_cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

START_TEST(socket_flooding_peer_leaves_time_for_others)
{
	struct chardev *chr = serve();
	static char block[64 * 1024];
	struct timer t;
	u64 longest = 0, end = clock_mono_ns() + WAIT_NS;
	int fd = unix_connect("sock");

	wait_for(chr_open(chr));
	fcntl(fd, F_SETFL, O_NONBLOCK);
	timer_init(&t, loop, tick, &t);
	tick(&t);
	while (ticks < 50 && clock_mono_ns() < end) {
		u64 start;

		while (write(fd, block, sizeof(block)) > 0)
			;
		start = thread_cpu_ns();
		loop_once(loop, 0);
		longest = MAX(longest, thread_cpu_ns() - start);
		ck_assert_uint_le(front.in.len, 64 * KIB);
		buf_clear(&front.in);
	}
	timer_cancel(&t);
	ck_assert_int_eq(ticks, 50);
	ck_assert_uint_lt(longest, 100 * NS_PER_MS);
	close(fd);
}

END_TEST

START_TEST(socket_input_waits_until_the_front_end_takes_it)
{
	struct chardev *chr = serve();
	int fd = unix_connect("sock");

	wait_for(chr_open(chr));
	front.budget = 3;
	chr_accept_input(chr);
	send_text(fd, "abcdefgh");
	run_for(10 * NS_PER_MS);
	ck_assert_str_eq(buf_str(&front.in), "abc");
	front.budget = 2;
	run_for(10 * NS_PER_MS);
	ck_assert_str_eq(buf_str(&front.in), "abc");
	chr_accept_input(chr);
	wait_for(front.in.len == 5);
	close(fd);
	run_for(10 * NS_PER_MS);
	ck_assert(chr_open(chr)); /* its last bytes are still to come */
	front.budget = 100;
	chr_accept_input(chr);
	wait_for(!chr_open(chr));
	ck_assert_str_eq(buf_str(&front.in), "abcdefgh");
}

END_TEST

START_TEST(socket_file_of_an_earlier_run_is_replaced_and_ours_removed)
{
	char path[128];
	int fd;

	serve();
	chr_detach(front.chr, &front);
	/* A crash leaves the file behind: bind it again beside it. */
	snprintf(path, sizeof(path), "%s/stale", dir);
	{
		struct sockaddr_un un = { .sun_family = AF_UNIX };

		snprintf(un.sun_path, sizeof(un.sun_path), "%.60s/stale", dir);
		fd = socket(AF_UNIX, SOCK_STREAM, 0);
		ck_assert_int_eq(bind(fd, (struct sockaddr *)&un, sizeof(un)),
				 0);
		close(fd);
	}
	front_attach(&front, make_short("t",
					"unix:%s/stale,server=on,"
					"wait=off",
					dir));
	fd = unix_connect("stale");
	wait_for(chr_open(front.chr));
	close(fd);
	chr_detach(front.chr, &front);
	ck_assert_int_eq(chr_remove(front.chr, NULL), 0);
	front.chr = NULL;
	ck_assert_int_eq(access(path, F_OK), -1);
}

END_TEST

START_TEST(socket_never_removes_a_file_that_is_no_socket)
{
	struct err err = { 0 };
	char path[128], want[256];
	int fd;

	snprintf(path, sizeof(path), "%s/data", dir);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	close(fd);
	ck_assert_ptr_null(try_short("s", &err, "unix:%s,server,nowait", path));
	snprintf(want, sizeof(want),
		 "Failed to bind socket to %s: Address already in use", path);
	ck_assert_str_eq(err.msg, want);
	ck_assert_int_eq(access(path, F_OK), 0);
}

END_TEST

static u16 tcp_port(struct chardev *chr)
{
	char *name = filename_of(chr);
	const char *p = strstr(name, "127.0.0.1:");
	u16 port;

	ck_assert_msg(p != NULL, "%s", name);
	port = atoi(p + 10);
	free(name);
	return port;
}

static int tcp_connect(u16 port)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_port = htons(port),
				  .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_eq(connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	return fd;
}

START_TEST(socket_tcp_client_and_server_of_ours_meet)
{
	struct chardev *server =
		make_short("s", "tcp:127.0.0.1:0,server=on,wait=off");
	struct chardev *client;
	struct front other = { 0 };
	char *name;

	front_attach(&front, server);
	client = make_short("c", "tcp:127.0.0.1:%u,nodelay", tcp_port(server));
	front_attach(&other, client);
	wait_for(chr_open(server) && chr_open(client));
	chr_write(client, "ping", 4);
	wait_for(front.in.len == 4);
	chr_write(server, "pong!", 5);
	wait_for(other.in.len == 5);
	name = filename_of(server);
	ck_assert_ptr_nonnull(strstr(name, ",server=on <-> 127.0.0.1:"));
	free(name);
	chr_detach(client, &other);
	ck_assert_int_eq(chr_remove(client, NULL), 0);
	wait_for(!chr_open(server));
	front_fini(&other);
}

END_TEST

START_TEST(socket_client_reconnects_when_the_server_comes_back)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct chardev *chr;
	int listener, fd;

	/* No server yet: starts all the same. */
	chr = make_short("c", "unix:%s/far,reconnect-ms=20", dir);
	front_attach(&front, chr);
	run_for(50 * NS_PER_MS);
	ck_assert(!chr_open(chr));
	snprintf(un.sun_path, sizeof(un.sun_path), "%.60s/far", dir);
	listener = socket(AF_UNIX, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&un, sizeof(un)), 0);
	listen(listener, 1);
	for (int i = 0; i < 3; i++) {
		wait_for(chr_open(chr));
		fd = accept(listener, NULL, NULL);
		chr_write(chr, "hi", 2);
		expect_fd(fd, "hi");
		close(fd);
		wait_for(!chr_open(chr));
	}
	ck_assert_str_eq(buf_str(&front.events), "OCOCOC");
	close(listener);
}

END_TEST

static const u8 hello[] = {
	255, 251, 1, 255, 251, 3, 255, 251, 0, 255, 253, 0
};

START_TEST(socket_telnet_negotiates_strips_and_doubles)
{
	struct chardev *chr =
		make_short("t", "telnet:127.0.0.1:0,server,nowait");
	/* WILL TTYPE, AYT, text with IAC IAC, BRK, NAWS, CR NUL */
	static const u8 input[] = { 255, 251, 24,  'a', 255,  246, 255, 255,
				    'b', 255, 243, 255, 250,  31,  0,   255,
				    255, 255, 240, 'c', '\r', 0,   'd' };
	struct buf got = { 0 };
	int fd;

	front_attach(&front, chr);
	fd = tcp_connect(tcp_port(chr));
	ck_assert(read_more(fd, &got, sizeof(hello)));
	ck_assert_mem_eq(got.data, hello, sizeof(hello));
	/* Split at every byte. */
	for (size_t i = 0; i < sizeof(input); i++) {
		ck_assert_int_eq(write(fd, input + i, 1), 1);
		run_for(NS_PER_MS);
	}
	wait_for(front.in.len == 6);
	ck_assert_mem_eq(front.in.data,
			 "a\xff"
			 "bc\rd",
			 6);
	ck_assert_str_eq(buf_str(&front.events), "OB");
	buf_clear(&got);
	ck_assert(read_more(fd, &got, 6)); /* DO NAWS, DONT TTYPE */
	ck_assert_mem_eq(got.data, "\xff\xfd\x1f\xff\xfe\x18", 6);
	buf_clear(&got);
	chr_write(chr,
		  "x\xff\xff"
		  "y",
		  4);
	ck_assert(read_more(fd, &got, 6));
	ck_assert_mem_eq(got.data,
			 "x\xff\xff\xff\xff"
			 "y",
			 6);
	buf_fini(&got);
	close(fd);
}

END_TEST

START_TEST(socket_telnet_output_survives_full_buffers)
{
	struct chardev *chr =
		make_short("t", "telnet:127.0.0.1:0,server,nowait");
	static u8 block[512 * 1024];
	size_t want = 12 + 2 * 2 * sizeof(block), at = sizeof(hello);
	struct buf got = { 0 };
	int fd, small = 64 * 1024;
	bool pairs = true;

	front_attach(&front, chr);
	fd = tcp_connect(tcp_port(chr));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	wait_for(chr_open(chr));
	memset(block, 255, sizeof(block));
	ck_assert_uint_eq(chr_write(chr, block, sizeof(block)), sizeof(block));
	/* Requests in the middle, answered between whole pairs only. */
	send_text(fd, "\xff\xfd\x05");
	run_for(5 * NS_PER_MS);
	chr_write(chr, block, sizeof(block));
	ck_assert(read_more(fd, &got, want + 6));
	for (int replies = 0; at < got.len; at += 2) {
		const u8 *p = (const u8 *)got.data + at;

		if (p[0] == 255 && (p[1] == 252 || p[1] == 253) &&
		    p[2] == (p[1] == 252 ? 5 : 31) && replies++ < 2)
			at++;
		else
			pairs &= p[0] == 255 && p[1] == 255;
	}
	ck_assert(pairs);
	buf_fini(&got);
	close(fd);
}

END_TEST

static const struct {
	const char *text, *message;
} mistakes[] = {
	{ "unix:/nonexistent/x,server=on,wait=off",
	  "Failed to bind socket to /nonexistent/x: No such file or "
	  "directory" },
	{ "unix:/nonexistent/nobody.sock",
	  "Failed to connect to '/nonexistent/nobody.sock': No such file or "
	  "directory" },
	{ "tcp:127.0.0.1:1",
	  "Failed to connect to '127.0.0.1:1': Connection refused" },
	{ "tcp:foo", "parse error: tcp:foo: no port given" },
	{ "telnet:", "parse error: telnet:: no port given" },
	{ "tcp:[::1:5", "parse error: tcp:[::1:5: no port given" },
	{ "unix:/x,server=maybe",
	  "'maybe' is not valid for 'server'; accepted: on, off" },
	{ "tcp:localhost:1,server,reconnect=1",
	  "'reconnect' option is incompatible with socket in server listen "
	  "mode" },
	{ "socket", "chardev: socket: needs one of path, port and fd" },
	{ "socket,fd=0x7777", "'0x7777' is not an open socket" },
};

START_TEST(socket_mistakes_are_named)
{
	struct err err = { 0 };

	ck_assert_ptr_null(try_short("s", &err, "%s", mistakes[_i].text));
	ck_assert_str_eq(err.msg, mistakes[_i].message);
	ck_assert_ptr_null(chr_find("s"));
}

END_TEST

int main(void)
{
	Suite *s = suite_create("chardev/socket");
	TCase *t = tcase_create("socket");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 20);
	tcase_add_test(t, socket_server_talks_both_ways_and_reports_the_peer);
	tcase_add_test(t, socket_old_flags_server_and_nowait_are_understood);
	tcase_add_test(t, socket_server_waits_for_its_first_client_or_a_signal);
	tcase_add_test(t, socket_client_may_come_again_any_number_of_times);
	tcase_add_test(t, socket_second_client_is_told_and_closed);
	tcase_add_test(t, socket_client_right_behind_a_leaving_one_gets_in);
	tcase_add_test(t,
		       socket_command_of_a_client_that_closes_at_once_arrives);
	tcase_add_test(t, socket_half_closing_client_gets_the_whole_answer);
	tcase_add_test(
		t,
		socket_peer_that_never_reads_costs_bounded_memory_and_no_time);
	tcase_add_test(t, socket_queue_of_a_dead_peer_does_not_reach_the_next);
	tcase_add_test(t, socket_flooding_peer_leaves_time_for_others);
	tcase_add_test(t, socket_input_waits_until_the_front_end_takes_it);
	tcase_add_test(
		t, socket_file_of_an_earlier_run_is_replaced_and_ours_removed);
	tcase_add_test(t, socket_never_removes_a_file_that_is_no_socket);
	tcase_add_test(t, socket_tcp_client_and_server_of_ours_meet);
	tcase_add_test(t, socket_client_reconnects_when_the_server_comes_back);
	tcase_add_test(t, socket_telnet_negotiates_strips_and_doubles);
	tcase_add_test(t, socket_telnet_output_survives_full_buffers);
	tcase_add_loop_test(t, socket_mistakes_are_named, 0,
			    ARRAY_SIZE(mistakes));
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
