/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Private to kvm/: the VM, the vCPU and the calls between its files.
 *
 * Locking: struct kvm_vcpu belongs to its vCPU's thread.  Of struct kvm_vm,
 * the routes are guarded by route_lock (a leaf); slots and clock change only
 * with machine_lock held; the rest is constant once the VM exists.
 */
#ifndef KVM_INTERNAL_H
#define KVM_INTERNAL_H

#include <linux/kvm.h>
#include <stdatomic.h>
#include <sys/ioctl.h>

#include "lib/lock.h"
#include "lib/types.h"
#include "vmm/cpu_models.h"
#include "vmm/machine.h"
#include "vmm/memory.h"
#include "vmm/vcpu.h"

struct buf;
struct err;
struct msi;

#define KVM_DEVICE      "/dev/kvm"
#define KVM_CPUID_MAX   256
#define KVM_MSRS_MAX    128
#define KVM_ROUTES_MAX  1024 /* the kernel's limit is 4096 */
#define KVM_IOAPIC_PINS 24
#define KVM_EXIT_KINDS  64

/* An MSR and the field of struct cpu_state that carries it. */
struct kvm_msr_row {
	u32 index;
	u16 offset;
};

/* What the processor executes per second in ring 0, measured. */
struct kvm_speed {
	u64 insns_per_s; /* 0: unknown */
	bool cached;     /* taken from this boot's cache file */
};

struct kvm_vm {
	struct machine *m;
	int irqchip; /* option: index into kvm_irqchip_names */

	int dev_fd, vm_fd;
	u32 run_size;   /* bytes of the shared page of each vCPU */
	u32 xsave_size; /* bytes of the XSAVE image */
	u64 xcr0;       /* components the guest may enable */
	bool has_tsc_deadline, has_smm, has_tsc_offset, has_clock_ctrl;
	bool has_xcrs, has_mce;
	bool has_block_irq; /* while a debugger steps */
	bool emulation_exits; /* failures at CPL 3 come to us, too */
	u64 mce_cap;
	struct kvm_speed speed;

	struct kvm_cpuid2 *supported; /* owned; what KVM can offer */
	struct cpu_model model;       /* what -cpu chose of it */

	struct kvm_msr_row msrs[KVM_MSRS_MAX];
	int nmsrs;

	bool slot_logging;

	struct lock route_lock;
	struct kvm_irq_routing_entry
		routes[KVM_ROUTES_MAX] GUARDED_BY_MEMBER(route_lock);
	bool route_used[KVM_ROUTES_MAX] GUARDED_BY_MEMBER(route_lock);

	u64 clock_ns; /* kvmclock at the last stop */
	u64 stop_tsc; /* host TSC at the last stop */
	bool clock_stopped;
	_Atomic u64 tsc_paused; /* host TSC ticks spent stopped, total */
};

struct kvm_vcpu {
	int fd;
	struct kvm_run *run;      /* shared with the kernel */
	bool incomplete;          /* PIO or MMIO to be finished by KVM_RUN */
	bool extint;              /* the PIC may have an interrupt */
	int extint_vector;        /* acknowledged, not yet taken; or -1 */
	u64 tsc_paused;           /* part of kvm_vm.tsc_paused applied so far */
	struct kvm_cpuid2 *cpuid; /* owned; as the guest sees it */
	u32 debugged;             /* KVM_GUESTDBG_*, set last */
	u8 *xsave;                /* owned; image of the last get */
	struct kvm_vcpu_events events; /* of the last get */

	/* What the kernel holds, while `known`: a put sends the differences
	 * only, so that a TSC or an APIC nobody touched keeps going. */
	struct cpu_state kernel;
	bool known;

	/* For `info kvm`; relaxed, other threads read. */
	_Atomic u64 exits[KVM_EXIT_KINDS];
};

static inline struct kvm_vm *kvm_of(struct machine *m)
{
	return m->accel_data;
}

/* ioctl that is repeated on EINTR and returns -errno. */
int kvm_ioctl(int fd, unsigned long request, void *arg);
int kvm_check(const struct kvm_vm *k, int capability);

/* kvm_probe.c: 0 when ring-0 code runs fast enough for a stock kernel,
 * -ENOTSUP with the reason when not.  May answer from a cache. */
int kvm_probe_speed(int dev_fd, struct kvm_speed *ret, struct err *err);

bool kvm_speed_enough(const struct kvm_speed *s);

/* kvm_debug.c: what a debugger wants of the run that begins; what a
 * KVM_EXIT_DEBUG was. */
#define KVM_DEBUG_HARD 4
void kvm_debug_begin(struct vcpu *v);
enum vcpu_exit kvm_debug_exit(struct vcpu *v);
/* After a get: is there a software breakpoint at RIP that the kernel has failed
 * to emulate? */
bool kvm_debug_breaks(struct vcpu *v);

/* kvm_cpuid.c */
int kvm_cpuid_init(struct kvm_vm *k, struct err *err);
void kvm_features(struct machine *m, const char *vendor, u32 *words);
int kvm_cpuid_set(struct kvm_vm *k, struct vcpu *v, struct err *err);
void kvm_cpuid(struct vcpu *v, u32 leaf, u32 subleaf, u32 out[4]);
const struct kvm_cpuid_entry2 *kvm_cpuid_find(const struct kvm_cpuid2 *c,
					      u32 leaf, u32 subleaf);

/* kvm_regs.c */
void kvm_regs_init(struct kvm_vm *k);
/* Drops from the list what this vCPU cannot read; once, first vCPU. */
void kvm_regs_trim(struct kvm_vm *k, struct kvm_vcpu *kv);
void kvm_get(struct vcpu *v);
int kvm_put(struct vcpu *v);

/* kvm_vcpu.c */
int kvm_vcpu_create(struct vcpu *v, struct err *err);
void kvm_vcpu_destroy(struct vcpu *v);
enum vcpu_exit kvm_run(struct vcpu *v);
void kvm_kick(struct vcpu *v);
const char *kvm_exit_name(u32 reason);

/* kvm_memory.c */
int kvm_map_ram(struct machine *m, struct ram_block *b, struct err *err);
int kvm_dirty_log(struct machine *m, bool on);
void kvm_dirty_sync(struct machine *m);

/* kvm_irq.c */
int kvm_irq_init(struct kvm_vm *k, struct err *err);
void kvm_msi_send(struct machine *m, const struct msi *msi);
void kvm_ioapic_changed(struct machine *m);
int kvm_ioeventfd(struct machine *m, bool pio, u64 addr, u32 size, bool match,
		  u64 data, int fd, bool add);
int kvm_irqfds(struct kvm_vm *k); /* how many are attached */
int kvm_irqfd(struct machine *m, const struct msi *msi, int fd, bool add,
	      int *route);

#endif
