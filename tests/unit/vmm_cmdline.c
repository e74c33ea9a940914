/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The command line as it would be now: what follows changes of properties.
 */
#include "vmm/cmdline.h"

#include <check.h>
#include <stdlib.h>

#include "lib/types.h"

START_TEST(cmdline_properties_change_and_the_rest_stays)
{
	static const char rules[] = "user,id=n,hostfwd=tcp::5555-:22,"
				    "hostfwd=tcp::55-:23,net=10.0.0.0/8";

	cmdline_add("netdev", rules);
	cmdline_add("drive", "file=a,,b,id=d,if=none");
	cmdline_put("netdev", "n", "hostfwd", "udp::53-:53");
	cmdline_take("netdev", "n", "hostfwd", "tcp::55-");
	ck_assert_str_eq(cmdline_item(0)->arg,
			 "user,id=n,hostfwd=tcp::5555-:22,net=10.0.0.0/8,"
			 "hostfwd=udp::53-:53");
	cmdline_set("drive", "d", "readonly", "on");
	ck_assert_str_eq(cmdline_item(1)->arg,
			 "file=a,,b,id=d,if=none,readonly=on");
	cmdline_set("drive", "d", "file", "x,y");
	cmdline_set("drive", "d", "readonly", NULL);
	ck_assert_str_eq(cmdline_item(1)->arg, "id=d,if=none,file=x,,y");
	cmdline_set("drive", "nosuch", "file", "z");
	cmdline_set("netdev", "d", "file", "z");
	ck_assert_ptr_null(cmdline_item(2));
	cmdline_clear();
}

END_TEST

START_TEST(cmdline_names_are_given_later)
{
	cmdline_add(NULL, "d");
	cmdline_add("drive", "if=none,file=d");
	cmdline_add("drive", "if=none,file=d");
	cmdline_name("drive", "if=none,file=d", "none0");
	cmdline_name("drive", "if=none,file=d", "none1");
	cmdline_name("hda", "d", "virtio0");
	cmdline_name("drive", "if=none,file=e", "none2");
	cmdline_set("drive", "none1", "file", "x");
	ck_assert_str_eq(cmdline_item(0)->id, "virtio0");
	ck_assert_str_eq(cmdline_item(1)->arg, "if=none,file=d");
	ck_assert_str_eq(cmdline_item(2)->arg, "if=none,file=x");
	ck_assert_ptr_null(cmdline_item(3));
	cmdline_clear();
}

END_TEST

int main(void)
{
	Suite *s = suite_create("vmm_cmdline");
	TCase *t = tcase_create("cmdline");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_test(t, cmdline_properties_change_and_the_rest_stays);
	tcase_add_test(t, cmdline_names_are_given_later);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
