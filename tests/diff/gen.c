/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The generator; see gen.h.
 *
 * Each row gives one encoding, chosen at random.  Rows that need something
 * before them to do more than fault (a target, a selector, a save area) have
 * a hook.
 */
#include "tests/diff/gen.h"

#include <cpuid.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/bytes.h"
#include "vmm/cpu.h"

static struct gen_config config;
static u64 rng;

/* ---- What is not generated ---- */

/* No operands: all rows of that name. */
static const struct gen_exclusion {
	const char *name, *operands, *why;
	bool amd; /* on AMD's processors only */
} gen_exclusions[] = {
	{ "cpuid", NULL, "the answer is the host's own" },
	{ "rdtsc", NULL, "a clock" },
	{ "rdtscp", NULL, "a clock" },
	{ "rdpmc", NULL, "CR4.PCE is the host's choice" },
	{ "rdpru", NULL, "a clock" },
	{ "rdrand", NULL, "random" },
	{ "rdseed", NULL, "random" },
	{ "rdpid", NULL, "the host's CPU number" },
	{ "xgetbv", NULL, "the host's XCR0" },
	{ "syscall", NULL, "enters the host's kernel" },
	{ "sysenter", NULL, "enters the host's kernel" },
	{ "vmcall", NULL, "a hypervisor may answer" },
	{ "vmmcall", NULL, "a hypervisor may answer" },
	{ "monitor", NULL, "a hypervisor may answer" },
	{ "mwait", NULL, "a hypervisor may answer" },
	{ "sgdt", NULL, "Linux emulates it under UMIP" },
	{ "sidt", NULL, "Linux emulates it under UMIP" },
	{ "sldt", NULL, "Linux emulates it under UMIP" },
	{ "smsw", NULL, "Linux emulates it under UMIP" },
	{ "str", NULL, "Linux emulates it under UMIP" },
	{ "rdfsbase", NULL, "the judge's thread pointer" },
	{ "wrfsbase", NULL, "the judge's thread pointer" },
	{ "pop", "fs", "the judge's thread pointer" },
	{ "lfs", NULL, "the judge's thread pointer" },
	{ "xsaveopt", NULL, "what it leaves out is the CPU's affair" },
	{ "xsavec", NULL, "what it leaves out is the CPU's affair" },
	{ "clzero", NULL, "offered to no guest", true },
	{ "int1", NULL, "a hypervisor may report it as a fault", true },
};

bool gen_amd(void)
{
	return __builtin_cpu_is("amd");
}

static const struct gen_exclusion *gen_excluded(const struct opdesc *d)
{
	for (size_t n = 0; n < ARRAY_SIZE(gen_exclusions); n++) {
		const struct gen_exclusion *x = &gen_exclusions[n];

		if (!strcmp(x->name, d->name) && (!x->amd || gen_amd()) &&
		    (!x->operands || !strcmp(x->operands, d->operands)))
			return x;
	}
	return NULL;
}

/* Of CPUID's leaf 7: EAX to EDX.  Not all compilers name its bits. */
static u32 host_leaf_7(int reg)
{
	u32 r[4] = { 0 };

	__get_cpuid_count(7, 0, &r[0], &r[1], &r[2], &r[3]);
	return r[reg];
}

/* Features of the host by the names of OP_FEATURES; the rest is assumed. */
static bool host_has(u8 feature)
{
	switch (feature) {
	case FEAT_SSE4A: return __builtin_cpu_supports("sse4a");
	case FEAT_AVX: return __builtin_cpu_supports("avx");
	case FEAT_AVX2: return __builtin_cpu_supports("avx2");
	case FEAT_FMA: return __builtin_cpu_supports("fma");
	case FEAT_BMI1: return __builtin_cpu_supports("bmi");
	case FEAT_BMI2: return __builtin_cpu_supports("bmi2");
	case FEAT_AES: return __builtin_cpu_supports("aes");
	case FEAT_PCLMUL: return __builtin_cpu_supports("pclmul");
	case FEAT_GFNI: return host_leaf_7(2) & BIT(8);
	case FEAT_VAES: return host_leaf_7(2) & BIT(9);
	case FEAT_VPCLMUL: return host_leaf_7(2) & BIT(10);
	case FEAT_FSGSBASE: return native_fsgsbase();
	case FEAT_CLZERO: return gen_amd();
	case FEAT_SERIALIZE: return host_leaf_7(3) & BIT(14);
	default: return true;
	}
}

/* Rows whose only end is an exception. */
static bool gen_always_faults(const struct opdesc *d)
{
	static const char *const names[] = { "int", "int1", "int3", "rsm" };

	for (size_t n = 0; n < ARRAY_SIZE(names); n++)
		if (!strcmp(names[n], d->name))
			return true;
	if (!strcmp(d->name, "pushf") || !strcmp(d->name, "popf"))
		return false;
	return d->attrs & (OP_PRIV | OP_IOPL | OP_NEVER);
}

/* Decimal adjustments are not taken from the host, which has none; OF of a
 * rotation by an immediate the host sets otherwise than for one by CL, which
 * the engine uses.  AMD's processors leave undefined flags as they were, and
 * the engine does not load them. */
u32 gen_undefined(const struct opdesc *d)
{
	bool rotates = !strncmp(d->name, "ro", 2) && d->opcode <= 0xc1;
	bool own = d->attrs & OP_I64 || rotates || config.ignore_undef ||
		   gen_amd();

	return own ? d->flags_undef : 0;
}

/* ---- Random values ---- */

static u64 rnd(void)
{
	return diff_random(&rng);
}

static u32 rnd_below(u32 n)
{
	return (u32)(rnd() % n);
}

static u64 rnd_value(void)
{
	static const u64 special[] = {
		0,
		1,
		2,
		0x7f,
		0x80,
		0xff,
		0x7fff,
		0x8000,
		0xffff,
		0x7fffffff,
		0x80000000,
		0xffffffff,
		0x7fffffffffffffff,
		0x8000000000000000,
		UINT64_MAX,
	};

	switch (rnd_below(4)) {
	case 0: return special[rnd_below(ARRAY_SIZE(special))];
	case 1: return rnd() >> rnd_below(64);
	default: return rnd();
	}
}

