/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The engine against the host CPU: random user-mode sequences from the rows
 * of tcg/opcodes*.def, run natively (native.c) and by the engine, must leave
 * equal registers, flags, vector and x87 state, memory and exceptions.
 *
 *   diff [-u] [-t SECONDS] [-s SEED] [-n MAX_INSNS] [-m MNEMONIC]
 *        [-l MAX_DIFFS]
 *
 * -u leaves undefined flags out of it, for an engine that does not take them
 * from the host (tcg/alu_c.h).
 *
 * A difference is shrunk to the fewest instructions and printed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/bytes.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "tcg/decode.h"
#include "tcg/tcg.h"
#include "tests/diff/native.h"
#include "vmm/accel.h"
#include "vmm/cpu.h"
#include "vmm/machine.h"

#define FLAGS_ARITH 0x8d5u

/* ---- The guest: ring 3 at the same addresses ---- */

#define PHYS_TABLES 0x10000u
#define PHYS_GDT    0x1000u
#define PHYS_IDT    0x2000u
#define PHYS_TSS    0x3000u
#define PHYS_STUBS  0x4000u /* one HLT per vector, 16 bytes apart */
#define PHYS_KSTACK 0x8000u /* top */
#define PHYS_DATA   0x100000u
#define PHYS_STACK  0x104000u
#define PHYS_CODE   0x108000u
#define KERNEL_VA   0xffffffffc0000000ull /* supervisor window onto 0..64 KiB */

struct guest {
	struct machine *m;
	struct vcpu *v;
	struct cpu_state start;
	u64 next_table;
};

static void guest_put64(struct guest *g, u64 at, u64 value)
{
	u8 raw[8];

	put_le64(raw, value);
	mem_write(&g->m->mem, at, raw, 8);
}

static void guest_map(struct guest *g, u64 va, u64 pa, u64 bits)
{
	u64 table = PHYS_TABLES;

	for (int level = 3; level > 0; level--) {
		u64 at = table + (va >> (12 + 9 * level) & 511) * 8;
		u8 raw[8];
		u64 entry;

		mem_read(&g->m->mem, at, raw, 8);
		entry = get_le64(raw);
		if (!entry) {
			entry = g->next_table | 7;
			g->next_table += PAGE_SIZE;
			guest_put64(g, at, entry);
		}
		table = entry & PAGE_MASK;
	}
	guest_put64(g, table + (va >> 12 & 511) * 8, pa | bits);
}

static void guest_map_range(struct guest *g, u64 va, u64 pa, u64 size, u64 bits)
{
	for (u64 at = 0; at < size; at += PAGE_SIZE)
		guest_map(g, va + at, pa + at, bits);
}

static void guest_tables(struct guest *g)
{
	g->next_table = PHYS_TABLES + PAGE_SIZE;
	guest_map_range(g, DIFF_DATA, PHYS_DATA, DIFF_DATA_SIZE, 0x67);
	guest_map_range(g, DIFF_STACK, PHYS_STACK, DIFF_STACK_SIZE, 0x67);
	guest_map_range(g, DIFF_CODE, PHYS_CODE, DIFF_CODE_SIZE, 0x67);
	guest_map_range(g, KERNEL_VA, 0, 0x10000, 0x63);
	for (u64 n = 0; n < 32; n++) {
		u64 stub = KERNEL_VA + PHYS_STUBS + n * 16;
		u8 hlt = 0xf4;

		mem_write(&g->m->mem, PHYS_STUBS + n * 16, &hlt, 1);
		/* Interrupt gates; INT3 may be called from ring 3. */
		guest_put64(g, PHYS_IDT + n * 16,
			    (stub & 0xffff) | 8 << 16 | 0xee00ULL << 32 |
				    (stub >> 16 & 0xffff) << 48);
		guest_put64(g, PHYS_IDT + n * 16 + 8, stub >> 32);
	}
	guest_put64(g, PHYS_TSS + 4, KERNEL_VA + PHYS_KSTACK);
}

