/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * virtio-blk: disks.
 *
 * Each queue has one request slot per ring entry, made when the driver is
 * ready; the data path allocates nothing.  Headers are copied out of guest
 * memory before they are looked at.  What the drive fails is reported,
 * ignored, or kept until the machine runs again, as rerror= and werror= say.
 *
 * Spec: virtio 1.2 §5.2.
 * Locking: machine_lock.
 */
#include <errno.h>
#include <linux/virtio_blk.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "lib/buf.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/iov.h"
#include "lib/log.h"
#include "virtio/pci.h"
#include "virtio/virtio.h"
#include "vmm/drive_error.h"
#include "vmm/machine.h"

#define BLK_SECTOR        512u
#define BLK_HEADER_BYTES  16u
#define BLK_SEGMENT_BYTES 16u
#define BLK_ID_BYTES      VIRTIO_BLK_ID_BYTES
#define BLK_SEG_MAX       254u /* data segments we offer */
#define BLK_QUEUES_AUTO   UINT16_MAX
#define BLK_RANGE_SECTORS 0x3fffffu /* default of max-*-sectors */
#define BLK_CONFIG(field) offsetof(struct virtio_blk_config, field)

struct blk;

struct blk_req {
	struct block_req req;
	struct chain chain;
	struct iovec *iov; /* the data part of the chain; in blk_queue.mem */
	struct blk *s;
	struct queue *q;
	u32 type;
	struct list node; /* free or stopped */
};

struct blk_queue {
	struct blk_req *reqs; /* owned; one per ring entry */
	void *mem;            /* owned; their vectors */
	struct list free;     /* of struct blk_req, last used first */
};

struct blk {
	struct virtio v;
	struct block *drive; /* borrowed; attached */
	struct blk_queue queue[VIRTIO_QUEUES_MAX];
	u64 pushed;          /* queues with something to notify */
	struct list stopped; /* failed requests to try again */
	bool drive_wce;      /* write cache as the drive was opened */

	/* Options. */
	u16 num_queues, queue_size;
	u64 logical_size, physical_size, min_io, opt_io;
	u32 max_discard, max_zeroes, bootindex;
	u32 cyls, heads, secs;
	bool discard, write_zeroes, config_wce, share_rw, merging, seg_adjust;
	bool scsi;
	int write_cache; /* on, off, auto */
	int rerror, werror;
	char *serial; /* owned */
};

static struct blk *blk_of(struct virtio *v)
{
	return container_of(v, struct blk, v);
}

/* ---- Completing ---- */

static void blk_finish(struct blk_req *r, u8 status)
{
	struct blk *s = r->s;
	struct queue *q = r->q;

	chain_write(&r->chain, r->chain.in_len - 1, &status, 1);
	queue_push(q, &r->chain, r->chain.in_len);
	s->pushed |= BIT(q->index);
	list_insert(&s->queue[q->index].free, &r->node);
}

static void blk_notify(struct blk *s)
{
	while (s->pushed) {
		int i = __builtin_ctzll(s->pushed);

		s->pushed &= ~BIT(i);
		queue_notify(&s->v.queue[i]);
	}
}

static void blk_settled(void *opaque)
{
	blk_notify(opaque);
}

static void blk_done(struct block_req *req)
{
	struct blk_req *r = container_of(req, struct blk_req, req);
	struct blk *s = r->s;
	enum block_on_error action = BLOCK_ERR_IGNORE;

	if (req->result < 0)
		action = drive_failed(s->v.pci.dev.m, s->drive, req->counted,
				      req->result);
	if (action == BLOCK_ERR_STOP) /* until the machine goes on */
		list_append(&s->stopped, &r->node);
	else
		blk_finish(r, action == BLOCK_ERR_IGNORE ? VIRTIO_BLK_S_OK
							 : VIRTIO_BLK_S_IOERR);
}

/* ---- Starting ---- */

/* Fills the range; false when it is not on the disk. */
static bool blk_range(struct blk_req *r, u64 sector, u64 bytes)
{
	u64 size = r->s->drive->size;

	if (sector > size / BLK_SECTOR || bytes > size - sector * BLK_SECTOR)
		return false;
	r->req.offset = sector * BLK_SECTOR;
	r->req.bytes = bytes;
	return true;
}

