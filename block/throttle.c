/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Leaky buckets for drives.
 */
#include "block/throttle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/internal.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/list.h"
#include "lib/loop.h"

#define THROTTLE_MAX 1000000000000000ull /* of every value */
/* What a bucket without a burst limit holds: a tenth of a second. */
#define THROTTLE_SLACK 10
#define THROTTLE_NAP   (50 * 1000ull) /* the timer's grain, ns */

enum { DIR_READ, DIR_WRITE };

struct throttle {
	char *name; /* owned */
	int users;
	struct block_limits limits;
	double level[BLOCK_LIMITS];
	double burst[BLOCK_LIMITS]; /* what came faster than `max` */
	u64 leaked_ns;
	struct list wait[2]; /* of struct block_req, by direction */
	int turn;            /* direction that goes first next time */
	struct timer timer;
	struct list node;
};

static struct list throttle_groups = LIST_INIT(throttle_groups);

/* Buckets of a read, and of a write. */
static const u8 throttle_uses[2][4] = {
	{ BLOCK_BPS, BLOCK_IOPS, BLOCK_BPS_RD, BLOCK_IOPS_RD },
	{ BLOCK_BPS, BLOCK_IOPS, BLOCK_BPS_WR, BLOCK_IOPS_WR },
};

/* ---- The values ---- */

static bool limits_conflict(const struct block_limits *l, int total)
{
	return (l->v[total].avg &&
		(l->v[total + 1].avg || l->v[total + 2].avg)) ||
	       (l->v[total].max &&
		(l->v[total + 1].max || l->v[total + 2].max));
}

static int limit_check(const struct block_limit *l, struct err *err)
{
	if (l->avg > THROTTLE_MAX || l->max > THROTTLE_MAX)
		return err_set(err, -ERANGE,
			       "bps/iops/max values must be within [0, %llu]",
			       THROTTLE_MAX);
	if (!l->length)
		return err_set(err, -EINVAL, "the burst length cannot be 0");
	if (l->length > 1 && !l->max)
		return err_set(err, -EINVAL,
			       "burst length set without burst rate");
	if (l->max && l->length > THROTTLE_MAX / l->max)
		return err_set(err, -ERANGE,
			       "burst length too high for this burst rate");
	if (l->max && !l->avg)
		return err_set(err, -EINVAL,
			       "bps_max/iops_max require corresponding "
			       "bps/iops values");
	if (l->max && l->max < l->avg)
		return err_set(err, -EINVAL,
			       "bps_max/iops_max cannot be lower than "
			       "bps/iops");
	return 0;
}

int block_limits_check(const struct block_limits *l, struct err *err)
{
	if (limits_conflict(l, BLOCK_BPS) || limits_conflict(l, BLOCK_IOPS))
		return err_set(err, -EINVAL,
			       "bps/iops/max total values and read/write "
			       "values cannot be used at the same time");
	if (l->op_size && !l->v[BLOCK_IOPS].avg && !l->v[BLOCK_IOPS_RD].avg &&
	    !l->v[BLOCK_IOPS_WR].avg)
		return err_set(err, -EINVAL,
			       "iops size requires an iops value to be set");
	for (int i = 0; i < BLOCK_LIMITS; i++) {
		int r = limit_check(&l->v[i], err);

		if (r < 0)
			return r;
	}
	return 0;
}

bool block_limits_any(const struct block_limits *l)
{
	for (int i = 0; i < BLOCK_LIMITS; i++)
		if (l->v[i].avg)
			return true;
	return false;
}

/* ---- The buckets ---- */

static void throttle_leak(struct throttle *t)
{
	u64 now = clock_mono_ns();
	double s = (double)(now - t->leaked_ns) / NS_PER_S;

	t->leaked_ns = now;
	for (int i = 0; i < BLOCK_LIMITS; i++) {
		const struct block_limit *l = &t->limits.v[i];

		t->level[i] = MAX(t->level[i] - (double)l->avg * s, 0);
		t->burst[i] = MAX(t->burst[i] - (double)l->max * s, 0);
	}
}

/* Seconds until bucket `i` has room. */
static double throttle_bucket_wait(const struct throttle *t, int i)
{
	const struct block_limit *l = &t->limits.v[i];
	double most, over, wait = 0;

	if (!l->avg)
		return 0;
	most = l->max ? (double)l->max * (double)l->length
		      : (double)l->avg / THROTTLE_SLACK;
	over = t->level[i] - most;
	if (over > 0)
		wait = over / (double)l->avg;
	if (l->length > 1) {
		over = t->burst[i] - (double)l->max / THROTTLE_SLACK;
		if (over > 0)
			wait = MAX(wait, over / (double)l->max);
	}
	return wait;
}

static double throttle_wait(const struct throttle *t, int dir)
{
	double wait = 0;

	for (size_t i = 0; i < ARRAY_SIZE(throttle_uses[dir]); i++) {
		double w = throttle_bucket_wait(t, throttle_uses[dir][i]);

		wait = MAX(wait, w);
	}
	return wait;
}

