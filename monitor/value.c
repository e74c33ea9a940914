/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Helpers for value trees.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/internal.h"

json_t *val_hex(u64 v)
{
	char text[24];

	snprintf(text, sizeof text, "0x%016llx", (unsigned long long)v);
	return json_string(text);
}

u64 val_u64(const json_t *obj, const char *key)
{
	const json_t *v = json_object_get(obj, key);

	if (json_is_string(v))
		return strtoull(json_string_value(v), NULL, 16);
	return json_integer_value(v);
}

const char *val_str(const json_t *obj, const char *key)
{
	const char *s = json_string_value(json_object_get(obj, key));

	return s ? s : "";
}

bool val_true(const json_t *obj, const char *key)
{
	return json_is_true(json_object_get(obj, key));
}

json_t *val_string(const char *s)
{
	json_t *v = json_string(s);

	return v ? v : json_string_nocheck(s);
}

json_t *val_text(struct buf *text)
{
	json_t *v = val_string(buf_str(text));

	buf_fini(text);
	return v;
}

void print_text(const json_t *v, struct buf *out)
{
	buf_append(out, json_string_value(v), json_string_length(v));
}
