/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * KVM's paravirtual clock: its records, and addresses that are no place.
 */
#include "lib/clock.h"
#include "tcg/pvclock.h"
#include "tcg/system.h"
#include "tests/unit/tcg_guest.h"

#define WALL_OLD 0x11
#define TIME_OLD 0x12
#define WALL     0x4b564d00
#define TIME     0x4b564d01
#define RECORD   0x200100
#define VERSION  RECORD
#define TSC      (RECORD + 8)
#define NS       (RECORD + 16)
#define MUL      (RECORD + 24)
#define SHIFT    (RECORD + 28)
#define FLAGS    (RECORD + 29)
#define AFTER    (RECORD + 32)

static struct guest g;

static void setup(void)
{
	guest_init(&g);
	g.m.vclock_base_ns = 5000;
	memset(g.data, 0xcc, PAGE_SIZE);
}

static void teardown(void)
{
	guest_fini(&g);
}

static u64 get(gpa_t at, u32 size)
{
	u64 value = 0;

	ck_assert_int_eq(mem_read(&g.m.mem, at, &value, size), 0);
	return value;
}

START_TEST(record_turns_ticks_into_time)
{
	u64 value;

	vcpu_tsc_set(&g.v, 7000);
	ck_assert(msr_write(g.c, TIME, RECORD | 1));
	ck_assert(msr_read(g.c, TIME, &value));
	ck_assert_uint_eq(value, RECORD | 1);
	ck_assert_uint_eq(get(VERSION, 4) & 1, 0);
	ck_assert_uint_eq(get(TSC, 8), 7000);
	ck_assert_uint_eq(get(NS, 8), 5000);
	/* 1 GHz: a tick is a nanosecond. */
	ck_assert_uint_eq((1000ULL << get(SHIFT, 1)) * get(MUL, 4) >> 32, 1000);
	ck_assert_uint_eq(get(FLAGS, 1), 1);
	ck_assert_uint_eq(get(AFTER, 1), 0xcc);
	ck_assert_uint_eq(get(RECORD - 1, 1), 0xcc);
}

END_TEST

START_TEST(record_follows_the_tsc)
{
	struct vcpu other = { .m = &g.m };
	struct vcpu *both[] = { &g.v, &other };
	u64 version;

	g.m.accel = &tcg_accel;

	ck_assert(msr_write(g.c, TIME, RECORD | 1));
	version = get(VERSION, 4);
	ck_assert(msr_write(g.c, MSR_IA32_TSC, 123456));
	ck_assert_uint_eq(get(VERSION, 4), version + 2);
	ck_assert_uint_eq(get(TSC, 8), 123456);
	ck_assert_uint_eq(get(NS, 8), 5000);
	ck_assert(msr_write(g.c, MSR_IA32_TSC_ADJUST, 0));
	ck_assert_uint_eq(get(TSC, 8), 5000);
	ck_assert_uint_eq(get(FLAGS, 1), 1);
	/* With a second vCPU the records may disagree. */
	g.m.nvcpus = 2;
	g.m.vcpus = both;
	lock_init(&other.lock);
	cond_init(&other.wake);
	ck_assert(msr_write(g.c, MSR_IA32_TSC, 1));
	ck_assert_uint_eq(get(FLAGS, 1), 0);
	ck_assert(atomic_load(&other.request) & VCPU_REQ_POLL);
	g.m.nvcpus = 1;
}

END_TEST

START_TEST(record_is_left_alone_once_disabled)
{
	ck_assert(msr_write(g.c, TIME, RECORD | 1));
	ck_assert(msr_write(g.c, TIME, RECORD));
	memset(g.data, 0xcc, PAGE_SIZE);
	ck_assert(msr_write(g.c, MSR_IA32_TSC, 1));
	ck_assert_uint_eq(get(VERSION, 4), 0xcccccccc);
}

END_TEST

START_TEST(wall_clock_is_when_time_began)
{
	u64 now, then;

	ck_assert(msr_write(g.c, WALL, RECORD));
	now = clock_realtime_ns();
	then = get(RECORD + 4, 4) * NS_PER_S + get(RECORD + 8, 4) + 5000;
	ck_assert_uint_le(then, now);
	ck_assert_uint_lt(now - then, 20 * NS_PER_S);
	ck_assert_uint_eq(get(RECORD + 12, 1), 0xcc);
}

