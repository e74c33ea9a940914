/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The IDE controller in the image of the PIIX3's second function: two
 * channels at the ports and interrupts that PCs always had, two units each.
 *
 * It exists only where an IDE drive was asked for; the first one makes it.
 * One command at a time is under way on a unit.  What a drive fails is
 * reported, ignored, or kept until the machine runs again, as rerror= and
 * werror= say.
 *
 * Spec: ATA/ATAPI-6 (T13 1410D); Intel 82371SB data sheet, "IDETIM".
 * Locking: machine_lock.
 */
#include "devices/ide.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/pc.h"
#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "vmm/drive_error.h"
#include "vmm/machine.h"

#define IDE_ADDR "1.1"

#define CONTROL_NIEN 0x02
#define CONTROL_SRST 0x04
#define CONTROL_HOB  0x80 /* reads give what was written before */

#define DEVICE_UNIT   0x10
#define DEVICE_ALWAYS 0xa0

#define PIIX_IDETIM         0x40 /* of both channels, two bytes each */
#define PIIX_IDETIM_ENABLED 0x8000u
#define DMA_STATUS_INT      0x04

enum {
	CMD_DEVICE_RESET = 0x08,
	CMD_DIAGNOSTIC = 0x90,
	CMD_STANDBY_NOW = 0xe0,
	CMD_IDLE_NOW = 0xe1,
	CMD_STANDBY = 0xe2,
	CMD_IDLE = 0xe3,
	CMD_CHECK_POWER = 0xe5,
	CMD_SLEEP = 0xe6,
	CMD_SET_FEATURES = 0xef,
};

enum {
	FEATURE_CACHE_ON = 0x02,
	FEATURE_MODE = 0x03,
	FEATURE_NO_LOOK_AHEAD = 0x55,
	FEATURE_NO_REVERT = 0x66,
	FEATURE_CACHE_OFF = 0x82,
	FEATURE_LOOK_AHEAD = 0xaa,
	FEATURE_REVERT = 0xcc,
};

static const struct {
	u16 command, control;
	int gsi;
	const char *command_name, *control_name;
} ide_channels[IDE_CHANNELS] = {
	{ 0x1f0, 0x3f6, 14, "ide", "ide" },
	{ 0x170, 0x376, 15, "ide", "ide" },
};

/* ---- Interrupts ---- */

static int ide_channel_number(const struct ide_channel *c)
{
	return (int)(c - c->ide->channel);
}

static void ide_update_irq(struct ide_channel *c)
{
	int gsi = ide_channels[ide_channel_number(c)].gsi;
	bool level = c->interrupt && !(c->control & CONTROL_NIEN);

	if (level)
		c->dma.status |= DMA_STATUS_INT;
	irq_set(&c->ide->pci.dev.m->gsi[gsi], level);
}

static void ide_set_interrupt(struct ide_channel *c, bool on)
{
	c->interrupt = on;
	ide_update_irq(c);
}

void ide_interrupt(struct ide_unit *u)
{
	ide_set_interrupt(u->channel, true);
}

/* ---- Ends of commands, data ---- */

static void ide_transfer_end(struct ide_unit *u)
{
	u->at = u->end = 0;
	u->moved = NULL;
	u->dma = NULL;
}

void ide_done(struct ide_unit *u)
{
	ide_transfer_end(u);
	u->status = u->kind->ready;
	u->error = 0;
	ide_interrupt(u);
}

void ide_abort(struct ide_unit *u, u8 error)
{
	ide_transfer_end(u);
	u->status = u->kind->ready | ATA_ERR;
	u->error = error;
	ide_interrupt(u);
}

static void ide_data(struct ide_unit *u, u32 from, u32 bytes, bool in,
		     void (*moved)(struct ide_unit *))
{
	u->at = MIN(from, (u32)IDE_BUFFER);
	u->end = u->at + MIN(bytes, IDE_BUFFER - u->at);
	u->in = in;
	u->moved = moved;
	u->status = u->kind->ready | ATA_DRQ;
}

void ide_data_in(struct ide_unit *u, u32 from, u32 bytes,
		 void (*moved)(struct ide_unit *))
{
	ide_data(u, from, bytes, true, moved);
}

