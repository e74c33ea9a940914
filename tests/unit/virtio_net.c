/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * virtio-net between a driver written by hand and a back end that only
 * remembers; and a fuzz loop over its queues (FUZZ_SECONDS, FUZZ_SEED).
 */
#include "virtio/net.h"

#include <check.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/bytes.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/lock.h"
#include "vmm/machine.h"

extern const struct device_class virtio_net_pci_class;

#define RING_GPA(i)     ((i)*0x10000u + 0x10000u)
#define BUF_GPA(i, n)   (0x100000u + (i)*0x200000u + (n)*0x2000u)
#define RAM_SIZE        (8 * MIB)
#define COMMON_FEATURES BIT(VIRTIO_F_VERSION_1)

struct ring {
	struct queue *q;
	u8 *desc, *avail, *used; /* in guest RAM */
	u16 avail_idx, used_seen;
};

/* The back end: what came last, and whether it takes more. */
static struct {
	int got;
	bool refuse;
	size_t len;
	u8 data[NET_FRAME_MAX];
	struct virtio_net_hdr hdr;
	u32 offloads;
	void (*on_receive)(void);
} wire;

static struct machine *m;
static struct pci_bus bus;
static struct netdev *nd;
static struct vnet *s;
static struct ring ring[VNET_QUEUES];
static u8 *ram;
static int interrupts, config_interrupts;

static bool wire_receive(struct net_port *p, const struct net_frame *f)
{
	if (wire.refuse)
		return false;
	wire.got++;
	wire.len = net_frame_copy(f, wire.data, sizeof(wire.data));
	ck_assert_uint_eq(wire.len, f->len);
	wire.hdr = f->hdr;
	if (wire.on_receive)
		wire.on_receive();
	return true;
}

static void wire_offloads(struct net_port *p, u32 offloads)
{
	wire.offloads = offloads;
}

static const struct net_port_ops wire_ops = {
	.receive = wire_receive,
	.set_offloads = wire_offloads,
};

static void bus_notify(struct virtio *v, struct queue *q)
{
	if (q)
		interrupts++;
	else
		config_interrupts++;
}

static void bus_nothing(struct virtio *v)
{
}

static const struct virtio_bus test_bus = {
	.name = "test",
	.notify = bus_notify,
	.started = bus_nothing,
	.stopped = bus_nothing,
};

/* ---- driver ---- */

static void *at(gpa_t gpa)
{
	return ram + gpa;
}

static void set_desc(struct ring *r, u16 i, gpa_t gpa, u32 len, u16 flags,
		     u16 next)
{
	u8 *d = r->desc + 16 * i;

	put_le64(d, gpa);
	put_le32(d + 8, len);
	put_le16(d + 12, flags);
	put_le16(d + 14, next);
}

static void offer(struct ring *r, u16 head)
{
	put_le16(r->avail + 4 + 2 * (r->avail_idx % r->q->size), head);
	put_le16(r->avail + 2, ++r->avail_idx);
}

static bool used(struct ring *r, u32 *id, u32 *len)
{
	u8 *e = r->used + 4 + 8 * (r->used_seen % r->q->size);

	if (get_le16(r->used + 2) == r->used_seen)
		return false;
	*id = get_le32(e);
	*len = get_le32(e + 4);
	r->used_seen++;
	return true;
}

static void run(void)
{
	for (int i = 0; i < 4; i++)
		loop_once(m->loop, 0);
}

static void kick(int q)
{
	virtio_kick(&s->v, q);
	run();
}

static void ring_init(int i)
{
	struct ring *r = &ring[i];
	struct queue *q = &s->v.queue[i];

	memset(at(RING_GPA(i)), 0, 0x10000);
	*r = (struct ring){ q,
			    at(RING_GPA(i)),
			    at(RING_GPA(i) + 0x8000),
			    at(RING_GPA(i) + 0xc000),
			    0,
			    0 };
	q->size = q->size_max;
	q->desc = RING_GPA(i);
	q->driver = RING_GPA(i) + 0x8000;
	q->device = RING_GPA(i) + 0xc000;
	q->enabled = true;
}

static void start(u64 features)
{
	virtio_set_status(&s->v, 0);
	for (int i = 0; i < s->v.nqueues; i++)
		ring_init(i);
	virtio_set_status(&s->v, 1);
	virtio_set_status(&s->v, 3);
	s->v.accepted = COMMON_FEATURES | features;
	virtio_set_status(&s->v, 11);
	ck_assert_int_eq(s->v.status, 11);
	virtio_set_status(&s->v, 15);
	ck_assert(s->v.started);
	run();
}

