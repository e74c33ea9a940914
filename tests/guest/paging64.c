/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Four-level paging: rights, fault codes, accessed and dirty bits, NX, SMEP,
 * SMAP, large pages, reserved bits, global pages, INVLPG.
 *
 * Spec: SDM 3A "Paging".
 */
#include "tests/guest/guest.h"

#define P    BIT(0)
#define W    BIT(1)
#define U    BIT(2)
#define A    BIT(5)
#define D    BIT(6)
#define PS   BIT(7)
#define G    BIT(8)
#define NX   BIT(63)
#define RSVD BIT(51)

#define CR0_WP   BIT(16)
#define CR4_PGE  BIT(7)
#define CR4_SMEP BIT(20)
#define CR4_SMAP BIT(21)

/* A page of its own at 256 GiB: through PML4[0].PDPT[256]. */
#define TEST_VA 0x4000000000ULL

static u64 pd[512] __attribute__((aligned(4096)));
static u64 pt[512] __attribute__((aligned(4096)));
static u8 page[4096] __attribute__((aligned(4096)));
static u8 other[4096] __attribute__((aligned(4096)));

static bool has_smep, has_smap, has_1g;

/* ---- Accesses ---- */

static void do_read(void *va)
{
	(void)*(volatile u8 *)va;
}

static void do_write(void *va)
{
	*(volatile u8 *)va = 0xc3;
}

static void do_exec(void *va)
{
	__asm__ volatile("call *%0" : : "r"(va) : "memory");
}

/* ---- The table ---- */

enum who { KERNEL, USER };

struct access_case {
	const char *name;
	u64 pde, pte; /* rights of the two lowest levels */
	u64 cr4;      /* added */
	bool no_wp;
	enum who who;
	void (*fn)(void *);
	int code; /* -1: works */
};

