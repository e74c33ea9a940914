/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The 80286's gates and TSS in protected mode, and SYSENTER with SYSEXIT.
 *
 * Spec: SDM 3A "Call Gates", "Interrupt and Trap Gates" (16-bit gates: SDM 3B
 * "Mixing 16-Bit and 32-Bit Code"), "16-Bit Task-State Segment (TSS)",
 * "Performing Fast Calls to System Procedures".
 */
#include "tests/guest/guest32.h"

#define SEL_LOW   0x78 /* code, based so that offsets have 16 bits */
#define SEL_ULOW  0x83 /* the same for ring 3 */
#define SEL_USTK  0x8b /* a 16-bit stack of ring 3 */
#define SEL_CGATE 0x90 /* ring 0 only */
#define SEL_UGATE 0x9b

/* A 16-bit gate saves 16 bits of EIP, so who goes through one runs in a
 * segment that begins near. */
__asm__(".balign 4096\n"
	"low_code:\n"
	/* void low_int(void): INT 61h; in ring 0 */
	"low_int:\n"
	"	int $0x61\n"
	"low_int_next:\n"
	"	lret\n"
	"low_fault:\n"
	"	mov $0xfff8, %eax\n"
	"low_fault_at:\n"
	"	mov %eax, %fs\n"
	"	lret\n"
	"low_call:\n"
	"	lcall $0x90, $0\n"
	"low_call_next:\n"
	"	lret\n"
	/* Ring 3: its own stack, two words of parameters, the gate, back. */
	"low_user:\n"
	"	mov %esp, %esi\n"
	"	mov $0x8b, %eax\n"
	"	mov %eax, %ss\n"
	"	mov $0x0ff0, %esp\n"
	"	pushw $0x1111\n"
	"	pushw $0x2222\n"
	"	lcall $0x9b, $0\n"
	"	mov %esp, low_user_sp\n"
	"	mov $0x23, %ecx\n"
	"	mov %ecx, %ss\n"
	"	mov %esi, %esp\n"
	"	mov %eax, low_user_sum\n"
	"	lret\n"
	/* Handlers note what they find. */
	"low_handler:\n"
	"	pushfl\n"
	"	popl low_flags\n"
	"	mov %esp, low_esp\n"
	"	mov (%esp), %eax\n"
	"	mov %eax, low_frame\n"
	"	movzwl 4(%esp), %eax\n"
	"	mov %eax, low_frame + 4\n"
	"	iretw\n"
	"low_fault_handler:\n"
	"	mov (%esp), %eax\n"
	"	mov %eax, low_frame\n"
	"	mov 4(%esp), %eax\n"
	"	mov %eax, low_frame + 4\n"
	"	add $2, %esp\n"
	"	addw $2, (%esp)\n" /* past the MOV */
	"	iretw\n"
	"low_callee:\n"
	"	mov (%esp), %eax\n"
	"	mov %eax, low_frame\n"
	"	mov %esp, low_esp\n"
	"	lretw\n"
	"low_user_callee:\n"
	"	mov (%esp), %eax\n"
	"	mov %eax, low_frame\n"
	"	mov 4(%esp), %eax\n"
	"	mov %eax, low_frame + 4\n"
	"	mov 8(%esp), %eax\n"
	"	mov %eax, low_frame + 8\n"
	"	movzwl 4(%esp), %eax\n"
	"	movzwl 6(%esp), %edx\n"
	"	add %edx, %eax\n"
	"	lretw $4\n"

	/* A task of the 80286 that is left by IRET. */
	"task16:\n"
	"	incl task16_runs\n"
	"	mov %ax, task16_ax\n"
	"	mov $0x4321, %ax\n"
	"	iretl\n"
	"	jmp task16\n"
	"low_code_end:\n"

	/* SYSENTER: ring 3 comes with its stack in ECX. */
	"sysenter_entry:\n"
	"	mov %esp, se_esp\n"
	"	mov %cs, se_cs\n"
	"	mov %ss, se_ss\n"
	"	pushfl\n"
	"	popl se_flags\n"
	"	mov $sysenter_back, %edx\n"
	"	sti\n"
	"	sysexit\n"
	"do_sysenter:\n"
	"	push %ebp\n"
	"	mov %esp, %ecx\n"
	"	sysenter\n"
	"sysenter_back:\n"
	"	mov %cs, se_ucs\n"
	"	mov %ss, se_uss\n"
	"	pushfl\n"
	"	popl se_uflags\n"
	"	pop %ebp\n"
	"	ret\n"
	"do_sysexit:\n"
	"	mov %esp, %ecx\n"
	"	mov $1f, %edx\n"
	"	sysexit\n"
	"1:	ret\n");

