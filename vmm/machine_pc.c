/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The `pc` machine: the only file that knows which chip sits where and which
 * line goes to whom.
 *
 * A GSI below 16 reaches the PIC input of that number and the IOAPIC pin of
 * that number, but GSI 0 (the PIT) the IOAPIC's pin 2, as the MADT tells.
 */
#include "vmm/machine_pc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "block/block.h"
#include "chardev/chardev.h"
#include "devices/acpi.h"
#include "devices/fw_cfg.h"
#include "devices/pc.h"
#include "devices/pci.h"
#include "devices/smbios.h"
#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/trace.h"
#include "vmm/accel.h"
#include "vmm/boot.h"
#include "vmm/config.h"
#include "vmm/device.h"
#include "vmm/firmware.h"
#include "vmm/machine.h"

/* SDM 3A "Memory Type Range Registers". */
#define MTRR_UNCACHED      0u
#define MTRR_WRITE_PROTECT 5u
#define MTRR_WRITE_BACK    6u
#define MTRR_FIXED_ENABLE  BIT(10)
#define MTRR_ENABLE        BIT(11)
#define MTRR_MASK_VALID    BIT(11)
/* A fixed-range register holds eight types. */
#define PC_MTRR_EACH(type) ((type)*0x0101010101010101ull)

/* Lives as long as the machine; one per process. */
struct pc {
	struct irq pic[16];
	struct irq ioapic[IOAPIC_PINS];
	struct boot *boot;     /* borrowed */
	struct smbios *smbios; /* owned */
	struct device *bios;
	char *order; /* owned; of the boots behind the first one */
	bool booted;
	bool strict, menu; /* -boot */
};

static void pc_gsi_set(void *opaque, int n, int level)
{
	struct pc *pc = opaque;

	trace(IRQ_LINE, "gsi %d = %d", n, level);
	if (n < 16)
		irq_set(&pc->pic[n], level);
	irq_set(&pc->ioapic[n ? n : 2], level);
}

/* The PIC's output when the LAPIC lives in the kernel: the accelerator asks
 * m->pic_accept() at the next chance. */
static void pc_pic_to_kernel(void *opaque, int n, int level)
{
	struct machine *m = opaque;

	if (level && m->nvcpus)
		vcpu_request(m->vcpus[0], VCPU_REQ_INTR);
}

static struct device *pc_add(struct machine *m,
			     const struct device_class *class, struct err *err)
{
	return device_create(m, class, NULL, err);
}

static int pc_add_interrupts(struct machine *m, struct pc *pc, struct err *err)
{
	struct device *pic, *ioapic, *lapic;

	for (int i = 0; i < (int)ARRAY_SIZE(m->gsi); i++)
		m->gsi[i] = (struct irq){ pc_gsi_set, pc, i };
	pic = pc_add(m, &pic_class, err);
	ioapic = pic ? pc_add(m, &ioapic_class, err) : NULL;
	if (!ioapic)
		return -EINVAL;
	for (int i = 0; i < 16; i++)
		pc->pic[i] = pic_input(pic, i);
	for (int i = 0; i < IOAPIC_PINS; i++)
		pc->ioapic[i] = ioapic_input(ioapic, i);
	if (m->accel->kernel_lapic) {
		pic_set_output(pic, (struct irq){ pc_pic_to_kernel, m, 0 });
		return 0;
	}
	lapic = pc_add(m, &lapic_class, err);
	if (!lapic)
		return -EINVAL;
	pic_set_output(pic, lapic_lint0(lapic));
	return 0;
}

static void pc_set_clock(struct machine *m, const struct config *c)
{
	s64 now = (s64)(clock_realtime_ns() / NS_PER_S);
	time_t t = (time_t)now;
	struct tm local;

	if (c->rtc == RTC_DATE)
		rtc_set_offset(m->rtc, (c->rtc_seconds - now) * (s64)NS_PER_S);
	else if (c->rtc == RTC_LOCALTIME && localtime_r(&t, &local))
		rtc_set_offset(m->rtc, (s64)local.tm_gmtoff * (s64)NS_PER_S);
}

static void pc_powerdown(void *arg)
{
	struct machine *m = arg;

	acpi_pm_press_power(m->acpi_pm);
}

