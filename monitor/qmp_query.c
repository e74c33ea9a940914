/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * QMP's own queries and commands, and the shapes of those that it shares
 * with the human monitor.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "chardev/chardev.h"
#include "devices/pc.h"
#include "devices/pci.h"
#include "lib/alloc.h"
#include "lib/bytes.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "monitor/monitor.h"
#include "monitor/qmp.h"
#include "net/net.h"
#include "vmm/device.h"
#include "vmm/machine.h"
#include "vmm/vcpu.h"

#define LAYERS_MAX 16

/* ---- shapes ---- */

json_t *shape_same(struct monitor *mon, json_t *v)
{
	return v;
}

json_t *shape_status(struct monitor *mon, json_t *v)
{
	json_object_set_new(v, "singlestep", json_false());
	return v;
}

json_t *shape_kvm(struct monitor *mon, json_t *v)
{
	json_object_del(v, "accel");
	return v;
}

json_t *shape_version(struct monitor *mon, json_t *v)
{
	int n[3] = { 0 };

	(void)sscanf(val_str(v, "qemu"), "%d.%d.%d", &n[0], &n[1], &n[2]);
	json_object_set_new(v, "qemu",
			    json_pack("{si si si}", "micro", n[2], "minor",
				      n[1], "major", n[0]));
	return v;
}

/* ---- machine ---- */

json_t *query_qmp_nothing(struct monitor *mon, const struct args *a,
			  struct err *err)
{
	return json_array();
}

json_t *query_qmp_empty(struct monitor *mon, const struct args *a,
			struct err *err)
{
	return json_object();
}

json_t *query_qmp_disabled(struct monitor *mon, const struct args *a,
			   struct err *err)
{
	return json_pack("{sb}", "enabled", 0);
}

/* ---- device models ---- */

static json_t *qmp_property(const struct option_row *row)
{
	json_t *v = json_pack("{ss ss}", "name", row->name, "type",
			      row->type->name);

	if (row->help)
		json_object_set_new(v, "description", val_string(row->help));
	if (row->def)
		json_object_set_new(v, "default-value", val_string(row->def));
	return v;
}

json_t *query_qmp_properties(struct monitor *mon, const struct args *a,
			     struct err *err)
{
	const char *name = args_str(a, "typename");
	const struct device_class *class = device_class_find(name);
	const struct option_row *row;
	json_t *list;

	if (!class || !class->user) {
		err_set(err, -ENODEV, "Class '%s' not found", name);
		return NULL;
	}
	list = json_array();
	for (row = class->options; row && row->name; row++)
		json_array_append_new(list, qmp_property(row));
	return list;
}

/* Only devices are types here, all of them of the parent "device". */
json_t *query_qmp_types(struct monitor *mon, const struct args *a,
			struct err *err)
{
	const char *only = args_str(a, "implements");
	json_t *list = json_array();

	for (int i = 0; device_classes[i]; i++)
		if (!only || !strcmp(only, "device") ||
		    !strcmp(only, device_classes[i]->name))
			json_array_append_new(list,
					      json_pack("{ss ss}", "name",
							device_classes[i]->name,
							"parent", "device"));
	return list;
}

/* ---- processors ---- */

json_t *query_qmp_target(struct monitor *mon, const struct args *a,
			 struct err *err)
{
	return json_pack("{ss}", "arch", "x86_64");
}

json_t *query_qmp_current_machine(struct monitor *mon, const struct args *a,
				  struct err *err)
{
	return json_pack("{sb}", "wakeup-suspend-support", 0);
}

json_t *query_qmp_machines(struct monitor *mon, const struct args *a,
			   struct err *err)
{
	return json_pack("[{ss ss sb si sb ss sb sb}]", "name", "pc", "alias",
			 "pc", "is-default", 1, "cpu-max", VCPUS_MAX,
			 "hotpluggable-cpus", 1, "default-ram-id", "pc.ram",
			 "deprecated", 0, "numa-mem-supported", 0);
}

static json_t *qmp_cpu_place(const struct machine *m, int i)
{
	const struct topology *t = &m->topo;

	return json_pack("{si si si}", "core-id", i / t->threads % t->cores,
			 "thread-id", i % t->threads, "socket-id",
			 i / (t->threads * t->cores));
}

