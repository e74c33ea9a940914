/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * An IDE disk and a CD drive on real files: commands as a guest gives them,
 * and seeded garbage in all registers, bus master and medium changes included.
 * FUZZ_SEED in the environment repeats a run, FUZZ_SECONDS prolongs it.
 */
#include <stdio.h>
#include <unistd.h>

#include "block/block.h"
#include "devices/ide.h"
#include "lib/buf.h"
#include "lib/bytes.h"
#include "lib/clock.h"
#include "tests/unit/bare_machine.h"
#include "vmm/drive_error.h"

#define DISK_BYTES (1 * MIB)
#define CD_BYTES   (300 * KIB)
#define TABLE      0x1000u /* of the bus master */
#define DATA       0x10000u
#define BUS_MASTER 0xc000

static struct bare b;
static struct block *disk, *cd;
static char names[3][32]; /* the last: another CD, a short one */
static u64 seed;

static u64 draw(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static u8 pattern(u64 offset)
{
	return (u8)(offset >> 9) * 3 + (u8)offset;
}

static void image_create(int n, u64 bytes)
{
	u8 *data = malloc(bytes);
	int fd;

	strcpy(names[n], "/var/tmp/vmon-ide-XXXXXX");
	fd = mkstemp(names[n]);
	ck_assert_int_ge(fd, 0);
	for (u64 i = 0; i < bytes; i++)
		data[i] = pattern(i);
	ck_assert_int_eq(write(fd, data, bytes), bytes);
	close(fd);
	free(data);
}

static struct block *drive_open(int n, u64 bytes, const char *more)
{
	struct err err = { 0 };
	struct block *drive;
	char text[128];
	struct opts o;

	image_create(n, bytes);
	snprintf(text, sizeof text, "file=%s,format=raw,if=none,id=d%d%s",
		 names[n], n, more);
	ck_assert_int_eq(opts_parse(&o, text, NULL, &err), 0);
	drive = block_create(b.m->loop, &o, &err);
	opts_fini(&o);
	ck_assert_msg(drive != NULL, "%s", err.msg);
	return drive;
}

static void setup(void) NO_TSA
{
	bare_init(&b);
	disk = drive_open(0, DISK_BYTES, "");
	cd = drive_open(1, CD_BYTES, ",media=cdrom");
	image_create(2, 5000);
	bare_add(&b, &pci_host_class, NULL);
	bare_add(&b, &ide_hd_class, "drive=d0,unit=0,bus=ide.0");
	bare_add(&b, &ide_cd_class, "drive=d1,unit=0,bus=ide.1");
	bare_add(&b, &ide_cd_class, "unit=1,bus=ide.0");
	device_reset_all(b.m);
	/* BAR 4 and I/O, bus master. */
	pci_config_write(b.m->pci, 9, 0x20, 4, BUS_MASTER);
	pci_config_write(b.m->pci, 9, 4, 2, 5);
}

static void teardown(void) NO_TSA
{
	while (!list_empty(&b.m->devices))
		device_destroy(
			container_of(b.m->devices.prev, struct device, node));
	block_destroy_all();
	bare_fini(&b);
	unlink(names[0]);
	unlink(names[1]);
	unlink(names[2]);
}

/* ---- As a driver has it ---- */

static const u16 command_ports[] = { 0x1f0, 0x170 };

static void put(int channel, int reg, u8 value)
{
	bare_out(&b, command_ports[channel] + reg, value);
}

static u8 get(int channel, int reg)
{
	return bare_in(&b, command_ports[channel] + reg);
}

static u8 wait_ready(int channel)
{
	block_drain_all();
	ck_assert_int_eq(get(channel, IDE_COMMAND) & ATA_BSY, 0);
	return get(channel, IDE_COMMAND);
}

static void put_lba(int channel, u32 lba, u8 count)
{
	put(channel, IDE_COUNT, count);
	put(channel, IDE_LBA_LOW, lba);
	put(channel, IDE_LBA_MID, lba >> 8);
	put(channel, IDE_LBA_HIGH, lba >> 16);
	put(channel, IDE_DEVICE, 0xe0 | lba >> 24);
}

static void read_data(int channel, u8 *data, u32 bytes)
{
	for (u32 i = 0; i < bytes; i += 2)
		put_le16(data + i,
			 space_read(&b.m->io, command_ports[channel], 2));
}

static void write_data(int channel, const u8 *data, u32 bytes)
{
	for (u32 i = 0; i < bytes; i += 2)
		space_write(&b.m->io, command_ports[channel], 2,
			    get_le16(data + i));
}

static void check_pattern(const u8 *data, u64 from, u32 bytes)
{
	for (u32 i = 0; i < bytes; i++)
		ck_assert_uint_eq(data[i], pattern(from + i));
}

/* One descriptor of the bus master's table. */
static void put_descriptor(u32 n, u32 base, u32 bytes, bool last)
{
	u8 raw[8];

	put_le32(raw, base);
	put_le32(raw + 4, (bytes & 0xffff) | (last ? 1u << 31 : 0));
	mem_write(&b.m->mem, TABLE + 8 * n, raw, sizeof raw);
}

static void bus_master(int channel, u8 command)
{
	u16 port = BUS_MASTER + 8 * channel;

	space_write(&b.m->io, port + 4, 4, TABLE);
	bare_out(&b, port + 2, 6);
	bare_out(&b, port, command);
}

static u8 bus_master_end(int channel)
{
	u8 status;

	block_drain_all();
	status = bare_in(&b, BUS_MASTER + 8 * channel + 2);
	bare_out(&b, BUS_MASTER + 8 * channel, 0);
	return status & 7;
}

START_TEST(disk_says_who_it_is)
{
	u8 data[512];

	put(0, IDE_DEVICE, 0xe0);
	put(0, IDE_COMMAND, 0xec);
	ck_assert_uint_eq(wait_ready(0), 0x58);
	read_data(0, data, sizeof data);
	ck_assert_uint_eq(get_le32(data + 120), DISK_BYTES / 512);
	ck_assert_uint_eq(get_le64(data + 200), DISK_BYTES / 512);
	ck_assert(!memcmp(data + 54, "EQUMH RADDSI K", 14));
	ck_assert(!memcmp(data + 20, "MQ0000 1", 6));
	ck_assert_uint_eq(wait_ready(0), 0x50);
}

END_TEST

START_TEST(disk_reads_and_writes_by_port)
{
	u8 data[3 * 512];

	put_lba(0, 100, 3);
	put(0, IDE_COMMAND, 0x20);
	for (u32 i = 0; i < 3; i++) {
		ck_assert_uint_eq(wait_ready(0), 0x58);
		read_data(0, data + 512 * i, 512);
	}
	check_pattern(data, 100 * 512, sizeof data);
	ck_assert_uint_eq(wait_ready(0), 0x50);

	put_lba(0, 8, 3);
	put(0, IDE_COMMAND, 0xc5); /* in one block, by SET MULTIPLE */
	ck_assert_uint_eq(wait_ready(0), 0x58);
	write_data(0, data, sizeof data);
	ck_assert_uint_eq(wait_ready(0), 0x50);

	memset(data, 0, sizeof data);
	put_lba(0, 8, 3);
	put(0, IDE_COMMAND, 0xc4);
	ck_assert_uint_eq(wait_ready(0), 0x58);
	read_data(0, data, sizeof data);
	check_pattern(data, 100 * 512, sizeof data);
}

END_TEST

START_TEST(disk_reads_by_bus_master)
{
	u8 data[8 * 512];

	/* In odd pieces, one behind the other in memory but for a hole. */
	put_descriptor(0, DATA, 1000, false);
	put_descriptor(1, DATA + 2000, 8 * 512 - 1000, true);
	put_lba(0, 16, 8);
	put(0, IDE_COMMAND, 0xc8);
	bus_master(0, 9);
	ck_assert_uint_eq(bus_master_end(0), 4);
	ck_assert_uint_eq(wait_ready(0), 0x50);
	mem_read(&b.m->mem, DATA, data, 1000);
	mem_read(&b.m->mem, DATA + 2000, data + 1000, sizeof data - 1000);
	check_pattern(data, 16 * 512, sizeof data);

	/* The table is longer: still active, but the interrupt came. */
	put_descriptor(0, DATA, 8192, true);
	put_lba(0, 0, 8);
	put(0, IDE_COMMAND, 0xc8);
	bus_master(0, 9);
	ck_assert_uint_eq(bus_master_end(0), 5);
	/* Shorter: over, without one. */
	put_descriptor(0, DATA, 1024, true);
	put_lba(0, 0, 8);
	put(0, IDE_COMMAND, 0xc8);
	bus_master(0, 9);
	ck_assert_uint_eq(bus_master_end(0), 0);
	/* Where no RAM is. */
	put_descriptor(0, 0xf0000000, 4096, true);
	put_lba(0, 0, 8);
	put(0, IDE_COMMAND, 0xc8);
	bus_master(0, 9);
	ck_assert_uint_eq(bus_master_end(0), 6);
	ck_assert_uint_eq(wait_ready(0), 0x51);
}

END_TEST

START_TEST(disk_refuses_what_is_not_there)
{
	static const struct {
		u32 lba;
		u8 count, command;
	} rows[] = {
		{ DISK_BYTES / 512, 1, 0x20 },
		{ DISK_BYTES / 512 - 1, 2, 0x20 },
		{ 0x0fffffff, 0, 0x30 },
		{ DISK_BYTES / 512 - 8, 9, 0xca },
		{ 0, 1, 0x02 },
		{ 0, 1, 0xa0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		put_lba(0, rows[i].lba, rows[i].count);
		put(0, IDE_COMMAND, rows[i].command);
		ck_assert_uint_eq(wait_ready(0), 0x51);
		ck_assert_uint_eq(get(0, IDE_FEATURE) & ATA_ABRT, ATA_ABRT);
	}
}

END_TEST

/* ---- CD ---- */

static u8 packet(const u8 *bytes, u32 limit)
{
	put(1, IDE_DEVICE, 0xa0);
	put(1, IDE_FEATURE, 0);
	put(1, IDE_LBA_MID, limit);
	put(1, IDE_LBA_HIGH, limit >> 8);
	put(1, IDE_COMMAND, 0xa0);
	ck_assert_uint_eq(wait_ready(1), 0x48);
	write_data(1, bytes, 12);
	return wait_ready(1);
}

static u32 sense(void)
{
	u8 data[18];

	if (packet((const u8[12]){ 3, 0, 0, 0, 18 }, 18) != 0x48)
		return UINT32_MAX;
	read_data(1, data, sizeof data);
	return (u32)data[2] << 16 | (u32)data[12] << 8 | data[13];
}

START_TEST(cd_reads_in_pieces)
{
	u8 data[2 * 2048];
	u32 at = 0;

	ck_assert_uint_eq(
		packet((const u8[12]){ 0x28, 0, 0, 0, 0, 5, 0, 0, 2 }, 1500),
		0x48);
	while (at < sizeof data) {
		u32 n = get(1, IDE_LBA_MID) | get(1, IDE_LBA_HIGH) << 8;

		ck_assert_uint_eq(get(1, IDE_COUNT), 2);
		ck_assert_uint_eq(n, MIN(1500u, sizeof data - at));
		read_data(1, data + at, n);
		at += n;
		ck_assert_uint_eq(wait_ready(1),
				  at < sizeof data ? 0x48 : 0x40);
	}
	ck_assert_uint_eq(get(1, IDE_COUNT), 3);
	check_pattern(data, 5 * 2048, sizeof data);
}

END_TEST

START_TEST(cd_tells_what_is_wrong)
{
	ck_assert_uint_eq(
		packet((const u8[12]){ 0x28, 0, 0, 0, 0, 150, 0, 0, 1 }, 2048),
		0x41);
	ck_assert_uint_eq(sense(), 0x052100); /* behind the end */
	ck_assert_uint_eq(packet((const u8[12]){ 0x99 }, 2048), 0x41);
	ck_assert_uint_eq(sense(), 0x052000); /* no such command */
	ck_assert_uint_eq(packet((const u8[12]){ 0x1e, 0, 0, 0, 1 }, 0), 0x40);
	ck_assert_uint_eq(packet((const u8[12]){ 0x1b, 0, 0, 0, 2 }, 0), 0x41);
	ck_assert_uint_eq(sense(), 0x025302); /* locked */
	ck_assert_uint_eq(packet((const u8[12]){ 0x1e }, 0), 0x40);
	ck_assert_uint_eq(packet((const u8[12]){ 0x1b, 0, 0, 0, 2 }, 0), 0x40);
	ck_assert_uint_eq(packet((const u8[12]){ 0x00 }, 0), 0x41);
	ck_assert_uint_eq(sense(), 0x023a02); /* tray open */
	ck_assert_uint_eq(packet((const u8[12]){ 0x1b, 0, 0, 0, 3 }, 0), 0x40);
	ck_assert_uint_eq(packet((const u8[12]){ 0x00 }, 0), 0x41);
	ck_assert_uint_eq(sense(), 0x062800); /* may have changed */
	ck_assert_uint_eq(packet((const u8[12]){ 0x00 }, 0), 0x40);
}

END_TEST

/* ---- Garbage ---- */

/* Commands that do much, more often than their share. */
static u8 draw_command(void)
{
	static const u8 often[] = { 0x20, 0x24, 0x25, 0x30, 0x35, 0x3d, 0xa0,
				    0xa0, 0xa0, 0xa0, 0xa1, 0xc4, 0xc5, 0xc6,
				    0xc8, 0xca, 0xec, 0xef, 0x91, 0xe7, 0x08 };

	return draw() % 4 ? often[draw() % ARRAY_SIZE(often)] : draw();
}

static void draw_table(void)
{
	for (u32 i = 0; i < 8; i++)
		put_descriptor(i, draw() % 16 ? draw() % (5 * MIB) : draw(),
			       draw() % 4 ? draw() % 4096 : draw(),
			       draw() % 4 == 0);
}

static void draw_packet(int channel)
{
	static const u8 often[] = { 0x03, 0x12, 0x1a, 0x1b, 0x1e,
				    0x25, 0x28, 0x43, 0x46, 0x4a,
				    0x51, 0x5a, 0xa8, 0xbd, 0xbe };
	u8 bytes[12];

	for (int i = 0; i < 12; i++)
		bytes[i] = draw() % 2 ? draw() : draw() % 4;
	if (draw() % 4)
		bytes[0] = often[draw() % ARRAY_SIZE(often)];
	write_data(channel, bytes, sizeof bytes);
}

static void draw_access(void)
{
	int channel = draw() % 2;
	u16 port = BUS_MASTER + 8 * channel;
	struct err err = { 0 };

	switch (draw() % 16) {
	case 0: draw_table(); break;
	case 1:
		bare_out(&b, port, draw() % 4 ? 1 + draw() % 2 * 8 : draw());
		break;
	case 2:
		space_write(&b.m->io, port + 4, 4, draw() % 8 ? TABLE : draw());
		break;
	case 3:
		space_write(&b.m->io, port + draw() % 8, 1u << draw() % 3,
			    draw());
		break;
	case 4: block_drain_all(); break;
	case 5:
		bare_out(&b, channel ? 0x376 : 0x3f6, draw() % 8 ? 0 : draw());
		break;
	case 6:
		if (block_open_tray(cd, draw() & 1, &err) == 0 && draw() & 1)
			block_eject(cd);
		break;
	case 7:
		block_change(cd, names[1 + draw() % 2], "raw", BLOCK_RETAIN,
			     draw() & 1, &err);
		break;
	case 8: draw_packet(channel); break;
	case 9:
		for (u32 n = draw() % 4096; n; n--)
			space_read(&b.m->io, command_ports[channel],
				   1u << draw() % 3);
		break;
	case 10:
		for (u32 n = draw() % 4096; n; n--)
			space_write(&b.m->io, command_ports[channel],
				    1u << draw() % 3, draw());
		break;
	case 11:
	case 12:
	case 13:
		for (int i = 1; i < IDE_COMMAND; i++)
			put(channel, i, draw() % 2 ? draw() : draw() % 4);
		put(channel, IDE_COMMAND, draw_command());
		break;
	case 14: get(channel, draw() % 8); break;
	default: put(channel, draw() % 8, draw()); break;
	}
}

START_TEST(nothing_breaks_it)
{
	const char *seconds = getenv("FUZZ_SECONDS");
	u64 end = clock_mono_ns() + (seconds ? atof(seconds) : 1) * NS_PER_S;
	u64 n = 0;

	do {
		draw_access();
		if (++n % 5000 == 0)
			device_reset_all(b.m);
	} while (clock_mono_ns() < end);
	block_drain_all();
	printf("%llu accesses\n", (unsigned long long)n);
}

END_TEST

int main(void)
{
	TCase *tc = tcase_create("ide");
	const char *given = getenv("FUZZ_SEED");

	seed = given ? strtoull(given, NULL, 0) | 1 : clock_mono_ns() | 1;
	printf("FUZZ_SEED=0x%llx\n", (unsigned long long)seed);
	fflush(stdout);
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, disk_says_who_it_is);
	tcase_add_test(tc, disk_reads_and_writes_by_port);
	tcase_add_test(tc, disk_reads_by_bus_master);
	tcase_add_test(tc, disk_refuses_what_is_not_there);
	tcase_add_test(tc, cd_reads_in_pieces);
	tcase_add_test(tc, cd_tells_what_is_wrong);
	tcase_add_test(tc, nothing_breaks_it);
	return bare_run("devices_ide", tc);
}