extern u8 low_code[], low_int[], low_int_next[], low_fault[], low_fault_at[],
	low_call[], low_call_next[], low_user[], low_handler[],
	low_fault_handler[], low_callee[], low_user_callee[], task16[],
	sysenter_entry[];
void do_sysenter(void *p);
void do_sysexit(void *p);

u32 low_flags, low_esp, low_frame[3], low_user_sp, low_user_sum;
u32 task16_runs;
u16 task16_ax;
u32 se_esp, se_flags, se_uflags;
u16 se_cs, se_ss, se_ucs, se_uss;

static struct tss16 tss16, tss16_own;
static u8 user_stack16[4096] __attribute__((aligned(4096)));
static u8 sysenter_stack[1024] __attribute__((aligned(16)));

static u16 low(const u8 *p)
{
	return (u16)(p - low_code);
}

/* type 4: call gate, 5: task gate, 6: interrupt gate, 7: trap gate */
static u64 gate286(int type, int dpl, u16 sel, u16 offset, int params)
{
	return offset | (u64)sel << 16 | (u64)params << 32 |
	       (u64)(0x80 | dpl << 5 | type) << 40;
}

static void call_low(void *p)
{
	struct {
		u32 offset;
		u16 sel;
	} __attribute__((packed)) to = { low(p), SEL_LOW };

	__asm__ volatile("lcall *%0"
			 :
			 : "m"(to)
			 : "eax", "ecx", "edx", "memory");
}

static void call_low_user(void *p)
{
	struct {
		u32 offset;
		u16 sel;
	} __attribute__((packed)) to = { low(p), SEL_ULOW };

	__asm__ volatile("lcall *%0"
			 :
			 : "m"(to)
			 : "eax", "ecx", "edx", "esi", "memory");
}

static void call_low_if(void *p)
{
	__asm__ volatile("sti");
	call_low(p);
	__asm__ volatile("cli");
}

static void test_gates(void)
{
	u64 old;

	idt[0x61] = gate286(6, 0, SEL_LOW, low(low_handler), 0);
	check("INT through a 286 interrupt gate",
	      try_call(call_low_if, low_int));
	check_eq("... has IP and CS in two words", low_frame[0],
		 low(low_int_next) | SEL_LOW << 16);
	check_eq("... flags in a third", low_frame[1] & 0x202, 0x202);
	check_eq("... and clears IF", low_flags & FLAGS_IF, 0);
	idt[0x61] = gate286(7, 0, SEL_LOW, low(low_handler), 0);
	check("INT through a 286 trap gate", try_call(call_low_if, low_int));
	check_eq("... keeps IF", low_flags & FLAGS_IF, FLAGS_IF);
	check_exc("an absent 286 gate",
		  (idt[0x61] &= ~(0x80ULL << 40), try_call(call_low, low_int)),
		  11, 0x61 * 8 + 2);
	old = idt[13];
	idt[13] = gate286(7, 0, SEL_LOW, low(low_fault_handler), 0);
	check("a fault through a 286 gate", try_call(call_low, low_fault));
	idt[13] = old;
	check_eq("... has its code in a word, then IP", low_frame[0],
		 0xfff8 | low(low_fault_at) << 16);
	check_eq("... then CS", low_frame[1] & 0xffff, SEL_LOW);
	gdt[SEL_CGATE / 8] = gate286(4, 0, SEL_LOW, low(low_callee), 0);
	check("a 286 call gate", try_call(call_low, low_call));
	check_eq("... pushes two words", low_frame[0],
		 low(low_call_next) | SEL_LOW << 16);
}

static void test_user_gate(void)
{
	gdt[SEL_UGATE / 8] = gate286(4, 3, SEL_LOW, low(low_user_callee), 2);
	check("a 286 call gate from ring 3",
	      user_call(call_low_user, low_user, 2));
	check_eq("... sums its two words", low_user_sum, 0x3333);
	check_eq("... comes from ring 3", low_frame[0] >> 16, SEL_ULOW);
	check_eq("... copies words, the last one first", low_frame[1],
		 0x11112222);
	check_eq("... below SS and SP", low_frame[2],
		 0x0fec | (u32)SEL_USTK << 16);
	check_eq("... and drops them", low_user_sp & 0xffff, 0x0ff0);
	gdt[SEL_UGATE / 8] = gate286(4, 0, SEL_LOW, low(low_user_callee), 2);
	check_exc("a 286 call gate of level 0 is closed",
		  user_call(call_low_user, low_user, 2), 13, SEL_UGATE & ~3);
}

