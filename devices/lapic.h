/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Private to devices/lapic*.c: the LAPICs and what their parts share.
 *
 * Functions are called with l->lock held unless it says otherwise.
 */
#ifndef DEVICES_LAPIC_H
#define DEVICES_LAPIC_H

#include "lib/lock.h"
#include "lib/types.h"
#include "vmm/cpu.h"
#include "vmm/device.h"
#include "vmm/memory.h"
#include "vmm/vcpu.h"
#include "vmm/vtimer.h"

struct machine;

/* Register numbers: offset in the page / 16, MSR number less 0x800. */
#define APIC_ID       0x02
#define APIC_VERSION  0x03
#define APIC_TPR      0x08
#define APIC_APR      0x09
#define APIC_PPR      0x0a
#define APIC_EOI      0x0b
#define APIC_LDR      0x0d
#define APIC_DFR      0x0e
#define APIC_SVR      0x0f
#define APIC_ISR      0x10
#define APIC_TMR      0x18
#define APIC_IRR      0x20
#define APIC_ESR      0x28
#define APIC_ICR      0x30
#define APIC_ICR2     0x31
#define APIC_LVT      0x32 /* six registers, enum lapic_lvt */
#define APIC_TMICT    0x38
#define APIC_TMCCT    0x39
#define APIC_TMDCR    0x3e
#define APIC_SELF_IPI 0x3f

enum lapic_lvt {
	LVT_TIMER,
	LVT_THERMAL,
	LVT_PERF,
	LVT_LINT0,
	LVT_LINT1,
	LVT_ERROR,
	LVT_COUNT
};

#define LAPIC_VERSION_VALUE (0x14 | (LVT_COUNT - 1) << 16)

#define SVR_ENABLE 0x100

#define ESR_SEND_VECTOR    0x20
#define ESR_RECEIVE_VECTOR 0x40
#define ESR_REGISTER       0x80

#define ICR_LOGICAL   0x800
#define ICR_LEVEL     0x4000 /* assert */
#define ICR_TRIGGER   0x8000
#define ICR_SHORTHAND 0xc0000

#define LVT_MASKED     0x10000
#define LVT_TIMER_MODE 0x60000
#define TIMER_ONE_SHOT 0x00000
#define TIMER_PERIODIC 0x20000
#define TIMER_DEADLINE 0x40000
#define LVT_MODE(lvt)  ((lvt) >> 8 & 7)

enum lapic_delivery {
	DELIVER_FIXED,
	DELIVER_LOWEST,
	DELIVER_SMI,
	DELIVER_RESERVED,
	DELIVER_NMI,
	DELIVER_INIT,
	DELIVER_SIPI,
	DELIVER_EXTINT,
};

/* Bits of lapic->ready. */
#define READY_FIXED  1u
#define READY_EXTINT 2u

#define LAPIC_NEVER UINT64_MAX

/* All fields but `v`, `owner`, `timer` and `ready` are guarded by `lock`.  `timer`
 * needs machine_lock; something comes at `armed_ns` at the latest. */
struct lapic {
	struct vcpu *v;
	struct lapics *owner;
	struct lock lock;
	_Atomic u32 ready; /* READY_*; partner: accept() and pending() */

	u64 base; /* IA32_APIC_BASE */
	u8 id;    /* of xAPIC mode; software may change it */
	u32 tpr, ldr, dfr, svr, esr, esr_new;
	u32 isr[8], tmr[8], irr[8];
	u32 icr, icr2;
	u32 lvt[LVT_COUNT];
	bool lint0;

	u32 divide, initial;
	u64 start_ns;    /* when `initial` was loaded */
	u64 deadline_ns; /* next expiry, LAPIC_NEVER when stopped */
	u64 deadline_tsc;
	u64 armed_ns;
	u8 overruns; /* up to LAPIC_SLOWEST */
	struct vtimer timer;
};

/* The device: owner of all LAPICs and of the page they share. */
struct lapics {
	struct device dev;
	struct region page;
	_Atomic gpa_t page_at; /* its address; changes under machine_lock */
	struct lapic *apic;    /* owned; one per vCPU */
	int count;
	_Atomic u32 lowest_turn; /* spreads lowest-priority interrupts */
};

static inline struct lapic *lapic_of(const struct vcpu *v)
{
	return v->lapic;
}

static inline bool lapic_hw_enabled(const struct lapic *l)
{
	return l->base & APICBASE_ENABLE;
}

static inline bool lapic_x2(const struct lapic *l)
{
	return l->base & APICBASE_X2APIC;
}

static inline bool lapic_enabled(const struct lapic *l)
{
	return lapic_hw_enabled(l) && (l->svr & SVR_ENABLE);
}

static inline bool lapic_bit(const u32 bits[8], u8 n)
{
	return bits[n / 32] >> n % 32 & 1;
}

/* ---- lapic.c: registers ---- */

/* False: no such register. */
bool lapic_read_reg(struct lapic *l, u32 reg, u32 *ret);
/* Power-on values but for the APIC base. */
void lapic_clear(struct lapic *l);
u32 lapic_x2_ldr(const struct lapic *l);
/* Without l->lock: a register write that stays here, with its consequences. */
bool lapic_write_local(struct lapic *l, u32 reg, u32 value);
/* Without l->lock: into v->cpu. */
void lapic_save(struct vcpu *v);
/* Without l->lock: to where this one's APIC base is about to be. */
void lapic_move_page(struct lapic *l, u64 base) NO_TSA;
/* Without l->lock: true when it had to be taken. */
bool lapic_big_lock(void) NO_TSA;
void lapic_big_unlock(bool taken) NO_TSA;

/* ---- lapic_deliver.c: requests, priorities, messages ---- */

int lapic_highest(const u32 bits[8]);
void lapic_set_bit(u32 bits[8], u8 n, bool on);
u32 lapic_ppr(const struct lapic *l);
/* Vector to deliver now, or -1. */
int lapic_deliverable(const struct lapic *l);
/* Recomputes `ready`; true if the vCPU has to be told, by lapic_wake(). */
bool lapic_update(struct lapic *l);
/* Puts a fixed interrupt into IRR. */
void lapic_request(struct lapic *l, u8 vector, bool level);
void lapic_latch_error(struct lapic *l, u32 bit);
/* Without l->lock: */
void lapic_wake(struct lapic *l, bool wake);
void lapic_eoi(struct lapic *l);
void lapic_send_ipi(struct lapic *l, u32 icr, u32 dest);
void lapic_write_icr(struct lapic *l, u32 icr, u32 dest);

/* ---- lapic_timer.c ---- */

u32 lapic_divisor(const struct lapic *l);
u32 lapic_timer_mode(const struct lapic *l);
u32 lapic_current_count(const struct lapic *l);
/* Starts the count from the initial count register. */
void lapic_start_count(struct lapic *l);
void lapic_set_tsc_deadline(struct lapic *l, u64 tsc);
void lapic_write_divide(struct lapic *l, u32 value);
/* The timer goes on from the current count that was saved. */
void lapic_load_timer(struct lapic *l, const struct cpu_lapic *from);
/* Without l->lock: what was armed has come. */
void lapic_vtimer(void *opaque);
void lapic_alarm(struct vcpu *v);
/* Without l->lock, after the deadline changed: makes sure that we are called in
 * time. */
void lapic_arm(struct lapic *l);

/* ---- lapic_msr.c: struct lapic_ops ---- */

bool lapic_msr_read(struct vcpu *v, u32 msr, u64 *ret);
bool lapic_msr_write(struct vcpu *v, u32 msr, u64 value);

#endif
