/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Noise for the translator: random bytes, instructions made from the rows of
 * tcg/opcodes*.def and damaged ones as 64-bit code of ring 3 and ring 0, run
 * often enough to be translated, in part storing into their own page.
 *
 * Right results are tests/diff's matter; here nothing may crash or hang.  The
 * last page of RAM is a data page with nothing behind it on the host, so what
 * reaches beyond its page is a fault.  A fault tells the bytes and the seed.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/bytes.h"
#include "lib/err.h"
#include "tcg/decode.h"
#include "tcg/flags.h"
#include "tcg/jit.h"
#include "tcg/tcg.h"
#include "tests/unit/fuzz.h"
#include "tests/unit/host_signals.h"
#include "vmm/accel.h"
#include "vmm/machine.h"

#define RAM_PAGES 32u
#define RAM_SIZE  (RAM_PAGES * PAGE_SIZE)

/* RAM by page; the first one holds descriptors, gates, TSS and handlers. */
#define AT_IDT   0x400u
#define AT_TSS   0x800u
#define AT_STUBS 0xa00u /* one HLT per vector */
#define PG_STACK 1u     /* of ring 0 */
#define PG_PML4  2u
#define PG_USER  3u /* and two more levels */
#define PG_HIGH  6u /* and two more levels */
#define PG_CODE  16u
#define PG_DATA  18u
#define PG_RO    20u
#define PG_EDGE  31u

/* Ring 3 sees what user_map[] says, ring 0 that and all of RAM. */
#define USER_VA   0x400000ULL
#define HIGH_VA   0xffffffff80000000ULL
#define USER_CODE 2u /* page of user_map[] */
/* USER_VA is mapped a second time twice as far away. */
#define FAR 0x80000000ULL

static const struct {
	u8 page;
	u16 bits;
} user_map[] = {
	{ PG_DATA, 0x67 },     { PG_EDGE, 0x67 }, { PG_CODE, 0x67 },
	{ PG_CODE + 1, 0x67 }, { 0, 0 },          { PG_DATA + 1, 0x67 },
	{ PG_RO, 0x65 },       { PG_EDGE, 0x67 }, { PG_DATA, 0x67 },
};

#define RUNS     30 /* beyond the translator's threshold */
#define LOOPS    64 /* of a case that loops by itself */
#define TICK_US  5000
#define TICKS    4    /* of CPU time that a run gets */
#define HANG     2000 /* ticks */
#define CODE_MAX 400u

static struct machine *m;
static struct vcpu *v;
static struct tcg_cpu *c;
static u8 *ram;
static u8 image[RAM_SIZE]; /* what RAM holds before each run */
static struct cpu_state start;

/* The case, for reports. */
static u64 case_seed;
static bool case_user;
static u32 case_at, case_len;
/* Most operands are near where this register points to; 0: no such one. */
static u8 case_base;
static bool case_far; /* at the end of the displacements' range from there */
static _Atomic u32 ticks;

/* ---- Reports ---- */

static void report(const char *what, const u8 *host)
{
	const u8 *page = image + PG_CODE * PAGE_SIZE;

	printf("%s: FUZZ_SEED=%llu ring %d offset 0x%x page 0x%llx\n guest:",
	       what, (unsigned long long)case_seed, case_user ? 3 : 0, case_at,
	       (unsigned long long)c->gpr[INSN_RIP]);
	for (u32 n = 0; n < case_len; n++)
		printf(" %02x", page[case_at + n]);
	if (host)
		printf("\n host:");
	for (int n = -32; host && n < 16; n++)
		printf("%s%02x", n ? " " : " > ", host[n]);
	printf("\n");
	fflush(stdout);
}

static void on_fault(int sig, const u8 *pc, const void *address)
{
	const struct jit *j = c ? c->jit : NULL;
	bool translated =
		j && pc >= j->rw + j->e.rx && pc < j->rw + j->e.rx + j->size;
	char what[80];

	snprintf(what, sizeof what, "signal %d at %p, address %p%s", sig,
		 (const void *)pc, address, translated ? ", translated" : "");
	report(what, translated ? pc : NULL);
}

static void on_tick(void)
{
	u32 n = atomic_fetch_add(&ticks, 1);

	if (n == HANG) {
		report("hangs", NULL);
		abort();
	}
	if (n >= TICKS) {
		atomic_fetch_or(&v->request, VCPU_REQ_WORK);
		atomic_store(&c->exit_req, 1);
	}
}

static const struct host_signals signals = { .report = on_fault,
					     .tick = on_tick,
					     .us = TICK_US };

/* ---- The machine ---- */

