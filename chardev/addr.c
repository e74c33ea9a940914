/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Where a socket listens or connects.
 */
#include "chardev/addr.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/err.h"

#define ADDR_BACKLOG 4

static int addr_unix(const struct addr *a, struct sockaddr_un *un,
		     socklen_t *size, struct err *err)
{
	size_t len = strlen(a->path), at = a->abstract ? 1 : 0;

	memset(un, 0, sizeof(*un));
	un->sun_family = AF_UNIX;
	if (len + at >= sizeof(un->sun_path))
		return err_set(err, -ENAMETOOLONG,
			       "socket path '%s' is too long; at most %zu "
			       "bytes",
			       a->path, sizeof(un->sun_path) - 1);
	memcpy(un->sun_path + at, a->path, len);
	*size = sizeof(*un);
	if (a->abstract && a->tight)
		*size = offsetof(struct sockaddr_un, sun_path) + at + len;
	return 0;
}

static int addr_lookup(const struct addr *a, bool passive, const char *port,
		       struct addrinfo **list, struct err *err)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	const char *host = a->host && *a->host ? a->host : NULL;
	int r;

	hints.ai_family = a->ipv4 == a->ipv6 ? AF_UNSPEC
			  : a->ipv4          ? AF_INET
					     : AF_INET6;
	hints.ai_flags = passive ? AI_PASSIVE : 0;
	r = getaddrinfo(host, port, &hints, list);
	if (r != 0)
		return err_set(err, -EINVAL,
			       "address resolution failed for %s:%s: %s",
			       host ? host : "", port, gai_strerror(r));
	return 0;
}

static int addr_listen_unix(const struct addr *a, struct err *err)
{
	struct sockaddr_un un;
	struct stat st;
	socklen_t size;
	int fd, r;

	r = addr_unix(a, &un, &size, err);
	if (r < 0)
		return r;
	/* A socket that an earlier run left behind; never another file. */
	if (!a->abstract && lstat(a->path, &st) == 0 && S_ISSOCK(st.st_mode))
		unlink(a->path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&un, size) < 0 ||
	    listen(fd, ADDR_BACKLOG) < 0) {
		r = err_errno(err, "Failed to bind socket to %s", a->path);
		if (fd >= 0)
			close(fd);
		return r;
	}
	return fd;
}

/* Listens on the first address that works; -1 with errno. */
static int addr_listen_any(const struct addrinfo *list)
{
	int one = 1, fd = -1, saved = EADDRNOTAVAIL;

	for (const struct addrinfo *i = list; i; i = i->ai_next) {
		fd = socket(i->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd < 0) {
			saved = errno;
			continue;
		}
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		if (bind(fd, i->ai_addr, i->ai_addrlen) == 0 &&
		    listen(fd, ADDR_BACKLOG) == 0)
			return fd;
		saved = errno;
		close(fd);
	}
	errno = saved;
	return -1;
}

int addr_listen(const struct addr *a, struct err *err)
{
	u32 first, last;

	if (a->path)
		return addr_listen_unix(a, err);
	first = atoi(a->port);
	last = MAX(first, (u32)a->port_to);
	for (u32 n = first; n <= last; n++) {
		struct addrinfo *list;
		char port[16];
		int fd, saved, r;

		snprintf(port, sizeof(port), "%u", n);
		/* A service name has no range. */
		r = addr_lookup(a, true, first ? port : a->port, &list, err);
		if (r < 0)
			return r;
		fd = addr_listen_any(list);
		saved = errno;
		freeaddrinfo(list);
		if (fd >= 0)
			return fd;
		errno = saved;
		if (n == last || errno != EADDRINUSE)
			break;
	}
	return err_errno(err, "Failed to bind socket to %s:%s",
			 a->host ? a->host : "", a->port);
}

/* -1 with errno; the socket is left non-blocking. */
static int addr_connect_to(int family, const struct sockaddr *sa,
			   socklen_t size, int timeout_ms)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	int error = 0;
	socklen_t len = sizeof(error);

	if (fd < 0)
		return -1;
	if (connect(fd, sa, size) == 0)
		return fd;
	error = errno;
	if (error == EINPROGRESS) {
		int n = poll(&p, 1, timeout_ms);

		if (n == 0)
			error = ETIMEDOUT;
		else if (n < 0)
			error = errno;
		else
			getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
	}
	if (error == 0)
		return fd;
	close(fd);
	errno = error;
	return -1;
}

int addr_connect(const struct addr *a, int timeout_ms, struct err *err)
{
	struct addrinfo *list;
	int fd = -1, r, saved;

	if (a->path) {
		struct sockaddr_un un;
		socklen_t size;

		r = addr_unix(a, &un, &size, err);
		if (r < 0)
			return r;
		fd = addr_connect_to(AF_UNIX, (struct sockaddr *)&un, size,
				     timeout_ms);
		if (fd < 0)
			return err_errno(err, "Failed to connect to '%s'",
					 a->path);
		return fd;
	}
	r = addr_lookup(a, false, a->port, &list, err);
	if (r < 0)
		return r;
	for (struct addrinfo *i = list; i && fd < 0; i = i->ai_next)
		fd = addr_connect_to(i->ai_family, i->ai_addr, i->ai_addrlen,
				     timeout_ms);
	saved = errno;
	freeaddrinfo(list);
	errno = saved;
	if (fd < 0)
		return err_errno(err, "Failed to connect to '%s:%s'",
				 a->host ? a->host : "", a->port);
	return fd;
}

void addr_print(int fd, bool local, struct buf *out)
{
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof(ss);
	char host[128], port[16];
	int r;

	r = local ? getsockname(fd, (struct sockaddr *)&ss, &len)
		  : getpeername(fd, (struct sockaddr *)&ss, &len);
	if (r < 0 || ss.ss_family == AF_UNIX ||
	    getnameinfo((struct sockaddr *)&ss, len, host, sizeof(host), port,
			sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return;
	buf_printf(out, ss.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host,
		   port);
}
