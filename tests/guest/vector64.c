/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Vector registers through whatever comes between two instructions: faults,
 * device memory, interrupts, code that changes, control bits that change;
 * and SIMD exceptions.
 *
 * Loops are long enough for a translator.  The compiler uses no vector
 * registers itself.
 *
 * Spec: SDM 1 chapter 11, SDM 3A "Interrupt and Exception Handling",
 * "System Programming for Instruction Set Extensions".
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
#define CR0_TS     BIT(3)
#define CR4_OSFXSR BIT(9)
#define CR4_XSAVE  BIT(18)

#define MXCSR_ALL 0x1f80u
#define MXCSR_ZE  0x0004u
#define MXCSR_PE  0x0020u
#define MXCSR_ZM  0x0200u
#define MXCSR_UP  0x4000u

#define EXC_UD 6
#define EXC_NM 7
#define EXC_GP 13
#define EXC_PF 14
#define EXC_XM 19

union vec {
	u32 d[8];
	u64 q[4];
};

static union vec regs[16] __attribute__((aligned(64)));
static union vec steps[16] __attribute__((aligned(64)));
static union vec data[4] __attribute__((aligned(64)));
static u8 code[64] __attribute__((aligned(64)));
static bool avx;
static volatile u64 faults, traps, ticks;
static u64 skip; /* bytes of the instruction that is refused */

/* ---- All registers at once ---- */

#define EACH(X) \
	X(0)    \
	X(1)    \
	X(2)    \
	X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)

static void load_all(const union vec *from)
{
#define X(n) "movups " #n "*32(%0), %%xmm" #n "\n"
#define Y(n) "vmovups " #n "*32(%0), %%ymm" #n "\n"
	if (avx)
		__asm__ volatile(EACH(Y) : : "r"(from) : "memory");
	else
		__asm__ volatile(EACH(X) : : "r"(from) : "memory");
#undef Y
#undef X
}

static void store_all(union vec *to)
{
#define X(n) "movups %%xmm" #n ", " #n "*32(%0)\n"
#define Y(n) "vmovups %%ymm" #n ", " #n "*32(%0)\n"
	if (avx)
		__asm__ volatile(EACH(Y) : : "r"(to) : "memory");
	else
		__asm__ volatile(EACH(X) : : "r"(to) : "memory");
#undef Y
#undef X
}

/* Each register gets its step added. */
static void step_all(void)
{
#define X(n) "paddq " #n "*32(%0), %%xmm" #n "\n"
#define Y(n) "vpaddq " #n "*32(%0), %%ymm" #n ", %%ymm" #n "\n"
	if (avx)
		__asm__ volatile(EACH(Y) : : "r"(steps) : "memory");
	else
		__asm__ volatile(EACH(X) : : "r"(steps) : "memory");
#undef Y
#undef X
}

/* What handlers do to the registers of whom they interrupt: nothing, in the
 * end. */
static void scramble(void)
{
	static union vec saved[16];

	store_all(saved);
#define X(n) "pcmpeqd %%xmm" #n ", %%xmm" #n "\n"
	__asm__ volatile(EACH(X) : : : "memory");
#undef X
	if (avx)
		__asm__ volatile("vzeroupper");
	load_all(saved);
}

static void start(void)
{
	for (u32 n = 0; n < 16; n++)
		for (u32 k = 0; k < 4; k++) {
			regs[n].q[k] = (n + 1) * 0x0123456789abcdefULL + k;
			steps[n].q[k] = (n + 3) * 0x1000100010001ULL + k;
		}
	load_all(regs);
}

/* After `n` steps since start(). */
static void check_all(const char *name, u64 n)
{
	static union vec now[16];
	bool ok = true;

	store_all(now);
	for (u32 r = 0; r < 16; r++)
		for (u32 k = 0; k < (avx ? 4 : 2); k++)
			ok &= now[r].q[k] == regs[r].q[k] + n * steps[r].q[k];
	check(name, ok);
}

static bool is_set(u32 leaf, u32 reg, u32 bit)
{
	u32 out[4];

	cpuid(leaf, 0, out);
	return out[reg] >> bit & 1;
}

/* ---- Handlers ---- */

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
	__asm__ volatile("clts");
	scramble();
}

