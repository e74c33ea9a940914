/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Queries on virtio devices: status, features, queues.
 *
 * Rings are read from guest memory as they are now; the device decides by
 * copies of its own.
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdio.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "monitor/internal.h"
#include "virtio/virtio.h"
#include "vmm/machine.h"
#include "vmm/memory.h"

#define DESC_BYTES 16

static const struct virtio_feature {
	u16 id;
	u8 bit;
	const char *name, *text;
} virtio_features[] = {

#define FEATURE(id, bit, name, text) { id, bit, name, text },
#include "monitor/virtio_features.def"
#undef FEATURE
};

static const struct virtio_status {
	u8 bit;
	const char *name;
} virtio_statuses[] = {
	{ VIRTIO_CONFIG_S_ACKNOWLEDGE,
	  "VIRTIO_CONFIG_S_ACKNOWLEDGE: the guest has found the device" },
	{ VIRTIO_CONFIG_S_DRIVER,
	  "VIRTIO_CONFIG_S_DRIVER: the guest has a driver" },
	{ VIRTIO_CONFIG_S_FEATURES_OK,
	  "VIRTIO_CONFIG_S_FEATURES_OK: features are agreed on" },
	{ VIRTIO_CONFIG_S_DRIVER_OK,
	  "VIRTIO_CONFIG_S_DRIVER_OK: the driver is ready" },
	{ VIRTIO_CONFIG_S_NEEDS_RESET,
	  "VIRTIO_CONFIG_S_NEEDS_RESET: broken, only a reset helps" },
	{ VIRTIO_CONFIG_S_FAILED,
	  "VIRTIO_CONFIG_S_FAILED: the guest has given up" },
};

/* ---- which device, which queue ---- */

static void virtio_path(const struct virtio *v, struct buf *out)
{
	buf_printf(out, "%s/virtio-backend", v->pci.dev.path);
}

/* By its path, or by id. */
static struct virtio *virtio_find(struct monitor *mon, const struct args *a,
				  struct err *err)
{
	const char *path = args_str(a, "path");
	struct virtio *v = NULL;

	while ((v = virtio_next(mon->m, v))) {
		struct buf own = { 0 };
		bool found;

		virtio_path(v, &own);
		found = !strcmp(buf_str(&own), path) ||
			(v->pci.dev.id && !strcmp(v->pci.dev.id, path));
		buf_fini(&own);
		if (found)
			return v;
	}
	err_set(err, -ENODEV, "Path %s is not a VirtIODevice", path);
	return NULL;
}

static struct queue *virtio_find_queue(struct monitor *mon,
				       const struct args *a, struct err *err)
{
	struct virtio *v = virtio_find(mon, a, err);
	u64 n = args_u64(a, "queue");

	if (!v)
		return NULL;
	if (n < (u64)v->nqueues)
		return &v->queue[n];
	err_set(err, -EINVAL, "Invalid virtqueue number %llu",
		(unsigned long long)n);
	return NULL;
}

/* ---- info virtio ---- */

json_t *query_virtio(struct monitor *mon, const struct args *a, struct err *err)
{
	json_t *list = json_array();
	struct virtio *v = NULL;

	while ((v = virtio_next(mon->m, v))) {
		struct buf path = { 0 };

		virtio_path(v, &path);
		json_array_insert_new(list, 0,
				      json_pack("{so ss}", "path",
						val_text(&path), "name",
						v->class->name));
	}
	return list;
}

void print_virtio(const json_t *list, struct buf *out)
{
	size_t i;
	json_t *v;

	if (!json_array_size(list))
		buf_puts(out, "No VirtIO devices\n");
	json_array_foreach(list, i, v) buf_printf(
		out, "%s [%s]\n", val_str(v, "path"), val_str(v, "name"));
}

/* ---- info virtio-status ---- */

static json_t *virtio_feature_list(u16 id, u64 bits, u64 *ret_known)
{
	json_t *list = json_array();

	*ret_known = 0;
	for (size_t i = 0; i < ARRAY_SIZE(virtio_features); i++) {
		const struct virtio_feature *f = &virtio_features[i];
		char text[160];

		if (f->id != id || !(bits & BIT(f->bit)))
			continue;
		snprintf(text, sizeof text, "%s: %s", f->name, f->text);
		json_array_append_new(list, json_string(text));
		*ret_known |= BIT(f->bit);
	}
	return list;
}

