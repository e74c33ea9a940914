/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * virtio over PCI: the 1.0 registers in BAR 4, MSI-X in BAR 1, and for
 * transitional devices the pre-1.0 registers in BAR 0.
 *
 * Doorbell writes need no lock: they signal the queue's eventfd, or KVM does
 * so itself without leaving the guest.
 *
 * Spec: virtio 1.2 §4.1.
 * Locking: as virtio/virtio.h.
 */
#include "virtio/pci.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/lock.h"
#include "vmm/accel.h"
#include "vmm/machine.h"

#define VP_VENDOR      0x1af4
#define VP_MODERN_BASE 0x1040 /* plus the virtio device id */

#define VP_BAR_LEGACY 0
#define VP_BAR_MSIX   1
#define VP_BAR_MODERN 4

/* BAR 1 */
#define VP_MSIX_BYTES 0x1000
#define VP_MSIX_PBA   0x800

/* BAR 4: one page per structure. */
#define VP_COMMON       0x0000
#define VP_ISR          0x1000
#define VP_DEVICE       0x2000
#define VP_NOTIFY       0x3000
#define VP_MODERN_BYTES 0x4000
#define VP_PAGE         0x1000
#define VP_NOTIFY_STEP  4
#define VP_COMMON_BYTES 60

#define VP_ISR_QUEUE  0x1
#define VP_ISR_CONFIG 0x2

struct virtio_pci {
	bool modern, legacy;
	int vectors;
	u8 access_cap; /* offset of the configuration access capability */

	/* Doorbells that the accelerator watches; 0: none. */
	u64 bell_modern, bell_legacy;
	bool vectors_used;
};

static struct virtio *vp_of(struct pci_device *pci)
{
	return container_of(pci, struct virtio, pci);
}

/* ---- Interrupts ---- */

static void vp_notify(struct virtio *v, struct queue *q)
{
	u16 vector = q ? q->vector : v->config_vector;

	v->isr |= q ? VP_ISR_QUEUE : VP_ISR_CONFIG;
	if (!pci_msix_enabled(&v->pci))
		pci_set_intx(&v->pci, 1);
	else if (vector != QUEUE_NO_VECTOR)
		pci_msix_notify(&v->pci, vector);
}

static u8 vp_read_isr(struct virtio *v)
{
	u8 isr = v->isr;

	v->isr = 0;
	pci_set_intx(&v->pci, 0);
	return isr;
}

/* A vector that does not exist reads back as "none", virtio 1.2 §4.1.5.1.2. */
static u16 vp_vector(struct virtio *v, u16 vector)
{
	struct virtio_pci *vp = v->bus_data;

	return vector < vp->vectors ? vector : QUEUE_NO_VECTOR;
}

/* Queues' vectors are frozen while they are in use. */
static void vp_vectors_use(struct virtio *v, bool use)
{
	struct virtio_pci *vp = v->bus_data;

	if (vp->vectors_used == use)
		return;
	vp->vectors_used = use;
	for (int i = 0; i < v->nqueues; i++)
		if (v->queue[i].active)
			pci_msix_use(&v->pci, v->queue[i].vector, use);
	pci_msix_use(&v->pci, v->config_vector, use);
}

static void vp_set_config_vector(struct virtio *v, u16 vector)
{
	struct virtio_pci *vp = v->bus_data;

	if (vp->vectors_used)
		pci_msix_use(&v->pci, v->config_vector, false);
	v->config_vector = vp_vector(v, vector);
	if (vp->vectors_used)
		pci_msix_use(&v->pci, v->config_vector, true);
}

/* ---- Doorbells in the accelerator ---- */

static void vp_bells_set(struct virtio *v, bool add)
{
	struct machine *m = v->pci.dev.m;
	struct virtio_pci *vp = v->bus_data;

	for (int i = 0; i < v->nqueues; i++) {
		struct queue *q = &v->queue[i];

		if (!q->active)
			continue;
		/* A refusal only means that the write exits. */
		if (vp->bell_modern)
			m->accel->ioeventfd(
				m, false, vp->bell_modern + i * VP_NOTIFY_STEP,
				2, false, 0, q->kick_fd, add);
		if (vp->bell_legacy)
			m->accel->ioeventfd(m, true, vp->bell_legacy, 2, true,
					    i, q->kick_fd, add);
	}
}

