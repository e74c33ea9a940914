/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Guest RAM as KVM memory slots, one per block, and the dirty log.
 *
 * Slot number and index of the block in struct memory are the same.
 *
 * Locking: machine_lock.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kvm/internal.h"
#include "lib/alloc.h"
#include "lib/err.h"

static u32 kvm_slot(struct machine *m, const struct ram_block *b)
{
	return b - m->mem.ram;
}

static int kvm_set_slot(struct machine *m, const struct ram_block *b,
			bool logging)
{
	struct kvm_userspace_memory_region region = {
		.slot = kvm_slot(m, b),
		.guest_phys_addr = b->base,
		.memory_size = b->size,
		.userspace_addr = (uintptr_t)b->host,
	};

	/* Stores to a read-only slot come back as MMIO and are dropped. */
	if (b->readonly)
		region.flags |= KVM_MEM_READONLY;
	else if (logging)
		region.flags |= KVM_MEM_LOG_DIRTY_PAGES;
	return kvm_ioctl(kvm_of(m)->vm_fd, KVM_SET_USER_MEMORY_REGION, &region);
}

int kvm_map_ram(struct machine *m, struct ram_block *b, struct err *err)
{
	int r = kvm_set_slot(m, b, kvm_of(m)->slot_logging);

	if (r < 0)
		return err_code(err, r, "cannot give '%s' to KVM", b->name);
	return 0;
}

int kvm_dirty_log(struct machine *m, bool on)
{
	struct kvm_vm *k = kvm_of(m);
	int n = m->mem.nram, first_error = 0;

	if (k->slot_logging == on)
		return 0;
	for (int i = 0; i < n; i++) {
		int r = kvm_set_slot(m, &m->mem.ram[i], on);

		if (r < 0 && !first_error)
			first_error = r;
	}
	k->slot_logging = on;
	return first_error;
}

void kvm_dirty_sync(struct machine *m)
{
	struct kvm_vm *k = kvm_of(m);
	int n = m->mem.nram;

	if (!k->slot_logging)
		return;
	for (int i = 0; i < n; i++) {
		struct ram_block *b = &m->mem.ram[i];
		u64 words = ALIGN_UP(b->size >> PAGE_SHIFT, 64) / 64;
		struct kvm_dirty_log log = { .slot = i };
		u64 *bits;

		if (b->readonly || !b->dirty)
			continue;
		bits = xcalloc(words, sizeof *bits);
		log.dirty_bitmap = bits;
		if (kvm_ioctl(k->vm_fd, KVM_GET_DIRTY_LOG, &log) < 0)
			memset(bits, 0xff, (b->size >> PAGE_SHIFT) / 8);
		for (u64 w = 0; w < words; w++)
			if (bits[w])
				atomic_fetch_or(&b->dirty[w], bits[w]);
		free(bits);
	}
}