static u8 blk_rw(struct blk_req *r, u64 sector, bool write)
{
	struct chain *c = &r->chain;
	u64 len = write ? c->out_len - BLK_HEADER_BYTES : c->in_len - 1;
	int n;

	if (len % r->s->logical_size || !blk_range(r, sector, len))
		return VIRTIO_BLK_S_IOERR;
	if (write && r->s->drive->readonly)
		return VIRTIO_BLK_S_IOERR;
	n = write ? iov_slice(c->out, c->nout, BLK_HEADER_BYTES, len, r->iov,
			      c->max)
		  : iov_slice(c->in, c->nin, 0, len, r->iov, c->max);
	if (n < 0)
		return VIRTIO_BLK_S_IOERR;
	r->req.iov = r->iov;
	r->req.niov = n;
	if (write)
		block_write(r->s->drive, &r->req);
	else
		block_read(r->s->drive, &r->req);
	return VIRTIO_BLK_S_OK;
}

/* Discard and write zeroes: one segment, as max_*_seg says. */
static u8 blk_range_op(struct blk_req *r, bool zeroes)
{
	struct blk *s = r->s;
	u32 max = zeroes ? s->max_zeroes : s->max_discard;
	u8 raw[BLK_SEGMENT_BYTES];
	u32 sectors, flags;

	if (r->chain.out_len != BLK_HEADER_BYTES + BLK_SEGMENT_BYTES)
		return VIRTIO_BLK_S_IOERR;
	chain_read(&r->chain, BLK_HEADER_BYTES, raw, sizeof(raw));
	sectors = get_le32(raw + 8);
	flags = get_le32(raw + 12);
	if (flags & ~(zeroes ? VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 0))
		return VIRTIO_BLK_S_UNSUPP;
	if (sectors > max || s->drive->readonly ||
	    !blk_range(r, get_le64(raw), (u64)sectors * BLK_SECTOR))
		return VIRTIO_BLK_S_IOERR;
	if (flags)
		r->req.flags |= BLOCK_REQ_UNMAP;
	if (zeroes)
		block_write_zeroes(s->drive, &r->req);
	else
		block_discard(s->drive, &r->req);
	return VIRTIO_BLK_S_OK;
}

static void blk_get_id(struct blk_req *r)
{
	const char *serial = r->s->serial ? r->s->serial : "";
	char id[BLK_ID_BYTES] = "";

	memcpy(id, serial, strnlen(serial, sizeof(id)));
	chain_write(&r->chain, 0, id, MIN(sizeof(id), r->chain.in_len - 1));
	blk_finish(r, VIRTIO_BLK_S_OK);
}

/* A status other than OK ends the request here; otherwise done() does. */
static u8 blk_dispatch(struct blk_req *r, u64 sector)
{
	struct blk *s = r->s;

	switch (r->type) {
	case VIRTIO_BLK_T_IN: return blk_rw(r, sector, false);
	case VIRTIO_BLK_T_OUT: return blk_rw(r, sector, true);
	case VIRTIO_BLK_T_FLUSH:
		block_flush(s->drive, &r->req);
		return VIRTIO_BLK_S_OK;
	case VIRTIO_BLK_T_GET_ID: blk_get_id(r); return VIRTIO_BLK_S_OK;
	case VIRTIO_BLK_T_DISCARD:
		return s->discard ? blk_range_op(r, false)
				  : VIRTIO_BLK_S_UNSUPP;
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return s->write_zeroes ? blk_range_op(r, true)
				       : VIRTIO_BLK_S_UNSUPP;
	default: return VIRTIO_BLK_S_UNSUPP;
	}
}

static bool blk_start(struct blk_req *r)
{
	u8 header[BLK_HEADER_BYTES], status;

	if (r->chain.in_len < 1 ||
	    chain_read(&r->chain, 0, header, sizeof(header)) < sizeof(header)) {
		virtio_break(&r->s->v, "request without header or status");
		return false;
	}
	r->type = get_le32(header);
	r->req.flags = 0;
	status = blk_dispatch(r, get_le64(header + 8));
	if (status != VIRTIO_BLK_S_OK)
		blk_finish(r, status);
	return true;
}

/* The machine runs again: what stopped it gets another chance. */
static void blk_retry(struct blk *s)
{
	struct blk_req *r;
	struct list todo;

	list_init(&todo);
	list_insert(&s->stopped, &todo);
	list_remove(&s->stopped);
	block_set_io_status(s->drive, BLOCK_IO_OK);
	while ((r = list_first(&todo, struct blk_req, node))) {
		list_remove(&r->node);
		blk_start(r);
	}
}

