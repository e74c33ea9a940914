/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A firmware image of the user's (-bios): SeaBIOS, OVMF.
 *
 * It is a ROM that ends at 4 GiB, where a processor starts, and whose end is
 * in the end of the first MiB, too, as RAM that the firmware changes.
 */
#ifndef VMM_FIRMWARE_H
#define VMM_FIRMWARE_H

#include "lib/types.h"

struct err;
struct firmware;
struct machine;

/* Looks for a bare name among the distribution's, too. */
struct firmware *firmware_open(const char *path, struct err *err);
/* The one that -drive if=pflash,unit=0 holds, if there is such a drive: NULL
 * without `err` set, when there is none. */
struct firmware *firmware_open_flash(struct err *err);
void firmware_close(struct firmware *f);
/* The image as it is in the file, for ROMs that firmware runs. */
const u8 *firmware_data(const struct firmware *f, u64 *ret_size);
u64 firmware_base(const struct firmware *f);
/* Before the vCPUs run. */
int firmware_add(struct firmware *f, struct machine *m, struct err *err);
/* At each reset. */
int firmware_load(struct firmware *f, struct machine *m, struct err *err);

#endif
