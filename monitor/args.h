/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Argument letters: what a command row says its arguments are.
 *
 * A row's types are "key:type" pairs joined by commas; '?' after the type
 * makes it optional.
 *
 *   s word or "string"   F file name   B block device   S rest of the line
 *   O key=value,...: struct opts, `key` is the implied key
 *   i 32-bit expression  l 64-bit expression  M MiB expression
 *   o size, MiB without suffix   T seconds with ms/us/ns   b on|off
 *   / format   i. index after a '.'   -x flag   -xs flag with a value
 *
 * Flags stand anywhere between the arguments, in any order; flags without
 * value may be bundled ("-nv").
 */
#ifndef MONITOR_ARGS_H
#define MONITOR_ARGS_H

#include <jansson.h>

#include "lib/opt.h"
#include "lib/types.h"

struct err;
struct expr_env;

#define ARGS_MAX       24
#define ARG_STRING_MAX 1023 /* bytes of one word or string */

/* "/16xb": zero where the user gave nothing. */
struct mem_fmt {
	u32 count;   /* 1 without a number; saturates */
	char format; /* x d u o c i */
	u8 size;     /* 1 2 4 8 */
};

struct arg {
	char key[20];
	char type; /* letter above; '-' for a flag, '=' with a value */
	char flag;
	bool optional;
	bool present;
	u64 num;
	double seconds;
	char *str; /* owned */
	json_t *json; /* owned */
	struct opts opts;
	struct mem_fmt fmt;
};

struct args {
	struct arg v[ARGS_MAX];
	int n;
};

/* Parses `text` (what follows the command word).  `common` holds flags that
 * every command of a table understands.  -EINVAL with the message line that
 * QEMU prints; `name` is what it calls the command there. */
int args_parse(struct args *a, const char *types, const char *common,
	       const char *name, const char *text, const struct expr_env *env,
	       struct err *err);
/* From a JSON object, which may be NULL, with QMP's messages.  There flags
 * cannot be given, sizes are bytes, and two types mean other things:
 *
 *   O all members as one option string, in `str`   J any value, in `json`
 */
int args_from_json(struct args *a, const char *types, const json_t *object,
		   struct err *err);
void args_fini(struct args *a);
/* Appends what a row declares, without values. */
void args_declare(struct args *a, const char *types);
/* Gives a declared argument; `str` may be NULL. */
void args_give(struct args *a, const char *key, u64 num, const char *str);

/* A key that the row does not declare is a bug and aborts. */
bool args_has(const struct args *a, const char *key); /* given; flag set */
u64 args_u64(const struct args *a, const char *key);  /* 0 when absent */
const char *args_str(const struct args *a, const char *key); /* or NULL */
double args_seconds(const struct args *a, const char *key);
const struct mem_fmt *args_fmt(const struct args *a, const char *key);
struct opts *args_opts(struct args *a, const char *key);
const json_t *args_json(const struct args *a, const char *key); /* or NULL */

/* Type of the positional argument that word number `word` (0 is the first)
 * of `types` fills, flags not counted; 0 when there is none. */
char args_type_at(const char *types, int word);

#endif
