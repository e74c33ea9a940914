/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ACPI hot-plug of vCPUs: a selector, what has happened to the selected
 * vCPU, and an eject bit that AML writes when the guest let go of it.
 *
 * The AML is in devices/acpi_dsdt_cpus.c.  The older register block, a bitmap
 * of vCPUs, is not offered.
 *
 * Spec: QEMU docs/specs/acpi_cpu_hotplug.
 * Locking: machine_lock.
 */
#include <errno.h>
#include <stdio.h>

#include "devices/fw_cfg.h"
#include "devices/pc.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/log.h"
#include "vmm/event.h"
#include "vmm/machine.h"
#include "vmm/memory.h"
#include "vmm/state.h"
#include "vmm/vcpu.h"

#define CPUS_SELECTOR 0x0 /* written; read: upper half of the data */
#define CPUS_FLAGS    0x4
#define CPUS_COMMAND  0x5
#define CPUS_DATA     0x8
#define CPUS_BYTES    12

/* Of CPUS_FLAGS; written, the events are cleared. */
#define CPU_ENABLED  0x01 /* read only */
#define CPU_INSERTED 0x02
#define CPU_REMOVING 0x04
#define CPU_EJECT    0x08 /* write only */
#define CPU_EVENTS   (CPU_INSERTED | CPU_REMOVING)
/* Ours: the user wants it gone, also when the guest has heard of that. */
#define CPU_UNWANTED 0x80
#define CPU_GONE     0x40 /* to be told to those who listen */

#define COMMAND_NEXT_EVENT 0 /* selects the next one that has an event */
#define COMMAND_OST_EVENT  1
#define COMMAND_OST_STATUS 2
#define COMMAND_ID         3

struct acpi_cpus {
	struct device dev;
	struct region io;
	u32 selector;
	u8 command;
	bool posted; /* the main loop shall tell */
	u8 flags[VCPUS_MAX];
};

static struct acpi_cpus *acpi_cpus_of(struct machine *m)
{
	struct device *dev;

	list_for_each (dev, &m->devices, node)
		if (dev->class == &acpi_cpus_class)
			return (struct acpi_cpus *)dev;
	return NULL;
}

/* From the selected one on, and around. */
static void acpi_cpus_next_event(struct acpi_cpus *s)
{
	u32 count = s->dev.m->nvcpus;

	for (u32 n = 0; n < count; n++) {
		u32 index = (s->selector + n) % count;

		if (s->flags[index] & CPU_EVENTS) {
			s->selector = index;
			return;
		}
	}
}

void acpi_cpus_path(char path[ACPI_CPU_PATH_MAX], int index)
{
	snprintf(path, ACPI_CPU_PATH_MAX, "/machine/unattached/device[%d]",
		 index);
}

/* What else tells how many there are. */
static void acpi_cpus_count(struct machine *m)
{
	if (m->fw_cfg)
		fw_cfg_add_u16(m->fw_cfg, FW_CFG_NB_CPUS, m->topo.cpus);
	if (m->rtc)
		rtc_set_cmos(m->rtc, 0x5f, m->topo.cpus - 1);
}

/* Main loop. */
static void acpi_cpus_tell(void *opaque)
{
	struct machine *m = opaque;
	struct acpi_cpus *s = acpi_cpus_of(m);
	char path[ACPI_CPU_PATH_MAX];

	if (!s)
		return;
	s->posted = false;
	for (int i = 0; i < m->nvcpus; i++) {
		const struct event_value v[] = { { .text = NULL },
						 { .text = path } };

		if (!(s->flags[i] & CPU_GONE))
			continue;
		s->flags[i] &= ~CPU_GONE;
		acpi_cpus_path(path, i);
		event_send(m, EVENT_DEVICE_DELETED, v);
	}
}

static void acpi_cpus_eject(struct acpi_cpus *s, u32 index)
{
	struct vcpu *v = vcpu_plugged(s->dev.m, index);

	/* Only what the user wants gone, and never the boot processor. */
	if (!v || !index || !(s->flags[index] & CPU_UNWANTED)) {
		log_guest("acpi", "nobody wants vCPU %u ejected", index);
		return;
	}
	s->flags[index] = CPU_GONE;
	vcpu_unplug(v);
	acpi_cpus_count(s->dev.m);
	if (!s->posted)
		loop_post(s->dev.m->loop, acpi_cpus_tell, s->dev.m);
	s->posted = true;
}

static void acpi_cpus_write_flags(struct acpi_cpus *s, u8 value)
{
	s->flags[s->selector] &= ~(value & CPU_EVENTS);
	if (value & CPU_EJECT)
		acpi_cpus_eject(s, s->selector);
}

