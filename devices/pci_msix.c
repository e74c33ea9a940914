/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * MSI-X: table, pending bits, delivery.
 *
 * A vector that its device uses goes by an eventfd to the accelerator (irqfd)
 * where that can take it, else by msi_send().
 *
 * Spec: PCI Local Bus 3.0 §6.8.2.
 * Locking: machine_lock for changes; pci_msix_notify() takes only the leaf
 * msix.lock.
 */
#include "devices/pci.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/bytes.h"
#include "lib/err.h"
#include "vmm/accel.h"
#include "vmm/machine.h"

#define MSIX_CAP_BYTES 12

#define PCI_TABLE_PRIORITY 2 /* above the BAR it lies in */

bool pci_msix_enabled(const struct pci_device *dev)
{
	const struct pci_msix *x = &dev->msix;

	return x->count && (get_le16(dev->config + x->cap + PCI_MSIX_FLAGS) &
			    PCI_MSIX_FLAGS_ENABLE);
}

/* ---- Vectors that the accelerator serves ---- */

static bool pci_msix_masked(const struct pci_msix *x, int vector)
{
	return x->masked ||
	       (x->entry[vector].control & PCI_MSIX_ENTRY_CTRL_MASKBIT);
}

static void pci_msix_detach(struct pci_device *dev, int vector)
{
	struct pci_msix *x = &dev->msix;
	struct machine *m = dev->dev.m;

	if (x->irqfd[vector].fd < 0)
		return;
	m->accel->irqfd(m, NULL, x->irqfd[vector].fd, false,
			&x->irqfd[vector].route);
	close(x->irqfd[vector].fd);
	x->irqfd[vector].fd = -1;
}

static int pci_msix_attach(struct pci_device *dev, int vector)
{
	struct pci_msix *x = &dev->msix;
	struct machine *m = dev->dev.m;
	int fd = x->irqfd[vector].fd, r;

	if (fd < 0) {
		fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		x->irqfd[vector].route = -1;
	}
	if (fd < 0)
		return -errno;
	x->irqfd[vector].fd = fd;
	r = m->accel->irqfd(m, &x->entry[vector].msi, fd, true,
			    &x->irqfd[vector].route);
	if (r < 0 && x->irqfd[vector].route < 0) {
		close(fd);
		x->irqfd[vector].fd = -1;
	} else if (r < 0) {
		pci_msix_detach(dev, vector);
	}
	return r;
}

/* With x->lock, after anything that decides about `vector` changed.  A masked
 * vector keeps its route, so that a change of the message, which a guest does
 * while it is masked, costs one update at its end.  When the accelerator
 * refuses, messages are sent one by one. */
static void pci_msix_sync(struct pci_device *dev, int vector)
{
	struct pci_msix *x = &dev->msix;
	struct machine *m = dev->dev.m;

	if (!m->accel || !m->accel->irqfd)
		return;
	if (!x->enabled || !x->irqfd[vector].users)
		pci_msix_detach(dev, vector);
	else if (!pci_msix_masked(x, vector))
		(void)pci_msix_attach(dev, vector);
}

void pci_msix_use(struct pci_device *dev, int vector, bool use)
{
	struct pci_msix *x = &dev->msix;

	if (vector < 0 || vector >= x->count)
		return;
	lock_acquire(&x->lock);
	x->irqfd[vector].users += use ? 1 : -1;
	pci_msix_sync(dev, vector);
	lock_release(&x->lock);
}

/* ---- Delivery ---- */

/* With x->lock: is `vector` to be sent?  Else it may become pending. */
static bool pci_msix_take(struct pci_msix *x, int vector)
{
	u64 bit = BIT(vector % 64);

	if (!x->enabled)
		return false;
	if (pci_msix_masked(x, vector)) {
		atomic_fetch_or(&x->pending[vector / 64], bit);
		return false;
	}
	atomic_fetch_and(&x->pending[vector / 64], ~bit);
	return true;
}

void pci_msix_notify(struct pci_device *dev, int vector)
{
	struct pci_msix *x = &dev->msix;
	const u64 one = 1;
	struct msi msi;
	bool send;

	if (vector < 0 || vector >= x->count)
		return;
	lock_acquire(&x->lock);
	send = pci_msix_take(x, vector);
	msi = x->entry[vector].msi;
	if (send && x->irqfd[vector].fd >= 0 &&
	    write(x->irqfd[vector].fd, &one, sizeof one) == sizeof one)
		send = false;
	lock_release(&x->lock);
	if (send)
		msi_send(dev->dev.m, &msi);
}

static bool pci_msix_pending(struct pci_msix *x, int vector)
{
	return atomic_load(&x->pending[vector / 64]) >> vector % 64 & 1;
}

void pci_msix_update(struct pci_device *dev)
{
	struct pci_msix *x = &dev->msix;
	u16 flags, command;

	if (!x->count)
		return;
	flags = get_le16(dev->config + x->cap + PCI_MSIX_FLAGS);
	command = get_le16(dev->config + PCI_COMMAND);
	lock_acquire(&x->lock);
	x->enabled = flags & PCI_MSIX_FLAGS_ENABLE;
	/* A message is a memory write: none without bus mastering. */
	x->masked = (flags & PCI_MSIX_FLAGS_MASKALL) ||
		    !(command & PCI_COMMAND_MASTER);
	for (int i = 0; i < x->count; i++)
		pci_msix_sync(dev, i);
	lock_release(&x->lock);
	for (int i = 0; i < x->count; i++)
		if (pci_msix_pending(x, i))
			pci_msix_notify(dev, i);
}

