/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Runs the judge's sequences on an engine, from state to state: ring 3 at the
 * same addresses, with the same selectors, without any system below.
 */
#ifndef TESTS_DIFF_ENGINE_H
#define TESTS_DIFF_ENGINE_H

#include "tests/diff/native.h"

struct engine;

/* `name` as after -e; ends the program when there is none. */
struct engine *engine_create(const char *name);
void engine_destroy(struct engine *e);
/* Puts the sequence's bytes in place.  It may then run more than once, so
 * that an engine that counts executions gets to translate it; what a run has
 * changed among them the next one restores. */
void engine_code(struct engine *e, const struct diff_test *t);
void engine_run(struct engine *e, const struct diff_test *t,
		struct diff_result *r);

#endif