/* A back end with or without virtio_net_hdr, and the device in front. */
static void plug(bool vnet_hdr, const char *options)
{
	struct device *dev;
	struct opts o;
	struct err err = { 0 };
	char *text;

	ck_assert_int_eq(opts_parse(&o, "null,id=w", "type", &err), 0);
	nd = netdev_create(m->loop, &o, &err);
	opts_fini(&o);
	ck_assert_ptr_nonnull(nd);
	nd->port.ops = &wire_ops;
	nd->port.vnet_hdr = vnet_hdr;
	nd->port.ufo = vnet_hdr;
	text = xprintf("netdev=w,id=nic0%s", options);
	ck_assert_int_eq(opts_parse(&o, text, NULL, &err), 0);
	free(text);
	dev = device_create(m, &virtio_net_pci_class, &o, &err);
	ck_assert_msg(dev, "%s", err.msg);
	opts_fini(&o);
	s = (struct vnet *)dev;
	s->v.bus = &test_bus;
}

static void setup(void) NO_TSA
{
	lock_acquire(&machine_lock);
	m = machine_create(NULL);
	ck_assert_ptr_nonnull(m);
	m->ram_size = RAM_SIZE;
	ck_assert_int_eq(machine_add_ram(m, NULL), 0);
	m->run.state = RUN_RUNNING;
	ram = m->mem.ram[0].host;
	pci_bus_init(&bus, m);
}

static void teardown(void) NO_TSA
{
	machine_destroy_devices(m);
	net_remove_all();
	machine_destroy(m);
	lock_release(&machine_lock);
}

/* Header and `len` bytes counting up from `seed`, in one buffer. */
static void tx_fill(u16 slot, u8 seed, u32 len)
{
	u8 *p = at(BUF_GPA(VNET_TX, slot));

	memset(p, 0, 12);
	for (u32 i = 0; i < len; i++)
		p[12 + i] = seed + i;
	set_desc(&ring[VNET_TX], slot, BUF_GPA(VNET_TX, slot), 12 + len, 0, 0);
}

static void rx_offer(u16 slot, u32 len)
{
	memset(at(BUF_GPA(VNET_RX, slot)), 0xee, 0x2000);
	set_desc(&ring[VNET_RX], slot, BUF_GPA(VNET_RX, slot), len,
		 VRING_DESC_F_WRITE, 0);
	offer(&ring[VNET_RX], slot);
}

static void wire_send(u8 seed, size_t len)
{
	static u8 data[NET_FRAME_MAX];
	struct iovec iov[2] = { { data, len / 3 },
				{ data + len / 3, len - len / 3 } };
	struct net_frame f = { iov, 2, len, { 0 } };

	for (size_t i = 0; i < len; i++)
		data[i] = seed + i;
	net_send(&nd->port, &f);
}

static void expect_counting(const u8 *p, u8 seed, size_t len)
{
	for (size_t i = 0; i < len; i++)
		ck_assert_msg(p[i] == (u8)(seed + i), "byte %zu differs", i);
}

/* ---- transmit ---- */

START_TEST(tx_strips_the_header)
{
	u32 id, len;

	plug(false, "");
	start(0);
	tx_fill(3, 7, 60);
	offer(&ring[VNET_TX], 3);
	kick(VNET_TX);
	ck_assert_int_eq(wire.got, 1);
	ck_assert_uint_eq(wire.len, 60);
	expect_counting(wire.data, 7, 60);
	ck_assert(used(&ring[VNET_TX], &id, &len));
	ck_assert_uint_eq(id, 3);
	ck_assert_uint_eq(len, 0);
	ck_assert_int_eq(interrupts, 1);
}

END_TEST

START_TEST(tx_does_not_care_about_framing)
{
	struct ring *r = &ring[VNET_TX];
	gpa_t gpa = BUF_GPA(VNET_TX, 0);

	plug(false, "");
	start(0);
	tx_fill(0, 1, 200);
	/* 5 + 10 + 1 + 196: the header ends within the second part. */
	set_desc(r, 0, gpa, 5, VRING_DESC_F_NEXT, 1);
	set_desc(r, 1, gpa + 5, 10, VRING_DESC_F_NEXT, 2);
	set_desc(r, 2, gpa + 15, 1, VRING_DESC_F_NEXT, 3);
	set_desc(r, 3, gpa + 16, 196, 0, 0);
	offer(r, 0);
	kick(VNET_TX);
	ck_assert_uint_eq(wire.len, 200);
	expect_counting(wire.data, 1, 200);
}

END_TEST

START_TEST(tx_waits_for_a_busy_wire)
{
	u32 id, len;

	plug(false, "");
	start(0);
	wire.refuse = true;
	for (u16 i = 0; i < 5; i++) {
		tx_fill(i, i, 60);
		offer(&ring[VNET_TX], i);
	}
	kick(VNET_TX);
	ck_assert(!used(&ring[VNET_TX], &id, &len));
	ck_assert_uint_eq(nd->port.queue.count, 0);
	wire.refuse = false;
	net_port_ready(&nd->port);
	run();
	ck_assert_int_eq(wire.got, 5);
	for (u16 i = 0; i < 5; i++) {
		ck_assert(used(&ring[VNET_TX], &id, &len));
		ck_assert_uint_eq(id, i);
	}
}

END_TEST

