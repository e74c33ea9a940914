/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ACPI hot-plug of PCI slots: two bitmaps of slots that AML reads after a
 * GPE, and an eject register that it writes when the guest let go.
 *
 * The AML is in devices/acpi_dsdt.c.  A device is destroyed by the main
 * loop with all vCPUs parked, never by the vCPU that ejects it.
 *
 * Spec: QEMU docs/specs/acpi_pci_hotplug (bus 0 only).
 * Locking: machine_lock.
 */
#include <errno.h>

#include "block/block.h"
#include "devices/pc.h"
#include "devices/pci.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/log.h"
#include "vmm/machine.h"
#include "vmm/memory.h"
#include "vmm/state.h"
#include "vmm/vcpu.h"

#define HOTPLUG_UP        0x00 /* plugged since the last read */
#define HOTPLUG_DOWN      0x04 /* asked to be released */
#define HOTPLUG_EJECT     0x08 /* written: released */
#define HOTPLUG_REMOVABLE 0x0c
#define HOTPLUG_BUS       0x10 /* only bus 0 */
#define HOTPLUG_BYTES     20

struct acpi_hotplug {
	struct device dev;
	struct region io;
	u32 up, down;
	u32 ejected; /* waiting for the main loop */
	bool posted; /* it has been asked */
};

static struct acpi_hotplug *acpi_hotplug_of(struct machine *m)
{
	struct device *dev;

	list_for_each (dev, &m->devices, node)
		if (dev->class == &acpi_hotplug_class)
			return (struct acpi_hotplug *)dev;
	return NULL;
}

static bool acpi_hotplug_removable(struct pci_bus *bus, int slot)
{
	bool any = false;

	for (int fn = 0; fn < 8; fn++) {
		struct pci_device *dev = bus->dev[PCI_DEVFN(slot, fn)];

		if (dev && !dev->dev.class->hotplug)
			return false;
		any |= dev != NULL;
	}
	return any;
}

/* The drive of a disk goes with it, as in QEMU, unless a program made it. */
static void acpi_hotplug_unplug(struct device *dev)
{
	struct block *drive = block_next(NULL);

	while (drive && drive->front_opaque != dev)
		drive = block_next(drive);
	device_unplug(dev);
	if (drive && !drive->stays)
		block_destroy(drive);
}

/* Main loop: the guest has no use for these slots any more. */
static void acpi_hotplug_destroy(void *opaque)
{
	struct acpi_hotplug *s = acpi_hotplug_of(opaque);
	struct machine *m = opaque;
	struct pci_bus *bus = m->pci;
	u32 slots;

	if (!s)
		return;
	s->posted = false;
	slots = s->ejected;
	s->ejected = 0;
	vcpu_pause_all(m);
	for (int slot = 0; slot < PCI_SLOTS; slot++) {
		if (!(slots & 1u << slot) || !acpi_hotplug_removable(bus, slot))
			continue;
		for (int fn = 7; fn >= 0; fn--)
			if (bus->dev[PCI_DEVFN(slot, fn)])
				acpi_hotplug_unplug(
					&bus->dev[PCI_DEVFN(slot, fn)]->dev);
	}
	vcpu_resume_all(m);
}

/* A guest that scans the bus next must not find what is about to go. */
static void acpi_hotplug_hide(struct pci_bus *bus, u32 slots)
{
	for (int devfn = 0; bus && devfn < PCI_SLOTS * 8; devfn++)
		if (bus->dev[devfn] && slots & 1u << (devfn >> 3))
			bus->dev[devfn]->gone = true;
}

static void acpi_hotplug_eject(struct acpi_hotplug *s, u32 slots)
{
	struct machine *m = s->dev.m;

	/* Only what the user wants gone: a guest cannot drop its devices. */
	slots &= s->down;
	if (slots)
		acpi_hotplug_hide(m->pci, slots);
	s->ejected |= slots;
	s->down &= ~slots;
	if (!s->ejected || s->posted)
		return;
	s->posted = true;
	loop_post(m->loop, acpi_hotplug_destroy, m);
}