void ide_data_out(struct ide_unit *u, u32 bytes,
		  void (*moved)(struct ide_unit *))
{
	ide_data(u, 0, bytes, false, moved);
}

/* The data register; `value` is what is written.  Returns what is read. */
static u32 ide_move(struct ide_unit *u, u32 size, bool in, u32 value)
{
	void (*moved)(struct ide_unit *) = u->moved;
	u8 raw[4] = { 0 };
	u32 n;

	if (!(u->status & ATA_DRQ) || u->in != in)
		return 0;
	n = MIN(size, u->end - u->at);
	if (in) {
		memcpy(raw, u->buffer + u->at, n);
	} else {
		put_le32(raw, value);
		memcpy(u->buffer + u->at, raw, n);
	}
	u->at += n;
	if (u->at == u->end) {
		u->status &= (u8)~ATA_DRQ;
		u->moved = NULL;
		moved(u);
	}
	return get_le32(raw);
}

/* ---- Requests to the drive ---- */

static void ide_send(struct ide_unit *u)
{
	switch (u->op) {
	case BLOCK_READ: block_read(u->drive, &u->req); break;
	case BLOCK_WRITE: block_write(u->drive, &u->req); break;
	default: block_flush(u->drive, &u->req); break;
	}
}

static void ide_request_done(struct block_req *r)
{
	struct ide_unit *u = container_of(r, struct ide_unit, req);
	enum block_on_error action = BLOCK_ERR_IGNORE;

	if (r->result < 0)
		action =
			drive_failed(u->dev.m, u->drive, r->counted, r->result);
	if (action == BLOCK_ERR_STOP)
		u->stopped = true;
	else
		u->after(u, action == BLOCK_ERR_REPORT ? r->result : 0);
}

void ide_submit(struct ide_unit *u, enum block_op op, int niov, u64 offset,
		void (*after)(struct ide_unit *, int))
{
	u->status = ATA_BSY;
	u->op = op;
	u->after = after;
	u->req = (struct block_req){
		.iov = u->iov,
		.niov = niov,
		.offset = offset,
		.done = ide_request_done,
	};
	ide_send(u);
}

void ide_submit_buffer(struct ide_unit *u, enum block_op op, u32 bytes,
		       u64 offset, void (*after)(struct ide_unit *, int))
{
	u->iov[0] = (struct iovec){ u->buffer, bytes };
	ide_submit(u, op, 1, offset, after);
}

static void ide_run_changed(void *arg, enum run_state old, enum run_state now)
{
	struct ide *s = arg;

	if (now != RUN_RUNNING)
		return;
	for (int i = 0; i < IDE_CHANNELS * IDE_UNITS; i++) {
		struct ide_unit *u = s->channel[i / 2].unit[i % 2];

		if (!u || !u->stopped)
			continue;
		u->stopped = false;
		block_set_io_status(u->drive, BLOCK_IO_OK);
		ide_send(u);
	}
}

/* ---- Commands of all kinds ---- */

void ide_signature(struct ide_unit *u)
{
	u->reg[IDE_COUNT] = 1;
	u->reg[IDE_LBA_LOW] = 1;
	u->reg[IDE_LBA_MID] = u->kind->signature_mid;
	u->reg[IDE_LBA_HIGH] = u->kind->signature_high;
	u->reg[IDE_DEVICE] &= DEVICE_UNIT;
}

/* As after a reset of the unit: nothing of a command is left. */
static void ide_unit_restart(struct ide_unit *u)
{
	if (u->attached)
		block_drain(u->drive);
	u->stopped = false;
	ide_transfer_end(u);
	u->error = 1; /* the diagnostic found nothing wrong */
	ide_signature(u);
	u->status = u->kind->signature_high ? 0 : u->kind->ready;
}

static void ide_diagnostic(struct ide_channel *c)
{
	for (int i = 0; i < IDE_UNITS; i++)
		if (c->unit[i])
			ide_unit_restart(c->unit[i]);
	c->selected = 0;
	ide_set_interrupt(c, true);
}

