/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * i8254 programmable interval timer and the system control port 0x61.
 *
 * A counter is a value and the guest time at which it was loaded; everything
 * read from it is computed from the time that has passed.  Only channel 0,
 * whose output is IRQ 0, owns a timer, which fires at its rising edges.
 *
 * Spec: Intel 8254 data sheet, "Mode Definitions".
 * Locking: machine_lock.
 */
#include "devices/pc.h"

#include <errno.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "vmm/device.h"
#include "vmm/machine.h"
#include "vmm/memory.h"
#include "vmm/state.h"
#include "vmm/vtimer.h"

#define PIT_HZ       1193182
#define PIT_IRQ      0
#define PIT_CHANNELS 3

#define PIT_RW_LATCH 0
#define PIT_RW_LSB   1
#define PIT_RW_MSB   2
#define PIT_RW_WORD  3

#define PIT_STATUS_OUT  0x80
#define PIT_STATUS_NULL 0x40

#define PORT61_GATE2   0x01
#define PORT61_SPEAKER 0x02
#define PORT61_REFRESH 0x10
#define PORT61_OUT2    0x20
#define REFRESH_NS     15085

struct pit_channel {
	u8 mode, rw;
	bool bcd, gate;
	bool loaded;  /* a count was written since the mode was set */
	bool running; /* counting: loaded, and triggered in modes 1 and 5 */
	u32 count;    /* 1 to 65536, in ticks */
	u64 start_ns; /* when `count` was loaded or the gate rose */
	u64 held;     /* ticks done while the gate is low */
	u8 write_low; /* first byte of a word */
	bool write_second, read_second;
	u16 latched;
	u8 latched_bytes; /* still to be read */
	bool status_latched;
	u8 status;
};

struct pit {
	struct device dev;
	struct region io, port61;
	struct pit_channel channel[PIT_CHANNELS];
	bool speaker;
	struct vtimer tick;
};

static u64 pit_to_ticks(u64 ns)
{
	return (u128)ns * PIT_HZ / NS_PER_S;
}

/* First nanosecond at which `ticks` have passed. */
static u64 pit_to_ns(u64 ticks)
{
	return ((u128)ticks * NS_PER_S + PIT_HZ - 1) / PIT_HZ;
}

/* Modes 1 and 5 are started by the gate, the others held by it. */
static bool pit_triggered(const struct pit_channel *c)
{
	return c->mode == 1 || c->mode == 5;
}

static u64 pit_elapsed(struct pit *s, const struct pit_channel *c)
{
	u64 now = vclock_now(s->dev.m);

	if (!c->running || now < c->start_ns)
		return c->held;
	return c->held + pit_to_ticks(now - c->start_ns);
}

static bool pit_out(struct pit *s, const struct pit_channel *c)
{
	u64 d = pit_elapsed(s, c);

	switch (c->mode) {
	case 0: return c->loaded && d >= c->count;
	case 1: return !c->running || d >= c->count;
	case 2: return !c->loaded || !c->gate || d % c->count != c->count - 1;
	case 3:
		return !c->loaded || !c->gate ||
		       d % c->count < (c->count + 1) / 2;
	default: return !c->loaded || d != c->count; /* low for one tick */
	}
}

static u16 pit_to_bcd(u32 n)
{
	return n % 10 | n / 10 % 10 << 4 | n / 100 % 10 << 8 |
	       n / 1000 % 10 << 12;
}

static u32 pit_from_bcd(u16 n)
{
	return (n & 15) + (n >> 4 & 15) * 10 + (n >> 8 & 15) * 100 +
	       (n >> 12) * 1000;
}

