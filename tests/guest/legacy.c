/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Legacy protected mode: segment limits and types, rings, call gates, task
 * switches, virtual-8086 mode, real mode, 32-bit and PAE paging.
 *
 * Spec: SDM 3A "Protection", "Task Management", 3B "8086 Emulation".
 */
#include "tests/guest/guest32.h"

static struct tss tss[3];
static struct tss16 tss16;
static u8 stacks[4][4096] __attribute__((aligned(16)));

/* ---- Segments ---- */

static void do_load_fs(void *p)
{
	__asm__ volatile("mov %w0, %%fs" : : "r"(p));
}

static void do_load_ss(void *p)
{
	__asm__ volatile("mov %w0, %%ss" : : "r"(p));
}

static void do_read_fs(void *p)
{
	__asm__ volatile("mov %0, %%eax; mov %1, %%fs; movl %%fs:(%%eax), %%eax"
			 :
			 : "r"(p), "r"(SEL_FREE)
			 : "eax");
}

static void do_write_fs(void *p)
{
	__asm__ volatile("mov %0, %%eax; mov %1, %%fs; movl %%eax, %%fs:(%%eax)"
			 :
			 : "r"(p), "r"(SEL_FREE)
			 : "eax", "memory");
}

static void do_read_null(void *p)
{
	__asm__ volatile("mov %0, %%fs; movl %%fs:0, %%eax" : : "r"(0) : "eax");
}

static void do_bound(void *p)
{
	static const int limits[2] = { 1, 5 };

	__asm__ volatile("bound %0, %1" : : "r"(p), "m"(limits));
}

static void do_into(void *p)
{
	__asm__ volatile("mov $0x7f, %%al; inc %%al; into" : : : "eax");
}

static void test_segments(void)
{
	gdt[SEL_FREE / 8] = descriptor(0, 0xfff, 0x93, 4);
	check("a load within the limit", try_call(do_read_fs, (void *)0xffc));
	check_exc("a load across the limit",
		  try_call(do_read_fs, (void *)0xffd), 13, 0);
	gdt[SEL_FREE / 8] = descriptor(0, 0x0, 0x93, 0xc);
	check("page granularity", try_call(do_read_fs, (void *)0xffc));
	gdt[SEL_FREE / 8] = descriptor(0, 0xfff, 0x97, 4);
	check("expand-down above the limit",
	      try_call(do_read_fs, (void *)0x1000));
	check_exc("expand-down below the limit",
		  try_call(do_read_fs, (void *)0xffc), 13, 0);
	gdt[SEL_FREE / 8] = descriptor(0, 0xfffff, 0x91, 0xc);
	check("read-only data is read", try_call(do_read_fs, (void *)0x100));
	check_exc("read-only data is not written",
		  try_call(do_write_fs, (void *)0x100), 13, 0);
	check_exc("read-only data is no stack",
		  try_call(do_load_ss, (void *)SEL_FREE), 13, SEL_FREE);
	gdt[SEL_FREE / 8] = descriptor(0, 0xfffff, 0x99, 0xc);
	check_exc("execute-only code is not loaded as data",
		  try_call(do_load_fs, (void *)SEL_FREE), 13, SEL_FREE);
	gdt[SEL_FREE / 8] = descriptor(0, 0xfffff, 0x9b, 0xc);
	check_exc("code is not written", try_call(do_write_fs, (void *)0x100),
		  13, 0);
	check_exc("a null segment is not read", try_call(do_read_null, 0), 13,
		  0);
	gdt[SEL_FREE / 8] = descriptor(0, 0xfffff, 0x12, 0xc);
	check_exc("an absent segment", try_call(do_load_fs, (void *)SEL_FREE),
		  11, SEL_FREE);
	gdt[SEL_FREE / 8] = descriptor(0, 0xfffff, 0x92, 0xc);
	check("a segment is loaded", try_call(do_load_fs, (void *)SEL_FREE));
	check_eq("... and marked as accessed", gdt[SEL_FREE / 8] >> 40 & 1, 1);
	check_exc("ring 3 does not load kernel data",
		  user_call(do_load_fs, (void *)SEL_DATA, 2), 13, SEL_DATA);
	check_exc("BOUND", try_call(do_bound, (void *)6), 5, 0);
	check("BOUND within", try_call(do_bound, (void *)5));
	check_exc("INTO", try_call(do_into, 0), 4, 0);
}

