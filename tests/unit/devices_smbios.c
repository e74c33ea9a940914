/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * SMBIOS: structures, strings, entry points.  With SMBIOS_DUMP in the
 * environment entry point and structures go to that file, for dmidecode
 * --from-dump.
 */
#include "devices/smbios.h"

#include <stdio.h>

#include "lib/buf.h"
#include "lib/bytes.h"
#include "tests/unit/bare_machine.h"

static struct bare b;
static struct smbios *s;

static void setup(void)
{
	bare_init(&b);
	s = smbios_create();
}

static void teardown(void)
{
	smbios_destroy(s);
	bare_fini(&b);
}

static void option(const char *text, bool ok)
{
	struct err err = { 0 };
	int r = smbios_add_option(s, text, &err);

	ck_assert_msg((r == 0) == ok, "%s: %s", text, err.msg);
}

static u8 sum(const u8 *p, u32 len)
{
	u8 n = 0;

	while (len--)
		n += *p++;
	return n;
}

/* String number `n` of the structure at `t`. */
static const char *string(const u8 *t, int n)
{
	const char *p = (const char *)t + t[1];

	while (--n > 0)
		p += strlen(p) + 1;
	return p;
}

static const u8 *next(const u8 *t)
{
	t += t[1];
	while (t[0] || t[1])
		t++;
	return t + 2;
}

static const u8 *find(const u8 *t, u8 type)
{
	while (t[0] != type) {
		ck_assert_int_ne(t[0], 127);
		t = next(t);
	}
	return t;
}

START_TEST(smbios_placed_structures_carry_the_options)
{
	static const u8 uuid[16] = { 0x33, 0x22, 0x11, 0x00, 0x55, 0x44,
				     0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb,
				     0xcc, 0xdd, 0xee, 0xff };
	const char *path = getenv("SMBIOS_DUMP");
	struct err err = { 0 };
	const u8 *sm, *sm3, *t, *p, *end;
	int count = 0;

	option("type=1,serial=ds=nocloud,product=Shelf,"
	       "uuid=00112233-4455-6677-8899-aabbccddeeff",
	       true);
	option("type=2,manufacturer=Board", true);
	option("type=3,asset=Tag", true);
	option("type=11,value=first,value=second,,with comma", true);
	ck_assert_msg(smbios_place(s, b.m, &err) == 0, "%s", err.msg);

	sm = mem_ptr(&b.m->mem, SMBIOS_BASE, 31);
	ck_assert_int_eq(memcmp(sm, "_SM_", 4), 0);
	ck_assert_int_eq(sum(sm, 31), 0);
	ck_assert_int_eq(sum(sm + 16, 15), 0);
	sm3 = mem_ptr(&b.m->mem, SMBIOS_BASE + 32, 24);
	ck_assert_int_eq(memcmp(sm3, "_SM3_", 5), 0);
	ck_assert_int_eq(sum(sm3, 24), 0);
	ck_assert_int_eq(get_le32(sm + 24), get_le64(sm3 + 16));
	t = mem_ptr(&b.m->mem, get_le32(sm + 24), get_le16(sm + 22));
	end = t + get_le16(sm + 22);

	for (p = t; p < end; p = next(p))
		count++;
	ck_assert_ptr_eq(p, end);
	ck_assert_int_eq(count, get_le16(sm + 28));

	p = find(t, 1);
	ck_assert_str_eq(string(p, p[5]), "Shelf");
	ck_assert_str_eq(string(p, p[7]), "ds=nocloud");
	ck_assert_int_eq(memcmp(p + 8, uuid, 16), 0);
	p = find(t, 2);
	ck_assert_str_eq(string(p, p[4]), "Board");
	p = find(t, 3);
	ck_assert_str_eq(string(p, p[8]), "Tag");
	p = find(t, 11);
	ck_assert_int_eq(p[4], 2);
	ck_assert_str_eq(string(p, 2), "second,with comma");
	p = find(t, 17);
	ck_assert_int_eq(get_le16(p + 12), 4);

	if (path) {
		FILE *f = fopen(path, "wb");
		u8 anchor[32] = { 0 };

		ck_assert_ptr_nonnull(f);
		memcpy(anchor, sm, 31);
		put_le32(anchor + 24, 32);
		anchor[21] = 0;
		anchor[21] = -sum(anchor + 16, 15);
		anchor[4] = 0;
		anchor[4] = -sum(anchor, 31);
		fwrite(anchor, 1, 32, f);
		fwrite(t, 1, end - t, f);
		fclose(f);
	}
}

END_TEST

START_TEST(smbios_refuses_what_it_cannot_do)
{
	option("manufacturer=x", false);
	option("type=16", false);
	option("type=1,colour=red", false);
	option("type=1,uuid=zz", false);
	option("type=0,release=1", false);
	option("type=4,max-speed=99999", false);
	option("type=11,path=/nonexistent", false);
}

END_TEST

int main(void)
{
	TCase *tc = tcase_create("smbios");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, smbios_placed_structures_carry_the_options);
	tcase_add_test(tc, smbios_refuses_what_it_cannot_do);
	return bare_run("devices_smbios", tc);
}
