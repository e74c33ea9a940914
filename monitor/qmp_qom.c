/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The tree of objects, as far as there is one: /machine with its devices, by
 * the paths that events and device_del use.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "monitor/qmp.h"
#include "virtio/balloon.h"
#include "vmm/device.h"
#include "vmm/machine.h"

static const char *const qom_folders[] = { "peripheral", "peripheral-anon",
					   "unattached" };

/* What is left of `path` behind /machine/FOLDER, or NULL. */
static const char *qom_below(const char *path, const char *folder)
{
	size_t n = strlen(folder);

	if (strncmp(path, "/machine/", 9) || strncmp(path + 9, folder, n))
		return NULL;
	path += 9 + n;
	return *path == '/' ? path + 1 : *path ? NULL : path;
}

static void qom_list_add(json_t *list, const char *name, const char *type)
{
	json_array_append_new(list,
			      json_pack("{ss ss}", "name", name, "type", type));
}

static void qom_list_folder(struct machine *m, const char *folder, json_t *list)
{
	struct device *dev;

	list_for_each (dev, &m->devices, node) {
		const char *name = qom_below(dev->path, folder);
		char *type;

		if (!name)
			continue;
		type = xprintf("child<%s>", dev->class->name);
		qom_list_add(list, name, type);
		free(type);
	}
}

static bool qom_is_balloon(const struct device *dev)
{
	return !strncmp(dev->class->name, "virtio-balloon", 14);
}

static void qom_list_device(const struct device *dev, json_t *list)
{
	const struct option_row *row = dev->class->options;

	qom_list_add(list, "type", "string");
	if (qom_is_balloon(dev))
		qom_list_add(list, "guest-stats", "guest statistics");
	for (; row && row->name; row++)
		qom_list_add(list, row->name, row->type->name);
}

json_t *query_qom_list(struct monitor *mon, const struct args *a,
		       struct err *err)
{
	const char *path = args_str(a, "path"), *rest;
	struct device *dev = NULL;
	json_t *list = json_array();

	if (!path || !strcmp(path, "/")) {
		qom_list_add(list, "type", "string");
		qom_list_add(list, "machine", "child<pc-machine>");
		return list;
	}
	if (!strcmp(path, "/machine")) {
		qom_list_add(list, "type", "string");
		for (size_t i = 0; i < ARRAY_SIZE(qom_folders); i++)
			qom_list_add(list, qom_folders[i], "child<container>");
		return list;
	}
	for (size_t i = 0; i < ARRAY_SIZE(qom_folders); i++) {
		rest = qom_below(path, qom_folders[i]);
		if (rest && !*rest) {
			qom_list_add(list, "type", "string");
			qom_list_folder(mon->m, qom_folders[i], list);
			return list;
		}
	}
	dev = device_find(mon->m, path);
	if (dev) {
		qom_list_device(dev, list);
		return list;
	}
	json_decref(list);
	err_set(err, -ENODEV, "Device '%s' not found", path);
	return NULL;
}

static void qom_add_stat(void *stats, const char *name, u64 value)
{
	json_object_set_new(stats, name, json_integer((json_int_t)value));
}

/* What the guest sent last; newer ones are asked for. */
static json_t *qom_guest_stats(struct monitor *mon, struct err *err)
{
	json_t *stats = json_object();
	u64 age = 0, now = clock_realtime_ns();
	bool any = balloon_stats(mon->m, qom_add_stat, stats, &age, err) == 0;

	err->code = 0;
	err->msg[0] = '\0';
	return json_pack("{so sI}", "stats", stats, "last-update",
			 any ? (json_int_t)((now - MIN(age, now)) / NS_PER_S)
			     : (json_int_t)0);
}

json_t *query_qom_get(struct monitor *mon, const struct args *a,
		      struct err *err)
{
	const char *path = args_str(a, "path");
	const char *name = args_str(a, "property");
	struct device *dev = device_find(mon->m, path);
	const struct option_row *row;

	if (!dev) {
		err_set(err, -ENODEV, "Device '%s' not found", path);
		return NULL;
	}
	if (!strcmp(name, "type"))
		return json_string(dev->class->name);
	if (qom_is_balloon(dev) && !strcmp(name, "guest-stats"))
		return qom_guest_stats(mon, err);
	for (row = dev->class->options; row && row->name; row++)
		if (!strcmp(row->name, name))
			return device_property(dev, row);
	err_set(err, -EINVAL, "Property '%s.%s' not found", dev->class->name,
		name);
	return NULL;
}

/* ---- For people ---- */

int cmd_qom_list(struct monitor *mon, const struct args *a, struct err *err)
{
	json_t *list = query_qom_list(mon, a, err), *v;
	size_t i;

	json_array_foreach(list, i, v) mon_printf(
		mon, "%s (%s)\n", val_str(v, "name"), val_str(v, "type"));
	json_decref(list);
	return err->code;
}

int cmd_qom_get(struct monitor *mon, const struct args *a, struct err *err)
{
	json_t *v = query_qom_get(mon, a, err);
	char *text;

	if (!v)
		return err->code;
	text = json_dumps(v, JSON_INDENT(4) | JSON_ENCODE_ANY);
	mon_printf(mon, "%s\n", text);
	free(text);
	json_decref(v);
	return 0;
}