static void vp_bells_update(struct virtio *v, bool want)
{
	struct machine *m = v->pci.dev.m;
	struct virtio_pci *vp = v->bus_data;
	struct region *modern = &v->pci.bar[VP_BAR_MODERN].region;
	struct region *legacy = &v->pci.bar[VP_BAR_LEGACY].region;
	u64 at_modern = 0, at_legacy = 0;

	if (!m->accel || !m->accel->ioeventfd)
		return;
	if (want && v->opt_ioeventfd) {
		if (vp->modern && modern->space)
			at_modern = modern->base + VP_NOTIFY;
		if (vp->legacy && legacy->space)
			at_legacy = legacy->base + VIRTIO_PCI_QUEUE_NOTIFY;
	}
	if (at_modern == vp->bell_modern && at_legacy == vp->bell_legacy)
		return;
	vp_bells_set(v, false);
	vp->bell_modern = at_modern;
	vp->bell_legacy = at_legacy;
	vp_bells_set(v, true);
}

static void vp_started(struct virtio *v)
{
	vp_bells_update(v, true);
	vp_vectors_use(v, true);
}

static void vp_stopped(struct virtio *v)
{
	vp_bells_update(v, false);
	vp_vectors_use(v, false);
	pci_set_intx(&v->pci, 0);
}

static const struct virtio_bus vp_bus = {
	.name = "virtio-pci",
	.notify = vp_notify,
	.started = vp_started,
	.stopped = vp_stopped,
};

/* ---- Common configuration, virtio 1.2 §4.1.4.3 ---- */

static const struct vp_field {
	u8 offset, size;
} vp_fields[] = {
	{ VIRTIO_PCI_COMMON_DFSELECT, 4 },
	{ VIRTIO_PCI_COMMON_DF, 4 },
	{ VIRTIO_PCI_COMMON_GFSELECT, 4 },
	{ VIRTIO_PCI_COMMON_GF, 4 },
	{ VIRTIO_PCI_COMMON_MSIX, 2 },
	{ VIRTIO_PCI_COMMON_NUMQ, 2 },
	{ VIRTIO_PCI_COMMON_STATUS, 1 },
	{ VIRTIO_PCI_COMMON_CFGGENERATION, 1 },
	{ VIRTIO_PCI_COMMON_Q_SELECT, 2 },
	{ VIRTIO_PCI_COMMON_Q_SIZE, 2 },
	{ VIRTIO_PCI_COMMON_Q_MSIX, 2 },
	{ VIRTIO_PCI_COMMON_Q_ENABLE, 2 },
	{ VIRTIO_PCI_COMMON_Q_NOFF, 2 },
	{ VIRTIO_PCI_COMMON_Q_DESCLO, 4 },
	{ VIRTIO_PCI_COMMON_Q_DESCHI, 4 },
	{ VIRTIO_PCI_COMMON_Q_AVAILLO, 4 },
	{ VIRTIO_PCI_COMMON_Q_AVAILHI, 4 },
	{ VIRTIO_PCI_COMMON_Q_USEDLO, 4 },
	{ VIRTIO_PCI_COMMON_Q_USEDHI, 4 },
};

static const struct vp_field *vp_field(u32 offset)
{
	for (size_t i = 0; i < ARRAY_SIZE(vp_fields); i++)
		if (offset - vp_fields[i].offset < vp_fields[i].size)
			return &vp_fields[i];
	return NULL;
}

