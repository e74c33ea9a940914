/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Code that is rewritten each time before it runs, or while it does, and code
 * that shares its page with what is written: what a translator that gives up
 * watching such pages must not be seen to do.
 *
 * Spec: SDM 3A "Handling Self- and Cross-Modifying Code".
 */
#include "tests/guest/guest.h"

#define P BIT(0)
#define W BIT(1)

#define ALIAS 0x4000000000ULL
#define TIMES 400
#define FRESH 65536 /* bytes */

static u64 pd[512] __attribute__((aligned(4096)));
static u64 pt[512] __attribute__((aligned(4096)));
static u8 page[4096] __attribute__((aligned(4096)));
static u8 fresh[FRESH] __attribute__((aligned(4096)));

typedef u64 fn2(u64 a, u64 b);

static u64 call(const u8 *code, u64 a, u64 b)
{
	return ((fn2 *)code)(a, b);
}

static u64 next_random(void)
{
	static u64 v = 1;

	v = v * 6364136223846793005ULL + 1442695040888963407ULL;
	return v ^ v >> 29;
}

static u8 *put(u8 *at, const void *bytes, u32 n)
{
	for (u32 k = 0; k < n; k++)
		((volatile u8 *)at)[k] = ((const u8 *)bytes)[k];
	return at + n;
}

/* ---- Immediates and displacements ---- */

struct form {
	const char *name;
	u8 head[4]; /* prefix, opcode, ModRM, SIB */
	u8 nhead, nfield;
};

/* On RAX (a), RCX (b), R10 (a) and R11 (b). */
static const struct form forms[] = {
	{ "mov imm32, eax", { 0xb8 }, 1, 4 },
	{ "mov imm32, r10d", { 0x41, 0xba }, 2, 4 },
	{ "mov imm64, rcx", { 0x48, 0xb9 }, 2, 8 },
	{ "mov imm64, r11", { 0x49, 0xbb }, 2, 8 },
	{ "movq imm32, rax", { 0x48, 0xc7, 0xc0 }, 3, 4 },
	{ "movq imm32, r10", { 0x49, 0xc7, 0xc2 }, 3, 4 },
	{ "movl imm32, ecx", { 0xc7, 0xc1 }, 2, 4 },
	{ "movl imm32, r11d", { 0x41, 0xc7, 0xc3 }, 3, 4 },
	{ "movw imm16, cx", { 0x66, 0xb9 }, 2, 2 },
	{ "movb imm8, ch", { 0xb5 }, 1, 1 },
	{ "add imm32, rax", { 0x48, 0x05 }, 2, 4 },
	{ "or imm32, eax", { 0x0d }, 1, 4 },
	{ "adc imm32, rax", { 0x48, 0x15 }, 2, 4 },
	{ "sbb imm32, eax", { 0x1d }, 1, 4 },
	{ "and imm32, rax", { 0x48, 0x25 }, 2, 4 },
	{ "sub imm32, eax", { 0x2d }, 1, 4 },
	{ "xor imm32, rax", { 0x48, 0x35 }, 2, 4 },
	{ "cmp imm32, rax", { 0x48, 0x3d }, 2, 4 },
	{ "test imm32, eax", { 0xa9 }, 1, 4 },
	{ "add imm32, rcx", { 0x48, 0x81, 0xc1 }, 3, 4 },
	{ "or imm32, ecx", { 0x81, 0xc9 }, 2, 4 },
	{ "adc imm32, rcx", { 0x48, 0x81, 0xd1 }, 3, 4 },
	{ "adc imm32, r10", { 0x49, 0x81, 0xd2 }, 3, 4 },
	{ "sbb imm32, r11", { 0x49, 0x81, 0xdb }, 3, 4 },
	{ "sbb imm32, r11d", { 0x41, 0x81, 0xdb }, 3, 4 },
	{ "and imm32, ecx", { 0x81, 0xe1 }, 2, 4 },
	{ "sub imm32, r10", { 0x49, 0x81, 0xea }, 3, 4 },
	{ "xor imm32, ecx", { 0x81, 0xf1 }, 2, 4 },
	{ "cmp imm32, r11", { 0x49, 0x81, 0xfb }, 3, 4 },
	{ "cmp imm32, r10d", { 0x41, 0x81, 0xfa }, 3, 4 },
	{ "test imm32, rcx", { 0x48, 0xf7, 0xc1 }, 3, 4 },
	{ "test imm32, r10", { 0x49, 0xf7, 0xc2 }, 3, 4 },
	{ "add imm8, rcx", { 0x48, 0x83, 0xc1 }, 3, 1 },
	{ "addw imm16, cx", { 0x66, 0x81, 0xc1 }, 3, 2 },
	{ "rol imm8, rax", { 0x48, 0xc1, 0xc0 }, 3, 1 },
	{ "lea disp32(rcx), rax", { 0x48, 0x8d, 0x81 }, 3, 4 },
	{ "lea disp32(rcx), eax", { 0x8d, 0x81 }, 2, 4 },
	{ "lea disp32(r10), r11", { 0x4d, 0x8d, 0x9a }, 3, 4 },
	{ "lea disp32(r11,rax,4), rcx", { 0x49, 0x8d, 0x8c, 0x83 }, 4, 4 },
	{ "lea disp32(rax,r10,2), rax", { 0x4a, 0x8d, 0x84, 0x50 }, 4, 4 },
	{ "lea disp32(,rcx,8), r10", { 0x4c, 0x8d, 0x14, 0xcd }, 4, 4 },
	{ "lea disp32, rcx", { 0x48, 0x8d, 0x0c, 0x25 }, 4, 4 },
	{ "lea disp8(rcx), rax", { 0x48, 0x8d, 0x41 }, 3, 1 },
	{ "lea disp32(ecx), rax", { 0x67, 0x48, 0x8d, 0x81 }, 4, 4 },
	{ "lea disp32(rcx), ax", { 0x66, 0x8d, 0x81 }, 3, 4 },
};

