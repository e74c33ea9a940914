/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A tap descriptor as a port; what -netdev tap and -netdev bridge share.
 */
#ifndef NET_TAP_H
#define NET_TAP_H

#include <net/if.h>

#include "lib/loop.h"
#include "net/net.h"

struct err;

struct tap {
	struct netdev nd;
	bool open;
	int fd; /* owned while open */
	char name[IFNAMSIZ];
	u8 *in;  /* owned; a frame as read, header first */
	u8 *out; /* owned; for frames in very many parts */
	/* The frame in `in` that the peer refused; reading waits for it. */
	bool pending;
	size_t in_len;
	struct watch watch;
	bool up; /* the script ran: undo it */

	/* Options. */
	char *fd_text, *ifname, *script, *downscript, *br, *helper;
	int vnet_hdr;
	bool vhost;
	u16 queues;
};

extern const struct net_port_ops tap_ops;

/* Starts moving frames through `fd`, which it takes over in any case. */
int tap_start(struct tap *t, int fd, struct err *err);
void tap_stop(struct tap *t); /* accepts a zeroed one */

#endif
