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
#include "monitor/internal.h"
#include "monitor/qmp.h"
#include "monitor/script.h"

static const struct {
	const char *name;
	size_t offset;
	const char *help;
} session_settings[] = {
	{ "events", offsetof(struct monitor, set_events),
	  "show what happens to the machine" },
	{ "status", offsetof(struct monitor, set_status),
	  "end each command with [ok TIME] or [err NUMBER TEXT, TIME]" },
	{ "syntax", offsetof(struct monitor, set_syntax),
	  "understand A ; B   A && B   A | grep TEXT   # comment" },
	{ "time", offsetof(struct monitor, set_time),
	  "begin each line with the time" },
};

int cmd_set(struct monitor *mon, const struct args *a, struct err *err)
{
	const char *name = args_str(a, "name");

	for (size_t i = 0; i < ARRAY_SIZE(session_settings); i++) {
		bool *field =
			(bool *)((char *)mon + session_settings[i].offset);

		if (!name)
			mon_printf(mon, "%-6s %-3s  %s\n",
				   session_settings[i].name,
				   *field ? "on" : "off",
				   session_settings[i].help);
		else if (!strcmp(name, session_settings[i].name)) {
			*field = args_u64(a, "value") || !args_has(a, "value");
			return 0;
		}
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
