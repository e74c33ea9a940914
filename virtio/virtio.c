/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Virtio apart from its transports: status machine, features, doorbells.
 *
 * Queue addresses and sizes can only be written before DRIVER_OK; from then
 * on virtio/queue.c works with what it checked at that moment.
 *
 * Spec: virtio 1.2 §2.1, §2.2, §3.1.
 * Locking: as virtio/virtio.h.
 */
#include "virtio/virtio.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/err.h"
#include "lib/lock.h"
#include "lib/trace.h"
#include "vmm/machine.h"

#define STATUS_ACK         VIRTIO_CONFIG_S_ACKNOWLEDGE
#define STATUS_DRIVER      VIRTIO_CONFIG_S_DRIVER
#define STATUS_DRIVER_OK   VIRTIO_CONFIG_S_DRIVER_OK
#define STATUS_FEATURES_OK VIRTIO_CONFIG_S_FEATURES_OK
#define STATUS_NEEDS_RESET VIRTIO_CONFIG_S_NEEDS_RESET
#define STATUS_FAILED      VIRTIO_CONFIG_S_FAILED

const char *virtio_label(const struct virtio *v)
{
	return v->label;
}

void virtio_break(struct virtio *v, const char *fmt, ...)
{
	char why[160];
	va_list ap;

	if (virtio_broken(v))
		return;
	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	log_guest(v->label, "%s; the device needs a reset", why);
	v->status |= STATUS_NEEDS_RESET;
	v->started = false;
	if (v->status & STATUS_DRIVER_OK && !v->legacy)
		virtio_config_changed(v);
}

void virtio_config_changed(struct virtio *v)
{
	v->generation++;
	if (v->status & STATUS_DRIVER_OK)
		v->bus->notify(v, NULL);
}

/* ---- Doorbells ---- */

void virtio_kick(struct virtio *v, u32 index)
{
	struct queue *q;
	u64 one = 1;

	if (index >= (u32)v->nqueues)
		return;
	q = &v->queue[index];
	/* Partner: virtio_kicked().  A doorbell already pending will find the
	 * buffer that this one announces. */
	if (!atomic_exchange(&q->kicked, true))
		while (write(q->kick_fd, &one, sizeof(one)) < 0 &&
		       errno == EINTR)
			;
}

static void virtio_handle(struct virtio *v, struct queue *q)
{
	assert_locked(&machine_lock);
	if (!v->started || !q->active || !run_state_running(v->pci.dev.m))
		return;
	trace(VIRTIO_NOTIFY, "%s: queue %u", v->label, q->index);
	v->class->handle_queue(v, q);
}

static void virtio_kicked(void *arg, u32 events)
{
	struct queue *q = arg;
	u64 count;

	while (read(q->kick_fd, &count, sizeof(count)) < 0 && errno == EINTR)
		;
	atomic_store(&q->kicked, false);
	virtio_handle(q->v, q);
}

/* Doorbells that rang while the machine stood still. */
static void virtio_run_changed(void *arg, enum run_state old,
			       enum run_state now)
{
	struct virtio *v = arg;

	for (int i = 0; now == RUN_RUNNING && i < v->nqueues; i++)
		virtio_handle(v, &v->queue[i]);
}

/* ---- Status ---- */

static int virtio_agree(struct virtio *v)
{
	if (v->accepted & ~v->offered) {
		log_guest(v->label, "driver wants features 0x%llx not offered",
			  (unsigned long long)(v->accepted & ~v->offered));
		return -EINVAL;
	}
	if (!v->legacy && !virtio_has(v, VIRTIO_F_VERSION_1)) {
		log_guest(v->label, "driver lacks VIRTIO_F_VERSION_1");
		return -EINVAL;
	}
	return 0;
}