static void ide_set_features(struct ide_unit *u)
{
	u8 mode = u->reg[IDE_COUNT];

	switch (u->reg[IDE_FEATURE]) {
	case FEATURE_CACHE_ON:
	case FEATURE_CACHE_OFF:
		block_set_write_cache(u->drive,
				      u->reg[IDE_FEATURE] == FEATURE_CACHE_ON);
		ide_done(u);
		return;
	case FEATURE_MODE:
		if (mode >> 3 > 1) /* a DMA mode; else one of PIO */
			u->dma_mode = mode;
		if (mode < 0x28) { /* up to multiword DMA */
			ide_done(u);
			return;
		}
		break;
	case FEATURE_NO_LOOK_AHEAD:
	case FEATURE_NO_REVERT:
	case FEATURE_LOOK_AHEAD:
	case FEATURE_REVERT: ide_done(u); return;
	}
	ide_abort(u, ATA_ABRT);
}

bool ide_common_command(struct ide_unit *u, u8 command)
{
	switch (command) {
	case CMD_CHECK_POWER:
		u->reg[IDE_COUNT] = 0xff; /* active or idle */
		ide_done(u);
		return true;
	case CMD_STANDBY_NOW:
	case CMD_IDLE_NOW:
	case CMD_STANDBY:
	case CMD_IDLE:
	case CMD_SLEEP: ide_done(u); return true;
	case CMD_SET_FEATURES: ide_set_features(u); return true;
	default: return false;
	}
}

static void ide_command(struct ide_channel *c, u8 command)
{
	struct ide_unit *u = c->unit[c->selected];
	bool packet = u && u->kind->signature_high;

	if (command == CMD_DIAGNOSTIC) {
		ide_diagnostic(c);
		return;
	}
	if (!u)
		return;
	if (packet && command == CMD_DEVICE_RESET) {
		ide_unit_restart(u);
		return;
	}
	if (u->status & (ATA_BSY | ATA_DRQ))
		return;
	ide_set_interrupt(c, false);
	u->kind->command(u, command);
}

void ide_identify_text(u8 *at, const char *text, u32 bytes)
{
	u32 len = (u32)strlen(text);

	for (u32 i = 0; i < bytes; i++)
		at[i ^ 1] = i < len ? (u8)text[i] : ' ';
}

void ide_identify_modes(const struct ide_unit *u, u8 *data)
{
	bool multiword = u->dma_mode >> 3 == 4, single = u->dma_mode >> 3 == 2;
	u16 now = (u16)(0x100 << (u->dma_mode & 7));

	put_le16(data + 2 * 62, single ? 7 | now : 7);
	put_le16(data + 2 * 63, multiword ? 7 | now : 7);
	put_le16(data + 2 * 64, 3); /* PIO modes 3 and 4 */
	for (int i = 65; i <= 68; i++)
		put_le16(data + 2 * i, 120); /* ns a cycle */
}

/* ---- Registers ---- */

static u64 ide_read(void *opaque, u64 offset, u32 size)
{
	struct ide_channel *c = opaque;
	struct ide_unit *u = c->unit[c->selected];
	bool old = c->control & CONTROL_HOB;

	if (!u)
		return 0;
	switch (offset) {
	case IDE_DATA: return size > 1 ? ide_move(u, size, true, 0) : 0;
	case IDE_FEATURE: return old ? u->previous[offset] : u->error;
	case IDE_DEVICE: return u->reg[offset] | DEVICE_ALWAYS;
	case IDE_COMMAND: ide_set_interrupt(c, false); return u->status;
	default: return old ? u->previous[offset] : u->reg[offset];
	}
}

static void ide_write(void *opaque, u64 offset, u32 size, u64 value)
{
	struct ide_channel *c = opaque;
	struct ide_unit *u = c->unit[c->selected];

	if (offset == IDE_DATA) {
		if (u && size > 1)
			ide_move(u, size, false, (u32)value);
		return;
	}
	c->control &= (u8)~CONTROL_HOB;
	if (offset == IDE_COMMAND) {
		ide_command(c, (u8)value);
		return;
	}
	if (offset == IDE_DEVICE)
		c->selected = !!(value & DEVICE_UNIT);
	for (int i = 0; i < IDE_UNITS; i++) {
		u = c->unit[i];
		if (!u || u->status & ATA_BSY)
			continue;
		u->previous[offset] = u->reg[offset];
		u->reg[offset] = (u8)value;
	}
}

