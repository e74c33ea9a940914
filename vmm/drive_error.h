/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What becomes of a request that a drive failed: for every disk controller.
 */
#ifndef VMM_DRIVE_ERROR_H
#define VMM_DRIVE_ERROR_H

#include "block/block.h"

struct machine;

/* Tells of it (BLOCK_IO_ERROR) and does what rerror= or werror= say; `op` is
 * the operation as it is counted, `error` its -errno.  BLOCK_ERR_REPORT: tell
 * the guest; _IGNORE: say that it went well; _STOP: the machine stops, keep the
 * request until it runs.  machine_lock held. */
enum block_on_error drive_failed(struct machine *m, struct block *b,
				 enum block_op op, int error);

/* rerror= and werror= of a device: an enum block_on_error as int, or -1 for
 * "auto", as the drive says.  Rows name drive_error_names. */
extern const struct opt_type opt_on_error;
extern const char *const drive_error_names[];

/* The two as options of a device.  For its drive, once attached. */
void drive_set_on_error(struct block *b, int rerror, int werror);

#endif
