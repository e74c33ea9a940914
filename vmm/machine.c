/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The machine's life, its RAM layout, and MSI delivery.
 */
#include "vmm/machine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/trace.h"
#include "vmm/accel.h"
#include "vmm/device.h"
#include "vmm/object.h"
#include "vmm/vtimer.h"

struct lock machine_lock = LOCK_INIT;

void machine_wait(struct cond *c)
{
	cond_wait(c, &machine_lock);
}

static void machine_vtimer_fired(void *arg)
{
	vtimer_run_expired(arg);
}

struct machine *machine_create(struct err *err)
{
	struct machine *m = xalloc(sizeof *m);

	m->loop = loop_create();
	if (!m->loop) {
		err_errno(err, "cannot create the event loop");
		free(m);
		return NULL;
	}
	loop_set_lock(m->loop, &machine_lock);
	list_init(&m->devices);
	list_init(&m->objects);
	list_init(&m->vtimers);
	list_init(&m->run.notifiers);
	list_init(&m->event_listeners);
	timer_init(&m->vtimer_host, m->loop, machine_vtimer_fired, m);
	space_init(&m->memory, "memory", m);
	space_init(&m->io, "I/O", m);
	m->topo = (struct topology){ 1, 1, 1, 1, 1 };
	m->vcpus = xcalloc(VCPUS_MAX, sizeof *m->vcpus);
	m->run.state = RUN_PRELAUNCH;
	return m;
}

void machine_destroy_devices(struct machine *m)
{
	for (int i = m->nvcpus - 1; i >= 0; i--)
		vcpu_destroy(m->vcpus[i]);
	m->nvcpus = 0;
	while (!list_empty(&m->devices))
		device_destroy(
			list_entry(m->devices.prev, struct device, node));
	object_destroy_all(m);
}

void machine_destroy(struct machine *m)
{
	if (!m)
		return;
	machine_destroy_devices(m);
	if (m->accel && m->accel->destroy)
		m->accel->destroy(m);
	free(m->accel_data);
	timer_cancel(&m->vtimer_host);
	space_fini(&m->memory);
	space_fini(&m->io);
	mem_fini(&m->mem);
	loop_destroy(m->loop);
	free(m->vcpus);
	if (m->finish)
		m->finish(m);
	free(m->name);
	free(m);
}

/* The hole for PCI and chips lies at 3 GiB, as on QEMU's pc, once RAM is
 * that large. */
int machine_add_ram(struct machine *m, struct err *err)
{
	u64 below = m->ram_size, limit = 3 * GIB;
	int r;

	if (below >= 0xe0000000u)
		below = limit;
	m->ram_below_4g = below;
	m->ram_above_4g = m->ram_size - below;
	r = mem_add_ram(&m->mem, "pc.ram", 0, below, false, err);
	if (r == 0 && m->ram_above_4g)
		r = mem_add_ram(&m->mem, "pc.ram.high", 4 * GIB,
				m->ram_above_4g, false, err);
	return r;
}

int machine_map_ram(struct machine *m, struct err *err)
{
	int n = m->mem.nram, r = 0;

	for (int i = 0; m->accel->map_ram && r >= 0 && i < n; i++)
		r = m->accel->map_ram(m, &m->mem.ram[i], err);
	return r;
}

void msi_send(struct machine *m, const struct msi *msi)
{
	trace(IRQ_MSI, "msi 0x%llx data 0x%x", (unsigned long long)msi->addr,
	      msi->data);
	if (m->accel && m->accel->msi_send)
		m->accel->msi_send(m, msi);
	else if (m->msi_deliver)
		m->msi_deliver(m, msi);
}