static void rnd_vector(u8 *v)
{
	static const u32 f32[] = { 0,          0x3f800000, 0xbf800000,
				   0x7f800000, 0x7fc00000, 0x00000001,
				   0x00800000, 0x4f000000, 0x80000000,
				   0x7f7fffff };
	static const u64 f64[] = { 0,
				   0x3ff0000000000000,
				   0xc000000000000000,
				   0x7ff0000000000000,
				   0x7ff8000000000000,
				   1,
				   0x41e0000000000000,
				   0x8000000000000000,
				   0x7fefffffffffffff };
	u32 kind = rnd_below(4);

	for (int n = 0; n < 32; n += 8) {
		u64 q = rnd();

		if (kind == 0)
			q = f32[rnd_below(ARRAY_SIZE(f32))] |
			    (u64)f32[rnd_below(ARRAY_SIZE(f32))] << 32;
		else if (kind == 1)
			q = f64[rnd_below(ARRAY_SIZE(f64))];
		else if (kind == 2) /* floats of moderate size */
			q = (q & 0x807fffff807fffffull) |
			    0x3f8000003f800000ull | (u64)rnd_below(8) << 23;
		put_le64(v + n, q);
	}
}

static void rnd_x87(u8 *r)
{
	static const u16 exps[] = { 0,      0x3fff, 0x4000, 0x7fff, 0xbfff,
				    0x3ffe, 0x4010, 0xffff, 1 };
	u64 frac = rnd();

	if (rnd_below(8))
		frac |= BIT(63);
	if (!rnd_below(4))
		frac &= 0xffff000000000000ull;
	put_le64(r, frac);
	put_le16(r + 8, exps[rnd_below(ARRAY_SIZE(exps))]);
}

static u32 rnd_mxcsr(void)
{
	u32 v = 0x1f80;

	if (!rnd_below(4))
		v = (u32)rnd() & 0xffff;
	if (rnd_below(3))
		v |= 0x1f80;
	return v;
}

static u32 rnd_stack(void)
{
	return DIFF_STACK + DIFF_STACK_SIZE / 2 + rnd_below(8) * 8;
}

static void rnd_state(struct diff_state *s, bool code32)
{
	for (int n = 0; n < 16; n++)
		s->gpr[n] = rnd_value();
	s->gpr[REG_RSP] = rnd_stack();
	s->gpr[REG_RSI] = DIFF_DATA + 1024 + rnd_below(1024);
	s->gpr[REG_RDI] = DIFF_DATA + 4096 + rnd_below(1024);
	s->gpr[REG_RBX] = DIFF_DATA + 2048;
	s->gpr[REG_R12] = DIFF_DATA + 512;
	s->gpr[REG_R13] = DIFF_DATA + 3072 + rnd_below(64);
	s->gpr[REG_R14] = rnd_below(64);
	s->gpr[REG_R15] = DIFF_DATA + 4096;
	if (rnd_below(2))
		s->gpr[REG_RCX] = rnd_below(80);
	for (int n = 0; n < 16 && code32; n++)
		s->gpr[n] = n < 8 ? (u32)s->gpr[n] : 0;
	s->rflags = rnd() & FLAGS_ARITH;
	for (int n = 0; n < 16; n++)
		rnd_vector(s->vec[n]);
	for (int n = 0; n < 8; n++)
		rnd_x87(s->st[n]);
	s->fcw = 0x37f;
	if (!rnd_below(4))
		s->fcw = (u16)(0x40 | (rnd() & 0xf3f));
	s->fsw = (u16)(rnd_below(8) << 11 | (rnd() & 0x4700));
	s->ftw = rnd_below(3) ? (u8)rnd() : 0xff;
	s->mxcsr = rnd_mxcsr();
}

/* ---- Bytes and addresses ---- */

/* A place that is known when all instructions have their addresses. */
struct gen_fixup {
	u16 pos;    /* of the bytes to fill in */
	u16 base;   /* what relative ones count from */
	u16 target; /* instruction; nrows: the end */
	u8 size;
	bool relative;
};

struct gen {
	struct diff_test *t;
	u32 at; /* in t->code */
	u32 n;  /* the instruction that is being made */
	struct gen_fixup fix[4 * DIFF_ROWS];
	u32 nfix;
	/* Most operands in memory are near each other, by the same registers;
	 * `form` and `at` are theirs. */
	bool near;
	u8 form;
	u32 near_at;
};

static void gen_imm(struct gen *g, u64 v, unsigned n)
{
	while (n--) {
		g->t->code[g->at++] = (u8)v;
		v >>= 8;
	}
}

static void gen_byte(struct gen *g, u8 v)
{
	gen_imm(g, v, 1);
}

/* Where a branch may go: a little ahead. */
static u32 gen_ahead(const struct gen *g)
{
	u32 to = g->n + 1 + rnd_below(3);

	return MIN(to, g->t->nrows);
}

/* Room for a target; relative ones count from `after` bytes behind it. */
static void gen_target(struct gen *g, unsigned size, bool relative, u32 after)
{
	g->fix[g->nfix++] = (struct gen_fixup){
		.pos = (u16)g->at,
		.base = (u16)(g->at + size + after),
		.target = (u16)gen_ahead(g),
		.size = (u8)size,
		.relative = relative,
	};
	gen_imm(g, 0, size);
}

static void gen_fix(struct gen *g)
{
	const u16 *off = g->t->row_off;

	for (u32 n = 0; n < g->nfix; n++) {
		struct gen_fixup *f = &g->fix[n];
		u32 to = off[f->target], saved = g->at;

		while (f->relative && f->size == 1 && to - f->base > 127)
			to = off[--f->target];
		g->at = f->pos;
		gen_imm(g,
			f->relative ? to - f->base : DIFF_CODE + g->t->at + to,
			f->size);
		g->at = saved;
	}
}

