/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Who gets memory for decoded code: parts, the common rest, giving back.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tcg/pool.h"

static u32 take_all(struct pool *p, struct pool_user *u)
{
	u32 n = 0;

	while (pool_take(p, u)) {
		ck_assert_uint_eq(u->newest->used, 0);
		memset(u->newest->data, 0xa5, sizeof u->newest->data);
		u->newest->used = ++n;
	}
	return n;
}

START_TEST(everyone_gets_a_part)
{
	struct pool_user a, b;
	struct pool p;

	ck_assert_int_eq(pool_init(&p, 16 * POOL_CHUNK, 2), 0);
	ck_assert_int_eq(pool_join(&p, &a), 0);
	ck_assert_int_eq(pool_join(&p, &b), 0);
	take_all(&p, &a);
	ck_assert_uint_eq(a.count, 12);
	ck_assert(!pool_asked(&p, &a));
	take_all(&p, &b);
	ck_assert_uint_eq(b.count, 4);
	/* b is below its share of 8 and a above. */
	ck_assert(pool_asked(&p, &a));
	ck_assert(!pool_asked(&p, &b));
	pool_leave(&p, &a);
	pool_leave(&p, &b);
	pool_fini(&p);
}

END_TEST

START_TEST(what_one_gives_the_other_takes)
{
	struct pool_user a, b;
	struct pool p;

	ck_assert_int_eq(pool_init(&p, 16 * POOL_CHUNK, 2), 0);
	ck_assert_int_eq(pool_join(&p, &a), 0);
	ck_assert_int_eq(pool_join(&p, &b), 0);
	take_all(&p, &a);
	take_all(&p, &b);
	while (pool_asked(&p, &a)) {
		pool_give(&p, &a);
		ck_assert_uint_eq(take_all(&p, &b), 1);
	}
	ck_assert_uint_eq(a.count + b.count, 16);
	ck_assert_uint_eq(b.count, 8);
	pool_leave(&p, &b);
	ck_assert_uint_eq(take_all(&p, &a), 4);
	pool_leave(&p, &a);
	pool_fini(&p);
}

END_TEST

START_TEST(chunks_turn_in_order)
{
	struct pool_user a;
	struct pool p;

	ck_assert_int_eq(pool_init(&p, 4 * POOL_CHUNK, 1), 0);
	ck_assert_int_eq(pool_join(&p, &a), 0);
	a.newest->used = 100;
	ck_assert_uint_eq(take_all(&p, &a), 3);
	for (u32 n = 0; n < 4; n++) {
		ck_assert_uint_eq(a.oldest->used, n ? n : 100);
		pool_turn(&a);
		ck_assert_uint_eq(a.newest->used, 0);
		ck_assert_uint_eq(a.count, 4);
	}
	pool_leave(&p, &a);
	pool_fini(&p);
}

END_TEST

START_TEST(no_more_users_than_said)
{
	struct pool_user u[3];
	struct pool p;

	/* Two chunks each, though the size is none. */
	ck_assert_int_eq(pool_init(&p, 0, 2), 0);
	ck_assert_int_eq(pool_join(&p, &u[0]), 0);
	ck_assert_int_eq(pool_join(&p, &u[1]), 0);
	ck_assert_int_lt(pool_join(&p, &u[2]), 0);
	ck_assert_uint_eq(take_all(&p, &u[0]) + take_all(&p, &u[1]), 2);
	pool_leave(&p, &u[0]);
	ck_assert_int_eq(pool_join(&p, &u[2]), 0);
	pool_leave(&p, &u[2]);
	pool_leave(&p, &u[1]);
	pool_fini(&p);
}

END_TEST

int main(void)
{
	Suite *s = suite_create("tcg/pool");
	TCase *tc = tcase_create("pool");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_test(tc, everyone_gets_a_part);
	tcase_add_test(tc, what_one_gives_the_other_takes);
	tcase_add_test(tc, chunks_turn_in_order);
	tcase_add_test(tc, no_more_users_than_said);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
