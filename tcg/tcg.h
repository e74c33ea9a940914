/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The emulation engine: one instance per machine.
 */
#ifndef TCG_TCG_H
#define TCG_TCG_H

#include "lib/lock.h"
#include "tcg/internal.h"
#include "tcg/pool.h"
#include "tcg/torture.h"
#include "vmm/accel.h"
#include "vmm/cpu_models.h"

extern const struct accel_class tcg_accel;

struct tcg {
	u32 tb_size; /* MiB, of all vCPUs together */
	int thread;  /* enum of tcg_thread_names; all but ignored */
	bool jit;    /* translate */
	u32 hot;     /* ... blocks that have run so often */
	u32 check;   /* about one of so many blocks: jit_check.c; 0: none */

	char *torture_text;
	struct torture torture;

	/* Exclusive sections: how many vCPUs execute guest code, and whether
	 * one of them has asked the others to wait. */
	struct lock lock;
	struct cond changed;
	int running GUARDED_BY_MEMBER(lock);
	bool exclusive GUARDED_BY_MEMBER(lock);

	/* A guest with several vCPUs has set a TSC: pvclock.c. */
	_Atomic bool tsc_moved;

	struct lock code_lock; /* marking of code pages, see softmmu.c */
	bool membarrier;

	struct pool pool;       /* decoded blocks: interp.c */
	struct cpu_model model; /* what CPUID says; constant after create */
};

/* In the vCPU's thread; also used by tests. */
int tcg_cpu_create(struct vcpu *v, struct err *err);
void tcg_cpu_destroy(struct vcpu *v);
/* The two without v->accel, on the engine `t`; NULL with the reason. */
struct tcg_cpu *tcg_cpu_open(struct vcpu *v, struct tcg *t, struct err *err);
void tcg_cpu_close(struct tcg_cpu *c);
/* An engine of up to `vcpus` vCPUs, and the CPU model as after -cpu. */
int tcg_init(struct tcg *t, u32 vcpus, const char *cpu_model, struct err *err);
void tcg_fini(struct tcg *t);
/* Around the execution of guest code: waits while another vCPU has the
 * machine for itself. */
void tcg_enter(struct tcg_cpu *c);
void tcg_leave(struct tcg_cpu *c);

/* cpuid.c: parses the text after -cpu; -EINVAL. */
int tcg_cpuid_init(struct tcg *t, const char *cpu_model, struct err *err);
void tcg_cpu_features(struct machine *m, const char *vendor, u32 *words);
/* Features and vendor of a new vCPU. */
void tcg_cpuid_vcpu(struct tcg_cpu *c);
u32 tcg_signature(struct tcg_cpu *c); /* leaf 1 EAX, EDX after reset */

#endif
