/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The accelerator on /dev/kvm.
 *
 * The LAPICs live in the kernel (split irqchip); PIC, PIT and IOAPIC are
 * vmon's.  Needs Linux 4.12 or newer for immediate_exit.
 */
#ifndef KVM_KVM_H
#define KVM_KVM_H

#include "vmm/accel.h"

extern const struct accel_class kvm_accel;

#endif
