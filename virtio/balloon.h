/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The balloon as the monitor sees it.  Locking: machine_lock.
 */
#ifndef VIRTIO_BALLOON_H
#define VIRTIO_BALLOON_H

#include "lib/types.h"

struct buf;
struct err;
struct machine;

/* Asks the guest to give back all but `bytes` of its RAM; more than it has
 * means all.  -ENODEV without a balloon whose driver is ready. */
int balloon_set_target(struct machine *m, u64 bytes, struct err *err);

/* What the guest has now, in bytes. */
int balloon_actual(struct machine *m, u64 *ret, struct err *err);

/* The guest's own statistics, one "name=value" a line. */
int balloon_stats(struct machine *m, struct buf *out, struct err *err);

#endif
