/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ide-hd: an ATA disk.
 *
 * Spec: ATA/ATAPI-6 (T13 1410D), the clauses of chapter 8.
 * Locking: machine_lock.
 */
#include <errno.h>
#include <string.h>

#include "devices/ide.h"
#include "lib/alloc.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "vmm/drive_error.h"

#define HD_HEADS    16
#define HD_SECTORS  63
#define HD_CYLS_MAX 16383
#define HD_LBA28    0x0fffffffull
#define HD_LBA48    0xffffffffffffull

enum {
	CMD_RECALIBRATE = 0x10,
	CMD_VERIFY = 0x40,
	CMD_VERIFY_ONCE = 0x41,
	CMD_VERIFY_EXT = 0x42,
	CMD_SEEK = 0x70,
	CMD_SET_PARAMETERS = 0x91,
	CMD_SET_MULTIPLE = 0xc6,
	CMD_FLUSH = 0xe7,
	CMD_FLUSH_EXT = 0xea,
	CMD_IDENTIFY = 0xec,
	CMD_NATIVE_MAX = 0xf8,
	CMD_NATIVE_MAX_EXT = 0x27,
};

/* Commands that move sectors. */
#define HD_EXT      0x01 /* 48-bit addresses */
#define HD_WRITE    0x02
#define HD_MULTIPLE 0x04
#define HD_DMA      0x08
#define HD_FUA      0x10

static const struct hd_move {
	u8 command, flags;
} hd_moves[] = {
	{ 0x20, 0 },
	{ 0x21, 0 },
	{ 0x24, HD_EXT },
	{ 0x25, HD_EXT | HD_DMA },
	{ 0x29, HD_EXT | HD_MULTIPLE },
	{ 0x30, HD_WRITE },
	{ 0x31, HD_WRITE },
	{ 0x34, HD_WRITE | HD_EXT },
	{ 0x35, HD_WRITE | HD_EXT | HD_DMA },
	{ 0x39, HD_WRITE | HD_EXT | HD_MULTIPLE },
	{ 0x3d, HD_WRITE | HD_EXT | HD_DMA | HD_FUA },
	{ 0xc4, HD_MULTIPLE },
	{ 0xc5, HD_WRITE | HD_MULTIPLE },
	{ 0xc8, HD_DMA },
	{ 0xc9, HD_DMA },
	{ 0xca, HD_WRITE | HD_DMA },
	{ 0xcb, HD_WRITE | HD_DMA },
	{ 0xce, HD_WRITE | HD_EXT | HD_MULTIPLE | HD_FUA },
};

/* ---- Addresses ---- */

static u64 hd_sectors(const struct ide_unit *u)
{
	return MIN(u->drive->size / IDE_SECTOR, HD_LBA48);
}

static u64 hd_address(const struct ide_unit *u, bool ext)
{
	const u8 *r = u->reg, *p = u->previous;
	u32 low = (u32)r[IDE_LBA_HIGH] << 16 | (u32)r[IDE_LBA_MID] << 8 |
		  r[IDE_LBA_LOW];

	if (ext)
		return (u64)p[IDE_LBA_HIGH] << 40 | (u64)p[IDE_LBA_MID] << 32 |
		       (u64)p[IDE_LBA_LOW] << 24 | low;
	if (r[IDE_DEVICE] & IDE_DEVICE_LBA)
		return (u32)(r[IDE_DEVICE] & 15) << 24 | low;
	if (!r[IDE_LBA_LOW]) /* sectors of a track begin with 1 */
		return UINT64_MAX;
	return ((low >> 8) * (u64)u->heads + (r[IDE_DEVICE] & 15)) * u->secs +
	       r[IDE_LBA_LOW] - 1;
}

