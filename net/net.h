/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Networking: ports joined in pairs, a NIC (front end) and a back end.
 *
 * A frame is an iovec that the sender owns for the length of the call plus
 * a virtio_net_hdr which says what work on checksums and segmentation is
 * left to do; it is all zero unless both sides agreed on offloads.
 *
 * Locking: everything needs machine_lock or runs before the loop.
 */
#ifndef NET_NET_H
#define NET_NET_H

#include <linux/virtio_net.h>
#include <sys/uio.h>

#include "lib/list.h"
#include "lib/opt.h"
#include "lib/types.h"

struct buf;
struct err;
struct loop;
struct net_port;

#define NET_HEADER_MIN 14
/* Largest frame: a 64 KiB segmentation offload with its headers. */
#define NET_FRAME_MAX (68 * KIB)
/* Bytes of frames that wait for one port. */
#define NET_QUEUE_BYTES (512 * KIB)

struct net_frame {
	const struct iovec *iov;
	int niov;
	size_t len; /* sum of iov, at most NET_FRAME_MAX */
	struct virtio_net_hdr hdr;
};

/* What a NIC's guest accepts unfinished; net_set_offloads(). */
#define NET_OFFLOAD_CSUM BIT(0)
#define NET_OFFLOAD_TSO4 BIT(1)
#define NET_OFFLOAD_TSO6 BIT(2)
#define NET_OFFLOAD_ECN  BIT(3)
#define NET_OFFLOAD_UFO  BIT(4)

struct net_port_ops {
	/* Takes a frame, or returns false: not now; the port then calls
	 * net_port_ready() when it can.  A frame that is dropped for good
	 * counts as taken. */
	bool (*receive)(struct net_port *p, const struct net_frame *f);
	/* The peer, which refused a frame, takes frames again.  May be NULL. */
	void (*writable)(struct net_port *p);
	/* p->link_down changed.  May be NULL. */
	void (*link_changed)(struct net_port *p);
	/* NIC: tell the network where it is.  May be NULL. */
	void (*announce)(struct net_port *p);
	/* Back end: the guest takes these offloads from now on; NULL when the
	 * back end knows none. */
	void (*set_offloads)(struct net_port *p, u32 offloads);
};

struct net_stats {
	u64 rx_frames, rx_bytes; /* taken by the port */
	u64 tx_frames, tx_bytes; /* sent by it */
	u64 rx_dropped;          /* queue overflow, or the link was down */
};

/* Frames that wait for a port, in a byte ring; see net/queue.c. */
struct net_queue {
	u8 *mem; /* owned; NULL until the first frame waits */
	size_t head, tail;
	size_t wrap; /* where the records before the wrap end; 0: none */
	u32 count;
};

/* How much may pass a NIC: bytes and frames per second, 0 for no limit; to
 * the guest, and from it. */
enum { NET_IN, NET_OUT, NET_WAYS };

struct net_limits {
	u64 bps[NET_WAYS], pps[NET_WAYS];
};

#define NET_LIMIT_MAX 1000000000000ull

struct net_port {
	const struct net_port_ops *ops;
	struct net_port *peer; /* borrowed; NULL while unconnected */
	char *name;            /* owned; id, or MODEL.N for a NIC without */
	char *model;           /* owned; NIC only */
	bool nic;
	bool link_down;
	bool closed;     /* back end: deleted while a NIC still uses it */
	bool vnet_hdr;   /* back end: offloads work both ways */
	bool ufo;        /* back end: UDP fragmentation too */
	bool refused;    /* a peer's net_try_send() was turned down */
	bool delivering; /* in ops->receive() */
	u8 mac[6];       /* NIC */
	char info[512];  /* back end: "net=10.0.2.0,restrict=off" */
	struct net_stats stats;
	struct net_queue queue;        /* to this port */
	struct net_throttle *throttle; /* NIC; NULL: no limits */
	struct list node;
};

/* ---- Between the two ends ---- */

/* Hands a frame to the peer; what it does not take now is queued, and the
 * oldest frames are dropped when the queue is full. */
void net_send(struct net_port *from, const struct net_frame *f);
/* As above, but returns false instead of queueing: keep the frame until
 * ops->writable().  An unconnected port or a dead link swallows frames. */
