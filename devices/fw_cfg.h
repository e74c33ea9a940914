/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Firmware configuration: named blobs that firmware and guests read through
 * ports 0x510-0x51b.  Class "fw_cfg", which sets m->fw_cfg; it adds signature,
 * UUID, RAM size and processor counts by itself.
 *
 * Locking: machine_lock.
 */
#ifndef DEVICES_FW_CFG_H
#define DEVICES_FW_CFG_H

#include "lib/types.h"

struct buf;
struct device;
struct err;

/* Well-known keys. */
#define FW_CFG_SIGNATURE     0x00
#define FW_CFG_ID            0x01
#define FW_CFG_UUID          0x02
#define FW_CFG_RAM_SIZE      0x03
#define FW_CFG_NOGRAPHIC     0x04
#define FW_CFG_NB_CPUS       0x05
#define FW_CFG_KERNEL_ADDR   0x07
#define FW_CFG_KERNEL_SIZE   0x08
#define FW_CFG_INITRD_ADDR   0x0a
#define FW_CFG_INITRD_SIZE   0x0b
#define FW_CFG_BOOT_MENU     0x0e
#define FW_CFG_MAX_CPUS      0x0f
#define FW_CFG_KERNEL_DATA   0x11
#define FW_CFG_INITRD_DATA   0x12
#define FW_CFG_CMDLINE_SIZE  0x14
#define FW_CFG_CMDLINE_DATA  0x15
#define FW_CFG_SETUP_SIZE    0x17
#define FW_CFG_SETUP_DATA    0x18
#define FW_CFG_FILE_DIR      0x19
#define FW_CFG_FILE_FIRST    0x20
#define FW_CFG_IRQ0_OVERRIDE 0x8002

#define FW_CFG_BASE  0x510
#define FW_CFG_PORTS 12

/* Copies; a key or file that exists already gets the new bytes. */
void fw_cfg_add_bytes(struct device *dev, u16 key, const void *data,
		      size_t len);
void fw_cfg_add_u16(struct device *dev, u16 key, u16 value);
void fw_cfg_add_u32(struct device *dev, u16 key, u32 value);
/* -ENAMETOOLONG, -ENOSPC. */
int fw_cfg_add_file(struct device *dev, const char *name, const void *data,
		    size_t len, struct err *err);
/* fn(arg) runs when the guest selects the file, before it reads; it may
 * replace the bytes with fw_cfg_add_file(), of the same length. */
void fw_cfg_on_select(struct device *dev, const char *name,
		      void (*fn)(void *arg), void *arg);
/* -fw_cfg name=opt/x,file=F|string=S */
int fw_cfg_add_option(struct device *dev, const char *text, struct err *err);
/* One line per file, for info roms. */
void fw_cfg_info(struct device *dev, struct buf *out);

#endif
