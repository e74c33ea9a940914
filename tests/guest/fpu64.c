/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * x87 and MMX registers through whatever comes between two instructions:
 * faults, device memory, interrupts, control bits that change; exceptions
 * that are unmasked late; pointers to the last instruction.
 *
 * Loops are long enough for a translator.  The compiler uses no x87
 * registers itself.
 *
 * Spec: SDM 1 chapters 8 and 9.
 */
#include "tests/guest/guest.h"

#define ROUNDS 3000

#define APIC       0xfee00000ULL
#define APIC_EOI   0xb0
#define APIC_SVR   0xf0
#define APIC_LVT   0x320
#define APIC_COUNT 0x380
#define APIC_DIV   0x3e0
#define TIMER      0x60

#define PAGE2M     0x200000ULL
#define TRAP_PAGES (48ULL << 20) /* two pages of 2 MiB that nobody uses */
#define EDGE       (TRAP_PAGES + PAGE2M)

#define CR0_EM BIT(2)
#define CR0_TS BIT(3)
#define CR0_NE BIT(5)

#define EXC_UD 6
#define EXC_NM 7
#define EXC_PF 14
#define EXC_MF 16

#define FCW_ALL 0x37fu
#define FCW_ZM  0x004u
#define FSW_ZE  0x004u

struct env {
	u32 fcw, fsw, ftw, ip;
	u16 cs, op;
	u32 dp;
	u16 ds, unused;
};

static u8 area[512] __attribute__((aligned(16)));
static volatile u64 faults, traps, ticks;
static struct env env; /* as the last handler found it */
static bool lazy_dp;   /* the data pointer moves with exceptions only */

/* ---- Handlers ---- */

/* What handlers do to the registers of whom they interrupt: nothing, in the
 * end. */
static void scramble(void)
{
	__asm__ volatile("fxsave64 %0\n"
			 "fnstenv %1\n"
			 "fninit\n"
			 "fldpi\n"
			 "fldl2t\n"
			 "fldz\n"
			 "fxrstor64 %0\n"
			 : "+m"(area), "=m"(env));
}

static void trap_pages(bool present)
{
	for (u64 at = TRAP_PAGES; at < TRAP_PAGES + 2 * PAGE2M; at += PAGE2M) {
		u64 *entry = &boot_pd[at / PAGE2M];

		*entry = present ? *entry | 1 : *entry & ~1ULL;
		invlpg(at);
	}
}

static void on_fault(struct regs *r)
{
	faults++;
	scramble();
	trap_pages(true);
}

static void on_nm(struct regs *r)
{
	traps++;
	write_cr0(read_cr0() & ~(CR0_EM | CR0_TS));
	scramble();
}

static void on_tick(struct regs *r)
{
	ticks++;
	scramble();
	*(volatile u32 *)(APIC + APIC_EOI) = 0;
}

/* FNSTENV has masked everything. */
static void on_mf(struct regs *r)
{
	traps++;
	__asm__ volatile("fnstenv %0\n"
			 "fnclex\n"
			 : "=m"(env));
}

static void timer(u32 count)
{
	*(volatile u32 *)(APIC + APIC_SVR) = 0x1ff;
	*(volatile u32 *)(APIC + APIC_DIV) = 0xb;
	*(volatile u32 *)(APIC + APIC_LVT) =
		count ? TIMER | 1u << 17 : 1u << 16;
	*(volatile u32 *)(APIC + APIC_COUNT) = count;
}

/* ---- Registers survive ---- */

/* Seven counters and what is added to them. */
static void start(void)
{
	__asm__ volatile("fninit\n"
			 "fldz\n fldz\n fldz\n fldz\n"
			 "fldz\n fldz\n fldz\n fld1\n");
}

/* One of them counts twice. */
static void step_all(void)
{
	__asm__ volatile("fadd %%st, %%st(1)\n"
			 "fadd %%st, %%st(2)\n"
			 "fadd %%st, %%st(2)\n"
			 "fadd %%st, %%st(3)\n"
			 "fadd %%st, %%st(4)\n"
			 "fadd %%st, %%st(5)\n"
			 "fadd %%st, %%st(6)\n"
			 "fadd %%st, %%st(7)\n"
			 :
			 :
			 : "memory");
}

static void check_all(const char *name, u64 n)
{
	static const int factors[] = { 1, 1, 2, 1, 1, 1, 1, 1 };
	bool ok = true;
	u16 sw;

	__asm__ volatile("fnstsw %0" : "=m"(sw));
	for (u32 k = 0; k < 8; k++) {
		long long got, want = k ? factors[k] * (long long)n : 1;

		__asm__ volatile("fistpll %0" : "=m"(got));
		ok &= got == want;
	}
	check(name, ok && (sw & 0x387f) == 0);
}

