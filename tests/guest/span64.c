/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Operands near each other, and flags that nobody reads but a fault: what a
 * translator that looks up several operands at once, keeps flags back or
 * unrolls loops must not be seen to do.
 *
 * Three linear pages: one, then another that is not its neighbour in memory,
 * then none; behind a gap one that cannot be written.
 */
#include "tests/guest/guest.h"

#define P BIT(0)
#define W BIT(1)

#define FIRST  0x4000000000ULL
#define SECOND (FIRST + 4096)
#define ABSENT (FIRST + 2 * 4096)
#define FIXED  (FIRST + 4 * 4096) /* read-only */

#define LAPIC 0xfee00000ULL

#define EDGE 256 /* bytes of a page that are used, at both ends */

#define TIMES 200 /* often enough for a translation */

#define CF    BIT(0)
#define PF    BIT(2)
#define AF    BIT(4)
#define ZF    BIT(6)
#define SF    BIT(7)
#define OF    BIT(11)
#define ARITH (CF | PF | AF | ZF | SF | OF)

static u64 pd[512] __attribute__((aligned(4096)));
static u64 pt[512] __attribute__((aligned(4096)));
static u64 top_pd[512] __attribute__((aligned(4096)));
static u64 top_pt[512] __attribute__((aligned(4096)));
static u8 pages[3][4096] __attribute__((aligned(4096)));

static void map(void)
{
	/* The second: 4 GiB above. */
	boot_pdpt[256] = boot_pdpt[260] = (u64)pd | P | W;
	pd[0] = (u64)pt | P | W;
	pt[0] = (u64)pages[2] | P | W;
	pt[1] = (u64)pages[0] | P | W;
	pt[4] = (u64)pages[1] | P;
	write_cr3(read_cr3());
	for (int n = 0; n < 3; n++)
		for (u32 k = 0; k < 2 * EDGE; k++) {
			u32 at = (k - EDGE) & 4095;

			pages[n][at] = (u8)(at * 7 + (at >> 8) + n * 85);
		}
}

/* ---- Values ---- */

u64 span_sum(u64 at);
void span_stores(u64 at, u64 v);
u64 span_index(u64 at, u64 index);
u64 span_lapic(u64 at);
u64 span_words(u64 at);
u64 span_pushed(u64 at);
__asm__(".pushsection .text\n"
	"span_sum:\n"
	"	mov (%rdi), %rax\n"
	"	rol $3, %rax\n"
	"	add 8(%rdi), %rax\n"
	"	xor -16(%rdi), %rax\n"
	"	add $32, %rdi\n"
	"	add -8(%rdi), %rax\n"
	"	lea -40(%rdi), %rdx\n"
	"	mov %rdx, %r10\n"
	"	sub 1(%r10), %rax\n"
	"	ret\n"
	"span_stores:\n"
	"	mov %rsi, 16(%rdi)\n"
	"	mov %sil, (%rdi)\n"
	"	inc %rdi\n"
	"	add %esi, 3(%rdi)\n"
	"	movw $0x1234, 8(%rdi)\n"
	"	ret\n"
	"span_index:\n"
	"	mov 4(%rdi, %rsi, 4), %eax\n"
	"	add $3, %rsi\n"
	"	add (%rdi, %rsi, 4), %eax\n"
	"	xor -16(%rdi, %rsi, 4), %eax\n"
	"	ret\n"
	"span_lapic:\n" /* version, spurious vector, version */
	"	mov 0x30(%rdi), %eax\n"
	"	shl $32, %rax\n"
	"	mov 0x30(%rdi), %ecx\n"
	"	add %rcx, %rax\n"
	"	mov 0x80(%rdi), %ecx\n"
	"	add %rcx, %rax\n"
	"	ret\n"
	"span_words:\n" /* RSP goes down by 6 */
	"	mov %rsp, %rdx\n"
	"	mov %rdi, %rsp\n"
	"	xor %ecx, %ecx\n"
	"	mov (%rsp, %rcx), %rax\n"
	"	push %rax\n"
	"	popw %si\n"
	"	movzwl (%rsp, %rcx), %eax\n"
	"	mov %rdx, %rsp\n"
	"	ret\n"
	"span_pushed:\n" /* PUSH of 16 bits is the first to look there */
	"	mov %rsp, %rdx\n"
	"	pushw 2(%rdi)\n"
	"	mov 8(%rdi), %rax\n"
	"	mov %rdx, %rsp\n"
	"	ret\n"
	".popsection\n");