static void guest_registers(struct guest *g)
{
	struct cpu_state *c = &g->start;
	struct cpu_segment data = { .limit = 0xffffffffu,
				    .sel = 0x1b,
				    .attr = 0xc0f3 };

	cpu_reset(c, true, false);
	for (int n = 0; n < SEG_COUNT; n++)
		c->seg[n] = data;
	c->seg[SEG_CS].sel = 0x23;
	c->seg[SEG_CS].attr = 0xa0fb;
	guest_put64(g, PHYS_GDT + 8, 0x00af9b000000ffffULL);
	c->gdt = (struct cpu_table){ KERNEL_VA + PHYS_GDT, 0xff };
	c->idt = (struct cpu_table){ KERNEL_VA + PHYS_IDT, 32 * 16 - 1 };
	c->tr = (struct cpu_segment){ .base = KERNEL_VA + PHYS_TSS,
				      .limit = 0x67,
				      .sel = 0x30,
				      .attr = 0x8b };
	c->cr0 = CR0_PE | CR0_PG | CR0_WP | CR0_NE | CR0_MP | CR0_ET;
	c->cr3 = PHYS_TABLES;
	c->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE |
		 CR4_FSGSBASE;
	c->efer = EFER_LME | EFER_LMA | EFER_SCE | EFER_NXE;
	c->xcr0 = 7;
	c->mp_state = CPU_RUNNABLE;
}

static struct guest *guest_create(void)
{
	struct guest *g = xalloc(sizeof *g);
	struct err err = { 0 };

	g->m = machine_create(&err);
	if (!g->m || mem_add_ram(&g->m->mem, "ram", 0, 4 * MIB, false, &err) ||
	    accel_select(g->m, "tcg", &err) || vcpu_create(g->m, 0, &err)) {
		fprintf(stderr, "diff: %s\n", err.msg);
		exit(1);
	}
	g->v = g->m->vcpus[0];
	if (g->m->accel->vcpu_create(g->v, &err)) {
		fprintf(stderr, "diff: %s\n", err.msg);
		exit(1);
	}
	guest_tables(g);
	guest_registers(g);
	return g;
}

static void guest_destroy(struct guest *g)
{
	lock_acquire(&machine_lock);
	g->m->accel->vcpu_destroy(g->v);
	machine_destroy(g->m);
	lock_release(&machine_lock);
	free(g);
}

static void guest_load(struct guest *g, const struct diff_test *t)
{
	struct cpu_state *c = &g->v->cpu;
	const struct diff_state *s = &t->start;
	static u8 data[DIFF_DATA_SIZE], stack[DIFF_STACK_SIZE];

	*c = g->start;
	memcpy(c->gpr, s->gpr, sizeof c->gpr);
	c->rip = s->rip;
	c->rflags = s->rflags | RFLAGS_FIXED;
	for (int n = 0; n < 16; n++)
		memcpy(c->vec[n].b, s->vec[n], 32);
	for (int n = 0; n < 8; n++)
		memcpy(c->fpu.st[n], s->st[n], 10);
	c->fpu.fcw = s->fcw;
	c->fpu.fsw = s->fsw;
	c->fpu.ftw = s->ftw;
	c->fpu.mxcsr = s->mxcsr;
	diff_fill(t->seed, data, stack);
	mem_write(&g->m->mem, PHYS_DATA, data, sizeof data);
	mem_write(&g->m->mem, PHYS_STACK, stack, sizeof stack);
	mem_write(&g->m->mem, PHYS_CODE, t->code, t->code_len);
}

static void guest_store(struct guest *g, struct diff_result *r)
{
	const struct cpu_state *c = &g->v->cpu;
	struct diff_state *s = &r->state;
	u64 frame[6];
	bool code;

	r->vector = (u8)((c->rip - 1 - KERNEL_VA - PHYS_STUBS) / 16);
	code = BIT(r->vector) & 0x27d00;
	mem_read(&g->m->mem, c->gpr[REG_RSP] - KERNEL_VA, frame, sizeof frame);
	memcpy(s->gpr, c->gpr, sizeof s->gpr);
	s->rip = frame[code ? 1 : 0];
	s->rflags = frame[code ? 3 : 2] & FLAGS_ARITH;
	s->gpr[REG_RSP] = frame[code ? 4 : 3];
	r->code = r->vector == EXC_PF ? (u32)frame[0] : 0;
	r->cr2 = r->vector == EXC_PF ? c->cr2 : 0;
	for (int n = 0; n < 16; n++)
		memcpy(s->vec[n], c->vec[n].b, 32);
	for (int n = 0; n < 8; n++)
		memcpy(s->st[n], c->fpu.st[n], 10);
	s->fcw = c->fpu.fcw;
	s->fsw = c->fpu.fsw;
	s->ftw = c->fpu.ftw;
	s->mxcsr = c->fpu.mxcsr;
	mem_read(&g->m->mem, PHYS_DATA, r->data, DIFF_DATA_SIZE);
	mem_read(&g->m->mem, PHYS_STACK, r->stack, DIFF_STACK_SIZE);
}

