/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Watchdog of the Intel 6300ESB I/O controller hub.
 *
 * Two stages of 20 bits count down in guest time; a guest that lives writes
 * the reload register in time.  The end of the first stage raises no
 * interrupt; the end of the second is what -action watchdog= says.  Registers
 * are locked, each write needs the bytes 0x80 and 0x86 before it.
 *
 * Spec: Intel 6300ESB data sheet, "Watchdog Timer (D29:F4)".
 * Locking: machine_lock.
 */
#include <errno.h>

#include "devices/pc.h"
#include "devices/pci.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "vmm/machine.h"
#include "vmm/vtimer.h"
#include "vmm/watchdog.h"

/* Configuration space. */
#define ESB_CONFIG 0x60
#define ESB_LOCK   0x68

#define CONFIG_1MHZ      0x04 /* else 1 kHz */
#define CONFIG_NO_OUTPUT 0x20 /* the second stage does nothing */

#define LOCK_LOCKED   0x01
#define LOCK_ENABLE   0x02
#define LOCK_FREE_RUN 0x04 /* starts again by itself */

/* The BAR. */
#define ESB_TIMER1 0x00
#define ESB_TIMER2 0x04
#define ESB_RELOAD 0x0c

#define RELOAD_KICK    0x100
#define RELOAD_TIMEOUT 0x200 /* it has run out; write one to clear */

#define ESB_PRELOAD_MAX 0xfffffu
#define ESB_PCI_HZ      33000000u
/* Below what the timer can be set to, for the host's sake. */
#define ESB_STAGE_MIN NS_PER_MS

struct i6300esb {
	struct pci_device pci;
	u32 preload[2];
	u8 lock;     /* ESB_LOCK as it holds */
	u8 unlocked; /* bytes of the sequence that came */
	bool timeout;
	u8 stage; /* 0 or 1 */
	struct vtimer timer;
};

static void i6300esb_start(struct i6300esb *s, u8 stage)
{
	u32 shift = s->pci.config[ESB_CONFIG] & CONFIG_1MHZ ? 5 : 15;
	u64 clocks = (u64)s->preload[stage] << shift;

	if (!(s->lock & LOCK_ENABLE))
		return;
	s->stage = stage;
	vtimer_set(&s->timer,
		   vclock_now(s->pci.dev.m) +
			   MAX(clocks * NS_PER_S / ESB_PCI_HZ, ESB_STAGE_MIN));
}

static void i6300esb_expired(void *arg)
{
	struct i6300esb *s = arg;

	if (s->stage == 0) {
		i6300esb_start(s, 1);
		return;
	}
	if (!(s->pci.config[ESB_CONFIG] & CONFIG_NO_OUTPUT)) {
		s->timeout = true;
		watchdog_expired(s->pci.dev.m);
	}
	if (s->lock & LOCK_FREE_RUN)
		i6300esb_start(s, 0);
}

static u64 i6300esb_read(void *opaque, u64 offset, u32 size)
{
	struct i6300esb *s = opaque;

	return offset == ESB_RELOAD && s->timeout ? RELOAD_TIMEOUT : 0;
}

static void i6300esb_write(void *opaque, u64 offset, u32 size, u64 value)
{
	struct i6300esb *s = opaque;
	bool unlocked = s->unlocked == 2;

	if (offset == ESB_RELOAD && value == 0x80) {
		s->unlocked = 1;
		return;
	}
	if (offset == ESB_RELOAD && value == 0x86 && s->unlocked == 1) {
		s->unlocked = 2;
		return;
	}
	s->unlocked = 0;
	if (!unlocked)
		return;
	switch (offset) {
	case ESB_TIMER1: s->preload[0] = value & ESB_PRELOAD_MAX; break;
	case ESB_TIMER2: s->preload[1] = value & ESB_PRELOAD_MAX; break;
	case ESB_RELOAD:
		if (value & RELOAD_TIMEOUT)
			s->timeout = false;
		if (value & RELOAD_KICK)
			i6300esb_start(s, 0);
		break;
	}
}

