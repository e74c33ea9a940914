/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Chardev core: creation, registry, logging, and the simple back ends.
 */
#include <signal.h>

#include "tests/unit/chardev_helper.h"

#include <sys/stat.h>

#include "lib/thread.h"

static char *slurp(const char *name)
{
	struct buf out = { 0 };
	char path[128], data[256];
	int fd;
	ssize_t n;

	snprintf(path, sizeof(path), "%.60s/%s", dir, name);
	fd = open(path, O_RDONLY);
	while (fd >= 0 && (n = read(fd, data, sizeof(data))) > 0)
		buf_append(&out, data, n);
	close(fd);
	return buf_steal(&out);
}

static struct chardev *make_opts(const char *fmt, ...) PRINTF_LIKE(1, 2);

static struct chardev *make_opts(const char *fmt, ...)
{
	struct err err = { 0 };
	struct chardev *chr;
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	chr = try_opts(text, &err);
	ck_assert_msg(chr != NULL, "%s: %s", text, err.msg);
	return chr;
}

START_TEST(chr_null_pointer_discards_everywhere)
{
	struct chr_line line = { 9600, 8, 1, 'N' };

	ck_assert_uint_eq(chr_write(NULL, "abc", 3), 3);
	ck_assert_uint_eq(chr_queued(NULL), 0);
	ck_assert_int_eq(chr_attach(NULL, &front_ops, &front, NULL), 0);
	chr_accept_input(NULL);
	chr_set_line(NULL, &line);
	chr_send_break(NULL);
	chr_detach(NULL, &front);
	ck_assert(!chr_open(NULL) && !chr_attached(NULL) && !chr_is_mux(NULL));
}

END_TEST

START_TEST(chr_registry_keeps_creation_order)
{
	struct chardev *a = make_opts("null,id=a"), *b = make_opts("null,id=b");
	struct err err = { 0 };

	ck_assert_ptr_eq(chr_next(NULL), a);
	ck_assert_ptr_eq(chr_next(a), b);
	ck_assert_ptr_null(chr_next(b));
	ck_assert_ptr_eq(chr_find("b"), b);
	ck_assert_str_eq(chr_label(b), "b");
	ck_assert_ptr_eq(make_short("unused", "chardev:a"), a);
	ck_assert_ptr_null(try_opts("null,id=a", &err));
	ck_assert_str_eq(err.msg, "Duplicate ID 'a' for chardev");
	ck_assert_int_eq(chr_remove(a, &err), 0);
	ck_assert_ptr_null(chr_find("a"));
}

END_TEST

START_TEST(chr_has_one_front_end_and_is_busy_meanwhile)
{
	struct chardev *chr = make_opts("null,id=a");
	struct front other = { 0 };
	struct err err = { 0 };

	front_attach(&front, chr);
	ck_assert_int_eq(chr_attach(chr, &front_ops, &other, &err), -EBUSY);
	ck_assert_str_eq(err.msg, "Device 'a' is in use");
	ck_assert_int_eq(chr_remove(chr, &err), -EBUSY);
	ck_assert_str_eq(err.msg, "Chardev 'a' is busy");
	chr_detach(chr, &other); /* not its own: nothing happens */
	ck_assert(chr_attached(chr));
	chr_inject_break(chr);
	ck_assert_str_eq(buf_str(&front.events), "B");
}

END_TEST

static struct chardev *changed_to;

static void changed(void *opaque, struct chardev *chr)
{
	changed_to = chr;
}

static int change(struct chardev *chr, const char *text, struct err *err)
{
	struct opts o;
	int r = opts_parse(&o, text, "backend", err);

	if (r == 0)
		r = chr_change(chr, &o, err);
	opts_fini(&o);
	return r;
}

