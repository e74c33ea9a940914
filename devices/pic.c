/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Two cascaded i8259A interrupt controllers with the PIIX's edge/level
 * control registers.
 *
 * The second chip's output is input 2 of the first.  Requests are kept in
 * IRR; an edge stays there until it is acknowledged or the line falls, a
 * level only mirrors the line.
 *
 * Spec: Intel 8259A data sheet; 82371SB "Edge/Level Control Registers".
 * Locking: machine_lock.
 */
#include "devices/pc.h"

#include "lib/buf.h"
#include "lib/lock.h"
#include "vmm/device.h"
#include "vmm/machine.h"
#include "vmm/memory.h"
#include "vmm/state.h"

#define ICW1_INIT   0x10
#define ICW1_LEVEL  0x08
#define ICW1_SINGLE 0x02
#define ICW1_ICW4   0x01
#define ICW4_AEOI   0x02
#define ICW4_SFNM   0x10

#define OCW3_SELECT 0x08
#define OCW3_POLL   0x04
#define OCW3_READ   0x02
#define OCW3_ISR    0x01
#define OCW3_SMM_ON 0x40
#define OCW3_SMM    0x20

/* OCW2, bits 5-7. */
#define OCW2_ROTATE_AEOI_CLEAR 0
#define OCW2_EOI               1
#define OCW2_SPECIFIC_EOI      3
#define OCW2_ROTATE_AEOI_SET   4
#define OCW2_ROTATE_EOI        5
#define OCW2_SET_PRIORITY      6
#define OCW2_ROTATE_SPECIFIC   7

#define PIC_CASCADE  2
#define PIC_SPURIOUS 7

struct pic_chip {
	u8 irr, imr, isr;
	u8 lines; /* levels of the inputs */
	u8 elcr, elcr_mask;
	u8 base;      /* vector of input 0 */
	u8 highest;   /* input of highest priority */
	u8 init_step; /* next ICW, 0 when initialised */
	bool icw4_follows, single;
	bool read_isr, poll, special_mask;
	bool auto_eoi, rotate_auto, special_nested;
};

struct pic {
	struct device dev;
	struct region io[2], elcr;
	struct pic_chip chip[2]; /* master, slave */
	struct irq intr;
	bool output;
	u64 raised[16]; /* for info irq */
};

/* Position of the first set bit, counting from the highest priority; 8 when
 * there is none. */
static int pic_priority(const struct pic_chip *c, u8 mask)
{
	for (int i = 0; i < 8; i++)
		if (mask & 1 << ((i + c->highest) & 7))
			return i;
	return 8;
}

/* Input to be serviced, or -1. */
static int pic_request(const struct pic *s, int n)
{
	const struct pic_chip *c = &s->chip[n];
	u8 in_service = c->isr;
	int priority = pic_priority(c, c->irr & ~c->imr);

	if (priority == 8)
		return -1;
	if (c->special_mask)
		in_service &= ~c->imr;
	/* The slave may interrupt itself through the busy cascade input. */
	if (c->special_nested && n == 0)
		in_service &= ~(1 << PIC_CASCADE);
	if (priority >= pic_priority(c, in_service))
		return -1;
	return (priority + c->highest) & 7;
}

static void pic_update(struct pic *s)
{
	struct pic_chip *master = &s->chip[0];
	u8 cascade = 1 << PIC_CASCADE;

	if (pic_request(s, 1) >= 0)
		master->irr |= cascade;
	else
		master->irr &= ~cascade;
	s->output = pic_request(s, 0) >= 0;
	irq_set(&s->intr, s->output);
}

static void pic_set_line(struct pic *s, int n, int input, int level)
{
	struct pic_chip *c = &s->chip[n];
	u8 mask = 1 << input;
	bool was = c->lines & mask;

	if (level && !was)
		s->raised[n * 8 + input]++;
	if (level)
		c->lines |= mask;
	else
		c->lines &= ~mask;
	if (level && (!was || (c->elcr & mask)))
		c->irr |= mask;
	else if (!level)
		c->irr &= ~mask;
	pic_update(s);
}

static void pic_input_set(void *opaque, int n, int level)
{
	struct pic *s = opaque;

	assert_locked(&machine_lock);
	pic_set_line(s, n >> 3, n & 7, level);
}

struct irq pic_input(struct device *dev, int n)
{
	return (struct irq){ pic_input_set, dev, n & 15 };
}

void pic_set_output(struct device *dev, struct irq intr)
{
	struct pic *s = (struct pic *)dev;

	s->intr = intr;
	irq_set(&s->intr, s->output);
}

bool pic_has_interrupt(const struct device *dev)
{
	return ((const struct pic *)dev)->output;
}

/* Moves a request into service. */
static void pic_ack_chip(struct pic_chip *c, int input)
{
	if (c->auto_eoi) {
		if (c->rotate_auto)
			c->highest = (input + 1) & 7;
	} else {
		c->isr |= 1 << input;
	}
	if (!(c->elcr & 1 << input))
		c->irr &= ~(1 << input);
}

