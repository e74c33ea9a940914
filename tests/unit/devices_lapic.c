/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Local APICs: priorities, IPIs, addressing modes, timer, mode changes.
 */
#include <unistd.h>

#include "tests/unit/bare_machine.h"

#define X2(reg)  (MSR_X2APIC_FIRST + (reg))
#define TPR      0x08
#define PPR      0x0a
#define EOI      0x0b
#define LDR      0x0d
#define SVR      0x0f
#define ESR      0x28
#define ICR      0x30
#define LVTT     0x32
#define LVT0     0x35
#define LVTERR   0x37
#define TMICT    0x38
#define TMCCT    0x39
#define TMDCR    0x3e
#define SELF_IPI 0x3f

#define CPUS 4

static struct bare b;
static struct device *dev;
static const struct lapic_ops *ops;
static int extint = -1;
static int eoi_vector = -1;

static int take_extint(struct machine *m)
{
	int vector = extint;

	extint = -1;
	return vector;
}

static void take_eoi(struct machine *m, u8 vector)
{
	eoi_vector = vector;
}

static struct vcpu *cpu(int n)
{
	return b.m->vcpus[n];
}

static u64 get(int n, u32 msr)
{
	u64 value = 0;

	ck_assert_msg(ops->msr_read(cpu(n), msr, &value), "read 0x%x", msr);
	return value;
}

static void set(int n, u32 msr, u64 value)
{
	ck_assert_msg(ops->msr_write(cpu(n), msr, value), "write 0x%x", msr);
}

static bool fails(int n, u32 msr, u64 value)
{
	return !ops->msr_write(cpu(n), msr, value);
}

static void enable_x2(int n)
{
	set(n, MSR_IA32_APICBASE, get(n, MSR_IA32_APICBASE) | APICBASE_X2APIC);
	set(n, X2(SVR), 0x1ff);
}

static u32 take_requests(int n)
{
	return atomic_exchange(&cpu(n)->request, 0);
}

static void send(u64 addr, u32 data)
{
	struct msi msi = { LAPIC_BASE | addr, data };

	lapic_deliver_msi(b.m, &msi);
}

static void setup(void)
{
	struct err err = { 0 };

	bare_init(&b);
	b.accel.msi_send = NULL;
	for (int i = 0; i < CPUS; i++)
		ck_assert_int_eq(vcpu_create(b.m, i, &err), 0);
	dev = bare_add(&b, &lapic_class, NULL);
	b.m->pic_accept = take_extint;
	b.m->ioapic_eoi = take_eoi;
	ops = b.m->lapic;
	for (int i = 0; i < CPUS; i++)
		take_requests(i);
}

static void teardown(void)
{
	bare_fini(&b);
}

START_TEST(lapic_delivers_by_priority_and_waits_for_eoi)
{
	enable_x2(0);
	send(0, 0x41);
	ck_assert_uint_eq(take_requests(0), VCPU_REQ_INTR);
	send(0, 0x93);
	send(0, 0x45);
	ck_assert_int_eq(ops->accept(cpu(0)), 0x93);
	ck_assert(!ops->pending(cpu(0))); /* 0x45 is of a lower class */
	ck_assert_uint_eq(get(0, X2(PPR)), 0x90);
	send(0, 0xa0);
	ck_assert_int_eq(ops->accept(cpu(0)), 0xa0);
	set(0, X2(EOI), 0);
	ck_assert(!ops->pending(cpu(0)));
	set(0, X2(EOI), 0);
	ck_assert_uint_ne(take_requests(0) & VCPU_REQ_INTR, 0);
	ck_assert_int_eq(ops->accept(cpu(0)), 0x45);
	ck_assert_int_eq(ops->accept(cpu(0)), -1);
	set(0, X2(EOI), 0);
	ck_assert_int_eq(ops->accept(cpu(0)), 0x41);
}

END_TEST

START_TEST(lapic_tpr_holds_interrupts_back)
{
	enable_x2(0);
	ops->set_tpr(cpu(0), 5);
	ck_assert_uint_eq(get(0, X2(TPR)), 0x50);
	send(0, 0x51);
	ck_assert(!ops->pending(cpu(0)));
	ck_assert_uint_eq(take_requests(0), 0);
	ops->set_tpr(cpu(0), 4);
	ck_assert_uint_eq(take_requests(0), VCPU_REQ_INTR);
	ck_assert_int_eq(ops->accept(cpu(0)), 0x51);
	ck_assert_int_eq(ops->get_tpr(cpu(0)), 4);
}

