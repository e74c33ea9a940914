/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The PCI transport, and how a virtio device becomes a PCI device class.
 *
 * Locking: as virtio/virtio.h.
 */
#ifndef VIRTIO_PCI_H
#define VIRTIO_PCI_H

#include "devices/pci.h"
#include "virtio/virtio.h"
#include "vmm/device.h"

struct buf;
struct err;

struct virtio_pci_class {
	struct pci_class pci;
	const struct virtio_class *virtio;
};

int virtio_pci_init(struct device *dev, struct err *err);
void virtio_pci_reset(struct device *dev);
void virtio_pci_fini(struct device *dev);
void virtio_pci_info(struct device *dev, struct buf *out);
void virtio_pci_config_written(struct pci_device *pci, u32 offset, u32 len);
void virtio_pci_config_read(struct pci_device *pci, u32 offset, u32 len);

/* Initialiser of the struct device_class: its name, what `-device help`
 * says, the instance type (struct virtio first), its option and state tables,
 * its virtio class. */
/* clang-format off */
#define VIRTIO_PCI_CLASS(name_, desc_, group_, type, options_, state_,     \
			 virtio_)                                          \
	{                                                                  \
		.name = name_,                                             \
		.desc = desc_,                                             \
		.bus = BUS_PCI,                                            \
		.group = group_,                                           \
		.size = sizeof(type),                                      \
		.user = true,                                              \
		.hotplug = true,                                           \
		.options = options_,                                       \
		.state = state_,                                           \
		.bus_class = &(const struct virtio_pci_class){             \
			.pci = {                                           \
				.config_written = virtio_pci_config_written, \
				.config_read = virtio_pci_config_read,     \
			},                                                 \
			.virtio = virtio_,                                 \
		},                                                         \
		.init = virtio_pci_init,                                   \
		.reset = virtio_pci_reset,                                 \
		.fini = virtio_pci_fini,                                   \
		.info = virtio_pci_info,                                   \
	}
/* clang-format on */

#endif
