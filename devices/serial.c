/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * 16550A UART on the ISA bus, in front of a chardev.
 *
 * Bytes are sent at once, whatever the divisor says; only when the back end
 * takes no more do they wait in the transmit FIFO.  A peer that stays stuck
 * for SERIAL_STALL_NS loses output instead of stalling the guest.
 *
 * Deviation: OUT2 does not gate the interrupt, as in other PC emulations.
 * Spec: PC16550D data sheet.
 * Locking: machine_lock.
 */
#include <errno.h>

#include "chardev/chardev.h"
#include "devices/pc.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/log.h"
#include "vmm/device.h"
#include "vmm/machine.h"
#include "vmm/memory.h"
#include "vmm/state.h"
#include "vmm/vtimer.h"

#define COM_DATA 0 /* RBR, THR, DLL */
#define COM_IER  1 /* DLM */
#define COM_IIR  2 /* FCR */
#define COM_LCR  3
#define COM_MCR  4
#define COM_LSR  5
#define COM_MSR  6
#define COM_SCR  7

#define COM_IER_RX   0x01
#define COM_IER_THR  0x02
#define COM_IER_LINE 0x04
#define COM_IER_MSR  0x08

#define COM_IIR_NONE    0x01
#define COM_IIR_MSR     0x00
#define COM_IIR_THR     0x02
#define COM_IIR_RX      0x04
#define COM_IIR_LINE    0x06
#define COM_IIR_TIMEOUT 0x0c
#define COM_IIR_FIFOS   0xc0

#define COM_FCR_ENABLE  0x01
#define COM_FCR_CLEARRX 0x02
#define COM_FCR_CLEARTX 0x04

#define COM_LCR_BREAK 0x40
#define COM_LCR_DLAB  0x80

#define COM_MCR_DTR  0x01
#define COM_MCR_RTS  0x02
#define COM_MCR_OUT1 0x04
#define COM_MCR_OUT2 0x08
#define COM_MCR_LOOP 0x10

#define COM_LSR_DR     0x01
#define COM_LSR_OE     0x02
#define COM_LSR_PE     0x04
#define COM_LSR_FE     0x08
#define COM_LSR_BI     0x10
#define COM_LSR_THRE   0x20
#define COM_LSR_TEMT   0x40
#define COM_LSR_FIFO   0x80
#define COM_LSR_ERRORS (COM_LSR_OE | COM_LSR_PE | COM_LSR_FE | COM_LSR_BI)

#define COM_MSR_CTS 0x10
#define COM_MSR_DSR 0x20
#define COM_MSR_RI  0x40
#define COM_MSR_DCD 0x80

#define SERIAL_FIFO     16
#define SERIAL_CLOCK_HZ 115200 /* of the divisor */
#define SERIAL_STALL_NS (100 * NS_PER_MS)
#define SERIAL_AUTO     0xffffffffu

struct serial {
	struct device dev;
	struct chardev *chr; /* borrowed; NULL discards */
	u32 index, iobase, irq;
	struct region io;
	struct vtimer rx_timeout; /* data waits below the trigger level */
	struct vtimer tx_stall;   /* the back end takes nothing */

	u8 ier, fcr, lcr, mcr, lsr, msr, scr;
	bool programmed; /* by the guest, since reset */
	u16 divisor;
	bool thr_pending;     /* THRE interrupt not yet acknowledged */
	bool timeout_pending; /* character time-out interrupt */
	u8 rx[SERIAL_FIFO], rx_error[SERIAL_FIFO];
	u8 rx_head, rx_count;
	u8 tx[SERIAL_FIFO];
	u8 tx_head, tx_count;
};

static bool serial_fifos(const struct serial *s)
{
	return s->fcr & COM_FCR_ENABLE;
}

static u32 serial_depth(const struct serial *s)
{
	return serial_fifos(s) ? SERIAL_FIFO : 1;
}

static u32 serial_trigger(const struct serial *s)
{
	static const u8 levels[] = { 1, 4, 8, 14 };

	return serial_fifos(s) ? levels[s->fcr >> 6] : 1;
}

/* Highest pending source as IIR shows it. */
static u8 serial_source(const struct serial *s)
{
	if ((s->ier & COM_IER_LINE) && (s->lsr & COM_LSR_ERRORS))
		return COM_IIR_LINE;
	if ((s->ier & COM_IER_RX) && s->rx_count >= serial_trigger(s))
		return COM_IIR_RX;
	if ((s->ier & COM_IER_RX) && s->timeout_pending)
		return COM_IIR_TIMEOUT;
	if ((s->ier & COM_IER_THR) && s->thr_pending)
		return COM_IIR_THR;
	if ((s->ier & COM_IER_MSR) && (s->msr & 0x0f))
		return COM_IIR_MSR;
	return COM_IIR_NONE;
}