END_TEST

START_TEST(lapic_level_interrupts_reach_the_ioapic_at_eoi)
{
	enable_x2(0);
	send(0, 0x60 | 1 << 15 | 1 << 14);
	ck_assert_int_eq(ops->accept(cpu(0)), 0x60);
	set(0, X2(EOI), 0);
	ck_assert_int_eq(eoi_vector, 0x60);
	eoi_vector = -1;
	send(0, 0x60);
	ck_assert_int_eq(ops->accept(cpu(0)), 0x60);
	set(0, X2(EOI), 0);
	ck_assert_int_eq(eoi_vector, -1);
}

END_TEST

START_TEST(lapic_software_disabled_takes_no_fixed_interrupt)
{
	set(0, MSR_IA32_APICBASE, get(0, MSR_IA32_APICBASE) | APICBASE_X2APIC);
	send(0, 0x41);
	ck_assert(!ops->pending(cpu(0)));
	set(0, X2(LVT0), 0x700);
	ck_assert_uint_eq(get(0, X2(LVT0)), 0x10700);
	send(0, 0x400); /* NMI passes */
	ck_assert_uint_eq(take_requests(0), VCPU_REQ_NMI);
}

END_TEST

START_TEST(lapic_shorthands_reach_whom_they_name)
{
	for (int i = 0; i < CPUS; i++)
		enable_x2(i);
	set(1, X2(ICR), 0x80000 | 0x77); /* all including self */
	for (int i = 0; i < CPUS; i++)
		ck_assert_int_eq(ops->accept(cpu(i)), 0x77);
	set(1, X2(ICR), 0xc0000 | 0x88); /* all but self */
	for (int i = 0; i < CPUS; i++)
		ck_assert_int_eq(ops->accept(cpu(i)), i == 1 ? -1 : 0x88);
	set(1, X2(ICR), 0x40000 | 0x99);
	ck_assert_int_eq(ops->accept(cpu(1)), 0x99);
	set(1, X2(SELF_IPI), 0xaa);
	ck_assert_int_eq(ops->accept(cpu(1)), 0xaa);
	ck_assert(!ops->pending(cpu(0)));
}

END_TEST

START_TEST(lapic_start_up_sequence_wakes_one_processor)
{
	enable_x2(0);
	set(0, X2(ICR), 2ull << 32 | 0xc500); /* INIT, level assert */
	ck_assert_uint_eq(take_requests(2), VCPU_REQ_INIT);
	set(0, X2(ICR), 2ull << 32 | 0x8500); /* de-assert does nothing */
	ck_assert_uint_eq(take_requests(2), 0);
	set(0, X2(ICR), 2ull << 32 | 0x4600 | 0x9a);
	ck_assert_uint_eq(take_requests(2), VCPU_REQ_SIPI);
	ck_assert_uint_eq(atomic_load(&cpu(2)->sipi_vector), 0x9a);
	ck_assert_uint_eq(take_requests(1) | take_requests(3), 0);
}

END_TEST

static void page_in_thread(struct vcpu *v, void *arg) NO_TSA;

