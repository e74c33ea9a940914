/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Debug console: bytes written to one port go to a chardev.
 *
 * Firmware prints through it before any UART is set up.  A read returns a
 * signature, so that a guest can tell that the port exists.
 *
 * Locking: machine_lock.
 */
#include <errno.h>

#include "chardev/chardev.h"
#include "lib/err.h"
#include "vmm/device.h"
#include "vmm/machine.h"
#include "vmm/memory.h"

struct debugcon {
	struct device dev;
	struct chardev *chr; /* borrowed; NULL drops the bytes */
	u32 iobase, readback;
	struct region io;
};

static u64 debugcon_read(void *opaque, u64 offset, u32 size)
{
	return ((struct debugcon *)opaque)->readback;
}

static void debugcon_write(void *opaque, u64 offset, u32 size, u64 value)
{
	struct debugcon *s = opaque;
	u8 byte = value;

	chr_write(s->chr, &byte, 1);
}

static const struct region_ops debugcon_ops = {
	.read = debugcon_read,
	.write = debugcon_write,
	.max_size = 1,
};

static void debugcon_change(void *opaque, struct chardev *chr)
{
	((struct debugcon *)opaque)->chr = chr;
}

static const struct chr_front debugcon_front = { .change = debugcon_change };

static const struct option_row debugcon_options[] = {
	{ "chardev", &opt_chardev, offsetof(struct debugcon, chr), NULL,
	  "where the bytes go", NULL },
	{ "iobase", &opt_u32, offsetof(struct debugcon, iobase), "0xe9",
	  "port number", NULL },
	{ "readback", &opt_u32, offsetof(struct debugcon, readback), "0xe9",
	  "byte that a read gives", NULL },
	OPTION_END,
};

static int debugcon_init(struct device *dev, struct err *err)
{
	struct debugcon *s = (struct debugcon *)dev;
	int r;

	if (s->iobase > 0xffff)
		return err_set(err, -EINVAL, "iobase 0x%x is no I/O port",
			       s->iobase);
	if (s->chr) {
		r = chr_attach(s->chr, &debugcon_front, s, err);
		if (r < 0) {
			s->chr = NULL; /* not ours to detach */
			return r;
		}
	}
	region_map(&s->io, &dev->m->io, "isa-debugcon", s->iobase, 1,
		   &debugcon_ops, s);
	return 0;
}

static void debugcon_fini(struct device *dev)
{
	struct debugcon *s = (struct debugcon *)dev;

	if (s->chr)
		chr_detach(s->chr, s);
	region_unmap(&s->io);
}

const struct device_class debugcon_class = {
	.name = "isa-debugcon",
	.desc = "debug console port",
	.bus = BUS_ISA,
	.size = sizeof(struct debugcon),
	.user = true,
	.options = debugcon_options,
	.init = debugcon_init,
	.fini = debugcon_fini,
};
