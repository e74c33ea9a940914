/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ISA bridge in the image of the PIIX3: routes the PCI bus's four interrupt
 * lines to ISA interrupts, PIC and IOAPIC alike.
 *
 * The route registers 0x60-0x63 are what ACPI's link devices LNKA-LNKD write
 * (devices/acpi_aml.c); without them pci_assign() or firmware sets 10, 10,
 * 11, 11.  A line that several PIRQs share is high while any of them is.
 *
 * Spec: Intel 82371SB data sheet, "PIRQRC".
 * Locking: machine_lock.
 */
#include "devices/pc.h"

#include <string.h>

#include "devices/pci.h"
#include "lib/buf.h"
#include "vmm/machine.h"
#include "vmm/state.h"

#define PIIX_PIRQRC     0x60
#define PIRQRC_DISABLED 0x80
#define PIRQS           4

/* Lines that a PIRQ may be routed to: 3-7, 9-12, 14, 15. */
#define PIRQ_ALLOWED 0xdef8u

struct isa_bridge {
	struct pci_device pci;
	bool level[PIRQS];
	u16 driven; /* lines that are high because of a PIRQ */
};

static void isa_bridge_update(struct isa_bridge *s)
{
	u16 want = 0, changed;

	for (int i = 0; i < PIRQS; i++) {
		u8 route = s->pci.config[PIIX_PIRQRC + i];

		if (s->level[i] && !(route & PIRQRC_DISABLED))
			want |= 1u << (route & 15);
	}
	want &= PIRQ_ALLOWED;
	changed = want ^ s->driven;
	s->driven = want;
	for (int n = 0; n < 16; n++)
		if (changed & 1u << n)
			irq_set(&s->pci.dev.m->gsi[n], want >> n & 1);
}

static void isa_bridge_pirq(void *opaque, int n, int level)
{
	struct isa_bridge *s = opaque;

	s->level[n] = level;
	isa_bridge_update(s);
}

static void isa_bridge_config_written(struct pci_device *dev, u32 offset,
				      u32 len)
{
	isa_bridge_update((struct isa_bridge *)dev);
}

static const struct option_row isa_bridge_options[] = {
	{ "addr", &opt_str, offsetof(struct isa_bridge, pci.addr), "01.0",
	  "slot.function, hexadecimal", NULL },
	OPTION_END,
};

static const struct state_field isa_bridge_state[] = {
	PCI_STATE_ROWS,
	STATE_ARRAY_(STATE_BOOL, struct isa_bridge, level),
	STATE_END,
};

static int isa_bridge_init(struct device *dev, struct err *err)
{
	struct isa_bridge *s = (struct isa_bridge *)dev;
	int r = pci_device_init(&s->pci, err);

	if (r < 0)
		return r;
	memset(s->pci.wmask + 0x40, 0xff, 0xc0);
	for (int i = 0; i < PIRQS; i++)
		s->pci.bus->pirq[i] = (struct irq){ isa_bridge_pirq, s, i };
	return 0;
}

static void isa_bridge_reset(struct device *dev)
{
	struct isa_bridge *s = (struct isa_bridge *)dev;
	u8 *config = s->pci.config;

	pci_device_reset(&s->pci);
	config[0x04] = 0x07; /* the bridge always decodes */
	memset(config + PIIX_PIRQRC, PIRQRC_DISABLED, PIRQS);
	isa_bridge_update(s);
}

static void isa_bridge_fini(struct device *dev)
{
	struct isa_bridge *s = (struct isa_bridge *)dev;

	for (int i = 0; s->pci.bus && i < PIRQS; i++)
		s->pci.bus->pirq[i] = (struct irq){ 0 };
	pci_device_fini(&s->pci);
}

static void isa_bridge_info(struct device *dev, struct buf *out)
{
	struct isa_bridge *s = (struct isa_bridge *)dev;

	pci_device_info(&s->pci, out);
	for (int i = 0; i < PIRQS; i++) {
		u8 route = s->pci.config[PIIX_PIRQRC + i];

		if (route & PIRQRC_DISABLED)
			buf_printf(out, "PIRQ%c off\n", 'A' + i);
		else
			buf_printf(out, "PIRQ%c to irq %u, level %d\n", 'A' + i,
				   route & 15, s->level[i]);
	}
}

static int isa_bridge_loaded(struct device *dev, struct err *err)
{
	struct isa_bridge *s = (struct isa_bridge *)dev;
	int r = pci_device_loaded(&s->pci, err);

	isa_bridge_update(s);
	return r;
}

const struct device_class isa_bridge_class = {
	.name = "PIIX3",
	.desc = "ISA bridge",
	.bus = BUS_PCI,
	.size = sizeof(struct isa_bridge),
	.options = isa_bridge_options,
	.state = isa_bridge_state,
	.bus_class =
		&(const struct pci_class){
			.vendor = 0x8086,
			.device = 0x7000,
			.class_code = 0x060100,
			.config_written = isa_bridge_config_written,
		},
	.init = isa_bridge_init,
	.reset = isa_bridge_reset,
	.fini = isa_bridge_fini,
	.info = isa_bridge_info,
	.loaded = isa_bridge_loaded,
};
