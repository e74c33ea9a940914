/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A front end that remembers what it saw, and ways to wait for it.
 */
#ifndef TESTS_UNIT_CHARDEV_HELPER_H
#define TESTS_UNIT_CHARDEV_HELPER_H

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "chardev/chardev.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/loop.h"

/* Only who waits for what never comes waits as long. */
#define WAIT_NS (15 * NS_PER_S)

struct front {
	struct chardev *chr;
	struct buf in;
	struct buf events; /* a letter each: O C B + - W */
	size_t budget;     /* bytes it still takes */
};

static struct loop *loop;
static struct front front;
static char dir[64];

static size_t front_can_read(void *opaque)
{
	return ((struct front *)opaque)->budget;
}

static void front_read(void *opaque, const u8 *data, size_t len)
{
	struct front *f = opaque;

	ck_assert_uint_le(len, f->budget);
	f->budget -= len;
	buf_append(&f->in, data, len);
}

static void front_event(void *opaque, enum chr_event event)
{
	struct front *f = opaque;

	buf_putc(&f->events, "OCB+-W"[event]);
}

static const struct chr_front front_ops = { front_can_read, front_read,
					    front_event };

static inline void front_attach(struct front *f, struct chardev *chr)
{
	struct err err = { 0 };

	f->chr = chr;
	f->budget = SIZE_MAX;
	ck_assert_msg(chr_attach(chr, &front_ops, f, &err) == 0, "%s", err.msg);
}

static inline void front_fini(struct front *f)
{
	buf_fini(&f->in);
	buf_fini(&f->events);
}

static inline void setup(void)
{
	signal(SIGPIPE, SIG_IGN);
	strcpy(dir, "/tmp/vmon-chr-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	loop = loop_create();
	ck_assert_ptr_nonnull(loop);
}

static inline void teardown(void)
{
	char command[128];

	chr_detach(front.chr, &front);
	chr_remove_all();
	loop_destroy(loop);
	front_fini(&front);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	ck_assert_int_eq(system(command), 0);
}

static inline struct chardev *try_short(const char *label, struct err *err,
					const char *fmt, ...) PRINTF_LIKE(3, 4);

static inline struct chardev *try_short(const char *label, struct err *err,
					const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return chr_create_short(loop, text, label, err);
}

#define make_short(label, ...)                                           \
	({                                                               \
		struct err e_ = { 0 };                                   \
		struct chardev *c_ = try_short(label, &e_, __VA_ARGS__); \
                                                                         \
		ck_assert_msg(c_ != NULL, "%s", e_.msg);                 \
		c_;                                                      \
	})

/* -chardev TEXT */
static inline struct chardev *try_opts(const char *text, struct err *err)
{
	struct chardev *chr = NULL;
	struct opts o;

	if (opts_parse(&o, text, "backend", err) == 0)
		chr = chr_create_opts(loop, &o, err);
	opts_fini(&o);
	return chr;
}

/* Runs the loop until `cond` holds; fails the test after WAIT_NS. */
#define wait_for(cond)                                                     \
	do {                                                               \
		u64 end_ = clock_mono_ns() + WAIT_NS;                      \
                                                                           \
		while (!(cond)) {                                          \
			ck_assert_msg(clock_mono_ns() < end_, "never: %s", \
				      #cond);                              \
			loop_once(loop, 10 * NS_PER_MS);                   \
		}                                                          \
	} while (0)

static inline void run_for(u64 ns)
{
	u64 end = clock_mono_ns() + ns;

	while (clock_mono_ns() < end)
		loop_once(loop, NS_PER_MS);
}

/* -1: nobody listens there. */
static inline int try_connect(const char *name)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(un.sun_path, sizeof(un.sun_path), "%.50s/%.40s", dir, name);
	if (connect(fd, (struct sockaddr *)&un, sizeof(un)) == 0)
		return fd;
	close(fd);
	return -1;
}

static inline int unix_connect(const char *name)
{
	int fd = try_connect(name);

	ck_assert_int_ge(fd, 0);
	return fd;
}

/* Runs the loop until `fd` has sent `len` bytes or ended; appends. */
static inline bool read_more(int fd, struct buf *out, size_t len)
{
	u64 end = clock_mono_ns() + WAIT_NS;
	char data[65536];
	ssize_t n;

	while (out->len < len && clock_mono_ns() < end) {
		loop_once(loop, 0);
		struct pollfd p = { .fd = fd, .events = POLLIN };

		if (poll(&p, 1, 1) <= 0)
			continue;
		n = read(fd, data, MIN(sizeof(data), len - out->len));
		if (n <= 0)
			return false;
		buf_append(out, data, n);
	}
	return out->len >= len;
}

/* What arrives at `fd` is exactly `text`. */
#define expect_fd(fd, text)                             \
	do {                                            \
		struct buf got_ = { 0 };                \
                                                        \
		read_more(fd, &got_, strlen(text));     \
		ck_assert_str_eq(buf_str(&got_), text); \
		buf_fini(&got_);                        \
	} while (0)

static inline bool fd_quiet(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	run_for(20 * NS_PER_MS);
	return poll(&p, 1, 0) == 0;
}

static inline bool fd_at_end(int fd)
{
	struct buf rest = { 0 };
	bool more = read_more(fd, &rest, 1);

	buf_fini(&rest);
	return !more;
}

static inline void send_text(int fd, const char *text)
{
	ck_assert_int_eq(write(fd, text, strlen(text)), strlen(text));
}

static inline char *filename_of(struct chardev *chr)
{
	struct buf name = { 0 };

	chr_filename(chr, &name);
	return buf_steal(&name);
}

#endif
