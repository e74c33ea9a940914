/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * PCI: sizing and mapping of BARs, capabilities, MSI-X, INTx, assignment,
 * power management and the host bridge's ports.
 */
#include "devices/pci.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/bytes.h"
#include "tests/unit/bare_machine.h"

/* A device with an I/O BAR, a 64-bit BAR and MSI-X in a third. */
struct probe {
	struct pci_device pci;
	u64 last;
};

static u64 probe_read(void *opaque, u64 offset, u32 size)
{
	return 0x40 + offset;
}

static void probe_write(void *opaque, u64 offset, u32 size, u64 value)
{
	((struct probe *)opaque)->last = offset << 32 | value;
}

static const struct region_ops probe_ops = {
	.read = probe_read,
	.write = probe_write,
};

static int probe_init(struct device *dev, struct err *err)
{
	struct probe *p = (struct probe *)dev;
	int r = pci_device_init(&p->pci, err);

	if (r < 0)
		return r;
	p->pci.config[PCI_INTERRUPT_PIN] = 1;
	pci_add_bar(&p->pci, 0, "io", 32, true, false, false, &probe_ops, p);
	pci_add_bar(&p->pci, 1, "msix", 4096, false, false, false, NULL, NULL);
	pci_add_bar(&p->pci, 4, "mem", 16384, false, true, true, &probe_ops, p);
	return pci_msix_init(&p->pci, 3, 1, 0, 2048, err);
}

static void probe_reset(struct device *dev)
{
	pci_device_reset((struct pci_device *)dev);
}

static void probe_fini(struct device *dev)
{
	pci_device_fini((struct pci_device *)dev);
}

static const struct option_row probe_options[] = {
	PCI_OPTION_ROWS(struct probe),
	OPTION_END,
};

static const struct device_class probe_class = {
	.name = "probe",
	.bus = BUS_PCI,
	.size = sizeof(struct probe),
	.user = true,
	.hotplug = true,
	.options = probe_options,
	.bus_class =
		&(const struct pci_class){
			.vendor = 0x1af4,
			.device = 0x1001,
			.subsys_vendor = 0x1af4,
			.subsys = 2,
			.class_code = 0x010000,
		},
	.init = probe_init,
	.reset = probe_reset,
	.fini = probe_fini,
};

static struct bare b;
static struct probe *p;

static u32 get(u8 devfn, u32 offset, u32 size)
{
	space_write(&b.m->io, 0xcf8, 4,
		    0x80000000u | devfn << 8 | (offset & 0xfc));
	return space_read(&b.m->io, 0xcfc + (offset & 3), size);
}

static void set(u8 devfn, u32 offset, u32 size, u32 value)
{
	space_write(&b.m->io, 0xcf8, 4,
		    0x80000000u | devfn << 8 | (offset & 0xfc));
	space_write(&b.m->io, 0xcfc + (offset & 3), size, value);
}

static u8 fn(void)
{
	return p->pci.devfn;
}

static void setup(void)
{
	bare_init(&b);
	bare_add(&b, &pci_host_class, NULL);
	bare_add(&b, &isa_bridge_class, NULL);
	bare_add(&b, &acpi_pm_class, NULL);
	p = (struct probe *)bare_add(&b, &probe_class, "id=blk0,addr=3");
}

static void teardown(void)
{
	bare_fini(&b);
}

START_TEST(pci_finds_devices_and_nothing_else)
{
	ck_assert_uint_eq(get(0, 0, 4), 0x12378086);
	ck_assert_uint_eq(get(PCI_DEVFN(1, 0), 0, 4), 0x70008086);
	ck_assert_uint_eq(get(PCI_DEVFN(1, 0), PCI_HEADER_TYPE, 1), 0x80);
	ck_assert_uint_eq(get(PCI_DEVFN(1, 3), 2, 2), 0x7113);
	ck_assert_uint_eq(get(fn(), PCI_SUBSYSTEM_ID, 2), 2);
	ck_assert_uint_eq(get(PCI_DEVFN(9, 0), 0, 4), 0xffffffff);
	ck_assert_uint_eq(get(PCI_DEVFN(9, 0), 1, 1), 0xff);
	space_write(&b.m->io, 0xcf8, 4, 0x80010000); /* another bus */
	ck_assert_uint_eq(space_read(&b.m->io, 0xcfc, 4), 0xffffffff);
	set(fn(), 0, 4, 0); /* read-only */
	ck_assert_uint_eq(get(fn(), 0, 4), 0x10011af4);
}

