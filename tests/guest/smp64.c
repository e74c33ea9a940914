/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Two processors: INIT and SIPI, IPIs, NMI, HLT, atomics, cross-modifying
 * code.
 *
 * Spec: SDM 3A "Local APIC", "Handling Self- and Cross-Modifying Code".
 */
#include "tests/guest/smp.h"

#define APIC_LVTT    0x320
#define APIC_INITIAL 0x380
#define APIC_DIVIDE  0x3e0

#define ROUNDS  4000
#define CHANGES 200 /* a switch of host threads each */

static volatile u32 ap_state, ap_ipis, ap_nmis, ap_id, go;
static u64 counter, ap_mtrrs;
static u8 crossing[128] __attribute__((aligned(64)));
static u8 pages[8192] __attribute__((aligned(4096)));
static u8 code[4096] __attribute__((aligned(4096)));

/* ---- The other processor ---- */

static void on_ipi(struct regs *r)
{
	ap_ipis++;
	apic_write(APIC_EOI, 0);
}

static void on_nmi(struct regs *r)
{
	ap_nmis++;
}

static void ap_loop(void)
{
	apic_write(APIC_SVR, 0x1ff);
	ap_id = apic_read(APIC_ID) >> 24;
	ap_mtrrs = rdmsr(0x2ff);
	ap_state = 1;
	while (ap_state == 1) /* woken by interrupts */
		__asm__ volatile("sti; hlt; cli");
	/* Together with the other one. */
	while (!go)
		pause();
	for (u32 n = 0; n < ROUNDS; n++)
		__asm__ volatile("lock incq %0" : "+m"(counter));
	for (u32 n = 0; n < ROUNDS / 50; n++)
		__asm__ volatile("lock incq %0" : "+m"(*(u64 *)(pages + 4092)));
	for (u32 n = 0; n < ROUNDS; n++)
		__asm__ volatile("lock incq %0"
				 : "+m"(*(u64 *)(crossing + 60)));
	ap_state = 3;
	/* Runs code that the other one changes. */
	while (ap_state != 5) {
		if (ap_state == 4) {
			int v = ((int (*)(void))code)();

			ap_id = v;
			ap_state = 3;
		}
		pause();
	}
	ap_state = 6;
	for (;;)
		__asm__ volatile("cli; hlt");
}

/* ---- Tests ---- */

static void test_start(void)
{
	start_ap(ap_loop);
	check("INIT and SIPI start the other processor",
	      wait_for(&ap_state, 1));
	check_eq("... whose APIC has its own number", ap_id, 1);
	check_eq("... and whose MTRRs are on", ap_mtrrs, 0xc06);
}

/* KVM_HC_SEND_IPI, where CPUID has it. */
static void test_hypercall(void)
{
	u64 sent = 10;
	u32 id[4];

	cpuid(0x40000001, 0, id);
	if (!(id[0] & BIT(11)))
		return;
	__asm__ volatile("vmcall"
			 : "+a"(sent)
			 : "b"(1ull << 1 | 1ull << 40), "c"(0ull), "d"(0ull),
			   "S"(0x60ull)
			 : "memory");
	check_eq("a hypercall sends an IPI", sent, 1);
	check("... which arrives", wait_for(&ap_ipis, 101));
	sent = 10;
	__asm__ volatile("vmcall"
			 : "+a"(sent)
			 : "b"(1ull), "c"(0ull), "d"(1ull), "S"(0x500ull)
			 : "memory");
	check_eq("... but no INIT", sent, -22);
}

static void test_ipi(void)
{
	handlers[0x60] = on_ipi;
	handlers[2] = on_nmi;
	for (u32 n = 1; n <= 100; n++) {
		apic_send(1, 0x4060);
		if (!wait_for(&ap_ipis, n))
			break;
	}
	check_eq("a hundred IPIs wake it from HLT", ap_ipis, 100);
	apic_send(1, 0x4400);
	check("an NMI arrives", wait_for(&ap_nmis, 1));
	test_hypercall();
	ap_state = 2;
	apic_send(1, 0x4060);
}