static int virtio_start_queue(struct virtio *v, struct queue *q)
{
	int r;

	q->packed = virtio_has(v, VIRTIO_F_RING_PACKED);
	q->event_idx = virtio_has(v, VIRTIO_RING_F_EVENT_IDX);
	q->indirect = virtio_has(v, VIRTIO_RING_F_INDIRECT_DESC);
	r = queue_activate(q);
	if (r < 0)
		return r;
	return watch_add(&q->kick_watch, v->pci.dev.m->loop, q->kick_fd,
			 LOOP_IN, virtio_kicked, q);
}

static int virtio_start(struct virtio *v)
{
	if (!v->legacy && !(v->status & STATUS_FEATURES_OK)) {
		log_guest(v->label, "DRIVER_OK before FEATURES_OK");
		return -EINVAL;
	}
	if (virtio_broken(v))
		return -EIO;
	for (int i = 0; i < v->nqueues; i++) {
		struct queue *q = &v->queue[i];

		if (q->enabled && virtio_start_queue(v, q) < 0) {
			virtio_break(v, "queue %d: bad size or addresses", i);
			return -EINVAL;
		}
	}
	if (v->class->activate && v->class->activate(v) < 0) {
		virtio_break(v, "cannot be activated");
		return -EIO;
	}
	v->started = true;
	v->bus->started(v);
	/* Some old drivers ring before they are ready. */
	for (int i = 0; i < v->nqueues; i++)
		if (v->queue[i].active)
			virtio_kick(v, i);
	return 0;
}

static int virtio_give_up(struct virtio *v)
{
	v->started = false;
	return 0;
}

/* virtio 1.2 §3.1.1: the bits in the order in which a driver sets them, what
 * each needs, and what it makes us do, which may refuse the bit. */
static const struct status_rule {
	u8 bit, needs;
	int (*enter)(struct virtio *v);
} status_rules[] = {
	{ STATUS_FAILED, 0, virtio_give_up },
	{ STATUS_ACK, 0, NULL },
	{ STATUS_DRIVER, STATUS_ACK, NULL },
	{ STATUS_FEATURES_OK, STATUS_ACK | STATUS_DRIVER, virtio_agree },
	{ STATUS_DRIVER_OK, STATUS_ACK | STATUS_DRIVER, virtio_start },
};

void virtio_set_status(struct virtio *v, u8 status)
{
	u8 old = v->status;

	assert_locked(&machine_lock);
	if (status == 0) {
		virtio_reset(v);
		return;
	}
	if (v->status & ~status & ~(STATUS_NEEDS_RESET | STATUS_FAILED) &&
	    !(status & STATUS_FAILED))
		log_guest(v->label, "driver clears status bits 0x%x",
			  v->status & ~status);
	for (size_t i = 0; i < ARRAY_SIZE(status_rules); i++) {
		const struct status_rule *rule = &status_rules[i];

		if (!(status & ~v->status & rule->bit))
			continue;
		if ((v->status & rule->needs) != rule->needs ||
		    v->status & STATUS_FAILED) {
			log_guest(v->label, "status bit 0x%x out of order",
				  rule->bit);
			continue;
		}
		if (!rule->enter || rule->enter(v) == 0)
			v->status |= rule->bit;
	}
	trace(VIRTIO_STATUS, "%s: status 0x%02x -> 0x%02x, features 0x%llx",
	      v->label, old, v->status, (unsigned long long)v->accepted);
}

/* ---- Registers ---- */

u32 virtio_get_offered(struct virtio *v)
{
	u64 offered = v->offered;

	return v->offered_select > 1 ? 0 : offered >> 32 * v->offered_select;
}

u32 virtio_get_accepted(struct virtio *v)
{
	return v->accepted_select > 1 ? 0
				      : v->accepted >> 32 * v->accepted_select;
}

void virtio_set_accepted(struct virtio *v, u32 word)
{
	u32 shift = 32 * v->accepted_select;

	if (v->accepted_select > 1) {
		if (word)
			log_guest(v->label, "features beyond bit 63");
		return;
	}
	if (v->status & (STATUS_FEATURES_OK | STATUS_DRIVER_OK)) {
		log_guest(v->label, "features changed after negotiation");
		return;
	}
	v->accepted &= ~((u64)UINT32_MAX << shift);
	v->accepted |= (u64)word << shift;
}

