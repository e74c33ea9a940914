/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The status machine and the PCI registers, modern and legacy, driven as a
 * guest would, and then with noise.
 */
#include <errno.h>
#include <linux/virtio_ring.h>
#include <stdio.h>

#include "lib/buf.h"
#include "tests/unit/virtio_pci_guest.h"
#include "virtio/pci.h"

#define BUFFERS 0x80000

static struct machine *m;
static struct pci_guest p;

/* ---- A device that echoes, and counts what happens to it ---- */

struct echo {
	struct virtio v;
	struct chain c;
	int activated, resets, handled;
	bool refuse;
};

static struct echo *echo_of(struct virtio *v)
{
	return container_of(v, struct echo, v);
}

static int echo_init(struct virtio *v, struct err *err)
{
	v->nqueues = 3;
	v->queue[0].size_max = 64;
	v->queue[1].size_max = 128;
	v->offered |= 0x21;
	strcpy((char *)v->config, "configured");
	return chain_init(&echo_of(v)->c, 16);
}

static void echo_fini(struct virtio *v)
{
	chain_fini(&echo_of(v)->c);
}

static int echo_activate(struct virtio *v)
{
	echo_of(v)->activated++;
	return echo_of(v)->refuse ? -ENOMEM : 0;
}

static void echo_reset(struct virtio *v)
{
	echo_of(v)->resets++;
}

static void echo_handle(struct virtio *v, struct queue *q)
{
	struct echo *s = echo_of(v);

	s->handled++;
	while (queue_pop(q, &s->c)) {
		u8 data[256];
		size_t len = chain_read(&s->c, 0, data, sizeof(data));

		queue_push(q, &s->c, chain_write(&s->c, 0, data, len));
	}
	queue_notify(q);
}

static void echo_config_write(struct virtio *v, u32 offset, u32 len, u64 value)
{
	memcpy(v->config + offset, &value, len);
}

static const struct virtio_class echo_class = {
	.name = "virtio-echo",
	.id = 30,
	.pci_legacy_id = 0x1030,
	.pci_class = 0x00ff00,
	.config_size = 20,
	.init = echo_init,
	.fini = echo_fini,
	.activate = echo_activate,
	.reset = echo_reset,
	.handle_queue = echo_handle,
	.config_write = echo_config_write,
};

static const struct option_row echo_options[] = { VIRTIO_OPTION_ROWS,
						  OPTION_END };

static const struct device_class echo_pci_class =
	VIRTIO_PCI_CLASS("virtio-echo-pci", "echo", DEVICE_MISC, struct echo,
			 echo_options, NULL, &echo_class);

static struct echo *echo(void)
{
	return echo_of(p.v);
}

static void setup(void) NO_TSA
{
	lock_acquire(&machine_lock);
	m = pg_machine();
	pg_plug(&p, m, &echo_pci_class, "packed=on");
}

static void teardown(void) NO_TSA
{
	while (!list_empty(&m->devices))
		device_destroy(list_first(&m->devices, struct device, node));
	guest_machine_destroy(m);
	lock_release(&machine_lock);
}

static void replug(const char *options)
{
	device_destroy(&p.v->pci.dev);
	pg_plug(&p, m, &echo_pci_class, options);
}

/* Sends five bytes through queue `i`. */
static void round_trip(int i)
{
	const struct guest_seg segs[] = { { BUFFERS, 5, false },
					  { BUFFERS + 64, 5, true } };
	char back[5] = "";
	u32 len;

	guest_put(m, BUFFERS, "hello", 5);
	ck_assert_int_ge(gq_add(&p.q[i], segs, 2, false), 0);
	pg_kick(&p, i);
	pg_wait(&p, i, &len);
	ck_assert_uint_eq(len, 5);
	guest_get(m, BUFFERS + 64, back, 5);
	ck_assert_int_eq(memcmp(back, "hello", 5), 0);
}

/* ---- Status ---- */