END_TEST

START_TEST(pci_bars_are_sized_and_mapped)
{
	set(fn(), PCI_BASE_ADDRESS_0, 4, 0xffffffff);
	ck_assert_uint_eq(get(fn(), PCI_BASE_ADDRESS_0, 4), 0xffffffe1);
	set(fn(), PCI_BASE_ADDRESS_4, 4, 0xffffffff);
	set(fn(), PCI_BASE_ADDRESS_5, 4, 0xffffffff);
	ck_assert_uint_eq(get(fn(), PCI_BASE_ADDRESS_4, 4), 0xffffc00c);
	ck_assert_uint_eq(get(fn(), PCI_BASE_ADDRESS_5, 4), 0xffffffff);
	set(fn(), PCI_BASE_ADDRESS_0, 4, 0xc100);
	set(fn(), PCI_BASE_ADDRESS_4, 4, 0x40000000);
	set(fn(), PCI_BASE_ADDRESS_5, 4, 0x1);
	ck_assert_uint_eq(bare_in(&b, 0xc103), 0xff);
	set(fn(), PCI_COMMAND, 2, 3);
	ck_assert_uint_eq(bare_in(&b, 0xc103), 0x43);
	ck_assert_uint_eq(space_read(&b.m->memory, 0x140000005, 1), 0x45);
	space_write(&b.m->memory, 0x140000008, 4, 0x1234);
	ck_assert_uint_eq(p->last, 0x800001234);
	set(fn(), PCI_BASE_ADDRESS_0, 4, 0xc200); /* moves */
	ck_assert_uint_eq(bare_in(&b, 0xc103), 0xff);
	ck_assert_uint_eq(bare_in(&b, 0xc203), 0x43);
	set(fn(), PCI_COMMAND, 2, 2);
	ck_assert_uint_eq(bare_in(&b, 0xc203), 0xff);
	p->pci.dev.class->reset(&p->pci.dev);
	ck_assert_uint_eq(space_read(&b.m->memory, 0x140000005, 1), 0xff);
	ck_assert_uint_eq(get(fn(), PCI_BASE_ADDRESS_4, 4), 0xc);
}

END_TEST

START_TEST(pci_assign_places_everything_apart)
{
	struct probe *q = (struct probe *)bare_add(&b, &probe_class, NULL);
	u64 first, second;

	pci_assign(b.m->pci);
	first = get(fn(), PCI_BASE_ADDRESS_4, 4) & ~15u;
	second = get(q->pci.devfn, PCI_BASE_ADDRESS_4, 4) & ~15u;
	ck_assert_uint_ge(first, PCI_WINDOW_FIRST);
	ck_assert_uint_eq(first % 16384, 0);
	ck_assert(first + 16384 <= second || second + 16384 <= first);
	ck_assert_uint_eq(get(fn(), PCI_BASE_ADDRESS_0, 4), 0xc001);
	ck_assert_uint_eq(get(q->pci.devfn, PCI_BASE_ADDRESS_0, 4), 0xc021);
	ck_assert_uint_eq(bare_in(&b, 0xc005), 0x45);
	ck_assert_uint_eq(get(PCI_DEVFN(1, 0), 0x60, 4), 0x0b0b0a0a);
}

END_TEST

static u64 table(void)
{
	return get(fn(), PCI_BASE_ADDRESS_1, 4) & ~15u;
}

