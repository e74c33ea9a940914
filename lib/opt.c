/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * "driver,key=value,flag" option strings and the rows that describe them.
 */
#include "lib/opt.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/parse.h"

#define OPT_WORD_MAX 64 /* longer words get no suggestion */

/* ------------------------------------------------------------- values */

static int opt_bad(const char *value, const struct option_row *row,
		   const char *accepted, struct err *err)
{
	return err_set(err, -EINVAL, "'%s' is not valid for '%s'; accepted: %s",
		       value, row->name, accepted);
}

static int opt_bool_parse(void *field, const char *value,
			  const struct option_row *row, struct err *err)
{
	if (parse_bool(value, field) < 0)
		return opt_bad(value, row, "on, off", err);
	return 0;
}

static void opt_bool_format(const void *field, const struct option_row *row,
			    struct buf *out)
{
	buf_puts(out, *(const bool *)field ? "on" : "off");
}

const struct opt_type opt_bool = {
	.name = "bool",
	.parse = opt_bool_parse,
	.format = opt_bool_format,
};

static int opt_onoffauto_parse(void *field, const char *value,
			       const struct option_row *row, struct err *err)
{
	bool on = false;

	if (!strcmp(value, "auto")) {
		*(int *)field = -1;
		return 0;
	}
	if (parse_bool(value, &on) < 0)
		return opt_bad(value, row, "on, off, auto", err);
	*(int *)field = on;
	return 0;
}

static void opt_onoffauto_format(const void *field,
				 const struct option_row *row, struct buf *out)
{
	int v = *(const int *)field;

	buf_puts(out, v < 0 ? "auto" : v ? "on" : "off");
}

const struct opt_type opt_onoffauto = {
	.name = "on|off|auto",
	.parse = opt_onoffauto_parse,
	.format = opt_onoffauto_format,
};

/* A number within the row's range and `max`. */
static int opt_number(const char *value, u64 max, const struct option_row *row,
		      u64 *ret, struct err *err)
{
	const struct opt_range *range = row->arg;
	u64 lo = range ? range->min : 0;
	u64 hi = range ? MIN(range->max, max) : max;
	u64 v = 0;
	int r = parse_u64(value, &v);

	if (r == -EINVAL)
		return err_set(err, r, "'%s' is not a number for '%s'", value,
			       row->name);
	if (r < 0 || v < lo || v > hi)
		return err_set(err, -EINVAL,
			       "'%s' is out of range for '%s'; accepted: "
			       "%" PRIu64 " to %" PRIu64,
			       value, row->name, lo, hi);
	*ret = v;
	return 0;
}

