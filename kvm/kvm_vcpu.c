/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One vCPU: creation, the run loop, exits.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kvm/internal.h"
#include "kvm/kvm_kick.h"
#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/trace.h"
#include "vmm/runstate.h"

/* Bits that concern the emulation engine only. */
#define KVM_REQ_NONE \
	(VCPU_REQ_TLB | VCPU_REQ_POLL | VCPU_REQ_INIT | VCPU_REQ_SIPI)

/* clang-format off */
static const char *const kvm_exit_names[KVM_EXIT_KINDS] = {
	[KVM_EXIT_UNKNOWN] = "unknown",
	[KVM_EXIT_EXCEPTION] = "exception",
	[KVM_EXIT_IO] = "pio",
	[KVM_EXIT_HYPERCALL] = "hypercall",
	[KVM_EXIT_DEBUG] = "debug",
	[KVM_EXIT_HLT] = "hlt",
	[KVM_EXIT_MMIO] = "mmio",
	[KVM_EXIT_IRQ_WINDOW_OPEN] = "interrupt-window",
	[KVM_EXIT_SHUTDOWN] = "shutdown",
	[KVM_EXIT_FAIL_ENTRY] = "failed-entry",
	[KVM_EXIT_INTR] = "kick",
	[KVM_EXIT_SET_TPR] = "set-tpr",
	[KVM_EXIT_TPR_ACCESS] = "tpr-access",
	[KVM_EXIT_NMI] = "nmi",
	[KVM_EXIT_INTERNAL_ERROR] = "internal-error",
	[KVM_EXIT_SYSTEM_EVENT] = "system-event",
	[KVM_EXIT_IOAPIC_EOI] = "ioapic-eoi",
	[KVM_EXIT_X86_RDMSR] = "rdmsr",
	[KVM_EXIT_X86_WRMSR] = "wrmsr",
};

/* clang-format on */

const char *kvm_exit_name(u32 reason)
{
	if (reason < KVM_EXIT_KINDS && kvm_exit_names[reason])
		return kvm_exit_names[reason];
	return "other";
}

/* Touches nothing that the thread may be about to free. */
void kvm_kick(struct vcpu *v)
{
	if (v->thread.started)
		kvm_kick_thread(v->thread.handle);
}

/* ---- Life ---- */

int kvm_vcpu_create(struct vcpu *v, struct err *err)
{
	struct kvm_vm *k = kvm_of(v->m);
	struct kvm_vcpu *kv = xalloc(sizeof *kv);
	u64 mce = k->mce_cap;
	int r;

	v->accel = kv;
	kv->run = MAP_FAILED;
	kv->extint_vector = -1;
	/* KVM takes the number as the APIC id. */
	kv->fd = ioctl(k->vm_fd, KVM_CREATE_VCPU, (long)v->apic_id);
	if (kv->fd < 0)
		return err_errno(err, "cannot create vCPU %d", v->index);
	kv->run = mmap(NULL, k->run_size, PROT_READ | PROT_WRITE, MAP_SHARED,
		       kv->fd, 0);
	if (kv->run == MAP_FAILED)
		return err_errno(err, "cannot map vCPU %d", v->index);
	kv->xsave = xalloc(k->xsave_size);
	r = kvm_cpuid_set(k, v, err);
	if (r < 0)
		return r;
	if (k->has_mce)
		kvm_ioctl(kv->fd, KVM_X86_SETUP_MCE, &mce);
	kvm_regs_trim(k, kv);
	return 0;
}

void kvm_vcpu_destroy(struct vcpu *v)
{
	struct kvm_vcpu *kv = v->accel;

	if (!kv)
		return;
	if (v->m->emulate_fini)
		v->m->emulate_fini(v);
	if (kvm_kick_run() == kv->run)
		kvm_kick_listen(NULL);
	if (kv->run != MAP_FAILED)
		munmap(kv->run, kvm_of(v->m)->run_size);
	if (kv->fd >= 0)
		close(kv->fd);
	free(kv->cpuid);
	free(kv->xsave);
	free(kv);
	v->accel = NULL;
}

/* ---- Before an entry ---- */

