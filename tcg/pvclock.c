/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * KVM's paravirtual clock.
 *
 * The guest's TSC and the machine's clock stand still together, so a record
 * stays true until somebody sets the TSC.
 */
#include "tcg/pvclock.h"

#include <string.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "tcg/tcg.h"
#include "vmm/machine.h"
#include "vmm/vtimer.h"

#define MSR_WALL_CLOCK_OLD  0x11
#define MSR_SYSTEM_TIME_OLD 0x12
#define MSR_WALL_CLOCK      0x4b564d00
#define MSR_SYSTEM_TIME     0x4b564d01

#define TIME_ENABLE BIT(0) /* of MSR_SYSTEM_TIME */

#define FLAG_STABLE 0x01 /* records of all vCPUs agree */

/* Layouts of the ABI.  `version` is odd while the rest changes. */
struct pvclock_time {
	u32 version, pad;
	u64 tsc;
	u64 ns; /* at `tsc`; then (ticks << shift) * mul >> 32 more */
	u32 mul;
	s8 shift;
	u8 flags;
	u8 pad2[2];
};

struct pvclock_wall { /* when `ns` was 0 */
	u32 version, seconds, ns;
};

_Static_assert(sizeof(struct pvclock_time) == 32, "ABI");
_Static_assert(sizeof(struct pvclock_wall) == 12, "ABI");

static u32 pvclock_features(const struct tcg_cpu *c)
{
	const struct cpu_model *m = &c->t->model;

	return cpu_model_has(m, CPUID_1_ECX, 31) ? m->word[CPUID_KVM_EAX] : 0;
}

bool pvclock_is_kvm(const struct tcg_cpu *c)
{
	return pvclock_features(c);
}

/* `record` begins with its version, which is of no account. */
static void pvclock_store(struct tcg_cpu *c, gpa_t gpa, const void *record,
			  size_t size)
{
	u8 *at = gpa & 3 ? NULL : mem_ptr_rw(&c->m->mem, gpa, size);
	_Atomic u32 *version = (_Atomic u32 *)at;
	u32 odd;

	if (!at) {
		log_guest("kvmclock", "vCPU %d: no place for a record at %#llx",
			  c->v->index, (unsigned long long)gpa);
		return;
	}
	odd = atomic_load_explicit(version, memory_order_relaxed) | 1;
	atomic_store_explicit(version, odd, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	memcpy(at + 4, (const u8 *)record + 4, size - 4);
	atomic_store_explicit(version, odd + 1, memory_order_release);
	mem_written(&c->m->mem, gpa, size);
}

static void pvclock_rate(u64 khz, struct pvclock_time *t)
{
	u64 mul = (NS_PER_MS << 32) / khz;

	for (t->shift = 0; mul >> 32; t->shift++)
		mul >>= 1;
	t->mul = mul;
}

void pvclock_update(struct tcg_cpu *c)
{
	u64 where = c->s->kvm.system_time;
	struct pvclock_time t = { 0 };

	if (!(where & TIME_ENABLE))
		return;
	c->clock_split = atomic_load(&c->t->tsc_moved);
	t.tsc = vcpu_tsc(c->v);
	t.ns = vcpu_tsc_to_vclock(c->v, t.tsc);
	t.flags = c->clock_split ? 0 : FLAG_STABLE;
	pvclock_rate(machine_tsc_khz(c->m), &t);
	pvclock_store(c, where & ~TIME_ENABLE, &t, sizeof t);
}

void pvclock_follow(struct tcg_cpu *c)
{
	if (c->clock_split != atomic_load(&c->t->tsc_moved))
		pvclock_update(c);
}

void pvclock_tsc_moved(struct tcg_cpu *c)
{
	bool before =
		c->m->nvcpus < 2 || atomic_exchange(&c->t->tsc_moved, true);

	pvclock_update(c);
	for (int n = 0; !before && n < c->m->nvcpus; n++)
		if (c->m->vcpus[n] && c->m->vcpus[n] != c->v)
			vcpu_request(c->m->vcpus[n], VCPU_REQ_POLL);
}

static void pvclock_write_wall(struct tcg_cpu *c, gpa_t gpa)
{
	u64 start = clock_realtime_ns() - vclock_now(c->m);
	struct pvclock_wall w = { .seconds = (u32)(start / NS_PER_S),
				  .ns = (u32)(start % NS_PER_S) };

	pvclock_store(c, gpa, &w, sizeof w);
}

static u64 *pvclock_register(struct tcg_cpu *c, u32 msr)
{
	struct cpu_kvm_msrs *k = &c->s->kvm;
	u32 f = pvclock_features(c);

	switch (msr) {
	case MSR_WALL_CLOCK_OLD: return f & PVCLOCK_OLD ? &k->wall_clock : NULL;
	case MSR_SYSTEM_TIME_OLD:
		return f & PVCLOCK_OLD ? &k->system_time : NULL;
	case MSR_WALL_CLOCK: return f & PVCLOCK_NEW ? &k->wall_clock : NULL;
	case MSR_SYSTEM_TIME: return f & PVCLOCK_NEW ? &k->system_time : NULL;
	default: return NULL;
	}
}

bool pvclock_msr_read(struct tcg_cpu *c, u32 msr, u64 *ret)
{
	const u64 *r = pvclock_register(c, msr);

	if (r)
		*ret = *r;
	return r;
}

bool pvclock_msr_write(struct tcg_cpu *c, u32 msr, u64 value)
{
	u64 *r = pvclock_register(c, msr);

	if (!r)
		return false;
	*r = value;
	if (r == &c->s->kvm.system_time)
		pvclock_update(c);
	else
		pvclock_write_wall(c, value);
	return true;
}
