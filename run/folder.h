/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A machine's folder, $XDG_RUNTIME_DIR/vmon/NAME: `lock`, held by the process
 * as long as it lives, `pid`, `console` (a socket), `log` (what its console
 * said; before that `log.1`), `messages` (what vmon itself said), `user`.
 */
#ifndef RUN_FOLDER_H
#define RUN_FOLDER_H

#include "lib/types.h"

struct err;

#define FOLDER_LOG_MAX  "4M"
#define FOLDER_NAME_MAX 48

/* Letters, digits, '.', '_' and '-', and no process id. */
bool folder_name_good(const char *name);
/* One that is good, made of `text`; free() it. */
char *folder_name(const char *text);
/* Of a file in the folder; free() it.  NULL: this user has no such place. */
char *folder_path(const char *name, const char *file);
/* Does the process live? */
bool folder_alive(const char *name);
/* Makes the folder this process's; what an earlier one left is removed.  The
 * lock, to be closed at the end, -EEXIST, -ENOENT. */
int folder_take(const char *name, struct err *err);
/* Who logs in if nobody else is named.  NULL: not known; free() it. */
void folder_set_user(const char *name, const char *user);
char *folder_user(const char *name);
/* Removes all but the logs. */
void folder_clean(const char *name);

#endif
