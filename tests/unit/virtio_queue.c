/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Virtqueues against a driver that keeps the rules, one that breaks them one
 * at a time, and one that writes noise.
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdio.h>

#include "lib/clock.h"
#include "tests/unit/virtio_guest.h"
#include "virtio/virtio.h"

#define RINGS     0x10000 /* where the rings are */
#define BUFFERS   0x80000 /* where buffers are */
#define CHAIN_MAX 64

static struct machine *m;
static struct virtio *v;
static struct queue *q;
static struct guest_queue g;
static struct chain c;
static int interrupts;

static void test_notify(struct virtio *dev, struct queue *queue)
{
	interrupts += queue != NULL;
}

static const struct virtio_bus test_bus = { .name = "test",
					    .notify = test_notify };
static const struct virtio_class test_class = { .name = "virtio-test" };
static const struct device_class test_device = { .name = "test" };

static void setup(void)
{
	m = guest_machine_create();
	v = calloc(1, sizeof(*v));
	v->pci.dev.m = m;
	v->pci.dev.class = &test_device;
	v->class = &test_class;
	v->bus = &test_bus;
	v->status = 0xf;
	q = &v->queue[0];
	q->v = v;
	q->size_max = GQ_SIZE_MAX;
	ck_assert_int_eq(chain_init(&c, CHAIN_MAX), 0);
	interrupts = 0;
}

static void teardown(void)
{
	chain_fini(&c);
	guest_machine_destroy(m);
	free(v);
}

enum { PACKED = 1, EVENT = 2, INDIRECT = 4, KINDS = 8 };

static int try_start_at(gpa_t base, int kind, u16 size)
{
	gq_init(&g, m, kind & PACKED, size, base);
	v->status = 0xf;
	queue_reset(q);
	q->packed = kind & PACKED;
	q->event_idx = kind & EVENT;
	q->indirect = kind & INDIRECT;
	q->size = size;
	q->desc = g.desc;
	q->driver = g.driver;
	q->device = g.device;
	return queue_activate(q);
}

static void start(int kind, u16 size)
{
	if (try_start_at(RINGS, kind, size))
		ck_abort_msg("queue refused");
}

static void add(const struct guest_seg *segs, int n, int kind)
{
	ck_assert_int_ge(gq_add(&g, segs, n, kind & INDIRECT), 0);
}

static const struct guest_seg one_in[] = { { BUFFERS, 64, true } };

/* ---- Keeping the rules ---- */

START_TEST(queue_pop_splits_readable_and_writable)
{
	const struct guest_seg segs[] = {
		{ BUFFERS, 16, false },
		{ BUFFERS + 0x100, 100, false },
		{ BUFFERS + 0x1000, 4096, true },
		{ BUFFERS + 0x3000, 1, true },
	};
	char text[116];

	start(_i, 8);
	guest_put(m, BUFFERS, "header of sixte", 16);
	guest_put(m, BUFFERS + 0x100, "data", 5);
	ck_assert(!queue_pop(q, &c));
	add(segs, 4, _i);
	ck_assert(queue_pop(q, &c));
	ck_assert_int_eq(c.nout, 2);
	ck_assert_int_eq(c.nin, 2);
	ck_assert_uint_eq(c.out_len, 116);
	ck_assert_uint_eq(c.in_len, 4097);
	ck_assert_uint_eq(chain_read(&c, 0, text, 200), 116);
	ck_assert_str_eq(text, "header of sixte");
	ck_assert_str_eq(text + 16, "data");
	ck_assert_uint_eq(chain_write(&c, 4095, "xyz", 3), 2);
	guest_get(m, BUFFERS + 0x1fff, text, 1);
	guest_get(m, BUFFERS + 0x3000, text + 1, 1);
	ck_assert_int_eq(memcmp(text, "xy", 2), 0);
	ck_assert(!queue_pop(q, &c));
	ck_assert(!virtio_broken(v));
}

END_TEST

START_TEST(queue_push_shows_at_notify)
{
	u32 len;
	int id;

	start(_i, 8);
	for (int i = 0; i < 3; i++)
		add(one_in, 1, _i);
	for (int i = 0; i < 3; i++) {
		ck_assert(queue_pop(q, &c));
		queue_push(q, &c, i + 1);
		ck_assert_int_eq(gq_used(&g, &len), -1);
	}
	queue_notify(q);
	ck_assert_int_eq(interrupts, 1);
	for (u32 i = 0; i < 3; i++) {
		id = gq_used(&g, &len);
		ck_assert_int_ge(id, 0);
		ck_assert_uint_eq(len, i + 1);
	}
	queue_notify(q);
	ck_assert_int_eq(interrupts, 1);
}