/* What the counting element holds now. */
static u16 pit_value(struct pit *s, const struct pit_channel *c)
{
	u64 d = pit_elapsed(s, c);
	u32 modulus = c->bcd ? 10000 : 65536;
	u32 value;

	switch (c->mode) {
	case 2: value = c->count - d % c->count; break;
	case 3: {
		u32 even = c->count & ~1u;
		u64 phase = d % c->count;

		/* Counts down by two, twice a period. */
		if (phase >= (c->count + 1) / 2)
			phase -= (c->count + 1) / 2;
		value = even - MIN(2 * phase, even);
		break;
	}
	default: value = (c->count + modulus - d % modulus) % modulus; break;
	}
	value %= modulus;
	return c->bcd ? pit_to_bcd(value) : value;
}

/* Arms the timer for channel 0's next rising edge. */
static void pit_arm(struct pit *s)
{
	struct pit_channel *c = &s->channel[0];
	u64 d = pit_elapsed(s, c);
	u64 edge;

	if (!c->loaded || !c->running) {
		vtimer_cancel(&s->tick);
		return;
	}
	switch (c->mode) {
	case 2:
	case 3: edge = (d / c->count + 1) * c->count; break;
	case 0:
	case 1: edge = c->count; break;
	default: edge = (u64)c->count + 1; break;
	}
	if (edge <= d && c->mode != 2 && c->mode != 3) {
		vtimer_cancel(&s->tick); /* one shot, fired already */
		return;
	}
	vtimer_set(&s->tick, c->start_ns + pit_to_ns(edge - c->held));
}

static void pit_update_irq(struct pit *s)
{
	irq_set(&s->dev.m->gsi[PIT_IRQ], pit_out(s, &s->channel[0]));
}

/* At a rising edge: the low phase before it is not timed on its own. */
static void pit_tick(void *opaque)
{
	struct pit *s = opaque;

	irq_set(&s->dev.m->gsi[PIT_IRQ], 0);
	pit_update_irq(s);
	pit_arm(s);
}

static void pit_changed(struct pit *s, const struct pit_channel *c)
{
	if (c != &s->channel[0])
		return;
	pit_update_irq(s);
	pit_arm(s);
}

static void pit_load(struct pit *s, struct pit_channel *c, u16 value)
{
	u32 count = c->bcd ? pit_from_bcd(value) : value;

	if (!count)
		count = c->bcd ? 10000 : 65536;
	if (count == 1 && (c->mode == 2 || c->mode == 3))
		count = 2; /* 1 is illegal there */
	c->count = count;
	c->loaded = true;
	if (!pit_triggered(c)) {
		c->held = 0;
		c->start_ns = vclock_now(s->dev.m);
		c->running = c->gate;
	}
	pit_changed(s, c);
}

static void pit_set_gate(struct pit *s, struct pit_channel *c, bool gate)
{
	u64 now = vclock_now(s->dev.m);

	if (gate == c->gate)
		return;
	if (gate && (pit_triggered(c) || c->mode == 2 || c->mode == 3)) {
		c->held = 0; /* a rising gate starts over */
		c->start_ns = now;
		c->running = c->loaded;
	} else if (gate) {
		c->start_ns = now;
		c->running = c->loaded;
	} else if (!pit_triggered(c)) {
		c->held = pit_elapsed(s, c);
		c->running = false;
	}
	c->gate = gate;
	pit_changed(s, c);
}

static void pit_latch_count(struct pit *s, struct pit_channel *c)
{
	if (c->latched_bytes)
		return; /* the first latch holds until it is read */
	c->latched = pit_value(s, c);
	c->latched_bytes = c->rw == PIT_RW_WORD ? 2 : 1;
	if (c->rw == PIT_RW_MSB)
		c->latched >>= 8;
}

static void pit_latch_status(struct pit *s, struct pit_channel *c)
{
	if (c->status_latched)
		return;
	c->status_latched = true;
	c->status = (pit_out(s, c) ? PIT_STATUS_OUT : 0) |
		    (c->loaded ? 0 : PIT_STATUS_NULL) | c->rw << 4 |
		    c->mode << 1 | c->bcd;
}

