/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * virtio-blk-pci on a real file, driven as a guest would.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ring.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "block/block.h"
#include "lib/buf.h"
#include "lib/work.h"
#include "tests/unit/virtio_pci_guest.h"
#include "vmm/event.h"

extern const struct device_class virtio_blk_pci_class;

#define DISK_BYTES (4 * MIB)
#define HEADERS    0x200000u /* 32 bytes a request: header and status */
#define DATA       0x210000u

static struct machine *m;
static struct pci_guest p;
static struct block *drive;
static char image[64];

static u8 pattern(u64 offset)
{
	return (offset >> 9) * 3 + offset;
}

static void make_image(void)
{
	u8 *data = malloc(DISK_BYTES);
	int fd;

	strcpy(image, "/var/tmp/vmon-blk-XXXXXX");
	fd = mkstemp(image);
	ck_assert_int_ge(fd, 0);
	for (u64 i = 0; i < DISK_BYTES; i++)
		data[i] = pattern(i);
	ck_assert_int_eq(write(fd, data, DISK_BYTES), DISK_BYTES);
	close(fd);
	free(data);
}

static void open_drive(const char *options)
{
	struct err err = { 0 };
	char text[256];
	struct opts o;

	snprintf(text, sizeof(text), "file=%s,format=raw,if=none,id=d0%s%s",
		 image, options[0] ? "," : "", options);
	ck_assert_int_eq(opts_parse(&o, text, NULL, &err), 0);
	drive = block_create(m->loop, &o, &err);
	opts_fini(&o);
	ck_assert_msg(drive != NULL, "%s", err.msg);
}

static void plug(const char *drive_options, const char *options)
{
	char text[256];

	open_drive(drive_options);
	snprintf(text, sizeof(text), "drive=d0%s%s", options[0] ? "," : "",
		 options);
	pg_plug(&p, m, &virtio_blk_pci_class, text);
}

static void setup(void) NO_TSA
{
	make_image();
	lock_acquire(&machine_lock);
	m = pg_machine();
}

static void teardown(void) NO_TSA
{
	while (!list_empty(&m->devices))
		device_destroy(list_first(&m->devices, struct device, node));
	block_destroy_all();
	guest_machine_destroy(m);
	lock_release(&machine_lock);
	unlink(image);
}

/* ---- Requests ---- */

static void put_header(int slot, u32 type, u64 sector)
{
	u8 raw[17] = { 0 };

	put_le32(raw, type);
	put_le64(raw + 8, sector);
	raw[16] = 0xee;
	guest_put(m, HEADERS + 32 * slot, raw, sizeof(raw));
}

static u8 get_status(int slot)
{
	u8 status;

	guest_get(m, HEADERS + 32 * slot + 16, &status, 1);
	return status;
}

/* Offers a request of up to three data segments without kicking. */
static int offer(int queue, int slot, u32 type, u64 sector, gpa_t data, u32 len)
{
	bool write = type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_GET_ID;
	struct guest_seg segs[5] = { { HEADERS + 32 * slot, 16, false } };
	int n = 1;

	put_header(slot, type, sector);
	if (len >= 1024) {
		segs[n++] = (struct guest_seg){ data, len / 2, write };
		segs[n++] = (struct guest_seg){ data + len / 2, len - len / 2,
						write };
	} else if (len > 0) {
		segs[n++] = (struct guest_seg){ data, len, write };
	}
	segs[n++] = (struct guest_seg){ HEADERS + 32 * slot + 16, 1, true };
	return gq_add(&p.q[queue], segs, n,
		      virtio_has(p.v, VIRTIO_RING_F_INDIRECT_DESC));
}

static u8 request(u32 type, u64 sector, gpa_t data, u32 len)
{
	u32 written;

	ck_assert_int_ge(offer(0, 0, type, sector, data, len), 0);
	pg_kick(&p, 0);
	pg_wait(&p, 0, &written);
	return get_status(0);
}

static u8 read_disk(u64 sector, u32 len)
{
	return request(VIRTIO_BLK_T_IN, sector, DATA, len);
}

static u8 write_disk(u64 sector, u32 len)
{
	return request(VIRTIO_BLK_T_OUT, sector, DATA, len);
}

static void check_data(u64 offset, u32 len)
{
	u8 *data = malloc(len);

	guest_get(m, DATA, data, len);
	for (u32 i = 0; i < len; i++)
		ck_assert_uint_eq(data[i], pattern(offset + i));
	free(data);
}

