/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A file that lines are appended to and that may be full for a while.
 *
 * Locking: the caller's.
 */
#ifndef LIB_LOGFILE_H
#define LIB_LOGFILE_H

#include "lib/types.h"

struct logfile {
	int fd;
	bool torn; /* ends in the middle of a line */
	int why;   /* errno of the last line lost */
	u64 lost;  /* lines since the last that was written */
};

/* Writes a line, or a few, at once.  What the file does not take is counted; a
 * line in it says so as soon as it takes something again.  False: the first
 * that is lost, so that the caller can tell somebody. */
bool logfile_put(struct logfile *f, const char *text, size_t len);

#endif