static void pit_read_back(struct pit *s, u8 command)
{
	for (u32 i = 0; i < PIT_CHANNELS; i++) {
		if (!(command & 2 << i))
			continue;
		if (!(command & 0x20))
			pit_latch_count(s, &s->channel[i]);
		if (!(command & 0x10))
			pit_latch_status(s, &s->channel[i]);
	}
}

static void pit_write_control(struct pit *s, u8 value)
{
	struct pit_channel *c;
	u8 rw = value >> 4 & 3;

	if (value >> 6 == 3) {
		pit_read_back(s, value);
		return;
	}
	c = &s->channel[value >> 6];
	if (rw == PIT_RW_LATCH) {
		pit_latch_count(s, c);
		return;
	}
	c->rw = rw;
	c->mode = value >> 1 & 7;
	if (c->mode > 5)
		c->mode &= 3; /* 6 and 7 are 2 and 3 */
	c->bcd = value & 1;
	c->loaded = c->running = false;
	c->held = 0;
	c->write_second = c->read_second = false;
	c->latched_bytes = 0;
	c->status_latched = false;
	pit_changed(s, c);
}

static void pit_write_counter(struct pit *s, struct pit_channel *c, u8 value)
{
	switch (c->rw) {
	case PIT_RW_LSB: pit_load(s, c, value); break;
	case PIT_RW_MSB: pit_load(s, c, value << 8); break;
	default:
		c->write_second = !c->write_second;
		if (!c->write_second) {
			pit_load(s, c, c->write_low | value << 8);
			break;
		}
		c->write_low = value;
		if (c->mode == 0) { /* the first byte stops the count */
			c->loaded = c->running = false;
			pit_changed(s, c);
		}
		break;
	}
}

static u8 pit_read_counter(struct pit *s, struct pit_channel *c)
{
	u16 value;

	if (c->status_latched) {
		c->status_latched = false;
		return c->status;
	}
	if (c->latched_bytes) {
		value = c->latched;
		c->latched >>= 8;
		c->latched_bytes--;
		return value;
	}
	value = pit_value(s, c);
	if (c->rw == PIT_RW_WORD) {
		c->read_second = !c->read_second;
		return c->read_second ? value : value >> 8;
	}
	return c->rw == PIT_RW_MSB ? value >> 8 : value;
}

static u64 pit_read(void *opaque, u64 offset, u32 size)
{
	struct pit *s = opaque;

	if (offset == 3)
		return 0xff; /* the control word cannot be read */
	return pit_read_counter(s, &s->channel[offset]);
}

static void pit_write(void *opaque, u64 offset, u32 size, u64 value)
{
	struct pit *s = opaque;

	if (offset == 3)
		pit_write_control(s, value);
	else
		pit_write_counter(s, &s->channel[offset], value);
}

static u64 pit_read_port61(void *opaque, u64 offset, u32 size)
{
	struct pit *s = opaque;
	struct pit_channel *c = &s->channel[2];
	bool refresh = vclock_now(s->dev.m) / REFRESH_NS & 1;

	return (c->gate ? PORT61_GATE2 : 0) |
	       (s->speaker ? PORT61_SPEAKER : 0) |
	       (refresh ? PORT61_REFRESH : 0) |
	       (pit_out(s, c) ? PORT61_OUT2 : 0);
}

static void pit_write_port61(void *opaque, u64 offset, u32 size, u64 value)
{
	struct pit *s = opaque;

	s->speaker = value & PORT61_SPEAKER;
	pit_set_gate(s, &s->channel[2], value & PORT61_GATE2);
}

static const struct region_ops pit_ops = {
	.read = pit_read,
	.write = pit_write,
	.max_size = 1,
};

static const struct region_ops pit_port61_ops = {
	.read = pit_read_port61,
	.write = pit_write_port61,
	.max_size = 1,
};

/* clang-format off */
#define PIT_STATE(field, kind)                                             \
	{ "channel." #field, kind, offsetof(struct pit, channel[0].field), \
	  PIT_CHANNELS, sizeof(struct pit_channel), 0 }
