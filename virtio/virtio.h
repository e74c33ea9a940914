/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Virtio devices apart from their transport.
 *
 * A device file ends with one const struct virtio_class (what the device is)
 * and one struct device_class per transport (VIRTIO_PCI_CLASS in
 * virtio/pci.h).  Its instance starts with struct virtio; the core negotiates
 * features, runs the status machine, owns the queues and delivers doorbells
 * on the main loop.
 *
 * Spec: virtio 1.2 §2, §3, §4.1.
 * Locking: every callback runs with machine_lock held, in the main loop's
 * thread or (reset, activate, config_write) in a vCPU's.  virtio_kick() works
 * from any thread.
 */
#ifndef VIRTIO_VIRTIO_H
#define VIRTIO_VIRTIO_H

#include "devices/pci.h"
#include "lib/log.h"
#include "lib/opt.h"
#include "lib/types.h"
#include "virtio/queue.h"
#include "vmm/device.h"
#include "vmm/runstate.h"
#include "vmm/state.h"

struct buf;
struct err;
struct virtio;

#define VIRTIO_QUEUES_MAX 64
#define VIRTIO_CONFIG_MAX 256

struct virtio_class {
	const char *name;  /* "virtio-blk": logs, info virtio */
	u16 id;            /* virtio 1.2 §5 */
	u16 pci_legacy_id; /* PCI id of the transitional device; 0: none */
	u32 pci_class;     /* 24 bits */
	u32 config_size;   /* bytes, at most VIRTIO_CONFIG_MAX */
	u64 keeps; /* a bit for each queue whose buffers stay with the device */

	/* Fills v->nqueues, queue[].size_max, adds to v->offered, and lays out
	 * v->config.  Options are applied, the machine is there. */
	int (*init)(struct virtio *v, struct err *err);
	void (*fini)(struct virtio *v); /* accepts a half-made device */
	/* The driver is ready, enabled queues are live.  Allocates what the
	 * data path needs.  A failure breaks the device. */
	int (*activate)(struct virtio *v);
	/* Stops: on return no request touches guest memory or a queue.  Also
	 * called without activate before it. */
	void (*reset)(struct virtio *v);
	/* The guest rang, or rang while the machine was stopped. */
	void (*handle_queue)(struct virtio *v, struct queue *q);
	/* The guest writes `len` (1, 2, 4 or 8) bytes of configuration; the
	 * range was checked.  NULL: all of it is read-only.  The device stores
	 * into v->config what it accepts. */
	void (*config_write)(struct virtio *v, u32 offset, u32 len, u64 value);
	void (*info)(struct virtio *v, struct buf *out); /* info qtree */
};

/* What a transport does for the core. */
struct virtio_bus {
	const char *name;
	/* Interrupt for `q`, or for a configuration change when NULL. */
	void (*notify)(struct virtio *v, struct queue *q);
	/* Queues went live / are gone: install and remove doorbells. */
	void (*started)(struct virtio *v);
	void (*stopped)(struct virtio *v);
};

struct virtio {
	struct pci_device pci; /* other transports use only pci.dev */
	const struct virtio_class *class;
	const struct virtio_bus *bus;
	void *bus_data; /* owned by the transport */
	char label[64]; /* for logs: class name and id */

	u64 offered;   /* features */
	u64 accepted;  /* what the driver wrote; agreed on at FEATURES_OK */
	u8 status;     /* VIRTIO_CONFIG_S_* */
	bool started;  /* DRIVER_OK and not broken: queues are live */
	bool legacy;   /* the driver uses the pre-1.0 interface */
	u8 isr;        /* bit 0 queue, bit 1 configuration */
	u8 generation; /* of v->config */
	u16 config_vector;
	u16 queue_select;
	u32 offered_select, accepted_select;

	int nqueues;
	struct queue queue[VIRTIO_QUEUES_MAX];
	u8 config[VIRTIO_CONFIG_MAX]; /* as the guest reads it */
	struct run_notifier run_notifier;