/* ModRM (and SIB) of an absolute address below 2 GiB. */
static void gen_absolute(struct gen *g, u8 reg, u32 address)
{
	if (g->t->code32) {
		gen_byte(g, (u8)(reg << 3 | 5));
	} else {
		gen_byte(g, (u8)(reg << 3 | 4));
		gen_byte(g, 0x25);
	}
	gen_imm(g, address, 4);
}

/* MOV m, imm: two or four bytes. */
static void gen_store(struct gen *g, u32 address, u32 value, unsigned size)
{
	if (size == 2)
		gen_byte(g, 0x66);
	gen_byte(g, 0xc7);
	gen_absolute(g, 0, address);
	gen_imm(g, value, size);
}

static void gen_store_target(struct gen *g, u32 address)
{
	gen_byte(g, 0xc7);
	gen_absolute(g, 0, address);
	gen_target(g, 4, false, 0);
}

/* MOV r32, imm32 */
static void gen_load(struct gen *g, u8 reg, u32 value)
{
	if (reg > 7)
		gen_byte(g, 0x41);
	gen_byte(g, 0xb8 | (reg & 7));
	gen_imm(g, value, 4);
}

static void gen_push(struct gen *g, u32 value)
{
	gen_byte(g, 0x68);
	gen_imm(g, value, 4);
}

static void gen_push_target(struct gen *g)
{
	gen_byte(g, 0x68);
	gen_target(g, 4, false, 0);
}

/* XCHG rCX, m */
static void gen_swap_rcx(struct gen *g, u32 address)
{
	if (!g->t->code32)
		gen_byte(g, 0x48);
	gen_byte(g, 0x87);
	gen_absolute(g, 1, address);
}

/* Counts a word in memory down; JRCXZ goes where the caller's
 * gen_count_out() stands when it was 0.  Flags and registers stay. */
static u32 gen_count(struct gen *g, u32 address)
{
	u32 jump;

	gen_swap_rcx(g, address);
	gen_imm(g, 0x00e3, 2);
	jump = g->at;
	if (!g->t->code32)
		gen_byte(g, 0x48);
	gen_imm(g, 0xff498d, 3); /* lea rcx, [rcx - 1] */
	gen_swap_rcx(g, address);
	return jump;
}

static void gen_count_out(struct gen *g, u32 address, u32 jump)
{
	g->t->code[jump - 1] = (u8)(g->at - jump);
	gen_swap_rcx(g, address);
}

/* ---- One encoding choice per instruction ---- */

/* A memory operand; those without a base in 32-bit code come first. */
enum gen_form {
	FORM_ABSOLUTE,
	FORM_RBX,
	FORM_RSI,
	FORM_RSP,
	FORM_INDEX32,
	FORM_R13,
	FORM_INDEX, /* [r12 + (r14 << n) + disp32] */
	FORM_RIP,
	FORM_COUNT,
	FORM_VECTOR = FORM_COUNT, /* [(xmm << n) + disp32] */
};

struct choice {
	const struct opdesc *d;
	struct operand op[OPERANDS_MAX];
	int nop;
	bool modrm, vsize, ysize, vector;
	bool rexw, rexr, rexx, rexb, opsize, addrsize, mem, lock;
	bool code32, no_rep;
	u8 reg, rm, vvvv, index;
	bool l;
	enum gen_form form;
	u32 address; /* not 0: the operand is there */
	s32 imm;     /* not negative: the immediate */
	u32 rip_at;  /* position of a RIP-relative displacement */
	u32 rip_target;
};

static void gen_memory(struct gen *g, struct choice *k)
{
	u32 align = k->d->attrs & OP_ALIGN && rnd_below(8) ? 32 : 1;
	u32 at = rnd_below(DIFF_DATA_SIZE - 128) / align * align;
	u8 reg = k->reg, scale = (u8)rnd_below(4);

	if (g->near) {
		at = g->near_at + rnd_below(80) / align * align;
		scale = g->near_at >> 5 & 3;
	} else if (!rnd_below(16))
		at = DIFF_DATA_SIZE - rnd_below(40); /* into read-only */
	if (!rnd_below(64))
		at = DIFF_DATA_SIZE + DIFF_RO_SIZE - rnd_below(40);
	if (!rnd_below(64))
		at = rnd_below(40) + DIFF_DATA_SIZE / 2 - 20;
	switch (k->form) {
	case FORM_RBX:
		gen_byte(g, (u8)(0x80 | reg << 3 | 3));
		gen_imm(g, at - 2048, 4);
		break;
	case FORM_RSI: /* what alignment brings */
		gen_byte(g, (u8)(0x40 | reg << 3 | 6));
		gen_imm(g, rnd() & 0xf0, 1);
		break;
	case FORM_RSP:
		gen_byte(g, (u8)(0x44 | reg << 3));
		gen_byte(g, 0x24);
		gen_imm(g, rnd(), 1);
		break;
	case FORM_INDEX32: /* [ebx + (ecx << n) + disp32] */
		gen_byte(g, (u8)(0x84 | reg << 3));
		gen_byte(g, (u8)(rnd_below(4) << 6 | 1 << 3 | 3));
		gen_imm(g, at / 2 - 2048, 4);
		break;
	case FORM_R13:
		gen_byte(g, (u8)(0x40 | reg << 3 | 5));
		gen_imm(g, rnd(), 1);
		break;
	case FORM_INDEX:
		gen_byte(g, (u8)(0x84 | reg << 3));
		gen_byte(g, (u8)(scale << 6 | 6 << 3 | 4));
		gen_imm(g, at - 512, 4);
		break;
	case FORM_RIP:
		gen_byte(g, (u8)(reg << 3 | 5));
		k->rip_at = g->at;
		k->rip_target = DIFF_DATA + at;
		gen_imm(g, 0, 4);
		break;
	case FORM_VECTOR:
		gen_byte(g, (u8)(4 | reg << 3));
		gen_byte(g, (u8)(rnd_below(4) << 6 | k->index << 3 | 5));
		gen_imm(g, DIFF_DATA + at, 4);
		break;
	default:
		gen_absolute(g, reg, k->address ? k->address : DIFF_DATA + at);
		break;
	}
}

