/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Numbers as users type them.
 */
#include "lib/parse.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int parse_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Digits at *s in `base`; moves *s behind them. */
static int parse_digits(const char **s, u32 base, u64 *ret)
{
	const char *p = *s;
	u64 v = 0;

	for (; *p; p++) {
		int digit = parse_hex_digit(*p);

		if (digit < 0 || (u32)digit >= base)
			break;
		if (__builtin_mul_overflow(v, (u64)base, &v) ||
		    __builtin_add_overflow(v, (u64)digit, &v))
			return -ERANGE;
	}
	if (p == *s)
		return -EINVAL;
	*s = p;
	*ret = v;
	return 0;
}

static bool parse_is_hex(const char *s)
{
	return s[0] == '0' && (s[1] == 'x' || s[1] == 'X');
}

int parse_u64(const char *s, u64 *ret)
{
	u32 base = 10;
	u64 v;
	int r;

	if (parse_is_hex(s)) {
		base = 16;
		s += 2;
	} else if (s[0] == '0' && s[1]) {
		base = 8;
		s++;
	}
	r = parse_digits(&s, base, &v);
	if (r < 0)
		return r;
	if (*s)
		return -EINVAL;
	*ret = v;
	return 0;
}

/* Shift count of a size suffix, -1 for anything else. */
static int parse_suffix(char c)
{
	static const char suffixes[] = "bkmgtpe";
	const char *p = c ? strchr(suffixes, tolower((unsigned char)c)) : NULL;

	return p ? 10 * (int)(p - suffixes) : -1;
}

/* numerator / denominator of the digits behind the point; what is beyond
 * 18 digits is below a byte for every suffix and ignored. */
static int parse_fraction(const char **s, u64 *num, u64 *den)
{
	const char *p = *s;

	*num = 0;
	*den = 1;
	for (; *p >= '0' && *p <= '9'; p++) {
		if (*den >= 1000000000000000000ull)
			continue;
		*num = *num * 10 + (u64)(*p - '0');
		*den *= 10;
	}
	if (p == *s)
		return -EINVAL;
	*s = p;
	return 0;
}

int parse_size(const char *s, u64 unit, u64 *ret)
{
	u64 v, num = 0, den = 1;
	bool hex = parse_is_hex(s);
	int shift, r;
	u128 size;

	if (hex)
		s += 2;
	r = parse_digits(&s, hex ? 16 : 10, &v);
	if (r < 0)
		return r;
	if (*s == '.' && !hex) {
		s++;
		r = parse_fraction(&s, &num, &den);
		if (r < 0)
			return r;
	}
	/* After hexadecimal digits a suffix would be ambiguous (B, E). */
	shift = hex ? -1 : parse_suffix(*s);
	if (shift >= 0) {
		unit = 1ull << shift;
		s++;
	}
	if (*s)
		return -EINVAL;
	if (unit == 0)
		unit = 1;
	if (num && unit == 1)
		return -EINVAL;
	size = (u128)v * unit + (u128)num * unit / den;
	if (size > UINT64_MAX)
		return -ERANGE;
	*ret = size;
	return 0;
}

int parse_bool(const char *s, bool *ret)
{
	static const char *const yes[] = { "on", "yes", "true", "y" };
	static const char *const no[] = { "off", "no", "false", "n" };

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		if (!strcmp(s, yes[i])) {
			*ret = true;
			return 0;
		}
		if (!strcmp(s, no[i])) {
			*ret = false;
			return 0;
		}
	}
	return -EINVAL;
}

/* Two hexadecimal digits. */
static int parse_byte(const char *s, u8 *ret)
{
	int hi = parse_hex_digit(s[0]);
	int lo = hi < 0 ? -1 : parse_hex_digit(s[1]);

	if (lo < 0)
		return -EINVAL;
	*ret = hi << 4 | lo;
	return 0;
}

int parse_uuid(const char *s, u8 uuid[16])
{
	u8 out[16];

	for (int i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			if (*s++ != '-')
				return -EINVAL;
		if (parse_byte(s, &out[i]) < 0)
			return -EINVAL;
		s += 2;
	}
	if (*s)
		return -EINVAL;
	memcpy(uuid, out, sizeof(out));
	return 0;
}

int parse_mac(const char *s, u8 mac[6])
{
	u8 out[6];

	for (int i = 0; i < 6; i++) {
		if (i && *s != ':' && *s != '-')
			return -EINVAL;
		s += i != 0;
		if (parse_byte(s, &out[i]) < 0)
			return -EINVAL;
		s += 2;
	}
	if (*s)
		return -EINVAL;
	memcpy(mac, out, sizeof(out));
	return 0;
}
