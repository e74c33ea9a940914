/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Device state as tables of fields: one description serves reset checks,
 * save, load and tests.  Values travel little-endian, in table order.
 */
#ifndef VMM_STATE_H
#define VMM_STATE_H

#include "lib/types.h"

struct buf;
struct err;

enum state_kind {
	STATE_U8,
	STATE_U16,
	STATE_U32,
	STATE_U64,
	STATE_BOOL,
	STATE_BYTES,  /* `size` bytes */
	STATE_VTIMER, /* armed flag and remaining time */
};

struct state_field {
	const char *name;
	enum state_kind kind;
	size_t offset;
	u32 count;  /* array length; 1 for a scalar */
	u32 stride; /* bytes between elements */
	u32 size;   /* STATE_BYTES: bytes of one element */
};

/* clang-format off */
#define STATE_(k, type, field) \
	{ #field, k, offsetof(type, field), 1, 0, sizeof(((type *)0)->field) }
#define STATE_ARRAY_(k, type, field)                                       \
	{ #field, k, offsetof(type, field), ARRAY_SIZE(((type *)0)->field), \
	  sizeof(((type *)0)->field[0]), sizeof(((type *)0)->field[0]) }
#define STATE_END { NULL, STATE_U8, 0, 0, 0, 0 }
/* clang-format on */

/* Appends the fields of `obj`. */
void state_save(const struct state_field *fields, const void *obj,
		struct buf *out);
/* Reads them back; -EINVAL with the field's name when `len` is short. */
int state_load(const struct state_field *fields, void *obj, const void *data,
	       size_t len, size_t *ret_used, struct err *err);

#endif
