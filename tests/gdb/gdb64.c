/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the debugger's tests look at: a guest that works on a few variables
 * for ever, on as many processors as it has.
 */
#include "tests/guest/guest.h"

#define APIC        0xfee00000ULL
#define APIC_SVR    0xf0
#define APIC_ICR    0x300
#define APIC_ICR_HI 0x310

#define MSR_STAR           0xc0000081u
#define MSR_LSTAR          0xc0000082u
#define MSR_KERNEL_GS_BASE 0xc0000102u

/* One place for each function, which breakpoints can name: gcc must not clone
 * it, and clang neither does nor knows the word. */
#if __has_attribute(noclone)
#define NOINLINE __attribute__((noinline, noclone))
#else
#define NOINLINE __attribute__((noinline))
#endif

volatile u64 rounds, written, seen, ap_rounds, syscalls;
volatile u64 apart[1024]; /* two pages that nobody else uses */
volatile u64 pattern[8] = { 0x1111, 0x2222 };
volatile u32 processors = 1;
u64 gs_area[4] = { 0x6060 };

static void pause(void)
{
	__asm__ volatile("pause");
}

static void apic_write(u32 reg, u32 v)
{
	*(volatile u32 *)(APIC + reg) = v;
}

/* Called often enough to be translated. */
static NOINLINE u64 work(u64 n)
{
	u64 sum = 0;

	for (u64 k = 0; k < 50; k++)
		sum += n * k ^ (sum >> 3);
	return sum;
}

static NOINLINE void hit_me(u64 n)
{
	__asm__ volatile("" : : "r"(n));
}

static NOINLINE void store_it(u64 n)
{
	apart[512] = n;
}

static NOINLINE u64 load_it(void)
{
	return apart[516];
}

/* In ring 3, at its user address. */
static NOINLINE void ring3(void *arg)
{
	__asm__ volatile(".globl ring3_call\n"
			 "ring3_call: syscall\n"
			 ".globl ring3_next\n"
			 "ring3_next: nop"
			 :
			 :
			 : "rcx", "r11", "memory");
}

void call_entry(void);
__asm__(".globl call_entry\n"
	"call_entry: incq syscalls(%rip)\n"
	"sysretq");

static NOINLINE void ap_round(void)
{
	ap_rounds++;
}

static void ap_loop(void)
{
	processors = 2;
	for (;;) {
		ap_round();
		for (int n = 0; n < 100; n++)
			pause();
	}
}

static void start_other(void)
{
	u8 *to = (u8 *)0x8000;

	ap_main = ap_loop;
	for (u8 *p = ap_code; p < ap_code_end; p++)
		*to++ = *p;
	apic_write(APIC_SVR, 0x1ff);
	apic_write(APIC_ICR_HI, 1 << 24);
	apic_write(APIC_ICR, 0x4500); /* INIT */
	apic_write(APIC_ICR_HI, 1 << 24);
	apic_write(APIC_ICR, 0x4608); /* SIPI to 0x8000 */
}

void test(void)
{
	wrmsr(MSR_STAR, (u64)(SEL_UCODE32 & ~3) << 48 | (u64)SEL_CODE << 32);
	wrmsr(MSR_LSTAR, (u64)call_entry);
	wrmsr(MSR_KERNEL_GS_BASE, (u64)gs_area);
	start_other();
	for (;;) {
		for (int n = 0; n < 200; n++)
			written += work(rounds);
		hit_me(rounds);
		store_it(rounds);
		seen += load_it();
		user(ring3, 0);
		rounds++;
	}
}
