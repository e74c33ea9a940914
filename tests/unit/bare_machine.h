/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A machine without accelerator or threads for tests of chips: time is what
 * the test says, lines are counted.
 */
#ifndef TESTS_UNIT_BARE_MACHINE_H
#define TESTS_UNIT_BARE_MACHINE_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "devices/pc.h"
#include "lib/err.h"
#include "lib/lock.h"
#include "lib/opt.h"
#include "vmm/accel.h"
#include "vmm/device.h"
#include "vmm/machine.h"
#include "vmm/memory.h"
#include "vmm/vcpu.h"
#include "vmm/vtimer.h"

struct bare {
	struct machine *m;
	struct accel_class accel;
	int level[24];  /* of the GSIs */
	int rising[24]; /* edges seen */
	struct msi msi; /* last one sent */
	int nmsi;
};

static struct bare *bare_last; /* where accel callbacks find their test */

static inline void bare_gsi(void *opaque, int n, int level)
{
	struct bare *b = opaque;

	b->rising[n] += level && !b->level[n];
	b->level[n] = level;
}

static inline void bare_msi(struct machine *m, const struct msi *msi)
{
	bare_last->msi = *msi;
	bare_last->nmsi++;
}

/* Init takes machine_lock, fini gives it back. */
static inline void bare_init(struct bare *b) NO_TSA;
static inline void bare_fini(struct bare *b) NO_TSA;

static inline void bare_init(struct bare *b)
{
	struct err err = { 0 };

	memset(b, 0, sizeof *b);
	bare_last = b;
	lock_acquire(&machine_lock);
	b->m = machine_create(&err);
	ck_assert_msg(b->m != NULL, "%s", err.msg);
	b->accel.name = "bare";
	b->accel.msi_send = bare_msi;
	b->m->accel = &b->accel;
	b->m->ram_size = 4 * MIB;
	ck_assert_msg(machine_add_ram(b->m, &err) == 0, "%s", err.msg);
	for (int i = 0; i < 24; i++)
		b->m->gsi[i] = (struct irq){ bare_gsi, b, i };
	b->m->vclock_base_ns = NS_PER_S; /* stands unless the test moves it */
}

static inline void bare_fini(struct bare *b)
{
	machine_destroy(b->m);
	lock_release(&machine_lock);
}

static inline struct device *
bare_add(struct bare *b, const struct device_class *class, const char *options)
{
	struct err err = { 0 };
	struct device *dev;
	struct opts o;

	ck_assert_int_eq(opts_parse(&o, options ? options : "", NULL, &err), 0);
	dev = device_create(b->m, class, &o, &err);
	ck_assert_msg(dev != NULL, "%s: %s", class->name, err.msg);
	opts_fini(&o);
	return dev;
}

/* Moves guest time and runs what is due, in order. */
static inline void bare_sleep(struct bare *b, u64 ns)
{
	u64 until = b->m->vclock_base_ns + ns;

	for (;;) {
		struct vtimer *t =
			list_first(&b->m->vtimers, struct vtimer, node);

		if (!t || t->deadline_ns > until)
			break;
		b->m->vclock_base_ns =
			MAX(b->m->vclock_base_ns, t->deadline_ns);
		vtimer_run_expired(b->m);
	}
	b->m->vclock_base_ns = until;
}

static inline u32 bare_in(struct bare *b, u16 port)
{
	return space_read(&b->m->io, port, 1);
}

static inline void bare_out(struct bare *b, u16 port, u8 value)
{
	space_write(&b->m->io, port, 1, value);
}

static inline int bare_run(const char *name, TCase *tc)
{
	Suite *suite = suite_create(name);
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