START_TEST(virtio_starts_in_the_order_of_the_specification)
{
	pg_start(&p, 0x21, 2, 32);
	ck_assert_int_eq(echo()->activated, 1);
	round_trip(0);
	round_trip(1);
	ck_assert_uint_eq(pg_set_status(&p, 0), 0);
	ck_assert_uint_eq(p.v->accepted, 0);
	ck_assert_uint_eq(p.v->queue[0].enabled, 0);
	pg_start(&p, 0x20 | BIT(VIRTIO_F_RING_PACKED), 2, 32);
	round_trip(0);
}

END_TEST

START_TEST(virtio_status_bits_need_their_predecessors)
{
	ck_assert_uint_eq(pg_set_status(&p, 2), 0);
	ck_assert_uint_eq(pg_set_status(&p, 8), 0);
	ck_assert_uint_eq(pg_set_status(&p, 4), 0);
	ck_assert_uint_eq(pg_set_status(&p, 1), 1);
	ck_assert_uint_eq(pg_set_status(&p, 9), 1);
	ck_assert_uint_eq(pg_set_status(&p, 3), 3);
	/* DRIVER_OK without FEATURES_OK. */
	ck_assert_uint_eq(pg_set_status(&p, 7), 3);
	ck_assert_int_eq(echo()->activated, 0);
	/* FAILED ends it. */
	ck_assert_uint_eq(pg_set_status(&p, 0x83), 0x83);
	pg_accept(&p, BIT(VIRTIO_F_VERSION_1));
	ck_assert_uint_eq(pg_set_status(&p, 0x8b), 0x83);
	ck_assert_uint_eq(pg_set_status(&p, 0), 0);
	/* NEEDS_RESET is not the driver's. */
	ck_assert_uint_eq(pg_set_status(&p, 0x41), 1);
}

END_TEST

START_TEST(virtio_features_must_be_offered_and_modern)
{
	ck_assert_uint_eq(pg_set_status(&p, 3), 3);
	pg_accept(&p, BIT(VIRTIO_F_VERSION_1) | 0x40);
	ck_assert_uint_eq(pg_set_status(&p, 0xb), 3);
	pg_accept(&p, 0x21);
	ck_assert_uint_eq(pg_set_status(&p, 0xb), 3);
	pg_accept(&p, BIT(VIRTIO_F_VERSION_1) | 0x21);
	ck_assert_uint_eq(pg_set_status(&p, 0xb), 0xb);
	/* Agreed: nothing changes any more. */
	pg_accept(&p, 0);
	ck_assert_uint_eq(p.v->accepted, BIT(VIRTIO_F_VERSION_1) | 0x21);
	/* Selectors beyond the two words read as zero. */
	pg_write(&p, PG_COMMON(&p, DFSELECT), 4, 2);
	ck_assert_uint_eq(pg_read(&p, PG_COMMON(&p, DF), 4), 0);
	pg_write(&p, PG_COMMON(&p, DFSELECT), 4, UINT32_MAX);
	ck_assert_uint_eq(pg_read(&p, PG_COMMON(&p, DF), 4), 0);
	pg_write(&p, PG_COMMON(&p, GFSELECT), 4, UINT32_MAX);
	pg_write(&p, PG_COMMON(&p, GF), 4, UINT32_MAX);
	ck_assert_uint_eq(p.v->accepted, BIT(VIRTIO_F_VERSION_1) | 0x21);
}

END_TEST

START_TEST(virtio_queues_freeze_at_driver_ok)
{
	struct queue *q;

	pg_start(&p, 0, 2, 32);
	q = &p.v->queue[1];
	pg_write(&p, PG_COMMON(&p, Q_SELECT), 2, 1);
	pg_write(&p, PG_COMMON(&p, Q_SIZE), 2, 128);
	pg_write64(&p, PG_COMMON(&p, Q_DESCLO), 0);
	pg_write64(&p, PG_COMMON(&p, Q_AVAILLO), 0);
	pg_write64(&p, PG_COMMON(&p, Q_USEDLO), 0);
	pg_write(&p, PG_COMMON(&p, Q_MSIX), 2, 0);
	ck_assert_uint_eq(q->size, 32);
	ck_assert_uint_eq(q->desc, p.q[1].desc);
	ck_assert_uint_eq(q->driver, p.q[1].driver);
	ck_assert_uint_eq(q->device, p.q[1].device);
	ck_assert_uint_eq(q->vector, 2);
	round_trip(1);
}