/* Moves the guest's TSC back by the time the machine stood still. */
static void kvm_apply_pause(struct vcpu *v, struct kvm_vcpu *kv)
{
	struct kvm_vm *k = kvm_of(v->m);
	u64 total = atomic_load(&k->tsc_paused);
	u64 offset;
	struct kvm_device_attr attr = {
		.group = KVM_VCPU_TSC_CTRL,
		.attr = KVM_VCPU_TSC_OFFSET,
		.addr = (uintptr_t)&offset,
	};

	if (likely(kv->tsc_paused == total))
		return;
	if (k->has_tsc_offset &&
	    kvm_ioctl(kv->fd, KVM_GET_DEVICE_ATTR, &attr) >= 0) {
		offset -= total - kv->tsc_paused;
		kvm_ioctl(kv->fd, KVM_SET_DEVICE_ATTR, &attr);
	}
	/* Spares the guest its soft lockup warnings. */
	if (k->has_clock_ctrl)
		kvm_ioctl(kv->fd, KVM_KVMCLOCK_CTRL, NULL);
	kv->tsc_paused = total;
}

/* Takes a vector from the PIC, unless one waits already. */
static void kvm_accept_extint(struct vcpu *v, struct kvm_vcpu *kv)
{
	if (kv->extint_vector < 0 && v->m->pic_accept)
		kv->extint_vector = v->m->pic_accept(v->m);
	if (kv->extint_vector < 0)
		kv->extint = false;
}

/* ExtINT: the PIC's vector goes in when KVM says that the LAPIC passes it
 * on and the guest takes it, else an exit is asked for at that moment. */
static void kvm_inject_extint(struct vcpu *v, struct kvm_vcpu *kv)
{
	struct kvm_run *run = kv->run;
	struct kvm_interrupt arg;

	run->request_interrupt_window = 0;
	if (likely(!kv->extint))
		return;
	if (run->ready_for_interrupt_injection && run->if_flag) {
		kvm_accept_extint(v, kv);
		if (!kv->extint)
			return;
		arg.irq = kv->extint_vector;
		/* -EEXIST: the last one has not even reached the guest,
		 * which `ready` does not tell when a kick came between. */
		if (kvm_ioctl(kv->fd, KVM_INTERRUPT, &arg) >= 0) {
			kv->extint_vector = -1;
			atomic_fetch_add_explicit(&v->stats.irqs, 1,
						  memory_order_relaxed);
		}
	}
	/* The PIC may have another one behind it. */
	run->request_interrupt_window = 1;
}

/* True when run() must return to the loop of vmm/vcpu.c first. */
static bool kvm_take_requests(struct vcpu *v, struct kvm_vcpu *kv)
{
	const u32 ours =
		KVM_REQ_NONE | VCPU_REQ_INTR | VCPU_REQ_NMI | VCPU_REQ_SMI;
	u32 bits = atomic_load(&v->request);

	if (likely(!bits))
		return false;
	bits = atomic_fetch_and(&v->request, ~ours);
	if (bits & VCPU_REQ_INTR)
		kv->extint = true;
	if (bits & VCPU_REQ_NMI)
		kvm_ioctl(kv->fd, KVM_NMI, NULL);
	if ((bits & VCPU_REQ_SMI) && kvm_of(v->m)->has_smm)
		kvm_ioctl(kv->fd, KVM_SMI, NULL);
	if (bits & (VCPU_REQ_NMI | VCPU_REQ_SMI))
		kv->known = false;
	return bits & ~ours;
}

/* ---- Exits ---- */

static void kvm_exit_pio(struct vcpu *v, struct kvm_run *run)
{
	u8 *data = (u8 *)run + run->io.data_offset;
	u32 size = run->io.size;

	for (u32 i = 0; i < run->io.count; i++, data += size) {
		u32 value = 0;

		if (run->io.direction == KVM_EXIT_IO_OUT) {
			memcpy(&value, data, size);
			vcpu_pio_write(v, run->io.port, size, value);
		} else {
			value = vcpu_pio_read(v, run->io.port, size);
			memcpy(data, &value, size);
		}
	}
}

/* The dispatcher takes 1, 2, 4 or 8 bytes; KVM's emulator also makes pieces
 * of other lengths where an access crosses a page. */
