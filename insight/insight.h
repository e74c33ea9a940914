/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a stock Linux guest is doing, read from its RAM without its help.
 *
 * A kernel describes itself: the VMCOREINFO page that it keeps for crash
 * dumps tells addresses and offsets, kallsyms the names, BTF the layout of
 * structs, ORC how to unwind.  All of it is the guest's and may be damaged
 * or forged: every read is checked and every loop bounded, and what does
 * not fit together is refused with a reason.
 *
 * Locking: none; guest RAM is read while it may change.  A handle belongs
 * to one thread at a time.
 */
#ifndef INSIGHT_INSIGHT_H
#define INSIGHT_INSIGHT_H

#include "lib/types.h"

struct cpu_state;
struct err;
struct insight;
struct memory;

/* Finds the kernel that `cpu`, a vCPU of the machine, has entered.  With
 * `any` one that ran before is taken as well, see insight_stale().  NULL
 * with the reason. */
struct insight *insight_open(struct memory *mem, const struct cpu_state *cpu,
			     bool any, struct err *err);
void insight_close(struct insight *ins); /* NULL is allowed */
/* Is it still that kernel? */
bool insight_alive(const struct insight *ins, const struct cpu_state *cpu);
/* No vCPU runs it (any more). */
bool insight_stale(const struct insight *ins);
const char *insight_release(const struct insight *ins); /* "6.1.0-13-amd64" */

/* ---- symbols: 0 of them when the kernel is older than 6.0 ---- */

u32 insight_symbol_count(const struct insight *ins);
/* By index, in order of address; *ret_type as nm has it. */
const char *insight_symbol_at(const struct insight *ins, u32 i, u64 *ret_addr,
			      char *ret_type);
/* The function that `addr` lies in, or NULL. */
const char *insight_symbol(const struct insight *ins, u64 addr,
			   u64 *ret_offset);
bool insight_find(const struct insight *ins, const char *name, u64 *ret);

/* ---- the kernel's stack of a vCPU, innermost first ---- */

struct insight_frame {
	u64 addr;
	const char *name; /* NULL: not in the kernel's image */
	u64 offset;
	bool exact; /* an interrupted instruction, not a return address */
};

typedef void insight_frame_fn(void *arg, const struct insight_frame *f);
/* 0: down to the end of the stack.  Else -errno and why it stopped there;
 * the frames before that are good. */
int insight_backtrace(struct insight *ins, const struct cpu_state *cpu,
		      insight_frame_fn *fn, void *arg, struct err *err);

/* ---- the kernel's log ---- */

/* `text` is printable ASCII, tabs and newlines. */
typedef void insight_dmesg_fn(void *arg, u64 seq, u64 ns, int level,
			      const char *text);
int insight_dmesg(struct insight *ins, insight_dmesg_fn *fn, void *arg,
		  struct err *err);

/* ---- processes ---- */

struct insight_task {
	u64 addr; /* of its task_struct */
	int pid, ppid, cpu;
	u32 state;     /* as in the kernel: 0 runs, 1 sleeps... */
	bool running;  /* on `cpu` at this moment */
	bool kernel;   /* has no memory of its own */
	char comm[17]; /* printable ASCII */
};

typedef void insight_task_fn(void *arg, const struct insight_task *t);
int insight_tasks(struct insight *ins, insight_task_fn *fn, void *arg,
		  struct err *err);

#endif