static u64 config(u32 offset, u32 len)
{
	return pg_read(&p, p.device + offset, len);
}

#define CONFIG(field) offsetof(struct virtio_blk_config, field)

static const char *const backends[] = { "",
					"cache=none",
					"cache=none,aio=native",
					"snapshot=on",
					"cache=writethrough",
					"cache=unsafe,discard=unmap" };

START_TEST(blk_reads_and_writes)
{
	static const u64 features[] = { 0,
					BIT(VIRTIO_RING_F_EVENT_IDX) |
						BIT(VIRTIO_F_RING_PACKED),
					BIT(VIRTIO_RING_F_INDIRECT_DESC) };

	plug(backends[_i], "packed=on");
	for (size_t f = 0; f < ARRAY_SIZE(features); f++) {
		u64 at = 100 + 50 * f;

		pg_start(&p, features[f], 1, 64);
		ck_assert_uint_eq(read_disk(7, 4096), VIRTIO_BLK_S_OK);
		check_data(7 * 512, 4096);
		mem_fill(&m->mem, DATA, 0x77 + f, 1536);
		ck_assert_uint_eq(write_disk(at, 1536), VIRTIO_BLK_S_OK);
		ck_assert_uint_eq(request(VIRTIO_BLK_T_FLUSH, 0, 0, 0),
				  VIRTIO_BLK_S_OK);
		ck_assert_uint_eq(read_disk(at - 1, 2560), VIRTIO_BLK_S_OK);
		ck_assert_uint_eq(guest_get16(m, DATA + 512),
				  (0x77 + f) * 0x101);
		ck_assert_uint_eq(guest_get16(m, DATA + 512 + 1534),
				  (0x77 + f) * 0x101);
		ck_assert_uint_eq(guest_get16(m, DATA + 2048),
				  pattern((at + 3) * 512) |
					  pattern((at + 3) * 512 + 1) << 8);
	}
	ck_assert_uint_eq(drive->stats.ops[BLOCK_WRITE], 3);
	ck_assert_uint_eq(drive->stats.ops[BLOCK_FLUSH], 3);
}

END_TEST

START_TEST(blk_keeps_many_requests_apart)
{
	enum { COUNT = 30, LEN = 2048 };

	u32 len;

	plug(backends[_i], "num-queues=2");
	pg_start(&p, BIT(VIRTIO_BLK_F_MQ) | BIT(VIRTIO_RING_F_EVENT_IDX), 2,
		 128);
	for (int round = 0; round < 6; round++) {
		for (int i = 0; i < COUNT; i++)
			ck_assert_int_ge(offer(i & 1, i, VIRTIO_BLK_T_IN,
					       (round * COUNT + i) * 4,
					       DATA + i * LEN, LEN),
					 0);
		pg_kick(&p, 0);
		pg_kick(&p, 1);
		for (int i = 0; i < COUNT; i++) {
			pg_wait(&p, i & 1, &len);
			ck_assert_uint_eq(len, LEN + 1);
		}
		for (int i = 0; i < COUNT; i++)
			ck_assert_uint_eq(get_status(i), VIRTIO_BLK_S_OK);
		check_data(round * COUNT * LEN, COUNT * LEN);
	}
}

END_TEST

