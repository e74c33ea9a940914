/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * I/O APIC with 24 pins, version 0x20 (EOI register).
 *
 * A pin's message leaves through msi_send(), so the same model serves the
 * LAPIC models and a split irqchip.  A level-triggered pin sends once, sets
 * Remote IRR and sends again only after an EOI for its vector.  An edge that
 * comes while its pin is masked is kept and sent when the mask is lifted.
 *
 * Spec: Intel 82093AA data sheet; ICH "EOI register".
 * Locking: machine_lock.
 */
#include "devices/pc.h"

#include "lib/buf.h"
#include "lib/lock.h"
#include "vmm/accel.h"
#include "vmm/device.h"
#include "vmm/machine.h"
#include "vmm/memory.h"
#include "vmm/state.h"

#define IOAPIC_VERSION  0x20
#define IOAPIC_PRIORITY 100 /* no BAR hides it */

/* Memory-mapped registers. */
#define IOAPIC_SELECT 0x00
#define IOAPIC_WINDOW 0x10
#define IOAPIC_EOI    0x40

/* Registers behind the window. */
#define IOAPIC_REG_ID   0x00
#define IOAPIC_REG_VER  0x01
#define IOAPIC_REG_ARB  0x02
#define IOAPIC_REG_PINS 0x10

#define PIN_VECTOR     0xffu
#define PIN_DELIVERY   0x700u
#define PIN_LOGICAL    BIT(11)
#define PIN_SENDING    BIT(12)
#define PIN_ACTIVE_LOW BIT(13)
#define PIN_REMOTE_IRR BIT(14)
#define PIN_LEVEL      BIT(15)
#define PIN_MASKED     BIT(16)
#define PIN_READONLY   (PIN_SENDING | PIN_REMOTE_IRR)
#define PIN_VALID      (0xff0000000001ffffull)

#define DELIVERY(pin)   ((pin) >> 8 & 7)
#define DELIVERY_EXTINT 7

struct ioapic {
	struct device dev;
	struct region mmio;
	u8 select;
	u32 id;
	u64 pin[IOAPIC_PINS];
	u32 lines; /* levels of the inputs */
	u32 irr;   /* requests: levels mirror the line, edges wait to be sent */
	u64 sent[IOAPIC_PINS];
};

static struct msi ioapic_message(u64 pin)
{
	return (struct msi){
		.addr = LAPIC_BASE | (pin >> 56) << 12 |
			(pin & PIN_LOGICAL ? 4 : 0),
		.data = (pin & (PIN_VECTOR | PIN_DELIVERY)) | 1 << 14 |
			(pin & PIN_LEVEL ? 1 << 15 : 0),
	};
}

static void ioapic_send(struct ioapic *s, int n)
{
	struct machine *m = s->dev.m;
	struct msi msi = ioapic_message(s->pin[n]);

	if (DELIVERY(s->pin[n]) == DELIVERY_EXTINT) {
		/* The vector comes from the PIC, at once. */
		int vector = m->pic_accept ? m->pic_accept(m) : -1;

		if (vector < 0)
			return;
		msi.data = (msi.data & ~(PIN_VECTOR | PIN_DELIVERY)) | vector;
	}
	s->sent[n]++;
	msi_send(m, &msi);
}

/* Sends what pin `n` requests and may send. */
static void ioapic_service(struct ioapic *s, int n)
{
	u64 pin = s->pin[n];

	if (!(s->irr & 1u << n) || (pin & PIN_MASKED))
		return;
	if (pin & PIN_LEVEL) {
		if (pin & PIN_REMOTE_IRR)
			return;
		s->pin[n] |= PIN_REMOTE_IRR;
	} else {
		s->irr &= ~(1u << n);
	}
	ioapic_send(s, n);
}

static void ioapic_input_set(void *opaque, int n, int level)
{
	struct ioapic *s = opaque;
	u32 mask = 1u << n;
	bool rising = level && !(s->lines & mask);

	assert_locked(&machine_lock);
	if (level)
		s->lines |= mask;
	else
		s->lines &= ~mask;
	if (s->pin[n] & PIN_LEVEL) {
		if (level)
			s->irr |= mask;
		else
			s->irr &= ~mask;
	} else if (rising && !(s->pin[n] & PIN_MASKED)) {
		/* 82093AA 3.2.4: no edge is held under the mask. */
		s->irr |= mask;
	}
	ioapic_service(s, n);
}

struct irq ioapic_input(struct device *dev, int pin)
{
	return (struct irq){ ioapic_input_set, dev, pin % IOAPIC_PINS };
}

