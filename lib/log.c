/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Log items and messages for the operator.
 *
 * Locking: log_lock, a leaf, keeps the file open while a line is written.
 */
#include "lib/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/lock.h"
#include "lib/logfile.h"
#include "lib/parse.h"
#include "lib/trace.h"

#define LOG_LINE_MAX         4096
#define LOG_GUEST_PER_SECOND 100
#define LOG_GUEST_MAX        512

_Atomic u32 log_mask;

static struct lock log_lock = LOCK_INIT;
static struct logfile log_file GUARDED_BY(log_lock) = { .fd = STDERR_FILENO };
static u64 log_guest_second GUARDED_BY(log_lock);
static u32 log_guest_count GUARDED_BY(log_lock);
static bool log_timestamp;
static const char *log_name;

static const struct {
	const char *name, *help;
} log_items[LOG_ITEM_COUNT] = {

#define LOG_ITEM(id, name, help) { name, help },
#include "lib/log.def"
#undef LOG_ITEM
};

static void log_out(struct logfile *f, const char *text, size_t len)
{
	if (!logfile_put(f, text, len) && f->fd != STDERR_FILENO)
		log_warn("the log file takes no more lines: %s",
			 strerror(f->why));
}

/* More than a line holds: blocks of code. */
PRINTF_LIKE(3, 0)

static void log_long(struct logfile *f, const char *prefix, const char *fmt,
		     va_list ap)
{
	struct buf text = { 0 };

	buf_puts(&text, prefix);
	buf_vprintf(&text, fmt, ap);
	if (text.data[text.len - 1] != '\n')
		buf_putc(&text, '\n');
	log_out(f, text.data, text.len);
	buf_fini(&text);
}

PRINTF_LIKE(3, 0)

static void log_line(struct logfile *f, const char *prefix, const char *fmt,
		     va_list ap)
{
	char line[LOG_LINE_MAX];
	size_t len;
	va_list again;
	int n;

	va_copy(again, ap);
	len = snprintf(line, sizeof(line), "%s", prefix);
	n = vsnprintf(line + len, sizeof(line) - len, fmt, ap);
	if (n >= 0 && len + n < sizeof(line) - 1) {
		len += n;
		if (len == 0 || line[len - 1] != '\n')
			line[len++] = '\n';
		log_out(f, line, len);
	} else if (n >= 0) {
		log_long(f, prefix, fmt, again);
	}
	va_end(again);
}

void log_write(enum log_item item, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	lock_acquire(&log_lock);
	log_line(&log_file, "", fmt, ap);
	lock_release(&log_lock);
	va_end(ap);
}

/* At most so many lines a second. */
static bool log_guest_may(void)
{
	u64 second = clock_mono_ns() / NS_PER_S;
	bool may;

	lock_acquire(&log_lock);
	if (second != log_guest_second) {
		log_guest_second = second;
		log_guest_count = 0;
	}
	may = log_guest_count++ < LOG_GUEST_PER_SECOND;
	lock_release(&log_lock);
	return may;
}

void log_guest(const char *who, const char *fmt, ...)
{
	char text[LOG_GUEST_MAX];
	va_list ap;

	if (likely(!trace_on(TRACE_GUEST_ERROR)) || !log_guest_may())
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	trace_write(TRACE_GUEST_ERROR, "%s: %s", who, text);
}

void log_set_prefix(bool timestamp, const char *name)
{
	log_timestamp = timestamp;
	log_name = name;
}

PRINTF_LIKE(2, 0)

static void log_message(const char *kind, const char *fmt, va_list ap)
{
	char prefix[256], when[24] = "", fraction[12] = "";
	struct timespec now;
	struct logfile to = { .fd = STDERR_FILENO };
	struct tm tm;

	if (log_timestamp && clock_gettime(CLOCK_REALTIME, &now) == 0 &&
	    gmtime_r(&now.tv_sec, &tm)) {
		strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &tm);
		snprintf(fraction, sizeof fraction, ".%06uZ ",
			 (unsigned)now.tv_nsec / 1000 % 1000000);
	}
	snprintf(prefix, sizeof prefix, "%s%s%.150s%svmon: %s", when, fraction,
		 log_name ? log_name : "", log_name ? " " : "", kind);
	log_line(&to, prefix, fmt, ap);
}

void log_warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_message("warning: ", fmt, ap);
	va_end(ap);
}

void log_info(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_message("", fmt, ap);
	va_end(ap);
}

static int log_item_by_name(const char *name, size_t len)
{
	for (int i = 0; i < LOG_ITEM_COUNT; i++)
		if (strlen(log_items[i].name) == len &&
		    !memcmp(log_items[i].name, name, len))
			return i;
	return -1;
}

