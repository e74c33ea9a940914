/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Memory for decoded code, shared by the vCPUs of a machine.
 *
 * A fixed number of chunks.  Half of them are divided, so that each vCPU can
 * have its part at any time; from the rest takes who comes first.  A vCPU
 * that gets no more uses its oldest chunk again, and gives up what it has
 * beyond its part while another one wants some.
 *
 * Locking: its own, a leaf.
 */
#ifndef TCG_POOL_H
#define TCG_POOL_H

#include "lib/lock.h"

#define POOL_CHUNK (64 * KIB)

struct pool_chunk {
	struct pool_chunk *next;
	u32 used; /* the user's; 0 when taken */
	_Alignas(64) u8 data[POOL_CHUNK - 64];
};

struct pool {
	struct lock lock;
	struct pool_chunk *base, *free;
	u32 count;
	u32 fresh;          /* chunks from here on have never been used */
	u32 part;           /* of one vCPU, in chunks */
	u32 spare;          /* in no part, and not taken */
	u32 share;          /* of one vCPU if all were divided */
	u32 users;          /* that may still join */
	_Atomic u32 wanted; /* users below their share that got none */
};

struct pool_user {
	struct pool_chunk *oldest, *newest;
	u32 count;
	bool wants;
};

/* For at most `users` vCPUs.  Each gets two chunks at least, even where
 * `size` bytes are too few for that.  -ENOMEM. */
int pool_init(struct pool *p, size_t size, u32 users);
void pool_fini(struct pool *p);
/* There is a newest chunk afterwards; -ENOMEM: too many users. */
int pool_join(struct pool *p, struct pool_user *u);
void pool_leave(struct pool *p, struct pool_user *u);
/* A new newest chunk, or false. */
bool pool_take(struct pool *p, struct pool_user *u);
/* Should the user give a chunk to others? */
bool pool_asked(const struct pool *p, const struct pool_user *u);
/* Gives back the oldest chunk / makes it the newest; it is not in use. */
void pool_give(struct pool *p, struct pool_user *u);
void pool_turn(struct pool_user *u);

#endif
