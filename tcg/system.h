/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the files of system instructions share.
 */
#ifndef TCG_SYSTEM_H
#define TCG_SYSTEM_H

#include "tcg/internal.h"

void sys_need_cpl0(struct tcg_cpu *c);
/* Writes 1, 2, 4 or 8 bytes; 4 clear the upper half. */
void sys_set_reg(struct tcg_cpu *c, u8 reg, u64 value, int size);
void sys_set_cr0(struct tcg_cpu *c, u64 value);
/* FS or GS; #GP when not canonical. */
void sys_set_base(struct tcg_cpu *c, int seg, u64 base);

/* The memory operand as a far pointer: its offset.  APM 3 "JMP (Far)": AMD's
 * have no m16:64. */
u64 sys_far_pointer(struct tcg_cpu *c, const struct insn *i, u16 *ret_sel);

/* CR4.TSD, the TSC's offset or the machine's clock has changed. */
void tcg_tsc_changed(struct tcg_cpu *c);

/* False: #GP. */
bool msr_read(struct tcg_cpu *c, u32 msr, u64 *ret);
bool msr_write(struct tcg_cpu *c, u32 msr, u64 value);

#endif