/* ---- Registers ---- */

static u64 pci_msix_table_read(void *opaque, u64 offset, u32 size)
{
	struct pci_device *dev = opaque;
	struct pci_msix *x = &dev->msix;
	u32 n = offset / PCI_MSIX_ENTRY_SIZE;
	u32 value;

	lock_acquire(&x->lock);
	switch (offset % PCI_MSIX_ENTRY_SIZE) {
	case PCI_MSIX_ENTRY_LOWER_ADDR: value = x->entry[n].msi.addr; break;
	case PCI_MSIX_ENTRY_UPPER_ADDR:
		value = x->entry[n].msi.addr >> 32;
		break;
	case PCI_MSIX_ENTRY_DATA: value = x->entry[n].msi.data; break;
	default: value = x->entry[n].control; break;
	}
	lock_release(&x->lock);
	return value;
}

static void pci_msix_table_write(void *opaque, u64 offset, u32 size, u64 value)
{
	struct pci_device *dev = opaque;
	struct pci_msix *x = &dev->msix;
	u32 n = offset / PCI_MSIX_ENTRY_SIZE;
	u64 addr;

	lock_acquire(&x->lock);
	addr = x->entry[n].msi.addr;
	switch (offset % PCI_MSIX_ENTRY_SIZE) {
	case PCI_MSIX_ENTRY_LOWER_ADDR:
		x->entry[n].msi.addr =
			(addr & ~0xffffffffull) | ((u32)value & ~3u);
		break;
	case PCI_MSIX_ENTRY_UPPER_ADDR:
		x->entry[n].msi.addr = (u32)addr | value << 32;
		break;
	case PCI_MSIX_ENTRY_DATA: x->entry[n].msi.data = value; break;
	default:
		x->entry[n].control = value & PCI_MSIX_ENTRY_CTRL_MASKBIT;
		break;
	}
	pci_msix_sync(dev, n);
	lock_release(&x->lock);
	if (pci_msix_pending(x, n))
		pci_msix_notify(dev, n);
}

static u64 pci_msix_pba_read(void *opaque, u64 offset, u32 size)
{
	struct pci_device *dev = opaque;
	u64 bits = atomic_load(&dev->msix.pending[offset / 8]);

	return offset & 4 ? bits >> 32 : bits;
}

/* Writes have no effect, PCI 3.0 §6.8.2.10. */
static void pci_msix_pba_write(void *opaque, u64 offset, u32 size, u64 value)
{
}

const struct region_ops pci_msix_table_ops = {
	.read = pci_msix_table_read,
	.write = pci_msix_table_write,
	.min_size = 4,
	.max_size = 4,
};

const struct region_ops pci_msix_pba_ops = {
	.read = pci_msix_pba_read,
	.write = pci_msix_pba_write,
	.min_size = 4,
	.max_size = 8,
};

/* ---- Life ---- */

int pci_msix_init(struct pci_device *dev, int count, int bar, u32 table_offset,
		  u32 pba_offset, struct err *err)
{
	struct pci_msix *x = &dev->msix;
	u8 *cap;

	if (count < 1 || count > PCI_MSIX_MAX)
		return err_set(err, -EINVAL, "%d MSI-X vectors: not 1 to %d",
			       count, PCI_MSIX_MAX);
	x->count = count;
	x->bar = bar;
	x->table_offset = table_offset;
	x->pba_offset = pba_offset;
	x->cap = pci_add_capability(dev, PCI_CAP_ID_MSIX, MSIX_CAP_BYTES);
	x->table.name = "msix-table";
	x->pba.name = "msix-pba";
	x->table.priority = x->pba.priority = PCI_TABLE_PRIORITY;
	cap = dev->config + x->cap;
	put_le16(cap + PCI_MSIX_FLAGS, count - 1);
	put_le32(cap + PCI_MSIX_TABLE, table_offset | bar);
	put_le32(cap + PCI_MSIX_PBA, pba_offset | bar);
	put_le16(dev->wmask + x->cap + PCI_MSIX_FLAGS,
		 PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	for (int i = 0; i < count; i++) {
		x->entry[i].control = PCI_MSIX_ENTRY_CTRL_MASKBIT;
		x->irqfd[i].fd = -1;
	}
	lock_init(&x->lock);
	return 0;
}

void pci_msix_reset(struct pci_device *dev)
{
	struct pci_msix *x = &dev->msix;

	if (!x->count)
		return;
	lock_acquire(&x->lock);
	for (int i = 0; i < x->count; i++) {
		x->entry[i].msi = (struct msi){ 0 };
		x->entry[i].control = PCI_MSIX_ENTRY_CTRL_MASKBIT;
	}
	for (u32 i = 0; i < ARRAY_SIZE(x->pending); i++)
		atomic_store(&x->pending[i], 0);
	lock_release(&x->lock);
	pci_msix_update(dev);
}

void pci_msix_fini(struct pci_device *dev)
{
	struct pci_msix *x = &dev->msix;

	if (!x->count)
		return;
	for (int i = 0; i < x->count; i++)
		pci_msix_detach(dev, i);
	lock_fini(&x->lock);
	x->count = 0;
}
