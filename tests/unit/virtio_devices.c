/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * virtio-rng, virtio-balloon and virtio-serial, driven as a guest would.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_balloon.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ring.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "chardev/chardev.h"
#include "lib/buf.h"
#include "tests/unit/virtio_pci_guest.h"
#include "virtio/balloon.h"
#include "vmm/event.h"
#include "vmm/vtimer.h"

extern const struct device_class virtio_rng_pci_class;
extern const struct device_class virtio_balloon_pci_class;
extern const struct device_class virtio_serial_pci_class;
extern const struct device_class virtconsole_class;
extern const struct device_class virtserialport_class;

#define BUFFERS 0x300000u

static struct machine *m;
static struct pci_guest p;

static void setup(void) NO_TSA
{
	lock_acquire(&machine_lock);
	m = pg_machine();
	m->ram_size = GUEST_RAM;
}

static void teardown(void) NO_TSA
{
	while (!list_empty(&m->devices))
		device_destroy(list_first(&m->devices, struct device, node));
	chr_remove_all();
	guest_machine_destroy(m);
	lock_release(&machine_lock);
}

static int told[EVENT_COUNT];
static s64 told_num;

static void hear(void *arg, enum event_id id, const struct event_value *v)
{
	told[id]++;
	told_num = id == EVENT_VSERPORT_CHANGE ? v[1].num : v[0].num;
}

static struct event_listener listener = { .fn = hear };

static int offer(int queue, gpa_t at, u32 len, bool write)
{
	const struct guest_seg seg = { at, len, write };

	return gq_add(&p.q[queue], &seg, 1, false);
}

static void send(int queue, const void *data, u32 len)
{
	u32 used;

	guest_put(m, BUFFERS, data, len);
	ck_assert_int_ge(offer(queue, BUFFERS, len, false), 0);
	pg_kick(&p, queue);
	pg_wait(&p, queue, &used);
}

/* ---- rng ---- */

START_TEST(rng_fills_buffers)
{
	u8 data[4096];
	int zeroes = 0;
	u32 len;

	pg_plug(&p, m, &virtio_rng_pci_class, "");
	pg_start(&p, 0, 1, 8);
	mem_fill(&m->mem, BUFFERS, 0, sizeof(data));
	ck_assert_int_ge(offer(0, BUFFERS, sizeof(data), true), 0);
	pg_kick(&p, 0);
	pg_wait(&p, 0, &len);
	ck_assert_uint_eq(len, sizeof(data));
	guest_get(m, BUFFERS, data, sizeof(data));
	for (size_t i = 0; i < sizeof(data); i++)
		zeroes += data[i] == 0;
	ck_assert_int_lt(zeroes, 100);
}

END_TEST

START_TEST(rng_bounds_one_buffer)
{
	u32 len;

	pg_plug(&p, m, &virtio_rng_pci_class, "");
	pg_start(&p, 0, 1, 8);
	ck_assert_int_ge(offer(0, 0x200000, MIB, true), 0);
	ck_assert_int_ge(offer(0, BUFFERS, 10, false), 0);
	pg_kick(&p, 0);
	pg_wait(&p, 0, &len);
	ck_assert_uint_eq(len, 65536);
	pg_wait(&p, 0, &len);
	ck_assert_uint_eq(len, 0);
}

END_TEST

START_TEST(rng_keeps_to_its_rate)
{
	u32 len, total = 0;

	m->vclock_running = true;
	pg_plug(&p, m, &virtio_rng_pci_class, "max-bytes=100,period=60000");
	pg_start(&p, 0, 1, 8);
	for (int i = 0; i < 4; i++)
		ck_assert_int_ge(offer(0, BUFFERS + 64 * i, 64, true), 0);
	pg_kick(&p, 0);
	for (int i = 0; i < 5; i++)
		loop_once(m->loop, NS_PER_MS);
	while (gq_used(&p.q[0], &len) >= 0)
		total += len;
	ck_assert_uint_eq(total, 100);
	/* A reset starts afresh. */
	pg_start(&p, 0, 1, 8);
	ck_assert_int_ge(offer(0, BUFFERS, 64, true), 0);
	pg_kick(&p, 0);
	pg_wait(&p, 0, &len);
	ck_assert_uint_eq(len, 64);
}

END_TEST

/* ---- balloon ---- */

static bool resident(gpa_t gpa)
{
	unsigned char vec;

	ck_assert_int_eq(mincore((void *)(uintptr_t)mem_ptr(&m->mem, gpa, 1),
				 4096, &vec),
			 0);
	return vec & 1;
}