static unsigned gen_vsize(const struct choice *k)
{
	if (k->rexw || (k->d->attrs & OP_F64 && !k->code32))
		return 8;
	if (k->opsize)
		return 2;
	return k->d->attrs & OP_D64 && !k->code32 ? 8 : 4;
}

static void gen_immediates(struct gen *g, const struct choice *k)
{
	for (int n = 0; n < k->nop; n++) {
		const struct operand *o = &k->op[n];
		unsigned v = gen_vsize(k);

		if (o->kind == 'L') {
			gen_imm(g, rnd() & 0xf0, 1);
		} else if (o->kind == 'O') {
			gen_imm(g, DIFF_DATA + rnd_below(DIFF_DATA_SIZE - 8),
				(k->code32 ? 4u : 8u) >> k->addrsize);
		} else if (o->kind == 'A') {
			gen_target(g, v, false, 0);
			gen_imm(g, DIFF_CS32, 2);
		} else if (o->kind == 'I') {
			unsigned size = o->size == 'b'   ? 1
					: o->size == 'w' ? 2
					: o->size == 'z' ? MIN(v, 4u)
					: o->size == 'v' ? v
							 : 4;

			gen_imm(g, k->imm >= 0 ? (u64)k->imm : rnd_value(),
				size);
		}
	}
}

static void gen_legacy(struct gen *g, const struct choice *k, u8 opcode)
{
	u8 rex = (u8)(0x40 | k->rexw << 3 | k->rexr << 2 | k->rexx << 1 |
		      k->rexb);

	if (k->lock)
		gen_byte(g, 0xf0);
	if (k->opsize || k->d->pfx == P66)
		gen_byte(g, 0x66);
	if (k->d->pfx == PF3)
		gen_byte(g, 0xf3);
	if (k->d->pfx == PF2)
		gen_byte(g, 0xf2);
	if ((k->d->attrs & OP_STR) && k->d->pfx == X && rnd_below(2))
		gen_byte(g, rnd_below(2) ? 0xf3 : 0xf2);
	if (!k->code32 && (rex != 0x40 || !rnd_below(4)))
		gen_byte(g, rex);
	if (k->d->map != M1)
		gen_byte(g, 0x0f);
	if (k->d->map == M38 || k->d->map == M3A)
		gen_byte(g, k->d->map == M38 ? 0x38 : 0x3a);
	gen_byte(g, opcode);
}

static void gen_vex(struct gen *g, const struct choice *k, u8 opcode)
{
	static const u8 pp[] = {
		[X] = 0, [NP] = 0, [P66] = 1, [PF3] = 2, [PF2] = 3
	};
	u8 map = (u8)(k->d->map - V0F + 1);

	gen_byte(g, 0xc4);
	gen_byte(g, (u8)(!k->rexr << 7 | !k->rexx << 6 | !k->rexb << 5 | map));
	gen_byte(g, (u8)(k->rexw << 7 | (~k->vvvv & 15) << 3 | k->l << 2 |
			 pp[k->d->pfx]));
	gen_byte(g, opcode);
}

static void choose_operands(struct choice *k)
{
	const struct opdesc *d = k->d;

	k->nop = opdesc_operands(d, k->op);
	k->modrm = d->reg != ANY || d->mod != A;
	for (int n = 0; n < k->nop; n++) {
		k->modrm |= strchr("EGMRVUWPNQCDS", k->op[n].kind) != NULL;
		k->vsize |= strchr("vz", k->op[n].size) != NULL;
		k->ysize |= k->op[n].size == 'y';
		k->vector |= strchr("VUWHLPNQ", k->op[n].kind) != NULL;
	}
	k->mem = d->mod == M || (d->mod == A && rnd_below(2));
	if (d->reg >= 0xc0 && d->reg != ANY)
		k->mem = false;
	/* MOV to and from CR and DR knows registers only. */
	if (d->map == M0F && d->opcode >= 0x20 && d->opcode <= 0x23)
		k->mem = false;
}

static void choose(struct gen *g, struct choice *k, const struct opdesc *d)
{
	bool vex = d->map >= V0F, b = false, code32 = g->t->code32;

	memset(k, 0, sizeof *k);
	k->d = d;
	k->code32 = code32;
	k->imm = -1;
	choose_operands(k);
	for (int n = 0; n < k->nop; n++)
		b |= strchr("BH", k->op[n].kind) != NULL;
	k->rexw = rnd_below(2);
	if (d->attrs & OP_W0)
		k->rexw = false;
	if (d->attrs & OP_W1)
		k->rexw = true;
	k->l = d->attrs & OP_L1   ? true
	       : d->attrs & OP_L0 ? false
				  : rnd_below(2);
	if (vex && !(d->attrs & (OP_L0 | OP_L1)) && !k->vector && k->nop)
		k->l = false;
	k->rexr = rnd_below(2);
	k->rexb = rnd_below(2);
	k->form = code32 ? rnd_below(FORM_INDEX32 + 1) : rnd_below(FORM_COUNT);
	if (g->near && rnd_below(8))
		k->form = g->form;
	if (k->mem) {
		k->rexb = k->form == FORM_R13 || k->form == FORM_INDEX;
		k->rexx = k->form == FORM_INDEX;
	}
	if (d->attrs & OP_B0)
		k->rexb = false;
	if ((d->reg >= 0xc0 && d->reg != ANY) || d->attrs & OP_F64)
		k->rexr = k->rexw = false;
	if (d->reg >= 0xc0 && d->reg != ANY)
		k->rexb = false;
	if (code32) {
		k->rexr = k->rexb = k->rexx = false;
		if (!vex)
			k->rexw = false;
	}
	k->opsize = d->pfx == X && k->vsize && !rnd_below(3);
	if (d->attrs & OP_F64)
		k->opsize = code32 && !rnd_below(16);
	/* With 16 bits and a count above, the result is undefined, too. */
	if ((config.ignore_undef || gen_amd()) && (d->opcode | 9) == 0xad && d->map == M0F)
		k->opsize = false;
	/* 16-bit addresses have another ModRM, and nothing lies there. */
	k->addrsize = !rnd_below(16) && !(code32 && k->mem);
	k->lock = d->attrs & OP_LOCK && k->mem && !rnd_below(3);
	k->reg = d->reg < 8 ? d->reg : (u8)rnd_below(8);
	k->rm = (u8)rnd_below(8);
	k->vvvv = b ? (u8)rnd_below(code32 ? 8 : 16) : 0;
}

