/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * For tests of virtio devices: finds a virtio-pci device the way a driver
 * does (capabilities, BARs) and sets it up.
 */
#ifndef TESTS_UNIT_VIRTIO_PCI_GUEST_H
#define TESTS_UNIT_VIRTIO_PCI_GUEST_H

#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>

#include "devices/pci.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "tests/unit/virtio_guest.h"
#include "virtio/virtio.h"

#define PG_BAR_MSIX   0xe0000000u
#define PG_BAR_MODERN 0xe0010000u
#define PG_BAR_LEGACY 0xc000u
#define PG_RINGS      0x10000 /* queue i: 0x8000 bytes from here on */

struct pci_guest {
	struct machine *m;
	struct virtio *v;
	int devfn;
	u64 common, isr, device, notify; /* addresses */
	u32 notify_step;
	u8 access_cap;
	struct guest_queue q[VIRTIO_QUEUES_MAX];
};

static int pg_messages; /* MSI sent */
static struct msi pg_last_msi;
static int pg_intx; /* level of the device's line */

static void pg_msi(struct machine *m, const struct msi *msi)
{
	pg_messages++;
	pg_last_msi = *msi;
}

static void pg_set_irq(void *opaque, int n, int level)
{
	pg_intx = level;
}

static struct machine *pg_machine(void)
{
	struct machine *m = guest_machine_create();
	struct pci_bus *bus = malloc(sizeof(*bus));

	m->msi_deliver = pg_msi;
	pci_bus_init(bus, m);
	for (int i = 0; i < 4; i++)
		bus->pirq[i] = (struct irq){ pg_set_irq, NULL, i };
	return m;
}

static inline u32 pg_cfg(struct pci_guest *p, u32 at, u32 len)
{
	return pci_config_read(p->m->pci, p->devfn, at, len);
}

static inline void pg_cfg_write(struct pci_guest *p, u32 at, u32 len, u32 v)
{
	pci_config_write(p->m->pci, p->devfn, at, len, v);
}

static inline u64 pg_read(struct pci_guest *p, u64 at, u32 len)
{
	return space_read(&p->m->memory, at, len);
}

static inline void pg_write(struct pci_guest *p, u64 at, u32 len, u64 v)
{
	space_write(&p->m->memory, at, len, v);
}

static inline u64 pg_io_read(struct pci_guest *p, u32 at, u32 len)
{
	return space_read(&p->m->io, PG_BAR_LEGACY + at, len);
}

static inline void pg_io_write(struct pci_guest *p, u32 at, u32 len, u64 v)
{
	space_write(&p->m->io, PG_BAR_LEGACY + at, len, v);
}

static inline void pg_find_cap(struct pci_guest *p, u8 at)
{
	u64 addr = PG_BAR_MODERN + pg_cfg(p, at + VIRTIO_PCI_CAP_OFFSET, 4);

	switch (pg_cfg(p, at + VIRTIO_PCI_CAP_CFG_TYPE, 1)) {
	case VIRTIO_PCI_CAP_COMMON_CFG: p->common = addr; break;
	case VIRTIO_PCI_CAP_ISR_CFG: p->isr = addr; break;
	case VIRTIO_PCI_CAP_DEVICE_CFG: p->device = addr; break;
	case VIRTIO_PCI_CAP_NOTIFY_CFG:
		p->notify = addr;
		p->notify_step = pg_cfg(p, at + VIRTIO_PCI_NOTIFY_CAP_MULT, 4);
		break;
	case VIRTIO_PCI_CAP_PCI_CFG: p->access_cap = at; break;
	default: ck_abort_msg("unknown capability");
	}
}