static int pc_add_bridges(struct machine *m, struct err *err)
{
	static const struct {
		const struct device_class *class;
		const char *addr;
	} rows[] = {
		{ &pci_host_class, "0" },
		{ &isa_bridge_class, "1.0" },
		{ &acpi_pm_class, "1.3" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct device *dev;
		struct opts o;

		opts_init(&o);
		opts_add(&o, "addr", rows[i].addr);
		dev = device_create(m, rows[i].class, &o, err);
		opts_fini(&o);
		if (!dev)
			return -EINVAL;
	}
	m->nmi = lapic_press_nmi;
	m->powerdown = pc_powerdown;
	m->powerdown_arg = m;
	return 0;
}

/* -fw_cfg and -smbios, and the tables that firmware reads. */
static int pc_add_firmware_data(struct machine *m, struct pc *pc,
				const struct config *c, struct err *err)
{
	struct config_item *i;
	int r = 0;

	/* Before the tables: they name the slots (_SUN) when it is there. */
	if (!pc_add(m, &acpi_hotplug_class, err) ||
	    !pc_add(m, &acpi_cpus_class, err) || !pc_add(m, &fw_cfg_class, err))
		return -EINVAL;
	list_for_each (i, &c->items, node) {
		if (i->kind == CONFIG_FW_CFG)
			r = fw_cfg_add_option(m->fw_cfg, i->text, err);
		else if (i->kind == CONFIG_SMBIOS)
			r = smbios_add_option(pc->smbios, i->text, err);
		if (r < 0)
			return err_wrap(err, "-%s %s", i->option, i->text);
	}
	r = acpi_add_files(m, err);
	if (r == 0)
		r = smbios_add_files(pc->smbios, m, err);
	return r;
}

static void pc_finish(struct machine *m)
{
	struct pc *pc = m->machine_data;

	smbios_destroy(pc->smbios);
	free(pc->order);
	free(pc);
}

/* Memory types as firmware leaves them: write-back by default, the VGA window
 * and the hole below 4 GiB uncached, ROMs write-protected.  Kernels use the
 * PAT only where they find the MTRRs switched on. */
static void pc_set_memory_types(struct machine *m, struct vcpu *v)
{
	const u64 hole = m->ram_below_4g > 3 * GIB ? 0xe0000000u : 3 * GIB;
	struct cpu_mtrr *t = &vcpu_cpu(v)->mtrr;
	u32 leaf[4] = { 0 };
	int bits;

	m->accel->cpuid(v, 0x80000008, 0, leaf);
	bits = leaf[0] & 0xff;
	if (bits < 32 || bits > 52)
		bits = 36;
	memset(t, 0, sizeof *t);
	for (int i = 0; i < MTRR_FIX_COUNT; i++)
		t->fixed[i] = PC_MTRR_EACH(i < 2    ? MTRR_WRITE_BACK
					   : i == 2 ? MTRR_UNCACHED
						    : MTRR_WRITE_PROTECT);
	t->var[0].base = hole | MTRR_UNCACHED;
	t->var[0].mask = (BIT(bits) - (4 * GIB - hole)) | MTRR_MASK_VALID;
	t->def_type = MTRR_WRITE_BACK | MTRR_FIXED_ENABLE | MTRR_ENABLE;
	vcpu_cpu_changed(v);
}

/* What SeaBIOS needs to show something, if it is installed. */
static void pc_add_vga_rom(struct machine *m)
{
	struct firmware *rom = firmware_open("vgabios-stdvga.bin", NULL);
	const u8 *data;
	u64 size;

	if (!rom)
		return;
	data = firmware_data(rom, &size);
	(void)fw_cfg_add_file(m->fw_cfg, "vgaroms/vgabios-stdvga.bin", data,
			      size, NULL);
	firmware_close(rom);
}

/* Drives in order of bootindex=, a line each. */
static int pc_add_boot_order(struct machine *m, bool strict, struct err *err)
{
	struct buf order = { 0 };
	u64 from = 0;
	int r = 0;

	for (;;) {
		struct block *next = NULL;

		for (struct block *b = block_next(NULL); b; b = block_next(b))
			if (block_attached(b) && b->front->firmware_path &&
			    b->bootindex >= from && b->bootindex < UINT32_MAX &&
			    (!next || b->bootindex < next->bootindex))
				next = b;
		if (!next)
			break;
		from = next->bootindex + 1ull;
		if (order.len)
			buf_putc(&order, '\n');
		next->front->firmware_path(next->front_opaque, &order);
	}
	if (strict)
		buf_puts(&order, order.len ? "\nHALT" : "HALT");
	if (order.len) /* with the zero behind it */
		r = fw_cfg_add_file(m->fw_cfg, "bootorder", buf_str(&order),
				    order.len + 1, err);
	buf_fini(&order);
	return r;
}

static int pc_reload_firmware(struct machine *m, bool first, struct err *err)
{
	struct pc *pc = m->machine_data;
	int r = pc_add_boot_order(m, pc->strict, err);

	if (r < 0)
		return r;
	if (first && m->vga)
		pc_add_vga_rom(m);
	fw_cfg_add_u16(m->fw_cfg, FW_CFG_NOGRAPHIC, !m->vga);
	fw_cfg_add_u16(m->fw_cfg, FW_CFG_BOOT_MENU, pc->menu);
	return firmware_load(m->firmware, m, err);
}

/* What firmware would do before it loads a kernel. */
static int pc_reload(struct machine *m, struct err *err)
{
	struct pc *pc = m->machine_data;
	gpa_t rsdp = 0;
	bool first;
	int r;

	if (pc->booted && pc->order) {
		(void)rtc_set_boot_order(m->rtc, pc->order, NULL);
		free(pc->order);
		pc->order = NULL;
	}
	first = !pc->booted;
	pc->booted = true;
	if (m->firmware)
		return pc_reload_firmware(m, first, err);
	pci_assign(m->pci);
	for (int i = 0; i < m->nvcpus; i++)
		pc_set_memory_types(m, m->vcpus[i]);
	r = acpi_place(m, &rsdp, err);
	if (r == 0)
		r = smbios_place(pc->smbios, m, err);
	if (r == 0)
		r = pc->boot ? boot_load(pc->boot, m, rsdp, err)
			     : bios_power_on(pc->bios, err);
	return r;
}

static int pc_set_boot_order(struct machine *m, const struct config *c,
			     struct err *err)
{
	struct pc *pc = m->machine_data;
	const char *order = c->boot_order ? c->boot_order : "cad";
	int r = rtc_set_boot_order(m->rtc, order, err);

	if (r < 0 || !c->boot_once)
		return r;
	pc->order = xstrdup(order);
	return rtc_set_boot_order(m->rtc, c->boot_once, err);
}

static struct device *pc_add_bios(struct machine *m, const struct config *c,
				  struct err *err)
{
	struct device *dev;
	char ms[16];
	struct opts o;

	opts_init(&o);
	opts_add(&o, "menu", c->boot_menu ? "on" : "off");
	opts_add(&o, "strict", c->boot_strict ? "on" : "off");
	snprintf(ms, sizeof ms, "%u", c->boot_menu_ms);
	if (c->boot_menu_ms)
		opts_add(&o, "menu-ms", ms);
	dev = device_create(m, &bios_class, &o, err);
	opts_fini(&o);
	return dev;
}

/* Variables lie right below the firmware. */
static int pc_add_flash(struct machine *m, struct err *err)
{
	for (struct block *b = block_next(NULL); b; b = block_next(b)) {
		struct device *dev;
		struct opts o;
		char base[24];

		if (b->iface != BLOCK_IF_PFLASH || b->index == 0)
			continue;
		snprintf(base, sizeof base, "%llu",
			 (unsigned long long)(firmware_base(m->firmware) -
					      b->size));
		opts_init(&o);
		opts_add(&o, "drive", b->id);
		opts_add(&o, "base", base);
		dev = device_create(m, &pflash_class, &o, err);
		opts_fini(&o);
		if (!dev)
			return -EINVAL;
	}
	return 0;
}

int machine_pc_create(struct machine *m, const struct config *c,
		      struct boot *boot, struct err *err)
{
	struct pc *pc = xalloc(sizeof *pc);
	int r;

	m->machine_data = pc;
	pc->boot = boot;
	pc->smbios = smbios_create();
	m->reload = pc_reload;
	m->finish = pc_finish;
	r = pc_add_interrupts(m, pc, err);
	if (r < 0)
		return r;
	if ((!c->no_pit && !pc_add(m, &pit_class, err)) ||
	    !pc_add(m, &rtc_class, err) || !pc_add(m, &i8042_class, err))
		return -EINVAL;
	r = pc_set_boot_order(m, c, err);
	if (r < 0)
		return r;
	pc->strict = c->boot_strict;
	pc->menu = c->boot_menu;
	pc_set_clock(m, c);
	pc->bios = pc_add_bios(m, c, err);
	r = pc->bios ? pc_add_bridges(m, err) : -EINVAL;
	if (r == 0)
		r = pc_add_firmware_data(m, pc, c, err);
	if (r == 0)
		r = pc_add_flash(m, err);
	return r;
}

int machine_pc_add_serial(struct machine *m, int index, struct chardev *chr,
			  struct err *err)
{
	char text[16];
	struct device *dev;
	struct opts o;

	opts_init(&o);
	snprintf(text, sizeof text, "%d", index);
	opts_add(&o, "index", text);
	opts_add(&o, "chardev", chr_label(chr));
	dev = device_create(m, &serial_class, &o, err);
	opts_fini(&o);
	return dev ? 0 : -EINVAL;
}
