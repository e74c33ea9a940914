/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Limits on NICs.
 *
 * Each way has a moment at which the line is free again; a frame moves it by
 * its length over the rate.  Who is further ahead of the clock than the slack
 * waits, in the sender or in the port's queue, as for a port that is full.
 *
 * Locking: machine_lock.
 */
#include <errno.h>
#include <stdlib.h>

#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/loop.h"
#include "net/internal.h"
#include "net/net.h"

#define THROTTLE_SLACK (10 * NS_PER_MS)

struct net_throttle {
	struct net_port *nic;
	struct net_limits limits;
	u64 free_ns[NET_WAYS];
	bool waits[NET_WAYS];
	struct timer timer;
};

/* The limits that a frame to this port is under, and which way it goes. */
static struct net_throttle *throttle_of(const struct net_port *to, int *way)
{
	const struct net_port *nic = to->nic ? to : to->peer;

	*way = to->nic ? NET_IN : NET_OUT;
	return nic ? nic->throttle : NULL;
}

static void throttle_arm(struct net_throttle *t)
{
	u64 when = UINT64_MAX;

	for (int way = 0; way < NET_WAYS; way++)
		if (t->waits[way])
			when = MIN(when, t->free_ns[way] - THROTTLE_SLACK);
	timer_set(&t->timer, when);
}

static void throttle_over(void *arg)
{
	struct net_throttle *t = arg;
	struct net_port *nic = t->nic;

	t->waits[NET_IN] = t->waits[NET_OUT] = false;
	/* Whoever is held again arms the timer again. */
	net_port_ready(nic);
	if (nic->peer)
		net_port_ready(nic->peer);
}

bool net_throttle_holds(struct net_port *to)
{
	int way;
	struct net_throttle *t = throttle_of(to, &way);

	if (likely(!t) || t->free_ns[way] <= clock_mono_ns() + THROTTLE_SLACK)
		return false;
	t->waits[way] = true;
	throttle_arm(t);
	return true;
}

void net_throttle_passed(struct net_port *to, size_t len)
{
	int way;
	struct net_throttle *t = throttle_of(to, &way);
	u64 cost = 0;

	if (likely(!t))
		return;
	if (t->limits.bps[way])
		cost = len * NS_PER_S / t->limits.bps[way];
	if (t->limits.pps[way])
		cost = MAX(cost, NS_PER_S / t->limits.pps[way]);
	t->free_ns[way] = MAX(t->free_ns[way], clock_mono_ns()) + cost;
}

void net_throttle_free(struct net_port *nic)
{
	if (!nic->throttle)
		return;
	timer_cancel(&nic->throttle->timer);
	free(nic->throttle);
	nic->throttle = NULL;
}

void net_throttle_info(const struct net_port *nic, struct buf *out)
{
	static const char *const ways[] = { "in", "out" };
	const struct net_throttle *t = nic->throttle;

	for (int way = 0; t && way < NET_WAYS; way++) {
		if (t->limits.bps[way])
			buf_printf(out, ",bps_%s=%llu", ways[way],
				   (unsigned long long)t->limits.bps[way]);
		if (t->limits.pps[way])
			buf_printf(out, ",pps_%s=%llu", ways[way],
				   (unsigned long long)t->limits.pps[way]);
	}
}

int net_set_limits(struct loop *loop, const char *name,
		   const struct net_limits *l, struct err *err)
{
	struct net_port *nic = net_port_find(name);
	bool any = false;

	if (!nic)
		return err_set(err, -ENODEV, "Device '%s' not found", name);
	if (!nic->nic)
		nic = nic->peer;
	if (!nic)
		return err_set(err, -ENOENT, "no network card uses '%s'", name);
	for (int way = 0; way < NET_WAYS; way++) {
		if (l->bps[way] > NET_LIMIT_MAX || l->pps[way] > NET_LIMIT_MAX)
			return err_set(err, -ERANGE,
				       "limits must be within [0, %llu]",
				       NET_LIMIT_MAX);
		any |= l->bps[way] || l->pps[way];
	}
	net_throttle_free(nic);
	if (any) {
		nic->throttle = xalloc(sizeof *nic->throttle);
		nic->throttle->nic = nic;
		nic->throttle->limits = *l;
		timer_init(&nic->throttle->timer, loop, throttle_over,
			   nic->throttle);
	}
	/* What was held goes, or waits anew. */
	net_port_ready(nic);
	if (nic->peer)
		net_port_ready(nic->peer);
	return 0;
}
