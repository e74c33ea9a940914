/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The bus master of the IDE controller.
 *
 * Buffers are mapped a few descriptors at a time, each read from guest memory
 * once.  A table is at most what its counter reaches, 64 KiB; a descriptor
 * behind that ends it.
 *
 * Spec: SFF-8038i; Intel 82371SB data sheet, "Bus master IDE I/O registers".
 * Locking: machine_lock.
 */
#include <errno.h>
#include <string.h>

#include "devices/ide.h"
#include "lib/bytes.h"
#include "vmm/machine.h"

#define DMA_COMMAND 0
#define DMA_STATUS  2
#define DMA_TABLE   4
#define DMA_CHANNEL 8 /* registers of one */

#define DMA_START      0x01
#define DMA_TO_MEMORY  0x08
#define DMA_ACTIVE     0x01
#define DMA_ERROR      0x02
#define DMA_INTERRUPT  0x04
#define DMA_CAPABLE    0x60 /* as firmware tells drivers */
#define DMA_DESCRIPTOR 8u
#define DMA_TABLE_MAX  (65536u / DMA_DESCRIPTOR)
#define DMA_LAST       0x80000000u

/* ---- Descriptors ---- */

/* The next descriptor; false: there is none. */
static bool dma_next(struct ide_unit *u)
{
	struct ide_dma *d = &u->channel->dma;
	u8 raw[DMA_DESCRIPTOR];
	u32 count;

	if (d->ended || d->taken == DMA_TABLE_MAX ||
	    mem_read(&u->dev.m->mem, d->next, raw, sizeof raw) < 0)
		return false;
	d->next += DMA_DESCRIPTOR;
	d->taken++;
	d->base = get_le32(raw) & ~1u;
	count = get_le32(raw + 4);
	d->ended = count & DMA_LAST;
	d->left = count & 0xfffe ? count & 0xfffe : 65536;
	return true;
}

s64 ide_dma_map(struct ide_unit *u, u64 bytes, bool to_guest, int *ret_niov)
{
	struct ide_dma *d = &u->channel->dma;
	u64 done = 0;
	int n = 0;

	d->parts = 0;
	/* Two more for a part on both sides of a border. */
	while (done < bytes && n < IDE_IOV - 2 && (d->left || dma_next(u))) {
		u32 take = (u32)MIN(bytes - done, d->left);
		int r = mem_iov(&u->dev.m->mem, d->base, take, to_guest,
				u->iov + n, IDE_IOV - n);

		if (r < 0) {
			d->status |= DMA_ERROR;
			d->status &= (u8)~DMA_ACTIVE;
			ide_abort(u, ATA_ABRT);
			return -EFAULT;
		}
		d->part[d->parts++] = (struct ide_dma_part){ d->base, take };
		n += r;
		d->base += take;
		d->left -= take;
		done += take;
	}
	*ret_niov = n;
	return (s64)done;
}

void ide_dma_written(struct ide_unit *u)
{
	struct ide_dma *d = &u->channel->dma;

	for (int i = 0; i < d->parts; i++)
		mem_written(&u->dev.m->mem, d->part[i].base, d->part[i].bytes);
	d->parts = 0;
}

bool ide_dma_give(struct ide_unit *u, u32 bytes)
{
	u32 at = 0;

	while (at < bytes) {
		int niov;
		s64 n = ide_dma_map(u, bytes - at, true, &niov);

		if (n < 0)
			return false;
		if (!n) {
			ide_dma_short(u);
			return false;
		}
		for (int i = 0; i < niov; i++) {
			memcpy(u->iov[i].iov_base, u->buffer + at,
			       u->iov[i].iov_len);
			at += (u32)u->iov[i].iov_len;
		}
		ide_dma_written(u);
	}
	return true;
}

/* ---- The transfer ---- */

void ide_dma_wait(struct ide_unit *u, void (*go)(struct ide_unit *u))
{
	u->status = ATA_BSY;
	u->dma = NULL;
	if (u->channel->dma.command & DMA_START)
		go(u);
	else
		u->dma = go;
}

void ide_dma_over(struct ide_unit *u)
{
	struct ide_dma *d = &u->channel->dma;

	if (!d->left && d->ended)
		d->status &= (u8)~DMA_ACTIVE;
}

void ide_dma_short(struct ide_unit *u)
{
	u->channel->dma.status &= (u8)~DMA_ACTIVE;
	u->status = u->kind->ready;
}

void ide_dma_reset(struct ide_channel *c)
{
	c->dma = (struct ide_dma){ .status = DMA_CAPABLE };
}

/* ---- Registers ---- */

static void dma_start(struct ide_channel *c)
{
	struct ide_dma *d = &c->dma;

	d->status |= DMA_ACTIVE;
	d->next = d->table;
	d->left = d->taken = 0;
	d->ended = false;
	for (int i = 0; i < IDE_UNITS; i++) {
		struct ide_unit *u = c->unit[i];
		void (*go)(struct ide_unit *) = u ? u->dma : NULL;

		if (!go)
			continue;
		u->dma = NULL;
		go(u);
	}
}

/* What is under way comes to its end first: the guest's memory is its own
 * again when this returns. */
static void dma_stop(struct ide_channel *c)
{
	for (int i = 0; i < IDE_UNITS; i++)
		if (c->unit[i])
			block_drain(c->unit[i]->drive);
	c->dma.status &= (u8)~DMA_ACTIVE;
}

static u64 dma_read(void *opaque, u64 offset, u32 size)
{
	struct ide *s = opaque;
	const struct ide_dma *d = &s->channel[offset / DMA_CHANNEL].dma;

	switch (offset % DMA_CHANNEL) {
	case DMA_COMMAND: return d->command;
	case DMA_STATUS: return d->status;
	case DMA_TABLE: return d->table;
	case DMA_TABLE + 1: return d->table >> 8 & 0xff;
	case DMA_TABLE + 2: return d->table >> 16;
	case DMA_TABLE + 3: return d->table >> 24;
	default: return 0;
	}
}

static void dma_write(void *opaque, u64 offset, u32 size, u64 value)
{
	struct ide *s = opaque;
	struct ide_channel *c = &s->channel[offset / DMA_CHANNEL];
	struct ide_dma *d = &c->dma;
	u32 at = (u32)(offset % DMA_CHANNEL), shift, mask;
	u8 old = d->command;

	switch (at) {
	case DMA_COMMAND:
		d->command = value & (DMA_START | DMA_TO_MEMORY);
		if (d->command & DMA_START & ~old)
			dma_start(c);
		else if (old & DMA_START & ~d->command)
			dma_stop(c);
		break;
	case DMA_STATUS: /* two are cleared by a one */
		d->status = (u8)((d->status & ~DMA_CAPABLE &
				  ~(value & (DMA_ERROR | DMA_INTERRUPT))) |
				 (value & DMA_CAPABLE));
		break;
	case DMA_TABLE:
	case DMA_TABLE + 1:
	case DMA_TABLE + 2:
	case DMA_TABLE + 3:
		shift = 8 * (at - DMA_TABLE);
		mask = (size == 4 ? ~0u : (1u << 8 * size) - 1) << shift;
		d->table =
			(d->table & ~mask) | ((u32)value << shift & mask & ~3u);
		break;
	}
}

const struct region_ops ide_dma_ops = {
	.read = dma_read,
	.write = dma_write,
	.max_size = 4,
};