END_TEST

START_TEST(old_registers_are_the_same)
{
	u64 value;

	ck_assert(msr_write(g.c, TIME_OLD, RECORD | 1));
	ck_assert_uint_eq(get(NS, 8), 5000);
	ck_assert(msr_read(g.c, TIME, &value));
	ck_assert_uint_eq(value, RECORD | 1);
	ck_assert(msr_write(g.c, WALL_OLD, RECORD));
}

END_TEST

/* Wherever a guest points: nothing happens, beyond RAM or within. */
static const u64 places[] = {
	0x200002,   0x200003,     4 * MIB - 28,   4 * MIB - 4, 4 * MIB,
	0xfee00000, BIT(52) - 32, UINT64_MAX - 3, UINT64_MAX,  BIT(63),
};

START_TEST(strange_places_do_no_harm)
{
	ck_assert(msr_write(g.c, TIME, places[_i] | 1));
	ck_assert(msr_write(g.c, WALL, places[_i]));
	ck_assert_uint_eq(get(0x200000, 8), 0xccccccccccccccccULL);
	ck_assert_uint_eq(get(4 * MIB - 8, 8), 0);
}

END_TEST

START_TEST(nothing_is_there_without_kvm)
{
	u64 value;
	u32 out[4];

	tcg_cpuid(g.c, 0x40000000, 0, out);
	ck_assert_mem_eq(&out[1], "KVMKVMKVM\0\0", 12);
	tcg_cpuid(g.c, 0x40000001, 0, out);
	/* 1: ports are fast; 11: PV IPIs */
	ck_assert_uint_eq(out[0], PVCLOCK_OLD | PVCLOCK_NEW | PVCLOCK_STABLE |
					  BIT(1) | BIT(11));
	tcg_cpu_destroy(&g.v);
	tcg_fini(&g.tcg);
	ck_assert_int_eq(tcg_init(&g.tcg, 1, "max,kvm=off", NULL), 0);
	ck_assert_int_eq(tcg_cpu_create(&g.v, NULL), 0);
	g.c = g.v.accel;
	tcg_cpuid(g.c, 0x40000000, 0, out);
	ck_assert_mem_eq(&out[1], "TCGTCGTCGTCG", 12);
	tcg_cpuid(g.c, 0x40000001, 0, out);
	ck_assert_uint_eq(out[0], 0);
	ck_assert(!msr_write(g.c, TIME, RECORD | 1));
	ck_assert(!msr_read(g.c, TIME, &value));
	ck_assert(!msr_write(g.c, WALL_OLD, RECORD));
	ck_assert_uint_eq(get(VERSION, 4), 0xcccccccc);
}

END_TEST

START_TEST(hypercalls_are_refused)
{
	static const u8 code[] = { 0x0f, 0x01, 0xc1, 0x0f, 0x01, 0xd9 };

	for (int n = 0; n < 2; n++) {
		guest_load(&g, code + 3 * n, 3);
		g.c->rip = GUEST_CODE;
		g.c->gpr[REG_RAX] = 9;
		ck_assert(tcg_step(g.c));
		ck_assert_uint_eq(g.c->rip, GUEST_CODE + 3);
		ck_assert_int_eq((s64)g.c->gpr[REG_RAX], -1000);
	}
}

END_TEST

int main(void)
{
	Suite *s = suite_create("tcg/pvclock");
	TCase *tc = tcase_create("pvclock");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, record_turns_ticks_into_time);
	tcase_add_test(tc, record_follows_the_tsc);
	tcase_add_test(tc, record_is_left_alone_once_disabled);
	tcase_add_test(tc, wall_clock_is_when_time_began);
	tcase_add_test(tc, old_registers_are_the_same);
	tcase_add_loop_test(tc, strange_places_do_no_harm, 0,
			    ARRAY_SIZE(places));
	tcase_add_test(tc, nothing_is_there_without_kvm);
	tcase_add_test(tc, hypercalls_are_refused);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