static u32 vp_queue_get(const struct queue *q, u32 field)
{
	if (!q)
		return 0;
	switch (field) {
	case VIRTIO_PCI_COMMON_Q_SIZE: return q->size;
	case VIRTIO_PCI_COMMON_Q_MSIX: return q->vector;
	case VIRTIO_PCI_COMMON_Q_ENABLE: return q->enabled;
	case VIRTIO_PCI_COMMON_Q_NOFF: return q->index;
	case VIRTIO_PCI_COMMON_Q_DESCLO: return q->desc;
	case VIRTIO_PCI_COMMON_Q_DESCHI: return q->desc >> 32;
	case VIRTIO_PCI_COMMON_Q_AVAILLO: return q->driver;
	case VIRTIO_PCI_COMMON_Q_AVAILHI: return q->driver >> 32;
	case VIRTIO_PCI_COMMON_Q_USEDLO: return q->device;
	case VIRTIO_PCI_COMMON_Q_USEDHI: return q->device >> 32;
	default: return 0;
	}
}

static u32 vp_common_get(struct virtio *v, u32 field)
{
	switch (field) {
	case VIRTIO_PCI_COMMON_DFSELECT: return v->offered_select;
	case VIRTIO_PCI_COMMON_DF: return virtio_get_offered(v);
	case VIRTIO_PCI_COMMON_GFSELECT: return v->accepted_select;
	case VIRTIO_PCI_COMMON_GF: return virtio_get_accepted(v);
	case VIRTIO_PCI_COMMON_MSIX: return v->config_vector;
	case VIRTIO_PCI_COMMON_NUMQ: return v->nqueues;
	case VIRTIO_PCI_COMMON_STATUS: return v->status;
	case VIRTIO_PCI_COMMON_CFGGENERATION: return v->generation;
	case VIRTIO_PCI_COMMON_Q_SELECT: return v->queue_select;
	default: return vp_queue_get(virtio_selected(v), field);
	}
}

/* Any width at any offset: the registers as bytes. */
static u64 vp_common_read(struct virtio *v, u32 offset, u32 size)
{
	const struct vp_field *f;
	u64 value = 0;

	for (u32 i = 0; i < size; i++) {
		f = vp_field(offset + i);
		if (f)
			value |= (vp_common_get(v, f->offset) >>
					  8 * (offset + i - f->offset) &
				  0xffULL)
				 << 8 * i;
	}
	return value;
}

static u64 vp_low(u64 old, u32 value)
{
	return (old & ~(u64)UINT32_MAX) | value;
}

static u64 vp_high(u64 old, u32 value)
{
	return (old & UINT32_MAX) | (u64)value << 32;
}

static void vp_queue_size(struct virtio *v, struct queue *q, u32 size)
{
	if (size == 0 || size > q->size_max)
		log_guest(v->label, "queue %u: size %u is not in 1..%u",
			  q->index, size, q->size_max);
	else
		q->size = size;
}

static void vp_queue_put(struct virtio *v, u32 field, u32 value)
{
	struct queue *q = virtio_configurable(v);

	if (!q)
		return;
	switch (field) {
	case VIRTIO_PCI_COMMON_Q_SIZE: vp_queue_size(v, q, value); break;
	case VIRTIO_PCI_COMMON_Q_MSIX: q->vector = vp_vector(v, value); break;
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		if (value == 1)
			q->enabled = q->size > 0;
		else
			log_guest(v->label, "queue %u: enable = %u", q->index,
				  value);
		break;
	case VIRTIO_PCI_COMMON_Q_DESCLO:
		q->desc = vp_low(q->desc, value);
		break;
	case VIRTIO_PCI_COMMON_Q_DESCHI:
		q->desc = vp_high(q->desc, value);
		break;
	case VIRTIO_PCI_COMMON_Q_AVAILLO:
		q->driver = vp_low(q->driver, value);
		break;
	case VIRTIO_PCI_COMMON_Q_AVAILHI:
		q->driver = vp_high(q->driver, value);
		break;
	case VIRTIO_PCI_COMMON_Q_USEDLO:
		q->device = vp_low(q->device, value);
		break;
	case VIRTIO_PCI_COMMON_Q_USEDHI:
		q->device = vp_high(q->device, value);
		break;
	default: log_guest(v->label, "write to a read-only register");
	}
}

