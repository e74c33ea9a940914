/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Code that runs from one page into another: what a translator that remembers
 * the way there must not be seen to do, when the other page is changed, goes
 * to another frame, or somebody interrupts.
 */
#include "tests/guest/guest.h"

#define P BIT(0)
#define W BIT(1)

#define FIRST 0x4000000000ULL
#define SPARE 4 /* a frame that is mapped behind the others */

#define TIMES  300 /* often enough for a translation */
#define ROUNDS 40

typedef u64 (*code_fn)(u64 n);

static u64 pd[512] __attribute__((aligned(4096)));
static u64 pt[512] __attribute__((aligned(4096)));
static u8 frames[SPARE + 1][4096] __attribute__((aligned(4096)));

static u64 page(u32 n)
{
	return FIRST + n * 4096;
}

static void map(void)
{
	boot_pdpt[256] = (u64)pd | P | W;
	pd[0] = (u64)pt | P | W;
	for (u32 n = 0; n <= SPARE; n++)
		pt[n] = (u64)frames[n] | P | W;
	write_cr3(read_cr3());
}

static void page_in(u32 n, u32 frame)
{
	pt[n] = (u64)frames[frame] | P | W;
	invlpg(page(n));
}

static u8 *put(u8 *at, const void *bytes, u32 n)
{
	for (u32 i = 0; i < n; i++)
		*at++ = ((const u8 *)bytes)[i];
	return at;
}

#define PUT(at, bytes) put(at, bytes, sizeof(bytes) - 1)

static u8 *put32(u8 *at, u32 v)
{
	return put(at, &v, sizeof v);
}

/* `op` with a distance of 4 bytes. */
static u8 *put_branch(u8 *at, const void *op, u32 n, const u8 *to)
{
	at = put(at, op, n);
	return put32(at, (u32)(to - (at + 4)));
}

#define BRANCH(at, op, to) put_branch(at, op, sizeof(op) - 1, to)

/* A loop with `n` bytes of a piece on the first page, and the rest behind. */
static u8 *loop_begin(u32 n, u8 **ret_fn)
{
	u8 *at = (u8 *)page(1) - n - 2;

	*ret_fn = at;
	return PUT(at, "\x31\xc0"); /* xor eax, eax */
}

static void loop_end(u8 *at, u8 *again)
{
	at = PUT(at, "\xff\xcf");           /* dec edi */
	at = BRANCH(at, "\x0f\x85", again); /* jnz again */
	PUT(at, "\xc3");
}

static u64 run(u8 *fn, u64 n)
{
	return ((code_fn)fn)(n);
}

/* Each instruction lies across the end for some `n`. */
static void test_loops(void)
{
	u64 wrong = 0;

	for (u32 n = 1; n < 14; n++) {
		u8 *fn, *again = loop_begin(n, &fn), *at = again;

		at = PUT(at, "\x05\x03\0\0\0"); /* add eax, 3 */
		at = PUT(at, "\xc1\xc0\x03");   /* rol eax, 3 */
		at = PUT(at, "\xc1\xc8\x02");   /* ror eax, 2 */
		at = PUT(at, "\xd1\xc8");       /* ror eax, 1 */
		loop_end(at, again);
		for (u32 k = 0; k < ROUNDS; k++)
			wrong += run(fn, TIMES) != 3 * TIMES;
	}
	check_eq("loops over the end of a page", wrong, 0);
}

/* The CALL ends the page, or lies across; what it calls is on the same page,
 * or on the one before. */
static void test_calls(void)
{
	static const u8 callee[] = "\x83\xc0\x03\xc3"; /* add eax, 3; ret */
	u64 wrong = 0;

	for (u32 n = 0; n < 12; n++) {
		u8 *near = (u8 *)page(n & 1 ? 1 : 0) + 64;
		u8 *fn, *again, *at;

		put(near, callee, sizeof callee);
		at = (u8 *)page(2) - 2 - n / 2 - 1;
		fn = at;
		again = at = PUT(at, "\x31\xc0");
		at = BRANCH(at, "\xe8", near);
		loop_end(at, again);
		for (u32 k = 0; k < ROUNDS; k++)
			wrong += run(fn, TIMES) != 3 * TIMES;
	}
	check_eq("calls at the end of a page", wrong, 0);
}

