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
	case '!':
		if (!e->env->c)
			break;
		expr_next(e);
		r = expr_operand(e, ret);
		*ret = !*ret;
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
	for (p = e->p; *p && strchr("+-~! \t", *p); p++)
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

enum expr_op {
	OP_OR,
	OP_AND,
	OP_EQ,
	OP_NE,
	OP_LE,
	OP_GE,
	OP_SHL,
	OP_SHR,
	OP_BIT_OR,
	OP_BIT_XOR,
	OP_BIT_AND,
	OP_LT,
	OP_GT,
	OP_PLUS,
	OP_MINUS,
	OP_MUL,
	OP_DIV,
	OP_MOD,
};

/* How strongly each binds, 1 the least; 0: it does not exist.  The longer
 * come first. */
static const struct expr_binary {
	const char *text;
	enum expr_op op;
	u8 qemu, c;
} expr_binaries[] = {
	{ "||", OP_OR, 0, 1 },     { "&&", OP_AND, 0, 2 },
	{ "==", OP_EQ, 0, 6 },     { "!=", OP_NE, 0, 6 },
	{ "<=", OP_LE, 0, 7 },     { ">=", OP_GE, 0, 7 },
	{ "<<", OP_SHL, 0, 8 },    { ">>", OP_SHR, 0, 8 },
	{ "|", OP_BIT_OR, 2, 3 },  { "^", OP_BIT_XOR, 2, 4 },
	{ "&", OP_BIT_AND, 2, 5 }, { "<", OP_LT, 0, 7 },
	{ ">", OP_GT, 0, 7 },      { "+", OP_PLUS, 1, 9 },
	{ "-", OP_MINUS, 1, 9 },   { "*", OP_MUL, 3, 10 },
	{ "/", OP_DIV, 3, 10 },    { "%", OP_MOD, 3, 10 },
};

static u8 expr_strength(const struct expr *e, const struct expr_binary *b)
{
	return e->env->c ? b->c : b->qemu;
}

/* The operator that follows, or NULL. */
static const struct expr_binary *expr_peek(const struct expr *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(expr_binaries); i++) {
		const struct expr_binary *b = &expr_binaries[i];

		if (expr_strength(e, b) &&
		    !strncmp(e->p, b->text, strlen(b->text)))
			return expr_ends_here(e) ? NULL : b;
	}
	return NULL;
}

static int expr_apply(struct expr *e, enum expr_op op, u64 *a, u64 b)
{
	s64 x = (s64)*a, y = (s64)b;

	switch (op) {
	case OP_OR: *a = *a || b; break;
	case OP_AND: *a = *a && b; break;
	case OP_EQ: *a = x == y; break;
	case OP_NE: *a = x != y; break;
	case OP_LE: *a = x <= y; break;
	case OP_GE: *a = x >= y; break;
	case OP_SHL: *a = b < 64 ? *a << b : 0; break;
	case OP_SHR: *a = (u64)(x >> MIN(b, (u64)63)); break;
	case OP_BIT_OR: *a |= b; break;
	case OP_BIT_XOR: *a ^= b; break;
	case OP_BIT_AND: *a &= b; break;
	case OP_LT: *a = x < y; break;
	case OP_GT: *a = x > y; break;
	case OP_PLUS: *a += b; break;
	case OP_MINUS: *a -= b; break;
	case OP_MUL: *a *= b; break;
	case OP_DIV: return expr_divide(e, '/', *a, b, a);
	case OP_MOD: return expr_divide(e, '%', *a, b, a);
	}
	return 0;
}

/* Operands, joined by what binds at least so strongly. */
static int expr_joined(struct expr *e, u8 strength, u64 *ret)
{
	const struct expr_binary *b;
	u64 right;
	int r = expr_unary(e, ret);

	while (!r && (b = expr_peek(e)) && expr_strength(e, b) >= strength) {
		e->p += strlen(b->text);
		expr_skip(e);
		r = expr_joined(e, expr_strength(e, b) + 1, &right);
		if (!r)
			r = expr_apply(e, b->op, ret, right);
	}
	return r;
}

static int expr_sum(struct expr *e, u64 *ret)
{
	return expr_joined(e, 1, ret);
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