static void vp_common_write(struct virtio *v, u32 offset, u32 size, u32 value)
{
	const struct vp_field *f = vp_field(offset);

	if (!f || f->offset != offset || f->size != size) {
		log_guest(v->label, "write of %u bytes to register 0x%x", size,
			  offset);
		return;
	}
	switch (offset) {
	case VIRTIO_PCI_COMMON_DFSELECT: v->offered_select = value; break;
	case VIRTIO_PCI_COMMON_GFSELECT: v->accepted_select = value; break;
	case VIRTIO_PCI_COMMON_GF: virtio_set_accepted(v, value); break;
	case VIRTIO_PCI_COMMON_MSIX: vp_set_config_vector(v, value); break;
	case VIRTIO_PCI_COMMON_STATUS: virtio_set_status(v, value); break;
	case VIRTIO_PCI_COMMON_Q_SELECT: v->queue_select = value; break;
	default: vp_queue_put(v, offset, value);
	}
}

/* ---- BAR 4 ---- */

static u64 vp_modern_get(struct virtio *v, u32 offset, u32 size)
{
	u32 at = offset % VP_PAGE;

	switch (offset - at) {
	case VP_COMMON: return vp_common_read(v, at, size);
	case VP_ISR: return at == 0 ? vp_read_isr(v) : 0;
	case VP_DEVICE: return virtio_config_read(v, at, size);
	default: return 0;
	}
}

static void vp_modern_put(struct virtio *v, u32 offset, u32 size, u64 value)
{
	u32 at = offset % VP_PAGE;

	switch (offset - at) {
	case VP_COMMON: vp_common_write(v, at, size, value); break;
	case VP_DEVICE: virtio_config_write(v, at, size, value); break;
	case VP_NOTIFY: virtio_kick(v, at / VP_NOTIFY_STEP); break;
	default: log_guest(v->label, "write to the interrupt status");
	}
}

/* Only doorbells go without the lock, the rest of the BAR takes it. */
static u64 vp_modern_read(void *opaque, u64 offset, u32 size) NO_TSA
{
	bool take = !lock_held(&machine_lock);
	u64 value;

	if (take)
		lock_acquire(&machine_lock);
	value = vp_modern_get(opaque, offset, size);
	if (take)
		lock_release(&machine_lock);
	return value;
}

static void vp_modern_write(void *opaque, u64 offset, u32 size,
			    u64 value) NO_TSA
{
	bool take = offset < VP_NOTIFY && !lock_held(&machine_lock);

	if (take)
		lock_acquire(&machine_lock);
	vp_modern_put(opaque, offset, size, value);
	if (take)
		lock_release(&machine_lock);
}

static const struct region_ops vp_modern_ops = {
	.read = vp_modern_read,
	.write = vp_modern_write,
	.min_size = 1,
	.max_size = 4,
	.lockless = true,
};

/* ---- BAR 0: the interface before 1.0, virtio 1.2 §4.1.4.10 ---- */

static u32 vp_legacy_header(struct virtio *v)
{
	return VIRTIO_PCI_CONFIG_OFF(pci_msix_enabled(&v->pci));
}

static u64 vp_legacy_get(struct virtio *v, u32 offset, u32 size)
{
	struct queue *q = virtio_selected(v);
	u32 header = vp_legacy_header(v);

	if (offset >= header)
		return virtio_config_read(v, offset - header, size);
	switch (offset) {
	case VIRTIO_PCI_HOST_FEATURES: return (u32)v->offered;
	case VIRTIO_PCI_GUEST_FEATURES: return (u32)v->accepted;
	case VIRTIO_PCI_QUEUE_PFN:
		return q && q->enabled ? q->desc >> VIRTIO_PCI_QUEUE_ADDR_SHIFT
				       : 0;
	case VIRTIO_PCI_QUEUE_NUM: return q ? q->size : 0;
	case VIRTIO_PCI_QUEUE_SEL: return v->queue_select;
	case VIRTIO_PCI_STATUS: return v->status;
	case VIRTIO_PCI_ISR: return vp_read_isr(v);
	case VIRTIO_MSI_CONFIG_VECTOR: return v->config_vector;
	case VIRTIO_MSI_QUEUE_VECTOR: return q ? q->vector : QUEUE_NO_VECTOR;
	default: return UINT64_MAX;
	}
}

