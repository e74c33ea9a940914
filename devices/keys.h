/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Keys by name, and chords typed in guest time: the keys go down one after
 * the other, stay down, and come up in reverse order.
 *
 * Locking: machine_lock.
 */
#ifndef DEVICES_KEYS_H
#define DEVICES_KEYS_H

#include <stddef.h>

#include "lib/types.h"
#include "vmm/vtimer.h"

struct err;

#define KEYS_CHORD_MAX 32   /* keys of one chord */
#define KEYS_QUEUE     1024 /* events that wait, presses and releases */

/* Scan code set 1, bit 7 for the prefix 0xe0; -ENOENT. */
int key_code(const char *name, size_t len);
const char *key_name(int i); /* i-th name, NULL behind the last */

/* The key of a US keyboard that types `c`, and whether Shift is held; -ENOENT. */
int key_of_char(char c, bool *ret_shift);
#define KEY_SHIFT 0x2a

struct key_event {
	u8 code;
	bool down;
	u32 hold_ms; /* until the next event */
};

struct keys {
	struct vtimer timer; /* armed: an event was given, and holds */
	/* The hardware: one key changes. */
	void (*emit)(void *opaque, u8 code, bool down);
	void *opaque;
	struct key_event queue[KEYS_QUEUE];
	u32 head, count;
};

void keys_init(struct keys *k, struct machine *m,
	       void (*emit)(void *opaque, u8 code, bool down), void *opaque);
void keys_reset(struct keys *k); /* forgets what was not typed yet */
/* Types a chord behind those that wait.  -EBUSY when there are too many. */
int keys_type(struct keys *k, const u8 *codes, int n, u32 hold_ms,
	      struct err *err);

#endif