START_TEST(balloon_gives_pages_back)
{
	u8 pfns[4 * 4];
	u64 actual;

	pg_plug(&p, m, &virtio_balloon_pci_class, "");
	pg_start(&p, BIT(VIRTIO_BALLOON_F_STATS_VQ), 3, 16);
	for (int i = 0; i < 8; i++)
		mem_fill(&m->mem, 0x280000 + 4096 * i, 0xaa, 4096);
	put_le32(pfns, 0x281);
	put_le32(pfns + 4, 0x282);
	put_le32(pfns + 8, 0x280);
	put_le32(pfns + 12, 0xffffffff); /* not there: noted, no harm */
	send(0, pfns, sizeof(pfns));
	ck_assert(!resident(0x280000) && !resident(0x281000) &&
		  !resident(0x282000));
	ck_assert_uint_eq(guest_get16(m, 0x282ffe), 0);
	ck_assert_uint_eq(guest_get16(m, 0x283000), 0xaaaa);
	event_listen(m, &listener);
	pg_write(&p, p.device + 4, 4, 3);
	ck_assert_int_eq(told[EVENT_BALLOON_CHANGE], 1);
	ck_assert_int_eq(told_num, (s64)(GUEST_RAM - 3 * 4096));
	pg_write(&p, p.device + 4, 4, 3); /* the same again */
	ck_assert_int_eq(told[EVENT_BALLOON_CHANGE], 1);
	ck_assert_int_eq(balloon_actual(m, &actual, NULL), 0);
	ck_assert_uint_eq(actual, GUEST_RAM - 3 * 4096);
	send(1, pfns, 12);
	pg_write(&p, p.device, 4, 77);
	ck_assert_uint_eq(pg_read(&p, p.device, 4), 0);
}

END_TEST

START_TEST(balloon_target_reaches_the_guest)
{
	struct err err = { 0 };

	ck_assert_int_lt(balloon_set_target(m, MIB, &err), 0);
	ck_assert_str_eq(err.msg, "No balloon device has been activated");
	pg_plug(&p, m, &virtio_balloon_pci_class, "");
	pg_enable_msix(&p);
	pg_start(&p, 0, 2, 16);
	ck_assert_int_eq(balloon_set_target(m, GUEST_RAM - MIB, &err), 0);
	ck_assert_uint_eq(pg_read(&p, p.device, 4), 256);
	ck_assert_int_eq(pg_messages, 1);
	ck_assert_int_eq(balloon_set_target(m, 100 * GIB, &err), 0);
	ck_assert_uint_eq(pg_read(&p, p.device, 4), 0);
	ck_assert_int_lt(balloon_set_target(m, 0, &err), 0);
	ck_assert_ptr_null(
		device_create(m, &virtio_balloon_pci_class, NULL, &err));
}

END_TEST

static void print_stat(void *out, const char *name, u64 value)
{
	buf_printf(out, "%s=%llu\n", name, (unsigned long long)value);
}

START_TEST(balloon_reads_statistics)
{
	u8 raw[33] = { 0 };
	u64 age;
	struct buf out = { 0 };

	pg_plug(&p, m, &virtio_balloon_pci_class, "");
	pg_start(&p, BIT(VIRTIO_BALLOON_F_STATS_VQ), 3, 16);
	ck_assert_int_eq(balloon_stats(m, print_stat, &out, &age, NULL),
			 -ENODATA);
	put_le16(raw, 4);
	put_le64(raw + 2, 123456);
	put_le16(raw + 10, 0xffff); /* unknown */
	put_le16(raw + 20, 5);
	put_le64(raw + 22, 654321); /* and three bytes of nothing */
	guest_put(m, BUFFERS, raw, sizeof(raw));
	ck_assert_int_ge(offer(2, BUFFERS, sizeof(raw), false), 0);
	pg_kick(&p, 2);
	loop_once(m->loop, 0);
	ck_assert_int_eq(balloon_stats(m, print_stat, &out, &age, NULL), 0);
	ck_assert_str_eq(buf_str(&out), "stat-free-memory=123456\n"
					"stat-total-memory=654321\n");
	buf_fini(&out);
}

END_TEST

START_TEST(balloon_takes_reported_pages)
{
	u32 len;

	pg_plug(&p, m, &virtio_balloon_pci_class, "free-page-reporting=on");
	/* Without statistics the reporting queue is the third. */
	pg_start(&p, BIT(VIRTIO_BALLOON_F_REPORTING), 3, 16);
	mem_fill(&m->mem, 0x280000, 0xaa, 0x4000);
	ck_assert_int_ge(offer(2, 0x280800, 0x2800, true), 0);
	pg_kick(&p, 2);
	pg_wait(&p, 2, &len);
	ck_assert(resident(0x280000));
	ck_assert(!resident(0x281000) && !resident(0x282000));
	ck_assert_uint_eq(guest_get16(m, 0x280ffe), 0xaaaa);
	ck_assert_uint_eq(guest_get16(m, 0x283000), 0xaaaa);

	/* A fill pattern must survive. */
	pg_start(&p,
		 BIT(VIRTIO_BALLOON_F_REPORTING) |
			 BIT(VIRTIO_BALLOON_F_PAGE_POISON),
		 3, 16);
	pg_write(&p, p.device + 12, 4, 0xaaaaaaaa);
	ck_assert_int_ge(offer(2, 0x283000, 0x1000, true), 0);
	pg_kick(&p, 2);
	pg_wait(&p, 2, &len);
	ck_assert_uint_eq(guest_get16(m, 0x283000), 0xaaaa);
}