static void guest_run(struct guest *g, const struct diff_test *t,
		      struct diff_result *r)
{
	enum vcpu_exit why;

	guest_load(g, t);
	g->m->accel->put(g->v);
	do
		why = g->m->accel->run(g->v);
	while (why == VCPU_EXIT_AGAIN);
	g->m->accel->get(g->v);
	memset(r, 0, sizeof *r);
	if (why == VCPU_EXIT_HALT)
		guest_store(g, r);
	else
		r->vector = 0xff;
}

/* ---- Generating ---- */

/* -u: what is undefined is not compared, nor read by what follows. */
static bool ignore_undef;

static u64 rng;

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

static void rnd_state(struct diff_state *s)
{
	for (int n = 0; n < 16; n++)
		s->gpr[n] = rnd_value();
	s->gpr[REG_RSP] = DIFF_STACK + DIFF_STACK_SIZE / 2 + rnd_below(8) * 8;
	s->gpr[REG_RSI] = DIFF_DATA + 1024 + rnd_below(1024);
	s->gpr[REG_RDI] = DIFF_DATA + 4096 + rnd_below(1024);
	s->gpr[REG_RBX] = DIFF_DATA + 2048;
	s->gpr[REG_R15] = DIFF_DATA + 4096;
	s->gpr[REG_R14] = rnd_below(64);
	if (rnd_below(2))
		s->gpr[REG_RCX] = rnd_below(80);
	s->rip = DIFF_CODE;
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
	s->mxcsr = 0x1f80;
	if (!rnd_below(4))
		s->mxcsr = (u32)rnd() & 0xffff;
	if (rnd_below(3))
		s->mxcsr |= 0x1f80;
}

struct gen {
	u8 *p;
	u8 *end;
};

static void gen_imm(struct gen *g, u64 v, unsigned n)
{
	while (n--) {
		*g->p++ = (u8)v;
		v >>= 8;
	}
}

/* One encoding choice per instruction. */
struct choice {
	const struct opdesc *d;
	struct operand op[OPERANDS_MAX];
	int nop;
	bool modrm, vsize, ysize, vector;
	bool rexw, rexr, rexb, opsize, mem, lock;
	u8 reg, rm, vvvv;
	bool l;
};

static void gen_memory(struct gen *g, struct choice *k, u8 reg)
{
	u32 align = k->d->attrs & OP_ALIGN && rnd_below(8) ? 32 : 1;
	u32 at = rnd_below(DIFF_DATA_SIZE - 128) / align * align;

	if (!rnd_below(16))
		at = DIFF_DATA_SIZE - rnd_below(40); /* page edge */
	if (!rnd_below(64))
		at = rnd_below(40) + DIFF_DATA_SIZE / 2 - 20;
	switch (rnd_below(3)) {
	case 0: /* absolute */
		*g->p++ = (u8)(reg << 3 | 4);
		*g->p++ = 0x25;
		gen_imm(g, DIFF_DATA + at, 4);
		break;
	case 1: /* [rbx + disp32] */
		*g->p++ = (u8)(0x80 | reg << 3 | 3);
		gen_imm(g, at - 2048, 4);
		break;
	default: /* [rsi + disp8], what alignment brings */
		*g->p++ = (u8)(0x40 | reg << 3 | 6);
		gen_imm(g, rnd() & 0xf0, 1);
		break;
	}
}