static json_t *virtio_feature_set(u16 id, u64 bits)
{
	u64 common, own;
	json_t *all = virtio_feature_list(0, bits, &common);
	json_t *dev = virtio_feature_list(id, bits, &own);
	json_t *v =
		json_pack("{so so}", "transports", all, "dev-features", dev);

	if (bits & ~(common | own))
		json_object_set_new(
			v, "unknown-dev-features",
			json_integer((json_int_t)(bits & ~(common | own))));
	return v;
}

static json_t *virtio_status_set(u8 bits)
{
	json_t *list = json_array();

	for (size_t i = 0; i < ARRAY_SIZE(virtio_statuses); i++)
		if (bits & virtio_statuses[i].bit)
			json_array_append_new(
				list, json_string(virtio_statuses[i].name));
	return json_pack("{so}", "statuses", list);
}

/* Only serial ports hang on a bus of their own. */
static json_t *virtio_bus_name(const struct virtio *v)
{
	char name[80];

	if (v->class->id != 3)
		return json_string("");
	snprintf(name, sizeof name, "%s.0",
		 v->pci.dev.id ? v->pci.dev.id : "virtio-serial-bus");
	return val_string(name);
}

json_t *query_virtio_status(struct monitor *mon, const struct args *a,
			    struct err *err)
{
	struct virtio *v = virtio_find(mon, a, err);
	struct buf path = { 0 };
	json_t *j;

	if (!v)
		return NULL;
	virtio_path(v, &path);
	j = json_pack(
		"{ss si sb so sb sb sb sb sb sb sb sb si si si ss}", "name",
		v->class->name, "device-id", v->class->id, "vhost-started", 0,
		"bus-name", virtio_bus_name(v), "broken", virtio_broken(v),
		"disabled", 0, "disable-legacy-check", 0, "started", v->started,
		"use-started", 1, "start-on-kick", 0, "use-guest-notifier-mask",
		1, "vm-running", run_state_running(mon->m), "num-vqs",
		v->nqueues, "queue-sel", v->queue_select, "isr", v->isr,
		"device-endian", "little");
	json_object_set_new(j, "path", val_text(&path));
	json_object_set_new(j, "status", virtio_status_set(v->status));
	json_object_set_new(j, "guest-features",
			    virtio_feature_set(v->class->id, v->accepted));
	json_object_set_new(j, "host-features",
			    virtio_feature_set(v->class->id, v->offered));
	json_object_set_new(j, "backend-features",
			    virtio_feature_set(v->class->id, 0));
	return j;
}

/* Lines joined by commas. */
static void print_names(const json_t *list, struct buf *out)
{
	size_t i;
	json_t *v;

	json_array_foreach(list, i, v)
		buf_printf(out, "\t%s%s\n", json_string_value(v),
			   i + 1 < json_array_size(list) ? "," : "");
}

static void print_empty(const json_t *list, struct buf *out)
{
	if (!json_array_size(list))
		buf_putc(out, '\n');
}

static void print_features(const json_t *set, const char *title,
			   struct buf *out)
{
	const json_t *own = json_object_get(set, "dev-features");

	buf_printf(out, "  %s features:\n", title);
	print_names(json_object_get(set, "transports"), out);
	print_names(own, out);
	print_empty(own, out);
	if (json_object_get(set, "unknown-dev-features"))
		buf_printf(out, "  unknown-features(0x%016llx)\n",
			   (unsigned long long)val_u64(set,
						       "unknown-dev-features"));
}

static const char *print_bool(const json_t *v, const char *key)
{
	return val_true(v, key) ? "true" : "false";
}

void print_virtio_status(const json_t *v, struct buf *out)
{
	static const struct {
		const char *title, *key;
	} flags[] = {
		{ "broken:", "broken" },
		{ "disabled:", "disabled" },
		{ "disable_legacy_check:", "disable-legacy-check" },
		{ "started:", "started" },
		{ "use_started:", "use-started" },
		{ "start_on_kick:", "start-on-kick" },
		{ "use_guest_notifier_mask:", "use-guest-notifier-mask" },
		{ "vm_running:", "vm-running" },
	};

	const char *bus = val_str(v, "bus-name");
	const json_t *statuses =
		json_object_get(json_object_get(v, "status"), "statuses");

	buf_printf(out, "%s:\n", val_str(v, "path"));
	buf_printf(out, "  device_name:             %s \n", val_str(v, "name"));
	buf_printf(out, "  device_id:               %d\n",
		   (int)val_u64(v, "device-id"));
	buf_printf(out, "  vhost_started:           %s\n",
		   print_bool(v, "vhost-started"));
	buf_printf(out, "  bus_name:                %s\n",
		   *bus ? bus : "(null)");
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		buf_printf(out, "  %-24s %s\n", flags[i].title,
			   print_bool(v, flags[i].key));
	buf_printf(out, "  num_vqs:                 %d\n",
		   (int)val_u64(v, "num-vqs"));
	buf_printf(out, "  queue_sel:               %d\n",
		   (int)val_u64(v, "queue-sel"));
	buf_printf(out, "  isr:                     %d\n",
		   (int)val_u64(v, "isr"));
	buf_printf(out, "  endianness:              %s\n",
		   val_str(v, "device-endian"));
	buf_puts(out, "  status:\n");
	print_names(statuses, out);
	print_empty(statuses, out);
	print_features(json_object_get(v, "guest-features"), "Guest", out);
	print_features(json_object_get(v, "host-features"), "Host", out);
	print_features(json_object_get(v, "backend-features"), "Backend", out);
}