int log_parse_items(const char *list, u32 *mask, struct err *err)
{
	static const char traces[] = "trace:";
	const size_t skip = strlen(traces);
	u32 bits = 0, points = 0;

	for (const char *p = list; *p;) {
		size_t len = strcspn(p, ",");
		int item = log_item_by_name(p, len);

		if (item >= 0)
			bits |= 1u << item;
		else if (len == 3 && !memcmp(p, "all", 3))
			bits = (1ull << LOG_ITEM_COUNT) - 1;
		else if (len == 4 && !memcmp(p, "none", 4))
			bits = points = 0;
		else if (len > skip && !memcmp(p, traces, skip) &&
			 !trace_find_named(p + skip, len - skip, &points))
			;
		else
			return err_set(err, -EINVAL, "unknown log item '%.*s'",
				       (int)len, p);
		p += len;
		p += *p == ',';
	}
	*mask = bits;
	trace_set_named(points);
	return 0;
}

void log_set_items(u32 mask)
{
	atomic_store_explicit(&log_mask, mask, memory_order_relaxed);
	trace_log_changed(mask);
}

/* ---- Addresses ---- */

#define LOG_RANGES_MAX 16

static struct {
	u64 first, last;
} log_ranges[LOG_RANGES_MAX];

static int log_nranges;

bool log_in_range(u64 addr)
{
	for (int n = 0; n < log_nranges; n++)
		if (addr >= log_ranges[n].first && addr <= log_ranges[n].last)
			return true;
	return !log_nranges;
}

/* FIRST..LAST, START+LENGTH, or LENGTH bytes up to START: START-LENGTH. */
static int log_parse_range(char *text, u64 *first, u64 *last)
{
	char *at = strpbrk(text, ".+-"), kind;
	u64 a, b;

	if (!at)
		return -EINVAL;
	kind = *at;
	*at++ = '\0';
	if (kind == '.' && *at++ != '.')
		return -EINVAL;
	if (parse_u64(text, &a) < 0 || parse_u64(at, &b) < 0)
		return -EINVAL;
	if (kind != '.' && !b)
		return -EINVAL;
	*first = kind == '-' ? a - (b - 1) : a;
	*last = kind == '.' ? b : kind == '-' ? a : a + (b - 1);
	return *first <= *last ? 0 : -EINVAL;
}

int log_set_filter(const char *ranges, struct err *err)
{
	char *text = xprintf("%s", ranges), *next, *at = text;
	int n = 0, r = 0;

	while (r == 0 && (next = strsep(&at, ","))) {
		if (n == LOG_RANGES_MAX)
			r = err_set(err, -E2BIG, "more than %d ranges",
				    LOG_RANGES_MAX);
		else if (log_parse_range(next, &log_ranges[n].first,
					 &log_ranges[n].last) < 0)
			r = err_set(err, -EINVAL, "bad range in '%s'", ranges);
		n++;
	}
	log_nranges = r == 0 ? n : 0;
	free(text);
	return r;
}

int log_set_file(const char *path, struct err *err)
{
	const char *pid = path ? strstr(path, "%d") : NULL;
	int fd = STDERR_FILENO, old, r = 0;
	char *name = NULL;

	if (pid)
		name = xprintf("%.*s%d%s", (int)(pid - path), path, getpid(),
			       pid + 2);
	if (path) {
		fd = open(name ? name : path,
			  O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC,
			  0644);
		if (fd < 0)
			r = err_errno(err, "cannot open log file '%s'", path);
	}
	free(name);
	if (r < 0)
		return r;
	lock_acquire(&log_lock);
	old = log_file.fd;
	log_file = (struct logfile){ .fd = fd };
	lock_release(&log_lock);
	if (old != STDERR_FILENO)
		close(old);
	return 0;
}

bool log_keep_messages(void)
{
	bool keep;

	lock_acquire(&log_lock);
	keep = log_file.fd != STDERR_FILENO &&
	       dup2(log_file.fd, STDERR_FILENO) >= 0;
	lock_release(&log_lock);
	return keep;
}

const char *log_item_name(int n)
{
	return n < LOG_ITEM_COUNT ? log_items[n].name : NULL;
}

void log_list_items(struct buf *out)
{
	buf_puts(out, "Log items (comma separated):\n");
	buf_printf(out, "%-15s %s\n", "none", "remove all logs");
	for (int i = 0; i < LOG_ITEM_COUNT; i++)
		buf_printf(out, "%-15s %s\n", log_items[i].name,
			   log_items[i].help);
}
