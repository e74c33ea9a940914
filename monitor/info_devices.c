/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Queries on devices and on what they map.
 */
#include <string.h>

#include "block/block.h"
#include "devices/pc.h"
#include "devices/pci.h"
#include "monitor/internal.h"
#include "net/net.h"
#include "vmm/boot.h"
#include "vmm/device.h"
#include "vmm/machine.h"
#include "vmm/memory.h"
#include "vmm/vcpu.h"

/* ---- mtree ---- */

json_t *query_mtree(struct monitor *mon, const struct args *a, struct err *err)
{
	struct machine *m = mon->m;
	struct buf text = { 0 };

	bool owners = args_has(a, "owners");
	bool dispatch = args_has(a, "dispatch");

	if (args_has(a, "flat")) {
		space_info_flat(&m->memory, &m->mem, owners, dispatch, &text);
		space_info_flat(&m->io, NULL, owners, dispatch, &text);
	} else {
		space_info(&m->memory, &m->mem, owners, &text);
		space_info(&m->io, NULL, owners, &text);
	}
	return val_text(&text);
}

/* ---- text from the lower layers ---- */

json_t *query_pci(struct monitor *mon, const struct args *a, struct err *err)
{
	struct buf text = { 0 };

	if (mon->m->pci)
		pci_info(mon->m->pci, &text);
	return val_text(&text);
}

json_t *query_pic(struct monitor *mon, const struct args *a, struct err *err)
{
	struct buf text = { 0 };

	if (mon->m->ioapic)
		ioapic_info(mon->m, &text);
	if (mon->m->pic)
		pic_info(mon->m, &text);
	return val_text(&text);
}

json_t *query_irq(struct monitor *mon, const struct args *a, struct err *err)
{
	struct buf text = { 0 };

	if (mon->m->ioapic)
		ioapic_irq_info(mon->m, &text);
	if (mon->m->pic)
		pic_irq_info(mon->m, &text);
	return val_text(&text);
}

static void lapic_query(struct vcpu *v, void *arg)
{
	vcpu_cpu(v);
	lapic_info(v, arg);
}

json_t *query_lapic(struct monitor *mon, const struct args *a, struct err *err)
{
	struct vcpu *v = mon_vcpu(mon);
	struct buf text = { 0 };

	if (args_has(a, "apic-id")) {
		u64 id = args_u64(a, "apic-id");

		v = NULL;
		for (int i = 0; i < mon->m->nvcpus; i++)
			if (mon->m->vcpus[i]->apic_id == id)
				v = vcpu_plugged(mon->m, i);
	}
	if (!v) {
		mon_puts(mon, "No CPU available\n");
		return NULL;
	}
	vcpu_run_on(v, lapic_query, &text);
	return val_text(&text);
}

json_t *query_roms(struct monitor *mon, const struct args *a, struct err *err)
{
	struct buf text = { 0 };

	if (mon->m->boot)
		boot_info(mon->m->boot, &text);
	return val_text(&text);
}

json_t *query_network(struct monitor *mon, const struct args *a,
		      struct err *err)
{
	struct buf text = { 0 };

	net_info(&text);
	return val_text(&text);
}

json_t *query_usernet(struct monitor *mon, const struct args *a,
		      struct err *err)
{
	struct buf text = { 0 };

	net_info_user(&text);
	return val_text(&text);
}

/* ---- block ---- */

#define LAYERS_MAX 16

static void block_print_nodes(struct block *b, struct buf *out)
{
	struct block_layer layer[LAYERS_MAX];
	int n = MIN(block_layers(b, layer, LAYERS_MAX), LAYERS_MAX);

	for (int i = 0; i < n; i++) {
		if (out->len)
			buf_putc(out, '\n');
		buf_printf(out, "%s: %s (%s%s)\n", layer[i].node, layer[i].file,
			   layer[i].format,
			   layer[i].readonly ? ", read-only" : "");
		buf_printf(out, "    Cache mode:       %s%s%s\n",
			   layer[i].writeback ? "writeback" : "writethrough",
			   layer[i].direct ? ", direct" : "",
			   layer[i].no_flush ? ", ignore flushes" : "");
	}
}

json_t *query_block(struct monitor *mon, const struct args *a, struct err *err)
{
	const char *only = args_str(a, "device");
	bool first = true;
	struct buf text = { 0 };

	for (struct block *b = block_next(NULL); b; b = block_next(b)) {
		if (!only || !strcmp(only, b->id)) {
			if (args_has(a, "nodes"))
				block_print_nodes(b, &text);
			else if (!first) /* before the second, even if alone */
				buf_putc(&text, '\n');
			if (!args_has(a, "nodes"))
				block_info(b, args_has(a, "verbose"), &text);
		}
		first = false;
	}
	return val_text(&text);
}