/* ---- Rings ---- */

static void test_call_gate(void)
{
	static struct {
		u32 offset, sel, result, left;
	} g;

	u32 p = (u32)gate_sum;

	gdt[SEL_GATE / 8] = (p & 0xffff) | (u64)SEL_CODE << 16 | 2ULL << 32 |
			    0xecULL << 40 | (u64)(p >> 16) << 48;
	g.sel = SEL_GATE | 3;
	check("a call gate from ring 3 comes back",
	      user_call(call_gate, &g, 2));
	check_eq("... with the sum of its parameters, from ring 0", g.result,
		 42 | SEL_CODE << 16);
	check_eq("... and both stacks are clean", g.left, 4);
	gdt[SEL_GATE / 8] = (p & 0xffff) | (u64)SEL_CODE << 16 | 0x8cULL << 40 |
			    (u64)(p >> 16) << 48;
	check_exc("a call gate of level 0 is closed",
		  user_call(call_gate, &g, 2), 13, SEL_GATE);
}

/* ---- Tasks ---- */

static void do_jump(void *p)
{
	far_jump((u32)p);
}

static void do_call(void *p)
{
	far_call((u32)p);
}

static void do_int60(void *p)
{
	__asm__ volatile("int $0x60" : : : "memory");
}

static u32 tss_type(u32 sel)
{
	return gdt[sel / 8] >> 40 & 15;
}

static void make_task(struct tss *t, void *entry, u8 *stack)
{
	t->eip = (u32)entry;
	t->eflags = 2;
	t->esp = (u32)stack + 4096;
	t->esi = 0x12345678;
	t->cs = SEL_CODE;
	t->es = t->ss = t->ds = t->fs = t->gs = SEL_DATA;
	t->iomap = sizeof *t;
}

static u32 read_cr0(void)
{
	u32 v;

	__asm__ volatile("mov %%cr0, %0" : "=r"(v));
	return v;
}

static void test_tasks(void)
{
	make_task(&tss[1], task_jump, stacks[1]);
	make_task(&tss[2], task_call, stacks[2]);
	gdt[SEL_TSS1 / 8] = descriptor((u32)&tss[1], 0x67, 0x89, 0);
	gdt[SEL_TSS2 / 8] = descriptor((u32)&tss[2], 0x67, 0x89, 0);
	task_runs = 0;
	check("a jump to a task comes back",
	      try_call(do_jump, (void *)SEL_TSS1));
	check_eq("... after it ran", task_runs, 1);
	check_eq("... with its registers", task_esi, 0x12345678);
	check_eq("... which is free again", tss_type(SEL_TSS1), 9);
	check_eq("... while the first is busy", tss_type(SEL_TSS0), 11);
	check_eq("... and TS is set", read_cr0() & 8, 8);
	__asm__ volatile("clts");
	check_eq("its state was saved behind the jump",
		 tss[1].eip > (u32)task_jump, 1);

	check("a call to a task comes back",
	      try_call(do_call, (void *)SEL_TSS2));
	check_eq("... after it ran", task_runs, 2);
	check_eq("... nested", task_flags & FLAGS_NT, FLAGS_NT);
	check_eq("... with a link to the first", tss[2].link, SEL_TSS0);
	check_eq("... which NT of its own lost", tss[2].eflags & FLAGS_NT, 0);

	idt[0x60] = (u64)SEL_TSS2 << 16 | 0x85ULL << 40;
	check("an interrupt through a task gate comes back",
	      try_call(do_int60, 0));
	check_eq("... after it ran", task_runs, 3);

	gdt[SEL_TASK / 8] = (u64)SEL_TSS2 << 16 | 0x85ULL << 40;
	check("a call through a task gate comes back",
	      try_call(do_call, (void *)SEL_TASK));
	check_eq("... after it ran", task_runs, 4);

	check_exc("a jump to a busy task", try_call(do_jump, (void *)SEL_TSS0),
		  13, SEL_TSS0);
	gdt[SEL_TSS1 / 8] = descriptor((u32)&tss[1], 0x66, 0x89, 0);
	check_exc("a TSS that is too short",
		  try_call(do_jump, (void *)SEL_TSS1), 10, SEL_TSS1);
	gdt[SEL_TSS1 / 8] = descriptor((u32)&tss[1], 0x67, 0x09, 0);
	check_exc("an absent TSS", try_call(do_jump, (void *)SEL_TSS1), 11,
		  SEL_TSS1);

	tss16 = (struct tss16){
		.ip = (u16)(u32)task_call,
		.flags = 2,
		.sp = 0x7ff0,
		.cs = SEL_FREE,
		.es = SEL_DATA,
		.ss = 0x30,
		.ds = SEL_DATA,
	};
	gdt[SEL_FREE / 8] =
		descriptor((u32)task_call & ~0xffffu, 0xfffff, 0x9b, 0xc);
	gdt[SEL_TSS16 / 8] = descriptor((u32)&tss16, 0x2b, 0x81, 0);
	check("a call to a 16-bit task comes back",
	      try_call(do_call, (void *)SEL_TSS16));
	check_eq("... after it ran", task_runs, 5);
}

