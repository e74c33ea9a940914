/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Two processors, one of which changes what the other one uses meanwhile: its
 * code, by stores that a translator makes without a look at the page each
 * time; the pages that it stores to and calls; their accessed and dirty bits.
 *
 * Spec: SDM 3A "Handling Self- and Cross-Modifying Code", "Propagation of
 * Paging-Structure Changes to Multiple Processors".
 */
#include "tests/guest/smp.h"

#define P BIT(0)
#define W BIT(1)
#define A BIT(5)
#define D BIT(6)

#define DATA_VA 0x4000000000ULL
#define CODE_VA (DATA_VA + 4096)

#define CHANGES 100

static u64 pd[512] __attribute__((aligned(4096)));
static volatile u64 pt[512] __attribute__((aligned(4096)));
static u64 data[2][512] __attribute__((aligned(4096)));
static u8 code[3][4096] __attribute__((aligned(4096)));

static volatile u32 ap_ready, ap_acks, ap_stop, asked;
static volatile u64 result, calls;
static void (*volatile ap_work)(void);

/* ---- The other processor ---- */

static void on_shootdown(struct regs *r)
{
	invlpg(DATA_VA);
	invlpg(CODE_VA);
	ap_acks++;
	apic_write(APIC_EOI, 0);
}

static void ap_loop(void)
{
	apic_write(APIC_SVR, 0x1ff);
	write_cr3(read_cr3());
	ap_ready = 1;
	for (;;) {
		void (*work)(void) = ap_work;

		if (!work) {
			pause();
			continue;
		}
		__asm__ volatile("sti");
		work();
		__asm__ volatile("cli");
		ap_work = 0;
		ap_ready = 1;
	}
}

static void ap_begin(void (*work)(void))
{
	ap_stop = 0;
	ap_ready = 0;
	ap_work = work;
}

static void ap_end(void)
{
	ap_stop = 1;
	check("... and the other processor ends", wait_for(&ap_ready, 1));
}

/* ---- Code ---- */

void change_by_push(u8 *at, u64 value);
void change_by_words(u8 *at, u64 value);
void change_by_string(u8 *at, u64 value);
__asm__(".pushsection .text\n"
	"change_by_push:\n"
	"	mov %rsp, %rdx\n"
	"	lea 10(%rdi), %rsp\n"
	"	push %rsi\n"
	"	pop %rax\n"
	"	push %rax\n"
	"	mov %rdx, %rsp\n"
	"	ret\n"
	"change_by_words:\n"
	"	mov %rsi, 64(%rdi)\n"
	"	mov %esi, 2(%rdi)\n"
	"	shr $32, %rsi\n"
	"	mov %esi, 6(%rdi)\n"
	"	ret\n"
	"change_by_string:\n"
	"	mov %rsi, %rax\n"
	"	add $2, %rdi\n"
	"	mov $1, %ecx\n"
	"	rep stosq\n"
	"	ret\n"
	".popsection\n");

static void put_code(u8 *at, u64 value)
{
	at[0] = 0x48; /* movabs rax; ret */
	at[1] = 0xb8;
	*(u64 *)(at + 2) = value;
	at[10] = 0xc3;
}

static void ap_calls(void)
{
	while (!ap_stop) {
		if (asked) {
			result = ((u64(*)(void))code[0])();
			asked = 0;
		}
		pause();
	}
}

static void test_code(const char *name, void (*change)(u8 *, u64))
{
	u32 good = 0;

	put_code(code[0], 0);
	ap_begin(ap_calls);
	for (u64 n = 1; n <= CHANGES; n++) {
		u64 v = n * 0x100000001ULL;

		change(code[0], v);
		asked = 1;
		if (!wait_for(&asked, 0))
			break;
		good += result == v;
	}
	check_eq(name, good, CHANGES);
	ap_end();
}

/* ---- Pages ---- */

/* After that the other one has forgotten what was there. */
static bool shoot(int n, u64 entry)
{
	u32 acks = ap_acks;

	pt[n] = entry;
	invlpg(DATA_VA + n * 4096);
	apic_send(1, 0x4060);
	return wait_for(&ap_acks, acks + 1);
}

static void ap_stores(void)
{
	__asm__ volatile("1:	incq (%0)\n"
			 "	mov 8(%0), %%rax\n"
			 "	inc %%rax\n"
			 "	mov %%rax, 8(%0)\n"
			 "	add %%rax, 16(%0)\n"
			 "	cmpl $0, %1\n"
			 "	je 1b\n"
			 :
			 : "r"(DATA_VA), "m"(ap_stop)
			 : "rax", "cc", "memory");
}

static bool changes(volatile u64 *p)
{
	u64 old = *p;

	for (u32 n = 0; n < 400000000; n++) {
		if (*p != old)
			return true;
		pause();
	}
	return false;
}

static void test_pages(void)
{
	u32 good = 0, kept = 0;

	ap_begin(ap_stores);
	for (u32 n = 0; n < CHANGES; n++) {
		volatile u64 *old = data[n & 1], *now = data[~n & 1];
		u64 a, b, c;

		if (!changes(old) || !shoot(0, (u64)now | P | W))
			break;
		a = old[0];
		b = old[1];
		c = old[2];
		if (!changes(now))
			break;
		for (int k = 0; k < 20; k++)
			pause();
		kept += old[0] == a && old[1] == b && old[2] == c;
		good++;
	}
	check_eq("stores go to a page that comes", good, CHANGES);
	check_eq("... and no longer to the one that goes", kept, CHANGES);
	ap_end();
}

static void test_bits(void)
{
	u64 page = pt[0] & ~(A | D);
	u32 good = 0;

	ap_begin(ap_stores);
	for (u32 n = 0; n < CHANGES; n++) {
		if (!shoot(0, page) || !changes((u64 *)(page & ~4095ULL)))
			break;
		good += (pt[0] & (A | D)) == (A | D);
	}
	check_eq("stores set the bits that were cleared", good, CHANGES);
	ap_end();
}

static void ap_calls_page(void)
{
	while (!ap_stop) {
		result = ((u64(*)(void))CODE_VA)();
		calls++;
	}
}

/* Until a call that has begun after this has ended. */
static bool answers(void)
{
	u64 from = calls;

	for (u32 n = 0; n < 400000000; n++) {
		if (calls - from >= 2)
			return true;
		pause();
	}
	return false;
}

static void test_calls(void)
{
	u32 good = 0;

	put_code(code[1], 2);
	put_code(code[2], 1);
	pt[1] = (u64)code[2] | P;
	ap_begin(ap_calls_page);
	for (u32 n = 0; n < CHANGES; n++) {
		if (!answers() || !shoot(1, (u64)code[1 + (n & 1)] | P) ||
		    !answers())
			break;
		good += result == 2 - (n & 1);
	}
	check_eq("calls go to a page that comes", good, CHANGES);
	ap_end();
}

void test(void)
{
	boot_pdpt[256] = (u64)pd | P | W;
	pd[0] = (u64)pt | P | W;
	pt[0] = (u64)data[0] | P | W;
	handlers[0x60] = on_shootdown;
	start_ap(ap_loop);
	check("the other processor starts", wait_for(&ap_ready, 1));
	test_code("code changed by PUSH", change_by_push);
	test_code("code changed by stores near each other", change_by_words);
	test_code("code changed by REP STOS", change_by_string);
	test_pages();
	test_bits();
	test_calls();
}