	/* Options. */
	bool opt_packed, opt_event_idx, opt_indirect, opt_iommu, opt_ioeventfd;
	bool opt_no_modern;
	int opt_no_legacy; /* on, off, auto (-1) */
	u32 opt_vectors;   /* UINT32_MAX: queues + 1 */
};

/* Rows that every virtio device has; put first into its option table. */
/* clang-format off */
#define VIRTIO_OPTION_ROWS                                                    \
	PCI_OPTION_ROWS(struct virtio),                                       \
	{ "disable-legacy", &opt_onoffauto,                                   \
	  offsetof(struct virtio, opt_no_legacy), "auto",                     \
	  "no pre-1.0 interface", NULL },                                     \
	{ "disable-modern", &opt_bool, offsetof(struct virtio, opt_no_modern), \
	  "off", "no 1.0 interface", NULL },                                  \
	{ "packed", &opt_bool, offsetof(struct virtio, opt_packed), "off",    \
	  "offer packed rings", NULL },                                       \
	{ "event_idx", &opt_bool, offsetof(struct virtio, opt_event_idx),     \
	  "on", "offer the event index", NULL },                              \
	{ "indirect_desc", &opt_bool, offsetof(struct virtio, opt_indirect),  \
	  "on", "offer indirect descriptors", NULL },                         \
	{ "iommu_platform", &opt_bool, offsetof(struct virtio, opt_iommu),    \
	  "off", "refused: there is no IOMMU", NULL },                        \
	{ "ioeventfd", &opt_bool, offsetof(struct virtio, opt_ioeventfd),     \
	  "on", "doorbells without exits where the accelerator can", NULL },  \
	{ "vectors", &opt_u32, offsetof(struct virtio, opt_vectors),          \
	  "4294967295", "MSI-X vectors; 4294967295: one per queue plus one",  \
	  NULL }

/* clang-format on */

static inline struct virtio *virtio_of(struct device *dev)
{
	return container_of(dev, struct virtio, pci.dev);
}

/* Was feature bit number `bit` agreed on?  Valid from FEATURES_OK on. */
static inline bool virtio_has(const struct virtio *v, int bit)
{
	return v->accepted & BIT(bit);
}

static inline bool virtio_broken(const struct virtio *v)
{
	return v->status & 0x40; /* VIRTIO_CONFIG_S_NEEDS_RESET */
}

/* The guest broke the rules: one line in the log, DEVICE_NEEDS_RESET, and the
 * queues stand still until it resets the device. */
void virtio_break(struct virtio *v, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The device changed v->config: new generation, interrupt. */
void virtio_config_changed(struct virtio *v);

/* Doorbell of queue `index`, which may be nonsense.  Any thread. */
void virtio_kick(struct virtio *v, u32 index);

/* "virtio-blk disk0", for logs. */
const char *virtio_label(const struct virtio *v);

/* Lists virtio devices: NULL starts, returns NULL at the end. */
struct virtio *virtio_next(struct machine *m, struct virtio *v);

/* ---- For transports ---- */

/* After the transport set class, bus, and what its options say. */
int virtio_init(struct virtio *v, struct err *err);
void virtio_fini(struct virtio *v);
/* Power-on state; also what a status of 0 does. */
void virtio_reset(struct virtio *v);

/* Registers common to all transports.  Each checks what the guest gave. */
void virtio_set_status(struct virtio *v, u8 status);
u32 virtio_get_offered(struct virtio *v);  /* word offered_select */
u32 virtio_get_accepted(struct virtio *v); /* word accepted_select */
void virtio_set_accepted(struct virtio *v, u32 word);
/* The selected queue; NULL when there is none of that number. */
struct queue *virtio_selected(struct virtio *v);
/* The selected queue while it may be configured, else NULL (logged). */
struct queue *virtio_configurable(struct virtio *v);
u64 virtio_config_read(struct virtio *v, u32 offset, u32 len);
void virtio_config_write(struct virtio *v, u32 offset, u32 len, u64 value);

#endif
