/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Four processors that wait for each other with PAUSE, on fewer host CPUs:
 * run.py leaves them one.  Waiting must not keep the one that is waited for
 * from running.
 */
#include "tests/guest/guest.h"

#define APIC        0xfee00000ULL
#define APIC_SVR    0xf0
#define APIC_ICR    0x300
#define APIC_ICR_HI 0x310

#define CPUS   4
#define WORK   60000000u /* turns of a loop: some 40 ms */
#define ROUNDS 2000u    /* of a lock, by each */
#define MEETS  2000u

static volatile u32 started, phase, finished;
static volatile u32 next_ticket, now_serving, meeting, generation;
static u64 counter;
static u8 stacks[CPUS][4096] __attribute__((aligned(16)));

static void apic_write(u32 reg, u32 v)
{
	*(volatile u32 *)(APIC + reg) = v;
}

static void pause(void)
{
	__asm__ volatile("pause");
}

/* In microseconds: the TSC of vmon's engine and of QEMU's counts ns. */
static u64 now(void)
{
	u32 lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (lo | (u64)hi << 32) / 1000;
}

static u32 fetch_add(volatile u32 *p, u32 n)
{
	__asm__ volatile("lock xaddl %0, %1" : "+r"(n), "+m"(*p));
	return n;
}

static void work(void)
{
	for (u32 n = 0; n < WORK; n++)
		__asm__ volatile("");
}

/* A lock that is given in order: every turn has to be the right one's. */
static void take_turns(void)
{
	for (u32 n = 0; n < ROUNDS; n++) {
		u32 mine = fetch_add(&next_ticket, 1);

		while (now_serving != mine)
			pause();
		counter++;
		now_serving = mine + 1;
	}
}

static void meet(void)
{
	for (u32 n = 0; n < MEETS; n++) {
		u32 before = generation;

		if (fetch_add(&meeting, 1) == CPUS - 1) {
			meeting = 0;
			generation = before + 1;
		}
		while (generation == before)
			pause();
	}
}

static void wait_phase(u32 n)
{
	while (phase < n)
		pause();
}

__attribute__((noreturn, used)) static void ap_work(void)
{
	apic_write(APIC_SVR, 0x1ff);
	fetch_add(&started, 1);
	wait_phase(1); /* the first one works alone */
	fetch_add(&finished, 1);
	wait_phase(2);
	take_turns();
	fetch_add(&finished, 1);
	wait_phase(3);
	meet();
	fetch_add(&finished, 1);
	for (;;)
		__asm__ volatile("cli; hlt");
}

static void ap_loop(void)
{
	__asm__ volatile("mov %0, %%rsp; call ap_work"
			 :
			 : "r"(stacks[started + 1]));
}

static void start(void)
{
	u8 *low = (u8 *)0x8000;

	for (u32 n = 0; n < (u32)(ap_code_end - ap_code); n++)
		low[n] = ap_code[n];
	ap_main = ap_loop;
	apic_write(APIC_SVR, 0x1ff);
	for (u32 cpu = 1; cpu < CPUS; cpu++) {
		apic_write(APIC_ICR_HI, cpu << 24);
		apic_write(APIC_ICR, 0x4500);
		apic_write(APIC_ICR_HI, cpu << 24);
		apic_write(APIC_ICR, 0x4608);
		while (started != cpu)
			pause();
	}
}

static void wait_done(u32 n)
{
	while (finished < n)
		pause();
	finished = 0;
}

static void print_decimal(u64 v)
{
	char text[24], *p = text + sizeof text;

	*--p = 0;
	do
		*--p = '0' + v % 10;
	while (v /= 10);
	print(p);
}

static void tell(const char *what, u64 us)
{
	print("TIME ");
	print(what);
	print(": ");
	print_decimal(us);
	print(" us\n");
}

void test(void)
{
	u64 alone, beside, turns, meets, from = now();

	work();
	alone = now() - from;
	start();
	from = now();
	work();
	beside = now() - from;
	tell("a loop alone", alone);
	tell("... while three wait", beside);
	check("waiting takes less than half of the time",
	      beside < 2 * alone + 20000);
	phase = 1;
	wait_done(CPUS - 1);
	from = now();
	phase = 2;
	take_turns();
	wait_done(CPUS - 1);
	turns = now() - from;
	tell("taking turns", turns);
	check_eq("each turn counts", counter, CPUS * ROUNDS);
	check("a turn takes less than 200 us", turns < CPUS * ROUNDS * 200);
	from = now();
	phase = 3;
	meet();
	wait_done(CPUS - 1);
	meets = now() - from;
	tell("meeting", meets);
	check("a meeting takes less than 1 ms", meets < MEETS * 1000);
}