static u64 acpi_hotplug_read(void *opaque, u64 offset, u32 size)
{
	struct acpi_hotplug *s = opaque;
	struct pci_bus *bus = s->dev.m->pci;
	u32 value = 0;

	switch (offset) {
	case HOTPLUG_UP:
		value = s->up;
		s->up = 0;
		break;
	case HOTPLUG_DOWN: value = s->down; break;
	case HOTPLUG_REMOVABLE:
		for (int slot = 0; bus && slot < PCI_SLOTS; slot++)
			if (acpi_hotplug_removable(bus, slot))
				value |= 1u << slot;
		break;
	}
	return value;
}

static void acpi_hotplug_write(void *opaque, u64 offset, u32 size, u64 value)
{
	if (offset == HOTPLUG_EJECT)
		acpi_hotplug_eject(opaque, value);
}

static const struct region_ops acpi_hotplug_ops = {
	.read = acpi_hotplug_read,
	.write = acpi_hotplug_write,
	.min_size = 4,
	.max_size = 4,
};

void acpi_hotplug_added(struct pci_device *dev)
{
	struct machine *m = dev->dev.m;
	struct acpi_hotplug *s = acpi_hotplug_of(m);

	if (!s || !m->acpi_pm)
		return;
	s->up |= 1u << (dev->devfn >> 3);
	acpi_pm_gpe(m->acpi_pm, ACPI_HOTPLUG_GPE);
}

int acpi_hotplug_remove(struct pci_device *dev, struct err *err)
{
	struct machine *m = dev->dev.m;
	struct acpi_hotplug *s = acpi_hotplug_of(m);
	int slot = dev->devfn >> 3;

	if (!s || !m->acpi_pm || !acpi_hotplug_removable(m->pci, slot))
		return err_set(err, -ENOTSUP,
			       "Bus 'pci.0' does not support hotplugging of "
			       "'%s'",
			       device_label(&dev->dev));
	s->down |= 1u << slot;
	acpi_pm_gpe(m->acpi_pm, ACPI_HOTPLUG_GPE);
	return 0;
}

static const struct state_field acpi_hotplug_state[] = {
	STATE_(STATE_U32, struct acpi_hotplug, up),
	STATE_(STATE_U32, struct acpi_hotplug, down),
	STATE_END,
};

static int acpi_hotplug_init(struct device *dev, struct err *err)
{
	struct acpi_hotplug *s = (struct acpi_hotplug *)dev;

	region_map(&s->io, &dev->m->io, "acpi-pci-hotplug", ACPI_HOTPLUG_BASE,
		   HOTPLUG_BYTES, &acpi_hotplug_ops, s);
	return 0;
}

/* A reset releases what the guest was asked to release. */
static void acpi_hotplug_reset(struct device *dev)
{
	struct acpi_hotplug *s = (struct acpi_hotplug *)dev;

	s->up = 0;
	acpi_hotplug_eject(s, s->down);
}

static void acpi_hotplug_fini(struct device *dev)
{
	region_unmap(&((struct acpi_hotplug *)dev)->io);
}

static void acpi_hotplug_info(struct device *dev, struct buf *out)
{
	struct acpi_hotplug *s = (struct acpi_hotplug *)dev;

	buf_printf(out, "up 0x%08x, down 0x%08x\n", s->up, s->down);
}

const struct device_class acpi_hotplug_class = {
	.name = "acpi-pci-hotplug",
	.desc = "hot-plug of PCI slots",
	.bus = BUS_SYSTEM,
	.size = sizeof(struct acpi_hotplug),
	.state = acpi_hotplug_state,
	.init = acpi_hotplug_init,
	.reset = acpi_hotplug_reset,
	.fini = acpi_hotplug_fini,
	.info = acpi_hotplug_info,
};
