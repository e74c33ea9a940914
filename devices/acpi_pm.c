/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ACPI power management in the image of the PIIX4's function 3: PM1 event
 * and control blocks, PM timer, one GPE block, power button, soft off.
 *
 * There is no SMI: SCI_EN is always set.  The PM block is at the address
 * that PMBASE holds (ACPI_PM_BASE after reset, firmware may move it), GPE0
 * at ACPI_GPE0_BASE.  Of the sleeping states only S5 exists, type 0.
 *
 * Spec: ACPI 6.4 §4.8; Intel 82371AB data sheet.
 * Locking: machine_lock.
 */
#include "devices/pc.h"

#include <errno.h>

#include "devices/pci.h"
#include "lib/buf.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/log.h"
#include "vmm/machine.h"
#include "vmm/memory.h"
#include "vmm/runstate.h"
#include "vmm/state.h"
#include "vmm/vtimer.h"

/* Configuration space. */
#define PM_PMBASE  0x40
#define PM_DEVACTB 0x58
#define PM_REGMISC 0x80 /* bit 0: PM block decodes */

/* Offsets in the PM block. */
#define PM1_STATUS  0x00
#define PM1_ENABLE  0x02
#define PM1_CONTROL 0x04
#define PM_TIMER    0x08
#define PM_BLOCK    64

#define PM1_TIMER        0x0001
#define PM1_GLOBAL       0x0020
#define PM1_POWER_BUTTON 0x0100
#define PM1_RTC          0x0400
#define PM1_WAKE         0x8000
#define PM1_EVENTS       (PM1_TIMER | PM1_GLOBAL | PM1_POWER_BUTTON | PM1_RTC)

#define PM1_SCI_ENABLE 0x0001
#define PM1_SLEEP_TYPE 0x1c00
#define PM1_SLEEP      0x2000 /* write only */

#define PM_TIMER_HZ 3579545

struct acpi_pm {
	struct pci_device pci;
	struct region block, gpe_block;
	u16 status, enable, control;
	u8 gpe_status[2], gpe_enable[2];
	bool timer_high; /* bit 31 as last accounted for in `status` */
	struct vtimer overflow;
};

static u64 acpi_pm_ticks(struct acpi_pm *s)
{
	return (u128)vclock_now(s->pci.dev.m) * PM_TIMER_HZ / NS_PER_S;
}

static void acpi_pm_update_sci(struct acpi_pm *s)
{
	bool on = (s->status & s->enable & PM1_EVENTS) ||
		  (s->gpe_status[0] & s->gpe_enable[0]) ||
		  (s->gpe_status[1] & s->gpe_enable[1]);

	irq_set(&s->pci.dev.m->gsi[ACPI_SCI_GSI], on);
}

/* TMR_STS follows every change of the timer's top bit. */
static void acpi_pm_note_overflow(struct acpi_pm *s)
{
	bool high = acpi_pm_ticks(s) >> 31 & 1;

	if (high != s->timer_high)
		s->status |= PM1_TIMER;
	s->timer_high = high;
}

static void acpi_pm_arm(struct acpi_pm *s)
{
	u64 edge;

	if (!(s->enable & PM1_TIMER)) {
		vtimer_cancel(&s->overflow);
		return;
	}
	edge = ((acpi_pm_ticks(s) >> 31) + 1) << 31;
	vtimer_set(&s->overflow,
		   (u64)((u128)edge * NS_PER_S / PM_TIMER_HZ) + 1);
}

static void acpi_pm_overflow(void *opaque)
{
	struct acpi_pm *s = opaque;

	acpi_pm_note_overflow(s);
	acpi_pm_update_sci(s);
	acpi_pm_arm(s);
}

static void acpi_pm_write_control(struct acpi_pm *s, u16 value)
{
	s->control = (value & ~PM1_SLEEP) | PM1_SCI_ENABLE;
	if (!(value & PM1_SLEEP))
		return;
	if (value & PM1_SLEEP_TYPE)
		log_guest("acpi", "sleep type %u is not offered",
			  (value & PM1_SLEEP_TYPE) >> 10);
	else
		runstate_request_shutdown(s->pci.dev.m, true);
}

