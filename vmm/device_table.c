/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Every device class: vmm/devices.def as a table.
 */
#include "vmm/device.h"

/* clang-format off */
#define DEVICE(x) extern const struct device_class x##_class;
#include "vmm/devices.def"
#undef DEVICE

const struct device_class *const device_classes[] = {
#define DEVICE(x) &x##_class,
#include "vmm/devices.def"
#undef DEVICE
	NULL
};
