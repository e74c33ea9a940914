/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Argument letters to values.
 *
 * One pass over the row's types; before each positional argument and at the
 * end, flags are taken wherever they stand.  Strings are quoted with '"'
 * only, with the escapes \n \r \\ \' \".
 */
#include "monitor/args.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/parse.h"
#include "monitor/expr.h"

struct args_parser {
	struct args *a;
	const char *p;
	const char *name;
	int own; /* entries of `a` that come from the row itself */
	struct expr_env env;
	struct err *err;
};

static bool args_blank(char c)
{
	return isspace((unsigned char)c);
}

static void args_skip(struct args_parser *s)
{
	while (args_blank(*s->p))
		s->p++;
}

/* Reads one "key:type" pair and moves *types behind it; false at the end. */
static bool args_row_next(const char **types, struct arg *arg)
{
	const char *p = *types;
	size_t n = 0;

	if (!*p)
		return false;
	memset(arg, 0, sizeof *arg);
	opts_init(&arg->opts);
	while (*p != ':') {
		assert(*p && n < sizeof arg->key - 1);
		arg->key[n++] = *p++;
	}
	p++;
	arg->type = *p++;
	if (arg->type == '-') {
		arg->flag = *p++;
		if (*p == 's') {
			arg->type = '=';
			p++;
		}
	} else if (arg->type == 'i' && *p == '.') {
		arg->type = '.';
		p++;
	}
	if (*p == '?') {
		arg->optional = true;
		p++;
	}
	assert(!*p || *p == ',');
	*types = *p ? p + 1 : p;
	return true;
}

static bool args_is_flag(const struct arg *arg)
{
	return arg->type == '-' || arg->type == '=';
}

static bool args_is_expr(char type)
{
	return type && strchr("ilM", type);
}

/* A word, or a quoted string.  *ret is NULL when nothing is there. */
static int args_word(struct args_parser *s, char **ret, struct err *why)
{
	char tmp[ARG_STRING_MAX + 1];
	bool quoted;
	size_t n = 0;

	args_skip(s);
	*ret = NULL;
	if (!*s->p)
		return 0;
	quoted = *s->p == '"';
	if (quoted)
		s->p++;
	for (;; s->p++) {
		char c = *s->p;

		if (quoted ? c == '"' : (!c || args_blank(c)))
			break;
		if (!c)
			return err_set(why, -EINVAL, "no closing quote");
		if (quoted && c == '\\') {
			c = *++s->p;
			if (c == 'n')
				c = '\n';
			else if (c == 'r')
				c = '\r';
			else if (!c || !strchr("\\'\"", c))
				return err_set(why, -EINVAL,
					       "bad escape in string");
		}
		if (n == ARG_STRING_MAX)
			return err_set(why, -E2BIG, "limited to %d bytes",
				       ARG_STRING_MAX);
		tmp[n++] = c;
	}
	if (quoted)
		s->p++;
	tmp[n] = '\0';
	*ret = xstrdup(tmp);
	return 0;
}

static const char *args_expected(char type)
{
	switch (type) {
	case 'F': return "filename";
	case 'B': return "block device name";
	default: return "string";
	}
}

static int args_string(struct args_parser *s, struct arg *arg)
{
	const char *what = args_expected(arg->type);
	struct err why = { 0 };
	int r = args_word(s, &arg->str, &why);

	if (r == -E2BIG)
		return err_set(s->err, r, "%s: argument '%s' is %s", s->name,
			       arg->key, why.msg);
	if (r < 0)
		return err_set(s->err, r, "%s: %s expected (%s)", s->name, what,
			       why.msg);
	if (arg->str)
		arg->present = true;
	else if (!arg->optional)
		return err_set(s->err, -EINVAL, "%s: %s expected", s->name,
			       what);
	return 0;
}

static int args_rest(struct args_parser *s, struct arg *arg)
{
	args_skip(s);
	if (!*s->p) {
		if (arg->optional)
			return 0;
		return err_set(s->err, -EINVAL, "%s: string expected", s->name);
	}
	arg->str = xstrdup(s->p);
	arg->present = true;
	s->p += strlen(s->p);
	return 0;
}

static int args_options(struct args_parser *s, struct arg *arg)
{
	struct err why = { 0 };
	char *word;
	int r = args_word(s, &word, &why);

	if (r < 0)
		return err_set(s->err, r, "%s: string expected (%s)", s->name,
			       why.msg);
	if (!word)
		return 0;
	r = opts_parse(&arg->opts, word, arg->key, s->err);
	free(word);
	if (r < 0)
		return err_wrap(s->err, "%s", s->name);
	arg->present = true;
	return 0;
}

