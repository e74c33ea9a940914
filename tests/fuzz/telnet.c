/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Fuzzer: telnet's negotiation.  However the peer cuts its bytes they mean
 * the same, no byte is invented, and answers stay in proportion.
 */
#include "chardev/telnet.h"

#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/machine.h"

/* Data, answers and breaks of the whole, cut into pieces of that size. */
static size_t play(const u8 *data, size_t len, size_t piece, u8 *out,
		   struct telnet *t, u32 *breaks)
{
	size_t n = 0;

	memset(t, 0, sizeof *t);
	telnet_start(t);
	*breaks = 0;
	for (size_t at = 0; at < len; at += piece) {
		size_t part = MIN(piece, len - at), got;
		u8 *copy = malloc(part);
		u32 b = 0;

		if (!copy)
			abort();
		memcpy(copy, data + at, part);
		got = telnet_input(t, copy, part, &b);
		if (got > part)
			abort();
		memcpy(out + n, copy, got);
		n += got;
		*breaks += b;
		free(copy);
	}
	return n;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t len)
{
	u8 *a = malloc(len + 1), *b = malloc(len + 1);
	struct telnet t, u;
	u32 breaks_a, breaks_b;
	size_t na, nb;

	if (!a || !b)
		abort();
	if (len > 1) {
		na = play(data + 1, len - 1, len - 1, a, &t, &breaks_a);
		nb = play(data + 1, len - 1, data[0] % 16 + 1, b, &u,
			  &breaks_b);
		if (na != nb || memcmp(a, b, na) || breaks_a != breaks_b ||
		    t.reply.len != u.reply.len || t.reply.len > 64 + 3 * len ||
		    memcmp(t.reply.data, u.reply.data, t.reply.len))
			abort();
		telnet_fini(&t);
		telnet_fini(&u);
	}
	free(a);
	free(b);
	return 0;
}
