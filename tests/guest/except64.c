/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Exceptions and transfers of long mode: error codes, IST, double fault,
 * INT n, IRET, SYSCALL, call gates, debug exceptions, alignment checks.
 *
 * Spec: SDM 3A "Interrupt and Exception Handling", "Debugging".
 */
#include "tests/guest/guest.h"

#define TF BIT(8)
#define IF BIT(9)
#define AC BIT(18)
#define RF BIT(16)

static u8 df_stack[4096] __attribute__((aligned(16)));

/* ---- Vectors and codes ---- */

static void do_div0(void *p)
{
	__asm__ volatile("xor %%ecx, %%ecx; div %%ecx"
			 :
			 :
			 : "rax", "rcx", "rdx");
}

static void do_ud2(void *p)
{
	__asm__ volatile("ud2");
}

static void do_int3(void *p)
{
	__asm__ volatile("int3");
}

static void do_int_50(void *p)
{
	__asm__ volatile("int $0x50");
}

static void do_load_ds(void *p)
{
	__asm__ volatile("mov %w0, %%ds" : : "r"(p));
}

static void do_load_ss(void *p)
{
	__asm__ volatile("mov %w0, %%ss" : : "r"(p));
}

static void do_far_jump(void *p)
{
	struct {
		u32 offset;
		u16 sel;
	} __attribute__((packed)) target = { 0x100000, (u16)(u64)p };

	__asm__ volatile("ljmpl *%0" : : "m"(target));
}

static void do_long_insn(void *p)
{
	__asm__ volatile(".byte 0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,"
			 "0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x90");
}

static void do_hlt(void *p)
{
	__asm__ volatile("hlt");
}

static void do_cli(void *p)
{
	__asm__ volatile("cli");
}

static void do_iret_bad_cs(void *p)
{
	__asm__ volatile("mov %%rsp, %%rax; push %1; push %%rax; pushf; "
			 "push %0; lea 1f(%%rip), %%rax; push %%rax; iretq; 1:"
			 :
			 : "r"(p), "i"(SEL_DATA)
			 : "rax", "memory");
}

static void do_overflow_rip(void *p)
{
	__asm__ volatile("jmp *%0" : : "r"(p));
}

static void test_codes(void)
{
	check_exc("DIV by zero", try_call(do_div0, 0), 0, 0);
	check_exc("UD2", try_call(do_ud2, 0), 6, 0);
	check_eq("... points at the instruction", *(u16 *)exc.rip, 0x0b0f);
	check_exc("INT3", try_call(do_int3, 0), 3, 0);
	check_eq("... points behind it", *(u8 *)(exc.rip - 1), 0xcc);
	check_exc("INT n", try_call(do_int_50, 0), 0x50, 0);
	check_exc("INT3 from ring 3", user(do_int3, 0), 3, 0);
	check_eq("... comes from its code segment", exc.cs, SEL_UCODE);
	check_eq("... and stack segment", exc.ss, SEL_UDATA);
	check_exc("INT n from ring 3 needs the gate's DPL", user(do_int_50, 0),
		  13, 0x50 * 8 + 2);
	check_exc("HLT from ring 3", user(do_hlt, 0), 13, 0);
	check_exc("CLI from ring 3", user(do_cli, 0), 13, 0);
	check_exc("a selector beyond the table",
		  try_call(do_load_ds, (void *)0x1000), 13, 0x1000);
	check_exc("a selector without LDT", try_call(do_load_ds, (void *)0xc),
		  13, 0xc);
	check_exc("a kernel selector from ring 3",
		  user(do_load_ds, (void *)SEL_DATA), 13, SEL_DATA);
	gdt[SEL_FREE / 8] = 0x00cf13000000ffff; /* absent data */
	check_exc("an absent data segment",
		  try_call(do_load_ds, (void *)SEL_FREE), 11, SEL_FREE);
	check_exc("an absent stack segment",
		  try_call(do_load_ss, (void *)SEL_FREE), 12, SEL_FREE);
	check_exc("a code segment as stack",
		  try_call(do_load_ss, (void *)SEL_CODE), 13, SEL_CODE);
	check_exc("a far jump to data", try_call(do_far_jump, (void *)SEL_DATA),
		  13, SEL_DATA);
	check_exc("a far jump to null", try_call(do_far_jump, 0), 13, 0);
	gdt[SEL_FREE / 8] = 0x00af1b000000ffff; /* absent code */
	check_exc("a far jump to absent code",
		  try_call(do_far_jump, (void *)SEL_FREE), 11, SEL_FREE);
	gdt[SEL_FREE / 8] = 0x00ef9b000000ffff; /* L and D */
	if (!lenient) /* SDM 3A 5.2.1; QEMU runs on in some other mode */
		check_exc("a code segment with L and D",
			  try_call(do_far_jump, (void *)SEL_FREE), 13,
			  SEL_FREE);
	check_exc("16 bytes of instruction", try_call(do_long_insn, 0), 13, 0);
	check_exc("IRET to a data segment",
		  try_call(do_iret_bad_cs, (void *)SEL_DATA), 13, SEL_DATA);
	check_exc("a jump to a non-canonical address",
		  try_call(do_overflow_rip, (void *)BIT(47)), 13, 0);
	idt[0x51].type = 0x0e;
	__asm__ volatile("" : : : "memory");
}