static const struct region_ops ide_command_ops = {
	.read = ide_read,
	.write = ide_write,
	.max_size = 4,
};

/* Without what reading the status register does. */
static u64 ide_control_read(void *opaque, u64 offset, u32 size)
{
	struct ide_channel *c = opaque;
	struct ide_unit *u = c->unit[c->selected];

	return u ? u->status : 0;
}

static void ide_control_write(void *opaque, u64 offset, u32 size, u64 value)
{
	struct ide_channel *c = opaque;
	u8 old = c->control;

	c->control = value & (CONTROL_NIEN | CONTROL_SRST | CONTROL_HOB);
	if (c->control & CONTROL_SRST & ~old) {
		ide_diagnostic(c);
		c->interrupt = false;
		for (int i = 0; i < IDE_UNITS; i++)
			if (c->unit[i])
				c->unit[i]->status = ATA_BSY;
	} else if (old & CONTROL_SRST & ~c->control) {
		for (int i = 0; i < IDE_UNITS; i++)
			if (c->unit[i])
				ide_unit_restart(c->unit[i]);
	}
	ide_update_irq(c);
}

static const struct region_ops ide_control_ops = {
	.read = ide_control_read,
	.write = ide_control_write,
	.max_size = 1,
};

/* ---- Units ---- */

/* "ide.0" or "ide.1"; -1: no channel of ours. */
static int ide_bus_number(const char *bus)
{
	for (int i = 0; i < IDE_CHANNELS; i++)
		if (!strncmp(bus, "ide.", 4) && bus[4] == '0' + i && !bus[5])
			return i;
	return -1;
}

/* Where bus= and unit= say, else where there is room. */
static int ide_place(struct ide_unit *u, struct ide *s, struct err *err)
{
	int only = u->bus ? ide_bus_number(u->bus) : -1;

	if (u->bus && only < 0)
		return err_set(err, -ENOENT,
			       "Bus '%s' not found; '%s' sits on 'ide.0' or "
			       "'ide.1'",
			       u->bus, u->dev.class->name);
	if (u->unit != UINT32_MAX && u->unit >= IDE_UNITS)
		return err_set(err, -EINVAL,
			       "Can't create IDE unit %u, bus supports only %d "
			       "units",
			       u->unit, IDE_UNITS);
	for (int i = 0; i < IDE_CHANNELS; i++)
		for (int k = 0; k < IDE_UNITS; k++) {
			if (s->channel[i].unit[k] || (only >= 0 && i != only) ||
			    (u->unit != UINT32_MAX && k != (int)u->unit))
				continue;
			u->channel = &s->channel[i];
			u->number = k;
			u->unit = (u32)k;
			free(u->bus);
			u->bus = xprintf("ide.%d", i);
			s->channel[i].unit[k] = u;
			return 0;
		}
	return err_set(err, -EBUSY,
		       "IDE unit is in use; there are 'ide.0' and "
		       "'ide.1' with units 0 and 1");
}

static struct ide *ide_controller(struct machine *m, struct err *err)
{
	struct opts o;

	if (m->ide)
		return m->ide;
	opts_init(&o);
	opts_add(&o, "addr", IDE_ADDR);
	(void)device_create(m, &ide_class, &o, err);
	opts_fini(&o);
	return m->ide;
}

/* An empty one, for a CD drive of which nobody said what is in it. */
static int ide_add_drive(struct ide_unit *u, struct err *err)
{
	struct opts o;
	char id[16];

	snprintf(id, sizeof id, "ide%d-cd%d", ide_channel_number(u->channel),
		 u->number);
	opts_init(&o);
	opts_add(&o, "id", u->dev.id ? u->dev.id : id);
	opts_add(&o, "if", "none");
	opts_add(&o, "media", "cdrom");
	u->drive = block_create(u->dev.m->loop, &o, err);
	opts_fini(&o);
	u->own_drive = u->drive;
	return u->drive ? 0 : -EINVAL;
}