END_TEST

START_TEST(virtio_bad_ring_addresses_need_a_reset)
{
	ck_assert_uint_eq(pg_set_status(&p, 3), 3);
	pg_accept(&p, BIT(VIRTIO_F_VERSION_1));
	ck_assert_uint_eq(pg_set_status(&p, 0xb), 0xb);
	pg_setup_queue(&p, 0, 32);
	pg_write64(&p, PG_COMMON(&p, Q_USEDLO), GUEST_RAM);
	ck_assert_uint_eq(pg_set_status(&p, 0xf), 0x4b);
	ck_assert_int_eq(echo()->activated, 0);
	pg_kick(&p, 0);
	loop_once(m->loop, 0);
	ck_assert_int_eq(echo()->handled, 0);
	pg_start(&p, 0, 1, 32);
	round_trip(0);
}

END_TEST

START_TEST(virtio_device_that_cannot_start_needs_a_reset)
{
	echo()->refuse = true;
	ck_assert_uint_eq(pg_set_status(&p, 3), 3);
	pg_accept(&p, BIT(VIRTIO_F_VERSION_1));
	ck_assert_uint_eq(pg_set_status(&p, 0xb), 0xb);
	ck_assert_uint_eq(pg_set_status(&p, 0xf), 0x4b);
	echo()->refuse = false;
	pg_start(&p, 0, 1, 32);
	round_trip(0);
}

END_TEST

START_TEST(virtio_bad_buffer_breaks_and_says_so)
{
	const struct guest_seg bad = { GUEST_RAM, 5, false };
	u8 generation;

	pg_enable_msix(&p);
	pg_start(&p, 0, 1, 32);
	generation = pg_read(&p, PG_COMMON(&p, CFGGENERATION), 1);
	ck_assert_int_ge(gq_add(&p.q[0], &bad, 1, false), 0);
	pg_kick(&p, 0);
	loop_once(m->loop, 0);
	ck_assert_uint_eq(pg_status(&p), 0x4f);
	ck_assert_int_eq(pg_messages, 1);
	ck_assert_uint_eq(pg_last_msi.data, 0x100);
	ck_assert_uint_ne(pg_read(&p, PG_COMMON(&p, CFGGENERATION), 1),
			  generation);
	pg_start(&p, 0, 1, 32);
	round_trip(0);
}

END_TEST

START_TEST(virtio_doorbells_wait_while_the_machine_stands)
{
	const struct guest_seg seg = { BUFFERS, 5, true };
	u32 len;

	pg_start(&p, 0, 1, 32);
	m->run.state = RUN_PAUSED;
	ck_assert_int_ge(gq_add(&p.q[0], &seg, 1, false), 0);
	pg_kick(&p, 0);
	loop_once(m->loop, 0);
	loop_once(m->loop, 0);
	ck_assert_int_eq(gq_used(&p.q[0], &len), -1);
	m->run.state = RUN_RUNNING;
	p.v->run_notifier.fn(p.v->run_notifier.arg, RUN_PAUSED, RUN_RUNNING);
	ck_assert_int_ge(gq_used(&p.q[0], &len), 0);
}

END_TEST

START_TEST(virtio_doorbells_of_no_queue_do_nothing)
{
	pg_start(&p, 0, 1, 32);
	loop_once(m->loop, 0);
	echo()->handled = 0;
	for (u32 at = 0; at < 0x1000; at += 2)
		if (at / p.notify_step != 0)
			pg_write(&p, p.notify + at, 2, at);
	virtio_kick(p.v, UINT32_MAX);
	virtio_kick(p.v, VIRTIO_QUEUES_MAX);
	loop_once(m->loop, 0);
	ck_assert_int_eq(echo()->handled, 0);
}

END_TEST

/* ---- Registers ---- */

