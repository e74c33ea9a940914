/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Commands that press keys.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/keys.h"
#include "devices/pc.h"
#include "lib/err.h"
#include "monitor/qmp.h"
#include "vmm/machine.h"

#define HOLD_MS      100
#define TYPE_HOLD_MS 10

struct chord {
	u8 codes[KEYS_CHORD_MAX];
	int n;
};

static int input_append(struct chord *c, u64 code, struct err *err)
{
	if (code == 0 || code > 0xff)
		return 0; /* no key has it */
	if (c->n == KEYS_CHORD_MAX)
		return err_set(err, -E2BIG, "at most %d keys at a time",
			       KEYS_CHORD_MAX);
	c->codes[c->n++] = code;
	return 0;
}

/* One name, "<", or a scan code "0x1e"; -ENOENT. */
static int input_code(const char *name, size_t len, u64 *ret)
{
	char *end;
	int code;

	*ret = 0;
	if (len > 2 && name[0] == '0' && name[1] == 'x') {
		*ret = strtoull(name, &end, 16);
		return end == name + len ? 0 : -ENOENT;
	}
	if (len == 1 && name[0] == '<')
		code = key_code("less", 4);
	else
		code = key_code(name, len);
	*ret = code;
	return code < 0 ? code : 0;
}

static int input_type(struct monitor *mon, const struct chord *c, u64 hold_ms,
		      struct err *err)
{
	if (!mon->m->keyboard)
		return err_set(err, -ENODEV, "there is no keyboard");
	return i8042_type(mon->m->keyboard, c->codes, c->n,
			  MIN(hold_ms, UINT32_MAX), err);
}

int cmd_sendkey(struct monitor *mon, const struct args *a, struct err *err)
{
	const char *at = args_str(a, "keys");
	struct chord c = { .n = 0 };
	u64 code;
	int r;

	for (;;) {
		size_t len = strcspn(at, "-");

		if (input_code(at, len, &code) < 0) {
			/* QEMU's words, which have no prefix */
			mon_printf(mon, "invalid parameter: %.*s\n", (int)len,
				   at);
			return -EINVAL;
		}
		r = input_append(&c, code, err);
		if (r < 0)
			return r;
		if (!at[len])
			break;
		at += len + 1;
	}
	return input_type(mon, &c,
			  args_has(a, "hold-time") ? args_u64(a, "hold-time")
						   : HOLD_MS,
			  err);
}

/* Nothing is typed when no keyboard could type all of it. */
static int input_check(const char *text, struct err *err)
{
	int events = 0;

	for (const char *p = text; *p; p++) {
		bool shift;

		if (key_of_char(*p, &shift) < 0)
			return err_set(err, -EINVAL,
				       "no key of a US keyboard types byte "
				       "0x%02x",
				       (u8)*p);
		events += shift ? 4 : 2;
	}
	if (events > KEYS_QUEUE)
		return err_set(err, -E2BIG,
			       "too long; %d capital or %d other characters "
			       "are typed at once",
			       KEYS_QUEUE / 4, KEYS_QUEUE / 2);
	return 0;
}

int cmd_type(struct monitor *mon, const struct args *a, struct err *err)
{
	const char *text = args_str(a, "text");
	u64 hold_ms = args_has(a, "hold-time") ? args_u64(a, "hold-time")
					       : TYPE_HOLD_MS;
	int r = input_check(text, err);

	for (const char *p = text; *p && r == 0; p++) {
		struct chord c = { .n = 0 };
		bool shift;
		int code = key_of_char(*p, &shift);

		if (shift)
			c.codes[c.n++] = KEY_SHIFT;
		c.codes[c.n++] = (u8)code;
		r = input_type(mon, &c, hold_ms, err);
	}
	return r;
}

/* ---- QMP ---- */

/* {"type": "qcode", "data": "a"} or {"type": "number", "data": 30} */
static int input_value(const json_t *v, u64 *ret, struct err *err)
{
	const char *type = val_str(v, "type"), *name = val_str(v, "data");
	const json_t *data = json_object_get(v, "data");
	int code;

	*ret = 0;
	if (!strcmp(type, "number") && json_is_integer(data)) {
		*ret = (u64)json_integer_value(data);
		return 0;
	}
	if (strcmp(type, "qcode") || !json_is_string(data))
		return err_set(err, -EINVAL,
			       "Parameter 'keys' expects names of type qcode "
			       "and integers of type number");
	code = key_code(name, strlen(name));
	if (code < 0)
		return err_set(err, -EINVAL,
			       "Parameter 'data' does not accept value '%s'",
			       name);
	*ret = code;
	return 0;
}

int cmd_qmp_send_key(struct monitor *mon, const struct args *a, struct err *err)
{
	const json_t *keys = args_json(a, "keys");
	struct chord c = { .n = 0 };
	u64 code;
	size_t i;
	json_t *v;
	int r;

	if (!json_is_array(keys))
		return err_set(err, -EINVAL,
			       "Invalid parameter type for 'keys', expected: "
			       "array");
	json_array_foreach(keys, i, v)
	{
		r = input_value(v, &code, err);
		if (r == 0)
			r = input_append(&c, code, err);
		if (r < 0)
			return r;
	}
	return input_type(mon, &c,
			  args_has(a, "hold-time") ? args_u64(a, "hold-time")
						   : HOLD_MS,
			  err);
}