static void page_in_thread(struct vcpu *v, void *arg)
{
	lock_acquire(&machine_lock);
	space_write(&b.m->memory, LAPIC_BASE + 0xf0, 4, 0x1ff);
	space_write(&b.m->memory, LAPIC_BASE + 0xe0, 4, 0xffffffff);
	space_write(&b.m->memory, LAPIC_BASE + 0xd0, 4, 0x04000000);
	ck_assert_uint_eq(space_read(&b.m->memory, LAPIC_BASE + 0x20, 4),
			  (u32)v->apic_id << 24);
	ck_assert_uint_eq(space_read(&b.m->memory, LAPIC_BASE + 0x30, 4),
			  0x50014);
	/* Logical flat IPI to ourselves. */
	space_write(&b.m->memory, LAPIC_BASE + 0x310, 4, 0x04000000);
	space_write(&b.m->memory, LAPIC_BASE + 0x300, 4, 0x800 | 0x55);
	ck_assert_int_eq(ops->accept(v), 0x55);
	ck_assert_uint_eq(space_read(&b.m->memory, LAPIC_BASE + 0x120, 4),
			  1u << (0x55 - 0x40));
	space_write(&b.m->memory, LAPIC_BASE + 0xb0, 4, 0);
	ck_assert_uint_eq(space_read(&b.m->memory, LAPIC_BASE + 0x120, 4), 0);
	/* No such register. */
	space_read(&b.m->memory, LAPIC_BASE + 0x40, 4);
	space_write(&b.m->memory, LAPIC_BASE + 0x280, 4, 0);
	ck_assert_uint_eq(space_read(&b.m->memory, LAPIC_BASE + 0x280, 4),
			  0x80);
	/* The id is software's. */
	space_write(&b.m->memory, LAPIC_BASE + 0x20, 4, 0x57000000);
	ck_assert_uint_eq(space_read(&b.m->memory, LAPIC_BASE + 0x20, 4),
			  0x57000000);
	send(1 << 12, 0x67);
	ck_assert_int_eq(ops->accept(v), -1);
	send(0x57 << 12, 0x67);
	ck_assert_int_eq(ops->accept(v), 0x67);
	space_write(&b.m->memory, LAPIC_BASE + 0xb0, 4, 0);
	/* So is the place of the page. */
	set(1, MSR_IA32_APICBASE, 0xfed40000u | APICBASE_ENABLE);
	ck_assert_uint_eq(space_read(&b.m->memory, 0xfed40030, 4), 0x50014);
	ck_assert_uint_eq(space_read(&b.m->memory, LAPIC_BASE + 0x30, 4),
			  UINT32_MAX);
	set(1, MSR_IA32_APICBASE, LAPIC_BASE | APICBASE_ENABLE);
	lock_release(&machine_lock);
	*(bool *)arg = true;
}

static int no_vcpu_create(struct vcpu *v, struct err *err)
{
	return 0;
}

START_TEST(lapic_page_belongs_to_the_accessing_vcpu)
{
	struct err err = { 0 };
	bool done = false;

	b.accel.vcpu_create = no_vcpu_create;
	ck_assert_msg(vcpu_start(cpu(1), &err) == 0, "%s", err.msg);
	vcpu_run_on(cpu(1), page_in_thread, &done);
	ck_assert(done);
	/* Logical flat, from an MSI. */
	send(4ull << 12 | 4, 0x66);
	ck_assert_int_eq(ops->accept(cpu(1)), 0x66);
	/* Not from outside of a vCPU. */
	ck_assert_uint_eq(space_read(&b.m->memory, LAPIC_BASE + 0x20, 4),
			  0xffffffff);
}

END_TEST

static bool page_is_at(u64 base)
{
	u64 offset = 1;

	return space_find_lockless(&b.m->memory, base + 0x30, 4, &offset) &&
	       offset == 0x30;
}

START_TEST(lapic_page_follows_reset_and_load)
{
	static struct cpu_state saved;
	const u64 base = 0xfed40000;

	ck_assert(page_is_at(LAPIC_BASE) && !page_is_at(base));
	set(1, MSR_IA32_APICBASE, base | APICBASE_ENABLE);
	ck_assert(!page_is_at(LAPIC_BASE) && page_is_at(base));
	ops->save(cpu(1));
	saved = cpu(1)->cpu;
	ops->reset(cpu(1), true);
	ck_assert(page_is_at(base));
	ops->reset(cpu(1), false);
	ck_assert(page_is_at(LAPIC_BASE) && !page_is_at(base));
	cpu(1)->cpu = saved;
	ops->load(cpu(1));
	ck_assert(!page_is_at(LAPIC_BASE) && page_is_at(base));
	/* One that is off needs no page. */
	saved.apic_base = LAPIC_BASE;
	cpu(1)->cpu = saved;
	ops->load(cpu(1));
	ck_assert(page_is_at(base));
}

END_TEST

START_TEST(reset_forgets_nmis)
{
	vcpu_nmi(cpu(0));
	vcpu_nmi(cpu(0));
	ck_assert_uint_eq(atomic_load(&cpu(0)->nmis), 2);
	cpu(0)->cpu.nmi_pending = cpu(0)->cpu.nmi_second = true;
	vcpu_reset(cpu(0), false);
	ck_assert_uint_eq(atomic_load(&cpu(0)->nmis), 0);
	ck_assert(!cpu(0)->cpu.nmi_pending && !cpu(0)->cpu.nmi_second);
}