START_TEST(blk_rejects_what_is_not_on_the_disk)
{
	u64 end = DISK_BYTES / 512;

	plug("", "");
	pg_start(&p, 0, 1, 64);
	ck_assert_uint_eq(read_disk(end - 1, 512), VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(read_disk(end - 1, 1024), VIRTIO_BLK_S_IOERR);
	ck_assert_uint_eq(read_disk(end, 512), VIRTIO_BLK_S_IOERR);
	ck_assert_uint_eq(read_disk(UINT64_MAX, 512), VIRTIO_BLK_S_IOERR);
	ck_assert_uint_eq(read_disk(UINT64_MAX / 512 + 1, 512),
			  VIRTIO_BLK_S_IOERR);
	ck_assert_uint_eq(write_disk(end, 512), VIRTIO_BLK_S_IOERR);
	ck_assert_uint_eq(read_disk(0, 511), VIRTIO_BLK_S_IOERR);
	ck_assert_uint_eq(write_disk(0, 1000), VIRTIO_BLK_S_IOERR);
	ck_assert_uint_eq(pg_status(&p), 0xf);
}

END_TEST

START_TEST(blk_answers_unknown_requests)
{
	static const u32 types[] = { 2, 3, 5, 9, 24, 0x80000000, UINT32_MAX };

	plug("", "");
	pg_start(&p, 0, 1, 64);
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		ck_assert_uint_eq(request(types[i], 0, DATA, 512),
				  VIRTIO_BLK_S_UNSUPP);
	ck_assert_uint_eq(read_disk(0, 512), VIRTIO_BLK_S_OK);
}

END_TEST

START_TEST(blk_breaks_without_header_or_status)
{
	static const struct guest_seg cases[][2] = {
		{ { HEADERS, 16, false }, { DATA, 512, false } },
		{ { HEADERS, 15, false }, { DATA, 1, true } },
		{ { DATA, 1, true }, { DATA, 1, true } },
	};

	plug("", "");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		pg_start(&p, 0, 1, 64);
		put_header(0, VIRTIO_BLK_T_OUT, 0);
		ck_assert_int_ge(gq_add(&p.q[0], cases[i], 2, false), 0);
		pg_kick(&p, 0);
		loop_once(m->loop, 0);
		ck_assert_uint_eq(pg_status(&p), 0x4f);
	}
	pg_start(&p, 0, 1, 64);
	ck_assert_uint_eq(read_disk(0, 512), VIRTIO_BLK_S_OK);
}

END_TEST

START_TEST(blk_header_may_be_split_anywhere)
{
	const struct guest_seg segs[] = {
		{ HEADERS, 3, false },     { HEADERS + 3, 13, false },
		{ DATA, 100, true },       { DATA + 100, 412, true },
		{ DATA + 512, 512, true }, { HEADERS + 16, 1, true },
	};
	u32 len;

	plug("cache=none", "");
	pg_start(&p, 0, 1, 64);
	put_header(0, VIRTIO_BLK_T_IN, 9);
	ck_assert_int_ge(gq_add(&p.q[0], segs, 6, false), 0);
	pg_kick(&p, 0);
	pg_wait(&p, 0, &len);
	ck_assert_uint_eq(len, 1025);
	ck_assert_uint_eq(get_status(0), VIRTIO_BLK_S_OK);
	check_data(9 * 512, 1024);
}

END_TEST

START_TEST(blk_tells_its_serial)
{
	char id[21] = "";

	plug("serial=from-drive", "serial=exactly-20-character-s");
	pg_start(&p, 0, 1, 64);
	ck_assert_uint_eq(request(VIRTIO_BLK_T_GET_ID, 0, DATA, 20),
			  VIRTIO_BLK_S_OK);
	guest_get(m, DATA, id, 20);
	ck_assert_str_eq(id, "exactly-20-character");
	mem_fill(&m->mem, DATA, 0xff, 20);
	ck_assert_uint_eq(request(VIRTIO_BLK_T_GET_ID, 0, DATA, 5),
			  VIRTIO_BLK_S_OK);
	guest_get(m, DATA, id, 20);
	ck_assert_int_eq(memcmp(id, "exact\xff", 6), 0);
}

END_TEST

static u8 range_request(u32 type, u64 sector, u32 sectors, u32 flags, u32 len)
{
	u8 raw[32] = { 0 };

	put_le64(raw, sector);
	put_le32(raw + 8, sectors);
	put_le32(raw + 12, flags);
	guest_put(m, DATA, raw, sizeof(raw));
	return request(type, 0, DATA, len);
}

