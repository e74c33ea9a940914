/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the monitor asks of networking: lists, carrier, port forwarding.
 *
 * Locking: machine_lock.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/log.h"
#include "net/internal.h"

static void info_port(const struct net_port *p, struct buf *out)
{
	const struct netdev *nd;

	if (p->nic) {
		buf_printf(out,
			   "%s: index=0,type=nic,model=%s,"
			   "macaddr=%02x:%02x:%02x:%02x:%02x:%02x",
			   p->name, p->model, p->mac[0], p->mac[1], p->mac[2],
			   p->mac[3], p->mac[4], p->mac[5]);
		net_throttle_info(p, out);
		buf_putc(out, '\n');
		return;
	}
	nd = container_of(p, struct netdev, port);
	/* A bridge is a tap once it is set up; QEMU says so too. */
	buf_printf(out, "%s: index=0,type=%s,%s\n", p->name,
		   strcmp(nd->class->name, "bridge") ? nd->class->name : "tap",
		   p->info);
}

void net_info(struct buf *out)
{
	for (struct net_port *p = NULL; (p = net_port_next(p));) {
		if (!p->nic && p->peer)
			continue; /* below its NIC */
		info_port(p, out);
		if (!p->peer)
			continue;
		buf_puts(out, " \\ ");
		info_port(p->peer, out);
	}
}

void net_info_stats(struct buf *out)
{
	for (struct net_port *p = NULL; (p = net_port_next(p));)
		buf_printf(out,
			   "%s: rx %" PRIu64 " frames %" PRIu64
			   " bytes, tx %" PRIu64 " frames %" PRIu64
			   " bytes, dropped %" PRIu64 ", waiting %" PRIu32
			   ", link %s\n",
			   p->name, p->stats.rx_frames, p->stats.rx_bytes,
			   p->stats.tx_frames, p->stats.tx_bytes,
			   p->stats.rx_dropped, p->queue.count,
			   p->link_down ? "down" : "up");
}

void net_info_user(struct buf *out)
{
	for (struct net_port *p = NULL; (p = net_port_next(p));) {
		struct netdev *nd;

		if (p->nic)
			continue;
		nd = container_of(p, struct netdev, port);
		if (nd->class->connections && !p->closed) {
			buf_printf(out, "Hub -1 (%s):\n", p->name);
			nd->class->connections(nd, out);
		}
	}
}

int net_set_link(const char *name, bool up, struct err *err)
{
	struct net_port *p = net_port_find(name);

	if (!p)
		return err_set(err, -ENODEV, "Device '%s' not found", name);
	if (p->peer && p->peer->closed)
		return 0; /* a deleted back end gives no carrier */
	/* The guest sees the carrier of its end: the wire has two. */
	if (!p->nic && p->peer)
		net_port_set_link(p->peer, up);
	net_port_set_link(p, up);
	return 0;
}

/* A reverse ARP request on the NIC's behalf (RFC 903): switches on the way
 * learn where its address is now. */
static void info_send_rarp(struct net_port *nic)
{
	static const u8 request[] = { 0x80, 0x35, 0, 1, 8, 0, 6, 4, 0, 3 };
	u8 data[60] = { 0 };
	struct iovec iov = { data, sizeof(data) };
	struct net_frame f = { &iov, 1, sizeof(data), { 0 } };

	memset(data, 0xff, 6);
	memcpy(data + 6, nic->mac, 6);
	memcpy(data + 12, request, sizeof(request));
	memcpy(data + 22, nic->mac, 6); /* sender */
	memcpy(data + 32, nic->mac, 6); /* target */
	net_send(nic, &f);
}

void net_announce(void)
{
	for (struct net_port *p = NULL; (p = net_port_next(p));) {
		if (!p->nic)
			continue;
		info_send_rarp(p);
		if (p->ops->announce)
			p->ops->announce(p);
	}
}

void net_warn_unconnected(void)
{
	for (struct net_port *p = NULL; (p = net_port_next(p));) {
		if (!p->peer)
			log_warn("%s %s has no peer", p->nic ? "nic" : "netdev",
				 p->name);
	}
}

/* ---- port forwarding ---- */

const char *net_hostfwd_default(void)
{
	for (struct net_port *p = NULL; (p = net_port_next(p));) {
		if (p->nic)
			continue;
		if (container_of(p, struct netdev, port)->class->hostfwd &&
		    !p->closed)
			return p->name;
	}
	return NULL;
}

static int info_hostfwd(const char *id, const char *rule, bool add,
			struct err *err)
{
	struct netdev *nd;

	if (!id)
		id = net_hostfwd_default();
	if (!id)
		return err_set(err, -ENOENT,
			       "user mode network stack not in use");
	nd = netdev_find(id);
	if (!nd || !nd->class->hostfwd)
		return err_set(err, -ENOENT, "unrecognized netdev id '%s'", id);
	return nd->class->hostfwd(nd, rule, add, err);
}

int net_hostfwd_add(const char *id, const char *rule, struct err *err)
{
	return info_hostfwd(id, rule, true, err);
}

int net_hostfwd_remove(const char *id, const char *rule, struct err *err)
{
	return info_hostfwd(id, rule, false, err);
}
