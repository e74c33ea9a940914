/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Code as text, AT&T syntax in the layout of QEMU 7.2, through capstone.
 *
 * The library is loaded on demand and not linked: its relocations would cost
 * each VM 3 MiB and a millisecond at start.
 */
#ifndef TCG_DISAS_H
#define TCG_DISAS_H

#include "lib/types.h"

struct buf;
struct err;
struct disas;

/* For code of 16, 32 or 64 bits; NULL with the reason. */
struct disas *disas_open(int bits, struct err *err);
void disas_close(struct disas *d); /* NULL is fine */
/* Appends the instruction that `code` begins with, at most `n` bytes: its
 * address, bytes and text, a line for each eight bytes.  Returns its length;
 * 0: nothing to decode, and nothing was appended. */
size_t disas_insn(struct disas *d, u64 addr, const u8 *code, size_t n,
		  struct buf *out);

#endif
