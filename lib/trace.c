/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Trace points.
 *
 * Locking: trace_lock, a leaf, for the file; masks are atomic.
 */
#include "lib/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/lock.h"
#include "lib/log.h"
#include "lib/logfile.h"

#define TRACE_LINE_MAX 1024

_Atomic u32 trace_wanted;

static _Atomic u32 trace_mask;  /* points that are traced */
static _Atomic u32 trace_named; /* as well, as long as the log's items say */
static _Atomic u32 trace_items; /* items that the log shows */

static struct lock trace_lock = LOCK_INIT;
/* .fd -1: there is none. */
static struct logfile trace_file GUARDED_BY(trace_lock) = { .fd = -1 };
static char *trace_path GUARDED_BY(trace_lock);  /* owned; of that file */
static bool trace_to_log GUARDED_BY(trace_lock); /* all the same */

static const struct {
	const char *name;
	enum log_item item;
} trace_points[TRACE_COUNT + 1] = {

#define TRACE(id, name, item) { name, LOG_##item },
#include "lib/trace.def"
#undef TRACE
	{ NULL, 0 },
};

_Static_assert(TRACE_COUNT <= 32, "a bit per point");

const char *trace_name(int p)
{
	return trace_points[p].name;
}

bool trace_state(int p)
{
	return (atomic_load(&trace_mask) | atomic_load(&trace_named)) & 1u << p;
}

static void trace_out(const char *line, size_t len)
{
	bool done = false, full = false;

	lock_acquire(&trace_lock);
	if (trace_file.fd >= 0 && !trace_to_log) {
		full = !logfile_put(&trace_file, line, len);
		done = true;
	}
	lock_release(&trace_lock);
	if (full)
		log_warn("the trace file takes no more lines");
	if (!done)
		log_write(LOG_ITEM_COUNT, "%s", line);
}

void trace_write(enum trace_point p, const char *fmt, ...)
{
	char line[TRACE_LINE_MAX];
	int n = snprintf(line, sizeof line, "%s ", trace_points[p].name), m;
	va_list ap;

	va_start(ap, fmt);
	m = vsnprintf(line + n, sizeof line - n - 1, fmt, ap);
	va_end(ap);
	m = n + (int)MIN((size_t)MAX(m, 0), sizeof line - n - 2);
	line[m++] = '\n';
	line[m] = '\0';
	if (trace_state(p))
		trace_out(line, m);
	if (atomic_load(&trace_items) & 1u << trace_points[p].item)
		log_write(trace_points[p].item, "%s", line + n);
}

/* ---- which ---- */

static void trace_update(void)
{
	u32 wanted = atomic_load(&trace_mask) | atomic_load(&trace_named);

	for (int p = 0; p < TRACE_COUNT; p++)
		if (atomic_load(&trace_items) & 1u << trace_points[p].item)
			wanted |= 1u << p;
	atomic_store(&trace_wanted, wanted);
}

void trace_log_changed(u32 items)
{
	atomic_store(&trace_items, items);
	trace_update();
}

bool trace_matches(int p, const char *pattern)
{
	return !fnmatch(pattern, trace_points[p].name, 0);
}

static int trace_find(const char *pattern, u32 *bits)
{
	for (int p = 0; p < TRACE_COUNT; p++)
		if (trace_matches(p, pattern))
			*bits |= 1u << p;
	return *bits || strpbrk(pattern, "*?[") ? 0 : -ENOENT;
}

int trace_set(const char *pattern, bool on)
{
	u32 bits = 0;
	int r = trace_find(pattern, &bits);

	if (r < 0)
		return r;
	if (on) {
		atomic_fetch_or(&trace_mask, bits);
	} else {
		atomic_fetch_and(&trace_mask, ~bits);
		atomic_fetch_and(&trace_named, ~bits);
	}
	trace_update();
	return 0;
}

int trace_find_named(const char *pattern, size_t len, u32 *points)
{
	char word[64];
	u32 bits = 0;
	int r;

	if (len >= sizeof word)
		return -ENOENT;
	memcpy(word, pattern, len);
	word[len] = '\0';
	r = trace_find(word, &bits);
	*points |= bits;
	return r;
}

void trace_set_named(u32 points)
{
	atomic_store(&trace_named, points);
	trace_update();
}

/* ---- files ---- */

int trace_load(const char *path, struct err *err)
{
	FILE *f = fopen(path, "re");
	char line[256];

	if (!f)
		return err_errno(err, "Could not open '%s'", path);
	while (fgets(line, sizeof line, f)) {
		char *word = line + strspn(line, " \t");
		bool on = *word != '-';

		word += !on;
		word[strcspn(word, "# \t\r\n")] = '\0';
		if (*word && trace_set(word, on) < 0)
			log_warn("trace event '%s' does not exist", word);
	}
	fclose(f);
	return 0;
}

int trace_set_file(const char *path, struct err *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC,
		      0666);

	if (fd < 0)
		return err_errno(err, "Could not open '%s'", path);
	lock_acquire(&trace_lock);
	if (trace_file.fd >= 0)
		close(trace_file.fd);
	trace_file = (struct logfile){ .fd = fd };
	free(trace_path);
	trace_path = xstrdup(path);
	trace_to_log = false;
	lock_release(&trace_lock);
	return 0;
}

int trace_use_file(bool on)
{
	int r = 0;

	lock_acquire(&trace_lock);
	if (trace_file.fd < 0)
		r = -ENOENT;
	else
		trace_to_log = !on;
	lock_release(&trace_lock);
	return r;
}

void trace_say_file(struct buf *out)
{
	lock_acquire(&trace_lock);
	if (trace_path)
		buf_printf(out, "Trace file \"%s\" %s.\n", trace_path,
			   trace_to_log ? "off" : "on");
	else
		buf_puts(out, "Traces go to the log.\n");
	if (trace_file.lost)
		buf_printf(out, "%llu lines lost: %s\n",
			   (unsigned long long)trace_file.lost,
			   strerror(trace_file.why));
	lock_release(&trace_lock);
}

void trace_list(struct buf *out)
{
	for (int p = 0; p < TRACE_COUNT; p++)
		buf_printf(out, "%s\n", trace_points[p].name);
}
