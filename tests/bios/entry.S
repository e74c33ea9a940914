/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A boot sector that loads the test behind it, and how the test calls the
 * firmware.
 */
	.code16
	.section .boot, "ax"
	.globl start
start:	ljmp $0, $1f
1:	xorw %ax, %ax
	movw %ax, %ds
	movw %ax, %es
	cli
	movw %ax, %ss
	movl $0x7c00, %esp
	sti
	cld
	movw $0x0200 + SECTORS, %ax
	movw $0x7e00, %bx
	movw $0x0002, %cx
	movb $0, %dh
	pushw %dx
	int $0x13
	popw %dx
	jc 2f
	movzbl %dl, %eax
	pushl %eax
	pushl $0
	ljmp $0, $main
2:	hlt
	jmp 2b
	.org 510
	.word 0xaa55

	/* void bios(u8 number, struct regs *r): EAX EBX ECX EDX ESI EDI EBP
	 * flags */
	.text
	.globl bios
bios:	pushl %ebx
	pushl %esi
	pushl %edi
	pushl %ebp
	pushw %es
	movl 22(%esp), %eax
	movb %al, 1f + 1
	movl 26(%esp), %eax
	movl %eax, frame
	movl 4(%eax), %ebx
	movl 8(%eax), %ecx
	movl 12(%eax), %edx
	movl 16(%eax), %esi
	movl 20(%eax), %edi
	movl 24(%eax), %ebp
	movl (%eax), %eax
	jmp 1f
1:	int $0
	pushfl
	pushl %eax
	movl frame, %eax
	popl (%eax)
	popl 28(%eax)
	movl %ebx, 4(%eax)
	movl %ecx, 8(%eax)
	movl %edx, 12(%eax)
	movl %esi, 16(%eax)
	movl %edi, 20(%eax)
	movl %ebp, 24(%eax)
	popw %es
	popl %ebp
	popl %edi
	popl %esi
	popl %ebx
	retl

frame:	.long 0
	.section .note.GNU-stack, "", @progbits