/* One page number places all three parts, virtio 1.2 §2.7.2. */
static void vp_legacy_place(struct virtio *v, u32 pfn)
{
	struct queue *q = virtio_configurable(v);

	if (!q || q->size == 0)
		return;
	q->enabled = pfn != 0;
	q->desc = (u64)pfn << VIRTIO_PCI_QUEUE_ADDR_SHIFT;
	q->driver = q->desc + queue_desc_bytes(false, q->size);
	q->device = ALIGN_UP(q->driver + queue_driver_bytes(false, q->size),
			     VIRTIO_PCI_VRING_ALIGN);
}

static void vp_legacy_status(struct virtio *v, u8 status)
{
	bool reset = status == 0;

	v->legacy = !reset;
	virtio_set_status(v, status);
}

static void vp_legacy_put(struct virtio *v, u32 offset, u32 size, u64 value)
{
	u32 header = vp_legacy_header(v);
	struct queue *q;

	if (offset >= header) {
		virtio_config_write(v, offset - header, size, value);
		return;
	}
	switch (offset) {
	case VIRTIO_PCI_GUEST_FEATURES:
		/* Old drivers accept blindly; there is no way to object. */
		v->accepted_select = 0;
		virtio_set_accepted(v, value & v->offered);
		break;
	case VIRTIO_PCI_QUEUE_PFN: vp_legacy_place(v, value); break;
	case VIRTIO_PCI_QUEUE_SEL: v->queue_select = value; break;
	case VIRTIO_PCI_STATUS: vp_legacy_status(v, value); break;
	case VIRTIO_MSI_CONFIG_VECTOR: vp_set_config_vector(v, value); break;
	case VIRTIO_MSI_QUEUE_VECTOR:
		q = virtio_configurable(v);
		if (q)
			q->vector = vp_vector(v, value);
		break;
	default: log_guest(v->label, "write to register 0x%x", offset);
	}
}

static u64 vp_legacy_read(void *opaque, u64 offset, u32 size) NO_TSA
{
	bool take = !lock_held(&machine_lock);
	u64 value;

	if (take)
		lock_acquire(&machine_lock);
	value = vp_legacy_get(opaque, offset, size);
	if (take)
		lock_release(&machine_lock);
	return value;
}

static void vp_legacy_write(void *opaque, u64 offset, u32 size,
			    u64 value) NO_TSA
{
	bool take = !lock_held(&machine_lock);

	if (offset == VIRTIO_PCI_QUEUE_NOTIFY) {
		virtio_kick(opaque, value);
		return;
	}
	if (take)
		lock_acquire(&machine_lock);
	vp_legacy_put(opaque, offset, size, value);
	if (take)
		lock_release(&machine_lock);
}

static const struct region_ops vp_legacy_ops = {
	.read = vp_legacy_read,
	.write = vp_legacy_write,
	.min_size = 1,
	.max_size = 4,
	.lockless = true,
};

/* ---- Access through configuration space, virtio 1.2 §4.1.4.9 ---- */

static bool vp_access_window(struct virtio *v, u32 offset, u32 len, u32 *ret_at,
			     u32 *ret_len)
{
	struct virtio_pci *vp = v->bus_data;
	const u8 *cap = v->pci.config + vp->access_cap;
	u32 data = vp->access_cap + sizeof(struct virtio_pci_cap);

	if (!vp->access_cap || offset + len <= data || offset >= data + 4)
		return false;
	*ret_at = get_le32(cap + offsetof(struct virtio_pci_cap, offset));
	*ret_len = get_le32(cap + offsetof(struct virtio_pci_cap, length));
	return cap[offsetof(struct virtio_pci_cap, bar)] == VP_BAR_MODERN &&
	       (*ret_len == 1 || *ret_len == 2 || *ret_len == 4) &&
	       *ret_at % *ret_len == 0 &&
	       range_holds(0, VP_MODERN_BYTES, *ret_at, *ret_len);
}

