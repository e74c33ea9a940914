/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Control registers, MSRs, port permissions, descriptor queries and
 * self-modifying code in long mode.
 *
 * Spec: SDM 3A "Control Registers", SDM 4, SDM 1 "Input/Output".
 */
#include "tests/guest/guest.h"

static u32 features_1[4], features_7[4];

/* ---- Control registers ---- */

static void do_cr0(void *p)
{
	write_cr0((u64)p);
}

static void do_cr3(void *p)
{
	write_cr3((u64)p);
}

static void do_cr4(void *p)
{
	write_cr4((u64)p);
}

static void do_cr8(void *p)
{
	__asm__ volatile("mov %0, %%cr8" : : "r"(p));
}

static void do_read_cr0(void *p)
{
	(void)read_cr0();
}

static void do_xsetbv(void *p)
{
	__asm__ volatile("xsetbv" : : "a"(p), "d"(0), "c"(0));
}

static void test_cr(void)
{
	u64 cr0 = read_cr0(), cr4 = read_cr4(), v;

	check_exc("CR0: paging off in 64-bit mode",
		  try_call(do_cr0, (void *)(cr0 & ~BIT(31))), 13, 0);
	check_exc("CR0: NW without CD",
		  try_call(do_cr0, (void *)(cr0 | BIT(29))), 13, 0);
	check_exc("CR0: upper half", try_call(do_cr0, (void *)(cr0 | BIT(40))),
		  13, 0);
	check_exc("CR0 from ring 3", user(do_read_cr0, 0), 13, 0);
	check_exc("CR4: PAE off in long mode",
		  try_call(do_cr4, (void *)(cr4 & ~BIT(5))), 13, 0);
	check_exc("CR4: a reserved bit",
		  try_call(do_cr4, (void *)(cr4 | BIT(30))), 13, 0);
	check_exc("CR3: beyond the physical addresses",
		  try_call(do_cr3, (void *)(read_cr3() | BIT(60))), 13, 0);
	check_exc("CR8 above 15", try_call(do_cr8, (void *)16), 13, 0);
	try_call(do_cr8, (void *)5);
	__asm__ volatile("mov %%cr8, %0" : "=r"(v));
	check_eq("CR8 keeps its value", v, 5);
	try_call(do_cr8, 0);
	__asm__ volatile("smsw %0" : "=r"(v));
	check_eq("SMSW shows CR0", v & 0xffff, cr0 & 0xffff);
	__asm__ volatile("lmsw %w0" : : "r"((cr0 | BIT(3)) & ~1ULL));
	check_eq("LMSW sets TS, keeps PE", read_cr0(), cr0 | BIT(3));
	__asm__ volatile("clts");
	check_eq("CLTS clears TS", read_cr0(), cr0);
	if (!(features_1[2] & BIT(26)))
		return;
	check_exc("XSETBV without OSXSAVE", try_call(do_xsetbv, (void *)3), 6,
		  0);
	write_cr4(cr4 | BIT(18));
	check("XSETBV", try_call(do_xsetbv, (void *)3));
	check_exc("XSETBV without x87", try_call(do_xsetbv, (void *)2), 13, 0);
	check_exc("XSETBV: AVX without SSE", try_call(do_xsetbv, (void *)5), 13,
		  0);
	check_exc("XSETBV from ring 3", user(do_xsetbv, (void *)3), 13, 0);
	write_cr4(cr4);
}

/* ---- MSRs ---- */

struct msr_value {
	u32 msr;
	u64 value;
};

static void do_wrmsr(void *p)
{
	struct msr_value *m = p;

	wrmsr(m->msr, m->value);
}

static void do_rdmsr(void *p)
{
	(void)rdmsr((u32)(u64)p);
}

static void msr_faults(const char *name, u32 msr, u64 value)
{
	struct msr_value m = { msr, value };

	check_exc(name, try_call(do_wrmsr, &m), 13, 0);
}

static void do_nothing(void *p)
{
}

static void do_swapgs(void *p)
{
	__asm__ volatile("swapgs");
}

