/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a cloud image asks for at its first boot, as a disk made in memory:
 * cloud-init's data source NoCloud, a volume "CIDATA" with meta-data,
 * user-data, vendor-data and network-config.
 *
 * Keys of SSH and the name of the host are in meta-data, a password is in
 * vendor-data, so user-data is the user's own.
 *
 * Or, with config-drive=on, the same as OpenStack's config drive, a volume
 * "config-2", for those who look for that.
 */
#ifndef SEED_SEED_H
#define SEED_SEED_H

#include "lib/opt.h"

struct err;

/* Properties of -cloud-init, for help. */
extern const struct option_row seed_options[];

/* From "user-data=FILE,ssh-key=FILE,hostname=NAME,...": a descriptor of the
 * image, for reading.  -errno. */
int seed_open(const char *text, struct err *err);

#endif
