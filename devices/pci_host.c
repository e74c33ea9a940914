/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Host bridge in the image of the i440FX, with configuration mechanism #1.
 *
 * It owns the bus, which is there before any other PCI device.  PAM and
 * SMRAM registers are plain bytes: the machine's low memory is RAM all the
 * time.  Port 0xcf9, which lies inside the address register, is the reset
 * control register.
 *
 * Spec: PCI Local Bus 3.0 §3.2.2.3.2; Intel 82441FX, 82371SB data sheets.
 * Locking: machine_lock.
 */
#include "devices/pc.h"

#include <string.h>

#include "devices/pci.h"
#include "lib/buf.h"
#include "vmm/machine.h"
#include "vmm/memory.h"
#include "vmm/runstate.h"
#include "vmm/state.h"

#define CONFIG_ENABLE 0x80000000u

#define RESET_CPU  0x04 /* resets when it rises */
#define RESET_HARD 0x02

#define I440FX_PAM    0x59
#define I440FX_PAMS   7
#define I440FX_SMRAM  0x72
#define I440FX_PCICMD 0x0006

struct pci_host {
	struct pci_device pci;
	struct pci_bus bus;
	struct region address, data;
	u32 config_address;
	u8 reset_control;
};

/* An access that does not start at 0xcf8 with four bytes belongs to what
 * else lives there: 0xcf9, or nothing. */
static u64 pci_host_read_address(void *opaque, u64 offset, u32 size)
{
	struct pci_host *s = opaque;

	if (offset == 0 && size == 4)
		return s->config_address;
	if (offset == 1 && size == 1)
		return s->reset_control;
	return 0xff;
}

static void pci_host_write_address(void *opaque, u64 offset, u32 size,
				   u64 value)
{
	struct pci_host *s = opaque;

	if (offset == 0 && size == 4) {
		s->config_address = value & ~3u;
	} else if (offset == 1 && size == 1) {
		u8 rising = value & ~s->reset_control;

		s->reset_control = value & RESET_HARD;
		if (rising & RESET_CPU)
			runstate_request_reset(s->pci.dev.m, true);
	}
}

static u64 pci_host_read_data(void *opaque, u64 offset, u32 size)
{
	struct pci_host *s = opaque;
	u32 addr = s->config_address;

	if (!(addr & CONFIG_ENABLE) || (addr >> 16 & 0xff))
		return UINT32_MAX;
	return pci_config_read(&s->bus, addr >> 8 & 0xff,
			       (addr & 0xfc) + offset, size);
}

static void pci_host_write_data(void *opaque, u64 offset, u32 size, u64 value)
{
	struct pci_host *s = opaque;
	u32 addr = s->config_address;

	if (!(addr & CONFIG_ENABLE) || (addr >> 16 & 0xff))
		return;
	pci_config_write(&s->bus, addr >> 8 & 0xff, (addr & 0xfc) + offset,
			 size, value);
}

static const struct region_ops pci_host_address_ops = {
	.read = pci_host_read_address,
	.write = pci_host_write_address,
	.max_size = 4,
};

static const struct region_ops pci_host_data_ops = {
	.read = pci_host_read_data,
	.write = pci_host_write_data,
	.max_size = 4,
};

static const struct option_row pci_host_options[] = {
	{ "addr", &opt_str, offsetof(struct pci_host, pci.addr), "00.0",
	  "slot.function, hexadecimal", NULL },
	OPTION_END,
};

static const struct state_field pci_host_state[] = {
	PCI_STATE_ROWS,
	STATE_(STATE_U32, struct pci_host, config_address),
	STATE_(STATE_U8, struct pci_host, reset_control),
	STATE_END,
};

static int pci_host_init(struct device *dev, struct err *err)
{
	struct pci_host *s = (struct pci_host *)dev;
	struct space *io = &dev->m->io;
	int r;

	pci_bus_init(&s->bus, dev->m);
	r = pci_device_init(&s->pci, err);
	if (r < 0)
		return r;
	memset(s->pci.wmask + 0x50, 0xff, 0x30);
	region_map(&s->address, io, "pci-conf-idx", 0xcf8, 4,
		   &pci_host_address_ops, s);
	region_map(&s->data, io, "pci-conf-data", 0xcfc, 4, &pci_host_data_ops,
		   s);
	return 0;
}

static void pci_host_reset(struct device *dev)
{
	struct pci_host *s = (struct pci_host *)dev;
	u8 *config = s->pci.config;

	pci_device_reset(&s->pci);
	config[0x04] = I440FX_PCICMD;
	config[I440FX_SMRAM] = 0x02;
	/* All of 0xc0000-0xfffff read and written in RAM.  A firmware of the
	 * user's copies itself there when it finds this off, and what it
	 * writes before is RAM anyway. */
	config[I440FX_PAM] = dev->m->firmware ? 0 : 0x30;
	memset(config + I440FX_PAM + 1, dev->m->firmware ? 0 : 0x33,
	       I440FX_PAMS - 1);
	s->config_address = 0;
	s->reset_control = 0;
}

static void pci_host_fini(struct device *dev)
{
	struct pci_host *s = (struct pci_host *)dev;

	region_unmap(&s->address);
	region_unmap(&s->data);
	pci_device_fini(&s->pci);
	if (dev->m->pci == &s->bus)
		dev->m->pci = NULL;
}

static void pci_host_info(struct device *dev, struct buf *out)
{
	pci_device_info((struct pci_device *)dev, out);
}

static int pci_host_loaded(struct device *dev, struct err *err)
{
	return pci_device_loaded((struct pci_device *)dev, err);
}

const struct device_class pci_host_class = {
	.name = "i440FX",
	.desc = "host bridge and PCI bus",
	.bus = BUS_PCI,
	.size = sizeof(struct pci_host),
	.options = pci_host_options,
	.state = pci_host_state,
	.bus_class =
		&(const struct pci_class){
			.vendor = 0x8086,
			.device = 0x1237,
			.class_code = 0x060000,
			.revision = 2,
		},
	.init = pci_host_init,
	.reset = pci_host_reset,
	.fini = pci_host_fini,
	.info = pci_host_info,
	.loaded = pci_host_loaded,
};
