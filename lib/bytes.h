/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Unaligned little- and big-endian access to byte arrays.
 */
#ifndef LIB_BYTES_H
#define LIB_BYTES_H

#include <endian.h>
#include <string.h>

#include "lib/types.h"

#define BYTES_ACCESSORS(bits)                            \
	static inline u##bits get_le##bits(const void *p) \
	{                                                \
		u##bits v;                               \
		memcpy(&v, p, sizeof v);                 \
		return le##bits##toh(v);                 \
	}                                                \
	static inline u##bits get_be##bits(const void *p) \
	{                                                \
		u##bits v;                               \
		memcpy(&v, p, sizeof v);                 \
		return be##bits##toh(v);                 \
	}                                                \
	static inline void put_le##bits(void *p, u##bits v) \
	{                                                \
		v = htole##bits(v);                      \
		memcpy(p, &v, sizeof v);                 \
	}                                                \
	static inline void put_be##bits(void *p, u##bits v) \
	{                                                \
		v = htobe##bits(v);                      \
		memcpy(p, &v, sizeof v);                 \
	}

/* clang-format off */
BYTES_ACCESSORS(16)
BYTES_ACCESSORS(32)
BYTES_ACCESSORS(64)
/* clang-format on */

#undef BYTES_ACCESSORS

#endif