/* clang-format off */
static const struct access_case cases[] = {
	{ "kernel reads a kernel page", P|W|U, P, 0, false, KERNEL, do_read, -1 },
	{ "kernel reads an absent page", P|W|U, 0, 0, false, KERNEL, do_read, 0 },
	{ "kernel writes an absent page", P|W|U, 0, 0, false, KERNEL, do_write, 2 },
	{ "kernel runs an absent page", P|W|U, 0, 0, false, KERNEL, do_exec, 0x10 },
	{ "kernel reads below an absent table", 0, P|W|U, 0, false, KERNEL, do_read, 0 },
	{ "kernel writes a read-only page", P|W|U, P, 0, false, KERNEL, do_write, 3 },
	{ "kernel writes a read-only page, WP=0", P|W|U, P, 0, true, KERNEL, do_write, -1 },
	{ "kernel writes below a read-only table", P|U, P|W, 0, false, KERNEL, do_write, 3 },
	{ "kernel writes a writable page", P|W|U, P|W, 0, false, KERNEL, do_write, -1 },
	{ "kernel runs a page", P|W|U, P|W, 0, false, KERNEL, do_exec, -1 },
	{ "kernel runs an NX page", P|W|U, P|W|NX, 0, false, KERNEL, do_exec, 0x11 },
	{ "kernel runs below an NX table", P|W|U|NX, P|W, 0, false, KERNEL, do_exec, 0x11 },
	{ "kernel reads an NX page", P|W|U, P|W|NX, 0, false, KERNEL, do_read, -1 },
	{ "kernel reads with a reserved bit", P|W|U, P|W|RSVD, 0, false, KERNEL, do_read, 9 },
	{ "kernel writes with a reserved bit", P|W|U, P|W|RSVD, 0, false, KERNEL, do_write, 0xb },
	{ "absent entries have no reserved bits", P|W|U, W|RSVD, 0, false, KERNEL, do_read, 0 },
	{ "user reads a user page", P|W|U, P|U, 0, false, USER, do_read, -1 },
	{ "user reads an absent page", P|W|U, 0, 0, false, USER, do_read, 4 },
	{ "user writes an absent page", P|W|U, 0, 0, false, USER, do_write, 6 },
	{ "user runs an absent page", P|W|U, 0, 0, false, USER, do_exec, 0x14 },
	{ "user reads a kernel page", P|W|U, P|W, 0, false, USER, do_read, 5 },
	{ "user reads below a kernel table", P|W, P|W|U, 0, false, USER, do_read, 5 },
	{ "user writes a kernel page", P|W|U, P|W, 0, false, USER, do_write, 7 },
	{ "user writes a read-only page", P|W|U, P|U, 0, false, USER, do_write, 7 },
	{ "user writes a read-only page, WP=0", P|W|U, P|U, 0, true, USER, do_write, 7 },
	{ "user writes a writable page", P|W|U, P|W|U, 0, false, USER, do_write, -1 },
	{ "user runs a user page", P|W|U, P|U, 0, false, USER, do_exec, -1 },
	{ "user runs an NX page", P|W|U, P|U|NX, 0, false, USER, do_exec, 0x15 },
	{ "user runs a kernel page", P|W|U, P|W, 0, false, USER, do_exec, 0x15 },
	{ "user reads with a reserved bit", P|W|U, P|U|RSVD, 0, false, USER, do_read, 0xd },
	{ "kernel runs a user page", P|W|U, P|U, 0, false, KERNEL, do_exec, -1 },
	{ "SMEP: kernel runs a user page", P|W|U, P|U, CR4_SMEP, false, KERNEL, do_exec, 0x11 },
	{ "SMEP: kernel runs a kernel page", P|W|U, P, CR4_SMEP, false, KERNEL, do_exec, -1 },
	{ "SMEP: kernel reads a user page", P|W|U, P|U, CR4_SMEP, false, KERNEL, do_read, -1 },
	{ "SMEP: user runs a user page", P|W|U, P|U, CR4_SMEP, false, USER, do_exec, -1 },
	{ "SMAP: kernel reads a user page", P|W|U, P|U, CR4_SMAP, false, KERNEL, do_read, 1 },
	{ "SMAP: kernel writes a user page", P|W|U, P|W|U, CR4_SMAP, false, KERNEL, do_write, 3 },
	{ "SMAP: kernel reads a kernel page", P|W|U, P, CR4_SMAP, false, KERNEL, do_read, -1 },
	{ "SMAP: user reads a user page", P|W|U, P|U, CR4_SMAP, false, USER, do_read, -1 },
};

/* clang-format on */

static void run_case(const struct access_case *t)
{
	bool ok;

	if (((t->cr4 & CR4_SMEP) && !has_smep) ||
	    ((t->cr4 & CR4_SMAP) && !has_smap))
		return;
	page[0] = 0xc3; /* RET */
	pd[0] = t->pde ? (u64)pt | t->pde : 0;
	pt[0] = (t->pte & P) ? (u64)page | t->pte : t->pte;
	write_cr3(read_cr3());
	if (t->no_wp)
		write_cr0(read_cr0() & ~CR0_WP);
	write_cr4(read_cr4() | t->cr4);
	ok = t->who == KERNEL ? try_call(t->fn, (void *)TEST_VA)
			      : user(t->fn, (void *)TEST_VA);
	write_cr4(read_cr4() & ~t->cr4);
	write_cr0(read_cr0() | CR0_WP);
	if (t->code < 0)
		check(t->name, ok);
	else
		check_exc(t->name, ok, 14, t->code);
	if (!ok && exc.cr2 != TEST_VA)
		check_eq("... CR2", exc.cr2, TEST_VA);
}

/* ---- Accessed and dirty ---- */

static void map(u64 rights)
{
	pd[0] = (u64)pt | P | W | U;
	pt[0] = (u64)page | rights;
	write_cr3(read_cr3());
}

