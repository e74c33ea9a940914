/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Breakpoints on ports and data and single-stepping, across repeated string
 * instructions, faults and interrupt shadows; SYSENTER and SYSEXIT.
 *
 * Spec: SDM 3B "Debug Exceptions", "Breakpoint Exception", SDM 2 SYSENTER.
 */
#include "tests/guest/guest.h"

#define TF      BIT(8)
#define IF      BIT(9)
#define RF      BIT(16)
#define CR4_DE  BIT(3)
#define DR6_BS  BIT(14)
#define DR7_ON  0x402ULL /* slot 0, global */
#define RW_W    1
#define RW_IO   2
#define RW_RW   3
#define MAX_DBS 32

/* What each #DB found. */
static struct {
	u64 dr6, rip, rcx, rdi, flags;
} dbs[MAX_DBS];

static u32 ndb, nfaults;
static u64 fault_rcx, fault_flags;
static volatile u8 area[4096] __attribute__((aligned(4096)));
static u8 from[64];

static void on_db(struct regs *r)
{
	if (ndb < MAX_DBS) {
		dbs[ndb].dr6 = read_dr6();
		dbs[ndb].rip = r->rip;
		dbs[ndb].rcx = r->rcx;
		dbs[ndb].rdi = r->rdi;
		dbs[ndb].flags = r->rflags;
	}
	ndb++;
	write_dr6(0xffff0ff0);
	r->rflags |= RF;
	if (ndb == 1000)
		r->rflags &= ~TF;
}

static void watch(u64 at, int rw, int len)
{
	ndb = 0;
	write_dr6(0xffff0ff0);
	write_dr0(at);
	write_dr7(DR7_ON | (u64)rw << 16 | (u64)(len - 1) << 18);
}

static void unwatch(void)
{
	write_dr7(0x400);
}

/* ---- Ports ---- */

static void test_ports(void)
{
	u64 next, rsi = (u64)from, rcx = 4;

	write_cr4(read_cr4() | CR4_DE);
	watch(0x80, RW_IO, 1);
	__asm__ volatile("out %%al, $0x80; 1: lea 1b(%%rip), %0"
			 : "=r"(next)
			 : "a"(0));
	check_eq("a port breakpoint traps OUT", ndb, 1);
	check_eq("... behind it", dbs[0].rip, next);
	check_eq("... with B0", dbs[0].dr6 & 0xf, 1);
	(void)inb(0x80);
	check_eq("... and IN", ndb, 2);
	outb(0x81, 0);
	check_eq("... not the next port", ndb, 2);
	__asm__ volatile("outw %%ax, $0x7f" : : "a"(0));
	check_eq("... but a word that covers it", ndb, 3);
	area[0x80] = 0;
	check_eq("... and no memory at the same address", ndb, 3);
	watch(0x80, RW_IO, 4);
	outb(0x83, 0);
	check_eq("a port breakpoint of four", ndb, 1);
	outb(0x84, 0);
	check_eq("... ends", ndb, 1);
	watch(0x80, RW_IO, 1);
	__asm__ volatile("cld; rep outsb"
			 : "+S"(rsi), "+c"(rcx)
			 : "d"(0x80)
			 : "memory");
	check_eq("REP OUTS traps after each", ndb, 4);
	check_eq("... the first with three to go", dbs[0].rcx, 3);
	unwatch();
	write_cr4(read_cr4() & ~CR4_DE);
}

/* ---- Data ---- */

static void test_data(void)
{
	u64 at = (u64)area, here, rdi, rsi, rcx;
	u32 rax;

	watch(at + 5, RW_W, 1);
	__asm__ volatile("cld; lea 1f(%%rip), %2; 1: rep stosb"
			 : "=D"(rdi), "=c"(rcx), "=&r"(here)
			 : "0"(at), "1"(16ul), "a"(0x33)
			 : "memory");
	check_eq("a watched byte in REP STOS traps once", ndb, 1);
	/* Processors may finish a group first. */
	check("... after it was stored", dbs[0].rdi >= at + 6);
	check("... before the end or behind it",
	      dbs[0].rip == (dbs[0].rcx ? here : here + 2));
	check_eq("... and the rest follows", rdi - at, 16);
	check_eq("... completely", area[15], 0x33);
	watch(at + 64 + 3, RW_RW, 1);
	rdi = at + 256;
	rsi = at + 64;
	rcx = 16;
	__asm__ volatile("cld; rep movsb"
			 : "+D"(rdi), "+S"(rsi), "+c"(rcx)
			 :
			 : "memory");
	check_eq("a watched source of REP MOVS", ndb, 1);
	watch(at + 64, RW_W, 8);
	(void)*(volatile u64 *)(area + 64);
	check_eq("a watched store ignores loads", ndb, 0);
	*(volatile u32 *)(area + 62) = 1;
	check_eq("... but not one that reaches into it", ndb, 1);
	watch(at + 64, RW_W, 4);
	__asm__ volatile("lock addl $1, %0"
			 : "+m"(*(volatile u32 *)(area + 64)));
	check_eq("a locked operation is one access", ndb, 1);
	watch(at + 64, RW_W, 4);
	rax = 0;
	__asm__ volatile("xchg %1, %0"
			 : "+m"(*(volatile u32 *)(area + 64)), "+r"(rax));
	check_eq("... and so is XCHG", ndb, 1);
	unwatch();
}

