/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Output, exceptions and set-up of the self-checking 64-bit guests.
 */
#include "tests/guest/guest.h"

#define COM1       0x3f8
#define DEBUG_EXIT 0xf4

typeof(exc) exc;
struct tss tss __attribute__((aligned(16)));
void (*handlers[256])(struct regs *r);
void (*volatile ap_main)(void);
bool lenient;

extern u64 try_rip, try_rsp, user_rip, boot_info;

static int failures;
static u8 ist_stacks[3][4096] __attribute__((aligned(16)));
static u8 kernel_stack[8192] __attribute__((aligned(16)));

/* ---- Output ---- */

static void put(char ch)
{
	while (!(inb(COM1 + 5) & 0x20))
		;
	outb(COM1, ch);
}

void print(const char *s)
{
	while (*s)
		put(*s++);
}

void print_hex(u64 v)
{
	for (int shift = 60; shift >= 0; shift -= 4)
		put("0123456789abcdef"[v >> shift & 15]);
}

void done(void)
{
	print(failures ? "RESULT FAIL\n" : "RESULT PASS\n");
	outl(DEBUG_EXIT, failures ? 1 : 0);
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

void check_eq(const char *name, u64 got, u64 want)
{
	if (got == want) {
		check(name, true);
		return;
	}
	print("     got ");
	print_hex(got);
	print(" want ");
	print_hex(want);
	print("\n");
	check(name, false);
}

void check_exc(const char *name, bool returned, u64 vector, u64 code)
{
	if (returned) {
		print("     no exception\n");
		check(name, false);
		return;
	}
	if (exc.vector != vector || exc.code != code) {
		print("     got vector ");
		print_hex(exc.vector);
		print(" code ");
		print_hex(exc.code);
		print(" rip ");
		print_hex(exc.rip);
		print(" cr2 ");
		print_hex(exc.cr2);
		print("\n");
		check(name, false);
		return;
	}
	check(name, true);
}

/* ---- Exceptions ---- */

void guest_exception(struct regs *r);

void guest_exception(struct regs *r)
{
	if (handlers[r->vector]) {
		handlers[r->vector](r);
		return;
	}
	if (r->vector == 0x80 && (r->cs & 3)) {
		r->rip = user_rip;
	} else {
		exc.vector = r->vector;
		exc.code = r->code;
		exc.rip = r->rip;
		exc.cs = r->cs;
		exc.rflags = r->rflags;
		exc.rsp = r->rsp;
		exc.ss = r->ss;
		exc.cr2 = read_cr2();
		exc.dr6 = read_dr6();
		exc.handler_rsp = (u64)r;
		if (!try_rip) {
			check_exc("unexpected exception", false, ~0ULL, 0);
			done();
		}
		r->rip = try_rip;
		try_rip = 0;
	}
	r->cs = SEL_CODE;
	r->ss = SEL_DATA;
	r->rsp = try_rsp;
	r->rflags = 2;
}

void set_gate(int vector, void *fn, int ist, int dpl)
{
	u64 p = (u64)fn;

	idt[vector] = (struct gate){
		.offset0 = p,
		.offset1 = p >> 16,
		.offset2 = p >> 32,
		.sel = SEL_CODE,
		.ist = ist,
		.type = 0x8e | dpl << 5,
	};
}

bool user(void (*fn)(void *), void *arg)
{
	return user_call((u64)fn + USER_BASE, arg, 0);
}

/* ---- Start ---- */

static void load_tss(void)
{
	u64 base = (u64)&tss;

	tss.rsp[0] = (u64)kernel_stack + sizeof kernel_stack;
	for (int n = 0; n < 3; n++)
		tss.ist[n] = (u64)ist_stacks[n] + sizeof ist_stacks[n];
	tss.iomap = sizeof tss;
	gdt[SEL_TSS / 8] = (sizeof tss - 1) | (base & 0xffffff) << 16 |
			   0x89ULL << 40 | (base >> 24 & 0xff) << 56;
	gdt[SEL_TSS / 8 + 1] = base >> 32;
	__asm__ volatile("ltr %w0; lldt %w1" : : "r"(SEL_TSS), "r"(0));
}

static void read_command_line(void)
{
	const u32 *info = (const u32 *)boot_info;
	const char *word = "lenient", *s = (const char *)(u64)info[4];

	if (!(info[0] & BIT(2)))
		return;
	for (; *s && !lenient; s++) {
		u32 n = 0;

		while (word[n] && s[n] == word[n])
			n++;
		lenient = !word[n];
	}
}

void guest_main(void);

void guest_main(void)
{
	for (int n = 0; n < 256; n++)
		set_gate(n, stubs + 16 * n, 0, n == 0x80 || n == 3 ? 3 : 0);
	__asm__ volatile("lidt idt_pointer");
	load_tss();
	read_command_line();
	/* Nothing from the two PICs. */
	outb(0x21, 0xff);
	outb(0xa1, 0xff);
	test();
	done();
}

void guest_ap(void)
{
	ap_main();
}