static void test_bits(void)
{
	map(P | W);
	check_eq("nothing is marked before an access", pt[0] & (A | D), 0);
	do_read((void *)TEST_VA);
	check_eq("a load sets A", pt[0] & (A | D), A);
	check_eq("... of the table above too", pd[0] & A, A);
	do_write((void *)TEST_VA);
	check_eq("a store after a load sets D", pt[0] & (A | D), A | D);
	check_eq("... in the leaf only", pd[0] & D, 0);
	map(P);
	try_call(do_write, (void *)TEST_VA);
	check_eq("a store that faults does not set D", pt[0] & D, 0);
	pt[0] &= ~A;
	invlpg(TEST_VA);
	do_read((void *)TEST_VA);
	check_eq("INVLPG makes A be set again", pt[0] & A, A);
}

static void test_smap_ac(void)
{
	u8 v;

	if (!has_smap)
		return;
	map(P | W | U);
	page[0] = 0x5a;
	write_cr4(read_cr4() | CR4_SMAP);
	__asm__ volatile("stac; movb (%1), %0; clac"
			 : "=r"(v)
			 : "r"(TEST_VA)
			 : "memory");
	check_eq("SMAP: AC opens user pages", v, 0x5a);
	check_exc("SMAP: CLAC closes them again",
		  try_call(do_read, (void *)TEST_VA), 14, 1);
	write_cr4(read_cr4() & ~CR4_SMAP);
}

#define AC_TIMES 200 /* often enough for a translation */

/* A byte at `va`: as the kernel copies, and forgetting to open the page. */
void ac_read(void *va);
void ac_read_closed(void *va);
u8 ac_got;
__asm__(".pushsection .text\n"
	".balign 4096\n"
	"	.skip 4096 - 3\n"
	"ac_read:\n"
	"	stac\n" /* the last of its page */
	"	movb (%rdi), %al\n"
	"	clac\n"
	"	movb %al, ac_got(%rip)\n"
	"	ret\n"
	"ac_read_closed:\n"
	"	stac\n"
	"	nop\n"
	"	clac\n"
	"	movb (%rdi), %al\n"
	"	movb %al, ac_got(%rip)\n"
	"	ret\n"
	".popsection\n");

static bool ac_is_set(void)
{
	u64 flags;

	__asm__ volatile("pushfq; popq %0" : "=r"(flags));
	return flags & BIT(18);
}

static void test_ac_often(void)
{
	u64 wrong = 0;

	if (!has_smap)
		return;
	map(P | W | U);
	for (u32 n = 0; n < AC_TIMES; n++) {
		bool smap = n % 7 != 3;

		if (smap)
			write_cr4(read_cr4() | CR4_SMAP);
		page[0] = (u8)n;
		ac_got = (u8)~n;
		ac_read((void *)TEST_VA);
		wrong += ac_got != (u8)n || ac_is_set();
		ac_got = (u8)~n;
		wrong += try_call(ac_read_closed, (void *)TEST_VA) == smap;
		wrong += (ac_got == (u8)n) == smap || ac_is_set();
		wrong += smap && (exc.vector != 14 || exc.code != 1);
		write_cr4(read_cr4() & ~CR4_SMAP);
	}
	check_eq("SMAP: opened and closed often", wrong, 0);
}

/* ---- Large pages ---- */

