/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Creating, naming, finding, resetting and freeing devices.
 */
#include "vmm/device.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/lock.h"
#include "vmm/event.h"
#include "vmm/machine.h"

const char *device_label(const struct device *dev)
{
	return dev->id ? dev->id : dev->class->name;
}

/* As QEMU has them: the transport may be left out. */
static const char *const device_buses[] = {
	[BUS_SYSTEM] = "main-system-bus",
	[BUS_ISA] = "isa.0",
	[BUS_PCI] = "pci.0",
	[BUS_VIRTIO_SERIAL] = "virtio-serial-bus.0",
};

const char *device_bus(const struct device *dev)
{
	return dev->class->bus_name ? dev->class->bus_name(dev)
				    : device_buses[dev->class->bus];
}

static const struct {
	const char *alias, *name;
} device_aliases[] = {
	{ "virtio-balloon", "virtio-balloon-pci" },
	{ "virtio-blk", "virtio-blk-pci" },
	{ "virtio-net", "virtio-net-pci" },
	{ "virtio-rng", "virtio-rng-pci" },
	{ "virtio-serial", "virtio-serial-pci" },
};

const struct device_class *device_class_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(device_aliases); i++)
		if (!strcmp(device_aliases[i].alias, name))
			name = device_aliases[i].name;
	for (int i = 0; device_classes[i]; i++)
		if (!strcmp(device_classes[i]->name, name))
			return device_classes[i];
	return NULL;
}

const char *device_class_alias(const struct device_class *class)
{
	for (size_t i = 0; i < ARRAY_SIZE(device_aliases); i++)
		if (!strcmp(device_aliases[i].name, class->name))
			return device_aliases[i].alias;
	return NULL;
}

struct device *device_find(struct machine *m, const char *id_or_path)
{
	struct device *dev;

	list_for_each (dev, &m->devices, node)
		if ((dev->id && !strcmp(dev->id, id_or_path)) ||
		    !strcmp(dev->path, id_or_path))
			return dev;
	return NULL;
}

static bool device_id_ok(const char *id)
{
	if (!isalpha((unsigned char)id[0]))
		return false;
	for (const char *p = id; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("-._", *p))
			return false;
	return true;
}

static int device_check_id(struct machine *m, const char *id, struct err *err)
{
	if (!device_id_ok(id))
		return err_set(err, -EINVAL,
			       "id '%s' is not valid; accepted: a letter, then "
			       "letters, digits, '-', '.', '_'",
			       id);
	if (device_find(m, id))
		return err_set(err, -EEXIST, "Duplicate device ID '%s'", id);
	return 0;
}

static int device_check_bus(const struct device_class *class, const char *bus,
			    struct err *err)
{
	if (!bus || !strcmp(bus, device_buses[class->bus]))
		return 0;
	return err_set(err, -ENOENT, "Bus '%s' not found; '%s' sits on '%s'",
		       bus, class->name, device_buses[class->bus]);
}

static int device_configure(struct device *dev, struct opts *o, struct err *err)
{
	static const struct option_row none[] = { OPTION_END };
	const struct device_class *class = dev->class;
	const char *id = opts_take(o, "id");
	int r;

	if (id) {
		r = device_check_id(dev->m, id, err);
		if (r < 0)
			return r;
		dev->id = xstrdup(id);
		dev->path = xprintf("/machine/peripheral/%s", id);
	} else {
		static unsigned serial;

		dev->path =
			xprintf("/machine/%s/device[%u]",
				class->user ? "peripheral-anon" : "unattached",
				serial++);
	}
	r = 0;
	if (class->bus <= BUS_PCI)
		r = device_check_bus(class, opts_take(o, "bus"), err);
	if (r == 0)
		r = opts_apply(o, class->options ? class->options : none, dev,
			       err);
	if (r == 0)
		r = opts_check_used(o, class->options, err);
	return r;
}

static void device_free(struct device *dev)
{
	if (dev->class->options)
		opt_rows_fini(dev->class->options, dev);
	free(dev->id);
	free(dev->path);
	free(dev);
}

struct device *device_create(struct machine *m,
			     const struct device_class *class, struct opts *o,
			     struct err *err)
{
	struct device *dev = xalloc(class->size);
	struct opts empty;
	int r;