static void serial_update_irq(struct serial *s)
{
	irq_set(&s->dev.m->gsi[s->irq], serial_source(s) != COM_IIR_NONE);
}

/* Time of one character; 10 bits are near enough for a time-out. */
static u64 serial_char_ns(const struct serial *s)
{
	u32 divisor = s->divisor ? s->divisor : 1;

	return 10 * NS_PER_S * divisor / SERIAL_CLOCK_HZ;
}

/* LSR bits that belong to the oldest byte in the FIFO. */
static void serial_expose(struct serial *s)
{
	if (!s->rx_count) {
		s->lsr &= ~(COM_LSR_DR | COM_LSR_FIFO);
		return;
	}
	s->lsr |= COM_LSR_DR | s->rx_error[s->rx_head];
}

static void serial_arm_timeout(struct serial *s)
{
	if (!serial_fifos(s) || !s->rx_count ||
	    s->rx_count >= serial_trigger(s))
		vtimer_cancel(&s->rx_timeout);
	else
		vtimer_set(&s->rx_timeout,
			   vclock_now(s->dev.m) + 4 * serial_char_ns(s));
}

static void serial_receive(struct serial *s, u8 byte, u8 error)
{
	u32 at;

	if (s->rx_count >= serial_depth(s)) {
		s->lsr |= COM_LSR_OE;
		if (serial_fifos(s))
			return; /* the FIFO stays, the new byte is lost */
		s->rx_count = 0;
	}
	at = (s->rx_head + s->rx_count++) % SERIAL_FIFO;
	s->rx[at] = byte;
	s->rx_error[at] = error;
	if (error && serial_fifos(s))
		s->lsr |= COM_LSR_FIFO;
	serial_expose(s);
}

static u8 serial_read_data(struct serial *s)
{
	u8 byte = s->rx[s->rx_head];

	if (!s->rx_count)
		return 0;
	s->rx_error[s->rx_head] = 0;
	s->rx_head = (s->rx_head + 1) % SERIAL_FIFO;
	s->rx_count--;
	s->timeout_pending = false;
	s->lsr &= ~(COM_LSR_DR | COM_LSR_BI);
	serial_expose(s);
	serial_arm_timeout(s);
	if (!(s->mcr & COM_MCR_LOOP))
		chr_accept_input(s->chr);
	return byte;
}

static void serial_tx_emptied(struct serial *s)
{
	vtimer_cancel(&s->tx_stall);
	s->lsr |= COM_LSR_THRE | COM_LSR_TEMT;
	s->thr_pending = true;
}

/* Hands the transmit FIFO to the back end. */
static void serial_drain(struct serial *s)
{
	while (s->tx_count) {
		u32 run = MIN(s->tx_count, SERIAL_FIFO - s->tx_head);
		size_t taken = chr_write(s->chr, s->tx + s->tx_head, run);

		if (!taken) {
			if (!vtimer_armed(&s->tx_stall))
				vtimer_set(&s->tx_stall,
					   vclock_now(s->dev.m) +
						   SERIAL_STALL_NS);
			return;
		}
		s->tx_head = (s->tx_head + taken) % SERIAL_FIFO;
		s->tx_count -= taken;
	}
	serial_tx_emptied(s);
}

static void serial_write_data(struct serial *s, u8 byte)
{
	s->thr_pending = false;
	if (s->mcr & COM_MCR_LOOP) {
		serial_receive(s, byte, 0);
		serial_arm_timeout(s);
		serial_tx_emptied(s);
		return;
	}
	if (s->tx_count >= serial_depth(s)) {
		log_guest("serial", "byte 0x%02x written while THR is full",
			  byte);
		return;
	}
	s->tx[(s->tx_head + s->tx_count++) % SERIAL_FIFO] = byte;
	s->lsr &= ~(COM_LSR_THRE | COM_LSR_TEMT);
	serial_drain(s);
}

static void serial_set_line(struct serial *s)
{
	struct chr_line line = {
		.data_bits = 5 + (s->lcr & 3),
		.stop_bits = s->lcr & 4 ? 2 : 1,
		.parity = !(s->lcr & 8)   ? 'N'
			  : s->lcr & 0x10 ? 'E'
					  : 'O',
	};

	if (!s->divisor)
		return;
	line.baud = SERIAL_CLOCK_HZ / s->divisor;
	chr_set_line(s->chr, &line);
}