static void test_plain(void)
{
	start();
	for (u32 n = 0; n < ROUNDS; n++)
		step_all();
	check_all("registers count", ROUNDS);
}

/* The page fault comes in the middle, at 10 bytes across two pages or in
 * one. */
static void test_faults(void)
{
	u64 wrong = 0;

	start();
	faults = 0;
	handlers[EXC_PF] = on_fault;
	for (u32 n = 0; n < ROUNDS; n++) {
		u8 *at = (u8 *)EDGE - n % 24;
		u32 v = n;

		if (n % 5 == 0)
			trap_pages(false);
		step_all();
		/* Eight are in use: one goes to memory and comes back. */
		__asm__ volatile("fstpt (%1)\n"
				 "fildl %0\n"
				 "fistpl 32(%1)\n"
				 "fldt (%1)\n"
				 :
				 : "m"(v), "r"(at)
				 : "memory");
		wrong += *(u32 *)(at + 32) != n;
	}
	handlers[EXC_PF] = 0;
	trap_pages(true);
	check_all("registers survive page faults", ROUNDS);
	check("... which happened", faults >= ROUNDS / 5);
	check_eq("... and stores arrive", wrong, 0);
}

static void test_device(void)
{
	u64 version = 0;

	start();
	for (u32 n = 0; n < ROUNDS; n++) {
		step_all();
		version |= *(volatile u32 *)(APIC + 0x30);
	}
	check_all("registers survive device accesses", ROUNDS);
	check("... which happened", version != 0);
}

static void test_interrupts(void)
{
	u64 steps = 0;

	start();
	ticks = 0;
	handlers[TIMER] = on_tick;
	timer(50000);
	__asm__ volatile("sti");
	while (ticks < 50 && steps < 1u << 24) {
		step_all();
		steps++;
	}
	__asm__ volatile("cli");
	timer(0);
	check_all("registers survive interrupts", steps);
	check("... which happened", ticks >= 50);
}

static void test_cr0(u64 bit, const char *name)
{
	start();
	traps = 0;
	handlers[EXC_NM] = on_nm;
	for (u32 n = 0; n < ROUNDS; n++) {
		if (n % 4 == 0)
			write_cr0(read_cr0() | bit);
		step_all();
	}
	handlers[EXC_NM] = 0;
	check_all(name, ROUNDS);
	check_eq("... one #NM each", traps, ROUNDS / 4);
}

/* At the end of a page by RSP, where the next one is absent. */
static void test_stack(void)
{
	u64 want = 0, wrong = 0;

	faults = 0;
	handlers[EXC_PF] = on_fault;
	start();
	for (u32 n = 0; n < ROUNDS; n++) {
		double half;

		boot_pd[EDGE / PAGE2M] &= ~1ULL;
		invlpg(EDGE);
		want += n % 48 < 10;
		step_all();
		__asm__ volatile("mov %%rsp, %%rbx\n"
				 "mov %1, %%rsp\n"
				 "fstpt (%%rsp)\n"
				 "fldt (%%rsp)\n"
				 "fstl (%%rsp)\n"
				 "mov (%%rsp), %0\n"
				 "mov %%rbx, %%rsp\n"
				 : "=&r"(half)
				 : "r"(EDGE - n % 48)
				 : "rbx", "memory");
		wrong += *(u64 *)&half != 0x3ff0000000000000;
	}
	handlers[EXC_PF] = 0;
	trap_pages(true);
	check_all("registers survive faults at RSP", ROUNDS);
	check_eq("... and get there", wrong, 0);
	check_eq("... which happened", faults, want);
}

/* ---- Flags ---- */

static void test_flags(void)
{
	u64 wrong = 0;

	for (u32 n = 0; n < ROUNDS; n++) {
		int a = (int)(n % 5), b = (int)(n % 3), most;
		bool below, equal;
		u16 sw;

		__asm__ volatile("fninit\n"
				 "fildl %4\n"
				 "fildl %3\n"
				 "fcomi %%st(1), %%st\n"
				 "setb %0\n"
				 "sete %1\n"
				 "fcmovb %%st(1), %%st\n"
				 "fcom %%st(1)\n"
				 "fnstsw %%ax\n"
				 "fistpl %2\n"
				 "fstp %%st(0)\n"
				 : "=m"(below), "=m"(equal), "=m"(most)
				 : "m"(a), "m"(b)
				 : "rax", "cc", "memory");
		wrong += below != (a < b);
		wrong += equal != (a == b);
		wrong += most != (a < b ? b : a);
		/* As compared, with two in use. */
		__asm__ volatile("fninit\n"
				 "fildl %2\n"
				 "fildl %1\n"
				 "fcompp\n"
				 "fnstsw %%ax\n"
				 "mov %%ax, %0\n"
				 : "=m"(sw)
				 : "m"(a), "m"(b)
				 : "rax", "memory");
		wrong += (sw & 0x4500) != (a < b ? 0x100 : a == b ? 0x4000 : 0);
	}
	check_eq("comparisons", wrong, 0);
}