/* A stack segment load holds a trap back until after the next instruction. */
static void test_shadow(void)
{
	u64 here;

	*(volatile u16 *)(area + 128) = SEL_DATA;
	watch((u64)area + 128, RW_RW, 2);
	__asm__ volatile("mov %1, %%ss; nop; 1: lea 1b(%%rip), %0"
			 : "=r"(here)
			 : "m"(area[128])
			 : "memory");
	check_eq("a watched load of SS traps", ndb, 1);
	check_eq("... behind the next instruction", dbs[0].rip, here);

	unwatch();
	if (lenient) /* QEMU takes INT1 for #UD */
		return;
	watch((u64)area + 128, RW_RW, 2);
	__asm__ volatile("mov %1, %%ss; .byte 0xf1; 1: lea 1b(%%rip), %0"
			 : "=r"(here)
			 : "m"(area[128])
			 : "memory");
	check_eq("one with INT1 behind it is one #DB", ndb, 1);
	check_eq("... with B0", dbs[0].dr6 & 0xf, 1);
	unwatch();
}

static void test_code(void)
{
	u32 id[4];

	ndb = 0;
	cpuid(0, 0, id);
	write_dr6(0xffff0ff0);
	__asm__ volatile("lea 1f(%%rip), %%rax; mov %%rax, %%dr0;"
			 "mov %0, %%dr7; mov %1, %%ss; 1: nop;"
			 "mov %2, %%dr7"
			 :
			 : "r"(DR7_ON), "r"(SEL_DATA), "r"(0x400ull)
			 : "rax", "memory");
	/* As kvm-unit-tests and KVM have it. */
	check_eq("an instruction breakpoint behind a load of SS", ndb,
		 id[1] == 0x756e6547 ? 0 : 1); /* "Genu" */
}

/* ---- Single steps ---- */

#define STEP_ON  "pushf; orl $0x100, (%%rsp); popf; "
#define STEP_OFF "pushf; andl $~0x100, (%%rsp); popf; "
/* Steps behind STEP_ON: its POPF is none, those of STEP_OFF are three. */
#define STEPS_OFF 3

static void test_steps(void)
{
	u64 at = (u64)area, here, next, rdi, rsi = 0, rcx;

	ndb = 0;
	__asm__ volatile(STEP_ON "nop; nop;" STEP_OFF : : : "memory", "cc");
	check_eq("single steps", ndb, 2 + STEPS_OFF);
	check_eq("... with BS", dbs[0].dr6 & (DR6_BS | 0xf), DR6_BS);
	check_eq("... and TF in the frame", dbs[0].flags & TF, TF);

	ndb = 0;
	rdi = at;
	rcx = 4;
	__asm__ volatile("cld; lea 1f(%%rip), %0;" STEP_ON
			 "1: rep stosb; 2:" STEP_OFF "lea 2b(%%rip), %1"
			 : "=&r"(here), "=&r"(next), "+D"(rdi), "+c"(rcx)
			 : "a"(1)
			 : "memory", "cc");
	check_eq("a step for each turn of REP STOS", ndb, 4 + STEPS_OFF);
	check_eq("... at it", dbs[2].rip, here);
	check_eq("... with one to go", dbs[2].rcx, 1);
	check_eq("... then behind it", dbs[3].rip, next);

	ndb = 0;
	__asm__ volatile("cld;" STEP_ON "rep movsb;" STEP_OFF
			 : "+D"(rdi), "+S"(rsi), "+c"(rcx)
			 :
			 : "memory", "cc");
	check_eq("one for none", ndb, 1 + STEPS_OFF);

	ndb = 0;
	__asm__ volatile("mov $3, %%ecx;" STEP_ON "1: loop 1b;" STEP_OFF
			 :
			 :
			 : "rcx", "memory", "cc");
	check_eq("a step for each branch", ndb, 3 + STEPS_OFF);

	ndb = 0;
	__asm__ volatile(STEP_ON "mov %0, %%ss; nop; nop;" STEP_OFF
			 :
			 : "r"(SEL_DATA)
			 : "memory", "cc");
	check_eq("no step behind a load of SS", ndb, 2 + STEPS_OFF);

	ndb = 0;
	__asm__ volatile("cli;" STEP_ON "sti; 1: nop; cli;" STEP_OFF
			 "lea 1b(%%rip), %0"
			 : "=r"(here)
			 :
			 : "memory", "cc");
	check_eq("STI holds no step back", ndb, 3 + STEPS_OFF);
	check_eq("... not even its own", dbs[0].rip, here);

	watch(at + 9, RW_W, 1);
	__asm__ volatile(STEP_ON "movb $1, 9(%0);" STEP_OFF
			 :
			 : "r"(at)
			 : "memory", "cc");
	check_eq("a step and a breakpoint are one #DB", ndb, 1 + STEPS_OFF);
	check_eq("... with both bits", dbs[0].dr6 & (DR6_BS | 0xf), DR6_BS | 1);
	unwatch();
}

