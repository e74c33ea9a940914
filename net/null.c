/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A back end that swallows every frame and sends none.
 */
#include <stdio.h>

#include "net/internal.h"

static bool null_receive(struct net_port *p, const struct net_frame *f)
{
	return true;
}

static int null_open(struct netdev *nd, struct err *err)
{
	snprintf(nd->port.info, sizeof(nd->port.info), "frames are dropped");
	return 0;
}

static void null_close(struct netdev *nd)
{
}

static const struct option_row null_options[] = {
	OPTION_END,
};

static const struct net_port_ops null_ops = {
	.receive = null_receive,
};

const struct netdev_class net_null_class = {
	.name = "null",
	.desc = "a wire that leads nowhere",
	.size = sizeof(struct netdev),
	.options = null_options,
	.ops = &null_ops,
	.open = null_open,
	.close = null_close,
};
