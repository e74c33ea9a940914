/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Fuzzer: keys and lines for a human session.  The first byte says in which
 * pieces they come; 64 and up turn the session's own syntax on first, 128 and
 * up are in script mode.
 */
#include "tests/fuzz/machine.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t len)
{
	static const char syntax[] = "set syntax on\nset status on\n";
	size_t more;
	u8 *text;

	if (!len)
		return 0;
	more = data[0] >= 64 ? sizeof syntax - 1 : 0;
	text = malloc(more + len);
	if (!text)
		abort();
	memcpy(text, syntax, more);
	memcpy(text + more, data + 1, len - 1);
	fuzz_session(data[0] >= 128 ? "script" : NULL, text, more + len - 1,
		     data[0] % 64 + 1);
	free(text);
	return 0;
}