static void test_large(void)
{
	u64 keep = boot_pdpt[256];

	pd[0] = 0x200000 | P | W | PS;
	write_cr3(read_cr3());
	*(volatile u32 *)0x212340 = 0xfeed;
	check_eq("a 2 MiB page maps its middle",
		 *(volatile u32 *)(TEST_VA + 0x12340), 0xfeed);
	pd[0] = 0x200000 | P | W | PS | BIT(13);
	write_cr3(read_cr3());
	check_exc("a 2 MiB page has reserved address bits",
		  try_call(do_read, (void *)TEST_VA), 14, 9);
	/* INVLPG of any address in a large page drops all of it. */
	pd[0] = 0x200000 | P | W | PS;
	write_cr3(read_cr3());
	do_read((void *)(TEST_VA + 0x5000));
	do_read((void *)(TEST_VA + 0x9000));
	pd[0] = 0;
	invlpg(TEST_VA + 0x123000);
	check_exc("INVLPG drops a whole 2 MiB page",
		  try_call(do_read, (void *)(TEST_VA + 0x5000)), 14, 0);
	if (!has_1g)
		return;
	boot_pdpt[256] = P | W | PS;
	write_cr3(read_cr3());
	check_eq("a 1 GiB page maps its middle",
		 *(volatile u32 *)(TEST_VA + 0x212340), 0xfeed);
	boot_pdpt[256] = P | W | PS | BIT(20);
	write_cr3(read_cr3());
	check_exc("a 1 GiB page has reserved address bits",
		  try_call(do_read, (void *)TEST_VA), 14, 9);
	boot_pdpt[256] = keep;
	write_cr3(read_cr3());
}

static void test_pml4_ps(void)
{
	u64 keep = boot_pml4[1];

	boot_pml4[1] = boot_pml4[0] | PS;
	write_cr3(read_cr3());
	check_exc("PS is reserved in the top level",
		  try_call(do_read, (void *)(1ULL << 39)), 14, 9);
	boot_pml4[1] = keep;
	write_cr3(read_cr3());
}

/* ---- Caching ---- */

static u8 read_test(void)
{
	return *(volatile u8 *)TEST_VA;
}

static void test_global(void)
{
	page[0] = 1;
	other[0] = 2;
	write_cr4(read_cr4() | CR4_PGE);
	map(P | W | G);
	check_eq("a global page is read", read_test(), 1);
	pt[0] = (u64)other | P | W | G;
	/* It may or may not stay cached here, but not after these. */
	write_cr3(read_cr3());
	invlpg(TEST_VA);
	check_eq("INVLPG drops a global page", read_test(), 2);
	pt[0] = (u64)page | P | W | G;
	write_cr4(read_cr4() & ~CR4_PGE);
	check_eq("a change of PGE drops global pages", read_test(), 1);
	pt[0] = (u64)other | P | W;
	write_cr3(read_cr3());
	check_eq("CR3 drops other pages", read_test(), 2);
}

/* ---- Page crossing ---- */

static void do_write_crossing(void *va)
{
	*(volatile u64 *)va = ~0ULL;
}

static void test_crossing(void)
{
	pd[0] = (u64)pt | P | W | U;
	pt[0] = (u64)page | P | W;
	pt[1] = 0;
	write_cr3(read_cr3());
	*(u32 *)(page + 4092) = 0x12345678;
	check_exc("a store into an absent second page faults",
		  try_call(do_write_crossing, (void *)(TEST_VA + 4092)), 14, 2);
	check_eq("... with the second page in CR2", exc.cr2, TEST_VA + 4096);
	check_eq("... and leaves the first as it was", *(u32 *)(page + 4092),
		 0x12345678);
	pt[1] = (u64)other | P | W;
	invlpg(TEST_VA + 4096);
	*(volatile u64 *)(TEST_VA + 4092) = 0x1122334455667788;
	check_eq("a crossing store fills both pages",
		 *(u32 *)(page + 4092) | (u64) * (u32 *)other << 32,
		 0x1122334455667788);
	check_eq("a crossing load gathers both pages",
		 *(volatile u64 *)(TEST_VA + 4092), 0x1122334455667788);
	pt[1] = 0;
	invlpg(TEST_VA + 4096);
}

/* B8 imm32, RET: the immediate's upper half and RET are on the second page. */
static u8 code[2][4096] __attribute__((aligned(4096)));

static u32 run_crossing(void)
{
	u32 v;

	__asm__ volatile("call *%1" : "=a"(v) : "r"(TEST_VA + 4093) : "memory");
	return v;
}