static const struct region_ops i6300esb_ops = {
	.read = i6300esb_read,
	.write = i6300esb_write,
	.max_size = 4,
};

static void i6300esb_config_written(struct pci_device *dev, u32 offset, u32 len)
{
	struct i6300esb *s = (struct i6300esb *)dev;
	u8 was = s->lock, *now = &dev->config[ESB_LOCK];

	if (was & LOCK_LOCKED) {
		*now = was;
		return;
	}
	s->lock = *now;
	if (!(s->lock & LOCK_ENABLE))
		vtimer_cancel(&s->timer);
	else if (!(was & LOCK_ENABLE))
		i6300esb_start(s, 0);
}

static void i6300esb_reset(struct device *dev)
{
	struct i6300esb *s = (struct i6300esb *)dev;

	/* What tells the next boot why it is one stays. */
	pci_device_reset(&s->pci);
	s->pci.config[ESB_CONFIG] = s->pci.config[ESB_LOCK] = 0;
	s->preload[0] = s->preload[1] = ESB_PRELOAD_MAX;
	s->lock = s->unlocked = s->stage = 0;
	vtimer_cancel(&s->timer);
}

static int i6300esb_init(struct device *dev, struct err *err)
{
	struct i6300esb *s = (struct i6300esb *)dev;
	int r;

	vtimer_init(&s->timer, dev->m, i6300esb_expired, s);
	r = pci_device_init(&s->pci, err);
	if (r < 0)
		return r;
	s->pci.wmask[ESB_CONFIG] = 0x27;
	s->pci.wmask[ESB_LOCK] = 0x07;
	pci_add_bar(&s->pci, 0, "i6300esb", 16, false, false, false,
		    &i6300esb_ops, s);
	i6300esb_reset(dev);
	return 0;
}

static void i6300esb_fini(struct device *dev)
{
	struct i6300esb *s = (struct i6300esb *)dev;

	vtimer_cancel(&s->timer);
	pci_device_fini(&s->pci);
}

static int i6300esb_loaded(struct device *dev, struct err *err)
{
	struct i6300esb *s = (struct i6300esb *)dev;

	if (s->stage > 1 || s->unlocked > 2)
		return err_set(err, -EINVAL, "no such stage");
	return pci_device_loaded(&s->pci, err);
}

static void i6300esb_info(struct device *dev, struct buf *out)
{
	struct i6300esb *s = (struct i6300esb *)dev;

	pci_device_info(&s->pci, out);
	buf_printf(out, "%s, stage %d%s\n",
		   s->lock & LOCK_ENABLE ? "enabled" : "disabled", s->stage + 1,
		   s->timeout ? ", has run out" : "");
}

static const struct option_row i6300esb_options[] = {
	PCI_OPTION_ROWS(struct i6300esb),
	OPTION_END,
};

static const struct state_field i6300esb_state[] = {
	PCI_STATE_ROWS,
	STATE_ARRAY_(STATE_U32, struct i6300esb, preload),
	STATE_(STATE_U8, struct i6300esb, lock),
	STATE_(STATE_U8, struct i6300esb, unlocked),
	STATE_(STATE_U8, struct i6300esb, stage),
	STATE_(STATE_BOOL, struct i6300esb, timeout),
	STATE_(STATE_VTIMER, struct i6300esb, timer),
	STATE_END,
};

static const struct pci_class i6300esb_pci = {
	.vendor = 0x8086,
	.device = 0x25ab,
	.subsys_vendor = 0x1af4,
	.subsys = 0x1100,
	.class_code = 0x088000,
	.config_written = i6300esb_config_written,
};

const struct device_class i6300esb_class = {
	.name = "i6300esb",
	.desc = "watchdog of the Intel 6300ESB",
	.bus = BUS_PCI,
	.size = sizeof(struct i6300esb),
	.user = true,
	.hotplug = true,
	.options = i6300esb_options,
	.state = i6300esb_state,
	.bus_class = &i6300esb_pci,
	.init = i6300esb_init,
	.reset = i6300esb_reset,
	.fini = i6300esb_fini,
	.info = i6300esb_info,
	.loaded = i6300esb_loaded,
};
