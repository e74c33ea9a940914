/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Virtual-8086 mode extensions: software interrupts sent back to the 8086
 * program, the virtual interrupt flag there and in protected mode.
 *
 * Spec: SDM 3B "Interrupt and Exception Handling in Virtual-8086 Mode" and
 * "Protected-Mode Virtual Interrupts".
 */
#include "tests/guest/guest32.h"

#define CR4_VME 1
#define CR4_PVI 2

#define FLAGS_IOPL3 0x3000
#define FLAGS_VIF   0x80000
#define FLAGS_VIP   0x100000

#define V86 (FLAGS_VM | 2)

/* Copied to 0x9000 and run at 0900:0; each ends with HLT, which faults. */
__asm__(".code16\n"
	"vme_code:\n"
	"vme_int:\n"
	"	mov $1, %ax\n"
	"	int $0x21\n"
	"	hlt\n"
	"vme_handler:\n" /* CX: the flags on the stack, DX: those here */
	"	add $0x10, %ax\n"
	"	mov %sp, %bp\n"
	"	mov 4(%bp), %cx\n"
	"	pushf\n"
	"	pop %dx\n"
	"	iret\n"
	"vme_cli:\n"
	"	cli\n"
	"	pushf\n"
	"	pop %ax\n"
	"	sti\n"
	"	pushf\n"
	"	pop %bx\n"
	"	hlt\n"
	"vme_popf:\n" /* AX */
	"	push %ax\n"
	"	popf\n"
	"	hlt\n"
	"vme_popf_0:\n"
	"	pushw $0x0002\n"
	"	popf\n"
	"	hlt\n"
	"vme_popf_if:\n"
	"	pushw $0x0202\n"
	"	popf\n"
	"	hlt\n"
	"vme_popf_tf:\n"
	"	pushw $0x0102\n"
	"	popf\n"
	"	hlt\n"
	"vme_pushfd:\n"
	"	pushfl\n"
	"	hlt\n"
	"vme_popfd:\n"
	"	pushl $2\n"
	"	popfl\n"
	"	hlt\n"
	"vme_iret_if:\n"
	"	pushw $0x0202\n"
	"	push %cs\n"
	"	pushw $(1f - vme_code)\n"
	"	iret\n"
	"1:	hlt\n"
	"vme_iretd:\n"
	"	pushl $2\n"
	"	pushl $0x900\n"
	"	pushl $(1f - vme_code)\n"
	"	iretl\n"
	"1:	hlt\n"
	"vme_code_end:\n"
	".code32\n");

extern u8 vme_code[], vme_code_end[], vme_int[], vme_handler[], vme_cli[],
	vme_popf_0[], vme_popf_if[], vme_popf_tf[], vme_pushfd[], vme_popfd[],
	vme_iret_if[], vme_iretd[];

/* A TSS with both maps; the one of interrupts lies in front of the ports'. */
static struct {
	struct tss tss;
	u8 redirect[32]; /* a clear bit: to the 8086 program */
	u8 ports[2];
} __attribute__((packed)) task;

static bool v86(const u8 *code, u32 flags)
{
	return user_call((void (*)(void *))(code - vme_code), 0, V86 | flags);
}

static void check_v86(const char *name, const u8 *code, u32 flags)
{
	check_exc(name, v86(code, flags), 13, 0);
}

static u32 hlt_at(const u8 *code)
{
	return *(u8 *)(0x9000 + (exc.eip & 0xffff)) == 0xf4;
}

static void set_redirect(int vector, bool to_gate)
{
	task.redirect[vector / 8] &= ~(1 << vector % 8);
	task.redirect[vector / 8] |= to_gate << vector % 8;
}

static void test_redirect(void)
{
	set_redirect(0x21, false);
	check_v86("INT n goes to the 8086 program", vme_int, 0);
	check_eq("... runs its handler", exc.eax & 0xffff, 0x11);
	check_eq("... with IOPL 3 and VIF for IF on the stack",
		 exc.ecx & 0x3200, 0x3000);
	check_eq("... the same inside", exc.edx & 0x3200, 0x3000);
	check_eq("... and comes back", hlt_at(vme_int), 1);
	check_v86("INT n with VIF", vme_int, FLAGS_VIF);
	check_eq("... which is on the stack", exc.ecx & 0x3200, 0x3200);
	check_eq("... clear inside", exc.edx & 0x3200, 0x3000);
	check_eq("... and set again behind IRET",
		 exc.eflags & (FLAGS_VIF | FLAGS_IF), FLAGS_VIF);
	check_v86("INT n with IOPL 3", vme_int, FLAGS_IOPL3 | FLAGS_IF);
	check_eq("... has the real IF on the stack", exc.ecx & 0x3200, 0x3200);
	check_eq("... clears it inside", exc.edx & 0x3200, 0x3000);
	check_eq("... and gets it back", exc.eflags & FLAGS_IF, FLAGS_IF);
	set_redirect(0x21, true);
	check_v86("a set bit and IOPL below 3 fault", vme_int, FLAGS_VIF);
	check_eq("... at the INT", *(u16 *)(0x9000 + exc.eip), 0x21cd);
	check_exc("a set bit and IOPL 3 take the gate",
		  v86(vme_int, FLAGS_IOPL3), 0x21, 0);
	check_eq("... behind the INT", hlt_at(vme_int), 1);
	set_redirect(0x21, false);
}