static u8 byte_at(u64 va)
{
	u8 *p = va < SECOND ? pages[2] : pages[0];

	return p[va & 4095];
}

static u64 load(u64 va, u32 size)
{
	u64 v = 0;

	for (u32 n = 0; n < size; n++)
		v |= (u64)byte_at(va + n) << 8 * n;
	return v;
}

static u64 want_sum(u64 at)
{
	u64 v = load(at, 8);

	v = v << 3 | v >> 61;
	v += load(at + 8, 8);
	v ^= load(at - 16, 8);
	v += load(at + 24, 8);
	return v - load(at - 7, 8);
}

static void test_values(void)
{
	u32 bad = 0;

	map();
	for (int round = 0; round < 3; round++)
		for (u64 at = SECOND - 200; at < SECOND + 200; at++)
			bad += span_sum(at) != want_sum(at);
	check_eq("sums over the end of a page", bad, 0);
	for (int round = 0; round < 3; round++)
		for (u64 at = SECOND - 200; at < SECOND + 200; at++) {
			u32 v = (u32)load(at + 4, 4);

			v += (u32)load(at + 12, 4);
			v ^= (u32)load(at - 4, 4);
			bad += (u32)span_index(at - 8, 2) != v;
		}
	check_eq("... with an index", bad, 0);
	for (int n = 0; n < TIMES; n++)
		bad += span_words(SECOND) != load(SECOND + 2, 2);
	check_eq("... by a stack of words", bad, 0);
	for (u32 n = 0; n < TIMES; n++) {
		u64 at = (n & 1 ? SECOND : FIRST) + 64;

		bad += span_sum(SECOND + FIRST + 128 - at) !=
		       want_sum(SECOND + FIRST + 128 - at);
		bad += span_pushed(at) != load(at + 8, 8);
	}
	check_eq("... behind a push of 16 bits", bad, 0);
}

/* ---- Displacements at the end of their range ---- */

u64 far_base(u64 at);
u64 far_index(u64 at, u64 index);
u64 far_lea(void);
u64 far_lea32(void);
u64 far_rip(void);
extern char far_lea_at[], far_rip_at[];
__asm__(".pushsection .text\n"
	"far_base:\n"
	"	mov -0x80000000(%rdi), %rax\n"
	"	sub $16, %rdi\n"
	"	add -0x80000000(%rdi), %rax\n"
	"	ret\n"
	"far_index:\n"
	"	mov -0x80000000(%rdi, %rsi, 2), %rax\n"
	"	sub $16, %rdi\n"
	"	add -0x80000000(%rdi, %rsi, 2), %rax\n"
	"	ret\n"
	".balign 4096\n"
	".skip 4096 - 256\n" /* the farther from a page's start the better */
	"far_lea:\n"
	"	.byte 0x48, 0x8d, 0x05, 0xf0, 0xff, 0xff, 0x7f\n"
	"far_lea_at:\n"
	"	ret\n"
	"far_lea32:\n"
	"	.byte 0x67, 0x48, 0x8d, 0x05, 0xf0, 0xff, 0xff, 0x7f\n"
	"	ret\n"
	"far_rip:\n" /* what is mapped at 2 GiB is what is at 0 */
	"	.byte 0x48, 0x8b, 0x05, 0xf0, 0xff, 0xff, 0x7f\n"
	"far_rip_at:\n"
	"	.byte 0x48, 0x03, 0x05, 0xf8, 0xff, 0xff, 0x7f\n"
	"	ret\n"
	".popsection\n");

static void test_far(void)
{
	u64 at = FIRST + 2048, lea = (u64)far_lea_at + 0x7ffffff0;
	u64 rip = *(u64 *)(far_rip_at - 16) + *(u64 *)(far_rip_at - 1);
	u32 bad = 0;

	map();
	for (u32 n = 0; n < 4096 / 8; n++)
		((u64 *)pages[2])[n] = n * 0x0123456789abcdefULL;
	/* Where one that is not in range must not be looked for. */
	boot_pml4[511] = (u64)boot_pdpt | P | W;
	boot_pdpt[509] = (u64)top_pd | P | W;
	top_pd[511] = (u64)top_pt | P | W;
	top_pt[511] = (u64)pages[0] | P | W;
	write_cr3(read_cr3());
	for (int n = 0; n < TIMES; n++)
		bad += far_base(at + 0x80000000) !=
		       load(at, 8) + load(at - 16, 8);
	check_eq("the lowest displacement and one below", bad, 0);
	for (int n = 0; n < TIMES; n++)
		bad += far_index(at + 0x80000000 - 16, 8) !=
		       load(at, 8) + load(at - 16, 8);
	check_eq("... with an index", bad, 0);
	for (int n = 0; n < TIMES; n++) {
		bad += far_lea() != lea;
		bad += far_lea32() != (u32)(lea + 9);
	}
	check_eq("the highest displacement from RIP", bad, 0);
	for (int n = 0; n < TIMES; n++)
		bad += far_rip() != rip;
	check_eq("... of operands near each other", bad, 0);
	boot_pml4[511] = 0;
	write_cr3(read_cr3());
}