static void blk_handle_queue(struct virtio *v, struct queue *q)
{
	struct blk *s = blk_of(v);
	struct list *free = &s->queue[q->index].free;
	struct blk_req *r;

	block_plug(s->drive);
	if (!list_empty(&s->stopped))
		blk_retry(s);
	while ((r = list_first(free, struct blk_req, node)) &&
	       queue_pop(q, &r->chain)) {
		list_remove(&r->node);
		if (!blk_start(r)) {
			list_insert(free, &r->node);
			break;
		}
	}
	block_unplug(s->drive);
	blk_notify(s);
}

/* ---- The drive ---- */

static void blk_set_capacity(struct blk *s)
{
	u64 sectors = s->drive->size / BLK_SECTOR;
	u32 cyls = MIN(sectors / (16 * 63), 16383);

	put_le64(s->v.config + BLK_CONFIG(capacity), sectors);
	put_le16(s->v.config + BLK_CONFIG(geometry.cylinders),
		 s->cyls ? s->cyls : cyls);
	s->v.config[BLK_CONFIG(geometry.heads)] = s->heads ? s->heads : 16;
	s->v.config[BLK_CONFIG(geometry.sectors)] = s->secs ? s->secs : 63;
}

static void blk_resized(void *opaque)
{
	struct blk *s = opaque;

	blk_set_capacity(s);
	virtio_config_changed(&s->v);
}

static void blk_path(void *opaque, struct buf *out)
{
	struct blk *s = opaque;

	buf_printf(out, "%s/virtio-backend", s->v.pci.dev.path);
}

/* As in Open Firmware; SeaBIOS calls all virtio disks so. */
static void blk_firmware_path(void *opaque, struct buf *out)
{
	struct blk *s = opaque;
	int devfn = s->v.pci.devfn;

	buf_printf(out, "/pci@i0cf8/scsi@%x", devfn >> 3);
	if (devfn & 7)
		buf_printf(out, ",%x", devfn & 7);
	buf_puts(out, "/disk@0,0");
}

static const struct block_front blk_front = {
	.settled = blk_settled,
	.resized = blk_resized,
	.path = blk_path,
	.firmware_path = blk_firmware_path,
};

static void blk_set_cache(struct blk *s, bool on)
{
	block_set_write_cache(s->drive, on);
	s->v.config[BLK_CONFIG(wce)] = on;
}

static void blk_config_write(struct virtio *v, u32 offset, u32 len, u64 value)
{
	if (offset == BLK_CONFIG(wce) && len == 1 &&
	    virtio_has(v, VIRTIO_BLK_F_CONFIG_WCE))
		blk_set_cache(blk_of(v), value & 1);
	else
		log_guest(v->label, "write to read-only configuration");
}

/* ---- Life cycle ---- */

static int blk_init_queue(struct blk *s, struct queue *q)
{
	struct blk_queue *bq = &s->queue[q->index];
	/* Two more for header and status, two for a hole between RAM blocks. */
	u32 max = MIN(q->size - 2u, BLK_SEG_MAX) + 4;
	size_t one = max * (2 * sizeof(struct iovec) + sizeof(gpa_t));
	u8 *mem;

	list_init(&bq->free);
	bq->reqs = calloc(q->size, sizeof(*bq->reqs));
	bq->mem = calloc(q->size, one);
	if (!bq->reqs || !bq->mem)
		return -ENOMEM;
	mem = bq->mem;
	for (u32 i = 0; i < q->size; i++, mem += one) {
		struct blk_req *r = &bq->reqs[i];

		chain_use(&r->chain, (struct iovec *)mem,
			  (gpa_t *)(mem + 2 * max * sizeof(struct iovec)), max);
		r->iov = (struct iovec *)mem + max;
		r->s = s;
		r->q = q;
		r->req.done = blk_done;
		list_append(&bq->free, &r->node);
	}
	return 0;
}

static int blk_activate(struct virtio *v)
{
	struct blk *s = blk_of(v);
	int r = 0;

	for (int i = 0; i < v->nqueues && r == 0; i++)
		if (v->queue[i].active)
			r = blk_init_queue(s, &v->queue[i]);
	/* virtio 1.2 §5.2.5.1: a driver that cannot flush gets writethrough,
	 * unless it can choose for itself. */
	if (!virtio_has(v, VIRTIO_BLK_F_CONFIG_WCE))
		blk_set_cache(s, s->drive_wce &&
					 virtio_has(v, VIRTIO_BLK_F_FLUSH));
	return r;
}

static void blk_reset(struct virtio *v)
{
	struct blk *s = blk_of(v);

	if (!s->drive || s->drive->front_opaque != s)
		return;
	block_drain(s->drive);
	list_init(&s->stopped);
	s->pushed = 0;
	for (int i = 0; i < v->nqueues; i++) {
		free(s->queue[i].reqs);
		free(s->queue[i].mem);
		s->queue[i] = (struct blk_queue){ 0 };
	}
	blk_set_cache(s, s->drive_wce);
}

