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

/* Length of the UTF-8 sequence at `s`, 0 when there is none. */
static int val_utf8(const char *s)
{
	const u8 *p = (const u8 *)s;
	int n = p[0] < 0x80   ? 1
		: p[0] < 0xc2 ? 0
		: p[0] < 0xe0 ? 2
		: p[0] < 0xf0 ? 3
		: p[0] < 0xf5 ? 4
			      : 0;

	for (int i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	/* Overlong forms, surrogates, beyond Unicode. */
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
	    (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return n;
}

json_t *val_string(const char *s)
{
	json_t *v = json_string(s);
	struct buf b = { 0 };

	if (v)
		return v;
	while (*s) {
		int n = val_utf8(s);

		if (n)
			buf_append(&b, s, n);
		else
			buf_puts(&b, "\xef\xbf\xbd"); /* U+FFFD */
		s += n ? n : 1;
	}
	v = json_string(buf_str(&b));
	buf_fini(&b);
	return v;
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