static u64 acpi_cpus_read(void *opaque, u64 offset, u32 size)
{
	struct acpi_cpus *s = opaque;
	struct machine *m = s->dev.m;

	if (s->selector >= (u32)m->nvcpus)
		return 0;
	switch (offset) {
	case CPUS_FLAGS:
		return (s->flags[s->selector] & CPU_EVENTS) |
		       (vcpu_plugged(m, s->selector) ? CPU_ENABLED : 0);
	case CPUS_DATA:
		return s->command == COMMAND_NEXT_EVENT ? s->selector
		       : s->command == COMMAND_ID
			       ? m->vcpus[s->selector]->apic_id
			       : 0;
	}
	return 0;
}

static void acpi_cpus_write(void *opaque, u64 offset, u32 size, u64 value)
{
	struct acpi_cpus *s = opaque;
	u32 count = s->dev.m->nvcpus;

	if (offset == CPUS_SELECTOR) {
		s->selector = value;
		return;
	}
	if (s->selector >= count)
		return;
	if (offset == CPUS_FLAGS) {
		acpi_cpus_write_flags(s, value);
	} else if (offset == CPUS_COMMAND && value <= COMMAND_ID) {
		s->command = value;
		if (value == COMMAND_NEXT_EVENT)
			acpi_cpus_next_event(s);
	}
}

static const struct region_ops acpi_cpus_ops = {
	.read = acpi_cpus_read,
	.write = acpi_cpus_write,
	.max_size = 4,
};

/* ---- For the monitor ---- */

static int acpi_cpus_check(struct machine *m, u64 index, struct err *err)
{
	if (!acpi_cpus_of(m) || !m->acpi_pm)
		return err_set(err, -ENOTSUP,
			       "the machine has no vCPU hotplug");
	if (index >= (u64)m->nvcpus)
		return err_set(err, -EINVAL,
			       "there is no socket for CPU %llu; the last is "
			       "CPU %d (see -smp maxcpus=)",
			       (unsigned long long)index, m->nvcpus - 1);
	return 0;
}

int acpi_cpus_plug(struct machine *m, u64 index, struct err *err)
{
	struct acpi_cpus *s = acpi_cpus_of(m);
	int r = acpi_cpus_check(m, index, err);

	if (r < 0)
		return r;
	if (vcpu_plugged(m, index))
		return err_set(err, -EEXIST, "CPU %llu is online already",
			       (unsigned long long)index);
	vcpu_plug(m->vcpus[index]);
	acpi_cpus_count(m);
	s->flags[index] = CPU_INSERTED;
	acpi_pm_gpe(m->acpi_pm, ACPI_CPUS_GPE);
	return 0;
}

int acpi_cpus_unplug(struct machine *m, u64 index, struct err *err)
{
	struct acpi_cpus *s = acpi_cpus_of(m);
	int r = acpi_cpus_check(m, index, err);

	if (r < 0)
		return r;
	if (!vcpu_plugged(m, index))
		return err_set(err, -ENOENT, "CPU %llu is not online",
			       (unsigned long long)index);
	if (!index)
		return err_set(err, -EINVAL,
			       "CPU 0 is the boot processor and stays");
	s->flags[index] |= CPU_REMOVING | CPU_UNWANTED;
	acpi_pm_gpe(m->acpi_pm, ACPI_CPUS_GPE);
	return 0;
}

/* ---- The device ---- */

static const struct state_field acpi_cpus_state[] = {
	STATE_(STATE_U32, struct acpi_cpus, selector),
	STATE_(STATE_U8, struct acpi_cpus, command),
	STATE_(STATE_BYTES, struct acpi_cpus, flags),
	STATE_END,
};

static int acpi_cpus_init(struct device *dev, struct err *err)
{
	struct acpi_cpus *s = (struct acpi_cpus *)dev;

	region_map(&s->io, &dev->m->io, "acpi-cpu-hotplug", ACPI_CPUS_BASE,
		   CPUS_BYTES, &acpi_cpus_ops, s);
	return 0;
}

/* What the guest was asked to release is released, and the next kernel finds
 * the others in its tables. */
static void acpi_cpus_reset(struct device *dev)
{
	struct acpi_cpus *s = (struct acpi_cpus *)dev;

	for (int i = 1; i < dev->m->nvcpus; i++) {
		if (s->flags[i] & CPU_UNWANTED)
			acpi_cpus_eject(s, i);
		s->flags[i] &= CPU_GONE;
	}
	s->selector = 0;
	s->command = COMMAND_NEXT_EVENT;
}

static void acpi_cpus_fini(struct device *dev)
{
	region_unmap(&((struct acpi_cpus *)dev)->io);
}

static void acpi_cpus_info(struct device *dev, struct buf *out)
{
	struct acpi_cpus *s = (struct acpi_cpus *)dev;

	buf_printf(out, "selected %u\n", s->selector);
}

const struct device_class acpi_cpus_class = {
	.name = "acpi-cpu-hotplug",
	.desc = "hot-plug of vCPUs",
	.bus = BUS_SYSTEM,
	.size = sizeof(struct acpi_cpus),
	.state = acpi_cpus_state,
	.init = acpi_cpus_init,
	.reset = acpi_cpus_reset,
	.fini = acpi_cpus_fini,
	.info = acpi_cpus_info,
};