static void gen_prefixes(struct gen *g, const struct choice *k)
{
	static const u8 segs[] = { 0x26, 0x2e, 0x36, 0x3e };
	bool late = k->d->attrs & OP_WR && k->d->feature != FEAT_BASE;
	u32 seg = rnd_below(32 * 4);

	/* Outside 64-bit mode CS is not for stores: what vector and x87
	 * stores have changed when they find out is the CPU's affair. */
	if (seg < 4 && !(seg == 1 && k->code32 && late))
		gen_byte(g, segs[seg]);
	if (k->addrsize)
		gen_byte(g, 0x67);
}

static void gen_encode(struct gen *g, struct choice *k)
{
	const struct opdesc *d = k->d;
	u8 opcode = d->opcode;

	if (d->attrs & OP_PLUSR)
		opcode |= (u8)rnd_below(8);
	if (d->attrs & OP_CC)
		opcode |= (u8)rnd_below(16);
	gen_prefixes(g, k);
	if (d->map >= V0F)
		gen_vex(g, k, opcode);
	else
		gen_legacy(g, k, opcode);
	if (k->modrm) {
		if (d->reg >= 0xc0 && d->reg != ANY)
			gen_byte(g, d->reg);
		else if (k->mem)
			gen_memory(g, k);
		else
			gen_byte(g, (u8)(0xc0 | k->reg << 3 | k->rm));
	}
	gen_immediates(g, k);
	if (k->rip_at) {
		u32 end = g->at, next = DIFF_CODE + g->t->at + end;

		g->at = k->rip_at;
		gen_imm(g, k->rip_target - next, 4);
		g->at = end;
	}
}

/* ---- Hooks: what some rows need around them ---- */

/* The memory operand at a fixed place, `size` bytes in all. */
static void gen_place(struct choice *k, u32 size)
{
	k->form = FORM_ABSOLUTE;
	k->rexb = k->rexx = k->addrsize = false;
	k->address = DIFF_DATA + rnd_below((DIFF_DATA_SIZE - size) / 64) * 64;
}

/* Outside 64-bit mode code and null segments are for the end: what vector and
 * x87 stores have changed when they find out is the CPU's affair. */
static u16 gen_selector(const struct gen *g)
{
	static const u16 sels[] = { DIFF_DS, DIFF_DS,   DIFF_DS,  0x10,
				    0x18,    0x50,      0x80,     0x2f,
				    0,       DIFF_CS32, DIFF_CS64 };
	bool end = g->n + 1 == g->t->nrows && !g->t->loops;
	u32 most = ARRAY_SIZE(sels) - (g->t->code32 && !end ? 3 : 0);

	return sels[rnd_below(most)];
}

static void before_ret(struct gen *g, struct choice *k)
{
	k->imm = (s32)rnd_below(8) * 8;
	if (rnd_below(16))
		gen_push_target(g);
}

static void before_lret(struct gen *g, struct choice *k)
{
	k->imm = (s32)rnd_below(8) * 8;
	k->rexw = !k->code32;
	gen_push(g, k->code32 ? DIFF_CS32 : DIFF_CS64);
	gen_push_target(g);
}

static void before_iret(struct gen *g, struct choice *k)
{
	k->rexw = !k->code32;
	if (!k->code32) {
		gen_push(g, DIFF_DS);
		gen_push(g, rnd_stack());
	}
	gen_push(g, ((u32)rnd() & 0xcd5) | 0x202);
	gen_push(g, k->code32 ? DIFF_CS32 : DIFF_CS64);
	gen_push_target(g);
}

/* AC stays clear: which vector instructions it stops is the CPU's affair. */
static void before_popf(struct gen *g, struct choice *k)
{
	u32 v = (u32)rnd() & (FLAGS_ARITH | 0x204400);

	if (!rnd_below(8))
		v |= RFLAGS_TF;
	k->rexw = false;
	gen_push(g, v | RFLAGS_FIXED | RFLAGS_IF);
}

static void before_indirect(struct gen *g, struct choice *k)
{
	if (k->mem) {
		gen_place(k, 8);
		gen_store_target(g, k->address);
		gen_store(g, k->address + 4, 0, 4);
		return;
	}
	/* Not a pointer to data, which would become one to the code. */
	if (k->rm != REG_RDX && k->rm != REG_RBP)
		k->rm = REG_RAX;
	if (k->rm == REG_RBP)
		k->rexb = false;
	if (k->rexb)
		gen_byte(g, 0x41);
	gen_byte(g, 0xb8 | k->rm);
	gen_target(g, 4, false, 0);
}

/* Bytes in front of a far pointer's selector. */
static u32 gen_far_offset(const struct choice *k)
{
	if (k->rexw)
		return gen_amd() ? 4 : 8;
	return k->opsize ? 2 : 4;
}

static void before_far(struct gen *g, struct choice *k)
{
	u32 size = gen_far_offset(k);

	gen_place(k, 16);
	gen_store_target(g, k->address);
	gen_store(g, k->address + 4, 0, 4);
	gen_store(g, k->address + size, k->code32 ? DIFF_CS32 : DIFF_CS64, 2);
}

static void before_enter(struct gen *g, struct choice *k)
{
	if (rnd_below(4))
		k->imm = (s32)rnd_below(96);
	if (rnd_below(2))
		gen_load(g, REG_RBP, rnd_stack());
}

