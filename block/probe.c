/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Names an image format by the first bytes of the image.
 */
#include <string.h>

#include "block/internal.h"

/* clang-format off */
static const struct probe_magic {
	const char *format;
	u32 offset;
	u32 len;
	const char *bytes;
} probe_magics[] = {
	{ "qcow2",     0,  4,  "QFI\xfb" },
	{ "qed",       0,  4,  "QED\0" },
	{ "vmdk",      0,  4,  "KDMV" },
	{ "vmdk",      0,  4,  "COWD" },
	{ "vmdk",      0,  21, "# Disk DescriptorFile" },
	{ "vdi",       64, 4,  "\x7f\x10\xda\xbe" },
	{ "vhdx",      0,  8,  "vhdxfile" },
	{ "vpc",       0,  8,  "conectix" },
	{ "luks",      0,  6,  "LUKS\xba\xbe" },
	{ "parallels", 0,  16, "WithoutFreeSpace" },
	{ "parallels", 0,  16, "WithouFreSpacExt" },
	{ "bochs",     0,  22, "Bochs Virtual HD Image" },
	{ "cloop",     0,  31, "#!/bin/sh\n#V2.0 Format\nmodprobe" },
	{ "dmg",       0,  4,  "koly" },
};

/* clang-format on */

const char *probe_format(const u8 header[BLOCK_HEADER_BYTES])
{
	for (size_t i = 0; i < ARRAY_SIZE(probe_magics); i++) {
		const struct probe_magic *m = &probe_magics[i];

		if (!memcmp(header + m->offset, m->bytes, m->len))
			return m->format;
	}
	return NULL;
}