static void hd_set_address(struct ide_unit *u, u64 lba, bool ext)
{
	for (int i = 0; i < 3; i++) {
		u->reg[IDE_LBA_LOW + i] = (u8)(lba >> 8 * i);
		if (ext)
			u->previous[IDE_LBA_LOW + i] =
				(u8)(lba >> (24 + 8 * i));
	}
	if (!ext)
		u->reg[IDE_DEVICE] =
			(u8)((u->reg[IDE_DEVICE] & 0xf0) | (lba >> 24 & 15));
}

/* The range of the registers; false: the command was aborted. */
static bool hd_range(struct ide_unit *u, bool ext)
{
	u64 at = hd_address(u, ext), total = hd_sectors(u);
	u32 count = u->reg[IDE_COUNT];

	if (ext)
		count |= (u32)u->previous[IDE_COUNT] << 8;
	if (!count)
		count = ext ? 65536 : 256;
	if (at > total || count > total - at) {
		ide_abort(u, ATA_IDNF | ATA_ABRT);
		return false;
	}
	u->offset = at * IDE_SECTOR;
	u->left = (u64)count * IDE_SECTOR;
	return true;
}

/* ---- Moving sectors ---- */

static void hd_moved(struct ide_unit *u, u64 bytes)
{
	u->offset += bytes;
	u->left -= bytes;
}

/* At the end of a command that writes. */
static void hd_write_over(struct ide_unit *u, int result)
{
	if (result < 0)
		ide_abort(u, ATA_ABRT);
	else
		ide_done(u);
}

static void hd_written(struct ide_unit *u)
{
	if (u->fua && u->drive->write_cache)
		ide_submit(u, BLOCK_FLUSH, 0, 0, hd_write_over);
	else
		ide_done(u);
}

static u32 hd_block_bytes(const struct ide_unit *u)
{
	return (u32)MIN(u->left, (u64)u->block * IDE_SECTOR);
}

static void hd_read_next(struct ide_unit *u);
static void hd_write_next(struct ide_unit *u);

static void hd_read_moved(struct ide_unit *u)
{
	if (u->left)
		hd_read_next(u);
	else
		u->status = u->kind->ready; /* without an interrupt */
}

static void hd_read_ready(struct ide_unit *u, int result)
{
	u32 bytes = hd_block_bytes(u);

	if (result < 0) {
		ide_abort(u, ATA_UNC);
		return;
	}
	hd_moved(u, bytes);
	ide_data_in(u, 0, bytes, hd_read_moved);
	ide_interrupt(u);
}

static void hd_read_next(struct ide_unit *u)
{
	ide_submit_buffer(u, BLOCK_READ, hd_block_bytes(u), u->offset,
			  hd_read_ready);
}

static void hd_write_ready(struct ide_unit *u, int result)
{
	if (result < 0) {
		ide_abort(u, ATA_ABRT);
		return;
	}
	hd_moved(u, hd_block_bytes(u));
	if (!u->left) {
		hd_written(u);
		return;
	}
	hd_write_next(u);
	ide_interrupt(u);
}

static void hd_write_moved(struct ide_unit *u)
{
	ide_submit_buffer(u, BLOCK_WRITE, hd_block_bytes(u), u->offset,
			  hd_write_ready);
}

static void hd_write_next(struct ide_unit *u)
{
	ide_data_out(u, hd_block_bytes(u), hd_write_moved);
}

static void hd_dma_next(struct ide_unit *u);

static void hd_dma_ready(struct ide_unit *u, int result)
{
	if (result < 0) {
		ide_abort(u, u->to_guest ? ATA_UNC : ATA_ABRT);
		return;
	}
	if (u->to_guest)
		ide_dma_written(u);
	hd_moved(u, u->chunk);
	hd_dma_next(u);
}

static void hd_dma_next(struct ide_unit *u)
{
	int niov;
	s64 n;

	if (!u->left) {
		ide_dma_over(u);
		if (u->to_guest)
			ide_done(u);
		else
			hd_written(u);
		return;
	}
	n = ide_dma_map(u, u->left, u->to_guest, &niov);
	if (n < 0)
		return;
	if (!n) {
		ide_dma_short(u);
		return;
	}
	u->chunk = (u64)n;
	ide_submit(u, u->to_guest ? BLOCK_READ : BLOCK_WRITE, niov, u->offset,
		   hd_dma_ready);
}

