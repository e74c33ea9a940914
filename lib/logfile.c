/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/logfile.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* In one write() unless the file is about to be full, so that lines of several
 * processes do not mix. */
static bool logfile_write(struct logfile *f, const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(f->fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			f->why = n < 0 ? errno : ENOSPC;
			return false;
		}
		f->torn = text[n - 1] != '\n';
		text += n;
		len -= (size_t)n;
	}
	return true;
}

static bool logfile_confess(struct logfile *f)
{
	char note[128];
	int n;

	if (!f->lost)
		return true;
	n = snprintf(note, sizeof note, "%s[%llu lines lost: %s]\n",
		     f->torn ? "\n" : "", (unsigned long long)f->lost,
		     strerror(f->why));
	return logfile_write(f, note, (size_t)n);
}

bool logfile_put(struct logfile *f, const char *text, size_t len)
{
	if (logfile_confess(f)) {
		f->lost = 0;
		if (logfile_write(f, text, len))
			return true;
	}
	return f->lost++ > 0;
}