END_TEST

/* ---- console ---- */

static int to_port, from_port; /* our ends of the chardev's fifos */

static int make_fifo(const char *dir, const char *name)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	fd = open(path, O_RDWR | O_NONBLOCK);
	ck_assert_int_ge(fd, 0);
	return fd;
}

static void add_port(const struct device_class *class, const char *options)
{
	struct err err = { 0 };
	struct opts o;

	opts_parse(&o, options, NULL, NULL);
	ck_assert_msg(device_create(m, class, &o, &err) != NULL, "%s", err.msg);
	opts_fini(&o);
}

static void plug_serial(void)
{
	char dir[64], text[160];
	struct err err = { 0 };
	struct opts o;

	strcpy(dir, "/tmp/vmon-port-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	to_port = make_fifo(dir, "p.in");
	from_port = make_fifo(dir, "p.out");
	snprintf(text, sizeof(text), "pipe,id=r0,path=%s/p", dir);
	opts_parse(&o, text, "backend", NULL);
	ck_assert_msg(chr_create_opts(m->loop, &o, &err) != NULL, "%s",
		      err.msg);
	snprintf(text, sizeof(text), "%s/p.in", dir);
	unlink(text);
	snprintf(text, sizeof(text), "%s/p.out", dir);
	unlink(text);
	rmdir(dir);
	opts_fini(&o);
	pg_plug(&p, m, &virtio_serial_pci_class, "");
	add_port(&virtconsole_class, "chardev=r0,id=c0");
}

/* Next control message into *event, *value; its port. */
static u32 control_message(u16 *event, u16 *value, char *name)
{
	u8 raw[128] = { 0 };
	u32 len;

	pg_wait(&p, 2, &len);
	guest_get(m, BUFFERS + 0x1000, raw, sizeof(raw));
	ck_assert_uint_ge(len, 8);
	*event = get_le16(raw + 4);
	*value = get_le16(raw + 6);
	if (name)
		memcpy(name, raw + 8, len - 8);
	/* One buffer at a time, so that one place is enough. */
	mem_fill(&m->mem, BUFFERS + 0x1000, 0, 128);
	offer(2, BUFFERS + 0x1000, 128, true);
	pg_kick(&p, 2);
	return get_le32(raw);
}

static void control_send(u32 port, u16 event, u16 value)
{
	u8 raw[8];

	put_le32(raw, port);
	put_le16(raw + 4, event);
	put_le16(raw + 6, value);
	send(3, raw, sizeof(raw));
}

START_TEST(console_works_without_multiport)
{
	u8 data[16] = "";
	u32 len;

	plug_serial();
	pg_start(&p, 0, 2, 16);
	send(1, "from the guest", 14);
	loop_once(m->loop, 0);
	ck_assert_int_eq(read(from_port, data, sizeof(data)), 14);
	ck_assert_int_eq(memcmp(data, "from the guest", 14), 0);
	ck_assert_int_ge(offer(0, BUFFERS, 4, true), 0);
	ck_assert_int_ge(offer(0, BUFFERS + 64, 64, true), 0);
	pg_kick(&p, 0);
	loop_once(m->loop, 0);
	ck_assert_int_eq(write(to_port, "typed", 5), 5);
	pg_wait(&p, 0, &len);
	ck_assert_uint_eq(len, 4);
	guest_get(m, BUFFERS, data, 4);
	ck_assert_int_eq(memcmp(data, "type", 4), 0);
	/* The register for early output. */
	pg_write(&p, p.device + 8, 4, '!');
	loop_once(m->loop, 0);
	ck_assert_int_eq(read(from_port, data, sizeof(data)), 1);
	ck_assert_uint_eq(data[0], '!');
}

END_TEST

START_TEST(console_ports_introduce_themselves)
{
	char name[64] = "";
	u16 event, value;

	plug_serial();
	add_port(&virtserialport_class, "name=org.test.0,nr=5,id=port5");
	pg_start(&p, BIT(VIRTIO_CONSOLE_F_MULTIPORT), 16, 16);
	offer(2, BUFFERS + 0x1000, 128, true);
	control_send(0, VIRTIO_CONSOLE_DEVICE_READY, 1);
	ck_assert_uint_eq(control_message(&event, &value, NULL), 0);
	ck_assert_uint_eq(event, VIRTIO_CONSOLE_PORT_ADD);
	ck_assert_uint_eq(control_message(&event, &value, NULL), 5);
	ck_assert_uint_eq(event, VIRTIO_CONSOLE_PORT_ADD);
	control_send(0, VIRTIO_CONSOLE_PORT_READY, 1);
	control_message(&event, &value, NULL);
	ck_assert_uint_eq(event, VIRTIO_CONSOLE_CONSOLE_PORT);
	control_message(&event, &value, NULL);
	ck_assert_uint_eq(event, VIRTIO_CONSOLE_PORT_OPEN);
	control_send(5, VIRTIO_CONSOLE_PORT_READY, 1);
	ck_assert_uint_eq(control_message(&event, &value, name), 5);
	ck_assert_uint_eq(event, VIRTIO_CONSOLE_PORT_NAME);
	ck_assert_str_eq(name, "org.test.0");
	event_listen(m, &listener);
	control_send(5, VIRTIO_CONSOLE_PORT_OPEN, 1);
	ck_assert_int_eq(told[EVENT_VSERPORT_CHANGE], 1);
	ck_assert_int_eq(told_num, 1);
	control_send(5, VIRTIO_CONSOLE_PORT_OPEN, 0);
	ck_assert_int_eq(told[EVENT_VSERPORT_CHANGE], 2);
	ck_assert_int_eq(told_num, 0);
	/* Nonsense. */
	control_send(6, VIRTIO_CONSOLE_PORT_READY, 1);
	control_send(UINT32_MAX, VIRTIO_CONSOLE_PORT_OPEN, 1);
	control_send(0, 999, 1);
	send(3, "short", 5);
	ck_assert_uint_eq(pg_status(&p), 0xf);
	/* Output of a port that nobody has. */
	send(13, "void", 4);
	send(15, "void", 4);
}

END_TEST

START_TEST(console_input_waits_for_the_guest)
{
	u32 len;

	plug_serial();
	pg_start(&p, BIT(VIRTIO_CONSOLE_F_MULTIPORT), 4, 16);
	ck_assert_int_ge(offer(0, BUFFERS + 0x2000, 64, true), 0);
	pg_kick(&p, 0);
	ck_assert_int_eq(write(to_port, "early", 5), 5);
	loop_once(m->loop, 0);
	ck_assert_int_eq(gq_used(&p.q[0], &len), -1);
	control_send(0, VIRTIO_CONSOLE_DEVICE_READY, 1);
	control_send(0, VIRTIO_CONSOLE_PORT_OPEN, 1);
	pg_wait(&p, 0, &len);
	ck_assert_uint_eq(len, 5);
}

END_TEST

START_TEST(console_ports_come_and_go)
{
	struct err err = { 0 };
	struct opts o;

	opts_parse(&o, "", NULL, NULL);
	ck_assert_ptr_null(device_create(m, &virtconsole_class, &o, &err));
	ck_assert_msg(strstr(err.msg, "No 'virtio-serial-bus' bus") != NULL,
		      "%s", err.msg);
	opts_fini(&o);
	plug_serial();
	pg_start(&p, BIT(VIRTIO_CONSOLE_F_MULTIPORT), 4, 16);
	/* With a buffer in each hand. */
	offer(0, BUFFERS, 64, true);
	pg_kick(&p, 0);
	loop_once(m->loop, 0);
	control_send(0, VIRTIO_CONSOLE_DEVICE_READY, 1);
	control_send(0, VIRTIO_CONSOLE_PORT_OPEN, 1);
	device_destroy(device_find(m, "c0"));
	send(1, "void", 4);
	add_port(&virtconsole_class, "id=c1");
	send(1, "void", 4);
	opts_parse(&o, "nr=0", NULL, NULL);
	ck_assert_ptr_null(device_create(m, &virtconsole_class, &o, &err));
	opts_fini(&o);
	/* The controller first. */
	device_destroy(&p.v->pci.dev);
}

END_TEST

int main(void)
{
	Suite *s = suite_create("virtio_devices");
	TCase *tc = tcase_create("virtio_devices");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, rng_fills_buffers);
	tcase_add_test(tc, rng_bounds_one_buffer);
	tcase_add_test(tc, rng_keeps_to_its_rate);
	tcase_add_test(tc, balloon_gives_pages_back);
	tcase_add_test(tc, balloon_target_reaches_the_guest);
	tcase_add_test(tc, balloon_reads_statistics);
	tcase_add_test(tc, balloon_takes_reported_pages);
	tcase_add_test(tc, console_works_without_multiport);
	tcase_add_test(tc, console_ports_introduce_themselves);
	tcase_add_test(tc, console_input_waits_for_the_guest);
	tcase_add_test(tc, console_ports_come_and_go);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
