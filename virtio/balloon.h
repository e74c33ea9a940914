/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The balloon as the monitor sees it.  Locking: machine_lock.
 */
#ifndef VIRTIO_BALLOON_H
#define VIRTIO_BALLOON_H

#include "lib/types.h"

struct err;
struct machine;

/* Asks the guest to give back all but `bytes` of its RAM; more than it has
 * means all.  -ENODEV without a balloon whose driver is ready. */
int balloon_set_target(struct machine *m, u64 bytes, struct err *err);

/* What the guest has now, in bytes. */
int balloon_actual(struct machine *m, u64 *ret, struct err *err);

/* The guest's own statistics as it sent them last, and how long ago that was
 * in its time; asks for new ones.  -ENODEV; -ENODATA: it sent none. */
typedef void balloon_stat_fn(void *arg, const char *name, u64 value);
int balloon_stats(struct machine *m, balloon_stat_fn *fn, void *arg,
		  u64 *ret_age_ns, struct err *err);

#endif