/* clang-format on */

static const struct state_field pit_state[] = {
	PIT_STATE(mode, STATE_U8),
	PIT_STATE(rw, STATE_U8),
	PIT_STATE(bcd, STATE_BOOL),
	PIT_STATE(gate, STATE_BOOL),
	PIT_STATE(loaded, STATE_BOOL),
	PIT_STATE(running, STATE_BOOL),
	PIT_STATE(count, STATE_U32),
	PIT_STATE(start_ns, STATE_U64),
	PIT_STATE(held, STATE_U64),
	PIT_STATE(write_low, STATE_U8),
	PIT_STATE(write_second, STATE_BOOL),
	PIT_STATE(read_second, STATE_BOOL),
	PIT_STATE(latched, STATE_U16),
	PIT_STATE(latched_bytes, STATE_U8),
	PIT_STATE(status_latched, STATE_BOOL),
	PIT_STATE(status, STATE_U8),
	STATE_(STATE_BOOL, struct pit, speaker),
	STATE_(STATE_VTIMER, struct pit, tick),
	STATE_END,
};

static int pit_init(struct device *dev, struct err *err)
{
	struct pit *s = (struct pit *)dev;

	vtimer_init(&s->tick, dev->m, pit_tick, s);
	for (u32 i = 0; i < PIT_CHANNELS; i++)
		s->channel[i].count = 65536;
	region_map(&s->io, &dev->m->io, "pit", 0x40, 4, &pit_ops, s);
	region_map(&s->port61, &dev->m->io, "pcspk", 0x61, 1, &pit_port61_ops,
		   s);
	dev->m->pit = dev;
	return 0;
}

/* As firmware leaves it: channel 0 ticks 18.2 times a second. */
static void pit_reset(struct device *dev)
{
	struct pit *s = (struct pit *)dev;

	s->speaker = false;
	for (u32 i = 0; i < PIT_CHANNELS; i++)
		s->channel[i] = (struct pit_channel){
			.mode = i ? 3 : 2,
			.rw = PIT_RW_WORD,
			.gate = i != 2,
			.loaded = true,
			.running = i != 2,
			.count = 65536,
			.start_ns = vclock_now(dev->m),
		};
	pit_changed(s, &s->channel[0]);
}

static void pit_fini(struct device *dev)
{
	struct pit *s = (struct pit *)dev;

	region_unmap(&s->io);
	region_unmap(&s->port61);
	vtimer_cancel(&s->tick);
	if (dev->m->pit == dev)
		dev->m->pit = NULL;
}

static int pit_loaded(struct device *dev, struct err *err)
{
	struct pit *s = (struct pit *)dev;

	for (u32 i = 0; i < PIT_CHANNELS; i++) {
		struct pit_channel *c = &s->channel[i];

		if (c->mode > 5 || c->rw > 3 || c->latched_bytes > 2 ||
		    c->count < 1 || c->count > 65536)
			return err_set(err, -EINVAL,
				       "channel %u holds impossible values", i);
	}
	pit_update_irq(s);
	return 0;
}

static void pit_info(struct device *dev, struct buf *out)
{
	struct pit *s = (struct pit *)dev;

	for (u32 i = 0; i < PIT_CHANNELS; i++) {
		struct pit_channel *c = &s->channel[i];

		buf_printf(out,
			   "channel %u: mode %u, count %u, gate %d, out %d\n",
			   i, c->mode, c->count, c->gate, pit_out(s, c));
	}
}

const struct device_class pit_class = {
	.name = "isa-pit",
	.desc = "i8254 interval timer",
	.bus = BUS_ISA,
	.size = sizeof(struct pit),
	.state = pit_state,
	.init = pit_init,
	.reset = pit_reset,
	.fini = pit_fini,
	.info = pit_info,
	.loaded = pit_loaded,
};