static unsigned gen_vsize(const struct choice *k)
{
	if (k->rexw || k->d->attrs & OP_F64)
		return 8;
	if (k->opsize)
		return 2;
	return k->d->attrs & OP_D64 ? 8 : 4;
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
				8);
		} else if (o->kind == 'I') {
			unsigned size = o->size == 'b'   ? 1
					: o->size == 'w' ? 2
					: o->size == 'z' ? MIN(v, 4u)
					: o->size == 'v' ? v
							 : 4;

			gen_imm(g, rnd_value(), size);
		}
	}
}

static const u8 gen_map[][2] = {
	[M0F] = { 0x0f, 0 }, [M38] = { 0x0f, 0x38 }, [M3A] = { 0x0f, 0x3a }
};

static void gen_legacy(struct gen *g, const struct choice *k, u8 opcode)
{
	u8 rex = (u8)(0x40 | k->rexw << 3 | k->rexr << 2 | k->rexb);

	if (k->lock)
		*g->p++ = 0xf0;
	if (k->opsize || k->d->pfx == P66)
		*g->p++ = 0x66;
	if (k->d->pfx == PF3)
		*g->p++ = 0xf3;
	if (k->d->pfx == PF2)
		*g->p++ = 0xf2;
	if ((k->d->attrs & OP_STR) && k->d->pfx == X && rnd_below(2))
		*g->p++ = rnd_below(2) ? 0xf3 : 0xf2;
	if (rex != 0x40 || !rnd_below(4))
		*g->p++ = rex;
	if (k->d->map != M1)
		*g->p++ = 0x0f;
	if (k->d->map == M38 || k->d->map == M3A)
		*g->p++ = gen_map[k->d->map][1];
	*g->p++ = opcode;
}

static void gen_vex(struct gen *g, const struct choice *k, u8 opcode)
{
	static const u8 pp[] = {
		[X] = 0, [NP] = 0, [P66] = 1, [PF3] = 2, [PF2] = 3
	};
	u8 map = (u8)(k->d->map - V0F + 1);

	*g->p++ = 0xc4;
	*g->p++ = (u8)(!k->rexr << 7 | 0x40 | !k->rexb << 5 | map);
	*g->p++ = (u8)(k->rexw << 7 | (~k->vvvv & 15) << 3 | k->l << 2 |
		       pp[k->d->pfx]);
	*g->p++ = opcode;
}

static void choose(struct choice *k, const struct opdesc *d)
{
	bool vex = d->map >= V0F, b = false, locked;

	memset(k, 0, sizeof *k);
	k->d = d;
	k->nop = opdesc_operands(d, k->op);
	k->modrm = d->reg != ANY || d->mod != A;
	for (int n = 0; n < k->nop; n++) {
		k->modrm |= strchr("EGMRVUWPNQ", k->op[n].kind) != NULL;
		k->vsize |= strchr("vz", k->op[n].size) != NULL;
		k->ysize |= k->op[n].size == 'y';
		k->vector |= strchr("VUWHLPNQ", k->op[n].kind) != NULL;
		b |= strchr("BH", k->op[n].kind) != NULL;
	}
	k->mem = d->reg < 0xc0 || d->reg == ANY
			 ? d->mod == M || (d->mod == A && rnd_below(2))
			 : false;
	if (d->reg >= 0xc0)
		k->mem = false;
	k->rexw = rnd_below(2);
	if (d->attrs & OP_W0)
		k->rexw = false;
	if (d->attrs & OP_W1)
		k->rexw = true;
	k->l = d->attrs & OP_L1   ? true
	       : d->attrs & OP_L0 ? false
				  : rnd_below(2);
	if (vex && !(d->attrs & (OP_L0 | OP_L1)) && !k->vector)
		k->l = false;
	k->rexr = rnd_below(2);
	k->rexb = k->mem ? false : rnd_below(2);
	if (d->reg >= 0xc0 ||
	    (d->map == M1 && d->opcode >= 0xd8 && d->opcode <= 0xdf))
		k->rexr = k->rexb = k->rexw = false;
	k->opsize = d->pfx == X && k->vsize && !rnd_below(3);
	/* With 16 bits and a count above, the result is undefined, too. */
	if (ignore_undef && (d->opcode | 9) == 0xad && d->map == M0F)
		k->opsize = false;
	locked = d->attrs & OP_LOCK && k->mem;
	k->lock = locked && !rnd_below(3);
	k->reg = d->reg < 8 ? d->reg : (u8)rnd_below(8);
	k->rm = (u8)rnd_below(8);
	k->vvvv = b ? (u8)rnd_below(16) : 0;
	if (vex && !b)
		k->vvvv = 0;
}

