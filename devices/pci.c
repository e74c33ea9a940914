/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The PCI bus: configuration space, BARs, INTx, assignment of addresses.  MSI-X
 * is in devices/pci_msix.c.
 *
 * `wmask` and `w1cmask` say what a guest may change; everything that follows
 * from a change (mappings, INTx, MSI-X) is recomputed from the bytes.
 *
 * Spec: PCI Local Bus 3.0 §6.1, §6.2.5, §6.8.2.
 * Locking: machine_lock.
 */
#include "devices/pci.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/log.h"
#include "vmm/machine.h"

#define PCI_SUBSYS_VENDOR 0x1af4
#define PCI_SUBSYS_DEVICE 0x1100

#define PCI_BAR_PRIORITY 1

/* ---- INTx ---- */

/* Which of the host bridge's four lines a pin is wired to, as on i440FX. */
static int pci_pirq(const struct pci_device *dev)
{
	return (dev->config[PCI_INTERRUPT_PIN] - 1 + (dev->devfn >> 3) - 1) & 3;
}

static void pci_update_intx(struct pci_device *dev)
{
	u16 command = get_le16(dev->config + PCI_COMMAND);
	bool drive = dev->intx_level && !(command & PCI_COMMAND_INTX_DISABLE);
	struct pci_bus *bus = dev->bus;
	int pirq;

	if (dev->intx_level)
		dev->config[PCI_STATUS] |= PCI_STATUS_INTERRUPT;
	else
		dev->config[PCI_STATUS] &= ~PCI_STATUS_INTERRUPT;
	if (drive == dev->intx_driven || !dev->config[PCI_INTERRUPT_PIN])
		return;
	dev->intx_driven = drive;
	pirq = pci_pirq(dev);
	bus->pirq_level[pirq] += drive ? 1 : -1;
	irq_set(&bus->pirq[pirq], bus->pirq_level[pirq] > 0);
}

void pci_set_intx(struct pci_device *dev, int level)
{
	if (dev->intx_level == !!level)
		return;
	dev->intx_level = level;
	pci_update_intx(dev);
}

/* ---- BARs ---- */

static u64 pci_blank_read(void *opaque, u64 offset, u32 size)
{
	return 0;
}

static void pci_blank_write(void *opaque, u64 offset, u32 size, u64 value)
{
}

/* Of a BAR that holds nothing but MSI-X structures. */
static const struct region_ops pci_blank_ops = {
	.read = pci_blank_read,
	.write = pci_blank_write,
	.max_size = 8,
};

void pci_add_bar(struct pci_device *dev, int n, const char *name, u64 size,
		 bool io, bool is64, bool prefetch,
		 const struct region_ops *ops, void *opaque)
{
	struct pci_bar *bar = &dev->bar[n];
	u8 at = PCI_BASE_ADDRESS_0 + 4 * n;
	u64 mask = ~(size - 1);

	bar->region.name = name;
	bar->region.priority = PCI_BAR_PRIORITY;
	bar->ops = ops ? ops : &pci_blank_ops;
	bar->opaque = opaque;
	bar->size = size;
	bar->io = io;
	bar->is64 = is64;
	bar->prefetch = prefetch;
	put_le32(dev->config + at,
		 (io ? PCI_BASE_ADDRESS_SPACE_IO : 0) |
			 (is64 ? PCI_BASE_ADDRESS_MEM_TYPE_64 : 0) |
			 (prefetch ? PCI_BASE_ADDRESS_MEM_PREFETCH : 0));
	put_le32(dev->wmask + at, (u32)mask);
	if (is64)
		put_le32(dev->wmask + at + 4, mask >> 32);
}

/* Address that the BAR's registers hold. */
static u64 pci_bar_register(const struct pci_device *dev, int n)
{
	const struct pci_bar *bar = &dev->bar[n];
	const u8 *at = dev->config + PCI_BASE_ADDRESS_0 + 4 * n;
	u64 addr = get_le32(at);

	if (bar->is64)
		addr |= (u64)get_le32(at + 4) << 32;
	return addr & ~(bar->size - 1);
}