START_TEST(virtio_pci_identifies_itself)
{
	ck_assert_uint_eq(pg_cfg(&p, PCI_VENDOR_ID, 2), 0x1af4);
	ck_assert_uint_eq(pg_cfg(&p, PCI_DEVICE_ID, 2), 0x1030);
	ck_assert_uint_eq(pg_cfg(&p, PCI_REVISION_ID, 1), 0);
	ck_assert_uint_eq(pg_cfg(&p, PCI_SUBSYSTEM_ID, 2), 30);
	replug("disable-legacy=on");
	ck_assert_uint_eq(pg_cfg(&p, PCI_DEVICE_ID, 2), 0x1040 + 30);
	ck_assert_uint_eq(pg_cfg(&p, PCI_REVISION_ID, 1), 1);
	ck_assert_uint_eq(pg_cfg(&p, PCI_BASE_ADDRESS_0, 4), 0);
	ck_assert_uint_eq(pg_io_read(&p, 0, 4), UINT32_MAX);
	ck_assert_uint_ne(p.common, 0);
	replug("disable-modern=on,disable-legacy=off");
	ck_assert_uint_eq(p.common, 0);
}

END_TEST

START_TEST(virtio_pci_refuses_options_that_leave_nothing)
{
	static const char *const bad[] = {
		"disable-modern=on,disable-legacy=on", "iommu_platform=on",
		"vectors=129", "vectors=-1"
	};
	struct err err = { 0 };
	struct opts o;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		opts_parse(&o, bad[i], NULL, NULL);
		ck_assert_ptr_null(device_create(m, &echo_pci_class, &o, &err));
		ck_assert_int_lt(err.code, 0);
		opts_fini(&o);
	}
}

END_TEST

START_TEST(virtio_pci_selected_queue_is_bounded)
{
	ck_assert_uint_eq(pg_read(&p, PG_COMMON(&p, NUMQ), 2), 3);
	for (u32 i = 0; i < 0x10000; i++) {
		u16 size = i == 0 ? 64 : i == 1 ? 128 : 0;

		pg_write(&p, PG_COMMON(&p, Q_SELECT), 2, i);
		ck_assert_uint_eq(pg_read(&p, PG_COMMON(&p, Q_SIZE), 2), size);
		pg_write(&p, PG_COMMON(&p, Q_SIZE), 2, 16);
		pg_write(&p, PG_COMMON(&p, Q_ENABLE), 2, 1);
	}
	ck_assert_uint_eq(p.v->queue[0].size, 16);
	ck_assert_uint_eq(p.v->queue[2].enabled, false);
	pg_write(&p, PG_COMMON(&p, Q_SELECT), 2, 0);
	pg_write(&p, PG_COMMON(&p, Q_SIZE), 2, 65);
	ck_assert_uint_eq(pg_read(&p, PG_COMMON(&p, Q_SIZE), 2), 16);
	pg_write(&p, PG_COMMON(&p, Q_SIZE), 2, 0);
	ck_assert_uint_eq(pg_read(&p, PG_COMMON(&p, Q_SIZE), 2), 16);
}

END_TEST

START_TEST(virtio_pci_vectors_are_bounded)
{
	pg_write(&p, PG_COMMON(&p, MSIX), 2, 3);
	ck_assert_uint_eq(pg_read(&p, PG_COMMON(&p, MSIX), 2), 3);
	pg_write(&p, PG_COMMON(&p, MSIX), 2, 4);
	ck_assert_uint_eq(pg_read(&p, PG_COMMON(&p, MSIX), 2), 0xffff);
	replug("vectors=0");
	pg_write(&p, PG_COMMON(&p, MSIX), 2, 0);
	ck_assert_uint_eq(pg_read(&p, PG_COMMON(&p, MSIX), 2), 0xffff);
}

END_TEST

