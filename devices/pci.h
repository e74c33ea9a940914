/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * PCI: the bus, configuration space, BARs, INTx, MSI-X.
 *
 * Spec: PCI 3.0; MSI-X per PCI 3.0 6.8.2.
 * Locking: machine_lock, except pci_msix_notify(), which any thread may
 * call.
 */
#ifndef DEVICES_PCI_H
#define DEVICES_PCI_H

#include "lib/lock.h"
#include "vmm/device.h"
#include "vmm/irq.h"
#include "vmm/memory.h"
#include "vmm/state.h"

#define PCI_SLOTS 32
#define PCI_BARS  6

#define PCI_DEVFN(slot, fn) ((slot) << 3 | (fn))

struct pci_device;

/* bus_class of a struct device_class with BUS_PCI. */
struct pci_class {
	u16 vendor, device, subsys_vendor, subsys;
	u32 class_code; /* 24 bits: class, subclass, programming interface */
	u8 revision;
	/* May be NULL.  Runs after the core stored the bytes. */
	void (*config_written)(struct pci_device *dev, u32 offset, u32 len);
	/* May be NULL.  Before the core reads: dynamic bytes. */
	void (*config_read)(struct pci_device *dev, u32 offset, u32 len);
};

struct pci_bar {
	struct region region; /* mapped while decoding is on */
	const struct region_ops *ops;
	void *opaque;
	u64 size; /* power of two; 0: absent */
	bool io, is64, prefetch;
};

#define PCI_MSIX_MAX 128

struct pci_msix {
	int count; /* 0: no MSI-X */
	u8 cap;    /* offset of the capability */
	u8 bar;
	u32 table_offset, pba_offset;
	struct region table, pba;

	struct {
		struct msi msi;
		u32 control;
	} entry[PCI_MSIX_MAX];

	struct {
		int fd, route; /* of the accelerator; -1: none */
		u32 users;
	} irqfd[PCI_MSIX_MAX];

	_Atomic u64 pending[PCI_MSIX_MAX / 64];
	/* Message Control and bus mastering, for pci_msix_notify(). */
	bool enabled, masked;
	struct lock lock; /* leaf: all of the above from `entry` on */
};

struct pci_device {
	struct device dev;
	struct pci_bus *bus;
	int devfn; /* -1 in options: first free slot */
	u8 config[256];
	u8 wmask[256];   /* writable bits */
	u8 w1cmask[256]; /* write-one-to-clear bits */
	struct pci_bar bar[PCI_BARS];
	struct pci_msix msix;
	bool intx_level;  /* what the device asks for */
	bool intx_driven; /* what the bus sees: not while disabled */
	u8 cap_end;       /* where the next capability goes */
	bool gone;        /* ejected: the guest sees an empty slot */

	/* Options, as typed; strings are owned. */
	char *addr, *romfile;
	u32 rombar;
	bool multifunction;
};

/* Rows every PCI device has; put first into its option table. */
/* clang-format off */
#define PCI_OPTION_ROWS(type)                                                \
	{ "addr", &opt_str,                                                  \
	  offsetof(type, pci) + offsetof(struct pci_device, addr), NULL,     \
	  "slot[.function], hexadecimal", NULL },                            \
	{ "multifunction", &opt_bool,                                        \
	  offsetof(type, pci) + offsetof(struct pci_device, multifunction),  \
	  "off", "tell guests to look at functions 1 to 7", NULL },          \
	{ "romfile", &opt_str,                                               \
	  offsetof(type, pci) + offsetof(struct pci_device, romfile), NULL,  \
	  "only empty: no device has an option ROM", NULL },                 \
	{ "rombar", &opt_u32,                                                \
	  offsetof(type, pci) + offsetof(struct pci_device, rombar), "0",    \
	  "accepted: no device has an option ROM", NULL }
/* clang-format on */

/* Firmware's choice of windows for BARs, also told by ACPI; memory BARs that
 * do not fit go above RAM if they are 64 bits wide.  The 32-bit window that
 * ACPI tells begins at 3 GiB or where RAM ends. */
#define PCI_WINDOW_IO    0xc000u
#define PCI_WINDOW_FIRST 0xe0000000u /* first address handed out */
#define PCI_WINDOW_END   0xfec00000u

