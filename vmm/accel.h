/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The seam between the machine and what executes guest code.
 */
#ifndef VMM_ACCEL_H
#define VMM_ACCEL_H

#include "lib/types.h"
#include "vmm/vcpu.h"

struct buf;
struct err;
struct machine;
struct msi;
struct opts;
struct option_row;
struct ram_block;

struct accel_class {
	const char *name; /* "kvm", "tcg" */
	const char *desc;
	bool kernel_lapic;                /* the LAPIC lives in the kernel */
	const struct option_row *options; /* -accel NAME,... */
	size_t size;                      /* of the instance */

	/* Can it work here?  0, or -errno with the reason.  Quick, no side
	 * effects: used to choose among "kvm:tcg".  `strict`: another one
	 * could be chosen instead, so being very slow counts as a failure. */
	int (*probe)(bool strict, struct err *err);
	int (*create)(struct machine *m, void *instance, struct err *err);
	void (*destroy)(struct machine *m);

	int (*vcpu_create)(struct vcpu *v, struct err *err);
	void (*vcpu_destroy)(struct vcpu *v);
	/* Runs guest code until a request bit or an exit.  In v's thread. */
	enum vcpu_exit (*run)(struct vcpu *v);
	/* Out of run() soon.  Any thread; v->request is already set. */
	void (*kick)(struct vcpu *v);
	/* v->cpu <-> accelerator, in v's thread.  put returns 0 or -errno. */
	void (*get)(struct vcpu *v);
	int (*put)(struct vcpu *v);
	/* The features that CPUs of this vendor may have: vmm/cpu_models.h. */
	void (*features)(struct machine *m, const char *vendor, u32 *words);
	/* Machine stopped / goes on: freeze and thaw guest clocks. */
	void (*clock)(struct machine *m, bool running);

	/* Memory map.  May be NULL. */
	int (*map_ram)(struct machine *m, struct ram_block *b, struct err *);
	/* Starts or ends the recording of stores; on: before mem_log_start(),
	 * off: after mem_log_stop().  0 or -errno. */
	int (*dirty_log)(struct machine *m, bool on);
	void (*dirty_sync)(struct machine *m); /* into block->dirty */

	/* Below: NULL when the LAPIC models and plain exits do the work. */
	void (*msi_send)(struct machine *m, const struct msi *msi);
	/* IOAPIC pin routes changed, split irqchip: EOI exit bitmap. */
	void (*ioapic_changed)(struct machine *m);
	/* Doorbell: writes of `size` bytes to addr signal fd instead of
	 * exiting; 0 or -errno (the caller then handles the exit). */
	int (*ioeventfd)(struct machine *m, bool pio, u64 addr, u32 size,
			 bool match, u64 data, int fd, bool add);
	/* fd signalled -> msi, without an exit to vmon.  `add` with *route < 0
	 * takes a new route and stores it, with *route >= 0 changes its
	 * message (fd is ignored); !add frees it and stores -1. */
	int (*irqfd)(struct machine *m, const struct msi *msi, int fd, bool add,
		     int *route);

	/* It carries out vmm/debug.h; this many points in hardware, and then
	 * software breakpoints are INT3s; 0: no limit, no trace. */
	bool debug;
	int debug_hard;

	/* CPUID as the guest sees it. */
	void (*cpuid)(struct vcpu *v, u32 leaf, u32 subleaf, u32 out[4]);
	/* `info kvm -v`, `info jit`: lines of text; may drop machine_lock.
	 * NULL: there is nothing to tell. */
	void (*info)(struct machine *m, struct buf *out);
	void (*jit)(struct machine *m, struct buf *out);
};

/* Every accelerator, in order of preference, NULL-ended. */
extern const struct accel_class *const accel_classes[];

/* Chooses from "kvm:tcg" and creates it in `m`. */
int accel_select(struct machine *m, const char *list, struct err *err);

#endif