static void test_stores(void)
{
	u32 bad = 0;

	for (u64 at = SECOND - 100; at < SECOND + 100; at += 3) {
		u64 v = 0x1122334455667788ULL * (at | 1);
		u32 sum;

		map();
		sum = (u32)load(at + 4, 4) + (u32)v;
		span_stores(at, v);
		bad += load(at + 16, 8) != v;
		bad += load(at, 1) != (v & 0xff);
		bad += load(at + 4, 4) != sum;
		bad += load(at + 9, 2) != 0x1234;
	}
	check_eq("stores over the end of a page", bad, 0);
}

static void test_device(void)
{
	u32 version = *(volatile u32 *)(LAPIC + 0x30);
	u32 tpr = *(volatile u32 *)(LAPIC + 0x80), bad = 0;

	for (int n = 0; n < TIMES; n++)
		bad += span_lapic(LAPIC) !=
		       ((u64)version << 32) + version + tpr;
	check_eq("operands in a device", bad, 0);
}

/* ---- Loops ---- */

u64 loop_sum(u64 at, u64 n, u64 v);
void loop_stores(u64 at, u64 n, u64 v);
u64 loop_bytes(u64 at, u64 n, u64 v);
__asm__(".pushsection .text\n"
	"loop_sum:\n"
	"	mov %rdx, %rax\n"
	"1:	rol $1, %rax\n"
	"	add (%rdi), %rax\n"
	"	add $8, %rdi\n"
	"	dec %rsi\n"
	"	jnz 1b\n"
	"	ret\n"
	"loop_stores:\n"
	"1:	mov %rdx, (%rdi)\n"
	"	add %esi, 12(%rdi)\n"
	"	add $24, %rdi\n"
	"	inc %rdx\n"
	"	sub $1, %rsi\n"
	"	jne 1b\n"
	"	ret\n"
	"loop_bytes:\n" /* the flags of the comparison come last */
	"	xor %ecx, %ecx\n"
	"	mov %rdx, %rax\n"
	"1:	movzbl (%rdi, %rcx), %edx\n"
	"	adc %rdx, %rax\n"
	"	inc %rcx\n"
	"	cmp %rsi, %rcx\n"
	"	jne 1b\n"
	"	adc $0, %rax\n"
	"	ret\n"
	".popsection\n");

static u64 want_bytes(u64 at, u64 n, u64 v)
{
	for (u64 k = 0; k < n; k++) {
		u64 carry = k && k < n; /* rcx was less than rsi */

		v += byte_at(at + k) + carry;
	}
	return v; /* equal: no carry */
}

/* Rounds of a loop look up pages together; its ends, and the page's, come
 * anywhere. */
static void test_loops(void)
{
	u32 bad = 0;

	map();
	for (u64 k = 0; k < 3 * TIMES; k++) {
		u64 n = 1 + k % 23, at = SECOND - k % 97, v = k << 40;

		for (u64 b = 0; b < n; b++)
			v = (v << 1 | v >> 63) + load(at + 8 * b, 8);
		bad += loop_sum(at, n, k << 40) != v;
		bad += loop_bytes(at, n, k) != want_bytes(at, n, k);
	}
	check_eq("loops that load over the end of a page", bad, 0);
	for (u64 k = 0; k < 3 * TIMES; k++) {
		u64 n = 1 + k % 9, at = SECOND - k % 101, old[9];

		for (u64 b = 0; b < n; b++)
			old[b] = load(at + 24 * b + 12, 4);
		loop_stores(at, n, k * 0x100000001);
		for (u64 b = 0; b < n; b++) {
			bad += load(at + 24 * b, 8) != k * 0x100000001 + b;
			bad += load(at + 24 * b + 12, 4) !=
			       (u32)(old[b] + (n - b));
		}
	}
	check_eq("... that store", bad, 0);
}

/* ---- Faults ---- */

extern char fault_cmp_at[], fault_add_at[], fault_and_at[], fault_gone_at[],
	fault_store_at[], fault_loop_at[], fault_side_at[], fault_stores_at[];
