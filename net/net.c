/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Ports, how frames pass between them, and the registry of back ends.
 *
 * Locking: machine_lock; the registry is the only state of the file.
 */
#include "net/net.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/iov.h"
#include "lib/log.h"
#include "lib/trace.h"
#include "net/internal.h"

static struct list net_ports = LIST_INIT(net_ports);

const struct netdev_class *const netdev_classes[] = {
#define NET_BACKEND(id) &net_##id##_class,
#include "net/backends.def"
#undef NET_BACKEND
	NULL,
};

/* ---- frames ---- */

size_t net_frame_copy(const struct net_frame *f, void *to, size_t max)
{
	return iov_read(f->iov, f->niov, 0, to, max);
}

/* The port that a frame reaches, or NULL when the wire is cut. */
static struct net_port *net_target(const struct net_port *from)
{
	struct net_port *to = from->peer;

	if (!to)
		return NULL;
	if (from->link_down || to->link_down) {
		to->stats.rx_dropped++;
		return NULL;
	}
	return to;
}

static bool net_deliver(struct net_port *to, const struct net_frame *f)
{
	struct net_port *from = to->peer;
	bool taken;

	if (net_throttle_holds(to))
		return false;
	to->delivering = true;
	taken = to->ops->receive(to, f);
	to->delivering = false;
	if (!taken)
		return false;
	net_throttle_passed(to, f->len);
	to->stats.rx_frames++;
	to->stats.rx_bytes += f->len;
	if (from) {
		from->stats.tx_frames++;
		from->stats.tx_bytes += f->len;
	}
	trace(NET_FRAME, "%s: frame of %zu bytes, flags %#x gso %u", to->name,
	      f->len, f->hdr.flags, f->hdr.gso_type);
	return true;
}

bool net_try_send(struct net_port *from, const struct net_frame *f)
{
	struct net_port *to = net_target(from);

	if (!to)
		return true;
	if (!to->queue.count && !to->delivering && net_deliver(to, f))
		return true;
	to->refused = true;
	return false;
}

void net_send(struct net_port *from, const struct net_frame *f)
{
	struct net_port *to = net_target(from);

	if (!to)
		return;
	if (!to->queue.count && !to->delivering && net_deliver(to, f))
		return;
	to->stats.rx_dropped += net_queue_push(&to->queue, f);
}

void net_port_ready(struct net_port *p)
{
	struct net_frame f;
	struct iovec iov;

	if (p->delivering)
		return;
	while (net_queue_peek(&p->queue, &f, &iov)) {
		if (!net_deliver(p, &f))
			return;
		net_queue_pop(&p->queue);
	}
	if (p->refused) {
		p->refused = false;
		if (p->peer && !p->peer->closed && p->peer->ops->writable)
			p->peer->ops->writable(p->peer);
	}
}

void net_port_set_link(struct net_port *p, bool up)
{
	p->link_down = !up;
	if (!up)
		net_queue_clear(&p->queue);
	if (p->ops->link_changed && !p->closed)
		p->ops->link_changed(p);
	/* A sender that waits for this port may go on, into the void. */
	net_port_ready(p);
}

/* ---- registry ---- */

struct net_port *net_port_next(struct net_port *p)
{
	struct list *l = p ? p->node.next : net_ports.next;

	return l == &net_ports ? NULL : list_entry(l, struct net_port, node);
}

/* A deleted back end still shows in lists, but has lost its name. */
static bool net_port_named(const struct net_port *p, const char *name)
{
	return !p->closed && !strcmp(p->name, name);
}

struct net_port *net_port_find(const char *name)
{
	struct net_port *p;

	list_for_each (p, &net_ports, node) {
		if (net_port_named(p, name))
			return p;
	}
	return NULL;
}

struct netdev *netdev_find(const char *id)
{
	struct net_port *p;

	list_for_each (p, &net_ports, node) {
		if (!p->nic && net_port_named(p, id))
			return container_of(p, struct netdev, port);
	}
	return NULL;
}

