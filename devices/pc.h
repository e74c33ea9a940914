/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The chips of a PC: what the machine file, accelerators' hooks and the
 * monitor call beyond struct device_class.
 *
 * Chips raise lines through machine->gsi[], which the machine file fills
 * before or after creating them: gsi[n] goes to PIC input n (n < 16) and to
 * IOAPIC pin n, gsi[0] to IOAPIC pin 2.  The PIC's own output is set with
 * pic_set_output().
 *
 * Locking: machine_lock, except where said.
 */
#ifndef DEVICES_PC_H
#define DEVICES_PC_H

#include "lib/types.h"
#include "vmm/device.h"
#include "vmm/irq.h"

struct buf;
struct err;
struct machine;
struct pci_device;
struct vcpu;

/* clang-format off */
#define DEVICE(x) extern const struct device_class x##_class;
#include "vmm/devices.def"
#undef DEVICE
/* clang-format on */

/* ---- pic.c: class "isa-i8259", sets m->pic and m->pic_accept ---- */
struct irq pic_input(struct device *pic, int n); /* 0-15, 2 is unused */
void pic_set_output(struct device *pic, struct irq intr);
/* Vector of the highest request, acknowledged; spurious 7 if none. */
int pic_acknowledge(struct device *pic);
bool pic_has_interrupt(const struct device *pic);
void pic_info(struct machine *m, struct buf *out); /* info pic, lower half */
void pic_irq_info(struct machine *m, struct buf *out); /* info irq */

/* ---- ioapic.c: class "ioapic", sets m->ioapic, m->ioapic_eoi and
 * m->ioapic_route ---- */
#define IOAPIC_BASE 0xfec00000u
#define IOAPIC_PINS 24
struct irq ioapic_input(struct device *ioapic, int pin);
void ioapic_info(struct machine *m, struct buf *out); /* info pic */
void ioapic_irq_info(struct machine *m, struct buf *out);

/* ---- lapic.c: class "apic": one device for all vCPUs, which must have
 * been created; sets m->lapic and m->msi_deliver ---- */
#define LAPIC_BASE 0xfee00000u
void lapic_deliver_msi(struct machine *m, const struct msi *msi); /* any */
/* The BSP's LINT0, for the PIC's output; LINT1 of every LAPIC is pulsed by
 * the monitor's nmi command. */
struct irq lapic_lint0(struct device *lapic);
void lapic_lint1(struct vcpu *v); /* any thread */
/* The NMI button: LINT1 of every LAPIC, also of the kernel's. */
void lapic_press_nmi(struct machine *m);
/* `info lapic`.  From the vCPU's thread: v->cpu is up to date (with these
 * models this calls save() itself). */
void lapic_info(struct vcpu *v, struct buf *out);

/* ---- serial.c: class "isa-serial" ---- */
void serial_wiring(const struct device *serial, u32 *ret_index, u32 *ret_iobase,
		   u32 *ret_irq);

/* Sends a byte as the guest would; false: the guest has programmed the UART
 * since the last reset, whose terminal it is therefore. */
bool serial_firmware_put(struct device *serial, u8 byte);
bool serial_firmware_owns(const struct device *serial);

/* ---- bios.c: class "bios" ---- */
/* After a reset: services and data in guest memory, the first vCPU at the
 * start of the ROM. */
int bios_power_on(struct device *bios, struct err *err);

/* ---- rtc.c: class "mc146818rtc", sets m->rtc ---- */
/* Letters of drives (a c d n) as firmware finds them in CMOS RAM; -EINVAL. */
int rtc_set_boot_order(struct device *rtc, const char *letters,
		       struct err *err);
void rtc_set_cmos(struct device *rtc, u8 index, u8 value);
u8 rtc_get_cmos(struct device *rtc, u8 index);
/* Guest's clock minus the host's real time. */
void rtc_set_offset(struct device *rtc, s64 offset_ns);
/* The guest's date as rtc registers give it, seconds since 1970. */
s64 rtc_seconds(struct device *rtc);

/* ---- i8042.c: class "i8042", sets m->keyboard ---- */
/* A key by its set 1 make code, with bit 7 for the prefix 0xe0 (devices/keys.h
 * has the names).  Drops what does not fit the keyboard's buffer. */
void i8042_key(struct device *i8042, u8 code, bool down);
/* keys_type() on it. */
int i8042_type(struct device *i8042, const u8 *codes, int n, u32 hold_ms,
	       struct err *err);

/* ---- acpi_pm.c: class "PIIX4_PM", sets m->acpi_pm ---- */
#define ACPI_PM_BASE   0x600
#define ACPI_GPE0_BASE 0xafe0
#define ACPI_SCI_GSI   9
u16 acpi_pm_base(struct device *pm); /* of the PM block, now */
/* The power button; false when the guest does not listen. */
bool acpi_pm_press_power(struct device *pm);
/* Sets a GPE0 status bit and raises the SCI if enabled. */
void acpi_pm_gpe(struct device *pm, int bit);

/* ---- acpi_hotplug.c: class "acpi-pci-hotplug" ---- */
#define ACPI_HOTPLUG_BASE 0xae00
#define ACPI_HOTPLUG_GPE  1
/* After a PCI device was created in a running machine: tells the guest. */
void acpi_hotplug_added(struct pci_device *dev);
/* Asks the guest to let go of the device's slot.  0: it was asked, and when
 * it agrees the device is destroyed by the main loop; -ENOTSUP. */
int acpi_hotplug_remove(struct pci_device *dev, struct err *err);

/* ---- acpi_cpus.c: class "acpi-cpu-hotplug" ---- */
#define ACPI_CPUS_BASE    0xaf00
#define ACPI_CPUS_GPE     2
#define ACPI_CPU_PATH_MAX 48
/* Its name in events. */
void acpi_cpus_path(char path[ACPI_CPU_PATH_MAX], int index);
/* Puts a vCPU into its socket and tells the guest; -EINVAL, -EEXIST,
 * -ENOTSUP.  Drops machine_lock meanwhile. */
int acpi_cpus_plug(struct machine *m, u64 index, struct err *err);
/* Asks the guest to let go of a vCPU.  0: it was asked, and when it agrees the
 * vCPU leaves, which is an event DEVICE_DELETED; -EINVAL, -ENOENT, -ENOTSUP. */
int acpi_cpus_unplug(struct machine *m, u64 index, struct err *err);

#endif