/* ---- MMX ---- */

static void test_mmx(void)
{
	u64 wrong = 0;

	for (u32 n = 0; n < ROUNDS; n++) {
		u64 a = n * 0x100010001ULL, out, back;
		struct env e;

		/* TOP is 6 and becomes 0; MM1 is the second of them. */
		__asm__ volatile("fninit\n"
				 "fldz\n"
				 "fldz\n"
				 "movq %3, %%mm1\n"
				 "paddw %%mm1, %%mm1\n"
				 "movq %%mm1, %0\n"
				 "fnstenv %2\n"
				 "fld %%st(1)\n"
				 "emms\n"
				 "movq2dq %%mm1, %%xmm1\n"
				 "movq %%xmm1, %1\n"
				 "emms\n"
				 : "=m"(out), "=m"(back), "=m"(e)
				 : "m"(a)
				 : "memory");
		wrong += out != 2 * a || back != out;
		wrong += (e.fsw & 0x3800) || (e.ftw & 0xffff) == 0xffff;
	}
	__asm__ volatile("fninit");
	check_eq("MMX registers are x87's", wrong, 0);
}

/* ---- Exceptions ---- */

/* An operand that crosses a page is no translator's matter, and FLDCW may
 * unmask what it counts on to be masked. */
static void test_unmasked(void)
{
	u64 wrong = 0, masks = 0, want = 0;

	write_cr0(read_cr0() | CR0_NE);
	traps = 0;
	handlers[EXC_MF] = on_mf;
	for (u32 n = 0; n < ROUNDS; n++) {
		u16 *cw = (u16 *)(EDGE - n % 4), sw;
		bool unmasked = n % 3 == 0;

		*cw = unmasked ? FCW_ALL & ~FCW_ZM : FCW_ALL;
		want += unmasked;
		__asm__ volatile("fninit\n"
				 "fld1\n"
				 "fldz\n"
				 "fldcw %1\n"
				 "fdivrp\n"
				 "fnstsw %0\n"
				 "fwait\n"
				 "fnstcw %1\n"
				 "fninit\n"
				 : "=m"(sw), "+m"(*cw)
				 :
				 : "memory");
		wrong += (sw & 0x84) != (unmasked ? 0x84 : 4);
		masks += *cw != FCW_ALL;
	}
	handlers[EXC_MF] = 0;
	check_eq("an x87 division by zero", wrong, 0);
	check_eq("... #MF when unmasked", traps, want);
	check_eq("... which FNSTENV ends", masks, 0);
}

/* ---- Pointers ---- */

/* An instruction without operand moves one of the pointers, a fault none. */
static void test_pointers(void)
{
	u64 wrong_ip = 0, wrong_dp = 0, early = 0;

	faults = 0;
	handlers[EXC_PF] = on_fault;
	for (u32 n = 0; n < ROUNDS; n++) {
		u64 first, last, *at = (u64 *)(TRAP_PAGES + 8 * (n % 9));
		static u32 v;
		struct env e;

		if (n % 6 == 0)
			trap_pages(false);
		__asm__ volatile("fninit\n"
				 "1: fildl %3\n"
				 "fistpll (%4)\n"
				 "fildl %3\n"
				 "2: fabs\n"
				 "fnstsw %%ax\n"
				 "lea 1b(%%rip), %0\n"
				 "fnstenv %2\n"
				 "lea 2b(%%rip), %1\n"
				 "fninit\n"
				 : "=&r"(first), "=&r"(last), "=m"(e)
				 : "m"(v), "r"(at)
				 : "rax", "memory");
		wrong_ip += e.ip != (u32)last || e.cs != SEL_CODE;
		wrong_dp += e.dp != (u32)(u64)&v;
		if (n % 6 == 0)
			early += env.ip != (u32)first ||
				 (!lazy_dp && env.dp != (u32)(u64)&v);
	}
	handlers[EXC_PF] = 0;
	trap_pages(true);
	check_eq("the instruction pointer", wrong_ip, 0);
	if (!lazy_dp)
		check_eq("the data pointer", wrong_dp, 0);
	check_eq("... when the next one faults", early, 0);
	check("... which happened", faults >= ROUNDS / 6);
}

void test(void)
{
	u32 out[4];

	cpuid(7, 0, out);
	lazy_dp = out[1] & BIT(6);
	write_cr0(read_cr0() & ~(CR0_EM | CR0_TS));
	test_plain();
	test_faults();
	test_device();
	test_interrupts();
	test_cr0(CR0_TS, "registers survive TS");
	test_cr0(CR0_EM, "registers survive EM");
	test_stack();
	test_flags();
	test_mmx();
	test_unmasked();
	test_pointers();
}