START_TEST(virtio_pci_config_reads_at_any_width)
{
	ck_assert_uint_eq(pg_read(&p, p.device, 1), 'c');
	ck_assert_uint_eq(pg_read(&p, p.device + 1, 2), 'o' | 'n' << 8);
	ck_assert_uint_eq(pg_read(&p, p.device + 16, 4), 0);
	ck_assert_uint_eq(pg_read(&p, p.device + 20, 4), UINT32_MAX);
	ck_assert_uint_eq(pg_read(&p, p.device + 0xffc, 4), UINT32_MAX);
	pg_write(&p, p.device + 4, 4, 0x11223344);
	ck_assert_uint_eq(pg_read(&p, p.device + 4, 4), 0x11223344);
	pg_write(&p, p.device + 20, 4, 1);
	pg_write(&p, p.device + 0xffc, 4, 1);
	/* Parts of wide registers. */
	pg_write(&p, PG_COMMON(&p, Q_DESCLO), 4, 0x12345000);
	ck_assert_uint_eq(pg_read(&p, PG_COMMON(&p, Q_DESCLO) + 1, 1), 0x50);
	pg_write(&p, PG_COMMON(&p, Q_DESCLO), 2, 0xffff);
	ck_assert_uint_eq(pg_read(&p, PG_COMMON(&p, Q_DESCLO), 4), 0x12345000);
}

END_TEST

START_TEST(virtio_pci_config_change_interrupts)
{
	u8 generation;

	pg_enable_msix(&p);
	pg_start(&p, 0, 1, 16);
	generation = pg_read(&p, PG_COMMON(&p, CFGGENERATION), 1);
	virtio_config_changed(p.v);
	ck_assert_int_eq(pg_messages, 1);
	ck_assert_uint_eq(pg_last_msi.data, 0x100);
	ck_assert_uint_eq(pg_read(&p, PG_COMMON(&p, CFGGENERATION), 1),
			  (u8)(generation + 1));
}

END_TEST

START_TEST(virtio_pci_interrupts_by_message_or_line)
{
	pg_start(&p, 0, 1, 16);
	round_trip(0);
	ck_assert_int_eq(pg_messages, 0);
	ck_assert_int_eq(pg_intx, 1);
	ck_assert_uint_eq(pg_read(&p, p.isr, 1), 1);
	ck_assert_int_eq(pg_intx, 0);
	ck_assert_uint_eq(pg_read(&p, p.isr, 1), 0);
	virtio_config_changed(p.v);
	ck_assert_int_eq(pg_intx, 1);
	ck_assert_uint_eq(pg_read(&p, p.isr, 1), 2);
	round_trip(0);
	ck_assert_int_eq(pg_intx, 1);
	pg_set_status(&p, 0);
	ck_assert_int_eq(pg_intx, 0);

	pg_enable_msix(&p);
	pg_start(&p, 0, 2, 16);
	round_trip(1);
	ck_assert_int_eq(pg_intx, 0);
	ck_assert_int_eq(pg_messages, 1);
	ck_assert_uint_eq(pg_last_msi.data, 0x102);
}

END_TEST

START_TEST(virtio_pci_config_space_window_reaches_the_bar)
{
	u8 cap = p.access_cap;

	pg_cfg_write(&p, cap + VIRTIO_PCI_CAP_BAR, 1, 4);
	pg_cfg_write(&p, cap + VIRTIO_PCI_CAP_OFFSET, 4,
		     VIRTIO_PCI_COMMON_STATUS);
	pg_cfg_write(&p, cap + VIRTIO_PCI_CAP_LENGTH, 4, 1);
	pg_cfg_write(&p, cap + 16, 4, 3);
	ck_assert_uint_eq(pg_status(&p), 3);
	ck_assert_uint_eq(pg_cfg(&p, cap + 16, 1), 3);
	/* Windows that lead nowhere. */
	for (u32 bar = 0; bar < 8; bar++)
		for (u32 len = 0; len < 9; len++) {
			if (bar == 4 && len == 1)
				continue;
			pg_cfg_write(&p, cap + VIRTIO_PCI_CAP_BAR, 1, bar);
			pg_cfg_write(&p, cap + VIRTIO_PCI_CAP_LENGTH, 4, len);
			pg_cfg_write(&p, cap + VIRTIO_PCI_CAP_OFFSET, 4,
				     len % 2 ? UINT32_MAX : 0x4000);
			pg_cfg_write(&p, cap + 16, 4, 0);
			pg_cfg(&p, cap + 16, 4);
		}
	ck_assert_uint_eq(pg_status(&p), 3);
}

