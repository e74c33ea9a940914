/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The command line as it would be now: what vmon was started with, and what
 * a monitor has added since.
 *
 * Locking: machine_lock (or before the loop runs).
 */
#ifndef VMM_CMDLINE_H
#define VMM_CMDLINE_H

#include "lib/types.h"

/* `option` without dashes, or NULL for a bare word; `arg` may be NULL.  An
 * older one of the same option and id= gives way. */
void cmdline_add(const char *option, const char *arg);
/* What the first such option without id= made is called so.  An older one of
 * that name gives way. */
void cmdline_name(const char *option, const char *arg, const char *id);
/* The n-th is `option` with `arg` from now on, of the same name. */
void cmdline_replace(int n, const char *option, const char *arg);
/* Gives a property of the one of that id another value; NULL: none. */
void cmdline_set(const char *option, const char *id, const char *key,
		 const char *value);
/* One more of a property that may be given several times (false: there is no
 * such option); or away with those whose value begins so. */
bool cmdline_put(const char *option, const char *id, const char *key,
		 const char *value);
void cmdline_take(const char *option, const char *id, const char *key,
		  const char *begin);
/* The one of that id is gone. */
void cmdline_drop(const char *option, const char *id);
void cmdline_clear(void);

struct cmdline_item {
	char *option, *arg; /* owned; NULL */
	char *id;           /* owned; NULL: what it makes has no name */
};

/* The n-th; NULL behind the last. */
const struct cmdline_item *cmdline_item(int n);

#endif
