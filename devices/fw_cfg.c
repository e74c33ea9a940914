/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Firmware configuration device, the port interface of QEMU's fw_cfg.
 *
 * One item is selected and read byte by byte, or many bytes at once by a DMA
 * request.  Reading past the end gives zeroes.  Nothing is writable.
 *
 * Spec: QEMU docs/specs/fw_cfg.
 * Locking: machine_lock.
 */
#include "devices/fw_cfg.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/opt.h"
#include "vmm/device.h"
#include "vmm/machine.h"
#include "vmm/memory.h"
#include "vmm/state.h"

#define FW_CFG_ITEMS_MAX 128
#define FW_CFG_NAME_MAX  56 /* with the NUL */
#define FW_CFG_FILE_MAX  (64 * MIB)

/* Offsets in the port range. */
#define FW_CFG_SELECT 0
#define FW_CFG_DATA   1
#define FW_CFG_DMA    4

#define FW_CFG_DMA_SIGNATURE 0x51454d5520434647ull /* "QEMU CFG" */
#define FW_CFG_DMA_ERROR     0x01
#define FW_CFG_DMA_READ      0x02
#define FW_CFG_DMA_SKIP      0x04
#define FW_CFG_DMA_SELECT    0x08
#define FW_CFG_DMA_WRITE     0x10

/* Zeroes that one DMA request may ask for behind the end of an item. */
#define FW_CFG_ZEROES_MAX MIB

struct fw_cfg_item {
	u16 key;
	char name[FW_CFG_NAME_MAX]; /* "" when it is not a file */
	u8 *data;                   /* owned */
	u32 len;
	void (*select)(void *arg);
	void *arg;
};

struct fw_cfg {
	struct device dev;
	struct region io;
	struct fw_cfg_item item[FW_CFG_ITEMS_MAX];
	int nitems;
	int nfiles;
	u16 key;    /* selected */
	u32 offset; /* of the next byte */
	u32 dma_high;
};

/* ---- Items ---- */

static struct fw_cfg_item *fw_cfg_find(struct fw_cfg *s, u16 key)
{
	for (int i = 0; i < s->nitems; i++)
		if (s->item[i].key == key)
			return &s->item[i];
	return NULL;
}

static struct fw_cfg_item *fw_cfg_find_file(struct fw_cfg *s, const char *name)
{
	for (int i = 0; i < s->nitems; i++)
		if (s->item[i].name[0] && !strcmp(s->item[i].name, name))
			return &s->item[i];
	return NULL;
}

static void fw_cfg_set_data(struct fw_cfg_item *item, const void *data,
			    size_t len)
{
	u8 *copy = xalloc(len ? len : 1);

	if (len)
		memcpy(copy, data, len);
	free(item->data);
	item->data = copy;
	item->len = len;
}

static struct fw_cfg_item *fw_cfg_new(struct fw_cfg *s, u16 key)
{
	struct fw_cfg_item *item;

	if (s->nitems >= FW_CFG_ITEMS_MAX)
		return NULL;
	item = &s->item[s->nitems++];
	item->key = key;
	return item;
}

void fw_cfg_add_bytes(struct device *dev, u16 key, const void *data, size_t len)
{
	struct fw_cfg *s = (struct fw_cfg *)dev;
	struct fw_cfg_item *item = fw_cfg_find(s, key);

	if (!item)
		item = fw_cfg_new(s, key);
	if (item)
		fw_cfg_set_data(item, data, len);
	else
		log_warn("firmware configuration is full");
}

void fw_cfg_add_u16(struct device *dev, u16 key, u16 value)
{
	u8 bytes[2];

	put_le16(bytes, value);
	fw_cfg_add_bytes(dev, key, bytes, sizeof bytes);
}

void fw_cfg_add_u32(struct device *dev, u16 key, u32 value)
{
	u8 bytes[4];

	put_le32(bytes, value);
	fw_cfg_add_bytes(dev, key, bytes, sizeof bytes);
}

/* Directory: count, then size, key, zero and name of each file. */
static void fw_cfg_update_dir(struct fw_cfg *s)
{
	size_t len = 4 + (size_t)s->nfiles * 64;
	u8 *dir = xalloc(len), *at = dir + 4;

	put_be32(dir, s->nfiles);
	for (int i = 0; i < s->nitems; i++) {
		const struct fw_cfg_item *item = &s->item[i];

		if (!item->name[0])
			continue;
		put_be32(at, item->len);
		put_be16(at + 4, item->key);
		memcpy(at + 8, item->name, FW_CFG_NAME_MAX);
		at += 64;
	}
	fw_cfg_add_bytes(&s->dev, FW_CFG_FILE_DIR, dir, len);
	free(dir);
}