END_TEST

START_TEST(lapic_x2_logical_mode_is_clusters_of_16)
{
	for (int i = 0; i < CPUS; i++)
		enable_x2(i);
	ck_assert_uint_eq(get(3, X2(LDR)), 8);
	set(0, X2(ICR), 0xaull << 32 | 0x800 | 0x70);
	ck_assert_int_eq(ops->accept(cpu(0)), -1);
	ck_assert_int_eq(ops->accept(cpu(1)), 0x70);
	ck_assert_int_eq(ops->accept(cpu(2)), -1);
	ck_assert_int_eq(ops->accept(cpu(3)), 0x70);
}

END_TEST

START_TEST(lapic_lowest_priority_picks_one_idle_target)
{
	for (int i = 0; i < CPUS; i++)
		enable_x2(i);
	ops->set_tpr(cpu(0), 8);
	ops->set_tpr(cpu(1), 3);
	ops->set_tpr(cpu(2), 8);
	ops->set_tpr(cpu(3), 8);
	send(0xfull << 12 | 4, 0x100 | 0x90);
	ck_assert_int_eq(ops->accept(cpu(1)), 0x90);
	ck_assert(!ops->pending(cpu(0)) && !ops->pending(cpu(2)) &&
		  !ops->pending(cpu(3)));
}

END_TEST

START_TEST(lapic_timer_one_shot_periodic_and_masked)
{
	enable_x2(0);
	set(0, X2(TMDCR), 0xb); /* divide by 1: 1 GHz */
	set(0, X2(LVTT), 0xec);
	set(0, X2(TMICT), 1000000);
	ck_assert_uint_eq(get(0, X2(TMCCT)), 1000000);
	bare_sleep(&b, 400000);
	ck_assert_uint_eq(get(0, X2(TMCCT)), 600000);
	ck_assert(!ops->pending(cpu(0)));
	bare_sleep(&b, 600000);
	ck_assert_int_eq(ops->accept(cpu(0)), 0xec);
	set(0, X2(EOI), 0);
	ck_assert_uint_eq(get(0, X2(TMCCT)), 0);
	bare_sleep(&b, 10 * NS_PER_MS);
	ck_assert(!ops->pending(cpu(0)));

	set(0, X2(TMDCR), 0x3); /* by 16 */
	set(0, X2(LVTT), 0x200ec);
	set(0, X2(TMICT), 62500); /* 1 ms */
	for (int i = 0; i < 5; i++) {
		bare_sleep(&b, NS_PER_MS);
		ck_assert_int_eq(ops->accept(cpu(0)), 0xec);
		set(0, X2(EOI), 0);
	}
	set(0, X2(LVTT), 0x300ec);
	bare_sleep(&b, 3 * NS_PER_MS);
	ck_assert(!ops->pending(cpu(0)));
	set(0, X2(TMICT), 0);
	ck_assert_uint_eq(get(0, X2(TMCCT)), 0);
}

END_TEST

/* A guest whose handler takes longer than the period gets time between two;
 * one that has caught up gets them all again. */
START_TEST(lapic_timer_lets_a_slow_guest_get_on)
{
	u32 n = 0;

	enable_x2(0);
	set(0, X2(TMDCR), 0xb);
	set(0, X2(LVTT), 0x200ec);
	set(0, X2(TMICT), 200000); /* 200 us */
	for (int i = 0; i < 100; i++) {
		bare_sleep(&b, 200000);
		if (ops->accept(cpu(0)) < 0)
			continue;
		bare_sleep(&b, 700000);
		set(0, X2(EOI), 0);
		if (ops->pending(cpu(0)))
			continue;
		n++;
	}
	ck_assert_uint_gt(n, 10);
	while (ops->accept(cpu(0)) >= 0)
		set(0, X2(EOI), 0);
	for (int i = 0; i < 200; i++) {
		bare_sleep(&b, 200000);
		if (ops->accept(cpu(0)) >= 0)
			set(0, X2(EOI), 0);
	}
	for (int i = 0; i < 5; i++) {
		bare_sleep(&b, 200000);
		ck_assert_int_eq(ops->accept(cpu(0)), 0xec);
		set(0, X2(EOI), 0);
	}
}

END_TEST

