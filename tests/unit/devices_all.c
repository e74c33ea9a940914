/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Every chip of devices/: seeded random accesses to all of its registers,
 * save, load into a fresh one, save again, reset, destroy.  FUZZ_SEED in the
 * environment repeats a run, FUZZ_SECONDS prolongs it.
 */
#include <stdio.h>

#include "devices/pci.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "tests/unit/bare_machine.h"
#include "vmm/state.h"

#define ROUNDS 4000

static u64 seed;

static u64 draw(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* Chips that need no back end, in order of creation. */
static const struct {
	const struct device_class *class;
	const char *options;
} chips[] = {
	{ &serial_class, "index=1" },  { &i8042_class, NULL },
	{ &rtc_class, NULL },          { &pit_class, NULL },
	{ &pic_class, NULL },          { &ioapic_class, NULL },
	{ &lapic_class, NULL },        { &pci_host_class, NULL },
	{ &isa_bridge_class, NULL },   { &acpi_pm_class, NULL },
	{ &acpi_hotplug_class, NULL }, { &acpi_cpus_class, NULL },
	{ &debugcon_class, NULL },     { &debug_exit_class, NULL },
	{ &testdev_class, NULL },      { &fw_cfg_class, NULL },
	{ &i6300esb_class, NULL },     { &bios_class, "menu=on,strict=on" },
	{ &vga_class, NULL },          { &pflash_class, "size=8192" },
};

/* A machine with the chip and what it needs. */
static struct device *chip_create(struct bare *b, int n)
{
	const struct device_class *class = chips[n].class;
	struct err err = { 0 };

	bare_init(b);
	ck_assert_int_eq(vcpu_create(b->m, 0, &err), 0);
	if (class->bus == BUS_PCI && class != &pci_host_class)
		bare_add(b, &pci_host_class, NULL);
	return bare_add(b, class, chips[n].options);
}

static void access_region(struct space *space, struct region *r)
{
	u32 size = 1u << draw() % 4;
	u64 at = r->base + draw() % r->size;

	if (draw() & 1)
		space_write(space, at, size, draw());
	else
		space_read(space, at, size);
}

/* Picks a region of either space; PCI configuration counts as one. */
static void access_any(struct bare *b)
{
	struct space *space = draw() & 1 ? &b->m->io : &b->m->memory;
	struct region *r;
	u32 count = 0, pick;

	if (b->m->pci && draw() % 3 == 0) {
		u32 len = 1u << draw() % 3;

		pci_config_write(b->m->pci, draw(), draw() % (257 - len), len,
				 draw());
		return;
	}
	list_for_each (r, &space->regions, node)
		count++;
	if (!count)
		return;
	pick = draw() % count;
	list_for_each (r, &space->regions, node) {
		if (pick--)
			continue;
		access_region(space, r);
		return; /* the access may have moved regions */
	}
}

static void save(struct device *dev, struct buf *out)
{
	if (dev->class->state)
		state_save(dev->class->state, dev, out);
}

/* Two machines take the lock in turn. */
static void chip_check(int n) NO_TSA;

static void chip_check(int n)
{
	const struct device_class *class = chips[n].class;
	struct bare b, fresh;
	struct device *dev = chip_create(&b, n), *copy;
	struct buf first = { 0 }, second = { 0 }, text = { 0 };
	struct err err = { 0 };
	size_t used = 0;

	for (int i = 0; i < ROUNDS; i++) {
		access_any(&b);
		irq_set(&b.m->gsi[draw() % 24], draw() & 1);
		if (draw() % 8 == 0)
			bare_sleep(&b, draw() % (20 * NS_PER_MS));
	}
	save(dev, &first);
	if (class->info)
		class->info(dev, &text);

	lock_release(&machine_lock);
	copy = chip_create(&fresh, n);
	fresh.m->vclock_base_ns = b.m->vclock_base_ns;
	if (class->state) {
		ck_assert_msg(state_load(class->state, copy, first.data,
					 first.len, &used, &err) == 0,
			      "%s: %s", class->name, err.msg);
		ck_assert_int_eq(used, first.len);
	}
	if (class->loaded)
		ck_assert_msg(class->loaded(copy, &err) == 0, "%s: %s",
			      class->name, err.msg);
	save(copy, &second);
	ck_assert_int_eq(first.len, second.len);
	ck_assert_msg(!memcmp(buf_str(&first), buf_str(&second), first.len),
		      "%s: state changed on the way", class->name);

	/* Garbage is refused or tamed. */
	for (size_t i = 0; i < first.len; i++)
		first.data[i] = draw();
	if (class->state &&
	    state_load(class->state, copy, first.data, first.len, &used,
		       &err) == 0 &&
	    (!class->loaded || class->loaded(copy, &err) == 0))
		for (int i = 0; i < ROUNDS; i++) {
			access_any(&fresh);
			if (draw() % 8 == 0)
				bare_sleep(&fresh, draw() % NS_PER_MS);
		}

	if (class->reset)
		class->reset(copy);
	buf_fini(&first);
	buf_fini(&second);
	buf_fini(&text);
	bare_fini(&fresh);
	lock_acquire(&machine_lock);
	bare_fini(&b);
}

START_TEST(chip_survives_random_accesses_and_moves)
{
	const char *seconds = getenv("FUZZ_SECONDS");
	u64 end = clock_mono_ns() +
		  (seconds ? atof(seconds) : 0) * NS_PER_S / ARRAY_SIZE(chips);

	do
		chip_check(_i);
	while (clock_mono_ns() < end);
}

END_TEST

int main(void)
{
	TCase *tc = tcase_create("all");
	const char *given = getenv("FUZZ_SEED");

	seed = given ? strtoull(given, NULL, 0) | 1 : 1;
	printf("FUZZ_SEED=0x%llx\n", (unsigned long long)seed);
	fflush(stdout);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, chip_survives_random_accesses_and_moves, 0,
			    ARRAY_SIZE(chips));
	return bare_run("devices_all", tc);
}