START_TEST(pci_msix_masks_and_keeps_pending)
{
	u8 cap = get(fn(), PCI_CAPABILITY_LIST, 1);
	u64 at;

	pci_assign(b.m->pci);
	at = table();
	ck_assert_uint_eq(get(fn(), cap, 1), PCI_CAP_ID_MSIX);
	ck_assert_uint_eq(get(fn(), cap + 2, 2), 2); /* three vectors */
	ck_assert_uint_eq(get(fn(), cap + 8, 4), 2048 | 1);
	space_write(&b.m->memory, at + 16, 4, 0xfee01000);
	space_write(&b.m->memory, at + 24, 4, 0x41);
	ck_assert_uint_eq(space_read(&b.m->memory, at + 16, 8), 0xfee01000);
	pci_msix_notify(&p->pci, 1); /* off: lost */
	set(fn(), PCI_COMMAND, 2, 7);
	set(fn(), cap + 2, 2, 0x8000);
	ck_assert(pci_msix_enabled(&p->pci));
	pci_msix_notify(&p->pci, 1); /* masked: pending */
	pci_msix_notify(&p->pci, 7); /* no such vector */
	ck_assert_int_eq(b.nmsi, 0);
	ck_assert_uint_eq(space_read(&b.m->memory, at + 2048, 8), 2);
	space_write(&b.m->memory, at + 28, 4, 0);
	ck_assert_int_eq(b.nmsi, 1);
	ck_assert_uint_eq(b.msi.addr, 0xfee01000);
	ck_assert_uint_eq(b.msi.data, 0x41);
	ck_assert_uint_eq(space_read(&b.m->memory, at + 2048, 8), 0);
	set(fn(), cap + 2, 2, 0xc000); /* the whole function */
	pci_msix_notify(&p->pci, 1);
	ck_assert_int_eq(b.nmsi, 1);
	set(fn(), cap + 2, 2, 0x8000);
	ck_assert_int_eq(b.nmsi, 2);
	set(fn(), PCI_COMMAND, 2, 3); /* no bus mastering, no messages */
	pci_msix_notify(&p->pci, 1);
	ck_assert_int_eq(b.nmsi, 2);
	set(fn(), PCI_COMMAND, 2, 7);
	ck_assert_int_eq(b.nmsi, 3);
}

END_TEST

/* ---- An accelerator that takes messages from eventfds ---- */

static struct {
	int fd, count, updates, refuse;
	struct msi msi;
} taker;

static int take_irqfd(struct machine *m, const struct msi *msi, int fd,
		      bool add, int *route)
{
	if (add && taker.refuse)
		return -taker.refuse;
	if (add && *route < 0) {
		*route = 24;
		taker.fd = fd;
		taker.count++;
	} else if (add) {
		taker.updates += memcmp(&taker.msi, msi, sizeof *msi) != 0;
	} else {
		ck_assert_int_eq(fd, taker.fd);
		ck_assert_int_eq(*route, 24);
		*route = -1;
		taker.count--;
	}
	if (add)
		taker.msi = *msi;
	return 0;
}

/* How often the eventfd was signalled since the last call. */
static u64 taken(void)
{
	u64 n;

	return read(taker.fd, &n, sizeof n) == sizeof n ? n : 0;
}

/* Vector 1 with a message, MSI-X on, not masked. */
static u64 start_msix(u8 cap)
{
	u64 at;

	memset(&taker, 0, sizeof taker);
	b.accel.irqfd = take_irqfd;
	pci_assign(b.m->pci);
	at = table();
	space_write(&b.m->memory, at + 16, 4, 0xfee01000);
	space_write(&b.m->memory, at + 24, 4, 0x41);
	space_write(&b.m->memory, at + 28, 4, 0);
	set(fn(), PCI_COMMAND, 2, 7);
	set(fn(), cap + 2, 2, 0x8000);
	return at;
}

