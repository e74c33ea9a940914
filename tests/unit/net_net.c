/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Ports in pairs, their queues, the registry, and the short forms.
 */
#include "net/net.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/loop.h"
#include "net/internal.h"

/* A NIC that takes `room` frames and remembers what it got. */
struct fake {
	struct net_port port;
	int room;
	int got, links, writable;
	u32 last[4096];
};

static bool fake_receive(struct net_port *p, const struct net_frame *f)
{
	struct fake *k = container_of(p, struct fake, port);

	if (!k->room)
		return false;
	k->room--;
	net_frame_copy(f, &k->last[k->got++], 4);
	return true;
}

static void fake_writable(struct net_port *p)
{
	container_of(p, struct fake, port)->writable++;
}

static void fake_link(struct net_port *p)
{
	container_of(p, struct fake, port)->links++;
}

static const struct net_port_ops fake_ops = {
	.receive = fake_receive,
	.writable = fake_writable,
	.link_changed = fake_link,
};

static struct loop *loop;
static struct fake nic;
static int back_writable;

static void back_on_writable(struct net_port *p)
{
	back_writable++;
}

static const struct net_port_ops back_ops = {
	.receive = fake_receive,
	.writable = back_on_writable,
};

static struct netdev *make(const char *text, struct err *err)
{
	struct netdev *nd;
	struct opts o;

	ck_assert_int_eq(opts_parse(&o, text, "type", err), 0);
	nd = netdev_create(loop, &o, err);
	opts_fini(&o);
	return nd;
}

static void setup(void)
{
	loop = loop_create();
	ck_assert_ptr_nonnull(loop);
}

static void teardown(void)
{
	net_remove_all();
	loop_destroy(loop);
}

static struct netdev *pair(void)
{
	struct netdev *nd = make("null,id=n", NULL);
	u8 mac[6] = { 0 };

	ck_assert_ptr_nonnull(nd);
	nd->port.ops = &back_ops;
	nic.room = INT32_MAX;
	ck_assert_int_eq(
		net_nic_init(&nic.port, &fake_ops, "fake", NULL, mac, nd, NULL),
		0);
	return nd;
}

static void send(struct net_port *from, u32 value, size_t len)
{
	u8 data[2048] = { 0 };
	struct iovec iov[2] = { { data, 2 }, { data + 2, len - 2 } };
	struct net_frame f = { iov, 2, len, { 0 } };

	memcpy(data, &value, 4);
	net_send(from, &f);
}

START_TEST(frames_wait_in_order)
{
	struct netdev *nd = pair();

	nic.room = 1;
	for (u32 i = 0; i < 5; i++)
		send(&nd->port, i, 60);
	ck_assert_int_eq(nic.got, 1);
	ck_assert_int_eq(nic.port.queue.count, 4);
	nic.room = 100;
	/* Overtaking is not allowed even when there is room again. */
	send(&nd->port, 5, 60);
	ck_assert_int_eq(nic.got, 1);
	net_port_ready(&nic.port);
	ck_assert_int_eq(nic.got, 6);
	for (u32 i = 0; i < 6; i++)
		ck_assert_uint_eq(nic.last[i], i);
	ck_assert_uint_eq(nic.port.stats.rx_frames, 6);
	ck_assert_uint_eq(nd->port.stats.tx_bytes, 360);
	net_nic_fini(&nic.port);
}

END_TEST

START_TEST(full_queue_drops_the_oldest)
{
	struct netdev *nd = pair();
	u32 sent = 3000, kept;

	nic.room = 0;
	for (u32 i = 0; i < sent; i++)
		send(&nd->port, i, 1514);
	kept = nic.port.queue.count;
	ck_assert_uint_gt(kept, 300);
	ck_assert_uint_lt(kept * 1514, NET_QUEUE_BYTES);
	ck_assert_uint_eq(nic.port.stats.rx_dropped, sent - kept);
	nic.room = INT32_MAX;
	net_port_ready(&nic.port);
	ck_assert_int_eq(nic.got, (int)kept);
	ck_assert_uint_eq(nic.last[0], sent - kept);
	ck_assert_uint_eq(nic.last[kept - 1], sent - 1);
	net_nic_fini(&nic.port);
}

END_TEST

/* The ring against the simplest model of one: numbered frames of known
 * sizes. */
