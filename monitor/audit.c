/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The audit file (-audit).
 *
 * One write() per line to a regular file in append mode, so that lines of
 * several VMs never mix; JSON, so that nothing in a command can look like a
 * line of its own.
 */
#include "monitor/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "chardev/chardev.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "lib/log.h"
#include "monitor/internal.h"
#include "monitor/monitor.h"

static int audit_fd = -1;
static bool audit_failed; /* and it was said */

int monitor_audit(const char *path, struct err *err)
{
	int fd = file_open_append(path, O_WRONLY, err);

	if (fd < 0)
		return fd;
	audit_close();
	audit_fd = fd;
	return 0;
}

bool audit_on(void)
{
	return audit_fd >= 0;
}

void audit_close(void)
{
	if (audit_fd >= 0)
		close(audit_fd);
	audit_fd = -1;
	audit_failed = false;
}

static json_t *audit_time(void)
{
	u64 now = clock_realtime_ns();
	time_t t = (time_t)(now / NS_PER_S);
	char text[64];
	struct tm tm;
	size_t n;

	gmtime_r(&t, &tm);
	n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + n, sizeof text - n, ".%03uZ",
		 (unsigned)(now / NS_PER_MS % 1000));
	return json_string(text);
}

void audit_command(struct chardev *chr, const char *tongue, const char *command,
		   const char *outcome)
{
	char cut[AUDIT_COMMAND_MAX + 1];
	json_t *line;
	u32 pid, uid;
	char *text;
	size_t n;

	if (!audit_on())
		return;
	snprintf(cut, sizeof cut, "%s", command);
	line = json_pack("{so si so ss}", "time", audit_time(), "vm",
			 (int)getpid(), "session", val_string(chr_label(chr)),
			 "tongue", tongue);
	if (chr_peer(chr, &pid, &uid)) {
		json_object_set_new(line, "pid", json_integer(pid));
		json_object_set_new(line, "uid", json_integer(uid));
	}
	json_object_set_new(line, "command", val_string(cut));
	json_object_set_new(line, "outcome", val_string(outcome));
	text = json_dumps(line, JSON_PRESERVE_ORDER);
	json_decref(line);
	if (!text)
		return;
	n = strlen(text);
	text[n] = '\n'; /* in place of the end: write() takes a length */
	if (write(audit_fd, text, n + 1) != (ssize_t)(n + 1) && !audit_failed) {
		audit_failed = true;
		log_warn("the audit file cannot be written: %s",
			 strerror(errno));
	}
	free(text);
}