static int throttle_dir(const struct block_req *r)
{
	return r->op == BLOCK_READ ? DIR_READ : DIR_WRITE;
}

static void throttle_account(struct throttle *t, const struct block_req *r)
{
	int dir = throttle_dir(r);
	double ops = 1;

	if (t->limits.op_size && r->bytes > t->limits.op_size)
		ops = (double)r->bytes / (double)t->limits.op_size;
	for (size_t i = 0; i < ARRAY_SIZE(throttle_uses[dir]); i++) {
		int n = throttle_uses[dir][i];
		double units = n >= BLOCK_IOPS ? ops : (double)r->bytes;

		t->level[n] += units;
		if (t->limits.v[n].length > 1)
			t->burst[n] += units;
	}
}

/* ---- The queues ---- */

static void throttle_arm(struct throttle *t)
{
	double wait = -1;

	for (int dir = 0; dir < 2; dir++) {
		double w;

		if (list_empty(&t->wait[dir]))
			continue;
		w = throttle_wait(t, dir);
		wait = wait < 0 ? w : MIN(wait, w);
	}
	if (wait < 0)
		timer_cancel(&t->timer);
	else
		timer_set(&t->timer, clock_mono_ns() + THROTTLE_NAP +
					     (u64)(MIN(wait, 1e6) * NS_PER_S));
}

static void throttle_start(struct throttle *t, struct block_req *r)
{
	struct block *b = r->block;

	list_remove(&r->node);
	throttle_account(t, r);
	block_plug(b);
	block_start(r);
	block_unplug(b);
}

/* Starts what may go, reads and writes in turn. */
static void throttle_run(void *arg)
{
	struct throttle *t = arg;
	int stuck = 0;

	throttle_leak(t);
	while (stuck < 2) {
		struct block_req *r =
			list_first(&t->wait[t->turn], struct block_req, node);

		if (r && throttle_wait(t, t->turn) <= 0) {
			throttle_start(t, r);
			stuck = 0;
		} else {
			stuck++;
		}
		t->turn = !t->turn;
	}
	throttle_arm(t);
}

bool throttle_hold(struct block *b, struct block_req *r)
{
	struct throttle *t = b->throttle;
	int dir = throttle_dir(r);

	if (!t || r->op == BLOCK_FLUSH || r->op == BLOCK_DISCARD)
		return false;
	throttle_leak(t);
	if (list_empty(&t->wait[dir]) && throttle_wait(t, dir) <= 0) {
		throttle_account(t, r);
		return false;
	}
	list_append(&t->wait[dir], &r->node);
	if (!timer_armed(&t->timer))
		throttle_arm(t);
	return true;
}

void throttle_release(struct block *b)
{
	struct throttle *t = b->throttle;
	struct block_req *r, *next;

	for (int dir = 0; t && dir < 2; dir++)
		list_for_each_safe (r, next, &t->wait[dir], node)
			if (r->block == b)
				throttle_start(t, r);
}

/* ---- Groups ---- */

static struct throttle *throttle_find(const char *name)
{
	struct throttle *t;

	list_for_each (t, &throttle_groups, node)
		if (!strcmp(t->name, name))
			return t;
	return NULL;
}

static struct throttle *throttle_create(struct loop *loop, const char *name)
{
	struct throttle *t = xalloc(sizeof(*t));

	t->name = xstrdup(name);
	for (int dir = 0; dir < 2; dir++)
		list_init(&t->wait[dir]);
	timer_init(&t->timer, loop, throttle_run, t);
	list_append(&throttle_groups, &t->node);
	return t;
}

void throttle_leave(struct block *b)
{
	struct throttle *t = b->throttle;

	if (!t)
		return;
	throttle_release(b);
	b->throttle = NULL;
	if (--t->users > 0)
		return;
	timer_cancel(&t->timer);
	list_remove(&t->node);
	free(t->name);
	free(t);
}

void throttle_join(struct block *b, const char *name,
		   const struct block_limits *limits)
{
	struct throttle *t = throttle_find(name);

	if (!t)
		t = throttle_create(b->loop, name);
	t->users++;
	throttle_leave(b);
	b->throttle = t;
	t->limits = *limits;
	memset(t->level, 0, sizeof(t->level));
	memset(t->burst, 0, sizeof(t->burst));
	t->leaked_ns = clock_mono_ns();
	throttle_run(t);
}

int block_set_limits(struct block *b, const struct block_limits *l,
		     const char *group, struct err *err)
{
	int r = block_limits_check(l, err);

	if (r < 0)
		return r;
	if (!block_limits_any(l))
		throttle_leave(b);
	else if (!group && b->throttle)
		throttle_join(b, b->throttle->name, l);
	else
		throttle_join(b, group ? group : b->id, l);
	return 0;
}

const struct block_limits *block_limits(const struct block *b,
					const char **ret_group)
{
	if (!b->throttle)
		return NULL;
	*ret_group = b->throttle->name;
	return &b->throttle->limits;
}

void block_limits_init(struct block_limits *l)
{
	memset(l, 0, sizeof(*l));
	for (int i = 0; i < BLOCK_LIMITS; i++)
		l->v[i].length = 1;
}
