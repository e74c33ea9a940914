/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Numbers as users type them.  The whole string must be used up.
 */
#ifndef LIB_PARSE_H
#define LIB_PARSE_H

#include "lib/types.h"

/* Decimal, 0x hexadecimal or 0 octal.  -EINVAL, -ERANGE. */
int parse_u64(const char *s, u64 *ret);

/* QEMU sizes: decimal integer or fraction with B K M G T P E (either case),
 * or 0x hexadecimal; without suffix the number is multiplied by `unit`. */
int parse_size(const char *s, u64 unit, u64 *ret);

/* on/off, yes/no, true/false, y/n. */
int parse_bool(const char *s, bool *ret);

/* 8-4-4-4-12 hexadecimal digits. */
int parse_uuid(const char *s, u8 uuid[16]);

/* aa:bb:cc:dd:ee:ff, also with '-'. */
int parse_mac(const char *s, u8 mac[6]);

#endif