END_TEST

START_TEST(queue_tells_how_it_gets_on)
{
	const struct guest_seg seg = { BUFFERS, 64, true };
	u64 ns;

	queue_reset(q);
	ck_assert_int_eq(queue_health(q, 0, &ns), QUEUE_OFF);
	start(_i, 8);
	ck_assert_int_eq(queue_health(q, 0, &ns), QUEUE_IDLE);
	gq_add(&g, &seg, 1, false);
	ck_assert_int_eq(queue_health(q, 0, &ns), QUEUE_SUPPLIED);
	ck_assert(queue_pop(q, &c));
	ck_assert_int_eq(queue_health(q, NS_PER_S, &ns), QUEUE_BUSY);
	while (clock_mono_ns() - q->progress_ns < 2000000)
		;
	ck_assert_int_eq(queue_health(q, 2000000, &ns), QUEUE_STUCK);
	ck_assert_uint_ge(ns, 2000000);
	queue_push(q, &c, 64);
	ck_assert_int_eq(queue_health(q, 2000000, &ns), QUEUE_STUCK);
	queue_notify(q);
	ck_assert_int_eq(queue_health(q, 2000000, &ns), QUEUE_IDLE);
}

END_TEST

START_TEST(queue_unpop_gives_the_same_again)
{
	struct guest_seg seg = { BUFFERS, 1, true };
	struct chain d[3] = { 0 };

	start(_i, 4);
	for (int round = 0; round < 50; round++) {
		u32 len;

		for (int i = 0; i < 3; i++) {
			seg.len = 10 * round + i + 1;
			add(&seg, 1, _i);
		}
		for (int pass = 0; pass < 2; pass++) {
			for (int i = 0; i < 3; i++) {
				if (!d[i].max)
					chain_init(&d[i], 4);
				ck_assert(queue_pop(q, &d[i]));
				ck_assert_uint_eq(d[i].in_len,
						  10 * round + i + 1);
			}
			for (int i = 2; i >= 0 && pass == 0; i--)
				queue_unpop(q, &d[i]);
		}
		for (int i = 0; i < 3; i++)
			queue_push(q, &d[i], 1);
		queue_notify(q);
		for (int i = 0; i < 3; i++)
			ck_assert_int_ge(gq_used(&g, &len), 0);
	}
	for (int i = 0; i < 3; i++)
		chain_fini(&d[i]);
	ck_assert(!virtio_broken(v));
}

END_TEST

START_TEST(queue_interrupts_only_when_wanted)
{
	u32 len;

	start(_i, 8);
	gq_interrupts(&g, false);
	if (_i == EVENT)
		gq_interrupt_after(&g, 100);
	add(one_in, 1, _i);
	ck_assert(queue_pop(q, &c));
	queue_push(q, &c, 0);
	queue_notify(q);
	/* The first decision with an event index has nothing to compare. */
	ck_assert_int_eq(interrupts, _i == EVENT ? 1 : 0);
	gq_used(&g, &len);
	interrupts = 0;
	if (!(_i & EVENT)) {
		gq_interrupts(&g, true);
		add(one_in, 1, _i);
		ck_assert(queue_pop(q, &c));
		queue_push(q, &c, 0);
		queue_notify(q);
		ck_assert_int_eq(interrupts, 1);
		return;
	}
	for (int round = 0; round < 40; round++) {
		gq_interrupt_after(&g, 2);
		for (int i = 0; i < 4; i++) {
			interrupts = 0;
			add(one_in, 1, _i);
			ck_assert(queue_pop(q, &c));
			queue_push(q, &c, 0);
			queue_notify(q);
			ck_assert_int_eq(interrupts, i == 2);
		}
		while (gq_used(&g, &len) >= 0)
			;
	}
}

END_TEST

START_TEST(queue_asks_for_kicks_when_empty)
{
	u16 old;
	u32 len;

	start(_i, 4);
	for (int round = 0; round < 40; round++) {
		ck_assert(!queue_pop(q, &c));
		old = g.avail_idx;
		add(one_in, 1, _i);
		ck_assert(gq_kick_wanted(&g, _i & EVENT, old));
		ck_assert(queue_pop(q, &c));
		old = g.avail_idx;
		add(one_in, 1, _i);
		ck_assert(!gq_kick_wanted(&g, _i & EVENT, old));
		queue_push(q, &c, 0);
		ck_assert(queue_pop(q, &c));
		queue_push(q, &c, 0);
		queue_notify(q);
		while (gq_used(&g, &len) >= 0)
			;
	}
}