static void serial_write_ier(struct serial *s, u8 value)
{
	u8 rising = value & ~s->ier;

	s->ier = value & 0x0f;
	/* Enabling the THRE interrupt raises it when THR is empty. */
	if ((rising & COM_IER_THR) && (s->lsr & COM_LSR_THRE))
		s->thr_pending = true;
}

static void serial_clear_rx(struct serial *s)
{
	s->rx_count = s->rx_head = 0;
	s->timeout_pending = false;
	s->lsr &= ~(COM_LSR_DR | COM_LSR_BI | COM_LSR_FIFO);
	vtimer_cancel(&s->rx_timeout);
	chr_accept_input(s->chr);
}

static void serial_write_fcr(struct serial *s, u8 value)
{
	bool toggled = (value ^ s->fcr) & COM_FCR_ENABLE;

	if (toggled || (value & COM_FCR_CLEARRX))
		serial_clear_rx(s);
	if (toggled || (value & COM_FCR_CLEARTX)) {
		s->tx_count = s->tx_head = 0;
		if (!(s->lsr & COM_LSR_THRE))
			serial_tx_emptied(s);
	}
	/* Without bit 0 the others are not programmed. */
	s->fcr = value & COM_FCR_ENABLE ? value & 0xc9 : 0;
	serial_arm_timeout(s);
}

static void serial_write_lcr(struct serial *s, u8 value)
{
	if ((value & ~s->lcr) & COM_LCR_BREAK)
		chr_send_break(s->chr);
	s->lcr = value;
	serial_set_line(s);
}

/* Modem inputs: the four lines of the peer, which is always ready, or our
 * own outputs in loopback; a change sets the delta bits. */
static void serial_update_msr(struct serial *s)
{
	u8 lines = COM_MSR_DCD | COM_MSR_DSR | COM_MSR_CTS;
	u8 delta;

	if (s->mcr & COM_MCR_LOOP)
		lines = (s->mcr & COM_MCR_RTS ? COM_MSR_CTS : 0) |
			(s->mcr & COM_MCR_DTR ? COM_MSR_DSR : 0) |
			(s->mcr & COM_MCR_OUT1 ? COM_MSR_RI : 0) |
			(s->mcr & COM_MCR_OUT2 ? COM_MSR_DCD : 0);
	delta = (lines ^ s->msr) >> 4;
	if (!(s->msr & ~lines & COM_MSR_RI))
		delta &= ~0x04; /* TERI: trailing edge only */
	s->msr = lines | (s->msr & 0x0f) | delta;
}

static u64 serial_read(void *opaque, u64 offset, u32 size)
{
	struct serial *s = opaque;
	u8 value = 0;

	switch (offset) {
	case COM_DATA:
		if (s->lcr & COM_LCR_DLAB)
			return s->divisor & 0xff;
		value = serial_read_data(s);
		break;
	case COM_IER: return s->lcr & COM_LCR_DLAB ? s->divisor >> 8 : s->ier;
	case COM_IIR:
		value = serial_source(s);
		if (value == COM_IIR_THR)
			s->thr_pending = false;
		if (serial_fifos(s))
			value |= COM_IIR_FIFOS;
		break;
	case COM_LCR: return s->lcr;
	case COM_MCR: return s->mcr;
	case COM_LSR:
		value = s->lsr;
		if (!(value & COM_LSR_ERRORS))
			return value;
		s->lsr &= ~COM_LSR_ERRORS;
		break;
	case COM_MSR:
		value = s->msr;
		s->msr &= 0xf0;
		break;
	case COM_SCR: return s->scr;
	}
	serial_update_irq(s);
	return value;
}

static void serial_write(void *opaque, u64 offset, u32 size, u64 value)
{
	struct serial *s = opaque;

	switch (offset) {
	case COM_DATA:
		if (s->lcr & COM_LCR_DLAB) {
			s->divisor = (s->divisor & 0xff00) | (u8)value;
			serial_set_line(s);
		} else {
			serial_write_data(s, value);
		}
		break;
	case COM_IER:
		if (s->lcr & COM_LCR_DLAB) {
			s->divisor = (s->divisor & 0xff) | (u8)value << 8;
			serial_set_line(s);
		} else {
			serial_write_ier(s, value);
		}
		break;
	case COM_IIR: serial_write_fcr(s, value); break;
	case COM_LCR: serial_write_lcr(s, value); break;
	case COM_MCR:
		s->mcr = value & 0x1f;
		serial_update_msr(s);
		break;
	case COM_SCR: s->scr = value; break;
	}
	serial_update_irq(s);
}

