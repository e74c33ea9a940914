/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Doors: accepting clients and handing each its session.
 */
#include "monitor/door.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "chardev/chardev.h"
#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/list.h"
#include "lib/log.h"
#include "lib/loop.h"
#include "monitor/monitor.h"
#include "vmm/machine.h"

#define DOOR_BACKLOG  16
#define DOOR_RETRY_NS (100 * NS_PER_MS) /* after accept() failed */

struct door {
	struct machine *m;
	char *path; /* owned */
	struct monitor_options options;
	int fd, clients, max;
	unsigned serial;
	struct watch watch;
	struct timer retry;
	struct list node;
};

static struct list doors = LIST_INIT(doors);
static unsigned door_serial;

/* ---- clients ---- */

static void door_refuse(struct door *d, int fd)
{
	static const char text[] = "too many clients\r\n";

	if (send(fd, text, sizeof text - 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		log_warn("monitor at '%s': too many clients", d->path);
	close(fd);
}

static int door_admit(struct door *d, int fd, struct err *err)
{
	struct chardev *chr;
	char text[40], label[40];
	int r;

	/* '#' keeps it out of the user's names and of info chardev. */
	snprintf(label, sizeof label, "#%u.%u", d->serial, ++door_serial);
	snprintf(text, sizeof text, "socket,fd=%d", fd);
	chr = chr_create_short(d->m->loop, text, label, err);
	if (!chr) {
		close(fd);
		return err->code;
	}
	r = monitor_create(d->m, chr, &d->options, err);
	if (r < 0)
		(void)chr_remove(chr, NULL);
	else
		d->clients++;
	return r;
}

static void door_knock(void *arg, u32 events)
{
	struct door *d = arg;
	struct err err = { 0 };
	int fd = accept4(d->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0 && errno != EAGAIN && errno != EINTR &&
	    errno != ECONNABORTED) {
		watch_set(&d->watch, 0);
		timer_set(&d->retry, clock_mono_ns() + DOOR_RETRY_NS);
	}
	if (fd < 0)
		return;
	if (d->clients == d->max)
		door_refuse(d, fd);
	else if (door_admit(d, fd, &err) < 0)
		log_warn("monitor at '%s': %s", d->path, err.msg);
}

static void door_retry(void *arg)
{
	struct door *d = arg;

	watch_set(&d->watch, LOOP_IN);
}

void door_left(const char *label)
{
	unsigned serial;
	struct door *d;

	if (sscanf(label, "#%u.", &serial) != 1)
		return;
	list_for_each (d, &doors, node)
		if (d->serial == serial)
			d->clients--;
}

/* ---- life ---- */

static int door_listen(const char *path, struct err *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	mode_t mask;
	int fd, r;

	if (strlen(path) >= sizeof addr.sun_path)
		return err_set(err, -ENAMETOOLONG,
			       "socket path '%s' is too long", path);
	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_errno(err, "cannot create a socket");
	unlink(path);
	mask = umask(0177);
	r = bind(fd, (struct sockaddr *)&addr, sizeof addr);
	umask(mask);
	if (r < 0 || listen(fd, DOOR_BACKLOG) < 0) {
		r = err_errno(err, "cannot listen at '%s'", path);
		close(fd);
		return r;
	}
	return fd;
}

static void door_free(struct door *d)
{
	watch_remove(&d->watch);
	timer_cancel(&d->retry);
	close(d->fd);
	unlink(d->path);
	list_remove(&d->node);
	free(d->path);
	free(d);
}

int door_open(struct machine *m, const char *path,
	      const struct monitor_options *options, int clients,
	      struct err *err)
{
	static unsigned serial;
	int fd = door_listen(path, err), r;
	struct door *d;

	if (fd < 0)
		return fd;
	d = xalloc(sizeof *d);
	d->m = m;
	d->path = xstrdup(path);
	d->options = *options;
	d->fd = fd;
	d->max = clients;
	d->serial = ++serial;
	timer_init(&d->retry, m->loop, door_retry, d);
	list_append(&doors, &d->node);
	r = watch_add(&d->watch, m->loop, fd, LOOP_IN, door_knock, d);
	if (r < 0) {
		door_free(d);
		return err_code(err, r, "cannot watch '%s'", path);
	}
	return 0;
}

void door_close_all(void)
{
	struct door *d, *next;

	list_for_each_safe (d, next, &doors, node)
		door_free(d);
}

/* ---- where `vmon ctl` looks ---- */

int door_folder(struct buf *path)
{
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	struct stat st;
	char user[48];

	snprintf(user, sizeof user, "/run/user/%u", (unsigned)geteuid());
	if (xdg && *xdg == '/')
		buf_puts(path, xdg);
	else if (!geteuid())
		buf_puts(path, "/run");
	else if (!stat(user, &st) && st.st_uid == geteuid())
		buf_puts(path, user);
	else
		return -ENOENT;
	buf_puts(path, "/vmon");
	return 0;
}

/* Ours, and nobody else's to write into. */
static bool door_folder_safe(const char *path)
{
	struct stat st;

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return false;
	return !lstat(path, &st) && S_ISDIR(st.st_mode) &&
	       st.st_uid == geteuid() && !(st.st_mode & 022);
}

bool door_make_folder(void)
{
	struct buf path = { 0 };
	bool safe = !door_folder(&path) && door_folder_safe(buf_str(&path));

	buf_fini(&path);
	return safe;
}

void door_publish(struct machine *m)
{
	const struct monitor_options options = { .mode = MONITOR_CONTROL };
	struct buf path = { 0 };
	struct err err = { 0 };

	if (door_make_folder() && !door_folder(&path)) {
		buf_printf(&path, "/%d", getpid());
		if (door_open(m, buf_str(&path), &options, DOOR_CLIENTS_MAX,
			      &err) < 0)
			log_warn("'vmon ctl' will not find this machine: %s",
				 err.msg);
	}
	buf_fini(&path);
}