void fault_cmp(void *at);
void fault_add(void *at);
void fault_and(void *at);
void fault_gone(void *at);
void fault_store(void *at);
void fault_loop(void *at);
void fault_side(void *at);
void fault_stores(void *at);
__asm__(".pushsection .text\n"
	"fault_cmp:\n"
	"	mov $5, %eax\n"
	"	mov $0x80000007, %ecx\n"
	"	cmp %ecx, %eax\n"
	"	mov -8(%rdi), %rdx\n"
	"fault_cmp_at:\n"
	"	mov (%rdi), %rdx\n"
	"	ret\n"
	"fault_add:\n"
	"	mov $0x7fffffff, %eax\n"
	"	add $1, %eax\n"
	"fault_add_at:\n"
	"	mov (%rdi), %rdx\n"
	"	ret\n"
	"fault_and:\n"
	"	mov $0x80, %eax\n"
	"	mov $0xf0, %edx\n"
	"	and %edx, %eax\n"
	"	stc\n"
	"	sbb %ecx, %ecx\n" /* CF, SF, PF, AF */
	"fault_and_at:\n"
	"	mov (%rdi), %rdx\n"
	"	ret\n"
	"fault_gone:\n" /* what was compared is no longer there */
	"	mov $9, %eax\n"
	"	mov $9, %ecx\n"
	"	cmp %eax, %ecx\n"
	"	mov $1, %ecx\n"
	"	mov -8(%rdi), %rax\n"
	"fault_gone_at:\n"
	"	mov (%rdi), %rdx\n"
	"	ret\n"
	"fault_store:\n"
	"	mov (%rdi), %rax\n"
	"	mov 8(%rdi), %rdx\n"
	"	cmp %rdi, %rdi\n"
	"fault_store_at:\n"
	"	mov %rax, 8(%rdi)\n"
	"	ret\n"
	"fault_loop:\n" /* 20 bytes that are there, then one that is not */
	"	mov %rdi, %rsi\n"
	"	sub $20, %rdi\n"
	"	add $100, %rsi\n"
	"	xor %ecx, %ecx\n"
	"1:	inc %rcx\n"
	"	cmp %rsi, %rdi\n"
	"fault_loop_at:\n"
	"	movzbl (%rdi), %eax\n"
	"	inc %rdi\n"
	"	cmp %rsi, %rdi\n"
	"	jne 1b\n"
	"	ret\n"
	"fault_stores:\n" /* the second round's, on two pages */
	"	sub $50, %rdi\n"
	"	mov $7, %ecx\n"
	"1:	mov %rdi, (%rdi)\n"
	"	xor %ecx, 8(%rdi)\n"
	"	add $24, %rdi\n"
	"	sub $5, %ecx\n"
	"fault_stores_at:\n"
	"	or %ecx, (%rdi)\n"
	"	cmp $-100, %ecx\n"
	"	jne 1b\n"
	"	ret\n"
	"fault_side:\n" /* behind a jump that is not made */
	"	mov $3, %eax\n"
	"	cmp $4, %eax\n"
	"	je 2f\n"
	"fault_side_at:\n"
	"	mov (%rdi), %rdx\n"
	"2:	ret\n"
	".popsection\n");

static const struct fault {
	const char *name;
	void (*fn)(void *);
	const char *at;
	u64 va, cr2, code, flags;
} faults[] = {
	{ "a comparison before a fault", fault_cmp, fault_cmp_at, ABSENT,
	  ABSENT, 0, CF | AF },
	{ "an addition before a fault", fault_add, fault_add_at, ABSENT, ABSENT,
	  0, OF | SF | AF | PF },
	{ "a subtraction with borrow before a fault", fault_and, fault_and_at,
	  ABSENT, ABSENT, 0, CF | SF | AF | PF },
	{ "a comparison of what has changed before a fault", fault_gone,
	  fault_gone_at, ABSENT, ABSENT, 0, ZF | PF },
	{ "a store behind loads of a page that is read-only", fault_store,
	  fault_store_at, FIXED, FIXED + 8, 3, ZF | PF },
	{ "a loop that runs into a fault", fault_loop, fault_loop_at, ABSENT,
	  ABSENT, 0, CF | SF | PF | AF },
	{ "a loop that stores until it faults", fault_stores, fault_stores_at,
	  ABSENT, ABSENT, 2, CF | SF | AF },
	{ "a jump that is not made before a fault", fault_side, fault_side_at,
	  ABSENT, ABSENT, 0, CF | SF | PF | AF },
};