START_TEST(chr_back_end_changes_under_its_front_end)
{
	struct chardev *a = make_opts("null,id=a"), *b, *c;
	struct chr_front ops = front_ops;
	struct err err = { 0 };
	u64 first, login;

	b = make_opts("ringbuf,id=b,size=16");
	c = make_opts("null,id=c");
	front_attach(&front, b);
	ck_assert_int_lt(change(b, "null", &err), 0);
	ck_assert_ptr_eq(chr_find("b"), b);
	chr_detach(b, &front);
	front.chr = NULL;
	ops.change = changed;
	ck_assert_int_eq(chr_attach(b, &ops, &front, &err), 0);
	ck_assert_int_lt(change(b, "file,path=/nonexistent/x", &err), 0);
	ck_assert_ptr_null(changed_to);
	ck_assert_ptr_eq(chr_next(a), b);
	ck_assert_uint_eq(chr_write(b, "x login: ", 9), 9);
	ck_assert_int_eq(change(b, "ringbuf,size=32", &err), 0);
	ck_assert_ptr_nonnull(changed_to);
	ck_assert_ptr_eq(chr_find("b"), changed_to);
	ck_assert_ptr_eq(chr_next(a), changed_to);
	ck_assert_ptr_eq(chr_next(changed_to), c);
	ck_assert(chr_attached(changed_to));
	chr_times(changed_to, &first, &login);
	ck_assert(first && login >= first);
	ck_assert_int_eq(chr_remove(changed_to, &err), -EBUSY);
	chr_detach(changed_to, &front);
	/* Without a front end, too. */
	ck_assert_int_eq(change(changed_to, "null", &err), 0);
	ck_assert_int_eq(chr_remove(chr_find("b"), &err), 0);
}

END_TEST

static const struct {
	const char *text, *message;
} opts_mistakes[] = {
	{ "pty", "chardev: no id specified" },
	{ "bogus,id=x", "'bogus' is not a valid char driver name" },
	{ "id=x", "'' is not a valid char driver name" },
	{ "null,id=1x", "Parameter 'id' expects an identifier: letters, "
			"digits, '-', '.', '_', starting with a letter" },
	{ "null,id=", "Parameter 'id' expects an identifier: letters, "
		      "digits, '-', '.', '_', starting with a letter" },
	{ "pty,id=x,bogus=1", "Invalid parameter 'bogus'; accepted: path, "
			      "mode, group, "
			      "mux, logfile, logappend, logmax" },
	{ "file,id=x", "chardev: file: no filename given" },
	{ "file,id=x,path=/nonexistent/x",
	  "Could not open '/nonexistent/x': No such file or directory" },
	{ "null,id=x,logfile=/nonexistent/x",
	  "Could not open '/nonexistent/x': No such file or directory" },
	{ "ringbuf,id=x,size=100",
	  "size of ringbuf chardev must be power of two" },
	{ "null,id=x,mux=perhaps",
	  "'perhaps' is not valid for 'mux'; accepted: on, off" },
};

START_TEST(chr_option_mistakes_are_named)
{
	struct err err = { 0 };

	ck_assert_ptr_null(try_opts(opts_mistakes[_i].text, &err));
	ck_assert_str_eq(err.msg, opts_mistakes[_i].message);
	ck_assert_ptr_null(chr_next(NULL));
}

END_TEST

static const struct {
	const char *text, *message;
} short_mistakes[] = {
	{ "bogus", "'bogus' is not a valid char driver" },
	{ "", "'' is not a valid char driver" },
	{ "mon:bogus", "'bogus' is not a valid char driver" },
	{ "fdset:1",
	  "parse error: fdset:1: 'fdset' is not a valid char driver" },
	{ "vc:80", "parse error: vc:80" },
	{ "/dev/nosuch",
	  "Could not open '/dev/nosuch': No such file or directory" },
	{ "pipe:/tmp/no/pipe",
	  "Could not open '/tmp/no/pipe': No such file or directory" },
	{ "chardev:nosuch", "chardev \"nosuch\" not found" },
};

START_TEST(chr_short_form_mistakes_are_named)
{
	struct err err = { 0 };

	ck_assert_ptr_null(try_short("x", &err, "%s", short_mistakes[_i].text));
	ck_assert_str_eq(err.msg, short_mistakes[_i].message);
	ck_assert_ptr_null(chr_next(NULL));
}

END_TEST