static void test_step_int1(void)
{
	u64 here;

	ndb = 0;
	__asm__ volatile(STEP_ON "mov %1, %%ss; .byte 0xf1; 1:" STEP_OFF
				 "lea 1b(%%rip), %0"
			 : "=r"(here)
			 : "r"(SEL_DATA)
			 : "memory", "cc");
	check_eq("INT1 is no step besides", ndb, 1 + STEPS_OFF);
	check_eq("... behind a load of SS", dbs[0].rip, here);
	check_eq("... and has no BS", dbs[0].dr6 & (DR6_BS | 0xf), 0);
}

/* ---- Faults ---- */

#define HOLE 0x40000000ULL

static u64 hole_pt[512] __attribute__((aligned(4096)));
static u64 saved;

/* The second page appears when it is missed. */
static void on_fault(struct regs *r)
{
	nfaults++;
	fault_rcx = r->rcx;
	fault_flags = r->rflags;
	hole_pt[1] = (u64)area | 3;
}

static void hole_on(void)
{
	saved = boot_pd[HOLE >> 21];
	boot_pd[HOLE >> 21] = (u64)hole_pt | 3;
	hole_pt[0] = (u64)area | 3;
	hole_pt[1] = 0;
	write_cr3(read_cr3());
	nfaults = 0;
	handlers[14] = on_fault;
}

static void hole_off(void)
{
	handlers[14] = 0;
	boot_pd[HOLE >> 21] = saved;
	write_cr3(read_cr3());
}

static void on_ud(struct regs *r)
{
	nfaults++;
	fault_flags = r->rflags;
	r->rip += 2;
}

static void test_faults(void)
{
	u64 rcx, rdi;

	hole_on();
	ndb = 0;
	__asm__ volatile("cld;" STEP_ON "movb $5, (%0);" STEP_OFF
			 :
			 : "r"(HOLE + 4096)
			 : "memory", "cc");
	check_eq("a store that faults once", nfaults, 1);
	check_eq("... has TF in the frame", fault_flags & TF, TF);
	check_eq("... and is one step", ndb, 1 + STEPS_OFF);

	hole_on();
	watch(HOLE + 4096, RW_W, 1);
	__asm__ volatile("movb $6, (%0)" : : "r"(HOLE + 4096) : "memory");
	check_eq("a watched store that faults once", nfaults, 1);
	check_eq("... traps once", ndb, 1);
	unwatch();

	hole_on();
	watch(HOLE + 4094, RW_W, 1);
	__asm__ volatile("cld; rep stosb"
			 : "=D"(rdi), "=c"(rcx)
			 : "0"(HOLE + 4090), "1"(12ul), "a"(7)
			 : "memory");
	check_eq("REP STOS across a fault", nfaults, 1);
	check_eq("... faults where it stopped", fault_rcx, 6);
	check_eq("... traps once", ndb, 1);
	check_eq("... and gets to its end", rdi, HOLE + 4102);
	unwatch();

	hole_on();
	ndb = 0;
	rdi = HOLE + 4093;
	rcx = 6;
	__asm__ volatile("cld;" STEP_ON "rep stosb;" STEP_OFF
			 : "+D"(rdi), "+c"(rcx)
			 : "a"(8)
			 : "memory", "cc");
	check_eq("a stepped REP STOS across a fault", nfaults, 1);
	check_eq("... is a step for each turn", ndb, 6 + STEPS_OFF);
	hole_off();

	handlers[6] = on_ud;
	nfaults = ndb = 0;
	__asm__ volatile(STEP_ON "ud2; nop;" STEP_OFF : : : "memory", "cc");
	check_eq("a stepped UD2 faults", nfaults, 1);
	check_eq("... and is no step itself", ndb, 1 + STEPS_OFF);
	handlers[6] = 0;
}

