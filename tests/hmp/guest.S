/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the monitor tests look at: a guest that enters 64-bit mode, puts
 * known values everywhere and halts for ever; or runs for ever, when its
 * command line begins with 's'.
 *
 * Starts by the PVH protocol: 32-bit, paging off.  Page tables: 0-2 MiB
 * identity in one large page, 2 MiB on in 4 KiB pages with various rights.
 */
	.section .note.Xen, "a"
	.align 4
	.long 4, 4, 18			/* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.long start

	.text
	.code32
	.globl start
start:
	movl 24(%ebx), %esi		/* cmdline_paddr of hvm_start_info */
	movb (%esi), %al
	movb %al, mode
	movl $0x1ff, 0xfee000f0		/* LAPIC on */
	movl $0x400, 0xfee00360		/* LINT1 is the NMI button */
	movl $pml4, %eax
	movl %eax, %cr3
	movl $0x620, %eax		/* PAE, OSFXSR, OSXMMEXCPT */
	movl %eax, %cr4
	movl $0xc0000080, %ecx
	rdmsr
	orl $0x900, %eax		/* LME, NXE */
	wrmsr
	lgdt gdt_pointer
	movl $0x80010033, %eax		/* PG WP NE ET MP PE */
	movl %eax, %cr0
	ljmpl $0x08, $start64

	.code64
start64:
	movl $0x10, %eax
	movl %eax, %ss
	movl %eax, %ds
	movl %eax, %es
	xorl %eax, %eax
	movl %eax, %fs
	movl %eax, %gs
	lidt idt_pointer
	movq $stack_top, %rsp
	movabs $0xfeedfacecafebeef, %rax
	movq %rax, %xmm0
	movabs $0x0123456789abcdef, %r15
	fninit
	fld1
	movl $0x11223344, %ebx
	movq $-2, %rcx
	movl $4, %edx
	xorl %esi, %esi
	xorl %edi, %edi
	xorl %ebp, %ebp
	movl $8, %r8d
	movl $9, %r9d
	movl $10, %r10d
	movl $11, %r11d
	movl $12, %r12d
	movl $13, %r13d
	movl $14, %r14d
	cmpb $'s', mode
	je spin
	testl %esi, %esi		/* ZF and PF */
	jmp halt
	.balign 256, 0x90
halt:					/* at 0x100100 */
	cli
	hlt
	jmp halt
spin:
	incq %rsi
	jmp spin

	.data
	.balign 8
gdt:
	.quad 0
	.quad 0x00af9b000000ffff	/* 64-bit code */
	.quad 0x00cf93000000ffff	/* data */
gdt_pointer:
	.word 23
	.long gdt
idt_pointer:
	.word 0
	.quad 0
mode:
	.byte 0

	/* At 0x108000: see the linker's arguments. */
	.section .dump, "aw"
dump:
	.byte 0xea, 0x5b, 0xe0, 0x00, 0xf0, 0x30, 0x36, 0x2f
	.byte 0x32, 0x33, 0x2f, 0x39, 0x39, 0x00, 0xfc, 0x91
	.fill 16, 1, 0
	.quad 0xfffffffffffffffe, 1
	.ascii "a'\\\n\r~\x7f "
code:
	.byte 0xc3, 0xcc, 0xeb, 0x07
	.byte 0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8	/* ten bytes */
	.byte 0xf4
	.byte 0x06					/* not in 64-bit mode */
	.balign 4096
pml4:
	.quad pdpt + 7
	.fill 510, 8, 0
	.quad pdpt + 3
	.balign 4096
pdpt:
	.quad pd + 7
	.fill 511, 8, 0
	.balign 4096
pd:
	.quad 0x83 + 0x20		/* 0-2 MiB: large, writable, accessed */
	.quad pt + 7
	.fill 510, 8, 0
	.balign 4096
pt:
	.quad 0x108000 + 7		/* user, writable */
	.quad 0x108000 + 5		/* user */
	.quad 0x8000000000108000 + 3	/* writable, no execution */
	.quad 0x108000 + 0x101		/* global */
	.quad 0x108000 + 0x19		/* write-through, no cache */
	.quad 0
	.quad 0x40000000 + 3		/* to where nothing is */
	.quad 0x108000 + 3
	.fill 504, 8, 0

	.bss
	.balign 16
	.skip 4096
stack_top:
