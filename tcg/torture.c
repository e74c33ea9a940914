/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Torture: see tcg/torture.h.
 */
#include "tcg/torture.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "lib/err.h"
#include "lib/log.h"
#include "lib/parse.h"
#include "tcg/jit.h"
#include "tcg/softmmu.h"
#include "tcg/tcg.h"
#include "vmm/machine.h"

/* One of so many blocks, on average. */
#define FLUSH_EVERY 1024
#define DROP_EVERY  16
#define CODE_EVERY  512
#define STOP_EVERY  64
#define POLL_EVERY  8 /* ... of these also looks for events */

static const char *const torture_names[TORTURE_COUNT] = {

#define TORTURE(id, name, help) name,
#include "tcg/torture.def"
#undef TORTURE
};

static int torture_word(struct torture *t, const char *word, struct err *err)
{
	for (int n = 0; n < TORTURE_COUNT; n++)
		if (!strcmp(word, torture_names[n])) {
			t->modes |= BIT(n);
			return 0;
		}
	if (!strcmp(word, "all"))
		t->modes = BIT(TORTURE_COUNT) - 1;
	else if (parse_u64(word, &t->seed) < 0)
		return err_set(err, -EINVAL, "torture: '%s' is no mode", word);
	return 0;
}

int torture_parse(struct torture *t, const char *text, struct err *err)
{
	char word[24];
	int r;

	t->modes = 0;
	if (!text)
		return 0;
	if (getrandom(&t->seed, sizeof t->seed, 0) != sizeof t->seed)
		return err_errno(err, "torture: no seed");
	while (*text) {
		size_t len = strcspn(text, "+");

		if (len >= sizeof word)
			return err_set(err, -EINVAL, "torture: '%s' is no mode",
				       text);
		memcpy(word, text, len);
		word[len] = '\0';
		r = torture_word(t, word, err);
		if (r < 0)
			return r;
		text += len + (text[len] == '+');
	}
	log_info("torture: seed %#llx", (unsigned long long)t->seed);
	return 0;
}

static u32 torture_random(struct tcg_cpu *c)
{
	if (!c->torture)
		c->torture = c->t->torture.seed + (u64)c->v->index;
	c->torture =
		c->torture * 6364136223846793005ULL + 1442695040888963407ULL;
	return (u32)(c->torture >> 33);
}

static bool torture_turn(struct tcg_cpu *c, enum torture_mode mode, u32 every)
{
	return torture_has(&c->t->torture, mode) &&
	       torture_random(c) % every == 0;
}

static void torture_drop(struct tcg_cpu *c)
{
	u32 random = torture_random(c);

	switch (random >> 16 & 31) {
	case 0: tcg_tlb_flush(c, random & 1); break; /* expensive */
	case 1 ... 15: tcg_tlb_flush_page(c, c->gpr[random & 15]); break;
	case 16 ... 19: tcg_tlb_flush_page(c, c->rip); break;
	default:
		for (u32 n = 0; n < 64; n++)
			memset(&c->jcache[(random + n) & c->jcache_mask], 0,
			       sizeof c->jcache[0]);
	}
}

/* As a store to the page would. */
static void torture_code(struct tcg_cpu *c)
{
	const struct itlb_entry *e = tcg_itlb_entry(c, c->rip);
	_Atomic u32 *gen;

	if (e->tag != (c->rip & PAGE_MASK))
		return;
	gen = tcg_page_gen(c, e->phys);
	if (gen)
		atomic_fetch_add(gen, 1);
}

void torture_block(struct tcg_cpu *c)
{
	if (c->jit && torture_turn(c, TORTURE_FLUSH, FLUSH_EVERY))
		jit_flush(c);
	if (torture_turn(c, TORTURE_DROP, DROP_EVERY))
		torture_drop(c);
	if (torture_turn(c, TORTURE_CODE, CODE_EVERY))
		torture_code(c);
	if (torture_turn(c, TORTURE_STOP, STOP_EVERY)) {
		tcg_exclusive_begin(c);
		tcg_exclusive_end(c);
	}
}

void torture_enter(struct tcg_cpu *c)
{
	if (!torture_has(&c->t->torture, TORTURE_POLL))
		return;
	atomic_store_explicit(&c->exit_req, 1, memory_order_relaxed);
	if (torture_random(c) % POLL_EVERY == 0)
		atomic_fetch_or(&c->v->request, VCPU_REQ_POLL);
}