static void on_tick(struct regs *r)
{
	ticks++;
	scramble();
	*(volatile u32 *)(APIC + APIC_EOI) = 0;
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

static void test_plain(void)
{
	start();
	for (u32 n = 0; n < ROUNDS; n++)
		step_all();
	check_all("registers count", ROUNDS);
}

/* Across the boundary of the two pages, and in one. */
static void test_faults(void)
{
	u8 *edge = (u8 *)TRAP_PAGES + PAGE2M;
	u64 wrong = 0;

	handlers[EXC_PF] = on_fault;
	start();
	for (u32 n = 0; n < ROUNDS; n++) {
		u8 *at = edge - 16 * (n % 3) - 1;
		u64 lo, hi;

		if (n % 7 == 0)
			trap_pages(false);
		step_all();
		__asm__ volatile("movups %%xmm3, (%2)\n"
				 "movdqu (%2), %%xmm5\n"
				 "paddq %%xmm3, %%xmm5\n"
				 "psubq %%xmm3, %%xmm5\n"
				 "movups %%xmm5, 64(%2)\n"
				 "mov 64(%2), %0\n"
				 "mov 72(%2), %1\n"
				 "movdqu 160(%3), %%xmm5\n"
				 : "=&r"(lo), "=&r"(hi)
				 : "r"(at), "r"(regs)
				 : "memory");
		wrong += lo != regs[3].q[0] + (n + 1) * steps[3].q[0];
		wrong += hi != regs[3].q[1] + (n + 1) * steps[3].q[1];
	}
	handlers[EXC_PF] = 0;
	trap_pages(true);
	check_eq("stores and loads between faults", wrong, 0);
	check("... which happened", faults >= ROUNDS / 7);
	load_all(regs);
	check_all("... and registers can be loaded", 0);
}

/* The page fault comes in the middle of a run of vector instructions. */
static void test_faults_survive(void)
{
	start();
	faults = 0;
	handlers[EXC_PF] = on_fault;
	for (u32 n = 0; n < ROUNDS; n++) {
		if (n % 5 == 0)
			trap_pages(false);
		step_all();
		__asm__ volatile("movaps %%xmm1, 32(%0)\n"
				 "movaps %%xmm2, 64(%1)\n"
				 :
				 : "r"(TRAP_PAGES + n * 16),
				   "r"(TRAP_PAGES + PAGE2M)
				 : "memory");
	}
	handlers[EXC_PF] = 0;
	trap_pages(true);
	check_all("registers survive page faults", ROUNDS);
	check("... which happened", faults >= ROUNDS / 5);
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
	u64 steps_done = 0;

	start();
	handlers[TIMER] = on_tick;
	timer(50000);
	__asm__ volatile("sti");
	while (ticks < 50 && steps_done < 1u << 26) {
		step_all();
		steps_done++;
	}
	__asm__ volatile("cli");
	timer(0);
	check_all("registers survive interrupts", steps_done);
	check("... which happened", ticks >= 50);
}

static void test_code(void)
{
	u32 (*fn)(void) = (u32(*)(void))(u64)code;
	u64 wrong = 0;

	/* mov $n, %eax; ret */
	start();
	for (u32 n = 0; n < ROUNDS; n++) {
		u64 bytes = 0xb8 | (u64)n << 8 | 0xc3ULL << 40;

		step_all();
		__asm__ volatile("movq %%xmm9, %%r10\n"
				 "movq %0, %%xmm9\n"
				 "movq %%xmm9, (%1)\n"
				 "movq %%r10, %%xmm10\n"
				 "punpcklqdq %%xmm10, %%xmm9\n"
				 :
				 : "r"(bytes), "r"(code)
				 : "r10", "memory");
		wrong += fn() != n;
	}
	check_eq("code written by a vector store", wrong, 0);
}

/* ---- Control bits ---- */

static void test_ts(void)
{
	start();
	handlers[EXC_NM] = on_nm;
	for (u32 n = 0; n < ROUNDS; n++) {
		if (n % 4 == 0)
			write_cr0(read_cr0() | CR0_TS);
		step_all();
	}
	handlers[EXC_NM] = 0;
	check_all("registers survive #NM", ROUNDS);
	check_eq("... one each", traps, ROUNDS / 4);
}

static void on_ud(struct regs *r)
{
	traps++;
	write_cr4(read_cr4() | CR4_OSFXSR | (avx ? CR4_XSAVE : 0));
}

static void test_cr4(u64 bit, const char *name)
{
	traps = 0;
	start();
	handlers[EXC_UD] = on_ud;
	for (u32 n = 0; n < ROUNDS; n++) {
		if (n % 4 == 0)
			write_cr4(read_cr4() & ~bit);
		if (bit == CR4_OSFXSR)
			__asm__ volatile("movaps %%xmm1, %%xmm1"
					 :
					 :
					 : "memory");
		step_all();
	}
	handlers[EXC_UD] = 0;
	check_all(name, ROUNDS);
	check_eq("... one each", traps, ROUNDS / 4);
}

/* ---- Alignment ---- */

static void on_gp(struct regs *r)
{
	traps++;
	r->rip += skip;
}

static void test_alignment(void)
{
	u64 wrong = 0;

	traps = 0;
	skip = 3;
	handlers[EXC_GP] = on_gp;
	for (u32 n = 0; n < ROUNDS; n++) {
		u64 lo;

		data[0].q[0] = data[0].q[1] = n;
		__asm__ volatile("pxor %%xmm2, %%xmm2\n"
				 "movaps (%1), %%xmm2\n"
				 "movq %%xmm2, %0"
				 : "=r"(lo)
				 : "r"((u8 *)data + (n & 1 ? 8 : 0))
				 : "memory");
		wrong += lo != (n & 1 ? 0 : n);
	}
	handlers[EXC_GP] = 0;
	check_eq("MOVAPS", wrong, 0);
	check_eq("... #GP unless aligned", traps, ROUNDS / 2);
}

/* ---- RSP ---- */

/* At the end of a page, where the next one is absent. */
static void test_stack(void)
{
	u64 edge = TRAP_PAGES + PAGE2M, want = 0, wrong = 0;

	faults = 0;
	handlers[EXC_PF] = on_fault;
	start();
	for (u32 n = 0; n < ROUNDS; n++) {
		u64 lo, hi;

		boot_pd[edge / PAGE2M] &= ~1ULL;
		invlpg(edge);
		want += n % 48 < 16;
		step_all();
		__asm__ volatile("mov %%rsp, %%rbx\n"
				 "mov %2, %%rsp\n"
				 "movups %%xmm1, (%%rsp)\n"
				 "movq 8(%%rsp), %%xmm4\n"
				 "movq %%xmm4, %1\n"
				 "movq (%%rsp), %%xmm4\n"
				 "movq %%xmm4, %0\n"
				 "mov %%rbx, %%rsp\n"
				 : "=&r"(lo), "=&r"(hi)
				 : "r"(edge - n % 48)
				 : "rbx", "memory");
		wrong += lo != regs[1].q[0] + (n + 1) * steps[1].q[0];
		wrong += hi != regs[1].q[1] + (n + 1) * steps[1].q[1];
	}
	handlers[EXC_PF] = 0;
	trap_pages(true);
	check_eq("a vector at RSP", wrong, 0);
	check_eq("... and faults behind it", faults, want);
}

static void test_stack_alignment(void)
{
	traps = 0;
	skip = 4;
	handlers[EXC_GP] = on_gp;
	for (u32 n = 0; n < ROUNDS; n++)
		__asm__ volatile("mov %%rsp, %%rbx\n"
				 "mov %0, %%rsp\n"
				 "movaps %%xmm1, (%%rsp)\n"
				 "mov %%rbx, %%rsp\n"
				 :
				 : "r"(TRAP_PAGES + 4096 + n % 16 * 4)
				 : "rbx", "memory");
	handlers[EXC_GP] = 0;
	check_eq("MOVAPS at RSP", traps, ROUNDS - (ROUNDS + 3) / 4);
}

/* ---- SIMD exceptions ---- */

static void set_mxcsr(u32 v)
{
	__asm__ volatile("ldmxcsr %0" : : "m"(v));
}

static u32 get_mxcsr(void)
{
	u32 v;

	__asm__ volatile("stmxcsr %0" : "=m"(v));
	return v;
}

/* divps %xmm1, %xmm0 has three bytes. */
static void on_xm(struct regs *r)
{
	traps++;
	scramble();
	r->rip += 3;
}

static void test_unmasked(void)
{
	u64 wrong = 0, flags = 0;

	if (lenient)
		return; /* QEMU 7.2 masks all of them */
	traps = 0;
	handlers[EXC_XM] = on_xm;
	start();
	for (u32 n = 0; n < ROUNDS; n++) {
		u32 *mxcsr = (u32 *)(TRAP_PAGES + PAGE2M - n % 4);
		bool unmasked = n % 10 == 9;
		u32 one = 0x3f800000, out;

		/* Also across two pages, which is no translator's matter. */
		*mxcsr = unmasked ? MXCSR_ALL & ~MXCSR_ZM : MXCSR_ALL;
		__asm__ volatile("ldmxcsr %2\n"
				 "movd %1, %%xmm0\n"
				 "pxor %%xmm1, %%xmm1\n"
				 "pcmpeqd %%xmm2, %%xmm2\n"
				 "divps %%xmm1, %%xmm0\n"
				 "movd %%xmm0, %0\n"
				 : "=r"(out)
				 : "r"(one), "m"(*mxcsr)
				 : "memory");
		wrong += out != (unmasked ? one : 0x7f800000);
		flags += (get_mxcsr() & MXCSR_ZE) != MXCSR_ZE;
	}
	handlers[EXC_XM] = 0;
	set_mxcsr(MXCSR_ALL);
	check_eq("a division by zero", wrong, 0);
	check_eq("... #XM when unmasked", traps, ROUNDS / 10);
	check_eq("... and a flag", flags, 0);
}

static void test_sticky(void)
{
	u64 wrong = 0, early = 0, rounded = 0;

	for (u32 n = 0; n < ROUNDS; n++) {
		u32 three = 3, one = 1, out, half = 0x3f000000;

		set_mxcsr(n & 1 ? MXCSR_ALL | MXCSR_UP : MXCSR_ALL);
		early += get_mxcsr() & 0x3f;
		__asm__ volatile("cvtsi2ss %1, %%xmm0\n"
				 "cvtsi2ss %2, %%xmm1\n"
				 "divss %%xmm1, %%xmm0\n"
				 "movd %3, %%xmm1\n"
				 "cvtss2si %%xmm1, %0\n"
				 : "=r"(out)
				 : "r"(one), "r"(three), "r"(half));
		rounded += out != (n & 1);
		/* A store in the interpreter, or by a translator. */
		if (n % 3 == 0)
			invlpg(TRAP_PAGES);
		wrong += (get_mxcsr() & 0x3f) != MXCSR_PE;
	}
	set_mxcsr(MXCSR_ALL);
	check_eq("MXCSR keeps its flags", wrong, 0);
	check_eq("... until they are cleared", early, 0);
	check_eq("... and says how to round", rounded, 0);
}

static void do_ldmxcsr(void *p)
{
	set_mxcsr((u32)(u64)p);
}

static void test_reserved(void)
{
	bool ok = true;

	for (u32 n = 0; n < 100; n++)
		ok &= !try_call(do_ldmxcsr,
				(void *)(n % 2 ? BIT(16) : BIT(31))) &&
		      exc.vector == EXC_GP;
	check("LDMXCSR of reserved bits", ok);
	check_eq("... and MXCSR stays", get_mxcsr(), MXCSR_ALL);
}

/* ---- Halves ---- */

/* SSE leaves upper halves alone, AVX clears them. */
static void test_halves(void)
{
	u64 wrong = 0;

	start();
	for (u32 n = 0; n < ROUNDS; n++) {
		load_all(regs);
		__asm__ volatile("paddq %%xmm1, %%xmm0\n"
				 "vpaddq %%xmm1, %%xmm2, %%xmm2\n"
				 "vmovups %%ymm0, (%0)\n"
				 "vmovups %%ymm2, 32(%0)\n"
				 "vzeroupper\n"
				 "vmovups %%ymm5, 64(%0)\n"
				 "vzeroall\n"
				 "vmovups %%ymm6, 96(%0)\n"
				 :
				 : "r"(data)
				 : "memory");
		wrong += data[0].q[0] != regs[0].q[0] + regs[1].q[0];
		wrong += data[0].q[3] != regs[0].q[3];
		wrong += data[1].q[1] != regs[2].q[1] + regs[1].q[1];
		wrong += data[1].q[2] || data[1].q[3];
		wrong += data[2].q[1] != regs[5].q[1];
		wrong += data[2].q[2] || data[2].q[3];
		wrong += data[3].q[0] || data[3].q[3];
		if (n % 16 == 0)
			invlpg((u64)data);
	}
	check_eq("halves of registers", wrong, 0);
}

static void run(void)
{
	faults = traps = ticks = 0;
	test_plain();
	test_faults();
	test_faults_survive();
	test_device();
	test_interrupts();
	test_code();
	test_ts();
	test_cr4(CR4_OSFXSR, "registers survive OSFXSR");
	test_alignment();
	test_stack();
	test_stack_alignment();
	test_unmasked();
	test_sticky();
	test_reserved();
}

void test(void)
{
	set_mxcsr(MXCSR_ALL);
	print("     128 bits\n");
	run();
	if (!is_set(1, 2, 28) || !is_set(7, 1, 5)) {
		print("     no AVX2\n");
		return;
	}
	avx = true;
	write_cr4(read_cr4() | CR4_XSAVE);
	__asm__ volatile("xsetbv" : : "c"(0), "a"(7), "d"(0));
	print("     256 bits\n");
	run();
	test_cr4(CR4_XSAVE, "registers survive OSXSAVE");
	test_halves();
}
