/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Expressions by recursive descent, one function per grammar rule.
 *
 * All arithmetic is done unsigned, where wrapping is defined; division looks
 * at the one quotient that does not fit.
 */
#include "monitor/expr.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "lib/err.h"

#define EXPR_DEPTH_MAX 200
#define EXPR_NAME_MAX  128

struct expr {
	const char *p;
	const char *start;
	const struct expr_env *env;
	struct err *err;
	int depth;
};

static int expr_sum(struct expr *e, u64 *ret);

static void expr_skip(struct expr *e)
{
	while (isspace((unsigned char)*e->p))
		e->p++;
}

static void expr_next(struct expr *e)
{
	e->p++;
	expr_skip(e);
}

static int expr_fail(struct expr *e, const char *msg)
{
	return err_set(e->err, -EINVAL, "%s", msg);
}

static int expr_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 99;
}

static int expr_number(struct expr *e, u64 *ret)
{
	int base = 10;
	u64 v = 0;

	if (e->p[0] == '0' && (e->p[1] | 0x20) == 'x' &&
	    expr_digit(e->p[2]) < 16) {
		base = 16;
		e->p += 2;
	} else if (e->p[0] == '0') {
		base = 8;
	}
	for (; expr_digit(*e->p) < base; e->p++) {
		if (__builtin_mul_overflow(v, (u64)base, &v) ||
		    __builtin_add_overflow(v, (u64)expr_digit(*e->p), &v))
			return expr_fail(e, "number too large");
	}
	expr_skip(e);
	*ret = v;
	return 0;
}

static int expr_char(struct expr *e, u64 *ret)
{
	u8 c;

	e->p++;
	if (!*e->p)
		return expr_fail(e, "character constant expected");
	c = *e->p++;
	if (*e->p != '\'')
		return expr_fail(e, "missing terminating ' character");
	expr_next(e);
	*ret = c;
	return 0;
}

static size_t expr_name(struct expr *e, char *name, size_t size)
{
	size_t n = 0;

	while (isalnum((unsigned char)*e->p) || *e->p == '_' || *e->p == '.' ||
	       (n == 0 && *e->p == '?')) {
		if (n < size - 1)
			name[n++] = *e->p;
		e->p++;
	}
	name[n] = '\0';
	expr_skip(e);
	return n;
}

static int expr_register(struct expr *e, u64 *ret)
{
	char name[32];
	size_t n;

	e->p++;
	n = expr_name(e, name, sizeof name);
	if (!n || !e->env->reg || e->env->reg(e->env->opaque, name, ret) < 0)
		return expr_fail(e, "unknown register");
	return 0;
}

/* True, and behind it, when the guest's symbols have the name. */
static bool expr_symbol(struct expr *e, u64 *ret)
{
	const char *start = e->p;
	char name[EXPR_NAME_MAX];

	if (!e->env->symbol || !expr_name(e, name, sizeof name) ||
	    e->env->symbol(e->env->opaque, name, ret) < 0) {
		e->p = start;
		return false;
	}
	return true;
}

static int expr_operand(struct expr *e, u64 *ret)
{
	u8 c = *e->p;
	int r;

	switch (c) {
	case '+': expr_next(e); return expr_operand(e, ret);
	case '-':
		expr_next(e);
		r = expr_operand(e, ret);
		*ret = 0 - *ret;
		return r;
	case '~':
		expr_next(e);
		r = expr_operand(e, ret);
		*ret = ~*ret;
		return r;
	case '(':
		expr_next(e);
		r = expr_sum(e, ret);
		if (r < 0)
			return r;
		if (*e->p != ')')
			return expr_fail(e, "')' expected");
		expr_next(e);
		return 0;
	case '\'': return expr_char(e, ret);
	case '$': return expr_register(e, ret);
	case '\0': return expr_fail(e, "unexpected end of expression");
	}
	if (isdigit(c))
		return expr_number(e, ret);
	if ((isalpha(c) || c == '_') && expr_symbol(e, ret))
		return 0;
	if (isprint(c))
		return err_set(e->err, -EINVAL,
			       "invalid char '%c' in expression", c);
	return err_set(e->err, -EINVAL, "invalid char '\\x%02x' in expression",
		       c);
}

static int expr_unary(struct expr *e, u64 *ret)
{
	const char *p;
	int r, signs = 0;

	/* Signs recurse too: bound them before expr_operand() follows. */
	for (p = e->p; *p && strchr("+-~ \t", *p); p++)
		signs += *p != ' ' && *p != '\t';
	e->depth += signs + 1;
	if (e->depth > EXPR_DEPTH_MAX)
		return expr_fail(e, "expression is nested too deeply");
	*ret = 0;
	r = expr_operand(e, ret);
	e->depth -= signs + 1;
	return r;
}

static int expr_divide(struct expr *e, char op, u64 a, u64 b, u64 *ret)
{
	if (!b)
		return expr_fail(e, "division by zero");
	if (b == UINT64_MAX) /* INT64_MIN / -1 would trap */
		*ret = op == '/' ? 0 - a : 0;
	else
		*ret = op == '/' ? (u64)((s64)a / (s64)b)
				 : (u64)((s64)a % (s64)b);
	return 0;
}

/* After a blank: what the environment says is not ours to read. */
static bool expr_ends_here(const struct expr *e)
{
	u8 next = *e->p ? e->p[1] : 0;

	if (e->p == e->start || !isspace((unsigned char)e->p[-1]))
		return false;
	if (*e->p == '/')
		return e->env->path_ends &&
		       (isalpha(next) || next == '_' || next == '.');
	return *e->p == '-' && e->env->flag_ends && isalpha(next);
}

static int expr_prod(struct expr *e, u64 *ret)
{
	u64 b;
	int r = expr_unary(e, ret);

	while (!r && *e->p && strchr("*/%", *e->p) && !expr_ends_here(e)) {
		char op = *e->p;

		expr_next(e);
		r = expr_unary(e, &b);
		if (r < 0)
			return r;
		if (op == '*')
			*ret *= b;
		else
			r = expr_divide(e, op, *ret, b, ret);
	}
	return r;
}

static int expr_logic(struct expr *e, u64 *ret)
{
	u64 b;
	int r = expr_prod(e, ret);

	while (!r && *e->p && strchr("&|^", *e->p)) {
		char op = *e->p;

		expr_next(e);
		r = expr_prod(e, &b);
		if (r < 0)
			return r;
		if (op == '&')
			*ret &= b;
		else if (op == '|')
			*ret |= b;
		else
			*ret ^= b;
	}
	return r;
}

static int expr_sum(struct expr *e, u64 *ret)
{
	u64 b;
	int r = expr_logic(e, ret);

	while (!r && (*e->p == '+' || *e->p == '-') && !expr_ends_here(e)) {
		char op = *e->p;

		expr_next(e);
		r = expr_logic(e, &b);
		if (r < 0)
			return r;
		*ret = op == '+' ? *ret + b : *ret - b;
	}
	return r;
}

int expr_eval(const char **text, const struct expr_env *env, s64 *ret,
	      struct err *err)
{
	struct expr e = { .p = *text, .start = *text, .env = env, .err = err };
	u64 v;
	int r;

	expr_skip(&e);
	r = expr_sum(&e, &v);
	if (r < 0)
		return r;
	*text = e.p;
	*ret = v;
	return 0;
}