START_TEST(queue_keeps_every_byte)
{
	struct net_queue q = { 0 };
	u8 data[NET_FRAME_MAX];
	u32 sizes[20000];
	u32 first = 0, next = 0;

	srand(1);
	while (next < ARRAY_SIZE(sizes)) {
		struct iovec iov;
		struct net_frame f;

		if (rand() % 5 < 3) {
			u32 len = 4 + rand() % (rand() % 8 ? 2000
							   : sizeof(data) - 4);

			memset(data, next, len);
			memcpy(data, &next, 4);
			iov = (struct iovec){ data, len };
			f = (struct net_frame){ &iov, 1, len, { 0 } };
			f.hdr.gso_size = next;
			sizes[next++] = len;
			first += net_queue_push(&q, &f);
			ck_assert_uint_eq(q.count, next - first);
		} else if (net_queue_peek(&q, &f, &iov)) {
			const u8 *p = iov.iov_base;

			ck_assert_uint_eq(f.len, sizes[first]);
			ck_assert_mem_eq(p, &first, 4);
			ck_assert_uint_eq(f.hdr.gso_size, (u16)first);
			memset(data, first, f.len);
			ck_assert(!memcmp(p + 4, data + 4, f.len - 4));
			net_queue_pop(&q);
			first++;
		} else {
			ck_assert_uint_eq(first, next);
		}
	}
	ck_assert_uint_gt(first, 0);
	net_queue_fini(&q);
}

END_TEST

START_TEST(limits_take_their_time)
{
	struct net_limits l = { .bps = { 1000000, 0 } };
	struct netdev *nd = pair();
	u8 data[60] = { 0 };
	struct iovec iov = { data, sizeof(data) };
	struct net_frame f = { &iov, 1, sizeof(data), { 0 } };
	u64 start = clock_mono_ns();

	nd->port.ops = nd->class->ops;
	ck_assert_int_eq(net_set_limits(loop, "n", &l, NULL), 0);
	for (u32 i = 0; i < 100; i++)
		send(&nd->port, i, 1000);
	while (nic.got < 100 && clock_mono_ns() < start + 15 * NS_PER_S)
		loop_once(loop, 10 * NS_PER_MS);
	ck_assert_int_eq(nic.got, 100);
	for (u32 i = 0; i < 100; i++)
		ck_assert_uint_eq(nic.last[i], i);
	ck_assert_uint_ge(clock_mono_ns() - start, 80 * NS_PER_MS);
	/* One frame passes, the others until the limit goes. */
	l = (struct net_limits){ .bps = { 1, 0 }, .pps = { 0, 1 } };
	ck_assert_int_eq(net_set_limits(loop, nic.port.name, &l, NULL), 0);
	for (u32 i = 0; i < 3; i++)
		send(&nd->port, i, 1000);
	ck_assert_int_eq(nic.got, 101);
	ck_assert(net_try_send(&nic.port, &f));
	ck_assert(!net_try_send(&nic.port, &f));
	ck_assert_int_eq(nic.writable, 0);
	l = (struct net_limits){ 0 };
	ck_assert_int_eq(net_set_limits(loop, "n", &l, NULL), 0);
	ck_assert_int_eq(nic.got, 103);
	ck_assert_int_eq(nic.writable, 1);
	ck_assert(net_try_send(&nic.port, &f));
	ck_assert_ptr_null(nic.port.throttle);
	l.bps[NET_OUT] = NET_LIMIT_MAX + 1;
	ck_assert_int_eq(net_set_limits(loop, "n", &l, NULL), -ERANGE);
	l.bps[NET_OUT] = NET_LIMIT_MAX;
	ck_assert_int_eq(net_set_limits(loop, "x", &l, NULL), -ENODEV);
	ck_assert_int_eq(net_set_limits(loop, "n", &l, NULL), 0);
	net_nic_fini(&nic.port);
}

END_TEST

START_TEST(refused_sender_is_told)
{
	struct netdev *nd = pair();
	u8 data[60] = { 0 };
	struct iovec iov = { data, sizeof(data) };
	struct net_frame f = { &iov, 1, sizeof(data), { 0 } };

	nic.room = 0;
	ck_assert(!net_try_send(&nd->port, &f));
	ck_assert_int_eq(nic.port.queue.count, 0);
	ck_assert_int_eq(back_writable, 0);
	nic.room = 1;
	net_port_ready(&nic.port);
	ck_assert_int_eq(back_writable, 1);
	ck_assert(net_try_send(&nd->port, &f));
	net_port_ready(&nic.port);
	ck_assert_int_eq(back_writable, 1);
	net_nic_fini(&nic.port);
}

END_TEST

