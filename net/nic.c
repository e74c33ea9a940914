/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The short forms of the command line, -nic and -net: one text describes a
 * back end and the device in front of it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/err.h"
#include "net/net.h"

struct net_legacy_nic {
	struct opts device; /* of a back end: only its "netdev" */
	struct list node;
};

/* Keys that a short form gives to the device, and what -device calls them. */
static const struct {
	const char *key, *device;
} nic_keys[] = {
	{ "mac", "mac" }, { "macaddr", "mac" },     { "addr", "addr" },
	{ "bus", "bus" }, { "vectors", "vectors" }, { "romfile", "romfile" },
	{ "name", "id" },
};

static const char *nic_driver(const char *model)
{
	if (!model || !strcmp(model, "virtio") || !strcmp(model, "virtio-net"))
		return "virtio-net-pci";
	return model;
}

static void nic_take_device_keys(struct opts *o, struct opts *device)
{
	opts_add(device, "driver", nic_driver(opts_take(o, "model")));
	for (size_t i = 0; i < ARRAY_SIZE(nic_keys); i++) {
		const char *value = opts_take(o, nic_keys[i].key);

		if (value)
			opts_add(device, nic_keys[i].device, value);
	}
}

/* An id for a back end that the user did not name. */
static char *nic_make_id(void)
{
	char *id;

	for (int n = 0;; n++) {
		id = xprintf("#net%d", n);
		if (!netdev_find(id))
			return id;
		free(id);
	}
}

static struct netdev *nic_create_backend(struct loop *loop, struct opts *o,
					 struct err *err)
{
	struct netdev *nd;
	char *id;

	if (opts_peek(o, "id"))
		return netdev_create(loop, o, err);
	id = nic_make_id();
	opts_add(o, "id", id);
	nd = netdev_create(loop, o, err);
	free(id);
	return nd;
}

int net_parse_nic(struct loop *loop, const char *text, struct opts *device,
		  struct err *err)
{
	const char *type;
	struct netdev *nd;
	struct opts o;
	int r;

	r = opts_parse(&o, text, "type", err);
	if (r < 0)
		return r;
	type = opts_peek(&o, "type");
	if (!type) {
		opts_fini(&o);
		return err_set(err, -EINVAL, "Parameter 'type' is missing");
	}
	if (!strcmp(type, "none")) {
		opts_fini(&o);
		return 0;
	}
	opts_init(device);
	nic_take_device_keys(&o, device);
	nd = nic_create_backend(loop, &o, err);
	opts_fini(&o);
	if (!nd) {
		opts_fini(device);
		return -EINVAL;
	}
	opts_add(device, "netdev", nd->port.name);
	return 1;
}

/* ---- -net ---- */

void net_legacy_init(struct net_legacy *l)
{
	list_init(&l->nics);
	list_init(&l->peers);
	l->none = false;
}

static void legacy_free(struct net_legacy_nic *n)
{
	list_remove(&n->node);
	opts_fini(&n->device);
	free(n);
}

static void legacy_free_all(struct list *head)
{
	struct net_legacy_nic *n;

	while ((n = list_first(head, struct net_legacy_nic, node)))
		legacy_free(n);
}

void net_legacy_fini(struct net_legacy *l)
{
	legacy_free_all(&l->nics);
	legacy_free_all(&l->peers);
}

static int legacy_add_nic(struct net_legacy *l, struct opts *o,
			  struct net_legacy_nic *n, struct err *err)
{
	const char *netdev = opts_take(o, "netdev");

	nic_take_device_keys(o, &n->device);
	if (netdev)
		opts_add(&n->device, "netdev", netdev);
	list_append(&l->nics, &n->node);
	return opts_check_used(o, NULL, err);
}

static int legacy_add(struct net_legacy *l, struct loop *loop, struct opts *o,
		      struct err *err)
{
	const char *type = opts_peek(o, "type");
	struct net_legacy_nic *n;
	struct netdev *nd;

	if (!type)
		return err_set(err, -EINVAL, "Parameter 'type' is missing");
	if (!strcmp(type, "none")) {
		l->none = true;
		return 0;
	}
	n = xalloc(sizeof(*n));
	opts_init(&n->device);
	list_init(&n->node);
	if (!strcmp(type, "nic")) {
		opts_take(o, "type");
		return legacy_add_nic(l, o, n, err);
	}
	list_append(&l->peers, &n->node);
	nd = nic_create_backend(loop, o, err);
	if (!nd)
		return -EINVAL;
	opts_add(&n->device, "netdev", nd->port.name);
	return 0;
}

int net_legacy_add(struct net_legacy *l, struct loop *loop, const char *text,
		   struct err *err)
{
	struct opts o;
	int r;

	r = opts_parse(&o, text, "type", err);
	if (r < 0)
		return r;
	r = legacy_add(l, loop, &o, err);
	opts_fini(&o);
	return r;
}

bool net_legacy_next(struct net_legacy *l, struct opts *device)
{
	struct net_legacy_nic *n, *peer;

	n = list_first(&l->nics, struct net_legacy_nic, node);
	peer = list_first(&l->peers, struct net_legacy_nic, node);
	if (!n)
		return false;
	opts_init(device);
	*device = n->device;
	/* The list head moved: let the neighbours point to the copy. */
	device->list.next->prev = device->list.prev->next = &device->list;
	opts_init(&n->device);
	if (peer && !opts_peek(device, "netdev")) {
		opts_add(device, "netdev", opts_peek(&peer->device, "netdev"));
		legacy_free(peer);
	}
	legacy_free(n);
	return true;
}
