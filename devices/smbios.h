/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * SMBIOS tables: types 0, 1, 2, 3, 4, 11, 16, 17, 19, 32, 127.
 *
 * Locking: machine_lock, or before the machine runs.
 */
#ifndef DEVICES_SMBIOS_H
#define DEVICES_SMBIOS_H

#include "lib/types.h"

struct buf;
struct err;
struct machine;
struct smbios;

/* Where a direct boot finds entry points and structures. */
#define SMBIOS_BASE 0xf0000u
#define SMBIOS_END  0xfc000u /* the ROM */

struct smbios *smbios_create(void);
void smbios_destroy(struct smbios *s);
/* -smbios type=1,manufacturer=...,uuid=...; type=11,value=...,path=... */
int smbios_add_option(struct smbios *s, const char *text, struct err *err);
/* The structures, without an entry point.  *ret_max is the largest one. */
void smbios_build(const struct smbios *s, struct machine *m, struct buf *out,
		  int *ret_count, u32 *ret_max);
/* Into guest RAM, for a boot without firmware.  -ENOSPC. */
int smbios_place(const struct smbios *s, struct machine *m, struct err *err);
/* Adds etc/smbios/smbios-anchor and smbios-tables to m->fw_cfg. */
int smbios_add_files(const struct smbios *s, struct machine *m,
		     struct err *err);

#endif