END_TEST

START_TEST(queue_rings_may_cross_ram_blocks)
{
	u32 len;
	int id;

	/* The descriptors end in the second block. */
	ck_assert_int_eq(try_start_at(GUEST_RAM / 2 - 2048, _i, 256), 0);
	ck_assert_ptr_null(q->desc_part.host);
	for (int i = 0; i < 600; i++) {
		add(one_in, 1, _i);
		ck_assert(queue_pop(q, &c));
		queue_push(q, &c, i);
		queue_notify(q);
		id = gq_used(&g, &len);
		ck_assert_int_ge(id, 0);
		ck_assert_uint_eq(len, i);
	}
	ck_assert(!virtio_broken(v));
}

END_TEST

START_TEST(queue_buffers_may_cross_ram_blocks)
{
	struct guest_seg seg = { GUEST_RAM / 2 - 10, 30, true };
	char text[30] = "across the border of 2 blocks";
	char back[30];

	start(_i, 4);
	add(&seg, 1, _i);
	ck_assert(queue_pop(q, &c));
	ck_assert_int_eq(c.nin, 2);
	ck_assert_uint_eq(c.in_len, 30);
	chain_write(&c, 0, text, 30);
	queue_push(q, &c, 30);
	guest_get(m, seg.addr, back, 30);
	ck_assert_str_eq(back, text);
}

END_TEST

/* Long and mixed traffic, checked against what was sent. */
static u32 rnd_state;

static u32 rnd(u32 below)
{
	rnd_state = rnd_state * 1664525 + 1013904223;
	return (rnd_state >> 8) % below;
}

static void device_echo(void)
{
	u8 data[4096];
	size_t len;

	while (queue_pop(q, &c)) {
		len = chain_read(&c, 0, data, sizeof(data));
		for (size_t i = 0; i < len; i++)
			data[i] ^= 0x5a;
		len = chain_write(&c, 0, data, len);
		queue_push(q, &c, len);
		if (rnd(3) == 0)
			queue_notify(q);
	}
	queue_notify(q);
}

START_TEST(queue_echoes_random_traffic)
{
	static u8 sent[GQ_SIZE_MAX][512];
	u32 lens[GQ_SIZE_MAX], len;
	u8 back[512];
	int id, out;

	rnd_state = 1234 + _i;
	start(_i, _i & PACKED ? 27 : 32);
	for (int round = 0; round < 1000; round++) {
		while (rnd(4) && g.nfree > 0) {
			struct guest_seg segs[8];
			int n = 0;
			u8 data[512];

			/* One place per round and slot, reused slowly. */
			gpa_t at = BUFFERS + rnd(64) * 8192;

			bool indirect = _i & INDIRECT && rnd(2);
			int most = indirect ? 4 : MIN(g.nfree / 2, 4);

			if (most == 0)
				break;
			len = 0;
			out = 1 + rnd(most);
			for (int i = 0; i < out; i++) {
				u32 part = 1 + rnd(100);

				segs[n++] = (struct guest_seg){ at + len, part,
								false };
				len += part;
			}
			for (u32 i = 0; i < len; i++)
				data[i] = rnd(256);
			guest_put(m, at, data, len);
			segs[n++] = (struct guest_seg){ at + 4096, 512, true };
			id = gq_add(&g, segs, n, indirect);
			ck_assert_int_ge(id, 0);
			memcpy(sent[id], data, len);
			lens[id] = len;
			/* Answered before another buffer takes the place. */
			device_echo();
			id = gq_used(&g, &len);
			ck_assert_int_ge(id, 0);
			ck_assert_uint_eq(len, lens[id]);
			guest_get(m, at + 4096, back, len);
			for (u32 i = 0; i < len; i++)
				sent[id][i] ^= 0x5a;
			ck_assert_mem_eq(back, sent[id], len);
		}
	}
	ck_assert(!virtio_broken(v));
	ck_assert_uint_eq(q->inflight, 0);
}

END_TEST