bool net_try_send(struct net_port *from, const struct net_frame *f);
/* `p` may take frames again: delivers its queue, then tells the peer. */
void net_port_ready(struct net_port *p);
/* Copies a frame's bytes to `to`, at most `max`; returns the count. */
size_t net_frame_copy(const struct net_frame *f, void *to, size_t max);

/* ---- Back ends (-netdev) ---- */

struct netdev;

/* Class of a back end; one const struct at the end of its file. */
struct netdev_class {
	const char *name; /* "user", "tap", ... */
	const char *desc;
	size_t size; /* of the instance; struct netdev is first */
	const struct option_row *options;
	const struct net_port_ops *ops;
	int (*open)(struct netdev *nd, struct err *err); /* fills port.info */
	void (*close)(struct netdev *nd); /* accepts half-open; once */
	/* User networking only, else NULL. */
	int (*hostfwd)(struct netdev *nd, const char *rule, bool add,
		       struct err *err);
	void (*connections)(struct netdev *nd, struct buf *out);
};

struct netdev {
	struct net_port port;
	const struct netdev_class *class;
	struct loop *loop;
};

extern const struct netdev_class *const netdev_classes[]; /* NULL-ended */

/* From "type,id=...,..." parsed with the implied key "type".  `loop` is the
 * main loop. */
struct netdev *netdev_create(struct loop *loop, struct opts *o,
			     struct err *err);
/* A NIC that uses it stays, without carrier.  -ENODEV. */
int netdev_delete(const char *id, struct err *err);
struct netdev *netdev_find(const char *id);
void net_remove_all(void); /* back ends, at exit */

/* Option row type: struct netdev *, named by its id, not in use. */
extern const struct opt_type opt_netdev;

/* ---- NICs ---- */

/* Names and lists the port.  `id` may be NULL; a `mac` of zeros is replaced
 * by the first free one from 52:54:00:12:34:56 on.  `nd` may be NULL. */
int net_nic_init(struct net_port *p, const struct net_port_ops *ops,
		 const char *model, const char *id, u8 mac[6],
		 struct netdev *nd, struct err *err);
void net_nic_fini(struct net_port *p); /* accepts a zeroed port */
/* Which offloads the guest accepts; no-op without a capable peer. */
void net_set_offloads(struct net_port *nic, u32 offloads);

/* -nic TEXT: creates the back end and fills `device` with what -device
 * would take ("driver", "netdev", ...).  Returns 1, 0 for "none", or
 * -errno. */
int net_parse_nic(struct loop *loop, const char *text, struct opts *device,
		  struct err *err);

/* -net TEXT, the old form: "nic,..." and a back end form pairs in order of
 * appearance (hubs are not modelled). */
struct net_legacy {
	struct list nics;  /* of struct net_legacy_nic */
	struct list peers; /* same, by netdev id */
	bool none;
};

void net_legacy_init(struct net_legacy *l);
void net_legacy_fini(struct net_legacy *l);
int net_legacy_add(struct net_legacy *l, struct loop *loop, const char *text,
		   struct err *err);
/* Fills `device`; false: no more. */
bool net_legacy_next(struct net_legacy *l, struct opts *device);

/* ---- Monitor ---- */

/* In creation order; NULL starts, returns NULL at the end. */
struct net_port *net_port_next(struct net_port *p);
struct net_port *net_port_find(const char *name);
/* Carrier of a NIC or back end by name.  -ENODEV. */
int net_set_link(const char *name, bool up, struct err *err);
/* Limits of a NIC, by its name or that of its back end.  -ENODEV, -ERANGE. */
int net_set_limits(struct loop *loop, const char *name,
		   const struct net_limits *l, struct err *err);
void net_announce(void);
void net_info(struct buf *out);       /* info network */
void net_info_user(struct buf *out);  /* info usernet */
void net_info_stats(struct buf *out); /* counters per port */
/* `id` may be NULL: the first user back end.  -ENOENT, -EINVAL, ... */
/* The back end that is meant by no id; NULL: there is none. */
const char *net_hostfwd_default(void);
int net_hostfwd_add(const char *id, const char *rule, struct err *err);
int net_hostfwd_remove(const char *id, const char *rule, struct err *err);
/* Warns about ports without peers, as main does once after start. */
void net_warn_unconnected(void);

#endif