/* What comes behind the end depends on the frame that is there, and so does
 * the instruction that lies across. */
static void test_frames(void)
{
	u64 wrong = 0;

	for (u32 n = 1; n < 12; n++) {
		u8 *fn, *again = loop_begin(n, &fn), *at = again, *second;

		at = PUT(at, "\x05\x03\x01\x01\x01"); /* add eax, imm */
		at = PUT(at, "\x05\x04\x02\x02\x02"); /* add eax, imm */
		loop_end(at, again);
		second = (u8 *)page(1);
		put((u8 *)page(SPARE), second, 64);
		/* Other immediates there, as far as they are there. */
		for (u32 i = 0; i < 10; i++)
			if (i >= n && i != 0 && i != 5)
				((u8 *)page(SPARE))[i - n] += 0x10;
		for (u32 k = 0; k < ROUNDS; k++) {
			u32 want = 0, frame = k & 1 ? SPARE : 1;
			u8 *b = frames[frame], all[10];

			page_in(1, frame);
			for (u32 i = 0; i < 10; i++)
				all[i] = i < n ? again[i] : b[i - n];
			want = *(u32 *)(all + 1) + *(u32 *)(all + 6);
			wrong += run(fn, TIMES) != (u32)(want * TIMES);
		}
		page_in(1, 1);
	}
	check_eq("another frame behind the end of a page", wrong, 0);
}

/* A loop on one page writes code on another and calls it. */
static void test_writes(void)
{
	u8 *far = (u8 *)page(2) + 128, *at = (u8 *)page(0) + 256, *fn = at;
	u8 *again;
	u64 wrong = 0;

	PUT(far, "\x05\0\0\0\0\xc3"); /* add eax, imm; ret */
	at = PUT(at, "\x31\xc0\x53"); /* xor eax, eax; push rbx */
	at = PUT(at, "\x48\xbb");     /* mov rbx, far + 1 */
	far++;
	at = put(at, &far, 8);
	far--;
	again = at;
	at = PUT(at, "\x89\x3b"); /* mov [rbx], edi */
	at = BRANCH(at, "\xe8", far);
	at = PUT(at, "\xff\xcf"); /* dec edi */
	at = BRANCH(at, "\x0f\x85", again);
	PUT(at, "\x5b\xc3");
	for (u32 k = 0; k < ROUNDS; k++)
		wrong += run(fn, TIMES) != TIMES * (TIMES + 1) / 2;
	check_eq("code written on another page", wrong, 0);
}

/* A function now and then changes what it returns to, on another page. */
static void test_returns(void)
{
	u8 *far = (u8 *)page(2) + 256, *fn = (u8 *)page(0) + 512, *at = fn;
	u8 *behind;
	u64 wrong = 0;

	at = PUT(at, "\x31\xc0"); /* xor eax, eax */
	at = BRANCH(at, "\xe8", far);
	behind = at;
	at = PUT(at, "\x05\0\0\0\0"); /* add eax, imm */
	PUT(at, "\xc3");
	at = PUT(far, "\x48\xba"); /* mov rdx, behind + 1 */
	behind++;
	at = put(at, &behind, 8);
	/* cmp [rdx], edi; je +2; mov [rdx], edi; ret */
	PUT(at, "\x39\x3a\x74\x02\x89\x3a\xc3");
	for (u64 k = 0; k < TIMES * ROUNDS; k++)
		wrong += run(fn, k / 64) != k / 64;
	check_eq("code changed before it is returned to", wrong, 0);
}

void test(void)
{
	map();
	test_loops();
	test_calls();
	test_frames();
	test_writes();
	test_returns();
	done();
}