static u64 tsc(void)
{
	u32 lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (u64)hi << 32 | lo;
}

static void do_rdtsc(void *p)
{
	(void)tsc();
}

/* Often enough to be translated. */
static u64 tsc_backwards(void)
{
	u64 last = lenient ? tsc() : rdmsr(0x10), wrong = 0;

	for (int n = 0; n < 2000; n++) {
		u64 now = n & 15 || lenient ? tsc() : rdmsr(0x10);

		wrong += now < last || now - last > 20000000000;
		last = now;
	}
	return wrong;
}

static void test_tsc_set(void)
{
	u64 t;

	wrmsr(0x10, 0x123456789abcdef0);
	check_eq("... from where it is set", tsc_backwards(), 0);
	t = tsc();
	check("... for both",
	      t > 0x123456789abcdef0 && t - 0x123456789abcdef0 < 60000000000);
}

static void test_tsc(void)
{
	u64 cr4 = read_cr4();
	u32 aux;

	check_eq("the TSC goes on, for RDTSC and RDMSR", tsc_backwards(), 0);
	if (!lenient)
		test_tsc_set();
	wrmsr(0xc0000103, 0x89abcdef);
	__asm__ volatile("rdtscp" : "=c"(aux) : : "rax", "rdx");
	check_eq("RDTSCP tells TSC_AUX", aux, 0x89abcdef);
	check("RDTSC in ring 3", user(do_rdtsc, 0));
	write_cr4(cr4 | BIT(2));
	check_exc("... under CR4.TSD", user(do_rdtsc, 0), 13, 0);
	do_rdtsc(0); /* not in ring 0 */
	write_cr4(cr4);
	check("... and without it", user(do_rdtsc, 0));
}

static void test_msr(void)
{
	check_exc("RDMSR of an unknown one",
		  try_call(do_rdmsr, (void *)0x12345678), 13, 0);
	check_exc("RDMSR from ring 3", user(do_rdmsr, (void *)0x10), 13, 0);
	msr_faults("EFER: a reserved bit", 0xc0000080, BIT(1) | 0xd01);
	if (!lenient)
		msr_faults("EFER: LME off while paging", 0xc0000080, 0xc01);
	msr_faults("LSTAR: not canonical", 0xc0000082, BIT(47));
	msr_faults("GS base: not canonical", 0xc0000101, BIT(62));
	msr_faults("PAT: a reserved type", 0x277, 2);
	msr_faults("MTRR default type: reserved", 0x2ff, 2);
	wrmsr(0xc0000101, 0x1111);
	wrmsr(0xc0000102, 0xffff888000000000);
	__asm__ volatile("swapgs");
	check_eq("SWAPGS takes the other base", rdmsr(0xc0000101),
		 0xffff888000000000);
	check_eq("... and leaves the old one", rdmsr(0xc0000102), 0x1111);
	__asm__ volatile("swapgs");
	check_exc("SWAPGS from ring 3", user(do_swapgs, 0), 13, 0);
	__asm__ volatile("mov %0, %%gs" : : "r"(SEL_DATA));
	wrmsr(0xc0000101, 0x2222);
	check("ring 3 drops a kernel's GS", user(do_nothing, 0));
	check_eq("... but not its base", rdmsr(0xc0000101), 0x2222);
	test_tsc();
}

/* Firmware, or who boots in its place, leaves them on. */
static void test_mtrrs(void)
{
	const u64 ioapic = 0xfec00000;
	u64 base = rdmsr(0x200), mask = rdmsr(0x201);

	check_eq("MTRRs are on, memory is write-back", rdmsr(0x2ff), 0xc06);
	check_eq("... low memory as well", rdmsr(0x250), 0x0606060606060606);
	check_eq("... the VGA window is not cached", rdmsr(0x259), 0);
	check("... nor is the hole below 4 GiB",
	      (mask & BIT(11)) && !(base & 0xff) &&
		      !((base ^ ioapic) & mask & ~0xfffull));
}

/* ---- FS and GS base instructions, UMIP, RDPID ---- */