int ide_unit_init(struct ide_unit *u, const struct ide_kind *kind,
		  const struct block_front *front, struct err *err)
{
	struct ide *s = ide_controller(u->dev.m, err);
	int r;

	u->kind = kind;
	if (!s)
		return -EINVAL;
	r = ide_place(u, s, err);
	if (r == 0 && !u->drive)
		r = ide_add_drive(u, err);
	if (r == 0)
		r = block_attach(u->drive, front, u, err);
	if (r < 0)
		return r;
	u->attached = true;
	if (u->share_rw)
		block_share(u->drive);
	if (!u->serial)
		u->serial =
			u->drive->serial && u->drive->serial[0]
				? xstrdup(u->drive->serial)
				: xprintf("QM%05d",
					  2 * ide_channel_number(u->channel) +
						  u->number + 1);
	drive_set_on_error(u->drive, u->rerror, u->werror);
	block_set_boot_index(u->drive, u->bootindex);
	u->drive_wce = u->drive->write_cache;
	return 0;
}

void ide_unit_fini(struct ide_unit *u)
{
	if (u->attached)
		block_detach(u->drive, u);
	if (u->own_drive)
		block_destroy(u->drive);
	if (u->channel)
		u->channel->unit[u->number] = NULL;
}

void ide_path(void *opaque, struct buf *out)
{
	struct ide_unit *u = opaque;

	buf_puts(out, u->dev.path);
}

/* As in Open Firmware and SeaBIOS. */
void ide_firmware_path(void *opaque, struct buf *out)
{
	struct ide_unit *u = opaque;

	buf_printf(out, "/pci@i0cf8/ide@1,1/drive@%d/disk@%d",
		   ide_channel_number(u->channel), u->number);
}

const char *ide_unit_bus(const struct device *dev)
{
	return ((const struct ide_unit *)dev)->bus;
}

void ide_unit_info(struct device *dev, struct buf *out)
{
	struct ide_unit *u = (struct ide_unit *)dev;

	buf_printf(out, "ide.%d unit %d, status 0x%02x, error 0x%02x%s\n",
		   ide_channel_number(u->channel), u->number, u->status,
		   u->error,
		   u->stopped ? ", a request waits for the machine" : "");
}

/* ---- The controller ---- */

static int ide_init(struct device *dev, struct err *err)
{
	struct ide *s = (struct ide *)dev;
	int r = pci_device_init(&s->pci, err);

	if (r < 0)
		return r;
	for (int i = 0; i < IDE_CHANNELS; i++) {
		struct ide_channel *c = &s->channel[i];

		c->ide = s;
		region_map(&c->command_io, &dev->m->io,
			   ide_channels[i].command_name,
			   ide_channels[i].command, IDE_REGS, &ide_command_ops,
			   c);
		region_map(&c->control_io, &dev->m->io,
			   ide_channels[i].control_name,
			   ide_channels[i].control, 1, &ide_control_ops, c);
	}
	pci_add_bar(&s->pci, 4, "piix-bmdma", 16, true, false, false,
		    &ide_dma_ops, s);
	memset(s->pci.wmask + PIIX_IDETIM, 0xff, 4);
	s->run_notifier.fn = ide_run_changed;
	s->run_notifier.arg = s;
	run_notifier_add(dev->m, &s->run_notifier);
	dev->m->ide = dev;
	return 0;
}

static void ide_reset(struct device *dev)
{
	struct ide *s = (struct ide *)dev;

	pci_device_reset(&s->pci);
	for (int i = 0; i < IDE_CHANNELS; i++) {
		struct ide_channel *c = &s->channel[i];

		/* As firmware leaves it. */
		put_le16(s->pci.config + PIIX_IDETIM + 2 * i,
			 PIIX_IDETIM_ENABLED);
		for (int k = 0; k < IDE_UNITS; k++)
			if (c->unit[k]) /* its transfer ends before */
				ide_unit_restart(c->unit[k]);
		ide_dma_reset(c);
		c->selected = 0;
		c->control = 0;
		ide_set_interrupt(c, false);
	}
}