static void ioapic_eoi_vector(struct ioapic *s, u8 vector)
{
	for (int n = 0; n < IOAPIC_PINS; n++) {
		if ((s->pin[n] & PIN_VECTOR) != vector ||
		    !(s->pin[n] & PIN_REMOTE_IRR))
			continue;
		s->pin[n] &= ~PIN_REMOTE_IRR;
		ioapic_service(s, n);
	}
}

static void ioapic_eoi(struct machine *m, u8 vector)
{
	assert_locked(&machine_lock);
	if (m->ioapic)
		ioapic_eoi_vector(m->ioapic, vector);
}

static bool ioapic_route(struct machine *m, int pin, struct msi *ret)
{
	struct ioapic *s = m->ioapic;

	if (!s || pin < 0 || pin >= IOAPIC_PINS || (s->pin[pin] & PIN_MASKED))
		return false;
	*ret = ioapic_message(s->pin[pin]);
	return true;
}

static void ioapic_write_pin(struct ioapic *s, int n, bool high, u32 value)
{
	u64 old = s->pin[n];
	u64 pin;

	if (high)
		pin = (u32)old | (u64)value << 32;
	else
		pin = (old & ~0xffffffffull) | (value & ~PIN_READONLY) |
		      (old & PIN_READONLY);
	pin &= PIN_VALID;
	/* A pin turned to edge forgets its unfinished level interrupt, which
	 * is how software ends one without the EOI register. */
	if (!(pin & PIN_LEVEL))
		pin &= ~PIN_REMOTE_IRR;
	s->pin[n] = pin;
	if (!(old & PIN_LEVEL) && (pin & PIN_LEVEL))
		s->irr = (s->irr & ~(1u << n)) | (s->lines & 1u << n);
	else if ((old & PIN_LEVEL) && !(pin & PIN_LEVEL))
		s->irr &= ~(1u << n);
	if (old != pin && s->dev.m->accel && s->dev.m->accel->ioapic_changed)
		s->dev.m->accel->ioapic_changed(s->dev.m);
	ioapic_service(s, n);
}

static u32 ioapic_read_window(const struct ioapic *s)
{
	u32 n = s->select - IOAPIC_REG_PINS;

	switch (s->select) {
	case IOAPIC_REG_ID:
	case IOAPIC_REG_ARB: return s->id << 24;
	case IOAPIC_REG_VER: return IOAPIC_VERSION | (IOAPIC_PINS - 1) << 16;
	default:
		if (s->select < IOAPIC_REG_PINS || n >= 2 * IOAPIC_PINS)
			return 0;
		return s->pin[n / 2] >> (n & 1 ? 32 : 0);
	}
}

static u64 ioapic_read(void *opaque, u64 offset, u32 size)
{
	struct ioapic *s = opaque;

	switch (offset) {
	case IOAPIC_SELECT: return s->select;
	case IOAPIC_WINDOW: return ioapic_read_window(s);
	default: return 0;
	}
}

static void ioapic_write(void *opaque, u64 offset, u32 size, u64 value)
{
	struct ioapic *s = opaque;
	u32 n = s->select - IOAPIC_REG_PINS;

	switch (offset) {
	case IOAPIC_SELECT: s->select = value; break;
	case IOAPIC_WINDOW:
		if (s->select == IOAPIC_REG_ID)
			s->id = value >> 24 & 0x0f;
		else if (s->select >= IOAPIC_REG_PINS && n < 2 * IOAPIC_PINS)
			ioapic_write_pin(s, n / 2, n & 1, value);
		break;
	case IOAPIC_EOI: ioapic_eoi_vector(s, value); break;
	}
}

static const struct region_ops ioapic_ops = {
	.read = ioapic_read,
	.write = ioapic_write,
	.min_size = 4,
	.max_size = 4,
};

static void ioapic_list_pins(const char *name, u32 bits, struct buf *out)
{
	buf_printf(out, "  %-8s ", name);
	if (!bits)
		buf_puts(out, "(none)");
	for (int n = 0; n < IOAPIC_PINS; n++)
		if (bits & 1u << n)
			buf_printf(out, "%-2d ", n);
	buf_putc(out, '\n');
}

