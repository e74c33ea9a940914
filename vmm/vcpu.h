/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A vCPU: one thread, one architectural state, requests from others.
 *
 * The registers (v->cpu) belong to the vCPU's thread.  Others ask with
 * vcpu_run_on(), which works on a running, halted or paused vCPU and stops
 * no other one.  Events arrive as bits in `request`; whoever sets one calls
 * vcpu_kick(), vcpu_request() does both.
 *
 * Locking: `request`, `kick` and `stats` are atomics (partner: the run loop
 * in vmm/vcpu.c and the accelerator's run()).  The rest of the shared fields
 * is guarded by `lock`, a leaf.
 */
#ifndef VMM_VCPU_H
#define VMM_VCPU_H

#include <stdatomic.h>

#include "lib/alarm.h"
#include "lib/list.h"
#include "lib/lock.h"
#include "lib/thread.h"
#include "vmm/cpu.h"
#include "vmm/debug.h"

struct machine;
struct vcpu;
struct err;

/* Bits of vcpu->request. */
#define VCPU_REQ_INTR  0x01u /* the LAPIC or PIC may have an interrupt */
#define VCPU_REQ_NMI   0x02u
#define VCPU_REQ_INIT  0x04u
#define VCPU_REQ_SIPI  0x08u /* vector in sipi_vector */
#define VCPU_REQ_WORK  0x10u /* run-on queue or stop/pause asked for */
#define VCPU_REQ_TLB   0x20u /* engine: flush everything */
#define VCPU_REQ_POLL  0x40u /* engine: reread code epoch */
#define VCPU_REQ_SMI   0x80u
#define VCPU_REQ_TIMER 0x100u /* vcpu_alarm(): ask the LAPIC's timer() */

/* How an accelerator's run() came back. */
enum vcpu_exit {
	VCPU_EXIT_AGAIN,    /* a request is pending; call again after it */
	VCPU_EXIT_HALT,     /* HLT with nothing pending: sleep */
	VCPU_EXIT_SHUTDOWN, /* triple fault: reset the machine */
	VCPU_EXIT_DEBUG,    /* breakpoint or single step, for gdb */
	VCPU_EXIT_ERROR,    /* cannot go on; message was logged */
};

/* The interrupt controller as seen from a vCPU when it lives in user space
 * (tcg; devices/lapic.c implements it).  Called from the vCPU's thread. */
struct lapic_ops {
	/* Vector to deliver now (acknowledged), or -1.  Includes ExtINT. */
	int (*accept)(struct vcpu *v);
	/* Would accept() give one? */
	bool (*pending)(struct vcpu *v);
	u8 (*get_tpr)(struct vcpu *v); /* CR8: TPR >> 4 */
	void (*set_tpr)(struct vcpu *v, u8 cr8);
	/* x2APIC registers, APIC base, TSC deadline; false: #GP. */
	bool (*msr_read)(struct vcpu *v, u32 msr, u64 *ret);
	bool (*msr_write)(struct vcpu *v, u32 msr, u64 value);
	/* INIT or machine reset. */
	void (*reset)(struct vcpu *v, bool init);
	/* The alarm has gone off: interrupts that are due now, and the next
	 * alarm.  Wakes nobody; pending() may have become true. */
	void (*timer)(struct vcpu *v);
	/* v->cpu.lapic, cr8, apic_base <-> model. */
	void (*save)(struct vcpu *v);
	void (*load)(struct vcpu *v);
};

struct vcpu_stats { /* exits seen by vmon, by cause; relaxed atomics */
	_Atomic u64 exits, pio, mmio, halts, irqs, kicks, emulated;
};

/* A call to make in the vCPU's thread; embedded on the caller's stack. */
struct vcpu_call {
	void (*fn)(struct vcpu *v, void *arg);
	void *arg;
	bool done;
	struct list node;
};

struct vcpu {
	struct machine *m;
	int index;
	u32 apic_id;
	struct cpu_state cpu; /* owned by the vCPU's thread */
	void *emulator;       /* of machine.emulate_one; NULL until used */
	void *accel;          /* accelerator's part */
	void *lapic;          /* devices/lapic.c; NULL with KVM's LAPIC */
	/* Owned by the vCPU's thread: is v->cpu current, was it changed. */
	bool cpu_loaded, cpu_changed;
	/* Owned by the vCPU's thread: vcpu_alarm(). */
	struct alarm alarm;

	enum { VCPU_ALARM_NONE, VCPU_ALARM_READY, VCPU_ALARM_REFUSED } alarms;

	u64 alarm_vclock_ns; /* ALARM_OFF: not set */
	u64 alarm_mono_ns;   /* the same on the host; ALARM_OFF: it stands */
	/* Engine without a TSC of its own: guest TSC = vclock + tsc_offset. */
	u64 tsc_offset;
	/* Triple fault or internal error: waits for a machine reset. */
	_Atomic bool dead;
	/* An empty socket: no thread of the guest's runs, nothing is delivered
	 * here, and nobody shows it. */
	_Atomic bool unplugged;

	struct vcpu_debug debug; /* vmm/debug.h */

	_Atomic u32 request; /* VCPU_REQ_* */
	_Atomic u8 sipi_vector;
	_Atomic u32 nmis;    /* what VCPU_REQ_NMI stands for */
	_Atomic bool halted; /* sleeping in HLT or waiting for SIPI */
	struct vcpu_stats stats;

	struct thread thread;
	_Atomic int thread_id;
	struct lock lock;
	struct cond wake; /* thread sleeps here */
	struct cond done; /* a vcpu_call was made */
	struct list calls GUARDED_BY_MEMBER(lock);
	bool paused GUARDED_BY_MEMBER(
		lock); /* parked because the machine stopped */
	bool pause_asked GUARDED_BY_MEMBER(lock);
	bool quit_asked GUARDED_BY_MEMBER(lock);
};

int vcpu_create(struct machine *m, int index, struct err *err);
int vcpu_start(struct vcpu *v, struct err *err); /* starts parked */
void vcpu_destroy(struct vcpu *v);

/* Which of the machine's vCPUs are there: at most topo.maxcpus have been
 * created, topo.cpus of them are plugged.  NULL: no such one, or unplugged. */
struct vcpu *vcpu_plugged(const struct machine *m, u64 index);
/* Puts one that is unplugged in, in power-on state but for its memory types;
 * drops machine_lock meanwhile.  Takes it out: it leaves the guest as soon as
 * the instruction is over.  machine_lock held. */
void vcpu_plug(struct vcpu *v);
void vcpu_unplug(struct vcpu *v);

/* Any thread. */
void vcpu_request(struct vcpu *v, u32 bits); /* sets and kicks */
void vcpu_nmi(struct vcpu *v);               /* VCPU_REQ_NMI, counted */
void vcpu_kick(struct vcpu *v); /* out of the guest, out of sleep */
/* From its own thread: sleeps for `ns` or until it is kicked, at once if a
 * request is there. */
void vcpu_doze(struct vcpu *v, u64 ns);

/* From its own thread: sets VCPU_REQ_TIMER when vclock_now() is
 * `deadline_ns`, or ALARM_OFF, in the guest or in sleep and without another
 * thread.  False: there is no such alarm, take a vtimer. */
bool vcpu_alarm(struct vcpu *v, u64 deadline_ns);

/* The vCPU whose thread is calling, or NULL. */
struct vcpu *vcpu_current(void);

/* Guest TSC of an engine that has none of its own (tcg): 1 GHz on the
 * machine's clock, so it stands still while the machine is stopped.  From
 * the vCPU's thread or with machine_lock. */
u64 vcpu_tsc(struct vcpu *v); /* what to add to tick_ns(): vcpu_tsc_base() */
u64 vcpu_tsc_base(struct vcpu *v);
void vcpu_tsc_set(struct vcpu *v, u64 value);
/* vclock_now() value at which the guest's TSC reaches `tsc`. */
u64 vcpu_tsc_to_vclock(struct vcpu *v, u64 tsc);
u64 machine_tsc_khz(struct machine *m);

/* Runs fn(v, arg) in the vCPU's thread between two instructions and waits
 * for it; accelerator state is in v->cpu when fn runs and is written back if
 * fn returns true through vcpu_cpu_changed().  Drops machine_lock while
 * waiting if the caller holds it. */
void vcpu_run_on(struct vcpu *v, void (*fn)(struct vcpu *v, void *arg),
		 void *arg);
/* Within fn: load v->cpu from the accelerator / mark it as modified. */
struct cpu_state *vcpu_cpu(struct vcpu *v);
void vcpu_cpu_changed(struct vcpu *v);

/* Power-on or INIT state of the vCPU and its LAPIC.  In v's thread, or while
 * it is parked. */
void vcpu_reset(struct vcpu *v, bool init);

/* Wait until every vCPU is parked / let them go.  machine_lock held. */
void vcpu_pause_all(struct machine *m);
void vcpu_resume_all(struct machine *m);

/* Device access on behalf of the vCPU: takes machine_lock unless the region
 * is lockless, counts, logs.  From the vCPU's thread only. */
u64 vcpu_mmio_read(struct vcpu *v, gpa_t gpa, u32 size);
void vcpu_mmio_write(struct vcpu *v, gpa_t gpa, u32 size, u64 value);
u64 vcpu_pio_read(struct vcpu *v, u16 port, u32 size);
void vcpu_pio_write(struct vcpu *v, u16 port, u32 size, u64 value);

#endif
