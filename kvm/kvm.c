/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * KVM: opening it, what it must be able to do, the VM, its clock.
 *
 * Spec: Documentation/virt/kvm/api.rst of Linux.
 */
#include "kvm/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include <x86intrin.h>

#include "kvm/internal.h"
#include "kvm/kvm_kick.h"
#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/opt.h"

/* Real-mode helpers of older Intel processors; three pages for the TSS and
 * one page table, below the local APIC where no firmware or BAR lies. */
#define KVM_IDENTITY_MAP 0xfeffc000ul
#define KVM_TSS          0xfeffd000ul

#define MCG_CAP_BANKS 0xffu
#define MCG_CTL_P     BIT(8)
#define MCG_SER_P     BIT(24)

static const char *const kvm_irqchip_names[] = { "split", "on", NULL };

static const struct option_row kvm_options[] = {
	{ "kernel-irqchip", &opt_enum, offsetof(struct kvm_vm, irqchip),
	  "split",
	  "local APICs in the kernel, PIC and IOAPIC in vmon (both words)",
	  kvm_irqchip_names },
	OPTION_END,
};

/* Nothing works without these. */
static const struct {
	int cap;
	const char *name;
} kvm_required[] = {
	{ KVM_CAP_USER_MEMORY, "user memory" },
	{ KVM_CAP_READONLY_MEM, "read-only memory" },
	{ KVM_CAP_SET_TSS_ADDR, "TSS address" },
	{ KVM_CAP_EXT_CPUID, "CPUID" },
	{ KVM_CAP_MP_STATE, "processor states" },
	{ KVM_CAP_VCPU_EVENTS, "vCPU events" },
	{ KVM_CAP_DEBUGREGS, "debug registers" },
	{ KVM_CAP_XSAVE, "XSAVE" },
	{ KVM_CAP_IRQCHIP, "interrupt controllers" },
	{ KVM_CAP_SPLIT_IRQCHIP, "split interrupt controllers" },
	{ KVM_CAP_IRQ_ROUTING, "interrupt routes" },
	{ KVM_CAP_SIGNAL_MSI, "message-signalled interrupts" },
	{ KVM_CAP_IRQFD, "interrupts by eventfd" },
	{ KVM_CAP_IOEVENTFD, "doorbells by eventfd" },
	{ KVM_CAP_ADJUST_CLOCK, "clock" },
	{ KVM_CAP_IMMEDIATE_EXIT, "immediate exit" },
};