END_TEST

START_TEST(virtio_pci_legacy_interface_works)
{
	struct guest_queue *g = &p.q[1];

	pg_io_write(&p, VIRTIO_PCI_STATUS, 1, 0);
	pg_io_write(&p, VIRTIO_PCI_STATUS, 1, 1);
	pg_io_write(&p, VIRTIO_PCI_STATUS, 1, 3);
	ck_assert_uint_eq(pg_io_read(&p, VIRTIO_PCI_HOST_FEATURES, 4) & 0xff,
			  0x21);
	/* Blind acceptance is cut down. */
	pg_io_write(&p, VIRTIO_PCI_GUEST_FEATURES, 4, 0xff);
	ck_assert_uint_eq(p.v->accepted, 0x21);
	pg_io_write(&p, VIRTIO_PCI_QUEUE_SEL, 2, 1);
	ck_assert_uint_eq(pg_io_read(&p, VIRTIO_PCI_QUEUE_NUM, 2), 128);
	ck_assert_uint_eq(pg_io_read(&p, VIRTIO_PCI_QUEUE_PFN, 4), 0);
	gq_init(g, m, false, 128, PG_RINGS);
	pg_io_write(&p, VIRTIO_PCI_QUEUE_PFN, 4, PG_RINGS >> 12);
	ck_assert_uint_eq(pg_io_read(&p, VIRTIO_PCI_QUEUE_PFN, 4),
			  PG_RINGS >> 12);
	ck_assert_uint_eq(p.v->queue[1].device, g->device);
	pg_io_write(&p, VIRTIO_PCI_STATUS, 1, 7);
	ck_assert_uint_eq(pg_io_read(&p, VIRTIO_PCI_STATUS, 1), 7);
	round_trip(1);
	ck_assert_int_eq(pg_intx, 1);
	ck_assert_uint_eq(pg_io_read(&p, VIRTIO_PCI_ISR, 1), 1);
	ck_assert_int_eq(pg_intx, 0);
	/* Configuration moves when MSI-X comes in between. */
	ck_assert_uint_eq(pg_io_read(&p, 20, 1), 'c');
	pg_enable_msix(&p);
	ck_assert_uint_eq(pg_io_read(&p, 24, 1), 'c');
	ck_assert_uint_eq(pg_io_read(&p, VIRTIO_MSI_CONFIG_VECTOR, 2), 0xffff);
	ck_assert_uint_eq(pg_io_read(&p, 24 + 20, 4), UINT32_MAX);
}

END_TEST

START_TEST(virtio_pci_legacy_doorbell_rings)
{
	const struct guest_seg seg = { BUFFERS, 5, true };
	u32 len;

	pg_io_write(&p, VIRTIO_PCI_STATUS, 1, 3);
	pg_io_write(&p, VIRTIO_PCI_QUEUE_SEL, 2, 0);
	gq_init(&p.q[0], m, false, 64, PG_RINGS);
	pg_io_write(&p, VIRTIO_PCI_QUEUE_PFN, 4, PG_RINGS >> 12);
	pg_io_write(&p, VIRTIO_PCI_STATUS, 1, 7);
	loop_once(m->loop, 0);
	gq_add(&p.q[0], &seg, 1, false);
	pg_io_write(&p, VIRTIO_PCI_QUEUE_NOTIFY, 2, 0);
	pg_wait(&p, 0, &len);
	pg_io_write(&p, VIRTIO_PCI_QUEUE_NOTIFY, 2, 0xffff);
	pg_io_write(&p, VIRTIO_PCI_QUEUE_NOTIFY, 4, 0xffffffff);
}

END_TEST

START_TEST(virtio_pci_has_help_and_info)
{
	struct buf out = { 0 };

	device_help(&echo_pci_class, &out);
	ck_assert_ptr_nonnull(strstr(buf_str(&out), "packed=<bool>"));
	buf_clear(&out);
	p.v->pci.dev.class->info(&p.v->pci.dev, &out);
	ck_assert_ptr_nonnull(strstr(buf_str(&out), "1af4:1030"));
	ck_assert_ptr_eq(virtio_next(m, NULL), p.v);
	ck_assert_ptr_null(virtio_next(m, p.v));
	buf_fini(&out);
}

