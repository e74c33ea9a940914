/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The decoder against capstone: instruction lengths over random bytes in the
 * three code sizes and over this program's own text; and its own rules.
 */
#include <capstone/capstone.h>
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tcg/decode.h"
#include "tcg/handlers.h"

#define MODE_64 (MODE_CODE64 | MODE_PROT | MODE_STACK64 | MODE_LMA)
#define MODE_32 (MODE_CODE32 | MODE_PROT | MODE_STACK32)
#define MODE_16 MODE_PROT

static u64 rng_state = 0x9e3779b9;

static u64 rng(void)
{
	rng_state ^= rng_state << 13;
	rng_state ^= rng_state >> 7;
	rng_state ^= rng_state << 17;
	return rng_state;
}

/* Random, but prefixes and escapes more often than by chance. */
static void random_insn(u8 b[15])
{
	static const u8 often[] = { 0x66, 0xf2, 0xf3, 0x67, 0x48, 0x0f,
				    0x0f, 0x0f, 0xc5, 0xc4, 0x64, 0x2e };
	int n = rng() % 4;

	for (int k = 0; k < 15; k++)
		b[k] = (u8)rng();
	for (int k = 0; k < n; k++)
		b[k] = often[rng() % ARRAY_SIZE(often)];
}

/* Where capstone 4 is wrong or follows another vendor, so lengths are not
 * compared: EVEX, XOP and 3DNow are not ours; 66 and REX.W before
 * near branches. */
static bool capstone_differs(const struct insn *i, const cs_insn *cs)
{
	const struct opdesc *d = insn_desc(i);

	if (d->attrs & OP_F64 && i->prefix & (INSN_OPSIZE | INSN_REXW))
		return true;
	/* It forgets an operand-size prefix when F2 or F3 is there, too. */
	if (d->map == M1 && i->prefix & INSN_OPSIZE &&
	    i->prefix & (INSN_REP | INSN_REPNE))
		return true;
	/* MOV to and from CR and DR: mod is ignored, APM 3 "MOV CRn". */
	if (d->map == M0F && d->opcode >= 0x20 && d->opcode <= 0x23)
		return true;
	return cs->id == X86_INS_INVALID;
}

static int compare(csh cs, u32 mode, const u8 *code, size_t n, int *compared)
{
	struct insn i = { 0 };
	cs_insn *out;
	size_t count;
	int bad = 0;

	if (insn_decode(mode, code, n, 0, &i))
		return 0;
	count = cs_disasm(cs, code, n, 0x1000, 1, &out);
	if (!count)
		return 0;
	++*compared;
	if (out->size != i.len && !capstone_differs(&i, out)) {
		printf("%s %s length %d, capstone %s %s length %d:",
		       insn_desc(&i)->name, insn_desc(&i)->operands, i.len,
		       out->mnemonic, out->op_str, out->size);
		for (int k = 0; k < 15; k++)
			printf(" %02x", code[k]);
		printf("\n");
		bad = 1;
	}
	cs_free(out, count);
	return bad;
}

static void random_strings(u32 mode, cs_mode cm)
{
	const char *cases = getenv("TCG_DECODE_CASES");
	int n = cases ? atoi(cases) : 200000, bad = 0, compared = 0;
	csh cs;

	printf("seed %llu\n", (unsigned long long)rng_state);
	ck_assert_int_eq(cs_open(CS_ARCH_X86, cm, &cs), CS_ERR_OK);
	for (int k = 0; k < n && bad < 10; k++) {
		u8 b[15];

		random_insn(b);
		bad += compare(cs, mode, b, sizeof b, &compared);
	}
	cs_close(&cs);
	ck_assert_int_eq(bad, 0);
	ck_assert_int_gt(compared, n / 4);
}

START_TEST(random_lengths_agree_with_capstone_64)
{
	random_strings(MODE_64, CS_MODE_64);
}

END_TEST

START_TEST(random_lengths_agree_with_capstone_32)
{
	random_strings(MODE_32, CS_MODE_32);
}

END_TEST

START_TEST(random_lengths_agree_with_capstone_16)
{
	random_strings(MODE_16, CS_MODE_16);
}

END_TEST

static int decode64(const char *bytes, size_t n, struct insn *i)
{
	memset(i, 0, sizeof *i);
	return insn_decode(MODE_64, (const u8 *)bytes, n, 0, i);
}

#define DECODE(bytes, i) decode64(bytes, sizeof(bytes) - 1, i)

START_TEST(lock_needs_a_lockable_memory_form)
{
	struct insn i;

	ck_assert_int_eq(DECODE("\xf0\x01\x00", &i), 0);
	ck_assert_int_eq(DECODE("\xf0\x01\xc0", &i), EXC_UD);
	ck_assert_int_eq(DECODE("\xf0\x03\x00", &i), EXC_UD);
	ck_assert_int_eq(DECODE("\xf0\x39\x00", &i), EXC_UD);
	ck_assert_int_eq(DECODE("\xf0\x90", &i), EXC_UD);
}

END_TEST

START_TEST(selectors_go_to_memory_as_words)
{
	static const char *const codes[] = {
		"\x48\x0f\x00\x00", /* sldt */
		"\x48\x0f\x00\x08", /* str */
		"\x48\x0f\x01\x20", /* smsw */
		"\x48\x8c\x18\x90", /* mov from ds */
	};
	struct insn i;

	for (u32 n = 0; n < ARRAY_SIZE(codes); n++) {
		ck_assert_int_eq(decode64(codes[n], 4, &i), 0);
		ck_assert_uint_eq(insn_mem_size(&i), 2);
	}
	ck_assert_int_eq(DECODE("\x48\x89\x18", &i), 0);
	ck_assert_uint_eq(insn_mem_size(&i), 8);
}