/* ---- info virtio-queue-status ---- */

json_t *query_virtio_queue(struct monitor *mon, const struct args *a,
			   struct err *err)
{
	const struct queue *q = virtio_find_queue(mon, a, err);
	struct buf path = { 0 };
	json_t *j;

	if (!q)
		return NULL;
	virtio_path(q->v, &path);
	j = json_pack("{ss si si si si sb si si si si si}", "name",
		      q->v->class->name, "queue-index", q->index, "inuse",
		      q->inflight, "used-idx", q->used_idx, "signalled-used",
		      q->signalled, "signalled-used-valid", q->signalled_valid,
		      "last-avail-idx", q->last_avail, "shadow-avail-idx",
		      q->avail_seen, "vring-num",
		      q->size ? q->size : q->size_max, "vring-num-default",
		      q->size_max, "vring-align", 4096);
	json_object_set_new(j, "path", val_text(&path));
	json_object_set_new(j, "vring-desc", json_integer((json_int_t)q->desc));
	json_object_set_new(j, "vring-avail",
			    json_integer((json_int_t)q->driver));
	json_object_set_new(j, "vring-used",
			    json_integer((json_int_t)q->device));
	return j;
}

void print_virtio_queue(const json_t *v, struct buf *out)
{
	buf_printf(out,
		   "%s:\n"
		   "  device_name:          %s\n"
		   "  queue_index:          %d\n"
		   "  inuse:                %d\n"
		   "  used_idx:             %d\n"
		   "  signalled_used:       %d\n"
		   "  signalled_used_valid: %s\n"
		   "  last_avail_idx:       %d\n"
		   "  shadow_avail_idx:     %d\n"
		   "  VRing:\n"
		   "    num:          %d\n"
		   "    num_default:  %d\n"
		   "    align:        %d\n",
		   val_str(v, "path"), val_str(v, "name"),
		   (int)val_u64(v, "queue-index"), (int)val_u64(v, "inuse"),
		   (int)val_u64(v, "used-idx"),
		   (int)val_u64(v, "signalled-used"),
		   print_bool(v, "signalled-used-valid"),
		   (int)val_u64(v, "last-avail-idx"),
		   (int)val_u64(v, "shadow-avail-idx"),
		   (int)val_u64(v, "vring-num"),
		   (int)val_u64(v, "vring-num-default"),
		   (int)val_u64(v, "vring-align"));
	buf_printf(out,
		   "    desc:         0x%016llx\n"
		   "    avail:        0x%016llx\n"
		   "    used:         0x%016llx\n",
		   (unsigned long long)val_u64(v, "vring-desc"),
		   (unsigned long long)val_u64(v, "vring-avail"),
		   (unsigned long long)val_u64(v, "vring-used"));
}

/* ---- info virtio-queue-element ---- */

struct ring_desc {
	u64 addr;
	u32 len;
	u16 flags, next;
};

static bool ring_read_desc(struct machine *m, u64 table, u32 index,
			   struct ring_desc *ret)
{
	u8 raw[DESC_BYTES];

	if (mem_read(&m->mem, table + (u64)index * DESC_BYTES, raw,
		     sizeof raw) < 0)
		return false;
	ret->addr = get_le64(raw);
	ret->len = get_le32(raw + 8);
	ret->flags = get_le16(raw + 12);
	ret->next = get_le16(raw + 14);
	return true;
}

static json_t *ring_desc_json(const struct ring_desc *d)
{
	json_t *flags = json_array();

	if (d->flags & VRING_DESC_F_INDIRECT)
		json_array_append_new(flags, json_string("indirect"));
	if (d->flags & VRING_DESC_F_WRITE)
		json_array_append_new(flags, json_string("write"));
	if (d->flags & VRING_DESC_F_NEXT)
		json_array_append_new(flags, json_string("next"));
	return json_pack("{sI sI so}", "addr", (json_int_t)d->addr, "len",
			 (json_int_t)d->len, "flags", flags);
}