START_TEST(pci_msix_used_vectors_go_by_eventfd)
{
	u8 cap = get(fn(), PCI_CAPABILITY_LIST, 1);
	u64 at = start_msix(cap);

	pci_msix_notify(&p->pci, 1); /* nobody said that it is used */
	ck_assert_int_eq(b.nmsi, 1);
	ck_assert_int_eq(taker.count, 0);
	pci_msix_use(&p->pci, 1, true);
	pci_msix_use(&p->pci, 1, true);
	pci_msix_use(&p->pci, 7, true); /* no such vector */
	ck_assert_int_eq(taker.count, 1);
	ck_assert_uint_eq(taker.msi.data, 0x41);
	pci_msix_notify(&p->pci, 1);
	ck_assert_uint_eq(taken(), 1);
	ck_assert_int_eq(b.nmsi, 1);
	/* Masked, it keeps quiet; the new message comes with the end. */
	space_write(&b.m->memory, at + 28, 4, 1);
	pci_msix_notify(&p->pci, 1);
	space_write(&b.m->memory, at + 24, 4, 0x52);
	ck_assert_uint_eq(taken(), 0);
	ck_assert_int_eq(taker.updates, 0);
	space_write(&b.m->memory, at + 28, 4, 0);
	ck_assert_int_eq(taker.updates, 1);
	ck_assert_uint_eq(taker.msi.data, 0x52);
	ck_assert_uint_eq(taken(), 1);
	set(fn(), cap + 2, 2, 0xc000); /* the whole function */
	pci_msix_notify(&p->pci, 1);
	ck_assert_uint_eq(taken(), 0);
	set(fn(), cap + 2, 2, 0x8000);
	ck_assert_uint_eq(taken(), 1);
	/* The last user goes. */
	pci_msix_use(&p->pci, 1, false);
	ck_assert_int_eq(taker.count, 1);
	pci_msix_use(&p->pci, 1, false);
	ck_assert_int_eq(taker.count, 0);
	pci_msix_notify(&p->pci, 1);
	ck_assert_int_eq(b.nmsi, 2);
	ck_assert_uint_eq(b.msi.data, 0x52);
}

END_TEST

START_TEST(pci_msix_lets_go_of_eventfds)
{
	u8 cap = get(fn(), PCI_CAPABILITY_LIST, 1);

	start_msix(cap);
	pci_msix_use(&p->pci, 1, true);
	ck_assert_int_eq(taker.count, 1);
	set(fn(), cap + 2, 2, 0); /* MSI-X off */
	ck_assert_int_eq(taker.count, 0);
	set(fn(), cap + 2, 2, 0x8000);
	ck_assert_int_eq(taker.count, 1);
	device_reset_all(b.m);
	ck_assert_int_eq(taker.count, 0);
	start_msix(cap);
	ck_assert_int_eq(taker.count, 1);
	device_destroy(&p->pci.dev);
	ck_assert_int_eq(taker.count, 0);
}

END_TEST

START_TEST(pci_msix_sends_what_the_accelerator_refuses)
{
	u64 at = start_msix(get(fn(), PCI_CAPABILITY_LIST, 1));

	taker.refuse = ENOSPC;
	pci_msix_use(&p->pci, 1, true);
	ck_assert_int_eq(taker.count, 0);
	pci_msix_notify(&p->pci, 1);
	ck_assert_int_eq(b.nmsi, 1);
	/* A refused change of the message must not leave the old one. */
	taker.refuse = 0;
	space_write(&b.m->memory, at + 28, 4, 0);
	ck_assert_int_eq(taker.count, 1);
	taker.refuse = EINVAL;
	space_write(&b.m->memory, at + 24, 4, 0x77);
	ck_assert_int_eq(taker.count, 0);
	pci_msix_notify(&p->pci, 1);
	ck_assert_int_eq(b.nmsi, 2);
	ck_assert_uint_eq(b.msi.data, 0x77);
}

END_TEST