/* ---- back ends ---- */

static const struct netdev_class *netdev_class_find(const char *name)
{
	for (int i = 0; netdev_classes[i]; i++) {
		if (!strcmp(netdev_classes[i]->name, name))
			return netdev_classes[i];
	}
	return NULL;
}

static bool netdev_id_valid(const char *id)
{
	if (*id == '#') /* our own, for -nic without id= */
		id++;
	if (!isalpha((unsigned char)*id))
		return false;
	while (isalnum((unsigned char)*id) || (*id && strchr("-._", *id)))
		id++;
	return !*id;
}

static void netdev_free(struct netdev *nd)
{
	list_remove(&nd->port.node);
	net_queue_fini(&nd->port.queue);
	free(nd->port.name);
	free(nd);
}

static void netdev_close(struct netdev *nd)
{
	if (nd->port.closed)
		return;
	nd->class->close(nd);
	opt_rows_fini(nd->class->options, nd);
	nd->port.closed = true;
}

static int netdev_setup(struct netdev *nd, struct opts *o, struct err *err)
{
	int r;

	r = opts_apply(o, nd->class->options, nd, err);
	if (r < 0)
		return r;
	r = opts_check_used(o, nd->class->options, err);
	if (r < 0)
		return r;
	return nd->class->open(nd, err);
}

struct netdev *netdev_create(struct loop *loop, struct opts *o, struct err *err)
{
	const char *type = opts_take(o, "type");
	const char *id = opts_take(o, "id");
	const struct netdev_class *class;
	struct netdev *nd;

	class = type ? netdev_class_find(type) : NULL;
	if (type && !class) {
		err_set(err, -EINVAL,
			"Parameter 'type' does not accept value '%s'", type);
		return NULL;
	}
	if (!id || !type) {
		err_set(err, -EINVAL, "Parameter '%s' is missing",
			id ? "type" : "id");
		return NULL;
	}
	if (!netdev_id_valid(id)) {
		err_set(err, -EINVAL, "Parameter 'id' expects an identifier");
		return NULL;
	}
	if (netdev_find(id)) {
		err_set(err, -EEXIST, "Duplicate ID '%s' for netdev", id);
		return NULL;
	}
	nd = xalloc(class->size);
	nd->class = class;
	nd->loop = loop;
	nd->port.ops = class->ops;
	nd->port.name = xstrdup(id);
	list_init(&nd->port.node);
	if (netdev_setup(nd, o, err) < 0) {
		netdev_close(nd);
		netdev_free(nd);
		return NULL;
	}
	list_append(&net_ports, &nd->port.node);
	return nd;
}

/* The NIC keeps the closed back end for `info network`, without carrier. */
static void netdev_remove(struct netdev *nd)
{
	struct net_port *nic = nd->port.peer;

	netdev_close(nd);
	if (!nic) {
		netdev_free(nd);
		return;
	}
	net_port_set_link(&nd->port, false);
	net_port_set_link(nic, false);
}

int netdev_delete(const char *id, struct err *err)
{
	struct netdev *nd = netdev_find(id);

	if (!nd)
		return err_set(err, -ENODEV, "Device '%s' not found", id);
	netdev_remove(nd);
	return 0;
}

void net_remove_all(void)
{
	struct net_port *p, *tmp;

	list_for_each_safe (p, tmp, &net_ports, node) {
		if (!p->nic)
			netdev_remove(container_of(p, struct netdev, port));
	}
}

/* ---- NICs ---- */

static bool net_mac_used(const u8 mac[6])
{
	struct net_port *p;

	list_for_each (p, &net_ports, node) {
		if (p->nic && !memcmp(p->mac, mac, 6))
			return true;
	}
	return false;
}

static void net_mac_default(u8 mac[6])
{
	static const u8 first[6] = { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 };

	memcpy(mac, first, 6);
	while (net_mac_used(mac) && mac[5] < 0xfe)
		mac[5]++;
}