START_TEST(blk_discards_and_zeroes)
{
	const u32 discard = VIRTIO_BLK_T_DISCARD;
	const u32 zeroes = VIRTIO_BLK_T_WRITE_ZEROES;
	struct stat before, after;

	plug("discard=unmap", "");
	pg_start(&p, BIT(VIRTIO_BLK_F_DISCARD) | BIT(VIRTIO_BLK_F_WRITE_ZEROES),
		 1, 64);
	ck_assert_uint_eq(config(CONFIG(max_discard_sectors), 4), 0x3fffff);
	ck_assert_uint_eq(config(CONFIG(max_discard_seg), 4), 1);
	ck_assert_uint_eq(range_request(zeroes, 10, 5, 0, 16), 0);
	ck_assert_uint_eq(read_disk(9, 512), 0);
	check_data(9 * 512, 512);
	ck_assert_uint_eq(read_disk(10, 2560), 0);
	ck_assert_uint_eq(guest_get16(m, DATA), 0);
	ck_assert_uint_eq(guest_get16(m, DATA + 2558), 0);
	ck_assert_uint_eq(read_disk(15, 512), 0);
	check_data(15 * 512, 512);
	stat(image, &before);
	ck_assert_uint_eq(range_request(discard, 2048, 2048, 0, 16), 0);
	stat(image, &after);
	ck_assert_int_lt(after.st_blocks, before.st_blocks);

	ck_assert_uint_eq(range_request(discard, 0, 1, 1, 16),
			  VIRTIO_BLK_S_UNSUPP);
	ck_assert_uint_eq(range_request(zeroes, 0, 1, 2, 16),
			  VIRTIO_BLK_S_UNSUPP);
	ck_assert_uint_eq(range_request(zeroes, 0, 1, 0, 32),
			  VIRTIO_BLK_S_IOERR);
	ck_assert_uint_eq(range_request(zeroes, 0, 1, 0, 15),
			  VIRTIO_BLK_S_IOERR);
	ck_assert_uint_eq(range_request(discard, 0, 0x400000, 0, 16),
			  VIRTIO_BLK_S_IOERR);
	ck_assert_uint_eq(
		range_request(discard, DISK_BYTES / 512 - 1, 2, 0, 16),
		VIRTIO_BLK_S_IOERR);
	ck_assert_uint_eq(range_request(discard, UINT64_MAX, 1, 0, 16),
			  VIRTIO_BLK_S_IOERR);
}

END_TEST

START_TEST(blk_readonly_drive_is_readonly)
{
	plug("readonly=on", "");
	ck_assert_uint_ne(pg_offered(&p) & BIT(VIRTIO_BLK_F_RO), 0);
	ck_assert_uint_eq(pg_offered(&p) & BIT(VIRTIO_BLK_F_DISCARD), 0);
	pg_start(&p, BIT(VIRTIO_BLK_F_RO), 1, 64);
	ck_assert_uint_eq(write_disk(0, 512), VIRTIO_BLK_S_IOERR);
	ck_assert_uint_eq(range_request(VIRTIO_BLK_T_DISCARD, 0, 1, 0, 16),
			  VIRTIO_BLK_S_UNSUPP);
	ck_assert_uint_eq(read_disk(3, 512), VIRTIO_BLK_S_OK);
	check_data(3 * 512, 512);
}

END_TEST

START_TEST(blk_describes_itself)
{
	plug("", "num-queues=3,physical_block_size=4096,queue-size=128");
	ck_assert_uint_eq(pg_cfg(&p, PCI_DEVICE_ID, 2), 0x1001);
	ck_assert_uint_eq(pg_cfg(&p, PCI_CLASS_DEVICE, 2), 0x100);
	ck_assert_uint_eq(config(0, 4), DISK_BYTES / 512);
	ck_assert_uint_eq(config(CONFIG(seg_max), 4), 126);
	ck_assert_uint_eq(config(CONFIG(blk_size), 4), 512);
	ck_assert_uint_eq(config(CONFIG(physical_block_exp), 1), 3);
	ck_assert_uint_eq(config(CONFIG(num_queues), 2), 3);
	ck_assert_uint_eq(config(CONFIG(wce), 1), 1);
	ck_assert_uint_eq(pg_read(&p, PG_COMMON(&p, NUMQ), 2), 3);
}

END_TEST

START_TEST(blk_write_cache_follows_the_driver)
{
	plug("", "");
	pg_start(&p, BIT(VIRTIO_BLK_F_FLUSH), 1, 64);
	ck_assert(drive->write_cache);
	pg_start(&p, 0, 1, 64);
	ck_assert(!drive->write_cache);
	pg_start(&p, BIT(VIRTIO_BLK_F_FLUSH) | BIT(VIRTIO_BLK_F_CONFIG_WCE), 1,
		 64);
	ck_assert(drive->write_cache);
	pg_write(&p, p.device + CONFIG(wce), 1, 0);
	ck_assert(!drive->write_cache);
	ck_assert_uint_eq(config(CONFIG(wce), 1), 0);
	pg_write(&p, p.device, 4, 1);
	ck_assert_uint_eq(config(0, 4), DISK_BYTES / 512);
	pg_set_status(&p, 0);
	ck_assert(drive->write_cache);
}