	opts_init(&empty);
	dev->class = class;
	dev->m = m;
	list_init(&dev->node);
	r = device_configure(dev, o ? o : &empty, err);
	opts_fini(&empty);
	if (r == 0 && class->init) {
		r = class->init(dev, err);
		if (r < 0 && class->fini)
			class->fini(dev);
	}
	if (r < 0) {
		device_free(dev);
		return NULL;
	}
	list_append(&m->devices, &dev->node);
	if (class->reset)
		class->reset(dev);
	return dev;
}

/* The class that `o` names, or NULL with the reason. */
static const struct device_class *device_named(struct opts *o, struct err *err)
{
	const char *driver = opts_take(o, "driver");
	const struct device_class *class =
		driver ? device_class_find(driver) : NULL;

	if (!driver)
		err_set(err, -EINVAL, "Parameter 'driver' is missing");
	else if (!class || !class->user)
		err_set(err, -ENODEV,
			"'%s' is not a valid device model name; '-device help' "
			"lists them",
			driver);
	else
		return class;
	return NULL;
}

struct device *device_create_text(struct machine *m, const char *text,
				  struct err *err)
{
	const struct device_class *class;
	struct device *dev = NULL;
	struct opts o;

	if (opts_parse(&o, text, "driver", err) < 0)
		return NULL;
	class = device_named(&o, err);
	if (class)
		dev = device_create(m, class, &o, err);
	opts_fini(&o);
	return dev;
}

int device_check_text(struct machine *m, const char *text, struct err *err)
{
	const struct device_class *class;
	struct device *dev;
	struct opts o;
	int r = opts_parse(&o, text, "driver", err);

	if (r < 0)
		return r;
	class = device_named(&o, err);
	if (class) {
		dev = xalloc(class->size);
		dev->class = class;
		dev->m = m;
		list_init(&dev->node);
		r = device_configure(dev, &o, err);
		device_free(dev);
	}
	opts_fini(&o);
	return class ? r : -EINVAL;
}

void device_destroy(struct device *dev)
{
	if (!dev)
		return;
	list_remove(&dev->node);
	if (dev->class->fini)
		dev->class->fini(dev);
	device_free(dev);
}

void device_unplug(struct device *dev)
{
	struct machine *m = dev->m;
	char *id = xstrdup(dev->id), *path = xstrdup(dev->path);
	const struct event_value v[] = { { .text = id }, { .text = path } };

	device_destroy(dev);
	event_send(m, EVENT_DEVICE_DELETED, v);
	free(id);
	free(path);
}

void device_reset_all(struct machine *m)
{
	struct device *dev;

	assert_locked(&machine_lock);
	list_for_each (dev, &m->devices, node)
		if (dev->class->reset)
			dev->class->reset(dev);
}

static void device_list_one(const struct device_class *d, struct buf *out)
{
	static const char *const buses[] = { "System", "ISA", "PCI",
					     "virtio-serial-bus", "IDE" };
	const char *alias = device_class_alias(d);

	buf_printf(out, "name \"%s\", bus %s", d->name, buses[d->bus]);
	if (alias)
		buf_printf(out, ", alias \"%s\"", alias);
	buf_printf(out, ", desc \"%s\"\n", d->desc);
}

static int device_by_name(const void *a, const void *b)
{
	const struct device_class *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

void device_list(struct buf *out)
{
	static const struct {
		enum device_group group;
		const char *title;
	} groups[] = {
		{ DEVICE_STORAGE, "Storage" },
		{ DEVICE_NETWORK, "Network" },
		{ DEVICE_INPUT, "Input" },
		{ DEVICE_DISPLAY, "Display" },
		{ DEVICE_MISC, "Misc" },
	};
	const struct device_class **sorted;
	size_t n = 0;

	while (device_classes[n])
		n++;
	sorted = xcalloc(n, sizeof *sorted);
	memcpy(sorted, device_classes, n * sizeof *sorted);
	qsort(sorted, n, sizeof *sorted, device_by_name);
	for (size_t g = 0; g < ARRAY_SIZE(groups); g++) {
		buf_printf(out, "%s%s devices:\n", g ? "\n" : "",
			   groups[g].title);
		for (size_t i = 0; i < n; i++)
			if (sorted[i]->user &&
			    sorted[i]->group == groups[g].group)
				device_list_one(sorted[i], out);
	}
	free(sorted);
}

void device_help(const struct device_class *class, struct buf *out)
{
	static const struct option_row none[] = { OPTION_END };

	buf_printf(out, "%s options:\n", class->name);
	opt_rows_help(class->options ? class->options : none, out);
}
