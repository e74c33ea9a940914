/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The ROM's doors: real mode, 16 bits.
 *
 * A service is entered with interrupts off, which stay off while it runs: it
 * has one stack and one frame, in the extended BIOS data area.  What has to
 * wait returns BIOS_AGAIN and is called anew from the caller's own stack
 * with his registers, after interrupts were let in.
 */
#include "vmm/pc_abi.h"

	.code16
	.section .head, "a"
	.long BIOS_MAGIC
	.word boot, irq, irq2, none, stop
	.org BIOS_HEAD_VECTORS
	.word none, none, none, none, none, none, none, none
	.word int08, int09, irq, irq, irq, irq, irq, irq
	.word int10, int11, int12, int13, int14, int15, int16, int17
	.word int18, int19, int1a, none, none, none, none, none
	.org BIOS_HEAD_SIZE

	.text
boot:	sti
	int $0x19
stop:	sti
	hlt
	jmp stop

none:	iretw

irq2:	pushw %ax
	movb $0x20, %al
	outb %al, $0xa0
	jmp 1f
irq:	pushw %ax
	movb $0x20, %al
1:	outb %al, $0x20
	popw %ax
	iretw

	/* The timer: counts, at midnight from zero, and calls INT 1Ch. */
int08:	pushw %ds
	pushl %eax
	xorw %ax, %ax
	movw %ax, %ds
	movl 0x46c, %eax
	incl %eax
	cmpl $0x1800b0, %eax
	jb 1f
	xorl %eax, %eax
	movb $1, 0x470
1:	movl %eax, 0x46c
	int $0x1c
	cli
	movb $0x20, %al
	outb %al, $0x20
	popl %eax
	popw %ds
	iretw

int11:	pushw %ds
	xorw %ax, %ax
	movw %ax, %ds
	movw 0x410, %ax
	popw %ds
	iretw

int12:	pushw %ds
	xorw %ax, %ax
	movw %ax, %ds
	movw 0x413, %ax
	popw %ds
	iretw

int14:	movb $0x80, %ah
	iretw

int17:	movb $1, %ah
	iretw

	.macro service name, vector
\name:	pushl $\vector
	jmp enter
	.endm
	service int09, 0x09
	service int10, 0x10
	service int13, 0x13
	service int15, 0x15
	service int16, 0x16
	service int18, 0x18
	service int19, 0x19
	service int1a, 0x1a

	/* The caller's stack: vector (4), IP, CS, flags. */
#define F(x) (BIOS_EBDA_FRAME + BIOS_F_##x)
enter:	pushw %ds
	pushl %eax
	movw $BIOS_EBDA_SEG, %ax
	movw %ax, %ds
	popl F(EAX)
	popw F(DS)
	popl F(VECTOR)
	popl F(IP)
	popw F(FLAGS)
	movl %ebx, F(EBX)
	movl %ecx, F(ECX)
	movl %edx, F(EDX)
	movl %esi, F(ESI)
	movl %edi, F(EDI)
	movl %ebp, F(EBP)
	movl %esp, F(ESP)
	movw %es, F(ES)
	movw %fs, F(FS)
	movw %gs, F(GS)
	movw %ss, F(SS)
	movw %ax, %es
	movw %ax, %ss
	movl $BIOS_EBDA_STACK, %esp
	cld
	calll bios_call
	cli
	movw $BIOS_EBDA_SEG, %dx
	movw %dx, %ds
	movw F(SS), %ss
	movl F(ESP), %esp
	pushw F(FLAGS)
	pushl F(IP)
	testl %eax, %eax
	jz 1f
	pushl F(VECTOR)
	call leave
	sti
	nop
	cli
	jmp enter
1:	call leave
	iretw

leave:	movl F(EBX), %ebx
	movl F(ECX), %ecx
	movl F(EDX), %edx
	movl F(ESI), %esi
	movl F(EDI), %edi
	movl F(EBP), %ebp
	movw F(ES), %es
	movw F(FS), %fs
	movw F(GS), %gs
	movl F(EAX), %eax
	movw F(DS), %ds
	retw

	/* Where a processor starts that was not told where to, the date and
	 * the model, at the places of the first BIOS. */
	.section .reset, "ax"
	ljmp $BIOS_ROM_SEG, $boot
	.ascii "11/23/26"
	.byte 0, 0xfc, 0

	.section .note.GNU-stack, "", @progbits
