/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ide-cd: a CD or DVD drive with a tray, which reads 2048-byte sectors.
 *
 * The monitor's change and eject move the tray; a guest that has locked it is
 * asked to let go (GET EVENT STATUS NOTIFICATION).
 *
 * Spec: ATA/ATAPI-6 (T13 1410D) 9.8 "PACKET"; SPC-3; MMC-5.
 * Locking: machine_lock.
 */
#include <errno.h>
#include <string.h>

#include "devices/ide.h"
#include "lib/buf.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "vmm/drive_error.h"
#include "vmm/event.h"

#define CD_SECTOR      2048u
#define CD_LBA_MAX     (80u * 60 * 75) /* above: a DVD */
#define CD_PROFILE_CD  0x0008
#define CD_PROFILE_DVD 0x0010

/* Interrupt reason: the count register of a packet device. */
#define REASON_COMMAND 0x01
#define REASON_IN      0x02

#define FEATURE_DMA 0x01

enum {
	CMD_PACKET = 0xa0,
	CMD_IDENTIFY_PACKET = 0xa1,
	CMD_IDENTIFY = 0xec,
	CMD_FLUSH = 0xe7,
	CMD_READ = 0x20,
};

/* Sense keys, and what goes with them. */
#define NOT_READY       0x2
#define MEDIUM_ERROR    0x3
#define ILLEGAL_REQUEST 0x5
#define UNIT_ATTENTION  0x6
#define ABORTED         0xb

#define ASC_READ_ERROR 0x11
#define ASC_COMMAND    0x20
#define ASC_RANGE      0x21
#define ASC_FIELD      0x24
#define ASC_CHANGED    0x28
#define ASC_NO_MEDIUM  0x3a
#define ASC_LOCKED     0x53

/* ---- Ends ---- */

static bool cd_loaded(const struct ide_unit *u)
{
	return u->drive->root && !u->tray_open;
}

static u32 cd_sectors(const struct ide_unit *u)
{
	return (u32)MIN(u->drive->size / CD_SECTOR, (u64)UINT32_MAX);
}

static void cd_ok(struct ide_unit *u)
{
	u->reg[IDE_COUNT] = REASON_COMMAND | REASON_IN;
	u->sense_key = u->asc = u->ascq = 0;
	ide_done(u);
}

static void cd_fail(struct ide_unit *u, u8 key, u8 asc, u8 ascq)
{
	u->reg[IDE_COUNT] = REASON_COMMAND | REASON_IN;
	u->sense_key = key;
	u->asc = asc;
	u->ascq = ascq;
	ide_abort(u, (u8)(key << 4 | (key == ABORTED ? ATA_ABRT : 0)));
}

static void cd_bad_field(struct ide_unit *u)
{
	cd_fail(u, ILLEGAL_REQUEST, ASC_FIELD, 0);
}

static void cd_no_medium(struct ide_unit *u)
{
	/* 01: tray closed, 02: open */
	cd_fail(u, NOT_READY, ASC_NO_MEDIUM, u->tray_open ? 2 : 1);
}

static void cd_read_failed(struct ide_unit *u, int error)
{
	if (error == -ENOMEDIUM)
		cd_no_medium(u);
	else
		cd_fail(u, MEDIUM_ERROR, ASC_READ_ERROR, 0);
}

/* ---- Data to the guest ---- */

static void cd_pio(struct ide_unit *u);

static void cd_pio_ready(struct ide_unit *u, int result)
{
	if (result < 0) {
		cd_read_failed(u, result);
		return;
	}
	u->loaded = (u32)MIN(u->left, (u64)IDE_BUFFER);
	u->taken = 0;
	u->offset += u->loaded;
	u->left -= u->loaded;
	cd_pio(u);
}

/* The next piece through the data register: at most what the guest wants at
 * once, and an even number but for the last. */
static void cd_pio(struct ide_unit *u)
{
	u32 limit = u->limit, n = u->loaded - u->taken;

	if (!n && !u->left) {
		cd_ok(u);
		return;
	}
	if (!n) {
		ide_submit_buffer(u, BLOCK_READ,
				  (u32)MIN(u->left, (u64)IDE_BUFFER), u->offset,
				  cd_pio_ready);
		return;
	}
	n = MIN(n, limit);
	u->reg[IDE_COUNT] = REASON_IN;
	u->reg[IDE_LBA_MID] = (u8)n;
	u->reg[IDE_LBA_HIGH] = (u8)(n >> 8);
	ide_data_in(u, u->taken, n, cd_pio);
	u->taken += n;
	ide_interrupt(u);
}

