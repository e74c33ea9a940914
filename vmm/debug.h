/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A debugger's points and steps, as the accelerators carry them out.
 *
 * Breakpoints and watchpoints are the machine's, by linear address, and hold
 * on every vCPU; they are no part of what the guest sees, its own debug
 * registers included.  A step is a vCPU's.  Whoever runs into one leaves
 * with VCPU_EXIT_DEBUG and says why in v->debug, and the machine stops with
 * RUN_DEBUG.
 *
 * Locking: everything changes in the main thread while every vCPU is parked;
 * v->debug.why and .hit are written by the running vCPU's thread.  An
 * accelerator looks when its run() begins.
 */
#ifndef VMM_DEBUG_H
#define VMM_DEBUG_H

#include "lib/types.h"

struct machine;
struct vcpu;

#define DEBUG_POINTS_MAX 256

/* In the order of gdb's Z packets. */
enum debug_kind {
	DEBUG_BREAK_SOFT,
	DEBUG_BREAK_HARD,
	DEBUG_WATCH_WRITE,
	DEBUG_WATCH_READ,
	DEBUG_WATCH_ACCESS,
	DEBUG_KIND_COUNT
};

struct debug_point {
	enum debug_kind kind;
	gva_t va;
	u32 len; /* of a watchpoint; at least 1 */
	/* Where an accelerator without breakpoints of its own has put an INT3,
	 * and instead of what. */
	bool patched;
	u8 byte;
	gpa_t pa;
};

struct machine_debug {
	struct debug_point point[DEBUG_POINTS_MAX];
	int n;
	u32 epoch; /* changes with the points */
};

enum debug_why {
	DEBUG_NONE,
	DEBUG_STEPPED,
	DEBUG_BROKE,   /* `hit` is a breakpoint, not yet executed */
	DEBUG_WATCHED, /* `hit` is a watchpoint, behind the access */
};

struct vcpu_debug {
	bool step;      /* stop after one instruction */
	bool step_irqs; /* ... and take interrupts before it */
	bool held;      /* does not run when the machine does */
	/* A step goes on while the next address is within; empty: does not. */
	gva_t range_start, range_end;
	enum debug_why why;
	struct debug_point hit;
};

/* Machine stopped.  Where an INT3 is needed, the page tables of `v` say where
 * `va` is.  0; -EINVAL, -ENOSPC, -EFAULT, or -ENOTSUP when the accelerator
 * knows no such thing. */
int debug_insert(struct vcpu *v, enum debug_kind kind, gva_t va, u32 len);
int debug_remove(struct machine *m, enum debug_kind kind, gva_t va, u32 len);
void debug_remove_all(struct machine *m);

/* As for an INT3 in guest memory: shows the bytes under it, or writes under
 * it, in `len` bytes that were read from `pa` or are about to be written. */
void debug_show(const struct machine *m, gpa_t pa, u8 *data, u64 len);
void debug_hide(struct machine *m, gpa_t pa, u8 *data, u64 len);

/* The breakpoint at `va`, or NULL. */
const struct debug_point *debug_break_at(const struct machine_debug *d,
					 gva_t va);
/* Is there one in the page of `va`?  A watchpoint? */
bool debug_break_in_page(const struct machine_debug *d, gva_t va);
bool debug_watch_in_page(const struct machine_debug *d, gva_t va);
/* The watchpoint that an access meets, or NULL. */
const struct debug_point *debug_watch_at(const struct machine_debug *d,
					 gva_t va, u64 len, bool write);

#endif
