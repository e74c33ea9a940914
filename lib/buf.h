/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Growable bytes; also the only way in which lower layers produce text.
 */
#ifndef LIB_BUF_H
#define LIB_BUF_H

#include <stdarg.h>

#include "lib/types.h"

struct buf {
	char *data; /* owned; NUL-terminated whenever non-NULL */
	size_t len; /* without the NUL */
	size_t cap;
};

void buf_init(struct buf *b); /* same as zeroing it */
void buf_fini(struct buf *b);
void buf_clear(struct buf *b);
void buf_append(struct buf *b, const void *data, size_t len);
void buf_puts(struct buf *b, const char *s);
void buf_putc(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
void buf_vprintf(struct buf *b, const char *fmt, va_list ap) PRINTF_LIKE(2, 0);
/* Drops the first `n` bytes. */
void buf_consume(struct buf *b, size_t n);
void buf_drop(struct buf *b, char c);     /* every `c` */
const char *buf_str(const struct buf *b); /* "" when empty, never NULL */
/* Hands the string to the caller (free it) and empties the buffer. */
char *buf_steal(struct buf *b);

#endif