struct pci_bus {
	struct machine *m;
	struct pci_device *dev[256]; /* by devfn */
	/* Level-triggered INTA..D after the slot swizzle: GSI per pin. */
	struct irq pirq[4];
	int pirq_level[4];
};

void pci_bus_init(struct pci_bus *bus, struct machine *m);
/* Chooses a slot, fills ids, links.  Call first in a device's init. */
int pci_device_init(struct pci_device *dev, struct err *err);
void pci_device_fini(struct pci_device *dev);
void pci_device_reset(struct pci_device *dev);
void pci_add_bar(struct pci_device *dev, int n, const char *name, u64 size,
		 bool io, bool is64, bool prefetch,
		 const struct region_ops *ops, void *opaque);
/* Adds a capability of `len` bytes (header included); returns its offset. */
u8 pci_add_capability(struct pci_device *dev, u8 id, u8 len);
/* Table and PBA live in BAR `bar` at the offsets given. */
int pci_msix_init(struct pci_device *dev, int count, int bar, u32 table_offset,
		  u32 pba_offset, struct err *err);
bool pci_msix_enabled(const struct pci_device *dev);
void pci_msix_notify(struct pci_device *dev, int vector); /* any thread */
/* The device begins or ends to use `vector`; uses are counted.  Without it the
 * vector works, but costs the accelerator more. */
void pci_msix_use(struct pci_device *dev, int vector, bool use);
/* For devices/pci.c. */
extern const struct region_ops pci_msix_table_ops, pci_msix_pba_ops;
void pci_msix_update(struct pci_device *dev); /* registers changed */
void pci_msix_reset(struct pci_device *dev);
void pci_msix_fini(struct pci_device *dev);
void pci_set_intx(struct pci_device *dev, int level);

u32 pci_config_read(struct pci_bus *bus, u8 devfn, u32 offset, u32 len);
void pci_config_write(struct pci_bus *bus, u8 devfn, u32 offset, u32 len,
		      u32 value);
/* Assigns BARs and interrupt lines as firmware would; for direct boot. */
void pci_assign(struct pci_bus *bus);
/* Base and size of the 64-bit window, above RAM. */
u64 pci_high_window(struct machine *m, u64 *ret_size);
/* Where BAR `n` is mapped; all ones when it is not. */
u64 pci_bar_address(const struct pci_device *dev, int n);
const char *pci_class_name(u16 class); /* NULL: no name */
/* As `info pci` prints it. */
void pci_info(struct pci_bus *bus, struct buf *out);
/* The lines of `info qtree`: class, address, ids, BARs. */
void pci_device_info(struct pci_device *dev, struct buf *out);

/* State of the common part: rows for the start of a device's state table,
 * and what its `loaded` calls (maps BARs, drives INTx). */
/* clang-format off */
#define PCI_STATE_ROWS                                                       \
	{ "config", STATE_BYTES, offsetof(struct pci_device, config), 1, 0,  \
	  256 },                                                             \
	{ "intx_level", STATE_BOOL, offsetof(struct pci_device, intx_level), \
	  1, 0, 0 },                                                         \
	{ "msix.addr", STATE_U64,                                            \
	  offsetof(struct pci_device, msix.entry[0].msi.addr), PCI_MSIX_MAX, \
	  sizeof(((struct pci_msix *)0)->entry[0]), 0 },                     \
	{ "msix.data", STATE_U32,                                            \
	  offsetof(struct pci_device, msix.entry[0].msi.data), PCI_MSIX_MAX, \
	  sizeof(((struct pci_msix *)0)->entry[0]), 0 },                     \
	{ "msix.control", STATE_U32,                                         \
	  offsetof(struct pci_device, msix.entry[0].control), PCI_MSIX_MAX,  \
	  sizeof(((struct pci_msix *)0)->entry[0]), 0 },                     \
	{ "msix.pending", STATE_U64,                                         \
	  offsetof(struct pci_device, msix.pending), PCI_MSIX_MAX / 64,      \
	  sizeof(u64), 0 }
/* clang-format on */
int pci_device_loaded(struct pci_device *dev, struct err *err);

#endif
