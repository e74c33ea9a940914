/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Everything that the page tables of a vCPU map.
 */
#ifndef MONITOR_PAGING_H
#define MONITOR_PAGING_H

#include "lib/types.h"

struct cpu_state;
struct memory;

/* Calls fn for each mapping in order of address until it returns false.
 * False when it did, or when there are more than `tables` page tables.  Any
 * thread; paging is on. */
bool paging_walk(struct memory *mem, const struct cpu_state *c, int tables,
		 bool (*fn)(void *arg, u64 va, u64 pa, u64 size), void *arg);

#endif