static void serial_guest_write(void *opaque, u64 offset, u32 size, u64 value)
{
	struct serial *s = opaque;

	if (offset != COM_SCR) /* with that one a port is looked for */
		s->programmed = true;
	serial_write(s, offset, size, value);
}

bool serial_firmware_owns(const struct device *dev)
{
	return !((const struct serial *)dev)->programmed;
}

bool serial_firmware_put(struct device *dev, u8 byte)
{
	struct serial *s = (struct serial *)dev;

	if (s->programmed)
		return false;
	serial_write(s, COM_DATA, 1, byte);
	return true;
}

static const struct region_ops serial_ops = {
	.read = serial_read,
	.write = serial_guest_write,
	.max_size = 1,
};

static void serial_rx_timeout(void *opaque)
{
	struct serial *s = opaque;

	if (s->rx_count)
		s->timeout_pending = true;
	serial_update_irq(s);
}

static void serial_tx_stall(void *opaque)
{
	struct serial *s = opaque;

	serial_drain(s);
	if (s->tx_count) {
		s->tx_count = s->tx_head = 0;
		serial_tx_emptied(s);
	}
	serial_update_irq(s);
}

static size_t serial_chr_can_read(void *opaque)
{
	struct serial *s = opaque;

	if (s->mcr & COM_MCR_LOOP)
		return 0;
	return serial_depth(s) - MIN(s->rx_count, serial_depth(s));
}

static void serial_chr_read(void *opaque, const u8 *data, size_t len)
{
	struct serial *s = opaque;

	for (size_t i = 0; i < len; i++)
		serial_receive(s, data[i], 0);
	serial_arm_timeout(s);
	serial_update_irq(s);
}

static void serial_chr_event(void *opaque, enum chr_event event)
{
	struct serial *s = opaque;

	if (event == CHR_BREAK)
		serial_receive(s, 0, COM_LSR_BI);
	else if (event == CHR_WRITABLE && s->tx_count)
		serial_drain(s);
	else
		return;
	serial_update_irq(s);
}

static void serial_chr_change(void *opaque, struct chardev *chr)
{
	struct serial *s = opaque;

	s->chr = chr;
	serial_set_line(s);
}

static const struct chr_front serial_front = {
	.can_read = serial_chr_can_read,
	.read = serial_chr_read,
	.event = serial_chr_event,
	.change = serial_chr_change,
};

static const struct option_row serial_options[] = {
	{ "chardev", &opt_chardev, offsetof(struct serial, chr), NULL,
	  "character device", NULL },
	{ "index", &opt_u32, offsetof(struct serial, index), "0xffffffff",
	  "port number 0-3, the next free one by default", NULL },
	{ "iobase", &opt_u32, offsetof(struct serial, iobase), "0xffffffff",
	  "first of eight I/O ports, by index by default", NULL },
	{ "irq", &opt_u32, offsetof(struct serial, irq), "0xffffffff",
	  "interrupt line 0-15, by index by default", NULL },
	OPTION_END,
};

static const struct state_field serial_state[] = {
	STATE_(STATE_U8, struct serial, ier),
	STATE_(STATE_U8, struct serial, fcr),
	STATE_(STATE_U8, struct serial, lcr),
	STATE_(STATE_U8, struct serial, mcr),
	STATE_(STATE_U8, struct serial, lsr),
	STATE_(STATE_U8, struct serial, msr),
	STATE_(STATE_U8, struct serial, scr),
	STATE_(STATE_U16, struct serial, divisor),
	STATE_(STATE_BOOL, struct serial, programmed),
	STATE_(STATE_BOOL, struct serial, thr_pending),
	STATE_(STATE_BOOL, struct serial, timeout_pending),
	STATE_(STATE_BYTES, struct serial, rx),
	STATE_(STATE_BYTES, struct serial, rx_error),
	STATE_(STATE_U8, struct serial, rx_head),
	STATE_(STATE_U8, struct serial, rx_count),
	STATE_(STATE_BYTES, struct serial, tx),
	STATE_(STATE_U8, struct serial, tx_head),
	STATE_(STATE_U8, struct serial, tx_count),
	STATE_(STATE_VTIMER, struct serial, rx_timeout),
	STATE_(STATE_VTIMER, struct serial, tx_stall),
	STATE_END,
};

