/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Ring buffer: keeps the newest output, the front end's or the monitor's
 * ringbuf_write, in memory for ringbuf_read.
 *
 * Locking: `ring` by out_lock.
 */
#include <errno.h>

#include "chardev/internal.h"
#include "lib/err.h"

struct chr_ring {
	struct chardev chr;
	u64 size;
	struct fifo ring;
};

static const struct opt_range ring_sizes = { 1, GIB };

static const struct option_row ring_options[] = {
	{ "size", &opt_size, offsetof(struct chr_ring, size), "64K",
	  "bytes kept, a power of two", &ring_sizes },
	OPTION_END,
};

static int ring_open(struct chardev *chr, struct err *err)
{
	struct chr_ring *s = (struct chr_ring *)chr;

	if (s->size & (s->size - 1))
		return err_set(err, -EINVAL,
			       "size of ringbuf chardev must be power of two");
	fifo_init(&s->ring, s->size);
	chr_event(chr, CHR_OPENED);
	return 0;
}

static void ring_close(struct chardev *chr)
{
	struct chr_ring *s = (struct chr_ring *)chr;

	fifo_fini(&s->ring);
}

static ssize_t ring_write(struct chardev *chr, const u8 *data, size_t len)
{
	struct chr_ring *s = (struct chr_ring *)chr;

	fifo_put_newest(&s->ring, data, len);
	return len;
}

const struct chardev_class ringbuf_chardev_class = {
	.name = "ringbuf",
	.desc = "keeps the newest output in memory",
	.size = sizeof(struct chr_ring),
	.options = ring_options,
	.open = ring_open,
	.close = ring_close,
	.write = ring_write,
};

ssize_t chr_ring_read(struct chardev *chr, u8 *data, size_t len)
{
	struct chr_ring *s = (struct chr_ring *)chr;
	size_t n;

	if (!chr || chr->class != &ringbuf_chardev_class)
		return -EINVAL;
	lock_acquire(&chr->out_lock);
	n = fifo_get(&s->ring, data, len);
	lock_release(&chr->out_lock);
	return n;
}

ssize_t chr_ring_write(struct chardev *chr, const u8 *data, size_t len)
{
	if (!chr || chr->class != &ringbuf_chardev_class)
		return -EINVAL;
	return chr_write(chr, data, len);
}
