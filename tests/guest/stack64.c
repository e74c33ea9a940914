/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Many stacks, a few words on each: what a translator that keeps the pages of
 * some of them must not be seen to do, when one becomes code, goes to another
 * frame or loses its dirty bit while it is kept.
 */
#include "tests/guest/guest.h"

#define P BIT(0)
#define W BIT(1)
#define A BIT(5)
#define D BIT(6)

#define PAGES 20
#define FIRST 0x4000000000ULL

#define TIMES 300 /* often enough for a translation */

static u64 pd[512] __attribute__((aligned(4096)));
static u64 pt[512] __attribute__((aligned(4096)));
static u8 frames[PAGES + 1][4096] __attribute__((aligned(4096)));

static u64 page(u32 n)
{
	return FIRST + n * 4096;
}

/* Neighbours in linear memory are none in frames[]. */
static u32 frame_of(u32 n)
{
	return n * 7 % PAGES;
}

static void map(void)
{
	boot_pdpt[256] = (u64)pd | P | W;
	pd[0] = (u64)pt | P | W;
	for (u32 n = 0; n < PAGES; n++)
		pt[n] = (u64)frames[frame_of(n)] | P | W;
	write_cr3(read_cr3());
}

/* On the stack at `rsp`: three words, of which the answer is made. */
u64 stack_words(u64 rsp, u64 v);
/* One word, which is answered. */
u64 stack_word(u64 rsp, u64 v);
/* n calls deep, each with words of its own. */
u64 stack_deep(u64 rsp, u64 n);
__asm__(".pushsection .text\n"
	"stack_words:\n"
	"	mov %rsp, %rdx\n"
	"	mov %rdi, %rsp\n"
	"	push %rsi\n"
	"	push %rdi\n"
	"	lea 5(%rsi), %rcx\n"
	"	push %rcx\n"
	"	pop %rax\n"
	"	add (%rsp), %rax\n"
	"	xor 8(%rsp), %rax\n"
	"	mov %rdx, %rsp\n"
	"	ret\n"
	"stack_word:\n"
	"	mov %rsp, %rdx\n"
	"	mov %rdi, %rsp\n"
	"	push %rsi\n"
	"	pop %rax\n"
	"	mov %rdx, %rsp\n"
	"	ret\n"
	"stack_deep:\n"
	"	mov %rsp, %rdx\n"
	"	mov %rdi, %rsp\n"
	"	push %rdx\n"
	"	mov $1, %eax\n"
	"	call 1f\n"
	"	pop %rsp\n"
	"	ret\n"
	"1:	push %rsi\n"
	"	push %rax\n"
	"	lea 3(%rax, %rsi), %rax\n"
	"	sub $1, %rsi\n"
	"	jz 2f\n"
	"	call 1b\n"
	"2:	pop %rcx\n"
	"	pop %rsi\n"
	"	lea (%rsi, %rcx, 2), %rcx\n"
	"	rol $1, %rax\n"
	"	add %rcx, %rax\n"
	"	ret\n"
	".popsection\n");

static u64 *word_at(u64 va)
{
	u32 n = (u32)((va - FIRST) / 4096);

	return (u64 *)&frames[frame_of(n)][va & 4095];
}

static u64 random_next(u64 *state)
{
	*state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
	return *state >> 33;
}

/* Within pages, and over their ends. */
static void test_many(void)
{
	u64 state = 1, wrong = 0;

	for (u64 k = 0; k < 20 * TIMES; k++) {
		u64 r = random_next(&state), v = random_next(&state);
		u64 at = page((u32)r % (PAGES - 1) + 1);
		u64 rsp = r & BIT(20) ? at + (r >> 8 & 3) * 8
				      : at + 64 + (r >> 8 & 127) * 8;

		wrong += stack_words(rsp, v) != (((v + 5) + rsp) ^ v);
		wrong += *word_at(rsp - 8) != v || *word_at(rsp - 16) != rsp ||
			 *word_at(rsp - 24) != v + 5;
	}
	check_eq("words on many stacks", wrong, 0);
}

static u64 deep(u64 n, u64 a)
{
	u64 v = n - 1 ? deep(n - 1, a + n + 3) : a + n + 3;

	return (v << 1 | v >> 63) + n + 2 * a;
}

/* Its frames of 24 bytes lie across all ends of pages in time. */
static void test_deep(void)
{
	u64 wrong = 0;

	for (u64 k = 0; k < TIMES; k++)
		wrong += stack_deep(page(PAGES - 1) + k * 8, 100) !=
			 deep(100, 1);
	check_eq("recursion over pages", wrong, 0);
}

/* The page becomes code while another is in use, and is pushed to again. */
static void test_code(void)
{
	u64 at = page(3) + 1024, wrong = 0;
	u8 *code = (u8 *)word_at(at);
	u64 (*fn)(void) = (u64(*)(void))at;

	for (u64 k = 0; k < TIMES; k++) {
		stack_word(page(3) + 512, k);
		code[0] = 0x48; /* mov $k, %rax */
		code[1] = 0xb8;
		*(u64 *)(code + 2) = k;
		code[10] = 0xc3;
		stack_word(page(5) + 512, k);
		wrong += fn() != k;
		stack_word(at + 2 + 8, k + TIMES);
		wrong += fn() != k + TIMES;
		if (k & 1)
			stack_word(page(5) + 512, k);
		stack_word(at + 2 + 8, ~k);
		wrong += fn() != ~k;
	}
	check_eq("a stack that is code", wrong, 0);
}

static void test_other_frame(void)
{
	u64 wrong = 0;

	for (u64 k = 0; k < TIMES; k++) {
		u8 *was = frames[frame_of(6)], *now = frames[PAGES];

		stack_words(page(6) + 512, k);
		if (k & 1)
			stack_words(page(7) + 512, k);
		pt[6] = (u64)now | P | W;
		if (k & 2)
			invlpg(page(6));
		else
			write_cr3(read_cr3());
		stack_words(page(6) + 512, ~k);
		wrong += *(u64 *)&was[504] != k || *(u64 *)&now[504] != ~k;
		pt[6] = (u64)was | P | W;
		invlpg(page(6));
	}
	check_eq("a stack in another frame", wrong, 0);
}

static void test_dirty(void)
{
	u64 wrong = 0;

	for (u64 k = 0; k < TIMES; k++) {
		stack_words(page(9) + 512, k);
		if (k & 1)
			stack_words(page(10) + 512, k);
		wrong += (pt[9] & (A | D)) != (A | D);
		pt[9] &= ~(A | D);
		invlpg(page(9));
		if (k & 2)
			stack_words(page(9) + 8,
				    k); /* most in the page before */
		else
			stack_word(page(9) + 512, k);
		wrong += (pt[9] & (A | D)) != (A | D);
	}
	check_eq("a stack's dirty bit", wrong, 0);
}

void test(void)
{
	map();
	test_many();
	test_deep();
	test_code();
	test_other_frame();
	test_dirty();
	done();
}
