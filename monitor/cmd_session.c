/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Commands on sessions: what this one shows and understands, who else is
 * there, and running commands again or from a file.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/parse.h"
#include "monitor/internal.h"
#include "monitor/qmp.h"
#include "monitor/script.h"

static int set_flag(struct monitor *mon, void *field, const char *value,
		    struct err *err)
{
	bool on = !value || !strcmp(value, "on");

	if (!on && strcmp(value, "off"))
		return err_set(err, -EINVAL, "expected 'on' or 'off', not '%s'",
			       value);
	*(bool *)field = on;
	return 0;
}

static void show_flag(const struct monitor *mon, const void *field,
		      struct buf *out)
{
	buf_puts(out, *(const bool *)field ? "on" : "off");
}

static int set_columns(struct monitor *mon, void *field, const char *value,
		       struct err *err)
{
	u64 columns = 0;

	if (!value ||
	    (strcmp(value, "off") && (parse_u64(value, &columns) < 0 ||
				      columns < 2 || columns > RL_SCREEN_MAX)))
		return err_set(err, -EINVAL,
			       "expected 2 to %d columns, or 'off'",
			       RL_SCREEN_MAX);
	*(u32 *)field = (u32)columns;
	return 0;
}

static void show_columns(const struct monitor *mon, const void *field,
			 struct buf *out)
{
	u32 columns = *(const u32 *)field;

	if (columns)
		buf_printf(out, "%u", columns);
	else
		buf_puts(out, "off");
}

static int set_rows(struct monitor *mon, void *field, const char *value,
		    struct err *err)
{
	u64 rows = 1;

	if (value && !strcmp(value, "off"))
		rows = 0;
	else if (value && strcmp(value, "on") &&
		 (parse_u64(value, &rows) < 0 || rows < 2 || rows > 1000))
		return err_set(err, -EINVAL,
			       "expected 'on', 'off' or 2 to 1000 rows");
	*(u32 *)field = (u32)rows;
	return 0;
}

static void show_rows(const struct monitor *mon, const void *field,
		      struct buf *out)
{
	if (*(const u32 *)field == 1)
		buf_puts(out, "on");
	else
		show_columns(mon, field, out);
}

/* Not for everybody: it writes a file of the host. */
static int set_log(struct monitor *mon, void *field, const char *value,
		   struct err *err)
{
	if (mon->role != MONITOR_ADMIN)
		return err_set(err, -EPERM, "'set log' takes the role %s",
			       role_name(MONITOR_ADMIN));
	if (!value)
		return err_set(err, -EINVAL, "expected a file, or 'off'");
	if (!strcmp(value, "off"))
		transcript_close(mon);
	else
		return transcript_open(mon, value, err);
	return 0;
}

static void show_log(const struct monitor *mon, const void *field,
		     struct buf *out)
{
	const char *path = *(char *const *)field;

	buf_puts(out, path ? path : "off");
}

static int set_expr(struct monitor *mon, void *field, const char *value,
		    struct err *err)
{
	bool c = value && !strcmp(value, "c");

	if (!c && (!value || strcmp(value, "qemu")))
		return err_set(err, -EINVAL, "expected 'c' or 'qemu'");
	*(bool *)field = c;
	return 0;
}

static void show_expr(const struct monitor *mon, const void *field,
		      struct buf *out)
{
	buf_puts(out, *(const bool *)field ? "c" : "qemu");
}