void ide_unit_reset(struct device *dev)
{
	struct ide_unit *u = (struct ide_unit *)dev;

	ide_unit_restart(u);
	memset(u->previous, 0, sizeof u->previous);
	u->multiple = IDE_MULTIPLE_MAX;
	u->dma_mode = 0;
	block_set_write_cache(u->drive, u->drive_wce);
	u->kind->reset(u);
}

int ide_unit_loaded(struct device *dev, struct err *err)
{
	struct ide_unit *u = (struct ide_unit *)dev;

	if (u->status & (ATA_BSY | ATA_DRQ))
		u->status = u->kind->ready | ATA_ERR;
	if (!u->multiple || u->multiple > IDE_MULTIPLE_MAX ||
	    u->multiple & (u->multiple - 1))
		u->multiple = 0;
	return 0;
}

static void ide_fini(struct device *dev)
{
	struct ide *s = (struct ide *)dev;

	if (dev->m->ide != dev)
		return;
	dev->m->ide = NULL;
	run_notifier_remove(&s->run_notifier);
	for (int i = 0; i < IDE_CHANNELS; i++) {
		region_unmap(&s->channel[i].command_io);
		region_unmap(&s->channel[i].control_io);
		for (int k = 0; k < IDE_UNITS; k++)
			if (s->channel[i].unit[k])
				s->channel[i].unit[k]->channel = NULL;
	}
	pci_device_fini(&s->pci);
}

static void ide_info(struct device *dev, struct buf *out)
{
	struct ide *s = (struct ide *)dev;

	pci_device_info(&s->pci, out);
	for (int i = 0; i < IDE_CHANNELS; i++)
		buf_printf(out,
			   "ide.%d: irq %d %s, bus master command 0x%02x "
			   "status 0x%02x\n",
			   i, ide_channels[i].gsi,
			   s->channel[i].interrupt ? "high" : "low",
			   s->channel[i].dma.command, s->channel[i].dma.status);
}

static int ide_loaded(struct device *dev, struct err *err)
{
	struct ide *s = (struct ide *)dev;
	int r = pci_device_loaded(&s->pci, err);

	for (int i = 0; i < IDE_CHANNELS && r == 0; i++) {
		if (s->channel[i].selected < 0 ||
		    s->channel[i].selected >= IDE_UNITS)
			return err_set(err, -EINVAL, "piix3-ide: unit %d",
				       s->channel[i].selected);
		ide_update_irq(&s->channel[i]);
	}
	return r;
}

static const struct option_row ide_options[] = {
	{ "addr", &opt_str, offsetof(struct ide, pci.addr), IDE_ADDR,
	  "slot.function, hexadecimal", NULL },
	OPTION_END,
};

/* clang-format off */
#define IDE_CHANNEL_ROWS(n)                                                \
	STATE_(STATE_U8, struct ide, channel[n].control),                  \
	STATE_(STATE_U32, struct ide, channel[n].selected),                \
	STATE_(STATE_BOOL, struct ide, channel[n].interrupt),              \
	STATE_(STATE_U8, struct ide, channel[n].dma.command),              \
	STATE_(STATE_U8, struct ide, channel[n].dma.status),               \
	STATE_(STATE_U32, struct ide, channel[n].dma.table)
/* clang-format on */

static const struct state_field ide_state[] = {
	PCI_STATE_ROWS,
	IDE_CHANNEL_ROWS(0),
	IDE_CHANNEL_ROWS(1),
	STATE_END,
};

const struct device_class ide_class = {
	.name = "piix3-ide",
	.desc = "IDE controller",
	.bus = BUS_PCI,
	.size = sizeof(struct ide),
	.options = ide_options,
	.state = ide_state,
	.bus_class =
		&(const struct pci_class){
			.vendor = 0x8086,
			.device = 0x7010,
			.class_code = 0x010180,
		},
	.init = ide_init,
	.reset = ide_reset,
	.fini = ide_fini,
	.info = ide_info,
	.loaded = ide_loaded,
};
