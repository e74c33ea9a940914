/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Integer instructions against the host's processor: random forms from the
 * table with random operands run in the engine and natively; registers,
 * memory and defined flags must agree.
 */
/* <signal.h> names registers as vmm/cpu.h does, but only for GNU sources. */
#undef _GNU_SOURCE
#define _DEFAULT_SOURCE

#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>

#include "tcg/decode.h"
#include "tests/unit/tcg_guest.h"

/* Where both sides see code and data, and the native side its registers. */
#define NATIVE_CTX 0x18000000UL

struct native {
	u64 gpr[16];
	u64 flags;
	u64 host_rsp;
};

static struct native *native = (void *)NATIVE_CTX;
static u8 *native_code = (void *)GUEST_CODE;
static sigjmp_buf native_fault;

static void native_signal(int sig)
{
	siglongjmp(native_fault, sig);
}

static u64 rng_state = 0x1234567;

static u64 rng(void)
{
	rng_state ^= rng_state << 13;
	rng_state ^= rng_state >> 7;
	rng_state ^= rng_state << 17;
	return rng_state;
}

/* Small, large, sign bits: where flags change. */
static u64 rng_value(void)
{
	static const u64 edge[] = { 0,          1,          0x7f,
				    0x80,       0xff,       0x7fff,
				    0x8000,     0xffff,     0x7fffffff,
				    0x80000000, 0xffffffff, INT64_MAX,
				    1ULL << 63, ~0ULL };

	switch (rng() % 4) {
	case 0: return edge[rng() % ARRAY_SIZE(edge)];
	case 1: return rng() & 0xff;
	default: return rng();
	}
}

