/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Parallel NOR flash, 8 bits wide: where UEFI firmware keeps its variables.
 *
 * The contents are in memory; pages that a guest changes go to the drive,
 * one at a time, whenever the one before is written.
 *
 * Deviation: programming stores the byte as it is, as QEMU's does; it need
 * not be erased before.  Buffered programming is left out; the query says so.
 *
 * Spec: Intel StrataFlash 28F128J3A data sheet, "Command Definitions"; JESD68
 * (CFI).
 * Locking: machine_lock.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "devices/pc.h"
#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/log.h"
#include "vmm/machine.h"
#include "vmm/state.h"

#define PFLASH_SIZE_MAX (8 * MIB)
#define PFLASH_BLOCK    4096u /* erased at once, and written at once */
#define PFLASH_BLOCKS   (PFLASH_SIZE_MAX / PFLASH_BLOCK)

#define CMD_PROGRAM       0x40
#define CMD_PROGRAM_OTHER 0x10
#define CMD_ERASE         0x20
#define CMD_CLEAR_STATUS  0x50
#define CMD_STATUS        0x70
#define CMD_ID            0x90
#define CMD_QUERY         0x98
#define CMD_CONFIRM       0xd0
#define CMD_ARRAY         0xff

#define STATUS_READY         0x80
#define STATUS_ERASE_ERROR   0x20
#define STATUS_PROGRAM_ERROR 0x10

#define QUERY_FROM 0x10

struct pflash {
	struct device dev;
	struct block *drive; /* borrowed; NULL: nothing is kept */
	u64 base, size;      /* options */
	struct region io;
	u8 *data; /* owned */

	u8 mode;    /* what a read gives: CMD_ARRAY, _STATUS, _ID, _QUERY */
	u8 pending; /* the next write is for this: CMD_PROGRAM, _ERASE; or 0 */
	u8 status;

	u64 dirty[PFLASH_BLOCKS / 64];
	bool busy, unflushed, failed;
	struct block_req req;
	struct iovec iov;
	u8 copy[PFLASH_BLOCK]; /* what the request writes */
};

/* ---- To the drive ---- */

static void pflash_next(struct pflash *s);

static void pflash_done(struct block_req *r)
{
	struct pflash *s = container_of(r, struct pflash, req);

	s->busy = false;
	if (r->result < 0 && !s->failed)
		log_warn("flash '%s': cannot write: %s", s->drive->id,
			 strerror(-r->result));
	s->failed = r->result < 0;
	pflash_next(s);
}

static void pflash_submit(struct pflash *s, u64 offset, u64 len)
{
	memset(&s->req, 0, sizeof s->req);
	s->req.done = pflash_done;
	s->busy = true;
	if (!len) {
		block_flush(s->drive, &s->req);
		return;
	}
	memcpy(s->copy, s->data + offset, len);
	s->iov = (struct iovec){ s->copy, len };
	s->req.iov = &s->iov;
	s->req.niov = 1;
	s->req.offset = offset;
	block_write(s->drive, &s->req);
}

static void pflash_next(struct pflash *s)
{
	if (!s->drive || s->busy)
		return;
	for (u32 i = 0; i < ARRAY_SIZE(s->dirty); i++) {
		u64 at;

		if (!s->dirty[i])
			continue;
		at = i * 64ull + (u32)__builtin_ctzll(s->dirty[i]);
		s->dirty[i] &= s->dirty[i] - 1;
		s->unflushed = true;
		at *= PFLASH_BLOCK;
		pflash_submit(s, at, MIN(s->size - at, PFLASH_BLOCK));
		return;
	}
	if (!s->unflushed)
		return;
	s->unflushed = false;
	pflash_submit(s, 0, 0);
}

static void pflash_changed(struct pflash *s, u64 offset)
{
	u64 block = offset / PFLASH_BLOCK;

	s->dirty[block / 64] |= BIT(block % 64);
	pflash_next(s);
}

/* ---- Commands ---- */