/* Many in flight, returned in random order. */
START_TEST(queue_returns_buffers_out_of_order)
{
	struct chain d[16] = { 0 };
	int n = 0, got = 0, put = 0;
	u32 len;

	rnd_state = 99;
	start(_i, 16);
	for (int i = 0; i < 16; i++)
		chain_init(&d[i], 4);
	for (int round = 0; round < 10000; round++) {
		struct guest_seg seg = { BUFFERS, 1 + rnd(1000), true };

		if (rnd(2) && gq_add(&g, &seg, 1, _i & INDIRECT) >= 0)
			put++;
		if (n < 16 && rnd(2) && queue_pop(q, &d[n]))
			n++;
		if (n > 0 && rnd(2)) {
			int k = rnd(n);
			struct chain t = d[k];

			queue_push(q, &d[k], d[k].in_len);
			d[k] = d[n - 1];
			d[n - 1] = t;
			n--;
		}
		if (rnd(4) == 0)
			queue_notify(q);
		while (rnd(2) && gq_used(&g, &len) >= 0)
			got++;
	}
	queue_notify(q);
	while (gq_used(&g, &len) >= 0)
		got++;
	ck_assert_int_gt(put, 1000);
	ck_assert_int_le(put - got, 16);
	ck_assert(!virtio_broken(v));
	for (int i = 0; i < 16; i++)
		chain_fini(&d[i]);
}

END_TEST

/* ---- Breaking the rules ---- */

static void expect_broken(void)
{
	ck_assert(!queue_pop(q, &c));
	ck_assert(virtio_broken(v));
	ck_assert(!queue_pop(q, &c));
	queue_push(q, &c, 0);
	queue_notify(q);
	ck_assert_int_eq(interrupts, 0);
}