static u64 acpi_pm_read(void *opaque, u64 offset, u32 size)
{
	struct acpi_pm *s = opaque;
	u32 value = 0;

	/* Registers start at even offsets; parts of them come shifted. */
	switch (offset & ~1ull) {
	case PM1_STATUS:
		acpi_pm_note_overflow(s);
		value = s->status;
		if (size == 4)
			value |= (u32)s->enable << 16;
		break;
	case PM1_ENABLE: value = s->enable; break;
	case PM1_CONTROL: value = s->control; break;
	case PM_TIMER: value = acpi_pm_ticks(s); break;
	case PM_TIMER + 2: value = acpi_pm_ticks(s) >> 16; break;
	}
	return offset & 1 ? value >> 8 : value;
}

/* Bytes that a narrow write leaves alone keep their value, or count as
 * zeroes where ones clear. */
static void acpi_pm_write(void *opaque, u64 offset, u32 size, u64 value)
{
	struct acpi_pm *s = opaque;
	u32 shift = offset & 1 ? 8 : 0;
	u16 mask = (size == 1 ? 0xffu : 0xffffu) << shift;
	u16 bits = value << shift;

	switch (offset & ~1ull) {
	case PM1_STATUS:
		acpi_pm_note_overflow(s);
		s->status &= ~(bits & mask);
		if (size != 4)
			break;
		mask = 0xffff;
		bits = value >> 16;
		__attribute__((fallthrough));
	case PM1_ENABLE:
		s->enable = ((s->enable & ~mask) | (bits & mask)) & PM1_EVENTS;
		acpi_pm_arm(s);
		break;
	case PM1_CONTROL:
		acpi_pm_write_control(s, (s->control & ~mask) | (bits & mask));
		break;
	}
	acpi_pm_update_sci(s);
}

static u64 acpi_pm_read_gpe(void *opaque, u64 offset, u32 size)
{
	struct acpi_pm *s = opaque;

	return offset < 2 ? s->gpe_status[offset] : s->gpe_enable[offset - 2];
}

static void acpi_pm_write_gpe(void *opaque, u64 offset, u32 size, u64 value)
{
	struct acpi_pm *s = opaque;

	if (offset < 2)
		s->gpe_status[offset] &= ~value;
	else
		s->gpe_enable[offset - 2] = value;
	acpi_pm_update_sci(s);
}

static const struct region_ops acpi_pm_ops = {
	.read = acpi_pm_read,
	.write = acpi_pm_write,
	.max_size = 4,
};

static const struct region_ops acpi_pm_gpe_ops = {
	.read = acpi_pm_read_gpe,
	.write = acpi_pm_write_gpe,
	.max_size = 1,
};

u16 acpi_pm_base(struct device *dev)
{
	struct acpi_pm *s = (struct acpi_pm *)dev;

	return get_le16(s->pci.config + PM_PMBASE) & 0xffc0;
}

static void acpi_pm_map(struct acpi_pm *s)
{
	u16 base = acpi_pm_base(&s->pci.dev);

	if (!(s->pci.config[PM_REGMISC] & 1) || !base)
		region_unmap(&s->block);
	else if (s->block.space)
		region_map_at(&s->block, s->block.space, base);
	else
		region_map(&s->block, &s->pci.dev.m->io, "piix4-pm", base,
			   PM_BLOCK, &acpi_pm_ops, s);
}

static void acpi_pm_config_written(struct pci_device *dev, u32 offset, u32 len)
{
	acpi_pm_map((struct acpi_pm *)dev);
}

bool acpi_pm_press_power(struct device *dev)
{
	struct acpi_pm *s = (struct acpi_pm *)dev;

	s->status |= PM1_POWER_BUTTON;
	acpi_pm_update_sci(s);
	return s->enable & PM1_POWER_BUTTON;
}

void acpi_pm_gpe(struct device *dev, int bit)
{
	struct acpi_pm *s = (struct acpi_pm *)dev;

	s->gpe_status[bit >> 3 & 1] |= 1 << (bit & 7);
	acpi_pm_update_sci(s);
}

static void acpi_pm_powerdown(void *opaque)
{
	acpi_pm_press_power(opaque);
}

static const struct option_row acpi_pm_options[] = {
	{ "addr", &opt_str, offsetof(struct acpi_pm, pci.addr), "01.3",
	  "slot.function, hexadecimal", NULL },
	OPTION_END,
};

