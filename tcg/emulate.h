/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Single instructions for another accelerator: what KVM cannot emulate.
 */
#ifndef TCG_EMULATE_H
#define TCG_EMULATE_H

#include "lib/types.h"

struct vcpu;

/* For machine.emulate_one and emulate_fini: see vmm/machine.h. */
bool tcg_emulate_one(struct vcpu *v);
void tcg_emulate_fini(struct vcpu *v);

#endif