static void do_int_51(void *p)
{
	__asm__ volatile("int $0x51");
}

static void do_int_52(void *p)
{
	__asm__ volatile("int $0x52");
}

static void test_gates(void)
{
	set_gate(0x51, stubs + 16 * 0x51, 0, 0);
	idt[0x51].type &= 0x7f;
	check_exc("an absent gate", try_call(do_int_51, 0), 11, 0x51 * 8 + 2);
	set_gate(0x52, stubs + 16 * 0x52, 0, 0);
	idt[0x52].type = 0x85; /* task gate */
	check_exc("a task gate in long mode", try_call(do_int_52, 0), 13,
		  0x52 * 8 + 2);
	set_gate(0x52, stubs + 16 * 0x52, 0, 0);
	idt[0x52].sel = SEL_DATA;
	check_exc("a gate to a data segment", try_call(do_int_52, 0), 13,
		  SEL_DATA);
	idt[0x52].sel = 0;
	check_exc("a gate to null", try_call(do_int_52, 0), 13, 0);
	set_gate(0x52, stubs + 16 * 0x52, 2, 0);
	check_exc("a gate with IST", try_call(do_int_52, 0), 0x52, 0);
	check("... runs on that stack",
	      exc.handler_rsp < tss.ist[1] &&
		      exc.handler_rsp >= tss.ist[1] - 4096);
}

/* ---- Double fault ---- */

static void do_ud_no_gate(void *p)
{
	__asm__ volatile("ud2");
}

static void do_bad_stack(void *p)
{
	__asm__ volatile("mov %0, %%rsp; push %%rax" : : "r"(p) : "memory");
}

static void test_double(void)
{
	struct gate ud = idt[6], gp = idt[13], de = idt[0];

	set_gate(8, stubs + 16 * 8, 1, 0);
	/* Benign first: the second is delivered as it is. */
	idt[6].type = 0;
	check_exc("#GP while #UD is delivered stays #GP",
		  try_call(do_ud_no_gate, 0), 13, 6 * 8 + 2 + 1);
	idt[6] = ud;
	idt[0].type = 0x0e;
	check_exc("#NP while #DE is delivered is #DF", try_call(do_div0, 0), 8,
		  0);
	idt[0] = de;
	check_exc("#PF on a bad stack is #DF",
		  try_call(do_bad_stack, (void *)0x6000000008), 8, 0);
	check("... delivered on its IST",
	      exc.handler_rsp < tss.ist[0] &&
		      exc.handler_rsp >= tss.ist[0] - 4096);
	idt[13] = gp;
	(void)df_stack;
}

/* ---- SYSCALL and SYSRET ---- */

static volatile u64 syscall_rcx, syscall_r11, syscall_flags;

__asm__(".globl syscall_entry\n"
	"syscall_entry:\n"
	"	pushf\n" /* on the user's stack: no SMAP in this guest */
	"	popq syscall_flags\n"
	"	mov %rcx, syscall_rcx\n"
	"	mov %r11, syscall_r11\n"
	"	mov %cs, %eax\n"
	"	mov %ss, %edx\n"
	"	shl $16, %edx\n"
	"	or %edx, %eax\n"
	"	sysretq\n");