void serial_wiring(const struct device *dev, u32 *ret_index, u32 *ret_iobase,
		   u32 *ret_irq)
{
	const struct serial *s = (const struct serial *)dev;

	*ret_index = s->index;
	*ret_iobase = s->iobase;
	*ret_irq = s->irq;
}

static int serial_place(struct serial *s, struct err *err)
{
	static const u16 ports[] = { 0x3f8, 0x2f8, 0x3e8, 0x2e8 };
	static const u8 irqs[] = { 4, 3, 4, 3 };
	struct device *other;

	if (s->index == SERIAL_AUTO) {
		s->index = 0;
		list_for_each (other, &s->dev.m->devices, node)
			if (other->class == s->dev.class && other != &s->dev)
				s->index++;
	}
	if (s->index >= ARRAY_SIZE(ports))
		return err_set(err, -EINVAL,
			       "at most %zu serial ports are supported",
			       ARRAY_SIZE(ports));
	if (s->iobase == SERIAL_AUTO)
		s->iobase = ports[s->index];
	if (s->irq == SERIAL_AUTO)
		s->irq = irqs[s->index];
	if (s->iobase > 0xfff8)
		return err_set(err, -EINVAL, "iobase 0x%x is no I/O port",
			       s->iobase);
	if (s->irq > 15)
		return err_set(err, -EINVAL, "irq %u is not 0-15", s->irq);
	return 0;
}

static int serial_init(struct device *dev, struct err *err)
{
	struct serial *s = (struct serial *)dev;
	int r;

	vtimer_init(&s->rx_timeout, dev->m, serial_rx_timeout, s);
	vtimer_init(&s->tx_stall, dev->m, serial_tx_stall, s);
	r = serial_place(s, err);
	if (r < 0)
		return r;
	if (s->chr) {
		r = chr_attach(s->chr, &serial_front, s, err);
		if (r < 0) {
			s->chr = NULL; /* not ours to detach */
			return r;
		}
	}
	region_map(&s->io, &dev->m->io, "serial", s->iobase, 8, &serial_ops, s);
	return 0;
}

static void serial_reset(struct device *dev)
{
	struct serial *s = (struct serial *)dev;

	s->ier = s->fcr = s->lcr = s->scr = 0;
	s->mcr = COM_MCR_OUT2;
	s->lsr = COM_LSR_THRE | COM_LSR_TEMT;
	s->msr = COM_MSR_DCD | COM_MSR_DSR | COM_MSR_CTS;
	s->divisor = 12; /* 9600 */
	s->thr_pending = s->timeout_pending = s->programmed = false;
	s->rx_head = s->rx_count = s->tx_head = s->tx_count = 0;
	vtimer_cancel(&s->rx_timeout);
	vtimer_cancel(&s->tx_stall);
	serial_update_irq(s);
	chr_accept_input(s->chr);
}

static void serial_fini(struct device *dev)
{
	struct serial *s = (struct serial *)dev;

	if (s->chr)
		chr_detach(s->chr, s);
	region_unmap(&s->io);
	vtimer_cancel(&s->rx_timeout);
	vtimer_cancel(&s->tx_stall);
}

static int serial_loaded(struct device *dev, struct err *err)
{
	struct serial *s = (struct serial *)dev;

	if (s->rx_head >= SERIAL_FIFO || s->rx_count > SERIAL_FIFO ||
	    s->tx_head >= SERIAL_FIFO || s->tx_count > SERIAL_FIFO)
		return err_set(err, -EINVAL, "FIFO positions out of range");
	serial_set_line(s);
	serial_update_irq(s);
	return 0;
}

static void serial_info(struct device *dev, struct buf *out)
{
	struct serial *s = (struct serial *)dev;

	buf_printf(out, "isa irq %u\n", s->irq);
	buf_printf(out, "i/o at 0x%x, divisor %u, %u byte%s to read\n",
		   s->iobase, s->divisor, s->rx_count,
		   s->rx_count == 1 ? "" : "s");
}

const struct device_class serial_class = {
	.name = "isa-serial",
	.desc = "16550A serial port",
	.bus = BUS_ISA,
	.group = DEVICE_INPUT,
	.size = sizeof(struct serial),
	.user = true,
	.options = serial_options,
	.state = serial_state,
	.init = serial_init,
	.reset = serial_reset,
	.fini = serial_fini,
	.info = serial_info,
	.loaded = serial_loaded,
};
