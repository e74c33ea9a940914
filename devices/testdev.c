/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Test device: what the guests of kvm-unit-tests want of a machine.
 *
 *   0xe0       four ports that keep what is written, as one register of any
 *              width; 0xe8, the same register byte by byte
 *   0xe4       a page's address to be thrown out of shadow page tables, of
 *              which there are none: ignored
 *   0x2000+n   level of interrupt line n
 *   0xff000000 64 KiB of memory behind a device's registers
 *
 * Locking: machine_lock.
 */
#include <string.h>

#include "vmm/device.h"
#include "vmm/irq.h"
#include "vmm/machine.h"
#include "vmm/memory.h"
#include "vmm/state.h"

#define TESTDEV_IOMEM 0xff000000u

struct testdev {
	struct device dev;
	u8 port[4];
	u8 mem[0x10000];
	struct region port_io, byte_io, flush_io, line_io, mem_io;
};

static u64 testdev_port_read(void *opaque, u64 offset, u32 size)
{
	struct testdev *s = opaque;
	u64 value = 0;

	memcpy(&value, s->port + offset, size);
	return value;
}

static void testdev_port_write(void *opaque, u64 offset, u32 size, u64 value)
{
	struct testdev *s = opaque;

	memcpy(s->port + offset, &value, size);
}

static u64 testdev_mem_read(void *opaque, u64 offset, u32 size)
{
	struct testdev *s = opaque;
	u64 value = 0;

	memcpy(&value, s->mem + offset, size);
	return value;
}

static void testdev_mem_write(void *opaque, u64 offset, u32 size, u64 value)
{
	struct testdev *s = opaque;

	memcpy(s->mem + offset, &value, size);
}

static u64 testdev_none_read(void *opaque, u64 offset, u32 size)
{
	return 0;
}

static void testdev_flush_write(void *opaque, u64 offset, u32 size, u64 value)
{
}

static void testdev_line_write(void *opaque, u64 offset, u32 size, u64 value)
{
	struct testdev *s = opaque;

	irq_set(&s->dev.m->gsi[offset], value != 0);
}

static const struct region_ops testdev_port_ops = {
	.read = testdev_port_read,
	.write = testdev_port_write,
};

static const struct region_ops testdev_byte_ops = {
	.read = testdev_port_read,
	.write = testdev_port_write,
	.max_size = 1,
};

static const struct region_ops testdev_flush_ops = {
	.read = testdev_none_read,
	.write = testdev_flush_write,
};

static const struct region_ops testdev_line_ops = {
	.read = testdev_none_read,
	.write = testdev_line_write,
	.max_size = 1,
};

static const struct region_ops testdev_mem_ops = {
	.read = testdev_mem_read,
	.write = testdev_mem_write,
	.max_size = 8,
	.unaligned = true,
};

static const struct state_field testdev_state[] = {
	STATE_(STATE_BYTES, struct testdev, port),
	STATE_(STATE_BYTES, struct testdev, mem),
	STATE_END,
};

static int testdev_init(struct device *dev, struct err *err)
{
	struct testdev *s = (struct testdev *)dev;
	struct space *io = &dev->m->io;

	region_map(&s->port_io, io, "pc-testdev-ioport", 0xe0, sizeof(s->port),
		   &testdev_port_ops, s);
	region_map(&s->byte_io, io, "pc-testdev-ioport-byte", 0xe8,
		   sizeof(s->port), &testdev_byte_ops, s);
	region_map(&s->flush_io, io, "pc-testdev-flush-page", 0xe4, 4,
		   &testdev_flush_ops, s);
	region_map(&s->line_io, io, "pc-testdev-irq-line", 0x2000,
		   ARRAY_SIZE(dev->m->gsi), &testdev_line_ops, s);
	region_map(&s->mem_io, &dev->m->memory, "pc-testdev-iomem",
		   TESTDEV_IOMEM, sizeof(s->mem), &testdev_mem_ops, s);
	return 0;
}

static void testdev_fini(struct device *dev)
{
	struct testdev *s = (struct testdev *)dev;

	region_unmap(&s->port_io);
	region_unmap(&s->byte_io);
	region_unmap(&s->flush_io);
	region_unmap(&s->line_io);
	region_unmap(&s->mem_io);
}

const struct device_class testdev_class = {
	.name = "pc-testdev",
	.desc = "ports and memory for kvm-unit-tests",
	.bus = BUS_ISA,
	.size = sizeof(struct testdev),
	.user = true,
	.state = testdev_state,
	.init = testdev_init,
	.fini = testdev_fini,
};
