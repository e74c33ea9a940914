/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Where a socket listens or connects.
 */
#ifndef CHARDEV_ADDR_H
#define CHARDEV_ADDR_H

#include "lib/types.h"

struct buf;
struct err;

struct addr {
	const char *path; /* Unix; NULL: TCP */
	bool abstract, tight;
	const char *host; /* NULL or "": any */
	const char *port;
	u16 port_to;     /* listen: last port to try; 0: only `port` */
	bool ipv4, ipv6; /* both false: either */
};

/* Both return a close-on-exec descriptor or -errno; they may block. */
int addr_listen(const struct addr *a, struct err *err);
/* Gives up after `timeout_ms`; -1: the kernel's own limit. */
int addr_connect(const struct addr *a, int timeout_ms, struct err *err);
/* "path" or "host:port" of our (local) or the peer's end of `fd`. */
void addr_print(int fd, bool local, struct buf *out);

#endif
