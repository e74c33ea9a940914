/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * pvpanic: a register by which a guest tells that its kernel has panicked, or
 * goes on in a crash kernel.
 *
 * Spec: QEMU's docs/specs/pvpanic.rst.
 * Locking: machine_lock.
 */
#include "devices/pc.h"
#include "devices/pci.h"
#include "lib/buf.h"
#include "lib/log.h"
#include "vmm/machine.h"
#include "vmm/panic.h"

#define PVPANIC_BAR      16u
#define PVPANIC_PANICKED 0x01
#define PVPANIC_LOADED   0x02
#define PVPANIC_ALL      (PVPANIC_PANICKED | PVPANIC_LOADED)

struct pvpanic {
	struct pci_device pci;
	u8 events; /* option: what is offered */
};

static u64 pvpanic_read(void *opaque, u64 offset, u32 size)
{
	const struct pvpanic *s = opaque;

	return offset == 0 ? s->events : 0;
}

static void pvpanic_write(void *opaque, u64 offset, u32 size, u64 value)
{
	struct pvpanic *s = opaque;

	if (offset || (value & ~(u64)PVPANIC_ALL))
		log_guest("pvpanic", "%#llx written at %llu",
			  (unsigned long long)value,
			  (unsigned long long)offset);
	if (offset)
		return;
	value &= s->events;
	if (value & PVPANIC_PANICKED)
		machine_panicked(s->pci.dev.m);
	else if (value & PVPANIC_LOADED)
		machine_crash_loaded(s->pci.dev.m);
}

static const struct region_ops pvpanic_ops = {
	.read = pvpanic_read,
	.write = pvpanic_write,
	.max_size = 1,
};

static void pvpanic_reset(struct device *dev)
{
	pci_device_reset(&((struct pvpanic *)dev)->pci);
}

static int pvpanic_init(struct device *dev, struct err *err)
{
	struct pvpanic *s = (struct pvpanic *)dev;
	int r = pci_device_init(&s->pci, err);

	if (r < 0)
		return r;
	pci_add_bar(&s->pci, 0, "pvpanic", PVPANIC_BAR, false, false, false,
		    &pvpanic_ops, s);
	return 0;
}

static void pvpanic_fini(struct device *dev)
{
	pci_device_fini(&((struct pvpanic *)dev)->pci);
}

static int pvpanic_loaded(struct device *dev, struct err *err)
{
	return pci_device_loaded(&((struct pvpanic *)dev)->pci, err);
}

static void pvpanic_info(struct device *dev, struct buf *out)
{
	pci_device_info(&((struct pvpanic *)dev)->pci, out);
}

static const struct opt_range pvpanic_events = { 0, PVPANIC_ALL };

static const struct option_row pvpanic_options[] = {
	PCI_OPTION_ROWS(struct pvpanic),
	{ "events", &opt_u8, offsetof(struct pvpanic, events), "3",
	  "what the guest may tell: 1 a panic, 2 a crash kernel",
	  &pvpanic_events },
	OPTION_END,
};

static const struct state_field pvpanic_state[] = {
	PCI_STATE_ROWS,
	STATE_END,
};

static const struct pci_class pvpanic_pci = {
	.vendor = 0x1b36,
	.device = 0x0011,
	.subsys_vendor = 0x1af4,
	.subsys = 0x1100,
	.class_code = 0x088000,
};

const struct device_class pvpanic_class = {
	.name = "pvpanic-pci",
	.desc = "tells of a guest's panic",
	.bus = BUS_PCI,
	.size = sizeof(struct pvpanic),
	.user = true,
	.hotplug = true,
	.options = pvpanic_options,
	.state = pvpanic_state,
	.bus_class = &pvpanic_pci,
	.init = pvpanic_init,
	.reset = pvpanic_reset,
	.fini = pvpanic_fini,
	.info = pvpanic_info,
	.loaded = pvpanic_loaded,
};