START_TEST(lapic_timer_that_moves_earlier_fires_in_time)
{
	enable_x2(0);
	set(0, X2(TMDCR), 0xb);
	set(0, X2(LVTT), 0x50);
	set(0, X2(TMICT), 50000000);
	bare_sleep(&b, NS_PER_MS);
	set(0, X2(TMICT), 2000000);
	bare_sleep(&b, 2 * NS_PER_MS);
	ck_assert_int_eq(ops->accept(cpu(0)), 0x50);
	set(0, X2(EOI), 0);
	/* And later: the early vtimer must not fire it. */
	set(0, X2(TMICT), 2000000);
	bare_sleep(&b, NS_PER_MS);
	set(0, X2(TMICT), 30000000);
	bare_sleep(&b, 29 * NS_PER_MS);
	ck_assert(!ops->pending(cpu(0)));
	bare_sleep(&b, NS_PER_MS);
	ck_assert_int_eq(ops->accept(cpu(0)), 0x50);
}

END_TEST

START_TEST(lapic_tsc_deadline_fires_once)
{
	u64 tsc;

	enable_x2(0);
	set(0, MSR_IA32_TSC_DEADLINE, 12345); /* ignored: other mode */
	ck_assert_uint_eq(get(0, MSR_IA32_TSC_DEADLINE), 0);
	set(0, X2(LVTT), 0x400ef);
	tsc = vcpu_tsc(cpu(0)) + machine_tsc_khz(b.m) * 5; /* 5 ms */
	set(0, MSR_IA32_TSC_DEADLINE, tsc);
	ck_assert_uint_eq(get(0, MSR_IA32_TSC_DEADLINE), tsc);
	bare_sleep(&b, 5 * NS_PER_MS - 1000);
	ck_assert(!ops->pending(cpu(0)));
	bare_sleep(&b, 2000);
	ck_assert_int_eq(ops->accept(cpu(0)), 0xef);
	ck_assert_uint_eq(get(0, MSR_IA32_TSC_DEADLINE), 0);
	set(0, X2(EOI), 0);
	set(0, MSR_IA32_TSC_DEADLINE, 1); /* long ago: at once */
	ck_assert_int_eq(ops->accept(cpu(0)), 0xef);
	set(0, X2(EOI), 0);
	set(0, MSR_IA32_TSC_DEADLINE, vcpu_tsc(cpu(0)) + 1000000);
	set(0, MSR_IA32_TSC_DEADLINE, 0); /* disarmed */
	bare_sleep(&b, 20 * NS_PER_MS);
	ck_assert(!ops->pending(cpu(0)));
}

END_TEST

/* An accelerator whose guest sleeps, and takes what its timer brings. */
static _Atomic int timer_irqs;

static enum vcpu_exit sleeping_run(struct vcpu *v)
{
	if (atomic_exchange(&v->request, 0) & VCPU_REQ_TIMER)
		ops->timer(v);
	while (ops->accept(v) >= 0) {
		ops->msr_write(v, X2(EOI), 0);
		atomic_fetch_add(&timer_irqs, 1);
	}
	return VCPU_EXIT_HALT;
}

static void sleeping_get(struct vcpu *v)
{
}

static void set_deadline(struct vcpu *v, void *arg)
{
	enable_x2(v->index);
	set(v->index, X2(LVTT), 0x400ef);
	set(v->index, MSR_IA32_TSC_DEADLINE, vcpu_tsc(v) + *(u64 *)arg);
	ck_assert(list_empty(&b.m->vtimers));
}

static void wait_timer(int n) NO_TSA;

static void wait_timer(int n)
{
	lock_release(&machine_lock);
	for (int i = 0; i < 30000 && atomic_load(&timer_irqs) < n; i++)
		usleep(1000);
	lock_acquire(&machine_lock);
	ck_assert_int_eq(atomic_load(&timer_irqs), n);
}