json_t *query_blockstats(struct monitor *mon, const struct args *a,
			 struct err *err)
{
	struct buf text = { 0 };

	for (struct block *b = block_next(NULL); b; b = block_next(b))
		block_stats_line(b, &text);
	return val_text(&text);
}

/* ---- qtree ---- */

static const struct {
	const char *bus, *type;
} qtree_buses[] = {
	{ "main-system-bus", "System" },
	{ "isa.0", "ISA" },
	{ "pci.0", "PCI" },
	{ "virtio-serial-bus.0", "virtio-serial-bus" },
	{ "ide.1", "IDE" },
	{ "ide.0", "IDE" },
};

/* Numbers and truth values as such, all else as the text a user types. */
json_t *device_property(const struct device *dev, const struct option_row *row)
{
	const void *field = (const char *)dev + row->offset;
	struct buf text = { 0 };

	if (row->type == &opt_bool)
		return json_boolean(*(const bool *)field);
	if (row->type == &opt_u8)
		return json_integer(*(const u8 *)field);
	if (row->type == &opt_u16)
		return json_integer(*(const u16 *)field);
	if (row->type == &opt_u32)
		return json_integer(*(const u32 *)field);
	if (row->type == &opt_u64 || row->type == &opt_size)
		return json_integer((s64) * (const u64 *)field);
	if (row->type->format)
		row->type->format(field, row, &text);
	return val_text(&text);
}

static json_t *qtree_device(const struct device *dev)
{
	const struct option_row *row = dev->class->options;
	json_t *props = json_object();
	struct buf text = { 0 };

	for (; row && row->name; row++)
		json_object_set_new(props, row->name,
				    device_property(dev, row));
	if (dev->class->info)
		dev->class->info((struct device *)dev, &text);
	return json_pack("{ss ss so so}", "driver", dev->class->name, "id",
			 dev->id ? dev->id : "", "properties", props, "info",
			 val_text(&text));
}

/* Newest first, as QEMU lists them. */
static json_t *qtree_bus(struct machine *m, const char *bus, const char *type)
{
	json_t *list = json_array();
	struct device *dev;

	list_for_each (dev, &m->devices, node)
		if (!strcmp(device_bus(dev), bus))
			json_array_insert_new(list, 0, qtree_device(dev));
	return json_pack("{ss ss so}", "bus", bus, "type", type, "devices",
			 list);
}

json_t *query_qtree(struct monitor *mon, const struct args *a, struct err *err)
{
	json_t *list = json_array();

	for (size_t i = 0; i < ARRAY_SIZE(qtree_buses); i++)
		json_array_append_new(list,
				      qtree_bus(mon->m, qtree_buses[i].bus,
						qtree_buses[i].type));
	return list;
}

static void qtree_print_lines(const char *text, int indent, struct buf *out)
{
	while (*text) {
		size_t n = strcspn(text, "\n");

		buf_printf(out, "%*s%.*s\n", indent, "", (int)n, text);
		text += n + (text[n] == '\n');
	}
}

static void qtree_print_property(const json_t *v, struct buf *out)
{
	unsigned long long n = json_integer_value(v);

	if (json_is_integer(v))
		buf_printf(out, "%llu (0x%llx)\n", n, n);
	else if (json_is_boolean(v))
		buf_puts(out, json_is_true(v) ? "true\n" : "false\n");
	else
		buf_printf(out, "\"%s\"\n", json_string_value(v));
}

static void qtree_print_device(const json_t *dev, int indent, struct buf *out)
{
	const char *key;
	json_t *value;

	buf_printf(out, "%*sdev: %s, id \"%s\"\n", indent, "",
		   val_str(dev, "driver"), val_str(dev, "id"));
	json_object_foreach(json_object_get(dev, "properties"), key, value)
	{
		buf_printf(out, "%*s%s = ", indent + 2, "", key);
		qtree_print_property(value, out);
	}
	qtree_print_lines(val_str(dev, "info"), indent + 2, out);
}

void print_qtree(const json_t *list, struct buf *out)
{
	size_t i, k;
	json_t *bus, *dev;

	json_array_foreach(list, i, bus)
	{
		int indent = i ? 4 : 0; /* the others hang below the first */

		if (i && !json_array_size(json_object_get(bus, "devices")))
			continue;
		buf_printf(out, "%*sbus: %s\n%*s  type %s\n", indent, "",
			   val_str(bus, "bus"), indent, "",
			   val_str(bus, "type"));
		json_array_foreach(json_object_get(bus, "devices"), k, dev)
			qtree_print_device(dev, indent + 2, out);
	}
}