/* ---- SYSENTER ---- */

__asm__("sysenter_entry:\n"
	"	mov %rsp, se_rsp\n"
	"	mov %cs, se_cs\n"
	"	mov %ss, se_ss\n"
	"	pushf\n"
	"	popq se_flags\n"
	"	mov %r9, %rcx\n"
	"	mov %r10, %rdx\n"
	"	cmpl $0, se_32\n"
	"	jne 1f\n"
	"	sysexitq\n"
	"1:	sysexitl\n"
	/* Ring 3, at its own addresses. */
	"do_sysenter:\n"
	"	push %rbx\n"
	"	push %rbp\n"
	"	mov %rsp, %r9\n"
	"	lea 1f(%rip), %r10\n"
	"	sysenter\n"
	"1:	mov %cs, %ecx\n"
	"	mov %ss, %edx\n"
	"	mov %ecx, se_ucs(%rip)\n"
	"	mov %edx, se_uss(%rip)\n"
	"	pop %rbp\n"
	"	pop %rbx\n"
	"	ret\n"
	/* The same with SYSEXIT to 32-bit code, which goes back by a far jump. */
	"do_sysenter32:\n"
	"	push %rbx\n"
	"	mov %rsp, %r9\n"
	"	lea 1f(%rip), %r10\n"
	"	mov $0xffffffff, %eax\n"
	"	sysenter\n"
	"	.code32\n"
	"1:	inc %eax\n" /* 40: a REX prefix in 64-bit mode */
	"	ljmp $0x33, $2f + 0x80000000\n"
	"	.code64\n"
	"2:	mov %eax, se_inc(%rip)\n"
	"	pop %rbx\n"
	"	ret\n"
	"do_sysexit:\n"
	"	mov %rsp, %rcx\n"
	"	lea 1f(%rip), %rdx\n"
	"	sysexitq\n"
	"1:	ret\n"
	"do_sysexit_far:\n"
	"	mov %rsp, %rcx\n"
	"	movabs $0x800000000000, %rdx\n"
	"	sysexitq\n");

extern u8 sysenter_entry[];
void do_sysenter(void *p);
void do_sysenter32(void *p);
void do_sysexit(void *p);
void do_sysexit_far(void *p);

u64 se_rsp, se_flags;
u32 se_32, se_inc;
u32 se_ucs, se_uss;
u16 se_cs, se_ss;

static u8 sysenter_stack[1024] __attribute__((aligned(16)));

static bool vendor_amd(void)
{
	u32 out[4];

	cpuid(0, 0, out);
	return out[1] == 0x68747541; /* "Auth" */
}

static void test_sysenter(void)
{
	u64 top = (u64)sysenter_stack + sizeof sysenter_stack;

	if (vendor_amd()) {
		check_exc("AMD has no SYSENTER in long mode",
			  user(do_sysenter, 0), 6, 0);
		check_exc("... nor SYSEXIT", try_call(do_sysexit, 0), 6, 0);
		return;
	}
	wrmsr(0x174, 0);
	check_exc("SYSENTER without a segment", user(do_sysenter, 0), 13, 0);
	check_exc("SYSEXIT without a segment", try_call(do_sysexit, 0), 13, 0);
	wrmsr(0x174, SEL_CODE);
	wrmsr(0x175, top);
	wrmsr(0x176, (u64)sysenter_entry);
	check("SYSENTER and SYSEXIT",
	      user_call((u64)do_sysenter + USER_BASE, 0, IF));
	check_eq("... take ring 0's stack", se_rsp, top);
	check_eq("... and segments", se_cs | (u32)se_ss << 16,
		 SEL_CODE | SEL_DATA << 16);
	check_eq("... without IF", se_flags & IF, 0);
	check_eq("... and come back to 64-bit code", se_ucs, SEL_UCODE);
	check_eq("... with the next segment as stack", se_uss, SEL_TSS | 3);
	se_32 = 1;
	check("SYSEXIT to 32-bit code", user(do_sysenter32, 0));
	check_eq("... which decodes as such", se_inc, 0);
	check_exc("SYSEXIT from ring 3", user(do_sysexit, 0), 13, 0);
	check_exc("SYSEXIT to where nothing can be",
		  try_call(do_sysexit_far, 0), 13, 0);
}

void test(void)
{
	handlers[1] = on_db;
	test_ports();
	test_data();
	test_code();
	test_shadow();
	test_steps();
	if (!lenient)
		test_step_int1();
	test_faults();
	handlers[1] = 0;
	test_sysenter();
}