END_TEST

START_TEST(blk_reset_waits_for_requests_in_flight)
{
	u32 len;

	plug(backends[_i], "");
	for (int round = 0; round < 6; round++) {
		pg_start(&p, 0, 1, 128);
		for (int i = 0; i < 30; i++)
			ck_assert_int_ge(offer(0, i, VIRTIO_BLK_T_IN, i * 128,
					       DATA + i * 65536 % MIB, 65536),
					 0);
		pg_kick(&p, 0);
		loop_once(m->loop, 0);
		pg_set_status(&p, 0);
		ck_assert_int_eq(drive->inflight, 0);
		/* Nothing of it arrives later. */
		mem_fill(&m->mem, PG_RINGS, 0, 0x8000);
		mem_fill(&m->mem, DATA, 0x11, MIB);
		for (int i = 0; i < 3; i++)
			loop_once(m->loop, 0);
		ck_assert_uint_eq(guest_get16(m, p.q[0].device + 2), 0);
		for (u32 i = 0; i < MIB; i += 512)
			ck_assert_uint_eq(guest_get16(m, DATA + i), 0x1111);
	}
	pg_start(&p, 0, 1, 64);
	ck_assert_uint_eq(read_disk(1, 512), VIRTIO_BLK_S_OK);
	ck_assert_int_eq(gq_used(&p.q[0], &len), -1);
}

END_TEST

static void nap(struct work *w)
{
	usleep(50000);
}

static u64 image_sum(void)
{
	u8 data[4096];
	u64 sum = 0;
	int fd = open(image, O_RDONLY);

	for (ssize_t n; (n = read(fd, data, sizeof data)) > 0;)
		for (ssize_t i = 0; i < n; i++)
			sum = sum * 31 + data[i];
	close(fd);
	return sum;
}

START_TEST(blk_stop_waits_for_writes_in_flight)
{
	static struct work naps[16];
	struct accel_class accel = { .name = "none" };
	struct err err = { 0 };
	u64 sum;
	u32 len;

	m->accel = &accel;
	mem_fill(&m->mem, DATA, 0x5a, 65536);
	plug(backends[_i], "");
	pg_start(&p, 0, 1, 128);
	/* Workers that are busy let the writes wait. */
	for (int i = 0; i < 16; i++) {
		naps[i] = (struct work){ .run = nap };
		work_submit(&naps[i]);
	}
	for (int i = 0; i < 30; i++)
		ck_assert_int_ge(
			offer(0, i, VIRTIO_BLK_T_OUT, i * 128, DATA, 65536), 0);
	pg_kick(&p, 0);
	loop_once(m->loop, 0);
	machine_stop(m, RUN_PAUSED);
	ck_assert_int_eq(drive->inflight, 0);
	for (int i = 0; i < 30; i++) {
		ck_assert_int_ge(gq_used(&p.q[0], &len), 0);
		ck_assert_uint_eq(get_status(i), VIRTIO_BLK_S_OK);
	}
	/* What comes now waits for `cont`. */
	sum = image_sum();
	mem_fill(&m->mem, DATA, 0xa5, 65536);
	offer(0, 0, VIRTIO_BLK_T_OUT, 0, DATA, 65536);
	pg_kick(&p, 0);
	for (int i = 0; i < 3; i++)
		loop_once(m->loop, 10 * NS_PER_MS);
	ck_assert_uint_eq(image_sum(), sum);
	ck_assert_int_eq(gq_used(&p.q[0], &len), -1);
	ck_assert_int_eq(machine_cont(m, &err), 0);
	pg_wait(&p, 0, &len);
	ck_assert_uint_eq(get_status(0), VIRTIO_BLK_S_OK);
	m->accel = NULL;
}

END_TEST

START_TEST(blk_resize_reaches_the_guest)
{
	struct err err = { 0 };

	plug("", "");
	pg_enable_msix(&p);
	pg_start(&p, 0, 1, 64);
	ck_assert_int_eq(block_resize(drive, 2 * DISK_BYTES, &err), 0);
	ck_assert_uint_eq(config(0, 4), 2 * DISK_BYTES / 512);
	ck_assert_int_eq(pg_messages, 1);
	ck_assert_uint_eq(read_disk(2 * DISK_BYTES / 512 - 1, 512),
			  VIRTIO_BLK_S_OK);
}

