/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Commands that plug and unplug: devices, drives, objects.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "devices/pc.h"
#include "devices/pci.h"
#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/loop.h"
#include "monitor/qmp.h"
#include "vmm/cmdline.h"
#include "vmm/device.h"
#include "vmm/event.h"
#include "vmm/machine.h"
#include "vmm/object.h"

/* ---- device_add ---- */

static bool device_asks_help(const char *text, const char **comma)
{
	*comma = strchr(text, ',');
	return !strcmp(text, "help") || !strcmp(text, "?") ||
	       (*comma && (!strcmp(*comma, ",help") || !strcmp(*comma, ",?")));
}

static int device_show_help(struct monitor *mon, const char *text,
			    const char *comma, struct err *err)
{
	const struct device_class *class;
	struct buf out = { 0 };
	char *name;

	if (!comma) {
		device_list(&out);
	} else {
		name = xprintf("%.*s", (int)(comma - text), text);
		class = device_class_find(name);
		if (!class || !class->user)
			err_set(err, -EINVAL,
				"'%s' is not a valid device model name", name);
		else
			device_help(class, &out);
		free(name);
	}
	mon_puts(mon, buf_str(&out));
	buf_fini(&out);
	return err->code;
}

static int device_can_plug(const char *text, struct err *err)
{
	const struct device_class *class;
	const char *driver;
	struct opts o;
	int r = opts_parse(&o, text, "driver", err);

	if (r < 0)
		return r;
	driver = opts_peek(&o, "driver");
	class = driver ? device_class_find(driver) : NULL;
	if (class && class->user &&
	    (class->bus == BUS_ISA || class->bus == BUS_IDE))
		r = err_set(err, -ENOTSUP,
			    "Bus '%s' does not support hotplugging",
			    class->bus == BUS_ISA ? "isa.0" : "ide.1");
	else if (class && class->user && !class->hotplug)
		r = err_set(err, -ENOTSUP,
			    "Device '%s' does not support hotplugging", driver);
	opts_fini(&o);
	return r;
}

int cmd_device_add(struct monitor *mon, const struct args *a, struct err *err)
{
	const char *text = args_str(a, "device"), *comma;
	struct device *dev;
	int r;

	if (!text)
		text = "";
	if (device_asks_help(text, &comma))
		return device_show_help(mon, text, comma, err);
	r = device_can_plug(text, err);
	if (r < 0)
		return r;
	dev = device_create_text(mon->m, text, err);
	if (!dev) /* what it names is a value, not the device */
		return err->code = -EINVAL;
	if (dev->class->bus == BUS_PCI)
		acpi_hotplug_added((struct pci_device *)dev);
	cmdline_add("device", text);
	return 0;
}

int cmd_device_plug(struct monitor *mon, const struct args *a, struct err *err)
{
	const char *text = args_str(a, "device");
	int r;

	if (!args_has(a, "check"))
		return cmd_device_add(mon, a, err);
	r = device_can_plug(text ? text : "", err);
	return r < 0 ? r : device_check_text(mon->m, text ? text : "", err);
}

/* ---- device_del ---- */

/* A session that waits until the guest let go. */
struct device_wait {
	struct monitor *mon;
	struct event_listener listener;
	struct timer timer;
	char *path, *label; /* owned */
	double seconds;
};

static void device_wait_end(struct device_wait *w, const struct err *err)
{
	struct monitor *mon = w->mon;

	event_listen_end(&w->listener);
	timer_cancel(&w->timer);
	free(w->path);
	free(w->label);
	free(w);
	mon_resume(mon, err);
}

static void device_wait_over(void *arg)
{
	struct device_wait *w = arg;
	struct err err = { 0 };

	err_set(&err, -ETIMEDOUT, "the guest has not let go of '%s' in %g s",
		w->label, w->seconds);
	device_wait_end(w, &err);
}

static void device_wait_heard(void *arg, enum event_id id,
			      const struct event_value *v)
{
	struct device_wait *w = arg;

	if (id == EVENT_DEVICE_DELETED && !strcmp(v[1].text, w->path))
		device_wait_end(w, NULL);
}

static void device_wait_start(struct monitor *mon, const char *path,
			      const char *label, double seconds)
{
	struct device_wait *w = xalloc(sizeof *w);

	w->mon = mon;
	w->path = xstrdup(path);
	w->label = xstrdup(label);
	w->seconds = seconds;
	w->listener.fn = device_wait_heard;
	w->listener.arg = w;
	event_listen(mon->m, &w->listener);
	timer_init(&w->timer, mon->m->loop, device_wait_over, w);
	timer_set(&w->timer,
		  clock_mono_ns() + (u64)(seconds * (double)NS_PER_S));
	mon_suspend(mon);
}

