/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * 32-bit code that is translated while its segments reach all of 4 GiB, and
 * the same code where one of them does not: limits, bases, types; addresses
 * that wrap; what 64-bit mode has not or has otherwise.
 *
 * Spec: SDM 3A "Segment Descriptors", "Limit Checking", "Type Checking"; SDM 1
 * 3.7.5.
 */
#include "tests/guest/guest32.h"

static u32 cells[2048] __attribute__((aligned(4096)));

/* ---- Segments ---- */

static struct sum {
	u32 sel, p, n, result;
} sum;

/* Adds `n` cells at `p` by DS. */
static void do_sum(void *p)
{
	__asm__ volatile("mov (%0), %%ecx\n\t"
			 "mov 4(%0), %%esi\n\t"
			 "mov 8(%0), %%edx\n\t"
			 "xor %%eax, %%eax\n\t"
			 "mov %%ecx, %%ds\n"
			 "1:\n\t"
			 "add (%%esi), %%eax\n\t"
			 "add $4, %%esi\n\t"
			 "dec %%edx\n\t"
			 "jnz 1b\n\t"
			 "push %%ss\n\t"
			 "pop %%ds\n\t"
			 "mov %%eax, 12(%0)"
			 :
			 : "r"(p)
			 : "eax", "ecx", "edx", "esi", "memory", "cc");
}

static bool add_cells(u32 sel, u32 p, u32 n)
{
	sum = (struct sum){ sel, p, n, 0 };
	return try_call(do_sum, &sum);
}

static void test_data(void)
{
	u32 at = (u32)cells;

	for (u32 n = 0; n < 2048; n++)
		cells[n] = n < 1024 ? 1 : 0x10000;
	check("flat data", add_cells(SEL_DATA, at, 1025));
	check_eq("... are added", sum.result, 1024 + 0x10000);
	gdt[SEL_FREE / 8] = descriptor(at, 0xfff, 0x93, 4);
	check("data with a base", add_cells(SEL_FREE, 0, 1024));
	check_eq("... are added", sum.result, 1024);
	check_exc("data beyond a limit", add_cells(SEL_FREE, 0, 1025), 13, 0);
	check("flat data again", add_cells(SEL_DATA, at, 1025));
	check_eq("... are added", sum.result, 1024 + 0x10000);
	gdt[SEL_FREE / 8] = descriptor(0, at >> 12, 0x93, 0xc);
	check("data up to a limit of pages", add_cells(SEL_FREE, at, 1024));
	check_exc("data beyond it", add_cells(SEL_FREE, at, 1025), 13, 0);
	gdt[SEL_FREE / 8] = descriptor(0, at >> 12, 0x97, 0xc);
	check_exc("data below an expand-down segment",
		  add_cells(SEL_FREE, at, 4), 13, 0);
	check("data in it", add_cells(SEL_FREE, at + 4096, 4));
	check_eq("... are added", sum.result, 4 * 0x10000);
}

static void do_store(void *p)
{
	__asm__ volatile("mov %0, %%es\n\t"
			 "mov $50, %%ecx\n"
			 "1:\n\t"
			 "movl %%ecx, %%es:%1\n\t"
			 "dec %%ecx\n\t"
			 "jnz 1b\n\t"
			 "push %%ss\n\t"
			 "pop %%es"
			 :
			 : "r"((u32)p), "m"(cells[0])
			 : "ecx", "memory", "cc");
}

static void do_store_cs(void *p)
{
	__asm__ volatile("mov %0, %%cs:(%1)" : : "d"(p), "r"(cells) : "memory");
}

static void do_read_cs(void *p)
{
	u32 v;

	__asm__ volatile("mov %%cs:%1, %0" : "=r"(v) : "m"(cells[2]));
	*(u32 *)p = v;
}

static void do_store_null(void *p)
{
	__asm__ volatile("mov %0, %%ds; movl $1, %1" : : "r"(0), "m"(cells[3]));
}

static void test_types(void)
{
	static u32 got;

	check("a flat extra segment", try_call(do_store, (void *)SEL_DATA));
	check_eq("... is written", cells[0], 1);
	gdt[SEL_FREE / 8] = descriptor(0, 0xfffff, 0x91, 0xc);
	check_exc("read-only data", try_call(do_store, (void *)SEL_FREE), 13, 0);
	check("a flat extra segment again",
	      try_call(do_store, (void *)SEL_DATA));
	for (int n = 0; n < 20; n++)
		try_call(do_store_cs, 0);
	check_exc("code is not written", try_call(do_store_cs, 0), 13, 0);
	cells[2] = 77;
	check("code is read", try_call(do_read_cs, &got));
	check_eq("... as it is", got, 77);
	check_exc("a null segment is not written", try_call(do_store_null, 0),
		  13, 0);
}