int kvm_ioctl(int fd, unsigned long request, void *arg)
{
	int r;

	do
		r = ioctl(fd, request, arg);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

int kvm_check(const struct kvm_vm *k, int capability)
{
	int fd = k->vm_fd >= 0 ? k->vm_fd : k->dev_fd;

	return MAX(0, ioctl(fd, KVM_CHECK_EXTENSION, (long)capability));
}

static int kvm_open_error(struct err *err)
{
	switch (errno) {
	case EACCES:
	case EPERM:
		return err_set(err, -errno,
			       KVM_DEVICE ": permission denied (add the user "
					  "to group kvm)");
	case ENOENT:
	case ENODEV:
	case ENXIO:
		return err_set(err, -errno,
			       KVM_DEVICE ": not there (load kvm-intel or "
					  "kvm-amd; the firmware may have "
					  "virtualisation switched off)");
	default: return err_errno(err, KVM_DEVICE);
	}
}

/* Opens the device and checks that it is the KVM we know. */
static int kvm_open(struct err *err)
{
	int fd, version;

	fd = open(KVM_DEVICE, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return kvm_open_error(err);
	version = ioctl(fd, KVM_GET_API_VERSION, 0);
	if (version != KVM_API_VERSION) {
		close(fd);
		return err_set(err, -ENOTSUP,
			       KVM_DEVICE ": interface version %d, not %d",
			       version, KVM_API_VERSION);
	}
	for (size_t i = 0; i < ARRAY_SIZE(kvm_required); i++) {
		if (ioctl(fd, KVM_CHECK_EXTENSION, (long)kvm_required[i].cap) >
		    0)
			continue;
		close(fd);
		return err_set(err, -ENOTSUP,
			       KVM_DEVICE ": this kernel lacks '%s'",
			       kvm_required[i].name);
	}
	return fd;
}

static int kvm_accel_probe(bool strict, struct err *err)
{
	struct kvm_speed speed;
	int fd, r = 0;

	fd = kvm_open(err);
	if (fd < 0)
		return fd;
	if (strict)
		r = kvm_probe_speed(fd, &speed, err);
	close(fd);
	return r;
}

static int kvm_create_vm(struct kvm_vm *k, struct err *err)
{
	u64 identity = KVM_IDENTITY_MAP;
	int r;

	k->vm_fd = kvm_ioctl(k->dev_fd, KVM_CREATE_VM, NULL);
	if (k->vm_fd == -EBUSY)
		return err_set(err, -EBUSY,
			       "cannot create a VM: another hypervisor "
			       "holds the processor");
	if (k->vm_fd < 0)
		return err_code(err, k->vm_fd, "cannot create a VM");
	/* Ignored by AMD; Intel without unrestricted guests needs both. */
	if (kvm_check(k, KVM_CAP_SET_IDENTITY_MAP_ADDR))
		kvm_ioctl(k->vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity);
	r = ioctl(k->vm_fd, KVM_SET_TSS_ADDR, KVM_TSS);
	if (r < 0)
		return err_errno(err, "KVM_SET_TSS_ADDR");
	return 0;
}

static void kvm_read_capabilities(struct kvm_vm *k)
{
	int size = kvm_check(k, KVM_CAP_XSAVE2);

	k->xsave_size = MAX(size, (int)sizeof(struct kvm_xsave));
	k->has_block_irq = kvm_check(k, KVM_CAP_SET_GUEST_DEBUG2) > 0 &&
			   (kvm_check(k, KVM_CAP_SET_GUEST_DEBUG2) &
			    KVM_GUESTDBG_BLOCKIRQ);
	k->has_tsc_deadline = kvm_check(k, KVM_CAP_TSC_DEADLINE_TIMER);
	k->has_smm = kvm_check(k, KVM_CAP_X86_SMM);
	k->has_clock_ctrl = kvm_check(k, KVM_CAP_KVMCLOCK_CTRL);
	k->has_xcrs = kvm_check(k, KVM_CAP_XCRS);
	k->has_mce = kvm_check(k, KVM_CAP_MCE) > 0 &&
		     kvm_ioctl(k->dev_fd, KVM_X86_GET_MCE_CAP_SUPPORTED,
			       &k->mce_cap) >= 0;
	k->mce_cap &= MCG_CTL_P | MCG_SER_P;
	k->mce_cap |= MIN((u64)MCE_BANKS, MCG_CAP_BANKS);
}

/* With an interpreter at hand, an instruction that user code of the guest
 * executes on device memory and KVM cannot emulate need not end in #UD. */
static void kvm_want_emulation_exits(struct kvm_vm *k)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_EXIT_ON_EMULATION_FAILURE,
		.args = { 1 },
	};

	if (k->m->emulate_one && kvm_check(k, cap.cap))
		k->emulation_exits =
			kvm_ioctl(k->vm_fd, KVM_ENABLE_CAP, &cap) >= 0;
}

static void kvm_close(struct kvm_vm *k)
{
	free(k->supported);
	k->supported = NULL;
	if (k->vm_fd >= 0)
		close(k->vm_fd);
	if (k->dev_fd >= 0)
		close(k->dev_fd);
	k->vm_fd = k->dev_fd = -1;
	lock_fini(&k->route_lock);
}

static void kvm_destroy(struct machine *m)
{
	if (m->accel_data)
		kvm_close(m->accel_data);
}