static const u8 before[] = {
	0x48, 0x89, 0xf8,       /* mov rdi, rax */
	0x48, 0x89, 0xf1,       /* mov rsi, rcx */
	0x49, 0x89, 0xfa,       /* mov rdi, r10 */
	0x49, 0x89, 0xf3,       /* mov rsi, r11 */
	0x48, 0x01, 0xff,       /* add rdi, rdi: flags */
	0x48, 0x8b, 0x14, 0x24, /* mov (rsp), rdx */
};

/* The answer is made of all of them, and of the flags but for AF. */
static const u8 behind[] = {
	0x48, 0x8b, 0x14, 0x24,                   /* mov (rsp), rdx */
	0x9c,                                     /* pushf */
	0x5a,                                     /* pop rdx */
	0x48, 0x81, 0xe2, 0xc5, 0x08, 0x00, 0x00, /* and 0x8c5, rdx */
	0x48, 0xc1, 0xc0, 0x07,                   /* rol 7, rax */
	0x48, 0x31, 0xc8,                         /* xor rcx, rax */
	0x48, 0xc1, 0xc0, 0x07,                   /* rol 7, rax */
	0x4c, 0x31, 0xd0,                         /* xor r10, rax */
	0x48, 0xc1, 0xc0, 0x07,                   /* rol 7, rax */
	0x4c, 0x31, 0xd8,                         /* xor r11, rax */
	0x48, 0xc1, 0xc0, 0x07,                   /* rol 7, rax */
	0x48, 0x31, 0xd0,                         /* xor rdx, rax */
	0xc3,                                     /* ret */
};

static void put_form(u8 *at, const struct form *f, u64 value)
{
	at = put(at, before, sizeof before);
	at = put(at, f->head, f->nhead);
	at = put(at, &value, f->nfield);
	put(at, behind, sizeof behind);
}

/* The same where nothing has run before, or not for long. */
static u64 form_fresh(const struct form *f, u64 value, u64 a, u64 b)
{
	static u32 at;

	if (at > FRESH - 256)
		at = 0;
	put_form(fresh + at, f, value);
	at += 128;
	return call(fresh + at - 128, a, b);
}

