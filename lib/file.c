/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Files that grow.
 */
#include "lib/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/err.h"

int file_open_append(const char *path, int access, struct err *err)
{
	int fd =
		open(path, access | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK,
		     0600);
	struct stat st;

	if (fd < 0)
		return err_errno(err, "Could not open '%s'", path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return err_set(err, -EINVAL, "'%s' is not a regular file",
			       path);
	}
	return fd;
}
