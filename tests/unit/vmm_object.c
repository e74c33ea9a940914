/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * -object: creation, sources of random numbers, help and refusals; names of
 * devices as -device knows them.
 */
#include "vmm/object.h"

#include <stdio.h>
#include <unistd.h>

#include "lib/buf.h"
#include "tests/unit/bare_machine.h"

static struct bare b;

static void setup(void) NO_TSA
{
	bare_init(&b);
}

static void teardown(void) NO_TSA
{
	bare_fini(&b);
}

static void refuses(const char *text, const char *why)
{
	struct err err = { 0 };

	ck_assert_int_lt(object_create_text(b.m, text, &err), 0);
	ck_assert_msg(strstr(err.msg, why), "'%s' lacks '%s'", err.msg, why);
}

START_TEST(refusals_say_why)
{
	refuses("rng-builtin", "Parameter 'id' is missing");
	refuses("nosuch,id=a", "accepted: rng-builtin, rng-random");
	refuses("rng-builtin,id=a,filename=/dev/zero", "filename");
	refuses("rng-random,id=a,filename=/nonexistent", "/nonexistent");
	refuses("iothread,id=a", "not supported");
	refuses("memory-backend-ram,id=a,size=1G", "-m");
	ck_assert_int_eq(object_create_text(b.m, "rng-builtin,id=a", NULL), 0);
	refuses("rng-random,id=a", "duplicate");
}

END_TEST

START_TEST(rng_random_reads_its_file)
{
	char path[] = "/tmp/vmon-object-XXXXXX", text[64], got[8] = "";
	int fd = mkstemp(path);
	struct object *o;

	ck_assert_int_eq(write(fd, "abcd", 4), 4);
	close(fd);
	snprintf(text, sizeof text, "rng-random,id=r0,filename=%s", path);
	ck_assert_int_eq(object_create_text(b.m, text, NULL), 0);
	o = object_find_rng(b.m, "r0", NULL);
	ck_assert_ptr_nonnull(o);
	ck_assert_uint_eq(object_rng_read(o, got, sizeof got), 4);
	ck_assert_str_eq(got, "abcd");
	ck_assert_uint_eq(object_rng_read(o, got, sizeof got), 0);
	unlink(path);
}

END_TEST

START_TEST(other_sources_give_what_is_asked)
{
	u8 got[64];

	ck_assert_int_eq(object_create_text(b.m, "rng-random,id=r0", NULL), 0);
	ck_assert_int_eq(object_create_text(b.m, "rng-builtin,id=r1", NULL), 0);
	ck_assert_uint_eq(object_rng_read(object_find_rng(b.m, "r0", NULL), got,
					  sizeof got),
			  sizeof got);
	ck_assert_uint_eq(object_rng_read(object_find_rng(b.m, "r1", NULL), got,
					  sizeof got),
			  sizeof got);
	ck_assert_uint_eq(object_rng_read(NULL, got, sizeof got), sizeof got);
	ck_assert_ptr_null(object_find_rng(b.m, "r2", NULL));
}

END_TEST

START_TEST(help_lists_types_and_properties)
{
	struct buf out = { 0 };

	ck_assert(object_help("help", &out));
	ck_assert_ptr_nonnull(strstr(buf_str(&out), "  rng-random\n"));
	ck_assert(object_help("rng-random,help", &out));
	ck_assert_ptr_nonnull(strstr(buf_str(&out), "filename=<str>"));
	ck_assert(!object_help("rng-random,id=a", &out));
	buf_fini(&out);
}

END_TEST

START_TEST(devices_have_aliases_and_groups)
{
	struct buf out = { 0 };
	const char *text, *blk, *rng;

	ck_assert_ptr_nonnull(device_class_find("virtio-blk"));
	ck_assert_ptr_eq(device_class_find("virtio-blk"),
			 device_class_find("virtio-blk-pci"));
	ck_assert_ptr_null(device_class_find("virtio"));
	device_list(&out);
	text = buf_str(&out);
	blk = strstr(text, "name \"virtio-blk-pci\", bus PCI, alias "
			   "\"virtio-blk\", desc \"disk\"\n");
	rng = strstr(text, "name \"virtio-rng-pci\"");
	ck_assert(!strncmp(text, "Storage devices:\n", 17));
	ck_assert(blk && rng && blk < strstr(text, "\nNetwork devices:\n"));
	ck_assert(strstr(text, "\nMisc devices:\n") < rng);
	ck_assert_ptr_nonnull(strstr(text, "name \"virtserialport\", bus "
					   "virtio-serial-bus"));
	ck_assert_ptr_null(strstr(text, "\"ioapic\""));
	buf_fini(&out);
}

END_TEST

int main(void)
{
	Suite *s = suite_create("vmm_object");
	TCase *tc = tcase_create("object");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, refusals_say_why);
	tcase_add_test(tc, rng_random_reads_its_file);
	tcase_add_test(tc, other_sources_give_what_is_asked);
	tcase_add_test(tc, help_lists_types_and_properties);
	tcase_add_test(tc, devices_have_aliases_and_groups);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