static bool blk_size_ok(u64 size)
{
	return size >= 512 && size <= 2 * MIB && !(size & (size - 1));
}

static int blk_check_options(struct blk *s, struct err *err)
{
	u16 cpus = MAX(s->v.pci.dev.m->topo.cpus, 1);

	if (!s->drive)
		return err_set(err, -EINVAL, "drive property not set");
	if (s->scsi)
		return err_set(err, -ENOTSUP,
			       "scsi=on: SCSI requests are not supported");
	if (s->num_queues == BLK_QUEUES_AUTO)
		s->num_queues = MIN(cpus, VIRTIO_QUEUES_MAX);
	if (s->num_queues < 1 || s->num_queues > VIRTIO_QUEUES_MAX)
		return err_set(err, -EINVAL, "num-queues=%u: not 1 to %d",
			       s->num_queues, VIRTIO_QUEUES_MAX);
	if (s->queue_size < 4 || s->queue_size > QUEUE_SIZE_MAX ||
	    s->queue_size & (s->queue_size - 1))
		return err_set(err, -EINVAL,
			       "queue-size=%u: not a power of two from 4 to %d",
			       s->queue_size, QUEUE_SIZE_MAX);
	s->logical_size = s->logical_size ? s->logical_size : BLK_SECTOR;
	s->physical_size = MAX(s->physical_size, s->logical_size);
	if (!blk_size_ok(s->logical_size) || !blk_size_ok(s->physical_size))
		return err_set(err, -EINVAL,
			       "block sizes must be powers of two from 512 B "
			       "to 2 MiB");
	return 0;
}

static void blk_offer(struct blk *s)
{
	u64 offered = BIT(VIRTIO_BLK_F_SEG_MAX) | BIT(VIRTIO_BLK_F_GEOMETRY) |
		      BIT(VIRTIO_BLK_F_BLK_SIZE) | BIT(VIRTIO_BLK_F_TOPOLOGY) |
		      BIT(VIRTIO_BLK_F_FLUSH);

	if (s->drive->readonly) {
		offered |= BIT(VIRTIO_BLK_F_RO);
		s->discard = false;
		s->write_zeroes = false;
	}
	if (s->config_wce)
		offered |= BIT(VIRTIO_BLK_F_CONFIG_WCE);
	if (s->num_queues > 1)
		offered |= BIT(VIRTIO_BLK_F_MQ);
	if (s->discard)
		offered |= BIT(VIRTIO_BLK_F_DISCARD);
	if (s->write_zeroes)
		offered |= BIT(VIRTIO_BLK_F_WRITE_ZEROES);
	s->v.offered |= offered;
}

static void blk_fill_config(struct blk *s)
{
	u8 *c = s->v.config;
	u32 unit = s->logical_size / BLK_SECTOR;

	blk_set_capacity(s);
	put_le32(c + BLK_CONFIG(seg_max), MIN(s->queue_size - 2u, BLK_SEG_MAX));
	put_le32(c + BLK_CONFIG(blk_size), s->logical_size);
	c[BLK_CONFIG(physical_block_exp)] =
		__builtin_ctzll(s->physical_size / s->logical_size);
	put_le16(c + BLK_CONFIG(min_io_size), s->min_io / s->logical_size);
	put_le32(c + BLK_CONFIG(opt_io_size), s->opt_io / s->logical_size);
	put_le16(c + BLK_CONFIG(num_queues), s->num_queues);
	put_le32(c + BLK_CONFIG(max_discard_sectors), s->max_discard);
	put_le32(c + BLK_CONFIG(max_discard_seg), 1);
	put_le32(c + BLK_CONFIG(discard_sector_alignment), unit);
	put_le32(c + BLK_CONFIG(max_write_zeroes_sectors), s->max_zeroes);
	put_le32(c + BLK_CONFIG(max_write_zeroes_seg), 1);
	c[BLK_CONFIG(write_zeroes_may_unmap)] = 1;
}