START_TEST(tx_without_carrier_is_swallowed)
{
	u32 id, len;

	plug(false, "");
	start(BIT(VIRTIO_NET_F_STATUS));
	ck_assert_int_eq(net_set_link("nic0", false, NULL), 0);
	ck_assert_int_eq(config_interrupts, 1);
	ck_assert_uint_eq(virtio_config_read(&s->v, 6, 2), 0);
	tx_fill(0, 1, 60);
	offer(&ring[VNET_TX], 0);
	kick(VNET_TX);
	ck_assert(used(&ring[VNET_TX], &id, &len));
	ck_assert_int_eq(wire.got, 0);
	ck_assert_int_eq(net_set_link("nic0", true, NULL), 0);
	ck_assert_int_eq(config_interrupts, 2);
	ck_assert_uint_eq(virtio_config_read(&s->v, 6, 2),
			  VIRTIO_NET_S_LINK_UP);
	/* The back end goes away while the NIC lives. */
	ck_assert_int_eq(netdev_delete("w", NULL), 0);
	ck_assert_int_eq(config_interrupts, 3);
	offer(&ring[VNET_TX], 0);
	kick(VNET_TX);
	ck_assert(used(&ring[VNET_TX], &id, &len));
}

END_TEST

/* Each row: what the header asks for, and whether it passes. */
static const struct {
	u64 features;
	struct virtio_net_hdr hdr;
	bool passes;
} headers[] = {
	{ 0, { .flags = 0 }, true },
	{ 0, { .flags = 1, .csum_start = 34, .csum_offset = 6 }, false },
	{ BIT(VIRTIO_NET_F_CSUM),
	  { .flags = 1, .csum_start = 34, .csum_offset = 6 },
	  true },
	{ BIT(VIRTIO_NET_F_CSUM),
	  { .flags = 1, .csum_start = 99, .csum_offset = 6 },
	  false },
	{ BIT(VIRTIO_NET_F_CSUM),
	  { .flags = 1, .csum_start = 98, .csum_offset = 0 },
	  true },
	{ BIT(VIRTIO_NET_F_CSUM),
	  { .flags = 1, .csum_start = 0xffff, .csum_offset = 0xffff },
	  false },
	{ BIT(VIRTIO_NET_F_CSUM),
	  { .flags = 1, .gso_type = 1, .gso_size = 50 },
	  false },
	{ BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_HOST_TSO4),
	  { .flags = 1, .gso_type = 1, .gso_size = 50, .hdr_len = 54 },
	  true },
	{ BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_HOST_TSO4),
	  { .flags = 1, .gso_type = 1, .gso_size = 0 },
	  false },
	{ BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_HOST_TSO4),
	  { .flags = 1, .gso_type = 4, .gso_size = 50 },
	  false },
	{ BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_HOST_TSO4),
	  { .flags = 1, .gso_type = 9, .gso_size = 50 },
	  false },
};

START_TEST(tx_header_must_be_agreed_on)
{
	u32 id, len;

	plug(true, "");
	start(headers[_i].features);
	tx_fill(0, 1, 100);
	memcpy(at(BUF_GPA(VNET_TX, 0)), &headers[_i].hdr, 10);
	offer(&ring[VNET_TX], 0);
	kick(VNET_TX);
	ck_assert(used(&ring[VNET_TX], &id, &len));
	ck_assert_int_eq(wire.got, headers[_i].passes);
	ck_assert(!virtio_broken(&s->v));
	if (wire.got)
		ck_assert_mem_eq(&wire.hdr, &headers[_i].hdr, 10);
}

END_TEST

START_TEST(tx_sizes_are_bounded)
{
	struct ring *r = &ring[VNET_TX];
	u32 id, len, sizes[] = { 0, 13, NET_FRAME_MAX + 1, 1 << 20 };

	plug(false, "");
	start(0);
	for (u16 i = 0; i < ARRAY_SIZE(sizes); i++) {
		set_desc(r, i, 0x400000, 12 + sizes[i], 0, 0);
		offer(r, i);
	}
	kick(VNET_TX);
	for (u16 i = 0; i < ARRAY_SIZE(sizes); i++)
		ck_assert(used(r, &id, &len));
	ck_assert_int_eq(wire.got, 0);
	set_desc(r, 0, 0x400000, 12 + NET_FRAME_MAX, 0, 0);
	offer(r, 0);
	kick(VNET_TX);
	ck_assert_int_eq(wire.got, 1);
	/* No room for a header: that is no frame at all. */
	set_desc(r, 0, 0x400000, 11, 0, 0);
	offer(r, 0);
	kick(VNET_TX);
	ck_assert(virtio_broken(&s->v));
}

END_TEST

static void flood(void)
{
	offer(&ring[VNET_TX], 0);
}

static void ring_bell(void *arg)
{
	*(int *)arg = wire.got;
}