/* ---- The 80286's TSS ---- */

static void do_call(void *p)
{
	far_call((u32)p);
}

static void do_int62(void *p)
{
	__asm__ volatile("int $0x62" : : : "memory");
}

static void do_in80(void *p)
{
	(void)inb(0x80);
}

static void do_nothing(void *p)
{
}

static u32 tss_type(u32 sel)
{
	return gdt[sel / 8] >> 40 & 15;
}

static void test_tss(void)
{
	tss16 = (struct tss16){
		.ip = low(task16),
		.flags = 2,
		.ax = 0x1234,
		.sp = 0x7ff0,
		.cs = SEL_LOW,
		.es = SEL_DATA,
		.ss = 0x30,
		.ds = SEL_DATA,
	};
	gdt[SEL_TSS16 / 8] = descriptor((u32)&tss16, 0x2b, 0x81, 0);
	check("a call to a 286 task", try_call(do_call, (void *)SEL_TSS16));
	check_eq("... runs it", task16_runs, 1);
	check_eq("... with its AX", task16_ax, 0x1234);
	check_eq("... links it", tss16.link, SEL_TSS0);
	check_eq("... saves its AX", tss16.ax, 0x4321);
	check_eq("... and IP", tss16.ip > low(task16), 1);
	check_eq("... and frees it", tss_type(SEL_TSS16), 1);
	tss16.ip = low(task16);
	idt[0x62] = gate286(5, 0, SEL_TSS16, 0, 0);
	check("an interrupt to a 286 task", try_call(do_int62, 0));
	check_eq("... runs it", task16_runs, 2);
	gdt[SEL_TSS16 / 8] = descriptor((u32)&tss16, 0x2a, 0x81, 0);
	check_exc("a 286 TSS that is too short",
		  try_call(do_call, (void *)SEL_TSS16), 10, SEL_TSS16);

	/* As the current one: its stack for ring 0, no port bitmap. */
	tss16_own = (struct tss16){ .sp0 = 0x7f00, .ss0 = SEL_DATA };
	gdt[SEL_TSS2 / 8] = descriptor((u32)&tss16_own, 0x2b, 0x81, 0);
	__asm__ volatile("ltr %w0" : : "r"(SEL_TSS2) : "memory");
	check_eq("LTR marks a 286 TSS busy", tss_type(SEL_TSS2), 3);
	check_exc("a 286 TSS has no port bitmap", user_call(do_in80, 0, 2), 13,
		  0);
	check_eq("... but ring 0's stack", exc_esp & 0xffffff00, 0x7e00);
	check("IOPL 3 opens ports", user_call(do_in80, 0, 0x3002));
	check("ring 3 comes back over it", user_call(do_nothing, 0, 2));
	gdt[SEL_TSS0 / 8] = descriptor((u32)&tss0, 0x67, 0x89, 0);
	__asm__ volatile("ltr %w0" : : "r"(SEL_TSS0) : "memory");
}

/* ---- SYSENTER ---- */

static void test_sysenter(void)
{
	u32 stack = (u32)sysenter_stack + sizeof sysenter_stack;

	write_msr(0x174, 0);
	check_exc("SYSENTER without a segment", user_call(do_sysenter, 0, 2),
		  13, 0);
	check_exc("SYSEXIT without a segment", try_call(do_sysexit, 0), 13, 0);
	write_msr(0x174, SEL_CODE);
	write_msr(0x175, stack);
	write_msr(0x176, (u32)sysenter_entry);
	check("SYSENTER and SYSEXIT", user_call(do_sysenter, 0, 0x202));
	check_eq("... take ring 0's stack", se_esp, stack);
	check_eq("... and segments", se_cs | (u32)se_ss << 16,
		 SEL_CODE | SEL_DATA << 16);
	check_eq("... without IF", se_flags & FLAGS_IF, 0);
	check_eq("... and back", se_ucs | (u32)se_uss << 16,
		 SEL_UCODE | SEL_UDATA << 16);
	check_eq("... with IF as ring 0 left it", se_uflags & FLAGS_IF,
		 FLAGS_IF);
	check_exc("SYSEXIT from ring 3", user_call(do_sysexit, 0, 2), 13, 0);
}

void test(void)
{
	gdt[SEL_LOW / 8] = descriptor((u32)low_code, 0xffff, 0x9b, 4);
	gdt[SEL_ULOW / 8] = descriptor((u32)low_code, 0xffff, 0xfb, 4);
	gdt[SEL_USTK / 8] = descriptor((u32)user_stack16, 0xfff, 0xf3, 0);
	test_gates();
	test_user_gate();
	test_tss();
	test_sysenter();
}