static int args_number(struct args_parser *s, struct arg *arg)
{
	s64 v;
	int r;

	args_skip(s);
	if (arg->type == '.') {
		if (*s->p != '.')
			return 0;
		s->p++;
		args_skip(s);
	} else if (!*s->p && arg->optional) {
		return 0;
	}
	r = expr_eval(&s->p, &s->env, &v, s->err);
	if (r < 0)
		return r;
	if ((arg->type == 'i' || arg->type == '.') && (u64)v >> 32)
		return err_set(s->err, -ERANGE,
			       "'%s' has failed: integer is for 32-bit values",
			       s->name);
	if (arg->type == 'M') {
		if (v < 0)
			return err_set(s->err, -EINVAL,
				       "enter a positive value");
		if ((u64)v > INT64_MAX / MIB)
			return err_set(s->err, -ERANGE, "%s: value too large",
				       s->name);
		v *= MIB;
	}
	arg->num = v;
	arg->present = true;
	return 0;
}

static int args_size(struct args_parser *s, struct arg *arg)
{
	char tmp[64];
	bool hex;
	size_t n = 0;

	args_skip(s);
	if (!*s->p && arg->optional)
		return 0;
	hex = s->p[0] == '0' && (s->p[1] | 0x20) == 'x';
	while (n < sizeof tmp - 2 &&
	       (hex ? isalnum((unsigned char)s->p[n])
		    : isdigit((unsigned char)s->p[n]) || s->p[n] == '.')) {
		tmp[n] = s->p[n];
		n++;
	}
	if (n && !hex && s->p[n] && strchr("BbKkMmGgTtPpEe", s->p[n])) {
		tmp[n] = s->p[n];
		n++;
	}
	tmp[n] = '\0';
	if (!n || parse_size(tmp, MIB, &arg->num) < 0)
		return err_set(s->err, -EINVAL, "invalid size");
	s->p += n;
	arg->present = true;
	return 0;
}

static int args_time(struct args_parser *s, struct arg *arg)
{
	/* clang-format off */
	static const struct {
		const char *name;
		double scale;
	} units[] = { { "ms", 1e-3 }, { "us", 1e-6 }, { "ns", 1e-9 } };

	/* clang-format on */
	char *end;

	args_skip(s);
	if (!*s->p && arg->optional)
		return 0;
	if (!*s->p)
		return err_set(s->err, -EINVAL, "Number expected");
	if (!isdigit((unsigned char)*s->p) && *s->p != '.')
		return err_set(s->err, -EINVAL, "Bad number");
	arg->seconds = strtod(s->p, &end);
	if (end == s->p)
		return err_set(s->err, -EINVAL, "Bad number");
	s->p = end;
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		if (!strncmp(s->p, units[i].name, 2)) {
			arg->seconds *= units[i].scale;
			s->p += 2;
			break;
		}
	}
	if (*s->p && !args_blank(*s->p))
		return err_set(s->err, -EINVAL, "Unknown unit suffix");
	arg->present = true;
	return 0;
}

static int args_onoff(struct args_parser *s, struct arg *arg)
{
	size_t n = 0;

	args_skip(s);
	while (s->p[n] && !args_blank(s->p[n]))
		n++;
	if (!n && arg->optional)
		return 0;
	if (n == 2 && !memcmp(s->p, "on", 2))
		arg->num = 1;
	else if (n != 3 || memcmp(s->p, "off", 3))
		return err_set(s->err, -EINVAL, "Expected 'on' or 'off'");
	s->p += n;
	arg->present = true;
	return 0;
}

static int args_format(struct args_parser *s, struct arg *arg)
{
	struct mem_fmt *f = &arg->fmt;
	u64 count = 0;

	f->count = 1;
	args_skip(s);
	if (*s->p != '/')
		return 0;
	s->p++;
	if (isdigit((unsigned char)*s->p)) {
		for (; isdigit((unsigned char)*s->p); s->p++)
			count = MIN(count * 10 + (*s->p - '0'), INT32_MAX);
		f->count = count;
	}
	for (; *s->p && !args_blank(*s->p); s->p++) {
		if (strchr("xduoci", *s->p))
			f->format = *s->p;
		else if (*s->p == 'b')
			f->size = 1;
		else if (*s->p == 'h')
			f->size = 2;
		else if (*s->p == 'w')
			f->size = 4;
		else if (*s->p == 'g' || *s->p == 'L')
			f->size = 8;
		else
			return err_set(s->err, -EINVAL,
				       "invalid char in format: '%c'", *s->p);
	}
	arg->present = true;
	return 0;
}

static struct arg *args_flag(struct args_parser *s, char letter)
{
	for (int i = 0; i < s->a->n; i++) {
		struct arg *arg = &s->a->v[i];

		if (args_is_flag(arg) && arg->flag == letter)
			return arg;
	}
	return NULL;
}