START_TEST(tx_flood_lets_others_run)
{
	int heard = 0;
	struct timer t;

	plug(false, "");
	start(0);
	tx_fill(0, 1, 60);
	wire.on_receive = flood;
	offer(&ring[VNET_TX], 0);
	timer_init(&t, m->loop, ring_bell, &heard);
	timer_set(&t, 0);
	virtio_kick(&s->v, VNET_TX);
	loop_once(m->loop, 0);
	loop_once(m->loop, 0);
	ck_assert_int_gt(heard, 0);
	ck_assert_int_le(heard, 512);
	loop_once(m->loop, 0);
	ck_assert_int_gt(wire.got, heard);
	wire.on_receive = NULL;
}

END_TEST

/* ---- receive ---- */

START_TEST(rx_fills_one_buffer)
{
	u8 *p;
	u32 id, len;

	plug(false, "");
	start(0);
	rx_offer(5, 1526);
	wire_send(9, 100);
	ck_assert(used(&ring[VNET_RX], &id, &len));
	ck_assert_uint_eq(id, 5);
	ck_assert_uint_eq(len, 112);
	p = at(BUF_GPA(VNET_RX, 5));
	ck_assert_mem_eq(p, "\0\0\0\0\0\0\0\0\0\0\1\0", 12);
	expect_counting(p + 12, 9, 100);
	ck_assert_uint_eq(p[112], 0xee);
}

END_TEST

START_TEST(rx_merges_small_buffers)
{
	u32 id, len, total = 0;

	plug(false, "");
	start(BIT(VIRTIO_NET_F_MRG_RXBUF));
	for (u16 i = 0; i < 10; i++)
		rx_offer(i, 400);
	wire_send(3, 1514);
	for (u16 i = 0; i < 4; i++) {
		u8 *p = at(BUF_GPA(VNET_RX, i));
		u32 hdr = i ? 0 : 12;

		ck_assert(used(&ring[VNET_RX], &id, &len));
		ck_assert_uint_eq(id, i);
		ck_assert_uint_eq(len, MIN(400u, 1526 - 400u * i));
		expect_counting(p + hdr, 3 + total, len - hdr);
		total += len - hdr;
	}
	ck_assert_uint_eq(total, 1514);
	ck_assert_uint_eq(get_le16((u8 *)at(BUF_GPA(VNET_RX, 0)) + 10), 4);
	ck_assert(!used(&ring[VNET_RX], &id, &len));
	ck_assert_int_eq(interrupts, 1);
}

END_TEST

START_TEST(rx_waits_for_buffers)
{
	u32 id, len;

	plug(false, "");
	start(BIT(VIRTIO_NET_F_MRG_RXBUF));
	rx_offer(0, 1000);
	wire_send(1, 1514);
	wire_send(2, 60);
	/* Not even the small one may overtake. */
	ck_assert(!used(&ring[VNET_RX], &id, &len));
	ck_assert_uint_eq(s->port.queue.count, 2);
	rx_offer(1, 1000);
	kick(VNET_RX);
	ck_assert(used(&ring[VNET_RX], &id, &len));
	ck_assert(used(&ring[VNET_RX], &id, &len));
	ck_assert(!used(&ring[VNET_RX], &id, &len));
	rx_offer(2, 1000);
	kick(VNET_RX);
	ck_assert(used(&ring[VNET_RX], &id, &len));
	ck_assert_uint_eq(len, 72);
	expect_counting((u8 *)at(BUF_GPA(VNET_RX, 2)) + 12, 2, 60);
}

END_TEST

START_TEST(rx_drops_what_can_never_fit)
{
	u32 id, len;

	plug(false, "");
	start(0);
	rx_offer(0, 200);
	wire_send(1, 500);
	wire_send(2, 100);
	ck_assert(used(&ring[VNET_RX], &id, &len));
	ck_assert_uint_eq(len, 112);
	ck_assert_uint_eq(s->port.queue.count, 0);
	start(BIT(VIRTIO_NET_F_MRG_RXBUF));
	for (u16 i = 0; i < 100; i++)
		rx_offer(i, 16);
	wire_send(1, 1514);
	ck_assert(!used(&ring[VNET_RX], &id, &len));
	ck_assert_uint_eq(s->port.queue.count, 0);
	wire_send(1, 60);
	ck_assert(used(&ring[VNET_RX], &id, &len));
	ck_assert(!virtio_broken(&s->v));
}

END_TEST

START_TEST(rx_stands_still_with_the_machine)
{
	u32 id, len;

	plug(false, "");
	start(0);
	rx_offer(0, 1526);
	m->run.state = RUN_PAUSED;
	wire_send(1, 60);
	ck_assert(!used(&ring[VNET_RX], &id, &len));
	m->run.state = RUN_RUNNING;
	kick(VNET_RX);
	ck_assert(used(&ring[VNET_RX], &id, &len));
	/* Nobody listens before the driver does. */
	virtio_set_status(&s->v, 0);
	wire_send(1, 60);
	ck_assert_uint_eq(s->port.queue.count, 0);
}

END_TEST