static void cd_reply_dma(struct ide_unit *u)
{
	if (!ide_dma_give(u, u->loaded))
		return;
	ide_dma_over(u);
	cd_ok(u);
}

/* The start of the buffer is the answer; the guest wants at most `wanted`. */
static void cd_reply(struct ide_unit *u, u32 bytes, u32 wanted)
{
	u->loaded = MIN(bytes, wanted);
	u->taken = 0;
	u->left = 0;
	if (!u->loaded)
		cd_ok(u);
	else if (u->reg[IDE_FEATURE] & FEATURE_DMA)
		ide_dma_wait(u, cd_reply_dma);
	else
		cd_pio(u);
}

static void cd_dma_next(struct ide_unit *u);

static void cd_dma_ready(struct ide_unit *u, int result)
{
	if (result < 0) {
		cd_read_failed(u, result);
		return;
	}
	ide_dma_written(u);
	u->offset += u->chunk;
	u->left -= u->chunk;
	cd_dma_next(u);
}

static void cd_dma_next(struct ide_unit *u)
{
	int niov;
	s64 n;

	if (!u->left) {
		ide_dma_over(u);
		cd_ok(u);
		return;
	}
	n = ide_dma_map(u, u->left, true, &niov);
	if (n < 0)
		return;
	if (!n) {
		ide_dma_short(u);
		return;
	}
	u->chunk = (u64)n;
	ide_submit(u, BLOCK_READ, niov, u->offset, cd_dma_ready);
}

static void cd_read(struct ide_unit *u, u32 lba, u32 count)
{
	u32 total = cd_sectors(u);

	if (lba > total || count > total - lba) {
		cd_fail(u, ILLEGAL_REQUEST, ASC_RANGE, 0);
		return;
	}
	u->offset = (u64)lba * CD_SECTOR;
	u->left = (u64)count * CD_SECTOR;
	u->loaded = u->taken = 0;
	if (!u->left)
		cd_ok(u);
	else if (u->reg[IDE_FEATURE] & FEATURE_DMA)
		ide_dma_wait(u, cd_dma_next);
	else
		cd_pio(u);
}

/* ---- Packet commands ---- */

static void cd_test_unit_ready(struct ide_unit *u)
{
	cd_ok(u);
}

static void cd_request_sense(struct ide_unit *u)
{
	u32 wanted = u->packet[4];
	u8 *d = u->buffer;

	if (!u->sense_key && u->attention) {
		u->sense_key = UNIT_ATTENTION;
		u->asc = ASC_CHANGED;
		u->attention = false;
	}
	memset(d, 0, 18);
	d[0] = 0x70; /* of the last command, fixed format */
	d[2] = u->sense_key;
	d[7] = 10; /* bytes behind */
	d[12] = u->asc;
	d[13] = u->ascq;
	cd_reply(u, 18, wanted);
}

static void cd_pad(u8 *at, const char *text, u32 bytes)
{
	size_t len = strnlen(text, bytes);

	memset(at, ' ', bytes);
	memcpy(at, text, len);
}

static void cd_inquiry(struct ide_unit *u)
{
	u8 *d = u->buffer;

	if (u->packet[1] & 1) { /* no pages of vital product data */
		cd_bad_field(u);
		return;
	}
	memset(d, 0, 36);
	d[0] = 0x05; /* CD or DVD */
	d[1] = 0x80; /* removable */
	d[3] = 0x21; /* ATAPI-2, answer as in SPC */
	d[4] = 31;
	cd_pad(d + 8, "QEMU", 8);
	cd_pad(d + 16, u->model, 16);
	cd_pad(d + 32, u->version, 4);
	cd_reply(u, 36, get_be16(u->packet + 3));
}

static void cd_read_capacity(struct ide_unit *u)
{
	u32 total = cd_sectors(u);

	put_be32(u->buffer, total ? total - 1 : 0);
	put_be32(u->buffer + 4, CD_SECTOR);
	cd_reply(u, 8, 8);
}