static void test_faults(void)
{
	for (u32 n = 0; n < ARRAY_SIZE(faults); n++) {
		const struct fault *f = &faults[n];
		u32 bad = 0;

		map();
		for (int k = 0; k < TIMES && !bad; k++) {
			if (try_call(f->fn, (void *)f->va))
				bad |= 1;
			bad |= exc.vector != 14 ? 2 : 0;
			bad |= exc.code != f->code ? 4 : 0;
			bad |= exc.cr2 != f->cr2 ? 8 : 0;
			bad |= exc.rip != (u64)f->at ? 16 : 0;
			bad |= (exc.rflags & ARITH) != f->flags ? 32 : 0;
		}
		check_eq(f->name, bad, 0);
		if (bad & 32)
			check_eq("... flags", exc.rflags & ARITH, f->flags);
	}
}

/* ---- Code ---- */

u32 changes_itself(u64 value);
__asm__(".pushsection .text\n"
	".balign 64\n"
	"changes_itself:\n"
	"	lea 1f(%rip), %rdx\n"
	"	movb $0x55, -1(%rdx)\n"
	"	movb %dil, 1(%rdx)\n"
	"	jmp 1f\n"
	"	.byte 0\n"
	"1:	mov $1, %al\n"
	"	movzbl %al, %eax\n"
	"	ret\n"
	".popsection\n");

static void test_code(void)
{
	u32 bad = 0;

	for (u32 n = 0; n < TIMES; n++)
		bad += changes_itself(n) != (u8)n;
	check_eq("a second store near the first changes code", bad, 0);
}

/* A descriptor that is an operand of code, too: loading it sets its accessed
 * bit.  Who calls that returns to code that has changed. */
#define DESCRIPTOR 0x00cf92000000ffffULL
#define ACCESSED   BIT(40)

u64 loads_segment(u32 loads);
extern u64 loads_segment_data;

struct {
	u16 limit;
	u64 base;
} __attribute__((packed)) segment_old, segment_new;

__asm__(".pushsection .text\n"
	".balign 4096\n"
	"loads_segment:\n"
	"	call segment_load\n"
	"	movabs $0x00cf92000000ffff, %rax\n"
	"loads_segment_data = . - 8\n"
	"	ret\n"
	".balign 4096\n"
	"segment_load:\n"
	"	test %edi, %edi\n"
	"	jz 1f\n"
	"	mov %ds, %edx\n"
	"	mov $8, %eax\n"
	"	lgdt segment_new\n"
	"	mov %eax, %ds\n"
	"	lgdt segment_old\n"
	"	mov %edx, %ds\n"
	"1:	ret\n"
	".popsection\n");

static void test_segment(void)
{
	u32 bad = 0;

	__asm__ volatile("sgdt %0" : "=m"(segment_old));
	segment_new.base = (u64)&loads_segment_data - 8;
	segment_new.limit = 15;
	for (u32 n = 0; n < TIMES; n++)
		bad += loads_segment(0) != DESCRIPTOR;
	for (u32 n = 0; n < TIMES / 4; n++) {
		for (u32 k = 0; k < 8; k++)
			bad += loads_segment(0) != DESCRIPTOR;
		bad += loads_segment(1) != (DESCRIPTOR | ACCESSED);
		bad += loads_segment(0) != (DESCRIPTOR | ACCESSED);
		loads_segment_data = DESCRIPTOR;
	}
	check_eq("a segment's accessed bit changes code", bad, 0);
}

/* ---- Jumps ---- */

/* Code on another page is another's after its page has been exchanged. */
static void test_jumps(void)
{
	u32 (*fn)(void) = (u32(*)(void))SECOND;
	static const u8 code[] = { 0xb8, 0, 0, 0, 0, 0xc3 }; /* mov eax; ret */
	u32 bad = 0;

	map();
	for (int n = 0; n < 2; n++) {
		for (u32 k = 0; k < sizeof code; k++)
			pages[n][k] = code[k];
		pages[n][1] = (u8)(n + 1);
	}
	for (u32 n = 0; n < 4 * TIMES; n++) {
		u32 which = n / TIMES & 1;

		if (n % TIMES == 0) {
			pt[1] = (u64)pages[which] | P | W;
			if (n / TIMES & 2)
				write_cr3(read_cr3());
			else
				invlpg(SECOND);
		}
		bad += fn() != which + 1;
	}
	check_eq("calls to a page that is exchanged", bad, 0);
}

void test(void)
{
	test_values();
	test_far();
	test_stores();
	test_loops();
	test_device();
	test_faults();
	test_code();
	test_segment();
	test_jumps();
}