START_TEST(rx_buffer_without_header_breaks_the_device)
{
	plug(false, "");
	start(0);
	rx_offer(0, 11);
	wire_send(1, 60);
	ck_assert(virtio_broken(&s->v));
	start(0);
	rx_offer(0, 1526);
	wire_send(1, 60);
	ck_assert(!virtio_broken(&s->v));
}

END_TEST

/* ---- features and configuration ---- */

START_TEST(offloads_need_a_capable_wire)
{
	u64 hdr = BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_GUEST_CSUM) |
		  BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_HOST_TSO6) |
		  BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_GUEST_UFO) |
		  BIT(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS);
	u64 plain = BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_STATUS) |
		    BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(VIRTIO_NET_F_CTRL_VQ) |
		    BIT(VIRTIO_NET_F_CTRL_RX) | BIT(VIRTIO_NET_F_CTRL_VLAN);

	plug(_i, _i == 2 ? ",csum=off,ctrl_vq=off" : "");
	ck_assert_uint_eq(s->v.offered & hdr,
			  _i == 0   ? 0
			  : _i == 1 ? hdr
				    : hdr & ~BIT(VIRTIO_NET_F_CSUM));
	if (_i == 2)
		plain &= ~(BIT(VIRTIO_NET_F_CTRL_VQ) |
			   BIT(VIRTIO_NET_F_CTRL_RX) |
			   BIT(VIRTIO_NET_F_CTRL_VLAN));
	ck_assert_uint_eq(s->v.offered & plain, plain);
	ck_assert_int_eq(s->v.nqueues, _i == 2 ? 2 : 3);
	ck_assert(!(s->v.offered & BIT(VIRTIO_NET_F_MTU)));
}

END_TEST

START_TEST(guest_offloads_reach_the_wire)
{
	plug(true, "");
	start(BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_GUEST_TSO6));
	ck_assert_uint_eq(wire.offloads, NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO6);
	virtio_set_status(&s->v, 0);
	ck_assert_uint_eq(wire.offloads, 0);
}

END_TEST

START_TEST(configuration_tells_address_and_mtu)
{
	plug(false, ",mac=52:54:00:aa:bb:cc,host_mtu=1400");
	ck_assert_uint_eq(virtio_config_read(&s->v, 0, 4), 0xaa005452);
	ck_assert_uint_eq(virtio_config_read(&s->v, 4, 2), 0xccbb);
	ck_assert_uint_eq(virtio_config_read(&s->v, 6, 2),
			  VIRTIO_NET_S_LINK_UP);
	ck_assert_uint_eq(virtio_config_read(&s->v, 10, 2), 1400);
	ck_assert(s->v.offered & BIT(VIRTIO_NET_F_MTU));
	ck_assert_str_eq(s->port.name, "nic0");
	/* Only a driver of old may write the address there. */
	start(0);
	virtio_config_write(&s->v, 5, 1, 0x11);
	ck_assert_uint_eq(s->port.mac[5], 0xcc);
	s->v.accepted = 0;
	virtio_config_write(&s->v, 5, 1, 0x11);
	ck_assert_uint_eq(s->port.mac[5], 0x11);
	virtio_config_write(&s->v, 4, 4, 0);
	ck_assert_uint_eq(s->port.mac[5], 0x11);
	virtio_set_status(&s->v, 0);
	ck_assert_uint_eq(s->port.mac[5], 0xcc);
}

END_TEST

/* ---- control queue ---- */

static int command(const void *data, u32 len)
{
	struct ring *r = &ring[VNET_CTRL];
	gpa_t gpa = BUF_GPA(VNET_CTRL, 0);
	u8 *ack = at(gpa + 0x1000);
	u32 id, n;

	memcpy(at(gpa), data, len);
	*ack = 0x55;
	/* Drivers send the two bytes of the head apart. */
	set_desc(r, 0, gpa, MIN(len, 2u), VRING_DESC_F_NEXT, len > 2 ? 1 : 2);
	set_desc(r, 1, gpa + 2, len - 2, VRING_DESC_F_NEXT, 2);
	set_desc(r, 2, gpa + 0x1000, 1, VRING_DESC_F_WRITE, 0);
	offer(r, 0);
	kick(VNET_CTRL);
	ck_assert(used(r, &id, &n));
	ck_assert_uint_eq(n, 1);
	return *ack;
}

#define COMMAND(...)                         \
	command((const u8[]){ __VA_ARGS__ }, \
		sizeof((const u8[]){ __VA_ARGS__ }))

/* Does a frame to this address (and VLAN, if any) reach the guest? */
static bool hears(const u8 *mac, int vlan)
{
	u8 data[64] = { 0 };
	struct iovec iov = { data, sizeof(data) };
	struct net_frame f = { &iov, 1, sizeof(data), { 0 } };
	u32 id, len;

	memcpy(data, mac, 6);
	put_be16(data + 12, vlan < 0 ? 0x0800 : 0x8100);
	put_be16(data + 14, MAX(vlan, 0));
	rx_offer(0, 1526);
	net_send(&nd->port, &f);
	if (used(&ring[VNET_RX], &id, &len))
		return true;
	/* Take the buffer back for the next question. */
	ring[VNET_RX].avail_idx--;
	put_le16(ring[VNET_RX].avail + 2, ring[VNET_RX].avail_idx);
	return false;
}