START_TEST(lapic_timer_wakes_its_vcpu_without_the_loop)
{
	struct err err = { 0 };
	u64 ns = 3 * NS_PER_MS;

	b.accel.vcpu_create = no_vcpu_create;
	b.accel.run = sleeping_run;
	b.accel.get = sleeping_get;
	vclock_start(b.m);
	ck_assert_msg(vcpu_start(cpu(2), &err) == 0, "%s", err.msg);
	vcpu_resume_all(b.m);
	vcpu_run_on(cpu(2), set_deadline, &ns);
	wait_timer(1);
	/* Set, and then the machine's clock stands for a while: nothing comes
	 * before it has got there. */
	ns = 1000 * NS_PER_S;
	vcpu_run_on(cpu(2), set_deadline, &ns);
	vcpu_pause_all(b.m);
	vclock_stop(b.m);
	b.m->vclock_base_ns += ns - 50 * NS_PER_MS;
	ck_assert_int_eq(atomic_load(&timer_irqs), 1);
	vclock_start(b.m);
	vcpu_resume_all(b.m);
	wait_timer(2);
	ck_assert_uint_eq(get(2, MSR_IA32_TSC_DEADLINE), 0);
	/* Set while it stands. */
	vcpu_pause_all(b.m);
	vclock_stop(b.m);
	ns = 3 * NS_PER_MS;
	vcpu_run_on(cpu(2), set_deadline, &ns);
	vclock_start(b.m);
	vcpu_resume_all(b.m);
	wait_timer(3);
}

END_TEST

START_TEST(lapic_mode_changes_follow_the_diagram)
{
	u64 base = LAPIC_BASE | APICBASE_BSP;

	ck_assert(fails(0, MSR_IA32_APICBASE, base | APICBASE_X2APIC));
	ck_assert(fails(0, MSR_IA32_APICBASE, base | APICBASE_ENABLE | 1));
	set(0, MSR_IA32_APICBASE, base | APICBASE_ENABLE | APICBASE_X2APIC);
	ck_assert(fails(0, MSR_IA32_APICBASE, base | APICBASE_ENABLE));
	set(0, MSR_IA32_APICBASE, base);
	ck_assert(fails(0, MSR_IA32_APICBASE,
			base | APICBASE_ENABLE | APICBASE_X2APIC));
	set(0, MSR_IA32_APICBASE, base | APICBASE_ENABLE);
	ck_assert(fails(0, X2(TPR), 0)); /* xAPIC: no such MSRs */
}

END_TEST

START_TEST(lapic_x2_refuses_reserved_bits)
{
	u64 value;

	enable_x2(0);
	ck_assert(fails(0, X2(TPR), 0x100));
	ck_assert(fails(0, X2(EOI), 1));
	ck_assert(fails(0, X2(LDR), 1));
	ck_assert(fails(0, X2(0x0e), 0));
	ck_assert(fails(0, X2(0x31), 0));
	ck_assert(fails(0, X2(SVR), 1ull << 32));
	ck_assert(fails(0, X2(ICR), 1 << 13));
	ck_assert(fails(0, X2(0x02), 0));
	ck_assert(!ops->msr_read(cpu(0), X2(SELF_IPI), &value));
	ck_assert(!ops->msr_read(cpu(0), X2(EOI), &value));
	ck_assert(!ops->msr_read(cpu(0), X2(0x40), &value));
}

END_TEST

START_TEST(lapic_bad_vectors_are_errors)
{
	enable_x2(0);
	set(0, X2(LVTERR), 0xfe);
	set(0, X2(ICR), 5);
	ck_assert_int_eq(ops->accept(cpu(0)), 0xfe);
	set(0, X2(ESR), 0);
	ck_assert_uint_eq(get(0, X2(ESR)), 0x20);
	set(0, X2(ESR), 0);
	ck_assert_uint_eq(get(0, X2(ESR)), 0);
	send(0, 9);
	set(0, X2(ESR), 0);
	ck_assert_uint_eq(get(0, X2(ESR)), 0x40);
}

END_TEST

START_TEST(lapic_lint0_passes_the_pic_through)
{
	struct irq lint0 = lapic_lint0(dev);

	extint = 0x30;
	irq_set(&lint0, 1); /* open after reset */
	ck_assert_uint_eq(take_requests(0), VCPU_REQ_INTR);
	ck_assert(ops->pending(cpu(0)));
	ck_assert_int_eq(ops->accept(cpu(0)), 0x30);
	irq_set(&lint0, 0);
	ck_assert(!ops->pending(cpu(0)));
	enable_x2(0);
	set(0, X2(LVT0), 0x10700);
	irq_set(&lint0, 1);
	ck_assert(!ops->pending(cpu(0)));
	set(0, X2(LVT0), 0x700);
	ck_assert(ops->pending(cpu(0)));
}

END_TEST

