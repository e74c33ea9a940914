/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The registers as gdb counts them, and their description.
 */
#ifndef GDB_REGS_H
#define GDB_REGS_H

#include "lib/types.h"
#include "vmm/cpu.h"

struct buf;

#define GDB_REG_MAX 32 /* bytes of the largest */

/* What the guest's processor has beside the base. */
#define GDB_HAS_AVX    0x01u
#define GDB_HAS_AVX512 0x02u

/* target.xml */
void gdb_regs_xml(u32 has, struct buf *out);

/* Register `n`: stores its value and returns its size, 0: there is none. */
u32 gdb_reg_get(const struct cpu_state *c, u32 has, u32 n, u8 *ret);
/* From GDB_REG_MAX bytes at `value`; returns the size, 0: there is none. */
u32 gdb_reg_set(struct cpu_state *c, u32 has, u32 n, const u8 *value);

#endif