extern u8 syscall_entry[];

static void do_syscall(void *p)
{
	u64 ret;

	__asm__ volatile("pushf; orq $0x401, (%%rsp); popf; syscall"
			 : "=a"(ret)
			 :
			 : "rcx", "r11", "rdx", "memory", "cc");
	__asm__ volatile("cld");
	*(u64 *)p = ret;
}

/* Tells by registers what it has found, and gathers the flags. */
static volatile u64 syscall_seen;

__asm__(".globl syscall_telling\n"
	"syscall_telling:\n"
	"	pushf\n"
	"	popq %rax\n"
	"	or %rax, syscall_seen\n"
	"	mov %cs, %eax\n"
	"	mov %ss, %edx\n"
	"	shl $16, %edx\n"
	"	or %eax, %edx\n"
	"	mov %r11, %rax\n"
	"	sysretq\n");
extern u8 syscall_telling[];

/* Often enough to be translated, with all flags that ring 3 sets. */
static void do_syscalls(void *p)
{
	u64 *wrong = p;

	for (u64 n = 0; n < 512; n++) {
		u64 flags = (n & 1) | (n & 2) << 1 | (n & 4) << 2 |
			    (n & 8) << 3 | (n & 16) << 3 | (n & 32) << 5 |
			    (n & 64) << 5;
		u64 set, told, segments, after, next;

		__asm__ volatile("pushf; andq $~0xcd5, (%%rsp)\n\t"
				 "orq %5, (%%rsp); mov (%%rsp), %4\n\t"
				 "popf; lea 1f(%%rip), %2; syscall\n\t"
				 "1: pushf; popq %3; cld; sub %%rcx, %2"
				 : "=&a"(told), "=&d"(segments), "=&r"(next),
				   "=&r"(after), "=&r"(set)
				 : "r"(flags)
				 : "rcx", "r11", "memory", "cc");
		wrong[0] += told != set;
		wrong[1] += after != set;
		wrong[2] += segments != (SEL_CODE | SEL_DATA << 16);
		wrong[3] += next != 0;
	}
}

static void do_segments(void *p)
{
	u64 cs, ss;

	__asm__ volatile("syscall; mov %%cs, %0; mov %%ss, %1"
			 : "=r"(cs), "=r"(ss)
			 :
			 : "rax", "rcx", "r11", "rdx", "memory");
	*(u64 *)p = cs | ss << 16;
}

static void do_plain_syscall(void *p)
{
	__asm__ volatile("syscall" : : : "rax", "rcx", "r11", "rdx");
}

static void do_stepped_syscall(void *p)
{
	__asm__ volatile("pushf; orq $0x100, (%%rsp); popf; syscall; nop"
			 :
			 :
			 : "rax", "rcx", "r11", "rdx", "memory", "cc");
}

static void do_sysret_far(void *p)
{
	__asm__ volatile("mov %0, %%rcx; mov $2, %%r11; sysretq"
			 :
			 : "r"(p)
			 : "rcx", "r11");
}

/* Intel faults before the transfer, AMD behind it. */
static void test_sysret_target(void)
{
	u32 out[4];

	cpuid(0, 0, out);
	check_exc("SYSRET to a non-canonical address",
		  try_call(do_sysret_far, (void *)BIT(47)), 13, 0);
	check_eq("... faults in the vendor's ring", exc.cs,
		 out[1] == 0x756e6547 ? SEL_CODE : SEL_UCODE); /* "Genu" */
}

#define FMASK_LINUX 0x257fd5u