static void pflash_program(struct pflash *s, u64 offset, u32 size, u64 value)
{
	s->mode = CMD_STATUS;
	s->status |= STATUS_READY;
	if (s->drive && s->drive->readonly) {
		s->status |= STATUS_PROGRAM_ERROR;
		return;
	}
	for (u32 i = 0; i < size; i++)
		s->data[offset + i] = (u8)(value >> 8 * i);
	pflash_changed(s, offset);
	pflash_changed(s, offset + size - 1);
}

static void pflash_erase(struct pflash *s, u64 offset, u8 confirm)
{
	u64 from = offset & ~(PFLASH_BLOCK - 1ull);

	s->mode = CMD_STATUS;
	s->status |= STATUS_READY;
	if (confirm != CMD_CONFIRM || (s->drive && s->drive->readonly)) {
		s->status |= STATUS_ERASE_ERROR;
		return;
	}
	memset(s->data + from, 0xff, MIN(s->size - from, PFLASH_BLOCK));
	pflash_changed(s, from);
}

static void pflash_command(struct pflash *s, u8 command)
{
	switch (command) {
	case CMD_PROGRAM:
	case CMD_PROGRAM_OTHER:
		s->pending = CMD_PROGRAM;
		s->mode = CMD_STATUS;
		break;
	case CMD_ERASE:
		s->pending = CMD_ERASE;
		s->mode = CMD_STATUS;
		break;
	case CMD_CLEAR_STATUS:
		s->status = 0;
		s->mode = CMD_ARRAY;
		break;
	case CMD_STATUS:
	case CMD_ID:
	case CMD_QUERY:
	case CMD_ARRAY: s->mode = command; break;
	case CMD_CONFIRM:
	case 0: s->mode = CMD_ARRAY; break;
	default:
		log_guest("pflash", "command %#x", command);
		s->mode = CMD_ARRAY;
	}
}

static void pflash_write(void *opaque, u64 offset, u32 size, u64 value)
{
	struct pflash *s = opaque;
	u8 pending = s->pending;

	s->pending = 0;
	if (pending == CMD_PROGRAM)
		pflash_program(s, offset, size, value);
	else if (pending == CMD_ERASE)
		pflash_erase(s, offset, (u8)value);
	else
		pflash_command(s, (u8)value);
}

/* One byte of the query table: one region of equal blocks, no buffer. */
static u8 pflash_query(const struct pflash *s, u64 offset)
{
	u32 blocks = (u32)(s->size / PFLASH_BLOCK) - 1;
	const u8 table[] = {
		'Q',
		'R',
		'Y',
		1,
		0,
		0x31,
		0,
		0,
		0,
		0,
		0, /* 1Bh: volts and times */
		0x45,
		0x55,
		0,
		0,
		7,
		0,
		10,
		0,
		4,
		0,
		4,
		0,
		(u8)(64 - __builtin_clzll(s->size - 1)), /* 27h: log2 */
		0,
		0,
		0,
		0,
		1,
		(u8)blocks,
		(u8)(blocks >> 8),
		PFLASH_BLOCK >> 8 & 0xff,
		PFLASH_BLOCK >> 16,
	};

	if (offset < QUERY_FROM || offset - QUERY_FROM >= sizeof table)
		return 0;
	return table[offset - QUERY_FROM];
}

static u8 pflash_read_byte(const struct pflash *s, u64 offset)
{
	switch (s->mode) {
	case CMD_STATUS: return s->status;
	case CMD_ID:
		return (offset & 0xff) == 0   ? 0x89
		       : (offset & 0xff) == 1 ? 0x18
					      : 0;
	case CMD_QUERY: return pflash_query(s, offset);
	default: return s->data[offset];
	}
}

static u64 pflash_read(void *opaque, u64 offset, u32 size)
{
	struct pflash *s = opaque;
	u64 value = 0;

	for (u32 i = 0; i < size; i++)
		value |= (u64)pflash_read_byte(s, offset + i) << 8 * i;
	return value;
}

static const struct region_ops pflash_ops = {
	.read = pflash_read,
	.write = pflash_write,
	.max_size = 8,
};