static void hd_move(struct ide_unit *u, u8 flags)
{
	u->block = flags & HD_MULTIPLE ? u->multiple : 1;
	u->fua = flags & HD_FUA;
	u->to_guest = !(flags & HD_WRITE);
	if (!u->block) {
		ide_abort(u, ATA_ABRT);
		return;
	}
	if (!hd_range(u, flags & HD_EXT))
		return;
	if (flags & HD_DMA)
		ide_dma_wait(u, hd_dma_next);
	else if (flags & HD_WRITE)
		hd_write_next(u); /* the first block without an interrupt */
	else
		hd_read_next(u);
}

/* ---- Other commands ---- */

static void hd_idle(struct ide_unit *u)
{
	u->status = u->kind->ready;
}

/* ATA-6 8.15, by words. */
static void hd_identify(struct ide_unit *u)
{
	u64 sectors = hd_sectors(u), chs;
	u16 cyls = (u16)MIN(sectors / (HD_HEADS * HD_SECTORS), HD_CYLS_MAX);
	u8 *d = u->buffer;

#define WORD(n, value) put_le16(d + 2 * (n), (u16)(value))
	memset(d, 0, IDE_SECTOR);
	WORD(0, 0x0040); /* fixed */
	WORD(1, cyls);
	WORD(3, HD_HEADS);
	WORD(6, HD_SECTORS);
	ide_identify_text(d + 20, u->serial, 20);
	ide_identify_text(d + 46, u->version, 8);
	ide_identify_text(d + 54, u->model, 40);
	WORD(47, 0x8000 | IDE_MULTIPLE_MAX);
	WORD(48, 1);      /* 32-bit data register */
	WORD(49, 0x0b00); /* IORDY, LBA, DMA */
	WORD(50, 0x4000);
	WORD(51, 0x0200);
	WORD(52, 0x0200);
	WORD(53, 0x0007); /* words 54 to 58, 64 to 70, 88 are valid */
	WORD(54, u->secs && u->heads
			 ? MIN(sectors / (u->heads * u->secs), HD_CYLS_MAX)
			 : 0);
	WORD(55, u->heads);
	WORD(56, u->secs);
	chs = (u64)get_le16(d + 108) * u->heads * u->secs;
	put_le32(d + 114, (u32)chs);
	WORD(59, u->multiple ? 0x100 | u->multiple : 0);
	put_le32(d + 120, (u32)MIN(sectors, HD_LBA28));
	ide_identify_modes(u, d);
	WORD(80, 0x0070); /* ATA/ATAPI-4 to 6 */
	WORD(81, 0x0019); /* ATA/ATAPI-6 T13 1410D revision 3a */
	WORD(82, 0x4060); /* NOP, look-ahead, write cache */
	WORD(83, 0x7400); /* FLUSH CACHE and its EXT, 48-bit addresses */
	WORD(84, 0x4040); /* WRITE DMA FUA EXT */
	WORD(85, 0x4040 | (u->drive->write_cache ? 0x20 : 0));
	WORD(86, 0x3400);
	WORD(87, 0x4040);
	WORD(93, 0x6001 | (u->number ? 0x0100 : 0));
	put_le64(d + 200, sectors);
#undef WORD
	ide_data_in(u, 0, IDE_SECTOR, hd_idle);
	ide_interrupt(u);
}

static void hd_set_parameters(struct ide_unit *u)
{
	u->secs = u->reg[IDE_COUNT];
	u->heads = (u16)((u->reg[IDE_DEVICE] & 15) + 1);
	if (u->secs)
		ide_done(u);
	else
		ide_abort(u, ATA_ABRT);
}

