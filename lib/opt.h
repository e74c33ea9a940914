/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * "driver,key=value,flag" option strings and the rows that describe them.
 *
 * One row type serves -device, -drive, -netdev, -chardev, -machine and the
 * monitor's *_add commands: parsing, defaults, ranges, help text and
 * completion come from the row.
 *
 * Syntax as in QEMU: pairs are separated by ',', ",," is a literal comma, a
 * bare word is the implied key's value when it comes first and there is an
 * implied key, else a flag (`word` = on, `noword` = off).
 */
#ifndef LIB_OPT_H
#define LIB_OPT_H

#include "lib/list.h"
#include "lib/types.h"

struct err;
struct buf;
struct option_row;

/* How one kind of value is parsed into a field and printed from it.  Other
 * folders add kinds (a chardev by id, a drive by id, ...). */
struct opt_type {
	const char *name; /* in help: "size", "bool", "int", "str" */
	int (*parse)(void *field, const char *value,
		     const struct option_row *row, struct err *err);
	void (*format)(const void *field, const struct option_row *row,
		       struct buf *out);
	void (*fini)(void *field); /* may be NULL */
};

struct option_row {
	const char *name;
	const struct opt_type *type;
	size_t offset;	  /* of the field in the owner */
	const char *def;  /* default as the user would type it; NULL: zero */
	const char *help;
	const void *arg;  /* per type: names of an enum, struct opt_range */
};

/* clang-format off */
#define OPTION_END { NULL, NULL, 0, NULL, NULL, NULL }
/* clang-format on */

struct opt_range {
	u64 min, max;
};

/* Field types in the comments.  Integer rows honour struct opt_range. */
extern const struct opt_type opt_bool;	/* bool */
extern const struct opt_type opt_onoffauto; /* int: 0 off, 1 on, -1 auto */
extern const struct opt_type opt_u8;	/* u8 */
extern const struct opt_type opt_u16;	/* u16 */
extern const struct opt_type opt_u32;	/* u32 */
extern const struct opt_type opt_u64;	/* u64 */
extern const struct opt_type opt_size;	/* u64, bytes unless suffixed */
extern const struct opt_type opt_str;	/* char *, owned by the field */
extern const struct opt_type opt_enum;	/* int; arg: NULL-ended names */
extern const struct opt_type opt_mac;	/* u8[6] */

struct opt {
	char *key;   /* owned */
	char *value; /* owned */
	bool bare;   /* typed as `key` or `nokey` */
	bool used;
	struct list node;
};

/* Parsed but not yet interpreted options, in order, repeats kept. */
struct opts {
	struct list list;
};

/* `implied` may be NULL.  -EINVAL with the offending word. */
int opts_parse(struct opts *o, const char *text, const char *implied,
	       struct err *err);
void opts_init(struct opts *o);
void opts_fini(struct opts *o);
/* Last value of `key`, or NULL; marks every occurrence as used. */
const char *opts_take(struct opts *o, const char *key);
const char *opts_peek(const struct opts *o, const char *key);
void opts_add(struct opts *o, const char *key, const char *value);
/* Back to text, with commas doubled. */
void opts_format(const struct opts *o, struct buf *out);

/* Writes every row's default, then every matching unused option, into
 * `owner`, and marks those used.  -EINVAL names key, value, and what is
 * accepted.  On failure the fields hold values that opt_rows_fini() can
 * release. */
int opts_apply(struct opts *o, const struct option_row *rows, void *owner,
	       struct err *err);
/* -EINVAL naming the first unused key and listing the names of `rows`
 * (which may be NULL), e.g. "property 'x' not found; accepted: a, b". */
int opts_check_used(const struct opts *o, const struct option_row *rows,
		    struct err *err);

/* Sets one field by name, for set-at-run-time properties. */
int opt_set(const struct option_row *rows, void *owner, const char *name,
	    const char *value, struct err *err);
void opt_rows_fini(const struct option_row *rows, void *owner);
/* "  name=<type>    - help (default: x)" per row. */
void opt_rows_help(const struct option_row *rows, struct buf *out);

#endif
