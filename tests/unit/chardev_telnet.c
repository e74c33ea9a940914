/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The telnet protocol: what is stripped, what is answered, and noise.
 */
#include "chardev/telnet.h"

#include <check.h>
#include <string.h>

#include "tests/unit/fuzz.h"

static struct telnet t;

static void setup(void)
{
	memset(&t, 0, sizeof t);
	telnet_start(&t);
}

static void teardown(void)
{
	telnet_fini(&t);
}

START_TEST(data_comes_through)
{
	u8 data[] = "a\r\0b\xff\xff"
		    "c\xff\xf3"
		    "d\xff\xfd\x01"
		    "e";
	u32 breaks = 0;
	size_t n = telnet_input(&t, data, sizeof data - 1, &breaks);

	ck_assert_uint_eq(breaks, 1);
	ck_assert_uint_ge(n, 6);
	ck_assert(!memcmp(data,
			  "a\rb\xff"
			  "c",
			  5));
	ck_assert_int_eq(data[n - 1], 'e');
}

END_TEST

/* Only who speaks telnet is asked, and once. */
START_TEST(window_is_asked_for_and_heard)
{
	u8 plain[] = "hello\r\n", answer[] = "\xff\xfb\x00\xff\xfd\x03";
	u8 size[] = "\xff\xfb\x1f"
		    "\xff\xfa\x1f\x00\xff\xff\x00\x18\xff\xf0x";
	u8 wrong[] = "\xff\xfa\x1f\x01\xff\xf0\xff\xfa\x1f\x01\x02\x03\x04\x05"
		     "\xff\xf0\xff\xfa\x18\x00\x01\x00\x02\xff\xf0";
	size_t hello = t.reply.len;
	u32 breaks;

	telnet_input(&t, plain, sizeof plain - 1, &breaks);
	ck_assert_uint_eq(t.reply.len, hello);
	telnet_input(&t, answer, sizeof answer - 1, &breaks);
	ck_assert_uint_eq(t.reply.len, hello + 3);
	ck_assert(!memcmp(t.reply.data + hello, "\xff\xfd\x1f", 3));
	ck_assert_uint_eq(t.columns, 0);
	ck_assert_uint_eq(telnet_input(&t, size, sizeof size - 1, &breaks), 1);
	ck_assert_uint_eq(t.reply.len, hello + 3);
	ck_assert_uint_eq(t.columns, 255);
	ck_assert_uint_eq(t.rows, 24);
	ck_assert_uint_eq(telnet_input(&t, wrong, sizeof wrong - 1, &breaks),
			  0);
	ck_assert_uint_eq(t.columns, 255);
}

END_TEST

/* However the peer cuts its bytes, they mean the same, and answers stay in
 * proportion to what was asked. */
START_TEST(noise_in_any_pieces)
{
	fuzz_begin("telnet", 1);
	while (fuzz_goes_on()) {
		u8 whole[256], pieces[256];
		struct telnet u = { 0 };
		u32 len = 1 + fuzz_below(sizeof whole), b1 = 0, b2 = 0;
		size_t n1, n2 = 0;

		for (u32 k = 0; k < len; k++)
			whole[k] = fuzz_below(2) ? (u8)fuzz_draw()
						 : 240 + (u8)fuzz_below(16);
		memcpy(pieces, whole, len);
		telnet_fini(&t);
		setup();
		telnet_start(&u);
		n1 = telnet_input(&t, whole, len, &b1);
		for (u32 at = 0; at < len;) {
			u32 piece = 1 + fuzz_below(len - at);
			u8 part[256];
			u32 breaks;
			size_t got;

			memcpy(part, pieces + at, piece);
			got = telnet_input(&u, part, piece, &breaks);
			b2 += breaks;
			if (got > piece)
				ck_abort_msg("%zu of %u bytes", got, piece);
			memcpy(pieces + n2, part, got);
			n2 += got;
			at += piece;
		}
		/* Each ck_assert() that holds costs its parent time. */
		if (n1 != n2 || b1 != b2 || memcmp(whole, pieces, n1) ||
		    t.reply.len != u.reply.len || t.reply.len > 64 + 3 * len)
			ck_abort_msg("%zu and %zu bytes, %u and %u breaks, "
				     "answers of %zu and %zu bytes",
				     n1, n2, b1, b2, t.reply.len, u.reply.len);
		telnet_fini(&u);
	}
}

END_TEST

int main(void)
{
	Suite *suite = suite_create("chardev_telnet");
	TCase *tc = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, fuzz_timeout());
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, data_comes_through);
	tcase_add_test(tc, window_is_asked_for_and_heard);
	tcase_add_test(tc, noise_in_any_pieces);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
