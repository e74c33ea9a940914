/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The firmware's ports: calls and their waiting.
 */
#include "devices/bios.h"

#include <errno.h>
#include <string.h>

#include "devices/pc.h"
#include "lib/bytes.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "vmm/boot_bios.h"
#include "vmm/machine.h"
#include "vmm/runstate.h"
#include "vmm/state.h"

/* How long a vCPU waits at most before interrupts get a chance. */
#define BIOS_WAIT_NS (5 * NS_PER_MS)

_Static_assert(sizeof(struct bios_frame) == BIOS_F_SIZE, "as the ROM's");

/* ---- Requests ---- */

static void bios_set_state(struct bios *s, enum bios_state state)
{
	lock_acquire(&s->lock);
	s->state = state;
	cond_broadcast(&s->changed);
	lock_release(&s->lock);
}

/* What the drive's policy says about a failure: the machine may stop, and the
 * call is made again when it goes on. */
static bool bios_stops(struct bios *s, int result)
{
	struct block *b = s->req.block;

	if (!result || result == -ENOMEDIUM ||
	    block_error_action(b, s->op, result) != BLOCK_ERR_STOP)
		return false;
	block_set_io_status(b, result == -ENOSPC ? BLOCK_IO_NOSPACE
						 : BLOCK_IO_FAILED);
	runstate_request_stop(s->dev.m, RUN_IO_ERROR);
	return true;
}

static void bios_done(struct block_req *req)
{
	struct bios *s = container_of(req, struct bios, req);

	s->stopped = bios_stops(s, req->result);
	if (s->op == BLOCK_READ && s->len)
		mem_written(&s->dev.m->mem, s->at, s->len);
	bios_set_state(s, BIOS_READY);
}

struct bios_drive *bios_drive(struct bios *s, u8 number)
{
	for (int i = 0; i < s->ndrives; i++) {
		struct bios_drive *d = &s->drive[i];

		if (d->number != number)
			continue;
		for (struct block *b = block_next(NULL); b; b = block_next(b))
			if (b == d->block)
				return d;
	}
	return NULL;
}

bool bios_submit(struct bios *s, struct bios_drive *d, enum block_op op,
		 u64 offset, gpa_t at, u64 len, bool guest)
{
	struct block_req *r = &s->req;
	int n = 1;

	if (offset > d->block->size || len > d->block->size - offset)
		return false;
	if (guest)
		n = mem_iov(&s->dev.m->mem, at, len, op == BLOCK_READ, s->iov,
			    BIOS_VECTORS_MAX);
	else
		s->iov[0] = (struct iovec){ s->peek, MIN(len, sizeof s->peek) };
	if (n < 0)
		return false;
	memset(r, 0, sizeof *r);
	r->iov = s->iov;
	r->niov = n;
	r->offset = offset;
	r->done = bios_done;
	s->op = op;
	s->at = at;
	s->len = guest ? len : 0;
	bios_set_state(s, BIOS_BUSY);
	if (op == BLOCK_READ)
		block_read(d->block, r);
	else if (op == BLOCK_WRITE)
		block_write(d->block, r);
	else
		block_flush(d->block, r);
	return true;
}

/* ---- Calls ---- */

/* Moves a call on; true: it is over. */
static bool bios_step(struct bios *s, struct bios_frame *f)
{
	int result = s->req.result;

	if (s->state == BIOS_IDLE && f->vector == 0x1a)
		return bios_pci(s, f);
	if (s->state == BIOS_IDLE)
		return f->vector == 0x13   ? bios_disk_start(s, f)
		       : f->vector == 0x15 ? bios_system(s, f)
					   : bios_boot_start(s, f);
	if (s->state == BIOS_BUSY)
		return false;
	bios_set_state(s, BIOS_IDLE);
	if (s->stopped)
		return false;
	if (s->step != STEP_DISK)
		return bios_boot_finish(s, f, result);
	bios_disk_finish(s, f, result);
	return true;
}

static bool bios_call(struct bios *s, gpa_t at)
{
	struct memory *mem = &s->dev.m->mem;
	struct bios_frame f;
	bool over;

	if (mem_read(mem, at, &f, sizeof f) < 0) {
		log_guest("bios", "call with a frame at %#llx",
			  (unsigned long long)at);
		return true;
	}
	over = bios_step(s, &f);
	f.status = over ? BIOS_DONE : BIOS_AGAIN;
	if (mem_write(mem, at, &f, sizeof f) < 0)
		log_guest("bios", "frame in ROM");
	return over;
}

/* In a vCPU's thread, without machine_lock. */
static void bios_wait(struct bios *s, bool busy)
{
	u64 end = clock_mono_ns() + BIOS_WAIT_NS;

	lock_acquire(&s->lock);
	while ((!busy || s->state == BIOS_BUSY) &&
	       cond_wait_until(&s->changed, &s->lock, end))
		;
	lock_release(&s->lock);
}