static void cd_read_10(struct ide_unit *u)
{
	cd_read(u, get_be32(u->packet + 2), get_be16(u->packet + 7));
}

static void cd_read_12(struct ide_unit *u)
{
	cd_read(u, get_be32(u->packet + 2), get_be32(u->packet + 6));
}

/* READ CD: user data only. */
static void cd_read_cd(struct ide_unit *u)
{
	u32 count = get_be32(u->packet + 5) & 0xffffff;

	switch (u->packet[9] & 0xf8) {
	case 0x00: cd_ok(u); break;
	case 0x10: cd_read(u, get_be32(u->packet + 2), count); break;
	default: cd_bad_field(u); break;
	}
}

static void cd_seek(struct ide_unit *u)
{
	if (get_be32(u->packet + 2) >= cd_sectors(u))
		cd_fail(u, ILLEGAL_REQUEST, ASC_RANGE, 0);
	else
		cd_ok(u);
}

/* An address of the table of contents. */
static void cd_toc_address(u8 *at, u32 lba, bool msf)
{
	if (!msf) {
		put_be32(at, lba);
		return;
	}
	lba += 150; /* the lead-in, two seconds */
	at[0] = 0;
	at[1] = (u8)(lba / 75 / 60);
	at[2] = (u8)(lba / 75 % 60);
	at[3] = (u8)(lba % 75);
}

/* One session with one track of data. */
static void cd_read_toc(struct ide_unit *u)
{
	u32 wanted = get_be16(u->packet + 7), len = 4;
	bool msf = u->packet[1] & 2;
	u8 format = u->packet[2] & 15, first = u->packet[6], *d = u->buffer;

	if (!format)
		format = u->packet[9] >> 6; /* as older drives have it */
	if (format > 1 || (first > 1 && first != 0xaa)) {
		cd_bad_field(u);
		return;
	}
	memset(d, 0, 20);
	d[2] = d[3] = 1; /* first and last track, or session */
	if (format == 1 || first <= 1) {
		d[len + 1] = 0x14; /* data */
		d[len + 2] = 1;
		cd_toc_address(d + len + 4, 0, msf);
		len += 8;
	}
	if (format == 0) {
		d[len + 1] = 0x16;
		d[len + 2] = 0xaa; /* lead-out */
		cd_toc_address(d + len + 4, cd_sectors(u), msf);
		len += 8;
	}
	put_be16(d, (u16)(len - 2));
	cd_reply(u, len, wanted);
}

static void cd_read_disc_information(struct ide_unit *u)
{
	u8 *d = u->buffer;

	if (u->packet[1] & 7) {
		cd_bad_field(u);
		return;
	}
	memset(d, 0, 34);
	d[1] = 32;
	d[2] = 0x0e; /* complete, last session complete */
	d[3] = d[4] = d[5] = d[6] = 1;
	d[7] = 0x20; /* for unrestricted use */
	cd_reply(u, 34, get_be16(u->packet + 7));
}

/* MMC-5 "CD/DVD Capabilities and Mechanical Status Page". */
static u32 cd_page_mechanism(const struct ide_unit *u, u8 *d)
{
	memset(d, 0, 22);
	d[0] = 0x2a;
	d[1] = 20;
	d[2] = 0x3b; /* reads CD-R, CD-RW, DVD-ROM, DVD-R, DVD-RAM */
	d[4] = 0x70; /* mode 2 forms, sessions */
	d[6] = (u8)(0x29 | (u->locked ? 2 : 0)); /* tray, eject, lock */
	put_be16(d + 8, 706);                    /* KB/s: 4 times a CD's */
	put_be16(d + 10, 2);
	put_be16(d + 12, 512); /* KiB of buffer */
	put_be16(d + 14, 706);
	return 22;
}

static u32 cd_page_errors(u8 *d)
{
	memset(d, 0, 8);
	d[0] = 0x01;
	d[1] = 6;
	d[3] = 5; /* retries */
	return 8;
}

static u32 cd_page_audio(u8 *d)
{
	memset(d, 0, 16);
	d[0] = 0x0e;
	d[1] = 14;
	return 16;
}

