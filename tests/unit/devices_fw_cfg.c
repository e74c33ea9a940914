/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Firmware configuration: items, directory, DMA requests good and bad.
 */
#include "devices/fw_cfg.h"

#include "lib/bytes.h"
#include "tests/unit/bare_machine.h"

static struct bare b;
static struct device *fw;

static void setup(void)
{
	bare_init(&b);
	fw = bare_add(&b, &fw_cfg_class, NULL);
}

static void teardown(void)
{
	bare_fini(&b);
}

static void read_key(u16 key, u8 *data, u32 len)
{
	space_write(&b.m->io, FW_CFG_BASE, 2, key);
	while (len--)
		*data++ = bare_in(&b, FW_CFG_BASE + 1);
}

/* Runs a request at 0x1000; returns the control word that comes back. */
static u32 dma(u32 control, u32 len, u64 addr)
{
	u8 request[16];

	put_be32(request, control);
	put_be32(request + 4, len);
	put_be64(request + 8, addr);
	ck_assert_int_eq(mem_write(&b.m->mem, 0x1000, request, 16), 0);
	space_write(&b.m->io, FW_CFG_BASE + 4, 4, 0);
	space_write(&b.m->io, FW_CFG_BASE + 8, 4, htobe32(0x1000));
	ck_assert_int_eq(mem_read(&b.m->mem, 0x1000, request, 4), 0);
	return get_be32(request);
}

static u16 find_file(const char *name, u32 *ret_len)
{
	u8 dir[4 + 64 * 32];

	read_key(FW_CFG_FILE_DIR, dir, sizeof dir);
	for (u32 i = 0; i < MIN(get_be32(dir), 32); i++) {
		u8 *entry = dir + 4 + 64 * i;

		if (strcmp((char *)entry + 8, name))
			continue;
		*ret_len = get_be32(entry);
		return get_be16(entry + 4);
	}
	return 0;
}

START_TEST(fw_cfg_signs_and_counts)
{
	u8 data[8];

	read_key(FW_CFG_SIGNATURE, data, 6);
	ck_assert_int_eq(memcmp(data, "QEMU\0\0", 6), 0);
	read_key(FW_CFG_ID, data, 4);
	ck_assert_uint_eq(get_le32(data), 3);
	read_key(FW_CFG_RAM_SIZE, data, 8);
	ck_assert_uint_eq(get_le64(data), 4 * MIB);
	ck_assert_uint_eq(space_read(&b.m->io, FW_CFG_BASE + 4, 4),
			  htobe32(0x51454d55));
	ck_assert_uint_eq(space_read(&b.m->io, FW_CFG_BASE + 8, 4),
			  htobe32(0x20434647));
}

END_TEST

START_TEST(fw_cfg_options_become_files)
{
	struct err err = { 0 };
	u8 data[8] = { 0 };
	u16 key;
	u32 len;

	ck_assert_int_eq(
		fw_cfg_add_option(fw, "name=opt/a,string=one,,two", &err), 0);
	key = find_file("opt/a", &len);
	ck_assert_uint_ge(key, FW_CFG_FILE_FIRST);
	ck_assert_uint_eq(len, 7);
	read_key(key, data, 8);
	ck_assert_str_eq((char *)data, "one,two");
	ck_assert_int_lt(fw_cfg_add_option(fw, "name=x", &err), 0);
	ck_assert_int_lt(fw_cfg_add_option(fw, "string=x", &err), 0);
	ck_assert_int_lt(
		fw_cfg_add_option(fw, "name=x,file=/nonexistent", &err), 0);
	ck_assert_int_lt(
		fw_cfg_add_option(fw, "name=x,string=y,colour=red", &err), 0);
}

END_TEST

START_TEST(fw_cfg_dma_selects_reads_and_skips)
{
	struct err err = { 0 };
	u8 data[16];
	u32 len;
	u16 key;

	ck_assert_int_eq(fw_cfg_add_file(fw, "f", "0123456789", 10, &err), 0);
	key = find_file("f", &len);
	ck_assert_uint_eq(dma((u32)key << 16 | 8 | 4, 3, 0), 0);
	memset(data, 0xff, sizeof data);
	ck_assert_int_eq(mem_write(&b.m->mem, 0x2000, data, 16), 0);
	ck_assert_uint_eq(dma(2, 10, 0x2000), 0);
	ck_assert_int_eq(mem_read(&b.m->mem, 0x2000, data, 16), 0);
	ck_assert_int_eq(memcmp(data, "3456789\0\0\0\xff", 11), 0);
}

END_TEST

START_TEST(fw_cfg_dma_refuses_what_is_not_ram)
{
	ck_assert_uint_eq(dma(2, 4, 0x100000000), 1);
	ck_assert_uint_eq(dma(2, 0xffffffff, 0), 1);
	ck_assert_uint_eq(dma(2, 4, UINT64_MAX - 2), 1);
	ck_assert_uint_eq(dma(16, 4, 0x2000), 1); /* nothing is writable */
	/* The request itself. */
	space_write(&b.m->io, FW_CFG_BASE + 4, 4, UINT32_MAX);
	space_write(&b.m->io, FW_CFG_BASE + 8, 4, UINT32_MAX);
}

END_TEST

int main(void)
{
	TCase *tc = tcase_create("fw_cfg");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, fw_cfg_signs_and_counts);
	tcase_add_test(tc, fw_cfg_options_become_files);
	tcase_add_test(tc, fw_cfg_dma_selects_reads_and_skips);
	tcase_add_test(tc, fw_cfg_dma_refuses_what_is_not_ram);
	return bare_run("devices_fw_cfg", tc);
}
