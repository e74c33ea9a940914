/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * INT 13h: every drive that has a controller, whichever.
 *
 * Spec: T13 BIOS Enhanced Disk Drive Services 4 (EDD).
 */
#include "devices/bios.h"

#include <errno.h>

#include "lib/bytes.h"
#include "vmm/machine.h"

#define BDA_STATUS 0x474

/* AH. */
#define DISK_OK         0x00
#define DISK_BAD_CALL   0x01
#define DISK_PROTECTED  0x03
#define DISK_NO_SECTOR  0x04
#define DISK_BAD_MEMORY 0x09
#define DISK_FAILED     0x20
#define DISK_NO_MEDIUM  0x31
#define DISK_WRITE      0xcc

#define PACKET_BYTES      16
#define PACKET_LONG_BYTES 24 /* with a 64-bit address */
#define EDD_VERSION       0x30
#define EDD_SUBSETS       0x0005 /* packets, drive parameters */
#define EDD_PARAMS        26
#define EDD_GEOMETRY      0x0002
#define EDD_REMOVABLE     0x0074 /* may change, be locked, have no medium */

static u32 disk_sector(const struct bios_drive *d)
{
	return d->heads ? BIOS_SECTOR : BIOS_CD_SECTOR;
}

static u64 disk_sectors(const struct bios_drive *d)
{
	return d->block->size / disk_sector(d);
}

/* "LBA-assisted": as many heads as are needed for 1024 cylinders. */
void bios_disk_geometry(struct bios_drive *d)
{
	u64 sectors = d->block->size / BIOS_SECTOR;

	d->sectors = 63;
	d->heads = 16;
	while (d->heads < 128 && sectors > (u64)d->heads * 63 * 1024)
		d->heads *= 2;
	if (sectors > (u64)d->heads * 63 * 1024)
		d->heads = 255;
	d->cylinders = (u32)MIN(sectors / (d->heads * 63u), 1024u);
	if (!d->cylinders)
		d->cylinders = 1;
}

static bool disk_answer(struct bios *s, struct bios_frame *f, u8 status)
{
	bios_set_ah(f, status);
	bios_carry(f, status);
	(void)mem_write(&s->dev.m->mem, BDA_STATUS, &status, 1);
	return true;
}

/* Begins; true: it has failed already. */
static bool disk_transfer(struct bios *s, struct bios_drive *d,
			  struct bios_frame *f, enum block_op op, u64 lba,
			  u32 count, gpa_t at)
{
	u32 sector = disk_sector(d);
	u64 sectors = disk_sectors(d);

	if (lba > sectors || count > sectors - lba)
		return disk_answer(s, f, DISK_NO_SECTOR);
	if (op == BLOCK_WRITE && d->block->readonly)
		return disk_answer(s, f, DISK_PROTECTED);
	if (!count)
		return disk_answer(s, f, DISK_OK);
	s->step = STEP_DISK;
	if (!bios_submit(s, d, op, lba * sector, at, (u64)count * sector, true))
		return disk_answer(s, f, DISK_BAD_MEMORY);
	return false;
}

/* 02h, 03h, 04h: cylinder, head, sector. */
static bool disk_chs(struct bios *s, struct bios_drive *d, struct bios_frame *f)
{
	u32 cx = f->ecx & 0xffff, count = f->eax & 0xff;
	u32 cylinder = cx >> 8 | (cx & 0xc0) << 2, sector = cx & 0x3f;
	u32 head = f->edx >> 8 & 0xff;
	u64 lba;

	if (!d->heads || !count || !sector || sector > d->sectors ||
	    head >= d->heads)
		return disk_answer(s, f, DISK_BAD_CALL);
	lba = ((u64)cylinder * d->heads + head) * d->sectors + sector - 1;
	if (bios_ah(f) == 4)
		return disk_answer(s, f,
				   lba + count > disk_sectors(d)
					   ? DISK_NO_SECTOR
					   : DISK_OK);
	return disk_transfer(s, d, f,
			     bios_ah(f) == 3 ? BLOCK_WRITE : BLOCK_READ, lba,
			     count, f->es * 16u + (f->ebx & 0xffff));
}

/* 42h, 43h, 44h, 47h: a packet at DS:SI. */
static bool disk_packet(struct bios *s, struct bios_drive *d,
			struct bios_frame *f)
{
	gpa_t packet = f->ds * 16u + (f->esi & 0xffff), at;
	u8 p[PACKET_LONG_BYTES] = { 0 };
	u64 lba, sectors = disk_sectors(d);
	u32 count;

	if (mem_read(&s->dev.m->mem, packet, p, PACKET_BYTES) < 0 ||
	    p[0] < PACKET_BYTES)
		return disk_answer(s, f, DISK_BAD_CALL);
	count = get_le16(p + 2);
	lba = get_le64(p + 8);
	at = get_le16(p + 6) * 16u + get_le16(p + 4);
	if (p[0] >= PACKET_LONG_BYTES && get_le32(p + 4) == UINT32_MAX) {
		if (mem_read(&s->dev.m->mem, packet, p, sizeof p) < 0)
			return disk_answer(s, f, DISK_BAD_CALL);
		at = get_le64(p + 16);
	}
	switch (bios_ah(f)) {
	case 0x42: return disk_transfer(s, d, f, BLOCK_READ, lba, count, at);
	case 0x43: return disk_transfer(s, d, f, BLOCK_WRITE, lba, count, at);
	default:
		return disk_answer(s, f,
				   lba > sectors || count > sectors - lba
					   ? DISK_NO_SECTOR
					   : DISK_OK);
	}
}

static int disk_count(const struct bios *s)
{
	int n = 0;

	for (int i = 0; i < s->ndrives; i++)
		n += s->drive[i].heads != 0;
	return n;
}

