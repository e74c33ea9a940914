/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Devices: one const class struct per type, the core does the rest.
 *
 * The core allocates the instance zeroed, fills `struct device`, applies the
 * option rows, calls init, names, resets, saves and frees.  A device's file
 * only says what its registers do.
 *
 * Locking: every callback runs with machine_lock held.
 */
#ifndef VMM_DEVICE_H
#define VMM_DEVICE_H

#include "lib/list.h"
#include "lib/opt.h"
#include "lib/types.h"

struct buf;
struct err;
struct device;
struct machine;
struct state_field;

enum bus_kind {
	BUS_SYSTEM, /* wired by the machine file */
	BUS_ISA,
	BUS_PCI,
	/* These look for their bus= themselves: */
	BUS_VIRTIO_SERIAL, /* ports */
	BUS_IDE,           /* drives */
};

enum device_group { /* of -device help */
		    DEVICE_MISC,
		    DEVICE_STORAGE,
		    DEVICE_NETWORK,
		    DEVICE_INPUT,
		    DEVICE_DISPLAY,
};

struct device_class {
	const char *name; /* -device, device_add, info qtree */
	const char *desc;
	enum bus_kind bus;
	enum device_group group;
	size_t size;  /* of the instance; struct device is first */
	bool user;    /* may be named in -device */
	bool hotplug; /* may be added and removed at run time */
	const struct option_row *options; /* may be NULL */
	const struct state_field *state;  /* may be NULL */
	const void *bus_class; /* struct pci_class for BUS_PCI, else NULL */

	int (*init)(struct device *dev, struct err *err); /* 0 or -errno */
	void (*reset)(struct device *dev);                /* power-on values */
	void (*fini)(struct device *dev); /* must accept a half-made device */
	void (*info)(struct device *dev, struct buf *out); /* info qtree */
	/* Which of several buses of its kind; NULL: there is one. */
	const char *(*bus_name)(const struct device *dev);
	/* After the state table was loaded; checks and derives.  -EINVAL. */
	int (*loaded)(struct device *dev, struct err *err);
};

struct device {
	const struct device_class *class;
	struct machine *m;
	char *id;         /* owned; NULL when the user gave none */
	char *path;       /* owned; "/machine/peripheral/ID" or unattached */
	struct list node; /* in machine->devices, creation order */
};

/* Every class, NULL-ended (vmm/device_table.c). */
extern const struct device_class *const device_classes[];
/* By name or alias. */
const struct device_class *device_class_find(const char *name);
/* What else a class is called, or NULL. */
const char *device_class_alias(const struct device_class *class);

/* Creates, configures and initialises.  `o` (may be NULL) is consumed:
 * "id" is taken, the rest goes to the option rows; unknown ones fail. */
struct device *device_create(struct machine *m,
			     const struct device_class *class, struct opts *o,
			     struct err *err);
/* From "driver,key=value..." as -device and device_add give it. */
struct device *device_create_text(struct machine *m, const char *text,
				  struct err *err);
/* Whether the text is one of a device with such properties and a free id;
 * what only its creation finds out is not looked at.  0 or -errno. */
int device_check_text(struct machine *m, const char *text, struct err *err);
void device_destroy(struct device *dev);
/* At run time: destroys, and tells with DEVICE_DELETED. */
void device_unplug(struct device *dev);
struct device *device_find(struct machine *m, const char *id_or_path);
void device_reset_all(struct machine *m);

/* "pci.0", "ide.1"; as in info qtree. */
const char *device_bus(const struct device *dev);

/* "id" if set, else class name; for messages. */
const char *device_label(const struct device *dev);

/* Everything the user may name, as `-device help` prints it. */
void device_list(struct buf *out);
/* The property list of a class, as `-device NAME,help` prints it. */
void device_help(const struct device_class *class, struct buf *out);

#endif