void virtio_pci_config_read(struct pci_device *pci, u32 offset, u32 len)
{
	struct virtio *v = vp_of(pci);
	struct virtio_pci *vp = v->bus_data;
	u32 at, size;

	if (vp && vp_access_window(v, offset, len, &at, &size))
		put_le32(pci->config + vp->access_cap +
				 sizeof(struct virtio_pci_cap),
			 vp_modern_get(v, at, size));
}

void virtio_pci_config_written(struct pci_device *pci, u32 offset, u32 len)
{
	struct virtio *v = vp_of(pci);
	struct virtio_pci *vp = v->bus_data;
	u32 at, size, value;

	if (!vp)
		return;
	if (vp_access_window(v, offset, len, &at, &size)) {
		value = get_le32(pci->config + vp->access_cap +
				 sizeof(struct virtio_pci_cap));
		if (size < 4)
			value &= BIT(8 * size) - 1;
		vp_modern_put(v, at, size, value);
		return;
	}
	/* BARs may have moved, decoding or MSI-X may have changed. */
	if (v->started)
		vp_bells_update(v, true);
	if (pci_msix_enabled(pci))
		pci_set_intx(pci, 0);
}

/* ---- Life cycle ---- */

static u8 vp_add_cap(struct virtio *v, u8 type, u8 len, u32 offset, u32 length)
{
	u8 at = pci_add_capability(&v->pci, PCI_CAP_ID_VNDR, len);
	u8 *cap = v->pci.config + at;

	cap[offsetof(struct virtio_pci_cap, cap_len)] = len;
	cap[offsetof(struct virtio_pci_cap, cfg_type)] = type;
	cap[offsetof(struct virtio_pci_cap, bar)] = VP_BAR_MODERN;
	put_le32(cap + offsetof(struct virtio_pci_cap, offset), offset);
	put_le32(cap + offsetof(struct virtio_pci_cap, length), length);
	return at;
}

static void vp_add_caps(struct virtio *v)
{
	struct virtio_pci *vp = v->bus_data;
	u8 at;

	vp_add_cap(v, VIRTIO_PCI_CAP_COMMON_CFG, 16, VP_COMMON,
		   VP_COMMON_BYTES);
	vp_add_cap(v, VIRTIO_PCI_CAP_ISR_CFG, 16, VP_ISR, 1);
	if (v->class->config_size)
		vp_add_cap(v, VIRTIO_PCI_CAP_DEVICE_CFG, 16, VP_DEVICE,
			   v->class->config_size);
	at = vp_add_cap(v, VIRTIO_PCI_CAP_NOTIFY_CFG, 20, VP_NOTIFY,
			VP_NOTIFY_STEP * v->nqueues);
	put_le32(v->pci.config + at + 16, VP_NOTIFY_STEP);

	at = vp_add_cap(v, VIRTIO_PCI_CAP_PCI_CFG, 20, 0, 0);
	v->pci.config[at + offsetof(struct virtio_pci_cap, bar)] = 0;
	v->pci.wmask[at + offsetof(struct virtio_pci_cap, bar)] = 0xff;
	memset(v->pci.wmask + at + offsetof(struct virtio_pci_cap, offset),
	       0xff, 12);
	vp->access_cap = at;
}

static void vp_set_ids(struct virtio *v)
{
	struct virtio_pci *vp = v->bus_data;
	u8 *config = v->pci.config;

	put_le16(config + PCI_VENDOR_ID, VP_VENDOR);
	put_le16(config + PCI_DEVICE_ID,
		 vp->legacy ? v->class->pci_legacy_id
			    : VP_MODERN_BASE + v->class->id);
	config[PCI_REVISION_ID] = vp->legacy ? 0 : 1;
	config[PCI_CLASS_PROG] = v->class->pci_class;
	put_le16(config + PCI_CLASS_DEVICE, v->class->pci_class >> 8);
	put_le16(config + PCI_SUBSYSTEM_VENDOR_ID, VP_VENDOR);
	put_le16(config + PCI_SUBSYSTEM_ID, vp->legacy ? v->class->id : 0x1100);
	config[PCI_INTERRUPT_PIN] = 1;
}