static void put64(u32 at, u64 value)
{
	put_le64(image + at, value);
}

static void tables(u32 first, u64 va)
{
	const u64 up = 0x67;

	put64(PG_PML4 * PAGE_SIZE + (va >> 39 & 511) * 8,
	      first * PAGE_SIZE | up);
	put64(first * PAGE_SIZE + (va >> 30 & 511) * 8,
	      (first + 1) * PAGE_SIZE | up);
	put64((first + 1) * PAGE_SIZE + (va >> 21 & 511) * 8,
	      (first + 2) * PAGE_SIZE | up);
}

static void make_image(void)
{
	static const u64 gdt[] = {
		[2] = 0x00af9b000000ffff, [3] = 0x00cf93000000ffff,
		[4] = 0x00cffb000000ffff, [5] = 0x00cff3000000ffff,
		[6] = 0x00affb000000ffff,
	};

	for (u32 n = 0; n < ARRAY_SIZE(gdt); n++)
		put64(8 * n, gdt[n]);
	for (u32 n = 0; n < 32; n++) {
		u64 stub = HIGH_VA + AT_STUBS + n;
		u64 type = n == EXC_BP || n == EXC_OF ? 0xee00 : 0x8e00;

		image[AT_STUBS + n] = 0xf4;
		put64(AT_IDT + n * 16, (stub & 0xffff) | 0x10 << 16 |
					       type << 32 |
					       (stub >> 16 & 0xffff) << 48);
		put64(AT_IDT + n * 16 + 8, stub >> 32);
	}
	put64(AT_TSS + 4, HIGH_VA + (PG_STACK + 1) * PAGE_SIZE);
	put64(AT_TSS + 0x60, 0x68ULL << 48);
	tables(PG_USER, USER_VA);
	put64(PG_USER * PAGE_SIZE + ((USER_VA + 2 * FAR) >> 30) * 8,
	      (PG_USER + 1) * PAGE_SIZE | 0x67);
	tables(PG_HIGH, HIGH_VA);
	for (u32 n = 0; n < ARRAY_SIZE(user_map); n++)
		put64((PG_USER + 2) * PAGE_SIZE + 8 * n,
		      user_map[n].page * PAGE_SIZE | user_map[n].bits);
	for (u32 n = 0; n < RAM_PAGES; n++)
		put64((PG_HIGH + 2) * PAGE_SIZE + 8 * n, n * PAGE_SIZE | 0x63);
}

static void make_state(void)
{
	cpu_reset(&start, true, false);
	start.gdt = (struct cpu_table){ HIGH_VA, 0x37 };
	start.idt = (struct cpu_table){ HIGH_VA + AT_IDT, 32 * 16 - 1 };
	start.ldt = (struct cpu_segment){ 0 };
	start.tr = (struct cpu_segment){ .base = HIGH_VA + AT_TSS,
					 .limit = 0x67,
					 .sel = 0x40,
					 .attr = 0x8b };
	start.cr3 = PG_PML4 * PAGE_SIZE;
	start.efer = EFER_LME | EFER_LMA | EFER_SCE | EFER_NXE;
	start.star = 0x0023001000000000ULL;
	start.lstar = HIGH_VA + AT_STUBS;
	start.mp_state = CPU_RUNNABLE;
}