START_TEST(chr_short_forms_without_a_peer_discard)
{
	static const char *const forms[] = { "null", "vc", "vc:800x600",
					     "vc:80Cx24C", "vc:80Cx24" };

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		struct chardev *chr = make_short("x", "%s", forms[i]);

		ck_assert_uint_eq(chr_write(chr, "abc", 3), 3);
		ck_assert_uint_eq(chr_queued(chr), 0);
		ck_assert_int_eq(chr_remove(chr, NULL), 0);
	}
}

END_TEST

START_TEST(chr_every_backend_describes_itself)
{
	for (int i = 0; chardev_classes[i]; i++) {
		const struct chardev_class *c = chardev_classes[i];
		const struct option_row *row = c->options;

		ck_assert(c->name && c->desc && c->write && c->size);
		for (; row && row->name; row++)
			ck_assert_msg(row->help && *row->help, "%s.%s", c->name,
				      row->name);
	}
}

END_TEST

START_TEST(file_truncates_or_appends)
{
	struct chardev *chr = make_short("f", "file:%s/a,b", dir);
	char *text;

	chr_write(chr, "one", 3);
	ck_assert_int_eq(chr_remove(chr, NULL), 0);
	chr = make_opts("file,id=f,path=%s/a,,b,append=on", dir);
	chr_write(chr, "two", 3);
	ck_assert_int_eq(chr_remove(chr, NULL), 0);
	text = slurp("a,b");
	ck_assert_str_eq(text, "onetwo");
	free(text);
	chr = make_short("f", "file:%s/a,b", dir);
	text = slurp("a,b");
	ck_assert_str_eq(text, "");
	free(text);
}

END_TEST

START_TEST(chr_logfile_gets_a_copy_of_the_output)
{
	struct chardev *chr = make_opts("null,id=a,logfile=%s/log", dir);
	char *text;

	chr_write(chr, "one\x1b[K", 6);
	chr_remove(chr, NULL);
	chr = make_opts("null,id=a,logfile=%s/log,logappend=on", dir);
	chr_write(chr, "two", 3);
	text = slurp("log");
	ck_assert_str_eq(text, "one\x1b[Ktwo");
	free(text);
}

END_TEST

START_TEST(pipe_pair_survives_writers_that_come_and_go)
{
	char in[128], out[128];
	struct chardev *chr;
	int w, r;

	snprintf(in, sizeof(in), "%.60s/p.in", dir);
	snprintf(out, sizeof(out), "%.60s/p.out", dir);
	ck_assert_int_eq(mkfifo(in, 0600), 0);
	ck_assert_int_eq(mkfifo(out, 0600), 0);
	chr = make_short("p", "pipe:%s/p", dir);
	front_attach(&front, chr);
	chr_write(chr, "early", 5);
	r = open(out, O_RDONLY);
	expect_fd(r, "early");
	for (int i = 0; i < 5; i++) {
		w = open(in, O_WRONLY);
		send_text(w, "cmd\n");
		close(w);
		wait_for(front.in.len == 4u * (i + 1));
	}
	close(r);
	ck_assert_str_eq(buf_str(&front.events), "O");
}

END_TEST

START_TEST(pipe_nobody_reads_costs_bounded_memory)
{
	static char block[3 * MIB];
	char path[128];
	struct chardev *chr;
	size_t taken;

	snprintf(path, sizeof(path), "%.60s/p.in", dir);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	snprintf(path, sizeof(path), "%.60s/p.out", dir);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	chr = make_short("p", "pipe:%s/p", dir);
	taken = chr_write(chr, block, sizeof(block));
	ck_assert_uint_ge(taken, MIB);
	ck_assert_uint_lt(taken, 2 * MIB);
}

END_TEST