/* Where the BAR decodes now, or UINT64_MAX. */
u64 pci_bar_address(const struct pci_device *dev, int n)
{
	const struct pci_bar *bar = &dev->bar[n];
	u16 command = get_le16(dev->config + PCI_COMMAND);
	u64 addr = pci_bar_register(dev, n);
	u64 last = addr + bar->size - 1;
	u64 max = bar->io ? 0xffff : bar->is64 ? UINT64_MAX - 1 : 0xfffffffe;

	if (!(command & (bar->io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY)))
		return UINT64_MAX;
	if (!addr || last < addr || last > max)
		return UINT64_MAX; /* being sized, or nonsense */
	return addr;
}

static void pci_place(struct region *r, struct space *space, u64 addr, u64 size,
		      const struct region_ops *ops, void *opaque)
{
	if (addr == UINT64_MAX)
		region_unmap(r);
	else if (!r->space)
		region_map(r, space, r->name, addr, size, ops, opaque);
	else if (r->base != addr)
		region_map_at(r, space, addr);
}

static void pci_update_mappings(struct pci_device *dev)
{
	struct machine *m = dev->dev.m;
	struct pci_msix *x = &dev->msix;
	u64 addr;

	for (int n = 0; n < PCI_BARS; n++) {
		struct pci_bar *bar = &dev->bar[n];

		if (!bar->size)
			continue;
		addr = pci_bar_address(dev, n);
		pci_place(&bar->region, bar->io ? &m->io : &m->memory, addr,
			  bar->size, bar->ops, bar->opaque);
	}
	if (!x->count)
		return;
	addr = pci_bar_address(dev, x->bar);
	pci_place(&x->table, &m->memory,
		  addr == UINT64_MAX ? addr : addr + x->table_offset,
		  (u64)x->count * PCI_MSIX_ENTRY_SIZE, &pci_msix_table_ops,
		  dev);
	pci_place(&x->pba, &m->memory,
		  addr == UINT64_MAX ? addr : addr + x->pba_offset,
		  ((u64)x->count + 63) / 64 * 8, &pci_msix_pba_ops, dev);
}

/* ---- Capabilities ---- */

