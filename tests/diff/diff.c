/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The engine against the host CPU: random user-mode sequences from the rows
 * of tcg/opcodes*.def (gen.c), run natively (native.c) and by the engine
 * (engine.c), must leave equal registers, flags, vector and x87 state, memory
 * and exceptions.  A row that could be generated and never is, or that never
 * runs to its end, is a failure, too.
 *
 *   diff [-e ENGINE] [-u] [-t SECONDS] [-s SEED] [-n MAX_INSNS] [-m MNEMONIC]
 *        [-l MAX_DIFFS] [-L MAX_LOOPS] [-r RUNS]
 *
 * -e names the engine: interp or jit.
 * -u leaves undefined flags out of it, for an engine that does not take them
 * from the host (tcg/alu_c.h).
 * -L bounds the loop around a quarter of the sequences, -r lets the engine
 * run each that often from its start: an engine that translates what runs
 * often needs one or both.
 *
 * A difference is shrunk to the fewest instructions and printed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/bytes.h"
#include "lib/clock.h"
#include "tests/diff/engine.h"
#include "tests/diff/gen.h"
#include "tests/diff/moves.h"
#include "vmm/cpu.h"
#include "vmm/memory.h"

static u32 runs = 1;

/* Sequences after which a row that never ran to its end tells something: in
 * each mode it stood alone about 180 times. */
#define ENOUGH 1000000

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

/* The row whose bytes hold the one `before` the result's rip; NULL: none. */
static const struct opdesc *row_at(const struct diff_test *t,
				   const struct diff_result *r, u32 before)
{
	u32 at = (u32)r->state.rip - DIFF_CODE - t->at - before;
	u32 n = 0;

	if (at < t->row_off[0] || at >= t->row_off[t->nrows])
		return NULL;
	while (t->row_off[n + 1] <= at)
		n++;
	return t->rows[n] == DIFF_NO_ROW ? NULL : &opdescs[t->rows[n]];
}

/* The row that raised the exception the result ends with; NULL: none. */
static const struct opdesc *fault_row(const struct diff_test *t,
				      const struct diff_result *r)
{
	return r->vector == EXC_BP ? NULL : row_at(t, r, 0);
}

/* A gather that faults may have done any of the elements behind: SDM 2C
 * "VGATHERDPS" leaves those closer to the MSB open. */
static bool in_gather(const struct diff_test *t, const struct diff_result *r)
{
	const struct opdesc *d = fault_row(t, r);

	return d && d->attrs & OP_VSIB;
}

/* A POPA whose later pops fault has loaded some registers or none: only the
 * stack pointer is restartable (SDM 2B "POPA/POPAD" states no order in which
 * loads commit). */
static bool in_popa(const struct diff_test *t, const struct diff_result *r)
{
	const struct opdesc *d = fault_row(t, r);

	return d && !strcmp(d->name, "popa");
}

/* Masked stores and what loads a whole area may report any byte of the two
 * pages they reach; MASKMOVDQU may reach past the end of its addresses (67:
 * 64 KiB or 4 GiB) and go on at 0, and SDM 2B "MASKMOVDQU" leaves open which
 * bytes fault. */
static bool same_address(const struct diff_test *t, const struct diff_result *a,
			 const struct diff_result *b)
{
	const struct opdesc *d = row_at(t, a, 0);
	u64 most = d && !strcmp(d->operands, "Mn") ? 1024 : 32;
	u64 apart = a->cr2 - b->cr2;

	if (d && strstr(d->name, "maskmov") && !strchr(d->operands, 'M'))
		apart = (u64)(s64)(s16)apart;
	else if (t->code32)
		apart = (u64)(s64)(s32)apart;
	return apart <= most || 0 - apart <= most;
}

/* Compatibility mode leaves the upper halves undefined. */
static bool same_gpr(const struct diff_test *t, const struct diff_state *x,
		     const struct diff_state *y, bool popa)
{
	if (!t->code32)
		return !memcmp(x->gpr, y->gpr, sizeof x->gpr);
	if (popa)
		return (u32)x->gpr[REG_RSP] == (u32)y->gpr[REG_RSP];
	for (int n = 0; n < 8; n++)
		if ((u32)x->gpr[n] != (u32)y->gpr[n])
			return false;
	return true;
}

/* What AMD's processors do otherwise when the access of an instruction fails.
 * The engine does as Intel's, which is no less what the manuals say. */
static const struct diff_failure {
	const char *name, *why;
} amd_failures[] = {
	{ "bound", "which bound is read first" },
	{ "cmps", "ES:rDI is read first; flags of the elements before" },
	{ "scas", "flags of the elements before" },
	{ "vcvtps2ph", "MXCSR stays" },
	{ "movsxd", "reads 4 bytes with an operand size of 2, too" },
	{ "fst", "comes before what is pending; bytes in front of the end" },
	{ "fstp", "as fst" },
	{ "fist", "as fst" },
	{ "fistp", "as fst" },
	{ "fisttp", "as fst" },
	{ "fbstp", "as fst" },
};