static void *native_map(unsigned long at, size_t size, int prot)
{
	void *p =
		mmap((void *)at, size, prot,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	ck_assert_msg(p == (void *)at, "cannot map %lx", at);
	return p;
}

static u8 *put(u8 *p, const void *bytes, size_t n)
{
	memcpy(p, bytes, n);
	return p + n;
}

/* mov between a register and native->gpr[r], absolute address. */
static u8 *put_mov(u8 *p, int r, u8 opcode)
{
	u8 b[8] = { 0x48 | (r >> 3) << 2, opcode, 0x04 | (r & 7) << 3, 0x25 };
	u32 at = (u32)NATIVE_CTX + r * 8;

	memcpy(b + 4, &at, 4);
	return put(p, b, 8);
}

static u8 *put_abs(u8 *p, const char *op, size_t n, size_t field)
{
	u32 at = (u32)(NATIVE_CTX + field);

	return put(put(p, op, n), &at, 4);
}

/* Runs `insn` with the registers in *native; the signal, or 0.  RSP stays
 * the host's. */
static int native_run(const u8 *insn, size_t n)
{
	static const u8 save[] = { 0x53, 0x55, 0x41, 0x54, 0x41,
				   0x55, 0x41, 0x56, 0x41, 0x57 };
	static const u8 restore[] = { 0x41, 0x5f, 0x41, 0x5e, 0x41, 0x5d,
				      0x41, 0x5c, 0x5d, 0x5b, 0xfc, 0xc3 };
	u8 *p = put(native_code, save, sizeof save);
	int sig;

	p = put_abs(p, "\xff\x34\x25", 3, offsetof(struct native, flags));
	*p++ = 0x9d;
	for (int r = 0; r < 16; r++)
		if (r != REG_RSP)
			p = put_mov(p, r, 0x8b);
	p = put(p, insn, n);
	for (int r = 0; r < 16; r++)
		if (r != REG_RSP)
			p = put_mov(p, r, 0x89);
	*p++ = 0x9c;
	p = put_abs(p, "\x8f\x04\x25", 3, offsetof(struct native, flags));
	put(p, restore, sizeof restore);
	sig = sigsetjmp(native_fault, 1);
	if (!sig)
		((void (*)(void))native_code)();
	return sig;
}

/* ---- Making instructions ---- */

static bool row_usable(const struct opdesc *d)
{
	static const u64 ours =
		BIT(FEAT_BASE) | BIT(FEAT_CMOV) | BIT(FEAT_CX8) |
		BIT(FEAT_CX16) | BIT(FEAT_LAHF64) | BIT(FEAT_MOVBE) |
		BIT(FEAT_POPCNT) | BIT(FEAT_LZCNT) | BIT(FEAT_BMI1) |
		BIT(FEAT_BMI2) | BIT(FEAT_ADX) | BIT(FEAT_SSE42);

	if (d->attrs & (OP_SYS | OP_PRIV | OP_IOPL | OP_END | OP_STK | OP_I64 |
			OP_NEVER | OP_STR))
		return false;
	if (d->feature == FEAT_SSE42)
		return d->map == M38 && d->opcode >= 0xf0;
	/* xlat and the absolute moves have addresses of their own */
	return BIT(d->feature) & ours && !strchr(d->operands, 'O') &&
	       !strchr(d->operands, 'X') && strcmp(d->name, "clflush");
}

static const u8 pp_byte[] = { [P66] = 0x66, [PF3] = 0xf3, [PF2] = 0xf2 };

static u8 rng_reg(void)
{
	u8 r;

	do
		r = rng() & 15;
	while (r == REG_RSP);
	return r;
}

static u8 *make_modrm(u8 *p, const struct opdesc *d, u8 *rex)
{
	u8 reg = rng_reg(), rm = rng_reg();
	bool mem = d->mod == M || (d->mod == A && rng() & 1);

	if (d->reg < 8)
		reg = d->reg;
	if (d->reg >= 0xc0) {
		*p++ = d->reg;
		return p;
	}
	*rex |= (reg >> 3) << 2;
	if (!mem) {
		*rex |= rm >> 3;
		*p++ = 0xc0 | (reg & 7) << 3 | (rm & 7);
		return p;
	}
	/* [rsi + disp8] or [rsi + rdi * n + disp32] */
	if (rng() & 1) {
		*p++ = 0x46 | (reg & 7) << 3;
		*p++ = (u8)rng();
	} else {
		s32 disp = (s32)(rng() % 512) - 256;

		*p++ = 0x84 | (reg & 7) << 3;
		*p++ = 0x3e | (rng() & 3) << 6;
		p = put(p, &disp, 4);
	}
	return p;
}

static size_t make_insn(const struct opdesc *d, u8 *out)
{
	u8 tail[16], *t = tail, *p = out, rex = rng() & 1 ? 8 : 0;
	u8 opcode = d->opcode;
	struct operand o[OPERANDS_MAX];
	int n = opdesc_operands(d, o);
	bool modrm = d->reg != ANY || d->mod != A;
	bool small = rng() % 4 == 0;
	u8 vvvv = 0;

	for (int k = 0; k < n; k++) {
		modrm |= strchr("EGMR", o[k].kind) != NULL;
		if (o[k].kind == 'B')
			vvvv = rng_reg();
	}
	if (d->attrs & OP_W1)
		rex = 8;
	if (d->attrs & OP_PLUSR) {
		u8 r = rng_reg();

		opcode += r & 7;
		rex |= r >> 3;
	}
	if (d->attrs & OP_CC)
		opcode += rng() & 15;
	if (modrm)
		t = make_modrm(t, d, &rex);
	if (d->map < V0F) {
		if (d->pfx >= P66)
			*p++ = d->pfx == NF ? 0x3e : pp_byte[d->pfx];
		if (d->attrs & OP_LOCK && modrm && tail[0] < 0xc0 && rng() & 1)
			*p++ = 0xf0;
		if (small && d->pfx != NP && d->pfx != P66)
			*p++ = 0x66;
		if (rex || rng() & 1)
			*p++ = 0x40 | rex;
		if (d->map >= M0F)
			*p++ = 0x0f;
		if (d->map >= M38)
			*p++ = d->map == M38 ? 0x38 : 0x3a;
	} else {
		*p++ = 0xc4;
		*p++ = (u8)((u8)~rex << 5) | (d->map - V0F + 1);
		*p++ = (rex & 8) << 4 | (~vvvv & 15) << 3 |
		       (d->pfx == P66   ? 1
			: d->pfx == PF3 ? 2
			: d->pfx == PF2 ? 3
					: 0);
	}
	*p++ = opcode;
	p = put(p, tail, t - tail);
	for (int k = 0; k < 10; k++)
		p[k] = (u8)rng();
	return p - out + 8; /* the immediate's length is the decoder's */
}

/* ---- Comparing ---- */

/* The table knows no counts: 0 changes nothing, 1 defines OF, and CF is
 * undefined only past the operand. */
static u64 undefined_flags(const struct insn *i, const struct native *in)
{
	const struct opdesc *d = insn_desc(i);
	bool rot = !strncmp(d->name, "ro", 2) || !strncmp(d->name, "rc", 2);
	bool shift = !strcmp(d->name, "shl") || !strcmp(d->name, "shr") ||
		     !strcmp(d->name, "sar");
	bool dbl = !strcmp(d->name, "shld") || !strcmp(d->name, "shrd");
	bool cl = strstr(d->operands, "CL") != NULL;
	unsigned width = i->opsize * 8u;
	unsigned count = cl ? (u8)in->gpr[REG_RCX] : (u8)i->imm;

	if (!(d->attrs & OP_COND) || !(rot || shift || dbl))
		return d->flags_undef;
	count &= width == 64 ? 63 : 31;
	if (!count)
		return 0;
	if (dbl && count > width)
		return d->flags_undef;
	return (rot ? 0 : RFLAGS_AF) | (count > 1 ? RFLAGS_OF : 0) |
	       (shift && count >= width && strcmp(d->name, "sar") ? RFLAGS_CF
								  : 0);
}

/* The host leaves the destination, or its content, undefined. */
static bool undefined_result(const struct insn *i, const struct native *in)
{
	const char *name = insn_desc(i)->name;

	if (!strcmp(name, "bswap") || !strcmp(name, "shld") ||
	    !strcmp(name, "shrd"))
		return i->opsize == 2;
	(void)in;
	return false;
}

static void describe(const struct insn *i, const u8 *code)
{
	printf("%s %s opsize %d:", insn_desc(i)->name, insn_desc(i)->operands,
	       i->opsize);
	for (int k = 0; k < i->len; k++)
		printf(" %02x", code[k]);
	printf("\n");
}

static bool same(struct guest *g, const struct insn *i, const struct native *in,
		 int vector, int sig)
{
	struct native *nat = native;
	u64 mask = RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF |
		   RFLAGS_OF | RFLAGS_DF;
	int expect = vector == EXC_DE   ? SIGFPE
		     : vector == EXC_UD ? SIGILL
		     : vector >= 0      ? SIGSEGV
					: 0;

	if (sig != expect) {
		printf("vector %d, host's signal %d\n", vector, sig);
		return false;
	}
	if (sig)
		return true;
	mask &= ~undefined_flags(i, in);
	for (int r = 0; r < 16; r++)
		if (r != REG_RSP && g->c->gpr[r] != nat->gpr[r]) {
			printf("gpr %d: %llx, host %llx\n", r,
			       (unsigned long long)g->c->gpr[r],
			       (unsigned long long)nat->gpr[r]);
			return false;
		}
	if ((tcg_rflags(g->c) ^ nat->flags) & mask) {
		printf("flags %llx, host %llx\n",
		       (unsigned long long)tcg_rflags(g->c),
		       (unsigned long long)nat->flags);
		return false;
	}
	if (memcmp(g->data, (void *)GUEST_DATA, GUEST_PAGES * PAGE_SIZE)) {
		printf("memory differs\n");
		return false;
	}
	return true;
}

/* One case; false when engine and host disagree. */
static bool one_case(struct guest *g, const struct opdesc *d)
{
	struct native in = { .flags = RFLAGS_FIXED | RFLAGS_IF };
	u8 code[32];
	struct insn i = { 0 };
	size_t n = make_insn(d, code);
	int vector, sig;

	for (int r = 0; r < 16; r++)
		in.gpr[r] = rng_value();
	in.gpr[REG_RSI] = GUEST_DATA + PAGE_SIZE * (1 + rng() % 2) +
			  (rng() & 1 ? 0 : rng() % 64);
	if (d->feature == FEAT_CX16)
		in.gpr[REG_RSI] &= ~15ULL;
	in.gpr[REG_RDI] = rng() & 15;
	in.flags |= rng() & (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF |
			     RFLAGS_SF | RFLAGS_OF);
	if (insn_decode(MODE_CODE64 | MODE_PROT | MODE_STACK64 | MODE_LMA, code,
			n, 0, &i) ||
	    insn_desc(&i) != d)
		return true;
	/* Bit strings reach far: keep the offset near. */
	if (i.is_mem && d->name[0] == 'b' && d->name[1] == 't')
		in.gpr[i.reg] &= 0x3ff;
	if (i.is_mem && (i.reg == REG_RSI || i.reg == REG_RDI) &&
	    d->name[0] == 'b' && d->name[1] == 't')
		return true;
	for (int k = 0; k < 64; k++)
		g->data[(in.gpr[REG_RSI] & 0x3fff) - 32 + k] =
			(u8)(rng() & 1 ? rng() : rng_value());
	memcpy((void *)GUEST_DATA, g->data, GUEST_PAGES * PAGE_SIZE);
	*native = in;
	memcpy(g->c->gpr, in.gpr, sizeof in.gpr);
	tcg_set_rflags(g->c, in.flags & ~(u64)RFLAGS_IF, UINT32_MAX);
	tcg_mode_changed(g->c);
	guest_load(g, code, i.len);
	vector = guest_run(g);
	sig = native_run(code, i.len);
	if (undefined_result(&i, &in))
		return true;
	if (same(g, &i, &in, vector, sig))
		return true;
	describe(&i, code);
	for (int r = 0; r < 16; r++)
		printf("in gpr %d: %llx\n", r, (unsigned long long)in.gpr[r]);
	printf("in flags %llx\n", (unsigned long long)in.flags);
	return false;
}

START_TEST(integer_forms_agree_with_host)
{
	static struct guest g;
	static const int sigs[] = { SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGTRAP };
	const char *seed = getenv("TCG_ALU_SEED");
	const char *cases = getenv("TCG_ALU_CASES");
	int per_row = cases ? atoi(cases) : 300;
	int bad = 0;

	if (seed)
		rng_state = strtoull(seed, NULL, 0) | 1;
	printf("seed %llu\n", (unsigned long long)rng_state);
	native_map(NATIVE_CTX, PAGE_SIZE, PROT_READ | PROT_WRITE);
	native_map(GUEST_CODE, PAGE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC);
	native_map(GUEST_DATA, GUEST_PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE);
	for (size_t k = 0; k < ARRAY_SIZE(sigs); k++)
		signal(sigs[k], native_signal);
	guest_init(&g);
	for (u16 row = 0; row < opdesc_count && bad < 20; row++) {
		if (!row_usable(&opdescs[row]))
			continue;
		for (int k = 0; k < per_row; k++)
			if (!one_case(&g, &opdescs[row])) {
				bad++;
				break;
			}
	}
	guest_fini(&g);
	ck_assert_int_eq(bad, 0);
}

END_TEST

int main(void)
{
	Suite *suite = suite_create("tcg_alu");
	TCase *tc = tcase_create("host");
	SRunner *runner;
	int failed;

	setvbuf(stdout, NULL, _IOLBF, 0);
	tcase_set_timeout(tc, 100);
	tcase_add_test(tc, integer_forms_agree_with_host);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
