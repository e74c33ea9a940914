/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * IDE: a controller in the image of the PIIX3's, and what sits on its cables.
 *
 * devices/ide.c has the registers, ide_dma.c the bus master, ide_disk.c and
 * ide_cd.c the commands of disks and CD drives.
 *
 * Spec: ATA/ATAPI-6 (T13 1410D); Intel 82371SB data sheet, "IDE"; SFF-8038i.
 * Locking: machine_lock.
 */
#ifndef DEVICES_IDE_H
#define DEVICES_IDE_H

#include "block/block.h"
#include "devices/pci.h"
#include "vmm/device.h"
#include "vmm/runstate.h"

#define IDE_CHANNELS 2
#define IDE_UNITS    2     /* of a channel */
#define IDE_BUFFER   32768 /* bytes that go through the data register at once */
#define IDE_IOV      64
#define IDE_SECTOR   512u
#define IDE_MULTIPLE_MAX 16

/* Status register. */
#define ATA_ERR  0x01
#define ATA_DRQ  0x08
#define ATA_DSC  0x10
#define ATA_DRDY 0x40
#define ATA_BSY  0x80

/* Error register. */
#define ATA_ABRT 0x04
#define ATA_IDNF 0x10
#define ATA_UNC  0x40

struct ide;
struct ide_unit;

/* Command block registers 1 to 6, under the names of ATA-6 5.1. */
enum ide_reg {
	IDE_DATA,
	IDE_FEATURE, /* read: error */
	IDE_COUNT,
	IDE_LBA_LOW,
	IDE_LBA_MID,
	IDE_LBA_HIGH,
	IDE_DEVICE,
	IDE_COMMAND, /* read: status */
	IDE_REGS
};

#define IDE_DEVICE_LBA 0x40

/* What a kind of drive does: a disk, a CD drive. */
struct ide_kind {
	u8 signature_mid, signature_high; /* after a reset */
	u8 ready;                         /* status of one that has no work */
	void (*command)(struct ide_unit *u, u8 command);
	void (*reset)(struct ide_unit *u); /* the drive's own state */
};

struct ide_unit {
	struct device dev;
	const struct ide_kind *kind;
	struct ide_channel *channel; /* NULL until it is on its cable */
	int number;                  /* 0: master */

	u8 reg[IDE_REGS], previous[IDE_REGS]; /* written last, and before */
	u8 status, error;

	/* A block of the data register: bytes `at` to `end` of the buffer,
	 * and what comes behind it. */
	u32 at, end;
	bool in; /* the guest reads */
	void (*moved)(struct ide_unit *u);

	/* A request to the drive, and what takes its result. */
	struct block_req req;
	enum block_op op;
	void (*after)(struct ide_unit *u, int result);
	bool stopped; /* failed, waits for the machine to go on */

	/* The rest of the command. */
	u64 offset, left, chunk; /* bytes on the medium */
	bool to_guest, fua;
	u8 block; /* sectors between two interrupts */
	void (*dma)(struct ide_unit *u); /* waits for the bus master */
	struct iovec iov[IDE_IOV];

	u8 multiple;     /* sectors of READ MULTIPLE; 0: refused */
	u8 dma_mode;     /* as SET FEATURES gave it */
	u16 heads, secs; /* INITIALIZE DEVICE PARAMETERS */
	bool drive_wce;  /* write cache as the drive was opened */

	/* CD. */
	u8 packet[12], sense_key, asc, ascq;
	u32 loaded, taken; /* bytes of the buffer: to give, given */
	u32 limit;         /* bytes that the guest wants at once */
	bool locked, tray_open, attention, new_medium, eject_asked;

	/* Options; strings are owned. */
	struct block *drive; /* borrowed; attached */
	char *bus, *serial, *model, *version;
	u32 unit, bootindex;
	int rerror, werror;
	bool share_rw, attached, own_drive;

	u8 buffer[IDE_BUFFER];
};

/* The bus master of a channel. */
struct ide_dma {
	u8 command, status;
	u32 table;             /* address of the descriptors */
	u32 next, base, left;  /* the next of them; the rest of this one */
	u32 taken;             /* descriptors so far */
	bool ended;            /* this one is the last */
	struct ide_dma_part {
		u32 base, bytes;
	} part[IDE_IOV]; /* what was mapped last */
	int parts;
};

struct ide_channel {
	struct ide *ide;
	struct ide_unit *unit[IDE_UNITS];
	int selected;
	u8 control;
	bool interrupt; /* asked for */
	struct ide_dma dma;
	struct region command_io, control_io;
};

struct ide {
	struct pci_device pci;
	struct ide_channel channel[IDE_CHANNELS];
	struct run_notifier run_notifier;
};

/* ---- ide.c ---- */

/* For init and fini of a drive's class: finds a place on a cable (makes the
 * controller if there is none yet) and attaches its drive. */
int ide_unit_init(struct ide_unit *u, const struct ide_kind *kind,
		  const struct block_front *front, struct err *err);
