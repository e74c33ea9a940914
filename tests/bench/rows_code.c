/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Benchmarks: code that is written and run.
 */
#include "tests/bench/rows.h"

#include <string.h>
#include <sys/mman.h>

#define CODE_BYTES 65536

static u8 *code_memory(void)
{
	static u8 *p;

	if (!p) {
		p = row_memory(CODE_BYTES);
		if (mprotect(p, CODE_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC))
			row_fail("mprotect");
	}
	return p;
}

static u64 code_call(const u8 *code, u64 arg)
{
	u64 (*fn)(u64);

	memcpy(&fn, &code, sizeof fn);
	return fn(arg);
}

/* An instruction's immediate is rewritten before each call. */
u64 row_smc(void)
{
	static const u8 text[] = {
		0x48, 0x8d, 0x87, 0,    0, 0, 0, /* lea disp32(%rdi), %rax */
		0x48, 0xc1, 0xc0, 0x05,          /* rol $5, %rax */
		0xc3                             /* ret */
	};
	u8 *p = code_memory();
	u64 sum = 1;

	memcpy(p, text, sizeof text);
	for (u32 i = 0; i < ROW_OPS_smc; i++) {
		u32 value = i * 3 & 0xffff;

		memcpy(p + 3, &value, sizeof value);
		__asm__ volatile("" : : : "memory");
		sum = code_call(p, sum);
	}
	return sum;
}

/* 2 KiB that have never been run, run 64 times.  What they do with RSI has
 * never been written before, either; nothing comes of it, so that all calls
 * have one digest. */
u64 row_jit(void)
{
	static u64 fresh = 1;

	/* opcode and ModRM of add, xor, sub, or with RDX and an immediate of
	 * 4 bytes, then one on registers */
	static const u8 modrm[4] = { 0xc2, 0xf2, 0xea, 0xca };
	u8 *p = code_memory();
	u64 random = 17, sum = 0;

	for (u32 i = 0; i < ROW_OPS_jit; i++) {
		u8 *code = p + i * 4096 % CODE_BYTES, *at = code;

		memcpy(at, "\x48\x89\xf8\x48\x89\xfa", 6); /* rax = rdx = rdi */
		at += 6;
		while (at + 24 < code + 2048) {
			u64 r = row_random(&random), f = row_random(&fresh);

			*at++ = 0x48;
			*at++ = 0x81;
			*at++ = 0xc6 | (f & 7) << 3; /* op $imm, %rsi */
			memcpy(at, (u8 *)&f + 4, 4);
			at += 4;

			*at++ = 0x48;
			*at++ = 0x81;
			*at++ = modrm[r & 3];
			memcpy(at, (u8 *)&r + 4, 4);
			at += 4;
			memcpy(at, "\x48\x01\xd0\x48\xd1\xc0", 6);
			at += 6; /* rax += rdx; rax = rol rax, 1 */
		}
		*at = 0xc3;
		__asm__ volatile("" : : : "memory");
		for (u32 n = 0; n < 64; n++)
			sum = code_call(code, sum + n);
	}
	return sum;
}
