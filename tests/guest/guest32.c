/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Output, exceptions and set-up of the self-checking 32-bit guests.
 */
#include "tests/guest/guest32.h"

#define COM1       0x3f8
#define DEBUG_EXIT 0xf4

struct regs exc;
u32 exc_cr2, exc_esp;
struct tss tss0;

static int failures;
static u8 kernel_stack[4096] __attribute__((aligned(16)));

void guest_main(void);
void guest_exception(struct regs *r);

/* ---- Output ---- */

void outb(u16 port, u8 v)
{
	__asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port));
}

u8 inb(u16 port)
{
	u8 v;

	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

void print(const char *s)
{
	for (; *s; s++) {
		while (!(inb(COM1 + 5) & 0x20))
			;
		outb(COM1, *s);
	}
}

static void print_hex(u32 v)
{
	char text[10] = { 0 };

	for (int n = 0; n < 8; n++)
		text[n] = "0123456789abcdef"[v >> (28 - 4 * n) & 15];
	print(text);
}

static void done(void)
{
	print(failures ? "RESULT FAIL\n" : "RESULT PASS\n");
	__asm__ volatile("outl %0, %w1" : : "a"(!!failures), "Nd"(DEBUG_EXIT));
	for (;;)
		__asm__ volatile("cli; hlt");
}

void check(const char *name, bool ok)
{
	print(ok ? "PASS " : "FAIL ");
	print(name);
	print("\n");
	failures += !ok;
}

void check_eq(const char *name, u32 got, u32 want)
{
	if (got != want) {
		print("     got ");
		print_hex(got);
		print(" want ");
		print_hex(want);
		print("\n");
	}
	check(name, got == want);
}

void check_exc(const char *name, bool returned, u32 vector, u32 code)
{
	bool ok = !returned && exc.vector == vector && exc.code == code;

	if (!ok) {
		print(returned ? "     returned\n" : "     vector ");
		print_hex(exc.vector);
		print(" code ");
		print_hex(exc.code);
		print(" eip ");
		print_hex(exc.eip);
		print("\n");
	}
	check(name, ok);
}

/* ---- Exceptions ---- */

void guest_exception(struct regs *r)
{
	u32 eip = try_eip;

	if (r->vector == 0x80 && (r->cs & 3) == 3) {
		eip = (u32)user_done;
	} else {
		exc = *r;
		exc_esp = (u32)r;
		__asm__ volatile("mov %%cr2, %0" : "=r"(exc_cr2));
	}
	if (!try_eip) {
		check_exc("unexpected exception", false, ~0u, 0);
		done();
	}
	try_eip = 0;
	/* Not by IRET: the levels may differ. */
	__asm__ volatile("pushl $2; popf; mov %0, %%esp; jmp *%1"
			 :
			 : "r"(try_esp), "r"(eip)
			 : "memory");
}

void set_gate(int vector, void *fn, int dpl)
{
	u32 p = (u32)fn;

	idt[vector] = (p & 0xffff) | (u64)SEL_CODE << 16 |
		      (u64)(0x8e | dpl << 5) << 40 | (u64)(p >> 16) << 48;
}

u64 descriptor(u32 base, u32 limit, u32 access, u32 flags)
{
	return (limit & 0xffff) | (u64)(base & 0xffffff) << 16 |
	       (u64)access << 40 | (u64)(limit >> 16) << 48 | (u64)flags << 52 |
	       (u64)(base >> 24) << 56;
}

void write_msr(u32 msr, u64 value)
{
	__asm__ volatile("wrmsr"
			 :
			 : "c"(msr), "a"((u32)value), "d"((u32)(value >> 32)));
}

void set_cr4(u32 v)
{
	__asm__ volatile("mov %0, %%cr4" : : "r"(v) : "memory");
}

/* ---- Start ---- */

void guest_main(void)
{
	for (int n = 0; n < 256; n++)
		set_gate(n, stubs + 16 * n,
			 n == 0x80 || n == 3 || n == 4 ? 3 : 0);
	__asm__ volatile("lidt idt_pointer");
	tss0.esp0 = (u32)kernel_stack + sizeof kernel_stack;
	tss0.ss0 = SEL_DATA;
	tss0.iomap = sizeof tss0;
	gdt[SEL_TSS0 / 8] = descriptor((u32)&tss0, 0x67, 0x89, 0);
	__asm__ volatile("ltr %w0; lldt %w1" : : "r"(SEL_TSS0), "r"(0));
	outb(0x21, 0xff);
	outb(0xa1, 0xff);
	test();
	done();
}
