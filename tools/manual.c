/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Fills a manual page: `manual FILE.in` prints FILE.in with each line @TABLE@
 * replaced by the rows of that table, the same that help texts are made of.
 */
#include <stdio.h>
#include <string.h>

#include "lib/types.h"

struct row {
	const char *names; /* joined by '|' */
	const char *params;
	const char *help;
};

static const struct row manual_options[] = {

#define OPTION(names, has_arg, handler, arg, help) { names, arg, help },
#include "vmm/options.def"
#undef OPTION
};

static const struct row manual_commands[] = {

#define COMMAND(names, types, params, fn, help) { names, params, help },
#include "monitor/commands.def"
#undef COMMAND
};

static const struct row manual_queries[] = {

#define INFO(names, types, params, query, print, help) { names, params, help },
#include "monitor/info.def"
#undef INFO
};

static const struct row manual_absent[] = {

#define ABSENT(names, why) { names, "", why },
#define ABSENT_INFO(names, why)
#include "monitor/absent.def"
#undef ABSENT
#undef ABSENT_INFO
};

static const struct row manual_absent_queries[] = {

#define ABSENT(names, why)
#define ABSENT_INFO(names, why) { names, "", why },
#include "monitor/absent.def"
#undef ABSENT
#undef ABSENT_INFO
};

static const struct row manual_log[] = {

#define LOG_ITEM(id, name, help) { name, "", help },
#include "lib/log.def"
#undef LOG_ITEM
};

static const struct {
	const char *mark, *prefix;
	const struct row *rows;
	size_t count;
} manual_tables[] = {
	{ "@OPTIONS@\n", "-", manual_options, ARRAY_SIZE(manual_options) },
	{ "@COMMANDS@\n", "", manual_commands, ARRAY_SIZE(manual_commands) },
	{ "@QUERIES@\n", "info ", manual_queries, ARRAY_SIZE(manual_queries) },
	{ "@ABSENT@\n", "", manual_absent, ARRAY_SIZE(manual_absent) },
	{ "@ABSENT_QUERIES@\n", "info ", manual_absent_queries,
	  ARRAY_SIZE(manual_absent_queries) },
	{ "@LOG@\n", "", manual_log, ARRAY_SIZE(manual_log) },
};

/* Text for roff; the line has begun with something else. */
static void manual_text(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		switch (s[i]) {
		case '\\': fputs("\\e", stdout); break;
		case '-': fputs("\\-", stdout); break;
		case '\'': fputs("\\(aq", stdout); break;
		case '^': fputs("\\(ha", stdout); break;
		case '~': fputs("\\(ti", stdout); break;
		case '`': fputs("\\(ga", stdout); break;
		case ' ': putchar(' '); break;
		default: putchar(s[i]);
		}
}

static void manual_row(const struct row *r, const char *prefix)
{
	const char *p = r->names;

	fputs(".TP\n", stdout);
	while (*p) {
		size_t n = strcspn(p, "|");

		fputs("\\&\\fB", stdout);
		manual_text(prefix, strlen(prefix));
		manual_text(p, n);
		fputs("\\fP", stdout);
		p += n;
		if (*p++ == '\0')
			break;
		fputs(", ", stdout);
	}
	if (*r->params) {
		putchar(' ');
		manual_text(r->params, strlen(r->params));
	}
	fputs("\n\\&", stdout);
	manual_text(r->help, strlen(r->help));
	putchar('\n');
}

/* True: the line was a mark. */
static bool manual_table(const char *line)
{
	for (size_t i = 0; i < ARRAY_SIZE(manual_tables); i++) {
		if (strcmp(line, manual_tables[i].mark))
			continue;
		for (size_t k = 0; k < manual_tables[i].count; k++)
			manual_row(&manual_tables[i].rows[k],
				   manual_tables[i].prefix);
		return true;
	}
	return false;
}

int main(int argc, char **argv)
{
	FILE *f = argc == 2 ? fopen(argv[1], "re") : NULL;
	char line[1024];

	if (!f) {
		fputs("usage: manual FILE.in\n", stderr);
		return 1;
	}
	while (fgets(line, sizeof line, f)) {
		if (line[0] == '@' && !manual_table(line)) {
			fprintf(stderr, "manual: there is no table %s", line);
			return 1;
		}
		if (line[0] != '@')
			fputs(line, stdout);
	}
	fclose(f);
	return ferror(stdout) || fflush(stdout) ? 1 : 0;
}
