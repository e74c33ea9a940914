/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Command lines: tables, lookup, dispatch, help and suggestions.
 *
 * The word of a command ends at a blank or at '/', so "x/4xw" is "x" with
 * "/4xw".  Names are matched exactly; a name that QEMU has and vmon has not
 * is in absent.def and answers with the reason.
 *
 * Locking: machine_lock, asserted where handlers are called.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "lib/log.h"
#include "monitor/expr.h"
#include "monitor/internal.h"
#include "vmm/machine.h"

const struct command command_table[] = {
#define COMMAND(names, types, params, fn, help) \
	{ names, types, params, help, cmd_##fn, NULL, NULL, NULL },
#include "monitor/commands.def"
#undef COMMAND
#define ABSENT(names, why) { names, "", "", NULL, NULL, NULL, NULL, why },
#define ABSENT_INFO(names, why)
#include "monitor/absent.def"
#undef ABSENT
#undef ABSENT_INFO
	{ NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL }
};

const struct command info_table[] = {
#define INFO(name, types, params, query, print, help) \
	{ name, types, params, help, NULL, query_##query, print_##print, NULL },
#include "monitor/info.def"
#undef INFO
#define ABSENT(names, why)
#define ABSENT_INFO(names, why) { names, "", "", NULL, NULL, NULL, NULL, why },
#include "monitor/absent.def"
#undef ABSENT
#undef ABSENT_INFO
	{ NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL }
};

/* ---- lookup ---- */

bool command_has_name(const struct command *c, const char *name, size_t len)
{
	const char *p = c->names;

	while (*p) {
		size_t n = strcspn(p, "|");

		if (n == len && !memcmp(p, name, n))
			return true;
		p += n + (p[n] == '|');
	}
	return false;
}

const struct command *command_find(const struct command *table,
				   const char *name, size_t len)
{
	for (; table->names; table++)
		if (command_has_name(table, name, len))
			return table;
	return NULL;
}

/* The only row with a name that begins so; NULL: none, or several. */
static const struct command *command_abbreviated(const struct command *table,
						 const char *typed, size_t len)
{
	const struct command *found = NULL;

	for (; table->names && len; table++) {
		const char *p = table->names;

		while (*p && !table->absent) {
			size_t n = strcspn(p, "|");

			if (n > len && !memcmp(p, typed, len)) {
				if (found && found != table)
					return NULL;
				found = table;
			}
			p += n + (p[n] == '|');
		}
	}
	return found;
}

/* By its name, or by what a session may use in its place. */
static const struct command *command_lookup(const struct monitor *mon,
					    const struct command *table,
					    const char *typed, size_t len)
{
	const struct command *c = command_find(table, typed, len);

	return c || !mon->set_abbrev ? c
				     : command_abbreviated(table, typed, len);
}

/* Edits (insert, delete, change, swap) from `a` to `b`, at most `max` + 1. */
static int command_distance(const char *a, const char *b, size_t b_len)
{
	enum { LEN = 32 };

	u8 d[LEN + 1][LEN + 1];
	size_t a_len = strlen(a);

	if (a_len > LEN || b_len > LEN)
		return LEN;
	for (size_t i = 0; i <= a_len; i++)
		d[i][0] = i;
	for (size_t j = 0; j <= b_len; j++)
		d[0][j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		for (size_t j = 1; j <= b_len; j++) {
			u8 cost = a[i - 1] != b[j - 1];
			u8 v = MIN(d[i - 1][j] + 1, d[i][j - 1] + 1);

			v = MIN(v, d[i - 1][j - 1] + cost);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1])
				v = MIN(v, d[i - 2][j - 2] + 1);
			d[i][j] = v;
		}
	}
	return d[a_len][b_len];
}

/* The name nearest to what was typed, or NULL when none is near. */
static const char *command_nearest(const struct command *table,
				   const char *typed, size_t *ret_len)
{
	int best = strlen(typed) < 4 ? 2 : 3;
	const char *found = NULL;

	for (; table->names; table++) {
		const char *p = table->names;

		while (*p) {
			size_t n = strcspn(p, "|");
			int d = command_distance(typed, p, n);

			/* A beginning counts as one edit away. */
			if (strlen(typed) >= 3 && strlen(typed) < n &&
			    !memcmp(p, typed, strlen(typed)))
				d = MIN(d, 1);
			if (n > 1 && d < best) {
				best = d;
				found = p;
				*ret_len = n;
			}
			p += n + (p[n] == '|');
		}
	}
	return found;
}

/* `line` up to `end` is what was not understood; its last word is `word`. */
static void command_unknown(struct monitor *mon, const struct command *table,
			    const char *line, const char *word, const char *end)
{
	char typed[64];
	size_t n = end - word;
	const char *near;

	mon_printf(mon, "unknown command: '%.*s'\n", (int)(end - line), line);
	if (!n || n >= sizeof typed)
		return;
	memcpy(typed, word, n);
	typed[n] = '\0';
	near = command_nearest(table, typed, &n);
	if (near)
		mon_printf(mon, "did you mean '%s%.*s'?\n",
			   table == info_table ? "info " : "", (int)n, near);
}

/* ---- running ---- */