static void kvm_exit_mmio(struct vcpu *v, struct kvm_run *run)
{
	u64 gpa = run->mmio.phys_addr;
	u32 left = MIN(run->mmio.len, (u32)sizeof run->mmio.data);
	u8 *data = run->mmio.data;

	while (left) {
		u32 size = left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
		u64 value = 0;

		if (run->mmio.is_write) {
			memcpy(&value, data, size);
			vcpu_mmio_write(v, gpa, size, value);
		} else {
			value = vcpu_mmio_read(v, gpa, size);
			memcpy(data, &value, size);
		}
		gpa += size;
		data += size;
		left -= size;
	}
}

static void kvm_exit_eoi(struct vcpu *v, u8 vector)
{
	struct machine *m = v->m;

	if (!m->ioapic_eoi)
		return;
	lock_acquire(&machine_lock);
	m->ioapic_eoi(m, vector);
	lock_release(&machine_lock);
}

static const char *kvm_mode_name(const struct cpu_state *c)
{
	if (!(c->cr0 & CR0_PE))
		return "real";
	if (cpu_code64(c))
		return "64-bit";
	if (c->rflags & RFLAGS_VM)
		return "virtual-8086";
	return c->seg[SEG_CS].attr & SEG_ATTR_DB ? "32-bit" : "16-bit";
}

static void kvm_log_stuck(struct vcpu *v, const struct kvm_run *run)
{
	const struct cpu_state *c = &v->cpu;
	struct buf bytes = { 0 };

	if (run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION &&
	    run->emulation_failure.ndata >= 3 &&
	    (run->emulation_failure.flags &
	     KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES))
		for (u32 i = 0; i < MIN(run->emulation_failure.insn_size, 15u);
		     i++)
			buf_printf(&bytes, " %02x",
				   run->emulation_failure.insn_bytes[i]);
	log_warn("vCPU %d: KVM internal error %u at rip %#llx, %s mode, "
		 "CPL %d, bytes%s",
		 v->index, run->internal.suberror, (unsigned long long)c->rip,
		 kvm_mode_name(c), cpu_cpl(c),
		 bytes.len ? buf_str(&bytes) : " unknown");
	buf_fini(&bytes);
}

/* User code of the guest must not be able to stop the machine. */
static bool kvm_inject_ud(struct vcpu *v)
{
	struct cpu_state *c = &v->cpu;

	if (cpu_cpl(c) == 0)
		return false;
	c->exception_pending = true;
	c->exception_vector = EXC_UD;
	c->exception_has_code = false;
	return kvm_put(v) >= 0;
}

static enum vcpu_exit kvm_exit_internal(struct vcpu *v, struct kvm_vcpu *kv)
{
	struct machine *m = v->m;

	kvm_get(v);
	if (kv->run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION) {
		if (kvm_debug_breaks(v))
			return VCPU_EXIT_DEBUG;
		if (m->emulate_one && m->emulate_one(v) && kvm_put(v) >= 0) {
			atomic_fetch_add_explicit(&v->stats.emulated, 1,
						  memory_order_relaxed);
			return v->debug.why ? VCPU_EXIT_DEBUG : VCPU_EXIT_AGAIN;
		}
		if (kvm_inject_ud(v))
			return VCPU_EXIT_AGAIN;
	}
	kvm_log_stuck(v, kv->run);
	return VCPU_EXIT_ERROR;
}

static enum vcpu_exit kvm_exit_system(struct vcpu *v, struct kvm_run *run)
{
	switch (run->system_event.type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		runstate_request_shutdown(v->m, true);
		break;
	case KVM_SYSTEM_EVENT_RESET: runstate_request_reset(v->m, true); break;
	case KVM_SYSTEM_EVENT_CRASH:
		runstate_request_stop(v->m, RUN_GUEST_PANICKED);
		break;
	default:
		log_guest("kvm", "unknown system event %u",
			  run->system_event.type);
		break;
	}
	return VCPU_EXIT_AGAIN;
}

static enum vcpu_exit kvm_exit_failed_entry(struct vcpu *v, struct kvm_run *run)
{
	kvm_get(v);
	log_warn("vCPU %d: the processor refused the guest's state, hardware "
		 "reason %#llx, rip %#llx",
		 v->index,
		 (unsigned long long)
			 run->fail_entry.hardware_entry_failure_reason,
		 (unsigned long long)v->cpu.rip);
	return VCPU_EXIT_ERROR;
}

