/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Benchmarks: integers and control flow.
 */
#include "tests/bench/rows.h"

#include <stdlib.h>
#include <string.h>

/* ---- integers */

u64 row_alu(void)
{
	u64 a = 1, b = 2, c = 3;

	for (u32 i = 0; i < ROW_OPS_alu; i++) {
		a += b ^ i;
		b = (b << 7 | b >> 57) - c;
		c ^= a >> 3;
	}
	return row_mix(a ^ b, c);
}

u64 row_muldiv(void)
{
	u64 x = 0x123456789abcdefu, sum = 0;
	u32 y = 77;

	for (u32 i = 1; i <= ROW_OPS_muldiv; i++) {
		x = x * 6364136223846793005u + i;
		y = (u32)(x >> 32) / (i | 1) + y % 1009;
		sum += y;
	}
	return row_mix(sum, x);
}

u64 row_collatz(void)
{
	u64 steps = 0;

	for (u64 i = 1; i <= ROW_OPS_collatz; i++) {
		for (u64 n = i; n != 1; steps++) {
			if (n & 1)
				n = 3 * n + 1;
			else
				n >>= 1;
		}
	}
	return steps;
}

static u32 int_right(u32 x, int by)
{
	return x >> by | x << (32 - by);
}

/* A block of 64 bytes in the manner of SHA-2, with constants of our own. */
static void int_compress(u32 s[8], const u32 block[16], const u32 k[64])
{
	u32 w[64], t[8];

	memcpy(w, block, 64);
	for (int i = 16; i < 64; i++) {
		u32 x = w[i - 15], y = w[i - 2];

		w[i] = w[i - 16] + w[i - 7] +
		       (int_right(x, 7) ^ int_right(x, 18) ^ x >> 3) +
		       (int_right(y, 17) ^ int_right(y, 19) ^ y >> 10);
	}
	memcpy(t, s, sizeof t);
	for (int i = 0; i < 64; i++) {
		u32 e = t[4], a = t[0];
		u32 one =
			t[7] + k[i] + w[i] + ((e & t[5]) ^ (~e & t[6])) +
			(int_right(e, 6) ^ int_right(e, 11) ^ int_right(e, 25));
		u32 two =
			((a & t[1]) ^ (a & t[2]) ^ (t[1] & t[2])) +
			(int_right(a, 2) ^ int_right(a, 13) ^ int_right(a, 22));

		t[7] = t[6], t[6] = t[5], t[5] = t[4], t[4] = t[3] + one;
		t[3] = t[2], t[2] = t[1], t[1] = t[0], t[0] = one + two;
	}
	for (int i = 0; i < 8; i++)
		s[i] += t[i];
}

u64 row_sha(void)
{
	u32 s[8] = { 1, 2, 3, 4, 5, 6, 7, 8 }, block[16], k[64];
	u64 random = 42;

	for (int i = 0; i < 64; i++)
		k[i] = (u32)row_random(&random);
	for (int i = 0; i < 16; i++)
		block[i] = (u32)row_random(&random);
	for (int i = 0; i < ROW_OPS_sha; i++) {
		int_compress(s, block, k);
		block[i & 15] ^= s[0];
	}
	return (u64)s[0] << 32 | s[7];
}

static int int_compare(const void *a, const void *b)
{
	u32 x, y;

	memcpy(&x, a, sizeof x);
	memcpy(&y, b, sizeof y);
	return (x > y) - (x < y);
}

u64 row_qsort(void)
{
	static u32 v[ROW_OPS_qsort];
	u64 random = 7, digest = 0;

	for (int i = 0; i < ROW_OPS_qsort; i++)
		v[i] = (u32)row_random(&random);
	qsort(v, ROW_OPS_qsort, sizeof *v, int_compare);
	for (int i = 0; i < ROW_OPS_qsort; i += 64)
		digest = row_mix(digest, v[i]);
	return digest;
}

/* Matches of four bytes and more through a table of where such bytes were
 * last: literals with their number in front, matches as length and distance. */
static u32 int_pack(const u8 *in, u32 size, u8 *out)
{
	static u32 last[4096];
	u32 at = 0, from = 0, n = 0;

	memset(last, 0, sizeof last);
	while (at + 4 <= size) {
		u32 word, other, slot, back, len = 0;

		memcpy(&word, in + at, 4);
		slot = word * 2654435761u >> 20;
		back = last[slot];
		last[slot] = at + 1;
		if (back) {
			memcpy(&other, in + back - 1, 4);
			len = other == word && at + 1 - back < 65536 ? 4 : 0;
		}
		if (!len) {
			at++;
			continue;
		}
		while (at + len < size && len < 255 &&
		       in[back - 1 + len] == in[at + len])
			len++;
		while (from < at) {
			u32 run = at - from < 127 ? at - from : 127;

			out[n++] = (u8)run;
			memcpy(out + n, in + from, run);
			n += run;
			from += run;
		}
		out[n++] = 128;
		out[n++] = (u8)len;
		out[n++] = (u8)(at + 1 - back);
		out[n++] = (u8)((at + 1 - back) >> 8);
		from = at += len;
	}
	return n;
}