END_TEST

/* ---- Doorbells in the accelerator ---- */

static struct {
	u64 addr;
	bool pio, add;
	int count;
} bell_log;

static int bell_set(struct machine *mm, bool pio, u64 addr, u32 size,
		    bool match, u64 data, int fd, bool add)
{
	bell_log.addr = addr;
	bell_log.pio = pio;
	bell_log.add = add;
	bell_log.count += add ? 1 : -1;
	return 0;
}

START_TEST(virtio_pci_doorbells_follow_the_bar)
{
	static const struct accel_class accel = { .name = "fake",
						  .ioeventfd = bell_set };

	m->accel = &accel;
	replug("disable-legacy=on");
	pg_start(&p, 0, 2, 16);
	ck_assert_int_eq(bell_log.count, 2);
	ck_assert_uint_eq(bell_log.addr, p.notify + p.notify_step);
	pg_cfg_write(&p, PCI_COMMAND, 2, 0);
	ck_assert_int_eq(bell_log.count, 0);
	pg_cfg_write(&p, PCI_BASE_ADDRESS_4, 4, 0xe0020000);
	pg_cfg_write(&p, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	ck_assert_int_eq(bell_log.count, 2);
	ck_assert_uint_eq(bell_log.addr, 0xe0023004);
	device_reset_all(m);
	ck_assert_int_eq(bell_log.count, 0);
	replug("ioeventfd=off");
	pg_start(&p, 0, 2, 16);
	ck_assert_int_eq(bell_log.count, 0);
	replug("");
	pg_start(&p, 0, 2, 16);
	ck_assert_int_eq(bell_log.count, 4);
	device_destroy(&p.v->pci.dev);
	ck_assert_int_eq(bell_log.count, 0);
}

END_TEST

/* ---- Vectors in the accelerator ---- */

static int vector_count;

static int vector_set(struct machine *mm, const struct msi *msi, int fd,
		      bool add, int *route)
{
	if (add && *route >= 0)
		return 0;
	vector_count += add ? 1 : -1;
	*route = add ? 24 : -1;
	return 0;
}

START_TEST(virtio_pci_vectors_are_used_while_queues_live)
{
	static const struct accel_class accel = { .name = "fake",
						  .irqfd = vector_set };

	m->accel = &accel;
	replug("");
	pg_enable_msix(&p);
	ck_assert_int_eq(vector_count, 0);
	/* One for configuration, one per queue. */
	pg_start(&p, 0, 2, 16);
	ck_assert_int_eq(vector_count, 3);
	pg_write(&p, PG_COMMON(&p, MSIX), 2, QUEUE_NO_VECTOR);
	ck_assert_int_eq(vector_count, 2);
	pg_write(&p, PG_COMMON(&p, MSIX), 2, 1); /* shared with a queue */
	ck_assert_int_eq(vector_count, 2);
	pg_write(&p, PG_COMMON(&p, MSIX), 2, 0);
	ck_assert_int_eq(vector_count, 3);
	pg_set_status(&p, 0);
	ck_assert_int_eq(vector_count, 0);
	pg_start(&p, 0, 2, 16);
	ck_assert_int_eq(vector_count, 3);
	device_destroy(&p.v->pci.dev);
	ck_assert_int_eq(vector_count, 0);
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

static u32 noise_value(void)
{
	switch (rnd(6)) {
	case 0: return rnd_state;
	case 1: return rnd(0x10) * 0x1000; /* an address */
	case 2: return 0;
	case 3: return 0xf; /* a status */
	case 4: return BIT(rnd(32));
	default: return rnd(256);
	}
}

static void noise_access(void)
{
	u32 size = 1u << rnd(3), value = noise_value();
	u64 at;

	switch (rnd(8)) {
	case 0: /* configuration space */
		at = rnd(256);
		if (at < PCI_BASE_ADDRESS_0 || at >= PCI_CARDBUS_CIS)
			pg_cfg_write(&p, at, size, value);
		pg_cfg(&p, rnd(256), size);
		break;
	case 1:
		pg_io_write(&p, rnd(64), size, value);
		pg_io_read(&p, rnd(64), size);
		break;
	case 2:
		at = PG_BAR_MSIX + rnd(0x1000);
		pg_write(&p, at, size, value);
		pg_read(&p, at, size);
		break;
	default:
		at = PG_BAR_MODERN + rnd(5) * 0x1000 + rnd(0x50);
		pg_write(&p, at, size, value);
		pg_read(&p, at, size);
	}
}

START_TEST(virtio_pci_survives_noise)
{
	u64 end = clock_mono_ns() + fuzz_seconds() * NS_PER_S, n = 0;
	int started = 0;

	rnd_state = getenv("FUZZ_SEED") ? atoi(getenv("FUZZ_SEED")) : 7;
	printf("register noise: FUZZ_SEED=%u\n", rnd_state);
	while (clock_mono_ns() < end) {
		pg_cfg_write(&p, PCI_COMMAND, 2, 7);
		/* Half of the time there is a working device to disturb. */
		if (rnd(2)) {
			pg_set_status(&p, 0);
			pg_start(&p, rnd(2) ? BIT(VIRTIO_F_RING_PACKED) : 0, 2,
				 32);
			started++;
		}
		for (int i = 0; i < 500; i++, n++) {
			noise_access();
			if (rnd(10) == 0)
				guest_put16(m, PG_RINGS + rnd(0x8000) * 2,
					    noise_value());
			if (rnd(50) == 0)
				loop_once(m->loop, 0);
		}
	}
	printf("%llu accesses, %d starts\n", (unsigned long long)n, started);
	ck_assert_int_gt(started, 0);
	device_reset_all(m);
	pg_cfg_write(&p, PCI_BASE_ADDRESS_4, 4, PG_BAR_MODERN);
	pg_cfg_write(&p, PCI_COMMAND, 2, 7);
	pg_start(&p, 0, 2, 32);
	round_trip(0);
}

END_TEST

int main(void)
{
	Suite *s = suite_create("virtio_pci");
	TCase *tc = tcase_create("virtio_pci");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60 + fuzz_seconds());
	tcase_add_test(tc, virtio_starts_in_the_order_of_the_specification);
	tcase_add_test(tc, virtio_status_bits_need_their_predecessors);
	tcase_add_test(tc, virtio_features_must_be_offered_and_modern);
	tcase_add_test(tc, virtio_queues_freeze_at_driver_ok);
	tcase_add_test(tc, virtio_bad_ring_addresses_need_a_reset);
	tcase_add_test(tc, virtio_device_that_cannot_start_needs_a_reset);
	tcase_add_test(tc, virtio_bad_buffer_breaks_and_says_so);
	tcase_add_test(tc, virtio_doorbells_wait_while_the_machine_stands);
	tcase_add_test(tc, virtio_doorbells_of_no_queue_do_nothing);
	tcase_add_test(tc, virtio_pci_identifies_itself);
	tcase_add_test(tc, virtio_pci_refuses_options_that_leave_nothing);
	tcase_add_test(tc, virtio_pci_selected_queue_is_bounded);
	tcase_add_test(tc, virtio_pci_vectors_are_bounded);
	tcase_add_test(tc, virtio_pci_config_reads_at_any_width);
	tcase_add_test(tc, virtio_pci_config_change_interrupts);
	tcase_add_test(tc, virtio_pci_interrupts_by_message_or_line);
	tcase_add_test(tc, virtio_pci_config_space_window_reaches_the_bar);
	tcase_add_test(tc, virtio_pci_legacy_interface_works);
	tcase_add_test(tc, virtio_pci_legacy_doorbell_rings);
	tcase_add_test(tc, virtio_pci_has_help_and_info);
	tcase_add_test(tc, virtio_pci_doorbells_follow_the_bar);
	tcase_add_test(tc, virtio_pci_vectors_are_used_while_queues_live);
	tcase_add_test(tc, virtio_pci_survives_noise);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