static void cd_mode_sense(struct ide_unit *u)
{
	bool ten = u->packet[0] == 0x5a;
	u32 head = ten ? 8 : 4, len = head;
	u8 page = u->packet[2] & 0x3f, *d = u->buffer;

	if (u->packet[2] >> 6 == 3) { /* saved values */
		cd_fail(u, ILLEGAL_REQUEST, 0x39, 0);
		return;
	}
	memset(d, 0, head);
	if (page == 0x01 || page == 0x3f)
		len += cd_page_errors(d + len);
	if (page == 0x0e || page == 0x3f)
		len += cd_page_audio(d + len);
	if (page == 0x2a || page == 0x3f)
		len += cd_page_mechanism(u, d + len);
	if (len == head) {
		cd_bad_field(u);
		return;
	}
	if (ten)
		put_be16(d, (u16)(len - 2));
	else
		d[0] = (u8)(len - 1);
	d[ten ? 2 : 1] = cd_loaded(u) ? 0x01 : 0x70; /* data disc, none */
	cd_reply(u, len, ten ? get_be16(u->packet + 7) : u->packet[4]);
}

static void cd_get_configuration(struct ide_unit *u)
{
	u16 now = 0;
	u8 *d = u->buffer;

	if ((u->packet[1] & 3) == 3) {
		cd_bad_field(u);
		return;
	}
	if (cd_loaded(u))
		now = cd_sectors(u) > CD_LBA_MAX ? CD_PROFILE_DVD
						 : CD_PROFILE_CD;
	memset(d, 0, 48);
	put_be16(d + 6, now);
	d[8 + 2] = 0x03; /* feature 0, the profiles: here always */
	d[8 + 3] = 8;
	put_be16(d + 12, CD_PROFILE_DVD);
	d[14] = now == CD_PROFILE_DVD;
	put_be16(d + 16, CD_PROFILE_CD);
	d[18] = now == CD_PROFILE_CD;
	d[20 + 1] = 0x01; /* feature 1, the core */
	d[20 + 2] = 0x0b;
	d[20 + 3] = 8;
	put_be32(d + 24, 2); /* ATAPI */
	d[28] = 1;           /* tells of events by GET EVENT STATUS */
	d[32 + 1] = 0x03;    /* feature 3, removable medium */
	d[32 + 2] = 0x03;
	d[32 + 3] = 4;
	d[36] = 0x29; /* tray, eject, lock */
	put_be32(d, 40 - 4);
	cd_reply(u, 40, get_be16(u->packet + 7));
}

/* Media events only; polled, as all drives have it. */
static void cd_get_event_status(struct ide_unit *u)
{
	u8 *d = u->buffer, code = 0;

	if (!(u->packet[1] & 1)) { /* asynchronous */
		cd_bad_field(u);
		return;
	}
	memset(d, 0, 8);
	d[3] = 1 << 4; /* classes there are: media */
	if (!(u->packet[4] & 1 << 4)) {
		put_be16(d, 2);
		d[2] = 0x80; /* none of those wanted */
		cd_reply(u, 4, get_be16(u->packet + 7));
		return;
	}
	if (u->eject_asked)
		code = 1;
	else if (u->new_medium)
		code = 2;
	u->eject_asked = u->new_medium = false;
	put_be16(d, 6);
	d[2] = 4; /* media */
	d[4] = code;
	d[5] = (u8)((u->tray_open ? 1 : 0) | (cd_loaded(u) ? 2 : 0));
	cd_reply(u, 8, get_be16(u->packet + 7));
}

static void cd_mechanism_status(struct ide_unit *u)
{
	memset(u->buffer, 0, 8);
	u->buffer[1] = u->tray_open ? 0x10 : 0;
	u->buffer[5] = 1; /* slots */
	cd_reply(u, 8, get_be16(u->packet + 8));
}

/* ---- The tray ---- */

static void cd_move_tray(struct ide_unit *u, bool open)
{
	const struct event_value v[] = {
		{ .text = u->drive->id },
		{ .text = u->dev.id ? u->dev.id : u->dev.path },
		{ .num = open },
	};

	if (u->tray_open == open)
		return;
	u->tray_open = open;
	u->eject_asked = false;
	u->new_medium = u->attention = !open && u->drive->root;
	event_send(u->dev.m, EVENT_DEVICE_TRAY_MOVED, v);
}