static const struct state_field acpi_pm_state[] = {
	PCI_STATE_ROWS,
	STATE_(STATE_U16, struct acpi_pm, status),
	STATE_(STATE_U16, struct acpi_pm, enable),
	STATE_(STATE_U16, struct acpi_pm, control),
	STATE_(STATE_BYTES, struct acpi_pm, gpe_status),
	STATE_(STATE_BYTES, struct acpi_pm, gpe_enable),
	STATE_(STATE_BOOL, struct acpi_pm, timer_high),
	STATE_(STATE_VTIMER, struct acpi_pm, overflow),
	STATE_END,
};

static int acpi_pm_init(struct device *dev, struct err *err)
{
	struct acpi_pm *s = (struct acpi_pm *)dev;
	struct machine *m = dev->m;
	int r;

	vtimer_init(&s->overflow, m, acpi_pm_overflow, s);
	r = pci_device_init(&s->pci, err);
	if (r < 0)
		return r;
	s->pci.config[0x3d] = 1; /* pin A, but wired to the SCI */
	put_le16(s->pci.wmask + PM_PMBASE, 0xffc0);
	s->pci.wmask[PM_REGMISC] = 0x01;
	region_map(&s->gpe_block, &m->io, "acpi-gpe0", ACPI_GPE0_BASE, 4,
		   &acpi_pm_gpe_ops, s);
	m->acpi_pm = dev;
	m->powerdown = acpi_pm_powerdown;
	m->powerdown_arg = dev;
	return 0;
}

static void acpi_pm_reset(struct device *dev)
{
	struct acpi_pm *s = (struct acpi_pm *)dev;

	pci_device_reset(&s->pci);
	put_le16(s->pci.config + PM_PMBASE, ACPI_PM_BASE | 1);
	s->pci.config[PM_REGMISC] = 1;
	/* APMC_EN: firmware takes SMM as set up, and waits for no SMI. */
	s->pci.config[PM_DEVACTB + 3] = 0x02;
	s->pci.config[0x3c] = ACPI_SCI_GSI;
	acpi_pm_map(s);
	s->status = s->enable = 0;
	s->control = PM1_SCI_ENABLE;
	s->gpe_status[0] = s->gpe_status[1] = 0;
	s->gpe_enable[0] = s->gpe_enable[1] = 0;
	s->timer_high = acpi_pm_ticks(s) >> 31 & 1;
	vtimer_cancel(&s->overflow);
	acpi_pm_update_sci(s);
}

static void acpi_pm_fini(struct device *dev)
{
	struct acpi_pm *s = (struct acpi_pm *)dev;

	vtimer_cancel(&s->overflow);
	region_unmap(&s->block);
	region_unmap(&s->gpe_block);
	pci_device_fini(&s->pci);
	if (dev->m->acpi_pm == dev) {
		dev->m->acpi_pm = NULL;
		dev->m->powerdown = NULL;
	}
}

static void acpi_pm_info(struct device *dev, struct buf *out)
{
	struct acpi_pm *s = (struct acpi_pm *)dev;

	pci_device_info(&s->pci, out);
	buf_printf(out, "pm at 0x%x, status 0x%04x, enable 0x%04x\n",
		   acpi_pm_base(dev), s->status, s->enable);
}

static int acpi_pm_loaded(struct device *dev, struct err *err)
{
	struct acpi_pm *s = (struct acpi_pm *)dev;
	int r = pci_device_loaded(&s->pci, err);

	acpi_pm_map(s);
	acpi_pm_update_sci(s);
	return r;
}

const struct device_class acpi_pm_class = {
	.name = "PIIX4_PM",
	.desc = "ACPI power management",
	.bus = BUS_PCI,
	.size = sizeof(struct acpi_pm),
	.options = acpi_pm_options,
	.state = acpi_pm_state,
	.bus_class =
		&(const struct pci_class){
			.vendor = 0x8086,
			.device = 0x7113,
			.class_code = 0x068000,
			.revision = 3,
			.config_written = acpi_pm_config_written,
		},
	.init = acpi_pm_init,
	.reset = acpi_pm_reset,
	.fini = acpi_pm_fini,
	.info = acpi_pm_info,
	.loaded = acpi_pm_loaded,
};