/* Does a result of the host, an AMD, not bind the engine? */
static bool amd_fails(const struct diff_test *t, const struct diff_result *host)
{
	const struct opdesc *d = fault_row(t, host);

	if (!gen_amd() || !d ||
	    (host->vector != EXC_PF && host->vector != EXC_SS &&
	     host->vector != EXC_GP &&
	     /* a step through one that is repeated */
	     !(host->vector == EXC_DB && d->attrs & OP_STR)))
		return false;
	if (strpbrk(d->operands, "PQ")) /* MMX: the top of the stack stays */
		return true;
	for (size_t n = 0; n < ARRAY_SIZE(amd_failures); n++)
		if (!strcmp(d->name, amd_failures[n].name))
			return true;
	return false;
}

/* An access over the end of a segment of 4 GiB is beyond its limit; Intel's go
 * on at 0, where nothing is mapped. */
static bool amd_wraps(const struct diff_test *t, const struct diff_result *a,
		      const struct diff_result *b)
{
	return gen_amd() && t->code32 &&
	       (a->vector == EXC_SS || a->vector == EXC_GP) &&
	       b->vector == EXC_PF && b->cr2 > 0xffffffff - PAGE_SIZE &&
	       a->state.rip == b->state.rip;
}

static bool same(const struct diff_test *t, const struct diff_result *a,
		 const struct diff_result *b)
{
	const struct diff_state *x = &a->state, *y = &b->state;
	u16 last = t->rows[t->nrows - 1];
	u64 undef = last == DIFF_NO_ROW ? 0 : gen_undefined(&opdescs[last]);
	const struct opdesc *d = a->vector == EXC_DB ? row_at(t, a, 1) : NULL;

	if (amd_fails(t, a) || amd_wraps(t, a, b))
		return true;
	/* A single step ends before the flags were defined again. */
	if (d)
		undef |= gen_undefined(d);
	return a->vector == b->vector && same_code(a, b) &&
	       same_address(t, a, b) && same_gpr(t, x, y, in_popa(t, a)) &&
	       x->rip == y->rip && !((x->rflags ^ y->rflags) & ~undef) &&
	       x->mxcsr == y->mxcsr && fpu_equal(x, y) &&
	       (in_gather(t, a) || !memcmp(x->vec, y->vec, sizeof x->vec)) &&
	       !memcmp(a->data, b->data, sizeof a->data) &&
	       !memcmp(a->stack, b->stack, sizeof a->stack) &&
	       !memcmp(a->code_after, b->code_after, sizeof a->code_after) &&
	       !memcmp(a->ctrl, b->ctrl, sizeof a->ctrl);
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

static void print_test(const struct diff_test *t)
{
	printf("  %s at %#x, budget %u, loops %u, %u bytes\n",
	       t->code32 ? "32-bit" : "64-bit", DIFF_CODE + t->at, t->budget,
	       t->loops, t->code_len);
	for (u32 n = 0; n < t->nrows; n++) {
		if (t->rows[n] == DIFF_NO_ROW)
			continue;
		printf("  %3x %-12s %-10s", t->row_off[n],
		       opdescs[t->rows[n]].name, opdescs[t->rows[n]].operands);
		for (u32 k = t->row_off[n]; k < t->row_off[n + 1]; k++)
			printf(" %02x", t->code[k]);
		printf("\n");
	}
}

static void print_difference(const struct diff_test *t,
			     const struct diff_result *a,
			     const struct diff_result *b)
{
	const struct diff_state *x = &a->state, *y = &b->state;

	print_test(t);
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
	print_bytes("code", a->code_after, b->code_after, sizeof a->code_after);
	print_bytes("counters", a->ctrl, b->ctrl, sizeof a->ctrl);
}

/* Runs the sequence as often as -r says; `r` is the first result that is not
 * the host's, or the last. */
static bool check_one(struct engine *e, const struct diff_test *t,
		      const struct diff_result *host, struct diff_result *r)
{
	engine_code(e, t);
	for (u32 n = 0; n < runs; n++) {
		engine_run(e, t, r);
		if (!same(t, host, r))
			return false;
	}
	return true;
}

/* Leaves out instructions and loops while the results still differ. */
static void shrink(struct native *n, struct engine *e, struct diff_test *t)
{
	static struct diff_result host, r;

	for (u32 drop = 0; drop <= t->nrows; drop++) {
		struct diff_test s = *t;

		if (drop == t->nrows) {
			s.loops = s.budget = 0;
		} else {
			memset(s.code + t->row_off[drop], 0x90,
			       t->row_off[drop + 1] - t->row_off[drop]);
			s.rows[drop] = DIFF_NO_ROW;
		}
		if (!native_run(n, &s, 1, &host) ||
		    !check_one(e, &s, &host, &r))
			*t = s;
	}
}

/* Without -u, undefined flags of the last instructions are compared too: the
 * engine takes them from the same CPU. */
static u32 check_batch(struct native *n, struct engine *e,
		       const struct diff_test *test)
{
	static struct diff_result host[DIFF_BATCH], r, a;
	u32 bad = 0;

	if (!native_run(n, test, DIFF_BATCH, host)) {
		printf("diff: no answer from the native child: %s\n",
		       native_failure(n));
		print_test(&test[native_at(n)]);
		exit(1);
	}
	for (int k = 0; k < DIFF_BATCH; k++) {
		struct diff_test t = test[k];

		if (host[k].vector == EXC_BP &&
		    host[k].state.rip == t.start.rip + t.code_len) {
			gen_completed(&t);
			if (!moves_hold(&t, &host[k].state)) {
				print_test(&t);
				bad++;
			}
		}
		if (check_one(e, &t, &host[k], &r))
			continue;
		bad++;
		shrink(n, e, &t);
		native_run(n, &t, 1, &a);
		check_one(e, &t, &a, &r);
		printf("difference:\n");
		print_difference(&t, &a, &r);
		fflush(stdout);
	}
	return bad;
}

static const struct diff_case {
	bool code32;
	const char *what;
	u32 len;
	u8 code[24];
} cases[] = {

#define CASE(bits, what, ...) \
	{ (bits) == 32, what, sizeof((u8[]){ __VA_ARGS__ }), { __VA_ARGS__ } },
#include "tests/diff/cases.def"
#undef CASE
};

static u32 check_cases(struct native *n, struct engine *e)
{
	static struct diff_test batch[DIFF_BATCH];
	u32 bad = 0;

	for (size_t k = 0; k < ARRAY_SIZE(cases); k++) {
		const struct diff_case *x = &cases[k];
		u32 before = bad;

		for (int m = 0; m < DIFF_BATCH; m++)
			gen_case(&batch[m], x->code32, x->code, x->len);
		bad += check_batch(n, e, batch);
		if (bad > before)
			printf("case: %s\n", x->what);
	}
	return bad;
}

int main(int argc, char **argv)
{
	static struct diff_test batch[DIFF_BATCH];
	struct gen_config config = { .seed = clock_realtime_ns(),
				     .max_insns = 8,
				     .max_loops = 4 };
	u64 seconds = 5, start = clock_mono_ns(), count = 0;
	const char *engine = "interp";
	u32 bad = 0, limit = 20;
	struct native *n;
	struct engine *e;
	int c;

	while ((c = getopt(argc, argv, "e:ut:s:n:m:l:L:r:")) != -1) {
		switch (c) {
		case 'e': engine = optarg; break;
		case 'u': config.ignore_undef = true; break;
		case 't': seconds = strtoull(optarg, NULL, 0); break;
		case 's': config.seed = strtoull(optarg, NULL, 0); break;
		case 'n':
			config.max_insns = (u32)strtoul(optarg, NULL, 0);
			break;
		case 'm': config.mnemonic = optarg; break;
		case 'l': limit = (u32)strtoul(optarg, NULL, 0); break;
		case 'L':
			config.max_loops = (u32)strtoul(optarg, NULL, 0);
			break;
		case 'r': runs = (u32)strtoul(optarg, NULL, 0); break;
		default: return 2;
		}
	}
	config.max_insns = MAX(1u, MIN(config.max_insns, (u32)DIFF_ROWS));
	printf("seed %llu\n", (unsigned long long)config.seed);
	fflush(stdout);
	gen_init(&config);
	moves_init();
	n = native_create();
	e = engine_create(engine);
	if (!n)
		return 1;
	if (!config.mnemonic)
		bad += check_cases(n, e);
	/* A seed means the same, whatever cases there are. */
	gen_restart();
	while (bad < limit && clock_mono_ns() - start < seconds * NS_PER_S) {
		for (int k = 0; k < DIFF_BATCH; k++)
			gen_test(&batch[k]);
		bad += check_batch(n, e, batch);
		count += DIFF_BATCH;
	}
	engine_destroy(e);
	native_destroy(n);
	printf("%llu sequences over %u forms, %u differences\n",
	       (unsigned long long)count, gen_forms(), bad);
	/* Too few say nothing about rows that seldom end well. */
	if (!config.mnemonic)
		bad += gen_missing(count >= ENOUGH);
	return bad ? 1 : 0;
}
