/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The half of the firmware that lives in vmon: disks (INT 13h), PCI (INT 1Ah),
 * what to boot (INT 18h, 19h), and the text screen's way to a terminal.
 *
 * The ROM of bios/ hands over the caller's registers in a frame
 * (vmm/pc_abi.h), whose address is a guest's word, as all in it.  A call that
 * has to wait for a disk ends with BIOS_AGAIN, and the ROM makes it anew, so
 * that the vCPU is never away for long; what is not finished when a machine
 * is saved is simply begun again.
 *
 * Locking: machine_lock, but where said.
 */
#ifndef DEVICES_BIOS_H
#define DEVICES_BIOS_H

#include "block/block.h"
#include "lib/lock.h"
#include "vmm/device.h"
#include "vmm/memory.h"
#include "vmm/pc_abi.h"

#define BIOS_DRIVES_MAX  32
#define BIOS_HARD_DISK   0x80 /* number of the first one */
#define BIOS_CD          0xe0
#define BIOS_SECTOR      512u
#define BIOS_CD_SECTOR   2048u
#define BIOS_PEEK        (34 * BIOS_SECTOR) /* MBR, GPT and its entries */
#define BIOS_VECTORS_MAX 8
#define BIOS_REASON_MAX  160

/* The caller's registers, as BIOS_F_* say. */
struct bios_frame {
	u32 edi, esi, ebp, esp, ebx, edx, ecx, eax;
	u16 ds, es, fs, gs, ss, flags, ip, cs;
	u32 vector, status;
};

struct bios_drive {
	struct block *block; /* borrowed; asked for before each use */
	u8 number;           /* of DL */
	u32 priority;        /* lower ones are tried first */
	u16 heads, sectors;  /* 0: a CD */
	u32 cylinders;
	char reason[BIOS_REASON_MAX]; /* why it does not boot; "": untried */
};

enum bios_state {
	BIOS_IDLE,
	BIOS_BUSY,  /* `req` is with the drive */
	BIOS_READY, /* it came back */
};

/* What the request in flight is for. */
enum bios_step {
	STEP_DISK,    /* INT 13h */
	STEP_PEEK,    /* a hard disk's start */
	STEP_RECORD,  /* a CD's boot record */
	STEP_CATALOG, /* its boot catalog */
	STEP_IMAGE,   /* its boot image, into the guest */
};

enum bios_menu_state {
	MENU_START,
	MENU_OFFER, /* waits for ESC, a while */
	MENU_LIST,  /* waits for a number */
	MENU_OVER,
};

struct bios {
	struct device dev;
	struct region io;

	struct bios_drive drive[BIOS_DRIVES_MAX];
	int ndrives;

	/* Of the call; `state` changes with `lock`, a leaf. */
	struct lock lock;
	struct cond changed;
	enum bios_state state;
	enum bios_step step;
	struct block_req req;
	bool stopped; /* it failed, and the machine with it */
	enum block_op op;
	struct iovec iov[BIOS_VECTORS_MAX];
	gpa_t at; /* where the request reads to in the guest */
	u64 len;  /* 0: into `peek` */
	u8 peek[BIOS_PEEK];

	/* Booting. */
	int next;                     /* of drive[] */
	u8 booted;                    /* DL; 0: nothing yet */
	u16 load_segment, load_count; /* of a CD's image */
	u32 load_lba;
	bool told;   /* that there is nothing to boot */
	bool strict; /* -boot: no drive that neither says its place */

	/* The menu. */
	bool menu;   /* option: there is one */
	u32 menu_ms; /* option: how long it offers itself */
	enum bios_menu_state menu_state;
	u64 menu_until; /* vclock */

	u64 wait_until; /* vclock; 0: nobody waits */

	/* The terminal at the serial port. */
	u8 col, row; /* where its cursor is */
	u8 cell, cell_col; /* put last, in this row; 0: typed */
	u8 color;
	bool silent; /* nothing was shown yet */
};

static inline u8 bios_ah(const struct bios_frame *f)
{
	return (u8)(f->eax >> 8);
}

static inline void bios_set_ah(struct bios_frame *f, u8 ah)
{
	f->eax = (f->eax & ~0xff00u) | (u32)ah << 8;
}

static inline void bios_set16(u32 *reg, u16 value)
{
	*reg = (*reg & 0xffff0000u) | value;
}

/* Answers with carry as `on` says. */
static inline void bios_carry(struct bios_frame *f, bool on)
{
	f->flags = on ? f->flags | 1 : f->flags & ~1u;
}

/* ---- bios.c ---- */
/* Begins a request: into the guest at `at`, or, with NULL for `m`, into
 * `peek`.  False: that is no memory, or not on the disk. */
bool bios_submit(struct bios *s, struct bios_drive *d, enum block_op op,
		 u64 offset, gpa_t at, u64 len, bool guest);
/* The drive of that number, if it is still there; or NULL. */
struct bios_drive *bios_drive(struct bios *s, u8 number);
void bios_say(struct bios *s, const char *text);

/* ---- bios_disk.c ---- */
/* INT 13h.  True: the frame has the answer. */
bool bios_disk_start(struct bios *s, struct bios_frame *f);
void bios_disk_finish(struct bios *s, struct bios_frame *f, int result);
/* Its geometry as far as cylinders, heads and sectors go. */
void bios_disk_geometry(struct bios_drive *d);

/* ---- bios_system.c ---- */
/* INT 15h: 86h wait, 87h copy. */
bool bios_system(struct bios *s, struct bios_frame *f);

/* ---- bios_pci.c ---- */
/* INT 1Ah, B1h. */
bool bios_pci(struct bios *s, struct bios_frame *f);

/* ---- bios_boot.c ---- */
/* INT 18h and 19h. */
bool bios_boot_start(struct bios *s, struct bios_frame *f);
bool bios_boot_finish(struct bios *s, struct bios_frame *f, int result);
/* Looks which drives there are, and numbers them. */
void bios_boot_find(struct bios *s);

/* ---- bios_menu.c ---- */
/* A key, or 0, of those who are to choose.  True: the choice is made, and
 * first in drive[]. */
bool bios_menu(struct bios *s, u8 key);

/* ---- bios_text.c ---- */
void bios_text_event(struct bios *s, u32 event);
/* Whether the terminal is the firmware's: the guest let the UART alone. */
bool bios_text_owned(struct bios *s);
void bios_text_reset(struct bios *s);

#endif