/* ---- Life cycle ---- */

static void pflash_reset(struct device *dev)
{
	struct pflash *s = (struct pflash *)dev;

	s->mode = CMD_ARRAY;
	s->pending = s->status = 0;
}

static void pflash_read_done(struct block_req *r)
{
	container_of(r, struct pflash, req)->busy = false;
}

static int pflash_fill(struct pflash *s, struct err *err)
{
	memset(s->data, 0xff, s->size);
	if (!s->drive)
		return 0;
	s->iov = (struct iovec){ s->data, s->size };
	s->req = (struct block_req){ .iov = &s->iov,
				     .niov = 1,
				     .done = pflash_read_done };
	s->busy = true;
	block_read(s->drive, &s->req);
	block_drain(s->drive);
	if (s->req.result < 0)
		return err_code(err, s->req.result, "cannot read '%s'",
				s->drive->id);
	return 0;
}

static void pflash_path(void *opaque, struct buf *out)
{
	struct pflash *s = opaque;

	buf_puts(out, s->dev.path);
}

static const struct block_front pflash_front = { .path = pflash_path };

static int pflash_init(struct device *dev, struct err *err)
{
	struct pflash *s = (struct pflash *)dev;
	int r;

	if (s->drive) {
		struct block *drive = s->drive;

		s->drive = NULL; /* not ours to detach yet */
		if (!drive->root)
			return err_set(err, -ENOMEDIUM, "drive is empty");
		s->size = drive->size;
		r = block_attach(drive, &pflash_front, s, err);
		if (r < 0)
			return r;
		s->drive = drive;
	}
	if (s->size < PFLASH_BLOCK || s->size > PFLASH_SIZE_MAX ||
	    s->size % PFLASH_BLOCK)
		return err_set(err, -EINVAL,
			       "flash of %llu bytes; a multiple of 4 KiB up to "
			       "8 MiB is possible",
			       (unsigned long long)s->size);
	s->data = xalloc(s->size);
	r = pflash_fill(s, err);
	if (r < 0)
		return r;
	region_map(&s->io, &dev->m->memory, "pflash", s->base, s->size,
		   &pflash_ops, s);
	pflash_reset(dev);
	return 0;
}

static void pflash_fini(struct device *dev)
{
	struct pflash *s = (struct pflash *)dev;

	region_unmap(&s->io);
	while (s->drive && s->busy)
		block_drain(s->drive);
	if (s->drive)
		block_detach(s->drive, s);
	free(s->data);
}

static int pflash_loaded(struct device *dev, struct err *err)
{
	struct pflash *s = (struct pflash *)dev;

	if (s->pending && s->pending != CMD_PROGRAM && s->pending != CMD_ERASE)
		return err_set(err, -EINVAL, "no such command");
	return 0;
}

static void pflash_info(struct device *dev, struct buf *out)
{
	struct pflash *s = (struct pflash *)dev;

	buf_printf(out, "mode %02x, status %02x\n", s->mode, s->status);
}

static const struct option_row pflash_options[] = {
	{ "drive", &opt_drive, offsetof(struct pflash, drive), NULL,
	  "where the contents are kept", NULL },
	{ "base", &opt_u64, offsetof(struct pflash, base), "0xffc00000",
	  "address", NULL },
	{ "size", &opt_u64, offsetof(struct pflash, size), "65536",
	  "bytes, without a drive", NULL },
	OPTION_END,
};

static const struct state_field pflash_state[] = {
	STATE_(STATE_U8, struct pflash, mode),
	STATE_(STATE_U8, struct pflash, pending),
	STATE_(STATE_U8, struct pflash, status),
	STATE_END,
};

const struct device_class pflash_class = {
	.name = "cfi.pflash01",
	.desc = "flash memory",
	.bus = BUS_SYSTEM,
	.size = sizeof(struct pflash),
	.options = pflash_options,
	.state = pflash_state,
	.init = pflash_init,
	.reset = pflash_reset,
	.fini = pflash_fini,
	.info = pflash_info,
	.loaded = pflash_loaded,
};