/* Among the first n entries. */
static bool args_has_flags(const struct args_parser *s, int n)
{
	for (int i = 0; i < n; i++)
		if (args_is_flag(&s->a->v[i]))
			return true;
	return false;
}

static int args_bad_flag(struct args_parser *s, char c)
{
	char text[2] = { args_blank(c) ? '\0' : c, '\0' };

	return err_set(s->err, -EINVAL, "%s: unsupported option -%s", s->name,
		       text);
}

/* One word of flags, s->p at its '-'. */
static int args_take_flags(struct args_parser *s)
{
	struct arg *arg;
	struct err why = { 0 };
	int r;

	for (s->p++; *s->p && !args_blank(*s->p); s->p++) {
		arg = args_flag(s, *s->p);
		if (!arg)
			return args_bad_flag(s, *s->p);
		if (arg->type == '-') {
			arg->present = true;
			continue;
		}
		s->p++;
		free(arg->str);
		r = args_word(s, &arg->str, &why);
		if (r < 0 || !arg->str)
			return err_set(s->err, -EINVAL,
				       "%s: value expected for -%c", s->name,
				       arg->flag);
		arg->present = true;
		return 0;
	}
	return 0;
}

/* Takes all flags that stand here; `next` is the positional type that would
 * follow, 0 for none. */
static int args_flags(struct args_parser *s, char next)
{
	bool own = args_has_flags(s, s->own);
	int r;

	for (;;) {
		char c;

		args_skip(s);
		if (*s->p != '-')
			return 0;
		c = s->p[1];
		if (!args_flag(s, c)) {
			/* A sign, or text that is taken as it is. */
			if (!own || next == 'S' ||
			    (args_is_expr(next) && !isalpha((unsigned char)c)))
				return 0;
			return args_bad_flag(s, c);
		}
		r = args_take_flags(s);
		if (r < 0)
			return r;
	}
}

static int args_one(struct args_parser *s, struct arg *arg)
{
	switch (arg->type) {
	case 's':
	case 'F':
	case 'B': return args_string(s, arg);
	case 'S': return args_rest(s, arg);
	case 'O': return args_options(s, arg);
	case 'i':
	case 'l':
	case 'M':
	case '.': return args_number(s, arg);
	case 'o': return args_size(s, arg);
	case 'T': return args_time(s, arg);
	case 'b': return args_onoff(s, arg);
	case '/': return args_format(s, arg);
	}
	assert(!"argument type");
	return -EINVAL;
}

void args_declare(struct args *a, const char *types)
{
	while (*types) {
		assert(a->n < ARGS_MAX);
		args_row_next(&types, &a->v[a->n]);
		a->n++;
	}
}

/* Does a string follow entry `i`?  Then "16 /tmp/x" is not a division. */
static bool args_string_follows(const struct args *a, int i)
{
	for (i++; i < a->n; i++)
		if (strchr("sFB", a->v[i].type))
			return true;
	return false;
}

int args_parse(struct args *a, const char *types, const char *common,
	       const char *name, const char *text, const struct expr_env *env,
	       struct err *err)
{
	struct args_parser s = {
		.a = a, .p = text, .name = name, .env = *env, .err = err
	};
	int r;

	a->n = 0;
	args_declare(a, types);
	s.own = a->n;
	args_declare(a, common);
	s.env.flag_ends = args_has_flags(&s, a->n);
	for (int i = 0; i < s.own; i++) {
		if (args_is_flag(&a->v[i]))
			continue;
		r = args_flags(&s, a->v[i].type);
		s.env.path_ends = args_string_follows(a, i);
		if (!r)
			r = args_one(&s, &a->v[i]);
		if (r < 0)
			return r;
	}
	r = args_flags(&s, 0);
	if (r < 0)
		return r;
	args_skip(&s);
	if (*s.p)
		return err_set(err, -EINVAL,
			       "%s: extraneous characters at the end of line",
			       name);
	return 0;
}

/* ---- JSON ---- */

static int args_json_type(struct arg *arg, const char *expected,
			  struct err *err)
{
	return err_set(err, -EINVAL,
		       "Invalid parameter type for '%s', expected: %s",
		       arg->key, expected);
}

static int args_json_one(struct arg *arg, const json_t *v, struct err *err)
{
	switch (arg->type) {
	case 'b':
		if (!json_is_boolean(v))
			return args_json_type(arg, "boolean", err);
		arg->num = json_is_true(v);
		break;
	case 'o':
	case 'M':
	case 'i':
	case 'l':
		if (!json_is_integer(v))
			return args_json_type(arg, "integer", err);
		arg->num = json_integer_value(v);
		if (arg->type != 'l' && json_integer_value(v) < 0)
			return err_set(err, -EINVAL,
				       "Parameter '%s' expects a %s", arg->key,
				       arg->type == 'i' ? "number" : "size");
		if (arg->type == 'i' && arg->num > UINT32_MAX)
			return err_set(err, -ERANGE,
				       "Parameter '%s' expects uint32_t",
				       arg->key);
		break;
	case 'J': arg->json = json_incref((json_t *)v); break;
	default:
		if (!json_is_string(v))
			return args_json_type(arg, "string", err);
		arg->str = xstrdup(json_string_value(v));
		break;
	}
	arg->present = true;
	return 0;
}