static const struct {
	const char *name;
	size_t offset;
	int (*set)(struct monitor *mon, void *field, const char *value,
		   struct err *err);
	void (*show)(const struct monitor *mon, const void *field,
		     struct buf *out);
	const char *help;
} session_settings[] = {
	{ "abbrev", offsetof(struct monitor, set_abbrev), set_flag, show_flag,
	  "understand the beginning of a name, if there is but one" },
	{ "events", offsetof(struct monitor, set_events), set_flag, show_flag,
	  "show what happens to the machine" },
	{ "expr", offsetof(struct monitor, set_expr_c), set_expr, show_expr,
	  "operators of expressions: qemu, or c with its precedence, shifts "
	  "and comparisons" },
	{ "log", offsetof(struct monitor, log_path), set_log, show_log,
	  "append what is run, and what it says, to a file" },
	{ "pager", offsetof(struct monitor, set_pager), set_rows, show_rows,
	  "show long answers by pages, of a terminal that is ours or of so "
	  "many rows" },
	{ "status", offsetof(struct monitor, set_status), set_flag, show_flag,
	  "end each command with [ok TIME] or [err NUMBER TEXT, TIME]" },
	{ "syntax", offsetof(struct monitor, set_syntax), set_flag, show_flag,
	  "understand A ; B   A && B   A | grep TEXT   A | diff   # comment" },
	{ "time", offsetof(struct monitor, set_time), set_flag, show_flag,
	  "begin each line with the time" },
	{ "width", offsetof(struct monitor, set_width), set_columns,
	  show_columns,
	  "columns of the terminal; off: ask it, if it can be asked" },
};

const char *session_setting(int n)
{
	return n < (int)ARRAY_SIZE(session_settings) ? session_settings[n].name
						     : NULL;
}

int cmd_set(struct monitor *mon, const struct args *a, struct err *err)
{
	const char *name = args_str(a, "name");

	for (size_t i = 0; i < ARRAY_SIZE(session_settings); i++) {
		void *field = (char *)mon + session_settings[i].offset;
		struct buf value = { 0 };

		if (name && !strcmp(name, session_settings[i].name))
			return session_settings[i].set(
				mon, field, args_str(a, "value"), err);
		if (name)
			continue;
		session_settings[i].show(mon, field, &value);
		mon_printf(mon, "%-7s %-4s %s\n", session_settings[i].name,
			   buf_str(&value), session_settings[i].help);
		buf_fini(&value);
	}
	if (name)
		return err_set(err, -EINVAL,
			       "there is no setting '%s'; 'set' lists them",
			       name);
	return 0;
}

/* ---- again ---- */

/* "1s", "500ms", "2": nanoseconds, or 0 and the text is a command. */
static u64 session_interval(const char **text)
{
	char *end;
	double v = strtod(*text, &end), scale = 1;

	if (end == *text || !isdigit((unsigned char)**text))
		return 0;
	if (!strncmp(end, "ms", 2)) {
		scale = 1e-3;
		end += 2;
	} else if (*end == 's') {
		end++;
	}
	if (!isspace((unsigned char)*end) || !(v * scale >= 0.001) ||
	    v * scale > 1e6)
		return 0;
	while (isspace((unsigned char)*end))
		end++;
	*text = end;
	return (u64)(v * scale * (double)NS_PER_S);
}

int cmd_repeat(struct monitor *mon, const struct args *a, struct err *err)
{
	const char *text = args_str(a, "command");
	u64 interval = session_interval(&text);

	return script_repeat(mon, text, (u32)args_u64(a, "count"),
			     interval ? interval : NS_PER_MS, err);
}

int cmd_watch(struct monitor *mon, const struct args *a, struct err *err)
{
	const char *text = args_str(a, "command");
	u64 interval = session_interval(&text);

	return script_repeat(mon, text, UINT32_MAX,
			     interval ? interval : NS_PER_S, err);
}

int cmd_source(struct monitor *mon, const struct args *a, struct err *err)
{
	const char *path = args_str(a, "filename");
	FILE *f = fopen(path, "re");
	struct buf text = { 0 };
	char data[4096];
	size_t n;
	int r;

	if (!f)
		return err_errno(err, "Could not open '%s'", path);
	while ((n = fread(data, 1, sizeof data, f)) > 0 &&
	       text.len <= SCRIPT_MAX)
		buf_append(&text, data, n);
	r = ferror(f) ? err_set(err, -EIO, "cannot read '%s'", path)
		      : script_source(mon, buf_str(&text), err);
	fclose(f);
	buf_fini(&text);
	return r;
}

/* ---- who ---- */

int cmd_who(struct monitor *mon, const struct args *a, struct err *err)
{
	struct buf out = { 0 };

	mon_list_sessions(mon, &out);
	qmp_list_sessions(&out);
	mon_puts(mon, buf_str(&out));
	buf_fini(&out);
	return 0;
}