static int vp_check_options(struct virtio *v, struct err *err)
{
	struct virtio_pci *vp = v->bus_data;

	vp->modern = !v->opt_no_modern;
	vp->legacy = v->opt_no_legacy != 1 && v->class->pci_legacy_id;
	if (!vp->modern && !vp->legacy)
		return err_set(err, -EINVAL,
			       "disable-legacy and disable-modern leave "
			       "'%s' without an interface",
			       v->pci.dev.class->name);
	if (v->opt_vectors != UINT32_MAX && v->opt_vectors > PCI_MSIX_MAX)
		return err_set(err, -EINVAL, "vectors=%u: at most %d",
			       v->opt_vectors, PCI_MSIX_MAX);
	return 0;
}

static u64 vp_legacy_bytes(const struct virtio *v)
{
	u64 size = 32;

	while (size < VIRTIO_PCI_CONFIG_OFF(1) + v->class->config_size)
		size *= 2;
	return size;
}

static int vp_add_bars(struct virtio *v, struct err *err)
{
	struct virtio_pci *vp = v->bus_data;

	if (vp->legacy)
		pci_add_bar(&v->pci, VP_BAR_LEGACY, "virtio-pci-legacy",
			    vp_legacy_bytes(v), true, false, false,
			    &vp_legacy_ops, v);
	if (vp->modern) {
		pci_add_bar(&v->pci, VP_BAR_MODERN, "virtio-pci",
			    VP_MODERN_BYTES, false, true, true, &vp_modern_ops,
			    v);
		vp_add_caps(v);
	}
	vp->vectors = v->opt_vectors == UINT32_MAX ? v->nqueues + 1
						   : (int)v->opt_vectors;
	if (vp->vectors == 0)
		return 0;
	pci_add_bar(&v->pci, VP_BAR_MSIX, "virtio-pci-msix", VP_MSIX_BYTES,
		    false, false, false, NULL, NULL);
	return pci_msix_init(&v->pci, vp->vectors, VP_BAR_MSIX, 0, VP_MSIX_PBA,
			     err);
}

int virtio_pci_init(struct device *dev, struct err *err)
{
	const struct virtio_pci_class *class = container_of(
		dev->class->bus_class, struct virtio_pci_class, pci);
	struct virtio *v = virtio_of(dev);
	int r;

	r = pci_device_init(&v->pci, err);
	if (r < 0)
		return r;
	v->bus = &vp_bus;
	v->bus_data = xalloc(sizeof(struct virtio_pci));
	v->class = class->virtio;
	r = virtio_init(v, err);
	if (r == 0)
		r = vp_check_options(v, err);
	if (r == 0) {
		vp_set_ids(v);
		r = vp_add_bars(v, err);
	}
	return r;
}

void virtio_pci_reset(struct device *dev)
{
	struct virtio *v = virtio_of(dev);

	virtio_reset(v);
	pci_device_reset(&v->pci);
}

void virtio_pci_fini(struct device *dev)
{
	struct virtio *v = virtio_of(dev);

	virtio_fini(v);
	pci_device_fini(&v->pci);
	free(v->bus_data);
	v->bus_data = NULL;
}

void virtio_pci_info(struct device *dev, struct buf *out)
{
	struct virtio *v = virtio_of(dev);

	pci_device_info(&v->pci, out);
	buf_printf(out, "status 0x%02x, features 0x%llx of 0x%llx\n", v->status,
		   (unsigned long long)v->accepted,
		   (unsigned long long)v->offered);
	if (v->class->info)
		v->class->info(v, out);
}

struct virtio *virtio_next(struct machine *m, struct virtio *v)
{
	struct list *node = v ? v->pci.dev.node.next : m->devices.next;

	for (; node != &m->devices; node = node->next) {
		struct device *dev = list_entry(node, struct device, node);

		if (dev->class->fini == virtio_pci_fini)
			return virtio_of(dev);
	}
	return NULL;
}