/* Linux's mask, and one that leaves CF. */
static void test_syscalls(void)
{
	static u64 wrong[4];

	wrmsr(0xc0000082, (u64)syscall_telling);
	for (u32 leave = 0; leave < 3; leave++) {
		u32 mask = FMASK_LINUX & ~(leave & 1);

		syscall_seen = 0;
		for (int n = 0; n < 4; n++)
			wrong[n] = 0;
		wrmsr(0xc0000084, mask);
		check("many SYSCALLs come back",
		      user(do_syscalls, (u8 *)wrong + USER_BASE));
		check_eq("... with R11 right", wrong[0], 0);
		check_eq("... and the flags", wrong[1], 0);
		check_eq("... and the segments", wrong[2], 0);
		check_eq("... and RCX", wrong[3], 0);
		check_eq("... and FMASK", syscall_seen & FMASK_LINUX,
			 leave & 1);
	}
	wrmsr(0xc0000082, (u64)syscall_entry);
	wrmsr(0xc0000084, 0x500);
}

static void test_syscall(void)
{
	static u64 result;

	wrmsr(0xc0000081, (u64)0x0023 << 48 | (u64)SEL_CODE << 32);
	wrmsr(0xc0000082, (u64)syscall_entry);
	wrmsr(0xc0000084, 0x400); /* clears DF */
	check("SYSCALL comes back",
	      user(do_syscall, (u8 *)&result + USER_BASE));
	check_eq("... after kernel segments", (u32)result,
		 SEL_CODE | SEL_DATA << 16);
	check("... RCX holds the next instruction",
	      syscall_rcx > (u64)do_syscall + USER_BASE &&
		      syscall_rcx < (u64)do_syscall + USER_BASE + 100);
	check_eq("... R11 holds the flags", syscall_r11 & 0x401, 0x401);
	check_eq("... FMASK clears flags", syscall_flags & 0x401, 1);
	check("SYSRET comes back",
	      user(do_segments, (u8 *)&result + USER_BASE));
	check_eq("... to user segments", result, SEL_UCODE | SEL_UDATA << 16);
	wrmsr(0xc0000084, 0x500); /* clears TF, too */
	check_exc("SYSRET with TF is a step", user(do_stepped_syscall, 0), 1,
		  0);
	check_eq("... in ring 3", exc.cs, SEL_UCODE);
	check_eq("... behind SYSCALL", exc.rip, syscall_rcx);
	if (!lenient)
		test_sysret_target();
	if (!lenient)
		test_syscalls();
	wrmsr(0xc0000080, rdmsr(0xc0000080) & ~1ULL);
	check_exc("SYSCALL without SCE", try_call(do_plain_syscall, 0), 6, 0);
	wrmsr(0xc0000080, rdmsr(0xc0000080) | 1);
}

/* ---- Call gate ---- */

__asm__(".globl gate_entry\n"
	"gate_entry:\n"
	"	mov %cs, %eax\n"
	"	mov 24(%rsp), %rdx\n" /* old SS */
	"	lretq\n");
extern u8 gate_entry[];

static void do_gate(void *p)
{
	struct {
		u32 offset;
		u16 sel;
	} __attribute__((packed)) target = { 0, SEL_FREE | 3 };

	u64 cs, ss;

	__asm__ volatile("lcalll *%2"
			 : "=a"(cs), "=d"(ss)
			 : "m"(target)
			 : "memory");
	*(u64 *)p = cs | ss << 16;
}

static void test_call_gate(void)
{
	static u64 result;
	u64 at = (u64)gate_entry;

	gdt[SEL_FREE / 8] = (at & 0xffff) | (u64)SEL_CODE << 16 |
			    0xecULL << 40 | (at >> 16 & 0xffff) << 48;
	gdt[SEL_FREE / 8 + 1] = at >> 32;
	check("a call gate comes back",
	      user(do_gate, (u8 *)&result + USER_BASE));
	check_eq("... after ring 0, the user's SS on its stack", result,
		 SEL_CODE | SEL_UDATA << 16);
	gdt[SEL_FREE / 8] &= ~(3ULL << 45); /* DPL 0 */
	check_exc("a call gate's DPL is checked",
		  user(do_gate, (u8 *)&result + USER_BASE), 13, SEL_FREE);
	gdt[SEL_FREE / 8] |= 3ULL << 45;
	gdt[SEL_FREE / 8] &= ~BIT(47);
	check_exc("an absent call gate",
		  user(do_gate, (u8 *)&result + USER_BASE), 11, SEL_FREE);
}

/* ---- Debug ---- */

static volatile int db_count;
static volatile u64 db_dr6, db_rip, db_flags;

