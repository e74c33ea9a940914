/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Log items (`-d`, monitor `log`) and messages for the operator.
 *
 * Every call is safe from any thread; a line is written at once.
 */
#ifndef LIB_LOG_H
#define LIB_LOG_H

#include <stdatomic.h>

#include "lib/types.h"

struct err;
struct buf;

enum log_item {

#define LOG_ITEM(id, name, help) LOG_##id,
#include "lib/log.def"
#undef LOG_ITEM
	LOG_ITEM_COUNT
};

extern _Atomic u32 log_mask; /* bit per enum log_item */

static inline bool log_on(enum log_item item)
{
	return atomic_load_explicit(&log_mask, memory_order_relaxed) &
	       (1u << item);
}

/* Writes one line (newline added when missing) if the item is on. */
#define log_item(item, ...)                           \
	do {                                          \
		if (unlikely(log_on(item)))           \
			log_write(item, __VA_ARGS__); \
	} while (0)

/* Whatever is on; LOG_ITEM_COUNT is no item. */
void log_write(enum log_item item, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The guest did something that its specification forbids: one line under
 * `-d guest_errors`, at most 100 a second. */
void log_guest(const char *who, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* For the operator, on stderr: "vmon: warning: ...", "vmon: ...". */
void log_warn(const char *fmt, ...) PRINTF_LIKE(1, 2);
void log_info(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* What comes before them from now on: the time, and a name unless NULL
 * (borrowed).  Before other threads run. */
void log_set_prefix(bool timestamp, const char *name);

/* Parses "a,b", "all" or "none"; -EINVAL with the first unknown name. */
int log_parse_items(const char *list, u32 *mask, struct err *err);
void log_set_items(u32 mask);
/* "START..END,START+LENGTH,START-LENGTH": in_asm, op, out_asm, exec and cpu
 * are only for code at these addresses; -EINVAL.  Before other threads run. */
int log_set_filter(const char *ranges, struct err *err);
bool log_in_range(u64 addr);

/* Opens `path` ("%d" becomes the process id) for the log; NULL: stderr. */
int log_set_file(const char *path, struct err *err);

/* From now on stderr is that file, for a process that is to have no terminal;
 * false: there is none. */
bool log_keep_messages(void);

const char *log_item_name(int n); /* NULL behind the last */
/* Table of items as `help log` and `-d help` print it. */
void log_list_items(struct buf *out);

#endif