int pic_acknowledge(struct device *dev)
{
	struct pic *s = (struct pic *)dev;
	struct pic_chip *master = &s->chip[0], *slave = &s->chip[1];
	int input = pic_request(s, 0);
	int vector;

	if (input < 0) {
		vector = master->base + PIC_SPURIOUS;
	} else if (input == PIC_CASCADE) {
		int second = pic_request(s, 1);

		if (second < 0)
			second = PIC_SPURIOUS;
		else
			pic_ack_chip(slave, second);
		vector = slave->base + second;
		pic_ack_chip(master, input);
	} else {
		vector = master->base + input;
		pic_ack_chip(master, input);
	}
	pic_update(s);
	return vector;
}

static int pic_accept_any(struct machine *m) NO_TSA;

static int pic_accept_any(struct machine *m)
{
	bool take = !lock_held(&machine_lock);
	struct pic *s;
	int vector = -1;

	if (take)
		lock_acquire(&machine_lock);
	s = m->pic;
	if (s && s->output)
		vector = pic_acknowledge(&s->dev);
	if (take)
		lock_release(&machine_lock);
	return vector;
}

static void pic_init_chip(struct pic_chip *c, u8 icw1)
{
	c->imr = c->isr = 0;
	c->irr = c->lines & c->elcr; /* edges must rise again */
	c->highest = 0;
	c->read_isr = c->poll = c->special_mask = false;
	c->auto_eoi = c->rotate_auto = c->special_nested = false;
	c->icw4_follows = icw1 & ICW1_ICW4;
	c->single = icw1 & ICW1_SINGLE;
	c->init_step = 2;
}

static void pic_write_ocw2(struct pic_chip *c, u8 value)
{
	int input = value & 7;
	int priority;

	switch (value >> 5) {
	case OCW2_ROTATE_AEOI_CLEAR:
	case OCW2_ROTATE_AEOI_SET: c->rotate_auto = value >> 7; break;
	case OCW2_EOI:
	case OCW2_ROTATE_EOI:
		/* In special mask mode masked inputs are not the highest. */
		priority = pic_priority(c, c->special_mask ? c->isr & ~c->imr
							   : c->isr);
		if (priority == 8)
			break;
		input = (priority + c->highest) & 7;
		c->isr &= ~(1 << input);
		if (value >> 5 == OCW2_ROTATE_EOI)
			c->highest = (input + 1) & 7;
		break;
	case OCW2_SPECIFIC_EOI: c->isr &= ~(1 << input); break;
	case OCW2_SET_PRIORITY: c->highest = (input + 1) & 7; break;
	case OCW2_ROTATE_SPECIFIC:
		c->isr &= ~(1 << input);
		c->highest = (input + 1) & 7;
		break;
	}
}

static void pic_write_command(struct pic_chip *c, u8 value)
{
	if (value & ICW1_INIT) {
		pic_init_chip(c, value);
	} else if (value & OCW3_SELECT) {
		if (value & OCW3_POLL)
			c->poll = true;
		if (value & OCW3_READ)
			c->read_isr = value & OCW3_ISR;
		if (value & OCW3_SMM_ON)
			c->special_mask = value & OCW3_SMM;
	} else {
		pic_write_ocw2(c, value);
	}
}

static void pic_write_data(struct pic_chip *c, u8 value)
{
	switch (c->init_step) {
	case 2:
		c->base = value & 0xf8;
		c->init_step = !c->single ? 3 : c->icw4_follows ? 4 : 0;
		break;
	case 3: /* the cascade is wired as a PC has it */
		c->init_step = c->icw4_follows ? 4 : 0;
		break;
	case 4:
		c->auto_eoi = value & ICW4_AEOI;
		c->special_nested = value & ICW4_SFNM;
		c->init_step = 0;
		break;
	default: c->imr = value; break;
	}
}

/* A poll is an acknowledge that returns the input's number. */
static u8 pic_poll(struct pic *s, int n)
{
	int input = pic_request(s, n);

	s->chip[n].poll = false;
	if (input < 0)
		return 0;
	pic_ack_chip(&s->chip[n], input);
	pic_update(s);
	return 0x80 | input;
}

static u64 pic_read(struct pic *s, int n, u64 offset)
{
	struct pic_chip *c = &s->chip[n];

	if (c->poll)
		return pic_poll(s, n);
	if (offset)
		return c->imr;
	return c->read_isr ? c->isr : c->irr;
}

static void pic_write(struct pic *s, int n, u64 offset, u8 value)
{
	if (offset)
		pic_write_data(&s->chip[n], value);
	else
		pic_write_command(&s->chip[n], value);
	pic_update(s);
}

static u64 pic_master_read(void *opaque, u64 offset, u32 size)
{
	return pic_read(opaque, 0, offset);
}

static void pic_master_write(void *opaque, u64 offset, u32 size, u64 value)
{
	pic_write(opaque, 0, offset, value);
}

static u64 pic_slave_read(void *opaque, u64 offset, u32 size)
{
	return pic_read(opaque, 1, offset);
}

static void pic_slave_write(void *opaque, u64 offset, u32 size, u64 value)
{
	pic_write(opaque, 1, offset, value);
}