/* An option, or those of an object or array below it. */
static void args_json_option(struct opts *o, const char *key, const json_t *v)
{
	char number[32];
	const char *name;
	json_t *child;
	size_t i;

	json_object_foreach((json_t *)v, name, child)
	{
		/* {"str": X} in arrays is QEMU's way to write X. */
		char *below = !strcmp(name, "str")
				      ? xstrdup(key)
				      : xprintf("%s.%s", key, name);

		args_json_option(o, below, child);
		free(below);
	}
	json_array_foreach(v, i, child) args_json_option(o, key, child);
	if (json_is_string(v)) {
		opts_add(o, key, json_string_value(v));
	} else if (json_is_integer(v)) {
		snprintf(number, sizeof number, "%lld",
			 (long long)json_integer_value(v));
		opts_add(o, key, number);
	} else if (json_is_boolean(v)) {
		opts_add(o, key, json_is_true(v) ? "on" : "off");
	}
}

static void args_json_options(struct arg *arg, const json_t *object)
{
	struct buf text = { 0 };
	struct opts o;
	const char *key;
	json_t *v;

	opts_init(&o);
	json_object_foreach((json_t *)object, key, v)
		args_json_option(&o, key, v);
	opts_format(&o, &text);
	opts_fini(&o);
	arg->str = buf_steal(&text);
	arg->present = true;
}

static struct arg *args_json_find(struct args *a, const char *key)
{
	for (int i = 0; i < a->n; i++)
		if (!args_is_flag(&a->v[i]) && !strcmp(a->v[i].key, key))
			return &a->v[i];
	return NULL;
}

int args_from_json(struct args *a, const char *types, const json_t *object,
		   struct err *err)
{
	const char *key;
	json_t *v;

	a->n = 0;
	args_declare(a, types);
	if (a->n && a->v[0].type == 'O') {
		args_json_options(&a->v[0], object);
		return 0;
	}
	for (int i = 0; i < a->n; i++) {
		struct arg *arg = &a->v[i];
		int r;

		v = args_is_flag(arg) ? NULL
				      : json_object_get(object, arg->key);
		if (v) {
			r = args_json_one(arg, v, err);
			if (r < 0)
				return r;
		} else if (!args_is_flag(arg) && !arg->optional) {
			return err_set(err, -EINVAL,
				       "Parameter '%s' is missing", arg->key);
		}
	}
	json_object_foreach((json_t *)object, key, v) if (
		!args_json_find(a, key)) return err_set(err, -EINVAL,
							"Parameter '%.200s' is "
							"unexpected",
							key);
	return 0;
}

void args_fini(struct args *a)
{
	for (int i = 0; i < a->n; i++) {
		json_decref(a->v[i].json);
		free(a->v[i].str);
		opts_fini(&a->v[i].opts);
	}
	a->n = 0;
}

static const struct arg *args_get(const struct args *a, const char *key)
{
	for (int i = 0; i < a->n; i++)
		if (!strcmp(a->v[i].key, key))
			return &a->v[i];
	assert(!"undeclared argument");
	return NULL;
}

void args_give(struct args *a, const char *key, u64 num, const char *str)
{
	struct arg *arg = (struct arg *)args_get(a, key);

	arg->present = true;
	arg->num = num;
	free(arg->str);
	arg->str = xstrdup(str);
}

bool args_has(const struct args *a, const char *key)
{
	return args_get(a, key)->present;
}

u64 args_u64(const struct args *a, const char *key)
{
	return args_get(a, key)->num;
}

const char *args_str(const struct args *a, const char *key)
{
	return args_get(a, key)->str;
}

double args_seconds(const struct args *a, const char *key)
{
	return args_get(a, key)->seconds;
}

const struct mem_fmt *args_fmt(const struct args *a, const char *key)
{
	return &args_get(a, key)->fmt;
}

struct opts *args_opts(struct args *a, const char *key)
{
	return (struct opts *)&args_get(a, key)->opts;
}

const json_t *args_json(const struct args *a, const char *key)
{
	return args_get(a, key)->json;
}

char args_type_at(const char *types, int word)
{
	struct arg arg;

	while (args_row_next(&types, &arg)) {
		if (args_is_flag(&arg) || arg.type == '/')
			continue;
		if (!word-- || arg.type == 'S')
			return arg.type;
	}
	return 0;
}
