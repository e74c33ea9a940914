/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Memory for decoded code.  A chunk that was given back is the next to be
 * taken, so no more gets resident than was in use at one time.
 */
#include "tcg/pool.h"

#include <errno.h>
#include <sys/mman.h>

int pool_init(struct pool *p, size_t size, u32 users)
{
	*p = (struct pool){ .count = MAX(size / POOL_CHUNK, 2 * users) };
	p->users = users;
	p->share = p->count / users;
	p->part = p->share / 2;
	p->spare = p->count - p->part * users;
	p->base = mmap(NULL, p->count * sizeof *p->base, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p->base == MAP_FAILED) {
		p->base = NULL;
		return -ENOMEM;
	}
	lock_init(&p->lock);
	return 0;
}

void pool_fini(struct pool *p)
{
	if (!p->base)
		return;
	munmap(p->base, p->count * sizeof *p->base);
	lock_fini(&p->lock);
	p->base = NULL;
}

static void pool_append(struct pool_user *u, struct pool_chunk *c)
{
	c->next = NULL;
	c->used = 0;
	if (u->newest)
		u->newest->next = c;
	else
		u->oldest = c;
	u->newest = c;
	u->count++;
}

static struct pool_chunk *pool_remove_oldest(struct pool_user *u)
{
	struct pool_chunk *c = u->oldest;

	u->oldest = c->next;
	if (!u->oldest)
		u->newest = NULL;
	u->count--;
	return c;
}

static void pool_want(struct pool *p, struct pool_user *u, bool wants)
{
	if (wants && !u->wants)
		p->wanted++;
	else if (!wants && u->wants)
		p->wanted--;
	u->wants = wants;
}

bool pool_take(struct pool *p, struct pool_user *u)
{
	struct pool_chunk *c = NULL;

	lock_acquire(&p->lock);
	if (u->count < p->part || p->spare) {
		if (u->count >= p->part)
			p->spare--;
		c = p->free;
		if (c)
			p->free = c->next;
		else
			c = &p->base[p->fresh++];
		pool_append(u, c);
	}
	pool_want(p, u, !c && u->count < p->share);
	lock_release(&p->lock);
	return c;
}

bool pool_asked(const struct pool *p, const struct pool_user *u)
{
	return u->count > p->part && !u->wants && p->wanted;
}

void pool_give(struct pool *p, struct pool_user *u)
{
	struct pool_chunk *c;

	lock_acquire(&p->lock);
	if (u->count > p->part)
		p->spare++;
	c = pool_remove_oldest(u);
	c->next = p->free;
	p->free = c;
	lock_release(&p->lock);
}

void pool_turn(struct pool_user *u)
{
	pool_append(u, pool_remove_oldest(u));
}

int pool_join(struct pool *p, struct pool_user *u)
{
	bool room;

	*u = (struct pool_user){ 0 };
	lock_acquire(&p->lock);
	room = p->users > 0;
	p->users -= room;
	lock_release(&p->lock);
	return room && pool_take(p, u) ? 0 : -ENOMEM;
}

void pool_leave(struct pool *p, struct pool_user *u)
{
	while (u->count)
		pool_give(p, u);
	lock_acquire(&p->lock);
	pool_want(p, u, false);
	p->users++;
	lock_release(&p->lock);
}