static void machine_up(void)
{
	struct err err = { 0 };

	host_signals_catch(&signals);
	m = machine_create(&err);
	ck_assert_ptr_nonnull(m);
	ck_assert_int_eq(mem_add_ram(&m->mem, "ram", 0, RAM_SIZE, false, &err),
			 0);
	ck_assert_int_eq(accel_select(m, "tcg,jit=on,hot=8", &err), 0);
	ck_assert_int_eq(vcpu_create(m, 0, &err), 0);
	v = m->vcpus[0];
	ck_assert_msg(!m->accel->vcpu_create(v, &err), "%s", err.msg);
	c = v->accel;
	ram = mem_ptr_rw(&m->mem, 0, RAM_SIZE);
	/* Where something is already, nothing has to be put. */
	mmap(ram + RAM_SIZE, PAGE_SIZE, PROT_NONE,
	     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	make_image();
	make_state();
}

static void machine_down(void) NO_TSA
{
	host_signals_stop_ticks();
	lock_acquire(&machine_lock);
	m->accel->vcpu_destroy(v);
	machine_destroy(m);
	lock_release(&machine_lock);
}

static void restore_ram(void)
{
	for (u32 n = 0; n < RAM_SIZE; n += PAGE_SIZE)
		if (memcmp(ram + n, image + n, PAGE_SIZE))
			mem_write(&m->mem, n, image + n, PAGE_SIZE);
}

/* ---- Code ---- */

#define MODE_64 (MODE_CODE64 | MODE_PROT | MODE_STACK64 | MODE_LMA)

static bool one_in(u32 n)
{
	return !fuzz_below(n);
}

static void random_bytes(u8 *p, u32 n)
{
	while (n--)
		*p++ = (u8)fuzz_draw();
}

static u8 *put_prefixes(u8 *p, const struct opdesc *d)
{
	static const u8 segs[] = { 0x64, 0x65, 0x64, 0x65, 0x2e, 0x36 };
	static const u8 any[] = { 0x66, 0xf2, 0xf3, 0x67, 0xf0 };

	if (one_in(10))
		*p++ = segs[fuzz_below(ARRAY_SIZE(segs))];
	if (one_in(20))
		*p++ = 0x67;
	if (one_in(30))
		*p++ = any[fuzz_below(ARRAY_SIZE(any))];
	if (d->map >= V0F)
		return p;
	if (d->attrs & OP_LOCK && one_in(5))
		*p++ = 0xf0;
	if (d->pfx == P66 || (d->pfx == X && one_in(6)))
		*p++ = 0x66;
	if (d->pfx == PF3 || (d->attrs & OP_STR && one_in(3)))
		*p++ = 0xf3;
	if (d->pfx == PF2)
		*p++ = 0xf2;
	if (!one_in(3))
		*p++ = 0x40 | fuzz_below(16);
	return p;
}

static u8 *put_escape(u8 *p, const struct opdesc *d)
{
	static const u8 pp[] = {
		[X] = 0, [NP] = 0, [P66] = 1, [PF3] = 2, [PF2] = 3
	};
	bool wide, l, vvvv = strpbrk(d->operands, "HB");

	if (d->map < V0F) {
		if (d->map > M1)
			*p++ = 0x0f;
		if (d->map > M0F)
			*p++ = d->map == M38 ? 0x38 : 0x3a;
		return p;
	}
	wide = d->attrs & OP_W1 || (!(d->attrs & OP_W0) && one_in(2));
	l = d->attrs & OP_L1 || (!(d->attrs & OP_L0) && one_in(2));
	*p++ = 0xc4;
	*p++ = (u8)(fuzz_below(8) << 5 | (d->map - V0F + 1));
	*p++ = (u8)(wide << 7 | (vvvv ? fuzz_below(16) : 15) << 3 | l << 2 |
		    pp[d->pfx % ARRAY_SIZE(pp)]);
	return p;
}

static u8 *put_disp32(u8 *p)
{
	u32 disp = fuzz_below(8192) - 4096;

	if (one_in(24))
		disp = (u32)fuzz_draw();
	if (one_in(24)) /* an end of their range: FAR from some address */
		disp = (u32)FAR + fuzz_below(256) - fuzz_below(2) * 256;
	put_le32(p, disp);
	return p + 4;
}

static u8 *put_near(u8 *p, u8 reg)
{
	s32 disp = (s32)fuzz_below(96) - 48;

	*p++ = (u8)((case_far ? 2 : 1) << 6 | reg << 3 | case_base);
	if (!case_far) {
		*p++ = (u8)disp;
		return p;
	}
	put_le32(p, (u32)FAR + (u32)MAX(disp, 0));
	return p + 4;
}

static u8 *put_modrm(u8 *p, const struct opdesc *d)
{
	u8 mod = d->mod == R ? 3 : (u8)fuzz_below(d->mod == M ? 3 : 4);
	u8 reg = d->reg < 8 ? d->reg : (u8)fuzz_below(8);
	u8 rm = (u8)fuzz_below(8), sib = 0;

	if (d->reg >= 0xc0) {
		*p++ = d->reg;
		return p;
	}
	if (mod != 3 && case_base && !one_in(4))
		return put_near(p, reg);
	*p++ = (u8)(mod << 6 | reg << 3 | rm);
	if (mod == 3)
		return p;
	if (rm == 4) {
		/* Often without an index: the stack. */
		sib = (u8)(fuzz_draw() & (one_in(2) ? 0xff : 0x07)) |
		      (one_in(2) ? 0x20 : 0);
		*p++ = sib;
	}
	if (mod == 0 && rm == 4 && (sib & 7) == 5) {
		put_le32(p, (u32)USER_VA + fuzz_below(9 * PAGE_SIZE));
		return p + 4;
	}
	if (mod == 2 || (mod == 0 && rm == 5))
		return put_disp32(p);
	if (mod == 1)
		*p++ = (u8)fuzz_draw();
	return p;
}

/* An instruction of a random row; what is rare in translations is so here. */
static u32 put_row(u8 *code)
{
	const u32 rare = OP_END | OP_PRIV | OP_SYS | OP_IOPL | OP_NEVER;
	bool common = one_in(2); /* those of one byte are some hundred */
	const struct opdesc *d;
	struct insn i = { 0 };
	u8 *p = code, bytes[40];

	do {
		d = &opdescs[fuzz_below(opdesc_count)];
	} while (d->attrs & OP_I64 || (d->attrs & rare && !one_in(8)) ||
		 (common && d->map != M1));
	p = put_prefixes(bytes, d);
	p = put_escape(p, d);
	*p = d->opcode;
	if (d->attrs & OP_PLUSR)
		*p |= fuzz_below(8);
	if (d->attrs & OP_CC)
		*p |= fuzz_below(16);
	p++;
	if (d->reg != ANY || strpbrk(d->operands, "EGMRSCDVUWPQN"))
		p = put_modrm(p, d);
	random_bytes(p, 8);
	if (strchr(d->operands, 'J'))
		put_le32(p, fuzz_below(96) - 32);
	if (insn_decode(MODE_64, bytes, sizeof bytes, 0, &i))
		return 0;
	memcpy(code, bytes, i.len);
	return i.len;
}

static u32 put_some(u8 *code)
{
	u32 n = 1 + fuzz_below(6);

	if (case_base && one_in(6)) { /* sub */
		memcpy(code, "\x48\x83", 2);
		code[2] = 0xe8 | case_base;
		code[3] = (u8)fuzz_below(40) - 8;
		return 4;
	}
	if (!one_in(12))
		return put_row(code);
	random_bytes(code, n);
	return n;
}

/* Loops: `add rbx, stride` in front, at the end a counter in the last bytes
 * of the second code page, which lies in the user's view two pages on. */
static u32 put_case(u8 *page, u32 at, u32 insns, bool loop)
{
	u32 n = at, end = 2 * PAGE_SIZE - 8;

	if (loop) {
		memcpy(page + n, "\x48\x81\xc3", 3);
		put_le32(page + n + 3, fuzz_below(300));
		n += 7;
	}
	for (u32 k = 0; k < insns && n - at < CODE_MAX - 40; k++)
		n += put_some(page + n);
	if (one_in(8))
		fuzz_damage(page + at, n - at, 1 + fuzz_below(3));
	if (loop) {
		put_le32(page + end, LOOPS);
		memcpy(page + n, "\xff\x0d", 2); /* dec dword [rip + x] */
		put_le32(page + n + 2, end - (n + 6));
		memcpy(page + n + 6, "\x0f\x85", 2); /* jnz */
		put_le32(page + n + 8, at - (n + 12));
		n += 12;
	}
	return n - at;
}

/* ---- State ---- */

static u64 some_address(void)
{
	u64 page = fuzz_below(ARRAY_SIZE(user_map));
	u64 off = one_in(3) ? PAGE_SIZE - fuzz_below(72) : fuzz_draw() & 0xfff;
	u64 va = USER_VA + page * PAGE_SIZE + off;

	if (one_in(2))
		va &= ~31ULL;
	if (one_in(12))
		return va + FAR;
	if (!case_user && one_in(4))
		return HIGH_VA + fuzz_below(RAM_SIZE);
	return va;
}

static u64 some_value(void)
{
	switch (fuzz_below(10)) {
	case 0: return fuzz_draw();
	case 1: return fuzz_draw() >> fuzz_below(64);
	case 2: return -(u64)fuzz_below(300);
	case 3:
	case 4: return fuzz_below(300);
	default: return some_address();
	}
}

static void make_registers(struct cpu_state *s, bool loop)
{
	const u64 base = case_user || one_in(2) ? USER_VA : HIGH_VA;
	const u64 code =
		base + (base == USER_VA ? USER_CODE : PG_CODE) * PAGE_SIZE;

	*s = start;
	for (int n = 0; n < REG_COUNT; n++)
		s->gpr[n] = some_value();
	if (case_base)
		s->gpr[case_base] = USER_VA + fuzz_below(2) * PAGE_SIZE + 64 +
				    fuzz_below(PAGE_SIZE) +
				    (case_far ? FAR : 0);
	if (!one_in(8))
		s->gpr[REG_RSP] = USER_VA + fuzz_below(16) / 15 * PAGE_SIZE +
				  2048 + (one_in(4) ? fuzz_draw() & 2047 : 512);
	if (loop && one_in(2)) /* arrives at the code after some rounds */
		s->gpr[REG_RBX] = code + case_at - fuzz_below(8000);
	s->rip = code + case_at;
	s->rflags = RFLAGS_FIXED | (fuzz_draw() & RFLAGS_ARITH);
	if (one_in(3))
		s->rflags |= fuzz_draw() & (RFLAGS_IF | RFLAGS_DF | RFLAGS_AC |
					    RFLAGS_NT | RFLAGS_IOPL);
	if (one_in(40))
		s->rflags |= RFLAGS_TF;
	for (int n = 0; n < SEG_COUNT; n++)
		s->seg[n] = (struct cpu_segment){
			.limit = 0xffffffffu,
			.sel = case_user ? 0x2b : 0x18,
			.attr = case_user ? 0xc0f3 : 0xc093,
		};
	s->seg[SEG_CS].sel = case_user ? 0x33 : 0x10;
	s->seg[SEG_CS].attr = case_user ? 0xa0fb : 0xa09b;
	s->seg[SEG_FS].base = some_address();
	s->seg[SEG_GS].base = some_value() & 0x7fffffffffffULL;
	s->kernel_gs_base = some_address();
	s->cr0 = CR0_PE | CR0_PG | CR0_NE | CR0_MP | CR0_ET | CR0_WP | CR0_AM;
	s->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE |
		 CR4_FSGSBASE;
	s->xcr0 = 7;
	if (one_in(16))
		s->cr0 ^= one_in(2) ? CR0_TS : one_in(2) ? CR0_WP : CR0_EM;
	if (one_in(16))
		s->cr4 ^= one_in(2) ? CR4_SMAP : CR4_OSXSAVE;
	if (one_in(16))
		s->xcr0 = one_in(2) ? 3 : 1;
	for (int n = 0; n < 16; n++)
		random_bytes(s->vec[n].b, one_in(2) ? 32 : 16);
	s->fpu.mxcsr = 0x1f80 | (fuzz_draw() & 0xe07f);
	if (one_in(10))
		s->fpu.mxcsr = fuzz_draw() & 0xffff;
}

/* ---- Running ---- */

static void run_once(const struct cpu_state *s)
{
	enum vcpu_exit why;

	restore_ram();
	/* Pages that no block has looked up are none. */
	memset(c->span, 0xa5, sizeof c->span);
	v->cpu = *s;
	atomic_store(&v->request, 0);
	atomic_store(&ticks, 0);
	m->accel->put(v);
	do
		why = m->accel->run(v);
	while (why == VCPU_EXIT_AGAIN &&
	       !(atomic_load(&v->request) & VCPU_REQ_WORK));
}

static void run_case(void)
{
	static struct cpu_state s;
	u8 *page = image + PG_CODE * PAGE_SIZE;
	bool loop = one_in(3);

	/* So that the seed told repeats this case as the first. */
	fuzz_state |= 1;
	case_seed = fuzz_state;
	case_user = one_in(2);
	case_base = one_in(3) ? REG_RBX + (u8)fuzz_below(5) : 0;
	case_base *= case_base != REG_RSP && case_base != REG_RBP;
	case_far = case_base && one_in(3);
	memset(page, 0xcc, 2 * PAGE_SIZE);
	case_at = fuzz_below(PAGE_SIZE);
	case_len = put_case(page, case_at, 1 + fuzz_below(20), loop);
	random_bytes(image + PG_DATA * PAGE_SIZE, 64);
	make_registers(&s, loop);
	for (int n = loop ? 2 : RUNS; n; n--)
		run_once(&s);
}

START_TEST(translator_survives_noise)
{
	u64 cases = 0;

	machine_up();
	if (!c->jit) {
		printf("nothing is translated on this host\n");
		machine_down();
		return;
	}
	fuzz_begin("translator noise", 1);
	for (; fuzz_goes_on(); cases++)
		run_case();
	printf("%llu cases, %llu blocks and %llu instructions translated, "
	       "%u flushes\n",
	       (unsigned long long)cases, (unsigned long long)c->jit->blocks,
	       (unsigned long long)c->jit->insns, c->jit->flushes);
	printf("%llu handlers, %llu single steps, %llu stores to code\n",
	       (unsigned long long)c->jit->interps,
	       (unsigned long long)c->jit->singles,
	       (unsigned long long)c->jit->notices);
	/* Many fault in their first instruction, and some take all the time. */
	if (cases >= 200)
		ck_assert_uint_gt(c->jit->blocks, cases / 20);
	machine_down();
}

END_TEST

int main(void)
{
	Suite *s = suite_create("tcg_jit_fuzz");
	TCase *tc = tcase_create("all");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, fuzz_timeout());
	tcase_add_test(tc, translator_survives_noise);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
