/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The emulation engine: one instance per machine.
 */
#ifndef TCG_TCG_H
#define TCG_TCG_H

#include "lib/lock.h"
#include "tcg/internal.h"
#include "vmm/accel.h"
#include "vmm/cpu_models.h"

extern const struct accel_class tcg_accel;

struct tcg {
	/* Exclusive sections: how many vCPUs execute guest code, and whether
	 * one of them has asked the others to wait. */
	struct lock lock;
	struct cond changed;
	int running GUARDED_BY_MEMBER(lock);
	bool exclusive GUARDED_BY_MEMBER(lock);

	struct lock code_lock; /* marking of code pages, see softmmu.c */
	bool membarrier;

	struct cpu_model model; /* what CPUID says; constant after create */
};

/* In the vCPU's thread; also used by tests. */
int tcg_cpu_create(struct vcpu *v, struct err *err);
void tcg_cpu_destroy(struct vcpu *v);

/* cpuid.c: parses m->cpu_model; -EINVAL. */
int tcg_cpuid_init(struct tcg *t, struct machine *m, struct err *err);
/* Features and vendor of a new vCPU. */
void tcg_cpuid_vcpu(struct tcg_cpu *c);
u32 tcg_signature(struct tcg_cpu *c); /* leaf 1 EAX, EDX after reset */

#endif
