/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the monitor shows of drives, as text in QEMU's layout.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "block/block.h"
#include "block/image.h"
#include "block/internal.h"
#include "lib/buf.h"
#include "lib/clock.h"

#define INFO_LAYERS 16

int block_layers(struct block *b, struct block_layer *out, int max)
{
	int n = b->root ? b->root->drv->layers(b->root, out, max) : 0;

	if (b->stays && n && max)
		snprintf(out[0].node, sizeof(out[0].node), "%s", b->id);
	return n;
}

void image_format_size(u64 bytes, struct buf *out)
{
	static const char *const units[] = { "B",   "KiB", "MiB", "GiB",
					     "TiB", "PiB", "EiB" };
	double value = bytes;
	int unit = 0;

	while (value >= 1000 && unit < (int)ARRAY_SIZE(units) - 1) {
		value /= 1024;
		unit++;
	}
	buf_printf(out, "%0.3g %s", value, units[unit]);
}

void image_snapshot_head(struct buf *out)
{
	buf_printf(out, "%-10s%-17s%8s%20s%13s%11s\n", "ID", "TAG", "VM SIZE",
		   "DATE", "VM CLOCK", "ICOUNT");
}

void image_snapshot_line(const struct image_snapshot *p, struct buf *out)
{
	u64 ms = p->clock_ns / NS_PER_MS, s = ms / 1000;
	char date[32], clock[32], icount[24] = "";
	struct buf size = { 0 };
	time_t at = p->seconds;
	struct tm tm = { 0 };

	localtime_r(&at, &tm);
	strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &tm);
	snprintf(clock, sizeof(clock), "%02" PRIu64 ":%02u:%02u.%03u", s / 3600,
		 (unsigned)(s / 60 % 60), (unsigned)(s % 60),
		 (unsigned)(ms % 1000));
	if (p->icount != UINT64_MAX)
		snprintf(icount, sizeof(icount), "%" PRIu64, p->icount);
	image_format_size(p->vm_bytes, &size);
	buf_printf(out, "%-9s %-16s %8s%20s%13s%11s\n", p->id, p->name,
		   buf_str(&size), date, clock, icount);
	buf_fini(&size);
}

static void info_status(struct block *b, struct buf *out)
{
	static const char *const names[] = { NULL, "failed", "nospace" };
	const struct block_tray *tray = b->front ? b->front->tray : NULL;

	if (b->front && b->front->path) {
		buf_puts(out, "    Attached to:      ");
		b->front->path(b->front_opaque, out);
		buf_putc(out, '\n');
	}
	if (!b->front || tray)
		buf_printf(out, "    Removable device: %slocked, tray %s\n",
			   tray && tray->locked(b->front_opaque) ? "" : "not ",
			   tray && tray->open(b->front_opaque) ? "open"
							       : "closed");
	if (b->io_status != BLOCK_IO_OK)
		buf_printf(out, "    I/O status:       %s\n",
			   names[b->io_status]);
}

/* `l` is on top of `below`. */
static void info_backing(const struct block_layer *l,
			 const struct block_layer *below, struct buf *out)
{
	const char *name = l->backing ? l->backing : below->file;

	buf_printf(out, "backing file: %s", name);
	if (strcmp(name, below->file))
		buf_printf(out, " (actual path: %s)", below->file);
	buf_puts(out, "\n");
	if (!l->backing || l->backing_format[0])
		buf_printf(out, "backing file format: %s\n", below->format);
}

static void info_qcow2(const struct block_layer *l, struct buf *out)
{
	static const char *const no_yes[] = { "false", "true" };

	if (!l->version)
		return;
	buf_printf(out,
		   "Format specific information:\n    compat: %s\n"
		   "    compression type: %s\n",
		   l->version < 3 ? "0.10" : "1.1", l->zstd ? "zstd" : "zlib");
	if (l->version >= 3)
		buf_printf(out, "    lazy refcounts: %s\n", no_yes[l->lazy]);
	buf_printf(out, "    refcount bits: %u\n", l->refcount_bits);
	if (l->version >= 3)
		buf_printf(out, "    corrupt: %s\n    extended l2: %s\n",
			   no_yes[l->corrupt], no_yes[l->extended]);
}

