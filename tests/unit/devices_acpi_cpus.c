/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Hot-plug of vCPUs as a guest sees it: events, ejection, what it may not.
 */
#include "devices/pc.h"

#include <errno.h>

#include "tests/unit/bare_machine.h"
#include "vmm/vcpu.h"

#define SELECTOR ACPI_CPUS_BASE
#define FLAGS    (ACPI_CPUS_BASE + 4)
#define COMMAND  (ACPI_CPUS_BASE + 5)
#define DATA     (ACPI_CPUS_BASE + 8)

static struct bare b;
static struct err err;

static void nothing(struct vcpu *v)
{
}

static void setup(void)
{
	bare_init(&b);
	b.accel.get = nothing;
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(vcpu_create(b.m, i, &err), 0);
	atomic_store(&b.m->vcpus[2]->unplugged, true);
	atomic_store(&b.m->vcpus[3]->unplugged, true);
	b.m->topo.cpus = 2;
	b.m->topo.maxcpus = 4;
	bare_add(&b, &pci_host_class, NULL);
	bare_add(&b, &acpi_pm_class, NULL);
	bare_add(&b, &acpi_cpus_class, NULL);
}

static void teardown(void)
{
	bare_fini(&b);
}

static u8 flags(u32 selector)
{
	space_write(&b.m->io, SELECTOR, 4, selector);
	return bare_in(&b, FLAGS);
}

static void set_flags(u32 selector, u8 value)
{
	space_write(&b.m->io, SELECTOR, 4, selector);
	space_write(&b.m->io, FLAGS, 1, value);
}

START_TEST(cpus_are_found_by_their_events)
{
	ck_assert_int_eq(flags(1), 1);
	ck_assert_int_eq(flags(3), 0);
	ck_assert_int_eq(acpi_cpus_plug(b.m, 3, &err), 0);
	ck_assert_int_eq(b.m->topo.cpus, 3);
	ck_assert_int_eq(acpi_cpus_plug(b.m, 3, &err), -EEXIST);
	ck_assert_int_eq(acpi_cpus_unplug(b.m, 1, &err), 0);
	ck_assert_int_eq(bare_in(&b, ACPI_GPE0_BASE), 1 << ACPI_CPUS_GPE);
	space_write(&b.m->io, SELECTOR, 4, 2);
	space_write(&b.m->io, COMMAND, 1, 0);
	ck_assert_int_eq(space_read(&b.m->io, DATA, 4), 3);
	ck_assert_int_eq(bare_in(&b, FLAGS), 3);
	space_write(&b.m->io, FLAGS, 1, 2);
	space_write(&b.m->io, COMMAND, 1, 0);
	ck_assert_int_eq(space_read(&b.m->io, DATA, 4), 1);
	ck_assert_int_eq(bare_in(&b, FLAGS), 5);
	space_write(&b.m->io, FLAGS, 1, 4);
	ck_assert_int_eq(bare_in(&b, FLAGS), 1);
	/* None left: what is selected stays. */
	space_write(&b.m->io, COMMAND, 1, 0);
	ck_assert_int_eq(space_read(&b.m->io, DATA, 4), 1);
	space_write(&b.m->io, COMMAND, 1, 3);
	ck_assert_int_eq(space_read(&b.m->io, DATA, 4), b.m->vcpus[1]->apic_id);
}

END_TEST

START_TEST(cpus_leave_when_both_agree)
{
	set_flags(1, 8);
	ck_assert_ptr_nonnull(vcpu_plugged(b.m, 1));
	ck_assert_int_eq(acpi_cpus_unplug(b.m, 0, &err), -EINVAL);
	ck_assert_int_eq(acpi_cpus_unplug(b.m, 3, &err), -ENOENT);
	ck_assert_int_eq(acpi_cpus_unplug(b.m, 4, &err), -EINVAL);
	ck_assert_int_eq(acpi_cpus_unplug(b.m, 1, &err), 0);
	set_flags(0, 8);
	ck_assert_ptr_nonnull(vcpu_plugged(b.m, 0));
	set_flags(1, 4); /* heard of it */
	set_flags(1, 8);
	ck_assert_ptr_null(vcpu_plugged(b.m, 1));
	ck_assert_int_eq(b.m->topo.cpus, 1);
	ck_assert_int_eq(flags(1), 0);
	ck_assert_int_eq(acpi_cpus_plug(b.m, 1, &err), 0);
	ck_assert_int_eq(flags(1), 3);
	ck_assert_int_eq(acpi_cpus_unplug(b.m, 1, &err), 0);
	device_reset_all(b.m);
	ck_assert_ptr_null(vcpu_plugged(b.m, 1));
}

END_TEST

START_TEST(cpus_beyond_the_last_are_not_there)
{
	static const u32 selectors[] = { 4, 255, 256, 0x80000000u,
					 0xffffffffu };

	for (size_t i = 0; i < ARRAY_SIZE(selectors); i++) {
		set_flags(selectors[i], 0x0e);
		for (int command = 0; command < 256; command++)
			space_write(&b.m->io, COMMAND, 1, command);
		ck_assert_int_eq(flags(selectors[i]), 0);
		ck_assert_int_eq(space_read(&b.m->io, DATA, 4), 0);
	}
}

END_TEST

int main(void)
{
	TCase *tc = tcase_create("acpi_cpus");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, cpus_are_found_by_their_events);
	tcase_add_test(tc, cpus_leave_when_both_agree);
	tcase_add_test(tc, cpus_beyond_the_last_are_not_there);
	return bare_run("devices_acpi_cpus", tc);
}