void ide_unit_fini(struct ide_unit *u);
void ide_unit_reset(struct device *dev);
void ide_unit_info(struct device *dev, struct buf *out);
const char *ide_unit_bus(const struct device *dev);
void ide_path(void *opaque, struct buf *out);
void ide_firmware_path(void *opaque, struct buf *out);

/* Option rows of a unit, behind its "drive". */
/* clang-format off */
#define IDE_OPTION_ROWS(default_model)                                       \
	IDE_ROW("bus", opt_str, bus, NULL, "ide.0 or ide.1; without: where " \
		"there is room", NULL),                                      \
	IDE_ROW("unit", opt_u32, unit, "4294967295",                         \
		"0: master, 1: slave; 4294967295: where there is room",      \
		NULL),                                                       \
	IDE_ROW("serial", opt_str, serial, NULL,                             \
		"serial number, 20 characters", NULL),                       \
	IDE_ROW("model", opt_str, model, default_model,                      \
		"model name, 40 characters", NULL),                          \
	IDE_ROW("ver", opt_str, version, "2.5+", "firmware revision, 8 "     \
		"characters", NULL),                                         \
	IDE_ROW("bootindex", opt_u32, bootindex, "4294967295",               \
		"order in which firmware tries devices", NULL),              \
	IDE_ROW("rerror", opt_on_error, rerror, "auto",                      \
		"on read errors; auto: as the drive says",                   \
		drive_error_names),                                          \
	IDE_ROW("werror", opt_on_error, werror, "auto",                      \
		"on write errors; auto: as the drive says",                  \
		drive_error_names),                                          \
	IDE_ROW("share-rw", opt_bool, share_rw, "off",                       \
		"others may write the image too", NULL)
#define IDE_ROW(name, type, field, def, help, arg) \
	{ name, &type, offsetof(struct ide_unit, field), def, help, arg }

/* State of a unit between two commands. */
#define IDE_STATE_ROWS                                                    \
	STATE_ARRAY_(STATE_U8, struct ide_unit, reg),                     \
	STATE_ARRAY_(STATE_U8, struct ide_unit, previous),                \
	STATE_(STATE_U8, struct ide_unit, status),                        \
	STATE_(STATE_U8, struct ide_unit, error),                         \
	STATE_(STATE_U8, struct ide_unit, multiple),                      \
	STATE_(STATE_U8, struct ide_unit, dma_mode)
/* clang-format on */
/* After they were loaded: a command that was under way is aborted. */
int ide_unit_loaded(struct device *dev, struct err *err);

/* Ends of a command, with an interrupt. */
void ide_done(struct ide_unit *u);
void ide_abort(struct ide_unit *u, u8 error);
void ide_interrupt(struct ide_unit *u);
/* `bytes` of the buffer go through the data register, then `moved` is called.
 * No interrupt. */
void ide_data_in(struct ide_unit *u, u32 from, u32 bytes,
		 void (*moved)(struct ide_unit *));
void ide_data_out(struct ide_unit *u, u32 bytes,
		  void (*moved)(struct ide_unit *));
/* A request; the unit is busy until `after`, which gets 0 or -errno, after
 * rerror= or werror= were looked at. */
void ide_submit(struct ide_unit *u, enum block_op op, int niov, u64 offset,
		void (*after)(struct ide_unit *, int));
/* The same with the first `bytes` of the buffer. */
void ide_submit_buffer(struct ide_unit *u, enum block_op op, u32 bytes,
		       u64 offset, void (*after)(struct ide_unit *, int));
/* Commands that all kinds have; false: none of them. */
bool ide_common_command(struct ide_unit *u, u8 command);
/* The registers that tell what is on the cable. */
void ide_signature(struct ide_unit *u);
/* Puts text into IDENTIFY data, two bytes swapped, padded with spaces. */
void ide_identify_text(u8 *at, const char *text, u32 bytes);
/* Words 62 to 68: transfer modes. */
void ide_identify_modes(const struct ide_unit *u, u8 *data);

/* ---- ide_dma.c ---- */

extern const struct region_ops ide_dma_ops; /* of struct ide: BAR 4 */
/* Begins when the bus master is started, or at once when it is: then `go`. */
void ide_dma_wait(struct ide_unit *u, void (*go)(struct ide_unit *u));
/* The next up to `bytes` of the guest's buffers into u->iov: how many there
 * are, 0 at the end of the table, -EFAULT outside of RAM (and then the command
 * was aborted). */
s64 ide_dma_map(struct ide_unit *u, u64 bytes, bool to_guest, int *ret_niov);
/* What was mapped last has been written to. */
void ide_dma_written(struct ide_unit *u);
/* The transfer is over; the bus master stays active if its table is longer. */
void ide_dma_over(struct ide_unit *u);
/* The table is shorter than the transfer: no interrupt, as of a PIIX3. */
void ide_dma_short(struct ide_unit *u);
/* Moves `bytes` of u->buffer to the guest; false: aborted or short. */
bool ide_dma_give(struct ide_unit *u, u32 bytes);
void ide_dma_reset(struct ide_channel *c);

#endif