static void gen_insn(struct gen *g, const struct opdesc *d, bool last)
{
	struct choice k;
	u8 opcode = d->opcode;

	choose(&k, d);
	if (d->attrs & OP_PLUSR)
		opcode |= (u8)rnd_below(8);
	if (d->attrs & OP_CC)
		opcode |= (u8)rnd_below(16);
	if (d->map >= V0F)
		gen_vex(g, &k, opcode);
	else
		gen_legacy(g, &k, opcode);
	if (k.modrm) {
		if (d->reg >= 0xc0 && d->reg != ANY)
			*g->p++ = d->reg;
		else if (k.mem)
			gen_memory(g, &k, k.reg);
		else
			*g->p++ = (u8)(0xc0 | k.reg << 3 | k.rm);
	}
	gen_immediates(g, &k);
	/* A rotation by an immediate leaves OF undefined, and the host sets
	 * it otherwise than for one by CL, which the engine uses. */
	if (!ignore_undef && !strncmp(d->name, "ro", 2) && d->opcode <= 0xc1)
		gen_imm(g, 0xc084, 2); /* test al, al */
	if (ignore_undef && d->flags_undef && !last)
		gen_imm(g, 0xc038, 2); /* cmp al, al: defines all */
}

/* ---- Choosing rows ---- */

static u16 *rows;
static u32 nrows;

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
	case FEAT_VAES:
	case FEAT_VPCLMUL:
	case FEAT_GFNI:
	case FEAT_SERIALIZE: return false;
	default: return true;
	}
}

static bool row_usable(const struct opdesc *d)
{
	if (d->attrs & (OP_PRIV | OP_IOPL | OP_SYS | OP_NEVER | OP_END |
			OP_I64 | OP_VSIB | OP_HINT))
		return false;
	if (strpbrk(d->operands, "JACDS") && !strstr(d->operands, "AL") &&
	    !strstr(d->operands, "AX") && !strstr(d->operands, "CL"))
		return false;
	/* The environment's pointers differ between vendors. */
	if (strstr(d->name, "env") || strstr(d->name, "fnsave") ||
	    strstr(d->name, "frstor"))
		return false;
	return host_has(d->feature);
}

static void find_rows(const char *mnemonic)
{
	rows = xcalloc(opdesc_count, sizeof *rows);
	for (u16 n = 0; n < opdesc_count; n++)
		if (row_usable(&opdescs[n]) &&
		    (!mnemonic || strstr(opdescs[n].name, mnemonic)))
			rows[nrows++] = n;
	if (!nrows) {
		fprintf(stderr, "diff: no instruction '%s'\n", mnemonic);
		exit(1);
	}
}

static void make_test(struct diff_test *t, u32 max)
{
	struct gen g = { t->code, t->code + sizeof t->code };

	memset(t, 0, sizeof *t);
	rnd_state(&t->start);
	t->seed = rnd();
	t->nrows = 1 + rnd_below(max);
	for (u32 n = 0; n < t->nrows; n++) {
		t->rows[n] = rows[rnd_below(nrows)];
		t->row_off[n] = (u8)(g.p - t->code);
		gen_insn(&g, &opdescs[t->rows[n]], n + 1 == t->nrows);
	}
	*g.p++ = 0xcc;
	t->code_len = (u32)(g.p - t->code);
}

/* ---- Comparing ---- */

static bool fpu_equal(const struct diff_state *a, const struct diff_state *b)
{
	return a->fcw == b->fcw && a->fsw == b->fsw && a->ftw == b->ftw &&
	       !memcmp(a->st, b->st, sizeof a->st);
}

/* From the guard page of user space on, the host has mappings of its own, so
 * absence looks like protection there. */
