/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Limits on the bytes and requests per second of one drive, or of a group of
 * drives together.
 *
 * Six buckets leak at the allowed rate.  A request that finds one of its
 * buckets full waits in a queue, reads and writes apart; one that does not
 * fills them by its size, however large.
 *
 * Locking: the loop's lock.
 */
#ifndef BLOCK_THROTTLE_H
#define BLOCK_THROTTLE_H

#include "block/block.h"

struct throttle;

/* Joins or changes the group `name`; b->throttle. */
void throttle_join(struct block *b, const char *name,
		   const struct block_limits *limits);
/* Lets what waits go. NULL b->throttle is fine, here and below. */
void throttle_leave(struct block *b);
/* True: it waits, and block_start() comes later. */
bool throttle_hold(struct block *b, struct block_req *r);
/* Starts the requests of `b` that wait, whatever the limits say. */
void throttle_release(struct block *b);

#endif