static bool disk_params(struct bios *s, struct bios_drive *d,
			struct bios_frame *f)
{
	u32 last = d->cylinders - 1;

	if (!d->heads)
		return disk_answer(s, f, DISK_BAD_CALL);
	bios_set16(&f->eax, 0);
	bios_set16(&f->ecx,
		   (u16)((last & 0xff) << 8 | (last >> 2 & 0xc0) | d->sectors));
	bios_set16(&f->edx, (u16)((d->heads - 1) << 8 | disk_count(s)));
	return disk_answer(s, f, DISK_OK);
}

static bool disk_type(struct bios *s, struct bios_drive *d,
		      struct bios_frame *f)
{
	u32 n = (u32)MIN(disk_sectors(d), UINT32_MAX);

	bios_set16(&f->ecx, (u16)(n >> 16));
	bios_set16(&f->edx, (u16)n);
	disk_answer(s, f, DISK_OK);
	bios_set_ah(f, 3);
	return true;
}

static bool disk_edd_check(struct bios *s, struct bios_frame *f)
{
	if ((f->ebx & 0xffff) != 0x55aa)
		return disk_answer(s, f, DISK_BAD_CALL);
	disk_answer(s, f, DISK_OK);
	bios_set16(&f->ebx, 0xaa55);
	bios_set16(&f->ecx, EDD_SUBSETS);
	bios_set_ah(f, EDD_VERSION);
	return true;
}

static bool disk_edd_params(struct bios *s, struct bios_drive *d,
			    struct bios_frame *f)
{
	gpa_t at = f->ds * 16u + (f->esi & 0xffff);
	u8 p[EDD_PARAMS] = { 0 };

	if (mem_read(&s->dev.m->mem, at, p, 2) < 0 || get_le16(p) < EDD_PARAMS)
		return disk_answer(s, f, DISK_BAD_CALL);
	put_le16(p, EDD_PARAMS);
	put_le16(p + 2, d->heads ? EDD_GEOMETRY : EDD_REMOVABLE);
	if (d->heads) {
		put_le32(p + 4, d->cylinders);
		put_le32(p + 8, d->heads);
		put_le32(p + 12, d->sectors);
	}
	put_le64(p + 16, disk_sectors(d));
	put_le16(p + 24, (u16)disk_sector(d));
	if (mem_write(&s->dev.m->mem, at, p, sizeof p) < 0)
		return disk_answer(s, f, DISK_BAD_MEMORY);
	return disk_answer(s, f, DISK_OK);
}

/* El Torito 4B00h, 4B01h: from what image the system came; nothing is
 * emulated, so nothing ends. */
static bool disk_emulation(struct bios *s, struct bios_frame *f)
{
	u8 p[19] = { sizeof p, 0, s->booted };

	if (s->booted < BIOS_CD || (f->eax & 0xff) > 1)
		return disk_answer(s, f, DISK_BAD_CALL);
	put_le32(p + 4, s->load_lba);
	put_le16(p + 12, s->load_segment);
	put_le16(p + 14, s->load_count);
	if (mem_write(&s->dev.m->mem, f->ds * 16u + (f->esi & 0xffff), p,
		      sizeof p) < 0)
		return disk_answer(s, f, DISK_BAD_MEMORY);
	return disk_answer(s, f, DISK_OK);
}

static bool disk_last_status(struct bios *s, struct bios_frame *f)
{
	u8 status = 0;

	(void)mem_read(&s->dev.m->mem, BDA_STATUS, &status, 1);
	bios_set_ah(f, status);
	bios_carry(f, status);
	return true;
}

bool bios_disk_start(struct bios *s, struct bios_frame *f)
{
	struct bios_drive *d = bios_drive(s, (u8)f->edx);
	u8 ah = bios_ah(f);

	if (ah == 0x01)
		return disk_last_status(s, f);
	if (ah == 0x4b)
		return disk_emulation(s, f);
	if (!d)
		return disk_answer(s, f, ah == 0x08 ? 0x07 : DISK_BAD_CALL);
	if (!d->block->root)
		return disk_answer(s, f, DISK_NO_MEDIUM);
	switch (ah) {
	case 0x00: /* reset; recalibrate; and so on: nothing moves */
	case 0x09:
	case 0x0c:
	case 0x0d:
	case 0x10:
	case 0x11:
	case 0x14:
	case 0x45:
	case 0x4e: return disk_answer(s, f, DISK_OK);
	case 0x02:
	case 0x03:
	case 0x04: return disk_chs(s, d, f);
	case 0x08: return disk_params(s, d, f);
	case 0x15: return disk_type(s, d, f);
	case 0x41: return disk_edd_check(s, f);
	case 0x42:
	case 0x43:
	case 0x44:
	case 0x47: return disk_packet(s, d, f);
	case 0x48: return disk_edd_params(s, d, f);
	default: return disk_answer(s, f, DISK_BAD_CALL);
	}
}

void bios_disk_finish(struct bios *s, struct bios_frame *f, int result)
{
	u8 status = result == 0            ? DISK_OK
		    : result == -ENOMEDIUM ? DISK_NO_MEDIUM
		    : result == -EACCES    ? DISK_PROTECTED
		    : result == -EINVAL    ? DISK_NO_SECTOR
		    : s->op == BLOCK_WRITE ? DISK_WRITE
					   : DISK_FAILED;
	gpa_t count = f->ds * 16u + (f->esi & 0xffff) + 2;

	if (status && bios_ah(f) >= 0x42)
		(void)mem_fill(&s->dev.m->mem, count, 0, 2);
	disk_answer(s, f, status);
}
