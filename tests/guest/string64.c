/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * REP MOVS and REP STOS from page to page, where a translator does pages at a
 * time: values, overlaps, elements on two pages, faults in the middle, code
 * that is overwritten.
 *
 * Linear pages from FIRST on: two that are not neighbours in memory, one that
 * is the second's neighbour, then none.  At FIXED: one that can be written,
 * then one that cannot.
 */
#include "tests/guest/guest.h"

#define P BIT(0)
#define W BIT(1)

#define FIRST  0x4000000000ULL
#define SECOND (FIRST + 4096)
#define THIRD  (FIRST + 2 * 4096)
#define ABSENT (FIRST + 3 * 4096)
#define FIXED  (FIRST + 8 * 4096)

#define MAX(a, b) ((a) > (b) ? (a) : (b))

#define TIMES 100 /* often enough for a translation */

static u64 pd[512] __attribute__((aligned(4096)));
static u64 pt[512] __attribute__((aligned(4096)));
static u8 pages[5][4096] __attribute__((aligned(4096)));
static u8 want[3 * 4096] __attribute__((aligned(8)));

static void map(void)
{
	boot_pdpt[256] = (u64)pd | P | W;
	pd[0] = (u64)pt | P | W;
	pt[0] = (u64)pages[3] | P | W;
	pt[1] = (u64)pages[0] | P | W;
	pt[2] = (u64)pages[1] | P | W;
	pt[8] = (u64)pages[2] | P | W;
	pt[9] = (u64)pages[4] | P;
	write_cr3(read_cr3());
}

static void fill(u64 salt)
{
	u64 *p = (u64 *)FIRST, *q = (u64 *)want;

	for (u32 n = 0; n < 3 * 512; n++)
		q[n] = p[n] = (n ^ salt) * 0x0123456789abcdefULL;
}

static u32 differs(void)
{
	const u64 *p = (const u64 *)FIRST, *q = (const u64 *)want;

	for (u32 n = 0; n < 3 * 512; n++)
		if (p[n] != q[n])
			return n + 1;
	return 0;
}

/* Each by one instruction in one place, for all tests. */
#define MOVS(name, suffix)                                                    \
	static __attribute__((noinline)) void movs_##name(u64 *to, u64 *from, \
							  u64 *n)             \
	{                                                                     \
		__asm__ volatile("rep movs" suffix                            \
				 : "+D"(*to), "+S"(*from), "+c"(*n)           \
				 :                                            \
				 : "memory");                                 \
	}
#define STOS(name, suffix)                                                    \
	static __attribute__((noinline)) void stos_##name(u64 *to, u64 value, \
							  u64 *n)             \
	{                                                                     \
		__asm__ volatile("rep stos" suffix                            \
				 : "+D"(*to), "+c"(*n)                        \
				 : "a"(value)                                 \
				 : "memory");                                 \
	}

MOVS(8, "b")
MOVS(16, "w")
MOVS(32, "l")
MOVS(64, "q")
STOS(8, "b")
STOS(16, "w")
STOS(32, "l")
STOS(64, "q")

static void (*const movs[])(u64 *, u64 *, u64 *) = { movs_8, movs_16, movs_32,
						     movs_64 };
static void (*const stos[])(u64 *, u64, u64 *) = { stos_8, stos_16, stos_32,
						   stos_64 };

static u64 random_state = 1;

static u32 random_below(u32 n)
{
	random_state = random_state * 6364136223846793005ULL + 1;
	return (u32)((random_state >> 33) % n);
}

/* As the processor: element after element, upwards. */
static void model_movs(u32 to, u32 from, u32 n, u32 size)
{
	u8 element[8];

	for (u32 k = 0; k < n; k++) {
		for (u32 b = 0; b < size; b++)
			element[b] = want[from + k * size + b];
		for (u32 b = 0; b < size; b++)
			want[to + k * size + b] = element[b];
	}
}

/* Mostly short, about the end of a page. */
static u32 random_bytes(void)
{
	return random_below(random_below(16) ? 300 : 4200);
}

static u32 random_place(u32 bytes)
{
	u32 edge = 4096 + random_below(2) * 4096;

	return edge - random_below(bytes + 9);
}

static void test_movs(void)
{
	u32 bad = 0;

	for (u32 k = 0; k < 2 * TIMES && !bad; k++) {
		u32 shift = k & 3, bytes = random_bytes() >> shift << shift;
		u32 from = random_place(bytes), to = random_place(bytes);
		u64 rdi, rsi, rcx = bytes >> shift;

		fill(k);
		if (k & 8 && from + 9 + bytes < 3 * 4096)
			to = from + random_below(9); /* shortly behind */
		if (MAX(from, to) + bytes > 3 * 4096)
			continue;
		rdi = FIRST + to;
		rsi = FIRST + from;
		movs[shift](&rdi, &rsi, &rcx);
		model_movs(to, from, bytes >> shift, 1u << shift);
		bad |= differs();
		bad |= rdi != FIRST + to + bytes ? BIT(16) : 0;
		bad |= rsi != FIRST + from + bytes ? BIT(17) : 0;
		bad |= rcx ? BIT(18) : 0;
	}
	check_eq("copies from page to page", bad, 0);
}

static void test_stos(void)
{
	u32 bad = 0;

	for (u32 k = 0; k < 2 * TIMES && !bad; k++) {
		u32 shift = k & 3, bytes = random_bytes() >> shift << shift;
		u32 to = random_place(bytes);
		u64 rdi = FIRST + to, rcx = bytes >> shift, v = random_state;

		if (to + bytes > 3 * 4096)
			continue;
		fill(k);
		stos[shift](&rdi, v, &rcx);
		for (u32 b = 0; b < bytes; b++)
			want[to + b] = (u8)(v >> 8 * (b & ((1u << shift) - 1)));
		bad |= differs();
		bad |= rdi != FIRST + to + bytes ? BIT(16) : 0;
		bad |= rcx ? BIT(18) : 0;
	}
	check_eq("fills from page to page", bad, 0);
}