static void before_leave(struct gen *g, struct choice *k)
{
	if (rnd_below(4))
		gen_load(g, REG_RBP, rnd_stack());
}

static void before_int(struct gen *g, struct choice *k)
{
	k->imm = (s32)rnd_below(256);
	if (k->imm == 0x80)
		k->imm = 4;
}

/* The operand E holds a selector. */
static void before_selector(struct gen *g, struct choice *k)
{
	u16 sel = gen_selector(g);

	if (k->op[0].kind == 'S') {
		static const u8 sregs[] = { 0, 2, 3, 5, 1, 6, 7 };

		k->reg = sregs[rnd_below(ARRAY_SIZE(sregs))];
		k->rexr = false;
		if (k->reg == SEG_SS && rnd_below(4))
			sel = DIFF_DS;
	}
	if (k->mem) {
		gen_place(k, 2);
		gen_store(g, k->address, sel, 2);
	} else {
		gen_load(g, (u8)(k->rm | k->rexb << 3), sel);
	}
}

static void before_load_far(struct gen *g, struct choice *k)
{
	u32 size = gen_far_offset(k);

	gen_place(k, 16);
	gen_store(g, k->address + size, gen_selector(g), 2);
}

static void before_pop_sreg(struct gen *g, struct choice *k)
{
	gen_push(g, gen_selector(g));
}

/* What the next instructions are to overwrite must not be shown by a single
 * step: that comes behind this one. */
static void gen_nop(struct gen *g)
{
	gen_byte(g, 0x90);
}

static void before_fxsave(struct gen *g, struct choice *k)
{
	gen_place(k, 512);
	gen_nop(g);
}

/* Opcode and pointers of the last x87 instruction: the CPUs' affair (SDM 1
 * 8.1.8; CPUID.7.0:EBX[13] and [6]). */
static void after_fxsave(struct gen *g, struct choice *k)
{
	gen_store(g, k->address + 6, 0, 2);
	for (u32 n = 8; n < 24; n += 4)
		gen_store(g, k->address + n, 0, 4);
	/* MXCSR_MASK has MM where SSE operands need not be aligned (APM 2
	 * "Misaligned Exception Mask"), which is offered to no guest. */
	if (gen_amd())
		gen_store(g, k->address + 28, 0, 4);
}

/* AMD's processors let these have their operand anywhere. */
static void before_sha(struct gen *g, struct choice *k)
{
	if (gen_amd())
		gen_place(k, 64);
}

/* With 32-bit addresses in 64-bit mode the counter and the pointers end up
 * zero-extended, but when no element is done or one faults, SDM 2B and APM 3
 * "REP" do not say which of them have been: that differs by instruction and
 * by vendor. */
static void before_string(struct gen *g, struct choice *k)
{
	if (!k->addrsize || k->code32)
		return;
	gen_load(g, REG_RCX, rnd_below(80));
	gen_imm(g, 0xf689, 2); /* mov esi, esi */
	gen_imm(g, 0xff89, 2); /* mov edi, edi */
}

/* Half of them aligned. */
static void before_cmpxchg16b(struct gen *g, struct choice *k)
{
	if (rnd_below(2))
		gen_place(k, 16);
}

static void before_ldmxcsr(struct gen *g, struct choice *k)
{
	gen_place(k, 4);
	gen_store(g, k->address, rnd_mxcsr(), 4);
}

static void before_fxrstor(struct gen *g, struct choice *k)
{
	gen_place(k, 512);
	gen_store(g, k->address + 24, rnd_mxcsr(), 4);
}

static void before_xsave(struct gen *g, struct choice *k)
{
	gen_place(k, 1024);
	gen_load(g, REG_RAX, rnd_below(8));
	gen_load(g, REG_RDX, 0);
}

/* Which components are in their initial state is the CPU's affair. */
static void after_xsave(struct gen *g, struct choice *k)
{
	after_fxsave(g, k);
	gen_store(g, k->address + 512, 0, 4);
}

static void before_xrstor(struct gen *g, struct choice *k)
{
	before_xsave(g, k);
	gen_store(g, k->address + 24, rnd_mxcsr(), 4);
	gen_store(g, k->address + 512, rnd_below(8), 4);
	for (u32 n = 516; n < 576; n += 4)
		gen_store(g, k->address + n, 0, 4);
}

static void before_fsave(struct gen *g, struct choice *k)
{
	gen_place(k, 128);
	gen_nop(g);
}

static void after_fsave(struct gen *g, struct choice *k)
{
	for (u32 n = 12; n < 28; n += 4)
		gen_store(g, k->address + n, 0, 4);
}

/* Small indices, and the mask: what the vector instruction before left, or
 * all. */
static void before_gather(struct gen *g, struct choice *k)
{
	u32 at = DIFF_DATA + 64;

	k->form = FORM_VECTOR;
	k->rexb = false;
	k->index = (u8)rnd_below(8);
	k->rexx = !k->code32 && rnd_below(2);
	if (rnd_below(8)) {
		for (u32 n = 0; n < 32; n += 4)
			gen_store(g, at + n,
				  k->d->opcode & 1 && n & 4 ? 0
							    : rnd_below(256),
				  4);
		gen_imm(g, k->rexx ? 0x7ec5 : 0xfec5, 2); /* vmovdqu */
		gen_byte(g, 0x6f);
		gen_absolute(g, k->index, at);
	}
	if (rnd_below(2)) { /* vpcmpeqd */
		u8 m = k->vvvv;

		gen_byte(g, 0xc4);
		gen_byte(g, (u8)(m > 7 ? 0x41 : 0xe1));
		gen_byte(g, (u8)((~m & 15) << 3 | 5));
		gen_byte(g, 0x76);
		gen_byte(g, (u8)(0xc0 | (m & 7) << 3 | (m & 7)));
	}
}