static void test_form(const struct form *f, u8 *code)
{
	u64 wrong = 0;

	for (u32 n = 0; n < TIMES; n++) {
		u64 a = next_random(), b = next_random(), v = next_random();

		put_form(code, f, v);
		wrong += call(code, a, b) != form_fresh(f, v, a, b);
	}
	check_eq(f->name, wrong, 0);
}

/* ---- More than that ---- */

static void test_opcodes(void)
{
	u64 wrong = 0;

	for (u32 n = 0; n < 8 * TIMES; n++) {
		const struct form *f =
			&forms[next_random() >> 32 & (n & 512 ? 31 : 1)];
		u64 a = next_random(), b = next_random(), v = next_random();

		put_form(page + 64, f, v);
		wrong += call(page + 64, a, b) != form_fresh(f, v, a, b);
	}
	check_eq("other instructions each time", wrong, 0);
}

/* A sum that the function has in its own page. */
static void test_data(void)
{
	static const u8 text[] = {
		0x48, 0x01, 0x3d, 0xf9, 0x00, 0x00, 0x00, /* add rdi, sum */
		0x48, 0x8b, 0x05, 0xf2, 0x00, 0x00, 0x00, /* mov sum, rax */
		0x48, 0x8d, 0x04, 0x70,                   /* lea */
		0xc3,
	};
	u8 *code = page + 1024;
	u64 sum = 0, wrong = 0, zero = 0;

	put(code, text, sizeof text);
	put(code + 256, &zero, 8);
	for (u64 n = 0; n < 4 * TIMES; n++) {
		sum += n;
		wrong += call(code, n, ~n) != sum + 2 * ~n;
		((volatile u8 *)code)[300] = (u8)n;
	}
	check_eq("data beside the code", wrong, 0);
}

/* The store is to what runs next. */
static void test_ahead(void)
{
	static const u8 text[] = {
		0x48, 0x89, 0xf1,                   /* mov rsi, rcx */
		0x89, 0x3d, 0x04, 0x00, 0x00, 0x00, /* mov edi, 1f */
		0x48, 0x8d, 0x49, 0x01,             /* lea 1(rcx), rcx */
		0xb8, 0x00, 0x00, 0x00, 0x00,       /* mov $1f, eax */
		0x48, 0x01, 0xc8,                   /* add rcx, rax */
		0xc3,
	};
	u8 *code = page + 1536;
	u64 wrong = 0;

	put(code, text, sizeof text);
	((volatile u8 *)code)[5] = 5; /* the displacement to the immediate */
	for (u64 n = 0; n < 4 * TIMES; n++) {
		u64 v = next_random();

		wrong += call(code, v, n) != (u32)v + n + 1;
	}
	check_eq("a store to the next instructions", wrong, 0);
}

/* The same where it cannot be read late. */
static void test_ahead_byte(void)
{
	static const u8 text[] = {
		0x48, 0x89, 0xf1,                         /* mov rsi, rcx */
		0x40, 0x88, 0x3d, 0x07, 0x00, 0x00, 0x00, /* mov dil, 1f */
		0x48, 0x8d, 0x49, 0x01,                   /* lea 1(rcx), rcx */
		0x48, 0x83, 0xc1, 0x00,                   /* add $1f, rcx */
		0x48, 0x89, 0xc8,                         /* mov rcx, rax */
		0xc3,
	};
	u8 *code = page + 1792;
	u64 wrong = 0;

	put(code, text, sizeof text);
	for (u64 n = 0; n < 4 * TIMES; n++)
		wrong += call(code, n / 3 & 127, n) != n + 1 + (n / 3 & 127);
	check_eq("... to a byte of them", wrong, 0);
}