/* A stack of 16 bits: pushes and calls use SP. */
static void do_stack16(void *p)
{
	__asm__ volatile("mov %%esp, %%esi\n\t"
			 "mov %1, %%ss\n\t"
			 "mov $0x12340000, %%esp\n\t"
			 "push $0x55aa\n\t"
			 "mov %%esp, %%edi\n\t"
			 "pop %%ecx\n\t"
			 "call 1f\n"
			 "1:\n\t"
			 "pop %%edx\n\t"
			 "sub $1b, %%edx\n\t"
			 "push %%ds\n\t"
			 "mov $0x12340100, %%esp\n\t"
			 "mov %2, %%ss\n\t"
			 "mov %%esi, %%esp\n\t"
			 "mov %%edi, (%0)\n\t"
			 "mov %%ecx, 4(%0)\n\t"
			 "mov %%edx, 8(%0)"
			 :
			 : "a"(p), "b"(SEL_FREE), "r"(SEL_DATA)
			 : "ecx", "edx", "esi", "edi", "memory");
}

static u8 stack16[0x10000] __attribute__((aligned(4096)));

static void test_stack(void)
{
	static u32 got[3];

	gdt[SEL_FREE / 8] = descriptor((u32)stack16, 0xffff, 0x93, 0);
	check("a stack of 16 bits", try_call(do_stack16, got));
	check_eq("... wraps by SP", got[0], 0x1234fffc);
	check_eq("... gives back what it got", got[1], 0x55aa);
	check_eq("... and return addresses", got[2], 0);
}

/* A loop with calls, by CS as it is, and by a segment with a base. */
static void do_code(void *p)
{
	__asm__ volatile("push %1\n\t" /* for the way back */
			 "push $6f\n\t"
			 "pushl 4(%0)\n\t"
			 "mov $2f, %%eax\n\t"
			 "sub 8(%0), %%eax\n\t"
			 "push %%eax\n\t"
			 "xor %%eax, %%eax\n\t"
			 "mov $200, %%ecx\n\t"
			 "lret\n"
			 "2:\n\t"
			 "add %%ecx, %%eax\n\t"
			 "call 3f\n\t"
			 "dec %%ecx\n\t"
			 "jnz 2b\n\t"
			 "lret\n"
			 "3:\n\t"
			 "inc %%eax\n\t"
			 "ret\n"
			 "6:\n\t"
			 "mov %%eax, (%0)"
			 :
			 : "r"(p), "b"(SEL_CODE)
			 : "eax", "ecx", "memory", "cc");
}

static void test_code(void)
{
	static u32 by[3];

	by[1] = SEL_CODE;
	check("flat code", try_call(do_code, by));
	check_eq("... counts", by[0], 200 * 201 / 2 + 200);
	by[0] = 0;
	by[1] = SEL_FREE;
	by[2] = 0x1000;
	gdt[SEL_FREE / 8] = descriptor(0x1000, 0xfffff, 0x9b, 0xc);
	check("code with a base", try_call(do_code, by));
	check_eq("... counts", by[0], 200 * 201 / 2 + 200);
	gdt[SEL_FREE / 8] = descriptor(0, ((u32)do_code >> 12) - 1, 0x9b, 0xc);
	by[2] = 0;
	check_exc("code beyond a limit", try_call(do_code, by), 13, 0);
}

/* ---- Addresses ---- */

static u32 wrapped(u32 base, u32 index)
{
	u32 v;

	__asm__ volatile("mov 0x100(%1,%2), %0"
			 : "=r"(v)
			 : "r"(base), "r"(index));
	return v;
}

static u32 wrapped_scaled(u32 index, u32 base)
{
	u32 v;

	__asm__ volatile("mov (%1,%2,8), %0"
			 : "=r"(v)
			 : "r"(base), "r"(index));
	return v;
}

static void test_addresses(void)
{
	u32 v = 0, sum32 = 0;

	cells[5] = 0xabcd1234;
	for (int n = 0; n < 50; n++) {
		sum32 += wrapped(0xffffff00, (u32)&cells[5]);
		sum32 += wrapped_scaled(0x80000000u, (u32)&cells[5]);
		sum32 += wrapped_scaled(0xe0000001u, (u32)&cells[3]);
	}
	check_eq("addresses wrap at 4 GiB", sum32, 150 * 0xabcd1234u);
	__asm__ volatile("lea 0x20(%1,%1), %0" : "=r"(v) : "r"(0xfffffff0));
	check_eq("LEA wraps", v, 0);
	__asm__ volatile("mov %1, %%bx\n\t"
			 "addr16 lea 0x10(%%bx), %0"
			 : "=r"(v)
			 : "r"((u16)0xfff8)
			 : "ebx");
	check_eq("LEA with addresses of 16 bits", v, 8);
}

