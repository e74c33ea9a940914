/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * perf's map of generated code: see lib/perfmap.h.
 */
#include "lib/perfmap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/err.h"

_Atomic int perfmap_fd = -1;

int perfmap_open(struct err *err)
{
	char path[64];
	int fd;

	snprintf(path, sizeof path, "/tmp/perf-%d.map", (int)getpid());
	/* The folder is everybody's: nothing that another user has put there
	 * is written to.  perf wants the file to be ours. */
	if (unlink(path) < 0 && errno != ENOENT)
		return err_errno(err, "cannot replace '%s'", path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC,
		  0644);
	if (fd < 0)
		return err_errno(err, "cannot create '%s'", path);
	atomic_store(&perfmap_fd, fd);
	return 0;
}

void perfmap_add(const void *start, size_t size, const char *fmt, ...)
{
	char line[160];
	va_list ap;
	int n, len;

	len = snprintf(line, sizeof line, "%llx %zx ",
		       (unsigned long long)(uintptr_t)start, size);
	va_start(ap, fmt);
	n = vsnprintf(line + len, sizeof line - len, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	len = MIN(len + n, (int)sizeof line - 1);
	line[len++] = '\n';
	/* In one piece; a full disk costs names and nothing else. */
	while (write(atomic_load(&perfmap_fd), line, (size_t)len) < 0 &&
	       errno == EINTR)
		;
}
