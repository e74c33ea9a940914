/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Files that grow.
 */
#ifndef LIB_FILE_H
#define LIB_FILE_H

struct err;

/* Opens a regular file to append to it; makes it, with mode 0600.  `access`
 * is O_WRONLY or O_RDWR.  Never waits, as for the reader of a FIFO.  The
 * descriptor or -errno. */
int file_open_append(const char *path, int access, struct err *err);

#endif
