/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Tells a service manager how it goes.
 */
#include "vmm/notify.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/loop.h"
#include "lib/parse.h"

static struct timer notify_timer;
static u64 notify_period_ns; /* 0: nobody watches */

/* "/path", or "@name" in the abstract space. */
static bool notify_address(struct sockaddr_un *a, socklen_t *ret_len)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t len = path ? strlen(path) : 0;

	if (len < 2 || (path[0] != '/' && path[0] != '@') ||
	    len >= sizeof a->sun_path)
		return false;
	memset(a, 0, sizeof *a);
	a->sun_family = AF_UNIX;
	memcpy(a->sun_path, path, len);
	if (path[0] == '@')
		a->sun_path[0] = '\0';
	*ret_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	return true;
}

static void notify_send(const char *text)
{
	struct sockaddr_un a;
	socklen_t len;
	int fd;

	if (!notify_address(&a, &len))
		return;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || sendto(fd, text, strlen(text), MSG_NOSIGNAL,
			     (struct sockaddr *)&a, len) < 0)
		log_warn("cannot tell $NOTIFY_SOCKET '%.*s'",
			 (int)strcspn(text, "\n"), text);
	if (fd >= 0)
		close(fd);
}

static void notify_alive(void *arg)
{
	notify_send("WATCHDOG=1");
	timer_set(&notify_timer, clock_mono_ns() + notify_period_ns);
}

/* In half of the time that the manager waits. */
static void notify_watch(struct loop *loop)
{
	const char *pid = getenv("WATCHDOG_PID"),
		   *limit = getenv("WATCHDOG_USEC");
	u64 whose, us;

	if (!limit || parse_u64(limit, &us) < 0 || us < 2 ||
	    us > UINT64_MAX / 1000)
		return;
	if (pid && (parse_u64(pid, &whose) < 0 || whose != (u64)getpid()))
		return;
	notify_period_ns = us * 500;
	timer_init(&notify_timer, loop, notify_alive, NULL);
	notify_alive(NULL);
}

void notify_ready(struct loop *loop)
{
	char *text = xprintf("READY=1\nMAINPID=%d", getpid());

	notify_send(text);
	free(text);
	notify_watch(loop);
}

void notify_stopping(void)
{
	if (notify_period_ns)
		timer_cancel(&notify_timer);
	notify_send("STOPPING=1");
}