START_TEST(lapic_state_moves_through_the_cpu_state)
{
	static struct cpu_state saved;

	enable_x2(0);
	set(0, X2(TMDCR), 0xb);
	set(0, X2(LVTT), 0x200ec);
	set(0, X2(TMICT), 1000000);
	set(0, X2(TPR), 0x20);
	send(0, 0x91);
	send(0, 0x81);
	ck_assert_int_eq(ops->accept(cpu(0)), 0x91);
	bare_sleep(&b, 300000);
	ops->save(cpu(0));
	saved = cpu(0)->cpu;
	ops->reset(cpu(0), false);
	ck_assert(!ops->pending(cpu(0)));
	bare_sleep(&b, 50 * NS_PER_MS);
	ck_assert(!ops->pending(cpu(0)));
	cpu(0)->cpu = saved;
	ops->load(cpu(0));
	ck_assert_uint_eq(get(0, X2(TPR)), 0x20);
	ck_assert_uint_eq(get(0, X2(TMCCT)), 700000);
	set(0, X2(EOI), 0);
	ck_assert_int_eq(ops->accept(cpu(0)), 0x81);
	set(0, X2(EOI), 0);
	bare_sleep(&b, 700000);
	ck_assert_int_eq(ops->accept(cpu(0)), 0xec);
	set(0, X2(EOI), 0);
	bare_sleep(&b, NS_PER_MS);
	ck_assert_int_eq(ops->accept(cpu(0)), 0xec);
}

END_TEST

START_TEST(lapic_load_after_reset_keeps_the_reset_values)
{
	struct irq lint0 = lapic_lint0(dev);

	ops->reset(cpu(0), false);
	ops->load(cpu(0)); /* as an engine does that starts a new vCPU */
	extint = 0x31;
	irq_set(&lint0, 1);
	ck_assert_int_eq(ops->accept(cpu(0)), 0x31);
}

END_TEST

START_TEST(lapic_load_keeps_what_came_in_between)
{
	enable_x2(0);
	ops->save(cpu(0));
	send(0, 0x71 | 1 << 15 | 1 << 14);
	ops->load(cpu(0));
	ck_assert_int_eq(ops->accept(cpu(0)), 0x71);
	set(0, X2(EOI), 0);
	ck_assert_int_eq(eoi_vector, 0x71);
}

END_TEST

int main(void)
{
	TCase *tc = tcase_create("lapic");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, lapic_delivers_by_priority_and_waits_for_eoi);
	tcase_add_test(tc, lapic_tpr_holds_interrupts_back);
	tcase_add_test(tc, lapic_level_interrupts_reach_the_ioapic_at_eoi);
	tcase_add_test(tc, lapic_software_disabled_takes_no_fixed_interrupt);
	tcase_add_test(tc, lapic_shorthands_reach_whom_they_name);
	tcase_add_test(tc, lapic_start_up_sequence_wakes_one_processor);
	tcase_add_test(tc, lapic_page_belongs_to_the_accessing_vcpu);
	tcase_add_test(tc, lapic_page_follows_reset_and_load);
	tcase_add_test(tc, reset_forgets_nmis);
	tcase_add_test(tc, lapic_x2_logical_mode_is_clusters_of_16);
	tcase_add_test(tc, lapic_lowest_priority_picks_one_idle_target);
	tcase_add_test(tc, lapic_timer_one_shot_periodic_and_masked);
	tcase_add_test(tc, lapic_timer_lets_a_slow_guest_get_on);
	tcase_add_test(tc, lapic_timer_that_moves_earlier_fires_in_time);
	tcase_add_test(tc, lapic_tsc_deadline_fires_once);
	tcase_add_test(tc, lapic_timer_wakes_its_vcpu_without_the_loop);
	tcase_add_test(tc, lapic_mode_changes_follow_the_diagram);
	tcase_add_test(tc, lapic_x2_refuses_reserved_bits);
	tcase_add_test(tc, lapic_bad_vectors_are_errors);
	tcase_add_test(tc, lapic_lint0_passes_the_pic_through);
	tcase_add_test(tc, lapic_state_moves_through_the_cpu_state);
	tcase_add_test(tc, lapic_load_after_reset_keeps_the_reset_values);
	tcase_add_test(tc, lapic_load_keeps_what_came_in_between);
	return bare_run("devices_lapic", tc);
}
