/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Calls that may raise SIMD floating-point exceptions on the host.  Apart
 * from tcg/vec.c because <signal.h> and vmm/cpu.h share register names.
 */
#ifndef TCG_VEC_TRAP_H
#define TCG_VEC_TRAP_H

#include "lib/types.h"

/* Lets SIGFPE reach the calling thread.  Once per vCPU thread. */
void vec_trap_init(void);

/* Calls fn(f, v, h, w).  False when SIGFPE cut it short; then *ret_mxcsr is
 * what MXCSR was. */
bool vec_trap_call(void (*fn)(void *f, void *v, void *h, void *w), void *f,
		   void *v, void *h, void *w, u32 *ret_mxcsr);

#endif