END_TEST

static char told[64];

static void hear(void *arg, enum event_id id, const struct event_value *v)
{
	if (id == EVENT_BLOCK_IO_ERROR)
		snprintf(told, sizeof told, "%s %s %s%s", v[0].text, v[2].text,
			 v[3].text, v[4].num ? " nospace" : "");
}

static struct event_listener listener = { .fn = hear };

/* A file limited in size fails writes with EFBIG. */
START_TEST(blk_error_policy_decides)
{
	/* <signal.h> and the register names of vmm/cpu.h do not mix. */
	const u64 sigxfsz = BIT(25 - 1), sig_block = 0;
	struct rlimit none = { 0, RLIM_INFINITY }, was;
	struct err err = { 0 };
	u32 len;

	syscall(SYS_rt_sigprocmask, sig_block, &sigxfsz, NULL, 8);
	event_listen(m, &listener);
	plug("werror=stop", "rerror=ignore");
	pg_start(&p, 0, 1, 64);
	ck_assert_int_eq(truncate(image, 0), 0);
	ck_assert_int_eq(block_resize(drive, DISK_BYTES, &err), 0);

	getrlimit(RLIMIT_FSIZE, &was);
	setrlimit(RLIMIT_FSIZE, &none);
	ck_assert_int_ge(offer(0, 0, VIRTIO_BLK_T_OUT, 5, DATA, 512), 0);
	pg_kick(&p, 0);
	for (int i = 0; i < 100 && drive->io_status == BLOCK_IO_OK; i++)
		loop_once(m->loop, 10 * NS_PER_MS);
	setrlimit(RLIMIT_FSIZE, &was);
	ck_assert_int_eq(drive->io_status, BLOCK_IO_FAILED);
	ck_assert_str_eq(told, "d0 write stop");
	ck_assert_int_eq(gq_used(&p.q[0], &len), -1);
	ck_assert_uint_ne(atomic_load(&m->run.requests), 0);
	atomic_store(&m->run.requests, 0);
	/* The operator made room and says cont. */
	p.v->run_notifier.fn(p.v->run_notifier.arg, RUN_IO_ERROR, RUN_RUNNING);
	pg_wait(&p, 0, &len);
	ck_assert_uint_eq(get_status(0), VIRTIO_BLK_S_OK);
	ck_assert_int_eq(drive->io_status, BLOCK_IO_OK);
}

END_TEST

START_TEST(blk_ejected_drive_gives_errors)
{
	plug("", "");
	pg_start(&p, 0, 1, 64);
	block_eject(drive);
	ck_assert_uint_eq(read_disk(0, 512), VIRTIO_BLK_S_IOERR);
	ck_assert_uint_eq(request(VIRTIO_BLK_T_FLUSH, 0, 0, 0),
			  VIRTIO_BLK_S_IOERR);
}

END_TEST

START_TEST(blk_refuses_bad_options)
{
	static const char *const bad[] = {
		"",
		"drive=nosuch",
		"drive=d0,queue-size=3",
		"drive=d0,queue-size=2048",
		"drive=d0,num-queues=0",
		"drive=d0,num-queues=65",
		"drive=d0,logical_block_size=1000",
		"drive=d0,werror=perhaps",
	};
	struct buf out = { 0 };
	struct err err = { 0 };
	struct opts o;

	open_drive("");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		opts_parse(&o, bad[i], NULL, NULL);
		ck_assert_msg(
			!device_create(m, &virtio_blk_pci_class, &o, &err),
			"'%s' was accepted", bad[i]);
		opts_fini(&o);
		ck_assert(!block_attached(drive));
	}
	opts_parse(&o, "drive=d0,id=disk0", NULL, NULL);
	ck_assert_ptr_nonnull(
		device_create(m, &virtio_blk_pci_class, &o, &err));
	opts_fini(&o);
	opts_parse(&o, "drive=d0", NULL, NULL);
	ck_assert_ptr_null(device_create(m, &virtio_blk_pci_class, &o, &err));
	ck_assert_msg(strstr(err.msg, "in use") != NULL, "%s", err.msg);
	opts_fini(&o);
	block_info(drive, false, &out);
	ck_assert_msg(strstr(buf_str(&out),
			     "    Attached to:      "
			     "/machine/peripheral/disk0/virtio-backend\n") !=
			      NULL,
		      "%s", buf_str(&out));
	buf_fini(&out);
}