static char *net_nic_name(const char *model)
{
	char *name;

	for (int n = 0;; n++) {
		name = xprintf("%s.%d", model, n);
		if (!net_port_find(name))
			return name;
		free(name);
	}
}

int net_nic_init(struct net_port *p, const struct net_port_ops *ops,
		 const char *model, const char *id, u8 mac[6],
		 struct netdev *nd, struct err *err)
{
	static const u8 unset[6];

	list_init(&p->node);
	if (nd && nd->port.peer)
		return err_set(err, -EBUSY, "netdev '%s' is in use",
			       nd->port.name);
	if (!memcmp(mac, unset, 6))
		net_mac_default(mac);
	memcpy(p->mac, mac, 6);
	p->ops = ops;
	p->nic = true;
	p->name = id ? xstrdup(id) : net_nic_name(model);
	p->model = xstrdup(model);
	if (nd) {
		p->peer = &nd->port;
		nd->port.peer = p;
	}
	list_append(&net_ports, &p->node);
	return 0;
}

void net_nic_fini(struct net_port *p)
{
	struct net_port *peer = p->peer;
	struct netdev *nd;

	if (!p->nic)
		return;
	list_remove(&p->node);
	net_queue_fini(&p->queue);
	net_throttle_free(p);
	free(p->name);
	free(p->model);
	*p = (struct net_port){ 0 };
	list_init(&p->node);
	if (!peer)
		return;
	nd = container_of(peer, struct netdev, port);
	peer->peer = NULL;
	peer->link_down = false;
	peer->refused = false;
	net_queue_clear(&peer->queue);
	if (peer->closed)
		netdev_free(nd);
	else if (peer->ops->writable)
		peer->ops->writable(peer); /* nobody holds it back any more */
}

void net_set_offloads(struct net_port *nic, u32 offloads)
{
	struct net_port *to = nic->peer;

	if (to && !to->closed && to->vnet_hdr && to->ops->set_offloads)
		to->ops->set_offloads(to, offloads);
}

/* ---- option row type ---- */

static int opt_netdev_parse(void *field, const char *value,
			    const struct option_row *row, struct err *err)
{
	struct netdev *nd = netdev_find(value);

	if (!nd)
		return err_set(err, -ENOENT,
			       "Property '%s' can't find value '%s'", row->name,
			       value);
	if (nd->port.peer)
		return err_set(
			err, -EBUSY,
			"Property '%s' can't take value '%s', it's in use",
			row->name, value);
	*(struct netdev **)field = nd;
	return 0;
}

static void opt_netdev_format(const void *field, const struct option_row *row,
			      struct buf *out)
{
	const struct netdev *nd = *(struct netdev *const *)field;

	if (nd)
		buf_puts(out, nd->port.name);
}

const struct opt_type opt_netdev = {
	.name = "str",
	.parse = opt_netdev_parse,
	.format = opt_netdev_format,
};

static int net_strings_parse(void *field, const char *value,
			     const struct option_row *row, struct err *err)
{
	struct net_strings *s = field;

	s->v = xrealloc(s->v, (s->n + 1) * sizeof(*s->v));
	s->v[s->n++] = xstrdup(value);
	return 0;
}

static void net_strings_format(const void *field, const struct option_row *row,
			       struct buf *out)
{
	const struct net_strings *s = field;

	for (int i = 0; i < s->n; i++)
		buf_printf(out, "%s%s", i ? " " : "", s->v[i]);
}

static void net_strings_fini(void *field)
{
	struct net_strings *s = field;

	for (int i = 0; i < s->n; i++)
		free(s->v[i]);
	free(s->v);
	*s = (struct net_strings){ 0 };
}

const struct opt_type net_opt_strings = {
	.name = "str",
	.parse = net_strings_parse,
	.format = net_strings_format,
	.fini = net_strings_fini,
};