START_TEST(queue_rejects_buffers_outside_of_ram)
{
	static const struct guest_seg bad[] = {
		{ GUEST_RAM, 1, true },        { GUEST_RAM - 1, 2, false },
		{ UINT64_MAX, 1, true },       { UINT64_MAX - 10, 100, false },
		{ BUFFERS, UINT32_MAX, true }, { 1ULL << 63, 4096, true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		start(_i, 8);
		add(&bad[i], 1, _i);
		expect_broken();
	}
}

END_TEST

START_TEST(queue_rejects_readable_after_writable)
{
	const struct guest_seg segs[] = { { BUFFERS, 16, true },
					  { BUFFERS, 16, false } };

	start(_i, 8);
	add(segs, 2, _i);
	expect_broken();
}

END_TEST

START_TEST(queue_rejects_more_segments_than_fit)
{
	struct guest_seg segs[CHAIN_MAX + 1];

	if (!(_i & INDIRECT) || sizeof(segs) == 0)
		return;
	for (int i = 0; i <= CHAIN_MAX; i++)
		segs[i] = (struct guest_seg){ BUFFERS + i * 16, 8, true };
	start(_i, 8);
	g.tables = BUFFERS + 0x10000;
	add(segs, CHAIN_MAX, _i);
	ck_assert(queue_pop(q, &c));
	ck_assert_int_eq(c.nin, CHAIN_MAX);
	add(segs, CHAIN_MAX + 1, _i);
	expect_broken();
}

END_TEST

START_TEST(queue_rejects_looping_chain)
{
	struct guest_seg seg = { BUFFERS, 0, false };

	/* Empty descriptors: only the count can end it. */
	start(_i, 8);
	for (int i = 0; i < 8; i++)
		gq_write_desc(&g, g.desc, i, &seg,
			      _i & PACKED ? 0 : (i + 1) % 8,
			      GD_NEXT | (_i & PACKED ? GD_AVAIL : 0));
	if (!(_i & PACKED))
		guest_put16(m, g.driver + 2, 1);
	expect_broken();
}

END_TEST

START_TEST(queue_rejects_looping_indirect_table)
{
	struct guest_seg t = { BUFFERS, 64, false }, seg = { 0, 0, false };

	start(INDIRECT, 8);
	for (int i = 0; i < 4; i++)
		gq_write_desc(&g, BUFFERS, i, &seg, (i + 1) % 4, GD_NEXT);
	gq_write_desc(&g, g.desc, 0, &t, 0, GD_INDIRECT);
	guest_put16(m, g.driver + 2, 1);
	expect_broken();
}

END_TEST

START_TEST(queue_rejects_bad_descriptor_numbers)
{
	struct guest_seg seg = { BUFFERS, 8, false };

	start(0, 8);
	guest_put16(m, g.driver + 4, 8); /* head */
	guest_put16(m, g.driver + 2, 1);
	expect_broken();

	start(0, 8);
	gq_write_desc(&g, g.desc, 0, &seg, 0xffff, GD_NEXT);
	guest_put16(m, g.driver + 2, 1);
	expect_broken();

	start(INDIRECT, 8); /* next beyond the table */
	gq_write_desc(&g, BUFFERS, 0, &seg, 4, GD_NEXT);
	seg.len = 64;
	gq_write_desc(&g, g.desc, 0, &seg, 0, GD_INDIRECT);
	guest_put16(m, g.driver + 2, 1);
	expect_broken();
}

END_TEST

START_TEST(queue_rejects_available_index_too_far)
{
	start(0, 8);
	guest_put16(m, g.driver + 2, 9);
	expect_broken();
	start(EVENT, 8);
	guest_put16(m, g.driver + 2, 0xffff);
	expect_broken();
}

END_TEST

/* Offers one descriptor with these words, of either layout. */
static void offer_raw(int kind, u64 addr, u32 len, u16 flags)
{
	struct guest_seg seg = { addr, len, false };

	start(kind, 8);
	if (kind & PACKED)
		flags |= GD_AVAIL;
	gq_write_desc(&g, g.desc, 0, &seg, 0, flags);
	if (!(kind & PACKED))
		guest_put16(m, g.driver + 2, 1);
}

START_TEST(queue_rejects_bad_indirect_tables)
{
	struct guest_seg seg = { BUFFERS, 16, false };

	offer_raw(_i | INDIRECT, BUFFERS, 0, GD_INDIRECT);
	expect_broken();
	offer_raw(_i | INDIRECT, BUFFERS, 17, GD_INDIRECT);
	expect_broken();
	offer_raw(_i | INDIRECT, BUFFERS, 16 * 1025, GD_INDIRECT);
	expect_broken();
	offer_raw(_i | INDIRECT, BUFFERS, UINT32_MAX & ~15u, GD_INDIRECT);
	expect_broken();
	offer_raw(_i | INDIRECT, GUEST_RAM, 16, GD_INDIRECT);
	expect_broken();
	offer_raw(_i | INDIRECT, UINT64_MAX - 7, 16, GD_INDIRECT);
	expect_broken();
	offer_raw(_i | INDIRECT, BUFFERS, 16, GD_INDIRECT | GD_NEXT);
	expect_broken();
	offer_raw(_i & ~INDIRECT, BUFFERS, 16, GD_INDIRECT);
	expect_broken();
	offer_raw(_i | INDIRECT, BUFFERS, 16, GD_INDIRECT);
	gq_write_desc(&g, BUFFERS, 0, &seg, 0, GD_INDIRECT);
	expect_broken();
}

END_TEST

START_TEST(queue_rejects_more_in_flight_than_it_holds)
{
	/* The same descriptor again and again, never returned. */
	offer_raw(_i, BUFFERS, 8, 0);
	for (int i = 0; i < 8; i++) {
		ck_assert(queue_pop(q, &c));
		if (_i & PACKED) {
			struct guest_seg seg = { BUFFERS, 8, false };
			u16 flags = i + 1 < 8 ? GD_AVAIL : GD_USED;

			gq_write_desc(&g, g.desc, (i + 1) % 8, &seg, 0, flags);
		} else {
			guest_put16(m, g.driver + 2, i + 2);
		}
	}
	expect_broken();
}

END_TEST

START_TEST(queue_activation_checks_size_and_addresses)
{
	gpa_t *const parts[] = { &q->desc, &q->driver, &q->device };
	static const gpa_t bad[] = { GUEST_RAM, UINT64_MAX & ~4095ULL,
				     GUEST_RAM - 2, RINGS + 1 };

	for (size_t p = 0; p < ARRAY_SIZE(parts); p++)
		for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
			start(_i, 64);
			*parts[p] = bad[i];
			ck_assert_int_eq(queue_activate(q), -EINVAL);
		}
	start(_i, 64);
	q->size = 0;
	ck_assert_int_eq(queue_activate(q), -EINVAL);
	q->size = GQ_SIZE_MAX + 1;
	ck_assert_int_eq(queue_activate(q), -EINVAL);
	q->size = 63;
	ck_assert_int_eq(queue_activate(q), _i & PACKED ? 0 : -EINVAL);
	ck_assert(mem_add_ram(&m->mem, "rom", 8 * MIB, MIB, true, NULL) == 0);
	start(_i, 64);
	q->device = 8 * MIB;
	ck_assert_int_eq(queue_activate(q), -EINVAL);
}

END_TEST

/* ---- Noise ---- */

static double fuzz_seconds(void)
{
	const char *s = getenv("FUZZ_SECONDS");

	return s ? atof(s) : 1;
}