static void cd_start_stop(struct ide_unit *u)
{
	u8 what = u->packet[4];

	if (what >> 4 || !(what & 2)) { /* power, or no tray to move */
		cd_ok(u);
		return;
	}
	if (!(what & 1) && u->locked) {
		cd_fail(u, cd_loaded(u) ? NOT_READY : ILLEGAL_REQUEST,
			ASC_LOCKED, 2);
		return;
	}
	cd_move_tray(u, !(what & 1));
	cd_ok(u);
}

static void cd_prevent_allow(struct ide_unit *u)
{
	u->locked = u->packet[4] & 1;
	cd_ok(u);
}

/* ---- Which command ---- */

#define CD_ATTENTION 0x01 /* also while there is something to tell first */
#define CD_MEDIUM    0x02 /* only with a medium */

static const struct cd_row {
	u8 op, flags;
	void (*run)(struct ide_unit *u);
} cd_rows[] = {
	{ 0x00, CD_MEDIUM, cd_test_unit_ready },
	{ 0x03, CD_ATTENTION, cd_request_sense },
	{ 0x12, CD_ATTENTION, cd_inquiry },
	{ 0x1a, 0, cd_mode_sense },
	{ 0x1b, 0, cd_start_stop },
	{ 0x1e, 0, cd_prevent_allow },
	{ 0x25, CD_MEDIUM, cd_read_capacity },
	{ 0x28, CD_MEDIUM, cd_read_10 },
	{ 0x2b, CD_MEDIUM, cd_seek },
	{ 0x43, CD_MEDIUM, cd_read_toc },
	{ 0x46, CD_ATTENTION, cd_get_configuration },
	{ 0x4a, CD_ATTENTION, cd_get_event_status },
	{ 0x51, CD_MEDIUM, cd_read_disc_information },
	{ 0x5a, 0, cd_mode_sense },
	{ 0xa8, CD_MEDIUM, cd_read_12 },
	{ 0xbb, 0, cd_ok }, /* SET CD SPEED */
	{ 0xbd, 0, cd_mechanism_status },
	{ 0xbe, CD_MEDIUM, cd_read_cd },
};

static void cd_packet(struct ide_unit *u)
{
	const struct cd_row *row = NULL;

	memcpy(u->packet, u->buffer, sizeof u->packet);
	for (size_t i = 0; i < ARRAY_SIZE(cd_rows); i++)
		if (cd_rows[i].op == u->packet[0])
			row = &cd_rows[i];
	if (!row) {
		cd_fail(u, ILLEGAL_REQUEST, ASC_COMMAND, 0);
	} else if (u->attention && !(row->flags & CD_ATTENTION)) {
		u->attention = false;
		cd_fail(u, UNIT_ATTENTION, ASC_CHANGED, 0);
	} else if (row->flags & CD_MEDIUM && !cd_loaded(u)) {
		cd_no_medium(u);
	} else {
		row->run(u);
	}
}

static void cd_packet_wanted(struct ide_unit *u)
{
	u32 limit = u->reg[IDE_LBA_MID] | (u32)u->reg[IDE_LBA_HIGH] << 8;

	u->limit = limit ? MAX(limit & 0xfffe, 2u) : 0xfffe;
	u->reg[IDE_COUNT] = REASON_COMMAND;
	ide_data_out(u, sizeof u->packet, cd_packet);
}

static void cd_idle(struct ide_unit *u)
{
	u->status = u->kind->ready;
}

/* ATA-6 8.16. */
static void cd_identify(struct ide_unit *u)
{
	u8 *d = u->buffer;

	memset(d, 0, IDE_SECTOR);
	put_le16(d, 0x85c0); /* CD, removable, DRQ at once, 12-byte packets */
	ide_identify_text(d + 20, u->serial, 20);
	ide_identify_text(d + 46, u->version, 8);
	ide_identify_text(d + 54, u->model, 40);
	put_le16(d + 96, 1);
	put_le16(d + 98, 0x0b00); /* IORDY, LBA, DMA */
	put_le16(d + 106, 3);     /* words 54 to 58 and 64 to 70 are valid */
	ide_identify_modes(u, d);
	put_le16(d + 142, 30); /* ns to the packet and to the bus release */
	put_le16(d + 144, 30);
	put_le16(d + 160, 0x001e); /* ATA/ATAPI-1 to 4 */
	ide_data_in(u, 0, IDE_SECTOR, cd_idle);
	ide_interrupt(u);
}