/* ---- Virtual-8086 and real mode ---- */

static void *low(const u8 *p)
{
	return (void *)(p - low16);
}

static void test_8086(void)
{
	u8 *to = (u8 *)0x9000;

	for (const u8 *p = low16; p < low16_end; p++)
		*to++ = *p;
	check_exc("HLT in virtual-8086 mode",
		  user_call(low(low16_v86), 0, FLAGS_VM | 2), 13, 0);
	check_eq("... after its code ran", exc.eax & 0xffff, 0x1234);
	check_eq("... with its DS", exc.ebx & 0xffff, 0x3333);
	check_eq("... which is on the stack", exc.v86_ds, 0x3333);
	check_eq("... and GS too", exc.v86_gs, 0x1111);
	check_eq("... and null inside", exc.gs & 0xffff, 0);
	check_eq("... from its CS", exc.cs & 0xffff, 0x900);
	check_eq("... with VM in the flags", exc.eflags & FLAGS_VM, FLAGS_VM);
	check_exc("CLI below IOPL 3",
		  user_call(low(low16_cli), 0, FLAGS_VM | 2), 13, 0);
	check_eq("... points at it", exc.eip, (u32)low(low16_cli));
	check_exc("CLI with IOPL 3",
		  user_call(low(low16_cli), 0, FLAGS_VM | 0x3002), 13, 0);
	check_eq("... goes on to HLT", exc.eip, (u32)low(low16_cli) + 1);
	set_gate(0x21, stubs + 16 * 0x21, 3);
	check_exc("INT below IOPL 3",
		  user_call(low(low16_int), 0, FLAGS_VM | 2), 13, 0);
	check_exc("INT with IOPL 3 goes through the IDT",
		  user_call(low(low16_int), 0, FLAGS_VM | 0x3002), 0x21, 0);
	check_eq("... after its code ran", exc.ecx & 0xffff, 0x55aa);

	*(volatile u16 *)(0x21 * 4) = (u16)(u32)low(low16_handler);
	*(volatile u16 *)(0x21 * 4 + 2) = 0x900;
	check_eq("real mode takes INT through the IVT and comes back",
		 real_mode() & 0xffff, 0x3333);
}

/* ---- Paging ---- */

static u32 pd32[1024] __attribute__((aligned(4096)));
static u32 pt32[1024] __attribute__((aligned(4096)));
static u64 pdpt[4] __attribute__((aligned(32)));
static u64 pd64[512] __attribute__((aligned(4096)));
static u64 pt64[512] __attribute__((aligned(4096)));
static u32 page[1024] __attribute__((aligned(4096)));

#define TEST_VA 0x20000000u

static void write_cr3(void *p)
{
	__asm__ volatile("mov %0, %%cr3" : : "r"(p) : "memory");
}

static void set_cr0(u32 on, u32 off)
{
	__asm__ volatile("mov %0, %%cr0"
			 :
			 : "r"((read_cr0() | on) & ~off)
			 : "memory");
}

static void do_read(void *p)
{
	(void)*(volatile u32 *)p;
}