static bool same_code(const struct diff_result *a, const struct diff_result *b)
{
	return a->code == b->code ||
	       (a->cr2 >= 0x7ffffffff000 && !((a->code ^ b->code) & ~1u));
}

/* Masked stores may report any byte of the two pages they reach. */
static bool same_address(const struct diff_result *a,
			 const struct diff_result *b)
{
	return a->cr2 - b->cr2 <= 32 || b->cr2 - a->cr2 <= 32;
}

static bool same(const struct diff_test *t, const struct diff_result *a,
		 const struct diff_result *b)
{
	const struct diff_state *x = &a->state, *y = &b->state;
	u64 undef =
		ignore_undef ? opdescs[t->rows[t->nrows - 1]].flags_undef : 0;

	return a->vector == b->vector && same_code(a, b) &&
	       same_address(a, b) && !memcmp(x->gpr, y->gpr, sizeof x->gpr) &&
	       x->rip == y->rip && !((x->rflags ^ y->rflags) & ~undef) &&
	       x->mxcsr == y->mxcsr && fpu_equal(x, y) &&
	       !memcmp(x->vec, y->vec, sizeof x->vec) &&
	       !memcmp(a->data, b->data, sizeof a->data) &&
	       !memcmp(a->stack, b->stack, sizeof a->stack);
}

static void print_bytes(const char *what, const u8 *a, const u8 *b, u32 n)
{
	for (u32 k = 0; k < n; k++)
		if (a[k] != b[k]) {
			printf("  %s+%#x: host %02x engine %02x\n", what, k,
			       a[k], b[k]);
			return;
		}
}

static void print_vec(int n, const u8 *a, const u8 *b, const u8 *start)
{
	printf("  ymm%d:\n", n);
	for (int q = 3; q >= 0; q--)
		printf("    start %016llx host %016llx engine %016llx\n",
		       (unsigned long long)get_le64(start + 8 * q),
		       (unsigned long long)get_le64(a + 8 * q),
		       (unsigned long long)get_le64(b + 8 * q));
}

static void print_difference(const struct diff_test *t,
			     const struct diff_result *a,
			     const struct diff_result *b)
{
	const struct diff_state *x = &a->state, *y = &b->state;

	for (u32 n = 0; n < t->nrows; n++) {
		u32 end =
			n + 1 < t->nrows ? t->row_off[n + 1] : t->code_len - 1;

		printf("  %-12s %-10s", opdescs[t->rows[n]].name,
		       opdescs[t->rows[n]].operands);
		for (u32 k = t->row_off[n]; k < end; k++)
			printf(" %02x", t->code[k]);
		printf("\n");
	}
	if (a->vector != b->vector || a->code != b->code || a->cr2 != b->cr2)
		printf("  vector: host %u/%#x/%#llx engine %u/%#x/%#llx\n",
		       a->vector, a->code, (unsigned long long)a->cr2,
		       b->vector, b->code, (unsigned long long)b->cr2);
	for (int n = 0; n < 16; n++)
		if (x->gpr[n] != y->gpr[n])
			printf("  r%d: start %016llx host %016llx engine "
			       "%016llx\n",
			       n, (unsigned long long)t->start.gpr[n],
			       (unsigned long long)x->gpr[n],
			       (unsigned long long)y->gpr[n]);
	if (x->rip != y->rip)
		printf("  rip: host %llx engine %llx\n",
		       (unsigned long long)x->rip, (unsigned long long)y->rip);
	if (x->rflags != y->rflags)
		printf("  rflags: start %llx host %llx engine %llx\n",
		       (unsigned long long)t->start.rflags,
		       (unsigned long long)x->rflags,
		       (unsigned long long)y->rflags);
	if (x->mxcsr != y->mxcsr)
		printf("  mxcsr: start %x host %x engine %x\n", t->start.mxcsr,
		       x->mxcsr, y->mxcsr);
	if (!fpu_equal(x, y)) {
		printf("  x87: start %04x %04x %02x host %04x %04x %02x "
		       "engine %04x %04x %02x\n",
		       t->start.fcw, t->start.fsw, t->start.ftw, x->fcw, x->fsw,
		       x->ftw, y->fcw, y->fsw, y->ftw);
		for (int n = 0; n < 8; n++)
			if (memcmp(x->st[n], y->st[n], 10))
				printf("  st%d: host %04x %016llx engine %04x "
				       "%016llx\n",
				       n, get_le16(x->st[n] + 8),
				       (unsigned long long)get_le64(x->st[n]),
				       get_le16(y->st[n] + 8),
				       (unsigned long long)get_le64(y->st[n]));
	}
	for (int n = 0; n < 16; n++)
		if (memcmp(x->vec[n], y->vec[n], 32))
			print_vec(n, x->vec[n], y->vec[n], t->start.vec[n]);
	print_bytes("data", a->data, b->data, sizeof a->data);
	print_bytes("stack", a->stack, b->stack, sizeof a->stack);
}

