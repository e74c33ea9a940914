/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Fuzzer: what gdb's stub gets.  The first byte says in which pieces it
 * comes; with 64 and up each line is made a packet, with its checksum.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "tests/fuzz/machine.h"

/* "$LINE#SUM"; an empty line is Ctrl-C. */
static void put_packet(struct buf *out, const u8 *line, size_t len)
{
	u8 sum = 0;

	if (!len) {
		buf_putc(out, 3);
		return;
	}
	for (size_t i = 0; i < len; i++)
		sum += line[i];
	buf_putc(out, '$');
	buf_append(out, line, len);
	buf_printf(out, "#%02x", sum);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t len)
{
	struct buf out = { 0 };
	size_t at = 1;

	if (!len)
		return 0;
	while (data[0] >= 64 && at < len) {
		const u8 *end = memchr(data + at, '\n', len - at);
		size_t n = end ? (size_t)(end - data) - at : len - at;

		put_packet(&out, data + at, n);
		at += n + 1;
	}
	if (data[0] < 64)
		buf_append(&out, data + 1, len - 1);
	fuzz_session("gdb", (const u8 *)out.data, out.len, data[0] % 64 + 1);
	buf_fini(&out);
	return 0;
}
