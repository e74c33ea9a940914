/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Errors: -errno decides, one message explains.
 */
#include "lib/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

PRINTF_LIKE(4, 0)
static int err_vset(struct err *err, int code, bool explain, const char *fmt,
		    va_list ap)
{
	char text[64];
	int at;

	if (!err)
		return code;
	err->code = code;
	at = vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	if (explain && at >= 0 && (size_t)at < sizeof(err->msg))
		snprintf(err->msg + at, sizeof(err->msg) - at, ": %s",
			 strerror_r(-code, text, sizeof(text)));
	return code;
}

int err_set(struct err *err, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	err_vset(err, code, false, fmt, ap);
	va_end(ap);
	return code;
}

int err_errno(struct err *err, const char *fmt, ...)
{
	int code = -errno;
	va_list ap;

	va_start(ap, fmt);
	err_vset(err, code, true, fmt, ap);
	va_end(ap);
	return code;
}

int err_code(struct err *err, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	err_vset(err, code, true, fmt, ap);
	va_end(ap);
	return code;
}

int err_wrap(struct err *err, const char *fmt, ...)
{
	char old[sizeof(err->msg)];
	size_t at;
	va_list ap;

	if (!err)
		return -EIO;
	memcpy(old, err->msg, sizeof(old));
	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	at = strlen(err->msg);
	snprintf(err->msg + at, sizeof(err->msg) - at, ": %s", old);
	return err->code;
}