/* A loop, so that translations are linked. */
static u32 run_often(void)
{
	u32 v = 0;

	for (int n = 0; n < 300; n++)
		v = run_crossing();
	return v;
}

static void do_run_crossing(void *va)
{
	run_crossing();
}

static void test_crossing_code(void)
{
	static const u8 head[] = { 0xb8, 0x11, 0x22 };
	static const u8 tails[2][3] = { { 0x33, 0x44, 0xc3 },
					{ 0x55, 0x66, 0xc3 } };

	for (int n = 0; n < 3; n++) {
		page[4093 + n] = head[n];
		code[0][n] = tails[0][n];
		code[1][n] = tails[1][n];
	}
	pt[0] = (u64)page | P | W;
	pt[1] = (u64)code[0] | P | W;
	write_cr3(read_cr3());
	check_eq("code across two pages runs", run_often(), 0x44332211);
	pt[1] = (u64)code[1] | P | W;
	invlpg(TEST_VA + 4096);
	check_eq("... with another second page", run_often(), 0x66552211);
	pt[1] = (u64)code[0] | P | W;
	write_cr3(read_cr3());
	check_eq("... with the first one again", run_often(), 0x44332211);
	*(volatile u8 *)(TEST_VA + 4096) = 0x77;
	check_eq("... with a changed second page", run_often(), 0x44772211);
	*(volatile u8 *)(TEST_VA + 4094) = 0x88;
	check_eq("... with a changed first page", run_often(), 0x44772288);
	pt[1] = 0;
	invlpg(TEST_VA + 4096);
	check_exc("... with an absent second page",
		  try_call(do_run_crossing, (void *)0), 14, 0x10);
	check_eq("... whose address is in CR2", exc.cr2, TEST_VA + 4096);
	check_eq("... at the instruction", exc.rip, TEST_VA + 4093);
}

/* Code on another page that has been rewritten, often: tests/guest/observe.py
 * counts how often translated code is left for it. */
static void test_rewritten_code(void)
{
	static const u8 text[] = { 0xb8, 1, 0, 0, 0, 0xc3 }; /* mov eax; ret */
	u32 (*fn)(void) = (u32(*)(void))TEST_VA;
	u32 bad = 0;

	pd[0] = (u64)pt | P | W;
	pt[0] = (u64)other | P | W;
	write_cr3(read_cr3());
	for (u32 n = 0; n < sizeof text; n++)
		other[n] = text[n];
	for (u32 n = 0; n < 1000; n++)
		bad += fn() != 1;
	((volatile u8 *)TEST_VA)[1] = 2;
	for (u32 n = 0; n < 20000; n++)
		bad += fn() != 2;
	check_eq("code that has been rewritten", bad, 0);
}

static void do_canonical(void *va)
{
	__asm__ volatile("movb (%0), %%al" : : "r"(va) : "rax");
}

static void do_canonical_stack(void *va)
{
	__asm__ volatile("push %%rbp; mov %0, %%rbp; movb (%%rbp), %%al; "
			 "pop %%rbp"
			 :
			 : "r"(va)
			 : "rax");
}

void test(void)
{
	u32 out[4];

	cpuid(7, 0, out);
	has_smep = out[1] & BIT(7);
	has_smap = out[1] & BIT(20);
	cpuid(0x80000001, 0, out);
	has_1g = out[3] & BIT(26);
	boot_pdpt[256] = (u64)pd | P | W | U;
	for (u32 n = 0; n < ARRAY_SIZE(cases); n++)
		run_case(&cases[n]);
	test_bits();
	test_smap_ac();
	test_ac_often();
	test_large();
	test_pml4_ps();
	test_global();
	test_crossing();
	test_crossing_code();
	test_rewritten_code();
	check_exc("a non-canonical address is #GP",
		  try_call(do_canonical, (void *)BIT(47)), 13, 0);
	check_exc("... #SS through RBP",
		  try_call(do_canonical_stack, (void *)BIT(47)), 12, 0);
}
