/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Every accelerator, in order of preference.
 */
#include "vmm/accel.h"

extern const struct accel_class kvm_accel, tcg_accel;

const struct accel_class *const accel_classes[] = { &kvm_accel, &tcg_accel,
						    NULL };
