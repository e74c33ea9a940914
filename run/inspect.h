/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * `vmon inspect`: what an image is, and what boots it.
 */
#ifndef RUN_INSPECT_H
#define RUN_INSPECT_H

#include <jansson.h>

#include "lib/types.h"

struct err;

/* Arguments behind the verb; 0, 1 for a mistake, 2: there is nothing to see. */
int inspect_main(int argc, char **argv);
/* The tree that --json prints; format: NULL: looked at.  NULL: no image. */
json_t *inspect(const char *path, const char *format, struct err *err);
bool inspect_is_uefi_only(const json_t *v);
/* Whom cloud-init or Ignition gives the keys to, if nobody else is named; NULL:
 * not known. */
const char *inspect_user(const json_t *v);

#endif
