/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * An interrupt line is a value: function, receiver, number.  Who listens (a
 * PIC, an IOAPIC, both, KVM) is the machine's business.
 *
 * Locking: irq_set() needs machine_lock; msi_send() works from any thread.
 */
#ifndef VMM_IRQ_H
#define VMM_IRQ_H

#include "lib/types.h"

struct machine;

struct irq {
	void (*set)(void *opaque, int n, int level);
	void *opaque;
	int n;
};

struct msi {
	u64 addr;
	u32 data;
};

static inline void irq_set(const struct irq *irq, int level)
{
	if (irq->set)
		irq->set(irq->opaque, irq->n, level);
}

static inline void irq_pulse(const struct irq *irq)
{
	irq_set(irq, 1);
	irq_set(irq, 0);
}

/* Delivers a message-signalled interrupt through the accelerator (KVM) or
 * the LAPIC models.  Any thread. */
void msi_send(struct machine *m, const struct msi *msi);

#endif