static const u8 mine[] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 };
static const u8 other[] = { 0x52, 0x54, 0, 0x12, 0x34, 0x99 };
static const u8 multi[] = { 1, 0, 0x5e, 0, 0, 1 };
static const u8 broad[] = { 255, 255, 255, 255, 255, 255 };

#define CTRL_FEATURES                                                         \
	(BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_CTRL_RX) |              \
	 BIT(VIRTIO_NET_F_CTRL_RX_EXTRA) | BIT(VIRTIO_NET_F_CTRL_VLAN) |      \
	 BIT(VIRTIO_NET_F_CTRL_MAC_ADDR) | BIT(VIRTIO_NET_F_GUEST_ANNOUNCE) | \
	 BIT(VIRTIO_NET_F_STATUS))

START_TEST(ctrl_sets_receive_modes)
{
	plug(false, "");
	start(CTRL_FEATURES);
	ck_assert(hears(other, -1)); /* promiscuous until told */
	ck_assert_int_eq(COMMAND(0, 0, 0), VIRTIO_NET_OK);
	ck_assert(hears(mine, -1));
	ck_assert(!hears(other, -1));
	ck_assert(!hears(multi, -1));
	ck_assert(hears(broad, -1));
	ck_assert_int_eq(COMMAND(0, 1, 1), VIRTIO_NET_OK); /* allmulti */
	ck_assert(hears(multi, -1));
	ck_assert_int_eq(COMMAND(0, 3, 1), VIRTIO_NET_OK); /* nomulti */
	ck_assert(!hears(multi, -1));
	ck_assert_int_eq(COMMAND(0, 2, 1), VIRTIO_NET_OK); /* alluni */
	ck_assert(hears(other, -1));
	ck_assert_int_eq(COMMAND(0, 4, 1), VIRTIO_NET_OK); /* nouni */
	ck_assert(!hears(mine, -1));
	ck_assert_int_eq(COMMAND(0, 5, 1), VIRTIO_NET_OK); /* nobcast */
	ck_assert(!hears(broad, -1));
	virtio_set_status(&s->v, 0);
	start(CTRL_FEATURES);
	ck_assert(hears(other, -1));
}

END_TEST

START_TEST(ctrl_fills_the_address_table)
{
	u8 big[2 + 4 + 65 * 6 + 4] = { 1, 0, 65 };

	plug(false, "");
	start(CTRL_FEATURES);
	ck_assert_int_eq(COMMAND(0, 0, 0), VIRTIO_NET_OK);
	ck_assert_int_eq(COMMAND(1, 0, 1, 0, 0, 0, 0x52, 0x54, 0, 0x12, 0x34,
				 0x99, 1, 0, 0, 0, 1, 0, 0x5e, 0, 0, 1),
			 VIRTIO_NET_OK);
	ck_assert(hears(other, -1));
	ck_assert(hears(multi, -1));
	/* Too many addresses: everything passes rather than something less. */
	ck_assert_int_eq(command(big, sizeof(big)), VIRTIO_NET_OK);
	ck_assert(hears(other, -1));
	ck_assert(!hears(multi, -1));
	ck_assert_int_eq(COMMAND(1, 0, 0, 0, 0, 0, 0, 0, 0, 0), VIRTIO_NET_OK);
	ck_assert(!hears(other, -1));
	ck_assert_int_eq(COMMAND(1, 1, 0x52, 0x54, 0, 0x12, 0x34, 0x99),
			 VIRTIO_NET_OK);
	ck_assert(hears(other, -1));
	ck_assert(!hears(mine, -1));
	ck_assert_uint_eq(virtio_config_read(&s->v, 5, 1), 0x99);
}

END_TEST

START_TEST(ctrl_filters_vlans)
{
	plug(false, "");
	start(CTRL_FEATURES);
	ck_assert_int_eq(COMMAND(0, 0, 0), VIRTIO_NET_OK);
	ck_assert(!hears(mine, 5));
	ck_assert(!hears(mine, 4095));
	ck_assert_int_eq(COMMAND(2, 0, 5, 0), VIRTIO_NET_OK);
	ck_assert_int_eq(COMMAND(2, 0, 0xff, 0x0f), VIRTIO_NET_OK);
	ck_assert(hears(mine, 5));
	ck_assert(hears(mine, 4095));
	ck_assert(!hears(mine, 37));
	ck_assert_int_eq(COMMAND(2, 1, 5, 0), VIRTIO_NET_OK);
	ck_assert(!hears(mine, 5));
	ck_assert_int_eq(COMMAND(2, 0, 0, 0x10), VIRTIO_NET_ERR);
}