/* The same by a push onto a stack that is there. */
static void test_stack_ahead(void)
{
	static const u8 text[] = {
		0x48,
		0x89,
		0xe2, /* mov rsp, rdx */
		0x48,
		0x8d,
		0x25,
		0x09,
		0x00,
		0x00,
		0x00, /* lea 1f, rsp */
		0x57, /* push rdi */
		0x90,
		0x90,
		0x90,
		0x90,
		0x90,
		0x90,
		0x90,
		0x90, /* its bytes */
		/* 1: */
		0x48,
		0x89,
		0xd4, /* mov rdx, rsp */
		0xc3,
	};
	/* lea 0(rsi), rax; nop; nop; nop; nop */
	const u64 lea = 0x9090909000468d48;
	u8 *code = page + 2048;
	u64 wrong = 0;

	put(code, text, sizeof text);
	for (u64 n = 0; n < 4 * TIMES; n++) {
		u64 v = n / 3 & 127;

		wrong += call(code, lea | v << 24, n) != v + n;
	}
	check_eq("a push to the next instructions", wrong, 0);
}

/* A loop whose blocks are near one that is rewritten, and call it. */
static void test_loop(void)
{
	static const u8 text[] = {
		0x31, 0xc0,                         /* xor eax, eax */
		0xe8, 0x09, 0x00, 0x00, 0x00,       /* 1: call 3f */
		0x48, 0xff, 0xcf,                   /* dec rdi */
		0x75, 0xf6,                         /* jnz 1b */
		0xeb, 0x0a,                         /* jmp 4f */
		0x0f, 0x0b,                         /* ud2 */
		0x48, 0x05, 0x00, 0x00, 0x00, 0x00, /* 3: add $?, rax */
		0xeb, 0x02,                         /* jmp 5f */
		0xc3, 0x90,                         /* 4: ret */
		0x48, 0x01, 0xf0,                   /* 5: add rsi, rax */
		0xc3,
	};
	u8 *code = page + 2560;
	u64 wrong = 0;

	put(code, text, sizeof text);
	((volatile u8 *)code)[13] = 10;
	for (u64 n = 1; n < 2 * TIMES; n++) {
		u32 v = next_random() & 0x7fffffff;
		u64 rounds = n % 40 + 1;

		put(code + 18, &v, 4);
		wrong += call(code, rounds, n) != rounds * (v + n);
	}
	check_eq("a loop about what is rewritten", wrong, 0);
}

/* Much longer without a change than with. */
static void test_quiet(void)
{
	static const u8 text[] = {
		0x48, 0x8d, 0x84, 0x37, 0, 0, 0, 0, 0xc3
	}; /* lea */
	u8 *code = page + 3072;
	u64 wrong = 0;
	u32 v = 0;

	put(code, text, sizeof text);
	for (u64 n = 0; n < 70000; n++) {
		if (n < 100 || n % 10000 < 5) {
			v = (u32)n;
			put(code + 4, &v, 4);
		}
		wrong += call(code, n, 1) != n + 1 + v;
	}
	check_eq("code that is rewritten now and then", wrong, 0);
}

/* By another address, and up to the last byte of the page. */
static void test_alias(void)
{
	static const u8 text[] = {
		0x48, 0x8d, 0x84, 0x37, 0, 0, 0, 0, 0xc3
	}; /* lea */
	u8 *code = (u8 *)ALIAS + 4096 - sizeof text;
	u64 wrong = 0;

	boot_pdpt[256] = (u64)pd | P | W;
	pd[0] = (u64)pt | P | W;
	pt[0] = (u64)page | P | W;
	write_cr3(read_cr3());
	put(page + 4096 - sizeof text, text, sizeof text);
	for (u64 n = 0; n < 2 * TIMES; n++) {
		u32 v = next_random() & 0x7fffffff;

		put(page + 4096 - sizeof text + 4, &v, 4);
		wrong += call(code, n, 1) != n + 1 + v;
	}
	pt[0] = (u64)fresh | P | W;
	invlpg(ALIAS);
	put(fresh + 4096 - sizeof text, text, sizeof text);
	for (u64 n = 0; n < 2 * TIMES; n++)
		wrong += call(code, n, 1) != n + 1;
	check_eq("code that is rewritten by another address", wrong, 0);
}

void test(void)
{
	for (u32 n = 0; n < ARRAY_SIZE(forms); n++)
		test_form(&forms[n], page + n % 7);
	test_opcodes();
	test_data();
	test_ahead();
	test_ahead_byte();
	test_stack_ahead();
	test_loop();
	test_quiet();
	test_alias();
	done();
}