#define OPT_UNSIGNED(bits)                                                   \
	static int opt_u##bits##_parse(void *field, const char *value,       \
				       const struct option_row *row,         \
				       struct err *err)                      \
	{                                                                    \
		u64 v;                                                       \
		int r = opt_number(value, UINT##bits##_MAX, row, &v, err);   \
                                                                             \
		if (r == 0)                                                  \
			*(u##bits *)field = v;                               \
		return r;                                                    \
	}                                                                    \
                                                                             \
	static void opt_u##bits##_format(const void *field,                  \
					 const struct option_row *row,       \
					 struct buf *out)                    \
	{                                                                    \
		buf_printf(out, "%" PRIu64, (u64) * (const u##bits *)field); \
	}                                                                    \
                                                                             \
	const struct opt_type opt_u##bits = {                                \
		.name = "int",                                               \
		.parse = opt_u##bits##_parse,                                \
		.format = opt_u##bits##_format,                              \
	};

/* clang-format off */
OPT_UNSIGNED(8)
OPT_UNSIGNED(16)
OPT_UNSIGNED(32)
OPT_UNSIGNED(64)

/* clang-format on */

static int opt_size_parse(void *field, const char *value,
			  const struct option_row *row, struct err *err)
{
	const struct opt_range *range = row->arg;
	u64 v = 0;
	int r = parse_size(value, 1, &v);

	if (r == -EINVAL)
		return err_set(err, r,
			       "'%s' is not a size for '%s'; accepted: a "
			       "number with an optional suffix K, M, G, T, P "
			       "or E",
			       value, row->name);
	if (r == 0 && range && (v < range->min || v > range->max))
		r = -ERANGE;
	if (r < 0)
		return err_set(err, -EINVAL,
			       "'%s' is out of range for '%s'; accepted: "
			       "%" PRIu64 " to %" PRIu64 " bytes",
			       value, row->name, range ? range->min : 0,
			       range ? range->max : UINT64_MAX);
	*(u64 *)field = v;
	return 0;
}

const struct opt_type opt_size = {
	.name = "size",
	.parse = opt_size_parse,
	.format = opt_u64_format,
};

static int opt_str_parse(void *field, const char *value,
			 const struct option_row *row, struct err *err)
{
	char **s = field;

	free(*s);
	*s = xstrdup(value);
	return 0;
}

static void opt_str_format(const void *field, const struct option_row *row,
			   struct buf *out)
{
	const char *s = *(char *const *)field;

	buf_puts(out, s ? s : "");
}

static void opt_str_fini(void *field)
{
	char **s = field;

	free(*s);
	*s = NULL;
}

const struct opt_type opt_str = {
	.name = "str",
	.parse = opt_str_parse,
	.format = opt_str_format,
	.fini = opt_str_fini,
};

static int opt_enum_parse(void *field, const char *value,
			  const struct option_row *row, struct err *err)
{
	const char *const *names = row->arg;
	struct buf list = { 0 };
	int r;

	for (int i = 0; names[i]; i++)
		if (!strcmp(names[i], value)) {
			*(int *)field = i;
			return 0;
		}
	for (int i = 0; names[i]; i++)
		buf_printf(&list, "%s%s", i ? ", " : "", names[i]);
	r = opt_bad(value, row, buf_str(&list), err);
	buf_fini(&list);
	return r;
}

static void opt_enum_format(const void *field, const struct option_row *row,
			    struct buf *out)
{
	const char *const *names = row->arg;

	buf_puts(out, names[*(const int *)field]);
}

const struct opt_type opt_enum = {
	.name = "enum",
	.parse = opt_enum_parse,
	.format = opt_enum_format,
};

static int opt_mac_parse(void *field, const char *value,
			 const struct option_row *row, struct err *err)
{
	if (parse_mac(value, field) < 0)
		return opt_bad(value, row, "six hexadecimal bytes", err);
	return 0;
}

static void opt_mac_format(const void *field, const struct option_row *row,
			   struct buf *out)
{
	const u8 *mac = field;

	buf_printf(out, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
		   mac[3], mac[4], mac[5]);
}

const struct opt_type opt_mac = {
	.name = "mac",
	.parse = opt_mac_parse,
	.format = opt_mac_format,
};

/* --------------------------------------------------------------- text */

void opts_init(struct opts *o)
{
	list_init(&o->list);
}

void opts_fini(struct opts *o)
{
	struct opt *opt;

	while ((opt = list_first(&o->list, struct opt, node))) {
		list_remove(&opt->node);
		free(opt->key);
		free(opt->value);
		free(opt);
	}
}

/* Takes over both strings. */
static struct opt *opts_push(struct opts *o, char *key, char *value)
{
	struct opt *opt = xalloc(sizeof(*opt));

	opt->key = key;
	opt->value = value;
	list_append(&o->list, &opt->node);
	return opt;
}

void opts_add(struct opts *o, const char *key, const char *value)
{
	opts_push(o, xstrdup(key), xstrdup(value));
}

/* The text up to the next single comma, ",," made ","; *text moves behind
 * that comma. */
static char *opts_value(const char **text)
{
	const char *p = *text;
	struct buf value = { 0 };

	for (; *p; p++) {
		if (*p == ',' && *++p != ',')
			break;
		buf_putc(&value, *p);
	}
	*text = p;
	return buf_steal(&value);
}

/* A word without '=': `word` is on, `noword` is off. */
static void opts_flag(struct opts *o, const char *word, size_t len)
{
	bool off = len > 2 && word[0] == 'n' && word[1] == 'o';
	size_t skip = off ? 2 : 0;
	char *key = xprintf("%.*s", (int)(len - skip), word + skip);

	opts_push(o, key, xstrdup(off ? "off" : "on"))->bare = true;
}

int opts_parse(struct opts *o, const char *text, const char *implied,
	       struct err *err)
{
	const char *p = text;

	opts_init(o);
	while (*p) {
		size_t len = strcspn(p, "=,");

		if (p == text && implied && p[len] != '=') {
			opts_push(o, xstrdup(implied), opts_value(&p));
			continue;
		}
		if (len == 0) {
			opts_fini(o);
			return err_set(err, -EINVAL,
				       "option name missing before '%s'", p);
		}
		if (p[len] == '=') {
			char *key = xprintf("%.*s", (int)len, p);

			p += len + 1;
			opts_push(o, key, opts_value(&p));
		} else {
			opts_flag(o, p, len);
			p += len;
			p += *p == ',';
		}
	}
	return 0;
}

const char *opts_take(struct opts *o, const char *key)
{
	const char *value = NULL;
	struct opt *opt;

	list_for_each (opt, &o->list, node)
		if (!strcmp(opt->key, key)) {
			opt->used = true;
			value = opt->value;
		}
	return value;
}

const char *opts_peek(const struct opts *o, const char *key)
{
	const char *value = NULL;
	struct opt *opt;

	list_for_each (opt, &o->list, node)
		if (!strcmp(opt->key, key))
			value = opt->value;
	return value;
}

void opts_format(const struct opts *o, struct buf *out)
{
	const char *sep = "";
	struct opt *opt;

	list_for_each (opt, &o->list, node) {
		buf_printf(out, "%s%s=", sep, opt->key);
		sep = ",";
		for (const char *p = opt->value; *p; p++) {
			if (*p == ',')
				buf_putc(out, ',');
			buf_putc(out, *p);
		}
	}
}

/* --------------------------------------------------------------- rows */

/* Number of single-letter edits between two words. */
static u32 opt_distance(const char *a, const char *b)
{
	size_t alen = strlen(a), blen = strlen(b);
	u32 row[OPT_WORD_MAX + 1];

	if (alen > OPT_WORD_MAX || blen > OPT_WORD_MAX)
		return OPT_WORD_MAX;
	for (size_t j = 0; j <= blen; j++)
		row[j] = j;
	for (size_t i = 1; i <= alen; i++) {
		u32 diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= blen; j++) {
			u32 change = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			row[j] = MIN(change, MIN(row[j], row[j - 1]) + 1);
		}
	}
	return row[blen];
}

static const char *opt_nearest(const struct option_row *rows, const char *name)
{
	const char *best = NULL;
	u32 limit = strlen(name) < 4 ? 1 : 2;

	for (; rows && rows->name; rows++) {
		u32 distance = opt_distance(rows->name, name);

		if (distance <= limit) {
			best = rows->name;
			limit = distance - (distance != 0);
		}
	}
	return best;
}

static int opt_unknown(const struct option_row *rows, const char *name,
		       struct err *err)
{
	const char *near = opt_nearest(rows, name);
	struct buf text = { 0 };
	int r;

	buf_printf(&text, "property '%s' not found", name);
	if (near)
		buf_printf(&text, ", did you mean '%s'?", near);
	for (const char *sep = near ? " accepted: " : "; accepted: ";
	     rows && rows->name; rows++, sep = ", ")
		buf_printf(&text, "%s%s", sep, rows->name);
	r = err_set(err, -EINVAL, "%s", buf_str(&text));
	buf_fini(&text);
	return r;
}

static const struct option_row *opt_row(const struct option_row *rows,
					const char *name)
{
	for (; rows && rows->name; rows++)
		if (!strcmp(rows->name, name))
			return rows;
	return NULL;
}

static int opt_row_parse(const struct option_row *row, void *owner,
			 const char *value, struct err *err)
{
	return row->type->parse((char *)owner + row->offset, value, row, err);
}

int opts_apply(struct opts *o, const struct option_row *rows, void *owner,
	       struct err *err)
{
	struct opt *opt;
	int r;

	for (const struct option_row *row = rows; row && row->name; row++) {
		if (!row->def)
			continue;
		r = opt_row_parse(row, owner, row->def, err);
		if (r < 0)
			return r;
	}
	list_for_each (opt, &o->list, node) {
		const struct option_row *row = opt_row(rows, opt->key);

		if (opt->used || !row)
			continue;
		opt->used = true;
		r = opt_row_parse(row, owner, opt->value, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int opts_check_used(const struct opts *o, const struct option_row *rows,
		    struct err *err)
{
	struct opt *opt;
	char *word;
	int r;

	list_for_each (opt, &o->list, node) {
		if (opt->used)
			continue;
		/* The word as it was typed. */
		word = xprintf("%s%s",
			       opt->bare && !strcmp(opt->value, "off") ? "no"
								       : "",
			       opt->key);
		r = opt_unknown(rows, word, err);
		free(word);
		return r;
	}
	return 0;
}

int opt_set(const struct option_row *rows, void *owner, const char *name,
	    const char *value, struct err *err)
{
	const struct option_row *row = opt_row(rows, name);

	if (!row)
		return opt_unknown(rows, name, err);
	return opt_row_parse(row, owner, value, err);
}

void opt_rows_fini(const struct option_row *rows, void *owner)
{
	for (; rows && rows->name; rows++)
		if (rows->type->fini)
			rows->type->fini((char *)owner + rows->offset);
}

void opt_rows_help(const struct option_row *rows, struct buf *out)
{
	for (; rows && rows->name; rows++) {
		char *head = xprintf("%s=<%s>", rows->name, rows->type->name);

		buf_printf(out, "  %-22s - %s", head, rows->help);
		if (rows->def)
			buf_printf(out, " (default: %s)", rows->def);
		buf_putc(out, '\n');
		free(head);
	}
}