/* Creates the device (machine_lock held) and maps its BARs. */
static void pg_plug(struct pci_guest *p, struct machine *m,
		    const struct device_class *class, const char *options)
{
	struct err err = { 0 };
	struct device *dev;
	struct opts o;
	u8 at;

	memset(p, 0, sizeof(*p));
	ck_assert_int_eq(opts_parse(&o, options, NULL, &err), 0);
	dev = device_create(m, class, &o, &err);
	opts_fini(&o);
	ck_assert_msg(dev != NULL, "%s", err.msg);
	p->m = m;
	p->v = virtio_of(dev);
	p->devfn = p->v->pci.devfn;
	pg_cfg_write(p, PCI_BASE_ADDRESS_0, 4, PG_BAR_LEGACY);
	pg_cfg_write(p, PCI_BASE_ADDRESS_1, 4, PG_BAR_MSIX);
	pg_cfg_write(p, PCI_BASE_ADDRESS_4, 4, PG_BAR_MODERN);
	pg_cfg_write(p, PCI_BASE_ADDRESS_5, 4, 0);
	pg_cfg_write(p, PCI_COMMAND, 2,
		     PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	for (at = pg_cfg(p, PCI_CAPABILITY_LIST, 1); at;
	     at = pg_cfg(p, at + 1, 1))
		if (pg_cfg(p, at, 1) == PCI_CAP_ID_VNDR)
			pg_find_cap(p, at);
	pg_messages = 0;
}

/* Vector i to address 0xfee00000, data 0x100 + i. */
static inline void pg_enable_msix(struct pci_guest *p)
{
	u8 at = pg_cfg(p, PCI_CAPABILITY_LIST, 1);
	int n;

	while (pg_cfg(p, at, 1) != PCI_CAP_ID_MSIX) {
		at = pg_cfg(p, at + 1, 1);
		ck_assert_uint_ne(at, 0);
	}
	n = (pg_cfg(p, at + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_QSIZE) + 1;
	for (int i = 0; i < n; i++) {
		pg_write(p, PG_BAR_MSIX + 16 * i, 4, 0xfee00000);
		pg_write(p, PG_BAR_MSIX + 16 * i + 4, 4, 0);
		pg_write(p, PG_BAR_MSIX + 16 * i + 8, 4, 0x100 + i);
		pg_write(p, PG_BAR_MSIX + 16 * i + 12, 4, 0);
	}
	pg_cfg_write(p, at + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
}

#define PG_COMMON(p, field) ((p)->common + VIRTIO_PCI_COMMON_##field)

static inline u8 pg_status(struct pci_guest *p)
{
	return pg_read(p, PG_COMMON(p, STATUS), 1);
}

static inline u8 pg_set_status(struct pci_guest *p, u8 status)
{
	pg_write(p, PG_COMMON(p, STATUS), 1, status);
	return pg_status(p);
}

static inline u64 pg_offered(struct pci_guest *p)
{
	u64 value;

	pg_write(p, PG_COMMON(p, DFSELECT), 4, 1);
	value = pg_read(p, PG_COMMON(p, DF), 4) << 32;
	pg_write(p, PG_COMMON(p, DFSELECT), 4, 0);
	return value | pg_read(p, PG_COMMON(p, DF), 4);
}

static inline void pg_accept(struct pci_guest *p, u64 features)
{
	pg_write(p, PG_COMMON(p, GFSELECT), 4, 0);
	pg_write(p, PG_COMMON(p, GF), 4, (u32)features);
	pg_write(p, PG_COMMON(p, GFSELECT), 4, 1);
	pg_write(p, PG_COMMON(p, GF), 4, features >> 32);
}

static inline void pg_write64(struct pci_guest *p, u64 at, u64 value)
{
	pg_write(p, at, 4, (u32)value);
	pg_write(p, at + 4, 4, value >> 32);
}

static inline void pg_setup_queue(struct pci_guest *p, int i, u16 size)
{
	struct guest_queue *g = &p->q[i];
	bool packed = p->v->accepted & BIT(VIRTIO_F_RING_PACKED);

	pg_write(p, PG_COMMON(p, Q_SELECT), 2, i);
	ck_assert_uint_ge(pg_read(p, PG_COMMON(p, Q_SIZE), 2), size);
	gq_init(g, p->m, packed, size, PG_RINGS + i * 0x8000);
	pg_write(p, PG_COMMON(p, Q_SIZE), 2, size);
	pg_write64(p, PG_COMMON(p, Q_DESCLO), g->desc);
	pg_write64(p, PG_COMMON(p, Q_AVAILLO), g->driver);
	pg_write64(p, PG_COMMON(p, Q_USEDLO), g->device);
	pg_write(p, PG_COMMON(p, Q_MSIX), 2, i + 1);
	pg_write(p, PG_COMMON(p, Q_ENABLE), 2, 1);
}

/* All the steps of virtio 1.2 §3.1.1, with `nqueues` queues. */
static void pg_start(struct pci_guest *p, u64 features, int nqueues, u16 size)
{
	features |= BIT(VIRTIO_F_VERSION_1);
	ck_assert_uint_eq(pg_set_status(p, 0), 0);
	ck_assert_uint_eq(pg_set_status(p, 1), 1);
	ck_assert_uint_eq(pg_set_status(p, 3), 3);
	ck_assert_uint_eq(pg_offered(p) & features, features);
	pg_accept(p, features);
	ck_assert_uint_eq(pg_set_status(p, 0xb), 0xb);
	pg_write(p, PG_COMMON(p, MSIX), 2, 0);
	for (int i = 0; i < nqueues; i++)
		pg_setup_queue(p, i, size);
	ck_assert_uint_eq(pg_set_status(p, 0xf), 0xf);
}

static inline void pg_kick(struct pci_guest *p, int i)
{
	pg_write(p, p->notify + i * p->notify_step, 2, i);
}

/* Kicks and runs the machine until queue `i` gives a buffer back. */
static inline int pg_wait(struct pci_guest *p, int i, u32 *ret_len)
{
	u64 end = clock_mono_ns() + 10 * NS_PER_S;
	int id;

	while ((id = gq_used(&p->q[i], ret_len)) < 0) {
		ck_assert_msg(clock_mono_ns() < end, "no answer");
		loop_once(p->m->loop, 10 * NS_PER_MS);
	}
	return id;
}

#endif
