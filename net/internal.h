/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Shared by the files of net/.
 */
#ifndef NET_INTERNAL_H
#define NET_INTERNAL_H

#include "net/net.h"

#define NET_BACKEND(id) extern const struct netdev_class net_##id##_class;
#include "net/backends.def"
#undef NET_BACKEND

/* ---- queue.c ---- */

/* Copies a frame in; drops the oldest ones to make room and returns how
 * many. */
u32 net_queue_push(struct net_queue *q, const struct net_frame *f);
/* Describes the oldest frame through `iov`; false when empty. */
bool net_queue_peek(const struct net_queue *q, struct net_frame *f,
		    struct iovec *iov);
void net_queue_pop(struct net_queue *q);
void net_queue_clear(struct net_queue *q);
void net_queue_fini(struct net_queue *q);

/* ---- options and carrier, net.c ---- */

/* Option row type for keys that may repeat; field: struct net_strings. */
struct net_strings {
	char **v; /* owned */
	int n;
};

extern const struct opt_type net_opt_strings;

/* Sets the carrier of one port and tells whom it concerns. */
void net_port_set_link(struct net_port *p, bool up);

/* net/throttle.c: must a frame to this port wait?  Then net_port_ready() comes
 * when it need not.  One that did pass counts. */
bool net_throttle_holds(struct net_port *to);
void net_throttle_passed(struct net_port *to, size_t len);
void net_throttle_free(struct net_port *nic);
/* ", bps_in=..." of what is limited. */
void net_throttle_info(const struct net_port *nic, struct buf *out);

#endif