/* Mostly plausible descriptors with random damage, in rings and tables. */
static void fuzz_memory(void)
{
	static const u16 flags[] = { 0,    1,    2,    3,      4,      0x80,
				     0x81, 0x82, 0x84, 0x8000, 0x8080, 0xffff };

	for (int i = 0; i < 64; i++) {
		gpa_t at = (rnd(2) ? g.desc : BUFFERS) + 16 * rnd(64);
		struct guest_seg s = { BUFFERS + rnd(0x10000), rnd(0x2000),
				       false };

		if (rnd(20) == 0)
			s.addr = GUEST_RAM - rnd(0x2000);
		if (rnd(40) == 0)
			s.len = rnd_state;
		if (rnd(3) == 0) { /* a table */
			s.addr = BUFFERS + 16 * rnd(64);
			s.len = 16 * rnd(20);
		}
		gq_write_desc(&g, at, 0, &s, rnd(4) ? rnd(16) : rnd_state,
			      flags[rnd(ARRAY_SIZE(flags))]);
	}
	for (int i = 0; i < 16; i++)
		guest_put16(m, g.driver + 4 + 2 * i, rnd(30) ? rnd(16) : 999);
	guest_put16(m, g.driver, rnd(4));
	if (rnd(2))
		guest_put16(m, g.driver + 2, q->last_avail + rnd(16));
}

START_TEST(queue_survives_noise)
{
	u64 end, rounds = 0, popped = 0;
	struct chain d[64] = { 0 };
	u8 data[8192];
	int n;

	rnd_state = getenv("FUZZ_SEED") ? atoi(getenv("FUZZ_SEED")) : 42;
	printf("queue noise, kind %d: FUZZ_SEED=%u\n", _i, rnd_state);
	for (int i = 0; i < 64; i++)
		chain_init(&d[i], CHAIN_MAX);
	end = clock_mono_ns() + fuzz_seconds() * NS_PER_S / KINDS;
	while (clock_mono_ns() < end) {
		start(_i, 16);
		rounds++;
		for (int step = 0; step < 20 && !virtio_broken(v); step++) {
			fuzz_memory();
			n = 0;
			while (n < 64 && queue_pop(q, &d[n])) {
				size_t len = chain_read(&d[n], 0, data, 8192);

				chain_write(&d[n], rnd(100), data, len);
				n++;
				popped++;
			}
			if (n > 16)
				ck_abort_msg("%d buffers", n);
			while (n > 0)
				queue_push(q, &d[--n], rnd(10000));
			queue_notify(q);
		}
	}
	for (int i = 0; i < 64; i++)
		chain_fini(&d[i]);
	printf("%llu rounds, %llu buffers\n", (unsigned long long)rounds,
	       (unsigned long long)popped);
	ck_assert_uint_gt(popped, rounds / 10);
}

END_TEST

int main(void)
{
	Suite *s = suite_create("virtio_queue");
	TCase *tc = tcase_create("virtio_queue");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60 + fuzz_seconds());
#define EACH(test, n) tcase_add_loop_test(tc, test, 0, n)
	EACH(queue_pop_splits_readable_and_writable, KINDS);
	EACH(queue_push_shows_at_notify, KINDS);
	EACH(queue_tells_how_it_gets_on, INDIRECT);
	EACH(queue_unpop_gives_the_same_again, KINDS);
	EACH(queue_interrupts_only_when_wanted, INDIRECT);
	EACH(queue_asks_for_kicks_when_empty, INDIRECT);
	EACH(queue_rings_may_cross_ram_blocks, KINDS);
	EACH(queue_buffers_may_cross_ram_blocks, KINDS);
	EACH(queue_echoes_random_traffic, KINDS);
	EACH(queue_returns_buffers_out_of_order, KINDS);
	EACH(queue_rejects_buffers_outside_of_ram, KINDS);
	EACH(queue_rejects_readable_after_writable, KINDS);
	EACH(queue_rejects_more_segments_than_fit, KINDS);
	EACH(queue_rejects_looping_chain, INDIRECT);
	EACH(queue_rejects_looping_indirect_table, 1);
	EACH(queue_rejects_bad_descriptor_numbers, 1);
	EACH(queue_rejects_available_index_too_far, 1);
	EACH(queue_rejects_bad_indirect_tables, INDIRECT);
	EACH(queue_rejects_more_in_flight_than_it_holds, INDIRECT);
	EACH(queue_activation_checks_size_and_addresses, INDIRECT);
	EACH(queue_survives_noise, KINDS);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