static void on_debug(struct regs *r)
{
	db_count++;
	db_dr6 = read_dr6();
	db_rip = r->rip;
	db_flags = r->rflags;
	write_dr6(0xffff0ff0);
	if (db_count > 100)
		r->rflags &= ~TF;
}

static void on_debug_rf(struct regs *r)
{
	on_debug(r);
	r->rflags |= RF;
}

static void do_step(void *p)
{
	__asm__ volatile("pushf; orq $0x100, (%%rsp); popf\n"
			 "nop; nop; nop\n"
			 "pushf; andq $~0x100, (%%rsp); popf\n"
			 :
			 :
			 : "memory", "cc");
}

static u64 watched __attribute__((aligned(8)));

static void do_store_watched(void *p)
{
	*(volatile u8 *)((u8 *)&watched + (u64)p) = 1;
}

static void do_load_watched(void *p)
{
	(void)*(volatile u8 *)((u8 *)&watched + (u64)p);
}

static void do_read_dr7(void *p)
{
	(void)read_dr7();
}

__asm__(".globl bp_code, bp_here\n"
	"bp_code: nop\n"
	"bp_here: nop\n"
	"	ret\n");
void bp_code(void *p);
extern u8 bp_here[];

static void do_icebp(void *p)
{
	__asm__ volatile(".byte 0xf1");
}

static void debug_start(void (*fn)(struct regs *r))
{
	db_count = 0;
	db_dr6 = 0;
	handlers[1] = fn;
	write_dr6(0xffff0ff0);
}

static void test_debug(void)
{
	debug_start(on_debug);
	check("single steps end", try_call(do_step, 0));
	/* NOP NOP NOP PUSHF ANDQ POPF, each after TF was set. */
	check_eq("TF traps after each instruction", db_count, 6);
	check_eq("... with BS in DR6", db_dr6, 0xffff4ff0);

	debug_start(on_debug);
	write_dr0((u64)&watched);
	write_dr7(0x402 | 1 << 16); /* DR0: store, 1 byte */
	try_call(do_store_watched, 0);
	check_eq("a data breakpoint traps a store", db_count, 1);
	check_eq("... with B0 in DR6", db_dr6, 0xffff0ff1);
	try_call(do_load_watched, 0);
	check_eq("... not a load", db_count, 1);
	try_call(do_store_watched, (void *)1);
	check_eq("... not the byte behind", db_count, 1);
	write_dr7(0x402 | 0xdULL << 16 | 2 << 16); /* loads too, 4 bytes */
	try_call(do_load_watched, (void *)3);
	check_eq("a read-write breakpoint of 4 bytes traps a load", db_count,
		 2);
	write_dr7(0x400);

	debug_start(on_debug_rf);
	write_dr0((u64)bp_here);
	write_dr7(0x402);
	check("an execution breakpoint is passed with RF",
	      try_call(bp_code, 0));
	check_eq("... hits once", db_count, 1);
	check_eq("... before the instruction", db_rip, (u64)bp_here);
	check_eq("... with B0 in DR6", db_dr6, 0xffff0ff1);
	check_eq("... and RF clear in the frame", db_flags & RF, 0);
	write_dr7(0x400);

	handlers[1] = 0;
	write_dr7(0x400 | BIT(13));
	check_exc("GD guards the debug registers", try_call(do_read_dr7, 0), 1,
		  0);
	check_eq("... with BD in DR6", exc.dr6 & BIT(13), BIT(13));
	check_eq("... and clears itself", read_dr7(), 0x400);
	write_dr6(0xffff0ff0);
	check_exc("INT1 is a #DB", try_call(do_icebp, 0), 1, 0);
	check_eq("... past the instruction", *(u8 *)(exc.rip - 1), 0xf1);
	write_dr6(0xffff0ff0);
	check_exc("a fault's frame has RF", try_call(do_ud2, 0), 6, 0);
	check_eq("... set", exc.rflags & RF, RF);
}

/* ---- Alignment ---- */

static void do_unaligned(void *p)
{
	static u64 word[2];

	__asm__ volatile("movl (%0), %%eax"
			 :
			 : "r"((u8 *)word + USER_BASE + (u64)p)
			 : "rax");
}

