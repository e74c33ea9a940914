/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * KVM's paravirtual clock: a record in guest memory that turns the TSC into
 * nanoseconds, so that a guest need not measure its frequency.
 *
 * Spec: Linux Documentation/virt/kvm/x86/{msr,cpuid,hypercalls}.rst.
 *
 * Locking: from the vCPU's thread.
 */
#ifndef TCG_PVCLOCK_H
#define TCG_PVCLOCK_H

#include "tcg/internal.h"

/* Bits of CPUID leaf 0x40000001, EAX. */
#define PVCLOCK_OLD    BIT(0) /* MSRs 0x11 and 0x12 */
#define PVCLOCK_NEW    BIT(3) /* MSRs 0x4b564d00 and 01 */
#define PVCLOCK_STABLE BIT(24)

/* Does CPUID show a KVM? */
bool pvclock_is_kvm(const struct tcg_cpu *c);

/* False: no register of the clock, or not offered: #GP. */
bool pvclock_msr_read(struct tcg_cpu *c, u32 msr, u64 *ret);
bool pvclock_msr_write(struct tcg_cpu *c, u32 msr, u64 value);

/* The registers were loaded. */
void pvclock_update(struct tcg_cpu *c);
/* The guest has set this vCPU's TSC: from now on a record is good for its
 * own vCPU only. */
void pvclock_tsc_moved(struct tcg_cpu *c);
/* On VCPU_REQ_POLL: another vCPU's TSC may have moved. */
void pvclock_follow(struct tcg_cpu *c);

#endif