/* ---- Instructions ---- */

static void test_encodings(void)
{
	u32 a, b, c;

	__asm__ volatile("mov $0x7fffffff, %0\n\t"
			 ".byte 0x40\n\t" /* inc eax */
			 "seto %b1\n\t"
			 ".byte 0x48\n\t" /* dec eax */
			 "seto %h1"
			 : "=a"(a), "=d"(b)
			 : "1"(0)
			 : "cc");
	check_eq("INC and DEC by opcode", a, 0x7fffffff);
	check_eq("... set OF", b, 0x101);
	__asm__ volatile("stc\n\t"
			 ".byte 0x66, 0x43\n\t" /* inc bx */
			 "sbb %1, %1"
			 : "=b"(a), "=d"(b)
			 : "0"(0x1234ffff), "1"(0)
			 : "cc");
	check_eq("INC of 16 bits", a, 0x12340000);
	check_eq("... leaves CF", b, 0xffffffff);
	__asm__ volatile(".byte 0x82, 0xc0, 0x05\n\t" /* add al, 5 */
			 ".byte 0x82, 0xec, 0x01"     /* sub ah, 1 */
			 : "=a"(a)
			 : "0"(0x010302fd)
			 : "cc");
	check_eq("the twins of 80", a, 0x01030102);
	cells[9] = 40;
	__asm__ volatile("mov cells + 36, %%eax\n\t"
			 "add $2, %%eax\n\t"
			 "mov %%eax, cells + 40\n\t"
			 "mov cells + 40, %%al"
			 : "=a"(a)
			 :
			 : "memory", "cc");
	check_eq("absolute moves", a, 42);
	__asm__ volatile("mov $3, %%ecx\n\t"
			 "mov $1, %%edx\n\t"
			 "pusha\n\t"
			 "pop %%edi\n\t"
			 "pop %%edi\n\t"
			 "add $20, %%esp\n\t"
			 "pop %%eax\n\t"
			 "push $0x1234\n\t"
			 "enter $16, $0\n\t"
			 "movl $5, -4(%%ebp)\n\t"
			 "leave\n\t"
			 "pop %%edx"
			 : "=c"(a), "=d"(b), "=a"(c)
			 :
			 : "edi", "memory", "cc");
	check_eq("ENTER and LEAVE", b, 0x1234);
	__asm__ volatile("mov $10, %%ecx\n\t"
			 "xor %0, %0\n"
			 "1:\n\t"
			 "inc %0\n\t"
			 "loop 1b\n\t"
			 "jecxz 2f\n\t"
			 "xor %0, %0\n"
			 "2:"
			 : "=d"(a)
			 :
			 : "ecx", "cc");
	check_eq("LOOP and JECXZ", a, 10);
	cells[16] = cells[17] = 0;
	__asm__ volatile("btsl %1, %0" : "+m"(cells[16]) : "r"(37) : "cc", "memory");
	check_eq("a string of bits", cells[17], 32);
	__asm__ volatile("btsl %1, %0" : "+m"(cells[17]) : "r"(-31) : "cc", "memory");
	check_eq("... backwards", cells[16], 2);
	__asm__ volatile("pushf\n\t"
			 "stc\n\t"
			 "pushf\n\t"
			 "popl %0\n\t"
			 "popf"
			 : "=r"(a)
			 :
			 : "memory", "cc");
	check_eq("PUSHF", a & 1, 1);
}

/* ---- Calls ---- */

static u32 __attribute__((noinline, stdcall)) nth(u32 n, u32 unused)
{
	return n < 2 ? n : nth(n - 1, unused) + nth(n - 2, unused);
}

static u32 __attribute__((noinline)) twice(u32 n)
{
	return 2 * n;
}

static void test_calls(void)
{
	static u32 (*const volatile fns[2])(u32) = { twice, twice };
	u32 got = 0, a;

	check_eq("recursion with RET n", nth(15, 0), 610);
	for (u32 n = 0; n < 100; n++)
		got += fns[n & 1](n);
	check_eq("calls by pointers", got, 9900);
	__asm__ volatile("xor %0, %0\n\t"
			 "mov $60, %%ecx\n"
			 "1:\n\t"
			 "push $2f\n\t"
			 "ret\n\t"
			 "dec %0\n"
			 "2:\n\t"
			 "inc %0\n\t"
			 "dec %%ecx\n\t"
			 "jnz 1b"
			 : "=&a"(a)
			 :
			 : "ecx", "memory", "cc");
	check_eq("RET without CALL", a, 60);
}

void test(void)
{
	test_data();
	test_types();
	test_stack();
	test_code();
	test_addresses();
	test_encodings();
	test_calls();
}
