/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Allocation that cannot fail, for sizes that the configuration sets.
 */
#include "lib/alloc.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *alloc_check(void *p)
{
	if (!p) {
		fputs("vmon: out of memory\n", stderr);
		abort();
	}
	return p;
}

void *xalloc(size_t size)
{
	return xcalloc(1, size);
}

void *xcalloc(size_t n, size_t size)
{
	return alloc_check(calloc(n ? n : 1, size ? size : 1));
}

void *xrealloc(void *p, size_t size)
{
	return alloc_check(realloc(p, size ? size : 1));
}

char *xstrdup(const char *s)
{
	return s ? alloc_check(strdup(s)) : NULL;
}

char *xprintf(const char *fmt, ...)
{
	char *s = NULL;
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vasprintf(&s, fmt, ap);
	va_end(ap);
	return alloc_check(len < 0 ? NULL : s);
}