static void do_write(void *p)
{
	*(volatile u32 *)p = 7;
}

static void do_exec(void *p)
{
	((void (*)(void))p)();
}

static void test_paging32(void)
{
	for (u32 n = 0; n < 64; n++)
		pd32[n] = n << 22 | 0x87;
	pd32[TEST_VA >> 22] = (u32)pt32 | 7;
	pt32[0] = (u32)page | 7;
	pt32[1] = (u32)page | 1;
	pt32[3] = (u32)page | 3;
	set_cr4(0x10); /* PSE */
	write_cr3(pd32);
	set_cr0(0x80010000, 0);
	page[5] = 99;
	check_eq("32-bit paging maps", *(volatile u32 *)(TEST_VA + 20), 99);
	check_eq("... and marks accessed", pt32[0] & 0x60, 0x20);
	*(volatile u32 *)(TEST_VA + 20) = 1;
	check_eq("... and dirty", pt32[0] & 0x60, 0x60);
	check_exc("a store to a read-only page",
		  try_call(do_write, (void *)(TEST_VA + 4096)), 14, 3);
	check_eq("... with CR2", exc_cr2, TEST_VA + 4096);
	check_exc("a load from an absent page",
		  try_call(do_read, (void *)(TEST_VA + 8192)), 14, 0);
	check_exc("a fetch from an absent page has no I bit",
		  try_call(do_exec, (void *)(TEST_VA + 8192)), 14, 0);
	check_exc("ring 3 does not read a kernel page",
		  user_call(do_read, (void *)(TEST_VA + 3 * 4096), 2), 14, 5);
	/* PSE-36 and its reserved bit. */
	pd32[200] = 0x00400000 | 1 << 21 | 0x83;
	write_cr3(pd32);
	check_exc("bit 21 of a 4 MiB page is reserved",
		  try_call(do_read, (void *)(200u << 22)), 14, 9);
	set_cr0(0, 0x80000000);
	set_cr4(0);
}

static void test_pae(void)
{
	u32 lo, hi;

	pdpt[0] = (u32)pd64 | 1;
	for (u32 n = 0; n < 128; n++)
		pd64[n] = (u64)n << 21 | 0x87;
	pd64[TEST_VA >> 21] = (u32)pt64 | 7;
	pt64[0] = (u32)page | 7;
	pt64[1] = (u32)page | 3 | 1ULL << 63;
	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(0xc0000080));
	__asm__ volatile("wrmsr"
			 :
			 : "a"(lo | 1 << 11), "d"(hi), "c"(0xc0000080));
	set_cr4(0x20);
	write_cr3(pdpt);
	set_cr0(0x80010000, 0);
	page[0] = 0xc3;
	page[6] = 77;
	check_eq("PAE paging maps", *(volatile u32 *)(TEST_VA + 24), 77);
	check("... and executes", try_call(do_exec, (void *)TEST_VA));
	check_exc("an NX page", try_call(do_exec, (void *)(TEST_VA + 4096)), 14,
		  0x11);
	check_exc("... is read, an absent one is not",
		  try_call(do_read, (void *)(TEST_VA + 8192)), 14, 0);
	set_cr0(0, 0x80000000);
	set_cr4(0);
}

/* ---- x87 exceptions without CR0.NE ---- */

/* They come as IRQ 13, which is masked here, and the program goes on. */
static void test_ferr(void)
{
	u16 fsw = 0, control = 0x37b; /* division by zero is not masked */
	u32 half = 0x3f000000, sum = 0;

	set_cr0(0, 0x2c); /* NE, TS, EM */
	__asm__ volatile("fninit; fldcw %2; fldz; fld1; fdivp; flds %3;"
			 "fadds %3; fstps %1; fnstsw %0; fninit"
			 : "=m"(fsw), "=m"(sum)
			 : "m"(control), "m"(half)
			 : "memory");
	check_eq("an x87 exception without NE goes on", sum, 0x3f800000);
	check_eq("... and stays pending", fsw & 0x8084, 0x8084);
	set_cr0(0x20, 0);
}

void test(void)
{
	test_segments();
	test_call_gate();
	test_tasks();
	test_8086();
	test_paging32();
	test_pae();
	test_ferr();
}
