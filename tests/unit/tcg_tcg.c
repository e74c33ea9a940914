/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The engine between instructions: NMIs, and the state that is saved.
 */
#include "tests/unit/tcg_guest.h"

static struct guest g;

static void setup(void)
{
	guest_init(&g);
	g.m.accel = &tcg_accel;
	lock_init(&g.v.lock);
	cond_init(&g.v.wake);
}

static void teardown(void)
{
	cond_fini(&g.v.wake);
	lock_fini(&g.v.lock);
	guest_fini(&g);
}

START_TEST(nmis_are_saved_one_behind_the_other)
{
	static struct cpu_state saved;

	guest_load(&g, "\x90", 1);
	g.c->rip = GUEST_CODE;
	g.c->gpr[REG_RSP] = GUEST_STACK;
	for (int n = 0; n < 3; n++)
		vcpu_nmi(&g.v);
	tcg_accel.get(&g.v);
	saved = g.v.cpu;
	ck_assert(saved.nmi_pending && saved.nmi_second);
	ck_assert_uint_eq(atomic_load(&g.v.nmis), 0);

	/* In another machine, as it were. */
	vcpu_reset(&g.v, false);
	ck_assert(!g.v.cpu.nmi_pending && !g.v.cpu.nmi_second);
	g.v.cpu = saved;
	ck_assert_int_eq(tcg_accel.put(&g.v), 0);
	ck_assert_int_eq(tcg_accel.run(&g.v), VCPU_EXIT_HALT);
	ck_assert_uint_eq(g.c->rip, 0xa000 + 2 * 2 + 1);
	tcg_accel.get(&g.v);
	ck_assert(g.v.cpu.nmi_masked && g.v.cpu.nmi_pending);
	ck_assert(!g.v.cpu.nmi_second);
}

END_TEST

int main(void)
{
	Suite *s = suite_create("tcg");
	TCase *tc = tcase_create("tcg");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, nmis_are_saved_one_behind_the_other);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