START_TEST(ringbuf_keeps_the_newest_bytes)
{
	struct chardev *chr = make_opts("ringbuf,id=r,size=8");
	u8 data[16];

	chr_write(chr, "abcdefghijk", 11);
	ck_assert_int_eq(chr_ring_write(chr, (const u8 *)"l", 1), 1);
	ck_assert_int_eq(chr_ring_read(chr, data, 3), 3);
	ck_assert_mem_eq(data, "efg", 3);
	ck_assert_int_eq(chr_ring_read(chr, data, sizeof(data)), 5);
	ck_assert_mem_eq(data, "hijkl", 5);
	ck_assert_int_eq(chr_ring_read(chr, data, sizeof(data)), 0);
	ck_assert_int_eq(chr_ring_read(make_opts("null,id=n"), data, 1),
			 -EINVAL);
}

END_TEST

/* -------------------------------------------------------- other threads */

#define WRITERS 4
#define LINES   2000

static struct chardev *target;

static void write_lines(void *arg)
{
	char line[16];

	for (int i = 0; i < LINES; i++) {
		size_t at = 0;

		snprintf(line, sizeof(line), "%c%06d\n", *(char *)arg, i);
		while (at < 8) /* the queue may be full for a moment */
			at += chr_write(target, line + at, 8 - at);
	}
}

START_TEST(chr_write_works_from_any_thread)
{
	struct thread threads[WRITERS] = { 0 };
	static char names[WRITERS] = { 'a', 'b', 'c', 'd' };
	int next[WRITERS] = { 0 };
	struct buf got = { 0 };
	int fd;

	target = make_short("s", "unix:%s/sock,server,nowait", dir);
	front_attach(&front, target);
	fd = unix_connect("sock");
	wait_for(chr_open(target));
	for (int i = 0; i < WRITERS; i++)
		ck_assert_int_eq(thread_start(&threads[i], "writer",
					      write_lines, &names[i], NULL),
				 0);
	ck_assert(read_more(fd, &got, WRITERS * LINES * 8));
	for (int i = 0; i < WRITERS; i++)
		thread_join(&threads[i]);
	for (size_t at = 0; at < got.len; at += 8) {
		int who = got.data[at] - 'a';

		ck_assert(who >= 0 && who < WRITERS);
		ck_assert_int_eq(atoi(got.data + at + 1), next[who]++);
	}
	buf_fini(&got);
	close(fd);
}

END_TEST

START_TEST(chr_removed_with_a_flush_under_way_is_not_touched)
{
	static char block[600 * 1024];
	struct chardev *chr =
		make_short("s", "unix:%s/sock,server,nowait", dir);
	int fd = unix_connect("sock");

	front_attach(&front, chr);
	wait_for(chr_open(chr));
	chr_write(chr, block, sizeof(block)); /* posts to the loop */
	chr_detach(chr, &front);
	front.chr = NULL;
	ck_assert_int_eq(chr_remove(chr, NULL), 0);
	loop_once(loop, 0);
	loop_once(loop, 0);
	close(fd);
}

END_TEST

int main(void)
{
	Suite *s = suite_create("chardev/chardev");
	TCase *t = tcase_create("chardev");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 20);
	tcase_add_test(t, chr_null_pointer_discards_everywhere);
	tcase_add_test(t, chr_registry_keeps_creation_order);
	tcase_add_test(t, chr_has_one_front_end_and_is_busy_meanwhile);
	tcase_add_test(t, chr_back_end_changes_under_its_front_end);
	tcase_add_loop_test(t, chr_option_mistakes_are_named, 0,
			    ARRAY_SIZE(opts_mistakes));
	tcase_add_loop_test(t, chr_short_form_mistakes_are_named, 0,
			    ARRAY_SIZE(short_mistakes));
	tcase_add_test(t, chr_short_forms_without_a_peer_discard);
	tcase_add_test(t, chr_every_backend_describes_itself);
	tcase_add_test(t, file_truncates_or_appends);
	tcase_add_test(t, chr_logfile_gets_a_copy_of_the_output);
	tcase_add_test(t, pipe_pair_survives_writers_that_come_and_go);
	tcase_add_test(t, pipe_nobody_reads_costs_bounded_memory);
	tcase_add_test(t, ringbuf_keeps_the_newest_bytes);
	tcase_add_test(t, chr_write_works_from_any_thread);
	tcase_add_test(t, chr_removed_with_a_flush_under_way_is_not_touched);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