static void hd_set_multiple(struct ide_unit *u)
{
	u8 n = u->reg[IDE_COUNT];

	if (n > IDE_MULTIPLE_MAX || n & (n - 1)) {
		ide_abort(u, ATA_ABRT);
		return;
	}
	u->multiple = n;
	ide_done(u);
}

static void hd_native_max(struct ide_unit *u, bool ext)
{
	u64 last = MAX(hd_sectors(u), 1ull) - 1;

	hd_set_address(u, ext ? last : MIN(last, HD_LBA28 - 1), ext);
	ide_done(u);
}

static void hd_command(struct ide_unit *u, u8 command)
{
	for (size_t i = 0; i < ARRAY_SIZE(hd_moves); i++)
		if (hd_moves[i].command == command) {
			hd_move(u, hd_moves[i].flags);
			return;
		}
	if (ide_common_command(u, command))
		return;
	switch (command) {
	case CMD_VERIFY:
	case CMD_VERIFY_ONCE:
	case CMD_VERIFY_EXT:
		if (hd_range(u, command == CMD_VERIFY_EXT))
			ide_done(u);
		return;
	case CMD_SET_PARAMETERS: hd_set_parameters(u); return;
	case CMD_SET_MULTIPLE: hd_set_multiple(u); return;
	case CMD_FLUSH:
	case CMD_FLUSH_EXT:
		ide_submit(u, BLOCK_FLUSH, 0, 0, hd_write_over);
		return;
	case CMD_IDENTIFY: hd_identify(u); return;
	case CMD_NATIVE_MAX:
	case CMD_NATIVE_MAX_EXT:
		hd_native_max(u, command == CMD_NATIVE_MAX_EXT);
		return;
	}
	if ((command & 0xf0) == CMD_RECALIBRATE || (command & 0xf0) == CMD_SEEK)
		ide_done(u);
	else
		ide_abort(u, ATA_ABRT);
}

static void hd_reset(struct ide_unit *u)
{
	u->heads = HD_HEADS;
	u->secs = HD_SECTORS;
}

static const struct ide_kind hd_kind = {
	.ready = ATA_DRDY | ATA_DSC,
	.command = hd_command,
	.reset = hd_reset,
};

/* ---- The class ---- */

static const struct block_front hd_front = {
	.path = ide_path,
	.firmware_path = ide_firmware_path,
};

static int hd_init(struct device *dev, struct err *err)
{
	struct ide_unit *u = (struct ide_unit *)dev;

	if (!u->drive)
		return err_set(err, -EINVAL, "drive property not set");
	if (!u->drive->root)
		return err_set(err, -ENOMEDIUM,
			       "Device needs media, but drive is empty");
	if (u->drive->readonly)
		return err_set(err, -EACCES,
			       "Can't use a read-only drive; ide-cd and "
			       "virtio-blk-pci can");
	return ide_unit_init(u, &hd_kind, &hd_front, err);
}

static void hd_fini(struct device *dev)
{
	ide_unit_fini((struct ide_unit *)dev);
}

static const struct option_row hd_options[] = {
	IDE_ROW("drive", opt_drive, drive, NULL, "id of the -drive", NULL),
	IDE_OPTION_ROWS("QEMU HARDDISK"),
	OPTION_END,
};

static const struct state_field hd_state[] = {
	IDE_STATE_ROWS,
	STATE_(STATE_U16, struct ide_unit, heads),
	STATE_(STATE_U16, struct ide_unit, secs),
	STATE_END,
};

const struct device_class ide_hd_class = {
	.name = "ide-hd",
	.desc = "ATA disk on an IDE controller",
	.bus = BUS_IDE,
	.group = DEVICE_STORAGE,
	.size = sizeof(struct ide_unit),
	.user = true,
	.options = hd_options,
	.state = hd_state,
	.init = hd_init,
	.reset = ide_unit_reset,
	.fini = hd_fini,
	.info = ide_unit_info,
	.bus_name = ide_unit_bus,
	.loaded = ide_unit_loaded,
};