/* VCPU_EXIT_AGAIN: keep running. */
static enum vcpu_exit kvm_handle_exit(struct vcpu *v, struct kvm_vcpu *kv)
{
	struct kvm_run *run = kv->run;

	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		kvm_exit_pio(v, run);
		kv->incomplete = true;
		return VCPU_EXIT_AGAIN;
	case KVM_EXIT_MMIO:
		kvm_exit_mmio(v, run);
		kv->incomplete = true;
		return VCPU_EXIT_AGAIN;
	case KVM_EXIT_IOAPIC_EOI:
		kvm_exit_eoi(v, run->eoi.vector);
		return VCPU_EXIT_AGAIN;
	case KVM_EXIT_INTR:
	case KVM_EXIT_NMI:
	case KVM_EXIT_IRQ_WINDOW_OPEN:
	case KVM_EXIT_SET_TPR:
	case KVM_EXIT_TPR_ACCESS: return VCPU_EXIT_AGAIN;
	case KVM_EXIT_SYSTEM_EVENT: return kvm_exit_system(v, run);
	case KVM_EXIT_SHUTDOWN: return VCPU_EXIT_SHUTDOWN;
	case KVM_EXIT_HLT: return VCPU_EXIT_HALT;
	case KVM_EXIT_DEBUG: return kvm_debug_exit(v);
	case KVM_EXIT_INTERNAL_ERROR: return kvm_exit_internal(v, kv);
	case KVM_EXIT_FAIL_ENTRY: return kvm_exit_failed_entry(v, run);
	default:
		kvm_get(v);
		log_warn("vCPU %d: exit %u of KVM is not known, rip %#llx",
			 v->index, run->exit_reason,
			 (unsigned long long)v->cpu.rip);
		return VCPU_EXIT_ERROR;
	}
}

/* One KVM_RUN: 0, or -errno.  A kick clears nothing: either its request bit
 * is seen here after immediate_exit was cleared, or its store comes after
 * ours and KVM_RUN returns at once. */
static int kvm_enter(struct vcpu *v, struct kvm_vcpu *kv, bool *ret_leave)
{
	u8 *immediate = &kv->run->immediate_exit;

	__atomic_store_n(immediate, 0, __ATOMIC_SEQ_CST);
	*ret_leave = kvm_take_requests(v, kv);
	if (*ret_leave) {
		if (!kv->incomplete)
			return -EINTR;
		/* Commits the access; the guest runs no further. */
		__atomic_store_n(immediate, 1, __ATOMIC_SEQ_CST);
	}
	kvm_inject_extint(v, kv);
	kv->known = false;
	kv->incomplete = false;
	return ioctl(kv->fd, KVM_RUN, 0) < 0 ? -errno : 0;
}

enum vcpu_exit kvm_run(struct vcpu *v)
{
	struct kvm_vcpu *kv = v->accel;
	enum vcpu_exit exit;
	bool leave;
	int r;

	if (unlikely(kvm_kick_run() != kv->run))
		kvm_kick_listen(kv->run);
	kvm_apply_pause(v, kv);
	kvm_debug_begin(v);
	for (;;) {
		r = kvm_enter(v, kv, &leave);
		/* EAGAIN: an application processor got its INIT or SIPI. */
		if (r == -EINTR || r == -EAGAIN) {
			if (leave)
				return VCPU_EXIT_AGAIN;
			continue;
		}
		if (r < 0) {
			log_warn("vCPU %d: KVM_RUN: %s", v->index,
				 strerror(-r));
			return VCPU_EXIT_ERROR;
		}
		atomic_fetch_add_explicit(
			&kv->exits[kv->run->exit_reason % KVM_EXIT_KINDS], 1,
			memory_order_relaxed);
		atomic_fetch_add_explicit(&v->stats.exits, 1,
					  memory_order_relaxed);
		trace(VCPU_EXIT, "cpu %d exit: %s", v->index,
		      kvm_exit_name(kv->run->exit_reason));
		exit = kvm_handle_exit(v, kv);
		if (exit != VCPU_EXIT_AGAIN)
			return exit;
	}
}