/* The chain from `head` on, through one indirect table; as long as the table
 * at most, whatever the guest has written there. */
static json_t *ring_chain(struct machine *m, u64 table, u32 size, u32 head)
{
	json_t *list = json_array();
	bool indirect = false;
	u32 at = head, left = size;
	struct ring_desc d;

	while (left-- && at < size && ring_read_desc(m, table, at, &d)) {
		if (d.flags & VRING_DESC_F_INDIRECT && !indirect) {
			indirect = true;
			table = d.addr;
			size = MIN(d.len / DESC_BYTES, (u32)QUEUE_SIZE_MAX);
			left = size;
			at = 0;
			continue;
		}
		json_array_append_new(list, ring_desc_json(&d));
		if (!(d.flags & VRING_DESC_F_NEXT))
			break;
		at = d.next;
	}
	return list;
}

static u16 ring_u16(struct machine *m, u64 at)
{
	u8 raw[2] = { 0 };

	(void)mem_read(&m->mem, at, raw, sizeof raw);
	return get_le16(raw);
}

json_t *query_virtio_element(struct monitor *mon, const struct args *a,
			     struct err *err)
{
	const struct queue *q = virtio_find_queue(mon, a, err);
	struct machine *m = mon->m;
	struct buf path = { 0 };
	u32 slot, head;
	json_t *j;

	if (!q)
		return NULL;
	if (q->packed)
		err_set(err, -ENOTSUP, "Packed ring not supported");
	else if (!q->active || !q->size)
		err_set(err, -EINVAL, "The queue is not in use by the guest");
	if (q->packed || !q->active || !q->size)
		return NULL;
	slot = args_has(a, "index") ? (u32)args_u64(a, "index") : q->last_avail;
	head = ring_u16(m, q->driver + 4 + slot % q->size * 2ull);
	virtio_path(q->v, &path);
	j = json_pack("{ss so si so}", "name", q->v->class->name, "path",
		      val_text(&path), "index", (int)head, "descs",
		      ring_chain(m, q->desc, q->size, head));
	json_object_set_new(
		j, "avail",
		json_pack("{si si si}", "flags", ring_u16(m, q->driver), "idx",
			  ring_u16(m, q->driver + 2), "ring", (int)head));
	json_object_set_new(j, "used",
			    json_pack("{si si}", "flags",
				      ring_u16(m, q->device), "idx",
				      ring_u16(m, q->device + 2)));
	return j;
}

static void print_desc(const json_t *d, struct buf *out)
{
	const json_t *flags = json_object_get(d, "flags");
	size_t i;
	json_t *f;

	buf_printf(out, "        addr 0x%llx len %llu",
		   (unsigned long long)val_u64(d, "addr"),
		   (unsigned long long)val_u64(d, "len"));
	json_array_foreach(flags, i, f)
		buf_printf(out, "%s%s", i ? ", " : " (", json_string_value(f));
	if (json_array_size(flags))
		buf_putc(out, ')');
}

void print_virtio_element(const json_t *v, struct buf *out)
{
	const json_t *avail = json_object_get(v, "avail");
	const json_t *used = json_object_get(v, "used");
	const json_t *descs = json_object_get(v, "descs");
	size_t i;
	json_t *d;

	buf_printf(out,
		   "%s:\n  device_name: %s\n  index:   %d\n"
		   "  desc:\n    descs:\n",
		   val_str(v, "path"), val_str(v, "name"),
		   (int)val_u64(v, "index"));
	json_array_foreach(descs, i, d)
	{
		if (i)
			buf_puts(out, ",\n");
		print_desc(d, out);
	}
	buf_printf(out,
		   "\n  avail:\n    flags: %d\n    idx:   %d\n    ring:  %d\n"
		   "  used:\n    flags: %d\n    idx:   %d\n",
		   (int)val_u64(avail, "flags"), (int)val_u64(avail, "idx"),
		   (int)val_u64(avail, "ring"), (int)val_u64(used, "flags"),
		   (int)val_u64(used, "idx"));
}

/* ---- info virtio-vhost-queue-status ---- */

/* There is no vhost; QEMU's words for a device that does not use it. */
json_t *query_virtio_vhost(struct monitor *mon, const struct args *a,
			   struct err *err)
{
	if (virtio_find(mon, a, err))
		err_set(err, -ENOTSUP,
			"Error: vhost device has not started yet");
	return NULL;
}

void print_virtio_vhost(const json_t *v, struct buf *out)
{
}
