/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * lib/file: regular files alone, and nothing in them is lost.
 */
#include "lib/file.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/err.h"

static char dir[] = "/tmp/vmon-file-XXXXXX";

static void path_in_dir(char path[64], const char *name)
{
	snprintf(path, 64, "%s/%s", dir, name);
}

START_TEST(file_open_append_keeps_what_is_there)
{
	char path[64], got[8] = "";
	struct stat st;
	int fd;

	path_in_dir(path, "new");
	for (int i = 0; i < 2; i++) {
		fd = file_open_append(path, i ? O_RDWR : O_WRONLY, NULL);
		ck_assert_int_ge(fd, 0);
		ck_assert_int_eq(write(fd, i ? "b" : "a", 1), 1);
		ck_assert_int_eq(pread(fd, got, sizeof got - 1, 0), i ? 2 : -1);
		ck_assert_int_eq(fstat(fd, &st), 0);
		ck_assert_uint_eq(st.st_mode & 0777, 0600);
		close(fd);
	}
	ck_assert_str_eq(got, "ab");
	unlink(path);
}

END_TEST

START_TEST(file_open_append_refuses_what_is_not_a_file)
{
	char path[64];
	struct err err = { 0 };

	ck_assert_int_eq(file_open_append(dir, O_WRONLY, &err), -EISDIR);
	ck_assert_int_eq(file_open_append("/dev/null", O_RDWR, &err), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.msg, "not a regular file"));
	path_in_dir(path, "fifo");
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_lt(file_open_append(path, O_WRONLY, &err), 0);
	ck_assert_int_eq(file_open_append(path, O_RDWR, &err), -EINVAL);
	unlink(path);
	path_in_dir(path, "no/such");
	ck_assert_int_eq(file_open_append(path, O_WRONLY, &err), -ENOENT);
}

END_TEST

int main(void)
{
	Suite *s = suite_create("lib_file");
	TCase *tc = tcase_create("file");
	SRunner *sr = srunner_create(s);
	int failed;

	if (!mkdtemp(dir))
		return EXIT_FAILURE;
	tcase_add_test(tc, file_open_append_keeps_what_is_there);
	tcase_add_test(tc, file_open_append_refuses_what_is_not_a_file);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	rmdir(dir);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
