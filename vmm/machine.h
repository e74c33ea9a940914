/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The machine: owner of RAM, spaces, devices, vCPUs and the accelerator.
 *
 * machine_lock is the big lock: device models and the memory map are
 * single-threaded under it.  The main loop holds it while it dispatches; a
 * vCPU takes it around each device access.  Lock order: machine_lock, image
 * lock, leaf locks (log, chardev output, vcpu->lock).  Whoever holds it
 * waits for another thread only through machine_wait().
 */
#ifndef VMM_MACHINE_H
#define VMM_MACHINE_H

#include "lib/list.h"
#include "lib/lock.h"
#include "lib/loop.h"
#include "lib/types.h"
#include "vmm/debug.h"
#include "vmm/irq.h"
#include "vmm/memory.h"
#include "vmm/runstate.h"

struct accel_class;
struct boot;
struct config;
struct err;
struct firmware;
struct lapic_ops;
struct vcpu;

#define VCPUS_MAX 255

extern struct lock machine_lock;

struct topology { /* `cpus`: that are plugged now */
	int cpus, maxcpus, sockets, cores, threads;
};

/* When it came how far, of clock_mono_ns(); 0: has not. */
struct machine_times {
	u64 start; /* the program */
	u64 built, reset;
	u64 entry; /* of the guest since its last reset */
};

struct machine {
	const char *type; /* "pc" */
	char *name;       /* owned; NULL when unset */
	u8 uuid[16];
	bool uuid_set;

	struct loop *loop; /* main loop; owned */
	struct memory mem;
	struct space memory; /* MMIO regions */
	struct space io;     /* port regions */
	u64 ram_size;
	u64 ram_below_4g, ram_above_4g;

	const struct accel_class *accel;
	void *accel_data;
	const char *cpu_model; /* -cpu text, borrowed from config */
	/* Executes the instruction at v->cpu's RIP in software and delivers
	 * the exception it raises; false: cannot.  In v's thread.  NULL when
	 * no interpreter was wired. */
	bool (*emulate_one)(struct vcpu *v);
	void (*emulate_fini)(struct vcpu *v); /* frees v->emulator; or NULL */
	const struct lapic_ops *lapic;        /* NULL with the kernel's */
	/* MSI delivery when the accelerator has none (devices/lapic.c). */
	void (*msi_deliver)(struct machine *m, const struct msi *msi);
	/* Physical IOAPIC/PIC input lines by GSI number. */
	struct irq gsi[24];
	/* The PIC's interrupt acknowledge, for ExtINT: vector or -1.  From a
	 * vCPU's thread without machine_lock. */
	int (*pic_accept)(struct machine *m);
	/* A LAPIC ended a level-triggered interrupt (KVM_EXIT_IOAPIC_EOI, the
	 * LAPIC models).  machine_lock held. */
	void (*ioapic_eoi)(struct machine *m, u8 vector);
	/* What IOAPIC pin 0..23 sends now; false: masked.  For the EOI
	 * bitmap of a split irqchip.  machine_lock held. */
	bool (*ioapic_route)(struct machine *m, int pin, struct msi *ret);

	struct topology topo;
	struct vcpu **vcpus; /* owned */
	int nvcpus; /* created: those that are plugged, and empty sockets */

	struct list devices; /* of struct device, creation order */
	struct list objects; /* of vmm/object.c */
	void *pci;           /* struct pci_bus of devices/pci.h */
	void *fw_cfg;        /* struct device, see devices/fw_cfg.h */
	/* Chips that others look up; struct device, see devices/pc.h. */
	void *pic, *ioapic, *pit, *rtc, *acpi_pm, *keyboard, *vga, *ide;

	struct runstate run;
	struct machine_times times;
	struct list event_listeners; /* vmm/event.h */
	struct list vtimers;
	struct timer vtimer_host;
	u64 vclock_base_ns; /* value while stopped; offset while running */
	_Atomic bool vclock_running;

	struct machine_debug debug;
	void *gdb; /* of gdb/gdb.h; NULL: nobody can connect */

	void *machine_data; /* the machine file's own; finish() frees it */
	void (*finish)(struct machine *m); /* NULL until it has some */
	bool no_reboot, no_shutdown;
	int watchdog_action;            /* vmm/watchdog.h */
	int panic_action;               /* vmm/panic.h */
	void (*nmi)(struct machine *m); /* the button; NULL: none */
	/* Called (main loop) when the guest presses or is pressed: */
	void (*powerdown)(void *arg);
	void *powerdown_arg;
	struct boot *boot; /* borrowed; NULL without -kernel */
	struct firmware *firmware; /* borrowed; NULL without -bios */
	/* Loads kernel or firmware again; after device reset. */
	int (*reload)(struct machine *m, struct err *err);
	int exit_code; /* of the process */
};

struct machine *machine_create(struct err *err);
void machine_destroy(struct machine *m);
/* The first half of it: vCPU threads and devices, before back ends go. */
void machine_destroy_devices(struct machine *m);

/* Adds RAM for m->ram_size: below the hole and above 4 GiB. */
int machine_add_ram(struct machine *m, struct err *err);
/* Hands every RAM and ROM block to the accelerator; before the vCPUs run. */
int machine_map_ram(struct machine *m, struct err *err);

/* Waits on `c` with machine_lock, other threads may take it meanwhile. */
void machine_wait(struct cond *c) REQUIRES(machine_lock);

#endif