END_TEST

START_TEST(ctrl_acknowledges_announcements)
{
	plug(false, "");
	start(CTRL_FEATURES);
	net_announce();
	ck_assert_int_eq(wire.got, 1); /* the reverse ARP */
	ck_assert_uint_eq(wire.len, 60);
	ck_assert_mem_eq(wire.data + 6, mine, 6);
	ck_assert_int_eq(config_interrupts, 1);
	ck_assert_uint_eq(virtio_config_read(&s->v, 6, 2), 3);
	ck_assert_int_eq(COMMAND(3, 0), VIRTIO_NET_OK);
	ck_assert_uint_eq(virtio_config_read(&s->v, 6, 2), 1);
}

END_TEST

START_TEST(ctrl_changes_guest_offloads)
{
	plug(true, "");
	start(CTRL_FEATURES | BIT(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) |
	      BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_GUEST_TSO4));
	ck_assert_int_eq(COMMAND(5, 0, 2, 0, 0, 0, 0, 0, 0, 0), VIRTIO_NET_OK);
	ck_assert_uint_eq(wire.offloads, NET_OFFLOAD_CSUM);
	/* TSO6 was not agreed on. */
	ck_assert_int_eq(COMMAND(5, 0, 2, 1, 0, 0, 0, 0, 0, 0), VIRTIO_NET_ERR);
	ck_assert_uint_eq(wire.offloads, NET_OFFLOAD_CSUM);
}

END_TEST

static const struct {
	u8 len, data[16];
} bad_commands[] = {
	{ 1, { 0 } },
	{ 2, { 0, 0 } },
	{ 3, { 0, 6, 1 } },
	{ 3, { 9, 0, 1 } },
	{ 2, { 1, 0 } },
	{ 6, { 1, 0, 1, 0, 0, 0 } },
	{ 6, { 1, 0, 0xff, 0xff, 0xff, 0xff } },
	{ 6, { 1, 0, 0xab, 0xaa, 0xaa, 0x2a } }, /* times 6 wraps to 2 */
	{ 12, { 1, 0, 1, 0, 0, 0, 1, 2, 3, 4, 5, 6 } },
	{ 7, { 1, 1, 1, 2, 3, 4, 5 } },
	{ 4, { 1, 2, 0, 0 } },
	{ 3, { 2, 0, 1 } },
	{ 4, { 2, 2, 1, 0 } },
	{ 2, { 3, 1 } },
	{ 4, { 4, 0, 1, 0 } },
	{ 10, { 5, 0, 0 } },
};

START_TEST(ctrl_refuses_nonsense)
{
	plug(false, "");
	start(CTRL_FEATURES);
	ck_assert_int_eq(command(bad_commands[_i].data, bad_commands[_i].len),
			 VIRTIO_NET_ERR);
	ck_assert(!virtio_broken(&s->v));
	ck_assert(hears(other, -1));
}

END_TEST