static void test_vif(void)
{
	check_v86("CLI and STI change VIF", vme_cli, FLAGS_VIF);
	check_eq("... CLI clears it", exc.eax & 0x3200, 0x3000);
	check_eq("... STI sets it", exc.ebx & 0x3200, 0x3200);
	check_eq("... and IF stays", exc.eflags & (FLAGS_IF | FLAGS_VIF),
		 FLAGS_VIF);
	check_v86("STI with VIP", vme_cli, FLAGS_VIP);
	check_eq("... faults", *(u8 *)(0x9000 + exc.eip), 0xfb);
	check_eq("... and leaves VIF", exc.eflags & (FLAGS_VIP | FLAGS_VIF),
		 FLAGS_VIP);
	check_v86("POPF clears VIF", vme_popf_0, FLAGS_VIF);
	check_eq("... and goes on", hlt_at(vme_popf_0), 1);
	check_eq("... with IF as it was", exc.eflags & (FLAGS_IF | FLAGS_VIF),
		 0);
	check_v86("POPF sets VIF", vme_popf_if, 0);
	check_eq("... only", exc.eflags & (FLAGS_IF | FLAGS_VIF | 0x3000),
		 FLAGS_VIF);
	check_v86("POPF of IF with VIP", vme_popf_if, FLAGS_VIP);
	check_eq("... faults", *(u8 *)(0x9000 + exc.eip), 0x9d);
	check_v86("POPF without IF with VIP", vme_popf_0, FLAGS_VIP);
	check_eq("... does not", hlt_at(vme_popf_0), 1);
	check_v86("POPF of TF", vme_popf_tf, 0);
	check_eq("... faults", *(u8 *)(0x9000 + exc.eip), 0x9d);
	check_v86("PUSHFD below IOPL 3", vme_pushfd, 0);
	check_eq("... faults", *(u8 *)(0x9000 + exc.eip), 0x66);
	check_v86("POPFD below IOPL 3", vme_popfd, 0);
	check_eq("... faults", *(u16 *)(0x9000 + exc.eip), 0x9d66);
	check_v86("IRET sets VIF", vme_iret_if, 0);
	check_eq("... and goes on", hlt_at(vme_iret_if), 1);
	check_eq("... with IF as it was", exc.eflags & (FLAGS_IF | FLAGS_VIF),
		 FLAGS_VIF);
	check_v86("IRET of IF with VIP", vme_iret_if, FLAGS_VIP);
	check_eq("... faults", *(u8 *)(0x9000 + exc.eip), 0xcf);
	check_v86("IRETD below IOPL 3", vme_iretd, 0);
	check_eq("... faults", *(u16 *)(0x9000 + exc.eip), 0xcf66);
}

static u32 pvi_flags[2];

static void do_cli_sti(void *p)
{
	__asm__ volatile("cli; pushf; popl %0; sti; pushf; popl %1"
			 : "=m"(pvi_flags[0]), "=m"(pvi_flags[1]));
}

static void do_sti(void *p)
{
	__asm__ volatile("sti");
}

static void do_hlt(void *p)
{
	__asm__ volatile("hlt");
}

static void test_pvi(void)
{
	set_cr4(CR4_PVI);
	check("PVI: CLI and STI in ring 3", user_call(do_cli_sti, 0, 0x202));
	check_eq("... clear VIF, not IF", pvi_flags[0] & (FLAGS_IF | FLAGS_VIF),
		 FLAGS_IF);
	check_eq("... and set it", pvi_flags[1] & (FLAGS_IF | FLAGS_VIF),
		 FLAGS_IF | FLAGS_VIF);
	check_exc("PVI: STI with VIP", user_call(do_sti, 0, FLAGS_VIP | 2), 13,
		  0);
	check_exc("PVI: VIF survives up to ring 0",
		  user_call(do_hlt, 0, FLAGS_VIF | 2), 13, 0);
	check_eq("... in the frame", exc.eflags & FLAGS_VIF, FLAGS_VIF);
	set_cr4(0);
	check_exc("without PVI CLI faults", user_call(do_cli_sti, 0, 2), 13, 0);
}

void test(void)
{
	u8 *to = (u8 *)0x9000;

	for (const u8 *p = vme_code; p < vme_code_end; p++)
		*to++ = *p;
	*(volatile u16 *)(0x21 * 4) = (u16)(vme_handler - vme_code);
	*(volatile u16 *)(0x21 * 4 + 2) = 0x900;
	set_gate(0x21, stubs + 16 * 0x21, 3);
	task.tss.ss0 = tss0.ss0;
	task.tss.esp0 = tss0.esp0;
	task.tss.iomap = sizeof task - sizeof task.ports;
	task.ports[1] = 0xff;
	gdt[SEL_TSS1 / 8] = descriptor((u32)&task, sizeof task - 1, 0x89, 0);
	__asm__ volatile("ltr %w0" : : "r"(SEL_TSS1) : "memory");
	set_cr4(CR4_VME);
	test_redirect();
	test_vif();
	set_cr4(0);
	check_v86("without VME CLI faults", vme_cli, FLAGS_VIF);
	check_eq("... at once", *(u8 *)(0x9000 + exc.eip), 0xfa);
	test_pvi();
}