u64 row_lz(void)
{
	static const char *const words[8] = { "guest ",  "page ", "of the ",
					      "memory ", "is ",   "translated ",
					      "not ",    "and " };
	static u8 in[ROW_OPS_lz + 16], out[2 * ROW_OPS_lz];
	u64 random = 99, digest;
	u32 n = 0;

	while (n < ROW_OPS_lz) {
		u64 r = row_random(&random);
		const char *word = words[r & 7];

		while (*word && n < ROW_OPS_lz)
			in[n++] = (u8)*word++;
		if (!(r >> 8 & 7))
			in[n++] = (u8)(r >> 16);
	}
	n = int_pack(in, ROW_OPS_lz, out);
	digest = n;
	for (u32 i = 0; i < n; i += 16)
		digest = row_mix(digest, out[i]);
	return digest;
}

/* ---- control flow */

static __attribute__((noinline)) u64 int_fib(u32 n)
{
	return n < 2 ? n : int_fib(n - 1) + int_fib(n - 2);
}

u64 row_fib(void)
{
	return int_fib(22); /* 28657 calls with n < 2 */
}

struct int_record {
	struct int_record *next;
	int kind, count;
	char name[32];
};

static __attribute__((noinline)) int int_same(const char *a, const char *b,
					      int kind)
{
	return strcmp(a, b) > 0 ? kind + 1 : kind & 3;
}

static __attribute__((noinline)) void int_step(struct int_record *r, int i)
{
	struct int_record *next = r->next;

	*next = *r;
	next->next = r;
	next->kind = (r->kind + i) & 7;
	next->count +=
		int_same(next->name, "a record of some kind, 7", next->kind);
	switch (next->kind) {
	case 0: next->count ^= i; break;
	case 1:
	case 5: next->count += 3; break;
	case 2: next->count -= i; break;
	case 7: strcpy(next->name, "a record of some kind, 8"); break;
	default: strcpy(next->name, "a record of some kind, 6"); break;
	}
}

u64 row_dhry(void)
{
	struct int_record a = { 0 }, b = { 0 };
	char text[32] = "";

	a.next = &b;
	b.next = &a;
	strcpy(a.name, "a record of some kind, 7");
	for (int i = 0; i < ROW_OPS_dhry; i++) {
		int_step(i & 1 ? &b : &a, i);
		text[i % 24] = (char)('a' + i % 26);
		a.count += (int)strlen(text) + int_same(text, a.name, i);
	}
	return row_mix((u64)(unsigned)a.count << 32 | (unsigned)b.count,
		       (u8)a.name[23]);
}

/* A machine with an accumulator, sixteen cells and indirect jumps. */
enum { OP_LOAD, OP_STORE, OP_ADD, OP_XOR, OP_SHIFT, OP_CONST, OP_LOOP };

u64 row_bytecode(void)
{
	static const void *const labels[] = { &&load,  &&store,    &&add, &&xor,
					      &&shift, &&constant, &&loop };
	static const u8 code[] = { OP_LOAD,  1, OP_ADD,   2, OP_STORE, 1,
				   OP_SHIFT, 5, OP_XOR,   3, OP_STORE, 3,
				   OP_CONST, 9, OP_ADD,   3, OP_STORE, 2,
				   OP_LOAD,  4, OP_XOR,   2, OP_SHIFT, 3,
				   OP_ADD,   4, OP_STORE, 4, OP_LOOP,  0 };
	u64 cell[16] = { 0, 1, 2, 3, 4 }, acc = 0;
	int left = ROW_OPS_bytecode;
	const u8 *at = code;

#define NEXT()                                        \
	do {                                          \
		const u8 *op = at;                    \
		if (!left--)                          \
			return row_mix(acc, cell[2]); \
		at += 2;                              \
		arg = op[1];                          \
		goto *labels[*op];                    \
	} while (0)
	u8 arg;

	NEXT();
load:
	acc = cell[arg];
	NEXT();
store:
	cell[arg] = acc;
	NEXT();
add:
	acc += cell[arg];
	NEXT();
	xor : acc ^= cell[arg];
	NEXT();
shift:
	acc = acc << arg | acc >> (64 - arg);
	NEXT();
constant:
	acc += arg;
	NEXT();
loop:
	at = code;
	NEXT();
#undef NEXT
}

/* Loops over the end of a page: between two instructions, and inside one. */
u64 int_beside(u64 n, u64 sum);
u64 int_across(u64 n, u64 sum);
__asm__(".pushsection .text\n"
	".balign 4096\n"
	".skip 4096 - 3 - 6\n"
	"int_beside:\n"
	"	mov %rsi, %rax\n"
	"1:	add %rdi, %rax\n"
	"	xor %rdi, %rax\n"
	"	rol $5, %rax\n" /* on the next page */
	"	dec %edi\n"
	"	jnz 1b\n"
	"	ret\n"
	".balign 4096\n"
	".skip 4096 - 3 - 6\n"
	"int_across:\n"
	"	mov %rsi, %rax\n"
	"1:	add %rdi, %rax\n"
	"	rol $5, %rax\n" /* its last byte is on the next page */
	"	dec %edi\n"
	"	jnz 1b\n"
	"	ret\n"
	".popsection\n");

u64 row_xpage(void)
{
	return int_beside(ROW_OPS_xpage, 1);
}

u64 row_straddle(void)
{
	return int_across(ROW_OPS_straddle, 1);
}
