/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * T1's code memory: two mappings of it, and room for blocks.
 *
 * It is filled region by region.  When the last one is full the oldest is
 * dropped: what is in it can no longer be found, and jumps of blocks elsewhere
 * that were linked to it lead to their exits again.  That is done between runs
 * of translated code, when no pair of call and return knows any of it.
 */
#include "tcg/jit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/perfmap.h"
#include "tcg/tcg.h"
#include "vmm/memory.h"

/* A smaller one would be full with the room that must be left. */
#define REGION_MIN (384 * KIB)

/* ---- Memory ---- */

/* perf looks for names in its map only where memory has none of its own, and
 * a memfd has. */
static int room_map_unnamed(struct jit *j, void **rw, void **rx)
{
	*rw = mmap(NULL, j->size, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (*rw == MAP_FAILED)
		return -errno;
	/* Of a length of nothing it makes a second mapping. */
	*rx = mremap(*rw, 0, j->size, MREMAP_MAYMOVE);
	if (*rx != MAP_FAILED &&
	    mprotect(*rx, j->size, PROT_READ | PROT_EXEC) < 0) {
		munmap(*rx, j->size);
		*rx = MAP_FAILED;
	}
	return 0;
}

static int room_map_memfd(struct jit *j, void **rw, void **rx)
{
	int fd = memfd_create("vmon-jit", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)j->size) < 0) {
		close(fd);
		return -errno;
	}
	*rw = mmap(NULL, j->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	*rx = mmap(NULL, j->size, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
	close(fd);
	return 0;
}

int jit_room_map(struct jit *j)
{
	void *rw = MAP_FAILED, *rx = MAP_FAILED;
	int r = perfmap_on() ? room_map_unnamed(j, &rw, &rx)
			     : room_map_memfd(j, &rw, &rx);

	if (r < 0)
		return r;
	if (rw == MAP_FAILED || rx == MAP_FAILED) {
		if (rw != MAP_FAILED)
			munmap(rw, j->size);
		return -EACCES;
	}
	j->rw = j->e.at = rw;
	j->e.rx = (u8 *)rx - (u8 *)rw;
	return 0;
}

void jit_room_unmap(struct jit *j)
{
	munmap(j->rw + j->e.rx, j->size);
	munmap(j->rw, j->size);
	for (u32 n = 0; n < j->regions; n++)
		free(j->region[n].links);
}

/* ---- Regions ---- */

static struct jit_part room_slice(const struct jit *j, size_t from, size_t to,
				  u32 n)
{
	size_t size = ALIGN_DOWN((to - from) / j->regions, 64);

	return (struct jit_part){ j->rw + from + n * size,
				  j->rw + from + (n + 1) * size };
}

void jit_room_divide(struct jit *j)
{
	/* As blocks of a kernel and its programs need it. */
	size_t start = ALIGN_UP((size_t)(j->e.at - j->rw), 64);
	size_t cold = ALIGN_DOWN(j->size / 16 * 9, PAGE_SIZE);
	size_t data = ALIGN_DOWN(j->size / 16 * 13, PAGE_SIZE);

	j->shared = start;
	j->regions = (u32)MAX(MIN(j->size / REGION_MIN, JIT_REGIONS), 1);
	for (u32 n = 0; n < j->regions; n++) {
		j->region[n].hot = room_slice(j, start, cold, n);
		j->region[n].cold = room_slice(j, cold, data, n);
		j->region[n].data = room_slice(j, data, j->size, n);
	}
	jit_room_empty(j);
}

static void room_begin(struct jit *j, u32 n)
{
	const struct jit_region *r = &j->region[n];

	j->now = n;
	j->e.at = r->hot.start;
	j->cold = r->cold.start;
	j->data = r->data.end;
}

void jit_room_empty(struct jit *j)
{
	for (u32 n = 0; n < j->regions; n++) {
		j->region[n].nlinks = 0;
		j->region[n].used = 0;
	}
	room_begin(j, 0);
}

static u64 room_used_now(const struct jit *j)
{
	const struct jit_region *r = &j->region[j->now];

	return (u64)(j->e.at - r->hot.start) + (u64)(j->cold - r->cold.start) +
	       (u64)(r->data.end - j->data);
}

u64 jit_room_used(const struct jit *j)
{
	u64 used = j->shared + room_used_now(j);

	for (u32 n = 0; n < j->regions; n++)
		if (n != j->now)
			used += j->region[n].used;
	return used;
}

static bool room_full(const struct jit *j)
{
	const struct jit_region *r = &j->region[j->now];

	return (size_t)(r->hot.end - j->e.at) < JIT_BLOCK_ROOM ||
	       (size_t)(r->cold.end - j->cold) < JIT_BLOCK_ROOM ||
	       (size_t)(j->data - r->data.start) < JIT_BLOCK_ROOM;
}

/* ---- Links ---- */

static bool part_has(const struct jit_part *s, const u8 *at)
{
	return at >= s->start && at < s->end;
}

/* Of what is in no region: j->regions. */
static u32 room_of_data(const struct jit *j, const void *at)
{
	u32 n = 0;

	while (n < j->regions && !part_has(&j->region[n].data, at))
		n++;
	return n;
}

static void room_set_jump(u8 *site, const u8 *to)
{
	__atomic_store_n((u32 *)site, (u32)(to - (site + 4)), __ATOMIC_RELAXED);
}

void jit_room_link(struct jit *j, const struct jit_exit *link,
		   const struct jit_block *to)
{
	const u8 *exit = (const u8 *)link - j->e.rx;
	u8 *site = (u8 *)link - j->e.rx - link->site;
	u32 from = room_of_data(j, j->rw + link->block);
	struct jit_region *r = &j->region[room_of_data(j, to)];

	room_set_jump(site, j->rw + to->code + JIT_ENTRY_BYTES);
	if (r == &j->region[from])
		return;
	if (r->nlinks == r->links_room) {
		r->links_room = MAX(2 * r->links_room, 256);
		r->links = xrealloc(r->links,
				    r->links_room * sizeof *r->links);
	}
	r->links[r->nlinks++] = (struct jit_room_link){
		.from = from,
		.site = (u32)(site - j->rw),
		.exit = (u32)(exit - j->rw) - EM_CALL_BYTES,
	};
}

void jit_room_ask(struct jit *j, const struct jit_exit *link, bool ring3)
{
	u8 *site = (u8 *)link - j->e.rx - 4;

	room_set_jump(site, j->exit_lookup[ring3]);
}

/* Jumps to the region go to their exits again. */
static void room_unlink(struct jit *j, u32 n)
{
	struct jit_region *r = &j->region[n];

	for (u32 k = 0; k < r->nlinks; k++)
		room_set_jump(j->rw + r->links[k].site,
			      j->rw + r->links[k].exit);
	r->nlinks = 0;
}

/* Nobody is to undo links in what has been dropped. */
static void room_forget_links(struct jit_region *r, u32 from)
{
	u32 kept = 0;

	for (u32 k = 0; k < r->nlinks; k++)
		if (r->links[k].from != from)
			r->links[kept++] = r->links[k];
	r->nlinks = kept;
}

/* ---- Dropping ---- */

static void room_drop_blocks(struct jit *j, const struct jit_region *r)
{
	for (u32 h = 0; h < 1u << j->hash_bits; h++) {
		struct jit_block **at = &j->hash[h], *t;

		while ((t = *at)) {
			if (part_has(&r->data, (const u8 *)t)) {
				*at = t->next;
				j->hashed--;
			} else {
				at = &t->next;
			}
		}
	}
}

static void room_drop(struct tcg_cpu *c, u32 n)
{
	struct jit *j = c->jit;
	struct jit_region *r = &j->region[n];
	struct jit_part code = { r->hot.start + j->e.rx,
				 r->hot.end + j->e.rx };

	room_unlink(j, n);
	for (u32 k = 0; k < j->regions; k++)
		room_forget_links(&j->region[k], n);
	room_drop_blocks(j, r);
	for (u32 k = 0; k <= c->jcache_mask; k++)
		if (part_has(&code, c->jcache[k].host))
			c->jcache[k] = (struct jit_jcache){ 0 };
	/* And what c->jump[] and gates have found. */
	c->jump_epoch[0]++;
	c->jump_epoch[1]++;
	r->used = 0;
	j->link = NULL;
	j->drops++;
}

void jit_room_make(struct tcg_cpu *c)
{
	struct jit *j = c->jit;

	if (likely(!room_full(j)))
		return;
	j->region[j->now].used = room_used_now(j);
	room_begin(j, (j->now + 1) % j->regions);
	if (j->region[j->now].used)
		room_drop(c, j->now);
}