static void cd_command(struct ide_unit *u, u8 command)
{
	switch (command) {
	case CMD_PACKET: cd_packet_wanted(u); return;
	case CMD_IDENTIFY_PACKET: cd_identify(u); return;
	case CMD_FLUSH: ide_done(u); return;
	case CMD_IDENTIFY:
	case CMD_READ: /* who asks for a disk sees what it is */
		ide_signature(u);
		ide_abort(u, ATA_ABRT);
		return;
	}
	if (!ide_common_command(u, command))
		ide_abort(u, ATA_ABRT);
}

static void cd_reset(struct ide_unit *u)
{
	u->sense_key = u->asc = u->ascq = 0;
	u->locked = u->attention = u->new_medium = u->eject_asked = false;
	u->tray_open = false;
}

static const struct ide_kind cd_kind = {
	.signature_mid = 0x14,
	.signature_high = 0xeb,
	.ready = ATA_DRDY,
	.command = cd_command,
	.reset = cd_reset,
};

/* ---- For the monitor ---- */

static bool cd_is_locked(void *opaque)
{
	return ((struct ide_unit *)opaque)->locked;
}

static bool cd_is_open(void *opaque)
{
	return ((struct ide_unit *)opaque)->tray_open;
}

static void cd_ask_eject(void *opaque)
{
	((struct ide_unit *)opaque)->eject_asked = true;
}

static void cd_set_tray(void *opaque, bool open)
{
	struct ide_unit *u = opaque;

	if (open)
		u->locked = false;
	cd_move_tray(u, open);
}

static const struct block_tray cd_tray = {
	.locked = cd_is_locked,
	.open = cd_is_open,
	.ask = cd_ask_eject,
	.move = cd_set_tray,
};

static const struct block_front cd_front = {
	.path = ide_path,
	.firmware_path = ide_firmware_path,
	.tray = &cd_tray,
};

static int cd_init(struct device *dev, struct err *err)
{
	struct ide_unit *u = (struct ide_unit *)dev;
	int r = ide_unit_init(u, &cd_kind, &cd_front, err);

	if (r == 0)
		block_set_cdrom(u->drive);
	return r;
}

static void cd_fini(struct device *dev)
{
	ide_unit_fini((struct ide_unit *)dev);
}

static void cd_info(struct device *dev, struct buf *out)
{
	struct ide_unit *u = (struct ide_unit *)dev;

	ide_unit_info(dev, out);
	buf_printf(out, "tray %s, %slocked, sense %x/%02x/%02x\n",
		   u->tray_open ? "open" : "closed", u->locked ? "" : "not ",
		   u->sense_key, u->asc, u->ascq);
}

static const struct option_row cd_options[] = {
	IDE_ROW("drive", opt_drive, drive, NULL,
		"id of the -drive; without one the tray is empty", NULL),
	IDE_OPTION_ROWS("QEMU DVD-ROM"),
	OPTION_END,
};

static const struct state_field cd_state[] = {
	IDE_STATE_ROWS,
	STATE_(STATE_U8, struct ide_unit, sense_key),
	STATE_(STATE_U8, struct ide_unit, asc),
	STATE_(STATE_U8, struct ide_unit, ascq),
	STATE_(STATE_BOOL, struct ide_unit, locked),
	STATE_(STATE_BOOL, struct ide_unit, tray_open),
	STATE_(STATE_BOOL, struct ide_unit, attention),
	STATE_(STATE_BOOL, struct ide_unit, new_medium),
	STATE_(STATE_BOOL, struct ide_unit, eject_asked),
	STATE_END,
};

const struct device_class ide_cd_class = {
	.name = "ide-cd",
	.desc = "CD or DVD drive on an IDE controller",
	.bus = BUS_IDE,
	.group = DEVICE_STORAGE,
	.size = sizeof(struct ide_unit),
	.user = true,
	.options = cd_options,
	.state = cd_state,
	.init = cd_init,
	.reset = ide_unit_reset,
	.fini = cd_fini,
	.info = cd_info,
	.bus_name = ide_unit_bus,
	.loaded = ide_unit_loaded,
};