END_TEST

START_TEST(sixteen_bytes_are_too_long)
{
	struct insn i;

	ck_assert_int_eq(DECODE("\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66"
				"\x66\x66\x66\x90",
				&i),
			 0);
	ck_assert_int_eq(i.len, 15);
	ck_assert_int_eq(DECODE("\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66"
				"\x66\x66\x66\x66\x90",
				&i),
			 EXC_GP);
	ck_assert_int_eq(DECODE("\x66\x66\x66", &i), -1);
	ck_assert_int_eq(DECODE("\x48\xb8\x01\x02", &i), -1);
}

END_TEST

START_TEST(only_the_last_rex_counts)
{
	struct insn i;

	ck_assert_int_eq(DECODE("\x48\x41\x89\xc0", &i), 0);
	ck_assert_int_eq(i.opsize, 4);
	ck_assert_int_eq(i.rm, 8);
	ck_assert_int_eq(DECODE("\x48\x66\x89\xc0", &i), 0);
	ck_assert_int_eq(i.opsize, 2);
}

END_TEST

START_TEST(near_branch_with_66_follows_the_vendor)
{
	static const u8 code[] = { 0x66, 0xe9, 1, 2, 3, 4 };
	struct insn i = { 0 };

	ck_assert_int_eq(insn_decode(MODE_64, code, 6, 0, &i), 0);
	ck_assert_int_eq(i.len, 6);
	ck_assert_int_eq(insn_decode(MODE_64 | MODE_AMD, code, 6, 0, &i), 0);
	ck_assert_int_eq(i.len, 4);
	ck_assert_int_eq(i.opsize, 2);
}

END_TEST

START_TEST(undefined_opcodes_are_refused)
{
	struct insn i;

	ck_assert_int_eq(DECODE("\x06\x00\x00", &i), EXC_UD);
	ck_assert_int_eq(DECODE("\x0f\x0b\x00", &i), EXC_UD);
	ck_assert_int_eq(i.len, 2);
	ck_assert_int_eq(DECODE("\x0f\x04\x00", &i), EXC_UD);
	ck_assert_int_eq(DECODE("\x62\xf1\x7c\x48\x28\xc1", &i), EXC_UD);
	ck_assert_int_eq(DECODE("\x0f\x0f\xc1\x9e", &i), EXC_UD);
	ck_assert_int_eq(DECODE("\x8f\xe9\x78\x81\xc1", &i), EXC_UD);
	ck_assert_int_eq(DECODE("\xc6\xc8\x00", &i), EXC_UD);
	/* VEX.vvvv must be 1111 where it names nothing. */
	ck_assert_int_eq(DECODE("\xc4\xe2\x70\xf7\xc1", &i), 0);
	ck_assert_int_eq(DECODE("\xc4\xe3\x73\xf0\xc1\x01", &i), EXC_UD);
}

END_TEST

START_TEST(high_byte_registers_need_no_rex)
{
	struct insn i;

	ck_assert_int_eq(DECODE("\x88\xe0", &i), 0);
	ck_assert_int_eq(i.reg8, 1);
	ck_assert_int_eq(DECODE("\x40\x88\xe0", &i), 0);
	ck_assert_int_eq(i.reg8, REG_RSP * 8);
}

END_TEST

static const char *bound(const char *bytes, size_t n, u64 features, bool code64)
{
	struct insn i;

	ck_assert_int_eq(insn_decode(code64 ? MODE_64 : MODE_32,
				     (const u8 *)bytes, n, 0, &i),
			 0);
	insn_bind(&i, features, code64);
	ck_assert_ptr_nonnull(i.fn);
	return insn_desc(&i)->name;
}

START_TEST(what_cpuid_lacks_is_not_run)
{
	u64 base = BIT(FEAT_BASE);

	ck_assert_str_eq(bound("\x0f\x38\xf0\x00", 4, ~0ull, true), "movbe");
	ck_assert_str_eq(bound("\x0f\x38\xf0\x00", 4, base, true), "ud2");
	ck_assert_str_eq(bound("\x66\x0f\x38\x82\x18", 5, base, true), "ud2");
	ck_assert_str_eq(bound("\xf3\x0f\xbc\xc1", 4, ~0ull, true), "tzcnt");
	ck_assert_str_eq(bound("\xf3\x0f\xbc\xc1", 4, base, true), "bsf");
	ck_assert_str_eq(bound("\xf3\x0f\xbd\xc1", 4, base, true), "bsr");
	ck_assert_str_eq(bound("\x0f\x0d\x08", 3, base, true), "prefetchw");
	ck_assert_str_eq(bound("\x9f", 1, base, true), "ud2");
	ck_assert_str_eq(bound("\x9f", 1, base, false), "lahf");
}

END_TEST

int main(void)
{
	Suite *suite = suite_create("tcg_decode");
	TCase *tc = tcase_create("decode");
	SRunner *runner;
	int failed;

	setvbuf(stdout, NULL, _IOLBF, 0);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, random_lengths_agree_with_capstone_64);
	tcase_add_test(tc, random_lengths_agree_with_capstone_32);
	tcase_add_test(tc, random_lengths_agree_with_capstone_16);
	tcase_add_test(tc, lock_needs_a_lockable_memory_form);
	tcase_add_test(tc, selectors_go_to_memory_as_words);
	tcase_add_test(tc, sixteen_bytes_are_too_long);
	tcase_add_test(tc, only_the_last_rex_counts);
	tcase_add_test(tc, near_branch_with_66_follows_the_vendor);
	tcase_add_test(tc, undefined_opcodes_are_refused);
	tcase_add_test(tc, what_cpuid_lacks_is_not_run);
	tcase_add_test(tc, high_byte_registers_need_no_rex);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