int fw_cfg_add_file(struct device *dev, const char *name, const void *data,
		    size_t len, struct err *err)
{
	struct fw_cfg *s = (struct fw_cfg *)dev;
	struct fw_cfg_item *item = fw_cfg_find_file(s, name);

	if (!name[0] || strlen(name) >= FW_CFG_NAME_MAX)
		return err_set(err, -ENAMETOOLONG,
			       "fw_cfg name '%s' is not 1 to %d bytes long",
			       name, FW_CFG_NAME_MAX - 1);
	if (len > FW_CFG_FILE_MAX)
		return err_set(err, -EFBIG, "fw_cfg file '%s' is too large",
			       name);
	if (!item) {
		item = fw_cfg_new(s, FW_CFG_FILE_FIRST + s->nfiles);
		if (!item)
			return err_set(err, -ENOSPC,
				       "no room for fw_cfg file '%s'", name);
		s->nfiles++;
		memcpy(item->name, name, strlen(name) + 1);
	}
	fw_cfg_set_data(item, data, len);
	fw_cfg_update_dir(s);
	return 0;
}

void fw_cfg_on_select(struct device *dev, const char *name,
		      void (*fn)(void *arg), void *arg)
{
	struct fw_cfg_item *item = fw_cfg_find_file((struct fw_cfg *)dev, name);

	if (!item)
		return;
	item->select = fn;
	item->arg = arg;
}

static int fw_cfg_read_host_file(const char *path, struct buf *out,
				 struct err *err)
{
	char chunk[4096];
	FILE *f = fopen(path, "rb");
	size_t n;
	int r = 0;

	if (!f)
		return err_errno(err, "cannot open '%s'", path);
	while ((n = fread(chunk, 1, sizeof chunk, f)) > 0) {
		if (out->len + n > FW_CFG_FILE_MAX) {
			r = err_set(err, -EFBIG, "'%s' is too large", path);
			break;
		}
		buf_append(out, chunk, n);
	}
	if (r == 0 && ferror(f))
		r = err_errno(err, "cannot read '%s'", path);
	fclose(f);
	return r;
}

int fw_cfg_add_option(struct device *dev, const char *text, struct err *err)
{
	const char *name, *file, *string;
	struct buf data = { 0 };
	struct opts o;
	int r;

	r = opts_parse(&o, text, "name", err);
	if (r < 0)
		return r;
	name = opts_take(&o, "name");
	file = opts_take(&o, "file");
	string = opts_take(&o, "string");
	if (!name)
		r = err_set(err, -EINVAL, "fw_cfg needs a name");
	else if (!file == !string)
		r = err_set(err, -EINVAL,
			    "fw_cfg '%s' needs one of file and string", name);
	else
		r = opts_check_used(&o, NULL, err);
	if (r == 0 && file)
		r = fw_cfg_read_host_file(file, &data, err);
	else if (r == 0)
		buf_puts(&data, string);
	if (r == 0)
		r = fw_cfg_add_file(dev, name, data.data, data.len, err);
	buf_fini(&data);
	opts_fini(&o);
	return r;
}

void fw_cfg_info(struct device *dev, struct buf *out)
{
	struct fw_cfg *s = (struct fw_cfg *)dev;

	for (int i = 0; i < s->nitems; i++)
		if (s->item[i].name[0])
			buf_printf(out, "fw=%s size=0x%06x\n", s->item[i].name,
				   s->item[i].len);
}

/* ---- Ports ---- */

/* The directory tells sizes, so all files are brought up to date for it. */
static void fw_cfg_select(struct fw_cfg *s, u16 key)
{
	s->key = key;
	s->offset = 0;
	for (int i = 0; i < s->nitems; i++) {
		struct fw_cfg_item *item = &s->item[i];

		if (item->select &&
		    (key == FW_CFG_FILE_DIR || key == item->key))
			item->select(item->arg);
	}
}

static u8 fw_cfg_next_byte(struct fw_cfg *s)
{
	const struct fw_cfg_item *item = fw_cfg_find(s, s->key);

	if (!item || s->offset >= item->len)
		return 0;
	return item->data[s->offset++];
}

/* Copies `len` bytes of the item to guest memory and moves on. */
static int fw_cfg_dma_read(struct fw_cfg *s, gpa_t gpa, u32 len)
{
	const struct fw_cfg_item *item = fw_cfg_find(s, s->key);
	u32 left = item && s->offset < item->len ? item->len - s->offset : 0;
	u32 n = MIN(len, left);
	int r = 0;

	if (n)
		r = mem_write(&s->dev.m->mem, gpa, item->data + s->offset, n);
	if (r == 0 && len > n) {
		if (len - n > FW_CFG_ZEROES_MAX)
			return -EFAULT;
		r = mem_fill(&s->dev.m->mem, gpa + n, 0, len - n);
	}
	s->offset += n;
	return r;
}

static void fw_cfg_dma_skip(struct fw_cfg *s, u32 len)
{
	const struct fw_cfg_item *item = fw_cfg_find(s, s->key);
	u32 left = item && s->offset < item->len ? item->len - s->offset : 0;

	s->offset += MIN(len, left);
}

/* The request is control, length, address, all big-endian; control is
 * written back as the result. */
