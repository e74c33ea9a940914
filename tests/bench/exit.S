/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The smallest multiboot guest: its first instructions write to
 * isa-debug-exit at port 0xf4.
 */
	.section .text
	.code32
	.align 4
	.long 0x1badb002, 0x00010000, -(0x1badb002 + 0x00010000)
	.long header_at, 0x100000, 0, 0, start
	.set header_at, 0x100000
	.globl start
start:
	movw $0xf4, %dx
	movb $1, %al
	outb %al, %dx
	hlt