START_TEST(cut_link_swallows_and_releases)
{
	struct netdev *nd = pair();
	u8 data[60] = { 0 };
	struct iovec iov = { data, sizeof(data) };
	struct net_frame f = { &iov, 1, sizeof(data), { 0 } };

	nic.room = 0;
	ck_assert(!net_try_send(&nd->port, &f));
	send(&nd->port, 1, 60);
	ck_assert_int_eq(nic.port.queue.count, 1);
	ck_assert_int_eq(net_set_link("fake.0", false, NULL), 0);
	ck_assert_int_eq(nic.links, 1);
	ck_assert_int_eq(back_writable, 1);
	ck_assert_int_eq(nic.port.queue.count, 0);
	ck_assert(net_try_send(&nd->port, &f));
	ck_assert_int_eq(nic.got, 0);
	ck_assert_int_eq(net_set_link("fake.0", true, NULL), 0);
	nic.room = 1;
	ck_assert(net_try_send(&nd->port, &f));
	ck_assert_int_eq(nic.got, 1);
	/* By the back end's name the NIC loses its carrier, too. */
	ck_assert_int_eq(net_set_link("n", false, NULL), 0);
	ck_assert(nic.port.link_down);
	ck_assert_int_eq(net_set_link("x", true, NULL), -ENODEV);
	net_nic_fini(&nic.port);
}

END_TEST

START_TEST(deleted_back_end_stays_below_its_nic)
{
	struct netdev *nd = pair();
	struct buf out = { 0 };
	struct err err;

	nd->port.refused = true; /* the NIC waits for it */
	ck_assert_int_eq(netdev_delete("n", &err), 0);
	ck_assert(nic.port.link_down);
	ck_assert_int_eq(nic.writable, 1);
	ck_assert_int_eq(netdev_delete("n", &err), -ENODEV);
	ck_assert_str_eq(err.msg, "Device 'n' not found");
	send(&nic.port, 1, 60);
	net_info(&out);
	ck_assert_str_eq(buf_str(&out),
			 "fake.0: index=0,type=nic,model=fake,"
			 "macaddr=52:54:00:12:34:56\n"
			 " \\ n: index=0,type=null,frames are dropped\n");
	/* The name is free again. */
	ck_assert_ptr_nonnull(make("null,id=n", NULL));
	net_nic_fini(&nic.port);
	buf_clear(&out);
	net_info(&out);
	ck_assert_str_eq(buf_str(&out),
			 "n: index=0,type=null,frames are dropped\n");
	buf_fini(&out);
}

END_TEST

START_TEST(addresses_count_up)
{
	struct net_port a = { 0 }, b = { 0 }, c = { 0 };
	u8 m1[6] = { 0 }, m2[6] = { 0 };
	u8 m3[6] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 };

	net_nic_init(&a, &fake_ops, "m", "one", m3, NULL, NULL);
	net_nic_init(&b, &fake_ops, "m", NULL, m1, NULL, NULL);
	net_nic_init(&c, &fake_ops, "m", NULL, m2, NULL, NULL);
	ck_assert_uint_eq(b.mac[5], 0x57);
	ck_assert_uint_eq(c.mac[5], 0x58);
	ck_assert_str_eq(a.name, "one");
	ck_assert_str_eq(b.name, "m.0");
	ck_assert_str_eq(c.name, "m.1");
	net_nic_fini(&b);
	memset(m1, 0, 6);
	net_nic_init(&b, &fake_ops, "m", NULL, m1, NULL, NULL);
	ck_assert_uint_eq(b.mac[5], 0x57);
	net_nic_fini(&a);
	net_nic_fini(&b);
	net_nic_fini(&c);
}

END_TEST

static const struct {
	const char *text, *msg;
} bad[] = {
	{ "bogus,id=a", "Parameter 'type' does not accept value 'bogus'" },
	{ "null", "Parameter 'id' is missing" },
	{ "id=a", "Parameter 'type' is missing" },
	{ "null,id=1a", "Parameter 'id' expects an identifier" },
	{ "null,id=dup", "Duplicate ID 'dup' for netdev" },
	{ "user,id=a,hostfwd=xyz",
	  "Invalid host forwarding rule 'xyz' (No : separators)" },
	{ "user,id=a,net=10.0.3.0/24,host=10.0.2.2",
	  "Host doesn't belong to network" },
	{ "tap,id=a,fd=x", "'x' is not a descriptor for 'fd'" },
	{ "tap,id=a,fd=0,ifname=x", "'fd' excludes 'ifname' and 'helper'" },
	{ "bridge,id=a,br=b,helper=/nonexistent",
	  "cannot run bridge helper '/nonexistent': "
	  "No such file or directory" },
};