static void info_images(const struct block_layer *l, int n, struct buf *out)
{
	buf_puts(out, "\nImages:\n");
	for (int i = 0; i < n; i++) {
		buf_printf(out, "image: %s\nfile format: %s\nvirtual size: ",
			   l[i].file, l[i].format);
		image_format_size(l[i].virtual_size, out);
		buf_printf(out, " (%" PRIu64 " bytes)\ndisk size: ",
			   l[i].virtual_size);
		image_format_size(l[i].disk_size, out);
		buf_putc(out, '\n');
		if (l[i].cluster_size)
			buf_printf(out, "cluster_size: %u\n",
				   l[i].cluster_size);
		if (i + 1 < n)
			info_backing(&l[i], &l[i + 1], out);
		info_qcow2(&l[i], out);
	}
}

static void info_limits(struct block *b, struct buf *out)
{
	static const char *const names[] = { "bps",  "bps_rd",  "bps_wr",
					     "iops", "iops_rd", "iops_wr" };
	const char *group;
	const struct block_limits *l = block_limits(b, &group);

	if (!l)
		return;
	buf_puts(out, "    I/O throttling:  ");
	for (int half = 0; half < BLOCK_LIMITS; half += 3) {
		for (int i = half; i < half + 3; i++)
			buf_printf(out, " %s=%" PRIu64, names[i], l->v[i].avg);
		for (int i = half; i < half + 3; i++)
			buf_printf(out, " %s_max=%" PRIu64, names[i],
				   l->v[i].max);
	}
	buf_printf(out, " iops_size=%" PRIu64 " group=%s\n", l->op_size, group);
}

void block_info(struct block *b, bool verbose, struct buf *out)
{
	static const char *const zeroes[] = { "off", "on", "unmap" };
	struct block_layer l[INFO_LAYERS];
	int n = MIN(block_layers(b, l, INFO_LAYERS), INFO_LAYERS);

	if (n == 0) {
		buf_printf(out, "%s: [not inserted]\n", b->id);
		info_status(b, out);
		return;
	}
	buf_puts(out, b->id);
	if (!b->stays)
		buf_printf(out, " (%s)", l[0].node);
	buf_printf(out, ": %s (%s%s)\n", l[0].file, l[0].format,
		   b->readonly ? ", read-only" : "");
	info_status(b, out);
	buf_printf(out, "    Cache mode:       %s%s%s\n",
		   b->write_cache ? "writeback" : "writethrough",
		   l[n - 1].direct ? ", direct" : "",
		   l[n - 1].no_flush ? ", ignore flushes" : "");
	if (n > 1)
		buf_printf(out, "    Backing file:     %s (chain depth: %d)\n",
			   l[1].file, n - 1);
	if (b->detect_zeroes)
		buf_printf(out, "    Detect zeroes:    %s\n",
			   zeroes[b->detect_zeroes]);
	info_limits(b, out);
	if (verbose)
		info_images(l, n, out);
}

void block_stats_line(struct block *b, struct buf *out)
{
	const struct block_stats *s = &b->stats;
	u64 idle = s->last_access_ns ? clock_mono_ns() - s->last_access_ns : 0;

	buf_printf(out,
		   "%s: rd_bytes=%" PRIu64 " wr_bytes=%" PRIu64
		   " rd_operations=%" PRIu64 " wr_operations=%" PRIu64
		   " flush_operations=%" PRIu64 " wr_total_time_ns=%" PRIu64
		   " rd_total_time_ns=%" PRIu64 " flush_total_time_ns=%" PRIu64
		   " rd_merged=0 wr_merged=0 idle_time_ns=%" PRIu64 "\n",
		   b->id, s->bytes[BLOCK_READ], s->bytes[BLOCK_WRITE],
		   s->ops[BLOCK_READ], s->ops[BLOCK_WRITE], s->ops[BLOCK_FLUSH],
		   s->time_ns[BLOCK_WRITE], s->time_ns[BLOCK_READ],
		   s->time_ns[BLOCK_FLUSH], idle);
}