static json_t *qmp_cpu_path(int i)
{
	char path[ACPI_CPU_PATH_MAX];

	acpi_cpus_path(path, i);
	return json_string(path);
}

json_t *query_qmp_cpus(struct monitor *mon, const struct args *a,
		       struct err *err)
{
	json_t *list = json_array();

	for (int i = 0; i < mon->m->nvcpus; i++) {
		struct vcpu *v = vcpu_plugged(mon->m, i);

		if (!v)
			continue;
		json_array_append_new(
			list, json_pack("{si so so si ss}", "thread-id",
					atomic_load(&v->thread_id), "props",
					qmp_cpu_place(mon->m, i), "qom-path",
					qmp_cpu_path(i), "cpu-index", i,
					"target", "x86_64"));
	}
	return list;
}

/* Highest slot first, as in QEMU. */
json_t *query_qmp_cpu_slots(struct monitor *mon, const struct args *a,
			    struct err *err)
{
	const char *model = mon->m->cpu_model ? mon->m->cpu_model : "qemu64";
	int len = (int)strcspn(model, ",");
	json_t *list = json_array();
	char type[80];

	snprintf(type, sizeof type, "%.*s-x86_64-cpu", len, model);
	for (int i = mon->m->nvcpus - 1; i >= 0; i--)
		json_array_append_new(list,
				      json_pack("{so si so* ss}", "props",
						qmp_cpu_place(mon->m, i),
						"vcpus-count", 1, "qom-path",
						vcpu_plugged(mon->m, i)
							? qmp_cpu_path(i)
							: NULL,
						"type", type));
	return list;
}

/* ---- PCI ---- */

static json_t *qmp_pci_bar(const struct pci_device *d, int n)
{
	const struct pci_bar *bar = &d->bar[n];
	json_t *v = json_pack("{si sI sI ss}", "bar", n, "size",
			      (json_int_t)bar->size, "address",
			      (json_int_t)pci_bar_address(d, n), "type",
			      bar->io ? "io" : "memory");

	if (!bar->io) {
		json_object_set_new(v, "prefetch", json_boolean(bar->prefetch));
		json_object_set_new(v, "mem_type_64", json_boolean(bar->is64));
	}
	return v;
}

/* Offsets of PCI 3.0 figure 6-1. */
static json_t *qmp_pci_device(const struct pci_device *d)
{
	const u8 *c = d->config;
	u16 class = get_le16(c + 0x0a);
	json_t *bars = json_array(), *v;
	json_t *info = json_pack("{si}", "class", class);
	json_t *id = json_pack("{si si}", "device", get_le16(c + 2), "vendor",
			       get_le16(c));

	if (pci_class_name(class))
		json_object_set_new(info, "desc",
				    json_string(pci_class_name(class)));
	if (get_le16(c + 0x2c)) {
		json_object_set_new(id, "subsystem-vendor",
				    json_integer(get_le16(c + 0x2c)));
		json_object_set_new(id, "subsystem",
				    json_integer(get_le16(c + 0x2e)));
	}
	for (int n = 0; n < PCI_BARS; n++)
		if (d->bar[n].size)
			json_array_append_new(bars, qmp_pci_bar(d, n));
	v = json_pack("{si si si ss si so so so}", "bus", 0, "slot",
		      d->devfn >> 3, "function", d->devfn & 7, "qdev_id",
		      d->dev.id ? d->dev.id : "", "irq_pin", c[0x3d],
		      "class_info", info, "id", id, "regions", bars);
	if (c[0x3d])
		json_object_set_new(v, "irq", json_integer(c[0x3c]));
	return v;
}

json_t *query_qmp_pci(struct monitor *mon, const struct args *a,
		      struct err *err)
{
	const struct pci_bus *bus = mon->m->pci;
	json_t *list = json_array();

	if (!bus)
		return list;
	for (int devfn = 0; devfn < 256; devfn++)
		if (bus->dev[devfn])
			json_array_append_new(list,
					      qmp_pci_device(bus->dev[devfn]));
	return json_pack("[{si so}]", "bus", 0, "devices", list);
}

/* ---- block ---- */