#define DO_UNALIGNED(name, insn)                                         \
	static void do_unaligned_##name(void *p)                         \
	{                                                                \
		static u64 words[2];                                     \
		__asm__ volatile(insn                                    \
				 :                                       \
				 : "r"((u8 *)words + USER_BASE + 1)      \
				 : "rax", "rcx", "rsi", "rdi", "memory", \
				   "cc");                                \
	}

DO_UNALIGNED(add, "addl $1, (%0)")
DO_UNALIGNED(lock, "lock incq (%0)")
DO_UNALIGNED(xchg, "xchgw %%ax, (%0)")
DO_UNALIGNED(bts, "lock btsl $3, (%0)")
DO_UNALIGNED(stos, "mov %0, %%rdi; mov $2, %%ecx; rep stosl")
DO_UNALIGNED(bytes, "mov %0, %%rdi; mov $8, %%ecx; rep stosb")

static void check_unaligned(const char *name, void (*fn)(void *))
{
	check_exc(name, user_call((u64)fn + USER_BASE, 0, AC), 17, 0);
}

static void test_unaligned_writes(void)
{
	check_unaligned("AC: ADD to memory", do_unaligned_add);
	check_unaligned("AC: a locked INC", do_unaligned_lock);
	check_unaligned("AC: XCHG", do_unaligned_xchg);
	check_unaligned("AC: a locked BTS", do_unaligned_bts);
	check_unaligned("AC: REP STOS", do_unaligned_stos);
	check("AC: bytes are always aligned",
	      user_call((u64)do_unaligned_bytes + USER_BASE, 0, AC));
	check("without AC a locked INC is not checked",
	      user_call((u64)do_unaligned_lock + USER_BASE, 0, 0));
}

static void test_alignment(void)
{
	write_cr0(read_cr0() | BIT(18));
	check_exc("AC: an unaligned load in ring 3",
		  user_call((u64)do_unaligned + USER_BASE, (void *)1, AC), 17,
		  0);
	check("AC: an aligned load",
	      user_call((u64)do_unaligned + USER_BASE, (void *)4, AC));
	check("without AC nothing is checked",
	      user_call((u64)do_unaligned + USER_BASE, (void *)1, 0));
	check("AC: ring 0 is not checked", try_call(do_unaligned, (void *)1));
	if (!lenient)
		test_unaligned_writes();
	write_cr0(read_cr0() & ~BIT(18));
}

/* ---- Branches out of the lower half ---- */

#define TOP 0x7ffffffff000ULL /* its last page */

static u64 top_pdpt[512] __attribute__((aligned(4096)));
static u64 top_pd[512] __attribute__((aligned(4096)));
static u64 top_pt[512] __attribute__((aligned(4096)));
static u8 top_page[4096] __attribute__((aligned(4096)));

static void check_branch(const char *name, u64 code, int len)
{
	u64 at = TOP + 0xff0;

	for (int n = 0; n < 8; n++)
		top_page[0xff0 + n] = code >> (8 * n);
	check_exc(name, try_call((void (*)(void *))at, 0), 13, 0);
	check_eq("... at the branch", exc.rip, at + len);
}

static void test_branches(void)
{
	boot_pml4[255] = (u64)top_pdpt | 3;
	top_pdpt[511] = (u64)top_pd | 3;
	top_pd[511] = (u64)top_pt | 3;
	top_pt[511] = (u64)top_page | 3;
	check_branch("JMP out of the lower half", 0x7eeb, 0);
	check_branch("a long JMP", 0x1000e9, 0);
	check_branch("CALL", 0x1000e8, 0);
	/* bts rax, 47; call rax */
	check_branch("an indirect CALL", 0xd0ff2fe8ba0f48, 5);
	check_branch("Jcc", 0x7e74c031, 2); /* xor eax, eax; jz */
	check_branch("JRCXZ", 0x7ee3c931, 2);
	boot_pml4[255] = 0;
	write_cr3(read_cr3());
}

void test(void)
{
	test_codes();
	test_gates();
	test_double();
	test_syscall();
	test_call_gate();
	test_debug();
	test_alignment();
	if (!lenient)
		test_branches();
}
