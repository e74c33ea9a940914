/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Keys by name, and chords typed in guest time.
 */
#include "devices/keys.h"

#include <errno.h>
#include <string.h>

#include "lib/err.h"

static const struct {
	const char *name;
	u8 code;
} key_table[] = {

#define KEY(name, code) { name, code },
#include "devices/keys.def"
#undef KEY
};

int key_code(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(key_table); i++)
		if (strlen(key_table[i].name) == len &&
		    !strncmp(key_table[i].name, name, len))
			return key_table[i].code;
	return -ENOENT;
}

const char *key_name(int i)
{
	return i < (int)ARRAY_SIZE(key_table) ? key_table[i].name : NULL;
}

/* Gives events until one that holds. */
static void keys_step(void *arg)
{
	struct keys *k = arg;

	while (k->count && !vtimer_armed(&k->timer)) {
		const struct key_event e = k->queue[k->head];

		k->head = (k->head + 1) % KEYS_QUEUE;
		k->count--;
		k->emit(k->opaque, e.code, e.down);
		if (e.hold_ms)
			vtimer_set(&k->timer, vclock_now(k->timer.m) +
						      e.hold_ms * NS_PER_MS);
	}
}

int key_of_char(char c, bool *ret_shift)
{
	static const char plain[] = "`1234567890-=qwertyuiop[]\\"
				    "asdfghjkl;'zxcvbnm,./ \n\t\b\033";
	static const char shifted[] = "~!@#$%^&*()_+QWERTYUIOP{}|"
				      "ASDFGHJKL:\"ZXCVBNM<>?";
	static const u8 codes[] = {
		0x29, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09,
		0x0a, 0x0b, 0x0c, 0x0d, 0x10, 0x11, 0x12, 0x13, 0x14,
		0x15, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x2b, 0x1e,
		0x1f, 0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27,
		0x28, 0x2c, 0x2d, 0x2e, 0x2f, 0x30, 0x31, 0x32, 0x33,
		0x34, 0x35, 0x39, 0x1c, 0x0f, 0x0e, 0x01,
	};
	const char *at = c ? strchr(plain, c) : NULL;

	_Static_assert(sizeof codes == sizeof plain - 1, "a code for each");
	*ret_shift = false;
	if (at)
		return codes[at - plain];
	at = c ? strchr(shifted, c) : NULL;
	*ret_shift = true;
	return at ? codes[at - shifted] : -ENOENT;
}

void keys_init(struct keys *k, struct machine *m,
	       void (*emit)(void *opaque, u8 code, bool down), void *opaque)
{
	vtimer_init(&k->timer, m, keys_step, k);
	k->emit = emit;
	k->opaque = opaque;
	k->head = k->count = 0;
}

void keys_reset(struct keys *k)
{
	if (k->timer.m)
		vtimer_cancel(&k->timer);
	k->head = k->count = 0;
}

static void keys_append(struct keys *k, u8 code, bool down, u32 hold_ms)
{
	k->queue[(k->head + k->count++) % KEYS_QUEUE] =
		(struct key_event){ code, down, hold_ms };
}

int keys_type(struct keys *k, const u8 *codes, int n, u32 hold_ms,
	      struct err *err)
{
	if (k->count + 2 * n > KEYS_QUEUE)
		return err_set(err, -EBUSY, "%u keys wait to be typed",
			       k->count / 2);
	for (int i = 0; i < n; i++)
		keys_append(k, codes[i], true, hold_ms);
	for (int i = n - 1; i >= 0; i--)
		keys_append(k, codes[i], false, hold_ms);
	keys_step(k);
	return 0;
}
