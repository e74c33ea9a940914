/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * File descriptors that a manager has passed in: by name, to be taken once,
 * and in numbered sets, to be opened as "/dev/fdset/N".  One list for all
 * monitors.
 *
 * Locking: machine_lock, or before there are threads.
 */
#ifndef LIB_FDSET_H
#define LIB_FDSET_H

#include "lib/list.h"
#include "lib/types.h"

struct err;

#define FDSET_MAX 1024 /* descriptors kept */

struct fdset_fd {
	int fd;
	char *opaque; /* owned; or NULL */
	struct list node;
};

struct fdset {
	u32 id;
	struct list fds; /* of struct fdset_fd, oldest first */
	struct list node;
};

/* Takes `fd`; in the place of another of that name.  -E2BIG. */
int fdset_name(const char *name, int fd, struct err *err);
/* The caller's from then on; -ENOENT. */
int fdset_take(const char *name);

/* Takes `fd` into the set (id < 0: a new one).  The id, or -errno. */
int fdset_add(s64 id, int fd, const char *opaque, struct err *err);
/* One, or with fd < 0 all; -ENOENT. */
int fdset_remove(s64 id, s64 fd);
/* By id; NULL starts, returns NULL at the end. */
const struct fdset *fdset_next(const struct fdset *s);
void fdset_clear(void); /* all of both kinds */

/* open(2), which knows "/dev/fdset/N": a duplicate of the first descriptor
 * there that was opened for what `flags` ask. */
int fdset_open(const char *path, int flags);

#endif
