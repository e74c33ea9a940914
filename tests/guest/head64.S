/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * From multiboot's 32-bit protected mode to 64-bit C, the exception stubs,
 * and calls that an exception may cut short.
 *
 * The first 4 GiB are mapped one to one for the supervisor; 64 MiB appear a
 * second time at USER_BASE, for ring 3.
 */
#define USER_BASE 0x80000000

#define GDT_CODE32 0x08
#define GDT_CODE64 0x10
#define GDT_DATA   0x18

	.section .multiboot, "ax"
	.code32
	.balign 4
multiboot:
	.long 0x1badb002, 0x00010000, -(0x1badb002 + 0x00010000)
	.long multiboot, image_start, image_end, bss_end, start

	.text
	.globl start
start:
	cli
	cld
	mov $boot_stack_end, %esp
	mov %ebx, boot_info

	/* PML4[0] -> PDPT -> four directories of 2 MiB pages. */
	movl $boot_pdpt + 7, boot_pml4
	mov $boot_pd + 7, %eax
	mov $boot_pdpt, %edi
	mov $4, %ecx
1:	mov %eax, (%edi)
	add $0x1000, %eax
	add $8, %edi
	loop 1b
	mov $0x83, %eax
	mov $boot_pd, %edi
	mov $2048, %ecx
1:	mov %eax, (%edi)
	add $0x200000, %eax
	add $8, %edi
	loop 1b
	mov $0x87, %eax
	mov $boot_pd + (USER_BASE >> 21) * 8, %edi
	mov $32, %ecx
1:	mov %eax, (%edi)
	add $0x200000, %eax
	add $8, %edi
	loop 1b
	call enter_long
	ljmp $GDT_CODE64, $start64

	/* Paging and EFER; also for application processors. */
enter_long:
	mov $0x620, %eax /* PAE, OSFXSR, OSXMMEXCPT */
	mov %eax, %cr4
	mov $boot_pml4, %eax
	mov %eax, %cr3
	mov $0xc0000080, %ecx
	rdmsr
	or $0x901, %eax /* SCE, LME, NXE */
	wrmsr
	mov $0x80010033, %eax /* PG, WP, NE, ET, MP, PE */
	mov %eax, %cr0
	lgdt gdt_pointer
	ret

	.code64
start64:
	mov $GDT_DATA, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	xor %eax, %eax
	mov %eax, %fs
	mov %eax, %gs
	mov $boot_stack_end, %rsp
	call guest_main
1:	hlt
	jmp 1b

	/* bool try_call(void (*fn)(void *), void *arg): calls fn(arg); true
	 * when it returned, false when an exception ended it. */
	.globl try_call
try_call:
	push %rbx
	push %rbp
	push %r12
	push %r13
	push %r14
	push %r15
	pushf
	mov %rsp, try_rsp
	movq $try_back, try_rip
	mov %rdi, %rax
	mov %rsi, %rdi
	call *%rax
	movq $0, try_rip
	mov $1, %eax
	jmp 1f
try_back:
	xor %eax, %eax
1:	mov try_rsp, %rsp
	popf
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbp
	pop %rbx
	ret

	/* bool user_call(u64 rip, void *arg, u64 rflags): the same in ring 3;
	 * the function ends by returning. */
	.globl user_call
user_call:
	push %rbx
	push %rbp
	push %r12
	push %r13
	push %r14
	push %r15
	pushf
	mov %rsp, try_rsp
	movq $try_back, try_rip
	movq $user_back, user_rip
	mov $user_stack_end - 16 + USER_BASE, %eax
	movabs $user_exit + USER_BASE, %rcx
	mov %rcx, user_stack_end - 16
	mov %rdi, %rcx
	mov %rsi, %rdi
	pushq $0x2b
	push %rax
	push %rdx
	pushq $0x33
	push %rcx
	iretq
user_back:
	movq $0, try_rip
	mov $1, %eax
	jmp 1b
user_exit:
	int $0x80

	/* Exceptions and interrupts. */
	.altmacro
	.macro STUB n
	.balign 16
	.if \n == 8 || (\n >= 10 && \n <= 14) || \n == 17 || \n == 21
	.else
	pushq $0
	.endif
	pushq $\n
	jmp stub_common
	.endm

	.balign 16
	.globl stubs
stubs:
	.set i, 0
	.rept 256
	STUB %i
	.set i, i + 1
	.endr
stub_common:
	cld
	push %rax
	push %rcx
	push %rdx
	push %rbx
	push %rbp
	push %rsi
	push %rdi
	push %r8
	push %r9
	push %r10
	push %r11
	push %r12
	push %r13
	push %r14
	push %r15
	mov %rsp, %rdi
	mov %rsp, %rbp
	and $~15, %rsp
	call guest_exception
	mov %rbp, %rsp
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %r11
	pop %r10
	pop %r9
	pop %r8
	pop %rdi
	pop %rsi
	pop %rbp
	pop %rbx
	pop %rdx
	pop %rcx
	pop %rax
	add $16, %rsp
	iretq

	/* Application processors begin here, copied to 0x8000. */
	.globl ap_code, ap_code_end
	.code16
ap_code:
	cli
	xor %ax, %ax
	mov %ax, %ds
	lgdtl 0x8000 + (ap_gdt_pointer - ap_code)
	mov $0x33, %eax
	mov %eax, %cr0
	ljmpl $GDT_CODE32, $ap_32
	.balign 4
ap_gdt_pointer:
	.word gdt_end - gdt - 1
	.long gdt
ap_code_end:
	.code32
ap_32:
	mov $GDT_DATA, %eax
	mov %eax, %ds
	mov %eax, %ss
	mov $ap_stack_end, %esp
	call enter_long
	ljmp $GDT_CODE64, $ap_64
	.code64
ap_64:
	mov $GDT_DATA, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov $ap_stack_end, %rsp
	lidt idt_pointer
	call guest_ap
1:	hlt
	jmp 1b

	.data
	.balign 16
	.globl gdt, gdt_end, idt_pointer
gdt:
	.quad 0
	.quad 0x00cf9b000000ffff /* 08 code, 32 bits */
	.quad 0x00af9b000000ffff /* 10 code, 64 bits */
	.quad 0x00cf93000000ffff /* 18 data */
	.quad 0x00cffb000000ffff /* 20 user code, 32 bits */
	.quad 0x00cff3000000ffff /* 28 user data */
	.quad 0x00affb000000ffff /* 30 user code, 64 bits */
	.fill 25, 8, 0           /* 38 and up: TSS and what tests put there */
gdt_end:
gdt_pointer:
	.word gdt_end - gdt - 1
	.quad gdt
idt_pointer:
	.word 256 * 16 - 1
	.quad idt
	.balign 8
	.globl try_rip, try_rsp, user_rip, boot_info
boot_info: .quad 0
try_rip: .quad 0
try_rsp: .quad 0
user_rip: .quad 0

	.bss
	.balign 4096
	.globl boot_pml4, boot_pdpt, boot_pd, idt, user_stack_end
boot_pml4: .skip 4096
boot_pdpt: .skip 4096
boot_pd:   .skip 4096 * 4
idt:       .skip 4096
boot_stack: .skip 16384
boot_stack_end:
ap_stack: .skip 8192
ap_stack_end:
user_stack: .skip 8192
user_stack_end:
	.skip 64

	.section .note.GNU-stack, "", @progbits