/* Leaves out instructions while the results still differ. */
static void shrink(struct native *n, struct guest *g, struct diff_test *t)
{
	static struct diff_result a, b;

	for (u32 drop = 0; drop < t->nrows && t->nrows > 1;) {
		struct diff_test s = *t;
		u32 from = t->row_off[drop];
		u32 to = drop + 1 < t->nrows ? t->row_off[drop + 1]
					     : t->code_len - 1;

		memmove(s.code + from, s.code + to, t->code_len - to);
		s.code_len -= to - from;
		for (u32 k = drop; k + 1 < t->nrows; k++) {
			s.rows[k] = t->rows[k + 1];
			s.row_off[k] = (u8)(t->row_off[k + 1] - (to - from));
		}
		s.nrows--;
		guest_run(g, &s, &b);
		if (!native_run(n, &s, 1, &a) || !same(&s, &a, &b)) {
			*t = s;
			drop = 0;
		} else {
			drop++;
		}
	}
}

/* Without -u, undefined flags of the last instructions are compared too: the
 * engine takes them from the same CPU. */
static u32 check_batch(struct native *n, struct guest *g,
		       const struct diff_test *test)
{
	static struct diff_result host[DIFF_BATCH], engine, a;
	u32 bad = 0;

	if (!native_run(n, test, DIFF_BATCH, host)) {
		printf("diff: the native child died\n");
		exit(1);
	}
	for (int k = 0; k < DIFF_BATCH; k++) {
		struct diff_test t = test[k];

		guest_run(g, &t, &engine);
		if (same(&t, &host[k], &engine))
			continue;
		bad++;
		shrink(n, g, &t);
		guest_run(g, &t, &engine);
		native_run(n, &t, 1, &a);
		printf("difference:\n");
		print_difference(&t, &a, &engine);
		fflush(stdout);
	}
	return bad;
}

int main(int argc, char **argv)
{
	static struct diff_test batch[DIFF_BATCH];
	const char *mnemonic = NULL;
	u64 seed = clock_realtime_ns(), seconds = 5, start = clock_mono_ns();
	u64 count = 0;
	u32 max = 8, bad = 0, limit = 20;
	struct native *n;
	struct guest *g;
	int c;

	while ((c = getopt(argc, argv, "ut:s:n:m:l:")) != -1) {
		switch (c) {
		case 'u': ignore_undef = true; break;
		case 't': seconds = strtoull(optarg, NULL, 0); break;
		case 's': seed = strtoull(optarg, NULL, 0); break;
		case 'n': max = (u32)MIN(strtoul(optarg, NULL, 0), 12u); break;
		case 'm': mnemonic = optarg; break;
		case 'l': limit = (u32)strtoul(optarg, NULL, 0); break;
		default: return 2;
		}
	}
	printf("seed %llu\n", (unsigned long long)seed);
	fflush(stdout);
	rng = seed;
	find_rows(mnemonic);
	n = native_create();
	g = guest_create();
	if (!n)
		return 1;
	while (bad < limit && clock_mono_ns() - start < seconds * NS_PER_S) {
		for (int k = 0; k < DIFF_BATCH; k++)
			make_test(&batch[k], max);
		bad += check_batch(n, g, batch);
		count += DIFF_BATCH;
	}
	guest_destroy(g);
	native_destroy(n);
	printf("%llu sequences over %u forms, %u differences\n",
	       (unsigned long long)count, nrows, bad);
	return bad ? 1 : 0;
}