START_TEST(bad_back_ends_say_why)
{
	struct err err = { 0 };

	ck_assert_ptr_nonnull(make("null,id=dup", &err));
	ck_assert_ptr_null(make(bad[_i].text, &err));
	ck_assert_str_eq(err.msg, bad[_i].msg);
	ck_assert_ptr_null(netdev_find("a"));
}

END_TEST

START_TEST(nic_short_form_makes_both_ends)
{
	struct buf text = { 0 };
	struct opts device;
	struct err err;

	ck_assert_int_eq(net_parse_nic(loop, "none", &device, &err), 0);
	ck_assert_int_eq(net_parse_nic(loop,
				       "null,model=virtio,mac=52:54:00:"
				       "12:34:99",
				       &device, &err),
			 1);
	opts_format(&device, &text);
	ck_assert_str_eq(buf_str(&text), "driver=virtio-net-pci,mac=52:54:00:"
					 "12:34:99,netdev=#net0");
	opts_fini(&device);
	ck_assert_ptr_nonnull(netdev_find("#net0"));
	ck_assert_int_lt(net_parse_nic(loop, "bogus", &device, &err), 0);
	ck_assert_str_eq(err.msg,
			 "Parameter 'type' does not accept value 'bogus'");
	ck_assert_int_lt(net_parse_nic(loop, "null,x=1", &device, &err), 0);
	ck_assert_str_eq(err.msg, "property 'x' not found");
	buf_fini(&text);
}

END_TEST

START_TEST(old_form_pairs_in_order)
{
	struct net_legacy l;
	struct buf text = { 0 };
	struct opts device;
	struct err err;

	net_legacy_init(&l);
	ck_assert_int_eq(net_legacy_add(&l, loop, "nic,model=virtio", &err), 0);
	ck_assert_int_eq(net_legacy_add(&l, loop, "null", &err), 0);
	ck_assert_int_eq(
		net_legacy_add(&l, loop, "nic,macaddr=1:2:3:4:5:6", &err), 0);
	ck_assert(net_legacy_next(&l, &device));
	opts_format(&device, &text);
	ck_assert_str_eq(buf_str(&text), "driver=virtio-net-pci,netdev=#net0");
	opts_fini(&device);
	buf_clear(&text);
	ck_assert(net_legacy_next(&l, &device));
	opts_format(&device, &text);
	ck_assert_str_eq(buf_str(&text),
			 "driver=virtio-net-pci,mac=1:2:3:4:5:6");
	opts_fini(&device);
	ck_assert(!net_legacy_next(&l, &device));
	ck_assert_int_eq(net_legacy_add(&l, loop, "nic,foo=1", &err), -EINVAL);
	net_legacy_fini(&l);
	buf_fini(&text);
}

END_TEST

START_TEST(device_option_finds_and_claims)
{
	static const struct option_row rows[] = {
		{ "netdev", &opt_netdev, 0, NULL, "back end", NULL },
		OPTION_END,
	};
	struct netdev *nd = pair(), *field = NULL;
	struct err err;

	ck_assert_int_lt(opt_set(rows, &field, "netdev", "zz", &err), 0);
	ck_assert_str_eq(err.msg, "Property 'netdev' can't find value 'zz'");
	ck_assert_int_lt(opt_set(rows, &field, "netdev", "n", &err), 0);
	ck_assert_str_eq(err.msg, "Property 'netdev' can't take value 'n', "
				  "it's in use");
	net_nic_fini(&nic.port);
	ck_assert_int_eq(opt_set(rows, &field, "netdev", "n", &err), 0);
	ck_assert_ptr_eq(field, nd);
}

END_TEST

int main(void)
{
	Suite *s = suite_create("net_net");
	TCase *t = tcase_create("core");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, frames_wait_in_order);
	tcase_add_test(t, full_queue_drops_the_oldest);
	tcase_add_test(t, queue_keeps_every_byte);
	tcase_add_test(t, limits_take_their_time);
	tcase_add_test(t, refused_sender_is_told);
	tcase_add_test(t, cut_link_swallows_and_releases);
	tcase_add_test(t, deleted_back_end_stays_below_its_nic);
	tcase_add_test(t, addresses_count_up);
	tcase_add_loop_test(t, bad_back_ends_say_why, 0, ARRAY_SIZE(bad));
	tcase_add_test(t, nic_short_form_makes_both_ends);
	tcase_add_test(t, old_form_pairs_in_order);
	tcase_add_test(t, device_option_finds_and_claims);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