static int kvm_open_vm(struct kvm_vm *k, struct err *err)
{
	int r;

	k->dev_fd = kvm_open(err);
	if (k->dev_fd < 0)
		return k->dev_fd;
	/* For `info kvm` and the choice of PV features; any answer will do. */
	kvm_probe_speed(k->dev_fd, &k->speed, NULL);
	r = kvm_kick_init(err);
	if (r >= 0)
		r = kvm_create_vm(k, err);
	if (r < 0)
		return r;
	kvm_read_capabilities(k);
	kvm_want_emulation_exits(k);
	r = ioctl(k->dev_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (r < (int)sizeof(struct kvm_run))
		return err_set(err, -ENOTSUP, "KVM_GET_VCPU_MMAP_SIZE: %d", r);
	k->run_size = r;
	r = kvm_irq_init(k, err);
	if (r >= 0)
		r = kvm_cpuid_init(k, err);
	if (r >= 0)
		kvm_regs_init(k);
	return r;
}

static int kvm_create(struct machine *m, void *instance, struct err *err)
{
	struct kvm_vm *k = instance;
	int r;

	k->m = m;
	k->vm_fd = k->dev_fd = -1;
	lock_init(&k->route_lock);
	r = kvm_open_vm(k, err);
	if (r < 0)
		kvm_close(k);
	return r;
}

/* kvmclock and TSC stand still while the machine does.  The TSC offset is
 * per vCPU and set by its thread before it runs again. */
static void kvm_clock(struct machine *m, bool running)
{
	struct kvm_vm *k = kvm_of(m);
	struct kvm_clock_data data = { 0 };
	u64 now = __rdtsc();

	if (!running) {
		if (k->clock_stopped)
			return;
		if (kvm_ioctl(k->vm_fd, KVM_GET_CLOCK, &data) < 0)
			return;
		k->clock_ns = data.clock;
		k->stop_tsc = now;
		k->clock_stopped = true;
		return;
	}
	if (!k->clock_stopped)
		return;
	data.clock = k->clock_ns;
	kvm_ioctl(k->vm_fd, KVM_SET_CLOCK, &data);
	atomic_fetch_add(&k->tsc_paused, now - k->stop_tsc);
	k->clock_stopped = false;
}

static void kvm_info_exits(struct machine *m, struct buf *out)
{
	u64 by_reason[KVM_EXIT_KINDS] = { 0 };
	u64 total = 0, emulated = 0;

	for (int i = 0; i < m->nvcpus; i++) {
		struct kvm_vcpu *kv = m->vcpus[i]->accel;

		if (!kv)
			continue;
		for (int e = 0; e < KVM_EXIT_KINDS; e++) {
			by_reason[e] += kv->exits[e];
			total += kv->exits[e];
		}
		emulated += m->vcpus[i]->stats.emulated;
	}
	buf_printf(out, "exits: %llu", (unsigned long long)total);
	for (int e = 0; e < KVM_EXIT_KINDS; e++)
		if (by_reason[e])
			buf_printf(out, ", %s %llu", kvm_exit_name(e),
				   (unsigned long long)by_reason[e]);
	buf_printf(out, "\ninstructions finished by the interpreter: %llu\n",
		   (unsigned long long)emulated);
}

static void kvm_info(struct machine *m, struct buf *out)
{
	struct kvm_vm *k = kvm_of(m);

	kvm_info_exits(m, out);
	buf_printf(out, "interrupts by irqfd: %d\n", kvm_irqfds(k));
	if (k->speed.insns_per_s)
		buf_printf(out, "probe: %llu million instructions/s%s\n",
			   (unsigned long long)k->speed.insns_per_s / 1000000,
			   k->speed.cached ? " (measured earlier)" : "");
}

const struct accel_class kvm_accel = {
	.name = "kvm",
	.desc = "the processor's virtualisation through " KVM_DEVICE,
	.kernel_lapic = true,
	.options = kvm_options,
	.size = sizeof(struct kvm_vm),
	.probe = kvm_accel_probe,
	.create = kvm_create,
	.destroy = kvm_destroy,
	.vcpu_create = kvm_vcpu_create,
	.vcpu_destroy = kvm_vcpu_destroy,
	.run = kvm_run,
	.kick = kvm_kick,
	.features = kvm_features,
	.get = kvm_get,
	.put = kvm_put,
	.clock = kvm_clock,
	.map_ram = kvm_map_ram,
	.dirty_log = kvm_dirty_log,
	.dirty_sync = kvm_dirty_sync,
	.msi_send = kvm_msi_send,
	.ioapic_changed = kvm_ioapic_changed,
	.ioeventfd = kvm_ioeventfd,
	.irqfd = kvm_irqfd,
	.debug = true,
	.debug_hard = KVM_DEBUG_HARD,
	.cpuid = kvm_cpuid,
	.info = kvm_info,
};