struct queue *virtio_selected(struct virtio *v)
{
	return v->queue_select < v->nqueues ? &v->queue[v->queue_select] : NULL;
}

struct queue *virtio_configurable(struct virtio *v)
{
	struct queue *q = virtio_selected(v);

	if (!q) {
		log_guest(v->label, "no queue %u", v->queue_select);
		return NULL;
	}
	if (v->status & STATUS_DRIVER_OK) {
		log_guest(v->label, "queue %u changed after DRIVER_OK",
			  v->queue_select);
		return NULL;
	}
	return q;
}

u64 virtio_config_read(struct virtio *v, u32 offset, u32 len)
{
	u64 value = UINT64_MAX;

	if (range_holds(0, v->class->config_size, offset, len)) {
		value = 0;
		memcpy(&value, v->config + offset, len);
	}
	return value;
}

void virtio_config_write(struct virtio *v, u32 offset, u32 len, u64 value)
{
	if (!range_holds(0, v->class->config_size, offset, len)) {
		log_guest(v->label, "configuration write beyond its end");
		return;
	}
	if (v->class->config_write)
		v->class->config_write(v, offset, len, value);
	else
		log_guest(v->label, "write to read-only configuration");
}

/* ---- Life cycle ---- */

static int virtio_init_queue(struct virtio *v, int i, struct err *err)
{
	struct queue *q = &v->queue[i];

	q->v = v;
	q->index = i;
	q->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (q->kick_fd < 0)
		return err_errno(err, "cannot create a doorbell");
	queue_reset(q);
	return 0;
}

int virtio_init(struct virtio *v, struct err *err)
{
	struct device *dev = &v->pci.dev;
	int r;

	snprintf(v->label, sizeof(v->label), "%s%s%s", v->class->name,
		 dev->id ? " " : "", dev->id ? dev->id : "");
	for (int i = 0; i < VIRTIO_QUEUES_MAX; i++)
		v->queue[i].kick_fd = -1;
	if (v->opt_iommu)
		return err_set(err, -ENOTSUP,
			       "iommu_platform=on: there is no IOMMU");
	v->offered |= BIT(VIRTIO_F_VERSION_1);
	if (v->opt_packed)
		v->offered |= BIT(VIRTIO_F_RING_PACKED);
	if (v->opt_event_idx)
		v->offered |= BIT(VIRTIO_RING_F_EVENT_IDX);
	if (v->opt_indirect)
		v->offered |= BIT(VIRTIO_RING_F_INDIRECT_DESC);
	v->run_notifier.fn = virtio_run_changed;
	v->run_notifier.arg = v;
	run_notifier_add(dev->m, &v->run_notifier);

	r = v->class->init(v, err);
	for (int i = 0; r == 0 && i < v->nqueues; i++)
		r = virtio_init_queue(v, i, err);
	return r;
}

void virtio_reset(struct virtio *v)
{
	if (!v->class)
		return;
	assert_locked(&machine_lock);
	v->started = false;
	for (int i = 0; i < v->nqueues; i++)
		watch_remove(&v->queue[i].kick_watch);
	v->bus->stopped(v);
	if (v->class->reset)
		v->class->reset(v);
	for (int i = 0; i < v->nqueues; i++)
		queue_reset(&v->queue[i]);
	v->status = 0;
	v->accepted = 0;
	v->legacy = false;
	v->isr = 0;
	v->config_vector = QUEUE_NO_VECTOR;
	v->queue_select = 0;
	v->offered_select = 0;
	v->accepted_select = 0;
}

void virtio_fini(struct virtio *v)
{
	if (!v->class)
		return;
	virtio_reset(v);
	if (v->class->fini)
		v->class->fini(v);
	run_notifier_remove(&v->run_notifier);
	for (int i = 0; i < VIRTIO_QUEUES_MAX; i++)
		if (v->queue[i].kick_fd >= 0)
			close(v->queue[i].kick_fd);
	v->class = NULL;
}