static u64 pic_elcr_read(void *opaque, u64 offset, u32 size)
{
	return ((struct pic *)opaque)->chip[offset].elcr;
}

static void pic_elcr_write(void *opaque, u64 offset, u32 size, u64 value)
{
	struct pic *s = opaque;
	struct pic_chip *c = &s->chip[offset];

	c->elcr = value & c->elcr_mask;
}

static const struct region_ops pic_master_ops = {
	.read = pic_master_read,
	.write = pic_master_write,
	.max_size = 1,
};

static const struct region_ops pic_slave_ops = {
	.read = pic_slave_read,
	.write = pic_slave_write,
	.max_size = 1,
};

static const struct region_ops pic_elcr_ops = {
	.read = pic_elcr_read,
	.write = pic_elcr_write,
	.max_size = 1,
};

void pic_info(struct machine *m, struct buf *out)
{
	struct pic *s = m->pic;

	if (!s)
		return;
	for (int n = 1; n >= 0; n--) {
		struct pic_chip *c = &s->chip[n];

		buf_printf(out,
			   "pic%d: irr=%02x imr=%02x isr=%02x hprio=%d "
			   "irq_base=%02x rr_sel=%d elcr=%02x fnm=%d\n",
			   n, c->irr, c->imr, c->isr, c->highest, c->base,
			   c->read_isr, c->elcr, c->special_nested);
	}
}

void pic_irq_info(struct machine *m, struct buf *out)
{
	struct pic *s = m->pic;

	if (!s)
		return;
	buf_puts(out, "IRQ statistics for isa-i8259:\n");
	for (u32 i = 0; i < ARRAY_SIZE(s->raised); i++)
		if (s->raised[i])
			buf_printf(out, "%2u: %llu\n", i,
				   (unsigned long long)s->raised[i]);
}

/* clang-format off */
#define PIC_STATE(field, kind)                                          \
	{ "chip." #field, kind, offsetof(struct pic, chip[0].field), 2, \
	  sizeof(struct pic_chip), 0 }
/* clang-format on */

static const struct state_field pic_state[] = {
	PIC_STATE(irr, STATE_U8),
	PIC_STATE(imr, STATE_U8),
	PIC_STATE(isr, STATE_U8),
	PIC_STATE(lines, STATE_U8),
	PIC_STATE(elcr, STATE_U8),
	PIC_STATE(base, STATE_U8),
	PIC_STATE(highest, STATE_U8),
	PIC_STATE(init_step, STATE_U8),
	PIC_STATE(icw4_follows, STATE_BOOL),
	PIC_STATE(single, STATE_BOOL),
	PIC_STATE(read_isr, STATE_BOOL),
	PIC_STATE(poll, STATE_BOOL),
	PIC_STATE(special_mask, STATE_BOOL),
	PIC_STATE(auto_eoi, STATE_BOOL),
	PIC_STATE(rotate_auto, STATE_BOOL),
	PIC_STATE(special_nested, STATE_BOOL),
	STATE_END,
};

static int pic_init(struct device *dev, struct err *err)
{
	struct pic *s = (struct pic *)dev;
	struct space *io = &dev->m->io;

	s->chip[0].elcr_mask = 0xf8; /* timer, keyboard, cascade are edges */
	s->chip[1].elcr_mask = 0xde; /* so are RTC and FPU */
	region_map(&s->io[0], io, "pic", 0x20, 2, &pic_master_ops, s);
	region_map(&s->io[1], io, "pic", 0xa0, 2, &pic_slave_ops, s);
	region_map(&s->elcr, io, "elcr", 0x4d0, 2, &pic_elcr_ops, s);
	dev->m->pic = dev;
	dev->m->pic_accept = pic_accept_any;
	return 0;
}

static void pic_reset(struct device *dev)
{
	struct pic *s = (struct pic *)dev;

	for (int n = 0; n < 2; n++) {
		struct pic_chip *c = &s->chip[n];

		c->elcr = 0;
		pic_init_chip(c, 0);
		c->init_step = 0;
		c->base = 0;
		c->single = false;
	}
	pic_update(s);
}

static void pic_fini(struct device *dev)
{
	struct pic *s = (struct pic *)dev;

	region_unmap(&s->io[0]);
	region_unmap(&s->io[1]);
	region_unmap(&s->elcr);
	if (dev->m->pic == dev) {
		dev->m->pic = NULL;
		dev->m->pic_accept = NULL;
	}
}

static int pic_loaded(struct device *dev, struct err *err)
{
	struct pic *s = (struct pic *)dev;

	for (int n = 0; n < 2; n++) {
		s->chip[n].highest &= 7;
		s->chip[n].elcr &= s->chip[n].elcr_mask;
	}
	pic_update(s);
	return 0;
}

const struct device_class pic_class = {
	.name = "isa-i8259",
	.desc = "two i8259A interrupt controllers",
	.bus = BUS_ISA,
	.size = sizeof(struct pic),
	.state = pic_state,
	.init = pic_init,
	.reset = pic_reset,
	.fini = pic_fini,
	.loaded = pic_loaded,
};