static void test_down(void)
{
	u32 bad = 0;

	for (u32 k = 0; k < TIMES; k++) {
		u64 rdi = THIRD + 99, rcx = 200;

		fill(k);
		__asm__ volatile("std; rep stosb; cld"
				 : "+D"(rdi), "+c"(rcx)
				 : "a"(k)
				 : "memory");
		for (u32 b = 0; b < 200; b++)
			want[2 * 4096 + 99 - b] = (u8)k;
		bad |= differs() | (u32)(rdi != THIRD - 101);
	}
	check_eq("fills downwards", bad, 0);
}

/* ---- Faults ---- */

struct moved {
	u64 rdi, rsi, rcx;
};

extern char string_stos_at[], string_movs_at[];
void string_stos(void *m);
void string_movs(void *m);
__asm__(".pushsection .text\n"
	"string_stos:\n"
	"	mov 16(%rdi), %rcx\n"
	"	mov (%rdi), %rdi\n"
	"	mov $0x5a, %al\n"
	"string_stos_at:\n"
	"	rep stosb\n"
	"	ret\n"
	"string_movs:\n"
	"	mov 16(%rdi), %rcx\n"
	"	mov 8(%rdi), %rsi\n"
	"	mov (%rdi), %rdi\n"
	"string_movs_at:\n"
	"	rep movsl\n"
	"	ret\n"
	".popsection\n");

/* What the instruction had done when it faulted. */
static struct moved fault;

static void take_fault(struct regs *r)
{
	fault = (struct moved){ r->rdi, r->rsi, r->rcx };
	r->rip = (u64)r->rip + 2; /* behind it */
}

static u32 fault_bad(void (*fn)(void *), struct moved m, struct moved at)
{
	u32 bad = 0;

	for (u32 k = 0; k < TIMES && !bad; k++) {
		fill(k);
		fault = (struct moved){ 0 };
		handlers[14] = take_fault;
		fn(&m);
		handlers[14] = 0;
		bad |= fault.rdi != at.rdi;
		bad |= fault.rcx != at.rcx ? 2 : 0;
		bad |= fn == string_movs && fault.rsi != at.rsi ? 4 : 0;
		for (u64 b = m.rdi; fn == string_stos && b < at.rdi; b++)
			bad |= *(u8 *)b != 0x5a ? 8 : 0;
	}
	return bad;
}

static void test_faults(void)
{
	check_eq("a fill that runs into a hole",
		 fault_bad(string_stos, (struct moved){ THIRD - 7, 0, 5000 },
			   (struct moved){ ABSENT, 0, 5000 - 4103 }),
		 0);
	check_eq("a fill that runs into a page that is read-only",
		 fault_bad(string_stos, (struct moved){ FIXED + 4000, 0, 200 },
			   (struct moved){ FIXED + 4096, 0, 104 }),
		 0);
	check_eq("a copy to a hole",
		 fault_bad(string_movs,
			   (struct moved){ ABSENT - 400, FIRST + 2, 150 },
			   (struct moved){ ABSENT, FIRST + 402, 50 }),
		 0);
	/* An element on the last page and the hole is not begun. */
	check_eq("a copy from a hole",
		 fault_bad(string_movs,
			   (struct moved){ FIRST, ABSENT - 402, 150 },
			   (struct moved){ FIRST + 400, ABSENT - 2, 50 }),
		 0);
}

/* ---- Code ---- */

/* A copy puts code on two pages, which is run. */
static void test_code(void)
{
	static const u8 code[] = { 0xb8, 0, 0, 0, 0, 0xc3 }; /* mov eax; ret */
	u32 (*fn[])(void) = { (u32(*)(void))(SECOND - 64),
			      (u32(*)(void))(SECOND + 64) };
	u32 bad = 0;

	for (u32 k = 0; k < TIMES; k++) {
		u64 rdi = SECOND - 128, rsi = FIXED, rcx = 256;
		u8 *p = (u8 *)FIXED;

		for (u32 b = 0; b < sizeof code; b++)
			p[64 + b] = p[192 + b] = code[b];
		p[65] = (u8)k;
		p[193] = (u8)(k + 1);
		movs_8(&rdi, &rsi, &rcx);
		bad += fn[0]() != (u8)k;
		bad += fn[1]() != (u8)(k + 1);
	}
	check_eq("code on two pages is overwritten", bad, 0);
}

extern u8 string_self[];
u32 string_runs(u64 count, u64 value);
__asm__(".pushsection .text\n"
	".balign 4096\n"
	".skip 4096 - 32\n"
	"string_runs:\n"
	"	mov %rdi, %rcx\n"
	"	mov %esi, %eax\n"
	"	lea string_self(%rip), %rdi\n"
	"	rep stosb\n"
	"	jmp 1f\n"
	".balign 4096\n"
	"1:	jmp 2f\n"
	"string_self:\n"
	"	.skip 64, 0x90\n" /* nop */
	"2:	mov string_self(%rip), %al\n"
	"	movzbl %al, %eax\n"
	"	ret\n"
	".popsection\n");

static void test_self(void)
{
	u32 bad = 0;

	for (u32 k = 0; k < TIMES; k++)
		bad += string_runs(1 + k % 64, 0x90 + k % 8) != 0x90 + k % 8;
	check_eq("a fill of its own neighbourhood", bad, 0);
}

void test(void)
{
	map();
	test_movs();
	test_stos();
	test_down();
	test_faults();
	test_code();
	test_self();
}
