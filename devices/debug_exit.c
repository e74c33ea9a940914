/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Debug exit port: a write ends the process with status (value << 1) | 1.
 * For test guests.
 *
 * Locking: machine_lock.
 */
#include <errno.h>

#include "lib/err.h"
#include "vmm/device.h"
#include "vmm/machine.h"
#include "vmm/memory.h"
#include "vmm/runstate.h"

struct debug_exit {
	struct device dev;
	u32 iobase, iosize;
	struct region io;
};

static u64 debug_exit_read(void *opaque, u64 offset, u32 size)
{
	return 0;
}

static void debug_exit_write(void *opaque, u64 offset, u32 size, u64 value)
{
	struct debug_exit *s = opaque;

	runstate_request_quit(s->dev.m, (int)((u32)value << 1 | 1),
			      "guest-shutdown");
}

static const struct region_ops debug_exit_ops = {
	.read = debug_exit_read,
	.write = debug_exit_write,
	.max_size = 4,
	.unaligned = true,
};

static const struct option_row debug_exit_options[] = {
	{ "iobase", &opt_u32, offsetof(struct debug_exit, iobase), "0x501",
	  "first port", NULL },
	{ "iosize", &opt_u32, offsetof(struct debug_exit, iosize), "2",
	  "number of ports", NULL },
	OPTION_END,
};

static int debug_exit_init(struct device *dev, struct err *err)
{
	struct debug_exit *s = (struct debug_exit *)dev;

	if (!s->iosize || s->iobase > 0xffff || s->iosize > 0x10000 - s->iobase)
		return err_set(err, -EINVAL,
			       "iobase 0x%x with iosize 0x%x is no range of "
			       "I/O ports",
			       s->iobase, s->iosize);
	region_map(&s->io, &dev->m->io, "isa-debug-exit", s->iobase, s->iosize,
		   &debug_exit_ops, s);
	return 0;
}

static void debug_exit_fini(struct device *dev)
{
	region_unmap(&((struct debug_exit *)dev)->io);
}

const struct device_class debug_exit_class = {
	.name = "isa-debug-exit",
	.desc = "port that ends the process",
	.bus = BUS_ISA,
	.size = sizeof(struct debug_exit),
	.user = true,
	.options = debug_exit_options,
	.init = debug_exit_init,
	.fini = debug_exit_fini,
};