u8 pci_add_capability(struct pci_device *dev, u8 id, u8 len)
{
	u8 at = dev->cap_end;

	dev->cap_end = ALIGN_UP(at + len, 4);
	dev->config[at] = id;
	dev->config[at + 1] = dev->config[PCI_CAPABILITY_LIST];
	dev->config[PCI_CAPABILITY_LIST] = at;
	dev->config[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
	return at;
}

/* ---- Configuration space ---- */

u32 pci_config_read(struct pci_bus *bus, u8 devfn, u32 offset, u32 len)
{
	struct pci_device *dev = bus->dev[devfn];
	const struct pci_class *class;
	u8 bytes[4] = { 0 };

	if (!dev || dev->gone || len > 4 ||
	    offset > sizeof dev->config - len)
		return len < 4 ? (1u << 8 * len) - 1 : UINT32_MAX;
	class = dev->dev.class->bus_class;
	if (class->config_read)
		class->config_read(dev, offset, len);
	memcpy(bytes, dev->config + offset, len);
	return get_le32(bytes);
}

void pci_config_write(struct pci_bus *bus, u8 devfn, u32 offset, u32 len,
		      u32 value)
{
	struct pci_device *dev = bus->dev[devfn];
	const struct pci_class *class;

	if (!dev || dev->gone || len > 4 ||
	    offset > sizeof dev->config - len)
		return;
	class = dev->dev.class->bus_class;
	for (u32 i = offset; i < offset + len; i++, value >>= 8) {
		u8 byte = value;

		dev->config[i] = (dev->config[i] & ~dev->wmask[i]) |
				 (byte & dev->wmask[i]);
		dev->config[i] &= ~(byte & dev->w1cmask[i]);
	}
	if (offset < PCI_CARDBUS_CIS) {
		pci_update_mappings(dev);
		pci_update_intx(dev);
	}
	pci_msix_update(dev);
	if (class->config_written)
		class->config_written(dev, offset, len);
}

/* ---- Devices ---- */

void pci_bus_init(struct pci_bus *bus, struct machine *m)
{
	memset(bus, 0, sizeof *bus);
	bus->m = m;
	m->pci = bus;
}

/* Slots 0 and 1 are the bridges'.  Slot 2 holds QEMU's VGA: left out, it
 * gives the first NIC the place, and so the name, that guests are used to
 * (ens3). */
static int pci_free_slot(const struct pci_bus *bus)
{
	for (int slot = 3; slot < PCI_SLOTS; slot++)
		if (!bus->dev[PCI_DEVFN(slot, 0)])
			return PCI_DEVFN(slot, 0);
	return -1;
}

/* "slot[.function]" */
static int pci_parse_addr(const char *addr, int *ret)
{
	unsigned slot, fn = 0;
	char *end;

	slot = strtoul(addr, &end, 16);
	if (end == addr)
		return -EINVAL;
	if (*end == '.') {
		addr = end + 1;
		fn = strtoul(addr, &end, 16);
		if (end == addr)
			return -EINVAL;
	}
	if (*end || slot >= PCI_SLOTS || fn > 7)
		return -EINVAL;
	*ret = PCI_DEVFN(slot, fn);
	return 0;
}

static int pci_choose_slot(struct pci_device *dev, struct err *err)
{
	struct pci_bus *bus = dev->bus;
	const char *name = dev->dev.class->name;
	const struct pci_device *other;

	if (!dev->addr) {
		dev->devfn = pci_free_slot(bus);
		if (dev->devfn < 0)
			return err_set(err, -EBUSY,
				       "PCI: no slot/function available for "
				       "%s, all in use or reserved",
				       name);
		return 0;
	}
	if (pci_parse_addr(dev->addr, &dev->devfn) < 0)
		return err_set(err, -EINVAL,
			       "property 'addr' of '%s': '%s' is not a slot "
			       "(0-1f) with an optional function (.0-.7)",
			       name, dev->addr);
	other = bus->dev[dev->devfn];
	if (other)
		return err_set(err, -EBUSY,
			       "PCI: slot %d function %d not available for "
			       "%s, in use by %s,id=%s",
			       dev->devfn >> 3, dev->devfn & 7, name,
			       other->dev.class->name,
			       other->dev.id ? other->dev.id : "");
	return 0;
}

/* Function 0 tells whether to look for the others. */
static void pci_update_multifunction(struct pci_bus *bus, int slot)
{
	struct pci_device *first = bus->dev[PCI_DEVFN(slot, 0)];
	bool more = first && first->multifunction;

	for (int fn = 1; fn < 8; fn++)
		more |= bus->dev[PCI_DEVFN(slot, fn)] != NULL;
	if (first)
		first->config[PCI_HEADER_TYPE] = more ? 0x80 : 0;
}

int pci_device_init(struct pci_device *dev, struct err *err)
{
	const struct pci_class *class = dev->dev.class->bus_class;
	u8 *config = dev->config;
	int r;

	dev->bus = dev->dev.m->pci;
	if (!dev->bus)
		return err_set(err, -ENOENT,
			       "No 'PCI' bus found for device '%s'",
			       dev->dev.class->name);
	r = pci_choose_slot(dev, err);
	if (r == 0 && dev->romfile && *dev->romfile)
		r = err_set(err, -ENOTSUP,
			    "romfile=%s: option ROMs are not built in",
			    dev->romfile);
	if (r < 0) {
		dev->bus = NULL;
		return r;
	}
	dev->cap_end = 0x40;
	put_le16(config + PCI_VENDOR_ID, class->vendor);
	put_le16(config + PCI_DEVICE_ID, class->device);
	config[PCI_REVISION_ID] = class->revision;
	config[PCI_CLASS_PROG] = class->class_code;
	put_le16(config + PCI_CLASS_DEVICE, class->class_code >> 8);
	put_le16(config + PCI_SUBSYSTEM_VENDOR_ID,
		 class->subsys_vendor ? class->subsys_vendor
				      : PCI_SUBSYS_VENDOR);
	put_le16(config + PCI_SUBSYSTEM_ID,
		 class->subsys ? class->subsys : PCI_SUBSYS_DEVICE);
	put_le16(dev->wmask + PCI_COMMAND,
		 PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER |
			 PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE);
	dev->wmask[PCI_CACHE_LINE_SIZE] = 0xff;
	dev->wmask[PCI_INTERRUPT_LINE] = 0xff;
	put_le16(dev->w1cmask + PCI_STATUS, 0xf900); /* error bits */
	dev->bus->dev[dev->devfn] = dev;
	pci_update_multifunction(dev->bus, dev->devfn >> 3);
	return 0;
}

void pci_device_fini(struct pci_device *dev)
{
	if (!dev->bus)
		return;
	pci_set_intx(dev, 0);
	region_unmap(&dev->msix.table);
	region_unmap(&dev->msix.pba);
	for (int n = 0; n < PCI_BARS; n++)
		region_unmap(&dev->bar[n].region);
	dev->bus->dev[dev->devfn] = NULL;
	pci_update_multifunction(dev->bus, dev->devfn >> 3);
	pci_msix_fini(dev);
	dev->bus = NULL;
}

void pci_device_reset(struct pci_device *dev)
{
	pci_set_intx(dev, 0);
	for (u32 i = 0; i < sizeof dev->config; i++)
		dev->config[i] &= ~(dev->wmask[i] | dev->w1cmask[i]);
	pci_msix_reset(dev);
	pci_update_mappings(dev);
}

int pci_device_loaded(struct pci_device *dev, struct err *err)
{
	if (dev->config[PCI_INTERRUPT_PIN] > 4)
		return err_set(err, -EINVAL, "interrupt pin %u",
			       dev->config[PCI_INTERRUPT_PIN]);
	for (int i = 0; i < PCI_MSIX_MAX; i++)
		dev->msix.entry[i].control &= PCI_MSIX_ENTRY_CTRL_MASKBIT;
	pci_update_mappings(dev);
	pci_update_intx(dev);
	pci_msix_update(dev);
	return 0;
}

/* ---- Addresses as firmware would give them ---- */

u64 pci_high_window(struct machine *m, u64 *ret_size)
{
	*ret_size = 64 * GIB;
	return ALIGN_UP(4 * GIB + m->ram_above_4g, GIB);
}

struct pci_allocator {
	u64 next, end;
};

/* 0 when the window is full. */
static u64 pci_allocate(struct pci_allocator *a, u64 size)
{
	u64 addr = ALIGN_UP(a->next, size);

	if (addr > a->end || a->end - addr < size)
		return 0;
	a->next = addr + size;
	return addr;
}

static void pci_assign_bar(struct pci_bus *bus, struct pci_device *dev, int n,
			   struct pci_allocator *io, struct pci_allocator *mem,
			   struct pci_allocator *high)
{
	struct pci_bar *bar = &dev->bar[n];
	u32 at = PCI_BASE_ADDRESS_0 + 4 * n;
	u64 addr = pci_allocate(bar->io ? io : mem, bar->size);

	if (!addr && bar->is64)
		addr = pci_allocate(high, bar->size);
	if (!addr) {
		log_warn("no room for BAR %d of '%s'", n,
			 device_label(&dev->dev));
		return;
	}
	pci_config_write(bus, dev->devfn, at, 4, (u32)addr);
	if (bar->is64)
		pci_config_write(bus, dev->devfn, at + 4, 4, addr >> 32);
}

void pci_assign(struct pci_bus *bus)
{
	static const u8 lines[] = { 10, 10, 11, 11 };
	struct pci_allocator io = { PCI_WINDOW_IO, 0x10000 };
	struct pci_allocator mem = { PCI_WINDOW_FIRST, PCI_WINDOW_END };
	struct pci_allocator high;
	u64 size;

	high.next = pci_high_window(bus->m, &size);
	high.end = high.next + size;
	for (int devfn = 0; devfn < 256; devfn++) {
		struct pci_device *dev = bus->dev[devfn];

		if (!dev)
			continue;
		for (int n = 0; n < PCI_BARS; n++)
			if (dev->bar[n].size)
				pci_assign_bar(bus, dev, n, &io, &mem, &high);
		if (dev->config[PCI_INTERRUPT_PIN])
			pci_config_write(bus, devfn, PCI_INTERRUPT_LINE, 1,
					 lines[pci_pirq(dev)]);
		pci_config_write(bus, devfn, PCI_COMMAND, 2,
				 PCI_COMMAND_IO | PCI_COMMAND_MEMORY |
					 PCI_COMMAND_SERR);
	}
	/* The ISA bridge's PIRQ routes: see devices/isa_bridge.c. */
	for (int i = 0; i < 4; i++)
		if (bus->dev[PCI_DEVFN(1, 0)])
			pci_config_write(bus, PCI_DEVFN(1, 0), 0x60 + i, 1,
					 lines[i]);
}

/* ---- Text ---- */

static const struct {
	u16 class;
	const char *name;
} pci_class_names[] = {
	{ 0x0001, "VGA controller" },
	{ 0x0100, "SCSI controller" },
	{ 0x0101, "IDE controller" },
	{ 0x0102, "Floppy controller" },
	{ 0x0103, "IPI controller" },
	{ 0x0104, "RAID controller" },
	{ 0x0106, "SATA controller" },
	{ 0x0107, "SAS controller" },
	{ 0x0180, "Storage controller" },
	{ 0x0200, "Ethernet controller" },
	{ 0x0201, "Token Ring controller" },
	{ 0x0202, "FDDI controller" },
	{ 0x0203, "ATM controller" },
	{ 0x0280, "Network controller" },
	{ 0x0300, "VGA controller" },
	{ 0x0301, "XGA controller" },
	{ 0x0302, "3D controller" },
	{ 0x0380, "Display controller" },
	{ 0x0400, "Video controller" },
	{ 0x0401, "Audio controller" },
	{ 0x0402, "Phone" },
	{ 0x0403, "Audio controller" },
	{ 0x0480, "Multimedia controller" },
	{ 0x0500, "RAM controller" },
	{ 0x0501, "Flash controller" },
	{ 0x0580, "Memory controller" },
	{ 0x0600, "Host bridge" },
	{ 0x0601, "ISA bridge" },
	{ 0x0602, "EISA bridge" },
	{ 0x0603, "MC bridge" },
	{ 0x0604, "PCI bridge" },
	{ 0x0605, "PCMCIA bridge" },
	{ 0x0606, "NUBUS bridge" },
	{ 0x0607, "CARDBUS bridge" },
	{ 0x0608, "RACEWAY bridge" },
	{ 0x0680, "Bridge" },
	{ 0x0700, "Serial port" },
	{ 0x0701, "Parallel port" },
	{ 0x0800, "Interrupt controller" },
	{ 0x0801, "DMA controller" },
	{ 0x0802, "Timer" },
	{ 0x0803, "RTC" },
	{ 0x0900, "Keyboard" },
	{ 0x0901, "Pen" },
	{ 0x0902, "Mouse" },
	{ 0x0a00, "Dock station" },
	{ 0x0b00, "i386 cpu" },
	{ 0x0c00, "Firewire controller" },
	{ 0x0c01, "Access bus controller" },
	{ 0x0c02, "SSA controller" },
	{ 0x0c03, "USB controller" },
	{ 0x0c04, "Fibre channel" },
	{ 0x0c05, "SMBus" },
};

const char *pci_class_name(u16 class)
{
	for (u32 i = 0; i < ARRAY_SIZE(pci_class_names); i++)
		if (pci_class_names[i].class == class)
			return pci_class_names[i].name;
	return NULL;
}

static void pci_info_bar(const struct pci_device *dev, int n, struct buf *out)
{
	const struct pci_bar *bar = &dev->bar[n];
	u64 addr = pci_bar_address(dev, n);
	u64 last = addr + bar->size - 1; /* wraps when unmapped, as in QEMU */

	buf_printf(out, "      BAR%d: ", n);
	if (bar->io)
		buf_printf(out, "I/O at 0x%04llx [0x%04llx].\n",
			   (unsigned long long)addr, (unsigned long long)last);
	else
		buf_printf(out, "%d bit%s memory at 0x%08llx [0x%08llx].\n",
			   bar->is64 ? 64 : 32,
			   bar->prefetch ? " prefetchable" : "",
			   (unsigned long long)addr, (unsigned long long)last);
}

static void pci_info_device(const struct pci_device *dev, struct buf *out)
{
	const u8 *config = dev->config;
	u16 class = get_le16(config + PCI_CLASS_DEVICE);
	const char *name = pci_class_name(class);

	buf_printf(out, "  Bus %2d, device %3d, function %d:\n", 0,
		   dev->devfn >> 3, dev->devfn & 7);
	buf_puts(out, "    ");
	if (name)
		buf_puts(out, name);
	else
		buf_printf(out, "Class %04d", class);
	buf_printf(out, ": PCI device %04x:%04x\n",
		   get_le16(config + PCI_VENDOR_ID),
		   get_le16(config + PCI_DEVICE_ID));
	if (get_le16(config + PCI_SUBSYSTEM_VENDOR_ID))
		buf_printf(out, "      PCI subsystem %04x:%04x\n",
			   get_le16(config + PCI_SUBSYSTEM_VENDOR_ID),
			   get_le16(config + PCI_SUBSYSTEM_ID));
	if (config[PCI_INTERRUPT_PIN])
		buf_printf(out, "      IRQ %d, pin %c\n",
			   config[PCI_INTERRUPT_LINE],
			   'A' + config[PCI_INTERRUPT_PIN] - 1);
	for (int n = 0; n < PCI_BARS; n++)
		if (dev->bar[n].size)
			pci_info_bar(dev, n, out);
	buf_printf(out, "      id \"%s\"\n", dev->dev.id ? dev->dev.id : "");
}

void pci_info(struct pci_bus *bus, struct buf *out)
{
	for (int devfn = 0; devfn < 256; devfn++)
		if (bus->dev[devfn])
			pci_info_device(bus->dev[devfn], out);
}

void pci_device_info(struct pci_device *dev, struct buf *out)
{
	const u8 *config = dev->config;
	u16 class = get_le16(config + PCI_CLASS_DEVICE);
	const char *name = pci_class_name(class);

	buf_puts(out, "class ");
	if (name)
		buf_puts(out, name);
	else
		buf_printf(out, "Class %04x", class);
	buf_printf(out, ", addr 00:%02x.%x, pci id %04x:%04x (sub %04x:%04x)\n",
		   dev->devfn >> 3, dev->devfn & 7,
		   get_le16(config + PCI_VENDOR_ID),
		   get_le16(config + PCI_DEVICE_ID),
		   get_le16(config + PCI_SUBSYSTEM_VENDOR_ID),
		   get_le16(config + PCI_SUBSYSTEM_ID));
	for (int n = 0; n < PCI_BARS; n++) {
		const struct pci_bar *bar = &dev->bar[n];
		u64 addr;

		if (!bar->size)
			continue;
		addr = pci_bar_address(dev, n);
		buf_printf(out, "bar %d: %s at 0x%llx [0x%llx]\n", n,
			   bar->io ? "i/o" : "mem", (unsigned long long)addr,
			   (unsigned long long)(addr + bar->size - 1));
	}
}