static const struct gen_hook {
	const char *name, *operands;
	void (*before)(struct gen *g, struct choice *k);
	void (*after)(struct gen *g, struct choice *k);
} gen_hooks[] = {
	{ "ret", NULL, before_ret, NULL },
	{ "lret", NULL, before_lret, NULL },
	{ "iret", NULL, before_iret, NULL },
	{ "popf", NULL, before_popf, NULL },
	{ "jmp", "Ev", before_indirect, NULL },
	{ "call", "Ev", before_indirect, NULL },
	{ "ljmp", "Mp", before_far, NULL },
	{ "lcall", "Mp", before_far, NULL },
	{ "enter", NULL, before_enter, NULL },
	{ "leave", NULL, before_leave, NULL },
	{ "int", NULL, before_int, NULL },
	{ "mov", "Sw,Ew", before_selector, NULL },
	{ "lar", NULL, before_selector, NULL },
	{ "lsl", NULL, before_selector, NULL },
	{ "verr", NULL, before_selector, NULL },
	{ "verw", NULL, before_selector, NULL },
	{ "les", NULL, before_load_far, NULL },
	{ "lds", NULL, before_load_far, NULL },
	{ "lss", NULL, before_load_far, NULL },
	{ "lgs", NULL, before_load_far, NULL },
	{ "pop", "es", before_pop_sreg, NULL },
	{ "pop", "ss", before_pop_sreg, NULL },
	{ "pop", "ds", before_pop_sreg, NULL },
	{ "pop", "gs", before_pop_sreg, NULL },
	{ "cmpxchg16b", NULL, before_cmpxchg16b, NULL },
	{ "ldmxcsr", NULL, before_ldmxcsr, NULL },
	{ "vldmxcsr", NULL, before_ldmxcsr, NULL },
	{ "fxsave", NULL, before_fxsave, after_fxsave },
	{ "fxrstor", NULL, before_fxrstor, NULL },
	{ "xsave", NULL, before_xsave, after_xsave },
	{ "xrstor", NULL, before_xrstor, NULL },
	{ "sha1rnds4", NULL, before_sha, NULL },
	{ "sha1nexte", NULL, before_sha, NULL },
	{ "sha1msg1", NULL, before_sha, NULL },
	{ "sha1msg2", NULL, before_sha, NULL },
	{ "sha256rnds2", NULL, before_sha, NULL },
	{ "sha256msg1", NULL, before_sha, NULL },
	{ "sha256msg2", NULL, before_sha, NULL },
	{ "fnstenv", NULL, before_fsave, after_fsave },
	{ "fnsave", NULL, before_fsave, after_fsave },
};

static const struct gen_hook *gen_hook_of(const struct opdesc *d)
{
	static const struct gen_hook gather = { .before = before_gather };
	static const struct gen_hook string = { .before = before_string };

	if (d->attrs & OP_VSIB)
		return &gather;
	if (d->attrs & OP_STR)
		return &string;
	for (size_t n = 0; n < ARRAY_SIZE(gen_hooks); n++)
		if (!strcmp(gen_hooks[n].name, d->name) &&
		    (!gen_hooks[n].operands ||
		     !strcmp(gen_hooks[n].operands, d->operands)))
			return &gen_hooks[n];
	return NULL;
}

/* ---- Branches ---- */

static void gen_branch_opcode(struct gen *g, const struct choice *k)
{
	u8 opcode = k->d->opcode;

	if (k->d->attrs & OP_CC)
		opcode |= (u8)rnd_below(16);
	if (k->opsize)
		gen_byte(g, 0x66);
	if (k->addrsize)
		gen_byte(g, 0x67);
	if (k->d->map == M0F)
		gen_byte(g, 0x0f);
	gen_byte(g, opcode);
}

static void gen_branch(struct gen *g, struct choice *k)
{
	unsigned size = k->op[0].size == 'b' ? 1 : k->opsize ? 2 : 4;
	u32 back = g->n - rnd_below(MIN(g->n, 2u) + 1), out, over;
	u32 to = g->t->row_off[back];

	k->addrsize = !rnd_below(4);
	if (rnd_below(3) || g->at - to > 90) {
		gen_branch_opcode(g, k);
		gen_target(g, size, true, 0);
		return;
	}
	out = gen_count(g, DIFF_CTRL);
	gen_branch_opcode(g, k);
	gen_imm(g, to - (g->at + size), size);
	gen_imm(g, 0x00eb, 2);
	over = g->at;
	gen_count_out(g, DIFF_CTRL, out);
	g->t->code[over - 1] = (u8)(g->at - over);
}

/* ---- Sequences ---- */

static void gen_row(struct gen *g, u16 row, bool last)
{
	const struct opdesc *d = &opdescs[row];
	const struct gen_hook *hook = gen_hook_of(d);
	struct choice k;

	choose(g, &k, d);
	if (k.nop && k.op[0].kind == 'J') {
		gen_branch(g, &k);
		return;
	}
	if (hook && hook->before)
		hook->before(g, &k);
	gen_encode(g, &k);
	if (hook && hook->after)
		hook->after(g, &k);
	if (gen_undefined(d) && (!last || g->t->loops))
		gen_imm(g, 0xc038, 2); /* cmp al, al: defines all */
}

/* The loop's head: pointers as at the start. */
static void gen_loop_head(struct gen *g)
{
	static const u8 regs[] = { REG_RBX, REG_RSI, REG_RDI, REG_RSP,
				   REG_R12, REG_R13, REG_R14, REG_R15 };

	for (u32 n = 0; n < (g->t->code32 ? 4u : ARRAY_SIZE(regs)); n++)
		gen_load(g, regs[n], (u32)g->t->start.gpr[regs[n]]);
}

static void gen_loop_end(struct gen *g)
{
	u32 out = gen_count(g, DIFF_CTRL + 8);

	gen_byte(g, 0xe9);
	gen_imm(g, 0 - (g->at + 4), 4);
	gen_count_out(g, DIFF_CTRL + 8, out);
}

/* ---- Choosing rows ---- */