static void bios_call_port(struct bios *s, gpa_t at) NO_TSA
{
	bool held = lock_held(&machine_lock), over;

	if (held) { /* not a vCPU */
		bios_call(s, at);
		return;
	}
	lock_acquire(&machine_lock);
	over = bios_call(s, at);
	lock_release(&machine_lock);
	if (over)
		return;
	bios_wait(s, true);
	lock_acquire(&machine_lock);
	bios_call(s, at);
	lock_release(&machine_lock);
}

static void bios_text_port(struct bios *s, u32 event) NO_TSA
{
	bool held = lock_held(&machine_lock);

	if (!held)
		lock_acquire(&machine_lock);
	bios_text_event(s, event);
	if (!held)
		lock_release(&machine_lock);
}

static u64 bios_read(void *opaque, u64 offset, u32 size) NO_TSA
{
	struct bios *s = opaque;
	bool held = lock_held(&machine_lock);
	u64 value = 0;

	if (offset == BIOS_PORT_TEXT - BIOS_PORT) {
		if (!held)
			lock_acquire(&machine_lock);
		value = bios_text_owned(s);
		if (!held)
			lock_release(&machine_lock);
	} else if (offset == BIOS_PORT_WAIT - BIOS_PORT && !held) {
		bios_wait(s, false);
	}
	return value;
}

static void bios_write(void *opaque, u64 offset, u32 size, u64 value)
{
	struct bios *s = opaque;

	if (offset == 0 && size == 4)
		bios_call_port(s, value);
	else if (offset == BIOS_PORT_TEXT - BIOS_PORT && size == 4)
		bios_text_port(s, value);
}

static const struct region_ops bios_ops = {
	.read = bios_read,
	.write = bios_write,
	.max_size = 4,
	.lockless = true,
};

/* ---- Life cycle ---- */

static int bios_init(struct device *dev, struct err *err)
{
	struct bios *s = (struct bios *)dev;

	lock_init(&s->lock);
	cond_init(&s->changed);
	region_map(&s->io, &dev->m->io, "bios", BIOS_PORT, BIOS_PORT_COUNT,
		   &bios_ops, s);
	return 0;
}

static void bios_reset(struct device *dev)
{
	struct bios *s = (struct bios *)dev;

	if (s->state == BIOS_BUSY)
		block_drain(s->req.block);
	s->state = BIOS_IDLE;
	s->next = 0;
	s->booted = 0;
	s->told = false;
	s->menu_state = MENU_START;
	bios_text_reset(s);
}

static void bios_fini(struct device *dev)
{
	struct bios *s = (struct bios *)dev;

	if (s->state == BIOS_BUSY)
		block_drain(s->req.block);
	region_unmap(&s->io);
	cond_fini(&s->changed);
	lock_fini(&s->lock);
}

static const struct option_row bios_options[] = {
	{ "menu", &opt_bool, offsetof(struct bios, menu), "off",
	  "offer a menu of drives", NULL },
	{ "menu-ms", &opt_u32, offsetof(struct bios, menu_ms), "2500",
	  "for how long", NULL },
	{ "strict", &opt_bool, offsetof(struct bios, strict), "off",
	  "only drives that order= or bootindex= names", NULL },
	OPTION_END,
};

static const struct state_field bios_fields[] = {
	STATE_(STATE_U8, struct bios, booted),
	STATE_(STATE_U16, struct bios, load_segment),
	STATE_(STATE_U16, struct bios, load_count),
	STATE_(STATE_U32, struct bios, load_lba),
	STATE_END,
};

int bios_power_on(struct device *dev, struct err *err)
{
	struct bios *s = (struct bios *)dev;
	struct boot_bios b = { { 0 }, 0 };
	struct device *d;
	int r;

	bios_boot_find(s);
	list_for_each (d, &dev->m->devices, node) {
		u32 index, iobase, irq;

		if (d->class != &serial_class)
			continue;
		serial_wiring(d, &index, &iobase, &irq);
		if (index < ARRAY_SIZE(b.com))
			b.com[index] = (u16)iobase;
	}
	for (int i = 0; i < s->ndrives; i++)
		b.disks += s->drive[i].number < BIOS_CD;
	r = boot_bios_place(dev->m, &b, err);
	if (r == 0)
		boot_bios_start(dev->m);
	return r;
}

const struct device_class bios_class = {
	.name = "bios",
	.desc = "firmware",
	.bus = BUS_SYSTEM,
	.size = sizeof(struct bios),
	.options = bios_options,
	.state = bios_fields,
	.init = bios_init,
	.reset = bios_reset,
	.fini = bios_fini,
};
