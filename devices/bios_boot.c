/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Booting: which drives there are, in which order they are tried, and why
 * none of them would do.
 *
 * Spec: "El Torito" Bootable CD-ROM Format Specification 1.0; UEFI 2.10,
 * "GUID Partition Table (GPT) Disk Layout".
 */
#include "devices/bios.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "devices/pc.h"
#include "lib/bytes.h"
#include "lib/log.h"
#include "vmm/boot_bios.h"
#include "vmm/machine.h"

#define BOOT_AT        0x7c00u
#define BOOT_SIGNATURE 0x1fe
#define BOOT_CODE      0x1b8 /* bytes of it in an MBR */
#define BOOT_TOP       0x9f000u

#define CMOS_BOOT_12 0x3d /* two orders, a nibble each */
#define CMOS_BOOT_3  0x38
#define CMOS_DISK    2
#define CMOS_CD      3

#define PRIORITY_LETTER 0x80000000u /* after every bootindex */
#define PRIORITY_NONE   0x80000010u

#define GPT_HEADER  512u
#define GPT_ENTRIES 1024u
#define GPT_ENTRY   128u
#define MBR_ENTRIES 0x1be
#define MBR_TYPE    4
#define MBR_ESP     0xef

#define CD_RECORD  17 /* sector */
#define CD_CATALOG 0x47
#define CD_ENTRY   32
#define CD_UNIT    512u

#define BOOT_UEFI_ONLY                                                  \
	"it has only a UEFI boot loader; install the package ovmf and " \
	"add -bios OVMF.fd"

static const u8 gpt_esp[16] = {
	0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11,
	0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b
};

/* ---- Finding ---- */

static u32 boot_priority(struct bios *s, const struct block *b)
{
	u8 want = b->cdrom ? CMOS_CD : CMOS_DISK;
	u8 both = rtc_get_cmos(s->dev.m->rtc, CMOS_BOOT_12);
	u8 order[3] = { both & 15, both >> 4,
			rtc_get_cmos(s->dev.m->rtc, CMOS_BOOT_3) >> 4 };

	if (b->bootindex < PRIORITY_LETTER)
		return b->bootindex;
	for (u32 i = 0; i < ARRAY_SIZE(order); i++)
		if (order[i] == want)
			return PRIORITY_LETTER + i;
	return PRIORITY_NONE;
}

void bios_boot_find(struct bios *s)
{
	u8 disk = BIOS_HARD_DISK, cd = BIOS_CD;

	s->ndrives = 0;
	for (struct block *b = block_next(NULL); b; b = block_next(b)) {
		struct bios_drive d = { .block = b };
		int at;

		if (!block_attached(b) || s->ndrives == BIOS_DRIVES_MAX)
			continue;
		d.priority = boot_priority(s, b);
		for (at = s->ndrives++;
		     at && s->drive[at - 1].priority > d.priority; at--)
			s->drive[at] = s->drive[at - 1];
		s->drive[at] = d;
	}
	for (int i = 0; i < s->ndrives; i++) {
		struct bios_drive *d = &s->drive[i];

		d->number = d->block->cdrom ? cd++ : disk++;
		if (!d->block->cdrom)
			bios_disk_geometry(d);
	}
}

/* ---- Why not ---- */

static bool boot_has_esp(const struct bios *s)
{
	const u8 *p = s->peek;

	for (int i = 0; i < 4; i++)
		if (p[MBR_ENTRIES + 16 * i + MBR_TYPE] == MBR_ESP)
			return true;
	if (memcmp(p + GPT_HEADER, "EFI PART", 8))
		return false;
	for (u32 at = GPT_ENTRIES; at < BIOS_PEEK; at += GPT_ENTRY)
		if (!memcmp(p + at, gpt_esp, sizeof gpt_esp))
			return true;
	return false;
}

static bool boot_is_blank(const u8 *p, u32 len)
{
	for (u32 i = 0; i < len; i++)
		if (p[i])
			return false;
	return true;
}

/* NULL: it boots. */
static const char *boot_judge_disk(const struct bios *s)
{
	bool code = !boot_is_blank(s->peek, BOOT_CODE);

	if (get_le16(s->peek + BOOT_SIGNATURE) == 0xaa55 && code)
		return NULL;
	if (boot_has_esp(s))
		return BOOT_UEFI_ONLY;
	if (boot_is_blank(s->peek, BIOS_PEEK))
		return "it is blank";
	return code ? "its first sector has no boot signature (55 AA)"
		    : "its first sector has no boot loader";
}

static void boot_give_up(struct bios *s, struct bios_frame *f)
{
	char text[BIOS_REASON_MAX + 80];

	f->ip = boot_bios_entry(BIOS_HEAD_STOP);
	f->cs = BIOS_ROM_SEG;
	if (s->told)
		return;
	s->told = true;
	if (!s->ndrives)
		bios_say(s, "No bootable device: no disk is attached.");
	for (int i = 0; i < s->ndrives; i++) {
		struct bios_drive *d = &s->drive[i];

		snprintf(text, sizeof text, "No bootable device: '%s': %s.",
			 bios_drive(s, d->number) ? d->block->id : "(gone)",
			 d->reason[0] ? d->reason : "its boot loader gave up");
		bios_say(s, text);
		log_info("%s", text);
	}
}

/* ---- Trying ---- */