START_TEST(pci_intx_is_swizzled_shared_and_disabled)
{
	struct probe *q = (struct probe *)bare_add(&b, &probe_class, "addr=7");

	pci_assign(b.m->pci); /* slots 3 and 7, pin A: PIRQC, IRQ 11 */
	ck_assert_uint_eq(get(fn(), PCI_INTERRUPT_LINE, 1), 11);
	pci_set_intx(&p->pci, 1);
	pci_set_intx(&q->pci, 1);
	ck_assert_int_eq(b.level[11], 1);
	pci_set_intx(&p->pci, 0);
	ck_assert_int_eq(b.level[11], 1);
	set(q->pci.devfn, PCI_COMMAND, 2, 0x400);
	ck_assert_int_eq(b.level[11], 0);
	ck_assert_uint_ne(
		get(q->pci.devfn, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT, 0);
	set(q->pci.devfn, PCI_COMMAND, 2, 0);
	ck_assert_int_eq(b.level[11], 1);
	set(PCI_DEVFN(1, 0), 0x62, 1, 5); /* the guest routes PIRQC away */
	ck_assert_int_eq(b.level[11], 0);
	ck_assert_int_eq(b.level[5], 1);
	device_destroy(&q->pci.dev);
	ck_assert_int_eq(b.level[5], 0);
}

END_TEST

START_TEST(pci_slots_are_chosen_and_guarded)
{
	struct err err = { 0 };

	ck_assert_ptr_null(device_create_text(b.m, "nosuchclass,addr=3", &err));
	for (int i = 0; i < 2; i++) {
		static const char *const texts[] = { "addr=3", "addr=zz" };
		struct opts o;

		ck_assert_int_eq(opts_parse(&o, texts[i], NULL, &err), 0);
		ck_assert_ptr_null(device_create(b.m, &probe_class, &o, &err));
		opts_fini(&o);
		ck_assert_ptr_nonnull(
			strstr(err.msg, i ? "'zz'"
					  : "slot 3 function 0 not available "
					    "for probe, in use by "
					    "probe,id=blk0"));
	}
}

END_TEST

START_TEST(pci_text_has_the_known_layout)
{
	struct buf out = { 0 };

	set(fn(), PCI_BASE_ADDRESS_0, 4, 0xc000);
	set(fn(), PCI_BASE_ADDRESS_4, 4, 0xfe000000);
	set(fn(), PCI_BASE_ADDRESS_1, 4, 0xfebd5000);
	set(fn(), PCI_INTERRUPT_LINE, 1, 11);
	set(fn(), PCI_COMMAND, 2, 3);
	pci_info(b.m->pci, &out);
	ck_assert_ptr_nonnull(strstr(buf_str(&out),
				     "  Bus  0, device   0, function 0:\n"
				     "    Host bridge: PCI device 8086:1237\n"
				     "      PCI subsystem 1af4:1100\n"
				     "      id \"\"\n"));
	ck_assert_ptr_nonnull(
		strstr(buf_str(&out),
		       "  Bus  0, device   3, function 0:\n"
		       "    SCSI controller: PCI device 1af4:1001\n"
		       "      PCI subsystem 1af4:0002\n"
		       "      IRQ 11, pin A\n"
		       "      BAR0: I/O at 0xc000 [0xc01f].\n"
		       "      BAR1: 32 bit memory at 0xfebd5000 [0xfebd5fff].\n"
		       "      BAR4: 64 bit prefetchable memory at 0xfe000000 "
		       "[0xfe003fff].\n"
		       "      id \"blk0\"\n"));
	set(fn(), PCI_COMMAND, 2, 0);
	buf_clear(&out);
	pci_info(b.m->pci, &out);
	ck_assert_ptr_nonnull(strstr(buf_str(&out),
				     "      BAR1: 32 bit memory at "
				     "0xffffffffffffffff [0x00000ffe].\n"));
	buf_fini(&out);
}

END_TEST

START_TEST(acpi_power_button_timer_and_soft_off)
{
	u32 first;

	ck_assert(!acpi_pm_press_power(b.m->acpi_pm));
	ck_assert_int_eq(b.level[9], 0);
	space_write(&b.m->io, ACPI_PM_BASE, 2, 0x100);
	space_write(&b.m->io, ACPI_PM_BASE + 2, 2, 0x100);
	ck_assert(acpi_pm_press_power(b.m->acpi_pm));
	ck_assert_int_eq(b.level[9], 1);
	ck_assert_uint_eq(space_read(&b.m->io, ACPI_PM_BASE, 2), 0x100);
	space_write(&b.m->io, ACPI_PM_BASE, 2, 0x100);
	ck_assert_int_eq(b.level[9], 0);

	first = space_read(&b.m->io, ACPI_PM_BASE + 8, 4);
	bare_sleep(&b, NS_PER_S);
	ck_assert_uint_le(
		space_read(&b.m->io, ACPI_PM_BASE + 8, 4) - first - 3579544, 2);

	ck_assert_uint_eq(space_read(&b.m->io, ACPI_PM_BASE + 4, 2), 1);
	ck_assert_uint_eq(atomic_load(&b.m->run.requests), 0);
	space_write(&b.m->io, ACPI_PM_BASE + 4, 2, 5 << 10 | 0x2000);
	ck_assert_uint_eq(atomic_load(&b.m->run.requests), 0);
	space_write(&b.m->io, ACPI_PM_BASE + 4, 2, 0x2001);
	ck_assert_uint_ne(atomic_load(&b.m->run.requests), 0);

	acpi_pm_gpe(b.m->acpi_pm, 1);
	ck_assert_int_eq(b.level[9], 0);
	space_write(&b.m->io, ACPI_GPE0_BASE + 2, 1, 2);
	ck_assert_int_eq(b.level[9], 1);
	space_write(&b.m->io, ACPI_GPE0_BASE, 1, 2);
	ck_assert_int_eq(b.level[9], 0);
}

END_TEST

START_TEST(acpi_hotplug_ejects_only_what_was_asked)
{
	struct err err = { 0 };
	struct pci_device *bridge =
		((struct pci_bus *)b.m->pci)->dev[PCI_DEVFN(1, 0)];

	bare_add(&b, &acpi_hotplug_class, NULL);
	space_write(&b.m->io, ACPI_GPE0_BASE + 2, 1, 1 << ACPI_HOTPLUG_GPE);
	acpi_hotplug_added(&p->pci);
	ck_assert_int_eq(b.level[9], 1);
	ck_assert_uint_eq(space_read(&b.m->io, ACPI_HOTPLUG_BASE, 4), 1 << 3);
	ck_assert_uint_eq(space_read(&b.m->io, ACPI_HOTPLUG_BASE, 4), 0);
	space_write(&b.m->io, ACPI_GPE0_BASE, 1, 0xff);

	space_write(&b.m->io, ACPI_HOTPLUG_BASE + 8, 4, UINT32_MAX);
	loop_once(b.m->loop, 0);
	ck_assert_ptr_eq(device_find(b.m, "blk0"), &p->pci.dev);
	ck_assert_int_lt(acpi_hotplug_remove(bridge, &err), 0);
	ck_assert_int_eq(acpi_hotplug_remove(&p->pci, &err), 0);
	ck_assert_int_eq(b.level[9], 1);
	ck_assert_uint_eq(space_read(&b.m->io, ACPI_HOTPLUG_BASE + 4, 4),
			  1 << 3);
	space_write(&b.m->io, ACPI_HOTPLUG_BASE + 8, 4, 1 << 3);
	/* Still there, but not for a guest that looks. */
	ck_assert_ptr_nonnull(device_find(b.m, "blk0"));
	ck_assert_uint_eq(get(PCI_DEVFN(3, 0), 0, 4), 0xffffffff);
	loop_once(b.m->loop, 0);
	ck_assert_ptr_null(device_find(b.m, "blk0"));
	ck_assert_uint_eq(get(PCI_DEVFN(3, 0), 0, 4), 0xffffffff);
}

END_TEST

START_TEST(reset_port_resets_on_the_rising_edge)
{
	bare_out(&b, 0xcf9, 0x02);
	ck_assert_uint_eq(atomic_load(&b.m->run.requests), 0);
	ck_assert_uint_eq(bare_in(&b, 0xcf9), 0x02);
	bare_out(&b, 0xcf9, 0x06);
	ck_assert_uint_ne(atomic_load(&b.m->run.requests), 0);
}

END_TEST

int main(void)
{
	TCase *tc = tcase_create("pci");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, pci_finds_devices_and_nothing_else);
	tcase_add_test(tc, pci_bars_are_sized_and_mapped);
	tcase_add_test(tc, pci_assign_places_everything_apart);
	tcase_add_test(tc, pci_msix_masks_and_keeps_pending);
	tcase_add_test(tc, pci_msix_used_vectors_go_by_eventfd);
	tcase_add_test(tc, pci_msix_lets_go_of_eventfds);
	tcase_add_test(tc, pci_msix_sends_what_the_accelerator_refuses);
	tcase_add_test(tc, pci_intx_is_swizzled_shared_and_disabled);
	tcase_add_test(tc, pci_slots_are_chosen_and_guarded);
	tcase_add_test(tc, pci_text_has_the_known_layout);
	tcase_add_test(tc, acpi_power_button_timer_and_soft_off);
	tcase_add_test(tc, acpi_hotplug_ejects_only_what_was_asked);
	tcase_add_test(tc, reset_port_resets_on_the_rising_edge);
	return bare_run("devices_pci", tc);
}