static int device_wait_seconds(const char *text, double *ret, struct err *err)
{
	*ret = 0;
	return text ? mon_parse_seconds("-w ", text, ret, err) : 0;
}

int cmd_device_del(struct monitor *mon, const struct args *a, struct err *err)
{
	const char *id = args_str(a, "id");
	struct device *dev = device_find(mon->m, id);
	double seconds;
	int r = device_wait_seconds(args_str(a, "wait"), &seconds, err);

	if (r < 0)
		return r;
	if (!dev)
		return err_set(err, -ENODEV, "Device '%s' not found", id);
	if (dev->class->bus == BUS_VIRTIO_SERIAL) {
		device_unplug(dev);
		return 0;
	}
	if (dev->class->bus != BUS_PCI)
		return err_set(err, -ENOTSUP,
			       "Bus '%s' does not support hotplugging",
			       device_bus(dev));
	r = acpi_hotplug_remove((struct pci_device *)dev, err);
	if (r == 0 && seconds > 0)
		device_wait_start(mon, dev->path, device_label(dev), seconds);
	return r;
}

/* ---- vCPUs ---- */

int cmd_cpu_set(struct monitor *mon, const struct args *a, struct err *err)
{
	const char *state = args_str(a, "state");
	u64 index = args_u64(a, "index");
	char path[ACPI_CPU_PATH_MAX], label[32];
	double seconds;
	int r = device_wait_seconds(args_str(a, "wait"), &seconds, err);

	if (r < 0)
		return r;
	if (!strcmp(state, "online"))
		return acpi_cpus_plug(mon->m, index, err);
	if (strcmp(state, "offline"))
		return err_set(err, -EINVAL,
			       "a CPU can be online or offline, not '%s'",
			       state);
	r = acpi_cpus_unplug(mon->m, index, err);
	if (r == 0 && seconds > 0) {
		snprintf(label, sizeof label, "CPU %d", (int)index);
		acpi_cpus_path(path, (int)index);
		device_wait_start(mon, path, label, seconds);
	}
	return r;
}

int cmd_cpu_add(struct monitor *mon, const struct args *a, struct err *err)
{
	return acpi_cpus_plug(mon->m, args_u64(a, "id"), err);
}

/* ---- drives ---- */

int cmd_drive_add(struct monitor *mon, const struct args *a, struct err *err)
{
	const char *text = args_str(a, "opts"), *iface;
	struct block *b = NULL;
	struct opts o;
	int r;

	if (args_has(a, "node"))
		return err_set(err, -ENOTSUP,
			       "block nodes cannot be added; leave out -n");
	r = opts_parse(&o, text, NULL, err);
	if (r < 0)
		return r;
	iface = opts_peek(&o, "if");
	if (iface && !strcmp(iface, "none")) {
		b = block_create(mon->m->loop, &o, err);
		if (!b)
			r = mon_say_error(mon, err, err->code);
	} else {
		r = err_set(err, -EINVAL,
			    "Can't hot-add drive to type '%s'; use if=none and "
			    "device_add",
			    iface ? iface : "virtio");
	}
	if (b) {
		cmdline_add("drive", text);
		cmdline_name("drive", text, b->id);
		mon_puts(mon, "OK\n");
	}
	opts_fini(&o);
	return r;
}

int cmd_drive_del(struct monitor *mon, const struct args *a, struct err *err)
{
	const char *id = args_str(a, "id");
	struct block *b = block_find(id);

	if (!b) {
		err_set(err, -ENODEV, "Device '%s' not found", id);
		return mon_say_error(mon, err, -ENODEV);
	}
	block_delete(b);
	return 0;
}

/* ---- objects ---- */

int cmd_object_add(struct monitor *mon, const struct args *a, struct err *err)
{
	const char *text = args_str(a, "object");
	struct buf out = { 0 };
	bool help = object_help(text, &out);
	int r = help ? 0 : object_create_text(mon->m, text, err);

	mon_puts(mon, buf_str(&out));
	buf_fini(&out);
	if (!help && r == 0)
		cmdline_add("object", text);
	return r;
}

int cmd_object_del(struct monitor *mon, const struct args *a, struct err *err)
{
	int r = object_delete(mon->m, args_str(a, "id"), err);

	if (r == 0)
		cmdline_drop("object", args_str(a, "id"));
	return r;
}

/* ---- info qdm ---- */

json_t *query_qdm(struct monitor *mon, const struct args *a, struct err *err)
{
	struct buf text = { 0 };

	device_list(&text);
	return val_text(&text);
}
