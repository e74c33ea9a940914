/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Interrupts: split irqchip, routes, irqfds, doorbells.
 *
 * GSI 0..23 are the IOAPIC's pins.  KVM never raises them; it reads their
 * routes to know which vectors are level-triggered, and reports the end of
 * those (KVM_EXIT_IOAPIC_EOI).  Higher numbers are irqfds.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kvm/internal.h"
#include "lib/alloc.h"
#include "lib/err.h"
#include "lib/log.h"
#include "vmm/irq.h"

static int kvm_routes_commit(struct kvm_vm *k) REQUIRES(&k->route_lock)
{
	struct kvm_irq_routing *table;
	int r;

	table = xalloc(sizeof *table +
		       KVM_ROUTES_MAX * sizeof table->entries[0]);
	for (int i = 0; i < KVM_ROUTES_MAX; i++)
		if (k->route_used[i])
			table->entries[table->nr++] = k->routes[i];
	r = kvm_ioctl(k->vm_fd, KVM_SET_GSI_ROUTING, table);
	free(table);
	return r;
}

/* True if the entry changed. */
static bool kvm_route_set(struct kvm_vm *k, u32 gsi, const struct msi *msi)
	REQUIRES(&k->route_lock)
{
	struct kvm_irq_routing_entry e = {
		.gsi = gsi,
		.type = KVM_IRQ_ROUTING_MSI,
		.u.msi = {
			.address_lo = msi->addr,
			.address_hi = msi->addr >> 32,
			.data = msi->data,
		},
	};

	if (k->route_used[gsi] && !memcmp(&k->routes[gsi], &e, sizeof e))
		return false;
	k->routes[gsi] = e;
	k->route_used[gsi] = true;
	return true;
}

int kvm_irq_init(struct kvm_vm *k, struct err *err)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_SPLIT_IRQCHIP,
		.args = { KVM_IOAPIC_PINS },
	};
	int r = kvm_ioctl(k->vm_fd, KVM_ENABLE_CAP, &cap);

	if (r < 0)
		return err_code(err, r, "cannot split KVM's irqchip");
	return 0;
}

void kvm_msi_send(struct machine *m, const struct msi *msi)
{
	struct kvm_msi arg = {
		.address_lo = msi->addr,
		.address_hi = msi->addr >> 32,
		.data = msi->data,
	};
	int r = kvm_ioctl(kvm_of(m)->vm_fd, KVM_SIGNAL_MSI, &arg);

	/* 0: no LAPIC took it, which is the guest's affair. */
	if (r < 0)
		log_guest("kvm", "interrupt message %#llx data %#x refused: %s",
			  (unsigned long long)msi->addr, msi->data,
			  strerror(-r));
}

/* A masked pin keeps its last route: the end of an interrupt that was
 * delivered before must still be reported. */
void kvm_ioapic_changed(struct machine *m)
{
	struct kvm_vm *k = kvm_of(m);
	bool changed = false;
	struct msi msi;

	lock_acquire(&k->route_lock);
	for (int pin = 0; m->ioapic_route && pin < KVM_IOAPIC_PINS; pin++)
		if (m->ioapic_route(m, pin, &msi))
			changed |= kvm_route_set(k, pin, &msi);
	if (changed && kvm_routes_commit(k) < 0)
		log_warn("KVM refused the IOAPIC's routes");
	lock_release(&k->route_lock);
}

int kvm_ioeventfd(struct machine *m, bool pio, u64 addr, u32 size, bool match,
		  u64 data, int fd, bool add)
{
	struct kvm_ioeventfd arg = {
		.datamatch = data,
		.addr = addr,
		.len = size,
		.fd = fd,
	};

	if (pio)
		arg.flags |= KVM_IOEVENTFD_FLAG_PIO;
	if (match)
		arg.flags |= KVM_IOEVENTFD_FLAG_DATAMATCH;
	if (!add)
		arg.flags |= KVM_IOEVENTFD_FLAG_DEASSIGN;
	return kvm_ioctl(kvm_of(m)->vm_fd, KVM_IOEVENTFD, &arg);
}

static int kvm_route_free_gsi(struct kvm_vm *k) REQUIRES(&k->route_lock)
{
	for (int gsi = KVM_IOAPIC_PINS; gsi < KVM_ROUTES_MAX; gsi++)
		if (!k->route_used[gsi])
			return gsi;
	return -ENOSPC;
}

static int kvm_irqfd_attach(struct kvm_vm *k, int fd, u32 gsi, bool add)
{
	struct kvm_irqfd arg = { .fd = fd, .gsi = gsi };

	if (!add)
		arg.flags = KVM_IRQFD_FLAG_DEASSIGN;
	return kvm_ioctl(k->vm_fd, KVM_IRQFD, &arg);
}

static int kvm_irqfd_add(struct kvm_vm *k, const struct msi *msi, int fd,
			 int *route) REQUIRES(&k->route_lock)
{
	int gsi = kvm_route_free_gsi(k), r;

	if (gsi < 0)
		return gsi;
	kvm_route_set(k, gsi, msi);
	r = kvm_routes_commit(k);
	if (r >= 0)
		r = kvm_irqfd_attach(k, fd, gsi, true);
	if (r < 0) {
		k->route_used[gsi] = false;
		return r;
	}
	*route = gsi;
	return 0;
}

int kvm_irqfds(struct kvm_vm *k)
{
	int n = 0;

	lock_acquire(&k->route_lock);
	for (int gsi = KVM_IOAPIC_PINS; gsi < KVM_ROUTES_MAX; gsi++)
		n += k->route_used[gsi];
	lock_release(&k->route_lock);
	return n;
}

int kvm_irqfd(struct machine *m, const struct msi *msi, int fd, bool add,
	      int *route)
{
	struct kvm_vm *k = kvm_of(m);
	struct kvm_irq_routing_entry old;
	int r = 0;

	if (*route >= KVM_ROUTES_MAX || (!add && *route < KVM_IOAPIC_PINS))
		return -EINVAL;
	lock_acquire(&k->route_lock);
	if (!add) {
		r = kvm_irqfd_attach(k, fd, *route, false);
		k->route_used[*route] = false;
		*route = -1;
	} else if (*route < 0) {
		r = kvm_irqfd_add(k, msi, fd, route);
	} else {
		old = k->routes[*route];
		if (kvm_route_set(k, *route, msi))
			r = kvm_routes_commit(k);
		if (r < 0)
			k->routes[*route] = old;
	}
	lock_release(&k->route_lock);
	return r;
}
