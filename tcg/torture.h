/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * -accel tcg,torture=: makes rare things of the engine frequent.  All of it
 * is allowed at any time, so a guest must not notice but by the clock.
 */
#ifndef TCG_TORTURE_H
#define TCG_TORTURE_H

#include "lib/types.h"

struct err;
struct tcg;
struct tcg_cpu;

enum torture_mode {

#define TORTURE(id, name, help) TORTURE_##id,
#include "tcg/torture.def"
#undef TORTURE
	TORTURE_COUNT
};

struct torture {
	u32 modes; /* bit per enum torture_mode; 0: none */
	u64 seed;
};

/* "MODE+MODE+...[+SEED]", or "all"; NULL: none.  Tells the seed. */
int torture_parse(struct torture *t, const char *text, struct err *err);

static inline bool torture_has(const struct torture *t, enum torture_mode mode)
{
	return unlikely(t->modes & BIT(mode));
}

/* Between two blocks, before the next one is looked for. */
void torture_block(struct tcg_cpu *c);
/* Translated code is about to be entered. */
void torture_enter(struct tcg_cpu *c);

#endif