static int blk_init(struct virtio *v, struct err *err)
{
	struct blk *s = blk_of(v);
	int r = blk_check_options(s, err);

	list_init(&s->stopped);
	if (r < 0)
		return r;
	if (!s->drive->root)
		return err_set(err, -ENOMEDIUM,
			       "Device needs media, but drive is empty");
	r = block_attach(s->drive, &blk_front, s, err);
	if (r < 0)
		return r;
	if (s->share_rw)
		block_share(s->drive);
	if (!s->serial && s->drive->serial)
		s->serial = strdup(s->drive->serial);
	drive_set_on_error(s->drive, s->rerror, s->werror);
	if (s->write_cache >= 0)
		block_set_write_cache(s->drive, s->write_cache);
	block_set_boot_index(s->drive, s->bootindex);
	s->drive_wce = s->drive->write_cache;
	v->config[BLK_CONFIG(wce)] = s->drive_wce;
	v->nqueues = s->num_queues;
	for (int i = 0; i < v->nqueues; i++)
		v->queue[i].size_max = s->queue_size;
	blk_offer(s);
	blk_fill_config(s);
	return 0;
}

static void blk_fini(struct virtio *v)
{
	struct blk *s = blk_of(v);

	block_detach(s->drive, s);
}

static void blk_info(struct virtio *v, struct buf *out)
{
	struct blk *s = blk_of(v);

	buf_printf(out, "drive \"%s\", %llu bytes, %d queue%s of %u\n",
		   s->drive->id, (unsigned long long)s->drive->size, v->nqueues,
		   v->nqueues == 1 ? "" : "s", s->queue_size);
}

static const struct virtio_class blk_class = {
	.name = "virtio-blk",
	.id = 2,
	.pci_legacy_id = 0x1001,
	.pci_class = 0x010000,
	.config_size = sizeof(struct virtio_blk_config),
	.init = blk_init,
	.fini = blk_fini,
	.activate = blk_activate,
	.reset = blk_reset,
	.handle_queue = blk_handle_queue,
	.config_write = blk_config_write,
	.info = blk_info,
};

/* clang-format off */
#define ROW(name, type, field, def, help, arg) \
	{ name, &type, offsetof(struct blk, field), def, help, arg }

static const struct option_row blk_options[] = {
	VIRTIO_OPTION_ROWS,
	ROW("drive", opt_drive, drive, NULL, "id of the -drive", NULL),
	ROW("num-queues", opt_u16, num_queues, "65535",
	    "request queues; 65535: one per vCPU", NULL),
	ROW("queue-size", opt_u16, queue_size, "256", "entries per queue",
	    NULL),
	ROW("serial", opt_str, serial, NULL, "serial number, 20 characters",
	    NULL),
	ROW("bootindex", opt_u32, bootindex, "4294967295",
	    "order in which firmware tries devices", NULL),
	ROW("logical_block_size", opt_size, logical_size, "0",
	    "unit of requests", NULL),
	ROW("physical_block_size", opt_size, physical_size, "0",
	    "unit that needs no rewriting", NULL),
	ROW("min_io_size", opt_size, min_io, "0", "hint", NULL),
	ROW("opt_io_size", opt_size, opt_io, "0", "hint", NULL),
	ROW("discard", opt_bool, discard, "on", "offer discard", NULL),
	ROW("write-zeroes", opt_bool, write_zeroes, "on",
	    "offer write zeroes", NULL),
	ROW("max-discard-sectors", opt_u32, max_discard, "4194303",
	    "per request", NULL),
	ROW("max-write-zeroes-sectors", opt_u32, max_zeroes, "4194303",
	    "per request", NULL),
	ROW("scsi", opt_bool, scsi, "off", "only off: no SCSI requests", NULL),
	ROW("config-wce", opt_bool, config_wce, "on",
	    "the guest may switch the write cache", NULL),
	ROW("write-cache", opt_onoffauto, write_cache, "auto",
	    "auto: as the drive says", NULL),
	ROW("rerror", opt_on_error, rerror, "auto",
	    "on read errors; auto: as the drive says", drive_error_names),
	ROW("werror", opt_on_error, werror, "auto",
	    "on write errors; auto: as the drive says", drive_error_names),
	ROW("share-rw", opt_bool, share_rw, "off",
	    "others may write the image too", NULL),
	ROW("request-merging", opt_bool, merging, "on",
	    "accepted; requests are passed on as they are", NULL),
	ROW("seg-max-adjust", opt_bool, seg_adjust, "on",
	    "accepted; always on", NULL),
	ROW("cyls", opt_u32, cyls, "0", "geometry", NULL),
	ROW("heads", opt_u32, heads, "0", "geometry", NULL),
	ROW("secs", opt_u32, secs, "0", "geometry", NULL),
	OPTION_END,
};
/* clang-format on */

#undef ROW

const struct device_class virtio_blk_pci_class =
	VIRTIO_PCI_CLASS("virtio-blk-pci", "disk", DEVICE_STORAGE, struct blk,
			 blk_options, NULL, &blk_class);