START_TEST(bad_options_say_why)
{
	static const struct {
		const char *text, *msg;
	} rows[] = {
		{ "rx_queue_size=100",
		  "'rx_queue_size' must be a power of two" },
		{ "host_mtu=67", "'host_mtu' is below 68" },
		{ "netdev=x", "Property 'netdev' can't find value 'x'" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct err err = { 0 };
		struct opts o;

		ck_assert_int_eq(opts_parse(&o, rows[i].text, NULL, &err), 0);
		ck_assert_ptr_null(
			device_create(m, &virtio_net_pci_class, &o, &err));
		ck_assert_ptr_nonnull(strstr(err.msg, rows[i].msg));
		opts_fini(&o);
	}
}

END_TEST

/* ---- fuzz ---- */

static u64 fuzz_state;

static u32 fuzz(u32 below)
{
	fuzz_state = fuzz_state * 6364136223846793005ULL + 1442695040888963407;
	return (fuzz_state >> 33) % below;
}

/* Mostly sensible, so that the code behind the checks runs, too. */
static void fuzz_chain(int i)
{
	struct ring *r = &ring[i];
	u16 head = fuzz(r->q->size), slot = head;
	int n = 1 + fuzz(4);

	for (int k = 0; k < n; k++) {
		bool last = k == n - 1;
		bool write = i == VNET_RX || (i == VNET_CTRL && last);
		u16 next = fuzz(r->q->size);
		gpa_t gpa = BUF_GPA(i, fuzz(128)) + fuzz(64);
		u32 len = fuzz(8) ? 12 + fuzz(300) : fuzz(8000);
		u16 flags = (last ? 0 : VRING_DESC_F_NEXT) |
			    (write ? VRING_DESC_F_WRITE : 0);

		if (fuzz(2000) == 0) {
			gpa = (u64)fuzz(UINT32_MAX) << fuzz(33);
			len = fuzz(UINT32_MAX);
			flags = fuzz(8);
		}
		if (!write && k == 0)
			memset(at(BUF_GPA(i, 0)), 0, 16);
		set_desc(r, slot, gpa, len, flags, next);
		slot = next;
	}
	offer(r, head);
}

static void fuzz_round(void)
{
	u64 all = s->v.offered & ~BIT(VIRTIO_F_RING_PACKED);

	switch (fuzz(40)) {
	case 0:
		start(fuzz(4) ? all
			      : all & ((u64)fuzz(UINT32_MAX) |
				       BIT(VIRTIO_F_VERSION_1)));
		break;
	case 1: wire.refuse = !wire.refuse; break;
	case 2: net_port_ready(&nd->port); break;
	case 3: net_set_link("nic0", fuzz(2), NULL); break;
	case 4: net_announce(); break;
	case 5:
		virtio_config_write(&s->v, fuzz(300), 1u << fuzz(4),
				    fuzz(UINT32_MAX));
		break;
	case 6:
		for (int k = 0; k < 64; k++)
			*(u8 *)at(RING_GPA(fuzz(3)) + fuzz(0x10000)) =
				fuzz(256);
		break;
	case 7:
		for (u32 k = 0; k < 200; k++)
			*(u8 *)at(BUF_GPA(fuzz(3), 0) + k) =
				fuzz(4) ? fuzz(6) : fuzz(256);
		break;
	case 8 ... 15: fuzz_chain(VNET_CTRL); break;
	case 16 ... 22: fuzz_chain(VNET_TX); break;
	case 23 ... 30: fuzz_chain(VNET_RX); break;
	case 31 ... 35: wire_send(fuzz(256), 14 + fuzz(3000)); break;
	default: virtio_kick(&s->v, fuzz(4)); break;
	}
	if (fuzz(4) == 0)
		loop_once(m->loop, 0);
	if (virtio_broken(&s->v))
		start(all);
}

START_TEST(fuzz_queues_and_commands)
{
	const char *seconds = getenv("FUZZ_SECONDS");
	const char *seed = getenv("FUZZ_SEED");
	u64 end, rounds = 0;

	fuzz_state = seed ? strtoull(seed, NULL, 0) : 1;
	printf("fuzz: seed %llu\n", (unsigned long long)fuzz_state);
	plug(true, "");
	start(s->v.offered & ~BIT(VIRTIO_F_RING_PACKED));
	end = clock_mono_ns() + (seconds ? atoi(seconds) : 2) * NS_PER_S;
	do {
		for (int k = 0; k < 256; k++)
			fuzz_round();
		rounds += 256;
	} while (clock_mono_ns() < end);
	printf("fuzz: %llu rounds, %d frames out, %llu in\n",
	       (unsigned long long)rounds, wire.got,
	       (unsigned long long)s->port.stats.rx_frames);
	ck_assert_int_gt(wire.got, 0);
	ck_assert_uint_gt(s->port.stats.rx_frames, 0);
}

END_TEST

int main(void)
{
	const char *seconds = getenv("FUZZ_SECONDS");
	Suite *suite = suite_create("virtio/net");
	TCase *t = tcase_create("net"), *f = tcase_create("fuzz");
	SRunner *r = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_checked_fixture(f, setup, teardown);
	tcase_set_timeout(f, 30 + (seconds ? atoi(seconds) : 2));
	tcase_add_test(t, tx_strips_the_header);
	tcase_add_test(t, tx_does_not_care_about_framing);
	tcase_add_test(t, tx_waits_for_a_busy_wire);
	tcase_add_test(t, tx_without_carrier_is_swallowed);
	tcase_add_loop_test(t, tx_header_must_be_agreed_on, 0,
			    ARRAY_SIZE(headers));
	tcase_add_test(t, tx_sizes_are_bounded);
	tcase_add_test(t, tx_flood_lets_others_run);
	tcase_add_test(t, rx_fills_one_buffer);
	tcase_add_test(t, rx_merges_small_buffers);
	tcase_add_test(t, rx_waits_for_buffers);
	tcase_add_test(t, rx_drops_what_can_never_fit);
	tcase_add_test(t, rx_stands_still_with_the_machine);
	tcase_add_test(t, rx_buffer_without_header_breaks_the_device);
	tcase_add_loop_test(t, offloads_need_a_capable_wire, 0, 3);
	tcase_add_test(t, guest_offloads_reach_the_wire);
	tcase_add_test(t, configuration_tells_address_and_mtu);
	tcase_add_test(t, ctrl_sets_receive_modes);
	tcase_add_test(t, ctrl_fills_the_address_table);
	tcase_add_test(t, ctrl_filters_vlans);
	tcase_add_test(t, ctrl_acknowledges_announcements);
	tcase_add_test(t, ctrl_changes_guest_offloads);
	tcase_add_loop_test(t, ctrl_refuses_nonsense, 0,
			    ARRAY_SIZE(bad_commands));
	tcase_add_test(t, bad_options_say_why);
	tcase_add_test(f, fuzz_queues_and_commands);
	suite_add_tcase(suite, t);
	suite_add_tcase(suite, f);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