static json_t *qmp_image(const struct block_layer *l, int n)
{
	json_t *v = json_pack("{sI so so sI sb}", "virtual-size",
			      (json_int_t)l->virtual_size, "filename",
			      val_string(l->file), "format",
			      val_string(l->format), "actual-size",
			      (json_int_t)l->disk_size, "dirty-flag", 0);

	if (l->cluster_size)
		json_object_set_new(v, "cluster-size",
				    json_integer(l->cluster_size));
	if (n > 1) {
		json_object_set_new(v, "backing-filename",
				    val_string(l[1].file));
		json_object_set_new(v, "backing-filename-format",
				    val_string(l[1].format));
		json_object_set_new(v, "backing-image",
				    qmp_image(l + 1, n - 1));
	}
	return v;
}

static void qmp_limit(json_t *v, const char *name, const char *suffix,
		      u64 value)
{
	char key[32];

	snprintf(key, sizeof key, "%s%s", name, suffix);
	json_object_set_new(v, key, json_integer((json_int_t)value));
}

static void qmp_limits(const struct block *b, json_t *v)
{
	static const char *const names[] = { "bps",  "bps_rd",  "bps_wr",
					     "iops", "iops_rd", "iops_wr" };
	const char *group;
	const struct block_limits *l = block_limits(b, &group);

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		qmp_limit(v, names[i], "", l ? l->v[i].avg : 0);
		if (!l || !l->v[i].max)
			continue;
		qmp_limit(v, names[i], "_max", l->v[i].max);
		qmp_limit(v, names[i], "_max_length", l->v[i].length);
	}
	if (l && l->op_size)
		qmp_limit(v, "iops_size", "", l->op_size);
	if (l)
		json_object_set_new(v, "group", val_string(group));
}

static json_t *qmp_node(const struct block *b, const struct block_layer *l,
			int n)
{
	static const char *const zeroes[] = { "off", "on", "unmap" };
	json_t *cache =
		json_pack("{sb sb sb}", "no-flush", l->no_flush, "direct",
			  l->direct, "writeback", l->writeback);
	json_t *v =
		json_pack("{ss so si so so sb sb so si so}", "detect_zeroes",
			  zeroes[b->detect_zeroes], "image", qmp_image(l, n),
			  "write_threshold", 0, "drv", val_string(l->format),
			  "file", val_string(l->file), "ro", l->readonly,
			  "encrypted", 0, "node-name", val_string(l->node),
			  "backing_file_depth", n - 1, "cache", cache);

	qmp_limits(b, v);
	if (n > 1)
		json_object_set_new(v, "backing_file", val_string(l[1].file));
	return v;
}

static void qmp_block_path(const struct block *b, json_t *v)
{
	struct buf path = { 0 };

	if (!b->front || !b->front->path)
		return;
	b->front->path(b->front_opaque, &path);
	json_object_set_new(v, "qdev", val_text(&path));
}

static json_t *qmp_drive(struct block *b)
{
	static const char *const status[] = { "ok", "failed", "nospace" };
	struct block_layer l[LAYERS_MAX];
	int n = MIN(block_layers(b, l, LAYERS_MAX), LAYERS_MAX);
	const struct block_tray *tray = b->front ? b->front->tray : NULL;
	json_t *v = json_pack(
		"{so sb sb ss}", "device", val_string(b->stays ? "" : b->id),
		"locked", tray && tray->locked(b->front_opaque), "removable",
		!b->front || tray, "type", "unknown");

	if (tray)
		json_object_set_new(v, "tray_open",
				    json_boolean(tray->open(b->front_opaque)));
	if (b->front)
		json_object_set_new(v, "io-status",
				    json_string(status[b->io_status]));
	if (n)
		json_object_set_new(v, "inserted", qmp_node(b, l, n));
	qmp_block_path(b, v);
	return v;
}

json_t *query_qmp_block(struct monitor *mon, const struct args *a,
			struct err *err)
{
	json_t *list = json_array();

	/* A node that no device uses is no drive. */
	for (struct block *b = block_next(NULL); b; b = block_next(b))
		if (b->front || !b->stays)
			json_array_append_new(list, qmp_drive(b));
	return list;
}

json_t *query_qmp_nodes(struct monitor *mon, const struct args *a,
			struct err *err)
{
	json_t *list = json_array();

	for (struct block *b = block_next(NULL); b; b = block_next(b)) {
		struct block_layer l[LAYERS_MAX];
		int n = MIN(block_layers(b, l, LAYERS_MAX), LAYERS_MAX);

		for (int i = 0; i < n; i++)
			json_array_append_new(list, qmp_node(b, l + i, n - i));
	}
	return list;
}