static void do_wrfsbase(void *p)
{
	__asm__ volatile(".byte 0xf3,0x48,0x0f,0xae,0xd7"); /* rdi */
}

static void do_sgdt(void *p)
{
	__asm__ volatile("sgdt (%0)" : : "r"(p) : "memory");
}

static void do_str(void *p)
{
	u64 v;

	__asm__ volatile("str %0" : "=r"(v));
}

static void test_features(void)
{
	static u8 table[16];
	u64 cr4 = read_cr4();

	if (features_7[1] & BIT(0)) {
		check_exc("WRFSBASE without FSGSBASE", try_call(do_wrfsbase, 0),
			  6, 0);
		write_cr4(cr4 | BIT(16));
		try_call(do_wrfsbase, (void *)0x123456789abc);
		check_eq("WRFSBASE", rdmsr(0xc0000100), 0x123456789abc);
		check_exc("WRFSBASE: not canonical",
			  try_call(do_wrfsbase, (void *)BIT(50)), 13, 0);
		wrmsr(0xc0000100, 0);
		write_cr4(cr4);
	}
	if (features_7[2] & BIT(2)) {
		check("SGDT in ring 3", user(do_sgdt, table + USER_BASE));
		write_cr4(cr4 | BIT(11));
		check_exc("UMIP: SGDT in ring 3",
			  user(do_sgdt, table + USER_BASE), 13, 0);
		check_exc("UMIP: STR in ring 3", user(do_str, 0), 13, 0);
		check("UMIP: SGDT in ring 0", try_call(do_sgdt, table));
		write_cr4(cr4);
	}
}

/* ---- Ports ---- */

static void do_in80(void *p)
{
	(void)inb(0x80);
}

static void do_in_word7f(void *p)
{
	__asm__ volatile("inw $0x7f, %%ax" : : : "rax");
}

static void test_ports(void)
{
	tss.iomap = sizeof tss;
	check_exc("IN from ring 3 without a bitmap", user(do_in80, 0), 13, 0);
	check("IOPL 3 opens all ports",
	      user_call((u64)do_in80 + USER_BASE, 0, 0x3000));
	/* The bitmap ends with the TSS; 33 bytes cover ports below 0x100. */
	tss.iomap = (u64)&tss.bitmap - (u64)&tss;
	for (u32 n = 0; n < sizeof tss.bitmap; n++)
		tss.bitmap[n] = 0xff;
	check_exc("a set bit denies", user(do_in80, 0), 13, 0);
	tss.bitmap[0x80 / 8] = 0xfe;
	check("a clear bit permits", user(do_in80, 0));
	check_exc("a word needs both bits", user(do_in_word7f, 0), 13, 0);
	tss.bitmap[0x7f / 8] = 0x7f;
	check("... and works with both", user(do_in_word7f, 0));
}

/* ---- LAR, LSL, VERR, VERW ---- */

static void test_descriptors(void)
{
	u64 v = 0x5555;
	bool zf;

	__asm__ volatile("lar %w2, %k0; setz %b1"
			 : "+r"(v), "=q"(zf)
			 : "r"(SEL_DATA));
	check("LAR accepts data", zf);
	check_eq("... and gives its rights", v & 0xf0ff00, 0xc09300);
	__asm__ volatile("lsl %w2, %k0; setz %b1"
			 : "+r"(v), "=q"(zf)
			 : "r"(SEL_DATA));
	check("LSL accepts data", zf);
	check_eq("... and gives its limit", v, 0xffffffff);
	v = 0x5555;
	__asm__ volatile("lar %w2, %k0; setz %b1"
			 : "+r"(v), "=q"(zf)
			 : "r"(0x1000));
	check("LAR refuses what lies beyond the table", !zf);
	check_eq("... and leaves the register", v, 0x5555);
	__asm__ volatile("verw %w1; setz %b0" : "=q"(zf) : "r"(SEL_CODE));
	check("VERW refuses code", !zf);
	__asm__ volatile("verr %w1; setz %b0" : "=q"(zf) : "r"(SEL_CODE));
	check("VERR accepts readable code", zf);
	__asm__ volatile("lsl %w2, %k0; setz %b1"
			 : "+r"(v), "=q"(zf)
			 : "r"(SEL_TSS));
	check("LSL accepts a TSS", zf);
	check_eq("... limit", v, sizeof tss - 1);
	__asm__ volatile("str %0" : "=r"(v));
	check_eq("STR", v, SEL_TSS);
	check_eq("LTR marked it busy", gdt[SEL_TSS / 8] >> 40 & 15, 11);
}