static void command_show_error(struct monitor *mon, const struct err *err)
{
	if (err->msg[0])
		mon_printf(mon, "Error: %s\n", err->msg);
}

static int command_query(struct monitor *mon, const struct command *c,
			 struct args *a)
{
	struct err err = { 0 };
	json_t *v = c->query(mon, a, &err);
	struct buf text = { 0 };
	char *json;

	if (!v) {
		command_show_error(mon, &err);
		return err.code ? err.code : -EINVAL;
	}
	if (mon->json || args_has(a, "json")) {
		json = json_dumps(v, JSON_PRESERVE_ORDER | JSON_ENCODE_ANY);
		mon_printf(mon, "%s\n", json ? json : "null");
		free(json);
	} else {
		c->print(v, &text);
		mon_puts(mon, buf_str(&text));
		buf_fini(&text);
	}
	json_decref(v);
	return 0;
}

static int command_call(struct monitor *mon, const struct command *c,
			struct args *a)
{
	struct err err = { 0 };
	int r;

	assert_locked(&machine_lock);
	if (c->query)
		return command_query(mon, c, a);
	r = c->run(mon, a, &err);
	if (r < 0)
		command_show_error(mon, &err);
	return r;
}

static size_t command_word(const char *p)
{
	size_t n = 0;

	while (p[n] && p[n] != '/' && !isspace((unsigned char)p[n]))
		n++;
	return n;
}

static const char *command_skip(const char *p)
{
	while (isspace((unsigned char)*p))
		p++;
	return p;
}

int command_run(struct monitor *mon, const char *line)
{
	const struct command *table = command_table, *c;
	struct expr_env env = { .reg = mon_register,
				.symbol = mon_find_symbol,
				.opaque = mon,
				.c = mon->set_expr_c };
	const char *word = command_skip(line), *first = word;
	size_t n = command_word(word);
	struct args a = { .n = 0 };
	struct err err = { 0 };
	int r;

	if (!*word)
		return 0;
	c = command_lookup(mon, table, word, n);
	if (c && !strcmp(c->names, "info") && *command_skip(word + n)) {
		table = info_table;
		word = command_skip(word + n);
		n = command_word(word);
		c = command_lookup(mon, table, word, n);
	}
	if (!c) {
		command_unknown(mon, table, line, word, word + n);
		return -ENOENT;
	}
	if (c->absent) {
		mon_printf(mon, "%s\n", c->absent);
		return -ENOTSUP;
	}
	if (role_check(mon->role, c->names, c->query != NULL, &err) < 0) {
		command_show_error(mon, &err);
		return -EPERM;
	}
	r = args_parse(&a, c->types, c->query ? "json:-j" : "", c->names,
		       word + n, &env, &err);
	if (r < 0) {
		mon_printf(mon, "%s\n", err.msg);
		mon_printf(mon, "Try \"help %.*s\" for more information\n",
			   (int)(word + n - first), first);
	} else {
		r = command_call(mon, c, &a);
	}
	args_fini(&a);
	return r;
}

/* ---- help ---- */

static void help_one(struct monitor *mon, const struct command *c,
		     const char *prefix)
{
	if (c->absent)
		mon_printf(mon, "%s%s  -- not available: %s\n", prefix,
			   c->names, c->absent);
	else
		mon_printf(mon, "%s%s %s -- %s\n", prefix, c->names, c->params,
			   c->help);
}

static int help_compare(const void *a, const void *b)
{
	const struct command *const *x = a, *const *y = b;

	return strcmp((*x)->names, (*y)->names);
}

static void help_table(struct monitor *mon, const struct command *table,
		       const char *prefix)
{
	const struct command *sorted[256];
	size_t n = 0;

	for (; table->names && n < ARRAY_SIZE(sorted); table++)
		if (!table->absent)
			sorted[n++] = table;
	qsort(sorted, n, sizeof sorted[0], help_compare);
	for (size_t i = 0; i < n; i++)
		help_one(mon, sorted[i], prefix);
}

static void help_log(struct monitor *mon)
{
	struct buf text = { 0 };

	log_list_items(&text);
	mon_puts(mon, buf_str(&text));
	buf_fini(&text);
}

static void help_words(struct monitor *mon, const char *line)
{
	const char *word = command_skip(line);
	const struct command *table = command_table, *c;
	size_t n = command_word(word);

	if (n == 4 && !memcmp(word, "info", 4)) {
		table = info_table;
		word = command_skip(word + n);
		n = command_word(word);
		if (!n) {
			help_table(mon, table, "info ");
			return;
		}
	} else if (n == 3 && !memcmp(word, "log", 3)) {
		help_log(mon);
		return;
	}
	c = command_find(table, word, n);
	if (c)
		help_one(mon, c, table == info_table ? "info " : "");
	else
		command_unknown(mon, table, command_skip(line), word, word + n);
}

int cmd_help(struct monitor *mon, const struct args *a, struct err *err)
{
	const char *name = args_str(a, "name");

	if (name)
		help_words(mon, name);
	else
		help_table(mon, command_table, "");
	return 0;
}

int cmd_info(struct monitor *mon, const struct args *a, struct err *err)
{
	help_table(mon, info_table, "info ");
	return 0;
}
