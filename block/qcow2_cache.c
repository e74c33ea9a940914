/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * qcow2: a bounded cache of pieces of metadata.
 *
 * Pieces are at most a page; one that was not used for long goes.  A lookup in
 * the loop only notes that there was one: `lru` keeps its order, and who is at
 * its end and was used goes to the front.  A changed piece stays until
 * qcow2_write_back() has brought it to the file in its turn.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/qcow2.h"
#include "lib/alloc.h"

int qcow2_cache_init(struct qcow2_cache *c, u32 bytes, u64 most)
{
	c->bytes = bytes;
	c->max = MAX(most / bytes, 16);
	c->buckets = c->max / 2;
	c->bucket = xcalloc(c->buckets, sizeof(*c->bucket));
	for (u32 i = 0; i < c->buckets; i++)
		list_init(&c->bucket[i]);
	list_init(&c->lru);
	return 0;
}

static void cache_drop(struct qcow2_cache *c, struct qcow2_slice *e)
{
	list_remove(&e->hash);
	list_remove(&e->lru);
	c->count--;
	free(e);
}

void qcow2_cache_clear(struct qcow2_cache *c)
{
	struct qcow2_slice *e;

	while (c->bucket && (e = list_first(&c->lru, struct qcow2_slice, lru)))
		cache_drop(c, e);
	c->dirty = false;
}

void qcow2_cache_fini(struct qcow2_cache *c)
{
	qcow2_cache_clear(c);
	free(c->bucket);
	c->bucket = NULL;
}

void qcow2_cache_forget(struct qcow2 *s, struct qcow2_cache *c, u64 offset,
			u64 bytes)
{
	struct qcow2_slice *e, *next;

	lock_acquire(&s->map);
	list_for_each_safe (e, next, &c->lru, lru)
		if (range_holds(offset, bytes, e->offset, 1))
			cache_drop(c, e);
	lock_release(&s->map);
}

void qcow2_cache_clear_maps(struct qcow2 *s)
{
	lock_acquire(&s->map);
	qcow2_cache_clear(&s->l2);
	lock_release(&s->map);
}

static struct list *cache_bucket(struct qcow2_cache *c, u64 offset)
{
	u64 n = offset >> __builtin_ctz(c->bytes);

	return &c->bucket[n & (c->buckets - 1)];
}

struct qcow2_slice *qcow2_cache_find(struct qcow2_cache *c, u64 offset)
{
	struct qcow2_slice *e;

	list_for_each (e, cache_bucket(c, offset), hash)
		if (e->offset == offset)
			return e;
	return NULL;
}

/* Makes room; the slices that are needed just now are at the front. */
static int cache_shrink(struct qcow2 *s, struct qcow2_cache *c)
	REQUIRES(s->lock)
{
	struct qcow2_slice *e;
	u32 spared = 0;
	bool dirty;
	int r = 0;

	while (c->count >= c->max && r == 0) {
		lock_acquire(&s->map);
		e = list_entry(c->lru.prev, struct qcow2_slice, lru);
		dirty = e->dirty;
		if (e->used && spared++ < c->max) {
			e->used = dirty = false;
			list_remove(&e->lru);
			list_insert(&c->lru, &e->lru);
		} else if (!dirty) {
			cache_drop(c, e);
		}
		lock_release(&s->map);
		if (dirty)
			r = qcow2_write_back(s);
	}
	return r;
}

int qcow2_cache_load(struct qcow2 *s, struct qcow2_cache *c, u64 offset,
		     struct qcow2_slice **ret)
{
	struct qcow2_slice *e = qcow2_cache_find(c, offset);
	int r;

	if (e) {
		lock_acquire(&s->map);
		list_remove(&e->lru);
		list_insert(&c->lru, &e->lru);
		lock_release(&s->map);
		*ret = e;
		return 0;
	}
	r = cache_shrink(s, c);
	if (r < 0)
		return r;
	e = malloc(sizeof(*e) + c->bytes);
	if (!e)
		return -ENOMEM;
	r = qcow2_pread(s, offset, e->data, c->bytes);
	if (r < 0) {
		free(e);
		return r;
	}
	e->offset = offset;
	e->dirty = e->used = false;
	lock_acquire(&s->map);
	list_insert(cache_bucket(c, offset), &e->hash);
	list_insert(&c->lru, &e->lru);
	c->count++;
	lock_release(&s->map);
	*ret = e;
	return 0;
}

static int cache_write_bucket(struct qcow2 *s, struct qcow2_cache *c,
			      struct list *bucket) REQUIRES(s->lock)
{
	struct qcow2_slice *e;
	int r = 0;

	list_for_each (e, bucket, hash) {
		if (!e->dirty)
			continue;
		r = qcow2_pwrite(s, e->offset, e->data, c->bytes);
		if (r < 0)
			return r;
		e->dirty = false;
	}
	return 0;
}

/* By buckets, which stay in their order. */
int qcow2_cache_write(struct qcow2 *s, struct qcow2_cache *c)
{
	int r = 0;

	if (!c->dirty)
		return 0;
	for (u32 i = 0; i < c->buckets && r == 0; i++)
		r = cache_write_bucket(s, c, &c->bucket[i]);
	if (r == 0)
		c->dirty = false;
	return r;
}