/* ---- Self-modifying code ---- */

static u8 code[8192] __attribute__((aligned(4096)));

typedef int code_fn(void);

static int run_code(u32 at)
{
	return ((code_fn *)(code + at))();
}

static void put_code(u32 at, u32 value)
{
	code[at] = 0xb8; /* MOV EAX, imm32; RET */
	*(u32 *)(code + at + 1) = value;
	code[at + 5] = 0xc3;
}

static void test_smc(void)
{
	u32 sum = 0, v;

	put_code(0, 1);
	check_eq("fresh code runs", run_code(0), 1);
	*(volatile u32 *)(code + 1) = 2;
	check_eq("changed code runs changed", run_code(0), 2);
	for (u32 n = 0; n < 1000; n++) {
		*(volatile u32 *)(code + 1) = n;
		sum += run_code(0);
	}
	check_eq("a thousand changes", sum, 999 * 1000 / 2);
	put_code(4096 - 3, 0x11223344);
	check_eq("code across a page end", run_code(4096 - 3), 0x11223344);
	*(volatile u8 *)(code + 4097) = 0x55;
	check_eq("... changed in the second page", run_code(4096 - 3),
		 0x55223344);
	put_code(4096 - 3, 0x01020304);
	*(volatile u8 *)(code + 4096 - 2) = 9;
	check_eq("... changed in the first page", run_code(4096 - 3),
		 0x01020309);
	/* The very next instruction. */
	__asm__ volatile("movb $0x42, 1f+1(%%rip)\n"
			 "jmp 1f\n"
			 "1: mov $0x41, %%al\n"
			 "movzbl %%al, %0\n"
			 "movb $0x41, 1b+1(%%rip)\n"
			 : "=r"(v)
			 :
			 : "rax", "memory");
	check_eq("the block in front of a jump changes its target", v, 0x42);
	/* By string store. */
	put_code(64, 7);
	run_code(64);
	__asm__ volatile("rep stosb"
			 :
			 : "a"(8), "D"(code + 65), "c"(1ul)
			 : "memory");
	check_eq("REP STOS changes code", run_code(64), 8);
	put_code(64, 7);
	run_code(64);
	__asm__ volatile("lock incb %0" : "+m"(code[65]));
	check_eq("a locked operation changes code", run_code(64), 8);
}

/* ---- Compatibility mode ---- */

__asm__(".globl compat_code\n"
	"compat_code:\n"
	"	.code32\n"
	"	mov $0xffffffff, %eax\n"
	"	inc %eax\n" /* 40: a REX prefix in 64-bit mode */
	"	mov %cs, %ebx\n"
	"	lret\n"
	"	.code64\n");

static void test_compat(void)
{
	struct {
		u32 offset;
		u16 sel;
	} __attribute__((packed)) target;

	u64 rax, rbx = 0;
	extern u8 compat_code[];

	target.offset = (u64)compat_code;
	target.sel = 8;
	__asm__ volatile("mov $-1, %%rax; lcalll *%2"
			 : "=&a"(rax), "=&b"(rbx)
			 : "m"(target)
			 : "memory", "cc");
	check_eq("compatibility mode decodes as 32-bit code", rax, 0);
	check_eq("... with its selector", rbx, 8);
}

void test(void)
{
	cpuid(1, 0, features_1);
	cpuid(7, 0, features_7);
	if (!lenient)
		test_cr();
	test_mtrrs();
	test_msr();
	test_features();
	test_ports();
	test_descriptors();
	test_smc();
	test_compat();
}