END_TEST

/* ---- Noise ---- */

static u32 rnd_state;

static u32 rnd(u32 below)
{
	rnd_state = rnd_state * 1664525 + 1013904223;
	return (rnd_state >> 8) % below;
}

static double fuzz_seconds(void)
{
	const char *s = getenv("FUZZ_SECONDS");

	return s ? atof(s) : 1;
}

START_TEST(blk_survives_random_requests)
{
	static const u32 types[] = { 0, 1, 0, 1, 4, 8, 11, 13, 2, 99 };
	u64 end = clock_mono_ns() + fuzz_seconds() * NS_PER_S / 3;
	u64 n = 0, done = 0;
	u32 len;

	rnd_state = getenv("FUZZ_SEED") ? atoi(getenv("FUZZ_SEED")) : 11;
	printf("request noise: FUZZ_SEED=%u\n", rnd_state);
	plug(backends[_i], "packed=on");
	while (clock_mono_ns() < end || !done) {
		pg_start(&p, rnd(2) ? BIT(VIRTIO_F_RING_PACKED) : 0, 1, 64);
		for (int i = 0; i < 200 && pg_status(&p) == 0xf; i++, n++) {
			struct guest_seg segs[6];
			int k = 2 + rnd(5);
			bool in = false;

			put_header(i % 64, types[rnd(ARRAY_SIZE(types))],
				   rnd(DISK_BYTES / 512 + 5));
			for (int s = 0; s < k; s++) {
				in = in || rnd(3) == 0 || s == k - 1;
				segs[s] = (struct guest_seg){
					s == 0 ? HEADERS + 32 * (i % 64)
					       : DATA + rnd(MIB),
					s == 0    ? 16 + 16 * rnd(2)
					: rnd(20) ? 512 * rnd(9)
						  : rnd(3000),
					in
				};
			}
			if (rnd(100) == 0)
				segs[rnd(k)].addr = GUEST_RAM - 100;
			gq_add(&p.q[0], segs, k, false);
			if (rnd(4) == 0) {
				pg_kick(&p, 0);
				loop_once(m->loop, rnd(4) * 20 * NS_PER_US);
			}
			while (gq_used(&p.q[0], &len) >= 0)
				done++;
		}
	}
	printf("%llu requests, %llu answered\n", (unsigned long long)n,
	       (unsigned long long)done);
	ck_assert_uint_gt(done, 0);
	pg_start(&p, 0, 1, 64);
	ck_assert_uint_eq(read_disk(0, 512), VIRTIO_BLK_S_OK);
}

END_TEST

int main(void)
{
	Suite *s = suite_create("virtio_blk");
	TCase *tc = tcase_create("virtio_blk");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60 + fuzz_seconds());
	tcase_add_loop_test(tc, blk_reads_and_writes, 0, ARRAY_SIZE(backends));
	tcase_add_loop_test(tc, blk_keeps_many_requests_apart, 0,
			    ARRAY_SIZE(backends));
	tcase_add_test(tc, blk_rejects_what_is_not_on_the_disk);
	tcase_add_test(tc, blk_answers_unknown_requests);
	tcase_add_test(tc, blk_breaks_without_header_or_status);
	tcase_add_test(tc, blk_header_may_be_split_anywhere);
	tcase_add_test(tc, blk_tells_its_serial);
	tcase_add_test(tc, blk_discards_and_zeroes);
	tcase_add_test(tc, blk_readonly_drive_is_readonly);
	tcase_add_test(tc, blk_describes_itself);
	tcase_add_test(tc, blk_write_cache_follows_the_driver);
	tcase_add_loop_test(tc, blk_reset_waits_for_requests_in_flight, 0, 4);
	tcase_add_loop_test(tc, blk_stop_waits_for_writes_in_flight, 0, 3);
	tcase_add_test(tc, blk_resize_reaches_the_guest);
	tcase_add_test(tc, blk_error_policy_decides);
	tcase_add_test(tc, blk_ejected_drive_gives_errors);
	tcase_add_test(tc, blk_refuses_bad_options);
	tcase_add_loop_test(tc, blk_survives_random_requests, 1, 4);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
