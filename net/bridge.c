/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A tap on a bridge of the host, made by a helper that has the privilege.
 */
#include <stdio.h>

#include "net/internal.h"
#include "net/spawn.h"
#include "net/tap.h"

static int bridge_open(struct netdev *nd, struct err *err)
{
	struct tap *t = container_of(nd, struct tap, nd);
	int fd = net_bridge_helper(t->helper, t->br, err);

	if (fd < 0)
		return fd;
	snprintf(nd->port.info, sizeof(nd->port.info), "helper=%s,br=%s",
		 t->helper, t->br);
	return tap_start(t, fd, err);
}

static void bridge_close(struct netdev *nd)
{
	tap_stop(container_of(nd, struct tap, nd));
}

static const struct option_row bridge_options[] = {
	{ "br", &opt_str, offsetof(struct tap, br), "br0", "bridge", NULL },
	{ "helper", &opt_str, offsetof(struct tap, helper),
	  VMON_LIBEXECDIR "/vmon-bridge-helper", "program that makes the tap",
	  NULL },
	OPTION_END,
};

const struct netdev_class net_bridge_class = {
	.name = "bridge",
	.desc = "tap on a bridge, made by a helper",
	.size = sizeof(struct tap),
	.options = bridge_options,
	.ops = &tap_ops,
	.open = bridge_open,
	.close = bridge_close,
};