/* The rows of each mode; gen_alone[] of those that ran to the end alone. */
static u16 *gen_rows[2];
static u32 gen_nrows[2], gen_next;
/* Those of 64-bit code that are moves and arithmetic, mostly. */
static u16 *gen_plain;
static u32 gen_nplain;
static bool *gen_alone;

static bool gen_usable(const struct opdesc *d, bool code32)
{
	if (d->attrs & (code32 ? OP_O64 : OP_I64))
		return false;
	return !gen_excluded(d) && host_has(d->feature);
}

static void gen_init_plain(void)
{
	gen_plain = xcalloc(opdesc_count, sizeof *gen_plain);
	for (u32 n = 0; n < gen_nrows[0]; n++) {
		const struct opdesc *d = &opdescs[gen_rows[0][n]];

		if (!(d->attrs & OP_END) &&
		    (d->map == M0F || (d->map == M1 && d->opcode < 0x90)))
			gen_plain[gen_nplain++] = gen_rows[0][n];
	}
}

void gen_init(const struct gen_config *c)
{
	config = *c;
	rng = c->seed;
	gen_alone = xcalloc(opdesc_count, sizeof *gen_alone);
	for (int mode = 0; mode < 2; mode++) {
		gen_rows[mode] = xcalloc(opdesc_count, sizeof **gen_rows);
		for (u16 n = 0; n < opdesc_count; n++)
			if (gen_usable(&opdescs[n], mode) &&
			    (!c->mnemonic ||
			     strstr(opdescs[n].name, c->mnemonic)))
				gen_rows[mode][gen_nrows[mode]++] = n;
	}
	if (!gen_nrows[0] && !gen_nrows[1]) {
		fprintf(stderr, "diff: no instruction '%s'\n", c->mnemonic);
		exit(1);
	}
	gen_init_plain();
}

u32 gen_forms(void)
{
	u32 count = 0;

	for (u16 n = 0; n < opdesc_count; n++)
		count += gen_usable(&opdescs[n], false) ||
			 gen_usable(&opdescs[n], true);
	return count;
}

static void gen_start(struct diff_test *t, bool code32)
{
	memset(t, 0, sizeof *t);
	memset(t->code, 0xcc, sizeof t->code);
	t->code32 = code32;
	rnd_state(&t->start, code32);
	t->seed = rnd();
	t->at = rnd_below(4) ? 0 : 4096 - rnd_below(128);
	t->start.rip = DIFF_CODE + t->at;
}

void gen_restart(void)
{
	rng = config.seed;
}

/* What does not decode has no row. */
void gen_case(struct diff_test *t, bool code32, const u8 *code, u32 len)
{
	u32 mode = MODE_PROT | MODE_LMA |
		   (code32 ? MODE_CODE32 | MODE_STACK32
			   : MODE_CODE64 | MODE_STACK64) |
		   (gen_amd() ? MODE_AMD : 0);
	u32 at = 0;

	gen_start(t, code32);
	memcpy(t->code, code, len);
	t->code_len = len + 1;
	for (t->nrows = 0; at < len && t->nrows < DIFF_ROWS; t->nrows++) {
		struct insn i;
		int r = insn_decode(mode, code + at, len - at, 0, &i);

		t->row_off[t->nrows] = (u16)at;
		t->rows[t->nrows] = r ? DIFF_NO_ROW : i.row;
		at = r ? len : at + i.len;
	}
	t->row_off[t->nrows] = (u16)len;
}

static u16 gen_pick(const struct gen *g)
{
	bool code32 = g->t->code32;

	if (g->near && gen_nplain && rnd_below(4))
		return gen_plain[rnd_below(gen_nplain)];
	return gen_rows[code32][rnd_below(gen_nrows[code32])];
}

/* First rows take turns, every other time alone, so that none is missed. */
void gen_test(struct diff_test *t)
{
	struct gen g = { .t = t };
	u32 turn = gen_next++ / 2 % (gen_nrows[0] + gen_nrows[1]);
	bool alone = gen_next % 2;

	gen_start(t, turn >= gen_nrows[0]);
	t->budget = rnd_below(12);
	t->loops = rnd_below(4) ? 0 : rnd_below(config.max_loops + 1);
	t->nrows = alone ? 1 : 1 + rnd_below(config.max_insns);
	g.near = !alone && !t->code32 && rnd_below(2);
	g.form = (u8)rnd_below(FORM_COUNT);
	g.near_at = 128 + rnd_below(DIFF_DATA_SIZE - 512) / 32 * 32;
	if (!rnd_below(4)) /* in two pages */
		g.near_at = DIFF_DATA_SIZE / 2 - 16 - rnd_below(3) * 32;
	if (t->loops)
		gen_loop_head(&g);
	for (g.n = 0; g.n < t->nrows; g.n++) {
		t->rows[g.n] = gen_pick(&g);
		if (!g.n)
			t->rows[0] = t->code32
					     ? gen_rows[1][turn - gen_nrows[0]]
					     : gen_rows[0][turn];
		t->row_off[g.n] = (u16)g.at;
		gen_row(&g, t->rows[g.n], g.n + 1 == t->nrows);
	}
	t->row_off[t->nrows] = (u16)g.at;
	gen_fix(&g);
	if (t->loops)
		gen_loop_end(&g);
	t->code_len = g.at + 1;
}

void gen_completed(const struct diff_test *t)
{
	if (t->nrows == 1 && t->rows[0] != DIFF_NO_ROW)
		gen_alone[t->rows[0]] = true;
}

u32 gen_missing(bool ended)
{
	u32 missing = 0;

	for (u16 n = 0; n < opdesc_count; n++) {
		const struct opdesc *d = &opdescs[n];
		const char *what = NULL;

		if (gen_excluded(d) || !host_has(d->feature))
			continue;
		if (!gen_usable(d, false) && !gen_usable(d, true))
			what = "never generated";
		else if (ended && !gen_alone[n] && !gen_always_faults(d))
			what = "never ran to its end";
		if (!what)
			continue;
		printf("%s: %s %s (row %u)\n", what, d->name, d->operands, n);
		missing++;
	}
	return missing;
}