static json_t *qmp_stats(const struct block *b)
{
	static const struct {
		const char *name;
		enum block_op op;
	} ops[] = { { "rd", BLOCK_READ },
		    { "wr", BLOCK_WRITE },
		    { "flush", BLOCK_FLUSH },
		    { "unmap", BLOCK_DISCARD } };
	const struct block_stats *s = &b->stats;
	json_t *v = json_pack("{sb sb s[]}", "account_invalid", 1,
			      "account_failed", 1, "timed_stats");

	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		const struct {
			const char *before, *after;
			u64 value;
		} fields[] = {
			{ "", "_bytes", s->bytes[ops[i].op] },
			{ "", "_operations", s->ops[ops[i].op] },
			{ "", "_total_time_ns", s->time_ns[ops[i].op] },
			{ "failed_", "_operations", s->failed[ops[i].op] },
			{ "invalid_", "_operations", 0 },
			{ "", "_merged", 0 },
		};

		for (size_t f = 0; f < ARRAY_SIZE(fields); f++) {
			char name[48];

			/* Flushes have neither size nor neighbours. */
			if (ops[i].op == BLOCK_FLUSH && (f == 0 || f == 5))
				continue;
			snprintf(name, sizeof name, "%s%s%s", fields[f].before,
				 ops[i].name, fields[f].after);
			json_object_set_new(
				v, name,
				json_integer((json_int_t)fields[f].value));
		}
	}
	if (s->last_access_ns)
		json_object_set_new(
			v, "idle_time_ns",
			json_integer((json_int_t)(clock_mono_ns() -
						  s->last_access_ns)));
	return v;
}

json_t *query_qmp_blockstats(struct monitor *mon, const struct args *a,
			     struct err *err)
{
	json_t *list = json_array();

	for (struct block *b = block_next(NULL); b; b = block_next(b)) {
		struct block_layer l[LAYERS_MAX];
		int n = MIN(block_layers(b, l, LAYERS_MAX), LAYERS_MAX);
		json_t *v = json_pack("{so so}", "device", val_string(b->id),
				      "stats", qmp_stats(b));

		if (n)
			json_object_set_new(v, "node-name",
					    val_string(l[0].node));
		qmp_block_path(b, v);
		json_array_append_new(list, v);
	}
	return list;
}

static struct block *qmp_node_find(const char *name)
{
	struct block_layer l;

	for (struct block *b = block_next(NULL); b; b = block_next(b))
		if (block_layers(b, &l, 1) && !strcmp(l.node, name))
			return b;
	return NULL;
}

int cmd_qmp_block_resize(struct monitor *mon, const struct args *a,
			 struct err *err)
{
	const char *id = args_str(a, "device");
	const char *node = args_str(a, "node-name");
	struct block *b = id ? block_find(id) : NULL;

	if (!b && node)
		b = qmp_node_find(node);
	if (!b)
		return err_set(err, -EINVAL,
			       "Cannot find device='%s' nor node-name='%s'",
			       id ? id : "", node ? node : "");
	return block_resize(b, args_u64(a, "size"), err);
}

/* ---- character devices ---- */

json_t *query_qmp_chardev_backends(struct monitor *mon, const struct args *a,
				   struct err *err)
{
	json_t *list = json_array();

	for (int i = 0; chardev_classes[i]; i++)
		json_array_append_new(
			list,
			json_pack("{ss}", "name", chardev_classes[i]->name));
	return list;
}

/* ---- commands ---- */

int cmd_qmp_announce_self(struct monitor *mon, const struct args *a,
			  struct err *err)
{
	net_announce();
	return 0;
}

/* As the human command, on the vCPU that is named. */
int cmd_qmp_memsave(struct monitor *mon, const struct args *a, struct err *err)
{
	u64 index = args_u64(a, "cpu-index");

	if (!vcpu_plugged(mon->m, index))
		return err_set(err, -EINVAL,
			       "Parameter 'cpu-index' expects a CPU number");
	mon->cpu_index = (int)index;
	return cmd_memsave(mon, a, err);
}

