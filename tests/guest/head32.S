/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Multiboot to 32-bit C without paging, exception stubs, calls that an
 * exception may cut short, and the 16-bit code that legacy.c runs in real
 * and virtual-8086 mode.
 */
#define SEL_CODE   0x08
#define SEL_DATA   0x10
#define SEL_CODE16 0x28
#define SEL_DATA16 0x30

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
	lgdt gdt_pointer
	ljmp $SEL_CODE, $1f
1:	mov $SEL_DATA, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	xor %eax, %eax
	mov %eax, %fs
	mov %eax, %gs
	call guest_main
2:	hlt
	jmp 2b

	/* bool try_call(void (*fn)(void *), void *arg) */
	.globl try_call
try_call:
	push %ebx
	push %ebp
	push %esi
	push %edi
	pushf
	mov %esp, try_esp
	movl $try_back, try_eip
	mov 24(%esp), %eax
	push 28(%esp)
	call *%eax
	mov $1, %eax
	jmp 1f
try_back:
	xor %eax, %eax
1:	movl $0, try_eip
	mov try_esp, %esp
	popf
	pop %edi
	pop %esi
	pop %ebp
	pop %ebx
	ret

	/* bool user_call(void (*fn)(void *), void *arg, u32 eflags): in ring
	 * 3, or in virtual-8086 mode at 0900:fn with VM in eflags. */
	.globl user_call
user_call:
	push %ebx
	push %ebp
	push %esi
	push %edi
	pushf
	mov %esp, try_esp
	movl $try_back, try_eip
	mov 24(%esp), %eax
	mov 28(%esp), %ecx
	mov 32(%esp), %edx
	test $0x20000, %edx
	jnz 2f
	mov $user_stack_end - 8, %ebx
	movl $user_exit, (%ebx)
	mov %ecx, 4(%ebx)
	push $0x23
	push %ebx
	push %edx
	push $0x1b
	push %eax
	mov $0x23, %eax
	mov %eax, %ds
	mov %eax, %es
	iret
2:	push $0x1111 /* gs fs ds es */
	push $0x2222
	push $0x3333
	push $0x4444
	push $0x0800 /* ss */
	push $0x0ff0
	push %edx
	push $0x0900
	push %eax
	iret
user_exit:
	int $0x80
	.globl user_done
user_done:
	mov $1, %eax
	jmp 1b

	.altmacro
	.macro STUB n
	.balign 16
	.if \n == 8 || (\n >= 10 && \n <= 14) || \n == 17 || \n == 21
	.else
	pushl $0
	.endif
	pushl $\n
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
	pusha
	push %ds
	push %es
	push %fs
	push %gs
	mov $SEL_DATA, %eax
	mov %eax, %ds
	mov %eax, %es
	push %esp
	call guest_exception
	pop %eax
	pop %gs
	pop %fs
	pop %es
	pop %ds
	popa
	add $8, %esp
	iret

	/* Tasks: each counts and goes back the way it came. */
	.globl task_jump, task_call
task_jump:
	incl task_runs
	mov %esi, task_esi
	ljmp $0x40, $0 /* the first task */
	jmp task_jump
task_call:
	incl task_runs
	pushf
	pop task_flags
	iret
	jmp task_call

	/* u32 far_call(u32 sel): the callee's return value. */
	.globl far_call
far_call:
	push %ebp
	mov %esp, %ebp
	sub $8, %esp
	movl $0, -8(%ebp)
	mov 8(%ebp), %eax
	mov %ax, -4(%ebp)
	lcall *-8(%ebp)
	leave
	ret
	/* void far_jump(u32 sel) */
	.globl far_jump
far_jump:
	push %ebp
	mov %esp, %ebp
	sub $8, %esp
	movl $0, -8(%ebp)
	mov 8(%ebp), %eax
	mov %ax, -4(%ebp)
	ljmp *-8(%ebp)
	leave
	ret

	/* Behind a call gate with two parameters: their sum. */
	.globl gate_sum
