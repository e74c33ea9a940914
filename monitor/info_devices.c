/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Queries on devices and on what they map.
 */
#include <string.h>

#include "monitor/internal.h"
#include "vmm/device.h"
#include "vmm/machine.h"
#include "vmm/memory.h"

/* ---- mtree ---- */

json_t *query_mtree(struct monitor *mon, const struct args *a, struct err *err)
{
	struct machine *m = mon->m;
	struct buf text = { 0 };

	if (args_has(a, "flat")) {
		space_info_flat(&m->memory, &m->mem, &text);
		space_info_flat(&m->io, NULL, &text);
	} else {
		space_info(&m->memory, &m->mem, &text);
		space_info(&m->io, NULL, &text);
	}
	return val_text(&text);
}

/* ---- qtree ---- */

static const struct {
	const char *bus, *type;
} qtree_buses[] = {
	[BUS_SYSTEM] = { "main-system-bus", "System" },
	[BUS_ISA] = { "isa.0", "ISA" },
	[BUS_PCI] = { "pci.0", "PCI" },
};

static json_t *qtree_device(const struct device *dev)
{
	const struct option_row *row = dev->class->options;
	json_t *props = json_object();
	struct buf text = { 0 };

	for (; row && row->name; row++) {
		if (!row->type->format)
			continue;
		row->type->format((const char *)dev + row->offset, row, &text);
		json_object_set_new(props, row->name, val_text(&text));
	}
	if (dev->class->info)
		dev->class->info((struct device *)dev, &text);
	return json_pack("{ss ss so so}", "driver", dev->class->name, "id",
			 dev->id ? dev->id : "", "properties", props, "info",
			 val_text(&text));
}

/* Newest first, as QEMU lists them. */
static json_t *qtree_bus(struct machine *m, enum bus_kind kind)
{
	json_t *list = json_array();
	struct device *dev;

	list_for_each (dev, &m->devices, node)
		if (dev->class->bus == kind)
			json_array_insert_new(list, 0, qtree_device(dev));
	return json_pack("{ss ss so}", "bus", qtree_buses[kind].bus, "type",
			 qtree_buses[kind].type, "devices", list);
}

json_t *query_qtree(struct monitor *mon, const struct args *a, struct err *err)
{
	json_t *list = json_array();

	for (size_t i = 0; i < ARRAY_SIZE(qtree_buses); i++)
		json_array_append_new(list, qtree_bus(mon->m, i));
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

static void qtree_print_device(const json_t *dev, int indent, struct buf *out)
{
	const char *key;
	json_t *value;

	buf_printf(out, "%*sdev: %s, id \"%s\"\n", indent, "",
		   val_str(dev, "driver"), val_str(dev, "id"));
	json_object_foreach(json_object_get(dev, "properties"), key, value)
		buf_printf(out, "%*s%s = %s\n", indent + 2, "", key,
			   json_string_value(value));
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