static void boot_enter(struct bios *s, struct bios_frame *f, u8 number,
		       u16 segment)
{
	*f = (struct bios_frame){
		.edx = number,
		.esp = BOOT_AT,
		.flags = 0x202,
		.cs = segment,
		.ip = segment ? 0 : BOOT_AT,
		.vector = f->vector,
	};
	s->booted = number;
}

/* Begins with the next drive that takes a request; true: there is none. */
static bool boot_try(struct bios *s, struct bios_frame *f)
{
	for (; s->next < s->ndrives; s->next++) {
		struct bios_drive *d = &s->drive[s->next];
		bool cd = !d->heads;

		if (s->strict && d->priority == PRIORITY_NONE) {
			snprintf(d->reason, sizeof d->reason,
				 "-boot strict=on, and neither order= nor "
				 "bootindex= names it");
			continue;
		}
		if (!bios_drive(s, d->number) || !d->block->root) {
			snprintf(d->reason, sizeof d->reason, "no medium");
			continue;
		}
		memset(s->peek, 0, sizeof s->peek);
		s->step = cd ? STEP_RECORD : STEP_PEEK;
		if (bios_submit(s, d, BLOCK_READ,
				cd ? CD_RECORD * BIOS_CD_SECTOR : 0, 0,
				cd ? BIOS_CD_SECTOR
				   : MIN(BIOS_PEEK, d->block->size),
				false))
			return false;
		snprintf(d->reason, sizeof d->reason, "it is too small");
	}
	boot_give_up(s, f);
	return true;
}

static bool boot_next(struct bios *s, struct bios_frame *f, const char *reason)
{
	struct bios_drive *d = &s->drive[s->next++];

	snprintf(d->reason, sizeof d->reason, "%s", reason);
	return boot_try(s, f);
}

bool bios_boot_start(struct bios *s, struct bios_frame *f)
{
	if (f->vector == 0x19) {
		u8 key = (u8)f->ebx;

		f->ebx = 0; /* seen; this call may be made again */
		if (!bios_menu(s, key))
			return false;
		s->next = 0;
	}
	return boot_try(s, f);
}

static bool boot_disk(struct bios *s, struct bios_frame *f)
{
	const char *reason = boot_judge_disk(s);

	if (reason)
		return boot_next(s, f, reason);
	if (mem_write(&s->dev.m->mem, BOOT_AT, s->peek, BIOS_SECTOR) < 0)
		return boot_next(s, f, "no memory");
	boot_enter(s, f, s->drive[s->next++].number, 0);
	return true;
}

/* Asks for another piece of the CD. */
static bool boot_cd_read(struct bios *s, struct bios_frame *f,
			 enum bios_step step, u32 lba, gpa_t at, u32 len)
{
	struct bios_drive *d = &s->drive[s->next];
	bool guest = step == STEP_IMAGE;

	s->step = step;
	if (!bios_drive(s, d->number) ||
	    !bios_submit(s, d, BLOCK_READ, (u64)lba * BIOS_CD_SECTOR, at, len,
			 guest))
		return boot_next(s, f,
				 "its boot catalog names what is not "
				 "there");
	return false;
}

static bool boot_cd_record(struct bios *s, struct bios_frame *f)
{
	const u8 *p = s->peek;

	if (p[0] || memcmp(p + 1, "CD001\1EL TORITO SPECIFICATION", 29))
		return boot_next(s, f, "it has no boot record");
	return boot_cd_read(s, f, STEP_CATALOG, get_le32(p + CD_CATALOG), 0,
			    BIOS_CD_SECTOR);
}

static bool boot_cd_catalog(struct bios *s, struct bios_frame *f)
{
	const u8 *p = s->peek, *entry = p + CD_ENTRY;
	u16 sum = 0;
	gpa_t at;
	u32 len;

	for (u32 i = 0; i < CD_ENTRY; i += 2)
		sum += get_le16(p + i);
	if (p[0] != 1 || get_le16(p + 30) != 0xaa55 || sum)
		return boot_next(s, f, "its boot catalog is damaged");
	if (p[1] == 0xef)
		return boot_next(s, f, BOOT_UEFI_ONLY);
	if (entry[0] != 0x88)
		return boot_next(s, f, "it is not bootable");
	if (entry[1] & 15)
		return boot_next(s, f, "it wants a diskette to be emulated");
	s->load_segment = get_le16(entry + 2);
	if (!s->load_segment)
		s->load_segment = BOOT_AT / 16;
	s->load_count = get_le16(entry + 6);
	s->load_lba = get_le32(entry + 8);
	at = s->load_segment * 16u;
	len = s->load_count * CD_UNIT;
	if (!len || at < 0x600 || at > BOOT_TOP || len > BOOT_TOP - at)
		return boot_next(s, f,
				 "its boot image does not fit into "
				 "memory");
	return boot_cd_read(s, f, STEP_IMAGE, s->load_lba, at, len);
}

bool bios_boot_finish(struct bios *s, struct bios_frame *f, int result)
{
	u16 segment = s->load_segment;

	if (result < 0)
		return boot_next(s, f, strerror(-result));
	switch (s->step) {
	case STEP_PEEK: return boot_disk(s, f);
	case STEP_RECORD: return boot_cd_record(s, f);
	case STEP_CATALOG: return boot_cd_catalog(s, f);
	default:
		boot_enter(s, f, s->drive[s->next++].number,
			   segment == BOOT_AT / 16 ? 0 : segment);
		return true;
	}
}