static volatile u32 nmis, nmis_inside;

static void on_own_nmi(struct regs *r)
{
	nmis++;
	if (nmis == 1) {
		apic_send(0, 0x4400);
		for (u32 n = 0; n < 1000; n++)
			pause();
		nmis_inside = nmis;
	}
}

static void test_nested_nmi(void)
{
	handlers[2] = on_own_nmi;
	__asm__ volatile("sti; nop; cli"); /* nothing else is waiting */
	apic_send(0, 0x4400);
	check_eq("an NMI to itself, another when it is done", nmis, 2);
	check_eq("... and not before", nmis_inside, 1);
}

static volatile u32 timer_hits;

static void on_timer(struct regs *r)
{
	timer_hits++;
	apic_write(APIC_EOI, 0);
}

/* Until the timer's vector is requested. */
static void wait_pending(void)
{
	while (!(apic_read(APIC_IRR + 0x10 * (0x61 / 32)) & BIT(0x61 % 32)))
		pause();
}

static void test_timer(void)
{
	handlers[0x61] = on_timer;
	apic_write(APIC_DIVIDE, 0xb);
	apic_write(APIC_LVTT, 0x61);
	apic_write(APIC_INITIAL, 1000000);
	for (u32 n = 0; n < 3 && !timer_hits; n++)
		__asm__ volatile("sti; hlt; cli");
	check_eq("the timer wakes HLT", timer_hits, 1);
	apic_write(APIC_INITIAL, 1000000);
	wait_pending();
	check_eq("IF holds interrupts off", timer_hits, 1);
	/* The shadow of STI covers one instruction. */
	__asm__ volatile("sti; cli");
	check_eq("STI; CLI lets nothing in", timer_hits, 1);
	__asm__ volatile("sti; nop; nop; cli");
	check_eq("STI; NOP lets it in", timer_hits, 2);
}

static void test_tpr(void)
{
	__asm__ volatile("mov %0, %%cr8" : : "r"(15ul));
	apic_write(APIC_INITIAL, 1000);
	wait_pending();
	__asm__ volatile("sti");
	for (u32 n = 0; n < 10000; n++)
		pause();
	check_eq("CR8 holds interrupts off", timer_hits, 2);
	__asm__ volatile("mov %0, %%cr8; nop; nop" : : "r"(0ul));
	for (u32 n = 0; n < 10000 && timer_hits == 2; n++)
		pause();
	check_eq("... and a lower CR8 lets them in", timer_hits, 3);
	__asm__ volatile("cli");
}

static void test_atomics(void)
{
	go = 1;
	for (u32 n = 0; n < ROUNDS; n++)
		__asm__ volatile("lock incq %0" : "+m"(counter));
	for (u32 n = 0; n < ROUNDS / 50; n++)
		__asm__ volatile("lock incq %0" : "+m"(*(u64 *)(pages + 4092)));
	for (u32 n = 0; n < ROUNDS; n++)
		__asm__ volatile("lock incq %0"
				 : "+m"(*(u64 *)(crossing + 60)));
	check("both finish", wait_for(&ap_state, 3));
	check_eq("locked additions are not lost", counter, 2 * ROUNDS);
	check_eq("... across cache lines", *(u64 *)(crossing + 60), 2 * ROUNDS);
	check_eq("... across pages", *(u64 *)(pages + 4092), 2 * (ROUNDS / 50));
}

static void test_cross_modifying(void)
{
	u32 good = 0;

	code[0] = 0xb8;
	code[5] = 0xc3;
	for (u32 n = 0; n < CHANGES; n++) {
		*(volatile u32 *)(code + 1) = n + 5;
		ap_state = 4;
		if (!wait_for(&ap_state, 3))
			break;
		good += ap_id == n + 5;
	}
	check_eq("code changed by another processor runs changed", good,
		 CHANGES);
	ap_state = 5;
	check("the other processor ends", wait_for(&ap_state, 6));
}

void test(void)
{
	test_start();
	test_ipi();
	test_nested_nmi();
	test_timer();
	test_tpr();
	test_atomics();
	test_cross_modifying();
}
