/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Fuzzer: what a QMP session gets.  The first byte says in which pieces it
 * comes; with 64 and up, the session is negotiated first.
 */
#include "tests/fuzz/machine.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t len)
{
	static const char hello[] = "{'execute':'qmp_capabilities'}";
	size_t more;
	u8 *text;

	if (!len)
		return 0;
	more = data[0] >= 64 ? sizeof hello - 1 : 0;
	text = malloc(more + len);
	if (!text)
		abort();
	memcpy(text, hello, more);
	memcpy(text + more, data + 1, len - 1);
	fuzz_session("control", text, more + len - 1, data[0] % 64 + 1);
	free(text);
	return 0;
}