static void fw_cfg_dma(struct fw_cfg *s, gpa_t at)
{
	struct memory *mem = &s->dev.m->mem;
	u8 request[16], result[4] = { 0 };
	u32 control, len;
	gpa_t gpa;
	int r = 0;

	if (mem_read(mem, at, request, sizeof request) < 0) {
		log_guest("fw_cfg", "DMA request at 0x%llx is not in RAM",
			  (unsigned long long)at);
		return;
	}
	control = get_be32(request);
	len = get_be32(request + 4);
	gpa = get_be64(request + 8);
	if (control & FW_CFG_DMA_SELECT)
		fw_cfg_select(s, control >> 16);
	if (control & FW_CFG_DMA_READ)
		r = fw_cfg_dma_read(s, gpa, len);
	else if (control & FW_CFG_DMA_WRITE)
		r = -EACCES;
	else if (control & FW_CFG_DMA_SKIP)
		fw_cfg_dma_skip(s, len);
	put_be32(result, r < 0 ? FW_CFG_DMA_ERROR : 0);
	if (mem_write(mem, at, result, sizeof result) < 0)
		log_guest("fw_cfg", "DMA result is not writable");
}

static u64 fw_cfg_read(void *opaque, u64 offset, u32 size)
{
	struct fw_cfg *s = opaque;
	u64 value = 0;

	if (offset == FW_CFG_DATA && size == 1)
		return fw_cfg_next_byte(s);
	if (offset < FW_CFG_DMA)
		return 0;
	for (u32 i = 0; i < size; i++)
		value |= (FW_CFG_DMA_SIGNATURE >>
				  (56 - 8 * (offset - FW_CFG_DMA + i)) &
			  0xff)
			 << 8 * i;
	return value;
}

static void fw_cfg_write(void *opaque, u64 offset, u32 size, u64 value)
{
	struct fw_cfg *s = opaque;

	if (offset == FW_CFG_SELECT && size == 2) {
		fw_cfg_select(s, value);
	} else if (offset == FW_CFG_DMA && size == 4) {
		s->dma_high = be32toh((u32)value);
	} else if (offset == FW_CFG_DMA + 4 && size == 4) {
		u64 at = (u64)s->dma_high << 32 | be32toh((u32)value);

		s->dma_high = 0;
		fw_cfg_dma(s, at);
	}
}

/* Port 0x511 overlaps the upper half of the selector, so accesses come as
 * the guest makes them. */
static const struct region_ops fw_cfg_ops = {
	.read = fw_cfg_read,
	.write = fw_cfg_write,
	.max_size = 4,
	.unaligned = true,
};

/* ---- Device ---- */

static const struct state_field fw_cfg_state[] = {
	STATE_(STATE_U16, struct fw_cfg, key),
	STATE_(STATE_U32, struct fw_cfg, offset),
	STATE_(STATE_U32, struct fw_cfg, dma_high),
	STATE_END,
};

static int fw_cfg_init(struct device *dev, struct err *err)
{
	struct fw_cfg *s = (struct fw_cfg *)dev;
	struct machine *m = dev->m;
	u8 ram[8];

	region_map(&s->io, &m->io, "fwcfg", FW_CFG_BASE, FW_CFG_PORTS,
		   &fw_cfg_ops, s);
	put_le64(ram, m->ram_size);
	fw_cfg_add_bytes(dev, FW_CFG_SIGNATURE, "QEMU", 4);
	fw_cfg_add_u32(dev, FW_CFG_ID, 3); /* ports and DMA */
	fw_cfg_add_bytes(dev, FW_CFG_UUID, m->uuid, sizeof m->uuid);
	fw_cfg_add_bytes(dev, FW_CFG_RAM_SIZE, ram, sizeof ram);
	fw_cfg_add_u16(dev, FW_CFG_NOGRAPHIC, 0);
	fw_cfg_add_u16(dev, FW_CFG_NB_CPUS, m->topo.cpus);
	fw_cfg_add_u16(dev, FW_CFG_MAX_CPUS, m->topo.maxcpus);
	fw_cfg_add_u16(dev, FW_CFG_BOOT_MENU, 0);
	fw_cfg_add_u32(dev, FW_CFG_IRQ0_OVERRIDE, 1);
	fw_cfg_update_dir(s);
	m->fw_cfg = dev;
	return 0;
}

static void fw_cfg_reset(struct device *dev)
{
	struct fw_cfg *s = (struct fw_cfg *)dev;

	s->key = s->offset = s->dma_high = 0;
}

static void fw_cfg_fini(struct device *dev)
{
	struct fw_cfg *s = (struct fw_cfg *)dev;

	region_unmap(&s->io);
	for (int i = 0; i < s->nitems; i++)
		free(s->item[i].data);
	if (dev->m->fw_cfg == dev)
		dev->m->fw_cfg = NULL;
}

const struct device_class fw_cfg_class = {
	.name = "fw_cfg",
	.desc = "firmware configuration",
	.bus = BUS_SYSTEM,
	.size = sizeof(struct fw_cfg),
	.state = fw_cfg_state,
	.init = fw_cfg_init,
	.reset = fw_cfg_reset,
	.fini = fw_cfg_fini,
	.info = fw_cfg_info,
};