gate_sum:
	mov 8(%esp), %eax
	add 12(%esp), %eax
	mov %cs, %edx
	shl $16, %edx
	or %edx, %eax
	lret $8

	/* u32 call_gate(u32 sel), in ring 3. */
	.globl call_gate
call_gate:
	push %ebp
	mov %esp, %ebp
	push %ebx
	mov 8(%ebp), %ecx /* struct { u32 offset, sel, result; } */
	pushl $30
	pushl $12
	lcall *(%ecx)
	mov %eax, 8(%ecx)
	mov %ebp, %eax
	sub %esp, %eax /* 4 when both parameters are gone */
	mov %eax, 12(%ecx)
	pop %ebx
	pop %ebp
	ret

	/* u32 real_mode(void): into real mode, INT 21h, and back. */
	.globl real_mode
real_mode:
	push %ebx
	push %ebp
	push %esi
	push %edi
	mov %esp, real_esp
	sidt real_idt
	ljmp $SEL_CODE16, $0 /* base 0x9000, limit 64K: low16 */
real_back32:
	mov %edi, %eax
	mov $SEL_DATA, %ecx
	mov %ecx, %ds
	mov %ecx, %es
	mov %ecx, %ss
	mov real_esp, %esp
	lidt real_idt
	pop %edi
	pop %esi
	pop %ebp
	pop %ebx
	ret

	/* Copied to 0x9000. */
	.balign 16
	.globl low16, low16_end, low16_handler, low16_v86, low16_cli
	.globl low16_int
	.code16
low16:
	mov $SEL_DATA16, %ax
	mov %ax, %ds
	mov %ax, %ss
	mov %cr0, %eax
	and $~1, %al
	mov %eax, %cr0
	ljmp $0x900, $1f - low16
1:	xor %ax, %ax
	mov %ax, %ds
	mov %ax, %ss
	mov $0x7ff0, %sp
	lidtl %cs:low16_ivt - low16
	mov $0x1111, %ax
	int $0x21
	mov %eax, %edi
	mov %cr0, %eax
	or $1, %al
	mov %eax, %cr0
	ljmpl $SEL_CODE, $real_back32
low16_handler:
	add $0x2222, %ax
	iret
low16_v86:
	mov $0x1234, %ax
	mov %ds, %bx
	hlt
low16_cli:
	cli
	hlt
low16_int:
	mov $0x55aa, %cx
	int $0x21
	hlt
	.balign 4
low16_ivt:
	.word 0x3ff
	.long 0
low16_end:
	.code32

	.data
	.balign 16
	.globl gdt, try_eip, try_esp, task_runs, task_esi, task_flags
	.globl idt_pointer
gdt:
	.quad 0
	.quad 0x00cf9b000000ffff /* 08 code */
	.quad 0x00cf93000000ffff /* 10 data */
	.quad 0x00cffb000000ffff /* 18 user code */
	.quad 0x00cff3000000ffff /* 20 user data */
	.quad 0x00009b009000ffff /* 28 16-bit code at 0x9000 */
	.quad 0x000093000000ffff /* 30 16-bit data */
	.quad 0                  /* 38 */
	.fill 24, 8, 0           /* 40 and up: TSSs, gates */
gdt_pointer:
	.word 32 * 8 - 1
	.long gdt
idt_pointer:
	.word 256 * 8 - 1
	.long idt
	.balign 4
try_eip: .long 0
try_esp: .long 0
task_runs: .long 0
task_esi: .long 0
task_flags: .long 0
real_esp: .long 0
real_idt: .skip 8

	.bss
	.balign 4096
	.globl idt, user_stack_end
idt: .skip 4096
boot_stack: .skip 16384
boot_stack_end:
user_stack: .skip 8192
user_stack_end:

	.section .note.GNU-stack, "", @progbits