/* A line that runs on behalf of a QMP session. */
struct qmp_human {
	struct monitor *asker, *mon;
	bool outcome; /* asked for, not only the text */
	int code;     /* -errno */
};

static int qmp_human_end(struct qmp_human *h)
{
	json_t *text = val_string(buf_str(&h->mon->out));

	if (h->outcome)
		text = json_pack("{so sb si}", "output", text, "ok",
				 h->code >= 0, "errno", MAX(-h->code, 0));
	h->asker->result = text;
	h->asker->quitting = h->mon->quitting;
	mon_detached_free(h->mon);
	return 0;
}

static void qmp_human_resumed(void *opaque, const struct err *err)
{
	struct qmp_human *h = opaque;
	struct monitor *asker = h->asker;

	if (err && err->msg[0]) {
		mon_printf(h->mon, "Error: %s\n", err->msg);
		h->code = err->code;
	}
	qmp_human_end(h);
	free(h);
	mon_resume(asker, NULL);
}

static int qmp_human_start(struct monitor *mon, const char *line, int cpu,
			   bool outcome, bool json)
{
	struct qmp_human *h = xalloc(sizeof *h);

	h->asker = mon;
	h->outcome = outcome;
	h->mon = mon_detached_create(mon->m, qmp_human_resumed, h);
	h->mon->cpu_index = cpu;
	h->mon->fds_from = mon->fds_from;
	h->mon->json = json;
	h->mon->role = mon->role;
	h->code = command_run(h->mon, line);
	if (h->mon->busy) {
		mon_suspend(mon);
		return 0;
	}
	qmp_human_end(h);
	free(h);
	return 0;
}

int cmd_qmp_human(struct monitor *mon, const struct args *a, struct err *err)
{
	u64 index = args_u64(a, "cpu-index");

	if (!vcpu_plugged(mon->m, index) && args_has(a, "cpu-index"))
		return err_set(err, -EINVAL,
			       "Parameter 'cpu-index' expects a CPU number");
	return qmp_human_start(mon, args_str(a, "command-line"), (int)index,
			       false, false);
}

/* For `vmon ctl`: the text, and whether the command did what it should. */
int cmd_qmp_execute(struct monitor *mon, const struct args *a, struct err *err)
{
	return qmp_human_start(mon, args_str(a, "command-line"), 0, true,
			       args_u64(a, "json"));
}

/* Did a serial port or console ask for a login since the last reset? */
json_t *query_qmp_login(struct monitor *mon, const struct args *a,
			struct err *err)
{
	bool seen = false;

	for (struct chardev *c = chr_next(NULL); c; c = chr_next(c))
		seen |= chr_saw_login(c) && !monitor_uses(c);
	return json_pack("{sb}", "seen", seen);
}

json_t *query_qmp_dump_formats(struct monitor *mon, const struct args *a,
			       struct err *err)
{
	return json_pack("{s[ss]}", "formats", "elf", "kdump-zlib");
}

/* The human command with its arguments in QMP's form. */
int cmd_qmp_dump(struct monitor *mon, const struct args *a, struct err *err)
{
	static const char name[] = "dump-guest-memory";
	const char *protocol = args_str(a, "protocol");
	const char *format = args_str(a, "format");
	bool zlib = format && !strcmp(format, "kdump-zlib");
	struct args b = { .n = 0 };
	int r;

	if (strncmp(protocol, "file:", 5))
		return err_set(err, -EINVAL,
			       "Invalid parameter 'protocol'; accepted: "
			       "file:PATH");
	if (format && !zlib && strcmp(format, "elf"))
		return err_set(err, -EINVAL,
			       "Parameter 'format' does not accept value '%s'",
			       format);
	args_declare(&b,
		     command_find(command_table, name, strlen(name))->types);
	args_give(&b, "filename", 0, protocol + 5);
	if (zlib)
		args_give(&b, "zlib", 0, NULL);
	if (args_u64(a, "paging"))
		args_give(&b, "paging", 0, NULL);
	if (args_u64(a, "detach"))
		args_give(&b, "detach", 0, NULL);
	if (args_has(a, "begin"))
		args_give(&b, "begin", args_u64(a, "begin"), NULL);
	if (args_has(a, "length"))
		args_give(&b, "length", args_u64(a, "length"), NULL);
	r = cmd_dump_guest_memory(mon, &b, err);
	args_fini(&b);
	return r;
}
