/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Guest code as text, for x/i.
 */
#ifndef MONITOR_DISAS_H
#define MONITOR_DISAS_H

#include "lib/types.h"

struct buf;
struct mon_space;

/* Appends `count` lines of AT&T syntax for the code at `addr`, which is
 * `bits` (16, 32, 64) wide.  Stops with a line at memory it cannot read. */
void disas_dump(const struct mon_space *s, u64 addr, u32 count, int bits,
		struct buf *out);

#endif