void ioapic_info(struct machine *m, struct buf *out)
{
	static const char *const delivery[] = { "fixed", "lowest", "SMI",
						"...",   "NMI",    "INIT",
						"...",   "extINT" };
	struct ioapic *s = m->ioapic;
	u32 remote = 0;

	if (!s)
		return;
	buf_printf(out, "ioapic0: ver=0x%x id=0x%02x sel=0x%02x",
		   IOAPIC_VERSION, s->id, s->select);
	if (s->select >= IOAPIC_REG_PINS)
		buf_printf(out, " (redir[%u])",
			   (s->select - IOAPIC_REG_PINS) / 2u);
	buf_putc(out, '\n');
	for (int n = 0; n < IOAPIC_PINS; n++) {
		u64 pin = s->pin[n];

		if (pin & PIN_REMOTE_IRR)
			remote |= 1u << n;
		buf_printf(out,
			   "  pin %-2d 0x%016llx dest=%llx vec=%-3u %s %-5s "
			   "%-6s %-6s %s\n",
			   n, (unsigned long long)pin,
			   (unsigned long long)pin >> 56,
			   (unsigned)(pin & PIN_VECTOR),
			   pin & PIN_ACTIVE_LOW ? "active-lo" : "active-hi",
			   pin & PIN_LEVEL ? "level" : "edge",
			   pin & PIN_MASKED ? "masked" : "",
			   delivery[DELIVERY(pin)],
			   pin & PIN_LOGICAL ? "logical" : "physical");
	}
	ioapic_list_pins("IRR", s->irr, out);
	ioapic_list_pins("Remote IRR", remote, out);
}

void ioapic_irq_info(struct machine *m, struct buf *out)
{
	struct ioapic *s = m->ioapic;

	if (!s)
		return;
	buf_puts(out, "IRQ statistics for ioapic:\n");
	for (int n = 0; n < IOAPIC_PINS; n++)
		if (s->sent[n])
			buf_printf(out, "%2d: %llu\n", n,
				   (unsigned long long)s->sent[n]);
}

static const struct state_field ioapic_state[] = {
	STATE_(STATE_U8, struct ioapic, select),
	STATE_(STATE_U32, struct ioapic, id),
	STATE_ARRAY_(STATE_U64, struct ioapic, pin),
	STATE_(STATE_U32, struct ioapic, lines),
	STATE_(STATE_U32, struct ioapic, irr),
	STATE_END,
};

static int ioapic_init(struct device *dev, struct err *err)
{
	struct ioapic *s = (struct ioapic *)dev;
	struct machine *m = dev->m;

	s->mmio.priority = IOAPIC_PRIORITY;
	region_map(&s->mmio, &m->memory, "ioapic", IOAPIC_BASE, 0x1000,
		   &ioapic_ops, s);
	m->ioapic = dev;
	m->ioapic_eoi = ioapic_eoi;
	m->ioapic_route = ioapic_route;
	return 0;
}

static void ioapic_reset(struct device *dev)
{
	struct ioapic *s = (struct ioapic *)dev;

	s->select = 0;
	s->id = 0;
	s->irr = 0;
	for (int n = 0; n < IOAPIC_PINS; n++)
		s->pin[n] = PIN_MASKED;
	if (dev->m->accel && dev->m->accel->ioapic_changed)
		dev->m->accel->ioapic_changed(dev->m);
}

static void ioapic_fini(struct device *dev)
{
	struct ioapic *s = (struct ioapic *)dev;

	region_unmap(&s->mmio);
	if (dev->m->ioapic == dev) {
		dev->m->ioapic = NULL;
		dev->m->ioapic_eoi = NULL;
		dev->m->ioapic_route = NULL;
	}
}

static int ioapic_loaded(struct device *dev, struct err *err)
{
	struct ioapic *s = (struct ioapic *)dev;

	for (int n = 0; n < IOAPIC_PINS; n++)
		s->pin[n] &= PIN_VALID;
	s->irr &= (1u << IOAPIC_PINS) - 1;
	s->lines &= (1u << IOAPIC_PINS) - 1;
	if (dev->m->accel && dev->m->accel->ioapic_changed)
		dev->m->accel->ioapic_changed(dev->m);
	return 0;
}

static void ioapic_qtree(struct device *dev, struct buf *out)
{
	buf_printf(out, "version = %d (0x%x)\n", IOAPIC_VERSION,
		   IOAPIC_VERSION);
	buf_printf(out, "mmio %016llx/%016llx\n",
		   (unsigned long long)IOAPIC_BASE, 0x1000ull);
}

const struct device_class ioapic_class = {
	.name = "ioapic",
	.desc = "I/O APIC",
	.bus = BUS_SYSTEM,
	.size = sizeof(struct ioapic),
	.state = ioapic_state,
	.init = ioapic_init,
	.reset = ioapic_reset,
	.fini = ioapic_fini,
	.info = ioapic_qtree,
	.loaded = ioapic_loaded,
};
